//! Groups of rows by columns of fixed width: a key is a few words, so that hashing and comparing it needs no call.

use std::sync::Arc;

use hashbrown::HashTable;
use uuid::Uuid;

use crate::column::{Column, ColumnKind, NO_ROW, Values, code_text};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;

use super::filter::place;
use super::flow::FlowColumn;

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
    /// The shape of a key of some columns, each with its number; none if it is too long or has values of any type.
    pub(super) fn of(columns: &[(usize, FlowColumn)]) -> Option<Self> {
        let mut halves = 0;
        let mut placed = Vec::with_capacity(columns.len());
        for (column, FlowColumn { kind, .. }) in columns {
            placed.push((*column, *kind, halves));
            halves += match kind {
                ColumnKind::Int4 | ColumnKind::Date | ColumnKind::Code | ColumnKind::Dictionary => {
                    1
                }
                ColumnKind::Int8 | ColumnKind::TimestampTz => 2,
                ColumnKind::Uuid => 4,
                ColumnKind::Any => return None,
            };
        }
        let nulls = columns.iter().any(|(_, column)| column.nullable).then_some(halves);
        halves += usize::from(nulls.is_some());
        (halves <= 2 * KEY_WORDS_MAX).then_some(Self { columns: placed, nulls, halves })
    }

    /// The words of a key.
    pub(super) fn words(&self) -> usize {
        self.halves.div_ceil(2)
    }

    /// The columns of the key.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns.iter().map(|(column, ..)| *column)
    }

    /// Appends the keys of some rows.
    fn keys<const K: usize>(&self, of: &[Arc<Column>], rows: &[u32], keys: &mut Vec<[u64; K]>) {
        keys.clear();
        keys.resize(rows.len(), [0; K]);
        for (bit, (column, _, half)) in self.columns.iter().enumerate() {
            let column = &of[*column];
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

    /// The value of a column of a key, by its place among them; of a dictionary's if it is of one.
    fn value<const K: usize>(
        &self,
        key: &[u64; K],
        bit: usize,
        dictionary: Option<&Vec<Datum>>,
    ) -> Datum {
        let half =
            |half: usize| u32::try_from(key[half / 2] >> (32 * (half % 2)) & MASK).unwrap_or(0);
        let two = |at: usize| u64::from(half(at)) | u64::from(half(at + 1)) << 32;
        let (_, kind, at) = self.columns[bit];
        if self.nulls.is_some_and(|flags| half(flags) >> bit & 1 == 1) {
            return Datum::Null;
        }
        match kind {
            ColumnKind::Int4 => Datum::Int4(half(at).cast_signed()),
            ColumnKind::Date => Datum::Date(half(at).cast_signed()),
            ColumnKind::Code => code_text(half(at)),
            ColumnKind::Int8 => Datum::Int8(two(at).cast_signed()),
            ColumnKind::TimestampTz => Datum::TimestampTz(two(at).cast_signed()),
            ColumnKind::Uuid => Datum::Uuid(Uuid::from_u64_pair(two(at + 2), two(at))),
            ColumnKind::Dictionary | ColumnKind::Any => dictionary
                .and_then(|values| values.get(place(half(at))))
                .cloned()
                .unwrap_or_default(),
        }
    }
}

const MASK: u64 = 0xFFFF_FFFF;

/// The halves of a word that a column's values take.
fn width(column: &Column) -> usize {
    match column.values {
        Values::Int4(_) | Values::Code(_) | Values::Placed(..) => 1,
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
        Values::Code(values) | Values::Placed(values, _) => {
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
    first: Vec<Seen>,
    rows: Vec<[u64; K]>,
    /// The values of the key's columns that are places among them.
    dictionaries: Vec<Option<Arc<Vec<Datum>>>>,
}

/// The chunk and the row in which a group was first seen.
pub(super) type Seen = (u64, u32);

impl<const K: usize> Groups<K> {
    /// No groups yet.
    pub(super) fn new(shape: KeyShape) -> Self {
        let dictionaries = vec![None; shape.columns.len()];
        let (keys, first, rows) = (Vec::new(), Vec::new(), Vec::new());
        Self { shape, table: HashTable::new(), keys, first, rows, dictionaries }
    }

    /// Makes room for more of them.
    pub(super) fn reserve(&mut self, groups: usize) {
        self.table.reserve(groups, |(hash, _)| spread(*hash));
        self.keys.reserve(groups);
        self.first.reserve(groups);
    }

    /// Forgets all, but keeps the room.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.keys.clear();
        self.first.clear();
    }

    /// The number of groups.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Roughly the bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.len() * (ENTRY_BYTES + size_of::<[u64; K]>() + size_of::<Seen>())
    }

    /// Finds the groups of some rows of a chunk, in their order; new ones are made.
    pub(super) fn find(
        &mut self,
        columns: &[Arc<Column>],
        chunk: u64,
        rows: &[u32],
        numbers: &mut Vec<u32>,
    ) -> Result<()> {
        self.know_dictionaries(columns);
        let mut keys = std::mem::take(&mut self.rows);
        self.shape.keys(columns, rows, &mut keys);
        numbers.clear();
        numbers.reserve(rows.len());
        let mut last = None;
        for (key, row) in keys.iter().zip(rows) {
            // Rows that stand together are often of one group.
            let number = match last {
                Some((known, number)) if known == key => number,
                _ => self.number(key, (chunk, *row))?,
            };
            last = Some((key, number));
            numbers.push(number);
        }
        self.rows = keys;
        Ok(())
    }

    /// The groups of some rows whose key is that of `shape`, in their order, and [`NO_ROW`] for those that there are not.
    pub(super) fn look_up(
        &self,
        shape: &KeyShape,
        columns: &[Arc<Column>],
        rows: &[u32],
    ) -> Vec<u32> {
        let mut keys = Vec::new();
        shape.keys(columns, rows, &mut keys);
        let mut last = None;
        let number = |key| match last {
            Some((known, number)) if known == key => number,
            _ => {
                let number = self.known(&key, hash(&key)).unwrap_or(NO_ROW);
                last = Some((key, number));
                number
            }
        };
        keys.into_iter().map(number).collect()
    }

    fn know_dictionaries(&mut self, columns: &[Arc<Column>]) {
        for (known, (column, ..)) in self.dictionaries.iter_mut().zip(&self.shape.columns) {
            if let (None, Values::Placed(_, values)) = (&known, &columns[*column].values) {
                *known = Some(Arc::clone(values));
            }
        }
    }

    /// The part that a group belongs to, of as many as there are: a power of two.
    pub(super) fn part(&self, number: u32, parts: u32) -> u32 {
        // Neither the first nor the last bits, which tables look at.
        hash(&self.keys[place(number)]) >> 16 & (parts - 1)
    }

    /// Appends some groups of others without looking for them: these are to be merged with others again.
    pub(super) fn append(&mut self, other: &Self, numbers: &[u32]) {
        self.keys.extend(numbers.iter().map(|number| other.keys[place(*number)]));
        self.first.extend(numbers.iter().map(|number| other.first[place(*number)]));
        self.adopt_dictionaries(other);
    }

    fn adopt_dictionaries(&mut self, other: &Self) {
        for (own, other) in self.dictionaries.iter_mut().zip(&other.dictionaries) {
            if own.is_none() {
                own.clone_from(other);
            }
        }
    }

    /// Takes in the groups of others, and says which of these each of them is.
    pub(super) fn merge(&mut self, other: &Self) -> Result<Vec<u32>> {
        self.adopt_dictionaries(other);
        let mut numbers = Vec::with_capacity(other.len());
        for (key, first) in other.keys.iter().zip(&other.first) {
            let number = self.number(key, *first)?;
            let seen = &mut self.first[place(number)];
            *seen = (*seen).min(*first);
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// Where a group was first seen.
    pub(super) fn seen(&self, number: u32) -> Seen {
        self.first[place(number)]
    }

    /// The value of a column of a group's key, by its place among them.
    pub(super) fn value(&self, number: u32, column: usize) -> Datum {
        let dictionary = self.dictionaries[column].as_deref();
        self.shape.value(&self.keys[place(number)], column, dictionary)
    }

    #[inline]
    fn known(&self, key: &[u64; K], hash: u32) -> Option<u32> {
        let keys = &self.keys;
        let found = |it: &(u32, u32)| it.0 == hash && keys[place(it.1)] == *key;
        self.table.find(spread(hash), found).map(|(_, number)| *number)
    }

    #[inline]
    fn number(&mut self, key: &[u64; K], first: Seen) -> Result<u32> {
        let hash = hash(key);
        if let Some(number) = self.known(key, hash) {
            return Ok(number);
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

    fn chunk(rows: &[(Option<i64>, String, Option<u128>, i32)]) -> [Arc<Column>; 4] {
        let kinds = [ColumnKind::TimestampTz, ColumnKind::Code, ColumnKind::Uuid, ColumnKind::Date];
        let mut columns = kinds.map(|kind| Column::with_capacity(kind, rows.len()));
        for (time, code, id, date) in rows {
            assert!(columns[0].push(&time.map_or(Datum::Null, Datum::TimestampTz)));
            assert!(columns[1].push(&Datum::text(code)));
            let id = id.map_or(Datum::Null, |id| Datum::Uuid(Uuid::from_u128(id)));
            assert!(columns[2].push(&id));
            assert!(columns[3].push(&Datum::Date(*date)));
        }
        columns.map(Arc::new)
    }

    fn values(groups: &Groups<4>, number: u32) -> String {
        let columns = 0..groups.shape.columns.len();
        shown(&columns.map(|column| groups.value(number, column)).collect::<Vec<_>>())
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
            let kinds = kinds.map(|(place, kind, nullable)| (place, FlowColumn { kind, nullable }));
            // All four are too long together.
            prop_assert!(KeyShape::of(&kinds).is_none());
            let columns: Vec<_> = order.iter().filter(|it| **it != order[3]).map(|it| kinds[*it]).collect();
            let shape = KeyShape::of(&columns).unwrap();
            prop_assert!(shape.words() <= 4);
            let cut = cut.index(rows.len());
            let mut both = Vec::new();
            for (place, part) in [(7, &rows[..cut]), (3, &rows[cut..])] {
                let mut groups = Groups::<4>::new(shape.clone());
                let chunk = chunk(part);
                let all: Vec<u32> = (0..u32::try_from(part.len()).unwrap()).collect();
                let mut numbers = Vec::new();
                groups.find(&chunk, place, &all, &mut numbers).unwrap();
                for (row, number) in numbers.iter().enumerate() {
                    let expected: Vec<Datum> =
                        columns.iter().map(|(column, ..)| chunk[*column].datum(row)).collect();
                    prop_assert_eq!(values(&groups, *number), shown(&expected));
                }
                prop_assert_eq!(groups.look_up(&shape, &chunk, &all), numbers);
                both.push(groups);
            }
            let second = both.pop().unwrap();
            let mut first = both.pop().unwrap();
            let numbers = first.merge(&second).unwrap();
            for (own, number) in (0..).zip(&numbers) {
                prop_assert_eq!(values(&first, *number), values(&second, own));
            }
            // What is laid aside in parts is all that there was, each in the part that its key says.
            let all: Vec<u32> = (0..u32::try_from(first.len()).unwrap()).collect();
            let mut parts: [Groups<4>; 4] = std::array::from_fn(|_| Groups::new(shape.clone()));
            for (part, aside) in (0..).zip(&mut parts) {
                let of_part: Vec<u32> =
                    all.iter().copied().filter(|it| first.part(*it, 4) == part).collect();
                aside.append(&first, &of_part);
                let mut whole = Groups::<4>::new(shape.clone());
                prop_assert_eq!(whole.merge(aside).unwrap().len(), of_part.len());
                prop_assert_eq!(whole.len(), of_part.len());
            }
            prop_assert_eq!(parts.iter().map(Groups::len).sum::<usize>(), first.len());
            // What was seen in earlier chunks comes first, and nothing twice.
            let mut ordered = all;
            ordered.sort_by_key(|number| first.seen(*number));
            let mut texts: Vec<String> = ordered.iter().map(|it| values(&first, *it)).collect();
            let later = chunk(&rows[cut..]);
            if !later[0].is_empty() {
                let expected: Vec<Datum> =
                    columns.iter().map(|(column, ..)| later[*column].datum(0)).collect();
                prop_assert_eq!(&texts[0], &shown(&expected));
            }
            let count = texts.len();
            texts.sort();
            texts.dedup();
            prop_assert_eq!(texts.len(), count);
        }
    }
}
