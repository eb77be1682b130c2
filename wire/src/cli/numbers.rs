//! What the database tells about itself in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use rotabase_engine::aggregates::AggregateStats;
use rotabase_raft::net::Traffic;
use rotabase_raft::{COMMIT_BOUNDS_MICROSECONDS, NodeMetrics, ShardStatus};

use super::health::Watched;
use crate::http::Health as _;
use crate::metrics::{Metrics, Observed};

/// A counter of the node: its name, what it counts, and where it is.
type NodeCounter = (&'static str, &'static str, fn(&NodeMetrics) -> &AtomicU64);

const NODE_COUNTERS: [NodeCounter; 12] = [
    ("rotabase_commands_total", "Commands decided, refused ones included.", |node| &node.commands),
    ("rotabase_refusals_total", "Statements refused by a rule or an expected version.", |node| {
        &node.refusals
    }),
    ("rotabase_events_total", "Events committed.", |node| &node.events),
    ("rotabase_log_entries_total", "Log entries proposed.", |node| &node.entries),
    ("rotabase_log_bytes_total", "Bytes of the log entries proposed.", |node| &node.entry_bytes),
    ("rotabase_log_entries_lost_total", "Log entries refused or lost on the way.", |node| {
        &node.lost_entries
    }),
    ("rotabase_overloads_total", "Commands turned away by a full queue.", |node| &node.overloads),
    (
        "rotabase_transactions_total",
        "Transactions over several log entries that were begun here.",
        |node| &node.transactions,
    ),
    (
        "rotabase_transactions_given_up_total",
        "Those of them of which nothing was stored.",
        |node| &node.transactions_given_up,
    ),
    (
        "rotabase_transactions_resolved_total",
        "Transactions prepared under an earlier leader that were ended here.",
        |node| &node.transactions_resolved,
    ),
    ("rotabase_prepares_total", "Log entries that prepare.", |node| &node.prepares),
    ("rotabase_leaderships_total", "How often this node began to lead a shard.", |node| {
        &node.leaderships
    }),
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
        "Transactions that the projections wait for entries of: they are shown once they are complete.",
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
    register_caches(&weak, metrics);
    metrics.gauge(
        "rotabase_open_prepares",
        "Transactions of which a shard holds a part without knowing what came of them.",
        read(|watched| float(count(watched.database.node().open_prepares()))),
    );
    register_commits(&weak, metrics);
    register_traffic(watched, metrics);
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
    for (name, help, counter) in NODE_COUNTERS {
        let weak = weak.clone();
        metrics.counter_read(name, help, move || {
            let read = |watched: Arc<Watched>| {
                counter(watched.database.node().metrics()).load(Ordering::Relaxed)
            };
            weak.upgrade().map_or(0.0, |watched| float(read(watched)))
        });
    }
}

/// Registers what a node of a cluster sends to others.
fn register_traffic(watched: &Watched, metrics: &Metrics) {
    type Number = fn(&Traffic) -> &AtomicU64;
    let Some(traffic) = watched.database.traffic() else { return };
    let counters: [(&'static str, &'static str, Number); 3] = [
        ("rotabase_peer_messages_sent_total", "Messages sent to other nodes.", |it| &it.messages),
        (
            "rotabase_peer_frames_sent_total",
            "Frames sent to other nodes, in which messages travel together.",
            |it| &it.frames,
        ),
        ("rotabase_peer_sent_bytes_total", "Bytes sent to other nodes.", |it| &it.bytes),
    ];
    for (name, help, number) in counters {
        let traffic = Arc::clone(&traffic);
        metrics.counter_read(name, help, move || float(number(&traffic).load(Ordering::Relaxed)));
    }
}

/// Registers how long commits take.
fn register_commits(watched: &Weak<Watched>, metrics: &Metrics) {
    let latency = Weak::clone(watched);
    metrics.histogram_read(
        "rotabase_commit_seconds",
        "Time from the proposal of a log entry to its commit.",
        move || {
            let watched = latency.upgrade()?;
            let metrics = watched.database.node().metrics();
            let buckets = metrics.commit_buckets.iter().map(|it| it.load(Ordering::Relaxed));
            Some(Observed {
                bounds_microseconds: &COMMIT_BOUNDS_MICROSECONDS,
                buckets: buckets.collect(),
                sum_microseconds: metrics.commit_microseconds.load(Ordering::Relaxed),
            })
        },
    );
}

/// Registers what is kept in memory of what is on disk.
fn register_caches(watched: &Weak<Watched>, metrics: &Metrics) {
    type Number = fn(AggregateStats) -> u64;
    type Gauge = (&'static str, &'static str, fn(&Watched) -> u64);
    let counters: [(&'static str, &'static str, Number); 3] = [
        ("rotabase_aggregate_cache_hits_total", "Aggregates found in memory.", |it| it.hits),
        ("rotabase_aggregate_cache_misses_total", "Aggregates read from disk.", |it| it.misses),
        ("rotabase_aggregate_passivations_total", "Aggregates that had to leave memory.", |it| {
            it.passivations
        }),
    ];
    for (name, help, number) in counters {
        let weak = Weak::clone(watched);
        metrics.counter_read(name, help, move || {
            weak.upgrade()
                .map_or(0.0, |watched| float(number(watched.database.node().aggregate_stats())))
        });
    }
    let gauges: [Gauge; 5] = [
        (
            "rotabase_projection_columns_bytes",
            "The bytes that columns of the legs take in memory.",
            |it| it.database.projections().status().columns_bytes,
        ),
        ("rotabase_aggregate_cache_aggregates", "Aggregates in memory.", |it| {
            it.database.node().aggregate_stats().aggregates
        }),
        ("rotabase_aggregate_cache_bytes", "The bytes that aggregates take in memory.", |it| {
            it.database.node().aggregate_stats().bytes
        }),
        (
            "rotabase_log_cache_bytes",
            "The bytes of the log that are in memory because they were read.",
            |it| it.database.node().block_cache_bytes().0,
        ),
        ("rotabase_log_cache_bytes_max", "The bytes of the log that may be.", |it| {
            it.database.node().block_cache_bytes().1
        }),
    ];
    for (name, help, number) in gauges {
        let weak = Weak::clone(watched);
        metrics.gauge(name, help, move || {
            weak.upgrade().map_or(0.0, |watched| float(number(&watched)))
        });
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
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
