//! Records of COPY input: fields that are text or null, taken from a stream that may be cut anywhere.

use rotabase_queries::error::{Result, SqlError, SqlState};

/// The longest record that COPY takes; longer ones are refused rather than gathered.
pub(crate) const RECORD_BYTES_MAX: usize = 16 << 20;

/// One record, its fields unescaped. Reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The line on which it begins, or in binary its number, from 1.
    pub(crate) line: u64,
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`, and whether it is null.
    fields: Vec<(usize, bool)>,
}

impl Record {
    /// Empties the record.
    pub(crate) fn start(&mut self, line: u64) {
        self.line = line;
        self.bytes.clear();
        self.fields.clear();
    }

    /// Appends bytes to the field being read.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends one byte to the field being read.
    pub(crate) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Ends the field being read.
    pub(crate) fn end_field(&mut self, null: bool) {
        self.fields.push((self.bytes.len(), null));
    }

    /// The number of fields.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field's bytes; none if it is null or missing.
    pub(crate) fn field(&self, at: usize) -> Option<&[u8]> {
        let (end, null) = *self.fields.get(at)?;
        let start = if at == 0 { 0 } else { self.fields[at - 1].0 };
        (!null).then(|| &self.bytes[start..end])
    }

    /// A field as text; 22021 if it is not UTF-8.
    pub(crate) fn text(&self, at: usize) -> Result<Option<&str>> {
        let Some(bytes) = self.field(at) else { return Ok(None) };
        if bytes.contains(&0) {
            return Err(SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            ));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                let byte = bytes[error.valid_up_to()];
                let message = format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}");
                Err(SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message))
            }
        }
    }
}

/// The text formats' parameters.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    /// Comma-separated rather than PostgreSQL's text format.
    pub(crate) csv: bool,
    /// Between fields.
    pub(crate) delimiter: u8,
    /// What stands for null.
    pub(crate) null: String,
    /// Around fields, in csv.
    pub(crate) quote: u8,
    /// Before a quote within a quoted field, in csv.
    pub(crate) escape: u8,
    /// Whether the first line is a heading.
    pub(crate) header: bool,
}

/// Cuts a stream into records.
#[derive(Debug)]
pub(crate) struct Records {
    format: Format,
    record: Record,
    state: State,
    line: u64,
    /// The bytes of the record so far, for the bound.
    record_bytes: usize,
    skip_header: bool,
    /// Whether the field being read has had a quote: then it is not null.
    quoted: bool,
    /// The raw field is compared with the null string, before escapes are taken away.
    raw: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between records.
    RecordStart,
    /// In a field.
    Field,
    /// After a backslash, in text.
    Escape,
    /// After `\x` and some hexadecimal digits: their number and value.
    Hex(u8, u8),
    /// After a backslash and some octal digits: their number and value.
    Octal(u8, u8),
    /// Between quotes, in csv.
    Quoted,
    /// After the escape character between quotes, which may be the closing quote.
    QuotedEscape,
    /// After a carriage return that ended a record: a line feed belongs to it.
    CarriageReturn,
    /// After `\.` on a line of its own: nothing more is read.
    End,
}

impl Records {
    /// Starts before the first line.
    pub(crate) fn new(format: Format) -> Self {
        let skip_header = format.header;
        Self {
            format,
            record: Record::default(),
            state: State::RecordStart,
            line: 1,
            record_bytes: 0,
            skip_header,
            quoted: false,
            raw: Vec::new(),
        }
    }

    /// Reads a piece of the stream and hands over each record that ends in it.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        take: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            // Most bytes are ordinary: they are copied in one go up to the next that means something.
            if self.state == State::Field {
                let run = self.ordinary_run(bytes);
                self.record.extend(&bytes[..run]);
                self.raw.extend_from_slice(&bytes[..run]);
                self.record_bytes += run;
                bytes = &bytes[run..];
                if bytes.is_empty() {
                    break;
                }
            }
            let byte = bytes[0];
            bytes = &bytes[1..];
            self.record_bytes += 1;
            if self.record_bytes > RECORD_BYTES_MAX {
                let message = format!("a record is longer than {RECORD_BYTES_MAX} bytes");
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
            }
            if self.format.csv { self.csv_byte(byte, take)? } else { self.text_byte(byte, take)? }
        }
        Ok(())
    }

    /// Ends the stream: a last line without a line end is a record too.
    pub(crate) fn finish(&mut self, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        match self.state {
            State::RecordStart | State::CarriageReturn | State::End => Ok(()),
            State::Quoted => {
                Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field"))
            }
            State::Field
            | State::Escape
            | State::QuotedEscape
            | State::Hex(..)
            | State::Octal(..) => {
                self.close_escape();
                self.end_record(take)
            }
        }
    }

    /// The line that is being read, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    fn ordinary_run(&self, bytes: &[u8]) -> usize {
        let special = if self.format.csv { self.format.quote } else { b'\\' };
        let delimiter = self.format.delimiter;
        bytes
            .iter()
            .position(|byte| {
                *byte == delimiter || *byte == special || *byte == b'\n' || *byte == b'\r'
            })
            .unwrap_or(bytes.len())
    }

    fn begin_record(&mut self) {
        self.record.start(self.line);
        self.raw.clear();
        self.quoted = false;
        self.state = State::Field;
    }

    fn text_byte(&mut self, byte: u8, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        match self.state {
            State::End => Ok(()),
            State::CarriageReturn if byte == b'\n' => {
                self.state = State::RecordStart;
                Ok(())
            }
            State::RecordStart | State::CarriageReturn => {
                self.begin_record();
                self.text_byte(byte, take)
            }
            State::Field => match byte {
                b'\\' => {
                    self.raw.push(byte);
                    self.state = State::Escape;
                    Ok(())
                }
                b'\n' | b'\r' => self.end_line(byte, take),
                byte if byte == self.format.delimiter => {
                    self.end_field();
                    Ok(())
                }
                byte => {
                    self.raw.push(byte);
                    self.record.push(byte);
                    Ok(())
                }
            },
            State::Escape => {
                self.text_escape(byte);
                Ok(())
            }
            State::Hex(digits, value) => match hex_digit(byte).filter(|_| digits < 2) {
                Some(digit) => {
                    self.raw.push(byte);
                    self.state = State::Hex(digits + 1, (value << 4) | digit);
                    Ok(())
                }
                None => self.after_escape(byte, take),
            },
            State::Octal(digits, value) => match octal_digit(byte).filter(|_| digits < 3) {
                Some(digit) => {
                    self.raw.push(byte);
                    self.state = State::Octal(digits + 1, (value << 3) | digit);
                    Ok(())
                }
                None => self.after_escape(byte, take),
            },
            State::Quoted | State::QuotedEscape => unreachable!("only csv has quotes"),
        }
    }

    fn text_escape(&mut self, byte: u8) {
        let alone = self.record.len() == 0 && self.raw == b"\\";
        self.raw.push(byte);
        self.state = State::Field;
        match byte {
            b'.' if alone => self.state = State::End,
            b'N' => {} // The null marker; told by the raw field.
            b'b' => self.record.push(8),
            b'f' => self.record.push(12),
            b'n' => self.record.push(b'\n'),
            b'r' => self.record.push(b'\r'),
            b't' => self.record.push(b'\t'),
            b'v' => self.record.push(11),
            b'x' => self.state = State::Hex(0, 0),
            b'0'..=b'7' => self.state = State::Octal(1, byte - b'0'),
            byte => self.record.push(byte),
        }
        if byte == b'N' && self.raw != b"\\N" {
            self.record.push(b'N');
        }
    }

    /// Ends a numeric escape and reads the byte after it.
    fn after_escape(
        &mut self,
        byte: u8,
        take: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        self.close_escape();
        self.state = State::Field;
        self.text_byte(byte, take)
    }

    fn close_escape(&mut self) {
        match self.state {
            State::Hex(0, _) => self.record.push(b'x'),
            State::Hex(_, value) | State::Octal(_, value) => self.record.push(value),
            State::Escape => self.record.push(b'\\'),
            _ => {}
        }
    }

    fn csv_byte(&mut self, byte: u8, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        match self.state {
            State::End => Ok(()),
            State::CarriageReturn if byte == b'\n' => {
                self.state = State::RecordStart;
                Ok(())
            }
            State::RecordStart | State::CarriageReturn => {
                self.begin_record();
                self.csv_byte(byte, take)
            }
            State::Quoted if byte == self.format.escape => {
                self.state = State::QuotedEscape;
                Ok(())
            }
            State::Quoted if byte == self.format.quote => {
                self.state = State::Field;
                Ok(())
            }
            State::Quoted => {
                self.line += u64::from(byte == b'\n');
                self.record.push(byte);
                Ok(())
            }
            State::QuotedEscape if byte == self.format.quote || byte == self.format.escape => {
                self.record.push(byte);
                self.state = State::Quoted;
                Ok(())
            }
            State::QuotedEscape if self.format.escape == self.format.quote => {
                self.state = State::Field;
                self.csv_byte(byte, take)
            }
            State::QuotedEscape => {
                self.record.push(self.format.escape);
                self.state = State::Quoted;
                self.csv_byte(byte, take)
            }
            State::Field if byte == self.format.quote => {
                self.quoted = true;
                self.state = State::Quoted;
                Ok(())
            }
            State::Field if byte == b'\n' || byte == b'\r' => self.end_line(byte, take),
            State::Field if byte == self.format.delimiter => {
                self.end_field();
                Ok(())
            }
            State::Field => {
                self.raw.push(byte);
                self.record.push(byte);
                Ok(())
            }
            State::Escape | State::Hex(..) | State::Octal(..) => {
                unreachable!("only text has backslashes")
            }
        }
    }

    fn end_field(&mut self) {
        let null = !self.quoted && self.raw == self.format.null.as_bytes();
        self.record.end_field(null);
        self.raw.clear();
        self.quoted = false;
    }

    fn end_line(&mut self, byte: u8, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        let result = self.end_record(take);
        self.line += 1;
        self.state = match byte {
            b'\r' => State::CarriageReturn,
            _ if self.state == State::End => State::End,
            _ => State::RecordStart,
        };
        result
    }

    fn end_record(&mut self, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        // In csv, `\.` alone on a line ends the data as it does in text.
        if self.format.csv && !self.quoted && self.record.len() == 0 && self.raw == b"\\." {
            self.state = State::End;
            return Ok(());
        }
        self.end_field();
        self.record_bytes = 0;
        if std::mem::take(&mut self.skip_header) {
            return Ok(());
        }
        take(&self.record)
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn octal_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(8).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &Format, input: &str, cut: usize) -> Vec<Vec<Option<String>>> {
        let mut records = Records::new(format.clone());
        let mut rows = Vec::new();
        let mut take = |record: &Record| {
            rows.push(
                (0..record.len())
                    .map(|at| record.text(at).expect("UTF-8").map(str::to_owned))
                    .collect(),
            );
            Ok(())
        };
        for piece in input.as_bytes().chunks(cut) {
            records.feed(piece, &mut take).expect("good input");
        }
        records.finish(&mut take).expect("good input");
        rows
    }

    fn text() -> Format {
        Format {
            csv: false,
            delimiter: b'\t',
            null: "\\N".to_owned(),
            quote: b'"',
            escape: b'"',
            header: false,
        }
    }

    fn csv() -> Format {
        Format {
            csv: true,
            delimiter: b',',
            null: String::new(),
            quote: b'"',
            escape: b'"',
            header: true,
        }
    }

    #[test]
    fn text_reads_as_postgresql_does_however_it_is_cut() {
        let input = "a\\tb\t\\N\tx\\x41\\101\\q\n\t\t\r\nlast\\\\\t\\\\N\t\n\\.\nignored";
        let expected = vec![
            vec![Some("a\tb".to_owned()), None, Some("xAAq".to_owned())],
            vec![Some(String::new()), Some(String::new()), Some(String::new())],
            vec![Some("last\\".to_owned()), Some("\\N".to_owned()), Some(String::new())],
        ];
        for cut in 1..=input.len() {
            assert_eq!(read(&text(), input, cut), expected, "cut into {cut}");
        }
    }

    #[test]
    fn csv_reads_as_postgresql_does_however_it_is_cut() {
        let input = "h1,h2\n\"a \"\"q\"\", b\",\r\n\"\",\"two\nlines\"\nx\"y\"z,last";
        let expected = vec![
            vec![Some("a \"q\", b".to_owned()), None],
            vec![Some(String::new()), Some("two\nlines".to_owned())],
            vec![Some("xyz".to_owned()), Some("last".to_owned())],
        ];
        for cut in 1..=input.len() {
            assert_eq!(read(&csv(), input, cut), expected, "cut into {cut}");
        }
    }

    #[test]
    fn an_open_quote_is_an_error() {
        let mut records = Records::new(csv());
        let mut take = |_: &Record| Ok(());
        records.feed(b"h\n\"open", &mut take).expect("so far");
        assert_eq!(
            records.finish(&mut take).expect_err("open").state,
            SqlState::BAD_COPY_FILE_FORMAT
        );
    }
}
