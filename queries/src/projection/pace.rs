//! When the thread that folds puts its next step off, so that commits are folded together.
//!
//! It is told of each step what was folded, who waited and whether anybody reads, and knows no clock: it says how long
//! a step is put off at most, and whoever waits ends that (see `waiters`).

use std::time::Duration;

/// How long a step is put off at most: a batch of hundreds costs a fraction of as many batches of one. It is what a
/// reader who asks for nothing newer may be behind by; one who waits ends it.
pub(super) const LINGER: Duration = Duration::from_millis(4);

/// The same while nobody reads.
pub(super) const LINGER_UNREAD: Duration = Duration::from_millis(100);

/// The entries of a step from which on, on the average of the last ones, commits come fast. A client alone, who
/// waits for each commit, stays below.
const ENTRIES_MIN: u64 = 4;

/// The steps after which, if nobody had to wait for one of them, a client alone is taken for one who only writes. Its
/// commits are then folded together as well, since each fold takes a core from it while it makes its next command;
/// the first statement that waits ends it, so that one in so many reads begins a fold that was put off.
const UNASKED_MIN: u32 = 16;

/// The steps after which, if nobody has read anything meanwhile, nobody is taken to read: about a quarter of a second.
const UNREAD_MIN: u32 = 64;

/// How fast commits came, and whether anybody looked at them.
#[derive(Debug, Default)]
pub(super) struct Pace {
    entries: u64,
    asked: u64,
    unasked: u32,
    unread: u32,
}

impl Pace {
    /// How long the step that comes next is put off after one that folded so many `entries`; `asked` is how many
    /// statements had to wait until now, and `read` whether any has read since the last step.
    pub(super) fn linger_after(&mut self, entries: u64, asked: u64, read: bool) -> Duration {
        self.entries = self.entries / 2 + entries;
        let nobody = std::mem::replace(&mut self.asked, asked) == asked;
        self.unasked = if nobody { self.unasked.saturating_add(1) } else { 0 };
        self.unread = if nobody && !read { self.unread.saturating_add(1) } else { 0 };
        if self.entries < ENTRIES_MIN && self.unasked < UNASKED_MIN {
            Duration::ZERO
        } else if self.unread < UNREAD_MIN {
            LINGER
        } else {
            LINGER_UNREAD
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_come_fast_are_folded_together() {
        let mut pace = Pace::default();
        assert_eq!(pace.linger_after(2, 0, true), Duration::ZERO);
        assert_eq!(pace.linger_after(3, 1, true), LINGER);
        assert_eq!(pace.linger_after(8, 2, true), LINGER);
        assert_eq!(pace.linger_after(0, 3, true), LINGER);
        assert_eq!(pace.linger_after(0, 4, true), Duration::ZERO);
    }

    #[test]
    fn a_client_that_only_writes_is_folded_together_until_somebody_waits() {
        let mut pace = Pace::default();
        let lingers = (0..UNASKED_MIN).filter(|_| !pace.linger_after(1, 7, true).is_zero()).count();
        // The first step has seen seven who waited.
        assert_eq!(lingers, 0);
        assert_eq!(pace.linger_after(1, 7, true), LINGER);
        assert_eq!(pace.linger_after(1, 8, true), Duration::ZERO);
        assert_eq!(pace.linger_after(1, 8, true), Duration::ZERO);
    }

    #[test]
    fn more_is_folded_together_until_somebody_reads() {
        let mut pace = Pace::default();
        for _ in 0..UNREAD_MIN {
            assert_eq!(pace.linger_after(50, 7, false), LINGER);
        }
        assert_eq!(pace.linger_after(50, 7, false), LINGER_UNREAD);
        assert_eq!(pace.linger_after(50, 7, true), LINGER);
        assert_eq!(pace.linger_after(50, 7, false), LINGER);
    }
}
