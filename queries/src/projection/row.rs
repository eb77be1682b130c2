//! The rows of the tables and their bytes. Fields have fixed places, so that a scan reads the columns it is
//! asked for and nothing else; the checksum of a row is the store's business.

use std::str::FromStr;

use rotabase_engine::db::StoreError;
use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{
    AggregateId, AircraftType, AirportCode, BlockTime, DayOfOrigin, FlightDesignator, FlightId,
    FlightNumber, Leg, LegId, MinimumGroundTime, Registration, RotationId, UtcTime,
};
use uuid::Uuid;

use super::key::{
    DESIGNATOR_BYTES, Key, REGISTRATION_BYTES, designator_bytes, flight_bytes, int4_at, int4_bytes,
    int8_at, int8_bytes,
};
use super::rows::Result;

/// An airport as the projections know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AirportRow {
    /// Its code.
    pub code: AirportCode,
    /// The least time an airplane must stand there.
    pub minimum_ground_time: MinimumGroundTime,
}

/// An airplane as the projections know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AirplaneRow {
    /// Its registration.
    pub registration: Registration,
    /// Its type.
    pub aircraft_type: Option<AircraftType>,
    /// The least time it must stand between two legs.
    pub minimum_ground_time: MinimumGroundTime,
    /// The rotation it flies.
    pub rotation: Option<RotationId>,
}

/// A rotation as the projections know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationRow {
    /// Its id.
    pub id: RotationId,
    /// Its name.
    pub name: Option<String>,
    /// The number of its legs.
    pub legs: u64,
    /// When its first leg departs.
    pub first_departure: Option<UtcTime>,
    /// When its last leg arrives.
    pub last_arrival: Option<UtcTime>,
}

/// The aggregate that a leg lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LegOwner {
    /// The open legs of a flight.
    Flight(FlightId),
    /// A rotation.
    Rotation(RotationId),
}

impl LegOwner {
    /// The aggregate.
    pub fn aggregate(self) -> AggregateId {
        match self {
            Self::Flight(flight) => AggregateId::Flight(flight),
            Self::Rotation(rotation) => AggregateId::Rotation(rotation),
        }
    }

    /// The rotation; none for an open leg.
    pub fn rotation(self) -> Option<RotationId> {
        match self {
            Self::Flight(_) => None,
            Self::Rotation(rotation) => Some(rotation),
        }
    }
}

/// A leg as the projections know it.
///
/// A leg moves by two events in two shards, which are seen in any order; for a while both aggregates, or none,
/// seem to hold it. Each that holds it has a *claim*; the newest claim is the row, the others are its rivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegRow {
    /// The leg.
    pub leg: Leg,
    /// The aggregate that holds it.
    pub owner: LegOwner,
    /// When it came to hold it.
    pub claimed: Timestamp,
    /// How many other aggregates seem to hold it too.
    pub rivals: u32,
}

/// A leg in the order of its rotation, with all that its neighbours are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationLeg {
    /// Its rotation.
    pub rotation: RotationId,
    /// Its id.
    pub id: LegId,
    /// When it departs.
    pub departure: UtcTime,
    /// When it arrives.
    pub arrival: UtcTime,
    /// Where it departs.
    pub departure_airport: AirportCode,
    /// Where it arrives.
    pub arrival_airport: AirportCode,
}

impl RotationLeg {
    /// What the neighbours of `leg` in `rotation` see of it.
    pub(crate) fn of(rotation: RotationId, leg: &Leg) -> Self {
        Self {
            rotation,
            id: leg.id,
            departure: leg.block.departure(),
            arrival: leg.block.arrival(),
            departure_airport: leg.designator.departure_airport,
            arrival_airport: leg.arrival_airport,
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key::rotation_leg(self.rotation, self.departure, self.id)
    }

    pub(crate) fn encode(&self) -> Key {
        Key::default()
            .int8(self.arrival.0)
            .code(self.departure_airport.as_str(), 3)
            .code(self.arrival_airport.as_str(), 3)
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let mut key = Fields(&key[1..]);
        let mut value = Fields(value);
        Ok(Self {
            rotation: RotationId(key.uuid()?),
            departure: UtcTime(key.int8()?),
            id: LegId(key.uuid()?),
            arrival: UtcTime(value.int8()?),
            departure_airport: value.code(3)?,
            arrival_airport: value.code(3)?,
        })
    }
}

/// Bytes being read, field by field. What does not fit is corrupted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

/// A row whose bytes make no sense although their checksum is right.
pub(crate) fn corrupted(what: &str) -> StoreError {
    StoreError::Corrupted(format!("projection row: {what}"))
}

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(|| corrupted("too short"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        Ok(bytes.try_into().expect("as long as asked for"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn int4(&mut self) -> Result<i32> {
        Ok(int4_at(self.array()?))
    }

    pub(crate) fn int8(&mut self) -> Result<i64> {
        Ok(int8_at(self.array()?))
    }

    pub(crate) fn uint8(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    /// The text of a code that was filled up to `width` bytes; empty for none.
    pub(crate) fn code_text(&mut self, width: usize) -> Result<&'a str> {
        let bytes = self.bytes(width)?;
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(width);
        std::str::from_utf8(&bytes[..length]).map_err(|_| corrupted("not a code"))
    }

    pub(crate) fn code<T: FromStr>(&mut self, width: usize) -> Result<T> {
        self.code_text(width)?.parse().map_err(|_| corrupted("not a code"))
    }

    pub(crate) fn optional_code<T: FromStr>(&mut self, width: usize) -> Result<Option<T>> {
        match self.code_text(width)? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| corrupted("not a code")),
        }
    }

    pub(crate) fn flight(&mut self) -> Result<FlightId> {
        let carrier = self.code(3)?;
        let number = FlightNumber::new(self.int4()?.into())
            .ok_or_else(|| corrupted("not a flight number"))?;
        Ok(FlightId { carrier, number, suffix: self.code(1)? })
    }

    pub(crate) fn designator(&mut self) -> Result<FlightDesignator> {
        let mut fields = Fields(self.bytes(DESIGNATOR_BYTES)?);
        Ok(FlightDesignator {
            flight: fields.flight()?,
            departure_airport: fields.code(3)?,
            day_of_origin: DayOfOrigin(fields.int4()?),
        })
    }

    pub(crate) fn owner(&mut self) -> Result<LegOwner> {
        match self.byte()? {
            0 => Ok(LegOwner::Flight(self.flight()?)),
            1 => Ok(LegOwner::Rotation(RotationId(self.uuid()?))),
            _ => Err(corrupted("not an owner")),
        }
    }

    pub(crate) fn minimum(&mut self) -> Result<MinimumGroundTime> {
        let (months, days, microseconds) = (self.int4()?, self.int4()?, self.int8()?);
        MinimumGroundTime::new(months, days, microseconds)
            .ok_or_else(|| corrupted("not a minimum ground time"))
    }

    /// A value behind a byte that says whether there is one; its place is taken either way.
    pub(crate) fn optional<T>(
        &mut self,
        width: usize,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        let there = self.byte()?;
        let mut place = Fields(self.bytes(width)?);
        match there {
            0 => Ok(None),
            _ => read(&mut place).map(Some),
        }
    }
}

/// Parts of values, beside those that keys have too.
impl Key {
    pub(crate) fn minimum(self, minimum: MinimumGroundTime) -> Self {
        let (months, days, microseconds) = minimum.parts();
        self.int4(months).int4(days).int8(microseconds)
    }

    pub(crate) fn optional_time(self, time: Option<UtcTime>) -> Self {
        self.bytes(&[u8::from(time.is_some())]).int8(time.map_or(0, |time| time.0))
    }

    pub(crate) fn uint8(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }
}

impl AirportRow {
    pub(crate) fn encode(&self) -> Key {
        Key::default().minimum(self.minimum_ground_time)
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        Ok(Self { code: Fields(&key[1..]).code(3)?, minimum_ground_time: Fields(value).minimum()? })
    }
}

/// Where the fields of an airplane's row are.
pub(crate) mod airplane {
    pub(crate) const TYPE: usize = 0;
    pub(crate) const MINIMUM: usize = 4;
    pub(crate) const ROTATION: usize = 20;
}

impl AirplaneRow {
    pub(crate) fn encode(&self) -> Key {
        let key =
            Key::default().code(self.aircraft_type.as_ref().map_or("", AircraftType::as_str), 4);
        let key = key.minimum(self.minimum_ground_time).bytes(&[u8::from(self.rotation.is_some())]);
        key.uuid(self.rotation.map_or(Uuid::nil(), |rotation| rotation.0))
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let mut fields = Fields(value);
        Ok(Self {
            registration: Fields(&key[1..]).code(REGISTRATION_BYTES)?,
            aircraft_type: fields.optional_code(4)?,
            minimum_ground_time: fields.minimum()?,
            rotation: fields.optional(16, Fields::uuid)?.map(RotationId),
        })
    }
}

/// Where the fields of a rotation's row are.
pub(crate) mod rotation {
    pub(crate) const LEGS: usize = 0;
    pub(crate) const FIRST_DEPARTURE: usize = 8;
    pub(crate) const LAST_ARRIVAL: usize = 17;
    pub(crate) const NAME: usize = 26;
}

impl RotationRow {
    pub(crate) fn encode(&self) -> Key {
        let key = Key::default()
            .uint8(self.legs)
            .optional_time(self.first_departure)
            .optional_time(self.last_arrival);
        key.bytes(&[u8::from(self.name.is_some())])
            .bytes(self.name.as_deref().unwrap_or("").as_bytes())
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let mut fields = Fields(value);
        Ok(Self {
            id: RotationId(Fields(&key[1..]).uuid()?),
            legs: fields.uint8()?,
            first_departure: fields.optional(8, Fields::int8)?.map(UtcTime),
            last_arrival: fields.optional(8, Fields::int8)?.map(UtcTime),
            name: rotation_name(fields)?.map(str::to_owned),
        })
    }
}

/// The name at the end of a rotation's row.
pub(crate) fn rotation_name(mut fields: Fields<'_>) -> Result<Option<&str>> {
    match fields.byte()? {
        0 => Ok(None),
        _ => std::str::from_utf8(fields.0).map(Some).map_err(|_| corrupted("not a name")),
    }
}

/// Where the fields of a leg's row are.
pub(crate) mod leg {
    pub(crate) const OWNER: usize = 0;
    pub(crate) const CLAIMED: usize = 17;
    pub(crate) const RIVALS: usize = 25;
    pub(crate) const DESIGNATOR: usize = 29;
    pub(crate) const CARRIER: usize = DESIGNATOR;
    pub(crate) const FLIGHT_NUMBER: usize = DESIGNATOR + 3;
    pub(crate) const SUFFIX: usize = DESIGNATOR + 7;
    pub(crate) const DEPARTURE_AIRPORT: usize = DESIGNATOR + 8;
    pub(crate) const DAY_OF_ORIGIN: usize = DESIGNATOR + 11;
    pub(crate) const ARRIVAL_AIRPORT: usize = DESIGNATOR + 15;
    pub(crate) const DEPARTURE: usize = 47;
    pub(crate) const ARRIVAL: usize = 55;
    pub(crate) const DEPARTURE_OFFSET: usize = 63;
    pub(crate) const ARRIVAL_OFFSET: usize = 67;
    pub(crate) const SEQUENCE: usize = 71;
    pub(crate) const VARIATION: usize = 75;
    pub(crate) const SERVICE_TYPE: usize = 79;
    pub(crate) const AIRCRAFT_TYPE: usize = 80;
    pub(crate) const BYTES: usize = 84;
}

/// Puts a field of a row in its place.
fn put(row: &mut [u8], at: usize, field: &[u8]) {
    row[at..at + field.len()].copy_from_slice(field);
}

impl LegRow {
    /// The rotation that holds it; none for an open leg.
    pub fn rotation(&self) -> Option<RotationId> {
        self.owner.rotation()
    }

    /// Appends the row's value.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let row = &mut [0; leg::BYTES];
        match self.owner {
            LegOwner::Flight(id) => put(row, leg::OWNER + 1, &flight_bytes(&id)),
            LegOwner::Rotation(id) => {
                row[leg::OWNER] = 1;
                put(row, leg::OWNER + 1, id.0.as_bytes());
            }
        }
        put(row, leg::CLAIMED, &self.claimed.0.to_be_bytes());
        put(row, leg::RIVALS, &self.rivals.to_be_bytes());
        let Leg { designator, arrival_airport, block, .. } = &self.leg;
        put(row, leg::DESIGNATOR, &designator_bytes(designator));
        put(row, leg::ARRIVAL_AIRPORT, &arrival_airport.stored());
        put(row, leg::DEPARTURE, &int8_bytes(block.departure().0));
        put(row, leg::ARRIVAL, &int8_bytes(block.arrival().0));
        put(row, leg::DEPARTURE_OFFSET, &int4_bytes(self.leg.departure_utc_offset_minutes));
        put(row, leg::ARRIVAL_OFFSET, &int4_bytes(self.leg.arrival_utc_offset_minutes));
        put(row, leg::SEQUENCE, &int4_bytes(self.leg.leg_sequence));
        put(row, leg::VARIATION, &int4_bytes(self.leg.itinerary_variation));
        put(row, leg::SERVICE_TYPE, &self.leg.service_type.stored());
        let aircraft_type = self.leg.aircraft_type.map_or([0; 4], |it| it.stored());
        put(row, leg::AIRCRAFT_TYPE, &aircraft_type);
        out.extend_from_slice(row);
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let id = LegId(Fields(key.get(1..).unwrap_or_default()).uuid()?);
        let mut fields = Fields(value);
        let owner = Fields(fields.bytes(17)?).owner()?;
        let claimed = Timestamp(fields.uint8()?);
        let rivals = u32::from_be_bytes(fields.array()?);
        let leg = Leg {
            id,
            designator: fields.designator()?,
            arrival_airport: fields.code(3)?,
            block: {
                let (departure, arrival) = (UtcTime(fields.int8()?), UtcTime(fields.int8()?));
                BlockTime::new(departure, arrival).ok_or_else(|| corrupted("not a block time"))?
            },
            departure_utc_offset_minutes: fields.int4()?,
            arrival_utc_offset_minutes: fields.int4()?,
            leg_sequence: fields.int4()?,
            itinerary_variation: fields.int4()?,
            service_type: fields.code(1)?,
            aircraft_type: fields.optional_code(4)?,
        };
        Ok(Self { leg, owner, claimed, rivals })
    }
}
