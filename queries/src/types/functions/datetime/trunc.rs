//! `date_trunc`: what is smaller than a field set to its start.

use jiff::tz::TimeZone;

use super::part::{unit_named, unsupported};
use super::session_zone;
use super::zone::{NamedZone, zone_of};
use crate::error::Result;
use crate::types::PgType::{self, Text, Timestamp, TimestampTz};
use crate::types::datetime::arithmetic::{checked, is_finite};
use crate::types::datetime::calendar::{self, Civil};
use crate::types::datetime::token::Unit;
use crate::types::datetime::{DAY, HOUR, MINUTE, SECOND, zone};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{Datum, Interval};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// The length of a unit of the clock.
fn clock_unit(unit: Unit) -> Option<i64> {
    Some(match unit {
        Unit::Microsecond => 1,
        Unit::Millisecond => 1000,
        Unit::Second => SECOND,
        Unit::Minute => MINUTE,
        Unit::Hour => HOUR,
        _ => return None,
    })
}

/// The first year of an era of so many years that starts with a year 1.
fn era_start(year: i64, years: i64) -> i64 {
    if year > 0 {
        (year + years - 1) / years * years - (years - 1)
    } else {
        -((years - 1 - (year - 1)) / years) * years + 1
    }
}

/// The first day of a unit of the calendar.
fn day_start(unit: Unit, days: i64) -> Option<i64> {
    let Civil { year, month, day } = calendar::civil(days);
    let decade = if year > 0 { year / 10 * 10 } else { -((8 - (year - 1)) / 10) * 10 };
    let (year, month, day) = match unit {
        Unit::Day => (year, month, day),
        Unit::Week => return Some(days - (calendar::weekday(days) + 6) % 7),
        Unit::Month => (year, month, 1),
        Unit::Quarter => (year, (month - 1) / 3 * 3 + 1, 1),
        Unit::Year => (year, 1, 1),
        Unit::Decade => (decade, 1, 1),
        Unit::Century => (era_start(year, 100), 1, 1),
        Unit::Millennium => (era_start(year, 1000), 1, 1),
        _ => return None,
    };
    Some(calendar::days(year, month, day))
}

fn local(unit: Unit, name: &str, local: i64, ty: PgType) -> Result<i64> {
    if let Some(length) = clock_unit(unit) {
        return Ok(local - local.rem_euclid(length));
    }
    let day = day_start(unit, local.div_euclid(DAY)).ok_or_else(|| unsupported(name, ty))?;
    checked(day.checked_mul(DAY))
}

fn timestamp(name: &str, moment: i64) -> Result<Datum> {
    let (unit, name) = unit_named(name, Timestamp)?;
    if !is_finite(moment) {
        return Ok(Datum::Timestamp(moment));
    }
    local(unit, &name, moment, Timestamp).map(Datum::Timestamp)
}

/// In a zone: units of the clock keep the offset, others get that of the day they come to.
fn with_zone(name: &str, moment: i64, zone: &TimeZone) -> Result<Datum> {
    let (unit, name) = unit_named(name, TimestampTz)?;
    if !is_finite(moment) {
        return Ok(Datum::TimestampTz(moment));
    }
    let offset = zone::offset_at(zone, moment) * SECOND;
    let start = local(unit, &name, moment + offset, TimestampTz)?;
    let utc = if clock_unit(unit).is_some() { start - offset } else { zone::to_utc(zone, start) };
    checked(Some(utc)).map(Datum::TimestampTz)
}

fn in_zone(name: &str, moment: i64, zone: &str) -> Result<Datum> {
    match zone_of(zone)? {
        NamedZone::Zone(zone) | NamedZone::Abbreviation(zone, _) => with_zone(name, moment, &zone),
        NamedZone::Fixed(seconds) => {
            let seconds = i32::try_from(seconds).unwrap_or(0);
            let fixed = jiff::tz::Offset::from_seconds(seconds).unwrap_or(jiff::tz::Offset::UTC);
            with_zone(name, moment, &TimeZone::fixed(fixed))
        }
    }
}

fn interval(name: &str, it: Interval) -> Result<Datum> {
    let (unit, name) = unit_named(name, PgType::Interval)?;
    let cut = |value: i32, to: i32| value / to * to;
    if let Some(length) = clock_unit(unit) {
        return Ok(Datum::Interval(Interval {
            microseconds: it.microseconds / length * length,
            ..it
        }));
    }
    let months = |to: i32| Interval { months: cut(it.months, to), days: 0, microseconds: 0 };
    Ok(Datum::Interval(match unit {
        Unit::Day => Interval { microseconds: 0, ..it },
        Unit::Month => months(1),
        Unit::Quarter => months(3),
        Unit::Year => months(12),
        Unit::Decade => months(120),
        Unit::Century => months(1200),
        Unit::Millennium => months(12_000),
        Unit::Week => {
            return Err(unsupported(&name, PgType::Interval)
                .with_detail("Months usually have fractional weeks."));
        }
        _ => return Err(unsupported(&name, PgType::Interval)),
    }))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(2020, "date_trunc", &[Text, Timestamp], Timestamp, |_, a| timestamp(a.text(0)?, a.timestamp(1)?)),
    f(1217, "date_trunc", &[Text, TimestampTz], TimestampTz, |c, a| with_zone(a.text(0)?, a.timestamp_tz(1)?, session_zone(c))).stable(),
    f(1284, "date_trunc", &[Text, TimestampTz, Text], TimestampTz, |_, a| in_zone(a.text(0)?, a.timestamp_tz(1)?, a.text(2)?)).stable(),
    f(1218, "date_trunc", &[Text, PgType::Interval], PgType::Interval, |_, a| interval(a.text(0)?, a.interval(1)?)),
];
