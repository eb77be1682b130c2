//! `unnest`, `generate_subscripts` and `string_to_table`.

use std::sync::Arc;

use crate::error::Result;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::arrays::strings::parts;
use crate::types::functions::define::{Rows, rows};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, SetFunction};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: &[],
    aggregates: &[],
    sets: FUNCTIONS,
    windows: &[],
};

fn unnest(a: &[Datum]) -> Result<Rows> {
    let array = Arc::clone(a.array(0)?);
    Ok(Box::new(
        (0..array.elements.len()).map(move |place| Ok(vec![array.elements[place].clone()])),
    ))
}

fn subscripts(a: &[Datum]) -> Result<Rows> {
    let array = a.array(0)?;
    let backward = a.len() > 2 && a.bool(2)?;
    let dimension = usize::try_from(a.int4(1)?).ok().and_then(|it| it.checked_sub(1));
    let Some((length, lower)) = dimension.and_then(|it| array.dimensions.get(it)).copied() else {
        return Ok(Box::new(std::iter::empty()));
    };
    let upper = lower.saturating_add(i32::try_from(length).unwrap_or(i32::MAX));
    let row = |place: i32| Ok(vec![Datum::Int4(place)]);
    Ok(if backward {
        Box::new((lower..upper).rev().map(row))
    } else {
        Box::new((lower..upper).map(row))
    })
}

fn string_parts(a: &[Datum]) -> Result<Rows> {
    let found = parts(a)?.unwrap_or_default();
    Ok(Box::new(found.into_iter().map(|part| Ok(vec![part]))))
}

#[rustfmt::skip]
static FUNCTIONS: &[SetFunction] = &[
    rows(2331, "unnest", &[AnyArray], &[("", AnyElement)], |_, a| unnest(a)),
    rows(1192, "generate_subscripts", &[AnyArray, Int4], &[("", Int4)], |_, a| subscripts(a)),
    rows(1191, "generate_subscripts", &[AnyArray, Int4, Bool], &[("", Int4)], |_, a| subscripts(a)),
    rows(6160, "string_to_table", &[Text, Text], &[("", Text)], |_, a| string_parts(a)).lax(),
    rows(6161, "string_to_table", &[Text, Text, Text], &[("", Text)], |_, a| string_parts(a)).lax(),
];
