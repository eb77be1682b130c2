//! The flight schedule: the first domain. Values, aggregates, their commands and events, in the planners' words.
//!
//! An aggregate is asked by a [`Command`], looks at its own [`State`] alone, and answers with [`Event`]s or a
//! [`Refusal`]; its state is the fold of its events. [`Schedule`] ties the four aggregates together; each has a
//! file of its own with its rules. `codec` gives all of it a stored form, `json` a form to look at.
//!
//! This module does not know the log or any storage: it is values and pure functions.

mod airplane;
mod airport;
mod calendar;
mod codec;
mod command;
mod event;
mod flight;
mod json;
mod leg;
mod refusal;
mod rotation;
mod state;
mod value;

pub use airplane::{Airplane, Registered};
pub use airport::Airport;
pub use calendar::DAY_MINUTES;
pub use codec::event::{EVENT_TYPES, EventType, event_name, leg_of_event};
pub use command::Command;
pub use event::Event;
pub use flight::Flight;
pub use json::payload_json;
pub use leg::{FlightDesignator, Leg};
pub use refusal::Refusal;
pub use rotation::Rotation;
pub use state::{Schedule, State};
pub use value::{
    AircraftType, AirportCode, BlockTime, Carrier, DayOfOrigin, FlightNumber, LegId,
    MinimumGroundTime, Registration, RotationId, ServiceType, Suffix, UtcTime, ValueError,
};

use std::fmt;

/// The identity of a flight aggregate: all legs of one carrier, number and suffix that are in no rotation.
///
/// ```
/// # use rotabase_engine::schedule::{AggregateId, FlightId, FlightNumber};
/// let number = FlightNumber::new(400).unwrap();
/// let flight = FlightId { carrier: "LH".parse().unwrap(), number, suffix: "D".parse().unwrap() };
/// assert_eq!(AggregateId::Flight(flight).to_string(), "LH400D");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightId {
    /// The carrier.
    pub carrier: Carrier,
    /// The flight number.
    pub number: FlightNumber,
    /// The operational suffix, if it has one.
    pub suffix: Suffix,
}

/// The identity of an aggregate of the schedule, its type included.
///
/// ```
/// # use rotabase_engine::schedule::AggregateId;
/// let frankfurt = AggregateId::Airport("FRA".parse().unwrap());
/// assert_eq!((frankfurt.type_name(), frankfurt.to_string().as_str()), ("Airport", "FRA"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AggregateId {
    /// An airport, by its IATA code.
    Airport(AirportCode),
    /// An airplane, by its registration.
    Airplane(Registration),
    /// A rotation, by its UUID.
    Rotation(RotationId),
    /// The open legs of a flight.
    Flight(FlightId),
}

impl AggregateId {
    /// The aggregate's type as `events.aggregate_type` shows it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Airport(_) => "Airport",
            Self::Airplane(_) => "Airplane",
            Self::Rotation(_) => "Rotation",
            Self::Flight(_) => "Flight",
        }
    }
}

/// The identity within its type, as `events.aggregate_id` shows it: `FRA`, `D-AIZA`, a UUID, `LH400`.
impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Airport(code) => code.fmt(f),
            Self::Airplane(registration) => registration.fmt(f),
            Self::Rotation(id) => id.fmt(f),
            Self::Flight(FlightId { carrier, number, suffix }) => {
                write!(f, "{carrier}{number}{suffix}")
            }
        }
    }
}
