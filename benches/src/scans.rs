//! Whole schedules read by plain SQL: the three checks without projections for them, counts, groups and joins.

use std::time::Instant;

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::Server;

use crate::Options;
use crate::report::Report;

/// What is asked, with its name in the report. The answers of both sides have to be the same.
const QUERIES: [(&str, &str); 7] = [
    (
        "continuity as SQL",
        "SELECT count(*) FROM (SELECT arrival_airport, lead(departure_airport) OVER (PARTITION BY rotation_id ORDER BY departure_time) AS next FROM legs WHERE rotation_id IS NOT NULL) pairs WHERE arrival_airport <> next",
    ),
    (
        "ground times as SQL",
        "SELECT count(*) FROM (SELECT rotation_id, arrival_airport, arrival_time, lead(departure_time) OVER (PARTITION BY rotation_id ORDER BY departure_time) AS next FROM legs WHERE rotation_id IS NOT NULL) pairs LEFT JOIN airplanes ON airplanes.rotation_id = pairs.rotation_id LEFT JOIN airports ON code = arrival_airport WHERE next - arrival_time < greatest(coalesce(airports.minimum_ground_time, '0'), coalesce(airplanes.minimum_ground_time, '0'))",
    ),
    (
        "designators as SQL",
        "SELECT count(*) FROM (SELECT 1 FROM legs GROUP BY carrier, flight_number, suffix, departure_airport, day_of_origin HAVING count(*) > 1) shared",
    ),
    (
        "count with a condition",
        "SELECT count(*) FROM legs WHERE departure_airport < arrival_airport",
    ),
    (
        "group by airport",
        "SELECT departure_airport, count(*) FROM legs GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
    ),
    (
        "group by flight",
        "SELECT carrier, flight_number, count(*), min(departure_time), max(arrival_time) FROM legs GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 10",
    ),
    (
        "join with airports",
        "SELECT code, count(*) FROM legs JOIN airports ON code = arrival_airport GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
    ),
];

/// Measures them over the legs that both sides have.
pub(crate) fn run(options: &Options, report: &mut Report, server: &Server, postgres: &Postgres) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for table in [
        "airports (code, minimum_ground_time)",
        "airplanes (registration, minimum_ground_time, rotation_id)",
    ] {
        let (name, columns) = table.split_once(' ').expect("a name and columns");
        let file = directory.path().join(name).display().to_string();
        let columns = columns.trim_matches(['(', ')']);
        server.psql(&format!("\\copy (SELECT {columns} FROM {name}) TO '{file}'")).expect_success();
        postgres.psql(&format!("\\copy {table} FROM '{file}'")).expect_success();
    }
    postgres.psql("VACUUM ANALYZE").expect_success();
    for (what, query) in QUERIES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let (time, answer) = timed(|| server.psql(query).expect_success());
            ours.push(time);
            let (time, expected) = timed(|| postgres.psql(query).expect_success());
            theirs.push(time);
            assert_eq!(answer, expected, "{what}");
        }
        report.cost(what, "ms", ours, Some(theirs));
    }
}

/// Milliseconds, those of starting psql with them, which are the same on both sides.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64() * 1000.0, result)
}
