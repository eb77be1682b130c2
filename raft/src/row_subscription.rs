//! Following the logs themselves, row by row: for a machine that keeps a copy of them.
//!
//! Rows are given once they are committed, those of a shard in order and without gaps, rows without events
//! included: a log that is made of them has the same rows at the same indexes.

use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::feed::Feed as _;
use rotabase_engine::log::LogRow;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use tokio::sync::watch;

use crate::feed::NodeFeed;

/// Committed rows from a position on: first what is stored, then what comes.
#[derive(Debug)]
pub struct RowSubscription {
    feed: Arc<NodeFeed>,
    /// By shard: the row that comes next.
    next: Vec<LogIndex>,
    /// Which shard is read next.
    turn: usize,
    published: watch::Receiver<u64>,
}

impl RowSubscription {
    pub(crate) fn new(
        feed: Arc<NodeFeed>,
        published: watch::Receiver<u64>,
        positions: &Positions,
    ) -> Self {
        let next = (0..feed.shards()).map(|shard| match positions.get(ShardId(shard)) {
            Position::START => LogIndex(0),
            position if planted::has(Bug::RowsResumeGap) => LogIndex(position.index().0 + 2),
            position => LogIndex(position.index().0 + 1),
        });
        Self { next: next.collect(), turn: 0, published, feed }
    }

    /// The next rows that are there already, all of one shard; none if there are none. Dropping the future loses
    /// nothing.
    pub async fn read(&mut self) -> Result<(ShardId, Vec<LogRow>), StoreError> {
        // Marked as seen before reading, so that nothing published meanwhile is missed.
        self.published.borrow_and_update();
        for _ in 0..self.next.len() {
            let at = self.turn % self.next.len();
            let shard = ShardId(u16::try_from(at).expect("at most SHARDS_MAX"));
            let rows = read(&self.feed, shard, self.next[at]).await?;
            self.turn = at + 1;
            if let Some(last) = rows.last() {
                self.next[at] = LogIndex(last.index.0 + 1);
                return Ok((shard, rows));
            }
        }
        Ok((ShardId(0), Vec::new()))
    }

    /// Waits until there may be more than the last [`RowSubscription::read`] has seen.
    pub async fn changed(&mut self) -> Result<(), StoreError> {
        let closed = |_| StoreError::Io("the node is closed".to_owned());
        self.published.changed().await.map_err(closed)
    }

    /// The watermarks of what was given.
    pub fn positions(&self) -> Positions {
        let mut positions = Positions::default();
        for (shard, next) in (0..).map(ShardId).zip(&self.next) {
            if let Some(last) = next.0.checked_sub(1) {
                positions.advance(shard, Position::end_of(LogIndex(last)));
            }
        }
        positions
    }
}

/// Reads committed rows; elsewhere if the disk is needed.
async fn read(
    feed: &Arc<NodeFeed>,
    shard: ShardId,
    from: LogIndex,
) -> Result<Vec<LogRow>, StoreError> {
    if feed.rows_in_memory(shard, from) {
        return feed.rows(shard, from);
    }
    let feed = Arc::clone(feed);
    let read = crate::runtime::spawn_blocking(move || feed.rows(shard, from)).await;
    read.map_err(|error| StoreError::Io(error.to_string()))?
}
