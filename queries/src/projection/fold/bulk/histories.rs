//! The histories of legs, and what they are in those of their rotations.

use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::schedule::LegId;

use super::super::super::batch::Batched;
use super::super::super::history::{Historian, Place, Subject, reference};
use super::super::super::row::LegOwner;
use super::super::super::rows::ReadRows;
use super::super::super::run::Run;
use super::super::Fold;
use super::{LegEvent, LegEvents, at};

/// The key of an event in the history of a leg or of a rotation.
const KEY_BYTES: usize = 1 + 16 + 8 + 2 + 8;

type HistoryKey = [u8; KEY_BYTES];

impl<B: ReadRows> Fold<Batched<B>> {
    pub(super) fn write_histories(&mut self, entries: &[CommittedEntry], events: &LegEvents) {
        let mut run = Run::default();
        let mut references: Vec<(HistoryKey, LegId)> = Vec::new();
        let mut of_leg: Vec<(HistoryKey, &LegEvent)> = Vec::new();
        for (leg, happened) in events.by_leg() {
            for event in happened {
                let place = place(entries, event);
                of_leg.push((key(place, Subject::Leg(leg)), event));
                if let LegOwner::Rotation(rotation) = event.owner {
                    references.push((key(place, Subject::Rotation(rotation)), leg));
                }
            }
            // A transaction's events may have come late.
            of_leg.sort_unstable_by_key(|it| it.0);
            for (key, event) in of_leg.drain(..) {
                let entry = &entries[at(event.entry)];
                run.put_with(&key, |out| Historian::record(entry, at(event.ordinal), out));
            }
        }
        self.rows.batch.push_run(run);
        references.sort_unstable_by_key(|it| it.0);
        let mut run = Run::default();
        for (key, leg) in references {
            run.put(&key, &reference(leg));
        }
        self.rows.batch.push_run(run);
    }
}

fn place(entries: &[CommittedEntry], event: &LegEvent) -> Place {
    Place::of(&entries[at(event.entry)], at(event.ordinal))
}

fn key(place: Place, subject: Subject) -> HistoryKey {
    let mut key = [0; KEY_BYTES];
    key.copy_from_slice(&place.key(subject));
    key
}
