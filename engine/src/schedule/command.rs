//! Commands: what an aggregate is asked to do. They may be refused, and are not stored.

use super::leg::Leg;
use super::value::{AircraftType, LegId, MinimumGroundTime, RotationId};

/// A command to one aggregate of the schedule. A command that changes nothing succeeds and emits no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes an airport known.
    RegisterAirport(MinimumGroundTime),
    /// Changes the least time an airplane must stand at an airport.
    ChangeAirportMinimumGroundTime(MinimumGroundTime),
    /// Forgets an airport.
    RemoveAirport,

    /// Makes an airplane known.
    RegisterAirplane {
        /// Its type.
        aircraft_type: Option<AircraftType>,
        /// The least time it must stand between two legs.
        minimum_ground_time: MinimumGroundTime,
    },
    /// Changes an airplane; what is none stays.
    ChangeAirplane {
        /// Its type; the inner option is the value, which may be none.
        aircraft_type: Option<Option<AircraftType>>,
        /// The least time it must stand between two legs.
        minimum_ground_time: Option<MinimumGroundTime>,
    },
    /// Forgets an airplane.
    RemoveAirplane,
    /// Gives an airplane a rotation to fly; the one it had is released.
    AssignRotation(RotationId),
    /// Takes its rotation off an airplane. With a rotation named, only if it is that one.
    UnassignRotation(Option<RotationId>),

    /// Makes a rotation.
    CreateRotation(Option<String>),
    /// Renames a rotation.
    RenameRotation(Option<String>),
    /// Removes a rotation that has no legs left; its legs are released in the same statement.
    RemoveRotation,
    /// Changes nothing and is refused when the rotation does not exist: what another aggregate's command needs
    /// to be true at the moment of decision.
    RequireRotation,
    /// Adds a leg to a rotation.
    AddLeg(Box<Leg>),
    /// Changes a leg of a rotation: times, offsets, arrival airport, types. Its designator stays.
    RescheduleLeg {
        /// What the leg is to be.
        leg: Box<Leg>,
        /// What the leg has to be now, so that no change made meanwhile is undone.
        expected: Option<Box<Leg>>,
    },
    /// Takes a leg out of a rotation. With an expected leg, refused when the leg differs from it, so that what
    /// moves elsewhere is what was seen.
    RemoveLeg {
        /// Which leg.
        id: LegId,
        /// What the leg has to be.
        expected: Option<Box<Leg>>,
    },

    /// Adds an open leg to its flight.
    ScheduleOpenLeg(Box<Leg>),
    /// Changes an open leg, as [`Command::RescheduleLeg`] does.
    RescheduleOpenLeg {
        /// What the leg is to be.
        leg: Box<Leg>,
        /// What the leg has to be now.
        expected: Option<Box<Leg>>,
    },
    /// Takes an open leg out of its flight, as [`Command::RemoveLeg`] does.
    CancelOpenLeg {
        /// Which leg.
        id: LegId,
        /// What the leg has to be.
        expected: Option<Box<Leg>>,
    },
}
