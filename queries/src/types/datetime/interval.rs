//! Reads intervals: PostgreSQL's own forms, the SQL standard's, and ISO 8601's.
//!
//! Source: `datetime.c` (`DecodeInterval`, `DecodeISO8601Interval`).

use super::decode::field;
use super::error::ParseError;
use super::number::{fraction_value, integer, to_i64};
use super::parts::{Kind, Part, split};
use super::style::IntervalStyle;
use super::token::{Unit, unit};
use super::{DAY, HOUR, MINUTE, SECOND};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Interval;
use crate::types::typmod::IntervalFields;

type Step<T = ()> = std::result::Result<T, ParseError>;

/// An interval that is being put together.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    months: i32,
    days: i32,
    microseconds: i64,
}

/// Reads an interval; the fields of its type modifier say what a bare number counts. In the SQL standard's style a sign
/// at the beginning that is the only one counts for all fields.
pub(crate) fn read(text: &str, fields: IntervalFields, style: IntervalStyle) -> Result<Interval> {
    let decoded = match split(text).and_then(|parts| {
        let sum = decode(&parts, fields)?;
        let one_sign = style == IntervalStyle::SqlStandard && is_signed_once(&parts);
        Ok(if one_sign { sum.negative() } else { sum })
    }) {
        Err(ParseError::Format) => decode_iso(text),
        other => other,
    };
    let sum = decoded.map_err(|error| match error {
        ParseError::Field => ParseError::Interval.report("interval", text),
        other => other.report("interval", text),
    })?;
    Ok(Interval { months: sum.months, days: sum.days, microseconds: sum.microseconds })
}

/// The error for an interval that is too large.
pub(crate) fn out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

fn is_signed_once(parts: &[Part]) -> bool {
    let [first, rest @ ..] = parts else { return false };
    first.text.starts_with('-') && !rest.iter().any(|part| part.text.starts_with(['-', '+']))
}

impl Sum {
    /// With all fields below zero, whatever they were.
    fn negative(self) -> Self {
        Self {
            months: -self.months.saturating_abs(),
            days: -self.days.saturating_abs(),
            microseconds: -self.microseconds.saturating_abs(),
        }
    }

    fn microseconds(&mut self, value: i64, fraction: f64, scale: i64) -> Step {
        let whole = value.checked_mul(scale).ok_or(ParseError::Field)?;
        self.microseconds = self.microseconds.checked_add(whole).ok_or(ParseError::Field)?;
        self.fraction(fraction, scale)
    }

    /// A fraction of a unit of so many microseconds.
    fn fraction(&mut self, fraction: f64, scale: i64) -> Step {
        if fraction == 0.0 {
            return Ok(());
        }
        let scaled = fraction * to_f64(scale);
        let mut whole = to_i64(scaled.trunc());
        let rest = scaled - to_f64(whole);
        if rest > 0.5 {
            whole += 1;
        } else if rest < -0.5 {
            whole -= 1;
        }
        self.microseconds = self.microseconds.checked_add(whole).ok_or(ParseError::Field)?;
        Ok(())
    }

    fn days(&mut self, value: i64, scale: i64) -> Step {
        let days = value.checked_mul(scale).and_then(|it| i32::try_from(it).ok());
        self.days = days.and_then(|it| self.days.checked_add(it)).ok_or(ParseError::Field)?;
        Ok(())
    }

    /// A fraction of a unit of so many days.
    fn day_fraction(&mut self, fraction: f64, scale: i64) -> Step {
        if fraction == 0.0 {
            return Ok(());
        }
        let scaled = fraction * to_f64(scale);
        let whole = to_i64(scaled.trunc());
        self.days(whole, 1)?;
        self.fraction(scaled - to_f64(whole), DAY)
    }

    fn months(&mut self, value: i64) -> Step {
        let months = i32::try_from(value).ok().and_then(|it| self.months.checked_add(it));
        self.months = months.ok_or(ParseError::Field)?;
        Ok(())
    }

    fn years(&mut self, value: i64, fraction: f64, scale: i64) -> Step {
        let years = value
            .checked_mul(scale)
            .and_then(|it| i32::try_from(it).ok())
            .ok_or(ParseError::Field)?;
        self.months(i64::from(years) * 12)?;
        self.months(to_i64((fraction * to_f64(scale) * 12.0).round_ties_even()))
    }

    fn add(&mut self, unit: Unit, value: i64, fraction: f64) -> Step {
        match unit {
            Unit::Microsecond => self.microseconds(value, fraction, 1),
            Unit::Millisecond => self.microseconds(value, fraction, 1000),
            Unit::Second => self.microseconds(value, fraction, SECOND),
            Unit::Minute => self.microseconds(value, fraction, MINUTE),
            Unit::Hour => self.microseconds(value, fraction, HOUR),
            Unit::Day => {
                self.days(value, 1)?;
                self.fraction(fraction, DAY)
            }
            Unit::Week => {
                self.days(value, 7)?;
                self.day_fraction(fraction, 7)
            }
            Unit::Month => {
                self.months(value)?;
                self.day_fraction(fraction, 30)
            }
            Unit::Year => self.years(value, fraction, 1),
            Unit::Decade => self.years(value, fraction, 10),
            Unit::Century => self.years(value, fraction, 100),
            Unit::Millennium => self.years(value, fraction, 1000),
            _ => Err(ParseError::Format),
        }
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "as C converts")]
fn to_f64(value: i64) -> f64 {
    value as f64
}

/// The bits of the fields that a unit gives, so that none is given twice.
fn bits(unit: Unit, fraction: f64) -> u32 {
    const WEEK: u32 = 1 << 20;
    match unit {
        Unit::Microsecond => field::FRACTION,
        Unit::Millisecond => field::MILLISECOND,
        Unit::Second if fraction == 0.0 => field::SECOND,
        Unit::Second => field::SECONDS,
        Unit::Minute => field::MINUTE,
        Unit::Hour => field::HOUR,
        Unit::Day => field::DAY,
        Unit::Week => WEEK,
        Unit::Month => field::MONTH,
        Unit::Year => field::YEAR,
        Unit::Decade => WEEK << 1,
        Unit::Century => WEEK << 2,
        _ => WEEK << 3,
    }
}

/// Decodes the fields from right to left, so that a unit is known before its number.
fn decode(parts: &[Part], fields: IntervalFields) -> Step<Sum> {
    let mut sum = Sum::default();
    let mut given = 0;
    let mut ago = false;
    let mut pending: Option<Unit> = None;
    for part in parts.iter().rev() {
        let text = part.text.as_str();
        let found = match part.kind {
            Kind::Time => {
                sum.microseconds = clock(text, fields)?;
                pending = Some(Unit::Day);
                field::TIME
            }
            Kind::Zone if text[1..].contains(':') && clock(&text[1..], fields).is_ok() => {
                let time = clock(&text[1..], fields)?;
                sum.microseconds = if text.starts_with('-') { -time } else { time };
                pending = Some(Unit::Day);
                field::TIME
            }
            Kind::Zone | Kind::Date | Kind::Number => {
                let unit = pending.unwrap_or(fields.rightmost());
                let (unit, value, fraction) = number(text, unit)?;
                sum.add(unit, value, fraction)?;
                pending = Some(if unit == Unit::Hour { Unit::Day } else { unit });
                bits(unit, fraction)
            }
            Kind::Word | Kind::Special => {
                if text == "ago" {
                    ago = true;
                    pending = Some(Unit::Second);
                } else {
                    pending = Some(unit(text).ok_or(ParseError::Format)?);
                }
                0
            }
        };
        if found & given != 0 {
            return Err(ParseError::Format);
        }
        given |= found;
    }
    if given == 0 {
        return Err(ParseError::Format);
    }
    if ago {
        sum.months = sum.months.checked_neg().ok_or(ParseError::Field)?;
        sum.days = sum.days.checked_neg().ok_or(ParseError::Field)?;
        sum.microseconds = sum.microseconds.checked_neg().ok_or(ParseError::Field)?;
    }
    Ok(sum)
}

/// A number with its unit; `years-months` changes the unit to months.
fn number(text: &str, unit: Unit) -> Step<(Unit, i64, f64)> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let negative = text.starts_with('-');
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(sign + digits);
    let value: i64 = if digits == 0 { 0 } else { whole.parse().map_err(|_| ParseError::Field)? };
    if let Some(months) = rest.strip_prefix('-') {
        let scanned = integer(months)?;
        if !(0..12).contains(&scanned.value) {
            return Err(ParseError::Field);
        }
        if !scanned.rest.is_empty() {
            return Err(ParseError::Format);
        }
        let months = if negative { -scanned.value } else { scanned.value };
        let total =
            value.checked_mul(12).and_then(|it| it.checked_add(months)).ok_or(ParseError::Field)?;
        return Ok((Unit::Month, total, 0.0));
    }
    if rest.is_empty() {
        return Ok((unit, value, 0.0));
    }
    if !rest.starts_with('.') || !rest[1..].bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::Format);
    }
    let fraction = fraction_value(rest);
    Ok((unit, value, if negative { -fraction } else { fraction }))
}

/// `hh:mm`, `hh:mm:ss.fff`, `mm:ss.fff`; hours may be many.
fn clock(text: &str, fields: IntervalFields) -> Step<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (hours, rest) = text.split_at(digits);
    let mut hours: i64 = hours.parse().map_err(|_| ParseError::Field)?;
    let after = rest.strip_prefix(':').ok_or(ParseError::Format)?;
    let scanned = integer(after)?;
    let (mut minutes, mut seconds, mut micros) = (scanned.value, 0, 0);
    match scanned.rest.as_bytes() {
        [] if fields.is_minute_to_second() => (hours, minutes, seconds) = (0, hours, minutes),
        [] => {}
        [b'.', ..] => {
            micros = super::number::fraction(scanned.rest)?;
            (hours, minutes, seconds) = (0, hours, minutes);
        }
        [b':', ..] => {
            let scanned = integer(&scanned.rest[1..])?;
            seconds = scanned.value;
            if !scanned.rest.is_empty() {
                micros = super::number::fraction(scanned.rest)?;
            }
        }
        _ => return Err(ParseError::Format),
    }
    if !(0..60).contains(&minutes) || !(0..=60).contains(&seconds) {
        return Err(ParseError::Field);
    }
    let whole = hours.checked_mul(HOUR).ok_or(ParseError::Field)?;
    whole.checked_add(minutes * MINUTE + seconds * SECOND + micros).ok_or(ParseError::Field)
}

/// A number within an ISO 8601 interval, with its fraction, and what follows.
fn iso_number(text: &str) -> Step<(i64, f64, &str)> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let length = sign
        + text[sign..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, rest) = text.split_at(length);
    if !number.starts_with(|it: char| it.is_ascii_digit() || it == '-' || it == '.') {
        return Err(ParseError::Format);
    }
    let value: f64 = number.parse().map_err(|_| ParseError::Format)?;
    if value.abs() > 1e15 {
        return Err(ParseError::Field);
    }
    Ok((to_i64(value.trunc()), value - value.trunc(), rest))
}

/// `P1Y2M3DT4H5M6S`, `P0001-02-03T04:05:06`, `P00010203T040506`.
fn decode_iso(text: &str) -> Step<Sum> {
    let mut sum = Sum::default();
    let mut rest =
        text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(ParseError::Format)?;
    let mut in_date = true;
    let mut have_field = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (in_date, have_field, rest) = (false, false, after);
            continue;
        }
        let width = rest.trim_start_matches('-').bytes().take_while(u8::is_ascii_digit).count();
        let (value, fraction, after) = iso_number(rest)?;
        let designator = after.bytes().next();
        let unit = match (in_date, designator) {
            (true, Some(b'Y')) => Unit::Year,
            (true, Some(b'M')) => Unit::Month,
            (true, Some(b'W')) => Unit::Week,
            (true, Some(b'D')) => Unit::Day,
            (false, Some(b'H')) => Unit::Hour,
            (false, Some(b'M')) => Unit::Minute,
            (false, Some(b'S')) => Unit::Second,
            (true, None | Some(b'T' | b'-')) if !have_field => {
                rest = alternative_date(&mut sum, width, rest)?;
                continue;
            }
            (false, None | Some(b':')) if !have_field => {
                alternative_time(&mut sum, width, rest)?;
                return Ok(sum);
            }
            _ => return Err(ParseError::Format),
        };
        sum.add(unit, value, fraction)?;
        rest = &after[1..];
        have_field = true;
    }
    Ok(sum)
}

/// The date of the alternative form; gives what follows, which starts with `T` or is empty.
fn alternative_date<'a>(sum: &mut Sum, width: usize, text: &'a str) -> Step<&'a str> {
    let (value, fraction, rest) = iso_number(text)?;
    if width == 8 && !rest.starts_with('-') {
        sum.years(value / 10_000, 0.0, 1)?;
        sum.months(value / 100 % 100)?;
        sum.days(value % 100, 1)?;
        sum.fraction(fraction, DAY)?;
        return Ok(rest);
    }
    sum.add(Unit::Year, value, fraction)?;
    let mut rest = rest;
    for unit in [Unit::Month, Unit::Day] {
        let Some(after) = rest.strip_prefix('-') else { return Ok(rest) };
        let (value, fraction, after) = iso_number(after)?;
        sum.add(unit, value, fraction)?;
        rest = after;
    }
    if rest.is_empty() || rest.starts_with('T') { Ok(rest) } else { Err(ParseError::Format) }
}

/// The time of the alternative form, which ends the text.
fn alternative_time(sum: &mut Sum, width: usize, text: &str) -> Step {
    let (value, fraction, rest) = iso_number(text)?;
    if width == 6 && rest.is_empty() {
        sum.add(Unit::Hour, value / 10_000, 0.0)?;
        sum.add(Unit::Minute, value / 100 % 100, 0.0)?;
        return sum.add(Unit::Second, value % 100, fraction);
    }
    sum.add(Unit::Hour, value, fraction)?;
    let mut rest = rest;
    for unit in [Unit::Minute, Unit::Second] {
        let Some(after) = rest.strip_prefix(':') else { break };
        let (value, fraction, after) = iso_number(after)?;
        sum.add(unit, value, fraction)?;
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(ParseError::Format) }
}
