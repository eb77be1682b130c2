//! The rules of the schedule, its stored forms and the entries that hold them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod arbitrary;
mod entry;
mod golden;
mod laws;
mod scripts;
