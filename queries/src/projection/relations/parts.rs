//! A large table read in parts, on all cores.
//!
//! Reading a row costs far more than most operators spend on it, and a statement runs on one thread. So the table is
//! cut into parts by its keys, a few parts are read ahead by the threads of a pool that all statements share, and the
//! statement takes them in the order of their keys. What is in a part depends on nothing but the snapshot, so a
//! statement sees the same rows whoever reads them, in the same order, but for parts that turn out far larger than the
//! others: what is left of them comes later.
//!
//! Nothing here knows what rows are: reading one range is passed in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::ThreadPool;

use super::super::key::Key;
use super::super::row::corrupted;
use super::super::rows::{Direction, Range, Result};
use crate::types::Datum;

/// The rows that parts are meant to have.
const PART_ROWS: u64 = 4096;

/// The rows that are read of a part at once, should it have more: keys need not be spread evenly.
const PART_ROWS_MAX: usize = 8192;

/// The parts that one statement has read ahead at most. With [`PART_ROWS_MAX`] it bounds the memory.
const AHEAD_MAX: usize = 8;

/// The parts of a table at most: cuts are two bytes long.
const PARTS_MAX: u64 = 1 << 12;

/// Reads so many rows of a range; gives the last key if there may be more.
pub(super) type ReadRange =
    dyn Fn(&Range, usize, &mut Vec<Datum>) -> Result<Option<Key>> + Send + Sync;

/// The rows of a part, and what is left of it.
type Rows = Result<(Vec<Datum>, Option<Range>)>;

/// A table that is being read in parts.
pub(super) struct Parts {
    readers: &'static ThreadPool,
    read: Arc<ReadRange>,
    // In order; nobody reads them yet.
    rest: VecDeque<Range>,
    reading: VecDeque<Receiver<Rows>>,
    ahead: usize,
    rows_max: usize,
}

impl Parts {
    /// All of `range`, which begins with a table's byte and has about so many `rows`, read by `read`.
    pub(super) fn new(
        readers: &'static ThreadPool,
        range: Range,
        rows: u64,
        read: Arc<ReadRange>,
    ) -> Self {
        let ahead = (readers.current_num_threads() + 1).min(AHEAD_MAX);
        let rest = cut(range, (rows / PART_ROWS).clamp(1, PARTS_MAX));
        Self { readers, read, rest, reading: VecDeque::new(), ahead, rows_max: PART_ROWS_MAX }
    }

    /// Appends the rows of the next part; whether there may be more.
    pub(super) fn next(&mut self, out: &mut Vec<Datum>) -> Result<bool> {
        while self.reading.len() < self.ahead
            && let Some(range) = self.rest.pop_front()
        {
            self.begin(range);
        }
        let Some(first) = self.reading.pop_front() else { return Ok(false) };
        // The sender is gone without a word only if its thread has panicked.
        let rows = first.recv().map_err(|_| corrupted("a part of a table could not be read"))?;
        let (mut rows, left) = rows?;
        out.append(&mut rows);
        if let Some(left) = left {
            self.rest.push_front(left);
        }
        Ok(!self.reading.is_empty() || !self.rest.is_empty())
    }

    fn begin(&mut self, mut range: Range) {
        let (sender, receiver) = sync_channel(1);
        let (read, rows_max) = (Arc::clone(&self.read), self.rows_max);
        self.readers.spawn(move || {
            let mut rows = Vec::new();
            let last = read(&range, rows_max, &mut rows);
            drop(read);
            let left = last.map(|last| {
                last.map(|last| {
                    range.shrink(&last, Direction::Forward);
                    range
                })
            });
            // Nobody listens once the statement has ended.
            let _ = sender.send(left.map(|left| (rows, left)));
        });
        self.reading.push_back(receiver);
    }
}

impl Drop for Parts {
    /// Waits for what is being read: whoever reads holds the snapshot, and through it the store.
    fn drop(&mut self) {
        for part in self.reading.drain(..) {
            let _ = part.recv();
        }
    }
}

/// Cuts a table into so many ranges, as if what follows its first byte was spread evenly.
fn cut(range: Range, parts: u64) -> VecDeque<Range> {
    let table = range.from[0];
    let place = |part: u64| {
        let start = u16::try_from(part * (1 << 16) / parts).expect("below the number of parts");
        Key::table(table).bytes(&start.to_be_bytes())
    };
    let Range { mut from, to } = range;
    let mut ranges = VecDeque::new();
    for part in 1..parts {
        let next = place(part);
        if next <= from || to.as_ref().is_some_and(|to| next >= *to) {
            continue;
        }
        ranges
            .push_back(Range { from: std::mem::replace(&mut from, next.clone()), to: Some(next) });
    }
    ranges.push_back(Range { from, to });
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::readers::readers;

    fn key(place: u16) -> Key {
        Key::table(0x20).bytes(&place.to_be_bytes()).bytes(&[7])
    }

    fn read_from(places: Vec<u16>) -> Arc<ReadRange> {
        let keys: Vec<(Key, i64)> =
            places.into_iter().map(|place| (key(place), i64::from(place))).collect();
        Arc::new(move |range, rows_max, out| {
            let within =
                |key: &Key| *key >= range.from && range.to.as_ref().is_none_or(|to| key < to);
            let mut found = keys.iter().filter(|(key, _)| within(key));
            let mut last = None;
            for (key, value) in found.by_ref().take(rows_max) {
                out.push(Datum::Int8(*value));
                last = Some(key.clone());
            }
            Ok(last.filter(|_| found.next().is_some()))
        })
    }

    fn whole(read: Arc<ReadRange>) -> Parts {
        Parts::new(readers().unwrap(), Range::prefix(Key::table(0x20)), 1 << 16, read)
    }

    fn read_all(mut parts: Parts) -> Vec<i64> {
        let mut out = Vec::new();
        while parts.next(&mut out).unwrap() {}
        let number = |value: &Datum| match value {
            Datum::Int8(number) => *number,
            other => panic!("{other:?}"),
        };
        out.iter().map(number).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_row_is_read_once(
            places in prop::collection::btree_set(any::<u16>(), 0..200),
            begun in prop::option::of(any::<u16>()),
            rows in 0..100 * PART_ROWS,
            rows_max in 1usize..30,
        ) {
            let mut range = Range::prefix(Key::table(0x20));
            if let Some(begun) = begun {
                range.from = key(begun);
            }
            let from = begun.unwrap_or(0);
            let expected: Vec<i64> =
                places.iter().filter(|it| **it >= from).map(|it| i64::from(*it)).collect();
            let mut parts = Parts::new(readers().unwrap(), range, rows, read_from(places.into_iter().collect()));
            parts.rows_max = rows_max;
            let mut found = read_all(parts);
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn parts_come_in_order() {
        let places: Vec<u16> = (0..1000).map(|it| it * 60).collect();
        assert!(read_all(whole(read_from(places))).is_sorted());
    }

    #[test]
    fn a_part_that_cannot_be_read_is_an_error() {
        let broken = |_: &Range, _: usize, _: &mut Vec<Datum>| Err(corrupted("a row"));
        assert!(whole(Arc::new(broken)).next(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_part_whose_thread_panics_is_an_error() {
        let broken = |_: &Range, _: usize, _: &mut Vec<Datum>| panic!("a row");
        assert!(whole(Arc::new(broken)).next(&mut Vec::new()).is_err());
    }
}
