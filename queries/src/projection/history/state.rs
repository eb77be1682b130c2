//! What a subject was at an instant, from its history.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{
    AggregateId, AirportCode, Event, Leg, LegId, MinimumGroundTime, Registration, RotationId,
};

use super::super::row::{AirplaneRow, LegOwner};
use super::super::rows::{Direction, Range, ReadRows, Result};
use super::record::Row;
use super::{Record, Subject};

/// The aggregates that hold a leg, each with when it came to hold it and what the leg is there.
pub(crate) type Claims = BTreeMap<LegOwner, (Timestamp, Leg)>;

/// The name of a rotation, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RotationName(pub(crate) Option<String>);

/// The claims to a leg at an instant.
pub(crate) fn claims(rows: &impl ReadRows, leg: LegId, at: Timestamp) -> Result<Claims> {
    let mut claims = Claims::new();
    records(rows, Subject::Leg(leg), at, &mut |record| {
        claim(&mut claims, record);
    })?;
    Ok(claims)
}

/// Applies an event to the claims to its leg.
pub(crate) fn claim(claims: &mut Claims, record: &Record) {
    let Some(owner) = owner(&record.aggregate) else { return };
    match &record.event {
        Event::LegAdded(leg) | Event::OpenLegScheduled(leg) => {
            claims.insert(owner, (record.place.timestamp, **leg));
        }
        Event::LegRescheduled(leg) | Event::OpenLegRescheduled(leg) => {
            if let Some((_, held)) = claims.get_mut(&owner) {
                *held = **leg;
            }
        }
        Event::LegRemoved { .. } | Event::OpenLegCancelled { .. } => {
            claims.remove(&owner);
        }
        _ => {}
    }
}

/// The claim that counts: the newest.
pub(crate) fn newest(claims: &Claims) -> Option<(LegOwner, Timestamp, Leg)> {
    let newest = claims.iter().max_by_key(|(owner, (claimed, _))| (*claimed, **owner));
    newest.map(|(owner, (claimed, leg))| (*owner, *claimed, *leg))
}

/// The minimum ground time of an airport at an instant; none if it was not registered.
pub(crate) fn airport(
    rows: &impl ReadRows,
    code: AirportCode,
    at: Timestamp,
) -> Result<Option<MinimumGroundTime>> {
    let mut minimum = None;
    records(rows, Subject::Airport(code), at, &mut |record| change_airport(&mut minimum, record))?;
    Ok(minimum)
}

/// Applies an event to its airport.
pub(crate) fn change_airport(minimum: &mut Option<MinimumGroundTime>, record: &Record) {
    match &record.event {
        Event::AirportRegistered { minimum_ground_time }
        | Event::AirportMinimumGroundTimeChanged { minimum_ground_time } => {
            *minimum = Some(*minimum_ground_time);
        }
        Event::AirportRemoved => *minimum = None,
        _ => {}
    }
}

/// An airplane at an instant; none if it was not registered.
pub(crate) fn airplane(
    rows: &impl ReadRows,
    registration: Registration,
    at: Timestamp,
) -> Result<Option<AirplaneRow>> {
    let mut airplane = None;
    records(rows, Subject::Airplane(registration), at, &mut |record| {
        change_airplane(&mut airplane, registration, record);
    })?;
    Ok(airplane)
}

/// Applies an event to its airplane.
pub(crate) fn change_airplane(
    airplane: &mut Option<AirplaneRow>,
    registration: Registration,
    record: &Record,
) {
    match (&record.event, airplane.as_mut()) {
        (Event::AirplaneRegistered { aircraft_type, minimum_ground_time }, _) => {
            *airplane = Some(AirplaneRow {
                registration,
                aircraft_type: *aircraft_type,
                minimum_ground_time: *minimum_ground_time,
                rotation: None,
            });
        }
        (Event::AirplaneChanged { aircraft_type, minimum_ground_time }, Some(row)) => {
            row.aircraft_type = *aircraft_type;
            row.minimum_ground_time = *minimum_ground_time;
        }
        (Event::RotationAssigned { rotation }, Some(row)) => row.rotation = Some(*rotation),
        (Event::RotationUnassigned { .. }, Some(row)) => row.rotation = None,
        (Event::AirplaneRemoved, _) => *airplane = None,
        _ => {}
    }
}

/// The name of a rotation at an instant; none if there was no such rotation.
pub(crate) fn rotation(
    rows: &impl ReadRows,
    id: RotationId,
    at: Timestamp,
) -> Result<Option<RotationName>> {
    let mut rotation = None;
    let range = until(Subject::Rotation(id), at);
    rows.visit(&range, Direction::Backward, &mut |key, value| {
        let Row::Event(record) = Row::decode(key, value)?.1 else {
            return Ok(ControlFlow::Continue(()));
        };
        change_rotation(&mut rotation, &record);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(rotation)
}

/// Applies an event to the name of its rotation.
pub(crate) fn change_rotation(rotation: &mut Option<RotationName>, record: &Record) {
    match &record.event {
        Event::RotationCreated { name } | Event::RotationRenamed { name } => {
            *rotation = Some(RotationName(name.clone()));
        }
        Event::RotationRemoved => *rotation = None,
        _ => {}
    }
}

fn owner(aggregate: &AggregateId) -> Option<LegOwner> {
    match aggregate {
        AggregateId::Rotation(rotation) => Some(LegOwner::Rotation(*rotation)),
        AggregateId::Flight(flight) => Some(LegOwner::Flight(*flight)),
        AggregateId::Airport(_) | AggregateId::Airplane(_) => None,
    }
}

/// The events of a subject up to an instant, in order.
fn records(
    rows: &impl ReadRows,
    subject: Subject,
    at: Timestamp,
    visit: &mut dyn FnMut(&Record),
) -> Result<()> {
    rows.visit(&until(subject, at), Direction::Forward, &mut |key, value| {
        if let Row::Event(record) = Row::decode(key, value)?.1 {
            visit(&record);
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// The keys of a subject's history up to an instant.
pub(crate) fn until(subject: Subject, at: Timestamp) -> Range {
    let key = subject.key();
    let to = match at.0.checked_add(1) {
        Some(next) => Some(key.clone().uint8(next)),
        None => key.clone().successor(),
    };
    Range { from: key, to }
}
