//! `to_char` of timestamps and intervals.

use super::keyword::{Field, Letters, Node, Ordinal, parse};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{self, Text, Timestamp, TimestampTz};
use crate::types::datetime::arithmetic::is_finite;
use crate::types::datetime::calendar::{self, EPOCH_JULIAN};
use crate::types::datetime::{DAY, HOUR, MINUTE, SECOND, zone};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{Datum, Interval};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// The parts of a timestamp or interval.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
    microsecond: i64,
    /// Days since 2000-01-01; none of an interval.
    days: Option<i64>,
    /// Seconds east of UTC and the zone's abbreviation.
    zone: Option<(i64, String)>,
}

impl Parts {
    fn of_timestamp(local: i64, zone: Option<(i64, String)>) -> Self {
        let (days, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let civil = calendar::civil(days);
        Self {
            year: civil.year,
            month: civil.month,
            day: civil.day,
            day_of_year: days - calendar::days(civil.year, 1, 1) + 1,
            hour: time / HOUR,
            minute: time / MINUTE % 60,
            second: time / SECOND % 60,
            microsecond: time % SECOND,
            days: Some(days),
            zone,
        }
    }

    fn of_interval(it: Interval) -> Self {
        let (months, days, time) = (i64::from(it.months), i64::from(it.days), it.microseconds);
        Self {
            year: months / 12,
            month: months % 12,
            day: days,
            day_of_year: months * 30 + days,
            hour: time / HOUR,
            minute: time / MINUTE % 60,
            second: time / SECOND % 60,
            microsecond: time % SECOND,
            days: None,
            zone: None,
        }
    }

    /// The year as it is shown: 1 BC is 1.
    fn shown_year(&self, year: i64) -> i64 {
        if self.days.is_some() && year <= 0 { 1 - year } else { year }
    }

    fn weekday(&self) -> i64 {
        self.days.map_or(0, calendar::weekday)
    }

    /// The days, which an interval does not have.
    fn calendar_days(&self) -> Result<i64> {
        self.days.ok_or_else(|| {
            let message = "invalid format specification for an interval value";
            SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
                .with_hint("Intervals are not tied to specific calendar dates.")
        })
    }
}

/// Letters as a key word writes them.
fn lettered(word: &str, letters: Letters) -> String {
    match letters {
        Letters::Upper => word.to_uppercase(),
        Letters::Capital => word.to_owned(),
        Letters::Lower => word.to_lowercase(),
    }
}

/// The ending of an ordinal number.
pub(super) fn ending(number: &str, ordinal: Ordinal) -> &'static str {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let lower = match digits.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    };
    match (ordinal, lower) {
        (Ordinal::Lower, ending) => ending,
        (Ordinal::Upper, "st") => "ST",
        (Ordinal::Upper, "nd") => "ND",
        (Ordinal::Upper, "rd") => "RD",
        (Ordinal::Upper, _) => "TH",
    }
}

/// A number with leading zeros; a negative one has its sign beside so many digits.
fn zeros(value: i64, width: usize, fill: bool) -> String {
    if fill {
        return value.to_string();
    }
    let width = width + usize::from(value < 0);
    format!("{value:0width$}")
}

/// The same, but the sign counts among the digits.
fn plain_zeros(value: i64, width: usize, fill: bool) -> String {
    if fill { value.to_string() } else { format!("{value:0width$}") }
}

fn name(word: &str, letters: Letters, pad: bool, width: usize) -> String {
    let word = lettered(word, letters);
    if pad { format!("{word:<width$}") } else { word }
}

fn indexed<'a>(names: &[&'a str], index: i64) -> &'a str {
    usize::try_from(index).ok().and_then(|it| names.get(it)).copied().unwrap_or("")
}

/// The text of one field, whether it can take an ordinal ending.
fn field(
    parts: &Parts,
    field: Field,
    letters: Letters,
    fill: bool,
    translate: bool,
) -> Result<String> {
    let pad = !fill && !translate;
    Ok(match field {
        Field::Meridiem { dots } => {
            let afternoon = parts.hour.rem_euclid(24) >= 12;
            let word = match (afternoon, dots) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            lettered(word, letters)
        }
        Field::Hour12 => {
            let hour = parts.hour % 12;
            zeros(if hour == 0 { 12 } else { hour }, 2, fill)
        }
        Field::Hour24 => zeros(parts.hour, 2, fill),
        Field::Minute => zeros(parts.minute, 2, fill),
        Field::Second => zeros(parts.second, 2, fill),
        Field::Fraction(places) => {
            let width = usize::try_from(places).unwrap_or(0);
            format!("{:0width$}", parts.microsecond / 10_i64.pow(6 - places))
        }
        Field::Millisecond => format!("{:03}", parts.microsecond / 1000),
        Field::Microsecond => format!("{:06}", parts.microsecond),
        Field::SecondOfDay => (parts.hour * 3600 + parts.minute * 60 + parts.second).to_string(),
        Field::Zone | Field::ZoneHour | Field::ZoneMinute | Field::Offset => {
            zone_field(parts, field, letters, fill)?
        }
        Field::Exact => String::new(),
        Field::DayOfMonth => plain_zeros(parts.day, 2, fill),
        Field::DayOfYear => plain_zeros(parts.day_of_year, 3, fill),
        Field::Month => zeros(parts.month, 2, fill),
        Field::MonthName | Field::MonthShort => {
            parts.calendar_days()?;
            let word = indexed(&MONTHS, parts.month - 1);
            match field {
                Field::MonthName => name(word, letters, pad, 9),
                _ => lettered(word.get(..3).unwrap_or(word), letters),
            }
        }
        Field::Roman => {
            let month = parts.month;
            if parts.days.is_none() && month == 0 && parts.year == 0 {
                return Ok(String::new());
            }
            let index = if month > 0 {
                month - 1
            } else {
                month.rem_euclid(12) + if month == 0 { 11 } else { -1 }
            };
            name(indexed(&ROMAN, index), letters, !fill, 4)
        }
        other => calendar_field(parts, other, letters, fill, pad)?,
    })
}

fn zone_field(parts: &Parts, field: Field, letters: Letters, fill: bool) -> Result<String> {
    parts.calendar_days()?;
    let (offset, abbreviation) = match &parts.zone {
        Some((offset, abbreviation)) => (*offset, abbreviation.as_str()),
        None => (0, ""),
    };
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
    Ok(match field {
        Field::Zone => match letters {
            Letters::Lower => abbreviation.to_lowercase(),
            _ => abbreviation.to_owned(),
        },
        Field::ZoneHour => format!("{sign}{hours:02}"),
        Field::ZoneMinute => format!("{minutes:02}"),
        _ => {
            let hours = if fill { hours.to_string() } else { format!("{hours:02}") };
            if minutes == 0 {
                format!("{sign}{hours}")
            } else {
                format!("{sign}{hours}:{minutes:02}")
            }
        }
    })
}

fn calendar_field(
    parts: &Parts,
    field: Field,
    letters: Letters,
    fill: bool,
    pad: bool,
) -> Result<String> {
    Ok(match field {
        Field::Era { dots } => {
            parts.calendar_days()?;
            let word = match (parts.year <= 0, dots) {
                (true, true) => "B.C.",
                (true, false) => "BC",
                (false, true) => "A.D.",
                (false, false) => "AD",
            };
            lettered(word, letters)
        }
        Field::Day | Field::DayShort => {
            parts.calendar_days()?;
            let word = indexed(&DAYS, parts.weekday());
            match field {
                Field::Day => name(word, letters, pad, 9),
                _ => lettered(word.get(..3).unwrap_or(word), letters),
            }
        }
        Field::DayOfWeek => {
            parts.calendar_days()?;
            (parts.weekday() + 1).to_string()
        }
        Field::IsoDay => {
            parts.calendar_days()?;
            (if parts.weekday() == 0 { 7 } else { parts.weekday() }).to_string()
        }
        Field::IsoDayOfYear => {
            let days = parts.calendar_days()?;
            let (year, _) = calendar::iso_week(days);
            zeros(days - calendar::iso_week_start(year, 1) + 1, 3, fill)
        }
        Field::Week => plain_zeros((parts.day_of_year - 1) / 7 + 1, 2, fill),
        Field::IsoWeek => zeros(calendar::iso_week(parts.calendar_days()?).1, 2, fill),
        Field::WeekOfMonth => ((parts.day - 1) / 7 + 1).to_string(),
        Field::Quarter if parts.month == 0 => String::new(),
        Field::Quarter => ((parts.month - 1) / 3 + 1).to_string(),
        Field::Century => {
            let century = match parts.days {
                None => parts.year / 100,
                Some(_) if parts.year > 0 => (parts.year - 1) / 100 + 1,
                Some(_) => parts.year / 100 - 1,
            };
            if (-99..=99).contains(&century) {
                zeros(century, 2, fill)
            } else {
                century.to_string()
            }
        }
        Field::YearComma => {
            let year = parts.shown_year(parts.year);
            let thousands = year / 1000;
            format!("{thousands},{:03}", year - thousands * 1000)
        }
        Field::Year(digits) => year(parts.shown_year(parts.year), digits, fill),
        Field::IsoYear(digits) => {
            let iso = calendar::iso_week(parts.calendar_days()?).0;
            year(parts.shown_year(iso), digits, fill)
        }
        Field::Julian => (parts.days.unwrap_or(0) + EPOCH_JULIAN).to_string(),
        _ => String::new(),
    })
}

fn year(year: i64, digits: u32, fill: bool) -> String {
    let shown = if digits == 4 { year } else { year % 10_i64.pow(digits) };
    zeros(shown, usize::try_from(digits).unwrap_or(4), fill)
}

fn write(parts: &Parts, template: &str) -> Result<String> {
    let mut out = String::new();
    for node in parse(template) {
        match node {
            Node::Character { character, .. } => out.push(character),
            Node::Field { field: kind, letters, fill, translate, ordinal, .. } => {
                let text = field(parts, kind, letters, fill, translate)?;
                let takes_ordinal = !matches!(
                    kind,
                    Field::Meridiem { .. }
                        | Field::Era { .. }
                        | Field::Zone
                        | Field::ZoneHour
                        | Field::ZoneMinute
                        | Field::Offset
                        | Field::Exact
                        | Field::MonthName
                        | Field::MonthShort
                        | Field::Day
                        | Field::DayShort
                        | Field::Roman
                );
                out.push_str(&text);
                if let Some(ordinal) = ordinal.filter(|_| takes_ordinal && !text.is_empty()) {
                    out.push_str(ending(&text, ordinal));
                }
            }
        }
    }
    Ok(out)
}

/// A local time by a template; with the offset and the abbreviation of its zone.
pub(crate) fn timestamp(
    _: &EvalContext<'_>,
    local: i64,
    zone: Option<(i64, String)>,
    template: &str,
) -> Result<String> {
    write(&Parts::of_timestamp(local, zone), template)
}

fn to_char(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    let template = arguments.text(1)?;
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let parts = match arguments[0] {
        Datum::Timestamp(it) | Datum::TimestampTz(it) if !is_finite(it) => return Ok(Datum::Null),
        Datum::Timestamp(it) => Parts::of_timestamp(it, None),
        Datum::TimestampTz(it) => {
            let settings = &context.exec.settings;
            let offset = zone::offset_at(&settings.time_zone, it);
            let (abbreviation, _) = zone::abbreviation_at(&settings.time_zone, it);
            Parts::of_timestamp(it + offset * SECOND, Some((offset, abbreviation)))
        }
        _ => Parts::of_interval(arguments.interval(0)?),
    };
    write(&parts, template).map(Datum::from)
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(2049, "to_char", &[Timestamp, Text], Text, to_char).stable(),
    f(1770, "to_char", &[TimestampTz, Text], Text, to_char).stable(),
    f(1768, "to_char", &[PgType::Interval, Text], Text, to_char).stable(),
];
