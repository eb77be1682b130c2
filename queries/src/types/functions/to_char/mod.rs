//! `to_char`, `to_date`, `to_timestamp` and `to_number`: values by templates.
//!
//! Source for the many small rules: `formatting.c`.

mod date;
mod date_read;
mod keyword;
mod moment;
mod number;
mod number_read;
mod picture;

pub(super) use date::TABLE as DATES;
pub(crate) use date::timestamp;
pub(super) use moment::TABLE as MOMENTS;
pub(super) use number::TABLE as NUMBERS;
