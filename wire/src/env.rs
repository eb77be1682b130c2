//! The real world: the system's clock and randomness. Everything below this crate is handed them.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rotabase_engine::env::{Clock, Random};

/// Microseconds between 1970-01-01 and 2000-01-01.
const UNIX_TO_2000_MICROSECONDS: i64 = 946_684_800_000_000;

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_microseconds(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX) - UNIX_TO_2000_MICROSECONDS
    }
}

/// The random words kept in stock, so that the system is asked once for many.
const STOCK_WORDS: usize = 128;

/// The system's randomness, fit for keys.
#[derive(Debug)]
pub struct SystemRandom {
    stock: Mutex<Vec<u64>>,
}

impl SystemRandom {
    /// A source with an empty stock.
    pub fn new() -> Self {
        Self { stock: Mutex::new(Vec::with_capacity(STOCK_WORDS)) }
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        let mut stock = self.stock.lock();
        if let Some(word) = stock.pop() {
            return word;
        }
        let mut bytes = [0; STOCK_WORDS * 8];
        getrandom::fill(&mut bytes).expect("the system has randomness; without it no key is safe");
        stock.extend(
            bytes
                .chunks_exact(8)
                .map(|word| u64::from_be_bytes(word.try_into().expect("eight bytes"))),
        );
        stock.pop().expect("just filled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_from_2000() {
        let day = SystemClock.now_microseconds() / 86_400_000_000;
        assert!((9000..40_000).contains(&day), "{day} days since 2000-01-01");
    }

    #[test]
    fn random_words_do_not_repeat() {
        let random = SystemRandom::new();
        let mut words: Vec<u64> = (0..1000).map(|_| random.next_u64()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 1000);
    }
}
