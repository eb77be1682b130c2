//! Building JSON: `to_json`, `json_build_object`, `row_to_json` and their kin.

use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::*;
use crate::types::functions::arguments::{Typed, typed};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::json::{self, build};
use crate::types::{ArrayValue, Datum, Jsonb, PgType};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// `row_to_json` for a record whose fields have names, which a value does not know: the second argument is their
/// list, the third whether it is pretty. The binder puts it around a row of a table before the row goes into JSON.
pub static RECORD_TO_JSON: ScalarFunction =
    f(0, "row_to_json", &[Record, TextArray, Bool], Json, record_to_json).stable();

fn record_to_json(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let names = &a.array(1)?.elements;
    let names: Vec<String> = names
        .iter()
        .map(|name| match name {
            Datum::Text(name) => name.to_string(),
            _ => String::new(),
        })
        .collect();
    let plain = build::named_record(a.record(0)?, &names, &context.exec.settings)?;
    if a.bool(2)? { pretty(plain) } else { Ok(Datum::Json(plain.into())) }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn to_json(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let Typed { values, types, .. } = typed(a)?;
    let ty = types.first().copied().unwrap_or(Text);
    let value = values.first().unwrap_or(&Datum::Null);
    Ok(Datum::Json(build::to_json(value, ty, &context.exec.settings)?.into()))
}

fn to_jsonb(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let Typed { values, types, .. } = typed(a)?;
    let ty = types.first().copied().unwrap_or(Text);
    let value = values.first().unwrap_or(&Datum::Null);
    Ok(Datum::Jsonb(build::to_jsonb(value, ty, &context.exec.settings)?.into()))
}

/// `array_to_json` and `row_to_json`; pretty ones have line feeds between the parts at the top.
fn top_to_json(context: &EvalContext<'_>, a: &[Datum], is_pretty: bool) -> Result<Datum> {
    let ty = match &a[0] {
        Datum::Record(_) => Record,
        Datum::Array(array) => array.element.array().unwrap_or(TextArray),
        _ => Text,
    };
    let plain = build::to_json(&a[0], ty, &context.exec.settings)?;
    if is_pretty { pretty(plain) } else { Ok(Datum::Json(plain.into())) }
}

/// With line feeds between the parts at the top.
fn pretty(plain: String) -> Result<Datum> {
    let Some(children) = super::children(&plain)? else { return Ok(Datum::Json(plain.into())) };
    let mut parts = Vec::new();
    for (key, (start, end)) in &children.items {
        let mut out = Vec::new();
        if children.object {
            json::write_string(key, &mut out);
            out.push(b':');
        }
        out.extend_from_slice(&plain.as_bytes()[*start..*end]);
        parts.push(String::from_utf8_lossy(&out).into_owned());
    }
    let (open, close) = if children.object { ('{', '}') } else { ('[', ']') };
    Ok(Datum::Json(format!("{open}{}{close}", parts.join(",\n ")).into()))
}

/// A key and a value with their types.
type Pair = [(PgType, Datum); 2];

/// Keys and values in turns.
fn pairs(a: &[Datum], function: &str) -> Result<Option<Vec<Pair>>> {
    let Some(all) = typed(a)?.spread(0) else { return Ok(None) };
    if all.len() % 2 != 0 {
        return Err(invalid("argument list must have even number of elements".to_owned())
            .with_hint(format!(
                "The arguments of {function}() must consist of alternating keys and values."
            )));
    }
    let mut pairs = Vec::with_capacity(all.len() / 2);
    let mut all = all.into_iter();
    while let (Some(key), Some(value)) = (all.next(), all.next()) {
        pairs.push([key, value]);
    }
    Ok(Some(pairs))
}

fn null_key(place: usize) -> SqlError {
    invalid(format!("argument {} cannot be null", place * 2 + 1))
        .with_hint("Object keys should be text.")
}

fn json_build_object(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let settings = &context.exec.settings;
    let Some(pairs) = pairs(a, "json_build_object")? else { return Ok(Datum::Null) };
    let mut out = vec![b'{'];
    for (place, [(key_type, key), (ty, value)]) in pairs.iter().enumerate() {
        if key.is_null() {
            return Err(null_key(place));
        }
        if place > 0 {
            out.extend_from_slice(b", ");
        }
        json::write_string(&build::key(key, *key_type, settings)?, &mut out);
        out.extend_from_slice(b" : ");
        build::write_json(value, *ty, settings, &mut out)?;
    }
    out.push(b'}');
    Ok(Datum::Json(String::from_utf8_lossy(&out).into()))
}

fn jsonb_build_object(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let settings = &context.exec.settings;
    let Some(pairs) = pairs(a, "jsonb_build_object")? else { return Ok(Datum::Null) };
    let mut fields = Vec::with_capacity(pairs.len());
    for (place, [(key_type, key), (ty, value)]) in pairs.iter().enumerate() {
        if key.is_null() {
            return Err(invalid(format!("argument {}: key must not be null", place * 2 + 1)));
        }
        fields
            .push((build::key(key, *key_type, settings)?, build::to_jsonb(value, *ty, settings)?));
    }
    Ok(Datum::Jsonb(json::object(fields).into()))
}

fn json_build_array(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let Some(all) = typed(a)?.spread(0) else { return Ok(Datum::Null) };
    let mut out = vec![b'['];
    for (place, (ty, value)) in all.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b", ");
        }
        build::write_json(value, *ty, &context.exec.settings, &mut out)?;
    }
    out.push(b']');
    Ok(Datum::Json(String::from_utf8_lossy(&out).into()))
}

fn jsonb_build_array(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let Some(all) = typed(a)?.spread(0) else { return Ok(Datum::Null) };
    let convert =
        |(ty, value): &(PgType, Datum)| build::to_jsonb(value, *ty, &context.exec.settings);
    Ok(Datum::Jsonb(Jsonb::Array(all.iter().map(convert).collect::<Result<_>>()?).into()))
}

/// The keys and values of `json_object`: two arrays, one of both in turns, or one of pairs.
fn text_pairs(
    keys: &ArrayValue,
    values: Option<&ArrayValue>,
) -> Result<Vec<(String, Option<String>)>> {
    let error = |message: &str| SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message);
    let text = |value: &Datum| match value {
        Datum::Text(text) => Some(text.to_string()),
        _ => None,
    };
    let flat: Vec<(Datum, Datum)> = if let Some(values) = values {
        if keys.dimensions.len() > 1 || values.dimensions.len() > 1 {
            return Err(error("wrong number of array subscripts"));
        }
        if keys.elements.len() != values.elements.len() {
            return Err(error("mismatched array dimensions"));
        }
        keys.elements.iter().cloned().zip(values.elements.iter().cloned()).collect()
    } else {
        match keys.dimensions.as_slice() {
            [] => vec![],
            [(length, _)] if length % 2 == 1 => {
                return Err(error("array must have even number of elements"));
            }
            [_] => keys.elements.chunks(2).map(|it| (it[0].clone(), it[1].clone())).collect(),
            [_, (2, _)] => {
                keys.elements.chunks(2).map(|it| (it[0].clone(), it[1].clone())).collect()
            }
            [_, _] => return Err(error("array must have two columns")),
            _ => return Err(error("wrong number of array subscripts")),
        }
    };
    flat.iter()
        .map(|(key, value)| {
            let null = || {
                SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null value not allowed for object key",
                )
            };
            Ok((text(key).ok_or_else(null)?, text(value)))
        })
        .collect()
}

fn json_object(a: &[Datum]) -> Result<Datum> {
    let values = if a.len() > 1 { Some(&**a.array(1)?) } else { None };
    let mut out = vec![b'{'];
    for (place, (key, value)) in text_pairs(a.array(0)?, values)?.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b", ");
        }
        json::write_string(key, &mut out);
        out.extend_from_slice(b" : ");
        match value {
            Some(value) => json::write_string(value, &mut out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    Ok(Datum::Json(String::from_utf8_lossy(&out).into()))
}

fn jsonb_object(a: &[Datum]) -> Result<Datum> {
    let values = if a.len() > 1 { Some(&**a.array(1)?) } else { None };
    let pairs = text_pairs(a.array(0)?, values)?;
    let fields =
        pairs.into_iter().map(|(key, value)| (key, value.map_or(Jsonb::Null, Jsonb::String)));
    Ok(Datum::Jsonb(json::object(fields.collect()).into()))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(3176, "to_json", &[AnyElement], Json, to_json).typed().stable(),
    f(3787, "to_jsonb", &[AnyElement], Jsonb, to_jsonb).typed().stable(),
    f(3155, "row_to_json", &[Record], Json, |c, a| top_to_json(c, a, false)).stable(),
    f(3156, "row_to_json", &[Record, Bool], Json, |c, a| top_to_json(c, a, a.bool(1)?)).stable(),
    f(3153, "array_to_json", &[AnyArray], Json, |c, a| top_to_json(c, a, false)).stable(),
    f(3154, "array_to_json", &[AnyArray, Bool], Json, |c, a| top_to_json(c, a, a.bool(1)?)).stable(),
    f(3200, "json_build_object", &[Any], Json, json_build_object).typed().lax().stable().variadic(),
    f(3201, "json_build_object", &[], Json, |_, _| Ok(Datum::Json("{}".into()))).lax().stable(),
    f(3273, "jsonb_build_object", &[Any], Jsonb, jsonb_build_object).typed().lax().stable().variadic(),
    f(3274, "jsonb_build_object", &[], Jsonb, |_, _| Ok(Datum::Jsonb(json::object(vec![]).into()))).lax().stable(),
    f(3198, "json_build_array", &[Any], Json, json_build_array).typed().lax().stable().variadic(),
    f(3199, "json_build_array", &[], Json, |_, _| Ok(Datum::Json("[]".into()))).lax().stable(),
    f(3271, "jsonb_build_array", &[Any], Jsonb, jsonb_build_array).typed().lax().stable().variadic(),
    f(3272, "jsonb_build_array", &[], Jsonb, |_, _| Ok(Datum::Jsonb(Jsonb::Array(vec![]).into()))).lax().stable(),
    f(3202, "json_object", &[TextArray], Json, |_, a| json_object(a)),
    f(3203, "json_object", &[TextArray, TextArray], Json, |_, a| json_object(a)),
    f(3263, "jsonb_object", &[TextArray], Jsonb, |_, a| jsonb_object(a)),
    f(3264, "jsonb_object", &[TextArray, TextArray], Jsonb, |_, a| jsonb_object(a)),
];
