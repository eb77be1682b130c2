//! Schemas, tables and views.

use super::{database, visible};
use crate::catalog::cell::{text, yes_or_no};
use crate::catalog::definitions;
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::state::BOOTSTRAP_ROLE;
use crate::catalog::table::Rows;

pub(super) static MAKERS: &[Maker] = &[
    Maker::live("information_schema_catalog_name", &["catalog_name"], |scope, rows| {
        rows.push([database(scope)]);
    }),
    Maker::live("schemata", &["catalog_name", "schema_name", "schema_owner"], schemata),
    Maker::live(
        "tables",
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "table_type",
            "is_insertable_into",
            "is_typed",
        ],
        tables,
    ),
    Maker::live("views", VIEW, views),
];

fn schemata(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for schema in &scope.objects.namespaces {
        rows.push([database(scope), text(&schema.name), text(BOOTSTRAP_ROLE.0)]);
    }
}

fn tables(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in visible(scope) {
        rows.push([
            database(scope),
            text(&class.schema),
            text(&class.name),
            text(if class.kind == b'r' { "BASE TABLE" } else { "VIEW" }),
            yes_or_no(class.is_writable()),
            yes_or_no(false),
        ]);
    }
}

const VIEW: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "view_definition",
    "check_option",
    "is_updatable",
    "is_insertable_into",
    "is_trigger_updatable",
    "is_trigger_deletable",
    "is_trigger_insertable_into",
];

fn views(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in visible(scope).into_iter().filter(|class| class.kind == b'v') {
        let no = || yes_or_no(false);
        rows.push([
            database(scope),
            text(&class.schema),
            text(&class.name),
            text(definitions::view(scope.objects, class)),
            text("NONE"),
            no(),
            no(),
            no(),
            no(),
            no(),
        ]);
    }
}
