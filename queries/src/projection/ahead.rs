//! Entries that were read from the feed and are not folded yet, because their shard waits for others.

use std::collections::{BTreeMap, VecDeque};

use rotabase_engine::db::StoreError;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, ShardId};

use super::rows::Result;

/// The memory that waiting entries may take together; beyond it those of other shards are read again later.
const AHEAD_BYTES_MAX: usize = 128 << 20;

/// What an event in memory takes beside its payload.
const EVENT_BYTES: usize = 96;

/// What is next in a shard.
#[derive(Debug, Default)]
pub(crate) struct Next {
    /// Its entries, in order.
    pub(crate) entries: VecDeque<CommittedEntry>,
    /// How far the feed was read: behind the last entry there is nothing up to here.
    pub(crate) read_to: LogIndex,
    bytes: usize,
}

/// What is next in the shards that wait.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    by_shard: BTreeMap<ShardId, Next>,
    bytes: usize,
}

impl Ahead {
    /// What comes in `shard` after `after`; read from the feed if it does not wait already.
    pub(crate) fn take(
        &mut self,
        feed: &dyn Feed,
        shard: ShardId,
        after: LogIndex,
    ) -> Result<Next> {
        if let Some(next) = self.by_shard.remove(&shard) {
            self.bytes -= next.bytes;
            return Ok(next);
        }
        if feed.committed(shard) <= after {
            return Ok(Next { read_to: after, ..Next::default() });
        }
        let mut entries = Vec::new();
        let read_to = feed.read(shard, after, &mut entries)?;
        // The order within a shard is all that the fold relies on.
        let mut last = after;
        for entry in &entries {
            if entry.shard != shard || entry.index <= last || entry.index > read_to {
                return Err(StoreError::Corrupted(format!(
                    "the feed of shard {shard} is out of order at {}",
                    entry.index.0
                )));
            }
            last = entry.index;
        }
        Ok(Next { entries: entries.into(), read_to, bytes: 0 })
    }

    /// Keeps what of it was not folded.
    pub(crate) fn put_back(&mut self, shard: ShardId, mut next: Next) {
        if next.entries.is_empty() {
            return;
        }
        if next.bytes == 0 {
            next.bytes = next.entries.iter().map(bytes_of).sum();
        }
        while self.bytes + next.bytes > AHEAD_BYTES_MAX {
            let Some((_, dropped)) = self.by_shard.pop_first() else { break };
            self.bytes -= dropped.bytes;
        }
        self.bytes += next.bytes;
        self.by_shard.insert(shard, next);
    }
}

fn bytes_of(entry: &CommittedEntry) -> usize {
    entry.entry.events.iter().map(|event| EVENT_BYTES + event.payload.len()).sum()
}
