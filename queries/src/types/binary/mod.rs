//! The binary forms of values, as the protocol sends and receives them and as COPY writes them.
//!
//! Bytes from a client are checked: what is malformed is 22P03 or 08P01, never a panic. Everything is big-endian.

mod nested;
mod number;
mod reader;

use std::sync::Arc;

use super::text::bytes;
use super::{Datum, Interval, PgType, json, jsonpath};
use crate::error::{Result, SqlError, SqlState};
use reader::Reader;

pub(crate) use number::{read_numeric, write_numeric};
pub(crate) use reader::invalid_utf8;

/// Reads a value of a type from all of the bytes.
pub fn read(ty: PgType, bytes: &[u8]) -> Result<Datum> {
    let mut reader = Reader::new(bytes);
    let value = read_value(ty, &mut reader)?;
    if !reader.is_empty() {
        return Err(invalid("incorrect binary data format"));
    }
    Ok(value)
}

/// The error for bytes that are no value.
fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

fn out_of_range(ty: PgType) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{ty} out of range"))
}

fn read_value(ty: PgType, reader: &mut Reader<'_>) -> Result<Datum> {
    Ok(match ty {
        PgType::Bool => Datum::Bool(reader.u8()? != 0),
        PgType::Int2 => Datum::Int2(reader.i16()?),
        PgType::Int4 => Datum::Int4(reader.i32()?),
        PgType::Int8 | PgType::Xid8 => Datum::Int8(reader.i64()?),
        PgType::Float4 => Datum::Float4(f32::from_bits(reader.u32()?)),
        PgType::Float8 => Datum::Float8(f64::from_bits(reader.u64()?)),
        PgType::Numeric => Datum::from(read_numeric(reader)?),
        PgType::Char => Datum::Char(reader.u8()?),
        PgType::Bytea => Datum::Bytea(reader.rest().into()),
        PgType::Uuid => Datum::Uuid(uuid::Uuid::from_bytes(reader.array()?)),
        PgType::Date => Datum::Date(reader.i32()?).in_range(ty)?,
        PgType::Time => Datum::Time(reader.i64()?).in_range(ty)?,
        PgType::TimeTz => Datum::TimeTz(reader.i64()?, reader.i32()?).in_range(ty)?,
        PgType::Timestamp => Datum::Timestamp(reader.i64()?).in_range(ty)?,
        PgType::TimestampTz => Datum::TimestampTz(reader.i64()?).in_range(ty)?,
        PgType::Interval => {
            let microseconds = reader.i64()?;
            let days = reader.i32()?;
            Datum::Interval(Interval { months: reader.i32()?, days, microseconds })
        }
        PgType::Oid | PgType::Xid | PgType::Cid => Datum::Oid(reader.u32()?),
        PgType::Json => {
            let text = reader.text()?;
            json::check(text)?;
            Datum::Json(text.into())
        }
        PgType::Jsonb => match reader.u8()? {
            1 => Datum::Jsonb(Arc::new(json::read(reader.text()?)?)),
            version => {
                return Err(SqlError::internal(format!(
                    "unsupported jsonb version number {version}"
                )));
            }
        },
        PgType::Jsonpath => match reader.u8()? {
            1 => Datum::from(jsonpath::read(reader.text()?)?),
            version => {
                return Err(SqlError::internal(format!(
                    "unsupported jsonpath version number: {version}"
                )));
            }
        },
        PgType::Int2Vector | PgType::OidVector => nested::read_array(ty, reader)?,
        PgType::Record => nested::read_record(reader)?,
        PgType::Name => {
            let text = reader.text()?;
            if text.len() > crate::types::text::NAME_BYTES_MAX {
                let error = SqlError::new(SqlState::INVALID_NAME, "identifier too long");
                return Err(error.with_detail("Identifier must be less than 64 characters."));
            }
            Datum::text(text)
        }
        PgType::Void => Datum::Null,
        _ if ty.is_array() => nested::read_array(ty, reader)?,
        _ if ty.is_reg() => Datum::Oid(reader.u32()?),
        PgType::Text | PgType::Varchar | PgType::Bpchar | PgType::Unknown | PgType::Cstring => {
            Datum::text(reader.text()?)
        }
        PgType::Tid => {
            let block = reader.u32()?;
            let offset = reader.i16()?.cast_unsigned();
            Datum::text(format!("({block},{offset})"))
        }
        _ => {
            let message = format!("no binary input function available for type {ty}");
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message));
        }
    })
}

impl Datum {
    /// The value itself, if it lies within the limits of its type.
    fn in_range(self, ty: PgType) -> Result<Self> {
        const DATE: std::ops::Range<i32> = -2_451_545..2_145_031_949;
        const TIMESTAMP: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;
        const TIME: std::ops::RangeInclusive<i64> = 0..=86_400_000_000;
        const ZONE: std::ops::RangeInclusive<i32> = -57_599..=57_599;
        let fits = match &self {
            Self::Date(it) => DATE.contains(it) || *it == i32::MIN || *it == i32::MAX,
            Self::Time(it) => TIME.contains(it),
            Self::TimeTz(time, zone) if TIME.contains(time) && !ZONE.contains(zone) => {
                let message = "time zone displacement out of range";
                return Err(SqlError::new(SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE, message));
            }
            Self::TimeTz(time, _) => TIME.contains(time),
            Self::Timestamp(it) | Self::TimestampTz(it) => {
                TIMESTAMP.contains(it) || *it == i64::MIN || *it == i64::MAX
            }
            _ => true,
        };
        if fits {
            return Ok(self);
        }
        Err(match ty {
            PgType::Time | PgType::TimeTz => {
                SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range")
            }
            PgType::Date => out_of_range(ty),
            _ => SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"),
        })
    }
}

/// Writes the bytes of a value of a type, without their length; nothing for null.
pub fn write(value: &Datum, ty: PgType, out: &mut Vec<u8>) {
    match value {
        Datum::Null => {}
        Datum::Bool(it) => out.push(u8::from(*it)),
        Datum::Int2(it) => out.extend_from_slice(&it.to_be_bytes()),
        Datum::Int4(it) | Datum::Date(it) => out.extend_from_slice(&it.to_be_bytes()),
        Datum::Int8(it) | Datum::Time(it) | Datum::Timestamp(it) | Datum::TimestampTz(it) => {
            out.extend_from_slice(&it.to_be_bytes());
        }
        Datum::Float4(it) => out.extend_from_slice(&it.to_bits().to_be_bytes()),
        Datum::Float8(it) => out.extend_from_slice(&it.to_bits().to_be_bytes()),
        Datum::Numeric(it) => write_numeric(it, out),
        Datum::Text(it) if ty == PgType::Tid => number::write_tid(it, out),
        Datum::Text(it) if ty == PgType::Jsonpath => {
            out.push(1);
            out.extend_from_slice(it.as_bytes());
        }
        Datum::Text(it) => out.extend_from_slice(it.as_bytes()),
        Datum::Char(it) => out.push(*it),
        Datum::Bytea(it) => out.extend_from_slice(it),
        Datum::Uuid(it) => out.extend_from_slice(it.as_bytes()),
        Datum::TimeTz(time, zone) => {
            out.extend_from_slice(&time.to_be_bytes());
            out.extend_from_slice(&zone.to_be_bytes());
        }
        Datum::Interval(it) => {
            out.extend_from_slice(&it.microseconds.to_be_bytes());
            out.extend_from_slice(&it.days.to_be_bytes());
            out.extend_from_slice(&it.months.to_be_bytes());
        }
        Datum::Oid(it) => out.extend_from_slice(&it.to_be_bytes()),
        Datum::Json(it) => out.extend_from_slice(it.as_bytes()),
        Datum::Jsonb(it) => {
            out.push(1);
            json::write(it, out);
        }
        Datum::Array(it) => nested::write_array(it, ty, out),
        Datum::Record(it) => nested::write_record(it, out),
    }
}

/// The hexadecimal digits of a value's binary form, for messages.
pub fn to_hex(value: &Datum, ty: PgType) -> String {
    let (mut form, mut digits) = (Vec::new(), Vec::new());
    write(value, ty, &mut form);
    bytes::write_hex(&form, &mut digits);
    String::from_utf8_lossy(&digits).into_owned()
}
