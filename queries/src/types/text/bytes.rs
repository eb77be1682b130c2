//! `bytea`: the hex form and the older escape form.

use super::simple::hex;
use crate::error::{Result, SqlError, SqlState};

/// Reads either form.
pub(crate) fn read(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => read_hex(digits),
        None => read_escape(text),
    }
}

/// Reads hexadecimal digits; white space may stand between bytes.
pub(crate) fn read_hex(digits: &str) -> Result<Vec<u8>> {
    let invalid = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let digit = |character: char| {
        u8::try_from(character)
            .ok()
            .and_then(hex)
            .ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{character}\"")))
    };
    let mut out = Vec::with_capacity(digits.len() / 2);
    let mut characters = digits.chars();
    while let Some(high) = characters.next() {
        if matches!(high, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(high)?;
        let Some(low) = characters.next() else {
            return Err(invalid("invalid hexadecimal data: odd number of digits".to_owned()));
        };
        out.push(high << 4 | digit(low)?);
    }
    Ok(out)
}

/// Reads the escape form: `\\` and `\ooo` stand for one byte.
pub(crate) fn read_escape(text: &str) -> Result<Vec<u8>> {
    let octal = |digit: u8, most: u8| (b'0'..=most).contains(&digit).then(|| digit - b'0');
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                out.push(b'\\');
                tail
            }
            (b'\\', [a, b, c, tail @ ..]) => {
                let (Some(a), Some(b), Some(c)) =
                    (octal(*a, b'3'), octal(*b, b'7'), octal(*c, b'7'))
                else {
                    return Err(invalid_escape());
                };
                out.push(a << 6 | b << 3 | c);
                tail
            }
            (b'\\', _) => return Err(invalid_escape()),
            (byte, tail) => {
                out.push(*byte);
                tail
            }
        };
    }
    Ok(out)
}

fn invalid_escape() -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")
}

/// Writes the escape form or the hex form.
pub(crate) fn write(bytes: &[u8], escape: bool, out: &mut Vec<u8>) {
    if !escape {
        out.reserve(2 + bytes.len() * 2);
        out.extend_from_slice(b"\\x");
        return write_hex(bytes, out);
    }
    for byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(*byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
}

/// Writes hexadecimal digits.
pub(crate) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}
