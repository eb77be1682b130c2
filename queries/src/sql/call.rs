//! Calls of functions, aggregates and set-returning functions, and the constructs that look like calls.

use std::ops::RangeBounds;

use sqlparser::ast::{
    self, DuplicateTreatment, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArgumentClause, FunctionArguments, ObjectNamePart,
};

use super::binder::{Binder, syntax, unsupported};
use super::dialect::VARIADIC;
use super::scope::{AGGREGATES, Clause, Grouping, SETS};
use super::walk::walk_expr;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Call, Expr, SetCall};
use crate::types::functions::{Callee, ResolvedFunction, resolve_function};
use crate::types::{Datum, PgType};

/// The most arguments that a call may have, as in PostgreSQL.
const ARGUMENTS_MAX: usize = 100;

/// A call's arguments, bound.
pub(super) struct BoundArguments<'e> {
    pub(super) values: Vec<Expr>,
    pub(super) origins: Vec<&'e Ast>,
    /// The last one was given as `VARIADIC`.
    pub(super) variadic: bool,
    /// `(*)`.
    pub(super) star: bool,
}

/// A call's name.
pub(super) struct CallName<'e> {
    pub(super) schema: Option<&'e str>,
    pub(super) name: &'e str,
    pub(super) quoted: bool,
    pub(super) position: Option<usize>,
}

impl Binder<'_> {
    /// The name of a call.
    pub(super) fn call_name<'e>(&self, name: &'e ast::ObjectName) -> Result<CallName<'e>> {
        let position = self.at_name(name);
        let (schema, ident) = match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => (None, ident),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(ident)] => {
                (Some(schema.value.as_str()), ident)
            }
            _ => return Err(unsupported(format!("function name {name}")).at(position)),
        };
        Ok(CallName { schema, name: &ident.value, quoted: ident.quote_style.is_some(), position })
    }

    /// Binds anything that is written like a call.
    pub(super) fn bind_function(&mut self, whole: &Ast, function: &ast::Function) -> Result<Expr> {
        let name = self.call_name(&function.name)?;
        let unsuitable =
            function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None);
        if unsuitable || function.null_treatment.is_some() {
            return Err(unsupported("this form of a call").at(name.position));
        }
        let list = match &function.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::Subquery(query) if name.name == "array" && !name.quoted => {
                return self.bind_array_subquery(query, whole);
            }
            FunctionArguments::Subquery(_) => {
                return Err(syntax("syntax error at or near \"SELECT\"").at(name.position));
            }
            FunctionArguments::None => {
                let ident = function.name.0.first().and_then(|part| part.as_ident());
                let bound =
                    ident.map(|ident| self.bind_value_function(ident, None)).transpose()?.flatten();
                return bound.ok_or_else(|| syntax("syntax error").at(name.position));
            }
        };
        let plain = function.over.is_none()
            && function.filter.is_none()
            && function.within_group.is_empty();
        if plain
            && !name.quoted
            && name.schema.is_none()
            && let Some(bound) = self.bind_construct(&name, list, function)?
        {
            return Ok(bound);
        }
        self.bind_plain_call(&name, list, function)
    }

    /// Constructs that look like calls but have rules of their own; none for a call.
    fn bind_construct(
        &mut self,
        name: &CallName<'_>,
        list: &ast::FunctionArgumentList,
        function: &ast::Function,
    ) -> Result<Option<Expr>> {
        let plain = || plain_arguments(list, name);
        Ok(Some(match name.name {
            "row" => {
                Expr::Row(plain()?.into_iter().map(|it| self.bind_expr(it)).collect::<Result<_>>()?)
            }
            "coalesce" => {
                let (values, ty) = self.bind_alike(&plain()?, "COALESCE", name)?;
                Expr::Coalesce(values, ty)
            }
            "greatest" | "least" => {
                let greatest = name.name == "greatest";
                let construct = if greatest { "GREATEST" } else { "LEAST" };
                let (inputs, ty) = self.bind_alike(&plain()?, construct, name)?;
                Expr::Extreme { inputs, greatest, ty }
            }
            "nullif" => {
                let arguments = plain()?;
                let [left_ast, right_ast] = arguments.as_slice() else {
                    return Err(syntax("syntax error at or near \")\"").at(name.position));
                };
                self.bind_nullif(left_ast, right_ast)?
            }
            "grouping" => {
                let arguments = plain()?;
                self.bind_grouping(&arguments, name.position)?
            }
            "current_timestamp" | "current_time" | "localtime" | "localtimestamp" => {
                let arguments = plain()?;
                let precision = match arguments.as_slice() {
                    [
                        Ast::Value(ast::ValueWithSpan {
                            value: ast::Value::Number(digits, _), ..
                        }),
                    ] => digits.parse::<i32>().ok(),
                    _ => None,
                };
                let Some(precision) = precision else {
                    return Err(syntax("syntax error at or near \"(\"").at(name.position));
                };
                let ident = function.name.0.first().and_then(|part| part.as_ident());
                let bound =
                    ident.map(|it| self.bind_value_function(it, Some(precision))).transpose()?;
                return Ok(bound.flatten());
            }
            _ => return Ok(None),
        }))
    }

    /// Expressions brought to their common type.
    fn bind_alike(
        &mut self,
        arguments: &[&Ast],
        construct: &'static str,
        name: &CallName<'_>,
    ) -> Result<(Vec<Expr>, PgType)> {
        if arguments.is_empty() {
            return Err(syntax("syntax error at or near \")\"").at(name.position));
        }
        let before = self.level().no_sets.replace(construct);
        let bound = arguments.iter().map(|it| self.bind_expr(it)).collect::<Result<Vec<_>>>()?;
        self.level().no_sets = before;
        self.unify(bound, construct, arguments)
    }

    /// `NULLIF(a, b)`: null if they are equal, else a.
    fn bind_nullif(&mut self, left_ast: &Ast, right_ast: &Ast) -> Result<Expr> {
        let bound = self.bind_expr(left_ast)?;
        let right = self.bind_expr(right_ast)?;
        let left = if bound.ty() == PgType::Unknown && right.ty() != PgType::Unknown {
            self.coerce(bound, right.ty(), Some(left_ast))?
        } else {
            self.decided(bound, Some(left_ast))?
        };
        let equal = self.operator("=", left.clone(), left_ast, right, right_ast)?;
        let ty = left.ty();
        let null = Expr::Literal(Datum::Null, ty);
        Ok(Expr::Case { branches: vec![(equal, null)], otherwise: Box::new(left), ty })
    }

    fn bind_grouping(&mut self, arguments: &[&Ast], position: Option<usize>) -> Result<Expr> {
        if !self.level().clause.allows_aggregates() {
            let message =
                format!("grouping operations are not allowed in {}", self.level().clause.name());
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
        }
        if arguments.len() > 31 {
            let message = "GROUPING must have fewer than 32 arguments";
            return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, message).at(position));
        }
        let uses = self.level().uses.len();
        let positions = arguments.iter().map(|it| self.at_expr(it)).collect();
        let arguments =
            arguments.iter().map(|it| self.bind_expr(it)).collect::<Result<Vec<_>>>()?;
        let level = self.level();
        level.uses.truncate(uses);
        level.groupings.push(Grouping { arguments, positions });
        // The place among the groupings now; places among the group expressions once these are known.
        Ok(Expr::Grouping(vec![AGGREGATES + level.groupings.len() - 1]))
    }

    /// A call of a function, whatever kind the function turns out to be.
    fn bind_plain_call(
        &mut self,
        name: &CallName<'_>,
        list: &ast::FunctionArgumentList,
        function: &ast::Function,
    ) -> Result<Expr> {
        // The kind decides where the arguments are bound, so it is looked up by name before.
        if function.over.is_some() {
            return self.bind_window_call(name, list, function);
        }
        let ranked = !function.within_group.is_empty() || !is_window(name);
        if is_aggregate(name) && ranked {
            return self.bind_aggregate_call(name, list, function);
        }
        if function.filter.is_some() {
            let message =
                format!("FILTER specified, but {} is not an aggregate function", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position));
        }
        if !function.within_group.is_empty() {
            let message =
                format!("WITHIN GROUP specified, but {} is not an aggregate function", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position));
        }
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            let message =
                format!("DISTINCT specified, but {} is not an aggregate function", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position));
        }
        if let Some(clause) = list.clauses.first() {
            return Err(match clause {
                FunctionArgumentClause::OrderBy(_) => {
                    let message = format!(
                        "ORDER BY specified, but {} is not an aggregate function",
                        name.name
                    );
                    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                }
                other => unsupported(format!("{other} in a call")),
            }
            .at(name.position));
        }
        let arguments = self.bind_arguments_of(list, name)?;
        if arguments.star {
            self.resolve_call(name, &arguments)?;
            let message = format!(
                "{}(*) specified, but {} is not an aggregate function",
                name.name, name.name
            );
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position));
        }
        let resolved = self.resolve_call(name, &arguments)?;
        self.finish_call(name, &resolved, arguments)
    }

    /// Binds the arguments of a call.
    pub(super) fn bind_arguments_of<'e>(
        &mut self,
        list: &'e ast::FunctionArgumentList,
        name: &CallName<'_>,
    ) -> Result<BoundArguments<'e>> {
        self.bind_argument_list(&list.args, name)
    }

    /// Binds arguments.
    pub(super) fn bind_argument_list<'e>(
        &mut self,
        list: &'e [FunctionArg],
        name: &CallName<'_>,
    ) -> Result<BoundArguments<'e>> {
        if list.len() > ARGUMENTS_MAX {
            let message = format!("cannot pass more than {ARGUMENTS_MAX} arguments to a function");
            return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, message).at(name.position));
        }
        let mut arguments =
            BoundArguments { values: vec![], origins: vec![], variadic: false, star: false };
        let count = list.len();
        let mut names: Vec<String> = Vec::new();
        for (place, argument) in list.iter().enumerate() {
            match argument {
                FunctionArg::ExprNamed {
                    name: Ast::Identifier(label),
                    arg: FunctionArgExpr::Expr(expr),
                    operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
                } => {
                    if names.contains(&label.value) {
                        let message =
                            format!("argument name \"{}\" used more than once", label.value);
                        return Err(syntax(message).at(self.at_ident(label)));
                    }
                    names.push(label.value.clone());
                    arguments.values.push(self.bind_expr(expr)?);
                    arguments.origins.push(expr);
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if !names.is_empty() => {
                    let message = "positional argument cannot follow named argument";
                    return Err(syntax(message).at(self.at_expr(expr)));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Ast::Named { expr, name: mark }))
                    if mark.value == VARIADIC && place + 1 == count =>
                {
                    arguments.variadic = true;
                    arguments.values.push(self.bind_expr(expr)?);
                    arguments.origins.push(expr);
                }
                FunctionArg::Unnamed(
                    FunctionArgExpr::Expr(Ast::QualifiedWildcard(name, _))
                    | FunctionArgExpr::QualifiedWildcard(name),
                ) => {
                    let row = self.bind_row_of(name)?;
                    arguments.values.push(row);
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    let value = self.bind_expr(expr)?;
                    arguments.values.push(self.json_argument(name, expr, value));
                    arguments.origins.push(expr);
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if count == 1 => {
                    arguments.star = true;
                }
                FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                    return Err(syntax("syntax error in a named argument").at(name.position));
                }
                FunctionArg::Unnamed(_) => {
                    return Err(syntax("syntax error at or near \"*\"").at(name.position));
                }
            }
        }
        if !names.is_empty() {
            super::named_argument::place(name, &mut arguments, &names)?;
        }
        Ok(arguments)
    }

    /// `relation.*` as an argument: its row.
    fn bind_row_of(&mut self, name: &ast::ObjectName) -> Result<Expr> {
        let Some(relation) = name.0.last().and_then(|part| part.as_ident()) else {
            return Err(unsupported("this argument").at(self.at_name(name)));
        };
        let Some((level, found)) = self.find_relation(None, &relation.value) else {
            return Err(self.no_such_relation(None, relation, relation));
        };
        let row = super::names::whole_row(&found);
        Ok(self.refer(level, row, relation))
    }

    /// Finds the function of a call.
    pub(super) fn resolve_call(
        &self,
        name: &CallName<'_>,
        arguments: &BoundArguments<'_>,
    ) -> Result<ResolvedFunction> {
        if let Some(schema) = name.schema
            && !self.catalog.has_schema(schema)
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(name.position));
        }
        let types: Vec<PgType> = arguments.values.iter().map(Expr::ty).collect();
        resolve_function(name.schema, name.name, &types, arguments.variadic)
            .map_err(|error| error.at(name.position))
    }

    /// Brings the arguments to the types that the function wants.
    pub(super) fn convert_arguments(
        &mut self,
        resolved: &ResolvedFunction,
        arguments: BoundArguments<'_>,
    ) -> Result<Vec<Expr>> {
        let BoundArguments { values, origins, .. } = arguments;
        let mut converted = Vec::with_capacity(values.len() + 1);
        for (place, value) in values.into_iter().enumerate() {
            let origin = origins.get(place).copied();
            converted.push(match resolved.arguments.get(place) {
                Some(ty) => self.coerce(value, *ty, origin)?,
                None => value,
            });
        }
        converted.extend(resolved.extra.clone().map(|(value, ty)| Expr::Literal(value, ty)));
        Ok(converted)
    }

    fn finish_call(
        &mut self,
        name: &CallName<'_>,
        resolved: &ResolvedFunction,
        arguments: BoundArguments<'_>,
    ) -> Result<Expr> {
        match resolved.callee {
            Callee::Scalar(function) => {
                let ty = resolved.result;
                let origin = arguments.origins.first().copied();
                let arguments = self.convert_arguments(resolved, arguments)?;
                if function.name == "row_to_json"
                    && let Some(call) = self.row_to_json(origin, &arguments)
                {
                    return Ok(call);
                }
                Ok(Expr::Call(Call { function, arguments, ty, position: None }))
            }
            Callee::Cast(ty) => {
                let BoundArguments { mut values, origins, .. } = arguments;
                let position = name.position;
                self.cast(values.remove(0), (ty, -1), origins.first().copied(), |_| position)
            }
            Callee::Set(function) => {
                self.check_sets_allowed(name.position)?;
                if function.columns.is_empty() {
                    let message =
                        format!("could not determine row type for result of {}", name.name);
                    return Err(SqlError::unsupported(message).with_hint(
                        "Provide a non-null record argument, or call the function in the FROM clause using a column definition list.",
                    ));
                }
                let ty = resolved.result;
                let columns =
                    resolved.columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
                let arguments = self.convert_arguments(resolved, arguments)?;
                let level = self.level();
                level.sets.push(SetCall { function, arguments, columns });
                Ok(Expr::Column(SETS + level.sets.len() - 1, ty))
            }
            Callee::Window(_) => {
                let message = format!("window function {} requires an OVER clause", name.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position))
            }
            // Only a name that window functions have too gets here.
            Callee::Aggregate(_) => {
                let message =
                    format!("WITHIN GROUP is required for ordered-set aggregate {}", name.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position))
            }
        }
    }

    fn check_sets_allowed(&mut self, position: Option<usize>) -> Result<()> {
        const HINT: &str =
            "You might be able to move the set-returning function into a LATERAL FROM item.";
        let level = self.level();
        if let Some(construct) = level.no_sets {
            let message = format!("set-returning functions are not allowed in {construct}");
            return Err(SqlError::unsupported(message).with_hint(HINT).at(position));
        }
        if level.clause == Clause::AggregateArguments {
            let message = "aggregate function calls cannot contain set-returning function calls";
            return Err(SqlError::unsupported(message).with_hint(HINT).at(position));
        }
        if !level.clause.allows_sets() {
            let message =
                format!("set-returning functions are not allowed in {}", level.clause.name());
            return Err(SqlError::unsupported(message).at(position));
        }
        Ok(())
    }

    /// Calls a scalar function that a form of the grammar stands for.
    pub(super) fn call_scalar(
        &mut self,
        schema: Option<&str>,
        name: &str,
        values: Vec<Expr>,
        origins: &[&Ast],
        position: Option<usize>,
    ) -> Result<Expr> {
        let name = CallName { schema, name, quoted: false, position };
        let arguments =
            BoundArguments { values, origins: origins.to_vec(), variadic: false, star: false };
        let resolved = self.resolve_call(&name, &arguments)?;
        self.finish_call(&name, &resolved, arguments)
    }
}

/// Arguments that are nothing but expressions.
fn plain_arguments<'e>(
    list: &'e ast::FunctionArgumentList,
    name: &CallName<'_>,
) -> Result<Vec<&'e Ast>> {
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return Err(
            syntax(format!("syntax error in {}", name.name.to_ascii_uppercase())).at(name.position)
        );
    }
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
            _ => Err(syntax(format!("syntax error in {}", name.name.to_ascii_uppercase()))
                .at(name.position)),
        })
        .collect()
}

/// Whether a name is that of an aggregate, so that its arguments are those of an aggregate.
fn is_aggregate(name: &CallName<'_>) -> bool {
    if name.schema.is_some_and(|schema| schema != "pg_catalog") {
        return false;
    }
    let mut found = crate::types::functions::registry::functions_named(name.name).iter();
    found.any(|it| matches!(it.callee, Callee::Aggregate(_)))
}

/// Whether a name is that of a window function.
fn is_window(name: &CallName<'_>) -> bool {
    let mut found = crate::types::functions::registry::functions_named(name.name).iter();
    found.any(|it| matches!(it.callee, Callee::Window(_)))
}

/// Whether an expression contains a call that is only known by its place in its level.
pub(super) fn has_placeholder(expr: &Expr, columns: impl RangeBounds<usize>) -> bool {
    let mut found = false;
    walk_expr(&mut expr.clone(), 0, &mut |expr, level| {
        found |= super::walk::column_of(expr, level).is_some_and(|it| columns.contains(&it));
        !found
    });
    found
}
