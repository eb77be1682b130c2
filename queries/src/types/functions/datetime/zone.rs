//! `AT TIME ZONE`.

use jiff::tz::TimeZone;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{Text, TimeTz, Timestamp, TimestampTz};
use crate::types::datetime::abbreviation::{self, Abbreviation};
use crate::types::datetime::arithmetic::{checked, is_finite};
use crate::types::datetime::{DAY, SECOND, zone};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{Datum, Interval, PgType};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// A zone that an expression names.
#[derive(Debug)]
pub(crate) enum NamedZone {
    /// Seconds east of UTC.
    Fixed(i64),
    /// A zone of the tz database or with a rule.
    Zone(TimeZone),
    /// An abbreviation whose meaning has changed.
    Abbreviation(TimeZone, String),
}

/// The zone with a name or an abbreviation.
pub(crate) fn zone_of(name: &str) -> Result<NamedZone> {
    let lower = name.to_ascii_lowercase();
    match abbreviation::find(&lower) {
        Some(Abbreviation::Fixed(seconds, _)) => return Ok(NamedZone::Fixed(i64::from(seconds))),
        Some(Abbreviation::Zone(zone)) => {
            if let Some(zone) = zone::find(zone) {
                return Ok(NamedZone::Abbreviation(zone, lower));
            }
        }
        None => {}
    }
    zone::find(name).map(NamedZone::Zone).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("time zone \"{name}\" not recognized"),
        )
    })
}

/// A zone given as an interval east of UTC.
fn zone_of_interval(it: Interval) -> Result<NamedZone> {
    if it.months != 0 || it.days != 0 {
        let mut text = Vec::new();
        crate::types::datetime::write_interval(it, &mut text);
        let message = format!(
            "interval time zone \"{}\" must not include months or days",
            String::from_utf8_lossy(&text)
        );
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(NamedZone::Fixed(it.microseconds / SECOND))
}

impl NamedZone {
    /// The moment of a local time.
    pub(crate) fn to_utc(&self, local: i64) -> i64 {
        let offset = match self {
            Self::Fixed(seconds) => *seconds,
            Self::Zone(zone) => zone::offset_of_local(zone, local),
            Self::Abbreviation(zone, name) => zone::offset_of_abbreviation(zone, name, local),
        };
        local.saturating_sub(offset * SECOND)
    }

    /// The offset in seconds east at a moment.
    fn offset_at(&self, utc: i64) -> i64 {
        match self {
            Self::Fixed(seconds) => *seconds,
            Self::Zone(zone) => zone::offset_at(zone, utc),
            Self::Abbreviation(zone, name) => {
                zone::offset_of_abbreviation(zone, name, zone::to_local(zone, utc))
            }
        }
    }
}

fn to_local(zone: &NamedZone, utc: i64) -> Result<Datum> {
    if !is_finite(utc) {
        return Ok(Datum::Timestamp(utc));
    }
    checked(utc.checked_add(zone.offset_at(utc) * SECOND)).map(Datum::Timestamp)
}

fn to_utc(zone: &NamedZone, local: i64) -> Result<Datum> {
    if !is_finite(local) {
        return Ok(Datum::TimestampTz(local));
    }
    checked(Some(zone.to_utc(local))).map(Datum::TimestampTz)
}

fn time(context: &EvalContext<'_>, zone: &NamedZone, (time, west): (i64, i32)) -> Datum {
    let offset = zone.offset_at(context.exec.transaction_time);
    let moved = time + (i64::from(west) + offset) * SECOND;
    Datum::TimeTz(moved.rem_euclid(DAY), i32::try_from(-offset).unwrap_or(0))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1159, "timezone", &[Text, TimestampTz], Timestamp, |_, a| to_local(&zone_of(a.text(0)?)?, a.timestamp_tz(1)?)),
    f(2069, "timezone", &[Text, Timestamp], TimestampTz, |_, a| to_utc(&zone_of(a.text(0)?)?, a.timestamp(1)?)),
    f(1026, "timezone", &[PgType::Interval, TimestampTz], Timestamp, |_, a| to_local(&zone_of_interval(a.interval(0)?)?, a.timestamp_tz(1)?)),
    f(2070, "timezone", &[PgType::Interval, Timestamp], TimestampTz, |_, a| to_utc(&zone_of_interval(a.interval(0)?)?, a.timestamp(1)?)),
    f(2037, "timezone", &[Text, TimeTz], TimeTz, |c, a| Ok(time(c, &zone_of(a.text(0)?)?, a.time_tz(1)?))).stable(),
    f(2038, "timezone", &[PgType::Interval, TimeTz], TimeTz, |c, a| Ok(time(c, &zone_of_interval(a.interval(0)?)?, a.time_tz(1)?))),
];
