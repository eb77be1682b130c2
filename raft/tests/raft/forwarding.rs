//! Statements at machines that do not lead the shards they are for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use rotabase_engine::entry::{CommittedEntry, Metadata};
use rotabase_engine::position::{ShardId, Version};
use rotabase_raft::{Node, Outcome, Request, WriteError};
use tokio::task::JoinHandle;

use crate::accounts::{Accounts, Command};
use crate::cluster::Cluster;
use crate::history::{check, entries, happened};
use crate::world::{DEADLINE, Seeded, deposit, execute, one_in_each_shard};

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn every_machine_takes_every_statement() {
    let cluster = Cluster::start(3).await;
    let accounts = one_in_each_shard(&cluster.nodes[0], 3);
    let mut tag = 0;
    for node in &cluster.nodes {
        for account in &accounts {
            tag += 1;
            execute(node, vec![deposit(*account, 10, tag)]).await.unwrap();
        }
    }
    for node in &cluster.nodes {
        tag += 1;
        let all = accounts.iter().map(|account| deposit(*account, -1, tag)).collect();
        let outcome = execute(node, all).await.unwrap();
        assert_eq!(outcome.emitted, [1, 1, 1]);
        let barrier = node.read_barrier(DEADLINE).await.unwrap();
        assert!(barrier.covers(&outcome.positions), "a strong read sees it");
    }
    let refused = vec![deposit(accounts[0], 1, 99), deposit(accounts[1], -1000, 99)];
    for node in &cluster.nodes {
        let error = execute(node, refused.clone()).await.unwrap_err();
        assert!(matches!(error, WriteError::Refused { request: 1, .. }), "{error:?}");
        let stale = deposit(accounts[2], 1, 99).expecting(Some(Version(1)));
        let error = execute(node, vec![stale]).await.unwrap_err();
        assert!(matches!(error, WriteError::VersionMismatch { .. }), "{error:?}");
    }
    cluster.settle().await;
    cluster.check_equal();
    let all = happened(&entries(&cluster.nodes[0]));
    assert_eq!((all.len(), all.iter().filter(|it| it.tag == 99).count()), (18, 0));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_fills_several_entries_goes_to_its_leader_in_pieces() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.leader(ShardId(0)).await;
    let node = &cluster.nodes[(leader + 1) % 3];
    let note = |tag| Request::<Accounts>::new(1, Command::Note { bytes: 900 << 10, tag });
    let outcome = execute(node, (1..=12).map(note).collect()).await.unwrap();
    assert_eq!(outcome.versions.last(), Some(&Version(12)));
    let mut write = node.begin(Metadata::default());
    for tag in 13..=24 {
        write.decide(vec![note(tag)], DEADLINE).await.unwrap();
    }
    write.commit(DEADLINE).await.unwrap();
    drop(node.begin(Metadata::default()).decide(vec![note(99)], DEADLINE).await.unwrap());
    execute(node, vec![note(25)]).await.unwrap();
    cluster.settle().await;
    let tags: Vec<u64> = happened(&entries(node)).iter().map(|it| it.tag).collect();
    assert_eq!(tags, (1..=25).collect::<Vec<u64>>());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_statement_lets_go_of_what_it_held_elsewhere() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.leader(ShardId(0)).await;
    let (one, other) = (&cluster.nodes[(leader + 1) % 3], &cluster.nodes[(leader + 2) % 3]);
    let mut write = one.begin(Metadata::default());
    write.decide(vec![deposit(1, 1, 1)], DEADLINE).await.unwrap();
    let waiting = tokio::spawn({
        let other = other.clone();
        async move { execute(&other, vec![deposit(1, 1, 2)]).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "the account is held");
    drop(write);
    assert_eq!(waiting.await.unwrap().unwrap().versions, [Version(1)]);
    cluster.shutdown().await;
}

/// What clients were told of transfers between accounts in different shards.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<Vec<(u64, Outcome)>>,
    refused: Mutex<Vec<u64>>,
    next_tag: AtomicU64,
    stop: AtomicBool,
}

impl Told {
    async fn transfer(self: Arc<Self>, node: Node<Accounts>, accounts: Vec<u32>, seed: u64) {
        let random = Seeded::new(seed);
        let any =
            |count: usize| usize::try_from(random.below(u64::try_from(count).unwrap())).unwrap();
        while !self.stop.load(Ordering::Relaxed) {
            let tag = self.next_tag.fetch_add(1, Ordering::Relaxed) + 1000;
            let from = any(accounts.len());
            let to = (from + 1 + any(accounts.len() - 1)) % accounts.len();
            let requests = vec![deposit(accounts[from], -1, tag), deposit(accounts[to], 1, tag)];
            let deadline = Duration::from_secs(3);
            match node.execute(requests, Metadata::default(), deadline).await {
                Ok(outcome) => self.acknowledged.lock().push((tag, outcome)),
                Err(WriteError::OutcomeUnknown) => {}
                Err(_) => {
                    self.refused.lock().push(tag);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    }

    /// Twelve who transfer, over all nodes alike, each with a seed of its own from `seed` on.
    fn clients(
        self: &Arc<Self>,
        cluster: &Cluster,
        accounts: &[u32],
        seed: u64,
    ) -> Vec<JoinHandle<()>> {
        let nodes = cluster.nodes.iter().cycle();
        (seed..seed + 12)
            .zip(nodes)
            .map(|(seed, node)| {
                let told = Arc::clone(self);
                tokio::spawn(told.transfer(node.clone(), accounts.to_vec(), seed))
            })
            .collect()
    }

    async fn wait_for_more(&self, more: usize) {
        let (until, so_far) =
            (tokio::time::Instant::now() + PATIENCE, self.acknowledged.lock().len());
        while self.acknowledged.lock().len() < so_far + more {
            assert!(tokio::time::Instant::now() < until, "no progress");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Both sides of each transfer happened or none, what was acknowledged did and what was refused did not.
    fn check(&self, entries: &[CommittedEntry]) {
        check(entries);
        let mut sides: BTreeMap<u64, (usize, i64)> = BTreeMap::new();
        for it in happened(entries).into_iter().filter(|it| it.tag >= 1000) {
            let (count, sum) = sides.entry(it.tag).or_default();
            *count += 1;
            *sum += it.amount;
        }
        assert!(sides.values().all(|sides| *sides == (2, 0)), "half a transfer: {sides:?}");
        for (tag, _) in self.acknowledged.lock().iter() {
            assert!(sides.contains_key(tag), "the acknowledged transfer {tag} is lost");
        }
        for tag in self.refused.lock().iter() {
            assert!(!sides.contains_key(tag), "the refused transfer {tag} left a trace");
        }
    }
}

async fn wait_until_resolved(cluster: &Cluster) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while cluster.nodes.iter().any(|node| node.open_transactions() > 0) {
        let open: Vec<_> = cluster.nodes.iter().map(Node::open_transactions).collect();
        assert!(tokio::time::Instant::now() < until, "transactions are stuck: {open:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn fund(cluster: &Cluster) -> Vec<u32> {
    let accounts = one_in_each_shard(&cluster.nodes[0], 3);
    for account in &accounts {
        cluster.execute(vec![deposit(*account, 1_000_000, 1)]).await.unwrap();
    }
    accounts
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_over_leaders_on_different_machines_happen_as_a_whole_when_machines_crash() {
    let mut cluster = Cluster::start(3).await;
    let accounts = fund(&cluster).await;
    let told = Arc::new(Told::default());
    for round in 0..6_usize {
        told.stop.store(false, Ordering::Relaxed);
        let clients = told.clients(&cluster, &accounts, 100 * u64::try_from(round).unwrap());
        told.wait_for_more(40).await;
        // It leads some shard, and coordinates transactions that others decide.
        let victim = round % 3;
        cluster.logs[victim].hold();
        tokio::time::sleep(Duration::from_millis(10)).await;
        cluster.crash_and_restart(victim).await;
        told.wait_for_more(20).await;
        told.stop.store(true, Ordering::Relaxed);
        join_all(clients).await;
    }
    check_in_the_end(cluster, &told).await;
}

/// Lets everything end, and checks that what clients were told is what happened, the same everywhere.
async fn check_in_the_end(cluster: Cluster, told: &Told) {
    wait_until_resolved(&cluster).await;
    cluster.settle().await;
    cluster.check_equal();
    told.check(&entries(&cluster.nodes[0]));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_happen_as_a_whole_when_links_are_cut() {
    let cluster = Cluster::start(3).await;
    let accounts = fund(&cluster).await;
    let told = Arc::new(Told::default());
    let clients = told.clients(&cluster, &accounts, 0);
    for round in 0..6 {
        told.wait_for_more(20).await;
        cluster.router.cut(Cluster::id(round % 3), Cluster::id((round + 1) % 3));
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.router.heal();
    }
    told.wait_for_more(20).await;
    told.stop.store(true, Ordering::Relaxed);
    join_all(clients).await;
    check_in_the_end(cluster, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_cut_off_refuses_and_says_that_nothing_was_stored() {
    let cluster = Cluster::start(1).await;
    cluster.execute(vec![deposit(1, 1, 1)]).await.unwrap();
    let leader = cluster.leader(ShardId(0)).await;
    let follower = (leader + 1) % 3;
    cluster.isolate(follower);
    let node = &cluster.nodes[follower];
    let error = execute(node, vec![deposit(1, 1, 2)]).await.unwrap_err();
    assert!(matches!(error, WriteError::Unavailable { .. }), "{error:?}");
    let error = node.read_barrier(DEADLINE).await.unwrap_err();
    assert!(matches!(error, WriteError::Unavailable { .. }), "{error:?}");
    cluster.execute(vec![deposit(1, 1, 3)]).await.unwrap();
    cluster.router.heal();
    execute(node, vec![deposit(1, 1, 4)]).await.unwrap();
    cluster.settle().await;
    cluster.check_equal();
    let tags: Vec<u64> = happened(&entries(node)).iter().map(|it| it.tag).collect();
    assert_eq!(tags, [1, 3, 4]);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_happens_up_to_an_instant_is_decided_behind_its_barrier() {
    let cluster = Cluster::start(3).await;
    let accounts = fund(&cluster).await;
    let told = Arc::new(Told::default());
    let clients = told.clients(&cluster, &accounts, 0);
    let mut barriers = Vec::new();
    for round in 0..30_usize {
        told.wait_for_more(2).await;
        // Others are under way that began before and have an older time.
        let newest = told.acknowledged.lock().iter().map(|(_, outcome)| outcome.timestamp).max();
        let (node, instant) = (&cluster.nodes[round % 3], newest.unwrap());
        barriers.push((instant, node.instant_barrier(instant, DEADLINE).await.unwrap()));
    }
    told.stop.store(true, Ordering::Relaxed);
    join_all(clients).await;
    cluster.settle().await;
    let entries = entries(&cluster.nodes[0]);
    for (instant, barrier) in barriers {
        let covers = |entry: &CommittedEntry| entry.index <= barrier.get(entry.shard).index();
        let happened = entries.iter().filter(|entry| entry.entry.timestamp <= instant);
        for entry in happened.filter(|entry| !entry.entry.events.is_empty()) {
            // Of a transaction, one part is the decision; whoever has that knows what else there is.
            let attempt = entry.entry.step.committed().map(|(attempt, _)| attempt);
            let same = |other: &&CommittedEntry| {
                attempt.is_some()
                    && other.entry.step.committed().map(|(attempt, _)| attempt) == attempt
            };
            assert!(
                covers(entry) || entries.iter().filter(same).any(covers),
                "{entry:?} came in after the barrier {barrier} of {instant:?}"
            );
        }
    }
    cluster.shutdown().await;
}
