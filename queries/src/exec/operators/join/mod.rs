//! Joins: by hashing where columns have to be equal, by loops otherwise.

mod hash;
mod nested;

use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::expression::comparable;
use crate::exec::expression::comparison::{Comparison, comparison};
use crate::exec::operators::BoxOperator;
use crate::optimize::walk;
use crate::plan::{Expr, JoinKind, Plan};

/// A join condition taken apart.
#[derive(Debug, Default)]
pub(crate) struct JoinCondition {
    /// Over the left row.
    pub(crate) left_keys: Vec<Expr>,
    /// Over the right row, each equal to the left key of the same place.
    pub(crate) right_keys: Vec<Expr>,
    /// What is left, over both rows.
    pub(crate) residual: Vec<Expr>,
}

impl JoinCondition {
    /// Finds the equalities between the two sides.
    pub(crate) fn split(on: Option<&Expr>, left_width: usize) -> Self {
        let mut condition = Self::default();
        for conjunct in on.cloned().map(walk::conjuncts).unwrap_or_default() {
            match equality(&conjunct, left_width) {
                Some((left, right)) => {
                    condition.left_keys.push(left);
                    condition.right_keys.push(right);
                }
                None => condition.residual.push(conjunct),
            }
        }
        condition
    }
}

/// The two sides of an equality between a left and a right expression, the right one over the right row alone.
fn equality(conjunct: &Expr, left_width: usize) -> Option<(Expr, Expr)> {
    let Expr::Call(call) = conjunct else { return None };
    if comparison(call.function) != Some(Comparison::Equal) {
        return None;
    }
    let [first, second] = &*call.arguments else { return None };
    let of_left = |expr: &Expr| walk::columns(expr).last().is_some_and(|last| *last < left_width);
    let of_right =
        |expr: &Expr| walk::columns(expr).first().is_some_and(|first| *first >= left_width);
    let (left, right) = if of_left(first) && of_right(second) {
        (first, second)
    } else if of_left(second) && of_right(first) {
        (second, first)
    } else {
        return None;
    };
    if !walk::is_repeatable(left) || !walk::is_repeatable(right) {
        return None;
    }
    let mut right = right.clone();
    walk::renumber(&mut right, &|column| column - left_width);
    Some((comparable(left).into_owned(), comparable(&right).into_owned()))
}

/// Builds a join.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    left: &Plan,
    right: &Plan,
    kind: JoinKind,
    on: Option<&Expr>,
    lateral: bool,
) -> Result<BoxOperator> {
    let widths = (left.columns.len(), right.columns.len());
    if lateral {
        let left = builder.operator(left)?;
        let right = builder.operator_inside(right)?;
        return nested::build(builder, left, right, widths, kind, on, true);
    }
    let condition = JoinCondition::split(on, widths.0);
    let left = builder.operator(left)?;
    if condition.left_keys.is_empty() {
        let right = builder.operator(right)?;
        return nested::build(builder, left, right, widths, kind, on, false);
    }
    let right = builder.share(right)?;
    hash::build(builder, left, right, widths, kind, condition)
}
