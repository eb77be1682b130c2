//! Folding an entry: its events are decoded, the rows that they will look up are read together, then each is folded
//! and noted in the histories.

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::{DecodeError, Domain as _};
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::position::LogIndex;
use rotabase_engine::schedule::{AggregateId, Event, Schedule};

use super::fold::Fold;
use super::history::Historian;
use super::key::Key;
use super::rows::{Result, Rows};

/// The events whose rows are read together: enough that neighbouring rows are read at once, and few enough to be held
/// in memory decoded.
const TOGETHER_MAX: usize = 4096;

/// So few events look their rows up one by one.
const TOGETHER_MIN: usize = 8;

impl<R: Rows> Fold<R> {
    /// Folds the events of an entry.
    pub(crate) fn apply_entry(
        &mut self,
        committed: &CommittedEntry,
        historian: &mut Historian,
    ) -> Result<()> {
        let entry = &committed.entry;
        let mut decoded = Vec::with_capacity(entry.events.len().min(TOGETHER_MAX));
        for first in (0..entry.events.len()).step_by(TOGETHER_MAX) {
            decode(committed, first, &mut decoded)?;
            if decoded.len() >= TOGETHER_MIN {
                self.read_ahead(&decoded)?;
            }
            for (at, (id, event)) in (first..).zip(decoded.drain(..)) {
                let stored = &entry.events[at];
                self.apply(&id, entry.timestamp, &event)?;
                historian.note(&mut self.rows, committed, at, &id, &event)?;
                // Only the last version of a run of events of one aggregate stays.
                if entry.events.get(at + 1).is_none_or(|next| next.aggregate != stored.aggregate) {
                    self.set_version(&stored.aggregate, stored.version.0);
                }
            }
        }
        historian.end_entry(&mut self.rows, committed);
        Ok(())
    }

    /// Reads the rows that events will look up by their keys.
    fn read_ahead(&mut self, events: &[(AggregateId, Event)]) -> Result<()> {
        let mut keys = Vec::with_capacity(2 * events.len());
        let mut rotation = None;
        for (id, event) in events {
            match event {
                Event::LegAdded(leg) | Event::OpenLegScheduled(leg) => {
                    keys.push(Key::leg(leg.id));
                    keys.push(Key::designator(&leg.designator));
                }
                Event::LegRescheduled(leg) | Event::OpenLegRescheduled(leg) => {
                    keys.push(Key::leg(leg.id));
                }
                Event::LegRemoved { id } | Event::OpenLegCancelled { id } => {
                    keys.push(Key::leg(*id));
                }
                _ => {}
            }
            if let AggregateId::Rotation(id) = id
                && rotation.replace(*id) != Some(*id)
            {
                keys.push(Key::rotation(*id));
            }
        }
        self.rows.read_ahead(keys)
    }
}

/// Decodes up to [`TOGETHER_MAX`] events of an entry.
fn decode(
    committed: &CommittedEntry,
    first: usize,
    decoded: &mut Vec<(AggregateId, Event)>,
) -> Result<()> {
    let mut aggregate = None;
    for event in committed.entry.events.iter().skip(first).take(TOGETHER_MAX) {
        let id = match aggregate {
            Some((id, encoded)) if encoded == &event.aggregate => id,
            Some(_) | None => Schedule::decode_id(&event.aggregate)
                .map_err(|error| undecoded(committed, &error))?,
        };
        aggregate = Some((id, &event.aggregate));
        let event = Schedule::decode_event(event.kind, &event.payload)
            .map_err(|error| undecoded(committed, &error))?;
        decoded.push((id, event));
    }
    Ok(())
}

pub(super) fn undecoded(committed: &CommittedEntry, error: &DecodeError) -> StoreError {
    let LogIndex(index) = committed.index;
    StoreError::Corrupted(format!("entry {index} of shard {}: {error}", committed.shard))
}
