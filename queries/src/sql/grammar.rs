//! What PostgreSQL's grammar refuses and `sqlparser` lets pass: reserved words where an operand or a name has to be.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::position::Positions;
use super::token_cursor::{syntax_error_at, syntax_error_at_end};
use crate::error::Result;

/// Checks the tokens of a query or a writing statement.
pub(super) fn check(tokens: &[TokenWithSpan], positions: &Positions) -> Result<()> {
    check_start(tokens, positions)?;
    let mut before: Option<&Token> = None;
    for (place, token) in tokens.iter().enumerate() {
        let word = word_of(&token.token);
        // Behind AS and behind a point every word is a name.
        let is_name =
            matches!(before, Some(Token::Period)) || before.and_then(word_of) == Some("as");
        if let Some(word) = word
            && !is_name
        {
            if wants_operand(before) && is_clause(word) {
                return Err(syntax_error_at(token, positions));
            }
            let within = matches!(before.and_then(word_of), Some("within" | "exclude"));
            if matches!(word, "order" | "group") && !within {
                match tokens.get(place + 1) {
                    None => return Err(syntax_error_at_end(positions)),
                    Some(next) if word_of(&next.token) != Some("by") => {
                        return Err(syntax_error_at(next, positions));
                    }
                    Some(_) => {}
                }
            }
        }
        before = Some(&token.token);
    }
    Ok(())
}

/// `INSERT INTO` and `DELETE FROM` have their second word.
fn check_start(tokens: &[TokenWithSpan], positions: &Positions) -> Result<()> {
    let wanted = match tokens.first().and_then(|token| word_of(&token.token)) {
        Some("insert") => "into",
        Some("delete") => "from",
        _ => return Ok(()),
    };
    match tokens.get(1) {
        None => Err(syntax_error_at_end(positions)),
        Some(token) if word_of(&token.token) != Some(wanted) => {
            Err(syntax_error_at(token, positions))
        }
        Some(_) => Ok(()),
    }
}

fn word_of(token: &Token) -> Option<&str> {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value),
        _ => None,
    }
}

/// Whether something has to follow that a value, a name or a subquery can begin with.
fn wants_operand(before: Option<&Token>) -> bool {
    match before {
        Some(
            Token::Comma
            | Token::Plus
            | Token::Minus
            | Token::Div
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::StringConcat,
        ) => true,
        Some(token) => {
            matches!(
                word_of(token),
                Some("from" | "where" | "join" | "having" | "and" | "or" | "into" | "update")
            )
        }
        None => false,
    }
}

/// Words that begin a clause or stand between operands, and nothing else.
fn is_clause(word: &str) -> bool {
    matches!(
        word,
        "from"
            | "where"
            | "group"
            | "having"
            | "order"
            | "limit"
            | "offset"
            | "fetch"
            | "union"
            | "except"
            | "intersect"
            | "on"
            | "using"
            | "and"
            | "or"
            | "when"
            | "then"
            | "else"
            | "end"
            | "as"
            | "into"
            | "for"
            | "returning"
    )
}
