//! Calls with named arguments: `make_interval(days => 10)`.
//!
//! The names and defaults of PostgreSQL's functions stand in a table here. A call by name becomes one by place, with
//! every default filled in, before its function is chosen as any other.

use super::call::{BoundArguments, CallName};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::Expr;
use crate::types::{Datum, PgType};

/// What an argument is that is left out.
#[derive(Clone, Copy)]
enum Default {
    Integer(i32),
    Float(f64),
    Boolean(bool),
    Text(&'static str),
    /// `'{}'::jsonb`.
    EmptyObject,
}

impl Default {
    fn literal(self) -> Expr {
        match self {
            Self::Integer(value) => Expr::Literal(Datum::Int4(value), PgType::Int4),
            Self::Float(value) => Expr::Literal(Datum::Float8(value), PgType::Float8),
            Self::Boolean(value) => Expr::Literal(Datum::Bool(value), PgType::Bool),
            Self::Text(value) => Expr::Literal(Datum::text(value), PgType::Text),
            Self::EmptyObject => Expr::Literal(
                Datum::Jsonb(crate::types::json::object(Vec::new()).into()),
                PgType::Jsonb,
            ),
        }
    }
}

/// A function's name, the names of its arguments, and the defaults of the last ones.
type Signature = (&'static str, &'static [&'static str], &'static [Default]);

const NO: &[Default] = &[];
const PATH: &[&str] = &["target", "path", "vars", "silent"];
const PATH_DEFAULTS: &[Default] = &[Default::EmptyObject, Default::Boolean(false)];
const POPULATE: &[&str] = &["base", "from_json", "use_json_as_text"];
const FROM_JSON: &[&str] = &["from_json"];
const SET: &[&str] =
    &["jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"];
const INTERVAL: &[&str] = &["years", "months", "weeks", "days", "hours", "mins", "secs"];
const MOMENT: &[&str] = &["year", "month", "mday", "hour", "min", "sec", "timezone"];

#[rustfmt::skip]
static SIGNATURES: &[Signature] = &[
    ("json_array_elements", FROM_JSON, NO),
    ("json_array_elements_text", FROM_JSON, NO),
    ("json_each", FROM_JSON, NO),
    ("json_each_text", FROM_JSON, NO),
    ("json_populate_record", POPULATE, &[Default::Boolean(false)]),
    ("json_populate_recordset", POPULATE, &[Default::Boolean(false)]),
    ("jsonb_array_elements", FROM_JSON, NO),
    ("jsonb_array_elements_text", FROM_JSON, NO),
    ("jsonb_each", FROM_JSON, NO),
    ("jsonb_each_text", FROM_JSON, NO),
    ("jsonb_insert", &["jsonb_in", "path", "replacement", "insert_after"], &[Default::Boolean(false)]),
    ("jsonb_path_exists", PATH, PATH_DEFAULTS),
    ("jsonb_path_exists_tz", PATH, PATH_DEFAULTS),
    ("jsonb_path_match", PATH, PATH_DEFAULTS),
    ("jsonb_path_match_tz", PATH, PATH_DEFAULTS),
    ("jsonb_path_query", PATH, PATH_DEFAULTS),
    ("jsonb_path_query_tz", PATH, PATH_DEFAULTS),
    ("jsonb_path_query_array", PATH, PATH_DEFAULTS),
    ("jsonb_path_query_array_tz", PATH, PATH_DEFAULTS),
    ("jsonb_path_query_first", PATH, PATH_DEFAULTS),
    ("jsonb_path_query_first_tz", PATH, PATH_DEFAULTS),
    ("jsonb_set", SET.split_at(4).0, &[Default::Boolean(true)]),
    ("jsonb_set_lax", SET, &[Default::Boolean(true), Default::Text("use_json_null")]),
    ("make_date", &["year", "month", "day"], NO),
    ("make_interval", INTERVAL, &[
        Default::Integer(0), Default::Integer(0), Default::Integer(0), Default::Integer(0),
        Default::Integer(0), Default::Integer(0), Default::Float(0.0),
    ]),
    ("make_time", &["hour", "min", "sec"], NO),
    ("make_timestamp", MOMENT.split_at(6).0, NO),
    ("make_timestamptz", MOMENT.split_at(6).0, NO),
    ("make_timestamptz", MOMENT, NO),
    ("parse_ident", &["str", "strict"], &[Default::Boolean(true)]),
    ("pg_terminate_backend", &["pid", "timeout"], &[Default::Integer(0)]),
];

/// Brings arguments, the last of which are named, to the places that they have without names.
pub(super) fn place(
    call: &CallName<'_>,
    arguments: &mut BoundArguments<'_>,
    names: &[String],
) -> Result<()> {
    let in_catalog = call.schema.is_none_or(|schema| schema == "pg_catalog");
    let mut signatures = SIGNATURES.iter().filter(|it| in_catalog && it.0 == call.name);
    let placed = signatures.find_map(|(_, parameters, defaults)| {
        places(arguments.values.len(), names, parameters, defaults.len())
            .map(|places| (places, *defaults))
    });
    let Some((places, defaults)) = placed else { return Err(undefined(call, arguments, names)) };
    let optional_from = places.len() - defaults.len();
    let (mut values, mut origins) = (Vec::new(), Vec::new());
    let some_origin = arguments.origins.first().copied();
    for (place, found) in places.into_iter().enumerate() {
        values.push(match found {
            Some(argument) => arguments.values[argument].clone(),
            None => defaults[place - optional_from].literal(),
        });
        let origin = found.and_then(|it| arguments.origins.get(it).copied());
        origins.extend(origin.or(some_origin));
    }
    (arguments.values, arguments.origins) = (values, origins);
    Ok(())
}

/// For each parameter the argument that it gets, or none for its default; nothing if they do not fit.
fn places(
    count: usize,
    names: &[String],
    parameters: &[&str],
    defaults: usize,
) -> Option<Vec<Option<usize>>> {
    let plain = count - names.len();
    if count > parameters.len() {
        return None;
    }
    let mut places: Vec<Option<usize>> =
        (0..parameters.len()).map(|place| (place < plain).then_some(place)).collect();
    for (argument, name) in names.iter().enumerate() {
        let place = parameters.iter().position(|it| it == name)?;
        if places[place].replace(plain + argument).is_some() {
            return None;
        }
    }
    let required = parameters.len() - defaults;
    places[..required].iter().all(Option::is_some).then_some(places)
}

fn undefined(call: &CallName<'_>, arguments: &BoundArguments<'_>, names: &[String]) -> SqlError {
    let plain = arguments.values.len() - names.len();
    let shown: Vec<String> = arguments
        .values
        .iter()
        .enumerate()
        .map(|(place, value)| match place.checked_sub(plain) {
            Some(named) => format!("{} => {}", names[named], value.ty().name()),
            None => value.ty().name().to_owned(),
        })
        .collect();
    let schema = call.schema.map(|schema| format!("{schema}.")).unwrap_or_default();
    let message = format!("function {schema}{}({}) does not exist", call.name, shown.join(", "));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
        .with_hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        )
        .at(call.position)
}
