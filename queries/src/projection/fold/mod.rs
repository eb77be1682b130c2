//! The fold: from an event to the rows that it changes. Pure but for the rows, which it reads and writes through
//! a trait: the same events give the same rows anywhere.
//!
//! # What it relies on
//!
//! The events of one aggregate come in order; those of different aggregates, even of one statement, in any
//! order, because they may stand in different shards. So nothing here expects what another aggregate has done:
//! an airplane may fly a rotation that was not seen yet, and a leg may seem to be in two places or in none.
//! Every row is a function of what the aggregates have seen so far, not of the order in which they were
//! interleaved: wherever the shards stand, there is one set of rows for it. `tests.rs` holds it to that.
//!
//! # What an event costs
//!
//! A look-up or two for the row it changes. A leg of a rotation is checked against its neighbours only; a minimum
//! ground time against the pairs it is a minimum of; a designator against the number of its legs.

mod airplanes;
mod bulk;
pub(crate) mod designators;
mod legs;
mod order;
mod pairs;
mod restore;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{
    AggregateId, AirportCode, Event, FlightId, MinimumGroundTime, Registration, RotationId,
};

use super::count::{COUNTS, Count};
use super::key::Key;
use super::row::{AirportRow, Fields, LegOwner, RotationRow, corrupted};
use super::rows::{Result, Rows};
use order::Orders;

/// The rotations whose airplanes are remembered between events.
const ROTATIONS_REMEMBERED_MAX: usize = 1 << 16;

/// The rows of an index that are held in memory at a time while what they point at changes.
const CHUNK_ROWS_MAX: usize = 1024;

/// The airplanes of a rotation and their minimums.
type Airplanes = SmallVec<[(Registration, MinimumGroundTime); 1]>;

/// The fold over rows. It remembers nothing that is not in the rows, but for speed.
#[derive(Debug)]
pub(crate) struct Fold<R> {
    /// The rows.
    pub(crate) rows: R,
    // Changes of the counts that are not in the rows yet.
    counts: [i64; COUNTS],
    // Registered or not; there are at most 26^3 airport codes.
    airports: FxHashMap<AirportCode, Option<MinimumGroundTime>>,
    airplanes: FxHashMap<RotationId, Airplanes>,
    orders: Orders,
    remembers_orders: bool,
    value: Vec<u8>,
}

impl<R: Rows> Fold<R> {
    /// A fold that goes on where `rows` stand.
    pub(crate) fn new(rows: R) -> Self {
        Self {
            rows,
            counts: [0; COUNTS],
            airports: FxHashMap::default(),
            airplanes: FxHashMap::default(),
            orders: Orders::default(),
            remembers_orders: false,
            value: Vec::new(),
        }
    }

    /// The same for a fold that lives long: it reads a rotation whole to know the neighbours of its next legs.
    pub(crate) fn remembering(rows: R) -> Self {
        Self { remembers_orders: true, ..Self::new(rows) }
    }

    /// Folds one event of `aggregate`.
    pub(crate) fn apply(
        &mut self,
        aggregate: &AggregateId,
        timestamp: Timestamp,
        event: &Event,
    ) -> Result<()> {
        self.counts[Count::Events.place()] += 1;
        match event {
            Event::AirportRegistered { minimum_ground_time }
            | Event::AirportMinimumGroundTimeChanged { minimum_ground_time } => {
                self.set_airport(airport(aggregate)?, Some(*minimum_ground_time))
            }
            Event::AirportRemoved => self.set_airport(airport(aggregate)?, None),
            Event::AirplaneRegistered { aircraft_type, minimum_ground_time } => {
                self.register_airplane(airplane(aggregate)?, *aircraft_type, *minimum_ground_time);
                Ok(())
            }
            Event::AirplaneChanged { aircraft_type, minimum_ground_time } => {
                self.change_airplane(airplane(aggregate)?, |row| {
                    row.aircraft_type = *aircraft_type;
                    row.minimum_ground_time = *minimum_ground_time;
                })
            }
            Event::AirplaneRemoved => self.remove_airplane(airplane(aggregate)?),
            Event::RotationAssigned { rotation } => {
                self.change_airplane(airplane(aggregate)?, |row| row.rotation = Some(*rotation))
            }
            Event::RotationUnassigned { rotation: _ } => {
                self.change_airplane(airplane(aggregate)?, |row| row.rotation = None)
            }
            Event::RotationCreated { name } => {
                self.create_rotation(rotation(aggregate)?, name.clone());
                Ok(())
            }
            Event::RotationRenamed { name } => {
                self.rename_rotation(rotation(aggregate)?, name.clone())
            }
            Event::RotationRemoved => self.remove_rotation(rotation(aggregate)?),
            Event::LegAdded(leg) => {
                self.claim(LegOwner::Rotation(rotation(aggregate)?), timestamp, leg)
            }
            Event::LegRescheduled(leg) => self.amend(LegOwner::Rotation(rotation(aggregate)?), leg),
            Event::LegRemoved { id } => self.release(LegOwner::Rotation(rotation(aggregate)?), *id),
            Event::OpenLegScheduled(leg) => {
                self.claim(LegOwner::Flight(flight(aggregate)?), timestamp, leg)
            }
            Event::OpenLegRescheduled(leg) => self.amend(LegOwner::Flight(flight(aggregate)?), leg),
            Event::OpenLegCancelled { id } => {
                self.release(LegOwner::Flight(flight(aggregate)?), *id)
            }
        }
    }

    /// Writes what is not in the rows yet: to be called before they are shown to anyone.
    pub(crate) fn settle(&mut self) -> Result<()> {
        for count in Count::ALL {
            let change = std::mem::take(&mut self.counts[count.place()]);
            if change != 0 {
                let rows = count.read(&self.rows)?;
                let rows = rows
                    .checked_add_signed(change)
                    .ok_or_else(|| corrupted("a count is below zero"))?;
                match rows {
                    // No row is zero, so that rows do not tell what came and went.
                    0 => self.rows.delete(count.key()),
                    rows => self.rows.put(count.key(), &rows.to_be_bytes()),
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, count: Count, change: i64) {
        self.counts[count.place()] += change;
    }

    fn set_airport(&mut self, code: AirportCode, minimum: Option<MinimumGroundTime>) -> Result<()> {
        let before = self.airport(code)?;
        let key = Key::airport(code);
        match minimum {
            Some(minimum_ground_time) => {
                self.rows.put(key, &AirportRow { code, minimum_ground_time }.encode());
            }
            None => self.rows.delete(key),
        }
        self.count(Count::Airports, i64::from(minimum.is_some()) - i64::from(before.is_some()));
        self.airports.insert(code, minimum);
        if before.unwrap_or_default() == minimum.unwrap_or_default() {
            return Ok(());
        }
        self.airport_changed(code, before, minimum)
    }

    /// The minimum ground time of an airport; none if it is not registered.
    fn airport(&mut self, code: AirportCode) -> Result<Option<MinimumGroundTime>> {
        if let Some(known) = self.airports.get(&code) {
            return Ok(*known);
        }
        let minimum = self.rows.get(&Key::airport(code), |value| Fields(value).minimum())?;
        self.airports.insert(code, minimum);
        Ok(minimum)
    }

    fn create_rotation(&mut self, id: RotationId, name: Option<String>) {
        if let Some(name) = &name {
            self.rows.put(Key::rotation_name(name, id), &[]);
        }
        let row = RotationRow { id, name, legs: 0, first_departure: None, last_arrival: None };
        self.rows.put(Key::rotation(id), &row.encode());
        self.count(Count::Rotations, 1);
    }

    fn rename_rotation(&mut self, id: RotationId, name: Option<String>) -> Result<()> {
        let Some(mut row) = self.rotation(id)? else { return Ok(()) };
        if let Some(before) = &row.name {
            self.rows.delete(Key::rotation_name(before, id));
        }
        if let Some(name) = &name {
            self.rows.put(Key::rotation_name(name, id), &[]);
        }
        row.name = name;
        self.rows.put(Key::rotation(id), &row.encode());
        Ok(())
    }

    fn remove_rotation(&mut self, id: RotationId) -> Result<()> {
        let Some(row) = self.rotation(id)? else { return Ok(()) };
        if let Some(name) = &row.name {
            self.rows.delete(Key::rotation_name(name, id));
        }
        self.rows.delete(Key::rotation(id));
        self.count(Count::Rotations, -1);
        Ok(())
    }

    fn rotation(&self, id: RotationId) -> Result<Option<RotationRow>> {
        let key = Key::rotation(id);
        self.rows.get(&key, |value| RotationRow::decode(&key, value))
    }

    /// Sets the newest version of an aggregate, which is given as the domain encodes it.
    pub(crate) fn set_version(&mut self, aggregate: &[u8], version: u64) {
        self.rows.put(Key::version(aggregate), &version.to_be_bytes());
    }
}

fn mismatch(aggregate: &AggregateId) -> rotabase_engine::db::StoreError {
    corrupted(&format!("an event of another type belongs to {} {aggregate}", aggregate.type_name()))
}

fn airport(aggregate: &AggregateId) -> Result<AirportCode> {
    let AggregateId::Airport(code) = aggregate else { return Err(mismatch(aggregate)) };
    Ok(*code)
}

fn airplane(aggregate: &AggregateId) -> Result<Registration> {
    let AggregateId::Airplane(registration) = aggregate else { return Err(mismatch(aggregate)) };
    Ok(*registration)
}

fn rotation(aggregate: &AggregateId) -> Result<RotationId> {
    let AggregateId::Rotation(id) = aggregate else { return Err(mismatch(aggregate)) };
    Ok(*id)
}

fn flight(aggregate: &AggregateId) -> Result<FlightId> {
    let AggregateId::Flight(flight) = aggregate else { return Err(mismatch(aggregate)) };
    Ok(*flight)
}
