//! What a machine asks the leader of a shard on another machine, and how errors travel back.

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::domain::{DecodeError, Domain};
use rotabase_engine::entry::{Attempt, Metadata};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::ShardId;
use rotabase_engine::varint::{Reader, write_bytes};
use uuid::Uuid;

use super::travel::Travel;
use crate::error::WriteError;
use crate::request::Request;
use crate::reservation::WriteId;
use crate::shard::{PartFailure, Verdict, Wish};
use crate::type_config::MachineId;

type Read<T> = Result<T, DecodeError>;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Ask<D: Domain> {
    /// Decide a statement that is for this shard alone, and store it.
    Execute {
        shard: ShardId,
        deadline: Duration,
        transaction: Uuid,
        metadata: Metadata,
        requests: Vec<Request<D>>,
    },
    /// Hold aggregates for a statement.
    Reserve { shard: ShardId, write: WriteId, may_wait: bool, ids: Vec<D::Id> },
    /// Decide a part of a statement, whose aggregates are held.
    Decide { shard: ShardId, part: PartAsk<D> },
    /// Do something with what was decided.
    Errand { shard: ShardId, errand: Errand },
    /// Drop what is held of a statement. There is no answer.
    Abort { shard: ShardId, write: WriteId },
    /// Say up to where what was acknowledged reaches, or what happens up to an instant.
    ReadIndex { shards: Vec<ShardId>, instant: Option<Timestamp> },
    /// Hand over the leadership.
    Transfer { shard: ShardId, to: MachineId },
}

/// A part of a statement that a leader is to decide.
#[derive(Debug)]
pub(crate) struct PartAsk<D: Domain> {
    pub(crate) write: WriteId,
    pub(crate) attempt: Attempt,
    pub(crate) deciding: ShardId,
    pub(crate) continues: bool,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) requests: Vec<Request<D>>,
}

/// An [`crate::shard::Order`], without the way back.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Store { write: WriteId },
    Prepare { write: WriteId, attempt: Attempt, deciding: ShardId },
    Decide { attempt: Attempt, wish: Wish },
    Conclude { attempt: Attempt, write: Option<WriteId>, verdict: Verdict },
}

impl<D: Domain> Travel for Request<D> {
    fn put(&self, out: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        D::encode_id(&self.id, &mut bytes);
        write_bytes(&bytes, out);
        self.expected_version.put(out);
        self.command.is_some().put(out);
        if let Some(command) = &self.command {
            bytes.clear();
            D::encode_command(command, &mut bytes);
            write_bytes(&bytes, out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let id = D::decode_id(from.bytes()?)?;
        let expected_version = Travel::get(from)?;
        let command = if bool::get(from)? { Some(D::decode_command(from.bytes()?)?) } else { None };
        Ok(Self { id, expected_version, command })
    }
}

impl<D: Domain> Travel for PartAsk<D> {
    fn put(&self, out: &mut Vec<u8>) {
        self.write.put(out);
        self.attempt.put(out);
        self.deciding.put(out);
        self.continues.put(out);
        self.metadata.put(out);
        self.requests.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            write: Travel::get(from)?,
            attempt: Travel::get(from)?,
            deciding: Travel::get(from)?,
            continues: Travel::get(from)?,
            metadata: Arc::new(Metadata::get(from)?),
            requests: Travel::get(from)?,
        })
    }
}

impl<D: Domain> Travel for Ask<D> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Execute { shard, deadline, transaction, metadata, requests } => {
                out.push(1);
                shard.put(out);
                deadline.put(out);
                transaction.put(out);
                metadata.put(out);
                requests.put(out);
            }
            Self::Reserve { shard, write, may_wait, ids } => {
                out.push(2);
                shard.put(out);
                write.put(out);
                may_wait.put(out);
                ids.len().put(out);
                let mut bytes = Vec::new();
                for id in ids {
                    bytes.clear();
                    D::encode_id(id, &mut bytes);
                    write_bytes(&bytes, out);
                }
            }
            Self::Decide { shard, part } => {
                out.push(3);
                shard.put(out);
                part.put(out);
            }
            Self::Errand { shard, errand } => {
                out.push(4);
                shard.put(out);
                errand.put(out);
            }
            Self::Abort { shard, write } => {
                out.push(5);
                shard.put(out);
                write.put(out);
            }
            Self::ReadIndex { shards, instant } => {
                out.push(6);
                shards.put(out);
                instant.put(out);
            }
            Self::Transfer { shard, to } => {
                out.push(7);
                shard.put(out);
                to.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(match from.byte()? {
            1 => Self::Execute {
                shard: Travel::get(from)?,
                deadline: Travel::get(from)?,
                transaction: Travel::get(from)?,
                metadata: Travel::get(from)?,
                requests: Travel::get(from)?,
            },
            2 => Self::Reserve {
                shard: Travel::get(from)?,
                write: Travel::get(from)?,
                may_wait: Travel::get(from)?,
                ids: get_ids::<D>(from)?,
            },
            3 => Self::Decide { shard: Travel::get(from)?, part: Travel::get(from)? },
            4 => Self::Errand { shard: Travel::get(from)?, errand: Travel::get(from)? },
            5 => Self::Abort { shard: Travel::get(from)?, write: Travel::get(from)? },
            6 => Self::ReadIndex { shards: Travel::get(from)?, instant: Travel::get(from)? },
            7 => Self::Transfer { shard: Travel::get(from)?, to: Travel::get(from)? },
            kind => return Err(from.error(format!("{kind} is nothing that can be asked"))),
        })
    }
}

fn get_ids<D: Domain>(from: &mut Reader<'_>) -> Read<Vec<D::Id>> {
    let mut ids = Vec::new();
    for _ in 0..usize::get(from)? {
        ids.push(D::decode_id(from.bytes()?)?);
    }
    Ok(ids)
}

impl Travel for Errand {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Store { write } => {
                out.push(1);
                write.put(out);
            }
            Self::Prepare { write, attempt, deciding } => {
                out.push(2);
                write.put(out);
                attempt.put(out);
                deciding.put(out);
            }
            Self::Decide { attempt, wish } => {
                out.push(3);
                attempt.put(out);
                wish.put(out);
            }
            Self::Conclude { attempt, write, verdict } => {
                out.push(4);
                attempt.put(out);
                write.put(out);
                verdict.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(match from.byte()? {
            1 => Self::Store { write: Travel::get(from)? },
            2 => Self::Prepare {
                write: Travel::get(from)?,
                attempt: Travel::get(from)?,
                deciding: Travel::get(from)?,
            },
            3 => Self::Decide { attempt: Travel::get(from)?, wish: Travel::get(from)? },
            4 => Self::Conclude {
                attempt: Travel::get(from)?,
                write: Travel::get(from)?,
                verdict: Travel::get(from)?,
            },
            kind => return Err(from.error(format!("{kind} is no errand"))),
        })
    }
}

impl<D: Domain> Travel for WriteError<D> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Refused { request, refusal } => {
                out.push(1);
                request.put(out);
                put_refusal::<D>(refusal, out);
            }
            Self::VersionMismatch { requests } => {
                out.push(2);
                requests.put(out);
            }
            Self::NotLeader { shard, leader } => {
                out.push(3);
                shard.put(out);
                leader.put(out);
            }
            Self::Unavailable { shard } => {
                out.push(4);
                shard.put(out);
            }
            Self::OutcomeUnknown => out.push(5),
            Self::Overloaded => out.push(6),
            Self::Deadline => out.push(7),
            Self::Conflict => out.push(8),
            Self::TooLarge => out.push(9),
            Self::Removed => out.push(10),
            // The storage of another machine says nothing to a client but that it stored nothing.
            Self::Store(error) => {
                tracing::error!(%error, "another machine was told that nothing was stored");
                out.push(7);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(match from.byte()? {
            1 => Self::Refused { request: Travel::get(from)?, refusal: get_refusal::<D>(from)? },
            2 => Self::VersionMismatch { requests: Travel::get(from)? },
            3 => Self::NotLeader { shard: Travel::get(from)?, leader: Travel::get(from)? },
            4 => Self::Unavailable { shard: Travel::get(from)? },
            5 => Self::OutcomeUnknown,
            6 => Self::Overloaded,
            7 => Self::Deadline,
            8 => Self::Conflict,
            9 => Self::TooLarge,
            10 => Self::Removed,
            kind => return Err(from.error(format!("{kind} is no error"))),
        })
    }
}

impl<D: Domain> Travel for PartFailure<D> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Refused(request, refusal) => {
                out.push(1);
                request.put(out);
                put_refusal::<D>(refusal, out);
            }
            Self::Mismatch(requests) => {
                out.push(2);
                requests.put(out);
            }
            Self::Other(error) => {
                out.push(3);
                error.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(match from.byte()? {
            1 => Self::Refused(Travel::get(from)?, get_refusal::<D>(from)?),
            2 => Self::Mismatch(Travel::get(from)?),
            3 => Self::Other(Travel::get(from)?),
            kind => return Err(from.error(format!("{kind} is no failure of a part"))),
        })
    }
}

fn put_refusal<D: Domain>(refusal: &D::Refusal, out: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    D::encode_refusal(refusal, &mut bytes);
    write_bytes(&bytes, out);
}

fn get_refusal<D: Domain>(from: &mut Reader<'_>) -> Read<D::Refusal> {
    D::decode_refusal(from.bytes()?)
}
