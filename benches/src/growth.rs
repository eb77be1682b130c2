//! What a season costs in memory and on disk, and whether a command takes longer because of it.

use rotabase_tests::server::Server;

use crate::load::{self, Worker};
use crate::report::Report;
use crate::scenarios::ROTABASE;
use crate::{Options, process};

/// The legs of the small schedule.
const SMALL: u32 = 1000;

/// The commands of a run, by one client.
const COMMANDS: i64 = 1000;

/// A rotation that is not the generator's.
fn rotation(number: u32) -> String {
    format!("90000000-0000-4000-8000-{number:012x}")
}

/// Measures `server`, which holds a season, and beside it one that holds [`SMALL`] legs.
pub(crate) fn run(options: &Options, report: &mut Report, server: &Server) {
    report.define(
        "growth",
        "one client adds 1,000 legs one by one, to a rotation of its own; memory per leg is what is resident after \
         the load, once nothing is left to do, beyond what a server with 1,000 legs has, and beside it the same without what the log's and the \
         aggregates' caches hold; disk is the data directory against the bytes of the log's entries and the \
         projections",
    );
    let small = Server::start();
    load::run(&[small.conninfo()], (1, 1), u32::MAX, fill);
    process::settle(server.pid());
    let added = f64::from(options.legs);
    let beyond = process::resident_mib(server.pid()) - process::resident_mib(small.pid());
    let cached = ["rotabase_log_cache_bytes", "rotabase_aggregate_cache_bytes"];
    let cached: f64 = cached.iter().map(|name| metric(server, name)).sum();
    let bytes = beyond * f64::from(1 << 20);
    report.cost("memory per leg", "bytes", vec![bytes / added], None);
    report.cost("memory per leg, without caches", "bytes", vec![(bytes - cached) / added], None);
    let disk = process::disk_bytes(server.data());
    let (log, rows) =
        (metric(server, "rotabase_log_bytes_total"), metric(server, "rotabase_projection_bytes"));
    report.cost("disk per leg", "bytes", vec![disk / added], None);
    report.cost("  entries of the log, encoded", "bytes", vec![log / added], None);
    report.cost("  projections", "bytes", vec![rows / added], None);
    report.cost("disk against both", "times", vec![disk / (log + rows)], None);

    let (mut few, mut many) = (Vec::new(), Vec::new());
    for run in 0..options.rounds {
        for (server, times) in [(&small, &mut few), (server, &mut many)] {
            let servers = [server.conninfo()];
            let load = load::run(&servers, (1, 1), u32::MAX, |worker| command(worker, run));
            times.push(load.percentile(50));
        }
    }
    report.cost(&format!("p50 of a command at {SMALL} legs"), "ms", few, None);
    report.cost(&format!("p50 of a command at {} legs", options.legs), "ms", many, None);
}

/// Makes the small schedule.
async fn fill(worker: Worker) -> Worker {
    let client = std::sync::Arc::clone(&worker.client);
    for number in 0..SMALL / 100 {
        let rotation = rotation(number);
        client.execute(ROTABASE.create_rotation, &[&rotation]).await.expect("a rotation");
        client.execute(ROTABASE.add_legs, &[&rotation, &0_i64]).await.expect("legs");
    }
    worker
}

/// Adds legs to a rotation of the run.
async fn command(mut worker: Worker, run: usize) -> Worker {
    let client = std::sync::Arc::clone(&worker.client);
    let rotation = rotation(SMALL + u32::try_from(run).expect("few"));
    client.execute(ROTABASE.create_rotation, &[&rotation]).await.expect("a rotation");
    let add = client.prepare(ROTABASE.add_leg).await.expect("a statement");
    for minute in 0..COMMANDS {
        worker.step(client.execute(&add, &[&rotation, &minute])).await.expect("a leg");
        worker.legs += 1;
    }
    worker
}

/// What the server says a metric without labels is.
fn metric(server: &Server, name: &str) -> f64 {
    let (_, page) = server.http("/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no metric {name}"))
}
