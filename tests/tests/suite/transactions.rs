//! Transaction blocks as clients see them: what one sees, what others see, and who is told that it came too late.

use std::fmt::Write as _;
use std::time::Duration;

use futures::SinkExt as _;
use rotabase_tests::server::Server;
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A client of a test, as psql would speak: simple queries, texts for answers.
pub(super) struct Talk(pub(super) Client);

impl Talk {
    pub(super) async fn to(server: &Server) -> Self {
        Self(server.connect().await)
    }

    /// Runs a text that must succeed.
    pub(super) async fn run(&self, sql: &str) {
        if let Err(error) = self.0.batch_execute(sql).await {
            panic!("{sql}: {error:?}");
        }
    }

    pub(super) async fn run_all(&self, statements: &[&str]) {
        for sql in statements {
            self.run(sql).await;
        }
    }

    /// Runs a text that must be refused with a SQLSTATE.
    pub(super) async fn refused(&self, sql: &str, state: &str) -> DbError {
        let error = match self.0.batch_execute(sql).await {
            Ok(()) => panic!("{sql} was taken"),
            Err(error) => error,
        };
        let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}")).clone();
        assert_eq!(error.code().code(), state, "{sql}: {error:?}");
        error
    }

    /// The rows of a query, values joined by `|`.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        let messages = match self.0.simple_query(sql).await {
            Ok(messages) => messages,
            Err(error) => panic!("{sql}: {error:?}"),
        };
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                let values: Vec<_> = (0..row.len()).map(|at| row.get(at).unwrap_or("")).collect();
                rows.push(values.join("|"));
            }
        }
        rows
    }

    pub(super) async fn one(&self, sql: &str) -> String {
        self.rows(sql).await.join("\n")
    }

    pub(super) async fn copy(&self, sql: &str, input: &str) -> Result<u64, tokio_postgres::Error> {
        let sink = self.0.copy_in(sql).await?;
        futures::pin_mut!(sink);
        sink.send(bytes::Bytes::copy_from_slice(input.as_bytes())).await?;
        sink.finish().await
    }
}

pub(super) const R1: &str = "00000000-0000-4000-8000-000000000001";
pub(super) const R2: &str = "00000000-0000-4000-8000-000000000002";

/// An INSERT of a leg of an hour in a rotation, or of an open one.
pub(super) fn leg(
    rotation: Option<&str>,
    number: usize,
    hour: usize,
    from: &str,
    to: &str,
) -> String {
    let rotation = rotation.map_or("NULL".to_owned(), |it| format!("'{it}'"));
    format!(
        "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, \
         departure_time, arrival_time) VALUES ({rotation}, 'LH', {number}, '2026-03-01', '{from}', '{to}', \
         timestamptz '2026-03-01Z' + {hour} * interval '1 hour', timestamptz '2026-03-01 00:59Z' + {hour} * interval '1 hour')"
    )
}

/// A server with two airports, two rotations and an airplane, and two clients of it.
pub(super) async fn two() -> (Server, Talk, Talk) {
    let server = Server::start();
    let (one, other) = (Talk::to(&server).await, Talk::to(&server).await);
    one.run_all(&[
        "INSERT INTO airports (code) VALUES ('FRA'), ('MUC')",
        &format!("INSERT INTO rotations (id, name) VALUES ('{R1}', 'R1'), ('{R2}', 'R2')"),
        "INSERT INTO airplanes (registration) VALUES ('D-AIZA')",
        &leg(Some(R1), 1, 8, "FRA", "MUC"),
    ])
    .await;
    for talk in [&one, &other] {
        talk.run("SET rotabase.consistency = 'strong'").await;
    }
    (server, one, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_writes_to_any_number_of_aggregates_all_or_none() {
    let (_server, one, other) = two().await;
    for end in ["ROLLBACK", "COMMIT"] {
        one.run("BEGIN").await;
        one.run("INSERT INTO airports (code) VALUES ('JFK'), ('HAM'), ('CGN')").await;
        one.run("UPDATE airports SET minimum_ground_time = '1 hour' WHERE code = 'FRA'").await;
        one.run("DELETE FROM airports WHERE code = 'MUC'").await;
        one.run(&leg(Some(R2), 2, 9, "FRA", "JFK")).await;
        one.run(&leg(Some(R2), 3, 11, "HAM", "FRA")).await;
        one.run(&leg(None, 4, 11, "HAM", "FRA")).await;
        // Moved twice, and out of the other rotation.
        one.run(&format!("UPDATE legs SET rotation_id = '{R2}' WHERE flight_number IN (1)")).await;
        one.run(&format!("UPDATE legs SET rotation_id = '{R1}' WHERE flight_number IN (1, 2)"))
            .await;
        one.run(&format!("UPDATE airplanes SET rotation_id = '{R2}'")).await;
        // What it has done it sees, violations included; nobody else does.
        let own = [
            "SELECT flight_number, name FROM legs LEFT JOIN rotations r ON r.id = rotation_id ORDER BY 1",
            "SELECT name, legs FROM rotations ORDER BY 1",
            "SELECT string_agg(code, ' ' ORDER BY code) FROM airports",
            "SELECT count(*) FROM legs",
            "SELECT kind FROM schedule_violations ORDER BY 1",
        ];
        let mut seen = Vec::new();
        for sql in own {
            seen.push(one.one(sql).await.replace('\n', " "));
        }
        assert_eq!(seen, ["1|R1 2|R1 3|R2 4|", "R1|2 R2|1", "CGN FRA HAM JFK", "4", "continuity"]);
        assert_eq!(other.one("SELECT count(*) FROM legs").await, "1");
        one.run(end).await;
        let committed = end == "COMMIT";
        for (sql, seen) in own.into_iter().zip(&seen) {
            let now = other.one(sql).await.replace('\n', " ");
            assert_eq!(now == *seen, committed, "{end} {sql}: {now}");
        }
    }
    let stored = "SELECT count(DISTINCT metadata->>'transaction'), count(DISTINCT recorded_at), count(DISTINCT shard) > 1 \
        FROM events WHERE recorded_at = (SELECT max(recorded_at) FROM events)";
    assert_eq!(other.one(stored).await, "1|1|t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_appear_at_their_statement() {
    let (_server, one, _other) = two().await;
    let unknown = "00000000-0000-4000-8000-0000000000ff";
    let overlap = leg(Some(R1), 9, 8, "FRA", "MUC");
    let nowhere = leg(Some(unknown), 9, 8, "FRA", "MUC");
    let cases = [
        ("INSERT INTO airports (code) VALUES ('FRA')", "23505"),
        (overlap.as_str(), "23P01"),
        (nowhere.as_str(), "23503"),
        ("INSERT INTO airports (code, minimum_ground_time) VALUES ('JFK', '-1 hour')", "23514"),
        ("INSERT INTO airplanes (registration) VALUES (NULL)", "23502"),
        ("SELECT 1/0", "22012"),
        ("SELEC 1", "42601"),
    ];
    for (sql, state) in cases {
        one.run("BEGIN; INSERT INTO airports (code) VALUES ('HAM')").await;
        one.refused(sql, state).await;
        one.refused("SELECT 1", "25P02").await;
        one.refused("SAVEPOINT s", "25P02").await;
        assert_eq!(one.rows("COMMIT").await, Vec::<String>::new());
        assert_eq!(one.one("SELECT count(*) FROM airports").await, "2", "{sql}");
    }
    // What the block itself has done counts too.
    one.run("BEGIN; INSERT INTO airports (code) VALUES ('HAM')").await;
    one.refused("INSERT INTO airports (code) VALUES ('HAM')", "23505").await;
    one.run("ROLLBACK").await;
    let error = one.refused(&nowhere, "23503").await;
    assert_eq!(
        error.message(),
        "insert or update on table \"legs\" violates foreign key constraint \"legs_rotation_id_fkey\""
    );
    let detail = format!("Key (rotation_id)=({unknown}) is not present in table \"rotations\".");
    assert_eq!(error.detail(), Some(detail.as_str()));
    assert_eq!((error.table(), error.constraint()), (Some("legs"), Some("legs_rotation_id_fkey")));
    for sql in [
        format!("UPDATE airplanes SET rotation_id = '{unknown}'"),
        format!("INSERT INTO airplanes (registration, rotation_id) VALUES ('D-AIZB', '{unknown}')"),
    ] {
        for begin in ["SELECT 1", "BEGIN"] {
            one.run(begin).await;
            let error = one.refused(&sql, "23503").await;
            assert_eq!(error.constraint(), Some("airplanes_rotation_id_fkey"), "{error:?}");
        }
        one.run("ROLLBACK").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_transactions_write_nothing() {
    let (_server, one, _other) = two().await;
    let write = "INSERT INTO airports (code) VALUES ('JFK')";
    for begin in [
        &["BEGIN READ ONLY"][..],
        &["START TRANSACTION READ ONLY"],
        &["BEGIN", "SET TRANSACTION READ ONLY"],
        &["BEGIN", "SET transaction_read_only = on"],
        &["SET default_transaction_read_only = on", "BEGIN"],
    ] {
        one.run_all(begin).await;
        assert_eq!(one.one("SHOW transaction_read_only").await, "on");
        let error = one.refused(write, "25006").await;
        assert_eq!(error.message(), "cannot execute INSERT in a read-only transaction");
        one.run("ROLLBACK").await;
    }
    one.refused(write, "25006").await;
    one.refused("DELETE FROM airports", "25006").await;
    one.run_all(&["BEGIN READ WRITE", write, "ROLLBACK"]).await;
    one.run_all(&[
        "RESET default_transaction_read_only",
        "BEGIN READ ONLY",
        "SELECT 1 FROM airports",
    ])
    .await;
    one.refused("SET TRANSACTION READ WRITE", "25001").await;
    one.run_all(&["ROLLBACK", write]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn savepoints_nest_and_shadow() {
    let (_server, one, other) = two().await;
    let add = |code: &str| format!("INSERT INTO airports (code) VALUES ('{code}')");
    for sql in
        ["SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"]
    {
        one.refused(sql, "25P01").await;
    }
    one.run_all(&["BEGIN", &add("AAA"), "SAVEPOINT s", &add("BBB"), "SAVEPOINT s", &add("CCC")])
        .await;
    one.run_all(&["ROLLBACK TO SAVEPOINT s", &add("CCC"), "ROLLBACK TO s"]).await;
    assert_eq!(
        one.one("SELECT string_agg(code, '' ORDER BY code) FROM airports WHERE code < 'F'").await,
        "AAABBB"
    );
    one.run_all(&["RELEASE SAVEPOINT s", &add("CCC"), "ROLLBACK TO s"]).await;
    assert_eq!(
        one.one("SELECT string_agg(code, '' ORDER BY code) FROM airports WHERE code < 'F'").await,
        "AAA"
    );
    one.refused(&add("AAA"), "23505").await;
    one.refused("SELECT 1", "25P02").await;
    one.run_all(&["ROLLBACK TO s", &add("DDD"), "RELEASE s"]).await;
    let error = one.refused("RELEASE s", "3B001").await;
    assert_eq!(error.message(), "savepoint \"s\" does not exist");
    one.run("ROLLBACK").await;
    // Rolled back to before it wrote or read anything that others change now.
    one.run_all(&["BEGIN", "SAVEPOINT s", "SET application_name = 'x'"]).await;
    one.run_all(&[
        "UPDATE airports SET minimum_ground_time = '1 hour' WHERE code = 'FRA'",
        "SELECT * FROM airports WHERE code = 'FRA'",
    ])
    .await;
    one.run_all(&["ROLLBACK TO s", &add("DDD")]).await;
    assert_eq!(one.one("SHOW application_name").await, "");
    one.run("COMMIT").await;
    // A leg that moved and came back, and moved on.
    one.run("BEGIN").await;
    one.run_all(&[
        "SAVEPOINT m",
        &format!("UPDATE legs SET rotation_id = '{R2}'"),
        "ROLLBACK TO m",
    ])
    .await;
    one.run_all(&[
        "UPDATE legs SET rotation_id = NULL",
        "SAVEPOINT n",
        &format!("UPDATE legs SET rotation_id = '{R2}'"),
        "COMMIT",
    ])
    .await;
    assert_eq!(
        other.one("SELECT name FROM legs JOIN rotations r ON r.id = rotation_id").await,
        "R2"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_begin_chain_and_end_as_in_postgresql() {
    let (_server, one, other) = two().await;
    let add = |code: &str| format!("INSERT INTO airports (code) VALUES ('{code}')");
    let there = async |code: &str| {
        other.one(&format!("SELECT count(*) FROM airports WHERE code = '{code}'")).await == "1"
    };
    one.run_all(&["BEGIN ISOLATION LEVEL SERIALIZABLE", &add("AAA"), "COMMIT AND CHAIN"]).await;
    assert!(there("AAA").await);
    assert_eq!(one.one("SHOW transaction_isolation").await, "serializable");
    one.run_all(&[&add("BBB"), "ROLLBACK AND CHAIN", &add("CCC"), "END"]).await;
    assert!(!there("BBB").await && there("CCC").await);
    assert_eq!(one.one("SHOW transaction_isolation").await, "read committed");
    // A failed block that is committed is rolled back, and chains all the same.
    one.run("BEGIN").await;
    one.refused(&add("AAA"), "23505").await;
    one.run_all(&["COMMIT AND CHAIN", &add("DDD"), "ABORT"]).await;
    assert!(!there("DDD").await);
    // No transaction, or one already: a warning.
    one.run_all(&["COMMIT", "ROLLBACK", "BEGIN", "BEGIN", &add("EEE"), "COMMIT WORK"]).await;
    assert!(there("EEE").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_are_sent_together_are_one_transaction() {
    let (_server, one, other) = two().await;
    let count = async || other.one("SELECT count(*) FROM airports").await;
    one.refused("INSERT INTO airports (code) VALUES ('AAA'); INSERT INTO airports (code) VALUES ('BBB'); SELECT 1/0", "22012").await;
    assert_eq!(count().await, "2");
    one.run("INSERT INTO airports (code) VALUES ('AAA'); SELECT * FROM airports; INSERT INTO airports (code) VALUES ('BBB')").await;
    assert_eq!(count().await, "4");
    // BEGIN takes what came before it into its block; COMMIT ends it.
    one.run("INSERT INTO airports (code) VALUES ('CCC'); BEGIN; INSERT INTO airports (code) VALUES ('DDD')").await;
    assert_eq!(count().await, "4");
    one.run("ROLLBACK; INSERT INTO airports (code) VALUES ('EEE')").await;
    assert_eq!(count().await, "5");
    one.refused("INSERT INTO airports (code) VALUES ('FFF'); COMMIT; INSERT INTO airports (code) VALUES ('GGG'); SELECT 1/0", "22012").await;
    assert_eq!(count().await, "6");
    one.refused("INSERT INTO airports (code) VALUES ('HHH'); ROLLBACK; SAVEPOINT s", "25P01").await;
    assert_eq!(count().await, "6");
    // A pipeline up to its Sync: tokio-postgres ends each statement with one, so each stands alone.
    let both = futures::future::join(
        one.0.execute("INSERT INTO airports (code) VALUES ('III')", &[]),
        one.0.execute("INSERT INTO airports (code) VALUES ('III')", &[]),
    );
    let (first, second) = both.await;
    assert!(first.is_ok() && second.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_in_a_block_is_part_of_it() {
    let (_server, one, other) = two().await;
    let legs = "COPY legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time) FROM STDIN (FORMAT csv)";
    let mut rows = String::new();
    for number in 0..6000 {
        let (hour, minute) = (number % 24, number / 24 % 60);
        let _ = writeln!(
            rows,
            ",LH,{},2026-03-02,FRA,MUC,2026-03-02 {hour:02}:{minute:02}Z,2026-03-03 {hour:02}:{minute:02}Z",
            1000 + number
        );
    }
    for end in ["ROLLBACK", "COMMIT"] {
        one.run("BEGIN").await;
        assert_eq!(one.copy("COPY airports (code) FROM STDIN", "AAA\nBBB\n").await.unwrap(), 2);
        assert_eq!(one.copy(legs, &rows).await.unwrap(), 6000);
        let assign = "COPY leg_rotations FROM STDIN (FORMAT csv)";
        let assigned = "R1,LH,1000,,FRA,2026-03-02\nnew one,LH,1001,,FRA,2026-03-02\n";
        assert_eq!(one.copy(assign, assigned).await.unwrap(), 2);
        assert_eq!(
            one.copy("COPY airplane_rotations FROM STDIN (FORMAT csv)", "D-AIZA,new one\n")
                .await
                .unwrap(),
            1
        );
        one.run("UPDATE legs SET service_type = 'C' WHERE flight_number < 1100").await;
        let own = "SELECT count(*), count(rotation_id) FROM legs";
        assert_eq!(one.one(own).await, "6001|3");
        assert_eq!(other.one(own).await, "1|1");
        one.run(end).await;
    }
    assert_eq!(other.one("SELECT count(*), count(rotation_id) FROM legs").await, "6001|3");
    assert_eq!(
        other.one("SELECT name FROM airplanes JOIN rotations r ON r.id = rotation_id").await,
        "new one"
    );
    assert_eq!(other.one("SELECT count(DISTINCT metadata->>'transaction') FROM events WHERE event_type = 'OpenLegScheduled'").await, "1");
    // Bad input fails the block, with its line.
    one.run("BEGIN").await;
    let error = one.copy("COPY airports (code) FROM STDIN", "CCC\nAAA\n").await.unwrap_err();
    let error = error.as_db_error().unwrap().clone();
    assert_eq!((error.code().code(), error.where_()), ("23505", Some("COPY, line 2")));
    one.refused("SELECT 1", "25P02").await;
    one.run("ROLLBACK").await;
    assert_eq!(other.one("SELECT count(*) FROM airports WHERE code = 'CCC'").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_blocks_and_slow_statements_are_ended() {
    let (server, one, _other) = two().await;
    one.run("SET statement_timeout = '100ms'").await;
    one.run_all(&["BEGIN", "INSERT INTO airports (code) VALUES ('AAA')"]).await;
    one.refused(
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b",
        "57014",
    )
    .await;
    one.refused("SELECT 1", "25P02").await;
    one.run("ROLLBACK").await;
    one.run("SET rotabase.read_after = '0:9000000000000000'").await;
    let error = one.refused("SELECT * FROM airports", "57014").await;
    assert_eq!(error.message(), "canceling statement due to statement timeout");
    one.refused("SET rotabase.read_after = 'somewhere'", "22023").await;
    one.run_all(&["RESET rotabase.read_after", "RESET statement_timeout"]).await;

    let (idle, connection) = tokio_postgres::connect(&server.conninfo(), NoTls).await.unwrap();
    let ended = tokio::spawn(connection);
    idle.batch_execute("SET idle_in_transaction_session_timeout = '50ms'; BEGIN").await.unwrap();
    let error =
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("25P03"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_end_with_the_savepoint_that_they_were_opened_after() {
    let (_server, one, _other) = two().await;
    one.run_all(&[
        "BEGIN",
        "DECLARE a CURSOR FOR SELECT code FROM airports ORDER BY 1",
        "SAVEPOINT s",
    ])
    .await;
    one.run_all(&["DECLARE b CURSOR FOR SELECT 1", "ROLLBACK TO s"]).await;
    assert_eq!(one.one("FETCH a").await, "FRA");
    one.refused("FETCH b", "34000").await;
    one.run("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psql_is_told_what_postgresql_tells() {
    let (server, one, _other) = two().await;
    let script = "BEGIN;\nBEGIN;\nINSERT INTO airports (code) VALUES ('FRA');\nSELECT 1;\nCOMMIT;\nCOMMIT;\nROLLBACK;\n\
        SET TRANSACTION READ ONLY;\nSTART TRANSACTION;\nSAVEPOINT a;\nRELEASE a;\nEND;\n";
    let printed = server.psql_with(&["-At"], script);
    assert_eq!(
        printed.out.split_whitespace().collect::<Vec<_>>().join(" "),
        "BEGIN BEGIN ROLLBACK COMMIT ROLLBACK SET START TRANSACTION SAVEPOINT RELEASE COMMIT"
    );
    let told: Vec<&str> = printed
        .err
        .lines()
        .filter(|line| line.starts_with("WARNING") || line.starts_with("ERROR"))
        .collect();
    assert_eq!(
        told,
        [
            "WARNING:  there is already a transaction in progress",
            "ERROR:  airport FRA already exists",
            "ERROR:  current transaction is aborted, commands ignored until end of transaction block",
            "WARNING:  there is no transaction in progress",
            "WARNING:  there is no transaction in progress",
            "WARNING:  SET TRANSACTION can only be used in transaction blocks",
        ]
    );
    // set_config is SET by another name.
    one.run_all(&["BEGIN", "SELECT set_config('transaction_read_only', 'on', true)"]).await;
    one.refused("DELETE FROM airports", "25006").await;
    one.run("ROLLBACK").await;
}
