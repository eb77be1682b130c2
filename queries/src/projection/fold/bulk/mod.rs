//! Folding the events of many entries together: the same rows as one event after the other gives, at a fraction of the
//! cost, because everything is put in order once instead of being looked up for each event.
//!
//! ```text
//! entries ──decode──▶ events of anything but legs: folded one by one, first
//!             └─────▶ places of events of legs, by leg ──▶ claims before and after ([`claims`])
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
//! The threads of a crew share what can be cut: the claims by leg, what follows from them by table, designator and
//! rotation ([`crew`]). What they give is put together in order, so that the rows are those that one thread gives.
//!
//! What it gives are [`Run`]s and [`Source`]s: it may be the last that is folded into a batch, because these are not read
//! back.
//!
//! # Memory
//!
//! The larger the batch, the less of the tables is read and merged for each event, so an event takes little: it stays
//! encoded, is sorted by its place ([`standing`]), and is decoded when its leg's turn comes, a few thousand legs at a
//! time. The rows of histories, which are most of what is written, are made as they are written.
//!
//! [`crew`]: super::super::crew
//! [`Run`]: super::super::run::Run
//! [`Source`]: super::super::merge::Source

mod claims;
mod designators;
mod histories;
mod rotations;
mod standing;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{AggregateId, Event, Schedule, leg_of_event};
use rustc_hash::FxHashMap;

use super::super::apply::undecoded;
use super::super::batch::Batched;
use super::super::count::Count;
use super::super::history::{Historian, Subject};
use super::super::row::{LegOwner, corrupted};
use super::super::rows::{ReadRows, Result};
use super::Fold;
use histories::Histories;
use standing::Standings;

impl<B: ReadRows + Sync> Fold<Batched<B>> {
    /// Folds entries, in the order in which they came. Nothing more may be folded into the batch.
    pub(crate) fn apply_together(
        &mut self,
        entries: Vec<CommittedEntry>,
        historian: &mut Historian,
    ) -> Result<()> {
        let mut legs = Standings::default();
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
        let follows = self.fold_claims(&entries, &legs)?;
        self.follow(follows)?;
        let changes = 2 * legs.len();
        self.rows.batch.push_made(changes, Box::new(Histories::new(entries, legs)));
        Ok(())
    }

    /// Folds what is not about legs, and puts aside what is.
    fn gather(
        &mut self,
        number: usize,
        committed: &CommittedEntry,
        historian: &mut Historian,
        legs: &mut Standings,
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
            let Some(leg) = leg_of_event(stored.kind, &stored.payload) else {
                let event = Schedule::decode_event(stored.kind, &stored.payload)
                    .map_err(|error| undecoded(committed, &error))?;
                self.apply(&id, entry.timestamp, &event)?;
                historian.note(&mut self.rows, committed, ordinal, &id, &event)?;
                continue;
            };
            let of_rotation = owner_of(&id)?.rotation().is_some();
            self.count(Count::Events, 1);
            historian.note_change_at(committed, ordinal, Subject::Leg(leg));
            legs.push(leg.0, number, ordinal, of_rotation);
        }
        historian.end_entry(&mut self.rows, committed);
        Ok(())
    }
}

/// An event of a leg.
#[derive(Debug)]
struct LegEvent {
    owner: LegOwner,
    timestamp: Timestamp,
    event: Event,
}

impl LegEvent {
    /// Reads the event of an entry.
    fn read(committed: &CommittedEntry, ordinal: usize) -> Result<Self> {
        let stored = &committed.entry.events[ordinal];
        let decoded = Schedule::decode_id(&stored.aggregate)
            .and_then(|id| Ok((id, Schedule::decode_event(stored.kind, &stored.payload)?)));
        let (id, event) = decoded.map_err(|error| undecoded(committed, &error))?;
        Ok(Self { owner: owner_of(&id)?, timestamp: committed.entry.timestamp, event })
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
