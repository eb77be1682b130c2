//! The storage engine behind the log and all that is derived from it: with `db_*.rs` the only place that
//! knows RocksDB. Nothing of it shows in a signature, so another engine could stand here.
//!
//! # What a caller gets
//!
//! [`Db`] is a directory with a few ordered maps of bytes to bytes, its families. A [`WriteBatch`] over any of
//! them is applied as a whole or not at all. With [`Durability::Wal`] a batch is also in the write-ahead log,
//! and [`Db::sync_wal`] makes all batches so written durable at once (group commit); with
//! [`Durability::NoWal`] it survives a crash only once its family was flushed, which is enough for what can be
//! computed again. Memory is bounded by [`DbOptions`].
//!
//! # Consistent reads over several families
//!
//! [`Db::snapshot`] gives a [`DbSnapshot`]: owned, shared between threads, without a lifetime, holding one
//! state of all families for as long as it lives. RocksDB keeps the old row versions that a snapshot can still
//! see, so a snapshot should live as long as a statement, not as long as a session. How this is done without
//! `unsafe` although RocksDB's own snapshot borrows the database is told in `db_snapshot.rs`.
//!
//! Long reads go through a [`Cursor`]: it fetches rows chunk by chunk and holds nothing
//! between two chunks but the snapshot and the last key. [`Db::scan`] and [`DbSnapshot::scan`] visit rows in
//! place, without copying them.
//!
//! # Damage
//!
//! A torn tail of the write-ahead log, what a crash leaves behind, is dropped when the directory is opened.
//! Damage anywhere else is an error when it is met: every block read is verified, and the records of the log
//! carry a checksum of their own above that ([`crate::record`]).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, ErrorKind, Options, ReadOptions, ReadTier,
    WriteOptions,
};

use crate::db_memory::{Change, MemoryDb};
use crate::db_options::{database_options, family_options, shared_resources};

pub use crate::db_ingest::Ingestion;
pub use crate::db_memory::{DiskFaults, MemoryDisk};
pub use crate::db_options::{
    BLOCK_CACHE_BYTES_DEFAULT, DbOptions, FamilyOptions, OPEN_FILES_DEFAULT,
    WRITE_BUFFER_BYTES_DEFAULT,
};
pub use crate::db_snapshot::{Cursor, DbSnapshot, Rows};
pub use crate::db_walk::{Visit, Walk, WalkPrefixes};

/// This machine's storage failed, or what it holds cannot be trusted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Bytes were read that were not written; nothing of them is served.
    #[error("stored data is corrupted: {0}")]
    Corrupted(String),
    /// The disk or the storage engine failed. After a failed write or sync nothing more is acknowledged.
    #[error("storage failed: {0}")]
    Io(String),
    /// Another process holds the directory.
    #[error("the data directory \"{0}\" is in use by another process")]
    Locked(String),
    /// The directory was written by another version, or is none of ours.
    #[error("{0}")]
    Incompatible(String),
}

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> Self {
        match error.kind() {
            ErrorKind::Corruption => Self::Corrupted(error.into_string()),
            _ => Self::Io(error.into_string()),
        }
    }
}

/// One ordered map of a [`Db`]; a cheap handle, valid for the database that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Family(u16);

/// What is left of a write after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In the write-ahead log: survives a killed process at once, and a power cut after [`Db::sync_wal`].
    Wal,
    /// In memory until its family is flushed: for what can be rebuilt.
    NoWal,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the lower bound up.
    Forward,
    /// From below the upper bound down.
    Backward,
}

/// The rows of one family with `lower <= key < upper`; no upper bound means all from `lower` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The family.
    pub family: Family,
    /// The least key.
    pub lower: Vec<u8>,
    /// The key above the greatest.
    pub upper: Option<Vec<u8>>,
}

impl KeyRange {
    /// All rows of a family.
    pub fn all(family: Family) -> Self {
        Self { family, lower: Vec::new(), upper: None }
    }

    /// The rows with `lower <= key < upper`.
    pub fn new(family: Family, lower: impl Into<Vec<u8>>, upper: impl Into<Vec<u8>>) -> Self {
        Self { family, lower: lower.into(), upper: Some(upper.into()) }
    }

    /// The rows from `lower` on.
    pub fn from(family: Family, lower: impl Into<Vec<u8>>) -> Self {
        Self { family, lower: lower.into(), upper: None }
    }

    /// The rows whose keys start with `prefix`.
    pub fn prefix(family: Family, prefix: impl Into<Vec<u8>>) -> Self {
        let lower = prefix.into();
        Self { family, upper: after_prefix(&lower), lower }
    }
}

/// The least key above all keys that start with `prefix`; none if there is no such key.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

/// An open database directory.
pub struct Db {
    families: Vec<FamilyOptions>,
    /// Those of the storage engine, in the order of the families.
    tuned: Vec<Options>,
    pub(crate) backend: Backend,
}

/// What keeps the rows.
pub(crate) enum Backend {
    /// Closing waits for running background work; nothing else of ours is needed then.
    Directory(DB),
    /// For simulations.
    Memory(MemoryDb),
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

impl Db {
    /// Opens the directory, creating it and its families where they are missing. At most one process can have
    /// it open: the second gets [`StoreError::Locked`].
    pub fn open(
        path: &Path,
        families: &[FamilyOptions],
        options: &DbOptions,
    ) -> Result<Arc<Self>, StoreError> {
        if let Some(disk) = &options.memory {
            let names = families.iter().map(FamilyOptions::name);
            let backend = Backend::Memory(MemoryDb::open(disk, path, names)?);
            return Ok(Arc::new(Self { families: families.to_vec(), tuned: Vec::new(), backend }));
        }
        let shared = shared_resources(options);
        let mut stored = stored_families(path)?;
        stored.retain(|name| {
            name != rocksdb::DEFAULT_COLUMN_FAMILY_NAME
                && families.iter().all(|it| it.name() != name)
        });
        if !stored.is_empty() && !options.drop_unknown_families {
            let (path, names) = (path.display(), stored.join(", "));
            return Err(StoreError::Incompatible(format!(
                "\"{path}\" was written by another version: unknown families {names}"
            )));
        }
        let tuned: Vec<Options> =
            families.iter().map(|it| family_options(it, options, &shared)).collect();
        let known = families
            .iter()
            .zip(&tuned)
            .map(|(it, tuned)| ColumnFamilyDescriptor::new(it.name(), tuned.clone()));
        let unknown =
            stored.iter().map(|name| ColumnFamilyDescriptor::new(name, Options::default()));
        let mut raw = DB::open_cf_descriptors(
            &database_options(options, &shared),
            path,
            known.chain(unknown),
        )
        .map_err(|error| open_error(path, error))?;
        for name in &stored {
            raw.drop_cf(name)?;
        }
        Self::clean_up_ingestion(path)?;
        let backend = Backend::Directory(raw);
        Ok(Arc::new(Self { families: families.to_vec(), tuned, backend }))
    }

    /// Whether there is a database in the directory.
    pub fn exists(path: &Path) -> bool {
        path.join("CURRENT").exists()
    }

    /// Whether there is one where these options would open it.
    pub(crate) fn exists_with(path: &Path, options: &DbOptions) -> bool {
        match &options.memory {
            Some(disk) => MemoryDb::exists(disk, path),
            None => Self::exists(path),
        }
    }

    /// The handle of a family that the database was opened with.
    pub fn family(&self, name: &str) -> Family {
        let at = self
            .families
            .iter()
            .position(|it| it.name() == name)
            .expect("a family that the database was opened with");
        Family(u16::try_from(at).expect("few families"))
    }

    pub(crate) fn name(&self, family: Family) -> &str {
        self.families[usize::from(family.0)].name()
    }

    /// The handle of a family of `raw`, which is the directory of this database.
    pub(crate) fn handle<'d>(&self, raw: &'d DB, family: Family) -> &'d ColumnFamily {
        raw.cf_handle(self.name(family)).expect("families are never dropped while open")
    }

    pub(crate) fn tuned_options(&self, family: Family) -> &Options {
        &self.tuned[usize::from(family.0)]
    }

    pub(crate) fn unmerged_files(&self, raw: &DB, family: Family) -> u64 {
        self.property(raw, family, "rocksdb.num-files-at-level0")
    }

    pub(crate) fn options_of(&self, family: Family) -> &FamilyOptions {
        &self.families[usize::from(family.0)]
    }

    /// Reads one row.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.get_with(family, key, Bytes::copy_from_slice)
    }

    /// Reads one row in place.
    pub fn get_with<R>(
        &self,
        family: Family,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError> {
        match &self.backend {
            Backend::Directory(raw) => {
                let handle = self.handle(raw, family);
                let pinned = raw.get_pinned_cf_opt(handle, key, &ReadOptions::default())?;
                Ok(pinned.map(|value| read(&value)))
            }
            Backend::Memory(db) => Ok(db.get(self.name(family), key)?.map(|value| read(&value))),
        }
    }

    /// Whether a row exists, if that is known without reading the disk.
    pub fn exists_in_memory(&self, family: Family, key: &[u8]) -> Result<Option<bool>, StoreError> {
        let raw = match &self.backend {
            Backend::Directory(raw) => raw,
            Backend::Memory(db) => return Ok(Some(db.get(self.name(family), key)?.is_some())),
        };
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::BlockCache);
        match raw.get_pinned_cf_opt(self.handle(raw, family), key, &options) {
            Ok(found) => Ok(Some(found.is_some())),
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads rows of one family; the answers are in the order of `keys`. Faster when `keys` ascend.
    pub fn multi_get<K: AsRef<[u8]>>(
        &self,
        family: Family,
        keys: &[K],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.multi_get_opt(family, keys, &ReadOptions::default())
    }

    pub(crate) fn multi_get_opt<K: AsRef<[u8]>>(
        &self,
        family: Family,
        keys: &[K],
        options: &ReadOptions,
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let raw = match &self.backend {
            Backend::Directory(raw) => raw,
            Backend::Memory(db) => {
                return keys.iter().map(|key| db.get(self.name(family), key.as_ref())).collect();
            }
        };
        let sorted = keys.is_sorted_by(|left, right| left.as_ref() <= right.as_ref());
        let slices = keys.iter().map(AsRef::as_ref);
        let values =
            raw.batched_multi_get_cf_opt(self.handle(raw, family), slices, sorted, options);
        values
            .into_iter()
            .map(|value| Ok(value?.map(|value| Bytes::copy_from_slice(&value))))
            .collect()
    }

    /// An empty batch for this database.
    pub fn batch(self: &Arc<Self>) -> WriteBatch {
        let changes = match &self.backend {
            Backend::Directory(_) => Changes::Directory(rocksdb::WriteBatch::default()),
            Backend::Memory(_) => Changes::Memory(Vec::new()),
        };
        WriteBatch { db: Arc::clone(self), changes }
    }

    /// Applies a batch, as a whole or not at all. Does not wait for the disk.
    pub fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StoreError> {
        assert!(
            std::ptr::eq(self, Arc::as_ptr(&batch.db)),
            "a batch is written to the database it was made for"
        );
        match (&self.backend, batch.changes) {
            (Backend::Directory(raw), Changes::Directory(changes)) => {
                let mut options = WriteOptions::default();
                options.disable_wal(durability == Durability::NoWal);
                Ok(raw.write_opt(changes, &options)?)
            }
            (Backend::Memory(db), Changes::Memory(changes)) => db.write(changes, durability),
            _ => unreachable!("a batch is of its database's kind"),
        }
    }

    /// Makes every batch written with [`Durability::Wal`] so far durable. Writers go on meanwhile.
    pub fn sync_wal(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Directory(raw) => Ok(raw.flush_wal(true)?),
            Backend::Memory(db) => db.sync(),
        }
    }

    /// Makes every write to `families` so far durable, with or without write-ahead log, by writing out memory.
    pub fn flush(&self, families: &[Family]) -> Result<(), StoreError> {
        for family in families {
            match &self.backend {
                Backend::Directory(raw) => raw.flush_cf(self.handle(raw, *family))?,
                Backend::Memory(db) => db.flush(self.name(*family))?,
            }
        }
        Ok(())
    }

    /// Deletes all rows of a family and gives their space back.
    pub fn clear(self: &Arc<Self>, family: Family) -> Result<(), StoreError> {
        let Some((last, _)) = self.first(&KeyRange::all(family), Direction::Backward)? else {
            return Ok(());
        };
        let mut batch = self.batch();
        batch.delete_range(family, &[], &last);
        batch.delete(family, &last);
        self.write(batch, Durability::NoWal)?;
        self.flush(&[family])?;
        self.compact(family);
        Ok(())
    }

    /// Rewrites a family in its densest form; takes as long as reading it.
    pub fn compact(&self, family: Family) {
        if let Backend::Directory(raw) = &self.backend {
            raw.compact_range_cf(self.handle(raw, family), None::<&[u8]>, None::<&[u8]>);
        }
    }

    /// One state of all families, for as long as it is held.
    pub fn snapshot(self: &Arc<Self>) -> DbSnapshot {
        DbSnapshot::new(Arc::clone(self))
    }

    /// Roughly how many bytes a family takes on disk and in memory.
    pub fn family_bytes(&self, family: Family) -> u64 {
        match &self.backend {
            Backend::Directory(raw) => {
                self.property(raw, family, "rocksdb.total-sst-files-size")
                    + self.property(raw, family, "rocksdb.cur-size-all-mem-tables")
            }
            Backend::Memory(db) => db.family_bytes(self.name(family)),
        }
    }

    /// Roughly how many bytes a range takes on disk; what is in memory only does not count.
    pub fn range_bytes(&self, range: &KeyRange) -> u64 {
        let Backend::Directory(raw) = &self.backend else { return 0 };
        // No key of ours is as long as this.
        let upper = range.upper.clone().unwrap_or_else(|| vec![u8::MAX; 64]);
        let asked = rocksdb::Range::new(&range.lower, &upper);
        let sizes = raw.get_approximate_sizes_cf(self.handle(raw, range.family), &[asked]);
        sizes.iter().sum()
    }

    /// The bytes that the cache of blocks read from disk holds, and how many it may.
    pub fn block_cache_bytes(&self) -> (u64, u64) {
        let Backend::Directory(raw) = &self.backend else { return (0, 0) };
        let property = |name| raw.property_int_value(name).ok().flatten().unwrap_or(0);
        (property("rocksdb.block-cache-usage"), property("rocksdb.block-cache-capacity"))
    }

    /// Roughly how many rows a family has.
    pub fn family_rows(&self, family: Family) -> u64 {
        match &self.backend {
            Backend::Directory(raw) => self.property(raw, family, "rocksdb.estimate-num-keys"),
            Backend::Memory(db) => db.family_rows(self.name(family)),
        }
    }

    fn property(&self, raw: &DB, family: Family, name: &str) -> u64 {
        raw.property_int_value_cf(self.handle(raw, family), name).ok().flatten().unwrap_or(0)
    }
}

/// Changes to rows of one database that take effect together, in the order in which they were added.
pub struct WriteBatch {
    db: Arc<Db>,
    changes: Changes,
}

enum Changes {
    Directory(rocksdb::WriteBatch),
    Memory(Vec<Change>),
}

impl std::fmt::Debug for WriteBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteBatch").field("changes", &self.len()).finish_non_exhaustive()
    }
}

impl WriteBatch {
    /// Writes a row.
    pub fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        match (&self.db.backend, &mut self.changes) {
            (Backend::Directory(raw), Changes::Directory(changes)) => {
                changes.put_cf(self.db.handle(raw, family), key, value);
            }
            (_, Changes::Memory(changes)) => {
                let name = self.db.name(family).to_owned();
                changes.push(Change::Put(name, key.to_vec(), Bytes::copy_from_slice(value)));
            }
            _ => unreachable!("a batch is of its database's kind"),
        }
    }

    /// Deletes a row, if it is there.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        match (&self.db.backend, &mut self.changes) {
            (Backend::Directory(raw), Changes::Directory(changes)) => {
                changes.delete_cf(self.db.handle(raw, family), key);
            }
            (_, Changes::Memory(changes)) => {
                changes.push(Change::Delete(self.db.name(family).to_owned(), key.to_vec()));
            }
            _ => unreachable!("a batch is of its database's kind"),
        }
    }

    /// Deletes the rows with `lower <= key < upper`. Many of these slow reads down until compaction: for
    /// ranges, not for rows.
    pub fn delete_range(&mut self, family: Family, lower: &[u8], upper: &[u8]) {
        match (&self.db.backend, &mut self.changes) {
            (Backend::Directory(raw), Changes::Directory(changes)) => {
                changes.delete_range_cf(self.db.handle(raw, family), lower, upper);
            }
            (_, Changes::Memory(changes)) => {
                let name = self.db.name(family).to_owned();
                changes.push(Change::DeleteRange(name, lower.to_vec(), upper.to_vec()));
            }
            _ => unreachable!("a batch is of its database's kind"),
        }
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        match &self.changes {
            Changes::Directory(changes) => changes.len(),
            Changes::Memory(changes) => changes.len(),
        }
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory that the batch takes, roughly.
    pub fn bytes(&self) -> usize {
        match &self.changes {
            Changes::Directory(changes) => changes.size_in_bytes(),
            Changes::Memory(changes) => changes.iter().map(Change::bytes).sum(),
        }
    }
}

/// The families that the directory holds; none if there is no database in it.
fn stored_families(path: &Path) -> Result<Vec<String>, StoreError> {
    if !Db::exists(path) {
        return Ok(Vec::new());
    }
    DB::list_cf(&Options::default(), path).map_err(|error| open_error(path, error))
}

fn open_error(path: &Path, error: rocksdb::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("lock hold by current process") || text.contains("While lock file") {
        return StoreError::Locked(path.display().to_string());
    }
    error.into()
}
