//! What goes wrong: faults that come and go while clients ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::db::DiskFaults;
use rotabase_engine::position::ShardId;
use rotabase_raft::type_config::MachineId;

use super::clients::Company;
use super::dice::Dice;
use super::machine::{Machine, Role, SHARDS};
use super::operator::{Act, Operator};
use super::weather::Climate;

/// The kinds of faults that a seed has, so that each gets its chance undisturbed.
const KINDS: usize = 6;

/// How long the power waits for a bad moment to fail.
const AMBUSH_MILLISECONDS: u32 = 300;

/// How long after its process has ended by itself a machine is started again.
const RESTART: Duration = Duration::from_millis(300);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Messages are lost.
    Loss,
    /// Messages arrive twice.
    Duplication,
    /// Messages take long, and overtake each other.
    Delay,
    /// A machine is not heard by another.
    OneWayPartition,
    /// A machine is cut off from all others.
    Partition,
    /// A process stops, and goes on later as if nothing had been.
    Pause,
    /// A clock is wrong.
    ClockJump,
    /// The power of a machine fails: some of what was not synced is lost, or all of it.
    Crash,
    /// The same, and the write that was under way is there in part.
    TornWrite,
    /// The power fails everywhere.
    PowerCut,
    /// Syncs take long.
    SlowDisk,
    /// A sync fails.
    SyncError,
    /// A write fails.
    WriteError,
    /// A read fails.
    ReadError,
    /// A stored bit is another one.
    BitFlip,
    /// The storage engine writes its memory out at some moment of its own.
    Flush,
    /// A leader is told to hand over.
    Transfer,
    /// A machine becomes a member.
    Join,
    /// A member is to vote nowhere.
    Drain,
    /// A member is to vote in a shard in the place of another.
    MoveShard,
    /// A member is let go.
    Remove,
    /// A machine's disk is lost, and another machine takes its place.
    DiskLoss,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 22] = [
        Self::Loss,
        Self::Duplication,
        Self::Delay,
        Self::OneWayPartition,
        Self::Partition,
        Self::Pause,
        Self::ClockJump,
        Self::Crash,
        Self::TornWrite,
        Self::PowerCut,
        Self::SlowDisk,
        Self::SyncError,
        Self::WriteError,
        Self::ReadError,
        Self::BitFlip,
        Self::Flush,
        Self::Transfer,
        Self::Join,
        Self::Drain,
        Self::MoveShard,
        Self::Remove,
        Self::DiskLoss,
    ];
}

/// Lets things go wrong.
#[derive(Debug)]
pub(crate) struct Trouble {
    company: Arc<Company>,
    climate: Arc<Climate>,
    operator: Arc<Operator>,
    dice: Dice,
    /// How often each kind came.
    counts: BTreeMap<Fault, u32>,
    /// The machine with a bit that is another one; there is at most one, so that a majority is sound.
    damaged: Option<MachineId>,
}

impl Trouble {
    pub(crate) fn new(
        company: Arc<Company>,
        climate: Arc<Climate>,
        operator: Arc<Operator>,
        dice: Dice,
    ) -> Self {
        Self { company, climate, operator, dice, counts: BTreeMap::new(), damaged: None }
    }

    pub(crate) fn counts(&self) -> &BTreeMap<Fault, u32> {
        &self.counts
    }

    pub(crate) fn damaged(&self) -> Option<MachineId> {
        self.damaged
    }

    /// Brings one fault after the other for so many steps.
    pub(crate) async fn make(&mut self, steps: u32) {
        let mut kinds = Fault::ALL.to_vec();
        while kinds.len() > KINDS {
            kinds.remove(self.dice.index(kinds.len()));
        }
        for _ in 0..steps {
            tokio::time::sleep(self.dice.milliseconds(20, 500)).await;
            restart_failed(&self.company);
            let fault = *self.dice.pick(&kinds);
            let brought = self.bring(fault).await;
            self.company.stage.note(format!("{fault:?}: {brought}"));
            if brought {
                *self.counts.entry(fault).or_default() += 1;
            }
            if self.company.history.has_wrong() {
                return;
            }
        }
    }

    fn machine(&self) -> Arc<Machine> {
        Arc::clone(self.dice.pick(&self.company.machines()))
    }

    /// Brings a fault; false if there is no room for it now.
    async fn bring(&mut self, fault: Fault) -> bool {
        let dice = &self.dice;
        let machine = self.machine();
        match fault {
            Fault::Loss => self.climate.lose(*dice.pick(&[0, 20, 150])),
            Fault::Duplication => self.climate.double(*dice.pick(&[0, 100, 400])),
            Fault::Delay => self.climate.delay(*dice.pick(&[0, 50, 300])),
            Fault::OneWayPartition => {
                let other = self.machine();
                self.climate.cut(machine.id, other.id);
                self.heal_later().await;
            }
            Fault::Partition => {
                for other in &self.company.machines() {
                    self.climate.cut(machine.id, other.id);
                    self.climate.cut(other.id, machine.id);
                }
                self.heal_later().await;
            }
            Fault::Pause => {
                self.company.stage.pause(machine.id);
                tokio::time::sleep(dice.milliseconds(50, 1500)).await;
                self.company.stage.resume(machine.id);
            }
            Fault::ClockJump => {
                let seconds = i64::try_from(dice.below(7200)).expect("small") - 3600;
                machine.clock.jump(seconds * 1_000_000);
            }
            Fault::Crash => self.crash(&machine, false).await,
            Fault::TornWrite => self.crash(&machine, true).await,
            Fault::PowerCut => self.cut_power().await,
            Fault::SlowDisk => machine.slow_down(*dice.pick(&[0, 30, 400])),
            Fault::SyncError => machine.disk.fail(DiskFaults { syncs: 1, ..DiskFaults::default() }),
            Fault::WriteError => {
                machine.disk.fail(DiskFaults { writes: 1, ..DiskFaults::default() });
            }
            Fault::ReadError => machine.disk.fail(DiskFaults { reads: 1, ..DiskFaults::default() }),
            Fault::BitFlip => return self.flip_bit(&machine),
            Fault::Flush => machine.flush_often(*dice.pick(&[0, 100, 500])),
            Fault::Transfer => self.transfer(&machine).await,
            Fault::Join => return self.operator.begin(Act::Join),
            Fault::Drain => return self.operator.begin(Act::Drain),
            Fault::MoveShard => return self.operator.begin(Act::Move),
            // Nobody else may be missing meanwhile.
            Fault::Remove => return self.damaged.is_none() && self.operator.begin(Act::Remove),
            Fault::DiskLoss => return self.lose_disk(machine),
        }
        true
    }

    /// Ends partitions after a while.
    async fn heal_later(&self) {
        tokio::time::sleep(self.dice.milliseconds(50, 1800)).await;
        if self.dice.chance(800) {
            self.climate.heal();
        }
    }

    async fn crash(&self, machine: &Arc<Machine>, torn: bool) {
        self.lie_in_wait(machine).await;
        let all = self.dice.chance(300);
        machine.kill(torn, |unsynced| if all { unsynced } else { self.dice.index(unsynced + 1) });
        // Sometimes it is back before anyone has noticed.
        let away = if self.dice.chance(500) { 20 } else { 1500 };
        tokio::time::sleep(self.dice.milliseconds(1, away)).await;
        machine.boot();
    }

    async fn cut_power(&self) {
        self.lie_in_wait(&self.machine()).await;
        for machine in &self.company.machines() {
            machine.kill(false, |unsynced| self.dice.index(unsynced + 1));
        }
        tokio::time::sleep(self.dice.milliseconds(10, 300)).await;
        for machine in &self.company.machines() {
            machine.boot();
        }
    }

    /// Waits for a bad moment, or not.
    async fn lie_in_wait(&self, machine: &Arc<Machine>) {
        if self.dice.chance(400) {
            return;
        }
        let within_transaction = self.dice.chance(600);
        for _ in 0..AMBUSH_MILLISECONDS {
            if machine.is_vulnerable(within_transaction) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn flip_bit(&mut self, machine: &Arc<Machine>) -> bool {
        let may = match self.damaged {
            Some(damaged) => damaged == machine.id,
            None => self.operator.is_settled(),
        };
        let flipped = may && machine.flip_bit(self.dice.index(usize::MAX >> 1));
        if flipped {
            self.damaged = Some(machine.id);
        }
        flipped
    }

    fn lose_disk(&mut self, machine: Arc<Machine>) -> bool {
        // Of two machines that cannot vouch for what they had, no majority is left.
        let damaged = self.company.machines().into_iter().find(|it| self.damaged == Some(it.id));
        let machine = damaged.unwrap_or(machine);
        let lost = self.operator.is_settled() && self.operator.lose(&machine);
        if lost && self.damaged == Some(machine.id) {
            self.damaged = None;
        }
        lost
    }

    async fn transfer(&self, machine: &Arc<Machine>) {
        let Some(process) = machine.process().filter(|_| machine.role == Role::Member) else {
            return;
        };
        let shard = ShardId(u16::try_from(self.dice.below(u64::from(SHARDS))).expect("small"));
        let to = self.machine().id;
        let node = process.node.clone();
        let transfer = async move { node.transfer_leader(shard, to).await.is_ok() };
        self.company.ask(&process, transfer).await;
    }
}

/// Starts machines again whose process has ended, or does not work.
pub(crate) fn restart_failed(company: &Arc<Company>) {
    for machine in &company.machines() {
        machine.take_wrong().into_iter().for_each(|wrong| company.history.wrong(wrong));
        let broken = machine.take_failure();
        if let Some(why) = broken {
            company.stage.note(why.clone());
            machine.note_failure(why);
            // What was written is there: only the process has ended.
            machine.kill(false, |unsynced| unsynced);
            let (machine, company) = (Arc::clone(machine), Arc::clone(company));
            let stage = Arc::clone(&company.stage);
            let restart = async move {
                tokio::time::sleep(RESTART).await;
                if !machine.is_up() {
                    machine.boot();
                }
            };
            stage.start(None, Box::pin(restart));
        }
    }
}
