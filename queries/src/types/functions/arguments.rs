//! Reading the arguments of a call. The resolver sees to it that they have the argument types, so a mismatch is
//! an error of ours; it is still an error and no panic, because one wrong table row must not end the process.

use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::types::{ArrayValue, Datum, Interval, Jsonb, Numeric, PgType};

#[cold]
fn mismatch(place: usize, expected: &str, found: Option<&Datum>) -> SqlError {
    SqlError::internal(format!("argument {} should be {expected}, but is {found:?}", place + 1))
}

macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident: $ty:ty, $pattern:pat => $value:expr, $expected:literal;)*) => {
        /// Arguments by place and type.
        pub(crate) trait Arguments {
            $($(#[$doc])* fn $name(&self, place: usize) -> Result<$ty>;)*

            /// Whether an argument is null (or not there).
            fn null(&self, place: usize) -> bool;
        }

        impl Arguments for [Datum] {
            $(#[inline]
            fn $name(&self, place: usize) -> Result<$ty> {
                match self.get(place) {
                    Some($pattern) => Ok($value),
                    other => Err(mismatch(place, $expected, other)),
                }
            })*

            fn null(&self, place: usize) -> bool {
                self.get(place).is_none_or(Datum::is_null)
            }
        }
    };
}

arguments! {
    /// A `bool`.
    bool: bool, Datum::Bool(it) => *it, "boolean";
    /// An `int2`.
    int2: i16, Datum::Int2(it) => *it, "smallint";
    /// An `int4`.
    int4: i32, Datum::Int4(it) => *it, "integer";
    /// An `int8`.
    int8: i64, Datum::Int8(it) => *it, "bigint";
    /// A `float4`.
    float4: f32, Datum::Float4(it) => *it, "real";
    /// A `float8`.
    float8: f64, Datum::Float8(it) => *it, "double precision";
    /// A `numeric`.
    numeric: &Numeric, Datum::Numeric(it) => it, "numeric";
    /// A string type.
    text: &str, Datum::Text(it) => it, "text";
    /// A `"char"`.
    char: u8, Datum::Char(it) => *it, "\"char\"";
    /// A `bytea`.
    bytea: &[u8], Datum::Bytea(it) => it, "bytea";
    /// A `date`.
    date: i32, Datum::Date(it) => *it, "date";
    /// A `time`.
    time: i64, Datum::Time(it) => *it, "time";
    /// A `timetz`.
    time_tz: (i64, i32), Datum::TimeTz(time, zone) => (*time, *zone), "time with time zone";
    /// A `timestamp`.
    timestamp: i64, Datum::Timestamp(it) => *it, "timestamp";
    /// A `timestamptz`.
    timestamp_tz: i64, Datum::TimestampTz(it) => *it, "timestamp with time zone";
    /// An `interval`.
    interval: Interval, Datum::Interval(it) => *it, "interval";
    /// An `oid` or a `reg*`.
    oid: u32, Datum::Oid(it) => *it, "oid";
    /// A `json`.
    json: &Arc<str>, Datum::Json(it) => it, "json";
    /// A `jsonb`.
    jsonb: &Arc<Jsonb>, Datum::Jsonb(it) => it, "jsonb";
    /// An array.
    array: &Arc<ArrayValue>, Datum::Array(it) => it, "array";
    /// A record.
    record: &[(PgType, Datum)], Datum::Record(it) => it, "record";
}

/// The arguments of a [typed](super::ScalarFunction::typed) function.
pub(crate) struct Typed<'a> {
    /// The values, without the types.
    pub(crate) values: &'a [Datum],
    /// The type of each value.
    pub(crate) types: Vec<PgType>,
    /// Whether the last one was given as `VARIADIC`, so that it is an array of the arguments proper.
    pub(crate) variadic: bool,
}

/// Splits the arguments of a typed function into the values and their types.
pub(crate) fn typed(arguments: &[Datum]) -> Result<Typed<'_>> {
    let Some((Datum::Array(oids), values)) = arguments.split_last() else {
        return Err(SqlError::internal("a typed function was called without types"));
    };
    let ty = |oid: &Datum| match oid {
        Datum::Oid(oid) => PgType::from_oid(*oid).unwrap_or(PgType::Text),
        _ => PgType::Text,
    };
    let types = oids.elements.iter().map(ty).collect();
    // The resolver marks a variadic call by the lower bound, see `types_literal`.
    let variadic = oids.dimensions.first().is_some_and(|(_, lower)| *lower == 0);
    Ok(Typed { values, types, variadic })
}

impl Typed<'_> {
    /// The arguments one by one with their types, from a place on; those of a `VARIADIC` array spread out. None if
    /// that array is null.
    pub(crate) fn spread(&self, from: usize) -> Option<Vec<(PgType, Datum)>> {
        let pairs = || self.types.iter().copied().zip(self.values.iter().cloned()).skip(from);
        if !self.variadic {
            return Some(pairs().collect());
        }
        let mut all: Vec<(PgType, Datum)> = pairs().collect();
        match all.pop() {
            Some((_, Datum::Array(array))) => {
                all.extend(array.elements.iter().map(|value| (array.element, value.clone())));
                Some(all)
            }
            Some((_, Datum::Null)) => None,
            other => {
                all.extend(other);
                Some(all)
            }
        }
    }
}
