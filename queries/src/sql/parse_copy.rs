//! Parses COPY, with its options in brackets and in the old form, and SUBSCRIBE.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;

use super::copy_options::{CopyEncoding, CopyFormat, CopyHeader, CopyOptions};
use super::parse::{parse_expressions, parse_statement};
use super::parse_explain::boolean;
use super::statement::{CopyNode, CopySubject, ForceColumns, Node, Source, SubscribeNode};
use super::token_cursor::TokenCursor;
use crate::error::{Result, SqlError, SqlState};

/// Options as they are read, before they are checked against each other.
#[derive(Debug, Default)]
struct Raw {
    format: Option<CopyFormat>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<CopyHeader>,
    quote: Option<String>,
    escape: Option<String>,
    encoding: Option<String>,
    freeze: Option<bool>,
    force: [ForceColumns; 3],
}

const FORCE_QUOTE: usize = 0;
const FORCE_NOT_NULL: usize = 1;
const FORCE_NULL: usize = 2;

/// `COPY table [(columns)] FROM STDIN`, `COPY table|(query)|(SUBSCRIBE ..) TO STDOUT`.
pub(super) fn copy(cursor: &mut TokenCursor<'_>) -> Result<Node> {
    cursor.expect("copy")?;
    let mut raw = Raw::default();
    if cursor.is_word("binary") && !matches!(cursor.word_nth(1), Some("from" | "to")) {
        cursor.advance();
        raw.format = Some(CopyFormat::Binary);
    }
    let subject = subject(cursor)?;
    let direction = cursor.take_one_of(&["from", "to"]);
    let Some(direction) = direction else { return Err(cursor.error()) };
    let from = direction == "from";
    if from && matches!(subject, CopySubject::Node(_)) {
        return Err(cursor.error());
    }
    endpoint(cursor, from)?;
    if cursor.take("using") {
        cursor.expect("delimiters")?;
        raw.delimiter = Some(cursor.string()?);
    } else if cursor.take("delimiters") {
        raw.delimiter = Some(cursor.string()?);
    }
    cursor.take("with");
    if cursor.take_token(&Token::LParen) {
        cursor.list(|cursor| option(cursor, &mut raw))?;
        cursor.expect_token(&Token::RParen)?;
    } else {
        while !cursor.at_end() && !cursor.is_word("where") {
            old_option(cursor, &mut raw)?;
        }
    }
    let mut predicate = None;
    if cursor.is_word("where") {
        if !from {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "WHERE clause not allowed with COPY TO",
            ));
        }
        cursor.advance();
        let mut expressions = parse_expressions(cursor.rest(), cursor.positions())?;
        predicate = expressions.pop();
        if predicate.is_none() || !expressions.is_empty() {
            return Err(cursor.error());
        }
    } else {
        cursor.expect_end()?;
    }
    let (options, force) = check(raw, from)?;
    Ok(Node::Copy(Box::new(CopyNode { subject, from, options, force, predicate })))
}

/// What is copied.
fn subject(cursor: &mut TokenCursor<'_>) -> Result<CopySubject> {
    if !cursor.take_token(&Token::LParen) {
        let name = cursor.object_name()?;
        return Ok(CopySubject::Table { name, columns: columns(cursor)? });
    }
    let tokens = cursor.rest();
    let mut depth = 0_usize;
    loop {
        match cursor.peek() {
            None => return Err(cursor.error()),
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) if depth == 0 => break,
            Some(Token::RParen) => depth -= 1,
            Some(_) => {}
        }
        cursor.advance();
    }
    let inner = &tokens[..tokens.len() - cursor.rest().len()];
    cursor.advance();
    let mut inner_cursor = TokenCursor::new(inner, cursor.positions());
    match inner_cursor.word() {
        Some("subscribe") => {
            let node = subscribe(&mut inner_cursor)?;
            return Ok(CopySubject::Node(Box::new(Node::Subscribe(Box::new(node)))));
        }
        Some("select" | "values" | "with" | "table" | "insert" | "update" | "delete") => {}
        None if inner_cursor.peek() == Some(&Token::LParen) => {}
        _ if inner.is_empty() => {
            return Err(TokenCursor::new(&tokens[..1], cursor.positions()).error());
        }
        _ => return Err(inner_cursor.error()),
    }
    let source = Source {
        text: cursor.positions().text().into(),
        range: 0..0,
        positions: std::sync::Arc::clone(cursor.positions()),
    };
    Ok(CopySubject::Node(Box::new(parse_statement(inner_cursor, &source)?)))
}

fn columns(cursor: &mut TokenCursor<'_>) -> Result<Vec<Ident>> {
    if !cursor.take_token(&Token::LParen) {
        return Ok(Vec::new());
    }
    let columns = cursor.list(TokenCursor::ident)?;
    cursor.expect_token(&Token::RParen)?;
    Ok(columns)
}

/// `STDIN` and `STDOUT`, which mean the client whichever is said. The server's files are not the client's business.
fn endpoint(cursor: &mut TokenCursor<'_>, from: bool) -> Result<()> {
    if cursor.take_one_of(&["stdin", "stdout"]).is_some() {
        return Ok(());
    }
    let program = cursor.take("program");
    cursor.string()?;
    let (role, way) = match (program, from) {
        (true, true) => ("pg_execute_server_program", "COPY from an external program"),
        (true, false) => ("pg_execute_server_program", "COPY to an external program"),
        (false, true) => ("pg_read_server_files", "COPY from a file"),
        (false, false) => ("pg_write_server_files", "COPY to a file"),
    };
    let message = format!("must be superuser or have privileges of the {role} role to {way}");
    Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message).with_hint(
        "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
    ))
}

/// An option in brackets.
fn option(cursor: &mut TokenCursor<'_>, raw: &mut Raw) -> Result<()> {
    let position = cursor.position();
    let Some(name) = cursor.word() else { return Err(cursor.error()) };
    cursor.advance();
    let again = match name {
        "format" => raw.format.replace(format(cursor)?).is_some(),
        "delimiter" => raw.delimiter.replace(text(cursor, name)?).is_some(),
        "null" => raw.null.replace(text(cursor, name)?).is_some(),
        "quote" => raw.quote.replace(text(cursor, name)?).is_some(),
        "escape" => raw.escape.replace(text(cursor, name)?).is_some(),
        "encoding" => raw.encoding.replace(text(cursor, name)?).is_some(),
        "freeze" => raw.freeze.replace(boolean(cursor, name)?).is_some(),
        "header" => raw.header.replace(header(cursor)?).is_some(),
        "force_quote" => force(cursor, raw, FORCE_QUOTE, name)?,
        "force_not_null" => force(cursor, raw, FORCE_NOT_NULL, name)?,
        "force_null" => force(cursor, raw, FORCE_NULL, name)?,
        _ => {
            let message = format!("option \"{name}\" not recognized");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
    };
    if again { Err(redundant(position)) } else { Ok(()) }
}

fn redundant(position: Option<usize>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(position)
}

fn text(cursor: &mut TokenCursor<'_>, option: &str) -> Result<String> {
    if let Ok(string) = cursor.string() {
        return Ok(string);
    }
    match cursor.peek() {
        Some(Token::Word(word)) => {
            cursor.advance();
            Ok(word.value.clone())
        }
        Some(Token::Number(digits, _)) => {
            cursor.advance();
            Ok(digits.clone())
        }
        Some(Token::Comma | Token::RParen) => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{option} requires a parameter")))
        }
        _ => Err(cursor.error()),
    }
}

fn format(cursor: &mut TokenCursor<'_>) -> Result<CopyFormat> {
    let position = cursor.position();
    let name = text(cursor, "format")?;
    Ok(match name.as_str() {
        "text" => CopyFormat::Text,
        "csv" => CopyFormat::Csv,
        "binary" => CopyFormat::Binary,
        _ => {
            let message = format!("COPY format \"{name}\" not recognized");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position));
        }
    })
}

fn header(cursor: &mut TokenCursor<'_>) -> Result<CopyHeader> {
    let value = match cursor.peek() {
        Some(Token::Word(word)) => word.value.to_ascii_lowercase(),
        Some(Token::SingleQuotedString(value)) => value.to_ascii_lowercase(),
        Some(Token::Number(digits, _)) => digits.clone(),
        _ => return Ok(CopyHeader::Present),
    };
    cursor.advance();
    match value.as_str() {
        "match" => Ok(CopyHeader::Match),
        "true" | "on" | "1" => Ok(CopyHeader::Present),
        "false" | "off" | "0" => Ok(CopyHeader::None),
        _ => {
            let message = "header requires a Boolean value or \"match\"";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
        }
    }
}

fn force(cursor: &mut TokenCursor<'_>, raw: &mut Raw, which: usize, name: &str) -> Result<bool> {
    let position = cursor.position();
    let again = !matches!(raw.force[which], ForceColumns::None);
    raw.force[which] = if which == FORCE_QUOTE && cursor.take_token(&Token::Mul) {
        ForceColumns::All
    } else if cursor.take_token(&Token::LParen) {
        let columns = cursor.list(TokenCursor::ident)?;
        cursor.expect_token(&Token::RParen)?;
        ForceColumns::Named(columns)
    } else {
        let message = format!("argument to option \"{name}\" must be a list of column names");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position));
    };
    Ok(again)
}

/// An option as it was written before PostgreSQL 9.0.
fn old_option(cursor: &mut TokenCursor<'_>, raw: &mut Raw) -> Result<()> {
    let position = cursor.position();
    let Some(name) = cursor.word() else { return Err(cursor.error()) };
    cursor.advance();
    let string = |cursor: &mut TokenCursor<'_>| {
        cursor.take("as");
        cursor.string()
    };
    let again = match name {
        "binary" => raw.format.replace(CopyFormat::Binary).is_some(),
        "csv" => raw.format.replace(CopyFormat::Csv).is_some(),
        "freeze" => raw.freeze.replace(true).is_some(),
        "header" => raw.header.replace(CopyHeader::Present).is_some(),
        "delimiter" => raw.delimiter.replace(string(cursor)?).is_some(),
        "null" => raw.null.replace(string(cursor)?).is_some(),
        "quote" => raw.quote.replace(string(cursor)?).is_some(),
        "escape" => raw.escape.replace(string(cursor)?).is_some(),
        "encoding" => raw.encoding.replace(cursor.string()?).is_some(),
        "force" => {
            let which = if cursor.take("quote") {
                FORCE_QUOTE
            } else if cursor.take_all(&["not", "null"]) {
                FORCE_NOT_NULL
            } else {
                cursor.expect("null")?;
                FORCE_NULL
            };
            let again = !matches!(raw.force[which], ForceColumns::None);
            raw.force[which] = if which == FORCE_QUOTE && cursor.take_token(&Token::Mul) {
                ForceColumns::All
            } else {
                ForceColumns::Named(cursor.list(TokenCursor::ident)?)
            };
            again
        }
        _ => {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("syntax error at or near \"{name}\""),
            )
            .at(position));
        }
    };
    if again { Err(redundant(position)) } else { Ok(()) }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The encoding of a name, written as PostgreSQL lets it be written.
fn encoding(name: Option<&str>) -> Result<CopyEncoding> {
    let Some(name) = name else { return Ok(CopyEncoding::Utf8) };
    let letters: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match letters.as_str() {
        "utf8" | "unicode" | "sqlascii" => Ok(CopyEncoding::Utf8),
        "latin1" | "iso88591" => Ok(CopyEncoding::Latin1),
        _ => Err(SqlError::unsupported(format!("encoding \"{name}\" is not supported"))
            .with_hint("Convert the data to UTF8 or LATIN1.")),
    }
}

/// The options once they are known to fit together, in the order in which PostgreSQL looks.
fn check(raw: Raw, from: bool) -> Result<(CopyOptions, [ForceColumns; 3])> {
    let format = raw.format.unwrap_or_default();
    let (binary, csv) = (format == CopyFormat::Binary, format == CopyFormat::Csv);
    if raw.freeze == Some(true) {
        return Err(SqlError::unsupported("COPY FREEZE is not supported"));
    }
    let encoding = encoding(raw.encoding.as_deref())?;
    if binary && raw.delimiter.is_some() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            "cannot specify DELIMITER in BINARY mode",
        ));
    }
    if binary && raw.null.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "cannot specify NULL in BINARY mode"));
    }
    let null = raw.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
    let delimiter = match raw.delimiter {
        None if csv => b',',
        None => b'\t',
        Some(text) => one_byte(&text, "COPY delimiter must be a single one-byte character")?,
    };
    if matches!(delimiter, b'\r' | b'\n') {
        return Err(invalid("COPY delimiter cannot be newline or carriage return"));
    }
    if null.contains(['\r', '\n']) {
        return Err(invalid("COPY null representation cannot use newline or carriage return"));
    }
    let reserved = matches!(delimiter, b'\\' | b'.')
        || delimiter.is_ascii_lowercase()
        || delimiter.is_ascii_digit();
    if !csv && reserved {
        return Err(invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
    }
    let header = raw.header.unwrap_or_default();
    if binary && header != CopyHeader::None {
        return Err(SqlError::unsupported("cannot specify HEADER in BINARY mode"));
    }
    if header == CopyHeader::Match && !from {
        return Err(SqlError::unsupported("cannot use \"match\" with HEADER in COPY TO"));
    }
    let (quote, escape) = quoting(raw.quote.as_deref(), raw.escape.as_deref(), csv, delimiter)?;
    check_force(&raw.force, csv, from)?;
    if null.as_bytes().contains(&delimiter) {
        return Err(SqlError::unsupported(
            "COPY delimiter must not appear in the NULL specification",
        ));
    }
    if csv && null.as_bytes().contains(&quote) {
        return Err(SqlError::unsupported(
            "CSV quote character must not appear in the NULL specification",
        ));
    }
    let options = CopyOptions {
        format,
        delimiter,
        null,
        header,
        quote,
        escape,
        encoding,
        ..CopyOptions::default()
    };
    Ok((options, raw.force))
}

fn quoting(
    quote: Option<&str>,
    escape: Option<&str>,
    csv: bool,
    delimiter: u8,
) -> Result<(u8, u8)> {
    if !csv && quote.is_some() {
        return Err(SqlError::unsupported("COPY quote available only in CSV mode"));
    }
    let quote = match quote {
        Some(text) => one_byte(text, "COPY quote must be a single one-byte character")?,
        None => b'"',
    };
    if csv && quote == delimiter {
        return Err(invalid("COPY delimiter and quote must be different"));
    }
    if !csv && escape.is_some() {
        return Err(SqlError::unsupported("COPY escape available only in CSV mode"));
    }
    let escape = match escape {
        Some(text) => one_byte(text, "COPY escape must be a single one-byte character")?,
        None => quote,
    };
    Ok((quote, escape))
}

fn one_byte(text: &str, message: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(SqlError::unsupported(message)),
    }
}

fn check_force(force: &[ForceColumns; 3], csv: bool, from: bool) -> Result<()> {
    let names = ["force quote", "force not null", "force null"];
    for (which, name) in names.into_iter().enumerate() {
        if matches!(force[which], ForceColumns::None) {
            continue;
        }
        if !csv {
            return Err(SqlError::unsupported(format!("COPY {name} available only in CSV mode")));
        }
        let wanted_from = which != FORCE_QUOTE;
        if from != wanted_from {
            let way = if wanted_from { "COPY FROM" } else { "COPY TO" };
            return Err(SqlError::unsupported(format!("COPY {name} only available using {way}")));
        }
    }
    Ok(())
}

/// `SUBSCRIBE TO relation [AFTER 'position'] [WHERE condition]`.
pub(super) fn subscribe(cursor: &mut TokenCursor<'_>) -> Result<SubscribeNode> {
    cursor.expect("subscribe")?;
    cursor.take("to");
    let relation = cursor.object_name()?;
    let after = if cursor.take("after") { Some(cursor.string()?) } else { None };
    let mut predicate = None;
    if cursor.take("where") {
        let mut expressions = parse_expressions(cursor.rest(), cursor.positions())?;
        if expressions.len() != 1 {
            return Err(cursor.error());
        }
        predicate = expressions.pop();
    } else {
        cursor.expect_end()?;
    }
    Ok(SubscribeNode { relation, after, predicate })
}
