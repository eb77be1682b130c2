//! Numbers within dates and times.

use super::DAY;
use super::error::ParseError;

/// A number and what follows it.
pub(super) struct Scanned<'a> {
    pub(super) value: i64,
    pub(super) rest: &'a str,
}

/// An `int` at the start of a text, as C's `strtol` reads it.
pub(super) fn integer(text: &str) -> Result<Scanned<'_>, ParseError> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(ParseError::Format);
    }
    let (number, rest) = text.split_at(sign + digits);
    let value = number.parse::<i32>().map_err(|_| ParseError::Field)?;
    Ok(Scanned { value: i64::from(value), rest })
}

/// Microseconds from `.ddd`, rounded.
pub(super) fn fraction(text: &str) -> Result<i64, ParseError> {
    let digits = text.strip_prefix('.').ok_or(ParseError::Format)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::Format);
    }
    Ok(to_i64((fraction_value(text) * 1e6).round_ties_even()))
}

/// `.ddd` as a float; `.` alone is 0.
pub(super) fn fraction_value(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}

/// Microseconds from a fraction of a day.
pub(super) fn part_of_day(text: &str) -> Result<i64, ParseError> {
    if !text[1..].bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::Format);
    }
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "a day has fewer microseconds than 2^53"
    )]
    let microseconds = fraction_value(text) * DAY as f64;
    Ok(to_i64(microseconds.trunc()))
}

/// A float cut to an integer.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "saturates, as it should"
)]
pub(super) fn to_i64(value: f64) -> i64 {
    value as i64
}

/// Seconds east of UTC from `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`.
pub(super) fn decode_zone(text: &str) -> Result<i64, ParseError> {
    let negative = match text.as_bytes().first() {
        Some(b'-') => true,
        Some(b'+') => false,
        _ => return Err(ParseError::Format),
    };
    let overflow = |error| match error {
        ParseError::Field => ParseError::Displacement,
        other => other,
    };
    let Scanned { value: mut hours, mut rest } = integer(&text[1..]).map_err(overflow)?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        Scanned { value: minutes, rest } = integer(after).map_err(overflow)?;
        if let Some(after) = rest.strip_prefix(':') {
            Scanned { value: seconds, rest } = integer(after).map_err(overflow)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hours, minutes) = (hours / 100, hours % 100);
    }
    if !(0..=15).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
        return Err(ParseError::Displacement);
    }
    if !rest.is_empty() {
        return Err(ParseError::Format);
    }
    let east = (hours * 60 + minutes) * 60 + seconds;
    Ok(if negative { -east } else { east })
}
