//! Changing `jsonb`: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`, `jsonb_strip_nulls`, `jsonb_pretty`.

use super::place;
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::{Bool, Int4, Json, Jsonb as JsonbType, Text, TextArray};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{ArrayValue, Datum, Jsonb, json};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn b(value: Jsonb) -> Datum {
    Datum::Jsonb(value.into())
}

fn concat(left: &Jsonb, right: &Jsonb) -> Jsonb {
    if let (Jsonb::Object(left), Jsonb::Object(right)) = (left, right) {
        let fields = left.iter().chain(right).map(|(key, value)| (key.clone(), value.clone()));
        return json::object(fields.collect());
    }
    let items = |value: &Jsonb| match value {
        Jsonb::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    Jsonb::Array([items(left), items(right)].concat())
}

fn delete_keys(value: &Jsonb, keys: &[&str]) -> Result<Datum> {
    let wanted = |key: &str| keys.contains(&key);
    Ok(b(match value {
        Jsonb::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| !wanted(key));
            json::object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        Jsonb::Array(items) => Jsonb::Array(
            items.iter().filter(|it| !it.as_str().is_some_and(wanted)).cloned().collect(),
        ),
        _ => return Err(invalid("cannot delete from scalar")),
    }))
}

fn delete_index(value: &Jsonb, index: i32) -> Result<Datum> {
    match value {
        Jsonb::Array(items) => {
            let mut items = items.clone();
            if let Some(place) = place(i64::from(index), items.len()) {
                items.remove(place);
            }
            Ok(b(Jsonb::Array(items)))
        }
        Jsonb::Object(_) => Err(invalid("cannot delete from object using integer index")),
        _ => Err(invalid("cannot delete from scalar")),
    }
}

/// What happens at the end of a path.
#[derive(Clone, Copy, PartialEq)]
enum Change<'a> {
    Delete,
    Set { value: &'a Jsonb, create: bool },
    Insert { value: &'a Jsonb, after: bool },
}

fn steps(array: &ArrayValue) -> Result<Vec<&str>> {
    if array.dimensions.len() > 1 {
        return Err(SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            "wrong number of array subscripts",
        ));
    }
    let step = |(place, element): (usize, &'_ Datum)| -> Result<()> {
        match element {
            Datum::Text(_) => Ok(()),
            _ => Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                format!("path element at position {} is null", place + 1),
            )),
        }
    };
    array.elements.iter().enumerate().try_for_each(step)?;
    Ok(texts(&array.elements))
}

fn change(value: &Jsonb, path: &[&str], depth: usize, what: Change<'_>) -> Result<Jsonb> {
    let [step, rest @ ..] = path else { return Ok(value.clone()) };
    match value {
        Jsonb::Object(fields) => {
            let mut fields: Vec<(String, Jsonb)> =
                fields.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let at = fields.iter().position(|(key, _)| key == step);
            change_field(&mut fields, at, step, rest, depth, what)?;
            Ok(json::object(fields))
        }
        Jsonb::Array(items) => {
            let index: i32 = step.trim_start().parse().map_err(|_| {
                let message =
                    format!("path element at position {} is not an integer: \"{step}\"", depth + 1);
                SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
            })?;
            let mut items = items.clone();
            change_item(&mut items, index, rest, depth, what)?;
            Ok(Jsonb::Array(items))
        }
        scalar => Ok(scalar.clone()),
    }
}

fn change_field(
    fields: &mut Vec<(String, Jsonb)>,
    at: Option<usize>,
    key: &str,
    rest: &[&str],
    depth: usize,
    what: Change<'_>,
) -> Result<()> {
    match (at, what) {
        (Some(at), _) if !rest.is_empty() => {
            fields[at].1 = change(&fields[at].1, rest, depth + 1, what)?;
        }
        (None, _) if !rest.is_empty() => {}
        (Some(at), Change::Delete) => {
            fields.remove(at);
        }
        (Some(at), Change::Set { value, .. }) => fields[at].1 = value.clone(),
        (Some(_), Change::Insert { .. }) => {
            return Err(invalid("cannot replace existing key")
                .with_hint("Try using the function jsonb_set to replace key value."));
        }
        (None, Change::Set { value, create: true } | Change::Insert { value, .. }) => {
            fields.push((key.to_owned(), value.clone()));
        }
        (None, _) => {}
    }
    Ok(())
}

fn change_item(
    items: &mut Vec<Jsonb>,
    index: i32,
    rest: &[&str],
    depth: usize,
    what: Change<'_>,
) -> Result<()> {
    let at = place(i64::from(index), items.len());
    match (at, what) {
        (Some(at), _) if !rest.is_empty() => items[at] = change(&items[at], rest, depth + 1, what)?,
        (None, _) if !rest.is_empty() => {}
        (Some(at), Change::Delete) => {
            items.remove(at);
        }
        (Some(at), Change::Set { value, .. }) => items[at] = value.clone(),
        (Some(at), Change::Insert { value, after }) => {
            items.insert(at + usize::from(after), value.clone());
        }
        // Beyond either end: there.
        (None, Change::Set { value, create: true } | Change::Insert { value, .. }) => {
            let at = if index < 0 { 0 } else { items.len() };
            items.insert(at, value.clone());
        }
        (None, _) => {}
    }
    Ok(())
}

fn is_scalar(value: &Jsonb) -> bool {
    !matches!(value, Jsonb::Array(_) | Jsonb::Object(_))
}

fn delete_path(value: &Jsonb, path: &ArrayValue) -> Result<Datum> {
    if is_scalar(value) {
        return Err(invalid("cannot delete path in scalar"));
    }
    Ok(b(change(value, &steps(path)?, 0, Change::Delete)?))
}

fn set(a: &[Datum], create: bool) -> Result<Datum> {
    let target = a.jsonb(0)?;
    if is_scalar(target) {
        return Err(invalid("cannot set path in scalar"));
    }
    Ok(b(change(target, &steps(a.array(1)?)?, 0, Change::Set { value: a.jsonb(2)?, create })?))
}

/// `jsonb_set_lax`: what a null as the new value does is the fifth argument.
fn set_lax(a: &[Datum]) -> Result<Datum> {
    if a.null(0) || a.null(1) || (a.len() > 3 && a.null(3)) {
        return Ok(Datum::Null);
    }
    let create = if a.len() > 3 { a.bool(3)? } else { true };
    if !a.null(2) {
        return set(a, create);
    }
    let treatment = if a.len() > 4 {
        if a.null(4) {
            return Err(invalid(
                "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
            ));
        }
        a.text(4)?
    } else {
        "use_json_null"
    };
    match treatment {
        "raise_exception" => {
            Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "JSON value must not be null").with_detail(
                "Exception was raised because null_value_treatment is \"raise_exception\".",
            ).with_hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed."))
        }
        "use_json_null" => {
            let all = [a[0].clone(), a[1].clone(), b(Jsonb::Null)];
            set(&all, create)
        }
        "delete_key" => delete_path(a.jsonb(0)?, a.array(1)?),
        "return_target" => Ok(a[0].clone()),
        _ => Err(invalid("null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")),
    }
}

fn insert(a: &[Datum], after: bool) -> Result<Datum> {
    let target = a.jsonb(0)?;
    if is_scalar(target) {
        return Err(invalid("cannot set path in scalar"));
    }
    Ok(b(change(target, &steps(a.array(1)?)?, 0, Change::Insert { value: a.jsonb(2)?, after })?))
}

fn strip(value: &Jsonb) -> Jsonb {
    match value {
        Jsonb::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            json::object(kept.map(|(key, value)| (key.clone(), strip(value))).collect())
        }
        Jsonb::Array(items) => Jsonb::Array(items.iter().map(strip).collect()),
        scalar => scalar.clone(),
    }
}

/// `json_strip_nulls`: the text without white space and without fields that are null.
fn strip_text(text: &str) -> Result<String> {
    let Some(children) = super::children(text)? else { return Ok(text.trim().to_owned()) };
    let mut parts = Vec::new();
    for (key, (start, end)) in &children.items {
        let value = &text[*start..*end];
        if children.object && value == "null" {
            continue;
        }
        let mut out = Vec::new();
        if children.object {
            json::write_string(key, &mut out);
            out.push(b':');
        }
        out.extend_from_slice(strip_text(value)?.as_bytes());
        parts.push(String::from_utf8_lossy(&out).into_owned());
    }
    let (open, close) = if children.object { ('{', '}') } else { ('[', ']') };
    Ok(format!("{open}{}{close}", parts.join(",")))
}

/// Writes with one part a line and four blanks a level.
fn pretty(value: &Jsonb, level: usize, out: &mut Vec<u8>) {
    let line = |level: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + level * 4, b' ');
    };
    match value {
        Jsonb::Object(fields) => {
            out.push(b'{');
            for (place, (key, value)) in fields.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                line(level + 1, out);
                json::write_string(key, out);
                out.extend_from_slice(b": ");
                pretty(value, level + 1, out);
            }
            line(level, out);
            out.push(b'}');
        }
        Jsonb::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                line(level + 1, out);
                pretty(item, level + 1, out);
            }
            line(level, out);
            out.push(b']');
        }
        scalar => json::write(scalar, out),
    }
}

fn pretty_text(value: &Jsonb) -> Datum {
    let mut out = Vec::new();
    pretty(value, 0, &mut out);
    Datum::text(String::from_utf8_lossy(&out))
}

/// The texts of an array, or of arguments spread out.
fn texts(values: &[Datum]) -> Vec<&str> {
    let elements = match values {
        [Datum::Array(array)] => array.elements.as_slice(),
        spread => spread,
    };
    let mut found = Vec::with_capacity(elements.len());
    for element in elements {
        if let Datum::Text(text) = element {
            found.push(text.as_str());
        }
    }
    found
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(3301, "jsonb_concat", &[JsonbType, JsonbType], JsonbType, |_, a| Ok(b(concat(a.jsonb(0)?, a.jsonb(1)?)))),
    f(3302, "jsonb_delete", &[JsonbType, Text], JsonbType, |_, a| delete_keys(a.jsonb(0)?, &[a.text(1)?])),
    f(3343, "jsonb_delete", &[JsonbType, TextArray], JsonbType, |_, a| delete_keys(a.jsonb(0)?, &texts(&a[1..]))).variadic(),
    f(3303, "jsonb_delete", &[JsonbType, Int4], JsonbType, |_, a| delete_index(a.jsonb(0)?, a.int4(1)?)),
    f(3304, "jsonb_delete_path", &[JsonbType, TextArray], JsonbType, |_, a| delete_path(a.jsonb(0)?, a.array(1)?)),
    f(3305, "jsonb_set", &[JsonbType, TextArray, JsonbType, Bool], JsonbType, |_, a| set(a, a.bool(3)?)),
    f(0, "jsonb_set", &[JsonbType, TextArray, JsonbType], JsonbType, |_, a| set(a, true)),
    f(5054, "jsonb_set_lax", &[JsonbType, TextArray, JsonbType, Bool, Text], JsonbType, |_, a| set_lax(a)).lax(),
    f(0, "jsonb_set_lax", &[JsonbType, TextArray, JsonbType, Bool], JsonbType, |_, a| set_lax(a)).lax(),
    f(0, "jsonb_set_lax", &[JsonbType, TextArray, JsonbType], JsonbType, |_, a| set_lax(a)).lax(),
    f(3579, "jsonb_insert", &[JsonbType, TextArray, JsonbType, Bool], JsonbType, |_, a| insert(a, a.bool(3)?)),
    f(0, "jsonb_insert", &[JsonbType, TextArray, JsonbType], JsonbType, |_, a| insert(a, false)),
    f(3262, "jsonb_strip_nulls", &[JsonbType], JsonbType, |_, a| Ok(b(strip(a.jsonb(0)?)))),
    f(3261, "json_strip_nulls", &[Json], Json, |_, a| Ok(Datum::Json(strip_text(a.json(0)?)?.into()))),
    f(3306, "jsonb_pretty", &[JsonbType], Text, |_, a| Ok(pretty_text(a.jsonb(0)?))),
];
