//! `RANGE` offsets: a key's value moved by a distance, without overflow.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Span};

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::Env;
use crate::exec::key::compare;
use crate::types::{Datum, Interval, Numeric};

/// A distance, not negative.
pub(super) struct RangeOffset<'a> {
    value: Cow<'a, Datum>,
}

/// The value at a distance from a key.
pub(super) enum Limit {
    Integer(i128),
    Float(f64),
    Other(Datum),
}

impl<'a> RangeOffset<'a> {
    /// An offset that has been evaluated.
    pub(super) fn new(value: Cow<'a, Datum>) -> Result<Self> {
        let negative = match &*value {
            Datum::Int2(value) => *value < 0,
            Datum::Int4(value) => *value < 0,
            Datum::Int8(value) => *value < 0,
            Datum::Float4(value) => *value < 0.0 || value.is_nan(),
            Datum::Float8(value) => *value < 0.0 || value.is_nan(),
            Datum::Numeric(value) => match &**value {
                Numeric::Finite { coefficient, .. } => {
                    coefficient.sign() == num_bigint::Sign::Minus
                }
                other => !matches!(other, Numeric::Infinity),
            },
            Datum::Interval(value) => {
                compare(&Datum::Interval(*value), &Datum::Interval(Interval::default())).is_lt()
            }
            _ => false,
        };
        if negative {
            return Err(SqlError::new(
                SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                "invalid preceding or following size in window function",
            ));
        }
        Ok(Self { value })
    }

    /// The key's value moved up or down.
    pub(super) fn apply(&self, key: &Datum, up: bool, env: &Env<'_>) -> Result<Limit> {
        if let (Some(key), Some(offset)) = (integer(key), integer(&self.value)) {
            return Ok(Limit::Integer(if up { key + offset } else { key - offset }));
        }
        if let (Some(key), Some(offset)) = (float(key), float(&self.value)) {
            return Ok(Limit::Float(if up { key + offset } else { key - offset }));
        }
        match (key, &*self.value) {
            (Datum::Date(days), Datum::Interval(offset)) => {
                let midnight = i64::from(*days).saturating_mul(DAY);
                Ok(Limit::Integer(i128::from(move_timestamp(midnight, *offset, up, None))))
            }
            (Datum::Timestamp(time), Datum::Interval(offset)) => {
                Ok(Limit::Integer(i128::from(move_timestamp(*time, *offset, up, None))))
            }
            (Datum::TimestampTz(time), Datum::Interval(offset)) => {
                let zone = &env.statement.context.settings.time_zone;
                Ok(Limit::Integer(i128::from(move_timestamp(*time, *offset, up, Some(zone)))))
            }
            (Datum::Time(time), Datum::Interval(offset)) => {
                let distance = i128::from(offset.microseconds);
                Ok(Limit::Integer(i128::from(*time) + if up { distance } else { -distance }))
            }
            (Datum::Interval(key), Datum::Interval(offset)) => {
                Ok(Limit::Other(Datum::Interval(move_interval(*key, *offset, up))))
            }
            (Datum::Numeric(key), Datum::Numeric(offset)) => {
                Ok(Limit::Other(move_numeric(key, offset, up)))
            }
            _ => Err(SqlError::unsupported(
                "RANGE with offset PRECEDING/FOLLOWING is not supported for this type of column",
            )),
        }
    }
}

impl Limit {
    /// Compares the limit with another row's key.
    pub(super) fn compare(&self, other: &Datum) -> Ordering {
        match self {
            Self::Integer(limit) => limit.cmp(&position(other)),
            Self::Float(limit) => {
                compare(&Datum::Float8(*limit), &Datum::Float8(float(other).unwrap_or(f64::NAN)))
            }
            Self::Other(limit) => compare(limit, other),
        }
    }
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

fn integer(value: &Datum) -> Option<i128> {
    match value {
        Datum::Int2(value) => Some(i128::from(*value)),
        Datum::Int4(value) => Some(i128::from(*value)),
        Datum::Int8(value) => Some(i128::from(*value)),
        _ => None,
    }
}

/// A key as the number that [`Limit::Integer`] counts in.
fn position(value: &Datum) -> i128 {
    match value {
        Datum::Date(days) => i128::from(*days) * i128::from(DAY),
        Datum::Time(time) | Datum::Timestamp(time) | Datum::TimestampTz(time) => i128::from(*time),
        other => integer(other).unwrap_or(0),
    }
}

fn float(value: &Datum) -> Option<f64> {
    match value {
        Datum::Float4(value) => Some(f64::from(*value)),
        Datum::Float8(value) => Some(*value),
        _ => None,
    }
}

/// Moves a timestamp by months and days of the calendar (in a zone, if there is one), then by time. Beyond the
/// calendar's end it stays at the end: nothing lies behind it.
fn move_timestamp(time: i64, offset: Interval, up: bool, zone: Option<&jiff::tz::TimeZone>) -> i64 {
    if time == i64::MIN || time == i64::MAX {
        return time;
    }
    let sign = if up { 1 } else { -1 };
    let microseconds = offset.microseconds.saturating_mul(sign);
    if offset.months == 0 && offset.days == 0 {
        return time.saturating_add(microseconds);
    }
    let moved = move_calendar(time, offset, sign, zone);
    moved.map_or(if up { i64::MAX } else { i64::MIN }, |moved| moved.saturating_add(microseconds))
}

fn move_calendar(
    time: i64,
    offset: Interval,
    sign: i64,
    zone: Option<&jiff::tz::TimeZone>,
) -> Option<i64> {
    let epoch = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
    let span = Span::new()
        .try_months(i64::from(offset.months) * sign)
        .and_then(|span| span.try_days(i64::from(offset.days) * sign))
        .ok()?;
    let utc = epoch.checked_add(SignedDuration::from_micros(time)).ok()?;
    let Some(zone) = zone else {
        let moved = utc.checked_add(span).ok()?;
        return i64::try_from(moved.duration_since(epoch).as_micros()).ok();
    };
    let local = jiff::tz::TimeZone::UTC.to_timestamp(utc).ok()?.to_zoned(zone.clone()).datetime();
    let moved = zone.to_timestamp(local.checked_add(span).ok()?).ok()?;
    let moved = jiff::tz::TimeZone::UTC.to_datetime(moved);
    i64::try_from(moved.duration_since(epoch).as_micros()).ok()
}

fn move_interval(key: Interval, offset: Interval, up: bool) -> Interval {
    if up {
        Interval {
            months: key.months.saturating_add(offset.months),
            days: key.days.saturating_add(offset.days),
            microseconds: key.microseconds.saturating_add(offset.microseconds),
        }
    } else {
        Interval {
            months: key.months.saturating_sub(offset.months),
            days: key.days.saturating_sub(offset.days),
            microseconds: key.microseconds.saturating_sub(offset.microseconds),
        }
    }
}

fn move_numeric(key: &Numeric, offset: &Numeric, up: bool) -> Datum {
    let (
        Numeric::Finite { coefficient: key, scale: key_scale },
        Numeric::Finite { coefficient: offset, scale: offset_scale },
    ) = (key, offset)
    else {
        return Datum::Numeric(std::sync::Arc::new(match (key, up) {
            (Numeric::Finite { .. }, true) => Numeric::Infinity,
            (Numeric::Finite { .. }, false) => Numeric::NegativeInfinity,
            (other, _) => other.clone(),
        }));
    };
    let scale = (*key_scale).max(*offset_scale);
    let ten = num_bigint::BigInt::from(10);
    let key = key * ten.pow(scale - key_scale);
    let offset = offset * ten.pow(scale - offset_scale);
    let coefficient = if up { key + offset } else { key - offset };
    Datum::Numeric(std::sync::Arc::new(Numeric::Finite { coefficient, scale }))
}
