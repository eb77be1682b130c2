//! Functions about values and the session rather than over values: `pg_typeof`, `num_nulls`, `pg_sleep`,
//! `gen_random_uuid`.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::arguments::typed;
use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::{self, *};

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// How often a sleeping statement looks whether it has been cancelled.
const SLEEP_SLICE: Duration = Duration::from_millis(10);

/// The longest sleep: a year.
const SLEEP_SECONDS_MAX: f64 = 31_557_600.0;

fn pg_typeof(a: &[Datum]) -> Result<Datum> {
    Ok(typed(a)?.types.first().map_or(Datum::Null, |ty| Datum::Oid(ty.oid())))
}

fn count_nulls(a: &[Datum], null: bool) -> Result<Datum> {
    let Some(values) = typed(a)?.spread(0) else { return Ok(Datum::Null) };
    let count = values.iter().filter(|(_, value)| value.is_null() == null).count();
    Ok(Datum::Int4(i32::try_from(count).unwrap_or(i32::MAX)))
}

/// Waits, in slices, so that a cancelled statement ends soon.
fn sleep(context: &EvalContext<'_>, seconds: f64) -> Result<Datum> {
    let lock = Mutex::new(());
    let never = Condvar::new();
    let bounded = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, SLEEP_SECONDS_MAX) };
    let mut left = Duration::from_secs_f64(bounded);
    while !left.is_zero() {
        context.exec.cancel.check()?;
        let slice = left.min(SLEEP_SLICE);
        if never.wait_for(&mut lock.lock(), slice).timed_out() {
            left -= slice;
        }
    }
    context.exec.cancel.check()?;
    Ok(Datum::text(""))
}

fn seconds(microseconds: i128) -> f64 {
    i32::try_from(microseconds / 1_000_000).map_or(SLEEP_SECONDS_MAX, f64::from)
        + i32::try_from(microseconds % 1_000_000).map_or(0.0, f64::from) / 1e6
}

/// The bytes that PostgreSQL needs for a value in memory; of `jsonb` and records those of its text.
fn column_size(a: &[Datum]) -> Result<Datum> {
    let ty = typed(a)?.types.first().copied().unwrap_or(Text);
    Ok(match a.first() {
        Some(value) if !value.is_null() => {
            Datum::Int4(i32::try_from(size(value, ty)).unwrap_or(i32::MAX))
        }
        _ => Datum::Null,
    })
}

fn size(value: &Datum, ty: PgType) -> usize {
    const HEADER: usize = 4;
    if let Ok(length) = usize::try_from(ty.row().length) {
        return length;
    }
    match value {
        Datum::Text(text) => HEADER + text.len(),
        Datum::Bytea(bytes) => HEADER + bytes.len(),
        Datum::Numeric(number) => {
            let text = number.to_string();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let whole = whole.trim_start_matches('-').trim_start_matches('0');
            let fraction = fraction.trim_end_matches('0');
            HEADER + 2 + 2 * (whole.len().div_ceil(4) + fraction.len().div_ceil(4))
        }
        Datum::Array(array) => {
            let element = array.element;
            let sizes =
                array.elements.iter().filter(|it| !it.is_null()).map(|it| size(it, element));
            let variable = ty_length(element).is_none();
            let padded = sizes.map(|size| if variable { size.next_multiple_of(4) } else { size });
            16 + 8 * array.dimensions.len() + padded.sum::<usize>()
        }
        other => {
            HEADER
                + crate::types::text::to_string(other, ty, &crate::exec::Settings::default()).len()
        }
    }
}

fn ty_length(ty: PgType) -> Option<usize> {
    usize::try_from(ty.row().length).ok()
}

fn random_uuid(context: &EvalContext<'_>) -> Datum {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&context.exec.random.next_u64().to_be_bytes());
    bytes[8..].copy_from_slice(&context.exec.random.next_u64().to_be_bytes());
    Datum::Uuid(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1619, "pg_typeof", &[Any], Regtype, |_, a| pg_typeof(a)).typed().lax().stable(),
    f(1269, "pg_column_size", &[Any], Int4, |_, a| column_size(a)).typed().stable(),
    f(438, "num_nulls", &[Any], Int4, |_, a| count_nulls(a, true)).typed().lax().variadic(),
    f(440, "num_nonnulls", &[Any], Int4, |_, a| count_nulls(a, false)).typed().lax().variadic(),
    f(2626, "pg_sleep", &[Float8], Void, |c, a| sleep(c, a.float8(0)?)).volatile(),
    f(3935, "pg_sleep_for", &[Interval], Void, |c, a| sleep(c, seconds(crate::types::compare::span(a.interval(0)?)))).volatile(),
    f(3936, "pg_sleep_until", &[TimestampTz], Void, |c, a| sleep(c, seconds(i128::from(a.timestamp_tz(0)?) - i128::from(c.exec.clock.now_microseconds())))).volatile(),
    f(3432, "gen_random_uuid", &[], Uuid, |c, _| Ok(random_uuid(c))).volatile(),
    f(1079, "regclass", &[Text], Regclass, |c, a| crate::types::text::read(Regclass, a.text(0)?, &crate::types::text::ReadContext::of(c))).stable(),
];
