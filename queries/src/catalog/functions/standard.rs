//! What PostgreSQL keeps in schema `information_schema` for its views and JDBC uses on its own.

use super::objects;
use crate::error::Result;
use crate::types::Datum;
use crate::types::PgType::{self, *};
use crate::types::functions::define::{Rows, f, rows};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction, SetFunction};

pub(crate) static TABLE: FunctionTable = FunctionTable {
    schema: "information_schema",
    scalars: FUNCTIONS,
    aggregates: &[],
    sets: SETS,
    windows: &[],
};

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(13209, "_pg_index_position", &[Oid, Int2], Int4, |c, a| {
        let (objects, column) = (objects(c), a.int2(1)?);
        let Some(crate::catalog::objects::Found::Index(_, index)) = objects.found(a.oid(0)?) else { return Ok(Datum::Null) };
        let place = index.columns.iter().position(|place| i16::try_from(place + 1) == Ok(column));
        Ok(place.map_or(Datum::Null, |place| crate::catalog::cell::int4(place + 1)))
    }).stable(),
    f(13212, "_pg_char_max_length", &[Oid, Int4], Int4, |_, a| Ok(match (of(a)?, a.int4(1)?) {
        (Some(Bpchar | Varchar), typmod) if typmod != -1 => Datum::Int4(typmod - 4),
        _ => Datum::Null,
    })),
    f(13213, "_pg_char_octet_length", &[Oid, Int4], Int4, |_, a| Ok(match (of(a)?, a.int4(1)?) {
        (Some(Bpchar | Varchar), typmod) if typmod != -1 => Datum::Int4((typmod - 4).saturating_mul(4)),
        (Some(Text | Bpchar | Varchar), _) => Datum::Int4(1 << 30),
        _ => Datum::Null,
    })),
    f(13215, "_pg_numeric_precision", &[Oid, Int4], Int4, |_, a| Ok(match of(a)? {
        Some(Int2) => Datum::Int4(16),
        Some(Int4) => Datum::Int4(32),
        Some(Int8) => Datum::Int4(64),
        Some(Float4) => Datum::Int4(24),
        Some(Float8) => Datum::Int4(53),
        Some(Numeric) if a.int4(1)? != -1 => Datum::Int4(((a.int4(1)? - 4) >> 16) & 0xffff),
        _ => Datum::Null,
    })),
    f(13216, "_pg_numeric_precision_radix", &[Oid, Int4], Int4, |_, a| Ok(match of(a)? {
        Some(Int2 | Int4 | Int8 | Float4 | Float8) => Datum::Int4(2),
        Some(Numeric) => Datum::Int4(10),
        _ => Datum::Null,
    })),
    f(13217, "_pg_numeric_scale", &[Oid, Int4], Int4, |_, a| Ok(match of(a)? {
        Some(Int2 | Int4 | Int8) => Datum::Int4(0),
        Some(Numeric) if a.int4(1)? != -1 => Datum::Int4((a.int4(1)? - 4) & 0xffff),
        _ => Datum::Null,
    })),
    f(13218, "_pg_datetime_precision", &[Oid, Int4], Int4, |_, a| Ok(match (of(a)?, a.int4(1)?) {
        (Some(Date), _) => Datum::Int4(0),
        (Some(Time | TimeTz | Timestamp | TimestampTz), typmod) => Datum::Int4(if typmod < 0 { 6 } else { typmod }),
        (Some(Interval), typmod) => Datum::Int4(if typmod < 0 || typmod & 0xffff == 0xffff { 6 } else { typmod & 0xffff }),
        _ => Datum::Null,
    })),
    f(13219, "_pg_interval_type", &[Oid, Int4], Text, |_, _| Ok(Datum::Null)),
];

static SETS: &[SetFunction] =
    &[rows(13208, "_pg_expandarray", &[AnyArray], &[("x", AnyElement), ("n", Int4)], |_, a| {
        expand(a)
    })];

fn of(a: &[Datum]) -> Result<Option<PgType>> {
    Ok(PgType::from_oid(a.oid(0)?))
}

/// The elements with their numbers from 1.
fn expand(a: &[Datum]) -> Result<Rows> {
    let elements = a.array(0)?.elements.clone();
    let row = |(element, number)| Ok(vec![element, Datum::Int4(number)]);
    Ok(Box::new(elements.into_iter().zip(1..).map(row)))
}
