//! What the operators of a running plan have done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Plan;

/// The counters of each node of a plan, found by the node's place in memory: the plan does not move while it is
/// explained.
#[derive(Debug, Default)]
pub(crate) struct Analysis {
    nodes: BTreeMap<usize, Arc<Counters>>,
}

/// What one operator has done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    loops: AtomicU64,
    rows: AtomicU64,
    microseconds: AtomicU64,
    /// Those of the first call of each run.
    first_microseconds: AtomicU64,
}

impl Analysis {
    /// The counters for a node, made if there are none.
    pub(crate) fn counters(&mut self, plan: &Plan) -> Arc<Counters> {
        Arc::clone(self.nodes.entry(std::ptr::from_ref(plan).addr()).or_default())
    }

    /// What is known of a node.
    pub(crate) fn find(&self, plan: &Plan) -> Option<&Counters> {
        self.nodes.get(&std::ptr::from_ref(plan).addr()).map(|counters| &**counters)
    }
}

impl Counters {
    /// Records one call.
    pub(crate) fn record(&self, first: bool, rows: usize, microseconds: i64) {
        self.loops.fetch_add(u64::from(first), Ordering::Relaxed);
        self.rows.fetch_add(u64::try_from(rows).unwrap_or(u64::MAX), Ordering::Relaxed);
        let microseconds = u64::try_from(microseconds).unwrap_or(0);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
        if first {
            self.first_microseconds.fetch_add(microseconds, Ordering::Relaxed);
        }
    }

    /// How often the operator was run.
    pub(crate) fn loops(&self) -> u64 {
        self.loops.load(Ordering::Relaxed)
    }

    /// The rows of a run, on average.
    pub(crate) fn rows_per_loop(&self) -> u64 {
        let loops = self.loops().max(1);
        (self.rows.load(Ordering::Relaxed) + loops / 2) / loops
    }

    /// The milliseconds until the first rows of a run and until the last, on average.
    pub(crate) fn milliseconds_per_loop(&self) -> (f64, f64) {
        let of_run = |counter: &AtomicU64| {
            let total = i64::try_from(counter.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            milliseconds(total / i64::try_from(self.loops().max(1)).unwrap_or(i64::MAX))
        };
        (of_run(&self.first_microseconds), of_run(&self.microseconds))
    }
}

/// Microseconds as milliseconds.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a measured time needs no exact digits"
)]
pub(super) fn milliseconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1000.0
}
