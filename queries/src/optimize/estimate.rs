//! Rough numbers of rows: enough to tell a key look-up from a big table, no more.

use crate::exec::expression::comparison::{Comparison, comparison};
use crate::optimize::walk;
use crate::plan::{Expr, JoinKind, Plan, PlanNode, ScanAccess, SetOperationKind};
use crate::relation::{Relation, RelationSchema};
use crate::types::Datum;

/// Rows of a common table expression, a function, and whatever else is not known.
const UNKNOWN: f64 = 100.0;
/// The part of rows that an equality with a value that is not looked up leaves.
const EQUALITY: f64 = 0.1;
/// The part that any other condition leaves.
const CONDITION: f64 = 0.33;
/// The part of rows that share a value of an index that is not unique.
const SHARED_KEY: f64 = 0.001;

/// About how many rows a plan gives.
pub(crate) fn rows(plan: &Plan) -> f64 {
    let estimate = match &plan.node {
        PlanNode::Scan { relation, columns, access, filter } => {
            let all = total(&**relation);
            let found = match access {
                ScanAccess::Full => all,
                ScanAccess::Count => 1.0,
                ScanAccess::IndexAny { index, .. } => 10.0 * keyed(&**relation, *index, 1),
                ScanAccess::Index { index, prefix, lower, upper, .. } => {
                    let bounds = i32::from(lower.is_some()) + i32::from(upper.is_some());
                    keyed(&**relation, *index, prefix.len()) * CONDITION.powi(bounds)
                }
            };
            filter
                .iter()
                .fold(found, |found, filter| filtered(found, filter, Some((&**relation, columns))))
        }
        PlanNode::Values(rows) => count(rows.len()),
        PlanNode::Project { input, .. }
        | PlanNode::Window { input, .. }
        | PlanNode::Sort { input, .. } => rows(input),
        PlanNode::ProjectSet { input, .. } => rows(input) * 10.0,
        PlanNode::Filter { input, predicate } => filtered(rows(input), predicate, None),
        PlanNode::Join { left, right, kind, on, lateral } => {
            join(rows(left), rows(right), *kind, on.as_ref(), *lateral)
        }
        PlanNode::Aggregate { input, group, .. } if !group.is_empty() => {
            (rows(input) * 0.1).max(1.0)
        }
        PlanNode::Aggregate { .. } => 1.0,
        PlanNode::Limit { input, limit, .. } => match limit {
            Some(limit) => rows(input).min(literal(limit).unwrap_or(UNKNOWN)),
            None => rows(input),
        },
        PlanNode::Distinct { input, .. } => rows(input) * 0.5,
        PlanNode::SetOperation { kind, left, right, .. } => match kind {
            SetOperationKind::Union => rows(left) + rows(right),
            SetOperationKind::Intersect | SetOperationKind::Except => rows(left) * 0.5,
        },
        PlanNode::With { body, .. } => rows(body),
        PlanNode::CteScan { .. } | PlanNode::FunctionScan { .. } => UNKNOWN,
        PlanNode::RecursiveUnion { start, .. } => rows(start) * 10.0,
    };
    estimate.max(1.0)
}

/// A number that stands in the statement, or is cast there.
fn literal(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(Datum::Int8(number), _) => Some(count(usize::try_from(*number).ok()?)),
        Expr::Literal(Datum::Int4(number), _) => Some(f64::from(*number)),
        Expr::Call(call) if call.arguments.len() == 1 => literal(&call.arguments[0]),
        _ => None,
    }
}

/// About how many rows of a join there are.
pub(super) fn join(left: f64, right: f64, kind: JoinKind, on: Option<&Expr>, lateral: bool) -> f64 {
    let equal = on.is_some_and(has_equality);
    match kind {
        JoinKind::Semi | JoinKind::Anti => left * 0.5,
        _ if equal => left.max(right),
        _ if on.is_some() => left * right * CONDITION,
        _ if lateral => left * right.min(10.0),
        _ => left * right,
    }
}

/// Whether a condition compares with `=` somewhere.
pub(crate) fn has_equality(condition: &Expr) -> bool {
    let mut found = false;
    walk::visit(condition, 0, &mut |expr, _| found |= is_equality(expr));
    found
}

/// The rows of a relation.
pub(crate) fn total(relation: &dyn Relation) -> f64 {
    count(usize::try_from(relation.estimate()).unwrap_or(usize::MAX)).max(1.0)
}

/// The rows with given values of an index's first columns.
pub(super) fn keyed(relation: &dyn Relation, index: usize, prefix: usize) -> f64 {
    let all = total(relation);
    let Some(index) = relation.schema().indexes.get(index) else { return all };
    match prefix {
        0 => all,
        _ if index.unique && prefix >= index.columns.len() => 1.0,
        _ => (all * SHARED_KEY).clamp(1.0, all),
    }
}

/// The rows that a condition leaves; of a scan it is known which columns have indexes.
fn filtered(rows: f64, condition: &Expr, scan: Option<(&dyn Relation, &[usize])>) -> f64 {
    let conjuncts = walk::conjuncts(condition.clone());
    let keys: Vec<usize> = conjuncts.iter().filter_map(compared_column).collect();
    if let Some((relation, columns)) = scan {
        let keys: Vec<usize> = keys.iter().filter_map(|key| columns.get(*key).copied()).collect();
        if let Some((index, prefix)) = best_index(relation.schema(), &keys) {
            return keyed(relation, index, prefix).min(rows);
        }
    }
    conjuncts.iter().fold(rows, |rows, conjunct| {
        rows * if is_equality(conjunct) { EQUALITY } else { CONDITION }
    })
}

/// The index of which most first columns are among the keys.
pub(super) fn best_index(schema: &RelationSchema, keys: &[usize]) -> Option<(usize, usize)> {
    let prefixes = schema.indexes.iter().enumerate().map(|(place, index)| {
        let prefix = index.columns.iter().take_while(|column| keys.contains(column)).count();
        (place, prefix, index.unique && prefix == index.columns.len())
    });
    prefixes
        .filter(|(_, prefix, _)| *prefix > 0)
        .max_by_key(|(place, prefix, whole)| (*whole, *prefix, std::cmp::Reverse(*place)))
        .map(|(place, prefix, _)| (place, prefix))
}

/// The column of an equality with something that does not depend on the row.
fn compared_column(conjunct: &Expr) -> Option<usize> {
    let Expr::Call(call) = conjunct else { return None };
    if !is_equality(conjunct) {
        return None;
    }
    match &*call.arguments {
        [Expr::Column(column, _), other] | [other, Expr::Column(column, _)] => {
            walk::columns(other).is_empty().then_some(*column)
        }
        _ => None,
    }
}

/// Whether an expression is `=` of plain types.
pub(super) fn is_equality(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if comparison(call.function) == Some(Comparison::Equal))
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "an estimate")]
fn count(count: usize) -> f64 {
    count as f64
}
