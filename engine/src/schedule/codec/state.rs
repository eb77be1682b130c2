//! States of aggregates as bytes, for snapshots. A snapshot that does not read is void, so its form may change
//! with its version byte, and only the newest is read.

use super::{leg, read_aircraft_type, read_ground_time, write_aircraft_type, write_ground_time};
use crate::domain::{DecodeError, Domain};
use crate::schedule::airplane::{Airplane, Registered};
use crate::schedule::flight::Flight;
use crate::schedule::rotation::Rotation;
use crate::schedule::state::State;
use crate::schedule::{AggregateId, RotationId, Schedule};
use crate::varint::{Reader, write_bytes, write_unsigned};

const VERSION: u8 = 1;

/// The aggregate does not exist.
const ABSENT: u8 = 0;
/// The aggregate exists; without its optional part: an airplane's rotation, a rotation's name.
const PRESENT: u8 = 1;
/// The aggregate exists, and its optional part follows.
const PRESENT_WITH_OPTION: u8 = 2;

pub(in crate::schedule) fn encode(state: &State, out: &mut Vec<u8>) {
    out.push(VERSION);
    match state {
        State::Airport(airport) => {
            let Some(minimum_ground_time) = airport.minimum_ground_time() else {
                return out.push(ABSENT);
            };
            out.push(PRESENT);
            write_ground_time(minimum_ground_time, out);
        }
        State::Airplane(airplane) => {
            let Some(registered) = airplane.registered() else { return out.push(ABSENT) };
            out.push(if registered.rotation.is_some() { PRESENT_WITH_OPTION } else { PRESENT });
            write_aircraft_type(registered.aircraft_type, out);
            write_ground_time(registered.minimum_ground_time, out);
            if let Some(RotationId(uuid)) = registered.rotation {
                out.extend_from_slice(uuid.as_bytes());
            }
        }
        State::Rotation(rotation) => {
            if !rotation.exists() {
                return out.push(ABSENT);
            }
            out.push(if rotation.name().is_some() { PRESENT_WITH_OPTION } else { PRESENT });
            if let Some(name) = rotation.name() {
                write_bytes(name.as_bytes(), out);
            }
            write_unsigned(u64::try_from(rotation.leg_count()).expect("a count fits 64 bits"), out);
            rotation.legs().for_each(|it| leg::encode(it, out));
        }
        State::Flight(flight) => {
            write_unsigned(u64::try_from(flight.leg_count()).expect("a count fits 64 bits"), out);
            flight.legs().for_each(|it| leg::encode(it, out));
        }
    }
}

pub(in crate::schedule) fn decode(id: &AggregateId, bytes: &[u8]) -> Result<State, DecodeError> {
    let mut reader = Reader::new("a snapshot", bytes);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(reader.error(format!("unknown version {version}")));
    }
    let state = match Schedule::initial(id) {
        State::Airport(mut airport) => {
            if presence(&mut reader)? != ABSENT {
                airport.registered(read_ground_time(&mut reader)?);
            }
            State::Airport(airport)
        }
        State::Airplane(_) => State::Airplane(read_airplane(&mut reader)?),
        State::Rotation(rotation) => State::Rotation(read_rotation(rotation, &mut reader)?),
        State::Flight(flight) => State::Flight(read_flight(flight, &mut reader)?),
    };
    reader.finish()?;
    Ok(state)
}

fn presence(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    match reader.byte()? {
        presence @ (ABSENT | PRESENT | PRESENT_WITH_OPTION) => Ok(presence),
        other => Err(reader.error(format!("{other} is no presence"))),
    }
}

fn read_airplane(reader: &mut Reader<'_>) -> Result<Airplane, DecodeError> {
    let presence = presence(reader)?;
    if presence == ABSENT {
        return Ok(Airplane::default());
    }
    let aircraft_type = read_aircraft_type(reader)?;
    let minimum_ground_time = read_ground_time(reader)?;
    let rotation = match presence {
        PRESENT_WITH_OPTION => Some(RotationId(uuid::Uuid::from_bytes(reader.array()?))),
        _ => None,
    };
    Ok(Airplane::restored(Some(Registered { aircraft_type, minimum_ground_time, rotation })))
}

fn read_rotation(mut rotation: Rotation, reader: &mut Reader<'_>) -> Result<Rotation, DecodeError> {
    let presence = presence(reader)?;
    if presence == ABSENT {
        return Ok(rotation);
    }
    rotation.created(if presence == PRESENT_WITH_OPTION { Some(reader.text()?) } else { None });
    for _ in 0..reader.unsigned()? {
        if !rotation.restore_leg(leg::decode(reader)?) {
            return Err(reader.error("a leg does not fit into its rotation"));
        }
    }
    Ok(rotation)
}

fn read_flight(mut flight: Flight, reader: &mut Reader<'_>) -> Result<Flight, DecodeError> {
    for _ in 0..reader.unsigned()? {
        if !flight.restore_leg(leg::decode(reader)?) {
            return Err(reader.error("a leg id occurs twice"));
        }
    }
    Ok(flight)
}
