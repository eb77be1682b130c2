//! What COPY statements are doing: the rows of `pg_stat_progress_copy`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// All COPY statements that run.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    entries: Mutex<BTreeMap<u64, Weak<Entry>>>,
    next: AtomicU64,
}

/// One COPY statement.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The session's process id.
    pub(crate) pid: i32,
    /// What is copied.
    pub(crate) name: &'static str,
    /// `COPY FROM` or `COPY TO`.
    pub(crate) command: &'static str,
    bytes: AtomicU64,
    rows: AtomicU64,
}

impl Progress {
    /// Registers a statement; it is gone when the entry is dropped.
    pub(crate) fn begin(&self, pid: i32, name: &'static str, command: &'static str) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            pid,
            name,
            command,
            bytes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
        });
        let mut entries = self.entries.lock();
        entries.retain(|_, entry| entry.strong_count() > 0);
        entries.insert(self.next.fetch_add(1, Ordering::Relaxed), Arc::downgrade(&entry));
        entry
    }

    /// The statements that run now, oldest first.
    pub(crate) fn running(&self) -> Vec<Arc<Entry>> {
        self.entries.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl Entry {
    /// Says how many bytes have come.
    pub(crate) fn bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Says how many rows have been worked on.
    pub(crate) fn rows(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// The bytes and the rows so far.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.rows.load(Ordering::Relaxed))
    }
}
