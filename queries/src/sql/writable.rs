//! What can be written to: which relations, which of their columns.

use std::sync::Arc;

use sqlparser::ast;

use super::binder::Binder;
use super::command::{Target, column};
use super::parse::parse_expressions;
use super::scope::{Clause, Level, Namespace};
use super::statement::Source;
use crate::catalog::{Entry, PG_CATALOG, PUBLIC};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::Expr;
use crate::relation::{Relation, RelationKind, RelationSchema};
use crate::types::Datum;

/// Generated columns take no values but their own.
const GENERATED_ALWAYS: SqlState = SqlState("428C9");

impl Binder<'_> {
    /// The table that a statement writes to. `verb` is what it does: `insert into`, `update`, `delete from`, `copy to`.
    pub(super) fn writable(&self, name: &ast::ObjectName, verb: &str) -> Result<Arc<dyn Relation>> {
        let entry = self.find_entry(name)?;
        let relation = match &entry {
            Entry::Relation(relation) => relation,
            Entry::View(view) => return Err(cannot_write(verb, &view.name)),
        };
        let schema = relation.schema();
        if schema.schema == PG_CATALOG {
            let message = format!("permission denied: \"{}\" is a system catalog", schema.name);
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        match schema.kind {
            RelationKind::Table => Ok(Arc::clone(relation)),
            RelationKind::View => Err(cannot_write(verb, schema.name)),
        }
    }

    /// The place of a table's column.
    pub(super) fn column_place(
        &self,
        schema: &RelationSchema,
        ident: &ast::Ident,
    ) -> Result<usize> {
        schema.columns.iter().position(|column| column.name == ident.value).ok_or_else(|| {
            let message = format!(
                "column \"{}\" of relation \"{}\" does not exist",
                ident.value, schema.name
            );
            SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(self.at_ident(ident))
        })
    }

    /// The places of columns that are listed to be written, each once.
    pub(super) fn column_places(
        &self,
        schema: &RelationSchema,
        idents: &[ast::Ident],
    ) -> Result<Vec<usize>> {
        let mut places = Vec::with_capacity(idents.len());
        for ident in idents {
            let place = self.column_place(schema, ident)?;
            if places.contains(&place) {
                let message = format!("column \"{}\" specified more than once", ident.value);
                return Err(
                    SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(self.at_ident(ident))
                );
            }
            places.push(place);
        }
        Ok(places)
    }

    /// The value of a column's default, for where it stands among values.
    pub(super) fn default_value(&mut self, schema: &RelationSchema, place: usize) -> Result<Expr> {
        let column = &schema.columns[place];
        let Some(text) = column.default else { return Ok(Expr::Literal(Datum::Null, column.ty)) };
        let text: Arc<str> = Arc::from(text);
        let lexed = super::lex::lex(&text)?;
        let source = Source { text, range: 0..0, positions: Arc::clone(&lexed.positions) };
        let parsed = parse_expressions(&lexed.tokens, &source.positions)?;
        let Some(ast) = parsed.first() else { return Ok(Expr::Literal(Datum::Null, column.ty)) };
        let positions = self.positions.take();
        let level = Level::new(Namespace::default(), Clause::Default);
        let bound = self.with_level(level, |binder| {
            let bound = binder.bind_expr(ast)?;
            binder.assign(bound, column.ty, column.name, None)
        });
        self.positions = positions;
        Ok(bound?.0)
    }
}

/// A relation that can only be read.
fn cannot_write(verb: &str, name: &str) -> SqlError {
    let message = format!("cannot {verb} view \"{name}\"");
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_detail(format!("Relation \"{name}\" can only be read."))
}

fn target(schema: &RelationSchema) -> Option<Target> {
    (schema.schema == PUBLIC).then(|| Target::of_table(schema.name)).flatten()
}

/// Fails for a column that cannot be given a value when a row is inserted.
pub(super) fn check_insertable(schema: &RelationSchema, place: usize) -> Result<()> {
    if target(schema).is_none_or(|target| target.insertable(place)) {
        return Ok(());
    }
    let name = schema.columns[place].name;
    let message = format!("cannot insert a non-DEFAULT value into column \"{name}\"");
    Err(SqlError::new(GENERATED_ALWAYS, message)
        .with_detail(format!("Column \"{name}\" is a generated column.")))
}

/// Fails for a column that cannot be changed.
pub(super) fn check_updatable(
    schema: &RelationSchema,
    place: usize,
    to_default: bool,
) -> Result<()> {
    let Some(target) = target(schema) else { return Ok(()) };
    let name = schema.columns[place].name;
    if !target.insertable(place) {
        if to_default {
            return Ok(());
        }
        let message = format!("column \"{name}\" can only be updated to DEFAULT");
        let error = SqlError::new(GENERATED_ALWAYS, message)
            .with_detail(format!("Column \"{name}\" is a generated column."));
        return Err(if name == "version" {
            error.with_hint("To change a row only if it has a version, test the version in WHERE.")
        } else {
            error
        });
    }
    let designates = target == Target::Legs
        && matches!(
            place,
            column::LEG_CARRIER
                | column::LEG_FLIGHT_NUMBER
                | column::LEG_SUFFIX
                | column::LEG_DAY_OF_ORIGIN
                | column::LEG_DEPARTURE_AIRPORT
        );
    let identifies = place == 0;
    if !designates && !identifies {
        return Ok(());
    }
    let noun = if designates { "part of the flight designator" } else { "the identity of the row" };
    let message = format!("column \"{name}\" of relation \"{}\" cannot be updated", schema.name);
    Err(SqlError::unsupported(message)
        .with_detail(format!("It is {noun}."))
        .with_hint("Delete the row and insert it anew."))
}
