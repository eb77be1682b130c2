//! Type modifiers: `varchar(3)`, `numeric(10,2)`, `timestamp(0)`, `interval day to second(3)`.

use super::PgType;
use super::datetime::token::Unit;
use crate::error::{Result, SqlError, SqlState};

/// What a length is stored with added (`VARHDRSZ`).
const HEADER: i32 = 4;

/// The characters of a string type at most.
const LENGTH_MAX: i32 = 10_485_760;

/// The digits of a `numeric` type at most.
const PRECISION_MAX: i32 = 1000;

/// The decimal places of seconds at most.
pub(crate) const SECOND_PLACES_MAX: i32 = 6;

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The modifier for what stands between the parentheses after a type's name. Intervals have
/// [`IntervalFields::typmod`].
pub fn from_arguments(ty: PgType, arguments: &[i32]) -> Result<i32> {
    let ty = ty.element().filter(|_| ty.is_array()).unwrap_or(ty);
    match (ty, arguments) {
        (PgType::Varchar | PgType::Bpchar, [length]) => {
            let name = if ty == PgType::Varchar { "varchar" } else { "char" };
            match *length {
                ..1 => Err(invalid(format!("length for type {name} must be at least 1"))),
                1..=LENGTH_MAX => Ok(length + HEADER),
                _ => Err(invalid(format!("length for type {name} cannot exceed {LENGTH_MAX}"))),
            }
        }
        (PgType::Numeric, [precision]) => numeric(*precision, 0),
        (PgType::Numeric, [precision, scale]) => numeric(*precision, *scale),
        (PgType::Numeric, _) => Err(invalid("invalid NUMERIC type modifier".to_owned())),
        (PgType::Time | PgType::TimeTz | PgType::Timestamp | PgType::TimestampTz, [places]) => {
            if *places < 0 {
                let name =
                    if matches!(ty, PgType::Time | PgType::TimeTz) { "TIME" } else { "TIMESTAMP" };
                let zone = if matches!(ty, PgType::TimeTz | PgType::TimestampTz) {
                    " WITH TIME ZONE"
                } else {
                    ""
                };
                return Err(invalid(format!(
                    "{name}({places}){zone} precision must not be negative"
                )));
            }
            Ok(*places.min(&SECOND_PLACES_MAX))
        }
        (PgType::Interval, [places]) => IntervalFields::FULL.typmod(Some(*places)),
        (
            PgType::Varchar
            | PgType::Bpchar
            | PgType::Time
            | PgType::TimeTz
            | PgType::Timestamp
            | PgType::TimestampTz
            | PgType::Interval,
            _,
        ) => Err(invalid("invalid type modifier".to_owned())),
        _ => Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("type modifier is not allowed for type \"{}\"", ty.typname()),
        )),
    }
}

fn numeric(precision: i32, scale: i32) -> Result<i32> {
    if !(1..=PRECISION_MAX).contains(&precision) {
        return Err(invalid(format!(
            "NUMERIC precision {precision} must be between 1 and {PRECISION_MAX}"
        )));
    }
    if !(-PRECISION_MAX..=PRECISION_MAX).contains(&scale) {
        let message =
            format!("NUMERIC scale {scale} must be between -{PRECISION_MAX} and {PRECISION_MAX}");
        return Err(invalid(message));
    }
    Ok((precision << 16 | (scale & 0x7ff)) + HEADER)
}

/// The length in a modifier of a string type.
pub fn length(typmod: i32) -> Option<usize> {
    usize::try_from(typmod - HEADER).ok()
}

/// Precision and scale in a modifier of `numeric`.
pub fn precision_and_scale(typmod: i32) -> Option<(i32, i32)> {
    let bits = typmod.checked_sub(HEADER).filter(|bits| *bits >= 0)?;
    Some((bits >> 16 & 0xffff, ((bits & 0x7ff) ^ 1024) - 1024))
}

/// A type's name in SQL with its modifier, as `format_type` and `\d` show it.
pub fn format_type(ty: PgType, typmod: i32) -> String {
    if typmod < 0 {
        return ty.name().to_owned();
    }
    if let Some(element) = ty.element().filter(|_| ty.is_array()) {
        return format!("{}[]", format_type(element, typmod));
    }
    match ty {
        PgType::Varchar | PgType::Bpchar => length(typmod)
            .map_or_else(|| ty.name().to_owned(), |length| format!("{}({length})", ty.name())),
        PgType::Numeric => match precision_and_scale(typmod) {
            Some((precision, scale)) => format!("numeric({precision},{scale})"),
            None => "numeric".to_owned(),
        },
        PgType::Time => format!("time({typmod}) without time zone"),
        PgType::TimeTz => format!("time({typmod}) with time zone"),
        PgType::Timestamp => format!("timestamp({typmod}) without time zone"),
        PgType::TimestampTz => format!("timestamp({typmod}) with time zone"),
        PgType::Interval => {
            let fields = IntervalFields::of(typmod);
            let places = places_of_interval(typmod).map(|it| format!("({it})")).unwrap_or_default();
            format!("interval{}{places}", fields.name())
        }
        _ => ty.name().to_owned(),
    }
}

/// The fields that an interval type keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalFields(i32);

impl IntervalFields {
    /// All of them.
    pub const FULL: Self = Self(0x7fff);
    const MONTH: i32 = 1 << 1;
    const YEAR: i32 = 1 << 2;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;

    const ORDER: [(&'static str, i32); 6] = [
        ("year", Self::YEAR),
        ("month", Self::MONTH),
        ("day", Self::DAY),
        ("hour", Self::HOUR),
        ("minute", Self::MINUTE),
        ("second", Self::SECOND),
    ];

    /// `first TO last`, lower case, or one field alone.
    pub fn from_names(first: &str, last: Option<&str>) -> Option<Self> {
        let place = |name: &str| Self::ORDER.iter().position(|(it, _)| *it == name);
        let start = place(first)?;
        let end = place(last.unwrap_or(first))?;
        // Years and months do not mix with days and times.
        if end < start || (start < 2) != (end < 2) {
            return None;
        }
        Some(Self(Self::ORDER[start..=end].iter().fold(0, |bits, (_, bit)| bits | bit)))
    }

    /// The fields in a modifier.
    pub fn of(typmod: i32) -> Self {
        if typmod < 0 { Self::FULL } else { Self(typmod >> 16 & 0x7fff) }
    }

    /// The modifier, with the decimal places of the seconds if they are given.
    pub fn typmod(self, places: Option<i32>) -> Result<i32> {
        let places = match places {
            None => 0xffff,
            Some(..0) => {
                let places = places.unwrap_or(0);
                return Err(invalid(format!("INTERVAL({places}) precision must not be negative")));
            }
            Some(places) => places.min(SECOND_PLACES_MAX),
        };
        Ok(self.0 << 16 | places)
    }

    fn name(self) -> String {
        let named: Vec<&str> = Self::ORDER
            .iter()
            .filter(|(_, bit)| self.0 & bit != 0)
            .map(|(name, _)| *name)
            .collect();
        match named.as_slice() {
            _ if self == Self::FULL => String::new(),
            [] => String::new(),
            [one] => format!(" {one}"),
            [first, .., last] => format!(" {first} to {last}"),
        }
    }

    /// What a bare number on the right counts.
    pub(crate) fn rightmost(self) -> Unit {
        if self == Self::FULL || self.0 & Self::SECOND != 0 {
            Unit::Second
        } else if self.0 & Self::MINUTE != 0 {
            Unit::Minute
        } else if self.0 & Self::HOUR != 0 {
            Unit::Hour
        } else if self.0 & Self::DAY != 0 {
            Unit::Day
        } else if self.0 & Self::MONTH != 0 {
            Unit::Month
        } else if self.0 & Self::YEAR != 0 {
            Unit::Year
        } else {
            Unit::Second
        }
    }

    /// Sets the fields to zero that are smaller than those kept (`AdjustIntervalForTypmod`).
    pub(crate) fn cut(self, it: &mut super::Interval) {
        use super::datetime::{HOUR, MINUTE};
        if self == Self::FULL || self.0 & Self::SECOND != 0 {
            return;
        }
        if self.0 & Self::MINUTE != 0 {
            it.microseconds -= it.microseconds % MINUTE;
        } else if self.0 & Self::HOUR != 0 {
            it.microseconds -= it.microseconds % HOUR;
        } else if self.0 & Self::DAY != 0 {
            it.microseconds = 0;
        } else if self.0 & Self::MONTH != 0 {
            (it.days, it.microseconds) = (0, 0);
        } else if self.0 & Self::YEAR != 0 {
            it.months -= it.months % 12;
            (it.days, it.microseconds) = (0, 0);
        }
    }

    /// Whether `12:34` means minutes and seconds.
    pub(crate) fn is_minute_to_second(self) -> bool {
        self.0 == Self::MINUTE | Self::SECOND
    }
}

/// The decimal places of the seconds in an interval's modifier.
pub(crate) fn places_of_interval(typmod: i32) -> Option<i32> {
    if typmod < 0 {
        return None;
    }
    Some(typmod & 0xffff).filter(|places| *places != 0xffff)
}
