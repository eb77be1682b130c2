//! PostgreSQL's regular expressions ("advanced", `re_syntax`), carried out by the `regex` crate.
//!
//! A pattern is translated once and kept in a small cache of the thread. What the crate does not have (back
//! references, look-around) is refused with 0A000. Among alternatives that match at one place the crate prefers the
//! first where PostgreSQL takes the longest; whether a text matches at all is the same.

use std::cell::RefCell;
use std::iter::Peekable;
use std::rc::Rc;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

use crate::error::{Result, SqlError, SqlState};

/// The compiled patterns that a thread keeps.
const CACHE_SIZE: usize = 64;

/// The bytes that a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 10 << 20;

thread_local! {
    static CACHE: RefCell<Vec<(String, Options, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of its own")]
pub(crate) struct Options {
    /// `i`.
    ignore_case: bool,
    /// `g`: every match, not only the first.
    pub(crate) global: bool,
    /// `n`, `p`: `.` does not match a line feed.
    stop_at_newline: bool,
    /// `n`, `w`: `^` and `$` match at lines.
    lines: bool,
    /// `x`.
    expanded: bool,
    /// `q`.
    literal: bool,
}

impl Options {
    /// Letters alike in upper and lower case, or not.
    pub(crate) fn with_case(ignore_case: bool) -> Self {
        Self { ignore_case, ..Self::default() }
    }

    /// Reads option letters.
    pub(crate) fn parse(letters: &str) -> Result<Self> {
        let mut options = Self::default();
        for letter in letters.chars() {
            match letter {
                'g' => options.global = true,
                other => options.letter(other)?,
            }
        }
        Ok(options)
    }

    fn letter(&mut self, letter: char) -> Result<()> {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.stop_at_newline, self.lines) = (true, true),
            'p' => (self.stop_at_newline, self.lines) = (true, false),
            'w' => (self.stop_at_newline, self.lines) = (false, true),
            's' => (self.stop_at_newline, self.lines) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' | 'e' => {}
            _ => {
                let message = format!("invalid regular expression option: \"{letter}\"");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        }
        Ok(())
    }
}

fn invalid(reason: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {reason}"),
    )
}

/// A compiled pattern.
pub(crate) fn compile(pattern: &str, options: Options) -> Result<Rc<Regex>> {
    let found = CACHE.with_borrow(|cache| {
        let mut entries = cache.iter().rev();
        entries
            .find(|(text, with, _)| text == pattern && *with == options)
            .map(|(.., regex)| Rc::clone(regex))
    });
    if let Some(found) = found {
        return Ok(found);
    }
    let regex = Rc::new(build(pattern, options)?);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() == CACHE_SIZE {
            cache.remove(0);
        }
        cache.push((pattern.to_owned(), options, Rc::clone(&regex)));
    });
    Ok(regex)
}

fn build(pattern: &str, mut options: Options) -> Result<Regex> {
    let mut rest = pattern;
    if let Some(literal) = rest.strip_prefix("***=") {
        (options.literal, rest) = (true, literal);
    } else if let Some(advanced) = rest.strip_prefix("***:") {
        rest = advanced;
    }
    let translated = if options.literal {
        regex::escape(rest)
    } else {
        translate(embedded(rest, &mut options)?, options)?
    };
    RegexBuilder::new(&translated)
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.stop_at_newline)
        .multi_line(options.lines)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
            _ => invalid("invalid regexp pattern"),
        })
}

/// Takes options embedded at the start: `(?i)`.
fn embedded<'a>(pattern: &'a str, options: &mut Options) -> Result<&'a str> {
    let Some((letters, rest)) = pattern.strip_prefix("(?").and_then(|inner| inner.split_once(')'))
    else {
        return Ok(pattern);
    };
    if letters.is_empty() || !letters.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(pattern);
    }
    for letter in letters.chars() {
        options.letter(letter).map_err(|_| invalid("invalid embedded option"))?;
    }
    Ok(rest)
}

/// Rewrites a pattern in the syntax of the crate.
struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    options: Options,
    open: usize,
    /// Whether something stands here that a quantifier can follow.
    operand: bool,
}

fn translate(pattern: &str, options: Options) -> Result<String> {
    let (rest, out) = (pattern.chars().peekable(), String::new());
    let mut translator = Translator { rest, out, options, open: 0, operand: false };
    while let Some(character) = translator.rest.next() {
        translator.step(character)?;
    }
    if translator.open > 0 {
        return Err(invalid("parentheses () not balanced"));
    }
    Ok(translator.out)
}

impl Translator<'_> {
    fn literal(&mut self, character: char) {
        let mut buffer = [0; 4];
        self.out.push_str(&regex::escape(character.encode_utf8(&mut buffer)));
        self.operand = true;
    }

    fn step(&mut self, character: char) -> Result<()> {
        match character {
            '\\' => self.escape()?,
            '[' => self.bracket()?,
            '(' => self.group()?,
            ')' => {
                self.open = self
                    .open
                    .checked_sub(1)
                    .ok_or_else(|| invalid("parentheses () not balanced"))?;
                self.out.push(')');
                self.operand = true;
            }
            '*' | '+' | '?' => self.quantifier(&character.to_string())?,
            '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => self.counted()?,
            '|' => {
                self.out.push('|');
                self.operand = false;
            }
            '^' => {
                self.out.push('^');
                self.operand = false;
            }
            '$' => {
                self.out.push('$');
                self.operand = false;
            }
            '.' => {
                self.out.push('.');
                self.operand = true;
            }
            '#' if self.options.expanded => while self.rest.next().is_some_and(|it| it != '\n') {},
            it if self.options.expanded && it.is_ascii_whitespace() => {}
            it => self.literal(it),
        }
        Ok(())
    }

    fn quantifier(&mut self, text: &str) -> Result<()> {
        if !self.operand {
            return Err(invalid("quantifier operand invalid"));
        }
        self.out.push_str(text);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        // `(?:` … is not needed: a second quantifier is an error in PostgreSQL too.
        self.operand = false;
        Ok(())
    }

    fn counted(&mut self) -> Result<()> {
        let mut bounds = String::new();
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(it) if it.is_ascii_digit() || it == ',' => bounds.push(it),
                _ => return Err(invalid("invalid repetition count(s)")),
            }
        }
        let count = |text: &str| text.parse::<u32>().ok().filter(|it| *it <= 255);
        let valid = match bounds.split_once(',') {
            None => count(&bounds).is_some(),
            Some((low, "")) => count(low).is_some(),
            Some((low, high)) => {
                matches!((count(low), count(high)), (Some(low), Some(high)) if low <= high)
            }
        };
        if !valid {
            return Err(invalid("invalid repetition count(s)"));
        }
        self.quantifier(&format!("{{{bounds}}}"))
    }

    fn group(&mut self) -> Result<()> {
        self.open += 1;
        self.operand = false;
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        match self.rest.next() {
            Some(':') => {
                self.out.push_str("?:");
                Ok(())
            }
            Some('=' | '!' | '<') => {
                Err(SqlError::unsupported("look-around in regular expressions is not offered"))
            }
            _ => Err(invalid("quantifier operand invalid")),
        }
    }

    fn escape(&mut self) -> Result<()> {
        let Some(character) = self.rest.next() else {
            return Err(invalid("invalid escape \\ sequence"));
        };
        let class = |out: &mut String, text: &str| out.push_str(text);
        self.operand = true;
        match character {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                self.out.push('\\');
                self.out.push(character);
            }
            'm' | 'M' | 'y' | 'Y' | 'A' | 'Z' => {
                let assertion = match character {
                    'm' => r"\b{start}",
                    'M' => r"\b{end}",
                    'y' => r"\b",
                    'Y' => r"\B",
                    'A' => r"\A",
                    _ => r"\z",
                };
                class(&mut self.out, assertion);
                self.operand = false;
            }
            '1'..='9' => {
                return Err(SqlError::unsupported(
                    "back references in regular expressions are not offered",
                ));
            }
            it => {
                let literal = self.character(it)?;
                self.literal(literal);
            }
        }
        Ok(())
    }

    /// The character that an escape stands for.
    fn character(&mut self, escape: char) -> Result<char> {
        let mut code = |digits: usize| -> Result<char> {
            let mut value = 0;
            for _ in 0..digits {
                let digit = self.rest.next().and_then(|it| it.to_digit(16));
                value = value * 16 + digit.ok_or_else(|| invalid("invalid escape \\ sequence"))?;
            }
            char::from_u32(value).ok_or_else(|| invalid("invalid escape \\ sequence"))
        };
        Ok(match escape {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0' => '\0',
            'u' => code(4)?,
            'U' => code(8)?,
            'x' => {
                let mut value = 0_u32;
                while let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(16)) {
                    value = value
                        .checked_mul(16)
                        .and_then(|it| it.checked_add(digit))
                        .ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                    self.rest.next();
                }
                char::from_u32(value).ok_or_else(|| invalid("invalid escape \\ sequence"))?
            }
            it if it.is_ascii_alphanumeric() => return Err(invalid("invalid escape \\ sequence")),
            it => it,
        })
    }

    /// `[…]`.
    fn bracket(&mut self) -> Result<()> {
        let unbalanced = || invalid("brackets [] not balanced");
        let ahead: String = self.rest.clone().take(6).collect();
        for (word, assertion) in [("[:<:]]", r"\b{start}"), ("[:>:]]", r"\b{end}")] {
            if ahead == word {
                self.rest.nth(5);
                self.out.push_str(assertion);
                return Ok(());
            }
        }
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
            if self.options.stop_at_newline {
                self.out.push_str("\\n");
            }
        }
        let mut first = true;
        loop {
            match self.rest.next().ok_or_else(unbalanced)? {
                ']' if !first => break,
                '[' if matches!(self.rest.peek(), Some(':' | '.' | '=')) => self.named_class()?,
                '\\' => {
                    let escape =
                        self.rest.next().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                    if matches!(escape, 'd' | 'w' | 's') {
                        self.out.push('\\');
                        self.out.push(escape);
                    } else {
                        let literal = self.character(escape)?;
                        self.class_literal(literal);
                    }
                }
                '-' if !first && self.rest.peek() != Some(&']') => self.out.push('-'),
                it => self.class_literal(it),
            }
            first = false;
        }
        self.out.push(']');
        self.operand = true;
        Ok(())
    }

    fn class_literal(&mut self, character: char) {
        if matches!(character, '[' | ']' | '\\' | '^' | '-' | '&' | '~' | '#')
            || character.is_ascii_whitespace()
        {
            let mut buffer = [0; 4];
            self.out.push_str(&regex::escape(character.encode_utf8(&mut buffer)));
            if character == '^' && !self.out.ends_with("\\^") {
                self.out.push('^');
            }
        } else {
            self.out.push(character);
        }
    }

    /// `[:alpha:]`, `[.-.]`, `[=a=]`, after the first bracket.
    fn named_class(&mut self) -> Result<()> {
        let kind = self.rest.next().unwrap_or(':');
        let mut name = String::new();
        loop {
            let character = self.rest.next().ok_or_else(|| invalid("brackets [] not balanced"))?;
            if character == kind && self.rest.peek() == Some(&']') {
                self.rest.next();
                break;
            }
            name.push(character);
        }
        if kind != ':' {
            let mut characters = name.chars();
            return match (characters.next(), characters.next()) {
                (Some(one), None) => {
                    self.class_literal(one);
                    Ok(())
                }
                _ => Err(invalid("invalid collating element")),
            };
        }
        let class = match name.as_str() {
            "alpha" => r"\p{Alphabetic}",
            "digit" => r"\d",
            "alnum" => r"\p{Alphabetic}\d",
            "upper" => r"\p{Uppercase}",
            "lower" => r"\p{Lowercase}",
            "space" => r"\s",
            "punct" => r"\p{Punctuation}\p{Symbol}",
            "blank" => r" \t",
            "cntrl" => r"\p{Cc}",
            "xdigit" => "0-9a-fA-F",
            "graph" => r"\x21-\x7e",
            "print" => r"\x20-\x7e",
            "word" => r"\w",
            "ascii" => r"\x00-\x7f",
            _ => return Err(invalid("invalid character class")),
        };
        self.out.push_str(class);
        Ok(())
    }
}
