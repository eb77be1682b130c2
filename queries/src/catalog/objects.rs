//! What the names of one catalog stand for, as `pg_class` sees it: relations, views and indexes with their OIDs,
//! and the rows of virtual relations that follow from them.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::state::{GrantRow, role_oid};
use super::table::Table;
use super::{Catalog, Entry, PG_CATALOG, PUBLIC, View, names, shapes, state};
use crate::error::{Result, SqlError};
use crate::exec::Settings;
use crate::relation::{ForeignKey, Index, Relation, RelationKind};
use crate::sql;
use crate::types::PgType;

/// A schema.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    pub(crate) oid: u32,
    pub(crate) name: String,
    pub(crate) comment: &'static str,
}

/// A column of a relation or view.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) ty: PgType,
    pub(crate) typmod: i32,
    pub(crate) not_null: bool,
    pub(crate) default: Option<&'static str>,
}

/// A relation or view.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `pg_class.relkind`: `r` or `v`.
    pub(crate) kind: u8,
    /// The role that owns it.
    pub(crate) owner: u32,
    pub(crate) entry: Entry,
    attributes: OnceLock<Vec<Attribute>>,
}

/// What an OID of `pg_class` is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Class(&'a Class),
    Index(&'a Class, &'a Index),
}

/// The objects of one catalog.
#[derive(Debug)]
pub(crate) struct Objects {
    catalog: Arc<Catalog>,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) classes: Vec<Class>,
    /// Places in `classes`, and of an index in it.
    by_oid: FxHashMap<u32, (usize, Option<usize>)>,
    /// What roles were granted when the names were published.
    pub(crate) grants: Vec<GrantRow>,
    tables: Vec<OnceLock<Arc<Table>>>,
}

impl Class {
    fn new(entry: &Entry) -> Self {
        let (kind, owner) = match entry {
            Entry::View(view) => (b'v', role_oid(&view.owner)),
            Entry::Relation(relation) => (relation_kind(relation), state::BOOTSTRAP_ROLE.1),
        };
        Self {
            oid: entry.oid(),
            schema: entry.schema().to_owned(),
            name: entry.name().to_owned(),
            kind,
            owner,
            entry: entry.clone(),
            attributes: OnceLock::new(),
        }
    }

    /// The relation, unless it is a view by `CREATE VIEW`.
    pub(crate) fn relation(&self) -> Option<&Arc<dyn Relation>> {
        match &self.entry {
            Entry::Relation(relation) => Some(relation),
            Entry::View(_) => None,
        }
    }

    /// The view, if it is one by `CREATE VIEW`.
    pub(crate) fn view(&self) -> Option<&View> {
        match &self.entry {
            Entry::Relation(_) => None,
            Entry::View(view) => Some(view),
        }
    }

    /// Its indexes, as far as clients see them: views have none.
    pub(crate) fn indexes(&self) -> &[Index] {
        match &self.entry {
            Entry::Relation(relation) if self.kind == b'r' => &relation.schema().indexes,
            _ => &[],
        }
    }

    /// Its primary key.
    pub(crate) fn primary_key(&self) -> Option<&Index> {
        self.indexes().first().filter(|index| index.primary)
    }

    /// Its foreign keys.
    pub(crate) fn foreign_keys(&self) -> &[ForeignKey] {
        self.relation().map_or(&[], |relation| &relation.schema().foreign_keys)
    }

    /// What it is.
    pub(crate) fn comment(&self) -> Option<&'static str> {
        self.relation().map(|it| it.schema().comment).filter(|comment| !comment.is_empty())
    }

    /// About how many rows it has, where that is maintained.
    pub(crate) fn row_estimate(&self) -> Option<i64> {
        let relation = self.relation().filter(|_| !self.is_system())?;
        Some(i64::try_from(relation.estimate()).unwrap_or(i64::MAX))
    }

    /// Whether it takes commands.
    pub(crate) fn is_writable(&self) -> bool {
        self.relation().is_some_and(|it| it.schema().kind == RelationKind::Table)
    }

    /// Whether it belongs to the system rather than to the schedule.
    pub(crate) fn is_system(&self) -> bool {
        self.oid < FIRST_USER_OID
    }
}

/// OIDs below belong to the system.
pub(crate) const FIRST_USER_OID: u32 = 16384;

/// A read-only relation with a primary key is a table to clients; without one it is a view.
fn relation_kind(relation: &Arc<dyn Relation>) -> u8 {
    let schema = relation.schema();
    let keyed = schema.indexes.first().is_some_and(|index| index.primary);
    shapes::kind(schema.oid).unwrap_or(match schema.kind {
        RelationKind::Table => b'r',
        RelationKind::View if keyed => b'r',
        RelationKind::View => b'v',
    })
}

fn namespace(name: &str) -> Namespace {
    let (oid, comment) = match name {
        PG_CATALOG => (11, "system catalog schema"),
        PUBLIC => (2200, "standard public schema"),
        "information_schema" => (13207, ""),
        "rotabase" => (15999, "what operators look at"),
        other => (state::derived_oid("schema", other), ""),
    };
    Namespace { oid, name: name.to_owned(), comment }
}

impl Objects {
    /// The objects of a catalog.
    pub(crate) fn new(catalog: Arc<Catalog>, grants: Vec<GrantRow>) -> Self {
        let namespaces: Vec<Namespace> = catalog.schemas().map(namespace).collect();
        let entries = namespaces.iter().flat_map(|schema| catalog.entries(&schema.name));
        let mut classes: Vec<Class> = entries.map(Class::new).collect();
        classes.sort_by_key(|class| class.oid);
        let mut by_oid = FxHashMap::default();
        for (place, class) in classes.iter().enumerate() {
            by_oid.insert(class.oid, (place, None));
            for (index_place, index) in class.indexes().iter().enumerate() {
                by_oid.insert(index.oid, (place, Some(index_place)));
            }
        }
        let tables = shapes::all().iter().map(|_| OnceLock::new()).collect();
        Self { catalog, namespaces, classes, by_oid, grants, tables }
    }

    /// The rows of a virtual relation, made once.
    pub(crate) fn table(&self, place: usize, make: impl FnOnce() -> Table) -> Arc<Table> {
        Arc::clone(self.tables[place].get_or_init(|| Arc::new(make())))
    }

    /// Whether there is such a schema.
    pub(crate) fn has_schema(&self, name: &str) -> bool {
        self.catalog.has_schema(name)
    }

    /// The OID of a schema; 0 if there is none.
    pub(crate) fn namespace_oid(&self, name: &str) -> u32 {
        self.namespaces.iter().find(|it| it.name == name).map_or(0, |it| it.oid)
    }

    /// What an OID of `pg_class` is.
    pub(crate) fn found(&self, oid: u32) -> Option<Found<'_>> {
        let (class, index) = *self.by_oid.get(&oid)?;
        let class = &self.classes[class];
        Some(match index {
            Some(index) => Found::Index(class, &class.indexes()[index]),
            None => Found::Class(class),
        })
    }

    /// The relation or view with an OID.
    pub(crate) fn class(&self, oid: u32) -> Option<&Class> {
        match self.found(oid)? {
            Found::Class(class) => Some(class),
            Found::Index(..) => None,
        }
    }

    /// A relation or view of schema `public`.
    pub(crate) fn public(&self, name: &str) -> Option<&Class> {
        self.catalog.find(Some(PUBLIC), name, &[]).and_then(|entry| self.class(entry.oid()))
    }

    /// The OID of a relation, view or index by its name, along a search path.
    pub(crate) fn lookup(&self, schema: Option<&str>, name: &str, path: &[String]) -> Option<u32> {
        if let Some(entry) = self.catalog.find(schema, name, path) {
            return Some(entry.oid());
        }
        let searched = |class: &&Class| match schema {
            Some(schema) => class.schema == schema,
            None => class.schema == PG_CATALOG || path.contains(&class.schema),
        };
        let mut indexes = self.classes.iter().filter(searched).flat_map(Class::indexes);
        indexes.find(|index| index.name == name).map(|index| index.oid)
    }

    /// Whether a name without its schema means this object, on a search path.
    pub(crate) fn is_visible(&self, oid: u32, path: &[String]) -> Option<bool> {
        let name = match self.found(oid)? {
            Found::Class(class) => &class.name,
            Found::Index(_, index) => index.name,
        };
        Some(self.lookup(None, name, path) == Some(oid))
    }

    /// The columns of a relation or view; none of a view that does not bind any more.
    pub(crate) fn attributes<'a>(&self, class: &'a Class) -> &'a [Attribute] {
        class.attributes.get_or_init(|| match &class.entry {
            Entry::Relation(relation) => relation
                .schema()
                .columns
                .iter()
                .map(|column| Attribute {
                    name: column.name.to_owned(),
                    ty: column.ty,
                    typmod: -1,
                    not_null: column.not_null && class.kind == b'r',
                    default: column.default,
                })
                .collect(),
            Entry::View(view) => self.view_attributes(view).unwrap_or_default(),
        })
    }

    fn view_attributes(&self, view: &View) -> Result<Vec<Attribute>> {
        let names = Self::new(Arc::clone(&self.catalog), Vec::new());
        let settings = Settings { objects: Arc::new(names), ..Settings::default() };
        let statements = sql::parse(&view.query)?;
        let [statement] = statements.as_slice() else {
            return Err(SqlError::internal("a view is one query"));
        };
        let bound = sql::bind(&self.catalog, &settings, statement, &[])?;
        let columns = bound.columns().unwrap_or_default();
        let attribute = |(place, column): (usize, &crate::plan::OutputColumn)| Attribute {
            name: view.columns.get(place).unwrap_or(&column.name).clone(),
            ty: column.ty,
            typmod: column.typmod,
            not_null: false,
            default: None,
        };
        Ok(columns.iter().enumerate().map(attribute).collect())
    }

    /// The text of a `regclass`: qualified unless `public` or `pg_catalog` holds it.
    pub(crate) fn class_name(&self, oid: u32) -> Option<String> {
        let path = [PUBLIC.to_owned()];
        let (class, name) = match self.found(oid)? {
            Found::Class(class) => (class, class.name.as_str()),
            Found::Index(class, index) => (class, index.name),
        };
        let visible = self.is_visible(oid, &path).unwrap_or(false);
        Some(if visible { names::quote(name) } else { names::qualified(&class.schema, name) })
    }
}
