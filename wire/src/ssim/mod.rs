//! SSIM Chapter 7 files: what airlines exchange their schedules in. Records of 200 bytes, each a *period* of
//! equal legs, become dated legs and back.
//!
//! # Reading
//!
//! [`SsimReader`] takes the bytes in whatever pieces they come. `reader` cuts them into records; `grammar`
//! checks each record's place in the file and its serial number; `leg_record` reads a flight leg record (type 3)
//! field by field and checks it against its carrier and the leg before it; `expansion` turns it into dated
//! legs, which go to the caller one by one. Nothing is kept of a leg; what is kept of a record is 16 bytes, until
//! its carrier block ends.
//!
//! The reader is strict: it knows exactly one meaning of each file, and refuses what has none. It goes on after
//! a bad record to find the others, but gives no more legs, and the load is refused as a whole.
//!
//! Two bounds of ours have codes of their own: `E329`, a period longer than [`PERIOD_DAYS_MAX`], and `E010`,
//! more dated legs than the load may have.
//!
//! # Writing
//!
//! [`SsimWriter`] takes legs flight by flight. `chain` joins the legs of a flight that depart on one day of
//! origin; `series` covers the days of equal chains by periods and days of operation; `writer` writes the records.
//! What is written reads back as the same legs, ids included, as far as they came from SSIM: an id is derived from
//! what the file says ([`leg_id`]).
//!
//! The aircraft type `EQV` ("equipment varies") stands for a leg without one, both ways.

mod chain;
mod error;
mod expansion;
mod grammar;
mod leg_record;
mod reader;
mod record;
mod series;
mod value;
mod writer;

use rotabase_engine::schedule::{FlightDesignator, LegId};
use uuid::Uuid;

pub use error::{ERRORS_MAX, SsimError, SsimRefused};
pub use reader::{LEGS_MAX, SsimOptions, SsimReader, SsimSummary};
pub use writer::{SsimExportError, SsimWriter};

/// The most days that the period of one record may have.
pub const PERIOD_DAYS_MAX: i32 = 3660;

/// The bytes of a record, its line end not counted.
const RECORD_BYTES: usize = 200;

/// The aircraft type of a leg that has none.
const EQUIPMENT_VARIES: &str = "EQV";

/// The namespace of leg ids from SSIM. It never changes: loading a file again has to find its legs.
const LEG_ID_NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_8a52_3c5e_4b0e_9a41_7d2c_4be0_f913);

/// The id of a leg that came from SSIM: a UUID of version 5 of `LH400D FRA 2026-03-29 1 2`, which is its flight,
/// departure airport, day of origin, leg sequence and itinerary variation.
pub fn leg_id(designator: &FlightDesignator, leg_sequence: i32, itinerary_variation: i32) -> LegId {
    let mut name = value::LegName::new(
        designator.flight,
        designator.departure_airport,
        leg_sequence,
        itinerary_variation,
    );
    name.leg_id(designator.day_of_origin)
}
