//! From [`Expr`] to [`Compiled`].

use std::borrow::Cow;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::NESTING_MAX;
use crate::exec::environment::{Env, Statement};
use crate::exec::expression::comparison::comparison;
use crate::exec::expression::{
    Compiled, CompiledCall, CompiledComparison, CompiledQuantified, CompiledSet, SubqueryValue,
    missing_parameter,
};
use crate::exec::row_table::RowTable;
use crate::plan::{Call, Expr, Subquery};
use crate::types::functions::{ScalarFunction, Volatility, registry};
use crate::types::{Datum, PgType};

/// The shortest list of constants that is hashed.
const SET_ITEMS_MIN: usize = 8;

/// Who compiles, and for what.
pub(crate) trait Host {
    /// The statement, when the expression is compiled for one only: its parameters become constants.
    fn statement(&self) -> Option<&Statement>;
    /// Compiles a subquery.
    fn subquery(&mut self, subquery: &Subquery, depth: usize) -> Result<SubqueryValue>;
}

/// Compiles an expression that stands `depth` levels deep.
pub(crate) fn compile(expr: &Expr, host: &mut dyn Host, depth: usize) -> Result<Compiled> {
    if depth > NESTING_MAX {
        return Err(too_complex());
    }
    let depth = depth + 1;
    let boxed = |expr: &Expr, host: &mut dyn Host| compile(expr, host, depth).map(Box::new);
    Ok(match expr {
        Expr::Literal(value, _) => Compiled::Constant(value.clone()),
        Expr::Parameter(number, _) => parameter(*number, host)?,
        Expr::Column(column, _) => Compiled::Column(*column),
        Expr::Outer { depth, column, .. } => Compiled::Outer { depth: *depth, column: *column },
        Expr::Call(it) => call(it, host, depth)?,
        Expr::And(inputs) => junction(inputs, false, host, depth)?,
        Expr::Or(inputs) => junction(inputs, true, host, depth)?,
        Expr::Not(input) => Compiled::Not(boxed(input, host)?),
        Expr::IsNull(input) => Compiled::IsNull { input: boxed(input, host)?, negated: false },
        Expr::IsNotNull(input) => Compiled::IsNull { input: boxed(input, host)?, negated: true },
        Expr::IsBool { input, value, negated } => {
            Compiled::IsBool { input: boxed(input, host)?, value: *value, negated: *negated }
        }
        Expr::IsDistinct { left, right, negated } => Compiled::IsDistinct {
            left: boxed(&comparable(left), host)?,
            right: boxed(&comparable(right), host)?,
            negated: *negated,
        },
        Expr::Case { branches, otherwise, .. } => {
            let branches = branches.iter().map(|(condition, result)| {
                Ok((compile(condition, host, depth)?, compile(result, host, depth)?))
            });
            Compiled::Case {
                branches: branches.collect::<Result<_>>()?,
                otherwise: boxed(otherwise, host)?,
            }
        }
        Expr::Coalesce(inputs, _) => Compiled::Coalesce(all(inputs, host, depth)?),
        Expr::Extreme { inputs, greatest, .. } => {
            Compiled::Extreme { inputs: all(inputs, host, depth)?, greatest: *greatest }
        }
        Expr::Array { elements, ty } => array(elements, *ty, host, depth)?,
        Expr::Subscript { array, indexes, .. } => {
            Compiled::Subscript { array: boxed(array, host)?, indexes: all(indexes, host, depth)? }
        }
        Expr::Slice { array, bounds, .. } => {
            let array = boxed(array, host)?;
            let mut bound =
                |it: &Option<Expr>| it.as_ref().map(|it| compile(it, host, depth)).transpose();
            let bounds = bounds.iter().map(|(lower, upper)| Ok((bound(lower)?, bound(upper)?)));
            Compiled::Slice { array, bounds: bounds.collect::<Result<_>>()? }
        }
        Expr::Row(fields) => {
            let fields = fields.iter().map(|field| Ok((field.ty(), compile(field, host, depth)?)));
            Compiled::Row(fields.collect::<Result<_>>()?)
        }
        Expr::Field { record, field, .. } => {
            Compiled::Field { record: boxed(record, host)?, field: *field }
        }
        Expr::Quantified { left, operator, array, all } => {
            quantified(left, operator, array, *all, host, depth)?
        }
        Expr::InList { input, items, negated } => in_list(input, items, *negated, host, depth)?,
        Expr::Subquery(subquery) => Compiled::Subquery(Box::new(host.subquery(subquery, depth)?)),
        Expr::Grouping(_) => {
            return Err(SqlError::internal("GROUPING was not resolved before execution"));
        }
    })
}

/// An expression whose values compare as keys: of `character` without the trailing blanks, which do not count there.
pub(crate) fn comparable(expr: &Expr) -> Cow<'_, Expr> {
    let text = registry::cast(PgType::Bpchar, PgType::Text).and_then(|cast| cast.function);
    match (expr.ty(), text) {
        (PgType::Bpchar, Some(function)) => Cow::Owned(Expr::Call(Call {
            function,
            arguments: vec![expr.clone()],
            ty: PgType::Text,
            position: None,
        })),
        _ => Cow::Borrowed(expr),
    }
}

/// What is nested too deeply for [`crate::exec::EXEC_STACK_BYTES`].
pub(crate) fn too_complex() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_hint("Nest expressions and subqueries less deeply.")
}

fn all(expressions: &[Expr], host: &mut dyn Host, depth: usize) -> Result<Box<[Compiled]>> {
    expressions.iter().map(|expr| compile(expr, host, depth)).collect()
}

fn parameter(number: usize, host: &dyn Host) -> Result<Compiled> {
    let Some(statement) = host.statement() else { return Ok(Compiled::Parameter(number)) };
    let value =
        statement.context.parameters.get(number).ok_or_else(|| missing_parameter(number))?;
    Ok(Compiled::Constant(value.clone()))
}

fn call(call: &Call, host: &mut dyn Host, depth: usize) -> Result<Compiled> {
    let arguments = all(&call.arguments, host, depth)?;
    let foldable = call.function.volatility != Volatility::Volatile
        && arguments.iter().all(|argument| argument.constant().is_some());
    let compiled = match comparison(call.function) {
        Some(comparison) if call.function.strict => {
            let [left, right] = <[Compiled; 2]>::try_from(arguments.into_vec())
                .map_err(|_| SqlError::internal("a comparison takes two arguments"))?;
            Compiled::Compare(Box::new(CompiledComparison { comparison, left, right }))
        }
        _ => Compiled::Call(Box::new(CompiledCall {
            function: call.function,
            arguments,
            position: call.position,
        })),
    };
    Ok(if foldable { fold(compiled, host) } else { compiled })
}

/// The constant that an expression over constants is. One that fails is kept: it may never be reached.
fn fold(compiled: Compiled, host: &dyn Host) -> Compiled {
    let Some(statement) = host.statement() else { return compiled };
    let folded = compiled.eval(&[], &Env::new(statement)).map(std::borrow::Cow::into_owned);
    folded.map_or(compiled, Compiled::Constant)
}

fn junction(
    inputs: &[Expr],
    decisive: bool,
    host: &mut dyn Host,
    depth: usize,
) -> Result<Compiled> {
    let mut kept = Vec::with_capacity(inputs.len());
    for input in inputs {
        let input = compile(input, host, depth)?;
        match input {
            Compiled::Constant(Datum::Bool(value)) if value != decisive => {}
            Compiled::Constant(Datum::Bool(_)) if kept.is_empty() => return Ok(input),
            _ => kept.push(input),
        }
    }
    Ok(match kept.len() {
        0 => Compiled::Constant(Datum::Bool(!decisive)),
        1 => kept.remove(0),
        _ if decisive => Compiled::Or(kept.into()),
        _ => Compiled::And(kept.into()),
    })
}

fn array(elements: &[Expr], ty: PgType, host: &mut dyn Host, depth: usize) -> Result<Compiled> {
    let nested = elements.first().is_some_and(|first| first.ty().element().is_some());
    let element =
        ty.element().ok_or_else(|| SqlError::internal(format!("{ty:?} is no array type")))?;
    let compiled = Compiled::Array { elements: all(elements, host, depth)?, element, nested };
    let Compiled::Array { elements, .. } = &compiled else { unreachable!("made above") };
    let foldable = elements.iter().all(|element| element.constant().is_some());
    Ok(if foldable { fold(compiled, host) } else { compiled })
}

fn quantified(
    left: &Expr,
    operator: &'static ScalarFunction,
    array: &Expr,
    all: bool,
    host: &mut dyn Host,
    depth: usize,
) -> Result<Compiled> {
    use super::comparison::Comparison::{Equal, NotEqual};
    let left = compile(left, host, depth)?;
    let array = compile(array, host, depth)?;
    let comparison = if operator.strict { comparison(operator) } else { None };
    // `= ANY` and `<> ALL` of a constant array are `IN` and `NOT IN`.
    let negated = match (comparison, all) {
        (Some(Equal), false) => Some(false),
        (Some(NotEqual), true) => Some(true),
        _ => None,
    };
    if let (Some(negated), Some(Datum::Array(constants)), Some(statement)) =
        (negated, array.constant(), host.statement())
        && constants.elements.len() >= SET_ITEMS_MIN
    {
        return set(left, &constants.elements, negated, statement);
    }
    Ok(Compiled::Quantified(Box::new(CompiledQuantified {
        left,
        operator,
        comparison,
        array,
        all,
    })))
}

fn in_list(
    input: &Expr,
    items: &[Expr],
    negated: bool,
    host: &mut dyn Host,
    depth: usize,
) -> Result<Compiled> {
    let input = compile(&comparable(input), host, depth)?;
    let items = items.iter().map(|item| compile(&comparable(item), host, depth));
    let items = items.collect::<Result<Box<[Compiled]>>>()?;
    if let Some(statement) = host.statement()
        && items.len() >= SET_ITEMS_MIN
        && let Some(constants) =
            items.iter().map(|item| item.constant().cloned()).collect::<Option<Vec<_>>>()
    {
        return set(input, &constants, negated, statement);
    }
    Ok(Compiled::InList { input: Box::new(input), items, negated })
}

fn set(
    input: Compiled,
    constants: &[Datum],
    negated: bool,
    statement: &Statement,
) -> Result<Compiled> {
    let mut set = RowTable::new(1, statement);
    let mut has_null = false;
    for constant in constants {
        if constant.is_null() {
            has_null = true;
        } else {
            set.insert(std::slice::from_ref(constant))?;
        }
    }
    Ok(Compiled::InSet(Box::new(CompiledSet { input, set, has_null, negated })))
}
