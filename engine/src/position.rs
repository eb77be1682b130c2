//! Where things stand: shards, places in a shard's log, versions of an aggregate.

use std::fmt;
use std::str::FromStr;

/// The most shards a database can be created with.
pub const SHARDS_MAX: u16 = 1024;

/// The bits of a [`Position`] that count events within one log entry.
pub const ORDINAL_BITS: u32 = 20;

/// The most events that one log entry can hold.
pub const ENTRY_EVENTS_MAX: usize = 1 << ORDINAL_BITS;

/// One shard of the write model: a Raft group with a log of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The index of an entry in a shard's log. The first entry has index 0 or 1, as Raft numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// The place of an event in its shard: the index of its log entry and its ordinal within the entry, packed
/// so that positions compare as the events happened. Fits an `int8` and only grows.
///
/// As a watermark, a position means "this event and all before it in the shard".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before every event.
    pub const START: Self = Self(0);

    /// The position of the event `ordinal` (from 0) in the entry at `index`.
    pub fn new(index: LogIndex, ordinal: usize) -> Self {
        assert!(ordinal < ENTRY_EVENTS_MAX, "an entry holds at most ENTRY_EVENTS_MAX events");
        assert!(index.0 < 1 << (63 - ORDINAL_BITS), "positions fit an int8");
        Self(index.0 << ORDINAL_BITS | u64::try_from(ordinal).expect("below 2^20"))
    }

    /// The watermark that covers every event of the entry at `index`, whatever it holds. Logs begin at 1: before
    /// that nothing is covered.
    pub fn end_of(index: LogIndex) -> Self {
        if index == LogIndex(0) {
            return Self::START;
        }
        Self::new(index, ENTRY_EVENTS_MAX - 1)
    }

    /// The index of the log entry.
    pub fn index(self) -> LogIndex {
        LogIndex(self.0 >> ORDINAL_BITS)
    }

    /// The ordinal of the event in its entry, from 0.
    pub fn ordinal(self) -> usize {
        usize::try_from(self.0 & ((1 << ORDINAL_BITS) - 1)).expect("below 2^20")
    }

    /// The position as SQL shows it.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).expect("positions fit an int8")
    }

    /// The position that SQL shows as `value`; none for a negative one.
    pub fn from_i64(value: i64) -> Option<Self> {
        u64::try_from(value).ok().map(Self)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an event in its aggregate: 1, 2, 3 …, without gaps. 0 is an aggregate without events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version that the next event gets.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The version as SQL shows it.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).expect("versions fit an int8")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A watermark for each shard: what a session has written, or how far a projection has come.
///
/// Its text form is what `SHOW rotabase.position` gives: `shard:position` pairs joined by commas, shards that
/// stand at the start left out, `0` for an empty vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(Vec<Position>);

impl Positions {
    /// The start of `shards` shards.
    pub fn start(shards: u16) -> Self {
        Self(vec![Position::START; usize::from(shards)])
    }

    /// The watermark of `shard`; the start for a shard that was never mentioned.
    pub fn get(&self, shard: ShardId) -> Position {
        self.0.get(usize::from(shard.0)).copied().unwrap_or_default()
    }

    /// Raises the watermark of `shard` to `position`; one that is higher already stays.
    pub fn advance(&mut self, shard: ShardId, position: Position) {
        let at = usize::from(shard.0);
        if self.0.len() <= at {
            self.0.resize(at + 1, Position::START);
        }
        self.0[at] = self.0[at].max(position);
    }

    /// Raises every watermark to that of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (shard, position) in other.iter() {
            self.advance(shard, position);
        }
    }

    /// Whether everything that `other` covers is covered.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(shard, position)| self.get(shard) >= position)
    }

    /// The shards and their watermarks, those at the start left out.
    pub fn iter(&self) -> impl Iterator<Item = (ShardId, Position)> + '_ {
        (0..)
            .zip(&self.0)
            .filter(|(_, position)| **position > Position::START)
            .map(|(shard, position)| (ShardId(shard), *position))
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (shard, position) in self.iter() {
            write!(f, "{separator}{shard}:{position}")?;
            separator = ",";
        }
        if separator.is_empty() { f.write_str("0") } else { Ok(()) }
    }
}

/// The text is no position token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid position: \"{0}\"")]
pub struct PositionsParseError(String);

impl FromStr for Positions {
    type Err = PositionsParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut positions = Self::default();
        if text.trim() == "0" || text.trim().is_empty() {
            return Ok(positions);
        }
        for pair in text.split(',') {
            let parsed = pair.trim().split_once(':').and_then(|(shard, position)| {
                let shard = shard.parse().ok().filter(|shard| *shard < SHARDS_MAX)?;
                Some((ShardId(shard), Position::from_i64(position.parse().ok()?)?))
            });
            let Some((shard, position)) = parsed else {
                return Err(PositionsParseError(text.to_owned()));
            };
            positions.advance(shard, position);
        }
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_order_as_events_happened() {
        let first = Position::new(LogIndex(7), 3);
        assert!(first < Position::new(LogIndex(7), 4));
        assert!(Position::end_of(LogIndex(7)) < Position::new(LogIndex(8), 0));
        assert_eq!((first.index(), first.ordinal()), (LogIndex(7), 3));
    }

    #[test]
    fn a_position_token_reads_back() {
        let mut positions = Positions::start(16);
        positions.advance(ShardId(3), Position::new(LogIndex(9), 1));
        let token = positions.to_string();
        let read: Positions = token.parse().expect("a token that was printed");
        assert!(read.covers(&positions) && positions.covers(&read));
        assert_eq!(Positions::start(4).to_string(), "0");
        assert!("3".parse::<Positions>().is_err());
        assert!("70000:1".parse::<Positions>().is_err());
    }
}
