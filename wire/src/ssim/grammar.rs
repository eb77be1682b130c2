//! The order of records in a file, and their serial numbers: header, then blocks of carrier, legs with their
//! segment data, trailer. Zero records may stand anywhere and do not count.

use rotabase_engine::schedule::Leg;

use super::error::{Fault, Faults};
use super::leg_record::{self, Block, LastLeg};
use super::reader::SsimOptions;
use super::record::Record;
use super::value::{self, Limit, TimeMode};

/// What a serial number is followed by after 999999: 000001 is the header's.
const SERIAL_AFTER_LAST: u32 = 2;

/// How far a file has been read.
#[derive(Debug)]
pub(super) struct Grammar {
    options: SsimOptions,
    /// Whether a record of types 1 to 5 has come, and a type 1 and a type 2.
    started: bool,
    header: bool,
    carrier: bool,
    /// The serial number of the record before; none if it is not known.
    serial: Option<u32>,
    block: Option<Block>,
    /// The record number and the end code of the trailer before, until it is checked against what follows.
    trailer: Option<(u64, u8)>,
    legs: u64,
}

impl Grammar {
    pub(super) fn new(options: SsimOptions) -> Self {
        Self {
            options,
            started: false,
            header: false,
            carrier: false,
            serial: None,
            block: None,
            trailer: None,
            legs: 0,
        }
    }

    pub(super) fn legs(&self) -> u64 {
        self.legs
    }

    /// A record came that could not be read; of its type only the first byte is known. What depends on it is not
    /// held against the records that follow.
    pub(super) fn damaged(&mut self, first: Option<u8>) {
        self.serial = None;
        self.trailer = None;
        self.started |= !matches!(first, None | Some(b' ' | b'0'));
        match first {
            Some(b'1') => self.header = true,
            Some(b'2') => {
                self.carrier = true;
                self.block = Some(Block::new());
            }
            Some(b'3') => {
                if let Some(block) = &mut self.block {
                    (block.last_leg, block.certain) = (LastLeg::Unknown, false);
                }
            }
            Some(b'5') => self.block = None,
            _ => {}
        }
    }

    pub(super) fn record(
        &mut self,
        number: u64,
        record: Record<'_>,
        faults: &mut Faults,
        sink: &mut impl FnMut(Leg),
    ) {
        let record_type = record.byte(1);
        if record_type == b'0' {
            if let Some(at) = record.0.iter().position(|byte| *byte != b'0') {
                faults.add(
                    number,
                    Fault::new(at + 1, "E104", "a zero record holds something else than zeros"),
                );
            }
            return;
        }
        if !(b'1'..=b'5').contains(&record_type) {
            faults.add(number, Fault::field(record, 1, 1, "E103", "unknown record type"));
            return;
        }
        if let Some((trailer, b'E')) = self.trailer {
            faults.add(
                trailer,
                Fault::new(194, "E007", "the trailer ends the file, but another record follows"),
            );
        }
        self.trailer = None;
        let result = match record_type {
            b'1' => self.header(record),
            b'2' => self.carrier(record),
            b'3' => self.leg(record, faults, sink),
            b'4' => self.segment(record),
            _ => self.trailer(number, record),
        };
        let first = !std::mem::replace(&mut self.started, true);
        if first && record_type != b'1' {
            faults.add(
                number,
                Fault::field(record, 1, 1, "E002", "the first record is not a header (type 1)"),
            );
        }
        if let Err(fault) = result {
            faults.add(number, fault);
        }
    }

    /// Ends a file of `records` records.
    pub(super) fn finish(&mut self, records: u64, faults: &mut Faults) {
        let end = records + 1;
        if !self.started && faults.is_empty() {
            faults.add(1, Fault::new(1, "E001", "the input is empty"));
        } else if self.block.is_some() {
            faults.add(end, Fault::new(1, "E006", "the file ends without a trailer (type 5)"));
        } else if self.started && !self.carrier {
            faults.add(end, Fault::new(1, "E004", "there is no carrier record (type 2)"));
        } else if let Some((trailer, b'C')) = self.trailer {
            faults.add(
                trailer,
                Fault::new(194, "E008", "the last trailer says that another carrier follows"),
            );
        }
    }

    fn header(&mut self, record: Record<'_>) -> Result<(), Fault> {
        const TITLE: &[u8] = b"AIRLINE STANDARD SCHEDULE DATA SET";
        let second = std::mem::replace(&mut self.header, true);
        self.serial = Some(1);
        if second {
            return Err(Fault::new(1, "E003", "a second header (type 1)"));
        }
        if record.bytes(2, 35) != TITLE {
            return Err(Fault::field(
                record,
                2,
                35,
                "E110",
                "the title is not AIRLINE STANDARD SCHEDULE DATA SET",
            ));
        }
        if value::digits(record.bytes(192, 194)).is_none() {
            return Err(Fault::field(
                record,
                192,
                194,
                "E111",
                "data set serial number: not three digits",
            ));
        }
        match value::digits(record.bytes(195, 200)) {
            None => {
                Err(Fault::field(record, 195, 200, "E105", "record serial number: not six digits"))
            }
            Some(1) => Ok(()),
            Some(_) => Err(Fault::field(
                record,
                195,
                200,
                "E112",
                "record serial number: the header's is not 000001",
            )),
        }
    }

    /// Checks the serial number against the one before and returns the one before.
    fn serial(&mut self, record: Record<'_>) -> Result<Option<u32>, Fault> {
        let before = self.serial.take();
        let Some(serial) = value::digits(record.bytes(195, 200)) else {
            return Err(Fault::field(
                record,
                195,
                200,
                "E105",
                "record serial number: not six digits",
            ));
        };
        self.serial = Some(serial);
        let expected =
            before.map(|before| if before == 999_999 { SERIAL_AFTER_LAST } else { before + 1 });
        match expected {
            Some(expected) if expected != serial => {
                let text = format!("record serial number: {expected:06} expected");
                Err(Fault::field(record, 195, 200, "E106", text))
            }
            _ => Ok(before),
        }
    }

    fn carrier(&mut self, record: Record<'_>) -> Result<(), Fault> {
        self.carrier = true;
        let mut block = Block::new();
        let serial = self.serial(record);
        let fields = read_carrier(record, &mut block);
        if self.block.replace(block).is_some() {
            return Err(Fault::new(
                1,
                "E005",
                "a carrier record (type 2) before the trailer of the block before",
            ));
        }
        serial.and(fields)
    }

    fn leg(
        &mut self,
        record: Record<'_>,
        faults: &Faults,
        sink: &mut impl FnMut(Leg),
    ) -> Result<(), Fault> {
        let serial = self.serial(record);
        let Some(block) = &mut self.block else {
            return Err(Fault::new(
                1,
                "E004",
                "a flight leg record (type 3) outside a carrier block",
            ));
        };
        let expansion = leg_record::read(record, block, &self.options);
        serial?;
        let Some(expansion) = expansion? else { return Ok(()) };
        if !faults.is_empty() {
            return Ok(());
        }
        for leg in expansion.legs() {
            if self.legs == self.options.legs_max {
                let text = format!("the file has more than {} dated legs", self.options.legs_max);
                return Err(Fault::new(15, "E010", text));
            }
            self.legs += 1;
            sink(leg);
        }
        Ok(())
    }

    fn segment(&mut self, record: Record<'_>) -> Result<(), Fault> {
        let serial = self.serial(record);
        let Some(block) = &self.block else {
            return Err(Fault::new(
                1,
                "E004",
                "a segment data record (type 4) outside a carrier block",
            ));
        };
        let key = leg_record::segment_key(record);
        let key_agrees = match block.last_leg {
            LastLeg::None => {
                return Err(Fault::new(
                    1,
                    "E009",
                    "a segment data record (type 4) before any leg of the block",
                ));
            }
            LastLeg::Unknown => true,
            LastLeg::Known(leg) => leg == key,
        };
        serial?;
        if !key_agrees {
            return Err(Fault::field(
                record,
                2,
                14,
                "E400",
                "the flight leg is not that of the record before",
            ));
        }
        let (board, off) = (record.byte(29), record.byte(30));
        if !board.is_ascii_uppercase() {
            return Err(Fault::field(
                record,
                29,
                29,
                "E401",
                "board point indicator: not a letter",
            ));
        }
        if !off.is_ascii_uppercase() {
            return Err(Fault::field(record, 30, 30, "E401", "off point indicator: not a letter"));
        }
        if off <= board {
            return Err(Fault::field(
                record,
                29,
                30,
                "E401",
                "off point indicator: not after the board point",
            ));
        }
        if value::digits(record.bytes(31, 33)).is_none() {
            return Err(Fault::field(
                record,
                31,
                33,
                "E402",
                "data element identifier: not three digits",
            ));
        }
        for (first, what) in
            [(34, "board point: not three letters"), (37, "off point: not three letters")]
        {
            if !record.bytes(first, first + 2).iter().all(u8::is_ascii_uppercase) {
                return Err(Fault::field(record, first, first + 2, "E403", what));
            }
        }
        Ok(())
    }

    fn trailer(&mut self, number: u64, record: Record<'_>) -> Result<(), Fault> {
        let before = self.serial(record);
        let Some(block) = self.block.take() else {
            return Err(Fault::new(1, "E004", "a trailer (type 5) outside a carrier block"));
        };
        let code = record.byte(194);
        self.trailer = Some((number, code));
        let before = before?;
        if block.airline.is_some_and(|(airline, _)| airline != record.array(3)) {
            return Err(Fault::field(
                record,
                3,
                5,
                "E500",
                "airline designator: not that of the carrier record",
            ));
        }
        if !record.is_blank(6, 12) && value::date(record.array(6)).is_none() {
            return Err(Fault::field(
                record,
                6,
                12,
                "E503",
                "release date: neither blank nor a date",
            ));
        }
        let reference = value::digits(record.bytes(188, 193));
        if reference.is_none() || before.is_some_and(|before| reference != Some(before)) {
            let text = "serial number check reference: not the serial number of the record before";
            return Err(Fault::field(record, 188, 193, "E501", text));
        }
        if !matches!(code, b'C' | b'E') {
            return Err(Fault::field(record, 194, 194, "E502", "continuation code: not C or E"));
        }
        Ok(())
    }
}

/// Reads a carrier record into its block, as far as it can be read.
fn read_carrier(record: Record<'_>, block: &mut Block) -> Result<(), Fault> {
    let mode = match record.byte(2) {
        b'L' => TimeMode::Local,
        b'U' => TimeMode::Utc,
        _ => return Err(Fault::field(record, 2, 2, "E200", "time mode: not U or L")),
    };
    block.mode = Some(mode);
    let airline = record.array(3);
    let Some(carrier) = leg_record::carrier(airline) else {
        return Err(Fault::field(
            record,
            3,
            5,
            "E201",
            "airline designator: not 2 letters or digits, or 3 letters",
        ));
    };
    block.airline = Some((airline, carrier));
    let Some(from) = value::date(record.array(15)) else {
        return Err(Fault::field(record, 15, 21, "E202", "schedule validity from: no date"));
    };
    let Some(to) = value::limit(record.array(22)) else {
        return Err(Fault::field(record, 22, 28, "E203", "schedule validity to: no date"));
    };
    block.validity = Some((from, to));
    if matches!(to, Limit::Day(to) if to < from) {
        return Err(Fault::field(record, 15, 28, "E204", "schedule validity: to is before from"));
    }
    if value::date(record.array(29)).is_none() {
        return Err(Fault::field(record, 29, 35, "E205", "creation date: no date"));
    }
    if !record.is_blank(65, 71) && value::date(record.array(65)).is_none() {
        return Err(Fault::field(record, 65, 71, "E206", "release date: neither blank nor a date"));
    }
    if !matches!(record.byte(72), b'P' | b'C') {
        return Err(Fault::field(record, 72, 72, "E207", "schedule status: not P or C"));
    }
    if value::time(record.array(191)).is_none() {
        return Err(Fault::field(record, 191, 194, "E208", "creation time: not HHMM"));
    }
    Ok(())
}
