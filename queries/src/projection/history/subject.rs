//! What a history is of.

use rotabase_engine::schedule::{AggregateId, AirportCode, Event, LegId, Registration, RotationId};

use super::super::key::{Key, REGISTRATION_BYTES, table};
use super::super::row::{Fields, corrupted};
use super::super::rows::Result;

/// What a history is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Airport(AirportCode),
    Airplane(Registration),
    Rotation(RotationId),
    Leg(LegId),
}

impl Subject {
    /// What an event of `aggregate` changes.
    pub(crate) fn of(aggregate: &AggregateId, event: &Event) -> Result<Self> {
        Ok(match event {
            Event::LegAdded(leg)
            | Event::LegRescheduled(leg)
            | Event::OpenLegScheduled(leg)
            | Event::OpenLegRescheduled(leg) => Self::Leg(leg.id),
            Event::LegRemoved { id } | Event::OpenLegCancelled { id } => Self::Leg(*id),
            _ => match aggregate {
                AggregateId::Airport(code) => Self::Airport(*code),
                AggregateId::Airplane(registration) => Self::Airplane(*registration),
                AggregateId::Rotation(id) => Self::Rotation(*id),
                AggregateId::Flight(_) => {
                    return Err(corrupted("an event of a flight that is not about a leg"));
                }
            },
        })
    }

    /// The table of its history.
    pub(crate) fn table(self) -> u8 {
        match self {
            Self::Airport(_) => table::AIRPORT_HISTORY,
            Self::Airplane(_) => table::AIRPLANE_HISTORY,
            Self::Rotation(_) => table::ROTATION_HISTORY,
            Self::Leg(_) => table::LEG_HISTORY,
        }
    }

    /// The beginning of the keys of its history; alone, it stands for the subject.
    pub(crate) fn key(self) -> Key {
        let key = Key::table(self.table());
        match self {
            Self::Airport(code) => key.code(code.as_str(), 3),
            Self::Airplane(registration) => key.code(registration.as_str(), REGISTRATION_BYTES),
            Self::Rotation(RotationId(id)) | Self::Leg(LegId(id)) => key.uuid(id),
        }
    }

    /// The bytes of [`Self::key`] without the table.
    pub(crate) fn width(table: u8) -> usize {
        match table {
            table::AIRPORT_HISTORY => 3,
            table::AIRPLANE_HISTORY => REGISTRATION_BYTES,
            _ => 16,
        }
    }

    /// The subject that a key begins with.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self> {
        Ok(match fields.byte()? {
            table::AIRPORT_HISTORY => Self::Airport(fields.code(3)?),
            table::AIRPLANE_HISTORY => Self::Airplane(fields.code(REGISTRATION_BYTES)?),
            table::ROTATION_HISTORY => Self::Rotation(RotationId(fields.uuid()?)),
            table::LEG_HISTORY => Self::Leg(LegId(fields.uuid()?)),
            _ => return Err(corrupted("not a subject")),
        })
    }
}
