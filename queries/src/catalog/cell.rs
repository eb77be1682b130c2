//! The values that catalog rows are made of.

use std::sync::Arc;

use crate::types::{ArrayValue, Datum, PgType};

/// An `oid` or `reg*`.
pub(crate) fn oid(oid: u32) -> Datum {
    Datum::Oid(oid)
}

/// A string type.
pub(crate) fn text(text: impl AsRef<str>) -> Datum {
    Datum::text(text)
}

/// A string type, or null.
pub(crate) fn text_or_null(value: Option<impl AsRef<str>>) -> Datum {
    value.map_or(Datum::Null, text)
}

/// A `"char"`.
pub(crate) fn letter(letter: u8) -> Datum {
    Datum::Char(letter)
}

/// A `bool`.
pub(crate) fn bool(value: bool) -> Datum {
    Datum::Bool(value)
}

/// `YES` or `NO`, as `information_schema` says it.
pub(crate) fn yes_or_no(value: bool) -> Datum {
    text(if value { "YES" } else { "NO" })
}

/// An `int2`, from any place or length.
pub(crate) fn int2(value: impl TryInto<i16>) -> Datum {
    Datum::Int2(value.try_into().unwrap_or(i16::MAX))
}

/// An `int4`, from any number.
pub(crate) fn int4(value: impl TryInto<i32>) -> Datum {
    Datum::Int4(value.try_into().unwrap_or(i32::MAX))
}

/// An `int8`.
pub(crate) fn int8(value: i64) -> Datum {
    Datum::Int8(value)
}

/// A `timestamptz`, or null.
pub(crate) fn time(value: Option<i64>) -> Datum {
    value.map_or(Datum::Null, Datum::TimestampTz)
}

/// An array of one dimension.
pub(crate) fn array(element: PgType, elements: Vec<Datum>) -> Datum {
    list(element, elements, 1)
}

/// An `oidvector`.
pub(crate) fn oids(values: impl IntoIterator<Item = u32>) -> Datum {
    list(PgType::Oid, values.into_iter().map(oid).collect(), 0)
}

/// An `int2vector` of column numbers, from places.
pub(crate) fn column_vector(places: &[usize]) -> Datum {
    list(PgType::Int2, places.iter().map(|place| int2(place + 1)).collect(), 0)
}

/// An `int2[]` of column numbers, from places.
pub(crate) fn column_numbers(places: &[usize]) -> Datum {
    array(PgType::Int2, places.iter().map(|place| int2(place + 1)).collect())
}

fn list(element: PgType, elements: Vec<Datum>, lower: i32) -> Datum {
    let dimensions = if elements.is_empty() { vec![] } else { vec![(elements.len(), lower)] };
    Datum::Array(Arc::new(ArrayValue { element, dimensions, elements }))
}

/// What a column that is never null holds where nothing is said of it.
pub(crate) fn nothing(ty: PgType) -> Datum {
    match ty {
        PgType::Bool => bool(false),
        PgType::Int2 => Datum::Int2(0),
        PgType::Int4 => Datum::Int4(0),
        PgType::Int8 => Datum::Int8(0),
        PgType::Float4 => Datum::Float4(0.0),
        PgType::Float8 => Datum::Float8(0.0),
        PgType::Char => Datum::Char(0),
        PgType::TimestampTz => Datum::TimestampTz(0),
        PgType::Int2Vector => list(PgType::Int2, Vec::new(), 0),
        PgType::OidVector => list(PgType::Oid, Vec::new(), 0),
        PgType::Oid | PgType::Xid | PgType::Cid => oid(0),
        _ if ty.is_reg() => oid(0),
        _ if ty.is_array() => array(ty.element().unwrap_or(PgType::Text), Vec::new()),
        _ => text(""),
    }
}
