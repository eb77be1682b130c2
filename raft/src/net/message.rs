//! Raft's messages as bytes. openraft's own types are never serialised: their layout changes between its versions.

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use rotabase_engine::domain::DecodeError;
use rotabase_engine::log::{LogRow, RowKind};
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::varint::{Reader, write_bytes};

use crate::remote::travel::Travel;
use crate::row::{entry_of, leader_id_of, leader_of, log_id_of, row_of};
use crate::type_config::{LeaderId, LogId, RaftEntry, ReplicaId, TypeConfig, Vote};

type Read<T> = Result<T, DecodeError>;

/// Terms from here on are nobody's: arithmetic on them could overflow.
const TERM_END: u64 = 1 << 62;

/// To which replica a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) space: u8,
    pub(super) shard: ShardId,
    pub(super) to: ReplicaId,
}

impl Travel for Address {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.space);
        self.shard.put(out);
        self.to.0.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let (space, shard) = (from.byte()?, Travel::get(from)?);
        Ok(Self { space, shard, to: ReplicaId(Travel::get(from)?) })
    }
}

impl Travel for LeaderId {
    fn put(&self, out: &mut Vec<u8>) {
        self.term.put(out);
        self.node_id.0.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let term = u64::get(from)?;
        if term >= TERM_END {
            return Err(from.error(format!("{term} is too high for a term")));
        }
        Ok(Self { term, node_id: ReplicaId(Travel::get(from)?) })
    }
}

impl Travel for LogId {
    fn put(&self, out: &mut Vec<u8>) {
        self.leader_id.put(out);
        LogIndex(self.index).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let leader_id = LeaderId::get(from)?;
        Ok(log_id_of(LogIndex::get(from)?, leader_of(leader_id)))
    }
}

impl Travel for Vote {
    fn put(&self, out: &mut Vec<u8>) {
        self.leader_id.put(out);
        self.committed.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { leader_id: Travel::get(from)?, committed: Travel::get(from)? })
    }
}

impl Travel for RaftEntry {
    fn put(&self, out: &mut Vec<u8>) {
        // Cloning an entry copies a pointer to its bytes.
        let row = row_of(self.clone());
        row.index.put(out);
        leader_id_of(row.leader).put(out);
        out.push(match row.kind {
            RowKind::Blank => 0,
            RowKind::Events => 1,
            RowKind::Membership => 2,
        });
        write_bytes(&row.payload, out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let index = LogIndex::get(from)?;
        let leader = leader_of(LeaderId::get(from)?);
        let kind = match from.byte()? {
            0 => RowKind::Blank,
            1 => RowKind::Events,
            2 => RowKind::Membership,
            kind => return Err(from.error(format!("{kind} is no kind of row"))),
        };
        let payload = Bytes::copy_from_slice(from.bytes()?);
        entry_of(LogRow { index, leader, kind, payload })
            .map_err(|error| from.error(error.to_string()))
    }
}

impl Travel for AppendEntriesRequest<TypeConfig> {
    fn put(&self, out: &mut Vec<u8>) {
        self.vote.put(out);
        self.prev_log_id.put(out);
        self.leader_commit.put(out);
        self.entries.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let (vote, prev_log_id) = (Travel::get(from)?, Option::<LogId>::get(from)?);
        let (leader_commit, entries) = (Travel::get(from)?, Vec::<RaftEntry>::get(from)?);
        let first = prev_log_id.map_or(0, |prev| prev.index + 1);
        let consecutive = (first..).zip(&entries).all(|(index, it)| it.log_id.index == index);
        if !consecutive {
            return Err(from.error("entries do not follow each other"));
        }
        Ok(Self { vote, prev_log_id, entries, leader_commit })
    }
}

impl Travel for AppendEntriesResponse<TypeConfig> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Success => out.push(0),
            Self::PartialSuccess(matching) => {
                out.push(1);
                matching.put(out);
            }
            Self::Conflict => out.push(2),
            Self::HigherVote(vote) => {
                out.push(3);
                vote.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(match from.byte()? {
            0 => Self::Success,
            1 => Self::PartialSuccess(Travel::get(from)?),
            2 => Self::Conflict,
            3 => Self::HigherVote(Travel::get(from)?),
            kind => return Err(from.error(format!("{kind} is no answer to an append"))),
        })
    }
}

/// The answer to one append of a stream.
#[derive(Debug)]
pub(super) struct Streamed(pub(super) StreamAppendResult<TypeConfig>);

impl Travel for Streamed {
    fn put(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Ok(matching) => {
                out.push(0);
                matching.put(out);
            }
            Err(StreamAppendError::Conflict(log_id)) => {
                out.push(1);
                log_id.put(out);
            }
            Err(StreamAppendError::HigherVote(vote)) => {
                out.push(2);
                vote.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(Self(match from.byte()? {
            0 => Ok(Travel::get(from)?),
            1 => Err(StreamAppendError::Conflict(Travel::get(from)?)),
            2 => Err(StreamAppendError::HigherVote(Travel::get(from)?)),
            kind => return Err(from.error(format!("{kind} is no answer to a stream"))),
        }))
    }
}

impl Travel for VoteRequest<TypeConfig> {
    fn put(&self, out: &mut Vec<u8>) {
        self.vote.put(out);
        self.last_log_id.put(out);
        self.leadership_transfer.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            vote: Travel::get(from)?,
            last_log_id: Travel::get(from)?,
            leadership_transfer: Travel::get(from)?,
        })
    }
}

impl Travel for VoteResponse<TypeConfig> {
    fn put(&self, out: &mut Vec<u8>) {
        self.vote.put(out);
        self.vote_granted.put(out);
        self.last_log_id.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            vote: Travel::get(from)?,
            vote_granted: Travel::get(from)?,
            last_log_id: Travel::get(from)?,
        })
    }
}

impl Travel for TransferLeaderRequest<TypeConfig> {
    fn put(&self, out: &mut Vec<u8>) {
        self.from_leader().put(out);
        self.to_node_id().0.put(out);
        self.last_log_id().copied().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        let (vote, to) = (Travel::get(from)?, ReplicaId(Travel::get(from)?));
        Ok(Self::new(vote, to, Travel::get(from)?))
    }
}

/// The answer to a transfer.
#[derive(Debug)]
pub(super) struct Transferred(pub(super) TransferLeaderResponse<TypeConfig>);

impl Travel for Transferred {
    fn put(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Ok(()) => out.push(0),
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                out.push(1);
                expected.put(out);
                actual.put(out);
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                out.push(2);
                expected.put(out);
                actual.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Read<Self> {
        Ok(Self(match from.byte()? {
            0 => Ok(()),
            1 => Err(TransferLeaderError::VoteChanged {
                expected: Travel::get(from)?,
                actual: Travel::get(from)?,
            }),
            2 => Err(TransferLeaderError::LogNotFlushed {
                expected: Travel::get(from)?,
                actual: Travel::get(from)?,
            }),
            kind => return Err(from.error(format!("{kind} is no answer to a transfer"))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::travel::{pack, unpack};
    use crate::type_config::Proposal;
    use openraft::EntryPayload;
    use proptest::prelude::*;

    fn log_id(term: u64, index: u64) -> LogId {
        let leader_id = LeaderId { term, node_id: ReplicaId(7) };
        LogId { leader_id, index }
    }

    fn vote() -> Vote {
        Vote { leader_id: LeaderId { term: 9, node_id: ReplicaId(4) }, committed: true }
    }

    fn append() -> AppendEntriesRequest<TypeConfig> {
        let entry = |index, bytes: &'static [u8]| RaftEntry {
            log_id: log_id(3, index),
            payload: EntryPayload::Normal(Proposal { bytes: Bytes::from_static(bytes) }),
        };
        AppendEntriesRequest {
            vote: vote(),
            prev_log_id: Some(log_id(2, 41)),
            entries: vec![entry(42, b"one"), entry(43, b"")],
            leader_commit: Some(log_id(2, 40)),
        }
    }

    /// What is read back gives the same bytes again; every shorter message is an error.
    fn reads_back<T: Travel>(value: &T) {
        let bytes = pack(value);
        let again: T = unpack(&bytes).unwrap();
        assert_eq!(pack(&again), bytes);
        for length in 0..bytes.len() {
            assert!(unpack::<T>(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn every_message_reads_back() {
        reads_back(&append());
        for response in [
            AppendEntriesResponse::Success,
            AppendEntriesResponse::PartialSuccess(Some(log_id(1, 2))),
            AppendEntriesResponse::Conflict,
            AppendEntriesResponse::HigherVote(vote()),
        ] {
            reads_back(&response);
        }
        for streamed in [
            Ok(None),
            Ok(Some(log_id(1, 1))),
            Err(StreamAppendError::Conflict(log_id(1, 1))),
            Err(StreamAppendError::HigherVote(vote())),
        ] {
            reads_back(&Streamed(streamed));
        }
        for leadership_transfer in [false, true] {
            let last_log_id = Some(log_id(1, 5));
            reads_back(&VoteRequest { vote: vote(), last_log_id, leadership_transfer });
        }
        reads_back(&VoteResponse { vote: vote(), vote_granted: true, last_log_id: None });
        reads_back(&TransferLeaderRequest::new(vote(), ReplicaId(3), Some(log_id(1, 5))));
        reads_back(&Transferred(Ok(())));
        let (expected, actual) = (Some(log_id(1, 5)), None);
        reads_back(&Transferred(Err(TransferLeaderError::LogNotFlushed { expected, actual })));
        let (expected, actual) = (vote(), vote());
        reads_back(&Transferred(Err(TransferLeaderError::VoteChanged { expected, actual })));
    }

    #[test]
    fn entries_with_a_gap_are_refused() {
        let mut request = append();
        request.prev_log_id = None;
        assert!(unpack::<AppendEntriesRequest<TypeConfig>>(&pack(&request)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
            let _ = unpack::<AppendEntriesRequest<TypeConfig>>(&bytes);
            let _ = unpack::<AppendEntriesResponse<TypeConfig>>(&bytes);
            let _ = unpack::<Streamed>(&bytes);
            let _ = unpack::<VoteRequest<TypeConfig>>(&bytes);
            let _ = unpack::<Transferred>(&bytes);
        }

        #[test]
        fn a_damaged_append_is_a_message_or_an_error(at: prop::sample::Index, byte: u8) {
            let mut bytes = pack(&append()).to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = unpack::<AppendEntriesRequest<TypeConfig>>(&bytes);
        }
    }
}
