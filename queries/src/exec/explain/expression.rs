//! Expressions as `EXPLAIN` shows them.

use crate::exec::Settings;
use crate::plan::{Call, Expr, Plan, SortKey, SubqueryKind};
use crate::types::functions::{ScalarFunction, registry};
use crate::types::{self, Datum, PgType};

/// The names of a row's columns.
pub(super) struct Names(Vec<String>);

impl Names {
    /// Names as they are.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Of no row.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Of a plan's rows.
    pub(super) fn of(plan: &Plan) -> Self {
        Self(plan.columns.iter().map(|column| column.name.clone()).collect())
    }

    /// These and then others.
    pub(super) fn and(mut self, mut others: Self) -> Self {
        self.0.append(&mut others.0);
        self
    }

    fn get(&self, column: usize) -> String {
        self.0.get(column).cloned().unwrap_or_else(|| format!("column{}", column + 1))
    }
}

/// Several expressions.
pub(super) fn expressions(items: &[Expr], names: &Names) -> String {
    items.iter().map(|item| expression(item, names)).collect::<Vec<_>>().join(", ")
}

/// Sort keys.
pub(super) fn sort_keys(keys: &[SortKey], names: &Names) -> String {
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
pub(super) fn expression(expr: &Expr, names: &Names) -> String {
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
        Expr::Outer { depth, column, .. } => format!("outer{depth}.{column}"),
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

fn subscripted(expr: &Expr, names: &Names) -> String {
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

fn subquery_kind(kind: &SubqueryKind, names: &Names) -> String {
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

fn call(call: &Call, names: &Names) -> String {
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
