//! Advisory locks: what sessions of this node agree on between themselves.

use std::time::Duration;

use super::super::advisory::{AdvisoryKey, AdvisoryLock};
use super::super::setting_unit::{SettingUnit, read_integer};
use super::system;
use crate::catalog::cell::{array, int4};
use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// Whether a function locks for others too, and until the transaction ends.
const EXCLUSIVE: (bool, bool) = (false, false);
const SHARED: (bool, bool) = (true, false);
const EXCLUSIVE_IN_TRANSACTION: (bool, bool) = (false, true);
const SHARED_IN_TRANSACTION: (bool, bool) = (true, true);

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(2880, "pg_advisory_lock", &[Int8], Void, |c, a| wait(c, a, EXCLUSIVE)).volatile(),
    f(2881, "pg_advisory_lock_shared", &[Int8], Void, |c, a| wait(c, a, SHARED)).volatile(),
    f(3089, "pg_advisory_xact_lock", &[Int8], Void, |c, a| wait(c, a, EXCLUSIVE_IN_TRANSACTION)).volatile(),
    f(3090, "pg_advisory_xact_lock_shared", &[Int8], Void, |c, a| wait(c, a, SHARED_IN_TRANSACTION)).volatile(),
    f(2882, "pg_try_advisory_lock", &[Int8], Bool, |c, a| attempt(c, a, EXCLUSIVE)).volatile(),
    f(2883, "pg_try_advisory_lock_shared", &[Int8], Bool, |c, a| attempt(c, a, SHARED)).volatile(),
    f(3091, "pg_try_advisory_xact_lock", &[Int8], Bool, |c, a| attempt(c, a, EXCLUSIVE_IN_TRANSACTION)).volatile(),
    f(3092, "pg_try_advisory_xact_lock_shared", &[Int8], Bool, |c, a| attempt(c, a, SHARED_IN_TRANSACTION)).volatile(),
    f(2884, "pg_advisory_unlock", &[Int8], Bool, |c, a| unlock(c, a, EXCLUSIVE)).volatile(),
    f(2885, "pg_advisory_unlock_shared", &[Int8], Bool, |c, a| unlock(c, a, SHARED)).volatile(),
    f(2886, "pg_advisory_lock", &[Int4, Int4], Void, |c, a| wait(c, a, EXCLUSIVE)).volatile(),
    f(2887, "pg_advisory_lock_shared", &[Int4, Int4], Void, |c, a| wait(c, a, SHARED)).volatile(),
    f(3093, "pg_advisory_xact_lock", &[Int4, Int4], Void, |c, a| wait(c, a, EXCLUSIVE_IN_TRANSACTION)).volatile(),
    f(3094, "pg_advisory_xact_lock_shared", &[Int4, Int4], Void, |c, a| wait(c, a, SHARED_IN_TRANSACTION)).volatile(),
    f(2888, "pg_try_advisory_lock", &[Int4, Int4], Bool, |c, a| attempt(c, a, EXCLUSIVE)).volatile(),
    f(2889, "pg_try_advisory_lock_shared", &[Int4, Int4], Bool, |c, a| attempt(c, a, SHARED)).volatile(),
    f(3095, "pg_try_advisory_xact_lock", &[Int4, Int4], Bool, |c, a| attempt(c, a, EXCLUSIVE_IN_TRANSACTION)).volatile(),
    f(3096, "pg_try_advisory_xact_lock_shared", &[Int4, Int4], Bool, |c, a| attempt(c, a, SHARED_IN_TRANSACTION)).volatile(),
    f(2890, "pg_advisory_unlock", &[Int4, Int4], Bool, |c, a| unlock(c, a, EXCLUSIVE)).volatile(),
    f(2891, "pg_advisory_unlock_shared", &[Int4, Int4], Bool, |c, a| unlock(c, a, SHARED)).volatile(),
    f(2892, "pg_advisory_unlock_all", &[], Void, |c, _| {
        system(c).state().advisory_unlock_all(c.exec.settings.backend_pid);
        Ok(Datum::text(""))
    }).volatile(),
    f(2561, "pg_blocking_pids", &[Int4], Int4Array, |c, a| Ok(blocking(c, a.int4(0)?))).volatile(),
];

fn lock(a: &[Datum], (shared, transaction): (bool, bool)) -> Result<AdvisoryLock> {
    let half = |value: i32| u32::from_be_bytes(value.to_be_bytes());
    let key = if a.len() == 2 {
        AdvisoryKey { class: half(a.int4(0)?), object: half(a.int4(1)?), kind: 2 }
    } else {
        let bytes = a.int8(0)?.to_be_bytes();
        let part = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        AdvisoryKey { class: part(0), object: part(4), kind: 1 }
    };
    Ok(AdvisoryLock { key, shared, transaction })
}

/// Takes a lock, and waits for it as long as `lock_timeout` says.
fn wait(context: &EvalContext<'_>, a: &[Datum], how: (bool, bool)) -> Result<Datum> {
    let settings = &context.exec.settings;
    let timeout = settings.all.get("lock_timeout").and_then(|text| {
        let read = read_integer(text, Some(SettingUnit::Milliseconds)).ok()?;
        u64::try_from(read).ok().filter(|it| *it > 0).map(Duration::from_millis)
    });
    let (pid, cancel) = (settings.backend_pid, &context.exec.cancel);
    system(context).state().advisory_lock(pid, lock(a, how)?, cancel, timeout)?;
    Ok(Datum::text(""))
}

/// Takes a lock if that is possible at once.
fn attempt(context: &EvalContext<'_>, a: &[Datum], how: (bool, bool)) -> Result<Datum> {
    let pid = context.exec.settings.backend_pid;
    Ok(Datum::Bool(system(context).state().advisory_try_lock(pid, lock(a, how)?)?))
}

fn unlock(context: &EvalContext<'_>, a: &[Datum], how: (bool, bool)) -> Result<Datum> {
    let pid = context.exec.settings.backend_pid;
    Ok(Datum::Bool(system(context).state().advisory_unlock(pid, lock(a, how)?)))
}

/// The sessions that hold what a session waits for.
fn blocking(context: &EvalContext<'_>, pid: i32) -> Datum {
    let rows = system(context).state().advisory_locks();
    let waits = rows.iter().find(|row| row.pid == pid && !row.granted);
    let blocks = |row: &&crate::catalog::AdvisoryRow| {
        waits.is_some_and(|waits| {
            row.granted && row.pid != pid && row.key == waits.key && !(row.shared && waits.shared)
        })
    };
    array(Int4, rows.iter().filter(blocks).map(|row| int4(row.pid)).collect())
}
