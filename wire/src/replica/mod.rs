//! A read replica: a copy of another node's logs, with projections of its own, that serves reads and takes no writes.
//!
//! # How it follows
//!
//! 1. `follow` connects to one of the nodes it was told of, as a client of the PostgreSQL protocol ([`upstream`]),
//!    and subscribes to `rotabase.entries`: the rows of the logs as they are stored, from its own newest on.
//! 2. The rows go into the replica's own log, at the same indexes. From there on everything is as on any other node:
//!    the feed, the projections, `events`, subscriptions. So a replica can be followed in turn.
//! 3. Among the rows come heartbeats: what the node that takes writes had at a moment of its clock. Once the
//!    projections cover that, the replica is as new as that moment ([`freshness`]).
//! 4. Roles and views come the same way, whole, whenever they change.
//!
//! Where nodes have certificates, both ends show theirs ([`crate::cluster`]), as nodes of a cluster do.
//!
//! When the connection breaks, the next node is tried, after a pause that grows; meanwhile the replica serves what it
//! has, and its lag grows.

mod follow;
mod freshness;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rotabase_engine::env::Clock;
use rotabase_engine::position::Positions;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::projection::Projections;
use rotabase_raft::net::{Plain, Security};
use tokio::sync::watch;

pub(crate) use follow::follow;
use freshness::Freshness;
use upstream::Upstream;
pub(crate) use upstream::{Heartbeat, Hello, Kind};

/// How often the source of the rows tells what it has.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(100);

/// The name under which a node says what covers everything acknowledged; a replica asks its upstream for it.
pub(crate) const BARRIER: &str = "rotabase.barrier";

/// The same for what covers everything that happens up to now, acknowledged or not.
pub(crate) const INSTANT_BARRIER: &str = "rotabase.instant_barrier";

/// How a replica finds what it follows.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// The PostgreSQL ports of nodes, `host:port` each; they are tried in turn.
    pub nodes: Vec<String>,
    /// The role it connects as; a superuser there.
    pub user: String,
    /// Its password, if the role has one.
    pub password: Option<String>,
    /// How connections to them are secured.
    pub security: Arc<dyn Security>,
}

/// A replica, as the rest of the node sees it.
#[derive(Debug)]
pub(crate) struct Replica {
    options: ReplicaOptions,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    caught_up: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    /// The connection over which the upstream is asked for its positions.
    asking: tokio::sync::Mutex<Option<Upstream>>,
}

#[derive(Debug, Default)]
struct State {
    /// What is followed now; none while nobody answers.
    connected: Option<String>,
    /// The node that takes writes, as far as it is known.
    writer: Option<String>,
    /// Why the node that was connected to last cannot be followed, if it has other logs than this replica.
    refused: Option<String>,
    freshness: Freshness,
}

/// How far a replica is behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lag {
    /// How long ago the node that takes writes had nothing that the replica's projections lack; none if nothing was
    /// heard of it since the start.
    pub(crate) time: Option<Duration>,
    /// What it had when it was heard of last.
    pub(crate) committed: Positions,
}

impl ReplicaOptions {
    /// A replica that follows nobody: for looking at what it has.
    pub(crate) fn alone() -> Self {
        Self { nodes: Vec::new(), user: String::new(), password: None, security: Arc::new(Plain) }
    }
}

impl Replica {
    pub(crate) fn new(options: ReplicaOptions, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            options,
            clock,
            state: Mutex::default(),
            caught_up: watch::Sender::new(false),
            stop: watch::Sender::new(false),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// What is known of the cluster before the replica has a log of its own; waits until a node answers.
    pub(crate) async fn introduce(options: &ReplicaOptions) -> Hello {
        follow::introduce(options).await
    }

    /// Waits until the projections cover what the upstream had when it was first connected to.
    pub(crate) async fn wait_until_caught_up(&self) {
        // The sender lives as long as the replica.
        let _ = self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await;
    }

    /// Whether it has caught up once.
    pub(crate) fn has_caught_up(&self) -> bool {
        *self.caught_up.borrow()
    }

    /// How far the projections are behind.
    pub(crate) fn lag(&self, projections: &Projections) -> Lag {
        let mut state = self.state.lock();
        state.freshness.settle(projections);
        let now = self.clock.now_microseconds();
        let since = |at: i64| u64::try_from(now.saturating_sub(at)).unwrap_or(0);
        let time = state.freshness.fresh_at().map(|at| Duration::from_micros(since(at)));
        Lag { time, committed: state.freshness.committed().clone() }
    }

    /// The newest heartbeat that was heard: a moment, and what there was then. All of it is in the log here.
    pub(crate) fn heard(&self) -> Option<(i64, Positions)> {
        self.state.lock().freshness.heard()
    }

    /// Why what this replica shows is perhaps not what its upstream has.
    pub(crate) fn refused(&self) -> Option<String> {
        self.state.lock().refused.clone()
    }

    /// Whether an upstream is connected.
    pub(crate) fn is_connected(&self) -> bool {
        self.state.lock().connected.is_some()
    }

    /// The node that takes writes, as far as it is known.
    pub(crate) fn writer(&self) -> Option<String> {
        self.state.lock().writer.clone()
    }

    /// 25006: this node takes no writes.
    pub(crate) fn refusal(&self, command: &str) -> SqlError {
        let message = format!("cannot execute {command} in a read-only transaction");
        let error = SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message);
        error.with_hint(match self.writer() {
            Some(writer) => format!("This node is a read replica. {writer} takes writes."),
            None => format!(
                "This node is a read replica of {}. Connect to a node that takes writes.",
                self.options.nodes.join(", ")
            ),
        })
    }

    /// The positions that cover everything that was acknowledged anywhere before the call; 57P03 if no upstream
    /// answers in time.
    pub(crate) async fn barrier(&self, deadline: Duration) -> Result<Positions> {
        self.ask_for(BARRIER, deadline).await
    }

    /// The same for everything that happens up to now.
    pub(crate) async fn instant_barrier(&self, deadline: Duration) -> Result<Positions> {
        self.ask_for(INSTANT_BARRIER, deadline).await
    }

    async fn ask_for(&self, barrier: &str, deadline: Duration) -> Result<Positions> {
        let asked = tokio::time::timeout(deadline, self.ask(barrier)).await;
        asked.ok().flatten().ok_or_else(|| {
            SqlError::new(
                SqlState::CANNOT_CONNECT_NOW,
                "no upstream of this read replica answers, so it is not known what is newest",
            )
            .with_hint("Read with rotabase.consistency = session, or from another node.")
        })
    }

    async fn ask(&self, barrier: &str) -> Option<Positions> {
        let mut asking = self.asking.lock().await;
        if let Some(upstream) = asking.as_ref()
            && let Ok(positions) = upstream.barrier(barrier).await
        {
            return Some(positions);
        }
        *asking = None;
        let connected = self.state.lock().connected.clone();
        let others = self.options.nodes.iter().filter(|node| connected.as_ref() != Some(*node));
        for node in connected.iter().chain(others) {
            if let Ok(upstream) = Upstream::connect(node, &self.options).await
                && let Ok(positions) = upstream.barrier(barrier).await
            {
                *asking = Some(upstream);
                return Some(positions);
            }
        }
        None
    }

    /// Asks the task that follows to end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }
}
