//! A node: all shards of one machine, and the one door to them.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{CommittedEntry, Metadata};
use rotabase_engine::env::{Clock, Random};
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, Positions, ShardId};

use crate::config::Timing;
use crate::error::{NodeError, WriteError};
use crate::request::{Decided, Outcome, Request};
use crate::type_config::Machine;

/// The shards that a database gets when nothing else is said.
pub const SHARDS_DEFAULT: u16 = 16;

/// The bytes of encoded events that one statement may hold before it is committed.
pub const STATEMENT_BYTES_MAX: usize = 1 << 30;

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// This machine.
    pub machine: Machine,
    /// The machines that host the first replicas, this one included; empty means this one alone. Used when the
    /// database is created and never again.
    pub voters: Vec<Machine>,
    /// The number of shards; used when the database is created, later what is stored counts.
    pub shards: u16,
    /// How patient replicas are with each other.
    pub timing: Timing,
    /// The bytes of newest entries that the feed keeps in memory, over all shards.
    pub feed_bytes: usize,
    /// The bytes of encoded events that one statement may hold before it is committed.
    pub statement_bytes_max: usize,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            machine: Machine::default(),
            voters: Vec::new(),
            shards: SHARDS_DEFAULT,
            timing: Timing::default(),
            feed_bytes: 16 << 20,
            statement_bytes_max: STATEMENT_BYTES_MAX,
        }
    }
}

/// What the world gives a node.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// How a shard of this node is doing.
#[derive(Clone, Debug)]
pub struct ShardStatus {
    /// Which shard.
    pub shard: ShardId,
    /// The machine that leads it, if one is known.
    pub leader: Option<Machine>,
    /// Whether this machine leads it and takes commands.
    pub leading: bool,
    /// The term.
    pub term: u64,
    /// The index of the last log entry.
    pub last_index: LogIndex,
    /// The index of the last log entry that is committed and applied here.
    pub applied: LogIndex,
    /// Why the shard does not work, if it does not.
    pub error: Option<String>,
}

/// All shards of one machine. Cloning it is cheap; all clones are one node.
#[derive(Debug)]
pub struct Node<D: Domain> {
    domain: PhantomData<D>,
}

impl<D: Domain> Clone for Node<D> {
    fn clone(&self) -> Self {
        Self { domain: PhantomData }
    }
}

impl<D: Domain> Node<D> {
    /// Opens the node: creates its shards the first time, else recovers them.
    pub async fn open(_config: NodeConfig, _environment: Environment) -> Result<Self, NodeError> {
        Err(NodeError::Config("not built yet".to_owned()))
    }

    /// The number of shards.
    pub fn shards(&self) -> u16 {
        0
    }

    /// The shard that an aggregate lives in; the same for ever.
    pub fn shard_of(&self, _id: &D::Id) -> ShardId {
        ShardId(0)
    }

    /// Decides the requests of one statement, all or none, stores what they emit and waits until it is safe.
    pub async fn execute(&self, _requests: Vec<Request<D>>, _metadata: Metadata, _deadline: Duration) -> Result<Outcome, WriteError<D>> {
        Err(WriteError::Unavailable { shard: ShardId(0) })
    }

    /// Begins a statement of many requests that come in pieces.
    pub fn begin(&self, _metadata: Metadata) -> Write<D> {
        Write { domain: PhantomData }
    }

    /// The committed entries of all shards.
    pub fn feed(&self) -> Option<Arc<dyn Feed>> {
        None
    }

    /// Follows committed entries from `positions` on, without blocking a thread.
    pub fn subscribe(&self, _positions: Positions) -> Subscription {
        Subscription {}
    }

    /// The positions that cover everything acknowledged by any node before the call.
    pub async fn read_barrier(&self, _deadline: Duration) -> Result<Positions, WriteError<D>> {
        Err(WriteError::Unavailable { shard: ShardId(0) })
    }

    /// How the shards are doing.
    pub fn status(&self) -> Vec<ShardStatus> {
        Vec::new()
    }

    /// Stops taking commands, finishes what was taken, and closes the shards.
    pub async fn shutdown(&self) {}
}

/// A statement in pieces. Dropping it uncommitted aborts it without a trace.
#[derive(Debug)]
pub struct Write<D: Domain> {
    domain: PhantomData<D>,
}

impl<D: Domain> Write<D> {
    /// Decides further requests on top of what was decided before. Their aggregates are held until the
    /// statement ends. After an error the statement is aborted.
    pub async fn decide(&mut self, _requests: Vec<Request<D>>, _deadline: Duration) -> Result<Decided, WriteError<D>> {
        Err(WriteError::Unavailable { shard: ShardId(0) })
    }

    /// Stores all that was decided and waits until it is safe.
    pub async fn commit(self, _deadline: Duration) -> Result<Outcome, WriteError<D>> {
        Err(WriteError::Unavailable { shard: ShardId(0) })
    }
}

/// Committed entries from a position on: first what is stored, then what comes.
#[derive(Debug)]
pub struct Subscription {}

impl Subscription {
    /// Waits for the next entries; those of one shard come in order.
    pub async fn next(&mut self) -> Result<Vec<CommittedEntry>, StoreError> {
        std::future::pending().await
    }
}
