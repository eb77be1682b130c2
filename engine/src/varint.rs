//! Numbers in as few bytes as they need, and a reader that trusts nothing.
//!
//! Unsigned numbers are LEB128: seven bits a byte, low bits first. Signed numbers are zigzag-coded before, so
//! that small negative ones are short as well. [`Reader`] walks over bytes that may be anything: it never
//! panics and never allocates.

use crate::domain::DecodeError;

/// Appends an unsigned number.
pub fn write_unsigned(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

/// Appends a signed number.
pub fn write_signed(value: i64, out: &mut Vec<u8>) {
    write_unsigned((value << 1 ^ value >> 63).cast_unsigned(), out);
}

/// Appends a length and that many bytes.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_unsigned(u64::try_from(bytes.len()).expect("a length fits 64 bits"), out);
    out.extend_from_slice(bytes);
}

#[expect(clippy::as_conversions, reason = "masked to seven bits")]
fn low_byte(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// Reads values from the front of a slice, each checked against what is left of it.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`; its errors say that `what` was being decoded.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// An error about what is being decoded.
    pub fn error(&self, reason: impl Into<String>) -> DecodeError {
        DecodeError { what: self.what, reason: reason.into() }
    }

    /// Refuses bytes after the end.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(format!("{} bytes too many", self.rest.len())))
        }
    }

    /// Takes `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.error(format!("{length} bytes expected, {} left", self.rest.len())));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Takes `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.take(N)?.try_into().expect("took N bytes"))
    }

    /// Takes one byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Takes an unsigned number. Only its shortest form is accepted, so that equal bytes and equal values agree.
    pub fn unsigned(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || shift == 0;
                return if shortest {
                    Ok(value)
                } else {
                    Err(self.error("a number is longer than it needs to be"))
                };
            }
        }
        Err(self.error("a number has more than 64 bits"))
    }

    /// Takes an unsigned number of a smaller type.
    pub fn unsigned_as<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        let value = self.unsigned()?;
        T::try_from(value).map_err(|_| self.error(format!("{value} is out of range")))
    }

    /// Takes a signed number.
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        let zigzag = self.unsigned()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// Takes a signed number of a smaller type.
    pub fn signed_as<T: TryFrom<i64>>(&mut self) -> Result<T, DecodeError> {
        let value = self.signed()?;
        T::try_from(value).map_err(|_| self.error(format!("{value} is out of range")))
    }

    /// Takes a length and that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.unsigned_as()?;
        self.take(length)
    }

    /// Takes a length and that many bytes of UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_read_back(unsigned: u64, signed: i64, small in 0..300_u64) {
            let mut bytes = Vec::new();
            write_unsigned(unsigned, &mut bytes);
            write_signed(signed, &mut bytes);
            write_unsigned(small, &mut bytes);
            let mut reader = Reader::new("a number", &bytes);
            prop_assert_eq!(reader.unsigned(), Ok(unsigned));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.unsigned(), Ok(small));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn what_reads_is_the_shortest_form(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new("a number", &bytes);
            if let Ok(value) = reader.unsigned() {
                let mut again = Vec::new();
                write_unsigned(value, &mut again);
                prop_assert_eq!(&bytes[..bytes.len() - reader.remaining()], &again[..]);
            }
        }
    }
}
