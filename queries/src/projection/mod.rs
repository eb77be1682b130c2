//! Projections: tables folded from the feed, their violations, and the store that keeps them.
//!
//! # The life of a row
//!
//! 1. The follower ([`Projections`]) reads committed entries from the feed, shard by shard.
//! 2. The [`fold`] turns each event into changes of rows. It is pure and generic over [`rows`]; within a batch
//!    it sees its own changes through an [`overlay`].
//!    A batch of many events is folded as a whole, which gives the same rows (`fold/bulk/`).
//! 3. The batch goes to the [`store`] in one write: rows, violations, counts, and the position vector that says
//!    what they were folded from. Each event counts exactly once, however often it is delivered.
//! 4. A [`Snapshot`] of the new state is published once no transaction is folded in part ([`open`]), and whoever
//!    waited for its positions is told.
//! 5. A snapshot of a past instant is replayed from the feed where it has to be ([`past`]).
//! 6. Statements read snapshots: through SQL's relations ([`relations`]) or by typed look-ups ([`lookup`]).
//!
//! # Invariants
//!
//! - The rows are a function of the entries that are folded, which the position vector and what is [held] say:
//!   whatever the interleaving of shards, whatever crashed. Deleting a store and folding again gives the same bytes.
//! - What is published holds all of a transaction or nothing of it.
//! - Maintained violations equal recomputed ones ([`recompute`](mod@recompute)) after every event.
//!
//! # What this module must never know
//!
//! SQL text and plans, sessions, and how the feed comes about.

mod appeared;
mod apply;
mod batch;
mod columns;
mod count;
mod crew;
mod fold;
mod follower;
mod held;
mod history;
mod key;
mod lookup;
mod merge;
mod open;
mod overlay;
mod pace;
mod past;
mod projections;
mod recompute;
mod relations;
mod row;
mod rows;
mod run;
mod snapshot;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_transactions;
mod verify;
mod violation;
mod waiters;

pub use appeared::{APPEARED_MAX, ViolationListener};
pub use count::Count;
pub use follower::Folded;
pub use history::Retention;
pub use lookup::DesignatorLegs;
pub use past::{PAST_BYTES_DEFAULT, PAST_STORES_MAX, PastError};
pub use projections::{
    OnFailure, ProjectionOptions, ProjectionStatus, Projections, Stepped, delete_projections,
};
pub use recompute::{Violations, recompute};
pub(crate) use relations::{event_row, heartbeat_row};
pub use row::{AirplaneRow, AirportRow, LegOwner, LegRow, RotationLeg, RotationRow};
pub use snapshot::Snapshot;
pub use store::PROJECTION_VERSION;
pub use verify::{Report, verify};
pub use violation::{
    ContinuityViolation, DesignatorViolation, GroundTimeViolation, RequiredBy, check_continuity,
    check_ground_time,
};
pub use waiters::{Ready, TooManyWaiters, WaitGuard};
