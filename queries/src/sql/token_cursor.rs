//! Walks over a statement's tokens: what our own parsers of statements are written with.

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::keywords::{Keyword, RESERVED_FOR_IDENTIFIER};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::position::Positions;
use crate::error::{Result, SqlError, SqlState};

/// A place in a statement's tokens.
#[derive(Clone, Debug)]
pub(super) struct TokenCursor<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
    positions: &'a Arc<Positions>,
}

impl<'a> TokenCursor<'a> {
    pub(super) fn new(tokens: &'a [TokenWithSpan], positions: &'a Arc<Positions>) -> Self {
        Self { tokens, at: 0, positions }
    }

    pub(super) fn positions(&self) -> &'a Arc<Positions> {
        self.positions
    }

    /// The tokens from here on.
    pub(super) fn rest(&self) -> &'a [TokenWithSpan] {
        &self.tokens[self.at..]
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.peek_nth(0)
    }

    pub(super) fn peek_nth(&self, n: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + n).map(|token| &token.token)
    }

    /// The byte at which the next token starts.
    pub(super) fn byte(&self) -> usize {
        let next = self.tokens.get(self.at);
        next.map_or(self.positions.text().len(), |token| self.positions.byte(token.span.start))
    }

    /// The character at which the next token starts.
    pub(super) fn position(&self) -> Option<usize> {
        self.tokens.get(self.at).and_then(|token| self.positions.character(token.span.start))
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// The unquoted word here, in lower case.
    pub(super) fn word(&self) -> Option<&'a str> {
        self.word_nth(0)
    }

    /// The unquoted word `n` tokens on, in lower case.
    pub(super) fn word_nth(&self, n: usize) -> Option<&'a str> {
        match self.peek_nth(n) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => Some(value),
            _ => None,
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    /// Takes a word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// Takes these words if they are all here.
    pub(super) fn take_all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(n, word)| self.word_nth(n) == Some(word));
        self.at += if found { words.len() } else { 0 };
        found
    }

    /// Takes one of these words.
    pub(super) fn take_one_of<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        words.iter().copied().find(|word| self.take(word))
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        if self.take(word) { Ok(()) } else { Err(self.error()) }
    }

    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.error()) }
    }

    /// Fails unless everything has been taken.
    pub(super) fn expect_end(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.error()) }
    }

    /// Takes a name: quoted, or a word that PostgreSQL does not reserve.
    pub(super) fn name(&mut self) -> Result<String> {
        Ok(self.ident()?.value)
    }

    /// Takes a name with its place.
    pub(super) fn ident(&mut self) -> Result<Ident> {
        match self.tokens.get(self.at) {
            Some(TokenWithSpan { token: Token::Word(word), span }) if !is_reserved(word) => {
                self.at += 1;
                Ok(Ident { value: word.value.clone(), quote_style: word.quote_style, span: *span })
            }
            _ => Err(self.error()),
        }
    }

    /// Takes a name with an optional schema before it.
    pub(super) fn object_name(&mut self) -> Result<ObjectName> {
        let mut parts = vec![self.ident()?];
        while self.take_token(&Token::Period) {
            parts.push(self.ident()?);
        }
        Ok(ObjectName::from(parts))
    }

    /// Takes a name with an optional schema before it, as two strings.
    pub(super) fn qualified_name(&mut self) -> Result<(Option<String>, String)> {
        let position = self.position();
        let first = self.name()?;
        if !self.take_token(&Token::Period) {
            return Ok((None, first));
        }
        let second = self.name()?;
        if self.peek() == Some(&Token::Period) {
            let message = "cross-database references are not implemented";
            return Err(SqlError::unsupported(message).at(position));
        }
        Ok((Some(first), second))
    }

    /// Takes one or more of something, between commas.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Takes a string constant.
    pub(super) fn string(&mut self) -> Result<String> {
        let value = match self.peek() {
            Some(
                Token::SingleQuotedString(value)
                | Token::EscapedStringLiteral(value)
                | Token::UnicodeStringLiteral(value),
            ) => value.clone(),
            Some(Token::DollarQuotedString(value)) => value.value.clone(),
            _ => return Err(self.error()),
        };
        self.at += 1;
        Ok(value)
    }

    /// Takes a whole number with an optional sign.
    pub(super) fn integer(&mut self) -> Result<i64> {
        let start = self.at;
        let negative = self.take_token(&Token::Minus);
        if !negative {
            self.take_token(&Token::Plus);
        }
        let value = match self.peek() {
            Some(Token::Number(digits, _)) => digits.parse::<i64>().ok(),
            _ => None,
        };
        let Some(value) = value else {
            let error = self.error();
            self.at = start;
            return Err(error);
        };
        self.at += 1;
        Ok(if negative { -value } else { value })
    }

    /// A syntax error at the next token.
    pub(super) fn error(&self) -> SqlError {
        match self.tokens.get(self.at) {
            Some(token) => syntax_error_at(token, self.positions),
            None => syntax_error_at_end(self.positions),
        }
    }

    /// That a feature is not offered, at the next token.
    pub(super) fn unsupported(&self, message: impl Into<String>) -> SqlError {
        SqlError::unsupported(message).at(self.position())
    }
}

/// PostgreSQL's reserved words, as far as `sqlparser` has them too, and those that it does not reserve.
fn is_reserved(word: &Word) -> bool {
    if word.quote_style.is_some() {
        return false;
    }
    RESERVED_FOR_IDENTIFIER.contains(&word.keyword) && word.keyword != Keyword::INTERVAL
        || matches!(
            word.keyword,
            Keyword::SELECT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::TABLE
                | Keyword::TO
                | Keyword::ON
                | Keyword::FOR
                | Keyword::AS
                | Keyword::ALL
                | Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IN
                | Keyword::INTO
                | Keyword::USING
                | Keyword::WITH
                | Keyword::UNION
                | Keyword::ORDER
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::FETCH
                | Keyword::DEFAULT
                | Keyword::USER
                | Keyword::GRANT
                | Keyword::CREATE
                | Keyword::NULL
                | Keyword::TRUE
                | Keyword::FALSE
        )
}

/// `syntax error at or near "x"`.
pub(super) fn syntax_error_at(token: &TokenWithSpan, positions: &Positions) -> SqlError {
    let text = positions.slice(token.span);
    SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{text}\""))
        .at(positions.character(token.span.start))
}

/// `syntax error at end of input`.
pub(super) fn syntax_error_at_end(positions: &Positions) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input").at(Some(positions.end()))
}
