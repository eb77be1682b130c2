//! Writing histories, in the batch of the fold that the events are folded in.

use std::ops::ControlFlow;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::{CommittedEntry, Metadata, StoredEvent};
use rotabase_engine::env::{LOGICAL_BITS, Timestamp};
use rotabase_engine::schedule::{AggregateId, Event, Schedule};

use super::super::key::{Key, table};
use super::super::row::{Fields, corrupted};
use super::super::rows::{Direction, Range, ReadRows, Result, Rows};
use super::record::{Place, encode, reference};
use super::subject::Subject;

/// The entries whose changes are pruned with each batch, beside as many as the batch has.
const PRUNED_ENTRIES: usize = 256;

/// What an item of an entry's changes begins with, where it is no subject.
const AGGREGATE: u8 = 0;

/// For how long the changes of entries are kept, and so for how long an instant can be shown without a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Microseconds before the newest event; none keeps all.
    pub microseconds: Option<u64>,
    /// For a new store: what is not newer is not worth keeping.
    pub after: Timestamp,
}

/// Something that an entry has changed.
#[derive(Debug)]
pub(crate) enum Change {
    Subject(Subject),
    /// An aggregate with the version it had before.
    Version(AggregateId, u64),
}

/// Writes the histories of the events that a fold folds.
#[derive(Debug)]
pub(crate) struct Historian {
    retention: Retention,
    // The changes of all entries that are newer are there.
    kept_after: Timestamp,
    value: Vec<u8>,
    changes: Vec<u8>,
    events: u32,
    subject: Option<Subject>,
    // The entries written since the last pruning.
    entries: usize,
}

impl Historian {
    /// One for a store, where it stands.
    pub(crate) fn open(rows: &impl ReadRows, retention: Retention) -> Result<Self> {
        let kept_after = read_kept_after(rows)?.unwrap_or(retention.after);
        Ok(Self {
            retention,
            kept_after,
            value: Vec::new(),
            changes: Vec::new(),
            events: 0,
            subject: None,
            entries: 0,
        })
    }

    /// Writes the history of an entry's event.
    pub(crate) fn note(
        &mut self,
        rows: &mut impl Rows,
        entry: &CommittedEntry,
        at: usize,
        aggregate: &AggregateId,
        event: &Event,
    ) -> Result<()> {
        let subject = Subject::of(aggregate, event)?;
        let place = Place::of(entry, at);
        self.value.clear();
        Self::record(entry, at, &mut self.value);
        rows.put(place.key(subject), &self.value);
        if let (AggregateId::Rotation(rotation), Subject::Leg(leg)) = (aggregate, subject) {
            rows.put(place.key(Subject::Rotation(*rotation)), &reference(leg));
        }
        self.note_change_at(entry, at, subject);
        Ok(())
    }

    /// Appends the value of the row that an entry's event has in the history of its subject.
    pub(crate) fn record(entry: &CommittedEntry, at: usize, out: &mut Vec<u8>) {
        let stored = &entry.entry.events[at];
        let nobody = Metadata::default();
        let metadata = entry.entry.metadata.get(usize::from(stored.metadata)).unwrap_or(&nobody);
        encode(stored, metadata, out);
    }

    /// Notes among the changes of the entry that an event has changed its subject.
    pub(crate) fn note_change_at(&mut self, entry: &CommittedEntry, at: usize, subject: Subject) {
        if entry.entry.timestamp > self.kept_after {
            let stored = &entry.entry.events[at];
            self.events += 1;
            let first = at == 0 || entry.entry.events[at - 1].aggregate != stored.aggregate;
            self.note_change(subject, first.then_some(stored));
        }
    }

    fn note_change(&mut self, subject: Subject, first_of_aggregate: Option<&StoredEvent>) {
        if let Some(event) = first_of_aggregate {
            self.changes.push(AGGREGATE);
            self.changes.push(u8::try_from(event.aggregate.len()).unwrap_or(u8::MAX));
            self.changes.extend_from_slice(&event.aggregate);
            self.changes.extend_from_slice(&event.version.0.saturating_sub(1).to_be_bytes());
        }
        if self.subject != Some(subject) {
            self.changes.extend_from_slice(&subject.key());
            self.subject = Some(subject);
        }
    }

    /// Ends an entry: writes what it has changed.
    pub(crate) fn end_entry(&mut self, rows: &mut impl Rows, entry: &CommittedEntry) {
        if self.events > 0 {
            let key = Key::table(table::CHANGES).uint8(entry.entry.timestamp.0);
            let key = key.bytes(&entry.shard.0.to_be_bytes()).uint8(entry.index.0);
            self.value.clear();
            self.value.extend_from_slice(&self.events.to_be_bytes());
            self.value.append(&mut self.changes);
            rows.put(key, &self.value);
        }
        self.changes.clear();
        (self.events, self.subject) = (0, None);
        self.entries += 1;
    }

    /// Ends a batch: removes the changes that are older than the retention says, but no more than a batch bears.
    pub(crate) fn end_batch(&mut self, rows: &mut impl Rows, newest: Timestamp) -> Result<()> {
        if let Some(retention) = self.retention.microseconds {
            let until =
                Timestamp(newest.0.saturating_sub(retention.saturating_mul(1 << LOGICAL_BITS)));
            self.prune(rows, until)?;
        }
        self.entries = 0;
        rows.put(kept_after_key(), &self.kept_after.0.to_be_bytes());
        Ok(())
    }

    fn prune(&mut self, rows: &mut impl Rows, until: Timestamp) -> Result<()> {
        if until <= self.kept_after {
            return Ok(());
        }
        let mut old = Range { from: after(self.kept_after), to: Some(after(until)) };
        let pruned_max = PRUNED_ENTRIES + self.entries;
        let keys = rows.chunk(&mut old, pruned_max, |key, _| Ok(Key::from(key)))?;
        // Those of the last timestamp may not all be gone: then it counts as not kept, which it is.
        self.kept_after = match keys.last() {
            Some(last) if keys.len() == pruned_max => Timestamp(Fields(&last[1..]).uint8()?),
            Some(_) | None => until,
        };
        for key in keys {
            rows.delete(key);
        }
        Ok(())
    }
}

/// Visits what has changed after an instant, from the oldest on; `events` is told how many events each entry had.
pub(crate) fn changes_after(
    rows: &impl ReadRows,
    at: Timestamp,
    visit: &mut dyn FnMut(u32, Vec<Change>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let range = Range { from: after(at), to: Key::table(table::CHANGES).successor() };
    rows.visit(&range, Direction::Forward, &mut |_, value| {
        let mut fields = Fields(value);
        let events = u32::from_be_bytes(fields.array()?);
        let mut changes = Vec::new();
        while let Some(first) = fields.0.first() {
            changes.push(if *first == AGGREGATE {
                fields.byte()?;
                let length = usize::from(fields.byte()?);
                let aggregate = Schedule::decode_id(fields.bytes(length)?)
                    .map_err(|error| corrupted(&error.to_string()))?;
                Change::Version(aggregate, fields.uint8()?)
            } else {
                Change::Subject(Subject::read(&mut fields)?)
            });
        }
        visit(events, changes)
    })
}

/// The changes of all entries that are newer are there; none in a store that was never written.
pub(crate) fn read_kept_after(rows: &impl ReadRows) -> Result<Option<Timestamp>> {
    Ok(rows.get(&kept_after_key(), |value| Fields(value).uint8())?.map(Timestamp))
}

fn kept_after_key() -> Key {
    Key::table(table::META).bytes(&[0x05])
}

/// The first key of changes that are newer than a timestamp.
fn after(timestamp: Timestamp) -> Key {
    Key::table(table::CHANGES).uint8(timestamp.0.saturating_add(1))
}
