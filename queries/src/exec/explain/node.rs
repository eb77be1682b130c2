//! A plan's nodes in PostgreSQL's words.

use super::expression::{Names, expression, expressions, sort_keys};
use crate::exec::operators::join::JoinCondition;
use crate::optimize::walk;
use crate::plan::{Expr, JoinKind, Plan, PlanNode, ScanAccess, SetOperationKind};
use crate::relation::{Relation, RelationSchema};

type Properties = Vec<(&'static str, String)>;

/// How a node is shown.
#[derive(Debug)]
pub(super) struct Shape {
    /// `Hash Left Join`, `Index Scan using legs_pkey on legs`.
    pub(super) title: String,
    /// The same in JSON, without what its attributes say: `Hash Join`, `Index Scan`.
    pub(super) node_type: String,
    /// What the title says beside, in JSON: `Index Name` ….
    pub(super) attributes: Properties,
    /// `Filter`, `Sort Key` ….
    pub(super) properties: Properties,
    /// Whether its last input is the inner side of a join.
    pub(super) joins: bool,
    /// Whether its inputs are of one kind.
    pub(super) appends: bool,
}

impl Shape {
    /// A node of which nothing more is said.
    pub(super) fn plain(title: &str) -> Self {
        Self::titled(title.to_owned(), title)
    }

    /// The node of a command that changes rows of a table.
    pub(super) fn command(command: &str, table: &str) -> Self {
        Self {
            attributes: vec![
                ("Operation", command.to_owned()),
                ("Relation Name", table.to_owned()),
                ("Alias", table.to_owned()),
            ],
            ..Self::titled(format!("{command} on {table}"), "ModifyTable")
        }
    }

    fn titled(title: String, node_type: &str) -> Self {
        Self {
            title,
            node_type: node_type.to_owned(),
            attributes: Vec::new(),
            properties: Vec::new(),
            joins: false,
            appends: false,
        }
    }

    fn with(mut self, attribute: &'static str, value: &str) -> Self {
        self.attributes.push((attribute, value.to_owned()));
        self
    }

    fn saying(mut self, property: &'static str, value: String) -> Self {
        self.properties.push((property, value));
        self
    }
}

/// How a plan's node is shown; `outer` are the columns of the rows around it.
pub(super) fn node(plan: &Plan, outer: &[Vec<String>]) -> Shape {
    match &plan.node {
        PlanNode::Scan { relation, columns, access, filter } => {
            scan(&**relation, columns, access, filter.as_ref(), outer)
        }
        PlanNode::Values(rows) if rows.len() == 1 => Shape::plain("Result"),
        PlanNode::Values(_) => {
            Shape::titled("Values Scan on \"*VALUES*\"".to_owned(), "Values Scan")
                .with("Alias", "*VALUES*")
        }
        PlanNode::ProjectSet { .. } => Shape::plain("ProjectSet"),
        PlanNode::Join { left, right, kind, on, lateral } => {
            join(left, right, *kind, on.as_ref(), *lateral, outer)
        }
        PlanNode::Aggregate { input, group, grouping_sets, .. } => {
            aggregate(&Names::of(input, outer), group, grouping_sets)
        }
        PlanNode::Window { .. } => Shape::plain("WindowAgg"),
        PlanNode::Sort { input, keys } => {
            Shape::plain("Sort").saying("Sort Key", sort_keys(keys, &Names::of(input, outer)))
        }
        PlanNode::Limit { .. } => Shape::plain("Limit"),
        PlanNode::Distinct { input, on: None } => hashed(Names::of(input, outer).columns()),
        PlanNode::Distinct { .. } => Shape::plain("Unique"),
        PlanNode::SetOperation { kind: SetOperationKind::Union, all: true, .. } => {
            Shape { appends: true, ..Shape::plain("Append") }
        }
        PlanNode::SetOperation { kind: SetOperationKind::Union, left, .. } => {
            Shape { appends: true, ..hashed(Names::of(left, outer).columns()) }
        }
        PlanNode::SetOperation { kind, all, .. } => {
            let kind = if *kind == SetOperationKind::Except { "Except" } else { "Intersect" };
            let command = format!("{kind}{}", if *all { " All" } else { "" });
            let shape = Shape::titled(format!("HashSetOp {command}"), "SetOp");
            Shape { appends: true, ..shape }.with("Strategy", "Hashed").with("Command", &command)
        }
        PlanNode::Project { .. } | PlanNode::Filter { .. } | PlanNode::With { .. } => {
            Shape::plain("Result")
        }
        PlanNode::CteScan { name, .. } => {
            Shape::titled(format!("CTE Scan on {name}"), "CTE Scan").with("CTE Name", name)
        }
        PlanNode::RecursiveUnion { .. } => {
            Shape { appends: true, ..Shape::plain("Recursive Union") }
        }
        PlanNode::FunctionScan { calls, .. } => {
            let names: Vec<&str> = calls.iter().map(|call| call.function.name).collect();
            let names = names.join(", ");
            Shape::titled(format!("Function Scan on {names}"), "Function Scan")
                .with("Function Name", &names)
        }
    }
}

fn hashed(keys: &[String]) -> Shape {
    Shape { node_type: "Aggregate".to_owned(), ..Shape::plain("HashAggregate") }
        .with("Strategy", "Hashed")
        .saying("Group Key", keys.join(", "))
}

fn scan(
    relation: &dyn Relation,
    columns: &[usize],
    access: &ScanAccess,
    filter: Option<&Expr>,
    outer: &[Vec<String>],
) -> Shape {
    let schema = relation.schema();
    let no_row = Names::new(Vec::new(), outer);
    let shape = match access {
        ScanAccess::Full => Shape::titled(format!("Seq Scan on {}", schema.name), "Seq Scan"),
        // PostgreSQL has no such node: the number of rows is kept, and no row is read.
        ScanAccess::Count => Shape::titled(format!("Row Count of {}", schema.name), "Row Count"),
        ScanAccess::Index { index, prefix, lower, upper, backward } => {
            let conditions =
                index_conditions(schema, *index, prefix, [lower.as_ref(), upper.as_ref()], &no_row);
            let shape = index_scan(schema, *index, *backward);
            match &*conditions {
                [] => shape,
                [condition] => shape.saying("Index Cond", condition.clone()),
                several => shape.saying("Index Cond", format!("({})", several.join(" AND "))),
            }
        }
        ScanAccess::IndexAny { index, keys } => {
            let first = index_column(schema, *index, 0);
            let condition = format!("({first} = ANY ({}))", expression(keys, &no_row));
            index_scan(schema, *index, false).saying("Index Cond", condition)
        }
    };
    let shape = shape.with("Relation Name", schema.name).with("Alias", schema.name);
    let Some(filter) = filter else { return shape };
    let read = columns.iter().map(|place| column(schema, Some(place)).to_owned()).collect();
    shape.saying("Filter", expression(filter, &Names::new(read, outer)))
}

fn index_scan(schema: &RelationSchema, index: usize, backward: bool) -> Shape {
    let name = schema.indexes.get(index).map_or("?", |index| index.name);
    let (word, direction) = if backward { (" Backward", "Backward") } else { ("", "Forward") };
    Shape::titled(format!("Index Scan{word} using {name} on {}", schema.name), "Index Scan")
        .with("Scan Direction", direction)
        .with("Index Name", name)
}

fn column(schema: &RelationSchema, place: Option<&usize>) -> &'static str {
    place.and_then(|place| schema.columns.get(*place)).map_or("?", |column| column.name)
}

fn index_column(schema: &RelationSchema, index: usize, place: usize) -> &'static str {
    column(schema, schema.indexes.get(index).and_then(|index| index.columns.get(place)))
}

fn index_conditions(
    schema: &RelationSchema,
    index: usize,
    prefix: &[Expr],
    bounds: [Option<&(Expr, bool)>; 2],
    names: &Names<'_>,
) -> Vec<String> {
    let mut conditions = Vec::new();
    for (place, value) in prefix.iter().enumerate() {
        let name = index_column(schema, index, place);
        conditions.push(format!("({name} = {})", expression(value, names)));
    }
    let next = index_column(schema, index, prefix.len());
    for (bound, word) in bounds.into_iter().zip([">", "<"]) {
        if let Some((bound, included)) = bound {
            let equal = if *included { "=" } else { "" };
            conditions.push(format!("({next} {word}{equal} {})", expression(bound, names)));
        }
    }
    conditions
}

fn join(
    left: &Plan,
    right: &Plan,
    kind: JoinKind,
    on: Option<&Expr>,
    lateral: bool,
    outer: &[Vec<String>],
) -> Shape {
    let (left_names, right_names) = (Names::of(left, outer), Names::of(right, outer));
    let names = Names::of(left, outer).and(Names::of(right, outer));
    let condition = JoinCondition::split(on, left.columns.len());
    let word = if kind == JoinKind::Inner { String::new() } else { format!(" {kind}") };
    let join_type = kind.to_string();
    if lateral || condition.left_keys.is_empty() {
        let word = if word.is_empty() { word } else { format!("{word} Join") };
        let shape = Shape::titled(format!("Nested Loop{word}"), "Nested Loop");
        let shape = Shape { joins: true, ..shape.with("Join Type", &join_type) };
        return match on {
            Some(on) => shape.saying("Join Filter", expression(on, &names)),
            None => shape,
        };
    }
    let keys = condition.left_keys.iter().zip(&condition.right_keys);
    let keys: Vec<String> = keys
        .map(|(left, right)| {
            format!("({} = {})", expression(left, &left_names), expression(right, &right_names))
        })
        .collect();
    let keys = if keys.len() > 1 { format!("({})", keys.join(" AND ")) } else { keys.concat() };
    let shape = Shape::titled(format!("Hash{word} Join"), "Hash Join");
    let shape = Shape { joins: true, ..shape.with("Join Type", &join_type) };
    let shape = shape.saying("Hash Cond", keys);
    match walk::conjunction(condition.residual) {
        Some(residual) => shape.saying("Join Filter", expression(&residual, &names)),
        None => shape,
    }
}

fn aggregate(names: &Names<'_>, group: &[Expr], grouping_sets: &[Vec<usize>]) -> Shape {
    if group.is_empty() {
        return Shape::plain("Aggregate").with("Strategy", "Plain");
    }
    let keys = |set: &[usize]| {
        let keys: Vec<Expr> = set.iter().filter_map(|place| group.get(*place)).cloned().collect();
        if keys.is_empty() { "()".to_owned() } else { expressions(&keys, names) }
    };
    let (title, strategy) = if grouping_sets.len() > 1 {
        ("MixedAggregate", "Mixed")
    } else {
        ("HashAggregate", "Hashed")
    };
    let mut shape = Shape { node_type: "Aggregate".to_owned(), ..Shape::plain(title) }
        .with("Strategy", strategy);
    shape.properties.extend(grouping_sets.iter().map(|set| {
        let name =
            if grouping_sets.len() > 1 && !set.is_empty() { "Hash Key" } else { "Group Key" };
        (name, keys(set))
    }));
    shape
}
