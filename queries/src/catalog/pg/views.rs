//! `pg_tables`, `pg_views` and `pg_indexes`.

use crate::catalog::cell::{bool, text, text_or_null};
use crate::catalog::definitions;
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::state::{BOOTSTRAP_ROLE, role_oid};
use crate::catalog::table::Rows;
use crate::types::Datum;

pub(super) static MAKERS: &[Maker] = &[
    Maker::live(
        "pg_tables",
        &[
            "schemaname",
            "tablename",
            "tableowner",
            "hasindexes",
            "hasrules",
            "hastriggers",
            "rowsecurity",
        ],
        tables,
    ),
    Maker::live("pg_views", &["schemaname", "viewname", "viewowner", "definition"], views),
    Maker::of_names(
        "pg_indexes",
        &["schemaname", "tablename", "indexname", "tablespace", "indexdef"],
        |objects, rows| {
            for class in &objects.classes {
                for index in class.indexes() {
                    rows.push([
                        text(&class.schema),
                        text(&class.name),
                        text(index.name),
                        Datum::Null,
                        text_or_null(definitions::index(objects, index.oid)),
                    ]);
                }
            }
        },
    ),
];

/// The names of the owners, by OID.
fn owner(scope: &Scope<'_>, owner: u32) -> Datum {
    if owner == BOOTSTRAP_ROLE.1 {
        return text(BOOTSTRAP_ROLE.0);
    }
    let mut roles = scope.state.roles().into_iter();
    text_or_null(roles.find(|role| role_oid(&role.name) == owner).map(|role| role.name))
}

fn tables(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in scope.objects.classes.iter().filter(|class| class.kind == b'r') {
        rows.push([
            text(&class.schema),
            text(&class.name),
            owner(scope, class.owner),
            bool(!class.indexes().is_empty()),
            bool(false),
            bool(!class.foreign_keys().is_empty()),
            bool(false),
        ]);
    }
}

fn views(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in scope.objects.classes.iter().filter(|class| class.kind == b'v') {
        rows.push([
            text(&class.schema),
            text(&class.name),
            owner(scope, class.owner),
            text(definitions::view(scope.objects, class)),
        ]);
    }
}
