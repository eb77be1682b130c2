//! What the database tells about itself in numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rotabase_raft::{NodeMetrics, ShardStatus};

use super::health::Watched;
use crate::http::Health as _;
use crate::metrics::Metrics;

/// A counter of the node: its name, what it counts, where it is, and by how much it is too large.
type NodeCounter = (&'static str, &'static str, fn(&NodeMetrics) -> &AtomicU64, f64);

const NODE_COUNTERS: [NodeCounter; 9] = [
    (
        "rotabase_commands_total",
        "Commands decided, refused ones included.",
        |node| &node.commands,
        1.0,
    ),
    (
        "rotabase_refusals_total",
        "Statements refused by a rule or an expected version.",
        |node| &node.refusals,
        1.0,
    ),
    ("rotabase_events_total", "Events committed.", |node| &node.events, 1.0),
    ("rotabase_log_entries_total", "Log entries proposed.", |node| &node.entries, 1.0),
    (
        "rotabase_log_bytes_total",
        "Bytes of the log entries proposed.",
        |node| &node.entry_bytes,
        1.0,
    ),
    ("rotabase_commit_seconds_count", "Log entries committed.", |node| &node.commits, 1.0),
    (
        "rotabase_commit_seconds_sum",
        "Time from proposal to commit.",
        |node| &node.commit_microseconds,
        1e6,
    ),
    (
        "rotabase_log_entries_lost_total",
        "Log entries refused or lost on the way.",
        |node| &node.lost_entries,
        1.0,
    ),
    (
        "rotabase_overloads_total",
        "Commands turned away by a full queue.",
        |node| &node.overloads,
        1.0,
    ),
];

/// Registers what a watched database tells.
pub(super) fn register(watched: &Arc<Watched>, metrics: &Metrics) {
    // The registry must not keep open the database that it looks at.
    let weak = Arc::downgrade(watched);
    let read = |value: fn(&Watched) -> f64| {
        let weak = weak.clone();
        move || weak.upgrade().map_or(0.0, |watched| value(&watched))
    };
    metrics.gauge(
        "rotabase_projection_lag_entries",
        "Log entries that are committed and not yet folded into the projections.",
        read(|watched| float(watched.database.projections().status().lag_entries())),
    );
    metrics.gauge(
        "rotabase_replica_connected",
        "1 on a read replica that is connected to an upstream, 0 otherwise.",
        read(|watched| {
            let connected =
                watched.database.replica().is_some_and(|replica| replica.is_connected());
            f64::from(u8::from(connected))
        }),
    );
    metrics.gauge(
        "rotabase_projection_lag_seconds",
        "How long ago the projections had last caught up, on a read replica with the node that takes writes.",
        read(|watched| watched.lag().as_secs_f64()),
    );
    metrics.gauge(
        "rotabase_projection_open_transactions",
        "Transactions that are folded in part: nothing newer is shown until they are complete.",
        read(|watched| {
            let open = watched.database.projections().status().open_transactions;
            float(u64::try_from(open).unwrap_or(u64::MAX))
        }),
    );
    metrics.gauge(
        "rotabase_projection_bytes",
        "The bytes that the projections take on disk.",
        read(|watched| float(watched.database.projections().status().bytes)),
    );
    let shards = weak.clone();
    metrics.gauges(
        "rotabase_shard_last_index",
        "The index of the last log entry of each shard.",
        move || {
            let Some(watched) = shards.upgrade() else { return Vec::new() };
            let sample = |shard: ShardStatus| {
                (format!("shard=\"{}\"", shard.shard), float(shard.last_index.0))
            };
            watched.database.shards().into_iter().map(sample).collect()
        },
    );
    for (name, help, counter, unit) in NODE_COUNTERS {
        let weak = weak.clone();
        metrics.counter_read(name, help, move || {
            let count = |watched: Arc<Watched>| {
                counter(watched.database.node().metrics()).load(Ordering::Relaxed)
            };
            weak.upgrade().map_or(0.0, |watched| float(count(watched)) / unit)
        });
    }
}

/// A number for Prometheus, which knows floats only.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "above 2^53 the last digits do not matter"
)]
fn float(number: u64) -> f64 {
    number as f64
}
