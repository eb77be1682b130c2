//! Replicas agree: shards as Raft groups whose log is the event store.

pub mod config;
pub mod error;
pub mod node;
pub mod request;
pub mod row;
pub mod type_config;

pub use error::{NodeError, WriteError};
pub use node::{Environment, Node, NodeConfig, ShardStatus, Subscription, Write};
pub use request::{Decided, Outcome, Request};
