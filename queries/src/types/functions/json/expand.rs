//! JSON as rows: `jsonb_each`, `jsonb_array_elements`, `jsonb_object_keys` and their kin.

use super::{children, unquoted, unquoted_jsonb};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::{Json, Jsonb as JsonbType, Text};
use crate::types::functions::define::{Rows, rows};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, SetFunction};
use crate::types::{Datum, Jsonb};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: &[],
    aggregates: &[],
    sets: FUNCTIONS,
    windows: &[],
};

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// How values come out.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Json,
    Text,
}

fn stream(found: Vec<Vec<Datum>>) -> Rows {
    Box::new(found.into_iter().map(Ok))
}

fn jsonb_value(value: &Jsonb, form: Form) -> Datum {
    match form {
        Form::Json => Datum::Jsonb(value.clone().into()),
        Form::Text => unquoted_jsonb(value).map_or(Datum::Null, Datum::from),
    }
}

fn json_value(text: &str, form: Form) -> Result<Datum> {
    Ok(match form {
        Form::Json => Datum::Json(text.into()),
        Form::Text => unquoted(text)?.map_or(Datum::Null, Datum::from),
    })
}

fn jsonb_each(value: &Jsonb, form: Form, function: &str) -> Result<Rows> {
    let Jsonb::Object(fields) = value else {
        return Err(invalid(format!("cannot call {function} on a non-object")));
    };
    let row = |(key, value): (&String, &Jsonb)| vec![Datum::text(key), jsonb_value(value, form)];
    Ok(stream(fields.iter().map(row).collect()))
}

fn json_each(text: &str, form: Form) -> Result<Rows> {
    let found = match children(text)? {
        Some(found) if found.object => found,
        Some(_) => return Err(invalid("cannot deconstruct an array as an object".to_owned())),
        None => return Err(invalid("cannot deconstruct a scalar".to_owned())),
    };
    let row = |(key, (start, end)): &(String, (usize, usize))| {
        Ok(vec![Datum::text(key), json_value(&text[*start..*end], form)?])
    };
    Ok(stream(found.items.iter().map(row).collect::<Result<_>>()?))
}

fn jsonb_elements(value: &Jsonb, form: Form) -> Result<Rows> {
    match value {
        Jsonb::Array(items) => {
            Ok(stream(items.iter().map(|it| vec![jsonb_value(it, form)]).collect()))
        }
        Jsonb::Object(_) => Err(invalid("cannot extract elements from an object".to_owned())),
        _ => Err(invalid("cannot extract elements from a scalar".to_owned())),
    }
}

fn json_elements(text: &str, form: Form, function: &str) -> Result<Rows> {
    let found = match children(text)? {
        Some(found) if !found.object => found,
        Some(_) => return Err(invalid(format!("cannot call {function} on a non-array"))),
        None => return Err(invalid(format!("cannot call {function} on a scalar"))),
    };
    let row = |(_, (start, end)): &(String, (usize, usize))| {
        Ok(vec![json_value(&text[*start..*end], form)?])
    };
    Ok(stream(found.items.iter().map(row).collect::<Result<_>>()?))
}

fn jsonb_keys(value: &Jsonb) -> Result<Rows> {
    match value {
        Jsonb::Object(fields) => {
            Ok(stream(fields.keys().map(|key| vec![Datum::text(key)]).collect()))
        }
        Jsonb::Array(_) => Err(invalid("cannot call jsonb_object_keys on an array".to_owned())),
        _ => Err(invalid("cannot call jsonb_object_keys on a scalar".to_owned())),
    }
}

fn json_keys(text: &str) -> Result<Rows> {
    match children(text)? {
        Some(found) if found.object => {
            Ok(stream(found.items.into_iter().map(|(key, _)| vec![Datum::from(key)]).collect()))
        }
        Some(_) => Err(invalid("cannot call json_object_keys on an array".to_owned())),
        None => Err(invalid("cannot call json_object_keys on a scalar".to_owned())),
    }
}

#[rustfmt::skip]
static FUNCTIONS: &[SetFunction] = &[
    rows(3208, "jsonb_each", &[JsonbType], &[("key", Text), ("value", JsonbType)], |_, a| jsonb_each(a.jsonb(0)?, Form::Json, "jsonb_each")),
    rows(3932, "jsonb_each_text", &[JsonbType], &[("key", Text), ("value", Text)], |_, a| jsonb_each(a.jsonb(0)?, Form::Text, "jsonb_each_text")),
    rows(3958, "json_each", &[Json], &[("key", Text), ("value", Json)], |_, a| json_each(a.json(0)?, Form::Json)),
    rows(3959, "json_each_text", &[Json], &[("key", Text), ("value", Text)], |_, a| json_each(a.json(0)?, Form::Text)),
    rows(3219, "jsonb_array_elements", &[JsonbType], &[("value", JsonbType)], |_, a| jsonb_elements(a.jsonb(0)?, Form::Json)),
    rows(3465, "jsonb_array_elements_text", &[JsonbType], &[("value", Text)], |_, a| jsonb_elements(a.jsonb(0)?, Form::Text)),
    rows(3955, "json_array_elements", &[Json], &[("value", Json)], |_, a| json_elements(a.json(0)?, Form::Json, "json_array_elements")),
    rows(3969, "json_array_elements_text", &[Json], &[("value", Text)], |_, a| json_elements(a.json(0)?, Form::Text, "json_array_elements_text")),
    rows(3931, "jsonb_object_keys", &[JsonbType], &[("", Text)], |_, a| jsonb_keys(a.jsonb(0)?)),
    rows(3957, "json_object_keys", &[Json], &[("", Text)], |_, a| json_keys(a.json(0)?)),
];
