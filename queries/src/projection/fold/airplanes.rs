//! Airplanes and the rotations that they fly.

use rotabase_engine::schedule::{AircraftType, MinimumGroundTime, Registration, RotationId};

use super::super::count::Count;
use super::super::key::Key;
use super::super::row::AirplaneRow;
use super::super::rows::{Result, Rows};
use super::Fold;

impl<R: Rows> Fold<R> {
    pub(super) fn register_airplane(
        &mut self,
        registration: Registration,
        aircraft_type: Option<AircraftType>,
        minimum_ground_time: MinimumGroundTime,
    ) {
        let row = AirplaneRow { registration, aircraft_type, minimum_ground_time, rotation: None };
        self.rows.put(Key::airplane(registration), &row.encode());
        self.count(Count::Airplanes, 1);
    }

    pub(super) fn change_airplane(
        &mut self,
        registration: Registration,
        change: impl FnOnce(&mut AirplaneRow),
    ) -> Result<()> {
        let Some(before) = self.airplane(registration)? else { return Ok(()) };
        let mut after = before;
        change(&mut after);
        self.rows.put(Key::airplane(registration), &after.encode());
        let minimums = (before.minimum_ground_time, after.minimum_ground_time);
        match (before.rotation, after.rotation) {
            (Some(was), Some(is)) if was == is => {
                if minimums.0 == minimums.1 {
                    return Ok(());
                }
                self.set_rotation_airplane(is, registration, Some(minimums.0), Some(minimums.1))
            }
            (was, is) => {
                if let Some(rotation) = was {
                    self.set_rotation_airplane(rotation, registration, Some(minimums.0), None)?;
                }
                is.map_or(Ok(()), |rotation| {
                    self.set_rotation_airplane(rotation, registration, None, Some(minimums.1))
                })
            }
        }
    }

    pub(super) fn remove_airplane(&mut self, registration: Registration) -> Result<()> {
        let Some(row) = self.airplane(registration)? else { return Ok(()) };
        self.rows.delete(Key::airplane(registration));
        self.count(Count::Airplanes, -1);
        let Some(rotation) = row.rotation else { return Ok(()) };
        self.set_rotation_airplane(rotation, registration, Some(row.minimum_ground_time), None)
    }

    /// Maintains which airplanes fly a rotation, with their minimums, and what is checked against them.
    fn set_rotation_airplane(
        &mut self,
        rotation: RotationId,
        registration: Registration,
        before: Option<MinimumGroundTime>,
        after: Option<MinimumGroundTime>,
    ) -> Result<()> {
        let others = self.airplanes_of(rotation)?.iter().any(|(other, _)| *other != registration);
        let key = Key::rotation_airplane(rotation, registration);
        match after {
            Some(minimum) => self.rows.put(key, &Key::default().minimum(minimum)),
            None => self.rows.delete(key),
        }
        self.airplanes.remove(&rotation);
        self.rotation_airplane_changed(rotation, registration, before, after, others)
    }

    fn airplane(&self, registration: Registration) -> Result<Option<AirplaneRow>> {
        let key = Key::airplane(registration);
        self.rows.get(&key, |value| AirplaneRow::decode(&key, value))
    }
}
