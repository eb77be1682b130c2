//! Following the feed without blocking a thread: for users, and for whatever else is not a thread of its own.
//!
//! A subscription holds what one read of one shard gave and nothing else: it reads on when it is asked, so a slow
//! subscriber costs what it holds, and no writer waits for it.

use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::feed::Feed as _;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{ENTRY_EVENTS_MAX, LogIndex, Position, Positions, ShardId};
use tokio::sync::watch;

use crate::feed::NodeFeed;

/// Committed entries from a position on: first what is stored, then what comes.
#[derive(Debug)]
pub struct Subscription {
    feed: Arc<NodeFeed>,
    /// By shard: how far has been looked.
    after: Vec<LogIndex>,
    /// By shard: the position that the subscriber named, where that stands within an entry.
    within: Positions,
    /// Which shard is read next, so that a busy one does not starve the others.
    next: usize,
    published: watch::Receiver<u64>,
}

impl Subscription {
    pub(crate) fn new(
        feed: Arc<NodeFeed>,
        published: watch::Receiver<u64>,
        positions: &Positions,
    ) -> Self {
        let mut within = Positions::default();
        let after = (0..feed.shards()).map(ShardId).map(|shard| {
            let position = positions.get(shard);
            if position.ordinal() + 1 == ENTRY_EVENTS_MAX {
                return position.index();
            }
            within.advance(shard, position);
            if planted::has(Bug::ResumeOffByOne) {
                return position.index();
            }
            LogIndex(position.index().0.saturating_sub(1))
        });
        Self { after: after.collect(), within, next: 0, published, feed }
    }

    /// Waits for the next entries; those of one shard come in order, and each entry comes whole: the first one of
    /// a shard may hold events that the position covers, where that stands within the entry. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Result<Vec<CommittedEntry>, StoreError> {
        loop {
            let entries = self.read().await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            self.changed().await?;
        }
    }

    /// The next entries that are there already, all of one shard; none if there are none. Dropping the future loses
    /// nothing.
    pub async fn read(&mut self) -> Result<Vec<CommittedEntry>, StoreError> {
        // Marked as seen before reading, so that nothing published meanwhile is missed.
        self.published.borrow_and_update();
        for _ in 0..self.after.len() {
            let at = self.next % self.after.len();
            let shard = ShardId(u16::try_from(at).expect("at most SHARDS_MAX"));
            loop {
                let mut entries = Vec::new();
                let read = read(&self.feed, shard, self.after[at], &mut entries).await?;
                let stays = read <= self.after[at];
                self.after[at] = self.after[at].max(read);
                if !entries.is_empty() {
                    self.next = at + 1;
                    return Ok(entries);
                }
                if stays {
                    break;
                }
            }
            self.next = at + 1;
        }
        Ok(Vec::new())
    }

    /// Waits until there may be more than the last [`Subscription::read`] has seen.
    pub async fn changed(&mut self) -> Result<(), StoreError> {
        let closed = |_| StoreError::Io("the node is closed".to_owned());
        self.published.changed().await.map_err(closed)
    }

    /// How far has been looked: a subscription from here on gives what this one has not given.
    pub fn positions(&self) -> Positions {
        let mut positions = self.within.clone();
        for (shard, after) in (0..).map(ShardId).zip(&self.after) {
            if *after > LogIndex(0) {
                positions.advance(shard, Position::end_of(*after));
            }
        }
        positions
    }
}

/// Reads the feed; elsewhere if the disk is needed.
async fn read(
    feed: &Arc<NodeFeed>,
    shard: ShardId,
    after: LogIndex,
    out: &mut Vec<CommittedEntry>,
) -> Result<LogIndex, StoreError> {
    if feed.is_recent(shard, after) {
        return feed.read(shard, after, out);
    }
    let feed = Arc::clone(feed);
    let read = crate::runtime::spawn_blocking(move || {
        let mut entries = Vec::new();
        feed.read(shard, after, &mut entries).map(|looked_at| (entries, looked_at))
    });
    let (entries, looked_at) = read.await.map_err(|error| StoreError::Io(error.to_string()))??;
    out.extend(entries);
    Ok(looked_at)
}
