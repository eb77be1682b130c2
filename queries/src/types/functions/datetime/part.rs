//! `extract` and `date_part`: one field of a date or time.
//!
//! `extract` gives an exact `numeric`, `date_part` a float; both are made from one [`Part`].

use super::session_zone;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{self, Date, Float8, Text, Time, TimeTz, Timestamp, TimestampTz};
use crate::types::datetime::arithmetic::{is_finite, is_finite_date};
use crate::types::datetime::calendar::{self, Civil, EPOCH_JULIAN, UNIX_DAYS};
use crate::types::datetime::token::{self, Unit};
use crate::types::datetime::{DAY, HOUR, MINUTE, SECOND, zone};
use crate::types::functions::define::f;
use crate::types::functions::floats::from_int8;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{Datum, Interval, Numeric};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// A field's value.
enum Part {
    /// An integer.
    Whole(i64),
    /// An integer of so many decimal places.
    Scaled(i64, u32),
    /// A Julian day: the day and the microseconds since its midnight.
    Julian(i64, i64),
    /// Above or below everything.
    Infinite(bool),
    /// None, for an infinite value's field that goes around.
    Null,
}

impl Part {
    fn numeric(self) -> Result<Datum> {
        Ok(match self {
            Self::Whole(value) => Datum::from(Numeric::from(value)),
            Self::Scaled(value, scale) => Datum::from(Numeric::new(value, scale)),
            Self::Julian(day, time) => {
                let fraction = Numeric::from(time).div(&Numeric::from(DAY))?;
                Datum::from(Numeric::from(day).add(&fraction)?)
            }
            Self::Infinite(positive) => {
                Datum::from(if positive { Numeric::Infinity } else { Numeric::NegativeInfinity })
            }
            Self::Null => Datum::Null,
        })
    }

    fn float(self) -> Datum {
        match self {
            Self::Whole(value) => Datum::Float8(from_int8(value)),
            Self::Scaled(value, scale) => {
                Datum::Float8(from_int8(value) / 10_f64.powi(i32::try_from(scale).unwrap_or(0)))
            }
            Self::Julian(day, time) => {
                Datum::Float8(from_int8(day) + from_int8(time) / from_int8(DAY))
            }
            Self::Infinite(positive) => {
                Datum::Float8(if positive { f64::INFINITY } else { f64::NEG_INFINITY })
            }
            Self::Null => Datum::Null,
        }
    }
}

/// The error for a field that a type does not have.
pub(super) fn unsupported(name: &str, ty: PgType) -> SqlError {
    SqlError::unsupported(format!("unit \"{name}\" not supported for type {ty}"))
}

/// The error for a field that there is not.
pub(super) fn unrecognized(name: &str, ty: PgType) -> SqlError {
    let message = format!("unit \"{name}\" not recognized for type {ty}");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A field by its name, which comes back in lower case.
pub(super) fn unit_named(name: &str, ty: PgType) -> Result<(Unit, String)> {
    let lower = name.to_lowercase();
    let found = token::unit(&lower).or_else(|| token::field(&lower));
    found.map(|unit| (unit, lower.clone())).ok_or_else(|| unrecognized(&lower, ty))
}

/// The fields of a time of day.
fn of_time(unit: Unit, time: i64) -> Option<Part> {
    Some(match unit {
        Unit::Microsecond => Part::Whole(time % MINUTE),
        Unit::Millisecond => Part::Scaled(time % MINUTE, 3),
        Unit::Second => Part::Scaled(time % MINUTE, 6),
        Unit::Minute => Part::Whole(time / MINUTE % 60),
        Unit::Hour => Part::Whole(time / HOUR),
        _ => return None,
    })
}

/// Division that counts the first unit as 1 and has no unit 0.
fn era(year: i64, years: i64) -> i64 {
    if year > 0 { (year + years - 1) / years } else { -((years - 1 - (year - 1)) / years) }
}

/// The fields of a day.
fn of_day(unit: Unit, days: i64) -> Option<Part> {
    let Civil { year, month, day } = calendar::civil(days);
    let weekday = calendar::weekday(days);
    let shown = |year: i64| if year > 0 { year } else { year - 1 };
    Some(Part::Whole(match unit {
        Unit::Day => day,
        Unit::Month => month,
        Unit::Quarter => (month - 1) / 3 + 1,
        Unit::Week => calendar::iso_week(days).1,
        Unit::Year => shown(year),
        Unit::Decade if year >= 0 => year / 10,
        Unit::Decade => -((8 - (year - 1)) / 10),
        Unit::Century => era(year, 100),
        Unit::Millennium => era(year, 1000),
        Unit::IsoYear => shown(calendar::iso_week(days).0),
        Unit::DayOfWeek => weekday,
        Unit::IsoDayOfWeek => {
            if weekday == 0 {
                7
            } else {
                weekday
            }
        }
        Unit::DayOfYear => days - calendar::days(year, 1, 1) + 1,
        _ => return None,
    }))
}

/// The fields of something infinite.
fn of_infinity(unit: Unit, positive: bool) -> Part {
    match unit {
        Unit::Year
        | Unit::Decade
        | Unit::Century
        | Unit::Millennium
        | Unit::Julian
        | Unit::IsoYear
        | Unit::Epoch => Part::Infinite(positive),
        _ => Part::Null,
    }
}

fn of_local(unit: Unit, local: i64) -> Option<Part> {
    let (days, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    match unit {
        Unit::Julian => Some(Part::Julian(days + EPOCH_JULIAN, time)),
        _ => of_time(unit, time).or_else(|| of_day(unit, days)),
    }
}

fn timestamp(name: &str, local: i64) -> Result<Part> {
    let (unit, name) = unit_named(name, Timestamp)?;
    if matches!(unit, Unit::Zone | Unit::ZoneHour | Unit::ZoneMinute) {
        return Err(unsupported(&name, Timestamp));
    }
    if !is_finite(local) {
        return Ok(of_infinity(unit, local > 0));
    }
    match unit {
        Unit::Epoch => Ok(Part::Scaled(local + UNIX_DAYS * DAY, 6)),
        _ => of_local(unit, local).ok_or_else(|| unsupported(&name, Timestamp)),
    }
}

fn timestamp_tz(context: &EvalContext<'_>, name: &str, moment: i64) -> Result<Part> {
    let (unit, name) = unit_named(name, TimestampTz)?;
    if !is_finite(moment) {
        return Ok(of_infinity(unit, moment > 0));
    }
    let offset = zone::offset_at(session_zone(context), moment);
    match unit {
        Unit::Epoch => Ok(Part::Scaled(moment + UNIX_DAYS * DAY, 6)),
        _ => of_zone(unit, offset)
            .or_else(|| of_local(unit, moment + offset * SECOND))
            .ok_or_else(|| unsupported(&name, TimestampTz)),
    }
}

/// The fields of an offset in seconds east.
fn of_zone(unit: Unit, offset: i64) -> Option<Part> {
    Some(Part::Whole(match unit {
        Unit::Zone => offset,
        Unit::ZoneHour => offset / 3600,
        Unit::ZoneMinute => offset / 60 % 60,
        _ => return None,
    }))
}

fn date(name: &str, days: i32) -> Result<Part> {
    let (unit, name) = unit_named(name, Date)?;
    let of_clock = matches!(
        unit,
        Unit::Microsecond
            | Unit::Millisecond
            | Unit::Second
            | Unit::Minute
            | Unit::Hour
            | Unit::Zone
            | Unit::ZoneHour
            | Unit::ZoneMinute
    );
    if of_clock {
        return Err(unsupported(&name, Date));
    }
    if !is_finite_date(days) {
        return Ok(of_infinity(unit, days > 0));
    }
    let days = i64::from(days);
    match unit {
        Unit::Julian => Ok(Part::Whole(days + EPOCH_JULIAN)),
        Unit::Epoch => Ok(Part::Whole((days + UNIX_DAYS) * 86_400)),
        _ => of_day(unit, days).ok_or_else(|| unsupported(&name, Date)),
    }
}

fn time(name: &str, time: i64) -> Result<Part> {
    let (unit, name) = unit_named(name, Time)?;
    match unit {
        Unit::Epoch => Ok(Part::Scaled(time, 6)),
        _ => of_time(unit, time).ok_or_else(|| unsupported(&name, Time)),
    }
}

fn time_tz(name: &str, (time, west): (i64, i32)) -> Result<Part> {
    let (unit, name) = unit_named(name, TimeTz)?;
    match unit {
        Unit::Epoch => Ok(Part::Scaled(time + i64::from(west) * SECOND, 6)),
        _ => of_time(unit, time)
            .or_else(|| of_zone(unit, -i64::from(west)))
            .ok_or_else(|| unsupported(&name, TimeTz)),
    }
}

/// Seconds in a year of 365.25 days and in a month of 30.
const YEAR_SECONDS: i64 = 31_557_600;
const MONTH_SECONDS: i64 = 30 * 86_400;

fn interval(name: &str, it: Interval) -> Result<Part> {
    let (unit, name) = unit_named(name, PgType::Interval)?;
    let months = i64::from(it.months);
    let year = months / 12;
    Ok(match unit {
        Unit::Epoch => {
            let days =
                year * YEAR_SECONDS + months % 12 * MONTH_SECONDS + i64::from(it.days) * 86_400;
            match days.checked_mul(SECOND).and_then(|days| days.checked_add(it.microseconds)) {
                Some(total) => Part::Scaled(total, 6),
                None => return Err(crate::types::datetime::interval::out_of_range()),
            }
        }
        Unit::Day => Part::Whole(i64::from(it.days)),
        Unit::Month => Part::Whole(months % 12),
        Unit::Quarter => Part::Whole(months % 12 / 3 + 1),
        Unit::Year => Part::Whole(year),
        Unit::Decade => Part::Whole(year / 10),
        Unit::Century => Part::Whole(year / 100),
        Unit::Millennium => Part::Whole(year / 1000),
        _ => of_time(unit, it.microseconds).ok_or_else(|| unsupported(&name, PgType::Interval))?,
    })
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(6202, "extract", &[Text, Timestamp], PgType::Numeric, |_, a| timestamp(a.text(0)?, a.timestamp(1)?)?.numeric()),
    f(6203, "extract", &[Text, TimestampTz], PgType::Numeric, |c, a| timestamp_tz(c, a.text(0)?, a.timestamp_tz(1)?)?.numeric()).stable(),
    f(6199, "extract", &[Text, Date], PgType::Numeric, |_, a| date(a.text(0)?, a.date(1)?)?.numeric()),
    f(6200, "extract", &[Text, Time], PgType::Numeric, |_, a| time(a.text(0)?, a.time(1)?)?.numeric()),
    f(6201, "extract", &[Text, TimeTz], PgType::Numeric, |_, a| time_tz(a.text(0)?, a.time_tz(1)?)?.numeric()),
    f(6204, "extract", &[Text, PgType::Interval], PgType::Numeric, |_, a| interval(a.text(0)?, a.interval(1)?)?.numeric()),
    f(2021, "date_part", &[Text, Timestamp], Float8, |_, a| Ok(timestamp(a.text(0)?, a.timestamp(1)?)?.float())),
    f(1171, "date_part", &[Text, TimestampTz], Float8, |c, a| Ok(timestamp_tz(c, a.text(0)?, a.timestamp_tz(1)?)?.float())).stable(),
    f(1384, "date_part", &[Text, Date], Float8, |_, a| Ok(timestamp(a.text(0)?, crate::types::datetime::arithmetic::date_to_timestamp(a.date(1)?)?)?.float())),
    f(1385, "date_part", &[Text, Time], Float8, |_, a| Ok(time(a.text(0)?, a.time(1)?)?.float())),
    f(1273, "date_part", &[Text, TimeTz], Float8, |_, a| Ok(time_tz(a.text(0)?, a.time_tz(1)?)?.float())),
    f(1172, "date_part", &[Text, PgType::Interval], Float8, |_, a| Ok(interval(a.text(0)?, a.interval(1)?)?.float())),
];
