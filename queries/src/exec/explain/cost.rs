//! What a plan may cost, in PostgreSQL's unit: the time to read a page in sequence is 1.
//!
//! The numbers follow PostgreSQL's formulas as far as they make sense here, so that plans can be compared with each
//! other. Nothing is chosen by them: the optimiser has its own rules.

use crate::optimize::estimate;
use crate::plan::{Expr, Plan, PlanNode, ScanAccess};

/// What is expected of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    /// The cost until the first row comes.
    pub(super) startup: f64,
    /// The cost of all rows.
    pub(super) total: f64,
    /// The rows.
    pub(super) rows: f64,
    /// The bytes of a row.
    pub(super) width: u32,
}

/// The cost of looking at a row, at an entry of an index, and of an operator.
const ROW: f64 = 0.01;
const INDEX_ROW: f64 = 0.005;
const OPERATOR: f64 = 0.0025;
/// The cost of a page that is not read in sequence, and the bytes of a page.
const RANDOM_PAGE: f64 = 4.0;
const PAGE_BYTES: f64 = 8192.0;
/// The bytes that a value of a type without a fixed length may have.
const VARYING_WIDTH: u32 = 32;
/// The cost of a function that gives rows, and its rows.
const FUNCTION: f64 = 10.0;

impl Estimate {
    /// The estimate for a node, from those of its inputs in their order.
    pub(super) fn of(plan: &Plan, inputs: &[Self]) -> Self {
        let rows = estimate::rows(plan).round();
        let (startup, total) = costs(plan, rows, inputs);
        Self { startup, total, rows, width: width(plan) }
    }
}

/// The bytes of a plan's rows.
fn width(plan: &Plan) -> u32 {
    let of_column = |column: &crate::plan::OutputColumn| {
        u32::try_from(column.ty.row().length).unwrap_or(VARYING_WIDTH)
    };
    plan.columns.iter().map(of_column).sum()
}

/// The costs until the first row and until the last.
fn costs(plan: &Plan, rows: f64, inputs: &[Estimate]) -> (f64, f64) {
    let none = Estimate { startup: 0.0, total: 0.0, rows: 0.0, width: 0 };
    let first = inputs.first().copied().unwrap_or(none);
    match &plan.node {
        PlanNode::Scan { relation, access, filter, .. } => {
            let filters = conditions(filter.as_ref());
            match access {
                ScanAccess::Full => {
                    let all = estimate::total(&**relation);
                    let pages = (all * f64::from(width(plan)) / PAGE_BYTES).ceil();
                    (0.0, pages + all * (ROW + filters * OPERATOR))
                }
                ScanAccess::Count => (0.0, ROW),
                ScanAccess::Index { .. } | ScanAccess::IndexAny { .. } => {
                    // Rows that lie beside each other in the index share their pages.
                    let pages = 1.0 + rows * f64::from(width(plan).max(1)) / PAGE_BYTES;
                    let each = INDEX_ROW + ROW + filters * OPERATOR;
                    (0.28, 0.28 + 2.0 * RANDOM_PAGE * pages + rows * each)
                }
            }
        }
        PlanNode::Values(values) if values.len() == 1 => (0.0, ROW),
        PlanNode::Values(_) => (0.0, rows * (ROW + OPERATOR)),
        PlanNode::Project { expressions, .. } => {
            let computed =
                expressions.iter().filter(|it| !matches!(it, Expr::Column(..) | Expr::Literal(..)));
            (first.startup, first.total + rows * OPERATOR * count(computed.count()))
        }
        PlanNode::ProjectSet { .. } => (first.startup, first.total + rows * ROW),
        PlanNode::Filter { predicate, .. } => {
            let filters = conditions(Some(predicate));
            (first.startup, first.total + first.rows * filters * OPERATOR)
        }
        PlanNode::Join { on, lateral, .. } => {
            let second = inputs.get(1).copied().unwrap_or(none);
            join(first, second, rows, on.as_ref(), *lateral)
        }
        PlanNode::Aggregate { .. } | PlanNode::Distinct { .. } => {
            let start = first.total + first.rows * OPERATOR;
            (start, start + rows * ROW)
        }
        PlanNode::Window { calls, .. } => {
            (sorted(first), sorted(first) + rows * (ROW + count(calls.len()) * OPERATOR))
        }
        PlanNode::Sort { .. } => (sorted(first), sorted(first) + rows * OPERATOR),
        PlanNode::Limit { .. } => {
            let part = if first.rows > 0.0 { (rows / first.rows).min(1.0) } else { 1.0 };
            (first.startup, first.startup + (first.total - first.startup) * part)
        }
        PlanNode::SetOperation { all, .. } => {
            let total: f64 = inputs.iter().map(|input| input.total).sum();
            let read: f64 = inputs.iter().map(|input| input.rows).sum();
            if *all {
                (first.startup, total + rows * OPERATOR)
            } else {
                (total + read * ROW, total + (read + rows) * ROW)
            }
        }
        PlanNode::With { .. } => {
            let body = inputs.last().copied().unwrap_or(none);
            let before: f64 = inputs.iter().rev().skip(1).map(|input| input.total).sum();
            (body.startup + before, body.total + before)
        }
        PlanNode::CteScan { .. } => (0.0, rows * 2.0 * ROW),
        PlanNode::RecursiveUnion { .. } => {
            let step = inputs.get(1).copied().unwrap_or(none);
            (first.startup, first.total + FUNCTION * step.total + rows * ROW)
        }
        PlanNode::FunctionScan { .. } => (0.0, rows * ROW),
    }
}

fn join(
    left: Estimate,
    right: Estimate,
    rows: f64,
    on: Option<&Expr>,
    lateral: bool,
) -> (f64, f64) {
    if lateral {
        return (left.startup, left.total + left.rows * right.total + rows * ROW);
    }
    let hashed = on.is_some_and(estimate::has_equality);
    let start = left.startup + right.total;
    if hashed {
        (start, left.total + right.total + (left.rows + right.rows) * OPERATOR + rows * ROW)
    } else {
        let compared = left.rows * right.rows * conditions(on).max(1.0) * OPERATOR;
        (start, left.total + right.total + compared + rows * ROW)
    }
}

/// The cost of the input and of sorting it.
fn sorted(input: Estimate) -> f64 {
    input.total + 2.0 * OPERATOR * input.rows * input.rows.max(2.0).log2()
}

fn conditions(condition: Option<&Expr>) -> f64 {
    match condition {
        None => 0.0,
        Some(Expr::And(items)) => count(items.len()),
        Some(_) => 1.0,
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "an estimate")]
fn count(count: usize) -> f64 {
    count as f64
}
