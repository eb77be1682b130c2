//! A leg and its designator.

use std::fmt;

use super::value::{
    AircraftType, AirportCode, BlockTime, Carrier, DayOfOrigin, FlightNumber, LegId, ServiceType,
    Suffix,
};
use super::{AggregateId, FlightId};

/// What identifies a leg to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightDesignator {
    /// The flight: carrier, number, suffix.
    pub flight: FlightId,
    /// Where the leg departs; it tells the legs of one flight apart.
    pub departure_airport: AirportCode,
    /// The date on which the flight's first leg departs.
    pub day_of_origin: DayOfOrigin,
}

/// `LH400 FRA`: without the day, which has no unit of its own here; messages add it.
impl fmt::Display for FlightDesignator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", AggregateId::Flight(self.flight), self.departure_airport)
    }
}

/// One directed movement of an airplane from a departure airport to an arrival airport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its identity.
    pub id: LegId,
    /// Its designator.
    pub designator: FlightDesignator,
    /// Where it arrives.
    pub arrival_airport: AirportCode,
    /// When it departs and arrives.
    pub block: BlockTime,
    /// Local time minus UTC at the departure airport, in minutes.
    pub departure_utc_offset_minutes: i32,
    /// Local time minus UTC at the arrival airport, in minutes.
    pub arrival_utc_offset_minutes: i32,
    /// Its place among the legs of its flight, from 1.
    pub leg_sequence: i32,
    /// The SSIM itinerary variation it came from, from 1.
    pub itinerary_variation: i32,
    /// Its service type.
    pub service_type: ServiceType,
    /// The aircraft type planned for it, if one is.
    pub aircraft_type: Option<AircraftType>,
}

impl Leg {
    /// The carrier of its designator.
    pub fn carrier(&self) -> Carrier {
        self.designator.flight.carrier
    }

    /// The flight number of its designator.
    pub fn flight_number(&self) -> FlightNumber {
        self.designator.flight.number
    }

    /// The suffix of its designator.
    pub fn suffix(&self) -> Suffix {
        self.designator.flight.suffix
    }

    /// The aggregate that holds it while it is open.
    pub fn flight(&self) -> AggregateId {
        AggregateId::Flight(self.designator.flight)
    }
}
