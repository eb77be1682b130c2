//! A node's storage on a directory: the engine's log, its group-commit writer and its aggregates.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rotabase_engine::aggregates::{
    AGGREGATE_CACHE_BYTES_DEFAULT, AggregateCounters, AggregateStats, Aggregates,
};
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Attempt;
use rotabase_engine::index::{Applied, Indexer, Prepared};
use rotabase_engine::log::{Committed, Leader, LogOptions, LogRow, LogStore};
use rotabase_engine::position::{LogIndex, ShardId, Version};
use rotabase_engine::writer::{LogWriter, OnDue, OnFatal, SubmitError, WriteTask};

use crate::aggregate_source::{AggregateSource, Store};
use crate::follower::REPLICA;
use crate::open::claim;
use crate::row;
use crate::shard_log::ShardLog;
use crate::type_config::MachineId;

/// The storage of one machine.
#[derive(Debug)]
pub struct DirectoryStore {
    log: Arc<DirectoryLog>,
    aggregate_bytes: usize,
}

#[derive(Debug)]
struct DirectoryLog {
    store: Arc<LogStore>,
    writer: Arc<LogWriter>,
    /// What the aggregates of each shard have done.
    counters: Mutex<Vec<Arc<AggregateCounters>>>,
}

impl DirectoryStore {
    /// Opens the directory. `on_fatal` is told when a write or a sync has failed: nothing is acknowledged after
    /// that, and the process has to end, because what the disk holds is not known any more.
    pub fn open(
        path: &Path,
        options: &LogOptions,
        on_fatal: OnFatal,
    ) -> Result<Arc<Self>, StoreError> {
        let store = LogStore::open(path, options)?;
        let writer = LogWriter::start(Arc::clone(&store), on_fatal)?;
        Ok(Self::with(store, writer))
    }

    /// The same without threads: nothing is written or synced but by [`DirectoryStore::writer`], step by step, which is
    /// to be done when `on_due` is told.
    pub fn stepped(
        path: &Path,
        options: &LogOptions,
        on_fatal: OnFatal,
        on_due: OnDue,
    ) -> Result<Arc<Self>, StoreError> {
        let store = LogStore::open(path, options)?;
        let writer = LogWriter::stepped_when_due(Arc::clone(&store), on_fatal, on_due);
        Ok(Self::with(store, writer))
    }

    fn with(store: Arc<LogStore>, writer: Arc<LogWriter>) -> Arc<Self> {
        Arc::new(Self {
            log: Arc::new(DirectoryLog { store, writer, counters: Mutex::default() }),
            aggregate_bytes: AGGREGATE_CACHE_BYTES_DEFAULT,
        })
    }

    /// The one way into the logs.
    pub fn writer(&self) -> &Arc<LogWriter> {
        &self.log.writer
    }

    /// A store whose aggregates take at most `bytes` of memory, over all shards.
    #[must_use]
    pub fn with_aggregate_bytes(&self, bytes: usize) -> Arc<Self> {
        Arc::new(Self { log: Arc::clone(&self.log), aggregate_bytes: bytes })
    }

    /// The logs, as the shards see them.
    pub fn shard_log(&self) -> Arc<dyn ShardLog> {
        Arc::<DirectoryLog>::clone(&self.log)
    }

    /// The machine whose voters' logs these are; none for new ones, and for a read replica's.
    pub fn machine(&self) -> Result<Option<MachineId>, StoreError> {
        let record = self.log.store.meta(ShardId(0), REPLICA)?;
        let machine = record.map(|record| row::decode_replica(&record)).transpose()?;
        Ok(machine.map(|(_, machine)| machine))
    }

    /// Makes new logs those of a machine's voters, so that it is this machine whenever it is opened again.
    pub async fn claim(&self, machine: MachineId) -> Result<(), StoreError> {
        claim(&*self.log, ShardId(0), machine).await.map(|_| ())
    }

    /// The log itself: for verification, rebuilding, and reading aggregates of the past.
    pub fn log_store(&self) -> &Arc<LogStore> {
        &self.log.store
    }
}

impl<D: Domain> Store<D> for DirectoryStore {
    fn log(&self) -> Arc<dyn ShardLog> {
        self.shard_log()
    }

    fn aggregates(&self, shard: ShardId) -> Box<dyn AggregateSource<D>> {
        let bytes_max = self.aggregate_bytes / usize::from(self.log.shards()).max(1);
        let aggregates = Aggregates::new(shard, Arc::clone(&self.log.writer), bytes_max);
        self.log.counters.lock().push(aggregates.counters());
        Box::new(aggregates)
    }
}

impl<D: Domain> AggregateSource<D> for Aggregates<D> {
    fn load(&mut self, id: &D::Id) -> Result<(&D::State, Version), StoreError> {
        Self::load(self, id).map(|loaded| (loaded.state, loaded.version))
    }

    fn load_without_disk(&mut self, id: &D::Id) -> Result<bool, StoreError> {
        Self::load_without_disk(self, id)
    }

    fn lend(&mut self, id: &D::Id) -> Result<D::State, StoreError> {
        Self::lend(self, id)
    }

    fn put(&mut self, id: &D::Id, state: D::State, version: Version) {
        Self::put(self, id, state, version);
    }

    fn clear(&mut self) {
        Self::clear(self);
    }
}

impl ShardLog for DirectoryLog {
    fn shards(&self) -> u16 {
        self.store.identity().shards
    }

    fn last(&self, shard: ShardId) -> Option<(LogIndex, Leader)> {
        self.store.last(shard)
    }

    fn leader_at(&self, shard: ShardId, index: LogIndex) -> Option<Leader> {
        self.store.leader_at(shard, index)
    }

    fn last_of_each_leader(
        &self,
        shard: ShardId,
        from: LogIndex,
        to: LogIndex,
    ) -> Vec<(LogIndex, Leader)> {
        self.store.last_of_each_leader(shard, from, to)
    }

    fn in_memory_from(&self, shard: ShardId) -> LogIndex {
        self.store.in_memory_from(shard)
    }

    fn read(
        &self,
        shard: ShardId,
        range: Range<LogIndex>,
        bytes_max: usize,
    ) -> Result<Vec<LogRow>, StoreError> {
        self.store.read(shard, range, bytes_max)
    }

    fn meta(&self, shard: ShardId, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.store.meta(shard, name)
    }

    fn committed(&self, shard: ShardId) -> Result<Option<Committed>, StoreError> {
        self.store.committed(shard)
    }

    fn applied(&self, shard: ShardId) -> Option<Applied> {
        self.store.index().applied(shard)
    }

    fn indexer(&self, shard: ShardId) -> Indexer {
        self.store.index().indexer(shard)
    }

    fn void_entries(&self, shard: ShardId) -> Result<Vec<LogIndex>, StoreError> {
        self.store.index().void_entries(shard)
    }

    fn prepared(&self, shard: ShardId) -> Result<Vec<Prepared>, StoreError> {
        self.store.index().prepared(shard)
    }

    fn decision(&self, shard: ShardId, attempt: Attempt) -> Result<Option<LogIndex>, StoreError> {
        self.store.index().decision(shard, attempt)
    }

    fn try_submit(&self, task: WriteTask) -> Result<(), SubmitError> {
        self.writer.try_submit(task)
    }

    fn when_room(&self, notify: Box<dyn FnOnce() + Send>) {
        self.writer.when_room(notify);
    }

    fn failure(&self) -> Option<StoreError> {
        self.writer.failure()
    }

    fn aggregate_stats(&self) -> AggregateStats {
        let mut sum = AggregateStats::default();
        for counters in &*self.counters.lock() {
            let of_shard = counters.read();
            sum.hits += of_shard.hits;
            sum.misses += of_shard.misses;
            sum.passivations += of_shard.passivations;
            sum.snapshots += of_shard.snapshots;
            sum.aggregates += of_shard.aggregates;
            sum.bytes += of_shard.bytes;
        }
        sum
    }

    fn block_cache_bytes(&self) -> (u64, u64) {
        self.store.block_cache_bytes()
    }

    fn shard_bytes(&self, shard: ShardId) -> u64 {
        self.store.shard_bytes(shard)
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    fn shutdown(&self) {
        self.writer.shutdown();
        if self.writer.failure().is_none()
            && let Err(error) = self.store.flush()
        {
            // Nothing is lost by it: what is derived is computed again at the next start.
            tracing::warn!(%error, "could not flush the storage engine");
        }
    }
}
