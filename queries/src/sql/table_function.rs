//! Functions in `FROM`.

use sqlparser::ast::{
    self, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, TableAlias,
};

use super::binder::{Binder, syntax, unsupported};
use super::call::{BoundArguments, CallName};
use super::from::{Bound, is_rows_from};
use super::scope::{Clause, Level, NamedColumn, NamedRelation, Namespace};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Call, Expr, OutputColumn, Plan, PlanNode, SetCall};
use crate::types::functions::{Callee, ResolvedFunction};
use crate::types::{ArrayValue, Datum, PgType};

/// A function in `FROM`, bound.
enum Item {
    Set(SetCall),
    /// A function that returns one value is one row of it.
    Value(Expr),
}

/// A column that an alias defines.
struct Defined {
    name: String,
    ty: PgType,
    typmod: i32,
    position: Option<usize>,
}

impl Binder<'_> {
    /// `name(arguments) [WITH ORDINALITY]`, and `ROWS FROM (..)`.
    pub(super) fn bind_table_function(
        &mut self,
        name: &ast::ObjectName,
        arguments: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Bound> {
        let mut items = Vec::new();
        let mut default_name = None;
        if is_rows_from(name) {
            for argument in arguments {
                let FunctionArg::Unnamed(FunctionArgExpr::Expr(Ast::Function(function))) = argument
                else {
                    return Err(syntax("syntax error in ROWS FROM").at(self.at_name(name)));
                };
                let FunctionArguments::List(list) = &function.args else {
                    return Err(syntax("syntax error in ROWS FROM").at(self.at_name(name)));
                };
                let call = self.call_name(&function.name)?;
                default_name = default_name.or_else(|| Some(call.name.to_owned()));
                items.push(self.bind_table_call(&call, &list.args, &[])?);
            }
        } else {
            let call = self.call_name(name)?;
            default_name = Some(call.name.to_owned());
            let definition = self.column_definition(alias, ordinality)?;
            items = vec![self.bind_table_call(&call, arguments, &definition)?];
            if !definition.is_empty() {
                // The names are those of the function's columns now.
                let plain = alias.cloned().map(|mut alias| {
                    alias.columns.iter_mut().for_each(|column| column.data_type = None);
                    alias
                });
                return self.finish_table_function(items, false, call.name, plain.as_ref());
            }
        }
        self.finish_table_function(items, ordinality, &default_name.unwrap_or_default(), alias)
    }

    /// `UNNEST(a, b)`: one function for each array, side by side.
    pub(super) fn bind_unnest(
        &mut self,
        arrays: &[Ast],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Bound> {
        let mut items = Vec::with_capacity(arrays.len());
        for array in arrays {
            let position = self.at_prefix(array, "unnest");
            let name = CallName { schema: None, name: "unnest", quoted: false, position };
            let argument = [FunctionArg::Unnamed(FunctionArgExpr::Expr(array.clone()))];
            items.push(self.bind_table_call(&name, &argument, &[])?);
        }
        self.finish_table_function(items, ordinality, "unnest", alias)
    }

    /// The columns that an alias defines: `AS x(a int, b text)`. None if it only names them.
    fn column_definition(
        &self,
        alias: Option<&TableAlias>,
        ordinality: bool,
    ) -> Result<Vec<Defined>> {
        let columns = alias.map_or(&[][..], |alias| alias.columns.as_slice());
        if columns.iter().all(|column| column.data_type.is_none()) {
            return Ok(Vec::new());
        }
        let mut defined: Vec<Defined> = Vec::with_capacity(columns.len());
        for column in columns {
            let position = self.at_ident(&column.name);
            if ordinality {
                return Err(syntax("WITH ORDINALITY cannot be used with a column definition list")
                    .with_hint("Put the column definition list inside ROWS FROM().")
                    .at(position));
            }
            let Some(data_type) = &column.data_type else {
                return Err(syntax("syntax error in a column definition list").at(position));
            };
            let name = column.name.value.clone();
            if defined.iter().any(|it| it.name == name) {
                let message = format!("column name \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(position));
            }
            let (ty, typmod) = self.data_type(data_type)?;
            defined.push(Defined { name, ty, typmod, position });
        }
        Ok(defined)
    }

    fn bind_table_call(
        &mut self,
        name: &CallName<'_>,
        arguments: &[FunctionArg],
        definition: &[Defined],
    ) -> Result<Item> {
        let level = Level::new(Namespace::default(), Clause::FromFunction);
        let bind = |binder: &mut Self| {
            let arguments = binder.bind_argument_list(arguments, name)?;
            let resolved = binder.resolve_call(name, &arguments)?;
            binder.table_item(name, &resolved, arguments, definition)
        };
        Ok(self.with_level(level, bind)?.0)
    }

    fn table_item(
        &mut self,
        name: &CallName<'_>,
        resolved: &ResolvedFunction,
        arguments: BoundArguments<'_>,
        definition: &[Defined],
    ) -> Result<Item> {
        let returns_record = matches!(resolved.callee, Callee::Set(it) if it.columns.is_empty());
        if let (Some(first), false) = (definition.first(), returns_record) {
            let outputs = matches!(resolved.callee, Callee::Set(it) if it.columns.len() > 1);
            return Err(syntax(if outputs {
                "a column definition list is redundant for a function with OUT parameters"
            } else {
                "a column definition list is only allowed for functions returning \"record\""
            })
            .at(first.position));
        }
        match resolved.callee {
            Callee::Set(function) if returns_record => {
                if definition.is_empty() {
                    return Err(syntax(
                        "a column definition list is required for functions returning \"record\"",
                    )
                    .at(name.position));
                }
                let mut arguments = self.convert_arguments(resolved, arguments)?;
                arguments.extend(definition_literals(definition));
                let columns = definition.iter().map(|it| (it.name.clone(), it.ty)).collect();
                Ok(Item::Set(SetCall { function, arguments, columns }))
            }
            Callee::Set(function) => {
                let columns: Vec<(String, PgType)> =
                    resolved.columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
                let arguments = self.convert_arguments(resolved, arguments)?;
                Ok(Item::Set(SetCall { function, arguments, columns }))
            }
            Callee::Scalar(function) => {
                let arguments = self.convert_arguments(resolved, arguments)?;
                Ok(Item::Value(Expr::Call(Call {
                    function,
                    arguments,
                    ty: resolved.result,
                    position: None,
                })))
            }
            Callee::Cast(_) => Err(unsupported("a cast in FROM").at(name.position)),
            Callee::Aggregate(_) => {
                let message = "aggregate functions are not allowed in functions in FROM";
                Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(name.position))
            }
            Callee::Window(_) => {
                let message = format!("window function {} requires an OVER clause", name.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position))
            }
        }
    }

    fn finish_table_function(
        &mut self,
        items: Vec<Item>,
        ordinality: bool,
        name: &str,
        alias: Option<&TableAlias>,
    ) -> Result<Bound> {
        let label = alias.map_or_else(|| name.to_owned(), |alias| alias.name.value.clone());
        let mut columns = Vec::new();
        let single = items.len() == 1;
        let mut scalar = false;
        for item in &items {
            match item {
                Item::Set(call) if call.function.columns.is_empty() => {
                    columns.extend(call.columns.iter().cloned());
                }
                Item::Set(call) => match call.columns.as_slice() {
                    // One column takes the alias, or the function's name.
                    [(own, ty)] => {
                        scalar = single && !ordinality;
                        let plain = own.is_empty()
                            || own == call.function.name
                            || single && alias.is_some();
                        let own = if own.is_empty() { call.function.name } else { own };
                        let name = if plain && single { label.clone() } else { own.to_owned() };
                        columns.push((name, *ty));
                    }
                    several => columns.extend(several.iter().cloned()),
                },
                Item::Value(value) => {
                    scalar = single && !ordinality;
                    columns.push((label.clone(), value.ty()));
                }
            }
        }
        if ordinality {
            columns.push(("ordinality".to_owned(), PgType::Int8));
        }
        let node = table_node(items, ordinality)?;
        let output: Vec<OutputColumn> =
            columns.iter().map(|(name, ty)| OutputColumn::computed(name.clone(), *ty)).collect();
        let named = columns
            .into_iter()
            .enumerate()
            .map(|(place, (name, ty))| NamedColumn::new(name, place, ty));
        let mut relation = NamedRelation::of_columns(label, named.collect());
        relation.scalar = scalar;
        self.finish(Plan::new(node, output), relation, alias)
    }
}

/// Column definitions as arguments: names, types and type modifiers.
fn definition_literals(definition: &[Defined]) -> [Expr; 3] {
    let literal = |ty: PgType, value: &dyn Fn(&Defined) -> Datum| {
        let array = ArrayValue {
            element: ty.element().unwrap_or(ty),
            dimensions: vec![(definition.len(), 1)],
            elements: definition.iter().map(value).collect(),
        };
        Expr::Literal(Datum::Array(array.into()), ty)
    };
    [
        literal(PgType::TextArray, &|it| Datum::text(&it.name)),
        literal(PgType::OidArray, &|it| Datum::Oid(it.ty.oid())),
        literal(PgType::Int4Array, &|it| Datum::Int4(it.typmod)),
    ]
}

/// The plan of functions side by side.
fn table_node(items: Vec<Item>, ordinality: bool) -> Result<PlanNode> {
    let alone = items.len() == 1;
    let mut calls = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Item::Set(call) => calls.push(call),
            Item::Value(value) if alone => {
                let number = ordinality.then(|| Expr::Literal(Datum::Int8(1), PgType::Int8));
                return Ok(PlanNode::Values(vec![std::iter::once(value).chain(number).collect()]));
            }
            Item::Value(_) => return Err(unsupported("a function without rows in ROWS FROM")),
        }
    }
    Ok(PlanNode::FunctionScan { calls, ordinality })
}
