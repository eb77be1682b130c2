//! How the database is doing, for the health endpoints, and for stopping a process that cannot go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_queries::projection::ProjectionStatus;
use tokio::sync::watch;

use super::numbers;
use crate::database::Database;
use crate::http::Health;
use crate::metrics::Metrics;

/// How often the database is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// How long the projections may be held back by an incomplete transaction before it is worth a word.
const HELD_BACK_MAX: Duration = Duration::from_secs(10);

/// Since when an incomplete transaction holds back what the projections show.
#[derive(Debug, Default)]
struct HeldBack {
    /// Where the shards stand that are behind, and since when.
    behind: BTreeMap<ShardId, (LogIndex, Instant)>,
    told: bool,
}

impl HeldBack {
    fn look(&mut self, projections: &ProjectionStatus) {
        let now = Instant::now();
        let before = std::mem::take(&mut self.behind);
        for (shard, folded, committed) in &projections.shards {
            if projections.open_transactions > 0 && folded < committed {
                let since = before.get(shard).filter(|(then, _)| then == folded);
                let since = since.map_or(now, |(_, since)| *since);
                self.behind.insert(*shard, (*folded, since));
            }
        }
        let late = |since: &Instant| now.duration_since(*since) >= HELD_BACK_MAX;
        if !self.behind.values().any(|(_, since)| late(since)) {
            self.told = false;
        } else if !std::mem::replace(&mut self.told, true) {
            let shards: Vec<u16> = projections.awaited.iter().map(|(shard, _)| shard.0).collect();
            let transactions = projections.open_transactions;
            tracing::warn!(
                transactions,
                ?shards,
                "transactions are not shown: they wait for their entries in these shards"
            );
        }
    }
}

/// What was seen of the database last.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(super) database: Database,
    started: Instant,
    /// When the projections had last caught up, in milliseconds since `started`.
    caught_up: AtomicU64,
    held_back: Mutex<HeldBack>,
    failure: watch::Sender<Option<String>>,
}

impl Watched {
    /// Starts to watch a database until the handle is dropped.
    pub(crate) fn start(database: Database, metrics: &Metrics) -> Arc<Self> {
        let (failure, _) = watch::channel(None);
        let watched = Arc::new(Self {
            database,
            started: Instant::now(),
            caught_up: AtomicU64::new(0),
            held_back: Mutex::default(),
            failure,
        });
        let weak = Arc::downgrade(&watched);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PERIOD);
            loop {
                ticks.tick().await;
                let Some(watched) = weak.upgrade() else { return };
                watched.look();
            }
        });
        numbers::register(&watched, metrics);
        watched
    }

    /// Waits until the database has failed for good.
    pub(crate) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        let seen = failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        seen.unwrap_or_default()
    }

    fn look(&self) {
        let projections = self.database.projections().status();
        if projections.lag_entries() == 0 {
            self.caught_up.store(self.elapsed(), Ordering::Relaxed);
        }
        self.held_back.lock().look(&projections);
        let failed_shard = self.database.shards().into_iter().find_map(|shard| shard.error);
        let failure = projections.failure.map(|error| error.to_string()).or(failed_shard);
        if failure.is_some() && self.failure.borrow().is_none() {
            self.failure.send_replace(failure);
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Health for Watched {
    fn failed(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    fn is_ready(&self) -> Result<(), String> {
        match self.database.replica() {
            Some(replica) if !replica.has_caught_up() => {
                return Err("the replica has not caught up yet".to_owned());
            }
            Some(replica) => {
                if let Some(reason) = replica.refused() {
                    return Err(reason);
                }
            }
            None => {
                if self.database.is_removed() {
                    return Err("this node was removed from the cluster".to_owned());
                }
                let shards = self.database.shards();
                if let Some(shard) = shards.iter().find(|shard| shard.leader.is_none()) {
                    return Err(format!("shard {} has no leader", shard.shard));
                }
            }
        }
        if !self.database.projections().status().complete {
            return Err("projections have not caught up yet".to_owned());
        }
        Ok(())
    }

    fn lag(&self) -> Duration {
        if let Some(replica) = self.database.replica() {
            return replica.lag(self.database.projections()).time.unwrap_or(Duration::MAX);
        }
        if self.database.projections().status().lag_entries() == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.elapsed().saturating_sub(self.caught_up.load(Ordering::Relaxed)))
    }
}
