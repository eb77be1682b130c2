//! What the world provides: time and randomness. They are passed in, so that a simulation can pass its own.

use std::fmt::Debug;

use uuid::Uuid;

/// The bits of a [`Timestamp`] that order what happened within one microsecond.
pub const LOGICAL_BITS: u32 = 11;

/// A hybrid-logical timestamp: microseconds since 2000-01-01 00:00 UTC and a logical counter below them, so
/// that it stays near the wall clock and still never repeats or goes back.
///
/// Source: Kulkarni et al., "Logical Physical Clocks", 2014.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The first timestamp of a microsecond, counted from 2000-01-01 00:00 UTC.
    pub fn from_microseconds(microseconds: i64) -> Self {
        Self(u64::try_from(microseconds).unwrap_or(0) << LOGICAL_BITS)
    }

    /// Microseconds since 2000-01-01 00:00 UTC, the unit of PostgreSQL's `timestamptz`.
    pub fn microseconds(self) -> i64 {
        i64::try_from(self.0 >> LOGICAL_BITS).expect("53 bits")
    }

    /// The least timestamp that is later than `self` and not before the wall clock's `now`.
    #[must_use]
    pub fn tick(self, now: Self) -> Self {
        Self(now.0.max(self.0 + 1))
    }
}

/// The wall clock.
pub trait Clock: Debug + Send + Sync {
    /// Microseconds since 2000-01-01 00:00 UTC. May jump, also backwards.
    fn now_microseconds(&self) -> i64;
}

/// A source of randomness.
pub trait Random: Debug + Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;

    /// A UUID of version 7 (RFC 9562, section 5.7) for the moment `now_microseconds`, so that ids made one
    /// after the other lie side by side in an index.
    fn uuid_v7(&self, now_microseconds: i64) -> Uuid {
        const UNIX_TO_2000_MILLISECONDS: i64 = 946_684_800_000;
        let millis =
            u64::try_from(now_microseconds / 1000 + UNIX_TO_2000_MILLISECONDS).unwrap_or(0);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next_u64().to_be_bytes());
        random[8..].copy_from_slice(&self.next_u64().to_be_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
