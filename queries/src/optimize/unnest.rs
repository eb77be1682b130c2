//! `EXISTS` and `IN` among the conditions of a query become semi and anti joins, where that means the same.
//!
//! `NOT IN` stays: a null among the rows makes it unknown, which no join says. So does everything whose plan uses
//! enclosing rows elsewhere than in conditions at its top.

use std::sync::Arc;

use crate::optimize::walk;
use crate::plan::{Call, Expr, JoinKind, Plan, PlanNode, Subquery, SubqueryKind};
use crate::types::PgType;

/// Unnests the subqueries in all filters of a plan (not of its subqueries, which are rewritten by themselves).
pub(super) fn unnest(mut plan: Plan) -> Plan {
    walk::inputs_mut(&mut plan.node, &mut |input, _| *input = unnest(super::take(input)));
    let PlanNode::Filter { input, predicate } = plan.node else { return plan };
    let mut input = *input;
    let mut kept = Vec::new();
    for condition in walk::conjuncts(predicate) {
        match joined(input, condition) {
            Ok(joined) => input = joined,
            Err(back) => {
                let (unchanged, condition) = *back;
                input = unchanged;
                kept.push(condition);
            }
        }
    }
    match walk::conjunction(kept) {
        Some(predicate) => Plan {
            node: PlanNode::Filter { input: Box::new(input), predicate },
            columns: plan.columns,
        },
        None => Plan { node: input.node, columns: plan.columns },
    }
}

/// Joins the input with a condition's subquery, or gives both back.
fn joined(input: Plan, condition: Expr) -> Result<Plan, Box<(Plan, Expr)>> {
    let (kind, subquery) = match &condition {
        Expr::Subquery(subquery) => (JoinKind::Semi, subquery),
        Expr::Not(inner) => match &**inner {
            Expr::Subquery(subquery) if matches!(subquery.kind, SubqueryKind::Exists) => {
                (JoinKind::Anti, subquery)
            }
            _ => return Err(Box::new((input, condition))),
        },
        _ => return Err(Box::new((input, condition))),
    };
    let Some((right, on)) = pulled_up(subquery, input.columns.len()) else {
        return Err(Box::new((input, condition)));
    };
    let columns = Arc::clone(&input.columns);
    let right = unnest(right);
    let node =
        PlanNode::Join { left: Box::new(input), right: Box::new(right), kind, on, lateral: false };
    Ok(Plan { node, columns })
}

/// The rows of a subquery without its correlated conditions, and these as a join condition.
fn pulled_up(subquery: &Subquery, left_width: usize) -> Option<(Plan, Option<Expr>)> {
    let mut on = Vec::new();
    let (plan, outputs) = match &subquery.kind {
        // An uncorrelated one is better asked once than joined.
        SubqueryKind::Exists if !subquery.correlated => return None,
        SubqueryKind::Exists => (without_outputs(&subquery.plan), None),
        SubqueryKind::Quantified { left, operators, all: false } => {
            let repeatable =
                left.iter().all(|left| walk::is_repeatable(left) && !walk::has_subquery(left));
            let types =
                left.iter().map(Expr::ty).zip(subquery.plan.columns.iter().map(|column| column.ty));
            if !repeatable
                || types.clone().any(|(left, right)| left != right && !same_class(left, right))
            {
                return None;
            }
            let outputs: Vec<(Expr, &'static _)> =
                left.iter().cloned().zip(operators.iter().copied()).collect();
            (subquery.plan.clone(), Some(outputs))
        }
        _ => return None,
    };
    if !walk::is_repeatable_plan(&plan) {
        return None;
    }
    let (mut plan, conditions, picked) = split(plan)?;
    if walk::outer_references(&plan).iter().any(|(depth, _)| *depth == 1) {
        return None;
    }
    lift_plan(&mut plan);
    for mut condition in conditions {
        lift_condition(&mut condition, left_width);
        on.push(condition);
    }
    for (place, (left, operator)) in outputs.unwrap_or_default().into_iter().enumerate() {
        if !estimate_equality(operator) {
            return None;
        }
        let mut right = picked.get(place)?.clone();
        lift_condition(&mut right, left_width);
        on.push(Expr::Call(Call {
            function: operator,
            arguments: vec![left, right],
            ty: PgType::Bool,
            position: None,
        }));
    }
    Some((plan, walk::conjunction(on)))
}

fn estimate_equality(function: &'static crate::types::functions::ScalarFunction) -> bool {
    use crate::exec::expression::comparison::{Comparison, comparison};
    comparison(function) == Some(Comparison::Equal)
}

fn same_class(left: PgType, right: PgType) -> bool {
    let integer = |ty: PgType| matches!(ty, PgType::Int2 | PgType::Int4 | PgType::Int8);
    let text = |ty: PgType| matches!(ty, PgType::Text | PgType::Varchar | PgType::Name);
    (integer(left) && integer(right)) || (text(left) && text(right))
}

/// What `EXISTS` looks at: which columns come out, in which order, and whether twice, does not matter.
fn without_outputs(plan: &Plan) -> Plan {
    match &plan.node {
        PlanNode::Project { input, .. }
        | PlanNode::Sort { input, .. }
        | PlanNode::Distinct { input, .. } => without_outputs(input),
        _ => plan.clone(),
    }
}

/// Takes the conditions off the top of a plan: what is below, the conditions over its rows, and what the plan's
/// columns are over its rows.
fn split(plan: Plan) -> Option<(Plan, Vec<Expr>, Vec<Expr>)> {
    let outputs = |plan: &Plan| -> Vec<Expr> {
        plan.columns
            .iter()
            .enumerate()
            .map(|(place, column)| Expr::Column(place, column.ty))
            .collect()
    };
    match plan.node {
        PlanNode::Filter { input, predicate } => {
            let (below, mut conditions, picked) = split(*input)?;
            for mut condition in walk::conjuncts(predicate) {
                walk::substitute(&mut condition, &picked);
                conditions.push(condition);
            }
            let (correlated, own): (Vec<Expr>, Vec<Expr>) =
                conditions.into_iter().partition(refers_to_enclosing);
            Some((filtered(below, own), correlated, picked))
        }
        PlanNode::Project { input, expressions } => {
            let (below, conditions, mut picked) = split(*input)?;
            if expressions.iter().any(walk::has_subquery) {
                return None;
            }
            let mut expressions = expressions;
            for expression in &mut expressions {
                walk::substitute(expression, &picked);
            }
            picked = expressions;
            Some((below, conditions, picked))
        }
        PlanNode::Scan { relation, columns, access, filter } => {
            let conditions = filter.map(walk::conjuncts).unwrap_or_default();
            let (correlated, own): (Vec<Expr>, Vec<Expr>) =
                conditions.into_iter().partition(refers_to_enclosing);
            let node = PlanNode::Scan { relation, columns, access, filter: walk::conjunction(own) };
            let plan = Plan { node, columns: plan.columns };
            let picked = outputs(&plan);
            Some((plan, correlated, picked))
        }
        node => {
            let plan = Plan { node, columns: plan.columns };
            let picked = outputs(&plan);
            Some((plan, Vec::new(), picked))
        }
    }
}

fn filtered(input: Plan, conditions: Vec<Expr>) -> Plan {
    let Some(predicate) = walk::conjunction(conditions) else { return input };
    let columns = Arc::clone(&input.columns);
    Plan { node: PlanNode::Filter { input: Box::new(input), predicate }, columns }
}

/// Whether a condition refers to the row that its query stands in.
fn refers_to_enclosing(condition: &Expr) -> bool {
    let mut found = false;
    walk::visit(condition, 0, &mut |expr, level| {
        found |= matches!(expr, Expr::Outer { depth, .. } if *depth == level + 1);
    });
    found
}

/// A subquery's plan becomes a join's side: the row that it stood in is no longer around it.
fn lift_plan(plan: &mut Plan) {
    walk::transform_plan(plan, 0, &mut |expr, level| {
        if let Expr::Outer { depth, .. } = expr
            && *depth > level + 1
        {
            *depth -= 1;
        }
    });
}

/// A subquery's condition becomes a join's: columns of the row it stood in are the left ones, its own the right.
fn lift_condition(condition: &mut Expr, left_width: usize) {
    walk::transform(condition, 0, &mut |expr, level| match expr {
        Expr::Column(column, _) if level == 0 => *column += left_width,
        Expr::Outer { depth, column, ty } if *depth == level + 1 => {
            *expr = match level {
                0 => Expr::Column(*column, *ty),
                _ => Expr::Outer { depth: level, column: *column, ty: *ty },
            };
        }
        Expr::Outer { depth, column, .. } if level > 0 && *depth == level => *column += left_width,
        Expr::Outer { depth, .. } if *depth > level + 1 => *depth -= 1,
        _ => {}
    });
}
