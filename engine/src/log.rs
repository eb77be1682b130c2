//! The logs of all shards of one machine, in one database: the record of what has happened.
//!
//! A shard's log is a sequence of [`LogRow`]s with consecutive indexes. Rows are appended, and the end of a log
//! that is not committed can be cut off again when another leader's rows replace it; nothing else ever changes.
//! All writing goes through [`LogWriter`](crate::writer::LogWriter); this module is what it writes into and what
//! everyone reads from.
//!
//! # Three marks
//!
//! Of each shard, `written <= last` and `durable <= written`. A row up to `last` was accepted and is readable; up
//! to `written` it is in the storage engine and survives the process; up to `durable` it survives a power cut.
//! Rows that are not yet written are read from memory, and so are the newest others as far as
//! [`LogOptions::tail_bytes_max`] goes.
//!
//! # What it must never know
//!
//! What rows mean: it stores and verifies them. It makes no promise on what is committed, it only remembers
//! what it was told ([`Committed`]).

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::db::{Db, DbOptions, Direction, Durability, Family, FamilyOptions, StoreError};
use crate::index::Index;
use crate::log_meta;
use crate::log_row;
use crate::position::{LogIndex, SHARDS_MAX, ShardId};
use crate::tail::Tail;

pub use crate::log_meta::{Committed, Identity, STORE_FORMAT};
pub use crate::log_row::{Leader, LogRow, RowKind};

/// The bytes of new rows that are kept in memory for all shards together, if nothing else is asked for.
pub const TAIL_BYTES_DEFAULT: usize = 64 << 20;

/// How a log store is opened.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// What to write into a new directory; without it only an existing one is opened.
    pub create: Option<Identity>,
    /// The cluster that the directory must belong to.
    pub cluster: Option<uuid::Uuid>,
    /// The number of shards that it must have.
    pub shards: Option<u16>,
    /// The bytes of written rows that stay in memory, over all shards.
    pub tail_bytes_max: usize,
    /// The storage engine's memory.
    pub db: DbOptions,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            create: None,
            cluster: None,
            shards: None,
            tail_bytes_max: TAIL_BYTES_DEFAULT,
            db: DbOptions::default(),
        }
    }
}

/// The logs of a machine's shards, with the index and the snapshots derived from them.
#[derive(Debug)]
pub struct LogStore {
    db: Arc<Db>,
    families: Families,
    identity: Identity,
    shards: Vec<Mutex<ShardLog>>,
    index: Index,
}

/// The families of the log's database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Families {
    pub(crate) log: Family,
    pub(crate) meta: Family,
    pub(crate) index: Family,
    pub(crate) snapshots: Family,
}

/// What is known of one shard's log without reading it.
#[derive(Debug)]
struct ShardLog {
    last: Option<LogIndex>,
    written: Option<LogIndex>,
    durable: Option<LogIndex>,
    /// The first index of each leader's rows, in order.
    leaders: Vec<(LogIndex, Leader)>,
    tail: Tail,
    /// Counts truncations: what was accepted before one says nothing about the rows after it.
    epoch: u64,
}

/// How far one shard's log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogMarks {
    /// The newest row.
    pub last: Option<LogIndex>,
    /// The newest row that survives the process.
    pub written: Option<LogIndex>,
    /// The newest row that survives a power cut.
    pub durable: Option<LogIndex>,
}

/// What the writer has to do for accepted rows.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) epoch: u64,
    /// The leaders that are new with these rows, and their first index.
    pub(crate) new_leaders: Vec<(LogIndex, Leader)>,
}

/// What the writer has to delete for an accepted truncation.
#[derive(Debug)]
pub(crate) struct Truncated {
    pub(crate) rows: Range<LogIndex>,
    pub(crate) leaders: Vec<LogIndex>,
}

impl LogStore {
    /// Opens the directory, or creates it if [`LogOptions::create`] says as what.
    pub fn open(path: &Path, options: &LogOptions) -> Result<Arc<Self>, StoreError> {
        let exists = Db::exists_with(path, &options.db);
        if !exists {
            refuse_foreign_directory(path, options)?;
        }
        let families = [
            FamilyOptions::new("log").append_only(),
            FamilyOptions::new("meta"),
            FamilyOptions::new("index").bloom(),
            FamilyOptions::new("snapshots").bloom(),
        ];
        let db = Db::open(path, &families, &options.db)?;
        let families = Families {
            log: db.family("log"),
            meta: db.family("meta"),
            index: db.family("index"),
            snapshots: db.family("snapshots"),
        };
        let identity = read_or_create_identity(&db, families, path, options)?;
        let tail_bytes_max = options.tail_bytes_max / usize::from(identity.shards);
        let shards = (0..identity.shards)
            .map(|shard| {
                Ok(Mutex::new(ShardLog::load(&db, families, ShardId(shard), tail_bytes_max)?))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let index = Index::load(Arc::clone(&db), families, identity.shards)?;
        let store = Self { db, families, identity, shards, index };
        for shard in store.shards() {
            store.refuse_index_ahead_of_log(shard)?;
        }
        Ok(Arc::new(store))
    }

    /// Applied rows that the log does not have would be purged by a replication layer that trusts the index.
    fn refuse_index_ahead_of_log(&self, shard: ShardId) -> Result<(), StoreError> {
        let (applied, last) =
            (self.index.applied(shard).map(|it| it.index), self.marks(shard).last);
        if applied > last {
            return Err(StoreError::Corrupted(format!(
                "the index of shard {shard} is ahead of its log: {applied:?} and {last:?}"
            )));
        }
        Ok(())
    }

    /// Where the events of aggregates stand.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Whose directory it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// All shards.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.identity.shards).map(ShardId)
    }

    pub(crate) fn db(&self) -> &Arc<Db> {
        &self.db
    }

    pub(crate) fn families(&self) -> Families {
        self.families
    }

    fn shard(&self, shard: ShardId) -> &Mutex<ShardLog> {
        self.shards.get(usize::from(shard.0)).expect("a shard of this store")
    }

    /// The marks of a shard's log.
    pub fn marks(&self, shard: ShardId) -> LogMarks {
        let log = self.shard(shard).lock();
        LogMarks { last: log.last, written: log.written, durable: log.durable }
    }

    /// Rows with this index or a greater one are read without touching the disk.
    pub fn in_memory_from(&self, shard: ShardId) -> LogIndex {
        self.shard(shard).lock().tail.start()
    }

    /// The newest row's index and leader.
    pub fn last(&self, shard: ShardId) -> Option<(LogIndex, Leader)> {
        let log = self.shard(shard).lock();
        Some((log.last?, log.leaders.last()?.1))
    }

    /// The leader of the row at `index`, without reading the row.
    pub fn leader_at(&self, shard: ShardId, index: LogIndex) -> Option<Leader> {
        let log = self.shard(shard).lock();
        if log.last < Some(index) {
            return None;
        }
        let after = log.leaders.partition_point(|(first, _)| *first <= index);
        Some(log.leaders[after.checked_sub(1)?].1)
    }

    /// Within `from..=to`, the last row of each leader, in order: the last one given is the row at `to`, or the
    /// newest row if the log ends before.
    pub fn last_of_each_leader(
        &self,
        shard: ShardId,
        from: LogIndex,
        to: LogIndex,
    ) -> Vec<(LogIndex, Leader)> {
        let log = self.shard(shard).lock();
        let Some(end) = log.last.map(|last| last.min(to)) else { return Vec::new() };
        let firsts_of_next = log.leaders.iter().skip(1).map(|(first, _)| LogIndex(first.0 - 1));
        let lasts = firsts_of_next.chain(std::iter::once(end)).map(|last| last.min(end));
        let mut of_each: Vec<(LogIndex, Leader)> = Vec::new();
        for (last, (first, leader)) in lasts.zip(&log.leaders) {
            if last >= from && *first <= end {
                of_each.push((last, *leader));
            }
        }
        of_each
    }

    /// Reads the row at `index`, verified; none if the log ends before it.
    pub fn get(&self, shard: ShardId, index: LogIndex) -> Result<Option<LogRow>, StoreError> {
        let epoch = {
            let log = self.shard(shard).lock();
            if log.last < Some(index) {
                return Ok(None);
            }
            if let Some(row) = log.tail.get(index) {
                return Ok(Some(row.clone()));
            }
            log.epoch
        };
        let key = log_row::key(shard, index);
        let row = self
            .db
            .get_with(self.families.log, &key, |value| LogRow::decode(shard, &key, value))?;
        if row.is_none() && self.shard(shard).lock().epoch == epoch {
            return Err(hole(shard, index));
        }
        row.transpose()
    }

    /// Reads the rows of `range` in order, verified, and stops after the row with which they take `bytes_max`; of
    /// a log that ends before the range does, those that there are. A gap is an error.
    pub fn read(
        &self,
        shard: ShardId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<LogRow>, StoreError> {
        loop {
            let (epoch, tail_start, end) = {
                let log = self.shard(shard).lock();
                let end = log.last.map_or(0, |last| last.0 + 1).min(range.end.0);
                if range.start >= log.tail.start() {
                    return Ok(rows_of_tail(&log.tail, range.start..LogIndex(end), bytes_max));
                }
                (log.epoch, log.tail.start(), LogIndex(end))
            };
            if range.start >= end {
                return Ok(Vec::new());
            }
            let stored = range.start..end.min(tail_start);
            let read = self.read_stored(shard, stored.clone(), bytes_max);
            let log = self.shard(shard).lock();
            if log.epoch != epoch {
                // Rows were replaced meanwhile: what was read may be of two logs.
                continue;
            }
            let (mut rows, bytes) = read?;
            if bytes < bytes_max && stored.end < end && log.tail.start() <= stored.end {
                rows.extend(rows_of_tail(&log.tail, stored.end..end, bytes_max - bytes));
            }
            return Ok(rows);
        }
    }

    /// Rows from the storage engine alone, and the bytes they take.
    fn read_stored(
        &self,
        shard: ShardId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<(Vec<LogRow>, usize), StoreError> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        let mut next = range.start;
        let mut failed = None;
        let keys = log_row::key_range(self.families.log, shard, range.start, range.end);
        self.db.scan(&keys, Direction::Forward, &mut |key, value| match LogRow::decode(
            shard, key, value,
        ) {
            Ok(row) if row.index == next => {
                next.0 += 1;
                bytes += row.bytes();
                rows.push(row);
                if bytes < bytes_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }
            Ok(_) => {
                failed = Some(hole(shard, next));
                ControlFlow::Break(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if bytes < bytes_max && next < range.end {
            return Err(hole(shard, next));
        }
        Ok((rows, bytes))
    }

    /// Reads a record of the replication layer, as the vote, that the writer was given before.
    pub fn meta(&self, shard: ShardId, name: &str) -> Result<Option<Bytes>, StoreError> {
        log_meta::read(&self.db, self.families.meta, &log_meta::key(shard, name.as_bytes()))
    }

    /// The newest row that was noted as committed. It may lag behind what is.
    pub fn committed(&self, shard: ShardId) -> Result<Option<Committed>, StoreError> {
        let Some(value) = self.meta(shard, log_meta::committed_name())? else { return Ok(None) };
        Ok(Some(Committed::decode(&value)?))
    }

    /// Roughly the bytes of the logs of all shards on disk.
    pub fn bytes(&self) -> u64 {
        self.db.family_bytes(self.families.log)
    }

    /// The bytes that the cache of blocks read from disk holds, and how many it may.
    pub fn block_cache_bytes(&self) -> (u64, u64) {
        self.db.block_cache_bytes()
    }

    /// Roughly the bytes of the log of each shard on disk; what is in memory only does not count.
    pub fn shard_bytes(&self, shard: ShardId) -> u64 {
        let range = log_row::key_range(self.families.log, shard, LogIndex(0), LogIndex(u64::MAX));
        self.db.range_bytes(&range)
    }

    /// Makes everything written so far durable, derived data included: for an orderly end.
    pub fn flush(&self) -> Result<(), StoreError> {
        let Families { log, meta, index, snapshots } = self.families;
        self.db.sync_wal()?;
        self.db.flush(&[log, meta, index, snapshots])
    }

    /// Takes rows into the log; they are readable when this returns.
    pub(crate) fn accept_append(&self, shard: ShardId, rows: &[LogRow]) -> Accepted {
        let mut log = self.shard(shard).lock();
        let mut new_leaders = Vec::new();
        for row in rows {
            assert!(
                log.last.is_none_or(|last| row.index.0 == last.0 + 1),
                "rows of a log follow each other"
            );
            if log.leaders.last().is_none_or(|(_, leader)| *leader != row.leader) {
                log.leaders.push((row.index, row.leader));
                new_leaders.push((row.index, row.leader));
            }
            log.last = Some(row.index);
            log.tail.push(row.clone());
        }
        Accepted { epoch: log.epoch, new_leaders }
    }

    /// Cuts the log off behind `keep`, or wholly; the rows are gone when this returns.
    pub(crate) fn accept_truncate(&self, shard: ShardId, keep: Option<LogIndex>) -> Truncated {
        let mut log = self.shard(shard).lock();
        let from = keep.map_or(LogIndex(0), |keep| LogIndex(keep.0 + 1));
        let to = log.last.map_or(from, |last| LogIndex(last.0 + 1).max(from));
        log.epoch += 1;
        log.last = log.last.min(keep);
        log.written = log.written.min(keep);
        log.durable = log.durable.min(keep);
        log.tail.truncate(from);
        let kept = log.leaders.partition_point(|(first, _)| *first < from);
        let leaders = log.leaders.drain(kept..).map(|(first, _)| first).collect();
        Truncated { rows: from..to, leaders }
    }

    /// Notes that the rows up to `index`, accepted in `epoch`, are in the storage engine.
    pub(crate) fn mark_written(&self, shard: ShardId, epoch: u64, index: LogIndex) {
        let mut log = self.shard(shard).lock();
        if log.epoch == epoch {
            log.written = log.written.max(Some(index));
            log.tail.evict(index);
        }
    }

    /// Notes that the rows up to `index`, accepted in `epoch`, survive a power cut.
    pub(crate) fn mark_durable(&self, shard: ShardId, epoch: u64, index: LogIndex) {
        let mut log = self.shard(shard).lock();
        if log.epoch == epoch {
            log.durable = log.durable.max(Some(index));
        }
    }
}

impl ShardLog {
    fn load(
        db: &Arc<Db>,
        families: Families,
        shard: ShardId,
        tail_bytes_max: usize,
    ) -> Result<Self, StoreError> {
        let keys = log_row::key_range(families.log, shard, LogIndex(0), LogIndex(u64::MAX));
        let last = match db.first(&keys, Direction::Backward)? {
            Some((key, value)) => Some(LogRow::decode(shard, &key, &value)?),
            None => None,
        };
        let leaders = log_meta::read_leaders(db, families.meta, shard)?;
        let (last_leader, table) =
            (last.as_ref().map(|row| row.leader), leaders.last().map(|(_, leader)| *leader));
        if last_leader != table
            || leaders.last().map(|(first, _)| *first) > last.as_ref().map(|row| row.index)
        {
            return Err(StoreError::Corrupted(format!(
                "the leader table of shard {shard} does not agree with its log"
            )));
        }
        let last = last.map(|row| row.index);
        let next = last.map_or(LogIndex(0), |last| LogIndex(last.0 + 1));
        Ok(Self {
            last,
            written: last,
            durable: last,
            leaders,
            tail: Tail::new(next, tail_bytes_max),
            epoch: 0,
        })
    }
}

fn rows_of_tail(tail: &Tail, range: Range<LogIndex>, bytes_max: usize) -> Vec<LogRow> {
    let mut rows = Vec::new();
    let mut bytes = 0;
    for index in range.start.0..range.end.0 {
        let Some(row) = tail.get(LogIndex(index)) else { break };
        bytes += row.bytes();
        rows.push(row.clone());
        if bytes >= bytes_max {
            break;
        }
    }
    rows
}

fn hole(shard: ShardId, index: LogIndex) -> StoreError {
    StoreError::Corrupted(format!("row {} is missing from the log of shard {shard}", index.0))
}

/// A directory with anything but a database in it is somebody else's.
fn refuse_foreign_directory(path: &Path, options: &LogOptions) -> Result<(), StoreError> {
    let shown = path.display();
    if options.create.is_none() {
        return Err(StoreError::Incompatible(format!(
            "there is no database in the directory \"{shown}\""
        )));
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(StoreError::Io(format!(
                "could not read the directory \"{shown}\": {error}"
            )));
        }
    };
    for entry in entries {
        let name = entry.map_err(|error| StoreError::Io(error.to_string()))?.file_name();
        let name = name.to_string_lossy();
        // What an attempt to create a database leaves behind when it dies early.
        let ours = ["LOCK", "LOG", "IDENTITY", "lost+found"].contains(&&*name)
            || ["MANIFEST-", "LOG.old.", "OPTIONS-"].iter().any(|it| name.starts_with(it))
            || name.ends_with(".dbtmp");
        if !ours {
            return Err(StoreError::Incompatible(format!(
                "the directory \"{shown}\" is not empty and holds no database"
            )));
        }
    }
    Ok(())
}

fn read_or_create_identity(
    db: &Arc<Db>,
    families: Families,
    path: &Path,
    options: &LogOptions,
) -> Result<Identity, StoreError> {
    let shown = path.display();
    if let Some(identity) = log_meta::read_identity(db, families.meta)? {
        if options.cluster.is_some_and(|cluster| cluster != identity.cluster) {
            return Err(StoreError::Incompatible(format!(
                "the directory \"{shown}\" belongs to cluster {}",
                identity.cluster
            )));
        }
        if options.shards.is_some_and(|shards| shards != identity.shards) {
            let shards = identity.shards;
            return Err(StoreError::Incompatible(format!(
                "the directory \"{shown}\" was created with {shards} shards, which is fixed"
            )));
        }
        return Ok(identity);
    }
    let Some(identity) = options.create else {
        return Err(StoreError::Incompatible(format!(
            "the database in the directory \"{shown}\" is not one of ours"
        )));
    };
    if identity.shards == 0 || identity.shards > SHARDS_MAX {
        return Err(StoreError::Incompatible(format!(
            "a database has 1 to {SHARDS_MAX} shards, not {}",
            identity.shards
        )));
    }
    let (key, value) = log_meta::identity_record(&identity);
    let mut batch = db.batch();
    batch.put(families.meta, &key, &value);
    db.write(batch, Durability::Wal)?;
    db.sync_wal()?;
    Ok(identity)
}
