//! A simulated machine: a disk that outlives its process, a clock of its own, and the process: a node and its
//! projections, on the storage that production has, driven step by step.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rotabase_engine::db::{DbOptions, MemoryDisk};
use rotabase_engine::env::{Clock, Timestamp};
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_engine::schedule::Schedule;
use rotabase_engine::writer::LogWriter;
use rotabase_queries::projection::{ProjectionOptions, Projections, Retention, Stepped};
use rotabase_raft::simulated::SimulatedNetwork;
use rotabase_raft::type_config::{Machine as Address, MachineId};
use rotabase_raft::{DirectoryStore, Environment, Node, NodeConfig};
use tokio::sync::Notify;
use uuid::Uuid;

use super::dice::Dice;
use super::stage::{Life, Stage};

/// The shards of a simulated cluster.
pub(crate) const SHARDS: u16 = 3;

/// When simulated time begins, in microseconds since 2000: in spring 2026.
const BEGINNING: i64 = 827_000_000_000_000;

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
    stage: Arc<Stage>,
    network: Arc<SimulatedNetwork>,
    dice: Arc<Dice>,
    home: PathBuf,
    founders: Vec<Address>,
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
}

/// A process that serves.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    pub(crate) node: Node<Schedule>,
    pub(crate) projections: Arc<Projections>,
    pub(crate) store: Arc<DirectoryStore>,
}

pub(crate) fn address(id: MachineId) -> Address {
    Address { id, address: format!("machine{id}") }
}

/// What machines have in common.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) stage: Arc<Stage>,
    pub(crate) network: Arc<SimulatedNetwork>,
    pub(crate) home: PathBuf,
    pub(crate) founders: Vec<MachineId>,
}

impl Machine {
    pub(crate) fn new(id: MachineId, role: Role, site: &Site, dice: Dice) -> Arc<Self> {
        let clock = MachineClock { stage: Arc::clone(&site.stage), wrong_by: AtomicI64::new(0) };
        Arc::new(Self {
            id,
            role,
            disk: MemoryDisk::new(),
            clock: Arc::new(clock),
            stage: Arc::clone(&site.stage),
            network: Arc::clone(&site.network),
            dice: Arc::new(dice),
            home: site.home.join(id.to_string()),
            founders: site.founders.iter().copied().map(address).collect(),
            state: Mutex::default(),
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

    /// Why the process has ended by itself, since it was asked last.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.state().failure.take()
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

    /// Starts the process, if there is none.
    pub(crate) fn boot(self: &Arc<Self>) {
        if self.is_up() {
            return;
        }
        let life = self.stage.begin_life(self.id);
        self.state().life = Some(life);
        let machine = Arc::clone(self);
        let boot = async move {
            if let Err(error) = Arc::clone(&machine).open(life).await {
                machine.fail(life, &error);
            }
        };
        self.stage.start(Some(life), Box::pin(boot));
    }

    /// The process is gone at once. `survivors` says how much of what was not synced the disk keeps; `torn` whether the
    /// write after that is there in part.
    pub(crate) fn kill(&self, torn: bool, survivors: impl FnMut(usize) -> usize) {
        let (life, process) = {
            let mut state = self.state();
            (state.life.take(), state.process.take())
        };
        let Some(life) = life else { return };
        self.stage.end_life(life);
        self.network.remove(self.id);
        self.disk.crash(torn, survivors);
        // Whatever it still holds is of no use to anyone.
        drop(process);
    }

    /// The process ends itself, as production does when its storage has failed.
    fn fail(&self, life: Life, why: &str) {
        if self.stage.is_alive(life) {
            self.stage.end_life(life);
            self.network.remove(self.id);
            let mut state = self.state();
            state.failure = Some(why.to_owned());
            state.process = None;
        }
    }

    async fn open(self: Arc<Self>, life: Life) -> Result<(), String> {
        let store = self.open_store(life)?;
        let transport = self.network.attach(self.id);
        let (clock, random) = (Arc::clone(&self.clock), Arc::new(self.dice.split()));
        let environment = Environment { store: store.clone(), transport, clock, random };
        let config = NodeConfig {
            machine: address(self.id),
            voters: self.founders.clone(),
            networked: true,
            joins: !self.founders.iter().any(|founder| founder.id == self.id),
            feed_bytes: FEED_BYTES,
            ..NodeConfig::default()
        };
        let node = match self.role {
            Role::Member if config.joins => {
                let config = NodeConfig { voters: vec![address(self.id)], ..config };
                Node::open(config, environment).await
            }
            Role::Member => Node::open(config, environment).await,
            Role::Replica => Node::open_follower(config, environment).await,
        };
        let node = node.map_err(|error| error.to_string())?;
        let retention = Retention { microseconds: None, after: Timestamp(0) };
        let options =
            ProjectionOptions { db: self.db(), retention, ..ProjectionOptions::default() };
        let stepped = Projections::stepped(&self.home.join("projections"), node.feed(), options)
            .map_err(|error| error.to_string())?;
        let projections = Arc::clone(&stepped.projections);
        let folding = fold(Arc::clone(&self), life, node.clone(), stepped);
        self.stage.start(Some(life), Box::pin(folding));
        self.state().process = Some(Process { life, node, projections, store });
        Ok(())
    }

    fn db(&self) -> DbOptions {
        DbOptions { memory: Some(Arc::clone(&self.disk)), ..DbOptions::default() }
    }

    fn open_store(self: &Arc<Self>, life: Life) -> Result<Arc<DirectoryStore>, String> {
        let options = LogOptions {
            create: Some(Identity { cluster: Uuid::from_u128(1), shards: SHARDS }),
            tail_bytes_max: TAIL_BYTES,
            db: self.db(),
            ..LogOptions::default()
        };
        let due = Arc::new(Notify::new());
        let (machine, told) = (Arc::clone(self), Arc::clone(&due));
        let store = DirectoryStore::stepped(
            &self.home.join("log"),
            &options,
            Box::new(move |error| machine.fail(life, &error.to_string())),
            Box::new(move || told.notify_one()),
        );
        let store = store.map_err(|error| error.to_string())?;
        let writing = write(Arc::clone(self), Arc::clone(store.writer()), due);
        self.stage.start(Some(life), Box::pin(writing));
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
pub(crate) async fn wait_for(
    process: &Process,
    positions: &rotabase_engine::position::Positions,
    patience: Duration,
) -> bool {
    let until = tokio::time::Instant::now() + patience;
    while !process.projections.reached(positions) {
        if tokio::time::Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    true
}
