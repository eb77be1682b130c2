//! Proposals on their way, and the answers that wait for them.
//!
//! A proposal ends in one of three ways, and the difference is what a client may be told: it is committed; it was
//! refused before it reached the log, or is void there; or the leader was lost with it and nobody knows. One that
//! was refused makes all later ones of the same leadership void, because they were decided on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use openraft::errors::ClientWriteError;
use parking_lot::Mutex;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::Timestamp;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::departures::Departures;
use crate::error::WriteError;
use crate::hybrid_clock::HybridClock;
use crate::metrics::{NodeMetrics, add};
use crate::request::{Decided, Outcome, Request};
use crate::shard::{DecisionAnswer, Verdict};
use crate::ticket::Counterfoil;
use crate::type_config::{LogId, Machine, ProposalResult, ProposalWatcher};

/// What a shard answers to a statement that was put to it alone.
#[derive(Debug)]
pub(crate) enum ShardAnswer<D: Domain> {
    /// How it ended.
    Done(Result<Outcome, WriteError<D>>),
    /// Its events do not fit one log entry: it has to come in pieces.
    TooLong(Vec<Request<D>>, Metadata),
}

/// An answer that waits until what it rests on is committed.
#[derive(Debug)]
pub(crate) enum Answer<D: Domain> {
    /// To a statement in this shard alone.
    Statement { foil: Counterfoil<ShardAnswer<D>>, verdict: Result<Accepted, WriteError<D>> },
    /// To a statement of which this is a part.
    Part(Arc<PartProgress>),
    /// To who asked what was decided of an attempt.
    Decision { verdict: Verdict, reply: oneshot::Sender<DecisionAnswer> },
}

/// A statement that was decided.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) decided: Decided,
    pub(crate) transaction: Uuid,
    /// The ordinal of its last event in the entry; none if it emitted none.
    pub(crate) last_ordinal: Option<usize>,
}

/// How a proposal ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// A majority has it, as the log entry at this index with so many events.
    Committed { index: LogIndex, events: usize, timestamp: Timestamp },
    /// What was read is settled up to this index; there was nothing to propose.
    Read { index: LogIndex, timestamp: Timestamp },
    /// It is not in the log, or void there.
    Refused(Option<Machine>),
    /// Nobody knows.
    Unknown,
}

impl<D: Domain> Answer<D> {
    /// Answers that nothing was stored.
    pub(crate) fn refuse(self, shard: ShardId) {
        self.give(shard, &Ending::Refused(None));
    }

    fn give(self, shard: ShardId, ending: &Ending) {
        match self {
            Self::Part(progress) => progress.entry_ended(ending),
            Self::Decision { verdict, reply } => {
                // Whoever asked may have gone; it is decided all the same.
                let _ = reply.send(decision_answer(verdict, ending));
            }
            Self::Statement { foil, verdict } => {
                foil.answer(ShardAnswer::Done(Self::conclude(verdict, shard, ending)));
            }
        }
    }

    fn conclude(
        verdict: Result<Accepted, WriteError<D>>,
        shard: ShardId,
        ending: &Ending,
    ) -> Result<Outcome, WriteError<D>> {
        let (position, timestamp) = match ending {
            Ending::Committed { index, events, timestamp } => {
                (Position::new(*index, events.saturating_sub(1)), *timestamp)
            }
            Ending::Read { index, timestamp } => (Position::end_of(*index), *timestamp),
            Ending::Refused(leader) => return Err(unstored(shard, leader.clone())),
            // What emitted nothing has stored nothing, whatever became of what it was decided on.
            Ending::Unknown => {
                let emitted = verdict.is_ok_and(|accepted| accepted.last_ordinal.is_some());
                return Err(if emitted && !planted::has(Bug::UnknownSaidRefused) {
                    WriteError::OutcomeUnknown
                } else {
                    WriteError::Unavailable { shard }
                });
            }
        };
        let accepted = verdict?;
        let mut positions = Positions::default();
        let own = accepted.last_ordinal.map(|ordinal| Position::new(position.index(), ordinal));
        positions.advance(shard, own.unwrap_or(position));
        let Decided { versions, emitted } = accepted.decided;
        Ok(Outcome { versions, emitted, positions, timestamp, transaction: accepted.transaction })
    }
}

fn decision_answer(verdict: Verdict, ending: &Ending) -> DecisionAnswer {
    match ending {
        Ending::Committed { index, events, .. } => {
            let position = Position::new(*index, events.saturating_sub(1));
            DecisionAnswer::Decided { verdict, position }
        }
        Ending::Read { index, .. } => {
            DecisionAnswer::Decided { verdict, position: Position::end_of(*index) }
        }
        Ending::Refused(leader) => DecisionAnswer::Refused(leader.clone()),
        Ending::Unknown => DecisionAnswer::Unknown,
    }
}

/// The error for something that is not stored, because this machine does not lead the shard.
pub(crate) fn unstored<D: Domain>(shard: ShardId, leader: Option<Machine>) -> WriteError<D> {
    match leader {
        Some(leader) => WriteError::NotLeader { shard, leader },
        None => WriteError::Unavailable { shard },
    }
}

/// How far the entries of a part of a statement have come.
#[derive(Debug)]
pub(crate) struct PartProgress(Mutex<PartState>);

#[derive(Debug)]
struct PartState {
    /// Entries, or reads, that have not ended.
    open: usize,
    outcome: PartOutcome,
    /// The log entries that are committed.
    indexes: Vec<LogIndex>,
    reply: Option<oneshot::Sender<PartOutcome>>,
}

/// How a part of a statement ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartOutcome {
    /// The watermark that covers it.
    pub(crate) position: Position,
    /// The time that its events carry, or when it was confirmed.
    pub(crate) timestamp: Timestamp,
    /// At least one entry is committed.
    pub(crate) committed: bool,
    /// At least one entry is not in the log.
    pub(crate) refused: bool,
    /// Who leads the shard instead, if that is why.
    pub(crate) leader: Option<Machine>,
    /// Of at least one entry nobody knows.
    pub(crate) unknown: bool,
}

impl PartProgress {
    /// Waits for `entries` entries.
    pub(crate) fn new(entries: usize, reply: oneshot::Sender<PartOutcome>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(PartState {
            open: entries,
            outcome: PartOutcome::default(),
            indexes: Vec::new(),
            reply: Some(reply),
        })))
    }

    /// Waits for entries that [`PartProgress::expect`] tells of, until [`PartProgress::finish`].
    pub(crate) fn unfinished() -> Arc<Self> {
        Arc::new(Self(Mutex::new(PartState {
            open: 0,
            outcome: PartOutcome::default(),
            indexes: Vec::new(),
            reply: None,
        })))
    }

    /// There is one more entry to wait for.
    pub(crate) fn expect(&self) {
        self.0.lock().open += 1;
    }

    /// No more entries come: `reply` is answered when all have ended.
    pub(crate) fn finish(&self, reply: oneshot::Sender<PartOutcome>) {
        let mut state = self.0.lock();
        if state.open == 0 {
            // The client may be gone.
            let _ = reply.send(state.outcome.clone());
        } else {
            state.reply = Some(reply);
        }
    }

    /// Whether all entries that it was told of have ended.
    pub(crate) fn is_quiet(&self) -> bool {
        self.0.lock().open == 0
    }

    /// The log entries that are committed, in order.
    pub(crate) fn indexes(&self) -> Vec<LogIndex> {
        self.0.lock().indexes.clone()
    }

    fn entry_ended(&self, ending: &Ending) {
        let mut state = self.0.lock();
        match ending {
            Ending::Committed { index, events, timestamp } => {
                let position = Position::new(*index, events.saturating_sub(1));
                state.outcome.timestamp = state.outcome.timestamp.max(*timestamp);
                state.outcome.position = state.outcome.position.max(position);
                state.outcome.committed = true;
                let at = state.indexes.partition_point(|before| before < index);
                state.indexes.insert(at, *index);
            }
            Ending::Read { index, timestamp } => {
                state.outcome.timestamp = state.outcome.timestamp.max(*timestamp);
                state.outcome.position = state.outcome.position.max(Position::end_of(*index));
            }
            Ending::Refused(leader) => {
                state.outcome.refused = true;
                state.outcome.leader.clone_from(leader);
            }
            Ending::Unknown => state.outcome.unknown = true,
        }
        state.open -= 1;
        if state.open == 0
            && let Some(reply) = state.reply.take()
        {
            // The client may be gone; the statement ended all the same.
            let _ = reply.send(state.outcome.clone());
        }
    }
}

/// The proposals of one leadership.
#[derive(Debug)]
pub(crate) struct Pipeline {
    shard: ShardId,
    in_flight: AtomicUsize,
    /// The statements that departed with them.
    statements: AtomicUsize,
    /// Entries of this sequence and later are not in the log, or void there.
    refused_from: AtomicU64,
    /// Of some entry nobody knows how it ended.
    lost: AtomicBool,
    departures: Arc<Departures>,
    clock: Arc<HybridClock>,
    metrics: Arc<NodeMetrics>,
}

impl Pipeline {
    /// An empty pipeline that wakes the shard's leader when a proposal has ended.
    pub(crate) fn new(
        shard: ShardId,
        departures: Arc<Departures>,
        clock: Arc<HybridClock>,
        metrics: Arc<NodeMetrics>,
    ) -> Arc<Self> {
        let (in_flight, statements) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (refused_from, lost) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        Arc::new(Self {
            shard,
            in_flight,
            statements,
            refused_from,
            lost,
            departures,
            clock,
            metrics,
        })
    }

    /// How many proposals have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// How many statements departed with proposals that have not ended.
    pub(crate) fn statements(&self) -> usize {
        self.statements.load(Ordering::Acquire)
    }

    /// Whether a proposal was refused or lost: nothing more may be decided on what was assumed.
    pub(crate) fn is_broken(&self) -> bool {
        self.refused_from.load(Ordering::Acquire) != u64::MAX || self.lost.load(Ordering::Acquire)
    }

    /// Begins a proposal. If it is `paced`, the statements of other shards gather while it is under way; they do not
    /// for a part of a long statement, which has entries under way as long as it takes.
    pub(crate) fn depart<D: Domain>(
        self: &Arc<Self>,
        cargo: Cargo<D>,
        paced: bool,
    ) -> (Flight<D>, Arc<Passengers<D>>) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let whole = |answer: &Answer<D>| matches!(answer, Answer::Statement { .. });
        let paced = paced && cargo.answers.iter().all(whole);
        let statements = cargo.answers.len();
        self.statements.fetch_add(statements, Ordering::AcqRel);
        self.departures.departed(if paced { statements } else { 0 });
        let passengers = Arc::new(Passengers(Mutex::new(Some(cargo.answers))));
        let flight = Flight {
            pipeline: Arc::clone(self),
            passengers: Arc::clone(&passengers),
            statements,
            paced,
            sequence: cargo.sequence,
            events: cargo.events,
            timestamp: cargo.timestamp,
            departed: self.clock.now_microseconds(),
            ended: false,
        };
        (flight, passengers)
    }
}

/// What a proposal carries.
#[derive(Debug)]
pub(crate) struct Cargo<D: Domain> {
    /// The sequence of the entry; none for a read, which breaks nothing when it fails.
    pub(crate) sequence: Option<u64>,
    pub(crate) events: usize,
    pub(crate) timestamp: Timestamp,
    pub(crate) answers: Vec<Answer<D>>,
}

/// The answers that wait for a proposal; none once it has ended.
#[derive(Debug)]
pub(crate) struct Passengers<D: Domain>(Mutex<Option<Vec<Answer<D>>>>);

impl<D: Domain> Passengers<D> {
    /// Lets further answers wait for the same proposal; gives them back if it has ended.
    pub(crate) fn join(&self, answers: Vec<Answer<D>>) -> Option<Vec<Answer<D>>> {
        match &mut *self.0.lock() {
            Some(waiting) => {
                waiting.extend(answers);
                None
            }
            None => Some(answers),
        }
    }
}

/// A proposal on its way. Dropped before it has ended, it has ended unknown.
#[derive(Debug)]
pub(crate) struct Flight<D: Domain> {
    pipeline: Arc<Pipeline>,
    passengers: Arc<Passengers<D>>,
    /// How many it departed with.
    statements: usize,
    /// Whether those of other shards wait for it.
    paced: bool,
    sequence: Option<u64>,
    events: usize,
    timestamp: Timestamp,
    departed: i64,
    ended: bool,
}

impl<D: Domain> Flight<D> {
    /// Ends a read.
    pub(crate) fn end_read(mut self, ending: Result<LogIndex, Option<Machine>>) {
        let timestamp = self.timestamp;
        self.end(&ending.map_or_else(Ending::Refused, |index| Ending::Read { index, timestamp }));
    }

    fn end(&mut self, ending: &Ending) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let metrics = &self.pipeline.metrics;
        match (ending, self.sequence) {
            (Ending::Committed { events, .. }, _) => {
                add(&metrics.events, *events);
                metrics.committed(self.pipeline.clock.now_microseconds() - self.departed);
            }
            (Ending::Refused(_), Some(sequence)) => {
                add(&metrics.lost_entries, 1);
                // Before anyone hears of it: an entry that commits later must know that it is void.
                self.pipeline.refused_from.fetch_min(sequence, Ordering::AcqRel);
            }
            (Ending::Unknown, Some(_)) => {
                add(&metrics.lost_entries, 1);
                self.pipeline.lost.store(true, Ordering::Release);
            }
            (Ending::Read { .. } | Ending::Refused(_) | Ending::Unknown, _) => {}
        }
        let waiting = self.passengers.0.lock().take().unwrap_or_default();
        for answer in waiting {
            answer.give(self.pipeline.shard, ending);
        }
        self.pipeline.statements.fetch_sub(self.statements, Ordering::AcqRel);
        self.pipeline.in_flight.fetch_sub(1, Ordering::AcqRel);
        let Pipeline { departures, shard, .. } = &*self.pipeline;
        departures.landed(if self.paced { self.statements } else { 0 });
        departures.wake(*shard).notify_one();
    }
}

impl<D: Domain> ProposalWatcher<ProposalResult> for Flight<D> {
    fn committed(&mut self, log_id: LogId) {
        let refused_from = self.pipeline.refused_from.load(Ordering::Acquire);
        let ending = if self.sequence.is_some_and(|sequence| refused_from < sequence) {
            Ending::Refused(None)
        } else if self.pipeline.lost.load(Ordering::Acquire) {
            Ending::Unknown
        } else {
            Ending::Committed {
                index: LogIndex(log_id.index),
                events: self.events,
                timestamp: self.timestamp,
            }
        };
        self.end(&ending);
    }

    fn completed(mut self: Box<Self>, result: ProposalResult) {
        let ending = match result {
            // On commit it was answered.
            Ok(_) => return,
            Err(ClientWriteError::ForwardToLeader(forward)) => Ending::Refused(forward.leader_node),
            Err(_) => Ending::Unknown,
        };
        self.end(&ending);
    }
}

impl<D: Domain> Drop for Flight<D> {
    fn drop(&mut self) {
        self.end(&Ending::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use openraft::errors::ForwardToLeader;
    use rotabase_engine::env::Clock;
    use rotabase_engine::schedule::Schedule;

    use crate::ticket::{Ticket, ticket};
    use crate::type_config::{LeaderId, ReplicaId};

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now_microseconds(&self) -> i64 {
            0
        }
    }

    fn pipeline() -> Arc<Pipeline> {
        let clock = Arc::new(HybridClock::new(Arc::new(Stopped)));
        Pipeline::new(ShardId(0), Arc::new(Departures::new(1)), clock, Arc::default())
    }

    fn depart(
        pipeline: &Arc<Pipeline>,
        sequence: u64,
    ) -> (Box<Flight<Schedule>>, Ticket<ShardAnswer<Schedule>>) {
        let (waiting, foil) = ticket();
        assert!(foil.claim());
        let accepted = Accepted {
            decided: Decided::default(),
            transaction: Uuid::nil(),
            last_ordinal: Some(0),
        };
        let answers = vec![Answer::Statement { foil, verdict: Ok(accepted) }];
        let cargo = Cargo { sequence: Some(sequence), events: 1, timestamp: Timestamp(1), answers };
        (Box::new(pipeline.depart(cargo, true).0), waiting)
    }

    fn answer(waiting: Ticket<ShardAnswer<Schedule>>) -> Result<Outcome, WriteError<Schedule>> {
        match waiting.now_or_never() {
            Some(Some(ShardAnswer::Done(result))) => result,
            other => panic!("{other:?}"),
        }
    }

    fn log_id(index: u64) -> LogId {
        LogId { leader_id: LeaderId { term: 1, node_id: ReplicaId(1) }, index }
    }

    #[test]
    fn what_commits_behind_a_refused_proposal_is_not_stored() {
        let pipeline = pipeline();
        let (mut first, first_waits) = depart(&pipeline, 0);
        let (second, second_waits) = depart(&pipeline, 1);
        let (mut third, third_waits) = depart(&pipeline, 2);
        second.completed(Err(ClientWriteError::ForwardToLeader(ForwardToLeader::empty())));
        first.committed(log_id(5));
        third.committed(log_id(6));
        assert!(pipeline.is_broken() && pipeline.in_flight() == 0);
        assert_eq!(
            answer(first_waits).unwrap().positions.get(ShardId(0)),
            Position::new(LogIndex(5), 0)
        );
        assert!(matches!(answer(second_waits), Err(WriteError::Unavailable { .. })));
        assert!(matches!(answer(third_waits), Err(WriteError::Unavailable { .. })));
    }

    #[test]
    fn statements_are_under_way_until_their_proposal_has_ended_however_it_ends() {
        let pipeline = pipeline();
        let (mut committed, _waits) = depart(&pipeline, 0);
        let (refused, _waits) = depart(&pipeline, 1);
        let (dropped, _waits) = depart(&pipeline, 2);
        assert_eq!(pipeline.statements(), 3);
        committed.committed(log_id(5));
        assert_eq!(pipeline.statements(), 2);
        refused.completed(Err(ClientWriteError::ForwardToLeader(ForwardToLeader::empty())));
        assert_eq!(pipeline.statements(), 1);
        drop((committed, dropped));
        assert_eq!(pipeline.statements(), 0, "each is counted once");
    }

    #[test]
    fn other_shards_wait_for_statements_and_not_for_parts_of_a_long_one() {
        let clock = Arc::new(HybridClock::new(Arc::new(Stopped)));
        let departures = Arc::new(Departures::new(2));
        let pipeline = Pipeline::new(ShardId(0), Arc::clone(&departures), clock, Arc::default());
        let (reply, _outcome) = oneshot::channel();
        let answers = vec![Answer::<Schedule>::Part(PartProgress::new(1, reply))];
        let (sequence, timestamp) = (Some(0), Timestamp(1));
        let cargo = Cargo { sequence, events: 1, timestamp, answers };
        let (_part, _) = pipeline.depart(cargo, true);
        assert!(departures.may_depart(ShardId(1), 1));
        let (statements, _waits): (Vec<_>, Vec<_>) =
            (1..3).map(|sequence| depart(&pipeline, sequence)).unzip();
        assert!(!departures.may_depart(ShardId(1), 1));
        drop(statements);
        assert!(departures.may_depart(ShardId(1), 1));
    }

    #[test]
    fn what_is_discarded_or_dropped_is_unknown() {
        let pipeline = pipeline();
        let (discarded, discarded_waits) = depart(&pipeline, 0);
        let (dropped, dropped_waits) = depart(&pipeline, 1);
        discarded.completed(Err(ClientWriteError::LogEntryDiscarded(ForwardToLeader::empty())));
        drop(dropped);
        assert!(matches!(answer(discarded_waits), Err(WriteError::OutcomeUnknown)));
        assert!(matches!(answer(dropped_waits), Err(WriteError::OutcomeUnknown)));
        assert!(pipeline.is_broken() && pipeline.in_flight() == 0);
    }
}
