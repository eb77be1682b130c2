//! openraft's log storage over a [`ShardLog`].
//!
//! Append queues rows and returns; openraft is told by a callback when they are durable, and goes on meanwhile:
//! replication and the next append run beside the sync. The log is never purged, so that a purge is an error: it
//! would mean that openraft believes in a hole.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::sync::Arc;

use futures::Stream;
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::Mutex;
use rotabase_engine::db::StoreError;
use rotabase_engine::log::Committed;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::writer::WriteTask;
use tokio::sync::oneshot;

use crate::row;
use crate::shard_log::{ShardLog, submit};
use crate::type_config::{LogId, RaftEntry, TypeConfig, Vote};

/// The bytes of entries that one read for replication or apply gives, at least one entry even if it is longer.
pub const READ_BYTES_MAX: usize = 2 << 20;

const VOTE: &str = "vote";

/// The log of one replica. Clones are one log.
#[derive(Clone, Debug)]
pub struct ReplicaLog {
    shard: ShardId,
    log: Arc<dyn ShardLog>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// The committed mark goes to the log with the next append, so that it never costs a write of its own.
    committed_saved: bool,
}

impl ReplicaLog {
    /// Opens the log of `shard`.
    pub fn open(shard: ShardId, log: Arc<dyn ShardLog>) -> Result<Self, StoreError> {
        let vote = log.meta(shard, VOTE)?.map(|record| row::decode_vote(&record)).transpose()?;
        let committed = log
            .committed(shard)?
            .map(|committed| row::log_id_of(committed.index, committed.leader));
        let state = State { vote, committed, committed_saved: true };
        Ok(Self { shard, log, state: Arc::new(Mutex::new(state)) })
    }

    /// Writes the committed mark that is still to be written, at an orderly end.
    pub(crate) async fn save_committed_mark(&self) -> Result<(), StoreError> {
        let Some(task) = self.committed_task() else { return Ok(()) };
        submit(&*self.log, task).await
    }

    fn committed_task(&self) -> Option<WriteTask> {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.committed_saved, true) {
            return None;
        }
        let committed = state.committed?;
        let mark = Committed {
            index: LogIndex(committed.index),
            leader: row::leader_of(committed.leader_id),
        };
        Some(WriteTask::Committed(self.shard, mark))
    }

    /// Reads entries from `start` on and below `end`; not on this thread if the disk is needed.
    async fn read(
        &self,
        start: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        if start >= end {
            return Ok(Vec::new());
        }
        let (shard, range) = (self.shard, LogIndex(start)..LogIndex(end));
        let rows = if self.log.in_memory_from(shard) <= range.start {
            self.log.read(shard, range, bytes_max)
        } else {
            let log = Arc::clone(&self.log);
            crate::runtime::spawn_blocking(move || log.read(shard, range, bytes_max))
                .await
                .map_err(io::Error::other)?
        };
        rows.map_err(io::Error::other)?
            .into_iter()
            .map(|row| row::entry_of(row).map_err(io::Error::other))
            .collect()
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end + 1,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for ReplicaLog {
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<RaftEntry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        // Piece by piece: what a restarted replica has to apply may be the whole log.
        let (start, end) = bounds(&range);
        let state = (self.clone(), start, Vec::new().into_iter());
        futures::stream::try_unfold(state, move |(log, next, mut entries)| async move {
            loop {
                if let Some(entry) = entries.next() {
                    return Ok(Some((entry, (log, next + 1, entries))));
                }
                let read = log.read(next, end, READ_BYTES_MAX).await?;
                if read.is_empty() {
                    return Ok(None);
                }
                entries = read.into_iter();
            }
        })
    }

    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let (start, end) = bounds(&range);
        self.read(start, end, usize::MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.state.lock().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        self.read(start, end, READ_BYTES_MAX).await
    }

    async fn get_key_log_ids(
        &mut self,
        range: RangeInclusive<LogId>,
    ) -> Result<Vec<LogId>, io::Error> {
        // openraft's documentation says the first log id of each leader; what it works with is the last.
        let (from, to) = (LogIndex(range.start().index), LogIndex(range.end().index));
        let last_of_each = self.log.last_of_each_leader(self.shard, from, to);
        Ok(last_of_each.into_iter().map(|(index, leader)| row::log_id_of(index, leader)).collect())
    }
}

impl RaftLogStorage<TypeConfig> for ReplicaLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_log_id =
            self.log.last(self.shard).map(|(index, leader)| row::log_id_of(index, leader));
        Ok(LogState { last_purged_log_id: None, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (saved, wait) = oneshot::channel();
        let done = Box::new(move |result| {
            // The waiter may be gone.
            let _ = saved.send(result);
        });
        let task =
            WriteTask::Meta { shard: self.shard, name: VOTE, value: row::encode_vote(vote), done };
        submit(&*self.log, task).await.map_err(io::Error::other)?;
        if !planted::has(Bug::VoteNotSynced) {
            wait.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        self.state.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let mut state = self.state.lock();
        state.committed = committed;
        state.committed_saved = committed.is_none();
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let committed = self.state.lock().committed;
        // The mark may have outlived rows that were never synced.
        let last = self.log.last(self.shard).map(|(index, _)| index.0);
        Ok(committed.filter(|committed| Some(committed.index) <= last))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let rows: Vec<_> = entries.into_iter().map(row::row_of).collect();
        if let Some(task) = self.committed_task() {
            submit(&*self.log, task).await.map_err(io::Error::other)?;
        }
        let done: rotabase_engine::writer::Done =
            Box::new(move |result| callback.io_completed(result.map_err(io::Error::other)));
        let task = if rows.is_empty() {
            WriteTask::Sync(done)
        } else {
            WriteTask::Append { shard: self.shard, rows, done }
        };
        submit(&*self.log, task).await.map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let keep = last_log_id.map(|last| LogIndex(last.index));
        // Nobody waits: what is appended next goes the same way, behind it.
        let task = WriteTask::Truncate { shard: self.shard, keep, done: Box::new(|_| {}) };
        submit(&*self.log, task).await.map_err(io::Error::other)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        Err(io::Error::other(format!(
            "the log of shard {} is the data and is never purged, not up to {log_id}",
            self.shard
        )))
    }
}
