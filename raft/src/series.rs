//! Statements that a client has sent without waiting for the answer to the one before: a series.
//!
//! Statements for one aggregate may be under way together, because whatever happens they end as if each had waited for
//! the one before: its shard decides them in the order in which they were put, an entry of a shard is not committed
//! before one that was proposed earlier, and an entry that was refused makes those void that were decided on it. For
//! several aggregates, be it of one shard, that does not hold: one may have to wait for who holds it, and a crash may
//! leave a later statement without an earlier one.
//!
//! A machine among others puts statements again when leadership has moved, and might do so after a later one has
//! happened. There each waits for the one before.

use std::time::Duration;

use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Metadata;
use rotabase_engine::position::ShardId;

use crate::error::WriteError;
use crate::flight::ShardAnswer;
use crate::node::Node;
use crate::remote::Desk;
use crate::request::{Outcome, Request};

impl<D: Domain> Node<D> {
    /// Whether statements of a series can be under way together here.
    pub fn takes_series(&self) -> bool {
        self.inner.follower.is_none() && !self.inner.config.networked
    }

    /// Executes statements one after the other, as [`Node::execute`] does each, and gives their answers in order. All
    /// of their requests are for one aggregate.
    pub async fn execute_series(
        &self,
        series: Vec<(Vec<Request<D>>, Metadata)>,
        deadline: Duration,
    ) -> Vec<Result<Outcome, WriteError<D>>> {
        let mut answers = Vec::with_capacity(series.len());
        let Some(shard) = self.shard_of_series(&series) else {
            for (requests, metadata) in series {
                answers.push(self.execute(requests, metadata, deadline).await);
            }
            return answers;
        };
        let mut waiting = Vec::with_capacity(series.len());
        // Nothing is waited for in between, so that all of them are in the queue one behind the other.
        for (requests, mut metadata) in series {
            let transaction = self.transaction_of(&mut metadata);
            waiting.push(self.put(shard, requests, metadata, transaction));
        }
        let until = tokio::time::Instant::now() + deadline;
        for ticket in waiting {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            answers.push(match self.answered(shard, ticket, left).await {
                Ok(ShardAnswer::Done(answer)) => answer,
                // A request that does not fit an entry alone fits none.
                Ok(ShardAnswer::TooLong(..)) => Err(WriteError::TooLarge),
                Err(error) => Err(error),
            });
        }
        answers
    }

    /// The shard of a series whose statements can be under way together.
    fn shard_of_series(&self, series: &[(Vec<Request<D>>, Metadata)]) -> Option<ShardId> {
        let mut ids = series.iter().flat_map(|(requests, _)| requests).map(|request| &request.id);
        let first = ids.next()?;
        if !self.takes_series() || !ids.all(|id| id == first) {
            return None;
        }
        let shard = self.shard_of(first);
        matches!(self.inner.desk_now(shard), Some(Desk::Here(_))).then_some(shard)
    }
}
