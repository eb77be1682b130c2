//! Whole schedules read by plain SQL: the three checks without projections for them, counts, groups and joins.

use std::path::Path;
use std::time::Instant;

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::Server;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::duckdb::DuckDb;
use crate::report::{Report, some};
use crate::{Options, load};

/// What is asked, with its name in the report. The answers of both sides have to be the same.
const QUERIES: [(&str, &str); 7] = [
    (
        "continuity as SQL",
        "SELECT count(*) FROM (SELECT arrival_airport, lead(departure_airport) OVER (PARTITION BY rotation_id ORDER BY departure_time) AS next FROM legs WHERE rotation_id IS NOT NULL) pairs WHERE arrival_airport <> next",
    ),
    (
        "ground times as SQL",
        "SELECT count(*) FROM (SELECT rotation_id, arrival_airport, arrival_time, lead(departure_time) OVER (PARTITION BY rotation_id ORDER BY departure_time) AS next FROM legs WHERE rotation_id IS NOT NULL) pairs LEFT JOIN airplanes ON airplanes.rotation_id = pairs.rotation_id LEFT JOIN airports ON code = arrival_airport WHERE next - arrival_time < greatest(coalesce(airports.minimum_ground_time, interval '0 minutes'), coalesce(airplanes.minimum_ground_time, interval '0 minutes'))",
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

/// Measures them over the legs that all sides have. `schedule` is the directory with `legs.csv`.
pub(crate) fn run(
    options: &Options,
    report: &mut Report,
    server: &Server,
    postgres: Option<&Postgres>,
    schedule: &Path,
) {
    let mut duckdb = DuckDb::find(&options.duckdb, schedule);
    let found = duckdb.as_ref().map_or_else(
        || format!("not found by {} (see --duckdb)", options.duckdb.display()),
        |it| format!("{}, in memory, in its own process without a client", it.version),
    );
    report.note("DuckDB", &found);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (ours, theirs) = runtime.block_on(async {
        let theirs = match postgres {
            Some(postgres) => Some(load::connect(&postgres.conninfo()).await),
            None => None,
        };
        (load::connect(&server.conninfo()).await, theirs)
    });
    for (what, query) in QUERIES {
        let (mut times, mut postgres, mut ducks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let (time, answer) = runtime.block_on(timed(&ours, query));
            times.push(time);
            if let Some(theirs) = &theirs {
                let (time, expected) = runtime.block_on(timed(theirs, query));
                postgres.push(time);
                assert_eq!(answer, expected, "{what}, of PostgreSQL");
            }
            if let Some(duckdb) = &mut duckdb {
                let (time, expected) = duckdb.query(query);
                ducks.push(time);
                assert_eq!(answer, expected, "{what}, of DuckDB");
            }
        }
        report.cost(what, "ms", times, some(postgres));
        if let Some(ducks) = some(ducks) {
            report.beside_duckdb(ducks);
        }
    }
}

/// Gives the others what they need beside the legs.
pub(crate) fn share(server: &Server, postgres: Option<&Postgres>, schedule: &Path) {
    for table in [
        "airports (code, minimum_ground_time)",
        "airplanes (registration, minimum_ground_time, rotation_id)",
    ] {
        let (name, columns) = table.split_once(' ').expect("a name and columns");
        let file = schedule.join(name).with_extension("csv").display().to_string();
        let columns = columns.trim_matches(['(', ')']);
        let csv = "with (format csv)";
        let out = format!("\\copy (SELECT {columns} FROM {name}) TO '{file}' {csv}");
        server.psql(&out).expect_success();
        if let Some(postgres) = postgres {
            postgres.psql(&format!("\\copy {table} FROM '{file}' {csv}")).expect_success();
        }
    }
    if let Some(postgres) = postgres {
        postgres.psql("VACUUM ANALYZE").expect_success();
    }
}

/// The milliseconds until a connection has all rows, and the rows as psql prints them.
async fn timed(client: &Client, query: &str) -> (f64, Vec<String>) {
    let start = Instant::now();
    let messages = client.simple_query(query).await.expect("an answer");
    let time = start.elapsed().as_secs_f64() * 1000.0;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|place| row.get(place).unwrap_or_default());
            Some(values.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    (time, rows.collect())
}
