//! Arrays and records in binary.

use std::sync::Arc;

use super::reader::Reader;
use super::{invalid, read_value, write};
use crate::error::{Result, SqlError, SqlState};
use crate::types::text::{DIMENSIONS_MAX, ELEMENTS_MAX, too_large, too_many_dimensions};
use crate::types::{ArrayValue, Datum, PgType};

/// Records within records at most.
const DEPTH_MAX: usize = 64;

/// Reads an array or a vector.
pub(super) fn read_array(ty: PgType, reader: &mut Reader<'_>) -> Result<Datum> {
    let element = ty.element().ok_or_else(|| invalid("wrong element type"))?;
    let count = reader.i32()?;
    let Ok(count) = usize::try_from(count) else {
        return Err(invalid(format!("invalid number of dimensions: {count}")));
    };
    if count > DIMENSIONS_MAX {
        return Err(too_many_dimensions(count));
    }
    let flags = reader.i32()?;
    if !(0..=1).contains(&flags) {
        return Err(invalid("invalid array flags"));
    }
    let sent = reader.u32()?;
    if sent != element.oid() {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {sent} ({}) instead of expected {} ({element})",
                PgType::from_oid(sent).map_or("???", PgType::name),
                element.oid()
            ),
        ));
    }
    let mut dimensions = Vec::with_capacity(count);
    let mut elements_count: usize = 1;
    for _ in 0..count {
        let length = usize::try_from(reader.i32()?).map_err(|_| invalid("invalid array length"))?;
        let lower = reader.i32()?;
        if i32::try_from(length).ok().and_then(|it| lower.checked_add(it)).is_none() {
            let message = format!("array lower bound is too large: {lower}");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        dimensions.push((length, lower));
        elements_count = elements_count
            .checked_mul(length)
            .filter(|it| *it <= ELEMENTS_MAX)
            .ok_or_else(too_large)?;
    }
    let elements_count = if count == 0 { 0 } else { elements_count };
    if elements_count == 0 && !ty.is_vector() {
        return Ok(Datum::Array(Arc::new(ArrayValue {
            element,
            dimensions: vec![],
            elements: vec![],
        })));
    }
    // Each element has at least its length, so that a short message cannot claim a large array.
    let mut elements = Vec::with_capacity(elements_count.min(reader.len() / 4));
    for _ in 0..elements_count {
        elements.push(read_sized(element, reader)?);
    }
    if ty.is_vector() && (dimensions.len() > 1 || elements.iter().any(Datum::is_null)) {
        return Err(invalid(format!("invalid {} data", ty.typname())));
    }
    let dimensions = if ty.is_vector() { vec![(elements.len(), 0)] } else { dimensions };
    Ok(Datum::Array(Arc::new(ArrayValue { element, dimensions, elements })))
}

/// A value with its length in front; -1 is null.
fn read_sized(ty: PgType, reader: &mut Reader<'_>) -> Result<Datum> {
    let length = reader.i32()?;
    if length == -1 {
        return Ok(Datum::Null);
    }
    let length =
        usize::try_from(length).map_err(|_| invalid("insufficient data left in message"))?;
    let mut inner = Reader::new(reader.take(length)?);
    let value = read_value(ty, &mut inner)?;
    if inner.is_empty() {
        Ok(value)
    } else {
        Err(invalid("improper binary format in array element 1"))
    }
}

/// Writes an array or a vector.
pub(super) fn write_array(array: &ArrayValue, ty: PgType, out: &mut Vec<u8>) {
    let element =
        if ty.is_vector() { ty.element().unwrap_or(array.element) } else { array.element };
    let int = |value: usize| i32::try_from(value).unwrap_or(i32::MAX).to_be_bytes();
    let has_null = array.elements.iter().any(Datum::is_null);
    out.extend_from_slice(&int(array.dimensions.len()));
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&element.oid().to_be_bytes());
    for (length, lower) in &array.dimensions {
        out.extend_from_slice(&int(*length));
        out.extend_from_slice(&lower.to_be_bytes());
    }
    for value in &array.elements {
        write_sized(value, element, out);
    }
}

fn write_sized(value: &Datum, ty: PgType, out: &mut Vec<u8>) {
    if value.is_null() {
        return out.extend_from_slice(&(-1_i32).to_be_bytes());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(value, ty, out);
    let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Reads a record: each field with its type.
pub(super) fn read_record(reader: &mut Reader<'_>) -> Result<Datum> {
    read_record_at(reader, 0)
}

fn read_record_at(reader: &mut Reader<'_>, depth: usize) -> Result<Datum> {
    let count = reader.i32()?;
    let count =
        usize::try_from(count).map_err(|_| invalid(format!("wrong number of columns: {count}")))?;
    if depth > DEPTH_MAX {
        return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
    }
    let mut fields = Vec::with_capacity(count.min(reader.len() / 8));
    for _ in 0..count {
        let oid = reader.u32()?;
        let ty = PgType::from_oid(oid)
            .ok_or_else(|| invalid(format!("unknown type {oid} in a record")))?;
        let value = if ty == PgType::Record {
            match reader.i32()? {
                -1 => Datum::Null,
                length => {
                    let length = usize::try_from(length)
                        .map_err(|_| invalid("invalid length in a record"))?;
                    read_record_at(&mut Reader::new(reader.take(length)?), depth + 1)?
                }
            }
        } else {
            read_sized(ty, reader)?
        };
        fields.push((ty, value));
    }
    Ok(Datum::Record(fields.into()))
}

/// Writes a record.
pub(super) fn write_record(fields: &[(PgType, Datum)], out: &mut Vec<u8>) {
    out.extend_from_slice(&i32::try_from(fields.len()).unwrap_or(i32::MAX).to_be_bytes());
    for (ty, value) in fields {
        out.extend_from_slice(&ty.oid().to_be_bytes());
        write_sized(value, *ty, out);
    }
}
