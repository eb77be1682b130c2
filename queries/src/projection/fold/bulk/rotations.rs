//! The legs of rotations in order, and the violations between neighbours in it.

use rotabase_engine::schedule::RotationId;

use super::super::super::batch::Batched;
use super::super::super::key::Key;
use super::super::super::row::RotationLeg;
use super::super::super::rows::{ReadRows, Result, Rows as _};
use super::super::super::run::Run;
use super::super::Fold;
use super::super::pairs::Change;

/// A leg takes its place in a rotation, or gives it up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) leg: RotationLeg,
    pub(super) is_taken: bool,
}

/// The rotations whose legs are in memory at a time.
const ROTATIONS_AT_ONCE: usize = 64;

/// Two legs, one after the other.
type Pair = (RotationLeg, RotationLeg);

/// What becomes of the order of a rotation.
#[derive(Debug, Default)]
struct Reordered {
    ends: Vec<Pair>,
    begins: Vec<Pair>,
    legs: u64,
    first: Option<RotationLeg>,
    last: Option<RotationLeg>,
    // The leg before, as it was and as it is.
    was_before: Option<RotationLeg>,
    is_before: Option<RotationLeg>,
}

impl Reordered {
    /// Takes the next place in order: what leg stood there, and what leg stands there.
    fn next(&mut self, was: Option<RotationLeg>, is: Option<RotationLeg>) {
        let same = was == is && self.was_before == self.is_before;
        if !same {
            self.ends.extend(self.was_before.zip(was));
            self.begins.extend(self.is_before.zip(is));
        }
        self.was_before = was.or(self.was_before);
        if let Some(leg) = is {
            self.first.get_or_insert(leg);
            self.is_before = is;
            self.last = is;
            self.legs += 1;
        }
    }
}

/// What a place is ordered by.
fn order(leg: &RotationLeg) -> (RotationId, i64, uuid::Uuid) {
    (leg.rotation, leg.departure.0, leg.id.0)
}

impl<B: ReadRows> Fold<Batched<B>> {
    pub(super) fn fold_places(&mut self, mut places: Vec<Place>) -> Result<()> {
        places.sort_unstable_by_key(|place| (order(&place.leg), place.is_taken));
        let mut run = Run::default();
        let by_rotation: Vec<&[Place]> =
            places.chunk_by(|a, b| a.leg.rotation == b.leg.rotation).collect();
        for rotations in by_rotation.chunks(ROTATIONS_AT_ONCE) {
            let orders = self.stored_orders(rotations)?;
            for (of_rotation, before) in rotations.iter().zip(orders) {
                self.reorder(of_rotation, before, &mut run)?;
            }
        }
        self.rows.batch.push_run(run);
        Ok(())
    }

    /// The legs of rotations as they are stored, in order.
    fn stored_orders(&mut self, rotations: &[&[Place]]) -> Result<Vec<Vec<RotationLeg>>> {
        let mut orders = vec![Vec::new(); rotations.len()];
        let (mut numbers, mut prefixes) = (Vec::new(), Vec::new());
        for (number, of_rotation) in rotations.iter().enumerate() {
            let rotation = of_rotation[0].leg.rotation;
            match self.orders.forget(rotation) {
                Some(legs) => orders[number] = legs,
                None => {
                    numbers.push(number);
                    prefixes.push(Key::legs_of(rotation));
                }
            }
        }
        self.rows.base.walk_prefixes(&prefixes, &mut |at, key, value| {
            orders[numbers[at]].push(RotationLeg::decode(key, value)?);
            Ok(())
        })?;
        Ok(orders)
    }

    /// Folds the changes of one rotation, in order.
    fn reorder(
        &mut self,
        changes: &[Place],
        before: Vec<RotationLeg>,
        run: &mut Run,
    ) -> Result<()> {
        let rotation = changes[0].leg.rotation;
        let mut reordered = Reordered::default();
        let mut before = before.into_iter().peekable();
        for at_place in changes.chunk_by(|a, b| order(&a.leg) == order(&b.leg)) {
            let here = order(&at_place[0].leg);
            while let Some(kept) = before.next_if(|leg| order(leg) < here) {
                reordered.next(Some(kept), Some(kept));
            }
            let was = before.next_if(|leg| order(leg) == here);
            let is = at_place.iter().find(|place| place.is_taken).map(|place| place.leg);
            match &is {
                Some(leg) => run.put(&leg.key(), &leg.encode()),
                None => run.delete(&at_place[0].leg.key()),
            }
            reordered.next(was, is);
        }
        for kept in before {
            reordered.next(Some(kept), Some(kept));
        }
        // A pair that begins may take the row of one that ends.
        for (pairs, change) in
            [(&reordered.ends, Change::Ends), (&reordered.begins, Change::Begins)]
        {
            self.pairs(rotation, pairs, change)?;
        }
        let Some(mut row) = self.rotation(rotation)? else { return Ok(()) };
        row.legs = reordered.legs;
        row.first_departure = reordered.first.map(|leg| leg.departure);
        row.last_arrival = reordered.last.map(|leg| leg.arrival);
        self.rows.put(Key::rotation(rotation), &row.encode());
        Ok(())
    }
}
