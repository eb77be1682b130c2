//! A virtual relation: a shape, and what makes its rows.

use std::sync::Arc;

use super::objects::Objects;
use super::shapes::{self, Shape};
use super::state::SystemState;
use super::system::System;
use super::table::{Rows, Table};
use super::{information_schema, pg, rotabase, static_rows};
use crate::error::Result;
use crate::exec::{ExecContext, Settings};
use crate::relation::{Access, Relation, RelationSchema, RowScan};

/// What rows that change from statement to statement are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The objects of the current catalog.
    pub(crate) objects: &'a Objects,
    /// The running system.
    pub(crate) state: &'a dyn SystemState,
    /// The session's settings.
    pub(crate) settings: &'a Settings,
    /// The running statement.
    pub(crate) context: &'a ExecContext,
}

/// What makes the rows of one relation.
#[derive(Debug)]
pub(crate) struct Maker {
    /// The relation.
    name: &'static str,
    /// The columns that it gives values for.
    columns: &'static [&'static str],
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// From the names alone: kept until they change.
    Names(fn(&Objects, &mut Rows<'_>)),
    /// Made for every scan.
    Live(fn(&Scope<'_>, &mut Rows<'_>)),
}

impl Maker {
    /// Rows that depend on the names alone.
    pub(crate) const fn of_names(
        name: &'static str,
        columns: &'static [&'static str],
        rows: fn(&Objects, &mut Rows<'_>),
    ) -> Self {
        Self { name, columns, source: Source::Names(rows) }
    }

    /// Rows that depend on the session or on what is running.
    pub(crate) const fn live(
        name: &'static str,
        columns: &'static [&'static str],
        rows: fn(&Scope<'_>, &mut Rows<'_>),
    ) -> Self {
        Self { name, columns, source: Source::Live(rows) }
    }
}

/// A virtual relation. Without a maker it has the rows of a text, or none.
#[derive(Debug)]
pub(crate) struct SystemRelation {
    shape: &'static Shape,
    /// Its place among the shapes.
    place: usize,
    maker: Option<&'static Maker>,
}

/// All virtual relations.
pub(crate) fn all() -> Vec<Arc<dyn Relation>> {
    let relation = |(place, shape): (usize, &'static Shape)| {
        let makers: &[&[Maker]] = match shape.schema.schema {
            "pg_catalog" => pg::MAKERS,
            "information_schema" => information_schema::MAKERS,
            _ => &[rotabase::MAKERS],
        };
        let maker = makers.iter().copied().flatten().find(|maker| maker.name == shape.schema.name);
        let relation: Arc<dyn Relation> = Arc::new(SystemRelation { shape, place, maker });
        relation
    };
    shapes::all().iter().enumerate().map(relation).collect()
}

impl SystemRelation {
    fn table(&self, context: &ExecContext) -> Arc<Table> {
        let system = System::of(&context.settings);
        let objects = system.objects();
        let schema = &self.shape.schema;
        match self.maker {
            None => objects.table(self.place, || {
                let mut rows = Rows::new(schema, &[]);
                if schema.schema == "pg_catalog" {
                    rows.push_text(static_rows::of(schema.name));
                }
                rows.finish()
            }),
            Some(Maker { columns, source: Source::Names(make), .. }) => {
                objects.table(self.place, || {
                    let mut rows = Rows::new(schema, columns);
                    make(&objects, &mut rows);
                    rows.finish()
                })
            }
            Some(Maker { columns, source: Source::Live(make), .. }) => {
                let mut rows = Rows::new(schema, columns);
                let (state, settings) = (system.state(), &*context.settings);
                make(&Scope { objects: &objects, state, settings, context }, &mut rows);
                Arc::new(rows.finish())
            }
        }
    }
}

impl Relation for SystemRelation {
    fn schema(&self) -> &Arc<RelationSchema> {
        &self.shape.schema
    }

    fn scan(
        &self,
        context: &ExecContext,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        self.table(context).scan(access, columns)
    }

    fn count(&self, _context: &ExecContext) -> Result<Option<u64>> {
        Ok(None)
    }

    fn estimate(&self) -> u64 {
        match self.shape.schema.name {
            "pg_attribute" | "pg_proc" | "columns" | "pg_depend" => 3000,
            "pg_class" | "pg_operator" | "pg_index" | "pg_cast" | "tables" => 400,
            _ if self.maker.is_some() => 100,
            _ => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_maker_has_a_relation_with_its_columns() {
        let check = |schema: &str, makers: &[Maker]| {
            for maker in makers {
                let found = |shape: &&Shape| {
                    shape.schema.schema == schema && shape.schema.name == maker.name
                };
                let shape = shapes::all().iter().find(found).unwrap_or_else(|| panic!("{maker:?}"));
                for column in maker.columns {
                    let known = shape.schema.columns.iter().any(|it| it.name == *column);
                    assert!(known, "{}.{column}", maker.name);
                }
            }
        };
        for makers in pg::MAKERS {
            check("pg_catalog", makers);
        }
        for makers in information_schema::MAKERS {
            check("information_schema", makers);
        }
        check("rotabase", rotabase::MAKERS);
    }
}
