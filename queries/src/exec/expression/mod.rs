//! Expressions, compiled for evaluation row by row.
//!
//! [`Compiled`] differs from [`crate::plan::Expr`] in that parameters and all that is constant within the
//! statement are filled in, comparisons of plain types need no call, constant lists are hashed, and subqueries
//! are operator trees. Columns are lent, not copied, so a comparison of a column allocates nothing.

mod array;
pub(crate) mod comparison;
mod compile;
mod evaluator;
pub(crate) mod subquery;

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::Env;
use crate::exec::key::{compare, equal};
use crate::exec::row_table::RowTable;
use crate::types::functions::ScalarFunction;
use crate::types::{Datum, PgType};

pub(crate) use compile::{Host, comparable, compile, too_complex};
pub use evaluator::{Evaluator, evaluate};
pub(crate) use subquery::SubqueryValue;

use comparison::Comparison;

/// An expression ready to be evaluated.
#[derive(Debug)]
pub(crate) enum Compiled {
    Constant(Datum),
    /// A parameter, where expressions are compiled once for many statements.
    Parameter(usize),
    Column(usize),
    Outer {
        depth: usize,
        column: usize,
    },
    Call(Box<CompiledCall>),
    Compare(Box<CompiledComparison>),
    And(Box<[Compiled]>),
    Or(Box<[Compiled]>),
    Not(Box<Compiled>),
    IsNull {
        input: Box<Compiled>,
        negated: bool,
    },
    IsBool {
        input: Box<Compiled>,
        value: bool,
        negated: bool,
    },
    IsDistinct {
        left: Box<Compiled>,
        right: Box<Compiled>,
        negated: bool,
    },
    Case {
        branches: Box<[(Compiled, Compiled)]>,
        otherwise: Box<Compiled>,
    },
    Coalesce(Box<[Compiled]>),
    Extreme {
        inputs: Box<[Compiled]>,
        greatest: bool,
    },
    Array {
        elements: Box<[Compiled]>,
        element: PgType,
        nested: bool,
    },
    Subscript {
        array: Box<Compiled>,
        indexes: Box<[Compiled]>,
    },
    Slice {
        array: Box<Compiled>,
        bounds: Box<[(Option<Compiled>, Option<Compiled>)]>,
    },
    Row(Box<[(PgType, Compiled)]>),
    Field {
        record: Box<Compiled>,
        field: usize,
    },
    Quantified(Box<CompiledQuantified>),
    InList {
        input: Box<Compiled>,
        items: Box<[Compiled]>,
        negated: bool,
    },
    /// `IN` a list of constants.
    InSet(Box<CompiledSet>),
    Subquery(Box<SubqueryValue>),
}

/// A call through the function table.
#[derive(Debug)]
pub(crate) struct CompiledCall {
    function: &'static ScalarFunction,
    arguments: Box<[Compiled]>,
    position: Option<usize>,
}

/// A comparison that the default order of the operands' type decides.
#[derive(Debug)]
pub(crate) struct CompiledComparison {
    comparison: Comparison,
    left: Compiled,
    right: Compiled,
}

/// `left op ANY/ALL (array)`.
#[derive(Debug)]
pub(crate) struct CompiledQuantified {
    left: Compiled,
    operator: &'static ScalarFunction,
    comparison: Option<Comparison>,
    array: Compiled,
    all: bool,
}

/// `input [NOT] IN (constants)`.
#[derive(Debug)]
pub(crate) struct CompiledSet {
    input: Compiled,
    set: RowTable,
    has_null: bool,
    negated: bool,
}

impl Compiled {
    /// The value over a row.
    pub(crate) fn eval<'a>(&'a self, row: &'a [Datum], env: &Env<'a>) -> Result<Cow<'a, Datum>> {
        match self {
            Self::Column(column) => Ok(Cow::Borrowed(&row[*column])),
            Self::Constant(value) => Ok(Cow::Borrowed(value)),
            Self::Outer { depth, column } => env.outer(*depth, *column).map(Cow::Borrowed),
            Self::Parameter(number) => parameter(env, *number).map(Cow::Borrowed),
            Self::Call(call) => call.eval(row, env).map(Cow::Owned),
            Self::Coalesce(inputs) => {
                for input in inputs {
                    let value = input.eval(row, env)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Cow::Owned(Datum::Null))
            }
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    if condition.test(row, env)? == Some(true) {
                        return result.eval(row, env);
                    }
                }
                otherwise.eval(row, env)
            }
            Self::Extreme { inputs, greatest } => extreme(inputs, *greatest, row, env),
            Self::Array { elements, element, nested } => {
                array::construct(elements, *element, *nested, row, env).map(Cow::Owned)
            }
            Self::Subscript { array, indexes } => {
                array::subscript(array, indexes, row, env).map(Cow::Owned)
            }
            Self::Slice { array, bounds } => array::slice(array, bounds, row, env).map(Cow::Owned),
            Self::Row(fields) => {
                let values =
                    fields.iter().map(|(ty, field)| Ok((*ty, field.eval(row, env)?.into_owned())));
                Ok(Cow::Owned(Datum::Record(values.collect::<Result<Vec<_>>>()?.into())))
            }
            Self::Field { record, field } => {
                let record = record.eval(row, env)?;
                let Datum::Record(fields) = &*record else { return Ok(Cow::Owned(Datum::Null)) };
                Ok(Cow::Owned(fields.get(*field).map_or(Datum::Null, |(_, value)| value.clone())))
            }
            Self::Subquery(subquery) => subquery.eval(row, env).map(Cow::Owned),
            _ => Ok(Cow::Owned(self.test(row, env)?.map_or(Datum::Null, Datum::Bool))),
        }
    }

    /// The value of a `bool` expression; none for null.
    pub(crate) fn test(&self, row: &[Datum], env: &Env<'_>) -> Result<Option<bool>> {
        match self {
            Self::Compare(it) => it.test(row, env),
            Self::And(inputs) => junction(inputs, false, row, env),
            Self::Or(inputs) => junction(inputs, true, row, env),
            Self::Not(input) => Ok(input.test(row, env)?.map(|value| !value)),
            Self::IsNull { input, negated } => {
                let value = input.eval(row, env)?;
                Ok(Some(if *negated { is_wholly_not_null(&value) } else { is_wholly_null(&value) }))
            }
            Self::IsBool { input, value, negated } => {
                Ok(Some((input.test(row, env)? == Some(*value)) != *negated))
            }
            Self::IsDistinct { left, right, negated } => {
                let (left, right) = (left.eval(row, env)?, right.eval(row, env)?);
                Ok(Some(equal(&left, &right) == *negated))
            }
            Self::Quantified(it) => it.test(row, env),
            Self::InList { input, items, negated } => in_list(input, items, *negated, row, env),
            Self::InSet(it) => it.test(row, env),
            _ => match &*self.eval(row, env)? {
                Datum::Bool(value) => Ok(Some(*value)),
                Datum::Null => Ok(None),
                _ => Err(SqlError::internal("a condition is not of type boolean")),
            },
        }
    }

    /// The value, if it is the same for all rows.
    pub(crate) fn constant(&self) -> Option<&Datum> {
        match self {
            Self::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The column, if it is a plain one.
    pub(crate) fn column(&self) -> Option<usize> {
        match self {
            Self::Column(column) => Some(*column),
            _ => None,
        }
    }
}

/// Evaluates several expressions over one row, appending their values.
pub(crate) fn eval_all(
    expressions: &[Compiled],
    row: &[Datum],
    env: &Env<'_>,
    out: &mut Vec<Datum>,
) -> Result<()> {
    for expression in expressions {
        out.push(expression.eval(row, env)?.into_owned());
    }
    Ok(())
}

impl CompiledCall {
    fn eval(&self, row: &[Datum], env: &Env<'_>) -> Result<Datum> {
        if let [argument] = &*self.arguments {
            let value = argument.eval(row, env)?;
            return self.apply(std::slice::from_ref(&*value), env);
        }
        let mut values: SmallVec<[Datum; 4]> = SmallVec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            values.push(argument.eval(row, env)?.into_owned());
        }
        self.apply(&values, env)
    }

    fn apply(&self, values: &[Datum], env: &Env<'_>) -> Result<Datum> {
        if self.function.strict && values.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        (self.function.call)(&env.eval(), values).map_err(|error| error.at(self.position))
    }
}

impl CompiledComparison {
    /// A comparison of two expressions.
    pub(crate) fn new(comparison: Comparison, left: Compiled, right: Compiled) -> Self {
        Self { comparison, left, right }
    }

    /// What is compared, and how.
    pub(crate) fn into_parts(self) -> (Comparison, Compiled, Compiled) {
        (self.comparison, self.left, self.right)
    }

    #[inline]
    fn test(&self, row: &[Datum], env: &Env<'_>) -> Result<Option<bool>> {
        let left = self.left.eval(row, env)?;
        let right = self.right.eval(row, env)?;
        if left.is_null() || right.is_null() {
            return Ok(None);
        }
        Ok(Some(self.comparison.holds(compare(&left, &right))))
    }
}

impl CompiledQuantified {
    fn test(&self, row: &[Datum], env: &Env<'_>) -> Result<Option<bool>> {
        let array = self.array.eval(row, env)?;
        let Datum::Array(array) = &*array else { return Ok(None) };
        let left = self.left.eval(row, env)?;
        let mut unknown = false;
        for element in &array.elements {
            match apply_operator(self.operator, self.comparison, &left, element, env)? {
                None => unknown = true,
                Some(value) if value != self.all => return Ok(Some(value)),
                Some(_) => {}
            }
        }
        Ok(if unknown { None } else { Some(self.all) })
    }
}

/// Applies a comparison operator to two values; none for null.
pub(crate) fn apply_operator(
    operator: &'static ScalarFunction,
    comparison: Option<Comparison>,
    left: &Datum,
    right: &Datum,
    env: &Env<'_>,
) -> Result<Option<bool>> {
    if operator.strict && (left.is_null() || right.is_null()) {
        return Ok(None);
    }
    if let Some(comparison) = comparison {
        return Ok(Some(comparison.holds(compare(left, right))));
    }
    match (operator.call)(&env.eval(), &[left.clone(), right.clone()])? {
        Datum::Bool(value) => Ok(Some(value)),
        Datum::Null => Ok(None),
        _ => Err(SqlError::internal("a comparison operator gave no boolean")),
    }
}

impl CompiledSet {
    fn test(&self, row: &[Datum], env: &Env<'_>) -> Result<Option<bool>> {
        let value = self.input.eval(row, env)?;
        if value.is_null() {
            return Ok(if self.set.len() == 0 && !self.has_null {
                Some(self.negated)
            } else {
                None
            });
        }
        if self.set.find(std::slice::from_ref(&*value)).is_some() {
            return Ok(Some(!self.negated));
        }
        Ok(if self.has_null { None } else { Some(self.negated) })
    }
}

/// `AND` (decided by false) or `OR` (decided by true).
fn junction(
    inputs: &[Compiled],
    decisive: bool,
    row: &[Datum],
    env: &Env<'_>,
) -> Result<Option<bool>> {
    let mut unknown = false;
    for input in inputs {
        match input.test(row, env)? {
            Some(value) if value == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { None } else { Some(!decisive) })
}

fn in_list(
    input: &Compiled,
    items: &[Compiled],
    negated: bool,
    row: &[Datum],
    env: &Env<'_>,
) -> Result<Option<bool>> {
    let value = input.eval(row, env)?;
    if value.is_null() {
        return Ok(None);
    }
    let mut unknown = false;
    for item in items {
        let item = item.eval(row, env)?;
        if item.is_null() {
            unknown = true;
        } else if equal(&value, &item) {
            return Ok(Some(!negated));
        }
    }
    Ok(if unknown { None } else { Some(negated) })
}

fn extreme<'a>(
    inputs: &'a [Compiled],
    greatest: bool,
    row: &'a [Datum],
    env: &Env<'a>,
) -> Result<Cow<'a, Datum>> {
    let mut best: Option<Cow<'a, Datum>> = None;
    for input in inputs {
        let value = input.eval(row, env)?;
        if value.is_null() {
            continue;
        }
        let better = best.as_ref().is_none_or(|best| {
            let order = compare(&value, best);
            if greatest { order.is_gt() } else { order.is_lt() }
        });
        if better {
            best = Some(value);
        }
    }
    Ok(best.unwrap_or(Cow::Owned(Datum::Null)))
}

/// `IS NULL`: of a record, whether all fields are.
fn is_wholly_null(value: &Datum) -> bool {
    match value {
        Datum::Record(fields) => fields.iter().all(|(_, field)| field.is_null()),
        _ => value.is_null(),
    }
}

/// `IS NOT NULL`: of a record, whether no field is null.
fn is_wholly_not_null(value: &Datum) -> bool {
    match value {
        Datum::Record(fields) => fields.iter().all(|(_, field)| !field.is_null()),
        _ => !value.is_null(),
    }
}

fn parameter<'a>(env: &Env<'a>, number: usize) -> Result<&'a Datum> {
    env.statement.context.parameters.get(number).ok_or_else(|| missing_parameter(number))
}

fn missing_parameter(number: usize) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${}", number + 1))
}
