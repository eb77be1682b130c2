//! Follows the feed: reads entries, folds them, writes what changed together with the positions. Driven step by
//! step, so that a thread, a test or a simulation can drive it.
//!
//! # Transactions over several entries
//!
//! Their events happen entry by entry, but a reader must see all of one or nothing of it. So their entries wait for
//! each other ([`Held`]) and are folded in one batch, while what has nothing to do with them goes on. One that is too
//! large for that is folded batch by batch, and nothing is shown before it is complete ([`OpenTransactions`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::db::StoreError;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use smallvec::SmallVec;

use super::appeared::{APPEARED_MAX, appeared};
use super::batch::Batched;
use super::fold::Fold;
use super::held::Held;
use super::history::{Historian, Retention};
use super::key::Key;
use super::open::OpenTransactions;
use super::relations::Finding;
use super::rows::{Result, Rows};
use super::snapshot::Snapshot;
use super::store::{Store, read_newest, read_positions};

/// The memory of changes after which a batch is written, though there may be more to fold. One entry can go beyond
/// it. The legs of a bulk stand anywhere, so that each batch reads about as much of their tables, whatever its size:
/// the fewer, the better.
const BATCH_BYTES_MAX: usize = 192 << 20;

/// The changes of an event that is not folded yet take about so much memory, with the event beside its payload.
const EVENT_BYTES: usize = 384;

/// The events of a batch from which on they are folded together instead of one by one.
const TOGETHER_EVENTS_MIN: usize = 128;

/// The new violations that are kept until they can be told, which is when the transaction they are of is complete.
const APPEARED_KEPT_MAX: usize = 10 * APPEARED_MAX;

/// Shards, each with the index up to which a step reads it.
type Behind = SmallVec<[(ShardId, LogIndex); 16]>;

/// A store that follows the feed.
#[derive(Debug)]
pub(crate) struct Follower {
    feed: Arc<dyn Feed>,
    fold: Fold<Batched<Store>>,
    historian: Historian,
    // Up to where each shard was read, and up to where all of that is folded.
    read_to: Positions,
    positions: Positions,
    newest: Timestamp,
    // Of the steps since what is written was whole.
    oldest: Timestamp,
    // What is newer is passed over.
    until: Option<Timestamp>,
    open: OpenTransactions,
    held: Held,
    // Read, and to be folded with the batch.
    gathered: Vec<CommittedEntry>,
    gathered_events: usize,
    gathered_bytes: usize,
    together_min: usize,
    batch_bytes_max: usize,
    // When the last of what was read of each shard was decided.
    decided: Vec<Timestamp>,
    behind: bool,
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
        let (open, held) = (OpenTransactions::read(&store)?, Held::read(&store)?);
        let fold = Fold::remembering(Batched::new(store));
        let decided = vec![Timestamp(0); usize::from(feed.shards())];
        Ok(Self {
            feed,
            fold,
            historian,
            read_to: positions.clone(),
            positions,
            newest,
            oldest: Timestamp(u64::MAX),
            until: None,
            open,
            held,
            gathered: Vec::new(),
            gathered_events: 0,
            gathered_bytes: 0,
            together_min: TOGETHER_EVENTS_MIN,
            batch_bytes_max: BATCH_BYTES_MAX,
            decided,
            behind: false,
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
        let mut any = false;
        // What comes meanwhile is for the next step.
        let mut behind: Behind = (0..self.feed.shards())
            .map(ShardId)
            .map(|shard| (shard, self.feed.committed(shard)))
            .collect();
        while !self.is_full() && self.read_oldest(&mut behind)? {
            any = true;
        }
        self.behind = self.is_full();
        if any {
            for entry in self.held.release(&self.open) {
                self.fold_entry(entry)?;
            }
            self.commit()?;
        }
        Ok(any)
    }

    /// Reads what comes next in the shard whose next is the oldest, as far as that is known: what a statement did to a
    /// leg stands in two shards, was decided at about the same time, and is best folded together; and a busy shard does
    /// not starve the others. Says whether there was anything.
    fn read_oldest(&mut self, behind: &mut Behind) -> Result<bool> {
        loop {
            behind.retain(|(shard, committed)| self.read_to.get(*shard).index() < *committed);
            let oldest =
                |(shard, _): &(ShardId, LogIndex)| (self.decided[usize::from(shard.0)], *shard);
            let Some(shard) = behind.iter().map(oldest).min().map(|(_, shard)| shard) else {
                return Ok(false);
            };
            if self.read(shard)? {
                return Ok(true);
            }
            behind.retain(|(it, _)| *it != shard);
        }
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

    /// How many transactions wait for entries, and the shards that those are missing of, each with the number of
    /// transactions that wait for it.
    pub(crate) fn waiting(&self) -> (usize, BTreeMap<ShardId, u32>) {
        let (transactions, mut awaited) = self.held.waiting();
        for (shard, transactions) in self.open.awaited() {
            *awaited.entry(shard).or_default() += transactions;
        }
        (self.open.len() + transactions, awaited)
    }

    /// How far it has read: it has folded all of that which another one would have that has read as far.
    pub(crate) fn read_to(&self) -> &Positions {
        &self.read_to
    }

    /// How far everything is folded. Beyond that some is, and some may wait for transactions to be complete.
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

    /// Folds together what has as many events.
    #[cfg(test)]
    pub(crate) fn together_from(self, together_min: usize) -> Self {
        Self { together_min, ..self }
    }

    /// Holds less of transactions that are not complete.
    #[cfg(test)]
    pub(crate) fn with_held_bytes(mut self, bytes_max: usize) -> Self {
        self.held.bound(bytes_max);
        self
    }

    /// Whether an entry is folded.
    #[cfg(test)]
    pub(crate) fn has_folded(
        &self,
        shard: ShardId,
        index: rotabase_engine::position::LogIndex,
    ) -> bool {
        let read = index <= self.read_to.get(shard).index() && !self.held.contains(shard, index);
        read || self.held.was_folded(shard, index)
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

    /// Whether everything is folded that the feed has now and that may be shown.
    pub(crate) fn is_caught_up(&self) -> bool {
        let folded = |shard| self.read_to.get(shard).index() >= self.feed.committed(shard);
        self.is_whole() && (0..self.feed.shards()).map(ShardId).all(folded)
    }

    /// Whether the last step left something because its batch was full.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    fn is_full(&self) -> bool {
        self.gathered_bytes >= self.batch_bytes_max
    }

    /// Reads what comes next in a shard, folds what may be folded at once and holds the rest. Says whether there
    /// was anything.
    fn read(&mut self, shard: ShardId) -> Result<bool> {
        let after = self.read_to.get(shard).index();
        let mut entries = Vec::new();
        let read_to = self.feed.read(shard, after, &mut entries)?;
        let mut last = after;
        for entry in entries {
            // The order within a shard is all that the fold relies on.
            if entry.shard != shard || entry.index <= last || entry.index > read_to {
                return Err(StoreError::Corrupted(format!(
                    "the feed of shard {shard} is out of order at {}",
                    entry.index.0
                )));
            }
            last = entry.index;
            self.decided[usize::from(shard.0)] = entry.entry.decided;
            // All events of a transaction have one timestamp.
            let too_new = self.until.is_some_and(|until| entry.entry.timestamp > until);
            if too_new || self.held.was_folded(shard, entry.index) {
                continue;
            }
            if self.held.holds(&entry, &self.open) {
                self.held.hold(entry);
                if self.held.is_full() {
                    self.fold_held()?;
                }
            } else {
                self.fold_entry(entry)?;
            }
        }
        self.read_to.advance(shard, Position::end_of(read_to));
        Ok(read_to > after)
    }

    /// Folds everything that is held: transactions of which not all has come are open from then on.
    fn fold_held(&mut self) -> Result<()> {
        for entry in self.held.release_all() {
            if let Some((attempt, parts)) = entry.entry.step.committed() {
                self.open.fold(entry.shard, attempt, parts)?;
            }
            self.fold_events(entry);
        }
        Ok(())
    }

    /// Folds an entry that is a part of an open transaction or of none that has to be completed.
    fn fold_entry(&mut self, committed: CommittedEntry) -> Result<()> {
        if let Some((attempt, parts)) = committed.entry.step.committed()
            && self.open.contains(attempt)
        {
            self.open.fold(committed.shard, attempt, parts)?;
        }
        self.fold_events(committed);
        Ok(())
    }

    fn fold_events(&mut self, committed: CommittedEntry) {
        let timestamp = committed.entry.timestamp;
        self.newest = self.newest.max(timestamp);
        self.oldest = self.oldest.min(timestamp);
        let events = &committed.entry.events;
        self.gathered_events += events.len();
        self.gathered_bytes +=
            events.iter().map(|it| EVENT_BYTES + it.payload.len()).sum::<usize>();
        self.gathered.push(committed);
    }

    /// Folds what was gathered for the batch.
    fn fold_gathered(&mut self) -> Result<()> {
        let events = std::mem::take(&mut self.gathered_events);
        let entries = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        self.folded.entries += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        self.folded.events += u64::try_from(events).unwrap_or(u64::MAX);
        if events >= self.together_min {
            self.fold.apply_together(entries, &mut self.historian)?;
        } else {
            for entry in &entries {
                self.fold.apply_entry(entry, &mut self.historian)?;
            }
        }
        Ok(())
    }

    /// Notes how far each shard is folded.
    fn note_positions(&mut self) {
        for shard in (0..self.feed.shards()).map(ShardId) {
            let read_to = self.read_to.get(shard).index();
            let folded_to = if planted::has(Bug::PositionAheadOfRows) {
                read_to
            } else {
                self.held.folded_to(shard, read_to)
            };
            if folded_to > self.positions.get(shard).index() {
                self.positions.advance(shard, Position::end_of(folded_to));
                self.fold.rows.put(Key::position(shard), &folded_to.0.to_be_bytes());
            }
            self.held.store(&mut self.fold.rows, shard, read_to);
        }
    }

    fn commit(&mut self) -> Result<()> {
        self.fold_gathered()?;
        self.note_positions();
        self.fold.settle()?;
        self.historian.end_batch(&mut self.fold.rows, self.newest)?;
        self.fold.rows.put(Key::newest(), &self.newest.0.to_be_bytes());
        self.open.store(&mut self.fold.rows);
        let Batched { base, batch } = &mut self.fold.rows;
        if self.watching {
            let room = APPEARED_KEPT_MAX.saturating_sub(self.appeared.len());
            self.appeared.extend(appeared(base, batch.ordered())?.into_iter().take(room));
        }
        base.write_batch(batch)?;
        batch.clear();
        self.folded.batches += 1;
        Ok(())
    }
}
