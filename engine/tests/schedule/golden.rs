//! Every version of every event, as it was written once, is read for ever.
//!
//! `tests/golden/<event>.v<version>` holds the payload in hexadecimal and, below it, what it says. A new event
//! or version has no file and fails here; `UPDATE_GOLDENFILES=1` writes the missing ones, never an old one.

use std::fmt::Write as _;
use std::path::PathBuf;

use rotabase_engine::domain::{Domain, EventKind};
use rotabase_engine::schedule::{
    BlockTime, DayOfOrigin, EVENT_TYPES, Event, EventType, FlightDesignator, FlightId,
    FlightNumber, Leg, LegId, MinimumGroundTime, RotationId, Schedule, UtcTime, leg_of_event,
    payload_json,
};
use uuid::Uuid;

fn leg() -> Leg {
    let flight = FlightId {
        carrier: "LH".parse().unwrap(),
        number: FlightNumber::new(400).unwrap(),
        suffix: "D".parse().unwrap(),
    };
    let day_of_origin = DayOfOrigin::from_calendar(2026, 3, 29).unwrap();
    let time = |minutes| UtcTime::at_minute(day_of_origin, minutes).unwrap();
    Leg {
        id: LegId(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
        designator: FlightDesignator {
            flight,
            departure_airport: "FRA".parse().unwrap(),
            day_of_origin,
        },
        arrival_airport: "JFK".parse().unwrap(),
        block: BlockTime::new(time(505), time(1025)).unwrap(),
        departure_utc_offset_minutes: 120,
        arrival_utc_offset_minutes: -240,
        leg_sequence: 2,
        itinerary_variation: 3,
        service_type: "J".parse().unwrap(),
        aircraft_type: Some("74H".parse().unwrap()),
    }
}

/// An event of each type in its newest version. Files of older versions were written when they were new.
fn newest(event_type: &EventType) -> Event {
    let minimum_ground_time = MinimumGroundTime::new(0, 1, 2_700_000_000).unwrap();
    let rotation = RotationId(Uuid::from_u128(0xfedc_ba98_7654_3210_fedc_ba98_7654_3210));
    let aircraft_type = Some("32N".parse().unwrap());
    match event_type.name {
        "AirportRegistered" => Event::AirportRegistered { minimum_ground_time },
        "AirportMinimumGroundTimeChanged" => {
            Event::AirportMinimumGroundTimeChanged { minimum_ground_time }
        }
        "AirportRemoved" => Event::AirportRemoved,
        "AirplaneRegistered" => Event::AirplaneRegistered { aircraft_type, minimum_ground_time },
        "AirplaneChanged" => Event::AirplaneChanged { aircraft_type: None, minimum_ground_time },
        "AirplaneRemoved" => Event::AirplaneRemoved,
        "RotationAssigned" => Event::RotationAssigned { rotation },
        "RotationUnassigned" => Event::RotationUnassigned { rotation },
        "RotationCreated" => Event::RotationCreated { name: Some("R \"101\"".to_owned()) },
        "RotationRenamed" => Event::RotationRenamed { name: None },
        "RotationRemoved" => Event::RotationRemoved,
        "LegAdded" => Event::LegAdded(Box::new(leg())),
        "LegRescheduled" => Event::LegRescheduled(Box::new(leg())),
        "LegRemoved" => Event::LegRemoved { id: leg().id },
        "OpenLegScheduled" => Event::OpenLegScheduled(Box::new(leg())),
        "OpenLegRescheduled" => Event::OpenLegRescheduled(Box::new(leg())),
        "OpenLegCancelled" => Event::OpenLegCancelled { id: leg().id },
        unknown => panic!("{unknown} has no golden event: add one"),
    }
}

/// The leg that an event is about.
fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::LegAdded(leg)
        | Event::LegRescheduled(leg)
        | Event::OpenLegScheduled(leg)
        | Event::OpenLegRescheduled(leg) => Some(leg.id),
        Event::LegRemoved { id } | Event::OpenLegCancelled { id } => Some(*id),
        _ => None,
    }
}

fn path(name: &str, version: u16) -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join(format!("tests/golden/{name}.v{version}"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn from_hexadecimal(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn json(event: &Event) -> String {
    let mut json = String::new();
    payload_json(event, &mut json);
    json
}

#[test]
fn every_version_of_every_event_reads_for_ever() {
    for event_type in EVENT_TYPES {
        for version in 1..=event_type.schema_version {
            let path = path(event_type.name, version);
            let newest = newest(event_type);
            let mut payload = Vec::new();
            let written = Schedule::encode_event(&newest, &mut payload);
            assert_eq!(
                written,
                EventKind {
                    event_type: event_type.number,
                    schema_version: event_type.schema_version
                }
            );
            if !path.exists()
                && version == event_type.schema_version
                && std::env::var_os("UPDATE_GOLDENFILES").is_some()
            {
                let text = format!(
                    "{}\n{}\n{}\n",
                    event_type.number,
                    hexadecimal(&payload),
                    json(&newest)
                );
                std::fs::write(&path, text).unwrap();
            }
            let golden = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let [number, stored, meaning]: [&str; 3] =
                golden.lines().collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(
                number,
                event_type.number.to_string(),
                "the number of {} never changes",
                event_type.name
            );
            let kind = EventKind { event_type: event_type.number, schema_version: version };
            let read = Schedule::decode_event(kind, &from_hexadecimal(stored)).unwrap();
            assert_eq!(json(&read), meaning, "{}", path.display());
            let about = leg_of_event(kind, &from_hexadecimal(stored));
            assert_eq!(about, leg_of(&read), "{}", path.display());
            if version == event_type.schema_version {
                assert_eq!(read, newest, "{}", path.display());
                assert_eq!(
                    hexadecimal(&payload),
                    stored,
                    "the newest shape of {} is frozen",
                    event_type.name
                );
            }
        }
    }
}

#[test]
fn no_golden_file_is_left_over() {
    for file in std::fs::read_dir(path("x", 1).parent().unwrap()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = |it: &EventType| {
            (1..=it.schema_version).any(|version| name == format!("{}.v{version}", it.name))
        };
        assert!(EVENT_TYPES.iter().any(known), "{name} is read no more");
    }
}

#[test]
fn an_older_leg_is_the_only_one_of_its_flight() {
    let golden = std::fs::read_to_string(path("LegAdded", 1)).unwrap();
    let stored = from_hexadecimal(golden.lines().nth(1).unwrap());
    let read =
        Schedule::decode_event(EventKind { event_type: 35, schema_version: 1 }, &stored).unwrap();
    assert_eq!(
        read,
        Event::LegAdded(Box::new(Leg { leg_sequence: 1, itinerary_variation: 1, ..leg() }))
    );
}
