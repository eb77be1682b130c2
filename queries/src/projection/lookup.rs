//! Typed look-ups: what commands need to know of the projections, without SQL in between.

use std::ops::ControlFlow;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{
    AggregateId, AirportCode, FlightDesignator, LegId, Registration, RotationId, Schedule,
};

use super::count::Count;
use super::fold::designators::Sharing;
use super::key::{Key, REGISTRATION_BYTES};
use super::row::{AirplaneRow, AirportRow, Fields, LegRow, RotationLeg, RotationRow, corrupted};
use super::rows::{Direction, Range, ReadRows, Result};
use super::snapshot::Snapshot;

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

    fn indexed_leg(&self, id: LegId) -> Result<LegRow> {
        self.leg(id)?.ok_or_else(|| corrupted("an index names no leg"))
    }
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
