//! The connection to one machine, for one lane: dialled, greeted, kept alive, dialled again.
//!
//! What is asked over it ends with it: whoever waits for an answer is told that the connection was lost.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::frame::{self, FRAME_BYTES_MAX, Read, kind};
use super::handshake::{self, Hello, Lane, greet};
use super::outbox::{Outbox, Parcel, Turned};
use super::{Connection, Shared, Traffic};
use crate::type_config::MachineId;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// The pause after a connection was lost; it doubles while none is made.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How often who has connected says something, at least.
pub(super) const PING_INTERVAL: Duration = Duration::from_millis(500);

/// How long nothing may come until a connection is given up.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(2);

/// How long a heartbeat may wait for others, so that those of many shards go as one frame.
pub(super) const HEARTBEAT_WINDOW: Duration = Duration::from_millis(20);

/// The appends of one stream that may be unanswered.
pub(super) const STREAM_WINDOW: usize = 32;

/// The bytes of appends that may wait to be written to one machine.
pub(super) const APPEND_BYTES_MAX: u32 = 32 << 20;

/// The way to a machine.
#[derive(Debug)]
pub(super) struct Link {
    target: MachineId,
    lane: Lane,
    live: Mutex<Option<Arc<Live>>>,
    /// Told when the machine is no member any more.
    removed: Notify,
}

/// A connection that works, as far as is known.
#[derive(Debug)]
pub(super) struct Live {
    outbox: Outbox,
    traffic: Arc<Traffic>,
    waiting: Mutex<Waiting>,
    /// Room for appends.
    room: Arc<Semaphore>,
}

/// Who waits for answers.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    waiters: BTreeMap<u64, Waiter>,
    closed: bool,
}

#[derive(Debug)]
enum Waiter {
    Answer(oneshot::Sender<Bytes>),
    Stream(mpsc::Sender<Streaming>),
}

/// What comes of a stream.
#[derive(Debug)]
pub(super) enum Streaming {
    Answer(Bytes),
    /// The other end has answered everything, or will answer nothing more.
    Ended,
}

/// A question that was sent; dropping it stops waiting.
#[derive(Debug)]
pub(super) struct Asked {
    live: Arc<Live>,
    id: u64,
    answer: oneshot::Receiver<Bytes>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.live.waiting.lock().waiters.remove(&self.id);
    }
}

impl Asked {
    /// The answer; none if the connection was lost, or the other end has failed.
    pub(super) async fn answer(mut self) -> Option<Bytes> {
        (&mut self.answer).await.ok()
    }
}

impl Link {
    pub(super) fn start(target: MachineId, lane: Lane, shared: &Arc<Shared>) -> Arc<Self> {
        let link = Arc::new(Self { target, lane, live: Mutex::default(), removed: Notify::new() });
        tokio::spawn(Arc::clone(&link).run(Arc::downgrade(shared)));
        link
    }

    /// The connection, if there is one.
    pub(super) fn live(&self) -> Option<Arc<Live>> {
        self.live.lock().clone()
    }

    /// Ends the connection for good.
    pub(super) fn end(&self) {
        self.removed.notify_one();
    }

    async fn run(self: Arc<Self>, shared: Weak<Shared>) {
        tokio::select! {
            () = self.connect_again_and_again(shared) => {}
            () = self.removed.notified() => {}
        }
        if let Some(live) = self.live.lock().take() {
            live.close();
        }
    }

    /// Until the network is stopped or the machine is no member any more.
    async fn connect_again_and_again(&self, shared: Weak<Shared>) {
        let mut pause = PAUSE_MIN;
        let mut was_connected = false;
        loop {
            let (dialling, mut stopped, traffic) = {
                let Some(shared) = shared.upgrade() else { return };
                let Some(address) = shared.address_of(self.target) else { return };
                let dialling = self.dial(Arc::clone(&shared), address);
                (dialling, shared.stop.subscribe(), Arc::clone(&shared.traffic))
            };
            let connected = tokio::select! {
                connected = dialling => connected,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            match connected {
                Ok(connection) => {
                    (pause, was_connected) = (PAUSE_MIN, true);
                    let error = tokio::select! {
                        error = self.drive(connection, traffic, &shared) => error,
                        _ = stopped.wait_for(|stopped| *stopped) => io::ErrorKind::Interrupted.into(),
                    };
                    if let Some(live) = self.live.lock().take() {
                        live.close();
                    }
                    tracing::debug!(machine = %self.target, lane = ?self.lane, %error, "connection lost");
                }
                Err(error) => {
                    tracing::debug!(machine = %self.target, lane = ?self.lane, %error, "could not connect");
                    let refused = error.kind() == io::ErrorKind::ConnectionRefused;
                    // Nobody listens there any more. One lane says so for both.
                    if refused
                        && self.lane == Lane::Control
                        && std::mem::take(&mut was_connected)
                        && let Some(shared) = shared.upgrade()
                    {
                        shared.lost(self.target);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn dial(
        &self,
        shared: Arc<Shared>,
        address: String,
    ) -> impl Future<Output = io::Result<Connection>> + Send + use<> {
        let hello = Hello {
            cluster: shared.cluster,
            shards: shared.shards,
            from: shared.machine,
            to: self.target,
            lane: self.lane,
        };
        async move {
            let connecting = shared.dial(&address);
            let mut connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            let greeted = greet(&mut connection, &hello).await;
            let turned = greeted.as_ref().err().and_then(|error| error.get_ref());
            if turned
                .and_then(|it| it.downcast_ref::<handshake::Turned>())
                .is_some_and(|it| it.removed)
            {
                shared.turned_away.send_replace(true);
            }
            greeted.map(|()| connection)
        }
    }

    /// Writes what is to be written and hands out answers, until the connection breaks.
    async fn drive(
        &self,
        connection: Connection,
        traffic: Arc<Traffic>,
        shared: &Weak<Shared>,
    ) -> io::Error {
        let live = Arc::new(Live {
            outbox: Outbox::default(),
            traffic,
            waiting: Mutex::default(),
            room: Arc::new(Semaphore::new(usize::try_from(APPEND_BYTES_MAX).expect("32 bits"))),
        });
        *self.live.lock() = Some(Arc::clone(&live));
        // What waited for it goes over this lane.
        if self.lane == Lane::Data
            && let Some(shared) = shared.upgrade()
        {
            shared.found(self.target);
        }
        let (mut reading, mut writing) = tokio::io::split(connection);
        let linger = if self.lane == Lane::Control { HEARTBEAT_WINDOW } else { Duration::ZERO };
        let ping = Some(PING_INTERVAL);
        let write = write_frames(&live.outbox, &mut writing, linger, ping, &live.traffic);
        tokio::select! {
            error = write => error,
            error = live.read(&mut reading) => error,
        }
    }
}

/// Writes frames as they fill. Says something now and then if `ping` says how often.
pub(super) async fn write_frames(
    outbox: &Outbox,
    writing: &mut (impl AsyncWrite + Unpin),
    linger: Duration,
    ping: Option<Duration>,
    traffic: &Traffic,
) -> io::Error {
    loop {
        let (frame, parcels) = match ping {
            None => outbox.next_frame(linger).await,
            Some(interval) => tokio::time::timeout(interval, outbox.next_frame(linger))
                .await
                .unwrap_or_else(|_| (frame::single(kind::PING, &[]), 1)),
        };
        traffic.count(parcels, frame.len());
        let written = async {
            writing.write_all(&frame).await?;
            writing.flush().await
        };
        if let Err(error) = written.await {
            return error;
        }
    }
}

impl Live {
    /// Puts a question; the answer comes with the same id.
    pub(super) fn ask(
        self: &Arc<Self>,
        kind: u8,
        payload: Bytes,
        urgent: bool,
    ) -> Result<Asked, Turned> {
        let (sender, answer) = oneshot::channel();
        let id = self.register(Waiter::Answer(sender))?;
        let asked = Asked { live: Arc::clone(self), id, answer };
        self.outbox.push(Parcel::new(kind, id, payload), urgent)?;
        Ok(asked)
    }

    /// Begins a stream: its id, and what comes of it.
    pub(super) fn open_stream(&self) -> Result<(u64, mpsc::Receiver<Streaming>), Turned> {
        // Each append that is sent has one answer, and the end is one more.
        let (sender, answers) = mpsc::channel(STREAM_WINDOW + 1);
        Ok((self.register(Waiter::Stream(sender))?, answers))
    }

    /// Sends an append of a stream, when there is room.
    pub(super) async fn stream(&self, id: u64, payload: Bytes) -> Result<(), Turned> {
        let bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX).min(APPEND_BYTES_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Turned)?;
        let parcel = Parcel { kind: kind::STREAM_APPEND, id, payload, room: Some(room) };
        self.outbox.push(parcel, true)
    }

    /// Says that nothing more of a stream comes.
    pub(super) fn end_stream(&self, id: u64) {
        // A connection that takes nothing ends the stream as well.
        let _ = self.outbox.push(Parcel::new(kind::STREAM_END, id, Bytes::new()), true);
    }

    /// Waits for nothing more of a stream.
    pub(super) fn forget_stream(&self, id: u64) {
        self.waiting.lock().waiters.remove(&id);
    }

    fn register(&self, waiter: Waiter) -> Result<u64, Turned> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Turned);
        }
        waiting.next += 1;
        let id = waiting.next;
        waiting.waiters.insert(id, waiter);
        Ok(id)
    }

    fn close(&self) {
        self.outbox.close();
        self.room.close();
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.waiters.clear();
    }

    async fn read(&self, reading: &mut (impl AsyncRead + Unpin)) -> io::Error {
        loop {
            let read = tokio::time::timeout(SILENCE_MAX, frame::read(reading, FRAME_BYTES_MAX));
            let body = match read.await {
                Ok(Ok(body)) => body,
                Ok(Err(error)) => return error,
                Err(_) => return io::ErrorKind::TimedOut.into(),
            };
            let parcels = match frame::parcels(&body) {
                Ok(parcels) => parcels,
                Err(error) => return error,
            };
            for parcel in parcels {
                if !self.hand_out(&parcel, body.slice_ref(parcel.payload)) {
                    let why = format!("kind {} is no answer that was asked for", parcel.kind);
                    return io::Error::new(io::ErrorKind::InvalidData, why);
                }
            }
        }
    }

    /// Gives an answer to who waits for it; false for what is no answer.
    fn hand_out(&self, parcel: &Read<'_>, payload: Bytes) -> bool {
        let mut waiting = self.waiting.lock();
        match parcel.kind {
            kind::ANSWER | kind::FAILED => {
                // Whoever has stopped waiting is not there any more.
                if let Some(Waiter::Answer(sender)) = waiting.waiters.remove(&parcel.id)
                    && parcel.kind == kind::ANSWER
                {
                    let _ = sender.send(payload);
                }
                true
            }
            kind::STREAM_ANSWER => match waiting.waiters.get(&parcel.id) {
                // More answers than were asked for end the connection.
                Some(Waiter::Stream(sender)) => {
                    sender.try_send(Streaming::Answer(payload)).is_ok() || sender.is_closed()
                }
                _ => true,
            },
            kind::STREAM_ENDED => {
                if let Some(Waiter::Stream(sender)) = waiting.waiters.remove(&parcel.id) {
                    let _ = sender.try_send(Streaming::Ended);
                }
                true
            }
            kind::PONG => true,
            _ => false,
        }
    }
}
