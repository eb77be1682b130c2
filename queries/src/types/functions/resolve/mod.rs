//! How a call, an operator or a conversion finds its function: chapter 10 of PostgreSQL's manual.
//!
//! The binder asks with the types of the arguments, `unknown` for literals and parameters without a type. It gets
//! the function and the type that each argument has to be brought to; for every argument that has another type
//! it asks for a [`Coercion`] (an `unknown` literal it reads with [`crate::types::text::read`] instead).

mod candidates;
mod coerce;
mod common;
mod function;
mod operator;
mod polymorphic;

pub use coerce::{Coercion, CoercionContext, Step, can_coerce, length_coercion, resolve_cast};
pub use common::{common_type, select_common_type};
pub use function::{Callee, ResolvedFunction, resolve_function, signature};
pub use operator::{ResolvedOperator, resolve_operator};

use std::sync::Arc;

use crate::types::{ArrayValue, Datum, PgType};

/// The extra argument of a [typed](super::ScalarFunction::typed) function: an `oid[]` with the types. Its lower
/// bound is 0 rather than 1 if the last argument was given as `VARIADIC`.
fn types_literal(types: &[PgType], variadic_call: bool) -> (Datum, PgType) {
    let elements: Vec<Datum> = types.iter().map(|ty| Datum::Oid(ty.oid())).collect();
    let dimensions = vec![(elements.len(), i32::from(!variadic_call))];
    (
        Datum::Array(Arc::new(ArrayValue { element: PgType::Oid, dimensions, elements })),
        PgType::OidArray,
    )
}
