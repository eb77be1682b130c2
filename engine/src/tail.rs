//! The newest rows of a shard's log, in memory: readable from the moment they were accepted, before they are
//! written, and read again while they are new, which is when followers and the applier want them.

use std::collections::VecDeque;

use crate::log_row::LogRow;
use crate::position::LogIndex;

/// The rows of a log from [`Tail::start`] on, without gaps. Rows that are not yet written always stay; written
/// ones leave from the front when the tail is over its bound.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The index of the first row, or of the next one if there is none.
    start: LogIndex,
    rows: VecDeque<LogRow>,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    /// An empty tail of a log whose next row has the index `next`.
    pub(crate) fn new(next: LogIndex, bytes_max: usize) -> Self {
        Self { start: next, rows: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// All rows with this index or a greater one are in memory.
    pub(crate) fn start(&self) -> LogIndex {
        self.start
    }

    pub(crate) fn push(&mut self, row: LogRow) {
        if self.rows.is_empty() {
            self.start = row.index;
        }
        assert_eq!(row.index.0, self.start.0 + self.len(), "a log has no gaps");
        self.bytes += row.bytes();
        self.rows.push_back(row);
    }

    /// Drops the rows from `from` on.
    pub(crate) fn truncate(&mut self, from: LogIndex) {
        while self.rows.back().is_some_and(|row| row.index >= from) {
            self.bytes -= self.rows.pop_back().expect("there is a last row").bytes();
        }
        if self.rows.is_empty() {
            self.start = self.start.min(from);
        }
    }

    /// Lets go of rows up to `written`, the oldest first, while the tail is over its bound.
    pub(crate) fn evict(&mut self, written: LogIndex) {
        while self.bytes > self.bytes_max
            && self.rows.front().is_some_and(|row| row.index <= written)
        {
            self.bytes -= self.rows.pop_front().expect("there is a first row").bytes();
            self.start.0 += 1;
        }
    }

    pub(crate) fn get(&self, index: LogIndex) -> Option<&LogRow> {
        let at = index.0.checked_sub(self.start.0)?;
        self.rows.get(usize::try_from(at).ok()?)
    }

    fn len(&self) -> u64 {
        u64::try_from(self.rows.len()).expect("fits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_row::{Leader, RowKind};

    fn row(index: u64) -> LogRow {
        LogRow {
            index: LogIndex(index),
            leader: Leader::default(),
            kind: RowKind::Blank,
            payload: bytes::Bytes::new(),
        }
    }

    #[test]
    fn rows_that_are_not_written_are_never_evicted() {
        let mut tail = Tail::new(LogIndex(5), 0);
        (5..10).for_each(|index| tail.push(row(index)));
        tail.evict(LogIndex(6));
        assert_eq!(tail.start(), LogIndex(7));
        assert_eq!(tail.get(LogIndex(6)), None);
        assert_eq!(tail.get(LogIndex(7)), Some(&row(7)));
        assert_eq!(tail.get(LogIndex(10)), None);
    }

    #[test]
    fn rows_that_replace_truncated_ones_are_read_from_the_tail() {
        let mut tail = Tail::new(LogIndex(5), 0);
        (5..10).for_each(|index| tail.push(row(index)));
        tail.evict(LogIndex(9));
        tail.truncate(LogIndex(3));
        assert_eq!(tail.start(), LogIndex(3));
        tail.push(row(3));
        assert_eq!(tail.get(LogIndex(3)), Some(&row(3)));
        assert_eq!(tail.bytes, row(3).bytes());
    }
}
