//! Conditions go down to where their columns come from.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::optimize::nulls::{is_of, rejects_nulls};
use crate::optimize::{join_order, walk};
use crate::plan::{
    Expr, JoinKind, OutputColumn, Plan, PlanNode, ProjectSetItem, SetOperationKind, WindowCall,
};

/// A plan that gives the rows of another one for which all conditions, over its columns, hold.
pub(super) fn push(plan: Plan, conditions: Vec<Expr>) -> Plan {
    // What may differ from call to call is evaluated where it stands.
    let (movable, fixed): (Vec<Expr>, Vec<Expr>) =
        conditions.into_iter().partition(walk::is_repeatable);
    let Plan { node, columns } = plan;
    let pushed = match node {
        PlanNode::Filter { input, predicate } => {
            let mut conditions = walk::conjuncts(predicate);
            conditions.extend(movable);
            Plan { node: push(*input, conditions).node, columns }
        }
        PlanNode::Scan { relation, columns: read, access, filter } => {
            let mut conditions = filter.map(walk::conjuncts).unwrap_or_default();
            conditions.extend(movable);
            Plan {
                node: PlanNode::Scan {
                    relation,
                    columns: read,
                    access,
                    filter: walk::conjunction(conditions),
                },
                columns,
            }
        }
        PlanNode::Project { input, expressions } => project(*input, expressions, columns, movable),
        PlanNode::Join { left, right, kind, on, lateral } => {
            push_join(JoinParts { left, right, kind, on, lateral }, columns, movable)
        }
        PlanNode::SetOperation { kind, all, left, right } => {
            set_operation(kind, all, *left, *right, columns, movable)
        }
        node => single_input(node, columns, movable),
    };
    filter(pushed, fixed)
}

/// A filter on top, unless there is no condition.
fn filter(plan: Plan, conditions: Vec<Expr>) -> Plan {
    let Some(predicate) = walk::conjunction(conditions) else { return plan };
    let columns = Arc::clone(&plan.columns);
    Plan { node: PlanNode::Filter { input: Box::new(plan), predicate }, columns }
}

fn project(
    input: Plan,
    expressions: Vec<Expr>,
    columns: Arc<[OutputColumn]>,
    conditions: Vec<Expr>,
) -> Plan {
    // A condition over a subquery's value would run the subquery twice.
    let cheap = |column: usize| {
        walk::is_repeatable(&expressions[column]) && !walk::has_subquery(&expressions[column])
    };
    let (mut down, up): (Vec<Expr>, Vec<Expr>) =
        conditions.into_iter().partition(|condition| is_of(condition, &cheap));
    for condition in &mut down {
        walk::substitute(condition, &expressions);
    }
    let input = push(input, down);
    filter(merge_projects(input, expressions, columns), up)
}

/// A projection over another one is one, as long as nothing is computed twice.
fn merge_projects(input: Plan, mut expressions: Vec<Expr>, columns: Arc<[OutputColumn]>) -> Plan {
    let PlanNode::Project { input: below, expressions: inner } = input.node else {
        return Plan { node: PlanNode::Project { input: Box::new(input), expressions }, columns };
    };
    let mut uses = vec![0_usize; inner.len()];
    for expression in &expressions {
        walk::visit(expression, 0, &mut |expr, level| {
            if let Some((column, _)) = walk::column_at(expr, level) {
                // Inside of a subquery it would be computed for each of its rows.
                uses[column] += if level > 0 { 2 } else { 1 };
            }
        });
    }
    let mergeable = inner.iter().zip(&uses).all(|(expr, uses)| match expr {
        Expr::Column(..) | Expr::Outer { .. } | Expr::Literal(..) | Expr::Parameter(..) => true,
        _ => *uses <= 1 && walk::is_repeatable(expr),
    });
    if mergeable {
        for expression in &mut expressions {
            walk::substitute(expression, &inner);
        }
        return merge_projects(*below, expressions, columns);
    }
    let node = PlanNode::Project { input: below, expressions: inner };
    let input = Box::new(Plan { node, columns: input.columns });
    Plan { node: PlanNode::Project { input, expressions }, columns }
}

fn set_operation(
    kind: SetOperationKind,
    all: bool,
    left: Plan,
    right: Plan,
    columns: Arc<[OutputColumn]>,
    conditions: Vec<Expr>,
) -> Plan {
    let left = Box::new(push(left, conditions.clone()));
    let right = Box::new(push(right, conditions));
    Plan { node: PlanNode::SetOperation { kind, all, left, right }, columns }
}

/// The nodes with one input, and those with none: what cannot pass stays above.
fn single_input(mut node: PlanNode, columns: Arc<[OutputColumn]>, conditions: Vec<Expr>) -> Plan {
    let (down, up) = passing(&node, conditions);
    match &mut node {
        PlanNode::ProjectSet { input, .. }
        | PlanNode::Aggregate { input, .. }
        | PlanNode::Window { input, .. }
        | PlanNode::Sort { input, .. }
        | PlanNode::Limit { input, .. }
        | PlanNode::Distinct { input, .. }
        | PlanNode::With { body: input, .. } => {
            let below = std::mem::replace(&mut **input, super::nothing());
            **input = push(below, down);
        }
        PlanNode::RecursiveUnion { start, step, .. } => {
            for side in [start, step] {
                let below = std::mem::replace(&mut **side, super::nothing());
                **side = push(below, Vec::new());
            }
        }
        _ => {}
    }
    merge_aggregate_input(&mut node);
    filter(Plan { node, columns }, up)
}

/// Splits conditions over a node's rows into those that hold below, rewritten, and those that stay above.
fn passing(node: &PlanNode, conditions: Vec<Expr>) -> (Vec<Expr>, Vec<Expr>) {
    match node {
        PlanNode::Sort { .. } | PlanNode::Distinct { on: None, .. } | PlanNode::With { .. } => {
            (conditions, Vec::new())
        }
        PlanNode::ProjectSet { items, .. } => {
            let expressions = items.iter().map(|item| match item {
                ProjectSetItem::Expr(expr)
                    if walk::is_repeatable(expr) && !walk::has_subquery(expr) =>
                {
                    Some(expr)
                }
                _ => None,
            });
            through(&expressions.collect::<Vec<_>>(), conditions)
        }
        PlanNode::Aggregate { group, grouping_sets, .. } if !group.is_empty() => {
            let everywhere = |place: usize| grouping_sets.iter().all(|set| set.contains(&place));
            let group = group
                .iter()
                .enumerate()
                .map(|(place, expr)| Some(expr).filter(|_| everywhere(place)));
            through(&group.collect::<Vec<_>>(), conditions)
        }
        PlanNode::Window { calls, .. } => {
            let partitioned = calls.iter().map(partition_columns);
            let Some(common) =
                partitioned.reduce(|left, right| left.intersection(&right).copied().collect())
            else {
                return (conditions, Vec::new());
            };
            let within = |column: usize| common.contains(&column);
            conditions.into_iter().partition(|condition| {
                !walk::columns(condition).is_empty() && is_of(condition, &within)
            })
        }
        _ => (Vec::new(), conditions),
    }
}

/// Conditions all of whose columns stand for known expressions go through, rewritten over these.
fn through(expressions: &[Option<&Expr>], conditions: Vec<Expr>) -> (Vec<Expr>, Vec<Expr>) {
    let known = |column: usize| matches!(expressions.get(column), Some(Some(_)));
    let (mut down, up): (Vec<Expr>, Vec<Expr>) = conditions
        .into_iter()
        .partition(|condition| !walk::columns(condition).is_empty() && is_of(condition, &known));
    let absent = Expr::Literal(crate::types::Datum::Null, crate::types::PgType::Unknown);
    let replacements: Vec<Expr> =
        expressions.iter().map(|expr| expr.cloned().unwrap_or_else(|| absent.clone())).collect();
    for condition in &mut down {
        walk::substitute(condition, &replacements);
    }
    (down, up)
}

fn partition_columns(call: &WindowCall) -> BTreeSet<usize> {
    let columns = call.partition.iter().filter_map(|expr| walk::column_at(expr, 0));
    columns.map(|(column, _)| column).collect()
}

/// An aggregation over a projection that only picks columns reads them itself.
fn merge_aggregate_input(node: &mut PlanNode) {
    let PlanNode::Aggregate { input, .. } = node else { return };
    let PlanNode::Project { expressions, .. } = &input.node else { return };
    if !expressions.iter().all(|expr| matches!(expr, Expr::Column(..))) {
        return;
    }
    let PlanNode::Project { input: below, expressions } = super::take(input).node else { return };
    **input = *below;
    walk::expressions_mut(node, &mut |expr| walk::substitute(expr, &expressions));
}

struct JoinParts {
    left: Box<Plan>,
    right: Box<Plan>,
    kind: JoinKind,
    on: Option<Expr>,
    lateral: bool,
}

fn push_join(mut parts: JoinParts, columns: Arc<[OutputColumn]>, conditions: Vec<Expr>) -> Plan {
    let left_width = parts.left.columns.len();
    parts.kind = strengthened(parts.kind, &conditions, left_width);
    match (parts.kind, parts.lateral) {
        (JoinKind::Inner, false) => {
            let node = PlanNode::Join {
                left: parts.left,
                right: parts.right,
                kind: parts.kind,
                on: parts.on,
                lateral: false,
            };
            join_order::order(Plan { node, columns }, conditions)
        }
        _ => push_ordered_join(parts, columns, conditions),
    }
}

/// The kind that an outer join amounts to under conditions that reject its null-extended rows.
fn strengthened(kind: JoinKind, conditions: &[Expr], left_width: usize) -> JoinKind {
    let rejects = |of_side: &dyn Fn(usize) -> bool| {
        conditions.iter().any(|condition| rejects_nulls(condition, of_side))
    };
    let rejects_left = || rejects(&|column| column < left_width);
    let rejects_right = || rejects(&|column| column >= left_width);
    match kind {
        JoinKind::Left if rejects_right() => JoinKind::Inner,
        JoinKind::Right if rejects_left() => JoinKind::Inner,
        JoinKind::Full => match (rejects_left(), rejects_right()) {
            (true, true) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        kind => kind,
    }
}

/// A join that stays where it is: outer, semi, anti and lateral joins.
fn push_ordered_join(
    parts: JoinParts,
    columns: Arc<[OutputColumn]>,
    conditions: Vec<Expr>,
) -> Plan {
    use JoinKind::{Anti, Inner, Left, Right, Semi};
    let JoinParts { left, right, kind, on, lateral } = parts;
    let left_width = left.columns.len();
    let of_left = |column: usize| column < left_width;
    let of_right = |column: usize| column >= left_width;
    let (mut left_conditions, mut right_conditions, mut above, mut kept) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for condition in conditions {
        if is_of(&condition, &of_left) && matches!(kind, Inner | Left | Semi | Anti) {
            left_conditions.push(condition);
        } else if is_of(&condition, &of_right) && matches!(kind, Inner | Right) {
            right_conditions.push(condition);
        } else if kind == Inner {
            kept.push(condition);
        } else {
            above.push(condition);
        }
    }
    for condition in on.map(walk::conjuncts).unwrap_or_default() {
        let repeatable = walk::is_repeatable(&condition);
        let rowless = walk::columns(&condition).is_empty();
        if repeatable && is_of(&condition, &of_right) && matches!(kind, Inner | Left | Semi | Anti)
        {
            right_conditions.push(condition);
        } else if repeatable
            && !rowless
            && is_of(&condition, &of_left)
            && matches!(kind, Inner | Right | Semi)
        {
            left_conditions.push(condition);
        } else {
            kept.push(condition);
        }
    }
    for condition in &mut right_conditions {
        walk::renumber(condition, &|column| column - left_width);
        if lateral {
            walk::shift_out_references(condition);
        }
    }
    let left = Box::new(push(*left, left_conditions));
    let right = Box::new(push(*right, right_conditions));
    let node = PlanNode::Join { left, right, kind, on: walk::conjunction(kept), lateral };
    filter(Plan { node, columns }, above)
}
