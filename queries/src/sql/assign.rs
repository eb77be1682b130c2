//! The assignments of `UPDATE` and of `ON CONFLICT DO UPDATE`.

use std::sync::Arc;

use sqlparser::ast::{self, Assignment, AssignmentTarget, Expr as Ast, ObjectNamePart, Spanned};

use super::binder::{Binder, syntax, unsupported};
use super::expr::strip;
use super::insert::is_default;
use super::writable::check_updatable;
use crate::error::{Result, SqlError};
use crate::plan::{Expr, Plan, PlanNode, Subquery, SubqueryKind};
use crate::relation::RelationSchema;

/// What a column is set to.
pub(super) enum Value {
    Expr(Expr),
    Default,
}

impl Binder<'_> {
    /// Binds assignments over the innermost row: each column once, each value of its column's type.
    pub(super) fn bind_assignments(
        &mut self,
        assignments: &[Assignment],
        schema: &RelationSchema,
    ) -> Result<Vec<(usize, Value)>> {
        let mut bound: Vec<(usize, Value)> = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let columns = match &assignment.target {
                AssignmentTarget::ColumnName(name) => vec![self.assigned_column(name, schema)?],
                AssignmentTarget::Tuple(names) => names
                    .iter()
                    .map(|name| self.assigned_column(name, schema))
                    .collect::<Result<_>>()?,
            };
            for (place, ident) in &columns {
                if bound.iter().any(|(other, _)| other == place)
                    || columns.iter().filter(|(other, _)| other == place).count() > 1
                {
                    let message =
                        format!("multiple assignments to same column \"{}\"", ident.value);
                    return Err(syntax(message));
                }
            }
            let values = match &assignment.target {
                AssignmentTarget::ColumnName(_) => {
                    vec![self.assigned_value(&assignment.value, schema, &columns[0])?]
                }
                AssignmentTarget::Tuple(_) => {
                    self.assigned_values(&assignment.value, schema, &columns)?
                }
            };
            for ((place, ident), value) in columns.into_iter().zip(values) {
                check_updatable(schema, place, matches!(value, Value::Default))
                    .map_err(|error| error.at(self.at_ident(&ident)))?;
                bound.push((place, value));
            }
        }
        Ok(bound)
    }

    fn assigned_column(
        &self,
        name: &ast::ObjectName,
        schema: &RelationSchema,
    ) -> Result<(usize, ast::Ident)> {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => {
                Ok((self.column_place(schema, ident)?, ident.clone()))
            }
            [ObjectNamePart::Identifier(first), ..] => {
                // PostgreSQL takes `table.column` for a field of a column `table`.
                let place = self.column_place(schema, first);
                Err(place
                    .err()
                    .unwrap_or_else(|| unsupported("a field of a column").at(self.at_name(name))))
            }
            _ => Err(unsupported("this assignment").at(self.at_name(name))),
        }
    }

    fn assigned_value(
        &mut self,
        value: &Ast,
        schema: &RelationSchema,
        (place, _): &(usize, ast::Ident),
    ) -> Result<Value> {
        if is_default(value) {
            return Ok(Value::Default);
        }
        let column = &schema.columns[*place];
        let bound = self.bind_expr(value)?;
        Ok(Value::Expr(self.assign(bound, column.ty, column.name, Some(value))?))
    }

    /// `(a, b) = (x, y)`, `= ROW(x, y)`, `= (SELECT ..)`.
    fn assigned_values(
        &mut self,
        value: &Ast,
        schema: &RelationSchema,
        columns: &[(usize, ast::Ident)],
    ) -> Result<Vec<Value>> {
        let stripped = strip(value);
        let fields: Vec<&Ast> = match stripped {
            Ast::Tuple(fields) => fields.iter().collect(),
            Ast::Subquery(query) => return self.assigned_query(query, value, schema, columns),
            Ast::Function(function) => row_fields(function).ok_or_else(|| self.not_a_row(value))?,
            other if columns.len() == 1 => vec![other],
            _ => return Err(self.not_a_row(value)),
        };
        if fields.len() != columns.len() {
            return Err(self.column_count_mismatch(value));
        }
        let pairs = fields.into_iter().zip(columns);
        pairs.map(|(field, column)| self.assigned_value(field, schema, column)).collect()
    }

    fn column_count_mismatch(&self, value: &Ast) -> SqlError {
        let at = self.at_before(value.span().start, "(").or_else(|| self.at_expr(value));
        syntax("number of columns does not match number of values").at(at)
    }

    fn not_a_row(&self, value: &Ast) -> SqlError {
        let message =
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
        SqlError::unsupported(message).at(self.at_expr(value))
    }

    /// Each column takes its part of the one row of a subquery.
    fn assigned_query(
        &mut self,
        query: &ast::Query,
        value: &Ast,
        schema: &RelationSchema,
        columns: &[(usize, ast::Ident)],
    ) -> Result<Vec<Value>> {
        let (plan, correlated) = self.bind_subplan(query)?;
        if plan.columns.len() != columns.len() {
            return Err(self.column_count_mismatch(value));
        }
        let mut values = Vec::with_capacity(columns.len());
        for (n, (place, _)) in columns.iter().enumerate() {
            let output = plan.columns[n].clone();
            let ty = output.ty;
            let node = PlanNode::Project {
                input: Box::new(plan.clone()),
                expressions: vec![Expr::Column(n, ty)],
            };
            let plan = Plan { node, columns: Arc::from([output]) };
            let subquery = Subquery { plan, kind: SubqueryKind::Scalar, correlated, ty };
            let column = &schema.columns[*place];
            let bound = Expr::Subquery(Box::new(subquery));
            values.push(Value::Expr(self.assign(bound, column.ty, column.name, Some(value))?));
        }
        Ok(values)
    }
}

/// The fields of `ROW(..)`.
fn row_fields(function: &ast::Function) -> Option<Vec<&Ast>> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let ast::FunctionArguments::List(list) = &function.args else { return None };
    if name.value != "row" || name.quote_style.is_some() {
        return None;
    }
    let field = |argument| match argument {
        &ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().map(field).collect()
}
