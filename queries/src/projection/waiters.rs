//! Those who wait until the projections have come as far as they have written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rotabase_engine::db::StoreError;
use rotabase_engine::position::{ENTRY_EVENTS_MAX, LogIndex, Position, Positions, ShardId};

/// The most that wait at a time.
const WAITERS_MAX: usize = 1 << 16;

/// What is called when the positions are reached, or when they never will be.
pub type Ready = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many statements wait for the projections")]
pub struct TooManyWaiters;

/// How far the projections have come, and who waits for more.
pub(crate) struct Waiters {
    // By shard. Only grow.
    reached: Box<[AtomicU64]>,
    // Whether anything is shown yet; until then nothing is reached, not even the start.
    shown: AtomicBool,
    waiting: Mutex<Waiting>,
    // Told when somebody begins to wait, and when nobody shall linger any more.
    asked: Condvar,
}

#[derive(Default)]
struct Waiting {
    by_number: BTreeMap<u64, (Positions, Ready)>,
    next: u64,
    hurried: bool,
    over: Option<StoreError>,
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").field("reached", &self.reached).finish_non_exhaustive()
    }
}

/// Somebody's place among those who wait; given up when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the place up"]
pub struct WaitGuard {
    waiters: Arc<Waiters>,
    number: Option<u64>,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // Dropped outside the lock: it is foreign code.
            let _ready = self.waiters.waiting.lock().by_number.remove(&number);
        }
    }
}

impl Waiters {
    /// For that many shards; unless something is `shown` already, all wait until it is.
    pub(crate) fn new(shards: u16, shown: bool) -> Self {
        // A feed cannot be asked for what is before index 1, so there is nothing to wait for.
        let start = Position::new(LogIndex(0), ENTRY_EVENTS_MAX - 1).to_i64().cast_unsigned();
        Self {
            reached: (0..shards).map(|_| AtomicU64::new(start)).collect(),
            shown: AtomicBool::new(shown),
            waiting: Mutex::default(),
            asked: Condvar::new(),
        }
    }

    /// How many had to wait until now.
    pub(crate) fn asked(&self) -> u64 {
        self.waiting.lock().next
    }

    /// Blocks for `time`, but not longer than until somebody waits.
    pub(crate) fn linger(&self, time: Duration) {
        let mut waiting = self.waiting.lock();
        if waiting.by_number.is_empty() && !waiting.hurried {
            // Woken without a reason, it is over a little early.
            let _timed_out = self.asked.wait_for(&mut waiting, time);
        }
    }

    /// Ends [`Waiters::linger`], now and from now on.
    pub(crate) fn hurry(&self) {
        self.waiting.lock().hurried = true;
        self.asked.notify_all();
    }

    /// Whether `positions` are reached.
    pub(crate) fn reached(&self, positions: &Positions) -> bool {
        self.shown.load(Ordering::Acquire)
            && positions.iter().all(|(shard, position)| {
                let reached = self
                    .reached
                    .get(usize::from(shard.0))
                    .map_or(0, |reached| reached.load(Ordering::Acquire));
                reached >= position.to_i64().cast_unsigned()
            })
    }

    /// How far they have come.
    pub(crate) fn positions(&self) -> Positions {
        let mut positions = Positions::default();
        for (shard, reached) in (0..).zip(&self.reached) {
            let position = Position::from_i64(reached.load(Ordering::Acquire).cast_signed());
            positions.advance(ShardId(shard), position.unwrap_or_default());
        }
        positions
    }

    /// Calls `ready` once `positions` are reached: now, or from the thread that reaches them.
    pub(crate) fn wait_for(
        self: &Arc<Self>,
        positions: &Positions,
        ready: Ready,
    ) -> Result<WaitGuard, TooManyWaiters> {
        let guard = |number| WaitGuard { waiters: Arc::clone(self), number };
        if self.reached(positions) {
            ready(Ok(()));
            return Ok(guard(None));
        }
        let mut waiting = self.waiting.lock();
        let answer = match &waiting.over {
            Some(over) => Err(over.clone()),
            // It may have been reached before the lock was taken; then nobody would call.
            None if self.reached(positions) => Ok(()),
            None if waiting.by_number.len() >= WAITERS_MAX => return Err(TooManyWaiters),
            None => {
                let number = waiting.next;
                waiting.next += 1;
                waiting.by_number.insert(number, (positions.clone(), ready));
                drop(waiting);
                self.asked.notify_all();
                return Ok(guard(Some(number)));
            }
        };
        drop(waiting);
        ready(answer);
        Ok(guard(None))
    }

    /// Raises what is reached and calls those who waited for it.
    pub(crate) fn advance(&self, positions: &Positions) {
        for (shard, position) in positions.iter() {
            if let Some(reached) = self.reached.get(usize::from(shard.0)) {
                reached.fetch_max(position.to_i64().cast_unsigned(), Ordering::AcqRel);
            }
        }
        self.shown.store(true, Ordering::Release);
        let ready: Vec<_> = {
            let mut waiting = self.waiting.lock();
            waiting.by_number.extract_if(.., |_, (positions, _)| self.reached(positions)).collect()
        };
        for (_, (_, ready)) in ready {
            ready(Ok(()));
        }
    }

    /// Tells all who wait, now or later, that nothing more will be reached.
    pub(crate) fn end(&self, reason: &StoreError) {
        let waiting = {
            let mut waiting = self.waiting.lock();
            waiting.over.get_or_insert_with(|| reason.clone());
            std::mem::take(&mut waiting.by_number)
        };
        for (_, ready) in waiting.into_values() {
            ready(Err(reason.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn at(index: u64) -> Positions {
        let mut positions = Positions::start(2);
        positions.advance(ShardId(1), Position::end_of(LogIndex(index)));
        positions
    }

    fn counting(calls: &Arc<AtomicU32>) -> Ready {
        let calls = Arc::clone(calls);
        Box::new(move |answer| {
            calls.fetch_add(if answer.is_ok() { 1 } else { 100 }, Ordering::SeqCst);
        })
    }

    #[test]
    fn who_waits_is_called_once_what_it_waits_for_is_reached() {
        let waiters = Arc::new(Waiters::new(2, true));
        let calls = Arc::new(AtomicU32::new(0));
        let _now = waiters.wait_for(&Positions::start(2), counting(&calls)).unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let _later = waiters.wait_for(&at(5), counting(&calls)).unwrap();
        waiters.advance(&at(4));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        waiters.advance(&at(5));
        waiters.advance(&at(6));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert_eq!(waiters.positions().get(ShardId(1)), at(6).get(ShardId(1)));
    }

    #[test]
    fn tokens_of_before_the_first_entry_are_reached() {
        let waiters = Waiters::new(2, true);
        let token: Positions = "1:1048575".parse().unwrap();
        assert_eq!(token.get(ShardId(1)).index(), LogIndex(0));
        assert!(waiters.reached(&token));
    }

    #[test]
    fn nothing_is_reached_before_anything_is_shown() {
        let waiters = Arc::new(Waiters::new(2, false));
        let calls = Arc::new(AtomicU32::new(0));
        let _later = waiters.wait_for(&Positions::default(), counting(&calls)).unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        waiters.advance(&Positions::start(2));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn nobody_lingers_while_somebody_waits() {
        const EVER: Duration = Duration::from_secs(3600);
        let waiters = Arc::new(Waiters::new(2, true));
        let before = waiters.wait_for(&at(5), Box::new(|_| ())).unwrap();
        waiters.linger(EVER);
        drop(before);
        let lingering = {
            let waiters = Arc::clone(&waiters);
            std::thread::spawn(move || waiters.linger(EVER))
        };
        let _after = waiters.wait_for(&at(5), Box::new(|_| ())).unwrap();
        lingering.join().unwrap();
    }

    #[test]
    fn nobody_lingers_once_it_is_to_end() {
        let waiters = Waiters::new(2, true);
        waiters.hurry();
        waiters.linger(Duration::from_secs(3600));
    }

    #[test]
    fn who_gives_up_is_not_called() {
        let waiters = Arc::new(Waiters::new(2, true));
        let calls = Arc::new(AtomicU32::new(0));
        drop(waiters.wait_for(&at(5), counting(&calls)).unwrap());
        waiters.advance(&at(5));
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_failure_is_told_to_all_who_wait_now_or_later() {
        let waiters = Arc::new(Waiters::new(2, true));
        let calls = Arc::new(AtomicU32::new(0));
        let _before = waiters.wait_for(&at(5), counting(&calls)).unwrap();
        waiters.end(&StoreError::Io("gone".to_owned()));
        let _after = waiters.wait_for(&at(5), counting(&calls)).unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 200);
    }
}
