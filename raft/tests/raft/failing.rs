//! Three voters, of which one fails or is cut off.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use rotabase_engine::entry::Metadata;
use rotabase_engine::position::{ShardId, Version};
use rotabase_raft::type_config::ReplicaId;
use rotabase_raft::{Node, Outcome, WriteError};

use crate::accounts::Accounts;
use crate::cluster::Cluster;
use crate::history::{check, check_answers, entries, happened};
use crate::world::{DEADLINE, deposit, execute};

#[tokio::test(flavor = "multi_thread")]
async fn three_voters_agree() {
    let cluster = Cluster::start(3).await;
    for tag in 0..60 {
        cluster.execute(vec![deposit(u32::try_from(tag % 11).unwrap(), 1, tag)]).await.unwrap();
    }
    cluster.settle().await;
    check(&entries(&cluster.nodes[0]));
    cluster.check_equal();
    assert_eq!(happened(&entries(&cluster.nodes[0])).len(), 60);
    cluster.shutdown().await;
}

/// A leader whose followers were faster than its own disk acknowledges, loses power and comes back at once. With
/// openraft's default it would lead on in its old term, and give the log id of the acknowledged entry to another.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_write_survives_a_leader_that_lost_its_unsynced_tail() {
    for round in 0..3 {
        let mut cluster = Cluster::start(1).await;
        let leader = cluster.leader(ShardId(0)).await;
        cluster.execute(vec![deposit(1, 1, 1)]).await.unwrap();
        cluster.logs[leader].hold();
        let acknowledged =
            execute(&cluster.nodes[leader], vec![deposit(1, 100, 100)]).await.unwrap();
        assert_eq!(acknowledged.versions, [Version(2)]);
        cluster.crash_and_restart(leader).await;
        let outcome = cluster.execute(vec![deposit(1, 200, 200)]).await.unwrap();
        assert_eq!(outcome.versions, [Version(3)], "round {round}");
        cluster.settle().await;
        for node in &cluster.nodes {
            let entries = entries(node);
            check(&entries);
            assert_eq!(
                happened(&entries).iter().map(|it| it.tag).collect::<Vec<_>>(),
                [1, 100, 200]
            );
        }
        cluster.shutdown().await;
    }
}

/// What clients were told, over all of a test.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<Vec<(u32, u64, Outcome)>>,
    refused: Mutex<BTreeSet<u64>>,
    unknown: AtomicU64,
    next_tag: AtomicU64,
    stop: AtomicBool,
}

impl Told {
    /// One client: writes to one account after the other, wherever it is led.
    async fn write(self: Arc<Self>, nodes: Vec<Node<Accounts>>, account: u32) {
        let mut node = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let tag = self.next_tag.fetch_add(1, Ordering::Relaxed);
            let answer = nodes[node]
                .execute(
                    vec![deposit(account, 1, tag)],
                    Metadata::default(),
                    Duration::from_secs(3),
                )
                .await;
            match answer {
                Ok(outcome) => self.acknowledged.lock().push((account, tag, outcome)),
                Err(WriteError::OutcomeUnknown) => {
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                }
                Err(
                    WriteError::NotLeader { .. }
                    | WriteError::Unavailable { .. }
                    | WriteError::Deadline
                    | WriteError::Store(_),
                ) => {
                    self.refused.lock().insert(tag);
                    node = (node + 1) % nodes.len();
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn check(&self, cluster: &Cluster) {
        for node in &cluster.nodes {
            let entries = entries(node);
            check(&entries);
            check_answers(&entries, &self.acknowledged.lock(), &self.refused.lock());
        }
        cluster.check_equal();
    }

    async fn wait_for(&self, acknowledged: usize) {
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        while self.acknowledged.lock().len() < acknowledged {
            assert!(tokio::time::Instant::now() < until, "no progress");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The leader loses its followers while its pipeline is full, and gets them back, again and again: it may refuse
/// one proposal and accept the next. Nothing that was decided on a refused one may count.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lost_and_regained_leaves_no_gaps() {
    let cluster = Cluster::start(1).await;
    let told = Arc::new(Told::default());
    let clients: Vec<_> = (0..24)
        .map(|account| tokio::spawn(Arc::clone(&told).write(cluster.nodes.clone(), account)))
        .collect();
    for round in 1..=6 {
        told.wait_for(round * 100).await;
        let leader = cluster.leader(ShardId(0)).await;
        cluster.isolate(leader);
        // Around the time at which the lease ends.
        tokio::time::sleep(Duration::from_millis(380 + u64::try_from(round).unwrap() * 40)).await;
        cluster.router.heal();
    }
    let so_far = told.acknowledged.lock().len();
    told.wait_for(so_far + 100).await;
    told.stop.store(true, Ordering::Relaxed);
    join_all(clients).await;
    cluster.settle().await;
    told.check(&cluster);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_leaders_crash() {
    let mut cluster = Cluster::start(2).await;
    let told = Arc::new(Told::default());
    for round in 1..=4 {
        let clients: Vec<_> = (0..16)
            .map(|account| tokio::spawn(Arc::clone(&told).write(cluster.nodes.clone(), account)))
            .collect();
        told.wait_for(round * 150).await;
        let leader = cluster.leader(ShardId(u16::try_from(round % 2).unwrap())).await;
        cluster.logs[leader].hold();
        tokio::time::sleep(Duration::from_millis(20)).await;
        cluster.crash_and_restart(leader).await;
        told.stop.store(true, Ordering::Relaxed);
        join_all(clients).await;
        told.stop.store(false, Ordering::Relaxed);
    }
    let _ = cluster.execute(vec![deposit(1, 1, 1 << 40)]).await.unwrap();
    cluster.settle().await;
    told.check(&cluster);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_machine_does_not_raise_its_term() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.leader(ShardId(0)).await;
    cluster.execute(vec![deposit(1, 1, 1)]).await.unwrap();
    let isolated = (leader + 1) % 3;
    let term = cluster.nodes[isolated].status()[0].term;
    cluster.isolate(isolated);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(cluster.nodes[isolated].status()[0].term, term, "it asks before it campaigns");
    cluster.router.heal();
    cluster.execute(vec![deposit(1, 1, 2)]).await.unwrap();
    assert_eq!(cluster.leader(ShardId(0)).await, leader);
    cluster.settle().await;
    cluster.check_equal();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strong_read_needs_the_leader() {
    let cluster = Cluster::start(1).await;
    let outcome = cluster.execute(vec![deposit(1, 1, 1)]).await.unwrap();
    let leader = cluster.leader(ShardId(0)).await;
    let positions = cluster.nodes[leader].read_barrier(DEADLINE).await.unwrap();
    assert!(positions.covers(&outcome.positions));
    let positions = cluster.nodes[(leader + 1) % 3].read_barrier(DEADLINE).await.unwrap();
    assert!(positions.covers(&outcome.positions), "a follower asks it");
    cluster.isolate(leader);
    let stale = cluster.nodes[leader].read_barrier(Duration::from_secs(2)).await;
    assert!(stale.is_err(), "a leader that nobody hears must not answer: {stale:?}");
    cluster.router.heal();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.leader(ShardId(0)).await;
    cluster.execute(vec![deposit(1, 1, 1)]).await.unwrap();
    cluster.settle().await;
    let target = (leader + 1) % 3;
    let replica = rotabase_raft::placement::first_replica_id(Cluster::id(target), ShardId(0));
    assert_ne!(replica, ReplicaId::default());
    cluster.nodes[leader].transfer_leader(ShardId(0), Cluster::id(target)).await.unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while !cluster.nodes[target].status()[0].leading {
        assert!(tokio::time::Instant::now() < until, "the target does not take over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let outcome = execute(&cluster.nodes[target], vec![deposit(1, 1, 2)]).await.unwrap();
    assert_eq!(outcome.versions, [Version(2)]);
    cluster.shutdown().await;
}
