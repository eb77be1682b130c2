//! The task of a replica: connects, takes what comes, and begins again elsewhere when the connection breaks.

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::db::StoreError;
use rotabase_engine::log::LogRow;
use rotabase_engine::position::{Positions, ShardId};

use super::upstream::{Message, Upstream, UpstreamError};
use super::{HEARTBEAT_INTERVAL, Hello, Replica, ReplicaOptions};
use crate::database::Database;

/// The pause after the first failure; it doubles with each one after it.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long nothing may come until the connection is given up: heartbeats do.
const PATIENCE: Duration = Duration::from_secs(10);

const _: () = assert!(
    HEARTBEAT_INTERVAL.as_millis() * 10 < PATIENCE.as_millis(),
    "a heartbeat or two may be late"
);

/// Why following has ended.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it belongs to another cluster")]
    OtherCluster,
    #[error("its roles and views cannot be taken over: {0}")]
    Catalog(String),
    #[error(
        "it is not what this replica has followed ({0}): perhaps it was restored from a backup. If it is the right one, start the replica anew, with an empty directory"
    )]
    OtherHistory(String),
}

impl FollowError {
    /// What says that rows are not those of the same logs says so of the upstream.
    fn of_rows(error: StoreError) -> Self {
        match error {
            StoreError::Incompatible(reason) => Self::OtherHistory(reason),
            error => Self::Store(error),
        }
    }
}

/// Follows one of the nodes until the replica is stopped.
pub(crate) async fn follow(database: Database, replica: Arc<Replica>) {
    let mut stopped = replica.stop.subscribe();
    tokio::select! {
        () = follow_for_ever(&database, &replica) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn follow_for_ever(database: &Database, replica: &Replica) {
    let mut pause = PAUSE_MIN;
    for node in replica.options.nodes.iter().cycle() {
        let mut heard = false;
        let Err(error) = follow_node(database, replica, node, &mut heard).await;
        let was_connected = replica.state.lock().connected.take().is_some();
        if matches!(error, FollowError::OtherHistory(_)) {
            tracing::error!(node, %error, "could not follow");
            replica.state.lock().refused = Some(format!("{node}: {error}"));
        } else if was_connected {
            tracing::warn!(node, %error, "the upstream is lost");
        } else {
            tracing::info!(node, %error, "could not follow");
        }
        if heard {
            pause = PAUSE_MIN;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn follow_node(
    database: &Database,
    replica: &Replica,
    node: &str,
    heard: &mut bool,
) -> Result<std::convert::Infallible, FollowError> {
    let upstream = Upstream::connect(node, &replica.options).await?;
    let had = database.node().newest();
    let mut entries = upstream.entries(&database.node().resume()).await?;
    let begun = tokio::time::Instant::now();
    loop {
        let mut rows = Rows::default();
        for message in entries.next(PATIENCE).await? {
            match message {
                Message::Row(shard, row) => {
                    if rows.shard != shard {
                        rows.store(database).await?;
                    }
                    rows.shard = shard;
                    rows.rows.push(row);
                }
                Message::Hello(hello) => greet(database, replica, node, hello)?,
                Message::Catalog(catalog) => take_catalog(database, &catalog)?,
                Message::Heartbeat(at, positions) => {
                    rows.store(database).await?;
                    if !positions.covers(&had) {
                        // A node may be a little behind another one that was followed before.
                        if begun.elapsed() > PATIENCE {
                            return Err(FollowError::OtherHistory("it has less".to_owned()));
                        }
                        continue;
                    }
                    replica.state.lock().refused = None;
                    replica.state.lock().freshness.hear(at, positions.clone());
                    if !std::mem::replace(heard, true) {
                        await_catching_up(database, replica, &positions);
                    }
                    replica.state.lock().freshness.settle(database.projections());
                }
            }
        }
        rows.store(database).await?;
    }
}

/// Rows of one shard that are to be stored together.
#[derive(Default)]
struct Rows {
    shard: ShardId,
    rows: Vec<LogRow>,
}

impl Rows {
    async fn store(&mut self, database: &Database) -> Result<(), FollowError> {
        let appended = database.node().append(self.shard, std::mem::take(&mut self.rows)).await;
        appended.map_err(FollowError::of_rows)
    }
}

/// The first message of a connection.
fn greet(
    database: &Database,
    replica: &Replica,
    node: &str,
    hello: Hello,
) -> Result<(), FollowError> {
    if hello.cluster != database.cluster().to_string() || hello.shards != database.node().shards() {
        return Err(FollowError::OtherCluster);
    }
    tracing::info!(node, writable = hello.writable, "following");
    let mut state = replica.state.lock();
    state.connected = Some(node.to_owned());
    state.writer = if hello.writable { Some(node.to_owned()) } else { hello.writer };
    Ok(())
}

fn take_catalog(database: &Database, catalog: &[u8]) -> Result<(), FollowError> {
    let refused = |error: rotabase_queries::error::SqlError| FollowError::Catalog(error.message);
    if database.shared().objects.replace(catalog).map_err(refused)? {
        database.refresh_catalog();
    }
    Ok(())
}

/// The replica has caught up when its projections cover what the upstream had when it was connected to.
fn await_catching_up(database: &Database, replica: &Replica, target: &Positions) {
    if replica.has_caught_up() {
        return;
    }
    let caught_up = replica.caught_up.clone();
    let projections = Arc::clone(database.projections());
    let (reached, waiting) = tokio::sync::oneshot::channel();
    let ready = Box::new(move |result: Result<(), StoreError>| drop(reached.send(result)));
    let Ok(place) = projections.wait_for(target, ready) else { return };
    tokio::spawn(async move {
        let _place = place;
        if matches!(waiting.await, Ok(Ok(()))) {
            caught_up.send_replace(true);
        }
    });
}

/// Asks the nodes in turn who they are, until one answers.
pub(super) async fn introduce(options: &ReplicaOptions) -> Hello {
    let mut pause = PAUSE_MIN;
    loop {
        for node in &options.nodes {
            match introduce_by(node, options).await {
                Ok(hello) => return hello,
                Err(error) => tracing::info!(node, %error, "could not follow"),
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn introduce_by(node: &str, options: &ReplicaOptions) -> Result<Hello, UpstreamError> {
    let upstream = Upstream::connect(node, options).await?;
    let mut entries = upstream.entries(&Positions::default()).await?;
    match entries.next(PATIENCE).await?.into_iter().next() {
        Some(Message::Hello(hello)) => Ok(hello),
        _ => Err(UpstreamError::Malformed("hello")),
    }
}
