//! Relations and their columns: `pg_class`, `pg_attribute` and what belongs to them.

use crate::catalog::cell::{array, bool, int2, int4, letter, oid, text};
use crate::catalog::comments;
use crate::catalog::functions::sizes::sizes;
use crate::catalog::objects::{Attribute, Class, Objects};
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::state::{BOOTSTRAP_ROLE, GrantRow};
use crate::catalog::table::Rows;
use crate::types::{Datum, PgType};

pub(super) static MAKERS: &[Maker] = &[
    Maker::of_names("pg_namespace", &["oid", "nspname", "nspowner"], namespaces),
    Maker::live("pg_class", CLASS, classes),
    Maker::of_names("pg_attribute", ATTRIBUTE, attributes),
    Maker::of_names("pg_attrdef", &["oid", "adrelid", "adnum", "adbin"], defaults),
    Maker::of_names(
        "pg_description",
        &["objoid", "classoid", "objsubid", "description"],
        descriptions,
    ),
    Maker::of_names(
        "pg_rewrite",
        &["oid", "rulename", "ev_class", "ev_type", "ev_enabled", "is_instead"],
        rules,
    ),
];

fn namespaces(objects: &Objects, rows: &mut Rows<'_>) {
    for schema in &objects.namespaces {
        rows.push([oid(schema.oid), text(&schema.name), oid(BOOTSTRAP_ROLE.1)]);
    }
}

const CLASS: &[&str] = &[
    "oid",
    "relname",
    "relnamespace",
    "relowner",
    "relam",
    "relfilenode",
    "reltuples",
    "relpages",
    "relhasindex",
    "relpersistence",
    "relkind",
    "relnatts",
    "relhasrules",
    "relhastriggers",
    "relispopulated",
    "relreplident",
    "relacl",
];

/// The OIDs of the access methods `heap` and `btree`.
const HEAP: u32 = 2;
const BTREE: u32 = 403;

/// The bytes of a page, as `pg_class.relpages` counts them.
const PAGE_BYTES: i64 = 8192;

fn classes(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    let objects = scope.objects;
    let pages = |oid: u32| {
        let bytes = objects.found(oid).map_or(0, |found| sizes(scope.state, &found).0);
        int4((bytes + PAGE_BYTES - 1) / PAGE_BYTES)
    };
    for class in &objects.classes {
        let namespace = oid(objects.namespace_oid(&class.schema));
        let table = class.kind == b'r';
        rows.push([
            oid(class.oid),
            text(&class.name),
            namespace.clone(),
            oid(class.owner),
            oid(if table { HEAP } else { 0 }),
            oid(if table { class.oid } else { 0 }),
            tuples(class),
            pages(class.oid),
            bool(!class.indexes().is_empty()),
            letter(b'p'),
            letter(class.kind),
            int2(objects.attributes(class).len()),
            bool(!table),
            // psql looks for foreign keys, of either side, only where there are triggers.
            bool(!class.foreign_keys().is_empty() || is_referenced(objects, class)),
            bool(true),
            letter(if table && !class.is_system() { b'd' } else { b'n' }),
            acl(&objects.grants, class),
        ]);
        for index in class.indexes() {
            rows.push([
                oid(index.oid),
                text(index.name),
                namespace.clone(),
                oid(class.owner),
                oid(BTREE),
                oid(index.oid),
                tuples(class),
                pages(index.oid),
                bool(false),
                letter(b'p'),
                letter(b'i'),
                int2(index.columns.len()),
                bool(false),
                bool(false),
                bool(true),
                letter(b'n'),
                Datum::Null,
            ]);
        }
    }
}

/// The number of rows as `reltuples` has it: -1 for a table of which it is not known.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "it is a float in PostgreSQL"
)]
fn tuples(class: &Class) -> Datum {
    Datum::Float4(match class.row_estimate() {
        _ if class.kind != b'r' => 0.0,
        Some(rows) => rows as f32,
        None => -1.0,
    })
}

fn is_referenced(objects: &Objects, class: &Class) -> bool {
    let to_it = |other: &Class| other.foreign_keys().iter().any(|key| key.table == class.name);
    class.schema == crate::catalog::PUBLIC && objects.classes.iter().any(to_it)
}

/// The privileges on a relation as `relacl` has them; null if only its owner has some.
fn acl(grants: &[GrantRow], class: &Class) -> Datum {
    let mut roles: Vec<(&str, Vec<u8>)> = Vec::new();
    let on_it =
        |grant: &&GrantRow| class.schema == crate::catalog::PUBLIC && grant.table == class.name;
    for grant in grants.iter().filter(on_it) {
        let letter = match grant.privilege {
            "INSERT" => b'a',
            "SELECT" => b'r',
            "UPDATE" => b'w',
            _ => b'd',
        };
        match roles.iter_mut().find(|(role, _)| *role == grant.role) {
            Some((_, letters)) => letters.push(letter),
            None => roles.push((&grant.role, vec![letter])),
        }
    }
    if roles.is_empty() {
        return Datum::Null;
    }
    let owner = BOOTSTRAP_ROLE.0;
    let mut items = vec![text(format!("{owner}=arwdDxt/{owner}"))];
    for (role, mut letters) in roles {
        letters.sort_by_key(|letter| b"arwd".iter().position(|it| it == letter));
        letters.dedup();
        let letters = String::from_utf8_lossy(&letters).into_owned();
        let role = if role == "public" { "" } else { role };
        items.push(text(format!("{role}={letters}/{owner}")));
    }
    array(PgType::AclItem, items)
}

const ATTRIBUTE: &[&str] = &[
    "attrelid",
    "attname",
    "atttypid",
    "attstattarget",
    "attlen",
    "attnum",
    "attndims",
    "attcacheoff",
    "atttypmod",
    "attbyval",
    "attalign",
    "attstorage",
    "attnotnull",
    "atthasdef",
    "attislocal",
    "attcollation",
];

fn attributes(objects: &Objects, rows: &mut Rows<'_>) {
    for class in &objects.classes {
        let attributes = objects.attributes(class);
        for (place, attribute) in attributes.iter().enumerate() {
            push_attribute(rows, class.oid, place, attribute, attribute.not_null);
        }
        for index in class.indexes() {
            for (place, column) in index.columns.iter().enumerate() {
                let attribute = Attribute { default: None, ..attributes[*column].clone() };
                push_attribute(rows, index.oid, place, &attribute, false);
            }
        }
    }
}

fn push_attribute(
    rows: &mut Rows<'_>,
    relation: u32,
    place: usize,
    attribute: &Attribute,
    not_null: bool,
) {
    let ty = attribute.ty.row();
    rows.push([
        oid(relation),
        text(&attribute.name),
        oid(attribute.ty.oid()),
        int4(-1),
        int2(ty.length),
        int2(place + 1),
        int4(i32::from(attribute.ty.is_array())),
        int4(-1),
        int4(attribute.typmod),
        bool(ty.by_value),
        letter(ty.align),
        letter(ty.storage),
        bool(not_null),
        bool(attribute.default.is_some()),
        bool(true),
        oid(ty.collation),
    ]);
}

/// The OID of a column's default: its relation's and its number, which no other default shares.
fn default_oid(class: &Class, place: usize) -> u32 {
    let number = u32::try_from(place).expect("a relation has few columns");
    class.oid.wrapping_mul(64).wrapping_add(number)
}

fn defaults(objects: &Objects, rows: &mut Rows<'_>) {
    for class in &objects.classes {
        for (place, attribute) in objects.attributes(class).iter().enumerate() {
            let Some(default) = attribute.default else { continue };
            rows.push([
                oid(default_oid(class, place)),
                oid(class.oid),
                int2(place + 1),
                text(default),
            ]);
        }
    }
}

/// The OIDs of `pg_class` and `pg_namespace` themselves, as `classoid` names them.
const PG_CLASS: u32 = 1259;
const PG_NAMESPACE: u32 = 2615;

fn descriptions(objects: &Objects, rows: &mut Rows<'_>) {
    for class in &objects.classes {
        if let Some(comment) = class.comment() {
            rows.push([oid(class.oid), oid(PG_CLASS), int4(0), text(comment)]);
        }
        for (place, attribute) in objects.attributes(class).iter().enumerate() {
            if let Some(comment) = comments::of_column(class, &attribute.name) {
                rows.push([oid(class.oid), oid(PG_CLASS), int4(place + 1), text(comment)]);
            }
        }
    }
    for schema in objects.namespaces.iter().filter(|schema| !schema.comment.is_empty()) {
        rows.push([oid(schema.oid), oid(PG_NAMESPACE), int4(0), text(schema.comment)]);
    }
}

/// A view is a rule `_RETURN`, as in PostgreSQL.
fn rules(objects: &Objects, rows: &mut Rows<'_>) {
    for class in objects.classes.iter().filter(|class| class.kind == b'v') {
        rows.push([
            oid(class.oid),
            text("_RETURN"),
            oid(class.oid),
            letter(b'1'),
            letter(b'O'),
            bool(true),
        ]);
    }
}
