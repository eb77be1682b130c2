//! What one batch of the fold changes, above the rows that are stored.
//!
//! It is what [`Overlay`](super::overlay::Overlay) is for an open transaction, but most of what a fold writes is read
//! back by its key only, or not at all. So only the tables that the fold reads in ranges are kept in order; the rest
//! is put in order once, when it is written. Ranges of the other tables can be read, too, but not fast.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHashMap;

use super::key::{Key, table};
use super::merge::{OfRun, Source, Visit, merge};
use super::overlay::Pending;
use super::rows::{Direction, Range, ReadRows, Result, Rows, Visitor};
use super::run::Run;

/// The changes that an empty batch may have room for.
const ROOM_KEPT: usize = 4096;

/// The longest key of a row that is kept by its key.
const SHORT_BYTES_MAX: usize = 31;

/// How a change is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// In order, because the fold reads ranges of them.
    Ordered,
    /// By key.
    ByKey,
    /// As they come, because the fold does not read them.
    AsTheyCome,
}

fn kept_in(table: u8) -> Kept {
    match table {
        table::VERSIONS
        | table::AIRPORTS
        | table::AIRPLANES
        | table::ROTATIONS
        | table::LEGS
        | table::DESIGNATORS => Kept::ByKey,
        table::DEPARTURES
        | table::LEG_HISTORY
        | table::AIRPORT_HISTORY
        | table::AIRPLANE_HISTORY
        | table::ROTATION_HISTORY => Kept::AsTheyCome,
        _ => Kept::Ordered,
    }
}

fn kept(key: &[u8]) -> Kept {
    match kept_in(key[0]) {
        Kept::ByKey if key.len() > SHORT_BYTES_MAX => Kept::Ordered,
        kept => kept,
    }
}

/// A short key in a place of fixed size, with its length behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short([u8; SHORT_BYTES_MAX + 1]);

impl Short {
    fn new(key: &[u8]) -> Self {
        let mut bytes = [0; SHORT_BYTES_MAX + 1];
        bytes[..key.len()].copy_from_slice(key);
        bytes[SHORT_BYTES_MAX] = u8::try_from(key.len()).expect("it is short");
        Self(bytes)
    }

    fn bytes(&self) -> &[u8] {
        &self.0[..usize::from(self.0[SHORT_BYTES_MAX])]
    }
}

impl Hash for Short {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for eight in self.0.chunks_exact(8) {
            state.write_u64(u64::from_le_bytes(eight.try_into().expect("eight bytes")));
        }
    }
}

/// Where bytes are among those of the batch.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    length: u32,
}

/// Keys and values one after the other. Far less than 4 GB: a batch ends before.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn push(&mut self, bytes: &[u8]) -> Place {
        let number = |number: usize| u32::try_from(number).expect("a batch is below 4 GB");
        let place = Place { start: number(self.0.len()), length: number(bytes.len()) };
        self.0.extend_from_slice(bytes);
        place
    }

    fn range(place: Place) -> std::ops::Range<usize> {
        let number = |number: u32| usize::try_from(number).expect("usize has 32 bits or more");
        number(place.start)..number(place.start) + number(place.length)
    }

    fn at(&self, place: Place) -> &[u8] {
        &self.0[Self::range(place)]
    }
}

/// Changes of rows; no value is a removal.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    ordered: Pending,
    by_key: FxHashMap<Short, Known>,
    // Keys and values.
    as_they_come: Vec<(Place, Option<Place>)>,
    // Of those that are not in order.
    bytes: Bytes,
    // What is not read back, and is of none of the keys above.
    runs: Vec<Run>,
    made: Vec<Made>,
}

/// Changes that are made while they are written.
#[derive(Debug)]
struct Made {
    changes: usize,
    source: Box<dyn Source + Send + Sync>,
}

/// What is known of a row.
#[derive(Clone, Copy, Debug)]
struct Known {
    // None: there is no such row.
    value: Option<Place>,
    // Whether that is not what is stored.
    changed: bool,
}

/// A row's key and what it becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed<'a> {
    // The first bytes of the key as a number: mostly all that has to be compared.
    start: u64,
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

impl<'a> Changed<'a> {
    fn new(key: &'a [u8], value: Option<&'a [u8]>) -> Self {
        let mut start = [0; 8];
        let length = key.len().min(8);
        start[..length].copy_from_slice(&key[..length]);
        Self { start: u64::from_be_bytes(start), key, value }
    }

    fn place(&self) -> (u64, &'a [u8]) {
        (self.start, self.key)
    }
}

impl Batch {
    /// Forgets all changes, and gives most of the memory back.
    pub(crate) fn clear(&mut self) {
        if self.by_key.capacity().max(self.as_they_come.capacity()) > ROOM_KEPT {
            *self = Self::default();
            return;
        }
        self.ordered.clear();
        self.by_key.clear();
        self.as_they_come.clear();
        self.bytes.0.clear();
        self.runs.clear();
        self.made.clear();
    }

    /// Adds changes of rows that nothing else of the batch changes, and that are not read before it is written.
    pub(crate) fn push_run(&mut self, run: Run) {
        if !run.is_empty() {
            self.runs.push(run);
        }
    }

    /// Adds so many changes of such rows that are made only when the batch is written.
    pub(crate) fn push_made(&mut self, changes: usize, source: Box<dyn Source + Send + Sync>) {
        if changes > 0 {
            self.made.push(Made { changes, source });
        }
    }

    /// Roughly the number of changes.
    pub(crate) fn changes(&self) -> usize {
        let single = self.ordered.len() + self.by_key.len() + self.as_they_come.len();
        let runs: usize = self.runs.iter().map(Run::len).sum();
        single + runs + self.made.iter().map(|made| made.changes).sum::<usize>()
    }

    /// The keys of the rows of a table that change, if the fold reads it by key.
    pub(crate) fn keys_of(&self, table: u8) -> impl Iterator<Item = &[u8]> {
        let by_key = self.by_key.iter().filter(|(_, known)| known.changed);
        let by_key = by_key.map(|(key, _)| key.bytes());
        let is_of = move |key: &[u8]| key.first() == Some(&table);
        let runs = self.runs.iter().filter(move |run| run.get(0).is_some_and(|it| is_of(it.0)));
        let runs = runs.flat_map(|run| run.iter().map(|(key, _)| key));
        by_key.chain(runs).filter(move |key| is_of(key))
    }

    /// Visits all changes in key order, the last one of each row. Those that are made as they are written are gone then.
    pub(crate) fn drain<E>(&mut self, visit: &mut Visit<'_, E>) -> Result<(), E> {
        let made = std::mem::take(&mut self.made);
        let singly = self.sorted();
        let mut sources: Vec<Box<dyn Source + '_>> = Vec::with_capacity(1 + self.runs.len());
        sources.push(Box::new(singly.iter()));
        for run in &self.runs {
            sources.push(Box::new(OfRun::new(run)));
        }
        for Made { source, .. } in made {
            sources.push(source);
        }
        merge(sources, visit)
    }

    /// The changes of the tables that are kept in order; those of violations are.
    pub(crate) fn ordered(&self) -> &Pending {
        &self.ordered
    }

    /// All changes but those in runs in key order, the last one of each row.
    fn sorted(&self) -> Vec<Changed<'_>> {
        let changes = self.by_key.len() + self.as_they_come.len();
        let mut all = Vec::with_capacity(self.ordered.len() + changes);
        all.extend(self.ordered.iter().map(|(key, value)| Changed::new(key, value)));
        let value = |place: Option<Place>| place.map(|place| self.bytes.at(place));
        let by_key = self.by_key.iter().filter(|(_, known)| known.changed);
        all.extend(by_key.map(|(key, known)| Changed::new(key.bytes(), value(known.value))));
        let as_they_come = self.as_they_come.iter();
        all.extend(as_they_come.map(|(key, it)| Changed::new(self.bytes.at(*key), value(*it))));
        // What came later stays behind what came before, and takes its place.
        all.sort_by(|a, b| a.place().cmp(&b.place()));
        all.dedup_by(|later, earlier| {
            let same = later.key == earlier.key;
            if same {
                earlier.value = later.value;
            }
            same
        });
        all
    }

    fn put(&mut self, key: Key, value: &[u8]) {
        match kept(&key) {
            Kept::Ordered => self.ordered.put(key, value),
            Kept::ByKey => self.put_by_key(Short::new(&key), value),
            Kept::AsTheyCome => {
                let change = (self.bytes.push(&key), Some(self.bytes.push(value)));
                self.as_they_come.push(change);
            }
        }
    }

    fn put_by_key(&mut self, key: Short, value: &[u8]) {
        let Self { by_key, bytes, .. } = self;
        let known = by_key.entry(key).or_insert(Known { value: None, changed: true });
        known.changed = true;
        let before = known.value.map(Bytes::range);
        match before.filter(|before| before.len() == value.len()) {
            // Versions and rotations are written over and over: in place.
            Some(before) => bytes.0[before].copy_from_slice(value),
            None => known.value = Some(bytes.push(value)),
        }
    }

    fn delete(&mut self, key: Key) {
        match kept(&key) {
            Kept::Ordered => self.ordered.delete(key),
            Kept::ByKey => {
                self.by_key.insert(Short::new(&key), Known { value: None, changed: true });
            }
            Kept::AsTheyCome => {
                let change = (self.bytes.push(&key), None);
                self.as_they_come.push(change);
            }
        }
    }

    /// The changes within a range, in order.
    fn within(&self, range: &Range) -> Pending {
        let mut within = Pending::default();
        for changed in self.sorted() {
            let key = Key::from(changed.key);
            if key < range.from || range.to.as_ref().is_some_and(|to| key >= *to) {
                continue;
            }
            match changed.value {
                Some(value) => within.put(key, value),
                None => within.delete(key),
            }
        }
        within
    }
}

/// Whether all tables of a range are kept in order.
fn is_ordered(range: &Range) -> bool {
    let Some(from) = range.from.first() else { return false };
    let to = match range.to.as_deref() {
        Some([next]) => next.saturating_sub(1),
        Some([last, ..]) => *last,
        Some([]) | None => u8::MAX,
    };
    (*from..=to).all(|table| kept_in(table) == Kept::Ordered)
}

/// Rows with a batch above them.
#[derive(Debug)]
pub(crate) struct Batched<B> {
    /// What is below; it does not change.
    pub(crate) base: B,
    /// The changes.
    pub(crate) batch: Batch,
}

impl<B: ReadRows> Batched<B> {
    pub(crate) fn new(base: B) -> Self {
        Self { base, batch: Batch::default() }
    }
}

impl<B: ReadRows> ReadRows for Batched<B> {
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let batch = &self.batch;
        let changed = match kept(key) {
            Kept::Ordered => return batch.ordered.get_above(&self.base, key, read),
            Kept::ByKey => batch.by_key.get(&Short::new(key)).map(|known| known.value),
            Kept::AsTheyCome => {
                let mut changes = batch.as_they_come.iter();
                changes.rfind(|(changed, _)| batch.bytes.at(*changed) == key).map(|it| it.1)
            }
        };
        match changed {
            Some(value) => value.map(|place| read(batch.bytes.at(place))).transpose(),
            None => self.base.get(key, read),
        }
    }

    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()> {
        if is_ordered(range) {
            return self.batch.ordered.visit_above(&self.base, range, direction, visitor);
        }
        self.batch.within(range).visit_above(&self.base, range, direction, visitor)
    }
}

impl<B: ReadRows> Rows for Batched<B> {
    fn put(&mut self, key: Key, value: &[u8]) {
        self.batch.put(key, value);
    }

    fn delete(&mut self, key: Key) {
        self.batch.delete(key);
    }

    fn read_ahead(&mut self, mut keys: Vec<Key>) -> Result<()> {
        let Batch { by_key, bytes, .. } = &mut self.batch;
        let is_unknown = |key: &[u8]| !by_key.contains_key(&Short::new(key));
        keys.retain(|key| kept(key) == Kept::ByKey && is_unknown(key));
        keys.sort_unstable();
        keys.dedup();
        self.base.get_all(&keys, &mut |key, value| {
            let value = value.map(|value| bytes.push(value));
            by_key.insert(Short::new(key), Known { value, changed: false });
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::super::rows::MemoryRows;
    use super::*;

    /// A key in a table that is kept in any of the three ways.
    fn key(number: u8) -> Key {
        let tables = [table::RIVALS, table::LEGS, table::DEPARTURES, table::ROTATION_LEGS];
        Key::table(tables[usize::from(number % 4)]).bytes(&[number / 4])
    }

    fn read(rows: &impl ReadRows, range: &Range, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut read = Vec::new();
        rows.visit(range, direction, &mut |key, value| {
            read.push((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        read
    }

    proptest! {
        #[test]
        fn a_batch_reads_as_if_it_was_written(
            base in prop::collection::vec((0u8..24, 0u8..4), 0..20),
            changes in prop::collection::vec((0u8..24, prop::option::of(prop::collection::vec(any::<u8>(), 0..2))), 0..40),
            from in 0u8..24,
            to in prop::option::of(0u8..24),
        ) {
            let base: MemoryRows = base.into_iter().map(|(at, value)| (key(at), vec![value])).collect();
            let mut written = base.clone();
            let mut batched = Batched::new(base.clone());
            for (number, (at, change)) in changes.into_iter().enumerate() {
                if number == 3 {
                    batched.read_ahead((0..20).rev().map(key).collect()).unwrap();
                }
                if let Some(value) = change {
                    written.put(key(at), &value);
                    batched.put(key(at), &value);
                } else {
                    written.delete(key(at));
                    batched.delete(key(at));
                }
            }
            let within = Key::table(key(from)[0]);
            let ranges = [
                Range { from: key(from), to: to.map(key) },
                Range { from: Key::default(), to: None },
                Range::prefix(within),
            ];
            for range in ranges {
                for direction in [Direction::Forward, Direction::Backward] {
                    prop_assert_eq!(read(&batched, &range, direction), read(&written, &range, direction));
                }
            }
            for at in 0..24 {
                let value = |value: &[u8]| Ok(value.to_vec());
                prop_assert_eq!(batched.get(&key(at), value).unwrap(), ReadRows::get(&written, &key(at), value).unwrap());
            }
            let mut all = base;
            for changed in batched.batch.sorted() {
                match changed.value {
                    Some(value) => all.put(changed.key.into(), value),
                    None => all.delete(changed.key.into()),
                }
            }
            prop_assert_eq!(all, written);
        }
    }
}
