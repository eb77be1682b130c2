//! Which conditions cannot be true of a row whose columns from one side are all null: they turn outer joins into
//! inner ones.

use crate::optimize::walk;
use crate::plan::Expr;

/// Whether a condition is never true when all the given columns are null.
pub(super) fn rejects_nulls(condition: &Expr, of_side: &dyn Fn(usize) -> bool) -> bool {
    match condition {
        Expr::And(inputs) => inputs.iter().any(|input| rejects_nulls(input, of_side)),
        Expr::Or(inputs) => inputs.iter().all(|input| rejects_nulls(input, of_side)),
        Expr::IsNotNull(input)
        | Expr::IsBool { input, negated: false, .. }
        | Expr::InList { input, .. }
        | Expr::Not(input) => is_null(input, of_side),
        Expr::Quantified { left, operator, all: false, .. } => {
            operator.strict && is_null(left, of_side)
        }
        _ => is_null(condition, of_side),
    }
}

/// Whether an expression is null when all the given columns are.
fn is_null(expr: &Expr, of_side: &dyn Fn(usize) -> bool) -> bool {
    match expr {
        Expr::Column(column, _) => of_side(*column),
        Expr::Call(call) => {
            call.function.strict && call.arguments.iter().any(|argument| is_null(argument, of_side))
        }
        Expr::Not(input) => is_null(input, of_side),
        Expr::Coalesce(inputs, _) => {
            !inputs.is_empty() && inputs.iter().all(|input| is_null(input, of_side))
        }
        Expr::Literal(value, _) => value.is_null(),
        _ => false,
    }
}

/// Whether a condition refers to columns of one side only.
pub(super) fn is_of(condition: &Expr, of_side: &dyn Fn(usize) -> bool) -> bool {
    walk::columns(condition).into_iter().all(of_side)
}
