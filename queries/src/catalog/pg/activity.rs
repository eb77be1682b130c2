//! Sessions, settings, running COPYs and time zones.

use super::roles::DATABASE_OID;
use crate::catalog::cell::{array, bool, int4, int8, oid, text, text_or_null, time};
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::setting_unit::{SettingUnit, read_integer};
use crate::catalog::state::{SettingRow, role_oid};
use crate::catalog::table::Rows;
use crate::types::datetime::zone;
use crate::types::{Datum, Interval, PgType};

pub(super) static MAKERS: &[Maker] = &[
    Maker::live("pg_stat_activity", ACTIVITY, sessions),
    Maker::live("pg_stat_progress_copy", COPY, copies),
    Maker::live("pg_settings", SETTING, settings),
    Maker::live("pg_timezone_names", &["name", "abbrev", "utc_offset", "is_dst"], zones),
];

const ACTIVITY: &[&str] = &[
    "datid",
    "datname",
    "pid",
    "usesysid",
    "usename",
    "application_name",
    "client_addr",
    "client_port",
    "backend_start",
    "xact_start",
    "query_start",
    "state_change",
    "wait_event_type",
    "wait_event",
    "state",
    "query",
    "backend_type",
];

fn sessions(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for session in scope.state.sessions() {
        let waiting = |word| if session.state == "active" { Datum::Null } else { text(word) };
        rows.push([
            oid(DATABASE_OID),
            text(&session.database),
            int4(session.pid),
            oid(role_oid(&session.user)),
            text(&session.user),
            text(&session.application_name),
            text_or_null(session.client_address.as_deref()),
            int4(session.client_port.unwrap_or(-1)),
            Datum::TimestampTz(session.connected_at),
            time(session.transaction_start),
            time(session.query_start),
            time(session.state_change),
            waiting("Client"),
            waiting("ClientRead"),
            text(&session.state),
            text(&session.query),
            text("client backend"),
        ]);
    }
}

const COPY: &[&str] = &[
    "pid",
    "datid",
    "datname",
    "relid",
    "command",
    "type",
    "bytes_processed",
    "bytes_total",
    "tuples_processed",
    "tuples_excluded",
];

fn copies(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for copy in scope.state.copies() {
        rows.push([
            int4(copy.pid),
            oid(DATABASE_OID),
            text(&copy.database),
            oid(copy.relation),
            text(copy.command),
            text("PIPE"),
            int8(copy.bytes_processed),
            int8(copy.bytes_total),
            int8(copy.tuples_processed),
            int8(copy.tuples_excluded),
        ]);
    }
}

const SETTING: &[&str] = &[
    "name",
    "setting",
    "unit",
    "category",
    "short_desc",
    "context",
    "vartype",
    "source",
    "min_val",
    "max_val",
    "enumvals",
    "boot_val",
    "reset_val",
    "pending_restart",
];

fn settings(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for row in described_settings(scope) {
        let value = scope.settings.all.get(&row.name.to_lowercase()).unwrap_or(&row.default);
        let bound = |bound: i64| text(bound.to_string());
        let (least, greatest) = row
            .range
            .map_or((Datum::Null, Datum::Null), |(least, most)| (bound(least), bound(most)));
        let words = if row.words.is_empty() {
            Datum::Null
        } else {
            array(PgType::Text, row.words.iter().map(text).collect())
        };
        let ours = row.name.starts_with("rotabase.");
        rows.push([
            text(&row.name),
            text(number(value, row.unit)),
            text_or_null(row.unit.map(SettingUnit::name)),
            text(if ours { "Rotabase" } else { "PostgreSQL" }),
            text(&row.description),
            text(if row.changeable { "user" } else { "internal" }),
            text(row.kind),
            text(if *value == row.default { "default" } else { "session" }),
            least,
            greatest,
            words,
            text(number(&row.default, row.unit)),
            text(number(&row.default, row.unit)),
            bool(false),
        ]);
    }
}

/// A value without its unit: `pg_settings` has units in a column of their own.
fn number(value: &str, unit: Option<SettingUnit>) -> String {
    let plain = unit.and_then(|_| read_integer(value, unit).ok());
    plain.map_or_else(|| value.to_owned(), |number| number.to_string())
}

/// All settings in the order of their names: those that are described, then those that have a value only.
pub(in crate::catalog) fn described_settings(scope: &Scope<'_>) -> Vec<SettingRow> {
    let mut settings = scope.state.settings();
    for (name, value) in &*scope.settings.all {
        if !settings.iter().any(|row| row.name.eq_ignore_ascii_case(name)) {
            settings.push(SettingRow {
                name: name.clone(),
                kind: "string",
                default: value.clone(),
                changeable: true,
                ..SettingRow::default()
            });
        }
    }
    settings.sort_by_key(|row| row.name.to_lowercase());
    settings
}

fn zones(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for row in time_zones(scope.context.transaction_time) {
        rows.push(row);
    }
}

/// Every time zone with its abbreviation, its offset at a time, and whether it has summer time then.
pub(in crate::catalog) fn time_zones(time: i64) -> Vec<[Datum; 4]> {
    let mut names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    names.sort();
    let row = |name: String| {
        let found = zone::find(&name)?;
        let (abbreviation, summer) = zone::abbreviation_at(&found, time);
        let offset = zone::offset_at(&found, time);
        let offset = Interval { microseconds: offset, ..Interval::default() };
        Some([text(name), text(abbreviation), Datum::Interval(offset), bool(summer)])
    };
    names.into_iter().filter_map(row).collect()
}
