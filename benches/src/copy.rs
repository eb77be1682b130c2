//! A season: loading it by COPY, what it costs to have it ([`growth`]), the verdict over it
//! ([`verdict`]), plain SQL over it ([`scans`]), starting with it, and folding all its events anew.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::{Server, binary};
use rotabase_tests::tool;

use crate::process::own_file;
use crate::report::Report;
use crate::{Options, growth, process, scans, verdict};

/// The columns that the others have too.
const COLUMNS: &str = "id, rotation_id, carrier, flight_number, suffix, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time";

/// The form in which they get them.
const CSV: &str = "with (format csv)";

/// Measures both.
pub(crate) fn run(options: &Options, report: &mut Report) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let schedule = directory.path().join("schedule");
    if !generate(options, &schedule) {
        report.note("a season", "left out: no schedule generator (see --generator)");
        return;
    }
    report.note("legs of the season", &options.legs.to_string());
    let mut server = Server::start();
    let cost = load(&server, &schedule);
    if options.wants("growth") {
        growth::run(options, report, &server);
    }
    let postgres = if options.wants_any(&["copy", "verdict", "scans"]) {
        let csv = schedule.join("legs.csv");
        let out = format!("\\copy (SELECT {COLUMNS} FROM legs) to '{}' {CSV}", csv.display());
        server.psql(&out).expect_success();
        let postgres = Postgres::find().map(|postgres| (postgres_copy(&postgres, &csv), postgres));
        scans::share(&server, postgres.as_ref().map(|(_, postgres)| postgres), &schedule);
        postgres
    } else {
        None
    };
    if options.wants("copy") {
        let Cost { ssim, rotations, caught_up, cpu, memory } = cost;
        report.cost("COPY ssim", "s", vec![ssim], None);
        report.cost("COPY leg_rotations", "s", vec![rotations], None);
        let theirs = postgres.as_ref().map(|(seconds, _)| vec![*seconds]);
        let ours = vec![ssim + rotations + caught_up];
        report.cost("both, read by a strong SELECT", "s", ours, theirs);
        report.cost("CPU of the server for both", "s", vec![cpu], None);
        report.cost("server memory after both (peak)", "MiB", vec![memory], None);
    }
    let postgres = postgres.map(|(_, postgres)| postgres);
    if options.wants("scans") {
        scans::run(options, report, &server, postgres.as_ref(), &schedule);
    }
    if options.wants("verdict") {
        verdict::run(options, report, &server, postgres.as_ref());
    }
    if options.wants("restart") {
        server = restart(report, server);
    }
    if options.wants("replay") {
        replay(options, report, &mut server);
    }
}

/// Makes the files of a season; whether there is a program for it.
fn generate(options: &Options, schedule: &Path) -> bool {
    let mut generator = Command::new(tool::python());
    generator.arg(&options.generator).args(["--legs", &options.legs.to_string()]);
    generator.args(["--airplanes", &(options.legs / 800).max(4).to_string()]);
    generator.args(["--violations", "50", "--seed", "7", "--out"]).arg(schedule);
    generator.output().is_ok_and(|output| output.status.success())
}

/// What loading took: seconds until a COPY was acknowledged and until all of it was there, of CPU too, and memory.
struct Cost {
    ssim: f64,
    rotations: f64,
    caught_up: f64,
    cpu: f64,
    memory: f64,
}

fn load(server: &Server, schedule: &Path) -> Cost {
    let file = |name: &str| schedule.join(name).display().to_string();
    let timed = |script: &str| {
        let start = Instant::now();
        server.psql(script).expect_success();
        start.elapsed().as_secs_f64()
    };
    let csv = "with (format csv, header)";
    timed(&format!(
        "\\copy airports from '{}' {csv}\n\\copy airplanes from '{}' {csv}",
        file("load_airports.csv"),
        file("load_airplanes.csv")
    ));
    let cpu_before = process::cpu_seconds(server.pid());
    let ssim = timed(&format!("\\copy ssim from '{}'", file("schedule.ssim")));
    let rotations = timed(&format!("\\copy leg_rotations from '{}' {csv}", file("rotations.csv")));
    let caught_up = timed("SET rotabase.consistency = 'strong'; SELECT count(*) FROM legs");
    let cpu = process::cpu_seconds(server.pid()) - cpu_before;
    timed(&format!("\\copy airplane_rotations from '{}' {csv}", file("airplane_rotations.csv")));
    Cost { ssim, rotations, caught_up, cpu, memory: process::peak_mib(server.pid()) }
}

/// Kills the server and starts it again: from then until a strong SELECT is answered.
fn restart(report: &mut Report, mut server: Server) -> Server {
    let legs = |server: &Server| server.psql("SELECT count(*) FROM legs").expect_success();
    let before = legs(&server);
    server.kill();
    let start = Instant::now();
    let mut again = Server::start_on(server.data(), &[]);
    let listens = start.elapsed().as_secs_f64();
    assert_eq!(legs(&again), before, "nothing is lost");
    let serves = start.elapsed().as_secs_f64();
    report.cost("kill -9 to accepting connections", "s", vec![listens], None);
    report.cost("kill -9 to a strong SELECT", "s", vec![serves], None);
    let resident = process::resident_mib(again.pid());
    report.cost("server memory after that", "MiB", vec![resident], None);
    again.take_over(&mut server);
    again
}

/// Throws away everything that follows from the log and starts: from then until all projections are there.
fn replay(options: &Options, report: &mut Report, server: &mut Server) {
    let count = |server: &Server, relation: &str| -> u32 {
        let count = server.psql(&format!("SELECT count(*) FROM {relation}")).expect_success();
        count.trim().parse().expect("a count")
    };
    let (events, legs) = (count(server, "events"), count(server, "legs"));
    server.terminate();
    let mut per_core = Vec::new();
    let rates: Vec<f64> = (0..options.rounds)
        .map(|_| {
            let mut rebuild = Command::new(binary());
            tool::run(rebuild.args(["rebuild", "--data"]).arg(server.data()), "").expect_success();
            let start = Instant::now();
            let mut rebuilt = Server::start_on(server.data(), &[]);
            assert_eq!(count(&rebuilt, "legs"), legs, "all of it is folded");
            let rate = f64::from(events) / start.elapsed().as_secs_f64();
            per_core.push(f64::from(events) / process::cpu_seconds(rebuilt.pid()));
            rebuilt.terminate();
            rate
        })
        .collect();
    report.rate("replay of all projections", "events/s", rates, None);
    report.rate("replay for each second of CPU", "events/s", per_core, None);
}

/// The same legs as bare rows of one table with one index; then as legs, for the queries.
fn postgres_copy(postgres: &Postgres, csv: &Path) -> f64 {
    let schema = own_file("postgres/schema.sql");
    postgres.psql(&std::fs::read_to_string(schema).expect("a script")).expect_success();
    postgres
        .psql("CREATE TABLE bare (id uuid PRIMARY KEY, rotation_id uuid, carrier text, flight_number int, suffix text, day_of_origin date, departure_airport text, arrival_airport text, departure_time timestamptz, arrival_time timestamptz)")
        .expect_success();
    let start = Instant::now();
    postgres
        .psql(&format!("\\copy bare ({COLUMNS}) from '{}' {CSV}", csv.display()))
        .expect_success();
    let elapsed = start.elapsed().as_secs_f64();
    postgres
        .psql("INSERT INTO rotations SELECT DISTINCT rotation_id FROM bare WHERE rotation_id IS NOT NULL; ALTER TABLE legs DROP CONSTRAINT legs_rotation_id_tstzrange_excl; INSERT INTO legs SELECT * FROM bare; ANALYZE")
        .expect_success();
    elapsed
}
