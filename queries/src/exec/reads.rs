//! What the statements of a transaction have read: the aggregates behind the rows that they picked, each at the
//! version it was read at. Whoever commits the transaction has them checked.
//!
//! The set is bounded: beyond [`READ_AGGREGATES_MAX`] aggregates, all of the most frequent kind count as read. It
//! knows neither transactions nor how a version is checked.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{AggregateId, LegId};

/// The aggregates, and the legs that were looked for and not there, that a transaction remembers one by one.
pub const READ_AGGREGATES_MAX: usize = 10_000;

/// The kinds of aggregates.
const KINDS: usize = 4;

/// A kind of aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// Airports.
    Airport,
    /// Airplanes.
    Airplane,
    /// Rotations.
    Rotation,
    /// Flights, which hold the open legs.
    Flight,
}

impl AggregateKind {
    /// That of an aggregate.
    pub fn of(id: &AggregateId) -> Self {
        match id {
            AggregateId::Airport(_) => Self::Airport,
            AggregateId::Airplane(_) => Self::Airplane,
            AggregateId::Rotation(_) => Self::Rotation,
            AggregateId::Flight(_) => Self::Flight,
        }
    }

    fn place(self) -> usize {
        match self {
            Self::Airport => 0,
            Self::Airplane => 1,
            Self::Rotation => 2,
            Self::Flight => 3,
        }
    }
}

/// What a transaction has read; its statements, and portals that are read while others run, share it.
#[derive(Debug, Default)]
pub struct Reads(Mutex<ReadSet>);

/// What was read, as it is checked.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    versions: BTreeMap<AggregateId, Version>,
    absent_legs: BTreeSet<LegId>,
    whole: [bool; KINDS],
}

impl Reads {
    /// Notes aggregates with the versions that they were read at; the oldest of each stays.
    pub fn note(&self, read: impl IntoIterator<Item = (AggregateId, Version)>) {
        let mut set = self.0.lock();
        for (id, version) in read {
            set.note(id, version);
        }
    }

    /// Notes that there is no leg with this id.
    pub fn note_absent_leg(&self, id: LegId) {
        let mut set = self.0.lock();
        if set.absent_legs.len() >= READ_AGGREGATES_MAX {
            set.absent_legs.clear();
            set.read_whole(AggregateKind::Rotation);
            set.read_whole(AggregateKind::Flight);
        }
        if !(set.reads_whole(AggregateKind::Rotation) && set.reads_whole(AggregateKind::Flight)) {
            set.absent_legs.insert(id);
        }
    }

    /// Notes that all aggregates of a kind were read.
    pub fn note_whole(&self, kind: AggregateKind) {
        self.0.lock().read_whole(kind);
    }

    /// Has an aggregate count as read no later than at `version`, if it was read at all: what was read later was
    /// the transaction's own, and is not its own any more.
    pub fn clamp(&self, id: &AggregateId, version: Version) {
        if let Some(read) = self.0.lock().versions.get_mut(id) {
            *read = version.min(*read);
        }
    }

    /// What was read so far.
    pub fn get(&self) -> ReadSet {
        self.0.lock().clone()
    }
}

impl ReadSet {
    /// The aggregates that were read one by one, with the versions they were read at.
    pub fn versions(&self) -> &BTreeMap<AggregateId, Version> {
        &self.versions
    }

    /// Legs that were looked for and not there.
    pub fn absent_legs(&self) -> &BTreeSet<LegId> {
        &self.absent_legs
    }

    /// Whether all aggregates of a kind count as read.
    pub fn reads_whole(&self, kind: AggregateKind) -> bool {
        self.whole[kind.place()]
    }

    /// Whether anything was read that no version of an aggregate stands for.
    pub fn has_ranges(&self) -> bool {
        !self.absent_legs.is_empty() || self.whole.contains(&true)
    }

    fn note(&mut self, id: AggregateId, version: Version) {
        if self.reads_whole(AggregateKind::of(&id)) {
            return;
        }
        if let Some(read) = self.versions.get_mut(&id) {
            *read = version.min(*read);
            return;
        }
        if self.versions.len() >= READ_AGGREGATES_MAX {
            let mut counts = [0_usize; KINDS];
            self.versions.keys().for_each(|id| counts[AggregateKind::of(id).place()] += 1);
            let kinds = [
                AggregateKind::Airport,
                AggregateKind::Airplane,
                AggregateKind::Rotation,
                AggregateKind::Flight,
            ];
            let most = kinds.into_iter().max_by_key(|kind| counts[kind.place()]);
            self.read_whole(most.unwrap_or(AggregateKind::Flight));
            return self.note(id, version);
        }
        self.versions.insert(id, version);
    }

    fn read_whole(&mut self, kind: AggregateKind) {
        self.whole[kind.place()] = true;
        self.versions.retain(|id, _| AggregateKind::of(id) != kind);
    }
}

#[cfg(test)]
mod tests {
    use rotabase_engine::schedule::RotationId;
    use uuid::Uuid;

    use super::*;

    fn rotation(number: usize) -> AggregateId {
        AggregateId::Rotation(RotationId(Uuid::from_u128(u128::try_from(number).unwrap())))
    }

    #[test]
    fn the_oldest_version_that_was_read_counts() {
        let reads = Reads::default();
        reads.note([
            (rotation(1), Version(3)),
            (rotation(1), Version(5)),
            (rotation(2), Version(2)),
        ]);
        reads.note([(rotation(2), Version(1))]);
        let read: Vec<_> = reads.get().versions().values().copied().collect();
        assert_eq!(read, [Version(3), Version(1)]);
        reads.clamp(&rotation(1), Version(2));
        reads.clamp(&rotation(9), Version(2));
        assert_eq!(reads.get().versions().len(), 2);
        assert_eq!(reads.get().versions()[&rotation(1)], Version(2));
    }

    #[test]
    fn beyond_the_limit_a_whole_kind_counts_as_read() {
        let reads = Reads::default();
        let airport = AggregateId::Airport("FRA".parse().unwrap());
        reads.note([(airport, Version(1))]);
        reads.note((0..READ_AGGREGATES_MAX + 5).map(|number| (rotation(number), Version(1))));
        let read = reads.get();
        assert!(read.reads_whole(AggregateKind::Rotation) && read.has_ranges());
        assert!(!read.reads_whole(AggregateKind::Airport));
        assert_eq!(read.versions().keys().copied().collect::<Vec<_>>(), [airport]);
    }
}
