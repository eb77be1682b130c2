//! The transport of a simulation: machines of one process whose messages take time and get lost, doubled and overtaken,
//! as the [`Weather`] says.
//!
//! What holds between real machines holds here: a stream of appends and the questions to one machine arrive in order or
//! their connection breaks, and then all that was asked over it is lost; single messages may arrive in any order, twice,
//! or never. Whoever has died answers nobody, and what was on its way to it is not heard by who comes after it. Machines
//! talk to each other if each takes the other for a member, and who was one hears that it is none any more.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, RaftError, Timeout};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use parking_lot::Mutex;
use rotabase_engine::position::ShardId;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::cluster::{Admin, AdminAnswer, Mesh};
use crate::net::{Guests, Members, Traffic};
use crate::remote::travel::{pack, unpack};
use crate::remote::{CallFailure, Service, Session};
use crate::runtime;
use crate::transport::{AppendAnswers, CallError, Replica, Route, Transport, unreachable};
use crate::type_config::{MachineId, ReplicaId, TypeConfig};

/// The appends of one stream that are on their way at a time.
const STREAM_WINDOW: usize = 64;

/// After how long without an answer a connection is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// What becomes of messages, and who does what is done when they arrive.
pub trait Weather: Debug + Send + Sync + 'static {
    /// After how long each copy of a message arrives; none if it is lost.
    fn fate(&self, from: MachineId, to: MachineId) -> Vec<Duration>;

    /// Whether messages get from one machine to another at all, as far as the first one knows.
    fn is_open(&self, from: MachineId, to: MachineId) -> bool;

    /// Starts a task of a machine.
    fn start(&self, machine: MachineId, task: BoxFuture<'static, ()>);

    /// A machine's replica of a shard has voted in a term and says so. The shards of each node have a number of their own.
    fn promised(&self, machine: MachineId, shard: (u8, ShardId), term: u64);
}

/// The network.
#[derive(Debug)]
pub struct SimulatedNetwork {
    weather: Arc<dyn Weather>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    machines: BTreeMap<MachineId, Attached>,
    replicas: BTreeMap<(u8, ShardId, ReplicaId), (MachineId, Replica)>,
    connections: BTreeMap<(MachineId, MachineId), Arc<Connection>>,
}

impl Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("replicas", &self.replicas.len()).finish_non_exhaustive()
    }
}

/// A machine that lives.
struct Attached {
    /// The cluster, and the shards of its database.
    identity: (Uuid, u16),
    services: BTreeMap<u8, Arc<dyn Service>>,
    guests: Option<Arc<dyn Guests>>,
    members: Members,
    /// The last number that a machine of the cluster was given, as far as is known there.
    last: MachineId,
    turned_away: watch::Sender<bool>,
    /// Told when it dies.
    died: watch::Sender<bool>,
}

/// Over which one machine asks another.
struct Connection {
    sessions: Mutex<BTreeMap<u8, Arc<dyn Session>>>,
    last_arrival: Mutex<tokio::time::Instant>,
    broken: watch::Sender<bool>,
}

impl SimulatedNetwork {
    /// A network without machines.
    pub fn new(weather: Arc<dyn Weather>) -> Arc<Self> {
        Arc::new(Self { weather, state: Mutex::default() })
    }

    /// The end of the network that `machine` gets, with its cluster and the shards of that.
    pub fn attach(self: &Arc<Self>, machine: MachineId, identity: (Uuid, u16)) -> Arc<dyn Mesh> {
        let attached = Attached {
            identity,
            services: BTreeMap::new(),
            guests: None,
            members: Members::new(),
            last: MachineId(0),
            turned_away: watch::Sender::new(false),
            died: watch::Sender::new(false),
        };
        self.state.lock().machines.insert(machine, attached);
        Arc::new(Attachment { network: Arc::clone(self), machine, space: 0 })
    }

    /// A machine has died. It can be attached anew.
    pub fn remove(&self, machine: MachineId) {
        let died = {
            let mut state = self.state.lock();
            state.replicas.retain(|_, (host, _)| *host != machine);
            state.machines.remove(&machine)
        };
        self.break_connections(|from, to| from == machine || to == machine);
        if let Some(attached) = died {
            attached.died.send_replace(true);
        }
    }

    /// Puts a question to a machine as somebody who is no member, within a task of that machine.
    pub async fn ask_as_guest(
        &self,
        machine: MachineId,
        question: &Admin,
    ) -> Result<AdminAnswer, String> {
        let guests = self.with(machine, |attached| attached.guests.clone()).flatten();
        let guests = guests.ok_or_else(|| "nobody answers".to_owned())?;
        let answer = guests.answer(pack(question)).await;
        unpack::<Result<AdminAnswer, String>>(&answer).map_err(|error| error.to_string())?
    }

    fn with<R>(&self, machine: MachineId, work: impl FnOnce(&mut Attached) -> R) -> Option<R> {
        self.state.lock().machines.get_mut(&machine).map(work)
    }

    /// Ends the connections over which one machine asks another.
    fn break_connections(&self, ends: impl Fn(MachineId, MachineId) -> bool) {
        let ended = {
            let mut state = self.state.lock();
            let all = std::mem::take(&mut state.connections);
            let (ended, others): (BTreeMap<_, _>, _) =
                all.into_iter().partition(|((from, to), _)| ends(*from, *to));
            state.connections = others;
            ended
        };
        for connection in ended.values() {
            connection.broken.send_replace(true);
        }
    }

    fn break_connection(&self, from: MachineId, to: MachineId) {
        self.break_connections(|one, other| (one, other) == (from, to));
    }

    fn replica(&self, (space, from): (u8, MachineId), route: &Route) -> Option<Replica> {
        if !self.admits(from, route.machine.id) {
            return None;
        }
        let state = self.state.lock();
        state.replicas.get(&(space, route.shard, route.to)).map(|(_, replica)| replica.clone())
    }

    /// Whether two machines that can hear each other talk to each other.
    fn admits(&self, from: MachineId, to: MachineId) -> bool {
        let state = self.state.lock();
        let (Some(here), Some(there)) = (state.machines.get(&from), state.machines.get(&to)) else {
            return false;
        };
        let admitted = there.members.contains_key(&from) || there.last < to;
        if !admitted && there.last >= from {
            here.turned_away.send_if_modified(|told| !std::mem::replace(told, true));
        }
        admitted && here.members.contains_key(&to)
    }

    /// Told when the machine that lives now dies.
    fn life(&self, machine: MachineId) -> Option<watch::Receiver<bool>> {
        self.with(machine, |attached| attached.died.subscribe())
    }
}

/// One machine's end of the network.
#[derive(Clone, Debug)]
struct Attachment {
    network: Arc<SimulatedNetwork>,
    machine: MachineId,
    /// The node of the machine that it is for.
    space: u8,
}

impl Attachment {
    fn fate(&self, to: MachineId) -> Vec<Duration> {
        self.network.weather.fate(self.machine, to)
    }

    fn replica(&self, route: &Route) -> Option<Replica> {
        self.network.replica((self.space, self.machine), route)
    }

    /// Asks a replica and brings its answer back, if all goes well.
    fn ask<Q, A, E, F>(
        &self,
        (what, route): (RPCTypes, Route),
        request: Q,
        option: RPCOption,
        ask: impl Fn(Replica, Q) -> F + Clone + Send + 'static,
    ) -> BoxFuture<'static, Result<A, CallError>>
    where
        Q: Clone + Send + 'static,
        A: Send + 'static,
        E: std::fmt::Display + Send,
        F: Future<Output = Result<A, E>> + Send,
    {
        let here = self.clone();
        Box::pin(async move {
            let (to, ttl) = (route.machine.id, option.soft_ttl());
            let (reply, mut answers) = mpsc::channel(4);
            for delay in here.fate(to) {
                let (there, reply) = (here.clone(), reply.clone());
                let (route, request, ask) = (route.clone(), request.clone(), ask.clone());
                let task = async move {
                    tokio::time::sleep(delay).await;
                    let Some(replica) = there.replica(&route) else { return };
                    let answer = ask(replica, request).await;
                    let answer = answer.map_err(|error| unreachable(&error.to_string()));
                    let back = there.network.weather.fate(to, there.machine);
                    if let Some(delay) = back.first() {
                        tokio::time::sleep(*delay).await;
                        // A second answer is not heard.
                        let _ = reply.try_send(answer);
                    }
                };
                here.network.weather.start(to, Box::pin(task));
            }
            let answer = tokio::time::timeout(ttl, answers.recv()).await;
            drop(reply);
            answer.ok().flatten().unwrap_or_else(|| {
                let (id, target) = (route.from, route.to);
                Err(RPCError::Timeout(Timeout { action: what, id, target, timeout: ttl }))
            })
        })
    }

    fn connection(&self, to: MachineId) -> Option<Arc<Connection>> {
        let open = || {
            Arc::new(Connection {
                sessions: Mutex::default(),
                last_arrival: Mutex::new(tokio::time::Instant::now()),
                broken: watch::Sender::new(false),
            })
        };
        let mut state = self.network.state.lock();
        let service = state.machines.get(&to)?.services.get(&self.space)?.clone();
        let connection = state.connections.entry((self.machine, to)).or_insert_with(open).clone();
        drop(state);
        let session = || Arc::from(service.open());
        connection.sessions.lock().entry(self.space).or_insert_with(session);
        Some(connection)
    }

    /// Has a stream's appends arrive one after the other, until its sender is not interested any more: requests that
    /// are taken later would be missing in the stream that follows.
    async fn pump_while(
        self,
        route: Route,
        requests: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
        arriving: mpsc::Sender<(tokio::time::Instant, AppendEntriesRequest<TypeConfig>)>,
        sent: Arc<Sent>,
        wanted: oneshot::Receiver<()>,
    ) {
        tokio::select! { biased;
            _ = wanted => {}
            () = self.pump(route, requests, arriving, sent) => {}
        }
    }

    async fn pump(
        self,
        route: Route,
        mut requests: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
        arriving: mpsc::Sender<(tokio::time::Instant, AppendEntriesRequest<TypeConfig>)>,
        sent: Arc<Sent>,
    ) {
        let mut last = tokio::time::Instant::now();
        while let Some(request) = requests.next().await {
            let mut copies = self.fate(route.machine.id).into_iter();
            // What is lost is waited for, for a while.
            let Some(delay) = copies.next() else { return };
            last = last.max(tokio::time::Instant::now() + delay);
            for delay in copies {
                let here = self.clone();
                let (receiver, again) = (route.clone(), request.clone());
                let task = async move {
                    tokio::time::sleep(delay).await;
                    if let Some(replica) = here.replica(&receiver) {
                        // Nobody waits for a second answer.
                        let _ = replica.append_entries(again).await;
                    }
                };
                self.network.weather.start(route.machine.id, Box::pin(task));
            }
            sent.requests.fetch_add(1, Ordering::AcqRel);
            if arriving.send((last, request)).await.is_err() {
                return;
            }
        }
        sent.all.store(true, Ordering::Release);
    }

    /// The receiver's side of a stream.
    async fn append_all(
        self,
        route: Route,
        arriving: mpsc::Receiver<(tokio::time::Instant, AppendEntriesRequest<TypeConfig>)>,
        answers: mpsc::Sender<(
            tokio::time::Instant,
            Result<StreamAppendResult<TypeConfig>, CallError>,
        )>,
    ) {
        let Some(replica) = self.replica(&route) else { return };
        let (network, from, to) = (Arc::clone(&self.network), self.machine, route.machine.id);
        let requests =
            stream::unfold((network, arriving), move |(network, mut arriving)| async move {
                let (at, request) = arriving.recv().await?;
                tokio::time::sleep_until(at).await;
                network.admits(from, to).then_some((request, (network, arriving)))
            });
        let mut given = std::pin::pin!(replica.stream_append(requests));
        let mut last = tokio::time::Instant::now();
        while let Some(answer) = given.next().await {
            let back = self.network.weather.fate(route.machine.id, self.machine);
            let Some(delay) = back.first() else { return };
            last = last.max(tokio::time::Instant::now() + *delay);
            let answer = answer.map_err(|error| unreachable(&error.to_string()));
            if answers.send((last, answer)).await.is_err() {
                return;
            }
        }
    }
}

/// What was sent over a stream.
#[derive(Default)]
struct Sent {
    requests: AtomicUsize,
    /// Whether there will be no more.
    all: AtomicBool,
}

/// The sender's side of a stream.
struct Answers {
    arriving:
        mpsc::Receiver<(tokio::time::Instant, Result<StreamAppendResult<TypeConfig>, CallError>)>,
    receiver: watch::Receiver<bool>,
    sent: Arc<Sent>,
    heard: usize,
    ended: bool,
    /// Dropped with this, which stops the sender.
    _wanted: oneshot::Sender<()>,
}

impl Answers {
    async fn next(&mut self) -> Option<Result<StreamAppendResult<TypeConfig>, CallError>> {
        if self.ended {
            return None;
        }
        loop {
            let waits = self.heard < self.sent.requests.load(Ordering::Acquire);
            let answer = tokio::select! { biased;
                answer = self.arriving.recv() => answer,
                _ = self.receiver.changed() => None,
                () = tokio::time::sleep(PATIENCE) => {
                    if !waits {
                        continue;
                    }
                    None
                }
            };
            let Some((at, answer)) = answer else {
                self.ended = true;
                let all_heard = self.sent.all.load(Ordering::Acquire)
                    && self.heard == self.sent.requests.load(Ordering::Acquire);
                return (!all_heard).then(|| Err(unreachable("the stream was lost")));
            };
            tokio::time::sleep_until(at).await;
            self.heard += 1;
            self.ended = !matches!(answer, Ok(Ok(_)));
            return Some(answer);
        }
    }
}

impl Mesh for Attachment {
    fn space(&self, number: u8) -> Arc<dyn Transport> {
        Arc::new(Self { space: number, ..self.clone() })
    }

    fn set_members(&self, members: Members) {
        let here = self.machine;
        let joining = self.network.with(here, |attached| {
            attached.members.clone_from(&members);
            attached.last < here
        });
        let stays = |other: &MachineId| members.contains_key(other);
        self.network.break_connections(|from, to| {
            (from == here && !stays(&to)) || (to == here && !stays(&from) && joining != Some(true))
        });
    }

    fn admitted_up_to(&self, machine: MachineId) {
        self.network.with(self.machine, |attached| attached.last = attached.last.max(machine));
    }

    fn turned_away(&self) -> watch::Receiver<bool> {
        let subscribe = |attached: &mut Attached| attached.turned_away.subscribe();
        self.network.with(self.machine, subscribe).expect("who asks lives")
    }

    fn identity(&self) -> (Uuid, u16) {
        self.network.with(self.machine, |attached| attached.identity).expect("who asks lives")
    }

    fn reaches(&self, machine: MachineId) -> bool {
        Transport::reaches(self, machine)
    }

    fn traffic(&self) -> Arc<Traffic> {
        Arc::default()
    }

    fn welcome_guests(&self, guests: Arc<dyn Guests>) {
        self.network.with(self.machine, |attached| attached.guests = Some(guests));
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let (network, machine) = (Arc::clone(&self.network), self.machine);
        Box::pin(async move { network.remove(machine) })
    }
}

impl Transport for Attachment {
    fn host(&self, shard: ShardId, replica: ReplicaId, raft: Replica) {
        let hosted = (self.machine, raft);
        self.network.state.lock().replicas.insert((self.space, shard, replica), hosted);
    }

    fn leave(&self, shard: ShardId, replica: ReplicaId) {
        self.network.state.lock().replicas.remove(&(self.space, shard, replica));
    }

    fn serve(&self, service: Arc<dyn Service>) {
        self.network.with(self.machine, |attached| attached.services.insert(self.space, service));
    }

    fn reaches(&self, machine: MachineId) -> bool {
        let serves = |attached: &mut Attached| attached.services.contains_key(&self.space);
        let weather = &self.network.weather;
        weather.is_open(self.machine, machine)
            && weather.is_open(machine, self.machine)
            && self.network.admits(self.machine, machine)
            && self.network.with(machine, serves).unwrap_or(false)
    }

    fn call(
        &self,
        machine: MachineId,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, CallFailure>> {
        let connection = if Transport::reaches(self, machine) {
            self.connection(machine)
        } else {
            // What cannot be said ends the connection, and what is held for it there.
            self.network.break_connection(self.machine, machine);
            None
        };
        let Some(connection) = connection else {
            return Box::pin(futures::future::ready(Err(CallFailure::Unsent)));
        };
        let (reply, mut answer) = mpsc::channel(1);
        let mut broken = connection.broken.subscribe();
        let delay = self.fate(machine).into_iter().next();
        let arrives = delay.map(|delay| {
            let mut last = connection.last_arrival.lock();
            // In the order in which they were sent, however close.
            *last = (*last + Duration::from_nanos(1)).max(tokio::time::Instant::now() + delay);
            *last
        });
        let session = connection.sessions.lock().get(&self.space).map(Arc::downgrade);
        let there = self.clone();
        let mut ended = connection.broken.subscribe();
        if let Some(arrives) = arrives {
            let from = self.machine;
            let task = async move {
                tokio::time::sleep_until(arrives).await;
                // What is held for a connection is let go when it ends, whatever it is asked meanwhile.
                let session = session.and_then(|session| session.upgrade());
                let Some(answer) = session.map(|session| session.call(request)) else { return };
                let bytes = tokio::select! { biased;
                    bytes = answer => bytes,
                    _ = ended.wait_for(|ended| *ended) => return,
                };
                match there.network.weather.fate(machine, from).first() {
                    Some(delay) => {
                        tokio::time::sleep(*delay).await;
                        // Whoever asked may have gone.
                        let _ = reply.try_send(bytes);
                    }
                    None => there.network.break_connection(from, machine),
                }
            };
            self.network.weather.start(machine, Box::pin(task));
        } else {
            let from = self.machine;
            self.network.weather.start(
                from,
                Box::pin(async move {
                    tokio::time::sleep(PATIENCE / 4).await;
                    there.network.break_connection(from, machine);
                }),
            );
        }
        Box::pin(async move {
            tokio::select! { biased;
                answer = answer.recv() => answer.ok_or(CallFailure::Lost),
                _ = broken.wait_for(|broken| *broken) => Err(CallFailure::Lost),
            }
        })
    }

    fn append(
        &self,
        route: Route,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<AppendEntriesResponse<TypeConfig>, CallError>> {
        let what = (RPCTypes::AppendEntries, route);
        self.ask(what, request, option, |replica, request| async move {
            replica.append_entries(request).await
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
            let to = route.machine.id;
            let life = here.network.life(to);
            let receiver = life.ok_or_else(|| unreachable("not connected"))?;
            let (arriving, input) = mpsc::channel(STREAM_WINDOW);
            let (output, answers) = mpsc::channel(STREAM_WINDOW);
            let sent = Arc::<Sent>::default();
            let (wanted, stopped) = oneshot::channel();
            let (pump, count) = (here.clone(), Arc::clone(&sent));
            runtime::spawn(pump.pump_while(route.clone(), requests, arriving, count, stopped));
            let appending = here.clone().append_all(route, input, output);
            here.network.weather.start(to, Box::pin(appending));
            let answers = Answers {
                arriving: answers,
                receiver,
                sent,
                heard: 0,
                ended: false,
                _wanted: wanted,
            };
            let answers = stream::unfold(answers, |mut answers| async move {
                let answer = answers.next().await?;
                Some((answer, answers))
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
        let (weather, to) = (Arc::clone(&self.network.weather), route.machine.id);
        let shard = (self.space, route.shard);
        self.ask((RPCTypes::Vote, route), request, option, move |replica, request| {
            let weather = Arc::clone(&weather);
            async move {
                let term = request.vote.leader_id.term;
                let answer = replica.vote(request).await?;
                if answer.vote_granted {
                    weather.promised(to, shard, term);
                }
                Ok::<_, RaftError<TypeConfig>>(answer)
            }
        })
    }

    fn pre_vote(
        &self,
        route: Route,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<VoteResponse<TypeConfig>, CallError>> {
        self.ask((RPCTypes::Vote, route), request, option, |replica, request| async move {
            replica.pre_vote(request).await
        })
    }

    fn transfer_leader(
        &self,
        route: Route,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<TransferLeaderResponse<TypeConfig>, CallError>> {
        self.ask(
            (RPCTypes::TransferLeader, route),
            request,
            option,
            |replica, request| async move { replica.handle_transfer_leader(request).await },
        )
    }
}
