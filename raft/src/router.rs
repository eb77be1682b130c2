//! The transport within one process: a node alone, or a cluster in a test. Links between machines can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, Timeout};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use parking_lot::RwLock;
use rotabase_engine::position::ShardId;

use crate::remote::{CallFailure, Service, Session};
use crate::transport::{AppendAnswers, CallError, Replica, Route, Transport, unreachable};
use crate::type_config::{MachineId, ReplicaId, TypeConfig};

/// The network that machines of one process share; each has an [`Attachment`] to it.
#[derive(Debug, Default)]
pub struct Router {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// Whether the newest attachment of a machine still works.
    alive: BTreeMap<MachineId, Arc<AtomicBool>>,
    replicas: BTreeMap<(ShardId, ReplicaId), (MachineId, Replica)>,
    /// What answers the questions to a machine.
    services: BTreeMap<MachineId, Arc<dyn Service>>,
    /// The connections over which questions are put, by who asks whom.
    sessions: BTreeMap<(MachineId, MachineId), Arc<dyn Session>>,
    /// Links that carry nothing, from the first machine to the second.
    cut: BTreeSet<(MachineId, MachineId)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("replicas", &self.replicas.len())
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}

impl Router {
    /// A network without machines.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The end of the network that `machine` gets.
    pub fn attach(self: &Arc<Self>, machine: MachineId) -> Arc<dyn Transport> {
        let alive = Arc::new(AtomicBool::new(true));
        self.state.write().alive.insert(machine, Arc::clone(&alive));
        Arc::new(Attachment { router: Arc::clone(self), machine, alive })
    }

    /// Cuts the link between two machines, both ways.
    pub fn cut(&self, one: MachineId, other: MachineId) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Loses everything that `from` sends to `to`.
    pub fn cut_one_way(&self, from: MachineId, to: MachineId) {
        let mut state = self.state.write();
        state.cut.insert((from, to));
        // Whoever asks does not hear, or is not heard: either way the connection ends.
        let ended = [state.sessions.remove(&(from, to)), state.sessions.remove(&(to, from))];
        drop(state);
        drop(ended);
    }

    /// Mends all links.
    pub fn heal(&self) {
        self.state.write().cut.clear();
    }

    /// Takes a machine off the network, as if it had crashed: what it still says is not heard. It can be attached
    /// anew.
    pub fn remove(&self, machine: MachineId) {
        let mut state = self.state.write();
        state.replicas.retain(|_, (host, _)| *host != machine);
        state.services.remove(&machine);
        let sessions = std::mem::take(&mut state.sessions);
        let (ended, others) =
            sessions.into_iter().partition(|((from, to), _)| *from == machine || *to == machine);
        state.sessions = others;
        if let Some(alive) = state.alive.remove(&machine) {
            alive.store(false, Ordering::Release);
        }
        drop(state);
        drop::<BTreeMap<_, _>>(ended);
    }

    fn is_cut(&self, from: MachineId, to: MachineId) -> bool {
        self.state.read().cut.contains(&(from, to))
    }
}

/// One machine's end of a [`Router`].
#[derive(Clone, Debug)]
struct Attachment {
    router: Arc<Router>,
    machine: MachineId,
    alive: Arc<AtomicBool>,
}

impl Attachment {
    /// The receiver, if it is hosted and the way to it is not cut.
    fn receiver(&self, route: &Route) -> Result<(MachineId, Replica), CallError> {
        let state = self.router.state.read();
        let (host, replica) = state
            .replicas
            .get(&(route.shard, route.to))
            .ok_or_else(|| unreachable("no such replica"))?;
        if state.cut.contains(&(self.machine, *host)) || !self.alive.load(Ordering::Acquire) {
            return Err(unreachable("the link is cut"));
        }
        Ok((*host, replica.clone()))
    }

    /// Whether nothing gets to a machine.
    fn is_cut_to(&self, host: MachineId) -> bool {
        self.router.is_cut(self.machine, host) || !self.alive.load(Ordering::Acquire)
    }

    /// Whether nothing comes back from it.
    fn is_cut_from(&self, host: MachineId) -> bool {
        self.router.is_cut(host, self.machine) || !self.alive.load(Ordering::Acquire)
    }

    /// Calls the receiver and brings its answer back, if both ways are open and it answers in time.
    fn call<A, F>(
        &self,
        route: Route,
        kind: RPCTypes,
        option: RPCOption,
        ask: impl FnOnce(Replica) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<A, CallError>>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, CallError>> + Send,
    {
        let here = self.clone();
        Box::pin(async move {
            let (host, replica) = here.receiver(&route)?;
            let ttl = option.soft_ttl();
            let answer = tokio::time::timeout(ttl, ask(replica)).await;
            let answer = answer.map_err(|_| {
                RPCError::Timeout(Timeout {
                    action: kind,
                    id: route.from,
                    target: route.to,
                    timeout: ttl,
                })
            })??;
            if here.is_cut_from(host) {
                return Err(unreachable("the link back is cut"));
            }
            Ok(answer)
        })
    }
}

impl Transport for Attachment {
    fn host(&self, shard: ShardId, replica: ReplicaId, raft: Replica) {
        self.router.state.write().replicas.insert((shard, replica), (self.machine, raft));
    }

    fn leave(&self, shard: ShardId, replica: ReplicaId) {
        if self.alive.load(Ordering::Acquire) {
            self.router.state.write().replicas.remove(&(shard, replica));
        }
    }

    fn serve(&self, service: Arc<dyn Service>) {
        self.router.state.write().services.insert(self.machine, service);
    }

    fn reaches(&self, machine: MachineId) -> bool {
        let there = self.router.state.read().services.contains_key(&machine);
        there && !self.is_cut_to(machine) && !self.is_cut_from(machine)
    }

    fn call(
        &self,
        machine: MachineId,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, CallFailure>> {
        if !self.reaches(machine) {
            return Box::pin(futures::future::ready(Err(CallFailure::Unsent)));
        }
        let session = {
            let mut state = self.router.state.write();
            let Some(service) = state.services.get(&machine).cloned() else {
                return Box::pin(futures::future::ready(Err(CallFailure::Unsent)));
            };
            let open = || Arc::from(service.open());
            Arc::clone(state.sessions.entry((self.machine, machine)).or_insert_with(open))
        };
        let (answer, here) = (session.call(request), self.clone());
        Box::pin(async move {
            // As over a network, what is asked is done whether or not somebody waits for the answer.
            let answer = crate::runtime::spawn(answer).await.map_err(|_| CallFailure::Lost)?;
            if here.is_cut_from(machine) { Err(CallFailure::Lost) } else { Ok(answer) }
        })
    }

    fn append(
        &self,
        route: Route,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<AppendEntriesResponse<TypeConfig>, CallError>> {
        self.call(route, RPCTypes::AppendEntries, option, |replica| async move {
            replica.append_entries(request).await.map_err(|error| unreachable(&error.to_string()))
        })
    }

    fn stream_append(
        &self,
        route: Route,
        requests: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
        _option: RPCOption,
    ) -> BoxFuture<'static, Result<AppendAnswers<'static>, CallError>> {
        let here = self.clone();
        Box::pin(async move {
            let (host, replica) = here.receiver(&route)?;
            let (way, back) = (here.clone(), here);
            let requests =
                requests.take_while(move |_| futures::future::ready(!way.is_cut_to(host)));
            let answers = replica.stream_append(requests).map(move |answer| {
                if back.is_cut_from(host) {
                    return Err(unreachable("the link back is cut"));
                }
                answer.map_err(|error| unreachable(&error.to_string()))
            });
            Ok::<AppendAnswers<'static>, CallError>(Box::pin(answers))
        })
    }

    fn vote(
        &self,
        route: Route,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<VoteResponse<TypeConfig>, CallError>> {
        self.call(route, RPCTypes::Vote, option, |replica| async move {
            replica.vote(request).await.map_err(|error| unreachable(&error.to_string()))
        })
    }

    fn pre_vote(
        &self,
        route: Route,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<VoteResponse<TypeConfig>, CallError>> {
        self.call(route, RPCTypes::Vote, option, |replica| async move {
            replica.pre_vote(request).await.map_err(|error| unreachable(&error.to_string()))
        })
    }

    fn transfer_leader(
        &self,
        route: Route,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<TransferLeaderResponse<TypeConfig>, CallError>> {
        self.call(route, RPCTypes::TransferLeader, option, |replica| async move {
            replica
                .handle_transfer_leader(request)
                .await
                .map_err(|error| unreachable(&error.to_string()))
        })
    }
}
