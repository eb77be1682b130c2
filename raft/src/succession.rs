//! Elections without waiting: a machine that was connected and then refuses connections has no process any more, so that
//! nobody needs to wait until the heartbeats of its leaders have been missing for long enough.
//!
//! Who has seen that takes back the promise to vote for nobody but that leader for a while (its lease), and stands for
//! election. This begins with a pre-vote, which whoever still hears the leader refuses: nothing happens to a leader
//! whom a minority does not reach. A voter that has not seen it yet refuses as well, so that it is asked again for a
//! while. If nothing comes of it, elections happen as they always do, after a timeout.
//!
//! It must never know how connections are made.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::TransferLeaderRequest;
use rotabase_engine::domain::Domain;

use crate::node::NodeInner;
use crate::shard::Shard;
use crate::type_config::{MachineId, ReplicaId, Vote};

/// How often voters are asked.
const ATTEMPTS: u32 = 20;

/// How long between two times. All of them together take about as long as a timeout would.
const PAUSE: Duration = Duration::from_millis(25);

/// A leader on a machine that is gone, in its term.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lost {
    leader: ReplicaId,
    vote: Vote,
}

/// Stands for election in each shard that was led by a machine whose process has ended. Returns when that has come to
/// something, or to nothing.
pub(crate) async fn succeed<D: Domain>(node: Arc<NodeInner<D>>, machine: MachineId) {
    let led = node.shards.iter().filter_map(|shard| Some((shard, led_by(shard, machine)?)));
    let standing = led.map(|(shard, lost)| stand(Arc::clone(shard), machine, lost));
    let standing: Vec<_> = standing.collect();
    drop(node);
    join_all(standing).await;
}

/// The leader that a shard has on a machine, if this machine votes there.
fn led_by<D: Domain>(shard: &Shard<D>, machine: MachineId) -> Option<Lost> {
    let metrics = shard.replica.server_metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    let leader = metrics.current_leader?;
    let is_there = membership.get_node(&leader)?.id == machine;
    let votes = membership.voter_ids().any(|voter| voter == shard.replica_id);
    (is_there && votes).then(|| Lost { leader, vote: metrics.vote })
}

async fn stand<D: Domain>(shard: Arc<Shard<D>>, machine: MachineId, lost: Lost) {
    tracing::info!(shard = shard.id.0, %machine, "standing for election: the leader's process has ended");
    // As if it had handed over to nobody in particular: this ends its lease here, if it is still the leader.
    let handed = TransferLeaderRequest::new(lost.vote, lost.leader, None);
    if shard.replica.handle_transfer_leader(handed).await.is_err() {
        return;
    }
    for _ in 0..ATTEMPTS {
        // A replica that is closed has nothing to stand for.
        if shard.replica.trigger().elect(true).await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        if led_by(&shard, machine).as_ref() != Some(&lost) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use rotabase_engine::env::{Clock, Random};
    use rotabase_engine::position::ShardId;

    use super::*;
    use crate::cluster::control::Control;
    use crate::memory::{MemoryLog, MemoryStore};
    use crate::node::{Environment, Node, NodeConfig};
    use crate::router::Router;
    use crate::shard::ShardStatus;
    use crate::type_config::Machine;

    /// How long to wait for what has to come.
    const DEADLINE: Duration = Duration::from_secs(30);

    #[derive(Debug, Default)]
    struct Counting(AtomicI64);

    impl Clock for Counting {
        fn now_microseconds(&self) -> i64 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }
    }

    #[derive(Debug)]
    struct Numbers(AtomicU64);

    impl Random for Numbers {
        fn next_u64(&self) -> u64 {
            self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
        }
    }

    struct Voters {
        router: Arc<Router>,
        nodes: Vec<Node<Control>>,
    }

    impl Voters {
        /// Three of them. Once somebody leads, no timeout makes anybody stand for election.
        async fn start() -> Self {
            let (router, mut nodes) = (Router::new(), Vec::new());
            let machine = |id: u32| Machine { id: MachineId(id), address: String::new() };
            for id in 1..=3 {
                let config = NodeConfig {
                    machine: machine(id),
                    voters: (1..=3).map(machine).collect(),
                    ..NodeConfig::default()
                };
                let environment = Environment {
                    store: MemoryStore::new(MemoryLog::new(1)),
                    transport: router.attach(MachineId(id)),
                    clock: Arc::new(Counting::default()),
                    random: Arc::new(Numbers(AtomicU64::new(u64::from(id)))),
                };
                nodes.push(Node::open(config, environment).await.expect("it opens"));
            }
            let voters = Self { router, nodes };
            voters.agreed(None).await;
            for node in &voters.nodes {
                node.inner.shard(ShardId(0)).replica.runtime_config().elect(false);
            }
            voters
        }

        fn status(&self, machine: MachineId) -> ShardStatus {
            let node = self.nodes.iter().find(|node| node.inner.config.machine.id == machine);
            node.expect("a voter").status().remove(0)
        }

        /// The leader that all agree on but one, who is not looked at, and its term.
        async fn agreed(&self, gone: Option<MachineId>) -> (MachineId, u64) {
            let until = tokio::time::Instant::now() + DEADLINE;
            loop {
                let ids = self.nodes.iter().map(|node| node.inner.config.machine.id);
                let known: Vec<_> = ids
                    .filter(|id| Some(*id) != gone)
                    .map(|id| self.status(id))
                    .map(|it| (it.leader.map(|leader| leader.id), it.term))
                    .collect();
                if let (Some(leader), term) = known[0]
                    && known.iter().all(|it| *it == known[0])
                    && Some(leader) != gone
                    && self.status(leader).leading
                {
                    return (leader, term);
                }
                assert!(tokio::time::Instant::now() < until, "nobody leads: {known:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }

        fn others(&self, machine: MachineId) -> Vec<Arc<NodeInner<Control>>> {
            let inner = self.nodes.iter().map(|node| Arc::clone(&node.inner));
            inner.filter(|node| node.config.machine.id != machine).collect()
        }

        async fn shutdown(self) {
            join_all(self.nodes.iter().map(Node::shutdown)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_leader_whose_process_has_ended_is_followed_without_a_timeout() {
        let voters = Voters::start().await;
        let (leader, term) = voters.agreed(None).await;
        voters.router.remove(leader);
        join_all(voters.others(leader).into_iter().map(|node| succeed(node, leader))).await;
        let (heir, later) = voters.agreed(Some(leader)).await;
        assert!(heir != leader && later > term, "{heir} in term {later} after {leader} in {term}");
        voters.shutdown().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_alone_has_lost_a_leader_changes_nothing() {
        let voters = Voters::start().await;
        let known = voters.agreed(None).await;
        let mistaken = voters.others(known.0).remove(0);
        succeed(Arc::clone(&mistaken), known.0).await;
        assert_eq!(voters.agreed(None).await, known);
        // Nor who says so of one that does not lead.
        succeed(voters.others(known.0).remove(1), mistaken.config.machine.id).await;
        assert_eq!(voters.agreed(None).await, known);
        drop(mistaken);
        voters.shutdown().await;
    }
}
