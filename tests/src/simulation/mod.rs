//! The whole stack below the wire protocol in one process, on simulated time, network and disks, under a seed.
//!
//! ```text
//! clients, subscribers ──▶ nodes ──▶ aggregates, shards, Raft, transactions ──▶ feed ──▶ projections
//!        │                   │ network: weather                     │ disk in memory      │ the same disk
//!     history ◀── oracles ───┴──────────────────────────────────────┴─────────────────────┘
//! ```
//!
//! Everything but the world is production's: [`rotabase_raft::cluster::Cluster`] with its system shard and its placement,
//! [`rotabase_raft::Node`] with its leader tasks and openraft, the engine's log, writer and index, and the projections, on [`rotabase_engine::db::MemoryDisk`] in place of RocksDB. All of it runs on
//! one thread with tokio's paused clock; [`stage`] says in which order, so that a seed is a history: run again, it is the
//! same to the last step.
//!
//! 1. A cluster is founded, grows to three members and gets its schedule.
//! 2. Clients ask while a few kinds of faults come and go, which the seed has chosen of all ([`faults`]), and while members
//!    come and go and shards move, if those are among them ([`operator`]).
//! 3. The faults end. All machines come back, agree, have ended all transactions, and serve.
//! 4. What clients heard is compared with what happened ([`history`]), and machines with each other ([`oracles`]).

mod clients;
mod dice;
mod faults;
mod following;
mod history;
mod machine;
mod operator;
mod oracles;
mod panics;
mod planner;
mod stage;
mod weather;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rotabase_engine::db::DiskFaults;
use rotabase_engine::planted;
use rotabase_raft::cluster::FOUNDER;
use rotabase_raft::net::Members;
use rotabase_raft::simulated::SimulatedNetwork;
use rotabase_raft::type_config::MachineId;

pub use faults::Fault;
pub use rotabase_engine::planted::Bug;

use clients::{Company, client};
use dice::Dice;
use faults::{Trouble, restart_failed};
use following::{Shown, feed_replica, subscriber};
use history::{Answer, History};
use machine::{Machine, Role, Site};
use operator::Operator;
use planner::{Planner, Statement};
use stage::Stage;
use weather::Climate;

/// The faults that a seed brings if nothing else is asked for.
pub const STEPS_DEFAULT: u32 = 20;

/// The members that the cluster begins with.
const MEMBERS: usize = 3;

/// The restarts that a report shows.
const RESTARTS_SHOWN: usize = 5;

/// The read replicas.
const REPLICAS: u32 = 2;

/// The clients.
const CLIENTS: usize = 5;

/// How long it may take until everybody agrees once nothing goes wrong any more.
const CONVERGENCE: Duration = Duration::from_secs(60);

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many faults it brings.
    pub steps: u32,
    /// A bug that is to be found.
    pub planted: Option<Bug>,
    /// Whether to say what has happened.
    pub notes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, steps: STEPS_DEFAULT, planted: None, notes: false }
    }
}

/// How a simulation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is wrong; nothing, if all is well.
    pub wrong: Vec<String>,
    /// All that happened, as a number.
    pub trace: u64,
    /// In how many steps of tasks.
    pub steps: u64,
    /// In how much simulated time.
    pub simulated: Duration,
    /// The statements that were stored, refused, and left unknown.
    pub statements: [usize; 3],
    /// How often each kind of fault came.
    pub faults: BTreeMap<Fault, u32>,
    /// Why processes had to be restarted.
    pub restarts: Vec<String>,
    /// What has happened, if that is to be said.
    pub notes: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stored, refused, unknown] = self.statements;
        write!(
            f,
            "trace {:016x}, {} steps, {:.1} s, {stored} stored, {refused} refused, {unknown} unknown, {:?}",
            self.trace,
            self.steps,
            self.simulated.as_secs_f64(),
            self.faults
        )?;
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        for restart in self.restarts.iter().take(RESTARTS_SHOWN) {
            write!(f, "\n  restarted: {restart}")?;
        }
        for wrong in &self.wrong {
            write!(f, "\n  WRONG: {wrong}")?;
        }
        Ok(())
    }
}

/// Runs a seed, on a thread of its own.
pub fn run(options: Options) -> Report {
    let thread = std::thread::Builder::new()
        .name(format!("seed {}", options.seed))
        .stack_size(64 << 20)
        .spawn(move || run_here(options));
    thread.expect("there are threads").join().expect("what panics is caught")
}

fn run_here(options: Options) -> Report {
    panics::listen();
    planted::plant(options.planted);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let home = tempfile::tempdir().expect("a directory");
    let report = runtime.block_on(async {
        let stage = Stage::new();
        if options.notes {
            stage.keep_notes();
        }
        stage.open();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (on, path) = (Arc::clone(&stage), home.path().to_owned());
        let simulation = async move {
            let simulation = Simulation::new(options, on, path);
            // Whoever waits for it has nothing else to do.
            let _ = sender.send(simulation.run().await);
        };
        stage.start(None, Box::pin(simulation));
        receiver.await.ok()
    });
    rotabase_raft::runtime::conduct(None);
    let mut report = report.unwrap_or_else(|| Report {
        wrong: vec!["the simulation itself has failed".to_owned()],
        trace: 0,
        steps: 0,
        simulated: Duration::ZERO,
        statements: [0; 3],
        faults: BTreeMap::new(),
        restarts: Vec::new(),
        notes: Vec::new(),
    });
    report.wrong.extend(panics::heard());
    report
}

/// A cluster, its clients, and what goes wrong.
struct Simulation {
    options: Options,
    stage: Arc<Stage>,
    climate: Arc<Climate>,
    company: Arc<Company>,
    operator: Arc<Operator>,
    shown: Vec<Arc<Shown>>,
    dice: Dice,
}

impl Simulation {
    fn new(options: Options, stage: Arc<Stage>, home: std::path::PathBuf) -> Self {
        let dice = Dice::new(options.seed);
        let climate = Climate::new(Arc::clone(&stage), dice.split());
        let network = SimulatedNetwork::new(Arc::<Climate>::clone(&climate));
        let site = Site { stage: Arc::clone(&stage), network, climate: Arc::clone(&climate), home };
        let machine = |id, role| Machine::new((id, role), Members::new(), &site, dice.split());
        let mut machines = vec![machine(FOUNDER, Role::Member)];
        machines.extend((100..100 + REPLICAS).map(|id| machine(MachineId(id), Role::Replica)));
        let company = Arc::new(Company {
            stage: Arc::clone(&stage),
            machines: Mutex::new(machines),
            planner: Planner::new(),
            history: History::default(),
            stop: AtomicBool::new(false),
            clients: AtomicUsize::new(0),
        });
        let operator = Operator::new(Arc::clone(&company), site, dice.split());
        let shown = vec![Arc::default()];
        Self { options, stage, climate, company, operator, shown, dice }
    }

    async fn run(mut self) -> Report {
        let mut faults = BTreeMap::new();
        if self.found().await {
            let (company, operator) = (Arc::clone(&self.company), Arc::clone(&self.operator));
            self.begin();
            let dice = self.dice.split();
            let mut trouble = Trouble::new(company, Arc::clone(&self.climate), operator, dice);
            trouble.make(self.options.steps).await;
            faults.clone_from(trouble.counts());
            self.end(trouble.damaged()).await;
        }
        let (trace, steps) = self.stage.trace();
        let history = &self.company.history;
        let restarts = self.company.all_machines().into_iter().flat_map(|machine| {
            let id = machine.id;
            machine.failures().into_iter().map(move |why| format!("machine {id}: {why}"))
        });
        Report {
            wrong: history.take_wrong(),
            trace,
            steps,
            simulated: self.stage.elapsed(),
            statements: history.counts(),
            faults,
            restarts: restarts.collect(),
            notes: self.stage.take_notes(),
        }
    }

    /// Starts all machines and gives them something to work on; whether that worked.
    async fn found(&self) -> bool {
        for machine in self.company.machines() {
            machine.boot();
            if machine.role == Role::Replica {
                let (company, climate) = (Arc::clone(&self.company), Arc::clone(&self.climate));
                let task = feed_replica(company, climate, machine, self.dice.split());
                self.stage.start(None, Box::pin(task));
            }
        }
        if tokio::time::timeout(CONVERGENCE, self.operator.grow(MEMBERS)).await.is_err() {
            self.company.history.wrong("the cluster does not start".to_owned());
            return false;
        }
        let until = self.stage.elapsed() + CONVERGENCE;
        for statement in self.company.planner.foundation() {
            self.serve(statement, until).await;
        }
        !self.company.history.has_wrong()
    }

    /// Lets clients ask.
    fn begin(&self) {
        for _ in 0..CLIENTS {
            let task = client(Arc::clone(&self.company), self.dice.split());
            self.stage.start(None, Box::pin(task));
        }
        for shown in &self.shown {
            let (company, climate) = (Arc::clone(&self.company), Arc::clone(&self.climate));
            let task = subscriber(company, climate, Arc::clone(shown), self.dice.split());
            self.stage.start(None, Box::pin(task));
        }
    }

    /// Nothing goes wrong any more: everybody comes back, agrees and serves.
    async fn end(&mut self, damaged: Option<MachineId>) {
        self.climate.clear();
        for machine in &self.company.machines() {
            self.stage.resume(machine.id);
            machine.slow_down(0);
            machine.flush_often(0);
            machine.disk.fail(DiskFaults::default());
            machine.boot();
        }
        if self.company.history.has_wrong() {
            return;
        }
        // Who was asked has time to answer.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.company.stop.store(true, Ordering::Relaxed);
        let until = self.stage.elapsed() + CONVERGENCE;
        for statement in self.company.planner.everything() {
            self.serve(statement, until).await;
        }
        while let Some(apart) = self.apart(damaged) {
            if self.stage.elapsed() > until {
                self.company.history.wrong(format!("they do not agree: {apart}"));
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if let Some(damaged) = damaged {
            self.start_anew(damaged).await;
        }
        oracles::check(&self.company, &self.shown, damaged);
    }

    /// What keeps everybody from agreeing, if anything does.
    fn apart(&self, damaged: Option<MachineId>) -> Option<String> {
        restart_failed(&self.company);
        self.operator.retire_removed();
        let clients = self.company.clients.load(Ordering::Relaxed);
        if clients > 0 {
            return Some(format!("{clients} clients wait"));
        }
        if self.operator.is_busy() {
            return Some("the operator waits".to_owned());
        }
        oracles::apart(&self.company, damaged)
    }

    /// Has a machine forget what it need not read from its disk.
    async fn start_anew(&self, machine: MachineId) {
        for machine in self.company.machines().iter().filter(|it| it.id == machine) {
            machine.kill(false, |unsynced| unsynced);
            machine.boot();
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// Has a statement stored.
    async fn serve(&self, statement: Statement, until: Duration) {
        let mut last = None;
        loop {
            restart_failed(&self.company);
            let processes = self.company.processes(Role::Member);
            if let Some(process) = processes.get(self.dice.index(processes.len().max(1))) {
                let asked = self.company.execute(&self.dice, process, statement.clone());
                match asked.await {
                    Answer::Stored { .. } => return,
                    answer => last = Some((process.life.machine, answer)),
                }
            }
            if self.stage.elapsed() > until {
                let wrong = format!("{statement:?} is not taken any more: {last:?}");
                return self.company.history.wrong(wrong);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
