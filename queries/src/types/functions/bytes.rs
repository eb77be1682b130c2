//! `bytea`: parts, digests, and its forms as text.

use md5::Md5;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::define::f;
use super::registry::FunctionTable;
use super::strings::{count, part};
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::text::bytes;

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn b(bytes: impl AsRef<[u8]>) -> Datum {
    Datum::Bytea(bytes.as_ref().into())
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn hex(bytes: impl AsRef<[u8]>) -> Datum {
    let mut out = Vec::new();
    bytes::write_hex(bytes.as_ref(), &mut out);
    Datum::text(String::from_utf8_lossy(&out))
}

fn substring(value: &[u8], start: i32, length: Option<i32>) -> Result<Datum> {
    let (start, end) = part(start, length)?;
    Ok(b(&value[start.min(value.len())..end.min(value.len())]))
}

fn position(value: &[u8], wanted: &[u8]) -> Datum {
    if wanted.is_empty() {
        return Datum::Int4(1);
    }
    count(memchr::memmem::find(value, wanted).map_or(0, |place| place + 1))
}

fn overlay(value: &[u8], replacement: &[u8], start: i32, length: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(SqlError::new(
            SqlState::SUBSTRING_ERROR,
            "negative substring length not allowed",
        ));
    }
    let after = start.checked_add(length).ok_or_else(|| super::integers::out_of_range(Int4))?;
    let (head, _) = part(start, None)?;
    let (tail, _) = part(after, None)?;
    Ok(b([&value[..head.min(value.len())], replacement, &value[tail.min(value.len())..]].concat()))
}

fn trim<'a>(mut value: &'a [u8], set: &[u8], at_left: bool, at_right: bool) -> &'a [u8] {
    while let ([first, rest @ ..], true) = (value, at_left)
        && set.contains(first)
    {
        value = rest;
    }
    while let ([rest @ .., last], true) = (value, at_right)
        && set.contains(last)
    {
        value = rest;
    }
    value
}

fn index(value: &[u8], place: i64, length: usize) -> Result<usize> {
    usize::try_from(place).ok().filter(|it| *it < length).ok_or_else(|| {
        let last = i64::try_from(value.len()).unwrap_or(0)
            * i64::try_from(length / value.len().max(1)).unwrap_or(0)
            - 1;
        SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("index {place} out of valid range, 0..{last}"),
        )
    })
}

fn get_byte(value: &[u8], place: i32) -> Result<Datum> {
    let place = index(value, i64::from(place), value.len())?;
    Ok(Datum::Int4(i32::from(value[place])))
}

fn set_byte(value: &[u8], place: i32, byte: i32) -> Result<Datum> {
    let place = index(value, i64::from(place), value.len())?;
    let mut changed = value.to_vec();
    changed[place] = byte.to_le_bytes()[0];
    Ok(b(changed))
}

fn get_bit(value: &[u8], place: i64) -> Result<Datum> {
    let place = index(value, place, value.len() * 8)?;
    Ok(Datum::Int4(i32::from(value[place / 8] >> (place % 8) & 1)))
}

fn set_bit(value: &[u8], place: i64, bit: i32) -> Result<Datum> {
    let place = index(value, place, value.len() * 8)?;
    if bit != 0 && bit != 1 {
        return Err(invalid("new bit must be 0 or 1"));
    }
    let mut changed = value.to_vec();
    let mask = 1 << (place % 8);
    changed[place / 8] =
        if bit == 1 { changed[place / 8] | mask } else { changed[place / 8] & !mask };
    Ok(b(changed))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 in lines of 76 characters, as MIME wants.
fn to_base64(value: &[u8]) -> String {
    const LINE: usize = 76;
    let mut out = String::new();
    let mut column = 0;
    for chunk in value.chunks(3) {
        if column >= LINE {
            out.push('\n');
            column = 0;
        }
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            out.push(if place <= chunk.len() { char::from(BASE64[digit]) } else { '=' });
        }
        column += 4;
    }
    out
}

fn from_base64(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut digits, mut end) = (0_u32, 0, 0);
    for character in text.chars() {
        let value = match character {
            ' ' | '\t' | '\n' | '\r' => continue,
            '=' => {
                if end == 0 {
                    match digits {
                        2 => end = 1,
                        3 => end = 2,
                        _ => {
                            return Err(invalid("unexpected \"=\" while decoding base64 sequence"));
                        }
                    }
                }
                0
            }
            _ => {
                let place = u8::try_from(character)
                    .ok()
                    .and_then(|it| BASE64.iter().position(|digit| *digit == it));
                let found = place.filter(|_| end == 0).and_then(|it| u32::try_from(it).ok());
                found.ok_or_else(|| {
                    invalid(format!(
                        "invalid symbol \"{character}\" found while decoding base64 sequence"
                    ))
                })?
            }
        };
        bits = bits << 6 | value;
        digits += 1;
        if digits == 4 {
            let [_, a, b, c] = bits.to_be_bytes();
            out.push(a);
            if end == 0 || end > 1 {
                out.push(b);
            }
            if end == 0 || end > 2 {
                out.push(c);
            }
            (bits, digits) = (0, 0);
        }
    }
    if digits != 0 {
        return Err(invalid("invalid base64 end sequence")
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> SqlError {
    invalid(format!("unrecognized encoding: \"{name}\""))
}

fn encode(value: &[u8], encoding: &str) -> Result<Datum> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex(value)),
        "base64" => Ok(to_base64(value).into()),
        "escape" => {
            let mut out = Vec::new();
            for byte in value {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0 | 0x80.. => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
                    _ => out.push(*byte),
                }
            }
            Ok(Datum::text(String::from_utf8_lossy(&out)))
        }
        _ => Err(unknown_encoding(encoding)),
    }
}

fn decode(text: &str, encoding: &str) -> Result<Datum> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => bytes::read_hex(text).map(b),
        "base64" => from_base64(text).map(b),
        "escape" => bytes::read_escape(text).map(b),
        _ => Err(unknown_encoding(encoding)),
    }
}

/// Text from bytes in an encoding; UTF-8 alone is offered.
fn convert_from(value: &[u8], encoding: &str) -> Result<Datum> {
    check_encoding(encoding)?;
    let text = std::str::from_utf8(value)
        .map_err(|error| crate::types::binary::invalid_utf8(value, error.valid_up_to()))?;
    Ok(Datum::text(text))
}

fn check_encoding(encoding: &str) -> Result<()> {
    let folded: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    if matches!(folded.to_ascii_lowercase().as_str(), "utf8" | "unicode") {
        return Ok(());
    }
    Err(SqlError::unsupported(format!("conversion with encoding \"{encoding}\" is not offered")))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(2011, "byteacat", &[Bytea, Bytea], Bytea, |_, a| Ok(b([a.bytea(0)?, a.bytea(1)?].concat()))),
    f(2010, "length", &[Bytea], Int4, |_, a| Ok(count(a.bytea(0)?.len()))),
    f(720, "octet_length", &[Bytea], Int4, |_, a| Ok(count(a.bytea(0)?.len()))),
    f(1810, "bit_length", &[Bytea], Int4, |_, a| Ok(count(a.bytea(0)?.len() * 8))),
    f(6163, "bit_count", &[Bytea], Int8, |_, a| Ok(Datum::Int8(a.bytea(0)?.iter().map(|it| i64::from(it.count_ones())).sum()))),
    f(2086, "substr", &[Bytea, Int4], Bytea, |_, a| substring(a.bytea(0)?, a.int4(1)?, None)),
    f(2085, "substr", &[Bytea, Int4, Int4], Bytea, |_, a| substring(a.bytea(0)?, a.int4(1)?, Some(a.int4(2)?))),
    f(2013, "substring", &[Bytea, Int4], Bytea, |_, a| substring(a.bytea(0)?, a.int4(1)?, None)),
    f(2012, "substring", &[Bytea, Int4, Int4], Bytea, |_, a| substring(a.bytea(0)?, a.int4(1)?, Some(a.int4(2)?))),
    f(2014, "position", &[Bytea, Bytea], Int4, |_, a| Ok(position(a.bytea(0)?, a.bytea(1)?))),
    f(749, "overlay", &[Bytea, Bytea, Int4, Int4], Bytea, |_, a| overlay(a.bytea(0)?, a.bytea(1)?, a.int4(2)?, a.int4(3)?)),
    f(752, "overlay", &[Bytea, Bytea, Int4], Bytea, |_, a| overlay(a.bytea(0)?, a.bytea(1)?, a.int4(2)?, i32::try_from(a.bytea(1)?.len()).unwrap_or(i32::MAX))),
    f(2015, "btrim", &[Bytea, Bytea], Bytea, |_, a| Ok(b(trim(a.bytea(0)?, a.bytea(1)?, true, true)))),
    f(6195, "ltrim", &[Bytea, Bytea], Bytea, |_, a| Ok(b(trim(a.bytea(0)?, a.bytea(1)?, true, false)))),
    f(6196, "rtrim", &[Bytea, Bytea], Bytea, |_, a| Ok(b(trim(a.bytea(0)?, a.bytea(1)?, false, true)))),
    f(721, "get_byte", &[Bytea, Int4], Int4, |_, a| get_byte(a.bytea(0)?, a.int4(1)?)),
    f(722, "set_byte", &[Bytea, Int4, Int4], Bytea, |_, a| set_byte(a.bytea(0)?, a.int4(1)?, a.int4(2)?)),
    f(723, "get_bit", &[Bytea, Int8], Int4, |_, a| get_bit(a.bytea(0)?, a.int8(1)?)),
    f(724, "set_bit", &[Bytea, Int8, Int4], Bytea, |_, a| set_bit(a.bytea(0)?, a.int8(1)?, a.int4(2)?)),
    f(2311, "md5", &[Text], Text, |_, a| Ok(hex(Md5::digest(a.text(0)?)))),
    f(2321, "md5", &[Bytea], Text, |_, a| Ok(hex(Md5::digest(a.bytea(0)?)))),
    f(3419, "sha224", &[Bytea], Bytea, |_, a| Ok(b(Sha224::digest(a.bytea(0)?)))),
    f(3420, "sha256", &[Bytea], Bytea, |_, a| Ok(b(Sha256::digest(a.bytea(0)?)))),
    f(3421, "sha384", &[Bytea], Bytea, |_, a| Ok(b(Sha384::digest(a.bytea(0)?)))),
    f(3422, "sha512", &[Bytea], Bytea, |_, a| Ok(b(Sha512::digest(a.bytea(0)?)))),
    f(1946, "encode", &[Bytea, Text], Text, |_, a| encode(a.bytea(0)?, a.text(1)?)),
    f(1947, "decode", &[Text, Text], Bytea, |_, a| decode(a.text(0)?, a.text(1)?)),
    f(1714, "convert_from", &[Bytea, Name], Text, |_, a| convert_from(a.bytea(0)?, a.text(1)?)).stable(),
    f(1717, "convert_to", &[Text, Name], Bytea, |_, a| check_encoding(a.text(1)?).and_then(|()| Ok(b(a.text(0)?)))).stable(),
];
