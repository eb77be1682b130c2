//! What a `jsonb` contains: `@>`, `?`, `?|`, `?&`.

use crate::error::Result;
use crate::types::PgType::{Bool, Jsonb as JsonbType, Text, TextArray};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{Datum, Jsonb, json};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn same(left: &Jsonb, right: &Jsonb) -> bool {
    json::compare(left, right).is_eq()
}

/// Whether the right value's structure is found in the left one. At the top an array contains a scalar.
fn contains(left: &Jsonb, right: &Jsonb, top: bool) -> bool {
    match (left, right) {
        (Jsonb::Object(left), Jsonb::Object(right)) => right
            .iter()
            .all(|(key, wanted)| left.get(key).is_some_and(|found| contains(found, wanted, false))),
        (Jsonb::Array(left), Jsonb::Array(right)) => right.iter().all(|wanted| match wanted {
            Jsonb::Array(_) | Jsonb::Object(_) => {
                left.iter().any(|found| contains(found, wanted, false))
            }
            scalar => left.iter().any(|found| same(found, scalar)),
        }),
        (Jsonb::Array(left), scalar) if top && !scalar.is_object() => {
            left.iter().any(|found| same(found, scalar))
        }
        (Jsonb::Array(_) | Jsonb::Object(_), _) | (_, Jsonb::Array(_) | Jsonb::Object(_)) => false,
        _ => same(left, right),
    }
}

fn exists(value: &Jsonb, key: &str) -> bool {
    match value {
        Jsonb::Object(fields) => fields.contains_key(key),
        Jsonb::Array(items) => items.iter().any(|it| it.as_str() == Some(key)),
        Jsonb::String(text) => text == key,
        _ => false,
    }
}

fn keys(a: &[Datum]) -> Result<Vec<&str>> {
    let texts = a.array(1)?.elements.iter().filter(|it| !it.is_null());
    Ok(texts
        .filter_map(|it| match it {
            Datum::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect())
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(4046, "jsonb_contains", &[JsonbType, JsonbType], Bool, |_, a| Ok(Datum::Bool(contains(a.jsonb(0)?, a.jsonb(1)?, true)))),
    f(4050, "jsonb_contained", &[JsonbType, JsonbType], Bool, |_, a| Ok(Datum::Bool(contains(a.jsonb(1)?, a.jsonb(0)?, true)))),
    f(4047, "jsonb_exists", &[JsonbType, Text], Bool, |_, a| Ok(Datum::Bool(exists(a.jsonb(0)?, a.text(1)?)))),
    f(4048, "jsonb_exists_any", &[JsonbType, TextArray], Bool, |_, a| { let value = a.jsonb(0)?; Ok(Datum::Bool(keys(a)?.iter().any(|it| exists(value, it)))) }),
    f(4049, "jsonb_exists_all", &[JsonbType, TextArray], Bool, |_, a| { let value = a.jsonb(0)?; Ok(Datum::Bool(keys(a)?.iter().all(|it| exists(value, it)))) }),
];
