//! `json` and `jsonb`.
//!
//! `json` keeps its text; it is only checked. `jsonb` is a tree: keys in PostgreSQL's order (shorter first, then by
//! bytes), the last of equal keys, numbers as `numeric` writes them. [`parse`] reads both over one lexer, with
//! PostgreSQL's error details.

pub(crate) mod build;
mod lex;
mod parse;

use std::cmp::Ordering;
use std::hash::Hasher;

use rustc_hash::FxHasher;
use serde_json::Map;

use super::{Jsonb, Numeric, numeric};
use crate::error::Result;

pub(crate) use parse::{Event, events};
pub use parse::{check, read};

/// The nesting at most; PostgreSQL's limit is that of its stack.
pub const DEPTH_MAX: usize = 1000;

/// PostgreSQL's order of keys: shorter first, then by bytes.
pub(crate) fn compare_keys(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.as_bytes().cmp(right.as_bytes()))
}

/// An object from its fields: sorted, the last of equal keys kept.
pub(crate) fn object(mut fields: Vec<(String, Jsonb)>) -> Jsonb {
    fields.sort_by(|(a, _), (b, _)| compare_keys(a, b));
    let mut map = Map::with_capacity(fields.len());
    for (key, value) in fields {
        map.insert(key, value);
    }
    Jsonb::Object(map)
}

/// A number.
pub(crate) fn number(value: &Numeric) -> Jsonb {
    match value {
        Numeric::Finite { .. } => {
            Jsonb::Number(serde_json::Number::from_string_unchecked(value.to_string()))
        }
        other => Jsonb::String(other.to_string()),
    }
}

/// The `numeric` of a number.
pub(crate) fn to_numeric(value: &serde_json::Number) -> Result<Numeric> {
    numeric::read(value.as_str())
}

/// Writes a `jsonb`.
pub fn write(value: &Jsonb, out: &mut Vec<u8>) {
    match value {
        Jsonb::Null => out.extend_from_slice(b"null"),
        Jsonb::Bool(it) => out.extend_from_slice(if *it { b"true" } else { b"false" }),
        Jsonb::Number(it) => out.extend_from_slice(it.as_str().as_bytes()),
        Jsonb::String(it) => write_string(it, out),
        Jsonb::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.extend_from_slice(b", ");
                }
                write(item, out);
            }
            out.push(b']');
        }
        Jsonb::Object(fields) => {
            out.push(b'{');
            for (place, (key, item)) in fields.iter().enumerate() {
                if place > 0 {
                    out.extend_from_slice(b", ");
                }
                write_string(key, out);
                out.extend_from_slice(b": ");
                write(item, out);
            }
            out.push(b'}');
        }
    }
}

/// A tree in PostgreSQL's form: keys sorted, numbers as `numeric` writes them.
pub fn normalize(value: Jsonb) -> Jsonb {
    match value {
        Jsonb::Object(fields) => {
            object(fields.into_iter().map(|(key, value)| (key, normalize(value))).collect())
        }
        Jsonb::Array(items) => Jsonb::Array(items.into_iter().map(normalize).collect()),
        Jsonb::Number(it) => {
            to_numeric(&it).map_or_else(|_| Jsonb::Number(it.clone()), |it| number(&it))
        }
        other => other,
    }
}

/// The text of a `jsonb`.
pub fn to_text(value: &Jsonb) -> String {
    let mut out = Vec::new();
    write(value, &mut out);
    String::from_utf8(out).expect("written from strings")
}

/// Writes a string between double quotes.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The place of a value's kind in the order: null, string, number, boolean, array, object.
fn rank(value: &Jsonb) -> u8 {
    match value {
        Jsonb::Null => 0,
        Jsonb::String(_) => 1,
        Jsonb::Number(_) => 2,
        Jsonb::Bool(_) => 3,
        Jsonb::Array(_) => 4,
        Jsonb::Object(_) => 5,
    }
}

/// The order of `jsonb`. At the top a scalar counts as an array of one element, so that an empty array comes first.
pub fn compare(left: &Jsonb, right: &Jsonb) -> Ordering {
    let scalar = |it: &Jsonb| !matches!(it, Jsonb::Array(_) | Jsonb::Object(_));
    match (left, right) {
        (Jsonb::Array(items), other) if scalar(other) => {
            if items.is_empty() {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (other, Jsonb::Array(items)) if scalar(other) => {
            if items.is_empty() {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        _ => compare_inner(left, right),
    }
}

fn compare_inner(left: &Jsonb, right: &Jsonb) -> Ordering {
    match (left, right) {
        (Jsonb::Bool(a), Jsonb::Bool(b)) => a.cmp(b),
        (Jsonb::String(a), Jsonb::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Jsonb::Number(a), Jsonb::Number(b)) => match (to_numeric(a), to_numeric(b)) {
            (Ok(a), Ok(b)) => numeric::compare(&a, &b),
            _ => a.as_str().cmp(b.as_str()),
        },
        (Jsonb::Array(a), Jsonb::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
            let pairs = a.iter().zip(b).map(|(a, b)| compare_inner(a, b));
            pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (Jsonb::Object(a), Jsonb::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            let pairs = a.iter().zip(b).map(|((key_a, a), (key_b, b))| {
                key_a.as_bytes().cmp(key_b.as_bytes()).then_with(|| compare_inner(a, b))
            });
            pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }),
        _ => rank(left).cmp(&rank(right)),
    }
}

/// Hashes so that equal values have equal hashes.
pub fn hash(value: &Jsonb, state: &mut FxHasher) {
    state.write_u8(rank(value));
    match value {
        Jsonb::Null => {}
        Jsonb::Bool(it) => state.write_u8(u8::from(*it)),
        Jsonb::Number(it) => match to_numeric(it) {
            Ok(it) => numeric::hash(&it, state),
            Err(_) => state.write(it.as_str().as_bytes()),
        },
        Jsonb::String(it) => state.write(it.as_bytes()),
        Jsonb::Array(items) => items.iter().for_each(|it| hash(it, state)),
        Jsonb::Object(fields) => fields.iter().for_each(|(key, it)| {
            state.write(key.as_bytes());
            hash(it, state);
        }),
    }
}
