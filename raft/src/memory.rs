//! Storage in memory, for tests and simulation. It keeps two contents, what was written and what was synced, and
//! a crash leaves only the second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{Attempt, Entry, Resolved, Step};
use rotabase_engine::index::{Applied, Indexer, Prepared};
use rotabase_engine::log::{Committed, Leader, LogRow, RowKind};
use rotabase_engine::position::{LogIndex, ShardId, Version};
use rotabase_engine::writer::{Done, SubmitError, WriteTask};
use rustc_hash::FxHashMap;

use crate::aggregate_source::{AggregateSource, Store};
use crate::shard_log::ShardLog;

/// The logs of a machine's shards, in memory.
#[derive(Debug)]
pub struct MemoryLog {
    inner: Mutex<Inner>,
    /// Held while callbacks are made, so that they come in order.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    written: Vec<Content>,
    durable: Vec<Content>,
    unsynced: VecDeque<Unsynced>,
    held: bool,
    /// How many more changes become durable before nothing does.
    left: Option<usize>,
    failed: Option<StoreError>,
}

/// What one shard has.
#[derive(Clone, Debug, Default)]
struct Content {
    rows: BTreeMap<LogIndex, LogRow>,
    meta: BTreeMap<&'static str, Bytes>,
    committed: Option<Committed>,
    applied: Option<Applied>,
    voids: Vec<LogIndex>,
    /// Where the events of each aggregate stand.
    index: BTreeMap<Bytes, Vec<(LogIndex, usize)>>,
    prepared: BTreeSet<Prepared>,
    decisions: BTreeMap<Attempt, LogIndex>,
}

struct Unsynced {
    change: Change,
    done: Option<Done>,
}

impl std::fmt::Debug for Unsynced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.change.fmt(f)
    }
}

#[derive(Clone, Debug)]
enum Change {
    Append(ShardId, Vec<LogRow>),
    Truncate(ShardId, Option<LogIndex>),
    Meta(ShardId, &'static str, Bytes),
    Committed(ShardId, Committed),
    Index(ShardId, Applied),
    Nothing,
}

impl MemoryLog {
    /// Empty logs of `shards` shards.
    pub fn new(shards: u16) -> Arc<Self> {
        Self::with(vec![Content::default(); usize::from(shards)])
    }

    fn with(content: Vec<Content>) -> Arc<Self> {
        let inner = Inner {
            written: content.clone(),
            durable: content,
            unsynced: VecDeque::new(),
            held: false,
            left: None,
            failed: None,
        };
        Arc::new(Self { inner: Mutex::new(inner), syncing: Mutex::new(()) })
    }

    /// From now on nothing becomes durable, until [`MemoryLog::release`].
    pub fn hold(&self) {
        self.inner.lock().held = true;
    }

    /// Nothing becomes durable any more once so many further changes have: to cut the power at each step of something.
    pub fn hold_after(&self, changes: usize) {
        let mut inner = self.inner.lock();
        inner.left = Some(changes);
        inner.held |= changes == 0;
    }

    /// Whether nothing becomes durable now.
    pub fn is_held(&self) -> bool {
        self.inner.lock().held
    }

    /// Makes everything durable, and goes on doing so at once.
    pub fn release(&self) {
        {
            let mut inner = self.inner.lock();
            (inner.held, inner.left) = (false, None);
        }
        self.sync();
    }

    /// Fails all writes from now on.
    pub fn fail(&self, error: &StoreError) {
        let unsynced = {
            let mut inner = self.inner.lock();
            inner.failed = Some(error.clone());
            std::mem::take(&mut inner.unsynced)
        };
        unsynced.into_iter().filter_map(|it| it.done).for_each(|done| done(Err(error.clone())));
    }

    /// The power fails: this log takes nothing more, and what is returned is what the disk has.
    #[must_use]
    pub fn crash(&self) -> Arc<Self> {
        let mut inner = self.inner.lock();
        inner.failed = Some(StoreError::Io("the power failed".to_owned()));
        inner.unsynced.clear();
        Self::with(inner.durable.clone())
    }

    fn sync(&self) {
        let _in_order = self.syncing.lock();
        loop {
            let unsynced = {
                let mut inner = self.inner.lock();
                if inner.held {
                    return;
                }
                let Some(unsynced) = inner.unsynced.pop_front() else { return };
                unsynced.change.clone().make(&mut inner.durable);
                if let Some(left) = &mut inner.left {
                    *left = left.saturating_sub(1);
                    inner.held = inner.left == Some(0);
                }
                unsynced
            };
            if let Some(done) = unsynced.done {
                done(Ok(()));
            }
        }
    }

    fn with_shard<R>(&self, shard: ShardId, read: impl FnOnce(&Content) -> R) -> R {
        read(&self.inner.lock().written[usize::from(shard.0)])
    }
}

impl Change {
    fn of(task: WriteTask) -> (Self, Option<Done>) {
        match task {
            WriteTask::Append { shard, rows, done } => (Self::Append(shard, rows), Some(done)),
            WriteTask::Truncate { shard, keep, done } => (Self::Truncate(shard, keep), Some(done)),
            WriteTask::Meta { shard, name, value, done } => {
                (Self::Meta(shard, name, value), Some(done))
            }
            WriteTask::Committed(shard, committed) => (Self::Committed(shard, committed), None),
            WriteTask::Index(update) => (Self::Index(update.shard(), update.applied()), None),
            WriteTask::Snapshots(_) => (Self::Nothing, None),
            WriteTask::Sync(done) => (Self::Nothing, Some(done)),
        }
    }

    fn make(self, shards: &mut [Content]) {
        match self {
            Self::Append(shard, rows) => content(shards, shard).append(rows),
            Self::Truncate(shard, keep) => {
                content(shards, shard).rows.retain(|index, _| Some(*index) <= keep);
            }
            Self::Meta(shard, name, value) => {
                content(shards, shard).meta.insert(name, value);
            }
            Self::Committed(shard, committed) => content(shards, shard).committed = Some(committed),
            Self::Index(shard, applied) => content(shards, shard).follow(applied),
            Self::Nothing => {}
        }
    }
}

fn content(shards: &mut [Content], shard: ShardId) -> &mut Content {
    &mut shards[usize::from(shard.0)]
}

impl Content {
    fn append(&mut self, rows: Vec<LogRow>) {
        for row in rows {
            let last = self.rows.last_key_value().map(|(index, _)| *index);
            assert!(
                last.is_none_or(|last| row.index.0 == last.0 + 1),
                "rows of a log follow each other"
            );
            self.rows.insert(row.index, row);
        }
    }

    /// Indexes the rows up to `applied`.
    fn follow(&mut self, applied: Applied) {
        let from = self.applied.map_or(LogIndex(0), |before| LogIndex(before.index.0 + 1));
        let mut entries = self.applied.map_or(0, |before| before.entries);
        let rows: Vec<LogRow> = self
            .rows
            .range(from..=applied.index)
            .filter(|(_, row)| row.kind == RowKind::Events)
            .map(|(_, row)| row.clone())
            .collect();
        for row in rows {
            let resolved = self.resolve(&row);
            let entry = &resolved.entry;
            if entry.sequence != entries {
                self.voids.push(row.index);
                continue;
            }
            entries += 1;
            self.note_step(row.index, &entry.step);
            if !resolved.happens() {
                continue;
            }
            for (ordinal, event) in entry.events.iter().enumerate() {
                let places = self.index.entry(event.aggregate.clone()).or_default();
                places.push((resolved.held_at, ordinal));
            }
        }
        assert_eq!(entries, applied.entries, "the index is a fold of the log");
        self.applied = Some(applied);
    }

    fn resolve(&self, row: &LogRow) -> Resolved {
        let decode = |row: &LogRow| Entry::decode(row.payload.clone());
        let entry = decode(row).expect("rows in memory are sound");
        let prepare = |prepared| decode(&self.rows[&prepared]);
        Resolved::new(row.index, entry, prepare).expect("rows in memory are sound")
    }

    fn note_step(&mut self, index: LogIndex, step: &Step) {
        match step {
            Step::Events => {}
            Step::Prepare { attempt, deciding } => {
                let prepared = Prepared { attempt: *attempt, index, deciding: *deciding };
                self.prepared.insert(prepared);
            }
            Step::Decision { attempt, .. } => {
                self.decisions.insert(*attempt, index);
            }
            Step::Outcome { attempt, prepared, .. } => {
                self.prepared.retain(|open| (open.attempt, open.index) != (*attempt, *prepared));
            }
        }
    }

    fn leaders(&self) -> Vec<(LogIndex, Leader)> {
        let mut leaders: Vec<(LogIndex, Leader)> = Vec::new();
        for row in self.rows.values() {
            match leaders.last_mut() {
                Some((last, leader)) if *leader == row.leader => *last = row.index,
                _ => leaders.push((row.index, row.leader)),
            }
        }
        leaders
    }
}

impl ShardLog for MemoryLog {
    fn shards(&self) -> u16 {
        u16::try_from(self.inner.lock().written.len()).expect("made from a u16")
    }

    fn last(&self, shard: ShardId) -> Option<(LogIndex, Leader)> {
        self.with_shard(shard, |content| {
            content.rows.last_key_value().map(|(index, row)| (*index, row.leader))
        })
    }

    fn leader_at(&self, shard: ShardId, index: LogIndex) -> Option<Leader> {
        self.with_shard(shard, |content| content.rows.get(&index).map(|row| row.leader))
    }

    fn last_of_each_leader(
        &self,
        shard: ShardId,
        from: LogIndex,
        to: LogIndex,
    ) -> Vec<(LogIndex, Leader)> {
        self.with_shard(shard, |content| {
            let within = Content {
                rows: content
                    .rows
                    .range(from..=to)
                    .map(|(index, row)| (*index, row.clone()))
                    .collect(),
                ..Content::default()
            };
            within.leaders()
        })
    }

    fn in_memory_from(&self, _shard: ShardId) -> LogIndex {
        LogIndex(0)
    }

    fn read(
        &self,
        shard: ShardId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<LogRow>, StoreError> {
        self.with_shard(shard, |content| {
            let mut rows = Vec::new();
            let mut bytes = 0;
            let found = if range.start < range.end {
                content.rows.range(range)
            } else {
                content.rows.range(LogIndex(0)..LogIndex(0))
            };
            for (_, row) in found {
                bytes += row.bytes();
                rows.push(row.clone());
                if bytes >= bytes_max {
                    break;
                }
            }
            Ok(rows)
        })
    }

    fn meta(&self, shard: ShardId, name: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.with_shard(shard, |content| content.meta.get(name).cloned()))
    }

    fn committed(&self, shard: ShardId) -> Result<Option<Committed>, StoreError> {
        Ok(self.with_shard(shard, |content| content.committed))
    }

    fn applied(&self, shard: ShardId) -> Option<Applied> {
        self.with_shard(shard, |content| content.applied)
    }

    fn indexer(&self, shard: ShardId) -> Indexer {
        Indexer::new(shard, self.applied(shard))
    }

    fn void_entries(&self, shard: ShardId) -> Result<Vec<LogIndex>, StoreError> {
        Ok(self.with_shard(shard, |content| content.voids.clone()))
    }

    fn prepared(&self, shard: ShardId) -> Result<Vec<Prepared>, StoreError> {
        Ok(self.with_shard(shard, |content| content.prepared.iter().copied().collect()))
    }

    fn decision(&self, shard: ShardId, attempt: Attempt) -> Result<Option<LogIndex>, StoreError> {
        Ok(self.with_shard(shard, |content| content.decisions.get(&attempt).copied()))
    }

    fn try_submit(&self, task: WriteTask) -> Result<(), SubmitError> {
        {
            let mut inner = self.inner.lock();
            if let Some(error) = &inner.failed {
                return Err(SubmitError::Failed(error.clone()));
            }
            let (change, done) = Change::of(task);
            change.clone().make(&mut inner.written);
            inner.unsynced.push_back(Unsynced { change, done });
        }
        self.sync();
        Ok(())
    }

    fn when_room(&self, notify: Box<dyn FnOnce() + Send>) {
        notify();
    }

    fn failure(&self) -> Option<StoreError> {
        self.inner.lock().failed.clone()
    }

    fn shard_bytes(&self, shard: ShardId) -> u64 {
        let inner = self.inner.lock();
        let rows =
            inner.written.get(usize::from(shard.0)).into_iter().flat_map(|it| it.rows.values());
        u64::try_from(rows.map(LogRow::bytes).sum::<usize>()).unwrap_or(u64::MAX)
    }

    fn bytes(&self) -> u64 {
        let inner = self.inner.lock();
        let bytes: usize =
            inner.written.iter().flat_map(|content| content.rows.values()).map(LogRow::bytes).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn shutdown(&self) {
        self.release();
        self.fail(&StoreError::Io("the log is shut down".to_owned()));
    }
}

/// A node's storage in memory.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    log: Arc<MemoryLog>,
}

impl MemoryStore {
    /// The storage whose logs are `log`.
    pub fn new(log: Arc<MemoryLog>) -> Arc<Self> {
        Arc::new(Self { log })
    }
}

impl<D: Domain> Store<D> for MemoryStore {
    fn log(&self) -> Arc<dyn ShardLog> {
        Arc::<MemoryLog>::clone(&self.log)
    }

    fn aggregates(&self, shard: ShardId) -> Box<dyn AggregateSource<D>> {
        let log = Arc::clone(&self.log);
        Box::new(MemoryAggregates::<D> {
            shard,
            log,
            states: FxHashMap::default(),
            domain: PhantomData,
        })
    }
}

#[derive(Debug)]
struct MemoryAggregates<D: Domain> {
    shard: ShardId,
    log: Arc<MemoryLog>,
    states: FxHashMap<D::Id, (D::State, Version)>,
    domain: PhantomData<D>,
}

impl<D: Domain> MemoryAggregates<D> {
    fn read(&self, id: &D::Id) -> Result<(D::State, Version), StoreError> {
        let mut encoded = Vec::new();
        D::encode_id(id, &mut encoded);
        let payloads: Vec<(Bytes, usize)> = self.log.with_shard(self.shard, |content| {
            let places = content.index.get(encoded.as_slice()).into_iter().flatten();
            places.map(|(index, ordinal)| (content.rows[index].payload.clone(), *ordinal)).collect()
        });
        let (mut state, mut version) = (D::initial(id), Version::default());
        for (payload, ordinal) in payloads {
            let entry = Entry::decode(payload)?;
            let event = &entry.events[ordinal];
            if event.version != version.next() {
                return Err(StoreError::Corrupted(format!(
                    "version {} of {id} follows version {version}",
                    event.version
                )));
            }
            D::evolve(&mut state, &D::decode_event(event.kind, &event.payload)?);
            version = event.version;
        }
        Ok((state, version))
    }
}

impl<D: Domain> AggregateSource<D> for MemoryAggregates<D> {
    fn load(&mut self, id: &D::Id) -> Result<(&D::State, Version), StoreError> {
        if !self.states.contains_key(id) {
            let loaded = self.read(id)?;
            self.states.insert(id.clone(), loaded);
        }
        let (state, version) = &self.states[id];
        Ok((state, *version))
    }

    fn load_without_disk(&mut self, id: &D::Id) -> Result<bool, StoreError> {
        // As if everything that is not loaded were on a disk.
        Ok(self.states.contains_key(id))
    }

    fn lend(&mut self, id: &D::Id) -> Result<D::State, StoreError> {
        match self.states.remove(id) {
            Some((state, _)) => Ok(state),
            None => Ok(self.read(id)?.0),
        }
    }

    fn put(&mut self, id: &D::Id, state: D::State, version: Version) {
        if self.states.get(id).is_none_or(|(_, known)| *known < version) {
            self.states.insert(id.clone(), (state, version));
        }
    }

    fn clear(&mut self) {
        self.states.clear();
    }
}
