//! The cluster's own state, as a domain like any other: one aggregate, its commands and its events.
//!
//! Who is a member and where it is reached, how many voters each shard is to have, and the database's catalog of names.
//! Where replicas of a shard are is not here: each shard's Raft group knows its own, and its leader brings it to what
//! this says ([`super::manager`]).

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use rotabase_engine::domain::{DecodeError, Domain, EventKind, Events};
use rotabase_engine::varint::{Reader, write_bytes};

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

/// The members that a cluster can have: each has all shards.
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
            catalog: None,
            catalog_revision: 0,
        }
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
                moved.then(|| Event::MemberMoved(*machine, address.clone()))
            }
            Command::Remove(machine) if !state.members.contains_key(machine) => {
                return Err(Refusal::NoMember(*machine));
            }
            Command::Remove(_) if state.members.len() == 1 => return Err(Refusal::LastMember),
            Command::Remove(machine) => Some(Event::MemberRemoved(*machine)),
            Command::WantVoters(voters) if !matches!(voters, 1 | 3 | 5) => {
                return Err(Refusal::Voters(*voters));
            }
            Command::WantVoters(voters) => {
                (state.voters != *voters).then_some(Event::VotersWanted(*voters))
            }
            Command::ReplaceCatalog(revision, _) if *revision != state.catalog_revision => {
                return Err(Refusal::CatalogChanged);
            }
            Command::ReplaceCatalog(_, catalog) => Some(Event::CatalogReplaced(catalog.clone())),
        };
        Ok(event.into_iter().collect())
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
            }
            Event::VotersWanted(voters) => state.voters = *voters,
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
    }

    fn decode_state(_: &ClusterId, bytes: &[u8]) -> Result<ClusterState, DecodeError> {
        let mut from = Reader::new("the state of the cluster", bytes);
        let members = Vec::<(MachineId, Member)>::get(&mut from)?.into_iter().collect();
        let (last, voters) = (Travel::get(&mut from)?, from.byte()?);
        let (catalog_revision, there) = (Travel::get(&mut from)?, bool::get(&mut from)?);
        let catalog = Bytes::copy_from_slice(from.bytes()?);
        from.finish()?;
        let catalog = there.then_some(catalog);
        Ok(ClusterState { members, last, voters, catalog, catalog_revision })
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
    Ok(Some(Event::MemberAdmitted(MachineId(state.last.0 + 1), member.clone())))
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
mod tests {
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
            Command::WantVoters(5),
            Command::ReplaceCatalog(0, Bytes::from_static(b"roles")),
        ]);
        assert_eq!(state.members.keys().copied().collect::<Vec<_>>(), [MachineId(1), MachineId(3)]);
        assert_eq!(state.members[&MachineId(1)].address, "elsewhere:1");
        assert_eq!((state.voters, state.catalog_revision), (5, 1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let state = run([Command::Admit(member(1))]);
        for (command, refusal) in [
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
    }
}
