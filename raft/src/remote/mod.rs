//! The leader of a shard as a statement sees it, on whichever machine it is.
//!
//! ```text
//! Node::execute, Write, Commit ──▶ Desk::Here  ──▶ the shard's queue and gate
//!                             └──▶ Desk::There ──▶ transport ──▶ service ──▶ the leader's queue and gate
//! ```
//!
//! A statement goes to the leader in one hop ([`message`]). It stays with the desk that it first came to: what a
//! leader holds of it is lost with the leadership, so that nothing is gained by asking the next one.
//!
//! # What is certain
//!
//! A message that was not sent was not heard: nothing was stored. One whose answer does not come may have been heard:
//! nobody knows, until the log is asked. The leader's side ([`service`]) ties what it holds of a statement to the
//! connection over which it was asked: when that ends, what was only decided is dropped, and what was prepared is
//! ended by [`crate::resolve`], as if its coordinator had died.
//!
//! This module must never know how messages travel.

pub(crate) mod message;
pub(crate) mod service;
pub(crate) mod travel;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use openraft::base::BoxFuture;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{LogIndex, ShardId};
use tokio::sync::oneshot;
use uuid::Uuid;

use self::message::{Ask, Errand, PartAsk};
use self::travel::{Travel, pack, unpack};
use crate::error::WriteError;
use crate::flight::{PartOutcome, ShardAnswer};
use crate::node::NodeInner;
use crate::request::{Outcome, Request};
use crate::reservation::{Reserved, WriteId};
use crate::shard::{DecisionAnswer, Job, Order, PartDecided, PartFailure, PartJob, Shard};
use crate::transport::Transport;
use crate::type_config::MachineId;

/// How long a statement waits for a shard to get a leader that can be reached, before it is told that there is none.
pub const LEADER_PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before looking again who leads.
pub(crate) const LEADER_RETRY: Duration = Duration::from_millis(5);

/// How much later than its deadline a statement's answer may come from another machine.
const ANSWER_GRACE: Duration = Duration::from_millis(500);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The question was not sent: it was not heard.
    #[error("the machine cannot be reached")]
    Unsent,
    /// It is longer than what can be sent.
    #[error("the question is too long")]
    TooLong,
    /// It was sent, and may have been heard.
    #[error("the connection was lost before an answer came")]
    Lost,
}

/// What answers the questions of other machines, and hears of their coming and going.
pub trait Service: Debug + Send + Sync + 'static {
    /// A machine has connected. What is done for it is undone when the session is dropped.
    fn open(&self) -> Box<dyn Session>;

    /// A machine that was connected now refuses connections: its process has ended.
    fn lost(&self, machine: MachineId);

    /// A machine has been connected to, for the first time or again.
    fn found(&self, machine: MachineId);
}

/// The questions of one connection.
pub trait Session: Send + Sync {
    /// Answers a question. Whatever it does at once it has done when this returns, so that the order of questions is
    /// that of their effects.
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes>;
}

/// Where a shard is led.
#[derive(Debug)]
pub(crate) enum Desk<D: Domain> {
    Here(Arc<Shard<D>>),
    There(Counter),
}

/// The way to a leader on another machine.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    shard: ShardId,
    machine: MachineId,
    transport: Arc<dyn Transport>,
}

impl<D: Domain> Clone for Desk<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Here(shard) => Self::Here(Arc::clone(shard)),
            Self::There(counter) => Self::There(counter.clone()),
        }
    }
}

impl<D: Domain> NodeInner<D> {
    /// Where a shard is led, as far as is known here; none if nobody leads it who can be reached.
    pub(crate) fn desk_now(&self, shard: ShardId) -> Option<Desk<D>> {
        let here = &self.shards[usize::from(shard.0)];
        if !self.config.networked || here.leads() {
            return Some(Desk::Here(Arc::clone(here)));
        }
        let machine = here.leader_elsewhere()?.id;
        let counter = Counter { shard, machine, transport: Arc::clone(&self.transport) };
        self.transport.reaches(machine).then_some(Desk::There(counter))
    }

    /// Where a shard is led; waits for a leader until `until`.
    pub(crate) async fn desk(
        &self,
        shard: ShardId,
        until: tokio::time::Instant,
    ) -> Result<Desk<D>, WriteError<D>> {
        loop {
            if self.removed.load(Ordering::Acquire) {
                return Err(WriteError::Removed);
            }
            if let Some(desk) = self.desk_now(shard) {
                return Ok(desk);
            }
            if tokio::time::Instant::now() >= until {
                return Err(WriteError::Unavailable { shard });
            }
            tokio::time::sleep(LEADER_RETRY).await;
        }
    }
}

impl Counter {
    /// Puts a question and gives its answer; an answer that cannot be read is as good as none.
    fn ask<D: Domain, A: Travel + Send>(
        &self,
        ask: &Ask<D>,
    ) -> impl Future<Output = Result<A, CallFailure>> + Send + use<D, A> {
        let (answer, machine) = (self.transport.call(self.machine, pack(ask)), self.machine);
        async move {
            unpack(&answer.await?).map_err(|error| {
                tracing::error!(%machine, %error, "an answer could not be read");
                CallFailure::Lost
            })
        }
    }

    /// Which machine it is.
    pub(crate) fn machine(&self) -> MachineId {
        self.machine
    }

    /// Puts a statement to the leader; the answer is none if it has to come in pieces.
    pub(crate) async fn execute<D: Domain>(
        &self,
        (requests, metadata, transaction): &(Vec<Request<D>>, Metadata, Uuid),
        deadline: Duration,
    ) -> Result<Option<Outcome>, WriteError<D>> {
        let statement = Ask::Execute {
            shard: self.shard,
            deadline,
            transaction: *transaction,
            metadata: metadata.clone(),
            requests: requests.clone(),
        };
        let asked = self.ask::<D, Result<Option<Outcome>, WriteError<D>>>(&statement);
        drop(statement);
        match tokio::time::timeout(deadline + ANSWER_GRACE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(CallFailure::Unsent)) => Err(WriteError::Unavailable { shard: self.shard }),
            Ok(Err(CallFailure::TooLong)) => Err(WriteError::TooLarge),
            Ok(Err(CallFailure::Lost)) | Err(_) => Err(WriteError::OutcomeUnknown),
        }
    }

    /// Up to where what was acknowledged in some shards reaches, which this machine leads, or what happens there up
    /// to an instant.
    pub(crate) async fn read_indexes<D: Domain>(
        &self,
        shards: Vec<ShardId>,
        instant: Option<Timestamp>,
    ) -> Result<Vec<LogIndex>, WriteError<D>> {
        let answer: Result<Vec<LogIndex>, WriteError<D>> = self
            .ask::<D, _>(&Ask::ReadIndex { shards, instant })
            .await
            .unwrap_or_else(|_| self.unavailable());
        answer
    }

    /// Has the leadership handed over.
    pub(crate) async fn transfer<D: Domain>(&self, to: MachineId) -> Result<(), WriteError<D>> {
        let ask = Ask::<D>::Transfer { shard: self.shard, to };
        self.ask::<D, Result<(), WriteError<D>>>(&ask).await.unwrap_or_else(|_| self.unavailable())
    }

    fn unavailable<D: Domain, T>(&self) -> Result<T, WriteError<D>> {
        Err(WriteError::Unavailable { shard: self.shard })
    }

    fn order<D: Domain>(&self, order: Order) {
        match order {
            Order::Store { write, reply } => {
                self.errand::<D, _>(Errand::Store { write }, reply, refused);
            }
            Order::Prepare { write, attempt, deciding, reply } => {
                self.errand::<D, _>(Errand::Prepare { write, attempt, deciding }, reply, refused);
            }
            Order::Decide { attempt, wish, reply } => {
                let refused = || DecisionAnswer::Refused(None);
                self.errand::<D, _>(Errand::Decide { attempt, wish }, reply, refused);
            }
            Order::Conclude { attempt, write, verdict, reply } => {
                self.errand::<D, _>(Errand::Conclude { attempt, write, verdict }, reply, refused);
            }
        }
    }

    /// Sends an errand; its reply is dropped if nobody knows how it ended.
    fn errand<D: Domain, A: Travel + Send + 'static>(
        &self,
        errand: Errand,
        reply: oneshot::Sender<A>,
        refused: impl FnOnce() -> A + Send + 'static,
    ) {
        let asked = self.ask::<D, Option<A>>(&Ask::Errand { shard: self.shard, errand });
        crate::runtime::spawn(async move {
            let answer = match asked.await {
                Ok(answer) => answer,
                Err(CallFailure::Unsent | CallFailure::TooLong) => Some(refused()),
                Err(CallFailure::Lost) => None,
            };
            if let Some(answer) = answer {
                // Whoever asked may have gone.
                let _ = reply.send(answer);
            }
        });
    }
}

fn refused() -> PartOutcome {
    PartOutcome { refused: true, ..PartOutcome::default() }
}

impl<D: Domain> Desk<D> {
    /// Has aggregates held for a statement; waits for them if it may.
    pub(crate) async fn reserve(
        &self,
        write: WriteId,
        ids: Vec<D::Id>,
        may_wait: bool,
    ) -> Result<(), WriteError<D>> {
        match self {
            Self::Here(shard) => reserve(shard, write, ids, may_wait).await,
            Self::There(counter) => {
                let ask = Ask::Reserve { shard: counter.shard, write, may_wait, ids };
                counter.ask::<D, _>(&ask).await.unwrap_or_else(|_| counter.unavailable())
            }
        }
    }

    /// Has a part decided.
    pub(crate) fn decide(
        &self,
        part: PartAsk<D>,
    ) -> BoxFuture<'static, Result<PartDecided, PartFailure<D>>> {
        match self {
            Self::Here(shard) => Box::pin(decide(Arc::clone(shard), part)),
            Self::There(counter) => {
                let shard = counter.shard;
                let asked = counter.ask::<D, _>(&Ask::Decide { shard, part });
                Box::pin(async move {
                    asked.await.unwrap_or_else(|failure| {
                        Err(PartFailure::Other(match failure {
                            CallFailure::TooLong => WriteError::TooLarge,
                            CallFailure::Unsent | CallFailure::Lost => {
                                WriteError::Unavailable { shard }
                            }
                        }))
                    })
                })
            }
        }
    }

    /// Gives an order; if nobody knows how it ended, its reply is dropped.
    pub(crate) fn order(&self, order: Order) {
        match self {
            Self::Here(shard) => shard.order(order),
            Self::There(counter) => counter.order::<D>(order),
        }
    }

    /// Has a statement's part dropped, and its aggregates.
    pub(crate) fn abort(&self, write: WriteId) {
        match self {
            Self::Here(shard) => shard.abort(write),
            Self::There(counter) => {
                let ask = Ask::<D>::Abort { shard: counter.shard, write };
                // If it is not heard, the connection has ended, and with it what was held.
                drop(counter.transport.call(counter.machine, pack(&ask)));
            }
        }
    }
}

/// Holds aggregates in a shard of this machine.
async fn reserve<D: Domain>(
    shard: &Shard<D>,
    write: WriteId,
    ids: Vec<D::Id>,
    may_wait: bool,
) -> Result<(), WriteError<D>> {
    wait_for(shard.id, shard.reserve(write, ids, may_wait)).await
}

/// Waits for aggregates that were asked for.
async fn wait_for<D: Domain>(shard: ShardId, reserved: Reserved) -> Result<(), WriteError<D>> {
    match reserved {
        Reserved::Granted => Ok(()),
        Reserved::Busy => Err(WriteError::Conflict),
        Reserved::Full => Err(WriteError::Overloaded),
        Reserved::Elsewhere => Err(WriteError::Unavailable { shard }),
        Reserved::Waiting(granted) => granted.await.map_err(|_| WriteError::Unavailable { shard }),
    }
}

/// Puts a part into the queue of a shard of this machine; what is given waits for the answer, but not where nobody is
/// known to lead.
fn decide<D: Domain>(
    shard: Arc<Shard<D>>,
    part: PartAsk<D>,
) -> impl Future<Output = Result<PartDecided, PartFailure<D>>> + Send + use<D> {
    let (reply, mut answer) = oneshot::channel();
    let PartAsk { write, attempt, deciding, continues, metadata, requests } = part;
    let job = PartJob { write, attempt, deciding, continues, requests, metadata, reply };
    shard.enqueue(Job::Part(job));
    async move {
        let unavailable = || Err(PartFailure::Other(WriteError::Unavailable { shard: shard.id }));
        loop {
            match tokio::time::timeout(LEADER_PATIENCE, &mut answer).await {
                Ok(answer) => return answer.unwrap_or_else(|_| unavailable()),
                Err(_) if shard.leads() || !shard.has_others() => {}
                // Whoever asked aborts it, should it be decided after all.
                Err(_) => return unavailable(),
            }
        }
    }
}

/// What another machine is told of a statement's end: nothing, if it has to come in pieces.
pub(crate) fn outcome_of<D: Domain>(
    answer: Result<ShardAnswer<D>, WriteError<D>>,
) -> Result<Option<Outcome>, WriteError<D>> {
    match answer? {
        ShardAnswer::Done(result) => result.map(Some),
        ShardAnswer::TooLong(..) => Ok(None),
    }
}
