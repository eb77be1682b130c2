//! A flight leg record as dated legs.

use rotabase_engine::schedule::{BlockTime, DayOfOrigin, Leg, UtcTime};

use super::value::LegName;

/// The dates on which a record's leg departs, at its own departure airport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: i32,
    pub(super) to: i32,
    /// The lowest bit is Monday.
    pub(super) days: u8,
    /// Only every second week, counted from `from`.
    pub(super) fortnightly: bool,
}

impl Period {
    /// Whether the leg departs on `day`.
    pub(super) fn operates(&self, day: i32) -> bool {
        let week = (day - self.from) / 7;
        self.days >> DayOfOrigin(day).weekday() & 1 == 1 && !(self.fortnightly && week % 2 == 1)
    }

    /// The dates in order.
    pub(super) fn dates(&self) -> impl DoubleEndedIterator<Item = i32> {
        let period = *self;
        (self.from..=self.to).filter(move |day| period.operates(*day))
    }

    /// A listed day of the week, from 0 for Monday, that has no date in the period.
    pub(super) fn day_that_never_occurs(&self) -> Option<u8> {
        let mut occurring = 0;
        for day in self.from..=self.to.min(self.from.saturating_add(6)) {
            occurring |= 1 << DayOfOrigin(day).weekday();
        }
        (0..7).find(|place| (self.days & !occurring) >> place & 1 == 1)
    }
}

/// A record that has been checked.
#[derive(Clone, Debug)]
pub(super) struct Expansion {
    /// What its legs have in common.
    pub(super) leg: Leg,
    pub(super) period: Period,
    /// The date of departure minus the day of origin.
    pub(super) departure_days: i32,
    /// The departure in UTC, in minutes from the midnight at which the date of departure starts.
    pub(super) departure_minutes: i64,
    /// The arrival in UTC, likewise.
    pub(super) arrival_minutes: i64,
}

impl Expansion {
    /// The dated legs, in order.
    pub(super) fn legs(&self) -> impl Iterator<Item = Leg> {
        let leg = &self.leg;
        let designator = leg.designator;
        let mut name = LegName::new(
            designator.flight,
            designator.departure_airport,
            leg.leg_sequence,
            leg.itinerary_variation,
        );
        self.period.dates().map(move |date| {
            let mut dated = self.leg;
            dated.designator.day_of_origin = DayOfOrigin(date - self.departure_days);
            dated.id = name.leg_id(dated.designator.day_of_origin);
            dated.block = block(date, self.departure_minutes, self.arrival_minutes);
            dated
        })
    }
}

/// The block time of a leg that departs on `date`.
pub(super) fn block(date: i32, departure_minutes: i64, arrival_minutes: i64) -> BlockTime {
    let time = |minutes| UtcTime::at_minute(DayOfOrigin(date), minutes);
    let times = time(departure_minutes).zip(time(arrival_minutes));
    let block = times.and_then(|(departure, arrival)| BlockTime::new(departure, arrival));
    block.expect("a record's dates are of two centuries, and its arrival is after its departure")
}
