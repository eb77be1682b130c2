//! The flight aggregate: the open legs of one carrier, number and suffix.
//!
//! A flight needs no registration. Its legs may overlap: nobody flies them yet.

use std::collections::BTreeMap;

use super::state::Decision;
use super::{Event, Leg, LegId, Refusal};

/// A flight: its open legs by id.
///
/// ```
/// # use rotabase_engine::domain::Domain;
/// # use rotabase_engine::schedule::{AggregateId, Command, FlightId, FlightNumber, LegId, Refusal, Schedule, Suffix};
/// let flight = FlightId { carrier: "LH".parse().unwrap(), number: FlightNumber::new(400).unwrap(), suffix: Suffix::NONE };
/// let flight = AggregateId::Flight(flight);
/// let cancel = Command::CancelOpenLeg { id: LegId(Default::default()), expected: None };
/// let refused = Schedule::decide(&flight, &Schedule::initial(&flight), &cancel);
/// assert!(matches!(refused, Err(Refusal::LegMissing(_))));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    legs: BTreeMap<LegId, Leg>,
}

/// What commands do.
impl Flight {
    /// How many open legs it has.
    pub fn leg_count(&self) -> usize {
        self.legs.len()
    }

    /// Its open legs in the order of their ids.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.values()
    }

    /// An open leg of it.
    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.get(&id)
    }

    pub(super) fn schedule(&self, leg: &Leg) -> Result<Decision, Refusal> {
        if self.legs.contains_key(&leg.id) {
            return Err(Refusal::LegExists(leg.id));
        }
        Ok(Decision::from_buf([Event::OpenLegScheduled(Box::new(*leg))]))
    }

    pub(super) fn reschedule(
        &self,
        leg: &Leg,
        expected: Option<&Leg>,
    ) -> Result<Decision, Refusal> {
        let current = self.leg(leg.id).ok_or(Refusal::LegMissing(leg.id))?;
        if current.designator != leg.designator {
            return Err(Refusal::DesignatorChanged(leg.id));
        }
        if expected.is_some_and(|expected| expected != current) {
            return Err(Refusal::LegChanged(leg.id));
        }
        if current == leg {
            return Ok(Decision::new());
        }
        Ok(Decision::from_buf([Event::OpenLegRescheduled(Box::new(*leg))]))
    }

    pub(super) fn cancel(&self, id: LegId, expected: Option<&Leg>) -> Result<Decision, Refusal> {
        let current = self.leg(id).ok_or(Refusal::LegMissing(id))?;
        if expected.is_some_and(|expected| expected != current) {
            return Err(Refusal::LegChanged(id));
        }
        Ok(Decision::from_buf([Event::OpenLegCancelled { id }]))
    }
}

/// What events change.
impl Flight {
    pub(super) fn scheduled(&mut self, leg: Leg) {
        let taken = self.legs.insert(leg.id, leg);
        assert!(taken.is_none(), "a leg id occurs once");
    }

    pub(super) fn rescheduled(&mut self, leg: Leg) {
        let before = self.legs.insert(leg.id, leg).expect("only a leg that is here changes");
        assert!(before.designator == leg.designator, "the designator of a leg stays");
    }

    pub(super) fn cancelled(&mut self, id: LegId) {
        let cancelled = self.legs.remove(&id);
        assert!(cancelled.is_some(), "only a leg that is here is cancelled");
    }

    /// Adds a leg of a snapshot; false if its id is taken.
    pub(super) fn restore_leg(&mut self, leg: Leg) -> bool {
        self.legs.insert(leg.id, leg).is_none()
    }
}
