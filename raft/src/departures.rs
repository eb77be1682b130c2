//! When the entries of a node's shards set out: together.
//!
//! An entry costs the same whatever it carries, and one that sets out alone is written and synced alone. So while
//! entries of the node are under way, the statements of its shards gather, and set out as one wave: once what is under
//! way has landed, or once as many have gathered as are under way, so that one wave is decided while the other is on
//! disk. A statement that comes while nothing is under way sets out at once.
//!
//! This is for shards whose only replica is here: what their entries wait for is the one log writer of the node. Those
//! of other shards wait for other machines, each for its own, and must not wait for each other. Nor does anybody wait
//! for the entries of a long statement, of which some are under way as long as it takes.

use std::sync::Arc;

use parking_lot::Mutex;
use rotabase_engine::position::ShardId;
use tokio::sync::Notify;

/// The departures of a node.
#[derive(Debug)]
pub(crate) struct Departures {
    /// What wakes the leader tasks, in the order of their shards.
    wakes: Vec<Arc<Notify>>,
    board: Mutex<Board>,
}

#[derive(Debug)]
struct Board {
    /// The statements that have departed and have not landed.
    under_way: usize,
    /// The statements of all that are held.
    gathered: usize,
    shards: Vec<Gate>,
}

/// What the leader of a shard was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Nothing: it has not asked since it departed.
    Closed,
    /// To wait with so many statements.
    Held(usize),
    /// To go with the wave.
    Called,
}

impl Departures {
    /// Those of a node with so many shards.
    pub(crate) fn new(shards: u16) -> Self {
        let wakes = (0..shards).map(|_| Arc::default()).collect();
        let shards = vec![Gate::Closed; usize::from(shards)];
        let board = Mutex::new(Board { under_way: 0, gathered: 0, shards });
        Self { wakes, board }
    }

    /// What wakes the leader task of a shard.
    pub(crate) fn wake(&self, shard: ShardId) -> &Arc<Notify> {
        &self.wakes[usize::from(shard.0)]
    }

    /// Whether a shard's leader may depart with so many statements. If not, it is woken when it may.
    pub(crate) fn may_depart(&self, shard: ShardId, statements: usize) -> bool {
        let mut board = self.board.lock();
        let gate = board.close(shard);
        if gate == Gate::Called {
            return true;
        }
        if board.under_way > 0 && board.gathered + statements < board.under_way {
            board.gathered += statements;
            board.shards[usize::from(shard.0)] = Gate::Held(statements);
            return false;
        }
        self.call(&mut board);
        true
    }

    /// So many statements have departed.
    pub(crate) fn departed(&self, statements: usize) {
        self.board.lock().under_way += statements;
    }

    /// So many have landed, however that was.
    pub(crate) fn landed(&self, statements: usize) {
        let mut board = self.board.lock();
        board.under_way -= statements;
        if board.under_way == 0 {
            self.call(&mut board);
        }
    }

    /// A shard's leader departs no more.
    pub(crate) fn leave(&self, shard: ShardId) {
        self.board.lock().close(shard);
    }

    /// Calls all that are held.
    fn call(&self, board: &mut Board) {
        for (gate, wake) in board.shards.iter_mut().zip(&self.wakes) {
            if let Gate::Held(_) = gate {
                *gate = Gate::Called;
                wake.notify_one();
            }
        }
        board.gathered = 0;
    }
}

impl Board {
    /// What a shard's leader was told, which it is told no more.
    fn close(&mut self, shard: ShardId) -> Gate {
        let gate = std::mem::replace(&mut self.shards[usize::from(shard.0)], Gate::Closed);
        if let Gate::Held(statements) = gate {
            self.gathered -= statements;
        }
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn is_woken(departures: &Departures, shard: ShardId) -> bool {
        departures.wake(shard).notified().now_or_never().is_some()
    }

    #[test]
    fn what_comes_alone_departs_at_once() {
        let departures = Departures::new(2);
        assert!(departures.may_depart(ShardId(0), 1));
    }

    #[test]
    fn what_comes_while_others_are_under_way_departs_when_they_have_landed() {
        let departures = Departures::new(3);
        departures.departed(3);
        assert!(!departures.may_depart(ShardId(0), 1));
        assert!(!departures.may_depart(ShardId(1), 1));
        departures.landed(1);
        assert!(!is_woken(&departures, ShardId(0)) && !is_woken(&departures, ShardId(1)));
        departures.landed(2);
        assert!(is_woken(&departures, ShardId(0)) && is_woken(&departures, ShardId(1)));
        assert!(!is_woken(&departures, ShardId(2)), "it has nothing");
        departures.departed(1);
        assert!(departures.may_depart(ShardId(0), 1), "it was called before the other departed");
        assert!(!departures.may_depart(ShardId(2), 1) || departures.may_depart(ShardId(1), 1));
    }

    #[test]
    fn a_wave_departs_once_it_is_as_large_as_what_is_under_way() {
        let departures = Departures::new(3);
        departures.departed(4);
        assert!(!departures.may_depart(ShardId(0), 2));
        assert!(!departures.may_depart(ShardId(0), 3), "what it had before counts once");
        assert!(departures.may_depart(ShardId(1), 1));
        assert!(is_woken(&departures, ShardId(0)));
        departures.departed(1);
        assert!(departures.may_depart(ShardId(0), 5));
    }

    #[test]
    fn what_a_leader_leaves_behind_does_not_count() {
        let departures = Departures::new(2);
        departures.departed(2);
        assert!(!departures.may_depart(ShardId(0), 1));
        departures.leave(ShardId(0));
        assert!(!departures.may_depart(ShardId(1), 1));
        departures.landed(2);
        assert!(!is_woken(&departures, ShardId(0)) && is_woken(&departures, ShardId(1)));
    }
}
