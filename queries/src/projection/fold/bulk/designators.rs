//! Which legs share a designator, and the runs of what needs no more than its key.

use rotabase_engine::schedule::{FlightDesignator, Leg, LegId};

use super::super::super::batch::Batched;
use super::super::super::key::{DESIGNATOR_BYTES, designator_bytes, table};
use super::super::super::rows::{ReadRows, Result};
use super::super::super::run::Run;
use super::super::Fold;
use super::super::designators::Sharing;
use super::claims::Follows;

/// The key of a designator.
type DesignatorKey = [u8; DESIGNATOR_BYTES + 1];

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

impl<B: ReadRows> Fold<Batched<B>> {
    /// Folds what follows from the rows of legs.
    pub(super) fn follow(&mut self, follows: Follows) -> Result<()> {
        let Follows { departures, arrivals, sharers, places } = follows;
        self.fold_sharers(sharers)?;
        self.rows.batch.push_run(run_of_keys(departures));
        self.fold_places(places)?;
        self.rows.batch.push_run(run_of_keys(arrivals));
        Ok(())
    }

    fn fold_sharers(&mut self, mut sharers: Vec<Sharer>) -> Result<()> {
        // Those who go come before those who come.
        sharers.sort_unstable_by(|a, b| (&a.key, a.has_it, a.leg).cmp(&(&b.key, b.has_it, b.leg)));
        let keys: Vec<DesignatorKey> =
            sharers.chunk_by(|a, b| a.key == b.key).map(|shared| shared[0].key).collect();
        let mut stored = Vec::new();
        self.rows.base.walk(&keys, &mut |number, value| {
            stored.push((number, Sharing::decode(value)?));
            Ok(())
        })?;
        let mut stored = stored.into_iter().peekable();
        let mut run = Run::default();
        for (number, changes) in sharers.chunk_by(|a, b| a.key == b.key).enumerate() {
            let sharing = stored.next_if(|(of, _)| *of == number).map(|(_, sharing)| sharing);
            let [first, second] = [changes.first(), changes.get(1)];
            match (sharing, first, second, changes.len()) {
                (None, Some(comes), None, _) if comes.has_it => {
                    run.put(&comes.key, &Sharing::One(comes.leg).encode());
                }
                (Some(Sharing::One(_)), Some(goes), None, _) if !goes.has_it => {
                    run.delete(&goes.key);
                }
                (Some(Sharing::One(_)), Some(goes), Some(comes), 2)
                    if !goes.has_it && comes.has_it =>
                {
                    run.put(&comes.key, &Sharing::One(comes.leg).encode());
                }
                // Several share it, now or before: one after the other.
                _ => self.fold_shared(changes)?,
            }
        }
        self.rows.batch.push_run(run);
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
