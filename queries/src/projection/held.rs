//! Entries that were read from the feed and may not be folded yet: parts of transactions whose other parts have not
//! come, and what depends on them.
//!
//! The events of a transaction over several entries happen entry by entry, but a reader must see all of it or
//! nothing. So its entries wait here for each other. What comes after them in their shards does not wait, unless it
//! is about the same aggregates: within a shard only the order of each aggregate's events matters to the fold. No two
//! transactions wait for each other, because each holds its aggregates from its first prepare to its last outcome.
//!
//! A transaction that is too large to wait in memory ([`HELD_BYTES_MAX`]) is *opened*
//! ([`OpenTransactions`]): folded part by part, with nothing shown before it is complete.
//!
//! What of a shard was folded beyond entries that are held is stored with the rows, so that after a crash nothing is
//! folded twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use rotabase_engine::entry::{Attempt, CommittedEntry};
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, ShardId};

use super::key::{Key, table};
use super::open::OpenTransactions;
use super::row::Fields;
use super::rows::{Direction, Range, ReadRows, Result, Rows};

/// The memory that held entries may take together; beyond it the transactions that they wait for are opened.
const HELD_BYTES_MAX: usize = 16 << 20;

/// What an event in memory takes beside its payload.
const EVENT_BYTES: usize = 96;

/// The entries that are held, by shard.
#[derive(Debug)]
pub(crate) struct Held {
    // None is empty; in order.
    queues: BTreeMap<ShardId, VecDeque<CommittedEntry>>,
    // The shards whose entries are stored as held.
    stored: BTreeSet<ShardId>,
    // What another process has folded beyond its position; until it is read again.
    before: BTreeMap<ShardId, Beyond>,
    bytes: usize,
    bytes_max: usize,
    // Whether something came since it was last asked what may be folded.
    came: bool,
}

/// What of a shard is folded where some of it is held: everything up to `read_to` but that.
#[derive(Debug)]
pub(crate) struct Beyond {
    pub(crate) read_to: LogIndex,
    pub(crate) held: BTreeSet<LogIndex>,
}

/// What is folded of the shards that something is held of, as it is stored with the rows.
pub(crate) fn beyond(rows: &impl ReadRows) -> Result<BTreeMap<ShardId, Beyond>> {
    let mut all = BTreeMap::new();
    let range = Range::prefix(Key::table(table::HELD));
    rows.visit(&range, Direction::Forward, &mut |key, value| {
        let shard = ShardId(u16::from_be_bytes(Fields(&key[1..]).array()?));
        let mut fields = Fields(value);
        let read_to = LogIndex(u64::from_be_bytes(fields.array()?));
        let mut held = BTreeSet::new();
        while !fields.0.is_empty() {
            held.insert(LogIndex(u64::from_be_bytes(fields.array()?)));
        }
        all.insert(shard, Beyond { read_to, held });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}

impl Held {
    /// What is stored.
    pub(crate) fn read(rows: &impl ReadRows) -> Result<Self> {
        let before = beyond(rows)?;
        Ok(Self {
            queues: BTreeMap::new(),
            stored: before.keys().copied().collect(),
            before,
            bytes: 0,
            bytes_max: HELD_BYTES_MAX,
            came: false,
        })
    }

    /// Whether an entry that is read was folded before, by another process.
    pub(crate) fn was_folded(&self, shard: ShardId, index: LogIndex) -> bool {
        let before = self.before.get(&shard);
        before.is_some_and(|it| index <= it.read_to && !it.held.contains(&index))
    }

    /// Whether an entry has to be held, to be [released](Self::release) at once if that turns out to be needless.
    pub(crate) fn holds(&self, entry: &CommittedEntry, open: &OpenTransactions) -> bool {
        if planted::has(Bug::HalfShown) {
            return false;
        }
        self.queues.contains_key(&entry.shard)
            || part_of(entry).is_some_and(|(attempt, _)| !open.contains(attempt))
    }

    /// Holds an entry; it comes after all others of its shard.
    pub(crate) fn hold(&mut self, entry: CommittedEntry) {
        self.bytes += bytes_of(&entry);
        self.came = true;
        self.queues.entry(entry.shard).or_default().push_back(entry);
    }

    /// Whether more is held than should be.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// Gives what may be folded now, in order, each transaction as a whole or as a part of an open one.
    pub(crate) fn release(&mut self, open: &OpenTransactions) -> Vec<CommittedEntry> {
        let mut released = Vec::new();
        if std::mem::take(&mut self.came) {
            while self.release_unblocked(&|attempt| open.contains(attempt), &mut released) {}
        }
        released
    }

    /// Gives everything, in order: transactions that are not complete have to be opened.
    pub(crate) fn release_all(&mut self) -> Vec<CommittedEntry> {
        (self.came, self.bytes) = (false, 0);
        std::mem::take(&mut self.queues).into_values().flatten().collect()
    }

    /// Takes out what nothing stands in the way of; says whether there was anything. What depends on that is
    /// for the next call.
    fn release_unblocked(
        &mut self,
        is_open: &dyn Fn(Attempt) -> bool,
        released: &mut Vec<CommittedEntry>,
    ) -> bool {
        let free = self.unblocked(is_open);
        let before = released.len();
        for (shard, places) in free {
            let Some(queue) = self.queues.remove(&shard) else { continue };
            let mut kept = VecDeque::with_capacity(queue.len() - places.len());
            for (place, entry) in queue.into_iter().enumerate() {
                if places.contains(&place) {
                    self.bytes = self.bytes.saturating_sub(bytes_of(&entry));
                    released.push(entry);
                } else {
                    kept.push_back(entry);
                }
            }
            if !kept.is_empty() {
                self.queues.insert(shard, kept);
            }
        }
        released.len() > before
    }

    /// The places in the queues of what nothing stands in the way of.
    fn unblocked(&self, is_open: &dyn Fn(Attempt) -> bool) -> BTreeMap<ShardId, BTreeSet<usize>> {
        let mut free: BTreeMap<ShardId, BTreeSet<usize>> = BTreeMap::new();
        let mut parts: BTreeMap<Attempt, Vec<(ShardId, usize)>> = BTreeMap::new();
        let mut wanted: BTreeMap<Attempt, u64> = BTreeMap::new();
        for (shard, queue) in &self.queues {
            // The aggregates of what goes before, with the transaction if it is of one that may be complete.
            let mut taken: BTreeMap<&[u8], Option<Attempt>> = BTreeMap::new();
            for (place, entry) in queue.iter().enumerate() {
                let part = part_of(entry).filter(|(attempt, _)| !is_open(*attempt));
                let attempt = part.map(|(attempt, _)| attempt);
                let mut aggregates = entry.entry.events.iter().map(|event| &*event.aggregate);
                let stands_in_way =
                    |holder: &Option<Attempt>| holder.is_none() || *holder != attempt;
                let blocked = aggregates.any(|id| taken.get(id).is_some_and(stands_in_way));
                match part {
                    None if !blocked => {
                        free.entry(*shard).or_default().insert(place);
                        continue;
                    }
                    Some((attempt, entries)) if !blocked => {
                        parts.entry(attempt).or_default().push((*shard, place));
                        wanted.insert(attempt, entries);
                    }
                    _ => {}
                }
                let holder = attempt.filter(|_| !blocked);
                for event in &entry.entry.events {
                    taken.insert(&event.aggregate, holder);
                }
            }
        }
        for (attempt, places) in parts {
            let here = u64::try_from(places.len()).unwrap_or(u64::MAX);
            if wanted.get(&attempt) == Some(&here) {
                for (shard, place) in places {
                    free.entry(shard).or_default().insert(place);
                }
            }
        }
        free
    }

    /// Up to where everything of a shard is folded that was read up to `read_to`.
    pub(crate) fn folded_to(&self, shard: ShardId, read_to: LogIndex) -> LogIndex {
        let first = self.queues.get(&shard).and_then(|queue| queue.front());
        first.map_or(read_to, |first| LogIndex(first.index.0.saturating_sub(1)))
    }

    /// How many transactions wait, and the shards that entries are missing of, each with the number of transactions
    /// that wait for it.
    pub(crate) fn waiting(&self) -> (usize, BTreeMap<ShardId, u32>) {
        let missing = self.missing();
        let mut awaited = BTreeMap::new();
        for shard in missing.values().flatten().filter(|it| *it.1 > 0).map(|it| *it.0) {
            *awaited.entry(shard).or_default() += 1;
        }
        (missing.len(), awaited)
    }

    fn missing(&self) -> BTreeMap<Attempt, BTreeMap<ShardId, u32>> {
        let mut missing: BTreeMap<Attempt, BTreeMap<ShardId, u32>> = BTreeMap::new();
        for entry in self.queues.values().flatten() {
            let Some((attempt, parts)) = entry.entry.step.committed() else { continue };
            let missing =
                missing.entry(attempt).or_insert_with(|| parts.0.iter().copied().collect());
            if let Some(entries) = missing.get_mut(&entry.shard) {
                *entries = entries.saturating_sub(1);
            }
        }
        missing
    }

    /// Writes what of a shard is held now that it is read up to `read_to`.
    pub(crate) fn store(&mut self, rows: &mut impl Rows, shard: ShardId, read_to: LogIndex) {
        let key = || Key::table(table::HELD).bytes(&shard.0.to_be_bytes());
        if self.before.get(&shard).is_some_and(|before| before.read_to <= read_to) {
            self.before.remove(&shard);
        }
        let (queue, before) = (self.queues.get(&shard), self.before.get(&shard));
        if queue.is_none() && before.is_none() {
            if self.stored.remove(&shard) {
                rows.delete(key());
            }
            return;
        }
        let read_to_ever = before.map_or(read_to, |before| before.read_to);
        let mut value = Key::default().bytes(&read_to_ever.0.to_be_bytes());
        let unread =
            before.into_iter().flat_map(|before| before.held.range(LogIndex(read_to.0 + 1)..));
        for index in queue.into_iter().flatten().map(|entry| &entry.index).chain(unread) {
            value = value.bytes(&index.0.to_be_bytes());
        }
        rows.put(key(), &value);
        self.stored.insert(shard);
    }

    /// Holds less.
    #[cfg(test)]
    pub(crate) fn bound(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Whether an entry that was read is held.
    #[cfg(test)]
    pub(crate) fn contains(&self, shard: ShardId, index: LogIndex) -> bool {
        self.queues.get(&shard).is_some_and(|queue| queue.iter().any(|it| it.index == index))
    }
}

/// The transaction that an entry is a part of, with the number of its parts, if it has others.
fn part_of(entry: &CommittedEntry) -> Option<(Attempt, u64)> {
    let (attempt, parts) = entry.entry.step.committed()?;
    (parts.entries() > 1).then(|| (attempt, parts.entries()))
}

fn bytes_of(entry: &CommittedEntry) -> usize {
    entry.entry.events.iter().map(|event| EVENT_BYTES + event.payload.len()).sum()
}
