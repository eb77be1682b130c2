//! The order of legs within a rotation, and the violations between neighbours in it.

use rotabase_engine::schedule::{AirportCode, Leg, MinimumGroundTime, Registration, RotationId};

use super::super::count::Count;
use super::super::key::Key;
use super::super::row::{self, Fields, RotationLeg};
use super::super::rows::{Direction, Range, Result, Rows};
use super::super::violation::{GroundTimeViolation, check_continuity, check_ground_time};
use super::order::{self, ROTATION_LEGS_MAX};
use super::{Airplanes, CHUNK_ROWS_MAX, Fold, ROTATIONS_REMEMBERED_MAX};

/// A pair of neighbours begins or ends to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Begins,
    Ends,
}

impl<R: Rows> Fold<R> {
    /// A leg takes its place in a rotation.
    pub(super) fn enter_rotation(&mut self, rotation: RotationId, leg: &Leg) -> Result<()> {
        let leg = RotationLeg::of(rotation, leg);
        let (previous, next) = self.neighbours(&leg)?;
        self.rows.put(leg.key(), &leg.encode());
        self.orders.insert(&leg);
        self.rows.put(Key::arrival(leg.arrival_airport, rotation, leg.departure, leg.id), &[]);
        if let (Some(previous), Some(next)) = (&previous, &next) {
            self.pair(previous, next, Change::Ends)?;
        }
        if let Some(previous) = &previous {
            self.pair(previous, &leg, Change::Begins)?;
        }
        if let Some(next) = &next {
            self.pair(&leg, next, Change::Begins)?;
        }
        let Some(mut row) = self.rotation(rotation)? else { return Ok(()) };
        row.legs += 1;
        if previous.is_none() {
            row.first_departure = Some(leg.departure);
        }
        if next.is_none() {
            row.last_arrival = Some(leg.arrival);
        }
        self.rows.put(Key::rotation(rotation), &row.encode());
        Ok(())
    }

    /// A leg gives up its place in a rotation.
    pub(super) fn leave_rotation(&mut self, rotation: RotationId, leg: &Leg) -> Result<()> {
        let leg = RotationLeg::of(rotation, leg);
        let (previous, next) = self.neighbours(&leg)?;
        self.rows.delete(leg.key());
        self.orders.remove(&leg);
        self.rows.delete(Key::arrival(leg.arrival_airport, rotation, leg.departure, leg.id));
        if let Some(previous) = &previous {
            self.pair(previous, &leg, Change::Ends)?;
        }
        if let Some(next) = &next {
            self.pair(&leg, next, Change::Ends)?;
        }
        if let (Some(previous), Some(next)) = (&previous, &next) {
            self.pair(previous, next, Change::Begins)?;
        }
        let Some(mut row) = self.rotation(rotation)? else { return Ok(()) };
        row.legs = row.legs.saturating_sub(1);
        if previous.is_none() {
            row.first_departure = next.map(|next| next.departure);
        }
        if next.is_none() {
            row.last_arrival = previous.map(|previous| previous.arrival);
        }
        self.rows.put(Key::rotation(rotation), &row.encode());
        Ok(())
    }

    /// The minimum ground time of an airport is another: the pairs on its ground are checked again.
    pub(super) fn airport_changed(
        &mut self,
        code: AirportCode,
        before: Option<MinimumGroundTime>,
        after: Option<MinimumGroundTime>,
    ) -> Result<()> {
        let mut arrivals = Range::prefix(Key::arrivals_at(code));
        while !arrivals.is_empty() {
            // The key of an arrival ends with the key of the leg in its rotation.
            let legs = self.rows.chunk(&mut arrivals, CHUNK_ROWS_MAX, |key, _| {
                let mut fields = Fields(&key[4..]);
                Ok(Key::legs_of(RotationId(fields.uuid()?)).bytes(fields.0))
            })?;
            for key in legs {
                let Some(leg) = self.rows.get(&key, |value| RotationLeg::decode(&key, value))?
                else {
                    continue;
                };
                let Some(next) = self.next(&leg)? else { continue };
                for airplane in self.checked_airplanes(leg.rotation)? {
                    let was = check_ground_time(&leg, &next, before, airplane);
                    let is = check_ground_time(&leg, &next, after, airplane);
                    self.set_ground_time(&leg, airplane.map(|it| it.0), was, is);
                }
            }
        }
        Ok(())
    }

    /// An airplane begins to fly a rotation (`before` is none), ends to (`after` is none), or has another minimum.
    /// `others` says whether the rotation has other airplanes.
    pub(super) fn rotation_airplane_changed(
        &mut self,
        rotation: RotationId,
        registration: Registration,
        before: Option<MinimumGroundTime>,
        after: Option<MinimumGroundTime>,
        others: bool,
    ) -> Result<()> {
        let mut legs = Range::prefix(Key::legs_of(rotation));
        let mut last: Option<RotationLeg> = None;
        while !legs.is_empty() {
            for next in self.rows.chunk(&mut legs, CHUNK_ROWS_MAX, RotationLeg::decode)? {
                let Some(leg) = last.replace(next) else { continue };
                let airport = self.airport(leg.arrival_airport)?;
                let check = |minimum: Option<MinimumGroundTime>| {
                    minimum.and_then(|minimum| {
                        check_ground_time(&leg, &next, airport, Some((registration, minimum)))
                    })
                };
                self.set_ground_time(&leg, Some(registration), check(before), check(after));
                if !others && before.is_some() != after.is_some() {
                    let alone = check_ground_time(&leg, &next, airport, None);
                    self.set_ground_time(
                        &leg,
                        None,
                        alone.filter(|_| before.is_none()),
                        alone.filter(|_| after.is_none()),
                    );
                }
            }
        }
        Ok(())
    }

    fn pair(&mut self, leg: &RotationLeg, next: &RotationLeg, change: Change) -> Result<()> {
        self.pairs(leg.rotation, &[(*leg, *next)], change)
    }

    /// Pairs of neighbours in a rotation begin, or end, to be such.
    pub(super) fn pairs(
        &mut self,
        rotation: RotationId,
        pairs: &[(RotationLeg, RotationLeg)],
        change: Change,
    ) -> Result<()> {
        if pairs.is_empty() {
            return Ok(());
        }
        let airplanes = self.checked_airplanes(rotation)?;
        pairs.iter().try_for_each(|(leg, next)| self.check_pair(leg, next, &airplanes, change))
    }

    fn check_pair(
        &mut self,
        leg: &RotationLeg,
        next: &RotationLeg,
        airplanes: &[Option<(Registration, MinimumGroundTime)>],
        change: Change,
    ) -> Result<()> {
        if let Some(violation) = check_continuity(leg, next) {
            let key = Key::continuity(leg.rotation, leg.departure, leg.id);
            match change {
                Change::Begins => self.rows.put(key, &violation.encode()),
                Change::Ends => self.rows.delete(key),
            }
            self.count(Count::ContinuityViolations, if change == Change::Begins { 1 } else { -1 });
        }
        let airport = self.airport(leg.arrival_airport)?;
        for airplane in airplanes.iter().copied() {
            let violation = check_ground_time(leg, next, airport, airplane);
            let (was, is) = match change {
                Change::Begins => (None, violation),
                Change::Ends => (violation, None),
            };
            self.set_ground_time(leg, airplane.map(|it| it.0), was, is);
        }
        Ok(())
    }

    fn set_ground_time(
        &mut self,
        leg: &RotationLeg,
        registration: Option<Registration>,
        was: Option<GroundTimeViolation>,
        is: Option<GroundTimeViolation>,
    ) {
        if was == is {
            return;
        }
        let key = Key::ground_time(leg.rotation, leg.departure, leg.id, registration);
        match &is {
            Some(violation) => self.rows.put(key, &violation.encode()),
            None => self.rows.delete(key),
        }
        self.count(Count::GroundTimeViolations, i64::from(is.is_some()) - i64::from(was.is_some()));
    }

    /// The legs before and after a leg, whether it has its place or not.
    fn neighbours(&mut self, leg: &RotationLeg) -> Result<Neighbours> {
        if self.remembers_orders && self.orders.get(leg.rotation).is_none() {
            self.remember_order(leg.rotation)?;
        }
        match self.orders.get(leg.rotation) {
            Some(legs) => Ok(order::neighbours(legs, leg)),
            None => Ok((self.previous(leg)?, self.next(leg)?)),
        }
    }

    fn remember_order(&mut self, rotation: RotationId) -> Result<()> {
        if !self.orders.has_room() {
            return Ok(());
        }
        let key = Key::rotation(rotation);
        let legs = self.rows.get(&key, |value| Fields(&value[row::rotation::LEGS..]).uint8())?;
        let few = legs.and_then(|legs| usize::try_from(legs).ok());
        if few.is_none_or(|legs| legs >= ROTATION_LEGS_MAX) {
            return Ok(());
        }
        let mut range = Range::prefix(Key::legs_of(rotation));
        let legs = self.rows.chunk(&mut range, ROTATION_LEGS_MAX, RotationLeg::decode)?;
        if range.is_empty() {
            self.orders.remember(rotation, legs);
        }
        Ok(())
    }

    fn previous(&self, leg: &RotationLeg) -> Result<Option<RotationLeg>> {
        let before = Range { from: Key::legs_of(leg.rotation), to: Some(leg.key()) };
        self.rows.first(&before, Direction::Backward, RotationLeg::decode)
    }

    fn next(&self, leg: &RotationLeg) -> Result<Option<RotationLeg>> {
        let after =
            Range { from: leg.key().just_after(), to: Key::legs_of(leg.rotation).successor() };
        self.rows.first(&after, Direction::Forward, RotationLeg::decode)
    }

    /// What the ground times of a rotation are checked against beside the airport: each of its airplanes, or once
    /// nothing if it has none.
    fn checked_airplanes(&mut self, rotation: RotationId) -> Result<SmallChecks> {
        let airplanes = self.airplanes_of(rotation)?;
        Ok(if airplanes.is_empty() {
            SmallChecks::from_elem(None, 1)
        } else {
            airplanes.into_iter().map(Some).collect()
        })
    }

    /// The airplanes of a rotation in order of their registrations.
    pub(super) fn airplanes_of(&mut self, rotation: RotationId) -> Result<Airplanes> {
        if let Some(known) = self.airplanes.get(&rotation) {
            return Ok(known.clone());
        }
        let mut airplanes = Airplanes::new();
        self.rows.visit(
            &Range::prefix(Key::airplanes_of(rotation)),
            Direction::Forward,
            &mut |key, value| {
                airplanes.push((Fields(&key[17..]).code(10)?, Fields(value).minimum()?));
                Ok(std::ops::ControlFlow::Continue(()))
            },
        )?;
        if self.airplanes.len() >= ROTATIONS_REMEMBERED_MAX {
            self.airplanes.clear();
        }
        self.airplanes.insert(rotation, airplanes.clone());
        Ok(airplanes)
    }
}

/// The leg before and the leg after.
type Neighbours = (Option<RotationLeg>, Option<RotationLeg>);

/// Airplanes to check against; none stands for no airplane.
type SmallChecks = smallvec::SmallVec<[Option<(Registration, MinimumGroundTime)>; 1]>;
