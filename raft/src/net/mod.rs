//! The transport between machines: messages of all shards over few connections.
//!
//! ```text
//! replica, node ──▶ Space ──▶ Link ──▶ Outbox ──▶ one frame ══ TCP, TLS ══▶ host ──▶ replica, service
//! ```
//!
//! Each machine dials each other one, once for what must not wait (heartbeats, votes) and once for data; answers come
//! back on the connection of their question. A writer takes all that has gathered as one frame ([`outbox`]), so that
//! the heartbeats of many shards cost few packets. Several nodes, each with shards of its own, can share a network:
//! each has a [`Space`].
//!
//! # What holds
//!
//! - Peers are never trusted: lengths are limited, frames have checksums ([`frame`]), what cannot be read ends the
//!   connection and nothing panics. A machine of another cluster, or that is no member, is refused
//!   ([`handshake`]).
//! - Every queue is bounded, and every call returns when its time is up or the connection is lost.
//! - What is asked over a connection is heard in order, once at most, or not at all.
//!
//! It must never know what statements or entries mean.

pub mod frame;
pub mod handshake;
pub mod host;
mod link;
mod message;
pub mod outbox;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, Timeout};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use parking_lot::{Mutex, RwLock};
use rotabase_engine::position::ShardId;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::frame::kind;
use self::handshake::{HANDSHAKE_TIMEOUT, Hello, Lane, Turned};
use self::link::{Link, Live, STREAM_WINDOW, Streaming};
use self::message::{Address, Streamed, Transferred};
use crate::metrics::add;
use crate::remote::travel::{Travel, unpack};
use crate::remote::{CallFailure, Service};
use crate::transport::{AppendAnswers, CallError, Replica, Route, Transport, unreachable};
use crate::type_config::{MachineId, ReplicaId, TypeConfig};

/// The members of a cluster, and where they are reached.
pub type Members = BTreeMap<MachineId, String>;

/// A connection, encrypted or not.
pub type Connection = Box<dyn Duplex>;

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Makes connections secure, where certificates are configured.
pub trait Security: Debug + Send + Sync + 'static {
    /// Secures a connection that was made to `address`.
    fn client(
        &self,
        socket: TcpStream,
        address: &str,
    ) -> BoxFuture<'static, io::Result<Connection>>;

    /// Secures a connection that was taken.
    fn server(&self, socket: TcpStream) -> BoxFuture<'static, io::Result<Connection>>;
}

/// No encryption: for machines that trust the network between them.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Security for Plain {
    fn client(&self, socket: TcpStream, _: &str) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move { Ok::<Connection, _>(Box::new(socket)) })
    }

    fn server(&self, socket: TcpStream) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move { Ok::<Connection, _>(Box::new(socket)) })
    }
}

/// What answers those who are no members: machines that want to be, and administrators.
pub trait Guests: Debug + Send + Sync + 'static {
    /// Answers a question.
    fn answer(&self, question: Bytes) -> BoxFuture<'static, Bytes>;
}

/// Who a machine is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its cluster.
    pub cluster: Uuid,
    /// The shards of the cluster's database.
    pub shards: u16,
    /// The machine.
    pub machine: MachineId,
}

/// What a machine has sent to others so far, answers included.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Messages: heartbeats, votes, appends, questions, answers.
    pub messages: AtomicU64,
    /// Frames, in which messages travel together.
    pub frames: AtomicU64,
    /// The bytes of these.
    pub bytes: AtomicU64,
}

impl Traffic {
    fn count(&self, messages: usize, bytes: usize) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        add(&self.messages, messages);
        add(&self.bytes, bytes);
    }
}

/// This machine's end of the network. Dropping it does not stop it; [`Network::stop`] does.
#[derive(Clone, Debug)]
pub struct Network {
    shared: Arc<Shared>,
    accepting: Arc<Mutex<Option<JoinHandle<()>>>>,
}

struct Shared {
    cluster: Uuid,
    shards: u16,
    machine: MachineId,
    security: Arc<dyn Security>,
    members: RwLock<Members>,
    replicas: RwLock<BTreeMap<(u8, ShardId, ReplicaId), Replica>>,
    services: RwLock<BTreeMap<u8, Arc<dyn Service>>>,
    guests: OnceLock<Arc<dyn Guests>>,
    links: Mutex<BTreeMap<(MachineId, Lane), Arc<Link>>>,
    traffic: Arc<Traffic>,
    /// The last number that a machine of the cluster was given, as far as is known here.
    last: AtomicU32,
    /// Whether another member has said that this machine was one.
    turned_away: watch::Sender<bool>,
    stop: watch::Sender<bool>,
}

impl Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("machine", &self.machine)
            .field("members", &*self.members.read())
            .finish_non_exhaustive()
    }
}

impl Network {
    /// Begins to listen.
    pub fn start(identity: &Identity, listener: TcpListener, security: Arc<dyn Security>) -> Self {
        let shared = Arc::new(Shared {
            cluster: identity.cluster,
            shards: identity.shards,
            machine: identity.machine,
            security,
            members: RwLock::default(),
            replicas: RwLock::default(),
            services: RwLock::default(),
            guests: OnceLock::new(),
            links: Mutex::default(),
            traffic: Arc::default(),
            last: AtomicU32::new(0),
            turned_away: watch::Sender::new(false),
            stop: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(host::accept(Arc::clone(&shared), listener));
        Self { shared, accepting: Arc::new(Mutex::new(Some(accepting))) }
    }

    /// The end of one node; each node of a machine has a number of its own.
    pub fn space(&self, number: u8) -> Arc<dyn Transport> {
        Arc::new(Space { number, shared: Arc::clone(&self.shared) })
    }

    /// Says who answers those who are no members. Counts once.
    pub fn welcome_guests(&self, guests: Arc<dyn Guests>) {
        let _ = self.shared.guests.set(guests);
    }

    /// Says who belongs to the cluster: others are not talked to.
    pub fn set_members(&self, members: Members) {
        let here = self.shared.machine;
        let others: Vec<MachineId> = members.keys().filter(|it| **it != here).copied().collect();
        *self.shared.members.write() = members;
        self.shared.links.lock().retain(|(machine, _), link| {
            let stays = others.contains(machine);
            if !stays {
                link.end();
            }
            stays
        });
        for machine in others {
            for lane in [Lane::Control, Lane::Data] {
                self.shared.link(machine, lane);
            }
        }
    }

    /// Says which number a machine was given last: who has none higher and is no member was one. Until that is this
    /// machine's own, or a higher one, it listens to all machines of the cluster.
    pub fn admitted_up_to(&self, machine: MachineId) {
        self.shared.last.fetch_max(machine.0, Ordering::AcqRel);
    }

    /// Tells when another member says that this machine is none any more.
    pub fn turned_away(&self) -> watch::Receiver<bool> {
        self.shared.turned_away.subscribe()
    }

    /// The cluster, and the shards of its database.
    pub fn identity(&self) -> (Uuid, u16) {
        (self.shared.cluster, self.shared.shards)
    }

    /// Whether a machine can be asked now.
    pub fn reaches(&self, machine: MachineId) -> bool {
        self.shared.live(machine, Lane::Data).is_some()
    }

    /// What was sent so far.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.shared.traffic)
    }

    /// Ends all connections.
    pub async fn stop(&self) {
        self.shared.stop.send_replace(true);
        let accepting = self.accepting.lock().take();
        if let Some(accepting) = accepting {
            // It has ended, however.
            let _ = accepting.await;
        }
    }
}

/// Puts a question to a machine as a guest of its cluster.
pub async fn ask_as_guest(
    address: &str,
    security: &dyn Security,
    question: &[u8],
    deadline: Duration,
) -> io::Result<Bytes> {
    let asked = async {
        let socket = TcpStream::connect(address).await?;
        let mut connection = security.client(socket, address).await?;
        let (from, to) = (MachineId::default(), MachineId::default());
        let hello = Hello { cluster: Uuid::nil(), shards: 0, from, to, lane: Lane::Guest };
        handshake::greet(&mut connection, &hello).await?;
        connection.write_all(&frame::single(kind::CALL, question)).await?;
        connection.flush().await?;
        let body = frame::read(&mut connection, frame::FRAME_BYTES_MAX).await?;
        match frame::parcels(&body)?.as_slice() {
            [parcel] if parcel.kind == kind::ANSWER => Ok(body.slice_ref(parcel.payload)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    };
    let asked = tokio::time::timeout(deadline, asked).await;
    asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl Shared {
    fn address_of(&self, machine: MachineId) -> Option<String> {
        self.members.read().get(&machine).cloned()
    }

    async fn dial(&self, address: &str) -> io::Result<Connection> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        self.security.client(socket, address).await
    }

    async fn secure(&self, socket: TcpStream) -> io::Result<Connection> {
        let secured = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.security.server(socket)).await;
        secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Why a machine is not talked to.
    fn examine(&self, hello: &Hello) -> Option<Turned> {
        if hello.lane == Lane::Guest {
            return None;
        }
        let (here, from) = (self.machine, hello.from);
        let (ours, theirs) = (self.cluster, hello.cluster);
        let mut removed = false;
        let reason = if theirs != ours {
            format!("this node is of cluster {ours}, not {theirs}")
        } else if hello.shards != self.shards {
            format!("the cluster has {} shards, not {}", self.shards, hello.shards)
        } else if hello.to != here {
            format!("this is node {here}, not {}", hello.to)
        } else if !self.hears(from) {
            // One that has just been admitted may not be known here yet.
            removed = from.0 <= self.last.load(Ordering::Acquire);
            format!("node {from} is no member of the cluster")
        } else {
            return None;
        };
        Some(Turned { removed, reason })
    }

    fn is_member(&self, machine: MachineId) -> bool {
        self.members.read().contains_key(&machine)
    }

    /// Whether a machine of the cluster is listened to. One that does not know yet that it was admitted itself cannot say
    /// who else was, and learns it from them.
    fn hears(&self, machine: MachineId) -> bool {
        self.is_member(machine) || self.last.load(Ordering::Acquire) < self.machine.0
    }

    fn link(self: &Arc<Self>, machine: MachineId, lane: Lane) -> Option<Arc<Link>> {
        if machine == self.machine || !self.is_member(machine) {
            return None;
        }
        let mut links = self.links.lock();
        let start = || Link::start(machine, lane, self);
        Some(Arc::clone(links.entry((machine, lane)).or_insert_with(start)))
    }

    fn live(self: &Arc<Self>, machine: MachineId, lane: Lane) -> Option<Arc<Live>> {
        self.link(machine, lane)?.live()
    }

    fn replica(&self, address: Address) -> Option<Replica> {
        let Address { space, shard, to } = address;
        self.replicas.read().get(&(space, shard, to)).cloned()
    }

    /// Tells the nodes of this machine that another one's process has ended.
    fn lost(&self, machine: MachineId) {
        self.all_services().iter().for_each(|service| service.lost(machine));
    }

    /// Tells them that another one is connected.
    fn found(&self, machine: MachineId) {
        self.all_services().iter().for_each(|service| service.found(machine));
    }

    fn all_services(&self) -> Vec<Arc<dyn Service>> {
        self.services.read().values().map(Arc::clone).collect()
    }

    fn service(&self, space: u8) -> Option<Arc<dyn Service>> {
        self.services.read().get(&space).cloned()
    }
}

/// One node's end of a network.
#[derive(Clone, Debug)]
struct Space {
    number: u8,
    shared: Arc<Shared>,
}

impl Space {
    fn address(&self, route: &Route) -> Vec<u8> {
        let mut out = Vec::new();
        Address { space: self.number, shard: route.shard, to: route.to }.put(&mut out);
        out
    }

    /// Sends a message to a replica and waits for its answer, no longer than the message is worth.
    fn ask<Q: Travel, A: Travel + Send>(
        &self,
        (kind, what): (u8, RPCTypes),
        route: &Route,
        request: &Q,
        option: &RPCOption,
        urgent: bool,
    ) -> BoxFuture<'static, Result<A, CallError>> {
        let mut payload = self.address(route);
        request.put(&mut payload);
        let asked = self
            .shared
            .live(route.machine.id, Lane::Control)
            .and_then(|live| live.ask(kind, payload.into(), urgent).ok());
        let (ttl, from, to) = (option.soft_ttl(), route.from, route.to);
        Box::pin(async move {
            let asked = asked.ok_or_else(|| unreachable("not connected"))?;
            let answer = tokio::time::timeout(ttl, asked.answer()).await.map_err(|_| {
                RPCError::Timeout(Timeout { action: what, id: from, target: to, timeout: ttl })
            })?;
            let answer = answer.ok_or_else(|| unreachable("it has failed"))?;
            unpack(&answer).map_err(|error| unreachable(&error.to_string()))
        })
    }
}

impl Transport for Space {
    fn host(&self, shard: ShardId, replica: ReplicaId, raft: Replica) {
        self.shared.replicas.write().insert((self.number, shard, replica), raft);
    }

    fn leave(&self, shard: ShardId, replica: ReplicaId) {
        self.shared.replicas.write().remove(&(self.number, shard, replica));
    }

    fn serve(&self, service: Arc<dyn Service>) {
        self.shared.services.write().insert(self.number, service);
    }

    fn reaches(&self, machine: MachineId) -> bool {
        self.shared.live(machine, Lane::Data).is_some()
    }

    fn call(
        &self,
        machine: MachineId,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, CallFailure>> {
        let payload: Bytes = [&[self.number], request.as_ref()].concat().into();
        let too_long = payload.len() > frame::PAYLOAD_BYTES_MAX;
        let asked = self
            .shared
            .live(machine, Lane::Data)
            .and_then(|live| live.ask(kind::CALL, payload, true).ok());
        Box::pin(async move {
            if too_long {
                return Err(CallFailure::TooLong);
            }
            asked.ok_or(CallFailure::Unsent)?.answer().await.ok_or(CallFailure::Lost)
        })
    }

    fn append(
        &self,
        route: Route,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<AppendEntriesResponse<TypeConfig>, CallError>> {
        // Only heartbeats can wait for company.
        let urgent = !request.entries.is_empty();
        self.ask((kind::APPEND, RPCTypes::AppendEntries), &route, &request, &option, urgent)
    }

    fn stream_append(
        &self,
        route: Route,
        requests: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
        _option: RPCOption,
    ) -> BoxFuture<'static, Result<AppendAnswers<'static>, CallError>> {
        let live = self.shared.live(route.machine.id, Lane::Data);
        let address = self.address(&route);
        Box::pin(async move {
            let live = live.ok_or_else(|| unreachable("not connected"))?;
            let (id, answers) =
                live.open_stream().map_err(|_| unreachable("the connection is lost"))?;
            let window = Arc::new(Semaphore::new(STREAM_WINDOW));
            let pump =
                tokio::spawn(pump(Arc::clone(&live), id, address, requests, Arc::clone(&window)));
            let stream = AppendStream { live, id, answers, window, pump, ended: false };
            let answers = futures::stream::unfold(stream, |mut stream| async move {
                let answer = stream.next().await?;
                Some((answer, stream))
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
        self.ask((kind::VOTE, RPCTypes::Vote), &route, &request, &option, true)
    }

    fn pre_vote(
        &self,
        route: Route,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<VoteResponse<TypeConfig>, CallError>> {
        self.ask((kind::PRE_VOTE, RPCTypes::Vote), &route, &request, &option, true)
    }

    fn transfer_leader(
        &self,
        route: Route,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<TransferLeaderResponse<TypeConfig>, CallError>> {
        let what = (kind::TRANSFER, RPCTypes::TransferLeader);
        let asked = self.ask::<_, Transferred>(what, &route, &request, &option, true);
        Box::pin(async move { asked.await.map(|it| it.0) })
    }
}

/// Sends the appends of a stream as they come, so many before the first of them is answered.
async fn pump(
    live: Arc<Live>,
    id: u64,
    address: Vec<u8>,
    mut requests: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
    window: Arc<Semaphore>,
) {
    while let Some(request) = requests.next().await {
        let Ok(place) = window.acquire().await else { return };
        place.forget();
        let mut payload = address.clone();
        request.put(&mut payload);
        if live.stream(id, payload.into()).await.is_err() {
            break;
        }
    }
    live.end_stream(id);
}

/// The sender's end of a stream.
struct AppendStream {
    live: Arc<Live>,
    id: u64,
    answers: mpsc::Receiver<Streaming>,
    window: Arc<Semaphore>,
    pump: JoinHandle<()>,
    ended: bool,
}

impl AppendStream {
    async fn next(
        &mut self,
    ) -> Option<Result<openraft::raft::StreamAppendResult<TypeConfig>, CallError>> {
        if self.ended {
            return None;
        }
        let answer = match self.answers.recv().await {
            Some(Streaming::Answer(answer)) => {
                self.window.add_permits(1);
                unpack::<Streamed>(&answer).map_err(|error| unreachable(&error.to_string()))
            }
            Some(Streaming::Ended) if self.pump.is_finished() => return None,
            Some(Streaming::Ended) | None => Err(unreachable("the stream was lost")),
        };
        self.ended = !matches!(answer, Ok(Streamed(Ok(_))));
        Some(answer.map(|it| it.0))
    }
}

impl Drop for AppendStream {
    fn drop(&mut self) {
        if !self.pump.is_finished() {
            self.pump.abort();
            self.live.end_stream(self.id);
        }
        self.live.forget_stream(self.id);
    }
}
