//! The threads of a server.

use tokio::runtime::{Builder, Runtime};

use super::error::CliError;

/// The stack of each thread. Binding, running and dropping deep plans recurses, on threads of both kinds.
const STACK_BYTES: usize = rotabase_queries::exec::EXEC_STACK_BYTES;

/// The threads for work that blocks: queries and file access.
const BLOCKING_THREADS_MAX: usize = 128;

/// A runtime with a worker for each core.
pub(crate) fn new() -> Result<Runtime, CliError> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.max(2))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(STACK_BYTES)
        .thread_name("rotabase")
        .enable_all()
        .build()
        .map_err(|error| CliError::io("start threads", error))
}
