//! The checksum that every stored record carries: CRC-32C over its key and its value, so that a record that is
//! damaged, or that stands at another's place, is never served.

use crate::db::StoreError;
use crate::domain::DecodeError;
use crate::planted::{self, Bug};

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::Corrupted(error.to_string())
    }
}

/// The bytes that a checksum takes at the end of a value.
pub const CHECKSUM_BYTES: usize = 4;

/// Appends the checksum of `key` and `value` to `value`.
pub fn seal(key: &[u8], value: &mut Vec<u8>) {
    seal_from(key, value, 0);
}

/// The same for a value that stands in `bytes` from `start` to the end.
pub fn seal_from(key: &[u8], bytes: &mut Vec<u8>, start: usize) {
    let checksum = checksum(key, &bytes[start..]);
    bytes.extend_from_slice(&checksum.to_be_bytes());
}

/// The value without its checksum, if that is right.
pub fn unseal<'v>(key: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
    let (content, stored) = value.split_last_chunk::<CHECKSUM_BYTES>()?;
    let right = checksum(key, content) == u32::from_be_bytes(*stored);
    (right || planted::has(Bug::ChecksumUnchecked)).then_some(content)
}

/// [`unseal`], with the error that names what was read.
pub fn unseal_or_corrupted<'v>(
    what: &str,
    key: &[u8],
    value: &'v [u8],
) -> Result<&'v [u8], StoreError> {
    unseal(key, value).ok_or_else(|| StoreError::Corrupted(format!("{what}: wrong checksum")))
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sealed_record_opens_only_at_its_place_and_unchanged(
            key: Vec<u8>, value: Vec<u8>, other: Vec<u8>, at: prop::sample::Index, bit in 0..8,
        ) {
            let mut sealed = value.clone();
            seal(&key, &mut sealed);
            prop_assert_eq!(unseal(&key, &sealed), Some(value.as_slice()));
            if other != key {
                prop_assert_eq!(unseal(&other, &sealed), None);
            }
            let at = at.index(sealed.len());
            sealed[at] ^= 1_u8 << bit;
            prop_assert_eq!(unseal(&key, &sealed), None);
        }
    }
}
