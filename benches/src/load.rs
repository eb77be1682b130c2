//! Load from a driver: clients that each do one thing after another for some seconds, and how long each took.
//!
//! pgbench cannot keep several statements of one connection under way, each in a transaction of its own, nor follow a
//! story of many steps. This does both, in one process, so it takes its share of the machine like pgbench does.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// The seconds that each step took.
    latencies: Vec<f64>,
    legs: u32,
    seconds: f64,
}

impl Load {
    /// Steps per second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.latencies.len()).expect("fewer than 2^32 steps"))
            / self.seconds
    }

    /// The steps that were done.
    pub(crate) fn steps(&self) -> usize {
        self.latencies.len()
    }

    /// The legs that were acknowledged.
    pub(crate) fn legs(&self) -> i64 {
        i64::from(self.legs)
    }

    /// The milliseconds that this percentage of the steps did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        percentile(self.latencies.clone(), percent)
    }
}

/// The milliseconds that this percentage of some times, in seconds, did not exceed.
pub(crate) fn percentile(mut seconds: Vec<f64>, percent: usize) -> f64 {
    seconds.sort_by(f64::total_cmp);
    let place = (seconds.len() * percent / 100).min(seconds.len().saturating_sub(1));
    seconds.get(place).copied().unwrap_or_default() * 1000.0
}

/// A connection, driven by the current runtime.
pub(crate) async fn connect(conninfo: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(conninfo, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// One client: its connection, its number, and the time at which it shall stop.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) client: Arc<Client>,
    pub(crate) number: u32,
    /// The legs whose statement was acknowledged.
    pub(crate) legs: u32,
    until: Instant,
    latencies: Vec<f64>,
}

impl Worker {
    /// Whether there is time for another step.
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Does a step and notes how long it took.
    pub(crate) async fn step<T>(&mut self, step: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let answer = step.await;
        self.latencies.push(start.elapsed().as_secs_f64());
        answer
    }
}

/// What a query that gives one `bigint` gives.
pub(crate) fn number(conninfo: &str, query: &str) -> i64 {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        connect(conninfo).await.query_one(query, &[]).await.expect("a number").get(0)
    })
}

/// Runs `work` for some seconds with as many connections, spread over servers, and on each with as many workers at a
/// time.
pub(crate) fn run<W, F>(
    servers: &[String],
    (connections, at_once): (u32, u32),
    seconds: u32,
    work: W,
) -> Load
where
    W: Fn(Worker) -> F,
    F: Future<Output = Worker> + Send + 'static,
{
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut clients = Vec::new();
        for conninfo in servers.iter().cycle().take(usize::try_from(connections).expect("few")) {
            clients.push(Arc::new(connect(conninfo).await));
        }
        let start = Instant::now();
        let until = start + Duration::from_secs(u64::from(seconds));
        let workers = (0..connections * at_once).map(|number| {
            let client = Arc::clone(&clients[usize::try_from(number % connections).expect("few")]);
            tokio::spawn(work(Worker { client, number, legs: 0, until, latencies: Vec::new() }))
        });
        let workers: Vec<_> = workers.collect();
        let mut load = Load::default();
        for worker in workers {
            let worker = worker.await.expect("a worker ends");
            load.latencies.extend(worker.latencies);
            load.legs += worker.legs;
        }
        load.seconds = start.elapsed().as_secs_f64();
        load
    })
}
