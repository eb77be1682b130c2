//! Splits a text into the fields that dates, times and intervals are decoded from.
//!
//! Source: `datetime.c` (`ParseDateTime`).

use super::error::ParseError;
use super::token;

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, perhaps with a fraction.
    Number,
    /// Something with separators: a date, or a zone's name.
    Date,
    /// Digits with colons.
    Time,
    /// A sign and digits.
    Zone,
    /// Letters.
    Word,
    /// A sign and letters.
    Special,
}

/// A field in lower case.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// The fields of a text at most (`MAXDATEFIELDS`).
const PARTS_MAX: usize = 25;

/// The bytes of all fields at most (`MAXDATELEN` and some).
const BYTES_MAX: usize = 153;

struct Splitter<'a> {
    bytes: &'a [u8],
    at: usize,
    field: String,
}

/// Splits a text.
pub(super) fn split(text: &str) -> Result<Vec<Part>, ParseError> {
    let mut splitter = Splitter { bytes: text.as_bytes(), at: 0, field: String::new() };
    let mut parts = Vec::new();
    let mut bytes = 0;
    while let Some(byte) = splitter.peek() {
        if is_space(byte) {
            splitter.at += 1;
            continue;
        }
        splitter.field.clear();
        let Some(kind) = splitter.part(byte)? else { continue };
        bytes += splitter.field.len() + 1;
        if parts.len() == PARTS_MAX || bytes > BYTES_MAX {
            return Err(ParseError::Format);
        }
        parts.push(Part { text: splitter.field.clone(), kind });
    }
    Ok(parts)
}

fn is_space(byte: u8) -> bool {
    crate::types::text::is_space(byte)
}

impl Splitter<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is(&self, test: impl Fn(u8) -> bool) -> bool {
        self.peek().is_some_and(test)
    }

    fn take(&mut self) {
        if let Some(byte) = self.peek() {
            self.field.push(char::from(byte.to_ascii_lowercase()));
            self.at += 1;
        }
    }

    fn take_while(&mut self, test: impl Fn(u8) -> bool) {
        while self.is(&test) {
            self.take();
        }
    }

    fn digits(&mut self) {
        self.take_while(|byte| byte.is_ascii_digit());
    }

    /// The next field; none for punctuation that only separates.
    fn part(&mut self, byte: u8) -> Result<Option<Kind>, ParseError> {
        match byte {
            b'0'..=b'9' => Ok(Some(self.number())),
            b'.' => {
                self.take();
                self.digits();
                Ok(Some(Kind::Number))
            }
            b'a'..=b'z' | b'A'..=b'Z' => Ok(Some(self.word())),
            b'+' | b'-' => self.signed().map(Some),
            _ if byte.is_ascii_punctuation() => {
                self.at += 1;
                Ok(None)
            }
            _ => Err(ParseError::Format),
        }
    }

    fn number(&mut self) -> Kind {
        self.digits();
        match self.peek() {
            Some(b':') => {
                self.take_while(|byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
                Kind::Time
            }
            Some(separator @ (b'-' | b'/' | b'.')) => {
                self.take();
                if !self.is(|byte| byte.is_ascii_digit()) {
                    self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == separator);
                    return Kind::Date;
                }
                self.digits();
                if self.peek() == Some(separator) {
                    self.take_while(|byte| byte.is_ascii_digit() || byte == separator);
                    return Kind::Date;
                }
                if separator == b'.' { Kind::Number } else { Kind::Date }
            }
            _ => Kind::Number,
        }
    }

    fn word(&mut self) -> Kind {
        self.take_while(|byte| byte.is_ascii_alphabetic());
        let is_date = match self.peek() {
            Some(b'-' | b'/' | b'.') => true,
            Some(b'+' | b'0'..=b'9') => token::find(&self.field).is_none(),
            _ => false,
        };
        if !is_date {
            return Kind::Word;
        }
        self.take();
        self.take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
        });
        Kind::Date
    }

    fn signed(&mut self) -> Result<Kind, ParseError> {
        self.take();
        while self.is(is_space) {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'-'));
                Ok(Kind::Zone)
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                self.take_while(|byte| byte.is_ascii_alphabetic());
                Ok(Kind::Special)
            }
            _ => Err(ParseError::Format),
        }
    }
}
