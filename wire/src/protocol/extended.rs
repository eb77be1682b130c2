//! The extended protocol: Parse, Bind, Describe, Execute and Close.

use std::pin::pin;
use std::sync::Arc;

use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::types::text::ReadContext;
use rotabase_queries::types::{Datum, PgType};

use super::connection::{Connection, send_rows};
use super::failure::Outcome;
use super::input::{Body, Frame};
use super::portal::{Portal, PortalState, RowCursor};
use super::values::{Formats, read_parameter};
use crate::session::{ExecuteOptions, Execution, Prepared, RowsTag, SessionApi};

impl<S: SessionApi> Connection<S> {
    /// Parse.
    pub(crate) async fn parse(&mut self, frame: &Frame) -> Outcome<()> {
        let mut body = Body::new(self.link.input.slice(&frame.body));
        let name = body.text()?.to_owned();
        let text = body.text()?.to_owned();
        let count = body.count()?;
        let mut oids = Vec::with_capacity(count.min(body.left() / 4));
        for _ in 0..count {
            oids.push(body.oid()?);
        }
        body.end()?;
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.session.statements().check_free(&name)?;
        }
        let prepared = self.link.drive(pin!(self.session.prepare(&text, &oids))).await?;
        if name.is_empty() {
            self.unnamed = Some(prepared);
        } else {
            self.session.statements().insert(&name, prepared)?;
        }
        self.notices();
        self.link.output.parse_complete();
        Ok(())
    }

    /// Bind.
    pub(crate) fn bind(&mut self, frame: &Frame) -> Outcome<()> {
        let mut body = Body::new(self.link.input.slice(&frame.body));
        let portal = body.text()?;
        let statement = body.text()?;
        let prepared = find(self.unnamed.as_ref(), &mut self.session, statement)?;
        if self.session.transaction_status() == b'E' && !ends_failed_transaction(prepared.command) {
            return Err(aborted().into());
        }
        let settings = self.session.settings();
        // The clock is looked at only if a parameter may be written as `now` or `today`.
        let timeless = prepared.parameters.iter().all(|ty| is_timeless(*ty));
        let now = if timeless { 0 } else { self.session.transaction_time() };
        let context = ReadContext { settings: &settings, now };
        let names = BindNames { portal, statement };
        let (parameters, formats) = read_bind(body, names, &prepared, &context)?;
        self.portals.check_free(portal)?;
        self.portals
            .insert(portal, Portal { prepared, parameters, formats, state: PortalState::Ready });
        self.link.output.bind_complete();
        Ok(())
    }

    /// Describe of a statement or of a portal.
    pub(crate) fn describe(&mut self, frame: &Frame) -> Outcome<()> {
        let mut body = Body::new(self.link.input.slice(&frame.body));
        let kind = body.byte()?;
        let name = body.text()?;
        body.end()?;
        let aborted_now = self.session.transaction_status() == b'E';
        let output = &mut self.link.output;
        match kind {
            b'S' => {
                let prepared = find(self.unnamed.as_ref(), &mut self.session, name)?;
                if aborted_now && prepared.columns.is_some() {
                    return Err(aborted().into());
                }
                output.parameter_description(prepared.parameters.iter().map(|ty| ty.oid()));
                match &prepared.columns {
                    Some(columns) => {
                        output.row_description_of_text(columns, &prepared.described);
                    }
                    None => output.no_data(),
                }
            }
            b'P' => match self.portals.get(name) {
                Ok(portal) => match &portal.prepared.columns {
                    Some(_) if aborted_now => return Err(aborted().into()),
                    Some(columns) if portal.formats == Formats::Text => {
                        output.row_description_of_text(columns, &portal.prepared.described);
                    }
                    Some(columns) => {
                        output.row_description(columns, |place| portal.formats.code(place));
                    }
                    None => output.no_data(),
                },
                Err(missing) => match self.session.cursor_columns(name) {
                    Some(columns) => output.row_description(&columns, |_| 0),
                    None => return Err(missing.into()),
                },
            },
            _ => return Err(bad_subtype("DESCRIBE", kind).into()),
        }
        Ok(())
    }

    /// Close of a statement or of a portal; what is not there is closed already.
    pub(crate) fn close(&mut self, frame: &Frame) -> Outcome<()> {
        let mut body = Body::new(self.link.input.slice(&frame.body));
        let kind = body.byte()?;
        let name = body.text()?;
        body.end()?;
        match kind {
            b'S' if name.is_empty() => self.unnamed = None,
            b'S' => {
                self.session.statements().remove(name);
            }
            b'P' => {
                if !self.portals.remove(name) && !name.is_empty() {
                    self.session.close_cursor(name);
                }
            }
            _ => return Err(bad_subtype("CLOSE", kind).into()),
        }
        self.link.output.close_complete();
        Ok(())
    }

    /// Execute: starts a portal, or reads on in one.
    pub(crate) async fn execute(&mut self, frame: &Frame) -> Outcome<()> {
        let mut body = Body::new(self.link.input.slice(&frame.body));
        let name = body.text()?;
        let limit = u64::try_from(body.int32()?).unwrap_or(0);
        body.end()?;
        let portal = self.portals.get(name)?;
        let state = std::mem::replace(&mut portal.state, PortalState::Spent);
        match state {
            PortalState::Ready => {
                let name = name.to_owned();
                self.start(&name, limit).await
            }
            PortalState::Rows(cursor) => {
                let name = name.to_owned();
                self.read_portal(&name, cursor, limit).await
            }
            PortalState::Exhausted(tag) => {
                portal.state = PortalState::Exhausted(tag.clone());
                self.complete_rows(&tag, 0);
                Ok(())
            }
            PortalState::Spent => {
                let message = format!("portal \"{name}\" cannot be run");
                Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).into())
            }
        }
    }

    /// Executes a portal for the first time.
    async fn start(&mut self, name: &str, limit: u64) -> Outcome<()> {
        let status = self.session.transaction_status();
        let options = ExecuteOptions {
            row_limit: usize::try_from(limit).unwrap_or(usize::MAX),
            ends_transaction: self.link.input.peek_letter() == Some(b'S'),
        };
        let portal = self.portals.get(name)?;
        self.metrics.statement(portal.prepared.command);
        let parameters = std::mem::take(&mut portal.parameters);
        if options.ends_transaction && name.is_empty() {
            let prepared = Arc::clone(&portal.prepared);
            let further = self.further_runs(&prepared);
            if !further.is_empty() {
                return self.run_series(&prepared, parameters, further).await;
            }
        }
        let portal = self.portals.get(name)?;
        let execute = self.session.execute(&portal.prepared, parameters, options);
        let execution = self.link.drive(pin!(execute)).await?;
        match execution {
            Execution::Rows(rows) => self.read_portal(name, RowCursor::new(rows), limit).await?,
            Execution::Done(tag) => self.complete(&tag),
            Execution::CopyIn(format) => self.copy_in(format, None).await?,
            Execution::CopyOut(copy) => self.copy_out(copy).await?,
            Execution::Empty => {
                portal.state = PortalState::Ready;
                self.link.output.empty_query();
            }
        }
        if status != b'I' && self.session.transaction_status() == b'I' {
            // COMMIT or ROLLBACK: portals end with their transaction.
            self.portals.clear();
        }
        Ok(())
    }

    /// Sends the next rows of a portal.
    async fn read_portal(&mut self, name: &str, mut cursor: RowCursor, limit: u64) -> Outcome<()> {
        let formats = std::mem::take(&mut self.portals.get(name)?.formats);
        let settings = self.session.settings();
        let result = send_rows(&mut self.link, &settings, &mut cursor, &formats, limit).await;
        let portal = self.portals.get(name)?;
        portal.formats = formats;
        let (sent, ended) = result?;
        self.metrics.rows_sent.add(usize::try_from(sent).unwrap_or(usize::MAX));
        if ended {
            let tag = cursor.rows.tag;
            portal.state = match &tag {
                RowsTag::Counted(word) => PortalState::Exhausted(RowsTag::Counted(word)),
                RowsTag::Fixed(_) => PortalState::Exhausted(tag.clone()),
            };
            self.complete_rows(&tag, sent);
        } else {
            portal.state = PortalState::Rows(cursor);
            self.notices();
            self.link.output.portal_suspended();
        }
        Ok(())
    }
}

/// The statement called `name`, the unnamed one for an empty name.
pub(super) fn find<S: SessionApi>(
    unnamed: Option<&Arc<Prepared<S::Statement>>>,
    session: &mut S,
    name: &str,
) -> Result<Arc<Prepared<S::Statement>>> {
    if !name.is_empty() {
        return session.statements().get(name).cloned();
    }
    unnamed.cloned().ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_SQL_STATEMENT_NAME,
            "unnamed prepared statement does not exist",
        )
    })
}

/// Reads what follows the two names in a Bind message.
pub(super) fn read_bind<S>(
    mut body: Body<'_>,
    names: BindNames<'_>,
    prepared: &Prepared<S>,
    context: &ReadContext<'_>,
) -> Result<(Vec<Datum>, Formats)> {
    let parameter_formats = read_formats(&mut body)?;
    let count = body.count()?;
    let violation = |message| SqlError::new(SqlState::PROTOCOL_VIOLATION, message);
    let formats_given = parameter_formats.given;
    if formats_given > 1 && formats_given != count {
        return Err(violation(format!(
            "bind message has {formats_given} parameter formats but {count} parameters"
        )));
    }
    let required = prepared.parameters.len();
    if count != required {
        let statement = names.statement;
        let message = format!(
            "bind message supplies {count} parameters, but prepared statement \"{statement}\" requires {required}"
        );
        return Err(violation(message));
    }
    let mut parameters = Vec::with_capacity(required);
    for (place, ty) in prepared.parameters.iter().enumerate() {
        let value = match usize::try_from(body.int32()?) {
            Ok(length) => {
                let is_binary = parameter_formats.formats.is_binary(place);
                body.take(length)
                    .and_then(|bytes| read_parameter(*ty, is_binary, bytes, context))
                    .map_err(|error| at_parameter(error, names.portal, place, is_binary))?
            }
            Err(_) => Datum::Null,
        };
        parameters.push(value);
    }
    let results = read_formats(&mut body)?;
    body.end()?;
    let columns = prepared.columns.as_ref().map_or(0, |columns| columns.len());
    let given = results.given;
    if given > 1 && given != columns {
        return Err(violation(format!(
            "bind message has {given} result formats but query has {columns} columns"
        )));
    }
    Ok((parameters, results.formats))
}

/// The names in a Bind message, for errors.
#[derive(Clone, Copy)]
pub(super) struct BindNames<'a> {
    pub(super) portal: &'a str,
    pub(super) statement: &'a str,
}

struct GivenFormats {
    /// How many codes there were: none is all text, one is for all.
    given: usize,
    formats: Formats,
}

fn read_formats(body: &mut Body<'_>) -> Result<GivenFormats> {
    let given = body.count()?;
    let is_binary = |code: i16| match code {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unsupported format code: {code}"),
        )),
    };
    let formats = match given {
        0 => Formats::Text,
        1 => {
            if is_binary(body.int16()?)? {
                Formats::Binary
            } else {
                Formats::Text
            }
        }
        _ => {
            let codes = body.take(given * 2)?;
            if codes.chunks_exact(2).all(|code| code == [0, 1]) {
                Formats::Binary
            } else if codes.iter().all(|byte| *byte == 0) {
                Formats::Text
            } else {
                let each = codes
                    .chunks_exact(2)
                    .map(|code| is_binary(i16::from_be_bytes([code[0], code[1]])));
                Formats::Mixed(each.collect::<Result<_>>()?)
            }
        }
    };
    Ok(GivenFormats { given, formats })
}

/// Says which parameter an error is about, unless the error says more already.
fn at_parameter(mut error: SqlError, portal: &str, place: usize, is_binary: bool) -> SqlError {
    let number = place + 1;
    // PostgreSQL hints at the text of a parameter, without showing it, once it is text at all.
    let is_text = !is_binary && error.state != SqlState::CHARACTER_NOT_IN_REPERTOIRE;
    let value =
        if is_text && error.state != SqlState::PROTOCOL_VIOLATION { " = '...'" } else { "" };
    error.context.get_or_insert_with(|| match portal {
        "" => format!("unnamed portal parameter ${number}{value}"),
        _ => format!("portal \"{portal}\" parameter ${number}{value}"),
    });
    error
}

/// Whether no text of the type means another value at another time.
pub(super) fn is_timeless(ty: PgType) -> bool {
    use PgType::{Bool, Float8, Int2, Int4, Int8, Numeric, Text, Uuid, Varchar};
    matches!(ty, Bool | Float8 | Int2 | Int4 | Int8 | Numeric | Text | Uuid | Varchar)
}

fn ends_failed_transaction(command: &str) -> bool {
    matches!(command, "COMMIT" | "ROLLBACK" | "")
}

fn aborted() -> SqlError {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    SqlError::new(SqlState::IN_FAILED_SQL_TRANSACTION, message)
}

fn bad_subtype(message: &str, kind: u8) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, format!("invalid {message} message subtype {kind}"))
}
