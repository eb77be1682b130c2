//! Parses DECLARE, FETCH, MOVE, CLOSE and PREPARE, EXECUTE, DEALLOCATE.

use std::sync::Arc;

use sqlparser::tokenizer::Token;

use super::parse::{parse_expressions, parse_query, parse_statement, parse_type};
use super::statement::{Arguments, DeclareNode, Node, Source, Statement};
use super::token_cursor::TokenCursor;
use super::utility::{Fetch, FetchDirection, Utility};
use crate::error::Result;

/// `DECLARE name [BINARY] [INSENSITIVE] [[NO] SCROLL] CURSOR [WITH|WITHOUT HOLD] FOR query`.
pub(super) fn declare(cursor: &mut TokenCursor<'_>) -> Result<Node> {
    cursor.expect("declare")?;
    let name = cursor.name()?;
    let (mut binary, mut scroll) = (false, None);
    loop {
        if cursor.take("binary") {
            binary = true;
        } else if cursor.take_all(&["no", "scroll"]) {
            scroll = Some(false);
        } else if cursor.take("scroll") {
            scroll = Some(true);
        } else if cursor.take("insensitive") || cursor.take("asensitive") {
            // Cursors read one snapshot: they are insensitive anyway.
        } else {
            break;
        }
    }
    cursor.expect("cursor")?;
    let hold = if cursor.take("with") {
        cursor.expect("hold")?;
        true
    } else {
        if cursor.take("without") {
            cursor.expect("hold")?;
        }
        false
    };
    cursor.expect("for")?;
    let query = parse_query(cursor)?;
    Ok(Node::DeclareCursor(Box::new(DeclareNode { name, binary, scroll, hold, query })))
}

/// `FETCH`, `MOVE` and `CLOSE`.
pub(super) fn cursor_statement(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let verb = cursor.word().unwrap_or_default();
    cursor.advance();
    if verb == "close" {
        let name = if cursor.take("all") { None } else { Some(cursor.name()?) };
        cursor.expect_end()?;
        return Ok(Utility::Close(name));
    }
    let direction = direction(cursor)?;
    cursor.take_one_of(&["from", "in"]);
    let fetch = Fetch { cursor: cursor.name()?, direction };
    cursor.expect_end()?;
    Ok(if verb == "fetch" { Utility::Fetch(fetch) } else { Utility::Move(fetch) })
}

fn direction(cursor: &mut TokenCursor<'_>) -> Result<FetchDirection> {
    if let Ok(count) = cursor.integer() {
        return Ok(FetchDirection::Forward(count));
    }
    // A direction's word alone is the cursor's name: FETCH next.
    if cursor.peek_nth(1).is_none() {
        return Ok(FetchDirection::Forward(1));
    }
    let Some(word) = cursor.take_one_of(&[
        "next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward",
    ]) else {
        return Ok(FetchDirection::Forward(1));
    };
    Ok(match word {
        "prior" => FetchDirection::Backward(1),
        "first" => FetchDirection::Absolute(1),
        "last" => FetchDirection::Absolute(-1),
        "absolute" => FetchDirection::Absolute(cursor.integer()?),
        "relative" => FetchDirection::Relative(cursor.integer()?),
        "all" => FetchDirection::Forward(i64::MAX),
        "forward" => FetchDirection::Forward(count(cursor)),
        "backward" => FetchDirection::Backward(count(cursor)),
        _ => FetchDirection::Forward(1),
    })
}

/// How many rows; all is the largest number, and nothing said is one.
fn count(cursor: &mut TokenCursor<'_>) -> i64 {
    if cursor.take("all") { i64::MAX } else { cursor.integer().unwrap_or(1) }
}

/// `PREPARE name [(types)] AS statement`.
pub(super) fn prepare(cursor: &mut TokenCursor<'_>, source: &Source) -> Result<Node> {
    cursor.expect("prepare")?;
    if cursor.is_word("transaction") && cursor.word_nth(1) != Some("as") {
        return Err(cursor.unsupported("PREPARE TRANSACTION is not supported"));
    }
    let name = cursor.name()?;
    let mut types = Vec::new();
    if cursor.take_token(&Token::LParen) {
        let mut depth = 0_usize;
        let mut start = cursor.rest();
        loop {
            let taken = start.len() - cursor.rest().len();
            match cursor.peek() {
                None => return Err(cursor.error()),
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) if depth > 0 => depth -= 1,
                Some(end @ (Token::RParen | Token::Comma)) if depth == 0 => {
                    types.push(parse_type(&start[..taken], cursor.positions())?);
                    cursor.advance();
                    start = cursor.rest();
                    if *end == Token::RParen {
                        break;
                    }
                    continue;
                }
                Some(_) => {}
            }
            cursor.advance();
        }
    }
    cursor.expect("as")?;
    match cursor.word() {
        Some("select" | "values" | "with" | "table" | "insert" | "update" | "delete") => {}
        None if cursor.peek() == Some(&Token::LParen) => {}
        _ => return Err(cursor.error()),
    }
    let start = cursor.byte();
    let inner = TokenCursor::new(cursor.rest(), cursor.positions());
    let range = start..source.range.end;
    let source =
        Source { text: Arc::clone(&source.text), range, positions: Arc::clone(&source.positions) };
    let node = parse_statement(inner, &source)?;
    Ok(Node::Prepare { name, types, statement: Arc::new(Statement { node, source }) })
}

/// `EXECUTE name [(arguments)]`.
pub(super) fn execute(cursor: &mut TokenCursor<'_>, source: &Source) -> Result<Node> {
    cursor.expect("execute")?;
    let name = cursor.name()?;
    let expressions = match cursor.rest() {
        [] => Vec::new(),
        [open, inner @ .., close]
            if open.token == Token::LParen && close.token == Token::RParen =>
        {
            if inner.is_empty() {
                cursor.advance();
                return Err(cursor.error());
            }
            parse_expressions(inner, cursor.positions())?
        }
        _ => return Err(cursor.error()),
    };
    let arguments = Arc::new(Arguments { expressions, source: source.clone() });
    Ok(Node::Execute { name, arguments })
}

/// `DEALLOCATE [PREPARE] name | ALL`.
pub(super) fn deallocate(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    cursor.expect("deallocate")?;
    cursor.take("prepare");
    let name = if cursor.take("all") { None } else { Some(cursor.name()?) };
    cursor.expect_end()?;
    Ok(Utility::Deallocate(name))
}
