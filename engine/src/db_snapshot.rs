//! Consistent reads: snapshots and cursors that own what they need.
//!
//! RocksDB's snapshot borrows the database, so a struct that holds both refers to itself, which safe Rust
//! does not have, except in one place: the state of an `async` block. [`DbSnapshot`] keeps the database and
//! its snapshot in one such block, the keeper. Nothing here waits or runs concurrently: the keeper is polled by
//! hand, and each poll makes it hand out read options that name the snapshot. It never ends, so the snapshot
//! lives exactly as long as the keeper. Alternatives refused: a thread that holds the snapshot costs two context
//! switches a read, and leaking the database would never release its lock.

use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use rocksdb::ReadOptions;

use crate::db::{Backend, Db, Direction, Family, KeyRange, StoreError, Visit, Walk};
use crate::db_memory::MemorySnapshot;
use crate::db_walk::walk_singly;

/// One state of all families of a database. Cloning shares it; it is released with the last clone.
#[derive(Clone)]
pub struct DbSnapshot(Arc<Held>);

struct Held {
    state: State,
    db: Arc<Db>,
}

enum State {
    Directory {
        /// Reads of single rows go at the database directly, with options that name the snapshot.
        point: ReadOptions,
        keeper: Mutex<Keeper>,
    },
    Memory(MemorySnapshot),
}

impl fmt::Debug for DbSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbSnapshot").field("db", &self.0.db).finish_non_exhaustive()
    }
}

impl DbSnapshot {
    pub(crate) fn new(db: Arc<Db>) -> Self {
        let state = match &db.backend {
            Backend::Directory(_) => {
                let mut keeper = Keeper::new(Arc::clone(&db));
                State::Directory { point: keeper.read_options(), keeper: Mutex::new(keeper) }
            }
            Backend::Memory(memory) => State::Memory(memory.snapshot()),
        };
        Self(Arc::new(Held { state, db }))
    }

    /// The database that it is a state of.
    pub fn db(&self) -> &Arc<Db> {
        &self.0.db
    }

    /// Reads one row.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.get_with(family, key, Bytes::copy_from_slice)
    }

    /// Reads one row in place.
    pub fn get_with<R>(
        &self,
        family: Family,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError> {
        let Held { db, state } = &*self.0;
        match (&db.backend, state) {
            (Backend::Directory(raw), State::Directory { point, .. }) => {
                let pinned = raw.get_pinned_cf_opt(db.handle(raw, family), key, point)?;
                Ok(pinned.map(|value| read(&value)))
            }
            (_, State::Memory(rows)) => Ok(rows.get(db.name(family), key).map(|value| read(value))),
            _ => unreachable!("a snapshot is of its database's kind"),
        }
    }

    /// Reads rows of one family; the answers are in the order of `keys`. Faster when `keys` ascend.
    pub fn multi_get<K: AsRef<[u8]>>(
        &self,
        family: Family,
        keys: &[K],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        match &self.0.state {
            State::Directory { point, .. } => self.0.db.multi_get_opt(family, keys, point),
            State::Memory(_) => keys.iter().map(|key| self.get(family, key.as_ref())).collect(),
        }
    }

    /// Visits those of the keys that exist, each with its number; `keys` ascend.
    pub fn walk<K: AsRef<[u8]>>(
        &self,
        family: Family,
        keys: &[K],
        visit: &mut Walk<'_>,
    ) -> Result<(), StoreError> {
        let Held { db, state } = &*self.0;
        match (&db.backend, state) {
            (Backend::Directory(raw), State::Directory { keeper, .. }) => {
                let options = keeper.lock().read_options();
                db.walk_rows(raw, family, keys, options, visit)
            }
            _ => walk_singly(keys, |at, key| self.get_with(family, key, |value| visit(at, value))),
        }
    }

    /// Visits the rows of `range` until `visit` breaks.
    pub fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let Held { db, state } = &*self.0;
        match (&db.backend, state) {
            (Backend::Directory(raw), State::Directory { keeper, .. }) => {
                let options = keeper.lock().read_options();
                db.scan_rows(raw, range, direction, options, visit)
            }
            (_, State::Memory(rows)) => {
                rows.scan(db.name(range.family), range, direction, visit);
                Ok(())
            }
            _ => unreachable!("a snapshot is of its database's kind"),
        }
    }

    /// A cursor over the rows of `range`.
    pub fn cursor(&self, range: KeyRange, direction: Direction) -> Cursor {
        Cursor { snapshot: self.clone(), range, direction, done: false }
    }
}

/// The database and its snapshot, suspended; see the module's documentation.
struct Keeper {
    state: Pin<Box<dyn Future<Output = ()> + Send>>,
    handed_out: Arc<Mutex<Option<ReadOptions>>>,
}

impl Keeper {
    fn new(db: Arc<Db>) -> Self {
        let handed_out = Arc::new(Mutex::new(None));
        let hand_out = Arc::clone(&handed_out);
        let state = Box::pin(async move {
            let Backend::Directory(raw) = &db.backend else { return };
            let snapshot = raw.snapshot();
            loop {
                let mut options = ReadOptions::default();
                options.set_snapshot(&snapshot);
                *hand_out.lock() = Some(options);
                suspend().await;
            }
        });
        Self { state, handed_out }
    }

    fn read_options(&mut self) -> ReadOptions {
        let poll = self.state.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending(), "the keeper never ends");
        self.handed_out.lock().take().expect("each poll hands out options")
    }
}

/// Returns to whoever polls, once.
fn suspend() -> impl Future<Output = ()> {
    let mut suspended = false;
    poll_fn(
        move |_| {
            if std::mem::replace(&mut suspended, true) { Poll::Ready(()) } else { Poll::Pending }
        },
    )
}

/// Reads a range chunk by chunk under a snapshot. Between two chunks it holds no more than the snapshot and a
/// key, so it can wait in a session for as long as it likes, at the price of one seek a chunk.
#[derive(Clone, Debug)]
pub struct Cursor {
    snapshot: DbSnapshot,
    /// What is left to read.
    range: KeyRange,
    direction: Direction,
    done: bool,
}

impl Cursor {
    /// Fills `out`, which is emptied first, with the next rows: at most `rows_max` of them, and no further row
    /// once they take `bytes_max`. Nothing in it means that the range is exhausted.
    pub fn next_chunk(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        out: &mut Rows,
    ) -> Result<(), StoreError> {
        assert!(rows_max > 0, "a chunk holds at least one row");
        out.clear();
        if self.done {
            return Ok(());
        }
        let mut more = false;
        self.snapshot.scan(&self.range, self.direction, &mut |key, value| {
            if out.len() == rows_max || (out.bytes() >= bytes_max && !out.is_empty()) {
                more = true;
                return ControlFlow::Break(());
            }
            out.push(key, value);
            ControlFlow::Continue(())
        })?;
        self.done = !more;
        if let Some((key, _)) = out.last() {
            match self.direction {
                Direction::Forward => {
                    self.range.lower.clear();
                    self.range.lower.extend_from_slice(key);
                    self.range.lower.push(0);
                }
                Direction::Backward => self.range.upper = Some(key.to_vec()),
            }
        }
        Ok(())
    }
}

/// Keys and values in one buffer: a chunk of a scan, or rows on their way into a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    buffer: Vec<u8>,
    /// For each row where its key and its value end.
    ends: Vec<(usize, usize)>,
}

impl Rows {
    /// Adds a row.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.buffer.extend_from_slice(key);
        let key_end = self.buffer.len();
        self.buffer.extend_from_slice(value);
        self.ends.push((key_end, self.buffer.len()));
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.ends.clear();
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of the keys and values.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The row `at`, from 0.
    pub fn get(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let (key_end, value_end) = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1].1 };
        Some((&self.buffer[start..key_end], &self.buffer[key_end..value_end]))
    }

    /// The last row.
    pub fn last(&self) -> Option<(&[u8], &[u8])> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).map(|at| self.get(at).expect("below the number of rows"))
    }
}
