//! Expressions as `EXPLAIN` shows them.

use crate::exec::Settings;
use crate::optimize::walk;
use crate::plan::{Call, Expr, Plan, PlanNode, SortKey, SubqueryKind};
use crate::types::functions::{ScalarFunction, registry};
use crate::types::{self, Datum, PgType};

/// The names of a row's columns, and of those of the rows around it.
#[derive(Debug)]
pub(super) struct Names<'a> {
    columns: Vec<String>,
    /// Outermost first.
    outer: &'a [Vec<String>],
}

impl<'a> Names<'a> {
    /// Names as they are.
    pub(super) fn new(columns: Vec<String>, outer: &'a [Vec<String>]) -> Self {
        Self { columns, outer }
    }

    /// Of no row.
    pub(super) fn none() -> Self {
        Self { columns: Vec::new(), outer: &[] }
    }

    /// Of a plan's rows.
    pub(super) fn of(plan: &Plan, outer: &'a [Vec<String>]) -> Self {
        Self { columns: plan.columns.iter().map(|column| column.name.clone()).collect(), outer }
    }

    /// Of the row that a plan's own expressions are over.
    pub(super) fn input_of(plan: &Plan) -> Names<'static> {
        let mut columns = Vec::new();
        match &plan.node {
            PlanNode::Scan { relation, columns: read, .. } => {
                let schema = relation.schema();
                let name = |place: &usize| schema.columns.get(*place).map_or("?", |it| it.name);
                columns.extend(read.iter().map(|place| name(place).to_owned()));
            }
            PlanNode::With { .. } => {}
            node => walk::inputs(node, &mut |input, _| {
                columns.extend(input.columns.iter().map(|column| column.name.clone()));
            }),
        }
        Names { columns, outer: &[] }
    }

    /// These and then others.
    pub(super) fn and(mut self, mut others: Self) -> Self {
        self.columns.append(&mut others.columns);
        self
    }

    /// The names.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    fn get(&self, column: usize) -> String {
        self.columns.get(column).cloned().unwrap_or_else(|| format!("column{}", column + 1))
    }

    /// The column of the row `depth` rows out.
    fn outer(&self, depth: usize, column: usize) -> String {
        let row = self.outer.len().checked_sub(depth).and_then(|place| self.outer.get(place));
        let name = row.and_then(|row| row.get(column)).cloned();
        name.unwrap_or_else(|| format!("outer{depth}.{column}"))
    }
}

/// Several expressions.
pub(super) fn expressions(items: &[Expr], names: &Names<'_>) -> String {
    items.iter().map(|item| expression(item, names)).collect::<Vec<_>>().join(", ")
}

/// Sort keys.
pub(super) fn sort_keys(keys: &[SortKey], names: &Names<'_>) -> String {
    let keys = keys.iter().map(|key| {
        let direction = if key.descending { " DESC" } else { "" };
        let nulls = match (key.nulls_first, key.descending) {
            (true, false) => " NULLS FIRST",
            (false, true) => " NULLS LAST",
            _ => "",
        };
        format!("{}{direction}{nulls}", expression(&key.expression, names))
    });
    keys.collect::<Vec<_>>().join(", ")
}

/// An expression.
pub(super) fn expression(expr: &Expr, names: &Names<'_>) -> String {
    let show = |expr: &Expr| expression(expr, names);
    let list = |items: &[Expr]| expressions(items, names);
    let joined = |items: &[Expr], word: &str| {
        format!("({})", items.iter().map(show).collect::<Vec<_>>().join(word))
    };
    let not = |negated: bool| if negated { "NOT " } else { "" };
    match expr {
        Expr::Literal(value, ty) => literal(value, *ty),
        Expr::Parameter(number, _) => format!("${}", number + 1),
        Expr::Column(column, _) => names.get(*column),
        Expr::Outer { depth, column, .. } => names.outer(*depth, *column),
        Expr::Call(it) => call(it, names),
        Expr::And(items) => joined(items, " AND "),
        Expr::Or(items) => joined(items, " OR "),
        Expr::Not(input) => format!("(NOT {})", show(input)),
        Expr::IsNull(input) => format!("({} IS NULL)", show(input)),
        Expr::IsNotNull(input) => format!("({} IS NOT NULL)", show(input)),
        Expr::IsBool { input, value, negated } => {
            format!(
                "({} IS {}{})",
                show(input),
                not(*negated),
                if *value { "TRUE" } else { "FALSE" }
            )
        }
        Expr::IsDistinct { left, right, negated } => {
            format!("({} IS {}DISTINCT FROM {})", show(left), not(*negated), show(right))
        }
        Expr::Case { branches, otherwise, .. } => {
            let branch = |(condition, result): &(Expr, Expr)| {
                format!("WHEN {} THEN {} ", show(condition), show(result))
            };
            let branches: Vec<String> = branches.iter().map(branch).collect();
            format!("CASE {}ELSE {} END", branches.concat(), show(otherwise))
        }
        Expr::Coalesce(inputs, _) => format!("COALESCE({})", list(inputs)),
        Expr::Extreme { inputs, greatest, .. } => {
            format!("{}({})", if *greatest { "GREATEST" } else { "LEAST" }, list(inputs))
        }
        Expr::Array { elements, .. } => format!("ARRAY[{}]", list(elements)),
        Expr::Subscript { .. } | Expr::Slice { .. } => subscripted(expr, names),
        Expr::Row(fields) => format!("ROW({})", list(fields)),
        Expr::Field { record, field, .. } => format!("({}).f{}", show(record), field + 1),
        Expr::Quantified { left, operator, array, all } => {
            let quantifier = if *all { "ALL" } else { "ANY" };
            format!("({} {} {quantifier} ({}))", show(left), symbol(operator), show(array))
        }
        Expr::InList { input, items, negated } => {
            let (operator, quantifier) = if *negated { ("<>", "ALL") } else { ("=", "ANY") };
            format!("({} {operator} {quantifier} ({}))", show(input), list(items))
        }
        Expr::Subquery(subquery) => subquery_kind(&subquery.kind, names),
        Expr::Grouping(places) => format!("GROUPING({})", places.len()),
    }
}

fn subscripted(expr: &Expr, names: &Names<'_>) -> String {
    let show = |expr: &Expr| expression(expr, names);
    match expr {
        Expr::Subscript { array, indexes, .. } => {
            let indexes: Vec<String> =
                indexes.iter().map(|index| format!("[{}]", show(index))).collect();
            format!("{}{}", show(array), indexes.concat())
        }
        Expr::Slice { array, bounds, .. } => {
            let bound = |bound: &Option<Expr>| bound.as_ref().map(show).unwrap_or_default();
            let bounds: Vec<String> = bounds
                .iter()
                .map(|(lower, upper)| format!("[{}:{}]", bound(lower), bound(upper)))
                .collect();
            format!("{}{}", show(array), bounds.concat())
        }
        other => show(other),
    }
}

fn subquery_kind(kind: &SubqueryKind, names: &Names<'_>) -> String {
    match kind {
        SubqueryKind::Exists => "EXISTS(SubPlan)".to_owned(),
        SubqueryKind::Array => "ARRAY(SubPlan)".to_owned(),
        SubqueryKind::Scalar => "(SubPlan)".to_owned(),
        SubqueryKind::Quantified { left, operators, all } => {
            let operator = operators.first().map_or("?", |operator| symbol(operator));
            let quantifier = if *all { "ALL" } else { "ANY" };
            format!("({} {operator} {quantifier} (SubPlan))", expressions(left, names))
        }
    }
}

fn call(call: &Call, names: &Names<'_>) -> String {
    let name = call.function.name;
    match (&*call.arguments, operator(call.function)) {
        ([left, right], Some(operator)) => {
            format!("({} {operator} {})", expression(left, names), expression(right, names))
        }
        ([input], Some(operator)) => format!("({operator} {})", expression(input, names)),
        _ if call.function.typed => format!(
            "{name}({})",
            expressions(call.arguments.split_last().map_or(&[], |(_, rest)| rest), names)
        ),
        _ => format!("{name}({})", expressions(&call.arguments, names)),
    }
}

/// The operator that a function stands for.
fn operator(function: &'static ScalarFunction) -> Option<&'static str> {
    registry::operators().find(|it| std::ptr::eq(it.function, function)).map(|it| it.operator.name)
}

fn symbol(function: &'static ScalarFunction) -> &'static str {
    operator(function).unwrap_or(function.name)
}

/// A literal as it could be written in a statement.
fn literal(value: &Datum, ty: PgType) -> String {
    let text = || types::text::to_string(value, ty, &Settings::default());
    match (value, ty) {
        (Datum::Null, _) => "NULL".to_owned(),
        (Datum::Bool(value), _) => value.to_string(),
        (Datum::Int4(_), _) => text(),
        _ => format!("'{}'::{}", text().replace('\'', "''"), ty.name()),
    }
}
