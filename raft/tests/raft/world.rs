//! What a node needs of the world, and short ways to ask it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random};
use rotabase_raft::aggregate_source::Store;
use rotabase_raft::router::Router;
use rotabase_raft::type_config::{Machine, MachineId};
use rotabase_raft::{Environment, Node, NodeConfig, Outcome, Request, WriteError};

use crate::accounts::{Accounts, Command};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A clock that goes on by a microsecond whenever it is read.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicI64);

impl Clock for Counting {
    fn now_microseconds(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Not random at all, but never the same.
#[derive(Debug)]
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}

impl Random for Seeded {
    fn next_u64(&self) -> u64 {
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

pub(crate) fn machine(id: u32) -> Machine {
    Machine { id: MachineId(id), address: format!("machine{id}") }
}

pub(crate) async fn open_alone(store: Arc<dyn Store<Accounts>>) -> Node<Accounts> {
    open(1, 1, store, &Router::new()).await
}

pub(crate) async fn open(
    id: u32,
    machines: u32,
    store: Arc<dyn Store<Accounts>>,
    router: &Arc<Router>,
) -> Node<Accounts> {
    let config = NodeConfig {
        machine: machine(id),
        voters: (1..=machines).map(machine).collect(),
        ..NodeConfig::default()
    };
    let transport = router.attach(MachineId(id));
    let random = Arc::new(Seeded::new(u64::from(id)));
    Node::open(
        config,
        Environment { store, transport, clock: Arc::new(Counting::default()), random },
    )
    .await
    .unwrap()
}

pub(crate) fn deposit(id: u32, amount: i64, tag: u64) -> Request<Accounts> {
    Request::new(id, Command::Move { amount, tag })
}

pub(crate) type Answer = Result<Outcome, WriteError<Accounts>>;

pub(crate) async fn execute(node: &Node<Accounts>, requests: Vec<Request<Accounts>>) -> Answer {
    node.execute(requests, Metadata::default(), DEADLINE).await
}

/// Accounts that live in different shards, one for each of `count` shards, in ascending order of shards.
pub(crate) fn one_in_each_shard(node: &Node<Accounts>, count: u16) -> Vec<u32> {
    (0..count)
        .map(|shard| {
            (0..10_000).find(|id| node.shard_of(id).0 == shard).expect("each shard gets some")
        })
        .collect()
}
