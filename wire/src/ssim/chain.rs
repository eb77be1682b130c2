//! The legs of one flight that depart on one day of origin, as leg records can say them.
//!
//! In a file the legs of a flight and itinerary variation are numbered 01, 02, 03: each departs where the one
//! before arrives, not earlier, and the first departs on the day of origin. Legs from SSIM are like that, until
//! planners change them. What does not fit any more keeps all but its leg sequence or its itinerary variation: it
//! becomes a first leg, or follows another leg of its flight.

use std::collections::{BTreeMap, BTreeSet};

use rotabase_engine::schedule::{AircraftType, AirportCode, DAY_MINUTES, Leg, ServiceType};

use super::leg_record::returns;
use super::value::{self, TimeMode};
use super::writer::SsimExportError;

/// The highest itinerary variation and leg sequence that a record can say.
const VARIATION_MAX: u32 = 999;
const SEQUENCE_MAX: u8 = 99;

/// A leg relative to its day of origin: what legs of one record have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) departure_airport: AirportCode,
    pub(super) arrival_airport: AirportCode,
    /// Minutes in UTC from the midnight at which the day of origin starts.
    pub(super) departure_minutes: i64,
    pub(super) arrival_minutes: i64,
    pub(super) departure_offset: i32,
    pub(super) arrival_offset: i32,
    pub(super) service_type: ServiceType,
    pub(super) aircraft_type: Option<AircraftType>,
}

/// A date variation and a time of the day as a record says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) days: i32,
    pub(super) minutes: i64,
}

/// The legs 01, 02, 03 of a flight and itinerary variation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chain {
    pub(super) variation: u32,
    pub(super) mode: TimeMode,
    pub(super) legs: Vec<Shape>,
}

/// The chains of a flight, and the days of origin on which each is flown, ascending.
pub(super) fn chains(mut legs: Vec<Leg>) -> Result<BTreeMap<Chain, Vec<i32>>, SsimExportError> {
    legs.sort_by_key(|it| {
        (
            it.designator.day_of_origin,
            it.itinerary_variation,
            it.leg_sequence,
            it.block.departure(),
            it.id,
        )
    });
    let mut chains: BTreeMap<Chain, Vec<i32>> = BTreeMap::new();
    for day in
        legs.chunk_by(|one, next| one.designator.day_of_origin == next.designator.day_of_origin)
    {
        let mut flown = Day::default();
        for leg in day {
            let shape = shape(leg)?;
            if !flown.place_as_it_is(leg, shape) {
                flown.loose.push((*leg, shape));
            }
        }
        for chain in flown.finish()? {
            chains.entry(chain).or_default().push(day[0].designator.day_of_origin.0);
        }
    }
    Ok(chains)
}

/// The chains of one day of origin.
#[derive(Default)]
struct Day {
    chains: Vec<Chain>,
    loose: Vec<(Leg, Shape)>,
    /// What the ids of the placed legs are derived from, beside flight and day.
    taken: BTreeSet<(AirportCode, usize, u32)>,
}

impl Day {
    /// Places a leg where its leg sequence and itinerary variation say; false if it does not fit there.
    fn place_as_it_is(&mut self, leg: &Leg, shape: Shape) -> bool {
        let sequence =
            u8::try_from(leg.leg_sequence).ok().filter(|it| (1..=SEQUENCE_MAX).contains(it));
        let variation = u32::try_from(leg.itinerary_variation)
            .ok()
            .filter(|it| (1..=VARIATION_MAX).contains(it));
        let (Some(sequence), Some(variation)) = (sequence, variation) else { return false };
        if sequence == 1 {
            return self.start(shape, variation);
        }
        let before = usize::from(sequence) - 1;
        (0..self.chains.len()).any(|at| {
            let chain = &self.chains[at];
            chain.variation == variation && chain.legs.len() == before && self.append(at, shape)
        })
    }

    /// Places what did not fit, and gives all chains.
    fn finish(mut self) -> Result<Vec<Chain>, SsimExportError> {
        for (leg, shape) in std::mem::take(&mut self.loose) {
            let placed = leg.leg_sequence == 1 && self.start_anywhere(&leg, shape)
                || self.append_anywhere(shape)
                || self.start_anywhere(&leg, shape);
            if !placed {
                let reason = "it departs on another day than its day of origin, and follows no other leg of its flight";
                return Err(SsimExportError::new(&leg, reason));
            }
        }
        Ok(self.chains)
    }

    fn start_anywhere(&mut self, leg: &Leg, shape: Shape) -> bool {
        let own = u32::try_from(leg.itinerary_variation)
            .ok()
            .filter(|it| (1..=VARIATION_MAX).contains(it));
        let mut variations = own.into_iter().chain(1..=VARIATION_MAX);
        variations.any(|variation| self.start(shape, variation))
    }

    fn append_anywhere(&mut self, shape: Shape) -> bool {
        (0..self.chains.len()).any(|at| self.append(at, shape))
    }

    /// Starts a chain, if the leg departs on its day of origin, in local time or else in UTC.
    fn start(&mut self, shape: Shape, variation: u32) -> bool {
        let mode = [TimeMode::Local, TimeMode::Utc]
            .into_iter()
            .find(|mode| shape.moments(*mode, true).is_some());
        let Some(mode) = mode else { return false };
        if !self.taken.insert((shape.departure_airport, 1, variation)) {
            return false;
        }
        self.chains.push(Chain { variation, mode, legs: vec![shape] });
        true
    }

    /// Lets a leg follow the last one of a chain, if it can.
    fn append(&mut self, at: usize, shape: Shape) -> bool {
        let chain = &mut self.chains[at];
        let last = chain.legs.last().expect("a chain has a leg");
        let follows = last.arrival_airport == shape.departure_airport
            && last.arrival_minutes <= shape.departure_minutes;
        let sequence = chain.legs.len() + 1;
        if !follows || sequence > usize::from(SEQUENCE_MAX) {
            return false;
        }
        let says = |mode| {
            chain.legs[0].moments(mode, true).is_some()
                && chain.legs[1..]
                    .iter()
                    .chain([&shape])
                    .all(|it| it.moments(mode, false).is_some())
        };
        let Some(mode) =
            [chain.mode, TimeMode::Local, TimeMode::Utc].into_iter().find(|mode| says(*mode))
        else {
            return false;
        };
        if !self.taken.insert((shape.departure_airport, sequence, chain.variation)) {
            return false;
        }
        chain.mode = mode;
        chain.legs.push(shape);
        true
    }
}

impl Shape {
    /// Departure and arrival as a record in this time mode says them; none if it cannot.
    pub(super) fn moments(&self, mode: TimeMode, first: bool) -> Option<(Moment, Moment)> {
        let (departure_offset, arrival_offset) = match mode {
            TimeMode::Local => (self.departure_offset, self.arrival_offset),
            TimeMode::Utc => (0, 0),
        };
        let departure = moment(self.departure_minutes + i64::from(departure_offset))?;
        let mut arrival = moment(self.arrival_minutes + i64::from(arrival_offset))?;
        // Midnight is the end of a day, unless that day cannot be said.
        if arrival.minutes == 0 && arrival.days > -1 {
            arrival = Moment { days: arrival.days - 1, minutes: DAY_MINUTES };
        }
        value::date_variation_text(departure.days)?;
        value::date_variation_text(arrival.days)?;
        (!first || departure.days == 0).then_some((departure, arrival))
    }
}

fn moment(minutes: i64) -> Option<Moment> {
    let days = i32::try_from(minutes.div_euclid(DAY_MINUTES)).ok()?;
    Some(Moment { days, minutes: minutes.rem_euclid(DAY_MINUTES) })
}

/// A leg relative to its day of origin, if a record can say it.
fn shape(leg: &Leg) -> Result<Shape, SsimExportError> {
    let refuse = |reason| Err(SsimExportError::new(leg, reason));
    let (Some(departure), Some(arrival)) =
        (leg.block.departure().whole_minutes(), leg.block.arrival().whole_minutes())
    else {
        return refuse("its times are not whole minutes");
    };
    if arrival - departure > DAY_MINUTES {
        return refuse("it takes more than 24 hours");
    }
    let variations = [leg.departure_utc_offset_minutes, leg.arrival_utc_offset_minutes]
        .map(value::variation_text);
    if variations.contains(&None) {
        return refuse("its UTC offset is not between -1200 and +1400");
    }
    let carrier = leg.carrier();
    if carrier.as_str().len() == 3 && carrier.as_str().bytes().any(|byte| byte.is_ascii_digit()) {
        return refuse("its carrier has three characters and one is a digit");
    }
    if leg.aircraft_type.is_some_and(|it| it.as_str().len() != 3) {
        return refuse("its aircraft type does not have three characters");
    }
    if leg.designator.departure_airport == leg.arrival_airport
        && !returns(leg.service_type.stored()[0])
    {
        return refuse("it arrives where it departs");
    }
    let day = leg.designator.day_of_origin.0;
    // A leg departs within a week or so of its day of origin.
    if [day.saturating_sub(2), day.saturating_add(9)].map(value::date_text).contains(&None) {
        return refuse("its day of origin is not between 1970 and 2069");
    }
    let midnight = i64::from(day) * DAY_MINUTES;
    Ok(Shape {
        departure_airport: leg.designator.departure_airport,
        arrival_airport: leg.arrival_airport,
        departure_minutes: departure - midnight,
        arrival_minutes: arrival - midnight,
        departure_offset: leg.departure_utc_offset_minutes,
        arrival_offset: leg.arrival_utc_offset_minutes,
        service_type: leg.service_type,
        aircraft_type: leg.aircraft_type,
    })
}
