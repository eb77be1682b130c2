//! The leader task of a shard: its single writer.
//!
//! ```text
//! following ──this replica was elected──▶ warming ──all earlier entries applied──▶ leading
//!     ▲                                      ▲                                        │
//!     └──another leads, or the core died─────┴── drained ◀── a proposal was refused ──┘
//! ```
//!
//! While it leads, it takes what has queued, decides it on the speculative state, and proposes the events of all of
//! it as one entry; what queues meanwhile is the next, as large a batch or larger. A proposal that is refused ends the leadership
//! as far as this task is concerned: what was decided after it rests on something that did not happen. It waits
//! until all that is in flight has ended, drops what it assumed, and begins again from what is applied.

mod attempts;
mod parts;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{EntryBuilder, Step};
use rotabase_engine::env::Timestamp;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::LogIndex;
use tokio::sync::mpsc;

use self::attempts::Attempts;
pub(crate) use self::attempts::{RECOVERED_WRITES, stored_decision};
use self::parts::Part;
use crate::error::WriteError;
use crate::flight::{Accepted, Answer, Cargo, Passengers, Pipeline, ShardAnswer};
use crate::metrics::add;
use crate::request::Decided;
use crate::reservation::WriteId;
use crate::shard::{Job, Shard, Statement};
use crate::speculation::{Draft, Speculation, Undecided};
use crate::type_config::{LeaderId, Proposal, ProposalResponder, TypeConfig};

/// Entries in flight beyond which a batch waits and grows. A deeper window makes smaller entries, and each entry
/// costs a round of replication whatever it carries.
///
/// When the next goes out is said by [`crate::departures`] where this machine has the only replica, and otherwise once as
/// many statements have gathered as are under way. One that waits until the first has ended misses the sync that other
/// shards have begun by then; one that goes out at once makes an entry for each statement.
pub(crate) const WINDOW_ENTRIES: usize = 2;

/// The same for the entries of one long statement, which do not grow by waiting.
pub(crate) const WINDOW_LONG_STATEMENT_ENTRIES: usize = 8;

/// The commands that one batch decides, unless a single statement has more.
pub(crate) const BATCH_COMMANDS_MAX: usize = 2048;

/// Statements that may wait for aggregates that others hold.
pub(crate) const PARKED_MAX: usize = 4096;

/// How long to wait before asking a new leader's followers again whether it leads.
const WARM_UP_RETRY: Duration = Duration::from_millis(10);

/// How long one attempt to learn what was committed may take.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(1);

type Metrics = WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>;

/// The task's state; everything that may be dropped when leadership is lost.
pub(crate) struct LeaderTask<D: Domain> {
    shard: Arc<Shard<D>>,
    jobs: mpsc::Receiver<Job<D>>,
    metrics: Metrics,
    speculation: Speculation<D>,
    pipeline: Arc<Pipeline>,
    /// Whether no other machine has a replica, as far as was known last.
    alone: bool,
    /// What waits for the newest proposal.
    newest: Option<Arc<Passengers<D>>>,
    /// Taken from the queue and not yet decided.
    backlog: VecDeque<Job<D>>,
    /// Waiting for aggregates that others hold.
    parked: VecDeque<Job<D>>,
    /// Decided parts of statements that are still being decided elsewhere.
    parts: BTreeMap<WriteId, Part<D>>,
    /// Transactions over several entries.
    attempts: Attempts<D>,
    /// The entry that is being written, and the answers that wait for it.
    entry: EntryBuilder,
    answers: Vec<Answer<D>>,
}

/// What came of a warm-up.
enum Warmth {
    /// This replica leads, as this leader, and has applied all that was committed before.
    Warm(LeaderId),
    /// It does not lead after all.
    Cold,
    /// Its core has died.
    Dead,
}

/// What a task that does not lead has to do next.
enum Next {
    Lead,
    Stop,
}

impl<D: Domain> LeaderTask<D> {
    pub(crate) fn new(
        shard: Arc<Shard<D>>,
        jobs: mpsc::Receiver<Job<D>>,
        speculation: Speculation<D>,
    ) -> Self {
        let metrics = shard.replica.server_metrics();
        let pipeline = new_pipeline(&shard);
        Self {
            shard,
            jobs,
            metrics,
            speculation,
            pipeline,
            alone: false,
            newest: None,
            backlog: VecDeque::new(),
            parked: VecDeque::new(),
            parts: BTreeMap::new(),
            attempts: Attempts::default(),
            entry: EntryBuilder::new(),
            answers: Vec::new(),
        }
    }

    /// Runs until the shard is closed.
    pub(crate) async fn run(mut self) {
        while let Next::Lead = self.follow().await {
            match self.warm_up().await {
                Warmth::Warm(leader) => {
                    self.shard.leading.store(true, Ordering::Release);
                    self.lead(leader).await;
                    self.shard.departures.leave(self.shard.id);
                    self.shard.leading.store(false, Ordering::Release);
                    self.drain().await;
                }
                // What is told of this replica and what it is may differ for a while, and this task must not keep the
                // thread from what would change that.
                Warmth::Cold => tokio::time::sleep(WARM_UP_RETRY).await,
                Warmth::Dead => break,
            }
        }
        self.close();
    }

    /// Waits until this replica is elected, and turns away what another leader should have been asked.
    async fn follow(&mut self) -> Next {
        loop {
            // Nothing wakes this task when its core dies, but whatever it is then asked does.
            let dead = self.shard.replica.metrics().borrow_watched().running_state.is_err();
            if dead || self.shard.stopping.load(Ordering::Acquire) {
                return Next::Stop;
            }
            self.refuse_gate();
            if self.leads() {
                return Next::Lead;
            }
            if let Some(leader) = self.shard.leader_elsewhere() {
                let shard = self.shard.id;
                self.turn_away_all(|| WriteError::NotLeader { shard, leader: leader.clone() });
            }
            let room = self.backlog.len() < BATCH_COMMANDS_MAX;
            tokio::select! { biased;
                changed = self.metrics.changed() => if changed.is_err() { return Next::Stop },
                () = self.shard.wake.notified() => {}
                job = self.jobs.recv(), if room => match job {
                    Some(job) => self.backlog.push_back(job),
                    None => return Next::Stop,
                },
            }
            self.backlog.retain(|job| !forget_given_up(&self.shard, job));
        }
    }

    fn leads(&self) -> bool {
        self.metrics.borrow_watched().current_leader == Some(self.shard.replica_id)
    }

    /// Waits until this replica knows all that was committed before it was elected, and has applied it.
    async fn warm_up(&mut self) -> Warmth {
        loop {
            self.refuse_gate();
            let Ok(leader) = self.shard.replica.as_leader() else { return Warmth::Cold };
            let leader = leader.to_committed_leader_id();
            // Not without end: the replica may be deposed while it waits, or closed.
            let read = self.shard.replica.ensure_linearizable(ReadPolicy::ReadIndex);
            match tokio::time::timeout(WARM_UP_TIMEOUT, read).await {
                Ok(Ok(_))
                    if self
                        .shard
                        .replica
                        .as_leader()
                        .is_ok_and(|now| now.to_committed_leader_id() == leader) =>
                {
                    self.begin_leading(leader);
                    if let Err(error) = self.recover_attempts().await {
                        tracing::error!(shard = self.shard.id.0, %error, "could not take up what was prepared");
                        self.let_others_lead().await;
                        return Warmth::Dead;
                    }
                    return Warmth::Warm(leader);
                }
                Ok(Err(error)) if error.fatal().is_some() => return Warmth::Dead,
                Ok(_) | Err(_) => {}
            }
            if self.shard.stopping.load(Ordering::Acquire) || !self.leads() {
                return Warmth::Cold;
            }
            tokio::time::sleep(WARM_UP_RETRY).await;
        }
    }

    /// Closes the replica of one that cannot read its log: it would go on leading, and nobody could ask it anything.
    async fn let_others_lead(&mut self) {
        if let Err(error) = self.shard.replica.shutdown().await {
            tracing::error!(shard = self.shard.id.0, ?error, "the replica did not close");
        }
    }

    fn begin_leading(&mut self, leader: LeaderId) {
        let sequence = self.shard.machine.lock().entries;
        if !planted::has(Bug::SpeculationKept) {
            self.speculation.reset(sequence);
        }
        self.pipeline = new_pipeline(&self.shard);
        let leadership = self.shard.metrics.leaderships.fetch_add(1, Ordering::Relaxed);
        self.shard.leadership.store(leadership, Ordering::Relaxed);
        self.tick_among_others();
        tracing::debug!(shard = self.shard.id.0, term = leader.term, sequence, "leading");
    }

    /// Lets time pass for a replica that has others. One alone has nobody to send heartbeats to, and nobody whose
    /// heartbeats could fail.
    fn tick_among_others(&mut self) {
        self.alone = !self.shard.has_others();
        if !self.alone {
            self.shard.departures.leave(self.shard.id);
        }
        self.shard.replica.runtime_config().tick(!self.alone);
    }

    /// Decides and proposes until leadership is lost or a proposal is.
    async fn lead(&mut self, leader: LeaderId) {
        loop {
            if self.pipeline.is_broken() || self.shard.stopping.load(Ordering::Acquire) {
                return;
            }
            self.pass_gate(leader).await;
            if self.pipeline.is_broken() {
                return;
            }
            self.take_queued();
            if !self.backlog.is_empty() && self.may_propose() {
                let timestamp = self.shard.clock.tick();
                if self.decide_batch(leader, timestamp).await.is_err() && self.shard.others_vote() {
                    // One alone goes on with what it can read.
                    return self.let_others_lead().await;
                }
                continue;
            }
            let room = self.backlog.len() < BATCH_COMMANDS_MAX;
            self.shard.parts.store(self.parts.len() + self.attempts.count(), Ordering::Release);
            tokio::select! { biased;
                () = self.shard.wake.notified() => {}
                changed = self.metrics.changed() => {
                    if changed.is_err() || !self.still_leads(leader) {
                        return;
                    }
                    self.tick_among_others();
                }
                job = self.jobs.recv(), if room => match job {
                    Some(job) => self.backlog.push_back(job),
                    None => return,
                },
            }
        }
    }

    /// Whether what has queued is decided now. If not, the end of what is in flight wakes this task, or another job.
    fn may_propose(&self) -> bool {
        let in_flight = self.pipeline.in_flight();
        if in_flight >= WINDOW_ENTRIES {
            return false;
        }
        // A part of a statement over several shards sets out when all of them are decided.
        let is_part = matches!(self.backlog.front(), Some(Job::Part(_)));
        if self.alone && !is_part {
            return self.shard.departures.may_depart(self.shard.id, self.backlog.len());
        }
        in_flight == 0 || self.backlog.len() >= self.pipeline.statements()
    }

    fn still_leads(&self, leader: LeaderId) -> bool {
        let metrics = self.metrics.borrow_watched();
        metrics.current_leader == Some(self.shard.replica_id) && metrics.vote.leader_id == leader
    }

    fn take_queued(&mut self) {
        let mut commands = 0;
        while self.backlog.len() < BATCH_COMMANDS_MAX && commands < BATCH_COMMANDS_MAX {
            let Ok(job) = self.jobs.try_recv() else { return };
            commands += job.commands();
            self.backlog.push_back(job);
        }
    }

    /// What waited for the aggregates of statements that have ended comes before what came after it.
    fn unpark(&mut self) {
        for job in std::mem::take(&mut self.parked).into_iter().rev() {
            self.backlog.push_front(job);
        }
    }

    /// Decides what has queued and proposes it as one entry. An error if an aggregate could not be read; everything
    /// has its answer all the same.
    async fn decide_batch(
        &mut self,
        leader: LeaderId,
        timestamp: Timestamp,
    ) -> Result<(), StoreError> {
        self.speculation.settle(self.shard.machine.lock().entries);
        let batch = self.take_batch();
        let parts = &self.parts;
        let missing =
            self.speculation.missing(batch.iter().flat_map(|job| parts::undrafted(parts, job)));
        let mut loaded = Ok(());
        if !missing.is_empty() {
            // Whoever needs the aggregate that could not be read is told when it is decided.
            loaded = self.speculation.load(missing).await;
            if let Err(error) = &loaded {
                tracing::error!(shard = self.shard.id.0, %error, "could not read an aggregate");
            }
        }
        for job in batch {
            match job {
                Job::Statement(statement) => {
                    self.decide_statement(leader, timestamp, statement).await;
                }
                Job::Part(part) => self.decide_part(leader, timestamp, part).await,
            }
        }
        self.propose(leader, timestamp).await;
        loaded
    }

    /// Takes the next jobs off the backlog; those whose aggregates others hold are parked.
    fn take_batch(&mut self) -> Vec<Job<D>> {
        let mut batch = Vec::with_capacity(self.backlog.len().min(BATCH_COMMANDS_MAX));
        let mut commands = 0;
        while commands < BATCH_COMMANDS_MAX {
            let Some(job) = self.backlog.pop_front() else { break };
            if forget_given_up(&self.shard, &job) {
                continue;
            }
            if self.must_wait(&job) {
                self.park(job);
                continue;
            }
            commands += job.commands();
            self.shard.waiting_commands.fetch_sub(job.commands(), Ordering::AcqRel);
            batch.push(job);
        }
        add(&self.shard.metrics.commands, commands);
        batch
    }

    fn must_wait(&self, job: &Job<D>) -> bool {
        match job {
            Job::Statement(statement) if !self.shard.reservations.is_empty() => self
                .shard
                .reservations
                .holds_any(statement.requests.iter().map(|request| &request.id)),
            Job::Statement(_) | Job::Part(_) => false,
        }
    }

    fn park(&mut self, job: Job<D>) {
        if self.parked.len() >= PARKED_MAX {
            self.parked.retain(|job| !forget_given_up(&self.shard, job));
        }
        if self.parked.len() >= PARKED_MAX {
            self.shard.waiting_commands.fetch_sub(job.commands(), Ordering::AcqRel);
            add(&self.shard.metrics.overloads, 1);
            return job.turn_away(WriteError::Overloaded);
        }
        self.parked.push_back(job);
    }

    async fn decide_statement(
        &mut self,
        leader: LeaderId,
        timestamp: Timestamp,
        statement: Statement<D>,
    ) {
        if !statement.foil.claim() {
            return;
        }
        let mut result = self.try_decide(&statement);
        if matches!(result, Err(Undecided::Full)) && !self.entry.is_empty() {
            self.propose(leader, timestamp).await;
            result = self.try_decide(&statement);
        }
        let Statement { requests, metadata, transaction, foil } = statement;
        let verdict = match result {
            Ok(decided) => {
                let emitted = decided.emitted.iter().any(|events| *events > 0);
                let last_ordinal = if emitted { self.entry.len().checked_sub(1) } else { None };
                Ok(Accepted { decided, transaction, last_ordinal })
            }
            Err(Undecided::Full) => return foil.answer(ShardAnswer::TooLong(requests, metadata)),
            Err(undecided) => Err(self.explain(undecided)),
        };
        self.answers.push(Answer::Statement { foil, verdict });
    }

    fn try_decide(&mut self, statement: &Statement<D>) -> Result<Decided, Undecided<D>> {
        if let [request] = statement.requests.as_slice() {
            let (version, emitted) =
                self.speculation.decide_one(request, &statement.metadata, &mut self.entry)?;
            return Ok(Decided { versions: vec![version], emitted: vec![emitted] });
        }
        let mark = self.entry.mark();
        let mut draft = Draft::default();
        match self.speculation.decide_all(
            &mut draft,
            &statement.requests,
            &statement.metadata,
            &mut self.entry,
        ) {
            Ok(decided) => {
                let sequence = self.speculation.sequence();
                self.speculation.accept(draft, sequence);
                Ok(decided)
            }
            Err(undecided) => {
                self.entry.rollback(mark);
                Err(undecided)
            }
        }
    }

    fn explain(&self, undecided: Undecided<D>) -> WriteError<D> {
        match undecided {
            Undecided::Refused(request, refusal) => {
                add(&self.shard.metrics.refusals, 1);
                WriteError::Refused { request, refusal }
            }
            Undecided::Mismatch(requests) => {
                add(&self.shard.metrics.refusals, 1);
                WriteError::VersionMismatch { requests }
            }
            Undecided::Full | Undecided::TooLong => WriteError::TooLarge,
            Undecided::Store(error) => WriteError::Store(error),
        }
    }

    /// Proposes the entry that is being written; without events, what was decided only has to be confirmed.
    async fn propose(&mut self, leader: LeaderId, timestamp: Timestamp) {
        let answers = std::mem::take(&mut self.answers);
        if self.entry.is_empty() {
            return self.confirm(timestamp, answers);
        }
        let entry = std::mem::take(&mut self.entry);
        self.propose_entry(leader, timestamp, entry, answers).await;
    }

    async fn propose_entry(
        &mut self,
        leader: LeaderId,
        timestamp: Timestamp,
        entry: EntryBuilder,
        answers: Vec<Answer<D>>,
    ) {
        let events = entry.len();
        self.propose_step(leader, timestamp, entry, (&Step::Events, events), answers).await;
    }

    /// Proposes an entry with which so many events happen.
    async fn propose_step(
        &mut self,
        leader: LeaderId,
        timestamp: Timestamp,
        entry: EntryBuilder,
        (step, events): (&Step, usize),
        answers: Vec<Answer<D>>,
    ) {
        let sequence = self.speculation.proposed();
        let cargo = Cargo { sequence: Some(sequence), events, timestamp, answers };
        let bytes = entry.finish_step(timestamp, sequence, step);
        add(&self.shard.metrics.entries, 1);
        add(&self.shard.metrics.entry_bytes, bytes.len());
        let (flight, passengers) = self.pipeline.depart(cargo, self.alone);
        self.newest = Some(passengers);
        let responder = ProposalResponder::new(Box::new(flight));
        let proposed = self
            .shard
            .replica
            .write(Proposal { bytes })
            .with_leader(leader)
            .responder(responder)
            .await;
        if let Err(error) = proposed {
            // The flight was dropped on the way, and has answered.
            tracing::debug!(shard = self.shard.id.0, %error, "could not propose");
        }
    }

    /// Answers what emitted nothing, once all that it was decided on is committed: with the newest proposal, or
    /// after asking whether this replica still leads.
    fn confirm(&mut self, timestamp: Timestamp, answers: Vec<Answer<D>>) {
        if answers.is_empty() {
            return;
        }
        let left = match &self.newest {
            Some(newest) => newest.join(answers),
            None => Some(answers),
        };
        let Some(answers) = left else { return };
        if self.pipeline.is_broken() {
            return answers.into_iter().for_each(|answer| answer.refuse(self.shard.id));
        }
        let (flight, passengers) = self
            .pipeline
            .depart(Cargo { sequence: None, events: 0, timestamp, answers }, self.alone);
        self.newest = Some(passengers);
        let replica = self.shard.replica.clone();
        crate::runtime::spawn(async move {
            let read = replica.get_read_log_id(ReadPolicy::ReadIndex).await;
            let ending = read.map(|(read, _)| LogIndex(read.index()));
            flight.end_read(ending.map_err(|error| {
                error.forward_to_leader().and_then(|forward| forward.leader_node.clone())
            }));
        });
    }

    /// Waits until everything in flight has ended, and drops what was assumed.
    async fn drain(&mut self) {
        // What was decided and not proposed is on top of what was assumed.
        self.entry = EntryBuilder::new();
        self.parts.clear();
        self.attempts.end_leadership();
        self.shard.reservations.turn_away();
        // Whoever leads next finds them in the log.
        self.shard.orphans.lock().clear();
        self.newest = None;
        for answer in std::mem::take(&mut self.answers) {
            answer.refuse(self.shard.id);
        }
        self.backlog.extend(std::mem::take(&mut self.parked));
        while self.pipeline.in_flight() > 0 {
            self.refuse_gate();
            if let Some(leader) = self.shard.leader_elsewhere() {
                let shard = self.shard.id;
                self.turn_away_all(|| WriteError::NotLeader { shard, leader: leader.clone() });
            }
            tokio::select! { biased;
                () = self.shard.wake.notified() => {}
                // The core is gone, and with it all that was in flight.
                changed = self.metrics.changed() => if changed.is_err() { break },
            }
        }
    }

    fn turn_away_all(&mut self, error: impl Fn() -> WriteError<D>) {
        while let Ok(job) = self.jobs.try_recv() {
            self.backlog.push_back(job);
        }
        for job in self.backlog.drain(..) {
            self.shard.waiting_commands.fetch_sub(job.commands(), Ordering::AcqRel);
            job.turn_away(error());
        }
    }

    fn close(&mut self) {
        self.jobs.close();
        self.shard.gate.lock().closed = true;
        self.refuse_gate();
        self.parts.clear();
        let shard = Arc::clone(&self.shard);
        self.turn_away_all(|| shard.closed());
    }
}

fn new_pipeline<D: Domain>(shard: &Shard<D>) -> Arc<Pipeline> {
    Pipeline::new(
        shard.id,
        Arc::clone(&shard.departures),
        Arc::clone(&shard.clock),
        Arc::clone(&shard.metrics),
    )
}

/// Whether nobody waits for the job any more; it is then no longer counted as waiting.
fn forget_given_up<D: Domain>(shard: &Shard<D>, job: &Job<D>) -> bool {
    let given_up = job.is_given_up();
    if given_up {
        shard.waiting_commands.fetch_sub(job.commands(), Ordering::AcqRel);
    }
    given_up
}
