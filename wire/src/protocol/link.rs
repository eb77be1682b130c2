//! A connection's socket with its two buffers: waiting for input, flushing output, and looking at the client
//! while a statement runs.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use rotabase_queries::error::{SqlError, SqlState};
use tokio::sync::Notify;

use super::failure::{Failure, Outcome};
use super::input::{Frame, Input};
use super::limits::{BUFFER_BYTES_KEPT, OUTPUT_BYTES, READ_AHEAD_BYTES};
use super::metrics::ProtocolMetrics;
use super::output::Output;
use super::registry::{Place, Slot};
use super::stream::Stream;

/// How long a client that does not read may hold up the end of its session.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Why an idle connection woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// There is input.
    Input,
    /// The session has something for the client.
    Session,
}

/// A limit on waiting, and what is said when it has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleLimit {
    /// How long.
    pub(crate) after: Duration,
    /// The code.
    pub(crate) state: SqlState,
    /// The message.
    pub(crate) message: &'static str,
}

/// The socket of one connection and what is on its way in and out.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) place: Place,
    slot: Arc<Slot>,
    metrics: Arc<ProtocolMetrics>,
    /// The client has gone; what runs is finished, and nothing is sent any more.
    gone: bool,
}

impl Link {
    /// Takes over a socket.
    pub(crate) fn new(
        stream: Stream,
        input: Input,
        place: Place,
        metrics: Arc<ProtocolMetrics>,
    ) -> Self {
        let slot = Arc::clone(place.slot());
        Self { stream, input, output: Output::default(), place, slot, metrics, gone: false }
    }

    /// What others can reach of this connection.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Whether the server wants the session to end.
    pub(crate) fn is_terminated(&self) -> bool {
        self.slot.is_terminated()
    }

    /// The next message, waiting for it; what was answered so far is sent first.
    pub(crate) async fn frame(&mut self) -> Outcome<Frame> {
        loop {
            if let Some(frame) = self.input.next_frame().map_err(Failure::fatal)? {
                return Ok(frame);
            }
            self.flush().await?;
            self.read().await?;
        }
    }

    /// Waits for more input.
    pub(crate) async fn read(&mut self) -> Outcome<()> {
        if self.gone {
            return Err(Failure::Gone);
        }
        if self.is_terminated() {
            return Err(Failure::terminated());
        }
        tokio::select! {
            biased;
            read = self.stream.read(self.input.for_reading()) => match read {
                Ok(count) if count > 0 => {
                    self.metrics.bytes_received.add(count);
                    Ok(())
                }
                _ => self.lose(),
            },
            () = self.slot.wakeup.notified() => Err(Failure::terminated()),
        }
    }

    /// Waits for more input, or until the session has something to say.
    pub(crate) async fn read_idle(
        &mut self,
        session: &Notify,
        limit: Option<IdleLimit>,
    ) -> Outcome<Wake> {
        if self.is_terminated() {
            return Err(Failure::terminated());
        }
        tokio::select! {
            biased;
            read = self.stream.read(self.input.for_reading()) => match read {
                Ok(count) if count > 0 => {
                    self.metrics.bytes_received.add(count);
                    Ok(Wake::Input)
                }
                _ => self.lose().map(|()| Wake::Input),
            },
            () = self.slot.wakeup.notified() => Err(Failure::terminated()),
            () = session.notified() => Ok(Wake::Session),
            () = sleep(limit) => {
                let limit = limit.expect("without a limit it sleeps for ever");
                Err(Failure::fatal(SqlError::new(limit.state, limit.message)))
            }
        }
    }

    /// Runs a future of the session to its end, come what may. Meanwhile input is read ahead, so that a client
    /// that goes away is noticed and what it asked for is cancelled. It stays where it is, since it is large.
    pub(crate) async fn drive<F: Future>(&mut self, mut future: Pin<&mut F>) -> F::Output {
        if let Poll::Ready(output) = poll!(future.as_mut()) {
            return output;
        }
        loop {
            let listening = !self.gone && self.input.len() < READ_AHEAD_BYTES;
            tokio::select! {
                biased;
                output = &mut future => return output,
                read = self.stream.read(self.input.for_reading()), if listening => match read {
                    Ok(count) if count > 0 => self.metrics.bytes_received.add(count),
                    _ => {
                        self.gone = true;
                        self.slot.cancel_statement();
                    }
                },
                // The statement may have begun after the session was told to end.
                () = self.slot.wakeup.notified() => self.slot.cancel_statement(),
            }
        }
    }

    /// Sends the output if there is enough of it.
    pub(crate) async fn flush_if_full(&mut self) -> Outcome<()> {
        if self.is_full() { self.flush().await } else { Ok(()) }
    }

    /// Whether there is so much output that it has to be sent.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_BYTES
    }

    /// Sends the output. While the client does not read, this waits: nothing more is made than it takes.
    pub(crate) async fn flush(&mut self) -> Outcome<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        if self.gone {
            self.output.clear(BUFFER_BYTES_KEPT);
            return Err(Failure::Gone);
        }
        let written = {
            let mut write = pin!(self.stream.write(self.output.bytes()));
            if self.slot.is_terminated() {
                tokio::time::timeout(LAST_WRITE, write)
                    .await
                    .unwrap_or_else(|late| Err(late.into()))
            } else {
                tokio::select! {
                    biased;
                    written = &mut write => written,
                    () = self.slot.wakeup.notified() => {
                        tokio::time::timeout(LAST_WRITE, write).await.unwrap_or_else(|late| Err(late.into()))
                    }
                }
            }
        };
        self.metrics.bytes_sent.add(self.output.len());
        self.output.clear(BUFFER_BYTES_KEPT);
        match written {
            Ok(()) => Ok(()),
            Err(_) => self.lose(),
        }
    }

    /// Sends what is left and closes the connection; the client may be gone.
    pub(crate) async fn close(mut self) {
        if self.flush().await.is_ok() {
            let _ = tokio::time::timeout(LAST_WRITE, self.stream.shutdown()).await;
        }
    }

    fn lose(&mut self) -> Outcome<()> {
        self.gone = true;
        Err(Failure::Gone)
    }
}

async fn sleep(limit: Option<IdleLimit>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit.after).await,
        None => std::future::pending().await,
    }
}
