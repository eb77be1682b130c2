//! The order of inner joins: small inputs first, and never a cross product where a condition connects.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::optimize::{estimate, pushdown, walk};
use crate::plan::{Call, Expr, JoinKind, OutputColumn, Plan, PlanNode};

/// How many rows of a table may be read in the time of one look-up in it.
pub(super) const LOOKUP_ROWS: f64 = 8.0;

/// The inputs of joined inner joins and all conditions over them. Columns are numbered over all inputs in the
/// order they stand in.
#[derive(Default)]
struct Graph {
    inputs: Vec<Plan>,
    /// The first column of each input.
    starts: Vec<usize>,
    width: usize,
    conditions: Vec<Expr>,
}

/// A part of the joins that is put together: which inputs it holds, and where each of its columns comes from.
struct Joined {
    plan: Plan,
    inputs: BTreeSet<usize>,
    columns: Vec<usize>,
    rows: f64,
}

/// Orders an inner join and those directly below it, under conditions over its rows.
pub(super) fn order(plan: Plan, conditions: Vec<Expr>) -> Plan {
    let columns = Arc::clone(&plan.columns);
    let mut graph = Graph::default();
    let outputs = graph.flatten(plan);
    for mut condition in conditions {
        walk::substitute(&mut condition, &outputs);
        graph.conditions.push(condition);
    }
    graph.spread_constants();
    let (joined, rest) = graph.join();
    let place = |column: usize| joined.columns.iter().position(|it| *it == column).unwrap_or(0);
    let renumbered = |mut expr: Expr| {
        walk::renumber(&mut expr, &place);
        expr
    };
    let rest = walk::conjunction(rest.into_iter().map(renumbered).collect());
    let outputs: Vec<Expr> = outputs.into_iter().map(renumbered).collect();
    let mut plan = joined.plan;
    if let Some(predicate) = rest {
        let columns = Arc::clone(&plan.columns);
        plan = Plan { node: PlanNode::Filter { input: Box::new(plan), predicate }, columns };
    }
    let in_place = |(place, output): (usize, &Expr)| matches!(output, Expr::Column(column, _) if *column == place);
    if outputs.len() == plan.columns.len() && outputs.iter().enumerate().all(in_place) {
        return Plan { node: plan.node, columns };
    }
    Plan { node: PlanNode::Project { input: Box::new(plan), expressions: outputs }, columns }
}

impl Graph {
    /// Takes an inner join apart; gives what its columns are over the graph's.
    fn flatten(&mut self, plan: Plan) -> Vec<Expr> {
        match plan.node {
            PlanNode::Join { left, right, kind: JoinKind::Inner, on, lateral: false } => {
                let mut outputs = self.flatten(*left);
                outputs.extend(self.flatten(*right));
                for mut condition in on.map(walk::conjuncts).unwrap_or_default() {
                    walk::substitute(&mut condition, &outputs);
                    self.conditions.push(condition);
                }
                outputs
            }
            PlanNode::Filter { input, predicate } if walk::is_repeatable(&predicate) => {
                let outputs = self.flatten(*input);
                for mut condition in walk::conjuncts(predicate) {
                    walk::substitute(&mut condition, &outputs);
                    self.conditions.push(condition);
                }
                outputs
            }
            PlanNode::Project { input, expressions } if only_picks(&expressions) => {
                let outputs = self.flatten(*input);
                let picked = expressions.into_iter().map(|mut expression| {
                    walk::substitute(&mut expression, &outputs);
                    expression
                });
                picked.collect()
            }
            node => self.add(Plan { node, columns: plan.columns }),
        }
    }

    fn add(&mut self, plan: Plan) -> Vec<Expr> {
        let start = self.width;
        self.width += plan.columns.len();
        let outputs = plan
            .columns
            .iter()
            .enumerate()
            .map(|(place, column)| Expr::Column(start + place, column.ty))
            .collect();
        self.starts.push(start);
        self.inputs.push(plan);
        outputs
    }

    /// The inputs that a condition needs.
    fn needs(&self, condition: &Expr) -> BTreeSet<usize> {
        walk::columns(condition).into_iter().map(|column| self.input_of(column)).collect()
    }

    fn input_of(&self, column: usize) -> usize {
        // Inputs without columns share their start with the next one.
        self.starts.partition_point(|start| *start <= column) - 1
    }

    /// Where two columns are equal and one equals a constant, so does the other.
    fn spread_constants(&mut self) {
        let mut equalities: Vec<(Call, usize, usize)> = Vec::new();
        let mut constants: Vec<(usize, Expr)> = Vec::new();
        for condition in &self.conditions {
            let Expr::Call(call) = condition else { continue };
            if !estimate::is_equality(condition) {
                continue;
            }
            match &*call.arguments {
                [Expr::Column(left, left_type), Expr::Column(right, right_type)]
                    if left_type == right_type =>
                {
                    equalities.push((call.clone(), *left, *right));
                }
                [Expr::Column(column, ty), other] | [other, Expr::Column(column, ty)]
                    if other.ty() == *ty && walk::is_rowless(other) =>
                {
                    constants.push((*column, other.clone()));
                }
                _ => {}
            }
        }
        let mut known: BTreeSet<usize> = constants.iter().map(|(column, _)| *column).collect();
        let mut next = 0;
        while let Some((column, constant)) = constants.get(next).cloned() {
            next += 1;
            for (call, left, right) in &equalities {
                let other = if *left == column {
                    *right
                } else if *right == column {
                    *left
                } else {
                    continue;
                };
                if known.insert(other) {
                    let column = Expr::Column(other, constant.ty());
                    let arguments = vec![column, constant.clone()];
                    self.conditions.push(Expr::Call(Call { arguments, ..call.clone() }));
                    constants.push((other, constant.clone()));
                }
            }
        }
    }

    /// Joins all inputs; gives also the conditions that must stay on top.
    fn join(mut self) -> (Joined, Vec<Expr>) {
        let (movable, rest): (Vec<Expr>, Vec<Expr>) =
            std::mem::take(&mut self.conditions).into_iter().partition(walk::is_repeatable);
        let mut own: Vec<Vec<Expr>> = vec![Vec::new(); self.inputs.len()];
        let mut shared = Vec::new();
        for condition in movable {
            let needs = self.needs(&condition);
            match needs.len() {
                0 => own[0].push(condition),
                1 => needs.into_iter().for_each(|input| own[input].push(condition.clone())),
                _ => shared.push((needs, condition)),
            }
        }
        let inputs = std::mem::take(&mut self.inputs);
        let mut waiting: Vec<Joined> = Vec::with_capacity(inputs.len());
        for (number, (input, mut conditions)) in inputs.into_iter().zip(own).enumerate() {
            let start = self.starts[number];
            for condition in &mut conditions {
                walk::renumber(condition, &|column| column - start);
            }
            let plan = pushdown::push(input, conditions);
            let columns = (start..start + plan.columns.len()).collect();
            let rows = estimate::rows(&plan);
            waiting.push(Joined { plan, inputs: BTreeSet::from([number]), columns, rows });
        }
        let mut joined = waiting.remove(smallest(&waiting));
        while !waiting.is_empty() {
            let next = best_next(&joined, &waiting, &shared);
            let next = waiting.remove(next);
            joined = joined.with(next, &mut shared);
        }
        (joined, rest)
    }
}

/// Whether a projection only picks columns, so that it can be taken apart.
fn only_picks(expressions: &[Expr]) -> bool {
    expressions.iter().all(|expr| matches!(expr, Expr::Column(..)))
}

fn smallest(waiting: &[Joined]) -> usize {
    let best =
        waiting.iter().enumerate().min_by(|(_, left), (_, right)| left.rows.total_cmp(&right.rows));
    best.map_or(0, |(place, _)| place)
}

/// The input to join next: one that a condition connects, and of these the one that gives the fewest rows.
fn best_next(joined: &Joined, waiting: &[Joined], shared: &[(BTreeSet<usize>, Expr)]) -> usize {
    let cost = |candidate: &Joined| {
        let conditions = connecting(joined, candidate, shared);
        let connected = !conditions.is_empty();
        (!connected, joined_rows(joined, candidate, &conditions))
    };
    let costs: Vec<(bool, f64)> = waiting.iter().map(cost).collect();
    let best = costs
        .iter()
        .enumerate()
        .min_by(|(_, left), (_, right)| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    best.map_or(0, |(place, _)| place)
}

/// The conditions that a join of two parts can decide.
fn connecting<'a>(
    left: &Joined,
    right: &Joined,
    shared: &'a [(BTreeSet<usize>, Expr)],
) -> Vec<&'a Expr> {
    let within = |needs: &BTreeSet<usize>| {
        needs.iter().all(|input| left.inputs.contains(input) || right.inputs.contains(input))
    };
    shared.iter().filter(|(needs, _)| within(needs)).map(|(_, condition)| condition).collect()
}

/// The keys of an input that equalities with a joined part give.
fn keys_of(input: &Joined, conditions: &[&Expr]) -> Vec<usize> {
    let mut keys = Vec::new();
    for condition in conditions {
        let Expr::Call(call) = condition else { continue };
        if !estimate::is_equality(condition) {
            continue;
        }
        for argument in &call.arguments {
            if let Expr::Column(column, _) = argument
                && let Some(place) = input.columns.iter().position(|it| it == column)
            {
                keys.push(place);
            }
        }
    }
    keys
}

/// The rows of an input that one look-up by the keys finds, if it can be looked up.
fn lookup_rows(input: &Joined, conditions: &[&Expr]) -> Option<f64> {
    let PlanNode::Scan { relation, columns, .. } = &input.plan.node else { return None };
    let keys = keys_of(input, conditions).into_iter().filter_map(|key| columns.get(key).copied());
    let (index, prefix) = estimate::best_index(relation.schema(), &keys.collect::<Vec<_>>())?;
    Some(estimate::keyed(&**relation, index, prefix))
}

fn joined_rows(left: &Joined, right: &Joined, conditions: &[&Expr]) -> f64 {
    if let Some(found) = lookup_rows(right, conditions) {
        let PlanNode::Scan { relation, .. } = &right.plan.node else { return left.rows };
        // Of what is found, the input's own conditions keep a part.
        return (left.rows * found * right.rows / estimate::total(&**relation)).max(1.0);
    }
    let on = conditions.first().copied();
    let on = conditions.iter().copied().find(|condition| estimate::is_equality(condition)).or(on);
    estimate::join(left.rows, right.rows, JoinKind::Inner, on, false)
}

impl Joined {
    /// Joins an input on. The side to be looked up or hashed goes to the right.
    fn with(self, next: Self, shared: &mut Vec<(BTreeSet<usize>, Expr)>) -> Self {
        let conditions = connecting(&self, &next, shared);
        let rows = joined_rows(&self, &next, &conditions);
        let cheap_lookup = |left: &Self, right: &Self| {
            let table = match &right.plan.node {
                PlanNode::Scan { relation, .. } => estimate::total(&**relation),
                _ => return false,
            };
            lookup_rows(right, &conditions)
                .is_some_and(|found| left.rows * LOOKUP_ROWS * found.max(1.0) < table)
        };
        let next_goes_left =
            !cheap_lookup(&self, &next) && (cheap_lookup(&next, &self) || next.rows > self.rows);
        let inputs: BTreeSet<usize> = self.inputs.union(&next.inputs).copied().collect();
        let (left, right) = if next_goes_left { (next, self) } else { (self, next) };
        let mut columns = left.columns;
        columns.extend(right.columns);
        let mut on = Vec::new();
        shared.retain(|(needs, condition)| {
            let decided = needs.is_subset(&inputs);
            if decided {
                let mut condition = condition.clone();
                walk::renumber(&mut condition, &|column| {
                    columns.iter().position(|it| *it == column).unwrap_or(0)
                });
                on.push(condition);
            }
            !decided
        });
        let outputs: Vec<OutputColumn> =
            left.plan.columns.iter().chain(right.plan.columns.iter()).cloned().collect();
        let node = PlanNode::Join {
            left: Box::new(left.plan),
            right: Box::new(right.plan),
            kind: JoinKind::Inner,
            on: walk::conjunction(on),
            lateral: false,
        };
        Self { plan: Plan::new(node, outputs), inputs, columns, rows }
    }
}
