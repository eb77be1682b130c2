//! `FOR SYSTEM_TIME AS OF`: the instant that a table or a view is read as of.

use std::sync::Arc;

use sqlparser::ast::{self, DataType, Expr as Ast, TableVersion, TimezoneInfo};

use super::binder::{Binder, unsupported};
use super::scope::{Clause, Level, Namespace};
use crate::as_of::{AsOf, Instant};
use crate::error::{Result, SqlError, SqlState};
use crate::optimize::walk;
use crate::plan::Expr;
use crate::relation::Relation;
use crate::types::PgType;

impl Binder<'_> {
    /// Binds the clause behind a table's name: a constant of the statement.
    pub(super) fn bind_instant(
        &mut self,
        version: &TableVersion,
        name: &ast::ObjectName,
    ) -> Result<Arc<Instant>> {
        let TableVersion::ForSystemTimeAsOf(instant) = version else {
            return Err(unsupported("this version of a table").at(self.at_name(name)));
        };
        let instant = zoned(instant);
        let position = self.at_expr(&instant).or_else(|| self.at_name(name));
        let level = Level::new(Namespace::default(), Clause::SystemTime);
        let bind = |binder: &mut Self| {
            let bound = binder.bind_expr(&instant)?;
            binder.as_wanted(bound, PgType::TimestampTz, Clause::SystemTime.name(), &instant)
        };
        let ((expression, _), outer) = self
            .watching_outer(|binder| binder.with_level(level, bind))
            .map_err(|error| error.at(position))?;
        if outer {
            let message = "argument of FOR SYSTEM_TIME AS OF must not contain variables";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
        }
        if has_subquery(&expression) {
            let message = "cannot use subquery in FOR SYSTEM_TIME AS OF";
            return Err(SqlError::unsupported(message).at(position));
        }
        Ok(Arc::new(Instant { expression, position }))
    }

    /// A relation as of the instant that is asked for: its own, or that of the view it stands in.
    pub(super) fn as_of(
        &self,
        relation: &Arc<dyn Relation>,
        own: Option<&Arc<Instant>>,
        name: &ast::ObjectName,
    ) -> Result<Arc<dyn Relation>> {
        match own.or(self.instant.as_ref()) {
            Some(instant) if relation.has_past() => Ok(AsOf::relation(relation, instant)),
            Some(_) if own.is_some() => {
                let message = format!(
                    "FOR SYSTEM_TIME is not supported for relation \"{}\"",
                    relation.schema().name
                );
                let detail = "It describes the database as it is now.";
                Err(SqlError::unsupported(message).with_detail(detail).at(self.at_name(name)))
            }
            // What describes the database has no past, in a view as outside.
            _ => Ok(Arc::clone(relation)),
        }
    }
}

/// The instant with its literal as `timestamptz`: PostgreSQL's `timestamp` drops a time zone that is written in the
/// literal without a word, and would read another instant than the one that stands there. Without a zone both mean
/// the session's.
fn zoned(instant: &Ast) -> Ast {
    let with_zone = |data_type: &DataType| match data_type {
        DataType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            Some(DataType::Timestamp(*precision, TimezoneInfo::WithTimeZone))
        }
        _ => None,
    };
    let mut instant = instant.clone();
    match &mut instant {
        Ast::Nested(inner) => **inner = zoned(inner),
        Ast::TypedString(typed) => {
            if let Some(zoned) = with_zone(&typed.data_type) {
                typed.data_type = zoned;
            }
        }
        Ast::Cast { expr, data_type, .. } if matches!(**expr, Ast::Value(_)) => {
            if let Some(zoned) = with_zone(data_type) {
                *data_type = zoned;
            }
        }
        Ast::BinaryOp { left, .. } => **left = zoned(left),
        _ => {}
    }
    instant
}

/// Whether there is a subquery in an expression.
pub(super) fn has_subquery(expression: &Expr) -> bool {
    let mut found = matches!(expression, Expr::Subquery(_));
    walk::parts(expression, &mut |part| found |= has_subquery(part));
    found
}
