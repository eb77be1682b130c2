//! The names that SQL finds relations by: projections, virtual tables and views.
//!
//! A [`Catalog`] is an immutable list of what there is. Creating or dropping a view makes a new one, so a statement
//! that is being bound never sees half a change. The virtual tables of `pg_catalog`, `information_schema` and
//! `rotabase` are relations like all others.
//!
//! The virtual tables find the current names, and what is running, in the [`System`] behind a session's settings;
//! their rows are made when they are looked at. [`SystemState`] is what a running system tells of itself.
//!
//! It must never know sessions, shards or nodes: of these it has plain rows.

mod advisory;
mod cell;
mod comments;
mod definitions;
pub(crate) mod functions;
mod information_schema;
mod names;
mod object_names;
mod objects;
mod pg;
mod privileges;
mod relation;
mod rotabase;
pub mod setting_unit;
mod shapes;
mod state;
mod static_rows;
mod system;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use advisory::{AdvisoryKey, AdvisoryLock, AdvisoryRow};
pub use names::quote;
pub use state::{
    ActivityRow, BOOTSTRAP_ROLE, CopyRow, GrantRow, NoState, NodeRow, ProjectionRow, ReplicaRow,
    RoleRow, SessionRow, SettingRow, ShardRow, Stop, SystemState, role_oid,
};
pub use system::System;

use crate::relation::Relation;

/// The schema of user-visible projections and of views.
pub const PUBLIC: &str = "public";
/// The schema that is searched first unless the search path says otherwise.
pub const PG_CATALOG: &str = "pg_catalog";

/// A catalog of these relations and of all virtual ones. What those show they find in the [`System`] behind the
/// session's settings: whoever builds a catalog publishes it there.
pub fn with_system_relations(relations: Vec<Arc<dyn Relation>>) -> Catalog {
    let mut all = relations;
    all.extend(relation::all());
    Catalog::new(all)
}

/// A view: a name for a query's text, which is bound anew wherever the view is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its OID.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The names of its columns in order, where they were given; the query's own names follow.
    pub columns: Vec<String>,
    /// The query, as it was written.
    pub query: String,
    /// The role that created it.
    pub owner: String,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A projection or a virtual table.
    Relation(Arc<dyn Relation>),
    /// A view.
    View(Arc<View>),
}

/// All relations and views by schema and name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    schemas: BTreeMap<String, BTreeMap<String, Entry>>,
}

impl Catalog {
    /// A catalog of these relations and no views.
    pub fn new(relations: Vec<Arc<dyn Relation>>) -> Self {
        let mut catalog = Self::default();
        catalog.schemas.entry(PUBLIC.to_owned()).or_default();
        catalog.schemas.entry(PG_CATALOG.to_owned()).or_default();
        for relation in relations {
            let schema = Arc::clone(relation.schema());
            catalog
                .schemas
                .entry(schema.schema.to_owned())
                .or_default()
                .insert(schema.name.to_owned(), Entry::Relation(relation));
        }
        catalog
    }

    /// The same catalog with these views too.
    #[must_use]
    pub fn with_views(mut self, views: impl IntoIterator<Item = Arc<View>>) -> Self {
        for view in views {
            let schema = self.schemas.entry(view.schema.clone()).or_default();
            schema.insert(view.name.clone(), Entry::View(view));
        }
        self
    }

    /// The same catalog without a view.
    #[must_use]
    pub fn without_view(mut self, schema: &str, name: &str) -> Self {
        if let Some(entries) = self.schemas.get_mut(schema)
            && matches!(entries.get(name), Some(Entry::View(_)))
        {
            entries.remove(name);
        }
        self
    }

    /// Whether names without a schema are looked up in this one.
    pub fn is_searched(schema: &str, search_path: &[String]) -> bool {
        schema == PG_CATALOG || search_path.iter().any(|searched| searched == schema)
    }

    /// Whether there is such a schema.
    pub fn has_schema(&self, schema: &str) -> bool {
        self.schemas.contains_key(schema)
    }

    /// The names of the schemas, in order.
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().map(String::as_str)
    }

    /// Everything in a schema, in the order of names.
    pub fn entries(&self, schema: &str) -> impl Iterator<Item = &Entry> {
        self.schemas.get(schema).into_iter().flat_map(BTreeMap::values)
    }

    /// Finds what a name stands for: in its schema if one is given, else along the search path, `pg_catalog`
    /// before all others unless the path names it.
    pub fn find(&self, schema: Option<&str>, name: &str, search_path: &[String]) -> Option<&Entry> {
        let within = |schema: &str| self.schemas.get(schema).and_then(|entries| entries.get(name));
        if let Some(schema) = schema {
            return within(schema);
        }
        let implicit = !search_path.iter().any(|schema| schema == PG_CATALOG);
        let first = if implicit { within(PG_CATALOG) } else { None };
        first.or_else(|| search_path.iter().find_map(|schema| within(schema)))
    }
}

impl Entry {
    /// Its schema.
    pub fn schema(&self) -> &str {
        match self {
            Self::Relation(relation) => relation.schema().schema,
            Self::View(view) => &view.schema,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Relation(relation) => relation.schema().name,
            Self::View(view) => &view.name,
        }
    }

    /// Its OID.
    pub fn oid(&self) -> u32 {
        match self {
            Self::Relation(relation) => relation.schema().oid,
            Self::View(view) => view.oid,
        }
    }
}
