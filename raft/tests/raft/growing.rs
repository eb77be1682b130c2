//! A cluster that begins with one machine, grows and shrinks, while clients write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random};
use rotabase_engine::position::Positions;
use rotabase_raft::cluster::control::Command;
use rotabase_raft::cluster::{Admission, Cluster, ClusterOptions, ClusterStatus, join};
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
        let (listener, admission) = Self::ask_to_join(seed).await;
        Self::open(listener, admission).await
    }

    async fn ask_to_join(seed: &str) -> (TcpListener, Admission) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let token = u64::from(listener.local_addr().unwrap().port());
        let admission = join(seed, &Plain, address, token).await.unwrap();
        (listener, admission)
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
            Arc::new(network.clone()),
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
            let leaders = if voters == 1 { 1 } else { members };
            let even = led.len() == leaders
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

    /// Waits until who votes is who is to, on all shards, the system's included.
    async fn wait_until_settled(&self) -> ClusterStatus {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.cluster.status();
            if status.is_settled() {
                return status;
            }
            assert!(tokio::time::Instant::now() < until, "{status:#?}");
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
    /// Everybody has what was acknowledged, and nothing that was refused.
    async fn check_on(&self, members: &[&Member], barrier: &Positions) {
        for member in members {
            let until = tokio::time::Instant::now() + PATIENCE;
            while !member.node.applied().covers(barrier) {
                assert!(tokio::time::Instant::now() < until, "{} is behind", member.id());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let entries = entries(&member.node);
            check(&entries);
            check_answers(&entries, &self.acknowledged.lock(), &self.refused.lock());
        }
    }

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
    told.check_on(&[&first, &third, &fourth], &barrier).await;
    assert!(!first.network.reaches(MachineId(2)), "who was removed is not talked to");
    for member in [fourth, third, first] {
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_stops_before_it_knows_of_its_admission_is_brought_in_when_it_is_back() {
    let first = Member::found().await;
    let seed = first.cluster.machine().address.clone();
    let (listener, admission) = Member::ask_to_join(&seed).await;
    // What it was told is not on its disk, and the system shard has not come.
    let second = Member::open(listener, Admission { members: Vec::new(), ..admission }).await;
    first.wait_for(1, 2).await;
    let mut changes = second.cluster.changes();
    while second.cluster.state().members.len() < 2 {
        tokio::time::timeout(PATIENCE, changes.changed()).await.unwrap().unwrap();
    }
    second.close().await;
    first.close().await;
}

/// The shards in which a machine votes, of a status that is settled.
fn votes_of(status: &ClusterStatus, machine: MachineId) -> usize {
    status.shards.iter().filter(|shard| shard.voters.contains(&machine)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_move_to_who_comes_and_off_who_is_drained_while_clients_write() {
    let first = Member::found().await;
    let seed = first.cluster.machine().address.clone();
    let second = Member::join(&seed).await;
    let third = Member::join(&seed).await;
    first.wait_for(3, 3).await;
    let told = Arc::new(Told::default());
    let clients: Vec<_> = (0..9)
        .map(|account| {
            let through = [&first, &second, &third][usize::try_from(account % 3).unwrap()];
            tokio::spawn(Arc::clone(&told).write(through.node.clone(), account))
        })
        .collect();
    let refused = first.cluster.execute(Command::Drain(first.id())).await.unwrap_err();
    assert!(refused.to_string().contains("too few"), "{refused}");
    let fourth = Member::join(&seed).await;
    first.wait_for(3, 4).await;
    let spread = first.wait_until_settled().await;
    assert!((4..=5).contains(&votes_of(&spread, fourth.id())), "{:#?}", spread.placement);
    // The founder leaves, which led everything once.
    third.cluster.execute(Command::Drain(first.id())).await.unwrap();
    let drained = third.wait_until_settled().await;
    assert_eq!(votes_of(&drained, first.id()), 0);
    assert!(drained.system.iter().all(|shard| !shard.voters.contains(&first.id())));
    assert_eq!(votes_of(&drained, fourth.id()), usize::from(SHARDS));
    // It is wanted again, and gets a shard of its own.
    fourth.cluster.execute(Command::Restore(first.id())).await.unwrap();
    let restored = fourth.wait_until_settled().await;
    let shard = restored.shards.iter().find(|shard| !shard.voters.contains(&first.id())).unwrap();
    let (shard, from) = (shard.shard, shard.voters[0]);
    fourth.cluster.execute(Command::MoveShard { shard, from, to: first.id() }).await.unwrap();
    let moved = fourth.wait_until_settled().await;
    assert!(moved.shards[usize::from(shard.0)].voters.contains(&first.id()));
    assert!(!moved.shards[usize::from(shard.0)].voters.contains(&from));
    told.stop.store(true, Ordering::Relaxed);
    futures::future::join_all(clients).await;
    let unknown = told.unknown.load(Ordering::Relaxed);
    let (refused, acknowledged) = (told.refused.lock().len(), told.acknowledged.lock().len());
    println!("unknown {unknown}, refused {refused}, {acknowledged}");
    let barrier = second.node.read_barrier(PATIENCE).await.unwrap();
    told.check_on(&[&first, &second, &third, &fourth], &barrier).await;
    for member in [fourth, third, second, first] {
        member.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_is_told_and_takes_nothing_more() {
    let first = Member::found().await;
    let second = Member::join(&first.cluster.machine().address.clone()).await;
    first.wait_for(1, 2).await;
    let told = second.node.execute(vec![deposit(1, 1, 1)], Metadata::default(), DEADLINE).await;
    told.unwrap();
    first.cluster.execute(Command::Remove(second.id())).await.unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let refused =
            second.node.execute(vec![deposit(1, 1, 2)], Metadata::default(), DEADLINE).await;
        if matches!(refused, Err(WriteError::Removed)) {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{refused:?}");
    }
    assert!(second.cluster.is_removed() && !first.cluster.is_removed());
    let read = second.node.read_barrier(DEADLINE).await;
    assert!(matches!(read, Err(WriteError::Removed)), "{read:?}");
    let written = in_pieces(&second.node, vec![deposit(1, 1, 3)]).await;
    assert!(matches!(written, Err(WriteError::Removed)), "{written:?}");
    second.close().await;
    first.close().await;
}
