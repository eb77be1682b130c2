//! The text forms of values: what a literal, a parameter in text format or a COPY field is read from, and what a
//! client sees.
//!
//! One module for each family of types. Reading fails with PostgreSQL's SQLSTATE and message; writing cannot fail.
//! Both depend on the session's settings (time zone, order of day and month, digits of floats), never on anything
//! else of the statement but the time of its transaction, which `now` and `today` mean.

mod array;
pub(crate) mod bytes;
pub(crate) mod number;
mod record;
mod reg;
mod simple;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::{EvalContext, Settings};
use crate::types::{Datum, PgType, datetime, json, jsonpath, numeric};

pub use array::quote_element;
pub(crate) use array::{DIMENSIONS_MAX, ELEMENTS_MAX, too_large, too_many_dimensions};
pub use record::quote_field;
pub(crate) use simple::{NAME_BYTES_MAX, clip_name};

/// What reading a text depends on.
#[derive(Clone, Copy, Debug)]
pub struct ReadContext<'a> {
    /// The session's settings.
    pub settings: &'a Settings,
    /// The time of the transaction in microseconds since 2000-01-01 UTC, for `now` and its kin.
    pub now: i64,
}

impl<'a> ReadContext<'a> {
    /// What an expression's context says.
    pub fn of(context: &EvalContext<'a>) -> Self {
        Self { settings: &context.exec.settings, now: context.exec.transaction_time }
    }
}

/// Reads a value of a type. A type modifier is applied afterwards, by the type's length coercion.
pub fn read(ty: PgType, text: &str, context: &ReadContext<'_>) -> Result<Datum> {
    Ok(match ty {
        PgType::Bool => Datum::Bool(simple::read_bool(text)?),
        PgType::Int2 => Datum::Int2(number::read_int(text, PgType::Int2)?),
        PgType::Int4 => Datum::Int4(number::read_int(text, PgType::Int4)?),
        PgType::Int8 => Datum::Int8(number::read_int(text, PgType::Int8)?),
        PgType::Float4 => Datum::Float4(number::read_float4(text)?),
        PgType::Float8 => Datum::Float8(number::read_float8(text)?),
        PgType::Numeric => Datum::from(numeric::read(text)?),
        PgType::Oid | PgType::Xid | PgType::Cid => Datum::Oid(number::read_oid(text, ty)?),
        PgType::Xid8 => Datum::Int8(number::read_xid8(text)),
        PgType::Char => Datum::Char(text.bytes().next().unwrap_or(0)),
        PgType::Name => Datum::text(simple::clip_name(text)),
        PgType::Bytea => Datum::Bytea(bytes::read(text)?.into()),
        PgType::Uuid => Datum::Uuid(simple::read_uuid(text)?),
        PgType::Date
        | PgType::Time
        | PgType::TimeTz
        | PgType::Timestamp
        | PgType::TimestampTz
        | PgType::Interval => datetime::read(ty, text, context)?,
        PgType::Json => json::check(text).map(|()| Datum::Json(text.into()))?,
        PgType::Jsonb => Datum::Jsonb(json::read(text)?.into()),
        PgType::Jsonpath => Datum::from(jsonpath::read(text)?),
        PgType::Int2Vector | PgType::OidVector => array::read_vector(ty, text)?,
        PgType::Record => {
            return Err(unreadable("input of anonymous composite types is not implemented"));
        }
        PgType::Void => Datum::Null,
        _ if ty.is_array() => array::read(ty, text, context)?,
        _ if ty.is_reg() => Datum::Oid(reg::read(ty, text, context)?),
        PgType::Text
        | PgType::Varchar
        | PgType::Bpchar
        | PgType::Unknown
        | PgType::Cstring
        | PgType::Tid
        | PgType::AclItem
        | PgType::PgNodeTree => Datum::text(text),
        _ => return Err(unreadable(&format!("cannot accept a value of type {ty}"))),
    })
}

fn unreadable(message: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// Writes a value of a type; nothing for null.
pub fn write(value: &Datum, ty: PgType, settings: &Settings, out: &mut Vec<u8>) {
    match value {
        Datum::Null | Datum::Char(0) => {}
        Datum::Bool(it) => out.push(if *it { b't' } else { b'f' }),
        Datum::Int2(it) => number::write_int(i64::from(*it), out),
        Datum::Int4(it) => number::write_int(i64::from(*it), out),
        Datum::Int8(it) if ty == PgType::Xid8 => number::write_u64(it.cast_unsigned(), out),
        Datum::Int8(it) => number::write_int(*it, out),
        Datum::Float4(it) => number::write_float4(*it, settings.extra_float_digits, out),
        Datum::Float8(it) => number::write_float8(*it, settings.extra_float_digits, out),
        Datum::Numeric(it) => numeric::write(it, out),
        Datum::Text(it) => out.extend_from_slice(it.as_bytes()),
        Datum::Char(it) => out.push(*it),
        Datum::Bytea(it) => bytes::write(it, settings.bytea_escape, out),
        Datum::Uuid(it) => {
            let mut buffer = uuid::Uuid::encode_buffer();
            out.extend_from_slice(it.hyphenated().encode_lower(&mut buffer).as_bytes());
        }
        Datum::Date(_)
        | Datum::Time(_)
        | Datum::TimeTz(..)
        | Datum::Timestamp(_)
        | Datum::TimestampTz(_)
        | Datum::Interval(_) => datetime::write_in(value, settings, out),
        Datum::Oid(it) if ty.is_reg() => reg::write(ty, *it, settings, out),
        Datum::Oid(it) => number::write_u64(u64::from(*it), out),
        Datum::Json(it) => out.extend_from_slice(it.as_bytes()),
        Datum::Jsonb(it) => json::write(it, out),
        Datum::Array(it) if ty.is_vector() => array::write_vector(it, out),
        Datum::Array(it) => array::write(it, settings, out),
        Datum::Record(it) => record::write(it, settings, out),
    }
}

/// The text form as a string; a `"char"` that is no character on its own becomes the replacement character.
pub fn to_string(value: &Datum, ty: PgType, settings: &Settings) -> String {
    let mut out = Vec::new();
    write(value, ty, settings, &mut out);
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The error for a text that is no value of a type.
pub(crate) fn invalid_syntax(ty: PgType, text: &str) -> SqlError {
    let message = format!("invalid input syntax for type {ty}: \"{text}\"");
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
}

/// What C's `isspace` takes for white space.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// A text without C's white space around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
}
