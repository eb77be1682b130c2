//! The session and the server: settings, search path, process, recovery.

use super::system;
use crate::catalog::Stop;
use crate::catalog::cell::array;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(89, "version", &[], Text, |c, _| Ok(Datum::text(version(c)))).stable(),
    f(861, "current_database", &[], Name, |c, _| Ok(Datum::text(&c.exec.settings.database))).stable(),
    f(745, "current_user", &[], Name, |c, _| Ok(Datum::text(&c.exec.settings.user))).stable(),
    f(746, "session_user", &[], Name, |c, _| Ok(Datum::text(&c.exec.settings.user))).stable(),
    f(710, "getpgusername", &[], Name, |c, _| Ok(Datum::text(&c.exec.settings.user))).stable(),
    f(1402, "current_schema", &[], Name, |c, _| Ok(searched(c, false).into_iter().next().unwrap_or_default())).stable(),
    f(1403, "current_schemas", &[Bool], NameArray, |c, a| Ok(array(Name, searched(c, a.bool(0)?)))).stable(),
    f(2077, "current_setting", &[Text], Text, |c, a| setting(c, a.text(0)?).ok_or_else(|| unknown(a))).stable(),
    f(3294, "current_setting", &[Text, Bool], Text, |c, a| match setting(c, a.text(0)?) {
        None if !a.bool(1)? => Err(unknown(a)),
        found => Ok(found.unwrap_or_default()),
    }).stable(),
    f(2078, "set_config", &[Text, Text, Bool], Text, set_config).volatile().lax(),
    f(2026, "pg_backend_pid", &[], Int4, |c, _| Ok(Datum::Int4(c.exec.settings.backend_pid))).stable(),
    f(810, "pg_client_encoding", &[], Name, |_, _| Ok(Datum::text("UTF8"))).stable(),
    f(1039, "getdatabaseencoding", &[], Name, |_, _| Ok(Datum::text("UTF8"))).stable(),
    f(1597, "pg_encoding_to_char", &[Int4], Name, |_, a| {
        Ok(Datum::text(match a.int4(0)? { 0 => "SQL_ASCII", 6 => "UTF8", 8 => "LATIN1", _ => "" }))
    }).stable(),
    f(1264, "pg_char_to_encoding", &[Name], Int4, |_, a| {
        let name: String = a.text(0)?.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        Ok(Datum::Int4(match name.as_str() { "sqlascii" => 0, "utf8" | "unicode" => 6, "latin1" | "iso88591" => 8, _ => -1 }))
    }).stable(),
    f(2319, "pg_encoding_max_length", &[Int4], Int4, |_, a| {
        Ok(match a.int4(0)? { 0 | 8 => Datum::Int4(1), 6 => Datum::Int4(4), _ => Datum::Null })
    }),
    f(3810, "pg_is_in_recovery", &[], Bool, |c, _| Ok(Datum::Bool(system(c).state().is_replica()))).volatile(),
    f(3073, "pg_is_wal_replay_paused", &[], Bool, |_, _| Ok(Datum::Bool(false))).volatile(),
    f(2560, "pg_postmaster_start_time", &[], TimestampTz, |c, _| Ok(Datum::TimestampTz(system(c).state().started_at()))).stable(),
    f(2034, "pg_conf_load_time", &[], TimestampTz, |c, _| Ok(Datum::TimestampTz(system(c).state().started_at()))).stable(),
    f(2621, "pg_reload_conf", &[], Bool, |_, _| Ok(Datum::Bool(true))).volatile(),
    f(315, "pg_jit_available", &[], Bool, |_, _| Ok(Datum::Bool(false))).volatile(),
    f(2943, "txid_current", &[], Int8, |c, _| Ok(Datum::Int8(c.exec.transaction_time))).stable(),
    f(5059, "pg_current_xact_id", &[], Xid8, |c, _| Ok(Datum::Int8(c.exec.transaction_time))).stable(),
    f(3348, "txid_current_if_assigned", &[], Int8, |_, _| Ok(Datum::Null)).stable(),
    f(5060, "pg_current_xact_id_if_assigned", &[], Xid8, |_, _| Ok(Datum::Null)).stable(),
    f(1181, "age", &[Xid], Int4, |_, _| Ok(Datum::Int4(0))).stable(),
    f(3939, "mxid_age", &[Xid], Int4, |_, _| Ok(Datum::Int4(0))).stable(),
    f(2196, "inet_client_addr", &[], Text, |c, _| Ok(client(c, 0))).stable(),
    f(2197, "inet_client_port", &[], Int4, |c, _| Ok(client(c, 1))).stable(),
    f(2198, "inet_server_addr", &[], Text, |c, _| Ok(system(c).state().listening().map_or(Datum::Null, |(address, _)| Datum::text(address)))).stable(),
    f(2199, "inet_server_port", &[], Int4, |c, _| Ok(system(c).state().listening().map_or(Datum::Null, |(_, port)| Datum::Int4(port)))).stable(),
    f(2171, "pg_cancel_backend", &[Int4], Bool, |c, a| stop(c, a.int4(0)?, Stop::Statement)).volatile(),
    f(2096, "pg_terminate_backend", &[Int4, Int8], Bool, |c, a| stop(c, a.int4(0)?, Stop::Session)).volatile(),
    f(0, "pg_terminate_backend", &[Int4], Bool, |c, a| stop(c, a.int4(0)?, Stop::Session)).volatile(),
    f(3376, "pg_safe_snapshot_blocking_pids", &[Int4], Int4Array, |_, _| Ok(array(Int4, Vec::new()))).volatile(),
    f(2854, "pg_my_temp_schema", &[], Oid, |_, _| Ok(Datum::Oid(0))).stable(),
    f(2855, "pg_is_other_temp_schema", &[Oid], Bool, |_, _| Ok(Datum::Bool(false))).stable(),
    f(3163, "pg_trigger_depth", &[], Int4, |_, _| Ok(Datum::Int4(0))).stable(),
    f(2230, "pg_stat_clear_snapshot", &[], Void, |_, _| Ok(Datum::Null)).volatile(),
    f(3036, "pg_notify", &[Text, Text], Void, notify).volatile().lax(),
    f(3296, "pg_notification_queue_usage", &[], Float8, |_, _| Ok(Datum::Float8(0.0))).volatile(),
    f(3800, "pg_current_logfile", &[], Text, |_, _| Ok(Datum::Null)).volatile(),
    f(3830, "pg_last_xact_replay_timestamp", &[], TimestampTz, |_, _| Ok(Datum::Null)).volatile(),
];

/// PostgreSQL's form, which tools take apart, with our name in it.
fn version(context: &EvalContext<'_>) -> String {
    let postgres = context.exec.settings.all.get("server_version").map_or("15.0", String::as_str);
    let (ours, architecture, system) =
        (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    format!("PostgreSQL {postgres} (Rotabase {ours}) on {architecture}-{system}, 64-bit")
}

/// The schemas that unqualified names are looked up in, as far as they exist.
fn searched(context: &EvalContext<'_>, implicit: bool) -> Vec<Datum> {
    let objects = super::objects(context);
    let path = &context.exec.settings.search_path;
    let catalog =
        (implicit && !path.iter().any(|schema| schema == "pg_catalog")).then_some("pg_catalog");
    let path = path.iter().map(String::as_str).filter(|schema| objects.namespace_oid(schema) != 0);
    catalog.into_iter().chain(path).map(Datum::text).collect()
}

fn setting(context: &EvalContext<'_>, name: &str) -> Option<Datum> {
    let (settings, name) = (&context.exec.settings, name.to_lowercase());
    let requested = settings.requested.value(&name);
    requested.or_else(|| settings.all.get(&name).cloned()).map(Datum::text)
}

fn unknown(a: &[Datum]) -> SqlError {
    let name = a.text(0).unwrap_or_default();
    let message = format!("unrecognized configuration parameter \"{name}\"");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

/// Asks the session to change a setting when the statement is done; a null value returns it to its default.
fn set_config(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    if a.null(0) {
        let message = "SET requires parameter name";
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    let name = a.text(0)?.to_lowercase();
    if !name.contains('.') && !context.exec.settings.all.contains_key(&name) {
        return Err(unknown(a));
    }
    let value = if a.null(1) {
        None
    } else {
        let settings = &context.exec.settings;
        Some(system(context).state().normalised_setting(&name, a.text(1)?, settings)?)
    };
    let local = !a.null(2) && a.bool(2)?;
    context.exec.settings.requested.request(name, value.clone(), local)?;
    Ok(value.map_or(Datum::Null, Datum::text))
}

/// Asks the session to send a notification when the transaction commits.
fn notify(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let text = |at: usize| if a.null(at) { Ok("") } else { a.text(at) };
    context.exec.settings.notifications.request(text(0)?, text(1)?)?;
    Ok(Datum::Null)
}

/// The client's address (0) or port (1).
fn client(context: &EvalContext<'_>, part: usize) -> Datum {
    let pid = context.exec.settings.backend_pid;
    let sessions = system(context).state().sessions();
    let Some(session) = sessions.into_iter().find(|session| session.pid == pid) else {
        return Datum::Null;
    };
    match part {
        0 => session.client_address.map_or(Datum::Null, Datum::text),
        _ => session.client_port.map_or(Datum::Null, Datum::Int4),
    }
}

/// Stops another session of the same user, or anyone's as an administrator.
fn stop(context: &EvalContext<'_>, pid: i32, how: Stop) -> Result<Datum> {
    let (state, user) = (system(context).state(), &context.exec.settings.user);
    let sessions = state.sessions();
    let Some(session) = sessions.iter().find(|session| session.pid == pid) else {
        return Ok(Datum::Bool(false));
    };
    if session.user != *user && !crate::catalog::privileges::is_superuser(state, user) {
        let what = if how == Stop::Statement { "cancel query" } else { "terminate process" };
        let message = format!("must be a member of the role whose {what} is asked for");
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
    }
    Ok(Datum::Bool(state.stop_session(pid, how)))
}
