//! `LISTEN` and `NOTIFY`: between sessions as in PostgreSQL, and of violations as they appear.

use std::process::Command;

use futures::{StreamExt as _, stream};
use rotabase_tests::server::{DEADLINE, Server};
use rotabase_tests::tool;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, NoTls, Notification};

const ROTATION: &str = "00000000-0000-4000-8000-000000000001";

/// A session and what it is notified of.
struct Session {
    client: Client,
    notifications: UnboundedReceiver<Notification>,
}

impl Session {
    async fn of(server: &Server) -> Self {
        let (client, mut connection) =
            tokio_postgres::connect(&server.conninfo(), NoTls).await.unwrap();
        let (send, notifications) = unbounded_channel();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message {
                    let _ = send.send(notification);
                }
            }
        });
        Self { client, notifications }
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    async fn refused(&self, sql: &str) -> String {
        let error = self.client.batch_execute(sql).await.expect_err(sql);
        error.code().unwrap().code().to_owned()
    }

    async fn next(&mut self) -> (String, String) {
        let next = tokio::time::timeout(DEADLINE, self.notifications.recv()).await;
        let next = next.expect("a notification").expect("an open connection");
        (next.channel().to_owned(), next.payload().to_owned())
    }

    /// What has come by now: an own notification is told in order with the others.
    async fn so_far(&mut self) -> Vec<String> {
        self.run("LISTEN mark; NOTIFY mark; UNLISTEN mark").await;
        let mut payloads = Vec::new();
        loop {
            match self.next().await {
                (channel, _) if channel == "mark" => return payloads,
                (_, payload) => payloads.push(payload),
            }
        }
    }

    async fn violation(&mut self) -> Value {
        let (channel, payload) = self.next().await;
        assert_eq!(channel, "schedule_violations");
        serde_json::from_str(&payload).unwrap()
    }
}

fn leg(number: i32, from: &str, to: &str, departure: &str, arrival: &str) -> String {
    format!(
        "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
         departure_time, arrival_time) VALUES ('{ROTATION}', 'LH', {number}, '2026-03-29', '{from}', '{to}', \
         '2026-03-29 {departure}Z', '2026-03-29 {arrival}Z')"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_is_told_each_violation_that_appears_and_no_other() {
    let server = Server::start();
    let (mut listener, planner) = (Session::of(&server).await, Session::of(&server).await);
    listener.run("LISTEN schedule_violations").await;
    planner
        .run("INSERT INTO airports (code, minimum_ground_time) VALUES ('MUC', '40 minutes')")
        .await;
    planner.run(&format!("INSERT INTO rotations (id) VALUES ('{ROTATION}')")).await;
    planner.run(&leg(400, "FRA", "MUC", "08:00", "09:00")).await;
    planner.run(&leg(401, "MUC", "FRA", "09:10", "10:10")).await;
    let told = listener.violation().await;
    let shown = planner
        .client
        .query_one("SELECT kind, rotation_id::text, leg_id::text, other_leg_id::text, detail FROM schedule_violations", &[])
        .await
        .unwrap();
    for (at, name) in ["kind", "rotation_id", "leg_id", "other_leg_id", "detail"].iter().enumerate()
    {
        assert_eq!(told[name], shown.get::<_, &str>(at), "{told}");
    }
    assert_eq!((&told["kind"], &told["rotation_id"]), (&"ground_time".into(), &ROTATION.into()));

    // The same violation in a row of its own: the leg departs at another time, and the ground time is still short.
    planner
        .run(
            "UPDATE legs SET departure_time = departure_time - interval '5 minutes', \
              arrival_time = arrival_time - interval '5 minutes' WHERE flight_number = 400",
        )
        .await;
    planner.run("UPDATE airports SET minimum_ground_time = '50 minutes' WHERE code = 'MUC'").await;
    // One that is new: nothing departs from JFK in this rotation.
    planner.run(&leg(402, "JFK", "MUC", "12:00", "13:00")).await;
    let told = listener.violation().await;
    assert_eq!(told["kind"], "continuity", "{told}");
    // Both legs of a shared designator are in violation.
    planner.run("INSERT INTO rotations (name) VALUES ('other')").await;
    planner
        .run("INSERT INTO legs (carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, \
              arrival_time) VALUES ('LH', 402, '2026-03-29', 'JFK', 'MUC', '2026-03-29 14:00Z', '2026-03-29 15:00Z')")
        .await;
    let mut rotations = [listener.violation().await, listener.violation().await].map(|told| {
        assert_eq!(told["kind"], "designator", "{told}");
        told["rotation_id"].to_string()
    });
    rotations.sort();
    assert_eq!(rotations, [format!("\"{ROTATION}\""), "null".to_owned()]);
    assert!(listener.so_far().await.is_empty());
    listener.run("UNLISTEN schedule_violations").await;
    planner.run(&leg(403, "LHR", "MUC", "14:00", "15:00")).await;
    planner
        .run("SET rotabase.consistency = strong; SELECT count(*) FROM schedule_violations")
        .await;
    assert!(listener.so_far().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_are_sent_when_their_transaction_commits() {
    let server = Server::start();
    let (mut listener, sender) = (Session::of(&server).await, Session::of(&server).await);
    listener.run("BEGIN; LISTEN a; ROLLBACK; BEGIN; LISTEN b; LISTEN \"C d\"; COMMIT").await;
    let listening =
        "SELECT string_agg(channel, ',' ORDER BY channel) FROM pg_listening_channels() AS channel";
    let row = listener.client.query_one(listening, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "C d,b");
    sender.run("NOTIFY a, 'nobody'; NOTIFY b; NOTIFY \"C d\", 'it''s'").await;
    assert_eq!(listener.next().await, ("b".to_owned(), String::new()));
    assert_eq!(listener.next().await, ("C d".to_owned(), "it's".to_owned()));

    sender
        .run("BEGIN; NOTIFY b, '1'; SAVEPOINT s; NOTIFY b, '2'; ROLLBACK TO s; NOTIFY b, '1'")
        .await;
    sender.run("SELECT pg_notify('b', '3')").await;
    assert!(listener.so_far().await.is_empty());
    sender.run("COMMIT; BEGIN; NOTIFY b, '4'; ROLLBACK").await;
    sender.run("SELECT pg_notify('b', '5.' || i) FROM generate_series(1, 3000) i").await;
    let expected = ["1".to_owned(), "3".to_owned()].into_iter();
    let expected: Vec<String> = expected.chain((1..=3000).map(|i| format!("5.{i}"))).collect();
    for payload in expected {
        assert_eq!(listener.next().await, ("b".to_owned(), payload));
    }
    // A session in a block is told when the block has ended.
    listener.run("BEGIN").await;
    sender.run("NOTIFY b, '6'").await;
    listener.run("SELECT 1").await;
    assert!(listener.notifications.try_recv().is_err());
    listener.run("COMMIT").await;
    assert_eq!(listener.next().await.1, "6");
    listener.run("UNLISTEN *").await;
    sender.run("NOTIFY b, '7'").await;
    assert!(listener.so_far().await.is_empty());

    let long = "x".repeat(8000);
    assert_eq!(sender.refused(&format!("NOTIFY b, '{long}'")).await, "22023");
    assert_eq!(sender.refused("SELECT pg_notify('', 'x')").await, "22023");
    assert_eq!(sender.refused("SELECT pg_notify(NULL, 'x')").await, "22023");
    sender.run(&format!("NOTIFY b, '{}'", &long[1..])).await;
    let pid: i32 = sender.client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    listener.run("LISTEN b").await;
    sender.run("NOTIFY b").await;
    let last = listener.notifications.recv().await.unwrap();
    assert_eq!((last.channel(), last.process_id()), ("b", pid));
}

#[test]
fn psycopg_and_psql_listen() {
    let server = Server::start();
    let script = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("drivers/listen.py");
    let mut python = Command::new(tool::python());
    tool::run(python.arg(script).arg(server.conninfo()), "").expect_success();
    let printed = server.psql_with(&[], "LISTEN c;\nNOTIFY c, 'hello';\n");
    assert!(
        printed.out.contains("Asynchronous notification \"c\" with payload \"hello\""),
        "{printed:?}"
    );
}
