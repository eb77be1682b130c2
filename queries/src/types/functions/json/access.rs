//! Getting at parts: `->`, `->>`, `#>`, `#>>` and the functions behind them.

use std::sync::Arc;

use super::{children, part, place, unquoted, unquoted_jsonb};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::*;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{ArrayValue, Datum, Jsonb, PgType, json};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// What is looked for in one step.
enum Step<'a> {
    Key(&'a str),
    Index(i64),
    /// Part of a path: a key of an object, or a number for an array.
    Either(&'a str),
}

fn in_jsonb<'a>(value: &'a Jsonb, step: &Step<'_>) -> Option<&'a Jsonb> {
    match (value, step) {
        (Jsonb::Object(fields), Step::Key(key) | Step::Either(key)) => fields.get(*key),
        (Jsonb::Array(items), Step::Index(index)) => {
            place(*index, items.len()).map(|it| &items[it])
        }
        (Jsonb::Array(items), Step::Either(text)) => {
            let index = text.trim_start().parse::<i32>().ok()?;
            place(i64::from(index), items.len()).map(|it| &items[it])
        }
        _ => None,
    }
}

fn in_json<'a>(text: &'a str, step: &Step<'_>) -> Result<Option<&'a str>> {
    let Some(found) = children(text)? else { return Ok(None) };
    let at = match step {
        // The last of equal keys counts.
        Step::Key(key) | Step::Either(key) if found.object => {
            found.items.iter().rposition(|(name, _)| name == key)
        }
        Step::Index(index) if !found.object => place(*index, found.items.len()),
        Step::Either(text) => text
            .trim_start()
            .parse::<i32>()
            .ok()
            .and_then(|it| place(i64::from(it), found.items.len())),
        _ => None,
    };
    Ok(at.map(|at| {
        let (start, end) = found.items[at].1;
        part(text, start, end)
    }))
}

fn jsonb_step(value: &Jsonb, step: &Step<'_>) -> Datum {
    in_jsonb(value, step).map_or(Datum::Null, |found| Datum::Jsonb(Arc::new(found.clone())))
}

fn jsonb_step_text(value: &Jsonb, step: &Step<'_>) -> Datum {
    in_jsonb(value, step).and_then(unquoted_jsonb).map_or(Datum::Null, Datum::from)
}

fn json_step(text: &str, step: &Step<'_>) -> Result<Datum> {
    Ok(in_json(text, step)?.map_or(Datum::Null, |found| Datum::Json(found.into())))
}

fn json_step_text(text: &str, step: &Step<'_>) -> Result<Datum> {
    Ok(match in_json(text, step)? {
        Some(found) => unquoted(found)?.map_or(Datum::Null, Datum::from),
        None => Datum::Null,
    })
}

/// The elements of a path; none if one of them is null.
pub(super) fn path(array: &ArrayValue) -> Option<Vec<&str>> {
    array
        .elements
        .iter()
        .map(|element| match element {
            Datum::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn jsonb_path<'a>(value: &'a Jsonb, array: &ArrayValue) -> Option<&'a Jsonb> {
    path(array)?.into_iter().try_fold(value, |value, step| in_jsonb(value, &Step::Either(step)))
}

fn json_path<'a>(text: &'a str, array: &ArrayValue) -> Result<Option<&'a str>> {
    let Some(steps) = path(array) else { return Ok(None) };
    let mut found = text.trim_matches([' ', '\t', '\n', '\r']);
    if steps.is_empty() {
        found = text;
    }
    for step in steps {
        match in_json(found, &Step::Either(step))? {
            Some(inner) => found = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn jsonb_extract(a: &[Datum], as_text: bool) -> Result<Datum> {
    let Some(found) = jsonb_path(a.jsonb(0)?, a.array(1)?) else { return Ok(Datum::Null) };
    Ok(if as_text {
        unquoted_jsonb(found).map_or(Datum::Null, Datum::from)
    } else {
        Datum::Jsonb(Arc::new(found.clone()))
    })
}

fn json_extract(a: &[Datum], as_text: bool) -> Result<Datum> {
    let Some(found) = json_path(a.json(0)?, a.array(1)?)? else { return Ok(Datum::Null) };
    if as_text {
        Ok(unquoted(found)?.map_or(Datum::Null, Datum::from))
    } else {
        Ok(Datum::Json(found.into()))
    }
}

/// The arguments of a spread-out variadic call, the path gathered into an array.
fn gathered(a: &[Datum]) -> Vec<Datum> {
    if let [_, Datum::Array(_)] = a {
        return a.to_vec();
    }
    let elements: Vec<Datum> = a[1..].to_vec();
    let dimensions = vec![(elements.len(), 1)];
    let array = Datum::Array(Arc::new(ArrayValue { element: Text, dimensions, elements }));
    vec![a[0].clone(), array]
}

fn jsonb_typeof(value: &Jsonb) -> &'static str {
    match value {
        Jsonb::Null => "null",
        Jsonb::Bool(_) => "boolean",
        Jsonb::Number(_) => "number",
        Jsonb::String(_) => "string",
        Jsonb::Array(_) => "array",
        Jsonb::Object(_) => "object",
    }
}

fn json_typeof(text: &str) -> &'static str {
    match text.trim_matches([' ', '\t', '\n', '\r']).bytes().next() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

fn invalid(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn count(items: usize) -> Datum {
    Datum::Int4(i32::try_from(items).unwrap_or(i32::MAX))
}

fn jsonb_array_length(value: &Jsonb) -> Result<Datum> {
    match value {
        Jsonb::Array(items) => Ok(count(items.len())),
        Jsonb::Object(_) => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    }
}

fn json_array_length(text: &str) -> Result<Datum> {
    match children(text)? {
        Some(found) if !found.object => Ok(count(found.items.len())),
        Some(_) => Err(invalid("cannot get array length of a non-array")),
        None => Err(invalid("cannot get array length of a scalar")),
    }
}

/// A `jsonb` scalar as a value of another type.
fn cast(value: &Jsonb, ty: PgType) -> Result<Datum> {
    let kind = match value {
        Jsonb::Null => "null",
        Jsonb::Bool(_) => "boolean",
        Jsonb::Number(_) => "numeric",
        Jsonb::String(_) => "string",
        Jsonb::Array(_) => "array",
        Jsonb::Object(_) => "object",
    };
    let refuse = || invalid(&format!("cannot cast jsonb {kind} to type {ty}"));
    match (value, ty) {
        (Jsonb::Bool(it), Bool) => Ok(Datum::Bool(*it)),
        (_, Bool) => Err(refuse()),
        (Jsonb::Number(it), _) => {
            let number = json::to_numeric(it)?;
            Ok(match ty {
                Int2 => Datum::Int2(i16::try_from(number.to_integer(ty)?).unwrap_or_default()),
                Int4 => Datum::Int4(i32::try_from(number.to_integer(ty)?).unwrap_or_default()),
                Int8 => Datum::Int8(number.to_integer(ty)?),
                Float4 => Datum::Float4(number.to_float4()?),
                Float8 => Datum::Float8(number.to_float8()?),
                _ => Datum::from(number),
            })
        }
        _ => Err(refuse()),
    }
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(3478, "jsonb_object_field", &[Jsonb, Text], Jsonb, |_, a| Ok(jsonb_step(a.jsonb(0)?, &Step::Key(a.text(1)?)))),
    f(3214, "jsonb_object_field_text", &[Jsonb, Text], Text, |_, a| Ok(jsonb_step_text(a.jsonb(0)?, &Step::Key(a.text(1)?)))),
    f(3215, "jsonb_array_element", &[Jsonb, Int4], Jsonb, |_, a| Ok(jsonb_step(a.jsonb(0)?, &Step::Index(i64::from(a.int4(1)?))))),
    f(3216, "jsonb_array_element_text", &[Jsonb, Int4], Text, |_, a| Ok(jsonb_step_text(a.jsonb(0)?, &Step::Index(i64::from(a.int4(1)?))))),
    f(3217, "jsonb_extract_path", &[Jsonb, TextArray], Jsonb, |_, a| jsonb_extract(&gathered(a), false)).variadic(),
    f(3940, "jsonb_extract_path_text", &[Jsonb, TextArray], Text, |_, a| jsonb_extract(&gathered(a), true)).variadic(),
    f(3947, "json_object_field", &[Json, Text], Json, |_, a| json_step(a.json(0)?, &Step::Key(a.text(1)?))),
    f(3948, "json_object_field_text", &[Json, Text], Text, |_, a| json_step_text(a.json(0)?, &Step::Key(a.text(1)?))),
    f(3949, "json_array_element", &[Json, Int4], Json, |_, a| json_step(a.json(0)?, &Step::Index(i64::from(a.int4(1)?)))),
    f(3950, "json_array_element_text", &[Json, Int4], Text, |_, a| json_step_text(a.json(0)?, &Step::Index(i64::from(a.int4(1)?)))),
    f(3951, "json_extract_path", &[Json, TextArray], Json, |_, a| json_extract(&gathered(a), false)).variadic(),
    f(3953, "json_extract_path_text", &[Json, TextArray], Text, |_, a| json_extract(&gathered(a), true)).variadic(),
    f(3210, "jsonb_typeof", &[Jsonb], Text, |_, a| Ok(Datum::text(jsonb_typeof(a.jsonb(0)?)))),
    f(3968, "json_typeof", &[Json], Text, |_, a| Ok(Datum::text(json_typeof(a.json(0)?)))),
    f(3207, "jsonb_array_length", &[Jsonb], Int4, |_, a| jsonb_array_length(a.jsonb(0)?)),
    f(3956, "json_array_length", &[Json], Int4, |_, a| json_array_length(a.json(0)?)),
    f(3556, "bool", &[Jsonb], Bool, |_, a| cast(a.jsonb(0)?, Bool)),
    f(3450, "int2", &[Jsonb], Int2, |_, a| cast(a.jsonb(0)?, Int2)),
    f(3451, "int4", &[Jsonb], Int4, |_, a| cast(a.jsonb(0)?, Int4)),
    f(3452, "int8", &[Jsonb], Int8, |_, a| cast(a.jsonb(0)?, Int8)),
    f(3453, "float4", &[Jsonb], Float4, |_, a| cast(a.jsonb(0)?, Float4)),
    f(2580, "float8", &[Jsonb], Float8, |_, a| cast(a.jsonb(0)?, Float8)),
    f(3449, "numeric", &[Jsonb], Numeric, |_, a| cast(a.jsonb(0)?, Numeric)),
];
