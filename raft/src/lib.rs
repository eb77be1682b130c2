//! Replicas agree: shards as Raft groups whose log is the event store.
//!
//! # The life of a command
//!
//! 1. [`Node::execute`] finds the shard of each aggregate ([`placement`]). A statement for one shard goes into the
//!    queue of that shard's leader task in one step; one for several goes the longer way of [`write`](mod@write).
//! 2. The leader task takes what has queued, reads the aggregates that are not in memory, and decides command
//!    after command on the speculative state: what is committed, and what is on its way. The events of the whole
//!    batch are encoded into one entry.
//! 3. The entry is proposed to openraft, at most a few at a time. [`replica_log`] queues it for the engine's writer,
//!    where one sync makes the entries of many shards durable, while [`transport`] carries it to the other voters.
//! 4. When a majority has it, each client is answered with versions and a position. A refusal that rested on
//!    something not yet committed waits for that, too.
//! 5. [`replica_machine`] applies it on every replica: it checks that the entry follows the one it was decided on,
//!    writes the index behind the log, and publishes it to the [`feed`].
//!
//! # Invariants
//!
//! - What was acknowledged is in the log of a majority. What was refused is in no log, or void in all.
//! - An entry counts only if it directly follows the one it was decided on. So versions have no gaps, even when a
//!   leader accepts a proposal after having refused the one before it.
//! - The times of an aggregate's events never go back. Those of a shard's entries do not either, but for outcomes,
//!   which carry the time at which their transaction was decided.
//! - What is stored in several entries is prepared, decided in one log, and concluded ([`commit`]): all of it happens
//!   or nothing, whatever crashes, and what nobody concludes [`resolve`] does.
//! - A client that hears "nothing was stored" can rely on it; where nobody knows, it hears that.
//! - All queues are bounded, and every call returns within its deadline.
//!
//! # What this crate must never know
//!
//! SQL, projections, the domain's rules, and whether there is only one node.

pub mod aggregate_source;
pub mod cluster;
mod commit;
pub mod config;
pub mod departures;
mod error;
pub mod feed;
mod flight;
mod follower;
pub mod holdings;
mod hybrid_clock;
mod leader;
pub mod memory;
pub mod metrics;
pub mod net;
pub mod node;
mod open;
pub mod placement;
pub mod remote;
pub mod replica_log;
pub mod replica_machine;
pub mod request;
mod reservation;
mod resolve;
mod reunion;
pub mod router;
pub mod row;
pub mod row_subscription;
pub mod runtime;
mod series;
mod shard;
pub mod shard_log;
pub mod simulated;
mod speculation;
#[cfg(test)]
mod storage_suite;
pub mod store;
pub mod subscription;
mod succession;
mod ticket;
pub mod transport;
pub mod type_config;
pub mod write;

pub use error::{NodeError, WriteError};
pub use follower::is_follower;
pub use metrics::{COMMIT_BOUNDS_MICROSECONDS, NodeMetrics};
pub use node::{Environment, Node, NodeConfig};
pub use request::{Decided, Outcome, Request};
pub use row_subscription::RowSubscription;
pub use shard::ShardStatus;
pub use store::DirectoryStore;
pub use subscription::Subscription;
pub use write::{PIECE_REQUESTS_MAX, Write};
