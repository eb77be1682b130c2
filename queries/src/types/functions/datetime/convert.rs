//! Between dates, times, timestamps and intervals, and the fitting to a precision.

use super::arithmetic::midnight;
use super::session_zone;
use crate::exec::EvalContext;
use crate::types::PgType::{Date, Int4, Text, Time, TimeTz, Timestamp, TimestampTz};
use crate::types::datetime::arithmetic::{
    date_to_timestamp, day_of, is_finite, local_to_utc, round_to, utc_to_local,
};
use crate::types::datetime::{DAY, zone};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::typmod::{IntervalFields, places_of_interval};
use crate::types::{Datum, Interval, PgType};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn time_of(local: i64) -> Datum {
    if is_finite(local) { Datum::Time(local.rem_euclid(DAY)) } else { Datum::Null }
}

fn time_tz_of(context: &EvalContext<'_>, moment: i64) -> Datum {
    if !is_finite(moment) {
        return Datum::Null;
    }
    let offset = zone::offset_at(session_zone(context), moment);
    let local = moment + offset * 1_000_000;
    Datum::TimeTz(local.rem_euclid(DAY), i32::try_from(-offset).unwrap_or(0))
}

/// A time with the session's offset on the day of the transaction.
fn time_with_zone(context: &EvalContext<'_>, time: i64) -> Datum {
    let zone = session_zone(context);
    let today = utc_to_local(context.exec.transaction_time, zone).div_euclid(DAY) * DAY;
    let offset = zone::offset_of_local(zone, today + time);
    Datum::TimeTz(time, i32::try_from(-offset).unwrap_or(0))
}

fn timestamp_to(timestamp: i64, places: i32) -> i64 {
    if is_finite(timestamp) { round_to(timestamp, places) } else { timestamp }
}

/// An interval without the fields that its type does not keep.
fn interval_to(mut it: Interval, typmod: i32) -> Interval {
    IntervalFields::of(typmod).cut(&mut it);
    if let Some(places) = places_of_interval(typmod) {
        it.microseconds = round_to(it.microseconds, places);
    }
    it
}

fn today_zone(context: &EvalContext<'_>, moment: i64) -> i64 {
    utc_to_local(moment, session_zone(context))
}

fn now(context: &EvalContext<'_>) -> Datum {
    Datum::TimestampTz(context.exec.transaction_time)
}

fn time_of_day(context: &EvalContext<'_>) -> Datum {
    let moment = context.exec.clock.now_microseconds();
    let zone = session_zone(context);
    let abbreviation = zone::abbreviation_at(zone, moment).0;
    let format = format!("Dy Mon DD HH24:MI:SS.US YYYY \"{abbreviation}\"");
    let shown = crate::types::functions::to_char::timestamp(
        context,
        today_zone(context, moment),
        None,
        &format,
    );
    shown.map_or(Datum::Null, Datum::from)
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(2024, "timestamp", &[Date], Timestamp, |_, a| date_to_timestamp(a.date(0)?).map(Datum::Timestamp)),
    f(1174, "timestamptz", &[Date], TimestampTz, |c, a| midnight(c, a.date(0)?).map(Datum::TimestampTz)).stable(),
    f(2029, "date", &[Timestamp], Date, |_, a| Ok(Datum::Date(day_of(a.timestamp(0)?)))),
    f(1178, "date", &[TimestampTz], Date, |c, a| Ok(Datum::Date(day_of(today_zone(c, a.timestamp_tz(0)?))))).stable(),
    f(1316, "time", &[Timestamp], Time, |_, a| Ok(time_of(a.timestamp(0)?))),
    f(2019, "time", &[TimestampTz], Time, |c, a| Ok(time_of(today_zone(c, a.timestamp_tz(0)?)))).stable(),
    f(1419, "time", &[PgType::Interval], Time, |_, a| Ok(Datum::Time(a.interval(0)?.microseconds.rem_euclid(DAY)))),
    f(2046, "time", &[TimeTz], Time, |_, a| Ok(Datum::Time(a.time_tz(0)?.0))),
    f(2047, "timetz", &[Time], TimeTz, |c, a| Ok(time_with_zone(c, a.time(0)?))).stable(),
    f(1388, "timetz", &[TimestampTz], TimeTz, |c, a| Ok(time_tz_of(c, a.timestamp_tz(0)?))).stable(),
    f(2027, "timestamp", &[TimestampTz], Timestamp, |c, a| Ok(Datum::Timestamp(today_zone(c, a.timestamp_tz(0)?)))).stable(),
    f(2028, "timestamptz", &[Timestamp], TimestampTz, |c, a| local_to_utc(a.timestamp(0)?, session_zone(c)).map(Datum::TimestampTz)).stable(),
    f(2025, "timestamp", &[Date, Time], Timestamp, |_, a| Ok(Datum::Timestamp(date_to_timestamp(a.date(0)?)?.saturating_add(a.time(1)?)))),
    f(1370, "interval", &[Time], PgType::Interval, |_, a| Ok(Datum::Interval(Interval { months: 0, days: 0, microseconds: a.time(0)? }))),
    f(1968, "time", &[Time, Int4], Time, |_, a| Ok(Datum::Time(round_to(a.time(0)?, a.int4(1)?)))),
    f(1969, "timetz", &[TimeTz, Int4], TimeTz, |_, a| { let (time, west) = a.time_tz(0)?; Ok(Datum::TimeTz(round_to(time, a.int4(1)?), west)) }),
    f(1961, "timestamp", &[Timestamp, Int4], Timestamp, |_, a| Ok(Datum::Timestamp(timestamp_to(a.timestamp(0)?, a.int4(1)?)))),
    f(1967, "timestamptz", &[TimestampTz, Int4], TimestampTz, |_, a| Ok(Datum::TimestampTz(timestamp_to(a.timestamp_tz(0)?, a.int4(1)?)))),
    f(1200, "interval", &[PgType::Interval, Int4], PgType::Interval, |_, a| Ok(Datum::Interval(interval_to(a.interval(0)?, a.int4(1)?)))),
    f(1299, "now", &[], TimestampTz, |c, _| Ok(now(c))).stable(),
    f(2647, "transaction_timestamp", &[], TimestampTz, |c, _| Ok(now(c))).stable(),
    f(2648, "statement_timestamp", &[], TimestampTz, |c, _| Ok(Datum::TimestampTz(c.exec.statement_time))).stable(),
    f(2649, "clock_timestamp", &[], TimestampTz, |c, _| Ok(Datum::TimestampTz(c.exec.clock.now_microseconds()))).volatile(),
    f(274, "timeofday", &[], Text, |c, _| Ok(time_of_day(c))).volatile(),
];
