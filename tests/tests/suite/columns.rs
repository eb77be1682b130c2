//! What columns in memory answer is what rows answer, whatever has changed meanwhile.

use std::fmt::Write as _;

use rotabase_tests::server::Server;

/// Selections with their groups, each over `legs`; `WHERE` follows.
const SELECTIONS: [(&str, &str); 17] = [
    ("SELECT count(*)", ""),
    ("SELECT count(rotation_id), count(aircraft_type), min(departure_time), max(arrival_time)", ""),
    ("SELECT sum(flight_number), avg(flight_number), min(carrier), max(arrival_airport)", ""),
    (
        "SELECT count(DISTINCT flight_number), count(DISTINCT rotation_id), max(DISTINCT carrier), count(*)",
        "",
    ),
    (
        "SELECT carrier, count(DISTINCT aircraft_type), count(DISTINCT departure_time)",
        "GROUP BY 1 ORDER BY 1",
    ),
    ("SELECT carrier, count(*)", "GROUP BY 1 ORDER BY 1"),
    ("SELECT rotation_id, min(departure_time), max(day_of_origin)", "GROUP BY 1 ORDER BY 1"),
    ("SELECT aircraft_type, departure_airport, avg(leg_sequence)", "GROUP BY 1, 2 ORDER BY 1, 2"),
    (
        "SELECT carrier, flight_number, suffix, departure_airport, day_of_origin",
        "GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1 ORDER BY 1, 2, 3, 4, 5",
    ),
    ("SELECT DISTINCT departure_time, arrival_airport", "ORDER BY 1, 2 LIMIT 50"),
    (
        "SELECT id, rotation_id, lead(departure_airport) OVER w, lag(arrival_time) OVER w, row_number() OVER w",
        "WINDOW w AS (PARTITION BY rotation_id ORDER BY departure_time DESC, id) ORDER BY id LIMIT 200",
    ),
    (
        "SELECT id, lead(aircraft_type) OVER w, lag(id) OVER w",
        "WINDOW w AS (PARTITION BY carrier, departure_airport ORDER BY aircraft_type NULLS FIRST, departure_time) ORDER BY id LIMIT 200",
    ),
    (
        "SELECT date_trunc('day', departure_time), count(*), min(arrival_time + interval '1 hour'), sum(flight_number % 7), max(flight_number - leg_sequence)",
        "GROUP BY 1 ORDER BY 1",
    ),
    (
        "SELECT carrier, nullif(flight_number % 5, 0), count(*) FILTER (WHERE departure_airport = 'FRA'), max(arrival_time) FILTER (WHERE aircraft_type IS NULL AND flight_number % 2 = 0), count(DISTINCT aircraft_type) FILTER (WHERE arrival_airport <> 'MUC')",
        "GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "SELECT count(nullif(flight_number, 7)), sum(1000 / (flight_number - 3)) FILTER (WHERE flight_number <> 3), count(*) FILTER (WHERE rotation_id IS NULL)",
        "",
    ),
    ("SELECT *", "ORDER BY departure_time, id LIMIT 100"),
    (
        "SELECT id, departure_time, flight_number, aircraft_type, arrival_airport",
        "ORDER BY flight_number DESC, aircraft_type, departure_time, id LIMIT 100",
    ),
];

/// Conditions on the legs.
const CONDITIONS: [&str; 14] = [
    "true",
    "departure_airport < arrival_airport",
    "departure_airport = 'FRA' AND arrival_airport <> 'MUC'",
    "carrier >= 'B' AND carrier < 'LHX'",
    "carrier > 'LHLONG' OR flight_number = 7",
    "flight_number BETWEEN 10 AND 90 AND rotation_id IS NOT NULL",
    "rotation_id IS NULL",
    "aircraft_type = '320'",
    "aircraft_type IS NULL AND day_of_origin > '2026-01-10'",
    "day_of_origin = '2026-01-05'",
    "departure_time >= '2026-01-03 12:00Z' AND arrival_time < '2026-01-20'",
    "departure_time + interval '2 hours' > arrival_time AND flight_number % 3 = 1",
    "arrival_airport IN ('MUC', 'HAM', 'LONGER') AND NOT carrier = 'LH'",
    "flight_number = 12345678901",
];

/// Questions that hand columns on from one step to the next; `$` stands for the legs that are asked for.
const FLOWS: [&str; 22] = [
    "SELECT count(*) FROM (SELECT arrival_airport, lead(departure_airport) OVER (PARTITION BY rotation_id ORDER BY departure_time) AS next FROM $ AS l) pairs WHERE arrival_airport <> next",
    "SELECT id, next, number FROM (SELECT id, arrival_airport, lead(departure_airport) OVER w AS next, row_number() OVER w AS number FROM $ AS l WINDOW w AS (PARTITION BY rotation_id ORDER BY departure_time, id)) pairs WHERE arrival_airport <> next AND number > 1 ORDER BY id LIMIT 300",
    "SELECT count(*), min(arrival_time), max(pairs.rotation_id::text) FROM (SELECT rotation_id, arrival_airport, arrival_time, lead(departure_time) OVER (PARTITION BY rotation_id ORDER BY departure_time) AS next FROM $ AS l) pairs LEFT JOIN airplanes ON airplanes.rotation_id = pairs.rotation_id LEFT JOIN airports ON code = arrival_airport WHERE next - arrival_time < greatest(coalesce(airports.minimum_ground_time, interval '0 minutes'), coalesce(airplanes.minimum_ground_time, interval '0 minutes'))",
    "SELECT code, count(*) FROM $ AS l JOIN airports ON code = arrival_airport GROUP BY 1 ORDER BY 1",
    "SELECT code, minimum_ground_time, count(*), max(departure_time) FROM $ AS l LEFT JOIN airports ON code = arrival_airport GROUP BY 1, 2 ORDER BY 1",
    "SELECT l.id, registration, airplanes.aircraft_type FROM $ AS l LEFT JOIN airplanes USING (rotation_id) ORDER BY l.id, registration LIMIT 300",
    "SELECT registration, count(*), count(DISTINCT arrival_airport), count(DISTINCT registration) FROM $ AS l JOIN airplanes USING (rotation_id) GROUP BY 1 ORDER BY 1",
    "SELECT count(*), max(flight_number) FROM $ AS l WHERE EXISTS (SELECT 1 FROM airports WHERE code = arrival_airport)",
    "SELECT count(*), max(flight_number) FROM $ AS l WHERE NOT EXISTS (SELECT 1 FROM airplanes WHERE airplanes.rotation_id = l.rotation_id)",
    "SELECT t, carrier, count(*) FROM $ AS l JOIN (VALUES ('FRA', 'a'), ('FRA', 'b'), ('MUC', 'c'), ('LONGER', 'd'), (NULL, 'e')) v (code, t) ON v.code = arrival_airport GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT l.id, t FROM $ AS l LEFT JOIN (VALUES ('FRA', 'a'), ('FRA', 'b'), ('MUC', NULL), (NULL, 'e')) v (code, t) ON v.code = arrival_airport ORDER BY 1, 2 LIMIT 300",
    "SELECT count(*), count(n) FROM $ AS l LEFT JOIN generate_series(1, 100) AS n ON n % 4 = flight_number",
    "SELECT count(*) FROM (SELECT 1 FROM $ AS l GROUP BY carrier, flight_number, suffix, departure_airport, day_of_origin HAVING count(*) > 1) shared",
    "SELECT n, count(*), min(first) FROM (SELECT carrier, flight_number, count(*) AS n, min(departure_time) AS first FROM $ AS l GROUP BY 1, 2) g GROUP BY 1 ORDER BY 1",
    "SELECT carrier, aircraft_type, mean FROM (SELECT carrier, aircraft_type, avg(flight_number) AS mean FROM $ AS l GROUP BY 1, 2) g WHERE mean > 30.5 ORDER BY 1, 2",
    "SELECT count(*), count(m.f) FROM $ AS l LEFT JOIN (SELECT carrier, min(flight_number) AS f FROM legs GROUP BY 1) m ON m.carrier = l.carrier AND m.f = l.flight_number",
    "SELECT count(*) FROM $ AS l JOIN airports ON code = arrival_airport AND minimum_ground_time > departure_time - timestamptz '2026-01-01 00:00Z' - interval '3 days'",
    "SELECT count(code), count(*) FROM $ AS l LEFT JOIN airports ON code = arrival_airport AND minimum_ground_time > interval '20 minutes'",
    "SELECT carrier, max(number) FROM (SELECT carrier, row_number() OVER (PARTITION BY carrier, flight_number ORDER BY departure_time, id) AS number FROM $ AS l) n WHERE number < 9 GROUP BY 1 ORDER BY 1",
    "SELECT r.name, lag(l.flight_number) OVER (PARTITION BY l.rotation_id ORDER BY l.departure_time, l.id) AS before, l.id FROM $ AS l JOIN rotations r ON r.id = l.rotation_id ORDER BY 3 LIMIT 200",
    "SELECT count(*), count(rotation_id) FROM (SELECT DISTINCT carrier, flight_number, rotation_id FROM $ AS l) d",
    "SELECT code, n, lead(n) OVER (PARTITION BY code ORDER BY n) FROM (SELECT code, flight_number AS n FROM $ AS l JOIN airports ON code = arrival_airport) f ORDER BY 1, 2 LIMIT 100",
];

fn load(legs: usize) -> Server {
    let server = Server::start();
    fill(&server, legs);
    server
}

fn fill(server: &Server, legs: usize) {
    let script = format!(
        "INSERT INTO legs (carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time, aircraft_type)
         SELECT (ARRAY['LH', 'A3', 'BA'])[n % 3 + 1], n % 200 + 1, date '2026-01-01' + n / 200,
             (ARRAY['FRA', 'HAM'])[n % 2 + 1], (ARRAY['MUC', 'FRA', 'ZRH'])[n / 2 % 3 + 1], off, off + interval '1 hour' * (n % 5 + 1),
             CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '320' ELSE '32N' END
         FROM (SELECT n, timestamptz '2026-01-01 00:00Z' + interval '1 day' * (n / 200) + interval '1 minute' * (n % 200) AS off
               FROM generate_series(0, {legs} - 1) AS n) AS flown WHERE NOT (n % 2 = 0 AND n / 2 % 3 = 1);
         INSERT INTO rotations (id, name) SELECT md5(n::text)::uuid, 'R' || n FROM generate_series(1, 20) AS n;
         INSERT INTO airports (code, minimum_ground_time) VALUES ('FRA', '45 minutes'), ('MUC', '30 minutes'), ('HAJ', '0 minutes');
         INSERT INTO airplanes (registration, aircraft_type, minimum_ground_time, rotation_id)
         SELECT 'DAB' || n, CASE n % 3 WHEN 0 THEN NULL ELSE '32N' END, interval '1 minute' * n, CASE WHEN n % 5 > 0 THEN md5(n::text)::uuid END FROM generate_series(1, 12) AS n;"
    );
    server.psql(&script).expect_success();
}

/// Asks with every so many of the conditions by columns, and by rows: what has to be asked row by row is not asked of
/// columns.
fn compare(server: &Server, every: usize) {
    compare_some(server, &SELECTIONS, &FLOWS, every);
}

fn compare_some(server: &Server, selections: &[(&str, &str)], flows: &[&str], every: usize) {
    let conditions: Vec<&str> = CONDITIONS.into_iter().step_by(every).collect();
    let ask = |further: &str| {
        let mut script = String::new();
        for (select, rest) in selections {
            for condition in &conditions {
                writeln!(
                    script,
                    "{select} FROM legs WHERE ({condition}) {further} {rest};\n\\echo -"
                )
                .expect("a string takes everything");
            }
        }
        for flow in flows {
            for condition in &conditions {
                let legs = format!("(SELECT * FROM legs WHERE ({condition}) {further})");
                writeln!(script, "{};\n\\echo -", flow.replace('$', &legs))
                    .expect("a string takes everything");
            }
        }
        server.psql(&script).expect_success()
    };
    let (columns, rows) = (ask(""), ask("AND random() >= 0"));
    let selections = selections.iter().map(|(select, _)| *select).chain(flows.iter().copied());
    let asked = selections
        .flat_map(|select| conditions.iter().map(move |it| format!("{select} WHERE {it}")));
    for ((question, columns), rows) in asked.zip(columns.split("-\n")).zip(rows.split("-\n")) {
        assert_eq!(columns, rows, "{question}");
    }
}

#[test]
fn columns_and_rows_give_the_same_answers_while_legs_change() {
    let server = load(3_000);
    compare(&server, 1);
    let changes = [
        "UPDATE legs SET rotation_id = md5((flight_number % 20 + 1)::text)::uuid WHERE flight_number <= 20 AND day_of_origin < '2026-01-04'",
        "UPDATE legs SET arrival_airport = 'HAJ', aircraft_type = NULL WHERE flight_number BETWEEN 30 AND 40",
        "DELETE FROM legs WHERE flight_number = 2 OR day_of_origin = '2026-01-05' AND carrier = 'BA'",
        "UPDATE legs SET departure_time = departure_time + interval '5 minutes' WHERE flight_number = 7",
        "INSERT INTO legs (carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time)
         SELECT 'XY', n, '2026-02-01', 'FRA', 'JFK', '2026-02-01 10:00Z', '2026-02-01 20:00Z' FROM generate_series(1, 700) AS n",
        "DELETE FROM legs WHERE carrier = 'XY' AND flight_number % 2 = 0",
    ];
    for change in changes {
        server.psql(change).expect_success();
        compare(&server, 1);
    }
}

#[test]
fn many_readers_give_the_same_answers() {
    let server = load(84_000);
    compare(&server, 4);
    server.psql("UPDATE legs SET arrival_airport = 'HAJ' WHERE flight_number = 3 AND day_of_origin < '2026-02-01'").expect_success();
    compare(&server, 5);
}

#[test]
fn what_the_memory_does_not_hold_is_done_by_rows() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    std::fs::create_dir(&data).expect("created");
    std::fs::write(data.join("rotabase.toml"), "work_bytes = 1048576\n").expect("written");
    let server = Server::start_on(&data, &[]);
    fill(&server, 20_000);
    // A partition stays in memory whatever works on it, and most legs are of none or to one airport.
    let large = ["PARTITION BY rotation_id", "PARTITION BY l.rotation_id", "PARTITION BY code"];
    let flows = FLOWS.into_iter().filter(|flow| !large.iter().any(|it| flow.contains(it)));
    compare_some(&server, &[], &flows.collect::<Vec<_>>(), 8);
}

#[test]
fn a_block_sees_its_own_changes_and_an_instant_what_was() {
    let server = load(3_000);
    let script = "
        SELECT carrier, count(*), max(arrival_airport) FROM legs GROUP BY 1 ORDER BY 1;
        SELECT pg_sleep(0.01); SELECT now() AS before \\gset
        SELECT pg_sleep(0.01);
        BEGIN;
        DELETE FROM legs WHERE carrier = 'A3';
        UPDATE legs SET arrival_airport = 'ZZZ' WHERE carrier = 'BA' AND flight_number = 6;
        \\echo block
        SELECT carrier, count(*), max(arrival_airport) FROM legs GROUP BY 1 ORDER BY 1;
        COMMIT;
        \\echo after
        SELECT carrier, count(*), max(arrival_airport) FROM legs GROUP BY 1 ORDER BY 1;
        \\echo past
        SELECT carrier, count(*), max(arrival_airport) FROM legs FOR SYSTEM_TIME AS OF TIMESTAMP :'before' GROUP BY 1 ORDER BY 1;";
    let printed = server.psql(script).expect_success();
    let part = |name: &str| -> Vec<String> {
        let from = printed.find(name).map_or(0, |place| place + name.len());
        let lines = printed[from..].lines().skip_while(|line| line.trim().is_empty());
        lines.take_while(|line| line.contains('|')).map(str::to_owned).collect()
    };
    let (first, block, after, past) = (part("\u{0}"), part("block"), part("after"), part("past"));
    assert_eq!(first.len(), 3, "{printed}");
    assert_eq!(past, first, "{printed}");
    assert_eq!(block, after, "{printed}");
    assert_eq!(block.len(), 2, "{printed}");
    assert!(block[0].starts_with("BA|") && block[0].ends_with("|ZZZ"), "{printed}");
}
