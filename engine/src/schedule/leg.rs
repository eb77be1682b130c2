//! A leg and its designator.

use std::fmt;

use super::value::{
    AircraftType, AirportCode, BlockTime, Carrier, DayOfOrigin, FlightNumber, LegId, ServiceType,
    Suffix,
};
use super::{AggregateId, FlightId};

/// What identifies a leg to people.
///
/// ```
/// # use rotabase_engine::schedule::{DayOfOrigin, FlightDesignator, FlightId, FlightNumber, Suffix};
/// let number = FlightNumber::new(400).unwrap();
/// let designator = FlightDesignator {
///     flight: FlightId { carrier: "LH".parse().unwrap(), number, suffix: Suffix::NONE },
///     departure_airport: "FRA".parse().unwrap(),
///     day_of_origin: DayOfOrigin::from_calendar(2026, 3, 29).unwrap(),
/// };
/// assert_eq!(designator.to_string(), "LH400 FRA");
/// ```
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
///
/// ```
/// # use rotabase_engine::schedule::{
/// #     BlockTime, DayOfOrigin, FlightDesignator, FlightId, FlightNumber, Leg, LegId, Suffix, UtcTime,
/// # };
/// let number = FlightNumber::new(400).unwrap();
/// let flight = FlightId { carrier: "LH".parse().unwrap(), number, suffix: Suffix::NONE };
/// let day_of_origin = DayOfOrigin::from_calendar(2026, 3, 29).unwrap();
/// let departure = UtcTime::at_minute(day_of_origin, 8 * 60 + 25).unwrap();
/// let arrival = UtcTime::at_minute(day_of_origin, 17 * 60 + 5).unwrap();
/// let leg = Leg {
///     id: LegId(uuid::Uuid::from_u128(7)),
///     designator: FlightDesignator { flight, departure_airport: "FRA".parse().unwrap(), day_of_origin },
///     arrival_airport: "JFK".parse().unwrap(),
///     block: BlockTime::new(departure, arrival).unwrap(),
///     departure_utc_offset_minutes: 120,
///     arrival_utc_offset_minutes: -240,
///     leg_sequence: 1,
///     itinerary_variation: 1,
///     service_type: "J".parse().unwrap(),
///     aircraft_type: Some("74H".parse().unwrap()),
/// };
/// assert_eq!(leg.flight().to_string(), "LH400", "the aggregate that holds it while it is open");
/// ```
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
