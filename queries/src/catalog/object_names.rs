//! The `reg*` types: objects by name, and their names by OID.
//!
//! As in PostgreSQL, a name is qualified where it alone would not mean the object: a relation outside `public` and
//! `pg_catalog`, a function or operator of which there are several.

use super::PUBLIC;
use super::names;
use super::objects::Objects;
use super::pg::conversions;
use super::static_rows;
use crate::error::{Result, SqlError, SqlState};
use crate::types::functions::registry;
use crate::types::{BuiltInNames, ObjectNames, PgType, undefined_object};

impl ObjectNames for Objects {
    fn name(&self, ty: PgType, oid: u32) -> Option<String> {
        match ty {
            PgType::Regclass => self.class_name(oid),
            PgType::Regnamespace => {
                self.namespaces.iter().find(|it| it.oid == oid).map(|it| names::quote(&it.name))
            }
            PgType::Regproc => {
                let Some(found) = registry::function_by_oid(oid) else {
                    return conversions().get(&oid).map(|(name, ..)| (*name).to_owned());
                };
                let name = found.callee.name();
                let searched = found.schema == "pg_catalog";
                let alone = searched && registry::functions_named(name).len() == 1;
                Some(if alone { names::quote(name) } else { names::qualified(found.schema, name) })
            }
            PgType::Regprocedure => {
                let found = registry::function_by_oid(oid)?;
                let types: Vec<&str> =
                    found.callee.arguments().iter().map(|ty| ty.name()).collect();
                let name = names::quote(found.callee.name());
                let schema = if found.schema == "pg_catalog" {
                    String::new()
                } else {
                    format!("{}.", found.schema)
                };
                Some(format!("{schema}{name}({})", types.join(",")))
            }
            PgType::Regoper => {
                let name = registry::operators().find(|it| it.operator.oid == oid)?.operator.name;
                let alone = registry::operators_named(name).len() == 1;
                Some(if alone { name.to_owned() } else { format!("pg_catalog.{name}") })
            }
            PgType::Regoperator => {
                let operator = registry::operators().find(|it| it.operator.oid == oid)?.operator;
                let left = operator.left.map_or("NONE", PgType::name);
                Some(format!("{}({left},{})", operator.name, operator.right.name()))
            }
            PgType::Regcollation => named_rows("pg_collation")
                .find(|(known, _)| *known == oid)
                .map(|(_, name)| names::quote(name)),
            PgType::Regconfig | PgType::Regdictionary => named_rows(text_search(ty))
                .find(|(known, _)| *known == oid)
                .map(|(_, name)| names::quote(name)),
            _ => BuiltInNames.name(ty, oid),
        }
    }

    fn oid(&self, ty: PgType, name: &str) -> Result<u32> {
        match ty {
            PgType::Regprocedure => return procedure(name),
            PgType::Regoperator => return operator(name),
            PgType::Regtype => return data_type(name).map(PgType::oid),
            PgType::Regoper => return operator_alone(name),
            _ => {}
        }
        let parts = names::parts(name)
            .ok_or_else(|| SqlError::new(SqlState::INVALID_NAME, "invalid name syntax"))?;
        let (schema, bare) = match parts.as_slice() {
            [bare] => (None, bare.as_str()),
            [schema, bare] | [_, schema, bare] => (Some(schema.as_str()), bare.as_str()),
            _ => return Err(SqlError::new(SqlState::INVALID_NAME, "improper qualified name")),
        };
        if let Some(schema) = schema.filter(|schema| !self.has_schema(schema)) {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
        }
        let found = match ty {
            PgType::Regclass => self.lookup(schema, bare, &[PUBLIC.to_owned()]),
            PgType::Regnamespace => Some(self.namespace_oid(bare)).filter(|oid| *oid != 0),
            PgType::Regproc => function(schema, bare)?,
            PgType::Regcollation => named_row("pg_collation", bare),
            PgType::Regconfig | PgType::Regdictionary => named_row(text_search(ty), bare),
            _ => return BuiltInNames.oid(ty, name),
        };
        found.ok_or_else(|| undefined_object(ty, &parts.join(".")))
    }
}

fn text_search(ty: PgType) -> &'static str {
    if ty == PgType::Regconfig { "pg_ts_config" } else { "pg_ts_dict" }
}

/// The OIDs and names of the rows of a table whose rows never change.
fn named_rows(relation: &str) -> impl Iterator<Item = (u32, &'static str)> {
    static_rows::of(relation).filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?.parse().ok()?, fields.next()?))
    })
}

fn named_row(relation: &str, name: &str) -> Option<u32> {
    named_rows(relation).find(|(_, known)| *known == name).map(|(oid, _)| oid)
}

/// The only function with a name.
fn function(schema: Option<&str>, name: &str) -> Result<Option<u32>> {
    let mut named = registry::functions_named(name)
        .iter()
        .filter(|it| it.schema == schema.unwrap_or("pg_catalog") && it.callee.oid() != 0);
    match (named.next(), named.next()) {
        (Some(_), Some(_)) => {
            let message = format!("more than one function named \"{name}\"");
            Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message))
        }
        (Some(found), None) => Ok(Some(found.callee.oid())),
        // The functions that read and write types cannot be called, but tools know types by them.
        _ => Ok(conversions().iter().find(|(_, it)| it.0 == name).map(|(oid, _)| *oid)),
    }
}

/// `name(type, type)` taken apart; a missing bracket is what PostgreSQL complains of.
fn signature(text: &str) -> Result<(&str, Vec<&str>)> {
    let invalid = |message: &str| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message);
    let (name, rest) =
        text.split_once('(').ok_or_else(|| invalid("expected a left parenthesis"))?;
    let arguments = rest
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| invalid("expected a right parenthesis"))?
        .trim();
    let types = if arguments.is_empty() { Vec::new() } else { split(arguments) };
    Ok((name.trim(), types))
}

/// Splits at commas that are not within brackets: `numeric(10,2)` is one type.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(text[start..place].trim());
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

fn procedure(text: &str) -> Result<u32> {
    let (name, types) = signature(text)?;
    let types: Vec<PgType> = types.into_iter().map(data_type).collect::<Result<_>>()?;
    let (schema, name) = match names::parts(name).as_deref() {
        Some([name]) => ("pg_catalog".to_owned(), name.clone()),
        Some([schema, name]) => (schema.clone(), name.clone()),
        _ => return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
    };
    registry::functions_named(&name)
        .iter()
        .find(|it| it.schema == schema && it.callee.arguments() == types && it.callee.oid() != 0)
        .map(|it| it.callee.oid())
        .ok_or_else(|| undefined_object(PgType::Regprocedure, text))
}

fn operator(text: &str) -> Result<u32> {
    let (name, types) = signature(text)?;
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let (left, right) = match types.as_slice() {
        [left, right] if left.eq_ignore_ascii_case("none") => (None, data_type(right)?),
        [left, right] => (Some(data_type(left)?), data_type(right)?),
        _ => {
            let message = "missing argument";
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message)
                .with_hint("Use NONE to denote the missing argument of a unary operator."));
        }
    };
    registry::operators_named(name)
        .iter()
        .find(|it| it.operator.left == left && it.operator.right == right)
        .map(|it| it.operator.oid)
        .ok_or_else(|| undefined_object(PgType::Regoperator, text))
}

fn operator_alone(text: &str) -> Result<u32> {
    let name = text.trim();
    match registry::operators_named(name.strip_prefix("pg_catalog.").unwrap_or(name)) {
        [one] => Ok(one.operator.oid),
        [] => Err(undefined_object(PgType::Regoper, name)),
        _ => {
            let message = format!("more than one operator named {name}");
            Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message))
        }
    }
}

/// A type as SQL writes it: `int4[]`, `numeric(10,2)`, `pg_catalog."char"`. Modifiers are passed over.
fn data_type(text: &str) -> Result<PgType> {
    let undefined = || undefined_object(PgType::Regtype, text.trim());
    let mut name = text.trim().to_owned();
    if let (Some(open), Some(close)) = (name.find('('), name.find(')')) {
        if close < open {
            return Err(undefined());
        }
        name.replace_range(open..=close, "");
    }
    let bare = name.trim_end_matches(|it: char| matches!(it, '[' | ']') || it.is_ascii_digit());
    let array = bare.len() < name.trim_end().len() && name.trim_end().ends_with(']');
    let element = if array { bare.trim_end() } else { name.trim() };
    let found = if element.contains(['"', '.']) {
        match names::parts(element).as_deref() {
            Some([name]) => PgType::from_typname(name),
            Some([schema, name]) if schema == "pg_catalog" => PgType::from_typname(name),
            Some([schema, _]) if schema != PUBLIC && schema != "information_schema" => {
                let message = format!("schema \"{schema}\" does not exist");
                return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
            }
            _ => None,
        }
    } else {
        PgType::from_name(&element.to_lowercase())
    };
    let found = if array { found.and_then(PgType::array) } else { found };
    found.ok_or_else(undefined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_sql_writes_them() {
        for (text, ty) in [
            ("int4", PgType::Int4),
            ("integer[]", PgType::Int4Array),
            ("numeric(10,2)", PgType::Numeric),
            ("timestamp(3) with time zone", PgType::TimestampTz),
            ("pg_catalog.\"char\"", PgType::Char),
            ("\"char\"[]", PgType::CharArray),
            ("char", PgType::Bpchar),
        ] {
            assert_eq!(data_type(text).map(PgType::oid), Ok(ty.oid()), "{text}");
        }
        assert!(data_type("nothing").is_err());
        assert!(data_type("a)b(").is_err());
    }

    #[test]
    fn functions_and_operators_are_read_with_their_types() {
        let oid = procedure("pg_get_viewdef(oid)").unwrap();
        assert_eq!(registry::function_by_oid(oid).unwrap().callee.name(), "pg_get_viewdef");
        assert_eq!(operator("=(integer,int4)"), Ok(96));
        assert!(procedure("pg_get_viewdef").is_err());
    }
}
