//! An operator: adds members and lets some go, moves shards, and replaces machines whose disk is lost, one thing at a time
//! and by asking any member, as `rotabase cluster` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rotabase_engine::position::ShardId;
use rotabase_raft::cluster::control::ClusterState;
use rotabase_raft::cluster::placing::Placement;
use rotabase_raft::cluster::{Admin, AdminAnswer, Admission, Cluster, ClusterStatus};
use rotabase_raft::type_config::MachineId;

use super::clients::Company;
use super::dice::Dice;
use super::machine::{Machine, Process, Role, Site, address};

/// The members that a cluster has at most, and below which none is taken away.
const MEMBERS_MAX: usize = 5;

/// The voters of each shard.
const VOTERS: usize = 3;

/// How long an answer may take before another member is asked.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often somebody is asked to let a member go that is alive.
const ATTEMPTS: u32 = 3;

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Adds a member.
    Join,
    /// Has a member vote nowhere, or one that does not vote again.
    Drain,
    /// Has a member vote in a shard in the place of another.
    Move,
    /// Lets a member go.
    Remove,
}

/// The operator.
#[derive(Debug)]
pub(crate) struct Operator {
    company: Arc<Company>,
    site: Site,
    dice: Dice,
    busy: AtomicBool,
}

impl Operator {
    pub(crate) fn new(company: Arc<Company>, site: Site, dice: Dice) -> Arc<Self> {
        Arc::new(Self { company, site, dice, busy: AtomicBool::new(false) })
    }

    /// Adds members until there are so many, and waits until all of them vote.
    pub(crate) async fn grow(&self, count: usize) {
        while self.members().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for _ in self.members().len()..count {
            self.join().await;
        }
        while !self.is_settled() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether something is being done.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Begins to do something, unless something else is being done; whether it has begun.
    pub(crate) fn begin(self: &Arc<Self>, act: Act) -> bool {
        let operator = Arc::clone(self);
        self.start(async move { operator.act(act).await })
    }

    /// A machine's disk is lost; it is replaced by another machine. Whether it could be spared.
    pub(crate) fn lose(self: &Arc<Self>, machine: &Arc<Machine>) -> bool {
        let (operator, lost) = (Arc::clone(self), machine.id);
        if self.is_busy() || machine.role != Role::Member {
            return false;
        }
        machine.retire();
        self.start(async move {
            while !operator.remove(lost).await {}
            operator.join().await;
        })
    }

    fn start(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) -> bool {
        if self.busy.swap(true, Ordering::Relaxed) {
            return false;
        }
        let operator = Arc::clone(self);
        let task = async move {
            work.await;
            operator.busy.store(false, Ordering::Relaxed);
        };
        self.company.stage.start(None, Box::pin(task));
        true
    }

    /// The members that serve.
    fn members(&self) -> Vec<Process> {
        let processes = self.company.processes(Role::Member);
        processes.into_iter().filter(Process::is_member).collect()
    }

    /// Whether any one machine may be lost without more than a minority of a shard's voters: all are there and agree on
    /// who votes, and there are enough.
    pub(crate) fn is_settled(&self) -> bool {
        let machines = self.company.machines();
        let members = machines.iter().filter(|machine| machine.role == Role::Member).count();
        let status = self.statuses();
        let same = |it: &ClusterStatus| {
            it.is_settled() && it.placement == status[0].placement && it.members.len() == members
        };
        let enough = |placement: &Placement| {
            let mut voters = placement.shards.iter().chain([&placement.system]);
            voters.all(|voters| voters.len() >= VOTERS)
        };
        !self.is_busy()
            && status.len() == members
            && status.iter().all(same)
            && enough(&status[0].placement)
    }

    fn statuses(&self) -> Vec<ClusterStatus> {
        let members = self.members();
        let clusters = members.iter().filter_map(|process| process.cluster.as_ref());
        clusters.map(Cluster::status).collect()
    }

    async fn act(&self, act: Act) {
        let Some(status) = self.statuses().into_iter().next() else { return };
        let members: Vec<MachineId> = status.members.iter().map(|member| member.machine).collect();
        let drained = status.members.iter().find(|member| member.draining);
        let draining = drained.map(|member| member.machine);
        let machine = *self.dice.pick(&members);
        match act {
            Act::Join if members.len() >= MEMBERS_MAX => {}
            Act::Remove if members.len() > VOTERS => self.let_go(machine).await,
            Act::Drain if members.len() > VOTERS => {
                let question = draining.map_or(Admin::Drain(machine), Admin::Restore);
                // If it is refused, something else was done meanwhile.
                self.ask(&question).await;
            }
            Act::Move if members.len() > VOTERS => self.move_shard(&status).await,
            // There have to be more first.
            _ => self.join().await,
        }
    }

    async fn move_shard(&self, status: &ClusterStatus) {
        let shards = &status.placement.shards;
        let at = self.dice.index(shards.len());
        let Some(voters) = shards.get(at) else { return };
        let others = status.members.iter().map(|member| member.machine);
        let others: Vec<MachineId> = others.filter(|machine| !voters.contains(machine)).collect();
        let voters: Vec<MachineId> = voters.iter().copied().collect();
        if others.is_empty() || voters.is_empty() {
            return;
        }
        let shard = ShardId(u16::try_from(at).expect("few"));
        let (from, to) = (*self.dice.pick(&voters), *self.dice.pick(&others));
        self.ask(&Admin::Move { shard, from, to }).await;
    }

    /// Adds a member; it is asked for until it is one.
    async fn join(&self) {
        let token = self.dice.below(u64::MAX);
        let machine = loop {
            let question = Admin::Join { address: address(MachineId(0)).address, token };
            match self.ask(&question).await {
                Some(Ok(AdminAnswer::Admitted(admission))) => break self.admitted(admission),
                Some(Err(refusal)) if refusal.contains("at most") => return,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        machine.boot();
        self.company.add(machine);
    }

    fn admitted(&self, admission: Admission) -> Arc<Machine> {
        let Admission { machine, members, .. } = admission;
        let members = members.into_iter().collect();
        Machine::new((machine, Role::Member), members, &self.site, self.dice.split())
    }

    /// Lets a member go, if the others can do without it, and ends its process some time later.
    async fn let_go(&self, machine: MachineId) {
        for _ in 0..ATTEMPTS {
            if self.remove(machine).await {
                tokio::time::sleep(self.dice.milliseconds(0, 2000)).await;
                self.retire(machine);
                return;
            }
        }
    }

    /// Asks once for a member to be let go; whether it is, as far as is known.
    async fn remove(&self, machine: MachineId) -> bool {
        match self.ask(&Admin::Remove(machine)).await {
            Some(Ok(_)) => true,
            Some(Err(refusal)) if refusal.contains("no member") => true,
            Some(Err(_)) | None => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                false
            }
        }
    }

    fn retire(&self, machine: MachineId) {
        for gone in self.company.machines().iter().filter(|it| it.id == machine) {
            self.company.stage.note(format!("machine {machine} is stopped for good"));
            gone.retire();
        }
    }

    /// Ends the processes of machines that are no members any more, as the cluster's state says.
    pub(crate) fn retire_removed(&self) {
        let processes = self.company.processes(Role::Member);
        let clusters = processes.iter().filter_map(|process| process.cluster.as_ref());
        let states: Vec<_> = clusters.map(Cluster::state).collect();
        for machine in processes.iter().map(|process| process.life.machine) {
            let left = |state: &Arc<ClusterState>| {
                state.last >= machine && !state.members.contains_key(&machine)
            };
            if states.iter().any(left) {
                self.retire(machine);
            }
        }
    }

    /// Asks a member; none if it does not answer.
    async fn ask(&self, question: &Admin) -> Option<Result<AdminAnswer, String>> {
        let members = self.members();
        if members.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            return None;
        }
        let process = self.dice.pick(&members);
        let (network, machine) = (Arc::clone(&self.site.network), process.life.machine);
        let asked = question.clone();
        let asking = async move { network.ask_as_guest(machine, &asked).await };
        let asking = self.company.ask(process, asking);
        let answer = tokio::time::timeout(PATIENCE, asking).await.ok().flatten();
        let outcome = answer.as_ref().map(|answer| answer.as_ref().map(|_| ()));
        self.company.stage.note(format!("{question:?}: {outcome:?}"));
        answer
    }
}
