//! Dates, times, timestamps and intervals.
//!
//! [`calendar`] counts days, [`zone`] knows offsets, [`write`](fn@write) gives the ISO forms that every client expects.
//! Reading goes from the text through [`parts`] to [`decode`] or [`interval`], as PostgreSQL's does, because its
//! leniency is a matter of that procedure more than of a grammar.

pub(crate) mod abbreviation;
pub(crate) mod arithmetic;
pub mod calendar;
mod decode;
mod error;
pub(crate) mod interval;
mod number;
mod parts;
mod read;
mod style;
pub(crate) mod token;
mod write;
pub mod zone;

pub use read::read;
pub(crate) use read::{DATE_RANGE, TIMESTAMP_RANGE};
pub use style::{DateForm, DateOrder, DateStyle, IntervalStyle};
pub use write::{write, write_in};
pub(crate) use write::{write_interval, write_iso};

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
