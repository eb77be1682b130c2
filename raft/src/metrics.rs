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

pub(crate) fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(u64::try_from(amount).unwrap_or(u64::MAX), Ordering::Relaxed);
}
