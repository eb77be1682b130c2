//! Values as bytes in temporary files of this process; nothing that another process or version reads.

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use num_bigint::BigInt;
use smol_str::SmolStr;
use uuid::Uuid;

use crate::error::{Result, SqlError};
use crate::exec::spill::failed;
use crate::types::{ArrayValue, Datum, Interval, Numeric, PgType};

/// Appends a value.
pub(super) fn write(value: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Null => out.push(0),
        Datum::Bool(value) => out.extend([1, u8::from(*value)]),
        Datum::Int2(value) => fixed(2, &value.to_le_bytes(), out),
        Datum::Int4(value) => fixed(3, &value.to_le_bytes(), out),
        Datum::Int8(value) => fixed(4, &value.to_le_bytes(), out),
        Datum::Float4(value) => fixed(5, &value.to_le_bytes(), out),
        Datum::Float8(value) => fixed(6, &value.to_le_bytes(), out),
        Datum::Numeric(value) => {
            out.push(7);
            numeric(value, out);
        }
        Datum::Text(value) => counted(8, value.as_bytes(), out),
        Datum::Char(value) => out.extend([9, *value]),
        Datum::Bytea(value) => counted(10, value, out),
        Datum::Uuid(value) => fixed(11, value.as_bytes(), out),
        Datum::Date(value) => fixed(12, &value.to_le_bytes(), out),
        Datum::Time(value) => fixed(13, &value.to_le_bytes(), out),
        Datum::TimeTz(time, zone) => {
            fixed(14, &time.to_le_bytes(), out);
            out.extend(zone.to_le_bytes());
        }
        Datum::Timestamp(value) => fixed(15, &value.to_le_bytes(), out),
        Datum::TimestampTz(value) => fixed(16, &value.to_le_bytes(), out),
        Datum::Interval(value) => {
            fixed(17, &value.months.to_le_bytes(), out);
            out.extend(value.days.to_le_bytes());
            out.extend(value.microseconds.to_le_bytes());
        }
        Datum::Oid(value) => fixed(18, &value.to_le_bytes(), out),
        Datum::Json(value) => counted(19, value.as_bytes(), out),
        Datum::Jsonb(value) => counted(20, value.to_string().as_bytes(), out),
        Datum::Array(value) => array(value, out)?,
        Datum::Record(fields) => {
            out.push(22);
            length(fields.len(), out);
            for (ty, value) in fields.iter() {
                out.extend(ty.oid().to_le_bytes());
                write(value, out)?;
            }
        }
    }
    Ok(())
}

fn fixed(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn length(length: usize, out: &mut Vec<u8>) {
    out.extend(u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes());
}

fn counted(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::NaN => out.push(0),
        Numeric::Infinity => out.push(1),
        Numeric::NegativeInfinity => out.push(2),
        Numeric::Finite { coefficient, scale } => {
            out.push(3);
            out.extend(scale.to_le_bytes());
            let bytes = coefficient.to_signed_bytes_le();
            length(bytes.len(), out);
            out.extend(bytes);
        }
    }
}

fn array(value: &ArrayValue, out: &mut Vec<u8>) -> Result<()> {
    out.push(21);
    out.extend(value.element.oid().to_le_bytes());
    length(value.dimensions.len(), out);
    for (size, lower) in &value.dimensions {
        length(*size, out);
        out.extend(lower.to_le_bytes());
    }
    length(value.elements.len(), out);
    value.elements.iter().try_for_each(|element| write(element, out))
}

/// Reads a value; none at the end of the file.
pub(super) fn read(input: &mut impl Read) -> Result<Option<Datum>> {
    let mut tag = [0];
    match input.read_exact(&mut tag) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(failed(&error)),
    }
    value(tag[0], &mut Reader { input: &mut *input }).map(Some)
}

struct Reader<'a> {
    input: &'a mut dyn Read,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|error| failed(&error))?;
        Ok(bytes)
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(u64::from_le_bytes(self.take()?)).map_err(|_| broken())
    }

    fn counted(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.length()?];
        self.input.read_exact(&mut bytes).map_err(|error| failed(&error))?;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String> {
        String::from_utf8(self.counted()?).map_err(|_| broken())
    }

    fn ty(&mut self) -> Result<PgType> {
        PgType::from_oid(u32::from_le_bytes(self.take()?)).ok_or_else(broken)
    }

    fn next(&mut self) -> Result<Datum> {
        let [tag] = self.take()?;
        value(tag, self)
    }
}

fn value(tag: u8, from: &mut Reader<'_>) -> Result<Datum> {
    Ok(match tag {
        0 => Datum::Null,
        1 => Datum::Bool(from.take::<1>()? != [0]),
        2 => Datum::Int2(i16::from_le_bytes(from.take()?)),
        3 => Datum::Int4(i32::from_le_bytes(from.take()?)),
        4 => Datum::Int8(i64::from_le_bytes(from.take()?)),
        5 => Datum::Float4(f32::from_le_bytes(from.take()?)),
        6 => Datum::Float8(f64::from_le_bytes(from.take()?)),
        7 => Datum::Numeric(Arc::new(read_numeric(from)?)),
        8 => Datum::Text(SmolStr::from(from.text()?)),
        9 => Datum::Char(from.take::<1>()?[0]),
        10 => Datum::Bytea(from.counted()?.into()),
        11 => Datum::Uuid(Uuid::from_bytes(from.take()?)),
        12 => Datum::Date(i32::from_le_bytes(from.take()?)),
        13 => Datum::Time(i64::from_le_bytes(from.take()?)),
        14 => Datum::TimeTz(i64::from_le_bytes(from.take()?), i32::from_le_bytes(from.take()?)),
        15 => Datum::Timestamp(i64::from_le_bytes(from.take()?)),
        16 => Datum::TimestampTz(i64::from_le_bytes(from.take()?)),
        17 => Datum::Interval(Interval {
            months: i32::from_le_bytes(from.take()?),
            days: i32::from_le_bytes(from.take()?),
            microseconds: i64::from_le_bytes(from.take()?),
        }),
        18 => Datum::Oid(u32::from_le_bytes(from.take()?)),
        19 => Datum::Json(from.text()?.into()),
        20 => {
            Datum::Jsonb(Arc::new(serde_json::from_slice(&from.counted()?).map_err(|_| broken())?))
        }
        21 => Datum::Array(Arc::new(read_array(from)?)),
        22 => {
            let count = from.length()?;
            let fields = (0..count).map(|_| Ok((from.ty()?, from.next()?)));
            Datum::Record(fields.collect::<Result<Vec<_>>>()?.into())
        }
        _ => return Err(broken()),
    })
}

fn read_numeric(from: &mut Reader<'_>) -> Result<Numeric> {
    Ok(match from.take::<1>()?[0] {
        0 => Numeric::NaN,
        1 => Numeric::Infinity,
        2 => Numeric::NegativeInfinity,
        _ => {
            let scale = u32::from_le_bytes(from.take()?);
            Numeric::Finite { coefficient: BigInt::from_signed_bytes_le(&from.counted()?), scale }
        }
    })
}

fn read_array(from: &mut Reader<'_>) -> Result<ArrayValue> {
    let element = from.ty()?;
    let count = from.length()?;
    let dimensions = (0..count).map(|_| Ok((from.length()?, i32::from_le_bytes(from.take()?))));
    let dimensions = dimensions.collect::<Result<_>>()?;
    let count = from.length()?;
    let elements = (0..count).map(|_| from.next()).collect::<Result<_>>()?;
    Ok(ArrayValue { element, dimensions, elements })
}

fn broken() -> SqlError {
    SqlError::internal("a temporary file for sorting does not hold what was written to it")
}
