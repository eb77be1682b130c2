//! Rows gathered to be put in order.
//!
//! Most comparisons are decided by eight bytes taken from the first key, made so that their order as numbers is
//! the key's; only ties look at the values.

use std::cmp::Ordering;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::{Env, Statement};
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::key::Direction;
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::row_table::index;
use crate::exec::spill::can_spill;
use crate::types::Datum;

/// What rows are ordered by.
#[derive(Debug)]
pub(crate) struct RowOrder {
    keys: Keys,
    directions: Vec<Direction>,
}

#[derive(Debug)]
enum Keys {
    /// Columns of the rows themselves.
    Columns(Vec<usize>),
    /// Expressions, kept beside the rows.
    Computed(Vec<Compiled>),
}

/// Rows and their keys.
#[derive(Debug)]
pub(crate) struct SortBuffer {
    width: usize,
    values: Vec<Datum>,
    keys: Vec<Datum>,
    rows: usize,
    memory: Reservation,
}

impl RowOrder {
    /// An order by expressions.
    pub(crate) fn new(expressions: Vec<Compiled>, directions: Vec<Direction>) -> Self {
        let keys = match expressions.iter().map(Compiled::column).collect::<Option<Vec<_>>>() {
            Some(columns) => Keys::Columns(columns),
            None => Keys::Computed(expressions),
        };
        Self { keys, directions }
    }

    /// An order by the first columns.
    pub(crate) fn by_columns(directions: Vec<Direction>) -> Self {
        Self { keys: Keys::Columns((0..directions.len()).collect()), directions }
    }

    /// The directions of the keys.
    pub(crate) fn directions(&self) -> &[Direction] {
        &self.directions
    }

    /// The key of a row that stands alone.
    pub(crate) fn key_of(&self, row: &[Datum], env: &Env<'_>, out: &mut Vec<Datum>) -> Result<()> {
        match &self.keys {
            Keys::Columns(columns) => {
                out.extend(columns.iter().map(|column| row[*column].clone()));
                Ok(())
            }
            Keys::Computed(expressions) => eval_all(expressions, row, env, out),
        }
    }
}

impl SortBuffer {
    /// An empty buffer for rows of some width.
    pub(crate) fn new(width: usize, statement: &Statement) -> Self {
        Self {
            width,
            values: Vec::new(),
            keys: Vec::new(),
            rows: 0,
            memory: statement.reservation(),
        }
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a row; false, and nothing done, if the memory does not hold it. What can go to disk leaves room for others.
    pub(crate) fn try_push(
        &mut self,
        row: &[Datum],
        order: &RowOrder,
        env: &Env<'_>,
    ) -> Result<bool> {
        let shares = can_spill(env, 0);
        self.add(row, order, env, |memory, bytes| {
            if shares { memory.try_share(bytes) } else { memory.try_grow(bytes) }
        })
    }

    /// Adds a row, whatever memory there is.
    pub(crate) fn force(&mut self, row: &[Datum], order: &RowOrder, env: &Env<'_>) -> Result<()> {
        let take = |memory: &mut Reservation, bytes| {
            memory.take(bytes);
            true
        };
        self.add(row, order, env, take).map(|_| ())
    }

    fn add(
        &mut self,
        row: &[Datum],
        order: &RowOrder,
        env: &Env<'_>,
        reserve: impl FnOnce(&mut Reservation, usize) -> bool,
    ) -> Result<bool> {
        /// A row's entry while sorting.
        const ENTRY_BYTES: usize = 24;
        let before = self.keys.len();
        if let Keys::Computed(expressions) = &order.keys {
            eval_all(expressions, row, env, &mut self.keys)?;
        }
        let bytes = bytes_of(row) + bytes_of(&self.keys[before..]) + ENTRY_BYTES;
        if !reserve(&mut self.memory, bytes) {
            self.keys.truncate(before);
            return Ok(false);
        }
        self.values.extend_from_slice(row);
        self.rows += 1;
        Ok(true)
    }

    /// Adds a row, or fails with 53200.
    pub(crate) fn push(&mut self, row: &[Datum], order: &RowOrder, env: &Env<'_>) -> Result<()> {
        if self.try_push(row, order, env)? {
            return Ok(());
        }
        self.memory.grow(bytes_of(row)).and_then(|()| {
            Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
                .with_detail("A sort needs more memory than the statement may hold."))
        })
    }

    /// A row by its number.
    pub(crate) fn row(&self, number: usize) -> &[Datum] {
        &self.values[number * self.width..(number + 1) * self.width]
    }

    /// A row by its number, moved out.
    pub(crate) fn take_row(&mut self, number: usize) -> impl Iterator<Item = Datum> {
        self.values[number * self.width..(number + 1) * self.width].iter_mut().map(std::mem::take)
    }

    /// A key of a row.
    pub(crate) fn key<'a>(&'a self, order: &RowOrder, row: usize, key: usize) -> &'a Datum {
        match &order.keys {
            Keys::Columns(columns) => &self.values[row * self.width + columns[key]],
            Keys::Computed(expressions) => &self.keys[row * expressions.len() + key],
        }
    }

    /// Whether two rows have equal keys, of the first `keys` ones.
    pub(crate) fn same_key(
        &self,
        order: &RowOrder,
        keys: std::ops::Range<usize>,
        left: usize,
        right: usize,
    ) -> bool {
        keys.into_iter().all(|key| {
            crate::exec::key::equal(self.key(order, left, key), self.key(order, right, key))
        })
    }

    /// The numbers of the rows in order; rows with equal keys stay as they came.
    pub(crate) fn sorted(&self, order: &RowOrder) -> Result<Vec<u32>> {
        let count = u32::try_from(self.rows).map_err(|_| {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many rows to sort in memory")
        })?;
        let Some(first) = order.directions.first() else { return Ok((0..count).collect()) };
        let mut entries: Vec<Entry> =
            (0..count).map(|row| Entry::new(row, self.key(order, index(row), 0), *first)).collect();
        entries.sort_unstable_by(|left, right| {
            let (l, r) = (index(left.row), index(right.row));
            left.class
                .cmp(&right.class)
                .then_with(|| left.prefix.cmp(&right.prefix))
                .then_with(|| {
                    let decided = usize::from(left.exact && right.exact);
                    let rest = order.directions.iter().enumerate().skip(decided);
                    rest.map(|(key, direction)| {
                        direction.compare(self.key(order, l, key), self.key(order, r, key))
                    })
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
                })
                .then_with(|| left.row.cmp(&right.row))
        });
        Ok(entries.into_iter().map(|entry| entry.row).collect())
    }

    /// Keeps only the given rows, in the given order.
    pub(crate) fn keep(&mut self, rows: &[u32], order: &RowOrder) -> Result<()> {
        let mut kept = Vec::with_capacity(rows.len() * self.width);
        let mut keys = Vec::new();
        for row in rows {
            let row = index(*row);
            kept.extend(self.take_row(row));
            if let Keys::Computed(expressions) = &order.keys {
                let width = expressions.len();
                keys.extend(
                    self.keys[row * width..(row + 1) * width].iter_mut().map(std::mem::take),
                );
            }
        }
        self.values = kept;
        self.keys = keys;
        self.rows = rows.len();
        self.memory.clear();
        self.memory.grow(bytes_of(&self.values) + bytes_of(&self.keys))
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.values = Vec::new();
        self.keys = Vec::new();
        self.rows = 0;
        self.memory.clear();
    }
}

/// A row while it is sorted.
struct Entry {
    prefix: u64,
    row: u32,
    /// Where nulls go: before (0) or behind (2) the others.
    class: u8,
    /// Whether equal prefixes mean equal values.
    exact: bool,
}

impl Entry {
    fn new(row: u32, key: &Datum, direction: Direction) -> Self {
        if key.is_null() {
            return Self {
                prefix: 0,
                row,
                class: if direction.nulls_first() { 0 } else { 2 },
                exact: true,
            };
        }
        let (prefix, exact) = prefix(key);
        Self { prefix: if direction.descending() { !prefix } else { prefix }, row, class: 1, exact }
    }
}

/// Eight bytes ordered as the value is, and whether they are all of it.
fn prefix(value: &Datum) -> (u64, bool) {
    match value {
        Datum::Int2(value) => (signed(i64::from(*value)), true),
        Datum::Int4(value) | Datum::Date(value) => (signed(i64::from(*value)), true),
        Datum::Int8(value)
        | Datum::Time(value)
        | Datum::Timestamp(value)
        | Datum::TimestampTz(value) => (signed(*value), true),
        Datum::Oid(value) => (u64::from(*value), true),
        Datum::Bool(value) => (u64::from(*value), true),
        Datum::Uuid(value) => (value.as_u64_pair().0, false),
        Datum::Text(value) => {
            let bytes = value.as_bytes();
            let mut first = [0; 8];
            let length = bytes.len().min(8);
            first[..length].copy_from_slice(&bytes[..length]);
            (u64::from_be_bytes(first), false)
        }
        _ => (0, false),
    }
}

fn signed(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}
