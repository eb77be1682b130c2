//! The grammar of PostgreSQL's advanced regular expressions (`regc_lex.c`, `regcomp.c`).

use std::iter::Peekable;
use std::str::Chars;

use super::Options;
use super::class::{Class, Set};
use crate::error::{Result, SqlError, SqlState};

/// How deep parentheses may be nested.
const DEPTH_MAX: usize = 100;

/// The largest count in braces.
const COUNT_MAX: u32 = 255;

/// The error for a pattern that is none.
pub(super) fn invalid(reason: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {reason}"),
    )
}

/// A condition on a place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assertion {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordBoundary,
    NotWordBoundary,
}

/// A quantifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantifier {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    /// Whether it prefers fewer; none for `{m}`, which has no choice.
    pub(super) shorter: Option<bool>,
}

/// A regular expression.
#[derive(Clone, Debug)]
pub(super) enum Ast {
    Set(Set),
    Assert(Assertion),
    Look {
        ahead: bool,
        negated: bool,
        inner: Box<Ast>,
    },
    /// A back reference to a group.
    Back(usize),
    /// In parentheses; with a number if it is a group.
    Group(Box<Ast>, Option<usize>),
    Repeat(Box<Ast>, Quantifier),
    Concat(Vec<Ast>),
    Alternate(Vec<Ast>),
}

/// A pattern, parsed.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) ast: Ast,
    /// How many groups there are.
    pub(super) groups: usize,
    /// What the pattern's start changed the options to.
    pub(super) options: Options,
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    options: Options,
    groups: usize,
    /// Which groups are closed, so that they can be referred to.
    closed: Vec<bool>,
    depth: usize,
    /// Inside of look-around, where groups do not count.
    looking: usize,
}

/// Parses a pattern.
pub(super) fn parse(pattern: &str, mut options: Options) -> Result<Parsed> {
    let mut rest = pattern;
    if let Some(literal) = rest.strip_prefix("***=") {
        (options.literal, rest) = (true, literal);
    } else if let Some(advanced) = rest.strip_prefix("***:") {
        (options.literal, rest) = (false, advanced);
    } else if rest.starts_with("***") {
        return Err(invalid("quantifier operand invalid"));
    }
    if !options.literal {
        rest = embedded(rest, &mut options)?;
    }
    if options.literal {
        let atom = |it| Ast::Set(Set::one(it, options.ignore_case));
        let ast = Ast::Concat(rest.chars().map(atom).collect());
        return Ok(Parsed { ast, groups: 0, options });
    }
    let mut parser = Parser {
        rest: rest.chars().peekable(),
        options,
        groups: 0,
        closed: vec![true],
        depth: 0,
        looking: 0,
    };
    let ast = parser.alternatives()?;
    if parser.rest.next().is_some() {
        return Err(invalid("parentheses () not balanced"));
    }
    Ok(Parsed { ast, groups: parser.groups, options })
}

/// Takes options embedded at the start: `(?i)`.
fn embedded<'a>(pattern: &'a str, options: &mut Options) -> Result<&'a str> {
    let Some(inner) = pattern.strip_prefix("(?") else { return Ok(pattern) };
    let letters = inner.len() - inner.trim_start_matches(|it: char| it.is_ascii_alphabetic()).len();
    if letters == 0 {
        return Ok(pattern);
    }
    let (letters, rest) = inner.split_at(letters);
    for letter in letters.chars() {
        options.letter(letter).map_err(|error| match error.state {
            SqlState::FEATURE_NOT_SUPPORTED => error,
            _ => invalid("invalid embedded option"),
        })?;
    }
    rest.strip_prefix(')').ok_or_else(|| invalid("invalid embedded option"))
}

impl Parser<'_> {
    /// Passes over what is no part of the expression: comments, and blanks in expanded form.
    fn skip(&mut self) {
        loop {
            match self.rest.peek() {
                Some(it) if self.options.expanded && it.is_ascii_whitespace() => {
                    self.rest.next();
                }
                Some('#') if self.options.expanded => {
                    while self.rest.next_if(|it| *it != '\n').is_some() {}
                }
                Some('(') => {
                    let mut ahead = self.rest.clone();
                    ahead.next();
                    if ahead.next() != Some('?') || ahead.next() != Some('#') {
                        return;
                    }
                    while self.rest.next().is_some_and(|it| it != ')') {}
                }
                _ => return,
            }
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip();
        self.rest.peek().copied()
    }

    fn alternatives(&mut self) -> Result<Ast> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        let mut branches = vec![self.branch()?];
        while self.peek() == Some('|') {
            self.rest.next();
            branches.push(self.branch()?);
        }
        self.depth -= 1;
        Ok(match branches.pop() {
            Some(only) if branches.is_empty() => only,
            last => {
                branches.extend(last);
                Ast::Alternate(branches)
            }
        })
    }

    fn branch(&mut self) -> Result<Ast> {
        let mut atoms = Vec::new();
        while let Some(next) = self.peek() {
            if next == '|' || next == ')' {
                if next == ')' && self.depth == 1 {
                    return Err(invalid("parentheses () not balanced"));
                }
                break;
            }
            self.rest.next();
            let atom = self.atom(next)?;
            let constraint = matches!(atom, Ast::Assert(_) | Ast::Look { .. });
            let quantifier = if constraint { None } else { self.quantifier()? };
            atoms.push(match quantifier {
                Some(quantifier) => Ast::Repeat(Box::new(atom), quantifier),
                None => atom,
            });
        }
        Ok(Ast::Concat(atoms))
    }

    fn one(&self, it: char) -> Ast {
        Ast::Set(Set::one(it, self.options.ignore_case))
    }

    fn atom(&mut self, first: char) -> Result<Ast> {
        Ok(match first {
            '\\' => self.escape()?,
            '[' => self.bracket()?,
            '(' => self.group()?,
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => {
                self.bounds()?;
                return Err(invalid("quantifier operand invalid"));
            }
            '^' if self.options.lines => Ast::Assert(Assertion::LineStart),
            '^' => Ast::Assert(Assertion::TextStart),
            '$' if self.options.lines => Ast::Assert(Assertion::LineEnd),
            '$' => Ast::Assert(Assertion::TextEnd),
            '.' if self.options.stop_at_newline => Ast::Set(Set::not_newline()),
            '.' => Ast::Set(Set { negated: true, ..Set::default() }),
            it => self.one(it),
        })
    }

    fn quantifier(&mut self) -> Result<Option<Quantifier>> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                let mut ahead = self.rest.clone();
                ahead.next();
                if !ahead.peek().is_some_and(char::is_ascii_digit) {
                    return Ok(None);
                }
                self.rest.next();
                let bounds = self.bounds()?;
                return self.checked(bounds).map(Some);
            }
            _ => return Ok(None),
        };
        self.rest.next();
        let shorter = self.rest.next_if_eq(&'?').is_some();
        self.checked(Quantifier { min, max, shorter: Some(shorter) }).map(Some)
    }

    /// A quantifier cannot follow another.
    fn checked(&mut self, quantifier: Quantifier) -> Result<Quantifier> {
        let another = match self.peek() {
            Some('*' | '+' | '?') => true,
            Some('{') => {
                let mut ahead = self.rest.clone();
                ahead.next();
                ahead.peek().is_some_and(char::is_ascii_digit)
            }
            _ => false,
        };
        if another { Err(invalid("quantifier operand invalid")) } else { Ok(quantifier) }
    }

    /// `m}`, `m,}` or `m,n}`, and a question mark behind.
    fn bounds(&mut self) -> Result<Quantifier> {
        let min = self.count()?.unwrap_or(0);
        let comma = self.rest.next_if_eq(&',').is_some();
        let max = if comma { self.count()? } else { Some(min) };
        match self.rest.next() {
            Some('}') => {}
            Some(_) => return Err(invalid("invalid repetition count(s)")),
            None => return Err(invalid("braces {} not balanced")),
        }
        if max.is_some_and(|max| max < min) {
            return Err(invalid("invalid repetition count(s)"));
        }
        let shorter = self.rest.next_if_eq(&'?').is_some();
        // `{m}` has no preference of its own, `{m,m}` has.
        Ok(Quantifier { min, max, shorter: comma.then_some(shorter) })
    }

    fn count(&mut self) -> Result<Option<u32>> {
        let mut found = None;
        while let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(10)) {
            self.rest.next();
            let value = found.unwrap_or(0) * 10 + digit;
            if value > COUNT_MAX {
                return Err(invalid("invalid repetition count(s)"));
            }
            found = Some(value);
        }
        Ok(found)
    }

    fn group(&mut self) -> Result<Ast> {
        let mut look = None;
        let mut counts = self.looking == 0;
        if self.rest.next_if_eq(&'?').is_some() {
            counts = false;
            let mut next = || self.rest.next();
            look = match next() {
                Some(':') => None,
                Some('=') => Some((true, false)),
                Some('!') => Some((true, true)),
                Some('<') => match next() {
                    Some('=') => Some((false, false)),
                    Some('!') => Some((false, true)),
                    _ => return Err(invalid("quantifier operand invalid")),
                },
                _ => return Err(invalid("quantifier operand invalid")),
            };
        }
        let number = counts.then(|| {
            self.groups += 1;
            self.closed.push(false);
            self.groups
        });
        self.looking += usize::from(look.is_some());
        let inner = Box::new(self.alternatives()?);
        self.looking -= usize::from(look.is_some());
        if self.rest.next() != Some(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        if let Some(number) = number {
            self.closed[number] = true;
        }
        Ok(match look {
            Some((ahead, negated)) => Ast::Look { ahead, negated, inner },
            None => Ast::Group(inner, number),
        })
    }

    fn escape(&mut self) -> Result<Ast> {
        let Some(character) = self.rest.next() else {
            return Err(invalid("invalid escape \\ sequence"));
        };
        if let Some((class, holds)) = shorthand(character) {
            return Ok(Ast::Set(Set::class(class, holds)));
        }
        Ok(match character {
            'm' => Ast::Assert(Assertion::WordStart),
            'M' => Ast::Assert(Assertion::WordEnd),
            'y' => Ast::Assert(Assertion::WordBoundary),
            'Y' => Ast::Assert(Assertion::NotWordBoundary),
            'A' => Ast::Assert(Assertion::TextStart),
            'Z' => Ast::Assert(Assertion::TextEnd),
            '1'..='9' => return self.back_reference(character),
            it => {
                let literal = self.character(it)?;
                self.one(literal)
            }
        })
    }

    /// `\1`; of several digits it is a reference if there are so many groups, and else a character in octal.
    fn back_reference(&mut self, first: char) -> Result<Ast> {
        let mut ahead = self.rest.clone();
        let mut number = first.to_digit(10).unwrap_or(0);
        let mut digits = 1;
        while let Some(digit) = ahead.peek().and_then(|it| it.to_digit(10)) {
            ahead.next();
            digits += 1;
            number = number.saturating_mul(10).saturating_add(digit);
        }
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        if digits > 1 && number > self.groups {
            let literal = self.octal(first)?;
            return Ok(self.one(literal));
        }
        self.rest = ahead;
        if self.looking > 0 || !self.closed.get(number).copied().unwrap_or(false) {
            return Err(invalid("invalid backreference number"));
        }
        Ok(Ast::Back(number))
    }

    /// Up to three octal digits, the first of which has been read.
    fn octal(&mut self, first: char) -> Result<char> {
        let escape = || invalid("invalid escape \\ sequence");
        let mut value = first.to_digit(8).ok_or_else(escape)?;
        for _ in 0..2 {
            let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(8)) else { break };
            if value * 8 + digit > 0xff {
                break;
            }
            value = value * 8 + digit;
            self.rest.next();
        }
        char::from_u32(value).ok_or_else(escape)
    }

    /// The character that an escape stands for.
    fn character(&mut self, escape: char) -> Result<char> {
        let failed = || invalid("invalid escape \\ sequence");
        let mut code = |digits: usize| -> Result<char> {
            let mut value = 0;
            for _ in 0..digits {
                let digit = self.rest.next().and_then(|it| it.to_digit(16));
                value = value * 16 + digit.ok_or_else(failed)?;
            }
            char::from_u32(value).ok_or_else(failed)
        };
        Ok(match escape {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'c' => {
                let control = self.rest.next().ok_or_else(failed)?;
                char::from_u32(u32::from(control) & 0x1f).ok_or_else(failed)?
            }
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'u' => code(4)?,
            'U' => code(8)?,
            'x' => {
                let first = self.rest.next().and_then(|it| it.to_digit(16));
                let mut value = first.ok_or_else(failed)?;
                while let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(16)) {
                    value = value
                        .checked_mul(16)
                        .and_then(|it| it.checked_add(digit))
                        .ok_or_else(failed)?;
                    self.rest.next();
                }
                char::from_u32(value).ok_or_else(failed)?
            }
            '0' => self.octal('0')?,
            it if it.is_ascii_alphanumeric() => return Err(failed()),
            it => it,
        })
    }

    /// `[…]`.
    fn bracket(&mut self) -> Result<Ast> {
        let ahead: String = self.rest.clone().take(6).collect();
        for (word, assertion) in [("[:<:]]", Assertion::WordStart), ("[:>:]]", Assertion::WordEnd)]
        {
            if ahead == word {
                self.rest.nth(5);
                return Ok(Ast::Assert(assertion));
            }
        }
        let mut set = Set { ignore_case: self.options.ignore_case, ..Set::default() };
        set.negated = self.rest.next_if_eq(&'^').is_some();
        let mut first = true;
        loop {
            match self.element(first)? {
                Element::End => break,
                Element::Class(class, holds) => set.classes.push((class, holds)),
                Element::Hyphen => return Err(invalid("invalid character range")),
                Element::Character(low) => {
                    let high = self.range_end(low)?;
                    if high < low {
                        return Err(invalid("invalid character range"));
                    }
                    set.ranges.push((low, high));
                }
            }
            first = false;
        }
        if set.negated && self.options.stop_at_newline {
            set.ranges.push(('\n', '\n'));
        }
        if set.ignore_case {
            for (class, _) in &mut set.classes {
                if matches!(class, Class::Upper | Class::Lower) {
                    *class = Class::Alpha;
                }
            }
        }
        Ok(Ast::Set(set))
    }

    /// The end of a range that may follow its first character.
    fn range_end(&mut self, low: char) -> Result<char> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || ahead.peek() == Some(&']') {
            return Ok(low);
        }
        self.rest = ahead;
        match self.element(false)? {
            Element::Character(high) => Ok(high),
            Element::Hyphen => Ok('-'),
            _ => Err(invalid("invalid character range")),
        }
    }

    fn element(&mut self, first: bool) -> Result<Element> {
        let next = self.rest.next().ok_or_else(|| invalid("brackets [] not balanced"))?;
        Ok(match next {
            ']' if !first => Element::End,
            '-' if !first && self.rest.peek() != Some(&']') => Element::Hyphen,
            '[' if matches!(self.rest.peek(), Some(':' | '.' | '=')) => self.named()?,
            '\\' => {
                let escape =
                    self.rest.next().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                match shorthand(escape) {
                    Some((class, holds)) => Element::Class(class, holds),
                    None if matches!(escape, '1'..='9') => Element::Character(self.octal(escape)?),
                    None => Element::Character(self.character(escape)?),
                }
            }
            it => Element::Character(it),
        })
    }

    /// `[:alpha:]`, `[.-.]`, `[=a=]`, after the first bracket.
    fn named(&mut self) -> Result<Element> {
        let kind = self.rest.next().unwrap_or(':');
        let mut name = String::new();
        loop {
            let character = self.rest.next().ok_or_else(|| invalid("brackets [] not balanced"))?;
            if character == kind && self.rest.next_if_eq(&']').is_some() {
                break;
            }
            name.push(character);
        }
        if kind == ':' {
            let class = Class::named(&name);
            return class
                .map(|class| Element::Class(class, true))
                .ok_or_else(|| invalid("invalid character class"));
        }
        let mut characters = name.chars();
        match (characters.next(), characters.next()) {
            (Some(one), None) => Ok(Element::Character(one)),
            _ => Err(invalid("invalid collating element")),
        }
    }
}

/// A part of a bracket expression.
enum Element {
    End,
    Hyphen,
    Character(char),
    Class(Class, bool),
}

fn shorthand(escape: char) -> Option<(Class, bool)> {
    Some(match escape {
        'd' => (Class::Digit, true),
        'D' => (Class::Digit, false),
        'w' => (Class::Word, true),
        'W' => (Class::Word, false),
        's' => (Class::Space, true),
        'S' => (Class::Space, false),
        _ => return None,
    })
}
