//! A table read by columns: from what is kept of them in memory, and where that is missing or has changed from its rows.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::column::{Column, ColumnBatch, ColumnKind, ColumnSource, Piece, Place};
use crate::error::Result;

use super::super::columns::{Columns, Found, Rows};
use super::super::key::Key;
use super::super::row::corrupted;
use super::super::rows::{self, Direction, Range, ReadRows};
use super::super::snapshot::Snapshot;
use super::super::store::StoreSnapshot;
use super::table::{Table, Versions};

/// Columns of a table as of one snapshot.
pub(super) struct TableColumns<T> {
    snapshot: Snapshot,
    stored: StoreSnapshot,
    scan: u64,
    columns: Vec<usize>,
    /// Those of the columns that are kept, and those that the others are found by.
    kept: Vec<usize>,
    rows: u64,
    table: PhantomData<fn() -> T>,
}

/// Rows being gathered.
struct Gathering {
    keys: Column,
    columns: Vec<Option<Column>>,
    versions: Versions,
}

impl<T: Table> TableColumns<T> {
    /// The columns, all of them among those that the table keeps; none if nothing is stored.
    pub(super) fn of(snapshot: &Snapshot, columns: &[usize], rows: u64) -> Option<Self> {
        let stored = snapshot.stored()?.clone();
        let scan = stored.leg_columns().scan();
        let found = columns.iter().any(|column| *column >= T::COLUMNS.len());
        let by = if found { T::AGGREGATE } else { &[] };
        let kept = columns.iter().chain(by).filter(|column| **column < T::COLUMNS.len());
        Some(Self {
            snapshot: snapshot.clone(),
            stored,
            scan,
            columns: columns.to_vec(),
            kept: kept.copied().collect(),
            rows,
            table: PhantomData,
        })
    }

    fn store(&self) -> &Columns {
        self.stored.leg_columns()
    }

    fn table() -> u8 {
        T::indexes()[0].table
    }

    /// The rows at the beginning of a piece as they are stored, and where they stand, which may be more than the piece.
    fn stored_rows(&self, piece: Piece) -> rows::Result<(Piece, Rows)> {
        let shows = self.stored.shows();
        match self.store().find(piece, shows, self.scan) {
            Found::Nothing { piece, keep } => {
                let wanted = |column: usize| self.kept.contains(&column);
                let (piece, rows) = self.read_rows(piece, wanted, self.store().chunk_rows_max())?;
                if keep {
                    self.keep(piece, &rows);
                }
                Ok((piece, rows))
            }
            Found::Rows { piece, rows, changed } => {
                let known = |column: usize| rows.columns[column].is_some();
                let all = self.kept.iter().all(|column| known(*column));
                if all && changed.is_empty() {
                    return Ok((piece, rows));
                }
                if all {
                    let rows = self.read_changed(&rows, &changed)?;
                    self.keep(piece, &rows);
                    return Ok((piece, rows));
                }
                let wanted = |column: usize| known(column) || self.kept.contains(&column);
                // All of the chunk: what was asked for may stand at its end. It has not grown by more than the changes.
                let (piece, rows) = self.read_rows(piece, wanted, usize::MAX)?;
                self.keep(piece, &rows);
                Ok((piece, rows))
            }
        }
    }

    /// Reads the rows at the beginning of a piece, so many at most.
    fn read_rows(
        &self,
        piece: Piece,
        wanted: impl Fn(usize) -> bool,
        rows_max: usize,
    ) -> rows::Result<(Piece, Rows)> {
        let mut gathering = self.gathering(wanted, self.store().chunk_rows_max());
        let mut to = piece.to;
        self.stored.visit(&range::<T>(piece), Direction::Forward, &mut |key, value| {
            gathering.push::<T>(key, value)?;
            if gathering.keys.len() < rows_max {
                return Ok(ControlFlow::Continue(()));
            }
            to = number(key)?.checked_add(1);
            Ok(ControlFlow::Break(()))
        })?;
        Ok((Piece { to, ..piece }, gathering.finish()))
    }

    /// Keeps rows, in two chunks if they have become many.
    fn keep(&self, piece: Piece, rows: &Rows) {
        let keep = |piece: Piece, rows: Rows| {
            self.store().keep(piece, rows, self.stored.shows(), self.scan);
        };
        let count = rows.keys.len();
        if count <= self.store().chunk_rows_max() {
            return keep(piece, rows.clone());
        }
        let middle = rows.key(count / 2);
        keep(Piece { to: Some(middle), ..piece }, rows.slice(0..count / 2));
        keep(Piece { from: middle, ..piece }, rows.slice(count / 2..count));
    }

    /// The rows of a chunk with those read again that may have changed.
    fn read_changed(&self, rows: &Rows, changed: &[u128]) -> rows::Result<Rows> {
        let keys: Vec<Key> = changed.iter().map(|id| key::<T>(*id)).collect();
        let mut gathering = self.gathering(|column| rows.columns[column].is_some(), keys.len());
        self.stored.walk(&keys, &mut |at, value| gathering.push::<T>(&keys[at], value))?;
        Ok(merged(rows, changed, &gathering.finish()))
    }

    /// The rows with what is on top of them.
    fn with_own(&self, piece: Piece, rows: Rows) -> rows::Result<Rows> {
        let mut changed = Vec::new();
        let mut gathering = self.gathering(|column| rows.columns[column].is_some(), 0);
        for (key, value) in self.snapshot.own(&range::<T>(piece)) {
            changed.push(number(key)?);
            if let Some(value) = value {
                gathering.push::<T>(key, value)?;
            }
        }
        if changed.is_empty() {
            return Ok(rows);
        }
        Ok(merged(&rows, &changed, &gathering.finish()))
    }

    /// The versions of the rows' aggregates, as the snapshot shows them: they change with other rows than these.
    fn versions(&self, rows: &Rows) -> rows::Result<Column> {
        let by: Vec<&Arc<Column>> =
            T::AGGREGATE.iter().map(|column| known(rows, *column)).collect::<rows::Result<_>>()?;
        let mut versions = Versions::new(self.snapshot.clone());
        let mut column = Column::with_capacity(ColumnKind::Int8, rows.keys.len());
        let mut values = Vec::with_capacity(by.len());
        for row in 0..rows.keys.len() {
            values.clear();
            values.extend(by.iter().map(|column| column.datum(row)));
            if !column.push(&versions.of(T::aggregate(&values)?)?) {
                return Err(corrupted("not a version"));
            }
        }
        Ok(column)
    }

    fn gathering(&self, wanted: impl Fn(usize) -> bool, rows: usize) -> Gathering {
        let kinds = T::COLUMNS.iter().enumerate();
        let column = |(column, kind): (usize, &ColumnKind)| {
            wanted(column).then(|| Column::with_capacity(*kind, rows))
        };
        Gathering {
            keys: Column::with_capacity(ColumnKind::Uuid, rows),
            columns: kinds.map(column).collect(),
            versions: Versions::new(self.snapshot.clone()),
        }
    }
}

impl<T: Table> ColumnSource for TableColumns<T> {
    fn pieces(&self) -> VecDeque<Piece> {
        self.store().pieces(self.rows)
    }

    fn read(&self, piece: Piece) -> Result<(ColumnBatch, Option<Piece>)> {
        let (at, rows) = self.stored_rows(piece)?;
        let rows = self.with_own(at, rows)?;
        // What was asked for may begin or end within the chunk.
        let start = rows.place(piece.from);
        let end = piece.to.map_or(rows.keys.len(), |to| rows.place(to));
        let rows = if end - start < rows.keys.len() { rows.slice(start..end) } else { rows };
        let columns = self.columns.iter().map(|column| match T::COLUMNS.get(*column) {
            Some(_) => Ok(Arc::clone(known(&rows, *column)?)),
            None => Ok(Arc::new(self.versions(&rows)?)),
        });
        let columns = columns.collect::<rows::Result<Vec<_>>>()?;
        let left = match at.to {
            Some(from) if piece.to.is_none_or(|to| from < to) => Some(Piece { from, ..piece }),
            _ => None,
        };
        Ok((ColumnBatch { keys: rows.keys, columns, rows: end - start }, left))
    }

    fn rows(&self) -> u64 {
        self.rows
    }
}

impl Gathering {
    fn push<T: Table>(&mut self, key: &[u8], value: &[u8]) -> rows::Result<()> {
        let misfit = || corrupted("a value does not fit its column");
        let id = crate::types::Datum::Uuid(uuid::Uuid::from_u128(number(key)?));
        if !self.keys.push(&id) {
            return Err(misfit());
        }
        for (place, column) in self.columns.iter_mut().enumerate() {
            let Some(column) = column else { continue };
            if !column.push(&T::value(place, key, value, &mut self.versions)?) {
                return Err(misfit());
            }
        }
        Ok(())
    }

    fn finish(self) -> Rows {
        let columns = self.columns.into_iter().map(|column| column.map(Arc::new)).collect();
        Rows { keys: Arc::new(self.keys), columns }
    }
}

/// A column that was read.
fn known(rows: &Rows, column: usize) -> rows::Result<&Arc<Column>> {
    let column = rows.columns.get(column).and_then(Option::as_ref);
    column.ok_or_else(|| corrupted("a column that was asked for is not there"))
}

/// The rows with the `changed` ones, which ascend, replaced by those that are `found` of them.
fn merged(rows: &Rows, changed: &[u128], found: &Rows) -> Rows {
    let (old, new) = (rows.ids(), found.ids());
    let mut places = Vec::with_capacity(old.len() + new.len());
    let (mut old_at, mut new_at) = (0, 0);
    for id in changed {
        let until = old_at + old[old_at..].partition_point(|it| it < id);
        places.extend((old_at..until).map(Place::Left));
        old_at = until + usize::from(old.get(until) == Some(id));
        if new.get(new_at) == Some(id) {
            places.push(Place::Right(new_at));
            new_at += 1;
        }
    }
    places.extend((old_at..old.len()).map(Place::Left));
    let gather =
        |left: &Arc<Column>, right: &Arc<Column>| Arc::new(Column::gather(left, right, &places));
    let columns = rows.columns.iter().zip(&found.columns);
    let columns = columns.map(|(left, right)| Some(gather(left.as_ref()?, right.as_ref()?)));
    Rows { keys: gather(&rows.keys, &found.keys), columns: columns.collect() }
}

/// The keys of a piece.
fn range<T: Table>(piece: Piece) -> Range {
    let to = match piece.to {
        Some(to) => Some(key::<T>(to)),
        None => Key::table(TableColumns::<T>::table()).successor(),
    };
    Range { from: key::<T>(piece.from), to }
}

fn key<T: Table>(number: u128) -> Key {
    Key::table(TableColumns::<T>::table()).bytes(&number.to_be_bytes())
}

/// The number that a key is behind its first byte.
fn number(key: &[u8]) -> rows::Result<u128> {
    let number = key.get(1..).and_then(|number| number.try_into().ok());
    number.map(u128::from_be_bytes).ok_or_else(|| corrupted("not a key of 16 bytes"))
}
