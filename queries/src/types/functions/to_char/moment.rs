//! `to_date` and `to_timestamp`: what the fields of a text say together (`do_to_timestamp`).

use super::date_read::{Fields, Reader};
use super::keyword::parse;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::{Date, Text, TimestampTz};
use crate::types::datetime::arithmetic::{checked, round_to};
use crate::types::datetime::calendar::{self, Civil, EPOCH_JULIAN};
use crate::types::datetime::{DATE_RANGE, DAY, HOUR, MINUTE, SECOND, zone};
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// The largest hours of an offset from UTC.
const ZONE_HOURS_MAX: i32 = 15;

/// What a text says: a day, a time of day, and perhaps an offset.
struct Moment {
    civil: Civil,
    /// Microseconds since midnight.
    time: i64,
    /// Seconds east of UTC.
    offset: Option<i64>,
    /// The places that fractions of a second are rounded to.
    places: Option<i32>,
}

fn overflow(text: &str) -> SqlError {
    let message = format!("date/time field value out of range: \"{text}\"");
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

fn moment(fields: &Fields, text: &str) -> Result<Moment> {
    let (hour, minute, second) = clock(fields)?;
    let civil = day(fields, text)?;
    let fraction = i64::from(fields.millisecond) * 1000 + i64::from(fields.microsecond);
    let valid = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..SECOND).contains(&fraction);
    if !valid {
        return Err(overflow(text));
    }
    let offset = if fields.zone_sign == 0 {
        None
    } else {
        let (hours, minutes) = (fields.zone_hour, fields.zone_minute);
        if !(0..=ZONE_HOURS_MAX).contains(&hours) || !(0..60).contains(&minutes) {
            let message = format!("time zone displacement out of range: \"{text}\"");
            return Err(SqlError::new(SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE, message));
        }
        Some(i64::from(fields.zone_sign) * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
    };
    let time =
        i64::from(hour) * HOUR + i64::from(minute) * MINUTE + i64::from(second) * SECOND + fraction;
    let places = i32::try_from(fields.places).ok().filter(|it| *it > 0);
    Ok(Moment { civil, time, offset, places })
}

/// Hour, minute and second.
fn clock(fields: &Fields) -> Result<(i32, i32, i32)> {
    let of_day = fields.second_of_day;
    let (mut hour, mut minute, mut second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    if fields.second != 0 {
        second = fields.second;
    }
    if fields.minute != 0 {
        minute = fields.minute;
    }
    if fields.hour != 0 {
        hour = fields.hour;
    }
    if fields.twelve_hours {
        if !(1..=12).contains(&hour) {
            let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
            return Err(SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        if fields.afternoon != 0 && hour < 12 {
            hour += 12;
        } else if fields.afternoon == 0 && hour == 12 {
            hour = 0;
        }
    }
    Ok((hour, minute, second))
}

/// The year, 0 being 1 BC; none if nothing says.
fn year(fields: &Fields) -> Option<i64> {
    let (year, bc) = (i64::from(fields.year), fields.before_christ != 0);
    let century = i64::from(fields.century) * if bc { -1 } else { 1 };
    if year != 0 {
        if century != 0 && fields.year_digits <= 2 {
            let of_century = year % 100;
            return Some(match (of_century, century >= 0) {
                (0, true) => century * 100,
                (0, false) => century * 100 + 1,
                (_, true) => of_century + (century - 1) * 100,
                (_, false) => (century + 1) * 100 - of_century + 1,
            });
        }
        let signed = if bc { -year } else { year };
        return Some(if signed < 0 { signed + 1 } else { signed });
    }
    if century == 0 {
        return None;
    }
    // The first year of the century: the 21st began in 2001.
    Some(if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 })
}

/// The day. What is not said is that of 0000-01-01.
fn day(fields: &Fields, text: &str) -> Result<Civil> {
    let iso = fields.iso_week == Some(true);
    let said = year(fields);
    let mut civil = Civil { year: said.unwrap_or(0), month: 1, day: 1 };
    let (mut has_month, mut has_day) = (false, false);
    if fields.julian != 0 {
        civil = calendar::civil(i64::from(fields.julian) - EPOCH_JULIAN);
        (has_month, has_day) = (true, true);
    }
    let mut day_of_year = i64::from(fields.day_of_year);
    if fields.week != 0 {
        let week = i64::from(fields.week);
        if iso {
            let monday = calendar::iso_week_start(civil.year, week);
            civil = calendar::civil(match i64::from(fields.weekday) {
                0 => monday,
                weekday if weekday > 1 => monday + weekday - 2,
                _ => monday + 6,
            });
            (has_month, has_day) = (true, true);
        } else {
            day_of_year = (week - 1) * 7 + 1;
        }
    }
    let of_month = match i64::from(fields.week_of_month) {
        0 => i64::from(fields.day),
        week => (week - 1) * 7 + 1,
    };
    if of_month != 0 {
        civil.day = of_month;
        has_day = true;
    }
    if fields.month != 0 {
        civil.month = i64::from(fields.month);
        has_month = true;
    }
    if day_of_year != 0 && (civil.month <= 1 || civil.day <= 1) {
        if civil.year == 0 && fields.before_christ == 0 {
            let message = "cannot calculate day of year without year information";
            return Err(SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message));
        }
        if iso {
            let first = calendar::iso_week_start(civil.year, 1);
            civil = calendar::civil(first + day_of_year - 1);
        } else {
            count_days(&mut civil, day_of_year);
        }
        (has_month, has_day) = (true, true);
    }
    let has_year = said.is_some() || fields.julian != 0;
    let month_fits = !has_month || (1..=12).contains(&civil.month);
    let day_fits = !has_day || (1..=31).contains(&civil.day);
    let whole = (has_year || iso) && has_month && has_day;
    let fits = month_fits
        && day_fits
        && (!whole || civil.day <= calendar::month_days(civil.year, civil.month));
    if fits { Ok(civil) } else { Err(overflow(text)) }
}

/// Finds month and day by the day of the year, as far as they are not said.
fn count_days(civil: &mut Civil, day_of_year: i64) {
    let (mut month, mut before) = (1, 0);
    while month <= 12 {
        let length = calendar::month_days(civil.year, month);
        if day_of_year <= before + length {
            break;
        }
        before += length;
        month += 1;
    }
    if civil.month <= 1 {
        civil.month = month;
    }
    if civil.day <= 1 {
        civil.day = day_of_year - before;
    }
}

impl Moment {
    fn days(&self) -> i64 {
        calendar::days(self.civil.year, self.civil.month, self.civil.day)
    }

    /// The day, if it fits into a `date`.
    fn date(&self, text: &str) -> Result<Datum> {
        let days = self.days();
        let fits = DATE_RANGE.contains(&days);
        let days = i32::try_from(days).ok().filter(|_| fits).ok_or_else(|| {
            let message = format!("date out of range: \"{text}\"");
            SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
        })?;
        Ok(Datum::Date(days))
    }

    /// Microseconds since 2000-01-01 by the clock.
    fn local(&self) -> Result<i64> {
        checked(self.days().checked_mul(DAY).and_then(|it| it.checked_add(self.time)))
    }

    fn rounded(&self, microseconds: i64) -> i64 {
        self.places.map_or(microseconds, |places| round_to(microseconds, places))
    }
}

fn read(text: &str, template: &str) -> Result<Moment> {
    let nodes = parse(template);
    moment(&Reader::new(text).run(&nodes)?, text)
}

fn to_date(a: &[Datum]) -> Result<Datum> {
    let (text, template) = (a.text(0)?, a.text(1)?);
    read(text, template)?.date(text)
}

fn to_timestamp(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let moment = read(a.text(0)?, a.text(1)?)?;
    let local = moment.local()?;
    let offset = match moment.offset {
        Some(offset) => offset,
        None => zone::offset_of_local(&context.exec.settings.time_zone, local),
    };
    let utc = checked(local.checked_sub(offset * SECOND))?;
    Ok(Datum::TimestampTz(moment.rounded(utc)))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1780, "to_date", &[Text, Text], Date, |_, a| to_date(a)).stable(),
    f(1778, "to_timestamp", &[Text, Text], TimestampTz, to_timestamp).stable(),
];
