//! Indexes and constraints.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::catalog::cell::{
    array, bool, column_numbers, column_vector, int2, letter, oid, oids, text,
};
use crate::catalog::objects::{Class, Objects};
use crate::catalog::relation::Maker;
use crate::catalog::static_rows;
use crate::catalog::table::Rows;
use crate::relation::Index;
use crate::types::{ArrayValue, Datum, PgType};

pub(super) static MAKERS: &[Maker] = &[
    Maker::of_names("pg_index", INDEX, indexes),
    Maker::of_names("pg_constraint", CONSTRAINT, constraints),
];

const INDEX: &[&str] = &[
    "indexrelid",
    "indrelid",
    "indnatts",
    "indnkeyatts",
    "indisunique",
    "indisprimary",
    "indimmediate",
    "indisvalid",
    "indisready",
    "indislive",
    "indkey",
    "indcollation",
    "indclass",
    "indoption",
];

fn indexes(objects: &Objects, rows: &mut Rows<'_>) {
    for class in &objects.classes {
        let attributes = objects.attributes(class);
        for index in class.indexes() {
            let types: Vec<PgType> = index.columns.iter().map(|it| attributes[*it].ty).collect();
            let options = vec![Datum::Int2(0); types.len()];
            let options = ArrayValue {
                element: PgType::Int2,
                dimensions: vec![(types.len(), 0)],
                elements: options,
            };
            rows.push([
                oid(index.oid),
                oid(class.oid),
                int2(types.len()),
                int2(types.len()),
                bool(index.unique),
                bool(index.primary),
                bool(true),
                bool(true),
                bool(true),
                bool(true),
                column_vector(&index.columns),
                oids(types.iter().map(|ty| ty.row().collation)),
                oids(types.iter().map(|ty| operator_class(*ty))),
                Datum::Array(options.into()),
            ]);
        }
    }
}

/// The default btree operator class of each type, by OIDs.
static OPERATOR_CLASSES: LazyLock<BTreeMap<u32, u32>> = LazyLock::new(|| {
    let mut classes = BTreeMap::new();
    for line in static_rows::of("pg_opclass") {
        // oid, opcmethod, opcname, opcnamespace, opcowner, opcfamily, opcintype, opcdefault, opckeytype
        let fields: Vec<&str> = line.split('\t').collect();
        if fields[1] == "403" && fields[7] == "true" {
            let number = |field: &str| field.parse().expect("an OID");
            classes.insert(number(fields[6]), number(fields[0]));
        }
    }
    classes
});

/// The default btree operator class of a type, 0 if it has none.
fn operator_class(ty: PgType) -> u32 {
    let ty = if ty == PgType::Varchar { PgType::Text } else { ty };
    let any = if ty.is_array() { PgType::AnyArray } else { ty };
    OPERATOR_CLASSES.get(&ty.oid()).or_else(|| OPERATOR_CLASSES.get(&any.oid())).map_or(0, |it| *it)
}

const CONSTRAINT: &[&str] = &[
    "oid",
    "conname",
    "connamespace",
    "contype",
    "convalidated",
    "conrelid",
    "conindid",
    "confrelid",
    "confupdtype",
    "confdeltype",
    "confmatchtype",
    "conislocal",
    "connoinherit",
    "conkey",
    "confkey",
    "conpfeqop",
    "conppeqop",
    "conffeqop",
];

fn constraints(objects: &Objects, rows: &mut Rows<'_>) {
    for class in &objects.classes {
        if let Some(index) = class.primary_key() {
            primary_key(objects, class, index, rows);
        }
        foreign_keys(objects, class, rows);
    }
}

/// A key's constraint has the OID of its index; there are no two constraints with one OID.
fn primary_key(objects: &Objects, class: &Class, index: &Index, rows: &mut Rows<'_>) {
    rows.push([
        oid(index.oid),
        text(index.name),
        oid(objects.namespace_oid(&class.schema)),
        letter(b'p'),
        bool(true),
        oid(class.oid),
        oid(index.oid),
        oid(0),
        letter(b' '),
        letter(b' '),
        letter(b' '),
        bool(true),
        bool(true),
        column_numbers(&index.columns),
        Datum::Null,
        Datum::Null,
        Datum::Null,
        Datum::Null,
    ]);
}

/// Removing a rotation sets what referred to it to null: that is what the commands do.
fn foreign_keys(objects: &Objects, class: &Class, rows: &mut Rows<'_>) {
    for key in class.foreign_keys() {
        let Some(referenced) = objects.public(key.table) else { continue };
        let attributes = objects.attributes(class);
        let equality = |column: &usize| {
            let ty = attributes[*column].ty;
            crate::types::functions::resolve_operator("=", Some(ty), ty)
                .map_or(Datum::Null, |resolved| oid(resolved.operator.oid))
        };
        let operators = array(PgType::Oid, key.columns.iter().map(equality).collect());
        rows.push([
            oid(key.oid),
            text(key.name),
            oid(objects.namespace_oid(&class.schema)),
            letter(b'f'),
            bool(true),
            oid(class.oid),
            oid(referenced.primary_key().map_or(0, |index| index.oid)),
            oid(referenced.oid),
            letter(b'a'),
            letter(b'n'),
            letter(b's'),
            bool(true),
            bool(true),
            column_numbers(&key.columns),
            column_numbers(&key.referenced),
            operators.clone(),
            operators.clone(),
            operators,
        ]);
    }
}
