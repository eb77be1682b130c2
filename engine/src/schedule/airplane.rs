//! The airplane aggregate: registered once, flying at most one rotation.

use super::state::Decision;
use super::{AggregateId, AircraftType, Event, MinimumGroundTime, Refusal, RotationId};

/// An airplane: what is known of it while it is registered.
///
/// ```
/// # use rotabase_engine::domain::Domain;
/// # use rotabase_engine::schedule::{AggregateId, Command, MinimumGroundTime, Refusal, Schedule};
/// let tail = AggregateId::Airplane("D-AIZA".parse().unwrap());
/// let missing = Schedule::decide(&tail, &Schedule::initial(&tail), &Command::RemoveAirplane);
/// assert_eq!(missing.unwrap_err().to_string(), "Airplane D-AIZA does not exist");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Airplane {
    registered: Option<Registered>,
}

/// What is known of a registered airplane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its type, if it is known.
    pub aircraft_type: Option<AircraftType>,
    /// The least time it must stand between two legs.
    pub minimum_ground_time: MinimumGroundTime,
    /// The rotation it flies, if it has one.
    pub rotation: Option<RotationId>,
}

/// What commands do.
impl Airplane {
    /// What is known of it; none while it is not registered.
    pub fn registered(&self) -> Option<&Registered> {
        self.registered.as_ref()
    }

    fn existing(&self, id: AggregateId) -> Result<&Registered, Refusal> {
        self.registered.as_ref().ok_or(Refusal::Missing(id))
    }

    pub(super) fn register(
        &self,
        id: AggregateId,
        aircraft_type: Option<AircraftType>,
        minimum_ground_time: MinimumGroundTime,
    ) -> Result<Decision, Refusal> {
        match self.registered {
            Some(_) => Err(Refusal::AlreadyExists(id)),
            None => Ok(Decision::from_buf([Event::AirplaneRegistered {
                aircraft_type,
                minimum_ground_time,
            }])),
        }
    }

    #[expect(
        clippy::option_option,
        reason = "an aircraft type may stay, change, or change to none"
    )]
    pub(super) fn change(
        &self,
        id: AggregateId,
        aircraft_type: Option<Option<AircraftType>>,
        minimum_ground_time: Option<MinimumGroundTime>,
    ) -> Result<Decision, Refusal> {
        let current = self.existing(id)?;
        let aircraft_type = aircraft_type.unwrap_or(current.aircraft_type);
        let minimum_ground_time = minimum_ground_time.unwrap_or(current.minimum_ground_time);
        if (aircraft_type, minimum_ground_time)
            == (current.aircraft_type, current.minimum_ground_time)
        {
            return Ok(Decision::new());
        }
        Ok(Decision::from_buf([Event::AirplaneChanged { aircraft_type, minimum_ground_time }]))
    }

    pub(super) fn remove(&self, id: AggregateId) -> Result<Decision, Refusal> {
        let current = self.existing(id)?;
        let mut events: Decision = unassigned(current.rotation);
        events.push(Event::AirplaneRemoved);
        Ok(events)
    }

    pub(super) fn assign_rotation(
        &self,
        id: AggregateId,
        rotation: RotationId,
    ) -> Result<Decision, Refusal> {
        let current = self.existing(id)?;
        if current.rotation == Some(rotation) {
            return Ok(Decision::new());
        }
        let mut events = unassigned(current.rotation);
        events.push(Event::RotationAssigned { rotation });
        Ok(events)
    }

    pub(super) fn unassign_rotation(
        &self,
        id: AggregateId,
        only: Option<RotationId>,
    ) -> Result<Decision, Refusal> {
        let current = self.existing(id)?;
        Ok(unassigned(
            current.rotation.filter(|rotation| only.is_none_or(|only| only == *rotation)),
        ))
    }
}

fn unassigned(rotation: Option<RotationId>) -> Decision {
    rotation.map(|rotation| Event::RotationUnassigned { rotation }).into_iter().collect()
}

/// What events change.
impl Airplane {
    pub(super) fn was_registered(
        &mut self,
        aircraft_type: Option<AircraftType>,
        minimum_ground_time: MinimumGroundTime,
    ) {
        assert!(self.registered.is_none(), "an airplane is registered once");
        self.registered = Some(Registered { aircraft_type, minimum_ground_time, rotation: None });
    }

    pub(super) fn changed(
        &mut self,
        aircraft_type: Option<AircraftType>,
        minimum_ground_time: MinimumGroundTime,
    ) {
        let current = self.registered.as_mut().expect("only a registered airplane changes");
        *current = Registered { aircraft_type, minimum_ground_time, rotation: current.rotation };
    }

    pub(super) fn removed(&mut self) {
        let removed = self.registered.take().expect("only a registered airplane is removed");
        assert!(removed.rotation.is_none(), "an airplane is removed without its rotation");
    }

    pub(super) fn rotation_assigned(&mut self, rotation: RotationId) {
        let current =
            self.registered.as_mut().expect("only a registered airplane flies a rotation");
        assert!(current.rotation.is_none(), "an airplane has at most one rotation");
        current.rotation = Some(rotation);
    }

    pub(super) fn rotation_unassigned(&mut self, rotation: RotationId) {
        let current =
            self.registered.as_mut().expect("only a registered airplane flies a rotation");
        assert!(current.rotation == Some(rotation), "the rotation that is unassigned was assigned");
        current.rotation = None;
    }

    /// The state of a snapshot.
    pub(super) fn restored(registered: Option<Registered>) -> Self {
        Self { registered }
    }
}
