//! COPY input, read from its spool on a thread of its own: records become commands.
//!
//! The first fault does not end the reading: the first [`super::BAD_RECORDS_SHOWN`] bad records are named, so
//! that a file is mended in one go. From the first fault on no more commands are handed over.

use std::io::Read;
use std::sync::Arc;

use rotabase_engine::env::{Clock, Random};
use rotabase_engine::schedule::Schedule;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Cancel, Evaluator, Settings};
use rotabase_queries::projection::Snapshot;
use rotabase_queries::sql::command::Target;
use rotabase_queries::sql::{
    AIRPLANE_ROTATIONS_COLUMNS, CopyColumns, CopyEncoding, CopyFormat, CopyFrom, CopyHeader,
    CopyOptions, CopyTarget, LEG_ROTATIONS_COLUMNS,
};
use rotabase_queries::types::{Datum, PgType, binary, text};
use rotabase_raft::Request;
use tokio::sync::mpsc;

use super::binary::BinaryRecords;
use super::encoding::Latin1;
use super::progress::Entry;
use super::record::{Format, Record, Records};
use super::rotations::{self, AirplaneRotations, LegRotations};
use super::spool::disk_error;
use super::table::{TableRows, columns_of};
use super::{BAD_RECORDS_SHOWN, CHUNK_COMMANDS, Chunk};
use crate::session::client::Session;
use crate::session::running;

const READ_BYTES: usize = 256 << 10;

/// The bytes of a COPY, from their beginning.
type Input = Box<dyn Read + Send>;

/// Reads a COPY's input.
pub(crate) struct Converter {
    pub(super) copy: CopyFrom,
    output: Output,
    settings: Arc<Settings>,
    now: i64,
    pub(super) snapshot: Snapshot,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// The statement's condition, ready to be evaluated, and the defaults that it may look at.
    filter: Option<(Evaluator, Vec<Datum>)>,
    cancel: Cancel,
}

/// Where commands go, and the faults found so far.
pub(crate) struct Output {
    chunks: mpsc::Sender<Chunk>,
    chunk: Chunk,
    faults: Vec<SqlError>,
    /// Bad records beyond those kept.
    more_faults: u64,
}

impl Output {
    /// Takes the commands of a record. Once there was a fault, they are dropped.
    pub(crate) fn send(
        &mut self,
        line: u64,
        requests: impl IntoIterator<Item = Request<Schedule>>,
    ) -> Result<()> {
        if !self.faults.is_empty() {
            return Ok(());
        }
        for request in requests {
            self.chunk.requests.push(request);
            self.chunk.lines.push(line);
        }
        if self.chunk.requests.len() >= CHUNK_COMMANDS { self.flush() } else { Ok(()) }
    }

    /// Keeps a fault.
    pub(crate) fn fault(&mut self, error: SqlError) {
        self.chunk = Chunk::default();
        if self.faults.len() < BAD_RECORDS_SHOWN {
            self.faults.push(error);
        } else {
            self.more_faults += 1;
        }
    }

    fn flush(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        // The session has ended the statement: there is nobody to tell.
        self.chunks.blocking_send(chunk).map_err(|_| {
            SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
        })
    }

    /// The first fault, with all that were kept in its detail.
    fn finish(mut self) -> Result<()> {
        if self.faults.is_empty() {
            return self.flush();
        }
        let all: Vec<String> = self.faults.iter().map(one_line).collect();
        let mut first = self.faults.swap_remove(0);
        let count = all.len();
        if count > 1 {
            let more = if self.more_faults > 0 {
                format!("\nand {} more", self.more_faults)
            } else {
                String::new()
            };
            let own = first.detail.take().map(|detail| format!("{detail}\n")).unwrap_or_default();
            first.detail = Some(format!("{own}Bad records:\n{}{more}", all.join("\n")));
        }
        Err(first)
    }
}

fn one_line(fault: &SqlError) -> String {
    match &fault.context {
        Some(context) => format!("{context}: {}", fault.message),
        None => fault.message.clone(),
    }
}

impl Converter {
    /// Gets ready to read for a session.
    pub(crate) fn new(
        session: &mut Session,
        copy: &CopyFrom,
        chunks: mpsc::Sender<Chunk>,
        statement: &running::Statement,
    ) -> Result<Self> {
        let filter = match &copy.filter {
            Some(filter) => {
                let context = session.context(statement, Vec::new())?;
                let mut defaults = Vec::with_capacity(filter.defaults.len());
                Evaluator::new(&filter.defaults, &context)?.evaluate(&[], &mut defaults)?;
                let predicate = std::slice::from_ref(&filter.predicate);
                Some((Evaluator::new(predicate, &context)?, defaults))
            }
            None => None,
        };
        let snapshot = session.snapshot()?;
        let shared = session.database.shared();
        Ok(Self {
            copy: copy.clone(),
            output: Output { chunks, chunk: Chunk::default(), faults: Vec::new(), more_faults: 0 },
            settings: session.settings.shared(),
            now: session.now(),
            snapshot,
            clock: Arc::clone(&shared.config.clock),
            random: Arc::clone(&shared.config.random),
            filter,
            cancel: statement.cancel(),
        })
    }

    /// Reads all of it; the number of rows.
    pub(crate) fn run(mut self, reader: Box<dyn Read + Send>, entry: &Entry) -> Result<u64> {
        let target = self.copy.target.clone();
        let reader: Input = match self.copy.options.encoding {
            CopyEncoding::Latin1 if self.copy.options.format != CopyFormat::Binary => {
                Box::new(Latin1::new(reader))
            }
            _ => reader,
        };
        let rows = match target {
            CopyTarget::Ssim => {
                super::ssim::read(reader, &self.snapshot, &mut self.output, entry, &self.cancel)?
            }
            CopyTarget::Table { table, columns } => {
                let name = table.schema().name;
                let target = Target::of_table(name)
                    .ok_or_else(|| SqlError::internal("a table that takes commands"))?;
                let (reader, header) = self.header_columns(reader, target)?;
                // Without a list of columns the input may be what COPY TO writes, maintained columns included.
                let wide = if self.copy.named || header.is_some() { &[] } else { target.columns() };
                let columns = header.unwrap_or(columns);
                let names: Vec<&'static str> =
                    columns.iter().map(|column| target.columns()[*column]).collect();
                let types: Vec<PgType> =
                    columns.iter().map(|column| table.schema().columns[*column].ty).collect();
                let mut rows = TableRows::new(target, columns, types, &self);
                self.read_records(reader, name, (&names, wide), entry, &mut |this, record| {
                    rows.row(this, record)
                })?
            }
            CopyTarget::LegRotations(columns) => {
                let names: Vec<&'static str> =
                    columns.iter().map(|column| LEG_ROTATIONS_COLUMNS[*column]).collect();
                let mut rotations = LegRotations::new(columns);
                let rows = self.read_records(
                    reader,
                    rotations::TABLE,
                    (&names, &[]),
                    entry,
                    &mut |this, record| rotations.row(this, record).map(|()| true),
                )?;
                rotations.flush(&mut self)?;
                rows
            }
            CopyTarget::AirplaneRotations(columns) => {
                let names: Vec<&'static str> =
                    columns.iter().map(|column| AIRPLANE_ROTATIONS_COLUMNS[*column]).collect();
                let mut rotations = AirplaneRotations::new(columns);
                self.read_records(
                    reader,
                    "airplane_rotations",
                    (&names, &[]),
                    entry,
                    &mut |this, record| rotations.row(this, record).map(|()| true),
                )?
            }
        };
        entry.rows(rows);
        self.output.finish()?;
        Ok(rows)
    }

    /// The columns that the input's header names, if the statement names none: files often leave out columns
    /// that a table has. A header with other words in it stands for nothing, as in PostgreSQL.
    fn header_columns(
        &self,
        mut reader: Box<dyn Read + Send>,
        target: Target,
    ) -> Result<(Input, Option<Vec<usize>>)> {
        let options = &self.copy.options;
        let forces =
            options.force_not_null != CopyColumns::None || options.force_null != CopyColumns::None;
        if self.copy.named
            || forces
            || options.header != CopyHeader::Present
            || options.format == CopyFormat::Binary
        {
            return Ok((reader, None));
        }
        let mut head = Vec::new();
        let limit = u64::try_from(READ_BYTES).unwrap_or(u64::MAX);
        (&mut reader).take(limit).read_to_end(&mut head).map_err(|error| disk_error(&error))?;
        let (mut first, mut columns) = (true, None);
        let mut take = |record: &Record| {
            if std::mem::take(&mut first) {
                columns = columns_of(record, target);
            }
            Ok(())
        };
        let without = CopyOptions { header: CopyHeader::None, ..options.clone() };
        // What is wrong with the input is found when it is read; this is but a look at its first line.
        let end = memchr::memchr2(b'\n', b'\r', &head).map_or(head.len(), |end| end + 1);
        let mut source = Source::new(&without);
        let _ = source.feed(&head[..end], &mut take).and_then(|()| source.finish(&mut take));
        Ok((Box::new(std::io::Cursor::new(head).chain(reader)), columns))
    }

    /// Cuts the input into records and hands each to `take`, whose errors are faults of that record, and which says
    /// whether the record is one of the COPY's rows. The records have the given columns or, if the first one has as
    /// many, the `wide` ones.
    fn read_records(
        &mut self,
        mut reader: Box<dyn Read + Send>,
        table: &str,
        (mut columns, wide): (&[&'static str], &[&'static str]),
        entry: &Entry,
        take: &mut dyn FnMut(&mut Self, &Record) -> Result<bool>,
    ) -> Result<u64> {
        let options = self.copy.options.clone();
        let mut source = Source::new(&options);
        let mut rows = 0;
        let mut header = options.header == CopyHeader::Match;
        let mut first = true;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.cancel.check()?;
            let read = reader.read(&mut buffer).map_err(|error| disk_error(&error))?;
            let mut each = |record: &Record| {
                if std::mem::take(&mut first) && record.len() == wide.len() {
                    columns = wide;
                }
                if std::mem::take(&mut header) {
                    return check_header(record, columns)
                        .map_err(|error| located(error, table, record.line));
                }
                match check_count(record, columns).and_then(|()| take(self, record)) {
                    Ok(taken) => rows += u64::from(taken),
                    Err(error) if error.state == SqlState::QUERY_CANCELED => return Err(error),
                    Err(error) => self.output.fault(located(error, table, record.line)),
                }
                Ok(())
            };
            let result = if read == 0 {
                source.finish(&mut each)
            } else {
                source.feed(&buffer[..read], &mut each)
            };
            // Where records cannot be told apart any more, reading ends.
            result.map_err(|error| located(error, table, source.line()))?;
            entry.rows(rows);
            if read == 0 {
                return Ok(rows);
            }
        }
    }

    /// Takes the commands of a record.
    pub(super) fn send(
        &mut self,
        line: u64,
        requests: impl IntoIterator<Item = Request<Schedule>>,
    ) -> Result<()> {
        self.output.send(line, requests)
    }

    /// Keeps a fault of a record.
    pub(super) fn fault(&mut self, error: SqlError, table: &str, line: u64) {
        self.output.fault(located(error, table, line));
    }

    /// Reads a field as a value of a type.
    pub(super) fn value(&self, record: &Record, at: usize, ty: PgType) -> Result<Datum> {
        if self.copy.options.format == CopyFormat::Binary {
            return record.field(at).map_or(Ok(Datum::Null), |bytes| binary::read(ty, bytes));
        }
        record.text(at)?.map_or(Ok(Datum::Null), |value| self.parse(ty, value))
    }

    /// Reads a text as a value of a type.
    pub(super) fn parse(&self, ty: PgType, value: &str) -> Result<Datum> {
        text::read(ty, value, &text::ReadContext { settings: &self.settings, now: self.now })
    }

    /// Whether the statement's condition, if it has one, is true of a row without what is to be made up for it.
    pub(super) fn wants(&self, row: &[Option<Datum>]) -> Result<bool> {
        let Some((predicate, defaults)) = &self.filter else { return Ok(true) };
        let whole: Vec<Datum> = row
            .iter()
            .zip(defaults)
            .map(|(value, default)| value.clone().unwrap_or_else(|| default.clone()))
            .collect();
        let mut held = Vec::with_capacity(1);
        predicate.evaluate(&whole, &mut held)?;
        Ok(matches!(held.first(), Some(Datum::Bool(true))))
    }

    /// A new id of version 7.
    pub(super) fn new_id(&self) -> uuid::Uuid {
        self.random.uuid_v7(self.clock.now_microseconds())
    }
}

/// The parameters of the text formats.
fn text_format(options: &CopyOptions) -> Format {
    Format {
        csv: options.format == CopyFormat::Csv,
        delimiter: options.delimiter,
        null: options.null.clone(),
        quote: options.quote,
        escape: options.escape,
        header: options.header == CopyHeader::Present,
    }
}

/// The records of any format.
enum Source {
    Text(Box<Records>),
    Binary(BinaryRecords),
}

impl Source {
    fn new(options: &CopyOptions) -> Self {
        if options.format == CopyFormat::Binary {
            return Self::Binary(BinaryRecords::default());
        }
        Self::Text(Box::new(Records::new(text_format(options))))
    }

    fn feed(&mut self, bytes: &[u8], take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        match self {
            Self::Text(records) => records.feed(bytes, take),
            Self::Binary(records) => records.feed(bytes, take),
        }
    }

    fn finish(&mut self, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        match self {
            Self::Text(records) => records.finish(take),
            Self::Binary(records) => records.finish(),
        }
    }

    fn line(&self) -> u64 {
        match self {
            Self::Text(records) => records.line(),
            Self::Binary(records) => records.number(),
        }
    }
}

/// `COPY legs, line 3`, in front of what a column may have added.
fn located(mut error: SqlError, table: &str, line: u64) -> SqlError {
    if error.context.as_ref().is_some_and(|context| context.starts_with("COPY")) {
        return error;
    }
    let column =
        error.column.as_ref().map(|column| format!(", column {column}")).unwrap_or_default();
    error.context = Some(format!("COPY {table}, line {line}{column}"));
    error
}

fn check_count(record: &Record, columns: &[&'static str]) -> Result<()> {
    if record.len() > columns.len() {
        return Err(SqlError::new(
            SqlState::BAD_COPY_FILE_FORMAT,
            "extra data after last expected column",
        ));
    }
    match columns.get(record.len()) {
        Some(missing) => Err(SqlError::new(
            SqlState::BAD_COPY_FILE_FORMAT,
            format!("missing data for column \"{missing}\""),
        )),
        None => Ok(()),
    }
}

fn check_header(record: &Record, columns: &[&'static str]) -> Result<()> {
    if record.len() != columns.len() {
        let (got, expected) = (record.len(), columns.len());
        let message =
            format!("wrong number of fields in header line: got {got}, expected {expected}");
        return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message));
    }
    for (at, column) in columns.iter().enumerate() {
        let found = record.text(at)?;
        if found != Some(column) {
            let found = found.unwrap_or_default();
            let message = format!(
                "column name mismatch in header line field {}: got \"{found}\", expected \"{column}\"",
                at + 1
            );
            return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message));
        }
    }
    Ok(())
}
