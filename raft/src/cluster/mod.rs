//! A cluster: its members, and what one of them does for the whole.
//!
//! ```text
//! rotabase start --join ──guest──▶ any member ──Admit──▶ control node, one shard on all members
//!                                                            │ events
//!                  network ◀── members ── view ◀─────────────┘
//!                  manager ◀── state ─────┘        each shard's leader: learners, voters, even leaders
//! ```
//!
//! The cluster's own state is an aggregate ([`control`]) in a node of its own, with one shard, the system shard, on the
//! same machinery as the data: it is replicated, elected and forwarded to like any shard. Every member follows its
//! events ([`view`]), so that it knows the others at once when it is started again.
//!
//! Every member has every shard: as a voter, where the state places it ([`placing`]), or else as a learner, so that its
//! projections fold its own log.
//!
//! It must never know what the data is.

mod admin;
pub mod control;
mod manager;
mod mesh;
pub mod placing;
mod view;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use openraft::base::BoxFuture;
use parking_lot::Mutex;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random};
use rotabase_engine::feed::Feed;
use rotabase_engine::position::ShardId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::admin::{Admin, AdminAnswer, Admission, ClusterStatus, MemberStatus, ask, join};
use self::control::{ClusterId, ClusterState, Command, Control, Member};
pub use self::mesh::Mesh;
use self::placing::{Placement, Voters};
use self::view::View;
use crate::aggregate_source::Store;
use crate::config::Timing;
use crate::error::{NodeError, WriteError};
use crate::net::{Guests, Members, Traffic};
use crate::node::{Environment, Node, NodeConfig};
use crate::request::Request;
use crate::runtime;
use crate::shard::ShardStatus;
use crate::transport::Transport;
use crate::type_config::{Machine, MachineId};

/// The machine that founds a cluster; all others join.
pub const FOUNDER: MachineId = MachineId(1);

/// The number of the data's node on the network.
pub const DATA_SPACE: u8 = 0;

/// The number of the control node.
pub const CONTROL_SPACE: u8 = 1;

/// How often leaders look at their shards' replicas.
const TEND_INTERVAL: Duration = Duration::from_millis(200);

/// What a machine says that is no member any more.
const REMOVED: &str = "it takes no writes, and what it shows grows old";

/// How long what the cluster is asked may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How this machine takes part.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// This machine, and where others reach it.
    pub machine: Machine,
    /// The members, as far as they are known before the system shard is here: who was told when it joined.
    pub members: Members,
    /// How patient replicas are with each other.
    pub timing: Timing,
}

/// A node that is looked after.
pub(crate) trait Tended: Debug + Send + Sync + 'static {
    /// Takes a step for each shard that is led here; whether there was any to take. `voters` says of each shard who is
    /// to vote in it.
    fn tend<'a>(
        &'a self,
        state: &'a ClusterState,
        voters: &'a [Voters],
        network: &'a dyn Mesh,
    ) -> BoxFuture<'a, bool>;

    /// Hands one shard over, if that makes it more even; whether one was.
    fn balance<'a>(&'a self, voters: &'a [Voters], network: &'a dyn Mesh) -> BoxFuture<'a, bool>;

    /// Hands over what is led by a machine, as far as that can be done.
    fn relieve<'a>(&'a self, machine: MachineId, network: &'a dyn Mesh) -> BoxFuture<'a, ()>;

    /// Takes no more commands and answers no more strong reads: this machine is no member any more.
    fn retire(&self);

    /// Hands a shard over.
    fn transfer(&self, shard: ShardId, to: MachineId) -> BoxFuture<'_, Result<(), String>>;

    /// How its shards are doing.
    fn status(&self) -> Vec<ShardStatus>;
}

impl<D: Domain> Tended for Node<D> {
    fn tend<'a>(
        &'a self,
        state: &'a ClusterState,
        voters: &'a [Voters],
        network: &'a dyn Mesh,
    ) -> BoxFuture<'a, bool> {
        manager::tend(self, state, voters, |machine| network.reaches(machine)).boxed()
    }

    fn balance<'a>(&'a self, voters: &'a [Voters], network: &'a dyn Mesh) -> BoxFuture<'a, bool> {
        manager::balance(self, voters, |machine| network.reaches(machine)).boxed()
    }

    fn retire(&self) {
        self.inner.removed.store(true, Ordering::Release);
    }

    fn relieve<'a>(&'a self, machine: MachineId, network: &'a dyn Mesh) -> BoxFuture<'a, ()> {
        async move {
            for status in Self::status(self) {
                let led = status.leader.is_some_and(|leader| leader.id == machine);
                let here = self.inner.config.machine.id;
                let there = |it: &MachineId| *it == here || network.reaches(*it);
                let mut others = status.voters.into_iter().filter(|voter| *voter != machine);
                let other = others.find(there);
                if let Some(other) = other.filter(|_| led)
                    && let Err(error) = self.transfer_leader(status.shard, other).await
                {
                    tracing::info!(shard = status.shard.0, %error, "could not hand over a shard");
                }
            }
        }
        .boxed()
    }

    fn transfer(&self, shard: ShardId, to: MachineId) -> BoxFuture<'_, Result<(), String>> {
        async move {
            if shard.0 >= self.shards() {
                return Err(format!("there is no shard {shard}"));
            }
            self.transfer_leader(shard, to).await.map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn status(&self) -> Vec<ShardStatus> {
        Self::status(self)
    }
}

/// This machine's part in a cluster. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    machine: Machine,
    network: Arc<dyn Mesh>,
    control: Node<Control>,
    view: Arc<View>,
    /// The data's node, once it is open.
    data: Mutex<Option<Arc<dyn Tended>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Whether this machine is no member any more.
    removed: watch::Sender<bool>,
    stop: watch::Sender<bool>,
}

impl Cluster {
    /// Opens the control node and begins to follow it. The founder makes the cluster, if it is new.
    pub async fn open(
        options: ClusterOptions,
        network: Arc<dyn Mesh>,
        store: Arc<dyn Store<Control>>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, NodeError> {
        let ClusterOptions { machine, mut members, timing } = options;
        members.insert(machine.id, machine.address.clone());
        network.set_members(members);
        let config = NodeConfig {
            machine: machine.clone(),
            networked: true,
            joins: machine.id != FOUNDER,
            timing,
            feed_bytes: 1 << 20,
            ..NodeConfig::default()
        };
        let token = random.next_u64();
        let transport = network.space(CONTROL_SPACE);
        let control = Node::open(config, Environment { store, transport, clock, random }).await?;
        let inner = Arc::new(Inner {
            view: View::open(&control).await?,
            machine,
            network,
            control,
            data: Mutex::default(),
            tasks: Mutex::default(),
            removed: watch::Sender::new(false),
            stop: watch::Sender::new(false),
        });
        let cluster = Self { inner };
        cluster.inner.apply_members();
        let following = runtime::spawn(Arc::clone(&cluster.inner).follow());
        cluster.inner.tasks.lock().push(following);
        if cluster.inner.machine.id == FOUNDER && cluster.state().members.is_empty() {
            let address = cluster.inner.machine.address.clone();
            let admit = Command::Admit(Member { address, token });
            cluster.execute(admit).await.map_err(|error| NodeError::Config(error.to_string()))?;
        }
        let guests: Arc<dyn Guests> =
            Arc::new(admin::Desk { cluster: Arc::downgrade(&cluster.inner) });
        cluster.inner.network.welcome_guests(guests);
        Ok(cluster)
    }

    /// The way of the data's node to other machines.
    pub fn transport(&self) -> Arc<dyn Transport> {
        self.inner.network.space(DATA_SPACE)
    }

    /// How the data's node of this machine is to be opened.
    pub fn node_config(&self) -> NodeConfig {
        NodeConfig {
            machine: self.inner.machine.clone(),
            networked: true,
            joins: self.inner.machine.id != FOUNDER,
            ..NodeConfig::default()
        }
    }

    /// Looks after the shards of the data's node from now on.
    pub fn tend<D: Domain>(&self, node: &Node<D>) {
        *self.inner.data.lock() = Some(Arc::new(node.clone()));
        let tending = runtime::spawn(Arc::clone(&self.inner).tend());
        self.inner.tasks.lock().push(tending);
    }

    /// This machine.
    pub fn machine(&self) -> &Machine {
        &self.inner.machine
    }

    /// The state of the cluster, as far as it is known here.
    pub fn state(&self) -> Arc<ClusterState> {
        self.inner.view.state()
    }

    /// The events that the state is the fold of.
    pub fn feed(&self) -> Arc<dyn Feed> {
        self.inner.control.feed()
    }

    /// Tells when the state has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.view.changes()
    }

    /// What this machine has sent to others.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.inner.network.traffic()
    }

    /// Whether a machine can be asked now; this one always can.
    pub fn reaches(&self, machine: MachineId) -> bool {
        machine == self.inner.machine.id || self.inner.network.reaches(machine)
    }

    /// Whether this machine was removed from the cluster: it takes no writes and answers no strong reads.
    pub fn is_removed(&self) -> bool {
        *self.inner.removed.borrow()
    }

    /// Asks the cluster for something, and waits until it is seen here.
    pub async fn execute(&self, command: Command) -> Result<(), WriteError<Control>> {
        self.inner.execute(command).await
    }

    /// Has the catalog replaced, if it was replaced `revision` times before.
    pub async fn replace_catalog(
        &self,
        revision: u64,
        catalog: Bytes,
    ) -> Result<(), WriteError<Control>> {
        self.execute(Command::ReplaceCatalog(revision, catalog)).await
    }

    /// The members, their addresses, and what each shard's replicas are.
    pub fn status(&self) -> ClusterStatus {
        self.inner.status()
    }

    /// Hands what this machine leads over to others, before it stops.
    pub async fn hand_over(&self) {
        let relieve = self.inner.relieve(self.inner.machine.id);
        // Who does not take over is elected when this machine is gone.
        let _ = tokio::time::timeout(Duration::from_secs(2), relieve).await;
    }

    /// Closes the control node and ends all connections. The data's node has to be closed before.
    pub async fn close(&self) {
        self.inner.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            // A task that has panicked has nothing more to say.
            let _ = task.await;
        }
        self.inner.control.shutdown().await;
        self.inner.network.stop().await;
    }
}

impl Inner {
    async fn execute(&self, command: Command) -> Result<(), WriteError<Control>> {
        let request = Request::new(ClusterId, command);
        let outcome = self.control.execute(vec![request], Metadata::default(), DEADLINE).await?;
        self.view.wait_for(&outcome.positions, DEADLINE).await;
        Ok(())
    }

    /// Talks to those who are members, and to nobody else.
    fn apply_members(&self) {
        let state = self.view.state();
        if state.last < self.machine.id {
            // The system shard is not here as far as to this machine's admission. Those who were members before that may
            // have gone, and those who came are to be heard: what was told at joining holds.
            return;
        }
        let mut members: Members =
            state.members.iter().map(|(id, member)| (*id, member.address.clone())).collect();
        members.insert(self.machine.id, self.machine.address.clone());
        self.network.set_members(members);
        self.network.admitted_up_to(state.last);
    }

    /// Follows the cluster's events until it is closed.
    async fn follow(self: Arc<Self>) {
        let (mut stopped, mut changes) = (self.stop.subscribe(), self.view.changes());
        let mut turned_away = self.network.turned_away();
        loop {
            self.apply_members();
            let state = self.view.state();
            let own = state.members.get(&self.machine.id);
            // Who is gone is seldom told by the log: nobody sends it to a machine that is no member.
            let gone = own.is_none() && state.last >= self.machine.id;
            if (gone || *turned_away.borrow_and_update()) && !self.removed.send_replace(true) {
                let node = self.machine.id.0;
                tracing::error!(node, "this node was removed from the cluster: {REMOVED}");
            }
            let moved = own.is_some_and(|member| member.address != self.machine.address);
            let announce = async {
                if moved {
                    let here = Command::Move(self.machine.id, self.machine.address.clone());
                    if let Err(error) = self.execute(here).await {
                        tracing::warn!(%error, "could not tell the others where this node is now");
                    }
                    // If it is known, and not yet here, it comes.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! { biased;
                changed = changes.changed() => if changed.is_err() { return },
                changed = turned_away.changed() => if changed.is_err() { return },
                () = announce => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    /// The nodes here, each with who is to vote in its shards.
    fn nodes<'s>(&self, state: &'s ClusterState) -> Vec<(Arc<dyn Tended>, &'s [Voters])> {
        let control: Arc<dyn Tended> = Arc::new(self.control.clone());
        let Placement { system, shards } = &state.placement;
        let data = self.data.lock().clone().map(|data| (data, shards.as_slice()));
        std::iter::once((control, std::slice::from_ref(system))).chain(data).collect()
    }

    /// Tells the cluster how many shards the data has, if nobody has yet; who leads the system shard does so.
    async fn count_shards(&self, state: &ClusterState) {
        let leads = self.control.status().iter().all(|shard| shard.leading);
        if state.members.is_empty() || state.shards != 0 || !leads {
            return;
        }
        let (_, shards) = self.network.identity();
        if let Err(error) = self.execute(Command::CountShards(shards)).await {
            tracing::info!(%error, "could not note how many shards there are");
        }
    }

    /// Looks after the shards until the cluster is closed.
    async fn tend(self: Arc<Self>) {
        let mut stopped = self.stop.subscribe();
        loop {
            let state = self.view.state();
            let tending = async {
                let mut changed = false;
                self.count_shards(&state).await;
                for (node, voters) in self.nodes(&state) {
                    if *self.removed.borrow() {
                        node.retire();
                    } else if !state.members.is_empty() {
                        changed |= node.tend(&state, voters, &*self.network).await;
                    }
                }
                // One thing at a time: who votes first, then who leads.
                for (node, voters) in self.nodes(&state).into_iter().filter(|_| !changed) {
                    node.balance(voters, &*self.network).await;
                }
                tokio::time::sleep(TEND_INTERVAL).await;
            };
            tokio::select! { biased;
                () = tending => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    /// Hands over what a machine leads.
    async fn relieve(&self, machine: MachineId) {
        for (node, _) in self.nodes(&self.view.state()) {
            node.relieve(machine, &*self.network).await;
        }
    }
}
