//! The flight leg record (type 3): its fields, and how it agrees with its carrier and with the leg before it.

use rotabase_engine::schedule::{
    AirportCode, BlockTime, Carrier, DayOfOrigin, FlightDesignator, FlightId, FlightNumber, Leg,
    LegId, ServiceType, Suffix, UtcTime,
};
use rustc_hash::FxHashMap;

use super::error::Fault;
use super::expansion::{Expansion, Period};
use super::reader::SsimOptions;
use super::record::Record;
use super::value::{self, Limit, TimeMode};
use super::{EQUIPMENT_VARIES, PERIOD_DAYS_MAX};

/// Minutes of a day.
const DAY: i64 = 1440;

/// What is known of a carrier block. What its carrier record did not say readably is none, and not checked.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) airline: Option<([u8; 3], Carrier)>,
    pub(super) mode: Option<TimeMode>,
    pub(super) validity: Option<(i32, Limit)>,
    /// How far each flight and itinerary variation has come.
    pub(super) flights: FxHashMap<u32, Progress>,
    pub(super) last_leg: LastLeg,
    /// Whether every leg record of it so far could be read.
    pub(super) certain: bool,
}

impl Block {
    /// A block of which nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            airline: None,
            mode: None,
            validity: None,
            flights: FxHashMap::default(),
            last_leg: LastLeg::None,
            certain: true,
        }
    }
}

/// The leg record before a segment data record.
#[derive(Clone, Copy, Debug)]
pub(super) enum LastLeg {
    /// There is none in the block.
    None,
    /// It could not be read.
    Unknown,
    /// Its bytes 2 to 14 and 128.
    Known([u8; 14]),
}

/// The last leg of a flight and itinerary variation that has come, and what its next leg is checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    sequence: u8,
    /// Whether the leg was read; if not, its successor is not checked against it.
    known: bool,
    first_days: u8,
    arrival_airport: [u8; 3],
    /// The arrival in UTC, in minutes from the midnight at which the day of origin starts.
    arrival_minutes: i32,
    first_from: Limit,
}

/// What identifies a leg record in its block.
#[derive(Clone, Copy, Debug)]
struct Key {
    suffix: Suffix,
    number: u32,
    variation: u32,
    sequence: u8,
}

impl Key {
    /// Flight and itinerary variation in 29 bits.
    fn flight(self) -> u32 {
        (u32::from(self.suffix.stored() & 0x1f) << 14 | self.number) << 10 | self.variation
    }
}

/// What a leg record says for itself.
struct Fields {
    service_type: ServiceType,
    from: Limit,
    to: Limit,
    days: u8,
    fortnightly: bool,
    departure_airport: AirportCode,
    departure_time: i32,
    departure_offset: i32,
    arrival_airport: AirportCode,
    arrival_time: i32,
    arrival_offset: i32,
    aircraft_type: Option<rotabase_engine::schedule::AircraftType>,
    /// Days from the day of origin to departure and to arrival; none if both are blank.
    date_variations: Option<(i32, i32)>,
}

/// Reads a leg record and checks it. None if it cannot be told what it means because its carrier record is bad.
pub(super) fn read(
    record: Record<'_>,
    block: &mut Block,
    options: &SsimOptions,
) -> Result<Option<Expansion>, Fault> {
    block.last_leg = LastLeg::Known(leg_key(record));
    let key = match read_key(record, block.airline.map(|(airline, _)| airline)) {
        Ok(key) => key,
        Err(fault) => {
            block.certain = false;
            return Err(fault);
        }
    };
    let before = block.flights.get(&key.flight()).copied();
    let unknown = Progress {
        sequence: key.sequence,
        known: false,
        first_days: 0,
        arrival_airport: [0; 3],
        arrival_minutes: 0,
        first_from: Limit::Open,
    };
    let placed = check_sequence(record, key, before, block.certain);
    if !matches!(&placed, Err(fault) if fault.code == "E328") {
        block.flights.insert(key.flight(), unknown);
    }
    placed?;
    let fields = read_fields(record)?;
    let before = before.filter(|_| key.sequence > 1);
    let (Some((_, carrier)), Some(mode), Some(validity)) =
        (block.airline, block.mode, block.validity)
    else {
        return Ok(None);
    };
    let departure_days = departure_days(record, key, &fields, before.as_ref())?;
    let period = period(record, &fields, departure_days, validity, options)?;
    if key.sequence == 1 {
        check_validity(record, &period, validity)?;
    }
    let (departure_minutes, arrival_minutes) = times(record, &fields, mode, departure_days)?;
    let origin = i64::from(departure_days) * DAY;
    if let Some(before) = before.filter(|before| before.known) {
        if before.arrival_airport != fields.departure_airport.stored() {
            return Err(Fault::field(
                record,
                37,
                39,
                "E323",
                "departure station: not where the leg before arrives",
            ));
        }
        if origin + departure_minutes < i64::from(before.arrival_minutes) {
            return Err(Fault::field(
                record,
                44,
                47,
                "E324",
                "departure: before the leg before arrives",
            ));
        }
    }
    let (first_from, first_days) = before
        .filter(|it| it.known)
        .map_or((fields.from, fields.days), |it| (it.first_from, it.first_days));
    let reached = Progress {
        known: true,
        arrival_airport: fields.arrival_airport.stored(),
        arrival_minutes: i32::try_from(origin + arrival_minutes).expect("a week or so"),
        first_from,
        first_days,
        ..unknown
    };
    block.flights.insert(key.flight(), reached);
    let leg = template(key, carrier, &fields);
    Ok(Some(Expansion { leg, period, departure_days, departure_minutes, arrival_minutes }))
}

/// An airline designator: 2 letters or digits and a blank, or 3 letters.
pub(super) fn carrier(bytes: [u8; 3]) -> Option<Carrier> {
    let alphanumeric = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    match bytes {
        [one, two, b' '] if alphanumeric(one) && alphanumeric(two) => {
            Carrier::from_stored(&[one, two])
        }
        [..] if bytes.iter().all(u8::is_ascii_uppercase) => Carrier::from_stored(&bytes),
        _ => None,
    }
}

/// Bytes 2 to 14 and 128 of a leg record.
fn leg_key(record: Record<'_>) -> [u8; 14] {
    let mut key = [record.byte(128); 14];
    key[..13].copy_from_slice(record.bytes(2, 14));
    key
}

/// The same of a segment data record, which has the overflow in byte 28.
pub(super) fn segment_key(record: Record<'_>) -> [u8; 14] {
    let mut key = [record.byte(28); 14];
    key[..13].copy_from_slice(record.bytes(2, 14));
    key
}

fn read_key(record: Record<'_>, airline: Option<[u8; 3]>) -> Result<Key, Fault> {
    let suffix = match record.byte(2) {
        b' ' => Some(Suffix::NONE),
        letter => Suffix::from_stored(letter),
    };
    let Some(suffix) = suffix else {
        return Err(Fault::field(
            record,
            2,
            2,
            "E300",
            "operational suffix: neither blank nor a letter",
        ));
    };
    if airline.is_some_and(|airline| airline != record.array(3)) {
        return Err(Fault::field(
            record,
            3,
            5,
            "E301",
            "airline designator: not that of the carrier record",
        ));
    }
    let Some(number) = value::flight_number(record.array(6)) else {
        return Err(Fault::field(
            record,
            6,
            9,
            "E302",
            "flight number: not 1 to 4 digits on the right, above 0",
        ));
    };
    let hundreds = match record.byte(128) {
        b' ' => 0,
        digit @ b'0'..=b'9' => u32::from(digit - b'0') * 100,
        _ => {
            return Err(Fault::field(
                record,
                128,
                128,
                "E319",
                "itinerary variation overflow: neither blank nor a digit",
            ));
        }
    };
    let variation = value::digits(record.bytes(10, 11)).map(|variation| hundreds + variation);
    let Some(variation) = variation.filter(|variation| *variation > 0) else {
        return Err(Fault::field(
            record,
            10,
            11,
            "E303",
            "itinerary variation identifier: not 01 to 99",
        ));
    };
    let sequence = value::digits(record.bytes(12, 13)).and_then(|it| u8::try_from(it).ok());
    let Some(sequence) = sequence.filter(|sequence| *sequence > 0) else {
        return Err(Fault::field(record, 12, 13, "E304", "leg sequence number: not 01 to 99"));
    };
    Ok(Key { suffix, number, variation, sequence })
}

/// Legs of a flight and itinerary variation come as 01, 02, 03, each once.
fn check_sequence(
    record: Record<'_>,
    key: Key,
    before: Option<Progress>,
    certain: bool,
) -> Result<(), Fault> {
    let last = before.map_or(0, |before| before.sequence);
    if key.sequence <= last {
        return Err(Fault::field(
            record,
            10,
            13,
            "E328",
            "flight, itinerary variation and leg sequence occur twice in the block",
        ));
    }
    if key.sequence != last + 1 && certain {
        let text = format!("leg sequence number: {:02} expected", last + 1);
        return Err(Fault::field(record, 12, 13, "E304", text));
    }
    Ok(())
}

fn read_fields(record: Record<'_>) -> Result<Fields, Fault> {
    let fault = |first, last, code, text: &str| Err(Fault::field(record, first, last, code, text));
    let Some(service_type) = ServiceType::from_stored(record.bytes(14, 14)) else {
        return fault(14, 14, "E305", "service type: not a letter");
    };
    let Some(from) = value::limit(record.array(15)) else {
        return fault(15, 21, "E306", "period of operation from: no date");
    };
    let Some(to) = value::limit(record.array(22)) else {
        return fault(22, 28, "E307", "period of operation to: no date");
    };
    let Some(days) = value::days(record.array(29)) else {
        return fault(29, 35, "E309", "days of operation: not digits in their places");
    };
    let fortnightly = match record.byte(36) {
        b' ' => false,
        b'2' => true,
        _ => return fault(36, 36, "E311", "frequency rate: neither blank nor 2"),
    };
    let Some(departure_airport) = AirportCode::from_stored(record.bytes(37, 39)) else {
        return fault(37, 39, "E313", "departure station: not three letters");
    };
    if value::time(record.array(40)).is_none() {
        return fault(40, 43, "E315", "passenger departure time: not HHMM");
    }
    let Some(departure_time) = value::time(record.array(44)) else {
        return fault(44, 47, "E315", "aircraft departure time: not HHMM");
    };
    let Some(departure_offset) = value::variation(record.array(48)) else {
        return fault(48, 52, "E316", "UTC variation at departure: not -1200 to +1400");
    };
    let Some(arrival_airport) = AirportCode::from_stored(record.bytes(55, 57)) else {
        return fault(55, 57, "E313", "arrival station: not three letters");
    };
    if arrival_airport == departure_airport && !returns(record.byte(14)) {
        return fault(55, 57, "E314", "arrival station: the departure station");
    }
    let Some(arrival_time) = value::arrival_time(record.array(58)) else {
        return fault(58, 61, "E315", "aircraft arrival time: not HHMM");
    };
    if value::arrival_time(record.array(62)).is_none() {
        return fault(62, 65, "E315", "passenger arrival time: not HHMM");
    }
    let Some(arrival_offset) = value::variation(record.array(66)) else {
        return fault(66, 70, "E316", "UTC variation at arrival: not -1200 to +1400");
    };
    let aircraft_type = read_aircraft_type(record)?;
    if record.is_blank(76, 95) && record.is_blank(173, 192) {
        return fault(76, 95, "E318", "booking classes and aircraft configuration: both blank");
    }
    check_onward_flight(record)?;
    let date_variations = read_date_variations(record)?;
    Ok(Fields {
        service_type,
        from,
        to,
        days,
        fortnightly,
        departure_airport,
        departure_time,
        departure_offset,
        arrival_airport,
        arrival_time,
        arrival_offset,
        aircraft_type,
        date_variations,
    })
}

/// Whether a flight of this service type may arrive where it departed: tests, training and the like.
pub(super) fn returns(service_type: u8) -> bool {
    matches!(service_type, b'K' | b'P' | b'T' | b'D' | b'W' | b'E' | b'N' | b'I' | b'X')
}

fn read_aircraft_type(
    record: Record<'_>,
) -> Result<Option<rotabase_engine::schedule::AircraftType>, Fault> {
    let bytes = record.bytes(73, 75);
    if bytes == EQUIPMENT_VARIES.as_bytes() {
        return Ok(None);
    }
    let aircraft_type = rotabase_engine::schedule::AircraftType::from_stored(bytes);
    aircraft_type.map(Some).ok_or_else(|| {
        Fault::field(record, 73, 75, "E317", "aircraft type: not three letters or digits")
    })
}

/// The onward flight is only checked, not kept: it proposes rotations and does not make them.
fn check_onward_flight(record: Record<'_>) -> Result<(), Fault> {
    if record.is_blank(138, 146) {
        return Ok(());
    }
    let complete =
        carrier(record.array(138)).is_some() && value::flight_number(record.array(141)).is_some();
    if !complete {
        return Err(Fault::field(
            record,
            138,
            146,
            "E327",
            "onward flight: airline or flight number missing",
        ));
    }
    if !matches!(record.byte(145), b' ' | b'0'..=b'9') {
        return Err(Fault::field(
            record,
            138,
            146,
            "E327",
            "onward flight: layover neither blank nor a digit",
        ));
    }
    if !matches!(record.byte(146), b' ' | b'A'..=b'Z') {
        return Err(Fault::field(
            record,
            138,
            146,
            "E327",
            "onward flight: suffix neither blank nor a letter",
        ));
    }
    Ok(())
}

fn read_date_variations(record: Record<'_>) -> Result<Option<(i32, i32)>, Fault> {
    if record.is_blank(193, 194) {
        return Ok(None);
    }
    let read = |at, what: &str| {
        let text = format!("date variation of {what}: not 0 to 7 or A, or only one given");
        value::date_variation(record.byte(at))
            .ok_or_else(|| Fault::field(record, at, at, "E320", text))
    };
    Ok(Some((read(193, "departure")?, read(194, "arrival")?)))
}

/// The days from the day of origin to departure. Where the record does not say, the period of a later leg is
/// that of the first leg, moved.
fn departure_days(
    record: Record<'_>,
    key: Key,
    fields: &Fields,
    before: Option<&Progress>,
) -> Result<i32, Fault> {
    let Some((departure, _)) = fields.date_variations else {
        let Some(before) = before.filter(|before| before.known) else { return Ok(0) };
        let (Limit::Day(first), Limit::Day(from)) = (before.first_from, fields.from) else {
            return Ok(0);
        };
        let moved = from - first;
        let follows =
            (0..=7).contains(&moved) && fields.days == value::days_moved(before.first_days, moved);
        return Ok(if follows { moved } else { 0 });
    };
    if key.sequence == 1 && departure != 0 {
        return Err(Fault::field(
            record,
            193,
            193,
            "E322",
            "date variation of departure: the first leg departs on the day of origin",
        ));
    }
    Ok(departure)
}

fn period(
    record: Record<'_>,
    fields: &Fields,
    departure_days: i32,
    validity: (i32, Limit),
    options: &SsimOptions,
) -> Result<Period, Fault> {
    let &Fields { from, to, days, fortnightly, .. } = fields;
    if fortnightly && (from == Limit::Open || to == Limit::Open) {
        return Err(Fault::field(record, 36, 36, "E312", "frequency rate: 2 with an open period"));
    }
    let from = match from {
        Limit::Day(from) => from,
        Limit::Open => validity.0 + departure_days,
    };
    let to = match (to, validity.1, options.horizon) {
        (Limit::Day(to), _, _) => to,
        (Limit::Open, Limit::Day(to), _) => to + departure_days,
        (Limit::Open, Limit::Open, Some(DayOfOrigin(horizon))) => horizon,
        (Limit::Open, Limit::Open, None) => {
            return Err(Fault::field(
                record,
                22,
                28,
                "E326",
                "period of operation to: open, and so is the schedule validity",
            ));
        }
    };
    if to < from {
        return Err(Fault::field(record, 15, 28, "E308", "period of operation: to is before from"));
    }
    if i64::from(to) - i64::from(from) >= i64::from(PERIOD_DAYS_MAX) {
        let text = format!("period of operation: longer than {PERIOD_DAYS_MAX} days");
        return Err(Fault::field(record, 15, 28, "E329", text));
    }
    let period = Period { from, to, days, fortnightly };
    if let Some(day) = period.day_that_never_occurs() {
        let text = format!(
            "days of operation: day {} does not occur between {} and {}",
            day + 1,
            date_name(from),
            date_name(to)
        );
        return Err(Fault::field(record, 29, 35, "E310", text));
    }
    if fortnightly && !period.operates(from) {
        return Err(Fault::field(
            record,
            36,
            36,
            "E312",
            "frequency rate: 2, but the first day is not a day of operation",
        ));
    }
    Ok(period)
}

fn date_name(day: i32) -> String {
    let text = value::date_text(day);
    text.map_or_else(
        || DayOfOrigin(day).to_string(),
        |text| text.iter().map(|byte| char::from(*byte)).collect(),
    )
}

fn check_validity(
    record: Record<'_>,
    period: &Period,
    validity: (i32, Limit),
) -> Result<(), Fault> {
    let mut dates = period.dates();
    let first = dates.next().expect("each listed day occurs");
    let last = dates.next_back().unwrap_or(first);
    if first < validity.0 || matches!(validity.1, Limit::Day(to) if to < last) {
        return Err(Fault::field(
            record,
            15,
            28,
            "E325",
            "period of operation: outside the validity of the carrier record",
        ));
    }
    Ok(())
}

/// Departure and arrival in UTC, in minutes from the midnight at which the date of departure starts.
fn times(
    record: Record<'_>,
    fields: &Fields,
    mode: TimeMode,
    departure_days: i32,
) -> Result<(i64, i64), Fault> {
    let (departure_offset, arrival_offset) = match mode {
        TimeMode::Local => (fields.departure_offset, fields.arrival_offset),
        TimeMode::Utc => (0, 0),
    };
    let departure = i64::from(fields.departure_time - departure_offset);
    let arrival = i64::from(fields.arrival_time - arrival_offset);
    let Some((_, arrival_days)) = fields.date_variations else {
        // The one date that makes it fly for more than nothing and for a day at most.
        let block = (arrival - departure - 1).rem_euclid(DAY) + 1;
        return Ok((departure, departure + block));
    };
    let arrival = arrival + i64::from(arrival_days - departure_days) * DAY;
    if !(1..=DAY).contains(&(arrival - departure)) {
        let text = format!(
            "date variation of arrival: the leg would take {} minutes",
            arrival - departure
        );
        return Err(Fault::field(record, 194, 194, "E321", text));
    }
    Ok((departure, arrival))
}

/// What the legs of a record have in common.
fn template(key: Key, carrier: Carrier, fields: &Fields) -> Leg {
    let number = FlightNumber::new(i64::from(key.number)).expect("1 to 4 digits, above 0");
    Leg {
        id: LegId(uuid::Uuid::nil()),
        designator: FlightDesignator {
            flight: FlightId { carrier, number, suffix: key.suffix },
            departure_airport: fields.departure_airport,
            day_of_origin: DayOfOrigin(0),
        },
        arrival_airport: fields.arrival_airport,
        block: BlockTime::new(UtcTime(0), UtcTime(1)).expect("ordered"),
        departure_utc_offset_minutes: fields.departure_offset,
        arrival_utc_offset_minutes: fields.arrival_offset,
        leg_sequence: i32::from(key.sequence),
        itinerary_variation: i32::try_from(key.variation).expect("at most 999"),
        service_type: fields.service_type,
        aircraft_type: fields.aircraft_type,
    }
}
