//! Relations whose rows are stored: one scan for all of them, reading only what is asked for.

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::ThreadPool;
use rotabase_engine::db::StoreError;
use rotabase_engine::schedule::{AggregateId, MinimumGroundTime};
use rustc_hash::FxHashMap;

use crate::column::{ColumnKind, ColumnSource};
use crate::error::Result;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::readers::{PARALLEL_ROWS_MIN, readers};
use crate::relation::{Access, Relation, RelationSchema, RowScan};
use crate::types::{Datum, Interval};

use super::super::count::{COUNTS, Count};
use super::super::key::Key;
use super::super::row::corrupted;
use super::super::rows::{self, Direction, Range, ReadRows};
use super::super::snapshot::Snapshot;
use super::parts::Parts;
use super::range::{Part, range};
use super::table_columns::TableColumns;

/// Tables of fewer rows are read from the store: columns of them would save nothing.
const COLUMNS_ROWS_MIN: u64 = 2048;

/// The versions that a scan remembers, because the rows of one aggregate stand together or come back.
const VERSIONS_REMEMBERED_MAX: usize = 4096;

/// The newest counts, for those who have no snapshot at hand.
#[derive(Debug, Default)]
pub(crate) struct Estimates([AtomicU64; COUNTS]);

impl Estimates {
    pub(crate) fn set(&self, count: Count, rows: u64) {
        self.0[count.place()].store(rows, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.0[count.place()].load(Ordering::Relaxed)
    }
}

/// An index as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Its table.
    pub(super) table: u8,
    /// The columns of the index in its keys.
    pub(super) parts: &'static [Part],
    /// From an entry to the keys of the rows that it stands for; none where the entries are the rows.
    pub(super) rows: Option<RowsOf>,
}

impl Layout {
    /// Whether that many columns of the index, which is `unique` or not, are the whole key of one row.
    fn is_key(&self, columns: usize, unique: bool) -> bool {
        // The keys of an index that is not unique go on behind its columns.
        unique && self.rows.is_none() && columns == self.parts.len()
    }
}

/// Appends the keys of the rows that an entry of an index stands for, in the index's order.
pub(super) type RowsOf = fn(&Snapshot, &[u8], &[u8], &mut Vec<Key>) -> rows::Result<()>;

/// What tells one stored relation from another.
pub(super) trait Table: Debug + Send + Sync + 'static {
    /// Its name and shape.
    fn schema() -> Arc<RelationSchema>;

    /// The indexes in the order of the schema. The first table in the list holds the rows.
    fn indexes() -> &'static [Layout];

    /// Its count.
    const COUNT: Count;

    /// What its first columns are, where they are kept as columns: then its keys are a byte and 128 bits.
    const COLUMNS: &'static [ColumnKind] = &[];

    /// The columns that the version of the row's aggregate, which is the column behind them, is found by.
    const AGGREGATE: &'static [usize] = &[];

    /// The aggregate of a row with these values of those columns.
    fn aggregate(_values: &[Datum]) -> rows::Result<AggregateId> {
        Err(corrupted("rows of this relation belong to no aggregate"))
    }

    /// The value of a column.
    fn value(
        column: usize,
        key: &[u8],
        value: &[u8],
        versions: &mut Versions,
    ) -> rows::Result<Datum>;
}

/// A stored relation.
#[derive(Debug)]
pub(super) struct TableRelation<T> {
    schema: Arc<RelationSchema>,
    estimates: Arc<Estimates>,
    table: std::marker::PhantomData<T>,
}

impl<T: Table> TableRelation<T> {
    pub(super) fn of(estimates: &Arc<Estimates>) -> Self {
        let relation = Self {
            schema: T::schema(),
            estimates: Arc::clone(estimates),
            table: std::marker::PhantomData,
        };
        assert!(relation.schema.indexes.len() == T::indexes().len(), "each index has its layout");
        relation
    }
}

/// A relation that needs nothing of a statement but its snapshot.
pub(crate) trait Projected: Debug + Send + Sync {
    /// See [`Relation::schema`].
    fn schema(&self) -> &Arc<RelationSchema>;

    /// See [`Relation::scan`].
    fn scan(
        &self,
        snapshot: &Snapshot,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>>;

    /// See [`Relation::columns`].
    fn columns(&self, _: &Snapshot, _columns: &[usize]) -> Option<Arc<dyn ColumnSource>> {
        None
    }

    /// See [`Relation::keeps_columns`].
    fn keeps_columns(&self, _columns: &[usize]) -> bool {
        false
    }

    /// See [`Relation::count`].
    fn count(&self, snapshot: &Snapshot) -> rows::Result<u64>;

    /// See [`Relation::estimate`].
    fn estimate(&self) -> u64;
}

impl<P: Projected> Relation for P {
    fn schema(&self) -> &Arc<RelationSchema> {
        Projected::schema(self)
    }

    fn scan(
        &self,
        context: &ExecContext,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        Projected::scan(self, &context.snapshot, access, columns)
    }

    fn columns(
        &self,
        context: &ExecContext,
        columns: &[usize],
    ) -> Result<Option<Arc<dyn ColumnSource>>> {
        Ok(Projected::columns(self, &context.snapshot, columns))
    }

    fn keeps_columns(&self, columns: &[usize]) -> bool {
        Projected::keeps_columns(self, columns)
    }

    fn count(&self, context: &ExecContext) -> Result<Option<u64>> {
        Ok(Some(Projected::count(self, &context.snapshot)?))
    }

    fn estimate(&self) -> u64 {
        Projected::estimate(self)
    }

    fn has_past(&self) -> bool {
        true
    }
}

impl<T: Table> Projected for TableRelation<T> {
    fn schema(&self) -> &Arc<RelationSchema> {
        &self.schema
    }

    fn scan(
        &self,
        snapshot: &Snapshot,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        let (layout, rest, direction) = match access {
            Access::Full => {
                let layout = &T::indexes()[0];
                let all = Range::prefix(Key::table(layout.table));
                let large = self.estimates.get(T::COUNT) >= PARALLEL_ROWS_MIN;
                let rest = match large.then(readers).flatten() {
                    Some(readers) => Rest::Whole(readers, all),
                    None => Rest::Range(all),
                };
                (layout, rest, Direction::Forward)
            }
            Access::Index { index, prefix, lower, upper, backward } => {
                let layout = &T::indexes()[*index];
                let unique = self.schema.indexes[*index].unique;
                let direction = if *backward { Direction::Backward } else { Direction::Forward };
                let range = range(Key::table(layout.table), layout.parts, prefix, lower, upper)?;
                let rest = match range {
                    None => Rest::Nothing,
                    Some(range) if layout.is_key(prefix.len(), unique) => Rest::Row(range.from),
                    Some(range) => Rest::Range(range),
                };
                (layout, rest, direction)
            }
        };
        Ok(Box::new(TableScan::<T> {
            snapshot: snapshot.clone(),
            rows_of: layout.rows,
            rest,
            direction,
            rows: self.estimates.get(T::COUNT),
            columns: columns.to_vec(),
            versions: Versions::new(snapshot.clone()),
            keys: Vec::new(),
            table: std::marker::PhantomData,
        }))
    }

    fn columns(&self, snapshot: &Snapshot, columns: &[usize]) -> Option<Arc<dyn ColumnSource>> {
        if !Projected::keeps_columns(self, columns) {
            return None;
        }
        let source = TableColumns::<T>::of(snapshot, columns, self.estimates.get(T::COUNT))?;
        Some(Arc::new(source))
    }

    fn keeps_columns(&self, columns: &[usize]) -> bool {
        self.estimates.get(T::COUNT) >= COLUMNS_ROWS_MIN
            && columns
                .iter()
                .all(|column| *column < T::COLUMNS.len() + usize::from(!T::AGGREGATE.is_empty()))
    }

    fn count(&self, snapshot: &Snapshot) -> rows::Result<u64> {
        snapshot.count(T::COUNT)
    }

    fn estimate(&self) -> u64 {
        self.estimates.get(T::COUNT)
    }
}

/// What is left to be read.
enum Rest {
    Nothing,
    /// The one row with this key, which takes no search for what comes after it.
    Row(Key),
    Range(Range),
    /// Of a large table, in whatever order: in parts by others, as soon as many rows are wanted.
    Whole(&'static ThreadPool, Range),
    Parts(Parts),
}

/// Rows being read. Between two calls it holds no more than what is left of the range.
struct TableScan<T> {
    snapshot: Snapshot,
    rows_of: Option<RowsOf>,
    rest: Rest,
    direction: Direction,
    // Of the table, about.
    rows: u64,
    columns: Vec<usize>,
    versions: Versions,
    keys: Vec<Key>,
    table: std::marker::PhantomData<fn() -> T>,
}

impl<T: Table> RowScan for TableScan<T> {
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool> {
        let range = match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => return Ok(false),
            Rest::Row(key) => {
                self.read_row(&key, out)?;
                return Ok(false);
            }
            Rest::Range(range) => range,
            Rest::Whole(readers, range) if rows_max < BATCH_ROWS => {
                let last = self.read_rows(&range, rows_max, out)?;
                return Ok(self.go_on(range, last, |range| Rest::Whole(readers, range)));
            }
            Rest::Whole(readers, range) => return self.read_part(self.parts(readers, range), out),
            Rest::Parts(parts) => return self.read_part(parts, out),
        };
        let last = match self.rows_of {
            None => self.read_rows(&range, rows_max, out)?,
            Some(rows_of) => self.read_entries(&range, rows_max, rows_of, out)?,
        };
        Ok(self.go_on(range, last, Rest::Range))
    }
}

impl<T: Table> TableScan<T> {
    /// Reads the row with a key; says whether there is one.
    fn read_row(&mut self, key: &Key, out: &mut Vec<Datum>) -> rows::Result<bool> {
        let Self { snapshot, columns, versions, .. } = self;
        let row = |value: &[u8]| {
            columns.iter().try_for_each(|column| {
                out.push(T::value(*column, key, value, versions)?);
                Ok(())
            })
        };
        Ok(snapshot.get(key, row)?.is_some())
    }

    /// Whether there may be more behind the last key that was read of a range.
    fn go_on(
        &mut self,
        mut range: Range,
        last: Option<Key>,
        rest: impl FnOnce(Range) -> Rest,
    ) -> bool {
        let Some(last) = last else { return false };
        range.shrink(&last, self.direction);
        self.rest = rest(range);
        true
    }

    /// Reads rows; returns the last key if there may be more.
    fn read_rows(
        &mut self,
        range: &Range,
        rows_max: usize,
        out: &mut Vec<Datum>,
    ) -> rows::Result<Option<Key>> {
        let Self { snapshot, columns, versions, .. } = self;
        read_rows::<T>(snapshot, range, self.direction, rows_max, columns, versions, out)
    }

    fn parts(&self, readers: &'static ThreadPool, range: Range) -> Parts {
        let snapshot = self.snapshot.clone();
        let columns: Arc<[usize]> = self.columns.as_slice().into();
        let read = move |range: &Range, rows_max: usize, out: &mut Vec<Datum>| {
            let mut versions = Versions::new(snapshot.clone());
            let direction = Direction::Forward;
            read_rows::<T>(&snapshot, range, direction, rows_max, &columns, &mut versions, out)
        };
        Parts::new(readers, range, self.rows, Arc::new(read))
    }

    fn read_part(&mut self, mut parts: Parts, out: &mut Vec<Datum>) -> Result<bool> {
        let more = parts.next(out)?;
        if more {
            self.rest = Rest::Parts(parts);
        }
        Ok(more)
    }

    /// Reads entries of an index and the rows that they stand for; returns the last entry's key if there may be more.
    fn read_entries(
        &mut self,
        range: &Range,
        rows_max: usize,
        rows_of: RowsOf,
        out: &mut Vec<Datum>,
    ) -> rows::Result<Option<Key>> {
        let mut last = None;
        let Self { snapshot, keys, direction, .. } = self;
        keys.clear();
        snapshot.visit(range, *direction, &mut |key, value| {
            let first = keys.len();
            rows_of(snapshot, key, value, keys)?;
            if *direction == Direction::Backward {
                keys[first..].reverse();
            }
            if keys.len() < rows_max.max(1) {
                return Ok(ControlFlow::Continue(()));
            }
            last = Some(Key::from(key));
            Ok(ControlFlow::Break(()))
        })?;
        let keys = std::mem::take(&mut self.keys);
        for key in &keys {
            if !self.read_row(key, out)? {
                return Err(corrupted("an index names no row"));
            }
        }
        self.keys = keys;
        Ok(last)
    }
}

/// Reads rows; returns the last key if there may be more.
fn read_rows<T: Table>(
    snapshot: &Snapshot,
    range: &Range,
    direction: Direction,
    rows_max: usize,
    columns: &[usize],
    versions: &mut Versions,
    out: &mut Vec<Datum>,
) -> rows::Result<Option<Key>> {
    let mut left = rows_max.max(1);
    let mut last = None;
    snapshot.visit(range, direction, &mut |key, value| {
        for column in columns {
            out.push(T::value(*column, key, value, versions)?);
        }
        left -= 1;
        if left > 0 {
            return Ok(ControlFlow::Continue(()));
        }
        last = Some(Key::from(key));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(last)
}

/// The versions of aggregates, looked up when their column is asked for.
#[derive(Debug)]
pub(super) struct Versions {
    snapshot: Snapshot,
    known: FxHashMap<AggregateId, i64>,
}

impl Versions {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, known: FxHashMap::default() }
    }

    pub(super) fn of(&mut self, aggregate: AggregateId) -> rows::Result<Datum> {
        if let Some(version) = self.known.get(&aggregate) {
            return Ok(Datum::Int8(*version));
        }
        let version = self.snapshot.version(&aggregate)?.to_i64();
        if self.known.len() >= VERSIONS_REMEMBERED_MAX {
            self.known.clear();
        }
        self.known.insert(aggregate, version);
        Ok(Datum::Int8(version))
    }
}

/// A column that the schema does not have was asked for.
pub(super) fn no_column(column: usize) -> StoreError {
    corrupted(&format!("column {column} is not of this relation"))
}

/// A minimum ground time as it was written.
pub(super) fn minimum(minimum: MinimumGroundTime) -> Datum {
    let (months, days, microseconds) = minimum.parts();
    Datum::Interval(Interval { months, days, microseconds })
}

/// A difference of two times, as PostgreSQL subtracts them: days of 24 hours and the rest.
pub(super) fn difference(microseconds: i64) -> Interval {
    const DAY: i64 = 86_400_000_000;
    let days =
        i32::try_from(microseconds / DAY).expect("2^63 microseconds are fewer than 2^31 days");
    Interval { months: 0, days, microseconds: microseconds % DAY }
}
