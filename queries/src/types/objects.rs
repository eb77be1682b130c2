//! Names of database objects, for the `reg*` types: a hook, because only the catalog knows them.

use std::any::Any;
use std::fmt::Debug;

use super::PgType;
use super::functions::registry;
use super::type_table::{self, FunctionName};
use crate::error::{Result, SqlError, SqlState};

/// Looks up objects by name and by OID for the `reg*` types.
pub trait ObjectNames: Any + Debug + Send + Sync {
    /// The text of a `reg*` value, qualified and quoted as needed; none if there is no such object.
    fn name(&self, ty: PgType, oid: u32) -> Option<String>;

    /// The object that a text names, which is neither `-` nor a number.
    fn oid(&self, ty: PgType, name: &str) -> Result<u32>;
}

/// Knows the types and functions that are built in, and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltInNames;

impl ObjectNames for BuiltInNames {
    fn name(&self, ty: PgType, oid: u32) -> Option<String> {
        match ty {
            PgType::Regtype => PgType::from_oid(oid).map(|ty| ty.name().to_owned()),
            PgType::Regproc => registry::function_by_oid(oid)
                .map(|it| it.callee.name())
                .or_else(|| type_functions().find(|it| it.0 == oid).map(|it| it.1))
                .map(str::to_owned),
            PgType::Regprocedure => registry::function_by_oid(oid).map(|it| {
                let types: Vec<&str> = it.callee.arguments().iter().map(|ty| ty.name()).collect();
                format!("{}({})", it.callee.name(), types.join(","))
            }),
            PgType::Regnamespace if oid == 11 => Some("pg_catalog".to_owned()),
            PgType::Regcollation if oid == 100 => Some("\"default\"".to_owned()),
            PgType::Regcollation if oid == 950 => Some("\"C\"".to_owned()),
            _ => None,
        }
    }

    fn oid(&self, ty: PgType, name: &str) -> Result<u32> {
        let bare = name.trim().strip_prefix("pg_catalog.").unwrap_or(name.trim());
        let found = match ty {
            PgType::Regtype => PgType::from_name(&bare.to_ascii_lowercase()).map(PgType::oid),
            PgType::Regproc => match registry::functions_named(bare) {
                [one] => Some(one.callee.oid()),
                [] => type_functions().find(|it| it.1 == bare).map(|it| it.0),
                _ => {
                    let message = format!("more than one function named \"{name}\"");
                    return Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message));
                }
            },
            PgType::Regnamespace if bare == "pg_catalog" => Some(11),
            _ => None,
        };
        found.ok_or_else(|| undefined(ty, name))
    }
}

/// The functions that read and write values: they are named in `pg_type`, and nobody can call them.
fn type_functions() -> impl Iterator<Item = FunctionName> {
    type_table::ROWS.iter().flat_map(|row| row.functions).filter(|function| function.0 != 0)
}

/// The error for an object that a text names and that does not exist.
pub fn undefined(ty: PgType, name: &str) -> SqlError {
    let (state, message) = match ty {
        PgType::Regtype => (SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist")),
        PgType::Regclass => {
            (SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
        }
        PgType::Regproc | PgType::Regprocedure => {
            (SqlState::UNDEFINED_FUNCTION, format!("function \"{name}\" does not exist"))
        }
        PgType::Regoper | PgType::Regoperator => {
            (SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {name}"))
        }
        PgType::Regnamespace => {
            (SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
        }
        PgType::Regrole => (SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")),
        PgType::Regcollation => (
            SqlState::UNDEFINED_OBJECT,
            format!("collation \"{name}\" for encoding \"UTF8\" does not exist"),
        ),
        PgType::Regconfig => (
            SqlState::UNDEFINED_OBJECT,
            format!("text search configuration \"{name}\" does not exist"),
        ),
        _ => (
            SqlState::UNDEFINED_OBJECT,
            format!("text search dictionary \"{name}\" does not exist"),
        ),
    };
    SqlError::new(state, message)
}
