//! Clients that write while a cluster is disturbed, and what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

use crate::server::{DEADLINE, Server};

/// The rotations that a block inserts.
const BLOCK: u64 = 3;

/// How far the ids of a block's rotations are apart.
const APART: u64 = 100_000_000_000;

/// The refusals that are kept.
const REASONS_MAX: usize = 20;

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
    reasons: Mutex<Vec<String>>,
    longest_gap: AtomicU64,
    next_client: AtomicU64,
    stop: AtomicBool,
}

impl Told {
    /// A client that inserts one rotation after the other at a node, or a few at once, each in one of many shards, until
    /// it is stopped.
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
            let insert = |id: u64| {
                format!(
                    "INSERT INTO rotations (id, name) VALUES ('00000000-0000-4000-8000-{id:012}', '{number}')"
                )
            };
            // Every third is a block over several shards, of which all or nothing is there.
            let sql = if number.is_multiple_of(3) {
                let all: Vec<String> = (0..BLOCK).map(|it| insert(number + it * APART)).collect();
                format!("BEGIN; {}; COMMIT", all.join("; "))
            } else {
                insert(number)
            };
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
                    Some(code) => {
                        self.note(format!("{number}: {}: {error:?}", code.code()));
                        // What is left of a block that was refused on the way.
                        let _ = open.batch_execute("ROLLBACK").await;
                        self.refused.insert(number);
                    }
                    None => {
                        self.unknown.insert(number);
                        connection = None;
                    }
                },
            }
        }
    }

    fn note(&self, reason: String) {
        let mut reasons = self.reasons.lock().expect("nobody panics");
        if reasons.len() < REASONS_MAX {
            reasons.push(reason);
        }
    }

    /// Why clients were refused, as far as it is kept.
    pub fn reasons(&self) -> Vec<String> {
        self.reasons.lock().expect("nobody panics").clone()
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
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for line in server.psql("SELECT name FROM rotations;").expect_success().lines() {
            *counts.entry(line.parse().expect("a number")).or_default() += 1;
        }
        let whole = |number: u64| if number.is_multiple_of(3) { BLOCK } else { 1 };
        let torn: Vec<_> = counts.iter().filter(|(number, it)| **it != whole(**number)).collect();
        assert!(torn.is_empty(), "a part of a block is there: {torn:?}");
        let there: BTreeSet<u64> = counts.into_keys().collect();
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
