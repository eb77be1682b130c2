//! Columns that nobody asks for are neither read nor carried along.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::optimize::walk;
use crate::plan::{
    Expr, JoinKind, OutputColumn, Plan, PlanNode, ProjectSetItem, SetOperationKind, SortKey,
};

/// Where the columns of a plan are after pruning; none for those that are gone.
type Places = Vec<Option<usize>>;

/// Prunes a plan of which every column is wanted.
pub(super) fn prune_root(plan: Plan) -> Plan {
    let all = all_columns(&plan);
    exactly(plan, &all)
}

fn all_columns(plan: &Plan) -> BTreeSet<usize> {
    (0..plan.columns.len()).collect()
}

/// A plan of exactly the wanted columns, in their order.
fn exactly(plan: Plan, wanted: &BTreeSet<usize>) -> Plan {
    let columns: Vec<OutputColumn> =
        wanted.iter().map(|column| plan.columns[*column].clone()).collect();
    let (plan, places) = prune(plan, wanted);
    let kept: Vec<usize> = wanted.iter().map(|column| place(&places, *column)).collect();
    if kept.len() == plan.columns.len() && kept.iter().enumerate().all(|(at, kept)| at == *kept) {
        return Plan { node: plan.node, columns: columns.into() };
    }
    let expressions =
        kept.into_iter().map(|place| Expr::Column(place, plan.columns[place].ty)).collect();
    Plan::new(PlanNode::Project { input: Box::new(plan), expressions }, columns)
}

fn place(places: &Places, column: usize) -> usize {
    places.get(column).copied().flatten().expect("a column that is referred to is kept")
}

fn renumber(expr: &mut Expr, places: &Places) {
    walk::renumber(expr, &|column| place(places, column));
}

fn identity(width: usize) -> Places {
    (0..width).map(Some).collect()
}

/// Where the kept ones of some columns are.
fn compacted(width: usize, kept: impl Fn(usize) -> bool) -> Places {
    let mut next = 0;
    let places = (0..width).map(|column| {
        kept(column).then(|| {
            next += 1;
            next - 1
        })
    });
    places.collect()
}

/// The columns at the places that are left.
fn remaining(columns: &Arc<[OutputColumn]>, places: &Places) -> Arc<[OutputColumn]> {
    let left = columns.iter().zip(places).filter(|(_, place)| place.is_some());
    left.map(|(column, _)| column.clone()).collect()
}

/// Keeps at least the wanted columns of a plan.
fn prune(plan: Plan, wanted: &BTreeSet<usize>) -> (Plan, Places) {
    let Plan { node, columns } = plan;
    match node {
        PlanNode::Scan { relation, columns: read, access, mut filter } => {
            let mut needed = wanted.clone();
            if let Some(filter) = &filter {
                walk::collect_columns(filter, &mut needed);
            }
            let places = compacted(read.len(), |column| needed.contains(&column));
            if let Some(filter) = &mut filter {
                renumber(filter, &places);
            }
            let read = read
                .into_iter()
                .enumerate()
                .filter(|(at, _)| needed.contains(at))
                .map(|(_, column)| column)
                .collect();
            let columns = remaining(&columns, &places);
            (
                Plan { node: PlanNode::Scan { relation, columns: read, access, filter }, columns },
                places,
            )
        }
        PlanNode::Values(rows) => values(rows, &columns, wanted),
        PlanNode::Project { input, expressions } => project(*input, expressions, &columns, wanted),
        PlanNode::Join { left, right, kind, on, lateral } => {
            let sides = Sides { left: *left, right: *right, kind, on, lateral };
            join(sides, &columns, wanted)
        }
        PlanNode::Aggregate { .. } => aggregate(node, &columns, wanted),
        PlanNode::Window { .. } => window(node, &columns, wanted),
        PlanNode::ProjectSet { input, items } => project_set(*input, items, &columns, wanted),
        PlanNode::Filter { .. }
        | PlanNode::Sort { .. }
        | PlanNode::Limit { .. }
        | PlanNode::Distinct { .. } => passing(node, columns, wanted),
        PlanNode::SetOperation { kind, all, left, right } => {
            let wanted = if kind == SetOperationKind::Union && all {
                wanted.clone()
            } else {
                (0..columns.len()).collect()
            };
            let places = compacted(columns.len(), |column| wanted.contains(&column));
            let left = Box::new(exactly(*left, &wanted));
            let right = Box::new(exactly(*right, &wanted));
            let columns = remaining(&columns, &places);
            (Plan { node: PlanNode::SetOperation { kind, all, left, right }, columns }, places)
        }
        PlanNode::With { ctes, body } => {
            let (body, places) = prune(*body, wanted);
            let columns = Arc::clone(&body.columns);
            (Plan { node: PlanNode::With { ctes, body: Box::new(body) }, columns }, places)
        }
        PlanNode::RecursiveUnion { cte, start, step, distinct } => {
            let start = Box::new(prune_root(*start));
            let step = Box::new(prune_root(*step));
            let places = identity(columns.len());
            (
                Plan { node: PlanNode::RecursiveUnion { cte, start, step, distinct }, columns },
                places,
            )
        }
        node @ (PlanNode::CteScan { .. } | PlanNode::FunctionScan { .. }) => {
            let places = identity(columns.len());
            (Plan { node, columns }, places)
        }
    }
}

fn project(
    input: Plan,
    expressions: Vec<Expr>,
    columns: &Arc<[OutputColumn]>,
    wanted: &BTreeSet<usize>,
) -> (Plan, Places) {
    let places = compacted(expressions.len(), |column| wanted.contains(&column));
    let columns = remaining(columns, &places);
    let kept = expressions.into_iter().zip(&places).filter(|(_, place)| place.is_some());
    let mut expressions: Vec<Expr> = kept.map(|(expression, _)| expression).collect();
    let mut needed = BTreeSet::new();
    for expression in &expressions {
        walk::collect_columns(expression, &mut needed);
    }
    let (input, input_places) = prune(input, &needed);
    for expression in &mut expressions {
        renumber(expression, &input_places);
    }
    let in_place = |(at, expression): (usize, &Expr)| matches!(expression, Expr::Column(column, _) if *column == at);
    if expressions.len() == input.columns.len() && expressions.iter().enumerate().all(in_place) {
        return (Plan { node: input.node, columns }, places);
    }
    (Plan { node: PlanNode::Project { input: Box::new(input), expressions }, columns }, places)
}

fn values(
    rows: Vec<Vec<Expr>>,
    columns: &Arc<[OutputColumn]>,
    wanted: &BTreeSet<usize>,
) -> (Plan, Places) {
    let places = compacted(columns.len(), |column| wanted.contains(&column));
    let rows = rows.into_iter().map(|row| {
        let kept = row.into_iter().zip(&places).filter(|(_, place)| place.is_some());
        kept.map(|(value, _)| value).collect()
    });
    (Plan { node: PlanNode::Values(rows.collect()), columns: remaining(columns, &places) }, places)
}

fn project_set(
    input: Plan,
    items: Vec<ProjectSetItem>,
    columns: &Arc<[OutputColumn]>,
    wanted: &BTreeSet<usize>,
) -> (Plan, Places) {
    // The functions decide how many rows there are, wanted or not.
    let is_set = |column: usize| matches!(items[column], ProjectSetItem::Set(_));
    let places = compacted(items.len(), |column| wanted.contains(&column) || is_set(column));
    let columns = remaining(columns, &places);
    let kept = items.into_iter().zip(&places).filter(|(_, place)| place.is_some());
    let items = kept.map(|(item, _)| item).collect();
    let node = PlanNode::ProjectSet { input: Box::new(super::nothing()), items };
    (with_input(node, input, BTreeSet::new(), columns).0, places)
}

/// Gives a node its input, pruned to what the node's expressions and its parent need.
fn with_input(
    mut node: PlanNode,
    input: Plan,
    mut needed: BTreeSet<usize>,
    columns: Arc<[OutputColumn]>,
) -> (Plan, Places) {
    walk::expressions(&node, &mut |expr| walk::collect_columns(expr, &mut needed));
    let (input, places) = prune(input, &needed);
    walk::expressions_mut(&mut node, &mut |expr| renumber(expr, &places));
    match &mut node {
        PlanNode::ProjectSet { input: slot, .. }
        | PlanNode::Filter { input: slot, .. }
        | PlanNode::Aggregate { input: slot, .. }
        | PlanNode::Window { input: slot, .. }
        | PlanNode::Sort { input: slot, .. }
        | PlanNode::Limit { input: slot, .. }
        | PlanNode::Distinct { input: slot, .. } => **slot = input,
        _ => {}
    }
    (Plan { node, columns }, places)
}

/// Nodes that give the columns of their input.
fn passing(
    mut node: PlanNode,
    columns: Arc<[OutputColumn]>,
    wanted: &BTreeSet<usize>,
) -> (Plan, Places) {
    let mut needed = wanted.clone();
    let (PlanNode::Filter { input, .. }
    | PlanNode::Sort { input, .. }
    | PlanNode::Limit { input, .. }
    | PlanNode::Distinct { input, .. }) = &mut node
    else {
        return (Plan { node, columns: Arc::clone(&columns) }, identity(columns.len()));
    };
    let input = super::take(input);
    if matches!(node, PlanNode::Distinct { on: None, .. }) {
        needed = (0..columns.len()).collect();
        let input = exactly(input, &needed);
        let PlanNode::Distinct { input: slot, .. } = &mut node else {
            unreachable!("matched above")
        };
        **slot = input;
        let places = identity(columns.len());
        return (Plan { node, columns }, places);
    }
    drop_constant_keys(&mut node);
    let (plan, places) = with_input(node, input, needed, columns);
    let columns = match &plan.node {
        PlanNode::Filter { input, .. }
        | PlanNode::Sort { input, .. }
        | PlanNode::Limit { input, .. }
        | PlanNode::Distinct { input, .. } => Arc::clone(&input.columns),
        _ => Arc::clone(&plan.columns),
    };
    (Plan { node: plan.node, columns }, places)
}

/// A literal orders nothing.
fn drop_constant_keys(node: &mut PlanNode) {
    if let PlanNode::Sort { keys, .. } = node {
        keys.retain(|key: &SortKey| {
            !matches!(key.expression, Expr::Literal(..) | Expr::Parameter(..))
        });
    }
}

fn aggregate(
    node: PlanNode,
    columns: &Arc<[OutputColumn]>,
    wanted: &BTreeSet<usize>,
) -> (Plan, Places) {
    let PlanNode::Aggregate { input, group, grouping_sets, aggregates } = node else {
        return (Plan { node, columns: Arc::clone(columns) }, identity(columns.len()));
    };
    let groups = group.len();
    let calls = groups..groups + aggregates.len();
    let places =
        compacted(columns.len(), |column| wanted.contains(&column) || !calls.contains(&column));
    let kept =
        aggregates.into_iter().zip(&places[calls.clone()]).filter(|(_, place)| place.is_some());
    let aggregates = kept.map(|(call, _)| call).collect();
    let node =
        PlanNode::Aggregate { input: Box::new(super::nothing()), group, grouping_sets, aggregates };
    (with_input(node, *input, BTreeSet::new(), remaining(columns, &places)).0, places)
}

fn window(
    node: PlanNode,
    columns: &Arc<[OutputColumn]>,
    wanted: &BTreeSet<usize>,
) -> (Plan, Places) {
    let PlanNode::Window { input, calls } = node else {
        return (Plan { node, columns: Arc::clone(columns) }, identity(columns.len()));
    };
    let width = input.columns.len();
    let call_wanted = |place: usize| wanted.contains(&(width + place));
    let call_places = compacted(calls.len(), call_wanted);
    let call_columns: Vec<OutputColumn> = columns[width..].to_vec();
    let kept = calls.into_iter().zip(&call_places).filter(|(_, place)| place.is_some());
    let calls: Vec<_> = kept.map(|(call, _)| call).collect();
    let needed = wanted.iter().copied().filter(|column| *column < width).collect();
    if calls.is_empty() {
        let (input, mut places) = prune(*input, &needed);
        places.resize(columns.len(), None);
        return (input, places);
    }
    let node = PlanNode::Window { input: Box::new(super::nothing()), calls };
    let (plan, mut places) = with_input(node, *input, needed, Arc::clone(columns));
    let PlanNode::Window { input, .. } = &plan.node else { unreachable!("made above") };
    let before = input.columns.len();
    places.extend(call_places.iter().map(|place| place.map(|place| before + place)));
    let kept = call_columns.into_iter().zip(&call_places).filter(|(_, place)| place.is_some());
    let columns = input.columns.iter().cloned().chain(kept.map(|(column, _)| column)).collect();
    (Plan { node: plan.node, columns }, places)
}

struct Sides {
    left: Plan,
    right: Plan,
    kind: JoinKind,
    on: Option<Expr>,
    lateral: bool,
}

fn join(sides: Sides, columns: &Arc<[OutputColumn]>, wanted: &BTreeSet<usize>) -> (Plan, Places) {
    let Sides { left, mut right, kind, mut on, lateral } = sides;
    let left_width = left.columns.len();
    let mut needed = wanted.clone();
    if let Some(on) = &on {
        walk::collect_columns(on, &mut needed);
    }
    let mut left_needed: BTreeSet<usize> =
        needed.iter().copied().filter(|column| *column < left_width).collect();
    let right_needed = needed
        .iter()
        .filter(|column| **column >= left_width)
        .map(|column| column - left_width)
        .collect();
    if lateral {
        let outer = walk::outer_references(&right);
        left_needed
            .extend(outer.iter().filter(|(depth, _)| *depth == 1).map(|(_, column)| *column));
    }
    let (left, left_places) = prune(left, &left_needed);
    if lateral {
        walk::transform_plan(&mut right, 1, &mut |expr, level| {
            if let Expr::Outer { depth, column, .. } = expr
                && *depth == level
            {
                *column = place(&left_places, *column);
            }
        });
    }
    let (right, right_places) = prune(right, &right_needed);
    let before = left.columns.len();
    let mut places = left_places;
    places.extend(right_places.iter().map(|place| place.map(|place| before + place)));
    if let Some(on) = &mut on {
        renumber(on, &places);
    }
    if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        places.truncate(columns.len());
    }
    let both = left
        .columns
        .iter()
        .chain(right.columns.iter().filter(|_| !matches!(kind, JoinKind::Semi | JoinKind::Anti)));
    let columns: Arc<[OutputColumn]> = both.cloned().collect();
    let node = PlanNode::Join { left: Box::new(left), right: Box::new(right), kind, on, lateral };
    (Plan { node, columns }, places)
}
