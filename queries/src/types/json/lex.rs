//! The tokens of JSON, and the errors about them (`jsonapi.c`).

use crate::error::{Result, SqlError, SqlState};

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Comma,
    Colon,
    String,
    Number,
    True,
    False,
    Null,
    End,
}

/// Reads tokens. After [`Lexer::advance`] the current token stands in `token`, its text in `start..end`.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The contents of the last string, escapes resolved; only if asked for.
    pub(super) string: String,
    /// Whether strings are resolved, which finds more mistakes in them.
    pub(super) resolve: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, resolve: bool) -> Self {
        Self { text, token: Token::End, start: 0, end: 0, string: String::new(), resolve }
    }

    fn byte(&self, place: usize) -> Option<u8> {
        self.text.as_bytes().get(place).copied()
    }

    /// Goes on to the next token.
    pub(super) fn advance(&mut self) -> Result<()> {
        let mut at = self.end;
        while matches!(self.byte(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        self.start = at;
        self.end = at + 1;
        self.token = match self.byte(at) {
            None => {
                self.end = at;
                Token::End
            }
            Some(b'{') => Token::ObjectStart,
            Some(b'}') => Token::ObjectEnd,
            Some(b'[') => Token::ArrayStart,
            Some(b']') => Token::ArrayEnd,
            Some(b',') => Token::Comma,
            Some(b':') => Token::Colon,
            Some(b'"') => {
                self.lex_string()?;
                Token::String
            }
            Some(b'-' | b'0'..=b'9') => {
                self.lex_number()?;
                Token::Number
            }
            Some(_) => self.lex_word()?,
        };
        Ok(())
    }

    fn lex_word(&mut self) -> Result<Token> {
        self.end = self.word_end(self.start);
        match &self.text[self.start..self.end] {
            "true" => Ok(Token::True),
            "false" => Ok(Token::False),
            "null" => Ok(Token::Null),
            "" => {
                self.end =
                    self.start + self.text[self.start..].chars().next().map_or(0, char::len_utf8);
                Err(self.invalid_token())
            }
            _ => Err(self.invalid_token()),
        }
    }

    fn word_end(&self, from: usize) -> usize {
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        from + self.text.as_bytes()[from..].iter().take_while(|byte| part(byte)).count()
    }

    fn lex_number(&mut self) -> Result<()> {
        let bytes = &self.text.as_bytes()[self.start..];
        let mut at = usize::from(bytes.first() == Some(&b'-'));
        let digits =
            |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut valid = true;
        match bytes.get(at) {
            Some(b'0') => at += 1,
            Some(b'1'..=b'9') => at += digits(at),
            _ => valid = false,
        }
        if valid && bytes.get(at) == Some(&b'.') {
            at += 1;
            valid = digits(at) > 0;
            at += digits(at);
        }
        if valid && matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            valid = digits(at) > 0;
            at += digits(at);
        }
        self.end = self.start + at;
        let word_end = self.word_end(self.end);
        if !valid || word_end > self.end {
            self.end = word_end;
            return Err(self.invalid_token());
        }
        Ok(())
    }

    fn lex_string(&mut self) -> Result<()> {
        self.string.clear();
        let mut at = self.start + 1;
        let mut high: Option<u32> = None;
        loop {
            let rest = &self.text[at..];
            let plain =
                rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            if plain > 0 {
                self.no_half(high, at)?;
                if self.resolve {
                    self.string.push_str(&rest[..plain]);
                }
                at += plain;
            }
            match self.byte(at) {
                None => {
                    self.end = at;
                    return Err(self.invalid_token());
                }
                Some(b'"') => {
                    self.no_half(high, at)?;
                    self.end = at + 1;
                    return Ok(());
                }
                Some(b'\\') => at = self.escape(at, &mut high)?,
                Some(byte) => {
                    self.end = at;
                    return Err(
                        self.error(format!("Character with value 0x{byte:02x} must be escaped."))
                    );
                }
            }
        }
    }

    /// Fails if half a surrogate pair is open.
    fn no_half(&mut self, high: Option<u32>, at: usize) -> Result<()> {
        if high.is_some() {
            self.end = at + 1;
            return Err(self.error("Unicode low surrogate must follow a high surrogate."));
        }
        Ok(())
    }

    fn escape(&mut self, at: usize, high: &mut Option<u32>) -> Result<usize> {
        let Some(kind) = self.text[at + 1..].chars().next() else {
            self.end = self.text.len();
            return Err(self.invalid_token());
        };
        if kind == 'u' {
            return self.unicode_escape(at, high);
        }
        self.no_half(*high, at)?;
        let character = match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            _ => {
                self.end = at + 1 + kind.len_utf8();
                return Err(self.error(format!("Escape sequence \"\\{kind}\" is invalid.")));
            }
        };
        if self.resolve {
            self.string.push(character);
        }
        Ok(at + 2)
    }

    fn unicode_escape(&mut self, at: usize, high: &mut Option<u32>) -> Result<usize> {
        let mut code = 0;
        for place in at + 2..at + 6 {
            let digit = self.byte(place).and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                self.end = (place + 1).min(self.text.len());
                while !self.text.is_char_boundary(self.end) {
                    self.end += 1;
                }
                if place >= self.text.len() {
                    return Err(self.invalid_token());
                }
                return Err(self.error("\"\\u\" must be followed by four hexadecimal digits."));
            };
            code = code * 16 + digit;
        }
        let next = at + 6;
        if !self.resolve {
            return Ok(next);
        }
        self.end = next;
        match (*high, code) {
            (Some(_), 0xd800..=0xdbff) => {
                return Err(self.error("Unicode high surrogate must not follow a high surrogate."));
            }
            (None, 0xd800..=0xdbff) => *high = Some(code),
            (Some(first), 0xdc00..=0xdfff) => {
                *high = None;
                let whole = 0x10000 + ((first & 0x3ff) << 10) + (code & 0x3ff);
                self.string.push(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (Some(_), _) | (None, 0xdc00..=0xdfff) => {
                return Err(self.error("Unicode low surrogate must follow a high surrogate."));
            }
            (None, 0) => {
                let error = self.error("\\u0000 cannot be converted to text.");
                return Err(SqlError {
                    state: SqlState::UNTRANSLATABLE_CHARACTER,
                    message: "unsupported Unicode escape sequence".to_owned(),
                    ..error
                });
            }
            (None, code) => {
                self.string.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        Ok(next)
    }

    /// The text of the current token.
    pub(super) fn token_text(&self) -> &'a str {
        &self.text[self.start..self.end]
    }

    fn invalid_token(&self) -> SqlError {
        self.error(format!("Token \"{}\" is invalid.", self.token_text()))
    }

    /// An error about the current token.
    pub(super) fn error(&self, detail: impl Into<String>) -> SqlError {
        let error = SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type json",
        );
        SqlError { context: Some(self.context()), ..error.with_detail(detail) }
    }

    /// The line up to the end of the current token, cut at the front to about 50 bytes.
    fn context(&self) -> String {
        const CONTEXT_BYTES: usize = 50;
        let before = &self.text[..self.end];
        let line = before[..self.start].matches('\n').count() + 1;
        let line_start = before[..self.start].rfind('\n').map_or(0, |place| place + 1);
        let mut start = line_start;
        while self.end - start >= CONTEXT_BYTES {
            start += self.text[start..].chars().next().map_or(1, char::len_utf8);
        }
        if start - line_start <= 3 {
            start = line_start;
        }
        let prefix = if start > line_start { "..." } else { "" };
        let more = self.token != Token::End
            && self.text[self.end..].bytes().next().is_some_and(|it| it != b'\n' && it != b'\r');
        let suffix = if more { "..." } else { "" };
        format!("JSON data, line {line}: {prefix}{}{suffix}", &self.text[start..self.end])
    }
}
