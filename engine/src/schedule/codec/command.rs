//! Commands and refusals as bytes: how they travel from the machine that a client talks to, to the one that decides,
//! and back. They are never stored; both ends speak the same version of the protocol between machines.

use uuid::Uuid;

use super::{
    id, leg, read_aircraft_type, read_ground_time, write_aircraft_type, write_ground_time,
};
use crate::domain::DecodeError;
use crate::schedule::value::{LegId, RotationId};
use crate::schedule::{AggregateId, Command, Leg, Refusal};
use crate::varint::{Reader, write_bytes};

pub(in crate::schedule) fn encode(command: &Command, out: &mut Vec<u8>) {
    out.push(tag_of(command));
    match command {
        Command::RegisterAirport(time) | Command::ChangeAirportMinimumGroundTime(time) => {
            write_ground_time(*time, out);
        }
        Command::RegisterAirplane { aircraft_type, minimum_ground_time } => {
            write_aircraft_type(*aircraft_type, out);
            write_ground_time(*minimum_ground_time, out);
        }
        Command::ChangeAirplane { aircraft_type, minimum_ground_time } => {
            write_option(aircraft_type.as_ref(), out, |it, out| write_aircraft_type(*it, out));
            write_option(minimum_ground_time.as_ref(), out, |it, out| write_ground_time(*it, out));
        }
        Command::RemoveAirport
        | Command::RemoveAirplane
        | Command::RemoveRotation
        | Command::RequireRotation => {}
        Command::AssignRotation(rotation) => out.extend_from_slice(rotation.0.as_bytes()),
        Command::UnassignRotation(rotation) => write_option(rotation.as_ref(), out, |it, out| {
            out.extend_from_slice(it.0.as_bytes());
        }),
        Command::CreateRotation(name) | Command::RenameRotation(name) => {
            write_option(name.as_ref(), out, |it, out| write_bytes(it.as_bytes(), out));
        }
        Command::AddLeg(leg) | Command::ScheduleOpenLeg(leg) => leg::encode(leg, out),
        Command::RescheduleLeg { leg, expected } | Command::RescheduleOpenLeg { leg, expected } => {
            leg::encode(leg, out);
            write_option(expected.as_ref(), out, |it, out| leg::encode(it, out));
        }
        Command::RemoveLeg { id, expected } | Command::CancelOpenLeg { id, expected } => {
            out.extend_from_slice(id.0.as_bytes());
            write_option(expected.as_ref(), out, |it, out| leg::encode(it, out));
        }
    }
}

fn tag_of(command: &Command) -> u8 {
    match command {
        Command::RegisterAirport(_) => 1,
        Command::ChangeAirportMinimumGroundTime(_) => 2,
        Command::RemoveAirport => 3,
        Command::RegisterAirplane { .. } => 16,
        Command::ChangeAirplane { .. } => 17,
        Command::RemoveAirplane => 18,
        Command::AssignRotation(_) => 19,
        Command::UnassignRotation(_) => 20,
        Command::CreateRotation(_) => 32,
        Command::RenameRotation(_) => 33,
        Command::RemoveRotation => 34,
        Command::RequireRotation => 35,
        Command::AddLeg(_) => 36,
        Command::RescheduleLeg { .. } => 37,
        Command::RemoveLeg { .. } => 38,
        Command::ScheduleOpenLeg(_) => 48,
        Command::RescheduleOpenLeg { .. } => 49,
        Command::CancelOpenLeg { .. } => 50,
    }
}

pub(in crate::schedule) fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
    let mut reader = Reader::new("a command", bytes);
    let from = &mut reader;
    let command = match from.byte()? {
        1 => Command::RegisterAirport(read_ground_time(from)?),
        2 => Command::ChangeAirportMinimumGroundTime(read_ground_time(from)?),
        3 => Command::RemoveAirport,
        16 => Command::RegisterAirplane {
            aircraft_type: read_aircraft_type(from)?,
            minimum_ground_time: read_ground_time(from)?,
        },
        17 => Command::ChangeAirplane {
            aircraft_type: read_option(from, read_aircraft_type)?,
            minimum_ground_time: read_option(from, read_ground_time)?,
        },
        18 => Command::RemoveAirplane,
        19 => Command::AssignRotation(read_rotation(from)?),
        20 => Command::UnassignRotation(read_option(from, read_rotation)?),
        32 => Command::CreateRotation(read_option(from, read_name)?),
        33 => Command::RenameRotation(read_option(from, read_name)?),
        34 => Command::RemoveRotation,
        35 => Command::RequireRotation,
        36 => Command::AddLeg(read_leg(from)?),
        37 => {
            Command::RescheduleLeg { leg: read_leg(from)?, expected: read_option(from, read_leg)? }
        }
        38 => Command::RemoveLeg { id: read_leg_id(from)?, expected: read_option(from, read_leg)? },
        48 => Command::ScheduleOpenLeg(read_leg(from)?),
        49 => Command::RescheduleOpenLeg {
            leg: read_leg(from)?,
            expected: read_option(from, read_leg)?,
        },
        50 => Command::CancelOpenLeg {
            id: read_leg_id(from)?,
            expected: read_option(from, read_leg)?,
        },
        tag => return Err(from.error(format!("{tag} is no command"))),
    };
    reader.finish()?;
    Ok(command)
}

pub(in crate::schedule) fn encode_refusal(refusal: &Refusal, out: &mut Vec<u8>) {
    let aggregate = |tag: u8, aggregate: &AggregateId, out: &mut Vec<u8>| {
        out.push(tag);
        id::encode(aggregate, out);
    };
    let leg_id = |tag: u8, leg: &LegId, out: &mut Vec<u8>| {
        out.push(tag);
        out.extend_from_slice(leg.0.as_bytes());
    };
    match refusal {
        Refusal::AlreadyExists(it) => aggregate(1, it, out),
        Refusal::Missing(it) => aggregate(2, it, out),
        Refusal::LegsOverlap { added, existing } => {
            out.push(3);
            leg::encode(added, out);
            leg::encode(existing, out);
        }
        Refusal::LegExists(it) => leg_id(4, it, out),
        Refusal::LegMissing(it) => leg_id(5, it, out),
        Refusal::LegChanged(it) => leg_id(6, it, out),
        Refusal::RotationHasLegs(it) => aggregate(7, it, out),
        Refusal::DesignatorChanged(it) => leg_id(8, it, out),
        Refusal::WrongAggregate(it) => aggregate(9, it, out),
    }
}

pub(in crate::schedule) fn decode_refusal(bytes: &[u8]) -> Result<Refusal, DecodeError> {
    let mut reader = Reader::new("a refusal", bytes);
    let from = &mut reader;
    let refusal = match from.byte()? {
        1 => Refusal::AlreadyExists(read_aggregate(from)?),
        2 => Refusal::Missing(read_aggregate(from)?),
        3 => Refusal::LegsOverlap { added: read_leg(from)?, existing: read_leg(from)? },
        4 => Refusal::LegExists(read_leg_id(from)?),
        5 => Refusal::LegMissing(read_leg_id(from)?),
        6 => Refusal::LegChanged(read_leg_id(from)?),
        7 => Refusal::RotationHasLegs(read_aggregate(from)?),
        8 => Refusal::DesignatorChanged(read_leg_id(from)?),
        9 => Refusal::WrongAggregate(read_aggregate(from)?),
        tag => return Err(from.error(format!("{tag} is no refusal"))),
    };
    reader.finish()?;
    Ok(refusal)
}

fn write_option<T>(value: Option<&T>, out: &mut Vec<u8>, write: impl FnOnce(&T, &mut Vec<u8>)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(value, out);
    }
}

fn read_option<T>(
    reader: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match reader.byte()? {
        0 => Ok(None),
        1 => read(reader).map(Some),
        flag => Err(reader.error(format!("{flag} is no flag"))),
    }
}

fn read_leg(reader: &mut Reader<'_>) -> Result<Box<Leg>, DecodeError> {
    leg::decode(reader).map(Box::new)
}

fn read_leg_id(reader: &mut Reader<'_>) -> Result<LegId, DecodeError> {
    Ok(LegId(Uuid::from_bytes(reader.array()?)))
}

fn read_rotation(reader: &mut Reader<'_>) -> Result<RotationId, DecodeError> {
    Ok(RotationId(Uuid::from_bytes(reader.array()?)))
}

fn read_name(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    reader.text().map(str::to_owned)
}

/// An aggregate's id, to the end.
fn read_aggregate(reader: &mut Reader<'_>) -> Result<AggregateId, DecodeError> {
    id::decode(reader.take(reader.remaining())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{
        BlockTime, DayOfOrigin, FlightDesignator, FlightId, FlightNumber, MinimumGroundTime,
        UtcTime,
    };

    fn a_leg() -> Leg {
        let flight = FlightId {
            carrier: "LH".parse().unwrap(),
            number: FlightNumber::new(400).unwrap(),
            suffix: "".parse().unwrap_or_default(),
        };
        Leg {
            id: LegId(Uuid::from_u128(7)),
            designator: FlightDesignator {
                flight,
                departure_airport: "FRA".parse().unwrap(),
                day_of_origin: DayOfOrigin(9000),
            },
            arrival_airport: "JFK".parse().unwrap(),
            block: BlockTime::new(UtcTime(60_000_000), UtcTime(120_000_001)).unwrap(),
            departure_utc_offset_minutes: 60,
            arrival_utc_offset_minutes: -300,
            leg_sequence: 1,
            itinerary_variation: 2,
            service_type: "J".parse().unwrap(),
            aircraft_type: "744".parse().ok(),
        }
    }

    fn commands() -> Vec<Command> {
        let time = MinimumGroundTime::new(0, 1, 60_000_000).unwrap();
        let rotation = RotationId(Uuid::from_u128(9));
        let id = LegId(Uuid::from_u128(8));
        vec![
            Command::RegisterAirport(time),
            Command::ChangeAirportMinimumGroundTime(time),
            Command::RemoveAirport,
            Command::RegisterAirplane { aircraft_type: None, minimum_ground_time: time },
            Command::ChangeAirplane { aircraft_type: Some(None), minimum_ground_time: None },
            Command::ChangeAirplane {
                aircraft_type: Some("744".parse().ok()),
                minimum_ground_time: Some(time),
            },
            Command::RemoveAirplane,
            Command::AssignRotation(rotation),
            Command::UnassignRotation(None),
            Command::UnassignRotation(Some(rotation)),
            Command::CreateRotation(Some("night".to_owned())),
            Command::RenameRotation(None),
            Command::RemoveRotation,
            Command::RequireRotation,
            Command::AddLeg(Box::new(a_leg())),
            Command::RescheduleLeg { leg: Box::new(a_leg()), expected: Some(Box::new(a_leg())) },
            Command::RemoveLeg { id, expected: None },
            Command::ScheduleOpenLeg(Box::new(a_leg())),
            Command::RescheduleOpenLeg { leg: Box::new(a_leg()), expected: None },
            Command::CancelOpenLeg { id, expected: Some(Box::new(a_leg())) },
        ]
    }

    #[test]
    fn every_command_reads_back_and_a_cut_one_is_an_error() {
        for command in commands() {
            let mut bytes = Vec::new();
            encode(&command, &mut bytes);
            assert_eq!(decode(&bytes).as_ref(), Ok(&command));
            for length in 0..bytes.len() {
                assert!(decode(&bytes[..length]).is_err(), "{command:?} cut at {length}");
            }
        }
    }

    #[test]
    fn every_refusal_reads_back() {
        let airport = AggregateId::Airport("FRA".parse().unwrap());
        let id = LegId(Uuid::from_u128(8));
        let refusals = [
            Refusal::AlreadyExists(airport),
            Refusal::Missing(airport),
            Refusal::LegsOverlap { added: Box::new(a_leg()), existing: Box::new(a_leg()) },
            Refusal::LegExists(id),
            Refusal::LegMissing(id),
            Refusal::LegChanged(id),
            Refusal::RotationHasLegs(airport),
            Refusal::DesignatorChanged(id),
            Refusal::WrongAggregate(airport),
        ];
        for refusal in refusals {
            let mut bytes = Vec::new();
            encode_refusal(&refusal, &mut bytes);
            assert_eq!(decode_refusal(&bytes), Ok(refusal));
        }
    }
}
