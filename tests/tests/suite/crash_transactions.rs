//! kill -9 in the middle of what touches many aggregates: all of a COPY is there or nothing, a leg that moves is in
//! one rotation, and nobody has to end anything by hand.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::SinkExt;
use rotabase_tests::server::{self, Server};
use rotabase_tests::tool;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

/// Legs of one COPY; they go into this many rotations, in all shards.
const LEGS: usize = 30_000;
const ROTATIONS: usize = 300;
const ROUNDS: usize = 8;

/// Bytes of COPY data that are sent at a time.
const CHUNK: usize = 64 << 10;

fn rotation(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn create_rotations(server: &Server) {
    let rows: Vec<String> =
        (0..ROTATIONS).map(|it| format!("('{}', 'R{it}')", rotation(it))).collect();
    server
        .psql(&format!("INSERT INTO rotations (id, name) VALUES {};", rows.join(", ")))
        .expect_success();
}

/// The rows of a round: each rotation gets a run of legs that do not overlap, in a month of its own.
fn rows(round: usize) -> Bytes {
    let mut text = String::new();
    for leg in 0..LEGS {
        let (of, number) = (leg % ROTATIONS, leg / ROTATIONS);
        let minutes = number * 10;
        let (day, hour, minute) = (1 + minutes / 1440, minutes / 60 % 24, minutes % 60);
        writeln!(
            text,
            "{},R{round},{},2026-{:02}-{day:02},FRA,MUC,2026-{:02}-{day:02} {hour:02}:{minute:02}Z,\
             2026-{:02}-{day:02} {hour:02}:{:02}Z",
            rotation(of),
            1 + leg % 9999,
            1 + round,
            1 + round,
            1 + round,
            minute + 9,
        )
        .unwrap();
    }
    Bytes::from(text)
}

/// Whether the COPY was acknowledged.
async fn copy(client: Client, rows: Bytes) -> bool {
    let sql = "COPY legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
               departure_time, arrival_time) FROM STDIN (FORMAT csv)";
    let Ok(sink) = client.copy_in(sql).await else { return false };
    let mut sink = Box::pin(sink);
    for start in (0..rows.len()).step_by(CHUNK) {
        let chunk = rows.slice(start..rows.len().min(start + CHUNK));
        if sink.send(chunk).await.is_err() {
            return false;
        }
    }
    sink.as_mut().finish().await.is_ok()
}

fn legs_of(server: &Server, round: usize) -> usize {
    let printed = server.psql(&format!("SELECT count(*) FROM legs WHERE carrier = 'R{round}';"));
    printed.expect_success().trim().parse().unwrap()
}

fn verify(data: &Path) {
    let mut program = Command::new(server::binary());
    tool::run(program.arg("verify").arg("--data").arg(data), "").expect_success();
}

#[test]
fn a_copy_that_is_cut_short_left_all_or_nothing() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_on(&data, &[]);
    create_rotations(&server);
    let began = Instant::now();
    let client = runtime.block_on(server.connect());
    assert!(runtime.block_on(copy(client, rows(0))), "a COPY that nobody disturbs succeeds");
    let whole = began.elapsed();
    assert_eq!(legs_of(&server, 0), LEGS);
    for round in 1..=ROUNDS {
        let client = runtime.block_on(server.connect());
        let copying = runtime.spawn(copy(client, rows(round)));
        // Spread over all that a COPY does: reading, deciding, preparing, concluding.
        let share = u32::try_from(round).unwrap() * 12;
        std::thread::sleep(whole * share / 100);
        server.kill();
        let acknowledged = runtime.block_on(copying).unwrap();
        verify(&data);
        server = Server::start_on(&data, &[]);
        let found = legs_of(&server, round);
        assert!(found == 0 || found == LEGS, "round {round}: {found} of {LEGS} legs");
        assert!(!acknowledged || found == LEGS, "round {round}: acknowledged and lost");
        // Nothing of it holds anything: the same rotations take the next.
        let sql = format!(
            "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
             departure_time, arrival_time) SELECT id, 'ZZ', 1, '2027-01-01', 'FRA', 'MUC', \
             timestamptz '2027-01-01Z' + {round} * interval '1 hour', \
             timestamptz '2027-01-01 00:30Z' + {round} * interval '1 hour' FROM rotations;"
        );
        server.psql(&sql).expect_success();
    }
    assert!(server.terminate().success());
    verify(&data);
}

/// Moves legs between rotations until the server is gone.
async fn move_legs(client: Client, own: usize) -> usize {
    for number in 0.. {
        let leg = (own * 7 + number * 3) % 40;
        let to = (own + number * 5) % ROTATIONS;
        let target =
            if number % 11 == 0 { "NULL".to_owned() } else { format!("'{}'", rotation(to)) };
        let sql = format!(
            "UPDATE legs SET rotation_id = {target} WHERE id = '00000000-0000-4000-9000-{leg:012}'"
        );
        match client.batch_execute(&sql).await {
            Ok(()) => {}
            // Another client moved it at the same moment, or another leg is there at the time.
            Err(error)
                if error.code().is_some_and(|code| ["40001", "23P01"].contains(&code.code())) => {}
            Err(error) => match error.code() {
                None => return number,
                Some(_) => panic!("{error:?}"),
            },
        }
    }
    unreachable!("it moves legs until the server is gone")
}

#[test]
fn a_leg_that_moves_when_the_power_fails_is_in_one_place() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_on(&data, &[]);
    create_rotations(&server);
    server
        .psql(
            "INSERT INTO legs (id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
             departure_time, arrival_time) SELECT ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, 'LH', \
             n + 1, '2026-01-01', 'FRA', 'MUC', timestamptz '2026-01-01Z' + n * interval '1 hour', \
             timestamptz '2026-01-01 00:59Z' + n * interval '1 hour' FROM generate_series(0, 39) n;",
        )
        .expect_success();
    for round in 0..6_u64 {
        let moving: Vec<_> = (0..4)
            .map(|own| runtime.spawn(move_legs(runtime.block_on(server.connect()), own)))
            .collect();
        std::thread::sleep(Duration::from_millis(80 + 37 * round));
        server.kill();
        let moved: usize = moving.into_iter().map(|client| runtime.block_on(client).unwrap()).sum();
        assert!(moved > 0, "clients were moving legs");
        verify(&data);
        server = Server::start_on(&data, &[]);
        let found = server
            .psql("SELECT count(*), count(DISTINCT id), min(departure_time), max(arrival_time) FROM legs;")
            .expect_success();
        assert!(found.starts_with("40|40|"), "round {round}: {found}");
        // What the legs say and what the rotations count is the same.
        let differ = server
            .psql(
                "SELECT count(*) FROM rotations r WHERE legs <> (SELECT count(*) FROM legs WHERE rotation_id = r.id);",
            )
            .expect_success();
        assert_eq!(differ.trim(), "0", "round {round}");
    }
    assert!(server.terminate().success());
}
