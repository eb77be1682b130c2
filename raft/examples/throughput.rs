//! How many commands a node takes: single commands from many clients, each waiting for its answer or keeping
//! several on their way. Prints the latency of a sync beside it, without which such figures mean nothing.
//!
//! `cargo run --release -p rotabase-raft --example throughput -- [directory] [shards] [clients] [depth]`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for a person at a terminal"
)]
#![expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "figures for a person")]
#![expect(clippy::disallowed_methods, reason = "a program has the real clock")]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use rotabase_engine::domain::{DecodeError, Domain, EventKind, Events};
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random};
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_raft::router::Router;
use rotabase_raft::type_config::MachineId;
use rotabase_raft::{DirectoryStore, Environment, Node, NodeConfig, Request};

/// Counters: each command adds one event of 64 bytes.
#[derive(Debug)]
struct Counters;

impl Domain for Counters {
    type Id = u64;
    type State = u64;
    type Command = ();
    type Event = ();
    type Refusal = DecodeError;

    fn initial(_id: &u64) -> u64 {
        0
    }
    fn decide(_id: &u64, _state: &u64, _command: &()) -> Result<Events<Self>, DecodeError> {
        Ok([()].into_iter().collect())
    }
    fn evolve(state: &mut u64, _event: &()) {
        *state += 1;
    }
    fn encode_id(id: &u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&id.to_be_bytes());
    }
    fn decode_id(bytes: &[u8]) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(bytes.try_into().unwrap()))
    }
    fn encode_command(_command: &(), _out: &mut Vec<u8>) {}
    fn decode_command(_bytes: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
    fn encode_refusal(_refusal: &DecodeError, _out: &mut Vec<u8>) {}
    fn decode_refusal(_bytes: &[u8]) -> Result<DecodeError, DecodeError> {
        Ok(DecodeError { what: "nothing", reason: "refused".to_owned() })
    }
    fn encode_event(_event: &(), out: &mut Vec<u8>) -> EventKind {
        out.extend_from_slice(&[7; 64]);
        EventKind { event_type: 1, schema_version: 1 }
    }
    fn decode_event(_kind: EventKind, _payload: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
    fn encode_state(state: &u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&state.to_be_bytes());
    }
    fn decode_state(_id: &u64, bytes: &[u8]) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(bytes.try_into().unwrap()))
    }
    fn state_bytes(_state: &u64) -> usize {
        8
    }
}

#[derive(Debug)]
struct System(AtomicU64);

impl Clock for System {
    fn now_microseconds(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_micros()).unwrap() - 946_684_800_000_000
    }
}

impl Random for System {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory =
        arguments.next().map_or_else(|| tempfile::tempdir().unwrap().keep(), PathBuf::from);
    let shards = arguments.next().map_or(16, |shards| shards.parse().unwrap());
    let create = Some(Identity { cluster: uuid::Uuid::nil(), shards });
    let options = LogOptions { create, ..LogOptions::default() };
    let store =
        DirectoryStore::open(&directory, &options, Box::new(|error| println!("{error}"))).unwrap();
    let system = Arc::new(System(AtomicU64::new(1)));
    let environment = Environment::<Counters> {
        store,
        transport: Router::new().attach(MachineId(1)),
        clock: Arc::<System>::clone(&system),
        random: system,
    };
    let node = Node::open(NodeConfig::default(), environment).await.unwrap();
    println!("{shards} shards, sync {:?}", sync_latency(&directory));
    let mixes = match (arguments.next(), arguments.next()) {
        (Some(clients), Some(depth)) => vec![(clients.parse().unwrap(), depth.parse().unwrap())],
        _ => vec![(1, 1), (16, 1), (64, 1), (512, 1), (64, 64)],
    };
    for (clients, depth) in mixes {
        measure(&node, clients, depth).await;
    }
    println!("sync {:?}", sync_latency(&directory));
    node.shutdown().await;
}

/// The mean of a few synced writes of 4 KiB.
fn sync_latency(directory: &std::path::Path) -> Duration {
    const SYNCS: u32 = 20;
    let mut file = std::fs::File::create(directory.join("sync-test")).unwrap();
    let started = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
    }
    started.elapsed() / SYNCS
}

async fn measure(node: &Node<Counters>, clients: u64, depth: usize) {
    let entries = node.metrics().entries.load(Ordering::Relaxed);
    let cpu = cpu_seconds();
    let started = Instant::now();
    let until = started + Duration::from_secs(3);
    let tasks =
        (0..clients).map(|client| tokio::spawn(run_client(node.clone(), client, depth, until)));
    let mut latencies = Vec::new();
    for task in join_all(tasks).await {
        latencies.extend(task.unwrap());
    }
    let (seconds, count) = (started.elapsed().as_secs_f64(), latencies.len() as f64);
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies[latencies.len() * percent / 100];
    println!(
        "{clients:4} clients x {depth:2}: {:>7.0}/s, p50 {:?}, p99 {:?}, {:.1} commands an entry, {:.1} us CPU a command",
        count / seconds,
        percentile(50),
        percentile(99),
        count / (node.metrics().entries.load(Ordering::Relaxed) - entries) as f64,
        (cpu_seconds() - cpu) * 1e6 / count,
    );
}

/// Keeps `depth` commands on their way, each for an aggregate of its own; how long each took.
async fn run_client(
    node: Node<Counters>,
    client: u64,
    depth: usize,
    until: Instant,
) -> Vec<Duration> {
    let mut on_their_way = FuturesUnordered::new();
    let mut latencies = Vec::new();
    let mut next = client << 32;
    loop {
        while on_their_way.len() < depth && Instant::now() < until {
            let (node, id) = (&node, next % (1 << 10) + client * 1024);
            next += 1;
            on_their_way.push(async move {
                let started = Instant::now();
                node.execute(
                    vec![Request::new(id, ())],
                    Metadata::default(),
                    Duration::from_secs(10),
                )
                .await
                .unwrap();
                started.elapsed()
            });
        }
        match on_their_way.next().await {
            Some(latency) => latencies.push(latency),
            None => return latencies,
        }
    }
}

/// The CPU time of this process so far.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap_or(0.0)).sum::<f64>()
        / TICKS_PER_SECOND
}
