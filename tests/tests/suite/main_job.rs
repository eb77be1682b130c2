//! The main job as a user does it: a file in, violations out, one mended, and nothing lost.

use std::path::{Path, PathBuf};

use rotabase_tests::server::Server;

const LEGS: &str = "SELECT carrier, flight_number, suffix, day_of_origin, departure_airport, arrival_airport, \
    departure_time, arrival_time, departure_utc_offset, arrival_utc_offset, leg_sequence, service_type, aircraft_type \
    FROM legs ORDER BY carrier, flight_number, suffix, day_of_origin, leg_sequence, departure_time";

fn root() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it")).to_owned()
}

/// `\copy` of a file of the tests, which must do.
fn copy_in(server: &Server, target: &str, file: &str, options: &str) -> String {
    let file = root().join(file);
    server.psql(&format!("\\copy {target} from '{}' {options}\n", file.display())).expect_success()
}

fn load_tour(server: &Server) {
    let csv = "with (format csv, header)";
    assert_eq!(copy_in(server, "ssim", "data/ssim/example_local.ssim", ""), "COPY 17\n");
    copy_in(server, "airports", "tour/airports.csv", csv);
    copy_in(server, "airplanes", "tour/airplanes.csv", csv);
    copy_in(server, "leg_rotations", "tour/leg_rotations.csv", csv);
    copy_in(server, "airplane_rotations", "tour/airplane_rotations.csv", csv);
    server
        .psql(
            "INSERT INTO legs (carrier, flight_number, day_of_origin, departure_airport, arrival_airport, departure_time, \
             arrival_time) VALUES ('RB', 905, '2026-11-02', 'FRA', 'MUC', '2026-11-02 21:15Z', '2026-11-02 22:10Z');",
        )
        .expect_success();
}

fn violations(server: &Server) -> String {
    server
        .psql("SELECT kind, count(*) FROM schedule_violations GROUP BY kind ORDER BY kind;")
        .expect_success()
}

fn everything(server: &Server) -> String {
    server
        .psql(
            "SELECT * FROM airports ORDER BY code; SELECT * FROM airplanes ORDER BY registration; \
             SELECT * FROM rotations ORDER BY id; SELECT * FROM legs ORDER BY id; \
             SELECT * FROM schedule_violations ORDER BY kind, rotation_id, leg_id, other_leg_id; \
             SELECT * FROM events ORDER BY shard, position;",
        )
        .expect_success()
}

#[test]
fn violations_appear_are_mended_and_outlive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_on(&data, &[]);
    load_tour(&server);
    assert_eq!(violations(&server), "continuity|2\ndesignator|2\nground_time|2\n");

    let mended = server.psql(
        "UPDATE legs SET departure_time = departure_time + interval '30 minutes', \
         arrival_time = arrival_time + interval '30 minutes' WHERE carrier = 'RB' AND flight_number = 145 \
         AND departure_airport = 'DEL' AND day_of_origin = '2026-11-02';",
    );
    assert_eq!(mended.expect_success(), "UPDATE 1\n");
    assert_eq!(violations(&server), "continuity|2\ndesignator|2\nground_time|1\n");

    let before = everything(&server);
    server.kill();
    let server = Server::start_on(&data, &[]);
    assert_eq!(everything(&server), before);
}

#[test]
fn loading_the_same_file_again_changes_nothing() {
    let server = Server::start();
    load_tour(&server);
    let before = everything(&server);
    assert_eq!(copy_in(&server, "ssim", "data/ssim/example_local.ssim", ""), "COPY 17\n");
    assert_eq!(everything(&server), before);
}

#[test]
fn an_exported_schedule_loads_into_an_empty_database_as_equal_legs() {
    let (first, second) = (Server::start(), Server::start());
    load_tour(&first);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out.ssim");
    first.psql(&format!("\\copy ssim to '{}'\n", file.display())).expect_success();
    second.psql(&format!("\\copy ssim from '{}'\n", file.display())).expect_success();
    let expected = first.psql(LEGS).expect_success();
    assert_eq!(expected.lines().count(), 18);
    assert_eq!(second.psql(LEGS).expect_success(), expected);
}

#[test]
fn both_time_modes_give_the_legs_that_the_example_lists() {
    let list = std::fs::read_to_string(root().join("data/ssim/example_expected_legs.csv")).unwrap();
    for file in ["example_local.ssim", "example_utc.ssim"] {
        let server = Server::start();
        copy_in(&server, "ssim", &format!("data/ssim/{file}"), "");
        let found = server
            .psql(
                "SELECT carrier || ',' || flight_number || ',' || suffix || ',' || leg_sequence || ',' || departure_airport \
                 || ',' || arrival_airport || ',' || day_of_origin || ',' || to_char(departure_time, 'YYYY-MM-DD\"T\"HH24:MI\"Z\"') \
                 || ',' || to_char(arrival_time, 'YYYY-MM-DD\"T\"HH24:MI\"Z\"') FROM legs;",
            )
            .expect_success();
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        let prefix = format!("{file},");
        let mut expected: Vec<&str> =
            list.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{file}");
    }
}

#[test]
fn sample_files_load_or_are_refused_as_their_readme_says() {
    let samples = root().join("../../shared/data/ssim");
    let Ok(readme) = std::fs::read_to_string(samples.join("README.md")) else { return };
    let server = Server::start();
    let mut seen = 0;
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (file, strict, legs) = (cells[1].trim_matches('`'), cells[5], cells[6]);
        let path = samples.join(file);
        let printed = server.psql(&format!("\\copy ssim from '{}'\n", path.display()));
        if strict == "accept" {
            assert_eq!(printed.expect_success(), format!("COPY {legs}\n"), "{file}");
        } else {
            assert!(!printed.success, "{file}: {}", printed.out);
            assert!(printed.err.contains("record"), "{file}: {}", printed.err);
        }
        seen += 1;
    }
    assert_eq!(seen, 9);
}
