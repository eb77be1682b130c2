//! Events: what has happened to an aggregate. They are facts, complete enough to be understood alone, and
//! never change; a new shape is a new schema version and an upcaster.

use super::leg::Leg;
use super::value::{AircraftType, LegId, MinimumGroundTime, RotationId};

/// An event of one aggregate of the schedule, in its newest shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An airport became known.
    AirportRegistered {
        /// The least time an airplane must stand there.
        minimum_ground_time: MinimumGroundTime,
    },
    /// The least time an airplane must stand at an airport changed.
    AirportMinimumGroundTimeChanged {
        /// What it is now.
        minimum_ground_time: MinimumGroundTime,
    },
    /// An airport was forgotten.
    AirportRemoved,

    /// An airplane became known.
    AirplaneRegistered {
        /// Its type.
        aircraft_type: Option<AircraftType>,
        /// The least time it must stand between two legs.
        minimum_ground_time: MinimumGroundTime,
    },
    /// An airplane changed.
    AirplaneChanged {
        /// Its type now.
        aircraft_type: Option<AircraftType>,
        /// Its minimum ground time now.
        minimum_ground_time: MinimumGroundTime,
    },
    /// An airplane was forgotten.
    AirplaneRemoved,
    /// An airplane got a rotation to fly.
    RotationAssigned {
        /// Which rotation.
        rotation: RotationId,
    },
    /// An airplane has no rotation any more.
    RotationUnassigned {
        /// Which rotation it had.
        rotation: RotationId,
    },

    /// A rotation was made.
    RotationCreated {
        /// Its name, if it has one.
        name: Option<String>,
    },
    /// A rotation got another name.
    RotationRenamed {
        /// Its name now.
        name: Option<String>,
    },
    /// A rotation was removed; it had no legs.
    RotationRemoved,
    /// A rotation got a leg.
    LegAdded(Box<Leg>),
    /// A leg of a rotation changed; this is the whole leg as it is now.
    LegRescheduled(Box<Leg>),
    /// A leg left its rotation.
    LegRemoved {
        /// Which leg.
        id: LegId,
    },

    /// A flight got an open leg.
    OpenLegScheduled(Box<Leg>),
    /// An open leg changed; this is the whole leg as it is now.
    OpenLegRescheduled(Box<Leg>),
    /// An open leg left its flight.
    OpenLegCancelled {
        /// Which leg.
        id: LegId,
    },
}
