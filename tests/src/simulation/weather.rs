//! What becomes of messages: how long they take, which are lost, doubled or overtaken, and which ways are cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::BoxFuture;
use rotabase_engine::position::ShardId;
use rotabase_raft::simulated::Weather;
use rotabase_raft::type_config::MachineId;

use super::dice::Dice;
use super::stage::Stage;

/// The network's weather.
#[derive(Debug)]
pub(crate) struct Climate {
    stage: Arc<Stage>,
    dice: Dice,
    state: Mutex<State>,
    /// The newest terms that machines have voted in, of the shards of each of their nodes.
    promises: Mutex<BTreeMap<(MachineId, u8, ShardId), u64>>,
}

#[derive(Debug, Default)]
struct State {
    /// Of a thousand messages, how many are lost, doubled, and much later than others.
    lost: u64,
    doubled: u64,
    late: u64,
    /// Ways that carry nothing, from the first machine to the second.
    cut: BTreeSet<(MachineId, MachineId)>,
}

impl Climate {
    pub(crate) fn new(stage: Arc<Stage>, dice: Dice) -> Arc<Self> {
        Arc::new(Self { stage, dice, state: Mutex::default(), promises: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the weather")
    }

    pub(crate) fn lose(&self, of_thousand: u64) {
        self.state().lost = of_thousand;
    }

    pub(crate) fn double(&self, of_thousand: u64) {
        self.state().doubled = of_thousand;
    }

    pub(crate) fn delay(&self, of_thousand: u64) {
        self.state().late = of_thousand;
    }

    pub(crate) fn cut(&self, from: MachineId, to: MachineId) {
        self.state().cut.insert((from, to));
    }

    /// The newest term that a machine has said it voted in.
    pub(crate) fn promised_term(&self, machine: MachineId, (node, shard): (u8, ShardId)) -> u64 {
        let promises = self.promises.lock().expect("nothing panics while it holds them");
        promises.get(&(machine, node, shard)).copied().unwrap_or_default()
    }

    /// All ways carry again, and nothing is lost.
    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    /// All ways carry again.
    pub(crate) fn heal(&self) {
        self.state().cut.clear();
    }
}

impl Weather for Climate {
    fn fate(&self, from: MachineId, to: MachineId) -> Vec<Duration> {
        let state = self.state();
        if state.cut.contains(&(from, to)) || self.dice.chance(state.lost) {
            return Vec::new();
        }
        let delay = || {
            if self.dice.chance(state.late) {
                self.dice.milliseconds(5, 250)
            } else {
                self.dice.milliseconds(1, 3)
            }
        };
        let mut copies = vec![delay()];
        if self.dice.chance(state.doubled) {
            copies.push(delay() + self.dice.milliseconds(0, 100));
        }
        copies
    }

    fn is_open(&self, from: MachineId, to: MachineId) -> bool {
        !self.state().cut.contains(&(from, to))
    }

    fn start(&self, machine: MachineId, task: BoxFuture<'static, ()>) {
        self.stage.start_on(machine, task);
    }

    fn promised(&self, machine: MachineId, (node, shard): (u8, ShardId), term: u64) {
        let mut promises = self.promises.lock().expect("nothing panics while it holds them");
        let newest = promises.entry((machine, node, shard)).or_default();
        *newest = term.max(*newest);
    }
}
