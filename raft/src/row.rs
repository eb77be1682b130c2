//! What Raft keeps in the shard's log beside events, in a format of our own: memberships, votes, and who a
//! replica is.
//!
//! openraft's own types are never serialised, because their layout changes between its versions. Every record
//! starts with a version byte; numbers are little-endian and of fixed width. The log below adds checksums.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::EntryPayload;
use rotabase_engine::db::StoreError;
use rotabase_engine::log::{Leader, LogRow, RowKind};
use rotabase_engine::position::LogIndex;

use crate::type_config::{
    LeaderId, LogId, Machine, MachineId, Membership, Proposal, RaftEntry, ReplicaId, Vote,
};

const VERSION: u8 = 1;

/// The leader as the log stores it.
pub fn leader_of(leader_id: LeaderId) -> Leader {
    Leader { term: leader_id.term, node: leader_id.node_id.0 }
}

/// The leader as Raft knows it.
pub fn leader_id_of(leader: Leader) -> LeaderId {
    LeaderId { term: leader.term, node_id: ReplicaId(leader.node) }
}

/// The log id of the row at `index`.
pub fn log_id_of(index: LogIndex, leader: Leader) -> LogId {
    LogId { leader_id: leader_id_of(leader), index: index.0 }
}

/// The row that stores an entry. The entry's bytes are shared, not copied.
pub fn row_of(entry: RaftEntry) -> LogRow {
    let (kind, payload) = match entry.payload {
        EntryPayload::Blank => (RowKind::Blank, Bytes::new()),
        EntryPayload::Normal(proposal) => (RowKind::Events, proposal.bytes),
        EntryPayload::Membership(membership) => {
            (RowKind::Membership, encode_membership(&membership))
        }
    };
    LogRow {
        index: LogIndex(entry.log_id.index),
        leader: leader_of(entry.log_id.leader_id),
        kind,
        payload,
    }
}

/// The entry that a row stores.
pub fn entry_of(row: LogRow) -> Result<RaftEntry, StoreError> {
    let payload = match row.kind {
        RowKind::Blank => EntryPayload::Blank,
        RowKind::Events => EntryPayload::Normal(Proposal { bytes: row.payload }),
        RowKind::Membership => EntryPayload::Membership(decode_membership(&row.payload)?),
    };
    Ok(RaftEntry { log_id: log_id_of(row.index, row.leader), payload })
}

/// Encodes a vote.
pub fn encode_vote(vote: &Vote) -> Bytes {
    let mut out = vec![VERSION];
    put_u64(vote.leader_id.term, &mut out);
    put_u64(vote.leader_id.node_id.0, &mut out);
    out.push(u8::from(vote.committed));
    Bytes::from(out)
}

/// Decodes a vote.
pub fn decode_vote(record: &[u8]) -> Result<Vote, StoreError> {
    let mut fields = Fields::new("vote", record)?;
    let leader_id = LeaderId { term: fields.u64()?, node_id: ReplicaId(fields.u64()?) };
    let committed = fields.u8()? != 0;
    fields.end()?;
    Ok(Vote { leader_id, committed })
}

/// Encodes who a replica is: its id and its machine's.
pub fn encode_replica(replica: ReplicaId, machine: MachineId) -> Bytes {
    let mut out = vec![VERSION];
    put_u64(replica.0, &mut out);
    out.extend_from_slice(&machine.0.to_le_bytes());
    Bytes::from(out)
}

/// Decodes who a replica is.
pub fn decode_replica(record: &[u8]) -> Result<(ReplicaId, MachineId), StoreError> {
    let mut fields = Fields::new("replica", record)?;
    let decoded = (ReplicaId(fields.u64()?), MachineId(fields.u32()?));
    fields.end()?;
    Ok(decoded)
}

/// Encodes the replicas of a shard.
pub fn encode_membership(membership: &Membership) -> Bytes {
    let mut out = vec![VERSION];
    let configs = membership.get_joint_config();
    put_count(configs.len(), &mut out);
    for config in configs {
        put_count(config.len(), &mut out);
        for replica in config {
            put_u64(replica.0, &mut out);
        }
    }
    put_count(membership.nodes().count(), &mut out);
    for (replica, machine) in membership.nodes() {
        put_u64(replica.0, &mut out);
        out.extend_from_slice(&machine.id.0.to_le_bytes());
        put_count(machine.address.len(), &mut out);
        out.extend_from_slice(machine.address.as_bytes());
    }
    Bytes::from(out)
}

/// Decodes the replicas of a shard.
pub fn decode_membership(record: &[u8]) -> Result<Membership, StoreError> {
    let mut fields = Fields::new("membership", record)?;
    let mut configs = Vec::new();
    for _ in 0..fields.u32()? {
        let mut config = BTreeSet::new();
        for _ in 0..fields.u32()? {
            config.insert(ReplicaId(fields.u64()?));
        }
        configs.push(config);
    }
    let mut machines = BTreeMap::new();
    for _ in 0..fields.u32()? {
        let replica = ReplicaId(fields.u64()?);
        let id = MachineId(fields.u32()?);
        let length = usize::try_from(fields.u32()?).expect("32 bits fit a usize");
        let address = std::str::from_utf8(fields.take(length)?)
            .map_err(|_| fields.corrupted("an address is no text"))?;
        machines.insert(replica, Machine { id, address: address.to_owned() });
    }
    fields.end()?;
    if configs.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, machines)
        .map_err(|error| StoreError::Corrupted(format!("membership: {error}")))
}

fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_count(value: usize, out: &mut Vec<u8>) {
    let value = u32::try_from(value).expect("a membership has few members");
    out.extend_from_slice(&value.to_le_bytes());
}

/// Reads fields off the front of a record; one that is too short or too long is corrupted, never a panic.
struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(what: &'static str, record: &'a [u8]) -> Result<Self, StoreError> {
        let mut fields = Self { what, rest: record };
        match fields.u8()? {
            VERSION => Ok(fields),
            version => {
                Err(StoreError::Incompatible(format!("{what} of unknown version {version}")))
            }
        }
    }

    fn corrupted(&self, why: &str) -> StoreError {
        StoreError::Corrupted(format!("{}: {why}", self.what))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| self.corrupted("ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    fn end(&self) -> Result<(), StoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupted("is too long")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        let machine = |id: u32| Machine { id: MachineId(id), address: format!("host{id}:7000") };
        let voters = |ids: &[u64]| ids.iter().copied().map(ReplicaId).collect::<BTreeSet<_>>();
        let machines =
            (1..=4).map(|id| (ReplicaId(u64::from(id)), machine(id))).collect::<BTreeMap<_, _>>();
        Membership::new(vec![voters(&[1, 2, 3]), voters(&[2, 3, 4])], machines).unwrap()
    }

    #[test]
    fn every_record_reads_back() {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal { bytes: Bytes::from_static(b"events") }),
            EntryPayload::Membership(membership()),
        ];
        for payload in payloads {
            let leader_id = LeaderId { term: 3, node_id: ReplicaId(7) };
            let entry = RaftEntry { log_id: LogId { leader_id, index: 42 }, payload };
            assert_eq!(entry_of(row_of(entry.clone())).unwrap(), entry);
        }
        for committed in [false, true] {
            let vote = Vote { leader_id: LeaderId { term: 9, node_id: ReplicaId(4) }, committed };
            assert_eq!(decode_vote(&encode_vote(&vote)).unwrap(), vote);
        }
        let replica = (ReplicaId(77), MachineId(3));
        assert_eq!(decode_replica(&encode_replica(replica.0, replica.1)).unwrap(), replica);
    }

    #[test]
    fn a_record_of_the_wrong_length_is_an_error_and_no_panic() {
        let record = encode_membership(&membership());
        for length in 0..record.len() {
            assert!(decode_membership(&record[..length]).is_err(), "cut at {length}");
        }
        let mut long = record.to_vec();
        long.push(0);
        assert!(decode_membership(&long).is_err());
    }
}
