//! The schedule of the demo: a week of an airline with one hub, the same every time, with a few mistakes that
//! validation finds.

use std::fmt::Write as _;

/// The days that are planned, from 2026-03-29, the first of a summer season.
const DAYS: usize = 7;

/// The airplanes, each with a rotation of its own.
const AIRPLANES: usize = 24;

/// The pairs of legs that an airplane flies on a day: out of the hub and back.
const PAIRS_A_DAY: usize = 2;

/// The rows of one INSERT.
const ROWS_A_STATEMENT: usize = 200;

const HUB: &str = "FRA";

/// The minutes that an airplane stands between two legs: more than any airport or airplane asks for.
const GROUND_MINUTES: usize = 65;

/// The minutes where a mistake is planted.
const SHORT_GROUND_MINUTES: usize = 20;

/// Airports: code, minimum ground time in minutes, flight time from the hub in minutes.
const AIRPORTS: [(&str, usize, usize); 12] = [
    ("FRA", 45, 0),
    ("MUC", 40, 60),
    ("HAM", 35, 65),
    ("BER", 35, 70),
    ("CDG", 50, 80),
    ("LHR", 55, 100),
    ("ZRH", 40, 55),
    ("VIE", 40, 85),
    ("MAD", 45, 150),
    ("FCO", 45, 115),
    ("ARN", 45, 130),
    ("LIS", 45, 180),
];

/// A leg, times in minutes since the first day at 00:00 UTC.
#[derive(Clone, Debug)]
struct PlannedLeg {
    /// None: open.
    rotation: Option<usize>,
    flight_number: usize,
    from: &'static str,
    to: &'static str,
    departure: usize,
    arrival: usize,
}

/// The statements that make the schedule.
pub(crate) fn statements() -> Vec<String> {
    let airports =
        AIRPORTS.iter().map(|(code, ground, _)| format!("('{code}', '{ground} minutes')"));
    let rotations =
        (0..AIRPLANES).map(|place| format!("('{}', 'R{}')", rotation_id(place), 101 + place));
    let airplanes =
        (0..AIRPLANES).map(|place| format!("('{}', '320', '00:35')", registration(place)));
    let mut statements = Vec::new();
    insert(&mut statements, "airports (code, minimum_ground_time)", airports);
    insert(&mut statements, "rotations (id, name)", rotations);
    insert(
        &mut statements,
        "airplanes (registration, aircraft_type, minimum_ground_time)",
        airplanes,
    );
    for place in 0..AIRPLANES {
        let (rotation, registration) = (rotation_id(place), registration(place));
        statements.push(format!(
            "UPDATE airplanes SET rotation_id = '{rotation}' WHERE registration = '{registration}'"
        ));
    }
    let mut legs: Vec<PlannedLeg> = (0..AIRPLANES).flat_map(rotation_legs).collect();
    legs.extend(open_legs(&legs));
    let columns = "legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
                   departure_time, arrival_time, service_type, aircraft_type)";
    insert(&mut statements, columns, legs.iter().map(leg_row));
    statements
}

fn insert(statements: &mut Vec<String>, into: &str, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.collect();
    for rows in rows.chunks(ROWS_A_STATEMENT) {
        statements.push(format!("INSERT INTO {into} VALUES {}", rows.join(", ")));
    }
}

/// The legs of one airplane's week. Every fifth has a turn that is too short, every seventh a leg that ends
/// elsewhere than the next one begins.
fn rotation_legs(place: usize) -> Vec<PlannedLeg> {
    let mut legs = Vec::new();
    for day in 0..DAYS {
        let mut time = day * 1440 + 240 + place * 5;
        for pair in 0..PAIRS_A_DAY {
            let (spoke, _, minutes) = AIRPORTS[1 + (place + day + 3 * pair) % (AIRPORTS.len() - 1)];
            let hurried = place % 5 == 4 && day == 2 && pair == 0;
            let astray = place % 7 == 6 && day == 4 && pair == 0;
            let flight_number = 400 + place * 10 + pair * 2;
            let back = time + minutes + if hurried { SHORT_GROUND_MINUTES } else { GROUND_MINUTES };
            let home = match astray {
                true if spoke == "MUC" => "HAM",
                true => "MUC",
                false => HUB,
            };
            let leg = |flight_number, from, to, departure| PlannedLeg {
                rotation: Some(place),
                flight_number,
                from,
                to,
                departure,
                arrival: departure + minutes,
            };
            legs.push(leg(flight_number, HUB, spoke, time));
            legs.push(leg(flight_number + 1, spoke, home, back));
            time = back + minutes + GROUND_MINUTES;
        }
    }
    legs
}

/// Legs that nobody flies yet; one of them shares its designator with a leg that somebody does.
fn open_legs(planned: &[PlannedLeg]) -> Vec<PlannedLeg> {
    let extra = |day: usize| PlannedLeg {
        rotation: None,
        flight_number: 900 + day,
        from: HUB,
        to: "MAD",
        departure: day * 1440 + 600,
        arrival: day * 1440 + 750,
    };
    let twin = PlannedLeg { rotation: None, ..planned[5].clone() };
    (0..DAYS).map(extra).chain([twin]).collect()
}

fn leg_row(leg: &PlannedLeg) -> String {
    let mut row = String::from("(");
    match leg.rotation {
        Some(place) => {
            let _ = write!(row, "'{}'", rotation_id(place));
        }
        None => row.push_str("NULL"),
    }
    let (number, from, to) = (leg.flight_number, leg.from, leg.to);
    let (departure, arrival) = (instant(leg.departure), instant(leg.arrival));
    let day = &departure[..10];
    let _ = write!(
        row,
        ", 'LH', {number}, '{day}', '{from}', '{to}', '{departure}', '{arrival}', 'J', '320')"
    );
    row
}

/// Minutes since 2026-03-29 00:00 UTC as text.
fn instant(minutes: usize) -> String {
    let day = 29 + minutes / 1440;
    let (month, day) = if day > 31 { (4, day - 31) } else { (3, day) };
    format!("2026-{month:02}-{day:02} {:02}:{:02}Z", minutes % 1440 / 60, minutes % 60)
}

fn rotation_id(place: usize) -> String {
    format!("00000000-0000-4000-8000-{:012}", place + 1)
}

fn registration(place: usize) -> String {
    let letter = |index: usize| char::from(b'A' + u8::try_from(index % 26).expect("below 26"));
    format!("D-AI{}{}", letter(place / 26), letter(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legs_of_a_rotation_do_not_overlap() {
        for place in 0..AIRPLANES {
            let legs = rotation_legs(place);
            assert_eq!(legs.len(), DAYS * PAIRS_A_DAY * 2);
            assert!(legs.iter().all(|leg| leg.departure < leg.arrival && leg.from != leg.to));
            assert!(legs.windows(2).all(|pair| pair[0].arrival < pair[1].departure));
        }
    }

    #[test]
    fn mistakes_are_planted() {
        let legs: Vec<PlannedLeg> = (0..AIRPLANES).flat_map(rotation_legs).collect();
        let turns = |found: fn(&PlannedLeg, &PlannedLeg) -> bool| {
            let same = |pair: &&[PlannedLeg]| pair[0].rotation == pair[1].rotation;
            legs.windows(2).filter(same).filter(|pair| found(&pair[0], &pair[1])).count()
        };
        assert_eq!(turns(|leg, next| leg.to != next.from), 3);
        assert_eq!(turns(|leg, next| next.departure - leg.arrival == SHORT_GROUND_MINUTES), 4);
    }

    #[test]
    fn the_schedule_is_the_same_every_time() {
        assert_eq!(statements(), statements());
        assert!(statements().last().is_some_and(|statement| statement.contains("'2026-04-04'")));
    }
}
