//! A disk in memory, for simulations: what was written and not synced can be lost, and everything can fail.
//!
//! It stands behind [`crate::db::Db`] in place of RocksDB and keeps its promises, so that all that is built on it runs
//! unchanged, but on one thread, without files and with nothing that happens by itself. Of each database it keeps what
//! is current, what was flushed of each family, and the write-ahead log since, with how much of that was synced.
//! [`MemoryDisk::crash`] leaves what was flushed and the synced log, and as much of the rest as it is told; handles of
//! before the crash are of no use any more.
//!
//! Snapshots share the maps with what is current, which is copied when it is written to while one is held.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::db::{Direction, Durability, KeyRange, StoreError, Visit};
use crate::planted::{self, Bug};

type Rows = Arc<BTreeMap<Vec<u8>, Bytes>>;

/// A machine's disk in memory.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    state: Mutex<Disk>,
}

#[derive(Debug, Default)]
struct Disk {
    databases: BTreeMap<PathBuf, Database>,
    /// The paths that are open.
    open: BTreeSet<PathBuf>,
    /// How often the power has failed: handles of before are dead.
    crashes: u64,
    faults: DiskFaults,
}

/// What the disk does wrong: how many of the next operations of a kind fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Reads.
    pub reads: u32,
    /// Writes.
    pub writes: u32,
    /// Syncs.
    pub syncs: u32,
}

#[derive(Debug, Default)]
struct Database {
    families: BTreeMap<String, Table>,
    log: Vec<Record>,
    /// How many records of the log are durable.
    synced: usize,
    /// The first record that no sync makes durable any more, because one has failed.
    lost: Option<usize>,
}

/// A batch in the write-ahead log.
#[derive(Clone, Debug)]
struct Record {
    changes: Vec<Change>,
    /// How many changes there are in all, in place of a checksum: a torn record has fewer.
    count: usize,
}

#[derive(Clone, Debug, Default)]
struct Table {
    current: Rows,
    flushed: Rows,
}

/// A change of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(String, Vec<u8>, Bytes),
    Delete(String, Vec<u8>),
    DeleteRange(String, Vec<u8>, Vec<u8>),
}

impl Change {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Put(_, key, value) => key.len() + value.len(),
            Self::Delete(_, key) => key.len(),
            Self::DeleteRange(_, lower, upper) => lower.len() + upper.len(),
        }
    }
}

/// Two disks are never the same.
impl PartialEq for MemoryDisk {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for MemoryDisk {}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Makes the next operations fail.
    pub fn fail(&self, faults: DiskFaults) {
        self.state.lock().faults = faults;
    }

    /// The power fails. Of the batches of each database that were logged and not synced, as many survive, from the
    /// oldest on, as `survivors` says of how many there are; if it is `torn`, half of the next one does, too. What was not
    /// logged survives where it was flushed. What a sync has failed for is as uncertain as what was never synced, and so is all
    /// that came later: no later sync tries again.
    pub fn crash(&self, torn: bool, mut survivors: impl FnMut(usize) -> usize) {
        let mut disk = self.state.lock();
        disk.crashes += 1;
        disk.open.clear();
        disk.faults = DiskFaults::default();
        for database in disk.databases.values_mut() {
            let unsynced = database.unsynced();
            let durable = database.log.len() - unsynced;
            let kept = durable + survivors(unsynced).min(unsynced);
            let half = database.log.get(kept).filter(|_| torn).cloned();
            database.log.truncate(kept);
            database.log.extend(half.map(|mut record| {
                record.changes.truncate(record.count / 2);
                record
            }));
            database.recover();
        }
    }

    /// How many batches of all databases were logged and may yet be lost.
    pub fn unsynced(&self) -> usize {
        self.state.lock().databases.values().map(Database::unsynced).sum()
    }

    /// Writes out the memory of some family of a database, as RocksDB does whenever it likes; `pick` says which. The
    /// write-ahead log is synced first.
    pub fn flush_some(&self, pick: usize) {
        let mut disk = self.state.lock();
        let count = disk.databases.values().map(|database| database.families.len()).sum::<usize>();
        let Some(mut left) = pick.checked_rem(count) else { return };
        for database in disk.databases.values_mut() {
            if left < database.families.len() {
                if database.lost.is_none() {
                    database.synced = database.log.len();
                    let table = database.families.values_mut().nth(left).expect("below the count");
                    table.flushed = Arc::clone(&table.current);
                }
                return;
            }
            left -= database.families.len();
        }
    }

    /// Flips a bit of a row of the named family of the database whose path ends with `path`, wherever it is stored; `pick`
    /// says which. None if there is no row.
    pub fn flip_bit(&self, path: &str, family: &str, pick: usize) -> Option<Vec<u8>> {
        let mut disk = self.state.lock();
        for (_, database) in disk.databases.iter_mut().filter(|(at, _)| at.ends_with(path)) {
            let Some(table) = database.families.get(family) else { continue };
            let count = table.current.len();
            let at = pick.checked_rem(count)?;
            let (key, value) = table.current.iter().nth(at).expect("below the count");
            let (key, mut damaged) = (key.clone(), value.to_vec());
            let bits = damaged.len() * 8;
            let bit = (pick / count).checked_rem(bits)?;
            damaged[bit / 8] ^= 1 << (bit % 8);
            database.replace(family, &key, &Bytes::from(damaged));
            return Some(key);
        }
        None
    }

    /// All rows of the named family of the database whose path ends with `path`, as they are stored.
    pub fn rows(&self, path: &str, family: &str) -> Vec<(Vec<u8>, Bytes)> {
        let disk = self.state.lock();
        let database = disk.databases.iter().find(|(at, _)| at.ends_with(path));
        let rows = database.and_then(|(_, database)| database.families.get(family));
        rows.into_iter()
            .flat_map(|table| table.current.iter())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

impl Database {
    fn unsynced(&self) -> usize {
        self.log.len() - self.lost.map_or(self.synced, |lost| lost.min(self.synced))
    }

    /// Begins with what was flushed and what a crash has left of the log; what is torn is dropped.
    fn recover(&mut self) {
        for table in self.families.values_mut() {
            table.current = Arc::clone(&table.flushed);
        }
        for record in std::mem::take(&mut self.log) {
            if record.changes.len() < record.count && !planted::has(Bug::TornWriteAccepted) {
                break;
            }
            self.apply(&record.changes);
        }
        for table in self.families.values_mut() {
            table.flushed = Arc::clone(&table.current);
        }
        (self.synced, self.lost) = (0, None);
    }

    fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(family, key, value) => {
                    self.table(family).insert(key.clone(), value.clone());
                }
                Change::Delete(family, key) => {
                    self.table(family).remove(key);
                }
                Change::DeleteRange(family, lower, upper) => {
                    let rows = self.table(family);
                    let range = (Bound::Included(lower.clone()), Bound::Excluded(upper.clone()));
                    let gone: Vec<_> = rows.range(range).map(|(key, _)| key.clone()).collect();
                    for key in gone {
                        rows.remove(&key);
                    }
                }
            }
        }
    }

    fn table(&mut self, family: &str) -> &mut BTreeMap<Vec<u8>, Bytes> {
        let table = self.families.get_mut(family).expect("a family that was opened");
        Arc::make_mut(&mut table.current)
    }

    fn replace(&mut self, family: &str, key: &[u8], value: &Bytes) {
        let table = self.families.get_mut(family).expect("a family that is there");
        for rows in [&mut table.current, &mut table.flushed] {
            if let Some(stored) = Arc::make_mut(rows).get_mut(key) {
                *stored = value.clone();
            }
        }
        for change in self.log.iter_mut().flat_map(|record| &mut record.changes) {
            if let Change::Put(of, at, stored) = change
                && of == family
                && at == key
            {
                *stored = value.clone();
            }
        }
    }
}

/// An open database on a disk in memory.
pub(crate) struct MemoryDb {
    disk: Arc<MemoryDisk>,
    path: PathBuf,
    crashes: u64,
}

impl Drop for MemoryDb {
    fn drop(&mut self) {
        let mut disk = self.disk.state.lock();
        if disk.crashes == self.crashes {
            // An orderly end writes memory out.
            if let Some(database) = disk.databases.get_mut(&self.path) {
                let everything = database.log.len();
                database.synced = everything;
                for table in database.families.values_mut() {
                    table.flushed = Arc::clone(&table.current);
                }
            }
            disk.open.remove(&self.path);
        }
    }
}

impl MemoryDb {
    pub(crate) fn exists(disk: &MemoryDisk, path: &Path) -> bool {
        disk.state.lock().databases.contains_key(path)
    }

    pub(crate) fn open<'f>(
        disk: &Arc<MemoryDisk>,
        path: &Path,
        families: impl Iterator<Item = &'f str>,
    ) -> Result<Self, StoreError> {
        let mut state = disk.state.lock();
        if !state.open.insert(path.to_owned()) {
            return Err(StoreError::Locked(path.display().to_string()));
        }
        let database = state.databases.entry(path.to_owned()).or_default();
        for family in families {
            database.families.entry(family.to_owned()).or_default();
        }
        let crashes = state.crashes;
        Ok(Self { disk: Arc::clone(disk), path: path.to_owned(), crashes })
    }

    fn with<R>(
        &self,
        kind: impl FnOnce(&mut DiskFaults) -> &mut u32,
        work: impl FnOnce(&mut Database) -> R,
    ) -> Result<R, StoreError> {
        let mut disk = self.disk.state.lock();
        if disk.crashes != self.crashes {
            return Err(StoreError::Io("the power has failed".to_owned()));
        }
        let left = kind(&mut disk.faults);
        if *left > 0 {
            *left -= 1;
            return Err(StoreError::Io("the disk has failed".to_owned()));
        }
        Ok(work(disk.databases.get_mut(&self.path).expect("it is open")))
    }

    fn rows_of(&self, family: &str) -> Result<Rows, StoreError> {
        self.with(
            |faults| &mut faults.reads,
            |database| Arc::clone(&database.families[family].current),
        )
    }

    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.with(
            |faults| &mut faults.reads,
            |database| database.families[family].current.get(key).cloned(),
        )
    }

    pub(crate) fn scan(
        &self,
        family: &str,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        scan(&self.rows_of(family)?, range, direction, visit);
        Ok(())
    }

    pub(crate) fn write(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.with(
            |faults| &mut faults.writes,
            |database| {
                database.apply(&changes);
                if durability == Durability::Wal {
                    let count = changes.len();
                    database.log.push(Record { changes, count });
                }
            },
        )
    }

    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let synced = self.with(
            |faults| &mut faults.syncs,
            |database| {
                let everything = database.log.len();
                database.synced = everything;
            },
        );
        let mut disk = self.disk.state.lock();
        let same = disk.crashes == self.crashes;
        let database = disk.databases.get_mut(&self.path).filter(|_| same && synced.is_err());
        if let Some(database) = database {
            database.lost.get_or_insert(database.synced);
        }
        synced
    }

    pub(crate) fn flush(&self, family: &str) -> Result<(), StoreError> {
        self.sync()?;
        self.with(
            |faults| &mut faults.writes,
            |database| {
                let table = database.families.get_mut(family).expect("a family that is open");
                table.flushed = Arc::clone(&table.current);
            },
        )
    }

    pub(crate) fn snapshot(&self) -> MemorySnapshot {
        let disk = self.disk.state.lock();
        let tables = disk.databases.get(&self.path).into_iter().flat_map(|it| &it.families);
        MemorySnapshot(
            tables.map(|(name, table)| (name.clone(), Arc::clone(&table.current))).collect(),
        )
    }

    pub(crate) fn family_bytes(&self, family: &str) -> u64 {
        let bytes = |rows: Rows| rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.rows_of(family).map(bytes).map_or(0, |bytes: usize| bytes.try_into().unwrap_or(0))
    }

    pub(crate) fn family_rows(&self, family: &str) -> u64 {
        self.rows_of(family).map_or(0, |rows| rows.len().try_into().unwrap_or(0))
    }
}

/// One state of all families.
pub(crate) struct MemorySnapshot(BTreeMap<String, Rows>);

impl MemorySnapshot {
    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Option<&Bytes> {
        self.0[family].get(key)
    }

    pub(crate) fn scan(
        &self,
        family: &str,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) {
        scan(&self.0[family], range, direction, visit);
    }
}

fn scan(rows: &Rows, range: &KeyRange, direction: Direction, visit: &mut Visit<'_>) {
    if range.upper.as_ref().is_some_and(|upper| *upper <= range.lower) {
        return;
    }
    let upper = range.upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rows = rows.range::<[u8], _>((Bound::Included(range.lower.as_slice()), upper));
    loop {
        let row = match direction {
            Direction::Forward => rows.next(),
            Direction::Backward => rows.next_back(),
        };
        let Some((key, value)) = row else { return };
        if visit(key, value) == ControlFlow::Break(()) {
            return;
        }
    }
}
