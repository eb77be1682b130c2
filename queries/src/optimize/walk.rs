//! Going over plans and expressions: their parts, the columns they refer to, and how references change when an
//! expression moves to another row.
//!
//! *Level* counts how many rows stand between a reference and the row that a question is about: 0 in the
//! expression itself, one more inside each subquery and each lateral right side. There, [`Expr::Outer`] of a
//! depth equal to the level is a column of the row in question, and a greater depth reaches beyond it.

use std::collections::BTreeSet;

use crate::plan::{
    AggregateCall, Expr, FrameBound, Plan, PlanNode, ProjectSetItem, ScanAccess, SetCall, SortKey,
    Subquery, SubqueryKind, WindowCall,
};
use crate::types::PgType;
use crate::types::functions::Volatility;

/// Calls `f` for each direct part of an expression; of a subquery, only the expressions over the same row.
pub(crate) fn parts<'a>(expr: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    match expr {
        Expr::Literal(..)
        | Expr::Parameter(..)
        | Expr::Column(..)
        | Expr::Outer { .. }
        | Expr::Grouping(_) => {}
        Expr::Call(call) => call.arguments.iter().for_each(f),
        Expr::And(inputs)
        | Expr::Or(inputs)
        | Expr::Coalesce(inputs, _)
        | Expr::Row(inputs)
        | Expr::Extreme { inputs, .. }
        | Expr::Array { elements: inputs, .. } => inputs.iter().for_each(f),
        Expr::Not(input)
        | Expr::IsNull(input)
        | Expr::IsNotNull(input)
        | Expr::IsBool { input, .. }
        | Expr::Field { record: input, .. } => f(input),
        Expr::IsDistinct { left, right, .. } | Expr::Quantified { left, array: right, .. } => {
            f(left);
            f(right);
        }
        Expr::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                f(condition);
                f(result);
            }
            f(otherwise);
        }
        Expr::Subscript { array, indexes, .. } => {
            f(array);
            indexes.iter().for_each(f);
        }
        Expr::Slice { array, bounds, .. } => {
            f(array);
            bounds.iter().flat_map(|(lower, upper)| lower.iter().chain(upper)).for_each(f);
        }
        Expr::InList { input, items, .. } => {
            f(input);
            items.iter().for_each(f);
        }
        Expr::Subquery(subquery) => {
            if let SubqueryKind::Quantified { left, .. } = &subquery.kind {
                left.iter().for_each(f);
            }
        }
    }
}

/// The same, to change them.
pub(crate) fn parts_mut(expr: &mut Expr, f: &mut dyn FnMut(&mut Expr)) {
    match expr {
        Expr::Literal(..)
        | Expr::Parameter(..)
        | Expr::Column(..)
        | Expr::Outer { .. }
        | Expr::Grouping(_) => {}
        Expr::Call(call) => call.arguments.iter_mut().for_each(f),
        Expr::And(inputs)
        | Expr::Or(inputs)
        | Expr::Coalesce(inputs, _)
        | Expr::Row(inputs)
        | Expr::Extreme { inputs, .. }
        | Expr::Array { elements: inputs, .. } => inputs.iter_mut().for_each(f),
        Expr::Not(input)
        | Expr::IsNull(input)
        | Expr::IsNotNull(input)
        | Expr::IsBool { input, .. }
        | Expr::Field { record: input, .. } => f(input),
        Expr::IsDistinct { left, right, .. } | Expr::Quantified { left, array: right, .. } => {
            f(left);
            f(right);
        }
        Expr::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                f(condition);
                f(result);
            }
            f(otherwise);
        }
        Expr::Subscript { array, indexes, .. } => {
            f(array);
            indexes.iter_mut().for_each(f);
        }
        Expr::Slice { array, bounds, .. } => {
            f(array);
            bounds.iter_mut().flat_map(|(lower, upper)| lower.iter_mut().chain(upper)).for_each(f);
        }
        Expr::InList { input, items, .. } => {
            f(input);
            items.iter_mut().for_each(f);
        }
        Expr::Subquery(subquery) => {
            if let SubqueryKind::Quantified { left, .. } = &mut subquery.kind {
                left.iter_mut().for_each(f);
            }
        }
    }
}

/// Calls `f` for each expression that stands directly in a plan's node.
pub(crate) fn expressions<'a>(node: &'a PlanNode, f: &mut dyn FnMut(&'a Expr)) {
    match node {
        PlanNode::Scan { access, filter, .. } => {
            access_expressions(access, f);
            filter.iter().for_each(f);
        }
        PlanNode::Values(rows) => rows.iter().flatten().for_each(f),
        PlanNode::Project { expressions, .. } => expressions.iter().for_each(f),
        PlanNode::ProjectSet { items, .. } => items.iter().for_each(|item| match item {
            ProjectSetItem::Expr(expr) => f(expr),
            ProjectSetItem::Set(call) => call.arguments.iter().for_each(&mut *f),
        }),
        PlanNode::Filter { predicate, .. } => f(predicate),
        PlanNode::Join { on, .. } => on.iter().for_each(f),
        PlanNode::Aggregate { group, aggregates, .. } => {
            group.iter().for_each(&mut *f);
            for call in aggregates {
                aggregate_expressions(call, f);
            }
        }
        PlanNode::Window { calls, .. } => calls.iter().for_each(|call| window_expressions(call, f)),
        PlanNode::Sort { keys, .. } => keys.iter().for_each(|key| f(&key.expression)),
        PlanNode::Limit { limit, offset, ties, .. } => {
            limit.iter().chain(offset).for_each(&mut *f);
            ties.iter().flatten().for_each(|key| f(&key.expression));
        }
        PlanNode::Distinct { on, .. } => on.iter().flatten().for_each(f),
        PlanNode::FunctionScan { calls, .. } => {
            calls.iter().flat_map(|call| &call.arguments).for_each(f);
        }
        PlanNode::SetOperation { .. }
        | PlanNode::With { .. }
        | PlanNode::CteScan { .. }
        | PlanNode::RecursiveUnion { .. } => {}
    }
}

fn access_expressions<'a>(access: &'a ScanAccess, f: &mut dyn FnMut(&'a Expr)) {
    match access {
        ScanAccess::Full | ScanAccess::Count => {}
        ScanAccess::Index { prefix, lower, upper, .. } => {
            prefix.iter().chain(lower.iter().chain(upper).map(|(bound, _)| bound)).for_each(f);
        }
        ScanAccess::IndexAny { keys, .. } => f(keys),
    }
}

fn aggregate_expressions<'a>(call: &'a AggregateCall, f: &mut dyn FnMut(&'a Expr)) {
    call.arguments
        .iter()
        .chain(call.order.iter().map(|key| &key.expression))
        .chain(&call.filter)
        .for_each(f);
}

fn window_expressions<'a>(call: &'a WindowCall, f: &mut dyn FnMut(&'a Expr)) {
    call.arguments.iter().chain(&call.filter).chain(&call.partition).for_each(&mut *f);
    for key in &call.order {
        f(&key.expression);
    }
    for bound in [&call.frame.start, &call.frame.end] {
        if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
            f(offset);
        }
    }
}

/// The same, to change them.
pub(crate) fn expressions_mut(node: &mut PlanNode, f: &mut dyn FnMut(&mut Expr)) {
    let keys_mut = |keys: &mut [SortKey], f: &mut dyn FnMut(&mut Expr)| {
        for key in keys {
            f(&mut key.expression);
        }
    };
    let calls_mut =
        |call: &mut SetCall, f: &mut dyn FnMut(&mut Expr)| call.arguments.iter_mut().for_each(f);
    match node {
        PlanNode::Scan { access, filter, .. } => {
            access_expressions_mut(access, f);
            filter.iter_mut().for_each(f);
        }
        PlanNode::Values(rows) => rows.iter_mut().flatten().for_each(f),
        PlanNode::Project { expressions, .. } => expressions.iter_mut().for_each(f),
        PlanNode::ProjectSet { items, .. } => items.iter_mut().for_each(|item| match item {
            ProjectSetItem::Expr(expr) => f(expr),
            ProjectSetItem::Set(call) => calls_mut(call, f),
        }),
        PlanNode::Filter { predicate, .. } => f(predicate),
        PlanNode::Join { on, .. } => on.iter_mut().for_each(f),
        PlanNode::Aggregate { group, aggregates, .. } => {
            group.iter_mut().for_each(&mut *f);
            for call in aggregates {
                call.arguments.iter_mut().for_each(&mut *f);
                keys_mut(&mut call.order, f);
                call.filter.iter_mut().for_each(&mut *f);
            }
        }
        PlanNode::Window { calls, .. } => {
            for call in calls {
                window_expressions_mut(call, f);
            }
        }
        PlanNode::Sort { keys, .. } => keys_mut(keys, f),
        PlanNode::Limit { limit, offset, ties, .. } => {
            limit.iter_mut().chain(offset).for_each(&mut *f);
            if let Some(keys) = ties {
                keys_mut(keys, f);
            }
        }
        PlanNode::Distinct { on, .. } => on.iter_mut().flatten().for_each(f),
        PlanNode::FunctionScan { calls, .. } => {
            for call in calls {
                calls_mut(call, f);
            }
        }
        PlanNode::SetOperation { .. }
        | PlanNode::With { .. }
        | PlanNode::CteScan { .. }
        | PlanNode::RecursiveUnion { .. } => {}
    }
}

fn access_expressions_mut(access: &mut ScanAccess, f: &mut dyn FnMut(&mut Expr)) {
    match access {
        ScanAccess::Full | ScanAccess::Count => {}
        ScanAccess::Index { prefix, lower, upper, .. } => {
            prefix
                .iter_mut()
                .chain(lower.iter_mut().chain(upper).map(|(bound, _)| bound))
                .for_each(f);
        }
        ScanAccess::IndexAny { keys, .. } => f(keys),
    }
}

fn window_expressions_mut(call: &mut WindowCall, f: &mut dyn FnMut(&mut Expr)) {
    call.arguments.iter_mut().chain(&mut call.filter).chain(&mut call.partition).for_each(&mut *f);
    for key in &mut call.order {
        f(&mut key.expression);
    }
    for bound in [&mut call.frame.start, &mut call.frame.end] {
        if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
            f(offset);
        }
    }
}

/// Calls `f` for each input of a plan's node, with how many rows it adds between itself and the enclosing rows.
pub(crate) fn inputs<'a>(node: &'a PlanNode, f: &mut dyn FnMut(&'a Plan, usize)) {
    match node {
        PlanNode::Scan { .. }
        | PlanNode::Values(_)
        | PlanNode::CteScan { .. }
        | PlanNode::FunctionScan { .. } => {}
        PlanNode::Project { input, .. }
        | PlanNode::ProjectSet { input, .. }
        | PlanNode::Filter { input, .. }
        | PlanNode::Aggregate { input, .. }
        | PlanNode::Window { input, .. }
        | PlanNode::Sort { input, .. }
        | PlanNode::Limit { input, .. }
        | PlanNode::Distinct { input, .. } => f(input, 0),
        PlanNode::Join { left, right, lateral, .. } => {
            f(left, 0);
            f(right, usize::from(*lateral));
        }
        PlanNode::SetOperation { left, right, .. }
        | PlanNode::RecursiveUnion { start: left, step: right, .. } => {
            f(left, 0);
            f(right, 0);
        }
        PlanNode::With { ctes, body } => {
            for (_, plan) in ctes {
                f(plan, 0);
            }
            f(body, 0);
        }
    }
}

/// The same, to change them. Common table expressions that are shared are copied.
pub(crate) fn inputs_mut(node: &mut PlanNode, f: &mut dyn FnMut(&mut Plan, usize)) {
    match node {
        PlanNode::Scan { .. }
        | PlanNode::Values(_)
        | PlanNode::CteScan { .. }
        | PlanNode::FunctionScan { .. } => {}
        PlanNode::Project { input, .. }
        | PlanNode::ProjectSet { input, .. }
        | PlanNode::Filter { input, .. }
        | PlanNode::Aggregate { input, .. }
        | PlanNode::Window { input, .. }
        | PlanNode::Sort { input, .. }
        | PlanNode::Limit { input, .. }
        | PlanNode::Distinct { input, .. } => f(input, 0),
        PlanNode::Join { left, right, lateral, .. } => {
            f(left, 0);
            f(right, usize::from(*lateral));
        }
        PlanNode::SetOperation { left, right, .. }
        | PlanNode::RecursiveUnion { start: left, step: right, .. } => {
            f(left, 0);
            f(right, 0);
        }
        PlanNode::With { ctes, body } => {
            for (_, plan) in ctes {
                f(std::sync::Arc::make_mut(plan), 0);
            }
            f(body, 0);
        }
    }
}

/// Calls `f` for each expression within an expression, itself included, subqueries' plans included, with its level.
pub(crate) fn visit<'a>(expr: &'a Expr, level: usize, f: &mut dyn FnMut(&'a Expr, usize)) {
    f(expr, level);
    parts(expr, &mut |part| visit(part, level, f));
    if let Expr::Subquery(subquery) = expr {
        visit_plan(&subquery.plan, level + 1, f);
    }
}

/// The same for all expressions of a plan.
pub(crate) fn visit_plan<'a>(plan: &'a Plan, level: usize, f: &mut dyn FnMut(&'a Expr, usize)) {
    expressions(&plan.node, &mut |expr| visit(expr, level, f));
    inputs(&plan.node, &mut |input, deeper| visit_plan(input, level + deeper, f));
}

/// Changes each expression within an expression, from the leaves up.
pub(crate) fn transform(expr: &mut Expr, level: usize, f: &mut dyn FnMut(&mut Expr, usize)) {
    parts_mut(expr, &mut |part| transform(part, level, f));
    if let Expr::Subquery(subquery) = expr {
        transform_plan(&mut subquery.plan, level + 1, f);
    }
    f(expr, level);
}

/// The same for all expressions of a plan.
pub(crate) fn transform_plan(plan: &mut Plan, level: usize, f: &mut dyn FnMut(&mut Expr, usize)) {
    expressions_mut(&mut plan.node, &mut |expr| transform(expr, level, f));
    inputs_mut(&mut plan.node, &mut |input, deeper| transform_plan(input, level + deeper, f));
}

/// The column of the row in question that an expression at some level is, if it is one.
pub(crate) fn column_at(expr: &Expr, level: usize) -> Option<(usize, PgType)> {
    match expr {
        Expr::Column(column, ty) if level == 0 => Some((*column, *ty)),
        Expr::Outer { depth, column, ty } if level > 0 && *depth == level => Some((*column, *ty)),
        _ => None,
    }
}

/// The columns of its row that an expression refers to.
pub(crate) fn columns(expr: &Expr) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    collect_columns(expr, &mut columns);
    columns
}

/// Adds the columns of its row that an expression refers to.
pub(crate) fn collect_columns(expr: &Expr, columns: &mut BTreeSet<usize>) {
    visit(expr, 0, &mut |expr, level| {
        columns.extend(column_at(expr, level).map(|(column, _)| column));
    });
}

/// The columns of enclosing rows that a plan refers to: depth, counted from the plan, and column.
pub(crate) fn outer_references(plan: &Plan) -> BTreeSet<(usize, usize)> {
    let mut references = BTreeSet::new();
    visit_plan(plan, 0, &mut |expr, level| {
        if let Expr::Outer { depth, column, .. } = expr
            && *depth > level
        {
            references.insert((depth - level, *column));
        }
    });
    references
}

/// Whether an expression gives the same value whenever it is evaluated over the same row.
pub(crate) fn is_repeatable(expr: &Expr) -> bool {
    let mut repeatable = true;
    visit(expr, 0, &mut |expr, _| repeatable &= !is_volatile_call(expr));
    repeatable
}

/// The same for a plan and its enclosing rows.
pub(crate) fn is_repeatable_plan(plan: &Plan) -> bool {
    let mut repeatable = true;
    visit_plan(plan, 0, &mut |expr, _| repeatable &= !is_volatile_call(expr));
    repeatable
}

fn is_volatile_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if call.function.volatility == Volatility::Volatile)
}

/// Whether an expression holds a subquery.
pub(crate) fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    visit(expr, 0, &mut |expr, _| found |= matches!(expr, Expr::Subquery(_)));
    found
}

/// Whether a value is known without any row.
pub(crate) fn is_rowless(expr: &Expr) -> bool {
    columns(expr).is_empty() && !has_subquery(expr) && is_repeatable(expr)
}

/// The common table expressions that a plan reads.
pub(crate) fn ctes_read(plan: &Plan) -> BTreeSet<usize> {
    let mut read = BTreeSet::new();
    each_plan(plan, &mut |plan| {
        if let PlanNode::CteScan { cte, .. } = plan.node {
            read.insert(cte);
        }
    });
    read
}

/// The name of a common table expression, as those who read it know it.
pub(crate) fn cte_name(plan: &Plan, number: usize) -> Option<&str> {
    let mut found = None;
    each_plan(plan, &mut |plan| {
        if let PlanNode::CteScan { cte, name } = &plan.node
            && *cte == number
        {
            found = Some(&**name);
        }
    });
    found
}

/// Calls `f` for a plan, all its inputs and all its subqueries.
pub(crate) fn each_plan<'a>(plan: &'a Plan, f: &mut dyn FnMut(&'a Plan)) {
    f(plan);
    inputs(&plan.node, &mut |input, _| each_plan(input, f));
    expressions(&plan.node, &mut |expr| {
        visit_subqueries(expr, &mut |subquery| each_plan(&subquery.plan, f));
    });
}

/// Calls `f` for each subquery of an expression that stands in no other subquery.
pub(crate) fn visit_subqueries<'a>(expr: &'a Expr, f: &mut dyn FnMut(&'a Subquery)) {
    parts(expr, &mut |part| visit_subqueries(part, f));
    if let Expr::Subquery(subquery) = expr {
        f(subquery);
    }
}

/// Moves an expression `by` rows further in: its columns become columns of the row `by` queries out.
pub(crate) fn shift_in(expr: &mut Expr, by: usize) {
    if by == 0 {
        return;
    }
    transform(expr, 0, &mut |expr, level| match expr {
        Expr::Column(column, ty) if level == 0 => {
            *expr = Expr::Outer { depth: by, column: *column, ty: *ty }
        }
        Expr::Outer { depth, .. } if *depth >= level.max(1) => *depth += by,
        _ => {}
    });
}

/// Moves a condition over a lateral side's rows into that side, where enclosing rows are one further out.
pub(crate) fn shift_out_references(expr: &mut Expr) {
    transform(expr, 0, &mut |expr, level| {
        if let Expr::Outer { depth, .. } = expr
            && *depth > level
        {
            *depth += 1;
        }
    });
}

/// Replaces the columns of an expression's row by other columns of its new row.
pub(crate) fn renumber(expr: &mut Expr, f: &dyn Fn(usize) -> usize) {
    transform(expr, 0, &mut |expr, level| match expr {
        Expr::Column(column, _) if level == 0 => *column = f(*column),
        Expr::Outer { depth, column, .. } if level > 0 && *depth == level => *column = f(*column),
        _ => {}
    });
}

/// Replaces the columns of an expression's row by expressions over its new row.
pub(crate) fn substitute(expr: &mut Expr, replacements: &[Expr]) {
    transform(expr, 0, &mut |expr, level| {
        if let Some((column, _)) = column_at(expr, level) {
            let mut replacement = replacements[column].clone();
            shift_in(&mut replacement, level);
            *expr = replacement;
        }
    });
}

/// The conjuncts of a condition.
pub(crate) fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition {
        Expr::And(inputs) => inputs.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// The condition that all of some hold; none for none.
pub(crate) fn conjunction(mut conjuncts: Vec<Expr>) -> Option<Expr> {
    match conjuncts.len() {
        0 => None,
        1 => conjuncts.pop(),
        _ => Some(Expr::And(conjuncts)),
    }
}
