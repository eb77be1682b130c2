//! A machine without a vote: it keeps the committed rows of another machine's logs as they are, and feeds them on.
//!
//! Rows come from outside ([`Follower::append`]), in order and without gaps, and are committed already, so none is
//! ever cut off again. Applying them is what [`crate::replica_machine`] does: the index is written behind the log,
//! and the entry is published. So whoever follows a follower sees what its source shows, at the same positions.
//!
//! It must never know where rows come from.

use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::feed::{FEED_READ_BYTES_MAX, Feed as _};
use rotabase_engine::index::{Effect, Indexer};
use rotabase_engine::log::{Committed, LogRow, LogStore, RowKind};
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use rotabase_engine::writer::WriteTask;
use tokio::sync::{Mutex, oneshot};

use crate::error::NodeError;
use crate::feed::{NodeFeed, Published};
use crate::hybrid_clock::HybridClock;
use crate::replica_machine::events_bytes;
use crate::shard::ShardStatus;
use crate::shard_log::{ShardLog, read_row, resolve, submit};

/// The record that marks the log of a machine without a vote, kept with the first shard.
const FOLLOWER: &str = "follower";

/// The record that a machine with a vote keeps with each shard.
pub(crate) const REPLICA: &str = "replica";

/// The logs of a machine without a vote.
#[derive(Debug)]
pub(crate) struct Follower {
    log: Arc<dyn ShardLog>,
    feed: Arc<NodeFeed>,
    clock: Arc<HybridClock>,
    shards: Vec<Mutex<Indexer>>,
}

impl Follower {
    /// Goes on where the logs stand; marks them as a follower's the first time.
    pub(crate) async fn open(
        log: Arc<dyn ShardLog>,
        feed: Arc<NodeFeed>,
        clock: Arc<HybridClock>,
    ) -> Result<Self, NodeError> {
        mark(&*log).await?;
        let shards = (0..log.shards()).map(|shard| Mutex::new(log.indexer(ShardId(shard))));
        let follower = Self { shards: shards.collect(), log, feed, clock };
        for shard in (0..follower.log.shards()).map(ShardId) {
            let mut indexer = follower.shard(shard).lock().await;
            follower.catch_up(shard, &mut indexer).await?;
        }
        Ok(follower)
    }

    /// The index of the row that has to come next.
    pub(crate) fn next(&self, shard: ShardId) -> LogIndex {
        self.log.last(shard).map_or(LogIndex(0), |(last, _)| LogIndex(last.0 + 1))
    }

    /// Where to begin when rows are asked for: each shard's newest comes again, so that it is seen whether it is the
    /// same there.
    pub(crate) fn resume(&self) -> Positions {
        let mut positions = Positions::default();
        for shard in (0..self.log.shards()).map(ShardId) {
            let before = self.log.last(shard).and_then(|(last, _)| last.0.checked_sub(1));
            if let Some(before) = before {
                positions.advance(shard, Position::end_of(LogIndex(before)));
            }
        }
        positions
    }

    /// Takes rows that are committed and follow the shard's newest, writes them and feeds them on. Rows that are here
    /// may come again, and must be the same: else they are of another history. Returns before they are durable: what a
    /// power cut takes can be had again.
    pub(crate) async fn append(
        &self,
        shard: ShardId,
        mut rows: Vec<LogRow>,
    ) -> Result<(), StoreError> {
        let mut indexer = self.shard(shard).lock().await;
        // What could not be read last time is in the log, and comes first.
        self.catch_up(shard, &mut indexer).await?;
        let next = self.next(shard);
        for row in rows.drain(..rows.partition_point(|row| row.index < next)) {
            if read_row(&*self.log, shard, row.index)? != row {
                return Err(StoreError::Incompatible(format!(
                    "shard {shard} has another row {} there than here",
                    row.index.0
                )));
            }
        }
        let Some(last) = rows.last() else { return Ok(()) };
        let committed = Committed { index: last.index, leader: last.leader };
        let consecutive = (self.next(shard).0..).zip(&rows).all(|(next, row)| row.index.0 == next);
        if !consecutive {
            let next = self.next(shard).0;
            return Err(StoreError::Incompatible(format!(
                "rows of shard {shard} do not follow each other: {next} is the next"
            )));
        }
        // A failure is found by the next task, and by whoever looks at the log's health.
        let done = Box::new(|_| ());
        submit(&*self.log, WriteTask::Append { shard, rows: rows.clone(), done }).await?;
        submit(&*self.log, WriteTask::Committed(shard, committed)).await?;
        self.apply(shard, &mut indexer, rows).await
    }

    /// How the shards are doing.
    pub(crate) fn status(&self) -> Vec<ShardStatus> {
        let error = self.log.failure().map(|error| error.to_string());
        let status = |shard| {
            let (last_index, leader) = self.log.last(shard).unwrap_or_default();
            ShardStatus {
                shard,
                leader: None,
                leading: false,
                term: leader.term,
                last_index,
                applied: self.feed.committed(shard),
                waiting: 0,
                error: error.clone(),
                voters: Vec::new(),
                learners: Vec::new(),
            }
        };
        (0..self.log.shards()).map(ShardId).map(status).collect()
    }

    /// Applies what is in the log and not in the index: because of a crash, or because it could not be read.
    async fn catch_up(&self, shard: ShardId, indexer: &mut Indexer) -> Result<(), StoreError> {
        loop {
            let next = indexer.applied().map_or(0, |applied| applied.index.0 + 1);
            let end = self.next(shard);
            if next == end.0 {
                return Ok(());
            }
            let skipped = u64::from(planted::has(Bug::CatchUpSkips) && next > 0);
            let next = next + skipped;
            let rows = self.log.read(shard, LogIndex(next)..end, FEED_READ_BYTES_MAX)?;
            if rows.is_empty() {
                return Ok(());
            }
            self.apply(shard, indexer, rows).await?;
        }
    }

    async fn apply(
        &self,
        shard: ShardId,
        indexer: &mut Indexer,
        rows: Vec<LogRow>,
    ) -> Result<(), StoreError> {
        let (mut entries, mut voids, mut last) = (Vec::new(), Vec::new(), None);
        // What may fail comes before what cannot be taken back.
        let resolve = |row: LogRow| {
            let holds_events = row.kind == RowKind::Events;
            let resolved = holds_events.then(|| resolve(&*self.log, shard, &row)).transpose()?;
            Ok((row, resolved))
        };
        let rows = rows.into_iter().map(resolve).collect::<Result<Vec<_>, StoreError>>()?;
        for (row, resolved) in rows {
            last = Some(row.index);
            let Some(resolved) = resolved else {
                indexer.apply(&row, None);
                continue;
            };
            let effect = indexer.apply(&row, Some(&resolved));
            let entry = resolved.entry;
            match effect {
                Effect::Events => {
                    self.clock.observe(entry.timestamp);
                    let bytes = row.bytes().max(events_bytes(&entry));
                    let entry = CommittedEntry { shard, index: row.index, entry };
                    entries.push(Published { entry, bytes });
                }
                Effect::Void => voids.push(row.index),
                Effect::None => {}
            }
        }
        if let Some(update) = indexer.take() {
            submit(&*self.log, WriteTask::Index(update)).await?;
        }
        if let Some(last) = last {
            self.feed.publish(shard, entries, voids, last);
        }
        Ok(())
    }

    fn shard(&self, shard: ShardId) -> &Mutex<Indexer> {
        self.shards.get(usize::from(shard.0)).expect("a shard of this node")
    }
}

/// Whether a log is that of a machine without a vote.
pub fn is_follower(log: &LogStore) -> Result<bool, StoreError> {
    Ok(log.meta(ShardId(0), FOLLOWER)?.is_some())
}

/// Refuses the log of a machine without a vote where one with a vote is to be opened.
pub(crate) fn refuse_follower(log: &dyn ShardLog) -> Result<(), NodeError> {
    if log.meta(ShardId(0), FOLLOWER)?.is_some() {
        return Err(NodeError::Config(
            "the data is that of a read replica: start it with --replica-of".to_owned(),
        ));
    }
    Ok(())
}

/// Marks a new log as that of a machine without a vote; refuses that of one with a vote.
async fn mark(log: &dyn ShardLog) -> Result<(), NodeError> {
    let first = ShardId(0);
    if log.meta(first, FOLLOWER)?.is_some() {
        return Ok(());
    }
    if log.meta(first, REPLICA)?.is_some() || log.last(first).is_some() {
        return Err(NodeError::Config(
            "the data is that of a database of its own, not of a read replica: start it without --replica-of"
                .to_owned(),
        ));
    }
    let (written, wait) = oneshot::channel();
    let done = Box::new(move |result| {
        // The waiter may be gone.
        let _ = written.send(result);
    });
    let value = bytes::Bytes::from_static(&[1]);
    submit(log, WriteTask::Meta { shard: first, name: FOLLOWER, value, done }).await?;
    wait.await.map_err(|error| StoreError::Io(error.to_string()))??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rotabase_engine::env::Clock;
    use rotabase_engine::log::Leader;

    use super::*;
    use crate::memory::MemoryLog;

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now_microseconds(&self) -> i64 {
            0
        }
    }

    fn blank(index: u64) -> LogRow {
        let payload = bytes::Bytes::new();
        LogRow { index: LogIndex(index), leader: Leader::default(), kind: RowKind::Blank, payload }
    }

    async fn open(log: &Arc<MemoryLog>) -> Result<(Follower, Arc<NodeFeed>), NodeError> {
        let log: Arc<dyn ShardLog> = Arc::<MemoryLog>::clone(log);
        let feed = NodeFeed::open(Arc::clone(&log), 1 << 20)?;
        let clock = Arc::new(HybridClock::new(Arc::new(Stopped)));
        Ok((Follower::open(log, Arc::clone(&feed), clock).await?, feed))
    }

    #[tokio::test]
    async fn rows_are_taken_in_order_and_without_gaps() {
        let log = MemoryLog::new(2);
        let (follower, feed) = open(&log).await.unwrap();
        let shard = ShardId(1);
        assert!(follower.append(shard, vec![blank(1)]).await.is_err());
        follower.append(shard, vec![blank(0), blank(1)]).await.unwrap();
        let other = LogRow { leader: Leader { term: 9, node: 9 }, ..blank(1) };
        assert!(follower.append(shard, vec![other]).await.is_err());
        assert!(follower.append(shard, vec![blank(2), blank(4)]).await.is_err());
        follower.append(shard, vec![blank(2)]).await.unwrap();
        assert_eq!((feed.committed(shard), follower.next(shard)), (LogIndex(2), LogIndex(3)));
        let (again, feed) = open(&log).await.unwrap();
        assert_eq!((feed.committed(shard), again.next(shard)), (LogIndex(2), LogIndex(3)));
    }

    #[tokio::test]
    async fn rows_of_another_history_are_refused() {
        let log = MemoryLog::new(1);
        let (follower, _) = open(&log).await.unwrap();
        let shard = ShardId(0);
        let row = |index, payload: &'static [u8]| LogRow {
            payload: bytes::Bytes::from_static(payload),
            kind: RowKind::Membership,
            ..blank(index)
        };
        follower.append(shard, vec![blank(0), row(1, b"ours"), row(2, b"ours")]).await.unwrap();
        assert_eq!(follower.resume().get(shard), Position::end_of(LogIndex(1)));
        follower.append(shard, vec![row(2, b"ours")]).await.unwrap();
        // The same index in the same term of the same leader.
        let other = follower.append(shard, vec![row(2, b"theirs"), row(3, b"theirs")]).await;
        assert!(matches!(other, Err(StoreError::Incompatible(_))), "{other:?}");
        assert_eq!(follower.next(shard), LogIndex(3));
    }

    #[tokio::test]
    async fn rows_that_are_here_may_come_again() {
        let log = MemoryLog::new(1);
        let (follower, feed) = open(&log).await.unwrap();
        let shard = ShardId(0);
        follower.append(shard, vec![blank(0)]).await.unwrap();
        follower.append(shard, vec![blank(0), blank(1)]).await.unwrap();
        follower.append(shard, vec![blank(0), blank(1)]).await.unwrap();
        assert_eq!((feed.committed(shard), follower.next(shard)), (LogIndex(1), LogIndex(2)));
    }
}
