//! Events as bytes. Numbers and shapes never change: a new shape is a new schema version, and the reader
//! brings every older one up.

use uuid::Uuid;

use super::{leg, read_aircraft_type, read_ground_time, write_aircraft_type, write_ground_time};
use crate::domain::{DecodeError, EventKind};
use crate::schedule::value::{LegId, RotationId};
use crate::schedule::{Event, Leg};
use crate::varint::Reader;

/// A type of event as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventType {
    /// Its number, for ever.
    pub number: u16,
    /// Its name, as `events.event_type` shows it.
    pub name: &'static str,
    /// The schema version that is written today. All from 1 to it can be read.
    pub schema_version: u16,
}

/// Lists the events with their numbers and current schema versions. It is a macro so that an event cannot be
/// in the enum and not in the table: the `match` would not compile.
macro_rules! event_types {
    ($($name:ident = $number:literal version $version:literal;)*) => {
        /// Every type of event there is.
        pub const EVENT_TYPES: &[EventType] =
            &[$(EventType { number: $number, name: stringify!($name), schema_version: $version }),*];

        fn kind_of(event: &Event) -> EventKind {
            match event {
                $(Event::$name { .. } => EventKind { event_type: $number, schema_version: $version },)*
            }
        }
    };
}

event_types! {
    AirportRegistered = 1 version 1;
    AirportMinimumGroundTimeChanged = 2 version 1;
    AirportRemoved = 3 version 1;
    AirplaneRegistered = 16 version 1;
    AirplaneChanged = 17 version 1;
    AirplaneRemoved = 18 version 1;
    RotationAssigned = 19 version 1;
    RotationUnassigned = 20 version 1;
    RotationCreated = 32 version 1;
    RotationRenamed = 33 version 1;
    RotationRemoved = 34 version 1;
    LegAdded = 35 version 2;
    LegRescheduled = 36 version 2;
    LegRemoved = 37 version 1;
    OpenLegScheduled = 48 version 2;
    OpenLegRescheduled = 49 version 2;
    OpenLegCancelled = 50 version 1;
}

/// The name of an event type, as `events.event_type` shows it.
pub fn event_name(event_type: u16) -> Option<&'static str> {
    EVENT_TYPES.iter().find(|it| it.number == event_type).map(|it| it.name)
}

pub(in crate::schedule) fn encode(event: &Event, out: &mut Vec<u8>) -> EventKind {
    match event {
        Event::AirportRegistered { minimum_ground_time }
        | Event::AirportMinimumGroundTimeChanged { minimum_ground_time } => {
            write_ground_time(*minimum_ground_time, out);
        }
        Event::AirplaneRegistered { aircraft_type, minimum_ground_time }
        | Event::AirplaneChanged { aircraft_type, minimum_ground_time } => {
            write_aircraft_type(*aircraft_type, out);
            write_ground_time(*minimum_ground_time, out);
        }
        Event::AirportRemoved | Event::AirplaneRemoved | Event::RotationRemoved => {}
        Event::RotationAssigned { rotation } | Event::RotationUnassigned { rotation } => {
            out.extend_from_slice(rotation.0.as_bytes());
        }
        Event::RotationCreated { name } | Event::RotationRenamed { name } => {
            write_name(name.as_deref(), out);
        }
        Event::LegAdded(leg)
        | Event::LegRescheduled(leg)
        | Event::OpenLegScheduled(leg)
        | Event::OpenLegRescheduled(leg) => {
            leg::encode(leg, out);
        }
        Event::LegRemoved { id } | Event::OpenLegCancelled { id } => {
            out.extend_from_slice(id.0.as_bytes());
        }
    }
    kind_of(event)
}

pub(in crate::schedule) fn decode(kind: EventKind, payload: &[u8]) -> Result<Event, DecodeError> {
    let EventKind { event_type, schema_version } = kind;
    let what = event_name(event_type).unwrap_or("an event");
    let mut reader = Reader::new(what, payload);
    let event = match (event_type, schema_version) {
        (1, 1) => Event::AirportRegistered { minimum_ground_time: read_ground_time(&mut reader)? },
        (2, 1) => Event::AirportMinimumGroundTimeChanged {
            minimum_ground_time: read_ground_time(&mut reader)?,
        },
        (3, 1) => Event::AirportRemoved,
        (16, 1) => Event::AirplaneRegistered {
            aircraft_type: read_aircraft_type(&mut reader)?,
            minimum_ground_time: read_ground_time(&mut reader)?,
        },
        (17, 1) => Event::AirplaneChanged {
            aircraft_type: read_aircraft_type(&mut reader)?,
            minimum_ground_time: read_ground_time(&mut reader)?,
        },
        (18, 1) => Event::AirplaneRemoved,
        (19, 1) => Event::RotationAssigned { rotation: RotationId(read_uuid(&mut reader)?) },
        (20, 1) => Event::RotationUnassigned { rotation: RotationId(read_uuid(&mut reader)?) },
        (32, 1) => Event::RotationCreated { name: read_name(&mut reader)? },
        (33, 1) => Event::RotationRenamed { name: read_name(&mut reader)? },
        (34, 1) => Event::RotationRemoved,
        (35, version @ 1..=2) => Event::LegAdded(read_leg(version, &mut reader)?),
        (36, version @ 1..=2) => Event::LegRescheduled(read_leg(version, &mut reader)?),
        (37, 1) => Event::LegRemoved { id: LegId(read_uuid(&mut reader)?) },
        (48, version @ 1..=2) => Event::OpenLegScheduled(read_leg(version, &mut reader)?),
        (49, version @ 1..=2) => Event::OpenLegRescheduled(read_leg(version, &mut reader)?),
        (50, 1) => Event::OpenLegCancelled { id: LegId(read_uuid(&mut reader)?) },
        _ => {
            return Err(
                reader.error(format!("unknown event type {event_type} version {schema_version}"))
            );
        }
    };
    reader.finish()?;
    Ok(event)
}

/// The leg that an event is about, without reading the rest of the event: none if it is about no leg, or too short.
///
/// ```
/// # use rotabase_engine::domain::Domain as _;
/// # use rotabase_engine::schedule::{Event, LegId, Schedule, leg_of_event};
/// let (id, mut payload) = (LegId(uuid::Uuid::from_u128(7)), Vec::new());
/// let kind = Schedule::encode_event(&Event::LegRemoved { id }, &mut payload);
/// assert_eq!(leg_of_event(kind, &payload), Some(id));
/// ```
pub fn leg_of_event(kind: EventKind, payload: &[u8]) -> Option<LegId> {
    let at = match (kind.event_type, kind.schema_version) {
        (35 | 36 | 37 | 48 | 49 | 50, 1) => 0,
        // Behind the flags.
        (35 | 36 | 48 | 49, 2) => 1,
        _ => return None,
    };
    let id = payload.get(at..at + 16)?;
    Uuid::from_slice(id).ok().map(LegId)
}

/// Reads a leg and brings it to the newest version.
fn read_leg(version: u16, reader: &mut Reader<'_>) -> Result<Box<Leg>, DecodeError> {
    let leg = if version == 1 { leg::decode_v1(reader)? } else { leg::decode(reader)? };
    Ok(Box::new(leg))
}

fn read_uuid(reader: &mut Reader<'_>) -> Result<Uuid, DecodeError> {
    reader.array().map(Uuid::from_bytes)
}

/// A flag, and the name to the end of the payload.
fn write_name(name: Option<&str>, out: &mut Vec<u8>) {
    out.push(u8::from(name.is_some()));
    out.extend_from_slice(name.unwrap_or_default().as_bytes());
}

fn read_name(reader: &mut Reader<'_>) -> Result<Option<String>, DecodeError> {
    match reader.byte()? {
        0 => Ok(None),
        1 => {
            let name = reader.take(reader.remaining())?;
            let name =
                std::str::from_utf8(name).map_err(|_| reader.error("a name is not UTF-8"))?;
            Ok(Some(name.to_owned()))
        }
        flag => Err(reader.error(format!("{flag} is no flag"))),
    }
}
