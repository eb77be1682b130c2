//! COPY: what is written loads again, and the options mean what they mean in PostgreSQL 15.

use std::fmt::Write as _;

use rotabase_tests::postgres::Postgres;
use rotabase_tests::schedule;
use rotabase_tests::server::Server;

const SCHEMA: &str = include_str!("../../slt/postgres/schema.sql");
const TABLES: [&str; 4] = ["airports", "rotations", "airplanes", "legs"];

const MORE: &str = "INSERT INTO rotations (id, name) VALUES ('00000000-0000-4000-8000-0000000000ff', E'a\"b,c\\nd\\\\e\tf''g;h');
    INSERT INTO rotations (id, name) VALUES ('00000000-0000-4000-8000-0000000000fe', ''), ('00000000-0000-4000-8000-0000000000fd', NULL),
    ('00000000-0000-4000-8000-0000000000fc', 'NIX'), ('00000000-0000-4000-8000-0000000000fb', E'\\\\.');
    INSERT INTO airplanes (registration, aircraft_type, rotation_id) VALUES ('D-AIZA', '320', '00000000-0000-4000-8000-0000000000ff'), ('D-AIZB', NULL, NULL);
    INSERT INTO legs (carrier, flight_number, suffix, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time)
    VALUES ('RB', 901, 'A', '2026-03-28', 'AKL', 'SYD', '2026-03-27 18:00Z', '2026-03-27 21:40Z');";

/// Everything that a database shows of a table, but for what the database itself keeps.
fn shown(server: &Server, table: &str) -> String {
    let columns = match table {
        "airports" => "code, minimum_ground_time",
        "rotations" => "id, name, legs, first_departure, last_arrival",
        "airplanes" => "registration, aircraft_type, minimum_ground_time, rotation_id",
        _ => {
            "id, rotation_id, carrier, flight_number, suffix, day_of_origin, departure_airport, arrival_airport, \
              departure_time, arrival_time, leg_sequence, itinerary_variation, service_type, aircraft_type"
        }
    };
    server.psql(&format!("SELECT {columns} FROM {table} ORDER BY 1")).expect_success()
}

#[test]
fn what_copy_to_writes_copy_from_loads() {
    let server = Server::start();
    server.psql(&schedule::insert_script(3, 5, 2)).expect_success();
    server.psql(MORE).expect_success();
    let directory = tempfile::tempdir().unwrap();
    for options in [
        "format text",
        "format text, delimiter '|', null 'nothing', header",
        "format csv",
        "format csv, header",
        "format csv, header match, force_quote *",
        "format csv, delimiter ';', quote '''', escape '\\', null 'NIX'",
        "format csv, encoding 'LATIN1'",
        "format binary",
    ] {
        let loaded = Server::start();
        // On the way out there is nothing that a header could match.
        let out = options.replace("header match", "header");
        let into = options.replace(", force_quote *", "");
        for table in TABLES {
            let file = directory.path().join(table);
            let file = file.display();
            server.psql(&format!("\\copy {table} to '{file}' ({out})\n")).expect_success();
            loaded.psql(&format!("\\copy {table} from '{file}' ({into})\n")).expect_success();
        }
        for table in TABLES {
            assert_eq!(shown(&loaded, table), shown(&server, table), "{table} with {options}");
        }
    }
}

/// The input of a COPY and the options behind it, for airports.
const INPUTS: &[(&str, &str)] = &[
    ("(format csv, header)", "c,d\nZAA,5 minutes\nZAB,\"1 hour\"\n"),
    ("(format csv, header match)", "code,minimum_ground_time\nZAA,5 minutes\n"),
    ("(format csv, header match)", "code,minimum\nZAA,5 minutes\n"),
    ("(format csv, header match)", "code\nZAA,5 minutes\n"),
    ("(format csv, delimiter ';', quote '''', escape '\\')", "ZAA;'5 min'\n'ZAB';'6 min'\n"),
    (
        "(format csv) where code <> 'ZAB' and minimum_ground_time > '1 min'",
        "ZAA,5 min\nZAB,7 min\nZAC,30 s\n",
    ),
    ("where code <> 'ZAB'", "ZAA\t5 min\nZAB\t7 min\nZAC\t30 s\n"),
    ("(format csv) where (select true)", "ZAA,5 min\n"),
    ("(format csv) where count(*) > 1", "ZAA,5 min\n"),
    ("(format csv) where generate_series(1, 2) > 1", "ZAA,5 min\n"),
    ("(format csv) where nothing > 1", "ZAA,5 min\n"),
    ("(format csv) where code", "ZAA,5 min\n"),
    ("(format csv, null 'x', force_null (minimum_ground_time))", "ZAA,\"x\"\n"),
    ("(format csv, null '5 min', force_not_null (minimum_ground_time))", "ZAA,5 min\n"),
    ("(delimiter ',', null 'N')", "ZAA,5 min\n"),
    ("(format csv, force_null (version))", "ZAA,5 min\n"),
    ("(format csv, force_quote (code))", "ZAA,5 min\n"),
    ("(format csv, encoding 'LATIN1')", "ZAA,5 min\n"),
    ("(format csv)", "ZAA,5 min,3\n"),
    ("(format csv)", "ZAA\n"),
    ("(format csv)", "ZAA,\"5 min\n"),
];

const OUTPUTS: &[&str] = &[
    "format csv",
    "format csv, header",
    "format csv, delimiter ';', null 'NIX', force_quote (carrier, suffix)",
    "format csv, quote '''', escape '\\', force_quote *",
    "delimiter '|', null ''",
    "format text, header",
    "format csv, null 'LH'",
    "format csv, header match",
    "encoding 'LATIN1'",
];

#[test]
fn the_options_of_copy_mean_what_they_mean_in_postgresql() {
    let (server, postgres) = (Server::start(), Postgres::start());
    postgres.psql(SCHEMA).expect_success();
    let mut script =
        String::from("SET timezone = 'UTC';\n\\set VERBOSITY sqlstate\n\\set ON_ERROR_STOP off\n");
    for (options, input) in INPUTS {
        let _ = write!(
            script,
            "COPY airports (code, minimum_ground_time) FROM STDIN {options};\n{input}\\.\n"
        );
        script.push_str(
            "SELECT code, minimum_ground_time FROM airports ORDER BY 1;\nDELETE FROM airports;\n",
        );
    }
    script.push_str(
        "COPY airplanes (registration, aircraft_type) FROM STDIN (FORMAT csv) WHERE minimum_ground_time = '0' AND rotation_id IS NULL AND aircraft_type = '99';\n\
         ZAA,99\nZAB,98\n\\.\nSELECT registration, aircraft_type FROM airplanes;\n",
    );
    script.push_str(MORE);
    script.push('\n');
    for options in OUTPUTS {
        let _ = writeln!(
            script,
            "COPY (SELECT rotation_id, carrier, flight_number, suffix, day_of_origin, aircraft_type FROM legs ORDER BY id) TO STDOUT ({options});\n\
             COPY (SELECT name AS carrier, name || '' AS suffix FROM rotations ORDER BY id) TO STDOUT ({options});"
        );
    }
    let (ours, theirs) = (server.psql(&script), postgres.psql(&script));
    assert_eq!(ours.out, theirs.out);
    assert_eq!(ours.err, theirs.err);
}
