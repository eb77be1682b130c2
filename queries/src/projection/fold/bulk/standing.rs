//! Where the events of many entries stand, by what they are about.

use rotabase_engine::entry::{CommittedEntry, StoredEvent};
use uuid::Uuid;

use super::super::super::crew::{pieces, sort_shared};

/// The events that are touched together: little enough to stay in a core's cache until they are read.
pub(super) const TOUCHED_TOGETHER: usize = 256;

/// Where an event stands among entries, behind what it is about: in order, events of one subject are together, as they
/// came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    // In two halves, which take less room than one number.
    subject: (u64, u64),
    entry: u32,
    // Its number in the entry, twice, and one more if it is of a rotation.
    ordinal: u32,
}

impl Standing {
    /// What it is about.
    pub(super) fn subject(&self) -> Uuid {
        Uuid::from_u64_pair(self.subject.0, self.subject.1)
    }

    /// The number of the entry, and the event's in it.
    pub(super) fn place(&self) -> (usize, usize) {
        let number = |number| usize::try_from(number).expect("usize has 32 bits or more");
        (number(self.entry), number(self.ordinal >> 1))
    }

    /// The event itself.
    pub(super) fn stored<'e>(&self, entries: &'e [CommittedEntry]) -> &'e StoredEvent {
        let (entry, ordinal) = self.place();
        &entries[entry].entry.events[ordinal]
    }

    fn is_of_rotation(&self) -> bool {
        self.ordinal & 1 == 1
    }
}

/// Where events stand.
#[derive(Debug, Default)]
pub(super) struct Standings(Vec<Standing>);

impl Standings {
    /// Adds an event that is about `subject`, in the entry of that number.
    pub(super) fn push(&mut self, subject: Uuid, entry: u32, ordinal: usize, of_rotation: bool) {
        let ordinal = u32::try_from(ordinal << 1).expect("below ENTRY_EVENTS_MAX");
        let ordinal = ordinal | u32::from(of_rotation);
        self.0.push(Standing { subject: subject.as_u64_pair(), entry, ordinal });
    }

    pub(super) fn sort(&mut self) {
        sort_shared(&mut self.0, |standing| *standing);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Cuts them, which have to be in order, into pieces of about so many events, each with all of its subjects.
    pub(super) fn pieces(&self, events: usize) -> Vec<&[Standing]> {
        pieces(&self.0, events, |a, b| a.subject == b.subject)
    }

    /// Those of the subject that stands from there on; none at the end.
    pub(super) fn of_subject_from(&self, from: usize) -> &[Standing] {
        self.0[from..].chunk_by(|a, b| a.subject == b.subject).next().unwrap_or_default()
    }

    /// Those of the next few events, whatever they are about.
    pub(super) fn next_from(&self, from: usize) -> &[Standing] {
        let next = &self.0[from..];
        &next[..next.len().min(TOUCHED_TOGETHER)]
    }

    /// Leaves out events that are not of rotations, and puts the others in the order of what `subject_of` says that
    /// they are about.
    pub(super) fn retarget(
        &mut self,
        entries: &[CommittedEntry],
        subject_of: impl Fn(&Standing) -> Uuid,
    ) {
        self.0.retain(Standing::is_of_rotation);
        for few in self.0.chunks_mut(TOUCHED_TOGETHER) {
            touch(entries, few.iter());
            for standing in few {
                standing.subject = subject_of(standing).as_u64_pair();
            }
        }
        self.sort();
    }
}

/// Those of each subject, of events that are in order.
pub(super) fn by_subject(events: &[Standing]) -> impl Iterator<Item = &[Standing]> {
    events.chunk_by(|a, b| a.subject == b.subject)
}

/// Looks at each of a few events that are about to be read. In the order of what they are about they stand anywhere in
/// memory, and the processor waits for it: here for many at the same time, later for one after the other.
pub(super) fn touch<'s>(
    entries: &[CommittedEntry],
    events: impl Iterator<Item = &'s Standing> + Clone,
) {
    let lengths = |event: &Standing| {
        let stored = event.stored(entries);
        stored.aggregate.len() ^ stored.payload.len()
    };
    let bytes = |event: &Standing| {
        let StoredEvent { aggregate, payload, .. } = event.stored(entries);
        let byte = |byte: Option<&u8>| byte.copied().unwrap_or_default();
        byte(aggregate.first()) ^ byte(payload.first()) ^ byte(payload.last())
    };
    std::hint::black_box(events.clone().fold(0, |all, event| all ^ lengths(event)));
    std::hint::black_box(events.fold(0, |all, event| all ^ bytes(event)));
}
