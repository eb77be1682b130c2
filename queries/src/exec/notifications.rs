//! What statements notify and listen to: the seam of `pg_notify` and `pg_listening_channels`, and the rules that
//! `NOTIFY` and `LISTEN` share with them.

use parking_lot::Mutex;

use super::requests::Requests;
use crate::error::{Result, SqlError, SqlState};

/// The longest channel name, in bytes.
pub const CHANNEL_BYTES_MAX: usize = 63;

/// A payload is shorter than this, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 8000;

/// The notifications that one transaction may send.
pub const REQUESTED_NOTIFICATIONS_MAX: usize = 10_000;

/// A notification: a channel and a payload.
pub type Requested = (String, String);

/// The notifications of a session that its statements have asked for, and the channels it listens on. A session has
/// one, which all its statements share; it takes the notifications when a statement has ended.
#[derive(Debug, Default)]
pub struct Notifications {
    requested: Requests<Requested>,
    listening: Mutex<Vec<String>>,
}

impl Notifications {
    /// Asks for a notification; 22023 for a channel or a payload that cannot be.
    pub fn request(&self, channel: &str, payload: &str) -> Result<()> {
        check(channel, payload)?;
        let request = (channel.to_owned(), payload.to_owned());
        if self.requested.push(request, REQUESTED_NOTIFICATIONS_MAX) {
            Ok(())
        } else {
            Err(too_many())
        }
    }

    /// Takes what was asked for, in order.
    pub fn take(&self) -> Vec<Requested> {
        self.requested.take()
    }

    /// The channels that the session listens on, in order of their names.
    pub fn listening(&self) -> Vec<String> {
        self.listening.lock().clone()
    }

    /// Tells which channels the session listens on.
    pub fn set_listening(&self, channels: Vec<String>) {
        *self.listening.lock() = channels;
    }
}

/// Refuses what is no channel or too long a payload.
fn check(channel: &str, payload: &str) -> Result<()> {
    let refused = |message| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    if channel.is_empty() {
        return refused("channel name cannot be empty");
    }
    if channel.len() > CHANNEL_BYTES_MAX {
        return refused("channel name too long");
    }
    if payload.len() >= PAYLOAD_BYTES_MAX {
        return refused("payload string too long");
    }
    Ok(())
}

/// More notifications than a transaction may send.
pub fn too_many() -> SqlError {
    let message =
        format!("a transaction can send {REQUESTED_NOTIFICATIONS_MAX} notifications at most");
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}
