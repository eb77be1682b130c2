//! Drivers and tools of users, each as its users run it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::{SinkExt as _, TryStreamExt as _};
use postgres_protocol::escape::escape_literal;
use rotabase_tests::schedule;
use rotabase_tests::server::Server;
use rotabase_tests::tool;
use tokio_postgres::NoTls;

fn root() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it")).to_owned()
}

fn script(name: &str) -> PathBuf {
    root().join("drivers").join(name)
}

/// A server with two rotations of four legs.
fn filled() -> Server {
    let server = Server::start();
    server.psql(&schedule::insert_script(2, 4, 2)).expect_success();
    // From here on every session sees them.
    assert_eq!(server.psql("SELECT count(*) FROM legs;").expect_success(), "8\n");
    server
}

#[test]
fn psql_describes_everything() {
    let server = filled();
    for command in [
        "\\d",
        "\\d+",
        "\\dt",
        "\\dt+",
        "\\dv",
        "\\di",
        "\\dn",
        "\\dT",
        "\\df",
        "\\do",
        "\\da",
        "\\dC",
        "\\l",
        "\\l+",
        "\\du",
        "\\dg",
        "\\dp",
        "\\d legs",
        "\\d+ legs",
        "\\d airports",
        "\\d events",
        "\\d continuity_violations",
        "\\dt rotabase.*",
        "\\d rotabase.shards",
        "\\dx",
        "\\db",
        "\\conninfo",
    ] {
        let printed = server.psql_with(&["-v", "ON_ERROR_STOP=1"], &format!("{command}\n"));
        assert!(printed.success && !printed.err.contains("ERROR"), "{command}: {}", printed.err);
    }
    let legs = server.psql_with(&[], "\\d legs\n").out;
    for part in ["rotation_id", "timestamp with time zone", "legs_pkey", "PRIMARY KEY", "not null"]
    {
        assert!(legs.contains(part), "{part} in {legs}");
    }
    let tables = server.psql_with(&[], "\\dt\n").out;
    for part in ["airports", "airplanes", "rotations", "legs"] {
        assert!(tables.contains(part), "{part} in {tables}");
    }
    assert!(server.psql_with(&[], "\\l\n").out.contains("rotabase"));
}

#[test]
fn pgbench_runs_scripts_in_all_query_modes() {
    let server = Server::start();
    let scripts = root().join("../benches/pgbench");
    let prepare = scripts.join("prepare_add_leg.sql");
    server
        .psql_with(
            &["-v", "ON_ERROR_STOP=1", "-v", "clients=2", "-f", prepare.to_str().unwrap()],
            "",
        )
        .expect_success();
    let mut slot = 0;
    for mode in ["simple", "extended", "prepared"] {
        for (name, rows) in [("add_leg.sql", true), ("look_up.sql", false), ("verdict.sql", false)]
        {
            let printed = tool::run(
                Command::new(tool::postgres_program("pgbench"))
                    .args(["-n", "-c", "2", "-t", "20", "-M", mode, "-D", "rotations=2000", "-D"])
                    .arg(format!("slot={slot}"))
                    .arg("-f")
                    .arg(scripts.join(name))
                    .args([
                        "-h",
                        "127.0.0.1",
                        "-U",
                        "rotabase",
                        "-p",
                        &server.port.to_string(),
                        "rotabase",
                    ]),
                "",
            );
            let out = printed.clone().expect_success();
            assert!(
                out.contains("actually processed: 40/40"),
                "{mode} {name}: {out}{}",
                printed.err
            );
            slot += if rows { 20 } else { 0 };
        }
    }
    assert_eq!(server.psql("SELECT count(*) FROM legs;").expect_success(), "120\n");
}

#[test]
fn psycopg_works() {
    let server = filled();
    let mut python = Command::new(tool::python());
    tool::run(python.arg(script("psycopg3.py")).arg(server.conninfo()), "").expect_success();
}

#[test]
fn sqlalchemy_works() {
    let server = filled();
    let mut python = Command::new(tool::python());
    tool::run(python.arg(script("sqlalchemy14.py")).arg(server.port.to_string()), "")
        .expect_success();
}

#[test]
fn asyncpg_works() {
    let server = filled();
    let mut python = Command::new(tool::python());
    tool::run(python.arg(script("asyncpg27.py")).arg(server.port.to_string()), "").expect_success();
}

#[test]
fn jdbc_works() {
    let server = filled();
    let mut java = Command::new("java");
    java.args(["-cp", "/usr/share/java/postgresql.jar"]).arg(script("Jdbc.java"));
    tool::run(java.arg(server.port.to_string()), "").expect_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_prepares_copies_and_pipelines() {
    let server = filled();
    let mut client = server.connect().await;
    let statement = client
        .prepare("SELECT id, flight_number, departure_airport, version FROM legs WHERE flight_number = $1")
        .await
        .unwrap();
    // Many at once on one connection.
    let numbers: Vec<i32> = (1..=8).collect();
    let queries = numbers.iter().map(|number| {
        let (client, statement) = (&client, &statement);
        async move { client.query_one(statement, &[number]).await }
    });
    for (row, number) in futures::future::try_join_all(queries).await.unwrap().iter().zip(&numbers)
    {
        assert_eq!(row.get::<_, i32>(1), *number);
        assert!(row.get::<_, i64>(3) > 0);
    }

    let id = uuid::Uuid::from_u128(77);
    let inserted = client
        .query_one(
            "INSERT INTO rotations (id, name) VALUES ($1, $2) RETURNING id, version",
            &[&id, &"R77"],
        )
        .await
        .unwrap();
    assert_eq!((inserted.get::<_, uuid::Uuid>(0), inserted.get::<_, i64>(1)), (id, 1));

    let sink = client
        .copy_in("COPY airports (code, minimum_ground_time) FROM STDIN (FORMAT csv)")
        .await
        .unwrap();
    futures::pin_mut!(sink);
    sink.send(bytes::Bytes::from_static(b"AAA,1 hour\nBBB,2 ho")).await.unwrap();
    sink.send(bytes::Bytes::from_static(b"urs\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let out =
        client.copy_out("COPY (SELECT code FROM airports ORDER BY code) TO STDOUT").await.unwrap();
    let out: Vec<bytes::Bytes> = out.try_collect().await.unwrap();
    assert_eq!(out.concat(), b"AAA\nBBB\nFRA\nJFK\nMUC\n");

    // A portal with a row limit.
    let block = client.transaction().await.unwrap();
    let portal = block.bind("SELECT flight_number FROM legs ORDER BY 1", &[]).await.unwrap();
    for expected in [5, 3, 0] {
        assert_eq!(block.query_portal(&portal, 5).await.unwrap().len(), expected);
    }
    block.commit().await.unwrap();

    let payload = client
        .query_one("SELECT payload FROM events WHERE event_type = 'RotationCreated' LIMIT 1", &[]);
    assert!(payload.await.unwrap().get::<_, serde_json::Value>(0).is_object());
    let quoted = format!("SELECT {}", escape_literal("it's \\ all"));
    assert_eq!(client.query_one(&quoted, &[]).await.unwrap().get::<_, &str>(0), "it's \\ all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_request_ends_a_statement_and_not_the_session() {
    let server = Server::start();
    let client = server.connect().await;
    let cancel = client.cancel_token();
    let sql = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b";
    let running = client.batch_execute(sql);
    futures::pin_mut!(running);
    // A cancel that comes before its statement is lost, as in PostgreSQL: ask again until it hits.
    let outcome = loop {
        cancel.cancel_query(NoTls).await.unwrap();
        if let Ok(outcome) = tokio::time::timeout(Duration::from_millis(50), &mut running).await {
            break outcome;
        }
    };
    assert_eq!(outcome.unwrap_err().code().unwrap().code(), "57014");
    client.batch_execute("SELECT 1").await.unwrap();
}
