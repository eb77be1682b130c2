//! Which aggregates the rows of a relation come from, for [`super::Reads`].

use rotabase_engine::position::Version;
use rotabase_engine::schedule::{AggregateId, FlightId, FlightNumber, LegId, RotationId};

use super::Reads;
use crate::error::Result;
use crate::projection::Snapshot;
use crate::relation::{Access, RelationSchema};
use crate::types::Datum;

/// A relation whose rows come from aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracked {
    Airports,
    Airplanes,
    Rotations,
    Legs,
    ContinuityViolations,
    GroundTimeViolations,
    DesignatorViolations,
    ScheduleViolations,
}

impl Tracked {
    /// That of a relation; none for one whose rows never change or are no part of the schedule.
    pub(crate) fn of(schema: &RelationSchema) -> Option<Self> {
        if schema.schema != crate::catalog::PUBLIC {
            return None;
        }
        Some(match schema.name {
            "airports" => Self::Airports,
            "airplanes" => Self::Airplanes,
            "rotations" => Self::Rotations,
            "legs" => Self::Legs,
            "continuity_violations" => Self::ContinuityViolations,
            "ground_time_violations" => Self::GroundTimeViolations,
            "designator_violations" => Self::DesignatorViolations,
            "schedule_violations" => Self::ScheduleViolations,
            _ => return None,
        })
    }

    /// The columns that tell the aggregates of a row.
    pub(crate) fn columns(self) -> &'static [usize] {
        match self {
            Self::Airports => &[0, 2],
            Self::Airplanes => &[0, 4],
            Self::Rotations => &[0, 5],
            // Rotation, carrier, flight number, suffix, version.
            Self::Legs => &[1, 2, 3, 4, 16],
            Self::ContinuityViolations => &[0],
            Self::GroundTimeViolations => &[0, 1],
            Self::DesignatorViolations => &[5],
            Self::ScheduleViolations => &[1, 2],
        }
    }

    /// Notes what a look-up stands for, whatever it finds: whose key it names, or whose rotation.
    pub(crate) fn note_access(
        self,
        access: &Access,
        snapshot: &Snapshot,
        reads: &Reads,
    ) -> Result<()> {
        let Access::Index { index, prefix, .. } = access else { return Ok(()) };
        let Some(first) = prefix.first() else { return Ok(()) };
        let id = match (self, *index) {
            (Self::Airports, 0) => airport(first),
            (Self::Airplanes, 0) => airplane(first),
            (Self::Legs, 1)
            | (
                Self::Rotations
                | Self::ContinuityViolations
                | Self::GroundTimeViolations
                | Self::ScheduleViolations,
                0,
            ) => rotation(first),
            (Self::Legs, 0) => {
                if let Datum::Uuid(id) = first
                    && snapshot.leg(LegId(*id))?.is_none()
                {
                    reads.note_absent_leg(LegId(*id));
                }
                None
            }
            _ => None,
        };
        if let Some(id) = id {
            reads.note([(id, snapshot.version(&id)?)]);
        }
        Ok(())
    }

    /// Notes the aggregates of rows, given as [`Tracked::columns`].
    pub(crate) fn note_rows<'r>(
        self,
        rows: impl Iterator<Item = &'r [Datum]>,
        snapshot: &Snapshot,
        reads: &Reads,
    ) -> Result<()> {
        let mut noted = Vec::new();
        for row in rows {
            self.aggregates(row, snapshot, &mut |id, version| {
                // Rows of one aggregate mostly stand together.
                if noted.last().is_none_or(|(last, _)| *last != id) {
                    let version = match version {
                        Some(version) => version,
                        None => snapshot.version(&id)?,
                    };
                    noted.push((id, version));
                }
                Ok(())
            })?;
        }
        reads.note(noted);
        Ok(())
    }

    fn aggregates(
        self,
        row: &[Datum],
        snapshot: &Snapshot,
        note: &mut dyn FnMut(AggregateId, Option<Version>) -> Result<()>,
    ) -> Result<()> {
        let mut some = |id: Option<AggregateId>, version| id.map_or(Ok(()), |id| note(id, version));
        match (self, row) {
            (Self::Airports, [code, v]) => some(airport(code), version(v)),
            (Self::Airplanes, [registration, v]) => some(airplane(registration), version(v)),
            (Self::Rotations, [id, v]) => some(rotation(id), version(v)),
            (Self::Legs, [id, carrier, number, suffix, v]) => {
                let id = rotation(id).or_else(|| flight(carrier, number, suffix));
                some(id, version(v))
            }
            (Self::ContinuityViolations, [id]) => some(rotation(id), None),
            (Self::GroundTimeViolations, [id, registration]) => {
                some(rotation(id), None)?;
                some(airplane(registration), None)
            }
            (Self::DesignatorViolations, [leg]) => some(holder(leg, snapshot)?, None),
            (Self::ScheduleViolations, [id, leg]) => {
                let id = match rotation(id) {
                    None => holder(leg, snapshot)?,
                    id => id,
                };
                some(id, None)
            }
            _ => Ok(()),
        }
    }
}

fn version(datum: &Datum) -> Option<Version> {
    match datum {
        Datum::Int8(version) => u64::try_from(*version).ok().map(Version),
        _ => None,
    }
}

fn text(datum: &Datum) -> Option<&str> {
    match datum {
        Datum::Text(text) => Some(text),
        _ => None,
    }
}

fn airport(code: &Datum) -> Option<AggregateId> {
    text(code)?.parse().ok().map(AggregateId::Airport)
}

fn airplane(registration: &Datum) -> Option<AggregateId> {
    text(registration)?.parse().ok().map(AggregateId::Airplane)
}

fn rotation(id: &Datum) -> Option<AggregateId> {
    match id {
        Datum::Uuid(id) => Some(AggregateId::Rotation(RotationId(*id))),
        _ => None,
    }
}

fn flight(carrier: &Datum, number: &Datum, suffix: &Datum) -> Option<AggregateId> {
    let Datum::Int4(number) = number else { return None };
    Some(AggregateId::Flight(FlightId {
        carrier: text(carrier)?.parse().ok()?,
        number: FlightNumber::new(i64::from(*number))?,
        suffix: text(suffix)?.parse().ok()?,
    }))
}

/// The aggregate that holds a leg.
fn holder(leg: &Datum, snapshot: &Snapshot) -> Result<Option<AggregateId>> {
    let Datum::Uuid(id) = leg else { return Ok(None) };
    Ok(snapshot.leg(LegId(*id))?.map(|row| row.owner.aggregate()))
}
