//! The advisory locks of a node: who holds which, and who waits.
//!
//! They are between the sessions of one node, as in PostgreSQL between those of one server, and end with their
//! session or their transaction. Nothing of them is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rotabase_queries::catalog::{AdvisoryKey, AdvisoryLock, AdvisoryRow};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Cancel;

/// The most locks that all sessions may hold together.
const LOCKS_MAX: usize = 100_000;

/// How often a session that waits looks whether it has been cancelled.
const WAIT_SLICE: Duration = Duration::from_millis(20);

/// All advisory locks of a node.
#[derive(Debug, Default)]
pub(crate) struct AdvisoryLocks {
    state: Mutex<State>,
    /// A lock was given back.
    released: Condvar,
    /// How many are held until the end of a transaction.
    of_transactions: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<AdvisoryKey, Vec<Hold>>,
    waiting: BTreeMap<i32, (AdvisoryKey, bool)>,
    count: usize,
}

/// That a session holds a lock, how and how often.
#[derive(Clone, Copy, Debug)]
struct Hold {
    pid: i32,
    shared: bool,
    transaction: bool,
    times: usize,
}

/// Gives a session's locks back when it ends.
#[derive(Debug)]
pub(crate) struct Held {
    locks: Arc<AdvisoryLocks>,
    pid: i32,
}

impl State {
    /// The other sessions that hold what stands in the way.
    fn blockers(&self, pid: i32, key: AdvisoryKey, shared: bool) -> impl Iterator<Item = i32> {
        let holds = self.held.get(&key).into_iter().flatten();
        holds.filter(move |hold| hold.pid != pid && !(shared && hold.shared)).map(|hold| hold.pid)
    }

    fn take(&mut self, pid: i32, lock: AdvisoryLock) -> Result<bool> {
        if self.blockers(pid, lock.key, lock.shared).next().is_some() {
            return Ok(false);
        }
        let holds = self.held.entry(lock.key).or_default();
        let same = |hold: &&mut Hold| {
            hold.pid == pid && hold.shared == lock.shared && hold.transaction == lock.transaction
        };
        if let Some(hold) = holds.iter_mut().find(same) {
            hold.times += 1;
            return Ok(true);
        }
        if self.count >= LOCKS_MAX {
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of shared memory").with_hint(
                format!("All sessions together hold at most {LOCKS_MAX} advisory locks."),
            ));
        }
        let AdvisoryLock { shared, transaction, .. } = lock;
        holds.push(Hold { pid, shared, transaction, times: 1 });
        self.count += 1;
        Ok(true)
    }

    /// Whether a session waits for itself, through others.
    fn is_deadlocked(&self, pid: i32) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![pid];
        while let Some(at) = next.pop() {
            let Some((key, shared)) = self.waiting.get(&at) else { continue };
            for blocker in self.blockers(at, *key, *shared) {
                if blocker == pid {
                    return true;
                }
                if seen.insert(blocker) {
                    next.push(blocker);
                }
            }
        }
        false
    }

    /// Drops a session's holds; how many there were.
    fn drop_holds(&mut self, drop: impl Fn(&Hold) -> bool) -> usize {
        let mut dropped = 0;
        self.held.retain(|_, holds| {
            let before = holds.len();
            holds.retain(|hold| !drop(hold));
            dropped += before - holds.len();
            !holds.is_empty()
        });
        self.count -= dropped;
        dropped
    }
}

impl AdvisoryLocks {
    /// A session's locks, which are given back when this is dropped.
    pub(crate) fn of_session(self: &Arc<Self>, pid: i32) -> Held {
        Held { locks: Arc::clone(self), pid }
    }

    /// Takes a lock if nobody is in the way.
    pub(crate) fn try_lock(&self, pid: i32, lock: AdvisoryLock) -> Result<bool> {
        let taken = self.state.lock().take(pid, lock)?;
        self.of_transactions.fetch_add(usize::from(taken && lock.transaction), Ordering::Relaxed);
        Ok(taken)
    }

    /// Takes a lock when nobody is in the way any more; 40P01 if that would never be, 55P03 after the timeout.
    pub(crate) fn lock(
        &self,
        pid: i32,
        lock: AdvisoryLock,
        cancel: &Cancel,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut state = self.state.lock();
        let result = loop {
            match state.take(pid, lock) {
                Ok(false) => {}
                taken => break taken,
            }
            state.waiting.insert(pid, (lock.key, lock.shared));
            if state.is_deadlocked(pid) {
                break Err(SqlError::new(SqlState("40P01"), "deadlock detected")
                    .with_detail("The sessions wait for each other's advisory locks."));
            }
            if let Err(error) = cancel.check() {
                break Err(error);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let message = "canceling statement due to lock timeout";
                break Err(SqlError::new(SqlState("55P03"), message));
            }
            self.released.wait_for(&mut state, WAIT_SLICE);
        };
        state.waiting.remove(&pid);
        self.of_transactions
            .fetch_add(usize::from(result.is_ok() && lock.transaction), Ordering::Relaxed);
        result.map(|_| ())
    }

    /// Gives a lock of the session back once; whether it was held.
    pub(crate) fn unlock(&self, pid: i32, lock: AdvisoryLock) -> bool {
        let mut state = self.state.lock();
        let Some(holds) = state.held.get_mut(&lock.key) else { return false };
        let same = |hold: &Hold| hold.pid == pid && hold.shared == lock.shared && !hold.transaction;
        let Some(place) = holds.iter().position(same) else { return false };
        holds[place].times -= 1;
        if holds[place].times == 0 {
            holds.remove(place);
            if holds.is_empty() {
                state.held.remove(&lock.key);
            }
            state.count -= 1;
            self.released.notify_all();
        }
        true
    }

    /// Gives back all locks of the session that do not end with its transaction.
    pub(crate) fn unlock_all(&self, pid: i32) {
        self.state.lock().drop_holds(|hold| hold.pid == pid && !hold.transaction);
        self.released.notify_all();
    }

    /// All locks that are held or waited for.
    pub(crate) fn rows(&self) -> Vec<AdvisoryRow> {
        let state = self.state.lock();
        let held = state.held.iter().flat_map(|(key, holds)| {
            holds.iter().map(|hold| AdvisoryRow {
                pid: hold.pid,
                key: *key,
                shared: hold.shared,
                granted: true,
            })
        });
        let waiting = state.waiting.iter().map(|(pid, (key, shared))| AdvisoryRow {
            pid: *pid,
            key: *key,
            shared: *shared,
            granted: false,
        });
        held.chain(waiting).collect()
    }
}

impl Held {
    /// Gives back what is held until the end of the transaction.
    pub(crate) fn end_transaction(&self) {
        if self.locks.of_transactions.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut state = self.locks.state.lock();
        let own = |hold: &Hold| hold.pid == self.pid && hold.transaction;
        let times: usize =
            state.held.values().flatten().filter(|it| own(it)).map(|it| it.times).sum();
        if state.drop_holds(own) > 0 {
            self.locks.of_transactions.fetch_sub(times, Ordering::Relaxed);
            self.locks.released.notify_all();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end_transaction();
        self.locks.unlock_all(self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(object: u32, shared: bool, transaction: bool) -> AdvisoryLock {
        AdvisoryLock { key: AdvisoryKey { class: 0, object, kind: 1 }, shared, transaction }
    }

    #[test]
    fn a_lock_is_one_sessions_unless_it_is_shared() {
        let locks = Arc::new(AdvisoryLocks::default());
        let (one, two) = (locks.of_session(1), locks.of_session(2));
        assert_eq!(locks.try_lock(1, lock(7, false, false)), Ok(true));
        assert_eq!(locks.try_lock(1, lock(7, false, false)), Ok(true));
        assert_eq!(locks.try_lock(2, lock(7, false, false)), Ok(false));
        assert!(locks.unlock(1, lock(7, false, false)));
        assert_eq!(locks.try_lock(2, lock(7, true, false)), Ok(false));
        assert!(locks.unlock(1, lock(7, false, false)));
        assert!(!locks.unlock(1, lock(7, false, false)));
        assert_eq!(locks.try_lock(2, lock(7, true, false)), Ok(true));
        assert_eq!(locks.try_lock(1, lock(7, true, true)), Ok(true));
        one.end_transaction();
        drop(two);
        assert_eq!(locks.rows(), []);
        assert_eq!(locks.of_transactions.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn sessions_that_wait_for_each_other_are_told() {
        let locks = Arc::new(AdvisoryLocks::default());
        for (pid, object) in [(1, 1), (2, 2)] {
            assert_eq!(locks.try_lock(pid, lock(object, false, false)), Ok(true));
        }
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let result = locks.lock(1, lock(2, false, false), &Cancel::default(), None);
                locks.unlock_all(1);
                result
            });
            let second = locks.lock(2, lock(1, false, false), &Cancel::default(), None);
            locks.unlock_all(2);
            let results = [first.join().expect("no panic"), second];
            let deadlocked =
                results.iter().filter(|it| it.as_ref().is_err_and(|it| it.state.0 == "40P01"));
            assert_eq!(deadlocked.count(), 1, "{results:?}");
        });
    }

    #[test]
    fn a_wait_ends_with_its_timeout_and_when_it_is_cancelled() {
        let locks = AdvisoryLocks::default();
        assert_eq!(locks.try_lock(1, lock(1, false, false)), Ok(true));
        let timeout = Some(Duration::from_millis(1));
        let error = locks.lock(2, lock(1, false, false), &Cancel::default(), timeout).unwrap_err();
        assert_eq!(error.state.0, "55P03");
        let cancel = Cancel::default();
        cancel.cancel();
        let error = locks.lock(2, lock(1, false, false), &cancel, None).unwrap_err();
        assert_eq!(error.state, SqlState::QUERY_CANCELED);
        assert_eq!(locks.rows().len(), 1);
    }
}
