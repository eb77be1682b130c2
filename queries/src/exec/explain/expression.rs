//! Expressions as `EXPLAIN` shows them.

use crate::exec::expression::comparison::named;
use crate::plan::{Call, Expr, Plan, SortKey, SubqueryKind};
use crate::types::Datum;

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
            let branches = branches.iter().map(|(condition, result)| {
                format!("WHEN {} THEN {} ", show(condition), show(result))
            });
            format!("CASE {}ELSE {} END", branches.collect::<String>(), show(otherwise))
        }
        Expr::Coalesce(inputs, _) => format!("COALESCE({})", list(inputs)),
        Expr::Extreme { inputs, greatest, .. } => {
            format!("{}({})", if *greatest { "GREATEST" } else { "LEAST" }, list(inputs))
        }
        Expr::Array { elements, .. } => format!("ARRAY[{}]", list(elements)),
        Expr::Subscript { array, indexes, .. } => {
            format!(
                "{}{}",
                show(array),
                indexes.iter().map(|index| format!("[{}]", show(index))).collect::<String>()
            )
        }
        Expr::Slice { array, bounds, .. } => {
            let bound = |bound: &Option<Expr>| bound.as_ref().map(show).unwrap_or_default();
            let bounds =
                bounds.iter().map(|(lower, upper)| format!("[{}:{}]", bound(lower), bound(upper)));
            format!("{}{}", show(array), bounds.collect::<String>())
        }
        Expr::Row(fields) => format!("ROW({})", list(fields)),
        Expr::Field { record, field, .. } => format!("({}).f{}", show(record), field + 1),
        Expr::Quantified { left, operator, array, all } => {
            let quantifier = if *all { "ALL" } else { "ANY" };
            format!("({} {} {quantifier} ({}))", show(left), symbol(operator.name), show(array))
        }
        Expr::InList { input, items, negated } => {
            let (operator, quantifier) = if *negated { ("<>", "ALL") } else { ("=", "ANY") };
            format!("({} {operator} {quantifier} ({}))", show(input), list(items))
        }
        Expr::Subquery(subquery) => match &subquery.kind {
            SubqueryKind::Exists => "EXISTS(SubPlan)".to_owned(),
            SubqueryKind::Array => "ARRAY(SubPlan)".to_owned(),
            SubqueryKind::Scalar => "(SubPlan)".to_owned(),
            SubqueryKind::Quantified { left, operators, all } => {
                let operator = operators.first().map_or("?", |operator| symbol(operator.name));
                format!(
                    "({} {operator} {} (SubPlan))",
                    list(left),
                    if *all { "ALL" } else { "ANY" }
                )
            }
        },
        Expr::Grouping(places) => format!("GROUPING({})", places.len()),
    }
}

fn call(call: &Call, names: &Names) -> String {
    if let [left, right] = &*call.arguments
        && named(call.function.name).is_some()
    {
        return format!(
            "({} {} {})",
            expression(left, names),
            symbol(call.function.name),
            expression(right, names)
        );
    }
    format!("{}({})", call.function.name, expressions(&call.arguments, names))
}

/// The operator of a function, or its name.
fn symbol(name: &'static str) -> &'static str {
    named(name).map_or(name, |comparison| comparison.symbol())
}

fn literal(value: &Datum, ty: crate::types::PgType) -> String {
    match value {
        Datum::Null => "NULL".to_owned(),
        Datum::Bool(value) => value.to_string(),
        Datum::Int2(value) => value.to_string(),
        Datum::Int4(value) => value.to_string(),
        Datum::Int8(value) => value.to_string(),
        Datum::Text(value) => format!("'{}'", value.replace('\'', "''")),
        Datum::Uuid(value) => format!("'{value}'::uuid"),
        other => format!("'{other:?}'::{ty:?}"),
    }
}
