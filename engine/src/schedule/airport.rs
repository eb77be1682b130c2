//! The airport aggregate: registered once, with the least time an airplane must stand there.

use super::state::Decision;
use super::{AggregateId, Event, MinimumGroundTime, Refusal};

/// An airport: its minimum ground time while it is registered.
///
/// ```
/// # use rotabase_engine::domain::Domain;
/// # use rotabase_engine::schedule::{AggregateId, Command, MinimumGroundTime, Refusal, Schedule};
/// let frankfurt = AggregateId::Airport("FRA".parse().unwrap());
/// let mut state = Schedule::initial(&frankfurt);
/// let register = Command::RegisterAirport(MinimumGroundTime::new(0, 0, 2_700_000_000).unwrap());
/// for event in Schedule::decide(&frankfurt, &state, &register).unwrap() {
///     Schedule::evolve(&mut state, &event);
/// }
/// assert_eq!(Schedule::decide(&frankfurt, &state, &register), Err(Refusal::AlreadyExists(frankfurt)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Airport {
    minimum_ground_time: Option<MinimumGroundTime>, // None: not registered.
}

/// What commands do.
impl Airport {
    /// The least time an airplane must stand there; none while it is not registered.
    pub fn minimum_ground_time(&self) -> Option<MinimumGroundTime> {
        self.minimum_ground_time
    }

    pub(super) fn register(
        &self,
        id: AggregateId,
        minimum_ground_time: MinimumGroundTime,
    ) -> Result<Decision, Refusal> {
        match self.minimum_ground_time {
            Some(_) => Err(Refusal::AlreadyExists(id)),
            None => Ok(Decision::from_buf([Event::AirportRegistered { minimum_ground_time }])),
        }
    }

    pub(super) fn change(
        &self,
        id: AggregateId,
        minimum_ground_time: MinimumGroundTime,
    ) -> Result<Decision, Refusal> {
        match self.minimum_ground_time {
            None => Err(Refusal::Missing(id)),
            Some(current) if current == minimum_ground_time => Ok(Decision::new()),
            Some(_) => Ok(Decision::from_buf([Event::AirportMinimumGroundTimeChanged {
                minimum_ground_time,
            }])),
        }
    }

    pub(super) fn remove(&self, id: AggregateId) -> Result<Decision, Refusal> {
        match self.minimum_ground_time {
            None => Err(Refusal::Missing(id)),
            Some(_) => Ok(Decision::from_buf([Event::AirportRemoved])),
        }
    }
}

/// What events change.
impl Airport {
    pub(super) fn registered(&mut self, minimum_ground_time: MinimumGroundTime) {
        assert!(self.minimum_ground_time.is_none(), "an airport is registered once");
        self.minimum_ground_time = Some(minimum_ground_time);
    }

    pub(super) fn changed(&mut self, minimum_ground_time: MinimumGroundTime) {
        assert!(self.minimum_ground_time.is_some(), "only a registered airport changes");
        self.minimum_ground_time = Some(minimum_ground_time);
    }

    pub(super) fn removed(&mut self) {
        assert!(self.minimum_ground_time.is_some(), "only a registered airport is removed");
        *self = Self::default();
    }
}
