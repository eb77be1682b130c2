//! `bool`, `uuid` and `name`.

use uuid::Uuid;

use super::{invalid_syntax, trim};
use crate::error::Result;
use crate::types::PgType;

/// The bytes of a `name` at most (`NAMEDATALEN - 1`).
pub(crate) const NAME_BYTES_MAX: usize = 63;

/// Reads a `bool`: any unambiguous prefix of true, false, yes, no, on, off, or a digit.
pub(super) fn read_bool(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let prefix_of = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if prefix_of("true", 1) || prefix_of("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if prefix_of("false", 1) || prefix_of("no", 1) || prefix_of("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax(PgType::Bool, text))
    }
}

/// Reads a `uuid`: 32 hexadecimal digits, a hyphen allowed after each four, braces allowed around it.
pub(super) fn read_uuid(text: &str) -> Result<Uuid> {
    parse_uuid(text.as_bytes()).ok_or_else(|| invalid_syntax(PgType::Uuid, text))
}

fn parse_uuid(mut text: &[u8]) -> Option<Uuid> {
    if let [b'{', inner @ .., b'}'] = text {
        text = inner;
    }
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().enumerate() {
        if let ([b'-', rest @ ..], true) = (text, place % 2 == 0 && place > 0) {
            text = rest;
        }
        let [high, low, rest @ ..] = text else { return None };
        *byte = hex(*high)? << 4 | hex(*low)?;
        text = rest;
    }
    text.is_empty().then(|| Uuid::from_bytes(bytes))
}

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The part of a text that fits into a `name`, cut between characters.
pub(crate) fn clip_name(text: &str) -> &str {
    let mut end = text.len().min(NAME_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
