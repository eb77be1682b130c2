//! The stored forms of the schedule: ids, events and states as bytes.
//!
//! Domain types know nothing of their stored form, so a refactoring never changes it. `docs/format.md` draws
//! it; `tests/golden/` holds each version of each event for ever. Decoding trusts nothing: any bytes give a
//! value or an error.

pub(super) mod command;
pub(super) mod event;
pub(super) mod id;
mod leg;
pub(super) mod state;

use super::value::{AircraftType, MinimumGroundTime};
use crate::domain::DecodeError;
use crate::varint::{Reader, write_signed};

fn write_ground_time(ground_time: MinimumGroundTime, out: &mut Vec<u8>) {
    let (months, days, microseconds) = ground_time.parts();
    write_signed(i64::from(months), out);
    write_signed(i64::from(days), out);
    write_signed(microseconds, out);
}

fn read_ground_time(reader: &mut Reader<'_>) -> Result<MinimumGroundTime, DecodeError> {
    let (months, days, microseconds) = (reader.signed_as()?, reader.signed_as()?, reader.signed()?);
    MinimumGroundTime::new(months, days, microseconds)
        .ok_or_else(|| reader.error("a minimum ground time is negative"))
}

/// Four bytes; zeros for none.
fn write_aircraft_type(aircraft_type: Option<AircraftType>, out: &mut Vec<u8>) {
    out.extend_from_slice(&aircraft_type.map_or([0; 4], |it| it.stored()));
}

fn read_aircraft_type(reader: &mut Reader<'_>) -> Result<Option<AircraftType>, DecodeError> {
    match reader.array()? {
        [0, 0, 0, 0] => Ok(None),
        stored => AircraftType::from_stored(&stored)
            .map(Some)
            .ok_or_else(|| reader.error("no aircraft type")),
    }
}
