//! Cuts a stream of bytes into records.
//!
//! A record is a line, ended by LF or CR LF; the last one may lack its line end. A file without any line ends,
//! the form of a tape, is told by its 201st byte, which then starts the next record.

use rotabase_engine::schedule::{DayOfOrigin, Leg};

use super::RECORD_BYTES;
use super::error::{Fault, Faults, SsimRefused};
use super::grammar::Grammar;
use super::record::Record;

/// The dated legs that one load may have unless it is told otherwise.
pub const LEGS_MAX: u64 = 50_000_000;

/// The bytes of a line that are kept: enough to tell a line that is too long, CR included.
const LINE_BYTES_MAX: usize = RECORD_BYTES + 2;

/// The bytes that are looked at to tell whether a file has lines: two records, so that a first line that is too
/// long is still a line.
const FORM_BYTES: usize = 2 * LINE_BYTES_MAX;

/// How a file is read.
#[derive(Clone, Copy, Debug)]
pub struct SsimOptions {
    /// The last day of operation for what the file leaves open; none refuses it.
    pub horizon: Option<DayOfOrigin>,
    /// The most dated legs.
    pub legs_max: u64,
}

impl Default for SsimOptions {
    fn default() -> Self {
        Self { horizon: None, legs_max: LEGS_MAX }
    }
}

/// What was in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SsimSummary {
    /// Records, zero records included.
    pub records: u64,
    /// Dated legs.
    pub legs: u64,
}

/// Reads an SSIM file that comes in pieces, strictly.
///
/// ```
/// # use rotabase::ssim::{SsimOptions, SsimReader};
/// let mut legs = Vec::new();
/// let mut reader = SsimReader::new(SsimOptions::default());
/// reader.feed(b"2LLH ", &mut |leg| legs.push(leg));
/// let refused = reader.finish(&mut |leg| legs.push(leg)).unwrap_err();
/// assert_eq!(refused.to_string(), "record 1, byte 6: E100 the record has 5 bytes instead of 200");
/// ```
#[derive(Debug)]
pub struct SsimReader {
    form: Form,
    line: Vec<u8>,
    records: u64,
    faults: Faults,
    grammar: Grammar,
}

/// How records are told from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Not seen enough yet.
    Undecided,
    /// By line ends.
    Lines,
    /// By their length.
    Tape,
}

impl SsimReader {
    /// A reader of a file of which nothing has come yet.
    pub fn new(options: SsimOptions) -> Self {
        Self {
            form: Form::Undecided,
            line: Vec::with_capacity(LINE_BYTES_MAX),
            records: 0,
            faults: Faults::default(),
            grammar: Grammar::new(options),
        }
    }

    /// Takes the next bytes of the file, and gives the legs of the records that they complete. After the first
    /// bad record no more legs are given, and those that were given are void.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Leg)) {
        match self.form {
            Form::Undecided => {
                self.line.extend_from_slice(bytes);
                if self.decide() {
                    let start =
                        std::mem::replace(&mut self.line, Vec::with_capacity(LINE_BYTES_MAX));
                    self.feed(&start, sink);
                }
            }
            Form::Lines => self.feed_lines(bytes, sink),
            Form::Tape => self.feed_tape(bytes, sink),
        }
    }

    /// Whether the file is refused already.
    pub fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }

    /// How many dated legs have been given so far.
    pub fn legs(&self) -> u64 {
        self.grammar.legs()
    }

    /// Ends the file.
    pub fn finish(mut self, sink: &mut impl FnMut(Leg)) -> Result<SsimSummary, SsimRefused> {
        if !self.line.is_empty() && self.form == Form::Undecided {
            let start = std::mem::take(&mut self.line);
            let tape = start.len().is_multiple_of(RECORD_BYTES)
                && start_of_record(start[start.len() - RECORD_BYTES]);
            self.form = if tape { Form::Tape } else { Form::Lines };
            self.feed(&start, sink);
        }
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.record(&line, sink);
        }
        self.grammar.finish(self.records, &mut self.faults);
        let summary = SsimSummary { records: self.records, legs: self.grammar.legs() };
        self.faults.into_result().map(|()| summary)
    }

    fn decide(&mut self) -> bool {
        let start = &self.line[..self.line.len().min(FORM_BYTES)];
        if memchr::memchr(b'\n', start).is_some() {
            self.form = Form::Lines;
        } else if start.len() == FORM_BYTES {
            self.form = if start_of_record(start[RECORD_BYTES]) { Form::Tape } else { Form::Lines };
        }
        self.form != Form::Undecided
    }

    fn feed_lines(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Leg)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.line.is_empty() {
                self.record(line, sink);
            } else {
                self.keep(line);
                let mut line = std::mem::take(&mut self.line);
                self.record(&line, sink);
                line.clear();
                self.line = line;
            }
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn feed_tape(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Leg)) {
        while self.line.len() + bytes.len() >= RECORD_BYTES {
            let (part, rest) = bytes.split_at(RECORD_BYTES - self.line.len());
            bytes = rest;
            self.line.extend_from_slice(part);
            let mut record = std::mem::take(&mut self.line);
            self.record(&record, sink);
            record.clear();
            self.line = record;
        }
        self.line.extend_from_slice(bytes);
    }

    fn record(&mut self, line: &[u8], sink: &mut impl FnMut(Leg)) {
        self.records += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match whole_record(line) {
            Ok(record) => self.grammar.record(self.records, record, &mut self.faults, sink),
            Err(fault) => {
                self.faults.add(self.records, fault);
                self.grammar.damaged(line.first().copied());
            }
        }
    }
}

fn start_of_record(byte: u8) -> bool {
    (b'0'..=b'5').contains(&byte)
}

/// Checks what holds for every record: its length and its characters.
fn whole_record(line: &[u8]) -> Result<Record<'_>, Fault> {
    if line.iter().all(|byte| *byte == b' ') && line.len() <= RECORD_BYTES {
        return Err(Fault::new(1, "E107", "the line is blank"));
    }
    let start = &line[..line.len().min(RECORD_BYTES)];
    if let Some(at) = start.iter().position(|byte| !(b' '..=b'~').contains(byte)) {
        return Err(Fault::new(
            at + 1,
            "E101",
            format!("the byte 0x{:02X} is not printable ASCII", line[at]),
        ));
    }
    let record = match <&[u8; RECORD_BYTES]>::try_from(line) {
        Ok(record) => record,
        Err(_) if line.len() > RECORD_BYTES => {
            return Err(Fault::new(RECORD_BYTES + 1, "E100", "the record has more than 200 bytes"));
        }
        Err(_) => {
            let text = format!("the record has {} bytes instead of 200", line.len());
            return Err(Fault::new(line.len() + 1, "E100", text));
        }
    };
    let lower = |(at, byte): (usize, &u8)| byte.is_ascii_lowercase() && !is_free(record[0], at + 1);
    if let Some(at) = record.iter().enumerate().position(lower) {
        let text = format!("the letter {} is lower case", char::from(record[at]));
        return Err(Fault::new(at + 1, "E102", text));
    }
    Ok(Record(record))
}

/// Whether a byte belongs to free text or is spare, where anything printable may stand.
fn is_free(record_type: u8, byte: usize) -> bool {
    match record_type {
        b'1' => matches!(byte, 36..=40 | 42..=191),
        b'2' => matches!(byte, 6..=10 | 14 | 36..=64 | 73..=107 | 109..=168),
        b'3' => matches!(byte, 123..=127 | 147 | 162..=172),
        b'4' => matches!(byte, 15..=27 | 40..=194),
        b'5' => matches!(byte, 2 | 13..=187),
        _ => false,
    }
}
