//! Random SELECTs over the tables give what PostgreSQL 15 gives: names, types, rows, SQLSTATE.

use std::fmt::Write as _;

use rotabase_tests::postgres::Postgres;
use rotabase_tests::random_select::random_select;
use rotabase_tests::schedule;
use rotabase_tests::server::Server;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const SEEDS: std::ops::Range<u64> = 10_000..10_600;
const SCHEMA: &str = include_str!("../../slt/postgres/schema.sql");

/// Whether the outermost query has an ORDER BY, so that the order of its rows counts.
fn is_ordered(sql: &str) -> bool {
    let mut depth = 0;
    let upper = sql.to_uppercase();
    for (at, character) in upper.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            'O' if depth == 0 && upper[at..].starts_with("ORDER BY") => return true,
            _ => {}
        }
    }
    false
}

/// What a statement gives: a line for the columns and one for each row, or the SQLSTATE.
async fn outcome(client: &Client, sql: &str) -> Vec<String> {
    let state = |error: tokio_postgres::Error| match error.code() {
        Some(code) => format!("ERROR {}", code.code()),
        None => format!("{error:?}"),
    };
    let statement = match client.prepare(sql).await {
        Ok(statement) => statement,
        Err(error) => return vec![state(error)],
    };
    let columns = statement.columns().iter().map(|it| format!("{} {}", it.name(), it.type_()));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => return vec![state(error)],
    };
    let mut rows = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let fields: Vec<&str> =
                (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect();
            rows.push(fields.join(" | "));
        }
    }
    // Rows come in any order, unless the query gives them one.
    if !is_ordered(sql) {
        rows.sort();
    }
    rows.insert(0, columns);
    rows
}

async fn connect(conninfo: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET timezone = 'UTC'; SET statement_timeout = '8s'").await.unwrap();
    client
}

fn fill(server: &Server, postgres: &Postgres) {
    let mut script = schedule::insert_script(6, 7, 2);
    script.push_str(
        "INSERT INTO airplanes (registration, aircraft_type, minimum_ground_time, rotation_id) VALUES
         ('D-AIZA', '320', '35 minutes', '00000000-0000-4000-8000-000000000000'),
         ('D-AIZB', NULL, '1 hour', '00000000-0000-4000-8000-000000000001'), ('D-AIZC', '789', '0', NULL);
         INSERT INTO rotations (id) VALUES ('00000000-0000-4000-8000-0000000000ff');
         INSERT INTO legs (carrier, flight_number, suffix, day_of_origin, departure_airport, arrival_airport, departure_time,
         arrival_time, aircraft_type) VALUES ('RB', 901, 'A', '2026-03-28', 'AKL', 'SYD', '2026-03-27 18:00Z', '2026-03-27 21:40Z', '320'),
         ('RB', 901, '', '2026-03-28', 'AKL', 'SYD', '2026-03-27 18:00Z', '2026-03-27 21:40Z', NULL);",
    );
    server.psql(&script).expect_success();
    postgres.psql(SCHEMA).expect_success();
    // PostgreSQL gets what Rotabase shows, versions included.
    let directory = tempfile::tempdir().unwrap();
    for table in ["airports", "rotations", "airplanes", "legs"] {
        let file = directory.path().join(table);
        server.psql(&format!("\\copy {table} to '{}'\n", file.display())).expect_success();
        postgres.psql(&format!("\\copy {table} from '{}'\n", file.display())).expect_success();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_queries_give_what_postgresql_gives() {
    let (server, postgres) = (Server::start(), Postgres::start());
    fill(&server, &postgres);
    let (ours, theirs) = (connect(&server.conninfo()).await, connect(&postgres.conninfo()).await);
    let (mut failures, mut failed, mut rows, mut cut_off) = (String::new(), 0, 0, 0);
    for seed in SEEDS {
        let sql = random_select(seed);
        let (found, expected) = (outcome(&ours, &sql).await, outcome(&theirs, &sql).await);
        // A product of tables may take either of them too long.
        if [&found, &expected].iter().any(|it| it[0] == "ERROR 57014") {
            cut_off += 1;
            continue;
        }
        rows += expected.len() - 1;
        if found != expected {
            failed += 1;
            let (found, expected) = (found.join("\n"), expected.join("\n"));
            let _ = writeln!(failures, "{seed}: {sql}\nexpected:\n{expected}\nfound:\n{found}\n");
        }
    }
    assert!(cut_off < 10, "{cut_off} queries took too long");
    assert!(rows > 1000, "the queries find {rows} rows");
    assert!(failures.is_empty(), "{failed} differ\n{failures}");
}
