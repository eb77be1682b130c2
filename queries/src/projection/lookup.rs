//! Typed look-ups: what commands need to know of the projections, without SQL in between.

use std::ops::ControlFlow;

use parking_lot::Mutex;
use rotabase_engine::domain::Domain as _;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{
    AggregateId, AirportCode, FlightDesignator, LegId, Registration, RotationId, Schedule,
};

use super::count::Count;
use super::crew::{Crew, pieces, sort_shared};
use super::fold::designators::Sharing;
use super::key::{DESIGNATOR_BYTES, Key, REGISTRATION_BYTES};
use super::row::{AirplaneRow, AirportRow, Fields, LegRow, RotationLeg, RotationRow, corrupted};
use super::rows::{Direction, Range, ReadRows, Result};
use super::snapshot::Snapshot;

/// The rows that one of several threads looks up at a time.
const LOOKED_UP_AT_ONCE: usize = if cfg!(test) { 8 } else { 1 << 14 };

impl Snapshot {
    /// The newest version of an aggregate that was folded; 0 if it has no events.
    pub fn version(&self, aggregate: &AggregateId) -> Result<Version> {
        let mut encoded = Vec::with_capacity(32);
        Schedule::encode_id(aggregate, &mut encoded);
        Ok(Version(self.get(&Key::version(&encoded), |value| Fields(value).uint8())?.unwrap_or(0)))
    }

    /// The number of rows of a relation.
    pub fn count(&self, count: Count) -> Result<u64> {
        count.read(self)
    }

    /// An airport, if it is registered.
    pub fn airport(&self, code: AirportCode) -> Result<Option<AirportRow>> {
        let key = Key::airport(code);
        self.get(&key, |value| AirportRow::decode(&key, value))
    }

    /// An airplane, if it is registered.
    pub fn airplane(&self, registration: Registration) -> Result<Option<AirplaneRow>> {
        let key = Key::airplane(registration);
        self.get(&key, |value| AirplaneRow::decode(&key, value))
    }

    /// The airplanes that fly a rotation, by registration.
    pub fn airplanes_of_rotation(&self, rotation: RotationId) -> Result<Vec<AirplaneRow>> {
        let mut registrations = Vec::new();
        self.visit(
            &Range::prefix(Key::airplanes_of(rotation)),
            Direction::Forward,
            &mut |key, _| {
                registrations.push(Fields(&key[17..]).code::<Registration>(REGISTRATION_BYTES)?);
                Ok(ControlFlow::Continue(()))
            },
        )?;
        let row = |registration| {
            self.airplane(registration)?.ok_or_else(|| corrupted("an index names no airplane"))
        };
        registrations.into_iter().map(row).collect()
    }

    /// A rotation, if it exists.
    pub fn rotation(&self, id: RotationId) -> Result<Option<RotationRow>> {
        let key = Key::rotation(id);
        self.get(&key, |value| RotationRow::decode(&key, value))
    }

    /// The rotations of that name, by id, but no more than `rows_max`: several may share a name.
    pub fn rotations_named(&self, name: &str, rows_max: usize) -> Result<Vec<RotationId>> {
        let mut range = Range::prefix(Key::rotations_named(name));
        let id_at = range.from.len();
        self.chunk(&mut range, rows_max, |key, _| Ok(RotationId(Fields(&key[id_at..]).uuid()?)))
    }

    /// A leg, if it exists.
    pub fn leg(&self, id: LegId) -> Result<Option<LegRow>> {
        let key = Key::leg(id);
        self.get(&key, |value| LegRow::decode(&key, value))
    }

    /// The legs of a rotation in departure order.
    pub fn legs_of_rotation(&self, rotation: RotationId) -> Result<Vec<LegRow>> {
        self.rotation_legs(rotation)?.into_iter().map(|leg| self.indexed_leg(leg.id)).collect()
    }

    /// What the legs of a rotation show each other, in departure order.
    pub fn rotation_legs(&self, rotation: RotationId) -> Result<Vec<RotationLeg>> {
        rotation_legs(self, rotation)
    }

    /// The legs of a designator, by id: mostly one, and several while that is a violation.
    pub fn legs_by_designator(&self, designator: &FlightDesignator) -> Result<Vec<LegRow>> {
        let ids = match self.get(&Key::designator(designator), Sharing::decode)? {
            None => Vec::new(),
            Some(Sharing::One(leg)) => vec![leg],
            Some(Sharing::Many(_)) => {
                let mut ids = Vec::new();
                self.visit(
                    &Range::prefix(Key::designator_violations(designator)),
                    Direction::Forward,
                    &mut |key, _| {
                        ids.push(LegId(Fields(&key[16..]).uuid()?));
                        Ok(ControlFlow::Continue(()))
                    },
                )?;
                ids
            }
        };
        ids.into_iter().map(|id| self.indexed_leg(id)).collect()
    }

    /// The same for many designators at a time, in their order: each row is met once, in the order of the store.
    pub fn legs_by_designators(
        &self,
        designators: &[FlightDesignator],
    ) -> Result<Vec<DesignatorLegs>> {
        let crew = Crew::of(designators.len());
        let mut keys: Vec<([u8; DESIGNATOR_BYTES + 1], usize)> = (0..)
            .zip(designators)
            .map(|(at, designator)| (fixed(&Key::designator(designator)), at))
            .collect();
        sort_shared(&mut keys, |it| *it);
        let found = Mutex::new(vec![DesignatorLegs::None; designators.len()]);
        let keys_of = pieces(&keys, LOOKED_UP_AT_ONCE, |a, b| a.0 == b.0);
        let mut legs = Vec::with_capacity(keys.len());
        for of_piece in crew.each(keys_of, |keys| self.legs_of_keys(keys, &found)) {
            legs.append(&mut of_piece?);
        }
        drop(keys);
        sort_shared(&mut legs, |it| *it);
        let legs_of = pieces(&legs, LOOKED_UP_AT_ONCE, |a, b| a.0 == b.0);
        let read = crew.each(legs_of, |legs| self.rows_of_legs(legs, &found));
        read.into_iter().collect::<Result<()>>()?;
        Ok(found.into_inner())
    }

    /// The legs of designators that one leg has, each with the place that asks for it; the others are found.
    fn legs_of_keys(
        &self,
        keys: &[([u8; DESIGNATOR_BYTES + 1], usize)],
        found: &Mutex<Vec<DesignatorLegs>>,
    ) -> Result<Vec<([u8; 17], usize)>> {
        let mut legs = Vec::with_capacity(keys.len());
        let same: Vec<_> = keys.chunk_by(|a, b| a.0 == b.0).collect();
        let distinct: Vec<&[u8]> = same.iter().map(|same| same[0].0.as_slice()).collect();
        self.walk(&distinct, &mut |number, value| {
            match Sharing::decode(value)? {
                Sharing::One(leg) => {
                    legs.extend(same[number].iter().map(|(_, at)| (fixed(&Key::leg(leg)), *at)));
                }
                Sharing::Many(legs) => {
                    let mut found = found.lock();
                    same[number].iter().for_each(|(_, at)| found[*at] = DesignatorLegs::Many(legs));
                }
            }
            Ok(())
        })?;
        Ok(legs)
    }

    /// Finds the rows of legs.
    fn rows_of_legs(
        &self,
        legs: &[([u8; 17], usize)],
        found: &Mutex<Vec<DesignatorLegs>>,
    ) -> Result<()> {
        let same: Vec<_> = legs.chunk_by(|a, b| a.0 == b.0).collect();
        let distinct: Vec<&[u8]> = same.iter().map(|same| same[0].0.as_slice()).collect();
        let mut rows = Vec::with_capacity(distinct.len());
        self.walk(&distinct, &mut |number, value| {
            rows.push(LegRow::decode(distinct[number], value)?);
            Ok(())
        })?;
        if rows.len() < distinct.len() {
            return Err(corrupted("an index names no leg"));
        }
        let mut found = found.lock();
        for (same, row) in same.iter().zip(rows) {
            same.iter().for_each(|(_, at)| found[*at] = DesignatorLegs::One(row));
        }
        Ok(())
    }

    fn indexed_leg(&self, id: LegId) -> Result<LegRow> {
        self.leg(id)?.ok_or_else(|| corrupted("an index names no leg"))
    }
}

/// A key of a table whose keys are all as long.
fn fixed<const N: usize>(key: &Key) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(key);
    bytes
}

/// The legs of a designator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesignatorLegs {
    /// No leg has it.
    None,
    /// One leg has it.
    One(LegRow),
    /// So many legs share it.
    Many(u64),
}

/// What the legs of a rotation show each other, in departure order.
pub(crate) fn rotation_legs(
    rows: &impl ReadRows,
    rotation: RotationId,
) -> Result<Vec<RotationLeg>> {
    let mut legs = Vec::new();
    rows.visit(&Range::prefix(Key::legs_of(rotation)), Direction::Forward, &mut |key, value| {
        legs.push(RotationLeg::decode(key, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(legs)
}
