//! What is true: aggregates, the events they emit, and the log that keeps them.
//!
//! # The life of an event
//!
//! 1. A command reaches the single writer of its shard. [`domain::Domain::decide`] looks at the aggregate's
//!    state and answers with events or with a refusal.
//! 2. The events of a batch of commands are encoded once, into one [`entry::Entry`]: each has its version in
//!    its aggregate, its type and schema version, and a checksum of its own.
//! 3. The entry is a Raft log entry. Once it is committed, its events exist; nothing is ever rewritten. The
//!    place of an event in its shard's log is its [`position::Position`].
//! 4. Behind the log an index remembers at which positions an aggregate's events stand, and snapshots remember
//!    a fold of them. Both can be thrown away and rebuilt from the log.
//! 5. The [`feed::Feed`] hands committed entries, in order, to whoever folds them into something to read.
//!
//! # What this crate must never know
//!
//! No `async`, no network, no SQL, no clock and no random source: time and randomness come in through
//! [`env`](mod@env), storage through [`db`]. [`schedule`] is the first domain; nothing outside it knows what a leg is.

pub mod aggregates;
mod cache;
pub mod db;
mod db_ingest;
mod db_memory;
mod db_options;
mod db_snapshot;
mod db_walk;
pub mod domain;
pub mod entry;
pub mod env;
pub mod feed;
pub mod index;
pub mod log;
mod log_meta;
mod log_row;
pub mod planted;
pub mod position;
pub mod rebuild;
pub mod record;
pub mod schedule;
mod snapshot;
mod tail;
pub mod varint;
pub mod verify;
pub mod writer;
mod writer_batch;
