//! Validation as a planner would do it by hand: plain loops over all rows. Slow, and the measure of what is
//! maintained: both always give the same violations.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rotabase_engine::schedule::{
    AirportCode, FlightDesignator, LegId, MinimumGroundTime, Registration, RotationId,
};

use super::key::{Key, table};
use super::row::{AirplaneRow, AirportRow, LegRow, RotationLeg};
use super::rows::{Direction, Range, ReadRows, Result};
use super::violation::{
    ContinuityViolation, DesignatorViolation, GroundTimeViolation, check_continuity,
    check_ground_time,
};

/// All violations of a schedule, in the order of the views: by rotation and time, and by designator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// Legs that arrive elsewhere than the next departs.
    pub continuity: Vec<ContinuityViolation>,
    /// Legs followed too soon by the next.
    pub ground_time: Vec<GroundTimeViolation>,
    /// Legs that share a designator.
    pub designator: Vec<DesignatorViolation>,
}

/// Computes all violations from the airports, the airplanes and the legs alone.
pub fn recompute(
    airports: &[AirportRow],
    airplanes: &[AirplaneRow],
    legs: &[LegRow],
) -> Violations {
    let airports: BTreeMap<AirportCode, MinimumGroundTime> =
        airports.iter().map(|airport| (airport.code, airport.minimum_ground_time)).collect();
    let mut flown_by: BTreeMap<RotationId, BTreeMap<Registration, MinimumGroundTime>> =
        BTreeMap::new();
    for airplane in airplanes {
        if let Some(rotation) = airplane.rotation {
            flown_by
                .entry(rotation)
                .or_default()
                .insert(airplane.registration, airplane.minimum_ground_time);
        }
    }
    let mut rotations: BTreeMap<RotationId, Vec<RotationLeg>> = BTreeMap::new();
    let mut designators: BTreeMap<FlightDesignator, Vec<LegId>> = BTreeMap::new();
    for row in legs {
        designators.entry(row.leg.designator).or_default().push(row.leg.id);
        if let Some(rotation) = row.rotation() {
            rotations.entry(rotation).or_default().push(RotationLeg::of(rotation, &row.leg));
        }
    }
    let mut violations = Violations::default();
    for (rotation, mut legs) in rotations {
        legs.sort_by_key(|leg| (leg.departure, leg.id));
        for (leg, next) in legs.iter().zip(legs.iter().skip(1)) {
            violations.continuity.extend(check_continuity(leg, next));
            let airport = airports.get(&leg.arrival_airport).copied();
            match flown_by.get(&rotation) {
                None => violations.ground_time.extend(check_ground_time(leg, next, airport, None)),
                Some(airplanes) => violations.ground_time.extend(airplanes.iter().filter_map(
                    |(registration, minimum)| {
                        check_ground_time(leg, next, airport, Some((*registration, *minimum)))
                    },
                )),
            }
        }
    }
    for (designator, mut legs) in designators {
        legs.sort();
        if legs.len() > 1 {
            violations
                .designator
                .extend(legs.into_iter().map(|leg| DesignatorViolation { designator, leg }));
        }
    }
    violations
}

/// Computes all violations from the rows of airports, airplanes and legs.
pub(crate) fn recomputed(rows: &impl ReadRows) -> Result<Violations> {
    let airports = all(rows, table::AIRPORTS, AirportRow::decode)?;
    let airplanes = all(rows, table::AIRPLANES, AirplaneRow::decode)?;
    let legs = all(rows, table::LEGS, LegRow::decode)?;
    Ok(recompute(&airports, &airplanes, &legs))
}

/// Reads all violations as they are maintained.
pub(crate) fn maintained(rows: &impl ReadRows) -> Result<Violations> {
    Ok(Violations {
        continuity: all(rows, table::CONTINUITY, ContinuityViolation::decode)?,
        ground_time: all(rows, table::GROUND_TIME, GroundTimeViolation::decode)?,
        designator: all(rows, table::DESIGNATOR, |key, _| DesignatorViolation::decode(key))?,
    })
}

/// All rows of a table.
pub(crate) fn all<T>(
    rows: &impl ReadRows,
    table: u8,
    decode: impl Fn(&[u8], &[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    rows.visit(&Range::prefix(Key::table(table)), Direction::Forward, &mut |key, value| {
        found.push(decode(key, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
