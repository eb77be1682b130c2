//! The grammar of JSON: checking a text, reading it as a tree, or as a sequence of [`Event`]s.

use super::lex::{Lexer, Token};
use super::{DEPTH_MAX, number, object};
use crate::error::{Result, SqlError, SqlState};
use crate::types::{Jsonb, numeric};

/// A part of a JSON text with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// `{` or `[`.
    Start {
        /// Whether it is an object.
        object: bool,
        /// Where it starts.
        at: usize,
    },
    /// `}` or `]`, and where it ends.
    End(usize),
    /// An object's key.
    Key(String),
    /// A string, number, boolean or null: its text's place.
    Scalar {
        /// From here
        start: usize,
        /// to here.
        end: usize,
    },
}

/// Checks that a text is JSON.
pub fn check(text: &str) -> Result<()> {
    let mut parser = Parser { lexer: Lexer::new(text, false), depth: 0 };
    parser.whole(&mut |_| {})
}

/// Reads a `jsonb`.
pub fn read(text: &str) -> Result<Jsonb> {
    let mut parser = Parser { lexer: Lexer::new(text, true), depth: 0 };
    parser.lexer.advance()?;
    let value = parser.tree()?;
    parser.finish()?;
    Ok(value)
}

/// The parts of a text in order.
pub(crate) fn events(text: &str) -> Result<Vec<Event>> {
    let mut found = Vec::new();
    let mut parser = Parser { lexer: Lexer::new(text, true), depth: 0 };
    parser.whole(&mut |event| found.push(event))?;
    Ok(found)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn whole(&mut self, emit: &mut dyn FnMut(Event)) -> Result<()> {
        self.lexer.advance()?;
        self.value(emit)?;
        self.finish()
    }

    fn finish(&mut self) -> Result<()> {
        if self.lexer.token == Token::End { Ok(()) } else { Err(self.expected("end of input")) }
    }

    fn expected(&self, what: &str) -> SqlError {
        if self.lexer.token == Token::End {
            return self.lexer.error("The input string ended unexpectedly.");
        }
        self.lexer.error(format!("Expected {what}, but found \"{}\".", self.lexer.token_text()))
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
            .with_detail(format!("JSON may be nested {DEPTH_MAX} levels deep.")))
    }

    fn value(&mut self, emit: &mut dyn FnMut(Event)) -> Result<()> {
        let (start, end) = (self.lexer.start, self.lexer.end);
        match self.lexer.token {
            Token::ObjectStart => {
                self.enter()?;
                emit(Event::Start { object: true, at: start });
                self.lexer.advance()?;
                let mut first = true;
                while self.member(first)? {
                    emit(Event::Key(self.key()?));
                    self.value(emit)?;
                    first = false;
                }
                self.leave(emit)
            }
            Token::ArrayStart => {
                self.enter()?;
                emit(Event::Start { object: false, at: start });
                self.lexer.advance()?;
                let mut first = true;
                while self.item(first)? {
                    self.value(emit)?;
                    first = false;
                }
                self.leave(emit)
            }
            Token::String | Token::Number | Token::True | Token::False | Token::Null => {
                emit(Event::Scalar { start, end });
                self.lexer.advance()
            }
            _ => Err(self.expected("JSON value")),
        }
    }

    fn leave(&mut self, emit: &mut dyn FnMut(Event)) -> Result<()> {
        emit(Event::End(self.lexer.end));
        self.depth -= 1;
        self.lexer.advance()
    }

    /// Whether another field follows; stands at its key then, else at the `}`.
    fn member(&mut self, first: bool) -> Result<bool> {
        match (self.lexer.token, first) {
            (Token::ObjectEnd, _) => Ok(false),
            (Token::String, true) => Ok(true),
            (_, true) => Err(self.expected("string or \"}\"")),
            (Token::Comma, false) => {
                self.lexer.advance()?;
                if self.lexer.token == Token::String {
                    Ok(true)
                } else {
                    Err(self.expected("string"))
                }
            }
            (_, false) => Err(self.expected("\",\" or \"}\"")),
        }
    }

    /// The key, with the colon after it passed over.
    fn key(&mut self) -> Result<String> {
        let key = std::mem::take(&mut self.lexer.string);
        self.lexer.advance()?;
        if self.lexer.token != Token::Colon {
            return Err(self.expected("\":\""));
        }
        self.lexer.advance()?;
        Ok(key)
    }

    /// Whether another element follows; stands at it then, else at the `]`.
    fn item(&mut self, first: bool) -> Result<bool> {
        match (self.lexer.token, first) {
            (Token::ArrayEnd, _) => Ok(false),
            (_, true) => Ok(true),
            (Token::Comma, false) => self.lexer.advance().map(|()| true),
            (_, false) => Err(self.expected("\",\" or \"]\"")),
        }
    }

    fn tree(&mut self) -> Result<Jsonb> {
        let value = match self.lexer.token {
            Token::ObjectStart => {
                self.enter()?;
                self.lexer.advance()?;
                let mut fields = Vec::new();
                while self.member(fields.is_empty())? {
                    let key = self.key()?;
                    fields.push((key, self.tree()?));
                }
                self.depth -= 1;
                object(fields)
            }
            Token::ArrayStart => {
                self.enter()?;
                self.lexer.advance()?;
                let mut items = Vec::new();
                while self.item(items.is_empty())? {
                    items.push(self.tree()?);
                }
                self.depth -= 1;
                Jsonb::Array(items)
            }
            Token::String => Jsonb::String(std::mem::take(&mut self.lexer.string)),
            Token::Number => number(&numeric::read(self.lexer.token_text())?),
            Token::True => Jsonb::Bool(true),
            Token::False => Jsonb::Bool(false),
            Token::Null => Jsonb::Null,
            _ => return Err(self.expected("JSON value")),
        };
        self.lexer.advance()?;
        Ok(value)
    }
}
