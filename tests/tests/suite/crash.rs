//! kill -9 under load: everything acknowledged is there, everything refused is not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rotabase_tests::server::{self, Server};
use rotabase_tests::tool;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

const CLIENTS: usize = 6;
const ROUNDS: usize = 8;
/// A kill comes after as many acknowledged legs as a round's draw from here says.
const ACKNOWLEDGED: std::ops::Range<u64> = 5..120;

/// The next of a sequence of pseudo-random numbers (xorshift64*).
fn draw(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

/// What a client was told.
#[derive(Default)]
struct Told {
    acknowledged: Vec<u128>,
    refused: Vec<u128>,
}

fn leg_id(round: usize, client: usize, number: usize, refused: bool) -> u128 {
    let parts = [round, client, number, usize::from(refused)].map(|it| u128::try_from(it).unwrap());
    (4 << 76) | (8 << 60) | (parts[0] << 48) | (parts[1] << 40) | (parts[2] << 8) | parts[3]
}

fn rotation_id(client: usize) -> String {
    format!("00000000-0000-4000-8000-{client:012}")
}

/// Adds legs to a client's own rotation until the server is gone; each third one overlaps and is refused.
async fn add_legs(client: Client, round: usize, own: usize, count: Arc<AtomicUsize>) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        let slot = round * 100_000 + number;
        for refused in [false, true] {
            if refused && number % 3 > 0 {
                continue;
            }
            let id = uuid::Uuid::from_u128(leg_id(round, own, number, refused));
            let sql = format!(
                "INSERT INTO legs (id, rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
                 departure_time, arrival_time) VALUES ('{id}', '{}', 'LH', {}, '2026-01-01', 'FRA', 'MUC', \
                 timestamptz '2026-01-01Z' + {slot} * interval '1 minute', \
                 timestamptz '2026-01-01 00:01Z' + {slot} * interval '1 minute')",
                rotation_id(own),
                1 + number % 9999,
            );
            match client.batch_execute(&sql).await {
                Ok(()) => {
                    assert!(!refused, "an overlap was accepted");
                    told.acknowledged.push(id.as_u128());
                    count.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => match error.code() {
                    Some(code) if code.code() == "23P01" && refused => {
                        told.refused.push(id.as_u128());
                    }
                    // The connection broke: nobody knows.
                    None => return told,
                    Some(_) => panic!("{error:?}"),
                },
            }
        }
    }
    told
}

fn ids(server: &Server) -> BTreeSet<u128> {
    let printed = server.psql("SELECT id FROM legs;").expect_success();
    printed.lines().map(|id| uuid::Uuid::parse_str(id).unwrap().as_u128()).collect()
}

fn projections(server: &Server) -> String {
    let script = "SELECT * FROM airports ORDER BY code; SELECT * FROM airplanes ORDER BY registration; \
        SELECT * FROM rotations ORDER BY id; SELECT * FROM legs ORDER BY id; \
        SELECT * FROM continuity_violations ORDER BY leg_id, next_leg_id; \
        SELECT * FROM ground_time_violations ORDER BY leg_id, next_leg_id, registration; \
        SELECT * FROM designator_violations ORDER BY leg_id; \
        SELECT * FROM schedule_violations ORDER BY kind, leg_id, other_leg_id; \
        SELECT * FROM events ORDER BY shard, position;";
    server.psql(script).expect_success()
}

fn maintain(command: &str, data: &Path) {
    let mut program = Command::new(server::binary());
    tool::run(program.arg(command).arg("--data").arg(data), "").expect_success();
}

/// One round: load, kill after so many acknowledgements, and what the clients were told.
fn load_and_kill(runtime: &Runtime, server: &mut Server, round: usize, after: usize) -> Told {
    let count = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|own| {
            let client = runtime.block_on(server.connect());
            runtime.spawn(add_legs(client, round, own, Arc::clone(&count)))
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    while count.load(Ordering::SeqCst) < after {
        assert!(Instant::now() < deadline, "{} legs in a minute", count.load(Ordering::SeqCst));
        std::thread::yield_now();
    }
    server.kill();
    let mut told = Told::default();
    for task in tasks {
        let more = runtime.block_on(task).unwrap();
        told.acknowledged.extend(more.acknowledged);
        told.refused.extend(more.refused);
    }
    told
}

#[test]
fn what_was_acknowledged_outlives_a_kill_and_what_was_refused_never_was() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_on(&data, &[]);
    let rotations: Vec<String> =
        (0..CLIENTS).map(|own| format!("('{}', 'C{own}')", rotation_id(own))).collect();
    let script = format!(
        "INSERT INTO rotations (id, name) VALUES {}; \
         INSERT INTO airports (code, minimum_ground_time) VALUES ('MUC', '30 minutes');",
        rotations.join(", ")
    );
    server.psql(&script).expect_success();

    let mut seed = 0x0DDB_1A5E_5BAD_5EED;
    let mut known = BTreeSet::new();
    for round in 0..ROUNDS {
        let after = ACKNOWLEDGED.start + draw(&mut seed) % (ACKNOWLEDGED.end - ACKNOWLEDGED.start);
        let after = usize::try_from(after).unwrap();
        let told = load_and_kill(&runtime, &mut server, round, after);
        maintain("verify", &data);
        server = Server::start_on(&data, &[]);
        let found = ids(&server);
        known.extend(told.acknowledged);
        assert!(known.is_subset(&found), "round {round}: an acknowledged leg is gone");
        assert!(
            told.refused.iter().all(|id| !found.contains(id)),
            "round {round}: a refused leg is there"
        );
        // At most one leg of each client was under way.
        assert!(found.len() <= known.len() + CLIENTS, "round {round}: legs that nobody added");
        known = found;
    }

    let kept = projections(&server);
    assert!(server.terminate().success());
    maintain("rebuild", &data);
    let server = Server::start_on(&data, &[]);
    assert_eq!(projections(&server), kept);
}
