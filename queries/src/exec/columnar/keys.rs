//! Keys of fixed width whose order as numbers is that of the rows: partitions, orders, and where nulls stand in them.

use std::ops::Range;

use crate::column::{Column, ColumnKind, Values};
use crate::plan::{Expr, SortKey};

use super::flow::FlowColumn;

/// The bytes of the longest key.
pub(super) const KEY_BYTES_MAX: usize = 32;

/// The words of the longest key.
pub(super) const KEY_WORDS_MAX: usize = KEY_BYTES_MAX / 8;

/// A key as words, the most significant first, and the number of its row.
pub(super) type Entry<const W: usize> = ([u64; W], u32);

/// A column of the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyColumn {
    pub(super) column: usize,
    bytes: usize,
    /// Whether a byte before it says if it is null.
    nullable: bool,
    descending: bool,
    nulls_first: bool,
}

impl KeyColumn {
    /// The column that an expression is, in the order that it has in a sort; none if it is no plain column.
    pub(super) fn of(
        expression: &Expr,
        order: Option<&SortKey>,
        columns: &[FlowColumn],
    ) -> Option<Self> {
        let Expr::Column(column, _) = expression else { return None };
        let FlowColumn { kind, nullable } = *columns.get(*column)?;
        let bytes = match kind {
            ColumnKind::Int4 | ColumnKind::Date | ColumnKind::Code => 4,
            ColumnKind::Int8 | ColumnKind::TimestampTz => 8,
            ColumnKind::Uuid => 16,
            ColumnKind::Dictionary | ColumnKind::Any => return None,
        };
        Some(Self {
            column: *column,
            bytes,
            nullable,
            descending: order.is_some_and(|order| order.descending),
            nulls_first: order.is_some_and(|order| order.nulls_first),
        })
    }

    /// The bytes that it takes of the key.
    pub(super) fn width(&self) -> usize {
        self.bytes + usize::from(self.nullable)
    }

    /// Puts the values that a column has in some rows into the keys, from a byte on.
    fn put(
        &self,
        column: &Column,
        rows: Range<usize>,
        keys: &mut [[u8; KEY_BYTES_MAX]],
        mut at: usize,
    ) {
        let first = rows.start;
        if self.nullable {
            let null = if self.nulls_first { 0 } else { 2 };
            for (place, key) in keys.iter_mut().enumerate() {
                key[at] = if column.is_null(first + place) { null } else { 1 };
            }
            at += 1;
        }
        let flip = if self.descending { u128::MAX } else { 0 };
        let mut put = |place: usize, bytes: &[u8; 16]| {
            // Whatever stands at the place of a null, all nulls are equal.
            if !column.is_null(first + place) {
                keys[place][at..at + self.bytes].copy_from_slice(&bytes[16 - self.bytes..]);
            }
        };
        match &column.values {
            Values::Int4(values) => values[rows].iter().enumerate().for_each(|(place, value)| {
                put(place, &(u128::from(value.cast_unsigned() ^ 1 << 31) ^ flip).to_be_bytes());
            }),
            Values::Int8(values) => values[rows].iter().enumerate().for_each(|(place, value)| {
                put(place, &(u128::from(value.cast_unsigned() ^ 1 << 63) ^ flip).to_be_bytes());
            }),
            Values::Uuid(values) => values[rows].iter().enumerate().for_each(|(place, value)| {
                put(place, &(*value ^ flip).to_be_bytes());
            }),
            Values::Code(values) => values[rows].iter().enumerate().for_each(|(place, value)| {
                put(place, &(u128::from(*value) ^ flip).to_be_bytes());
            }),
            // `of` has none of these.
            Values::Placed(..) => {}
        }
    }
}

/// The bytes of keys together.
pub(super) fn width(keys: &[KeyColumn]) -> usize {
    keys.iter().map(KeyColumn::width).sum()
}

/// The keys of some rows of columns, with the rows' numbers, of which there are no more than 32 bits tell apart. A key has
/// so many words, and no more bytes than they have.
pub(super) fn entries<const W: usize>(
    keys: &[KeyColumn],
    columns: &[&Column],
    rows: Range<usize>,
) -> Vec<Entry<W>> {
    /// The rows whose keys are made together, of which the bytes stay in the cache.
    const ROWS: usize = 256;
    let mut entries = Vec::with_capacity(rows.len());
    let mut first = rows.start;
    while first < rows.end {
        let end = rows.end.min(first + ROWS);
        let mut bytes = [[0; KEY_BYTES_MAX]; ROWS];
        let bytes = &mut bytes[..end - first];
        let mut at = 0;
        for key in keys {
            key.put(columns[key.column], first..end, bytes, at);
            at += key.width();
        }
        let numbers = u32::try_from(first).unwrap_or(u32::MAX)..;
        entries.extend(bytes.iter().map(words).zip(numbers));
        first = end;
    }
    entries
}

fn words<const W: usize>(key: &[u8; KEY_BYTES_MAX]) -> [u64; W] {
    let mut words = [0; W];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}
