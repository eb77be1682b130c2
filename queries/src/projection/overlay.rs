//! Changes that are not written yet, above rows that are: what an open
//! transaction sees of its own.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::key::Key;
use super::rows::{Direction, Range, ReadRows, Result, Rows, Visitor};

/// Where a value is among the values.
type Span = std::ops::Range<usize>;

/// Changes by key. Values stand one after the other in one buffer, so a change costs no allocation of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    changes: BTreeMap<Key, Option<Span>>, // None: the row is removed.
    values: Vec<u8>,
}

impl Pending {
    /// Roughly the memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        const CHANGE_BYTES: usize = 128;
        self.values.len() + self.changes.len() * CHANGE_BYTES
    }

    /// The number of changes.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.changes.clear();
        self.values.clear();
    }

    /// The changes in key order; no value is a removal.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, Option<&[u8]>)> {
        self.changes.iter().map(|(key, span)| (key, self.value(span.as_ref())))
    }

    /// The changes within a range in key order; no value is a removal.
    pub(crate) fn range(&self, range: &Range) -> impl Iterator<Item = (&Key, Option<&[u8]>)> {
        let changes = self.changes.range::<[u8], _>(range.bounds());
        changes.map(|(key, span)| (key, self.value(span.as_ref())))
    }

    pub(crate) fn put(&mut self, key: Key, value: &[u8]) {
        match self.changes.get(&key) {
            // Counters and versions are written over and over: in place.
            Some(Some(span)) if span.len() == value.len() => {
                self.values[span.clone()].copy_from_slice(value);
            }
            Some(_) | None => {
                let start = self.values.len();
                self.values.extend_from_slice(value);
                self.changes.insert(key, Some(start..self.values.len()));
            }
        }
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.changes.insert(key, None);
    }

    fn value(&self, span: Option<&Span>) -> Option<&[u8]> {
        span.map(|span| &self.values[span.clone()])
    }

    /// Visits the range as `base` shows it with the changes made.
    pub(crate) fn visit_above<B: ReadRows>(
        &self,
        base: &B,
        range: &Range,
        direction: Direction,
        visitor: &mut Visitor<'_>,
    ) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mut forward = self.changes.range::<[u8], _>(range.bounds());
        let mut backward = forward.clone().rev();
        let changes: &mut dyn Iterator<Item = (&Key, &Option<Span>)> = match direction {
            Direction::Forward => &mut forward,
            Direction::Backward => &mut backward,
        };
        let mut changes = changes.peekable();
        let mut stopped = false;
        base.visit(range, direction, &mut |key, value| {
            // The changes that come before this row of the base, and the one of this very row.
            while let Some((changed, span)) = changes.next_if(|(changed, _)| {
                if direction == Direction::Forward {
                    ***changed <= *key
                } else {
                    ***changed >= *key
                }
            }) {
                let replaces = **changed == *key;
                if let Some(value) = self.value(span.as_ref())
                    && visitor(changed, value)?.is_break()
                {
                    stopped = true;
                    return Ok(ControlFlow::Break(()));
                }
                if replaces {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            let flow = visitor(key, value)?;
            stopped = flow.is_break();
            Ok(flow)
        })?;
        if stopped {
            return Ok(());
        }
        for (key, span) in changes {
            if let Some(value) = self.value(span.as_ref())
                && visitor(key, value)?.is_break()
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads a row as `base` shows it with the changes made.
    pub(crate) fn get_above<B: ReadRows, T>(
        &self,
        base: &B,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.changes.get(key) {
            Some(span) => self.value(span.as_ref()).map(read).transpose(),
            None => base.get(key, read),
        }
    }
}

/// Rows with pending changes above them.
#[derive(Debug)]
pub(crate) struct Overlay<B> {
    /// What is below; it does not change.
    pub(crate) base: B,
    /// The changes.
    pub(crate) pending: Pending,
}

impl<B: ReadRows> Overlay<B> {
    pub(crate) fn new(base: B) -> Self {
        Self { base, pending: Pending::default() }
    }
}

impl<B: ReadRows> ReadRows for Overlay<B> {
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        self.pending.get_above(&self.base, key, read)
    }

    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()> {
        self.pending.visit_above(&self.base, range, direction, visitor)
    }
}

impl<B: ReadRows> Rows for Overlay<B> {
    fn put(&mut self, key: Key, value: &[u8]) {
        self.pending.put(key, value);
    }

    fn delete(&mut self, key: Key) {
        self.pending.delete(key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rows::MemoryRows;
    use super::*;

    fn key(byte: u8) -> Key {
        Key::from(&[byte][..])
    }

    fn read(
        rows: &impl ReadRows,
        range: &Range,
        direction: Direction,
        rows_max: usize,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut read = Vec::new();
        rows.visit(range, direction, &mut |key, value| {
            read.push((key.to_vec(), value.to_vec()));
            Ok(if read.len() == rows_max {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .unwrap();
        read
    }

    proptest! {
        #[test]
        fn changes_read_as_if_they_were_written(
            base in prop::collection::vec((0u8..24, 0u8..4), 0..20),
            changes in prop::collection::vec((0u8..24, prop::option::of(prop::collection::vec(any::<u8>(), 0..2))), 0..20),
            from in 0u8..24,
            to in prop::option::of(0u8..24),
            rows_max in 1usize..9,
        ) {
            let base: MemoryRows = base.into_iter().map(|(at, value)| (key(at), vec![value])).collect();
            let mut written = base.clone();
            let mut overlay = Overlay::new(base);
            for (at, change) in changes {
                if let Some(value) = change {
                    written.put(key(at), &value);
                    overlay.put(key(at), &value);
                } else {
                    written.delete(key(at));
                    overlay.delete(key(at));
                }
            }
            let range = Range { from: key(from), to: to.map(key) };
            for direction in [Direction::Forward, Direction::Backward] {
                prop_assert_eq!(read(&overlay, &range, direction, rows_max), read(&written, &range, direction, rows_max));
            }
            for at in 0..24 {
                prop_assert_eq!(overlay.get(&key(at), |value| Ok(value.to_vec())).unwrap(), ReadRows::get(&written, &key(at), |value| Ok(value.to_vec())).unwrap());
            }
        }
    }
}
