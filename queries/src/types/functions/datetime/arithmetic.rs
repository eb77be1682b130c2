//! Sums and differences.

use super::session_zone;
use crate::error::{Result, SqlError};
use crate::exec::EvalContext;
use crate::types::PgType::{Bool, Date, Float8, Int4, Time, TimeTz, Timestamp, TimestampTz};
use crate::types::datetime::arithmetic::{
    add, add_with_zone, age, bin, date_out_of_range, date_to_timestamp, day_of, difference,
    is_finite, is_finite_date, justify_days, justify_hours, justify_interval, local_to_utc, negate,
    scale, sum, utc_to_local,
};
use crate::types::datetime::{DATE_RANGE, DAY};
use crate::types::functions::define::f;
use crate::types::functions::integers::division_by_zero;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{Datum, Interval, PgType};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn ts(value: Result<i64>) -> Result<Datum> {
    value.map(Datum::Timestamp)
}

fn tz(value: Result<i64>) -> Result<Datum> {
    value.map(Datum::TimestampTz)
}

fn iv(value: Result<Interval>) -> Result<Datum> {
    value.map(Datum::Interval)
}

fn date_plus(date: i32, days: i64) -> Result<Datum> {
    if !is_finite_date(date) {
        return Ok(Datum::Date(date));
    }
    let moved = i64::from(date) + days;
    let fits = DATE_RANGE.contains(&moved);
    i32::try_from(moved).ok().filter(|_| fits).map(Datum::Date).ok_or_else(date_out_of_range)
}

fn date_minus(left: i32, right: i32) -> Result<Datum> {
    if !is_finite_date(left) || !is_finite_date(right) {
        let state = crate::error::SqlState::DATETIME_FIELD_OVERFLOW;
        return Err(SqlError::new(state, "cannot subtract infinite dates"));
    }
    Ok(Datum::Int4(left - right))
}

fn date_and_time(date: i32, time: i64) -> Result<i64> {
    let midnight = date_to_timestamp(date)?;
    if !is_finite(midnight) {
        return Ok(midnight);
    }
    crate::types::datetime::arithmetic::checked(midnight.checked_add(time))
}

fn date_and_time_tz(date: i32, (time, west): (i64, i32)) -> Result<i64> {
    let local = date_and_time(date, time)?;
    if !is_finite(local) {
        return Ok(local);
    }
    crate::types::datetime::arithmetic::checked(local.checked_add(i64::from(west) * 1_000_000))
}

/// A time of day moved around the clock.
fn around(time: i64, by: i64) -> i64 {
    (time + by % DAY).rem_euclid(DAY)
}

fn time_minus(left: i64, right: i64) -> Interval {
    Interval { months: 0, days: 0, microseconds: left - right }
}

fn divided(it: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 { Err(division_by_zero()) } else { scale(it, |part| part / divisor) }
}

/// The age on the day of the transaction.
fn age_today(context: &EvalContext<'_>, timestamp: i64, with_zone: bool) -> Result<Datum> {
    let zone = session_zone(context);
    let today = date_to_timestamp(day_of(utc_to_local(context.exec.transaction_time, zone)))?;
    let local = if with_zone { utc_to_local(timestamp, zone) } else { timestamp };
    iv(age(today, local))
}

fn age_tz(context: &EvalContext<'_>, left: i64, right: i64) -> Result<Datum> {
    let zone = session_zone(context);
    iv(age(utc_to_local(left, zone), utc_to_local(right, zone)))
}

/// A moment of an `OVERLAPS`, or a length after the start.
fn moment(context: &EvalContext<'_>, start: &Datum, end: &Datum) -> Result<Option<i64>> {
    let zone = session_zone(context);
    Ok(match (start, end) {
        (_, Datum::Timestamp(it) | Datum::TimestampTz(it) | Datum::Time(it)) => Some(*it),
        (_, Datum::TimeTz(time, west)) => Some(time + i64::from(*west) * 1_000_000),
        (Datum::Timestamp(start), Datum::Interval(it)) => Some(add(*start, *it)?),
        (Datum::TimestampTz(start), Datum::Interval(it)) => Some(add_with_zone(*start, *it, zone)?),
        (Datum::Time(start), Datum::Interval(it)) => Some(around(*start, it.microseconds)),
        _ => None,
    })
}

/// Whether two periods share a moment. A null end is not known; an end before the start is swapped with it.
fn overlaps(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let [s1, e1, s2, e2] = a else { return Err(SqlError::internal("OVERLAPS has four arguments")) };
    let mut periods = [
        (moment(context, s1, s1)?, moment(context, s1, e1)?),
        (moment(context, s2, s2)?, moment(context, s2, e2)?),
    ];
    for (start, end) in &mut periods {
        match (*start, *end) {
            (None, None) => return Ok(Datum::Null),
            (None, known) => (*start, *end) = (known, None),
            (Some(first), Some(second)) if first > second => {
                (*start, *end) = (Some(second), Some(first));
            }
            _ => {}
        }
    }
    let [(Some(s1), e1), (Some(s2), e2)] = periods else { return Ok(Datum::Null) };
    Ok(match s1.cmp(&s2) {
        std::cmp::Ordering::Greater => match e2 {
            None => Datum::Null,
            Some(end) if s1 < end => Datum::Bool(true),
            Some(_) if e1.is_none() => Datum::Null,
            Some(_) => Datum::Bool(false),
        },
        std::cmp::Ordering::Less => match e1 {
            None => Datum::Null,
            Some(end) if s2 < end => Datum::Bool(true),
            Some(_) if e2.is_none() => Datum::Null,
            Some(_) => Datum::Bool(false),
        },
        std::cmp::Ordering::Equal => match (e1, e2) {
            (Some(_), Some(_)) => Datum::Bool(true),
            _ => Datum::Null,
        },
    })
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1141, "date_pli", &[Date, Int4], Date, |_, a| date_plus(a.date(0)?, i64::from(a.int4(1)?))),
    f(2550, "integer_pl_date", &[Int4, Date], Date, |_, a| date_plus(a.date(1)?, i64::from(a.int4(0)?))),
    f(1142, "date_mii", &[Date, Int4], Date, |_, a| date_plus(a.date(0)?, -i64::from(a.int4(1)?))),
    f(1140, "date_mi", &[Date, Date], Int4, |_, a| date_minus(a.date(0)?, a.date(1)?)),
    f(2071, "date_pl_interval", &[Date, PgType::Interval], Timestamp, |_, a| ts(add(date_to_timestamp(a.date(0)?)?, a.interval(1)?))),
    f(2546, "interval_pl_date", &[PgType::Interval, Date], Timestamp, |_, a| ts(add(date_to_timestamp(a.date(1)?)?, a.interval(0)?))),
    f(2072, "date_mi_interval", &[Date, PgType::Interval], Timestamp, |_, a| ts(add(date_to_timestamp(a.date(0)?)?, negate(a.interval(1)?)?))),
    f(1272, "datetime_pl", &[Date, Time], Timestamp, |_, a| ts(date_and_time(a.date(0)?, a.time(1)?))),
    f(1296, "timedate_pl", &[Time, Date], Timestamp, |_, a| ts(date_and_time(a.date(1)?, a.time(0)?))),
    f(1297, "datetimetz_pl", &[Date, TimeTz], TimestampTz, |_, a| tz(date_and_time_tz(a.date(0)?, a.time_tz(1)?))),
    f(1298, "timetzdate_pl", &[TimeTz, Date], TimestampTz, |_, a| tz(date_and_time_tz(a.date(1)?, a.time_tz(0)?))),
    f(2032, "timestamp_pl_interval", &[Timestamp, PgType::Interval], Timestamp, |_, a| ts(add(a.timestamp(0)?, a.interval(1)?))),
    f(2548, "interval_pl_timestamp", &[PgType::Interval, Timestamp], Timestamp, |_, a| ts(add(a.timestamp(1)?, a.interval(0)?))),
    f(2033, "timestamp_mi_interval", &[Timestamp, PgType::Interval], Timestamp, |_, a| ts(add(a.timestamp(0)?, negate(a.interval(1)?)?))),
    f(1189, "timestamptz_pl_interval", &[TimestampTz, PgType::Interval], TimestampTz, |c, a| tz(add_with_zone(a.timestamp_tz(0)?, a.interval(1)?, session_zone(c)))).stable(),
    f(2549, "interval_pl_timestamptz", &[PgType::Interval, TimestampTz], TimestampTz, |c, a| tz(add_with_zone(a.timestamp_tz(1)?, a.interval(0)?, session_zone(c)))).stable(),
    f(1190, "timestamptz_mi_interval", &[TimestampTz, PgType::Interval], TimestampTz, |c, a| tz(add_with_zone(a.timestamp_tz(0)?, negate(a.interval(1)?)?, session_zone(c)))).stable(),
    f(2031, "timestamp_mi", &[Timestamp, Timestamp], PgType::Interval, |_, a| iv(difference(a.timestamp(0)?, a.timestamp(1)?))),
    f(1188, "timestamptz_mi", &[TimestampTz, TimestampTz], PgType::Interval, |_, a| iv(difference(a.timestamp_tz(0)?, a.timestamp_tz(1)?))),
    f(1169, "interval_pl", &[PgType::Interval, PgType::Interval], PgType::Interval, |_, a| iv(sum(a.interval(0)?, a.interval(1)?))),
    f(1170, "interval_mi", &[PgType::Interval, PgType::Interval], PgType::Interval, |_, a| iv(sum(a.interval(0)?, negate(a.interval(1)?)?))),
    f(1168, "interval_um", &[PgType::Interval], PgType::Interval, |_, a| iv(negate(a.interval(0)?))),
    f(1618, "interval_mul", &[PgType::Interval, Float8], PgType::Interval, |_, a| { let by = a.float8(1)?; iv(scale(a.interval(0)?, |part| part * by)) }),
    f(1624, "mul_d_interval", &[Float8, PgType::Interval], PgType::Interval, |_, a| { let by = a.float8(0)?; iv(scale(a.interval(1)?, |part| part * by)) }),
    f(1326, "interval_div", &[PgType::Interval, Float8], PgType::Interval, |_, a| iv(divided(a.interval(0)?, a.float8(1)?))),
    f(1747, "time_pl_interval", &[Time, PgType::Interval], Time, |_, a| Ok(Datum::Time(around(a.time(0)?, a.interval(1)?.microseconds)))),
    f(1848, "interval_pl_time", &[PgType::Interval, Time], Time, |_, a| Ok(Datum::Time(around(a.time(1)?, a.interval(0)?.microseconds)))),
    f(1748, "time_mi_interval", &[Time, PgType::Interval], Time, |_, a| Ok(Datum::Time(around(a.time(0)?, -(a.interval(1)?.microseconds % DAY))))),
    f(1690, "time_mi_time", &[Time, Time], PgType::Interval, |_, a| Ok(Datum::Interval(time_minus(a.time(0)?, a.time(1)?)))),
    f(1749, "timetz_pl_interval", &[TimeTz, PgType::Interval], TimeTz, |_, a| { let (time, west) = a.time_tz(0)?; Ok(Datum::TimeTz(around(time, a.interval(1)?.microseconds), west)) }),
    f(2547, "interval_pl_timetz", &[PgType::Interval, TimeTz], TimeTz, |_, a| { let (time, west) = a.time_tz(1)?; Ok(Datum::TimeTz(around(time, a.interval(0)?.microseconds), west)) }),
    f(1750, "timetz_mi_interval", &[TimeTz, PgType::Interval], TimeTz, |_, a| { let (time, west) = a.time_tz(0)?; Ok(Datum::TimeTz(around(time, -(a.interval(1)?.microseconds % DAY)), west)) }),
    f(2058, "age", &[Timestamp, Timestamp], PgType::Interval, |_, a| iv(age(a.timestamp(0)?, a.timestamp(1)?))),
    f(1199, "age", &[TimestampTz, TimestampTz], PgType::Interval, |c, a| age_tz(c, a.timestamp_tz(0)?, a.timestamp_tz(1)?)),
    f(2059, "age", &[Timestamp], PgType::Interval, |c, a| age_today(c, a.timestamp(0)?, false)).stable(),
    f(1386, "age", &[TimestampTz], PgType::Interval, |c, a| age_today(c, a.timestamp_tz(0)?, true)).stable(),
    f(1175, "justify_hours", &[PgType::Interval], PgType::Interval, |_, a| iv(justify_hours(a.interval(0)?))),
    f(1295, "justify_days", &[PgType::Interval], PgType::Interval, |_, a| iv(justify_days(a.interval(0)?))),
    f(2711, "justify_interval", &[PgType::Interval], PgType::Interval, |_, a| iv(justify_interval(a.interval(0)?))),
    f(1373, "isfinite", &[Date], Bool, |_, a| Ok(Datum::Bool(is_finite_date(a.date(0)?)))),
    f(2048, "isfinite", &[Timestamp], Bool, |_, a| Ok(Datum::Bool(is_finite(a.timestamp(0)?)))),
    f(1389, "isfinite", &[TimestampTz], Bool, |_, a| Ok(Datum::Bool(is_finite(a.timestamp_tz(0)?)))),
    f(1390, "isfinite", &[PgType::Interval], Bool, |_, _| Ok(Datum::Bool(true))),
    f(6177, "date_bin", &[PgType::Interval, Timestamp, Timestamp], Timestamp, |_, a| ts(bin(a.interval(0)?, a.timestamp(1)?, a.timestamp(2)?))),
    f(6178, "date_bin", &[PgType::Interval, TimestampTz, TimestampTz], TimestampTz, |_, a| tz(bin(a.interval(0)?, a.timestamp_tz(1)?, a.timestamp_tz(2)?))),
    f(2041, "overlaps", &[Timestamp, Timestamp, Timestamp, Timestamp], Bool, overlaps).lax(),
    f(2042, "overlaps", &[Timestamp, PgType::Interval, Timestamp, PgType::Interval], Bool, overlaps).lax(),
    f(2043, "overlaps", &[Timestamp, Timestamp, Timestamp, PgType::Interval], Bool, overlaps).lax(),
    f(2044, "overlaps", &[Timestamp, PgType::Interval, Timestamp, Timestamp], Bool, overlaps).lax(),
    f(1304, "overlaps", &[TimestampTz, TimestampTz, TimestampTz, TimestampTz], Bool, overlaps).lax(),
    f(1305, "overlaps", &[TimestampTz, PgType::Interval, TimestampTz, PgType::Interval], Bool, overlaps).lax().stable(),
    f(1306, "overlaps", &[TimestampTz, TimestampTz, TimestampTz, PgType::Interval], Bool, overlaps).lax().stable(),
    f(1307, "overlaps", &[TimestampTz, PgType::Interval, TimestampTz, TimestampTz], Bool, overlaps).lax().stable(),
    f(1308, "overlaps", &[Time, Time, Time, Time], Bool, overlaps).lax(),
    f(1309, "overlaps", &[Time, PgType::Interval, Time, PgType::Interval], Bool, overlaps).lax(),
    f(1310, "overlaps", &[Time, Time, Time, PgType::Interval], Bool, overlaps).lax(),
    f(1311, "overlaps", &[Time, PgType::Interval, Time, Time], Bool, overlaps).lax(),
    f(1271, "overlaps", &[TimeTz, TimeTz, TimeTz, TimeTz], Bool, overlaps).lax(),
];

/// The moment at which a date begins for the session.
pub(super) fn midnight(context: &EvalContext<'_>, date: i32) -> Result<i64> {
    local_to_utc(date_to_timestamp(date)?, session_zone(context))
}
