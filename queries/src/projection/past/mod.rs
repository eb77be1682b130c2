//! The projections as of a past instant.
//!
//! What is shown as of an instant is the fold of all events whose timestamp is not after it, wherever they stand:
//! the timestamps of one aggregate ascend, those of a shard need not, because a transaction over several shards
//! takes effect in each of them later than its timestamp says.
//!
//! - An instant that no folded event is newer than is what is there now.
//! - From an instant that little was changed since, the changes are taken back: [`restore`](mod@restore) puts what
//!   the histories say above what is there now. It costs what was changed since, however large the schedule is.
//! - Any other is replayed from the feed into a [`PrivateStore`]: the same fold into the same tables, in a
//!   directory of its own. Who asks one question about an instant mostly asks several, so the newest few are kept
//!   ([`PAST_STORES_MAX`]); before one is read again it is brought as far as the projections are, since an older
//!   timestamp may have come in later.
//!
//! Replaying belongs on a thread that may be held up: it takes as long as the log is long, and stops when the
//! statement does. What it has done by then is kept, and the next one goes on from there.
//!
//! The module knows nothing of SQL: an instant is a timestamp.

mod private;
mod restore;
mod restored;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rotabase_engine::db::{DbOptions, StoreError};
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;

use super::rows::Result;
use super::snapshot::Snapshot;
use private::PrivateStore;
pub(crate) use restore::restore;
use restored::Restored;

/// The past instants that are kept replayed at a time.
pub const PAST_STORES_MAX: usize = 4;

/// The bytes on disk that they may take together, if nothing else is asked for.
pub const PAST_BYTES_DEFAULT: u64 = 16 << 30;

/// How long a statement waits for another one's replay before it looks whether it shall stop.
const WAIT: Duration = Duration::from_millis(50);

/// The memory of one private store.
const DB_OPTIONS: DbOptions = DbOptions {
    cache_bytes: 16 << 20,
    write_buffer_bytes: 32 << 20,
    background_jobs: 1,
    open_files_max: 64,
    drop_unknown_families: false,
    rows_in_cache: false,
    memory: None,
};

/// Why a past instant cannot be shown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PastError {
    /// Whoever asked wants it no more.
    #[error("stopped")]
    Stopped,
    /// It takes more room than there is for past instants.
    #[error("the schedule as of that instant takes more than {bytes_max} bytes")]
    TooLarge {
        /// The room there is.
        bytes_max: u64,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The past instants of one machine's projections.
#[derive(Debug)]
pub(crate) struct Past {
    directory: PathBuf,
    bytes_max: u64,
    feed: Arc<dyn Feed>,
    slots: Mutex<Slots>,
    freed: Condvar,
    restored: Restored,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    // Grows with each use; also names directories.
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    at: Timestamp,
    used: u64,
    bytes: u64,
    // None while a statement works on it.
    store: Option<PrivateStore>,
}

impl Past {
    /// Past instants below `directory`; what is left there of an earlier run goes.
    pub(crate) fn open(directory: PathBuf, bytes_max: u64, feed: Arc<dyn Feed>) -> Result<Self> {
        delete(&directory)?;
        let (slots, freed) = (Mutex::default(), Condvar::new());
        Ok(Self { directory, bytes_max, feed, slots, freed, restored: Restored::default() })
    }

    /// The state as of `at`, with everything in it that had been folded before the call.
    pub(crate) fn as_of(
        &self,
        at: Timestamp,
        now: impl FnOnce() -> Snapshot,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Snapshot, PastError> {
        if let Some(restored) = self.restored.find(at) {
            return Ok(restored);
        }
        let batches = self.restored.batches();
        let now = now();
        if now.newest() <= at {
            return Ok(now.said_to_be(at));
        }
        if let Some(restored) = now.restored(at, stopped)? {
            self.restored.keep(at, restored.clone(), batches);
            return Ok(restored);
        }
        self.replayed(at, stopped)
    }

    /// A batch was folded; `oldest` is the oldest timestamp in it.
    pub(crate) fn folded(&self, oldest: Timestamp) {
        self.restored.folded(oldest);
    }

    /// The state as of `at` from a private store, with everything in it that was committed before the call.
    pub(crate) fn replayed(
        &self,
        at: Timestamp,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Snapshot, PastError> {
        let mut lease = self.lease(at, stopped)?;
        let committed = self.feed.committed_positions();
        let result = lease.store()?.advance(&committed, stopped, &mut |bytes| self.grow(at, bytes));
        if !matches!(result, Ok(_) | Err(PastError::Stopped)) {
            lease.spoil();
        }
        result
    }

    /// The store of an instant, for one statement at a time.
    fn lease(&self, at: Timestamp, stopped: &dyn Fn() -> bool) -> Result<Lease<'_>, PastError> {
        let mut slots = self.slots.lock();
        loop {
            if stopped() {
                return Err(PastError::Stopped);
            }
            slots.uses += 1;
            let used = slots.uses;
            if let Some(slot) = slots.slots.iter_mut().find(|slot| slot.at == at) {
                if let Some(store) = slot.store.take() {
                    slot.used = used;
                    return Ok(Lease { past: self, at, store: Some(store), name: used });
                }
            } else if slots.slots.len() < PAST_STORES_MAX || slots.evict(at) {
                slots.slots.push(Slot { at, used, bytes: 0, store: None });
                return Ok(Lease { past: self, at, store: None, name: used });
            }
            // A timeout is no error: the statement may have been stopped.
            let _ = self.freed.wait_for(&mut slots, WAIT);
        }
    }

    /// Notes what the store of an instant takes; others make room for it.
    fn grow(&self, at: Timestamp, bytes: u64) -> Result<(), PastError> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.slots.iter_mut().find(|slot| slot.at == at) {
            slot.bytes = bytes;
        }
        while slots.slots.iter().map(|slot| slot.bytes).sum::<u64>() > self.bytes_max {
            if !slots.evict(at) {
                return Err(PastError::TooLarge { bytes_max: self.bytes_max });
            }
        }
        Ok(())
    }
}

impl Slots {
    /// Gives up the store that was not used for the longest time, but not that of `except`; whether there was one.
    fn evict(&mut self, except: Timestamp) -> bool {
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.store.is_some());
        let oldest = idle.filter(|(_, slot)| slot.at != except).min_by_key(|(_, slot)| slot.used);
        let Some((oldest, _)) = oldest else { return false };
        if let Some(store) = self.slots.swap_remove(oldest).store {
            store.give_up();
        }
        true
    }
}

/// The right to work on the store of an instant; given back when dropped.
struct Lease<'a> {
    past: &'a Past,
    at: Timestamp,
    // None before it is opened, and when it is not to be kept.
    store: Option<PrivateStore>,
    name: u64,
}

impl Lease<'_> {
    fn store(&mut self) -> Result<&mut PrivateStore, PastError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => PrivateStore::open(
                &self.past.directory.join(self.name.to_string()),
                Arc::clone(&self.past.feed),
                self.at,
                &DB_OPTIONS,
            )?,
        };
        Ok(self.store.insert(store))
    }

    /// It is not to be used again.
    fn spoil(&mut self) {
        if let Some(store) = self.store.take() {
            store.give_up();
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut slots = self.past.slots.lock();
        if let Some(place) = slots.slots.iter().position(|slot| slot.at == self.at) {
            match self.store.take() {
                Some(store) => slots.slots[place].store = Some(store),
                None => drop(slots.slots.swap_remove(place)),
            }
        }
        drop(slots);
        self.past.freed.notify_all();
    }
}

/// Removes what is kept of past instants below `directory`, if there is any.
pub(crate) fn delete(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io(format!("\"{}\": {error}", directory.display())))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
