//! Strings: length, case, parts, padding, replacement.

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::types::Datum;
use crate::types::PgType::*;

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// The number of characters.
fn characters(text: &str) -> Datum {
    Datum::Int4(i32::try_from(text.chars().count()).unwrap_or(i32::MAX))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1258, "textcat", &[Text, Text], Text, |_, a| Ok(Datum::text([a.text(0)?, a.text(1)?].concat()))),
    f(1317, "length", &[Text], Int4, |_, a| Ok(characters(a.text(0)?))),
];
