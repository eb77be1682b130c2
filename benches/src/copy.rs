//! Loading a season by COPY, the verdict over all of it, plain SQL over it ([`crate::scans`]), and folding all its
//! events anew.

use std::process::Command;
use std::time::Instant;

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::{Server, binary};
use rotabase_tests::tool;

use crate::Options;
use crate::report::Report;

/// Measures both.
pub(crate) fn run(options: &Options, report: &mut Report) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("schedule");
    let generated = Command::new(tool::python())
        .arg(&options.generator)
        .args([
            "--legs",
            &options.legs.to_string(),
            "--airplanes",
            &(options.legs / 800).max(4).to_string(),
        ])
        .args(["--violations", "50", "--seed", "7", "--out"])
        .arg(&out)
        .output();
    if !generated.as_ref().is_ok_and(|output| output.status.success()) {
        report.note("COPY and verdict", "left out: no schedule generator (see --generator)");
        return;
    }
    let (mut server, postgres) = (Server::start(), Postgres::start());
    let file = |name: &str| out.join(name).display().to_string();
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
    let cpu_before = cpu_seconds(server.pid());
    let ssim = timed(&format!("\\copy ssim from '{}'", file("schedule.ssim")));
    let rotations = timed(&format!("\\copy leg_rotations from '{}' {csv}", file("rotations.csv")));
    let caught_up = timed("SET rotabase.consistency = 'strong'; SELECT count(*) FROM legs");
    let cpu = cpu_seconds(server.pid()) - cpu_before;
    timed(&format!("\\copy airplane_rotations from '{}' {csv}", file("airplane_rotations.csv")));
    let memory = resident_bytes(server.pid());

    let theirs = postgres_copy(&server, &postgres, &out.join("legs.csv"));
    if options.wants("copy") {
        report.cost("COPY ssim", "s", vec![ssim], None);
        report.cost("COPY leg_rotations", "s", vec![rotations], None);
        report.cost(
            "both, read by a strong SELECT",
            "s",
            vec![ssim + rotations + caught_up],
            Some(vec![theirs]),
        );
        report.cost("CPU of the server for both", "s", vec![cpu], None);
        report.cost("server memory after both (peak)", "MiB", vec![memory], None);
    }
    if options.wants("verdict") {
        verdict(options, report, &server, &postgres);
    }
    if options.wants("scans") {
        crate::scans::run(options, report, &server, &postgres);
    }
    if options.wants("restart") {
        server = restart(report, server);
    }
    if options.wants("replay") {
        replay(options, report, &mut server);
    }
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
            per_core.push(f64::from(events) / cpu_seconds(rebuilt.pid()));
            rebuilt.terminate();
            rate
        })
        .collect();
    report.rate("replay of all projections", "events/s", rates, None);
    report.rate("replay for each second of CPU", "events/s", per_core, None);
}

/// The same legs as bare rows of one table with one index.
fn postgres_copy(server: &Server, postgres: &Postgres, csv: &std::path::Path) -> f64 {
    let columns = "id, rotation_id, carrier, flight_number, suffix, day_of_origin, departure_airport, arrival_airport, departure_time, arrival_time";
    server
        .psql(&format!(
            "\\copy (SELECT {columns} FROM legs) to '{}' with (format csv)",
            csv.display()
        ))
        .expect_success();
    let schema = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("postgres/schema.sql"),
    )
    .expect("a script");
    postgres.psql(&schema).expect_success();
    postgres
        .psql("CREATE TABLE bare (id uuid PRIMARY KEY, rotation_id uuid, carrier text, flight_number int, suffix text, day_of_origin date, departure_airport text, arrival_airport text, departure_time timestamptz, arrival_time timestamptz)")
        .expect_success();
    let start = Instant::now();
    postgres
        .psql(&format!("\\copy bare ({columns}) from '{}' with (format csv)", csv.display()))
        .expect_success();
    let elapsed = start.elapsed().as_secs_f64();
    postgres
        .psql("INSERT INTO rotations SELECT DISTINCT rotation_id FROM bare WHERE rotation_id IS NOT NULL; ALTER TABLE legs DROP CONSTRAINT legs_rotation_id_tstzrange_excl; INSERT INTO legs SELECT * FROM bare; ANALYZE")
        .expect_success();
    elapsed
}

fn verdict(options: &Options, report: &mut Report, server: &Server, postgres: &Postgres) {
    let script = "SELECT (SELECT count(*) FROM continuity_violations), (SELECT count(*) FROM ground_time_violations), (SELECT count(*) FROM designator_violations)";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pgbench/verdict.sql");
    let ours = (0..options.rounds)
        .map(|_| {
            1000.0 / crate::pgbench::run(&server.conninfo(), &path, 1, options.seconds, &[]).tps
        })
        .collect();
    let theirs = (0..options.rounds)
        .map(|_| {
            let start = Instant::now();
            postgres.psql(script).expect_success();
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    report.cost("whole-schedule verdict", "ms", ours, Some(theirs));
}

/// The most memory that the process has had resident, in MiB.
fn resident_bytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let kilobytes: f64 =
        line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0.0);
    kilobytes / 1024.0
}

/// The CPU time that a process has taken, in all its threads.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // The 14th and 15th field; the kernel counts in hundredths.
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() / 100.0
}
