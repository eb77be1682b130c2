//! Putting back what was: the rows of one subject as they were, and all that follows from them.
//!
//! It goes the way of events: a claim is given up, another is made, and the neighbours are checked again. So what
//! follows is right whatever the order in which subjects are put back, as it is for events.

use std::ops::ControlFlow;

use rotabase_engine::schedule::{AirportCode, LegId, MinimumGroundTime, Registration, RotationId};

use super::super::count::Count;
use super::super::history::state::Claims;
use super::super::key::Key;
use super::super::row::{AirplaneRow, LegOwner, LegRow};
use super::super::rows::{Direction, Range, Result, Rows};
use super::Fold;

impl<R: Rows> Fold<R> {
    /// A leg is held by these and no others.
    pub(crate) fn restore_leg(&mut self, id: LegId, then: &Claims) -> Result<()> {
        let now = self.holders(id)?;
        let same = then.len() == 1 && now.len() == 1 && then.contains_key(&now[0]);
        if !same {
            for owner in now {
                self.release(owner, id)?;
            }
        }
        for (owner, (claimed, leg)) in then {
            self.claim(*owner, *claimed, leg)?;
        }
        Ok(())
    }

    /// An airport has this minimum ground time; none if it is not registered.
    pub(crate) fn restore_airport(
        &mut self,
        code: AirportCode,
        then: Option<MinimumGroundTime>,
    ) -> Result<()> {
        self.set_airport(code, then)
    }

    /// An airplane is this; none if it is not registered.
    pub(crate) fn restore_airplane(
        &mut self,
        registration: Registration,
        then: Option<AirplaneRow>,
    ) -> Result<()> {
        let Some(then) = then else { return self.remove_airplane(registration) };
        let key = Key::airplane(registration);
        if self.rows.get(&key, |_| Ok(()))?.is_none() {
            self.register_airplane(registration, then.aircraft_type, then.minimum_ground_time);
        }
        self.change_airplane(registration, |row| *row = then)
    }

    /// A rotation exists and has this name. To be put back before its legs.
    pub(crate) fn restore_rotation(&mut self, id: RotationId, name: Option<String>) -> Result<()> {
        if self.rotation(id)?.is_some() {
            return self.rename_rotation(id, name);
        }
        self.create_rotation(id, name);
        Ok(())
    }

    /// A rotation does not exist. To be taken away after its legs.
    pub(crate) fn restore_no_rotation(&mut self, id: RotationId) -> Result<()> {
        self.remove_rotation(id)
    }

    /// An aggregate, as the domain encodes it, has this version; 0 if it has no events.
    pub(crate) fn restore_version(&mut self, aggregate: &[u8], version: u64) {
        match version {
            0 => self.rows.delete(Key::version(aggregate)),
            version => self.set_version(aggregate, version),
        }
    }

    /// So many events have not happened.
    pub(crate) fn restore_events(&mut self, fewer: u64) {
        self.count(Count::Events, -i64::try_from(fewer).unwrap_or(i64::MAX));
    }

    /// The aggregates that hold a leg, or seem to.
    fn holders(&self, id: LegId) -> Result<Vec<LegOwner>> {
        let key = Key::leg(id);
        let shown = self.rows.get(&key, |value| LegRow::decode(&key, value))?;
        let mut holders: Vec<LegOwner> = shown.iter().map(|row| row.owner).collect();
        if shown.is_some_and(|row| row.rivals > 0) {
            let rivals = Range::prefix(Key::rivals(id));
            self.rows.visit(&rivals, Direction::Forward, &mut |key, value| {
                holders.push(LegRow::decode(&key[..17], value)?.owner);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(holders)
    }
}
