//! `COPY ssim`: a schedule from an SSIM file, and back.
//!
//! Legs from SSIM have derived ids. A leg that is not known is scheduled as an open leg; one that is known is
//! changed where it is, in its flight or in a rotation, and only if it differs. None is removed.

use std::io::Read;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rotabase_engine::schedule::{AggregateId, Command, Leg, Schedule, UtcTime};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Cancel, ExecContext};
use rotabase_queries::projection::{Count, Snapshot};
use rotabase_queries::relation::{Access, Bound, Relation};
use rotabase_queries::sql::command::{self, column};
use rotabase_raft::Request;
use tokio::sync::mpsc;

use super::input::Output;
use super::progress::Entry;
use super::spool::disk_error;
use crate::roles::Privilege;
use crate::session::api::{CopyOut, CopyRows, CopySource, CopyStep, Execution};
use crate::session::client::Session;
use crate::session::query::blocking;
use crate::session::running;
use crate::ssim::{SsimOptions, SsimReader, SsimRefused, SsimWriter};

const READ_BYTES: usize = 256 << 10;

/// The legs that are read at once for writing.
const SCAN_ROWS: usize = 4096;

/// The pieces of a file that may wait for the client.
const PIECES_WAITING_MAX: usize = 4;

/// Reads an SSIM file and hands over the commands that make the schedule say the same; the number of dated legs.
pub(crate) fn read(
    mut reader: Box<dyn Read + Send>,
    snapshot: &Snapshot,
    output: &mut Output,
    entry: &Entry,
    cancel: &Cancel,
) -> Result<u64> {
    // Nothing to look up in an empty schedule.
    let empty = snapshot.count(Count::Legs)? == 0;
    let mut ssim = SsimReader::new(SsimOptions::default());
    let mut failure = None;
    let mut sink = |leg: Leg| {
        if failure.is_none() {
            let sent = change(&leg, snapshot, empty).and_then(|request| output.send(0, request));
            failure = sent.err();
        }
    };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        cancel.check()?;
        let read = reader.read(&mut buffer).map_err(|error| disk_error(&error))?;
        if read == 0 {
            break;
        }
        ssim.feed(&buffer[..read], &mut sink);
        entry.rows(ssim.legs());
    }
    let summary = ssim.finish(&mut sink);
    match (summary, failure) {
        (Err(refused), _) => Err(refusal(&refused)),
        (Ok(_), Some(error)) => Err(error),
        (Ok(summary), None) => Ok(summary.legs),
    }
}

/// The command that brings a leg of the file into the schedule, if it needs one.
fn change(leg: &Leg, snapshot: &Snapshot, empty: bool) -> Result<Option<Request<Schedule>>> {
    let known = if empty { None } else { snapshot.leg(leg.id)? };
    let Some(row) = known else {
        return Ok(Some(Request::new(leg.flight(), Command::ScheduleOpenLeg(Box::new(*leg)))));
    };
    if row.leg == *leg {
        return Ok(None);
    }
    let (new, expected) = (Box::new(*leg), Some(Box::new(row.leg)));
    Ok(Some(match row.owner.rotation() {
        Some(rotation) => Request::new(
            AggregateId::Rotation(rotation),
            Command::RescheduleLeg { leg: new, expected },
        ),
        None => Request::new(leg.flight(), Command::RescheduleOpenLeg { leg: new, expected }),
    }))
}

/// The first bad record, and in the detail the first of them all.
fn refusal(refused: &SsimRefused) -> SqlError {
    let error = SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, refused.to_string());
    if refused.errors.len() < 2 {
        return error;
    }
    let lines: Vec<String> = refused.errors.iter().map(ToString::to_string).collect();
    let shown = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let more = if refused.count > shown {
        format!("\nand {} more", refused.count - shown)
    } else {
        String::new()
    };
    error.with_detail(format!("Bad records:\n{}{more}", lines.join("\n")))
}

impl Session {
    /// COPY ssim TO STDOUT.
    pub(crate) async fn copy_ssim_out(
        &mut self,
        statement: running::Statement,
    ) -> Result<Execution> {
        self.check_privilege(Privilege::Select, rotabase_queries::catalog::PUBLIC, "legs")?;
        let context = self.reading(&[], &statement, Vec::new()).await?;
        let legs = self.database.shared().relation("legs")?;
        let entry = self.database.shared().copies.begin(
            self.settings.shared().backend_pid,
            "ssim",
            "COPY TO",
        );
        let (pieces, waiting) = mpsc::channel(PIECES_WAITING_MAX);
        let created = UtcTime(self.now());
        let writing =
            tokio::spawn(blocking(move || write(&legs, &context, created, &pieces, &entry)));
        let source = File { waiting, writing: Some(writing), statement };
        Ok(Execution::CopyOut(CopyOut { binary: false, columns: 1, source: Box::new(source) }))
    }
}

/// Writes the whole schedule, piece by piece; the number of legs.
fn write(
    legs: &Arc<dyn Relation>,
    context: &ExecContext,
    created: UtcTime,
    pieces: &mpsc::Sender<Vec<u8>>,
    entry: &Entry,
) -> Result<u64> {
    let schema = legs.schema();
    let index =
        schema.indexes.iter().position(|index| index.columns.first() == Some(&column::LEG_CARRIER));
    let index = index.ok_or_else(|| SqlError::internal("legs have an index by designator"))?;
    let access = Access::Index {
        index,
        prefix: Vec::new(),
        lower: Bound::Open,
        upper: Bound::Open,
        backward: false,
    };
    // Every column but the version, which SSIM does not know.
    let columns: Vec<usize> = (0..schema.columns.len() - 1).collect();
    let mut scan = legs.scan(context, &access, &columns)?;
    let mut writer = SsimWriter::new(created);
    let (mut rows, mut out, mut count) = (Vec::new(), Vec::new(), 0);
    let unwritable = |error: crate::ssim::SsimExportError| {
        SqlError::new(SqlState::DATA_EXCEPTION, error.to_string())
    };
    let gone =
        || SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request");
    let mut more = true;
    while more {
        context.cancel.check()?;
        rows.clear();
        more = scan.next(SCAN_ROWS, &mut rows)?;
        for row in rows.chunks_exact(columns.len()) {
            let (leg, _) = command::read_leg(row)?;
            writer.leg(&leg, &mut out).map_err(unwritable)?;
            count += 1;
        }
        entry.rows(count);
        if !out.is_empty() {
            pieces.blocking_send(std::mem::take(&mut out)).map_err(|_| gone())?;
        }
    }
    writer.finish(&mut out).map_err(unwritable)?;
    pieces.blocking_send(out).map_err(|_| gone())?;
    Ok(count)
}

/// The pieces of a file on their way to the client.
struct File {
    waiting: mpsc::Receiver<Vec<u8>>,
    writing: Option<tokio::task::JoinHandle<Result<u64>>>,
    statement: running::Statement,
}

impl File {
    async fn step(&mut self) -> Result<CopyStep> {
        if let Some(bytes) = self.statement.wait(self.waiting.recv()).await? {
            let ends = memchr::memchr_iter(b'\n', &bytes).map(|at| at + 1).collect();
            return Ok(CopyStep::Rows(CopyRows { bytes, ends }));
        }
        let Some(writing) = self.writing.take() else {
            return Err(SqlError::internal("the file has ended"));
        };
        let count = writing
            .await
            .map_err(|error| SqlError::internal(format!("COPY's thread ended: {error}")))?;
        Ok(CopyStep::Done(format!(
            "COPY {}",
            count.map_err(|error| self.statement.explain(error))?
        )))
    }
}

impl CopySource for File {
    fn next(&mut self) -> BoxFuture<'_, Result<CopyStep>> {
        self.step().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_file_names_its_bad_records() {
        let mut reader = SsimReader::new(SsimOptions::default());
        let mut nothing = |_: Leg| {};
        reader.feed(b"x\ny\n", &mut nothing);
        let refused = reader.finish(&mut nothing).expect_err("no SSIM file");
        let error = refusal(&refused);
        assert_eq!(error.state, SqlState::BAD_COPY_FILE_FORMAT);
        assert!(error.message.starts_with("record 1, byte"), "{}", error.message);
    }
}
