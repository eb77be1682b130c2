//! Follows the feed: reads entries, folds them, writes what changed together with the positions. Driven step by
//! step, so that a thread, a test or a simulation can drive it.
//!
//! # Transactions over several entries
//!
//! Their events happen entry by entry, but a reader must see all of one or nothing of it. While one is *open*
//! ([`OpenTransactions`]) what is written may not be shown, and only the shards that hold its missing entries go
//! on, each until nothing is missing of it; the others pause. That may open other transactions, which are
//! treated alike: two that happened in opposite order in two shards are folded through, and shown together. What is
//! written in between is bounded by batches as everything else, so a transaction may be larger than memory.

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use rotabase_engine::schedule::{AggregateId, Schedule};

use super::ahead::Ahead;
use super::appeared::{APPEARED_MAX, appeared};
use super::fold::Fold;
use super::history::{Historian, Retention};
use super::key::Key;
use super::open::OpenTransactions;
use super::overlay::Overlay;
use super::relations::Finding;
use super::rows::{Result, Rows};
use super::snapshot::Snapshot;
use super::store::{Store, read_newest, read_positions};

/// The memory of changes after which a batch is written, though there may be more to fold. One entry can go beyond
/// it.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// The new violations that are kept until they can be told, which is when the transaction they are of is complete.
const APPEARED_KEPT_MAX: usize = 10 * APPEARED_MAX;

/// A store that follows the feed.
#[derive(Debug)]
pub(crate) struct Follower {
    feed: Arc<dyn Feed>,
    fold: Fold<Overlay<Store>>,
    historian: Historian,
    positions: Positions,
    newest: Timestamp,
    // Of the steps since what is written was whole.
    oldest: Timestamp,
    // What is newer is passed over.
    until: Option<Timestamp>,
    open: OpenTransactions,
    ahead: Ahead,
    batch_bytes_max: usize,
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
        let open = OpenTransactions::read(&store)?;
        let fold = Fold::new(Overlay::new(store));
        Ok(Self {
            feed,
            fold,
            historian,
            positions,
            newest,
            oldest: Timestamp(u64::MAX),
            until: None,
            open,
            ahead: Ahead::default(),
            batch_bytes_max: BATCH_BYTES_MAX,
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
        if self.is_whole() {
            self.oldest = Timestamp(u64::MAX);
        }
        let mut any = self.complete_open()?;
        let shards = self.feed.shards();
        for offset in 0..shards {
            let shard = ShardId((self.first_shard + offset) % shards);
            let committed = self.feed.committed(shard);
            while self.open.is_empty()
                && !self.is_full()
                && self.positions.get(shard).index() < committed
            {
                if !self.fold_shard(shard)? {
                    break;
                }
                any = true;
                self.complete_open()?;
            }
            if self.is_full() || !self.open.is_empty() {
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

    /// The same; if there was nothing, waits for the feed, but not longer than `timeout`.
    pub(crate) fn step_or_wait(&mut self, timeout: Duration) -> Result<()> {
        let seen = self.feed.generation();
        if !self.step()? {
            self.feed.wait(seen, timeout);
        }
        Ok(())
    }

    /// Whether what is written may be shown: nothing of a transaction or all of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.open.is_empty()
    }

    /// The transactions that are folded in part.
    pub(crate) fn open_transactions(&self) -> &OpenTransactions {
        &self.open
    }

    /// How far it has come.
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The oldest timestamp of what was folded since it [was whole](Self::is_whole) before the last step.
    pub(crate) fn oldest(&self) -> Timestamp {
        self.oldest
    }

    /// Writes smaller batches.
    #[cfg(test)]
    pub(crate) fn with_batch_bytes(self, batch_bytes_max: usize) -> Self {
        Self { batch_bytes_max, ..self }
    }

    /// What it has done.
    pub(crate) fn folded(&self) -> Folded {
        self.folded
    }

    /// The store that it writes.
    pub(crate) fn store(&self) -> &Store {
        &self.fold.rows.base
    }

    /// The state that was written last, to be shown only if it [is whole](Self::is_whole).
    pub(crate) fn snapshot(&self) -> Snapshot {
        let feed = Arc::clone(&self.feed);
        let snapshot =
            Snapshot::new(self.store().snapshot(), self.positions.clone(), self.newest, feed);
        self.until.map_or_else(|| snapshot.clone(), |until| snapshot.said_to_be(until))
    }

    /// Whether everything is folded that the feed has now.
    pub(crate) fn is_caught_up(&self) -> bool {
        let folded = |shard| self.positions.get(shard).index() >= self.feed.committed(shard);
        self.is_whole() && (0..self.feed.shards()).map(ShardId).all(folded)
    }

    fn is_full(&self) -> bool {
        self.fold.rows.pending.bytes() >= self.batch_bytes_max
    }

    /// Folds what is missing of open transactions, and of those that this opens, as far as it has come and the
    /// batch takes it. Says whether there was anything.
    fn complete_open(&mut self) -> Result<bool> {
        let mut any = false;
        while !self.open.is_empty() && !self.is_full() {
            let awaited: Vec<ShardId> = self.open.awaited().map(|(shard, _)| shard).collect();
            let mut moved = false;
            for shard in awaited {
                if self.open.awaits(shard) && !self.is_full() {
                    moved |= self.fold_shard(shard)?;
                }
            }
            any |= moved;
            if !moved {
                break;
            }
        }
        Ok(any)
    }

    /// Folds what comes next in a shard: up to the entry that opens a transaction which waits for other shards
    /// only. Says whether there was anything.
    fn fold_shard(&mut self, shard: ShardId) -> Result<bool> {
        let after = self.positions.get(shard).index();
        let mut next = self.ahead.take(&*self.feed, shard, after)?;
        let mut folded = after;
        while let Some(committed) = next.entries.pop_front() {
            folded = committed.index;
            let timestamp = committed.entry.timestamp;
            if self.until.is_some_and(|until| timestamp > until) {
                // All events of a transaction have one timestamp.
                continue;
            }
            self.newest = self.newest.max(timestamp);
            self.oldest = self.oldest.min(timestamp);
            self.fold.apply_entry(&committed, &mut self.historian)?;
            self.folded.entries += 1;
            self.folded.events += u64::try_from(committed.entry.events.len()).unwrap_or(u64::MAX);
            if let Some((attempt, parts)) = committed.entry.step.committed() {
                self.open.fold(shard, attempt, parts)?;
            }
            if self.is_full() || !(self.open.is_empty() || self.open.awaits(shard)) {
                break;
            }
        }
        if next.entries.is_empty() {
            folded = next.read_to;
        }
        self.ahead.put_back(shard, next);
        if folded <= after {
            return Ok(false);
        }
        self.positions.advance(shard, Position::end_of(folded));
        self.fold.rows.put(Key::position(shard), &folded.0.to_be_bytes());
        Ok(true)
    }

    fn commit(&mut self) -> Result<()> {
        self.fold.settle()?;
        self.historian.end_batch(&mut self.fold.rows, self.newest)?;
        self.fold.rows.put(Key::newest(), &self.newest.0.to_be_bytes());
        self.open.store(&mut self.fold.rows);
        let Overlay { base, pending } = &mut self.fold.rows;
        if self.watching {
            let room = APPEARED_KEPT_MAX.saturating_sub(self.appeared.len());
            self.appeared.extend(appeared(base, pending)?.into_iter().take(room));
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
