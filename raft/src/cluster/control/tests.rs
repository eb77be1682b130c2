//! The laws of the cluster's state.

use super::*;

fn member(token: u64) -> Member {
    Member { address: format!("host{token}:7433"), token }
}

fn run(commands: impl IntoIterator<Item = Command>) -> ClusterState {
    let mut state = ClusterState::default();
    for command in commands {
        let mut bytes = Vec::new();
        Control::encode_command(&command, &mut bytes);
        assert_eq!(Control::decode_command(&bytes).as_ref(), Ok(&command));
        for event in Control::decide(&ClusterId, &state, &command).expect("taken") {
            let mut bytes = Vec::new();
            let kind = Control::encode_event(&event, &mut bytes);
            assert_eq!(Control::decode_event(kind, &bytes).as_ref(), Ok(&event));
            Control::evolve(&mut state, &event);
        }
    }
    let mut bytes = Vec::new();
    Control::encode_state(&state, &mut bytes);
    assert_eq!(Control::decode_state(&ClusterId, &bytes).as_ref(), Ok(&state));
    state
}

#[test]
fn no_id_is_given_twice_and_asking_again_changes_nothing() {
    let state = run([
        Command::Admit(member(1)),
        Command::Admit(member(2)),
        Command::Admit(member(2)),
        Command::Remove(MachineId(2)),
        Command::Admit(member(3)),
        Command::Move(MachineId(1), "elsewhere:1".to_owned()),
        Command::CountShards(4),
        Command::CountShards(9),
        Command::WantVoters(5),
        Command::ReplaceCatalog(0, Bytes::from_static(b"roles")),
    ]);
    assert_eq!((state.shards, state.placement.shards.len()), (4, 4));
    assert_eq!(state.members.keys().copied().collect::<Vec<_>>(), [MachineId(1), MachineId(3)]);
    assert_eq!(state.members[&MachineId(1)].address, "elsewhere:1");
    assert_eq!((state.voters, state.catalog_revision), (5, 1));
}

fn four_members() -> Vec<Command> {
    let mut commands: Vec<Command> = (1..=4).map(|it| Command::Admit(member(it))).collect();
    commands.push(Command::CountShards(8));
    commands
}

#[test]
fn a_member_that_is_drained_votes_nowhere_and_again_when_it_is_restored() {
    let [one, two] = [1, 2].map(MachineId);
    let drained = run(four_members().into_iter().chain([Command::Drain(two)]));
    assert_eq!(drained.placement.votes_of(two), 0);
    assert!(!drained.placement.system.contains(&two));
    assert_eq!(drained.placement.votes_of(one), 8);
    let restored =
        run(four_members().into_iter().chain([Command::Drain(two), Command::Restore(two)]));
    assert_eq!(restored.placement.votes_of(two), 6);
    let removed =
        run(four_members().into_iter().chain([Command::Drain(two), Command::Remove(two)]));
    assert!(removed.draining.is_empty());
    assert_eq!(removed.placement.shards, drained.placement.shards);
}

#[test]
fn a_shard_that_is_moved_stays_where_it_was_put() {
    let before = run(four_members());
    let shard = ShardId(3);
    let voters = before.placement.of(shard).expect("placed");
    let from = *voters.first().expect("three vote");
    let to = *before.members.keys().find(|it| !voters.contains(it)).expect("the fourth");
    let after = run(four_members().into_iter().chain([Command::MoveShard { shard, from, to }]));
    let placed = after.placement.of(shard).expect("placed");
    assert!(placed.contains(&to) && !placed.contains(&from) && placed.len() == 3);
    for shard in (0..8).map(ShardId).filter(|it| *it != shard) {
        assert_eq!(after.placement.of(shard), before.placement.of(shard));
    }
}

#[test]
fn a_state_of_before_votes_were_placed_can_be_read() {
    let state = run([Command::Admit(member(1)), Command::WantVoters(1)]);
    let mut bytes = Vec::new();
    Control::encode_state(&state, &mut bytes);
    let mut added = Vec::new();
    Vec::<MachineId>::new().put(&mut added);
    state.shards.put(&mut added);
    state.placement.put(&mut added);
    bytes.truncate(bytes.len() - added.len());
    let read = Control::decode_state(&ClusterId, &bytes).expect("readable");
    assert_eq!((read.members, read.voters), (state.members, 1));
}

#[test]
fn what_cannot_be_is_refused() {
    let state = run([Command::Admit(member(1)), Command::CountShards(2)]);
    let [one, seven] = [1, 7].map(MachineId);
    let shard = ShardId(0);
    for (command, refusal) in [
        (Command::Drain(one), Refusal::TooFew(one)),
        (Command::Drain(seven), Refusal::NoMember(seven)),
        (Command::Restore(seven), Refusal::NoMember(seven)),
        (
            Command::MoveShard { shard: ShardId(2), from: one, to: one },
            Refusal::NoShard(ShardId(2)),
        ),
        (Command::MoveShard { shard, from: one, to: one }, Refusal::Votes(shard, one)),
        (Command::MoveShard { shard, from: one, to: seven }, Refusal::NoMember(seven)),
        (Command::Remove(MachineId(1)), Refusal::LastMember),
        (Command::Remove(MachineId(7)), Refusal::NoMember(MachineId(7))),
        (Command::WantVoters(2), Refusal::Voters(2)),
        (Command::ReplaceCatalog(3, Bytes::new()), Refusal::CatalogChanged),
    ] {
        let refused = Control::decide(&ClusterId, &state, &command);
        assert_eq!(refused.as_ref().map(|_| ()), Err(&refusal));
        let mut bytes = Vec::new();
        Control::encode_refusal(&refusal, &mut bytes);
        assert_eq!(Control::decode_refusal(&bytes), Ok(refusal));
    }
    let state = run(four_members().into_iter().chain([Command::Drain(MachineId(4))]));
    for (command, refusal) in [
        (Command::Drain(one), Refusal::TooFew(one)),
        (
            Command::MoveShard { shard, from: one, to: MachineId(4) },
            Refusal::Draining(MachineId(4)),
        ),
        (
            Command::MoveShard { shard, from: MachineId(9), to: MachineId(2) },
            Refusal::Votes(shard, MachineId(2)),
        ),
    ] {
        let refused = Control::decide(&ClusterId, &state, &command);
        assert_eq!(refused.as_ref().map(|_| ()), Err(&refusal));
        let mut bytes = Vec::new();
        Control::encode_refusal(&refusal, &mut bytes);
        assert_eq!(Control::decode_refusal(&bytes), Ok(refusal));
    }
}
