//! `schedule_violations`: the three kinds of violations as one relation, each told in the domain's words.

use std::fmt::Write as _;

use std::ops::ControlFlow;
use std::sync::Arc;

use rotabase_engine::schedule::{
    FlightDesignator, LegId, MinimumGroundTime, Registration, RotationId,
};
use serde_json::Value;

use crate::error::Result;
use crate::relation::{Access, RelationSchema, RowScan};
use crate::types::Datum;

use super::super::count::Count;
use super::super::fold::designators::Sharing;
use super::super::key::{Key, table};
use super::super::row::{Fields, LegRow, corrupted};
use super::super::rows::{self, Direction, Range, ReadRows};
use super::super::snapshot::Snapshot;
use super::super::violation::{
    ContinuityViolation, DesignatorViolation, GroundTimeViolation, RequiredBy,
};
use super::range::{Part, range};
use super::schema;
use super::table::{Estimates, Projected, difference, no_column};

const COUNTED: [Count; 3] =
    [Count::ContinuityViolations, Count::GroundTimeViolations, Count::DesignatorViolations];

/// The relation `schedule_violations`.
#[derive(Debug)]
pub(super) struct ScheduleViolationsRelation {
    schema: Arc<RelationSchema>,
    estimates: Arc<Estimates>,
}

impl ScheduleViolationsRelation {
    pub(super) fn of(estimates: &Arc<Estimates>) -> Self {
        Self { schema: schema::schedule_violations(), estimates: Arc::clone(estimates) }
    }
}

impl Projected for ScheduleViolationsRelation {
    fn schema(&self) -> &Arc<RelationSchema> {
        &self.schema
    }

    fn scan(
        &self,
        snapshot: &Snapshot,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        let snapshot = snapshot.clone();
        let columns = columns.to_vec();
        Ok(match access {
            Access::Full => {
                // The next one last.
                let tables = [table::DESIGNATOR, table::GROUND_TIME, table::CONTINUITY];
                let left =
                    tables.into_iter().map(|table| Range::prefix(Key::table(table))).collect();
                Box::new(FullScan { snapshot, columns, left })
            }
            Access::Index { index: _, prefix, lower, upper, backward } => {
                let left =
                    range(Key::table(table::ROTATION_LEGS), &[Part::Uuid], prefix, lower, upper)?;
                let direction = if *backward { Direction::Backward } else { Direction::Forward };
                Box::new(RotationScan { snapshot, columns, left, direction })
            }
        })
    }

    fn count(&self, snapshot: &Snapshot) -> rows::Result<u64> {
        let mut rows = 0;
        for count in COUNTED {
            rows += snapshot.count(count)?;
        }
        Ok(rows)
    }

    fn estimate(&self) -> u64 {
        COUNTED.into_iter().map(|count| self.estimates.get(count)).sum()
    }
}

/// What a violation is about: two violations with the same subject are one, wherever their rows stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::projection) enum Subject {
    Continuity(RotationId, LegId, LegId),
    GroundTime(RotationId, Option<Registration>, LegId, LegId),
    Designator(FlightDesignator, LegId),
}

/// A violation of any kind.
#[derive(Clone, Copy, Debug)]
pub(in crate::projection) enum Finding {
    Continuity(ContinuityViolation),
    GroundTime(GroundTimeViolation),
    Designator(DesignatorViolation),
}

impl Finding {
    pub(in crate::projection) fn subject(&self) -> Subject {
        match self {
            Self::Continuity(it) => Subject::Continuity(it.rotation, it.leg, it.next_leg),
            Self::GroundTime(it) => {
                Subject::GroundTime(it.rotation, it.registration, it.leg, it.next_leg)
            }
            Self::Designator(it) => Subject::Designator(it.designator, it.leg),
        }
    }

    /// Its row as JSON, by the names of the columns.
    pub(in crate::projection) fn json(&self, snapshot: &Snapshot) -> rows::Result<String> {
        let mut json = String::from("{");
        for (at, column) in schema::schedule_violations().columns.iter().enumerate() {
            let value = match self.value(at, snapshot)? {
                Datum::Uuid(uuid) => Value::String(uuid.to_string()),
                Datum::Text(text) => Value::String(text.to_string()),
                _ => Value::Null,
            };
            let separator = if at == 0 { "" } else { ", " };
            write!(json, "{separator}\"{}\": {value}", column.name).expect("a string takes it");
        }
        json.push('}');
        Ok(json)
    }

    pub(in crate::projection) fn decode(key: &[u8], value: &[u8]) -> rows::Result<Self> {
        match key.first() {
            Some(&table::CONTINUITY) => {
                ContinuityViolation::decode(key, value).map(Self::Continuity)
            }
            Some(&table::GROUND_TIME) => {
                GroundTimeViolation::decode(key, value).map(Self::GroundTime)
            }
            Some(&table::DESIGNATOR) => DesignatorViolation::decode(key).map(Self::Designator),
            Some(_) | None => Err(corrupted("not a violation")),
        }
    }

    fn value(&self, column: usize, snapshot: &Snapshot) -> rows::Result<Datum> {
        Ok(match column {
            0 => Datum::text(match self {
                Self::Continuity(_) => "continuity",
                Self::GroundTime(_) => "ground_time",
                Self::Designator(_) => "designator",
            }),
            1 => self.rotation(snapshot)?.map_or(Datum::Null, |rotation| Datum::Uuid(rotation.0)),
            2 => Datum::Uuid(self.leg().0),
            3 => Datum::Uuid(self.other_leg(snapshot)?.0),
            4 => Datum::text(self.detail(snapshot)?),
            _ => return Err(no_column(column)),
        })
    }

    fn rotation(&self, snapshot: &Snapshot) -> rows::Result<Option<RotationId>> {
        match self {
            Self::Continuity(violation) => Ok(Some(violation.rotation)),
            Self::GroundTime(violation) => Ok(Some(violation.rotation)),
            Self::Designator(violation) => Ok(leg(snapshot, violation.leg)?.rotation()),
        }
    }

    fn leg(&self) -> LegId {
        match self {
            Self::Continuity(violation) => violation.leg,
            Self::GroundTime(violation) => violation.leg,
            Self::Designator(violation) => violation.leg,
        }
    }

    /// The next leg; of a designator, the first other leg that has it.
    fn other_leg(&self, snapshot: &Snapshot) -> rows::Result<LegId> {
        match self {
            Self::Continuity(violation) => Ok(violation.next_leg),
            Self::GroundTime(violation) => Ok(violation.next_leg),
            Self::Designator(violation) => {
                let mut range = Range::prefix(Key::designator_violations(&violation.designator));
                let first = snapshot
                    .chunk(&mut range, 2, |key, _| Ok(LegId(Fields(&key[16..]).uuid()?)))?;
                let other = first.into_iter().find(|leg| *leg != violation.leg);
                other.ok_or_else(|| corrupted("a designator is shared by one leg"))
            }
        }
    }

    fn detail(&self, snapshot: &Snapshot) -> rows::Result<String> {
        Ok(match self {
            Self::Continuity(violation) => {
                let (leg, next) =
                    (named(snapshot, violation.leg)?, named(snapshot, violation.next_leg)?);
                let ContinuityViolation { arrival_airport, next_departure_airport, .. } = violation;
                format!(
                    "{leg} arrives at {arrival_airport}, but the next, {next}, departs from {next_departure_airport}"
                )
            }
            Self::GroundTime(violation) => {
                let (leg, next) =
                    (named(snapshot, violation.leg)?, named(snapshot, violation.next_leg)?);
                let GroundTimeViolation { airport, registration, required, required_by, .. } =
                    violation;
                let ground_time = difference(violation.ground_time_microseconds);
                let ground_time =
                    MinimumGroundTime::new(0, ground_time.days, ground_time.microseconds)
                        .unwrap_or_default();
                let by = match (required_by, registration) {
                    (RequiredBy::Airplane, Some(registration)) => {
                        format!("airplane {registration}")
                    }
                    (RequiredBy::Airport | RequiredBy::Airplane, _) => format!("airport {airport}"),
                };
                format!(
                    "between {leg} and the next, {next}, are {ground_time} on the ground at {airport}, but {by} requires {required}"
                )
            }
            Self::Designator(violation) => {
                let sharing =
                    snapshot.get(&Key::designator(&violation.designator), Sharing::decode)?;
                let Some(Sharing::Many(legs)) = sharing else {
                    return Err(corrupted("a designator is shared by one leg"));
                };
                format!(
                    "{legs} legs share the flight designator {} of {}",
                    violation.designator, violation.designator.day_of_origin
                )
            }
        })
    }
}

fn leg(snapshot: &Snapshot, id: LegId) -> rows::Result<LegRow> {
    snapshot.leg(id)?.ok_or_else(|| corrupted("a violation names no leg"))
}

/// A leg as a detail names it.
fn named(snapshot: &Snapshot, id: LegId) -> rows::Result<String> {
    let designator = leg(snapshot, id)?.leg.designator;
    Ok(format!("leg {designator} of {}", designator.day_of_origin))
}

/// All violations, kind by kind.
struct FullScan {
    snapshot: Snapshot,
    columns: Vec<usize>,
    // The next one last.
    left: Vec<Range>,
}

impl RowScan for FullScan {
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool> {
        if let Some(mut range) = self.left.pop() {
            let findings = self.snapshot.chunk(&mut range, rows_max.max(1), Finding::decode)?;
            if !range.is_empty() {
                self.left.push(range);
            }
            write(&findings, &self.columns, &self.snapshot, out)?;
        }
        Ok(!self.left.is_empty())
    }
}

/// The violations of rotations, rotation by rotation.
struct RotationScan {
    snapshot: Snapshot,
    columns: Vec<usize>,
    // Of the legs of rotations. None: there is nothing left.
    left: Option<Range>,
    direction: Direction,
}

impl RowScan for RotationScan {
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool> {
        let mut rows = 0;
        while rows < rows_max.max(1) {
            let Some(mut range) = self.left.take() else { return Ok(false) };
            let rotation = self.snapshot.first(&range, self.direction, |key, _| {
                Ok(RotationId(Fields(&key[1..]).uuid()?))
            })?;
            let Some(rotation) = rotation else { return Ok(false) };
            let findings = findings_of(&self.snapshot, rotation)?;
            write(&findings, &self.columns, &self.snapshot, out)?;
            rows += findings.len();
            let legs = Key::legs_of(rotation);
            match self.direction {
                Direction::Forward => {
                    let Some(next) = legs.successor() else { return Ok(false) };
                    range.from = next;
                }
                Direction::Backward => range.to = Some(legs),
            }
            self.left = (!range.is_empty()).then_some(range);
        }
        Ok(self.left.is_some())
    }
}

/// The violations that the legs of a rotation are in.
fn findings_of(snapshot: &Snapshot, rotation: RotationId) -> rows::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for table in [table::CONTINUITY, table::GROUND_TIME] {
        snapshot.visit(
            &Range::prefix(Key::table(table).uuid(rotation.0)),
            Direction::Forward,
            &mut |key, value| {
                findings.push(Finding::decode(key, value)?);
                Ok(ControlFlow::Continue(()))
            },
        )?;
    }
    for leg in snapshot.legs_of_rotation(rotation)? {
        let designator = leg.leg.designator;
        if let Some(Sharing::Many(_)) =
            snapshot.get(&Key::designator(&designator), Sharing::decode)?
        {
            findings.push(Finding::Designator(DesignatorViolation { designator, leg: leg.leg.id }));
        }
    }
    Ok(findings)
}

fn write(
    findings: &[Finding],
    columns: &[usize],
    snapshot: &Snapshot,
    out: &mut Vec<Datum>,
) -> rows::Result<()> {
    for finding in findings {
        for column in columns {
            out.push(finding.value(*column, snapshot)?);
        }
    }
    Ok(())
}
