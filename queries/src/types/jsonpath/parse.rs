//! The grammar of jsonpath (`jsonpath_gram.y`).

use super::lex::{Token, syntax, tokens};
use super::{Binary, Method, Node, Path, Step};
use crate::error::{Result, SqlError};
use crate::types::regex::{self, Options};
use crate::types::text::invalid_syntax;
use crate::types::{Numeric, PgType, numeric};

/// How deep a jsonpath may be nested.
const DEPTH_MAX: usize = 100;

/// How many steps may follow one another.
const STEPS_MAX: usize = 500;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    /// How many filters are around.
    filters: usize,
    /// How many subscripts are around.
    subscripts: usize,
}

/// Parses a jsonpath.
pub(super) fn parse(text: &str) -> Result<Path> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(invalid_syntax(PgType::Jsonpath, text));
    }
    let mut parser = Parser { text, tokens, at: 0, depth: 0, filters: 0, subscripts: 0 };
    let strict = parser.take_word("strict");
    if !strict {
        parser.take_word("lax");
    }
    let root = parser.expression(0)?;
    if parser.at < parser.tokens.len() {
        return Err(parser.unexpected());
    }
    Ok(Path { strict, root })
}

fn is_predicate(node: &Node) -> bool {
    match node {
        Node::Binary(op, ..) => op.is_predicate(),
        Node::Not(_)
        | Node::IsUnknown(_)
        | Node::Exists(_)
        | Node::StartsWith(..)
        | Node::LikeRegex { .. } => true,
        _ => false,
    }
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|it| &it.0)
    }

    fn unexpected(&self) -> SqlError {
        let Some((token, start)) = self.tokens.get(self.at) else {
            return syntax("syntax error at end of jsonpath input");
        };
        let end = self.tokens.get(self.at + 1).map_or(self.text.len(), |it| it.1);
        let shown = match token {
            Token::Text(text) | Token::Word(text) | Token::Number(text) => text.as_str(),
            Token::Variable(_) | Token::Sign(_) => self.text[*start..end].trim_end(),
        };
        syntax(format!("syntax error at or near \"{shown}\" of jsonpath input"))
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(it)) if *it == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(it)) if it.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// The operator that comes next, and how tight it binds.
    fn operator(&self) -> Option<Binary> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        Some(match *sign {
            "||" => Binary::Or,
            "&&" => Binary::And,
            "==" => Binary::Equal,
            "!=" | "<>" => Binary::NotEqual,
            "<" => Binary::Less,
            "<=" => Binary::LessEqual,
            ">" => Binary::Greater,
            ">=" => Binary::GreaterEqual,
            "+" => Binary::Add,
            "-" => Binary::Subtract,
            "*" => Binary::Multiply,
            "/" => Binary::Divide,
            "%" => Binary::Modulo,
            _ => return None,
        })
    }

    /// An expression or a predicate whose operators bind tighter than given.
    fn expression(&mut self, least: u8) -> Result<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_complex());
        }
        let mut left = self.operand()?;
        let mut steps = 0;
        while let Some(op) = self.operator().filter(|op| op.priority() >= least) {
            // Comparisons do not chain; logic joins predicates, and the rest values.
            let logic = matches!(op, Binary::And | Binary::Or);
            if logic != is_predicate(&left) {
                return Err(self.unexpected());
            }
            steps += 1;
            if steps > STEPS_MAX {
                return Err(too_complex());
            }
            self.at += 1;
            let right = self.expression(op.priority() + 1)?;
            if logic != is_predicate(&right) {
                return Err(self.unexpected());
            }
            left = Node::Binary(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        if !is_predicate(&left) && least <= Binary::Equal.priority() {
            left = self.word_predicate(left)?;
            if is_predicate(&left) && least <= Binary::And.priority() && self.operator().is_some() {
                return self.more_logic(left, least);
            }
        }
        Ok(left)
    }

    /// What follows a predicate of words.
    fn more_logic(&mut self, mut left: Node, least: u8) -> Result<Node> {
        while let Some(op) = self.operator().filter(|op| op.priority() >= least) {
            if !matches!(op, Binary::And | Binary::Or) {
                return Err(self.unexpected());
            }
            self.at += 1;
            let right = self.expression(op.priority() + 1)?;
            if !is_predicate(&right) {
                return Err(self.unexpected());
            }
            left = Node::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    /// `starts with` and `like_regex`.
    fn word_predicate(&mut self, left: Node) -> Result<Node> {
        if self.take_word("starts") {
            if !self.take_word("with") {
                return Err(self.unexpected());
            }
            let initial = match self.peek().cloned() {
                Some(Token::Text(text)) => Node::Text(text),
                Some(Token::Variable(name)) => Node::Variable(name),
                _ => return Err(self.unexpected()),
            };
            self.at += 1;
            return Ok(Node::StartsWith(Box::new(left), Box::new(initial)));
        }
        if !self.take_word("like_regex") {
            return Ok(left);
        }
        let Some(Token::Text(pattern)) = self.peek().cloned() else {
            return Err(self.unexpected());
        };
        self.at += 1;
        let mut flags = String::new();
        if self.take_word("flag") {
            let Some(Token::Text(text)) = self.peek().cloned() else {
                return Err(self.unexpected());
            };
            self.at += 1;
            flags = text;
        }
        let options = options(&flags)?;
        regex::compile(&pattern, options)?;
        Ok(Node::LikeRegex { value: Box::new(left), pattern, flags, options })
    }

    fn operand(&mut self) -> Result<Node> {
        if self.take("!") {
            let delimited = matches!(self.peek(), Some(Token::Sign("("))) || self.is_word("exists");
            if !delimited {
                return Err(self.unexpected());
            }
            let inner = self.operand()?;
            if !is_predicate(&inner) {
                return Err(self.unexpected());
            }
            return Ok(Node::Not(Box::new(inner)));
        }
        for sign in ["+", "-"] {
            if self.take(sign) {
                let inner = self.expression(Binary::UNARY)?;
                let negative = sign == "-";
                if let Node::Number(value) = inner {
                    return Ok(Node::Number(if negative { value.neg() } else { value }));
                }
                return Ok(Node::Sign { negative, inner: Box::new(inner) });
            }
        }
        let primary = self.primary()?;
        if is_predicate(&primary) && self.take_word("is") {
            if !self.take_word("unknown") {
                return Err(self.unexpected());
            }
            return Ok(Node::IsUnknown(Box::new(primary)));
        }
        self.steps(primary)
    }

    fn primary(&mut self) -> Result<Node> {
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected()) };
        self.at += 1;
        Ok(match token {
            Token::Sign("$") => Node::Root,
            Token::Sign("@") => {
                if self.filters == 0 {
                    return Err(syntax("@ is not allowed in root expressions"));
                }
                Node::Current
            }
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                inner
            }
            Token::Text(text) => Node::Text(text),
            Token::Variable(name) => Node::Variable(name),
            Token::Number(digits) => Node::Number(number(&digits)?),
            Token::Word(word) => match word.as_str() {
                "true" => Node::Boolean(true),
                "false" => Node::Boolean(false),
                "null" => Node::Null,
                _ if word.eq_ignore_ascii_case("last") => {
                    if self.subscripts == 0 {
                        return Err(syntax("LAST is allowed only in array subscripts"));
                    }
                    Node::Last
                }
                _ if word.eq_ignore_ascii_case("exists") => {
                    self.expect("(")?;
                    let inner = self.expression(0)?;
                    self.expect(")")?;
                    Node::Exists(Box::new(inner))
                }
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected());
                }
            },
            Token::Sign(_) => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        })
    }

    /// What follows an operand: `.key`, `[0]`, `?(..)`, `.size()`.
    fn steps(&mut self, first: Node) -> Result<Node> {
        let mut steps = Vec::new();
        loop {
            let step = if self.take(".") {
                self.member()?
            } else if self.take("[") {
                self.subscript()?
            } else if self.take("?") {
                self.expect("(")?;
                self.filters += 1;
                let condition = self.expression(0)?;
                self.filters -= 1;
                if !is_predicate(&condition) {
                    return Err(self.unexpected());
                }
                self.expect(")")?;
                Step::Filter(Box::new(condition))
            } else {
                break;
            };
            steps.push(step);
            if steps.len() > STEPS_MAX {
                return Err(too_complex());
            }
        }
        Ok(if steps.is_empty() { first } else { Node::Steps(Box::new(first), steps) })
    }

    fn member(&mut self) -> Result<Step> {
        if self.take("**") {
            return self.any_level();
        }
        if self.take("*") {
            return Ok(Step::AnyKey);
        }
        match self.peek().cloned() {
            Some(Token::Text(key)) => {
                self.at += 1;
                Ok(Step::Key(key))
            }
            Some(Token::Word(word)) => {
                self.at += 1;
                if !self.take("(") {
                    return Ok(Step::Key(word));
                }
                let Some(method) = Method::named(&word) else {
                    if word.eq_ignore_ascii_case("datetime") {
                        return Err(SqlError::unsupported(
                            "the jsonpath item method .datetime() is not supported",
                        ));
                    }
                    self.at -= 1;
                    return Err(self.unexpected());
                };
                self.expect(")")?;
                Ok(Step::Method(method))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `**`, `**{2}`, `**{2 to last}`.
    fn any_level(&mut self) -> Result<Step> {
        if !self.take("{") {
            return Ok(Step::AnyLevel { first: Some(0), last: None });
        }
        let first = self.level()?;
        let last = if self.take_word("to") { self.level()? } else { first };
        self.expect("}")?;
        Ok(Step::AnyLevel { first, last })
    }

    /// A level; none is `last`.
    fn level(&mut self) -> Result<Option<u32>> {
        if self.take_word("last") {
            return Ok(None);
        }
        match self.peek() {
            Some(Token::Number(digits)) if digits.bytes().all(|it| it.is_ascii_digit()) => {
                let level = digits.parse().unwrap_or(u32::MAX - 1);
                self.at += 1;
                Ok(Some(level))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn subscript(&mut self) -> Result<Step> {
        if self.take("*") {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        let mut ranges = Vec::new();
        self.subscripts += 1;
        loop {
            let from = self.value()?;
            let to = if self.take_word("to") { Some(self.value()?) } else { None };
            ranges.push((from, to));
            if !self.take(",") {
                break;
            }
        }
        self.subscripts -= 1;
        self.expect("]")?;
        Ok(Step::Subscript(ranges))
    }

    fn value(&mut self) -> Result<Node> {
        let node = self.expression(Binary::Add.priority())?;
        if is_predicate(&node) { Err(self.unexpected()) } else { Ok(node) }
    }
}

fn too_complex() -> SqlError {
    SqlError::new(crate::error::SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
}

fn number(digits: &str) -> Result<Numeric> {
    numeric::read(digits)
}

/// The options of `like_regex`.
fn options(flags: &str) -> Result<Options> {
    if let Some(other) = flags.chars().find(|flag| !"ismxq".contains(*flag)) {
        return Err(syntax("invalid input syntax for type jsonpath").with_detail(format!(
            "Unrecognized flag character \"{other}\" in LIKE_REGEX predicate."
        )));
    }
    if flags.contains('x') && !flags.contains('q') {
        return Err(SqlError::unsupported(
            "XQuery \"x\" flag (expanded regular expressions) is not implemented",
        ));
    }
    Ok(Options::of_xquery(flags))
}
