//! The types that openraft is told to work with, and short names for what it makes of them.
//!
//! This is the only place that chooses them. They are in the stored format (a log id is a term, a replica and
//! an index), so none of them can change without a new version of the rows in [`crate::row`].

use std::fmt;

use bytes::Bytes;
use openraft::impls::leader_id_adv;
use openraft::raft::ClientWriteResult;
use openraft::raft::responder::Responder;
use openraft::{OptionalSend, RaftTypeConfig};

/// The identity of one replica of one shard in Raft. It is never used again: a replica that lost its log or
/// was moved away returns under a new one, because a voter that forgot its votes could make two majorities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

impl From<u64> for ReplicaId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a machine in the cluster; never used again either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(pub u32);

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A machine that hosts replicas, and where its peers reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine {
    /// Which machine.
    pub id: MachineId,
    /// `host:port` of its transport; empty where there is only one machine.
    pub address: String,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.address)
    }
}

/// What is proposed: an encoded [`rotabase_engine::entry::Entry`]. Cloning it copies a pointer, because
/// openraft clones entries into replication and into apply.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The bytes, as they are stored and replicated.
    pub bytes: Bytes,
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying an entry answers. Clients are answered on commit, so that this says little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The entry counts.
    Done,
    /// The entry was decided on one that never made it into the log. It is in the log and means nothing.
    Void,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Void => "void",
        })
    }
}

/// openraft's type parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Proposal;
    type R = Applied;
    type NodeId = ReplicaId;
    type Node = Machine;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Self::D, Self::NodeId, Self::Node>;
    type Entry = openraft::impls::Entry<Self::LeaderId, Self::Payload>;
    type AsyncRuntime = crate::runtime::Runtime;
    type Responder<T>
        = ProposalResponder<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// A leader: its term and its replica id. Several may be elected in one term, one after the other.
pub type LeaderId = leader_id_adv::LeaderId<u64, ReplicaId>;
/// Where an entry stands and who proposed it.
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// A vote.
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
/// An entry of the Raft log.
pub type RaftEntry = openraft::alias::EntryOf<TypeConfig>;
/// What an entry of the Raft log holds.
pub type Payload = openraft::alias::PayloadOf<TypeConfig>;
/// The replicas of a shard.
pub type Membership = openraft::Membership<ReplicaId, Machine>;
/// The replicas of a shard and the entry that says so.
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// How a proposal ended.
pub type ProposalResult = ClientWriteResult<TypeConfig>;

/// Who wants to know how a proposal ends.
pub trait ProposalWatcher<T>: Send {
    /// A majority has the entry. Runs inside openraft's core task and must not block it.
    fn committed(&mut self, log_id: LogId);

    /// The entry was applied, or refused, or lost.
    fn completed(self: Box<Self>, result: T);
}

/// openraft's end of a [`ProposalWatcher`]. Dropping it uncompleted drops the watcher, which has to take that
/// for "outcome unknown".
pub struct ProposalResponder<T>(Box<dyn ProposalWatcher<T>>);

impl<T> ProposalResponder<T> {
    /// Wraps a watcher.
    pub fn new(watcher: Box<dyn ProposalWatcher<T>>) -> Self {
        Self(watcher)
    }
}

impl<T> fmt::Debug for ProposalResponder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProposalResponder")
    }
}

impl<T: OptionalSend + 'static> Responder<TypeConfig, T> for ProposalResponder<T> {
    fn on_commit(&mut self, log_id: LogId) {
        self.0.committed(log_id);
    }

    fn on_complete(self, result: T) {
        self.0.completed(result);
    }
}
