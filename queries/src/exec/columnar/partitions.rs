//! Rows put in order for windows: partition by partition, and within each by keys.
//!
//! Where there are few partitions, their rows are told apart by hashing, counted, put into their places, and each partition
//! is sorted by itself by the rest of the keys: that is a fraction of sorting all rows by all keys. Where there are many,
//! or none, all rows are sorted.

use std::sync::Arc;

use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut;

use crate::column::Column;
use crate::error::Result;
use crate::exec::memory::Reservation;

use super::filter::place;
use super::flow::{FlowColumn, readers_for};
use super::groups::{Groups, KeyShape};
use super::keys::{self, Entry, KEY_BYTES_MAX, KEY_WORDS_MAX, KeyColumn};

/// The most partitions that are told apart by hashing.
const PARTITIONS_MAX: usize = 1 << 16;

/// The rows whose keys are made by one thread.
const ROWS: usize = 1 << 15;

/// By what rows are put in order.
#[derive(Clone)]
pub(super) struct Order {
    partition: Vec<KeyColumn>,
    shape: Option<KeyShape>,
    order: Vec<KeyColumn>,
}

/// Rows in order.
#[derive(Debug)]
pub(super) struct Ordered {
    /// The number of each row.
    pub(super) rows: Vec<u32>,
    /// The places where partitions begin, ascending; the first is zero if there are rows.
    pub(super) starts: Vec<u32>,
}

impl Order {
    /// That of a partition and an order; none if their keys are too long together.
    pub(super) fn new(
        columns: &[FlowColumn],
        partition: Vec<KeyColumn>,
        order: Vec<KeyColumn>,
    ) -> Option<Self> {
        if keys::width(&partition) + keys::width(&order) > KEY_BYTES_MAX {
            return None;
        }
        let of: Vec<_> = partition.iter().map(|key| (key.column, columns[key.column])).collect();
        let shape = if of.is_empty() { None } else { KeyShape::of(&of) };
        Some(Self { partition, shape, order })
    }

    /// The columns that it looks at.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.partition.iter().chain(&self.order).map(|key| key.column)
    }

    /// Puts rows in order, of which there are fewer than 2^32; none if the memory does not hold their keys.
    pub(super) fn sort(
        &self,
        columns: &[Arc<Column>],
        rows: usize,
        memory: &mut Reservation,
    ) -> Result<Option<Ordered>> {
        let pool = readers_for(u64::try_from(rows).unwrap_or(u64::MAX));
        // The numbers of partitions and of rows.
        if !memory.try_share(rows * 2 * size_of::<u32>()) {
            return Ok(None);
        }
        // Keys as they are made, and where they are sorted.
        let mut holds = |entry: usize| memory.try_share(rows * 2 * entry);
        if let Some(shape) = &self.shape {
            let partitions = match shape.words() {
                0 | 1 => Partitions::find::<1>(shape, columns, rows)?,
                2 => Partitions::find::<2>(shape, columns, rows)?,
                3 => Partitions::find::<3>(shape, columns, rows)?,
                _ => Partitions::find::<4>(shape, columns, rows)?,
            };
            if let Some(partitions) = partitions {
                let words = keys::width(&self.order).div_ceil(8).max(1);
                return Ok(holds(words * 8 + 8).then(|| match words {
                    1 => self.sort_partitions::<1>(&partitions, columns, pool),
                    2 => self.sort_partitions::<2>(&partitions, columns, pool),
                    3 => self.sort_partitions::<3>(&partitions, columns, pool),
                    _ => self.sort_partitions::<KEY_WORDS_MAX>(&partitions, columns, pool),
                }));
            }
        }
        let entry = size_of::<Entry<KEY_WORDS_MAX>>();
        Ok(holds(entry).then(|| self.sort_all(columns, rows, pool)))
    }

    fn sort_partitions<const W: usize>(
        &self,
        partitions: &Partitions,
        columns: &[Arc<Column>],
        pool: Option<&ThreadPool>,
    ) -> Ordered {
        let ranks = partitions.ranks(&self.partition, columns);
        let mut starts = vec![0_u32; ranks.len()];
        for number in &partitions.numbers {
            if let Some(next) = starts.get_mut(place(ranks[place(*number)]) + 1) {
                *next += 1;
            }
        }
        let mut before = 0;
        for start in &mut starts {
            before += *start;
            *start = before;
        }
        let mut next = starts.clone();
        let rows = partitions.numbers.len();
        let mut entries: Vec<Entry<W>> = vec![([0; W], 0); rows];
        let made = made::<W>(&self.order, columns, rows, pool);
        for (entry, number) in made.into_iter().flatten().zip(&partitions.numbers) {
            let next = &mut next[place(ranks[place(*number)])];
            entries[place(*next)] = entry;
            *next += 1;
        }
        sort_slices(&mut entries, &starts, pool);
        Ordered { rows: entries.into_iter().map(|(_, row)| row).collect(), starts }
    }

    fn sort_all(&self, columns: &[Arc<Column>], rows: usize, pool: Option<&ThreadPool>) -> Ordered {
        let keys: Vec<KeyColumn> = self.partition.iter().chain(&self.order).copied().collect();
        let made = made::<KEY_WORDS_MAX>(&keys, columns, rows, pool);
        let mut entries: Vec<_> = made.into_iter().flatten().collect();
        match pool {
            None => entries.sort_unstable(),
            Some(pool) => pool.install(|| entries.par_sort_unstable()),
        }
        let bytes = keys::width(&self.partition);
        let (whole, rest) = (bytes / 8, bytes % 8);
        let together = |left: &Entry<KEY_WORDS_MAX>, right: &Entry<KEY_WORDS_MAX>| {
            left.0[..whole] == right.0[..whole]
                && (rest == 0 || (left.0[whole] ^ right.0[whole]) >> (64 - 8 * rest) == 0)
        };
        let mut starts = Vec::new();
        for at in 0..entries.len() {
            if at == 0 || !together(&entries[at - 1], &entries[at]) {
                starts.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
        Ordered { rows: entries.into_iter().map(|(_, row)| row).collect(), starts }
    }
}

/// Which rows are of which partition.
struct Partitions {
    /// The partition of each row, numbered as they were found.
    numbers: Vec<u32>,
    /// The first row of each.
    first: Vec<u32>,
}

impl Partitions {
    /// Those of some rows; none if there are many.
    fn find<const K: usize>(
        shape: &KeyShape,
        columns: &[Arc<Column>],
        rows: usize,
    ) -> Result<Option<Self>> {
        let mut groups = Groups::<K>::new(shape.clone());
        let mut all = Vec::with_capacity(rows);
        let mut numbers = Vec::new();
        let count = u32::try_from(rows).unwrap_or(u32::MAX);
        for from in (0..count).step_by(ROWS) {
            let to = count.min(from.saturating_add(u32::try_from(ROWS).unwrap_or(u32::MAX)));
            let some: Vec<u32> = (from..to).collect();
            groups.find(columns, 0, &some, &mut numbers)?;
            all.append(&mut numbers);
            if groups.len() > PARTITIONS_MAX {
                return Ok(None);
            }
        }
        let count = u32::try_from(groups.len()).expect("groups are numbered so");
        let first = (0..count).map(|number| groups.seen(number).1).collect();
        Ok(Some(Self { numbers: all, first }))
    }

    /// The place of each partition in their order.
    fn ranks(&self, keys: &[KeyColumn], columns: &[Arc<Column>]) -> Vec<u32> {
        let first: Vec<Column> =
            columns
                .iter()
                .map(|column| {
                    if column.is_empty() {
                        Column::clone(column)
                    } else {
                        column.select(&self.first)
                    }
                })
                .collect();
        let columns: Vec<&Column> = first.iter().collect();
        let mut entries = keys::entries::<KEY_WORDS_MAX>(keys, &columns, 0..self.first.len());
        entries.sort_unstable();
        let mut ranks = vec![0; entries.len()];
        for (rank, (_, number)) in (0..).zip(&entries) {
            ranks[place(*number)] = rank;
        }
        ranks
    }
}

/// The keys of all rows, in parts.
fn made<const W: usize>(
    keys: &[KeyColumn],
    columns: &[Arc<Column>],
    rows: usize,
    pool: Option<&ThreadPool>,
) -> Vec<Vec<Entry<W>>> {
    let columns: Vec<&Column> = columns.iter().map(|column| &**column).collect();
    let parts: Vec<usize> = (0..rows).step_by(ROWS).collect();
    let part = |from: usize| keys::entries(keys, &columns, from..rows.min(from + ROWS));
    match pool {
        None => parts.into_iter().map(part).collect(),
        Some(pool) => pool.install(|| parts.into_par_iter().map(part).collect()),
    }
}

/// Sorts the slices that begin at some places.
fn sort_slices<const W: usize>(
    mut entries: &mut [Entry<W>],
    starts: &[u32],
    pool: Option<&ThreadPool>,
) {
    let mut slices = Vec::with_capacity(starts.len());
    for pair in starts.windows(2) {
        let (slice, rest) = entries.split_at_mut(place(pair[1] - pair[0]));
        slices.push(slice);
        entries = rest;
    }
    slices.push(entries);
    match pool {
        None => slices.into_iter().for_each(<[_]>::sort_unstable),
        Some(pool) => {
            pool.install(|| slices.into_par_iter().for_each(ParallelSliceMut::par_sort_unstable));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::column::ColumnKind;
    use crate::exec::memory::Budget;
    use crate::plan::Expr;
    use crate::types::{Datum, PgType};

    proptest! {
        #[test]
        fn partitions_are_sorted_as_if_all_rows_were(
            rows in prop::collection::vec((prop::option::of(-3..3i32), 0..4i64), 0..200),
        ) {
            let kinds = [(ColumnKind::Int4, true), (ColumnKind::Int8, false)];
            let columns = kinds.map(|(kind, nullable)| FlowColumn { kind, nullable });
            let key = |column: usize| {
                KeyColumn::of(&Expr::Column(column, PgType::Int4), None, &columns).unwrap()
            };
            let order = Order::new(&columns, vec![key(0)], vec![key(1)]).unwrap();
            let mut values = columns.map(|column| Column::with_capacity(column.kind, 0));
            for (group, value) in &rows {
                prop_assert!(values[0].push(&group.map_or(Datum::Null, Datum::Int4)));
                prop_assert!(values[1].push(&Datum::Int8(*value)));
            }
            let values = values.map(Arc::new);
            let mut memory = Reservation::new(&Budget::new(1 << 20));
            let by_partition = order.sort(&values, rows.len(), &mut memory).unwrap().unwrap();
            let order = Order { shape: None, ..order };
            let all = order.sort(&values, rows.len(), &mut memory).unwrap().unwrap();
            prop_assert_eq!(&by_partition.rows, &all.rows);
            prop_assert_eq!(&by_partition.starts, &all.starts);
            // Nulls stand together, behind all others.
            let mut expected: Vec<u32> = (0..u32::try_from(rows.len()).unwrap()).collect();
            expected.sort_by_key(|row| {
                let (group, value) = rows[place(*row)];
                (group.is_none(), group, value, *row)
            });
            prop_assert_eq!(by_partition.rows, expected);
        }
    }
}
