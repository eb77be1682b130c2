//! `FOR UPDATE`, `FOR SHARE` and their weaker forms.
//!
//! No row is ever locked: all that a transaction reads is checked when it commits. So the clause is held to
//! PostgreSQL's rules, and has no further effect on the query.

use sqlparser::ast::{self, LockClause, LockType, SetExpr, TableFactor, TableWithJoins};

use super::binder::Binder;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Plan, PlanNode};

impl Binder<'_> {
    /// Checks the locking clauses of a query that is bound to `plan`.
    pub(super) fn bind_locks(&mut self, query: &ast::Query, plan: &Plan) -> Result<()> {
        for lock in &query.locks {
            let name = name(lock);
            self.locks = Some(name);
            let SetExpr::Select(select) = &*query.body else {
                return Err(match &*query.body {
                    SetExpr::Values(_) => refused(format!("{name} cannot be applied to VALUES")),
                    SetExpr::Query(_) => continue,
                    _ => not_allowed(name, "UNION/INTERSECT/EXCEPT"),
                });
            };
            if select.distinct.is_some() {
                return Err(not_allowed(name, "DISTINCT clause"));
            }
            if select.having.is_some() {
                return Err(not_allowed(name, "HAVING clause"));
            }
            if let Some(what) = combined(plan) {
                return Err(not_allowed(name, what));
            }
            if let Some(of) = &lock.of {
                let wanted = of.0.last().and_then(|part| part.as_ident());
                let wanted = wanted.map(|ident| ident.value.as_str()).unwrap_or_default();
                if !select.from.iter().any(|table| names(table, wanted)) {
                    let message =
                        format!("relation \"{wanted}\" in {name} clause not found in FROM clause");
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                }
            }
        }
        Ok(())
    }
}

fn name(lock: &LockClause) -> &'static str {
    match lock.lock_type {
        LockType::Update => "FOR UPDATE",
        LockType::Share => "FOR SHARE",
    }
}

fn refused(message: String) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn not_allowed(name: &str, what: &str) -> SqlError {
    refused(format!("{name} is not allowed with {what}"))
}

/// What makes the rows of a query others than those of its tables.
fn combined(plan: &Plan) -> Option<&'static str> {
    match &plan.node {
        PlanNode::Aggregate { group, .. } if !group.is_empty() => Some("GROUP BY clause"),
        PlanNode::Aggregate { .. } => Some("aggregate functions"),
        PlanNode::Window { .. } => Some("window functions"),
        PlanNode::ProjectSet { .. } => Some("set-returning functions in the target list"),
        PlanNode::Project { input, .. }
        | PlanNode::Filter { input, .. }
        | PlanNode::Sort { input, .. }
        | PlanNode::Limit { input, .. } => combined(input),
        PlanNode::With { body, .. } => combined(body),
        _ => None,
    }
}

/// Whether a table of `FROM` is called `wanted`.
fn names(table: &TableWithJoins, wanted: &str) -> bool {
    let joined = table.joins.iter().map(|join| &join.relation);
    std::iter::once(&table.relation).chain(joined).any(|factor| is_called(factor, wanted))
}

fn is_called(factor: &TableFactor, wanted: &str) -> bool {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. } => alias.name.value == wanted,
        TableFactor::Table { name, alias: None, .. } => {
            name.0.last().and_then(|part| part.as_ident()).is_some_and(|it| it.value == wanted)
        }
        TableFactor::NestedJoin { table_with_joins, .. } => names(table_with_joins, wanted),
        _ => false,
    }
}
