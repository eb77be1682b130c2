//! Subqueries in expressions.

use std::sync::Arc;

use sqlparser::ast::{self, Expr as Ast};

use super::binder::{Binder, syntax};
use crate::error::Result;
use crate::plan::{Expr, OutputColumn, Plan, PlanNode, Subquery, SubqueryKind};
use crate::types::PgType;

impl Binder<'_> {
    /// Binds a query that stands in an expression, and tells whether it refers to rows outside of it.
    pub(super) fn bind_subplan(&mut self, query: &ast::Query) -> Result<(Plan, bool)> {
        self.watching_outer(|binder| binder.bind_query(query, true))
    }

    /// Binds a subquery that is made a value of a known type.
    pub(super) fn bind_subquery(
        &mut self,
        query: &ast::Query,
        kind: SubqueryKind,
        ty: PgType,
    ) -> Result<Expr> {
        let (plan, correlated) = self.bind_subplan(query)?;
        Ok(Expr::Subquery(Box::new(Subquery { plan, kind, correlated, ty })))
    }

    /// `(SELECT ..)` as a value.
    pub(super) fn bind_scalar_subquery(&mut self, query: &ast::Query, whole: &Ast) -> Result<Expr> {
        let (plan, correlated) = self.bind_subplan(query)?;
        let [column] = plan.columns.as_ref() else {
            return Err(syntax("subquery must return only one column").at(self.before_query(whole)));
        };
        let ty = column.ty;
        Ok(Expr::Subquery(Box::new(Subquery { plan, kind: SubqueryKind::Scalar, correlated, ty })))
    }

    /// `ARRAY(SELECT ..)`.
    pub(super) fn bind_array_subquery(&mut self, query: &ast::Query, whole: &Ast) -> Result<Expr> {
        let (plan, correlated) = self.bind_subplan(query)?;
        let [column] = plan.columns.as_ref() else {
            return Err(syntax("subquery must return only one column").at(self.at_expr(whole)));
        };
        let ty = if column.ty.is_array() { Some(column.ty) } else { column.ty.array() };
        let ty = ty.ok_or_else(|| {
            let message = format!("could not find array type for data type {}", column.ty);
            crate::error::SqlError::new(crate::error::SqlState::UNDEFINED_OBJECT, message)
                .at(self.at_expr(whole))
        })?;
        Ok(Expr::Subquery(Box::new(Subquery { plan, kind: SubqueryKind::Array, correlated, ty })))
    }

    /// The place of the parenthesis before a subquery.
    fn before_query(&self, whole: &Ast) -> Option<usize> {
        self.at_prefix(whole, "(").or_else(|| self.at_expr(whole))
    }

    /// A plan whose columns have been brought to types.
    pub(super) fn coerce_plan(&mut self, plan: Plan, types: &[PgType]) -> Result<Plan> {
        if plan.columns.iter().zip(types).all(|(column, ty)| column.ty == *ty) {
            return Ok(plan);
        }
        let mut expressions = Vec::with_capacity(types.len());
        let mut columns = Vec::with_capacity(types.len());
        for (place, (column, ty)) in plan.columns.iter().zip(types).enumerate() {
            expressions.push(self.coerce(Expr::Column(place, column.ty), *ty, None)?);
            let same = column.ty == *ty;
            columns.push(if same {
                column.clone()
            } else {
                OutputColumn::computed(column.name.clone(), *ty)
            });
        }
        Ok(Plan {
            columns: Arc::from(columns),
            node: PlanNode::Project { input: Box::new(plan), expressions },
        })
    }
}
