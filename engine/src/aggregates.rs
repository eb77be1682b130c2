//! The aggregates of one shard: their states, folded from the log and kept while they are used.
//!
//! [`Aggregates::load`] gives the state that an aggregate has after all *applied* events: from memory, else from its
//! snapshot and the events after it, which the index finds. [`Aggregates::apply`] keeps what is in memory up to
//! date as rows are applied. What is proposed and not yet committed is no business of this module: its owner, the
//! leader of the shard, keeps that beside it.
//!
//! Memory is bounded in bytes. An aggregate that has to leave writes a snapshot if it has gone far enough since its
//! last one, so that its return is cheap.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::Lru;
use crate::db::{Rows, StoreError};
use crate::domain::Domain;
use crate::entry::{CommittedEntry, Entry, EntryReader, Resolved, StoredEvent};
use crate::log::{LogRow, LogStore, RowKind};
use crate::position::{LogIndex, ShardId, Version};
use crate::snapshot;
use crate::writer::{LogWriter, SubmitError, WriteTask};

/// The bytes of aggregate states that all shards of a machine keep in memory, if nothing else is asked for.
pub const AGGREGATE_CACHE_BYTES_DEFAULT: usize = 256 << 20;

/// An aggregate writes a snapshot when it has this many events since its last one.
pub const SNAPSHOT_EVENTS: u64 = 256;

/// A large state waits until it has an event for each so many of its bytes, so that snapshots cost no more than events.
const SNAPSHOT_STATE_BYTES_PER_EVENT: u64 = 1024;

/// One part in so many of the memory is for log entries that were read for their events.
const ENTRIES_SHARE: usize = 4;

/// What an aggregate costs in memory beside its state.
const AGGREGATE_OVERHEAD_BYTES: usize = 128;

/// What the cache did; shared, so that metrics can read it from elsewhere.
#[derive(Debug, Default)]
pub struct AggregateCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    passivations: AtomicU64,
    snapshots: AtomicU64,
    aggregates: AtomicU64,
    bytes: AtomicU64,
}

/// The values of [`AggregateCounters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AggregateStats {
    /// Loads answered from memory.
    pub hits: u64,
    /// Loads that read the store.
    pub misses: u64,
    /// Aggregates that had to leave memory.
    pub passivations: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Aggregates in memory.
    pub aggregates: u64,
    /// The bytes that they take.
    pub bytes: u64,
}

impl AggregateCounters {
    /// The values now.
    pub fn read(&self) -> AggregateStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AggregateStats {
            hits: read(&self.hits),
            misses: read(&self.misses),
            passivations: read(&self.passivations),
            snapshots: read(&self.snapshots),
            aggregates: read(&self.aggregates),
            bytes: read(&self.bytes),
        }
    }
}

/// An aggregate's state after its events up to `version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedAggregate<'a, S> {
    /// The state.
    pub state: &'a S,
    /// The version of the newest event in it; 0 if there is none.
    pub version: Version,
}

/// The aggregates of one shard.
#[derive(Debug)]
pub struct Aggregates<D: Domain> {
    shard: ShardId,
    writer: Arc<LogWriter>,
    cached: Lru<D::Id, Cached<D::State>>,
    states_bytes_max: usize,
    /// Entries that were read last: neighbours in the log are often wanted together, and an entry can be large.
    entries: Lru<LogIndex, EntryReader>,
    entries_bytes_max: usize,
    counters: Arc<AggregateCounters>,
    /// The encoded id of the aggregate at hand.
    encoded: Vec<u8>,
}

#[derive(Debug)]
struct Cached<S> {
    state: S,
    version: Version,
    /// The version of its newest snapshot.
    snapshot: Version,
    /// Whether the state is with somebody who changes it, and another stands in its place.
    lent: bool,
}

impl<D: Domain> Aggregates<D> {
    /// The aggregates of `shard`, none in memory yet and at most `bytes_max` later, or one that is larger.
    pub fn new(shard: ShardId, writer: Arc<LogWriter>, bytes_max: usize) -> Self {
        let entries_bytes_max = bytes_max / ENTRIES_SHARE;
        Self {
            shard,
            writer,
            cached: Lru::new(),
            states_bytes_max: bytes_max - entries_bytes_max,
            entries: Lru::new(),
            entries_bytes_max,
            counters: Arc::default(),
            encoded: Vec::new(),
        }
    }

    /// What the cache did so far.
    pub fn counters(&self) -> Arc<AggregateCounters> {
        Arc::clone(&self.counters)
    }

    /// The aggregate after all events whose index update was submitted.
    pub fn load(&mut self, id: &D::Id) -> Result<LoadedAggregate<'_, D::State>, StoreError> {
        if self.has(id) {
            count(&self.counters.hits);
        } else {
            count(&self.counters.misses);
            let loaded = self.read(id)?;
            self.insert(id, loaded);
        }
        let cached = self.cached.get(id).expect("it is cached now");
        Ok(LoadedAggregate { state: &cached.state, version: cached.version })
    }

    /// Loads the aggregate if that can be done without reading the disk: because it is in memory, or because it is
    /// known to have no events, as it is with most that are about to be created. Whether it did.
    pub fn load_without_disk(&mut self, id: &D::Id) -> Result<bool, StoreError> {
        if self.has(id) {
            return Ok(true);
        }
        self.encoded.clear();
        D::encode_id(id, &mut self.encoded);
        if !self.writer.store().index().is_known_absent(self.shard, &self.encoded)? {
            return Ok(false);
        }
        count(&self.counters.misses);
        let state = D::initial(id);
        self.insert(id, Cached { state, version: Version(0), snapshot: Version(0), lent: false });
        Ok(true)
    }

    /// The aggregate, if it is in memory; does not count as a use.
    pub fn peek(&mut self, id: &D::Id) -> Option<LoadedAggregate<'_, D::State>> {
        let cached = self.cached.peek_mut(id).filter(|cached| !cached.lent)?;
        Some(LoadedAggregate { state: &cached.state, version: cached.version })
    }

    /// Gives the state away, without a copy, to be changed and [put](Self::put) back. Loaded meanwhile, it is read anew.
    pub fn lend(&mut self, id: &D::Id) -> Result<D::State, StoreError> {
        self.load(id)?;
        let cached = self.cached.peek_mut(id).expect("it is cached now");
        cached.lent = true;
        let state = std::mem::replace(&mut cached.state, D::initial(id));
        self.cached.resize(id, AGGREGATE_OVERHEAD_BYTES);
        Ok(state)
    }

    /// Whether the state is in memory, and here.
    fn has(&mut self, id: &D::Id) -> bool {
        self.cached.peek_mut(id).is_some_and(|cached| !cached.lent)
    }

    /// Takes a state that the caller has folded already, of events that are applied. Older than what is in memory, it
    /// is ignored.
    pub fn put(&mut self, id: &D::Id, state: D::State, version: Version) {
        let known = self.cached.peek_mut(id);
        if known.as_ref().is_some_and(|known| {
            known.version > version || (known.version == version && !known.lent)
        }) {
            return;
        }
        let snapshot = known.map_or(Version(0), |known| known.snapshot);
        self.insert(id, Cached { state, version, snapshot, lent: false });
    }

    /// Applies the events of an entry that is not void to the aggregates in memory. Its index update must have been
    /// submitted before, so that an aggregate loaded from now on has them too.
    pub fn apply(&mut self, entry: &CommittedEntry) -> Result<(), StoreError> {
        assert_eq!(entry.shard, self.shard, "an entry of this shard");
        for (_, event) in entry.events() {
            let id = D::decode_id(&event.aggregate)?;
            let Some(cached) = self.cached.peek_mut(&id) else { continue };
            if cached.lent || event.version <= cached.version {
                continue;
            }
            evolve::<D>(&mut cached.state, &mut cached.version, event)?;
            let bytes = state_bytes::<D>(&cached.state);
            let due = is_snapshot_due(cached, bytes);
            self.cached.resize(&id, bytes);
            if due {
                self.write_snapshot(&id);
            }
        }
        self.passivate();
        Ok(())
    }

    /// Forgets all states: of a shard that nobody asks any more.
    pub fn clear(&mut self) {
        self.cached = Lru::new();
        self.entries = Lru::new();
        self.report_size();
    }

    fn read(&mut self, id: &D::Id) -> Result<Cached<D::State>, StoreError> {
        self.encoded.clear();
        D::encode_id(id, &mut self.encoded);
        let Self { shard, writer, entries, encoded, entries_bytes_max, .. } = self;
        let (shard, store) = (*shard, writer.store());
        let kept = snapshot::read::<D>(store.db(), store.families(), shard, id, encoded)?;
        let (mut state, snapshot) = kept.unwrap_or_else(|| (D::initial(id), Version(0)));
        let mut version = snapshot;
        let mut read = |index: LogIndex| {
            if let Some(entry) = entries.get(&index) {
                return Ok(entry.clone());
            }
            let (entry, bytes) = read_entry(store, shard, index)?;
            entries.insert(index, entry.clone(), bytes);
            while entries.bytes() > *entries_bytes_max && entries.pop_oldest().is_some() {}
            Ok(entry)
        };
        fold::<D>(store, (shard, encoded), (&mut state, &mut version), None, &mut read)?;
        Ok(Cached { state, version, snapshot, lent: false })
    }

    fn insert(&mut self, id: &D::Id, cached: Cached<D::State>) {
        let bytes = state_bytes::<D>(&cached.state);
        let due = is_snapshot_due(&cached, bytes);
        self.cached.insert(id.clone(), cached, bytes);
        if due {
            self.write_snapshot(id);
        }
        self.passivate();
    }

    /// Lets aggregates go while there are too many bytes; the newest always stays.
    fn passivate(&mut self) {
        while self.cached.bytes() > self.states_bytes_max {
            let Some((id, cached)) = self.cached.pop_oldest() else { break };
            count(&self.counters.passivations);
            if is_snapshot_due(&cached, state_bytes::<D>(&cached.state)) {
                self.submit_snapshot(&id, &cached.state, cached.version);
            }
        }
        self.report_size();
    }

    fn write_snapshot(&mut self, id: &D::Id) {
        let Some(cached) = self.cached.remove(id) else { return };
        let written = self.submit_snapshot(id, &cached.state, cached.version);
        let snapshot = if written { cached.version } else { cached.snapshot };
        let bytes = state_bytes::<D>(&cached.state);
        self.cached.insert(id.clone(), Cached { snapshot, ..cached }, bytes);
    }

    /// Submits a snapshot if the writer has room: there will be another opportunity.
    fn submit_snapshot(&mut self, id: &D::Id, state: &D::State, version: Version) -> bool {
        self.encoded.clear();
        D::encode_id(id, &mut self.encoded);
        let mut rows = Rows::default();
        snapshot::row::<D>(self.shard, &self.encoded, state, version, &mut rows);
        match self.writer.try_submit(WriteTask::Snapshots(rows)) {
            Ok(()) => {
                count(&self.counters.snapshots);
                true
            }
            // A poisoned store is reported to those who wait for it.
            Err(SubmitError::Full(_) | SubmitError::Failed(_)) => false,
        }
    }

    fn report_size(&self) {
        let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        self.counters.aggregates.store(number(self.cached.len()), Ordering::Relaxed);
        self.counters.bytes.store(number(self.cached.bytes()), Ordering::Relaxed);
    }
}

/// Reads the entry of a row that the index names.
pub(crate) fn read_entry(
    store: &LogStore,
    shard: ShardId,
    index: LogIndex,
) -> Result<(EntryReader, usize), StoreError> {
    let row = store.get(shard, index)?.filter(|row| row.kind == RowKind::Events);
    let row = row.ok_or_else(|| misled(shard, index, "which has no events"))?;
    let bytes = row.bytes();
    Ok((EntryReader::new(row.payload)?, bytes))
}

/// What a row with events lets happen.
pub(crate) fn resolve(
    store: &LogStore,
    shard: ShardId,
    row: &LogRow,
) -> Result<Resolved, StoreError> {
    let entry = Entry::decode(row.payload.clone())?;
    Resolved::new(row.index, entry, |prepared| {
        let row = store.get(shard, prepared)?.filter(|row| row.kind == RowKind::Events);
        let row = row.ok_or_else(|| misled(shard, prepared, "which prepared nothing"))?;
        Ok(Entry::decode(row.payload)?)
    })
}

/// Folds the events of an aggregate with versions above `version` into `state`, up to `until` if it is given.
/// `read` gives the entries.
pub(crate) fn fold<D: Domain>(
    store: &LogStore,
    (shard, aggregate): (ShardId, &[u8]),
    (state, version): (&mut D::State, &mut Version),
    until: Option<Version>,
    read: &mut dyn FnMut(LogIndex) -> Result<EntryReader, StoreError>,
) -> Result<(), StoreError> {
    store.index().runs(shard, aggregate, *version, &mut |run| {
        let entry = read(run.index)?;
        for (expected, ordinal) in run.events() {
            if until.is_some_and(|until| *version >= until) {
                return Ok(ControlFlow::Break(()));
            }
            if expected <= *version {
                continue;
            }
            let event = entry.event(ordinal)?;
            if event.aggregate != aggregate || event.version != expected {
                return Err(misled(shard, run.index, "where another event stands"));
            }
            evolve::<D>(state, version, &event)?;
        }
        Ok(ControlFlow::Continue(()))
    })
}

fn misled(shard: ShardId, index: LogIndex, why: &str) -> StoreError {
    StoreError::Corrupted(format!("the index of shard {shard} names row {}, {why}", index.0))
}

/// Applies the next event of an aggregate.
fn evolve<D: Domain>(
    state: &mut D::State,
    version: &mut Version,
    event: &StoredEvent,
) -> Result<(), StoreError> {
    if event.version != version.next() {
        return Err(StoreError::Corrupted(format!(
            "version {} of an aggregate follows version {version}",
            event.version
        )));
    }
    D::evolve(state, &D::decode_event(event.kind, &event.payload)?);
    *version = event.version;
    Ok(())
}

fn is_snapshot_due<S>(cached: &Cached<S>, bytes: usize) -> bool {
    let events = cached.version.0 - cached.snapshot.0;
    !cached.lent
        && events >= SNAPSHOT_EVENTS
        && events >= u64::try_from(bytes).unwrap_or(u64::MAX) / SNAPSHOT_STATE_BYTES_PER_EVENT
}

fn state_bytes<D: Domain>(state: &D::State) -> usize {
    D::state_bytes(state) + AGGREGATE_OVERHEAD_BYTES
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
