//! Rows of tables that go into JSON: their fields have names there, which the values do not know.

use sqlparser::ast::Expr as Ast;

use super::binder::Binder;
use super::call::CallName;
use crate::plan::{Call, Expr};
use crate::types::functions::RECORD_TO_JSON;
use crate::types::{ArrayValue, Datum, PgType};

/// Functions that make JSON of arguments of any type.
const MAKERS: [&str; 10] = [
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "to_json",
    "to_jsonb",
];

impl Binder<'_> {
    /// An argument of a function that makes JSON: a row with names becomes an object with them.
    pub(super) fn json_argument(&self, call: &CallName<'_>, origin: &Ast, value: Expr) -> Expr {
        if value.ty() != PgType::Record || !MAKERS.contains(&call.name) {
            return value;
        }
        match self.field_names(origin, &value) {
            Some(names) => named(value, &names, None),
            None => value,
        }
    }

    /// A call of `row_to_json` with a row whose fields have names.
    pub(super) fn row_to_json(&self, origin: Option<&Ast>, arguments: &[Expr]) -> Option<Expr> {
        let (row, pretty) = match arguments {
            [row] => (row, None),
            [row, pretty] => (row, Some(pretty.clone())),
            _ => return None,
        };
        let names = self.field_names(origin?, row)?;
        Some(named(row.clone(), &names, pretty))
    }

    /// The names of a row's fields, unless they are those of a row without names.
    fn field_names(&self, origin: &Ast, row: &Expr) -> Option<Vec<String>> {
        let fields = self.record_fields(origin, row);
        let usual =
            |(place, (name, _)): (usize, &(String, PgType))| *name == format!("f{}", place + 1);
        if fields.iter().enumerate().all(usual) {
            return None;
        }
        Some(fields.into_iter().map(|it| it.0).collect())
    }
}

/// Whether an argument is a row that has become an object.
pub(super) fn is_named_row(argument: &Expr) -> bool {
    matches!(argument, Expr::Call(call) if std::ptr::eq(call.function, &raw const RECORD_TO_JSON))
}

/// A row as an object with these names.
fn named(row: Expr, names: &[String], pretty: Option<Expr>) -> Expr {
    let array = ArrayValue {
        element: PgType::Text,
        dimensions: vec![(names.len(), 1)],
        elements: names.iter().map(Datum::text).collect(),
    };
    let names = Expr::Literal(Datum::Array(array.into()), PgType::TextArray);
    let pretty = pretty.unwrap_or(Expr::Literal(Datum::Bool(false), PgType::Bool));
    Expr::Call(Call {
        function: &RECORD_TO_JSON,
        arguments: vec![row, names, pretty],
        ty: PgType::Json,
        position: None,
    })
}
