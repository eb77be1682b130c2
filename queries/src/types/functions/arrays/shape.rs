//! The shape of arrays: `array_length`, `array_dims`, `cardinality` and their kin.

use crate::error::Result;
use crate::types::PgType::*;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{ArrayValue, Datum};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn int(value: i64) -> Datum {
    i32::try_from(value).map_or(Datum::Null, Datum::Int4)
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// A number about one dimension, counted from 1.
fn of_dimension(a: &[Datum], of: fn(usize, i32) -> i64) -> Result<Datum> {
    let array: &ArrayValue = a.array(0)?;
    let dimension = usize::try_from(a.int4(1)?).ok().and_then(|it| it.checked_sub(1));
    let found = dimension.and_then(|it| array.dimensions.get(it));
    Ok(found.map_or(Datum::Null, |(length, lower)| int(of(*length, *lower))))
}

fn dimensions(array: &ArrayValue) -> Datum {
    if array.dimensions.is_empty() {
        return Datum::Null;
    }
    let shown = |(count, lower): &(usize, i32)| {
        format!("[{lower}:{}]", i64::from(*lower) + length(*count) - 1)
    };
    array.dimensions.iter().map(shown).collect::<String>().into()
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(2176, "array_length", &[AnyArray, Int4], Int4, |_, a| of_dimension(a, |count, _| length(count))),
    f(2091, "array_lower", &[AnyArray, Int4], Int4, |_, a| of_dimension(a, |_, lower| i64::from(lower))),
    f(2092, "array_upper", &[AnyArray, Int4], Int4, |_, a| of_dimension(a, |count, lower| i64::from(lower) + length(count) - 1)),
    f(748, "array_ndims", &[AnyArray], Int4, |_, a| Ok(match a.array(0)?.dimensions.len() { 0 => Datum::Null, count => int(length(count)) })),
    f(747, "array_dims", &[AnyArray], Text, |_, a| Ok(dimensions(a.array(0)?))),
    f(3179, "cardinality", &[AnyArray], Int4, |_, a| Ok(int(length(a.array(0)?.elements.len())))),
];
