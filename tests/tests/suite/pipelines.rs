//! Statements that a client sends without waiting for the answer to the one before, each a transaction of its own.

use futures::StreamExt as _;
use futures::future::join_all;
use rotabase_tests::server::Server;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Statement};

use super::transactions::Talk;

const ADD_LEG: &str = "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, \
    arrival_airport, departure_time, arrival_time) \
    VALUES ($1::text::uuid, 'LH', 1000 / $3::int4, '2026-01-01', 'FRA', 'MUC', \
    timestamptz '2026-01-01 00:00Z' + interval '1 minute' * $2::bigint, \
    timestamptz '2026-01-01 00:00:59Z' + interval '1 minute' * $2::bigint)";

/// A run: whether it is for the other rotation or for none that is there, its minute, and a divisor.
struct Run {
    rotation: usize,
    minute: i64,
    divisor: i32,
}

/// Runs of which some are refused by the rotation, some have no rotation, and some cannot be evaluated.
fn runs() -> Vec<Run> {
    (0..400)
        .map(|number: i64| Run {
            rotation: match number % 40 {
                17 | 18 | 30 => 1,
                25 => 2,
                _ => 0,
            },
            // Some come twice, and the later one is refused.
            minute: if number % 7 == 3 { number - 1 } else { number },
            divisor: i32::from(number % 23 != 11),
        })
        .collect()
}

async fn run(client: &Client, add: &Statement, rotations: &[String], run: &Run) -> String {
    let rotation = &rotations[run.rotation];
    match client.execute(add, &[rotation, &run.minute, &run.divisor]).await {
        Ok(rows) => rows.to_string(),
        Err(error) => error.code().map(|state| state.code().to_owned()).unwrap_or_default(),
    }
}

/// Two rotations, and a third that is not there.
async fn rotations(talk: &Talk, kind: u8) -> Vec<String> {
    let ids: Vec<String> =
        (0..3).map(|number| format!("{kind:08x}-0000-4000-8000-{number:012x}")).collect();
    for id in &ids[..2] {
        talk.run(&format!("INSERT INTO rotations (id) VALUES ('{id}')")).await;
    }
    ids
}

async fn legs(talk: &Talk, rotation: &str) -> Vec<String> {
    let legs = "SELECT flight_number, departure_time FROM legs WHERE rotation_id";
    talk.rows(&format!("{legs} = '{rotation}' ORDER BY departure_time")).await
}

/// What was added and when, in the order in which the rotation decided it.
async fn history(talk: &Talk, rotation: &str) -> Vec<String> {
    talk.rows(&format!(
        "SELECT l.departure_time FROM legs l JOIN leg_history h ON h.leg_id = l.id \
         WHERE l.rotation_id = '{rotation}' ORDER BY h.version"
    ))
    .await
}

#[tokio::test]
async fn statements_that_did_not_wait_end_as_if_they_had() {
    let server = Server::start();
    let talk = Talk::to(&server).await;
    let add = talk.0.prepare(ADD_LEG).await.unwrap();
    let (together, alone) = (rotations(&talk, 1).await, rotations(&talk, 2).await);
    let runs = runs();
    let at_once = join_all(runs.iter().map(|it| run(&talk.0, &add, &together, it))).await;
    let mut one_by_one = Vec::new();
    for it in &runs {
        one_by_one.push(run(&talk.0, &add, &alone, it).await);
    }
    assert_eq!(at_once, one_by_one);
    for state in ["1", "23P01", "23503", "22012"] {
        assert!(at_once.iter().any(|it| it == state), "{state} in {at_once:?}");
    }
    for (together, alone) in together.iter().zip(&alone) {
        let (legs, others) = (legs(&talk, together).await, legs(&talk, alone).await);
        assert_eq!(legs, others);
        // They were decided in the order in which they were sent.
        assert_eq!(history(&talk, together).await, history(&talk, alone).await);
    }
}

#[tokio::test]
async fn a_read_that_did_not_wait_sees_what_was_sent_before_it() {
    let server = Server::start();
    let talk = Talk::to(&server).await;
    let rotations = rotations(&talk, 1).await;
    let add = talk.0.prepare(ADD_LEG).await.unwrap();
    let count = talk.0.prepare("SELECT count(*) FROM legs").await.unwrap();
    for round in 0..20_i64 {
        let minutes: Vec<i64> = (0..10).map(|leg| round * 10 + leg).collect();
        let runs: Vec<Run> =
            minutes.iter().map(|minute| Run { rotation: 0, minute: *minute, divisor: 1 }).collect();
        let added = join_all(runs.iter().map(|it| run(&talk.0, &add, &rotations, it)));
        let (added, counted) = futures::join!(added, talk.0.query_one(&count, &[]));
        assert!(added.iter().all(|it| it == "1"), "{added:?}");
        assert_eq!(counted.unwrap().get::<_, i64>(0), (round + 1) * 10);
    }
}

/// The runs that a client has under way before a kill.
const UNDER_WAY: usize = 64;

#[test]
fn a_kill_leaves_of_what_did_not_wait_nothing_without_what_was_sent_before_it() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_on(&data, &[]);
    let rotations = runtime.block_on(async { rotations(&Talk::to(&server).await, 1).await });
    let mut stored = 0;
    for round in 0..4 {
        let kill_after = 100 + 37 * round;
        let client = runtime.block_on(server.connect());
        let acknowledged = runtime.block_on(async {
            let add = client.prepare(ADD_LEG).await.unwrap();
            let runs = (stored..).map(|minute| Run { rotation: 0, minute, divisor: 1 });
            let (client, add, rotations) = (&client, &add, &rotations);
            let mut answers = futures::stream::iter(runs)
                .map(|it| async move { run(client, add, rotations, &it).await })
                .buffered(UNDER_WAY);
            let mut acknowledged = 0;
            while let Some("1") = answers.next().await.as_deref() {
                acknowledged += 1;
                if acknowledged == kill_after {
                    server.kill();
                }
            }
            acknowledged
        });
        assert!(acknowledged >= kill_after);
        server = Server::start_on(&data, &[]);
        let minutes = "SELECT extract(epoch FROM departure_time - '2026-01-01 00:00Z')::int / 60 FROM legs ORDER BY 1";
        let there = server.psql(minutes).expect_success();
        let there: Vec<i64> = there.lines().map(|minute| minute.parse().unwrap()).collect();
        let count = i64::try_from(there.len()).unwrap();
        assert_eq!(there, (0..count).collect::<Vec<_>>(), "one is missing before a later one");
        assert!(count >= stored + acknowledged, "what was acknowledged is there");
        stored = count;
    }
}
