//! Statistics: few are kept, but tools expect a row for each table. What is not counted is zero.

use super::roles::DATABASE_OID;
use crate::catalog::cell::{bool, int4, int8, nothing, oid, text};
use crate::catalog::objects::Class;
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::table::Rows;
use crate::types::{Datum, PgType};

const TABLE: &[&str] = &[
    "relid",
    "schemaname",
    "relname",
    "n_live_tup",
    "seq_scan",
    "seq_tup_read",
    "idx_scan",
    "idx_tup_fetch",
    "n_tup_ins",
    "n_tup_upd",
    "n_tup_del",
    "n_tup_hot_upd",
    "n_dead_tup",
    "n_mod_since_analyze",
    "n_ins_since_vacuum",
    "vacuum_count",
    "autovacuum_count",
    "analyze_count",
    "autoanalyze_count",
];
const TABLE_IO: &[&str] = &[
    "relid",
    "schemaname",
    "relname",
    "heap_blks_read",
    "heap_blks_hit",
    "idx_blks_read",
    "idx_blks_hit",
];
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
const INDEX_IO: &[&str] = &[
    "relid",
    "indexrelid",
    "schemaname",
    "relname",
    "indexrelname",
    "idx_blks_read",
    "idx_blks_hit",
];
const DATABASE: &[&str] = &[
    "datid",
    "datname",
    "numbackends",
    "xact_commit",
    "xact_rollback",
    "sessions",
    "blks_read",
    "blks_hit",
    "tup_returned",
    "tup_fetched",
    "tup_inserted",
    "tup_updated",
    "tup_deleted",
    "conflicts",
    "temp_files",
    "temp_bytes",
    "deadlocks",
    "blk_read_time",
    "blk_write_time",
    "session_time",
    "active_time",
    "idle_in_transaction_time",
    "sessions_abandoned",
    "sessions_fatal",
    "sessions_killed",
];
const LOCK: &[&str] = &[
    "locktype",
    "database",
    "classid",
    "objid",
    "objsubid",
    "virtualtransaction",
    "pid",
    "mode",
    "granted",
    "fastpath",
];

pub(super) static MAKERS: &[Maker] = &[
    Maker::live("pg_stat_all_tables", TABLE, |scope, rows| tables(scope, rows, |_| true)),
    Maker::live("pg_stat_user_tables", TABLE, |scope, rows| tables(scope, rows, is_user)),
    Maker::live("pg_stat_sys_tables", TABLE, |scope, rows| tables(scope, rows, |it| !is_user(it))),
    Maker::live("pg_statio_all_tables", TABLE_IO, |scope, rows| tables_io(scope, rows, |_| true)),
    Maker::live("pg_statio_user_tables", TABLE_IO, |scope, rows| tables_io(scope, rows, is_user)),
    Maker::live("pg_stat_user_indexes", INDEX, |scope, rows| indexes(scope, rows, is_user, 3)),
    Maker::live("pg_stat_all_indexes", INDEX, |scope, rows| indexes(scope, rows, |_| true, 3)),
    Maker::live("pg_statio_user_indexes", INDEX_IO, |scope, rows| indexes(scope, rows, is_user, 2)),
    Maker::live("pg_statio_all_indexes", INDEX_IO, |scope, rows| indexes(scope, rows, |_| true, 2)),
    Maker::live("pg_stat_database", DATABASE, databases),
    Maker::live("pg_locks", LOCK, locks),
];

fn is_user(class: &Class) -> bool {
    !class.is_system()
}

fn kept<'a>(scope: &Scope<'a>, keep: fn(&Class) -> bool) -> impl Iterator<Item = &'a Class> {
    scope.objects.classes.iter().filter(move |class| class.kind == b'r' && keep(class))
}

fn tables(scope: &Scope<'_>, rows: &mut Rows<'_>, keep: fn(&Class) -> bool) {
    for class in kept(scope, keep) {
        let mut row = vec![
            oid(class.oid),
            text(&class.schema),
            text(&class.name),
            int8(class.row_estimate().unwrap_or(0)),
        ];
        row.resize(TABLE.len(), int8(0));
        rows.push_row(row);
    }
}

fn tables_io(scope: &Scope<'_>, rows: &mut Rows<'_>, keep: fn(&Class) -> bool) {
    for class in kept(scope, keep) {
        let mut row = vec![oid(class.oid), text(&class.schema), text(&class.name)];
        row.resize(TABLE_IO.len(), int8(0));
        rows.push_row(row);
    }
}

fn indexes(scope: &Scope<'_>, rows: &mut Rows<'_>, keep: fn(&Class) -> bool, counts: usize) {
    for class in scope.objects.classes.iter().filter(|class| keep(class)) {
        for index in class.indexes() {
            let mut row = vec![
                oid(class.oid),
                oid(index.oid),
                text(&class.schema),
                text(&class.name),
                text(index.name),
            ];
            row.resize(row.len() + counts, int8(0));
            rows.push_row(row);
        }
    }
}

fn databases(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    let activity = scope.state.activity();
    let mut row = vec![
        oid(DATABASE_OID),
        text(&scope.settings.database),
        int4(scope.state.sessions().len()),
        int8(activity.committed),
        int8(activity.rolled_back),
        int8(activity.sessions),
    ];
    row.extend(
        DATABASE[row.len()..].iter().map(|name| {
            nothing(if name.ends_with("_time") { PgType::Float8 } else { PgType::Int8 })
        }),
    );
    rows.push_row(row);
}

/// Nothing but advisory locks is ever locked.
fn locks(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for lock in scope.state.advisory_locks() {
        rows.push([
            text("advisory"),
            oid(DATABASE_OID),
            oid(lock.key.class),
            oid(lock.key.object),
            Datum::Int2(lock.key.kind),
            text(format!("{}/1", lock.pid)),
            int4(lock.pid),
            text(if lock.shared { "ShareLock" } else { "ExclusiveLock" }),
            bool(lock.granted),
            bool(false),
        ]);
    }
}
