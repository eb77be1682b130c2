//! What planners do, as named workloads, from a driver.
//!
//! * `rows`: a statement adds 100 legs to a rotation. 8 clients.
//! * `pipelined`: a statement adds one leg and is a transaction of its own; each of 4 connections has 32 of them under
//!   way.
//! * `plan` (the thesis's write scenario): users who each create a rotation, add 300 legs to it one by one, create an
//!   airplane and assign it, and begin again. 16 users.
//! * `validate` (the thesis's read scenario): the three checks in equal parts, over what was planned before. 8 users.
//!
//! PostgreSQL does the same through functions that store the event and the current state in one transaction
//! (`postgres/schema.sql`), for 100 legs at once with one statement over all of them.

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::Server;

use crate::Options;
use crate::load::{self, Worker};
use crate::process::own_file;
use crate::report::{Report, some};

/// The legs that a user of the scenario `plan` adds to a rotation.
const LEGS_OF_PLAN: i64 = 300;

/// The legs that a statement of the scenario `rows` adds.
const LEGS_AT_ONCE: u32 = 100;

/// One side: where it is, and its words for what is done.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    /// `$1` rotation, `$2` number of the first leg's minute.
    pub(crate) add_legs: &'static str,
    /// The same for one leg.
    pub(crate) add_leg: &'static str,
    /// `$1` rotation.
    pub(crate) create_rotation: &'static str,
    /// `$1` registration.
    create_airplane: &'static str,
    /// `$1` registration, `$2` rotation.
    assign: &'static str,
}

pub(crate) const ROTABASE: Side = Side {
    add_legs: "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, \
               arrival_airport, departure_time, arrival_time) \
               SELECT $1::text::uuid, 'LH', g, '2026-01-01', 'FRA', 'MUC', \
               timestamptz '2026-01-01 00:00Z' + interval '1 minute' * ($2::bigint + g), \
               timestamptz '2026-01-01 00:00:59Z' + interval '1 minute' * ($2::bigint + g) \
               FROM generate_series(1, 100) g",
    add_leg: "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, \
              arrival_airport, departure_time, arrival_time) \
              VALUES ($1::text::uuid, 'LH', 1 + $2::bigint % 9000, '2026-01-01', 'FRA', 'MUC', \
              timestamptz '2026-01-01 00:00Z' + interval '1 minute' * $2::bigint, \
              timestamptz '2026-01-01 00:00:59Z' + interval '1 minute' * $2::bigint)",
    create_rotation: "INSERT INTO rotations (id) VALUES ($1::text::uuid)",
    create_airplane: "INSERT INTO airplanes (registration) VALUES ($1::text)",
    assign: "UPDATE airplanes SET rotation_id = $2::text::uuid WHERE registration = $1::text",
};

const POSTGRES: Side = Side {
    add_legs: "SELECT add_legs($1::text::uuid, $2::bigint, 100)",
    add_leg: "SELECT add_leg($1::text::uuid, 'LH', (1 + $2::bigint % 9000)::int, '2026-01-01', 'FRA', 'MUC', \
              timestamptz '2026-01-01 00:00Z' + interval '1 minute' * $2::bigint, \
              timestamptz '2026-01-01 00:00:59Z' + interval '1 minute' * $2::bigint)",
    create_rotation: "SELECT create_rotation($1::text::uuid, NULL)",
    create_airplane: "SELECT create_airplane($1::text)",
    assign: "SELECT assign_airplane($1::text, $2::text::uuid)",
};

/// The checks of the scenario `validate`.
pub(crate) const CHECKS: [&str; 3] = [
    "SELECT count(*) FROM continuity_violations",
    "SELECT count(*) FROM ground_time_violations",
    "SELECT count(*) FROM designator_violations",
];

/// The parts, their names in the report, and what they are.
const DEFINITIONS: [(&str, &str, &str); 4] = [
    ("rows", "100 legs in a statement", "8 clients, each statement adds 100 legs to a rotation"),
    (
        "pipelined",
        "pipelined one-leg commands",
        "4 connections with 32 statements under way on each, each of which adds a leg and is a transaction of its own",
    ),
    (
        "plan",
        "planning (the thesis's write scenario, Tables 6.1 and 6.3)",
        "16 users, each of which creates a rotation, adds 300 legs to it one by one, creates an airplane, assigns it \
         to the rotation, and begins again",
    ),
    (
        "validate",
        "validating (the thesis's read scenario, Tables 6.1 and 6.3)",
        "8 users, who make the three checks over the whole schedule in equal parts: rotation continuity, minimum \
         ground times, unique flight designators",
    ),
];

/// Measures those that are wanted.
pub(crate) fn run(options: &Options, report: &mut Report) {
    let (server, postgres) = (Server::start(), Postgres::find());
    let mut sides = vec![(server.conninfo(), ROTABASE)];
    if let Some(postgres) = &postgres {
        let schema = own_file("postgres/schema.sql");
        postgres.psql(&std::fs::read_to_string(schema).expect("a script")).expect_success();
        sides.push((postgres.conninfo(), POSTGRES));
    }
    for (part, workload, definition) in DEFINITIONS {
        if options.wants(part) {
            report.define(workload, definition);
        }
    }
    if options.wants("rows") {
        writing(
            options,
            report,
            &sides,
            "100 legs in a statement",
            LEGS_AT_ONCE,
            (8, 1),
            |worker, side, run| add_legs(worker, side, run, LEGS_AT_ONCE),
        );
    }
    if options.wants("pipelined") {
        writing(
            options,
            report,
            &sides,
            "pipelined one-leg commands",
            1,
            (4, 32),
            |worker, side, run| add_legs(worker, side, run, 1),
        );
    }
    if options.wants("plan") {
        writing(options, report, &sides, "planning, 16 users", 1, (16, 1), |worker, side, run| {
            plan(worker, side, run)
        });
    }
    if options.wants("validate") {
        validate(options, report, &sides);
    }
}

/// Measures both sides at something that adds `legs_of_step` legs with each step.
fn writing<F>(
    options: &Options,
    report: &mut Report,
    sides: &[(String, Side)],
    what: &str,
    legs_of_step: u32,
    clients: (u32, u32),
    work: impl Fn(Worker, Side, usize) -> F,
) where
    F: Future<Output = Worker> + Send + 'static,
{
    let mut rates: [Vec<f64>; 2] = Default::default();
    let mut latencies: [[Vec<f64>; 2]; 2] = Default::default();
    for run in 0..options.rounds {
        for (place, (conninfo, side)) in sides.iter().enumerate() {
            let count = || load::number(conninfo, "SELECT count(*) FROM legs");
            let before = count();
            let servers = std::slice::from_ref(conninfo);
            let load = load::run(servers, clients, options.seconds, |it| work(it, *side, run));
            let added = count() - before;
            assert_eq!(added, load.legs(), "every acknowledged leg is there, and no other");
            rates[place].push(load.rate() * f64::from(legs_of_step));
            latencies[0][place].push(load.percentile(50));
            latencies[1][place].push(load.percentile(99));
        }
    }
    let [ours, theirs] = rates;
    report.rate(what, "commands/s", ours, some(theirs));
    for (percent, [ours, theirs]) in ["p50", "p99"].into_iter().zip(latencies) {
        report.cost(&format!("  {percent} of a statement"), "ms", ours, some(theirs));
    }
}

/// A UUID of a user's own, in a run.
fn id(kind: u8, run: usize, user: u32, number: i64) -> String {
    format!("{kind:08x}-{run:04x}-4000-8000-{:012x}", i64::from(user) << 24 | number)
}

/// Adds legs to a rotation of its own, with each statement one or [`LEGS_AT_ONCE`].
async fn add_legs(mut worker: Worker, side: Side, run: usize, legs: u32) -> Worker {
    let client = std::sync::Arc::clone(&worker.client);
    let (statement, kind) = if legs == 1 { (side.add_leg, 1) } else { (side.add_legs, 2) };
    let add = client.prepare(statement).await.expect("a statement");
    let mut minute = 0;
    let mut rotation = String::new();
    while worker.goes_on() {
        if minute % 3000 == 0 {
            // Not one that grows without end.
            rotation = id(kind, run, worker.number, minute);
            client.execute(side.create_rotation, &[&rotation]).await.expect("a rotation");
        }
        worker.step(client.execute(&add, &[&rotation, &minute])).await.expect("legs");
        worker.legs += legs;
        minute += i64::from(legs);
    }
    worker
}

/// Creates a rotation, fills it, creates an airplane, assigns it, and begins again.
pub(crate) async fn plan(mut worker: Worker, side: Side, run: usize) -> Worker {
    let client = std::sync::Arc::clone(&worker.client);
    let prepare = async |statement: &str| client.prepare(statement).await.expect("a statement");
    let (create_rotation, add_leg) =
        (prepare(side.create_rotation).await, prepare(side.add_leg).await);
    let (create_airplane, assign) =
        (prepare(side.create_airplane).await, prepare(side.assign).await);
    for round in 0.. {
        let rotation = id(3, run, worker.number, round);
        let registration = format!("D{run:02}{:02}{round}", worker.number);
        worker.step(client.execute(&create_rotation, &[&rotation])).await.expect("a rotation");
        for minute in 0..LEGS_OF_PLAN {
            if !worker.goes_on() {
                return worker;
            }
            worker.step(client.execute(&add_leg, &[&rotation, &minute])).await.expect("a leg");
            worker.legs += 1;
        }
        worker.step(client.execute(&create_airplane, &[&registration])).await.expect("an airplane");
        worker.step(client.execute(&assign, &[&registration, &rotation])).await.expect("assigned");
    }
    worker
}

fn validate(options: &Options, report: &mut Report, sides: &[(String, Side)]) {
    let mut rates: [Vec<f64>; 2] = Default::default();
    let mut latencies: [Vec<f64>; 2] = Default::default();
    for _ in 0..options.rounds {
        for (place, (conninfo, _)) in sides.iter().enumerate() {
            let servers = std::slice::from_ref(conninfo);
            let load = load::run(servers, (8, 1), options.seconds, check);
            assert!(load.steps() > 0, "a check has ended");
            rates[place].push(load.rate());
            latencies[place].push(load.percentile(99));
        }
    }
    let [ours, theirs] = rates;
    report.rate("validating, 8 users", "queries/s", ours, some(theirs));
    let [ours, theirs] = latencies;
    report.cost("  p99 of a check", "ms", ours, some(theirs));
}

/// Makes the checks one after the other.
pub(crate) async fn check(mut worker: Worker) -> Worker {
    let client = std::sync::Arc::clone(&worker.client);
    let mut checks = Vec::new();
    for check in CHECKS {
        checks.push(client.prepare(check).await.expect("a check"));
    }
    for check in checks.iter().cycle() {
        if !worker.goes_on() {
            break;
        }
        worker.step(client.query_one(check, &[])).await.expect("a count");
    }
    worker
}
