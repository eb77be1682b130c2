//! The seam between folding and storing: rows as an ordered map from key to value.
//!
//! The fold and the look-ups are generic over it, so they run alike on the store, on a snapshot of it, on
//! pending changes above either, and on a plain map in tests.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use rotabase_engine::db::StoreError;

use super::key::Key;

/// What reading rows gives.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Which keys, from one that may be included to one that is not.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// The first key.
    pub(crate) from: Key,
    /// The first key that does not belong any more; none is the end of everything.
    pub(crate) to: Option<Key>,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub(crate) fn prefix(prefix: Key) -> Self {
        Self { from: prefix.clone(), to: prefix.successor() }
    }

    /// Whether no key can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// The bounds as an ordered map takes them.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(&self.from), self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded))
    }

    /// What is left after the row at `key` has been read.
    pub(crate) fn shrink(&mut self, key: &[u8], direction: Direction) {
        match direction {
            Direction::Forward => self.from = Key::from(key).just_after(),
            Direction::Backward => self.to = Some(Key::from(key)),
        }
    }
}

/// In which order rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// By ascending key.
    Forward,
    /// By descending key.
    Backward,
}

/// What is called for each row; it says whether to go on.
pub(crate) type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// What is called for each key that is looked up, with the value if there is one.
pub(crate) type Finder<'a> = dyn FnMut(&Key, Option<&[u8]>) -> Result<()> + 'a;

/// What is called for each key that is there, with its number and its value.
pub(crate) type Walker<'a> = dyn FnMut(usize, &[u8]) -> Result<()> + 'a;

/// What is called for each row whose key begins with a prefix, with the number of the prefix.
pub(crate) type PrefixWalker<'a> = dyn FnMut(usize, &[u8], &[u8]) -> Result<()> + 'a;

/// Rows that can be read.
pub(crate) trait ReadRows {
    /// Reads the value at `key`, if there is one.
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>>;

    /// Visits the rows of a range in order, until the visitor breaks.
    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()>;

    /// Reads the values at `keys`, which ascend.
    fn get_all(&self, keys: &[Key], read: &mut Finder<'_>) -> Result<()> {
        for key in keys {
            if self.get(key, |value| read(key, Some(value)))?.is_none() {
                read(key, None)?;
            }
        }
        Ok(())
    }

    /// Reads those of the rows at `keys`, which ascend, that exist, and says which they are: for many keys that stand
    /// close together.
    fn walk<K: AsRef<[u8]>>(&self, keys: &[K], read: &mut Walker<'_>) -> Result<()> {
        for (at, key) in keys.iter().enumerate() {
            self.get(key.as_ref(), |value| read(at, value))?;
        }
        Ok(())
    }

    /// Reads the rows whose keys begin with one of the prefixes, which ascend, and says with which: for many prefixes that
    /// stand close together.
    fn walk_prefixes<K: AsRef<[u8]>>(
        &self,
        prefixes: &[K],
        read: &mut PrefixWalker<'_>,
    ) -> Result<()> {
        for (at, prefix) in prefixes.iter().enumerate() {
            let range = Range::prefix(Key::from(prefix.as_ref()));
            self.visit(&range, Direction::Forward, &mut |key, value| {
                read(at, key, value).map(ControlFlow::Continue)
            })?;
        }
        Ok(())
    }

    /// The first row of a range, in the given order.
    fn first<T>(
        &self,
        range: &Range,
        direction: Direction,
        mut read: impl FnMut(&[u8], &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.visit(range, direction, &mut |key, value| {
            found = Some(read(key, value)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Up to `rows_max` rows from the start of a range, which shrinks to what is left.
    fn chunk<T>(
        &self,
        range: &mut Range,
        rows_max: usize,
        mut read: impl FnMut(&[u8], &[u8]) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        let mut last = Key::default();
        self.visit(range, Direction::Forward, &mut |key, value| {
            rows.push(read(key, value)?);
            if rows.len() < rows_max {
                return Ok(ControlFlow::Continue(()));
            }
            last = Key::from(key);
            Ok(ControlFlow::Break(()))
        })?;
        if last.is_empty() {
            range.to = Some(range.from.clone());
        } else {
            range.shrink(&last, Direction::Forward);
        }
        Ok(rows)
    }
}

/// Rows that can be changed.
pub(crate) trait Rows: ReadRows {
    /// Sets the value at `key`.
    fn put(&mut self, key: Key, value: &[u8]);

    /// Removes the row at `key`, if there is one.
    fn delete(&mut self, key: Key);

    /// Makes ready to read the rows at `keys`, where that is faster than reading them one by one.
    fn read_ahead(&mut self, _keys: Vec<Key>) -> Result<()> {
        Ok(())
    }
}

/// Rows in memory.
pub(crate) type MemoryRows = BTreeMap<Key, Vec<u8>>;

impl ReadRows for MemoryRows {
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        BTreeMap::get(self, key).map(|value| read(value)).transpose()
    }

    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mut rows = self.range::<[u8], _>(range.bounds());
        loop {
            let row = match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            };
            let Some((key, value)) = row else { return Ok(()) };
            if visitor(key, value)?.is_break() {
                return Ok(());
            }
        }
    }
}

impl Rows for MemoryRows {
    fn put(&mut self, key: Key, value: &[u8]) {
        self.insert(key, value.to_vec());
    }

    fn delete(&mut self, key: Key) {
        self.remove(&key);
    }
}
