//! Parts of statements over several shards, as one shard's leader task holds them: decided when they are asked for,
//! proposed when the statement's gate says that all shards have decided, dropped when it is aborted or when the
//! leadership is lost under which they were decided.

use std::sync::Arc;

use rotabase_engine::domain::Domain;
use tokio::sync::oneshot;

use super::{LeaderTask, WINDOW_LONG_STATEMENT_ENTRIES};
use crate::error::WriteError;
use crate::flight::{Answer, PartOutcome, PartProgress};
use crate::metrics::add;
use crate::request::Decided;
use crate::reservation::WriteId;
use crate::shard::{PartDecided, PartFailure, PartJob, Ready};
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
                self.parts.insert(write, part);
                Ok(PartDecided { versions, emitted, bytes })
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

    /// Proposes all that the shard holds of a statement, entry after entry, and lets its aggregates go.
    pub(super) async fn propose_part(&mut self, leader: LeaderId, ready: Ready) {
        let Ready { write, timestamp, reply } = ready;
        let Some(Part { draft, entries }) = self.parts.remove(&write) else {
            return self.refuse_part(write, reply);
        };
        let entries = entries.into_entries();
        let progress = PartProgress::new(entries.len().max(1), reply);
        if entries.is_empty() {
            self.confirm(timestamp, vec![Answer::Part(progress)]);
        } else {
            let last = self.speculation.sequence()
                + u64::try_from(entries.len() - 1).expect("a usize fits 64 bits");
            self.speculation.accept(draft, last);
            for entry in entries {
                while self.pipeline.in_flight() >= WINDOW_LONG_STATEMENT_ENTRIES
                    && !self.pipeline.is_broken()
                {
                    self.shard.wake.notified().await;
                }
                let answer = Answer::Part(Arc::clone(&progress));
                if self.pipeline.is_broken() {
                    answer.refuse(self.shard.id);
                } else {
                    self.propose_entry(leader, timestamp, entry, vec![answer]).await;
                }
            }
        }
        self.shard.reservations.release(write);
    }

    fn refuse_part(&self, write: WriteId, reply: oneshot::Sender<PartOutcome>) {
        self.shard.reservations.release(write);
        let outcome = PartOutcome {
            refused: true,
            leader: self.shard.leader_elsewhere(),
            ..PartOutcome::default()
        };
        // The client may be gone; nothing is stored here.
        let _ = reply.send(outcome);
    }

    /// Refuses what statements over several shards ask of a shard that is not led here.
    pub(super) fn refuse_gate(&mut self) {
        let (aborted, ready) = {
            let mut gate = self.shard.gate.lock();
            (std::mem::take(&mut gate.aborted), std::mem::take(&mut gate.ready))
        };
        for write in aborted {
            self.parts.remove(&write);
        }
        for Ready { write, reply, .. } in ready {
            self.parts.remove(&write);
            self.refuse_part(write, reply);
        }
    }
}
