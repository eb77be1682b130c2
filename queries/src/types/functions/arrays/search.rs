//! Finding, removing and replacing elements, and comparing arrays as sets.

use super::{flat, flat_from, one_dimension, subscripts};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::*;
use crate::types::functions::compare::no_operator;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, CompareFn, ScalarFunction};
use crate::types::{ArrayValue, Datum, compare, is_comparable};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// The order of an array's elements, if they have an equality.
fn order(array: &ArrayValue) -> Result<CompareFn> {
    if !is_comparable(array.element) {
        return Err(no_operator(array.element, "an equality operator"));
    }
    Ok(compare(array.element))
}

/// Whether an element is the one looked for; null is null.
fn same(order: CompareFn, element: &Datum, wanted: &Datum) -> bool {
    match (element.is_null(), wanted.is_null()) {
        (false, false) => order(element, wanted).is_eq(),
        (left, right) => left == right,
    }
}

/// The subscripts of the elements that are the one looked for.
fn places<'a>(array: &'a ArrayValue, wanted: &'a Datum) -> Result<impl Iterator<Item = i32> + 'a> {
    one_dimension(array, "searching for elements in")?;
    let order = order(array)?;
    let lower = array.dimensions.first().map_or(1, |(_, lower)| *lower);
    let found =
        (lower..).zip(&array.elements).filter(move |(_, element)| same(order, element, wanted));
    Ok(found.map(|(place, _)| place))
}

fn position(a: &[Datum]) -> Result<Datum> {
    if a.null(0) {
        return Ok(Datum::Null);
    }
    let start = if a.len() > 2 {
        if a.null(2) {
            let message = "initial position must not be null";
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
        a.int4(2)?
    } else {
        i32::MIN
    };
    let found = places(a.array(0)?, &a[1])?.find(|place| *place >= start);
    Ok(found.map_or(Datum::Null, Datum::Int4))
}

fn positions(a: &[Datum]) -> Result<Datum> {
    if a.null(0) {
        return Ok(Datum::Null);
    }
    Ok(flat(Int4, places(a.array(0)?, &a[1])?.map(Datum::Int4).collect()))
}

fn remove(a: &[Datum]) -> Result<Datum> {
    if a.null(0) {
        return Ok(Datum::Null);
    }
    let array: &ArrayValue = a.array(0)?;
    one_dimension(array, "removing elements from")?;
    let order = order(array)?;
    let kept =
        array.elements.iter().filter(|element| !same(order, element, &a[1])).cloned().collect();
    let lower = array.dimensions.first().map_or(1, |(_, lower)| *lower);
    Ok(flat_from(array.element, kept, lower))
}

fn replace(a: &[Datum]) -> Result<Datum> {
    if a.null(0) {
        return Ok(Datum::Null);
    }
    let array: &ArrayValue = a.array(0)?;
    let order = order(array)?;
    let swap =
        |element: &Datum| if same(order, element, &a[1]) { a[2].clone() } else { element.clone() };
    let elements = array.elements.iter().map(swap).collect();
    let (element, dimensions) = (array.element, array.dimensions.clone());
    Ok(Datum::Array(ArrayValue { element, dimensions, elements }.into()))
}

/// Whether an array has an element; null is in none.
fn has(array: &ArrayValue, order: CompareFn, wanted: &Datum) -> bool {
    !wanted.is_null() && array.elements.iter().any(|it| !it.is_null() && order(it, wanted).is_eq())
}

fn contains(all: &ArrayValue, part: &ArrayValue) -> Result<Datum> {
    let order = order(all)?;
    Ok(Datum::Bool(part.elements.iter().all(|it| has(all, order, it))))
}

fn overlap(left: &ArrayValue, right: &ArrayValue) -> Result<Datum> {
    let order = order(left)?;
    Ok(Datum::Bool(right.elements.iter().any(|it| has(left, order, it))))
}

/// The bucket of a value among thresholds in order.
fn width_bucket(a: &[Datum]) -> Result<Datum> {
    let thresholds: &ArrayValue = a.array(1)?;
    if thresholds.dimensions.len() > 1 {
        return Err(subscripts("thresholds must be one-dimensional array"));
    }
    if thresholds.elements.iter().any(Datum::is_null) {
        let message = "thresholds array must not contain NULLs";
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    let order = compare(thresholds.element);
    let bucket = thresholds.elements.partition_point(|it| order(it, &a[0]).is_le());
    Ok(Datum::Int4(i32::try_from(bucket).unwrap_or(i32::MAX)))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(3277, "array_position", &[AnyCompatibleArray, AnyCompatible], Int4, |_, a| position(a)).lax(),
    f(3278, "array_position", &[AnyCompatibleArray, AnyCompatible, Int4], Int4, |_, a| position(a)).lax(),
    f(3279, "array_positions", &[AnyCompatibleArray, AnyCompatible], Int4Array, |_, a| positions(a)).lax(),
    f(3167, "array_remove", &[AnyCompatibleArray, AnyCompatible], AnyCompatibleArray, |_, a| remove(a)).lax(),
    f(3168, "array_replace", &[AnyCompatibleArray, AnyCompatible, AnyCompatible], AnyCompatibleArray, |_, a| replace(a)).lax(),
    f(2748, "arraycontains", &[AnyArray, AnyArray], Bool, |_, a| contains(a.array(0)?, a.array(1)?)),
    f(2749, "arraycontained", &[AnyArray, AnyArray], Bool, |_, a| contains(a.array(1)?, a.array(0)?)),
    f(2747, "arrayoverlap", &[AnyArray, AnyArray], Bool, |_, a| overlap(a.array(0)?, a.array(1)?)),
    f(3218, "width_bucket", &[AnyCompatible, AnyCompatibleArray], Int4, |_, a| width_bucket(a)),
];
