//! Clients: they ask whichever machine answers, and say what is wrong with what they hear.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::Metadata;
use rotabase_engine::position::Positions;
use rotabase_engine::schedule::{AggregateId, Schedule};
use rotabase_raft::{Request, WriteError};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::dice::Dice;
use super::history::{Answer, Asked, History};
use super::machine::{Machine, Process, Role, wait_for};
use super::planner::{self, Planner, Statement};
use super::stage::Stage;

/// How long a statement may take.
const DEADLINE: Duration = Duration::from_secs(3);

/// How long a client waits for an answer before it believes that there will be none.
const PATIENCE: Duration = Duration::from_secs(9);

/// What clients have in common.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) stage: Arc<Stage>,
    pub(crate) machines: Mutex<Vec<Arc<Machine>>>,
    pub(crate) planner: Planner,
    pub(crate) history: History,
    pub(crate) stop: AtomicBool,
    /// The clients that have not gone yet.
    pub(crate) clients: AtomicUsize,
}

impl Company {
    /// The machines that there are, but for those that never start again.
    pub(crate) fn machines(&self) -> Vec<Arc<Machine>> {
        let machines = self.machines.lock().expect("nothing panics while it holds them");
        machines.iter().filter(|machine| !machine.is_gone()).cloned().collect()
    }

    /// All machines that there ever were.
    pub(crate) fn all_machines(&self) -> Vec<Arc<Machine>> {
        self.machines.lock().expect("nothing panics while it holds them").clone()
    }

    /// Another machine.
    pub(crate) fn add(&self, machine: Arc<Machine>) {
        self.machines.lock().expect("nothing panics while it holds them").push(machine);
    }

    /// The processes that serve now.
    pub(crate) fn processes(&self, role: Role) -> Vec<Process> {
        let machines = self.machines();
        let machines = machines.iter().filter(|machine| machine.role == role);
        machines.filter_map(|machine| machine.process()).collect()
    }

    /// Notes if a process holds more than it may.
    pub(crate) fn check_limits(&self, process: &Process) {
        for holding in process.node.holdings() {
            if holding.is_too_much() {
                let machine = process.life.machine;
                self.history.wrong(format!("machine {machine} holds too much: {holding:?}"));
            }
        }
    }

    /// Has something done by a process; none if it dies meanwhile, or does not answer.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        process: &Process,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let task = async move {
            // Whoever asked may have lost patience.
            let _ = reply.send(work.await);
        };
        self.stage.start(Some(process.life), task.boxed());
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
    }

    /// Puts a statement to a process and notes what comes of it.
    pub(crate) async fn execute(
        &self,
        dice: &Dice,
        process: &Process,
        statement: Statement,
    ) -> Answer {
        let transaction = dice.uuid();
        let aggregates = statement.iter().map(|(id, _)| encoded(id)).collect();
        let events = planner::events(&statement);
        let began = self.stage.elapsed();
        let in_pieces = statement.len() > 1 && dice.chance(200);
        let asked = if in_pieces {
            let dropped = dice.chance(150);
            self.ask(process, in_pieces_of(process.clone(), statement, transaction, dropped)).await
        } else {
            self.ask(process, at_once(process.clone(), statement, transaction)).await
        };
        let answer = asked.unwrap_or(Answer::Unknown);
        let ended = self.stage.elapsed();
        self.stage.note(format!("{transaction} {answer:?}"));
        let heard = answer.clone();
        self.history.record(Asked { transaction, aggregates, events, began, ended, answer });
        heard
    }
}

fn encoded(id: &AggregateId) -> Vec<u8> {
    let mut out = Vec::new();
    Schedule::encode_id(id, &mut out);
    out
}

fn metadata(transaction: Uuid) -> Metadata {
    Metadata { transaction: Some(transaction), ..Metadata::default() }
}

fn requests(statement: Statement) -> Vec<Request<Schedule>> {
    statement.into_iter().map(|(id, command)| Request::new(id, command)).collect()
}

fn failed(error: &WriteError<Schedule>) -> Answer {
    match error {
        WriteError::OutcomeUnknown => Answer::Unknown,
        error => Answer::Refused(error.to_string()),
    }
}

async fn at_once(process: Process, statement: Statement, transaction: Uuid) -> Answer {
    let executed = process.node.execute(requests(statement), metadata(transaction), DEADLINE).await;
    match executed {
        Ok(outcome) => Answer::Stored {
            versions: outcome.versions,
            emitted: outcome.emitted.iter().sum(),
            positions: outcome.positions,
        },
        Err(error) => failed(&error),
    }
}

/// Puts each command on its own; `dropped` says whether to give up in the end.
async fn in_pieces_of(
    process: Process,
    statement: Statement,
    transaction: Uuid,
    dropped: bool,
) -> Answer {
    let mut write = process.node.begin(metadata(transaction));
    let (mut versions, mut emitted) = (Vec::new(), 0);
    // Those of a later shard may not wait for an earlier one: in any order, some are refused.
    for request in requests(statement) {
        match write.decide(vec![request], DEADLINE).await {
            Ok(decided) => {
                versions.extend(decided.versions);
                emitted += decided.emitted.iter().sum::<u32>();
            }
            Err(error) => return failed(&error),
        }
    }
    if dropped {
        return Answer::Refused("given up".to_owned());
    }
    match write.commit(DEADLINE).await {
        Ok(outcome) => Answer::Stored { versions, emitted, positions: outcome.positions },
        Err(error) => failed(&error),
    }
}

/// Asks until everybody stops.
pub(crate) async fn client(company: Arc<Company>, dice: Dice) {
    company.clients.fetch_add(1, Ordering::Relaxed);
    ask_on(&company, &dice).await;
    company.clients.fetch_sub(1, Ordering::Relaxed);
}

async fn ask_on(company: &Company, dice: &Dice) {
    let mut written = Positions::default();
    let mut versions: Vec<(AggregateId, u64)> = Vec::new();
    while !company.stop.load(Ordering::Relaxed) {
        // Some want to know at once.
        let pause = if dice.chance(300) { 3 } else { 120 };
        tokio::time::sleep(dice.milliseconds(1, pause)).await;
        let role = if dice.chance(200) { Role::Replica } else { Role::Member };
        let processes = company.processes(role);
        if processes.is_empty() {
            continue;
        }
        let process = dice.pick(&processes).clone();
        company.check_limits(&process);
        let reads = role == Role::Replica || dice.chance(300);
        if reads {
            read_own(company, dice, &process, (&written, &versions)).await;
            if role == Role::Member && dice.chance(500) {
                read_strongly(company, &process).await;
            }
            continue;
        }
        let statement = company.planner.any(dice, &process.projections.snapshot());
        let aggregates: Vec<_> = statement.iter().map(|(id, _)| *id).collect();
        let answer = company.execute(dice, &process, statement).await;
        if let Answer::Stored { versions: told, positions, .. } = answer {
            written.merge(&positions);
            let told = told.iter().map(|version| version.0);
            versions.extend(aggregates.into_iter().zip(told));
            let old = versions.len().saturating_sub(8);
            versions.drain(..old);
        }
    }
}

/// A session reads what it has written, wherever it reads.
async fn read_own(
    company: &Company,
    dice: &Dice,
    process: &Process,
    (written, versions): (&Positions, &[(AggregateId, u64)]),
) {
    if dice.chance(700) {
        let (waiting, positions) = (process.clone(), written.clone());
        let wait = async move { wait_for(&waiting, &positions, DEADLINE).await };
        if company.ask(process, wait).await != Some(true) {
            return;
        }
        let snapshot = process.projections.snapshot();
        for (aggregate, version) in versions {
            match snapshot.version(aggregate) {
                Ok(seen) if seen.0 >= *version => {}
                seen => company.history.wrong(format!(
                    "version {version} of {aggregate} was stored, and {seen:?} is read on machine {}",
                    process.life.machine
                )),
            }
        }
    }
    if let Some(half) = company.planner.half(&process.projections.snapshot()) {
        company.history.wrong(format!("machine {}: {half}", process.life.machine));
    }
}

/// A strong read covers all that was acknowledged before it.
async fn read_strongly(company: &Company, process: &Process) {
    let acknowledged = company.history.acknowledged();
    let node = process.node.clone();
    let barrier = company.ask(process, async move { node.read_barrier(DEADLINE).await }).await;
    if let Some(Ok(barrier)) = barrier
        && !barrier.covers(&acknowledged)
    {
        company.history.wrong(format!(
            "a strong read on machine {} sees up to {barrier:?}, but {acknowledged:?} was acknowledged",
            process.life.machine
        ));
    }
}
