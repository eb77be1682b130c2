//! How a write or a strong read can fail, and what is then certain.

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::position::ShardId;

use crate::type_config::Machine;

/// Why a statement was not acknowledged. All but [`WriteError::OutcomeUnknown`] say that nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<D: Domain> {
    /// A rule of the domain refused a command; the statement left no trace.
    #[error("{refusal}")]
    Refused {
        /// Which of the statement's requests, from 0; the first if several were refused.
        request: usize,
        /// Why.
        refusal: D::Refusal,
    },
    /// Aggregates do not have the versions that requests expected; the statement left no trace.
    #[error("{} of the changed rows have another version than expected", requests.len())]
    VersionMismatch {
        /// All requests whose expectation failed, in ascending order.
        requests: Vec<usize>,
    },
    /// The shard is led by another machine; nothing was stored.
    #[error("shard {shard} is led by another machine")]
    NotLeader {
        /// Which shard.
        shard: ShardId,
        /// The machine that leads it.
        leader: Machine,
    },
    /// The shard has no leader, lost it, or is closing; nothing was stored.
    #[error("shard {shard} has no leader at the moment")]
    Unavailable {
        /// Which shard.
        shard: ShardId,
    },
    /// This machine is no member of the cluster any more; nothing was stored.
    #[error("this node was removed from the cluster")]
    Removed,
    /// The leader was lost after the proposal: it may be stored, now or later, wholly or in part.
    #[error("the leader was lost before the outcome was known")]
    OutcomeUnknown,
    /// A queue is full; nothing was stored.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The deadline passed before anything was proposed; nothing was stored.
    #[error("the deadline passed while the command was waiting")]
    Deadline,
    /// Another statement holds an aggregate, and waiting for it could be a deadlock; nothing was stored.
    #[error("another statement is changing the same aggregate")]
    Conflict,
    /// The statement is larger than a node takes; nothing was stored.
    #[error("the statement is too large")]
    TooLarge,
    /// This machine's storage failed before anything was proposed; nothing was stored.
    #[error(transparent)]
    Store(StoreError),
}

impl<D: Domain> WriteError<D> {
    /// Whether nothing was stored only because a leadership has moved, so that the statement can be put again. One that
    /// was put before, `again`, may meet what is still held of its earlier attempt.
    pub fn is_passing(&self, again: bool) -> bool {
        match self {
            Self::NotLeader { .. } | Self::Unavailable { .. } => true,
            Self::Conflict => again,
            _ => false,
        }
    }
}

/// Why a node did not open.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NodeError {
    /// Its storage failed or is not what it should be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration contradicts what is stored, or itself.
    #[error("{0}")]
    Config(String),
    /// Raft did not start.
    #[error("shard {shard} did not start: {reason}")]
    Start {
        /// Which shard.
        shard: ShardId,
        /// Why.
        reason: String,
    },
}
