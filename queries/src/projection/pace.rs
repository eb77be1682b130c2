//! When the thread that folds puts its next step off, so that commits are folded together.
//!
//! It is told of each step what was folded and who waited, and knows no clock: how long a step is put off is
//! [`LINGER`], and whoever waits ends it (see `waiters`).

use std::time::Duration;

/// How long a step is put off at most: a batch of hundreds costs a fraction of as many batches of one. It is what a
/// reader who asks for nothing newer may be behind by; one who waits ends it.
pub(super) const LINGER: Duration = Duration::from_millis(4);

/// The entries of a step from which on, on the average of the last ones, commits come fast. A client alone, who
/// waits for each commit, stays below.
const ENTRIES_MIN: u64 = 4;

/// The steps after which, if nobody had to wait for one of them, a client alone is taken for one who only writes. Its
/// commits are then folded together as well, since each fold takes a core from it while it makes its next command;
/// the first statement that waits ends it, so that one in so many reads begins a fold that was put off.
const UNASKED_MIN: u32 = 16;

/// How fast commits came, and whether anybody waited for them.
#[derive(Debug, Default)]
pub(super) struct Pace {
    entries: u64,
    asked: u64,
    unasked: u32,
}

impl Pace {
    /// Whether the step that comes next is put off after one that folded so many `entries`; `asked` is how many
    /// statements had to wait until now.
    pub(super) fn lingers_after(&mut self, entries: u64, asked: u64) -> bool {
        self.entries = self.entries / 2 + entries;
        let nobody = std::mem::replace(&mut self.asked, asked) == asked;
        self.unasked = if nobody { self.unasked.saturating_add(1) } else { 0 };
        self.entries >= ENTRIES_MIN || self.unasked >= UNASKED_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_come_fast_are_folded_together() {
        let mut pace = Pace::default();
        assert!(!pace.lingers_after(2, 0));
        assert!(pace.lingers_after(3, 1));
        assert!(pace.lingers_after(8, 2));
        assert!(pace.lingers_after(0, 3));
        assert!(!pace.lingers_after(0, 4));
    }

    #[test]
    fn a_client_that_only_writes_is_folded_together_until_somebody_waits() {
        let mut pace = Pace::default();
        let lingers = (0..UNASKED_MIN).filter(|_| pace.lingers_after(1, 7)).count();
        // The first step has seen seven who waited.
        assert_eq!(lingers, 0);
        assert!(pace.lingers_after(1, 7));
        assert!(!pace.lingers_after(1, 8));
        assert!(!pace.lingers_after(1, 8));
    }
}
