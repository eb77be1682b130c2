//! What a SELECT returned at an instant is what is returned as of that instant, for good: while other instants are
//! asked for, after a kill, and after everything derived has been computed anew.

use std::process::Command;

use rotabase_tests::server::{self, Server};
use rotabase_tests::tool;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, SimpleQueryMessage};

/// The statements of a history.
const STATEMENTS: usize = 60;
/// An instant is remembered after each so many of them.
const STATEMENTS_BETWEEN: usize = 5;

/// `{}` stands where the instant goes.
const QUESTIONS: &[&str] = &[
    "SELECT * FROM airports{} ORDER BY code",
    "SELECT * FROM airplanes{} ORDER BY registration",
    "SELECT * FROM rotations{} ORDER BY id",
    "SELECT * FROM legs{} ORDER BY id",
    "SELECT * FROM continuity_violations{} ORDER BY leg_id, next_leg_id",
    "SELECT * FROM ground_time_violations{} ORDER BY leg_id, next_leg_id, registration",
    "SELECT * FROM designator_violations{} ORDER BY leg_id",
    "SELECT * FROM schedule_violations{} ORDER BY kind, leg_id, other_leg_id, detail",
    "SELECT * FROM events{} ORDER BY shard, position",
    "SELECT count(*) FROM legs{}",
    "SELECT count(*) FROM events{}",
    "SELECT * FROM legs{} WHERE id = '00000000-0000-4000-8000-000000000001'",
    "SELECT id, departure_time FROM legs{} AS l WHERE rotation_id = '00000000-0000-4000-8000-000000000101' ORDER BY departure_time",
    "SELECT r.name, l.flight_number, v.detail FROM rotations{} AS r JOIN legs{} AS l ON l.rotation_id = r.id \
     LEFT JOIN schedule_violations{} v ON v.leg_id = l.id ORDER BY 1, 2, 3",
    "WITH open AS (SELECT * FROM legs{} WHERE rotation_id IS NULL) SELECT flight_number, count(*), \
     (SELECT count(*) FROM airplanes{} WHERE rotation_id IS NOT NULL) FROM open GROUP BY 1 ORDER BY 1",
    "SELECT * FROM planned{} ORDER BY 1, 2",
];

const VIEW: &str = "CREATE VIEW planned AS SELECT r.name, l.departure_airport, l.version \
    FROM legs l JOIN rotations r ON r.id = l.rotation_id";

/// The next of a sequence of pseudo-random numbers (xorshift64*).
fn draw(state: &mut u64, below: u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % below
}

fn leg(number: u64) -> String {
    format!("'00000000-0000-4000-8000-{number:012}'")
}

fn rotation(number: u64) -> String {
    leg(100 + number)
}

/// Something that a planner might do; the server may refuse it.
fn statement(seed: &mut u64) -> String {
    let mut below = |most| draw(seed, most);
    let airport = |number: u64| ["FRA", "JFK", "MUC"][usize::try_from(number).unwrap()];
    match below(12) {
        0 => {
            let (code, minutes) = (airport(below(3)), below(60));
            format!(
                "INSERT INTO airports (code, minimum_ground_time) VALUES ('{code}', '{minutes} minutes') \
                 ON CONFLICT (code) DO UPDATE SET minimum_ground_time = excluded.minimum_ground_time"
            )
        }
        1 => format!("DELETE FROM airports WHERE code = '{}'", airport(below(3))),
        2 => format!(
            "INSERT INTO airplanes (registration, minimum_ground_time) VALUES ('D-A{}', '00:{}')",
            below(2),
            10 + below(50)
        ),
        3 => {
            let (rotation, airplane) = (rotation(below(3)), below(2));
            format!(
                "UPDATE airplanes SET rotation_id = {rotation} WHERE registration = 'D-A{airplane}'"
            )
        }
        4 => {
            let number = below(3);
            format!("INSERT INTO rotations (id, name) VALUES ({}, 'R{number}')", rotation(number))
        }
        5 => format!("DELETE FROM rotations WHERE id = {}", rotation(below(3))),
        6 | 7 => {
            let (id, flight, day, slot) = (leg(below(8)), 400 + below(2), 1 + below(2), below(40));
            let (from, to, minutes) = (airport(below(3)), airport(below(3)), 30 + below(90));
            format!(
                "INSERT INTO legs (id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
                 departure_time, arrival_time) VALUES ({id}, 'LH', {flight}, '2026-01-0{day}', '{from}', '{to}', \
                 timestamptz '2026-01-01Z' + {slot} * interval '20 minutes', \
                 timestamptz '2026-01-01Z' + {slot} * interval '20 minutes' + interval '{minutes} minutes')"
            )
        }
        8 | 9 => {
            let rotation = rotation(below(3));
            format!("UPDATE legs SET rotation_id = {rotation} WHERE id = {}", leg(below(8)))
        }
        10 => {
            let minutes = below(90);
            format!(
                "UPDATE legs SET arrival_time = arrival_time + interval '{minutes} minutes' WHERE id = {}",
                leg(below(8))
            )
        }
        _ => format!("DELETE FROM legs WHERE id = {}", leg(below(8))),
    }
}

/// The rows of a query, a line each.
async fn rows(client: &Client, query: &str) -> Vec<String> {
    let messages = client.simple_query(query).await.unwrap_or_else(|error| {
        panic!("{query}: {error:?}");
    });
    let mut lines = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let cells: Vec<&str> =
                (0..row.len()).map(|at| row.get(at).unwrap_or("(null)")).collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

/// The answers to all questions; `clause` goes where the instant does.
async fn answers(client: &Client, clause: &str) -> Vec<Vec<String>> {
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(rows(client, &question.replace("{}", clause)).await);
    }
    answers
}

/// An instant and what was answered then.
struct Remembered {
    instant: String,
    answers: Vec<Vec<String>>,
}

async fn live_through(client: &Client, seed: &mut u64) -> Vec<Remembered> {
    let mut remembered = Vec::new();
    for number in 0..STATEMENTS {
        if number % STATEMENTS_BETWEEN == 0 {
            let answers = answers(client, "").await;
            let instant = rows(client, "SELECT clock_timestamp()").await.remove(0);
            remembered.push(Remembered { instant, answers });
        }
        // What is refused leaves no trace.
        if draw(seed, 4) > 0 {
            let _ = client.batch_execute(&statement(seed)).await;
            continue;
        }
        // A transaction over several shards takes effect in each later than its time says.
        client.batch_execute("BEGIN").await.unwrap();
        for _ in 0..3 {
            client.batch_execute("SAVEPOINT s").await.unwrap();
            if client.batch_execute(&statement(seed)).await.is_err() {
                client.batch_execute("ROLLBACK TO s").await.unwrap();
            }
        }
        client.batch_execute("COMMIT").await.unwrap();
    }
    remembered
}

async fn ask_again(client: &Client, remembered: &[Remembered]) {
    for Remembered { instant, answers: then } in remembered {
        let clause = format!(" FOR SYSTEM_TIME AS OF TIMESTAMPTZ '{instant}'");
        let now = answers(client, &clause).await;
        for ((question, then), now) in QUESTIONS.iter().zip(then).zip(now) {
            assert_eq!(now, *then, "{question} as of {instant}");
        }
        rows(client, &format!("SET rotabase.as_of = '{instant}'")).await;
        let now = answers(client, "").await;
        for ((question, then), now) in QUESTIONS.iter().zip(then).zip(now) {
            assert_eq!(now, *then, "{question} while rotabase.as_of is {instant}");
        }
        rows(client, "RESET rotabase.as_of").await;
    }
}

#[test]
fn what_was_answered_at_an_instant_is_answered_as_of_it() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_on(&data, &[]);
    let mut seed = 0x0DDB_1A5E_5BAD_5EED;
    let mut remembered = runtime.block_on(async {
        let client = server.connect().await;
        client.batch_execute(VIEW).await.unwrap();
        let remembered = live_through(&client, &mut seed).await;
        ask_again(&client, &remembered).await;
        remembered
    });
    let tells = |question: &usize| remembered.iter().any(|it| !it.answers[*question].is_empty());
    let telling = (0..QUESTIONS.len()).filter(tells).count();
    assert!(telling + 2 >= QUESTIONS.len(), "only {telling} questions tell anything");

    server.kill();
    server = Server::start_on(&data, &[]);
    runtime.block_on(async {
        let client = server.connect().await;
        ask_again(&client, &remembered[..3]).await;
        remembered.extend(live_through(&client, &mut seed).await);
    });

    server.terminate();
    let mut rebuild = Command::new(server::binary());
    tool::run(rebuild.arg("rebuild").arg("--data").arg(&data), "").expect_success();
    server = Server::start_on(&data, &[]);
    runtime.block_on(async { ask_again(&server.connect().await, &remembered).await });

    // And by replaying the log, where no changes are kept.
    server.terminate();
    let mut rebuild = Command::new(server::binary());
    tool::run(rebuild.arg("rebuild").arg("--data").arg(&data), "").expect_success();
    std::fs::write(data.join("rotabase.toml"), "history_retention_seconds = 0\n").unwrap();
    server = Server::start_on(&data, &[]);
    runtime.block_on(async { ask_again(&server.connect().await, &remembered).await });
    assert!(data.join("projections/past").is_dir(), "something was replayed");
}

#[test]
fn two_tables_of_one_statement_may_have_instants_of_their_own() {
    let runtime = Runtime::new().unwrap();
    let server = Server::start();
    runtime.block_on(async {
        let client = server.connect().await;
        client.batch_execute("INSERT INTO airports (code) VALUES ('FRA')").await.unwrap();
        let one = rows(&client, "SELECT clock_timestamp()").await.remove(0);
        client.batch_execute("INSERT INTO airports (code) VALUES ('MUC')").await.unwrap();
        let two = rows(&client, "SELECT clock_timestamp()").await.remove(0);
        client.batch_execute("DELETE FROM airports").await.unwrap();
        let came = format!(
            "SELECT code FROM airports FOR SYSTEM_TIME AS OF '{two}' EXCEPT \
             SELECT code FROM airports FOR SYSTEM_TIME AS OF '{one}'"
        );
        assert_eq!(rows(&client, &came).await, ["MUC"]);
        // What is gone can be brought back.
        let restore = format!(
            "INSERT INTO airports (code) SELECT code FROM airports FOR SYSTEM_TIME AS OF '{two}'"
        );
        client.batch_execute(&restore).await.unwrap();
        assert_eq!(rows(&client, "SELECT code FROM airports ORDER BY 1").await, ["FRA", "MUC"]);
        // As a parameter, in a prepared statement that is used for several instants.
        let count = client
            .prepare("SELECT count(*) FROM airports FOR SYSTEM_TIME AS OF $1::text::timestamptz")
            .await
            .unwrap();
        for (instant, codes) in [(&one, 1_i64), (&two, 2), (&one, 1)] {
            let row = client.query_one(&count, &[instant]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), codes);
        }
    });
}
