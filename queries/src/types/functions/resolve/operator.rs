//! Choosing an operator (chapter 10.2 of the manual; `parse_oper.c`).

use super::candidates::{Candidate, Choice, choose};
use super::{polymorphic, types_literal};
use crate::error::{Result, SqlError, SqlState};
use crate::types::functions::ScalarFunction;
use crate::types::functions::registry::{self, RegisteredOperator};
use crate::types::functions::tables::operators::Operator;
use crate::types::{Datum, PgType};

/// The operator of an expression.
#[derive(Clone, Debug)]
pub struct ResolvedOperator {
    /// The row of `pg_operator`.
    pub operator: &'static Operator,
    /// Its function.
    pub function: &'static ScalarFunction,
    /// The types that the arguments have to be brought to.
    pub arguments: Vec<PgType>,
    /// A literal to pass after the arguments, if the function is [typed](ScalarFunction::typed).
    pub extra: Option<(Datum, PgType)>,
    /// The type of the result.
    pub result: PgType,
}

/// Chooses the operator for arguments of these types; a prefix operator has no left one.
pub fn resolve_operator(
    name: &str,
    left: Option<PgType>,
    right: PgType,
) -> Result<ResolvedOperator> {
    let actual: Vec<PgType> = left.into_iter().chain([right]).collect();
    let of_arity = |it: &&RegisteredOperator| it.operator.left.is_some() == left.is_some();
    let candidates: Vec<RegisteredOperator> =
        registry::operators_named(name).iter().filter(of_arity).copied().collect();
    if let Some(found) = exact(&actual, &candidates) {
        return resolved(found, &actual, &found.operator.arguments());
    }
    let candidates = candidates
        .into_iter()
        .map(|item| Candidate { arguments: item.operator.arguments(), item })
        .collect();
    match choose(&actual, candidates) {
        Choice::One(one) => resolved(one.item, &actual, &one.arguments),
        Choice::None => Err(undefined(name, &actual)),
        Choice::Ambiguous => {
            let message = format!("operator is not unique: {}", signature(name, &actual));
            Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).with_hint(
                "Could not choose a best candidate operator. You might need to add explicit type casts.",
            ))
        }
    }
}

/// An exact match, where an unknown side is first assumed to have the other side's type.
fn exact(actual: &[PgType], candidates: &[RegisteredOperator]) -> Option<RegisteredOperator> {
    let find =
        |types: &[PgType]| candidates.iter().find(|it| it.operator.arguments() == types).copied();
    match *actual {
        [PgType::Unknown, PgType::Unknown] => None,
        [PgType::Unknown, other] | [other, PgType::Unknown] => find(&[other, other]),
        _ => find(actual),
    }
}

fn resolved(
    found: RegisteredOperator,
    actual: &[PgType],
    declared: &[PgType],
) -> Result<ResolvedOperator> {
    let unified = polymorphic::unify(actual, declared)?;
    let arguments: Vec<PgType> = declared
        .iter()
        .zip(actual)
        .map(|(declared, actual)| match declared {
            PgType::Any => Ok(*actual),
            _ => unified.resolve(*declared),
        })
        .collect::<Result<_>>()?;
    let result = unified.resolve(found.operator.result)?;
    let extra = found.function.typed.then(|| types_literal(&arguments, false));
    Ok(ResolvedOperator {
        operator: found.operator,
        function: found.function,
        arguments,
        extra,
        result,
    })
}

fn signature(name: &str, actual: &[PgType]) -> String {
    match actual {
        [left, right] => format!("{left} {name} {right}"),
        [right] => format!("{name} {right}"),
        _ => name.to_owned(),
    }
}

fn undefined(name: &str, actual: &[PgType]) -> SqlError {
    let message = format!("operator does not exist: {}", signature(name, actual));
    let hint = if actual.len() == 1 {
        "No operator matches the given name and argument type. You might need to add an explicit type cast."
    } else {
        "No operator matches the given name and argument types. You might need to add explicit type casts."
    };
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(hint)
}
