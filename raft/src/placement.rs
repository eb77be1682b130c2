//! Which shard an aggregate lives in, and which replica ids a new database begins with.

use rotabase_engine::domain::Domain;
use rotabase_engine::position::ShardId;

use crate::type_config::{MachineId, ReplicaId};

/// The shard of an aggregate, by its encoded id. Fixed for ever: what is stored was put where this said.
///
/// FNV-1a, whose lowest bits are then mixed with the others as `MurmurHash3` ends (both public domain).
pub fn shard_of_encoded(id: &[u8], shards: u16) -> ShardId {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^= hash >> 33;
    ShardId(u16::try_from(hash % u64::from(shards)).expect("a remainder is below the divisor"))
}

/// The shard of an aggregate.
pub fn shard_of<D: Domain>(id: &D::Id, shards: u16) -> ShardId {
    let mut encoded = Vec::with_capacity(rotabase_engine::domain::AGGREGATE_ID_BYTES_MAX);
    D::encode_id(id, &mut encoded);
    shard_of_encoded(&encoded, shards)
}

/// The id of the replica that a machine has of a shard when the database is created. Replicas that come later get
/// ids with a higher last part, so that none is ever used again.
pub fn first_replica_id(machine: MachineId, shard: ShardId) -> ReplicaId {
    ReplicaId(u64::from(machine.0) << 32 | u64::from(shard.0) << 16 | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_never_changes_its_shard() {
        let shards: Vec<u16> = [&b""[..], b"a", b"b", b"FRA", b"D-AIZA", b"LH400"]
            .map(|id| shard_of_encoded(id, 16).0)
            .to_vec();
        assert_eq!(shards, [6, 11, 0, 10, 13, 15], "changing this loses every stored aggregate");
    }

    #[test]
    fn aggregates_spread_evenly() {
        let mut counts = [0_usize; 16];
        for number in 0..16_000_u32 {
            counts[usize::from(shard_of_encoded(&number.to_le_bytes(), 16).0)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
