//! Reads of many rows in place: walks from key to key and scans of ranges.
//!
//! What is visited is borrowed from the storage engine and copied by nobody. [`Db::walk`] is for keys that are known
//! and stand close, as those of a batch do; [`Db::scan`] for a range. Snapshots ([`crate::db::DbSnapshot`]) read by the
//! same functions, with options that name them. None of them may know what the rows mean.

use std::ops::ControlFlow;

use bytes::Bytes;
use rocksdb::{DB, DBRawIterator, ReadOptions};

use crate::db::{Backend, Db, Direction, Family, KeyRange, StoreError, after_prefix};

/// What a scan calls for each row.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// What a walk calls for each key that exists, with its number and its value.
pub type Walk<'v> = dyn FnMut(usize, &[u8]) -> ControlFlow<()> + 'v;

/// The same for rows whose keys begin with one of several prefixes.
pub type WalkPrefixes<'v> = dyn FnMut(usize, &[u8], &[u8]) -> ControlFlow<()> + 'v;

/// From so many keys on, a walk goes through a good part of a table: it reads ahead, past the cache of blocks, which is
/// for what is read again.
const LONG_WALK_KEYS: usize = 4096;

/// The bytes that such a walk reads at once.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// A walk jumps when it has stepped over so many rows on the way to the next key: about what a jump costs.
const WALK_STEPS_MAX: usize = 16;

impl Db {
    /// Visits those of the keys that exist, each with its number; `keys` ascend. Walks from row to row and jumps where
    /// the next key is far, so that keys which stand close, or are absent together, cost next to nothing.
    pub fn walk<K: AsRef<[u8]>>(
        &self,
        family: Family,
        keys: &[K],
        visit: &mut Walk<'_>,
    ) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Directory(raw) => {
                self.walk_rows(raw, family, keys, ReadOptions::default(), visit)
            }
            Backend::Memory(db) => walk_singly(keys, |at, key| {
                Ok(db.get(self.name(family), key)?.map(|value| visit(at, &value)))
            }),
        }
    }

    pub(crate) fn walk_rows<K: AsRef<[u8]>>(
        &self,
        raw: &DB,
        family: Family,
        keys: &[K],
        mut options: ReadOptions,
        visit: &mut Walk<'_>,
    ) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(()) };
        read_past_cache(&mut options, keys.len());
        options.set_total_order_seek(true);
        options.set_iterate_lower_bound(first.as_ref());
        options.set_iterate_upper_bound([last.as_ref(), &[0]].concat());
        let mut rows = raw.raw_iterator_cf_opt(self.handle(raw, family), options);
        rows.seek(first.as_ref());
        for (at, key) in keys.iter().enumerate() {
            advance(&mut rows, key.as_ref());
            match rows.item() {
                None => break,
                Some((row, value)) if row == key.as_ref() => {
                    if visit(at, value).is_break() {
                        break;
                    }
                }
                Some(_) => {}
            }
        }
        Ok(rows.status()?)
    }

    /// Visits the rows whose keys begin with one of the prefixes, each with the number of the prefix; `prefixes` ascend,
    /// and none begins with another. Walks as [`Db::walk`] does.
    pub fn walk_prefixes<K: AsRef<[u8]>>(
        &self,
        family: Family,
        prefixes: &[K],
        visit: &mut WalkPrefixes<'_>,
    ) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Directory(raw) => self.walk_rows_of_prefixes(raw, family, prefixes, visit),
            Backend::Memory(db) => walk_singly(prefixes, |at, prefix| {
                let range = KeyRange::prefix(family, prefix);
                let mut last = None;
                db.scan(self.name(family), &range, Direction::Forward, &mut |key, value| {
                    *last.insert(visit(at, key, value))
                })?;
                Ok(last)
            }),
        }
    }

    fn walk_rows_of_prefixes<K: AsRef<[u8]>>(
        &self,
        raw: &DB,
        family: Family,
        prefixes: &[K],
        visit: &mut WalkPrefixes<'_>,
    ) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (prefixes.first(), prefixes.last()) else { return Ok(()) };
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.set_iterate_lower_bound(first.as_ref());
        if let Some(upper) = after_prefix(last.as_ref()) {
            options.set_iterate_upper_bound(upper);
        }
        let mut rows = raw.raw_iterator_cf_opt(self.handle(raw, family), options);
        rows.seek(first.as_ref());
        for (at, prefix) in prefixes.iter().enumerate() {
            let prefix = prefix.as_ref();
            advance(&mut rows, prefix);
            while let Some((key, value)) = rows.item().filter(|(key, _)| key.starts_with(prefix)) {
                if visit(at, key, value).is_break() {
                    return Ok(());
                }
                rows.next();
            }
        }
        Ok(rows.status()?)
    }

    /// Visits the rows of `range` as they are now, until `visit` breaks.
    pub fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Directory(raw) => {
                self.scan_rows(raw, range, direction, ReadOptions::default(), visit)
            }
            Backend::Memory(db) => db.scan(self.name(range.family), range, direction, visit),
        }
    }

    pub(crate) fn scan_rows(
        &self,
        raw: &DB,
        range: &KeyRange,
        direction: Direction,
        mut options: ReadOptions,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if range.upper.as_ref().is_some_and(|upper| *upper <= range.lower) {
            return Ok(());
        }
        options.set_iterate_lower_bound(range.lower.as_slice());
        if let Some(upper) = &range.upper {
            options.set_iterate_upper_bound(upper.as_slice());
        }
        if direction == Direction::Forward && self.options_of(range.family).is_within_prefix(range)
        {
            options.set_prefix_same_as_start(true);
        } else {
            options.set_total_order_seek(true);
        }
        let mut rows = raw.raw_iterator_cf_opt(self.handle(raw, range.family), options);
        match direction {
            Direction::Forward => rows.seek(&range.lower),
            Direction::Backward => rows.seek_to_last(),
        }
        while let Some((key, value)) = rows.item() {
            if visit(key, value).is_break() {
                break;
            }
            match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.prev(),
            }
        }
        Ok(rows.status()?)
    }

    /// The first row of `range` in `direction`.
    pub fn first(
        &self,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let mut first = None;
        self.scan(range, direction, &mut |key, value| {
            first = Some((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            ControlFlow::Break(())
        })?;
        Ok(first)
    }
}

/// Sets options for a walk to so many keys.
fn read_past_cache(options: &mut ReadOptions, keys: usize) {
    if keys >= LONG_WALK_KEYS {
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD_BYTES);
    }
}

/// A walk where each key costs the same wherever it stands: `read` visits what a key has, if it exists.
pub(crate) fn walk_singly<K: AsRef<[u8]>>(
    keys: &[K],
    mut read: impl FnMut(usize, &[u8]) -> Result<Option<ControlFlow<()>>, StoreError>,
) -> Result<(), StoreError> {
    for (at, key) in keys.iter().enumerate() {
        if read(at, key.as_ref())?.is_some_and(|flow| flow.is_break()) {
            break;
        }
    }
    Ok(())
}

/// Goes on to the first row whose key is not below `key`: step by step, unless it is far.
fn advance(rows: &mut DBRawIterator<'_>, key: &[u8]) {
    for _ in 0..WALK_STEPS_MAX {
        if rows.key().is_none_or(|row| row >= key) {
            return;
        }
        rows.next();
    }
    if rows.key().is_some_and(|row| row < key) {
        rows.seek(key);
    }
}
