//! Messages to the client, written one after the other into one buffer.

use std::sync::OnceLock;

use rotabase_queries::error::SqlError;
use rotabase_queries::plan::OutputColumn;

use super::values::type_length;
use crate::session::{Notification, Severity};

/// What is on its way to the client.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
}

impl Output {
    /// Everything written so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets everything, and the memory too if it is much.
    pub(crate) fn clear(&mut self, bytes_kept: usize) {
        if self.bytes.capacity() > bytes_kept {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
    }

    /// Writes a message: its letter, its length, its body.
    pub(crate) fn message(&mut self, letter: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(letter);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        body(&mut self.bytes);
        self.patch_length(start);
    }

    /// Writes a message whose body may fail; then nothing of it is left.
    pub(crate) fn try_message<E>(
        &mut self,
        letter: u8,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.push(letter);
        self.bytes.extend_from_slice(&[0; 4]);
        if let Err(error) = body(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.patch_length(start + 1);
        Ok(())
    }

    fn patch_length(&mut self, start: usize) {
        let length =
            i32::try_from(self.bytes.len() - start).expect("rows are checked, all else is small");
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// ParseComplete.
    pub(crate) fn parse_complete(&mut self) {
        self.bytes.extend_from_slice(&[b'1', 0, 0, 0, 4]);
    }

    /// BindComplete.
    pub(crate) fn bind_complete(&mut self) {
        self.bytes.extend_from_slice(&[b'2', 0, 0, 0, 4]);
    }

    /// CloseComplete.
    pub(crate) fn close_complete(&mut self) {
        self.bytes.extend_from_slice(&[b'3', 0, 0, 0, 4]);
    }

    /// NoData.
    pub(crate) fn no_data(&mut self) {
        self.bytes.extend_from_slice(&[b'n', 0, 0, 0, 4]);
    }

    /// PortalSuspended.
    pub(crate) fn portal_suspended(&mut self) {
        self.bytes.extend_from_slice(&[b's', 0, 0, 0, 4]);
    }

    /// EmptyQueryResponse.
    pub(crate) fn empty_query(&mut self) {
        self.bytes.extend_from_slice(&[b'I', 0, 0, 0, 4]);
    }

    /// CopyDone.
    pub(crate) fn copy_done(&mut self) {
        self.bytes.extend_from_slice(&[b'c', 0, 0, 0, 4]);
    }

    /// ReadyForQuery.
    pub(crate) fn ready(&mut self, status: u8) {
        self.bytes.extend_from_slice(&[b'Z', 0, 0, 0, 5, status]);
    }

    /// CommandComplete.
    pub(crate) fn command_complete(&mut self, tag: &str) {
        self.message(b'C', |body| put_text(body, tag));
    }

    /// CommandComplete of `word` and a number.
    pub(crate) fn command_complete_counted(&mut self, word: &str, rows: u64) {
        self.message(b'C', |body| {
            body.extend_from_slice(word.as_bytes());
            body.push(b' ');
            put_decimal(body, rows);
            body.push(0);
        });
    }

    /// ParameterStatus.
    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |body| {
            put_text(body, name);
            put_text(body, value);
        });
    }

    /// BackendKeyData.
    pub(crate) fn backend_key(&mut self, pid: i32, key: &[u8]) {
        self.message(b'K', |body| {
            body.extend_from_slice(&pid.to_be_bytes());
            body.extend_from_slice(key);
        });
    }

    /// NotificationResponse.
    pub(crate) fn notification(&mut self, notification: &Notification) {
        self.message(b'A', |body| {
            body.extend_from_slice(&notification.pid.to_be_bytes());
            put_text(body, &notification.channel);
            put_text(body, &notification.payload);
        });
    }

    /// ParameterDescription.
    pub(crate) fn parameter_description(&mut self, oids: impl ExactSizeIterator<Item = u32>) {
        self.message(b't', |body| {
            put_count(body, oids.len());
            for oid in oids {
                body.extend_from_slice(&oid.to_be_bytes());
            }
        });
    }

    /// RowDescription; `format` gives the format of each column.
    pub(crate) fn row_description(
        &mut self,
        columns: &[OutputColumn],
        format: impl Fn(usize) -> i16,
    ) {
        self.message(b'T', |body| {
            put_count(body, columns.len());
            for (place, column) in columns.iter().enumerate() {
                put_text(body, &column.name);
                body.extend_from_slice(&column.origin.0.to_be_bytes());
                body.extend_from_slice(&column.origin.1.to_be_bytes());
                body.extend_from_slice(&column.ty.oid().to_be_bytes());
                body.extend_from_slice(&type_length(column.ty).to_be_bytes());
                body.extend_from_slice(&column.typmod.to_be_bytes());
                body.extend_from_slice(&format(place).to_be_bytes());
            }
        });
    }

    /// RowDescription of values as text, which `described` keeps for the next time.
    pub(crate) fn row_description_of_text(
        &mut self,
        columns: &[OutputColumn],
        described: &OnceLock<Box<[u8]>>,
    ) {
        if let Some(described) = described.get() {
            return self.bytes.extend_from_slice(described);
        }
        let start = self.bytes.len();
        self.row_description(columns, |_| 0);
        described.get_or_init(|| self.bytes[start..].into());
    }

    /// CopyInResponse (`G`) or CopyOutResponse (`H`).
    pub(crate) fn copy_response(&mut self, letter: u8, binary: bool, columns: usize) {
        self.message(letter, |body| {
            body.push(u8::from(binary));
            put_count(body, columns);
            for _ in 0..columns {
                body.extend_from_slice(&i16::from(binary).to_be_bytes());
            }
        });
    }

    /// CopyData.
    pub(crate) fn copy_data(&mut self, data: &[u8]) {
        self.message(b'd', |body| body.extend_from_slice(data));
    }

    /// ErrorResponse of a statement: the session goes on.
    pub(crate) fn error(&mut self, error: &SqlError) {
        self.report(b'E', "ERROR", error);
    }

    /// ErrorResponse that ends the session.
    pub(crate) fn fatal(&mut self, error: &SqlError) {
        self.report(b'E', "FATAL", error);
    }

    /// NoticeResponse.
    pub(crate) fn notice(&mut self, severity: Severity, notice: &SqlError) {
        let severity = match severity {
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Info => "INFO",
            Severity::Log => "LOG",
            Severity::Debug => "DEBUG",
        };
        self.report(b'N', severity, notice);
    }

    fn report(&mut self, letter: u8, severity: &str, error: &SqlError) {
        self.message(letter, |body| {
            put_field(body, b'S', severity);
            put_field(body, b'V', severity);
            put_field(body, b'C', error.state.0);
            put_field(body, b'M', &error.message);
            let optional = [
                (b'D', &error.detail),
                (b'H', &error.hint),
                (b'W', &error.context),
                (b't', &error.table),
                (b'c', &error.column),
                (b'n', &error.constraint),
            ];
            for (field, text) in optional {
                if let Some(text) = text {
                    put_field(body, field, text);
                }
            }
            if let Some(position) = error.position {
                put_field(body, b'P', &position.to_string());
            }
            body.push(0);
        });
    }
}

/// Writes a text and its end. A zero byte within would end it early and put the client out of step.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    if memchr::memchr(0, text.as_bytes()).is_none() {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend(text.bytes().filter(|byte| *byte != 0));
    }
    out.push(0);
}

fn put_field(out: &mut Vec<u8>, field: u8, text: &str) {
    out.push(field);
    put_text(out, text);
}

/// Writes a number of columns or parameters, of which the protocol allows 65,535.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u16::try_from(count).expect("the binder allows fewer columns and parameters");
    out.extend_from_slice(&count.to_be_bytes());
}

/// Writes a number in decimal digits.
fn put_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).expect("one digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use rotabase_queries::error::SqlState;

    use super::*;

    #[test]
    fn a_zero_byte_in_an_error_does_not_end_its_field() {
        let mut output = Output::default();
        output.error(&SqlError::new(SqlState::INTERNAL_ERROR, "a\0b"));
        assert!(output.bytes().windows(5).any(|window| window == b"Mab\0\0"));
    }

    #[test]
    fn a_message_that_fails_leaves_nothing() {
        let mut output = Output::default();
        output.parse_complete();
        let failed = output.try_message(b'D', |body| {
            body.push(1);
            Err(())
        });
        assert_eq!(failed, Err(()));
        assert_eq!(output.bytes(), [b'1', 0, 0, 0, 4]);
    }

    #[test]
    fn columns_are_described_the_second_time_as_the_first() {
        let columns = [OutputColumn::computed("count", rotabase_queries::types::PgType::Int8)];
        let described = OnceLock::new();
        let (mut first, mut second) = (Output::default(), Output::default());
        first.row_description_of_text(&columns, &described);
        second.parse_complete();
        second.row_description_of_text(&columns, &described);
        assert_eq!(first.bytes(), &second.bytes()[5..]);
        assert_eq!(first.bytes()[..5], [b'T', 0, 0, 0, 30]);
    }

    #[test]
    fn a_counted_tag_is_decimal() {
        for rows in [0, 9, 10, 1_000_000, u64::MAX] {
            let mut output = Output::default();
            output.command_complete_counted("SELECT", rows);
            assert_eq!(&output.bytes()[5..], format!("SELECT {rows}\0").as_bytes());
        }
    }
}
