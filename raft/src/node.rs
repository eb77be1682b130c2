//! A node: all shards of one machine, and the one door to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use rotabase_engine::aggregates::AggregateStats;
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random, Timestamp};
use rotabase_engine::feed::Feed;
use rotabase_engine::log::LogRow;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::aggregate_source::Store;
use crate::config::Timing;
use crate::error::{NodeError, WriteError};
use crate::feed::NodeFeed;
use crate::flight::{ShardAnswer, unstored};
use crate::follower::Follower;
use crate::hybrid_clock::HybridClock;
use crate::leader::RECOVERED_WRITES;
use crate::metrics::NodeMetrics;
use crate::open;
use crate::placement;
use crate::remote::{Counter, Desk, LEADER_PATIENCE, LEADER_RETRY};
use crate::request::{Outcome, Request};
use crate::reservation::WriteId;
use crate::row_subscription::RowSubscription;
use crate::shard::{Job, Shard, ShardStatus, Statement};
use crate::shard_log::ShardLog;
use crate::subscription::Subscription;
use crate::ticket::{Ticket, Withdrawal, ticket};
use crate::transport::Transport;
use crate::type_config::{Machine, MachineId};
use crate::write::Write;

/// The bytes of encoded events that one statement may hold before it is committed.
pub const STATEMENT_BYTES_MAX: usize = 1 << 30;

/// The requests up to which a statement for one shard is put to it in one piece.
pub const STATEMENT_REQUESTS_MAX: usize = 1024;

/// How long a shard may take to finish what is in flight when the node is closed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked whether leaders are reached.
const CUT_OFF_LOOK: Duration = Duration::from_millis(250);

/// How a node is set up.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// This machine.
    pub machine: Machine,
    /// The machines that host the first replicas, this one included; empty means this one alone. Used when the
    /// database is created and never again.
    pub voters: Vec<Machine>,
    /// Whether there may be other machines. Commands for a shard that one of them leads then go there.
    pub networked: bool,
    /// Whether other machines have founded the shards, and give this one its replicas.
    pub joins: bool,
    /// How patient replicas are with each other.
    pub timing: Timing,
    /// The bytes of newest entries that the feed keeps in memory, over all shards.
    pub feed_bytes: usize,
    /// The bytes of encoded events that one statement may hold before it is committed.
    pub statement_bytes_max: usize,
}

impl Default for NodeConfig {
    fn default() -> Self {
        let machine = Machine { id: MachineId(1), address: String::new() };
        Self {
            machine,
            voters: Vec::new(),
            networked: false,
            joins: false,
            timing: Timing::default(),
            feed_bytes: 16 << 20,
            statement_bytes_max: STATEMENT_BYTES_MAX,
        }
    }
}

/// What the world gives a node.
#[derive(Debug)]
pub struct Environment<D: Domain> {
    /// Its storage; the number of shards was fixed when that was created.
    pub store: Arc<dyn Store<D>>,
    /// The way to other nodes; [`crate::router::Router`] for a node alone.
    pub transport: Arc<dyn Transport>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// All shards of one machine. Cloning it is cheap; all clones are one node.
#[derive(Debug)]
pub struct Node<D: Domain> {
    pub(crate) inner: Arc<NodeInner<D>>,
}

#[derive(Debug)]
pub(crate) struct NodeInner<D: Domain> {
    pub(crate) config: NodeConfig,
    /// The shards; none on a machine without a vote.
    pub(crate) shards: Vec<Arc<Shard<D>>>,
    /// The logs of a machine without a vote.
    pub(crate) follower: Option<Follower>,
    pub(crate) feed: Arc<NodeFeed>,
    pub(crate) log: Arc<dyn ShardLog>,
    pub(crate) clock: Arc<HybridClock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) orphaned: Arc<Notify>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) open_writes: AtomicUsize,
    /// A random number that only this run of the node has.
    pub(crate) run: u64,
    pub(crate) next_write: AtomicU64,
    pub(crate) closed: AtomicBool,
    /// Whether this machine is no member of its cluster any more.
    pub(crate) removed: AtomicBool,
}

impl<D: Domain> NodeInner<D> {
    pub(crate) fn shard(&self, shard: ShardId) -> &Shard<D> {
        self.shards.get(usize::from(shard.0)).expect("a shard of this node")
    }

    /// What makes attempts of this run of the node differ from those of any other, whatever the clock says.
    pub(crate) fn attempt_tag(&self) -> u64 {
        (self.run << 32) | u64::from(self.config.machine.id.0)
    }
}

impl<D: Domain> Clone for Node<D> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<D: Domain> Node<D> {
    /// Opens the node: creates its replicas the first time, else recovers them. Where it is the only voter, it
    /// takes commands when this returns.
    pub async fn open(config: NodeConfig, environment: Environment<D>) -> Result<Self, NodeError> {
        open::open(config, environment).await
    }

    /// Opens a machine without a vote: a copy of the logs of others, which it is given row by row
    /// ([`Node::append`]). It takes no commands.
    pub async fn open_follower(
        config: NodeConfig,
        environment: Environment<D>,
    ) -> Result<Self, NodeError> {
        open::open_follower(config, environment).await
    }

    /// The number of shards.
    pub fn shards(&self) -> u16 {
        self.inner.log.shards()
    }

    /// The shard that an aggregate lives in; the same for ever.
    pub fn shard_of(&self, id: &D::Id) -> ShardId {
        placement::shard_of::<D>(id, self.shards())
    }

    /// Decides the requests of one statement, all or none, stores what they emit and waits until it is safe.
    /// Returns within the deadline. Whoever drops the future does not know how it ended; it ends all the same.
    pub async fn execute(
        &self,
        requests: Vec<Request<D>>,
        mut metadata: Metadata,
        deadline: Duration,
    ) -> Result<Outcome, WriteError<D>> {
        if self.inner.follower.is_some() {
            return Err(WriteError::Unavailable { shard: ShardId(0) });
        }
        let transaction = self.transaction_of(&mut metadata);
        let until = tokio::time::Instant::now() + deadline;
        if !self.inner.config.networked {
            return self.execute_once(requests, metadata, transaction, until).await;
        }
        let patience = until.min(tokio::time::Instant::now() + LEADER_PATIENCE);
        let mut again = false;
        loop {
            let (requests, metadata) = (requests.clone(), metadata.clone());
            let result = self.execute_once(requests, metadata, transaction, until).await;
            let moved = result.as_ref().is_err_and(|error| error.is_passing(again))
                || (planted::has(Bug::StatementRepeated)
                    && matches!(result, Err(WriteError::OutcomeUnknown)));
            if !moved || tokio::time::Instant::now() >= patience {
                return result;
            }
            again = true;
            tokio::time::sleep(LEADER_RETRY).await;
        }
    }

    async fn execute_once(
        &self,
        requests: Vec<Request<D>>,
        metadata: Metadata,
        transaction: Uuid,
        until: tokio::time::Instant,
    ) -> Result<Outcome, WriteError<D>> {
        let left = || until.saturating_duration_since(tokio::time::Instant::now());
        let (requests, metadata) = match self.only_shard(&requests) {
            Some(shard) if requests.len() <= STATEMENT_REQUESTS_MAX => {
                let patience = until.min(tokio::time::Instant::now() + LEADER_PATIENCE);
                match self.inner.desk(shard, patience).await? {
                    Desk::Here(_) => {
                        let answer =
                            self.execute_in(shard, requests, metadata, transaction, left()).await?;
                        match answer {
                            ShardAnswer::Done(result) => return result,
                            ShardAnswer::TooLong(requests, metadata) => (requests, metadata),
                        }
                    }
                    Desk::There(counter) => {
                        let statement = (requests, metadata, transaction);
                        match Box::pin(counter.execute(&statement, left())).await? {
                            Some(outcome) => return Ok(outcome),
                            None => (statement.0, statement.1),
                        }
                    }
                }
            }
            _ => (requests, metadata),
        };
        // In a box, as all that is rare: whoever asks for one shard's answer does not carry it along.
        Box::pin(async {
            let mut write = self.new_write(metadata, transaction);
            let decided = write.decide(requests, left()).await?;
            let outcome = write.commit(left()).await?;
            Ok(Outcome { versions: decided.versions, emitted: decided.emitted, ..outcome })
        })
        .await
    }

    /// The shard of all requests, if it is one.
    fn only_shard(&self, requests: &[Request<D>]) -> Option<ShardId> {
        let (first, others) = requests.split_first()?;
        let shard = self.shard_of(&first.id);
        others
            .iter()
            .all(|request| request.id == first.id || self.shard_of(&request.id) == shard)
            .then_some(shard)
    }

    /// Puts a statement to a shard of this machine.
    pub(crate) async fn execute_in(
        &self,
        shard: ShardId,
        requests: Vec<Request<D>>,
        metadata: Metadata,
        transaction: Uuid,
        deadline: Duration,
    ) -> Result<ShardAnswer<D>, WriteError<D>> {
        let waiting = self.put(shard, requests, metadata, transaction);
        self.answered(shard, waiting, deadline).await
    }

    /// Puts a statement into the queue of a shard of this machine. Statements for the same aggregates are decided in
    /// the order in which they are put.
    pub(crate) fn put(
        &self,
        shard: ShardId,
        requests: Vec<Request<D>>,
        metadata: Metadata,
        transaction: Uuid,
    ) -> Ticket<ShardAnswer<D>> {
        let (waiting, foil) = ticket();
        let statement = Statement { requests, metadata, transaction, foil };
        self.inner.shard(shard).enqueue(Job::Statement(statement));
        waiting
    }

    /// Waits for the answer to a statement that was put to a shard.
    pub(crate) async fn answered(
        &self,
        shard: ShardId,
        mut waiting: Ticket<ShardAnswer<D>>,
        deadline: Duration,
    ) -> Result<ShardAnswer<D>, WriteError<D>> {
        let until = tokio::time::Instant::now() + deadline;
        let here = self.inner.shard(shard);
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            // Among others, one that does not lead does not wait until it does: another may lead meanwhile.
            let slice = if self.inner.config.networked { left.min(LEADER_PATIENCE) } else { left };
            let error = match tokio::time::timeout(slice, &mut waiting).await {
                Ok(Some(answer)) => return Ok(answer),
                Err(_) if slice < left && (here.leads() || !waiting.is_queued()) => continue,
                Err(_) if slice == left => WriteError::Deadline,
                Ok(None) | Err(_) => WriteError::Unavailable { shard },
            };
            return match waiting.withdraw() {
                Withdrawal::InTime => Err(error),
                Withdrawal::TooLate => Err(WriteError::OutcomeUnknown),
                Withdrawal::Answered(answer) => Ok(answer),
            };
        }
    }

    /// Begins a statement of many requests that come in pieces.
    pub fn begin(&self, mut metadata: Metadata) -> Write<D> {
        let transaction = self.transaction_of(&mut metadata);
        self.new_write(metadata, transaction)
    }

    fn new_write(&self, metadata: Metadata, transaction: Uuid) -> Write<D> {
        Write::new(self.clone(), self.next_write(), metadata, transaction)
    }

    /// An id for a statement that holds aggregates; never given twice.
    pub(crate) fn next_write(&self) -> WriteId {
        let number = self.inner.next_write.fetch_add(1, Ordering::Relaxed);
        WriteId((u128::from(self.inner.run) << 64 | u128::from(number)) % RECOVERED_WRITES)
    }

    /// The transaction of a statement: the one it is given, or a new one.
    pub(crate) fn transaction_of(&self, metadata: &mut Metadata) -> Uuid {
        let new = || self.inner.random.uuid_v7(self.inner.clock.now_microseconds());
        *metadata.transaction.get_or_insert_with(new)
    }

    /// The committed entries of all shards.
    pub fn feed(&self) -> Arc<dyn Feed> {
        Arc::<NodeFeed>::clone(&self.inner.feed)
    }

    /// Follows committed entries from `positions` on, without blocking a thread.
    pub fn subscribe(&self, positions: &Positions) -> Subscription {
        Arc::clone(&self.inner.feed).subscribe(positions)
    }

    /// Follows the logs' committed rows from `positions` on, for a machine that keeps a copy.
    pub fn subscribe_rows(&self, positions: &Positions) -> RowSubscription {
        Arc::clone(&self.inner.feed).subscribe_rows(positions)
    }

    /// Takes committed rows of another machine's log, which have to follow the newest here. For a machine without a
    /// vote only.
    pub async fn append(&self, shard: ShardId, rows: Vec<LogRow>) -> Result<(), StoreError> {
        let with_vote =
            || StoreError::Incompatible("a machine with a vote decides itself".to_owned());
        self.inner.follower.as_ref().ok_or_else(with_vote)?.append(shard, rows).await
    }

    /// Where a machine without a vote begins when it asks another one for rows: it is given the newest that it has
    /// once more, and refuses what comes if that is not the same.
    pub fn resume(&self) -> Positions {
        self.inner.follower.as_ref().map(Follower::resume).unwrap_or_default()
    }

    /// The watermarks of the newest rows here, committed or not.
    pub fn newest(&self) -> Positions {
        let mut positions = Positions::default();
        for shard in (0..self.shards()).map(ShardId) {
            if let Some((last, _)) = self.inner.log.last(shard) {
                positions.advance(shard, Position::end_of(last));
            }
        }
        positions
    }

    /// The positions that cover everything that any node acknowledged before the call. Whoever has reached them
    /// reads nothing older.
    pub async fn read_barrier(&self, deadline: Duration) -> Result<Positions, WriteError<D>> {
        self.barrier(None, deadline).await
    }

    /// The positions that cover everything that happens up to an instant, acknowledged or not: whatever is decided
    /// after the call happens later. An instant to come is now.
    pub async fn instant_barrier(
        &self,
        instant: Timestamp,
        deadline: Duration,
    ) -> Result<Positions, WriteError<D>> {
        let instant = instant.min(self.inner.clock.tick());
        self.barrier(Some(instant), deadline).await
    }

    async fn barrier(
        &self,
        instant: Option<Timestamp>,
        deadline: Duration,
    ) -> Result<Positions, WriteError<D>> {
        let until = tokio::time::Instant::now() + deadline;
        let patience = until.min(tokio::time::Instant::now() + LEADER_PATIENCE);
        loop {
            let read = self.read_indexes(instant, patience);
            let read = tokio::time::timeout_at(until, read).await;
            match read.unwrap_or(Err(WriteError::Deadline)) {
                Err(WriteError::NotLeader { .. } | WriteError::Unavailable { .. })
                    if self.inner.config.networked && tokio::time::Instant::now() < patience =>
                {
                    tokio::time::sleep(LEADER_RETRY).await;
                }
                read => return read,
            }
        }
    }

    /// Asks the leaders of all shards, each machine once.
    async fn read_indexes(
        &self,
        instant: Option<Timestamp>,
        patience: tokio::time::Instant,
    ) -> Result<Positions, WriteError<D>> {
        let (mut here, mut there) = (Vec::new(), BTreeMap::<_, (Counter, Vec<ShardId>)>::new());
        for shard in (0..self.shards()).map(ShardId) {
            match self.inner.desk(shard, patience).await? {
                Desk::Here(_) => here.push(shard),
                Desk::There(counter) => {
                    let machine = counter.machine();
                    there.entry(machine).or_insert_with(|| (counter, Vec::new())).1.push(shard);
                }
            }
        }
        let elsewhere = there.into_values().map(|(counter, shards)| async move {
            let indexes = counter.read_indexes::<D>(shards.clone(), instant).await?;
            Ok((shards, indexes))
        });
        let at_home = async { Ok((here.clone(), self.read_indexes_here(&here, instant).await?)) };
        let (at_home, elsewhere) = futures::try_join!(at_home, try_join_all(elsewhere))?;
        let mut positions = Positions::start(self.shards());
        for (shards, indexes) in elsewhere.into_iter().chain([at_home]) {
            if shards.len() != indexes.len() {
                return Err(WriteError::Unavailable { shard: ShardId(0) });
            }
            for (shard, index) in shards.into_iter().zip(indexes) {
                positions.advance(shard, Position::end_of(index));
            }
        }
        Ok(positions)
    }

    /// Up to where what was acknowledged in some shards reaches, or what happens there up to an instant, as this
    /// machine says, which leads them.
    pub(crate) async fn read_indexes_here(
        &self,
        shards: &[ShardId],
        instant: Option<Timestamp>,
    ) -> Result<Vec<LogIndex>, WriteError<D>> {
        let Some(instant) = instant else {
            let indexes = shards.iter().map(|shard| read_index(self.inner.shard(*shard)));
            return try_join_all(indexes).await;
        };
        // Whoever decides after this has a later time.
        self.inner.clock.observe(instant);
        try_join_all(shards.iter().map(|shard| self.settled_index(*shard))).await
    }

    /// The index that covers everything that a shard had decided before the call, once that is committed.
    async fn settled_index(&self, shard: ShardId) -> Result<LogIndex, WriteError<D>> {
        // A statement without requests is confirmed behind all that was decided before it.
        let metadata = Metadata::default();
        let answer = self.execute_in(shard, Vec::new(), metadata, Uuid::nil(), LEADER_PATIENCE);
        match answer.await? {
            ShardAnswer::Done(outcome) => Ok(outcome?.positions.get(shard).index()),
            ShardAnswer::TooLong(..) => Err(WriteError::TooLarge),
        }
    }

    /// The positions that cover what this node has applied.
    pub fn applied(&self) -> Positions {
        let mut positions = Positions::start(self.shards());
        for shard in (0..self.shards()).map(ShardId) {
            positions.advance(shard, Position::end_of(self.inner.feed.committed(shard)));
        }
        positions
    }

    /// Hands the leadership of a shard over to another of its voters, which must have caught up. What is refused
    /// meanwhile is not stored.
    pub async fn transfer_leader(
        &self,
        shard: ShardId,
        to: MachineId,
    ) -> Result<(), WriteError<D>> {
        match self.inner.desk_now(shard) {
            Some(Desk::There(counter)) => counter.transfer(to).await,
            Some(Desk::Here(_)) => self.transfer_here(shard, to).await,
            None => Err(WriteError::Unavailable { shard }),
        }
    }

    /// The same, where this machine leads.
    pub(crate) async fn transfer_here(
        &self,
        shard: ShardId,
        to: MachineId,
    ) -> Result<(), WriteError<D>> {
        let shard = self.inner.shard(shard);
        let target = {
            let metrics = shard.replica.server_metrics();
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            let voters: Vec<_> = membership.voter_ids().collect();
            let target = membership
                .nodes()
                .find(|(replica, machine)| machine.id == to && voters.contains(replica));
            target.map(|(replica, _)| *replica)
        };
        let target = target.ok_or(WriteError::Unavailable { shard: shard.id })?;
        shard.replica.trigger().transfer_leader(target).await.map_err(|_| shard.closed())
    }

    /// How the shards are doing.
    pub fn status(&self) -> Vec<ShardStatus> {
        match &self.inner.follower {
            Some(follower) => follower.status(),
            None => self.inner.shards.iter().map(|shard| shard.status()).collect(),
        }
    }

    /// Whether every shard works and has a leader, and the storage takes writes.
    pub fn is_healthy(&self) -> bool {
        self.inner.log.failure().is_none()
            && self
                .status()
                .iter()
                .all(|status| status.error.is_none() && (status.leading || status.leader.is_some()))
    }

    /// Whether this machine can ask the leader of every shard, as far as it knows. Where it cannot, nothing newer
    /// than what is here may come for a while, or ever.
    pub fn reaches_leaders(&self) -> bool {
        let mut shards = (0..self.shards()).map(ShardId);
        !self.inner.removed.load(Ordering::Acquire)
            && (self.inner.follower.is_some()
                || shards.all(|shard| self.inner.desk_now(shard).is_some()))
    }

    /// Returns when this machine has not reached some leader for so long without a break.
    pub(crate) async fn cut_off_for(&self, patience: Duration) {
        let mut alone = Duration::ZERO;
        while alone < patience {
            tokio::time::sleep(CUT_OFF_LOOK).await;
            alone = if self.reaches_leaders() { Duration::ZERO } else { alone + CUT_OFF_LOOK };
        }
    }

    /// What the node has done so far.
    pub fn metrics(&self) -> &NodeMetrics {
        &self.inner.metrics
    }

    /// How many shards wait for the outcome of how many transactions, in sum: what is prepared here and not ended.
    pub fn open_transactions(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.machine.lock().prepared.len()).sum()
    }

    /// Roughly the bytes of all logs.
    pub fn log_bytes(&self) -> u64 {
        self.inner.log.bytes()
    }

    /// What the caches of aggregates have done.
    pub fn aggregate_stats(&self) -> AggregateStats {
        self.inner.log.aggregate_stats()
    }

    /// The bytes that the log's cache of blocks holds, and how many it may.
    pub fn block_cache_bytes(&self) -> (u64, u64) {
        self.inner.log.block_cache_bytes()
    }

    /// Transactions of which a shard here holds a part without knowing what came of them, over all shards.
    pub fn open_prepares(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.machine.lock().prepared.len()).sum()
    }

    /// Roughly the bytes of one shard's log on disk; what is in memory only does not count.
    pub fn shard_log_bytes(&self, shard: ShardId) -> u64 {
        self.inner.log.shard_bytes(shard)
    }

    /// Stops taking commands, finishes what was taken, and closes the shards.
    pub async fn shutdown(&self) {
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        for shard in &self.inner.shards {
            shard.stopping.store(true, Ordering::Release);
            shard.wake.notify_one();
        }
        self.inner.orphaned.notify_one();
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        let mut tasks = join_all(tasks);
        // A shard without a majority would wait for ever; closing its replica ends what it waits for.
        let finished = tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut tasks).await.is_ok();
        join_all(self.inner.shards.iter().map(|shard| self.close_replica(shard))).await;
        if !finished {
            tasks.await;
        }
        let log = Arc::clone(&self.inner.log);
        if let Err(error) = crate::runtime::spawn_blocking(move || log.shutdown()).await {
            tracing::error!(%error, "the log did not close");
        }
    }

    async fn close_replica(&self, shard: &Shard<D>) {
        self.inner.transport.leave(shard.id, shard.replica_id);
        if let Err(error) = shard.replica_log.save_committed_mark().await {
            tracing::debug!(shard = shard.id.0, %error, "could not note what is committed");
        }
        if let Err(error) = shard.replica.shutdown().await {
            tracing::error!(shard = shard.id.0, ?error, "the replica did not close");
        }
    }
}

/// The index of the newest entry that was committed in a shard before the call.
async fn read_index<D: Domain>(shard: &Shard<D>) -> Result<LogIndex, WriteError<D>> {
    if planted::has(Bug::StaleLeaderRead) {
        return Ok(LogIndex(shard.machine.lock().log_id.map_or(0, |log_id| log_id.index)));
    }
    match shard.replica.get_read_log_id(ReadPolicy::ReadIndex).await {
        Ok((read, _)) => Ok(LogIndex(read.index())),
        Err(error) if error.fatal().is_some() => Err(shard.closed()),
        Err(error) => {
            let leader = error.forward_to_leader().and_then(|forward| forward.leader_node.clone());
            Err(unstored(shard.id, leader))
        }
    }
}
