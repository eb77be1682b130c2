//! A cluster that begins with one machine, grows and shrinks, while clients write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random};
use rotabase_raft::cluster::control::Command;
use rotabase_raft::cluster::{Admission, Cluster, ClusterOptions, join};
use rotabase_raft::config::Timing;
use rotabase_raft::memory::{MemoryLog, MemoryStore};
use rotabase_raft::net::{Identity, Members, Network, Plain};
use rotabase_raft::type_config::{Machine, MachineId};
use rotabase_raft::{Environment, Node, Outcome, Request, WriteError};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::history::{check, check_answers, entries};
use crate::world::{Counting, Seeded, deposit};

const SHARDS: u16 = 6;
const PATIENCE: Duration = Duration::from_secs(40);

/// One machine of a cluster.
struct Member {
    network: Network,
    cluster: Cluster,
    node: Node<Accounts>,
}

impl Member {
    async fn found() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let cluster = Uuid::from_u128(77);
        let machine = MachineId(1);
        let admission = Admission { cluster, shards: SHARDS, machine, members: Vec::new() };
        Self::open(listener, admission).await
    }

    async fn join(seed: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let token = u64::from(listener.local_addr().unwrap().port());
        let admission = join(seed, &Plain, address, token).await.unwrap();
        Self::open(listener, admission).await
    }

    async fn open(listener: TcpListener, admission: Admission) -> Self {
        let Admission { cluster, shards, machine: id, members } = admission;
        let machine = Machine { id, address: listener.local_addr().unwrap().to_string() };
        let identity = Identity { cluster, shards, machine: id };
        let network = Network::start(&identity, listener, Arc::new(Plain));
        let options = ClusterOptions {
            machine,
            members: members.into_iter().collect::<Members>(),
            timing: Timing::Fast,
        };
        let clock: Arc<dyn Clock> = Arc::new(Counting::default());
        let random: Arc<dyn Random> = Arc::new(Seeded::new(u64::from(id.0)));
        let control = MemoryStore::new(MemoryLog::new(1));
        let cluster = Cluster::open(
            options,
            network.clone(),
            control,
            Arc::clone(&clock),
            Arc::clone(&random),
        )
        .await
        .unwrap();
        let environment = Environment {
            store: MemoryStore::new(MemoryLog::new(shards)),
            transport: cluster.transport(),
            clock,
            random,
        };
        let node = Node::open(cluster.node_config(), environment).await.unwrap();
        cluster.tend(&node);
        Self { network, cluster, node }
    }

    fn id(&self) -> MachineId {
        self.cluster.machine().id
    }

    /// Waits until every shard has as many voters as `voters`, and leaders are even among `members`.
    async fn wait_for(&self, voters: usize, members: usize) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.node.status();
            let mut led: BTreeMap<MachineId, usize> = BTreeMap::new();
            for leader in status.iter().filter_map(|it| it.leader.as_ref()) {
                *led.entry(leader.id).or_default() += 1;
            }
            let even = led.len() == members.min(voters)
                && led.values().max().zip(led.values().min()).is_some_and(|(a, b)| a - b <= 1);
            let complete = status.iter().all(|it| {
                it.voters.len() == voters && it.voters.len() + it.learners.len() == members
            });
            if even && complete {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "{led:?} {status:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn close(self) {
        self.node.shutdown().await;
        self.cluster.close().await;
    }
}

/// What clients were told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<Vec<(u32, u64, Outcome)>>,
    refused: Mutex<std::collections::BTreeSet<u64>>,
    unknown: AtomicU64,
    next_tag: AtomicU64,
    stop: AtomicBool,
}

const DEADLINE: Duration = Duration::from_secs(5);

async fn in_pieces(
    node: &Node<Accounts>,
    requests: Vec<Request<Accounts>>,
) -> Result<Outcome, WriteError<Accounts>> {
    let mut write = node.begin(Metadata::default());
    let decided = write.decide(requests, DEADLINE).await?;
    let outcome = write.commit(DEADLINE).await?;
    Ok(Outcome { versions: decided.versions, emitted: decided.emitted, ..outcome })
}

impl Told {
    async fn write(self: Arc<Self>, node: Node<Accounts>, account: u32) {
        while !self.stop.load(Ordering::Relaxed) {
            let tag = self.next_tag.fetch_add(1, Ordering::Relaxed);
            let requests = vec![deposit(account, 1, tag)];
            let outcome = if account.is_multiple_of(2) {
                node.execute(requests, Metadata::default(), DEADLINE).await
            } else {
                in_pieces(&node, requests).await
            };
            match outcome {
                Ok(outcome) => self.acknowledged.lock().push((account, tag, outcome)),
                Err(WriteError::OutcomeUnknown) => {
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.refused.lock().insert(tag);
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_grows_from_one_and_shrinks_while_clients_write() {
    let first = Member::found().await;
    let seed = first.cluster.machine().address.clone();
    let told = Arc::new(Told::default());
    let mut clients: Vec<_> = (0..8)
        .map(|account| tokio::spawn(Arc::clone(&told).write(first.node.clone(), account)))
        .collect();
    let second = Member::join(&seed).await;
    first.wait_for(1, 2).await;
    let third = Member::join(&second.cluster.machine().address.clone()).await;
    first.wait_for(3, 3).await;
    assert_eq!([first.id(), second.id(), third.id()], [1, 2, 3].map(MachineId));
    clients.extend(
        (8..16).map(|account| tokio::spawn(Arc::clone(&told).write(third.node.clone(), account))),
    );
    let fourth = Member::join(&seed).await;
    first.wait_for(3, 4).await;
    // Who goes first: a voter, under load; the learner takes its place.
    first.cluster.execute(Command::Remove(second.id())).await.unwrap();
    first.wait_for(3, 3).await;
    second.close().await;
    let (unknown, refused) = (told.unknown.load(Ordering::Relaxed), told.refused.lock().len());
    told.stop.store(true, Ordering::Relaxed);
    futures::future::join_all(clients).await;
    println!("unknown {unknown}, refused {refused}, {}", told.acknowledged.lock().len());
    let barrier = fourth.node.read_barrier(PATIENCE).await.unwrap();
    for member in [&first, &third, &fourth] {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !member.node.applied().covers(&barrier) {
            assert!(tokio::time::Instant::now() < until, "{} is behind", member.id());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let entries = entries(&member.node);
        check(&entries);
        check_answers(&entries, &told.acknowledged.lock(), &told.refused.lock());
    }
    assert!(!first.network.reaches(MachineId(2)), "who was removed is not talked to");
    for member in [fourth, third, first] {
        member.close().await;
    }
}
