//! Settings that a running statement asks its session to change: the seam of `set_config`.

use super::requests::Requests;
use crate::error::{Result, SqlError, SqlState};

/// The most changes that one statement may ask for.
pub const REQUESTED_SETTINGS_MAX: usize = 1000;

/// A change that a statement asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedSetting {
    /// The setting, in lower case.
    pub name: String,
    /// Its new value; none returns it to its default.
    pub value: Option<String>,
    /// Whether the change ends with the transaction.
    pub local: bool,
}

/// The changes asked for since the session last took them. A session has one, which all its statements share; it
/// takes them when a statement has ended and carries them out as it does `SET`.
#[derive(Debug, Default)]
pub struct RequestedSettings(Requests<RequestedSetting>);

impl RequestedSettings {
    /// Asks for a change.
    pub fn request(&self, name: String, value: Option<String>, local: bool) -> Result<()> {
        if self.0.push(RequestedSetting { name, value, local }, REQUESTED_SETTINGS_MAX) {
            return Ok(());
        }
        let message =
            format!("a statement can change settings {REQUESTED_SETTINGS_MAX} times at most");
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
    }

    /// The value that was last asked for.
    pub fn value(&self, name: &str) -> Option<String> {
        let requested = self.0.waiting();
        requested.iter().rev().find(|it| it.name == name).and_then(|it| it.value.clone())
    }

    /// Takes the changes, in the order in which they were asked for.
    pub fn take(&self) -> Vec<RequestedSetting> {
        self.0.take()
    }
}
