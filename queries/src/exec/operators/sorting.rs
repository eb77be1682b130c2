//! Rows gathered to be put in order.
//!
//! Most comparisons are decided by a few words made of the keys, so that their order as numbers is the keys' (as in
//! "normalized keys": Graefe, Implementing Sorting in Database Systems, ACM Computing Surveys 38, 2006); only where the
//! words do not hold all of the keys, ties look at the values.

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
        const ENTRY_BYTES: usize = size_of::<Entry>();
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
        if order.directions.is_empty() {
            return Ok((0..count).collect());
        }
        let entry =
            |row| Entry::new(row, &order.directions, |key| self.key(order, index(row), key));
        let mut entries: Vec<Entry> = (0..count).map(entry).collect();
        entries.sort_unstable_by(|left, right| {
            let by_words = left.words.cmp(&right.words);
            if by_words.is_ne() || (left.exact && right.exact) {
                return by_words.then_with(|| left.row.cmp(&right.row));
            }
            self.compare(order, index(left.row), index(right.row))
                .then_with(|| left.row.cmp(&right.row))
        });
        Ok(entries.into_iter().map(|entry| entry.row).collect())
    }

    /// Compares two rows by all their keys.
    fn compare(&self, order: &RowOrder, left: usize, right: usize) -> Ordering {
        for (key, direction) in order.directions.iter().enumerate() {
            let by_key = direction.compare(self.key(order, left, key), self.key(order, right, key));
            if by_key.is_ne() {
                return by_key;
            }
        }
        Ordering::Equal
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

/// The words that are made of a row's keys.
const WORDS: usize = 4;

/// A row while it is sorted.
struct Entry {
    words: [u64; WORDS],
    row: u32,
    /// Whether equal words mean equal keys.
    exact: bool,
}

impl Entry {
    fn new<'k>(row: u32, directions: &[Direction], key: impl Fn(usize) -> &'k Datum) -> Self {
        let mut bytes = KeyBytes { bytes: [0; WORDS * 8], used: 0 };
        let exact = directions
            .iter()
            .enumerate()
            .all(|(number, direction)| bytes.push_key(key(number), *direction));
        Self { words: bytes.words(), row, exact }
    }
}

/// Bytes ordered as keys are.
struct KeyBytes {
    bytes: [u8; WORDS * 8],
    used: usize,
}

impl KeyBytes {
    /// Appends a key; false if not all of it is in the bytes now.
    fn push_key(&mut self, value: &Datum, direction: Direction) -> bool {
        let start = self.used;
        if value.is_null() {
            // Before or behind the others, whichever way these are ordered.
            return self.push(&[if direction.nulls_first() { 0 } else { 2 }]);
        }
        if !self.push(&[1]) {
            return false;
        }
        let whole = self.push_value(value);
        if direction.descending() {
            for byte in &mut self.bytes[start + 1..self.used] {
                *byte = !*byte;
            }
        }
        whole
    }

    fn push_value(&mut self, value: &Datum) -> bool {
        match value {
            Datum::Bool(value) => self.push(&[u8::from(*value)]),
            Datum::Int2(value) => self.push(&signed(i64::from(*value))),
            Datum::Int4(value) => self.push(&signed(i64::from(*value))),
            Datum::Date(value) => self.push(&(value.cast_unsigned() ^ (1 << 31)).to_be_bytes()),
            Datum::Int8(value)
            | Datum::Time(value)
            | Datum::Timestamp(value)
            | Datum::TimestampTz(value) => self.push(&signed(*value)),
            Datum::Oid(value) => self.push(&value.to_be_bytes()),
            Datum::Uuid(value) => self.push(value.as_bytes()),
            // A text has no zero byte, so what ends here is before what goes on.
            Datum::Text(value) => self.push(value.as_bytes()) && self.push(&[0]),
            _ => false,
        }
    }

    /// Appends bytes; false if only the first of them fit.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let room = self.bytes.len() - self.used;
        let taken = bytes.len().min(room);
        self.bytes[self.used..self.used + taken].copy_from_slice(&bytes[..taken]);
        self.used += taken;
        taken == bytes.len()
    }

    fn words(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(self.bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        words
    }
}

/// The bytes of a number, ordered as it is.
fn signed(value: i64) -> [u8; 8] {
    (value.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exec::key::compare_rows;

    fn datum() -> impl Strategy<Value = [Datum; 4]> {
        let null =
            |datum: BoxedStrategy<Datum>| prop_oneof![1 => Just(Datum::Null), 4 => datum].boxed();
        let text = null("[a-c]{0,3}|[a-b]{20,40}".prop_map(Datum::text).boxed());
        let date = null((-3..3i32).prop_map(Datum::Date).boxed());
        let time = null(any::<i64>().prop_map(Datum::TimestampTz).boxed());
        let float = null((-2..2i8).prop_map(|it| Datum::Float8(f64::from(it))).boxed());
        [text, date, time, float]
    }

    fn direction() -> impl Strategy<Value = Direction> {
        (any::<bool>(), any::<bool>())
            .prop_map(|(descending, nulls_first)| Direction::of_parts(descending, nulls_first))
    }

    proptest! {
        #[test]
        fn words_are_ordered_as_keys_are(
            left in datum(),
            right in datum(),
            directions in prop::collection::vec(direction(), 4),
            order in Just([0usize, 1, 2, 3]).prop_shuffle(),
        ) {
            let left = order.map(|it| left[it].clone());
            let right = order.map(|it| right[it].clone());
            let expected = compare_rows(&directions, &left, &right);
            let l = Entry::new(0, &directions, |key| &left[key]);
            let r = Entry::new(1, &directions, |key| &right[key]);
            let words = l.words.cmp(&r.words);
            if words.is_ne() || (l.exact && r.exact) {
                prop_assert_eq!(words, expected);
            }
        }
    }
}
