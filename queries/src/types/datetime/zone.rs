//! Offsets from UTC, as PostgreSQL chooses them.

use jiff::tz::{AmbiguousOffset, TimeZone};

use super::calendar::{self, UNIX_DAYS};
use super::{DAY, SECOND};

/// The years that the time zone library knows; others are moved by cycles of 400 years into them.
const YEAR_MAX: i64 = 9_900;

/// 400 years in microseconds.
const CYCLE: i64 = 146_097 * DAY;

/// Moves a moment into the years that the library knows, where the rules repeat.
fn within(mut microseconds: i64) -> i64 {
    let limit = calendar::days(YEAR_MAX, 1, 1) * DAY;
    if microseconds > limit {
        microseconds -= ((microseconds - limit) / CYCLE + 1) * CYCLE;
    }
    microseconds
}

fn unix(microseconds: i64) -> jiff::Timestamp {
    let shifted = within(microseconds).saturating_add(UNIX_DAYS * DAY);
    jiff::Timestamp::from_microsecond(shifted).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// The offset in seconds east of UTC at a moment in microseconds since 2000-01-01 UTC.
pub fn offset_at(zone: &TimeZone, microseconds: i64) -> i64 {
    i64::from(zone.to_offset(unix(microseconds)).seconds())
}

/// The abbreviation of the zone at a moment, and whether it is daylight saving time.
pub fn abbreviation_at(zone: &TimeZone, microseconds: i64) -> (String, bool) {
    let info = zone.to_offset_info(unix(microseconds));
    (info.abbreviation().to_owned(), info.dst().is_dst())
}

/// The offset in seconds east of UTC for a local time in microseconds since 2000-01-01 00:00 of the zone. Of a time
/// that the clock skips, the offset before counts; of one that it shows twice, the offset after.
pub fn offset_of_local(zone: &TimeZone, microseconds: i64) -> i64 {
    let local = within(microseconds);
    let civil = calendar::civil(local.div_euclid(DAY));
    let seconds = local.rem_euclid(DAY) / SECOND;
    let part = |value: i64| i8::try_from(value).unwrap_or(0);
    let datetime = i16::try_from(civil.year).ok().and_then(|year| {
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        jiff::civil::DateTime::new(
            year,
            part(civil.month),
            part(civil.day),
            part(hour),
            part(minute),
            part(second),
            0,
        )
        .ok()
    });
    let Some(datetime) = datetime else { return 0 };
    let offset = match zone.to_ambiguous_timestamp(datetime).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    };
    i64::from(offset.seconds())
}

/// The moment of a local time.
pub fn to_utc(zone: &TimeZone, local: i64) -> i64 {
    local.saturating_sub(offset_of_local(zone, local) * SECOND)
}

/// The local time of a moment.
pub fn to_local(zone: &TimeZone, utc: i64) -> i64 {
    utc.saturating_add(offset_at(zone, utc) * SECOND)
}

/// The zone with a name: of the tz database, or in POSIX form (`<+02>-02`, `UTC-3`).
pub fn find(name: &str) -> Option<TimeZone> {
    if name.is_empty() {
        return None;
    }
    if matches!(
        name.to_ascii_uppercase().as_str(),
        "UTC" | "GMT" | "Z" | "ZULU" | "UCT" | "UNIVERSAL"
    ) {
        return Some(TimeZone::UTC);
    }
    TimeZone::get(name)
        .ok()
        .or_else(|| TimeZone::posix(name).ok())
        .or_else(|| posix_without_rule(name))
}

/// `ABC+3`, `<+03:30>-03:30`: POSIX counts west as positive.
fn posix_without_rule(name: &str) -> Option<TimeZone> {
    let offset = match name.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => name.trim_start_matches(|it: char| it.is_ascii_alphabetic()),
    };
    let (sign, magnitude) = match offset.strip_prefix('-') {
        Some(magnitude) => (1, magnitude),
        None => (-1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let mut seconds = 0;
    for (part, scale) in magnitude.split(':').zip([3600, 60, 1]) {
        let value: i32 = part.parse().ok().filter(|it| (0..=59).contains(it))?;
        seconds += value * scale;
    }
    if magnitude.split(':').count() > 3 || seconds > 25 * 3600 {
        return None;
    }
    jiff::tz::Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
}

/// The offset in seconds east that an abbreviation stands for around a local time in a zone.
pub(crate) fn offset_of_abbreviation(zone: &TimeZone, name: &str, local: i64) -> i64 {
    const HALF_YEAR: i64 = 182 * DAY;
    let usual = offset_of_local(zone, local);
    let utc = local.saturating_sub(usual * SECOND);
    let moments = [utc, utc.saturating_sub(HALF_YEAR), utc.saturating_add(HALF_YEAR)];
    let found = moments
        .into_iter()
        .find(|moment| abbreviation_at(zone, *moment).0.eq_ignore_ascii_case(name));
    found.map_or(usual, |moment| offset_at(zone, moment))
}
