//! All chance of a simulation: one seed, and sources that are split off it.

use std::sync::Mutex;
use std::time::Duration;

use rotabase_engine::env::Random;
use uuid::Uuid;

/// A source of chance. What it gives depends on its seed and on how often it was asked, and on nothing else.
#[derive(Debug)]
pub(crate) struct Dice(Mutex<u64>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = Self(Mutex::new(seed));
        // Seeds are small numbers that lie side by side.
        let mixed = dice.roll() ^ dice.roll().rotate_left(17);
        Self(Mutex::new(mixed))
    }

    /// Another source.
    pub(crate) fn split(&self) -> Self {
        Self::new(self.roll())
    }

    fn roll(&self) -> u64 {
        // SplitMix64 (public domain).
        let mut state = self.0.lock().expect("no roll panics");
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    /// A place in something of that length.
    pub(crate) fn index(&self, length: usize) -> usize {
        let length = u64::try_from(length).expect("a length");
        usize::try_from(self.below(length)).expect("below a length")
    }

    /// One of several.
    pub(crate) fn pick<'t, T>(&self, of: &'t [T]) -> &'t T {
        &of[self.index(of.len())]
    }

    /// True that many times of a thousand.
    pub(crate) fn chance(&self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    /// Between two numbers of milliseconds, the second one excluded.
    pub(crate) fn milliseconds(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to.saturating_sub(from)))
    }

    pub(crate) fn uuid(&self) -> Uuid {
        Uuid::from_u64_pair(self.roll(), self.roll())
    }
}

impl Random for Dice {
    fn next_u64(&self) -> u64 {
        self.roll()
    }
}
