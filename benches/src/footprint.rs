//! What a server takes that has nothing to do.

use std::time::{Duration, Instant};

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::Server;

use crate::report::Report;
use crate::{Options, process};

/// How long it is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// Measures start and rest, on a directory that is new and on one that is not.
pub(crate) fn run(options: &Options, report: &mut Report) {
    let (mut first, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        let (mut server, milliseconds) = start(&data);
        first.push(milliseconds);
        server.terminate();
        let (server, milliseconds) = start(&data);
        again.push(milliseconds);
        std::thread::sleep(REST);
        memory.push(process::resident_mib(server.pid()));
    }
    let postgres = Postgres::find().map(|postgres| {
        std::thread::sleep(REST);
        vec![process::proportional_mib(postgres.pid())]
    });
    report.define(
        "cold start",
        "from starting the process to accepting connections, without the time of initdb for PostgreSQL, which is not \
         measured; memory is what is resident a second later, for PostgreSQL the sum over its processes with what \
         they share counted once",
    );
    report.cost("cold start, new directory", "ms", first, None);
    report.cost("cold start", "ms", again, None);
    report.cost("memory at rest", "MiB", memory, postgres);
}

/// A server, and the milliseconds until it said where it listens.
fn start(data: &std::path::Path) -> (Server, f64) {
    let start = Instant::now();
    let server = Server::start_on(data, &[]);
    (server, start.elapsed().as_secs_f64() * 1000.0)
}
