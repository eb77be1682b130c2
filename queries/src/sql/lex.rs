//! From text to tokens, with everything that depends on single tokens done once: limits, case folding of names,
//! strings continued on the next line.
//!
//! The limits stand before anything recursive: the length of the text, how deep brackets nest, and how many operators
//! follow each other at one level. The parser, the binder and the evaluator recurse no deeper than these allow.

use std::sync::Arc;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{
    Span, Token, TokenWithSpan, Tokenizer, TokenizerError, Whitespace, Word,
};

use super::dialect::RotabaseDialect;
use super::position::Positions;
use crate::error::{Result, SqlError, SqlState};

/// The bytes that a message with statements may have.
pub const STATEMENT_BYTES_MAX: usize = 16 << 20;
/// How deep parentheses, brackets and `CASE` may nest.
pub const NESTING_MAX: usize = 128;
/// How many operators may follow each other at one level; `AND` and `OR` do not count.
pub const OPERATOR_CHAIN_MAX: usize = 1000;
/// How many joins, and how many set operations, may follow each other at one level.
pub const JOIN_CHAIN_MAX: usize = 1000;
/// The bytes of a name that count; the rest is cut off.
pub const NAME_BYTES_MAX: usize = 63;

/// Tokens without spaces and comments.
#[derive(Debug)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<TokenWithSpan>,
    pub(super) positions: Arc<Positions>,
}

/// Splits a text into tokens and checks the limits.
pub(super) fn lex(text: &Arc<str>) -> Result<Lexed> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "statement is too long")
            .with_detail(format!("A statement may have {STATEMENT_BYTES_MAX} bytes."))
            .with_hint("Load large amounts of data with COPY."));
    }
    let positions = Arc::new(Positions::new(text));
    let mut raw = Vec::with_capacity(text.len() / 4);
    Tokenizer::new(&RotabaseDialect, text)
        .tokenize_with_location_into_buf(&mut raw)
        .map_err(|error| unterminated(&error, &raw, &positions))?;
    let tokens = fold(raw, &positions)?;
    check_limits(&tokens, &positions)?;
    Ok(Lexed { tokens, positions })
}

/// PostgreSQL's words for a token that does not end.
fn unterminated(
    error: &TokenizerError,
    before: &[TokenWithSpan],
    positions: &Positions,
) -> SqlError {
    let start = before.last().map_or(0, |token| positions.byte(token.span.end));
    let rest = &positions.text()[start..];
    let trimmed = rest.trim_start();
    let start = start + (rest.len() - trimmed.len());
    let what = if trimmed.starts_with("/*") {
        "unterminated /* comment"
    } else if trimmed.starts_with('"') || trimmed.starts_with("U&\"") {
        "unterminated quoted identifier"
    } else if trimmed.starts_with('$') {
        "unterminated dollar-quoted string"
    } else if error.message.to_ascii_lowercase().contains("unterminated") {
        "unterminated quoted string"
    } else {
        "syntax error"
    };
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} at or near \"{trimmed}\""))
        .at(Some(positions.character_of_byte(start)))
}

/// Drops spaces and comments, folds names and joins strings that are continued on another line.
fn fold(raw: Vec<TokenWithSpan>, positions: &Positions) -> Result<Vec<TokenWithSpan>> {
    let mut tokens: Vec<TokenWithSpan> = Vec::with_capacity(raw.len());
    let mut newline = false;
    for mut token in raw {
        match &mut token.token {
            Token::Whitespace(space) => {
                newline |=
                    matches!(space, Whitespace::Newline | Whitespace::SingleLineComment { .. });
                continue;
            }
            Token::Word(word) => fold_word(word, token.span, positions)?,
            Token::SingleQuotedString(more) if newline => {
                if let Some(TokenWithSpan { token: Token::SingleQuotedString(string), .. }) =
                    tokens.last_mut()
                {
                    string.push_str(more);
                    continue;
                }
            }
            _ => {}
        }
        newline = false;
        tokens.push(token);
    }
    Ok(tokens)
}

fn fold_word(word: &mut Word, span: Span, positions: &Positions) -> Result<()> {
    if word.quote_style.is_none() {
        word.value.make_ascii_lowercase();
    } else if word.value.is_empty() {
        let message = "zero-length delimited identifier at or near \"\"\"\"";
        return Err(
            SqlError::new(SqlState::SYNTAX_ERROR, message).at(positions.character(span.start))
        );
    }
    if word.value.len() > NAME_BYTES_MAX {
        let end = word.value.floor_char_boundary(NAME_BYTES_MAX);
        word.value.truncate(end);
    }
    Ok(())
}

/// What is counted at one level of nesting.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    joins: usize,
    set_operations: usize,
}

fn check_limits(tokens: &[TokenWithSpan], positions: &Positions) -> Result<()> {
    let mut levels = vec![Level::default()];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => levels.push(Level::default()),
            Token::RParen | Token::RBracket => close(&mut levels),
            Token::Comma => top(&mut levels).operators = 0,
            Token::SemiColon => {
                levels.clear();
                levels.push(Level::default());
            }
            Token::Word(word) => count_word(word, &mut levels),
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_) => {}
            _ => top(&mut levels).operators += 1,
        }
        let level = *top(&mut levels);
        let detail = if levels.len() > NESTING_MAX {
            format!("Parentheses, brackets and CASE may nest {NESTING_MAX} deep.")
        } else if level.operators > OPERATOR_CHAIN_MAX {
            format!("An expression may chain {OPERATOR_CHAIN_MAX} operators.")
        } else if level.joins > JOIN_CHAIN_MAX || level.set_operations > JOIN_CHAIN_MAX {
            format!("A query may chain {JOIN_CHAIN_MAX} joins or set operations.")
        } else {
            continue;
        };
        return Err(too_complex(detail).at(positions.character(token.span.start)));
    }
    Ok(())
}

fn top(levels: &mut Vec<Level>) -> &mut Level {
    if levels.is_empty() {
        levels.push(Level::default());
    }
    levels.last_mut().expect("one was just pushed")
}

fn close(levels: &mut Vec<Level>) {
    levels.pop();
    // What is in brackets is one operand, and a call or a subscript is one step more.
    top(levels).operators += 1;
}

fn count_word(word: &Word, levels: &mut Vec<Level>) {
    match word.keyword {
        Keyword::CASE => levels.push(Level::default()),
        Keyword::END => close(levels),
        Keyword::JOIN => top(levels).joins += 1,
        Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => {
            let level = top(levels);
            level.set_operations += 1;
            level.operators = 0;
        }
        Keyword::NOT
        | Keyword::IS
        | Keyword::LIKE
        | Keyword::ILIKE
        | Keyword::SIMILAR
        | Keyword::BETWEEN
        | Keyword::IN
        | Keyword::AT
        | Keyword::COLLATE
        | Keyword::OPERATOR
        | Keyword::OVERLAPS => top(levels).operators += 1,
        Keyword::AND
        | Keyword::OR
        | Keyword::SELECT
        | Keyword::FROM
        | Keyword::WHERE
        | Keyword::ON
        | Keyword::WHEN
        | Keyword::THEN
        | Keyword::ELSE
        | Keyword::VALUES => top(levels).operators = 0,
        _ => {}
    }
}

/// The statement needs more depth than it may have.
pub(super) fn too_complex(detail: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").with_detail(detail)
}
