//! Measures Rotabase beside PostgreSQL 15: the same work, in one run, on one machine, durable on both sides.
//!
//! `cargo run -p rotabase-benches -- [--seconds 5] [--rounds 5] [--legs 1500000] [--only commands,copy,…] [--json FILE]`
//!
//! PostgreSQL is started where it is installed, and DuckDB is put beside the scans where a Python has it (`--duckdb`);
//! without them their columns are empty. psql has to be there, and pgbench for `commands` and `lookup`.
//!
//! `--only cluster,failover` measures clusters and read replicas, without PostgreSQL beside them ([`cluster`]).
//!
//! Figures are ratios, since machines differ and are noisy; the fsync latency and the load average of the moment
//! stand beside them. What was written is counted after each run: a figure whose data is not there is an error.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod cluster;
mod commands;
mod copy;
mod disk;
mod duckdb;
mod footprint;
mod growth;
mod load;
mod pgbench;
mod process;
mod report;
mod scans;
mod scenarios;
mod verdict;

use std::path::PathBuf;

use clap::Parser;
use report::Report;

/// All parts, in the order in which they are measured.
const PARTS: [&str; 15] = [
    "footprint",
    "commands",
    "lookup",
    "rows",
    "pipelined",
    "plan",
    "validate",
    "copy",
    "growth",
    "verdict",
    "scans",
    "restart",
    "replay",
    "cluster",
    "failover",
];

/// What to measure.
#[derive(Debug, Parser)]
struct Options {
    /// Seconds of each run.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Runs of each kind; the median and the worst are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Dated legs of the SSIM file.
    #[arg(long, default_value_t = 1_500_000)]
    legs: u32,
    /// Nodes of the clusters of the part `cluster`.
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    nodes: Vec<usize>,
    /// Read replicas that they have.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2,4")]
    replicas: Vec<usize>,
    /// Legs of the schedule that they begin with.
    #[arg(long, default_value_t = 100_000)]
    schedule: u32,
    /// Only what shows that all of it works: a run of a second of each kind, on small schedules.
    #[arg(long)]
    quick: bool,
    /// Which parts; all of them unless said.
    #[arg(long, value_delimiter = ',', value_parser = PARTS, default_values = PARTS)]
    only: Vec<String>,
    /// The program that makes an SSIM file and its rotations.
    #[arg(long, default_value = "../shared/tools/make_ssim.py")]
    generator: PathBuf,
    /// The Python whose DuckDB is asked what the part `scans` asks.
    #[arg(long, default_value = "python3")]
    duckdb: PathBuf,
    /// Where to write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Options {
    fn wants(&self, part: &str) -> bool {
        self.only.iter().any(|it| it == part)
    }

    fn wants_any(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.wants(part))
    }

    fn shortened(mut self) -> Self {
        if self.quick {
            (self.seconds, self.rounds, self.legs, self.schedule) = (1, 1, 15_000, 4_000);
            self.replicas.retain(|replicas| *replicas <= 1);
        }
        self
    }
}

fn main() {
    let options = Options::parse().shortened();
    let mut report = Report::default();
    report.note("fdatasync, median of 50", &disk::describe());
    report.note("load average at the beginning", &disk::load_average());
    if options.wants("footprint") {
        footprint::run(&options, &mut report);
    }
    if options.wants_any(&["commands", "lookup"]) {
        commands::run(&options, &mut report);
    }
    if options.wants_any(&["rows", "pipelined", "plan", "validate"]) {
        scenarios::run(&options, &mut report);
    }
    if options.wants_any(&["copy", "growth", "verdict", "scans", "restart", "replay"]) {
        copy::run(&options, &mut report);
    }
    if options.wants_any(&["cluster", "failover"]) {
        cluster::run(&options, &mut report);
    }
    report.note("load average at the end", &disk::load_average());
    report.note("fdatasync at the end, median of 50", &disk::describe());
    println!("{}", report.table());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).expect("the JSON file can be written");
    }
}
