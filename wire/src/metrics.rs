//! Numbers for operators, in Prometheus' text format.
//!
//! A counter or a histogram is a few atomics that the code it counts holds on to; a gauge is a closure that
//! is asked when the page is read. A registry only knows how to print them.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts one.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts several.
    pub fn add(&self, count: usize) {
        self.0.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper bounds of a histogram's buckets, in microseconds: 1-2-5 steps from 0.1 ms to 10 s.
const BUCKETS_MICROSECONDS: [u64; 16] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// How long something takes, in buckets.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<HistogramState>);

#[derive(Debug, Default)]
struct HistogramState {
    /// The observations up to each bound and above the one before it, and those above the last.
    buckets: [AtomicU64; BUCKETS_MICROSECONDS.len() + 1],
    sum_microseconds: AtomicU64,
}

impl Histogram {
    /// Notes one observation.
    pub fn observe(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MICROSECONDS.partition_point(|bound| *bound < microseconds);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }
}

/// What a gauge is asked for: values with the labels they carry, as `shard="3"`; empty for none.
pub type Samples = Vec<(String, f64)>;

enum Source {
    Counter(Counter),
    Gauge(Box<dyn Fn() -> Samples + Send + Sync>),
    /// A number that only grows and is kept elsewhere.
    Read(Box<dyn Fn() -> f64 + Send + Sync>),
    Histogram(Histogram),
    /// A histogram that is kept elsewhere.
    ReadHistogram(Box<dyn Fn() -> Option<Observed> + Send + Sync>),
}

/// What a histogram has observed.
#[derive(Debug)]
pub struct Observed {
    /// The upper bounds of its buckets.
    pub bounds_microseconds: &'static [u64],
    /// The observations up to each bound and above the one before it, and those above the last.
    pub buckets: Vec<u64>,
    /// All observations together.
    pub sum_microseconds: u64,
}

struct Family {
    name: &'static str,
    help: &'static str,
    members: Vec<(String, Source)>,
}

/// All metrics of a process, in the order in which they were registered.
#[derive(Default)]
pub struct Metrics {
    families: Mutex<Vec<Family>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("families", &self.families.lock().len()).finish()
    }
}

impl Metrics {
    /// Registers a counter; `labels` as `command="SELECT"`, or empty. The same name and labels give the same
    /// counter again.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &str) -> Counter {
        let mut families = self.families.lock();
        let family = family(&mut families, name, help);
        for (existing, source) in &family.members {
            if let (true, Source::Counter(counter)) = (existing == labels, source) {
                return counter.clone();
            }
        }
        let counter = Counter::default();
        family.members.push((labels.to_owned(), Source::Counter(counter.clone())));
        counter
    }

    /// Registers a histogram of durations.
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: &str) -> Histogram {
        let histogram = Histogram::default();
        let mut families = self.families.lock();
        let source = Source::Histogram(histogram.clone());
        family(&mut families, name, help).members.push((labels.to_owned(), source));
        histogram
    }

    /// Registers a histogram of durations that is kept elsewhere.
    pub fn histogram_read(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Option<Observed> + Send + Sync + 'static,
    ) {
        let mut families = self.families.lock();
        let source = Source::ReadHistogram(Box::new(read));
        family(&mut families, name, help).members.push((String::new(), source));
    }

    /// Registers a counter that is kept elsewhere.
    pub fn counter_read(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let mut families = self.families.lock();
        family(&mut families, name, help)
            .members
            .push((String::new(), Source::Read(Box::new(read))));
    }

    /// Registers a gauge that has one value.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.gauges(name, help, move || vec![(String::new(), read())]);
    }

    /// Registers a gauge that has a value for each of some labels.
    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Samples + Send + Sync + 'static,
    ) {
        let mut families = self.families.lock();
        family(&mut families, name, help)
            .members
            .push((String::new(), Source::Gauge(Box::new(read))));
    }

    /// The page.
    pub fn render(&self) -> String {
        let mut page = String::new();
        for family in self.families.lock().iter() {
            render_family(&mut page, family);
        }
        page
    }
}

fn family<'a>(
    families: &'a mut Vec<Family>,
    name: &'static str,
    help: &'static str,
) -> &'a mut Family {
    let place = families.iter().position(|family| family.name == name).unwrap_or_else(|| {
        families.push(Family { name, help, members: Vec::new() });
        families.len() - 1
    });
    &mut families[place]
}

fn render_family(page: &mut String, family: &Family) {
    let Family { name, help, members } = family;
    let kind = match members.first() {
        Some((_, Source::Counter(_) | Source::Read(_))) => "counter",
        Some((_, Source::Histogram(_) | Source::ReadHistogram(_))) => "histogram",
        _ => "gauge",
    };
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, source) in members {
        match source {
            Source::Counter(counter) => sample(page, name, labels, &counter.get().to_string()),
            Source::Read(read) => sample(page, name, labels, &read().to_string()),
            Source::Gauge(read) => {
                for (labels, value) in read() {
                    sample(page, name, &labels, &value.to_string());
                }
            }
            Source::Histogram(histogram) => {
                let state = &histogram.0;
                let observed = Observed {
                    bounds_microseconds: &BUCKETS_MICROSECONDS,
                    buckets: state.buckets.iter().map(|it| it.load(Ordering::Relaxed)).collect(),
                    sum_microseconds: state.sum_microseconds.load(Ordering::Relaxed),
                };
                render_histogram(page, name, labels, &observed);
            }
            Source::ReadHistogram(read) => {
                if let Some(observed) = read() {
                    render_histogram(page, name, labels, &observed);
                }
            }
        }
    }
}

fn render_histogram(page: &mut String, name: &str, labels: &str, state: &Observed) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0;
    for (place, bucket) in state.buckets.iter().enumerate() {
        count += bucket;
        let bound =
            state.bounds_microseconds.get(place).map_or("+Inf".to_owned(), |bound| seconds(*bound));
        let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
    }
    sample(page, &format!("{name}_sum"), labels, &seconds(state.sum_microseconds));
    sample(page, &format!("{name}_count"), labels, &count.to_string());
}

fn sample(page: &mut String, name: &str, labels: &str, value: &str) {
    let _ = match labels {
        "" => writeln!(page, "{name} {value}"),
        _ => writeln!(page, "{name}{{{labels}}} {value}"),
    };
}

fn seconds(microseconds: u64) -> String {
    let text = format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_prometheus_text() {
        let metrics = Metrics::default();
        metrics.counter("a_total", "As.", "kind=\"x\"").add(2);
        metrics.counter("a_total", "As.", "kind=\"x\"").increment();
        metrics.gauge("b", "Bs.", || 1.5);
        let page = metrics.render();
        assert_eq!(
            page,
            "# HELP a_total As.\n# TYPE a_total counter\na_total{kind=\"x\"} 3\n# HELP b Bs.\n# TYPE b gauge\nb 1.5\n"
        );
    }

    #[test]
    fn buckets_of_a_histogram_are_cumulative() {
        let metrics = Metrics::default();
        let histogram = metrics.histogram("d_seconds", "Ds.", "");
        for microseconds in [50, 100, 101, 20_000_000] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let page = metrics.render();
        for line in [
            "d_seconds_bucket{le=\"0.0001\"} 2",
            "d_seconds_bucket{le=\"0.0002\"} 3",
            "d_seconds_bucket{le=\"10\"} 3",
            "d_seconds_bucket{le=\"+Inf\"} 4",
            "d_seconds_sum 20.000251",
            "d_seconds_count 4",
        ] {
            assert!(page.lines().any(|printed| printed == line), "{line} in {page}");
        }
    }
}
