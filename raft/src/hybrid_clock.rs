//! The hybrid-logical clock of a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rotabase_engine::env::{Clock, Timestamp};
use rotabase_engine::planted::{self, Bug};

/// Gives timestamps that are near the wall clock, never repeat and never go back, whatever the wall clock does.
#[derive(Debug)]
pub(crate) struct HybridClock {
    wall: Arc<dyn Clock>,
    last: AtomicU64,
}

impl HybridClock {
    pub(crate) fn new(wall: Arc<dyn Clock>) -> Self {
        Self { wall, last: AtomicU64::new(0) }
    }

    pub(crate) fn now_microseconds(&self) -> i64 {
        self.wall.now_microseconds()
    }

    /// A timestamp later than all that were given or observed.
    pub(crate) fn tick(&self) -> Timestamp {
        let now = Timestamp::from_microseconds(self.wall.now_microseconds());
        if planted::has(Bug::ClockGoesBack) {
            return now;
        }
        let next = |last| Some(Timestamp(last).tick(now).0);
        let before = self
            .last
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next)
            .expect("always a next");
        Timestamp(before).tick(now)
    }

    /// Makes sure that later timestamps are later than one that was met in a log.
    pub(crate) fn observe(&self, timestamp: Timestamp) {
        self.last.fetch_max(timestamp.0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI64;

    #[derive(Debug, Default)]
    struct Wall(AtomicI64);

    impl Clock for Wall {
        fn now_microseconds(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn timestamps_only_grow_even_when_the_wall_clock_jumps_back() {
        let wall = Arc::new(Wall::default());
        let clock = HybridClock::new(Arc::<Wall>::clone(&wall));
        let mut last = Timestamp::default();
        for now in [5, 5, 5, 9, 2, 2, 30] {
            wall.0.store(now, Ordering::Relaxed);
            let next = clock.tick();
            assert!(next > last && next >= Timestamp::from_microseconds(now));
            last = next;
        }
        clock.observe(Timestamp(last.0 + 1000));
        assert!(clock.tick().0 > last.0 + 1000);
    }
}
