//! Nodes and read replicas, all processes of this machine: what more of them give, and what they cost each other.
//!
//! For each number of nodes a cluster is started and given a schedule; read replicas are added one by one. With each
//! number of them that is asked for:
//!
//! * planning (the thesis's write scenario), its users spread over the nodes;
//! * validating (the thesis's read scenario), its users spread over the replicas, or over the nodes if there are none;
//! * freshness ([`freshness`]).
//!
//! Then nodes of a cluster of its own are killed under load ([`failover`]).
//!
//! All of them share the machine's cores, and with them this program. So the figures say what a cluster costs on one
//! machine; not what one gains on several.

mod failover;
mod freshness;

use std::time::{Duration, Instant};

use rotabase_tests::cluster::{Cluster, eventually};
use rotabase_tests::server::Server;
use tempfile::TempDir;

use crate::Options;
use crate::load::{self, Worker};
use crate::report::Report;
use crate::scenarios::{CHECKS, ROTABASE, check, plan};

/// The users that plan.
const PLANNERS: u32 = 16;

/// The users that validate.
const VALIDATORS: u32 = 8;

/// The legs of a rotation of the schedule that is there at the beginning.
const LEGS_OF_ROTATION: u32 = 400;

/// The legs that a statement adds to it.
const LEGS_OF_STATEMENT: usize = 200;

/// The connections over which it is loaded.
const LOADERS: u32 = 4;

/// `$1` rotation, `$2` number of the first leg in the schedule, `$3` in the rotation. A leg takes an hour and the ground
/// half of one; every fortieth begins where the one before it has not ended.
const ADD_LEGS: &str = "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, \
    arrival_airport, departure_time, arrival_time) \
    SELECT $1::text::uuid, 'LH', 1 + ($2::bigint + g) % 9000, date '2026-01-01' + (($2::bigint + g) / 9000)::int, \
    CASE WHEN g % 2 = 0 OR g % 40 = 1 THEN 'FRA' ELSE 'MUC' END, CASE WHEN g % 2 = 0 THEN 'MUC' ELSE 'FRA' END, \
    timestamptz '2026-01-01 00:00Z' + interval '90 minutes' * ($3::bigint + g), \
    timestamptz '2026-01-01 01:00Z' + interval '90 minutes' * ($3::bigint + g) \
    FROM generate_series(0, 199) g";

/// Measures all of it.
pub(crate) fn run(options: &Options, report: &mut Report) {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    report.note("cores, which all processes share", &cores.to_string());
    if options.wants("cluster") {
        for nodes in &options.nodes {
            measure(options, report, *nodes);
        }
    }
    let several = options.nodes.iter().find(|nodes| **nodes > 1);
    if let Some(nodes) = several.filter(|_| options.wants("failover")) {
        failover::run(options, report, *nodes);
    }
}

/// Nodes, and replicas that follow them.
struct Stage {
    // In this order: processes end before their directories do.
    replicas: Vec<Server>,
    cluster: Cluster,
    directory: TempDir,
    nodes: usize,
    /// The measurements of planning so far, which have rotations of their own.
    plans: usize,
}

fn measure(options: &Options, report: &mut Report, nodes: usize) {
    let mut stage = Stage::start(nodes);
    stage.load(options.schedule);
    let counted = |relation: &str| stage.first().psql(&format!("SELECT count(*) FROM {relation}"));
    let (legs, events) = (counted("legs").expect_success(), counted("events").expect_success());
    let what = format!("schedule that new replicas of {nodes} nodes copy, at least");
    report.note(&what, &format!("{} legs, {} events", legs.trim(), events.trim()));
    let mut replicas = options.replicas.clone();
    replicas.sort_unstable();
    for replicas in replicas {
        let ready: Vec<f64> =
            (stage.replicas.len()..replicas).map(|number| stage.add_replica(number)).collect();
        let place = format!("{nodes} nodes, {replicas} replicas");
        if !ready.is_empty() {
            report.cost(&format!("{place}: from nothing to ready"), "s", ready, None);
        }
        planning(options, report, &mut stage, &place);
        validating(options, report, &stage, &place);
        if replicas > 0 {
            freshness::measure(options, report, &mut stage, &place);
        }
    }
}

impl Stage {
    fn start(nodes: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { replicas: Vec::new(), cluster: Cluster::start(nodes), directory, nodes, plans: 0 }
    }

    fn first(&self) -> &Server {
        self.cluster.node(1)
    }

    /// Where those connect who write.
    fn writable(&self) -> Vec<String> {
        (1..=self.nodes).map(|node| self.cluster.node(node).conninfo()).collect()
    }

    /// Where those connect who only read.
    fn readable(&self) -> Vec<String> {
        if self.replicas.is_empty() {
            return self.writable();
        }
        self.replicas.iter().map(Server::conninfo).collect()
    }

    /// Makes a schedule of as many legs, or a few more.
    fn load(&self, legs: u32) {
        let airports = "INSERT INTO airports (code) VALUES ('FRA'), ('MUC')";
        self.first().psql(airports).expect_success();
        let rotations = legs.div_ceil(LEGS_OF_ROTATION);
        let no_end = u32::MAX;
        load::run(&self.writable(), (LOADERS, 1), no_end, |worker| load_part(worker, rotations));
    }

    /// Starts one more replica on an empty directory; the seconds until it says that it is ready.
    fn add_replica(&mut self, number: usize) -> f64 {
        let data = self.directory.path().join(format!("replica{number}"));
        // Each follows another node as long as that is there.
        let nodes = (0..self.nodes).map(|it| self.cluster.node((number + it) % self.nodes + 1));
        let nodes: Vec<String> = nodes.map(Server::address).collect();
        let start = Instant::now();
        let replica = Server::start_on(&data, &["--replica-of", &nodes.join(",")]);
        eventually("the replica is ready", || {
            let (status, body) = replica.http("/readyz");
            if status.contains("200") { Ok(()) } else { Err(body) }
        });
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(
            load::number(&eventual(&replica.conninfo()), "SELECT count(*) FROM legs"),
            load::number(&self.first().conninfo(), "SELECT count(*) FROM legs"),
            "what is there when it is ready"
        );
        self.replicas.push(replica);
        seconds
    }
}

/// The part of a loader: every so many rotations.
async fn load_part(worker: Worker, rotations: u32) -> Worker {
    let client = std::sync::Arc::clone(&worker.client);
    let add = client.prepare(ADD_LEGS).await.expect("a statement");
    for number in (worker.number..rotations).step_by(usize::try_from(LOADERS).expect("few")) {
        let rotation = format!("00000000-0000-4000-8000-{number:012x}");
        client.execute(ROTABASE.create_rotation, &[&rotation]).await.expect("a rotation");
        for first in (0..LEGS_OF_ROTATION).step_by(LEGS_OF_STATEMENT) {
            let of_schedule = i64::from(number * LEGS_OF_ROTATION + first);
            let of_rotation = i64::from(first);
            client.execute(&add, &[&rotation, &of_schedule, &of_rotation]).await.expect("legs");
        }
    }
    worker
}

/// A connection whose session waits for nothing.
fn eventual(conninfo: &str) -> String {
    format!("{conninfo} options='-c rotabase.consistency=eventual'")
}

/// A connection whose session sees everything that was acknowledged.
fn strong(conninfo: &str) -> String {
    format!("{conninfo} options='-c rotabase.consistency=strong'")
}

/// The write scenario: commands a second, and how long each takes.
fn planning(options: &Options, report: &mut Report, stage: &mut Stage, place: &str) {
    let count = |stage: &Stage| {
        load::number(&strong(&stage.first().conninfo()), "SELECT count(*) FROM legs")
    };
    let (mut rates, mut halves, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        stage.plans += 1;
        let (run, before) = (stage.plans, count(stage));
        let load = load::run(&stage.writable(), (PLANNERS, 1), options.seconds, |worker| {
            plan(worker, ROTABASE, run)
        });
        let added = count(stage) - before;
        assert_eq!(added, load.legs(), "every acknowledged leg is there, and no other");
        rates.push(load.rate());
        halves.push(load.percentile(50));
        tails.push(load.percentile(99));
    }
    report.rate(&format!("{place}: planning"), "commands/s", rates, None);
    report.cost("  p50 of a command", "ms", halves, None);
    report.cost("  p99 of a command", "ms", tails, None);
}

/// The read scenario: checks a second, and how long each takes. All places give the same numbers.
fn validating(options: &Options, report: &mut Report, stage: &Stage, place: &str) {
    let places = stage.readable();
    let (mut rates, mut halves, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let load = load::run(&places, (VALIDATORS, 1), options.seconds, check);
        assert!(load.steps() > 0, "a check has ended");
        rates.push(load.rate());
        halves.push(load.percentile(50));
        tails.push(load.percentile(99));
    }
    for check in CHECKS {
        let known = load::number(&strong(&stage.first().conninfo()), check);
        for place in &places {
            assert_eq!(load::number(&strong(place), check), known, "{check} at {place}");
        }
    }
    report.rate(&format!("{place}: validating"), "queries/s", rates, None);
    report.cost("  p50 of a check", "ms", halves, None);
    report.cost("  p99 of a check", "ms", tails, None);
}

/// The middle one, and the one that 99 of 100 do not exceed.
fn percentiles(values: impl Iterator<Item = Duration>) -> (f64, f64) {
    let seconds: Vec<f64> = values.map(|it| it.as_secs_f64()).collect();
    (load::percentile(seconds.clone(), 50), load::percentile(seconds, 99))
}
