//! Who is connected: process ids and cancel keys, the number of places, and the way to stop a session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rotabase_engine::env::Random;
use rotabase_queries::error::{Result, SqlError, SqlState};
use tokio::sync::Notify;

use super::limits::CANCEL_KEY_BYTES;
use crate::session::CancelHandle;

/// All connections of a server.
#[derive(Debug)]
pub struct Registry {
    connections_max: usize,
    connections_reserved: usize,
    random: Arc<dyn Random>,
    state: Mutex<State>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    last_pid: i32,
    by_pid: BTreeMap<i32, Arc<Slot>>,
    /// Connections with a session; the others are still in start-up.
    sessions: usize,
    stopping: bool,
}

impl Registry {
    /// A registry with `connections_max` places, the last `connections_reserved` of them for administrators.
    pub fn new(
        connections_max: usize,
        connections_reserved: usize,
        random: Arc<dyn Random>,
    ) -> Arc<Self> {
        let state = Mutex::new(State::default());
        Arc::new(Self {
            connections_max,
            connections_reserved,
            random,
            state,
            emptied: Notify::new(),
        })
    }

    /// Notes a new connection, which gives it its process id and its cancel key.
    pub(crate) fn register(self: &Arc<Self>) -> Place {
        let mut key = [0; CANCEL_KEY_BYTES];
        for part in key.chunks_exact_mut(8) {
            part.copy_from_slice(&self.random.next_u64().to_be_bytes());
        }
        let mut state = self.state.lock();
        let mut pid = state.last_pid;
        loop {
            pid = pid.checked_add(1).unwrap_or(1);
            if !state.by_pid.contains_key(&pid) {
                break;
            }
        }
        state.last_pid = pid;
        let slot = Arc::new(Slot {
            pid,
            key,
            cancel: Mutex::new(None),
            terminated: AtomicBool::new(state.stopping),
            wakeup: Notify::new(),
        });
        state.by_pid.insert(pid, Arc::clone(&slot));
        Place { registry: Arc::clone(self), slot, admitted: false }
    }

    /// The number of connections, those in start-up included.
    pub fn connections(&self) -> usize {
        self.state.lock().by_pid.len()
    }

    /// The number of sessions.
    pub fn sessions(&self) -> usize {
        self.state.lock().sessions
    }

    /// Whether so many connections are there that a further one is not even asked for its name.
    pub(crate) fn is_full(&self, starting_max: usize) -> bool {
        self.connections() >= self.connections_max + starting_max
    }

    /// Stops what the session `pid` does, if the key is right. It is not told whether it was.
    pub(crate) fn cancel(&self, pid: i32, key: &[u8]) -> bool {
        let Some(slot) = self.state.lock().by_pid.get(&pid).cloned() else { return false };
        // All bytes are looked at, so that the time does not tell how many were right.
        let expected = slot.key.get(..key.len()).unwrap_or_default();
        let differing =
            expected.iter().zip(key).fold(0, |differing, (left, right)| differing | (left ^ right));
        let right = matches!(key.len(), 4 | CANCEL_KEY_BYTES)
            && expected.len() == key.len()
            && differing == 0;
        if right {
            slot.cancel_statement();
        }
        right
    }

    /// Stops what the session `pid` does, for `pg_cancel_backend`; whether there is such a session.
    pub fn cancel_session(&self, pid: i32) -> bool {
        let slot = self.state.lock().by_pid.get(&pid).cloned();
        slot.inspect(|slot| slot.cancel_statement()).is_some()
    }

    /// Ends the session `pid`, for `pg_terminate_backend`; whether there is such a session.
    pub fn terminate_session(&self, pid: i32) -> bool {
        let slot = self.state.lock().by_pid.get(&pid).cloned();
        slot.inspect(|slot| slot.terminate()).is_some()
    }

    /// Ends all sessions, those that are about to start too.
    pub(crate) fn terminate_all(&self) {
        let slots: Vec<Arc<Slot>> = {
            let mut state = self.state.lock();
            state.stopping = true;
            state.by_pid.values().cloned().collect()
        };
        for slot in slots {
            slot.terminate();
        }
    }

    /// Waits until nobody is connected.
    pub(crate) async fn wait_until_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.connections() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// A connection's place in the registry; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Arc<Registry>,
    slot: Arc<Slot>,
    admitted: bool,
}

impl Place {
    /// What others can reach of this connection.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Takes a place for a session; 53300 if there is none left for this role.
    pub(crate) fn admit(&mut self, superuser: bool) -> Result<()> {
        let registry = &self.registry;
        let mut state = registry.state.lock();
        if state.sessions >= registry.connections_max {
            return Err(SqlError::new(
                SqlState::TOO_MANY_CONNECTIONS,
                "sorry, too many clients already",
            ));
        }
        if !superuser && state.sessions + registry.connections_reserved >= registry.connections_max
        {
            let message = "remaining connection slots are reserved for superuser connections";
            return Err(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, message));
        }
        state.sessions += 1;
        self.admitted = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        state.by_pid.remove(&self.slot.pid);
        state.sessions -= usize::from(self.admitted);
        if state.by_pid.is_empty() {
            self.registry.emptied.notify_waiters();
        }
    }
}

/// What others can reach of a connection.
pub(crate) struct Slot {
    pub(crate) pid: i32,
    pub(crate) key: [u8; CANCEL_KEY_BYTES],
    cancel: Mutex<Option<CancelHandle>>,
    terminated: AtomicBool,
    /// Notified when the session has to end.
    pub(crate) wakeup: Notify,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Slot {
    /// Sets what cancels the session's statement.
    pub(crate) fn set_cancel(&self, handle: CancelHandle) {
        *self.cancel.lock() = Some(handle);
    }

    /// Whether the session has to end.
    pub(crate) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }

    /// Stops the running statement.
    pub(crate) fn cancel_statement(&self) {
        let handle = self.cancel.lock().clone();
        if let Some(handle) = handle {
            handle();
        }
    }

    fn terminate(&self) {
        self.terminated.store(true, Ordering::Release);
        self.wakeup.notify_one();
        self.cancel_statement();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::env::SystemRandom;

    fn registry() -> Arc<Registry> {
        Registry::new(3, 1, Arc::new(SystemRandom::new()))
    }

    #[test]
    fn the_last_place_is_for_an_administrator() {
        let registry = registry();
        let mut places: Vec<Place> = (0..4).map(|_| registry.register()).collect();
        assert!(places[0].admit(false).is_ok());
        assert!(places[1].admit(false).is_ok());
        assert_eq!(places[2].admit(false).unwrap_err().state, SqlState::TOO_MANY_CONNECTIONS);
        assert!(places[2].admit(true).is_ok());
        assert_eq!(places[3].admit(true).unwrap_err().message, "sorry, too many clients already");
        places.remove(0);
        assert!(places[2].admit(true).is_ok());
    }

    #[test]
    fn only_the_right_key_cancels() {
        let registry = registry();
        let place = registry.register();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        place.slot().set_cancel(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        let (pid, key) = (place.slot().pid, place.slot().key);
        assert!(registry.cancel(pid, &key[..4]));
        assert!(registry.cancel(pid, &key));
        let mut wrong = key;
        wrong[31] ^= 1;
        for bad in [&wrong[..], &key[..3], &key[..5], &[]] {
            assert!(!registry.cancel(pid, bad));
        }
        assert!(!registry.cancel(pid + 1, &key));
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
