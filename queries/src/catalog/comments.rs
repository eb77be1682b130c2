//! What the columns of the schedule are: the comments that `\d+` shows.

use super::PUBLIC;
use super::objects::Class;

/// Tables, a column of theirs, and what it is.
#[rustfmt::skip]
static COLUMNS: &[(&[&str], &str, &str)] = &[
    (&["airports"], "code", "IATA code of three letters."),
    (&["airports"], "minimum_ground_time", "The least time that an airplane stands here between two legs."),
    (&["airplanes"], "registration", "The registration: what is painted on the airplane."),
    (&["airplanes", "legs"], "aircraft_type", "IATA code of the aircraft type."),
    (&["airplanes"], "minimum_ground_time", "The least time that this airplane stands between two legs."),
    (&["airplanes"], "rotation_id", "The rotation that the airplane flies; null if none."),
    (&["airports", "airplanes", "rotations"], "version", "How many events there were; to be given in WHERE for optimistic concurrency."),
    (&["rotations"], "name", "A name, which need not be unique."),
    (&["rotations"], "legs", "The number of legs; maintained."),
    (&["rotations"], "first_departure", "The departure of the first leg; maintained."),
    (&["rotations"], "last_arrival", "The arrival of the last leg; maintained."),
    (&["legs"], "rotation_id", "The rotation that the leg belongs to; null while it is open."),
    (&["legs"], "carrier", "IATA code of the airline."),
    (&["legs"], "flight_number", "1 to 9999."),
    (&["legs"], "suffix", "Operational suffix; empty if there is none."),
    (&["legs"], "day_of_origin", "The day on which the flight begins, in UTC."),
    (&["legs"], "departure_airport", "IATA code; part of the flight designator, which cannot be updated."),
    (&["legs"], "arrival_airport", "IATA code."),
    (&["legs"], "departure_utc_offset", "Minutes that local time is ahead of UTC at departure."),
    (&["legs"], "arrival_utc_offset", "Minutes that local time is ahead of UTC at arrival."),
    (&["legs"], "leg_sequence", "The place of the leg in its flight, from 1."),
    (&["legs"], "itinerary_variation", "The itinerary variation of SSIM, from 1."),
    (&["legs"], "service_type", "IATA service type."),
    (&["legs"], "version", "The version of the leg's rotation or, while it is open, of its flight."),
    (&["events"], "shard", "The shard in whose log it is."),
    (&["events"], "position", "Its place in the shard's log."),
    (&["events"], "aggregate_type", "Airport, airplane, rotation or flight."),
    (&["events"], "aggregate_id", "What it happened to."),
    (&["events"], "version", "Its number among the events of its aggregate, from 1."),
    (&["events"], "schema_version", "The version of its form."),
    (&["events"], "payload", "What happened."),
    (&["events"], "metadata", "Who caused it, with which application, in which transaction."),
    (&["events"], "recorded_at", "When it was decided."),
];

/// What a column is, if that is said.
pub(crate) fn of_column(class: &Class, column: &str) -> Option<&'static str> {
    if class.schema != PUBLIC || class.view().is_some() {
        return None;
    }
    let found = COLUMNS.iter().find(|(tables, name, _)| {
        *name == column && tables.iter().any(|table| *table == class.name)
    });
    found.map(|(_, _, comment)| *comment)
}
