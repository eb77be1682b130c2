//! Three voters in one process, each with storage that can lose what was not synced.

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_raft::memory::{MemoryLog, MemoryStore};
use rotabase_raft::router::Router;
use rotabase_raft::type_config::MachineId;
use rotabase_raft::{Node, Request, WriteError};
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::history::entries;
use crate::world::{Answer, execute, open};

pub(crate) const MACHINES: u32 = 3;

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    pub(crate) router: Arc<Router>,
    pub(crate) logs: Vec<Arc<MemoryLog>>,
    pub(crate) nodes: Vec<Node<Accounts>>,
}

impl Cluster {
    pub(crate) async fn start(shards: u16) -> Self {
        let router = Router::new();
        let (mut logs, mut nodes) = (Vec::new(), Vec::new());
        for id in 1..=MACHINES {
            let log = MemoryLog::new(shards);
            nodes.push(open(id, MACHINES, MemoryStore::new(Arc::clone(&log)), &router).await);
            logs.push(log);
        }
        Self { router, logs, nodes }
    }

    /// The machine that leads a shard and takes commands; its number counts from 0.
    pub(crate) async fn leader(&self, shard: ShardId) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            let leads = |node: &Node<Accounts>| node.status()[usize::from(shard.0)].leading;
            if let Some(leader) = self.nodes.iter().position(leads) {
                return leader;
            }
            assert!(Instant::now() < until, "shard {shard} gets no leader");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn id(number: usize) -> MachineId {
        MachineId(u32::try_from(number).unwrap() + 1)
    }

    /// The power of a machine fails, and comes back at once.
    pub(crate) async fn crash_and_restart(&mut self, number: usize) {
        let id = Self::id(number);
        self.router.remove(id);
        let log = self.logs[number].crash();
        let dead = self.nodes[number].clone();
        tokio::spawn(async move { dead.shutdown().await });
        self.nodes[number] =
            open(id.0, MACHINES, MemoryStore::new(Arc::clone(&log)), &self.router).await;
        self.logs[number] = log;
    }

    /// Cuts a machine off from all others.
    pub(crate) fn isolate(&self, number: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != number) {
            self.router.cut(Self::id(number), Self::id(other));
        }
    }

    /// Executes where the shard is led, asking again while nobody leads it.
    pub(crate) async fn execute(&self, requests: Vec<Request<Accounts>>) -> Answer {
        let until = Instant::now() + PATIENCE;
        let shard = self.nodes[0].shard_of(&requests[0].id);
        loop {
            let leader = self.leader(shard).await;
            match execute(&self.nodes[leader], requests.clone()).await {
                Err(WriteError::NotLeader { .. } | WriteError::Unavailable { .. })
                    if Instant::now() < until =>
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Waits until all machines have applied as much as each other and at least what the leaders had.
    pub(crate) async fn settle(&self) {
        let until = Instant::now() + PATIENCE;
        let shards = self.nodes[0].shards();
        loop {
            let applied: Vec<Vec<LogIndex>> = self
                .nodes
                .iter()
                .map(|node| node.status().iter().map(|status| status.applied).collect())
                .collect();
            let last: Vec<Vec<LogIndex>> = self
                .nodes
                .iter()
                .map(|node| node.status().iter().map(|status| status.last_index).collect())
                .collect();
            let even = applied.iter().all(|it| *it == applied[0])
                && last.iter().all(|it| *it == applied[0]);
            if even {
                return;
            }
            assert!(
                Instant::now() < until,
                "{shards} shards do not settle: applied {applied:?} of {last:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All machines tell the same.
    pub(crate) fn check_equal(&self) {
        let first = entries(&self.nodes[0]);
        for node in &self.nodes[1..] {
            assert_eq!(entries(node), first, "machines disagree on what happened");
        }
    }

    pub(crate) async fn shutdown(self) {
        futures::future::join_all(self.nodes.iter().map(Node::shutdown)).await;
    }
}
