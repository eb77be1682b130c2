//! The columns and indexes of the stored relations.

use std::sync::Arc;

use rotabase_engine::schedule::{AggregateId, LegId, RotationId};
use std::ops::ControlFlow;

use crate::column::ColumnKind;
use crate::relation::RelationSchema;
use crate::types::Datum;

use super::super::count::Count;
use super::super::fold::designators::Sharing;
use super::super::key::{DESIGNATOR_BYTES, Key, REGISTRATION_BYTES, table};
use super::super::row::{self, Fields, corrupted};
use super::super::rows::{Direction, Range, ReadRows, Result};
use super::super::snapshot::Snapshot;
use super::range::Part;
use super::schema;
use super::table::{Layout, Table, Versions, difference, minimum, no_column};

#[derive(Debug)]
pub(super) struct Airports;
#[derive(Debug)]
pub(super) struct Airplanes;
#[derive(Debug)]
pub(super) struct Rotations;
#[derive(Debug)]
pub(super) struct Legs;
#[derive(Debug)]
pub(super) struct ContinuityViolations;
#[derive(Debug)]
pub(super) struct GroundTimeViolations;
#[derive(Debug)]
pub(super) struct DesignatorViolations;

impl Table for Airports {
    const COUNT: Count = Count::Airports;

    fn schema() -> Arc<RelationSchema> {
        schema::airports()
    }

    fn indexes() -> &'static [Layout] {
        &[Layout { table: table::AIRPORTS, parts: &[Part::Code(3)], rows: None }]
    }

    fn value(column: usize, key: &[u8], value: &[u8], versions: &mut Versions) -> Result<Datum> {
        Ok(match column {
            0 => Datum::text(Fields(&key[1..]).code_text(3)?),
            1 => minimum(Fields(value).minimum()?),
            2 => return versions.of(AggregateId::Airport(Fields(&key[1..]).code(3)?)),
            _ => return Err(no_column(column)),
        })
    }
}

impl Table for Airplanes {
    const COUNT: Count = Count::Airplanes;

    fn schema() -> Arc<RelationSchema> {
        schema::airplanes()
    }

    fn indexes() -> &'static [Layout] {
        &[
            Layout {
                table: table::AIRPLANES,
                parts: &[Part::Code(REGISTRATION_BYTES)],
                rows: None,
            },
            Layout {
                table: table::ROTATION_AIRPLANES,
                parts: &[Part::Uuid, Part::Code(REGISTRATION_BYTES)],
                rows: Some(|_, key, _, keys| {
                    keys.push(Key::table(table::AIRPLANES).bytes(&key[17..]));
                    Ok(())
                }),
            },
        ]
    }

    fn value(column: usize, key: &[u8], value: &[u8], versions: &mut Versions) -> Result<Datum> {
        let mut registration = Fields(&key[1..]);
        Ok(match column {
            0 => Datum::text(registration.code_text(REGISTRATION_BYTES)?),
            1 => optional_text(at(value, row::airplane::TYPE).code_text(4)?),
            2 => minimum(at(value, row::airplane::MINIMUM).minimum()?),
            3 => at(value, row::airplane::ROTATION)
                .optional(16, Fields::uuid)?
                .map_or(Datum::Null, Datum::Uuid),
            4 => return versions.of(AggregateId::Airplane(registration.code(REGISTRATION_BYTES)?)),
            _ => return Err(no_column(column)),
        })
    }
}

impl Table for Rotations {
    const COUNT: Count = Count::Rotations;

    fn schema() -> Arc<RelationSchema> {
        schema::rotations()
    }

    fn indexes() -> &'static [Layout] {
        &[
            Layout { table: table::ROTATIONS, parts: &[Part::Uuid], rows: None },
            Layout {
                table: table::ROTATION_NAMES,
                parts: &[Part::Text, Part::Uuid],
                rows: Some(|_, key, _, keys| {
                    keys.push(Key::table(table::ROTATIONS).bytes(trailing_uuid(key)?));
                    Ok(())
                }),
            },
        ]
    }

    fn value(column: usize, key: &[u8], value: &[u8], versions: &mut Versions) -> Result<Datum> {
        Ok(match column {
            0 => Datum::Uuid(Fields(&key[1..]).uuid()?),
            1 => {
                row::rotation_name(at(value, row::rotation::NAME))?.map_or(Datum::Null, Datum::text)
            }
            2 => {
                let legs = at(value, row::rotation::LEGS).uint8()?;
                Datum::Int8(i64::try_from(legs).map_err(|_| corrupted("too many legs"))?)
            }
            3 => optional_time(at(value, row::rotation::FIRST_DEPARTURE))?,
            4 => optional_time(at(value, row::rotation::LAST_ARRIVAL))?,
            5 => return versions.of(AggregateId::Rotation(RotationId(Fields(&key[1..]).uuid()?))),
            _ => return Err(no_column(column)),
        })
    }
}

impl Table for Legs {
    const COUNT: Count = Count::Legs;

    /// All but the version, which changes with its aggregate's other legs.
    const COLUMNS: &'static [ColumnKind] = &[
        ColumnKind::Uuid,
        ColumnKind::Uuid,
        ColumnKind::Code,
        ColumnKind::Int4,
        ColumnKind::Code,
        ColumnKind::Date,
        ColumnKind::Code,
        ColumnKind::Code,
        ColumnKind::TimestampTz,
        ColumnKind::TimestampTz,
        ColumnKind::Int4,
        ColumnKind::Int4,
        ColumnKind::Int4,
        ColumnKind::Int4,
        ColumnKind::Code,
        ColumnKind::Code,
    ];

    const AGGREGATE: &'static [usize] = &[1, 2, 3, 4];

    fn aggregate(values: &[Datum]) -> Result<AggregateId> {
        match values {
            [Datum::Uuid(rotation), ..] => Ok(AggregateId::Rotation(RotationId(*rotation))),
            [_, Datum::Text(carrier), Datum::Int4(number), Datum::Text(suffix)] => {
                let key = Key::default().code(carrier, 3).int4(*number).code(suffix, 1);
                Ok(AggregateId::Flight(Fields(&key).flight()?))
            }
            _ => Err(corrupted("a leg without an owner")),
        }
    }

    fn schema() -> Arc<RelationSchema> {
        schema::legs()
    }

    fn indexes() -> &'static [Layout] {
        &[
            Layout { table: table::LEGS, parts: &[Part::Uuid], rows: None },
            Layout {
                table: table::ROTATION_LEGS,
                parts: &[Part::Uuid, Part::Time, Part::Uuid],
                rows: Some(leg_at_end),
            },
            Layout {
                table: table::DESIGNATORS,
                parts: &[Part::Code(3), Part::Int4, Part::Code(1), Part::Code(3), Part::Int4],
                rows: Some(legs_of_designator),
            },
            Layout {
                table: table::DEPARTURES,
                parts: &[Part::Code(3), Part::Time, Part::Uuid],
                rows: Some(leg_at_end),
            },
        ]
    }

    fn value(column: usize, key: &[u8], value: &[u8], versions: &mut Versions) -> Result<Datum> {
        Ok(match column {
            0 => Datum::Uuid(Fields(&key[1..]).uuid()?),
            1 => at(value, row::leg::OWNER)
                .owner()?
                .rotation()
                .map_or(Datum::Null, |rotation| Datum::Uuid(rotation.0)),
            2 => Datum::text(at(value, row::leg::CARRIER).code_text(3)?),
            3 => Datum::Int4(at(value, row::leg::FLIGHT_NUMBER).int4()?),
            4 => Datum::text(at(value, row::leg::SUFFIX).code_text(1)?),
            5 => Datum::Date(at(value, row::leg::DAY_OF_ORIGIN).int4()?),
            6 => Datum::text(at(value, row::leg::DEPARTURE_AIRPORT).code_text(3)?),
            7 => Datum::text(at(value, row::leg::ARRIVAL_AIRPORT).code_text(3)?),
            8 => Datum::TimestampTz(at(value, row::leg::DEPARTURE).int8()?),
            9 => Datum::TimestampTz(at(value, row::leg::ARRIVAL).int8()?),
            10 => Datum::Int4(at(value, row::leg::DEPARTURE_OFFSET).int4()?),
            11 => Datum::Int4(at(value, row::leg::ARRIVAL_OFFSET).int4()?),
            12 => Datum::Int4(at(value, row::leg::SEQUENCE).int4()?),
            13 => Datum::Int4(at(value, row::leg::VARIATION).int4()?),
            14 => Datum::text(at(value, row::leg::SERVICE_TYPE).code_text(1)?),
            15 => optional_text(at(value, row::leg::AIRCRAFT_TYPE).code_text(4)?),
            16 => return versions.of(at(value, row::leg::OWNER).owner()?.aggregate()),
            _ => return Err(no_column(column)),
        })
    }
}

impl Table for ContinuityViolations {
    const COUNT: Count = Count::ContinuityViolations;

    fn schema() -> Arc<RelationSchema> {
        schema::continuity_violations()
    }

    fn indexes() -> &'static [Layout] {
        &[Layout { table: table::CONTINUITY, parts: &[Part::Uuid], rows: None }]
    }

    fn value(column: usize, key: &[u8], value: &[u8], _: &mut Versions) -> Result<Datum> {
        Ok(match column {
            0 => Datum::Uuid(Fields(&key[1..]).uuid()?),
            1 => Datum::Uuid(at(key, 25).uuid()?),
            2 => Datum::Uuid(Fields(value).uuid()?),
            3 => Datum::text(at(value, 16).code_text(3)?),
            4 => Datum::text(at(value, 19).code_text(3)?),
            _ => return Err(no_column(column)),
        })
    }
}

impl Table for GroundTimeViolations {
    const COUNT: Count = Count::GroundTimeViolations;

    fn schema() -> Arc<RelationSchema> {
        schema::ground_time_violations()
    }

    fn indexes() -> &'static [Layout] {
        &[Layout { table: table::GROUND_TIME, parts: &[Part::Uuid], rows: None }]
    }

    fn value(column: usize, key: &[u8], value: &[u8], _: &mut Versions) -> Result<Datum> {
        Ok(match column {
            0 => Datum::Uuid(Fields(&key[1..]).uuid()?),
            1 => optional_text(at(key, 41).code_text(REGISTRATION_BYTES)?),
            2 => Datum::Uuid(at(key, 25).uuid()?),
            3 => Datum::Uuid(Fields(value).uuid()?),
            4 => Datum::text(at(value, 16).code_text(3)?),
            5 => Datum::Interval(difference(at(value, 19).int8()?)),
            6 => minimum(at(value, 27).minimum()?),
            7 => match at(value, 43).byte()? {
                1 => Datum::text("airport"),
                _ => Datum::text("airplane"),
            },
            _ => return Err(no_column(column)),
        })
    }
}

impl Table for DesignatorViolations {
    const COUNT: Count = Count::DesignatorViolations;

    fn schema() -> Arc<RelationSchema> {
        schema::designator_violations()
    }

    fn indexes() -> &'static [Layout] {
        const PARTS: &[Part] =
            &[Part::Code(3), Part::Int4, Part::Code(1), Part::Code(3), Part::Int4, Part::Uuid];
        &[Layout { table: table::DESIGNATOR, parts: PARTS, rows: None }]
    }

    fn value(column: usize, key: &[u8], _: &[u8], _: &mut Versions) -> Result<Datum> {
        Ok(match column {
            0 => Datum::text(at(key, 1).code_text(3)?),
            1 => Datum::Int4(at(key, 4).int4()?),
            2 => Datum::text(at(key, 8).code_text(1)?),
            3 => Datum::text(at(key, 9).code_text(3)?),
            4 => Datum::Date(at(key, 12).int4()?),
            5 => Datum::Uuid(at(key, 16).uuid()?),
            _ => return Err(no_column(column)),
        })
    }
}

/// The fields from a place on.
fn at(bytes: &[u8], place: usize) -> Fields<'_> {
    Fields(bytes.get(place..).unwrap_or_default())
}

fn optional_text(text: &str) -> Datum {
    if text.is_empty() { Datum::Null } else { Datum::text(text) }
}

fn optional_time(mut fields: Fields<'_>) -> Result<Datum> {
    Ok(fields.optional(8, Fields::int8)?.map_or(Datum::Null, Datum::TimestampTz))
}

fn trailing_uuid(key: &[u8]) -> Result<&[u8]> {
    key.last_chunk::<16>().map(<[u8; 16]>::as_slice).ok_or_else(|| corrupted("a key is too short"))
}

/// Entries whose keys end with the id of a leg.
fn leg_at_end(_: &Snapshot, key: &[u8], _: &[u8], keys: &mut Vec<Key>) -> Result<()> {
    keys.push(Key::table(table::LEGS).bytes(trailing_uuid(key)?));
    Ok(())
}

/// The leg of a designator or, if several share it, those.
fn legs_of_designator(
    snapshot: &Snapshot,
    key: &[u8],
    value: &[u8],
    keys: &mut Vec<Key>,
) -> Result<()> {
    match Sharing::decode(value)? {
        Sharing::One(leg) => keys.push(Key::leg(leg)),
        Sharing::Many(_) => {
            let designator = &key[1..=DESIGNATOR_BYTES];
            let members = Range::prefix(Key::table(table::DESIGNATOR).bytes(designator));
            snapshot.visit(&members, Direction::Forward, &mut |member, _| {
                keys.push(Key::leg(LegId(at(member, 1 + DESIGNATOR_BYTES).uuid()?)));
                Ok(ControlFlow::Continue(()))
            })?;
        }
    }
    Ok(())
}
