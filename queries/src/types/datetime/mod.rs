//! Dates, times, timestamps and intervals.
//!
//! [`calendar`] counts days, [`zone`] knows offsets, [`write`] gives the ISO forms that every client expects.

pub mod calendar;
mod write;
pub mod zone;

pub use write::write;

use super::text::ReadContext;
use super::{Datum, PgType};
use crate::error::{Result, SqlError, SqlState};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day of 24 hours.
pub const DAY: i64 = 24 * HOUR;

/// The infinities of `timestamp` and `timestamptz`.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// See [`TIMESTAMP_INFINITY`].
pub const TIMESTAMP_MINUS_INFINITY: i64 = i64::MIN;
/// The infinities of `date`.
pub const DATE_INFINITY: i32 = i32::MAX;
/// See [`DATE_INFINITY`].
pub const DATE_MINUS_INFINITY: i32 = i32::MIN;

/// Reads a value of one of these types.
pub fn read(ty: PgType, text: &str, context: &ReadContext<'_>) -> Result<Datum> {
    let _ = (text, context);
    Err(SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot read a value of type {ty} yet"),
    ))
}
