//! Connections that other machines make: their messages go to the replicas and services of this one.
//!
//! What comes is not trusted. A message that cannot be read ends the connection; one to a replica that is not here
//! fails; a replica that is slow makes its own stream fail and holds up nobody else.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use openraft::base::BoxFuture;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use rotabase_engine::domain::DecodeError;
use rotabase_engine::varint::Reader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::frame::{self, FRAME_BYTES_MAX, Read, kind};
use super::handshake::{Lane, welcome};
use super::link::{HEARTBEAT_WINDOW, SILENCE_MAX, STREAM_WINDOW, write_frames};
use super::message::{Address, Streamed, Transferred};
use super::outbox::{Outbox, Parcel};
use super::{Connection, Shared};
use crate::remote::Session;
use crate::remote::travel::{Travel, pack, unpack};
use crate::transport::Replica;
use crate::type_config::{MachineId, TypeConfig};

/// The questions of one connection that may be unanswered.
pub const CALLS_MAX: usize = 8192;

/// The streams of one connection: one for each shard, and some that are about to end.
pub const STREAMS_MAX: usize = 4096;

/// The connections that may be open, handshakes included.
pub const CONNECTIONS_MAX: usize = 256;

type Request = AppendEntriesRequest<TypeConfig>;

/// Takes connections until the network is stopped.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut stopped = shared.stop.subscribe();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok((socket, from)) => {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    tracing::warn!(%from, "too many connections between machines");
                    continue;
                };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = serve(&shared, socket).await {
                        tracing::debug!(%from, %error, "a connection has ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not take a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(shared: &Arc<Shared>, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut connection = shared.secure(socket).await?;
    let hello = welcome(&mut connection, |hello| shared.examine(hello)).await?;
    if hello.lane == Lane::Guest {
        return serve_guest(shared, connection).await;
    }
    let (mut reading, mut writing) = tokio::io::split(connection);
    let visit = Visit {
        shared: Arc::clone(shared),
        outbox: Arc::default(),
        calls: Arc::new(Semaphore::new(CALLS_MAX)),
        streams: BTreeMap::new(),
        sessions: BTreeMap::new(),
        tasks: JoinSet::new(),
        from: hello.from,
    };
    let linger = if hello.lane == Lane::Control { HEARTBEAT_WINDOW } else { Duration::ZERO };
    let outbox = Arc::clone(&visit.outbox);
    tokio::select! {
        error = write_frames(&outbox, &mut writing, linger, None, &shared.traffic) => Err(error),
        result = visit.read(&mut reading) => result,
    }
}

/// Answers the one question of somebody who is no member.
async fn serve_guest(shared: &Arc<Shared>, mut connection: Connection) -> io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let read = frame::read(&mut connection, GUEST_BYTES_MAX);
    let body = tokio::time::timeout(SILENCE_MAX, read)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let question = match frame::parcels(&body)?.as_slice() {
        [parcel] if parcel.kind == kind::CALL => body.slice_ref(parcel.payload),
        _ => return Err(malformed("a guest asks one question")),
    };
    let Some(guests) = shared.guests.get() else { return Ok(()) };
    let answer = guests.answer(question).await;
    connection.write_all(&frame::single(kind::ANSWER, &answer)).await?;
    connection.flush().await
}

/// The longest question of a guest.
pub(super) const GUEST_BYTES_MAX: usize = 64 << 10;

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What is kept of a connection that a machine has made.
struct Visit {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    calls: Arc<Semaphore>,
    streams: BTreeMap<u64, mpsc::Sender<Request>>,
    sessions: BTreeMap<u8, Box<dyn Session>>,
    tasks: JoinSet<()>,
    from: MachineId,
}

impl Visit {
    async fn read(mut self, reading: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<()> {
        loop {
            let read = tokio::time::timeout(SILENCE_MAX, frame::read(reading, FRAME_BYTES_MAX));
            let body = read.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            if !self.shared.hears(self.from) {
                return Err(io::Error::other("it is no member any more"));
            }
            for parcel in frame::parcels(&body)? {
                self.take(&parcel, &body).map_err(|error| malformed(&error.to_string()))?;
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn take(&mut self, parcel: &Read<'_>, body: &Bytes) -> Result<(), DecodeError> {
        let Read { kind, id, payload } = *parcel;
        let mut from = Reader::new("a message", payload);
        match kind {
            kind::PING => {
                self.push(kind::PONG, id, Bytes::new());
                Ok(())
            }
            kind::CALL => {
                let space = from.byte()?;
                let question = body.slice_ref(from.take(from.remaining())?);
                self.call(space, id, question);
                Ok(())
            }
            kind::STREAM_END => {
                self.streams.remove(&id);
                Ok(())
            }
            kind::STREAM_APPEND => {
                let to = Address::get(&mut from)?;
                let request = unpack(from.take(from.remaining())?)?;
                self.stream(to, id, request);
                Ok(())
            }
            kind::APPEND | kind::VOTE | kind::PRE_VOTE | kind::TRANSFER => {
                let replica = self.shared.replica(Address::get(&mut from)?);
                let message = from.take(from.remaining())?;
                let answer = answer(kind, replica, message)?;
                // Answers to heartbeats may wait for each other.
                self.run(id, answer, kind != kind::APPEND);
                Ok(())
            }
            kind => Err(from.error(format!("{kind} is no kind of message"))),
        }
    }

    fn push(&self, kind: u8, id: u64, payload: Bytes) {
        // An outbox that is full is one whose connection is about to end.
        let _ = self.outbox.push(Parcel::new(kind, id, payload), true);
    }

    /// Waits for an answer beside the connection; none is a failure.
    fn run(&mut self, id: u64, answer: BoxFuture<'static, Option<Bytes>>, urgent: bool) {
        let Ok(place) = Arc::clone(&self.calls).try_acquire_owned() else {
            return self.push(kind::FAILED, id, Bytes::new());
        };
        let outbox = Arc::clone(&self.outbox);
        self.tasks.spawn(async move {
            let _place: OwnedSemaphorePermit = place;
            let (kind, payload) =
                answer.await.map_or((kind::FAILED, Bytes::new()), |it| (kind::ANSWER, it));
            if outbox.push(Parcel::new(kind, id, payload), urgent).is_err() {
                // Too long, or too much: whoever asked must not wait for ever.
                let _ = outbox.push(Parcel::new(kind::FAILED, id, Bytes::new()), urgent);
            }
        });
    }

    fn call(&mut self, space: u8, id: u64, question: Bytes) {
        let session = match self.sessions.entry(space) {
            std::collections::btree_map::Entry::Occupied(it) => it.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let Some(service) = self.shared.service(space) else {
                    return self.push(kind::FAILED, id, Bytes::new());
                };
                place.insert(service.open())
            }
        };
        let answer = session.call(question);
        self.run(id, Box::pin(async move { Some(answer.await) }), true);
    }

    fn stream(&mut self, to: Address, id: u64, request: Request) {
        let sender = match self.streams.get(&id) {
            Some(sender) => sender,
            None => {
                let replica = self.shared.replica(to).filter(|_| self.streams.len() < STREAMS_MAX);
                let Some(replica) = replica else {
                    return self.push(kind::STREAM_ENDED, id, Bytes::new());
                };
                let (sender, requests) = mpsc::channel(STREAM_WINDOW);
                self.tasks.spawn(append_all(replica, requests, Arc::clone(&self.outbox), id));
                self.streams.entry(id).or_insert(sender)
            }
        };
        if sender.try_send(request).is_err() {
            // It has ended, or is fuller than a machine that counts its answers would make it.
            self.streams.remove(&id);
            self.push(kind::STREAM_ENDED, id, Bytes::new());
        }
    }
}

/// Gives the appends of a stream to a replica, and its answers back in order.
async fn append_all(
    replica: Replica,
    requests: mpsc::Receiver<Request>,
    outbox: Arc<Outbox>,
    id: u64,
) {
    let requests = futures::stream::unfold(requests, |mut requests| async move {
        requests.recv().await.map(|request| (request, requests))
    });
    let mut answers = std::pin::pin!(replica.stream_append(requests));
    while let Some(Ok(answer)) = answers.next().await {
        let answer = Parcel::new(kind::STREAM_ANSWER, id, pack(&Streamed(answer)));
        if outbox.push(answer, true).is_err() {
            return;
        }
    }
    let _ = outbox.push(Parcel::new(kind::STREAM_ENDED, id, Bytes::new()), true);
}

/// Has a replica answer a message.
fn answer(
    kind: u8,
    replica: Option<Replica>,
    message: &[u8],
) -> Result<BoxFuture<'static, Option<Bytes>>, DecodeError> {
    Ok(match kind {
        kind::APPEND => {
            let request: Request = unpack(message)?;
            Box::pin(async move { replica?.append_entries(request).await.ok().map(|it| pack(&it)) })
        }
        kind::TRANSFER => {
            let request: TransferLeaderRequest<TypeConfig> = unpack(message)?;
            Box::pin(async move {
                let answer = replica?.handle_transfer_leader(request).await.ok()?;
                Some(pack(&Transferred(answer)))
            })
        }
        _ => {
            let request: VoteRequest<TypeConfig> = unpack(message)?;
            let pre = kind == kind::PRE_VOTE;
            Box::pin(async move {
                let replica = replica?;
                let answer =
                    if pre { replica.pre_vote(request).await } else { replica.vote(request).await };
                answer.ok().map(|it| pack(&it))
            })
        }
    })
}
