//! What waits to be written to one connection. Its writer takes all of it at once, as one frame.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::frame::{self, FRAME_BYTES_FULL, PAYLOAD_BYTES_MAX};

/// The bytes that may wait on one connection, beside what streams of appends hold permits for.
pub const OUTBOX_BYTES_MAX: usize = 64 << 20;

/// A parcel that waits.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) kind: u8,
    pub(super) id: u64,
    pub(super) payload: Bytes,
    /// Room that it takes of a stream's, given back when it is written.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Parcel {
    pub(super) fn new(kind: u8, id: u64, payload: Bytes) -> Self {
        Self { kind, id, payload, room: None }
    }
}

/// A parcel cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turned;

/// Parcels for one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    hurried: Notify,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// Something waits that must not linger.
    urgent: bool,
    closed: bool,
}

impl Outbox {
    /// Puts a parcel behind all others. One that is not urgent may wait a little for company.
    pub(super) fn push(&self, parcel: Parcel, urgent: bool) -> Result<(), Turned> {
        let mut state = self.state.lock();
        let bytes = if parcel.room.is_some() { 0 } else { parcel.payload.len() };
        let full = state.bytes > 0 && state.bytes + bytes > OUTBOX_BYTES_MAX;
        if state.closed || full || parcel.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Turned);
        }
        state.bytes += bytes;
        state.urgent |= urgent;
        state.parcels.push_back(parcel);
        drop(state);
        self.filled.notify_one();
        if urgent {
            self.hurried.notify_one();
        }
        Ok(())
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        let parcels = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.parcels)
        };
        drop(parcels);
        self.filled.notify_one();
        self.hurried.notify_one();
    }

    /// Waits for parcels, lets them gather for `linger` unless one is urgent, and takes them as a frame. Dropping the
    /// future loses nothing. The number is that of the parcels.
    pub(super) async fn next_frame(&self, linger: Duration) -> (Vec<u8>, usize) {
        loop {
            let (waiting, urgent) = {
                let state = self.state.lock();
                (!state.parcels.is_empty(), state.urgent)
            };
            if waiting && !urgent && !linger.is_zero() {
                // Whether it was hurried or has lingered: what is there goes.
                let _ = tokio::time::timeout(linger, self.hurried.notified()).await;
            }
            if waiting {
                return self.take();
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> (Vec<u8>, usize) {
        let mut state = self.state.lock();
        let (mut frame, mut parcels) = (frame::begin(), 0);
        while frame.len() < FRAME_BYTES_FULL {
            let Some(parcel) = state.parcels.pop_front() else { break };
            if parcel.room.is_none() {
                state.bytes -= parcel.payload.len();
            }
            frame::put(&mut frame, parcel.kind, parcel.id, &parcel.payload);
            parcels += 1;
        }
        state.urgent &= !state.parcels.is_empty();
        drop(state);
        (frame::end(frame), parcels)
    }
}
