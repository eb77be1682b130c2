//! A cluster of Rotabase processes on this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server::{DEADLINE, Server, binary};
use crate::tool::{self, Printed};

/// Nodes of one cluster; each has a directory and a peer address that outlive its process.
#[derive(Debug)]
pub struct Cluster {
    directory: TempDir,
    peers: Vec<String>,
    nodes: BTreeMap<usize, Server>,
    more: Vec<String>,
}

/// Where ports of tests begin, and how many there are: below those that systems give to connections by themselves
/// (Linux from 32,768 on, others from 49,152), or a connection of another test could take a port before the node that
/// it is meant for, or while that node is restarted.
const PORTS: (u16, u16) = (12_000, 20_000);

/// A port that nobody listens on and that is given to nobody else in this process. Processes begin at different ports.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let (first, count) = PORTS;
    for _ in 0..count {
        let next = std::process::id().wrapping_mul(97) + GIVEN.fetch_add(1, Ordering::Relaxed);
        let offset = u16::try_from(next % u32::from(count)).expect("below the count");
        if std::net::TcpListener::bind(("127.0.0.1", first + offset)).is_ok() {
            return first + offset;
        }
    }
    panic!("no port is free");
}

impl Cluster {
    /// A cluster of so many nodes, all of them voters of all shards.
    pub fn start(nodes: usize) -> Self {
        Self::start_with(nodes, &[])
    }

    /// The same, each node started with more arguments.
    pub fn start_with(nodes: usize, more: &[&str]) -> Self {
        let mut cluster = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            peers: Vec::new(),
            nodes: BTreeMap::new(),
            more: more.iter().map(|it| (*it).to_owned()).collect(),
        };
        for _ in 0..nodes {
            cluster.add();
        }
        let all: Vec<usize> = (1..=nodes).collect();
        if nodes > 0 {
            cluster.wait_for_voters(&all);
        }
        cluster
    }

    /// A cluster whose database has so many shards.
    pub fn start_of_shards(nodes: usize, shards: u16) -> Self {
        let mut cluster = Self::start_with(0, &[]);
        let mut init = Command::new(binary());
        init.args(["init", "--shards", &shards.to_string(), "--data"]).arg(cluster.data(1));
        tool::run(&mut init, "").expect_success();
        let all: Vec<usize> = (1..=nodes).map(|_| cluster.add()).collect();
        cluster.wait_for_voters(&all);
        cluster
    }

    /// A node that is no cluster's yet: it becomes the first when it is started again.
    pub fn alone() -> Self {
        let mut cluster = Self::start_with(0, &[]);
        cluster.peers.push(format!("127.0.0.1:{}", free_port()));
        let server = Server::start_on(&cluster.data(1), &[]);
        cluster.nodes.insert(1, server);
        cluster
    }

    /// Starts one more node, which joins the others.
    pub fn add(&mut self) -> usize {
        self.peers.push(format!("127.0.0.1:{}", free_port()));
        let number = self.peers.len();
        self.restart(number);
        number
    }

    /// Starts a node, new or not. Nodes are numbered as they join, from 1.
    pub fn restart(&mut self, number: usize) {
        let peer = self.peers[number - 1].clone();
        let mut arguments = vec!["--peer", &peer];
        if number > 1 {
            let seed = self.nodes.keys().next().map_or(0, |node| node - 1);
            arguments.extend(["--join", &self.peers[seed]]);
        }
        arguments.extend(self.more.iter().map(String::as_str));
        let server = Server::start_on(&self.data(number), &arguments);
        self.nodes.insert(number, server);
    }

    /// A node's data directory.
    pub fn data(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("node{number}"))
    }

    /// A node that runs.
    pub fn node(&self, number: usize) -> &Server {
        &self.nodes[&number]
    }

    /// Kills a node, as a power cut would end its process.
    pub fn kill(&mut self, number: usize) {
        self.nodes.remove(&number).expect("it runs").kill();
    }

    /// Asks a node to stop, and waits until it has.
    pub fn stop(&mut self, number: usize) {
        let status = self.nodes.remove(&number).expect("it runs").terminate();
        assert!(status.success(), "node {number} stopped with {status}");
    }

    /// `rotabase cluster …`, put to a node.
    pub fn command(&self, number: usize, arguments: &[&str]) -> Printed {
        let mut program = Command::new(binary());
        program.arg("cluster").args(arguments).args(["--peer", &self.peers[number - 1]]);
        // Its certificates, if it has some.
        program.arg("--data").arg(self.data(number));
        tool::run(&mut program, "")
    }

    /// The lines that `rotabase cluster status` prints of shards: leader, voters, learners.
    pub fn shards(&self, number: usize) -> Vec<(String, String, String)> {
        let printed = self.command(number, &["status"]).expect_success();
        let lines = printed.lines().skip_while(|line| !line.starts_with("shard")).skip(1);
        lines
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let word = |at: usize| (*words.get(at).unwrap_or(&"")).to_owned();
                (word(1), word(4), word(5))
            })
            .collect()
    }

    /// Waits until exactly these nodes vote in every shard and lead as many as each other.
    pub fn wait_for_voters(&self, numbers: &[usize]) {
        let wanted = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let asked = *self.nodes.keys().next().expect("one runs");
        eventually(&format!("{wanted} vote everywhere and lead evenly"), || {
            let shards = self.shards(asked);
            let mut led: BTreeMap<&str, usize> = BTreeMap::new();
            for (leader, _, _) in &shards {
                *led.entry(leader).or_default() += 1;
            }
            let even = led.values().max().zip(led.values().min()).is_some_and(|(a, b)| a - b <= 1);
            let all = shards.iter().all(|(_, voters, _)| *voters == wanted);
            let nobody = led.contains_key("-");
            (all && even && led.len() == numbers.len() && !nobody)
                .then_some(())
                .ok_or_else(|| format!("{shards:?}"))
        });
    }
}

/// Waits until something holds; else says what was seen last.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < until, "not: {what}; {seen}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
