//! A schedule for tests: small, deterministic, with legs and rotations that mean something.

use std::fmt::Write as _;

/// Builds the SQL of a schedule with `rotations` rotations of `legs` legs each, without a violation but those
/// that follow from the parameters: every `broken`th rotation (0 for none) has one continuity break.
pub fn insert_script(rotations: usize, legs: usize, broken: usize) -> String {
    let mut sql = String::from(
        "INSERT INTO airports (code, minimum_ground_time) VALUES ('FRA', '45 minutes'), ('MUC', '40 minutes'), ('JFK', '1 hour');\n",
    );
    for rotation in 0..rotations {
        let id = format!("00000000-0000-4000-8000-{rotation:012}");
        let _ = writeln!(sql, "INSERT INTO rotations (id, name) VALUES ('{id}', 'R{rotation}');");
        let mut values = Vec::new();
        for leg in 0..legs {
            let breaks = broken > 0 && rotation % broken == 0 && leg == legs / 2;
            let (from, to) = if leg % 2 == 0 { ("FRA", "MUC") } else { ("MUC", "FRA") };
            let to = if breaks { "JFK" } else { to };
            let (day, hour) = (1 + leg / 10, 2 * (leg % 10));
            let number = 1 + (rotation * legs + leg) % 9999;
            values.push(format!(
                "('{id}', 'LH', {number}, '2026-03-{day:02}', '{from}', '{to}', '2026-03-{day:02} {hour:02}:00Z', '2026-03-{day:02} {:02}:00Z')",
                hour + 1
            ));
        }
        let _ = writeln!(
            sql,
            "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
             departure_time, arrival_time) VALUES {};",
            values.join(", ")
        );
    }
    sql
}
