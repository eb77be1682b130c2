//! Parses EXPLAIN and its options.

use sqlparser::tokenizer::Token;

use super::parse::parse_statement;
use super::statement::{Node, Source};
use super::token_cursor::TokenCursor;
use super::utility::{ExplainFormat, ExplainOptions};
use crate::error::{Result, SqlError, SqlState};

/// `EXPLAIN [(options)] statement`.
pub(super) fn explain(cursor: &mut TokenCursor<'_>, source: &Source) -> Result<Node> {
    cursor.expect("explain")?;
    let options = options(cursor)?;
    let start = cursor.byte();
    match cursor.word() {
        Some(
            "select" | "values" | "with" | "table" | "insert" | "update" | "delete" | "execute"
            | "declare",
        ) => {}
        None if cursor.peek() == Some(&Token::LParen) => {}
        Some("create" | "refresh") => {
            return Err(cursor.unsupported("EXPLAIN of a definition is not supported"));
        }
        _ => return Err(cursor.error()),
    }
    let mut source = source.clone();
    source.range.start = start;
    let inner = TokenCursor::new(cursor.rest(), cursor.positions());
    Ok(Node::Explain(options, Box::new(parse_statement(inner, &source)?)))
}

fn options(cursor: &mut TokenCursor<'_>) -> Result<ExplainOptions> {
    let mut options = ExplainOptions {
        analyze: false,
        verbose: false,
        costs: true,
        settings: false,
        buffers: false,
        wal: false,
        timing: false,
        summary: false,
        format: ExplainFormat::Text,
    };
    let (mut timing, mut summary) = (None, None);
    let bracketed = cursor.peek() == Some(&Token::LParen)
        && !matches!(cursor.word_nth(1), Some("select" | "values" | "with" | "table") | None);
    if bracketed {
        cursor.advance();
        cursor.list(|cursor| option(cursor, &mut options, &mut timing, &mut summary))?;
        cursor.expect_token(&Token::RParen)?;
    } else {
        options.analyze = cursor.take("analyze") || cursor.take("analyse");
        options.verbose = cursor.take("verbose");
    }
    if options.wal && !options.analyze {
        return Err(invalid("EXPLAIN option WAL requires ANALYZE"));
    }
    if timing == Some(true) && !options.analyze {
        return Err(invalid("EXPLAIN option TIMING requires ANALYZE"));
    }
    options.timing = timing.unwrap_or(options.analyze);
    options.summary = summary.unwrap_or(options.analyze);
    Ok(options)
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn option(
    cursor: &mut TokenCursor<'_>,
    options: &mut ExplainOptions,
    timing: &mut Option<bool>,
    summary: &mut Option<bool>,
) -> Result<()> {
    let position = cursor.position();
    let name = cursor.word().unwrap_or_default();
    if name.is_empty() {
        return Err(cursor.error());
    }
    cursor.advance();
    match name {
        "format" => options.format = format(cursor)?,
        "analyze" | "analyse" => options.analyze = boolean(cursor, "analyze")?,
        "verbose" => options.verbose = boolean(cursor, name)?,
        "costs" => options.costs = boolean(cursor, name)?,
        "settings" => options.settings = boolean(cursor, name)?,
        "buffers" => options.buffers = boolean(cursor, name)?,
        "wal" => options.wal = boolean(cursor, name)?,
        "timing" => *timing = Some(boolean(cursor, name)?),
        "summary" => *summary = Some(boolean(cursor, name)?),
        _ => {
            let message = format!("unrecognized EXPLAIN option \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
    }
    Ok(())
}

fn format(cursor: &mut TokenCursor<'_>) -> Result<ExplainFormat> {
    let position = cursor.position();
    let word = match cursor.word() {
        Some(word) => {
            cursor.advance();
            word.to_owned()
        }
        None => cursor.string()?.to_ascii_lowercase(),
    };
    Ok(match word.as_str() {
        "text" => ExplainFormat::Text,
        "xml" => ExplainFormat::Xml,
        "json" => ExplainFormat::Json,
        "yaml" => ExplainFormat::Yaml,
        other => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"");
            return Err(invalid(message).at(position));
        }
    })
}

/// An option's value; nothing said is on.
pub(super) fn boolean(cursor: &mut TokenCursor<'_>, option: &str) -> Result<bool> {
    let value = match cursor.peek() {
        Some(Token::Word(word)) => word.value.to_ascii_lowercase(),
        Some(Token::SingleQuotedString(value)) => value.to_ascii_lowercase(),
        Some(Token::Number(digits, _)) => digits.clone(),
        _ => return Ok(true),
    };
    cursor.advance();
    match value.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{option} requires a Boolean value")))
        }
    }
}
