//! What can be wrong with the text of a date, a time or an interval.

use crate::error::{SqlError, SqlState};

/// What is wrong.
#[derive(Clone, Debug)]
pub(super) enum ParseError {
    /// It is not written as one.
    Format,
    /// A field has a value that it cannot have.
    Field,
    /// The same for a month or a day, which another order of fields might cure.
    MonthOrDay,
    /// An interval's field is too large.
    Interval,
    /// An offset from UTC is too large.
    Displacement,
    /// A zone's name is not known.
    UnknownZone(String),
}

impl ParseError {
    /// The error as the client sees it (`DateTimeParseError`).
    pub(super) fn report(self, ty: &str, text: &str) -> SqlError {
        let (state, message) = match &self {
            Self::Format => (
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {ty}: \"{text}\""),
            ),
            Self::Field | Self::MonthOrDay => (
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            ),
            Self::Interval => (
                SqlState::INTERVAL_FIELD_OVERFLOW,
                format!("interval field value out of range: \"{text}\""),
            ),
            Self::Displacement => (
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Self::UnknownZone(name) => {
                (SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
            }
        };
        let error = SqlError::new(state, message);
        match self {
            Self::MonthOrDay => {
                error.with_hint("Perhaps you need a different \"datestyle\" setting.")
            }
            _ => error,
        }
    }
}
