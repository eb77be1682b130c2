//! The ISO forms of dates and times, and the `postgres` style of intervals.

use jiff::tz::TimeZone;

use super::calendar::civil;
use super::style::write_styled;
use super::{DATE_INFINITY, DATE_MINUS_INFINITY, DAY, HOUR, MINUTE, SECOND};
use super::{TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY, zone};
use crate::exec::Settings;
use crate::types::{Datum, Interval};

/// Writes a value as the settings of a session ask for.
pub fn write_in(value: &Datum, settings: &Settings, out: &mut Vec<u8>) {
    let styled =
        write_styled(value, &settings.time_zone, settings.date_style, settings.interval_style, out);
    if !styled {
        write(value, &settings.time_zone, out);
    }
}

/// Writes a value of one of the types of this module in the ISO form; anything else writes nothing.
pub fn write(value: &Datum, zone: &TimeZone, out: &mut Vec<u8>) {
    match value {
        Datum::Date(it) => write_date(*it, out),
        Datum::Time(it) => write_time(*it, out),
        Datum::TimeTz(time, west) => {
            write_time(*time, out);
            write_offset(-i64::from(*west), out);
        }
        Datum::Timestamp(it) => write_timestamp(*it, None, out),
        Datum::TimestampTz(it) => write_timestamp(*it, Some(zone), out),
        Datum::Interval(it) => write_interval(*it, out),
        _ => {}
    }
}

/// Writes a number with at least so many digits.
pub(super) fn padded(value: i64, width: usize, out: &mut Vec<u8>) {
    if (0..100).contains(&value) && width == 2 {
        let value = u8::try_from(value).expect("below 100");
        out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
    } else {
        out.extend_from_slice(format!("{value:0width$}").as_bytes());
    }
}

pub(super) fn write_infinity(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(if value < 0 { b"-infinity" } else { b"infinity" });
}

/// The day; whether it is before Christ has still to be said.
fn write_day(days: i64, out: &mut Vec<u8>) -> bool {
    let day = civil(days);
    let before_christ = day.year <= 0;
    padded(if before_christ { 1 - day.year } else { day.year }, 4, out);
    out.push(b'-');
    padded(day.month, 2, out);
    out.push(b'-');
    padded(day.day, 2, out);
    before_christ
}

fn write_date(days: i32, out: &mut Vec<u8>) {
    if days == DATE_INFINITY || days == DATE_MINUS_INFINITY {
        return write_infinity(i64::from(days), out);
    }
    if write_day(i64::from(days), out) {
        out.extend_from_slice(b" BC");
    }
}

pub(super) fn write_fraction(microseconds: i64, out: &mut Vec<u8>) {
    if microseconds != 0 {
        out.push(b'.');
        padded(microseconds, 6, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

pub(super) fn write_time(microseconds: i64, out: &mut Vec<u8>) {
    padded(microseconds / HOUR, 2, out);
    out.push(b':');
    padded(microseconds / MINUTE % 60, 2, out);
    out.push(b':');
    padded(microseconds / SECOND % 60, 2, out);
    write_fraction(microseconds % SECOND, out);
}

/// Writes seconds east of UTC.
pub(crate) fn write_offset(seconds: i64, out: &mut Vec<u8>) {
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let magnitude = seconds.abs();
    padded(magnitude / 3600, 2, out);
    if magnitude % 3600 != 0 {
        out.push(b':');
        padded(magnitude / 60 % 60, 2, out);
    }
    if magnitude % 60 != 0 {
        out.push(b':');
        padded(magnitude % 60, 2, out);
    }
}

/// Writes a timestamp; with a zone, its local time and offset there.
pub(crate) fn write_timestamp(microseconds: i64, zone: Option<&TimeZone>, out: &mut Vec<u8>) {
    if microseconds == TIMESTAMP_INFINITY || microseconds == TIMESTAMP_MINUS_INFINITY {
        return write_infinity(microseconds, out);
    }
    let offset = zone.map(|zone| zone::offset_at(zone, microseconds));
    let local = microseconds.saturating_add(offset.unwrap_or(0) * SECOND);
    let before_christ = write_day(local.div_euclid(DAY), out);
    out.push(b' ');
    write_time(local.rem_euclid(DAY), out);
    if let Some(offset) = offset {
        write_offset(offset, out);
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// Writes a date or timestamp as XML and JSON want it: with a `T`, and minutes in the offset.
pub(crate) fn write_iso(value: &Datum, zone: &TimeZone, out: &mut Vec<u8>) {
    let start = out.len();
    write(value, zone, out);
    if let Some(space) = out[start..].iter().position(|byte| *byte == b' ')
        && out.get(start + space + 1).is_some_and(u8::is_ascii_digit)
    {
        out[start + space] = b'T';
    }
    if let Datum::TimestampTz(moment) = value
        && *moment != TIMESTAMP_INFINITY
        && *moment != TIMESTAMP_MINUS_INFINITY
        && zone::offset_at(zone, *moment) % 3600 == 0
    {
        // The offset stands at the end, or before the era.
        let end = if out.ends_with(b" BC") { out.len() - 3 } else { out.len() };
        out.splice(end..end, *b":00");
    }
}

/// Writes an interval in the `postgres` style.
pub(crate) fn write_interval(interval: Interval, out: &mut Vec<u8>) {
    let start = out.len();
    let mut negative_before = false;
    let months = i64::from(interval.months);
    for (value, unit) in
        [(months / 12, "year"), (months % 12, "mon"), (i64::from(interval.days), "day")]
    {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if negative_before && value > 0 {
            out.push(b'+');
        }
        out.extend_from_slice(format!("{value} {unit}").as_bytes());
        if value != 1 {
            out.push(b's');
        }
        negative_before = value < 0;
    }
    let time = interval.microseconds;
    if out.len() > start && time == 0 {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    if time < 0 {
        out.push(b'-');
    } else if negative_before {
        out.push(b'+');
    }
    write_clock(time.unsigned_abs(), out);
}

/// A time that may be longer than a day.
fn write_clock(microseconds: u64, out: &mut Vec<u8>) {
    let part = |value: u64| i64::try_from(value).unwrap_or(0);
    padded(part(microseconds / 3_600_000_000), 2, out);
    out.push(b':');
    padded(part(microseconds / 60_000_000 % 60), 2, out);
    out.push(b':');
    padded(part(microseconds / 1_000_000 % 60), 2, out);
    write_fraction(part(microseconds % 1_000_000), out);
}
