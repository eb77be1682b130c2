//! Between the string types, and the fitting of strings to a length.

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::text::clip_name;
use crate::types::typmod;

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// A text cut to a length. Losing more than blanks is an error, unless the cast is written out.
fn cut<'a>(text: &'a str, length: usize, explicit: bool, name: &str) -> Result<&'a str> {
    let Some((end, _)) = text.char_indices().nth(length) else { return Ok(text) };
    let (kept, lost) = text.split_at(end);
    if !explicit && lost.bytes().any(|byte| byte != b' ') {
        let message = format!("value too long for type {name}({length})");
        return Err(SqlError::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, message));
    }
    Ok(kept)
}

fn bpchar(text: &str, modifier: i32, explicit: bool) -> Result<Datum> {
    let Some(length) = typmod::length(modifier) else { return Ok(Datum::text(text)) };
    let kept = cut(text, length, explicit, "character")?;
    let present = kept.chars().count();
    if present == length {
        return Ok(Datum::text(kept));
    }
    Ok(format!("{kept}{}", " ".repeat(length - present)).into())
}

fn varchar(text: &str, modifier: i32, explicit: bool) -> Result<Datum> {
    let Some(length) = typmod::length(modifier) else { return Ok(Datum::text(text)) };
    cut(text, length, explicit, "character varying").map(Datum::text)
}

fn name(text: &str) -> Datum {
    Datum::text(clip_name(text))
}

fn of_char(value: u8) -> Datum {
    if value == 0 { Datum::text("") } else { Datum::text(String::from_utf8_lossy(&[value])) }
}

fn to_char(text: &str) -> Datum {
    Datum::Char(text.bytes().next().unwrap_or(0))
}

fn char_of_integer(value: i32) -> Result<Datum> {
    i8::try_from(value)
        .map(|it| Datum::Char(it.cast_unsigned()))
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range"))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(668, "bpchar", &[Bpchar, Int4, Bool], Bpchar, |_, a| bpchar(a.text(0)?, a.int4(1)?, a.bool(2)?)),
    f(669, "varchar", &[Varchar, Int4, Bool], Varchar, |_, a| varchar(a.text(0)?, a.int4(1)?, a.bool(2)?)),
    f(401, "text", &[Bpchar], Text, |_, a| Ok(Datum::text(a.text(0)?.trim_end_matches(' ')))),
    f(406, "text", &[Name], Text, |_, a| Ok(Datum::text(a.text(0)?))),
    f(946, "text", &[Char], Text, |_, a| Ok(of_char(a.char(0)?))),
    f(408, "bpchar", &[Name], Bpchar, |_, a| Ok(Datum::text(a.text(0)?))),
    f(860, "bpchar", &[Char], Bpchar, |_, a| Ok(of_char(a.char(0)?))),
    f(1401, "varchar", &[Name], Varchar, |_, a| Ok(Datum::text(a.text(0)?))),
    f(407, "name", &[Text], Name, |_, a| Ok(name(a.text(0)?))),
    f(1400, "name", &[Varchar], Name, |_, a| Ok(name(a.text(0)?))),
    f(409, "name", &[Bpchar], Name, |_, a| Ok(name(a.text(0)?.trim_end_matches(' ')))),
    f(944, "char", &[Text], Char, |_, a| Ok(to_char(a.text(0)?))),
    f(78, "char", &[Int4], Char, |_, a| char_of_integer(a.int4(0)?)),
    f(77, "int4", &[Char], Int4, |_, a| Ok(Datum::Int4(i32::from(a.char(0)?.cast_signed())))),
];
