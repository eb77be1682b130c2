//! Dates as periods with days of operation.

use rotabase_engine::schedule::DayOfOrigin;

use super::PERIOD_DAYS_MAX;
use super::expansion::Period;

/// Covers `dates`, which are ascending and without repeats, by periods that name these dates and no others.
///
/// A period starts at the first date that is left and goes on as long as every date that it names is there,
/// weekly or fortnightly, whichever goes further.
pub(super) fn cover(mut dates: &[i32]) -> Vec<Period> {
    let mut periods = Vec::new();
    while !dates.is_empty() {
        let weekly = longest(dates, false);
        let fortnightly = longest(dates, true);
        let (length, fortnightly) =
            if fortnightly > weekly { (fortnightly, true) } else { (weekly, false) };
        let (covered, rest) = dates.split_at(length);
        let days = covered.iter().take(7).fold(0, |days, date| days | day(*date));
        periods.push(Period { from: covered[0], to: covered[length - 1], days, fortnightly });
        dates = rest;
    }
    periods
}

/// How many of `dates`, from the first on, one period can name.
fn longest(dates: &[i32], fortnightly: bool) -> usize {
    let from = dates[0];
    let mut period = Period { from, to: from, days: 0, fortnightly };
    let mut length = 0;
    for date in dates {
        let in_first_week = date - from < 7;
        // After the first week the days are settled, and each date has to be the next that they name.
        let follows = in_first_week || {
            let before = dates[length - 1];
            (before + 1..=*date).find(|it| period.operates(*it)) == Some(*date)
        };
        if !follows || date - from >= PERIOD_DAYS_MAX {
            break;
        }
        period.days |= day(*date);
        length += 1;
    }
    length
}

fn day(date: i32) -> u8 {
    1 << DayOfOrigin(date).weekday()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn regular_dates_are_one_period() {
        assert_eq!(cover(&[9584]).len(), 1);
        let daily: Vec<i32> = (9000..9200).collect();
        assert_eq!(
            cover(&daily),
            [Period { from: 9000, to: 9199, days: 0x7f, fortnightly: false }]
        );
        let fortnights: Vec<i32> =
            (9000..9200).filter(|it| it % 14 == 9000 % 14 || it % 14 == 9002 % 14).collect();
        assert_eq!(cover(&fortnights).len(), 1);
        assert!(cover(&fortnights)[0].fortnightly);
        let gap: Vec<i32> = (9000..9200).filter(|it| *it != 9100).collect();
        assert_eq!(cover(&gap).len(), 2);
    }

    proptest! {
        #[test]
        fn periods_name_the_dates_and_no_others(dates in proptest::collection::btree_set(0..9000_i32, 0..60), run in 0..5000_i32) {
            let dates: BTreeSet<i32> = dates.into_iter().chain(5000..5000 + run).collect();
            let dates: Vec<i32> = dates.into_iter().collect();
            let periods = cover(&dates);
            let named: Vec<i32> = periods.iter().flat_map(Period::dates).collect();
            prop_assert_eq!(named, dates);
            for period in periods {
                prop_assert_eq!(period.day_that_never_occurs(), None);
                prop_assert!(period.operates(period.from) && period.to - period.from < PERIOD_DAYS_MAX);
            }
        }
    }
}
