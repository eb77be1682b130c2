//! The feed of a node: what its shards have committed and applied, for whoever follows.
//!
//! The newest entries of each shard stay in memory, bounded in bytes and shared with everyone who reads them; older
//! ones are read from the log. Publishing only moves a number and wakes those who wait, so that no reader ever
//! holds up a shard.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rotabase_engine::db::StoreError;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::feed::{FEED_READ_BYTES_MAX, Feed};
use rotabase_engine::log::{LogRow, RowKind};
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Positions, ShardId};
use tokio::sync::watch;

use crate::replica_machine::events_bytes;
use crate::row_subscription::RowSubscription;
use crate::shard_log::{ShardLog, resolve};
use crate::subscription::Subscription;

/// The committed entries of all shards of a node.
#[derive(Debug)]
pub struct NodeFeed {
    log: Arc<dyn ShardLog>,
    shards: Vec<Mutex<ShardFeed>>,
    /// The bytes that the newest entries of one shard may take.
    shard_bytes_max: usize,
    generation: Mutex<u64>,
    grown: Condvar,
    watch: watch::Sender<u64>,
}

#[derive(Debug)]
struct ShardFeed {
    /// The newest log entry that is committed and applied.
    committed: LogIndex,
    /// All entries with events above this index, up to `committed`, are in `entries`.
    recent_after: LogIndex,
    entries: VecDeque<Published>,
    bytes: usize,
    /// Entries that are in the log and have not happened.
    voids: BTreeSet<LogIndex>,
}

/// An entry and the bytes it takes.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) entry: CommittedEntry,
    pub(crate) bytes: usize,
}

impl NodeFeed {
    /// The feed of what `log` holds, with at most `bytes_max` of newest entries in memory.
    pub(crate) fn open(log: Arc<dyn ShardLog>, bytes_max: usize) -> Result<Arc<Self>, StoreError> {
        let shards =
            (0..log.shards()).map(|shard| ShardFeed::open(&*log, ShardId(shard)).map(Mutex::new));
        let shards = shards.collect::<Result<Vec<_>, _>>()?;
        let shard_bytes_max = bytes_max / shards.len().max(1);
        let (generation, grown, watch) = (Mutex::new(0), Condvar::new(), watch::Sender::new(0));
        Ok(Arc::new(Self { log, shards, shard_bytes_max, generation, grown, watch }))
    }

    /// Publishes what a shard has applied: all rows up to `committed`.
    pub(crate) fn publish(
        &self,
        shard: ShardId,
        entries: Vec<Published>,
        voids: Vec<LogIndex>,
        committed: LogIndex,
    ) {
        self.shard(shard).lock().publish(entries, voids, committed, self.shard_bytes_max);
        let generation = {
            let mut generation = self.generation.lock();
            *generation += 1;
            *generation
        };
        self.grown.notify_all();
        self.watch.send_replace(generation);
    }

    /// Follows from `positions` on without blocking a thread.
    pub(crate) fn subscribe(self: Arc<Self>, positions: &Positions) -> Subscription {
        let published = self.watch.subscribe();
        Subscription::new(self, published, positions)
    }

    /// Follows the logs' rows from `positions` on.
    pub(crate) fn subscribe_rows(self: Arc<Self>, positions: &Positions) -> RowSubscription {
        let published = self.watch.subscribe();
        RowSubscription::new(self, published, positions)
    }

    /// Committed rows from the index `from` on, [`FEED_READ_BYTES_MAX`] at a time.
    pub(crate) fn rows(&self, shard: ShardId, from: LogIndex) -> Result<Vec<LogRow>, StoreError> {
        let end = LogIndex(self.shard(shard).lock().committed.0 + 1);
        if from >= end {
            return Ok(Vec::new());
        }
        self.log.read(shard, from..end, FEED_READ_BYTES_MAX)
    }

    /// Whether reading rows from this index on needs no disk.
    pub(crate) fn rows_in_memory(&self, shard: ShardId, from: LogIndex) -> bool {
        from > self.shard(shard).lock().committed || from >= self.log.in_memory_from(shard)
    }

    /// The bytes of the newest entries of the shard that has most, and how many it may have. One entry may be longer.
    pub(crate) fn recent_bytes(&self) -> (usize, usize) {
        let of_shard = |shard: &Mutex<ShardFeed>| {
            let feed = shard.lock();
            let alone = feed.entries.len() <= 1;
            if alone { 0 } else { feed.bytes }
        };
        (self.shards.iter().map(of_shard).max().unwrap_or(0), self.shard_bytes_max)
    }

    fn shard(&self, shard: ShardId) -> &Mutex<ShardFeed> {
        self.shards.get(usize::from(shard.0)).expect("a shard of this node")
    }

    /// Whether reading after this index needs no disk.
    pub(crate) fn is_recent(&self, shard: ShardId, after: LogIndex) -> bool {
        let feed = self.shard(shard).lock();
        after >= feed.recent_after || after >= feed.committed
    }
}

impl Feed for NodeFeed {
    fn shards(&self) -> u16 {
        u16::try_from(self.shards.len()).expect("at most SHARDS_MAX")
    }

    fn committed(&self, shard: ShardId) -> LogIndex {
        self.shard(shard).lock().committed
    }

    fn read(
        &self,
        shard: ShardId,
        after: LogIndex,
        out: &mut Vec<CommittedEntry>,
    ) -> Result<LogIndex, StoreError> {
        let (until, voids) = {
            let feed = self.shard(shard).lock();
            if after >= feed.committed {
                return Ok(after);
            }
            if after >= feed.recent_after {
                return Ok(feed.read_recent(after, out));
            }
            (feed.recent_after.min(feed.committed), feed.voids.clone())
        };
        let rows = self.log.read(
            shard,
            LogIndex(after.0 + 1)..LogIndex(until.0 + 1),
            FEED_READ_BYTES_MAX,
        )?;
        let mut looked_at = after;
        let mut bytes = 0;
        for row in rows {
            // The row of an outcome is short, and what happens with it is long.
            if bytes >= FEED_READ_BYTES_MAX {
                break;
            }
            looked_at = row.index;
            if row.kind == RowKind::Events && !voids.contains(&row.index) {
                let resolved = resolve(&*self.log, shard, &row)?;
                if resolved.happens() {
                    let entry = resolved.entry;
                    bytes += row.bytes().max(events_bytes(&entry));
                    out.push(CommittedEntry { shard, index: row.index, entry });
                }
            }
        }
        Ok(looked_at)
    }

    fn generation(&self) -> u64 {
        *self.generation.lock()
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let mut generation = self.generation.lock();
        // A timeout is no error: the caller looks at the generation.
        let _ =
            self.grown.wait_while_for(&mut generation, |generation| *generation == seen, timeout);
        *generation
    }
}

impl ShardFeed {
    fn open(log: &dyn ShardLog, shard: ShardId) -> Result<Self, StoreError> {
        let committed = log.applied(shard).map(|applied| applied.index).unwrap_or_default();
        let voids = log.void_entries(shard)?.into_iter().collect();
        Ok(Self { committed, recent_after: committed, entries: VecDeque::new(), bytes: 0, voids })
    }

    fn publish(
        &mut self,
        entries: Vec<Published>,
        voids: Vec<LogIndex>,
        committed: LogIndex,
        bytes_max: usize,
    ) {
        assert!(committed >= self.committed, "the feed only grows");
        for published in entries {
            assert!(
                published.entry.index > self.committed || self.committed == LogIndex(0),
                "each entry is published once"
            );
            self.bytes += published.bytes;
            self.entries.push_back(published);
        }
        self.voids.extend(voids);
        self.committed = committed;
        while self.bytes > bytes_max && self.entries.len() > 1 && !planted::has(Bug::FeedKept) {
            let oldest = self.entries.pop_front().expect("there are entries");
            self.bytes -= oldest.bytes;
            self.recent_after = oldest.entry.index;
        }
    }

    fn read_recent(&self, after: LogIndex, out: &mut Vec<CommittedEntry>) -> LogIndex {
        let from = self.entries.partition_point(|published| published.entry.index <= after);
        let mut bytes = 0;
        for published in self.entries.range(from..) {
            bytes += published.bytes;
            out.push(published.entry.clone());
            if bytes >= FEED_READ_BYTES_MAX {
                return published.entry.index;
            }
        }
        self.committed
    }
}
