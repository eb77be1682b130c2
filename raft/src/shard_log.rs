//! The logs of a machine's shards, as this crate sees them: the seam between Raft and storage.
//!
//! There are two implementations: the engine's, on RocksDB with group commit, and [`crate::memory::MemoryLog`],
//! which a test or a simulation can make lose what was not synced.

use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;
use rotabase_engine::aggregates::AggregateStats;
use rotabase_engine::db::StoreError;
use rotabase_engine::entry::{Attempt, Entry, Resolved};
use rotabase_engine::index::{Applied, Indexer, Prepared};
use rotabase_engine::log::{Committed, Leader, LogRow};
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::writer::{SubmitError, WriteTask};
use tokio::sync::oneshot;

/// The logs of all shards of one machine. Its promises are those of [`rotabase_engine::log`] and
/// [`rotabase_engine::writer`]: rows are readable when they are submitted, tasks take effect in order, and a
/// callback comes when what was submitted before it is durable.
pub trait ShardLog: Debug + Send + Sync + 'static {
    /// The number of shards.
    fn shards(&self) -> u16;

    /// The newest row.
    fn last(&self, shard: ShardId) -> Option<(LogIndex, Leader)>;

    /// Who proposed the row at `index`.
    fn leader_at(&self, shard: ShardId, index: LogIndex) -> Option<Leader>;

    /// Within `from..=to`, the last row of each leader.
    fn last_of_each_leader(
        &self,
        shard: ShardId,
        from: LogIndex,
        to: LogIndex,
    ) -> Vec<(LogIndex, Leader)>;

    /// Rows with this index or a greater one are read without touching the disk.
    fn in_memory_from(&self, shard: ShardId) -> LogIndex;

    /// Reads rows, verified, up to the one with which they take `bytes_max`; what lies behind the end is left out.
    fn read(
        &self,
        shard: ShardId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<LogRow>, StoreError>;

    /// Reads a record that was written by [`WriteTask::Meta`].
    fn meta(&self, shard: ShardId, name: &str) -> Result<Option<Bytes>, StoreError>;

    /// What was noted as committed.
    fn committed(&self, shard: ShardId) -> Result<Option<Committed>, StoreError>;

    /// How far the index has followed the log.
    fn applied(&self, shard: ShardId) -> Option<Applied>;

    /// An indexer that goes on from there.
    fn indexer(&self, shard: ShardId) -> Indexer;

    /// The entries whose events never happened.
    fn void_entries(&self, shard: ShardId) -> Result<Vec<LogIndex>, StoreError>;

    /// The prepares whose outcome is open, as far as the index is written: to be asked when the log is opened.
    fn prepared(&self, shard: ShardId) -> Result<Vec<Prepared>, StoreError>;

    /// The applied row that says what was decided of an attempt.
    fn decision(&self, shard: ShardId, attempt: Attempt) -> Result<Option<LogIndex>, StoreError>;

    /// Takes a task.
    fn try_submit(&self, task: WriteTask) -> Result<(), SubmitError>;

    /// Calls `notify` once there may be room for a task.
    fn when_room(&self, notify: Box<dyn FnOnce() + Send>);

    /// Why nothing can be written any more, if so.
    fn failure(&self) -> Option<StoreError>;

    /// Roughly the bytes of all logs.
    fn bytes(&self) -> u64;

    /// Roughly the bytes of one shard's log, as far as it is on disk.
    fn shard_bytes(&self, shard: ShardId) -> u64;

    /// What the caches of aggregates over this log have done, as far as that is counted.
    fn aggregate_stats(&self) -> AggregateStats {
        AggregateStats::default()
    }

    /// The bytes that the cache of blocks read from disk holds, and how many it may.
    fn block_cache_bytes(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Finishes what was submitted, makes it durable and refuses everything else. May block.
    fn shutdown(&self);
}

/// Reads one row.
pub(crate) fn read_row(
    log: &dyn ShardLog,
    shard: ShardId,
    index: LogIndex,
) -> Result<LogRow, StoreError> {
    let rows = log.read(shard, index..LogIndex(index.0 + 1), 1)?;
    rows.into_iter().next().ok_or_else(|| {
        StoreError::Corrupted(format!("row {} of shard {shard} is missing", index.0))
    })
}

/// What a row with events lets happen; the events of an outcome are read from its prepare.
pub(crate) fn resolve(
    log: &dyn ShardLog,
    shard: ShardId,
    row: &LogRow,
) -> Result<Resolved, StoreError> {
    let entry = Entry::decode(row.payload.clone())?;
    Resolved::new(row.index, entry, |prepared| {
        let row = read_row(log, shard, prepared)?;
        Ok(Entry::decode(row.payload)?)
    })
}

/// Submits a task, waiting for room without blocking the thread.
pub(crate) async fn submit(log: &dyn ShardLog, mut task: WriteTask) -> Result<(), StoreError> {
    loop {
        match log.try_submit(task) {
            Ok(()) => return Ok(()),
            Err(SubmitError::Failed(error)) => return Err(error),
            Err(SubmitError::Full(back)) => task = *back,
        }
        let (room, wait) = oneshot::channel();
        log.when_room(Box::new(move || {
            // The waiter may be gone.
            let _ = room.send(());
        }));
        if wait.await.is_err() {
            return Err(log
                .failure()
                .unwrap_or_else(|| StoreError::Io("the log is shut down".to_owned())));
        }
    }
}
