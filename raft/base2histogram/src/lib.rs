//! A stand-in for the crate of this name, as far as openraft uses it.
//!
//! openraft counts batch sizes in histograms that Rotabase never reads. The original computes, once a process, bucket
//! tables for sixteen resolutions, which take 27.6 MB: half of what an idle server may use. Here a histogram is one
//! counter for each power of two; percentiles are the lower bounds of their buckets. `[patch.crates-io]` in the
//! workspace's manifest puts this crate in the other's place.
//!
//! It must never know anything of Rotabase: openraft is compiled against it.

use std::fmt;
use std::marker::PhantomData;

/// One bucket for zero, and one for each power of two of a `u64`.
const BUCKETS: usize = 65;

/// Counts of values by their power of two. `T`, the name of a slot in the original, is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: [u64; BUCKETS],
    slot: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], slot: PhantomData }
    }
}

impl<T> Histogram<T> {
    /// An empty histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        let bucket = usize::try_from(u64::BITS - value.leading_zeros()).unwrap_or(0);
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The least value of the bucket in which so many thousandths of all values are reached; 0 if there are none.
    fn permille(&self, permille: u128) -> u64 {
        let wanted = (u128::from(self.total()) * permille).div_ceil(1000);
        let mut seen = 0;
        for (bucket, count) in (0_u32..).zip(&self.counts) {
            seen += u128::from(*count);
            if seen >= wanted {
                return bucket.checked_sub(1).map_or(0, |power| 1 << power);
            }
        }
        0
    }

    /// The usual percentiles.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.permille(1),
            p1: self.permille(10),
            p5: self.permille(50),
            p10: self.permille(100),
            p50: self.permille(500),
            p90: self.permille(900),
            p99: self.permille(990),
            p99_9: self.permille(999),
        }
    }
}

/// Percentiles of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values were counted.
    pub samples: u64,
    /// 0.1 % of the values are less.
    pub p0_1: u64,
    /// 1 % of the values are less.
    pub p1: u64,
    /// 5 % of the values are less.
    pub p5: u64,
    /// 10 % of the values are less.
    pub p10: u64,
    /// The median.
    pub p50: u64,
    /// 90 % of the values are less.
    pub p90: u64,
    /// 99 % of the values are less.
    pub p99: u64,
    /// 99.9 % of the values are less.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p1, p50, p90, p99, p99_9, .. } = self;
        write!(
            f,
            "[samples: {samples}, P1: {p1}, P50: {p50}, P90: {p90}, P99: {p99}, P99.9: {p99_9}]"
        )
    }
}

/// Named histograms; printed as a line of percentiles each.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    series: Vec<(String, PercentileStats)>,
}

impl AsciiChart {
    /// No histograms.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn add<T>(mut self, name: impl Into<String>, histogram: Histogram<T>) -> Self {
        self.series.push((name.into(), histogram.percentile_stats()));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.series.iter().try_for_each(|(name, stats)| writeln!(f, "{name}: {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_lower_bounds_of_powers_of_two() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats().p50, 0);
        for value in [0, 1, 700, u64::MAX] {
            histogram.record(value);
        }
        histogram.record_n(5, 6);
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p1, stats.p50, stats.p90), (10, 0, 4, 512));
        assert_eq!(stats.p99_9, 1 << 63);
    }
}
