//! The session's time limits on being idle, kept parsed while the settings stay the same.

use std::sync::Arc;
use std::time::Duration;

use rotabase_queries::error::SqlState;
use rotabase_queries::exec::Settings;

use super::link::IdleLimit;
use crate::session::SessionApi;

/// What the settings said when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Timeouts {
    seen: Option<Arc<Settings>>,
    idle: Option<Duration>,
    idle_in_transaction: Option<Duration>,
}

impl Timeouts {
    /// How long a session with this transaction status may be idle.
    pub(crate) fn limit<S: SessionApi>(&mut self, status: u8, session: &S) -> Option<IdleLimit> {
        let settings = session.settings();
        if !self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &settings)) {
            let read = |name: &str| settings.all.get(name).and_then(|text| milliseconds(text));
            self.idle = read("idle_session_timeout");
            self.idle_in_transaction = read("idle_in_transaction_session_timeout");
            self.seen = Some(settings);
        }
        if status == b'I' {
            let message = "terminating connection due to idle-session timeout";
            self.idle.map(|after| IdleLimit {
                after,
                state: SqlState::IDLE_SESSION_TIMEOUT,
                message,
            })
        } else {
            let message = "terminating connection due to idle-in-transaction timeout";
            let state = SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT;
            self.idle_in_transaction.map(|after| IdleLimit { after, state, message })
        }
    }
}

/// Reads a duration as PostgreSQL writes it: a number and a unit, milliseconds without one. None for 0 and
/// for what is no duration, which the session refuses to set.
fn milliseconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let milliseconds = number.checked_mul(factor).filter(|milliseconds| *milliseconds > 0)?;
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(milliseconds("0"), None);
        assert_eq!(milliseconds("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(milliseconds("10min"), Some(Duration::from_mins(10)));
        assert_eq!(milliseconds("1 s"), Some(Duration::from_secs(1)));
        assert_eq!(milliseconds("x"), None);
    }
}
