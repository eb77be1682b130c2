//! A shard of this node, as the node and its statements see it: a queue to its leader task, the aggregates that
//! statements hold in it, and its replica.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{Attempt, Metadata, Parts};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{LogIndex, Position, ShardId, Version};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use crate::departures::Departures;
use crate::error::WriteError;
use crate::flight::{PartOutcome, ShardAnswer};
use crate::hybrid_clock::HybridClock;
use crate::metrics::{NodeMetrics, add};
use crate::replica_log::ReplicaLog;
use crate::replica_machine::MachineState;
use crate::request::Request;
use crate::reservation::{Reservations, Reserved, WriteId};
use crate::shard_log::ShardLog;
use crate::ticket::Counterfoil;
use crate::transport::Replica;
use crate::type_config::{Machine, MachineId, ReplicaId};

/// The statements, and parts of statements, that may wait for a shard's leader task.
pub(crate) const QUEUE_JOBS_MAX: usize = 8192;

/// The commands in these.
pub(crate) const QUEUE_COMMANDS_MAX: usize = 65_536;

/// How a shard of this node is doing.
#[derive(Clone, Debug)]
pub struct ShardStatus {
    /// Which shard.
    pub shard: ShardId,
    /// The machine that leads it, if one is known.
    pub leader: Option<Machine>,
    /// Whether this machine leads it and takes commands.
    pub leading: bool,
    /// The term.
    pub term: u64,
    /// The index of the last log entry.
    pub last_index: LogIndex,
    /// The index of the last log entry that is committed and applied here.
    pub applied: LogIndex,
    /// Commands that wait for the leader.
    pub waiting: usize,
    /// Why the shard does not work, if it does not.
    pub error: Option<String>,
    /// The machines whose replicas vote, as far as is known here.
    pub voters: Vec<MachineId>,
    /// The machines with a replica that does not vote.
    pub learners: Vec<MachineId>,
}

/// A shard of this node.
#[derive(Debug)]
pub(crate) struct Shard<D: Domain> {
    pub(crate) id: ShardId,
    pub(crate) replica_id: ReplicaId,
    pub(crate) replica: Replica,
    pub(crate) replica_log: ReplicaLog,
    pub(crate) log: Arc<dyn ShardLog>,
    pub(crate) machine: Arc<Mutex<MachineState>>,
    pub(crate) clock: Arc<HybridClock>,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) reservations: Reservations<D>,
    pub(crate) gate: Mutex<Gate>,
    /// Wakes the leader task for what is not in its queue.
    pub(crate) wake: Arc<Notify>,
    /// When its entries set out while no other machine has a replica.
    pub(crate) departures: Arc<Departures>,
    pub(crate) jobs: mpsc::Sender<Job<D>>,
    pub(crate) waiting_commands: AtomicUsize,
    /// The parts of statements that the leader task holds.
    pub(crate) parts: AtomicUsize,
    /// Attempts that were prepared under an earlier leader, and the shards that decide them; [`crate::resolve`] ends them.
    pub(crate) orphans: Mutex<BTreeMap<Attempt, ShardId>>,
    /// Wakes who ends orphans.
    pub(crate) orphaned: Arc<Notify>,
    pub(crate) leading: AtomicBool,
    /// Which of this node's leaderships its newest was, counted over all shards.
    pub(crate) leadership: AtomicU64,
    pub(crate) stopping: AtomicBool,
}

/// What statements over several shards tell a shard. It is apart from the queue because it must never be turned
/// away.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// What to do with statements that were decided everywhere, in order.
    pub(crate) orders: VecDeque<Order>,
    /// Statements whose parts are to be dropped.
    pub(crate) aborted: Vec<WriteId>,
    /// The leader task has ended; nothing is taken any more.
    pub(crate) closed: bool,
}

impl Gate {
    /// Has a statement's part dropped; false for a closed shard, which has none.
    pub(crate) fn abort(&mut self, write: WriteId) -> bool {
        if !self.closed {
            self.aborted.push(write);
        }
        !self.closed
    }
}

/// What a statement that was decided everywhere, or who ends one that nobody ends, asks of a shard.
#[derive(Debug)]
pub(crate) enum Order {
    /// Store its part, which is one entry and all that the statement emits anywhere; or, if it emitted nothing
    /// here, confirm what it was decided on.
    Store { write: WriteId, reply: oneshot::Sender<PartOutcome> },
    /// Log its part and hold its aggregates until the outcome; or, if it emitted nothing, confirm and hold.
    Prepare {
        write: WriteId,
        attempt: Attempt,
        deciding: ShardId,
        reply: oneshot::Sender<PartOutcome>,
    },
    /// Say what was decided of an attempt; if nothing was, decide as is wished.
    Decide { attempt: Attempt, wish: Wish, reply: oneshot::Sender<DecisionAnswer> },
    /// End what was prepared as was decided, and let its aggregates go.
    Conclude {
        attempt: Attempt,
        /// The statement, if it is one of this node.
        write: Option<WriteId>,
        verdict: Verdict,
        reply: oneshot::Sender<PartOutcome>,
    },
}

/// What is to become of an attempt of which nothing was decided.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// It commits, at a time later than `after`, at which all of it was prepared, and than all that the deciding machine's
    /// clock has observed. The deciding shard's own part is stored with the decision if it was not prepared.
    Commit { write: WriteId, after: Timestamp, parts: Parts, own_part: bool },
    /// It never will.
    Abort,
}

/// What was decided of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) commit: bool,
    /// The time of its events.
    pub(crate) timestamp: Timestamp,
    /// Where they happen.
    pub(crate) parts: Parts,
}

impl Verdict {
    /// It never happens.
    pub(crate) fn abort(timestamp: Timestamp) -> Self {
        Self { commit: false, timestamp, parts: Parts::default() }
    }
}

/// How a question for a decision was answered.
#[derive(Debug)]
pub(crate) enum DecisionAnswer {
    /// It is committed, at this position of the deciding shard.
    Decided { verdict: Verdict, position: Position },
    /// Nothing was decided now; perhaps earlier.
    Refused(Option<Machine>),
    /// Nobody knows.
    Unknown,
}

/// What a shard's leader task is asked.
#[derive(Debug)]
pub(crate) enum Job<D: Domain> {
    /// Decide a statement that is for this shard alone, and store it.
    Statement(Statement<D>),
    /// Decide a part of a statement, and keep it until the gate says what becomes of it.
    Part(PartJob<D>),
}

/// A statement for one shard.
#[derive(Debug)]
pub(crate) struct Statement<D: Domain> {
    pub(crate) requests: Vec<Request<D>>,
    pub(crate) metadata: Metadata,
    pub(crate) transaction: Uuid,
    pub(crate) foil: Counterfoil<ShardAnswer<D>>,
}

/// A part of a statement; its aggregates are held already.
#[derive(Debug)]
pub(crate) struct PartJob<D: Domain> {
    pub(crate) write: WriteId,
    /// What its entries are prepared as, if they have to be before all is decided.
    pub(crate) attempt: Attempt,
    pub(crate) deciding: ShardId,
    /// Whether the statement was decided in this shard before, so that there must be something to go on from.
    pub(crate) continues: bool,
    pub(crate) requests: Vec<Request<D>>,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) reply: oneshot::Sender<Result<PartDecided, PartFailure<D>>>,
}

/// What a part's requests did.
#[derive(Debug)]
pub(crate) struct PartDecided {
    pub(crate) versions: Vec<Version>,
    pub(crate) emitted: Vec<u32>,
    /// The memory that the shard holds of the statement.
    pub(crate) bytes: usize,
    /// The entries that it takes, prepared ones included.
    pub(crate) entries: u32,
    /// Whether some of them are prepared already.
    pub(crate) prepared: bool,
}

/// Why a part was not decided. Request numbers are the part's own.
#[derive(Debug)]
pub(crate) enum PartFailure<D: Domain> {
    Refused(usize, D::Refusal),
    Mismatch(Vec<usize>),
    Other(WriteError<D>),
}

impl<D: Domain> Job<D> {
    /// How many commands it is.
    pub(crate) fn commands(&self) -> usize {
        match self {
            Self::Statement(statement) => statement.requests.len(),
            Self::Part(part) => part.requests.len(),
        }
    }

    /// The aggregates that it asks for.
    pub(crate) fn requests(&self) -> &[Request<D>] {
        match self {
            Self::Statement(statement) => &statement.requests,
            Self::Part(part) => &part.requests,
        }
    }

    /// Whether nobody waits for it any more, and nothing has been done for it.
    pub(crate) fn is_given_up(&self) -> bool {
        match self {
            Self::Statement(statement) => statement.foil.is_withdrawn(),
            Self::Part(part) => part.reply.is_closed(),
        }
    }

    /// Answers that nothing was stored.
    pub(crate) fn turn_away(self, error: WriteError<D>) {
        match self {
            Self::Statement(statement) => statement.foil.answer(ShardAnswer::Done(Err(error))),
            Self::Part(part) => {
                // Whoever asked may have gone.
                let _ = part.reply.send(Err(PartFailure::Other(error)));
            }
        }
    }
}

/// Whether a replica is the only voter of its shard.
pub(crate) fn is_alone(replica: &Replica) -> bool {
    let metrics = replica.server_metrics();
    let metrics = metrics.borrow_watched();
    metrics.membership_config.membership().voter_ids().eq([metrics.id])
}

impl<D: Domain> Shard<D> {
    /// Gives an order, unless the shard is closed; the order's reply is then dropped.
    pub(crate) fn order(&self, order: Order) {
        let mut gate = self.gate.lock();
        if !gate.closed {
            gate.orders.push_back(order);
            drop(gate);
            self.wake.notify_one();
        }
    }

    /// Asks for aggregates for a statement. Among others, nobody waits for them where the shard is not led: what an
    /// earlier leadership prepared may be held here for as long as others lead.
    pub(crate) fn reserve(&self, write: WriteId, ids: Vec<D::Id>, may_wait: bool) -> Reserved {
        let reserved = self.reservations.reserve(write, ids, may_wait);
        match reserved {
            Reserved::Waiting(_) if !self.leads() && self.has_others() => Reserved::Elsewhere,
            reserved => reserved,
        }
    }

    /// Has a statement's part dropped, and its aggregates.
    pub(crate) fn abort(&self, write: WriteId) {
        // Its aggregates go when the leader task has dropped its part, or has said in the log that it never happens.
        if self.gate.lock().abort(write) {
            self.wake.notify_one();
        } else {
            self.reservations.release(write);
        }
    }

    /// Puts a job into the leader task's queue, or turns it away.
    pub(crate) fn enqueue(&self, job: Job<D>) {
        let commands = job.commands();
        let waiting = self.waiting_commands.fetch_add(commands, Ordering::AcqRel);
        // A job that is alone in the queue is always taken, however long it is.
        let full = waiting > 0 && waiting + commands > QUEUE_COMMANDS_MAX;
        let refused = if full { Some((job, WriteError::Overloaded)) } else { self.try_send(job) };
        if let Some((job, error)) = refused {
            self.waiting_commands.fetch_sub(commands, Ordering::AcqRel);
            if matches!(error, WriteError::Overloaded) {
                add(&self.metrics.overloads, 1);
            }
            job.turn_away(error);
        }
    }

    fn try_send(&self, job: Job<D>) -> Option<(Job<D>, WriteError<D>)> {
        match self.jobs.try_send(job) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(job)) => Some((job, WriteError::Overloaded)),
            Err(mpsc::error::TrySendError::Closed(job)) => Some((job, self.closed())),
        }
    }

    /// The error for a shard that does not work: because of its storage, if that is known.
    pub(crate) fn closed(&self) -> WriteError<D> {
        self.log.failure().map_or(WriteError::Unavailable { shard: self.id }, WriteError::Store)
    }

    /// Whether there are replicas of the shard on other machines.
    pub(crate) fn has_others(&self) -> bool {
        let metrics = self.replica.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().nodes().count() > 1
    }

    /// Whether another machine could lead the shard.
    pub(crate) fn others_vote(&self) -> bool {
        let metrics = self.replica.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().voter_ids().count() > 1
    }

    /// Whether this machine leads the shard and takes commands.
    pub(crate) fn leads(&self) -> bool {
        self.leading.load(Ordering::Acquire)
    }

    /// The machine that leads the shard, as far as is known here; none if it is this one.
    pub(crate) fn leader_elsewhere(&self) -> Option<Machine> {
        let metrics = self.replica.server_metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader.filter(|leader| *leader != self.replica_id)?;
        metrics.membership_config.membership().get_node(&leader).cloned()
    }

    pub(crate) fn status(&self) -> ShardStatus {
        let metrics = self.replica.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics
            .current_leader
            .and_then(|leader| metrics.membership_config.membership().get_node(&leader).cloned());
        let membership = metrics.membership_config.membership();
        let votes: BTreeSet<ReplicaId> = membership.voter_ids().collect();
        let (voters, learners): (Vec<_>, Vec<_>) =
            membership.nodes().partition(|(replica, _)| votes.contains(replica));
        let machines = |replicas: Vec<(&ReplicaId, &Machine)>| {
            replicas.into_iter().map(|(_, machine)| machine.id).collect::<Vec<_>>()
        };
        let (voters, learners) = (machines(voters), machines(learners));
        let failure = self.log.failure().map(|failure| failure.to_string());
        let error =
            failure.or_else(|| metrics.running_state.as_ref().err().map(ToString::to_string));
        ShardStatus {
            shard: self.id,
            leader,
            leading: self.leading.load(Ordering::Acquire),
            term: metrics.current_term,
            last_index: LogIndex(metrics.last_log_index.unwrap_or(0)),
            applied: LogIndex(metrics.last_applied.map_or(0, |applied| applied.index)),
            waiting: self.waiting_commands.load(Ordering::Relaxed),
            error,
            voters,
            learners,
        }
    }
}
