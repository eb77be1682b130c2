//! The tables of the contract, their columns, and what is usually in them.

use super::Ty::{self, Date, Int4, Int8, Interval, Text, Time, Uuid};

pub(super) type Columns = &'static [(&'static str, Ty)];

const AIRPORTS: Columns = &[("code", Text), ("minimum_ground_time", Interval), ("version", Int8)];
const AIRPLANES: Columns = &[
    ("registration", Text),
    ("aircraft_type", Text),
    ("minimum_ground_time", Interval),
    ("rotation_id", Uuid),
    ("version", Int8),
];
const ROTATIONS: Columns = &[
    ("id", Uuid),
    ("name", Text),
    ("legs", Int8),
    ("first_departure", Time),
    ("last_arrival", Time),
    ("version", Int8),
];
const LEGS: Columns = &[
    ("id", Uuid),
    ("rotation_id", Uuid),
    ("carrier", Text),
    ("flight_number", Int4),
    ("suffix", Text),
    ("day_of_origin", Date),
    ("departure_airport", Text),
    ("arrival_airport", Text),
    ("departure_time", Time),
    ("arrival_time", Time),
    ("departure_utc_offset", Int4),
    ("leg_sequence", Int4),
    ("service_type", Text),
    ("aircraft_type", Text),
    ("version", Int8),
];
pub(super) const TABLES: &[(&str, Columns)] = &[
    ("airports", AIRPORTS),
    ("airplanes", AIRPLANES),
    ("rotations", ROTATIONS),
    ("legs", LEGS),
    ("legs", LEGS),
];

/// The columns that something in FROM offers.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) alias: String,
    pub(super) columns: Vec<(String, Ty)>,
}

/// What a column's values are about, so that equalities between columns find something.
fn domain(name: &str) -> Option<u8> {
    Some(match name {
        "rotation_id" => 0,
        "code" | "departure_airport" | "arrival_airport" => 1,
        "aircraft_type" => 2,
        "carrier" => 3,
        _ => return None,
    })
}

/// The equalities between columns about the same thing.
pub(super) fn related(sources: &[Source], new: &Source) -> Vec<String> {
    let is_rotation =
        |source: &Source| source.columns.iter().any(|(name, _)| name == "first_departure");
    let about = |source: &Source, name: &str| {
        if name == "id" && is_rotation(source) { Some(0) } else { domain(name) }
    };
    let mut found = Vec::new();
    for source in sources {
        for (left, _) in &source.columns {
            for (right, _) in &new.columns {
                if let (Some(of_left), Some(of_right)) = (about(source, left), about(new, right))
                    && of_left == of_right
                {
                    found.push(format!("{}.{left} = {}.{right}", source.alias, new.alias));
                }
            }
        }
    }
    found
}

/// Literals that a column's values are among.
pub(super) fn usual(column: &str) -> &'static [&'static str] {
    match column.split_once('.').map_or(column, |(_, name)| name) {
        "code" | "departure_airport" | "arrival_airport" => {
            &["'FRA'", "'MUC'", "'IST'", "'VIE'", "'CDG'"]
        }
        "carrier" => &["'LH'", "'LH'", "'LX'", "'OS'", "'4Y'"],
        "aircraft_type" => &["'320'", "'321'", "'333'", "'359'"],
        "service_type" => &["'J'", "'J'", "'F'"],
        "name" => &["'R1'", "'R3'", "'R7'"],
        "registration" => &["'D-AIC'", "'D-AIH'"],
        "suffix" => &["''", "'A'"],
        _ => &[],
    }
}
