//! Dates and times as text: the proleptic Gregorian calendar behind day numbers, and the forms in which days,
//! instants and ground times are printed.

use std::fmt;

use super::value::{DayOfOrigin, MinimumGroundTime, UtcTime};

/// Minutes of a day.
pub const DAY_MINUTES: i64 = 24 * 60;

const MINUTE_MICROSECONDS: i64 = 60_000_000;
const DAY_MICROSECONDS: i64 = DAY_MINUTES * MINUTE_MICROSECONDS;

/// Days from 0000-03-01, where the calendar's arithmetic starts, to 2000-01-01.
const EPOCH_DAYS: i64 = 730_425;

/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

impl DayOfOrigin {
    /// The day of a calendar date; none if there is no such date.
    pub fn from_calendar(year: i32, month: u8, day: u8) -> Option<Self> {
        // Years start in March, so that a leap day is the last of its year.
        // Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let year_from_march = i64::from(year) - i64::from(month <= 2);
        let month_from_march = (i64::from(month) + 9) % 12;
        let year_of_era = year_from_march.rem_euclid(400);
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = year_from_march.div_euclid(400) * ERA_DAYS + day_of_era - EPOCH_DAYS;
        // 30 February would have become a day of March.
        i32::try_from(days)
            .ok()
            .map(Self)
            .filter(|it| it.calendar() == (i64::from(year), month, day))
    }

    /// The year (0 is 1 BC), month and day of the calendar.
    pub fn calendar(self) -> (i64, u8, u8) {
        calendar(i64::from(self.0))
    }

    /// The day of the week, from 0 for Monday to 6 for Sunday.
    pub fn weekday(self) -> u8 {
        // 2000-01-01 was a Saturday.
        u8::try_from((i64::from(self.0) + 5).rem_euclid(7)).expect("below 7")
    }
}

impl UtcTime {
    /// The instant `minutes` after (or before) midnight UTC of `day`; none if it is out of range.
    pub fn at_minute(day: DayOfOrigin, minutes: i64) -> Option<Self> {
        let minutes = (i64::from(day.0) * DAY_MINUTES).checked_add(minutes)?;
        minutes.checked_mul(MINUTE_MICROSECONDS).map(Self)
    }

    /// Minutes since 2000-01-01 00:00 UTC, if it stands on a whole minute.
    pub fn whole_minutes(self) -> Option<i64> {
        (self.0 % MINUTE_MICROSECONDS == 0).then_some(self.0 / MINUTE_MICROSECONDS)
    }
}

fn calendar(days: i64) -> (i64, u8, u8) {
    let days = days + EPOCH_DAYS;
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = days.div_euclid(ERA_DAYS) * 400 + year_of_era + i64::from(month <= 2);
    (year, u8::try_from(month).expect("1 to 12"), u8::try_from(day).expect("1 to 31"))
}

/// Writes `2026-03-29` and returns what has to follow the time: years before 1 are counted back, as PostgreSQL does.
fn write_date(f: &mut fmt::Formatter<'_>, days: i64) -> Result<&'static str, fmt::Error> {
    let (year, month, day) = calendar(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    write!(f, "{year:04}-{month:02}-{day:02}")?;
    Ok(era)
}

/// Writes `08:25:00`, with the microseconds only if there are any.
fn write_clock(f: &mut fmt::Formatter<'_>, microseconds: u64) -> fmt::Result {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    Ok(())
}

/// The date in ISO 8601; PostgreSQL's `infinity` for the two days it means so.
impl fmt::Display for DayOfOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            i32::MAX => f.write_str("infinity"),
            i32::MIN => f.write_str("-infinity"),
            days => {
                let era = write_date(f, i64::from(days))?;
                f.write_str(era)
            }
        }
    }
}

/// The instant in ISO 8601, in UTC; PostgreSQL's `infinity` for the two instants it means so.
impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            i64::MAX => f.write_str("infinity"),
            i64::MIN => f.write_str("-infinity"),
            microseconds => {
                let era = write_date(f, microseconds.div_euclid(DAY_MICROSECONDS))?;
                f.write_str("T")?;
                write_clock(f, microseconds.rem_euclid(DAY_MICROSECONDS).cast_unsigned())?;
                write!(f, "Z{era}")
            }
        }
    }
}

/// The interval as PostgreSQL prints it in its own style: `1 day 00:45:00`.
impl fmt::Display for MinimumGroundTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (months, days, microseconds) = self.parts();
        let mut empty = true;
        let mut after_negative = false;
        for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
            if value != 0 {
                let space = if empty { "" } else { " " };
                let sign = if after_negative && value > 0 { "+" } else { "" };
                let plural = if value == 1 { "" } else { "s" };
                write!(f, "{space}{sign}{value} {unit}{plural}")?;
                (empty, after_negative) = (false, value < 0);
            }
        }
        if microseconds != 0 || empty {
            let space = if empty { "" } else { " " };
            let sign = if microseconds < 0 {
                "-"
            } else if after_negative {
                "+"
            } else {
                ""
            };
            write!(f, "{space}{sign}")?;
            write_clock(f, microseconds.unsigned_abs())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_print_as_postgresql_prints_them() {
        assert_eq!(DayOfOrigin(0).to_string(), "2000-01-01");
        assert_eq!(DayOfOrigin(9584).to_string(), "2026-03-29");
        assert_eq!(DayOfOrigin(-730_119).to_string(), "0001-01-01");
        assert_eq!(DayOfOrigin(-730_120).to_string(), "0001-12-31 BC");
        assert_eq!(UtcTime(-1).to_string(), "1999-12-31T23:59:59.999999Z");
        assert_eq!(UtcTime(1_500_000).to_string(), "2000-01-01T00:00:01.5Z");
        assert_eq!(UtcTime(i64::MAX).to_string(), "infinity");
        assert_eq!(DayOfOrigin::from_calendar(2026, 11, 23).map(DayOfOrigin::weekday), Some(0));
        assert_eq!(DayOfOrigin::from_calendar(2100, 2, 29), None);
    }

    #[test]
    fn ground_times_print_as_postgresql_prints_intervals() {
        let text = |months, days, microseconds| {
            MinimumGroundTime::new(months, days, microseconds).unwrap().to_string()
        };
        assert_eq!(text(0, 0, 0), "00:00:00");
        assert_eq!(text(0, 0, 2_700_000_000), "00:45:00");
        assert_eq!(text(0, 2, 3_600_000_000), "2 days 01:00:00");
        assert_eq!(text(14, 0, 0), "1 year 2 mons");
        assert_eq!(text(1, -1, 1_500_000), "1 mon -1 days +00:00:01.5");
        assert_eq!(text(0, 1, -60_000_000), "1 day -00:01:00");
    }

    proptest! {
        #[test]
        fn calendar_dates_read_back(days in any::<i32>()) {
            let (year, month, day) = DayOfOrigin(days).calendar();
            let year = i32::try_from(year).unwrap();
            prop_assert_eq!(DayOfOrigin::from_calendar(year, month, day), Some(DayOfOrigin(days)));
        }

        #[test]
        fn every_instant_prints(time: i64) {
            prop_assert!(UtcTime(time).to_string().len() > 5);
        }
    }
}
