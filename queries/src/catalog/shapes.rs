//! The names and columns of the virtual relations: PostgreSQL 15's, to the column, and our own.
//!
//! They stand in text files beside this one, a relation after the other: `r` or `v` (table or view), OID and name;
//! then its columns with their types, `!` for those that are never null; then its indexes. Columns whose type we do
//! not have (`inet`, `pg_lsn`, the statistics) are `text`; the domains of `information_schema` are what they are
//! made of, as they are on the wire.

use std::sync::{Arc, LazyLock};

use crate::relation::{Column, Index, RelationKind, RelationSchema};
use crate::types::PgType;

/// A virtual relation's name and shape.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The relation as SQL sees it.
    pub(crate) schema: Arc<RelationSchema>,
    /// `pg_class.relkind`: `r` or `v`.
    pub(crate) kind: u8,
}

/// Every virtual relation, by schema in the order of the files.
pub(crate) fn all() -> &'static [Shape] {
    &SHAPES
}

/// `pg_class.relkind` of a virtual relation, by its OID.
pub(crate) fn kind(oid: u32) -> Option<u8> {
    SHAPES.iter().find(|shape| shape.schema.oid == oid).map(|shape| shape.kind)
}

static FILES: [(&str, &str); 4] = [
    ("pg_catalog", include_str!("shapes/pg_tables.txt")),
    ("pg_catalog", include_str!("shapes/pg_views.txt")),
    ("information_schema", include_str!("shapes/information_schema.txt")),
    ("rotabase", include_str!("shapes/rotabase.txt")),
];

static SHAPES: LazyLock<Vec<Shape>> =
    LazyLock::new(|| FILES.iter().flat_map(|(schema, text)| read(schema, text)).collect());

fn read(schema: &'static str, text: &'static str) -> Vec<Shape> {
    let mut shapes: Vec<(u8, RelationSchema)> = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("  ") else {
            shapes.push(head(schema, line));
            continue;
        };
        let (_, relation) = shapes.last_mut().expect("a file begins with a relation");
        if let Some(index) = rest.strip_prefix("index ") {
            relation.indexes.extend(read_index(&relation.columns, index));
        } else if let Some(comment) = rest.strip_prefix("comment ") {
            relation.comment = comment;
        } else {
            relation
                .columns
                .extend(rest.split(',').map(str::trim).filter(|it| !it.is_empty()).map(column));
        }
    }
    shapes.into_iter().map(|(kind, schema)| Shape { schema: Arc::new(schema), kind }).collect()
}

fn head(schema: &'static str, line: &'static str) -> (u8, RelationSchema) {
    let mut words = line.split(' ');
    let mut word = || words.next().expect("kind, OID and name");
    let kind = word().as_bytes()[0];
    let oid = word().parse().expect("an OID");
    let relation = RelationSchema {
        oid,
        schema,
        name: word(),
        kind: RelationKind::View,
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        comment: "",
    };
    (kind, relation)
}

fn column(text: &'static str) -> Column {
    let (name, ty) = text.split_once(' ').expect("a name and a type");
    let not_null = ty.ends_with('!');
    let ty = PgType::from_typname(ty.trim_end_matches('!')).expect("a type that we have");
    Column { name, ty, not_null, default: None }
}

/// `OID name primary|unique|plain columns`. Indexes over types without an order are left out.
fn read_index(columns: &[Column], text: &'static str) -> Option<Index> {
    let mut words = text.splitn(4, ' ');
    let mut word = || words.next().expect("OID, name, kind and columns");
    let (oid, name, kind) = (word().parse().expect("an OID"), word(), word());
    let place = |name: &str| columns.iter().position(|it| it.name == name).expect("a column");
    let places: Vec<usize> = word().split(", ").map(place).collect();
    let ordered = places.iter().all(|place| {
        let column = &columns[*place];
        column.not_null && crate::types::is_ordered(column.ty)
    });
    let index =
        Index { name, oid, columns: places, unique: kind != "plain", primary: kind == "primary" };
    ordered.then_some(index)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_relation_and_index_has_an_oid_of_its_own() {
        let mut oids = BTreeSet::new();
        for shape in all() {
            assert!(oids.insert(shape.schema.oid), "{:?}", shape.schema.name);
            assert!(!shape.schema.columns.is_empty());
            for (place, index) in shape.schema.indexes.iter().enumerate() {
                assert!(oids.insert(index.oid), "{}", index.name);
                assert!(place == 0 || !index.primary, "the primary key is the first index");
            }
        }
    }
}
