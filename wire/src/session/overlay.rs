//! What a block has written, as events on top of what is stored: so that its own queries see it.
//!
//! The events are those that the aggregate decided; they follow from the commands and, where a command says only
//! what is to change, from the aggregate as the projections show it.

use rotabase_engine::domain::Domain;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{AggregateId, Command, Event, Schedule, State};
use rotabase_queries::error::Result;
use rotabase_queries::projection::Snapshot;
use rotabase_raft::{Decided, Request};

/// An event that is decided and not stored.
pub(crate) type Pending = (AggregateId, Version, Event);

/// The events of commands that have just been decided. `snapshot` shows the block's earlier ones.
pub(crate) fn events(
    requests: &[Request<Schedule>],
    decided: &Decided,
    snapshot: &Snapshot,
) -> Result<Vec<Pending>> {
    let mut events = Vec::with_capacity(requests.len());
    let mut state: Option<(AggregateId, State)> = None;
    for (at, request) in requests.iter().enumerate() {
        let emitted = decided.emitted.get(at).copied().unwrap_or(0);
        let last = decided.versions.get(at).copied().unwrap_or_default().0;
        let mut version = Version(last.saturating_sub(u64::from(emitted)));
        let Some(command) = &request.command else { continue };
        let own = match direct(command) {
            Some(event) => vec![event],
            None => {
                if state.as_ref().is_none_or(|(id, _)| *id != request.id) {
                    state = Some((request.id, shown(&request.id, snapshot)?));
                }
                let Some((id, state)) = &mut state else { continue };
                let own = Schedule::decide(id, state, command).unwrap_or_default();
                own.iter().for_each(|event| Schedule::evolve(state, event));
                own.to_vec()
            }
        };
        for event in own.into_iter().take(usize::try_from(emitted).unwrap_or(0)) {
            version = version.next();
            events.push((request.id, version, event));
        }
    }
    Ok(events)
}

/// The event of a command that says all that its event says.
fn direct(command: &Command) -> Option<Event> {
    Some(match command {
        Command::CreateRotation(name) => Event::RotationCreated { name: name.clone() },
        Command::RenameRotation(name) => Event::RotationRenamed { name: name.clone() },
        Command::RemoveRotation => Event::RotationRemoved,
        Command::AddLeg(leg) => Event::LegAdded(leg.clone()),
        Command::RescheduleLeg { leg, .. } => Event::LegRescheduled(leg.clone()),
        Command::RemoveLeg { id, .. } => Event::LegRemoved { id: *id },
        Command::ScheduleOpenLeg(leg) => Event::OpenLegScheduled(leg.clone()),
        Command::RescheduleOpenLeg { leg, .. } => Event::OpenLegRescheduled(leg.clone()),
        Command::CancelOpenLeg { id, .. } => Event::OpenLegCancelled { id: *id },
        Command::RegisterAirport(_)
        | Command::ChangeAirportMinimumGroundTime(_)
        | Command::RemoveAirport
        | Command::RegisterAirplane { .. }
        | Command::ChangeAirplane { .. }
        | Command::RemoveAirplane
        | Command::AssignRotation(_)
        | Command::UnassignRotation(_)
        | Command::RequireRotation => return None,
    })
}

/// An airport or airplane as the projections show it.
fn shown(id: &AggregateId, snapshot: &Snapshot) -> Result<State> {
    let mut state = Schedule::initial(id);
    match id {
        AggregateId::Airport(code) => {
            if let Some(row) = snapshot.airport(*code)? {
                let minimum_ground_time = row.minimum_ground_time;
                Schedule::evolve(&mut state, &Event::AirportRegistered { minimum_ground_time });
            }
        }
        AggregateId::Airplane(registration) => {
            if let Some(row) = snapshot.airplane(*registration)? {
                let (aircraft_type, minimum_ground_time) =
                    (row.aircraft_type, row.minimum_ground_time);
                Schedule::evolve(
                    &mut state,
                    &Event::AirplaneRegistered { aircraft_type, minimum_ground_time },
                );
                if let Some(rotation) = row.rotation {
                    Schedule::evolve(&mut state, &Event::RotationAssigned { rotation });
                }
            }
        }
        // Their commands say everything.
        AggregateId::Rotation(_) | AggregateId::Flight(_) => {}
    }
    Ok(state)
}
