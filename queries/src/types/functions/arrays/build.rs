//! Arrays from elements and arrays: `||`, `array_append`, `array_fill`, `trim_array`.

use std::sync::Arc;

use super::{flat, flat_from, subscripts};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::*;
use crate::types::functions::arguments::{Typed, typed};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::text::{ELEMENTS_MAX, too_large};
use crate::types::{ArrayValue, Datum, PgType};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// An array with one element more, at the end or in front.
fn with_element(array: &Datum, element: &Datum, ty: PgType, front: bool) -> Result<Datum> {
    let Datum::Array(array) = array else { return Ok(flat(ty, vec![element.clone()])) };
    let lower = match array.dimensions.as_slice() {
        [] => 1,
        [(_, lower)] => *lower,
        _ => {
            let message = "argument must be empty or one-dimensional array";
            return Err(SqlError::new(SqlState::DATA_EXCEPTION, message));
        }
    };
    let mut elements = Vec::with_capacity(array.elements.len() + 1);
    if front {
        elements.push(element.clone());
    }
    elements.extend(array.elements.iter().cloned());
    if !front {
        elements.push(element.clone());
    }
    Ok(flat_from(array.element, elements, lower))
}

fn append(a: &[Datum]) -> Result<Datum> {
    let Typed { values, types, .. } = typed(a)?;
    with_element(&values[0], &values[1], types[1], false)
}

fn prepend(a: &[Datum]) -> Result<Datum> {
    let Typed { values, types, .. } = typed(a)?;
    with_element(&values[1], &values[0], types[0], true)
}

fn incompatible(detail: &str) -> SqlError {
    subscripts("cannot concatenate incompatible arrays").with_detail(detail)
}

/// Two arrays one after the other; one may have a dimension less and is then an element of the other.
fn concat(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = match (left, right) {
        (Datum::Array(left), Datum::Array(right)) => (left, right),
        (Datum::Null, other) | (other, _) => return Ok(other.clone()),
    };
    let (a, b) = (left.dimensions.as_slice(), right.dimensions.as_slice());
    let dimensions = match (a, b) {
        (_, []) => return Ok(Datum::Array(Arc::clone(left))),
        ([], _) => return Ok(Datum::Array(Arc::clone(right))),
        ([(first, lower), inner @ ..], [(second, _), other @ ..]) if inner.len() == other.len() => {
            let alike = inner.iter().zip(other).all(|((a, _), (b, _))| a == b);
            if !alike {
                return Err(incompatible(
                    "Arrays with differing element dimensions are not compatible for concatenation.",
                ));
            }
            [&[(first + second, *lower)], inner].concat()
        }
        ([(first, lower), inner @ ..], other) if inner.len() == other.len() => {
            let alike = inner.iter().zip(other).all(|((a, _), (b, _))| a == b);
            if !alike {
                return Err(incompatible(
                    "Arrays with differing dimensions are not compatible for concatenation.",
                ));
            }
            [&[(first + 1, *lower)], inner].concat()
        }
        (other, [(second, lower), inner @ ..]) if inner.len() == other.len() => {
            let alike = inner.iter().zip(other).all(|((a, _), (b, _))| a == b);
            if !alike {
                return Err(incompatible(
                    "Arrays with differing dimensions are not compatible for concatenation.",
                ));
            }
            [&[(second + 1, *lower)], inner].concat()
        }
        _ => {
            let detail = format!(
                "Arrays of {} and {} dimensions are not compatible for concatenation.",
                a.len(),
                b.len()
            );
            return Err(incompatible(&detail));
        }
    };
    let elements = left.elements.iter().chain(&right.elements).cloned().collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element: left.element, dimensions, elements })))
}

fn integers(array: &ArrayValue, what: &str) -> Result<Vec<i32>> {
    if array.dimensions.len() > 1 {
        return Err(subscripts("wrong number of array subscripts")
            .with_detail(format!("{what} array must be one dimensional.")));
    }
    array
        .elements
        .iter()
        .map(|it| match it {
            Datum::Int4(it) => Ok(*it),
            _ => Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "dimension values cannot be null",
            )),
        })
        .collect()
}

fn fill(a: &[Datum]) -> Result<Datum> {
    let Typed { values, types, .. } = typed(a)?;
    if values[1..].iter().any(Datum::is_null) {
        let message = "dimension array or low bound array cannot be null";
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    let lengths = integers(values.array(1)?, "Dimension")?;
    let lowers = if values.len() > 2 {
        integers(values.array(2)?, "Dimension")?
    } else {
        vec![1; lengths.len()]
    };
    if lowers.len() != lengths.len() {
        return Err(subscripts("wrong number of array subscripts")
            .with_detail("Low bound array has different size than dimensions array."));
    }
    if lengths.len() > crate::types::text::DIMENSIONS_MAX {
        return Err(crate::types::text::too_many_dimensions(lengths.len()));
    }
    let mut count: usize = usize::from(!lengths.is_empty());
    let mut dimensions = Vec::new();
    for (length, lower) in lengths.iter().zip(&lowers) {
        let length = usize::try_from(*length).map_err(|_| too_large())?;
        count = count.checked_mul(length).filter(|it| *it <= ELEMENTS_MAX).ok_or_else(too_large)?;
        dimensions.push((length, *lower));
    }
    if count == 0 {
        return Ok(flat(types[0], vec![]));
    }
    let elements = vec![values[0].clone(); count];
    Ok(Datum::Array(Arc::new(ArrayValue { element: types[0], dimensions, elements })))
}

fn trim(array: &ArrayValue, count: i32) -> Result<Datum> {
    let length = array.dimensions.first().map_or(0, |(length, _)| *length);
    let kept = usize::try_from(count).ok().and_then(|count| length.checked_sub(count));
    let kept = kept.ok_or_else(|| {
        let message = format!("number of elements to trim must be between 0 and {length}");
        subscripts(message)
    })?;
    let inner: usize = array.dimensions.iter().skip(1).map(|(length, _)| *length).product();
    let elements = array.elements[..kept * inner.min(array.elements.len())].to_vec();
    let mut dimensions = array.dimensions.clone();
    match dimensions.first_mut() {
        Some(first) if kept > 0 => *first = (kept, 1),
        _ => dimensions.clear(),
    }
    for dimension in dimensions.iter_mut().skip(1) {
        dimension.1 = 1;
    }
    Ok(Datum::Array(Arc::new(ArrayValue { element: array.element, dimensions, elements })))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(378, "array_append", &[AnyCompatibleArray, AnyCompatible], AnyCompatibleArray, |_, a| append(a)).typed().lax(),
    f(379, "array_prepend", &[AnyCompatible, AnyCompatibleArray], AnyCompatibleArray, |_, a| prepend(a)).typed().lax(),
    f(383, "array_cat", &[AnyCompatibleArray, AnyCompatibleArray], AnyCompatibleArray, |_, a| concat(&a[0], &a[1])).lax(),
    f(1193, "array_fill", &[AnyElement, Int4Array], AnyArray, |_, a| fill(a)).typed().lax(),
    f(1286, "array_fill", &[AnyElement, Int4Array, Int4Array], AnyArray, |_, a| fill(a)).typed().lax(),
    f(6172, "trim_array", &[AnyArray, Int4], AnyArray, |_, a| trim(a.array(0)?, a.int4(1)?)),
];
