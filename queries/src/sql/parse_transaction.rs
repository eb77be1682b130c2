//! Parses BEGIN, COMMIT, ROLLBACK, savepoints and their modes.

use super::token_cursor::TokenCursor;
use super::utility::{BeginWord, Isolation, TransactionModes, Utility};
use crate::error::Result;
use sqlparser::tokenizer::Token;

/// A statement that begins, ends or divides a transaction.
pub(super) fn transaction(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let verb = cursor.word().unwrap_or_default();
    cursor.advance();
    let utility = match verb {
        "begin" => {
            work(cursor);
            Utility::Begin(modes(cursor)?, BeginWord::Begin)
        }
        "start" => {
            cursor.expect("transaction")?;
            Utility::Begin(modes(cursor)?, BeginWord::StartTransaction)
        }
        "savepoint" => Utility::Savepoint(cursor.name()?),
        "release" => {
            cursor.take("savepoint");
            Utility::Release(cursor.name()?)
        }
        "commit" | "end" => {
            if cursor.is_word("prepared") {
                return Err(cursor.unsupported("COMMIT PREPARED is not supported"));
            }
            work(cursor);
            Utility::Commit { chain: chain(cursor)? }
        }
        _ => rollback(cursor, verb)?,
    };
    cursor.expect_end()?;
    Ok(utility)
}

fn rollback(cursor: &mut TokenCursor<'_>, verb: &str) -> Result<Utility> {
    if cursor.is_word("prepared") {
        return Err(cursor.unsupported("ROLLBACK PREPARED is not supported"));
    }
    work(cursor);
    if verb == "rollback" && cursor.take("to") {
        cursor.take("savepoint");
        return Ok(Utility::RollbackTo(cursor.name()?));
    }
    Ok(Utility::Rollback { chain: chain(cursor)? })
}

fn work(cursor: &mut TokenCursor<'_>) {
    cursor.take_one_of(&["work", "transaction"]);
}

fn chain(cursor: &mut TokenCursor<'_>) -> Result<bool> {
    if !cursor.take("and") {
        return Ok(false);
    }
    let chain = !cursor.take("no");
    cursor.expect("chain")?;
    Ok(chain)
}

/// Modes of a transaction, none or more, with or without commas.
pub(super) fn modes(cursor: &mut TokenCursor<'_>) -> Result<TransactionModes> {
    let mut modes = TransactionModes::default();
    let mut any = false;
    while !cursor.at_end() {
        if any {
            cursor.take_token(&Token::Comma);
        }
        if cursor.take_all(&["isolation", "level"]) {
            modes.isolation = Some(isolation(cursor)?);
        } else if cursor.take_all(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if cursor.take_all(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if cursor.take("deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.take_all(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return Err(cursor.error());
        }
        any = true;
    }
    Ok(modes)
}

fn isolation(cursor: &mut TokenCursor<'_>) -> Result<Isolation> {
    Ok(if cursor.take("serializable") {
        Isolation::Serializable
    } else if cursor.take_all(&["repeatable", "read"]) {
        Isolation::RepeatableRead
    } else if cursor.take_all(&["read", "committed"]) {
        Isolation::ReadCommitted
    } else if cursor.take_all(&["read", "uncommitted"]) {
        Isolation::ReadUncommitted
    } else {
        return Err(cursor.error());
    })
}
