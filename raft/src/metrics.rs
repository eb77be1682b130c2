//! What a node has done so far, in numbers that only grow.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a node, over all its shards. Reading them costs nothing to those who write.
#[derive(Debug, Default)]
pub struct NodeMetrics {
    /// Commands that were decided, refused ones included.
    pub commands: AtomicU64,
    /// Statements that a rule or an expected version refused.
    pub refusals: AtomicU64,
    /// Events that were committed.
    pub events: AtomicU64,
    /// Log entries that were proposed.
    pub entries: AtomicU64,
    /// The bytes of these.
    pub entry_bytes: AtomicU64,
    /// Log entries that were committed; with [`NodeMetrics::commit_microseconds`] the mean latency of a commit.
    pub commits: AtomicU64,
    /// The time from proposal to commit, summed.
    pub commit_microseconds: AtomicU64,
    /// How many commits took at most so long and longer than the bound before it; and those above the last bound.
    pub commit_buckets: [AtomicU64; COMMIT_BOUNDS_MICROSECONDS.len() + 1],
    /// Log entries that were refused or lost on the way.
    pub lost_entries: AtomicU64,
    /// Commands that were turned away because a queue was full.
    pub overloads: AtomicU64,
    /// Transactions over several entries that were begun here.
    pub transactions: AtomicU64,
    /// Those of them of which nothing was stored.
    pub transactions_given_up: AtomicU64,
    /// Transactions that were prepared under an earlier leader and were ended here.
    pub transactions_resolved: AtomicU64,
    /// Log entries that prepare.
    pub prepares: AtomicU64,
    /// How often this node began to lead a shard.
    pub leaderships: AtomicU64,
}

/// The upper bounds of [`NodeMetrics::commit_buckets`]: 1-2-5 steps from 0.1 ms to 10 s.
pub const COMMIT_BOUNDS_MICROSECONDS: [u64; 16] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

impl NodeMetrics {
    /// Notes how long a commit took.
    pub(crate) fn committed(&self, microseconds: i64) {
        let microseconds = u64::try_from(microseconds).unwrap_or(0);
        let bucket = COMMIT_BOUNDS_MICROSECONDS.partition_point(|bound| *bound < microseconds);
        add(&self.commits, 1);
        add(&self.commit_buckets[bucket], 1);
        self.commit_microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }
}

pub(crate) fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(u64::try_from(amount).unwrap_or(u64::MAX), Ordering::Relaxed);
}
