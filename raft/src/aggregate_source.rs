//! Where a shard's leader gets the states of aggregates from, and what storage a node needs in all.

use std::fmt::Debug;
use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::position::{ShardId, Version};

use crate::shard_log::ShardLog;

/// The aggregates of one shard after all events whose index update was submitted; bounded in memory.
pub trait AggregateSource<D: Domain>: Debug + Send + 'static {
    /// The state of an aggregate and its version. May read the disk.
    fn load(&mut self, id: &D::Id) -> Result<(&D::State, Version), StoreError>;

    /// Makes the aggregate ready for [`AggregateSource::load`] if that takes no disk; whether it is ready.
    fn load_without_disk(&mut self, id: &D::Id) -> Result<bool, StoreError>;

    /// Gives away the state that [`AggregateSource::load`] has just given, to be changed and [put] back. Asked for it
    /// meanwhile, the source reads it anew.
    ///
    /// [put]: AggregateSource::put
    fn lend(&mut self, id: &D::Id) -> Result<D::State, StoreError>;

    /// Takes a state that was folded already, of events that are applied.
    fn put(&mut self, id: &D::Id, state: D::State, version: Version);

    /// Forgets what is in memory.
    fn clear(&mut self);
}

/// The storage of one machine.
pub trait Store<D: Domain>: Debug + Send + Sync + 'static {
    /// The logs of its shards.
    fn log(&self) -> Arc<dyn ShardLog>;

    /// The aggregates of a shard.
    fn aggregates(&self, shard: ShardId) -> Box<dyn AggregateSource<D>>;
}
