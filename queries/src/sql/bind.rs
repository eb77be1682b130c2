//! The way from a parsed statement to a bound one.

use super::bound::{Bound, Execute};
use super::statement::{Node, Statement};
use crate::catalog::Catalog;
use crate::error::{Result, SqlError};
use crate::exec::Settings;
use crate::plan::Expr;
use crate::types::PgType;

/// Binds a statement: names to relations and columns, calls to functions, untyped parameters to types.
///
/// `declared` are the types that the client gave for its parameters; [`PgType::Unknown`] and missing ones are inferred.
pub fn bind(catalog: &Catalog, settings: &Settings, statement: &Statement, declared: &[PgType]) -> Result<Bound> {
    let _ = (catalog, settings, declared);
    match &statement.node {
        Node::Empty => Ok(Bound::Empty),
        Node::Utility(utility) => Ok(Bound::Utility(utility.clone())),
        _ => Err(SqlError::unsupported("this statement is not supported yet")),
    }
}

/// Binds the arguments of an EXECUTE to the types of the prepared statement's parameters. Their values need no row.
pub fn bind_arguments(
    catalog: &Catalog,
    settings: &Settings,
    execute: &Execute,
    types: &[PgType],
) -> Result<Vec<Expr>> {
    let _ = (catalog, settings, types, execute);
    Err(SqlError::unsupported("EXECUTE is not supported yet"))
}
