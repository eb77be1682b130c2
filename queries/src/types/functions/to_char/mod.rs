//! `to_char`, `to_date`, `to_timestamp` and `to_number`: values by templates.
//!
//! Source for the many small rules: `formatting.c`.

mod date;
mod keyword;

pub(super) use date::TABLE as DATES;
pub(crate) use date::timestamp;
