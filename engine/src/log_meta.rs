//! The few records beside the log's rows: whose directory it is, and for each shard its vote, what is known to be
//! committed, and where its leaders changed.
//!
//! ```text
//! key    0xFFFF . "identity"                format u32 . cluster 16 bytes . shards u16
//!        shard u16 . "committed"            index u64 . term u64 . node u64
//!        shard u16 . "leader/" . index u64  term u64 . node u64: the leader of the rows from that index on
//!        shard u16 . other name             the replication layer's, as the vote
//! value  as above, followed by CRC-32C u32 over key and value
//! ```

use std::ops::ControlFlow;

use bytes::Bytes;
use uuid::Uuid;

use crate::db::{Db, Direction, Family, KeyRange, StoreError};
use crate::domain::DecodeError;
use crate::log_row::Leader;
use crate::position::{LogIndex, SHARDS_MAX, ShardId};
use crate::record;
use crate::varint::Reader;

/// The format of the data directory that this version reads and writes.
pub const STORE_FORMAT: u32 = 1;

const STORE_WIDE: u16 = u16::MAX;
const _: () = assert!(SHARDS_MAX < STORE_WIDE, "no shard has the store's own prefix");

const IDENTITY: &[u8] = b"identity";
const COMMITTED: &str = "committed";
const LEADER: &[u8] = b"leader/";

/// Whose data a directory holds; written when it is created and never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: Uuid,
    /// The number of shards, fixed when the cluster was created.
    pub shards: u16,
}

/// The newest row of a shard that is known to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its index.
    pub index: LogIndex,
    /// Its leader.
    pub leader: Leader,
}

/// The name under which [`Committed`] is kept.
pub(crate) fn committed_name() -> &'static str {
    COMMITTED
}

impl Committed {
    pub(crate) fn encode(self) -> Bytes {
        let mut value = self.index.0.to_be_bytes().to_vec();
        self.leader.write(&mut value);
        value.into()
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("a committed mark", value);
        let committed = Self {
            index: LogIndex(u64::from_be_bytes(reader.array()?)),
            leader: Leader::read(&mut reader)?,
        };
        reader.finish()?;
        Ok(committed)
    }
}

/// The key of a shard's record.
pub(crate) fn key(shard: ShardId, name: &[u8]) -> Vec<u8> {
    [shard.0.to_be_bytes().as_slice(), name].concat()
}

/// The key of the record that says who led from `first` on.
pub(crate) fn leader_key(shard: ShardId, first: LogIndex) -> Vec<u8> {
    [shard.0.to_be_bytes().as_slice(), LEADER, &first.0.to_be_bytes()].concat()
}

/// The value of that record, without its checksum.
pub(crate) fn leader_value(leader: Leader) -> Vec<u8> {
    let mut value = Vec::with_capacity(20);
    leader.write(&mut value);
    value
}

/// Reads and verifies a record.
pub(crate) fn read(db: &Db, family: Family, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
    let Some(value) = db.get(family, key)? else { return Ok(None) };
    let content = record::unseal_or_corrupted("a record of the store's own", key, &value)?;
    Ok(Some(value.slice_ref(content)))
}

/// Where the leaders of a shard's rows changed: the first index of each, in order.
pub(crate) fn read_leaders(
    db: &Db,
    family: Family,
    shard: ShardId,
) -> Result<Vec<(LogIndex, Leader)>, StoreError> {
    let mut leaders = Vec::new();
    let prefix = key(shard, LEADER);
    let mut outcome = Ok(());
    db.scan(&KeyRange::prefix(family, prefix.clone()), Direction::Forward, &mut |key, value| {
        let change = read_leader(key, prefix.len(), value);
        outcome = change.map(|change| leaders.push(change));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome.map(|()| leaders)
}

fn read_leader(key: &[u8], prefix: usize, value: &[u8]) -> Result<(LogIndex, Leader), StoreError> {
    let content = record::unseal_or_corrupted("a row of the leader table", key, value)?;
    let first =
        u64::from_be_bytes(Reader::new("a key of the leader table", &key[prefix..]).array()?);
    Ok((LogIndex(first), Leader::read(&mut Reader::new("a leader", content))?))
}

/// The key and the value of the identity record.
pub(crate) fn identity_record(identity: &Identity) -> (Vec<u8>, Vec<u8>) {
    let key = key(ShardId(STORE_WIDE), IDENTITY);
    let mut value = STORE_FORMAT.to_be_bytes().to_vec();
    value.extend_from_slice(identity.cluster.as_bytes());
    value.extend_from_slice(&identity.shards.to_be_bytes());
    record::seal(&key, &mut value);
    (key, value)
}

/// Reads the identity record, if there is one.
pub(crate) fn read_identity(db: &Db, family: Family) -> Result<Option<Identity>, StoreError> {
    let Some(value) = read(db, family, &key(ShardId(STORE_WIDE), IDENTITY))? else {
        return Ok(None);
    };
    let mut reader = Reader::new("the identity record", &value);
    let format = u32::from_be_bytes(reader.array()?);
    if format != STORE_FORMAT {
        let text = format!(
            "the data directory has format {format}, and this version reads format {STORE_FORMAT}"
        );
        return Err(StoreError::Incompatible(text));
    }
    let cluster = Uuid::from_bytes(reader.array()?);
    let shards = u16::from_be_bytes(reader.array()?);
    reader.finish()?;
    Ok(Some(Identity { cluster, shards }))
}
