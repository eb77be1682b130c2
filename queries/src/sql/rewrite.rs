//! Turns tokens that `sqlparser` cannot parse into tokens that it can, before it sees them.
//!
//! | written | parsed as |
//! | --- | --- |
//! | `TABLE t` | `SELECT * FROM t` |
//! | `ROWS FROM (f(..), g(..))` | a function named [`ROWS_FROM`] |
//! | `TRIM(LEADING FROM x)` | `TRIM(LEADING x)` |
//! | `SUBSTRING(x SIMILAR y ESCAPE z)` | `SUBSTRING(x, y, z)` |
//! | `json_to_record(..) AS (a int)` | `json_to_record(..) AS json_to_record(a int)` |
//! | `ONLY t` | `t`: there is no inheritance |
//! | `IN (VALUES ..)`, `ANY (VALUES ..)` | `IN (SELECT * FROM (VALUES ..) AS ..)` |
//! | `OVER (.. EXCLUDE TIES)` | `OVER ("exclude ties" ..)`, a window name that starts with [`EXCLUDE`] |
//! | `BETWEEN 'x'::interval PRECEDING` | `BETWEEN ('x'::interval) PRECEDING` |
//! | `(x).*` | `(x)."*"`, a field named [`ALL_FIELDS`] |
//! | `FOR NO KEY UPDATE OF a, b` | `FOR UPDATE OF a FOR UPDATE OF b` |
//!
//! Names that stand for syntax carry the quote mark [`MARK`], which no name in a statement can have.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::position::Positions;
use crate::error::{Result, SqlError};

/// The quote mark of names that stand for syntax.
pub(super) const MARK: char = '\u{1}';
/// The function that stands for `ROWS FROM`.
pub(super) const ROWS_FROM: &str = "rows from";
/// What the name of a window with a frame exclusion starts with; the exclusion, a space and the window's own name
/// follow.
pub(super) const EXCLUDE: &str = "exclude ";
/// The longest offset of a window's frame that may begin with a string.
const FRAME_OFFSET_TOKENS_MAX: usize = 64;
/// The field that stands for all fields.
pub(super) const ALL_FIELDS: &str = "*";

/// Rewrites the tokens of a query or a writing statement.
pub(super) fn rewrite(
    tokens: &[TokenWithSpan],
    positions: &Positions,
) -> Result<Vec<TokenWithSpan>> {
    let mut rewriter = Rewriter {
        tokens,
        at: 0,
        out: Vec::with_capacity(tokens.len() + 8),
        closers: Vec::new(),
        similar: Vec::new(),
        closed: None,
    };
    while rewriter.at < tokens.len() {
        rewriter.step(positions)?;
    }
    Ok(rewriter.out)
}

struct Rewriter<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
    out: Vec<TokenWithSpan>,
    /// For each open bracket, where it stands in the output and whether a rewritten `VALUES` ends with it.
    closers: Vec<(usize, bool)>,
    /// Where the bracket stands that was closed last.
    closed: Option<usize>,
    /// Where the brackets stand of a `SUBSTRING` with `SIMILAR`.
    similar: Vec<usize>,
}

impl Rewriter<'_> {
    fn word(&self, ahead: usize) -> Option<&str> {
        word_of(self.tokens.get(self.at + ahead)?)
    }

    fn previous(&self) -> Option<&str> {
        self.out.last().and_then(word_of)
    }

    fn is_paren(&self, ahead: usize) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|it| it.token == Token::LParen)
    }

    fn push(&mut self, token: Token) {
        let span = self.tokens[self.at].span;
        self.out.push(TokenWithSpan { token, span });
    }

    /// Takes over the next token, or what stands for it and those behind it.
    fn step(&mut self, positions: &Positions) -> Result<()> {
        match &self.tokens[self.at].token {
            Token::LParen | Token::LBracket => self.open(),
            Token::RParen | Token::RBracket => self.close(),
            Token::Mul if self.follows_field_access() => {
                self.push(marked(ALL_FIELDS.to_owned()));
                self.at += 1;
            }
            Token::SingleQuotedString(_) => match self.frame_offset() {
                Some(length) => {
                    self.push(Token::LParen);
                    self.copy(length);
                    self.at -= 1;
                    self.push(Token::RParen);
                    self.at += 1;
                }
                None => self.copy(1),
            },
            Token::Word(word) if word.quote_style.is_none() => return self.keyword(positions),
            _ => self.copy(1),
        }
        Ok(())
    }

    /// How many tokens of a frame's offset that begins with a string are here, if it is more than the string.
    fn frame_offset(&self) -> Option<usize> {
        if !matches!(self.previous(), Some("between" | "and" | "rows" | "range" | "groups")) {
            return None;
        }
        let mut depth = 0_usize;
        for ahead in 1..FRAME_OFFSET_TOKENS_MAX {
            match &self.tokens.get(self.at + ahead)?.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.checked_sub(1)?,
                Token::Comma | Token::SemiColon if depth == 0 => return None,
                _ if depth == 0 && matches!(self.word(ahead), Some("preceding" | "following")) => {
                    return Some(ahead).filter(|length| *length > 1);
                }
                _ => {}
            }
        }
        None
    }

    fn copy(&mut self, count: usize) {
        self.out.extend_from_slice(&self.tokens[self.at..self.at + count]);
        self.at += count;
    }

    /// Whether a `*` comes after `).` or `].`.
    fn follows_field_access(&self) -> bool {
        match self.out.as_slice() {
            [.., before, point] => {
                point.token == Token::Period
                    && matches!(before.token, Token::RParen | Token::RBracket)
            }
            _ => false,
        }
    }

    fn open(&mut self) {
        let values = self.word(1) == Some("values")
            && matches!(self.previous(), Some("in" | "any" | "some" | "all" | "exists" | "array"));
        self.closers.push((self.out.len(), values));
        self.copy(1);
        if values {
            for token in [keyword("select"), Token::Mul, keyword("from"), Token::LParen] {
                self.push(token);
            }
        }
    }

    fn close(&mut self) {
        let closer = self.closers.pop();
        self.closed = closer.map(|it| it.0);
        if let Some((_, true)) = closer {
            self.push(Token::RParen);
            self.push(keyword("as"));
            self.push(Token::Word(Word {
                value: "*VALUES*".to_owned(),
                quote_style: Some('"'),
                keyword: Keyword::NoKeyword,
            }));
        }
        self.copy(1);
    }

    fn keyword(&mut self, positions: &Positions) -> Result<()> {
        match self.word(0).unwrap_or_default() {
            "table" => {
                for token in [keyword("select"), Token::Mul, keyword("from")] {
                    self.push(token);
                }
                self.at += 1;
            }
            "rows" if self.word(1) == Some("from") && self.is_paren(2) => {
                self.push(marked(ROWS_FROM.to_owned()));
                self.at += 2;
            }
            // TRIM(LEADING FROM x) trims spaces, and so does TRIM(FROM x).
            "from" if self.begins_trim() => self.at += 1,
            "similar" if self.word(1) != Some("to") && self.begins_similar() => {
                self.similar.extend(self.closers.last().map(|it| it.0));
                self.push(Token::Comma);
                self.at += 1;
            }
            "escape" if self.ends_similar() => {
                self.similar.pop();
                self.push(Token::Comma);
                self.at += 1;
            }
            // A column definition list without an alias: the function's name is the alias.
            "as" if self.defines_columns() => {
                self.copy(1);
                let closed = self.closed.and_then(|at| self.out.get(at.checked_sub(1)?));
                self.out.extend(closed.cloned());
            }
            "only" if !matches!(self.previous(), Some("row" | "rows")) => self.at += 1,
            "exclude" => self.exclusion(),
            "for" => match self.lock() {
                Some((strength, words)) => self.locking(strength, words),
                None => self.copy(1),
            },
            "overriding"
                if matches!(self.word(1), Some("system" | "user"))
                    && self.word(2) == Some("value") =>
            {
                let position = positions.character(self.tokens[self.at].span.start);
                return Err(SqlError::unsupported("OVERRIDING is not supported").at(position));
            }
            _ => self.copy(1),
        }
        Ok(())
    }

    /// Whether an `AS` comes between a function's arguments and a bracket with column definitions.
    fn defines_columns(&self) -> bool {
        let closed = self.out.last().is_some_and(|it| it.token == Token::RParen);
        let name = self.closed.and_then(|at| self.out.get(at.checked_sub(1)?)).and_then(word_of);
        let query = ["select", "values", "with", "table", "insert", "update", "delete", "merge"];
        closed
            && name.is_some_and(|name| name.starts_with("json"))
            && self.is_paren(1)
            && self.word(2).is_some_and(|word| !query.contains(&word))
    }

    /// Whether the word is directly in the brackets of a `SUBSTRING`.
    fn begins_similar(&self) -> bool {
        let open = self.closers.last().and_then(|it| it.0.checked_sub(1));
        open.and_then(|at| self.out.get(at)).and_then(word_of) == Some("substring")
    }

    /// Whether the word belongs to a `SIMILAR` in the same brackets.
    fn ends_similar(&self) -> bool {
        self.similar.last().is_some_and(|it| Some(*it) == self.closers.last().map(|it| it.0))
    }

    /// Whether a `FROM` comes where `TRIM` may have left out what it trims.
    fn begins_trim(&self) -> bool {
        let word_before = |back: usize| {
            self.out.len().checked_sub(back).and_then(|at| self.out.get(at)).and_then(word_of)
        };
        let opened = self.out.last().is_some_and(|it| it.token == Token::LParen);
        opened && word_before(2) == Some("trim")
            || matches!(word_before(1), Some("leading" | "trailing" | "both"))
                && word_before(3) == Some("trim")
    }

    /// The row lock that starts here: what stands for it, and its length.
    fn lock(&self) -> Option<(&'static str, usize)> {
        match (self.word(1)?, self.word(2), self.word(3)) {
            ("update", ..) => Some(("update", 2)),
            ("share", ..) => Some(("share", 2)),
            ("no", Some("key"), Some("update")) => Some(("update", 4)),
            ("key", Some("share"), _) => Some(("share", 3)),
            _ => None,
        }
    }

    /// A locking clause; one of several tables becomes several of one table.
    fn locking(&mut self, strength: &str, words: usize) {
        self.push(keyword("for"));
        self.push(keyword(strength));
        self.at += words;
        if self.word(0) != Some("of") {
            return;
        }
        self.copy(1);
        while let Some(TokenWithSpan { token, .. }) = self.tokens.get(self.at) {
            match token {
                Token::Comma => {
                    for word in ["for", strength, "of"] {
                        self.push(keyword(word));
                    }
                    self.at += 1;
                }
                Token::Period => self.copy(1),
                Token::Word(_)
                    if !matches!(self.word(0), Some("nowait" | "skip" | "for" | "limit")) =>
                {
                    self.copy(1);
                }
                _ => return,
            }
        }
    }

    /// Moves a frame's exclusion into the name of its window.
    fn exclusion(&mut self) {
        let (words, count) = match (self.word(1), self.word(2)) {
            (Some("current"), Some("row")) => ("current", 3),
            (Some("no"), Some("others")) => ("no", 3),
            (Some("group"), _) => ("group", 2),
            (Some("ties"), _) => ("ties", 2),
            _ => return self.copy(1),
        };
        let Some(&(open, _)) = self.closers.last() else { return self.copy(1) };
        let base = match self.out.get(open + 1).and_then(word_of) {
            Some("partition" | "order" | "rows" | "range" | "groups") | None => None,
            Some(name) => Some(name.to_owned()),
        };
        let name = format!("{EXCLUDE}{words} {}", base.as_deref().unwrap_or_default());
        let span = self.tokens[self.at].span;
        let token = TokenWithSpan { token: marked(name), span };
        if base.is_some() {
            self.out[open + 1] = token;
        } else {
            self.out.insert(open + 1, token);
        }
        self.at += count;
    }
}

fn word_of(token: &TokenWithSpan) -> Option<&str> {
    match &token.token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value),
        _ => None,
    }
}

fn keyword(word: &str) -> Token {
    Token::make_keyword(word)
}

fn marked(value: String) -> Token {
    Token::Word(Word { value, quote_style: Some(MARK), keyword: Keyword::NoKeyword })
}
