//! Functions and operators of `json` and `jsonb`.

pub(super) mod access;
pub(super) mod build;
pub(super) mod change;
pub(super) mod contain;
pub(super) mod expand;
pub(super) mod path;
pub(super) mod record;

use crate::error::Result;
use crate::types::json::{self, Event};

/// A part of a `json` text, kept as it is written.
fn part(text: &str, start: usize, end: usize) -> &str {
    &text[start..end]
}

/// The fields or elements of a `json` text: keys (of an object) and where the values stand. None of a scalar.
#[derive(Debug)]
pub(super) struct Children {
    /// Whether it is an object.
    pub(super) object: bool,
    /// Keys, empty in an array, and values.
    pub(super) items: Vec<(String, (usize, usize))>,
}

/// Takes a `json` text apart.
pub(super) fn children(text: &str) -> Result<Option<Children>> {
    let events = json::events(text)?;
    let Some(Event::Start { object, .. }) = events.first() else { return Ok(None) };
    let mut items: Vec<(String, (usize, usize))> = Vec::new();
    let (mut depth, mut key, mut from) = (0, String::new(), 0);
    for event in &events {
        match event {
            Event::Start { at, .. } => {
                if depth == 1 {
                    from = *at;
                }
                depth += 1;
            }
            Event::End(at) => {
                depth -= 1;
                if depth == 1 {
                    items.push((std::mem::take(&mut key), (from, *at)));
                }
            }
            Event::Key(name) if depth == 1 => key.clone_from(name),
            Event::Scalar { start, end } if depth == 1 => {
                items.push((std::mem::take(&mut key), (*start, *end)));
            }
            Event::Key(_) | Event::Scalar { .. } => {}
        }
    }
    Ok(Some(Children { object: *object, items }))
}

/// A `json` value as text: a string without its quotes, null as none.
pub(super) fn unquoted(text: &str) -> Result<Option<String>> {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r']);
    if trimmed == "null" {
        return Ok(None);
    }
    if trimmed.starts_with('"') {
        return Ok(match json::read(trimmed)? {
            serde_json::Value::String(text) => Some(text),
            _ => None,
        });
    }
    Ok(Some(trimmed.to_owned()))
}

/// A `jsonb` value as text: a string without its quotes, null as none.
pub(super) fn unquoted_jsonb(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(json::to_text(other)),
    }
}

/// The place in an array that an index means; negative ones count from the end.
pub(super) fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    (0..length).contains(&index).then(|| usize::try_from(index).ok()).flatten()
}
