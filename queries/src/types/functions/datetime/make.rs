//! Dates, times and intervals from their parts.

use super::session_zone;
use super::zone::zone_of;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{Date, Float8, Int4, Text, Time, Timestamp, TimestampTz};
use crate::types::datetime::arithmetic::{checked, local_to_utc};
use crate::types::datetime::{
    DATE_RANGE, DAY, HOUR, MINUTE, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
};
use crate::types::datetime::{calendar, interval};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{Datum, Interval, PgType};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn overflow(message: String) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// Days since 2000-01-01; a negative year is before Christ.
fn day(year: i32, month: i32, day: i32) -> Option<i64> {
    let (y, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let y = if y < 0 { y + 1 } else { y };
    let valid =
        year != 0 && (1..=12).contains(&month) && day >= 1 && day <= calendar::month_days(y, month);
    valid.then(|| calendar::days(y, month, day))
}

fn make_date(y: i32, m: i32, d: i32) -> Result<Datum> {
    let days = day(y, m, d)
        .ok_or_else(|| overflow(format!("date field value out of range: {y}-{m:02}-{d:02}")))?;
    let found = i32::try_from(days).ok().filter(|_| DATE_RANGE.contains(&days));
    found.map(Datum::Date).ok_or_else(|| overflow(format!("date out of range: {y}-{m:02}-{d:02}")))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "seconds of a minute are few"
)]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round_ties_even() as i64
}

fn shown(seconds: f64) -> String {
    let mut out = Vec::new();
    crate::types::text::number::write_general(seconds, 6, &mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    if text.len() < 2 { format!("0{text}") } else { text }
}

fn time(hour: i32, minute: i32, seconds: f64) -> Option<i64> {
    let valid =
        (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&seconds);
    if !valid {
        return None;
    }
    let total = i64::from(hour) * HOUR + i64::from(minute) * MINUTE + micros(seconds);
    (total <= DAY).then_some(total)
}

fn make_time(hour: i32, minute: i32, seconds: f64) -> Result<Datum> {
    time(hour, minute, seconds).map(Datum::Time).ok_or_else(|| {
        overflow(format!("time field value out of range: {hour}:{minute:02}:{}", shown(seconds)))
    })
}

/// The local time of the first six arguments.
fn local(a: &[Datum]) -> Result<i64> {
    let (y, m, d) = (a.int4(0)?, a.int4(1)?, a.int4(2)?);
    let (hour, minute, seconds) = (a.int4(3)?, a.int4(4)?, a.float8(5)?);
    let days = day(y, m, d)
        .ok_or_else(|| overflow(format!("date field value out of range: {y}-{m:02}-{d:02}")))?;
    let time = time(hour, minute, seconds).ok_or_else(|| {
        overflow(format!("time field value out of range: {hour}:{minute:02}:{}", shown(seconds)))
    })?;
    checked(days.checked_mul(DAY).and_then(|it| it.checked_add(time))).map_err(|_| {
        overflow(format!(
            "timestamp out of range: {y}-{m:02}-{d:02} {hour}:{minute:02}:{}",
            shown(seconds)
        ))
    })
}

fn make_timestamptz_at(_: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let local = local(a)?;
    let zone = zone_of(a.text(6)?)?;
    Ok(Datum::TimestampTz(checked(Some(zone.to_utc(local)))?))
}

/// `make_interval` with the first parts; the others are 0.
fn make_interval(a: &[Datum]) -> Result<Datum> {
    let part = |place: usize| if place < a.len() { a.int4(place).map(i64::from) } else { Ok(0) };
    let seconds = if a.len() > 6 { a.float8(6)? } else { 0.0 };
    if seconds.is_nan() || seconds.is_infinite() {
        return Err(interval::out_of_range());
    }
    let months = part(0)? * 12 + part(1)?;
    let days = part(2)? * 7 + part(3)?;
    let time = part(4)? * HOUR + part(5)? * MINUTE;
    let microseconds =
        if seconds.abs() < 9.2e12 { time.checked_add(micros(seconds)) } else { None };
    Ok(Datum::Interval(Interval {
        months: i32::try_from(months).map_err(|_| interval::out_of_range())?,
        days: i32::try_from(days).map_err(|_| interval::out_of_range())?,
        microseconds: microseconds.ok_or_else(interval::out_of_range)?,
    }))
}

fn to_timestamp(seconds: f64) -> Result<Datum> {
    if seconds.is_nan() {
        return Err(overflow("timestamp cannot be NaN".to_owned()));
    }
    if seconds.is_infinite() {
        let infinity = if seconds > 0.0 { TIMESTAMP_INFINITY } else { TIMESTAMP_MINUS_INFINITY };
        return Ok(Datum::TimestampTz(infinity));
    }
    let out_of_range = || {
        let mut text = Vec::new();
        crate::types::text::number::write_general(seconds, 6, &mut text);
        overflow(format!("timestamp out of range: \"{}\"", String::from_utf8_lossy(&text)))
    };
    // Seconds first, so that no digits are lost that the result could hold.
    let shifted = seconds - 946_684_800.0;
    if !(-211_813_488_000.0..9_223_371_331_200.0).contains(&shifted) {
        return Err(out_of_range());
    }
    checked(Some(micros(shifted))).map(Datum::TimestampTz).map_err(|_| out_of_range())
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(3846, "make_date", &[Int4, Int4, Int4], Date, |_, a| make_date(a.int4(0)?, a.int4(1)?, a.int4(2)?)),
    f(3847, "make_time", &[Int4, Int4, Float8], Time, |_, a| make_time(a.int4(0)?, a.int4(1)?, a.float8(2)?)),
    f(3461, "make_timestamp", &[Int4, Int4, Int4, Int4, Int4, Float8], Timestamp, |_, a| local(a).map(Datum::Timestamp)),
    f(3462, "make_timestamptz", &[Int4, Int4, Int4, Int4, Int4, Float8], TimestampTz, |c, a| local_to_utc(local(a)?, session_zone(c)).map(Datum::TimestampTz)).stable(),
    f(3463, "make_timestamptz", &[Int4, Int4, Int4, Int4, Int4, Float8, Text], TimestampTz, make_timestamptz_at).stable(),
    f(3464, "make_interval", &[Int4, Int4, Int4, Int4, Int4, Int4, Float8], PgType::Interval, |_, a| make_interval(a)),
    f(0, "make_interval", &[], PgType::Interval, |_, a| make_interval(a)),
    f(0, "make_interval", &[Int4], PgType::Interval, |_, a| make_interval(a)),
    f(0, "make_interval", &[Int4, Int4], PgType::Interval, |_, a| make_interval(a)),
    f(0, "make_interval", &[Int4, Int4, Int4], PgType::Interval, |_, a| make_interval(a)),
    f(0, "make_interval", &[Int4, Int4, Int4, Int4], PgType::Interval, |_, a| make_interval(a)),
    f(0, "make_interval", &[Int4, Int4, Int4, Int4, Int4], PgType::Interval, |_, a| make_interval(a)),
    f(0, "make_interval", &[Int4, Int4, Int4, Int4, Int4, Int4], PgType::Interval, |_, a| make_interval(a)),
    f(1158, "to_timestamp", &[Float8], TimestampTz, |_, a| to_timestamp(a.float8(0)?)),
];
