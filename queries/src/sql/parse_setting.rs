//! Parses SET, RESET, SHOW, DISCARD, and LISTEN, NOTIFY, UNLISTEN, and maintenance.

use sqlparser::tokenizer::Token;

use super::parse_transaction::modes;
use super::token_cursor::TokenCursor;
use super::utility::{Discard, Set, Utility};
use crate::error::Result;

/// A statement about settings.
pub(super) fn setting(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let verb = cursor.word().unwrap_or_default();
    cursor.advance();
    let utility = match verb {
        "set" => set(cursor)?,
        "reset" => match setting_name(cursor)? {
            None => Utility::ResetAll,
            Some(name) => Utility::Reset(name),
        },
        "show" => match setting_name(cursor)? {
            None => Utility::ShowAll,
            Some(name) => Utility::Show(name),
        },
        _ => Utility::Discard(discard(cursor)?),
    };
    cursor.expect_end()?;
    Ok(utility)
}

fn discard(cursor: &mut TokenCursor<'_>) -> Result<Discard> {
    let what = cursor.take_one_of(&["all", "plans", "sequences", "temp", "temporary"]);
    Ok(match what {
        Some("all") => Discard::All,
        Some("plans") => Discard::Plans,
        Some("sequences") => Discard::Sequences,
        Some(_) => Discard::Temp,
        None => return Err(cursor.error()),
    })
}

/// What RESET and SHOW name; none is `ALL`.
fn setting_name(cursor: &mut TokenCursor<'_>) -> Result<Option<String>> {
    if cursor.take("all") {
        return Ok(None);
    }
    let special = if cursor.take_all(&["time", "zone"]) {
        "timezone"
    } else if cursor.take_all(&["transaction", "isolation", "level"]) {
        "transaction_isolation"
    } else if cursor.take_all(&["session", "authorization"]) {
        "session_authorization"
    } else {
        return dotted_name(cursor).map(Some);
    };
    Ok(Some(special.to_owned()))
}

/// A setting's name, with the points of an extension's setting, in lower case.
fn dotted_name(cursor: &mut TokenCursor<'_>) -> Result<String> {
    let mut name = cursor.name()?;
    while cursor.take_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.name()?);
    }
    name.make_ascii_lowercase();
    Ok(name)
}

fn set(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    if cursor.take("constraints") {
        if !cursor.take("all") {
            cursor.list(TokenCursor::qualified_name)?;
        }
        if cursor.take_one_of(&["deferred", "immediate"]).is_none() {
            return Err(cursor.error());
        }
        return Ok(Utility::Nothing("SET CONSTRAINTS"));
    }
    if cursor.take("transaction") {
        if cursor.is_word("snapshot") {
            return Err(cursor.unsupported("SET TRANSACTION SNAPSHOT is not supported"));
        }
        return Ok(Utility::SetTransaction(some_modes(cursor)?));
    }
    if cursor.take_all(&["session", "characteristics", "as", "transaction"]) {
        return Ok(Utility::SetSessionCharacteristics(some_modes(cursor)?));
    }
    let local = cursor.take("local");
    if !local && cursor.is_word("session") && cursor.word_nth(1) != Some("authorization") {
        // `SET session = ..` does not exist: `SESSION` before a name says that it is for the whole session.
        cursor.advance();
    }
    let (name, values) = set_value(cursor)?;
    Ok(Utility::Set(Set { name, values, local }))
}

fn some_modes(cursor: &mut TokenCursor<'_>) -> Result<super::utility::TransactionModes> {
    if cursor.at_end() {
        return Err(cursor.error());
    }
    modes(cursor)
}

/// The setting and its values; no values are the default.
fn set_value(cursor: &mut TokenCursor<'_>) -> Result<(String, Option<Vec<String>>)> {
    if cursor.take_all(&["time", "zone"]) {
        return Ok(("timezone".to_owned(), time_zone(cursor)?));
    }
    if cursor.take("names") {
        let value = if cursor.at_end() || cursor.take("default") {
            None
        } else {
            Some(vec![word_or_string(cursor)?])
        };
        return Ok(("client_encoding".to_owned(), value));
    }
    if cursor.take("schema") {
        return Ok(("search_path".to_owned(), Some(vec![cursor.string()?])));
    }
    if cursor.take_all(&["session", "authorization"]) {
        let value = if cursor.take("default") { None } else { Some(vec![word_or_string(cursor)?]) };
        return Ok(("session_authorization".to_owned(), value));
    }
    if cursor.is_word("role")
        && !matches!(cursor.peek_nth(1), Some(Token::Eq))
        && cursor.word_nth(1) != Some("to")
    {
        cursor.advance();
        return Ok(("role".to_owned(), Some(vec![word_or_string(cursor)?])));
    }
    if cursor.is_word("xml") {
        return Err(cursor.unsupported("SET XML OPTION is not supported"));
    }
    let name = dotted_name(cursor)?;
    if cursor.take_all(&["from", "current"]) {
        return Err(cursor.unsupported("SET .. FROM CURRENT is not supported"));
    }
    if !cursor.take("to") && !cursor.take_token(&Token::Eq) {
        return Err(cursor.error());
    }
    if cursor.take("default") {
        return Ok((name, None));
    }
    Ok((name, Some(cursor.list(value)?)))
}

fn time_zone(cursor: &mut TokenCursor<'_>) -> Result<Option<Vec<String>>> {
    if cursor.take("local") || cursor.take("default") {
        return Ok(None);
    }
    if !cursor.take("interval") {
        return Ok(Some(vec![value(cursor)?]));
    }
    let interval = cursor.string()?;
    if cursor.take("hour") && cursor.take("to") {
        cursor.expect("minute")?;
    }
    // PostgreSQL keeps it in this form too.
    Ok(Some(vec![format!("INTERVAL '{interval}'")]))
}

fn word_or_string(cursor: &mut TokenCursor<'_>) -> Result<String> {
    if let Ok(string) = cursor.string() {
        return Ok(string);
    }
    cursor.name()
}

/// A value of a setting: a string, a number or a word.
fn value(cursor: &mut TokenCursor<'_>) -> Result<String> {
    if let Ok(string) = cursor.string() {
        return Ok(string);
    }
    let sign = if cursor.take_token(&Token::Minus) {
        "-"
    } else {
        cursor.take_token(&Token::Plus);
        ""
    };
    if let Some(Token::Number(digits, _)) = cursor.peek() {
        cursor.advance();
        return Ok(format!("{sign}{digits}"));
    }
    match cursor.word() {
        Some(word @ ("on" | "true" | "false")) => {
            cursor.advance();
            Ok(word.to_owned())
        }
        _ => cursor.name(),
    }
}

/// LISTEN, UNLISTEN, NOTIFY.
pub(super) fn notification(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let verb = cursor.word().unwrap_or_default();
    cursor.advance();
    let utility = match verb {
        "listen" => Utility::Listen(cursor.name()?),
        "unlisten" if cursor.take_token(&Token::Mul) => Utility::Unlisten(None),
        "unlisten" => Utility::Unlisten(Some(cursor.name()?)),
        _ => {
            let channel = cursor.name()?;
            let payload =
                if cursor.take_token(&Token::Comma) { cursor.string()? } else { String::new() };
            Utility::Notify { channel, payload }
        }
    };
    cursor.expect_end()?;
    Ok(utility)
}

/// CHECKPOINT, VACUUM and ANALYZE: there is nothing to do for them, whatever their options are.
pub(super) fn maintenance(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let verb = cursor.word().unwrap_or_default();
    cursor.advance();
    if verb == "checkpoint" {
        cursor.expect_end()?;
        return Ok(Utility::Nothing("CHECKPOINT"));
    }
    let tag = if verb == "vacuum" { "VACUUM" } else { "ANALYZE" };
    if cursor.take_token(&Token::LParen) {
        while !cursor.take_token(&Token::RParen) {
            if cursor.at_end() {
                return Err(cursor.error());
            }
            cursor.advance();
        }
    }
    while cursor.take_one_of(&["full", "freeze", "verbose", "analyze", "analyse"]).is_some() {}
    if !cursor.at_end() {
        cursor.list(|cursor| {
            cursor.qualified_name()?;
            if cursor.take_token(&Token::LParen) {
                cursor.list(TokenCursor::name)?;
                cursor.expect_token(&Token::RParen)?;
            }
            Ok(())
        })?;
    }
    cursor.expect_end()?;
    Ok(Utility::Nothing(tag))
}
