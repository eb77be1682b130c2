//! What has happened to each leg, rotation, airplane and airport: a copy of each event, where whoever asks for the
//! history of one of them finds it.
//!
//! It serves people (`leg_history` and its kin) and the past: the events of a subject up to an instant say what the
//! subject was then, so they are its row versions. What the events of other aggregates have to do with it (violations,
//! numbers of legs) is not kept, because it would depend on the order in which shards were folded.
//!
//! # The rows
//!
//! - A [`Record`] for each event, by subject, timestamp, shard and position. The order of keys is the order in which
//!   one aggregate's events happened.
//! - For a leg's event in a rotation, a reference below the rotation too.
//! - The *changes* of each entry, by timestamp: its subjects, and the aggregates with their versions before. They say
//!   what is to be put back to see an instant; they are kept for as long as the [`Retention`] says.
//!
//! [`Historian`] writes them in the batch of the fold; [`state`] reads them.

mod record;
pub(crate) mod state;
mod subject;
mod verify;
mod write;

pub(crate) use record::{Place, Record, Row, reference};
pub(crate) use subject::Subject;
pub(crate) use verify::verify;
pub use write::Retention;
pub(crate) use write::{Change, Historian, changes_after, read_kept_after};
