//! What is wrong with a file, and where.

use std::fmt;

use super::record::Record;

/// The most bad records that are remembered.
pub const ERRORS_MAX: usize = 20;

/// A fault of one record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SsimError {
    /// The number of the record in the file, from 1; zero records and blank lines count.
    pub record: u64,
    /// The first byte of what is wrong, from 1.
    pub byte: usize,
    /// What kind of fault, such as `E310`.
    pub code: &'static str,
    /// The fault in words.
    pub text: String,
    /// What the field holds, if it is a field that is wrong.
    pub field: Option<String>,
}

impl fmt::Display for SsimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record, byte, code, text, field } = self;
        write!(f, "record {record}, byte {byte}: {code} {text}")?;
        field.as_ref().map_or(Ok(()), |field| write!(f, ": \"{field}\""))
    }
}

/// A file was refused: its first bad records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .errors[0])]
pub struct SsimRefused {
    /// The first faults, at most [`ERRORS_MAX`], one for each bad record; never empty.
    pub errors: Vec<SsimError>,
    /// How many faults there are in all.
    pub count: u64,
}

/// A fault whose record is not said yet.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) byte: usize,
    pub(super) code: &'static str,
    pub(super) text: String,
    pub(super) field: Option<String>,
}

impl Fault {
    /// A fault that is not about the content of a field.
    pub(super) fn new(byte: usize, code: &'static str, text: impl Into<String>) -> Self {
        Self { byte, code, text: text.into(), field: None }
    }

    /// A fault of the field in bytes `first` to `last` of `record`.
    pub(super) fn field(
        record: Record<'_>,
        first: usize,
        last: usize,
        code: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self { byte: first, code, text: text.into(), field: Some(record.printable(first, last)) }
    }
}

/// The faults of a file: the first one of each bad record.
#[derive(Debug, Default)]
pub(super) struct Faults {
    errors: Vec<SsimError>,
    count: u64,
    last: Option<u64>,
}

impl Faults {
    pub(super) fn add(&mut self, record: u64, fault: Fault) {
        if self.last == Some(record) {
            return;
        }
        self.last = Some(record);
        self.count += 1;
        if self.errors.len() < ERRORS_MAX {
            let Fault { byte, code, text, field } = fault;
            self.errors.push(SsimError { record, byte, code, text, field });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn into_result(self) -> Result<(), SsimRefused> {
        if self.count == 0 {
            return Ok(());
        }
        Err(SsimRefused { errors: self.errors, count: self.count })
    }
}
