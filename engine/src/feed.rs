//! The feed: committed entries, in order within each shard, for whoever follows.

use std::fmt::Debug;
use std::time::Duration;

use crate::db::StoreError;
use crate::entry::CommittedEntry;
use crate::position::{LogIndex, Position, Positions, ShardId};

/// The bytes of entries that one read of the feed gives, at least one entry even if it is longer.
pub const FEED_READ_BYTES_MAX: usize = 512 << 10;

/// A stream of committed entries for each shard, from any index: first what is stored, then what comes.
/// Local projections, replicas and subscribers all read this one thing. Reading never holds up a writer.
pub trait Feed: Debug + Send + Sync {
    /// The number of shards; their ids are `0..shards`.
    fn shards(&self) -> u16;

    /// The index of the newest committed and applied log entry of `shard`; entries without events count.
    fn committed(&self, shard: ShardId) -> LogIndex;

    /// The watermarks of [`Feed::committed`] of all shards.
    fn committed_positions(&self) -> Positions {
        let mut committed = Positions::default();
        for shard in (0..self.shards()).map(ShardId) {
            committed.advance(shard, Position::end_of(self.committed(shard)));
        }
        committed
    }

    /// Appends to `out` entries of `shard` with index above `after` and not above [`Feed::committed`], in
    /// order, those without events left out, [`FEED_READ_BYTES_MAX`] at a time. Returns the index that has
    /// been looked at: read on from there.
    fn read(
        &self,
        shard: ShardId,
        after: LogIndex,
        out: &mut Vec<CommittedEntry>,
    ) -> Result<LogIndex, StoreError>;

    /// A number that grows with each commit of any shard.
    fn generation(&self) -> u64;

    /// Blocks until [`Feed::generation`] differs from `seen`, or `timeout` has passed; returns the generation.
    fn wait(&self, seen: u64, timeout: Duration) -> u64;
}
