//! The transport of a simulation: machines of one process whose messages take time and get lost, doubled and overtaken,
//! as the [`Weather`] says.
//!
//! What holds between real machines holds here: a stream of appends and the questions to one machine arrive in order or
//! their connection breaks, and then all that was asked over it is lost; single messages may arrive in any order, twice,
//! or never. Whoever has died answers nobody, and what was on its way to it is not heard by who comes after it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, Timeout};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use parking_lot::Mutex;
use rotabase_engine::position::ShardId;
use tokio::sync::{mpsc, watch};

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
}

/// The network.
#[derive(Debug)]
pub struct SimulatedNetwork {
    weather: Arc<dyn Weather>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    replicas: BTreeMap<(ShardId, ReplicaId), (MachineId, Replica)>,
    services: BTreeMap<MachineId, Arc<dyn Service>>,
    connections: BTreeMap<(MachineId, MachineId), Arc<Connection>>,
    /// Told when a machine dies.
    lives: BTreeMap<MachineId, watch::Sender<bool>>,
}

impl Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("replicas", &self.replicas.len()).finish_non_exhaustive()
    }
}

/// Over which one machine asks another.
struct Connection {
    session: Arc<dyn Session>,
    last_arrival: Mutex<tokio::time::Instant>,
    broken: watch::Sender<bool>,
}

impl SimulatedNetwork {
    /// A network without machines.
    pub fn new(weather: Arc<dyn Weather>) -> Arc<Self> {
        Arc::new(Self { weather, state: Mutex::default() })
    }

    /// The end of the network that `machine` gets.
    pub fn attach(self: &Arc<Self>, machine: MachineId) -> Arc<dyn Transport> {
        self.state.lock().lives.insert(machine, watch::Sender::new(false));
        Arc::new(Attachment { network: Arc::clone(self), machine })
    }

    /// A machine has died. It can be attached anew.
    pub fn remove(&self, machine: MachineId) {
        let mut state = self.state.lock();
        state.replicas.retain(|_, (host, _)| *host != machine);
        state.services.remove(&machine);
        let died = state.lives.remove(&machine);
        let (ended, others): (BTreeMap<_, _>, _) = std::mem::take(&mut state.connections)
            .into_iter()
            .partition(|((from, to), _)| *from == machine || *to == machine);
        state.connections = others;
        drop(state);
        for connection in ended.values() {
            connection.broken.send_replace(true);
        }
        if let Some(died) = died {
            died.send_replace(true);
        }
    }

    /// Ends the connection over which one machine asks another.
    pub fn break_connection(&self, from: MachineId, to: MachineId) {
        let ended = self.state.lock().connections.remove(&(from, to));
        if let Some(connection) = ended {
            connection.broken.send_replace(true);
        }
    }

    fn replica(&self, route: &Route) -> Option<Replica> {
        let state = self.state.lock();
        state.replicas.get(&(route.shard, route.to)).map(|(_, replica)| replica.clone())
    }

    /// Told when the machine that lives now dies.
    fn life(&self, machine: MachineId) -> Option<watch::Receiver<bool>> {
        self.state.lock().lives.get(&machine).map(watch::Sender::subscribe)
    }
}

/// One machine's end of the network.
#[derive(Clone, Debug)]
struct Attachment {
    network: Arc<SimulatedNetwork>,
    machine: MachineId,
}

impl Attachment {
    fn fate(&self, to: MachineId) -> Vec<Duration> {
        self.network.weather.fate(self.machine, to)
    }

    /// Calls a replica and brings its answer back, if all goes well.
    fn ask<A, F>(
        &self,
        route: Route,
        what: RPCTypes,
        option: RPCOption,
        ask: impl Fn(Replica) -> F + Clone + Send + 'static,
    ) -> BoxFuture<'static, Result<A, CallError>>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, CallError>> + Send,
    {
        let here = self.clone();
        Box::pin(async move {
            let (to, ttl) = (route.machine.id, option.soft_ttl());
            let (reply, mut answers) = mpsc::channel(4);
            for delay in here.fate(to) {
                let (there, reply) = (here.clone(), reply.clone());
                let (route, ask) = (route.clone(), ask.clone());
                let task = async move {
                    tokio::time::sleep(delay).await;
                    let Some(replica) = there.network.replica(&route) else { return };
                    let answer = ask(replica).await;
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
        let mut state = self.network.state.lock();
        let service = Arc::clone(state.services.get(&to)?);
        let open = || {
            Arc::new(Connection {
                session: Arc::from(service.open()),
                last_arrival: Mutex::new(tokio::time::Instant::now()),
                broken: watch::Sender::new(false),
            })
        };
        Some(Arc::clone(state.connections.entry((self.machine, to)).or_insert_with(open)))
    }

    /// Has a stream's appends arrive one after the other.
    async fn pump(
        self,
        route: Route,
        mut requests: BoxStream<'static, AppendEntriesRequest<TypeConfig>>,
        arriving: mpsc::Sender<(tokio::time::Instant, AppendEntriesRequest<TypeConfig>)>,
        sent: Arc<AtomicUsize>,
    ) {
        // Until it has said all it had to say.
        sent.fetch_add(1, Ordering::AcqRel);
        let mut last = tokio::time::Instant::now();
        while let Some(request) = requests.next().await {
            let mut copies = self.fate(route.machine.id).into_iter();
            // What is lost is waited for, for a while.
            let Some(delay) = copies.next() else { return };
            last = last.max(tokio::time::Instant::now() + delay);
            for delay in copies {
                let network = Arc::clone(&self.network);
                let (receiver, again) = (route.clone(), request.clone());
                let task = async move {
                    tokio::time::sleep(delay).await;
                    if let Some(replica) = network.replica(&receiver) {
                        // Nobody waits for a second answer.
                        let _ = replica.append_entries(again).await;
                    }
                };
                self.network.weather.start(route.machine.id, Box::pin(task));
            }
            sent.fetch_add(1, Ordering::AcqRel);
            if arriving.send((last, request)).await.is_err() {
                return;
            }
        }
        sent.fetch_sub(1, Ordering::AcqRel);
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
        let Some(replica) = self.network.replica(&route) else { return };
        let requests = stream::unfold(arriving, |mut arriving| async move {
            let (at, request) = arriving.recv().await?;
            tokio::time::sleep_until(at).await;
            Some((request, arriving))
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

/// The sender's side of a stream.
struct Answers {
    arriving:
        mpsc::Receiver<(tokio::time::Instant, Result<StreamAppendResult<TypeConfig>, CallError>)>,
    receiver: watch::Receiver<bool>,
    sent: Arc<AtomicUsize>,
    heard: usize,
    ended: bool,
}

impl Answers {
    async fn next(&mut self) -> Option<Result<StreamAppendResult<TypeConfig>, CallError>> {
        if self.ended {
            return None;
        }
        loop {
            let waits = self.heard < self.sent.load(Ordering::Acquire);
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
                let all_heard = self.heard == self.sent.load(Ordering::Acquire);
                return (!all_heard).then(|| Err(unreachable("the stream was lost")));
            };
            tokio::time::sleep_until(at).await;
            self.heard += 1;
            self.ended = !matches!(answer, Ok(Ok(_)));
            return Some(answer);
        }
    }
}

impl Transport for Attachment {
    fn host(&self, shard: ShardId, replica: ReplicaId, raft: Replica) {
        self.network.state.lock().replicas.insert((shard, replica), (self.machine, raft));
    }

    fn leave(&self, shard: ShardId, replica: ReplicaId) {
        self.network.state.lock().replicas.remove(&(shard, replica));
    }

    fn serve(&self, service: Arc<dyn Service>) {
        self.network.state.lock().services.insert(self.machine, service);
    }

    fn reaches(&self, machine: MachineId) -> bool {
        let there = self.network.state.lock().services.contains_key(&machine);
        let weather = &self.network.weather;
        there && weather.is_open(self.machine, machine) && weather.is_open(machine, self.machine)
    }

    fn call(
        &self,
        machine: MachineId,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, CallFailure>> {
        let connection = if self.reaches(machine) {
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
        let (there, session) = (self.clone(), Arc::downgrade(&connection.session));
        let mut ended = connection.broken.subscribe();
        if let Some(arrives) = arrives {
            let from = self.machine;
            let task = async move {
                tokio::time::sleep_until(arrives).await;
                // What is held for a connection is let go when it ends, whatever it is asked meanwhile.
                let Some(answer) = session.upgrade().map(|session| session.call(request)) else {
                    return;
                };
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
        self.ask(route, RPCTypes::AppendEntries, option, move |replica| {
            let request = request.clone();
            async move {
                let answer = replica.append_entries(request).await;
                answer.map_err(|error| unreachable(&error.to_string()))
            }
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
            let sent = Arc::new(AtomicUsize::new(0));
            let pump = here.clone().pump(route.clone(), requests, arriving, Arc::clone(&sent));
            runtime::spawn(pump);
            let appending = here.clone().append_all(route, input, output);
            here.network.weather.start(to, Box::pin(appending));
            let answers = Answers { arriving: answers, receiver, sent, heard: 0, ended: false };
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
        self.ask(route, RPCTypes::Vote, option, move |replica| {
            let request = request.clone();
            async move {
                replica.vote(request).await.map_err(|error| unreachable(&error.to_string()))
            }
        })
    }

    fn pre_vote(
        &self,
        route: Route,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<VoteResponse<TypeConfig>, CallError>> {
        self.ask(route, RPCTypes::Vote, option, move |replica| {
            let request = request.clone();
            async move {
                replica.pre_vote(request).await.map_err(|error| unreachable(&error.to_string()))
            }
        })
    }

    fn transfer_leader(
        &self,
        route: Route,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> BoxFuture<'static, Result<TransferLeaderResponse<TypeConfig>, CallError>> {
        self.ask(route, RPCTypes::TransferLeader, option, move |replica| {
            let request = request.clone();
            async move {
                let answer = replica.handle_transfer_leader(request).await;
                answer.map_err(|error| unreachable(&error.to_string()))
            }
        })
    }
}
