//! COPY input, read from its spool on a thread of its own: records become commands.
//!
//! The first fault does not end the reading: the first [`super::BAD_RECORDS_SHOWN`] bad records are named, so
//! that a file is mended in one go. From the first fault on no more commands are handed over.

use std::io::Read;
use std::sync::Arc;

use rotabase_engine::env::{Clock, Random};
use rotabase_engine::schedule::Schedule;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Cancel, Settings};
use rotabase_queries::projection::Snapshot;
use rotabase_queries::sql::command::{self, Target};
use rotabase_queries::sql::{
    AIRPLANE_ROTATIONS_COLUMNS, CopyColumns, CopyFormat, CopyFrom, CopyHeader, CopyOptions,
    CopyTarget, LEG_ROTATIONS_COLUMNS,
};
use rotabase_queries::types::{Datum, PgType, binary, text};
use rotabase_raft::Request;
use tokio::sync::mpsc;

use super::binary::BinaryRecords;
use super::progress::Entry;
use super::record::{Format, Record, Records};
use super::rotations::{AirplaneRotations, LegRotations};
use super::spool::disk_error;
use super::{BAD_RECORDS_SHOWN, CHUNK_COMMANDS, Chunk};
use crate::session::client::Session;

const READ_BYTES: usize = 256 << 10;

/// The bytes of a COPY, from their beginning.
type Input = Box<dyn Read + Send>;

/// Reads a COPY's input.
pub(crate) struct Converter {
    copy: CopyFrom,
    output: Output,
    settings: Arc<Settings>,
    now: i64,
    pub(super) snapshot: Snapshot,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
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
        session: &Session,
        copy: &CopyFrom,
        chunks: mpsc::Sender<Chunk>,
        cancel: Cancel,
    ) -> Self {
        let shared = session.database.shared();
        Self {
            copy: copy.clone(),
            output: Output { chunks, chunk: Chunk::default(), faults: Vec::new(), more_faults: 0 },
            settings: session.settings.shared(),
            now: session.now(),
            snapshot: shared.projections.snapshot(),
            clock: Arc::clone(&shared.config.clock),
            random: Arc::clone(&shared.config.random),
            cancel,
        }
    }

    /// Reads all of it; the number of rows.
    pub(crate) fn run(mut self, reader: Box<dyn Read + Send>, entry: &Entry) -> Result<u64> {
        let target = self.copy.target.clone();
        let rows = match target {
            CopyTarget::Ssim => {
                super::ssim::read(reader, &self.snapshot, &mut self.output, entry, &self.cancel)?
            }
            CopyTarget::Table { table, columns } => {
                let name = table.schema().name;
                let target = Target::of_table(name)
                    .ok_or_else(|| SqlError::internal("a table that takes commands"))?;
                let (reader, header) = self.header_columns(reader, target)?;
                let columns = header.unwrap_or(columns);
                let names: Vec<&'static str> =
                    columns.iter().map(|column| target.columns()[*column]).collect();
                let types: Vec<PgType> =
                    columns.iter().map(|column| table.schema().columns[*column].ty).collect();
                let mut rows = TableRows::new(target, columns, types, &self)?;
                self.read_records(reader, name, &names, entry, &mut |this, record| {
                    rows.row(this, record)
                })?
            }
            CopyTarget::LegRotations(columns) => {
                let names: Vec<&'static str> =
                    columns.iter().map(|column| LEG_ROTATIONS_COLUMNS[*column]).collect();
                let mut rotations = LegRotations::new(columns);

                self.read_records(reader, "leg_rotations", &names, entry, &mut |this, record| {
                    rotations.row(this, record)
                })?
            }
            CopyTarget::AirplaneRotations(columns) => {
                let names: Vec<&'static str> =
                    columns.iter().map(|column| AIRPLANE_ROTATIONS_COLUMNS[*column]).collect();
                let mut rotations = AirplaneRotations::new(columns);
                self.read_records(
                    reader,
                    "airplane_rotations",
                    &names,
                    entry,
                    &mut |this, record| rotations.row(this, record),
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

    /// Cuts the input into records and hands each to `take`, whose errors are faults of that record.
    fn read_records(
        &mut self,
        mut reader: Box<dyn Read + Send>,
        table: &str,
        columns: &[&'static str],
        entry: &Entry,
        take: &mut dyn FnMut(&mut Self, &Record) -> Result<()>,
    ) -> Result<u64> {
        let options = self.copy.options.clone();
        let mut source = Source::new(&options);
        let mut rows = 0;
        let mut header = options.header == CopyHeader::Match;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.cancel.check()?;
            let read = reader.read(&mut buffer).map_err(|error| disk_error(&error))?;
            let mut each = |record: &Record| {
                if std::mem::take(&mut header) {
                    return check_header(record, columns);
                }
                rows += 1;
                let checked = check_count(record, columns).and_then(|()| take(self, record));
                if let Err(error) = checked {
                    let fatal = error.state == SqlState::QUERY_CANCELED;
                    if fatal {
                        return Err(error);
                    }
                    self.output.fault(located(error, table, record.line));
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

    /// Reads a field as a value of a type.
    pub(super) fn value(&self, record: &Record, at: usize, ty: PgType) -> Result<Datum> {
        if self.copy.options.format == CopyFormat::Binary {
            return record.field(at).map_or(Ok(Datum::Null), |bytes| binary::read(ty, bytes));
        }
        record.text(at)?.map_or(Ok(Datum::Null), |value| self.parse(ty, value))
    }

    /// Reads a text as a value of a type.
    fn parse(&self, ty: PgType, value: &str) -> Result<Datum> {
        text::read(ty, value, &text::ReadContext { settings: &self.settings, now: self.now })
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
    check_count(record, columns)?;
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

/// The columns that a header names; none unless each field is the name of another column that takes values.
fn columns_of(header: &Record, target: Target) -> Option<Vec<usize>> {
    let mut columns = Vec::with_capacity(header.len());
    for at in 0..header.len() {
        let name = header.text(at).ok()??;
        let column = target.columns().iter().position(|column| *column == name)?;
        if !target.insertable(column) || columns.contains(&column) {
            return None;
        }
        columns.push(column);
    }
    Some(columns)
}

/// Rows of a table that takes commands.
struct TableRows {
    target: Target,
    columns: Vec<usize>,
    types: Vec<PgType>,
    force_not_null: Vec<bool>,
    force_null: Vec<bool>,
}

impl TableRows {
    fn new(
        target: Target,
        columns: Vec<usize>,
        types: Vec<PgType>,
        converter: &Converter,
    ) -> Result<Self> {
        for column in &columns {
            if !target.insertable(*column) {
                let name = target.columns()[*column];
                let message = format!("column \"{name}\" is maintained by the database");
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                    .with_hint("Name the columns that the input has."));
            }
        }
        let options = &converter.copy.options;
        let flags =
            |which: &CopyColumns| (0..columns.len()).map(|place| forced(which, place)).collect();
        Ok(Self {
            force_not_null: flags(&options.force_not_null),
            force_null: flags(&options.force_null),
            target,
            columns,
            types,
        })
    }

    fn row(&mut self, converter: &mut Converter, record: &Record) -> Result<()> {
        let mut row = vec![None; self.target.columns().len()];
        for (at, (column, ty)) in self.columns.iter().zip(&self.types).enumerate() {
            let value = self.field(converter, record, at, *ty).map_err(|mut error| {
                error.column = Some(self.target.columns()[*column].to_owned());
                error
            })?;
            row[*column] = Some(value);
        }
        let change = command::insert(self.target, &row, &mut || converter.new_id())?;
        if let (Target::Legs, Some(Some(Datum::Uuid(id)))) = (self.target, row.first()) {
            refuse_known_leg(converter, *id)?;
        }
        let requests = change.requests.into_iter().map(|it| Request::new(it.id, it.command));
        converter.send(record.line, requests)
    }

    fn field(
        &self,
        converter: &Converter,
        record: &Record,
        at: usize,
        ty: PgType,
    ) -> Result<Datum> {
        let null = converter.copy.options.null.as_str();
        if self.force_not_null[at] && record.field(at).is_none() {
            return converter.parse(ty, null);
        }
        if self.force_null[at] && record.field(at) == Some(null.as_bytes()) {
            return Ok(Datum::Null);
        }
        converter.value(record, at, ty)
    }
}

fn forced(columns: &CopyColumns, column: usize) -> bool {
    match columns {
        CopyColumns::None => false,
        CopyColumns::All => true,
        CopyColumns::Some(columns) => columns.contains(&column),
    }
}

/// A leg's id has to be unique over all aggregates, which no aggregate can see.
fn refuse_known_leg(converter: &Converter, id: uuid::Uuid) -> Result<()> {
    let id = rotabase_engine::schedule::LegId(id);
    match converter.snapshot.leg(id)? {
        Some(_) => {
            Err(crate::sqlstate::refused(&rotabase_engine::schedule::Refusal::LegExists(id)))
        }
        None => Ok(()),
    }
}
