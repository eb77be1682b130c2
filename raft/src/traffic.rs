//! How many statements are under way on a node, over all its shards.
//!
//! A leader task asks it before it proposes beside an entry that has not ended. What is proposed then takes part in
//! the node's next sync; what waits until the entry has ended misses that sync, which other shards have begun by
//! then, and takes part in the one after it. An entry costs the same whatever it carries, though, so waiting is
//! worth it as soon as something gathers meanwhile. With no more statements under way than the node has shards
//! nothing does: an entry carries one statement however long it waits.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Statements under way for each shard up to which traffic is light: what an entry carries that has not waited.
pub(crate) const LIGHT_STATEMENTS_PER_SHARD: usize = 1;

/// The statements under way on one node.
#[derive(Debug)]
pub(crate) struct Traffic {
    statements: AtomicUsize,
    light_max: usize,
}

impl Traffic {
    /// No traffic on a node with so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        let light_max = shards.saturating_mul(LIGHT_STATEMENTS_PER_SHARD);
        Self { statements: AtomicUsize::new(0), light_max }
    }

    /// So many statements were proposed.
    pub(crate) fn departed(&self, statements: usize) {
        self.statements.fetch_add(statements, Ordering::Relaxed);
    }

    /// So many that were proposed have ended.
    pub(crate) fn ended(&self, statements: usize) {
        self.statements.fetch_sub(statements, Ordering::Relaxed);
    }

    /// Whether so little is under way that entries gather nothing by waiting.
    pub(crate) fn is_light(&self) -> bool {
        self.statements.load(Ordering::Relaxed) <= self.light_max
    }
}
