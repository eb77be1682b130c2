//! Writes legs as an SSIM file that the reader accepts.
//!
//! Legs come flight by flight. Those of an airline are kept as series, which are what records will say, and
//! written when the next airline comes. A flight, itinerary variation and leg sequence may stand once in a block; where
//! several records are needed to say their dates, the further ones go to further blocks of the same airline. Times
//! are local, but chains whose day of origin is a date of UTC only go to blocks of their own, in UTC.

use std::collections::BTreeMap;
use std::rc::Rc;

use rotabase_engine::schedule::{Carrier, FlightId, Leg, UtcTime};

use super::chain::{self, Chain, Moment, Shape};
use super::expansion::Period;
use super::value::{self, TimeMode};
use super::{EQUIPMENT_VARIES, RECORD_BYTES, series};

/// What stands for booking classes, of which one has to be given.
const BOOKING_CLASSES: &[u8] = b"Y";

/// The airline of a file without legs: a file needs one.
const NO_AIRLINE: &str = "XX";

/// Records of a tape block.
const BLOCK_RECORDS: u64 = 5;

/// A leg cannot be said in SSIM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not write leg {} of {} as SSIM: {reason}", .leg.designator, .leg.designator.day_of_origin)]
pub struct SsimExportError {
    /// Which leg.
    pub leg: Box<Leg>,
    /// Why.
    pub reason: &'static str,
}

impl SsimExportError {
    pub(super) fn new(leg: &Leg, reason: &'static str) -> Self {
        Self { leg: Box::new(*leg), reason }
    }
}

/// Writes an SSIM file.
#[derive(Debug)]
pub struct SsimWriter {
    created: UtcTime,
    flight: Option<FlightId>,
    legs: Vec<Leg>,
    /// The series of the airline, by block.
    blocks: BTreeMap<(TimeMode, usize), Vec<Series>>,
    /// The records written so far, zero records included.
    records: u64,
    serial: u32,
    /// The airline whose trailer is not yet written, because it has to say whether another block follows.
    trailer: Option<Carrier>,
}

/// A chain on the days of origin of one period: a record for each of its legs.
#[derive(Debug)]
struct Series {
    flight: FlightId,
    chain: Rc<Chain>,
    period: Period,
}

impl SsimWriter {
    /// A writer of a file that says it was made at `created`.
    pub fn new(created: UtcTime) -> Self {
        Self {
            created,
            flight: None,
            legs: Vec::new(),
            blocks: BTreeMap::new(),
            records: 0,
            serial: 0,
            trailer: None,
        }
    }

    /// Takes a leg and appends to `out` what can be written. Legs come in the order of their flights.
    pub fn leg(&mut self, leg: &Leg, out: &mut Vec<u8>) -> Result<(), SsimExportError> {
        let flight = leg.designator.flight;
        if let Some(before) = self.flight.filter(|before| *before != flight) {
            assert!(before < flight, "legs come in the order of their flights");
            self.end_flight()?;
            if before.carrier != flight.carrier {
                self.end_airline(before.carrier, out);
            }
        }
        self.flight = Some(flight);
        self.legs.push(*leg);
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), SsimExportError> {
        self.end_flight()?;
        match self.flight {
            Some(flight) => self.end_airline(flight.carrier, out),
            None => self.write_block(
                NO_AIRLINE.parse().expect("an airline designator"),
                TimeMode::Utc,
                &[],
                out,
            ),
        }
        self.write_trailer(b'E', out);
        Ok(())
    }

    /// Turns the legs of the flight into series.
    fn end_flight(&mut self) -> Result<(), SsimExportError> {
        let Some(flight) = self.flight else { return Ok(()) };
        let mut blocks_used: BTreeMap<(TimeMode, u32), usize> = BTreeMap::new();
        for (chain, days) in chain::chains(std::mem::take(&mut self.legs))? {
            let chain = Rc::new(chain);
            for period in series::cover(&days) {
                let used = blocks_used.entry((chain.mode, chain.variation)).or_default();
                let block = self.blocks.entry((chain.mode, *used)).or_default();
                block.push(Series { flight, chain: Rc::clone(&chain), period });
                *used += 1;
            }
        }
        Ok(())
    }

    fn end_airline(&mut self, carrier: Carrier, out: &mut Vec<u8>) {
        for ((mode, _), series) in std::mem::take(&mut self.blocks) {
            self.write_block(carrier, mode, &series, out);
        }
    }

    fn write_block(
        &mut self,
        carrier: Carrier,
        mode: TimeMode,
        series: &[Series],
        out: &mut Vec<u8>,
    ) {
        if self.records == 0 {
            self.write_header(out);
        }
        self.write_trailer(b'C', out);
        self.write_carrier(carrier, mode, series, out);
        for it in series {
            for (at, shape) in it.chain.legs.iter().enumerate() {
                self.write_leg(it, at, shape, out);
            }
        }
        while !self.records.is_multiple_of(BLOCK_RECORDS) {
            self.write_zeros(1, out);
        }
        self.trailer = Some(carrier);
    }

    fn write_header(&mut self, out: &mut Vec<u8>) {
        let mut line = Line::new(b'1');
        line.put(2, b"AIRLINE STANDARD SCHEDULE DATA SET");
        line.put(41, b"1");
        line.put(192, b"001");
        self.write(line, out);
        self.write_zeros(4, out);
    }

    fn write_carrier(
        &mut self,
        carrier: Carrier,
        mode: TimeMode,
        series: &[Series],
        out: &mut Vec<u8>,
    ) {
        let (today, minutes) = self.today();
        let from = series.iter().map(|it| it.period.from).min().unwrap_or(today);
        let to = series.iter().map(|it| it.period.to).max().unwrap_or(today);
        let mut line = Line::new(b'2');
        line.put(2, if mode == TimeMode::Local { b"L" } else { b"U" });
        line.put(3, carrier.as_str().as_bytes());
        line.put(15, &date(from));
        line.put(22, &date(to));
        line.put(29, &date(today));
        line.put(36, b"SCHEDULE");
        line.put(72, b"P");
        line.put(73, b"ROTABASE");
        line.put(191, &value::time_text(minutes));
        self.write(line, out);
        self.write_zeros(4, out);
    }

    fn write_leg(&mut self, series: &Series, at: usize, shape: &Shape, out: &mut Vec<u8>) {
        let Series { flight, chain, period } = series;
        let moments = shape.moments(chain.mode, at == 0);
        let (departure, arrival) = moments.expect("the chain was built in its time mode");
        let mut line = Line::new(b'3');
        line.put(2, suffix(*flight).as_bytes());
        line.put(3, flight.carrier.as_str().as_bytes());
        line.put(6, format!("{:4}", flight.number.get()).as_bytes());
        line.put(10, &value::two_digits(chain.variation));
        if chain.variation > 99 {
            line.put(128, &value::two_digits(chain.variation / 100)[1..]);
        }
        line.put(12, &value::two_digits(u32::try_from(at + 1).expect("at most 99 legs")));
        line.put(14, shape.service_type.as_str().as_bytes());
        line.put(15, &date(period.from + departure.days));
        line.put(22, &date(period.to + departure.days));
        line.put(29, &value::days_text(value::days_moved(period.days, departure.days)));
        line.put(36, if period.fortnightly { b"2" } else { b" " });
        line.put(37, shape.departure_airport.as_str().as_bytes());
        line.put(40, &clock(departure));
        line.put(44, &clock(departure));
        line.put(48, &variation(shape.departure_offset));
        line.put(55, shape.arrival_airport.as_str().as_bytes());
        line.put(58, &clock(arrival));
        line.put(62, &clock(arrival));
        line.put(66, &variation(shape.arrival_offset));
        line.put(
            73,
            shape.aircraft_type.as_ref().map_or(EQUIPMENT_VARIES, |it| it.as_str()).as_bytes(),
        );
        line.put(76, BOOKING_CLASSES);
        let days = [departure.days, arrival.days].map(value::date_variation_text);
        line.put(193, &days.map(|it| it.expect("checked when the chain was built")));
        self.write(line, out);
    }

    /// Writes the trailer that is due, if one is.
    fn write_trailer(&mut self, code: u8, out: &mut Vec<u8>) {
        let Some(carrier) = self.trailer.take() else { return };
        let mut line = Line::new(b'5');
        line.put(3, carrier.as_str().as_bytes());
        line.put(188, &six_digits(self.serial));
        line.put(194, &[code]);
        self.write(line, out);
        self.write_zeros(4, out);
    }

    fn write(&mut self, mut line: Line, out: &mut Vec<u8>) {
        self.serial = if self.serial == 999_999 { 2 } else { self.serial + 1 };
        self.records += 1;
        line.put(195, &six_digits(self.serial));
        out.extend_from_slice(&line.0);
        out.push(b'\n');
    }

    fn write_zeros(&mut self, count: u64, out: &mut Vec<u8>) {
        for _ in 0..count {
            self.records += 1;
            out.extend_from_slice(&[b'0'; RECORD_BYTES]);
            out.push(b'\n');
        }
    }

    fn today(&self) -> (i32, u32) {
        const MINUTE: i64 = 60_000_000;
        let minutes = self.created.0.div_euclid(MINUTE);
        let day = i32::try_from(minutes.div_euclid(1440)).unwrap_or_default();
        // A clock that is wrong by decades gives a date that is wrong, but can be said.
        (
            if value::date_text(day).is_some() { day } else { 0 },
            u32::try_from(minutes.rem_euclid(1440)).expect("a day's minutes"),
        )
    }
}

/// A record that is being written.
struct Line([u8; RECORD_BYTES]);

impl Line {
    fn new(record_type: u8) -> Self {
        let mut line = Self([b' '; RECORD_BYTES]);
        line.put(1, &[record_type]);
        line
    }

    /// Puts a value into the bytes from `first`.
    fn put(&mut self, first: usize, value: &[u8]) {
        self.0[first - 1..first - 1 + value.len()].copy_from_slice(value);
    }
}

fn suffix(flight: FlightId) -> String {
    flight.suffix.to_string()
}

fn clock(moment: Moment) -> [u8; 4] {
    value::time_text(u32::try_from(moment.minutes).expect("a day's minutes"))
}

fn variation(minutes: i32) -> [u8; 5] {
    value::variation_text(minutes).expect("checked when the chain was built")
}

fn date(day: i32) -> [u8; 7] {
    value::date_text(day).expect("checked when the chain was built")
}

fn six_digits(number: u32) -> [u8; 6] {
    let mut digits = [0; 6];
    for (pair, power) in digits.chunks_exact_mut(2).zip([10_000, 100, 1]) {
        pair.copy_from_slice(&value::two_digits(number / power));
    }
    digits
}
