//! Parts of statements over several shards, as one shard's leader task holds them: decided when they are asked for,
//! stored or prepared when the statement's gate says that all shards have decided, dropped when it is aborted or when
//! the leadership is lost under which they were decided.

use rotabase_engine::domain::Domain;
use tokio::sync::oneshot;

use super::LeaderTask;
use crate::error::WriteError;
use crate::flight::{Answer, PartOutcome, PartProgress};
use crate::metrics::add;
use crate::request::Decided;
use crate::reservation::WriteId;
use crate::shard::{DecisionAnswer, Order, PartDecided, PartFailure, PartJob};
use crate::speculation::{Draft, Entries, Undecided};
use crate::type_config::LeaderId;

/// What a shard holds of a statement.
#[derive(Debug)]
pub(super) struct Part<D: Domain> {
    pub(super) draft: Draft<D>,
    pub(super) entries: Entries,
}

impl<D: Domain> LeaderTask<D> {
    pub(super) fn decide_part(&mut self, job: PartJob<D>) {
        let PartJob { write, continues, requests, metadata, reply } = job;
        if reply.is_closed() {
            return;
        }
        if self.attempts.seized()
            && !self.shard.reservations.holds_all(write, requests.iter().map(|it| &it.id))
        {
            self.parts.remove(&write);
            // Whoever asked may have gone.
            let _ = reply.send(Err(PartFailure::Other(WriteError::Conflict)));
            return;
        }
        let part = self.parts.remove(&write);
        if part.is_some() != continues {
            // What was decided before was dropped with the leadership it was decided under.
            let _ = reply
                .send(Err(PartFailure::Other(WriteError::Unavailable { shard: self.shard.id })));
            return;
        }
        let mut part =
            part.unwrap_or_else(|| Part { draft: Draft::default(), entries: Entries::default() });
        let decided =
            self.speculation.decide_all(&mut part.draft, &requests, &metadata, &mut part.entries);
        let answer = match decided {
            Ok(Decided { versions, emitted }) => {
                let bytes = part.entries.bytes();
                let entries = u32::try_from(part.entries.count()).expect("entries are long");
                self.parts.insert(write, part);
                Ok(PartDecided { versions, emitted, bytes, entries })
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
        if reply.send(answer).is_err() {
            self.parts.remove(&write);
        }
    }

    /// Proposes what is one entry in all, or confirms what emitted nothing, and lets its aggregates go.
    pub(super) async fn store_part(
        &mut self,
        leader: LeaderId,
        write: WriteId,
        reply: oneshot::Sender<PartOutcome>,
    ) {
        let Some(Part { draft, entries }) = self.parts.remove(&write) else {
            return self.refuse_part(write, reply);
        };
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
                    return;
                }
                (std::mem::take(&mut gate.aborted), gate.orders.pop_front())
            };
            for write in aborted {
                self.parts.remove(&write);
            }
            if let Some(order) = order {
                self.follow_order(leader, order).await;
            }
            self.unpark();
        }
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
