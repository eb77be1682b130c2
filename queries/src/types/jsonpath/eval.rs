//! Walking a document along a path (`jsonpath_exec.c`).
//!
//! In lax mode what is missing is nothing, and arrays are taken apart or made where a step needs it; in strict mode
//! both are errors. A predicate turns errors of its operands into "unknown".

use std::borrow::Cow;

use super::{Binary, Method, Node, Path, Step};
use crate::error::{SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::json::{number, object, to_numeric};
use crate::types::regex;
use crate::types::{Jsonb, Numeric, numeric};

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the path's own, which a predicate or `silent` hides.
    Soft(SqlError),
    /// Any other.
    Hard(SqlError),
}

impl Failure {
    /// The error.
    pub(crate) fn into_error(self) -> SqlError {
        match self {
            Self::Soft(error) | Self::Hard(error) => error,
        }
    }
}

type Outcome<T> = Result<T, Failure>;

/// A value of the document or one that was computed.
type Item<'a> = Cow<'a, Jsonb>;

/// What a walk has found.
struct Found<'a> {
    items: Vec<Item<'a>>,
    /// Whether one is enough.
    first_only: bool,
}

impl Found<'_> {
    fn all() -> Self {
        Self { items: Vec::new(), first_only: false }
    }

    fn is_enough(&self) -> bool {
        self.first_only && !self.items.is_empty()
    }
}

fn soft(state: &'static str, message: impl Into<String>) -> Failure {
    Failure::Soft(SqlError::new(SqlState(state), message))
}

/// What surrounds a step: the document, the variables, and the values that `@` and `last` stand for.
#[derive(Clone, Copy)]
struct Scope<'a> {
    context: &'a EvalContext<'a>,
    strict: bool,
    root: &'a Jsonb,
    variables: &'a Jsonb,
    current: &'a Jsonb,
    /// The length of the innermost array that is subscripted.
    length: usize,
    /// Whether what is missing is nothing.
    lenient: bool,
}

/// The items that a path gives; in lax mode only the first if that is enough. What was found before an error comes
/// with it.
pub(crate) fn query(
    context: &EvalContext<'_>,
    path: &Path,
    target: &Jsonb,
    variables: &Jsonb,
    first_only: bool,
) -> (Vec<Jsonb>, Option<Failure>) {
    let scope = Scope {
        context,
        strict: path.strict,
        root: target,
        variables,
        current: target,
        length: 0,
        lenient: !path.strict,
    };
    let mut found = Found { items: Vec::new(), first_only: first_only && !path.strict };
    let result = scope.node(&path.root, target, &mut found);
    (found.items.into_iter().map(Cow::into_owned).collect(), result.err())
}

impl<'a> Scope<'a> {
    /// The items of an expression; `item` is what steps without a start of their own begin at.
    fn node(&self, node: &Node, item: &'a Jsonb, found: &mut Found<'a>) -> Outcome<()> {
        self.context.exec.cancel.check().map_err(Failure::Hard)?;
        let value: Item<'a> = match node {
            Node::Steps(first, steps) => {
                let mut starts = Found::all();
                self.node(first, item, &mut starts)?;
                for start in starts.items {
                    self.steps(steps, start, found, !self.strict)?;
                    if found.is_enough() {
                        break;
                    }
                }
                return Ok(());
            }
            Node::Root => Cow::Borrowed(self.root),
            Node::Current => Cow::Borrowed(self.current),
            Node::Last => Cow::Owned(integer(self.length.saturating_sub(1))),
            Node::Null => Cow::Owned(Jsonb::Null),
            Node::Boolean(it) => Cow::Owned(Jsonb::Bool(*it)),
            Node::Number(it) => Cow::Owned(number(it)),
            Node::Text(it) => Cow::Owned(Jsonb::String(it.clone())),
            Node::Variable(name) => Cow::Borrowed(self.variable(name)?),
            Node::Binary(op, left, right) if !op.is_predicate() => {
                Cow::Owned(self.arithmetic(*op, left, right, item)?)
            }
            Node::Sign { negative, inner } => return self.sign(*negative, inner, item, found),
            predicate => Cow::Owned(match self.test(predicate, item)? {
                Some(it) => Jsonb::Bool(it),
                None => Jsonb::Null,
            }),
        };
        found.items.push(value);
        Ok(())
    }

    fn variable(&self, name: &str) -> Outcome<&'a Jsonb> {
        let found = self.variables.as_object().and_then(|fields| fields.get(name));
        found.ok_or_else(|| {
            let message = format!("could not find jsonpath variable \"{name}\"");
            Failure::Hard(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        })
    }

    /// The items of an operand, arrays taken apart in lax mode.
    fn operand(&self, node: &Node, item: &'a Jsonb) -> Outcome<Vec<Item<'a>>> {
        let mut found = Found::all();
        self.node(node, item, &mut found)?;
        if self.strict {
            return Ok(found.items);
        }
        let mut items = Vec::with_capacity(found.items.len());
        for it in found.items {
            unwrap_into(it, &mut items);
        }
        Ok(items)
    }

    fn number_of(&self, node: &Node, item: &'a Jsonb, side: &str, op: Binary) -> Outcome<Numeric> {
        let items = self.operand(node, item)?;
        if let [only] = items.as_slice()
            && let Jsonb::Number(it) = &**only
        {
            return to_numeric(it).map_err(Failure::Hard);
        }
        Err(soft(
            "22038",
            format!(
                "{side} operand of jsonpath operator {} is not a single numeric value",
                op.text()
            ),
        ))
    }

    fn arithmetic(&self, op: Binary, left: &Node, right: &Node, item: &'a Jsonb) -> Outcome<Jsonb> {
        let left = self.number_of(left, item, "left", op)?;
        let right = self.number_of(right, item, "right", op)?;
        let value = match op {
            Binary::Add => left.add(&right),
            Binary::Subtract => left.sub(&right),
            Binary::Multiply => left.mul(&right),
            Binary::Divide => left.div(&right),
            _ => left.rem(&right),
        };
        value.map(|it| number(&it)).map_err(Failure::Soft)
    }

    fn sign(
        &self,
        negative: bool,
        inner: &Node,
        item: &'a Jsonb,
        found: &mut Found<'a>,
    ) -> Outcome<()> {
        for operand in self.operand(inner, item)? {
            let Jsonb::Number(it) = &*operand else {
                // Whoever only asks whether there is something does not mind what has no sign.
                if found.first_only {
                    continue;
                }
                let sign = if negative { '-' } else { '+' };
                let message =
                    format!("operand of unary jsonpath operator {sign} is not a numeric value");
                return Err(soft("2203B", message));
            };
            let value = to_numeric(it).map_err(Failure::Hard)?;
            found.items.push(Cow::Owned(number(&if negative { value.neg() } else { value })));
            if found.is_enough() {
                break;
            }
        }
        Ok(())
    }

    /// Goes on from an item along steps. `unwrap` says whether an array may be taken apart for the first of them.
    fn steps(
        &self,
        steps: &[Step],
        item: Item<'a>,
        found: &mut Found<'a>,
        unwrap: bool,
    ) -> Outcome<()> {
        if found.is_enough() {
            return Ok(());
        }
        self.context.exec.cancel.check().map_err(Failure::Hard)?;
        let Some((step, rest)) = steps.split_first() else {
            found.items.push(item);
            return Ok(());
        };
        let takes_arrays_apart = match step {
            Step::Key(_) | Step::AnyKey | Step::Filter(_) => true,
            Step::Method(method) => !matches!(method, Method::Type | Method::Size),
            _ => false,
        };
        if unwrap && takes_arrays_apart && item.is_array() {
            let mut elements = Vec::new();
            unwrap_into(item, &mut elements);
            for element in elements {
                self.steps(steps, element, found, false)?;
            }
            return Ok(());
        }
        let next =
            |item: Item<'a>, found: &mut Found<'a>| self.steps(rest, item, found, !self.strict);
        match step {
            Step::Key(key) => match self.member(&item, key)? {
                Some(value) => next(value, found),
                None => Ok(()),
            },
            Step::AnyKey if item.is_object() => {
                children(item).into_iter().try_for_each(|value| next(value, found))
            }
            Step::AnyKey if self.lenient => Ok(()),
            Step::AnyKey => Err(soft(
                "2203C",
                "jsonpath wildcard member accessor can only be applied to an object",
            )),
            Step::AnyElement if item.is_array() => {
                children(item).into_iter().try_for_each(|value| next(value, found))
            }
            // Not an array: in lax mode it counts as one of itself.
            Step::AnyElement if !self.strict => next(item, found),
            Step::AnyElement if self.lenient => Ok(()),
            Step::AnyElement => Err(soft(
                "22039",
                "jsonpath wildcard array accessor can only be applied to an array",
            )),
            Step::Subscript(ranges) => self.subscript(ranges, rest, item, found),
            Step::AnyLevel { first, last } => {
                let inner = Scope { lenient: true, ..*self };
                if *first == Some(0) {
                    inner.steps(rest, item.clone(), found, !self.strict)?;
                }
                inner.any_level(rest, item, 1, (*first, *last), found)
            }
            Step::Filter(condition) => {
                if self.filter(condition, &item)? {
                    next(item, found)
                } else {
                    Ok(())
                }
            }
            Step::Method(method) => self.method(*method, rest, item, found),
        }
    }

    /// A field of an object; none if it is missing and that is no error.
    fn member(&self, item: &Item<'a>, key: &str) -> Outcome<Option<Item<'a>>> {
        let found = child(item, key);
        if found.is_some() || self.lenient {
            return Ok(found);
        }
        Err(if item.is_object() {
            soft("2203A", format!("JSON object does not contain key \"{key}\""))
        } else {
            soft("2203A", "jsonpath member accessor can only be applied to an object")
        })
    }

    /// Whether an item passes a filter.
    fn filter(&self, condition: &Node, item: &Item<'a>) -> Outcome<bool> {
        let inner = Scope { current: item, ..*self };
        Ok(inner.test(condition, item)? == Some(true))
    }

    fn any_level(
        &self,
        rest: &[Step],
        item: Item<'a>,
        level: u32,
        (first, last): (Option<u32>, Option<u32>),
        found: &mut Found<'a>,
    ) -> Outcome<()> {
        if !item.is_array() && !item.is_object() || last.is_some_and(|last| level > last) {
            return Ok(());
        }
        for value in children(item) {
            let leaf = !value.is_array() && !value.is_object();
            // `last` alone is where nothing is below.
            let wanted = match first {
                Some(first) => level >= first,
                None => leaf,
            };
            if wanted {
                self.steps(rest, value.clone(), found, !self.strict)?;
                if found.is_enough() {
                    return Ok(());
                }
            }
            if !leaf {
                self.any_level(rest, value, level + 1, (first, last), found)?;
            }
        }
        Ok(())
    }

    fn subscript(
        &self,
        ranges: &[(Node, Option<Node>)],
        rest: &[Step],
        item: Item<'a>,
        found: &mut Found<'a>,
    ) -> Outcome<()> {
        if !item.is_array() && self.strict {
            if self.lenient {
                return Ok(());
            }
            let message = "jsonpath array accessor can only be applied to an array";
            return Err(soft("22039", message));
        }
        let elements = if item.is_array() { children(item) } else { vec![item] };
        let inner = Scope { length: elements.len(), ..*self };
        let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
        for (from, to) in ranges {
            let from = inner.index(from)?;
            let to = match to {
                Some(to) => inner.index(to)?,
                None => from,
            };
            if !self.lenient && (from < 0 || from > to || to >= length) {
                return Err(soft("22033", "jsonpath array subscript is out of bounds"));
            }
            for place in from.max(0)..=to.min(length - 1) {
                let Some(value) = usize::try_from(place).ok().and_then(|it| elements.get(it))
                else {
                    continue;
                };
                self.steps(rest, value.clone(), found, !self.strict)?;
                if found.is_enough() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn index(&self, node: &Node) -> Outcome<i64> {
        let mut found = Found::all();
        self.node(node, self.current, &mut found)?;
        if let [only] = found.items.as_slice()
            && let Jsonb::Number(it) = &**only
        {
            let value = to_numeric(it).map_err(Failure::Hard)?.trunc(0);
            let index = value.to_integer(crate::types::PgType::Int4);
            return index
                .map_err(|_| soft("22033", "jsonpath array subscript is out of integer range"));
        }
        Err(soft("22033", "jsonpath array subscript is not a single numeric value"))
    }

    fn method(
        &self,
        method: Method,
        rest: &[Step],
        item: Item<'a>,
        found: &mut Found<'a>,
    ) -> Outcome<()> {
        let name = method.name();
        let value = match method {
            Method::Type => Jsonb::String(type_name(&item).to_owned()),
            Method::Size => match &*item {
                Jsonb::Array(elements) => integer(elements.len()),
                _ if !self.strict => integer(1),
                _ if self.lenient => return Ok(()),
                _ => {
                    let message =
                        format!("jsonpath item method .{name}() can only be applied to an array");
                    return Err(soft("22039", message));
                }
            },
            Method::Double => double(&item)?,
            Method::Ceiling | Method::Floor | Method::Abs => {
                let Jsonb::Number(it) = &*item else {
                    let message = format!(
                        "jsonpath item method .{name}() can only be applied to a numeric value"
                    );
                    return Err(soft("22036", message));
                };
                let value = to_numeric(it).map_err(Failure::Hard)?;
                number(&match method {
                    Method::Ceiling => value.ceil(),
                    Method::Floor => value.floor(),
                    _ => value.abs(),
                })
            }
            Method::KeyValue => return self.key_values(rest, &item, found),
        };
        self.steps(rest, Cow::Owned(value), found, !self.strict)
    }

    /// `.keyvalue()`: an object for each field. Its `id` tells objects of one document apart.
    fn key_values(&self, rest: &[Step], item: &Item<'a>, found: &mut Found<'a>) -> Outcome<()> {
        let Jsonb::Object(fields) = &**item else {
            let message = "jsonpath item method .keyvalue() can only be applied to an object";
            return Err(soft("2203C", message));
        };
        let mut count = 0;
        let id = number_of_object(self.root, item, &mut count).unwrap_or(0);
        for (key, value) in fields {
            let entry = object(vec![
                ("id".to_owned(), integer(id)),
                ("key".to_owned(), Jsonb::String(key.clone())),
                ("value".to_owned(), value.clone()),
            ]);
            self.steps(rest, Cow::Owned(entry), found, !self.strict)?;
            if found.is_enough() {
                break;
            }
        }
        Ok(())
    }

    /// A predicate: true, false or unknown.
    fn test(&self, node: &Node, item: &'a Jsonb) -> Outcome<Option<bool>> {
        Ok(match node {
            Node::Binary(Binary::And, left, right) => match self.test(left, item)? {
                Some(false) => Some(false),
                left => match self.test(right, item)? {
                    Some(true) => left,
                    other => other,
                },
            },
            Node::Binary(Binary::Or, left, right) => match self.test(left, item)? {
                Some(true) => Some(true),
                left => match self.test(right, item)? {
                    Some(false) => left,
                    other => other,
                },
            },
            Node::Not(inner) => self.test(inner, item)?.map(|it| !it),
            Node::IsUnknown(inner) => Some(self.test(inner, item)?.is_none()),
            Node::Exists(inner) => {
                let mut found = Found { items: Vec::new(), first_only: !self.strict };
                match self.node(inner, item, &mut found) {
                    Ok(()) => Some(!found.items.is_empty()),
                    Err(Failure::Soft(_)) => None,
                    Err(hard) => return Err(hard),
                }
            }
            Node::Binary(op, left, right) => {
                self.pairs(left, Some((right, true)), item, |left, right| {
                    Ok(right.and_then(|right| compare(*op, left, right)))
                })?
            }
            Node::StartsWith(value, initial) => {
                self.pairs(value, Some((initial, false)), item, |value, initial| {
                    Ok(match (value, initial) {
                        (Jsonb::String(value), Some(Jsonb::String(initial))) => {
                            Some(value.starts_with(initial.as_str()))
                        }
                        _ => None,
                    })
                })?
            }
            Node::LikeRegex { value, pattern, options, .. } => {
                let pattern = regex::compile(pattern, *options).map_err(Failure::Hard)?;
                self.pairs(value, None, item, |value, _| {
                    let Jsonb::String(text) = value else { return Ok(None) };
                    pattern.is_match(self.context, text).map(Some).map_err(Failure::Hard)
                })?
            }
            _ => None,
        })
    }

    /// Whether a test holds for any pair of items of two operands.
    fn pairs(
        &self,
        left: &Node,
        right: Option<(&Node, bool)>,
        item: &'a Jsonb,
        test: impl Fn(&Jsonb, Option<&Jsonb>) -> Outcome<Option<bool>>,
    ) -> Outcome<Option<bool>> {
        let quiet = |items: Outcome<Vec<Item<'a>>>| match items {
            Ok(items) => Ok(Some(items)),
            Err(Failure::Soft(_)) => Ok(None),
            Err(hard) => Err(hard),
        };
        let Some(lefts) = quiet(self.operand(left, item))? else { return Ok(None) };
        let rights = match right {
            None => None,
            Some((right, unwrapped)) => {
                let items = if unwrapped {
                    self.operand(right, item)
                } else {
                    let mut found = Found::all();
                    self.node(right, item, &mut found).map(|()| found.items)
                };
                let Some(items) = quiet(items)? else { return Ok(None) };
                Some(items)
            }
        };
        let (mut held, mut unknown) = (false, false);
        for left in &lefts {
            let alone = [None];
            let seconds: Vec<Option<&Jsonb>> = match &rights {
                None => alone.to_vec(),
                Some(rights) => rights.iter().map(|it| Some(&**it)).collect(),
            };
            for right in seconds {
                match test(left, right)? {
                    None if self.strict => return Ok(None),
                    None => unknown = true,
                    Some(true) if !self.strict => return Ok(Some(true)),
                    Some(true) => held = true,
                    Some(false) => {}
                }
            }
        }
        Ok(if held {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }
}

fn integer(value: usize) -> Jsonb {
    number(&Numeric::from(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn type_name(value: &Jsonb) -> &'static str {
    match value {
        Jsonb::Null => "null",
        Jsonb::Bool(_) => "boolean",
        Jsonb::Number(_) => "number",
        Jsonb::String(_) => "string",
        Jsonb::Array(_) => "array",
        Jsonb::Object(_) => "object",
    }
}

fn child<'a>(item: &Item<'a>, key: &str) -> Option<Item<'a>> {
    match item {
        Cow::Borrowed(it) => it.as_object()?.get(key).map(Cow::Borrowed),
        Cow::Owned(it) => it.as_object()?.get(key).cloned().map(Cow::Owned),
    }
}

/// The elements of an array, the values of an object.
fn children(item: Item<'_>) -> Vec<Item<'_>> {
    match item {
        Cow::Borrowed(Jsonb::Array(elements)) => elements.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Jsonb::Object(fields)) => fields.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Jsonb::Array(elements)) => elements.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Jsonb::Object(fields)) => {
            fields.into_iter().map(|it| Cow::Owned(it.1)).collect()
        }
        _ => Vec::new(),
    }
}

/// The elements of an array, or what is none.
fn unwrap_into<'a>(item: Item<'a>, out: &mut Vec<Item<'a>>) {
    if item.is_array() {
        out.extend(children(item));
    } else {
        out.push(item);
    }
}

/// The how manieth container of a document an object is; the document itself is 0.
fn number_of_object(root: &Jsonb, object: &Jsonb, count: &mut usize) -> Option<usize> {
    if std::ptr::eq(root, object) {
        return Some(*count);
    }
    *count += 1;
    match root {
        Jsonb::Array(items) => items.iter().find_map(|item| number_of_object(item, object, count)),
        Jsonb::Object(fields) => {
            fields.values().find_map(|item| number_of_object(item, object, count))
        }
        _ => None,
    }
}

fn double(item: &Jsonb) -> Outcome<Jsonb> {
    let invalid = |message: &str| Err(soft("22036", message));
    let value = match item {
        Jsonb::Number(it) => match to_numeric(it).map_err(Failure::Hard)?.to_float8() {
            Ok(value) => value,
            Err(_) => {
                return invalid(
                    "numeric argument of jsonpath item method .double() is out of range for type double precision",
                );
            }
        },
        Jsonb::String(text) => match crate::types::text::number::read_float8(text) {
            Ok(value) if value.is_finite() => value,
            _ => {
                return invalid(
                    "string argument of jsonpath item method .double() is not a valid representation of a double precision number",
                );
            }
        },
        _ => {
            return invalid(
                "jsonpath item method .double() can only be applied to a string or numeric value",
            );
        }
    };
    if !value.is_finite() {
        return invalid("NaN or Infinity is not allowed for jsonpath item method .double()");
    }
    match item {
        Jsonb::Number(_) => Ok(item.clone()),
        _ => Numeric::from_float8(value).map(|it| number(&it)).map_err(Failure::Hard),
    }
}

/// Compares two items; unknown if they do not compare.
fn compare(op: Binary, left: &Jsonb, right: &Jsonb) -> Option<bool> {
    let order = match (left, right) {
        (Jsonb::Null, Jsonb::Null) => std::cmp::Ordering::Equal,
        // Null differs from everything else, and is neither before nor after it.
        (Jsonb::Null, _) | (_, Jsonb::Null) => return Some(op == Binary::NotEqual),
        (Jsonb::Bool(a), Jsonb::Bool(b)) => a.cmp(b),
        (Jsonb::Number(a), Jsonb::Number(b)) => {
            numeric::compare(&to_numeric(a).ok()?, &to_numeric(b).ok()?)
        }
        (Jsonb::String(a), Jsonb::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => return None,
    };
    Some(match op {
        Binary::Equal => order.is_eq(),
        Binary::NotEqual => order.is_ne(),
        Binary::Less => order.is_lt(),
        Binary::LessEqual => order.is_le(),
        Binary::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}
