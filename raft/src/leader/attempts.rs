//! Transactions over several entries, as one shard's leader task has them: prepares, decisions, outcomes.
//!
//! What was prepared is in the log and does not go with the leadership it was prepared under: whoever leads next
//! finds it there, holds its aggregates again, and has [`crate::resolve`] ask the deciding shard what became of it.
//! What is decided is decided once: the log of the deciding shard is asked before anything is added to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{Attempt, Entry, EntryBuilder, Step};
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, ShardId};
use tokio::sync::oneshot;

use super::parts::{EarlyPrepares, Part};
use super::{LeaderTask, WINDOW_LONG_STATEMENT_ENTRIES};
use crate::flight::{Answer, PartOutcome, PartProgress};
use crate::metrics::add;
use crate::replica_machine::OpenAttempt;
use crate::reservation::WriteId;
use crate::shard::{DecisionAnswer, Shard, Verdict, Wish};
use crate::shard_log::read_row;
use crate::speculation::Draft;
use crate::type_config::LeaderId;

/// Decisions of this leadership that are remembered before those that are applied are let go.
const DECISIONS_MAX: usize = 4096;

/// The ids of statements that only the log knows of begin here; those of clients never come so far.
pub(crate) const RECOVERED_WRITES: u128 = 1 << 127;

/// What one leader task knows of transactions over several entries.
#[derive(Debug)]
pub(super) struct Attempts<D: Domain> {
    /// Prepared, and waiting for the outcome.
    prepared: BTreeMap<Attempt, PreparedPart<D>>,
    /// Aborted before all was decided, with entries that are prepared.
    aborted: Vec<(Attempt, PreparedPart<D>)>,
    /// Prepared for a machine that is gone: somebody else has to end them.
    abandoned: Vec<Attempt>,
    /// What was prepared under an earlier leadership of this replica, and who held it.
    held: BTreeMap<Attempt, WriteId>,
    /// Decided under this leadership, by the sequence of the decision's entry; perhaps not yet applied.
    decisions: BTreeMap<Attempt, (u64, Verdict)>,
    /// Whether aggregates were taken from who held them when this leadership began.
    seized: bool,
    recovered: u128,
}

#[derive(Debug)]
struct PreparedPart<D: Domain> {
    write: WriteId,
    /// The shard that decides.
    deciding: ShardId,
    draft: Draft<D>,
    /// How many events each prepare holds.
    events: Vec<usize>,
    prepares: Prepares,
}

#[derive(Debug)]
enum Prepares {
    Proposed(Arc<PartProgress>),
    Recovered(Vec<LogIndex>),
}

impl<D: Domain> PreparedPart<D> {
    /// Whether it is known of all its prepares what became of them.
    fn is_quiet(&self) -> bool {
        match &self.prepares {
            Prepares::Proposed(progress) => progress.is_quiet(),
            Prepares::Recovered(_) => true,
        }
    }
}

impl Prepares {
    fn indexes(&self) -> Vec<LogIndex> {
        match self {
            Self::Proposed(progress) => progress.indexes(),
            Self::Recovered(indexes) => indexes.clone(),
        }
    }
}

impl<D: Domain> Default for Attempts<D> {
    fn default() -> Self {
        Self {
            prepared: BTreeMap::new(),
            aborted: Vec::new(),
            abandoned: Vec::new(),
            held: BTreeMap::new(),
            decisions: BTreeMap::new(),
            seized: false,
            recovered: 0,
        }
    }
}

impl<D: Domain> Attempts<D> {
    /// Forgets what only this leadership knew.
    pub(super) fn end_leadership(&mut self) {
        let aborted = std::mem::take(&mut self.aborted);
        let prepared = std::mem::take(&mut self.prepared).into_iter().chain(aborted);
        self.held.extend(prepared.map(|(attempt, part)| (attempt, part.write)));
        self.decisions.clear();
        self.abandoned.clear();
        self.seized = false;
    }

    /// Ends an aborted statement as soon as what is prepared of it is known to be in the log.
    pub(super) fn end_later(&mut self, write: WriteId, draft: Draft<D>, early: EarlyPrepares) {
        let EarlyPrepares { attempt, deciding, progress, events } = early;
        let prepares = Prepares::Proposed(progress);
        self.aborted.push((attempt, PreparedPart { write, deciding, draft, events, prepares }));
    }

    /// Has a statement's attempt ended by somebody else, if it has prepared anything; whether it has.
    pub(super) fn abandon(&mut self, write: WriteId) -> bool {
        let prepared = self.prepared.iter().find(|(_, part)| part.write == write);
        if let Some((attempt, _)) = prepared {
            self.abandoned.push(*attempt);
        }
        prepared.is_some()
    }

    /// How many have not ended.
    pub(super) fn count(&self) -> usize {
        self.prepared.len() + self.aborted.len() + self.abandoned.len() + self.held.len()
    }

    /// Whether a statement may have lost aggregates that it was granted.
    pub(super) fn seized(&self) -> bool {
        self.seized
    }

    fn knows(&self, attempt: Attempt) -> bool {
        self.prepared.contains_key(&attempt)
            || self.held.contains_key(&attempt)
            || self.aborted.iter().any(|(aborted, _)| *aborted == attempt)
    }
}

impl<D: Domain> LeaderTask<D> {
    /// Takes up what was prepared before this leadership began: all of it holds its aggregates until its outcome.
    pub(super) async fn recover_attempts(&mut self) -> Result<(), StoreError> {
        let open = self.shard.machine.lock().prepared.clone();
        for (attempt, open) in open {
            self.recover_attempt(attempt, &open).await?;
        }
        for write in std::mem::take(&mut self.attempts.held).into_values() {
            self.shard.reservations.release(write);
        }
        if self.attempts.seized {
            self.shard.orphaned.notify_one();
        }
        Ok(())
    }

    async fn recover_attempt(
        &mut self,
        attempt: Attempt,
        open: &OpenAttempt,
    ) -> Result<(), StoreError> {
        let mut entries = Vec::with_capacity(open.prepares.len());
        for index in &open.prepares {
            let row = read_row(&*self.shard.log, self.shard.id, *index)?;
            entries.push(Entry::decode(row.payload)?);
        }
        let events = || entries.iter().flat_map(|entry| &entry.events);
        let mut ids = Vec::new();
        for event in events() {
            ids.push(D::decode_id(&event.aggregate)?);
        }
        ids.sort_unstable();
        ids.dedup();
        let missing = self.speculation.missing(ids.iter());
        self.speculation.load(missing).await?;
        let draft = self.speculation.redraft(events())?;
        let write = self.attempts.held.remove(&attempt).unwrap_or_else(|| {
            self.attempts.recovered += 1;
            WriteId(RECOVERED_WRITES + self.attempts.recovered)
        });
        if !planted::has(Bug::ReservationForgotten) {
            self.shard.reservations.seize(write, draft.ids());
        }
        let part = PreparedPart {
            write,
            deciding: open.deciding,
            draft,
            events: entries.iter().map(|entry| entry.events.len()).collect(),
            prepares: Prepares::Recovered(open.prepares.iter().copied().collect()),
        };
        self.attempts.prepared.insert(attempt, part);
        self.attempts.seized = true;
        self.shard.orphans.lock().insert(attempt, open.deciding);
        tracing::info!(shard = self.shard.id.0, %attempt, "a transaction waits for its outcome");
        Ok(())
    }

    /// Logs what the shard holds of a statement, and goes on holding its aggregates.
    pub(super) async fn prepare(
        &mut self,
        leader: LeaderId,
        (write, attempt): (WriteId, Attempt),
        deciding: ShardId,
        reply: oneshot::Sender<PartOutcome>,
    ) {
        let Some(Part { draft, entries, early }) = self.parts.remove(&write) else {
            return self.refuse_part(write, reply);
        };
        let entries = entries.into_entries();
        if entries.is_empty() && early.is_none() {
            // It was only read here; who holds it lets it go when the statement ends.
            let timestamp = self.shard.clock.tick();
            return self.confirm(timestamp, vec![Answer::Part(PartProgress::new(1, reply))]);
        }
        let (progress, mut events) = match early {
            Some(EarlyPrepares { progress, events, .. }) => (progress, events),
            None => (PartProgress::unfinished(), Vec::new()),
        };
        events.extend(entries.iter().map(EntryBuilder::len));
        let prepares = Prepares::Proposed(Arc::clone(&progress));
        let part = PreparedPart { write, deciding, draft, events, prepares };
        self.attempts.prepared.insert(attempt, part);
        self.propose_prepares(leader, (attempt, deciding), entries, &progress).await;
        progress.finish(reply);
    }

    pub(super) async fn propose_prepares(
        &mut self,
        leader: LeaderId,
        (attempt, deciding): (Attempt, ShardId),
        entries: Vec<EntryBuilder>,
        progress: &Arc<PartProgress>,
    ) {
        self.shard.clock.observe(attempt.timestamp());
        let timestamp = self.shard.clock.tick();
        add(&self.shard.metrics.prepares, entries.len());
        let step = Step::Prepare { attempt, deciding };
        for entry in entries {
            progress.expect();
            let answer = Answer::Part(Arc::clone(progress));
            self.wait_for_window().await;
            if self.pipeline.is_broken() {
                answer.refuse(self.shard.id);
            } else {
                self.propose_step(leader, timestamp, entry, (&step, 0), vec![answer]).await;
            }
        }
    }

    /// Ends what was aborted with entries prepared; whether there was anything to end.
    pub(super) async fn end_aborted(&mut self, leader: LeaderId) -> bool {
        let mut ended = false;
        while let Some(at) = self.attempts.aborted.iter().position(|(_, part)| part.is_quiet()) {
            let (attempt, part) = self.attempts.aborted.swap_remove(at);
            self.attempts.prepared.insert(attempt, part);
            let verdict = Verdict::abort(self.shard.clock.tick());
            // Nobody waits for it.
            let (reply, _) = oneshot::channel();
            self.conclude(leader, (attempt, None), verdict, reply).await;
            ended = true;
        }
        ended
    }

    /// Makes orphans of what was prepared for a machine that is gone, once it is known what is in the log of it.
    pub(super) fn orphan_abandoned(&mut self) {
        let attempts = &mut self.attempts;
        let mut waiting = Vec::new();
        for attempt in std::mem::take(&mut attempts.abandoned) {
            // What is not there any more has ended meanwhile.
            let Some(part) = attempts.prepared.get(&attempt) else { continue };
            if part.is_quiet() {
                self.shard.orphans.lock().insert(attempt, part.deciding);
                self.shard.orphaned.notify_one();
            } else {
                waiting.push(attempt);
            }
        }
        attempts.abandoned = waiting;
    }

    /// Says what was decided of an attempt; decides it as is wished if nothing was.
    pub(super) async fn decide_attempt(
        &mut self,
        leader: LeaderId,
        attempt: Attempt,
        wish: Wish,
        reply: oneshot::Sender<DecisionAnswer>,
    ) {
        let known = match self.attempts.decisions.get(&attempt) {
            Some((_, verdict)) => Ok(Some(verdict.clone())),
            None => stored_decision(&self.shard, attempt),
        };
        match known {
            Ok(None) => self.propose_decision(leader, attempt, wish, reply).await,
            Ok(Some(verdict)) => {
                let timestamp = self.shard.clock.tick();
                self.confirm(timestamp, vec![Answer::Decision { verdict, reply }]);
            }
            Err(error) => {
                tracing::error!(shard = self.shard.id.0, %attempt, %error, "could not read a decision");
                // Whoever asked may have gone.
                let _ = reply.send(DecisionAnswer::Unknown);
            }
        }
    }

    async fn propose_decision(
        &mut self,
        leader: LeaderId,
        attempt: Attempt,
        wish: Wish,
        reply: oneshot::Sender<DecisionAnswer>,
    ) {
        self.shard.clock.observe(attempt.timestamp());
        if let Wish::Commit { after, .. } = &wish {
            self.shard.clock.observe(*after);
        }
        let timestamp = self.shard.clock.tick();
        let mut verdict = Verdict::abort(timestamp);
        let mut entry = EntryBuilder::new();
        if let Wish::Commit { write, parts, own_part, .. } = wish {
            let own = if own_part { self.take_only_entry(write) } else { Some(entry) };
            let prepared = own_part
                || parts.of(self.shard.id) == 0
                || self.attempts.prepared.contains_key(&attempt);
            let Some(own) = own.filter(|_| prepared) else {
                // What was decided here is lost, with the leadership it was decided under.
                let refused = DecisionAnswer::Refused(self.shard.leader_elsewhere());
                let _ = reply.send(refused);
                return;
            };
            entry = own;
            verdict = Verdict { commit: true, timestamp, parts };
        }
        let step = Step::Decision { attempt, commit: verdict.commit, parts: verdict.parts.clone() };
        self.remember_decision(attempt, &verdict);
        let happening = entry.len();
        let answers = vec![Answer::Decision { verdict, reply }];
        self.propose_step(leader, timestamp, entry, (&step, happening), answers).await;
    }

    /// The one entry, perhaps empty, that the shard holds of a statement, which is about to be proposed.
    fn take_only_entry(&mut self, write: WriteId) -> Option<EntryBuilder> {
        let Part { draft, entries, early } = self.parts.remove(&write)?;
        assert!(early.is_none(), "what is prepared is not stored with the decision");
        let mut entries = entries.into_entries().into_iter();
        let entry = entries.next().unwrap_or_default();
        assert!(entries.next().is_none(), "a part of several entries is prepared");
        self.speculation.accept(draft, self.speculation.sequence());
        self.shard.reservations.release(write);
        Some(entry)
    }

    fn remember_decision(&mut self, attempt: Attempt, verdict: &Verdict) {
        let decisions = &mut self.attempts.decisions;
        if decisions.len() >= DECISIONS_MAX {
            // Those that are applied are in the index.
            let applied = self.shard.machine.lock().entries;
            decisions.retain(|_, (sequence, _)| *sequence >= applied);
        }
        decisions.insert(attempt, (self.speculation.sequence(), verdict.clone()));
    }

    /// Ends what was prepared, and lets its aggregates go.
    pub(super) async fn conclude(
        &mut self,
        leader: LeaderId,
        (attempt, write): (Attempt, Option<WriteId>),
        verdict: Verdict,
        reply: oneshot::Sender<PartOutcome>,
    ) {
        self.shard.clock.observe(verdict.timestamp);
        let prepared = self.attempts.prepared.get(&attempt);
        if prepared.is_some_and(|part| !part.is_quiet()) {
            // Whoever gives up does not wait for what it has not heard of. What is on its way into the log is ended once it
            // is known to be there; to forget it now would be to leave it there for ever.
            self.attempts.abandoned.push(attempt);
            // The client may be gone.
            let _ = reply.send(PartOutcome { refused: true, ..PartOutcome::default() });
            return;
        }
        let part = self.attempts.prepared.remove(&attempt);
        let prepares = part.as_ref().map(|part| part.prepares.indexes()).unwrap_or_default();
        self.shard.orphans.lock().remove(&attempt);
        if let Some(write) = write {
            self.parts.remove(&write);
            self.shard.reservations.release(write);
        }
        let progress = PartProgress::new(prepares.len().max(1), reply);
        let Some(part) = part.filter(|_| !prepares.is_empty()) else {
            // It was only read here, or has ended before.
            let timestamp = self.shard.clock.tick();
            return self.confirm(timestamp, vec![Answer::Part(progress)]);
        };
        let PreparedPart { write, draft, events, .. } = part;
        if verdict.commit {
            assert_eq!(prepares.len(), events.len(), "what commits was prepared as a whole");
            let others = u64::try_from(prepares.len() - 1).expect("a usize fits 64 bits");
            self.speculation.accept(draft, self.speculation.sequence() + others);
        }
        let Verdict { commit, timestamp, parts } = verdict;
        for (prepared, events) in prepares.into_iter().zip(events) {
            let answer = Answer::Part(Arc::clone(&progress));
            self.wait_for_window().await;
            if self.pipeline.is_broken() {
                answer.refuse(self.shard.id);
                continue;
            }
            let step = Step::Outcome { attempt, commit, prepared, parts: parts.clone() };
            let happening = if commit { events } else { 0 };
            let entry = EntryBuilder::new();
            self.propose_step(leader, timestamp, entry, (&step, happening), vec![answer]).await;
        }
        self.shard.reservations.release(write);
    }

    /// Waits until not too many entries are in flight, or nothing more may be proposed.
    pub(super) async fn wait_for_window(&mut self) {
        while self.pipeline.in_flight() >= WINDOW_LONG_STATEMENT_ENTRIES
            && !self.pipeline.is_broken()
        {
            self.shard.wake.notified().await;
        }
    }

    /// Refuses to end an attempt here. What was prepared goes on being held, until it is known who leads.
    pub(super) fn refuse_to_conclude(
        &mut self,
        attempt: Attempt,
        write: Option<WriteId>,
        reply: oneshot::Sender<PartOutcome>,
    ) {
        let write = write.filter(|_| !self.attempts.knows(attempt));
        if let Some(write) = write {
            self.parts.remove(&write);
            self.shard.reservations.release(write);
        }
        // The client may be gone.
        let _ = reply.send(PartOutcome {
            refused: true,
            leader: self.shard.leader_elsewhere(),
            ..PartOutcome::default()
        });
    }
}

/// What this replica has applied of what was decided: true for ever, if there is anything.
pub(crate) fn stored_decision<D: Domain>(
    shard: &Shard<D>,
    attempt: Attempt,
) -> Result<Option<Verdict>, StoreError> {
    let Some(index) = shard.log.decision(shard.id, attempt)? else { return Ok(None) };
    let entry = Entry::decode(read_row(&*shard.log, shard.id, index)?.payload)?;
    match entry.step {
        Step::Decision { commit, parts, .. } => {
            Ok(Some(Verdict { commit, timestamp: entry.timestamp, parts }))
        }
        _ => Err(StoreError::Corrupted(format!(
            "row {} of shard {} should be a decision",
            index.0, shard.id
        ))),
    }
}
