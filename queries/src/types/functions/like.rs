//! `LIKE` and `ILIKE`, and the patterns of `SIMILAR TO`.

use super::define::f;
use super::registry::FunctionTable;
use super::strings::lower;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;
use crate::types::PgType::*;

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn ends_with_escape() -> SqlError {
    SqlError::new(
        SqlState::INVALID_ESCAPE_SEQUENCE,
        "LIKE pattern must not end with escape character",
    )
}

/// The bytes of the character that starts here.
fn width(text: &[u8], at: usize, characters: bool) -> usize {
    if !characters {
        return 1;
    }
    match text[at] {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// Whether a text matches a pattern: `%` is any string, `_` any one character, `\` takes the next one literally.
///
/// It goes back to the last `%` only, which is enough: what an earlier one could swallow, the last one can too.
pub(crate) fn matches(text: &[u8], pattern: &[u8], characters: bool) -> Result<bool> {
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                if p == pattern.len() {
                    return Ok(true);
                }
                retry = Some((t, p));
                continue;
            }
            None if t == text.len() => return Ok(true),
            Some(b'_') if t < text.len() => {
                t += width(text, t, characters);
                p += 1;
                continue;
            }
            Some(b'\\') if t < text.len() => {
                let literal = pattern.get(p + 1).ok_or_else(ends_with_escape)?;
                if text.get(t) == Some(literal) {
                    (t, p) = (t + 1, p + 2);
                    continue;
                }
            }
            Some(literal) if text.get(t) == Some(literal) => {
                (t, p) = (t + 1, p + 1);
                continue;
            }
            _ => {}
        }
        let Some((from, after)) = retry else { return Ok(false) };
        if from >= text.len() {
            return Ok(false);
        }
        t = from + width(text, from, characters);
        p = after;
        retry = Some((t, p));
    }
}

fn like(arguments: &[Datum], wanted: bool) -> Result<Datum> {
    let found = matches(arguments.text(0)?.as_bytes(), arguments.text(1)?.as_bytes(), true)?;
    Ok(Datum::Bool(found == wanted))
}

fn bytea_like(arguments: &[Datum], wanted: bool) -> Result<Datum> {
    Ok(Datum::Bool(matches(arguments.bytea(0)?, arguments.bytea(1)?, false)? == wanted))
}

fn ilike(arguments: &[Datum], wanted: bool) -> Result<Datum> {
    let fold = |text: &str| -> String { text.chars().map(|it| lower(it).unwrap_or(it)).collect() };
    let (text, pattern) = (fold(arguments.text(0)?), fold(arguments.text(1)?));
    Ok(Datum::Bool(matches(text.as_bytes(), pattern.as_bytes(), true)? == wanted))
}

fn escape_character(escape: &str) -> Result<Option<char>> {
    let mut characters = escape.chars();
    let first = characters.next();
    if characters.next().is_some() {
        return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    Ok(first)
}

/// A pattern with an escape character of its own, rewritten to use the backslash.
fn like_escape(pattern: &str, escape: &str) -> Result<Datum> {
    let escape = escape_character(escape)?;
    if escape == Some('\\') {
        return Ok(Datum::text(pattern));
    }
    let mut out = String::new();
    let mut after_escape = false;
    for character in pattern.chars() {
        if Some(character) == escape && !after_escape {
            out.push('\\');
            after_escape = true;
        } else {
            if character == '\\' && !after_escape {
                out.push('\\');
            }
            out.push(character);
            after_escape = false;
        }
    }
    Ok(out.into())
}

/// A pattern of `SIMILAR TO` as a regular expression (`similar_escape_internal`).
pub(super) fn similar(pattern: &str, escape: Option<&str>) -> Result<Datum> {
    let escape = match escape {
        None => Some('\\'),
        Some(escape) => escape_character(escape)?,
    };
    let mut out = String::from("^(?:");
    let (mut after_escape, mut in_class, mut quotes) = (false, 0_u32, 0);
    for character in pattern.chars() {
        if after_escape {
            if character == '"' && in_class == 0 {
                match quotes {
                    0 => out.push_str("){1,1}?("),
                    1 => out.push_str("){1,1}(?:"),
                    _ => {
                        return Err(SqlError::new(
                            SqlState::INVALID_USE_OF_ESCAPE_CHARACTER,
                            "SQL regular expression may not contain more than two escape-double-quote separators",
                        ));
                    }
                }
                quotes += 1;
            } else {
                out.push('\\');
                out.push(character);
            }
            after_escape = false;
        } else if Some(character) == escape {
            after_escape = true;
        } else if in_class > 0 {
            if character == '\\' {
                out.push('\\');
            }
            out.push(character);
            // A bracket right after the opening one, or after its negation, stands for itself.
            in_class = match (character, in_class) {
                (']', 3..) => 0,
                ('^', 1) => 2,
                _ => 3,
            };
        } else {
            match character {
                '[' => {
                    out.push('[');
                    in_class = 1;
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(character);
                }
                _ => out.push(character),
            }
        }
    }
    out.push_str(")$");
    Ok(out.into())
}

fn similar_or_null(arguments: &[Datum], default: bool) -> Result<Datum> {
    if arguments.null(0) {
        return Ok(Datum::Null);
    }
    let escape = if arguments.null(1) {
        if !default {
            return Ok(Datum::Null);
        }
        None
    } else {
        Some(arguments.text(1)?)
    };
    similar(arguments.text(0)?, escape)
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(850, "textlike", &[Text, Text], Bool, |_, a| like(a, true)),
    f(851, "textnlike", &[Text, Text], Bool, |_, a| like(a, false)),
    f(1569, "like", &[Text, Text], Bool, |_, a| like(a, true)),
    f(1570, "notlike", &[Text, Text], Bool, |_, a| like(a, false)),
    f(858, "namelike", &[Name, Text], Bool, |_, a| like(a, true)),
    f(859, "namenlike", &[Name, Text], Bool, |_, a| like(a, false)),
    f(1571, "like", &[Name, Text], Bool, |_, a| like(a, true)),
    f(1572, "notlike", &[Name, Text], Bool, |_, a| like(a, false)),
    f(1631, "bpcharlike", &[Bpchar, Text], Bool, |_, a| like(a, true)),
    f(1632, "bpcharnlike", &[Bpchar, Text], Bool, |_, a| like(a, false)),
    f(2005, "bytealike", &[Bytea, Bytea], Bool, |_, a| bytea_like(a, true)),
    f(2006, "byteanlike", &[Bytea, Bytea], Bool, |_, a| bytea_like(a, false)),
    f(2007, "like", &[Bytea, Bytea], Bool, |_, a| bytea_like(a, true)),
    f(2008, "notlike", &[Bytea, Bytea], Bool, |_, a| bytea_like(a, false)),
    f(1633, "texticlike", &[Text, Text], Bool, |_, a| ilike(a, true)),
    f(1634, "texticnlike", &[Text, Text], Bool, |_, a| ilike(a, false)),
    f(1635, "nameiclike", &[Name, Text], Bool, |_, a| ilike(a, true)),
    f(1636, "nameicnlike", &[Name, Text], Bool, |_, a| ilike(a, false)),
    f(1660, "bpchariclike", &[Bpchar, Text], Bool, |_, a| ilike(a, true)),
    f(1661, "bpcharicnlike", &[Bpchar, Text], Bool, |_, a| ilike(a, false)),
    f(1637, "like_escape", &[Text, Text], Text, |_, a| like_escape(a.text(0)?, a.text(1)?)),
    f(1623, "similar_escape", &[Text, Text], Text, |_, a| similar_or_null(a, true)).lax(),
    f(1987, "similar_to_escape", &[Text], Text, |_, a| similar(a.text(0)?, None)),
    f(1986, "similar_to_escape", &[Text, Text], Text, |_, a| similar(a.text(0)?, Some(a.text(1)?))),
];
