//! The one way into the log: group commit over all shards of a machine.
//!
//! ```text
//! shards ──submit──▶ queue, bounded in bytes ──▶ one batch, not synced ──▶ one sync ──▶ callbacks, in order
//!    └── rows are readable at once                 └── then index and snapshots, not logged
//! ```
//!
//! A write takes whatever has gathered as one batch; a sync makes durable whatever has been written. There is one
//! write at a time, and one sync, and they go on beside each other. So one sync acknowledges many shards, and the
//! busier the machine is the more. Votes, truncations and marks go the same way, so their order is the order in
//! which they were submitted.
//!
//! # Invariants
//!
//! - A callback with `Ok` comes after the sync that made its task durable, and after the callbacks of all tasks
//!   submitted before it.
//! - Index and snapshots of a row are written after the row.
//! - After a failed write or sync nothing is acknowledged any more: what the disk holds is not known then, and
//!   trying again would prove nothing. The store is poisoned, every task fails, and `on_fatal` is told.
//!
//! # Threads
//!
//! [`LogWriter::start`] has two threads that do the same: whoever has written also syncs, unless the other is
//! syncing, and then that one syncs once more. So a task that comes alone is handed to a thread once, and under
//! load one of them writes while the other syncs. [`LogWriter::stepped`] starts none: a simulation calls
//! [`LogWriter::step_write`] and [`LogWriter::step_sync`], which are all that the threads do.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::db::{Rows, StoreError};
use crate::index::IndexUpdate;
use crate::log::{Committed, LogRow, LogStore};
use crate::log_meta;
use crate::planted::{self, Bug};
use crate::position::{LogIndex, ShardId};
use crate::record;
use crate::writer_batch::{Action, Batches};

/// The bytes of tasks that wait to be written or synced; a submitter waits when there are more.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// The bytes of tasks after which a batch is written although more are waiting.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// Derived data, for which nobody waits, is written along with the next task that somebody waits for, or when it
/// has gathered so many bytes: it is visible already, and computed again after a crash.
pub const DERIVED_BYTES_MAX: usize = 256 << 10;

/// What is called when a task is durable, or has failed. Called on the thread that syncs: it must be short.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Told of the first failure; ends the process in production.
pub type OnFatal = Box<dyn Fn(&StoreError) + Send + Sync>;

/// Told when there is something to write that somebody waits for.
pub type OnDue = Box<dyn Fn() + Send + Sync>;

/// Something to write.
pub enum WriteTask {
    /// Rows that follow the shard's newest.
    Append {
        /// The shard.
        shard: ShardId,
        /// The rows, in order.
        rows: Vec<LogRow>,
        /// Called when they are durable.
        done: Done,
    },
    /// Cuts a shard's log off behind a row, or wholly.
    Truncate {
        /// The shard.
        shard: ShardId,
        /// The last row that stays.
        keep: Option<LogIndex>,
        /// Called when the cut is durable.
        done: Done,
    },
    /// A record of the replication layer, as the vote.
    Meta {
        /// The shard.
        shard: ShardId,
        /// The record's name.
        name: &'static str,
        /// What it says.
        value: Bytes,
        /// Called when it is durable.
        done: Done,
    },
    /// Notes what is committed. Nobody waits for it; it becomes durable with what comes after.
    Committed(ShardId, Committed),
    /// What the index has to remember of applied rows. Survives a crash only by being computed again.
    Index(IndexUpdate),
    /// Aggregate snapshots, of applied rows only.
    Snapshots(Rows),
    /// Nothing: calls back when all that was submitted before is durable.
    Sync(Done),
}

impl fmt::Debug for WriteTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { shard, rows, .. } => write!(f, "Append({shard}, {} rows)", rows.len()),
            Self::Truncate { shard, keep, .. } => write!(f, "Truncate({shard}, {keep:?})"),
            Self::Meta { shard, name, .. } => write!(f, "Meta({shard}, {name})"),
            Self::Committed(shard, committed) => write!(f, "Committed({shard}, {committed:?})"),
            Self::Index(update) => write!(f, "Index({update:?})"),
            Self::Snapshots(rows) => write!(f, "Snapshots({} rows)", rows.len()),
            Self::Sync(_) => f.write_str("Sync"),
        }
    }
}

/// Why a task was not taken.
#[derive(Debug)]
pub enum SubmitError {
    /// The queue is full; the task is given back.
    Full(Box<WriteTask>),
    /// The store is poisoned or shut down. The task was dropped, its callback not called.
    Failed(StoreError),
}

/// The group-commit writer of a log store.
pub struct LogWriter {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stepped: bool,
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter").field("store", &self.shared.store).finish_non_exhaustive()
    }
}

struct Shared {
    store: Arc<LogStore>,
    queue: Mutex<Queue>,
    /// There is something to do that nobody does, or the end was announced.
    work: Condvar,
    /// There may be room in the queue.
    room: Condvar,
    on_fatal: OnFatal,
    /// Of a stepped writer.
    on_due: Option<OnDue>,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "what its two threads do, each by itself")]
struct Queue {
    tasks: VecDeque<Pending>,
    /// Written, but not yet durable.
    unsynced: VecDeque<Written>,
    /// The bytes of both.
    bytes: usize,
    /// Called as soon as there is room again.
    waiting: Vec<Box<dyn FnOnce() + Send>>,
    failed: Option<StoreError>,
    closing: bool,
    /// Whether the tasks are to be written now, and do not wait for one that somebody waits for.
    due: bool,
    /// Whether a thread writes, and whether one syncs.
    writing: bool,
    syncing: bool,
}

/// An accepted task, with what the log said of it when it was accepted.
struct Pending {
    action: Action,
    bytes: usize,
    done: Option<Done>,
}

/// What one batch brought: the marks it moves and the callbacks it owes.
#[derive(Default)]
struct Written {
    marks: Vec<(ShardId, u64, LogIndex)>,
    done: Vec<Done>,
    bytes: usize,
}

impl LogWriter {
    /// A writer with its threads.
    pub fn start(store: Arc<LogStore>, on_fatal: OnFatal) -> Result<Arc<Self>, StoreError> {
        let writer = Self::new(store, on_fatal, false, None);
        writer.spawn()?;
        writer.spawn()?;
        Ok(writer)
    }

    fn spawn(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("log-writer".to_owned());
        let thread = thread.spawn(move || shared.work_loop());
        self.threads.lock().push(
            thread.map_err(|error| StoreError::Io(format!("could not start a thread: {error}")))?,
        );
        Ok(())
    }

    /// A writer that works only when it is stepped.
    pub fn stepped(store: Arc<LogStore>, on_fatal: OnFatal) -> Arc<Self> {
        Self::new(store, on_fatal, true, None)
    }

    /// The same, telling `on_due` when it is to be stepped.
    pub fn stepped_when_due(store: Arc<LogStore>, on_fatal: OnFatal, on_due: OnDue) -> Arc<Self> {
        Self::new(store, on_fatal, true, Some(on_due))
    }

    fn new(
        store: Arc<LogStore>,
        on_fatal: OnFatal,
        stepped: bool,
        on_due: Option<OnDue>,
    ) -> Arc<Self> {
        let queue = Mutex::default();
        let (work, room) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { store, queue, work, room, on_fatal, on_due });
        Arc::new(Self { shared, threads: Mutex::default(), stepped })
    }

    /// The store that it writes into.
    pub fn store(&self) -> &Arc<LogStore> {
        &self.shared.store
    }

    /// Takes a task if there is room. Rows are readable, and cut-off rows gone, when this returns. The tasks of
    /// one shard must come from one caller at a time.
    pub fn try_submit(&self, task: WriteTask) -> Result<(), SubmitError> {
        let queue = self.shared.queue.lock();
        if queue.bytes >= QUEUE_BYTES_MAX && queue.failed.is_none() && !queue.closing {
            drop(queue);
            return Err(SubmitError::Full(Box::new(task)));
        }
        self.shared.accept(queue, task).map_err(SubmitError::Failed)
    }

    /// Takes a task, waiting for room if need be. A stepped writer has nobody to wait for and takes it at once.
    pub fn submit(&self, task: WriteTask) -> Result<(), StoreError> {
        let mut queue = self.shared.queue.lock();
        while !self.stepped
            && queue.bytes >= QUEUE_BYTES_MAX
            && queue.failed.is_none()
            && !queue.closing
        {
            self.shared.room.wait(&mut queue);
        }
        self.shared.accept(queue, task)
    }

    /// Calls `notify` once there is room: at once, or when enough has become durable, or when the store fails. For
    /// callers that must not block.
    pub fn when_room(&self, notify: Box<dyn FnOnce() + Send>) {
        let mut queue = self.shared.queue.lock();
        if queue.bytes >= QUEUE_BYTES_MAX && queue.failed.is_none() && !queue.closing {
            queue.waiting.push(notify);
        } else {
            drop(queue);
            notify();
        }
    }

    /// The bytes that wait to be written or synced.
    pub fn queued_bytes(&self) -> usize {
        self.shared.queue.lock().bytes
    }

    /// Why the store is poisoned, if it is.
    pub fn failure(&self) -> Option<StoreError> {
        self.shared.queue.lock().failed.clone()
    }

    /// Poisons the store: for whoever finds out by other means that it cannot be trusted any more.
    pub fn poison(&self, error: &StoreError) {
        self.shared.fail(error);
    }

    /// Writes what has gathered, as one batch. False if there was nothing.
    pub fn step_write(&self) -> bool {
        assert!(self.stepped, "the threads write");
        self.shared.step_write()
    }

    /// Makes durable what was written, and calls back. False if there was nothing.
    pub fn step_sync(&self) -> bool {
        assert!(self.stepped, "the threads sync");
        self.shared.step_sync()
    }

    /// Finishes what was submitted, refuses everything else, and waits for the threads.
    pub fn shutdown(&self) {
        let waiting = {
            let mut queue = self.shared.queue.lock();
            queue.closing = true;
            std::mem::take(&mut queue.waiting)
        };
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        for notify in waiting {
            notify();
        }
        if self.stepped {
            while self.shared.step_write() || self.shared.step_sync() {}
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        let own = std::thread::current().id();
        // A callback may hold the last handle: its thread ends by itself.
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            if thread.join().is_err() {
                self.shared.fail(&StoreError::Io("a writer thread panicked".to_owned()));
            }
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if !self.stepped {
            self.shutdown();
        }
    }
}

impl Shared {
    /// Takes a task under the queue's lock, so that the log and the queue see one order.
    fn accept(
        &self,
        mut queue: parking_lot::MutexGuard<'_, Queue>,
        task: WriteTask,
    ) -> Result<(), StoreError> {
        if let Some(error) = &queue.failed {
            return Err(error.clone());
        }
        if queue.closing {
            return Err(StoreError::Io("the log is shut down".to_owned()));
        }
        let pending = self.pending(task);
        queue.bytes += pending.bytes;
        let is_due = pending.done.is_some() || queue.bytes >= DERIVED_BYTES_MAX;
        queue.tasks.push_back(pending);
        queue.due |= is_due;
        // Who writes looks for more when that is done.
        let is_unattended = is_due && !queue.writing;
        drop(queue);
        if is_unattended {
            self.work.notify_one();
        }
        if is_due && let Some(on_due) = &self.on_due {
            on_due();
        }
        Ok(())
    }

    fn pending(&self, task: WriteTask) -> Pending {
        match task {
            WriteTask::Append { shard, rows, done } => {
                let accepted = self.store.accept_append(shard, &rows);
                let bytes = rows.iter().map(LogRow::bytes).sum();
                Pending {
                    action: Action::Append { shard, rows, accepted },
                    bytes,
                    done: Some(done),
                }
            }
            WriteTask::Truncate { shard, keep, done } => {
                let truncated = self.store.accept_truncate(shard, keep);
                Pending {
                    action: Action::Truncate { shard, truncated },
                    bytes: 0,
                    done: Some(done),
                }
            }
            WriteTask::Meta { shard, name, value, done } => meta(shard, name, &value, Some(done)),
            WriteTask::Committed(shard, committed) => {
                meta(shard, log_meta::committed_name(), &committed.encode(), None)
            }
            WriteTask::Index(update) => {
                let update = Arc::new(update);
                self.store.index().remember(&update);
                Pending { bytes: update.bytes(), action: Action::Index(update), done: None }
            }
            WriteTask::Snapshots(rows) => {
                Pending { bytes: rows.bytes(), action: Action::Snapshots(rows), done: None }
            }
            WriteTask::Sync(done) => Pending { action: Action::Sync, bytes: 0, done: Some(done) },
        }
    }

    fn work_loop(&self) {
        let mut queue = self.queue.lock();
        loop {
            if queue.wants_sync() {
                queue.syncing = true;
                let others_write = queue.wants_write();
                drop(queue);
                if others_write {
                    self.work.notify_one();
                }
                self.step_sync();
                queue = self.queue.lock();
                queue.syncing = false;
            } else if queue.wants_write() {
                queue.writing = true;
                drop(queue);
                self.step_write();
                queue = self.queue.lock();
                queue.writing = false;
            } else if queue.is_over() {
                drop(queue);
                // The other one may be waiting for what this one has done.
                self.work.notify_all();
                return;
            } else {
                self.work.wait(&mut queue);
            }
        }
    }

    fn step_write(&self) -> bool {
        let tasks = self.take_tasks();
        if tasks.is_empty() {
            return false;
        }
        let mut batches = Batches::new(&self.store);
        let mut written = Written::default();
        let mut released = 0;
        let mut indexed = Vec::new();
        for Pending { action, bytes, done } in tasks {
            // What nobody waits for is settled when it is written.
            if done.is_some() {
                written.bytes += bytes;
            } else {
                released += bytes;
            }
            written.done.extend(done);
            batches.add(action, &mut written.marks, &mut indexed);
        }
        let failed = self.queue.lock().failed.clone();
        match failed.map_or_else(|| batches.write(&self.store), Err) {
            Ok(()) => {
                for (shard, epoch, index) in &written.marks {
                    self.store.mark_written(*shard, *epoch, *index);
                }
                for update in &indexed {
                    self.store.index().forget(update);
                }
            }
            // Before the batch is handed over, so that who syncs cannot take it for written.
            Err(error) => self.fail(&error),
        }
        if planted::has(Bug::AckBeforeSync) {
            written.done.drain(..).for_each(|done| done(Ok(())));
        }
        let mut queue = self.queue.lock();
        queue.bytes -= released;
        queue.unsynced.push_back(written);
        let waiting = queue.take_waiting();
        drop(queue);
        self.tell_room(waiting);
        true
    }

    fn step_sync(&self) -> bool {
        let batches = std::mem::take(&mut self.queue.lock().unsynced);
        if batches.is_empty() {
            return false;
        }
        let failed = self.queue.lock().failed.clone();
        let nobody_waits = batches.iter().all(|written| written.done.is_empty());
        let result = match failed {
            Some(error) => Err(error),
            None if nobody_waits => Ok(()),
            None if planted::has(Bug::SyncErrorIgnored) => self.store.db().sync_wal().or(Ok(())),
            None => self.store.db().sync_wal(),
        };
        if let Err(error) = &result {
            self.fail(error);
        }
        let mut released = 0;
        for written in batches {
            released += written.bytes;
            if result.is_ok() {
                for (shard, epoch, index) in written.marks {
                    self.store.mark_durable(shard, epoch, index);
                }
            }
            for done in written.done {
                done(result.clone());
            }
        }
        let mut queue = self.queue.lock();
        queue.bytes -= released;
        let waiting = queue.take_waiting();
        drop(queue);
        self.tell_room(waiting);
        true
    }

    fn take_tasks(&self) -> Vec<Pending> {
        let mut queue = self.queue.lock();
        let mut bytes = 0;
        let mut tasks = Vec::new();
        while bytes < BATCH_BYTES_MAX {
            let Some(task) = queue.tasks.pop_front() else { break };
            bytes += task.bytes;
            tasks.push(task);
        }
        queue.due &= !queue.tasks.is_empty();
        tasks
    }

    /// Poisons the store. Tasks that wait go through the same steps, and fail there in order.
    fn fail(&self, error: &StoreError) {
        let mut queue = self.queue.lock();
        let first = queue.failed.is_none();
        if first {
            queue.failed = Some(error.clone());
        }
        let waiting = queue.take_waiting();
        drop(queue);
        self.work.notify_all();
        self.tell_room(waiting);
        if first {
            (self.on_fatal)(error);
        }
    }

    fn tell_room(&self, waiting: Vec<Box<dyn FnOnce() + Send>>) {
        self.room.notify_all();
        for notify in waiting {
            notify();
        }
    }
}

impl Queue {
    /// Whether a thread should write.
    fn wants_write(&self) -> bool {
        let is_due = self.due || self.closing || self.failed.is_some();
        is_due && !self.writing && !self.tasks.is_empty()
    }

    /// Whether a thread should sync.
    fn wants_sync(&self) -> bool {
        !self.syncing && !self.unsynced.is_empty()
    }

    /// Whether nothing is left to be done, and nothing will come, but for what another thread is doing.
    fn is_over(&self) -> bool {
        let is_ending = self.closing || self.failed.is_some();
        is_ending && self.tasks.is_empty() && self.unsynced.is_empty() && !self.writing
    }

    fn take_waiting(&mut self) -> Vec<Box<dyn FnOnce() + Send>> {
        if self.bytes < QUEUE_BYTES_MAX || self.failed.is_some() {
            std::mem::take(&mut self.waiting)
        } else {
            Vec::new()
        }
    }
}

fn meta(shard: ShardId, name: &str, value: &[u8], done: Option<Done>) -> Pending {
    let key = log_meta::key(shard, name.as_bytes());
    let mut value = value.to_vec();
    record::seal(&key, &mut value);
    Pending { bytes: key.len() + value.len(), action: Action::Meta { key, value }, done }
}
