//! Parts of statements over several shards, as one shard's leader task holds them: decided when they are asked for,
//! stored or prepared when the statement's gate says that all shards have decided, dropped when it is aborted or when
//! the leadership is lost under which they were decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{Attempt, EntryBuilder};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::ShardId;
use tokio::sync::oneshot;

use super::LeaderTask;
use crate::error::WriteError;
use crate::flight::{Answer, PartOutcome, PartProgress};
use crate::metrics::add;
use crate::request::{Decided, Request};
use crate::reservation::WriteId;
use crate::shard::{DecisionAnswer, Job, Order, PartDecided, PartFailure, PartJob};
use crate::speculation::{Draft, Entries, Undecided};
use crate::type_config::LeaderId;

/// What a shard holds of a statement.
#[derive(Debug)]
pub(super) struct Part<D: Domain> {
    pub(super) draft: Draft<D>,
    pub(super) entries: Entries,
    /// What of it is prepared already, since it is long.
    pub(super) early: Option<EarlyPrepares>,
}

/// Entries of a long statement that are prepared while the rest is being decided.
#[derive(Debug)]
pub(super) struct EarlyPrepares {
    pub(super) attempt: Attempt,
    pub(super) deciding: ShardId,
    pub(super) progress: Arc<PartProgress>,
    /// How many events each of them holds.
    pub(super) events: Vec<usize>,
}

/// The aggregates that a job asks for, without those that its statement has changed before: it goes on from there, and
/// what is stored of them is of no use to it.
pub(super) fn undrafted<'j, D: Domain>(
    parts: &'j BTreeMap<WriteId, Part<D>>,
    job: &'j Job<D>,
) -> impl Iterator<Item = &'j D::Id> {
    let draft = match job {
        Job::Part(part) => parts.get(&part.write).map(|part| &part.draft),
        Job::Statement(_) => None,
    };
    let ids = job.requests().iter().map(|request| &request.id);
    ids.filter(move |id| draft.is_none_or(|draft| !draft.has(id)))
}

impl<D: Domain> LeaderTask<D> {
    pub(super) async fn decide_part(
        &mut self,
        leader: LeaderId,
        timestamp: Timestamp,
        job: PartJob<D>,
    ) {
        let PartJob { write, attempt, deciding, continues, requests, metadata, reply } = job;
        if reply.is_closed() {
            return;
        }
        let mut part = match self.take_part(write, continues, &requests) {
            Ok(part) => part,
            Err(error) => {
                // Whoever asked may have gone.
                let _ = reply.send(Err(PartFailure::Other(error)));
                return;
            }
        };
        let decided =
            self.speculation.decide_all(&mut part.draft, &requests, &metadata, &mut part.entries);
        let answer = match decided {
            Ok(Decided { versions, emitted }) => {
                self.prepare_early(leader, timestamp, (attempt, deciding), &mut part).await;
                let early = part.early.as_ref().map_or(0, |early| early.events.len());
                let entries = u32::try_from(early + part.entries.count()).expect("they are long");
                let bytes = part.entries.bytes() + part.draft.bytes();
                Ok(PartDecided { versions, emitted, bytes, entries, prepared: early > 0 })
            }
            Err(Undecided::Refused(request, refusal)) => {
                add(&self.shard.metrics.refusals, 1);
                Err(PartFailure::Refused(request, refusal))
            }
            Err(Undecided::Mismatch(requests)) => {
                add(&self.shard.metrics.refusals, 1);
                Err(PartFailure::Mismatch(requests))
            }
            Err(undecided) => Err(PartFailure::Other(self.explain(undecided))),
        };
        // It is kept even if it was refused or nobody heard: whoever asked aborts it, and what is prepared of it must be
        // ended.
        self.parts.insert(write, part);
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    /// The part to go on from.
    fn take_part(
        &mut self,
        write: WriteId,
        continues: bool,
        requests: &[Request<D>],
    ) -> Result<Part<D>, WriteError<D>> {
        if self.attempts.seized()
            && !self.shard.reservations.holds_all(write, requests.iter().map(|it| &it.id))
        {
            return Err(WriteError::Conflict);
        }
        match (self.parts.remove(&write), continues) {
            (Some(part), true) => Ok(part),
            // Whoever has given up, or was given up, holds nothing any more.
            (None, false)
                if !self
                    .shard
                    .reservations
                    .holds_all(write, requests.iter().take(1).map(|request| &request.id)) =>
            {
                Err(WriteError::Conflict)
            }
            (None, false) => {
                Ok(Part { draft: Draft::default(), entries: Entries::default(), early: None })
            }
            (part, _) => {
                // What was decided before was dropped with the leadership it was decided under.
                self.parts.extend(part.map(|part| (write, part)));
                Err(WriteError::Unavailable { shard: self.shard.id })
            }
        }
    }

    /// Prepares what a long statement has filled, so that it does not have to be kept in memory.
    async fn prepare_early(
        &mut self,
        leader: LeaderId,
        timestamp: Timestamp,
        (attempt, deciding): (Attempt, ShardId),
        part: &mut Part<D>,
    ) {
        let full = part.entries.take_full();
        if full.is_empty() {
            return;
        }
        // What was decided before it in this batch comes before it in the log.
        self.propose(leader, timestamp).await;
        let early = part.early.get_or_insert_with(|| EarlyPrepares {
            attempt,
            deciding,
            progress: PartProgress::unfinished(),
            events: Vec::new(),
        });
        early.events.extend(full.iter().map(EntryBuilder::len));
        let progress = Arc::clone(&early.progress);
        self.propose_prepares(leader, (attempt, deciding), full, &progress).await;
    }

    /// Drops the parts of statements that were aborted, and lets their aggregates go; what was prepared of them is
    /// ended in the log first.
    pub(super) fn drop_parts(&mut self, aborted: Vec<WriteId>) {
        for write in aborted {
            match self.parts.remove(&write) {
                Some(Part { draft, early: Some(early), .. }) => {
                    self.attempts.end_later(write, draft, early);
                }
                // What is prepared is held until it is known what was decided.
                None if self.attempts.abandon(write) => {}
                _ => self.shard.reservations.release(write),
            }
        }
        self.orphan_abandoned();
    }

    /// Proposes what is one entry in all, or confirms what emitted nothing, and lets its aggregates go.
    pub(super) async fn store_part(
        &mut self,
        leader: LeaderId,
        write: WriteId,
        reply: oneshot::Sender<PartOutcome>,
    ) {
        let Some(Part { draft, entries, early }) = self.parts.remove(&write) else {
            return self.refuse_part(write, reply);
        };
        assert!(early.is_none(), "what is prepared is decided and concluded");
        let timestamp = self.shard.clock.tick();
        let mut entries = entries.into_entries().into_iter();
        let answer = Answer::Part(PartProgress::new(1, reply));
        match entries.next() {
            None => self.confirm(timestamp, vec![answer]),
            Some(entry) => {
                assert!(entries.next().is_none(), "several entries are prepared and decided");
                self.speculation.accept(draft, self.speculation.sequence());
                self.propose_entry(leader, timestamp, entry, vec![answer]).await;
            }
        }
        self.shard.reservations.release(write);
    }

    pub(super) fn refuse_part(&self, write: WriteId, reply: oneshot::Sender<PartOutcome>) {
        self.shard.reservations.release(write);
        let outcome = PartOutcome {
            refused: true,
            leader: self.shard.leader_elsewhere(),
            ..PartOutcome::default()
        };
        // The client may be gone; nothing is stored here.
        let _ = reply.send(outcome);
    }

    /// Does what statements over several shards have asked for. Whether there was anything.
    pub(super) async fn pass_gate(&mut self, leader: LeaderId) {
        loop {
            let (aborted, order) = {
                let mut gate = self.shard.gate.lock();
                if gate.aborted.is_empty() && gate.orders.is_empty() {
                    break;
                }
                (std::mem::take(&mut gate.aborted), gate.orders.pop_front())
            };
            self.drop_parts(aborted);
            if let Some(order) = order {
                self.follow_order(leader, order).await;
            }
            self.unpark();
        }
        if self.end_aborted(leader).await {
            self.unpark();
        }
        self.orphan_abandoned();
    }

    async fn follow_order(&mut self, leader: LeaderId, order: Order) {
        match order {
            Order::Store { write, reply } => self.store_part(leader, write, reply).await,
            Order::Prepare { write, attempt, deciding, reply } => {
                self.prepare(leader, (write, attempt), deciding, reply).await;
            }
            Order::Decide { attempt, wish, reply } => {
                self.decide_attempt(leader, attempt, wish, reply).await;
            }
            Order::Conclude { attempt, write, verdict, reply } => {
                self.conclude(leader, (attempt, write), verdict, reply).await;
            }
        }
    }

    /// Refuses what statements over several shards ask of a shard that is not led here.
    pub(super) fn refuse_gate(&mut self) {
        let (aborted, orders) = {
            let mut gate = self.shard.gate.lock();
            (std::mem::take(&mut gate.aborted), std::mem::take(&mut gate.orders))
        };
        for write in aborted {
            self.parts.remove(&write);
            self.shard.reservations.release(write);
        }
        for order in orders {
            match order {
                Order::Store { write, reply } | Order::Prepare { write, reply, .. } => {
                    self.parts.remove(&write);
                    self.refuse_part(write, reply);
                }
                Order::Decide { reply, .. } => {
                    // Whoever asked may have gone.
                    let _ = reply.send(DecisionAnswer::Refused(self.shard.leader_elsewhere()));
                }
                Order::Conclude { attempt, write, reply, .. } => {
                    self.refuse_to_conclude(attempt, write, reply);
                }
            }
        }
    }
}
