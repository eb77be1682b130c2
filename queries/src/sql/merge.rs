//! `JOIN .. USING` and `NATURAL JOIN`: columns of the same name become one.

use sqlparser::ast;

use super::binder::Binder;
use super::scope::{NamedColumn, Namespace};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, JoinKind};
use crate::types::functions::common_type;

impl Binder<'_> {
    /// Merges the named columns: the names over the join's row, and what has to be equal. The right side has been
    /// shifted.
    pub(super) fn merge(
        &mut self,
        left: Namespace,
        right: Namespace,
        kind: JoinKind,
        names: &[ast::Ident],
    ) -> Result<(Namespace, Option<Expr>)> {
        let (mut merged, mut equal) = (Vec::new(), Vec::new());
        for (place, name) in names.iter().enumerate() {
            if names[..place].iter().any(|other| other.value == name.value) {
                let message = format!(
                    "column name \"{}\" appears more than once in USING clause",
                    name.value
                );
                return Err(
                    SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(self.at_ident(name))
                );
            }
            let left_column = only_column(&left, name, "left")?;
            let right_column = only_column(&right, name, "right")?;
            let (column, condition) = self.merge_column(left_column, right_column, kind, name)?;
            merged.push(column);
            equal.push(condition);
        }
        let is_merged = |column: &NamedColumn| names.iter().any(|name| name.value == column.name);
        let mut namespace = Namespace { width: left.width + right.width, ..Namespace::default() };
        namespace.relations = left.relations.into_iter().chain(right.relations).collect();
        let rest =
            left.columns.into_iter().chain(right.columns).filter(|column| !is_merged(column));
        namespace.columns = merged.into_iter().chain(rest).collect();
        let on = match equal.len() {
            0 => None,
            1 => equal.pop(),
            _ => Some(Expr::And(equal)),
        };
        Ok((namespace, on))
    }

    fn merge_column(
        &mut self,
        left: NamedColumn,
        right: NamedColumn,
        kind: JoinKind,
        name: &ast::Ident,
    ) -> Result<(NamedColumn, Expr)> {
        let origin = ast::Expr::Identifier(name.clone());
        let at = self.at_ident(name);
        let condition =
            self.operator("=", left.expr.clone(), &origin, right.expr.clone(), &origin)?;
        let types = [left.expr.ty(), right.expr.ty()];
        let ty = common_type(&types, "JOIN/USING").map_err(|error| error.at(at))?;
        let left_fits = types[0] == ty;
        let value = match kind {
            JoinKind::Full => {
                let inputs = vec![
                    self.coerce(left.expr.clone(), ty, None)?,
                    self.coerce(right.expr.clone(), ty, None)?,
                ];
                Expr::Coalesce(inputs, ty)
            }
            JoinKind::Right => self.coerce(right.expr.clone(), ty, None)?,
            JoinKind::Inner if !left_fits && types[1] == ty => right.expr.clone(),
            _ => self.coerce(left.expr.clone(), ty, None)?,
        };
        let source = if matches!(kind, JoinKind::Right) { right } else { left };
        let (typmod, origin) =
            if kind == JoinKind::Full { (-1, (0, 0)) } else { (source.typmod, source.origin) };
        Ok((
            NamedColumn {
                name: name.value.clone(),
                expr: value,
                typmod,
                origin,
                fields: Vec::new(),
            },
            condition,
        ))
    }
}

/// The one column of a name on a side of a join.
fn only_column(side: &Namespace, name: &ast::Ident, which: &str) -> Result<NamedColumn> {
    let mut found = side.columns.iter().filter(|column| column.name == name.value);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column.clone()),
        (Some(_), Some(_)) => {
            let message = format!(
                "common column name \"{}\" appears more than once in {which} table",
                name.value
            );
            Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message))
        }
        (None, _) => {
            let message = format!(
                "column \"{}\" specified in USING clause does not exist in {which} table",
                name.value
            );
            Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
        }
    }
}
