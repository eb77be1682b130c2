//! The instants that were put back lately, for the next question about them.

use std::collections::VecDeque;

use parking_lot::Mutex;
use rotabase_engine::env::Timestamp;

use super::super::snapshot::Snapshot;

/// The instants that are kept put back.
const RESTORED_MAX: usize = 4;

/// After so many batches of the fold a snapshot has to go: it pins what they have overwritten.
const BATCHES_MAX: u64 = 1000;

/// The batches that are remembered, to tell what came in while an instant was put back.
const BATCHES_REMEMBERED: usize = 64;

/// The instants that were put back lately.
#[derive(Debug, Default)]
pub(super) struct Restored(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    snapshots: VecDeque<Entry>,
    // Batches folded so far, and the oldest timestamp of each of the newest.
    batches: u64,
    oldest: VecDeque<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    at: Timestamp,
    snapshot: Snapshot,
    made_at: u64,
}

impl Restored {
    /// A batch was folded whose oldest timestamp is this: it may belong to an instant that was put back without it.
    pub(super) fn folded(&self, oldest: Timestamp) {
        let mut state = self.0.lock();
        state.batches += 1;
        if state.oldest.len() == BATCHES_REMEMBERED {
            state.oldest.pop_front();
        }
        state.oldest.push_back(oldest);
        let batches = state.batches;
        state.snapshots.retain(|entry| oldest > entry.at && batches - entry.made_at < BATCHES_MAX);
    }

    /// The batches folded so far; to be asked before the snapshot is taken above which an instant is put back.
    pub(super) fn batches(&self) -> u64 {
        self.0.lock().batches
    }

    /// An instant that was put back before.
    pub(super) fn find(&self, at: Timestamp) -> Option<Snapshot> {
        let state = self.0.lock();
        state.snapshots.iter().find(|entry| entry.at == at).map(|entry| entry.snapshot.clone())
    }

    /// Keeps an instant that was put back when so many batches were folded, unless one that came in since belongs
    /// to it.
    pub(super) fn keep(&self, at: Timestamp, snapshot: Snapshot, made_at: u64) {
        let mut state = self.0.lock();
        let since = usize::try_from(state.batches - made_at).unwrap_or(usize::MAX);
        let all_newer = state.oldest.iter().rev().take(since).all(|oldest| *oldest > at);
        if since > state.oldest.len() || !all_newer {
            return;
        }
        state.snapshots.retain(|entry| entry.at != at);
        if state.snapshots.len() == RESTORED_MAX {
            state.snapshots.pop_front();
        }
        state.snapshots.push_back(Entry { at, snapshot, made_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(10);

    fn kept(restored: &Restored) -> bool {
        restored.find(AT).is_some()
    }

    #[test]
    fn what_comes_in_late_drops_the_instants_it_belongs_to() {
        let restored = Restored::default();
        restored.keep(AT, Snapshot::empty(), restored.batches());
        restored.folded(Timestamp(11));
        assert!(kept(&restored));
        restored.folded(AT);
        assert!(!kept(&restored));
    }

    #[test]
    fn what_came_in_while_an_instant_was_put_back_counts() {
        let restored = Restored::default();
        let before = restored.batches();
        restored.folded(Timestamp(11));
        restored.keep(AT, Snapshot::empty(), before);
        assert!(kept(&restored));
        restored.folded(Timestamp(9));
        restored.keep(AT, Snapshot::empty(), before);
        assert!(!kept(&restored));
        for _ in 0..BATCHES_REMEMBERED {
            restored.folded(Timestamp(11));
        }
        restored.keep(AT, Snapshot::empty(), before);
        assert!(!kept(&restored), "nobody remembers what came in");
    }

    #[test]
    fn a_snapshot_is_not_held_for_ever() {
        let restored = Restored::default();
        restored.keep(AT, Snapshot::empty(), 0);
        for _ in 0..BATCHES_MAX {
            restored.folded(Timestamp(11));
        }
        assert!(!kept(&restored));
    }
}
