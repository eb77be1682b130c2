//! What those who are no members ask: machines that want to be, and administrators.

use std::fmt::Debug;
use std::io;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use openraft::base::BoxFuture;
use rotabase_engine::domain::DecodeError;
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::varint::Reader;
use uuid::Uuid;

use super::control::{Command, Member};
use super::placing::{Placement, Voters};
use super::{DEADLINE, Inner};
use crate::net::{Guests, Security, ask_as_guest};
use crate::remote::travel::{Travel, pack, unpack};
use crate::shard::ShardStatus;
use crate::type_config::{Machine, MachineId};

/// How long an answer may take on its way, beside the time that the question takes.
const GRACE: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// To be admitted.
    Join {
        /// Where the machine is reached.
        address: String,
        /// What it calls itself until it has an id.
        token: u64,
    },
    /// How the cluster is doing.
    Status,
    /// To let a member go.
    Remove(MachineId),
    /// To have a shard led by a machine.
    Transfer(ShardId, MachineId),
    /// To give each shard so many voters.
    Voters(u8),
    /// To have a member vote nowhere.
    Drain(MachineId),
    /// To have it vote again.
    Restore(MachineId),
    /// To have a member vote in a shard in the place of another.
    Move {
        /// Which shard.
        shard: ShardId,
        /// Who votes there.
        from: MachineId,
        /// Who is to.
        to: MachineId,
    },
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum AdminAnswer {
    /// It is done.
    Done,
    /// The machine is a member now.
    Admitted(Admission),
    /// How the cluster is doing.
    Status(ClusterStatus),
}

/// What a machine is told that was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The cluster.
    pub cluster: Uuid,
    /// The shards of its database.
    pub shards: u16,
    /// The machine's id.
    pub machine: MachineId,
    /// All members, the new one included.
    pub members: Vec<(MachineId, String)>,
}

/// A member, as another one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Which machine.
    pub machine: MachineId,
    /// Where it is reached.
    pub address: String,
    /// Whether it can be asked now.
    pub connected: bool,
    /// Whether it is to vote nowhere.
    pub draining: bool,
}

/// How a cluster is doing, as one member sees it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Who says so.
    pub machine: MachineId,
    /// The cluster.
    pub cluster: Uuid,
    /// The voters that each shard is to have.
    pub voters: u8,
    /// The members.
    pub members: Vec<MemberStatus>,
    /// The system shard.
    pub system: Vec<ShardStatus>,
    /// The shards of the data.
    pub shards: Vec<ShardStatus>,
    /// Who is to vote where.
    pub placement: Placement,
    /// Whether the node was removed from the cluster.
    pub removed: bool,
}

impl ClusterStatus {
    /// Whether votes and leaderships are where the cluster's state says; as far as is known here.
    pub fn is_settled(&self) -> bool {
        let settled = |(shard, voters): (&ShardStatus, &Voters)| {
            let leads = shard.leader.as_ref().is_some_and(|leader| voters.contains(&leader.id));
            leads && shard.voters.iter().copied().collect::<Voters>() == *voters
        };
        self.shards.len() == self.placement.shards.len()
            && self.shards.iter().zip(&self.placement.shards).all(settled)
            && self.system.iter().zip([&self.placement.system]).all(settled)
    }

    /// A shard that would be without a majority if a machine were gone.
    fn needs(&self, machine: MachineId) -> Option<&ShardStatus> {
        let there = |it: &MachineId| {
            self.members.iter().any(|member| member.machine == *it && member.connected)
        };
        self.system.iter().chain(&self.shards).find(|shard| {
            let votes = shard.voters.contains(&machine);
            let left = shard.voters.iter().filter(|it| **it != machine && there(it)).count();
            votes && left * 2 <= shard.voters.len()
        })
    }
}

/// Asks a node of a cluster.
pub async fn ask(
    address: &str,
    security: &dyn Security,
    question: &Admin,
) -> io::Result<Result<AdminAnswer, String>> {
    let answer = ask_as_guest(address, security, &pack(question), DEADLINE + GRACE).await?;
    unpack(&answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// Asks to be admitted.
pub async fn join(
    seed: &str,
    security: &dyn Security,
    address: String,
    token: u64,
) -> io::Result<Admission> {
    match ask(seed, security, &Admin::Join { address, token }).await? {
        Ok(AdminAnswer::Admitted(admission)) => Ok(admission),
        Ok(_) => Err(io::Error::other("it gave another answer")),
        Err(refusal) => Err(io::Error::other(refusal)),
    }
}

/// Where guests are answered.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) cluster: Weak<Inner>,
}

impl Guests for Desk {
    fn answer(&self, question: Bytes) -> BoxFuture<'static, Bytes> {
        let cluster = self.cluster.upgrade();
        Box::pin(async move {
            let answer = match (cluster, unpack::<Admin>(&question)) {
                (None, _) => Err("the node is closing".to_owned()),
                (_, Err(error)) => Err(error.to_string()),
                (Some(cluster), Ok(question)) => cluster.answer(question).await,
            };
            pack(&answer)
        })
    }
}

impl Inner {
    async fn answer(&self, question: Admin) -> Result<AdminAnswer, String> {
        match question {
            Admin::Join { address, token } => {
                self.admit(Member { address, token }).await.map(AdminAnswer::Admitted)
            }
            Admin::Status => Ok(AdminAnswer::Status(self.status())),
            Admin::Remove(machine) => {
                let status = self.status();
                if let Some(shard) = status.needs(machine) {
                    let voters = shard.voters.len();
                    return Err(format!(
                        "a shard with {voters} voters would have no majority without node {machine}: drain it first"
                    ));
                }
                // What it leads is handed over first, so that nobody waits for an election.
                self.relieve(machine).await;
                self.run(Command::Remove(machine)).await
            }
            Admin::Transfer(shard, to) => {
                let data = self.data.lock().clone();
                let data = data.ok_or_else(|| "the node is starting".to_owned())?;
                data.transfer(shard, to).await.map(|()| AdminAnswer::Done)
            }
            Admin::Voters(voters) => self.run(Command::WantVoters(voters)).await,
            Admin::Drain(machine) => self.run(Command::Drain(machine)).await,
            Admin::Restore(machine) => self.run(Command::Restore(machine)).await,
            Admin::Move { shard, from, to } => {
                self.run(Command::MoveShard { shard, from, to }).await
            }
        }
    }

    async fn run(&self, command: Command) -> Result<AdminAnswer, String> {
        self.execute(command).await.map(|()| AdminAnswer::Done).map_err(|error| error.to_string())
    }

    async fn admit(&self, member: Member) -> Result<Admission, String> {
        let token = member.token;
        self.run(Command::Admit(member)).await?;
        let state = self.view.state();
        let admitted = state.members.iter().find(|(_, member)| member.token == token);
        let (machine, _) = admitted.ok_or_else(|| "it was admitted and is gone".to_owned())?;
        let members =
            state.members.iter().map(|(id, member)| (*id, member.address.clone())).collect();
        let (cluster, shards) = self.network.identity();
        Ok(Admission { cluster, shards, machine: *machine, members })
    }

    pub(super) fn status(&self) -> ClusterStatus {
        let state = self.view.state();
        let member = |(id, member): (&MachineId, &Member)| MemberStatus {
            machine: *id,
            address: member.address.clone(),
            connected: *id == self.machine.id || self.network.reaches(*id),
            draining: state.draining.contains(id),
        };
        let data = self.data.lock().clone();
        ClusterStatus {
            machine: self.machine.id,
            cluster: self.network.identity().0,
            voters: state.voters,
            members: state.members.iter().map(member).collect(),
            system: self.control.status(),
            shards: data.map(|data| data.status()).unwrap_or_default(),
            placement: state.placement.clone(),
            removed: *self.removed.borrow(),
        }
    }
}

impl Travel for Admin {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Join { address, token } => {
                out.push(1);
                address.put(out);
                token.put(out);
            }
            Self::Status => out.push(2),
            Self::Remove(machine) => {
                out.push(3);
                machine.put(out);
            }
            Self::Transfer(shard, to) => {
                out.push(4);
                shard.put(out);
                to.put(out);
            }
            Self::Voters(voters) => out.extend_from_slice(&[5, *voters]),
            Self::Drain(machine) => {
                out.push(6);
                machine.put(out);
            }
            Self::Restore(machine) => {
                out.push(7);
                machine.put(out);
            }
            Self::Move { shard, from, to } => {
                out.push(8);
                shard.put(out);
                from.put(out);
                to.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.byte()? {
            1 => Self::Join { address: Travel::get(from)?, token: Travel::get(from)? },
            2 => Self::Status,
            3 => Self::Remove(Travel::get(from)?),
            4 => Self::Transfer(Travel::get(from)?, Travel::get(from)?),
            5 => Self::Voters(from.byte()?),
            6 => Self::Drain(Travel::get(from)?),
            7 => Self::Restore(Travel::get(from)?),
            8 => Self::Move {
                shard: Travel::get(from)?,
                from: Travel::get(from)?,
                to: Travel::get(from)?,
            },
            kind => return Err(from.error(format!("{kind} is nothing that can be asked"))),
        })
    }
}

impl Travel for AdminAnswer {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Done => out.push(1),
            Self::Admitted(admission) => {
                out.push(2);
                admission.put(out);
            }
            Self::Status(status) => {
                out.push(3);
                status.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.byte()? {
            1 => Self::Done,
            2 => Self::Admitted(Travel::get(from)?),
            3 => Self::Status(Travel::get(from)?),
            kind => return Err(from.error(format!("{kind} is no answer"))),
        })
    }
}

impl Travel for Admission {
    fn put(&self, out: &mut Vec<u8>) {
        self.cluster.put(out);
        self.shards.put(out);
        self.machine.put(out);
        self.members.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster: Travel::get(from)?,
            shards: Travel::get(from)?,
            machine: Travel::get(from)?,
            members: Travel::get(from)?,
        })
    }
}

impl Travel for MemberStatus {
    fn put(&self, out: &mut Vec<u8>) {
        self.machine.put(out);
        self.address.put(out);
        self.connected.put(out);
        self.draining.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            machine: Travel::get(from)?,
            address: Travel::get(from)?,
            connected: Travel::get(from)?,
            draining: Travel::get(from)?,
        })
    }
}

impl Travel for ClusterStatus {
    fn put(&self, out: &mut Vec<u8>) {
        self.machine.put(out);
        self.cluster.put(out);
        out.push(self.voters);
        self.members.put(out);
        self.system.put(out);
        self.shards.put(out);
        self.placement.put(out);
        self.removed.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            machine: Travel::get(from)?,
            cluster: Travel::get(from)?,
            voters: from.byte()?,
            members: Travel::get(from)?,
            system: Travel::get(from)?,
            shards: Travel::get(from)?,
            placement: Travel::get(from)?,
            removed: Travel::get(from)?,
        })
    }
}

impl Travel for ShardStatus {
    fn put(&self, out: &mut Vec<u8>) {
        self.shard.put(out);
        self.leader.put(out);
        self.leading.put(out);
        self.term.put(out);
        self.last_index.put(out);
        self.applied.put(out);
        self.waiting.put(out);
        self.error.put(out);
        self.voters.put(out);
        self.learners.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            shard: Travel::get(from)?,
            leader: Option::<Machine>::get(from)?,
            leading: Travel::get(from)?,
            term: Travel::get(from)?,
            last_index: LogIndex::get(from)?,
            applied: LogIndex::get(from)?,
            waiting: Travel::get(from)?,
            error: Travel::get(from)?,
            voters: Travel::get(from)?,
            learners: Travel::get(from)?,
        })
    }
}
