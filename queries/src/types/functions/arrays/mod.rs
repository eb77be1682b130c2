//! Arrays: shape, building, searching, and to and from text.

pub(super) mod build;
pub(super) mod search;
pub(super) mod shape;
pub(super) mod strings;

use std::sync::Arc;

use crate::error::{Result, SqlError, SqlState};
use crate::types::{ArrayValue, Datum, PgType};

/// An array of one dimension, or an empty one.
pub(super) fn flat(element: PgType, elements: Vec<Datum>) -> Datum {
    flat_from(element, elements, 1)
}

/// The same with a lower bound.
fn flat_from(element: PgType, elements: Vec<Datum>, lower: i32) -> Datum {
    let dimensions = if elements.is_empty() { vec![] } else { vec![(elements.len(), lower)] };
    Datum::Array(Arc::new(ArrayValue { element, dimensions, elements }))
}

/// The error for an array of the wrong shape.
fn subscripts(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

/// Fails for an array of several dimensions.
fn one_dimension(array: &ArrayValue, what: &str) -> Result<()> {
    if array.dimensions.len() > 1 {
        return Err(SqlError::unsupported(format!(
            "{what} multidimensional arrays is not supported"
        )));
    }
    Ok(())
}
