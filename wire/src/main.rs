//! The program `rotabase`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use rotabase::cli::{self, Arguments};
use tikv_jemallocator::Jemalloc;

/// RocksDB allocates with it, too. It gives back what a load has taken within ten seconds, which the system's keeps.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match cli::run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
