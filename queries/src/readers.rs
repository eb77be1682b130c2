//! The threads that read large tables, shared by all statements.
//!
//! Reading a row costs more than most operators spend on it, and a statement runs on one thread. So what is large is read
//! in parts by these threads, and the statement takes what they give.

use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::exec::EXEC_STACK_BYTES;

/// Tables of fewer rows are read by the statement itself: it takes no longer than waking others.
pub(crate) const PARALLEL_ROWS_MIN: u64 = 1 << 16;

/// As many as there are cores, from the first large table on that is read. A part whose thread panics is an error of its
/// statement; the hook for panics has told of it.
static READERS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let threads = ThreadPoolBuilder::new().thread_name(|number| format!("readers-{number}"));
    // They evaluate expressions, as deeply nested as those of statements may be.
    let threads = threads.stack_size(EXEC_STACK_BYTES);
    threads.panic_handler(|_| ()).build().ok()
});

/// The threads; none if the system has no more of them.
pub(crate) fn readers() -> Option<&'static ThreadPool> {
    READERS.as_ref()
}
