//! Commits a statement that was decided everywhere.
//!
//! ```text
//! one entry in one shard      store
//! several                     prepare everywhere ──▶ decide in one shard ──▶ conclude everywhere
//! ```
//!
//! The deciding shard is one that has only one entry of it, if there is such a shard: that entry is then stored with
//! the decision. A long statement has prepared entries before all of it was decided, and these name the shard that
//! decides. Shards in which nothing was emitted take part, too: what was decided there must hold until the
//! decision, so their aggregates are held and their leadership is confirmed before it.
//!
//! Once it has begun, a commit goes on whether or not somebody waits for it. What it cannot end, because a shard has
//! lost its leader, [`crate::resolve`] does. Until the decision is logged, every failure means that nothing was
//! stored; a decision of which nobody knows is asked for until somebody does.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{Attempt, Parts};
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::error::WriteError;
use crate::flight::{PartOutcome, unstored};
use crate::metrics::add;
use crate::node::Node;
use crate::remote::Desk;
use crate::request::Outcome;
use crate::reservation::WriteId;
use crate::shard::{DecisionAnswer, Order, Verdict, Wish};

/// How long to wait before a shard that has lost its leader is asked again.
const RETRY: Duration = Duration::from_millis(20);

/// A statement that is being committed.
#[derive(Debug)]
pub(crate) struct Commit<D: Domain> {
    pub(crate) node: Node<D>,
    pub(crate) write: WriteId,
    pub(crate) transaction: Uuid,
    /// Where its shards are led, or were when they decided it.
    pub(crate) desks: BTreeMap<ShardId, Desk<D>>,
    /// How many entries each shard holds of it.
    pub(crate) entries: BTreeMap<ShardId, u32>,
    pub(crate) attempt: Attempt,
    /// The shard that decides, if some entries are prepared already.
    pub(crate) deciding: Option<ShardId>,
}

type Part = Result<PartOutcome, oneshot::error::RecvError>;

impl<D: Domain> Commit<D> {
    /// Commits; returns when it is known how that ended.
    pub(crate) async fn run(self) -> Result<Outcome, WriteError<D>> {
        let parts: Vec<(ShardId, u32)> =
            self.entries.iter().filter(|(_, n)| **n > 0).map(|(shard, n)| (*shard, *n)).collect();
        let result = match parts.as_slice() {
            [] => self.store_in(&self.shards()).await,
            [(shard, 1)] if self.deciding.is_none() => match self.entries.len() {
                1 => self.store_in(&[*shard]).await,
                _ => self.store_beside_reads(*shard).await,
            },
            _ => self.commit_parts(Parts(parts)).await,
        };
        self.node.inner.open_writes.fetch_sub(1, Ordering::AcqRel);
        result
    }

    fn desk(&self, shard: ShardId) -> &Desk<D> {
        self.desks.get(&shard).expect("a shard of the statement")
    }

    fn shards(&self) -> Vec<ShardId> {
        self.entries.keys().copied().collect()
    }

    /// Gives an order to several shards and waits for all answers.
    async fn order(
        &self,
        shards: &[ShardId],
        order: impl Fn(oneshot::Sender<PartOutcome>) -> Order,
    ) -> Vec<Part> {
        let mut replies = Vec::with_capacity(shards.len());
        for shard in shards {
            let (reply, answer) = oneshot::channel();
            self.desk(*shard).order(order(reply));
            replies.push(answer);
        }
        join_all(replies).await
    }

    /// Stores what is one entry in all, or confirms what emitted nothing.
    async fn store_in(&self, shards: &[ShardId]) -> Result<Outcome, WriteError<D>> {
        let parts = self.order(shards, |reply| Order::Store { write: self.write, reply }).await;
        let mut outcome = Outcome { transaction: self.transaction, ..Outcome::default() };
        for (shard, part) in shards.iter().zip(parts) {
            let Ok(part) = part else { return Err(WriteError::OutcomeUnknown) };
            if part.unknown {
                return Err(WriteError::OutcomeUnknown);
            }
            if part.refused {
                return Err(unstored(*shard, part.leader));
            }
            outcome.positions.advance(*shard, part.position);
            outcome.timestamp = outcome.timestamp.max(part.timestamp);
        }
        Ok(outcome)
    }

    /// Stores the one entry of a statement that rests on what it read in other shards.
    async fn store_beside_reads(&self, shard: ShardId) -> Result<Outcome, WriteError<D>> {
        let readers: Vec<ShardId> = self.shards().into_iter().filter(|it| *it != shard).collect();
        let attempt = self.attempt;
        let prepared = self.prepare(&readers, attempt, shard).await;
        let result = match prepared {
            Ok(_) => self.store_in(&[shard]).await,
            Err(error) => {
                self.desk(shard).abort(self.write);
                Err(error)
            }
        };
        let verdict = Verdict::abort(self.node.inner.clock.tick());
        self.conclude_in(&readers, attempt, &verdict).await;
        result
    }

    async fn commit_parts(&self, parts: Parts) -> Result<Outcome, WriteError<D>> {
        let attempt = self.attempt;
        let alone = || parts.0.iter().find(|(_, entries)| *entries == 1);
        let (deciding, own_part) = match (self.deciding, alone()) {
            (Some(deciding), _) => (deciding, false),
            (None, Some((alone, _))) => (*alone, true),
            (None, None) => (parts.0[0].0, false),
        };
        let others: Vec<ShardId> =
            self.shards().into_iter().filter(|shard| !own_part || *shard != deciding).collect();
        add(&self.node.inner.metrics.transactions, 1);
        let prepared = match self.prepare(&others, attempt, deciding).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.give_up(&others, attempt, deciding, error).await),
        };
        // The clock has observed when all of it was prepared; the deciding machine's may not have.
        let after = self.node.inner.clock.tick();
        let wish = Wish::Commit { write: self.write, after, parts, own_part };
        let decided = self.decide(attempt, deciding, wish).await?;
        let (verdict, position) = match decided {
            Ok(decided) => decided,
            Err(error) => return Err(self.give_up(&others, attempt, deciding, error).await),
        };
        if !verdict.commit {
            let error = WriteError::Unavailable { shard: deciding };
            return Err(self.give_up(&others, attempt, deciding, error).await);
        }
        let mut positions = Positions::default();
        positions.advance(deciding, position);
        let concluded = self.conclude_in(&others, attempt, &verdict).await;
        for (shard, part) in others.iter().zip(concluded) {
            let position = match part {
                Ok(part) if !part.refused && !part.unknown => part.position,
                _ => self.wait_until_concluded(*shard, attempt, prepared.get(*shard)).await?,
            };
            positions.advance(*shard, position);
        }
        let (timestamp, transaction) = (verdict.timestamp, self.transaction);
        Ok(Outcome { positions, timestamp, transaction, ..Outcome::default() })
    }

    /// Prepares in all of these shards, and says up to where.
    async fn prepare(
        &self,
        shards: &[ShardId],
        attempt: Attempt,
        deciding: ShardId,
    ) -> Result<Positions, WriteError<D>> {
        let write = self.write;
        let mut positions = Positions::default();
        let parts =
            self.order(shards, |reply| Order::Prepare { write, attempt, deciding, reply }).await;
        for (shard, part) in shards.iter().zip(parts) {
            match part {
                _ if planted::has(Bug::DecisionBeforePrepares) => {}
                Ok(part) if part.refused => return Err(unstored(*shard, part.leader)),
                Ok(part) if !part.unknown => {
                    self.node.inner.clock.observe(part.timestamp);
                    positions.advance(*shard, part.position);
                }
                // Nothing is decided, so nothing happens, whatever was prepared.
                Ok(_) | Err(_) => return Err(WriteError::Unavailable { shard: *shard }),
            }
        }
        Ok(positions)
    }

    /// Asks for the decision until it is known. The outer error is for one that nobody will tell any more.
    async fn decide(
        &self,
        attempt: Attempt,
        deciding: ShardId,
        mut wish: Wish,
    ) -> Result<Result<(Verdict, Position), WriteError<D>>, WriteError<D>> {
        let mut certain = true;
        let mut desk = Some(self.desk(deciding).clone());
        loop {
            let (reply, answer) = oneshot::channel();
            if let Some(desk) = &desk {
                desk.order(Order::Decide { attempt, wish, reply });
            } else {
                drop(reply);
            }
            match answer.await {
                Ok(DecisionAnswer::Decided { verdict, position }) => {
                    return Ok(Ok((verdict, position)));
                }
                Ok(DecisionAnswer::Refused(leader)) if certain => {
                    return Ok(Err(unstored(deciding, leader)));
                }
                Ok(DecisionAnswer::Refused(_) | DecisionAnswer::Unknown) | Err(_) => {}
            }
            // The wish may have come true: from here on only the log knows.
            certain = false;
            wish = Wish::Abort;
            if self.node.inner.closed.load(Ordering::Acquire) {
                return Err(WriteError::OutcomeUnknown);
            }
            tokio::time::sleep(RETRY).await;
            desk = self.node.inner.desk_now(deciding);
        }
    }

    /// Drops everything; nothing was stored.
    async fn give_up(
        &self,
        others: &[ShardId],
        attempt: Attempt,
        deciding: ShardId,
        error: WriteError<D>,
    ) -> WriteError<D> {
        add(&self.node.inner.metrics.transactions_given_up, 1);
        if !others.contains(&deciding) {
            self.desk(deciding).abort(self.write);
        }
        let verdict = Verdict::abort(self.node.inner.clock.tick());
        self.conclude_in(others, attempt, &verdict).await;
        error
    }

    async fn conclude_in(
        &self,
        shards: &[ShardId],
        attempt: Attempt,
        verdict: &Verdict,
    ) -> Vec<Part> {
        let write = Some(self.write);
        let told =
            if planted::has(Bug::DroppedOutcome) { shards.len().min(1) } else { shards.len() };
        self.order(&shards[..told], |reply| Order::Conclude {
            attempt,
            write,
            verdict: verdict.clone(),
            reply,
        })
        .await
    }

    /// Waits until somebody else has ended what was prepared in a shard, up to `prepared`, as seen by this node's
    /// replica of it.
    async fn wait_until_concluded(
        &self,
        shard: ShardId,
        attempt: Attempt,
        prepared: Position,
    ) -> Result<Position, WriteError<D>> {
        let shard = self.node.inner.shard(shard);
        loop {
            {
                let machine = shard.machine.lock();
                let applied = LogIndex(machine.log_id.map_or(0, |log_id| log_id.index));
                // This replica may be behind: it has to know of the prepare before it can miss it.
                if applied >= prepared.index() && !machine.prepared.contains_key(&attempt) {
                    return Ok(Position::end_of(applied));
                }
            }
            if self.node.inner.closed.load(Ordering::Acquire) {
                return Err(WriteError::OutcomeUnknown);
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
