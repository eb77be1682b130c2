//! Keys of the projection store: one ordered space of bytes, in which a first byte names the table.
//!
//! Bytes sort as values do, so that a range of keys is a range of values:
//!
//! | value | bytes |
//! | --- | --- |
//! | codes (airport 3, carrier 3, registration 10, suffix 1) | ASCII, filled up with zero bytes |
//! | numbers (`i32`, `i64`, dates, times) | big-endian with the sign bit flipped |
//! | UUIDs | their 16 bytes |
//! | names | UTF-8, `00` written as `00 FF`, closed by `00 00` |
//! | *designator* | carrier, flight number (`i32`), suffix, departure airport, day of origin: 15 bytes |
//! | *owner* | `00` and carrier, flight number, suffix (flight), or `01` and UUID (rotation) |
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `01` meta | one byte: `01` version, `02` complete, `03` shards, `04` newest timestamp, `05` newest timestamp whose changes may be gone | what it says |
//! | `02` positions | shard `u16` big-endian | log index folded, `u64` |
//! | `03` counts | relation, one byte | number of rows, `u64` |
//! | `04` versions | aggregate as the domain encodes it | its newest version, `u64` |
//! | `05` open transactions | attempt | for each shard that has more of it: shard `u16`, entries to come `u32` |
//! | `06` held entries | shard `u16` | up to where it was read, then the indexes up to there that are not folded, `u64` each |
//! | `10` airports | code | minimum ground time |
//! | `11` airplanes | registration | aircraft type, minimum ground time, rotation |
//! | `12` airplanes of rotations | rotation, registration | minimum ground time of the airplane |
//! | `13` rotations | id | number of legs, first departure, last arrival, name |
//! | `14` rotations by name | name, id | — |
//! | `20` legs | id | owner, claim, designator, everything else of the leg |
//! | `21` rival claims | leg, owner | claim, leg |
//! | `22` legs of rotations | rotation, departure, leg | arrival, departure and arrival airport |
//! | `23` designators | designator | `01` and the one leg, or `02` and how many legs share it |
//! | `24` departures | departure airport, departure, leg | — |
//! | `25` arrivals in rotations | arrival airport, rotation, departure, leg | — |
//! | `30` continuity violations | rotation, departure, leg | next leg, arrival airport, next departure airport |
//! | `31` ground time violations | rotation, departure, leg, registration or zeros | next leg, airport, ground time, required, required by |
//! | `32` designator violations | designator, leg | — |
//! | `40` to `43` history of legs, airports, airplanes, rotations | the id, timestamp, shard, position | an event with its metadata, or the leg whose history has it |
//! | `50` changes | timestamp, shard, log index | number of events, whose history they are in, aggregates with versions before |
//!
//! A rotation without a name, an airplane without a rotation and an open leg have no entry in `14`, `12` and
//! `22`. The members of a designator that several legs share are in `32`, that of one leg is in `23` itself:
//! the two together are the index of legs by designator.
//!
//! On disk every value is followed by the CRC-32C of key and value ([`super::store`]).

use smallvec::SmallVec;
use uuid::Uuid;

use rotabase_engine::position::ShardId;
use rotabase_engine::schedule::{
    AirportCode, FlightDesignator, FlightId, LegId, Registration, RotationId, UtcTime,
};

use super::row::LegOwner;

/// The tables that hold the rows of a relation, and those that are its indexes.
pub(crate) fn tables_of(relation: &str) -> Option<(&'static [u8], &'static [u8])> {
    Some(match relation {
        "airports" => (&[table::AIRPORTS], &[]),
        "airplanes" => (&[table::AIRPLANES], &[table::ROTATION_AIRPLANES]),
        "rotations" => (&[table::ROTATIONS], &[table::ROTATION_NAMES]),
        "legs" => (
            &[table::LEGS],
            &[
                table::RIVALS,
                table::ROTATION_LEGS,
                table::DESIGNATORS,
                table::DEPARTURES,
                table::ARRIVALS,
            ],
        ),
        "leg_history" => (&[table::LEG_HISTORY], &[]),
        "airport_history" => (&[table::AIRPORT_HISTORY], &[]),
        "airplane_history" => (&[table::AIRPLANE_HISTORY], &[]),
        "rotation_history" => (&[table::ROTATION_HISTORY], &[]),
        _ => return None,
    })
}

/// The first byte of a key.
pub(crate) mod table {
    pub(crate) const META: u8 = 0x01;
    pub(crate) const POSITIONS: u8 = 0x02;
    pub(crate) const COUNTS: u8 = 0x03;
    pub(crate) const VERSIONS: u8 = 0x04;
    pub(crate) const OPEN: u8 = 0x05;
    pub(crate) const HELD: u8 = 0x06;
    pub(crate) const AIRPORTS: u8 = 0x10;
    pub(crate) const AIRPLANES: u8 = 0x11;
    pub(crate) const ROTATION_AIRPLANES: u8 = 0x12;
    pub(crate) const ROTATIONS: u8 = 0x13;
    pub(crate) const ROTATION_NAMES: u8 = 0x14;
    pub(crate) const LEGS: u8 = 0x20;
    pub(crate) const RIVALS: u8 = 0x21;
    pub(crate) const ROTATION_LEGS: u8 = 0x22;
    pub(crate) const DESIGNATORS: u8 = 0x23;
    pub(crate) const DEPARTURES: u8 = 0x24;
    pub(crate) const ARRIVALS: u8 = 0x25;
    pub(crate) const CONTINUITY: u8 = 0x30;
    pub(crate) const GROUND_TIME: u8 = 0x31;
    pub(crate) const DESIGNATOR: u8 = 0x32;
    pub(crate) const LEG_HISTORY: u8 = 0x40;
    pub(crate) const AIRPORT_HISTORY: u8 = 0x41;
    pub(crate) const AIRPLANE_HISTORY: u8 = 0x42;
    pub(crate) const ROTATION_HISTORY: u8 = 0x43;
    pub(crate) const CHANGES: u8 = 0x50;
}

/// The bytes of an encoded flight.
const FLIGHT_BYTES: usize = 8;
/// The bytes of an encoded designator.
pub(crate) const DESIGNATOR_BYTES: usize = 15;
/// The bytes of an encoded registration.
pub(crate) const REGISTRATION_BYTES: usize = 10;

/// A key, or the beginning of one; mostly short enough to need no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(SmallVec<[u8; 64]>);

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

/// Building blocks.
impl Key {
    /// The beginning that all keys of a table share.
    pub(crate) fn table(table: u8) -> Self {
        let mut key = Self::default();
        key.0.push(table);
        key
    }

    /// Followed by bytes as they are.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Followed by a code, filled up to `width` bytes; a code is never longer.
    pub(crate) fn code(mut self, code: &str, width: usize) -> Self {
        debug_assert!(code.len() <= width, "a code fits its key");
        let end = self.0.len() + width;
        self.0.extend_from_slice(code.as_bytes());
        self.0.resize(end, 0);
        self
    }

    /// Followed by a UUID.
    pub(crate) fn uuid(self, id: Uuid) -> Self {
        self.bytes(id.as_bytes())
    }

    /// Followed by a number.
    pub(crate) fn int4(self, number: i32) -> Self {
        self.bytes(&int4_bytes(number))
    }

    /// Followed by a number.
    pub(crate) fn int8(self, number: i64) -> Self {
        self.bytes(&int8_bytes(number))
    }

    /// Followed by a text of any length.
    pub(crate) fn text(mut self, text: &str) -> Self {
        for byte in text.bytes() {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xFF);
            }
        }
        self.bytes(&[0, 0])
    }

    /// Followed by a flight.
    pub(crate) fn flight(self, flight: FlightId) -> Self {
        self.bytes(&flight_bytes(&flight))
    }

    /// Followed by a designator.
    pub(crate) fn designated(self, designator: &FlightDesignator) -> Self {
        self.bytes(&designator_bytes(designator))
    }

    /// Followed by the owner of a leg.
    pub(crate) fn owner(self, owner: LegOwner) -> Self {
        match owner {
            LegOwner::Flight(flight) => self.bytes(&[0]).flight(flight),
            LegOwner::Rotation(rotation) => self.bytes(&[1]).uuid(rotation.0),
        }
    }

    /// The first key after all keys that begin with this one; none after the last table.
    pub(crate) fn successor(mut self) -> Option<Self> {
        while let Some(last) = self.0.pop() {
            if last < 0xFF {
                self.0.push(last + 1);
                return Some(self);
            }
        }
        None
    }

    /// The first key after this one.
    pub(crate) fn just_after(self) -> Self {
        self.bytes(&[0])
    }
}

/// The keys of the tables.
impl Key {
    pub(crate) fn newest() -> Self {
        Self::table(table::META).bytes(&[0x04])
    }

    pub(crate) fn position(shard: ShardId) -> Self {
        Self::table(table::POSITIONS).bytes(&shard.0.to_be_bytes())
    }

    pub(crate) fn version(aggregate: &[u8]) -> Self {
        Self::table(table::VERSIONS).bytes(aggregate)
    }

    pub(crate) fn airport(code: AirportCode) -> Self {
        Self::table(table::AIRPORTS).code(code.as_str(), 3)
    }

    pub(crate) fn airplane(registration: Registration) -> Self {
        Self::table(table::AIRPLANES).code(registration.as_str(), REGISTRATION_BYTES)
    }

    pub(crate) fn airplanes_of(rotation: RotationId) -> Self {
        Self::table(table::ROTATION_AIRPLANES).uuid(rotation.0)
    }

    pub(crate) fn rotation_airplane(rotation: RotationId, registration: Registration) -> Self {
        Self::airplanes_of(rotation).code(registration.as_str(), REGISTRATION_BYTES)
    }

    pub(crate) fn rotation(id: RotationId) -> Self {
        Self::table(table::ROTATIONS).uuid(id.0)
    }

    pub(crate) fn rotations_named(name: &str) -> Self {
        Self::table(table::ROTATION_NAMES).text(name)
    }

    pub(crate) fn rotation_name(name: &str, id: RotationId) -> Self {
        Self::rotations_named(name).uuid(id.0)
    }

    pub(crate) fn leg(id: LegId) -> Self {
        Self::table(table::LEGS).uuid(id.0)
    }

    pub(crate) fn rivals(leg: LegId) -> Self {
        Self::table(table::RIVALS).uuid(leg.0)
    }

    pub(crate) fn rival(leg: LegId, owner: LegOwner) -> Self {
        Self::rivals(leg).owner(owner)
    }

    pub(crate) fn legs_of(rotation: RotationId) -> Self {
        Self::table(table::ROTATION_LEGS).uuid(rotation.0)
    }

    pub(crate) fn rotation_leg(rotation: RotationId, departure: UtcTime, leg: LegId) -> Self {
        Self::legs_of(rotation).int8(departure.0).uuid(leg.0)
    }

    pub(crate) fn designator(designator: &FlightDesignator) -> Self {
        Self::table(table::DESIGNATORS).designated(designator)
    }

    pub(crate) fn departure(airport: AirportCode, departure: UtcTime, leg: LegId) -> Self {
        Self::table(table::DEPARTURES).code(airport.as_str(), 3).int8(departure.0).uuid(leg.0)
    }

    pub(crate) fn arrivals_at(airport: AirportCode) -> Self {
        Self::table(table::ARRIVALS).code(airport.as_str(), 3)
    }

    pub(crate) fn arrival(
        airport: AirportCode,
        rotation: RotationId,
        departure: UtcTime,
        leg: LegId,
    ) -> Self {
        Self::arrivals_at(airport).uuid(rotation.0).int8(departure.0).uuid(leg.0)
    }

    pub(crate) fn continuity(rotation: RotationId, departure: UtcTime, leg: LegId) -> Self {
        Self::table(table::CONTINUITY).uuid(rotation.0).int8(departure.0).uuid(leg.0)
    }

    pub(crate) fn ground_time(
        rotation: RotationId,
        departure: UtcTime,
        leg: LegId,
        registration: Option<Registration>,
    ) -> Self {
        let key = Self::table(table::GROUND_TIME).uuid(rotation.0).int8(departure.0).uuid(leg.0);
        key.code(registration.as_ref().map_or("", Registration::as_str), REGISTRATION_BYTES)
    }

    pub(crate) fn designator_violations(designator: &FlightDesignator) -> Self {
        Self::table(table::DESIGNATOR).designated(designator)
    }

    pub(crate) fn designator_violation(designator: &FlightDesignator, leg: LegId) -> Self {
        Self::designator_violations(designator).uuid(leg.0)
    }
}

/// A number as [`Key::int4`] writes it.
pub(crate) fn int4_bytes(number: i32) -> [u8; 4] {
    (number.cast_unsigned() ^ 1 << 31).to_be_bytes()
}

/// A number as [`Key::int8`] writes it.
pub(crate) fn int8_bytes(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ 1 << 63).to_be_bytes()
}

/// A flight as [`Key::flight`] writes it.
pub(crate) fn flight_bytes(flight: &FlightId) -> [u8; FLIGHT_BYTES] {
    let mut bytes = [0; FLIGHT_BYTES];
    bytes[..3].copy_from_slice(&flight.carrier.stored());
    bytes[3..7].copy_from_slice(&int4_bytes(i32::from(flight.number.get())));
    bytes[7] = flight.suffix.stored();
    bytes
}

/// A designator as [`Key::designated`] writes it.
pub(crate) fn designator_bytes(designator: &FlightDesignator) -> [u8; DESIGNATOR_BYTES] {
    let mut bytes = [0; DESIGNATOR_BYTES];
    bytes[..FLIGHT_BYTES].copy_from_slice(&flight_bytes(&designator.flight));
    bytes[FLIGHT_BYTES..11].copy_from_slice(&designator.departure_airport.stored());
    bytes[11..].copy_from_slice(&int4_bytes(designator.day_of_origin.0));
    bytes
}

/// A number as [`Key::int4`] wrote it.
pub(crate) fn int4_at(bytes: [u8; 4]) -> i32 {
    (u32::from_be_bytes(bytes) ^ 1 << 31).cast_signed()
}

/// A number as [`Key::int8`] wrote it.
pub(crate) fn int8_at(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ 1 << 63).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn key_order_is_value_order(a: (i32, i64), b: (i32, i64), s in ".{0,4}", t in ".{0,4}") {
            let key = |value: (i32, i64)| Key::default().int4(value.0).int8(value.1);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            let key = |text: &str| Key::default().text(text).int4(0);
            prop_assert_eq!(key(&s).cmp(&key(&t)), s.cmp(&t));
        }

        #[test]
        fn a_text_is_followed_by_its_own_keys_only(s in "[a\0]{0,4}", t in "[a\0]{0,4}", tail: i64) {
            let prefix = Key::default().text(&s);
            let key = Key::default().text(&t).int8(tail);
            let inside = key >= prefix && prefix.clone().successor().is_none_or(|end| key < end);
            prop_assert_eq!(inside, s == t);
        }

        #[test]
        fn a_number_in_a_key_reads_back(a: i32, b: i64) {
            let key = Key::default().int4(a).int8(b);
            prop_assert_eq!(int4_at(key[..4].try_into().unwrap()), a);
            prop_assert_eq!(int8_at(key[4..].try_into().unwrap()), b);
        }
    }
}
