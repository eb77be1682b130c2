//! How replicas of a shard reach each other: openraft's network over a trait of ours.
//!
//! A [`Transport`] carries messages between replicas, named by (shard, from, to): a receiver that does not host
//! the replica answers "unreachable", because its id may not be taken over by another. [`crate::router::Router`]
//! is the one within a process.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend, Raft, RaftNetworkFactory, RaftNetworkV2, alias};
use rotabase_engine::position::ShardId;

use crate::remote::{CallFailure, Service};
use crate::replica_machine::ReplicaMachine;
use crate::type_config::{LogId, Machine, MachineId, ReplicaId, TypeConfig, Vote};

/// A replica's end of Raft.
pub type Replica = Raft<TypeConfig, ReplicaMachine>;

/// Whose message it is, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The shard of both replicas.
    pub shard: ShardId,
    /// The sender.
    pub from: ReplicaId,
    /// The receiver.
    pub to: ReplicaId,
    /// The machine that hosts the receiver.
    pub machine: Machine,
}

/// A failed call between replicas.
pub type CallError = RPCError<TypeConfig>;

/// The answers to a stream of append requests, in their order; there may be fewer than requests.
pub type AppendAnswers<'s> = BoxStream<'s, Result<StreamAppendResult<TypeConfig>, CallError>>;

/// Carries messages between replicas. Everything returns within [`RPCOption::soft_ttl`], so that a peer that
/// hangs holds nobody up.
pub trait Transport: Debug + Send + Sync + 'static {
    /// Makes a replica of this machine reachable.
    fn host(&self, shard: ShardId, replica: ReplicaId, raft: Replica);

    /// Ends that.
    fn leave(&self, shard: ShardId, replica: ReplicaId);

    /// Makes a service the one that answers the questions of other machines.
    fn serve(&self, service: Arc<dyn Service>);

    /// Whether a machine can be asked now, as far as is known.
    fn reaches(&self, machine: MachineId) -> bool;

    /// Puts a question to the service of another machine. Questions are heard in the order in which this was called.
    fn call(
        &self,
        machine: MachineId,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, CallFailure>>;

    /// Sends one append, or a heartbeat.
    fn append(
        &self,
        route: Route,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<AppendEntriesResponse<TypeConfig>, CallError>>;

    /// Sends appends as they come, without waiting for answers.
    fn stream_append(
        &self,
        route: Route,
        requests: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<AppendAnswers<'static>, CallError>>;

    /// Asks for a vote.
    fn vote(
        &self,
        route: Route,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<VoteResponse<TypeConfig>, CallError>>;

    /// Asks whether a vote would be given; nothing changes at the receiver.
    fn pre_vote(
        &self,
        route: Route,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<VoteResponse<TypeConfig>, CallError>>;

    /// Tells a follower to take over.
    fn transfer_leader(
        &self,
        route: Route,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<TransferLeaderResponse<TypeConfig>, CallError>>;
}

/// The receiver cannot be reached; the sender backs off.
pub(crate) fn unreachable(why: &str) -> CallError {
    RPCError::Unreachable(Unreachable::new(&AnyError::error(why)))
}

/// Makes openraft's clients for one replica.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaNetwork {
    pub(crate) shard: ShardId,
    pub(crate) from: ReplicaId,
    pub(crate) transport: Arc<dyn Transport>,
}

impl RaftNetworkFactory<TypeConfig> for ReplicaNetwork {
    type Network = Peer;

    async fn new_client(&mut self, target: ReplicaId, node: &Machine) -> Peer {
        let route = Route { shard: self.shard, from: self.from, to: target, machine: node.clone() };
        Peer { route, transport: Arc::clone(&self.transport), heartbeats: false }
    }

    async fn new_heartbeat_client(&mut self, target: ReplicaId, node: &Machine) -> Peer {
        Peer { heartbeats: true, ..self.new_client(target, node).await }
    }
}

/// One replica as another sees it.
#[derive(Debug)]
pub(crate) struct Peer {
    route: Route,
    transport: Arc<dyn Transport>,
    /// Whether it is for heartbeats, each of which openraft sends as a stream of its own.
    heartbeats: bool,
}

/// The answer to a heartbeat as one of a stream.
fn heartbeat_answer(
    response: AppendEntriesResponse<TypeConfig>,
    matching: Option<LogId>,
) -> Result<StreamAppendResult<TypeConfig>, CallError> {
    Ok(match response {
        AppendEntriesResponse::Success => Ok(matching),
        AppendEntriesResponse::PartialSuccess(matching) => Ok(matching),
        AppendEntriesResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote)),
        AppendEntriesResponse::Conflict => {
            let matching = matching.ok_or_else(|| unreachable("nothing conflicts with nothing"))?;
            Err(StreamAppendError::Conflict(matching))
        }
    })
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, CallError> {
        self.transport.append(self.route.clone(), rpc, option).await
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<AppendAnswers<'s>, CallError>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        if self.heartbeats {
            let (transport, route) = (Arc::clone(&self.transport), self.route.clone());
            let answers = input.then(move |request| {
                let matching = request.prev_log_id;
                let answer = transport.append(route.clone(), request, option.clone());
                async move { heartbeat_answer(answer.await?, matching) }
            });
            let answers: AppendAnswers<'s> = Box::pin(answers);
            return Box::pin(std::future::ready(Ok(answers)));
        }
        let (transport, route) = (Arc::clone(&self.transport), self.route.clone());
        Box::pin(async move {
            // openraft waits between two attempts where it makes the next request, and nowhere else: whoever fails
            // without having asked for one is called again at once, without end.
            let mut input = input;
            let Some(first) = input.next().await else {
                let answers: AppendAnswers<'s> = Box::pin(futures::stream::empty());
                return Ok(answers);
            };
            let requests = futures::stream::once(std::future::ready(first)).chain(input);
            let answers: AppendAnswers<'s> =
                transport.stream_append(route, Box::pin(requests), option).await?;
            Ok(answers)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, CallError> {
        self.transport.vote(self.route.clone(), rpc, option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, CallError> {
        self.transport.pre_vote(self.route.clone(), rpc, option).await
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: alias::SnapshotOf<TypeConfig, ()>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(Unreachable::new(&AnyError::error(
            "a shard has no snapshots: its log is never purged",
        ))))
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, CallError> {
        self.transport.transfer_leader(self.route.clone(), req, option).await
    }
}
