//! Legs as bytes, in each shape they ever had.
//!
//! A current leg takes about 45 bytes: codes and the id in place, everything else relative to the day of
//! origin and, while times stand on whole minutes, in minutes.

use uuid::Uuid;

use crate::domain::DecodeError;
use crate::schedule::value::{
    AircraftType, AirportCode, BlockTime, Carrier, DayOfOrigin, FlightNumber, LegId, ServiceType,
    Suffix, UtcTime,
};
use crate::schedule::{FlightDesignator, FlightId, Leg};
use crate::varint::{Reader, write_signed, write_unsigned};

/// The times count minutes, not microseconds.
const MINUTES: u8 = 1;
/// A suffix follows the flight number.
const SUFFIX: u8 = 2;
/// An aircraft type ends the leg.
const AIRCRAFT_TYPE: u8 = 4;

const MINUTE_MICROSECONDS: i64 = 60_000_000;
const DAY_MINUTES: i64 = 1440;
const DAY_MICROSECONDS: i64 = DAY_MINUTES * MINUTE_MICROSECONDS;

/// The shape of version 1: before legs came from SSIM, they had no place in their flight and no variation.
struct LegV1 {
    id: LegId,
    designator: FlightDesignator,
    arrival_airport: AirportCode,
    block: BlockTime,
    departure_utc_offset_minutes: i32,
    arrival_utc_offset_minutes: i32,
    service_type: ServiceType,
    aircraft_type: Option<AircraftType>,
}

/// Brings a leg of version 1 to version 2: the only leg of its flight, in the only variation.
fn upcast(leg: &LegV1) -> Leg {
    Leg {
        id: leg.id,
        designator: leg.designator,
        arrival_airport: leg.arrival_airport,
        block: leg.block,
        departure_utc_offset_minutes: leg.departure_utc_offset_minutes,
        arrival_utc_offset_minutes: leg.arrival_utc_offset_minutes,
        leg_sequence: 1,
        itinerary_variation: 1,
        service_type: leg.service_type,
        aircraft_type: leg.aircraft_type,
    }
}

/// Appends a leg in version 2.
pub(super) fn encode(leg: &Leg, out: &mut Vec<u8>) {
    let FlightDesignator { flight, departure_airport, day_of_origin } = leg.designator;
    let times = (leg.block.departure().whole_minutes(), leg.block.arrival().whole_minutes());
    let mut flags = 0;
    if matches!(times, (Some(_), Some(_))) {
        flags |= MINUTES;
    }
    if flight.suffix != Suffix::NONE {
        flags |= SUFFIX;
    }
    if leg.aircraft_type.is_some() {
        flags |= AIRCRAFT_TYPE;
    }
    out.push(flags);
    out.extend_from_slice(leg.id.0.as_bytes());
    out.extend_from_slice(&flight.carrier.stored());
    out.extend_from_slice(&flight.number.get().to_be_bytes());
    if flight.suffix != Suffix::NONE {
        out.push(flight.suffix.stored());
    }
    out.extend_from_slice(&departure_airport.stored());
    out.extend_from_slice(&leg.arrival_airport.stored());
    let day = i64::from(day_of_origin.0);
    write_signed(day, out);
    if let (Some(departure), Some(arrival)) = times {
        write_signed(departure - day * DAY_MINUTES, out);
        write_unsigned((arrival - departure).cast_unsigned(), out);
    } else {
        // Wrapping, and so exact for every instant; the reader wraps back.
        let (departure, arrival) = (leg.block.departure().0, leg.block.arrival().0);
        write_signed(departure.wrapping_sub(day.wrapping_mul(DAY_MICROSECONDS)), out);
        write_unsigned(arrival.wrapping_sub(departure).cast_unsigned(), out);
    }
    write_signed(i64::from(leg.departure_utc_offset_minutes), out);
    write_signed(i64::from(leg.arrival_utc_offset_minutes), out);
    write_signed(i64::from(leg.leg_sequence), out);
    write_signed(i64::from(leg.itinerary_variation), out);
    out.extend_from_slice(&leg.service_type.stored());
    if let Some(aircraft_type) = leg.aircraft_type {
        out.extend_from_slice(&aircraft_type.stored());
    }
}

/// Reads a leg of version 2.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Leg, DecodeError> {
    let flags = reader.byte()?;
    if flags & !(MINUTES | SUFFIX | AIRCRAFT_TYPE) != 0 {
        return Err(reader.error(format!("unknown flags {flags:#04x} of a leg")));
    }
    let id = LegId(Uuid::from_bytes(reader.array()?));
    let carrier = code(reader, |it: &[u8; 3]| Carrier::from_stored(it))?;
    let number = flight_number(reader)?;
    let suffix = if flags & SUFFIX != 0 { suffix(reader)? } else { Suffix::NONE };
    let departure_airport = code(reader, |it: &[u8; 3]| AirportCode::from_stored(it))?;
    let arrival_airport = code(reader, |it: &[u8; 3]| AirportCode::from_stored(it))?;
    let day: i32 = reader.signed_as()?;
    let block = block_time(reader, flags & MINUTES != 0, i64::from(day))?;
    Ok(Leg {
        id,
        designator: FlightDesignator {
            flight: FlightId { carrier, number, suffix },
            departure_airport,
            day_of_origin: DayOfOrigin(day),
        },
        arrival_airport,
        block,
        departure_utc_offset_minutes: reader.signed_as()?,
        arrival_utc_offset_minutes: reader.signed_as()?,
        leg_sequence: reader.signed_as()?,
        itinerary_variation: reader.signed_as()?,
        service_type: code(reader, |it: &[u8; 1]| ServiceType::from_stored(it))?,
        aircraft_type: if flags & AIRCRAFT_TYPE != 0 {
            Some(code(reader, |it: &[u8; 4]| AircraftType::from_stored(it))?)
        } else {
            None
        },
    })
}

/// Reads a leg of version 1: everything in fixed widths.
pub(super) fn decode_v1(reader: &mut Reader<'_>) -> Result<Leg, DecodeError> {
    let id = LegId(Uuid::from_bytes(reader.array()?));
    let flight = FlightId {
        carrier: code(reader, |it: &[u8; 3]| Carrier::from_stored(it))?,
        number: flight_number(reader)?,
        suffix: suffix(reader)?,
    };
    let departure_airport = code(reader, |it: &[u8; 3]| AirportCode::from_stored(it))?;
    let arrival_airport = code(reader, |it: &[u8; 3]| AirportCode::from_stored(it))?;
    let day_of_origin = DayOfOrigin(i32::from_be_bytes(reader.array()?));
    let departure = UtcTime(i64::from_be_bytes(reader.array()?));
    let arrival = UtcTime(i64::from_be_bytes(reader.array()?));
    Ok(upcast(&LegV1 {
        id,
        designator: FlightDesignator { flight, departure_airport, day_of_origin },
        arrival_airport,
        block: BlockTime::new(departure, arrival)
            .ok_or_else(|| reader.error("a leg arrives before it departs"))?,
        departure_utc_offset_minutes: i32::from_be_bytes(reader.array()?),
        arrival_utc_offset_minutes: i32::from_be_bytes(reader.array()?),
        service_type: code(reader, |it: &[u8; 1]| ServiceType::from_stored(it))?,
        aircraft_type: super::read_aircraft_type(reader)?,
    }))
}

fn block_time(reader: &mut Reader<'_>, minutes: bool, day: i64) -> Result<BlockTime, DecodeError> {
    let departure = reader.signed()?;
    let length = reader.unsigned()?;
    let block = if minutes {
        let departure = departure.checked_add(day * DAY_MINUTES);
        let arrival = departure.and_then(|departure| departure.checked_add_unsigned(length));
        let time = |minutes: Option<i64>| {
            minutes.and_then(|minutes| minutes.checked_mul(MINUTE_MICROSECONDS)).map(UtcTime)
        };
        time(departure).zip(time(arrival))
    } else {
        let departure = departure.wrapping_add(day.wrapping_mul(DAY_MICROSECONDS));
        departure.checked_add_unsigned(length).map(|arrival| (UtcTime(departure), UtcTime(arrival)))
    };
    block
        .and_then(|(departure, arrival)| BlockTime::new(departure, arrival))
        .ok_or_else(|| reader.error("a leg's times are out of range"))
}

fn code<const N: usize, T>(
    reader: &mut Reader<'_>,
    read: impl FnOnce(&[u8; N]) -> Option<T>,
) -> Result<T, DecodeError> {
    let stored = reader.array()?;
    read(&stored).ok_or_else(|| reader.error("a code is malformed"))
}

fn flight_number(reader: &mut Reader<'_>) -> Result<FlightNumber, DecodeError> {
    let number = u16::from_be_bytes(reader.array()?);
    FlightNumber::new(i64::from(number))
        .ok_or_else(|| reader.error(format!("{number} is no flight number")))
}

fn suffix(reader: &mut Reader<'_>) -> Result<Suffix, DecodeError> {
    let byte = reader.byte()?;
    Suffix::from_stored(byte).ok_or_else(|| reader.error("no suffix"))
}
