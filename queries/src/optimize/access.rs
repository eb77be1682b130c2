//! How rows are found: indexes for scans, look-ups for joins, orders that need no sort, counts that need no scan.

use std::sync::Arc;

use crate::optimize::join_order::LOOKUP_ROWS;
use crate::optimize::{estimate, index_choice, walk};
use crate::plan::{
    AggregateCall, Expr, JoinKind, OutputColumn, Plan, PlanNode, ScanAccess, SortKey,
};
use crate::relation::{Relation, RelationSchema};
use crate::types::{Datum, PgType};

/// Chooses for a plan, its subqueries and its common table expressions.
pub(super) fn choose(plan: &mut Plan) {
    walk::expressions_mut(&mut plan.node, &mut choose_in_expression);
    prefer_lookups(plan);
    walk::inputs_mut(&mut plan.node, &mut |input, _| choose(input));
    match &mut plan.node {
        PlanNode::Scan { relation, columns, access, filter } => {
            choose_index(&**relation, columns, access, filter);
        }
        PlanNode::Sort { .. } => drop_sort(plan, false),
        PlanNode::Limit { input, ties: None, .. } => drop_sort(input, true),
        PlanNode::Aggregate { .. } => {
            take_count(plan);
            take_extreme(plan);
        }
        _ => {}
    }
}

fn choose_in_expression(expr: &mut Expr) {
    walk::parts_mut(expr, &mut choose_in_expression);
    if let Expr::Subquery(subquery) = expr {
        choose(&mut subquery.plan);
    }
}

fn choose_index(
    relation: &dyn Relation,
    columns: &[usize],
    access: &mut ScanAccess,
    filter: &mut Option<Expr>,
) {
    if !matches!(access, ScanAccess::Full) {
        return;
    }
    let Some(condition) = filter.take() else { return };
    let conditions = walk::conjuncts(condition);
    match index_choice::choose(relation.schema(), columns, &conditions) {
        Some(choice) if is_worth_it(relation, columns, &choice.access) => {
            *access = choice.access;
            *filter = walk::conjunction(choice.rest);
        }
        _ => *filter = walk::conjunction(conditions),
    }
}

/// Whether an index is read rather than all rows. Each row that it leads to is looked up by itself, which takes as long
/// as hundreds of rows do where columns are kept, and a range of it may be most of it.
fn is_worth_it(relation: &dyn Relation, columns: &[usize], access: &ScanAccess) -> bool {
    let ScanAccess::Index { index, .. } = access else { return true };
    let primary = relation.schema().indexes.get(*index).is_some_and(|index| index.primary);
    primary || !index_choice::is_range(access) || !relation.keeps_columns(columns)
}

/// A join whose few left rows can each be looked up on the right becomes a lateral one over an index.
fn prefer_lookups(plan: &mut Plan) {
    let PlanNode::Join { left, right, kind, on, lateral } = &mut plan.node else { return };
    if *lateral
        || !matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti)
    {
        return;
    }
    let (Some(condition), PlanNode::Scan { relation, columns, access: ScanAccess::Full, filter }) =
        (&*on, &right.node)
    else {
        return;
    };
    let left_width = left.columns.len();
    let mut conditions: Vec<Expr> = filter.clone().map(walk::conjuncts).unwrap_or_default();
    conditions.iter_mut().for_each(walk::shift_out_references);
    let own = conditions.len();
    for mut condition in walk::conjuncts(condition.clone()) {
        if !walk::is_repeatable(&condition) {
            return;
        }
        into_right_side(&mut condition, left_width);
        conditions.push(condition);
    }
    let Some(choice) = index_choice::choose(relation.schema(), columns, &conditions) else {
        return;
    };
    let ScanAccess::Index { index, prefix, .. } = &choice.access else { return };
    // An index that the right side's own conditions would use as well is no look-up.
    if prefix.is_empty() || !prefix.iter().any(refers_to_left) {
        return;
    }
    let found = estimate::keyed(&**relation, *index, prefix.len());
    if own > 0 && estimate::rows(right) <= estimate::rows(left) {
        return;
    }
    if estimate::rows(left) * LOOKUP_ROWS * found >= estimate::total(&**relation) {
        return;
    }
    let node = PlanNode::Scan {
        relation: Arc::clone(relation),
        columns: columns.clone(),
        access: choice.access,
        filter: walk::conjunction(choice.rest),
    };
    let looked_up = Plan { node, columns: Arc::clone(&right.columns) };
    **right = looked_up;
    *on = None;
    *lateral = true;
}

/// A join's condition as one of its right side: left columns are an enclosing row's.
fn into_right_side(condition: &mut Expr, left_width: usize) {
    walk::transform(condition, 0, &mut |expr, level| match expr {
        Expr::Column(column, ty) if level == 0 => {
            if *column < left_width {
                *expr = Expr::Outer { depth: 1, column: *column, ty: *ty };
            } else {
                *column -= left_width;
            }
        }
        Expr::Outer { depth, column, .. } if level > 0 && *depth == level => {
            if *column < left_width {
                *depth += 1;
            } else {
                *column -= left_width;
            }
        }
        Expr::Outer { depth, .. } if *depth > level => *depth += 1,
        _ => {}
    });
}

fn refers_to_left(key: &Expr) -> bool {
    let mut found = false;
    walk::visit(key, 0, &mut |expr, level| {
        found |= matches!(expr, Expr::Outer { depth, .. } if *depth == level + 1);
    });
    found
}

/// Drops a sort whose input can be read in its order. Without a limit only the primary key is worth it: any
/// other index costs a look-up for each row.
fn drop_sort(plan: &mut Plan, limited: bool) {
    match &mut plan.node {
        PlanNode::Project { input, .. } => drop_sort(input, limited),
        PlanNode::Sort { input, keys } => {
            let places: Option<Vec<(usize, &SortKey)>> = keys
                .iter()
                .map(|key| walk::column_at(&key.expression, 0).map(|(column, _)| (column, key)))
                .collect();
            let ordered = places.is_some_and(|places| {
                let keys: Vec<Key> = places
                    .into_iter()
                    .map(|(column, key)| Key { column, descending: key.descending })
                    .collect();
                order_input(input, keys, limited)
            });
            if ordered {
                let sorted = super::take(input);
                plan.node = sorted.node;
            }
        }
        _ => {}
    }
}

/// A sort key that is a column.
struct Key {
    column: usize,
    descending: bool,
}

/// Makes a plan give its rows in an order, if an index of the scan below has it.
fn order_input(plan: &mut Plan, mut keys: Vec<Key>, limited: bool) -> bool {
    match &mut plan.node {
        PlanNode::Project { input, expressions } => {
            for key in &mut keys {
                match expressions.get(key.column) {
                    Some(Expr::Column(column, _)) => key.column = *column,
                    _ => return false,
                }
            }
            order_input(input, keys, limited)
        }
        PlanNode::Scan { relation, columns, access, filter } => {
            for key in &mut keys {
                match columns.get(key.column) {
                    Some(column) => key.column = *column,
                    None => return false,
                }
            }
            let full = matches!(access, ScanAccess::Full);
            let ordered = order_scan(relation.schema(), access, &keys, limited);
            if ordered && full {
                narrow(relation.schema(), columns, access, filter);
            }
            ordered
        }
        _ => false,
    }
}

/// Reads no more of an index, that gives an order, than the conditions leave.
fn narrow(
    schema: &RelationSchema,
    columns: &[usize],
    access: &mut ScanAccess,
    filter: &mut Option<Expr>,
) {
    let ScanAccess::Index { index, backward: ordered, .. } = access else { return };
    let Some(condition) = filter.take() else { return };
    let conditions = walk::conjuncts(condition);
    match index_choice::range(schema, columns, &conditions, *index) {
        Some(choice) => {
            let ordered = *ordered;
            *access = choice.access;
            if let ScanAccess::Index { backward, .. } = access {
                *backward = ordered;
            }
            *filter = walk::conjunction(choice.rest);
        }
        None => *filter = walk::conjunction(conditions),
    }
}

fn order_scan(
    schema: &RelationSchema,
    access: &mut ScanAccess,
    keys: &[Key],
    limited: bool,
) -> bool {
    match access {
        ScanAccess::Index { index, prefix, backward, .. } => {
            match direction(schema, *index, prefix.len(), keys) {
                Some(direction) => {
                    *backward = direction;
                    true
                }
                None => false,
            }
        }
        ScanAccess::Full => {
            let usable = |(place, index): (usize, &crate::relation::Index)| {
                let direction = direction(schema, place, 0, keys)?;
                (limited || index.primary).then_some((place, direction))
            };
            let Some((index, backward)) = schema.indexes.iter().enumerate().find_map(usable) else {
                return false;
            };
            *access =
                ScanAccess::Index { index, prefix: Vec::new(), lower: None, upper: None, backward };
            true
        }
        ScanAccess::IndexAny { .. } | ScanAccess::Count => false,
    }
}

/// Whether an index behind a prefix gives the order of the keys, and whether backward.
fn direction(schema: &RelationSchema, index: usize, prefix: usize, keys: &[Key]) -> Option<bool> {
    let index = schema.indexes.get(index)?;
    let (fixed, rest) = index.columns.split_at_checked(prefix)?;
    if !index_choice::holds_all_rows(index, schema, prefix) {
        return None;
    }
    let mut keys = keys.iter().filter(|key| !fixed.contains(&key.column)).peekable();
    let backward = keys.peek().is_some_and(|key| key.descending);
    for column in rest {
        let Some(key) = keys.next() else { return Some(backward) };
        // Where nulls stand in an index is its own business, so only columns without them count.
        let not_null = schema.columns.get(*column).is_some_and(|column| column.not_null);
        if key.column != *column || key.descending != backward || !not_null {
            return None;
        }
    }
    // Behind all columns of a unique index there are no ties left to order.
    (keys.peek().is_none() || index.unique).then_some(backward)
}

/// `count(*)` of a whole relation is maintained.
fn take_count(plan: &mut Plan) {
    let PlanNode::Aggregate { input, group, grouping_sets, aggregates } = &mut plan.node else {
        return;
    };
    let PlanNode::Scan { relation, columns: read, access: ScanAccess::Full, filter: None } =
        &input.node
    else {
        return;
    };
    let counts_rows = |call: &AggregateCall| {
        let never_null = |argument: &Expr| match argument {
            Expr::Column(column, _) => read
                .get(*column)
                .and_then(|column| relation.schema().columns.get(*column))
                .is_some_and(|column| column.not_null),
            Expr::Literal(value, _) => !value.is_null(),
            _ => false,
        };
        call.function.name == "count"
            && !call.distinct
            && call.filter.is_none()
            && call.order.is_empty()
            && call.arguments.iter().all(never_null)
    };
    if !group.is_empty()
        || grouping_sets.len() != 1
        || aggregates.is_empty()
        || !aggregates.iter().all(counts_rows)
    {
        return;
    }
    let relation = Arc::clone(relation);
    let calls = aggregates.len();
    let node =
        PlanNode::Scan { relation, columns: Vec::new(), access: ScanAccess::Count, filter: None };
    if calls == 1 {
        plan.node = node;
        return;
    }
    let input = Plan::new(node, vec![OutputColumn::computed("count", PgType::Int8)]);
    plan.node = PlanNode::Project {
        input: Box::new(input),
        expressions: vec![Expr::Column(0, PgType::Int8); calls],
    };
}

/// `min` and `max` of a column that an index orders look at one row.
fn take_extreme(plan: &mut Plan) {
    let PlanNode::Aggregate { input, group, grouping_sets, aggregates } = &mut plan.node else {
        return;
    };
    let [call] = &**aggregates else { return };
    if !group.is_empty() || grouping_sets.len() != 1 || call.filter.is_some() {
        return;
    }
    let descending = match call.function.name {
        "min" => false,
        "max" => true,
        _ => return,
    };
    let [Expr::Column(column, _)] = &*call.arguments else { return };
    let PlanNode::Scan { filter: None, .. } = &input.node else { return };
    let keys = vec![Key { column: *column, descending }];
    if !order_input(input, keys, true) {
        return;
    }
    let columns = Arc::clone(&input.columns);
    let node = PlanNode::Limit {
        input: Box::new(super::take(input)),
        limit: Some(Expr::Literal(Datum::Int8(1), PgType::Int8)),
        offset: None,
        ties: None,
    };
    **input = Plan { node, columns };
}
