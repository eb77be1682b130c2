//! COPY: many rows in or out, in PostgreSQL's formats or as SSIM.
//!
//! # In
//!
//! Input is spooled as it comes ([`spool`]). When the client is done, a thread reads it from the beginning and
//! turns records into commands ([`input`]), while the session decides them, chunk by chunk. Nothing is stored
//! until all of it has been decided: bad input anywhere leaves nothing behind, and a slow client holds nothing
//! that others could wait for.
//!
//! # Out
//!
//! Rows are encoded a batch at a time as the client takes them ([`output`]). The rows of a subscription have no end
//! ([`subscribe`]).

pub(crate) mod binary;
mod encoding;
pub(crate) mod entries;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod rotations;
pub(crate) mod spool;
pub(crate) mod ssim;
pub(crate) mod subscribe;
mod table;

use std::sync::Arc;

use rotabase_engine::schedule::Schedule;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::sql::{CopyFormat, CopyFrom, CopyTarget};
use rotabase_raft::{PIECE_REQUESTS_MAX, Request, WriteError};
use tokio::sync::mpsc;

use super::api::{CopyInFormat, Execution};
use super::client::Session;
use super::query::blocking;
use super::running;
use super::write::SendError;
use crate::roles::Privilege;
use crate::sqlstate;
use input::Converter;
use progress::Entry;
pub(crate) use progress::Progress;
use spool::Spool;

/// The commands that are decided at once: so many that each shard has about as many of them. Records of one aggregate
/// mostly stand together.
const CHUNK_COMMANDS: usize = PIECE_REQUESTS_MAX;

/// The chunks that may wait to be decided.
const CHUNKS_WAITING_MAX: usize = 2;

/// The bad records that an error names.
pub(crate) const BAD_RECORDS_SHOWN: usize = 20;

/// The longest that deciding one chunk may wait for other statements.
const CHUNK_DEADLINE: std::time::Duration = std::time::Duration::from_secs(60);

/// The longest that storing a COPY may take.
const COMMIT_DEADLINE: std::time::Duration = std::time::Duration::from_secs(3600);

/// A COPY FROM STDIN under way.
#[derive(Debug)]
pub(crate) struct CopyIn {
    copy: CopyFrom,
    spool: Spool,
    entry: Arc<Entry>,
}

/// Commands on their way from the reading thread to the session.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) requests: Vec<Request<Schedule>>,
    /// For each request the line that it came from.
    pub(crate) lines: Vec<u64>,
}

impl CopyIn {
    /// Takes a piece of the input.
    pub(crate) fn spool(&mut self, data: &[u8]) -> Result<()> {
        self.spool.write(data)?;
        self.entry.bytes(self.spool.bytes());
        Ok(())
    }
}

impl Session {
    /// Begins COPY FROM STDIN.
    pub(crate) fn copy_from(&mut self, copy: &CopyFrom) -> Result<Execution> {
        let (name, columns) = match &copy.target {
            CopyTarget::Table { table, columns } => {
                let schema = table.schema();
                self.check_privilege(Privilege::Insert, schema.schema, schema.name)?;
                (schema.name, columns.len())
            }
            CopyTarget::Ssim => {
                self.check_privilege(Privilege::Insert, rotabase_queries::catalog::PUBLIC, "legs")?;
                ("ssim", 1)
            }
            CopyTarget::LegRotations(columns) => {
                self.check_privilege(Privilege::Update, rotabase_queries::catalog::PUBLIC, "legs")?;
                ("leg_rotations", columns.len())
            }
            CopyTarget::AirplaneRotations(columns) => {
                self.check_privilege(
                    Privilege::Update,
                    rotabase_queries::catalog::PUBLIC,
                    "airplanes",
                )?;
                ("airplane_rotations", columns.len())
            }
        };
        let pid = self.settings.shared().backend_pid;
        let entry = self.database.shared().copies.begin(pid, name, "COPY FROM");
        self.copy = Some(CopyIn { copy: copy.clone(), spool: Spool::default(), entry });
        Ok(Execution::CopyIn(CopyInFormat {
            binary: copy.options.format == CopyFormat::Binary,
            columns,
        }))
    }

    /// Carries out the COPY whose input is complete; the command tag.
    pub(crate) async fn finish_copy(&mut self) -> Result<String> {
        let copy = self
            .copy
            .take()
            .ok_or_else(|| SqlError::new(SqlState::PROTOCOL_VIOLATION, "no COPY is in progress"))?;
        let statement = self.running.begin(self.settings.statement_timeout());
        self.wait_until_current(&statement).await?;
        let (chunks, waiting) = mpsc::channel(CHUNKS_WAITING_MAX);
        let table = table_of(&copy.copy.target);
        let converter = Converter::new(self, &copy.copy, chunks, &statement)?;
        let (spool, entry) = (copy.spool, copy.entry);
        let reading = tokio::spawn(blocking(move || converter.run(spool.into_reader()?, &entry)));
        let input = Input { table, waiting, reading };
        let rows = match &self.block {
            Some(_) => self.decide_in_block(input, &statement).await,
            None => self.decide_and_store(input, &statement).await,
        };
        rows.map(|rows| format!("COPY {rows}")).map_err(|error| statement.explain(error))
    }

    /// Decides the chunks as they come and stores them once the input has ended well.
    async fn decide_and_store(
        &mut self,
        mut input: Input,
        statement: &running::Statement,
    ) -> Result<u64> {
        let mut write = self.database.node().begin(self.metadata());
        let mut refused = None;
        let mut stored_something = false;
        while let Some(chunk) = statement.wait(input.waiting.recv()).await? {
            if refused.is_some() || chunk.requests.is_empty() {
                // The rest is read for its own errors only.
                continue;
            }
            stored_something = true;
            if let Err(error) = write.decide(chunk.requests, CHUNK_DEADLINE).await {
                refused = Some(with_line(error, input.table, &chunk.lines));
            }
        }
        let rows = input.ended().await?;
        if let Some(error) = refused {
            return Err(error);
        }
        if stored_something {
            let outcome = write.commit(COMMIT_DEADLINE).await.map_err(sqlstate::write_error)?;
            self.has_written(&outcome.positions);
        }
        Ok(rows)
    }

    /// In a block the commands are kept for its end, like those of any statement.
    async fn decide_in_block(
        &mut self,
        mut input: Input,
        statement: &running::Statement,
    ) -> Result<u64> {
        let mut refused = None;
        while let Some(chunk) = statement.wait(input.waiting.recv()).await? {
            if refused.is_some() || chunk.requests.is_empty() {
                continue;
            }
            refused = match self.send(chunk.requests, statement.timeout()).await {
                Ok(_) => None,
                Err(SendError::Write(error)) => Some(with_line(error, input.table, &chunk.lines)),
                Err(error @ SendError::Block(_)) => Some(self.write_error(error, statement)),
            };
        }
        let rows = input.ended().await?;
        refused.map_or(Ok(rows), Err)
    }
}

/// The input of a COPY as it is read.
struct Input {
    /// The table that its rows are of.
    table: &'static str,
    waiting: mpsc::Receiver<Chunk>,
    reading: tokio::task::JoinHandle<Result<u64>>,
}

impl Input {
    /// How many rows it had, once it has been read.
    async fn ended(self) -> Result<u64> {
        drop(self.waiting);
        let ended = self.reading.await;
        ended.map_err(|error| SqlError::internal(format!("COPY's thread ended: {error}")))?
    }
}

/// The table that a COPY writes to.
fn table_of(target: &CopyTarget) -> &'static str {
    match target {
        CopyTarget::Table { table, .. } => table.schema().name,
        CopyTarget::Ssim | CopyTarget::LegRotations(_) => "legs",
        CopyTarget::AirplaneRotations(_) => "airplanes",
    }
}

/// A refusal with the line that it is about.
fn with_line(error: WriteError<Schedule>, table: &str, lines: &[u64]) -> SqlError {
    let WriteError::Refused { request, refusal } = &error else {
        return sqlstate::write_error(error);
    };
    let line = lines.get(*request).copied();
    let mut error = sqlstate::refused_row(refusal, table);
    error.context = line.map(|line| format!("COPY, line {line}"));
    error
}
