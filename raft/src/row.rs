//! The rows that a shard keeps: Raft log entries and the few facts beside them, in a format of our own.
//!
//! openraft's own types are never serialised, because their layout changes between its versions. Every row
//! starts with a version byte; numbers are little-endian and of fixed width. The store below adds a checksum.
//!
//! ```text
//! log row     1 . kind u8 . term u64 . replica u64 . index u64 . body
//!             kind 0 blank: no body; 1 events: an encoded entry; 2 membership: configs and nodes
//! log id      term u64 . replica u64 . index u64
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::EntryPayload;
use rotabase_engine::db::StoreError;

use crate::type_config::{LeaderId, LogId, Machine, MachineId, Membership, Proposal, RaftEntry, ReplicaId, StoredMembership, Vote};

/// The bytes before the body of a log row.
pub const LOG_ROW_HEADER_BYTES: usize = 26;

const VERSION: u8 = 1;
const KIND_BLANK: u8 = 0;
const KIND_EVENTS: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// Encodes a log entry.
pub fn encode_entry(entry: &RaftEntry) -> Bytes {
    let body = match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.bytes.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    let mut out = Vec::with_capacity(LOG_ROW_HEADER_BYTES + body);
    out.push(VERSION);
    out.push(match &entry.payload {
        EntryPayload::Blank => KIND_BLANK,
        EntryPayload::Normal(_) => KIND_EVENTS,
        EntryPayload::Membership(_) => KIND_MEMBERSHIP,
    });
    put_log_id(&entry.log_id, &mut out);
    match &entry.payload {
        EntryPayload::Blank => {}
        EntryPayload::Normal(proposal) => out.extend_from_slice(&proposal.bytes),
        EntryPayload::Membership(membership) => put_membership(membership, &mut out),
    }
    Bytes::from(out)
}

/// Decodes the log row at `index`. The entry's bytes stay shared with the row.
pub fn decode_entry(index: u64, row: &Bytes) -> Result<RaftEntry, StoreError> {
    let mut fields = Fields::new("log row", row)?;
    let kind = fields.u8()?;
    let log_id = fields.log_id()?;
    if log_id.index != index {
        return Err(StoreError::Corrupted(format!("log row {index} says that it is row {}", log_id.index)));
    }
    let payload = match kind {
        KIND_BLANK => EntryPayload::Blank,
        KIND_EVENTS => EntryPayload::Normal(Proposal { bytes: row.slice(LOG_ROW_HEADER_BYTES..) }),
        KIND_MEMBERSHIP => EntryPayload::Membership(fields.membership()?),
        _ => return Err(StoreError::Corrupted(format!("log row {index} is of unknown kind {kind}"))),
    };
    Ok(RaftEntry { log_id, payload })
}

/// The encoded entry in a log row, if it holds events; the rest of the row is not looked at.
pub fn events_of_row(row: &Bytes) -> Result<Option<Bytes>, StoreError> {
    let kind = Fields::new("log row", row)?.u8()?;
    let holds_events = kind == KIND_EVENTS && row.len() >= LOG_ROW_HEADER_BYTES;
    Ok(holds_events.then(|| row.slice(LOG_ROW_HEADER_BYTES..)))
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
pub fn decode_vote(row: &[u8]) -> Result<Vote, StoreError> {
    let mut fields = Fields::new("vote", row)?;
    let leader_id = fields.leader_id()?;
    Ok(Vote { leader_id, committed: fields.u8()? != 0 })
}

/// Encodes a log id.
pub fn encode_log_id(log_id: &LogId) -> Bytes {
    let mut out = vec![VERSION];
    put_log_id(log_id, &mut out);
    Bytes::from(out)
}

/// Decodes a log id.
pub fn decode_log_id(row: &[u8]) -> Result<LogId, StoreError> {
    Fields::new("log id", row)?.log_id()
}

/// Encodes the first log id of each leader.
pub fn encode_leaders(leaders: &[LogId]) -> Bytes {
    let mut out = vec![VERSION];
    leaders.iter().for_each(|first| put_log_id(first, &mut out));
    Bytes::from(out)
}

/// Decodes the first log id of each leader.
pub fn decode_leaders(row: &[u8]) -> Result<Vec<LogId>, StoreError> {
    let mut fields = Fields::new("leader changes", row)?;
    let mut leaders = Vec::new();
    while !fields.rest.is_empty() {
        leaders.push(fields.log_id()?);
    }
    Ok(leaders)
}

/// Encodes the indexes of void entries.
pub fn encode_voids(voids: &BTreeSet<u64>) -> Bytes {
    let mut out = vec![VERSION];
    voids.iter().for_each(|index| put_u64(*index, &mut out));
    Bytes::from(out)
}

/// Decodes the indexes of void entries.
pub fn decode_voids(row: &[u8]) -> Result<BTreeSet<u64>, StoreError> {
    let mut fields = Fields::new("void entries", row)?;
    let mut voids = BTreeSet::new();
    while !fields.rest.is_empty() {
        voids.insert(fields.u64()?);
    }
    Ok(voids)
}

/// Encodes a membership that was applied.
pub fn encode_stored_membership(stored: &StoredMembership) -> Bytes {
    let mut out = vec![VERSION];
    out.push(u8::from(stored.log_id().is_some()));
    if let Some(log_id) = stored.log_id() {
        put_log_id(log_id, &mut out);
    }
    put_membership(stored.membership(), &mut out);
    Bytes::from(out)
}

/// Decodes a membership that was applied.
pub fn decode_stored_membership(row: &[u8]) -> Result<StoredMembership, StoreError> {
    let mut fields = Fields::new("membership", row)?;
    let log_id = if fields.u8()? == 0 { None } else { Some(fields.log_id()?) };
    Ok(StoredMembership::new(log_id, fields.membership()?))
}

fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_count(value: usize, out: &mut Vec<u8>) {
    let value = u32::try_from(value).expect("a membership has few members");
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_log_id(log_id: &LogId, out: &mut Vec<u8>) {
    put_u64(log_id.leader_id.term, out);
    put_u64(log_id.leader_id.node_id.0, out);
    put_u64(log_id.index, out);
}

fn put_membership(membership: &Membership, out: &mut Vec<u8>) {
    let configs = membership.get_joint_config();
    put_count(configs.len(), out);
    for config in configs {
        put_count(config.len(), out);
        config.iter().for_each(|replica| put_u64(replica.0, out));
    }
    put_count(membership.nodes().count(), out);
    for (replica, machine) in membership.nodes() {
        put_u64(replica.0, out);
        out.extend_from_slice(&machine.id.0.to_le_bytes());
        put_count(machine.address.len(), out);
        out.extend_from_slice(machine.address.as_bytes());
    }
}

/// Reads fields off the front of a row; a row that is too short is corrupted, never a panic.
struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(what: &'static str, row: &'a [u8]) -> Result<Self, StoreError> {
        let mut fields = Self { what, rest: row };
        match fields.u8()? {
            VERSION => Ok(fields),
            version => Err(StoreError::Incompatible(format!("{what} of unknown version {version}"))),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], StoreError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(StoreError::Corrupted(format!("{} ends too early", self.what)));
        };
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

    fn leader_id(&mut self) -> Result<LeaderId, StoreError> {
        Ok(LeaderId { term: self.u64()?, node_id: ReplicaId(self.u64()?) })
    }

    fn log_id(&mut self) -> Result<LogId, StoreError> {
        Ok(LogId { leader_id: self.leader_id()?, index: self.u64()? })
    }

    fn membership(&mut self) -> Result<Membership, StoreError> {
        let mut configs = Vec::new();
        for _ in 0..self.u32()? {
            let mut config = BTreeSet::new();
            for _ in 0..self.u32()? {
                config.insert(ReplicaId(self.u64()?));
            }
            configs.push(config);
        }
        let mut machines = BTreeMap::new();
        for _ in 0..self.u32()? {
            let replica = ReplicaId(self.u64()?);
            let id = MachineId(self.u32()?);
            let length = usize::try_from(self.u32()?).expect("32 bits fit a usize");
            let address = std::str::from_utf8(self.take(length)?)
                .map_err(|_| StoreError::Corrupted(format!("{} has an address that is no text", self.what)))?;
            machines.insert(replica, Machine { id, address: address.to_owned() });
        }
        if configs.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(configs, machines).map_err(|error| StoreError::Corrupted(format!("{}: {error}", self.what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_id(term: u64, replica: u64, index: u64) -> LogId {
        LogId { leader_id: LeaderId { term, node_id: ReplicaId(replica) }, index }
    }

    fn membership() -> Membership {
        let machine = |id: u32| Machine { id: MachineId(id), address: format!("host{id}:7000") };
        let voters = |ids: &[u64]| ids.iter().copied().map(ReplicaId).collect::<BTreeSet<_>>();
        let machines = (1..=4).map(|id| (ReplicaId(u64::from(id)), machine(id))).collect::<BTreeMap<_, _>>();
        Membership::new(vec![voters(&[1, 2, 3]), voters(&[2, 3, 4])], machines).unwrap()
    }

    #[test]
    fn every_row_reads_back() {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal { bytes: Bytes::from_static(b"events") }),
            EntryPayload::Membership(membership()),
        ];
        for payload in payloads {
            let entry = RaftEntry { log_id: log_id(3, 7, 42), payload };
            assert_eq!(decode_entry(42, &encode_entry(&entry)).unwrap(), entry);
        }
        for committed in [false, true] {
            let vote = Vote { leader_id: LeaderId { term: 9, node_id: ReplicaId(4) }, committed };
            assert_eq!(decode_vote(&encode_vote(&vote)).unwrap(), vote);
        }
        let stored = StoredMembership::new(Some(log_id(1, 2, 3)), membership());
        assert_eq!(decode_stored_membership(&encode_stored_membership(&stored)).unwrap(), stored);
        let leaders = vec![log_id(1, 1, 0), log_id(2, 3, 17)];
        assert_eq!(decode_leaders(&encode_leaders(&leaders)).unwrap(), leaders);
        let voids = BTreeSet::from([4, 9]);
        assert_eq!(decode_voids(&encode_voids(&voids)).unwrap(), voids);
    }

    #[test]
    fn a_row_cut_anywhere_is_an_error_and_no_panic() {
        let entry = RaftEntry { log_id: log_id(3, 7, 42), payload: EntryPayload::Membership(membership()) };
        let row = encode_entry(&entry);
        for length in 0..row.len() {
            assert!(decode_entry(42, &row.slice(..length)).is_err(), "cut at {length}");
        }
        assert!(decode_entry(41, &row).is_err(), "a row in the wrong place");
    }
}
