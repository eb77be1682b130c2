//! A plan as the tree of nodes that `EXPLAIN` shows.
//!
//! PostgreSQL has no node for a condition or for a list of expressions: both belong to the node whose rows they are
//! about. So they are shown there, and a node's rows are those that leave the last of them.

use super::ExplainOptions;
use super::analysis::{Analysis, Counters};
use super::cost::Estimate;
use super::expression::{Names, expression, expressions};
use super::node::{Shape, node};
use crate::exec::ExecContext;
use crate::optimize::walk;
use crate::plan::{Plan, PlanNode, Subquery, SubqueryKind};
use crate::relation::Relation;
use crate::types::datetime::TIMESTAMP_INFINITY;
use crate::types::{Datum, PgType, text};

/// A node with what is below it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) shape: Shape,
    /// How it stands to the node above, if it is no plain input: `SubPlan 1`, `CTE x`.
    pub(super) label: Option<String>,
    /// The output expressions, if they are wanted.
    output: Option<String>,
    /// What is expected of it.
    pub(super) estimate: Estimate,
    /// What it has done.
    pub(super) actual: Option<Actual>,
    /// The rows that conditions above it have dropped in a run.
    removed: Option<u64>,
    pub(super) children: Vec<Described>,
}

/// What a node has done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actual {
    pub(super) loops: u64,
    pub(super) rows: u64,
    /// Until the first rows and until the last, of a run.
    pub(super) milliseconds: Option<(f64, f64)>,
}

struct Describer<'a> {
    /// The statement, if it is about to run: it knows which instants are read.
    context: Option<&'a ExecContext>,
    analysis: Option<&'a Analysis>,
    options: &'a ExplainOptions,
    /// Subplans named so far.
    subplans: usize,
    /// The columns of enclosing rows, outermost first.
    outer: Vec<Vec<String>>,
}

impl Described {
    /// Describes a plan.
    pub(super) fn new(
        plan: &Plan,
        context: Option<&ExecContext>,
        analysis: Option<&Analysis>,
        options: &ExplainOptions,
    ) -> Self {
        let mut describer =
            Describer { context, analysis, options, subplans: 0, outer: Vec::new() };
        let rows = describer.describe(plan);
        let Some((command, table)) = &options.command else { return rows };
        Self {
            shape: Shape::command(command, table),
            label: None,
            output: None,
            estimate: Estimate { rows: 0.0, width: 0, ..rows.estimate },
            actual: None,
            removed: None,
            children: vec![rows],
        }
    }

    /// What is said of it, in order.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&'static str, String)> {
        let output = self.output.iter().map(|output| ("Output", output.clone()));
        let removed = self.removed.iter().map(|rows| ("Rows Removed by Filter", rows.to_string()));
        output.chain(self.shape.properties.iter().cloned()).chain(removed)
    }
}

impl Actual {
    fn new(counters: Option<&Counters>, options: &ExplainOptions) -> Self {
        let Some(counters) = counters else {
            return Self { loops: 0, rows: 0, milliseconds: None };
        };
        let milliseconds = options.timing.then(|| counters.milliseconds_per_loop());
        Self { loops: counters.loops(), rows: counters.rows_per_loop(), milliseconds }
    }
}

impl Describer<'_> {
    fn describe(&mut self, plan: &Plan) -> Described {
        let mut described = match &plan.node {
            PlanNode::With { ctes, body } => self.with(plan, ctes, body),
            PlanNode::Project { input, .. } => self.over(plan, input),
            PlanNode::Filter { input, predicate } => {
                let mut described = self.over(plan, input);
                let names = Names::of(input, &self.outer);
                described.shape.properties.push(("Filter", expression(predicate, &names)));
                described
            }
            _ => self.own(plan),
        };
        if self.options.verbose {
            described.output = Some(self.output(plan));
        }
        let row = Names::input_of(plan);
        walk::expressions(&plan.node, &mut |expr| {
            walk::visit_subqueries(expr, &mut |subquery| {
                let child = self.subquery(subquery, row.columns());
                let first = |it: &Described| it.label.as_ref().is_none_or(|it| it.starts_with('S'));
                let place = match &child.label {
                    // What is run once stands before the inputs.
                    Some(label) if label.starts_with("InitPlan") => {
                        described.children.iter().position(first)
                    }
                    _ => None,
                };
                let place = place.unwrap_or(described.children.len());
                described.children.insert(place, child);
            });
        });
        described
    }

    /// A node of its own.
    fn own(&mut self, plan: &Plan) -> Described {
        let mut children = Vec::new();
        let lateral_row = match &plan.node {
            PlanNode::Join { left, .. } => Names::of(left, &[]).columns().to_vec(),
            _ => Vec::new(),
        };
        walk::inputs(&plan.node, &mut |input, depth| {
            if depth > 0 {
                self.outer.push(lateral_row.clone());
            }
            children.push(self.describe(input));
            self.outer.truncate(self.outer.len() - depth);
        });
        let estimates: Vec<Estimate> = children.iter().map(|child| child.estimate).collect();
        let mut shape = node(plan, &self.outer);
        if let PlanNode::Scan { relation, .. } = &plan.node
            && let Some(instant) = self.as_of(&**relation)
        {
            shape.properties.insert(0, ("As Of", instant));
        }
        if shape.node_type == "Hash Join"
            && let Some(hashed) = children.pop()
        {
            children.push(hash(hashed));
        }
        Described {
            shape,
            label: None,
            output: None,
            estimate: Estimate::of(plan, &estimates),
            actual: self.actual(plan),
            removed: None,
            children,
        }
    }

    /// The input of a condition or of a list of expressions, which gives what they give.
    fn over(&mut self, plan: &Plan, input: &Plan) -> Described {
        let mut described = self.describe(input);
        described.estimate = Estimate::of(plan, &[described.estimate]);
        if let Some(actual) = self.actual(plan) {
            let before = described.actual.map_or(0, |below| below.rows);
            if matches!(plan.node, PlanNode::Filter { .. }) && actual.loops > 0 {
                described.removed = Some(before.saturating_sub(actual.rows));
            }
            described.actual = Some(actual);
        }
        described
    }

    /// The body, with the common table expressions before its inputs.
    fn with(
        &mut self,
        plan: &Plan,
        ctes: &[(usize, std::sync::Arc<Plan>)],
        body: &Plan,
    ) -> Described {
        let mut children: Vec<Described> = Vec::new();
        for (number, cte) in ctes {
            let mut child = self.describe(cte);
            let name = walk::cte_name(plan, *number).unwrap_or_default();
            child.label = Some(format!("CTE {name}"));
            children.push(child);
        }
        let mut described = self.describe(body);
        let mut estimates: Vec<Estimate> = children.iter().map(|child| child.estimate).collect();
        estimates.push(described.estimate);
        described.estimate = Estimate::of(plan, &estimates);
        children.append(&mut described.children);
        described.children = children;
        described
    }

    fn subquery(&mut self, subquery: &Subquery, row: &[String]) -> Described {
        self.subplans += 1;
        let number = self.subplans;
        let correlated = !walk::outer_references(&subquery.plan).is_empty();
        let label = if correlated || matches!(subquery.kind, SubqueryKind::Quantified { .. }) {
            format!("SubPlan {number}")
        } else {
            format!("InitPlan {number} (returns ${})", number - 1)
        };
        self.outer.push(row.to_vec());
        let mut child = self.describe(&subquery.plan);
        self.outer.pop();
        child.label = Some(label);
        child
    }

    fn actual(&self, plan: &Plan) -> Option<Actual> {
        let analysis = self.analysis?;
        Some(Actual::new(analysis.find(plan), self.options))
    }

    /// The output expressions of a plan.
    fn output(&self, plan: &Plan) -> String {
        match &plan.node {
            PlanNode::Project { input, expressions: items } => {
                expressions(items, &Names::of(input, &self.outer))
            }
            _ => Names::of(plan, &[]).columns().join(", "),
        }
    }

    /// The instant that a relation is read as of, if it is not now.
    fn as_of(&self, relation: &dyn Relation) -> Option<String> {
        let instant = relation.instant();
        let timestamp = match (self.context, instant) {
            (Some(context), Some(instant)) => instant.timestamp(context).ok(),
            (Some(context), None) if relation.has_past() => context.snapshot.as_of(),
            _ => None,
        };
        match (timestamp, self.context) {
            (Some(timestamp), Some(context)) => {
                let value = Datum::TimestampTz(match timestamp.0 {
                    u64::MAX => TIMESTAMP_INFINITY,
                    _ => timestamp.microseconds(),
                });
                Some(text::to_string(&value, PgType::TimestampTz, &context.settings))
            }
            _ => instant.map(|instant| expression(&instant.expression, &Names::none())),
        }
    }
}

/// The table that a hash join makes of its right side, as a node of its own.
fn hash(input: Described) -> Described {
    Described {
        shape: Shape::plain("Hash"),
        label: None,
        output: input.output.clone(),
        estimate: Estimate { startup: input.estimate.total, ..input.estimate },
        actual: input.actual.map(|actual| Actual {
            milliseconds: actual.milliseconds.map(|(_, all)| (all, all)),
            ..actual
        }),
        removed: None,
        children: vec![input],
    }
}
