//! Opening a node: each shard's replica is created or recovered, started, and given its leader task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

use futures::future::try_join_all;
use openraft::Config;
use openraft::errors::{InitializeError, RaftError};
use parking_lot::Mutex;
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::env::Random;
use rotabase_engine::position::ShardId;
use rotabase_engine::writer::WriteTask;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::aggregate_source::Store;
use crate::config::raft_config;
use crate::departures::Departures;
use crate::error::NodeError;
use crate::feed::NodeFeed;
use crate::follower::{Follower, REPLICA, refuse_follower};
use crate::hybrid_clock::HybridClock;
use crate::leader::LeaderTask;
use crate::metrics::NodeMetrics;
use crate::node::{Environment, Node, NodeConfig, NodeInner};
use crate::placement::first_replica_id;
use crate::remote::service::NodeService;
use crate::replica_log::ReplicaLog;
use crate::replica_machine::ReplicaMachine;
use crate::reservation::Reservations;
use crate::resolve::resolve_orphans;
use crate::row;
use crate::runtime::with_seed;
use crate::shard::{Gate, QUEUE_JOBS_MAX, Shard, is_alone};
use crate::shard_log::{ShardLog, submit};
use crate::speculation::Speculation;
use crate::transport::{Replica, ReplicaNetwork, Transport};
use crate::type_config::{Machine, MachineId, ReplicaId};

/// How long a node that is the only voter may take to lead all its shards.
const LEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What the shards of a node have in common.
struct Common<D: Domain> {
    config: NodeConfig,
    raft_config: Arc<Config>,
    store: Arc<dyn Store<D>>,
    log: Arc<dyn ShardLog>,
    transport: Arc<dyn Transport>,
    feed: Arc<NodeFeed>,
    clock: Arc<HybridClock>,
    random: Arc<dyn Random>,
    metrics: Arc<NodeMetrics>,
    orphaned: Arc<Notify>,
    departures: Arc<Departures>,
}

pub(crate) async fn open<D: Domain>(
    mut config: NodeConfig,
    environment: Environment<D>,
) -> Result<Node<D>, NodeError> {
    if config.voters.is_empty() {
        config.voters = vec![config.machine.clone()];
    }
    config.voters.sort();
    config.networked |= config.voters.len() > 1 || config.joins;
    if !config.voters.contains(&config.machine) {
        return Err(NodeError::Config(format!("machine {} is none of the voters", config.machine)));
    }
    let Environment { store, transport, clock, random } = environment;
    let log = store.log();
    refuse_follower(&*log)?;
    let common = Common {
        raft_config: raft_config(config.timing),
        feed: NodeFeed::open(Arc::clone(&log), config.feed_bytes)?,
        clock: Arc::new(HybridClock::new(clock)),
        random: Arc::clone(&random),
        metrics: Arc::default(),
        orphaned: Arc::default(),
        departures: Arc::new(Departures::new(log.shards())),
        config,
        store,
        log,
        transport,
    };
    let shards =
        try_join_all((0..common.log.shards()).map(|shard| common.open_shard(ShardId(shard))))
            .await?;
    let mut tasks = Vec::new();
    let shards: Vec<_> = shards
        .into_iter()
        .map(|(shard, task)| {
            tasks.push(crate::runtime::spawn(task.run()));
            shard
        })
        .collect();
    let node = Node {
        inner: Arc::new(NodeInner {
            config: common.config,
            shards,
            follower: None,
            feed: common.feed,
            log: common.log,
            clock: common.clock,
            random: Arc::clone(&random),
            metrics: common.metrics,
            orphaned: Arc::clone(&common.orphaned),
            transport: common.transport,
            tasks: Mutex::new(tasks),
            open_writes: AtomicUsize::new(0),
            run: random.next_u64(),
            next_write: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            removed: AtomicBool::new(false),
        }),
    };
    if node.inner.config.networked {
        let service = NodeService { node: Arc::downgrade(&node.inner) };
        node.inner.transport.serve(Arc::new(service));
    }
    let resolving = resolve_orphans(Arc::downgrade(&node.inner), common.orphaned);
    node.inner.tasks.lock().push(crate::runtime::spawn(resolving));
    if let Err(error) = wait_until_leading(&node).await {
        node.shutdown().await;
        return Err(error);
    }
    Ok(node)
}

/// Opens a machine without a vote.
pub(crate) async fn open_follower<D: Domain>(
    config: NodeConfig,
    environment: Environment<D>,
) -> Result<Node<D>, NodeError> {
    let Environment { store, transport, clock, random } = environment;
    let log = store.log();
    let feed = NodeFeed::open(Arc::clone(&log), config.feed_bytes)?;
    let clock = Arc::new(HybridClock::new(clock));
    let follower = Follower::open(Arc::clone(&log), Arc::clone(&feed), Arc::clone(&clock)).await?;
    Ok(Node {
        inner: Arc::new(NodeInner {
            config,
            shards: Vec::new(),
            follower: Some(follower),
            feed,
            log,
            clock,
            random: Arc::clone(&random),
            metrics: Arc::default(),
            transport,
            tasks: Mutex::default(),
            open_writes: AtomicUsize::new(0),
            orphaned: Arc::default(),
            run: random.next_u64(),
            next_write: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            removed: AtomicBool::new(false),
        }),
    })
}

impl<D: Domain> Common<D> {
    async fn open_shard(
        &self,
        shard: ShardId,
    ) -> Result<(Arc<Shard<D>>, LeaderTask<D>), NodeError> {
        let replica_id = self.identify(shard).await?;
        let replica_log = ReplicaLog::open(shard, Arc::clone(&self.log))?;
        let machine = ReplicaMachine::open(
            shard,
            Arc::clone(&self.log),
            Arc::clone(&self.feed),
            Arc::clone(&self.clock),
        )?;
        let state = machine.state();
        let network =
            ReplicaNetwork { shard, from: replica_id, transport: Arc::clone(&self.transport) };
        let replica = Replica::new(
            replica_id,
            Arc::clone(&self.raft_config),
            network,
            replica_log.clone(),
            machine,
        );
        let replica = with_seed(self.random.next_u64(), replica).await;
        let replica = replica.map_err(|error| self.not_started(shard, &error))?;
        self.transport.host(shard, replica_id, replica.clone());
        self.start(shard, &replica).await?;
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let shard = Arc::new(Shard {
            id: shard,
            replica_id,
            replica,
            replica_log,
            log: Arc::clone(&self.log),
            machine: state,
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            reservations: Reservations::default(),
            gate: Mutex::new(Gate::default()),
            wake: Arc::clone(self.departures.wake(shard)),
            departures: Arc::clone(&self.departures),
            jobs,
            waiting_commands: AtomicUsize::new(0),
            parts: AtomicUsize::new(0),
            orphans: Mutex::default(),
            orphaned: Arc::clone(&self.orphaned),
            leading: AtomicBool::new(false),
            leadership: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        });
        let speculation = Speculation::new(self.store.aggregates(shard.id));
        let task = LeaderTask::new(Arc::clone(&shard), queue, speculation);
        Ok((shard, task))
    }

    /// The id of this machine's replica of a shard, which is written down before anything is done under it.
    async fn identify(&self, shard: ShardId) -> Result<ReplicaId, NodeError> {
        if let Some(record) = self.log.meta(shard, REPLICA)? {
            let (replica, machine) = row::decode_replica(&record)?;
            if machine != self.config.machine.id {
                let here = self.config.machine.id;
                return Err(NodeError::Config(format!(
                    "the data is that of machine {machine}, but this is machine {here}"
                )));
            }
            return Ok(replica);
        }
        Ok(claim(&*self.log, shard, self.config.machine.id).await?)
    }

    /// Founds the Raft group if it is new, and lets a replica that is alone lead at once.
    async fn start(&self, shard: ShardId, replica: &Replica) -> Result<(), NodeError> {
        let initialized =
            replica.is_initialized().await.map_err(|error| self.not_started(shard, &error))?;
        if initialized {
            if is_alone(replica) {
                // Not restored as leader, so that it is elected anew; there is nobody to wait for.
                replica
                    .trigger()
                    .elect(false)
                    .await
                    .map_err(|error| self.not_started(shard, &error))?;
            }
            return Ok(());
        }
        if self.config.joins {
            return Ok(());
        }
        // One machine founds each group, another one for each shard, so that first leaders are spread.
        let founder = &self.config.voters[usize::from(shard.0) % self.config.voters.len()];
        if *founder != self.config.machine {
            return Ok(());
        }
        let members: BTreeMap<ReplicaId, Machine> = self
            .config
            .voters
            .iter()
            .map(|machine| (first_replica_id(machine.id, shard), machine.clone()))
            .collect();
        match replica.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(self.not_started(shard, &error)),
        }
    }

    /// The error for a replica that does not start: the storage's, if that has failed.
    fn not_started(&self, shard: ShardId, error: &dyn std::error::Error) -> NodeError {
        match self.log.failure() {
            Some(failure) => NodeError::Store(failure),
            None => NodeError::Start { shard, reason: error.to_string() },
        }
    }
}

/// Writes down that the log of a shard is that of a machine's first replica.
pub(crate) async fn claim(
    log: &dyn ShardLog,
    shard: ShardId,
    machine: MachineId,
) -> Result<ReplicaId, StoreError> {
    let replica = first_replica_id(machine, shard);
    let (written, wait) = oneshot::channel();
    let done = Box::new(move |result| {
        // The waiter may be gone.
        let _ = written.send(result);
    });
    let value = row::encode_replica(replica, machine);
    submit(log, WriteTask::Meta { shard, name: REPLICA, value, done }).await?;
    wait.await.map_err(|error| StoreError::Io(error.to_string()))??;
    Ok(replica)
}

/// Waits until a node that is the only voter leads all its shards.
async fn wait_until_leading<D: Domain>(node: &Node<D>) -> Result<(), NodeError> {
    let config = &node.inner.config;
    let founded_by_others = config.joins || config.voters.len() > 1;
    if founded_by_others || node.inner.shards.iter().any(|shard| shard.has_others()) {
        return Ok(());
    }
    let until = tokio::time::Instant::now() + LEAD_TIMEOUT;
    loop {
        let status = node.status();
        if status.iter().all(|status| status.leading) {
            return Ok(());
        }
        if let Some(failure) = node.inner.log.failure() {
            return Err(NodeError::Store(failure));
        }
        if tokio::time::Instant::now() >= until {
            let late =
                status.into_iter().find(|status| !status.leading).expect("one is not leading");
            let reason = late.error.unwrap_or_else(|| "it was not elected in time".to_owned());
            return Err(NodeError::Start { shard: late.shard, reason });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
