//! How new a replica is: heartbeats that were heard, and which of them its projections cover.

use std::collections::VecDeque;

use rotabase_engine::position::Positions;
use rotabase_queries::projection::Projections;

/// The heartbeats that may wait to be covered; beyond them the newest one takes the place of the one before it.
const WAITING_MAX: usize = 256;

/// The heartbeats of a replica.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    waiting: VecDeque<(i64, Positions)>,
    heard: Option<(i64, Positions)>,
    fresh_at: Option<i64>,
    committed: Positions,
}

impl Freshness {
    /// Takes a heartbeat: at `at` there was `positions`, and the log has all of it.
    pub(super) fn hear(&mut self, at: i64, positions: Positions) {
        self.committed.merge(&positions);
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_back();
        }
        self.waiting.push_back((at, positions.clone()));
        self.heard = Some((at, positions));
    }

    /// Looks which heartbeats are covered by now.
    pub(super) fn settle(&mut self, projections: &Projections) {
        self.settle_by(|positions| projections.reached(positions));
    }

    fn settle_by(&mut self, reached: impl Fn(&Positions) -> bool) {
        while let Some((at, positions)) = self.waiting.front() {
            if !reached(positions) {
                return;
            }
            self.fresh_at = self.fresh_at.max(Some(*at));
            self.waiting.pop_front();
        }
    }

    /// The moment that the projections are as new as.
    pub(super) fn fresh_at(&self) -> Option<i64> {
        self.fresh_at
    }

    /// Everything that the source was heard to have.
    pub(super) fn committed(&self) -> &Positions {
        &self.committed
    }

    /// The newest heartbeat.
    pub(super) fn heard(&self) -> Option<(i64, Positions)> {
        self.heard.clone()
    }
}

#[cfg(test)]
mod tests {
    use rotabase_engine::position::{LogIndex, Position, ShardId};

    use super::*;

    fn positions(index: u64) -> Positions {
        let mut positions = Positions::default();
        positions.advance(ShardId(0), Position::end_of(LogIndex(index)));
        positions
    }

    #[test]
    fn a_replica_is_as_new_as_the_last_heartbeat_that_its_projections_cover() {
        let mut freshness = Freshness::default();
        assert_eq!(freshness.fresh_at(), None);
        for index in 1..=3 {
            freshness.hear(i64::try_from(index).expect("small") * 100, positions(index));
        }
        freshness.settle_by(|wanted| positions(2).covers(wanted));
        assert_eq!(freshness.fresh_at(), Some(200));
        assert!(freshness.committed().covers(&positions(3)));
        for index in 4..1000 {
            freshness.hear(i64::try_from(index).expect("small") * 100, positions(index));
        }
        assert!(freshness.waiting.len() <= WAITING_MAX);
        freshness.settle_by(|_| true);
        assert_eq!(freshness.fresh_at(), Some(99_900));
    }
}
