//! Which legs share a designator, and the runs of what needs no more than its key.

use rotabase_engine::schedule::{FlightDesignator, Leg, LegId};

use super::super::super::batch::Batched;
use super::super::super::crew::{Crew, Work, pieces};
use super::super::super::key::{DESIGNATOR_BYTES, designator_bytes, table};
use super::super::super::rows::{ReadRows, Result};
use super::super::super::run::Run;
use super::super::Fold;
use super::super::designators::Sharing;
use super::claims::Follows;
use super::rotations::sort_places;

/// The key of a designator.
type DesignatorKey = [u8; DESIGNATOR_BYTES + 1];

/// The changes that a thread folds at a time.
const SHARERS_AT_ONCE: usize = if cfg!(test) { 8 } else { 1 << 15 };

/// A leg comes to have a designator, or has it no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharer {
    key: DesignatorKey,
    has_it: bool,
    leg: LegId,
    designator: FlightDesignator,
}

impl Sharer {
    pub(super) fn of(leg: &Leg, has_it: bool) -> Self {
        let mut key = [table::DESIGNATORS; DESIGNATOR_BYTES + 1];
        key[1..].copy_from_slice(&designator_bytes(&leg.designator));
        Self { key, has_it, leg: leg.id, designator: leg.designator }
    }
}

impl<B: ReadRows + Sync> Fold<Batched<B>> {
    /// Folds what follows from the rows of legs.
    pub(super) fn follow(&mut self, follows: Follows) -> Result<()> {
        let Follows { departures, arrivals, mut sharers, mut places } = follows;
        let crew = Crew::of(departures.len().max(places.len()));
        let sorted: Vec<Work<'_, Option<Run>>> = vec![
            Box::new(|| {
                // Those who go come before those who come.
                sharers.sort_unstable_by_key(|it| (it.key, it.has_it, it.leg));
                None
            }),
            Box::new(|| {
                sort_places(&mut places);
                None
            }),
            Box::new(|| Some(run_of_keys(departures))),
            Box::new(|| Some(run_of_keys(arrivals))),
        ];
        for run in crew.each(sorted, |work| work()).into_iter().flatten() {
            self.rows.batch.push_run(run);
        }
        self.fold_sharers(&sharers)?;
        drop(sharers);
        self.fold_places(&places)
    }

    fn fold_sharers(&mut self, sharers: &[Sharer]) -> Result<()> {
        let base = &self.rows.base;
        let pieces = pieces(sharers, SHARERS_AT_ONCE, |a, b| a.key == b.key);
        let folded = Crew::of(sharers.len()).each(pieces, |piece| Shared::of(base, piece));
        for shared in folded {
            let Shared { run, by_several } = shared?;
            self.rows.batch.push_run(run);
            for changes in by_several {
                self.fold_shared(changes)?;
            }
        }
        Ok(())
    }

    fn fold_shared(&mut self, changes: &[Sharer]) -> Result<()> {
        for Sharer { has_it, leg, designator, .. } in changes {
            if *has_it {
                self.add_designator(designator, *leg)?;
            } else {
                self.remove_designator(designator, *leg)?;
            }
        }
        Ok(())
    }
}

/// What a piece of the changes makes of the rows of designators.
#[derive(Debug, Default)]
struct Shared<'s> {
    run: Run,
    // Several share these, now or before: one after the other.
    by_several: Vec<&'s [Sharer]>,
}

impl<'s> Shared<'s> {
    fn of(rows: &impl ReadRows, sharers: &'s [Sharer]) -> Result<Self> {
        let keys: Vec<DesignatorKey> =
            sharers.chunk_by(|a, b| a.key == b.key).map(|shared| shared[0].key).collect();
        let mut stored = Vec::new();
        rows.walk(&keys, &mut |number, value| {
            stored.push((number, Sharing::decode(value)?));
            Ok(())
        })?;
        let mut stored = stored.into_iter().peekable();
        let mut shared = Self::default();
        for (number, changes) in sharers.chunk_by(|a, b| a.key == b.key).enumerate() {
            let sharing = stored.next_if(|(of, _)| *of == number).map(|(_, sharing)| sharing);
            shared.change(sharing, changes);
        }
        Ok(shared)
    }

    fn change(&mut self, sharing: Option<Sharing>, changes: &'s [Sharer]) {
        let run = &mut self.run;
        match (sharing, changes) {
            (None, [comes]) if comes.has_it => {
                run.put(&comes.key, &Sharing::One(comes.leg).encode());
            }
            (Some(Sharing::One(_)), [goes]) if !goes.has_it => run.delete(&goes.key),
            (Some(Sharing::One(_)), [goes, comes]) if !goes.has_it && comes.has_it => {
                run.put(&comes.key, &Sharing::One(comes.leg).encode());
            }
            _ => self.by_several.push(changes),
        }
    }
}

/// Rows that are nothing but their keys.
fn run_of_keys<const N: usize>(mut keys: Vec<([u8; N], bool)>) -> Run {
    keys.sort_unstable();
    let mut run = Run::default();
    for (key, comes) in &keys {
        if *comes {
            run.put(key, &[]);
        } else {
            run.delete(key);
        }
    }
    run
}
