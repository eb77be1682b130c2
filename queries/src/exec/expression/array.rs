//! Array constructors, subscripts and slices.

use std::sync::Arc;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::Env;
use crate::exec::expression::Compiled;
use crate::types::{ArrayValue, Datum, PgType};

/// A one-dimensional array.
pub(crate) fn vector(element: PgType, elements: Vec<Datum>) -> Datum {
    let dimensions = if elements.is_empty() { Vec::new() } else { vec![(elements.len(), 1)] };
    Datum::Array(Arc::new(ArrayValue { element, dimensions, elements }))
}

/// `ARRAY[..]`.
pub(super) fn construct(
    elements: &[Compiled],
    element: PgType,
    nested: bool,
    row: &[Datum],
    env: &Env<'_>,
) -> Result<Datum> {
    let mut values = Vec::with_capacity(elements.len());
    for it in elements {
        values.push(it.eval(row, env)?.into_owned());
    }
    if nested { nest(element, values) } else { Ok(vector(element, values)) }
}

/// An array of arrays: one dimension more. Null and empty inner arrays count only if all are so, as in PostgreSQL.
pub(crate) fn nest(element: PgType, values: Vec<Datum>) -> Result<Datum> {
    let count = values.len();
    let mut inner: Option<Vec<(usize, i32)>> = None;
    let mut flat = Vec::new();
    let mut skipped = false;
    for value in values {
        let Datum::Array(array) = value else {
            skipped = true;
            continue;
        };
        if array.elements.is_empty() {
            skipped = true;
            continue;
        }
        if *inner.get_or_insert_with(|| array.dimensions.clone()) != array.dimensions {
            return Err(mismatched_dimensions());
        }
        flat.extend_from_slice(&array.elements);
    }
    let Some(inner) = inner else { return Ok(vector(element, Vec::new())) };
    if skipped {
        return Err(mismatched_dimensions());
    }
    let mut dimensions = vec![(count, 1)];
    dimensions.extend(inner);
    Ok(Datum::Array(Arc::new(ArrayValue { element, dimensions, elements: flat })))
}

fn mismatched_dimensions() -> SqlError {
    SqlError::new(
        SqlState::ARRAY_SUBSCRIPT_ERROR,
        "multidimensional arrays must have array expressions with matching dimensions",
    )
}

/// `array[i]..`: null outside of it, and with fewer or more subscripts than dimensions.
pub(super) fn subscript(
    array: &Compiled,
    indexes: &[Compiled],
    row: &[Datum],
    env: &Env<'_>,
) -> Result<Datum> {
    let array = array.eval(row, env)?;
    let Datum::Array(array) = &*array else { return Ok(Datum::Null) };
    let mut place = 0;
    let mut inside = indexes.len() == array.dimensions.len();
    for (number, index) in indexes.iter().enumerate() {
        let Some(index) = int4(&*index.eval(row, env)?) else { return Ok(Datum::Null) };
        let Some((length, lower)) = array.dimensions.get(number) else { continue };
        match usize::try_from(i64::from(index) - i64::from(*lower)) {
            Ok(offset) if offset < *length => place = place * length + offset,
            _ => inside = false,
        }
    }
    Ok(if inside { array.elements[place].clone() } else { Datum::Null })
}

/// `array[l:u]..`: a new array with lower bounds of 1, empty outside.
pub(super) fn slice(
    array: &Compiled,
    bounds: &[(Option<Compiled>, Option<Compiled>)],
    row: &[Datum],
    env: &Env<'_>,
) -> Result<Datum> {
    let array = array.eval(row, env)?;
    let Datum::Array(array) = &*array else { return Ok(Datum::Null) };
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for (number, (lower, upper)) in bounds.iter().enumerate() {
        let lower = lower.as_ref().map(|it| it.eval(row, env)).transpose()?;
        let upper = upper.as_ref().map(|it| it.eval(row, env)).transpose()?;
        if lower.as_ref().is_some_and(|it| it.is_null())
            || upper.as_ref().is_some_and(|it| it.is_null())
        {
            return Ok(Datum::Null);
        }
        let Some((length, first)) = array.dimensions.get(number) else {
            return Ok(vector(array.element, Vec::new()));
        };
        let first = i64::from(*first);
        let end = first + i64::try_from(*length).unwrap_or(i64::MAX);
        let lower =
            lower.and_then(|it| int4(&it)).map_or(first, |it| i64::from(it).clamp(first, end));
        let upper =
            upper.and_then(|it| int4(&it)).map_or(end, |it| (i64::from(it) + 1).clamp(lower, end));
        ranges.push((offset(lower - first)..offset(upper - first), *length));
    }
    for (length, _) in array.dimensions.iter().skip(bounds.len()) {
        ranges.push((0..*length, *length));
    }
    if ranges.iter().any(|(range, _)| range.is_empty()) {
        return Ok(vector(array.element, Vec::new()));
    }
    let mut elements = Vec::new();
    copy_slice(&array.elements, &ranges, 0, &mut elements);
    let dimensions = ranges.iter().map(|(range, _)| (range.len(), 1)).collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element: array.element, dimensions, elements })))
}

fn copy_slice(
    from: &[Datum],
    ranges: &[(std::ops::Range<usize>, usize)],
    place: usize,
    out: &mut Vec<Datum>,
) {
    let Some(((range, length), rest)) = ranges.split_first() else {
        out.push(from[place].clone());
        return;
    };
    for offset in range.clone() {
        copy_slice(from, rest, place * length + offset, out);
    }
}

fn offset(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

fn int4(value: &Datum) -> Option<i32> {
    match value {
        Datum::Int4(value) => Some(*value),
        Datum::Int2(value) => Some(i32::from(*value)),
        Datum::Int8(value) => i32::try_from(*value).ok(),
        _ => None,
    }
}
