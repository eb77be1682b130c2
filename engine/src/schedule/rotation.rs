//! The rotation aggregate: legs in departure order, no two of which overlap.
//!
//! Because no two legs overlap, their order by departure is their order by arrival as well, and no two depart
//! at the same instant. So a leg can only be in the way of another if it is its neighbour, and each command
//! costs the logarithm of the number of legs, however long the rotation is.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::state::Decision;
use super::{AggregateId, BlockTime, Event, Leg, LegId, Refusal, UtcTime};

/// A rotation: its name and its legs while it exists.
///
/// ```
/// # use rotabase_engine::domain::Domain;
/// # use rotabase_engine::schedule::{AggregateId, Command, Refusal, RotationId, Schedule};
/// let rotation = AggregateId::Rotation(RotationId(Default::default()));
/// let mut state = Schedule::initial(&rotation);
/// assert_eq!(Schedule::decide(&rotation, &state, &Command::RequireRotation), Err(Refusal::Missing(rotation)));
/// for event in Schedule::decide(&rotation, &state, &Command::CreateRotation(Some("R101".to_owned()))).unwrap() {
///     Schedule::evolve(&mut state, &event);
/// }
/// assert_eq!(Schedule::decide(&rotation, &state, &Command::RequireRotation).unwrap().len(), 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    exists: bool,
    name: Option<String>,
    // Invariant: keyed by the leg's departure; no two legs overlap.
    legs: BTreeMap<UtcTime, Leg>,
    // Invariant: one for each of `legs`.
    departures: BTreeMap<LegId, UtcTime>,
}

/// What commands do.
impl Rotation {
    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How many legs it has.
    pub fn leg_count(&self) -> usize {
        self.legs.len()
    }

    /// Its legs in departure order.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.values()
    }

    /// A leg of it.
    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.departures.get(&id).map(|departure| &self.legs[departure])
    }

    /// The first leg in departure order that overlaps `block`, a leg with the id `except` left out.
    pub fn overlapping(&self, block: BlockTime, except: Option<LegId>) -> Option<&Leg> {
        let other = |leg: &&Leg| except != Some(leg.id);
        let before = self.legs.range(..=block.departure()).rev().map(|(_, leg)| leg).find(other);
        if let Some(leg) = before.filter(|leg| leg.block.overlaps(block)) {
            return Some(leg);
        }
        let after = self
            .legs
            .range((Excluded(block.departure()), Unbounded))
            .map(|(_, leg)| leg)
            .find(other);
        after.filter(|leg| leg.block.overlaps(block))
    }

    pub(super) fn create(&self, id: AggregateId, name: Option<&str>) -> Result<Decision, Refusal> {
        if self.exists {
            return Err(Refusal::AlreadyExists(id));
        }
        Ok(Decision::from_buf([Event::RotationCreated { name: name.map(str::to_owned) }]))
    }

    pub(super) fn rename(&self, id: AggregateId, name: Option<&str>) -> Result<Decision, Refusal> {
        self.require(id)?;
        if self.name() == name {
            return Ok(Decision::new());
        }
        Ok(Decision::from_buf([Event::RotationRenamed { name: name.map(str::to_owned) }]))
    }

    pub(super) fn remove(&self, id: AggregateId) -> Result<Decision, Refusal> {
        self.require(id)?;
        if !self.legs.is_empty() {
            return Err(Refusal::RotationHasLegs(id));
        }
        Ok(Decision::from_buf([Event::RotationRemoved]))
    }

    pub(super) fn require(&self, id: AggregateId) -> Result<Decision, Refusal> {
        if self.exists { Ok(Decision::new()) } else { Err(Refusal::Missing(id)) }
    }

    pub(super) fn add_leg(&self, id: AggregateId, leg: &Leg) -> Result<Decision, Refusal> {
        self.require(id)?;
        if self.departures.contains_key(&leg.id) {
            return Err(Refusal::LegExists(leg.id));
        }
        self.refuse_overlap(leg)?;
        Ok(Decision::from_buf([Event::LegAdded(Box::new(*leg))]))
    }

    pub(super) fn reschedule_leg(
        &self,
        id: AggregateId,
        leg: &Leg,
        expected: Option<&Leg>,
    ) -> Result<Decision, Refusal> {
        self.require(id)?;
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
        self.refuse_overlap(leg)?;
        Ok(Decision::from_buf([Event::LegRescheduled(Box::new(*leg))]))
    }

    pub(super) fn remove_leg(
        &self,
        id: AggregateId,
        leg: LegId,
        expected: Option<&Leg>,
    ) -> Result<Decision, Refusal> {
        self.require(id)?;
        let current = self.leg(leg).ok_or(Refusal::LegMissing(leg))?;
        if expected.is_some_and(|expected| expected != current) {
            return Err(Refusal::LegChanged(leg));
        }
        Ok(Decision::from_buf([Event::LegRemoved { id: leg }]))
    }

    fn refuse_overlap(&self, leg: &Leg) -> Result<(), Refusal> {
        match self.overlapping(leg.block, Some(leg.id)) {
            Some(existing) => {
                Err(Refusal::LegsOverlap { added: Box::new(*leg), existing: Box::new(*existing) })
            }
            None => Ok(()),
        }
    }
}

/// What events change.
impl Rotation {
    pub(super) fn created(&mut self, name: Option<&str>) {
        assert!(!self.exists, "a rotation is created once");
        assert!(self.legs.is_empty(), "a rotation starts without legs");
        self.exists = true;
        self.name = name.map(str::to_owned);
    }

    pub(super) fn renamed(&mut self, name: Option<&str>) {
        assert!(self.exists, "only an existing rotation is renamed");
        self.name = name.map(str::to_owned);
    }

    pub(super) fn removed(&mut self) {
        assert!(self.exists, "only an existing rotation is removed");
        assert!(self.legs.is_empty(), "a rotation is removed without legs");
        *self = Self::default();
    }

    pub(super) fn leg_added(&mut self, leg: Leg) {
        assert!(self.exists, "only an existing rotation gets legs");
        // The neighbours suffice: every other pair was checked when it became one.
        assert!(self.overlapping(leg.block, None).is_none(), "no two legs of a rotation overlap");
        let departure = leg.block.departure();
        let taken = self.departures.insert(leg.id, departure);
        assert!(taken.is_none(), "a leg id occurs once");
        self.legs.insert(departure, leg);
    }

    pub(super) fn leg_rescheduled(&mut self, leg: Leg) {
        let before = self.leg_removed(leg.id);
        assert!(before.designator == leg.designator, "the designator of a leg stays");
        self.leg_added(leg);
    }

    pub(super) fn leg_removed(&mut self, id: LegId) -> Leg {
        let departure = self.departures.remove(&id).expect("only a leg that is here leaves");
        let leg = self.legs.remove(&departure).expect("each id has its leg");
        assert!(leg.id == id, "each leg stands at its departure");
        leg
    }

    /// Adds a leg of a snapshot; false if it does not fit.
    pub(super) fn restore_leg(&mut self, leg: Leg) -> bool {
        let fits = self.exists
            && !self.departures.contains_key(&leg.id)
            && self.overlapping(leg.block, None).is_none();
        if fits {
            self.leg_added(leg);
        }
        fits
    }
}
