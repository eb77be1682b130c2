//! A table of so many rows that it is read in parts, by other threads than the statement's: whoever asks, and however
//! much at a time, gets each row once.

use std::collections::BTreeSet;

use rotabase_tests::server::Server;

/// More legs than a statement reads by itself (65,536), of flights that are flown daily.
const LEGS: usize = 70_000;

fn load() -> Server {
    let server = Server::start();
    let script = format!(
        "INSERT INTO legs (carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time)
         SELECT 'LH', n % 200 + 1, date '2026-01-01' + n / 200, 'FRA', 'MUC', off, off + interval '1 hour'
         FROM (SELECT n, timestamptz '2026-01-01 00:00Z' + interval '1 day' * (n / 200) + interval '1 minute' * (n % 200) AS off
               FROM generate_series(0, {LEGS} - 1) AS n) AS flown;"
    );
    server.psql(&script).expect_success();
    server
}

fn ids(server: &Server, script: &str) -> Vec<String> {
    let printed = server.psql(script).expect_success();
    printed.lines().filter(|line| line.len() == 36).map(str::to_owned).collect()
}

#[test]
fn a_large_table_is_read_once_and_whole_by_whatever_asks() {
    let server = load();
    let all: BTreeSet<String> = ids(&server, "SELECT id FROM legs").into_iter().collect();
    assert_eq!(all.len(), LEGS);
    let fetched = ids(
        &server,
        "BEGIN; DECLARE some CURSOR FOR SELECT id FROM legs;
         FETCH 1 FROM some; FETCH 2000 FROM some; FETCH 7 FROM some; FETCH 30000 FROM some;
         FETCH ALL FROM some; COMMIT;",
    );
    assert_eq!(fetched.len(), LEGS);
    assert_eq!(fetched.into_iter().collect::<BTreeSet<_>>(), all);
    for wanted in [10, 5_000, LEGS - 1] {
        let some = ids(&server, &format!("SELECT id FROM legs LIMIT {wanted}"));
        assert_eq!(some.len(), wanted);
        assert!(some.into_iter().collect::<BTreeSet<_>>().is_subset(&all));
    }
    let summed = "SELECT count(*), count(DISTINCT flight_number), sum(flight_number), min(day_of_origin), max(day_of_origin) FROM legs WHERE arrival_airport = 'MUC'";
    let summed = server.psql(summed).expect_success();
    assert_eq!(summed.trim(), "70000|200|7035000|2026-01-01|2026-12-16");
}

#[test]
fn what_a_block_has_changed_is_seen_in_a_large_table() {
    let server = load();
    let script = "BEGIN;
        DELETE FROM legs WHERE flight_number = 1 AND day_of_origin < '2026-02-01';
        UPDATE legs SET arrival_airport = 'HAM' WHERE flight_number = 2 AND day_of_origin = '2026-01-01';
        SELECT count(*), count(*) FILTER (WHERE arrival_airport = 'HAM') FROM legs WHERE departure_airport = 'FRA';
        ROLLBACK;
        SELECT count(*), count(*) FILTER (WHERE arrival_airport = 'HAM') FROM legs WHERE departure_airport = 'FRA';";
    let printed = server.psql(script).expect_success();
    let counted: Vec<&str> = printed.lines().filter(|line| line.contains('|')).collect();
    assert_eq!(counted, ["69969|1", "70000|0"]);
}
