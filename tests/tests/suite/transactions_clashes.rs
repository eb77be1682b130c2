//! What a transaction block sees of what others do meanwhile, and when it is told that it came too late.

use super::transactions::{R1, R2, Talk, leg, two};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_is_lost() {
    let (_server, one, other) = two().await;
    let raise = "UPDATE airports SET minimum_ground_time = minimum_ground_time + interval '1 minute' WHERE code = 'FRA'";
    // Both write the same aggregate.
    one.run_all(&["BEGIN", raise]).await;
    other.run_all(&["BEGIN", raise, "COMMIT"]).await;
    let error = one.refused("COMMIT", "40001").await;
    assert_eq!(
        error.detail(),
        Some("Airport FRA has changed since the transaction read or wrote it.")
    );
    assert_eq!(error.hint(), Some("The transaction might succeed if retried."));
    // It has ended, and nothing of it is stored.
    assert_eq!(
        other.one("SELECT minimum_ground_time FROM airports WHERE code = 'FRA'").await,
        "00:01:00"
    );
    one.run_all(&["BEGIN", raise, "COMMIT"]).await;
    // Read first, written after another was faster.
    one.run_all(&["BEGIN", "SELECT * FROM airports WHERE code = 'FRA'"]).await;
    other.run(raise).await;
    one.run(raise).await;
    one.refused("COMMIT", "40001").await;
    assert_eq!(
        other.one("SELECT minimum_ground_time FROM airports WHERE code = 'FRA'").await,
        "00:03:00"
    );
    // A block that holds what others want makes nobody wait.
    one.run_all(&["BEGIN", raise]).await;
    other.run("SET statement_timeout = '5s'").await;
    other.run(raise).await;
    one.run("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_retried_sees_what_it_clashed_with() {
    let (server, one, other) = two().await;
    let third = Talk::to(&server).await;
    one.run("SET rotabase.consistency = 'session'").await;
    let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE";
    let read = "SELECT minimum_ground_time FROM airports WHERE code = 'FRA'";
    for round in 0..5 {
        let write = format!("INSERT INTO rotations (name) VALUES ('{round}')");
        one.run_all(&[begin, read, &write]).await;
        let raise = format!(
            "UPDATE airports SET minimum_ground_time = interval '{round} minutes' + interval '1 minute' WHERE code = 'FRA'"
        );
        other.run_all(&["BEGIN", &raise]).await;
        // So much that what is acknowledged after it is long not shown yet.
        third
            .run("INSERT INTO rotations (name) SELECT 'busy' FROM generate_series(1, 20000)")
            .await;
        other.run("COMMIT").await;
        one.refused("COMMIT", "40001").await;
        one.run_all(&[begin, read, &write, "COMMIT"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_blocks_that_read_what_the_other_writes_one_fails() {
    let (_server, one, other) = two().await;
    let add = |rotation: &str, number| leg(Some(rotation), number, 12, "FRA", "MUC");
    let looks = [
        "SELECT legs FROM rotations WHERE id = ",
        "SELECT * FROM legs WHERE rotation_id = ",
        "SELECT 1 FROM rotations r JOIN legs l ON l.rotation_id = r.id WHERE r.name <> '' AND r.id = ",
        "SELECT * FROM continuity_violations WHERE rotation_id = ",
        "SELECT * FROM rotations WHERE id = ",
    ];
    for (number, look) in looks.into_iter().enumerate() {
        one.run_all(&["BEGIN", &format!("{look}'{R1}'"), &add(R2, 100 + number)]).await;
        other.run_all(&["BEGIN", &format!("{look}'{R2}'"), &add(R1, 200 + number)]).await;
        one.run("COMMIT").await;
        let error = other.refused("COMMIT", "40001").await;
        let detail = error.detail().unwrap_or_default().to_owned();
        assert!(detail.starts_with("Rotation \"R2\" ("), "{look}: {detail}");
        one.run("DELETE FROM legs WHERE flight_number >= 100").await;
    }
    // Only reading never fails, whatever happens meanwhile.
    for begin in ["BEGIN READ ONLY", "BEGIN", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
        one.run_all(&[begin, &format!("SELECT * FROM legs WHERE rotation_id = '{R1}'")]).await;
        other.run(&add(R1, 300)).await;
        one.run("COMMIT").await;
        one.run("DELETE FROM legs WHERE flight_number >= 100").await;
    }
    // Neither does what has nothing to do with it.
    one.run_all(&[
        "BEGIN",
        &format!("SELECT * FROM legs WHERE rotation_id = '{R1}'"),
        "INSERT INTO airports (code) VALUES ('JFK')",
    ])
    .await;
    other.run(&add(R2, 301)).await;
    one.run("COMMIT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_there_counts_as_read() {
    let (_server, one, other) = two().await;
    let id = "00000000-0000-4000-8000-00000000abcd";
    let open = format!(
        "INSERT INTO legs (id, carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, \
         arrival_time) VALUES ('{id}', 'LH', 7, '2026-03-01', 'FRA', 'MUC', '2026-03-01 08:00Z', '2026-03-01 09:00Z')"
    );
    let cases = [
        (
            "SELECT * FROM airports WHERE code = 'JFK'",
            "INSERT INTO airports (code) VALUES ('JFK')".to_owned(),
        ),
        (
            "SELECT * FROM airplanes WHERE registration = 'D-AIZZ'",
            "INSERT INTO airplanes (registration) VALUES ('D-AIZZ')".to_owned(),
        ),
        (
            "SELECT * FROM legs WHERE rotation_id = '00000000-0000-4000-8000-000000000002'",
            leg(Some(R2), 5, 9, "FRA", "MUC"),
        ),
        ("SELECT * FROM legs WHERE id = '00000000-0000-4000-8000-00000000abcd'", open),
    ];
    for (look, come) in cases {
        one.run_all(&[
            "BEGIN",
            look,
            "UPDATE airports SET minimum_ground_time = '1 hour' WHERE code = 'FRA'",
        ])
        .await;
        other.run(&come).await;
        one.refused("COMMIT", "40001").await;
        // Without anybody in between it is stored.
        let change = "UPDATE airports SET minimum_ground_time = minimum_ground_time + interval '1 minute' WHERE code = 'FRA'";
        one.run_all(&[
            "BEGIN",
            "SELECT * FROM legs WHERE id = '00000000-0000-4000-8000-00000000abce'",
            change,
            "COMMIT",
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn isolation_levels_say_which_state_is_seen() {
    let (_server, one, other) = two().await;
    let count = "SELECT count(*) FROM airports";
    let mut airports = 2;
    let mut come = async |expected: &str| {
        let code = format!("A{}A", char::from(b'A' + u8::try_from(airports).unwrap()));
        other.run(&format!("INSERT INTO airports (code) VALUES ('{code}')")).await;
        airports += 1;
        (airports, expected.to_owned())
    };
    for (begin, sees) in [
        ("BEGIN", true),
        ("BEGIN ISOLATION LEVEL READ UNCOMMITTED, READ WRITE", true),
        ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ", false),
        ("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", false),
    ] {
        one.run(begin).await;
        let before = one.one(count).await;
        let (now, _) = come("").await;
        let expected = if sees { now.to_string() } else { before.clone() };
        assert_eq!(one.one(count).await, expected, "{begin}");
        if !begin.contains("READ ONLY") {
            // Its own are on top of either.
            one.run("INSERT INTO airports (code) VALUES ('ZZZ')").await;
            let (now, _) = come("").await;
            let expected = if sees { now + 1 } else { before.parse::<usize>().unwrap() + 1 };
            assert_eq!(one.one(count).await, expected.to_string(), "{begin}");
        }
        one.run("ROLLBACK").await;
    }
    one.run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    assert_eq!(one.one("SHOW default_transaction_isolation").await, "repeatable read");
    assert_eq!(one.one("SHOW transaction_isolation").await, "repeatable read");
    one.run("BEGIN").await;
    assert_eq!(one.one("SHOW transaction_isolation").await, "repeatable read");
    one.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await;
    assert_eq!(one.one("SHOW transaction_isolation").await, "serializable");
    one.run(count).await;
    let error = one.refused("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "25001").await;
    assert_eq!(error.message(), "SET TRANSACTION ISOLATION LEVEL must be called before any query");
    one.run("ROLLBACK").await;
    assert_eq!(one.one("SHOW transaction_isolation").await, "repeatable read");
    one.run("SET default_transaction_isolation = 'read committed'").await;
    assert_eq!(one.one("SHOW transaction_isolation").await, "read committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_rotations_release_what_they_hold() {
    let (_server, one, other) = two().await;
    one.run_all(&[
        "BEGIN",
        &format!("UPDATE airplanes SET rotation_id = '{R1}'"),
        "DELETE FROM rotations WHERE name = 'R1'",
    ])
    .await;
    assert_eq!(one.one("SELECT count(*) FROM legs WHERE rotation_id IS NULL").await, "1");
    // A rotation with the same id may come again.
    one.run(&format!("INSERT INTO rotations (id, name) VALUES ('{R1}', 'again')")).await;
    one.run_all(&[&leg(Some(R1), 2, 8, "FRA", "MUC"), "COMMIT"]).await;
    assert_eq!(other.one("SELECT name, legs FROM rotations ORDER BY name").await, "R2|0\nagain|1");
    assert_eq!(
        other.one("SELECT coalesce(rotation_id::text, 'none') FROM airplanes").await,
        "none"
    );
    // What a block needs to exist may not go meanwhile, but it may change.
    one.run_all(&["BEGIN", &format!("UPDATE airplanes SET rotation_id = '{R2}'")]).await;
    other.run(&leg(Some(R2), 3, 8, "FRA", "MUC")).await;
    one.run("COMMIT").await;
    one.run_all(&[
        "UPDATE airplanes SET rotation_id = NULL",
        "BEGIN",
        &format!("UPDATE airplanes SET rotation_id = '{R1}'"),
    ])
    .await;
    other.run("DELETE FROM rotations WHERE name = 'again'").await;
    one.refused("COMMIT", "40001").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locking_clauses_mark_rows_as_read() {
    let (_server, one, other) = two().await;
    for lock in [
        "FOR UPDATE",
        "FOR NO KEY UPDATE",
        "FOR SHARE",
        "FOR KEY SHARE",
        "FOR UPDATE OF airports NOWAIT",
        "FOR UPDATE SKIP LOCKED",
        "FOR SHARE OF airports FOR UPDATE",
        "LIMIT 5 FOR UPDATE",
    ] {
        one.run_all(&["BEGIN", &format!("SELECT * FROM airports WHERE code = 'FRA' {lock}")]).await;
        one.run("UPDATE airplanes SET aircraft_type = '320'").await;
        other.run("UPDATE airports SET minimum_ground_time = minimum_ground_time + interval '1 minute' WHERE code = 'FRA'").await;
        one.refused("COMMIT", "40001").await;
    }
    one.run("SELECT * FROM airports FOR UPDATE").await;
    one.refused("SELECT * FROM airports FOR UPDATE OF legs", "42P01").await;
    one.refused("SELECT count(*) FROM airports FOR UPDATE", "0A000").await;
    one.refused("SELECT DISTINCT code FROM airports FOR SHARE", "0A000").await;
    one.refused("SELECT code FROM airports UNION SELECT name FROM rotations FOR UPDATE", "0A000")
        .await;
    one.run("BEGIN READ ONLY").await;
    one.refused("SELECT * FROM airports FOR UPDATE", "25006").await;
    one.run("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_token_shows_other_sessions_what_was_written() {
    let (server, one, _other) = two().await;
    for number in 0..20 {
        let id = format!("00000000-0000-4000-8000-{:012}", 500 + number);
        one.run(&format!("BEGIN; INSERT INTO rotations (id) VALUES ('{id}'); INSERT INTO airplanes (registration) VALUES ('D-{number:03}'); COMMIT")).await;
        let position = one.one("SHOW rotabase.position").await;
        let reader = Talk::to(&server).await;
        reader
            .run(&format!(
                "SET rotabase.consistency = 'eventual'; SET rotabase.read_after = '{position}'"
            ))
            .await;
        let seen = format!(
            "SELECT (SELECT count(*) FROM rotations WHERE id = '{id}'), (SELECT count(*) FROM airplanes WHERE registration = 'D-{number:03}')"
        );
        reader.run("SET rotabase.consistency = 'session'").await;
        assert_eq!(reader.one(&seen).await, "1|1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_goes_on_when_others_change_what_it_has_written() {
    let (_server, one, other) = two().await;
    // What it has written stays as it wrote it, until it is told.
    one.run_all(&[
        "BEGIN",
        "UPDATE airports SET minimum_ground_time = '1 hour' WHERE code = 'FRA'",
    ])
    .await;
    other.run("DELETE FROM airports WHERE code = 'FRA'").await;
    other.run("INSERT INTO airports (code) VALUES ('JFK')").await;
    let seen = "SELECT minimum_ground_time FROM airports WHERE code = 'FRA'";
    assert_eq!(one.one(seen).await, "01:00:00");
    one.run("UPDATE airports SET minimum_ground_time = '2 hours' WHERE code = 'FRA'").await;
    assert_eq!(one.one(seen).await, "02:00:00");
    one.refused("COMMIT", "40001").await;
    assert_eq!(other.one("SELECT count(*) FROM airports").await, "2");
    // More than it moves along with: the others' changes are not seen any more, and do not matter.
    one.run("BEGIN").await;
    let rotations: Vec<String> = (0..1500).map(|number| format!("R{number}\n")).collect();
    let rotations = rotations.concat();
    one.copy("COPY rotations (name) FROM STDIN", &rotations).await.unwrap();
    other.run("INSERT INTO airports (code) VALUES ('CDG')").await;
    assert_eq!(
        one.one("SELECT (SELECT count(*) FROM rotations), (SELECT count(*) FROM airports)").await,
        "1502|2"
    );
    one.run_all(&["DELETE FROM rotations WHERE name LIKE 'R1%'", "COMMIT"]).await;
    assert_eq!(
        other.one("SELECT (SELECT count(*) FROM rotations), (SELECT count(*) FROM airports)").await,
        "890|3"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_a_limit_all_of_a_kind_counts_as_read() {
    let (_server, one, other) = two().await;
    let letters = || (b'A'..=b'Z').map(char::from);
    let mut codes: Vec<String> = Vec::new();
    for first in letters().take(16) {
        codes.extend(letters().flat_map(|a| letters().map(move |b| format!("{first}{a}{b}\n"))));
    }
    codes.retain(|code| !["FRA\n", "MUC\n", "AAA\n"].contains(&code.as_str()));
    one.copy("COPY airports (code) FROM STDIN", &codes.concat()).await.unwrap();
    let read = "SELECT max(minimum_ground_time) FROM airports";
    let write = "UPDATE airplanes SET aircraft_type = '320'";
    one.run_all(&["BEGIN", read, write]).await;
    other.run(&leg(Some(R1), 5, 12, "FRA", "MUC")).await;
    one.run("COMMIT").await;
    // What is acknowledged may not be in the feed yet.
    for _ in 0..30 {
        one.run_all(&["UPDATE airplanes SET aircraft_type = '321'", "BEGIN", read, write]).await;
        other.run("INSERT INTO airports (code) VALUES ('AAA')").await;
        let error = one.refused("COMMIT", "40001").await;
        assert_eq!(
            error.detail(),
            Some("Airport AAA has changed since the transaction read or wrote it.")
        );
        other.run("DELETE FROM airports WHERE code = 'AAA'").await;
    }
}
