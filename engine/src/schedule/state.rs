//! The schedule as a domain: which aggregate takes which command, and which event changes which aggregate.

use smallvec::SmallVec;

use super::airplane::Airplane;
use super::airport::Airport;
use super::codec;
use super::flight::Flight;
use super::leg::Leg;
use super::rotation::Rotation;
use super::{AggregateId, Command, Event, LegId, Refusal, UtcTime};
use crate::domain::{DecodeError, Domain, EventKind, Events};

/// The events of one command.
pub(super) type Decision = SmallVec<[Event; 1]>;

/// The flight schedule: airports, airplanes, rotations and flights.
#[derive(Clone, Copy, Debug)]
pub struct Schedule;

/// The state of one aggregate of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Of an airport.
    Airport(Airport),
    /// Of an airplane.
    Airplane(Airplane),
    /// Of a rotation.
    Rotation(Rotation),
    /// Of a flight.
    Flight(Flight),
}

/// Gives the state of one type of aggregate, or refuses (a command) or panics (an event: a bug of ours,
/// because only what was decided is recorded).
macro_rules! aggregate {
    ($get:ident, $get_mut:ident, $variant:ident) => {
        fn $get(&self, id: AggregateId) -> Result<&$variant, Refusal> {
            if let Self::$variant(it) = self { Ok(it) } else { Err(Refusal::WrongAggregate(id)) }
        }

        fn $get_mut(&mut self) -> &mut $variant {
            if let Self::$variant(it) = self {
                it
            } else {
                panic!("an event of another type of aggregate")
            }
        }
    };
}

impl State {
    aggregate!(airport, airport_mut, Airport);
    aggregate!(airplane, airplane_mut, Airplane);
    aggregate!(rotation, rotation_mut, Rotation);
    aggregate!(flight, flight_mut, Flight);
}

impl Domain for Schedule {
    type Id = AggregateId;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn initial(id: &AggregateId) -> State {
        match id {
            AggregateId::Airport(_) => State::Airport(Airport::default()),
            AggregateId::Airplane(_) => State::Airplane(Airplane::default()),
            AggregateId::Rotation(_) => State::Rotation(Rotation::default()),
            AggregateId::Flight(_) => State::Flight(Flight::default()),
        }
    }

    fn decide(id: &AggregateId, state: &State, command: &Command) -> Result<Events<Self>, Refusal> {
        let id = *id;
        match command {
            Command::RegisterAirport(minimum_ground_time) => {
                state.airport(id)?.register(id, *minimum_ground_time)
            }
            Command::ChangeAirportMinimumGroundTime(minimum_ground_time) => {
                state.airport(id)?.change(id, *minimum_ground_time)
            }
            Command::RemoveAirport => state.airport(id)?.remove(id),

            Command::RegisterAirplane { aircraft_type, minimum_ground_time } => {
                state.airplane(id)?.register(id, *aircraft_type, *minimum_ground_time)
            }
            Command::ChangeAirplane { aircraft_type, minimum_ground_time } => {
                state.airplane(id)?.change(id, *aircraft_type, *minimum_ground_time)
            }
            Command::RemoveAirplane => state.airplane(id)?.remove(id),
            Command::AssignRotation(rotation) => state.airplane(id)?.assign_rotation(id, *rotation),
            Command::UnassignRotation(only) => state.airplane(id)?.unassign_rotation(id, *only),

            Command::CreateRotation(name) => state.rotation(id)?.create(id, name.as_deref()),
            Command::RenameRotation(name) => state.rotation(id)?.rename(id, name.as_deref()),
            Command::RemoveRotation => state.rotation(id)?.remove(id),
            Command::RequireRotation => state.rotation(id)?.require(id),
            Command::AddLeg(leg) => state.rotation(id)?.add_leg(id, leg),
            Command::RescheduleLeg { leg, expected } => {
                state.rotation(id)?.reschedule_leg(id, leg, expected.as_deref())
            }
            Command::RemoveLeg { id: leg, expected } => {
                state.rotation(id)?.remove_leg(id, *leg, expected.as_deref())
            }

            Command::ScheduleOpenLeg(leg) if leg.flight() != id => Err(Refusal::WrongAggregate(id)),
            Command::ScheduleOpenLeg(leg) => state.flight(id)?.schedule(leg),
            Command::RescheduleOpenLeg { leg, expected } => {
                state.flight(id)?.reschedule(leg, expected.as_deref())
            }
            Command::CancelOpenLeg { id: leg, expected } => {
                state.flight(id)?.cancel(*leg, expected.as_deref())
            }
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        match event {
            Event::AirportRegistered { minimum_ground_time } => {
                state.airport_mut().registered(*minimum_ground_time);
            }
            Event::AirportMinimumGroundTimeChanged { minimum_ground_time } => {
                state.airport_mut().changed(*minimum_ground_time);
            }
            Event::AirportRemoved => state.airport_mut().removed(),

            Event::AirplaneRegistered { aircraft_type, minimum_ground_time } => {
                state.airplane_mut().was_registered(*aircraft_type, *minimum_ground_time);
            }
            Event::AirplaneChanged { aircraft_type, minimum_ground_time } => {
                state.airplane_mut().changed(*aircraft_type, *minimum_ground_time);
            }
            Event::AirplaneRemoved => state.airplane_mut().removed(),
            Event::RotationAssigned { rotation } => {
                state.airplane_mut().rotation_assigned(*rotation);
            }
            Event::RotationUnassigned { rotation } => {
                state.airplane_mut().rotation_unassigned(*rotation);
            }

            Event::RotationCreated { name } => state.rotation_mut().created(name.as_deref()),
            Event::RotationRenamed { name } => state.rotation_mut().renamed(name.as_deref()),
            Event::RotationRemoved => state.rotation_mut().removed(),
            Event::LegAdded(leg) => state.rotation_mut().leg_added(**leg),
            Event::LegRescheduled(leg) => state.rotation_mut().leg_rescheduled(**leg),
            Event::LegRemoved { id } => {
                state.rotation_mut().leg_removed(*id);
            }

            Event::OpenLegScheduled(leg) => state.flight_mut().scheduled(**leg),
            Event::OpenLegRescheduled(leg) => state.flight_mut().rescheduled(**leg),
            Event::OpenLegCancelled { id } => state.flight_mut().cancelled(*id),
        }
    }

    fn encode_id(id: &AggregateId, out: &mut Vec<u8>) {
        codec::id::encode(id, out);
    }

    fn decode_id(bytes: &[u8]) -> Result<AggregateId, DecodeError> {
        codec::id::decode(bytes)
    }

    fn encode_event(event: &Event, out: &mut Vec<u8>) -> EventKind {
        codec::event::encode(event, out)
    }

    fn decode_event(kind: EventKind, payload: &[u8]) -> Result<Event, DecodeError> {
        codec::event::decode(kind, payload)
    }

    fn encode_command(command: &Command, out: &mut Vec<u8>) {
        codec::command::encode(command, out);
    }

    fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
        codec::command::decode(bytes)
    }

    fn encode_refusal(refusal: &Refusal, out: &mut Vec<u8>) {
        codec::command::encode_refusal(refusal, out);
    }

    fn decode_refusal(bytes: &[u8]) -> Result<Refusal, DecodeError> {
        codec::command::decode_refusal(bytes)
    }

    fn encode_state(state: &State, out: &mut Vec<u8>) {
        codec::state::encode(state, out);
    }

    fn decode_state(id: &AggregateId, bytes: &[u8]) -> Result<State, DecodeError> {
        codec::state::decode(id, bytes)
    }

    fn state_bytes(state: &State) -> usize {
        // A map's nodes are at least half full; two thirds is what they are on average.
        const ROTATION_LEG_BYTES: usize =
            (size_of::<(UtcTime, Leg)>() + size_of::<(LegId, UtcTime)>()) * 3 / 2;
        const FLIGHT_LEG_BYTES: usize = size_of::<(LegId, Leg)>() * 3 / 2;
        let owned = match state {
            State::Airport(_) | State::Airplane(_) => 0,
            State::Rotation(rotation) => {
                rotation.name().map_or(0, str::len) + rotation.leg_count() * ROTATION_LEG_BYTES
            }
            State::Flight(flight) => flight.leg_count() * FLIGHT_LEG_BYTES,
        };
        size_of::<State>() + owned
    }
}
