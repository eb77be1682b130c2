//! Brings the replicas of each shard to where they should be. Each shard's leader does so for its own shard, one step at
//! a time, from what it sees: so there is one mover for each shard, and a crashed one has nothing to be continued.
//!
//! 1. A joint configuration that a leader left behind is ended.
//! 2. A member without a replica gets one, as a learner.
//! 3. As many members vote as are wanted, an odd number of those who have caught up; who votes already goes first.
//! 4. Replicas of machines that are no members any more are dropped.
//! 5. Who leads two shards more than another hands one over to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use rotabase_engine::domain::Domain;
use rotabase_engine::position::ShardId;

use super::control::ClusterState;
use crate::node::Node;
use crate::placement::first_replica_id;
use crate::shard::Shard;
use crate::type_config::{Machine, MachineId, ReplicaId};

/// How long one change of a shard's replicas may take before it is looked at anew.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// The log entries that a replica may lack and still have caught up.
const CAUGHT_UP_ENTRIES: u64 = 64;

type Change = ChangeMembers<ReplicaId, Machine>;

/// A shard's replicas as its leader sees them.
#[derive(Debug)]
struct Replicas {
    shard: ShardId,
    here: ReplicaId,
    joint: bool,
    voters: BTreeSet<ReplicaId>,
    machines: BTreeMap<ReplicaId, MachineId>,
    /// Those that have caught up, the leader included.
    caught_up: BTreeSet<ReplicaId>,
}

/// The next step of a shard.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Vote(BTreeSet<ReplicaId>),
    Learn(ReplicaId, Machine),
    Drop(BTreeSet<ReplicaId>),
}

impl Replicas {
    fn of<D: Domain>(shard: &Shard<D>) -> Self {
        let metrics = shard.replica.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let last = metrics.last_log_index.unwrap_or(0);
        let matched = metrics.replication.iter().flatten();
        let caught_up = matched
            .filter(|(_, matched)| {
                matched.as_ref().is_some_and(|it| it.index + CAUGHT_UP_ENTRIES >= last)
            })
            .map(|(replica, _)| *replica)
            .chain([shard.replica_id]);
        Self {
            shard: shard.id,
            here: shard.replica_id,
            joint: membership.get_joint_config().len() > 1,
            voters: membership.get_joint_config().last().cloned().unwrap_or_default(),
            machines: membership.nodes().map(|(id, machine)| (*id, machine.id)).collect(),
            caught_up: caught_up.collect(),
        }
    }

    /// What is to be done next; `reaches` says which machines answer.
    fn next(&self, state: &ClusterState, reaches: impl Fn(MachineId) -> bool) -> Option<Step> {
        if self.joint {
            return Some(Step::Vote(self.voters.clone()));
        }
        let voters = self.wanted(state);
        if voters != self.voters {
            return Some(Step::Vote(voters));
        }
        let is_member = |replica: &ReplicaId| {
            self.machines.get(replica).is_some_and(|machine| state.members.contains_key(machine))
        };
        let gone: BTreeSet<ReplicaId> = self
            .machines
            .keys()
            .filter(|replica| !self.voters.contains(replica) && !is_member(replica))
            .copied()
            .collect();
        if !gone.is_empty() {
            return Some(Step::Drop(gone));
        }
        let without = state.members.iter().find(|(machine, _)| {
            !self.machines.values().any(|it| it == *machine) && reaches(**machine)
        });
        without.map(|(id, member)| {
            let machine = Machine { id: *id, address: member.address.clone() };
            Step::Learn(first_replica_id(*id, self.shard), machine)
        })
    }

    /// Who should vote: an odd number of members, those who do first, then those who have caught up. The replica here
    /// leads and stays, if its machine does.
    fn wanted(&self, state: &ClusterState) -> BTreeSet<ReplicaId> {
        let stays = |replica: &&ReplicaId| {
            self.machines.get(replica).is_some_and(|machine| state.members.contains_key(machine))
        };
        let mut candidates: Vec<ReplicaId> = Vec::new();
        let here = std::iter::once(&self.here);
        for replica in here.chain(&self.voters).chain(&self.caught_up).filter(stays) {
            if !candidates.contains(replica) {
                candidates.push(*replica);
            }
        }
        let count = candidates.len().min(usize::from(state.voters));
        let odd = if count % 2 == 0 { count.saturating_sub(1) } else { count };
        if odd == 0 {
            // There is nobody to take over; the replicas stay as they are.
            return self.voters.clone();
        }
        candidates.into_iter().take(odd).collect()
    }
}

/// Takes the next step of each shard that is led here; whether any was taken.
pub(super) async fn tend<D: Domain>(
    node: &Node<D>,
    state: &ClusterState,
    reaches: impl Fn(MachineId) -> bool + Copy,
) -> bool {
    let mut changed = false;
    for shard in node.inner.shards.iter().filter(|shard| shard.leads()) {
        if let Some(step) = Replicas::of(shard).next(state, reaches) {
            changed = true;
            take(shard, step).await;
        }
    }
    changed
}

async fn take<D: Domain>(shard: &Shard<D>, step: Step) {
    tracing::info!(shard = shard.id.0, ?step, "changing the replicas");
    // From here on it has others, and needs a sense of time.
    shard.replica.runtime_config().tick(true);
    let change = async {
        match step {
            Step::Learn(replica, machine) => {
                shard.replica.add_learner(replica, machine, false).await
            }
            Step::Vote(voters) => {
                shard.replica.change_membership(Change::ReplaceAllVoters(voters), true).await
            }
            Step::Drop(replicas) => {
                shard.replica.change_membership(Change::RemoveNodes(replicas), false).await
            }
        }
    };
    match tokio::time::timeout(CHANGE_TIMEOUT, change).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::info!(shard = shard.id.0, %error, "could not change the replicas");
        }
        Err(_) => tracing::info!(shard = shard.id.0, "changing the replicas takes long"),
    }
}

/// Hands one shard over if another voter leads two fewer than this machine; whether one was.
pub(super) async fn balance<D: Domain>(
    node: &Node<D>,
    reaches: impl Fn(MachineId) -> bool,
) -> bool {
    let here = node.inner.config.machine.id;
    let mut led: BTreeMap<MachineId, usize> = BTreeMap::new();
    for status in node.status() {
        // While some shard has no leader, nobody knows what is even.
        let Some(leader) = status.leader else { return false };
        *led.entry(leader.id).or_default() += 1;
    }
    let own = led.get(&here).copied().unwrap_or(0);
    let mut candidates: Vec<_> = node.inner.shards.iter().filter(|shard| shard.leads()).collect();
    // What it leads longest goes first: what it has just been given by an operator stays.
    candidates.sort_by_key(|shard| shard.leadership.load(Ordering::Relaxed));
    for shard in candidates {
        let replicas = Replicas::of(shard);
        let other = replicas
            .voters
            .iter()
            .filter(|it| **it != replicas.here && replicas.caught_up.contains(it))
            .filter_map(|it| replicas.machines.get(it).copied())
            .filter(|machine| reaches(*machine))
            .min_by_key(|machine| led.get(machine).copied().unwrap_or(0));
        let Some(to) = other else { continue };
        if led.get(&to).copied().unwrap_or(0) + 2 <= own {
            tracing::info!(shard = shard.id.0, %to, "handing over the leadership");
            return node.transfer_here(shard.id, to).await.is_ok();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::control::Member;

    fn replica(machine: u32) -> ReplicaId {
        first_replica_id(MachineId(machine), ShardId(0))
    }

    fn ids(machines: &[u32]) -> BTreeSet<ReplicaId> {
        machines.iter().copied().map(replica).collect()
    }

    fn replicas(voters: &[u32], learners: &[u32]) -> Replicas {
        let machines = voters.iter().chain(learners).map(|it| (replica(*it), MachineId(*it)));
        Replicas {
            shard: ShardId(0),
            here: replica(voters[0]),
            joint: false,
            voters: ids(voters),
            machines: machines.collect(),
            caught_up: ids(voters),
        }
    }

    fn state(members: &[u32], voters: u8) -> ClusterState {
        let member = |id: &u32| {
            let member = Member { address: format!("host{id}:1"), token: u64::from(*id) };
            (MachineId(*id), member)
        };
        ClusterState {
            members: members.iter().map(member).collect(),
            voters,
            ..ClusterState::default()
        }
    }

    #[test]
    fn a_member_becomes_a_learner_and_two_of_them_voters_once_they_have_caught_up() {
        let cluster = state(&[1, 2, 3], 3);
        let step = replicas(&[1], &[]).next(&cluster, |_| true);
        assert!(matches!(step, Some(Step::Learn(it, _)) if it == replica(2)), "{step:?}");
        let step = replicas(&[1], &[]).next(&cluster, |machine| machine == MachineId(3));
        assert!(matches!(step, Some(Step::Learn(it, _)) if it == replica(3)), "{step:?}");
        let mut learning = replicas(&[1], &[2, 3]);
        assert_eq!(learning.next(&cluster, |_| true), None, "they are behind");
        learning.caught_up.insert(replica(2));
        assert_eq!(learning.next(&cluster, |_| true), None, "two voters are no better than one");
        learning.caught_up.insert(replica(3));
        assert_eq!(learning.next(&cluster, |_| true), Some(Step::Vote(ids(&[1, 2, 3]))));
        assert_eq!(replicas(&[1, 2, 3], &[]).next(&cluster, |_| true), None);
    }

    #[test]
    fn who_is_removed_votes_no_more_and_is_then_dropped() {
        let step = replicas(&[1, 2, 3], &[4]).next(&state(&[1, 2, 4], 3), |_| true);
        assert_eq!(step, Some(Step::Vote(ids(&[1]))), "the fourth is behind");
        let mut caught_up = replicas(&[1, 2, 3], &[4]);
        caught_up.caught_up.insert(replica(4));
        let step = caught_up.next(&state(&[1, 2, 4], 3), |_| true);
        assert_eq!(step, Some(Step::Vote(ids(&[1, 2, 4]))));
        let step = replicas(&[1, 2, 4], &[3]).next(&state(&[1, 2, 4], 3), |_| true);
        assert_eq!(step, Some(Step::Drop(ids(&[3]))));
        let step = replicas(&[1, 2, 3], &[]).next(&state(&[2, 3], 3), |_| true);
        assert_eq!(step, Some(Step::Vote(ids(&[2]))), "the leader itself");
    }

    #[test]
    fn fewer_voters_are_had_by_asking_for_fewer() {
        let step = replicas(&[2, 1, 3], &[]).next(&state(&[1, 2, 3], 1), |_| true);
        assert_eq!(step, Some(Step::Vote(ids(&[2]))), "the leader stays");
        let mut left = replicas(&[1, 2, 3], &[]);
        left.joint = true;
        assert_eq!(left.next(&state(&[1], 1), |_| true), Some(Step::Vote(ids(&[1, 2, 3]))));
    }
}
