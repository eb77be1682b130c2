//! Clients that write while a cluster is disturbed, and what they were told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

use crate::server::{DEADLINE, Server};

/// Numbers that several tasks gather.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<BTreeSet<u64>>);

impl Numbers {
    fn insert(&self, number: u64) {
        self.0.lock().expect("nobody panics").insert(number);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.lock().expect("nobody panics").len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn all(&self) -> BTreeSet<u64> {
        self.0.lock().expect("nobody panics").clone()
    }
}

/// What clients that insert rotations were told.
#[derive(Debug, Default)]
pub struct Told {
    /// Stored.
    pub acknowledged: Numbers,
    /// Nobody knows.
    pub unknown: Numbers,
    /// Not stored.
    pub refused: Numbers,
    longest_gap: AtomicU64,
    next_client: AtomicU64,
    stop: AtomicBool,
}

impl Told {
    /// A client that inserts one rotation after the other at a node, each in one of many shards, until it is stopped.
    pub fn client(self: &Arc<Self>, server: &Server) -> JoinHandle<()> {
        let client = self.next_client.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(Arc::clone(self).insert(server.conninfo(), client))
    }

    async fn insert(self: Arc<Self>, conninfo: String, client: u64) {
        let mut connection = None;
        let mut last = Instant::now();
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let number = client * 1_000_000 + number;
            let Some(open) = connect(&mut connection, &conninfo).await else { continue };
            let sql = format!(
                "INSERT INTO rotations (id, name) VALUES ('00000000-0000-4000-8000-{number:012}', '{number}')"
            );
            match open.batch_execute(&sql).await {
                Ok(()) => {
                    self.acknowledged.insert(number);
                    let gap = u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.longest_gap.fetch_max(gap, Ordering::Relaxed);
                    last = Instant::now();
                }
                Err(error) => match error.code() {
                    Some(code) if *code == SqlState::TRANSACTION_RESOLUTION_UNKNOWN => {
                        self.unknown.insert(number);
                    }
                    Some(_) => self.refused.insert(number),
                    None => {
                        self.unknown.insert(number);
                        connection = None;
                    }
                },
            }
        }
    }

    /// Waits until so many more were acknowledged.
    pub async fn wait_for_more(&self, more: usize) {
        let (until, so_far) = (Instant::now() + DEADLINE, self.acknowledged.len());
        while self.acknowledged.len() < so_far + more {
            assert!(Instant::now() < until, "no progress: {so_far} {}", self.acknowledged.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends all clients.
    pub async fn stop(&self, clients: Vec<JoinHandle<()>>) {
        self.stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("clients do not panic");
        }
        self.stop.store(false, Ordering::Relaxed);
    }

    /// The longest time that any client waited from one acknowledgement to the next, since this was asked last.
    pub fn longest_gap(&self) -> Duration {
        Duration::from_millis(self.longest_gap.swap(0, Ordering::Relaxed))
    }

    /// What was acknowledged is there, what was refused is not.
    pub fn check(&self, server: &Server) {
        let there: BTreeSet<u64> = server
            .psql("SELECT name FROM rotations;")
            .expect_success()
            .lines()
            .map(|line| line.parse().expect("a number"))
            .collect();
        let lost: Vec<_> = self.acknowledged.all().difference(&there).copied().collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let traces: Vec<_> = self.refused.all().intersection(&there).copied().collect();
        assert!(traces.is_empty(), "refused and there: {traces:?}");
    }
}

/// A connection, made anew where there is none.
pub async fn connect<'c>(
    connection: &'c mut Option<tokio_postgres::Client>,
    conninfo: &str,
) -> Option<&'c tokio_postgres::Client> {
    if connection.is_none() {
        match tokio_postgres::connect(conninfo, tokio_postgres::NoTls).await {
            Ok((client, driver)) => {
                tokio::spawn(driver);
                *connection = Some(client);
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    connection.as_ref()
}
