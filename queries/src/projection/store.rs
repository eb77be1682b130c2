//! The store of one set of projections: a directory `<data>/projections/<version>.<generation>/` of its own.
//!
//! All tables are in one family, because rows are written without write-ahead log: what a crash leaves of one
//! family is a prefix of the batches that were written to it, so rows and the positions they were folded up to
//! stay together; over several families they would not. What is lost is folded again from the feed.
//!
//! Each value is followed by the CRC-32C of key and value, verified whenever it is read.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rotabase_engine::db::{
    self, Db, DbOptions, DbSnapshot, Durability, Family, FamilyOptions, KeyRange, StoreError,
};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use rotabase_engine::record;

use super::batch::Batch;
use super::columns::{Columns, Limits, Writing};
use super::crew::{Handed, Hands, hand_over};
use super::key::{Key, table};
use super::row::{Fields, corrupted};
use super::rows::{Direction, Finder, PrefixWalker, Range, ReadRows, Result, Visitor, Walker};
use super::run::Run;

/// The version of the rows: what the fold makes of events, and their bytes. Rows of another version are not
/// read; they are folded anew beside them.
pub const PROJECTION_VERSION: u32 = 3;

const FAMILY: &str = "rows";

/// Batches of so many changes are written past memory, as files of their own.
const INGESTED_FROM: usize = 1 << 16;

/// What table `META` says.
mod meta {
    pub(super) const VERSION: u8 = 0x01;
    pub(super) const COMPLETE: u8 = 0x02;
    pub(super) const SHARDS: u8 = 0x03;
    // 0x04 is the newest timestamp (`Key::newest`), 0x05 of which changes are kept (`super::history`).
}

/// An open store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    home: Arc<Home>,
    family: Family,
    ingested_from: usize,
}

/// An open directory; removed when nobody reads it any more, if it was given up.
#[derive(Debug)]
struct Home {
    db: Option<Arc<Db>>, // None only while it is dropped.
    path: PathBuf,
    given_up: AtomicBool,
    legs: Columns,
}

impl Drop for Home {
    fn drop(&mut self) {
        // Closes the database: snapshots hold this home longer than their own share of it.
        self.db = None;
        if self.given_up.load(Ordering::Acquire) {
            // If it fails, the next start tries again.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

impl Store {
    /// Opens or creates the store in `path` for a feed of that many shards.
    pub(crate) fn open(path: &Path, shards: u16, options: &DbOptions) -> Result<Self> {
        std::fs::create_dir_all(path)
            .map_err(|error| StoreError::Io(format!("\"{}\": {error}", path.display())))?;
        let db = Db::open(path, &[FamilyOptions::new(FAMILY).bloom().merged_late()], options)?;
        let family = db.family(FAMILY);
        let home = Home {
            db: Some(db),
            path: path.to_owned(),
            given_up: AtomicBool::new(false),
            legs: Columns::new(Limits::default()),
        };
        let store = Self { home: Arc::new(home), family, ingested_from: INGESTED_FROM };
        match store.meta(meta::VERSION)? {
            None => {
                let version = u64::from(PROJECTION_VERSION).to_be_bytes();
                let rows =
                    [(meta::VERSION, version), (meta::SHARDS, u64::from(shards).to_be_bytes())];
                store.write_meta(&rows)?;
            }
            Some(version) if version == u64::from(PROJECTION_VERSION) => {}
            Some(version) => {
                return Err(StoreError::Incompatible(format!(
                    "projections of version {version} cannot be read"
                )));
            }
        }
        if store.meta(meta::SHARDS)? != Some(u64::from(shards)) {
            return Err(StoreError::Incompatible(
                "projections of another number of shards cannot be read".to_owned(),
            ));
        }
        Ok(store)
    }

    /// Writes changes, all or none of them. They survive a crash only once they are flushed.
    pub(crate) fn write<'a>(
        &self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone,
    ) -> Result<()> {
        let _writing = self.begin(changes.clone().map(|(key, _)| key));
        let mut batch = self.db().batch();
        let mut sealed = Vec::new();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    sealed.clear();
                    sealed.extend_from_slice(value);
                    record::seal(key, &mut sealed);
                    batch.put(self.family, key, &sealed);
                }
                None => batch.delete(self.family, key),
            }
        }
        self.db().write(batch, Durability::NoWal)
    }

    /// Writes a batch, all or nothing of it; a large one past memory.
    pub(crate) fn write_batch(&self, batch: &mut Batch) -> Result<()> {
        let is_large = batch.changes() >= self.ingested_from;
        let ingestion = if is_large { self.db().ingestion(self.family)? } else { None };
        let _writing = self.begin(batch.keys_of(table::LEGS));
        let Some(mut ingestion) = ingestion else {
            let mut written = self.db().batch();
            let mut sealed = Vec::new();
            batch.drain(&mut |key, value| {
                match value {
                    Some(value) => written.put(self.family, key, seal(key, value, &mut sealed)),
                    None => written.delete(self.family, key),
                }
                Ok::<_, StoreError>(())
            })?;
            return self.db().write(written, Durability::NoWal);
        };
        // Making the rows is about half of the work, and putting them into the file the other half.
        let make = |hands: &mut Hands| {
            batch.drain(&mut |key, value| {
                add_sealed(hands.rows(), key, value);
                Ok(())
            })
        };
        let mut put = |rows: &Run| {
            rows.iter().try_for_each(|(key, value)| match value {
                Some(value) => ingestion.put(key, value),
                None => ingestion.delete(key),
            })
        };
        match hand_over(make, &mut put) {
            Handed::All(all) => all?,
            Handed::NoThread => batch.drain(&mut |key, value| {
                let mut row = Run::default();
                add_sealed(&mut row, key, value);
                put(&row)
            })?,
        }
        ingestion.finish()
    }

    /// Says which rows are about to be written, to those who keep columns of them.
    fn begin<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Writing<'_> {
        self.home.legs.begin(keys.filter_map(leg_number))
    }

    /// Makes everything written so far survive a crash.
    pub(crate) fn flush(&self) -> Result<()> {
        self.db().flush(&[self.family])
    }

    /// One state of it, for as long as it is held.
    pub(crate) fn snapshot(&self) -> StoreSnapshot {
        StoreSnapshot {
            // Asked before the snapshot is taken: it shows at least so much.
            shows: self.home.legs.ended(),
            snapshot: self.db().snapshot(),
            family: self.family,
            home: Arc::clone(&self.home),
        }
    }

    /// Whether it has once caught up with the feed, and so may be served.
    pub(crate) fn is_complete(&self) -> Result<bool> {
        Ok(self.meta(meta::COMPLETE)?.is_some())
    }

    /// Remembers, across crashes, that it has caught up.
    pub(crate) fn complete(&self) -> Result<()> {
        self.write_meta(&[(meta::COMPLETE, 1_u64.to_be_bytes())])?;
        self.flush()
    }

    /// Removes its directory as soon as nobody reads it any more.
    pub(crate) fn give_up(&self) {
        self.home.given_up.store(true, Ordering::Release);
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.home.path
    }

    /// Roughly how many bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.db().family_bytes(self.family)
    }

    /// The bytes that columns take in memory.
    pub(crate) fn columns_bytes(&self) -> u64 {
        u64::try_from(self.home.legs.bytes()).unwrap_or(u64::MAX)
    }

    /// Roughly the bytes on disk of what keys begin with one of these bytes.
    pub(crate) fn table_bytes(&self, tables: &[u8]) -> u64 {
        let range = |table: &u8| KeyRange::prefix(self.family, vec![*table]);
        tables.iter().map(|table| self.db().range_bytes(&range(table))).sum()
    }

    /// Keeps columns within other limits.
    #[cfg(test)]
    pub(crate) fn keeping_columns(mut self, limits: Limits) -> Self {
        let home = Arc::get_mut(&mut self.home).expect("nobody reads it yet");
        home.legs = Columns::new(limits);
        self
    }

    /// Writes smaller batches past memory, too.
    #[cfg(test)]
    pub(crate) fn ingesting_from(self, changes: usize) -> Self {
        Self { ingested_from: changes, ..self }
    }

    fn write_meta(&self, rows: &[(u8, [u8; 8])]) -> Result<()> {
        let rows: Vec<_> = rows.iter().map(|(what, value)| (meta_key(*what), value)).collect();
        self.write(rows.iter().map(|(key, value)| (&**key, Some(value.as_slice()))))
    }

    fn meta(&self, what: u8) -> Result<Option<u64>> {
        self.get(&meta_key(what), |value| Fields(value).uint8())
    }

    fn db(&self) -> &Arc<Db> {
        self.home.db.as_ref().expect("taken only while it is dropped")
    }
}

fn meta_key(what: u8) -> Key {
    Key::table(table::META).bytes(&[what])
}

/// Reads the newest rows: for the one who writes them.
impl ReadRows for Store {
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let read = |value: &[u8]| read(unseal(key, value)?);
        self.db().get_with(self.family, key, read)?.transpose()
    }

    fn get_all(&self, keys: &[Key], read: &mut Finder<'_>) -> Result<()> {
        for (key, value) in keys.iter().zip(self.db().multi_get(self.family, keys)?) {
            match value {
                Some(value) => read(key, Some(unseal(key, &value)?))?,
                None => read(key, None)?,
            }
        }
        Ok(())
    }

    fn walk<K: AsRef<[u8]>>(&self, keys: &[K], read: &mut Walker<'_>) -> Result<()> {
        let mut failed = Ok(());
        self.db().walk(self.family, keys, &mut |at, value| {
            verified_at(keys, at, value, read, &mut failed)
        })?;
        failed
    }

    fn walk_prefixes<K: AsRef<[u8]>>(
        &self,
        prefixes: &[K],
        read: &mut PrefixWalker<'_>,
    ) -> Result<()> {
        let mut failed = Ok(());
        self.db().walk_prefixes(self.family, prefixes, &mut |at, key, value| {
            let mut visitor =
                |key: &[u8], value: &[u8]| read(at, key, value).map(ControlFlow::Continue);
            verified(key, value, &mut visitor, &mut failed)
        })?;
        failed
    }

    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()> {
        let mut failed = Ok(());
        self.db().scan(
            &key_range(self.family, range),
            scan_direction(direction),
            &mut |key, value| verified(key, value, visitor, &mut failed),
        )?;
        failed
    }
}

/// One state of a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreSnapshot {
    /// The last write that it is sure to show.
    shows: u64,
    snapshot: DbSnapshot,
    family: Family,
    // Dropped last: keeps the directory while its rows are read.
    home: Arc<Home>,
}

impl StoreSnapshot {
    /// The columns of the legs.
    pub(crate) fn leg_columns(&self) -> &Columns {
        &self.home.legs
    }

    /// The last write that it is sure to show.
    pub(crate) fn shows(&self) -> u64 {
        self.shows
    }
}

/// The id of a leg, if the key is that of its row.
fn leg_number(key: &[u8]) -> Option<u128> {
    let (table, id) = key.split_first()?;
    if *table != table::LEGS {
        return None;
    }
    id.try_into().ok().map(u128::from_be_bytes)
}

impl ReadRows for StoreSnapshot {
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let read = |value: &[u8]| read(unseal(key, value)?);
        self.snapshot.get_with(self.family, key, read)?.transpose()
    }

    fn walk<K: AsRef<[u8]>>(&self, keys: &[K], read: &mut Walker<'_>) -> Result<()> {
        let mut failed = Ok(());
        self.snapshot.walk(self.family, keys, &mut |at, value| {
            verified_at(keys, at, value, read, &mut failed)
        })?;
        failed
    }

    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()> {
        let mut failed = Ok(());
        self.snapshot.scan(
            &key_range(self.family, range),
            scan_direction(direction),
            &mut |key, value| verified(key, value, visitor, &mut failed),
        )?;
        failed
    }
}

fn seal<'s>(key: &[u8], value: &[u8], sealed: &'s mut Vec<u8>) -> &'s [u8] {
    sealed.clear();
    sealed.extend_from_slice(value);
    record::seal(key, sealed);
    sealed
}

/// Adds a row as it is stored, or its removal.
fn add_sealed(rows: &mut Run, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => rows.put_with(key, |out| {
            let start = out.len();
            out.extend_from_slice(value);
            record::seal_from(key, out, start);
        }),
        None => rows.delete(key),
    }
}

fn unseal<'v>(key: &[u8], value: &'v [u8]) -> Result<&'v [u8]> {
    record::unseal_or_corrupted("projection row", key, value)
}

fn verified(
    key: &[u8],
    value: &[u8],
    visitor: &mut Visitor<'_>,
    failed: &mut Result<()>,
) -> ControlFlow<()> {
    match unseal(key, value).and_then(|value| visitor(key, value)) {
        Ok(flow) => flow,
        Err(error) => {
            *failed = Err(error);
            ControlFlow::Break(())
        }
    }
}

fn verified_at<K: AsRef<[u8]>>(
    keys: &[K],
    at: usize,
    value: &[u8],
    read: &mut Walker<'_>,
    failed: &mut Result<()>,
) -> ControlFlow<()> {
    match unseal(keys[at].as_ref(), value).and_then(|value| read(at, value)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            *failed = Err(error);
            ControlFlow::Break(())
        }
    }
}

fn key_range(family: Family, range: &Range) -> KeyRange {
    KeyRange { family, lower: range.from.to_vec(), upper: range.to.as_ref().map(|to| to.to_vec()) }
}

fn scan_direction(direction: Direction) -> db::Direction {
    match direction {
        Direction::Forward => db::Direction::Forward,
        Direction::Backward => db::Direction::Backward,
    }
}

/// How far rows were folded: for each shard the index of the last log entry.
pub(crate) fn read_positions(rows: &impl ReadRows) -> Result<Positions> {
    let mut positions = Positions::default();
    rows.visit(
        &Range::prefix(Key::table(table::POSITIONS)),
        Direction::Forward,
        &mut |key, value| {
            let shard = key[1..].try_into().map_err(|_| corrupted("not a shard"))?;
            let index = LogIndex(Fields(value).uint8()?);
            positions.advance(ShardId(u16::from_be_bytes(shard)), Position::end_of(index));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(positions)
}

/// The newest timestamp that was folded.
pub(crate) fn read_newest(rows: &impl ReadRows) -> Result<Timestamp> {
    let newest = rows.get(&Key::newest(), |value| Fields(value).uint8())?;
    Ok(Timestamp(newest.unwrap_or_default()))
}

/// The directories of stores below `root`, with version and generation.
pub(crate) fn directories(root: &Path) -> Result<Vec<(u32, u32, PathBuf)>> {
    let failed = |error: std::io::Error| StoreError::Io(format!("\"{}\": {error}", root.display()));
    let mut found = Vec::new();
    if !root.exists() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'));
        if let Some((version, generation)) = name
            && let (Ok(version), Ok(generation)) = (version.parse(), generation.parse())
        {
            found.push((version, generation, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The directory of a generation of the current version.
pub(crate) fn directory(root: &Path, generation: u32) -> PathBuf {
    root.join(format!("{PROJECTION_VERSION}.{generation}"))
}
