//! Reads dates, times, timestamps and intervals.

use super::calendar::{self, EPOCH_JULIAN};
use super::decode::{Decoded, Decoder};
use super::parts::split;
use super::{
    DATE_INFINITY, DATE_MINUS_INFINITY, DAY, SECOND, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY,
    interval,
};
use crate::error::{Result, SqlError, SqlState};
use crate::types::text::ReadContext;
use crate::types::typmod::IntervalFields;
use crate::types::{Datum, PgType};

/// The least and the first too large `timestamp`: 4714-11-24 BC and 294277-01-01.
pub(crate) const TIMESTAMP_RANGE: std::ops::Range<i64> =
    -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// The least and the first too large `date`: 4714-11-24 BC and 5874898-01-01.
pub(crate) const DATE_RANGE: std::ops::Range<i64> = -EPOCH_JULIAN..2_147_483_494 - EPOCH_JULIAN;

/// Microseconds from 2000-01-01 to the epoch of Unix.
const UNIX_EPOCH: i64 = -calendar::UNIX_DAYS * DAY;

/// Reads a value of one of these types.
pub fn read(ty: PgType, text: &str, context: &ReadContext<'_>) -> Result<Datum> {
    let name = match ty {
        PgType::Time => "time",
        PgType::Timestamp => "timestamp",
        other => other.name(),
    };
    if ty == PgType::Interval {
        return interval::read(text, IntervalFields::FULL, context.settings.interval_style)
            .map(Datum::Interval);
    }
    let time_only = matches!(ty, PgType::Time | PgType::TimeTz);
    let decoded = split(text)
        .and_then(|parts| Decoder::new(context, time_only).run(&parts))
        .map_err(|error| error.report(name, text))?;
    match ty {
        PgType::Date => date(&decoded, text),
        PgType::Time | PgType::TimeTz => match decoded {
            Decoded::Moment(clock, _) if ty == PgType::Time => Ok(Datum::Time(clock.time())),
            Decoded::Moment(clock, offset) => {
                Ok(Datum::TimeTz(clock.time(), i32::try_from(-offset).unwrap_or(0)))
            }
            _ => Err(super::error::ParseError::Format.report(name, text)),
        },
        PgType::Timestamp => timestamp(&decoded, false, text).map(Datum::Timestamp),
        _ => timestamp(&decoded, true, text).map(Datum::TimestampTz),
    }
}

fn date(decoded: &Decoded, text: &str) -> Result<Datum> {
    let days = match decoded {
        Decoded::Moment(clock, _) => clock.days(),
        Decoded::Epoch => -calendar::UNIX_DAYS,
        Decoded::Infinity => return Ok(Datum::Date(DATE_INFINITY)),
        Decoded::MinusInfinity => return Ok(Datum::Date(DATE_MINUS_INFINITY)),
    };
    let fits = DATE_RANGE.contains(&days);
    let days = i32::try_from(days).ok().filter(|_| fits).ok_or_else(|| {
        SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\""))
    })?;
    Ok(Datum::Date(days))
}

fn timestamp(decoded: &Decoded, with_zone: bool, text: &str) -> Result<i64> {
    let (clock, offset) = match decoded {
        Decoded::Moment(clock, offset) => (clock, if with_zone { *offset } else { 0 }),
        Decoded::Epoch => return Ok(UNIX_EPOCH),
        Decoded::Infinity => return Ok(TIMESTAMP_INFINITY),
        Decoded::MinusInfinity => return Ok(TIMESTAMP_MINUS_INFINITY),
    };
    let local = clock.days().checked_mul(DAY).and_then(|it| it.checked_add(clock.time()));
    let moment = local
        .and_then(|it| it.checked_sub(offset * SECOND))
        .filter(|it| TIMESTAMP_RANGE.contains(it));
    moment.ok_or_else(|| {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("timestamp out of range: \"{text}\""),
        )
    })
}
