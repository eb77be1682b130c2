//! Where an aggregate's events stand in its shard's log: the way back from an identity to its history.
//!
//! The index is derived: it is computed from committed rows in order ([`Indexer`]), written behind them, and can be
//! deleted and computed again at any time. How far it has come ([`Applied`]) is written in the same batch, so it
//! is always the exact index of a prefix of the log.
//!
//! One row says where the events of one aggregate in one log entry stand. A load of a million legs into a thousand
//! flights therefore costs a thousand rows an entry at most, not one row an event.
//!
//! ```text
//! key    shard u16 . 0                                   how far the index has come
//!        shard u16 . 1 . index u64                       an entry that is void
//!        shard u16 . 2 . length u8 . aggregate . version u64   events from that version on
//!        shard u16 . 3 . attempt . index u64             a prepare whose outcome is open
//!        shard u16 . 4 . attempt                         what was decided of a transaction
//! value  of the first      index, term, node, entries, timestamp u64 each . index + 1 of the newest membership row u64
//!        of events         log index . for each run of neighbours: ordinals skipped, ordinals in it; all varints
//!        of a prepare      the deciding shard u16
//!        of a decision     its log index u64
//! ```
//! and CRC-32C u32 over key and value. The aggregate's length comes before it, so that no key of one is a prefix
//! of a key of another.
//!
//! Updates are visible from the moment they are submitted: those that are not yet written stand in memory
//! ([`Index::remember`]), as the log's newest rows do.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::db::{Db, Direction, KeyRange, Rows, StoreError};
use crate::domain::DecodeError;
use crate::entry::{Attempt, Entry, Resolved, Step};
use crate::env::Timestamp;
use crate::log::{Families, Leader, LogRow, RowKind};
use crate::position::{LogIndex, ShardId, Version};
use crate::record;
use crate::varint::{self, Reader};

const APPLIED: u8 = 0;
const VOID: u8 = 1;
const EVENTS: u8 = 2;
const PREPARED: u8 = 3;
const DECISION: u8 = 4;

/// How far a shard's committed rows have been looked at, and what they add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The newest row that was looked at.
    pub index: LogIndex,
    /// Its leader.
    pub leader: Leader,
    /// How many entries there are that a leader decided and that are not void.
    pub entries: u64,
    /// The latest time of them.
    pub timestamp: Timestamp,
    /// The newest row that says who the shard's replicas are.
    pub membership: Option<LogIndex>,
}

/// What a committed row turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// No events happen with it.
    None,
    /// Its events have happened: its own, or those of its prepare.
    Events,
    /// It was decided on an entry that was lost before it: its events have not happened, and never will.
    Void,
}

/// Computes the index of one shard from its committed rows, one after the other.
#[derive(Debug)]
pub struct Indexer {
    shard: ShardId,
    applied: Option<Applied>,
    rows: Rows,
    /// Keys whose rows go.
    deleted: Vec<Vec<u8>>,
}

/// Rows of the index, ready to be written behind the log's.
#[derive(Debug)]
pub struct IndexUpdate {
    shard: ShardId,
    applied: Applied,
    rows: Rows,
    /// The numbers of the rows in order of their keys.
    order: Vec<usize>,
    /// Keys whose rows go: prepares that have their outcome.
    deleted: Vec<Vec<u8>>,
}

impl IndexUpdate {
    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// How far the index has come with it.
    pub fn applied(&self) -> Applied {
        self.applied
    }

    /// The rows to write in order of their keys, how far they reach among them.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.order.iter().map(|at| self.row(*at))
    }

    /// The keys whose rows are deleted, after the rows were written.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = &[u8]> {
        self.deleted.iter().map(Vec::as_slice)
    }

    /// The rows from the key `from` on.
    fn rows_from(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        let start = self.order.partition_point(|at| self.row(*at).0 < from);
        self.order[start..].iter().map(|at| self.row(*at))
    }

    fn row(&self, at: usize) -> (&[u8], &[u8]) {
        self.rows.get(at).expect("a row of this update")
    }

    /// The memory that the update takes.
    pub fn bytes(&self) -> usize {
        self.rows.bytes() + self.order.len() * ROW_OVERHEAD_BYTES
    }
}

/// What a row of an update costs in memory beside its key and value.
const ROW_OVERHEAD_BYTES: usize = 24;

impl Indexer {
    /// Goes on after what was applied.
    pub fn new(shard: ShardId, applied: Option<Applied>) -> Self {
        Self { shard, applied, rows: Rows::default(), deleted: Vec::new() }
    }

    /// How far it has come.
    pub fn applied(&self) -> Option<Applied> {
        self.applied
    }

    /// The bytes that [`Indexer::take`] would give.
    pub fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    /// Looks at the next committed row. `resolved` is what it holds, if it is of [`RowKind::Events`].
    pub fn apply(&mut self, row: &LogRow, resolved: Option<&Resolved>) -> Effect {
        assert!(
            self.applied.is_none_or(|applied| applied.index.0 + 1 == row.index.0),
            "rows are applied one after the other"
        );
        assert_eq!(
            resolved.is_some(),
            row.kind == RowKind::Events,
            "rows with events come with their entry"
        );
        let before = self.applied.unwrap_or(NOTHING_APPLIED);
        let mut applied = Applied { index: row.index, leader: row.leader, ..before };
        let effect = match resolved {
            None => Effect::None,
            Some(resolved) if resolved.entry.sequence == before.entries => {
                applied.entries += 1;
                // The events of a transaction carry a time that others may have overtaken.
                applied.timestamp = before.timestamp.max(resolved.entry.timestamp);
                self.note_step(row.index, &resolved.entry.step);
                if resolved.happens() {
                    self.add_events(resolved.held_at, &resolved.entry);
                    Effect::Events
                } else {
                    Effect::None
                }
            }
            Some(_) => {
                let key = void_key(self.shard, row.index);
                self.push(&key, Vec::new());
                Effect::Void
            }
        };
        if row.kind == RowKind::Membership {
            applied.membership = Some(row.index);
        }
        self.applied = Some(applied);
        effect
    }

    /// What the rows since the last call bring; none if there never was a row.
    pub fn take(&mut self) -> Option<IndexUpdate> {
        let applied = self.applied?;
        let key = applied_key(self.shard);
        self.push(&key, encode_applied(&applied));
        let rows = std::mem::take(&mut self.rows);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|at| rows.get(*at).map(|(key, _)| key));
        let deleted = std::mem::take(&mut self.deleted);
        Some(IndexUpdate { shard: self.shard, applied, rows, order, deleted })
    }

    fn note_step(&mut self, index: LogIndex, step: &Step) {
        match step {
            Step::Events => {}
            Step::Prepare { attempt, deciding } => {
                let key = prepared_key(self.shard, *attempt, index);
                self.push(&key, deciding.0.to_be_bytes().to_vec());
            }
            Step::Decision { attempt, .. } => {
                let key = decision_key(self.shard, *attempt);
                self.push(&key, index.0.to_be_bytes().to_vec());
            }
            Step::Outcome { attempt, prepared, .. } => {
                self.deleted.push(prepared_key(self.shard, *attempt, *prepared));
            }
        }
    }

    fn add_events(&mut self, index: LogIndex, entry: &Entry) {
        for ordinals in ordinals_by_aggregate(entry)
            .chunk_by(|left, right| entry.events[*left].aggregate == entry.events[*right].aggregate)
        {
            assert!(are_consecutive(entry, ordinals), "an aggregate's versions have no gaps");
            let first = &entry.events[ordinals[0]];
            let mut value = Vec::new();
            varint::write_unsigned(index.0, &mut value);
            write_ordinals(ordinals, &mut value);
            let key = events_key(self.shard, &first.aggregate, first.version);
            self.push(&key, value);
        }
    }

    fn push(&mut self, key: &[u8], mut value: Vec<u8>) {
        record::seal(key, &mut value);
        self.rows.push(key, &value);
    }
}

/// A prepare whose outcome is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prepared {
    /// The attempt.
    pub attempt: Attempt,
    /// Its log entry.
    pub index: LogIndex,
    /// The shard whose log says whether it commits.
    pub deciding: ShardId,
}

/// The events of one aggregate in one log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The version of the first; the others follow it.
    pub first: Version,
    /// The entry.
    pub index: LogIndex,
    /// Where they stand in it, in order of their versions: ascending ranges.
    pub ordinals: Vec<Range<usize>>,
}

impl Run {
    /// How many events they are.
    pub fn len(&self) -> u64 {
        self.ordinals.iter().map(|range| u64::try_from(range.len()).expect("below 2^20")).sum()
    }

    /// Whether there are none; never so in a stored run.
    pub fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    /// The version after the last.
    pub fn end(&self) -> Version {
        Version(self.first.0 + self.len())
    }

    /// The versions and the ordinals.
    pub fn events(&self) -> impl Iterator<Item = (Version, usize)> {
        (self.first.0..).map(Version).zip(self.ordinals.iter().cloned().flatten())
    }
}

/// What is called for each row that is read.
type VisitRow<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'v;

/// What is called for each run of each aggregate.
pub(crate) type VisitRun<'v> = dyn FnMut(&[u8], Result<Run, StoreError>) -> ControlFlow<()> + 'v;

/// The index of all shards of a store.
#[derive(Debug)]
pub struct Index {
    db: Arc<Db>,
    families: Families,
    shards: Vec<Mutex<Recent>>,
}

/// What is known of one shard's index without reading it.
#[derive(Debug, Default)]
struct Recent {
    applied: Option<Applied>,
    /// Updates that were submitted and are not yet written, in order.
    updates: VecDeque<Arc<IndexUpdate>>,
}

impl Recent {
    /// The rows with `prefix`, from the key `from` on. In the order of their keys, since later updates only add
    /// later versions.
    fn rows<'r>(
        &'r self,
        prefix: &'r [u8],
        from: &'r [u8],
    ) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
        self.updates.iter().flat_map(move |update| {
            update.rows_from(from).take_while(|(key, _)| key.starts_with(prefix))
        })
    }
}

impl Index {
    pub(crate) fn load(db: Arc<Db>, families: Families, shards: u16) -> Result<Self, StoreError> {
        let load = |shard| {
            Ok(Mutex::new(Recent {
                applied: read_applied(&db, families, ShardId(shard))?,
                updates: VecDeque::new(),
            }))
        };
        let shards = (0..shards).map(load).collect::<Result<_, StoreError>>()?;
        Ok(Self { db, families, shards })
    }

    fn shard(&self, shard: ShardId) -> &Mutex<Recent> {
        self.shards.get(usize::from(shard.0)).expect("a shard of this store")
    }

    /// How far the shard's index has come, what was submitted included.
    pub fn applied(&self, shard: ShardId) -> Option<Applied> {
        self.shard(shard).lock().applied
    }

    /// An indexer that goes on where the shard's index stands.
    pub fn indexer(&self, shard: ShardId) -> Indexer {
        Indexer::new(shard, self.applied(shard))
    }

    /// The entries of a shard whose events have not happened; a handful, after failed leaders.
    pub fn void_entries(&self, shard: ShardId) -> Result<Vec<LogIndex>, StoreError> {
        let prefix = [shard.0.to_be_bytes().as_slice(), &[VOID]].concat();
        let mut voids = Vec::new();
        self.rows_from(shard, &prefix, prefix.clone(), &mut |key, _| {
            voids.push(LogIndex(u64::from_be_bytes(
                Reader::new("a key of the index", &key[prefix.len()..]).array()?,
            )));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(voids)
    }

    /// The prepares of a shard whose outcome is open, as far as they are written: a handful, after a crash.
    pub fn prepared(&self, shard: ShardId) -> Result<Vec<Prepared>, StoreError> {
        let prefix = [shard.0.to_be_bytes().as_slice(), &[PREPARED]].concat();
        let mut prepared = Vec::new();
        let range = KeyRange::prefix(self.families.index, prefix.clone());
        let mut outcome = Ok(());
        self.db.scan(&range, Direction::Forward, &mut |key, value| match decode_prepared(
            &prefix, key, value,
        ) {
            Ok(row) => {
                prepared.push(row);
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        })?;
        outcome.map(|()| prepared)
    }

    /// The log entry that says what was decided of an attempt; none if nothing was.
    pub fn decision(
        &self,
        shard: ShardId,
        attempt: Attempt,
    ) -> Result<Option<LogIndex>, StoreError> {
        let key = decision_key(shard, attempt);
        let mut decision = None;
        self.rows_from(shard, &key, key.clone(), &mut |key, value| {
            let content = record::unseal_or_corrupted("a decision in the index", key, value)?;
            let index = Reader::new("a decision in the index", content).array()?;
            decision = Some(LogIndex(u64::from_be_bytes(index)));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(decision)
    }

    /// The version of the aggregate's newest event; 0 if it has none.
    pub fn version(&self, shard: ShardId, aggregate: &[u8]) -> Result<Version, StoreError> {
        let prefix = events_prefix(shard, aggregate);
        let range = KeyRange::prefix(self.families.index, prefix.clone());
        let recent = {
            let recent = self.shard(shard).lock();
            let last = recent.rows(&prefix, &prefix).last();
            last.map(|(key, value)| decode_run(key, value)).transpose()?
        };
        if let Some(run) = recent {
            return Ok(Version(run.end().0 - 1));
        }
        let Some((key, value)) = self.db.first(&range, Direction::Backward)? else {
            return Ok(Version(0));
        };
        Ok(Version(decode_run(&key, &value)?.end().0 - 1))
    }

    /// Whether the aggregate is known to have no events, without reading the disk.
    pub fn is_known_absent(&self, shard: ShardId, aggregate: &[u8]) -> Result<bool, StoreError> {
        let first = events_key(shard, aggregate, Version(1));
        if self.shard(shard).lock().rows(&first, &first).next().is_some() {
            return Ok(false);
        }
        Ok(self.db.exists_in_memory(self.families.index, &first)? == Some(false))
    }

    /// Visits, in order, where the events of the aggregate with versions above `after` stand, until `visit` breaks.
    /// The first run may begin at or below `after`.
    pub fn runs(
        &self,
        shard: ShardId,
        aggregate: &[u8],
        after: Version,
        visit: &mut dyn FnMut(Run) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let prefix = events_prefix(shard, aggregate);
        let from = if after.0 == 0 {
            // The filter answers this without the disk for an aggregate that does not exist, as most do in a load.
            let first = events_key(shard, aggregate, Version(1));
            let exists = self.shard(shard).lock().rows(&first, &first).next().is_some()
                || self.db.get_with(self.families.index, &first, |_| ())?.is_some();
            if !exists {
                return Ok(());
            }
            first
        } else {
            self.start_of_run(shard, aggregate, after.next())?
        };
        let mut next = Version(0);
        self.rows_from(shard, &prefix, from, &mut |key, value| {
            let run = decode_run(key, value)?;
            let end = run.end();
            // A run that was written meanwhile is met twice.
            if end.0 <= after.0 + 1 || run.first < next {
                return Ok(ControlFlow::Continue(()));
            }
            next = end;
            visit(run)
        })
    }

    /// The key of the run that holds `version`, or from which it is reached.
    fn start_of_run(
        &self,
        shard: ShardId,
        aggregate: &[u8],
        version: Version,
    ) -> Result<Vec<u8>, StoreError> {
        let lower = events_prefix(shard, aggregate);
        let mut upper = events_key(shard, aggregate, version);
        upper.push(0);
        let range = KeyRange::new(self.families.index, lower, upper);
        let stored = self.db.first(&range, Direction::Backward)?;
        Ok(stored.map_or_else(|| events_key(shard, aggregate, Version(1)), |(key, _)| key.to_vec()))
    }

    /// Visits verified rows from `from` on, while they start with `prefix`: the stored ones, then those that were
    /// not yet written a moment before.
    fn rows_from(
        &self,
        shard: ShardId,
        prefix: &[u8],
        from: Vec<u8>,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), StoreError> {
        // First those in memory: a row that is written between the two steps is then seen twice, not missed.
        let recent: Vec<(Vec<u8>, Vec<u8>)> = {
            let recent = self.shard(shard).lock();
            recent.rows(prefix, &from).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
        };
        let mut outcome = Ok(ControlFlow::Continue(()));
        let mut range = KeyRange::prefix(self.families.index, prefix);
        range.lower = from;
        self.db.scan(&range, Direction::Forward, &mut |key, value| {
            if recent.first().is_some_and(|(first, _)| key >= first.as_slice()) {
                return ControlFlow::Break(());
            }
            outcome = visit(key, value);
            match outcome {
                Ok(flow) => flow,
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        let mut flow = outcome?;
        for (key, value) in &recent {
            if flow.is_break() {
                break;
            }
            flow = visit(key, value)?;
        }
        Ok(())
    }

    /// Makes a submitted update visible.
    pub(crate) fn remember(&self, update: &Arc<IndexUpdate>) {
        let mut recent = self.shard(update.shard).lock();
        assert!(
            recent.applied.is_none_or(|applied| applied.index <= update.applied.index),
            "the index only goes forward"
        );
        recent.applied = Some(update.applied);
        recent.updates.push_back(Arc::clone(update));
    }

    /// Lets go of an update that is written: the oldest of its shard.
    pub(crate) fn forget(&self, update: &Arc<IndexUpdate>) {
        let oldest = self.shard(update.shard).lock().updates.pop_front();
        assert!(
            oldest.is_some_and(|oldest| Arc::ptr_eq(&oldest, update)),
            "updates are written in order"
        );
    }

    /// Forgets everything, as the family was emptied.
    pub(crate) fn reset(&self) {
        for shard in &self.shards {
            *shard.lock() = Recent::default();
        }
    }

    /// Visits all runs of a shard by aggregate and version: verification walks them.
    pub(crate) fn all_runs(
        &self,
        shard: ShardId,
        visit: &mut VisitRun<'_>,
    ) -> Result<(), StoreError> {
        let prefix = [shard.0.to_be_bytes().as_slice(), &[EVENTS]].concat();
        self.db.scan(
            &KeyRange::prefix(self.families.index, prefix),
            Direction::Forward,
            &mut |key, value| visit(aggregate_of(key).unwrap_or_default(), decode_run(key, value)),
        )
    }
}

/// The ordinals of an entry's events, those of one aggregate together and in order.
fn ordinals_by_aggregate(entry: &Entry) -> Vec<usize> {
    let mut ordinals: Vec<usize> = (0..entry.events.len()).collect();
    ordinals.sort_by_key(|ordinal| &entry.events[*ordinal].aggregate);
    ordinals
}

fn are_consecutive(entry: &Entry, ordinals: &[usize]) -> bool {
    ordinals
        .windows(2)
        .all(|pair| entry.events[pair[0]].version.next() == entry.events[pair[1]].version)
}

/// Whether the versions of each aggregate in the entry follow each other.
pub(crate) fn has_consecutive_versions(entry: &Entry) -> bool {
    let ordinals = ordinals_by_aggregate(entry);
    let mut groups = ordinals
        .chunk_by(|left, right| entry.events[*left].aggregate == entry.events[*right].aggregate);
    groups.all(|group| are_consecutive(entry, group))
}

const NOTHING_APPLIED: Applied = Applied {
    index: LogIndex(0),
    leader: Leader { term: 0, node: 0 },
    entries: 0,
    timestamp: Timestamp(0),
    membership: None,
};

fn applied_key(shard: ShardId) -> [u8; 3] {
    let [high, low] = shard.0.to_be_bytes();
    [high, low, APPLIED]
}

fn void_key(shard: ShardId, index: LogIndex) -> Vec<u8> {
    [shard.0.to_be_bytes().as_slice(), &[VOID], &index.0.to_be_bytes()].concat()
}

fn prepared_key(shard: ShardId, attempt: Attempt, index: LogIndex) -> Vec<u8> {
    let shard = shard.0.to_be_bytes();
    [shard.as_slice(), &[PREPARED], attempt.0.as_bytes(), &index.0.to_be_bytes()].concat()
}

fn decision_key(shard: ShardId, attempt: Attempt) -> Vec<u8> {
    [shard.0.to_be_bytes().as_slice(), &[DECISION], attempt.0.as_bytes()].concat()
}

/// Whether the key is of a prepare, whose row goes with its outcome.
pub(crate) fn is_prepared_key(key: &[u8]) -> bool {
    key.get(2) == Some(&PREPARED)
}

fn decode_prepared(prefix: &[u8], key: &[u8], value: &[u8]) -> Result<Prepared, StoreError> {
    let content = record::unseal_or_corrupted("a prepare in the index", key, value)?;
    let mut reader = Reader::new("a prepare in the index", &key[prefix.len()..]);
    let attempt = Attempt(uuid::Uuid::from_bytes(reader.array()?));
    let index = LogIndex(u64::from_be_bytes(reader.array()?));
    let deciding = Reader::new("a prepare in the index", content).array()?;
    Ok(Prepared { attempt, index, deciding: ShardId(u16::from_be_bytes(deciding)) })
}

fn events_prefix(shard: ShardId, aggregate: &[u8]) -> Vec<u8> {
    let length = u8::try_from(aggregate.len()).expect("at most AGGREGATE_ID_BYTES_MAX");
    [shard.0.to_be_bytes().as_slice(), &[EVENTS, length], aggregate].concat()
}

fn events_key(shard: ShardId, aggregate: &[u8], version: Version) -> Vec<u8> {
    let mut key = events_prefix(shard, aggregate);
    key.extend_from_slice(&version.0.to_be_bytes());
    key
}

/// The aggregate in a key of its events.
fn aggregate_of(key: &[u8]) -> Option<&[u8]> {
    key.get(4..key.len().checked_sub(8)?)
}

fn write_ordinals(ordinals: &[usize], out: &mut Vec<u8>) {
    let number = |value: usize| u64::try_from(value).expect("below 2^20");
    let mut end = 0;
    for neighbours in ordinals.chunk_by(|left, right| left + 1 == *right) {
        varint::write_unsigned(number(neighbours[0] - end), out);
        varint::write_unsigned(number(neighbours.len()), out);
        end = neighbours[0] + neighbours.len();
    }
}

fn decode_run(key: &[u8], value: &[u8]) -> Result<Run, StoreError> {
    let content = record::unseal_or_corrupted("a row of the index", key, value)?;
    let decode = || -> Result<Run, DecodeError> {
        let mut reader = Reader::new("a row of the index", content);
        let version = key.last_chunk().ok_or_else(|| reader.error("its key is too short"))?;
        let index = LogIndex(reader.unsigned()?);
        let mut ordinals = Vec::new();
        let mut end: usize = 0;
        while reader.remaining() > 0 {
            let (skipped, length): (u32, u32) = (reader.unsigned_as()?, reader.unsigned_as()?);
            let number = |value: u32| usize::try_from(value).expect("fits memory");
            let start = end + number(skipped);
            end = start + number(length);
            ordinals.push(start..end);
        }
        Ok(Run { first: Version(u64::from_be_bytes(*version)), index, ordinals })
    };
    Ok(decode()?)
}

fn encode_applied(applied: &Applied) -> Vec<u8> {
    let mut value = applied.index.0.to_be_bytes().to_vec();
    applied.leader.write(&mut value);
    value.extend_from_slice(&applied.entries.to_be_bytes());
    value.extend_from_slice(&applied.timestamp.0.to_be_bytes());
    value.extend_from_slice(&applied.membership.map_or(0, |index| index.0 + 1).to_be_bytes());
    value
}

fn read_applied(
    db: &Db,
    families: Families,
    shard: ShardId,
) -> Result<Option<Applied>, StoreError> {
    let key = applied_key(shard);
    let Some(value) = db.get(families.index, &key)? else { return Ok(None) };
    let content = record::unseal_or_corrupted("how far the index has come", &key, &value)?;
    let mut reader = Reader::new("how far the index has come", content);
    let applied = Applied {
        index: LogIndex(u64::from_be_bytes(reader.array()?)),
        leader: Leader::read(&mut reader)?,
        entries: u64::from_be_bytes(reader.array()?),
        timestamp: Timestamp(u64::from_be_bytes(reader.array()?)),
        membership: u64::from_be_bytes(reader.array()?).checked_sub(1).map(LogIndex),
    };
    reader.finish()?;
    Ok(Some(applied))
}
