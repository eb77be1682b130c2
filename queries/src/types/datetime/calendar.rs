//! The proleptic Gregorian calendar, in days since 2000-01-01.

/// A day of the calendar. Year 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// The year; 0 is 1 BC, -1 is 2 BC.
    pub year: i64,
    /// From 1 to 12.
    pub month: i64,
    /// From 1 to 31.
    pub day: i64,
}

/// Days from 0000-03-01 to 2000-01-01.
const EPOCH: i64 = 730_425;

/// The days in 400 years.
const CYCLE: i64 = 146_097;

/// The Julian day number of 2000-01-01.
pub const EPOCH_JULIAN: i64 = 2_451_545;

/// Days from 1970-01-01 to 2000-01-01.
pub const UNIX_DAYS: i64 = 10_957;

/// The days since 2000-01-01 of a day; months beyond December count on.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * CYCLE + day_of_cycle - EPOCH
}

/// The day so many days after 2000-01-01.
pub fn civil(days: i64) -> Civil {
    let days = days + EPOCH;
    let cycle = days.div_euclid(CYCLE);
    let day = days.rem_euclid(CYCLE);
    let year_of_cycle = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    Civil { year, month, day: day_of_year - (153 * shifted + 2) / 5 + 1 }
}

/// Whether a year has 366 days.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The days of a month.
pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day of the week: 0 is Sunday.
pub fn weekday(days: i64) -> i64 {
    (days + 6).rem_euclid(7)
}

/// The ISO 8601 week of a day: the year it belongs to and its number.
pub fn iso_week(days: i64) -> (i64, i64) {
    let monday = days - (weekday(days) + 6) % 7;
    let thursday = monday + 3;
    let year = civil(thursday).year;
    (year, (thursday - self::days(year, 1, 1)) / 7 + 1)
}

/// The first day of an ISO 8601 week.
pub fn iso_week_start(year: i64, week: i64) -> i64 {
    let fourth = days(year, 1, 4);
    fourth - (weekday(fourth) + 6) % 7 + (week - 1) * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_civil_are_inverse() {
        for day in (-3_000_000..3_000_000).step_by(97) {
            let Civil { year, month, day: of_month } = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
        assert_eq!(civil(0), Civil { year: 2000, month: 1, day: 1 });
        assert_eq!(weekday(0), 6);
        assert_eq!(iso_week(0), (1999, 52));
    }
}
