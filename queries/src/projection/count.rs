//! The number of rows of each relation, maintained with the rows.

use super::key::{Key, table};
use super::row::Fields;
use super::rows::{ReadRows, Result};

/// The number of counts.
pub(crate) const COUNTS: usize = 8;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of the relations")]
pub enum Count {
    Airports,
    Airplanes,
    Rotations,
    Legs,
    Events,
    ContinuityViolations,
    GroundTimeViolations,
    DesignatorViolations,
}

impl Count {
    /// All of them, in order.
    pub const ALL: [Self; COUNTS] = [
        Self::Airports,
        Self::Airplanes,
        Self::Rotations,
        Self::Legs,
        Self::Events,
        Self::ContinuityViolations,
        Self::GroundTimeViolations,
        Self::DesignatorViolations,
    ];

    /// Its place in [`Count::ALL`].
    #[expect(clippy::as_conversions, reason = "the discriminants are the places")]
    pub(crate) fn place(self) -> usize {
        self as usize
    }

    /// The key of its row.
    pub(crate) fn key(self) -> Key {
        Key::table(table::COUNTS).bytes(&[u8::try_from(self.place()).expect("a few")])
    }

    /// The number of rows.
    pub(crate) fn read(self, rows: &impl ReadRows) -> Result<u64> {
        Ok(rows.get(&self.key(), |value| Fields(value).uint8())?.unwrap_or(0))
    }
}
