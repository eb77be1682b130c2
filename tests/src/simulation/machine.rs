//! A simulated machine: a disk that outlives its process, a clock of its own, and the process: its part in the cluster, a
//! node and its projections, on the storage that production has, driven step by step.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use rotabase_engine::db::{DbOptions, MemoryDisk};
use rotabase_engine::env::{Clock, Timestamp};
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_engine::position::{LogIndex, Positions, ShardId};
use rotabase_engine::schedule::Schedule;
use rotabase_engine::writer::LogWriter;
use rotabase_queries::projection::{ProjectionOptions, Projections, Retention, Stepped};
use rotabase_raft::cluster::{CONTROL_SPACE, Cluster, ClusterOptions, DATA_SPACE, Mesh};
use rotabase_raft::config::Timing;
use rotabase_raft::net::Members;
use rotabase_raft::simulated::SimulatedNetwork;
use rotabase_raft::type_config::{Machine as Address, MachineId};
use rotabase_raft::{DirectoryStore, Environment, Node, NodeConfig};
use tokio::sync::Notify;
use uuid::Uuid;

use super::dice::Dice;
use super::stage::{Life, Stage};
use super::weather::Climate;

/// The cluster.
const CLUSTER: Uuid = Uuid::from_u128(1);

/// The shards of a simulated cluster.
pub(crate) const SHARDS: u16 = 3;

/// When simulated time begins, in microseconds since 2000: in spring 2026.
const BEGINNING: i64 = 827_000_000_000_000;

/// Where a machine's log is, within its home.
const LOG: &str = "log";

/// The bytes of newest rows that are kept in memory: so few that older ones are read from the disk.
const TAIL_BYTES: usize = 48 << 10;

/// The bytes of newest entries that the feed keeps.
const FEED_BYTES: usize = 24 << 10;

/// The bytes of aggregates that are kept in memory.
const AGGREGATE_BYTES: usize = 16 << 10;

/// A machine's clock: simulated time, and by how much it is wrong.
#[derive(Debug)]
pub(crate) struct MachineClock {
    stage: Arc<Stage>,
    wrong_by: AtomicI64,
}

impl MachineClock {
    pub(crate) fn jump(&self, microseconds: i64) {
        self.wrong_by.store(microseconds, Ordering::Relaxed);
    }
}

impl Clock for MachineClock {
    fn now_microseconds(&self) -> i64 {
        let elapsed = i64::try_from(self.stage.elapsed().as_micros()).expect("not for ever");
        BEGINNING + elapsed + self.wrong_by.load(Ordering::Relaxed)
    }
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has shards.
    Member,
    /// It keeps a copy of the logs of others.
    Replica,
}

/// A machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: MachineId,
    pub(crate) role: Role,
    pub(crate) disk: Arc<MemoryDisk>,
    pub(crate) clock: Arc<MachineClock>,
    site: Site,
    dice: Arc<Dice>,
    home: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    life: Option<Life>,
    process: Option<Process>,
    /// Why the process has ended by itself.
    failure: Option<String>,
    /// Why it has before.
    failures: Vec<String>,
    /// How slow the disk is, in milliseconds a sync.
    sync_milliseconds: u64,
    /// After how many of a thousand syncs the storage engine writes some of its memory out.
    flushes: u64,
    /// The members that it was told of when it was admitted; none once it has a disk to start from.
    told: Members,
    /// It never starts again.
    gone: bool,
    /// The newest rows of its logs when its process ended; none if that was only starting.
    had: Option<Positions>,
    /// The rows of its log of which a bit is another one, and what is there now.
    damages: Vec<(Vec<u8>, Bytes)>,
    /// What is wrong with it.
    wrong: Vec<String>,
}

/// A process that serves.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    pub(crate) node: Node<Schedule>,
    pub(crate) projections: Arc<Projections>,
    pub(crate) store: Arc<DirectoryStore>,
    /// Its part in the cluster, if it is a member.
    pub(crate) cluster: Option<Cluster>,
}

impl Process {
    /// Whether it serves as a member.
    pub(crate) fn is_member(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| !cluster.is_removed())
    }

    /// Why a shard of it does not work, if one does not.
    fn error(&self) -> Option<String> {
        let system = self.cluster.as_ref().map(|cluster| cluster.status().system);
        let shards = system.into_iter().flatten().chain(self.node.status());
        shards.into_iter().find_map(|status| status.error)
    }
}

pub(crate) fn address(id: MachineId) -> Address {
    Address { id, address: format!("machine{id}") }
}

/// What machines have in common.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) stage: Arc<Stage>,
    pub(crate) network: Arc<SimulatedNetwork>,
    pub(crate) climate: Arc<Climate>,
    pub(crate) home: PathBuf,
}

impl Machine {
    /// A machine with an empty disk; `members` is what it was told when it was admitted.
    pub(crate) fn new(
        (id, role): (MachineId, Role),
        members: Members,
        site: &Site,
        dice: Dice,
    ) -> Arc<Self> {
        let clock = MachineClock { stage: Arc::clone(&site.stage), wrong_by: AtomicI64::new(0) };
        Arc::new(Self {
            id,
            role,
            disk: MemoryDisk::new(),
            clock: Arc::new(clock),
            site: site.clone(),
            dice: Arc::new(dice),
            home: site.home.join(id.to_string()),
            state: Mutex::new(State { told: members, ..State::default() }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds a machine")
    }

    /// The process, once it serves.
    pub(crate) fn process(&self) -> Option<Process> {
        self.state().process.clone()
    }

    /// Whether there is a process, or one that starts.
    pub(crate) fn is_up(&self) -> bool {
        self.state().life.is_some()
    }

    /// Why the process has ended by itself, or does not work, since it was asked last.
    pub(crate) fn take_failure(&self) -> Option<String> {
        let failure = self.state().failure.take();
        failure.or_else(|| self.process()?.error())
    }

    /// What is wrong with it, since it was asked last.
    pub(crate) fn take_wrong(&self) -> Vec<String> {
        std::mem::take(&mut self.state().wrong)
    }

    /// Remembers why it had to be restarted.
    pub(crate) fn note_failure(&self, why: String) {
        self.state().failures.push(why);
    }

    /// Why it had to be restarted.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.state().failures.clone()
    }

    /// How slow the disk is from now on.
    pub(crate) fn slow_down(&self, sync_milliseconds: u64) {
        self.state().sync_milliseconds = sync_milliseconds;
    }

    /// How often the storage engine writes some of its memory out from now on, of a thousand syncs.
    pub(crate) fn flush_often(&self, of_thousand: u64) {
        self.state().flushes = of_thousand;
    }

    /// Whether it is a bad moment for the power to fail: something is not synced, or a transaction not ended.
    pub(crate) fn is_vulnerable(&self, within_transaction: bool) -> bool {
        if within_transaction {
            self.process().is_some_and(|process| process.node.open_transactions() > 0)
        } else {
            self.disk.unsynced() > 0
        }
    }

    /// Flips a bit of a row of its log; whether there was one.
    pub(crate) fn flip_bit(&self, pick: usize) -> bool {
        let Some(key) = self.disk.flip_bit(LOG, "log", pick) else { return false };
        let rows = self.disk.rows(LOG, "log");
        let damaged = rows.into_iter().find(|(at, _)| *at == key).expect("it was flipped there");
        self.state().damages.push(damaged);
        true
    }

    /// Whether a row with a bit that is another one is still on its disk.
    pub(crate) fn is_damaged(&self) -> bool {
        let rows = self.disk.rows(LOG, "log");
        self.state().damages.iter().any(|damaged| rows.contains(damaged))
    }

    /// The process ends at once, and never starts again.
    pub(crate) fn retire(&self) {
        self.kill(false, |_| 0);
        self.state().gone = true;
    }

    /// Whether it never starts again.
    pub(crate) fn is_gone(&self) -> bool {
        self.state().gone
    }

    /// Starts the process, if there is none.
    pub(crate) fn boot(self: &Arc<Self>) {
        if self.is_up() || self.is_gone() {
            return;
        }
        let life = self.site.stage.begin_life(self.id);
        self.site.stage.note(format!("machine {} starts", self.id));
        self.state().life = Some(life);
        let machine = Arc::clone(self);
        let boot = async move {
            if let Err(error) = Arc::clone(&machine).open(life).await {
                machine.fail(life, &error);
            }
        };
        self.site.stage.start(Some(life), Box::pin(boot));
    }

    /// The process is gone at once. `survivors` says how much of what was not synced the disk keeps; `torn` whether the
    /// write after that is there in part.
    pub(crate) fn kill(&self, torn: bool, survivors: impl FnMut(usize) -> usize) {
        let (life, process) = {
            let mut state = self.state();
            if let Some(process) = &state.process {
                state.had = Some(process.node.newest());
            }
            (state.life.take(), state.process.take())
        };
        let Some(life) = life else { return };
        self.site.stage.note(format!("machine {} ends", self.id));
        self.site.stage.end_life(life);
        self.site.network.remove(self.id);
        self.disk.crash(torn, survivors);
        // Whatever it still holds is of no use to anyone.
        drop(process);
    }

    /// The process ends itself, as production does when its storage has failed.
    fn fail(&self, life: Life, why: &str) {
        if self.site.stage.is_alive(life) {
            self.site.stage.end_life(life);
            self.site.network.remove(self.id);
            let mut state = self.state();
            state.failure = Some(why.to_owned());
            state.had = state.process.take().map(|process| process.node.newest());
        }
    }

    async fn open(self: Arc<Self>, life: Life) -> Result<(), String> {
        let store = self.open_store(life, LOG, SHARDS)?;
        self.check_log(&store);
        let mesh = self.site.network.attach(self.id, (CLUSTER, SHARDS));
        let (node, cluster) = match self.role {
            Role::Member => self.open_member(life, &store, mesh).await?,
            Role::Replica => {
                let config = NodeConfig {
                    machine: address(self.id),
                    feed_bytes: FEED_BYTES,
                    ..NodeConfig::default()
                };
                let environment = self.environment(&store, &*mesh);
                let node = Node::open_follower(config, environment).await;
                (node.map_err(|error| error.to_string())?, None)
            }
        };
        let retention = Retention { microseconds: None, after: Timestamp(0) };
        let options =
            ProjectionOptions { db: self.db(), retention, ..ProjectionOptions::default() };
        let stepped = Projections::stepped(&self.home.join("projections"), node.feed(), options)
            .map_err(|error| error.to_string())?;
        let projections = Arc::clone(&stepped.projections);
        let folding = fold(Arc::clone(&self), life, node.clone(), stepped);
        self.site.stage.start(Some(life), Box::pin(folding));
        let process = Process { life, node, projections, store, cluster };
        self.check_promises(&process);
        self.site.stage.note(format!("machine {} serves", self.id));
        self.state().process = Some(process);
        Ok(())
    }

    async fn open_member(
        self: &Arc<Self>,
        life: Life,
        store: &Arc<DirectoryStore>,
        mesh: Arc<dyn Mesh>,
    ) -> Result<(Node<Schedule>, Option<Cluster>), String> {
        let control = self.open_store(life, "cluster", 1)?;
        let members = std::mem::take(&mut self.state().told);
        let options =
            ClusterOptions { machine: address(self.id), members, timing: Timing::default() };
        let environment = self.environment(store, &*mesh);
        let (clock, random) = (Arc::clone(&environment.clock), Arc::clone(&environment.random));
        let cluster = Cluster::open(options, mesh, control, clock, random).await;
        let cluster = cluster.map_err(|error| error.to_string())?;
        let config = NodeConfig { feed_bytes: FEED_BYTES, ..cluster.node_config() };
        let environment = Environment { transport: cluster.transport(), ..environment };
        let node = Node::open(config, environment).await.map_err(|error| error.to_string())?;
        cluster.tend(&node);
        Ok((node, Some(cluster)))
    }

    fn environment(&self, store: &Arc<DirectoryStore>, mesh: &dyn Mesh) -> Environment<Schedule> {
        let (store, transport) = (Arc::<DirectoryStore>::clone(store), mesh.space(DATA_SPACE));
        let (clock, random) = (Arc::clone(&self.clock), Arc::new(self.dice.split()));
        Environment { store, transport, clock, random }
    }

    /// A log that is opened again has nothing that it did not have.
    fn check_log(&self, store: &DirectoryStore) {
        let Some(had) = self.state().had.take() else { return };
        for shard in (0..SHARDS).map(ShardId) {
            let has = store.log_store().last(shard).map_or(LogIndex(0), |(index, _)| index);
            if has > had.get(shard).index() {
                let wrong = format!(
                    "machine {} had {had:?}, and has {has:?} of shard {shard} when it starts again",
                    self.id
                );
                self.state().wrong.push(wrong);
            }
        }
    }

    /// A process that has just started knows of what the one before it has promised.
    fn check_promises(&self, process: &Process) {
        let mut wrong = Vec::new();
        let system = process.cluster.as_ref().map(|cluster| cluster.status().system);
        let system = system.into_iter().flatten().map(|status| (CONTROL_SPACE, status));
        for (space, status) in
            process.node.status().into_iter().map(|status| (DATA_SPACE, status)).chain(system)
        {
            let promised = self.site.climate.promised_term(self.id, (space, status.shard));
            if promised > status.term {
                wrong.push(format!(
                    "machine {} voted in term {promised} of shard {space}/{} and knows of term {}",
                    self.id, status.shard, status.term
                ));
            }
        }
        match process.node.forgotten_prepares() {
            // What cannot be read is an error of its own.
            Ok(0) | Err(_) => {}
            Ok(forgotten) => {
                wrong.push(format!("machine {} has forgotten {forgotten} prepares", self.id));
            }
        }
        self.state().wrong.extend(wrong);
    }

    fn db(&self) -> DbOptions {
        DbOptions { memory: Some(Arc::clone(&self.disk)), ..DbOptions::default() }
    }

    fn open_store(
        self: &Arc<Self>,
        life: Life,
        name: &str,
        shards: u16,
    ) -> Result<Arc<DirectoryStore>, String> {
        let options = LogOptions {
            create: Some(Identity { cluster: CLUSTER, shards }),
            tail_bytes_max: TAIL_BYTES,
            db: self.db(),
            ..LogOptions::default()
        };
        let due = Arc::new(Notify::new());
        let (machine, told) = (Arc::clone(self), Arc::clone(&due));
        let store = DirectoryStore::stepped(
            &self.home.join(name),
            &options,
            Box::new(move |error| machine.fail(life, &error.to_string())),
            Box::new(move || told.notify_one()),
        );
        let store = store.map_err(|error| error.to_string())?;
        let writing = write(Arc::clone(self), Arc::clone(store.writer()), due);
        self.site.stage.start(Some(life), Box::pin(writing));
        Ok(store.with_aggregate_bytes(AGGREGATE_BYTES))
    }
}

/// The disk's work: writes what has gathered, syncs what was written.
async fn write(machine: Arc<Machine>, writer: Arc<LogWriter>, due: Arc<Notify>) {
    loop {
        due.notified().await;
        while writer.step_write() {
            let slow = machine.state().sync_milliseconds;
            tokio::time::sleep(machine.dice.milliseconds(1, 3 + slow)).await;
            writer.step_sync();
            let flushes = machine.state().flushes;
            if flushes > 0 && machine.dice.chance(flushes) {
                machine.disk.flush_some(machine.dice.index(1 << 10));
            }
        }
    }
}

/// Folds what comes.
async fn fold(machine: Arc<Machine>, life: Life, node: Node<Schedule>, mut stepped: Stepped) {
    let mut changes = node.subscribe(&node.applied());
    loop {
        loop {
            match stepped.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return machine.fail(life, &error.to_string()),
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(machine.dice.milliseconds(0, 6)).await;
    }
}

/// Waits until projections have reached what is asked for; false if that takes too long.
pub(crate) async fn wait_for(process: &Process, positions: &Positions, patience: Duration) -> bool {
    let until = tokio::time::Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    while !process.projections.reached(positions) {
        if tokio::time::Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(pause).await;
        // Who waits long need not know at once.
        pause = (pause + Duration::from_micros(250)).min(Duration::from_millis(20));
    }
    true
}
