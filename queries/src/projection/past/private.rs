//! A store of its own for one past instant: replayed from the feed, without what came later.

use std::path::Path;
use std::sync::Arc;

use rotabase_engine::db::DbOptions;
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::Positions;

use super::super::follower::Follower;
use super::super::rows::Result;
use super::super::snapshot::Snapshot;
use super::super::store::Store;
use super::{PastError, WAIT};

/// The projections as of one instant. Its directory is removed once it was dropped and nobody reads it any more.
#[derive(Debug)]
pub(super) struct PrivateStore(Follower);

impl PrivateStore {
    /// An empty one in a new directory.
    pub(super) fn open(
        path: &Path,
        feed: Arc<dyn Feed>,
        at: Timestamp,
        options: &DbOptions,
    ) -> Result<Self> {
        let store = Store::open(path, feed.shards(), options)?;
        Ok(Self(Follower::open_until(store, feed, at)?))
    }

    /// Replays until it has looked at everything up to `positions`, telling `grow` after each step how many bytes
    /// it takes. If it was stopped, it goes on from there the next time.
    pub(super) fn advance(
        &mut self,
        positions: &Positions,
        stopped: &dyn Fn() -> bool,
        grow: &mut dyn FnMut(u64) -> Result<(), PastError>,
    ) -> Result<Snapshot, PastError> {
        while !(self.0.is_whole() && self.0.read_to().covers(positions)) {
            if stopped() {
                return Err(PastError::Stopped);
            }
            self.0.step_or_wait(WAIT)?;
            grow(self.0.store().bytes())?;
        }
        Ok(self.0.snapshot())
    }

    /// Removes its directory as soon as nobody reads it any more.
    pub(super) fn give_up(self) {
        self.0.store().give_up();
    }
}
