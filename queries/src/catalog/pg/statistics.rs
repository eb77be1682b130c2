//! Statistics: few are kept, but tools expect a row for each table.

use super::roles::DATABASE_OID;
use crate::catalog::cell::{int4, int8, oid, text};
use crate::catalog::objects::Class;
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::table::Rows;
use crate::types::Datum;

const TABLE: &[&str] =
    &["relid", "schemaname", "relname", "seq_scan", "seq_tup_read", "n_live_tup", "n_dead_tup"];
const INDEX: &[&str] = &[
    "relid",
    "indexrelid",
    "schemaname",
    "relname",
    "indexrelname",
    "idx_scan",
    "idx_tup_read",
    "idx_tup_fetch",
];

pub(super) static MAKERS: &[Maker] = &[
    Maker::live("pg_stat_all_tables", TABLE, |scope, rows| tables(scope, rows, |_| true)),
    Maker::live("pg_stat_user_tables", TABLE, |scope, rows| tables(scope, rows, is_user)),
    Maker::live("pg_stat_sys_tables", TABLE, |scope, rows| tables(scope, rows, |it| !is_user(it))),
    Maker::live("pg_stat_user_indexes", INDEX, |scope, rows| indexes(scope, rows, is_user)),
    Maker::live("pg_stat_all_indexes", INDEX, |scope, rows| indexes(scope, rows, |_| true)),
    Maker::live("pg_stat_database", &["datid", "datname", "numbackends"], |scope, rows| {
        let sessions = scope.state.sessions().len();
        rows.push([oid(DATABASE_OID), text(&scope.settings.database), int4(sessions)]);
    }),
];

fn is_user(class: &Class) -> bool {
    !class.is_system()
}

fn tables(scope: &Scope<'_>, rows: &mut Rows<'_>, keep: fn(&Class) -> bool) {
    let tables = scope.objects.classes.iter().filter(|class| class.kind == b'r' && keep(class));
    for class in tables {
        rows.push([
            oid(class.oid),
            text(&class.schema),
            text(&class.name),
            int8(0),
            int8(0),
            scope.state.row_estimate(class.oid).map_or(Datum::Int8(0), int8),
            int8(0),
        ]);
    }
}

fn indexes(scope: &Scope<'_>, rows: &mut Rows<'_>, keep: fn(&Class) -> bool) {
    for class in scope.objects.classes.iter().filter(|class| keep(class)) {
        for index in class.indexes() {
            rows.push([
                oid(class.oid),
                oid(index.oid),
                text(&class.schema),
                text(&class.name),
                text(index.name),
                int8(0),
                int8(0),
                int8(0),
            ]);
        }
    }
}
