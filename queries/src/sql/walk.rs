//! Walks over expressions and plans, knowing how many rows out each place is.
//!
//! A subquery's plan, and the right side of a lateral join, stand one level further in: what is `Column` outside is
//! `Outer` of depth 1 there. Every walk counts these levels, so that a reference to one row is found wherever it is.

use crate::plan::{
    AggregateCall, Expr, Frame, FrameBound, Plan, PlanNode, ProjectSetItem, SetCall, SortKey,
    SubqueryKind, WindowCall,
};

/// Calls `visit` for an expression and everything in it, outermost first. `visit` is told the level, counted from 0
/// where the walk began, and says whether to go on into the parts.
pub(super) fn walk_expr(
    expr: &mut Expr,
    level: usize,
    visit: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    if !visit(expr, level) {
        return;
    }
    match expr {
        Expr::Literal(..)
        | Expr::Parameter(..)
        | Expr::Column(..)
        | Expr::Outer { .. }
        | Expr::Grouping(_) => {}
        Expr::Call(call) => walk_all(&mut call.arguments, level, visit),
        Expr::And(parts) | Expr::Or(parts) | Expr::Row(parts) | Expr::Coalesce(parts, _) => {
            walk_all(parts, level, visit);
        }
        Expr::Extreme { inputs, .. } => walk_all(inputs, level, visit),
        Expr::Array { elements, .. } => walk_all(elements, level, visit),
        Expr::Not(input) | Expr::IsNull(input) | Expr::IsNotNull(input) => {
            walk_expr(input, level, visit);
        }
        Expr::IsBool { input, .. } => walk_expr(input, level, visit),
        Expr::Field { record, .. } => walk_expr(record, level, visit),
        Expr::IsDistinct { left, right, .. } => {
            walk_expr(left, level, visit);
            walk_expr(right, level, visit);
        }
        Expr::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                walk_expr(condition, level, visit);
                walk_expr(result, level, visit);
            }
            walk_expr(otherwise, level, visit);
        }
        Expr::Subscript { array, indexes, .. } => {
            walk_expr(array, level, visit);
            walk_all(indexes, level, visit);
        }
        Expr::Slice { array, bounds, .. } => {
            walk_expr(array, level, visit);
            for (lower, upper) in bounds {
                lower.iter_mut().chain(upper).for_each(|bound| walk_expr(bound, level, visit));
            }
        }
        Expr::Quantified { left, array, .. } => {
            walk_expr(left, level, visit);
            walk_expr(array, level, visit);
        }
        Expr::InList { input, items, .. } => {
            walk_expr(input, level, visit);
            walk_all(items, level, visit);
        }
        Expr::Subquery(subquery) => {
            if let SubqueryKind::Quantified { left, .. } = &mut subquery.kind {
                walk_all(left, level, visit);
            }
            walk_plan(&mut subquery.plan, level + 1, visit);
        }
    }
}

fn walk_all(
    expressions: &mut [Expr],
    level: usize,
    visit: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    for expression in expressions {
        walk_expr(expression, level, visit);
    }
}

fn walk_keys(keys: &mut [SortKey], level: usize, visit: &mut dyn FnMut(&mut Expr, usize) -> bool) {
    for key in keys {
        walk_expr(&mut key.expression, level, visit);
    }
}

/// Calls `visit` for every expression of a plan that stands at a level.
pub(super) fn walk_plan(
    plan: &mut Plan,
    level: usize,
    visit: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    match &mut plan.node {
        PlanNode::CteScan { .. } => {}
        PlanNode::Scan { filter, .. } => walk_all(filter.as_mut_slice(), level, visit),
        PlanNode::Values(rows) => {
            for row in rows {
                walk_all(row, level, visit);
            }
        }
        PlanNode::Project { input, expressions } => {
            walk_plan(input, level, visit);
            walk_all(expressions, level, visit);
        }
        PlanNode::ProjectSet { input, items } => {
            walk_plan(input, level, visit);
            for item in items {
                match item {
                    ProjectSetItem::Expr(expr) => walk_expr(expr, level, visit),
                    ProjectSetItem::Set(call) => walk_set_call(call, level, visit),
                }
            }
        }
        PlanNode::Filter { input, predicate } => {
            walk_plan(input, level, visit);
            walk_expr(predicate, level, visit);
        }
        PlanNode::Join { left, right, on, lateral, .. } => {
            walk_plan(left, level, visit);
            walk_plan(right, level + usize::from(*lateral), visit);
            walk_all(on.as_mut_slice(), level, visit);
        }
        PlanNode::Aggregate { input, group, aggregates, .. } => {
            walk_plan(input, level, visit);
            walk_all(group, level, visit);
            for call in aggregates {
                walk_aggregate(call, level, visit);
            }
        }
        PlanNode::Window { input, calls } => {
            walk_plan(input, level, visit);
            for call in calls {
                walk_window(call, level, visit);
            }
        }
        PlanNode::Sort { input, keys } => {
            walk_plan(input, level, visit);
            walk_keys(keys, level, visit);
        }
        PlanNode::Limit { input, limit, offset, ties } => {
            walk_plan(input, level, visit);
            limit.iter_mut().chain(offset).for_each(|expr| walk_expr(expr, level, visit));
            if let Some(ties) = ties {
                walk_keys(ties, level, visit);
            }
        }
        PlanNode::Distinct { input, on } => {
            walk_plan(input, level, visit);
            walk_all(on.as_deref_mut().unwrap_or_default(), level, visit);
        }
        PlanNode::FunctionScan { calls, .. } => {
            for call in calls {
                walk_set_call(call, level, visit);
            }
        }
        PlanNode::SetOperation { .. } | PlanNode::With { .. } | PlanNode::RecursiveUnion { .. } => {
            walk_branches(plan, level, visit);
        }
    }
}

/// Calls `visit` for the expressions of a plan that is made of whole queries.
fn walk_branches(plan: &mut Plan, level: usize, visit: &mut dyn FnMut(&mut Expr, usize) -> bool) {
    match &mut plan.node {
        PlanNode::SetOperation { left, right, .. } => {
            walk_plan(left, level, visit);
            walk_plan(right, level, visit);
        }
        PlanNode::With { ctes, body } => {
            for (_, cte) in ctes {
                walk_plan(std::sync::Arc::make_mut(cte), level, visit);
            }
            walk_plan(body, level, visit);
        }
        PlanNode::RecursiveUnion { start, step, .. } => {
            walk_plan(start, level, visit);
            walk_plan(step, level, visit);
        }
        _ => {}
    }
}

/// Calls `visit` for the expressions of a set-returning call.
pub(super) fn walk_set_call(
    call: &mut SetCall,
    level: usize,
    visit: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    walk_all(&mut call.arguments, level, visit);
}

/// Calls `visit` for the expressions of an aggregate.
pub(super) fn walk_aggregate(
    call: &mut AggregateCall,
    level: usize,
    visit: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    walk_all(&mut call.arguments, level, visit);
    walk_keys(&mut call.order, level, visit);
    if let Some(filter) = &mut call.filter {
        walk_expr(filter, level, visit);
    }
}

/// Calls `visit` for the expressions of a window call.
pub(super) fn walk_window(
    call: &mut WindowCall,
    level: usize,
    visit: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    walk_all(&mut call.arguments, level, visit);
    walk_all(&mut call.partition, level, visit);
    walk_keys(&mut call.order, level, visit);
    if let Some(filter) = &mut call.filter {
        walk_expr(filter, level, visit);
    }
    let Frame { start, end, .. } = &mut call.frame;
    for bound in [start, end] {
        if let FrameBound::Preceding(expr) | FrameBound::Following(expr) = bound {
            walk_expr(expr, level, visit);
        }
    }
}

/// The column of the row at level 0 that an expression at a level is, if it is one.
pub(super) fn column_of(expr: &Expr, level: usize) -> Option<usize> {
    match expr {
        Expr::Column(column, _) if level == 0 => Some(*column),
        Expr::Outer { depth, column, .. } if level > 0 && *depth == level => Some(*column),
        _ => None,
    }
}

/// Makes an expression at a level a reference to another column of the row at level 0.
pub(super) fn set_column(expr: &mut Expr, to: usize) {
    if let Expr::Column(column, _) | Expr::Outer { column, .. } = expr {
        *column = to;
    }
}

/// Takes away a row between a plan and the rows outside: a lateral row that nothing refers to.
pub(super) fn lower_plan(plan: &mut Plan) {
    walk_plan(plan, 0, &mut |expr, level| {
        if let Expr::Outer { depth, .. } = expr
            && *depth > level
        {
            *depth -= 1;
        }
        true
    });
}

/// Adds a number to every column of the row that an expression is over.
pub(super) fn shift_expr(expr: &mut Expr, by: usize) {
    walk_expr(expr, 0, &mut |expr, level| {
        if let Some(column) = column_of(expr, level) {
            set_column(expr, column + by);
        }
        true
    });
}

/// Whether an expression refers to the row that it is over.
pub(super) fn uses_row(expr: &Expr) -> bool {
    let mut found = false;
    walk_expr(&mut expr.clone(), 0, &mut |expr, level| {
        found |= column_of(expr, level).is_some();
        !found
    });
    found
}

/// Whether two expressions over the same row are written alike. Types of columns do not count: they only say how the
/// value is seen.
pub(super) fn same(left: &Expr, right: &Expr) -> bool {
    match (left, right) {
        (Expr::Column(a, _), Expr::Column(b, _))
        | (Expr::Parameter(a, _), Expr::Parameter(b, _)) => a == b,
        (Expr::Outer { depth: a, column: b, .. }, Expr::Outer { depth: c, column: d, .. }) => {
            (a, b) == (c, d)
        }
        (Expr::Literal(a, ty), Expr::Literal(b, other)) => {
            ty == other && format!("{a:?}") == format!("{b:?}")
        }
        (Expr::Call(a), Expr::Call(b)) => {
            std::ptr::eq(a.function, b.function)
                && a.ty == b.ty
                && same_all(&a.arguments, &b.arguments)
        }
        (Expr::And(a), Expr::And(b))
        | (Expr::Or(a), Expr::Or(b))
        | (Expr::Row(a), Expr::Row(b))
        | (Expr::Coalesce(a, _), Expr::Coalesce(b, _)) => same_all(a, b),
        (Expr::Not(a), Expr::Not(b))
        | (Expr::IsNull(a), Expr::IsNull(b))
        | (Expr::IsNotNull(a), Expr::IsNotNull(b)) => same(a, b),
        // Rarer forms: their text is the same only if they are.
        (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => {
            format!("{a:?}") == format!("{b:?}")
        }
        _ => false,
    }
}

fn same_all(left: &[Expr], right: &[Expr]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}
