//! Arithmetic of dates, timestamps and intervals.
//!
//! Months and days move the local date, and only then the time of day moves: with time zone, in the local time of
//! the session.

use jiff::tz::TimeZone;

use super::calendar::{self, Civil};
use super::{
    DATE_INFINITY, DATE_MINUS_INFINITY, DAY, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
    TIMESTAMP_RANGE, interval, zone,
};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Interval;

fn overflow(message: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// The error for a timestamp beyond the limits.
pub(crate) fn timestamp_out_of_range() -> SqlError {
    overflow("timestamp out of range")
}

/// The error for a date beyond the limits.
pub(crate) fn date_out_of_range() -> SqlError {
    overflow("date out of range")
}

/// Whether a timestamp is not infinite.
pub(crate) fn is_finite(timestamp: i64) -> bool {
    timestamp != TIMESTAMP_INFINITY && timestamp != TIMESTAMP_MINUS_INFINITY
}

/// Whether a date is not infinite.
pub(crate) fn is_finite_date(date: i32) -> bool {
    date != DATE_INFINITY && date != DATE_MINUS_INFINITY
}

/// A timestamp within the limits.
pub(crate) fn checked(timestamp: Option<i64>) -> Result<i64> {
    timestamp.filter(|it| TIMESTAMP_RANGE.contains(it)).ok_or_else(timestamp_out_of_range)
}

/// A date at midnight.
pub(crate) fn date_to_timestamp(date: i32) -> Result<i64> {
    match date {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_MINUS_INFINITY => Ok(TIMESTAMP_MINUS_INFINITY),
        _ => i64::from(date)
            .checked_mul(DAY)
            .filter(|it| TIMESTAMP_RANGE.contains(it))
            .ok_or_else(|| overflow("date out of range for timestamp")),
    }
}

/// A local time as a moment.
pub(crate) fn local_to_utc(local: i64, zone: &TimeZone) -> Result<i64> {
    if !is_finite(local) {
        return Ok(local);
    }
    checked(local.checked_sub(zone::offset_of_local(zone, local) * SECOND))
}

/// A moment as a local time.
pub(crate) fn utc_to_local(utc: i64, zone: &TimeZone) -> i64 {
    if is_finite(utc) { zone::to_local(zone, utc) } else { utc }
}

/// The day of a local time.
pub(crate) fn day_of(local: i64) -> i32 {
    match local {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_MINUS_INFINITY => DATE_MINUS_INFINITY,
        _ => i32::try_from(local.div_euclid(DAY)).unwrap_or(DATE_INFINITY),
    }
}

/// A local time so many months later; the day is at most the last of its month.
fn add_months(local: i64, months: i32) -> Option<i64> {
    if months == 0 {
        return Some(local);
    }
    let Civil { year, month, day } = calendar::civil(local.div_euclid(DAY));
    let total = year * 12 + (month - 1) + i64::from(months);
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let day = day.min(calendar::month_days(year, month));
    calendar::days(year, month, day).checked_mul(DAY)?.checked_add(local.rem_euclid(DAY))
}

fn add_days(local: i64, days: i32) -> Option<i64> {
    local.checked_add(i64::from(days) * DAY)
}

/// `timestamp + interval`.
pub(crate) fn add(timestamp: i64, interval: Interval) -> Result<i64> {
    if !is_finite(timestamp) {
        return Ok(timestamp);
    }
    let moved = checked(add_months(timestamp, interval.months))?;
    let moved = checked(add_days(moved, interval.days))?;
    checked(moved.checked_add(interval.microseconds))
}

/// `timestamptz + interval`.
pub(crate) fn add_with_zone(timestamp: i64, interval: Interval, zone: &TimeZone) -> Result<i64> {
    if !is_finite(timestamp) {
        return Ok(timestamp);
    }
    let mut moved = timestamp;
    if interval.months != 0 {
        let local = checked(add_months(zone::to_local(zone, moved), interval.months))?;
        moved = local_to_utc(local, zone)?;
    }
    if interval.days != 0 {
        let local = checked(add_days(zone::to_local(zone, moved), interval.days))?;
        moved = local_to_utc(local, zone)?;
    }
    checked(moved.checked_add(interval.microseconds))
}

/// The time between two timestamps, as days and a time.
pub(crate) fn difference(left: i64, right: i64) -> Result<Interval> {
    if !is_finite(left) || !is_finite(right) {
        return Err(overflow("cannot subtract infinite timestamps"));
    }
    let microseconds = left.checked_sub(right).ok_or_else(interval::out_of_range)?;
    justify_hours(Interval { months: 0, days: 0, microseconds })
}

/// `-interval`.
pub(crate) fn negate(it: Interval) -> Result<Interval> {
    let parts = (it.months.checked_neg(), it.days.checked_neg(), it.microseconds.checked_neg());
    let (Some(months), Some(days), Some(microseconds)) = parts else {
        return Err(interval::out_of_range());
    };
    Ok(Interval { months, days, microseconds })
}

/// `interval + interval`.
pub(crate) fn sum(a: Interval, b: Interval) -> Result<Interval> {
    let parts = (
        a.months.checked_add(b.months),
        a.days.checked_add(b.days),
        a.microseconds.checked_add(b.microseconds),
    );
    let (Some(months), Some(days), Some(microseconds)) = parts else {
        return Err(interval::out_of_range());
    };
    Ok(Interval { months, days, microseconds })
}

/// Rounded to microseconds, as PostgreSQL rounds seconds in floats.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "checked before")]
fn to_i32(value: f64) -> Result<i32> {
    if value.is_nan() || value > f64::from(i32::MAX) || value < f64::from(i32::MIN) {
        return Err(interval::out_of_range());
    }
    Ok(value as i32)
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "checked before")]
fn to_i64(value: f64) -> Result<i64> {
    if value.is_nan()
        || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value)
    {
        return Err(interval::out_of_range());
    }
    Ok(value as i64)
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "as C converts")]
fn to_f64(value: i64) -> f64 {
    value as f64
}

/// An interval times a factor; what is less than a month becomes days, and what is less than a day becomes time.
pub(crate) fn scale(it: Interval, by: impl Fn(f64) -> f64) -> Result<Interval> {
    const DAY_SECONDS: f64 = 86_400.0;
    let (exact_months, exact_days) = (by(f64::from(it.months)), by(f64::from(it.days)));
    let (months, mut days) = (to_i32(exact_months)?, to_i32(exact_days)?);
    let month_days = rounded((exact_months - f64::from(months)) * 30.0);
    let mut seconds =
        rounded((exact_days - f64::from(days) + month_days - month_days.trunc()) * DAY_SECONDS);
    let whole = (seconds / DAY_SECONDS).trunc();
    if seconds.abs() >= DAY_SECONDS {
        days = days.checked_add(to_i32(whole)?).ok_or_else(interval::out_of_range)?;
        seconds -= whole * DAY_SECONDS;
    }
    days = days.checked_add(to_i32(month_days)?).ok_or_else(interval::out_of_range)?;
    let microseconds = to_i64((by(to_f64(it.microseconds)) + seconds * 1e6).round_ties_even())?;
    Ok(Interval { months, days, microseconds })
}

/// Whole days out of the time.
pub(crate) fn justify_hours(mut it: Interval) -> Result<Interval> {
    let whole = it.microseconds / DAY;
    it.microseconds -= whole * DAY;
    let days = i32::try_from(whole).ok().and_then(|whole| it.days.checked_add(whole));
    it.days = days.ok_or_else(interval::out_of_range)?;
    if it.days > 0 && it.microseconds < 0 {
        it.microseconds += DAY;
        it.days -= 1;
    } else if it.days < 0 && it.microseconds > 0 {
        it.microseconds -= DAY;
        it.days += 1;
    }
    Ok(it)
}

/// Whole months of 30 days out of the days.
pub(crate) fn justify_days(mut it: Interval) -> Result<Interval> {
    let whole = it.days / 30;
    it.days -= whole * 30;
    it.months = it.months.checked_add(whole).ok_or_else(interval::out_of_range)?;
    if it.months > 0 && it.days < 0 {
        it.days += 30;
        it.months -= 1;
    } else if it.months < 0 && it.days > 0 {
        it.days -= 30;
        it.months += 1;
    }
    Ok(it)
}

/// Both, and all parts with one sign.
pub(crate) fn justify_interval(mut it: Interval) -> Result<Interval> {
    let whole = it.microseconds / DAY;
    it.microseconds -= whole * DAY;
    let days = i64::from(it.days) + whole;
    let months = i64::from(it.months) + days / 30;
    it.days = i32::try_from(days % 30).map_err(|_| interval::out_of_range())?;
    it.months = i32::try_from(months).map_err(|_| interval::out_of_range())?;
    let below = |it: &Interval| it.days < 0 || (it.days == 0 && it.microseconds < 0);
    let above = |it: &Interval| it.days > 0 || (it.days == 0 && it.microseconds > 0);
    if it.months > 0 && below(&it) {
        it.days += 30;
        it.months -= 1;
    } else if it.months < 0 && above(&it) {
        it.days -= 30;
        it.months += 1;
    }
    if it.days > 0 && it.microseconds < 0 {
        it.microseconds += DAY;
        it.days -= 1;
    } else if it.days < 0 && it.microseconds > 0 {
        it.microseconds -= DAY;
        it.days += 1;
    }
    Ok(it)
}

/// The time between two local times in years, months, days and a time.
pub(crate) fn age(left: i64, right: i64) -> Result<Interval> {
    if !is_finite(left) || !is_finite(right) {
        return Err(timestamp_out_of_range());
    }
    let (later, earlier) = if left < right { (right, left) } else { (left, right) };
    let (a, b) = (calendar::civil(later.div_euclid(DAY)), calendar::civil(earlier.div_euclid(DAY)));
    let mut months = (a.year - b.year) * 12 + a.month - b.month;
    let mut days = a.day - b.day;
    let mut time = later.rem_euclid(DAY) - earlier.rem_euclid(DAY);
    if time < 0 {
        time += DAY;
        days -= 1;
    }
    if days < 0 {
        // The days of the month of the earlier day.
        days += calendar::month_days(b.year, b.month);
        months -= 1;
    }
    let fit = |value: i64| i32::try_from(value).map_err(|_| interval::out_of_range());
    let found = Interval { months: fit(months)?, days: fit(days)?, microseconds: time };
    if left < right { negate(found) } else { Ok(found) }
}

/// A timestamp cut to the start of the bin it lies in.
pub(crate) fn bin(stride: Interval, timestamp: i64, origin: i64) -> Result<i64> {
    if !is_finite(timestamp) {
        return Ok(timestamp);
    }
    if !is_finite(origin) {
        return Err(overflow("origin out of range"));
    }
    if stride.months != 0 {
        return Err(SqlError::unsupported(
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let width = (i64::from(stride.days) * DAY)
        .checked_add(stride.microseconds)
        .ok_or_else(interval::out_of_range)?;
    if width <= 0 {
        return Err(overflow("stride must be greater than zero"));
    }
    let difference = timestamp.checked_sub(origin).ok_or_else(interval::out_of_range)?;
    checked(origin.checked_add(difference - difference.rem_euclid(width)))
}

/// A time or a fraction rounded to so many decimal places of seconds.
pub(crate) fn round_to(microseconds: i64, places: i32) -> i64 {
    const UNITS: [i64; 7] = [1_000_000, 100_000, 10_000, 1000, 100, 10, 1];
    let unit = usize::try_from(places).ok().and_then(|it| UNITS.get(it)).copied().unwrap_or(1);
    let half = unit / 2;
    if microseconds >= 0 {
        microseconds.saturating_add(half) / unit * unit
    } else {
        -(microseconds.saturating_neg().saturating_add(half) / unit * unit)
    }
}
