//! Folding the events of many entries together: the same rows as one event after the other gives, at a fraction of the
//! cost, because everything is put in order once instead of being looked up for each event.
//!
//! ```text
//! entries ──decode──▶ events of anything but legs: folded one by one, first
//!             └─────▶ events of legs, by leg ──▶ claims before and after ([`claims`])
//!                        │                          ├──▶ departures, arrivals
//!                        │                          ├──▶ designators ([`designators`])
//!                        │                          └──▶ rotations ([`rotations`])
//!                        └──▶ histories ([`histories`])
//! ```
//!
//! Rows are a function of what each aggregate has seen, not of the order in which aggregates were interleaved; so the
//! events of other aggregates, and a rotation's own life beside its legs, may go first, and of each leg only what it is
//! before and after all of its events counts.
//!
//! What it gives are [`Run`]s: it may be the last that is folded into a batch, because runs are not read back.

mod claims;
mod designators;
mod histories;
mod rotations;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::schedule::{AggregateId, Event, LegId, Schedule};
use rustc_hash::FxHashMap;

use super::super::apply::undecoded;
use super::super::batch::Batched;
use super::super::count::Count;
use super::super::history::{Historian, Subject};
use super::super::row::{LegOwner, corrupted};
use super::super::rows::{ReadRows, Result};
use super::Fold;

/// An event of a leg, and where it stands among the entries.
#[derive(Debug)]
struct LegEvent {
    id: LegId,
    owner: LegOwner,
    event: Event,
    entry: u32,
    ordinal: u32,
}

/// The events of legs by leg, those of one leg in the order in which they came.
#[derive(Debug, Default)]
struct LegEvents {
    events: Vec<LegEvent>,
    // The ids with the places in `events`.
    order: Vec<(u128, u32)>,
}

impl LegEvents {
    fn push(&mut self, event: LegEvent) {
        let place = u32::try_from(self.events.len()).expect("fewer events than bytes");
        self.order.push((event.id.0.as_u128(), place));
        self.events.push(event);
    }

    fn sort(&mut self) {
        self.order.sort_unstable();
    }

    /// Each leg's events.
    fn by_leg(&self) -> impl Iterator<Item = (LegId, impl Iterator<Item = &LegEvent>)> {
        self.order.chunk_by(|a, b| a.0 == b.0).map(|of_leg| {
            let id = LegId(uuid::Uuid::from_u128(of_leg[0].0));
            (id, of_leg.iter().map(|(_, place)| &self.events[at(*place)]))
        })
    }
}

fn at(place: u32) -> usize {
    usize::try_from(place).expect("usize has 32 bits or more")
}

impl<B: ReadRows> Fold<Batched<B>> {
    /// Folds entries, in the order in which they came. Nothing more may be folded into the batch.
    pub(crate) fn apply_together(
        &mut self,
        entries: &[CommittedEntry],
        historian: &mut Historian,
    ) -> Result<()> {
        let mut legs = LegEvents::default();
        let mut versions: FxHashMap<&[u8], u64> = FxHashMap::default();
        for (number, committed) in entries.iter().enumerate() {
            self.gather(number, committed, historian, &mut legs)?;
            let events = &committed.entry.events;
            for of_aggregate in events.chunk_by(|a, b| a.aggregate == b.aggregate) {
                let last = of_aggregate.last().expect("a chunk has events");
                versions.insert(&last.aggregate, last.version.0);
            }
        }
        for (aggregate, version) in versions.into_iter().collect::<Vec<_>>() {
            self.set_version(aggregate, version);
        }
        legs.sort();
        self.write_histories(entries, &legs);
        let follows = self.fold_claims(entries, &legs)?;
        drop(legs);
        self.follow(follows)
    }

    /// Folds what is not about legs, and puts aside what is.
    fn gather(
        &mut self,
        number: usize,
        committed: &CommittedEntry,
        historian: &mut Historian,
        legs: &mut LegEvents,
    ) -> Result<()> {
        let entry = &committed.entry;
        let number = u32::try_from(number).expect("fewer entries than bytes");
        let mut aggregate = None;
        for (ordinal, stored) in entry.events.iter().enumerate() {
            let id = match aggregate {
                Some((id, encoded)) if encoded == &stored.aggregate => id,
                Some(_) | None => Schedule::decode_id(&stored.aggregate)
                    .map_err(|error| undecoded(committed, &error))?,
            };
            aggregate = Some((id, &stored.aggregate));
            let event = Schedule::decode_event(stored.kind, &stored.payload)
                .map_err(|error| undecoded(committed, &error))?;
            let Some(leg) = leg_of(&event) else {
                self.apply(&id, entry.timestamp, &event)?;
                historian.note(&mut self.rows, committed, ordinal, &id, &event)?;
                continue;
            };
            self.count(Count::Events, 1);
            historian.note_change_at(committed, ordinal, Subject::Leg(leg));
            let ordinal = u32::try_from(ordinal).expect("below ENTRY_EVENTS_MAX");
            legs.push(LegEvent { id: leg, owner: owner_of(&id)?, event, entry: number, ordinal });
        }
        historian.end_entry(&mut self.rows, committed);
        Ok(())
    }
}

/// The leg that an event is about.
fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::LegAdded(leg)
        | Event::LegRescheduled(leg)
        | Event::OpenLegScheduled(leg)
        | Event::OpenLegRescheduled(leg) => Some(leg.id),
        Event::LegRemoved { id } | Event::OpenLegCancelled { id } => Some(*id),
        _ => None,
    }
}

fn owner_of(aggregate: &AggregateId) -> Result<LegOwner> {
    match aggregate {
        AggregateId::Flight(flight) => Ok(LegOwner::Flight(*flight)),
        AggregateId::Rotation(rotation) => Ok(LegOwner::Rotation(*rotation)),
        AggregateId::Airport(_) | AggregateId::Airplane(_) => {
            Err(corrupted("an event of a leg belongs to no owner of legs"))
        }
    }
}
