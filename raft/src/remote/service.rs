//! The leader's side: other machines' questions to the shards of this one.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures::FutureExt as _;
use openraft::base::BoxFuture;
use parking_lot::Mutex;
use rotabase_engine::domain::Domain;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, ShardId};
use tokio::sync::oneshot;

use super::message::{Ask, Errand};
use super::travel::{pack, unpack};
use super::{Service, Session, decide, outcome_of, wait_for};
use crate::error::WriteError;
use crate::node::{Node, NodeInner};
use crate::reservation::WriteId;
use crate::reunion::reach_again;
use crate::shard::{Order, PartDecided, PartFailure, Wish};
use crate::succession::succeed;
use crate::type_config::MachineId;

/// The questions to one node.
#[derive(Debug)]
pub(crate) struct NodeService<D: Domain> {
    pub(crate) node: Weak<NodeInner<D>>,
}

impl<D: Domain> Service for NodeService<D> {
    fn open(&self) -> Box<dyn Session> {
        Box::new(NodeSession { node: Weak::clone(&self.node), touched: Mutex::default() })
    }

    fn lost(&self, machine: MachineId) {
        if let Some(node) = self.node.upgrade() {
            crate::runtime::spawn(succeed(node, machine));
        }
    }

    fn found(&self, machine: MachineId) {
        if let Some(node) = self.node.upgrade() {
            crate::runtime::spawn(reach_again(node, machine));
        }
    }
}

/// The questions of one connection, and what is held for them.
#[derive(Debug)]
struct NodeSession<D: Domain> {
    node: Weak<NodeInner<D>>,
    /// The statements that hold something here.
    touched: Mutex<BTreeSet<(WriteId, ShardId)>>,
}

impl<D: Domain> Drop for NodeSession<D> {
    fn drop(&mut self) {
        let Some(node) = self.node.upgrade().filter(|_| !planted::has(Bug::SessionKept)) else {
            return;
        };
        for (write, shard) in std::mem::take(&mut *self.touched.lock()) {
            node.shard(shard).abort(write);
        }
    }
}

impl<D: Domain> Session for NodeSession<D> {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let nothing = || futures::future::ready(Bytes::new()).boxed();
        let Some(node) = self.node.upgrade() else { return nothing() };
        match unpack::<Ask<D>>(&request) {
            Ok(ask) if ask.shards().iter().all(|shard| shard.0 < node.log.shards()) => {
                self.answer(&Node { inner: node }, ask)
            }
            Ok(_) => nothing(),
            Err(error) => {
                tracing::warn!(%error, "a question of another machine could not be read");
                nothing()
            }
        }
    }
}

impl<D: Domain> Ask<D> {
    /// The shards that are asked.
    fn shards(&self) -> Vec<ShardId> {
        match self {
            Self::Execute { shard, .. }
            | Self::Reserve { shard, .. }
            | Self::Decide { shard, .. }
            | Self::Errand { shard, .. }
            | Self::Abort { shard, .. }
            | Self::Transfer { shard, .. } => vec![*shard],
            Self::ReadIndex { shards, .. } => shards.clone(),
        }
    }
}

impl<D: Domain> NodeSession<D> {
    fn answer(&self, node: &Node<D>, ask: Ask<D>) -> BoxFuture<'static, Bytes> {
        match ask {
            Ask::Execute { shard, deadline, transaction, metadata, requests } => {
                let node = node.clone();
                async move {
                    let answer =
                        node.execute_in(shard, requests, metadata, transaction, deadline).await;
                    pack(&outcome_of(answer))
                }
                .boxed()
            }
            Ask::Reserve { shard, write, may_wait, ids } => {
                self.touched.lock().insert((write, shard));
                let reserved = node.inner.shard(shard).reserve(write, ids, may_wait);
                async move {
                    let answer: Result<(), WriteError<D>> = wait_for(shard, reserved).await;
                    pack(&answer)
                }
                .boxed()
            }
            Ask::Decide { shard, part } => {
                let led_here = Arc::clone(&node.inner.shards[usize::from(shard.0)]);
                let decided = decide(led_here, part);
                async move {
                    let answer: Result<PartDecided, PartFailure<D>> = decided.await;
                    pack(&answer)
                }
                .boxed()
            }
            Ask::Errand { shard, errand } => self.run(node, shard, errand),
            Ask::Abort { shard, write } => {
                self.touched.lock().remove(&(write, shard));
                node.inner.shard(shard).abort(write);
                futures::future::ready(Bytes::new()).boxed()
            }
            Ask::ReadIndex { shards, instant } => {
                let node = node.clone();
                async move {
                    let answer: Result<Vec<LogIndex>, WriteError<D>> =
                        node.read_indexes_here(&shards, instant).await;
                    pack(&answer)
                }
                .boxed()
            }
            Ask::Transfer { shard, to } => {
                let node = node.clone();
                async move {
                    let answer: Result<(), WriteError<D>> = node.transfer_here(shard, to).await;
                    pack(&answer)
                }
                .boxed()
            }
        }
    }

    /// Gives the order that another machine gives.
    fn run(&self, node: &Node<D>, shard: ShardId, errand: Errand) -> BoxFuture<'static, Bytes> {
        self.let_go(shard, &errand);
        let shard = node.inner.shard(shard);
        match errand {
            Errand::Decide { attempt, wish } => {
                let (reply, answer) = oneshot::channel();
                shard.order(Order::Decide { attempt, wish, reply });
                answer.map(|answer| pack(&answer.ok())).boxed()
            }
            errand => {
                let (reply, answer) = oneshot::channel();
                shard.order(match errand {
                    Errand::Store { write } => Order::Store { write, reply },
                    Errand::Prepare { write, attempt, deciding } => {
                        Order::Prepare { write, attempt, deciding, reply }
                    }
                    Errand::Conclude { attempt, write, verdict } => {
                        Order::Conclude { attempt, write, verdict, reply }
                    }
                    Errand::Decide { .. } => unreachable!("answered above"),
                });
                answer.map(|answer| pack(&answer.ok())).boxed()
            }
        }
    }

    /// Forgets statements that end with an errand.
    fn let_go(&self, shard: ShardId, errand: &Errand) {
        let ended = match errand {
            Errand::Store { write } | Errand::Conclude { write: Some(write), .. } => Some(*write),
            Errand::Decide { wish: Wish::Commit { write, own_part: true, .. }, .. } => Some(*write),
            Errand::Prepare { .. } | Errand::Decide { .. } | Errand::Conclude { .. } => None,
        };
        if let Some(write) = ended {
            self.touched.lock().remove(&(write, shard));
        }
    }
}
