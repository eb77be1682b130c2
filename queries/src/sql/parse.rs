//! From text to statements: splits at semicolons and gives each statement to the parser that knows it.
//!
//! `sqlparser` parses what has expressions in it: queries, INSERT, UPDATE and DELETE. Everything else is small and
//! full of PostgreSQL's own words, and is parsed by `parse_*` over the same tokens.

use std::sync::Arc;

use sqlparser::ast;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::dialect::RotabaseDialect;
use super::grammar::check;
use super::lex::{lex, too_complex};
use super::position::Positions;
use super::rewrite::rewrite;
use super::statement::{Node, Source, Statement};
use super::token_cursor::{TokenCursor, syntax_error_at, syntax_error_at_end};
use super::{
    parse_copy, parse_cursor, parse_explain, parse_role, parse_setting, parse_transaction,
    parse_view,
};
use crate::error::{Result, SqlError};

/// How deep the grammar may recurse; a level of parentheses takes one to three steps.
const RECURSION_MAX: usize = 400;

/// Parses a text into its statements. An error anywhere is an error of the whole, as in PostgreSQL.
///
/// Empty statements are left out; a text without any gives one empty statement.
pub fn parse(text: &str) -> Result<Vec<Statement>> {
    let text: Arc<str> = Arc::from(text);
    let lexed = lex(&text)?;
    let mut statements = Vec::new();
    for tokens in lexed.tokens.split(|token| token.token == Token::SemiColon) {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { continue };
        let range = lexed.positions.byte(first.span.start)..lexed.positions.byte(last.span.end);
        let source =
            Source { text: Arc::clone(&text), range, positions: Arc::clone(&lexed.positions) };
        let node = parse_statement(TokenCursor::new(tokens, &lexed.positions), &source)?;
        statements.push(Statement { node, source });
    }
    if statements.is_empty() {
        let source = Source { text, range: 0..0, positions: lexed.positions };
        statements.push(Statement { node: Node::Empty, source });
    }
    Ok(statements)
}

/// Parses one statement from all of the cursor's tokens.
pub(super) fn parse_statement(mut cursor: TokenCursor<'_>, source: &Source) -> Result<Node> {
    let Some(word) = cursor.word() else {
        return match cursor.peek() {
            Some(Token::LParen) => parse_tree(&cursor),
            _ => Err(cursor.error()),
        };
    };
    match word {
        "select" | "values" | "with" | "table" | "insert" | "update" | "delete" => {
            parse_tree(&cursor)
        }
        "copy" => parse_copy::copy(&mut cursor),
        "subscribe" => {
            parse_copy::subscribe(&mut cursor).map(|node| Node::Subscribe(Box::new(node)))
        }
        "explain" => parse_explain::explain(&mut cursor, source),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            parse_transaction::transaction(&mut cursor).map(Node::Utility)
        }
        "set" | "reset" | "show" | "discard" => {
            parse_setting::setting(&mut cursor).map(Node::Utility)
        }
        "declare" => parse_cursor::declare(&mut cursor),
        "fetch" | "move" | "close" => {
            parse_cursor::cursor_statement(&mut cursor).map(Node::Utility)
        }
        "prepare" => parse_cursor::prepare(&mut cursor, source),
        "execute" => parse_cursor::execute(&mut cursor, source),
        "deallocate" => parse_cursor::deallocate(&mut cursor).map(Node::Utility),
        "listen" | "unlisten" | "notify" => {
            parse_setting::notification(&mut cursor).map(Node::Utility)
        }
        "grant" | "revoke" => parse_role::grant(&mut cursor).map(Node::Utility),
        "create" | "alter" | "drop" => definition(&mut cursor, source),
        "checkpoint" | "vacuum" | "analyze" | "analyse" => {
            parse_setting::maintenance(&mut cursor).map(Node::Utility)
        }
        _ => Err(parse_view::refused(&cursor)),
    }
}

/// `CREATE`, `ALTER` and `DROP` of views and roles; nothing else can be defined.
fn definition(cursor: &mut TokenCursor<'_>, source: &Source) -> Result<Node> {
    let second = cursor.word_nth(1).unwrap_or_default();
    let verb = cursor.word().unwrap_or_default();
    match (verb, second) {
        (_, "role" | "user" | "group") if cursor.word_nth(2) != Some("mapping") => {
            parse_role::role(cursor).map(Node::Utility)
        }
        ("create", "view" | "or" | "recursive") => parse_view::create_view(cursor, source),
        ("drop", "view") => parse_view::drop_view(cursor).map(Node::Utility),
        _ => Err(parse_view::refused(cursor)),
    }
}

/// Parses a query, an INSERT, an UPDATE or a DELETE.
pub(super) fn parse_tree(cursor: &TokenCursor<'_>) -> Result<Node> {
    check(cursor.rest(), cursor.positions())?;
    let tokens = rewrite(cursor.rest(), cursor.positions())?;
    with_parser(tokens, cursor.positions(), |parser| {
        Ok(match parser.parse_statement()? {
            ast::Statement::Query(query) => Some(Node::Query(query)),
            ast::Statement::Insert(insert) => Some(Node::Insert(Box::new(insert))),
            ast::Statement::Update(update) => Some(Node::Update(Box::new(update))),
            ast::Statement::Delete(delete) => Some(Node::Delete(Box::new(delete))),
            _ => None,
        })
    })?
    .ok_or_else(|| cursor.error())
}

/// Parses a query.
pub(super) fn parse_query(cursor: &TokenCursor<'_>) -> Result<Box<ast::Query>> {
    match cursor.word() {
        Some("select" | "values" | "with" | "table") => {}
        None if cursor.peek() == Some(&Token::LParen) => {}
        _ => return Err(cursor.error()),
    }
    check(cursor.rest(), cursor.positions())?;
    let tokens = rewrite(cursor.rest(), cursor.positions())?;
    with_parser(tokens, cursor.positions(), |parser: &mut Parser<'_>| parser.parse_query())
}

/// Parses expressions between commas.
pub(super) fn parse_expressions(
    tokens: &[TokenWithSpan],
    positions: &Arc<Positions>,
) -> Result<Vec<ast::Expr>> {
    let tokens = rewrite(tokens, positions)?;
    with_parser(tokens, positions, |parser| parser.parse_comma_separated(Parser::parse_expr))
}

/// Parses a type.
pub(super) fn parse_type(
    tokens: &[TokenWithSpan],
    positions: &Arc<Positions>,
) -> Result<ast::DataType> {
    with_parser(tokens.to_vec(), positions, |parser: &mut Parser<'_>| parser.parse_data_type())
}

/// Runs a parser over all of the tokens.
fn with_parser<T>(
    tokens: Vec<TokenWithSpan>,
    positions: &Arc<Positions>,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T> {
    let mut parser = Parser::new(&RotabaseDialect)
        .with_recursion_limit(RECURSION_MAX)
        .with_tokens_with_locations(tokens);
    let parsed = parse(&mut parser).map_err(|error| parser_error(&error, &parser, positions))?;
    match parser.peek_token_ref() {
        TokenWithSpan { token: Token::EOF, .. } => Ok(parsed),
        token => Err(syntax_error_at(token, positions)),
    }
}

/// What PostgreSQL says where `sqlparser` stopped.
fn parser_error(error: &ParserError, parser: &Parser<'_>, positions: &Arc<Positions>) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return too_complex("The statement nests too deeply.");
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    if let Some((line, column)) = location(message) {
        let at = |token: &&TokenWithSpan| {
            token.span.start.line == line && token.span.start.column == column
        };
        if let Some(token) = find_token(parser, at) {
            return syntax_error_at(&token, positions);
        }
    }
    if message.contains("found: EOF") {
        return syntax_error_at_end(positions);
    }
    match parser.peek_token_ref() {
        TokenWithSpan { token: Token::EOF, .. } => syntax_error_at_end(positions),
        token => syntax_error_at(token, positions),
    }
}

/// The place that a message of `sqlparser` ends with: ` at Line: 1, Column: 8`.
fn location(message: &str) -> Option<(u64, u64)> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// Finds a token among all of the parser's.
fn find_token(
    parser: &Parser<'_>,
    wanted: impl Fn(&&TokenWithSpan) -> bool,
) -> Option<TokenWithSpan> {
    let tokens = (0..).map(|n| parser.token_at(n)).take_while(|it| it.token != Token::EOF);
    tokens.into_iter().find(|token| wanted(token)).cloned()
}
