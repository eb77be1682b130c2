//! `unistr`: Unicode escapes in a string.

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;
use crate::types::PgType::*;

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

static FUNCTIONS: &[ScalarFunction] =
    &[f(6198, "unistr", &[Text], Text, |_, a| unistr(a.text(0)?).map(Datum::text))];

fn unistr(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut high = None;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        if high.is_some() && !plain.is_empty() {
            return Err(pair());
        }
        out.push_str(plain);
        if let Some(after) = escape.strip_prefix("\\\\") {
            if high.is_some() {
                return Err(pair());
            }
            out.push('\\');
            rest = after;
            continue;
        }
        let (code, after) = code_point(escape)?;
        rest = after;
        match (high.take(), code) {
            (None, 0xd800..=0xdbff) => high = Some(code),
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00);
                out.extend(char::from_u32(code));
            }
            (Some(_), _) | (None, 0xdc00..=0xdfff) => return Err(pair()),
            (None, _) => match char::from_u32(code).filter(|it| *it != '\0') {
                Some(it) => out.push(it),
                None => {
                    let message = format!("invalid Unicode code point: {code:04X}");
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
                }
            },
        }
    }
    if high.is_some() {
        return Err(pair());
    }
    out.push_str(rest);
    Ok(out)
}

fn pair() -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair")
}

/// The code point of an escape, and what follows it.
fn code_point(escape: &str) -> Result<(u32, &str)> {
    for (prefix, digits) in [("\\u", 4), ("\\U", 8), ("\\+", 6), ("\\", 4)] {
        let Some(body) = escape.strip_prefix(prefix) else { continue };
        if let Some(number) = body.get(..digits)
            && number.bytes().all(|it| it.is_ascii_hexdigit())
            && let Ok(code) = u32::from_str_radix(number, 16)
        {
            return Ok((code, &body[digits..]));
        }
    }
    Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
        .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX."))
}
