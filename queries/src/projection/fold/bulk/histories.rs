//! The histories of legs, and what they are in those of their rotations: made while they are written, because they are
//! most of what a batch writes.

use std::cmp::Reverse;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::schedule::{AggregateId, Schedule, leg_of_event};
use uuid::Uuid;

use super::super::super::history::{Historian, Place, reference};
use super::super::super::key::table;
use super::super::super::merge::Source;
use super::standing::{Standing, Standings, touch};

/// The key of an event in the history of a leg or of a rotation.
const KEY_BYTES: usize = 1 + 16 + 8 + 2 + 8;

/// The rows of the histories of legs, then those of rotations.
#[derive(Debug)]
pub(super) struct Histories {
    entries: Vec<CommittedEntry>,
    events: Standings,
    table: u8,
    // The first event of the subject that comes next.
    next: usize,
    // Up to where they have been touched.
    touched: usize,
    // What is left of this one's, the last first.
    of_subject: Vec<(Place, Standing)>,
    key: Option<[u8; KEY_BYTES]>,
    value: Vec<u8>,
}

impl Histories {
    /// Those of events of legs, which are in order.
    pub(super) fn new(entries: Vec<CommittedEntry>, events: Standings) -> Self {
        let mut histories = Self {
            entries,
            events,
            table: table::LEG_HISTORY,
            next: 0,
            touched: 0,
            of_subject: Vec::new(),
            key: None,
            value: Vec::new(),
        };
        histories.advance();
        histories
    }

    /// Goes on to the next subject, and from legs to rotations. Says whether there is one.
    fn begin_subject(&mut self) -> bool {
        if self.next == self.events.len() {
            if self.table == table::ROTATION_HISTORY {
                return false;
            }
            self.begin_rotations();
        }
        if self.next >= self.touched {
            let few = self.events.next_from(self.next);
            touch(&self.entries, few.iter());
            self.touched = self.next + few.len();
        }
        let events = self.events.of_subject_from(self.next);
        self.next += events.len();
        self.of_subject.extend(events.iter().map(|event| (place(&self.entries, event), *event)));
        // A transaction's events may have come late.
        self.of_subject.sort_unstable_by_key(|(place, _)| Reverse(*place));
        !self.of_subject.is_empty()
    }

    fn begin_rotations(&mut self) {
        let entries = &self.entries;
        self.events.retarget(entries, |event| rotation_of(entries, event));
        self.table = table::ROTATION_HISTORY;
        (self.next, self.touched) = (0, 0);
    }
}

impl Source for Histories {
    fn key(&self) -> Option<&[u8]> {
        self.key.as_ref().map(<[u8; KEY_BYTES]>::as_slice)
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.value)
    }

    fn advance(&mut self) {
        if self.of_subject.is_empty() && !self.begin_subject() {
            self.key = None;
            return;
        }
        let Some((place, event)) = self.of_subject.pop() else { return };
        self.key = Some(key(self.table, event.subject(), place));
        self.value.clear();
        if self.table == table::LEG_HISTORY {
            let (entry, ordinal) = event.place();
            Historian::record(&self.entries[entry], ordinal, &mut self.value);
        } else {
            let stored = event.stored(&self.entries);
            let leg = leg_of_event(stored.kind, &stored.payload).expect("an event of a leg");
            self.value.extend_from_slice(&reference(leg));
        }
    }
}

/// The rotation that an event is of.
fn rotation_of(entries: &[CommittedEntry], event: &Standing) -> Uuid {
    match Schedule::decode_id(&event.stored(entries).aggregate) {
        Ok(AggregateId::Rotation(rotation)) => rotation.0,
        other => unreachable!("it was of a rotation when it was gathered: {other:?}"),
    }
}

fn place(entries: &[CommittedEntry], event: &Standing) -> Place {
    let (entry, ordinal) = event.place();
    Place::of(&entries[entry], ordinal)
}

/// The key that [`Place::key`] makes.
fn key(table: u8, subject: Uuid, place: Place) -> [u8; KEY_BYTES] {
    let mut key = [table; KEY_BYTES];
    key[1..17].copy_from_slice(subject.as_bytes());
    key[17..25].copy_from_slice(&place.timestamp.0.to_be_bytes());
    key[25..27].copy_from_slice(&place.shard.0.to_be_bytes());
    key[27..].copy_from_slice(&place.position.to_be_bytes());
    key
}
