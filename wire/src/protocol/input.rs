//! Bytes from the client, cut into messages in place.
//!
//! A message is handed out as a range of the buffer and is valid until more is read: nothing is copied but
//! what has to outlive it.

use std::ops::Range;

use rotabase_queries::error::{Result, SqlError, SqlState};

use super::limits::{BUFFER_BYTES_KEPT, MESSAGE_BYTES_MAX, READ_BYTES, SMALL_MESSAGE_BYTES_MAX};

const HEADER_BYTES: usize = 5;

/// A complete message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its letter.
    pub(crate) letter: u8,
    /// Where its body is.
    pub(crate) body: Range<usize>,
}

/// What comes next while COPY input is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopyInput {
    /// A piece of COPY data, not necessarily a whole message.
    Data(Range<usize>),
    /// Another message.
    Frame(Frame),
}

/// A place between two messages.
#[derive(Debug)]
pub(crate) struct Mark(usize);

/// What has come from the client and has not been looked at.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// Everything before it has been handed out.
    start: usize,
    /// The bytes of a CopyData message that are still to come.
    copy_left: usize,
    /// The longest message that is taken.
    message_bytes_max: usize,
}

impl Input {
    /// An empty buffer that takes messages of up to `message_bytes_max` bytes.
    pub(crate) fn new(message_bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            copy_left: 0,
            message_bytes_max: message_bytes_max.min(MESSAGE_BYTES_MAX),
        }
    }

    /// Takes messages of up to `message_bytes_max` bytes from now on.
    pub(crate) fn raise_limit(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max.min(MESSAGE_BYTES_MAX);
    }

    /// The bytes of a range that was handed out since the last read.
    pub(crate) fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// The number of bytes that have not been looked at.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The bytes that have not been looked at.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Passes over bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len());
    }

    /// Whether there is more than one message without a body, or a part of more.
    pub(crate) fn has_more_than_sync(&self) -> bool {
        self.len() > HEADER_BYTES
    }

    /// A place to come back to until more is read.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.start)
    }

    /// Goes back to a place, as if nothing behind it had been looked at.
    pub(crate) fn rewind(&mut self, mark: &Mark) {
        self.start = mark.0;
    }

    /// The buffer to read more into, with room for it. Ranges handed out before are void.
    pub(crate) fn for_reading(&mut self) -> &mut Vec<u8> {
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() > BUFFER_BYTES_KEPT {
                self.bytes = Vec::new();
            }
        } else if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        // Room grows with what has come, not with what a client announces.
        self.bytes.reserve(READ_BYTES.max(self.bytes.len() / 2));
        &mut self.bytes
    }

    /// The next message if all of it is there. An error means that the client is out of step.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.copy_left > 0 {
            let skipped = self.copy_left.min(self.len());
            self.consume(skipped);
            self.copy_left -= skipped;
        }
        let Some((letter, length)) = self.header()? else { return Ok(None) };
        if length > self.length_max(letter) {
            return Err(too_long(letter, length));
        }
        if self.len() <= length {
            return Ok(None);
        }
        let body = self.start + HEADER_BYTES..self.start + 1 + length;
        self.start = body.end;
        Ok(Some(Frame { letter, body }))
    }

    /// The next message while COPY input is read; data in pieces as they come.
    pub(crate) fn next_copy(&mut self) -> Result<Option<CopyInput>> {
        loop {
            if self.copy_left > 0 {
                let count = self.copy_left.min(self.len());
                if count == 0 {
                    return Ok(None);
                }
                let data = self.start..self.start + count;
                self.start = data.end;
                self.copy_left -= count;
                return Ok(Some(CopyInput::Data(data)));
            }
            match self.header()? {
                Some((b'd', length)) if length <= MESSAGE_BYTES_MAX => {
                    self.consume(HEADER_BYTES);
                    self.copy_left = length - 4;
                }
                _ => return Ok(self.next_frame()?.map(CopyInput::Frame)),
            }
        }
    }

    /// The letter of the message that comes next, if all of it is there.
    pub(crate) fn peek_letter(&self) -> Option<u8> {
        match self.header() {
            Ok(Some((letter, length))) if self.copy_left == 0 && self.len() > length => {
                Some(letter)
            }
            _ => None,
        }
    }

    /// The letter and the length of the next message, the length with its own four bytes.
    fn header(&self) -> Result<Option<(u8, usize)>> {
        let [letter, a, b, c, d, ..] = *self.pending() else {
            return match self.pending().first() {
                Some(letter) => check_letter(*letter).map(|()| None),
                None => Ok(None),
            };
        };
        check_letter(letter)?;
        match usize::try_from(i32::from_be_bytes([a, b, c, d])) {
            Ok(length) if length >= 4 => Ok(Some((letter, length))),
            _ => Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid message length")),
        }
    }

    fn length_max(&self, letter: u8) -> usize {
        match letter {
            b'Q' | b'P' | b'B' | b'd' | b'F' => self.message_bytes_max,
            _ => SMALL_MESSAGE_BYTES_MAX.min(self.message_bytes_max),
        }
    }
}

fn check_letter(letter: u8) -> Result<()> {
    match letter {
        b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'F' | b'd' | b'c'
        | b'f' | b'p' => Ok(()),
        _ => {
            let message = format!("invalid frontend message type {letter}");
            Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message))
        }
    }
}

fn too_long(letter: u8, length: usize) -> SqlError {
    let letter = char::from(letter);
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid message length")
        .with_detail(format!("A message of type \"{letter}\" announces {length} bytes."))
        .with_hint("Raise message_bytes_max if a statement of this length is meant.")
}

/// Reads the body of a message from front to back.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    /// Starts at the beginning.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                "insufficient data left in message",
            ));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A signed number of two bytes.
    pub(crate) fn int16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into().expect("two bytes")))
    }

    /// A count of up to 65,535.
    pub(crate) fn count(&mut self) -> Result<usize> {
        Ok(usize::from(u16::from_be_bytes(self.take(2)?.try_into().expect("two bytes"))))
    }

    /// A signed number of four bytes.
    pub(crate) fn int32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    /// An OID.
    pub(crate) fn oid(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    /// A text up to its zero byte.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        let Some(end) = memchr::memchr(0, self.rest) else {
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid string in message"));
        };
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        utf8(text)
    }

    /// The number of bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Fails unless everything has been read.
    pub(crate) fn end(self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid message format"))
    }
}

/// The bytes as text; 22021 with PostgreSQL's words if they are none.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let bad = &bytes[error.valid_up_to()..];
        let expected = match bad[0] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        let hex: Vec<String> =
            bad.iter().take(expected).map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", hex.join(" "));
        SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bytes: &[u8]) -> Input {
        let mut input = Input::new(1 << 20);
        input.for_reading().extend_from_slice(bytes);
        input
    }

    #[test]
    fn a_message_is_handed_out_once_it_is_complete() {
        let mut input = input(b"Q\0\0\0\x06a");
        assert_eq!(input.next_frame().unwrap(), None);
        input.for_reading().extend_from_slice(b"\0S\0\0\0\x04");
        let frame = input.next_frame().unwrap().unwrap();
        assert_eq!((frame.letter, input.slice(&frame.body)), (b'Q', &b"a\0"[..]));
        assert_eq!(input.peek_letter(), Some(b'S'));
        assert_eq!(input.next_frame().unwrap().unwrap().letter, b'S');
        assert_eq!(input.next_frame().unwrap(), None);
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        assert!(input(b"Q\0\0\0\x03").next_frame().is_err());
        assert!(input(b"Q\xff\xff\xff\xff").next_frame().is_err());
        assert!(input(b"Q\x7f\xff\xff\xff").next_frame().is_err());
        assert!(input(b"S\0\x01\0\0").next_frame().is_err());
        assert!(input(b"\0").next_frame().is_err());
    }

    #[test]
    fn copy_data_comes_in_pieces_and_the_rest_of_a_refused_piece_is_skipped() {
        let mut input = input(b"d\0\0\0\x07ab");
        assert_eq!(input.next_copy().unwrap(), Some(CopyInput::Data(5..7)));
        assert_eq!(input.next_copy().unwrap(), None);
        input.for_reading().extend_from_slice(b"cS\0\0\0\x04");
        assert_eq!(input.next_frame().unwrap().unwrap().letter, b'S');
    }

    #[test]
    fn text_that_is_not_utf8_is_named_as_postgres_does() {
        let error = utf8(b"a\xff").unwrap_err();
        assert_eq!(error.message, "invalid byte sequence for encoding \"UTF8\": 0xff");
        assert_eq!(
            utf8(b"a\xe4b").unwrap_err().message,
            "invalid byte sequence for encoding \"UTF8\": 0xe4 0x62"
        );
    }
}
