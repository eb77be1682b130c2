//! Dates, times, timestamps and intervals.

pub(super) mod arithmetic;
pub(super) mod convert;
pub(super) mod make;
pub(super) mod part;
pub(super) mod trunc;
pub(super) mod zone;

use crate::exec::EvalContext;

/// The session's time zone.
fn session_zone<'a>(context: &EvalContext<'a>) -> &'a jiff::tz::TimeZone {
    &context.exec.settings.time_zone
}
