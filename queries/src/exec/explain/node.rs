//! A plan's nodes as `EXPLAIN` shows them.

use serde_json::{Map, Value, json};

use crate::exec::ExecContext;
use crate::exec::explain::expression::{Names, expression, expressions, sort_keys};
use crate::exec::explain::{Analysis, Counters, ExplainOptions};
use crate::exec::operators::join::JoinCondition;
use crate::optimize::walk;
use crate::plan::{
    Expr, JoinKind, Plan, PlanNode, ScanAccess, SetOperationKind, SortKey, SubqueryKind,
};
use crate::relation::Relation;
use crate::types::datetime::TIMESTAMP_INFINITY;
use crate::types::{Datum, PgType, text};

/// A node with what is below it.
pub(super) struct Described {
    /// `Hash Left Join`, `Index Scan using legs_pkey on legs`.
    title: String,
    /// How it stands to the node above, if it is no plain input: `SubPlan 1`, `CTE 2`.
    label: Option<String>,
    /// `Filter`, `Sort Key` ….
    properties: Vec<(&'static str, String)>,
    /// `(actual time=.. rows=.. loops=..)`.
    actual: Option<Actual>,
    children: Vec<Described>,
}

struct Actual {
    loops: u64,
    rows: u64,
    milliseconds: Option<f64>,
}

struct Describer<'a> {
    /// The statement, if it is about to run: it knows which instants are read.
    context: Option<&'a ExecContext>,
    analysis: Option<&'a Analysis>,
    options: ExplainOptions,
    /// Subplans named so far.
    subplans: usize,
}

impl Described {
    /// Describes a plan.
    pub(super) fn new(
        plan: &Plan,
        context: Option<&ExecContext>,
        analysis: Option<&Analysis>,
        options: ExplainOptions,
    ) -> Self {
        Describer { context, analysis, options, subplans: 0 }.describe(plan)
    }

    /// The lines of the text format.
    pub(super) fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.lines(0, true, &mut lines);
        lines
    }

    /// The JSON format.
    pub(super) fn json(&self, milliseconds: Option<f64>) -> String {
        let mut statement = Map::new();
        statement.insert("Plan".to_owned(), self.value());
        if let Some(milliseconds) = milliseconds {
            statement.insert("Execution Time".to_owned(), json!(milliseconds));
        }
        let value = Value::Array(vec![Value::Object(statement)]);
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }

    fn lines(&self, indent: usize, root: bool, lines: &mut Vec<String>) {
        let mut indent = indent;
        if let Some(label) = &self.label {
            lines.push(format!("{:indent$}{label}", ""));
            indent += 2;
        }
        let arrow = if root { "" } else { "->  " };
        let actual = self.actual.as_ref().map(Actual::text).unwrap_or_default();
        lines.push(format!("{:indent$}{arrow}{}{actual}", "", self.title));
        let inner = indent + arrow.len() + 2;
        for (name, value) in &self.properties {
            lines.push(format!("{:inner$}{name}: {value}", ""));
        }
        for child in &self.children {
            child.lines(inner, false, lines);
        }
    }

    fn value(&self) -> Value {
        let mut object = Map::new();
        object.insert("Node Type".to_owned(), json!(self.title));
        if let Some(label) = &self.label {
            object.insert("Subplan Name".to_owned(), json!(label));
        }
        for (name, value) in &self.properties {
            object.insert((*name).to_owned(), json!(value));
        }
        if let Some(actual) = &self.actual {
            if let Some(milliseconds) = actual.milliseconds {
                object.insert("Actual Total Time".to_owned(), json!(milliseconds));
            }
            object.insert("Actual Rows".to_owned(), json!(actual.rows));
            object.insert("Actual Loops".to_owned(), json!(actual.loops));
        }
        if !self.children.is_empty() {
            object.insert("Plans".to_owned(), self.children.iter().map(Self::value).collect());
        }
        Value::Object(object)
    }
}

impl Actual {
    fn new(counters: &Counters, options: ExplainOptions) -> Self {
        let milliseconds = options.timing.then(|| counters.milliseconds_per_loop());
        Self { loops: counters.loops(), rows: counters.rows_per_loop(), milliseconds }
    }

    fn text(&self) -> String {
        match self.milliseconds {
            _ if self.loops == 0 => " (never executed)".to_owned(),
            Some(milliseconds) => {
                format!(" (actual time={milliseconds:.3} rows={} loops={})", self.rows, self.loops)
            }
            None => format!(" (actual rows={} loops={})", self.rows, self.loops),
        }
    }
}

impl Describer<'_> {
    fn describe(&mut self, plan: &Plan) -> Described {
        let counters = self.analysis.map(|analysis| analysis.find(plan));
        let actual = counters.map(|counters| match counters {
            Some(counters) => Actual::new(counters, self.options),
            None => Actual { loops: 0, rows: 0, milliseconds: None },
        });
        let (title, mut properties) = node(&plan.node);
        if let PlanNode::Scan { relation, .. } = &plan.node
            && let Some(instant) = self.as_of(&**relation)
        {
            properties.insert(0, ("As Of", instant));
        }
        let mut described =
            Described { title, label: None, properties, actual, children: Vec::new() };
        if self.options.verbose {
            let output = match &plan.node {
                PlanNode::Project { input, expressions: items } => {
                    expressions(items, &Names::of(input))
                }
                _ => plan
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            described.properties.insert(0, ("Output", output));
        }
        if let PlanNode::With { ctes, body } = &plan.node {
            for (number, plan) in ctes {
                let mut child = self.describe(plan);
                child.label = Some(format!("CTE {number}"));
                described.children.push(child);
            }
            described.children.push(self.describe(body));
        } else {
            walk::inputs(&plan.node, &mut |input, _| described.children.push(self.describe(input)));
        }
        walk::expressions(&plan.node, &mut |expr| {
            walk::visit_subqueries(expr, &mut |subquery| {
                self.subplans += 1;
                let correlated = !walk::outer_references(&subquery.plan).is_empty();
                let kind = if correlated || matches!(subquery.kind, SubqueryKind::Quantified { .. })
                {
                    "SubPlan"
                } else {
                    "InitPlan"
                };
                let label = format!("{kind} {}", self.subplans);
                let mut child = self.describe(&subquery.plan);
                child.label = Some(label);
                described.children.push(child);
            });
        });
        described
    }
}

impl Describer<'_> {
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

type Properties = Vec<(&'static str, String)>;

/// The title and the properties of a node.
fn node(node: &PlanNode) -> (String, Properties) {
    let plain = |title: &str| (title.to_owned(), Vec::new());
    match node {
        PlanNode::Scan { relation, columns, access, filter } => {
            scan(&**relation, columns, access, filter.as_ref())
        }
        PlanNode::Values(rows) if rows.len() == 1 && rows[0].is_empty() => plain("Result"),
        PlanNode::Values(_) => plain("Values Scan"),
        PlanNode::ProjectSet { .. } => plain("ProjectSet"),
        PlanNode::Filter { input, predicate } => {
            ("Filter".to_owned(), vec![("Filter", expression(predicate, &Names::of(input)))])
        }
        PlanNode::Join { left, right, kind, on, lateral } => {
            join(left, right, *kind, on.as_ref(), *lateral)
        }
        PlanNode::Aggregate { input, group, grouping_sets, .. } => {
            aggregate(input, group, grouping_sets)
        }
        PlanNode::Window { .. } => plain("WindowAgg"),
        PlanNode::Sort { input, keys } => sort(input, keys),
        PlanNode::Limit { .. } => plain("Limit"),
        PlanNode::Distinct { on: None, .. } => plain("HashAggregate"),
        PlanNode::Distinct { .. } => plain("Unique"),
        PlanNode::SetOperation { kind: SetOperationKind::Union, all: true, .. } => plain("Append"),
        PlanNode::SetOperation { kind, all, .. } => {
            let kind = match kind {
                SetOperationKind::Union => "Union",
                SetOperationKind::Intersect => "Intersect",
                SetOperationKind::Except => "Except",
            };
            (format!("HashSetOp {kind}{}", if *all { " All" } else { "" }), Vec::new())
        }
        PlanNode::Project { .. } | PlanNode::With { .. } => plain("Result"),
        PlanNode::CteScan { cte } => (format!("CTE Scan on {cte}"), Vec::new()),
        PlanNode::RecursiveUnion { .. } => plain("Recursive Union"),
        PlanNode::FunctionScan { calls, .. } => {
            let names: Vec<&str> = calls.iter().map(|call| call.function.name).collect();
            (format!("Function Scan on {}", names.join(", ")), Vec::new())
        }
    }
}

fn scan(
    relation: &dyn Relation,
    columns: &[usize],
    access: &ScanAccess,
    filter: Option<&Expr>,
) -> (String, Properties) {
    let schema = relation.schema();
    let mut properties = Vec::new();
    let index_columns =
        |index: usize| schema.indexes.get(index).map(|index| &*index.columns).unwrap_or_default();
    let column = |column: Option<&usize>| {
        column.and_then(|column| schema.columns.get(*column)).map_or("?", |column| column.name)
    };
    let none = Names::none();
    let title = match access {
        ScanAccess::Full => format!("Seq Scan on {}", schema.name),
        ScanAccess::Count => format!("Row Count of {}", schema.name),
        ScanAccess::Index { index, prefix, lower, upper, backward } => {
            let mut conditions = Vec::new();
            for (place, value) in prefix.iter().enumerate() {
                conditions.push(format!(
                    "({} = {})",
                    column(index_columns(*index).get(place)),
                    expression(value, &none)
                ));
            }
            let next = column(index_columns(*index).get(prefix.len()));
            if let Some((bound, included)) = lower {
                conditions.push(format!(
                    "({next} {} {})",
                    if *included { ">=" } else { ">" },
                    expression(bound, &none)
                ));
            }
            if let Some((bound, included)) = upper {
                conditions.push(format!(
                    "({next} {} {})",
                    if *included { "<=" } else { "<" },
                    expression(bound, &none)
                ));
            }
            if !conditions.is_empty() {
                let condition = conditions.join(" AND ");
                properties.push((
                    "Index Cond",
                    if conditions.len() > 1 { format!("({condition})") } else { condition },
                ));
            }
            let name = schema.indexes.get(*index).map_or("?", |index| index.name);
            format!(
                "Index Scan{} using {name} on {}",
                if *backward { " Backward" } else { "" },
                schema.name
            )
        }
        ScanAccess::IndexAny { index, keys } => {
            let first = column(index_columns(*index).first());
            properties
                .push(("Index Cond", format!("({first} = ANY ({}))", expression(keys, &none))));
            let name = schema.indexes.get(*index).map_or("?", |index| index.name);
            format!("Index Scan using {name} on {}", schema.name)
        }
    };
    if let Some(filter) = filter {
        let names = Names::new(columns.iter().map(|it| column(Some(it)).to_owned()).collect());
        properties.push(("Filter", expression(filter, &names)));
    }
    (title, properties)
}

fn join(
    left: &Plan,
    right: &Plan,
    kind: JoinKind,
    on: Option<&Expr>,
    lateral: bool,
) -> (String, Properties) {
    let names = Names::of(left).and(Names::of(right));
    let condition = JoinCondition::split(on, left.columns.len());
    let suffix = if kind == JoinKind::Inner { " Join".to_owned() } else { format!(" {kind} Join") };
    if lateral || condition.left_keys.is_empty() {
        let title = if kind == JoinKind::Inner {
            "Nested Loop".to_owned()
        } else {
            format!("Nested Loop{suffix}")
        };
        let properties = on.map(|on| ("Join Filter", expression(on, &names)));
        return (title, properties.into_iter().collect());
    }
    let (left_names, right_names) = (Names::of(left), Names::of(right));
    let keys = condition.left_keys.iter().zip(&condition.right_keys);
    let keys: Vec<String> = keys
        .map(|(left, right)| {
            format!("({} = {})", expression(left, &left_names), expression(right, &right_names))
        })
        .collect();
    let mut properties = vec![(
        "Hash Cond",
        if keys.len() > 1 { format!("({})", keys.join(" AND ")) } else { keys.concat() },
    )];
    if let Some(residual) = walk::conjunction(condition.residual) {
        properties.push(("Join Filter", expression(&residual, &names)));
    }
    (format!("Hash{suffix}"), properties)
}

fn aggregate(input: &Plan, group: &[Expr], grouping_sets: &[Vec<usize>]) -> (String, Properties) {
    let names = Names::of(input);
    if group.is_empty() {
        return ("Aggregate".to_owned(), Vec::new());
    }
    let keys = |set: &[usize]| {
        set.iter()
            .filter_map(|place| group.get(*place))
            .map(|key| expression(key, &names))
            .collect::<Vec<_>>()
    };
    let properties = grouping_sets.iter().map(|set| match &*keys(set) {
        [] => ("Group Key", "()".to_owned()),
        keys => ("Group Key", keys.join(", ")),
    });
    (
        if grouping_sets.len() > 1 { "MixedAggregate" } else { "HashAggregate" }.to_owned(),
        properties.collect(),
    )
}

fn sort(input: &Plan, keys: &[SortKey]) -> (String, Properties) {
    ("Sort".to_owned(), vec![("Sort Key", sort_keys(keys, &Names::of(input)))])
}
