//! Paths through `jsonb`: `jsonb_path_query` and its kin, `@?` and `@@`.

use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{Bool, Jsonb as JsonbType, Jsonpath};
use crate::types::functions::define::{Rows, f, rows};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction, SetFunction};
use crate::types::jsonpath::eval::{Failure, query};
use crate::types::jsonpath::path;
use crate::types::{Datum, Jsonb, json};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: FUNCTIONS,
    aggregates: &[],
    sets: SETS,
    windows: &[],
};

/// The items of a path, and whether an error was passed over.
struct Walked {
    items: Vec<Jsonb>,
    failed: bool,
    silent: bool,
}

/// Walks `target, path [, vars [, silent]]`.
fn walk(c: &EvalContext<'_>, a: &[Datum], first_only: bool) -> Result<Walked> {
    let silent = if a.len() > 3 { a.bool(3)? } else { false };
    walk_with(c, a, silent, first_only)
}

fn walk_with(c: &EvalContext<'_>, a: &[Datum], silent: bool, first_only: bool) -> Result<Walked> {
    let none = json::object(Vec::new());
    let variables: &Jsonb = if a.len() > 2 { a.jsonb(2)? } else { &none };
    if !variables.is_object() {
        let error =
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "\"vars\" argument is not an object");
        return Err(error.with_detail(
            "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
        ));
    }
    let path = path(a.text(1)?)?;
    let (items, failure) = query(c, &path, a.jsonb(0)?, variables, first_only);
    match failure {
        Some(Failure::Soft(_)) if silent => Ok(Walked { items, failed: true, silent }),
        Some(failure) => Err(failure.into_error()),
        None => Ok(Walked { items, failed: false, silent }),
    }
}

fn exists(walked: &Walked) -> Datum {
    if walked.failed { Datum::Null } else { Datum::Bool(!walked.items.is_empty()) }
}

fn matched(walked: &Walked) -> Result<Datum> {
    match walked.items.as_slice() {
        [Jsonb::Bool(it)] => Ok(Datum::Bool(*it)),
        [Jsonb::Null] => Ok(Datum::Null),
        _ if walked.silent => Ok(Datum::Null),
        _ => Err(SqlError::new(
            SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED,
            "single boolean result is expected",
        )),
    }
}

fn array(walked: Walked) -> Datum {
    Datum::Jsonb(Jsonb::Array(walked.items).into())
}

fn first(walked: Walked) -> Datum {
    walked.items.into_iter().next().map_or(Datum::Null, |it| Datum::Jsonb(it.into()))
}

fn items(c: &EvalContext<'_>, a: &[Datum]) -> Result<Rows> {
    let walked = walk(c, a, false)?;
    Ok(Box::new(walked.items.into_iter().map(|it| Ok(vec![Datum::Jsonb(it.into())]))))
}

macro_rules! with_defaults {
    ($oid:literal, $name:literal, $result:expr, $call:expr) => {
        [
            f($oid, $name, &[JsonbType, Jsonpath, JsonbType, Bool], $result, $call).stable(),
            f(0, $name, &[JsonbType, Jsonpath, JsonbType], $result, $call).stable(),
            f(0, $name, &[JsonbType, Jsonpath], $result, $call).stable(),
        ]
    };
}

macro_rules! table {
    ($($group:expr),* $(,)?) => {{
        const GROUPS: &[[ScalarFunction; 3]] = &[$($group),*];
        GROUPS.as_flattened()
    }};
}

static FUNCTIONS: &[ScalarFunction] = table![
    with_defaults!(4005, "jsonb_path_exists", Bool, |c, a| Ok(exists(&walk(c, a, true)?))),
    with_defaults!(1177, "jsonb_path_exists_tz", Bool, |c, a| Ok(exists(&walk(c, a, true)?))),
    with_defaults!(4009, "jsonb_path_match", Bool, |c, a| matched(&walk(c, a, false)?)),
    with_defaults!(2030, "jsonb_path_match_tz", Bool, |c, a| matched(&walk(c, a, false)?)),
    with_defaults!(4007, "jsonb_path_query_array", JsonbType, |c, a| Ok(array(walk(c, a, false)?))),
    with_defaults!(1180, "jsonb_path_query_array_tz", JsonbType, |c, a| Ok(array(walk(
        c, a, false
    )?))),
    with_defaults!(4008, "jsonb_path_query_first", JsonbType, |c, a| Ok(first(walk(c, a, false)?))),
    with_defaults!(2023, "jsonb_path_query_first_tz", JsonbType, |c, a| Ok(first(walk(
        c, a, false
    )?))),
];

#[rustfmt::skip]
static SETS: &[SetFunction] = &[
    rows(4006, "jsonb_path_query", &[JsonbType, Jsonpath, JsonbType, Bool], &[("", JsonbType)], items),
    rows(0, "jsonb_path_query", &[JsonbType, Jsonpath, JsonbType], &[("", JsonbType)], items),
    rows(0, "jsonb_path_query", &[JsonbType, Jsonpath], &[("", JsonbType)], items),
    rows(1179, "jsonb_path_query_tz", &[JsonbType, Jsonpath, JsonbType, Bool], &[("", JsonbType)], items),
    rows(0, "jsonb_path_query_tz", &[JsonbType, Jsonpath, JsonbType], &[("", JsonbType)], items),
    rows(0, "jsonb_path_query_tz", &[JsonbType, Jsonpath], &[("", JsonbType)], items),
];

pub(in crate::types::functions) static OPERATORS: FunctionTable = FunctionTable::scalars(&[
    f(4010, "jsonb_path_exists_opr", &[JsonbType, Jsonpath], Bool, |c, a| {
        Ok(exists(&walk_with(c, a, true, true)?))
    }),
    f(4011, "jsonb_path_match_opr", &[JsonbType, Jsonpath], Bool, |c, a| {
        matched(&walk_with(c, a, true, false)?)
    }),
]);
