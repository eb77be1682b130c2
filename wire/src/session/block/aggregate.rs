//! Aggregates as the projections show them: what a block's commands are decided on before it commits.

use std::collections::BTreeSet;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{AggregateId, Command, Event, LegId, RotationId, Schedule, State};
use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::projection::Snapshot;

/// An aggregate as a block sees it, its own events included.
///
/// Each command to a flight is about one open leg, and no other leg matters to it; so of a flight only those legs
/// are here that were asked for.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) state: State,
    pub(super) version: Version,
    /// The legs of a flight that have been looked up, whether there or not.
    looked_up: BTreeSet<LegId>,
}

impl Held {
    /// An aggregate without any event of the block.
    pub(super) fn load(id: &AggregateId, base: &Snapshot) -> Result<Self> {
        let mut state = Schedule::initial(id);
        match id {
            AggregateId::Airport(code) => {
                if let Some(row) = base.airport(*code)? {
                    let minimum_ground_time = row.minimum_ground_time;
                    Schedule::evolve(&mut state, &Event::AirportRegistered { minimum_ground_time });
                }
            }
            AggregateId::Airplane(registration) => {
                if let Some(row) = base.airplane(*registration)? {
                    let (aircraft_type, minimum_ground_time) =
                        (row.aircraft_type, row.minimum_ground_time);
                    let registered =
                        Event::AirplaneRegistered { aircraft_type, minimum_ground_time };
                    Schedule::evolve(&mut state, &registered);
                    if let Some(rotation) = row.rotation {
                        Schedule::evolve(&mut state, &Event::RotationAssigned { rotation });
                    }
                }
            }
            AggregateId::Rotation(rotation) => load_rotation(*rotation, base, &mut state)?,
            AggregateId::Flight(_) => {}
        }
        Ok(Self { state, version: base.version(id)?, looked_up: BTreeSet::new() })
    }

    /// Makes a leg of a flight known, if the flight has it.
    pub(super) fn look_up(&mut self, id: &AggregateId, leg: LegId, base: &Snapshot) -> Result<()> {
        if !matches!(id, AggregateId::Flight(_)) || !self.looked_up.insert(leg) {
            return Ok(());
        }
        if let Some(row) = base.leg(leg)?
            && row.owner.aggregate() == *id
        {
            Schedule::evolve(&mut self.state, &Event::OpenLegScheduled(Box::new(row.leg)));
        }
        Ok(())
    }

    /// Roughly the bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        const LOOKED_UP_BYTES: usize = 24;
        size_of::<Self>()
            + Schedule::state_bytes(&self.state)
            + self.looked_up.len() * LOOKED_UP_BYTES
    }
}

fn load_rotation(id: RotationId, base: &Snapshot, state: &mut State) -> Result<()> {
    let Some(row) = base.rotation(id)? else { return Ok(()) };
    Schedule::evolve(state, &Event::RotationCreated { name: row.name });
    for row in base.legs_of_rotation(id)? {
        let State::Rotation(rotation) = &*state else { continue };
        if rotation.leg(row.leg.id).is_some() || rotation.overlapping(row.leg.block, None).is_some()
        {
            let message = format!("the legs of rotation {id} are not as its events say");
            return Err(SqlError::internal(message));
        }
        Schedule::evolve(state, &Event::LegAdded(Box::new(row.leg)));
    }
    Ok(())
}

/// The open leg that a command is about.
pub(super) fn leg_of_command(command: &Command) -> Option<LegId> {
    match command {
        Command::ScheduleOpenLeg(leg) | Command::RescheduleOpenLeg { leg, .. } => Some(leg.id),
        Command::CancelOpenLeg { id, .. } => Some(*id),
        _ => None,
    }
}

/// The open leg that an event is about.
pub(super) fn leg_of_event(event: &Event) -> Option<LegId> {
    match event {
        Event::OpenLegScheduled(leg) | Event::OpenLegRescheduled(leg) => Some(leg.id),
        Event::OpenLegCancelled { id } => Some(*id),
        _ => None,
    }
}

/// The command that has the aggregate, as it was, do what an event says.
pub(crate) fn command_of(event: Event) -> Command {
    match event {
        Event::AirportRegistered { minimum_ground_time } => {
            Command::RegisterAirport(minimum_ground_time)
        }
        Event::AirportMinimumGroundTimeChanged { minimum_ground_time } => {
            Command::ChangeAirportMinimumGroundTime(minimum_ground_time)
        }
        Event::AirportRemoved => Command::RemoveAirport,
        Event::AirplaneRegistered { aircraft_type, minimum_ground_time } => {
            Command::RegisterAirplane { aircraft_type, minimum_ground_time }
        }
        Event::AirplaneChanged { aircraft_type, minimum_ground_time } => Command::ChangeAirplane {
            aircraft_type: Some(aircraft_type),
            minimum_ground_time: Some(minimum_ground_time),
        },
        Event::AirplaneRemoved => Command::RemoveAirplane,
        Event::RotationAssigned { rotation } => Command::AssignRotation(rotation),
        Event::RotationUnassigned { rotation } => Command::UnassignRotation(Some(rotation)),
        Event::RotationCreated { name } => Command::CreateRotation(name),
        Event::RotationRenamed { name } => Command::RenameRotation(name),
        Event::RotationRemoved => Command::RemoveRotation,
        Event::LegAdded(leg) => Command::AddLeg(leg),
        Event::LegRescheduled(leg) => Command::RescheduleLeg { leg, expected: None },
        Event::LegRemoved { id } => Command::RemoveLeg { id, expected: None },
        Event::OpenLegScheduled(leg) => Command::ScheduleOpenLeg(leg),
        Event::OpenLegRescheduled(leg) => Command::RescheduleOpenLeg { leg, expected: None },
        Event::OpenLegCancelled { id } => Command::CancelOpenLeg { id, expected: None },
    }
}
