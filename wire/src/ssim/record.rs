//! A record and its fields, numbered as the standard numbers them: from 1, both ends included.

use super::RECORD_BYTES;

/// A record: 200 bytes of printable ASCII without lower case letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a>(pub(super) &'a [u8; RECORD_BYTES]);

impl<'a> Record<'a> {
    /// One byte.
    pub(super) fn byte(self, at: usize) -> u8 {
        self.0[at - 1]
    }

    /// The bytes `first` to `last`.
    pub(super) fn bytes(self, first: usize, last: usize) -> &'a [u8] {
        &self.0[first - 1..last]
    }

    /// The bytes from `first`, as many as asked for.
    pub(super) fn array<const N: usize>(self, first: usize) -> [u8; N] {
        self.bytes(first, first + N - 1).try_into().expect("N bytes")
    }

    /// Whether the bytes `first` to `last` are blank.
    pub(super) fn is_blank(self, first: usize, last: usize) -> bool {
        self.bytes(first, last).iter().all(|byte| *byte == b' ')
    }

    /// The bytes `first` to `last` for a message.
    pub(super) fn printable(self, first: usize, last: usize) -> String {
        self.bytes(first, last)
            .iter()
            .map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' })
            .collect()
    }
}
