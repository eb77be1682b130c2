//! Who holds a leg before and after its events, and what follows from the difference.

use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{Event, Leg, LegId};
use smallvec::SmallVec;

use super::super::super::batch::Batched;
use super::super::super::count::Count;
use super::super::super::crew::Crew;
use super::super::super::key::{Key, int8_bytes, table};
use super::super::super::row::{LegOwner, LegRow, RotationLeg};
use super::super::super::rows::{ReadRows, Result};
use super::super::super::run::Run;
use super::super::Fold;
use super::LegEvent;
use super::designators::Sharer;
use super::rotations::Place;
use super::standing::{Standing, Standings, TOUCHED_TOGETHER, by_subject, touch};

/// The key of a leg.
type LegKey = [u8; 17];
/// The key of a departure.
pub(super) type DepartureKey = [u8; 28];
/// The key of an arrival in a rotation.
pub(super) type ArrivalKey = [u8; 44];

/// The events whose legs' rows a thread has in memory at a time.
const EVENTS_AT_ONCE: usize = if cfg!(test) { 8 } else { 1 << 14 };

/// The events of a leg.
#[derive(Debug)]
struct OfLeg<'a> {
    id: LegId,
    key: LegKey,
    events: &'a [Standing],
}

impl<'a> OfLeg<'a> {
    fn new(events: &'a [Standing]) -> Self {
        let id = LegId(events[0].subject());
        Self { id, key: leg_key(id), events }
    }
}

impl AsRef<[u8]> for OfLeg<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.key
    }
}

/// The changes of what follows from the rows of legs; true is for what comes, false for what goes.
#[derive(Debug, Default)]
pub(super) struct Follows {
    pub(super) departures: Vec<(DepartureKey, bool)>,
    pub(super) arrivals: Vec<(ArrivalKey, bool)>,
    pub(super) sharers: Vec<Sharer>,
    pub(super) places: Vec<Place>,
}

/// Everyone who holds a leg: the newest claim is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Claims {
    shown: Option<LegRow>,
    rivals: SmallVec<[LegRow; 1]>,
}

impl Claims {
    fn apply(&mut self, owner: LegOwner, timestamp: Timestamp, event: &Event) {
        match event {
            Event::LegAdded(leg) | Event::OpenLegScheduled(leg) => {
                self.claim(LegRow { leg: **leg, owner, claimed: timestamp, rivals: 0 });
            }
            Event::LegRescheduled(leg) | Event::OpenLegRescheduled(leg) => self.amend(owner, leg),
            Event::LegRemoved { .. } | Event::OpenLegCancelled { .. } => self.release(owner),
            _ => {}
        }
    }

    fn claim(&mut self, claim: LegRow) {
        let Some(shown) = &mut self.shown else {
            self.shown = Some(claim);
            return;
        };
        if shown.owner == claim.owner {
            *shown = claim;
            return;
        }
        self.rivals.retain(|rival| rival.owner != claim.owner);
        let newer = (claim.claimed, claim.owner) > (shown.claimed, shown.owner);
        self.rivals.push(if newer { std::mem::replace(shown, claim) } else { claim });
    }

    fn amend(&mut self, owner: LegOwner, leg: &Leg) {
        let claims = self.shown.iter_mut().chain(&mut self.rivals);
        for claim in claims.filter(|claim| claim.owner == owner) {
            claim.leg = *leg;
        }
    }

    fn release(&mut self, owner: LegOwner) {
        if self.shown.as_ref().is_none_or(|shown| shown.owner != owner) {
            self.rivals.retain(|rival| rival.owner != owner);
            return;
        }
        let newest = self.rivals.iter().enumerate().max_by_key(|(_, it)| (it.claimed, it.owner));
        self.shown = newest.map(|(place, _)| place).map(|place| self.rivals.remove(place));
    }

    fn rivals_has(&self, owner: LegOwner) -> bool {
        self.rivals.iter().any(|rival| rival.owner == owner)
    }

    /// The row that is shown, as it is stored.
    fn row(&self) -> Option<LegRow> {
        let rivals = u32::try_from(self.rivals.len()).expect("few claim one leg");
        self.shown.map(|shown| LegRow { rivals, ..shown })
    }
}

/// What a piece of the events makes of the rows of their legs.
#[derive(Debug, Default)]
struct Claimed {
    legs: Run,
    rivals: Run,
    // How many legs there are more.
    more: i64,
    follows: Follows,
}

impl<B: ReadRows + Sync> Fold<Batched<B>> {
    /// Folds the rows of legs, and gives what follows from their changes.
    pub(super) fn fold_claims(
        &mut self,
        entries: &[CommittedEntry],
        events: &Standings,
    ) -> Result<Follows> {
        let base = &self.rows.base;
        let pieces = events.pieces(EVENTS_AT_ONCE);
        let claimed =
            Crew::of(events.len()).each(pieces, |piece| Claimed::of(base, entries, piece));
        let claimed = claimed.into_iter().collect::<Result<Vec<Claimed>>>()?;
        let mut follows = Follows::with_room(claimed.iter().map(|claimed| &claimed.follows));
        for Claimed { legs, rivals, more, follows: of_piece } in claimed {
            self.rows.batch.push_run(legs);
            self.rows.batch.push_run(rivals);
            self.count(Count::Legs, more);
            follows.append(of_piece);
        }
        Ok(follows)
    }
}

impl Claimed {
    fn of(rows: &impl ReadRows, entries: &[CommittedEntry], events: &[Standing]) -> Result<Self> {
        let legs: Vec<OfLeg<'_>> = by_subject(events).map(OfLeg::new).collect();
        let mut claimed = Self::default();
        let stored = stored_legs(rows, &legs)?;
        let mut rivals = stored_rivals(rows, &stored)?.into_iter().peekable();
        let mut stored = stored.into_iter().peekable();
        for (number, leg) in legs.iter().enumerate() {
            if number % TOUCHED_TOGETHER == 0 {
                let few = &legs[number..legs.len().min(number + TOUCHED_TOGETHER)];
                touch(entries, few.iter().flat_map(|leg| leg.events));
            }
            let row = stored.next_if(|(of, _)| *of == number).map(|(_, row)| row);
            let mut before = Claims { shown: row, rivals: SmallVec::new() };
            while let Some((_, rival)) = rivals.next_if(|(of, _)| *of == number) {
                before.rivals.push(rival);
            }
            let mut after = before.clone();
            for event in leg.events {
                let (entry, ordinal) = event.place();
                let LegEvent { owner, timestamp, event } =
                    LegEvent::read(&entries[entry], ordinal)?;
                after.apply(owner, timestamp, &event);
            }
            claimed.change(leg, &before, &after);
        }
        Ok(claimed)
    }

    fn change(&mut self, leg: &OfLeg<'_>, before: &Claims, after: &Claims) {
        let (was, is) = (before.row(), after.row());
        match &is {
            Some(is) if was.as_ref() != Some(is) => {
                self.legs.put_with(&leg.key, |out| is.encode(out));
            }
            None if was.is_some() => self.legs.delete(&leg.key),
            _ => {}
        }
        self.change_rivals(leg.id, before, after);
        self.more += i64::from(is.is_some()) - i64::from(was.is_some());
        self.follows.change(was.as_ref(), is.as_ref());
    }

    fn change_rivals(&mut self, leg: LegId, before: &Claims, after: &Claims) {
        if before.rivals == after.rivals {
            return;
        }
        let gone = before.rivals.iter().filter(|rival| !after.rivals_has(rival.owner));
        let come = after.rivals.iter().filter(|rival| !before.rivals.contains(rival));
        let gone = gone.map(|rival| (Key::rival(leg, rival.owner), None));
        let come = come.map(|rival| (Key::rival(leg, rival.owner), Some(rival)));
        let mut changes: SmallVec<[(Key, Option<&LegRow>); 2]> = gone.chain(come).collect();
        changes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (key, rival) in changes {
            match rival {
                Some(rival) => {
                    let rival = LegRow { rivals: 0, ..*rival };
                    self.rivals.put_with(&key, |out| rival.encode(out));
                }
                None => self.rivals.delete(&key),
            }
        }
    }
}

/// The rows of the legs that are stored, each with the number of the leg.
fn stored_legs(rows: &impl ReadRows, legs: &[OfLeg<'_>]) -> Result<Vec<(usize, LegRow)>> {
    let mut stored = Vec::new();
    rows.walk(legs, &mut |number, value| {
        stored.push((number, LegRow::decode(&legs[number].key, value)?));
        Ok(())
    })?;
    Ok(stored)
}

/// Those whose claims are not shown, each with the number of the leg.
fn stored_rivals(rows: &impl ReadRows, stored: &[(usize, LegRow)]) -> Result<Vec<(usize, LegRow)>> {
    let contested = stored.iter().filter(|(_, row)| row.rivals > 0);
    let (numbers, prefixes): (Vec<usize>, Vec<Key>) =
        contested.map(|(number, row)| (*number, Key::rivals(row.leg.id))).unzip();
    let mut rivals = Vec::new();
    rows.walk_prefixes(&prefixes, &mut |at, key, value| {
        rivals.push((numbers[at], LegRow::decode(&key[..17], value)?));
        Ok(())
    })?;
    Ok(rivals)
}

impl Follows {
    /// None yet, with room for those of all pieces.
    fn with_room<'f>(all: impl Iterator<Item = &'f Self> + Clone) -> Self {
        Self {
            departures: Vec::with_capacity(all.clone().map(|it| it.departures.len()).sum()),
            arrivals: Vec::with_capacity(all.clone().map(|it| it.arrivals.len()).sum()),
            sharers: Vec::with_capacity(all.clone().map(|it| it.sharers.len()).sum()),
            places: Vec::with_capacity(all.map(|it| it.places.len()).sum()),
        }
    }

    fn append(&mut self, mut other: Self) {
        self.departures.append(&mut other.departures);
        self.arrivals.append(&mut other.arrivals);
        self.sharers.append(&mut other.sharers);
        self.places.append(&mut other.places);
    }

    /// A leg is shown otherwise.
    fn change(&mut self, was: Option<&LegRow>, is: Option<&LegRow>) {
        let departure = |row: &LegRow| departure_key(&row.leg);
        differ(was.map(departure), is.map(departure), &mut self.departures);
        let sharer = |row: &LegRow| (row.leg.designator, row.leg.id);
        if was.map(sharer) != is.map(sharer) {
            self.sharers.extend(was.map(|row| Sharer::of(&row.leg, false)));
            self.sharers.extend(is.map(|row| Sharer::of(&row.leg, true)));
        }
        let place = |row: &LegRow| row.rotation().map(|it| RotationLeg::of(it, &row.leg));
        let (was, is) = (was.and_then(place), is.and_then(place));
        if was != is {
            self.places.extend(was.map(|leg| Place { leg, is_taken: false }));
            self.places.extend(is.map(|leg| Place { leg, is_taken: true }));
        }
        differ(was.map(|it| arrival_key(&it)), is.map(|it| arrival_key(&it)), &mut self.arrivals);
    }
}

/// Notes the key that goes and the one that comes, unless they are the same.
fn differ<K: Copy + PartialEq>(was: Option<K>, is: Option<K>, changes: &mut Vec<(K, bool)>) {
    if was != is {
        changes.extend(was.map(|key| (key, false)));
        changes.extend(is.map(|key| (key, true)));
    }
}

fn leg_key(id: LegId) -> LegKey {
    let mut key = [table::LEGS; 17];
    key[1..].copy_from_slice(id.0.as_bytes());
    key
}

fn departure_key(leg: &Leg) -> DepartureKey {
    let airport = leg.designator.departure_airport;
    let mut key = [table::DEPARTURES; 28];
    key[1..4].copy_from_slice(&airport.stored());
    key[4..12].copy_from_slice(&int8_bytes(leg.block.departure().0));
    key[12..].copy_from_slice(leg.id.0.as_bytes());
    key
}

fn arrival_key(leg: &RotationLeg) -> ArrivalKey {
    let mut key = [table::ARRIVALS; 44];
    key[1..4].copy_from_slice(&leg.arrival_airport.stored());
    key[4..20].copy_from_slice(leg.rotation.0.as_bytes());
    key[20..28].copy_from_slice(&int8_bytes(leg.departure.0));
    key[28..].copy_from_slice(leg.id.0.as_bytes());
    key
}
