//! Brings the replicas of each shard to where they should be. Each shard's leader does so for its own shard, one step at
//! a time, from what it sees: so there is one mover for each shard, and a crashed one has nothing to be continued.
//!
//! 1. A joint configuration that a leader left behind is ended.
//! 2. Who is to vote, by the cluster's state, and has caught up, votes; as long as others are still behind, those whose
//!    place they take go on voting, so that there are never fewer than before.
//! 3. A leader that is not to vote hands over to one that is, and that one takes its vote.
//! 4. Replicas of machines that are no members any more are dropped.
//! 5. A member without a replica gets one, as a learner.
//! 6. Who leads two shards more than another hands one over to it; while some voter is not reached, four: elections have
//!    just moved leaderships about, and each hand-over costs writes a moment.
//!
//! A move is cheap: who is to vote has the log as a learner already, unless it has just joined.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use rotabase_engine::domain::Domain;
use rotabase_engine::position::ShardId;

use super::control::ClusterState;
use super::placing::Voters;
use crate::node::Node;
use crate::placement::first_replica_id;
use crate::shard::Shard;
use crate::type_config::{Machine, MachineId, ReplicaId};

/// How long one change of a shard's replicas may take before it is looked at anew.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// The log entries that a replica may lack and still have caught up.
const CAUGHT_UP_ENTRIES: u64 = 64;

/// How many more shards than another a machine leads that hands one over.
const UNEVEN: usize = 2;

/// The same while some voter is not reached.
const UNEVEN_WHILE_LOST: usize = 4;

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
    Hand(MachineId),
}

/// What a shard's replicas should be.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    state: &'a ClusterState,
    /// Who is to vote; none while nobody has said so.
    voters: Option<&'a Voters>,
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
    fn next(&self, wanted: Wanted<'_>, reaches: impl Fn(MachineId) -> bool) -> Option<Step> {
        if self.joint {
            return Some(Step::Vote(self.voters.clone()));
        }
        let target = wanted.voters.filter(|voters| !voters.is_empty());
        let voting = target.and_then(|target| self.next_voters(wanted.state, target, &reaches));
        if voting.is_some() {
            return voting;
        }
        let members = &wanted.state.members;
        let is_member = |replica: &ReplicaId| {
            self.machines.get(replica).is_some_and(|machine| members.contains_key(machine))
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
        let without = members.iter().find(|(machine, _)| {
            !self.machines.values().any(|it| it == *machine) && reaches(**machine)
        });
        without.map(|(id, member)| {
            let machine = Machine { id: *id, address: member.address.clone() };
            Step::Learn(first_replica_id(*id, self.shard), machine)
        })
    }

    /// The step towards those who are to vote, if it can be taken.
    fn next_voters(
        &self,
        state: &ClusterState,
        target: &Voters,
        reaches: impl Fn(MachineId) -> bool,
    ) -> Option<Step> {
        let is_target =
            |it: &ReplicaId| self.machines.get(it).is_some_and(|machine| target.contains(machine));
        let reached = |it: &ReplicaId| self.machines.get(it).copied().is_some_and(&reaches);
        let ready = |it: &ReplicaId| {
            self.voters.contains(it) || (self.caught_up.contains(it) && reached(it))
        };
        let mut next: BTreeSet<ReplicaId> =
            self.machines.keys().filter(|it| is_target(it) && ready(it)).copied().collect();
        let (complete, leads_on) = (next.len() == target.len(), is_target(&self.here));
        if complete && !leads_on {
            let heir = next
                .iter()
                .find(|it| self.voters.contains(it) && self.caught_up.contains(it) && reached(it));
            // Whoever takes over takes the vote as well.
            if let Some(machine) = heir.and_then(|it| self.machines.get(it)) {
                return Some(Step::Hand(*machine));
            }
            // A leader that has no vote any more, since it has ended a joint configuration, leads until somebody can.
            if next.iter().any(|it| self.voters.contains(it)) {
                return None;
            }
            // Nobody who stays votes yet: first they are to, beside the leader.
            next.insert(self.here);
            return Some(Step::Vote(next));
        }
        if !complete {
            next.extend(self.stand_ins(state, target.len() - next.len(), is_target));
            if next.len().is_multiple_of(2) {
                // One more that can fail is of no use.
                let least = next.iter().copied().find(|it| !self.voters.contains(it));
                next.remove(&least?);
            }
        }
        (!next.is_empty() && next != self.voters).then_some(Step::Vote(next))
    }

    /// Those who vote on for machines that are not ready to: the leader first, then members that stay, then others.
    fn stand_ins(
        &self,
        state: &ClusterState,
        count: usize,
        is_target: impl Fn(&ReplicaId) -> bool,
    ) -> Vec<ReplicaId> {
        let rank = |replica: &ReplicaId| {
            let machine = self.machines.get(replica);
            let is_member = machine.is_some_and(|it| state.members.contains_key(it));
            let leaves = machine.is_none_or(|it| state.draining.contains(it));
            (*replica != self.here, !is_member, leaves, *replica)
        };
        let mut others: Vec<ReplicaId> =
            self.voters.iter().filter(|it| !is_target(it)).copied().collect();
        others.sort_by_key(rank);
        others.truncate(count);
        others
    }
}

/// Takes the next step of each shard that is led here; whether any was taken. `voters` says of each shard who is to
/// vote there.
pub(super) async fn tend<D: Domain>(
    node: &Node<D>,
    state: &ClusterState,
    voters: &[Voters],
    reaches: impl Fn(MachineId) -> bool + Copy,
) -> bool {
    let mut changed = false;
    for shard in node.inner.shards.iter().filter(|shard| shard.leads()) {
        let wanted = Wanted { state, voters: voters.get(usize::from(shard.id.0)) };
        if let Some(step) = Replicas::of(shard).next(wanted, reaches) {
            changed = true;
            take(node, shard, step).await;
        }
    }
    changed
}

async fn take<D: Domain>(node: &Node<D>, shard: &Shard<D>, step: Step) {
    tracing::info!(shard = shard.id.0, ?step, "changing the replicas");
    // From here on it has others, and needs a sense of time.
    shard.replica.runtime_config().tick(true);
    let change = async {
        let changed = match step {
            Step::Learn(replica, machine) => {
                shard.replica.add_learner(replica, machine, false).await
            }
            Step::Vote(voters) => {
                shard.replica.change_membership(Change::ReplaceAllVoters(voters), true).await
            }
            Step::Drop(replicas) => {
                shard.replica.change_membership(Change::RemoveNodes(replicas), false).await
            }
            Step::Hand(machine) => {
                let handed = node.transfer_here(shard.id, machine).await;
                return handed.map_err(|error| error.to_string());
            }
        };
        changed.map(|_| ()).map_err(|error| error.to_string())
    };
    match tokio::time::timeout(CHANGE_TIMEOUT, change).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::info!(shard = shard.id.0, %error, "could not change the replicas");
        }
        Err(_) => tracing::info!(shard = shard.id.0, "changing the replicas takes long"),
    }
}

/// Hands one shard over if another voter leads so many fewer than this machine that it should; whether one was.
pub(super) async fn balance<D: Domain>(
    node: &Node<D>,
    voters: &[Voters],
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
    let lost = voters.iter().flatten().any(|machine| *machine != here && !reaches(*machine));
    let uneven = if lost { UNEVEN_WHILE_LOST } else { UNEVEN };
    let mut candidates: Vec<_> = node.inner.shards.iter().filter(|shard| shard.leads()).collect();
    // What it leads longest goes first: what it has just been given by an operator stays.
    candidates.sort_by_key(|shard| shard.leadership.load(Ordering::Relaxed));
    for shard in candidates {
        let replicas = Replicas::of(shard);
        let stays = voters.get(usize::from(shard.id.0));
        let other = replicas
            .voters
            .iter()
            .filter(|it| **it != replicas.here && replicas.caught_up.contains(it))
            .filter_map(|it| replicas.machines.get(it).copied())
            .filter(|machine| stays.is_none_or(|it| it.contains(machine)) && reaches(*machine))
            .min_by_key(|machine| led.get(machine).copied().unwrap_or(0));
        let Some(to) = other else { continue };
        if led.get(&to).copied().unwrap_or(0) + uneven <= own {
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

    fn state(members: &[u32]) -> ClusterState {
        let member = |id: &u32| {
            let member = Member { address: format!("host{id}:1"), token: u64::from(*id) };
            (MachineId(*id), member)
        };
        ClusterState { members: members.iter().map(member).collect(), ..ClusterState::default() }
    }

    fn places(machines: &[u32]) -> Voters {
        machines.iter().copied().map(MachineId).collect()
    }

    /// The next step where everybody is a member and is reached.
    fn step(replicas: &Replicas, members: &[u32], target: &[u32]) -> Option<Step> {
        let (state, target) = (state(members), places(target));
        replicas.next(Wanted { state: &state, voters: Some(&target) }, |_| true)
    }

    fn caught_up(mut replicas: Replicas, machines: &[u32]) -> Replicas {
        replicas.caught_up.extend(ids(machines));
        replicas
    }

    #[test]
    fn a_leader_that_has_no_vote_any_more_hands_over() {
        let mut replicas = caught_up(replicas(&[2, 3, 4], &[1]), &[1, 2, 3, 4]);
        replicas.here = replica(1);
        let next = step(&replicas, &[1, 2, 3, 4], &[2, 3, 4]);
        assert_eq!(next, Some(Step::Hand(MachineId(2))));
    }

    #[test]
    fn a_member_becomes_a_learner_and_two_of_them_voters_once_they_have_caught_up() {
        let (members, target) = (&[1, 2, 3][..], &[1, 2, 3][..]);
        let first = step(&replicas(&[1], &[]), members, target);
        assert!(matches!(first, Some(Step::Learn(it, _)) if it == replica(2)), "{first:?}");
        let (cluster, voters) = (state(members), places(target));
        let wanted = Wanted { state: &cluster, voters: Some(&voters) };
        let third = replicas(&[1], &[]).next(wanted, |machine| machine == MachineId(3));
        assert!(matches!(third, Some(Step::Learn(it, _)) if it == replica(3)), "{third:?}");
        let learning = replicas(&[1], &[2, 3]);
        assert_eq!(step(&learning, members, target), None, "they are behind");
        let learning = caught_up(learning, &[2]);
        assert_eq!(step(&learning, members, target), None, "two voters are no better than one");
        let learning = caught_up(learning, &[3]);
        assert_eq!(step(&learning, members, target), Some(Step::Vote(ids(&[1, 2, 3]))));
        assert_eq!(step(&replicas(&[1, 2, 3], &[]), members, target), None);
    }

    #[test]
    fn whose_place_is_taken_votes_until_it_is() {
        let (members, target) = (&[1, 2, 3, 4][..], &[1, 2, 4][..]);
        let behind = replicas(&[1, 2, 3], &[4]);
        assert_eq!(step(&behind, members, target), None, "the fourth is behind");
        let ready = caught_up(behind, &[4]);
        assert_eq!(step(&ready, members, target), Some(Step::Vote(ids(&[1, 2, 4]))));
        let (cluster, voters) = (state(members), places(target));
        let wanted = Wanted { state: &cluster, voters: Some(&voters) };
        assert_eq!(ready.next(wanted, |it| it != MachineId(4)), None, "it is gone again");
        assert_eq!(step(&replicas(&[1, 2, 4], &[3]), members, target), None, "it learns on");
    }

    #[test]
    fn who_is_removed_votes_until_it_is_replaced_and_is_then_dropped() {
        let (members, target) = (&[1, 2, 4][..], &[1, 2, 4][..]);
        let behind = replicas(&[1, 2, 3], &[4]);
        assert_eq!(step(&behind, members, target), None);
        let ready = caught_up(behind, &[4]);
        assert_eq!(step(&ready, members, target), Some(Step::Vote(ids(&[1, 2, 4]))));
        let replaced = replicas(&[1, 2, 4], &[3]);
        assert_eq!(step(&replaced, members, target), Some(Step::Drop(ids(&[3]))));
    }

    #[test]
    fn a_leader_that_is_to_go_hands_over_to_one_that_stays() {
        let moved = caught_up(replicas(&[1, 2, 3], &[4]), &[4]);
        assert_eq!(step(&moved, &[1, 2, 3, 4], &[2, 3, 4]), Some(Step::Hand(MachineId(2))));
        let fewer = replicas(&[1, 2, 3], &[]);
        assert_eq!(step(&fewer, &[1, 2, 3], &[3]), Some(Step::Hand(MachineId(3))));
        // All three are replaced: one after the other, as they are ready.
        let all = caught_up(replicas(&[1, 2, 3], &[4, 5, 6]), &[5]);
        let members = &[1, 2, 3, 4, 5, 6];
        assert_eq!(step(&all, members, &[4, 5, 6]), Some(Step::Vote(ids(&[1, 2, 5]))));
    }

    #[test]
    fn an_only_voter_is_replaced_by_way_of_two() {
        let alone = replicas(&[1], &[2]);
        assert_eq!(step(&alone, &[1, 2], &[2]), None, "the other is behind");
        let ready = caught_up(alone, &[2]);
        assert_eq!(step(&ready, &[1, 2], &[2]), Some(Step::Vote(ids(&[1, 2]))));
        assert_eq!(step(&replicas(&[1, 2], &[]), &[1, 2], &[2]), Some(Step::Hand(MachineId(2))));
        assert_eq!(step(&replicas(&[2, 1], &[]), &[1, 2], &[2]), Some(Step::Vote(ids(&[2]))));
    }

    #[test]
    fn what_a_leader_left_behind_is_ended_first() {
        let mut left = replicas(&[1, 2, 3], &[]);
        left.joint = true;
        assert_eq!(step(&left, &[1], &[1]), Some(Step::Vote(ids(&[1, 2, 3]))));
    }

    #[test]
    fn while_nobody_has_said_who_votes_nobody_is_moved() {
        let cluster = state(&[1, 2, 3]);
        let wanted = Wanted { state: &cluster, voters: None };
        let ready = caught_up(replicas(&[1], &[2, 3]), &[2, 3]);
        assert_eq!(ready.next(wanted, |_| true), None);
    }
}
