//! The words of a jsonpath.

use crate::error::{Result, SqlError, SqlState};

/// A word of a jsonpath.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, or a key word.
    Word(String),
    /// Text between double quotes.
    Text(String),
    /// A number, as it is written.
    Number(String),
    /// `$name`.
    Variable(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Operators and brackets, longer ones before those they start with.
const SIGNS: [&str; 31] = [
    "**", "&&", "||", "==", "!=", "<>", "<=", ">=", "$", "@", "(", ")", "[", "]", "{", "}", ".",
    "*", "?", "!", "<", ">", "=", "+", "-", "/", "%", ",", "&", "|", ":",
];

/// The error for a text that is no jsonpath.
pub(super) fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

fn ends_name(it: char) -> bool {
    it.is_whitespace() || "?%$.[]{}()|&!=<>@#,*:-+/\"".contains(it)
}

/// Splits a jsonpath; each word with the place where it begins.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    while lexer.skip()? {
        let start = lexer.at;
        found.push((lexer.token()?, start));
    }
    Ok(found)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Passes over blanks and comments; whether something is left.
    fn skip(&mut self) -> Result<bool> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']).len();
            let Some(comment) = self.rest().strip_prefix("/*") else {
                return Ok(!self.rest().is_empty());
            };
            let Some(end) = comment.find("*/") else {
                return Err(syntax("unexpected end of comment at end of jsonpath input"));
            };
            self.at += end + 4;
        }
    }

    fn token(&mut self) -> Result<Token> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        if first == '"' {
            return self.quoted().map(Token::Text);
        }
        let second = rest.chars().nth(1);
        let digit = |it: Option<char>| it.is_some_and(|it| it.is_ascii_digit());
        if first.is_ascii_digit() || first == '.' && digit(second) {
            return self.number();
        }
        if first == '$' && second == Some('"') {
            self.at += 1;
            return self.quoted().map(Token::Variable);
        }
        if first == '$' && second.is_some_and(|it| !ends_name(it)) {
            self.at += 1;
            return self.name().map(Token::Variable);
        }
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok(Token::Sign(sign));
        }
        if ends_name(first) {
            let message = format!("syntax error at or near \"{first}\" of jsonpath input");
            return Err(syntax(message));
        }
        self.name().map(Token::Word)
    }

    fn number(&mut self) -> Result<Token> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits =
            |from: usize| bytes[from..].iter().take_while(|it| it.is_ascii_digit()).count();
        let mut end = digits(0);
        let leading_zero = end > 1 && bytes[0] == b'0';
        if bytes.get(end) == Some(&b'.') {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let junk = rest[end..].chars().next().filter(|it| !ends_name(*it) && *it != '\\');
        if leading_zero || junk.is_some() {
            let shown = &rest[..end + junk.map_or(0, char::len_utf8)];
            let message = format!(
                "trailing junk after numeric literal at or near \"{}\" of jsonpath input",
                if leading_zero { &rest[..2] } else { shown }
            );
            return Err(syntax(message));
        }
        let number = rest[..end].to_owned();
        self.at += end;
        Ok(Token::Number(number))
    }

    fn name(&mut self) -> Result<String> {
        let mut out = String::new();
        while let Some(it) = self.rest().chars().next().filter(|it| !ends_name(*it)) {
            if it == '\\' {
                self.escape(&mut out)?;
            } else if self.rest().starts_with("/*") {
                break;
            } else {
                out.push(it);
                self.at += it.len_utf8();
            }
        }
        Ok(out)
    }

    fn quoted(&mut self) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.rest().chars().next() {
                None => return Err(syntax("unterminated quoted string at end of jsonpath input")),
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => self.escape(&mut out)?,
                Some(it) => {
                    out.push(it);
                    self.at += it.len_utf8();
                }
            }
        }
    }

    /// `\n`, `\x41`, `\u0041`, `\u{41}`; surrogates come in pairs.
    fn escape(&mut self, out: &mut String) -> Result<()> {
        self.at += 1;
        let Some(it) = self.rest().chars().next() else {
            return Err(syntax("unexpected end after backslash at end of jsonpath input"));
        };
        self.at += it.len_utf8();
        out.push(match it {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => {
                let code = self.hex(2)?;
                self.character(code)?
            }
            'u' => {
                let mut code = self.unicode()?;
                if (0xd800..0xdc00).contains(&code) && self.rest().starts_with("\\u") {
                    self.at += 2;
                    let low = self.unicode()?;
                    code = 0x10000 + ((code - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                }
                self.character(code)?
            }
            other => other,
        });
        Ok(())
    }

    fn character(&self, code: u32) -> Result<char> {
        let found = char::from_u32(code).filter(|it| *it != '\0');
        found.ok_or_else(|| {
            let message = "unsupported Unicode escape sequence";
            let error = SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, message);
            error.with_detail("\\u0000 cannot be converted to text.")
        })
    }

    fn unicode(&mut self) -> Result<u32> {
        let Some(inner) = self.rest().strip_prefix('{') else { return self.hex(4) };
        let end = inner.find('}').filter(|end| (1..=6).contains(end));
        let code = end.and_then(|end| u32::from_str_radix(&inner[..end], 16).ok());
        let (Some(end), Some(code)) = (end, code) else { return Err(invalid_escape()) };
        self.at += end + 2;
        Ok(code)
    }

    fn hex(&mut self, digits: usize) -> Result<u32> {
        let found = self.rest().get(..digits).and_then(|it| u32::from_str_radix(it, 16).ok());
        let code = found.ok_or_else(invalid_escape)?;
        self.at += digits;
        Ok(code)
    }
}

fn invalid_escape() -> SqlError {
    syntax("invalid escape sequence in jsonpath input")
}
