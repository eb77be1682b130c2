//! The legs of rotations in order, and the violations between neighbours in it.

use rotabase_engine::schedule::RotationId;

use super::super::super::batch::Batched;
use super::super::super::crew::Crew;
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

/// The rotations whose legs a thread reads together.
const ROTATIONS_AT_ONCE: usize = if cfg!(test) { 2 } else { 32 };

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

pub(super) fn sort_places(places: &mut [Place]) {
    places.sort_unstable_by_key(|place| (order(&place.leg), place.is_taken));
}

/// The changes of a rotation, and its legs before them where they are remembered.
type Changing<'p> = (&'p [Place], Option<Vec<RotationLeg>>);

/// What becomes of some rotations.
#[derive(Debug, Default)]
struct AllReordered {
    run: Run,
    each: Vec<(RotationId, Reordered)>,
}

impl<B: ReadRows + Sync> Fold<Batched<B>> {
    /// Folds the changes of rotations, which are in order.
    pub(super) fn fold_places(&mut self, places: &[Place]) -> Result<()> {
        let by_rotation = places.chunk_by(|a, b| a.leg.rotation == b.leg.rotation);
        let mut changing: Vec<Vec<Changing<'_>>> = Vec::new();
        for changes in by_rotation {
            let remembered = self.orders.forget(changes[0].leg.rotation);
            match changing.last_mut().filter(|few| few.len() < ROTATIONS_AT_ONCE) {
                Some(few) => few.push((changes, remembered)),
                None => changing.push(vec![(changes, remembered)]),
            }
        }
        let base = &self.rows.base;
        let reordered = Crew::of(places.len()).each(changing, |few| AllReordered::of(base, few));
        for reordered in reordered {
            let AllReordered { run, each } = reordered?;
            self.rows.batch.push_run(run);
            for (rotation, reordered) in each {
                self.take_order(rotation, &reordered)?;
            }
        }
        Ok(())
    }

    /// Folds what follows from the order of a rotation.
    fn take_order(&mut self, rotation: RotationId, reordered: &Reordered) -> Result<()> {
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

impl AllReordered {
    fn of(rows: &impl ReadRows, rotations: Vec<Changing<'_>>) -> Result<Self> {
        let (changes, mut orders): (Vec<&[Place]>, Vec<Option<Vec<RotationLeg>>>) =
            rotations.into_iter().unzip();
        read_orders(rows, &changes, &mut orders)?;
        let mut all = Self::default();
        for (changes, before) in changes.into_iter().zip(orders) {
            let rotation = changes[0].leg.rotation;
            let reordered = reorder(changes, before.unwrap_or_default(), &mut all.run);
            all.each.push((rotation, reordered));
        }
        Ok(all)
    }
}

/// Reads the legs of the rotations that are not remembered, in order.
fn read_orders(
    rows: &impl ReadRows,
    rotations: &[&[Place]],
    orders: &mut [Option<Vec<RotationLeg>>],
) -> Result<()> {
    let unknown = (0..).zip(rotations).filter(|(number, _)| orders[*number].is_none());
    let (numbers, prefixes): (Vec<usize>, Vec<Key>) =
        unknown.map(|(number, changes)| (number, Key::legs_of(changes[0].leg.rotation))).unzip();
    rows.walk_prefixes(&prefixes, &mut |at, key, value| {
        let legs = orders[numbers[at]].get_or_insert_default();
        legs.push(RotationLeg::decode(key, value)?);
        Ok(())
    })
}

/// Puts the changes of one rotation, in order, among its legs.
fn reorder(changes: &[Place], before: Vec<RotationLeg>, run: &mut Run) -> Reordered {
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
    reordered
}
