//! Aggregate snapshots: the state of an aggregate at a version, so that loading it does not read its whole history.
//!
//! They are a cache: a snapshot that is damaged, or that this version cannot read, is as good as none.
//!
//! ```text
//! key    shard u16 . aggregate
//! value  format u8 . version u64 . state, as the domain encodes it . CRC-32C u32 over key and value
//! ```

use crate::db::{Db, Rows, StoreError};
use crate::domain::Domain;
use crate::log::Families;
use crate::position::{ShardId, Version};
use crate::record;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 1 + 8;

/// The row that keeps the state of an aggregate.
pub(crate) fn row<D: Domain>(
    shard: ShardId,
    aggregate: &[u8],
    state: &D::State,
    version: Version,
    rows: &mut Rows,
) {
    let key = key(shard, aggregate);
    let mut value = vec![FORMAT];
    value.extend_from_slice(&version.0.to_be_bytes());
    D::encode_state(state, &mut value);
    record::seal(&key, &mut value);
    rows.push(&key, &value);
}

/// The state of an aggregate that was kept, if there is one that can be read.
pub(crate) fn read<D: Domain>(
    db: &Db,
    families: Families,
    shard: ShardId,
    id: &D::Id,
    aggregate: &[u8],
) -> Result<Option<(D::State, Version)>, StoreError> {
    let key = key(shard, aggregate);
    let read = db.get_with(families.snapshots, &key, |value| decode::<D>(id, &key, value).ok())?;
    Ok(read.flatten())
}

/// Reads the value of a snapshot.
pub(crate) fn decode<D: Domain>(
    id: &D::Id,
    key: &[u8],
    value: &[u8],
) -> Result<(D::State, Version), StoreError> {
    let content = record::unseal_or_corrupted("an aggregate snapshot", key, value)?;
    let (header, state) = content
        .split_first_chunk::<HEADER_BYTES>()
        .filter(|(header, _)| header[0] == FORMAT)
        .ok_or_else(|| {
            StoreError::Corrupted("an aggregate snapshot of an unknown format".to_owned())
        })?;
    let version = Version(u64::from_be_bytes(*header.last_chunk().expect("nine bytes")));
    Ok((D::decode_state(id, state)?, version))
}

/// The aggregate in the key of a snapshot.
pub(crate) fn aggregate_of(key: &[u8]) -> Option<(ShardId, &[u8])> {
    let (shard, aggregate) = key.split_first_chunk()?;
    Some((ShardId(u16::from_be_bytes(*shard)), aggregate))
}

fn key(shard: ShardId, aggregate: &[u8]) -> Vec<u8> {
    [shard.0.to_be_bytes().as_slice(), aggregate].concat()
}
