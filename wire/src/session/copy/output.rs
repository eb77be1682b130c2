//! COPY TO STDOUT: rows in PostgreSQL's text, csv and binary formats.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::exec::{Batch, Settings};
use rotabase_queries::plan::OutputColumn;
use rotabase_queries::sql::{
    self, CopyColumns, CopyEncoding, CopyFormat, CopyHeader, CopyOptions, CopyTo, Followed,
};
use rotabase_queries::types::{Datum, binary, text};

use super::binary::SIGNATURE;
use super::encoding::write_latin1;
use super::progress::Entry;
use crate::session::api::{CopyOut, CopyRows, CopySource, CopyStep, Execution, Rows, RowsTag};
use crate::session::bound::BoundStatement;
use crate::session::client::Session;
use crate::session::query::Stream;
use crate::session::running;

impl Session {
    /// COPY TO STDOUT.
    pub(crate) async fn copy_to(
        &mut self,
        copy: &CopyTo,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
    ) -> Result<Execution> {
        let pid = self.settings.shared().backend_pid;
        match &copy.source {
            sql::CopySource::Ssim => return self.copy_ssim_out(statement).await,
            sql::CopySource::Subscribe(subscribe) => {
                return match &subscribe.followed {
                    Followed::Events(events) => {
                        self.copy_subscription(copy, subscribe, events, statement).await
                    }
                    Followed::Entries => self.copy_entries(copy, subscribe, statement),
                };
            }
            sql::CopySource::Plan(_) => {}
        }
        let rows = bound.rows()?;
        self.check_reads(&rows.relations)?;
        let context = self.reading(&rows.instants, &statement, Vec::new()).await?;
        let columns = Arc::clone(&rows.plan.columns);
        let permits = Arc::clone(&self.database.shared().queries);
        let stream = Stream::open(rows, context, statement, permits).await?;
        let rows = stream.into_rows(Arc::clone(&columns), RowsTag::Counted("COPY"));
        let encoder =
            Encoder::new(copy.options.clone(), Arc::clone(&columns), self.settings.shared());
        let entry = self.database.shared().copies.begin(pid, "", "COPY TO");
        let (binary, columns) = (copy.options.format == CopyFormat::Binary, columns.len());
        let source = EncodedRows { rows, encoder, entry, count: 0, state: State::Header };
        Ok(Execution::CopyOut(CopyOut { binary, columns, source: Box::new(source) }))
    }
}

/// Rows on their way out.
struct EncodedRows {
    rows: Rows,
    encoder: Encoder,
    entry: Arc<Entry>,
    count: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Trailer,
}

impl EncodedRows {
    async fn step(&mut self) -> Result<CopyStep> {
        let mut out = CopyRows::default();
        if self.state == State::Header {
            self.encoder.header(&mut out);
            self.state = State::Rows;
        }
        if self.state == State::Rows {
            match self.rows.next_batch().await? {
                Some(batch) => {
                    self.count += u64::try_from(batch.rows).unwrap_or(u64::MAX);
                    self.encoder.rows(&batch, &mut out)?;
                    self.entry.rows(self.count);
                }
                None => {
                    self.encoder.trailer(&mut out);
                    self.state = State::Trailer;
                }
            }
            return Ok(CopyStep::Rows(out));
        }
        Ok(CopyStep::Done(format!("COPY {}", self.count)))
    }
}

impl CopySource for EncodedRows {
    fn next(&mut self) -> BoxFuture<'_, Result<CopyStep>> {
        self.step().boxed()
    }
}

/// Writes rows in one of the formats.
pub(super) struct Encoder {
    options: CopyOptions,
    columns: Arc<[OutputColumn]>,
    settings: Arc<Settings>,
    /// One field, before it is escaped.
    field: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(
        options: CopyOptions,
        columns: Arc<[OutputColumn]>,
        settings: Arc<Settings>,
    ) -> Self {
        Self { options, columns, settings, field: Vec::new() }
    }

    pub(super) fn header(&mut self, out: &mut CopyRows) {
        if self.options.format == CopyFormat::Binary {
            // No row of its own: PostgreSQL sends it in front of the first, in one message.
            out.bytes.extend_from_slice(SIGNATURE);
            out.bytes.extend_from_slice(&[0; 8]);
            return;
        }
        if self.options.header == CopyHeader::None {
            return;
        }
        for (at, column) in Arc::clone(&self.columns).iter().enumerate() {
            self.separate(at, out);
            self.field.clear();
            self.field.extend_from_slice(column.name.as_bytes());
            self.escaped(false, out);
        }
        out.bytes.push(b'\n');
        out.ends.push(out.bytes.len());
    }

    pub(super) fn rows(&mut self, batch: &Batch, out: &mut CopyRows) -> Result<()> {
        for row in batch.iter() {
            match self.options.format {
                CopyFormat::Binary => self.binary_row(row, out)?,
                CopyFormat::Text | CopyFormat::Csv => self.text_row(row, out)?,
            }
            out.ends.push(out.bytes.len());
        }
        Ok(())
    }

    fn trailer(&mut self, out: &mut CopyRows) {
        if self.options.format == CopyFormat::Binary {
            out.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
            out.ends.push(out.bytes.len());
        }
    }

    fn binary_row(&mut self, row: &[Datum], out: &mut CopyRows) -> Result<()> {
        let count = i16::try_from(row.len())
            .map_err(|_| SqlError::internal("too many columns for COPY"))?;
        out.bytes.extend_from_slice(&count.to_be_bytes());
        for (value, column) in row.iter().zip(self.columns.iter()) {
            if value.is_null() {
                out.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
                continue;
            }
            self.field.clear();
            binary::write(value, column.ty, &mut self.field);
            let length = i32::try_from(self.field.len())
                .map_err(|_| SqlError::internal("a value is too long for COPY"))?;
            out.bytes.extend_from_slice(&length.to_be_bytes());
            out.bytes.extend_from_slice(&self.field);
        }
        Ok(())
    }

    fn text_row(&mut self, row: &[Datum], out: &mut CopyRows) -> Result<()> {
        let start = out.bytes.len();
        let columns = Arc::clone(&self.columns);
        for (at, (value, column)) in row.iter().zip(columns.iter()).enumerate() {
            self.separate(at, out);
            if value.is_null() {
                out.bytes.extend_from_slice(self.options.null.as_bytes());
                continue;
            }
            self.field.clear();
            text::write(value, column.ty, &self.settings, &mut self.field);
            self.escaped(self.force_quote(at), out);
        }
        out.bytes.push(b'\n');
        if self.options.encoding == CopyEncoding::Latin1 {
            let utf8 = out.bytes.split_off(start);
            write_latin1(&utf8, &mut out.bytes)?;
        }
        Ok(())
    }

    fn force_quote(&self, at: usize) -> bool {
        match &self.options.force_quote {
            CopyColumns::None => false,
            CopyColumns::All => true,
            CopyColumns::Some(columns) => columns.contains(&at),
        }
    }

    fn separate(&self, at: usize, out: &mut CopyRows) {
        if at > 0 {
            out.bytes.push(self.options.delimiter);
        }
    }

    /// Appends the field, escaped as the format asks.
    fn escaped(&self, force_quote: bool, out: &mut CopyRows) {
        if self.options.format == CopyFormat::Csv {
            return self.quoted(force_quote, &mut out.bytes);
        }
        for byte in &self.field {
            let escape = match byte {
                b'\\' => b'\\',
                8 => b'b',
                12 => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                11 => b'v',
                byte if *byte == self.options.delimiter => *byte,
                byte => {
                    out.bytes.push(*byte);
                    continue;
                }
            };
            out.bytes.extend_from_slice(&[b'\\', escape]);
        }
    }

    fn quoted(&self, force: bool, out: &mut Vec<u8>) {
        let options = &self.options;
        let special = |byte: &u8| {
            *byte == options.delimiter || *byte == options.quote || *byte == b'\n' || *byte == b'\r'
        };
        let alone = self.columns.len() == 1 && self.field == b"\\.";
        if !force
            && !alone
            && self.field != options.null.as_bytes()
            && !self.field.iter().any(special)
        {
            out.extend_from_slice(&self.field);
            return;
        }
        out.push(options.quote);
        for byte in &self.field {
            if *byte == options.quote || *byte == options.escape {
                out.push(options.escape);
            }
            out.push(*byte);
        }
        out.push(options.quote);
    }
}
