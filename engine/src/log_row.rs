//! One row of a shard's log as it is stored.
//!
//! ```text
//! key    shard u16 . index u64                                  both big-endian, so that rows sort as they were written
//! value  format u8 . kind u8 . term u64 . node u64 . payload . CRC-32C u32 over key and value
//! ```

use bytes::Bytes;

use crate::db::{Family, KeyRange, StoreError};
use crate::domain::DecodeError;
use crate::position::{LogIndex, ShardId};
use crate::record::{self, CHECKSUM_BYTES};
use crate::varint::Reader;

/// The format of a row's value.
const ROW_FORMAT: u8 = 1;

const HEADER_BYTES: usize = 1 + 1 + 8 + 8;

/// The bytes that a row costs in memory beside its payload, roughly.
const ROW_OVERHEAD_BYTES: usize = 96;

/// Who led the shard when a row was proposed. With the index it identifies the row: two logs with the same leader
/// at the same index agree up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leader {
    /// The term; never decreases along a log.
    pub term: u64,
    /// The replica that led in the term.
    pub node: u64,
}

impl Leader {
    /// Appends sixteen bytes that sort as leaders do.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.term.to_be_bytes());
        out.extend_from_slice(&self.node.to_be_bytes());
    }

    /// Reads what [`Leader::write`] wrote.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            term: u64::from_be_bytes(reader.array()?),
            node: u64::from_be_bytes(reader.array()?),
        })
    }
}

/// What a row is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Nothing: a new leader's first row.
    Blank,
    /// Events: the payload is an encoded [`crate::entry::Entry`].
    Events,
    /// The shard's replicas: the payload is the replication layer's.
    Membership,
}

/// A row of a shard's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its place.
    pub index: LogIndex,
    /// Who proposed it.
    pub leader: Leader,
    /// What it is there for.
    pub kind: RowKind,
    /// What it says.
    pub payload: Bytes,
}

impl LogRow {
    /// The memory that the row takes, roughly.
    pub fn bytes(&self) -> usize {
        self.payload.len() + ROW_OVERHEAD_BYTES
    }

    /// Replaces `out` by the stored value.
    pub(crate) fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.reserve(HEADER_BYTES + self.payload.len() + CHECKSUM_BYTES);
        out.push(ROW_FORMAT);
        out.push(match self.kind {
            RowKind::Blank => 0,
            RowKind::Events => 1,
            RowKind::Membership => 2,
        });
        self.leader.write(out);
        out.extend_from_slice(&self.payload);
        record::seal(key, out);
    }

    /// Reads a stored row and verifies it.
    pub(crate) fn decode(shard: ShardId, key: &[u8], value: &[u8]) -> Result<Self, StoreError> {
        let damaged = |why: &str| {
            let index = decode_key(key)
                .map_or_else(|| format!("{key:02x?}"), |(_, index)| index.0.to_string());
            StoreError::Corrupted(format!("row {index} in the log of shard {shard}: {why}"))
        };
        let content = record::unseal(key, value).ok_or_else(|| damaged("wrong checksum"))?;
        let (stored_shard, index) = decode_key(key).ok_or_else(|| damaged("malformed key"))?;
        if stored_shard != shard {
            return Err(damaged("belongs to another shard"));
        }
        let mut reader = Reader::new("a log row", content);
        let (format, kind) = (reader.byte()?, reader.byte()?);
        let leader = Leader::read(&mut reader)?;
        if format != ROW_FORMAT {
            return Err(StoreError::Incompatible(format!(
                "row {} in the log of shard {shard} has unknown format {format}",
                index.0
            )));
        }
        let kind = match kind {
            0 => RowKind::Blank,
            1 => RowKind::Events,
            2 => RowKind::Membership,
            _ => return Err(damaged("unknown kind")),
        };
        Ok(Self {
            index,
            leader,
            kind,
            payload: Bytes::copy_from_slice(reader.take(reader.remaining())?),
        })
    }
}

/// The key of a row.
pub(crate) fn key(shard: ShardId, index: LogIndex) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&shard.0.to_be_bytes());
    key[2..].copy_from_slice(&index.0.to_be_bytes());
    key
}

/// What [`key`] wrote.
pub(crate) fn decode_key(key: &[u8]) -> Option<(ShardId, LogIndex)> {
    let (shard, index) = key.split_first_chunk()?;
    Some((
        ShardId(u16::from_be_bytes(*shard)),
        LogIndex(u64::from_be_bytes(index.try_into().ok()?)),
    ))
}

/// The rows of a shard with `from <= index < to`.
pub(crate) fn key_range(family: Family, shard: ShardId, from: LogIndex, to: LogIndex) -> KeyRange {
    KeyRange::new(family, key(shard, from), key(shard, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_reads_back_only_unchanged(
            shard: u16, index: u64, term: u64, node: u64, payload: Vec<u8>, at: prop::sample::Index, bit in 0..8,
        ) {
            let row = LogRow { index: LogIndex(index), leader: Leader { term, node }, kind: RowKind::Events, payload: payload.into() };
            let key = key(ShardId(shard), row.index);
            let mut value = Vec::new();
            row.encode(&key, &mut value);
            prop_assert_eq!(LogRow::decode(ShardId(shard), &key, &value).unwrap(), row);
            let at = at.index(value.len());
            value[at] ^= 1_u8 << bit;
            prop_assert!(matches!(LogRow::decode(ShardId(shard), &key, &value), Err(StoreError::Corrupted(_))));
        }

        #[test]
        fn keys_sort_as_shards_and_indexes_do(left: (u16, u64), right: (u16, u64)) {
            let key_of = |(shard, index)| key(ShardId(shard), LogIndex(index));
            prop_assert_eq!(key_of(left).cmp(&key_of(right)), left.cmp(&right));
            prop_assert_eq!(decode_key(&key_of(left)), Some((ShardId(left.0), LogIndex(left.1))));
        }
    }
}
