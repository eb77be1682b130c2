//! jsonpath: SQL's language of paths through JSON.
//!
//! A value of the type is kept as its text in PostgreSQL's form, and parsed again where it is used, with a small cache
//! of the thread ([`path`]). [`parse`] reads it, [`write`](mod@write) gives that form, and [`eval`] walks a document.

pub(crate) mod eval;
mod lex;
mod parse;
mod write;

use std::cell::RefCell;
use std::rc::Rc;

use super::Numeric;
use super::regex::Options;
use crate::error::Result;

/// The parsed paths that a thread keeps.
const CACHE_SIZE: usize = 32;

thread_local! {
    static CACHE: RefCell<Vec<(String, Rc<Path>)>> = const { RefCell::new(Vec::new()) };
}

/// A jsonpath.
#[derive(Debug)]
pub(crate) struct Path {
    /// Whether what is missing is an error.
    strict: bool,
    root: Node,
}

/// An expression or a predicate.
#[derive(Debug)]
enum Node {
    Root,
    Current,
    Last,
    Null,
    Boolean(bool),
    Number(Numeric),
    Text(String),
    Variable(String),
    Steps(Box<Node>, Vec<Step>),
    Binary(Binary, Box<Node>, Box<Node>),
    Sign { negative: bool, inner: Box<Node> },
    Not(Box<Node>),
    IsUnknown(Box<Node>),
    Exists(Box<Node>),
    StartsWith(Box<Node>, Box<Node>),
    LikeRegex { value: Box<Node>, pattern: String, flags: String, options: Options },
}

/// A step from a value to others.
#[derive(Debug)]
enum Step {
    Key(String),
    AnyKey,
    AnyElement,
    Subscript(Vec<(Node, Option<Node>)>),
    /// From one level below to another; none is the last one.
    AnyLevel {
        first: Option<u32>,
        last: Option<u32>,
    },
    Filter(Box<Node>),
    Method(Method),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Type,
    Size,
    Double,
    Ceiling,
    Floor,
    Abs,
    KeyValue,
}

impl Method {
    fn named(name: &str) -> Option<Self> {
        [
            Self::Type,
            Self::Size,
            Self::Double,
            Self::Ceiling,
            Self::Floor,
            Self::Abs,
            Self::KeyValue,
        ]
        .into_iter()
        .find(|it| it.name().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Size => "size",
            Self::Double => "double",
            Self::Ceiling => "ceiling",
            Self::Floor => "floor",
            Self::Abs => "abs",
            Self::KeyValue => "keyvalue",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Binary {
    /// The priority of a sign before a value.
    const UNARY: u8 = 5;
    /// The priority of what has no operator.
    const NONE: u8 = 6;

    fn priority(self) -> u8 {
        match self {
            Self::Or => 0,
            Self::And => 1,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual => 2,
            Self::Add | Self::Subtract => 3,
            Self::Multiply | Self::Divide | Self::Modulo => 4,
        }
    }

    fn is_predicate(self) -> bool {
        self.priority() <= 2
    }

    fn text(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

/// Reads a jsonpath: its text in PostgreSQL's form.
pub(crate) fn read(text: &str) -> Result<String> {
    Ok(write::write(&parse::parse(text)?))
}

/// The path that a text in PostgreSQL's form means.
pub(crate) fn path(text: &str) -> Result<Rc<Path>> {
    let found = CACHE
        .with_borrow(|cache| cache.iter().rev().find(|it| it.0 == text).map(|it| Rc::clone(&it.1)));
    if let Some(found) = found {
        return Ok(found);
    }
    let parsed = Rc::new(parse::parse(text)?);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() == CACHE_SIZE {
            cache.remove(0);
        }
        cache.push((text.to_owned(), Rc::clone(&parsed)));
    });
    Ok(parsed)
}
