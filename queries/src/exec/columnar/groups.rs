//! Groups of rows by columns of fixed width: a key is a few words, so that hashing and comparing it needs no call.

use hashbrown::HashTable;
use uuid::Uuid;

use crate::column::{Column, ColumnBatch, ColumnKind, Values, code_text};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;

use super::filter::place;

/// The words of the longest key.
pub(super) const KEY_WORDS_MAX: usize = 4;

/// The bytes of a group beside its key: its place in the table and when it was first seen.
const ENTRY_BYTES: usize = 24;

/// Which columns make up a key, and where they are in it.
#[derive(Clone, Debug)]
pub(super) struct KeyShape {
    /// Each column, its kind, and the first of its halves of words.
    columns: Vec<(usize, ColumnKind, usize)>,
    /// The half that says which columns are null, one bit each, if any may be.
    nulls: Option<usize>,
    halves: usize,
}

impl KeyShape {
    /// The shape of a key; none if it is too long. Columns come with their kind and whether they may be null.
    pub(super) fn of(columns: &[(usize, ColumnKind, bool)]) -> Option<Self> {
        let mut halves = 0;
        let mut placed = Vec::with_capacity(columns.len());
        for (column, kind, _) in columns {
            placed.push((*column, *kind, halves));
            halves += match kind {
                ColumnKind::Int4 | ColumnKind::Date | ColumnKind::Code => 1,
                ColumnKind::Int8 | ColumnKind::TimestampTz => 2,
                ColumnKind::Uuid => 4,
            };
        }
        let nulls = columns.iter().any(|(.., nullable)| *nullable).then_some(halves);
        halves += usize::from(nulls.is_some());
        (halves <= 2 * KEY_WORDS_MAX).then_some(Self { columns: placed, nulls, halves })
    }

    /// The words of a key.
    pub(super) fn words(&self) -> usize {
        self.halves.div_ceil(2)
    }

    /// Appends the keys of some rows of a batch.
    fn keys<const K: usize>(&self, batch: &ColumnBatch, rows: &[u32], keys: &mut Vec<[u64; K]>) {
        keys.clear();
        keys.resize(rows.len(), [0; K]);
        for (bit, (column, _, half)) in self.columns.iter().enumerate() {
            let column = &batch.columns[*column];
            put_values(column, rows, *half, keys);
            let (Some(nulls), Some(flags)) = (&column.nulls, self.nulls) else { continue };
            for (key, row) in keys.iter_mut().zip(rows) {
                if nulls[place(*row)] {
                    // Whatever stands at the place of a null, it is the same key.
                    clear(key, *half, width(column));
                    put(key, flags, 1 << bit);
                }
            }
        }
    }

    /// Appends the values of a key.
    fn values<const K: usize>(&self, key: &[u64; K], out: &mut Vec<Datum>) {
        let half =
            |half: usize| u32::try_from(key[half / 2] >> (32 * (half % 2)) & MASK).unwrap_or(0);
        let two = |at: usize| u64::from(half(at)) | u64::from(half(at + 1)) << 32;
        for (bit, (_, kind, at)) in self.columns.iter().enumerate() {
            if self.nulls.is_some_and(|flags| half(flags) >> bit & 1 == 1) {
                out.push(Datum::Null);
                continue;
            }
            out.push(match kind {
                ColumnKind::Int4 => Datum::Int4(half(*at).cast_signed()),
                ColumnKind::Date => Datum::Date(half(*at).cast_signed()),
                ColumnKind::Code => code_text(half(*at)),
                ColumnKind::Int8 => Datum::Int8(two(*at).cast_signed()),
                ColumnKind::TimestampTz => Datum::TimestampTz(two(*at).cast_signed()),
                ColumnKind::Uuid => Datum::Uuid(Uuid::from_u64_pair(two(at + 2), two(*at))),
            });
        }
    }
}

const MASK: u64 = 0xFFFF_FFFF;

/// The halves of a word that a column's values take.
fn width(column: &Column) -> usize {
    match column.values {
        Values::Int4(_) | Values::Code(_) => 1,
        Values::Int8(_) => 2,
        Values::Uuid(_) => 4,
    }
}

fn put_values<const K: usize>(column: &Column, rows: &[u32], half: usize, keys: &mut [[u64; K]]) {
    match &column.values {
        Values::Int4(values) => {
            for (key, row) in keys.iter_mut().zip(rows) {
                put(key, half, values[place(*row)].cast_unsigned());
            }
        }
        Values::Code(values) => {
            for (key, row) in keys.iter_mut().zip(rows) {
                put(key, half, values[place(*row)]);
            }
        }
        Values::Int8(values) => {
            for (key, row) in keys.iter_mut().zip(rows) {
                put_two(key, half, values[place(*row)].cast_unsigned());
            }
        }
        Values::Uuid(values) => {
            for (key, row) in keys.iter_mut().zip(rows) {
                let (high, low) = Uuid::from_u128(values[place(*row)]).as_u64_pair();
                put_two(key, half, low);
                put_two(key, half + 2, high);
            }
        }
    }
}

#[inline]
fn put<const K: usize>(key: &mut [u64; K], half: usize, value: u32) {
    key[half / 2] |= u64::from(value) << (32 * (half % 2));
}

#[inline]
fn put_two<const K: usize>(key: &mut [u64; K], half: usize, value: u64) {
    if half.is_multiple_of(2) {
        key[half / 2] |= value;
    } else {
        key[half / 2] |= value << 32;
        key[half / 2 + 1] |= value >> 32;
    }
}

fn clear<const K: usize>(key: &mut [u64; K], half: usize, width: usize) {
    for half in half..half + width {
        key[half / 2] &= !(MASK << (32 * (half % 2)));
    }
}

/// Groups that were seen, numbered in the order in which they were.
#[derive(Debug)]
pub(super) struct Groups<const K: usize> {
    shape: KeyShape,
    /// The numbers of the groups, each with a part of its key's hash: growing and most misses do not look at keys.
    table: HashTable<(u32, u32)>,
    keys: Vec<[u64; K]>,
    /// Where each was first seen: groups come out in this order, whoever worked on what.
    first: Vec<(u128, u32)>,
    rows: Vec<[u64; K]>,
}

impl<const K: usize> Groups<K> {
    /// No groups yet.
    pub(super) fn new(shape: KeyShape) -> Self {
        let (keys, first, rows) = (Vec::new(), Vec::new(), Vec::new());
        Self { shape, table: HashTable::new(), keys, first, rows }
    }

    /// The number of groups.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Roughly the bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.len() * (ENTRY_BYTES + size_of::<[u64; K]>() + size_of::<(u128, u32)>())
    }

    /// Finds the groups of some rows of a batch that begins at `from`, in their order; new ones are made.
    pub(super) fn find(
        &mut self,
        batch: &ColumnBatch,
        from: u128,
        rows: &[u32],
        numbers: &mut Vec<u32>,
    ) -> Result<()> {
        let mut keys = std::mem::take(&mut self.rows);
        self.shape.keys(batch, rows, &mut keys);
        numbers.clear();
        numbers.reserve(rows.len());
        let mut last = None;
        for (key, row) in keys.iter().zip(rows) {
            // Rows that stand together are often of one group.
            let number = match last {
                Some((known, number)) if known == key => number,
                _ => self.number(key, (from, *row))?,
            };
            last = Some((key, number));
            numbers.push(number);
        }
        self.rows = keys;
        Ok(())
    }

    /// Takes in the groups of others, and says which of these each of them is.
    pub(super) fn merge(&mut self, other: &Self) -> Result<Vec<u32>> {
        let mut numbers = Vec::with_capacity(other.len());
        for (key, first) in other.keys.iter().zip(&other.first) {
            let number = self.number(key, *first)?;
            let seen = &mut self.first[place(number)];
            *seen = (*seen).min(*first);
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// The numbers of the groups in the order in which they come out.
    pub(super) fn ordered(&self) -> Vec<u32> {
        let count = u32::try_from(self.len()).expect("groups are numbered so");
        let mut numbers: Vec<u32> = (0..count).collect();
        // Long runs are in order already: those of each reader.
        numbers.sort_by_key(|number| self.first[place(*number)]);
        numbers
    }

    /// Appends the values of a group's key.
    pub(super) fn values(&self, number: u32, out: &mut Vec<Datum>) {
        self.shape.values(&self.keys[place(number)], out);
    }

    #[inline]
    fn number(&mut self, key: &[u64; K], first: (u128, u32)) -> Result<u32> {
        let (hash, keys) = (hash(key), &self.keys);
        let found = |it: &(u32, u32)| it.0 == hash && keys[place(it.1)] == *key;
        if let Some((_, number)) = self.table.find(spread(hash), found) {
            return Ok(*number);
        }
        let number = u32::try_from(self.keys.len()).map_err(|_| {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many groups in one statement")
        })?;
        self.table.insert_unique(spread(hash), (hash, number), |(hash, _)| spread(*hash));
        self.keys.push(*key);
        self.first.push(first);
        Ok(number)
    }
}

/// The half of a key's hash that all words have a part in: the upper one, as it is made by multiplying (as in `FxHash`).
#[inline]
fn hash<const K: usize>(key: &[u64; K]) -> u32 {
    const FACTOR: u64 = 0xF135_7AEA_2E62_A9C5;
    let hash = key.iter().fold(0_u64, |hash, word| hash.wrapping_add(*word).wrapping_mul(FACTOR));
    u32::try_from((hash ^ hash >> 29).wrapping_mul(FACTOR) >> 32).unwrap_or_default()
}

/// That as a table wants it, which looks at the first and the last bits.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn shown(values: &[Datum]) -> String {
        format!("{values:?}")
    }

    fn batch(rows: &[(Option<i64>, String, Option<u128>, i32)]) -> ColumnBatch {
        let kinds = [ColumnKind::TimestampTz, ColumnKind::Code, ColumnKind::Uuid, ColumnKind::Date];
        let mut columns = kinds.map(|kind| Column::with_capacity(kind, rows.len()));
        for (time, code, id, date) in rows {
            assert!(columns[0].push(&time.map_or(Datum::Null, Datum::TimestampTz)));
            assert!(columns[1].push(&Datum::text(code)));
            let id = id.map_or(Datum::Null, |id| Datum::Uuid(Uuid::from_u128(id)));
            assert!(columns[2].push(&id));
            assert!(columns[3].push(&Datum::Date(*date)));
        }
        let keys = Arc::new(Column::with_capacity(ColumnKind::Uuid, 0));
        ColumnBatch { keys, columns: columns.map(Arc::new).into(), rows: rows.len() }
    }

    proptest! {
        #[test]
        fn a_group_is_its_values(
            rows in prop::collection::vec(
                (prop::option::of(-2..2i64), "[A-C]{0,4}", prop::option::of(any::<u128>().prop_map(|it| it << 127 | it & 1)), -1..2i32),
                1..60,
            ),
            order in Just([0usize, 1, 2, 3]).prop_shuffle(),
            cut in any::<prop::sample::Index>(),
        ) {
            let kinds = [
                (0, ColumnKind::TimestampTz, true),
                (1, ColumnKind::Code, false),
                (2, ColumnKind::Uuid, true),
                (3, ColumnKind::Date, false),
            ];
            // All four are too long together.
            prop_assert!(KeyShape::of(&kinds).is_none());
            let columns: Vec<_> = order.iter().filter(|it| **it != order[3]).map(|it| kinds[*it]).collect();
            let shape = KeyShape::of(&columns).unwrap();
            prop_assert!(shape.words() <= 4);
            let cut = cut.index(rows.len());
            let mut both = Vec::new();
            for (from, part) in [(7, &rows[..cut]), (3, &rows[cut..])] {
                let mut groups = Groups::<4>::new(shape.clone());
                let batch = batch(part);
                let all: Vec<u32> = (0..u32::try_from(part.len()).unwrap()).collect();
                let mut numbers = Vec::new();
                groups.find(&batch, from, &all, &mut numbers).unwrap();
                for (row, number) in numbers.iter().enumerate() {
                    let mut values = Vec::new();
                    groups.values(*number, &mut values);
                    let expected: Vec<Datum> =
                        columns.iter().map(|(column, ..)| batch.columns[*column].datum(row)).collect();
                    prop_assert_eq!(shown(&values), shown(&expected));
                }
                both.push(groups);
            }
            let second = both.pop().unwrap();
            let mut first = both.pop().unwrap();
            let numbers = first.merge(&second).unwrap();
            for (own, number) in numbers.iter().enumerate() {
                let (mut left, mut right) = (Vec::new(), Vec::new());
                first.values(*number, &mut left);
                second.values(u32::try_from(own).unwrap(), &mut right);
                prop_assert_eq!(shown(&left), shown(&right));
            }
            // What was seen at smaller keys comes first, and nothing twice.
            let mut texts: Vec<String> = first.ordered().into_iter().map(|number| {
                let mut values = Vec::new();
                first.values(number, &mut values);
                shown(&values)
            }).collect();
            let later = batch(&rows[cut..]);
            if later.rows > 0 {
                let expected: Vec<Datum> =
                    columns.iter().map(|(column, ..)| later.columns[*column].datum(0)).collect();
                prop_assert_eq!(&texts[0], &shown(&expected));
            }
            let count = texts.len();
            texts.sort();
            texts.dedup();
            prop_assert_eq!(texts.len(), count);
        }
    }
}
