//! Strings: length, case, parts, padding, replacement. Characters count, not bytes.

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;
use crate::types::PgType::*;

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// The bytes of a value at most (`MaxAllocSize`).
pub(crate) const VALUE_BYTES_MAX: usize = 0x3fff_ffff;

/// The error for a value that would be too long.
pub(crate) fn too_long() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// A count as `integer`.
pub(crate) fn count(value: usize) -> Datum {
    Datum::Int4(i32::try_from(value).unwrap_or(i32::MAX))
}

/// The number of characters.
fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// The byte at which a character starts, or the end.
fn byte_of(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(place, _)| place)
}

/// Letters mapped one to one, as C's `towupper` and `towlower` map them.
fn map_case(text: &str, map: fn(char) -> Option<char>) -> Datum {
    text.chars().map(|it| map(it).unwrap_or(it)).collect::<String>().into()
}

fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next();
    if mapped.next().is_none() { first } else { None }
}

/// A letter in upper case, if that is one letter.
pub(crate) fn upper(letter: char) -> Option<char> {
    single(letter.to_uppercase())
}

/// A letter in lower case, if that is one letter.
pub(crate) fn lower(letter: char) -> Option<char> {
    single(letter.to_lowercase())
}

impl From<String> for Datum {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

fn case(text: &str, ascii: fn(&str) -> String, map: fn(char) -> Option<char>) -> Datum {
    if text.is_ascii() { ascii(text).into() } else { map_case(text, map) }
}

fn initcap(text: &str) -> Datum {
    let mut inside = false;
    let letters = text.chars().map(|it| {
        let mapped = if inside { lower(it) } else { upper(it) };
        inside = it.is_alphanumeric();
        mapped.unwrap_or(it)
    });
    letters.collect::<String>().into()
}

/// Where a part from a place (from 1) and of a length starts and ends, from 0.
pub(crate) fn part(start: i32, length: Option<i32>) -> Result<(usize, usize)> {
    let first = i64::from(start) - 1;
    let end = match length {
        None => i64::from(i32::MAX) * 2,
        Some(..0) => {
            return Err(SqlError::new(
                SqlState::SUBSTRING_ERROR,
                "negative substring length not allowed",
            ));
        }
        Some(length) => first + i64::from(length),
    };
    let place = |value: i64| usize::try_from(value).unwrap_or(0);
    Ok((place(first), place(end).max(place(first))))
}

fn substring(text: &str, start: i32, length: Option<i32>) -> Result<Datum> {
    let (start, end) = part(start, length)?;
    let first = byte_of(text, start);
    let rest = &text[first..];
    Ok(Datum::text(&rest[..byte_of(rest, end - start)]))
}

/// The first characters; all but the last ones if negative.
fn left(text: &str, wanted: i32) -> Datum {
    let total = characters(text);
    let kept = match usize::try_from(wanted) {
        Ok(wanted) => wanted,
        Err(_) => {
            total.saturating_sub(usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX))
        }
    };
    Datum::text(&text[..byte_of(text, kept)])
}

/// The last characters; all but the first ones if negative.
fn right(text: &str, wanted: i32) -> Datum {
    let dropped = match usize::try_from(wanted) {
        Ok(wanted) => characters(text).saturating_sub(wanted),
        Err(_) => usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX),
    };
    Datum::text(&text[byte_of(text, dropped)..])
}

fn pad(text: &str, length: i32, fill: &str, at_left: bool) -> Result<Datum> {
    let length = usize::try_from(length).unwrap_or(0);
    let present = characters(text);
    if length <= present || fill.is_empty() {
        return Ok(Datum::text(&text[..byte_of(text, length.min(present))]));
    }
    if length.saturating_mul(4) > VALUE_BYTES_MAX {
        return Err(too_long());
    }
    let filling: String = match fill.len() {
        1 => fill.repeat(length - present),
        _ => fill.chars().cycle().take(length - present).collect(),
    };
    Ok(if at_left { filling + text } else { format!("{text}{filling}") }.into())
}

/// Without any of a set of characters at the ends.
fn trim(text: &str, set: &str, at_left: bool, at_right: bool) -> Datum {
    let within = |it: char| set.contains(it);
    let text = if at_left { text.trim_start_matches(within) } else { text };
    Datum::text(if at_right { text.trim_end_matches(within) } else { text })
}

/// The place of a part, in characters from 1; 0 without one.
fn position(text: &str, part: &str) -> Datum {
    count(text.find(part).map_or(0, |byte| characters(&text[..byte]) + 1))
}

fn replace(text: &str, from: &str, to: &str) -> Result<Datum> {
    if from.is_empty() {
        return Ok(Datum::text(text));
    }
    let occurrences = text.matches(from).count();
    if text.len().saturating_add(occurrences.saturating_mul(to.len())) > VALUE_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text.replace(from, to).into())
}

fn split_part(text: &str, delimiter: &str, field: i32) -> Result<Datum> {
    if field == 0 {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "field position must not be zero",
        ));
    }
    if delimiter.is_empty() {
        return Ok(Datum::text(if field.abs() == 1 { text } else { "" }));
    }
    let place = usize::try_from(field.unsigned_abs()).unwrap_or(usize::MAX) - 1;
    let found = if field > 0 {
        text.split(delimiter).nth(place)
    } else {
        text.rsplit(delimiter).nth(place)
    };
    Ok(Datum::text(found.unwrap_or("")))
}

fn repeat(text: &str, times: i32) -> Result<Datum> {
    let times = usize::try_from(times).unwrap_or(0);
    if text.len().saturating_mul(times) > VALUE_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text.repeat(times).into())
}

fn overlay(text: &str, replacement: &str, start: i32, length: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(SqlError::new(
            SqlState::SUBSTRING_ERROR,
            "negative substring length not allowed",
        ));
    }
    let after = start.checked_add(length).ok_or_else(|| super::integers::out_of_range(Int4))?;
    let (Datum::Text(head), Datum::Text(tail)) =
        (substring(text, 1, Some(start - 1))?, substring(text, after, None)?)
    else {
        return Err(SqlError::internal("a substring is a text"));
    };
    Ok([&*head, replacement, &*tail].concat().into())
}

fn translate(text: &str, from: &str, to: &str) -> Datum {
    let map = |it: char| match from.chars().position(|other| other == it) {
        None => Some(it),
        Some(place) => to.chars().nth(place),
    };
    text.chars().filter_map(map).collect::<String>().into()
}

fn chr(code: i32) -> Result<Datum> {
    let limit = |message: String| Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    match u32::try_from(code) {
        Err(_) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "character number must be positive",
        )),
        Ok(0) => limit("null character not permitted".to_owned()),
        Ok(0x11_0000..) => limit(format!("requested character too large for encoding: {code}")),
        Ok(code) => match char::from_u32(code) {
            Some(character) => Ok(character.to_string().into()),
            None => limit(format!("requested character not valid for encoding: {code}")),
        },
    }
}

fn ascii(text: &str) -> Datum {
    Datum::Int4(text.chars().next().map_or(0, |it| i32::try_from(u32::from(it)).unwrap_or(0)))
}

fn concat(a: &str, b: &str) -> Datum {
    [a, b].concat().into()
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1258, "textcat", &[Text, Text], Text, |_, a| Ok(concat(a.text(0)?, a.text(1)?))),
    f(1317, "length", &[Text], Int4, |_, a| Ok(count(characters(a.text(0)?)))),
    f(1257, "textlen", &[Text], Int4, |_, a| Ok(count(characters(a.text(0)?)))),
    f(1318, "length", &[Bpchar], Int4, |_, a| Ok(count(characters(a.text(0)?.trim_end_matches(' '))))),
    f(1381, "char_length", &[Text], Int4, |_, a| Ok(count(characters(a.text(0)?)))),
    f(1372, "char_length", &[Bpchar], Int4, |_, a| Ok(count(characters(a.text(0)?.trim_end_matches(' '))))),
    f(1369, "character_length", &[Text], Int4, |_, a| Ok(count(characters(a.text(0)?)))),
    f(1367, "character_length", &[Bpchar], Int4, |_, a| Ok(count(characters(a.text(0)?.trim_end_matches(' '))))),
    f(1374, "octet_length", &[Text], Int4, |_, a| Ok(count(a.text(0)?.len()))),
    f(1375, "octet_length", &[Bpchar], Int4, |_, a| Ok(count(a.text(0)?.len()))),
    f(1811, "bit_length", &[Text], Int4, |_, a| Ok(count(a.text(0)?.len() * 8))),
    f(870, "lower", &[Text], Text, |_, a| Ok(case(a.text(0)?, str::to_ascii_lowercase, lower))),
    f(871, "upper", &[Text], Text, |_, a| Ok(case(a.text(0)?, str::to_ascii_uppercase, upper))),
    f(872, "initcap", &[Text], Text, |_, a| Ok(initcap(a.text(0)?))),
    f(883, "substr", &[Text, Int4], Text, |_, a| substring(a.text(0)?, a.int4(1)?, None)),
    f(877, "substr", &[Text, Int4, Int4], Text, |_, a| substring(a.text(0)?, a.int4(1)?, Some(a.int4(2)?))),
    f(937, "substring", &[Text, Int4], Text, |_, a| substring(a.text(0)?, a.int4(1)?, None)),
    f(936, "substring", &[Text, Int4, Int4], Text, |_, a| substring(a.text(0)?, a.int4(1)?, Some(a.int4(2)?))),
    f(3060, "left", &[Text, Int4], Text, |_, a| Ok(left(a.text(0)?, a.int4(1)?))),
    f(3061, "right", &[Text, Int4], Text, |_, a| Ok(right(a.text(0)?, a.int4(1)?))),
    f(873, "lpad", &[Text, Int4, Text], Text, |_, a| pad(a.text(0)?, a.int4(1)?, a.text(2)?, true)),
    f(879, "lpad", &[Text, Int4], Text, |_, a| pad(a.text(0)?, a.int4(1)?, " ", true)),
    f(874, "rpad", &[Text, Int4, Text], Text, |_, a| pad(a.text(0)?, a.int4(1)?, a.text(2)?, false)),
    f(880, "rpad", &[Text, Int4], Text, |_, a| pad(a.text(0)?, a.int4(1)?, " ", false)),
    f(884, "btrim", &[Text, Text], Text, |_, a| Ok(trim(a.text(0)?, a.text(1)?, true, true))),
    f(885, "btrim", &[Text], Text, |_, a| Ok(trim(a.text(0)?, " ", true, true))),
    f(875, "ltrim", &[Text, Text], Text, |_, a| Ok(trim(a.text(0)?, a.text(1)?, true, false))),
    f(881, "ltrim", &[Text], Text, |_, a| Ok(trim(a.text(0)?, " ", true, false))),
    f(876, "rtrim", &[Text, Text], Text, |_, a| Ok(trim(a.text(0)?, a.text(1)?, false, true))),
    f(882, "rtrim", &[Text], Text, |_, a| Ok(trim(a.text(0)?, " ", false, true))),
    f(849, "position", &[Text, Text], Int4, |_, a| Ok(position(a.text(0)?, a.text(1)?))),
    f(868, "strpos", &[Text, Text], Int4, |_, a| Ok(position(a.text(0)?, a.text(1)?))),
    f(2087, "replace", &[Text, Text, Text], Text, |_, a| replace(a.text(0)?, a.text(1)?, a.text(2)?)),
    f(2088, "split_part", &[Text, Text, Int4], Text, |_, a| split_part(a.text(0)?, a.text(1)?, a.int4(2)?)),
    f(1622, "repeat", &[Text, Int4], Text, |_, a| repeat(a.text(0)?, a.int4(1)?)),
    f(3062, "reverse", &[Text], Text, |_, a| Ok(a.text(0)?.chars().rev().collect::<String>().into())),
    f(1404, "overlay", &[Text, Text, Int4, Int4], Text, |_, a| overlay(a.text(0)?, a.text(1)?, a.int4(2)?, a.int4(3)?)),
    f(1405, "overlay", &[Text, Text, Int4], Text, |_, a| overlay(a.text(0)?, a.text(1)?, a.int4(2)?, i32::try_from(characters(a.text(1)?)).unwrap_or(i32::MAX))),
    f(878, "translate", &[Text, Text, Text], Text, |_, a| Ok(translate(a.text(0)?, a.text(1)?, a.text(2)?))),
    f(1620, "ascii", &[Text], Int4, |_, a| Ok(ascii(a.text(0)?))),
    f(1621, "chr", &[Int4], Text, |_, a| chr(a.int4(0)?)),
    f(3696, "starts_with", &[Text, Text], Bool, |_, a| Ok(Datum::Bool(a.text(0)?.starts_with(a.text(1)?)))),
    f(458, "text_larger", &[Text, Text], Text, |_, a| Ok(Datum::text(a.text(0)?.max(a.text(1)?)))),
    f(459, "text_smaller", &[Text, Text], Text, |_, a| Ok(Datum::text(a.text(0)?.min(a.text(1)?)))),
];
