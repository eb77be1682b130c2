//! The cluster's own state, as a domain like any other: one aggregate, its commands and its events.
//!
//! Who is a member and where it is reached, who is to vote in which shard ([`super::placing`]), and the database's
//! catalog of names. Where replicas of a shard are is not here: each shard's Raft group knows its own, and its leader
//! brings it to what this says ([`super::manager`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use rotabase_engine::domain::{DecodeError, Domain, EventKind, Events};
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::ShardId;
use rotabase_engine::varint::{Reader, write_bytes};

use super::placing::{Placement, Voters, Wanted, voters_of};
use crate::remote::travel::Travel;
use crate::type_config::MachineId;

/// The domain.
#[derive(Debug)]
pub struct Control;

/// The one aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId;

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cluster")
    }
}

/// The voters that each shard is to have, where nothing else was said.
pub const VOTERS_DEFAULT: u8 = 3;

/// The members that a cluster can have: each has a copy of all shards.
pub const MEMBERS_MAX: usize = 9;

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `host:port` where others reach it.
    pub address: String,
    /// What it called itself when it asked to be admitted, so that it can ask again.
    pub token: u64,
}

/// The state of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterState {
    /// The members.
    pub members: BTreeMap<MachineId, Member>,
    /// The last id that a member was given; none is given twice.
    pub last: MachineId,
    /// The voters that each shard is to have.
    pub voters: u8,
    /// Members that are to vote nowhere.
    pub draining: BTreeSet<MachineId>,
    /// The shards of the data; 0 while nobody has said so.
    pub shards: u16,
    /// Who is to vote where.
    pub placement: Placement,
    /// Roles, grants and views, as the layer above encodes them; none until it has written some.
    pub catalog: Option<Bytes>,
    /// How often the catalog was replaced.
    pub catalog_revision: u64,
}

impl Default for ClusterState {
    fn default() -> Self {
        Self {
            members: BTreeMap::new(),
            last: MachineId(0),
            voters: VOTERS_DEFAULT,
            draining: BTreeSet::new(),
            shards: 0,
            placement: Placement::default(),
            catalog: None,
            catalog_revision: 0,
        }
    }
}

impl ClusterState {
    /// Who may vote.
    pub fn eligible(&self) -> Voters {
        self.members.keys().filter(|it| !self.draining.contains(it)).copied().collect()
    }

    /// Who is to vote where, after what has changed.
    fn adapted(&self) -> Placement {
        let eligible = self.eligible();
        let wanted = Wanted { eligible: &eligible, voters: self.voters, shards: self.shards };
        self.placement.adapted(&wanted)
    }
}

/// What the cluster is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take a machine in; nothing happens if one with this token is in already.
    Admit(Member),
    /// Note that a member is reached elsewhere now.
    Move(MachineId, String),
    /// Let a member go, for ever.
    Remove(MachineId),
    /// Give each shard so many voters.
    WantVoters(u8),
    /// Note how many shards the data has.
    CountShards(u16),
    /// Have a member vote nowhere, so that it can be let go.
    Drain(MachineId),
    /// Have it vote again.
    Restore(MachineId),
    /// Have a member vote in a shard in the place of another.
    MoveShard {
        /// Which shard.
        shard: ShardId,
        /// Who votes there.
        from: MachineId,
        /// Who is to.
        to: MachineId,
    },
    /// Replace the catalog, if it was replaced so often before.
    ReplaceCatalog(u64, Bytes),
}

/// What has happened to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A machine became a member.
    MemberAdmitted(MachineId, Member),
    /// A member is reached elsewhere.
    MemberMoved(MachineId, String),
    /// A member is none any more.
    MemberRemoved(MachineId),
    /// Each shard is to have so many voters.
    VotersWanted(u8),
    /// The catalog is another one.
    CatalogReplaced(Bytes),
    /// The data has so many shards.
    ShardsCounted(u16),
    /// A member is to vote nowhere.
    MemberDrained(MachineId),
    /// A member may vote again.
    MemberRestored(MachineId),
    /// This is who is to vote where.
    VotersPlaced(Placement),
    /// This is who is to vote in one shard.
    ShardPlaced(ShardId, Voters),
}

/// Why the cluster refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such member.
    #[error("node {0} is no member of the cluster")]
    NoMember(MachineId),
    /// A cluster has at least one member.
    #[error("the last node of a cluster cannot be removed")]
    LastMember,
    /// It is full.
    #[error("a cluster has at most {MEMBERS_MAX} nodes")]
    Full,
    /// A shard has an odd number of voters.
    #[error("a shard has 1, 3 or 5 voters, not {0}")]
    Voters(u8),
    /// Somebody else was faster.
    #[error("the catalog was changed meanwhile")]
    CatalogChanged,
    /// Too few would be left.
    #[error(
        "without node {0} there are too few nodes for the voters of a shard: add a node, or ask for fewer voters"
    )]
    TooFew(MachineId),
    /// It is being drained.
    #[error("node {0} is being drained")]
    Draining(MachineId),
    /// There is no such shard.
    #[error("there is no shard {0}")]
    NoShard(ShardId),
    /// It does not vote there.
    #[error("node {1} has no vote in shard {0}")]
    NoVote(ShardId, MachineId),
    /// It votes there already.
    #[error("node {1} votes in shard {0} already")]
    Votes(ShardId, MachineId),
}

impl Domain for Control {
    type Id = ClusterId;
    type State = ClusterState;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn initial(_: &ClusterId) -> ClusterState {
        ClusterState::default()
    }

    fn decide(
        _: &ClusterId,
        state: &ClusterState,
        command: &Command,
    ) -> Result<Events<Self>, Refusal> {
        let event = match command {
            Command::Admit(member) => admit(state, member)?,
            Command::Move(machine, address) => {
                let member = state.members.get(machine).ok_or(Refusal::NoMember(*machine))?;
                let moved = member.address != *address;
                return Ok(moved
                    .then(|| Event::MemberMoved(*machine, address.clone()))
                    .into_iter()
                    .collect());
            }
            Command::Remove(machine) => {
                is_member(state, *machine)?;
                if state.members.len() == 1 {
                    return Err(Refusal::LastMember);
                }
                Some(Event::MemberRemoved(*machine))
            }
            Command::WantVoters(voters) if !matches!(voters, 1 | 3 | 5) => {
                return Err(Refusal::Voters(*voters));
            }
            Command::WantVoters(voters) => {
                (state.voters != *voters).then_some(Event::VotersWanted(*voters))
            }
            Command::CountShards(shards) => {
                (state.shards == 0).then_some(Event::ShardsCounted(*shards))
            }
            Command::Drain(machine) => drain(state, *machine)?,
            Command::Restore(machine) => {
                is_member(state, *machine)?;
                state.draining.contains(machine).then_some(Event::MemberRestored(*machine))
            }
            Command::MoveShard { shard, from, to } => {
                let voters = moved(state, *shard, *from, *to)?;
                return Ok([Event::ShardPlaced(*shard, voters)].into_iter().collect());
            }
            Command::ReplaceCatalog(revision, _) if *revision != state.catalog_revision => {
                return Err(Refusal::CatalogChanged);
            }
            Command::ReplaceCatalog(_, catalog) => {
                return Ok([Event::CatalogReplaced(catalog.clone())].into_iter().collect());
            }
        };
        let Some(event) = event else { return Ok(Events::<Self>::default()) };
        // Whoever comes, goes or is wanted, votes follow.
        let mut next = state.clone();
        Self::evolve(&mut next, &event);
        let placement = next.adapted();
        let placed = (placement != next.placement).then_some(Event::VotersPlaced(placement));
        Ok([event].into_iter().chain(placed).collect())
    }

    fn evolve(state: &mut ClusterState, event: &Event) {
        match event {
            Event::MemberAdmitted(machine, member) => {
                state.last = state.last.max(*machine);
                state.members.insert(*machine, member.clone());
            }
            Event::MemberMoved(machine, address) => {
                if let Some(member) = state.members.get_mut(machine) {
                    member.address.clone_from(address);
                }
            }
            Event::MemberRemoved(machine) => {
                state.members.remove(machine);
                state.draining.remove(machine);
            }
            Event::VotersWanted(voters) => state.voters = *voters,
            Event::ShardsCounted(shards) => state.shards = *shards,
            Event::MemberDrained(machine) => {
                state.draining.insert(*machine);
            }
            Event::MemberRestored(machine) => {
                state.draining.remove(machine);
            }
            Event::VotersPlaced(placement) => state.placement = placement.clone(),
            Event::ShardPlaced(shard, voters) => {
                if let Some(place) = state.placement.shards.get_mut(usize::from(shard.0)) {
                    place.clone_from(voters);
                }
            }
            Event::CatalogReplaced(catalog) => {
                state.catalog = Some(catalog.clone());
                state.catalog_revision += 1;
            }
        }
    }

    fn encode_id(_: &ClusterId, out: &mut Vec<u8>) {
        out.extend_from_slice(b"cluster");
    }

    fn decode_id(bytes: &[u8]) -> Result<ClusterId, DecodeError> {
        if bytes == b"cluster" { Ok(ClusterId) } else { Err(damaged("no cluster")) }
    }

    fn encode_event(event: &Event, out: &mut Vec<u8>) -> EventKind {
        let event_type = match event {
            Event::MemberAdmitted(machine, member) => {
                machine.put(out);
                member.put(out);
                1
            }
            Event::MemberMoved(machine, address) => {
                machine.put(out);
                address.put(out);
                2
            }
            Event::MemberRemoved(machine) => {
                machine.put(out);
                3
            }
            Event::VotersWanted(voters) => {
                out.push(*voters);
                4
            }
            Event::CatalogReplaced(catalog) => {
                out.extend_from_slice(catalog);
                5
            }
            Event::ShardsCounted(shards) => {
                shards.put(out);
                6
            }
            Event::MemberDrained(machine) => {
                machine.put(out);
                7
            }
            Event::MemberRestored(machine) => {
                machine.put(out);
                8
            }
            Event::VotersPlaced(placement) => {
                placement.put(out);
                9
            }
            Event::ShardPlaced(shard, voters) => {
                shard.put(out);
                voters.iter().copied().collect::<Vec<_>>().put(out);
                10
            }
        };
        EventKind { event_type, schema_version: 1 }
    }

    fn decode_event(kind: EventKind, payload: &[u8]) -> Result<Event, DecodeError> {
        let mut from = Reader::new("an event of the cluster", payload);
        let event = match (kind.event_type, kind.schema_version) {
            (1, 1) => Event::MemberAdmitted(Travel::get(&mut from)?, Travel::get(&mut from)?),
            (2, 1) => Event::MemberMoved(Travel::get(&mut from)?, Travel::get(&mut from)?),
            (3, 1) => Event::MemberRemoved(Travel::get(&mut from)?),
            (4, 1) => Event::VotersWanted(from.byte()?),
            (5, 1) => Event::CatalogReplaced(Bytes::copy_from_slice(from.take(from.remaining())?)),
            (6, 1) => Event::ShardsCounted(Travel::get(&mut from)?),
            (7, 1) => Event::MemberDrained(Travel::get(&mut from)?),
            (8, 1) => Event::MemberRestored(Travel::get(&mut from)?),
            (9, 1) => Event::VotersPlaced(Travel::get(&mut from)?),
            (10, 1) => {
                let shard = Travel::get(&mut from)?;
                let voters = Vec::<MachineId>::get(&mut from)?;
                Event::ShardPlaced(shard, voters.into_iter().collect())
            }
            (event_type, _) => return Err(from.error(format!("unknown type {event_type}"))),
        };
        from.finish()?;
        Ok(event)
    }

    fn encode_command(command: &Command, out: &mut Vec<u8>) {
        match command {
            Command::Admit(member) => {
                out.push(1);
                member.put(out);
            }
            Command::Move(machine, address) => {
                out.push(2);
                machine.put(out);
                address.put(out);
            }
            Command::Remove(machine) => {
                out.push(3);
                machine.put(out);
            }
            Command::WantVoters(voters) => out.extend_from_slice(&[4, *voters]),
            Command::ReplaceCatalog(revision, catalog) => {
                out.push(5);
                revision.put(out);
                out.extend_from_slice(catalog);
            }
            Command::CountShards(shards) => {
                out.push(6);
                shards.put(out);
            }
            Command::Drain(machine) => {
                out.push(7);
                machine.put(out);
            }
            Command::Restore(machine) => {
                out.push(8);
                machine.put(out);
            }
            Command::MoveShard { shard, from, to } => {
                out.push(9);
                shard.put(out);
                from.put(out);
                to.put(out);
            }
        }
    }

    fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
        let mut from = Reader::new("a command to the cluster", bytes);
        let command = match from.byte()? {
            1 => Command::Admit(Travel::get(&mut from)?),
            2 => Command::Move(Travel::get(&mut from)?, Travel::get(&mut from)?),
            3 => Command::Remove(Travel::get(&mut from)?),
            4 => Command::WantVoters(from.byte()?),
            5 => {
                let revision = Travel::get(&mut from)?;
                let catalog = from.take(from.remaining())?;
                Command::ReplaceCatalog(revision, Bytes::copy_from_slice(catalog))
            }
            6 => Command::CountShards(Travel::get(&mut from)?),
            7 => Command::Drain(Travel::get(&mut from)?),
            8 => Command::Restore(Travel::get(&mut from)?),
            9 => Command::MoveShard {
                shard: Travel::get(&mut from)?,
                from: Travel::get(&mut from)?,
                to: Travel::get(&mut from)?,
            },
            tag => return Err(from.error(format!("{tag} is no command"))),
        };
        from.finish()?;
        Ok(command)
    }

    fn encode_refusal(refusal: &Refusal, out: &mut Vec<u8>) {
        match refusal {
            Refusal::NoMember(machine) => {
                out.push(1);
                machine.put(out);
            }
            Refusal::LastMember => out.push(2),
            Refusal::Full => out.push(3),
            Refusal::Voters(voters) => out.extend_from_slice(&[4, *voters]),
            Refusal::CatalogChanged => out.push(5),
            Refusal::TooFew(machine) => {
                out.push(6);
                machine.put(out);
            }
            Refusal::Draining(machine) => {
                out.push(7);
                machine.put(out);
            }
            Refusal::NoShard(shard) => {
                out.push(8);
                shard.put(out);
            }
            Refusal::NoVote(shard, machine) => {
                out.push(9);
                shard.put(out);
                machine.put(out);
            }
            Refusal::Votes(shard, machine) => {
                out.push(10);
                shard.put(out);
                machine.put(out);
            }
        }
    }

    fn decode_refusal(bytes: &[u8]) -> Result<Refusal, DecodeError> {
        let mut from = Reader::new("a refusal of the cluster", bytes);
        let refusal = match from.byte()? {
            1 => Refusal::NoMember(Travel::get(&mut from)?),
            2 => Refusal::LastMember,
            3 => Refusal::Full,
            4 => Refusal::Voters(from.byte()?),
            5 => Refusal::CatalogChanged,
            6 => Refusal::TooFew(Travel::get(&mut from)?),
            7 => Refusal::Draining(Travel::get(&mut from)?),
            8 => Refusal::NoShard(Travel::get(&mut from)?),
            9 => Refusal::NoVote(Travel::get(&mut from)?, Travel::get(&mut from)?),
            10 => Refusal::Votes(Travel::get(&mut from)?, Travel::get(&mut from)?),
            tag => return Err(from.error(format!("{tag} is no refusal"))),
        };
        from.finish()?;
        Ok(refusal)
    }

    fn encode_state(state: &ClusterState, out: &mut Vec<u8>) {
        let members: Vec<_> = state.members.iter().map(|(id, it)| (*id, it.clone())).collect();
        members.put(out);
        state.last.put(out);
        out.push(state.voters);
        state.catalog_revision.put(out);
        state.catalog.is_some().put(out);
        write_bytes(state.catalog.as_deref().unwrap_or_default(), out);
        state.draining.iter().copied().collect::<Vec<_>>().put(out);
        state.shards.put(out);
        state.placement.put(out);
    }

    fn decode_state(_: &ClusterId, bytes: &[u8]) -> Result<ClusterState, DecodeError> {
        let mut from = Reader::new("the state of the cluster", bytes);
        let members = Vec::<(MachineId, Member)>::get(&mut from)?.into_iter().collect();
        let (last, voters) = (Travel::get(&mut from)?, from.byte()?);
        let (catalog_revision, there) = (Travel::get(&mut from)?, bool::get(&mut from)?);
        let catalog = Bytes::copy_from_slice(from.bytes()?);
        let catalog = there.then_some(catalog);
        let mut state =
            ClusterState { members, last, voters, catalog, catalog_revision, ..Default::default() };
        // What was stored before votes were placed ends here.
        if from.remaining() > 0 {
            state.draining = Vec::<MachineId>::get(&mut from)?.into_iter().collect();
            state.shards = Travel::get(&mut from)?;
            state.placement = Travel::get(&mut from)?;
        }
        from.finish()?;
        Ok(state)
    }

    fn state_bytes(state: &ClusterState) -> usize {
        size_of::<ClusterState>() + state.catalog.as_ref().map_or(0, Bytes::len)
    }
}

fn admit(state: &ClusterState, member: &Member) -> Result<Option<Event>, Refusal> {
    if state.members.values().any(|it| it.token == member.token) {
        return Ok(None);
    }
    if state.members.len() >= MEMBERS_MAX {
        return Err(Refusal::Full);
    }
    let mut last = state.last;
    if planted::has(Bug::NumberGivenTwice) {
        last = state.members.keys().copied().max().unwrap_or_default();
    }
    Ok(Some(Event::MemberAdmitted(MachineId(last.0 + 1), member.clone())))
}

fn is_member(state: &ClusterState, machine: MachineId) -> Result<(), Refusal> {
    if state.members.contains_key(&machine) { Ok(()) } else { Err(Refusal::NoMember(machine)) }
}

/// A member votes nowhere any more, if as many others may vote as do now.
fn drain(state: &ClusterState, machine: MachineId) -> Result<Option<Event>, Refusal> {
    is_member(state, machine)?;
    let eligible = state.eligible();
    if !eligible.contains(&machine) {
        return Ok(None);
    }
    if voters_of(state.voters, eligible.len() - 1) < voters_of(state.voters, eligible.len()) {
        return Err(Refusal::TooFew(machine));
    }
    Ok(Some(Event::MemberDrained(machine)))
}

/// Who votes in a shard once one has taken another's place.
fn moved(
    state: &ClusterState,
    shard: ShardId,
    from: MachineId,
    to: MachineId,
) -> Result<Voters, Refusal> {
    let mut voters = state.placement.of(shard).ok_or(Refusal::NoShard(shard))?.clone();
    is_member(state, to)?;
    if state.draining.contains(&to) {
        return Err(Refusal::Draining(to));
    }
    if voters.contains(&to) {
        return Err(Refusal::Votes(shard, to));
    }
    if !voters.remove(&from) {
        return Err(Refusal::NoVote(shard, from));
    }
    voters.insert(to);
    Ok(voters)
}

impl Travel for Member {
    fn put(&self, out: &mut Vec<u8>) {
        self.address.put(out);
        self.token.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { address: Travel::get(from)?, token: Travel::get(from)? })
    }
}

fn damaged(reason: &str) -> DecodeError {
    DecodeError { what: "the cluster", reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
