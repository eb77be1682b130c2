//! How dates and intervals are written, and in what order their numbers are read: `DateStyle` and `IntervalStyle`.
//!
//! Source: `datetime.c` (`EncodeDateOnly`, `EncodeDateTime`, `EncodeInterval`).

use jiff::tz::TimeZone;

use super::calendar::{Civil, civil};
use super::write::{
    padded, write_fraction, write_infinity, write_interval, write_offset, write_time,
};
use super::{DATE_INFINITY, DATE_MINUS_INFINITY, DAY, HOUR, MINUTE, SECOND};
use super::{TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY, zone};
use crate::types::{Datum, Interval};

/// The form in which dates are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum DateForm {
    #[default]
    Iso,
    Postgres,
    Sql,
    German,
}

/// In what order the numbers of a date are read, and in most forms written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

/// `DateStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DateStyle {
    /// The form.
    pub form: DateForm,
    /// The order.
    pub order: DateOrder,
}

/// `IntervalStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum IntervalStyle {
    #[default]
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

impl DateStyle {
    /// The style that a list of words sets, over the present one; what is wrong if they are no words of a style or
    /// contradict each other.
    pub fn parse(words: &str, present: Self) -> Result<Self, String> {
        let (mut form, mut order, mut implied) = (None, None, None);
        for word in words.split(',').map(|word| word.trim().to_ascii_lowercase()) {
            let (new_form, new_order) = match word.as_str() {
                "iso" => (Some(DateForm::Iso), None),
                "sql" => (Some(DateForm::Sql), None),
                "german" => {
                    implied = Some(DateOrder::Dmy);
                    (Some(DateForm::German), None)
                }
                "ymd" => (None, Some(DateOrder::Ymd)),
                "dmy" => (None, Some(DateOrder::Dmy)),
                "mdy" | "us" => (None, Some(DateOrder::Mdy)),
                "default" => {
                    form.get_or_insert(DateForm::Iso);
                    order.get_or_insert(DateOrder::Mdy);
                    continue;
                }
                word if word.starts_with("postgres") => (Some(DateForm::Postgres), None),
                word if word.starts_with("euro") => (None, Some(DateOrder::Dmy)),
                word if word.starts_with("noneuro") => (None, Some(DateOrder::Mdy)),
                word => return Err(format!("Unrecognized key word: \"{word}\".")),
            };
            let clash = new_form.is_some_and(|new| form.is_some_and(|old| old != new))
                || new_order.is_some_and(|new| order.is_some_and(|old| old != new));
            if clash {
                return Err("Conflicting \"datestyle\" specifications.".to_owned());
            }
            form = form.or(new_form);
            order = order.or(new_order);
        }
        Ok(Self {
            form: form.unwrap_or(present.form),
            order: order.or(implied).unwrap_or(present.order),
        })
    }

    /// The words that `SHOW` gives.
    pub fn name(self) -> String {
        let form = match self.form {
            DateForm::Iso => "ISO",
            DateForm::Postgres => "Postgres",
            DateForm::Sql => "SQL",
            DateForm::German => "German",
        };
        let order = match self.order {
            DateOrder::Mdy => "MDY",
            DateOrder::Dmy => "DMY",
            DateOrder::Ymd => "YMD",
        };
        format!("{form}, {order}")
    }
}

impl IntervalStyle {
    /// The style with a name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "postgres" => Self::Postgres,
            "postgres_verbose" => Self::PostgresVerbose,
            "sql_standard" => Self::SqlStandard,
            "iso_8601" => Self::Iso8601,
            _ => return None,
        })
    }
}

/// Writes a date, a time stamp or an interval in the styles of a session; whether it was one whose style is another
/// than the usual one.
pub(super) fn write_styled(
    value: &Datum,
    zone: &TimeZone,
    style: DateStyle,
    intervals: IntervalStyle,
    out: &mut Vec<u8>,
) -> bool {
    match value {
        Datum::Interval(it) if intervals != IntervalStyle::Postgres => {
            interval(*it, intervals, out);
        }
        Datum::Date(it) if style.form != DateForm::Iso => date(*it, style, out),
        Datum::Timestamp(it) if style.form != DateForm::Iso => timestamp(*it, None, style, out),
        Datum::TimestampTz(it) if style.form != DateForm::Iso => {
            timestamp(*it, Some(zone), style, out);
        }
        _ => return false,
    }
    true
}

fn date(days: i32, style: DateStyle, out: &mut Vec<u8>) {
    if days == DATE_INFINITY || days == DATE_MINUS_INFINITY {
        return write_infinity(i64::from(days), out);
    }
    let day = civil(i64::from(days));
    let separator = match style.form {
        DateForm::Sql => b'/',
        DateForm::German => b'.',
        DateForm::Postgres | DateForm::Iso => b'-',
    };
    numbers(&day, separator, style, out);
    era(&day, out);
}

/// Day, month and year with a separator.
fn numbers(day: &Civil, separator: u8, style: DateStyle, out: &mut Vec<u8>) {
    let day_first = style.form == DateForm::German || style.order == DateOrder::Dmy;
    let (first, second) = if day_first { (day.day, day.month) } else { (day.month, day.day) };
    padded(first, 2, out);
    out.push(separator);
    padded(second, 2, out);
    out.push(separator);
    padded(shown_year(day), 4, out);
}

fn shown_year(day: &Civil) -> i64 {
    if day.year <= 0 { 1 - day.year } else { day.year }
}

fn era(day: &Civil, out: &mut Vec<u8>) {
    if day.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn timestamp(microseconds: i64, zone: Option<&TimeZone>, style: DateStyle, out: &mut Vec<u8>) {
    const WEEKDAYS: [&str; 7] = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if microseconds == TIMESTAMP_INFINITY || microseconds == TIMESTAMP_MINUS_INFINITY {
        return write_infinity(microseconds, out);
    }
    let offset = zone.map_or(0, |zone| zone::offset_at(zone, microseconds));
    let local = microseconds.saturating_add(offset * SECOND);
    let days = local.div_euclid(DAY);
    let day = civil(days);
    if style.form == DateForm::Postgres {
        let name = |names: &[&'static str], at: i64| {
            usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or_default()
        };
        // 2000-01-01 was a Saturday.
        out.extend_from_slice(name(&WEEKDAYS, days.rem_euclid(7)).as_bytes());
        out.push(b' ');
        let month = name(&MONTHS, day.month - 1).as_bytes();
        if style.order == DateOrder::Dmy {
            padded(day.day, 2, out);
            out.push(b' ');
            out.extend_from_slice(month);
        } else {
            out.extend_from_slice(month);
            out.push(b' ');
            padded(day.day, 2, out);
        }
        out.push(b' ');
        write_time(local.rem_euclid(DAY), out);
        out.push(b' ');
        padded(shown_year(&day), 4, out);
    } else {
        numbers(&day, if style.form == DateForm::Sql { b'/' } else { b'.' }, style, out);
        out.push(b' ');
        write_time(local.rem_euclid(DAY), out);
    }
    if let Some(zone) = zone {
        let (abbreviation, _) = zone::abbreviation_at(zone, microseconds);
        out.push(b' ');
        if abbreviation.is_empty() {
            write_offset(offset, out);
        } else {
            out.extend_from_slice(abbreviation.as_bytes());
        }
    }
    era(&day, out);
}

/// The parts of an interval, each with its sign.
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    microseconds: i64,
}

impl Parts {
    fn of(interval: Interval) -> Self {
        let (months, time) = (i64::from(interval.months), interval.microseconds);
        Self {
            years: months / 12,
            months: months % 12,
            days: i64::from(interval.days),
            hours: time / HOUR,
            minutes: time / MINUTE % 60,
            seconds: time / SECOND % 60,
            microseconds: time % SECOND,
        }
    }

    fn all(&self) -> [i64; 7] {
        let Self { years, months, days, hours, minutes, seconds, microseconds } = *self;
        [years, months, days, hours, minutes, seconds, microseconds]
    }

    fn negated(&self) -> Self {
        let [years, months, days, hours, minutes, seconds, microseconds] =
            self.all().map(|part| -part);
        Self { years, months, days, hours, minutes, seconds, microseconds }
    }

    /// Seconds and their fraction without a sign, with at least so many digits.
    fn write_seconds(&self, digits: usize, out: &mut Vec<u8>) {
        padded(self.seconds.abs(), digits, out);
        write_fraction(self.microseconds.abs(), out);
    }
}

fn interval(interval: Interval, style: IntervalStyle, out: &mut Vec<u8>) {
    let parts = Parts::of(interval);
    match style {
        IntervalStyle::Postgres => write_interval(interval, out),
        IntervalStyle::PostgresVerbose => verbose(&parts, out),
        IntervalStyle::SqlStandard => standard(&parts, out),
        IntervalStyle::Iso8601 => iso(&parts, out),
    }
}

fn verbose(parts: &Parts, out: &mut Vec<u8>) {
    out.push(b'@');
    let (mut zero, mut before) = (true, false);
    let units = [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
        (parts.hours, "hour"),
        (parts.minutes, "min"),
    ];
    for (value, unit) in units.into_iter().filter(|(value, _)| *value != 0) {
        if zero {
            before = value < 0;
        }
        let value = if before { -value } else { value };
        let plural = if value == 1 { "" } else { "s" };
        out.extend_from_slice(format!(" {value} {unit}{plural}").as_bytes());
        zero = false;
    }
    if parts.seconds != 0 || parts.microseconds != 0 {
        out.push(b' ');
        if parts.seconds < 0 || parts.microseconds < 0 {
            if zero {
                before = true;
            } else if !before {
                out.push(b'-');
            }
        } else if before {
            out.push(b'-');
        }
        parts.write_seconds(1, out);
        let one = parts.seconds.abs() == 1 && parts.microseconds == 0;
        out.extend_from_slice(if one { b" sec" } else { b" secs" });
        zero = false;
    }
    if zero {
        out.extend_from_slice(b" 0");
    }
    if before {
        out.extend_from_slice(b" ago");
    }
}

fn standard(parts: &Parts, out: &mut Vec<u8>) {
    let negative = parts.all().iter().any(|part| *part < 0);
    let positive = parts.all().iter().any(|part| *part > 0);
    let has_months = parts.years != 0 || parts.months != 0;
    let has_time = parts.all()[3..].iter().any(|part| *part != 0);
    if !negative && !positive {
        return out.push(b'0');
    }
    let sign = |negative: bool| if negative { '-' } else { '+' };
    if (negative && positive) || (has_months && (parts.days != 0 || has_time)) {
        let text = format!(
            "{}{}-{} {}{} {}{}:{:02}:",
            sign(parts.years < 0 || parts.months < 0),
            parts.years.abs(),
            parts.months.abs(),
            sign(parts.days < 0),
            parts.days.abs(),
            sign(parts.all()[3..].iter().any(|part| *part < 0)),
            parts.hours.abs(),
            parts.minutes.abs()
        );
        out.extend_from_slice(text.as_bytes());
        return parts.write_seconds(2, out);
    }
    let parts = if negative {
        out.push(b'-');
        &parts.negated()
    } else {
        parts
    };
    if has_months {
        out.extend_from_slice(format!("{}-{}", parts.years, parts.months).as_bytes());
        return;
    }
    if parts.days != 0 {
        out.extend_from_slice(format!("{} ", parts.days).as_bytes());
    }
    out.extend_from_slice(format!("{}:{:02}:", parts.hours, parts.minutes).as_bytes());
    parts.write_seconds(2, out);
}

fn iso(parts: &Parts, out: &mut Vec<u8>) {
    if parts.all().iter().all(|part| *part == 0) {
        return out.extend_from_slice(b"PT0S");
    }
    let unit = |value: i64, unit: char, out: &mut Vec<u8>| {
        if value != 0 {
            out.extend_from_slice(format!("{value}{unit}").as_bytes());
        }
    };
    out.push(b'P');
    unit(parts.years, 'Y', out);
    unit(parts.months, 'M', out);
    unit(parts.days, 'D', out);
    if parts.all()[3..].iter().any(|part| *part != 0) {
        out.push(b'T');
    }
    unit(parts.hours, 'H', out);
    unit(parts.minutes, 'M', out);
    if parts.seconds != 0 || parts.microseconds != 0 {
        if parts.seconds < 0 || parts.microseconds < 0 {
            out.push(b'-');
        }
        parts.write_seconds(1, out);
        out.push(b'S');
    }
}
