//! Values of any type as JSON: what `to_json`, `json_agg` and their kin give.

use super::{DEPTH_MAX, check, number, object, read, write as write_jsonb, write_string};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::Settings;
use crate::types::datetime::write_iso;
use crate::types::text::{self, number::read_float8};
use crate::types::{ArrayValue, Datum, Jsonb, PgType, numeric};

fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
}

/// Writes a value as JSON text.
pub(crate) fn write_json(
    value: &Datum,
    ty: PgType,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<()> {
    write_at(value, ty, settings, 0, out)
}

fn write_at(
    value: &Datum,
    ty: PgType,
    settings: &Settings,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    match value {
        Datum::Null => out.extend_from_slice(b"null"),
        Datum::Bool(it) => out.extend_from_slice(if *it { b"true" } else { b"false" }),
        Datum::Int2(_)
        | Datum::Int4(_)
        | Datum::Int8(_)
        | Datum::Float4(_)
        | Datum::Float8(_)
        | Datum::Numeric(_) => {
            let start = out.len();
            text::write(value, ty, settings, out);
            let special = out[start..].iter().any(|byte| matches!(byte, b'N' | b'I'));
            if special {
                let word = out.split_off(start);
                write_string(&String::from_utf8_lossy(&word), out);
            }
        }
        Datum::Json(it) => out.extend_from_slice(it.as_bytes()),
        Datum::Jsonb(it) => write_jsonb(it, out),
        Datum::Date(_) | Datum::Timestamp(_) | Datum::TimestampTz(_) => {
            out.push(b'"');
            write_iso(value, &settings.time_zone, out);
            out.push(b'"');
        }
        Datum::Array(array) if !ty.is_vector() => {
            let mut elements = array.elements.iter();
            write_level(array, &array.dimensions, &mut elements, settings, depth, out)?;
        }
        Datum::Record(fields) => {
            out.push(b'{');
            for (place, (ty, field)) in fields.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(format!("\"f{}\":", place + 1).as_bytes());
                write_at(field, *ty, settings, depth + 1, out)?;
            }
            out.push(b'}');
        }
        other => write_string(&text::to_string(other, ty, settings), out),
    }
    Ok(())
}

fn write_level<'a>(
    array: &ArrayValue,
    dimensions: &[(usize, i32)],
    elements: &mut impl Iterator<Item = &'a Datum>,
    settings: &Settings,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.push(b'[');
    if let [(length, _), inner @ ..] = dimensions {
        for place in 0..*length {
            if place > 0 {
                out.push(b',');
            }
            if inner.is_empty() {
                let element = elements.next().unwrap_or(&Datum::Null);
                write_at(element, array.element, settings, depth + 1, out)?;
            } else {
                write_level(array, inner, elements, settings, depth, out)?;
            }
        }
    }
    out.push(b']');
    Ok(())
}

/// A value as JSON text.
pub(crate) fn to_json(value: &Datum, ty: PgType, settings: &Settings) -> Result<String> {
    let mut out = Vec::new();
    write_json(value, ty, settings, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// A value as a `jsonb` tree.
pub(crate) fn to_jsonb(value: &Datum, ty: PgType, settings: &Settings) -> Result<Jsonb> {
    Ok(match value {
        Datum::Null => Jsonb::Null,
        Datum::Bool(it) => Jsonb::Bool(*it),
        Datum::Int2(it) => Jsonb::from(*it),
        Datum::Int4(it) => Jsonb::from(*it),
        Datum::Int8(it) => Jsonb::from(*it),
        Datum::Numeric(it) => number(it),
        Datum::Float4(_) | Datum::Float8(_) => {
            let shown = text::to_string(value, ty, settings);
            match read_float8(&shown) {
                Ok(it) if it.is_finite() => number(&numeric::read(&shown)?),
                _ => Jsonb::String(shown),
            }
        }
        Datum::Json(it) => read(it)?,
        Datum::Jsonb(it) => (**it).clone(),
        Datum::Array(array) if !ty.is_vector() => {
            level_to_jsonb(array, &array.dimensions, &mut array.elements.iter(), settings)?
        }
        Datum::Record(fields) => {
            let convert = |(place, (ty, field)): (usize, &(PgType, Datum))| {
                Ok((format!("f{}", place + 1), to_jsonb(field, *ty, settings)?))
            };
            object(fields.iter().enumerate().map(convert).collect::<Result<_>>()?)
        }
        Datum::Date(_) | Datum::Timestamp(_) | Datum::TimestampTz(_) => {
            let mut out = Vec::new();
            write_iso(value, &settings.time_zone, &mut out);
            Jsonb::String(String::from_utf8_lossy(&out).into_owned())
        }
        other => Jsonb::String(text::to_string(other, ty, settings)),
    })
}

fn level_to_jsonb<'a>(
    array: &ArrayValue,
    dimensions: &[(usize, i32)],
    elements: &mut impl Iterator<Item = &'a Datum>,
    settings: &Settings,
) -> Result<Jsonb> {
    let [(length, _), inner @ ..] = dimensions else { return Ok(Jsonb::Array(vec![])) };
    let mut items = Vec::with_capacity(*length);
    for _ in 0..*length {
        items.push(if inner.is_empty() {
            to_jsonb(elements.next().unwrap_or(&Datum::Null), array.element, settings)?
        } else {
            level_to_jsonb(array, inner, elements, settings)?
        });
    }
    Ok(Jsonb::Array(items))
}

/// A value as an object's key.
pub(crate) fn key(value: &Datum, ty: PgType, settings: &Settings) -> Result<String> {
    if matches!(value, Datum::Array(_) | Datum::Record(_) | Datum::Json(_) | Datum::Jsonb(_)) {
        let message = "key value must be scalar, not array, composite, or json";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if matches!(
        value,
        Datum::Bool(_) | Datum::Date(_) | Datum::Timestamp(_) | Datum::TimestampTz(_)
    ) {
        let shown = to_json(value, ty, settings)?;
        return Ok(shown.trim_matches('"').to_owned());
    }
    Ok(text::to_string(value, ty, settings))
}

/// A record's fields under their names, as JSON text.
pub(crate) fn named_record(
    fields: &[(PgType, Datum)],
    names: &[String],
    settings: &Settings,
) -> Result<String> {
    let mut out = vec![b'{'];
    for (place, ((ty, value), name)) in fields.iter().zip(names).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_string(name, &mut out);
        out.push(b':');
        write_json(value, *ty, settings, &mut out)?;
    }
    out.push(b'}');
    debug_assert!(check(&String::from_utf8_lossy(&out)).is_ok());
    Ok(String::from_utf8_lossy(&out).into_owned())
}
