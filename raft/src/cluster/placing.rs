//! Who is to vote in which shard: a pure function of who votes there now, who may, and how many are wanted.
//!
//! It changes as little as it can. Who is gone or leaves is replaced; what is missing goes to who has least; and
//! then shards move from who has most to who has least, until no two machines differ by more than one.

use std::collections::{BTreeMap, BTreeSet};

use rotabase_engine::domain::DecodeError;
use rotabase_engine::position::ShardId;
use rotabase_engine::varint::Reader;

use crate::remote::travel::Travel;
use crate::type_config::MachineId;

/// The machines that are to vote in a shard.
pub type Voters = BTreeSet<MachineId>;

/// Who is to vote in each shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// In the system shard.
    pub system: Voters,
    /// In the shards of the data, by their numbers; none while nobody has said how many there are.
    pub shards: Vec<Voters>,
}

/// What a placement has to do with.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Who may vote.
    pub(super) eligible: &'a Voters,
    /// How many are to, if there are as many.
    pub(super) voters: u8,
    /// The shards of the data.
    pub(super) shards: u16,
}

/// How many vote in a shard when `wanted` are to and `eligible` may: an odd number.
pub(super) fn voters_of(wanted: u8, eligible: usize) -> usize {
    let count = usize::from(wanted).min(eligible);
    if count % 2 == 0 { count.saturating_sub(1) } else { count }
}

impl Placement {
    /// The placement that follows.
    pub(super) fn adapted(&self, wanted: &Wanted<'_>) -> Self {
        let count = voters_of(wanted.voters, wanted.eligible.len());
        if count == 0 {
            return self.clone();
        }
        let mut next = self.clone();
        next.shards.resize(usize::from(wanted.shards), Voters::default());
        // The system shard is small: it does not count for what is even.
        fill(std::slice::from_mut(&mut next.system), wanted.eligible, count);
        fill(&mut next.shards, wanted.eligible, count);
        // Two machines of which one would do are not made to need both.
        if count > 1 || wanted.voters == 1 {
            balance(&mut next.shards, wanted.eligible);
        }
        next
    }

    /// The shards in which a machine is to vote.
    pub fn votes_of(&self, machine: MachineId) -> usize {
        self.shards.iter().filter(|voters| voters.contains(&machine)).count()
    }

    /// Who is to vote in a shard of the data; none if nobody has said so.
    pub fn of(&self, shard: ShardId) -> Option<&Voters> {
        self.shards.get(usize::from(shard.0))
    }
}

fn loads(shards: &[Voters], eligible: &Voters) -> BTreeMap<MachineId, usize> {
    let mut loads: BTreeMap<_, _> = eligible.iter().map(|machine| (*machine, 0)).collect();
    for machine in shards.iter().flatten() {
        if let Some(load) = loads.get_mut(machine) {
            *load += 1;
        }
    }
    loads
}

/// Drops who may not vote and who is too many, and adds who is missing.
fn fill(shards: &mut [Voters], eligible: &Voters, count: usize) {
    for voters in shards.iter_mut() {
        voters.retain(|machine| eligible.contains(machine));
    }
    let mut loads = loads(shards, eligible);
    for voters in shards {
        while voters.len() > count {
            let most = voters.iter().copied().max_by_key(|machine| loads[machine]);
            let Some(most) = most else { break };
            voters.remove(&most);
            loads.entry(most).and_modify(|load| *load -= 1);
        }
        while voters.len() < count {
            let others = eligible.iter().copied().filter(|machine| !voters.contains(machine));
            let Some(least) = others.min_by_key(|machine| loads[machine]) else { break };
            voters.insert(least);
            loads.entry(least).and_modify(|load| *load += 1);
        }
    }
}

/// Moves votes from who has most to who has least.
fn balance(shards: &mut [Voters], eligible: &Voters) {
    let mut loads = loads(shards, eligible);
    loop {
        let most = loads.iter().max_by_key(|(_, load)| **load).map(|(machine, _)| *machine);
        let least = loads.iter().min_by_key(|(_, load)| **load).map(|(machine, _)| *machine);
        let (Some(most), Some(least)) = (most, least) else { return };
        if loads[&most] < loads[&least] + 2 {
            return;
        }
        let moved = shards.iter_mut().find(|it| it.contains(&most) && !it.contains(&least));
        let voters = moved.expect("who votes in more shards votes in one that the other does not");
        voters.remove(&most);
        voters.insert(least);
        loads.entry(most).and_modify(|load| *load -= 1);
        loads.entry(least).and_modify(|load| *load += 1);
    }
}

impl Travel for Placement {
    fn put(&self, out: &mut Vec<u8>) {
        let list = |voters: &Voters| voters.iter().copied().collect::<Vec<_>>();
        list(&self.system).put(out);
        self.shards.iter().map(list).collect::<Vec<_>>().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let system = Vec::<MachineId>::get(from)?.into_iter().collect();
        let shards = Vec::<Vec<MachineId>>::get(from)?;
        Ok(Self { system, shards: shards.into_iter().map(|it| it.into_iter().collect()).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: u16 = 16;

    fn machines(numbers: impl IntoIterator<Item = u32>) -> Voters {
        numbers.into_iter().map(MachineId).collect()
    }

    fn adapted(from: &Placement, eligible: &Voters, voters: u8) -> Placement {
        let next = from.adapted(&Wanted { eligible, voters, shards: SHARDS });
        let count = voters_of(voters, eligible.len());
        for voters in next.shards.iter().chain([&next.system]) {
            assert_eq!(voters.len(), count, "{next:?}");
            assert!(voters.is_subset(eligible), "{next:?}");
        }
        next
    }

    fn differences(one: &Placement, other: &Placement) -> usize {
        one.shards.iter().zip(&other.shards).map(|(a, b)| b.difference(a).count()).sum()
    }

    #[test]
    fn whoever_comes_or_goes_shards_are_even_and_no_more_than_needed_move() {
        let mut eligible = machines([1]);
        let mut placement = adapted(&Placement::default(), &eligible, 3);
        for step in [2, 3, 4, 5, -1, 6, -4, 7, 8, 9, -9, -2, -3] {
            let machine = MachineId(u32::try_from(i32::abs(step)).expect("small"));
            let before = placement.clone();
            let held = before.votes_of(machine);
            let joined =
                if step > 0 { eligible.insert(machine) } else { !eligible.remove(&machine) };
            placement = adapted(&before, &eligible, 3);
            if voters_of(3, eligible.len()) < 3 {
                continue;
            }
            let votes: Vec<usize> = eligible.iter().map(|it| placement.votes_of(*it)).collect();
            let (most, least) = (votes.iter().max(), votes.iter().min());
            assert!(most.zip(least).is_some_and(|(a, b)| a - b <= 1), "{step}: {votes:?}");
            if eligible.len() > 3 {
                let most = if joined { placement.votes_of(machine) } else { held };
                // Whoever went is replaced and little else moves.
                assert!(differences(&before, &placement) <= most + 2, "{step}");
            }
        }
    }

    #[test]
    fn nothing_moves_when_nothing_has_changed() {
        let eligible = machines(1..=5);
        let placement = adapted(&Placement::default(), &eligible, 3);
        assert_eq!(adapted(&placement, &eligible, 3), placement);
    }

    #[test]
    fn two_machines_do_not_need_each_other_unless_one_voter_is_what_is_wanted() {
        let alone = adapted(&Placement::default(), &machines([1]), 3);
        let two = adapted(&alone, &machines([1, 2]), 3);
        assert_eq!(two, alone);
        let spread = adapted(&alone, &machines([1, 2]), 1);
        assert_eq!((spread.votes_of(MachineId(1)), spread.votes_of(MachineId(2))), (8, 8));
    }

    #[test]
    fn where_nobody_may_vote_it_stays_as_it_is() {
        let alone = adapted(&Placement::default(), &machines([1]), 3);
        let none = Voters::default();
        assert_eq!(alone.adapted(&Wanted { eligible: &none, voters: 3, shards: SHARDS }), alone);
    }

    #[test]
    fn it_survives_encoding() {
        let placement = adapted(&Placement::default(), &machines(1..=4), 3);
        let bytes = crate::remote::travel::pack(&placement);
        let read: Result<Placement, _> = crate::remote::travel::unpack(&bytes);
        assert_eq!(read.ok(), Some(placement));
    }
}
