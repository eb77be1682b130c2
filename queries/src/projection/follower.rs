//! Follows the feed: reads entries, folds them, writes what changed together with the positions. Driven step by
//! step, so that a thread, a test or a simulation can drive it.

use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use rotabase_engine::schedule::{AggregateId, Schedule};

use super::appeared::appeared;
use super::fold::Fold;
use super::history::{Historian, Retention};
use super::key::Key;
use super::overlay::Overlay;
use super::relations::Finding;
use super::rows::{Result, Rows};
use super::snapshot::Snapshot;
use super::store::{Store, read_newest, read_positions};

/// The memory of changes after which a batch is written, though there may be more to fold. One read of the feed
/// can go beyond it.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// A store that follows the feed.
#[derive(Debug)]
pub(crate) struct Follower {
    feed: Arc<dyn Feed>,
    fold: Fold<Overlay<Store>>,
    historian: Historian,
    positions: Positions,
    newest: Timestamp,
    // Of the last step.
    oldest: Timestamp,
    // What is newer is passed over.
    until: Option<Timestamp>,
    entries: Vec<CommittedEntry>,
    // Where the next step begins, so that a busy shard does not starve the others.
    first_shard: u16,
    folded: Folded,
    // Whether to look for violations that appear, and those of the last step.
    watching: bool,
    appeared: Vec<Finding>,
}

/// What has been folded since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Entries.
    pub entries: u64,
    /// Events.
    pub events: u64,
    /// Writes to the store.
    pub batches: u64,
}

impl Follower {
    /// Goes on where the store stands.
    pub(crate) fn open(store: Store, feed: Arc<dyn Feed>, retention: Retention) -> Result<Self> {
        let historian = Historian::open(&store, retention)?;
        let positions = read_positions(&store)?;
        let newest = read_newest(&store)?;
        let fold = Fold::new(Overlay::new(store));
        Ok(Self {
            feed,
            fold,
            historian,
            positions,
            newest,
            oldest: Timestamp(u64::MAX),
            until: None,
            entries: Vec::new(),
            first_shard: 0,
            folded: Folded::default(),
            watching: false,
            appeared: Vec::new(),
        })
    }

    /// The same for a new store, with no event that is newer than `until`: their timestamps decide, not where they
    /// stand, because an entry may carry an older timestamp than one before it.
    pub(crate) fn open_until(store: Store, feed: Arc<dyn Feed>, until: Timestamp) -> Result<Self> {
        // Nobody asks a past instant for another one.
        let retention = Retention { after: Timestamp(u64::MAX), ..Retention::default() };
        Ok(Self { until: Some(until), ..Self::open(store, feed, retention)? })
    }

    /// Folds what the feed has now, or as much of it as one batch takes, and writes it. Says whether there was
    /// anything.
    pub(crate) fn step(&mut self) -> Result<bool> {
        let shards = self.feed.shards();
        self.oldest = Timestamp(u64::MAX);
        let mut any = false;
        for offset in 0..shards {
            let shard = ShardId((self.first_shard + offset) % shards);
            any |= self.fold_shard(shard)?;
            if self.fold.rows.pending.bytes() >= BATCH_BYTES_MAX {
                self.first_shard = (shard.0 + 1) % shards;
                break;
            }
        }
        if any {
            self.commit()?;
        }
        Ok(any)
    }

    /// Whether the next steps look for violations that appear.
    pub(crate) fn watch(&mut self, watching: bool) {
        self.watching = watching;
    }

    /// The violations that the last steps brought, as far as they were looked for.
    pub(super) fn take_appeared(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.appeared)
    }

    /// How far it has come.
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The oldest timestamp of what the last step folded.
    pub(crate) fn oldest(&self) -> Timestamp {
        self.oldest
    }

    /// What it has done.
    pub(crate) fn folded(&self) -> Folded {
        self.folded
    }

    /// The store that it writes.
    pub(crate) fn store(&self) -> &Store {
        &self.fold.rows.base
    }

    /// The state that was written last.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let feed = Arc::clone(&self.feed);
        let snapshot =
            Snapshot::new(self.store().snapshot(), self.positions.clone(), self.newest, feed);
        self.until.map_or_else(|| snapshot.clone(), |until| snapshot.said_to_be(until))
    }

    /// Whether everything is folded that the feed has now.
    pub(crate) fn is_caught_up(&self) -> bool {
        (0..self.feed.shards())
            .map(ShardId)
            .all(|shard| self.positions.get(shard).index() >= self.feed.committed(shard))
    }

    fn fold_shard(&mut self, shard: ShardId) -> Result<bool> {
        let after = self.positions.get(shard).index();
        if self.feed.committed(shard) <= after {
            return Ok(false);
        }
        let mut entries = std::mem::take(&mut self.entries);
        entries.clear();
        let read = self.feed.read(shard, after, &mut entries)?;
        let mut last = after;
        for entry in &entries {
            // The order within a shard is all that the fold relies on.
            if entry.shard != shard || entry.index <= last || entry.index > read {
                return Err(StoreError::Corrupted(format!(
                    "the feed of shard {shard} is out of order at {}",
                    entry.index.0
                )));
            }
            last = entry.index;
            if self.until.is_some_and(|until| entry.entry.timestamp > until) {
                continue;
            }
            self.newest = self.newest.max(entry.entry.timestamp);
            self.oldest = self.oldest.min(entry.entry.timestamp);
            self.fold.apply_entry(entry, &mut self.historian)?;
            self.folded.entries += 1;
            self.folded.events += u64::try_from(entry.entry.events.len()).unwrap_or(u64::MAX);
        }
        self.entries = entries;
        if read <= after {
            return Ok(false);
        }
        self.positions.advance(shard, Position::end_of(read));
        self.fold.rows.put(Key::position(shard), &read.0.to_be_bytes());
        Ok(true)
    }

    fn commit(&mut self) -> Result<()> {
        self.fold.settle()?;
        self.historian.end_batch(&mut self.fold.rows, self.newest)?;
        self.fold.rows.put(Key::newest(), &self.newest.0.to_be_bytes());
        let Overlay { base, pending } = &mut self.fold.rows;
        if self.watching {
            self.appeared.extend(appeared(base, pending)?);
        }
        base.write(pending)?;
        pending.clear();
        self.folded.batches += 1;
        Ok(())
    }
}

impl<R: Rows> Fold<R> {
    /// Folds the events of an entry.
    pub(crate) fn apply_entry(
        &mut self,
        committed: &CommittedEntry,
        historian: &mut Historian,
    ) -> Result<()> {
        let entry = &committed.entry;
        let mut aggregate: Option<AggregateId> = None;
        for (at, event) in entry.events.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &entry.events[before].aggregate);
            let id = match aggregate {
                Some(id) if before == Some(&event.aggregate) => id,
                Some(_) | None => Schedule::decode_id(&event.aggregate)
                    .map_err(|error| undecoded(committed, &error))?,
            };
            aggregate = Some(id);
            let decoded = Schedule::decode_event(event.kind, &event.payload)
                .map_err(|error| undecoded(committed, &error))?;
            self.apply(&id, entry.timestamp, &decoded)?;
            historian.note(&mut self.rows, committed, at, &id, &decoded)?;
            // Only the last version of a run of events of one aggregate stays.
            if entry.events.get(at + 1).is_none_or(|next| next.aggregate != event.aggregate) {
                self.set_version(&event.aggregate, event.version.0);
            }
        }
        historian.end_entry(&mut self.rows, committed);
        Ok(())
    }
}

fn undecoded(
    committed: &CommittedEntry,
    error: &rotabase_engine::domain::DecodeError,
) -> StoreError {
    let LogIndex(index) = committed.index;
    StoreError::Corrupted(format!("entry {index} of shard {}: {error}", committed.shard))
}
