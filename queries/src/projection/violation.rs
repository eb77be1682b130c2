//! The three checks of validation, as pure functions, and the findings they give.

use std::fmt;

use rotabase_engine::schedule::{
    AirportCode, FlightDesignator, LegId, MinimumGroundTime, Registration, RotationId,
};

use super::key::{Key, REGISTRATION_BYTES};
use super::row::{Fields, RotationLeg, corrupted};
use super::rows::Result;

/// A leg arrives elsewhere than the next leg of its rotation departs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContinuityViolation {
    /// The rotation.
    pub rotation: RotationId,
    /// The leg.
    pub leg: LegId,
    /// The next leg.
    pub next_leg: LegId,
    /// Where the leg arrives.
    pub arrival_airport: AirportCode,
    /// Where the next leg departs.
    pub next_departure_airport: AirportCode,
}

/// An airplane stands too short a time between two legs of its rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroundTimeViolation {
    /// The rotation.
    pub rotation: RotationId,
    /// The airplane; none if the rotation has none.
    pub registration: Option<Registration>,
    /// The leg.
    pub leg: LegId,
    /// The next leg.
    pub next_leg: LegId,
    /// Where the leg arrives.
    pub airport: AirportCode,
    /// From its arrival to the next departure, in microseconds.
    pub ground_time_microseconds: i64,
    /// The larger of the two minimums, as it was written.
    pub required: MinimumGroundTime,
    /// Whose minimum it is.
    pub required_by: RequiredBy,
}

/// Whose minimum ground time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredBy {
    /// The airport's, also when both are the same.
    Airport,
    /// The airplane's.
    Airplane,
}

impl fmt::Display for RequiredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Airport => "airport",
            Self::Airplane => "airplane",
        })
    }
}

/// A leg shares its designator with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DesignatorViolation {
    /// The designator.
    pub designator: FlightDesignator,
    /// The leg.
    pub leg: LegId,
}

/// Checks that `next` departs where `leg` arrives.
pub fn check_continuity(leg: &RotationLeg, next: &RotationLeg) -> Option<ContinuityViolation> {
    (leg.arrival_airport != next.departure_airport).then_some(ContinuityViolation {
        rotation: leg.rotation,
        leg: leg.id,
        next_leg: next.id,
        arrival_airport: leg.arrival_airport,
        next_departure_airport: next.departure_airport,
    })
}

/// Checks that the time between `leg` and `next` is enough for the airport, if it is registered, and for the
/// airplane, if there is one.
pub fn check_ground_time(
    leg: &RotationLeg,
    next: &RotationLeg,
    airport: Option<MinimumGroundTime>,
    airplane: Option<(Registration, MinimumGroundTime)>,
) -> Option<GroundTimeViolation> {
    let airport = airport.unwrap_or_default();
    let (required, required_by) = match airplane {
        Some((_, minimum)) if minimum.microseconds() > airport.microseconds() => {
            (minimum, RequiredBy::Airplane)
        }
        Some(_) | None => (airport, RequiredBy::Airport),
    };
    let ground_time_microseconds = next.departure.0.saturating_sub(leg.arrival.0);
    (ground_time_microseconds < required.microseconds()).then_some(GroundTimeViolation {
        rotation: leg.rotation,
        registration: airplane.map(|(registration, _)| registration),
        leg: leg.id,
        next_leg: next.id,
        airport: leg.arrival_airport,
        ground_time_microseconds,
        required,
        required_by,
    })
}

impl ContinuityViolation {
    pub(crate) fn encode(&self) -> Key {
        let key = Key::default().uuid(self.next_leg.0);
        key.code(self.arrival_airport.as_str(), 3).code(self.next_departure_airport.as_str(), 3)
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let (mut key, mut value) = (Fields(&key[1..]), Fields(value));
        let rotation = RotationId(key.uuid()?);
        key.int8()?;
        Ok(Self {
            rotation,
            leg: LegId(key.uuid()?),
            next_leg: LegId(value.uuid()?),
            arrival_airport: value.code(3)?,
            next_departure_airport: value.code(3)?,
        })
    }
}

impl GroundTimeViolation {
    pub(crate) fn encode(&self) -> Key {
        let key = Key::default().uuid(self.next_leg.0).code(self.airport.as_str(), 3);
        let by = match self.required_by {
            RequiredBy::Airport => 1,
            RequiredBy::Airplane => 2,
        };
        key.int8(self.ground_time_microseconds).minimum(self.required).bytes(&[by])
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let (mut key, mut value) = (Fields(&key[1..]), Fields(value));
        let rotation = RotationId(key.uuid()?);
        key.int8()?;
        Ok(Self {
            rotation,
            leg: LegId(key.uuid()?),
            registration: key.optional_code(REGISTRATION_BYTES)?,
            next_leg: LegId(value.uuid()?),
            airport: value.code(3)?,
            ground_time_microseconds: value.int8()?,
            required: value.minimum()?,
            required_by: match value.byte()? {
                1 => RequiredBy::Airport,
                2 => RequiredBy::Airplane,
                _ => return Err(corrupted("neither airport nor airplane")),
            },
        })
    }
}

impl DesignatorViolation {
    pub(crate) fn decode(key: &[u8]) -> Result<Self> {
        let mut key = Fields(&key[1..]);
        Ok(Self { designator: key.designator()?, leg: LegId(key.uuid()?) })
    }
}
