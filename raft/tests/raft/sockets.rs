//! Three machines that talk over sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use rotabase_raft::memory::{MemoryLog, MemoryStore};
use rotabase_raft::net::{Guests, Identity, Members, Network, Plain, ask_as_guest};
use rotabase_raft::remote::{Service, Session};
use rotabase_raft::type_config::MachineId;
use rotabase_raft::{Environment, Node, NodeConfig, WriteError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::history::{check, entries, happened};
use crate::world::{Counting, DEADLINE, Seeded, deposit, execute, machine, one_in_each_shard};

const SHARDS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(20);

struct Cluster {
    networks: Vec<Network>,
    nodes: Vec<Node<Accounts>>,
    addresses: Members,
}

fn identity(cluster: u128, id: u32) -> Identity {
    Identity { cluster: Uuid::from_u128(cluster), shards: SHARDS, machine: MachineId(id) }
}

impl Cluster {
    async fn start() -> Self {
        let mut listeners = Vec::new();
        let mut addresses = BTreeMap::new();
        for id in 1..=3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.insert(MachineId(id), listener.local_addr().unwrap().to_string());
            listeners.push(listener);
        }
        let (mut networks, mut nodes) = (Vec::new(), Vec::new());
        for (id, listener) in (1..).zip(listeners) {
            let network = Network::start(&identity(1, id), listener, Arc::new(Plain));
            network.set_members(addresses.clone());
            network.admitted_up_to(MachineId(3));
            let config = NodeConfig {
                machine: machine(id),
                voters: (1..=3).map(machine).collect(),
                ..NodeConfig::default()
            };
            let environment = Environment {
                store: MemoryStore::new(MemoryLog::new(SHARDS)),
                transport: network.space(0),
                clock: Arc::new(Counting::default()),
                random: Arc::new(Seeded::new(u64::from(id))),
            };
            nodes.push(Node::open(config, environment).await.unwrap());
            networks.push(network);
        }
        Self { networks, nodes, addresses }
    }

    async fn settle(&self) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let applied: Vec<_> = self.nodes.iter().map(Node::applied).collect();
            let last: Vec<_> = self.nodes.iter().map(Node::newest).collect();
            if applied.iter().chain(&last).all(|it| *it == applied[0]) {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "{applied:?} of {last:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(self) {
        join_all(self.nodes.iter().map(Node::shutdown)).await;
        join_all(self.networks.iter().map(Network::stop)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_agree_over_sockets_and_go_on_without_one() {
    let cluster = Cluster::start().await;
    let accounts = one_in_each_shard(&cluster.nodes[0], SHARDS);
    let mut tag = 0;
    for _ in 0..20 {
        for node in &cluster.nodes {
            tag += 1;
            let all = accounts.iter().map(|account| deposit(*account, 1, tag)).collect();
            execute(node, all).await.unwrap();
        }
    }
    cluster.settle().await;
    let all = entries(&cluster.nodes[0]);
    check(&all);
    assert_eq!(happened(&all).len(), 180);
    for node in &cluster.nodes {
        assert_eq!(entries(node), all);
    }
    cluster.networks[0].stop().await;
    for node in &cluster.nodes[1..] {
        for account in &accounts {
            tag += 1;
            // What was sent to the machine that is gone has an outcome that nobody knows.
            let unknown = |answer| matches!(answer, Err(WriteError::<Accounts>::OutcomeUnknown));
            while unknown(execute(node, vec![deposit(*account, 1, tag)]).await) {}
        }
        node.read_barrier(DEADLINE).await.unwrap();
    }
    let refused = cluster.nodes[0].read_barrier(Duration::from_secs(1)).await;
    assert!(refused.is_err(), "a machine that hears nobody must not answer: {refused:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_far_behind_catches_up() {
    let cluster = Cluster::start().await;
    let account = one_in_each_shard(&cluster.nodes[0], 1)[0];
    let leads = |node: &Node<Accounts>| node.status()[0].leading;
    execute(&cluster.nodes[0], vec![deposit(account, 1, 1)]).await.unwrap();
    let leader = cluster.nodes.iter().position(leads).unwrap();
    let behind = (leader + 1) % 3;
    let mut members = cluster.addresses.clone();
    members.remove(&MachineId(u32::try_from(behind).unwrap() + 1));
    cluster.networks[leader].set_members(members);
    for tag in 2..500 {
        let note = crate::accounts::Command::Note { bytes: 50_000, tag };
        let request = rotabase_raft::Request::new(account, note);
        execute(&cluster.nodes[leader], vec![request]).await.unwrap();
    }
    cluster.networks[leader].set_members(cluster.addresses.clone());
    cluster.settle().await;
    assert_eq!(entries(&cluster.nodes[behind]), entries(&cluster.nodes[leader]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_ends_the_connection_and_nothing_else() {
    let cluster = Cluster::start().await;
    let random = Seeded::new(7);
    let address = cluster.addresses[&MachineId(1)].clone();
    for round in 0..200_u64 {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let mut bytes = Vec::new();
        if round % 2 == 0 {
            bytes.extend_from_slice(b"rotabase\0\x01");
        }
        for _ in 0..random.below(64) {
            bytes.extend_from_slice(&random.below(u64::MAX).to_be_bytes());
        }
        socket.write_all(&bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // The other end may have closed it before it was read.
        let _ = socket.read_to_end(&mut answer).await;
    }
    let account = one_in_each_shard(&cluster.nodes[0], 1)[0];
    for node in &cluster.nodes {
        execute(node, vec![deposit(account, 1, 1)]).await.unwrap();
    }
    cluster.stop().await;
}

#[derive(Debug)]
struct Echo;

impl Guests for Echo {
    fn answer(&self, question: Bytes) -> futures::future::BoxFuture<'static, Bytes> {
        Box::pin(async move { question })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_and_guests_are_answered() {
    let cluster = Cluster::start().await;
    let id = MachineId(1);
    for stranger in [identity(2, 2), identity(1, 9)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Network::start(&stranger, listener, Arc::new(Plain));
        network.set_members(cluster.addresses.clone());
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!network.reaches(id), "{stranger:?} is of another cluster, or no member");
        network.stop().await;
    }
    cluster.networks[0].welcome_guests(Arc::new(Echo));
    let answer = ask_as_guest(&cluster.addresses[&id], &Plain, b"hello", PATIENCE).await.unwrap();
    assert_eq!(answer, Bytes::from_static(b"hello"));
    cluster.stop().await;
}

/// What a machine hears of another.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Lost(MachineId),
    Found(MachineId),
}

/// Answers nothing, and passes on who is lost and found.
#[derive(Debug)]
struct Listening(mpsc::UnboundedSender<Heard>);

impl Service for Listening {
    fn open(&self) -> Box<dyn Session> {
        Box::new(Silent)
    }

    fn lost(&self, machine: MachineId) {
        self.0.send(Heard::Lost(machine)).unwrap();
    }

    fn found(&self, machine: MachineId) {
        self.0.send(Heard::Found(machine)).unwrap();
    }
}

struct Silent;

impl Session for Silent {
    fn call(&self, _: Bytes) -> futures::future::BoxFuture<'static, Bytes> {
        Box::pin(std::future::ready(Bytes::new()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_takes_no_connections_any_more_is_lost_to_all_others_until_it_is_back() {
    let mut cluster = Cluster::start().await;
    for (tag, account) in (0..).zip(one_in_each_shard(&cluster.nodes[0], SHARDS)) {
        execute(&cluster.nodes[0], vec![deposit(account, 1, tag)]).await.unwrap();
    }
    let id = MachineId(1);
    let mut heard = Vec::new();
    for network in &cluster.networks[1..] {
        let (told, hears) = mpsc::unbounded_channel();
        network.space(9).serve(Arc::new(Listening(told)));
        heard.push(hears);
    }
    cluster.networks[0].stop().await;
    for hears in &mut heard {
        let lost = tokio::time::timeout(PATIENCE, hears.recv()).await.unwrap();
        assert_eq!(lost, Some(Heard::Lost(id)));
    }
    let listener = TcpListener::bind(&cluster.addresses[&id]).await.unwrap();
    cluster.networks[0] = Network::start(&identity(1, 1), listener, Arc::new(Plain));
    cluster.networks[0].set_members(cluster.addresses.clone());
    for hears in &mut heard {
        let found = tokio::time::timeout(PATIENCE, hears.recv()).await.unwrap();
        assert_eq!(found, Some(Heard::Found(id)));
    }
    cluster.stop().await;
}
