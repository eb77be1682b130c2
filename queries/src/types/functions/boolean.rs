//! `bool`: comparison and conversion.

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::types::Datum;
use crate::types::PgType::{Bool, Int4, Text};

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

static FUNCTIONS: &[ScalarFunction] = &[
    f(2971, "text", &[Bool], Text, |_, a| {
        Ok(Datum::text(if a.bool(0)? { "true" } else { "false" }))
    }),
    f(2557, "bool", &[Int4], Bool, |_, a| Ok(Datum::Bool(a.int4(0)? != 0))),
    f(2558, "int4", &[Bool], Int4, |_, a| Ok(Datum::Int4(i32::from(a.bool(0)?)))),
];
