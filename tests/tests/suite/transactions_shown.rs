//! What others see of a transaction over several shards, while it happens: all of it or nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rotabase_tests::server::Server;

use super::transactions::Talk;

/// The transactions of each writer.
const TRANSACTIONS: u32 = 150;

/// The airports, a pair for each writer; the minutes of a pair are always [`MINUTES`] together.
const AIRPORTS: [&str; 6] = ["FRA", "MUC", "HAM", "CGN", "JFK", "LHR"];

const MINUTES: u32 = 60;

/// A server with airports in several shards, the first two of which are in different ones.
async fn with_airports() -> (Server, Vec<String>) {
    let server = Server::start();
    let talk = Talk::to(&server).await;
    for code in AIRPORTS {
        talk.run(&format!("INSERT INTO airports VALUES ('{code}', '30 minutes')")).await;
    }
    let by_shard =
        talk.rows("SELECT aggregate_id, shard FROM events ORDER BY shard, aggregate_id").await;
    let airports: Vec<(String, String)> = by_shard
        .iter()
        .filter_map(|row| row.split_once('|'))
        .map(|(code, shard)| (code.to_owned(), shard.to_owned()))
        .collect();
    assert_eq!(airports.len(), AIRPORTS.len());
    let half = airports.len() / 2;
    let mut pairs = Vec::new();
    for (one, other) in airports[..half].iter().zip(&airports[half..]) {
        if one.1 != other.1 {
            pairs.push(format!("{} {}", one.0, other.0));
        }
    }
    assert!(pairs.len() >= 2, "the hash of ids never changes: {airports:?}");
    (server, pairs)
}

/// Shifts minutes from one of a pair to the other and back, as one statement and as a block.
async fn shift(talk: Talk, pair: String) {
    let (one, other) = pair.split_once(' ').unwrap();
    for number in 0..TRANSACTIONS {
        let minutes = number % MINUTES;
        let rest = MINUTES - minutes;
        if number.is_multiple_of(2) {
            talk.run(&format!(
                "UPDATE airports SET minimum_ground_time = CASE code WHEN '{one}' THEN '{minutes} minutes' \
                 ELSE '{rest} minutes' END::interval WHERE code IN ('{one}', '{other}')"
            ))
            .await;
            continue;
        }
        talk.run_all(&[
            "BEGIN",
            &format!(
                "UPDATE airports SET minimum_ground_time = '{rest} minutes' WHERE code = '{other}'"
            ),
            &format!(
                "UPDATE airports SET minimum_ground_time = '{minutes} minutes' WHERE code = '{one}'"
            ),
            "COMMIT",
        ])
        .await;
    }
}

/// Reads until the writers have ended; says how many states it has seen.
async fn read(talk: Talk, pairs: Vec<String>, ended: Arc<AtomicBool>) -> usize {
    let mut states = Vec::new();
    while !ended.load(Ordering::Acquire) {
        for pair in &pairs {
            let (one, other) = pair.split_once(' ').unwrap();
            let sql = format!(
                "SELECT EXTRACT(epoch FROM sum(minimum_ground_time))::int / 60, max(minimum_ground_time) \
                 FROM airports WHERE code IN ('{one}', '{other}')"
            );
            let seen = talk.one(&sql).await;
            let sum = seen.split('|').next().unwrap();
            assert_eq!(sum, MINUTES.to_string(), "{pair}: a transaction is shown in part");
            if !states.contains(&seen) {
                states.push(seen);
            }
        }
    }
    states.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_see_all_of_a_transaction_or_nothing() {
    let (server, pairs) = with_airports().await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for consistency in ["session", "eventual", "strong"] {
        let talk = Talk::to(&server).await;
        talk.run(&format!("SET rotabase.consistency = '{consistency}'")).await;
        readers.push(tokio::spawn(read(talk, pairs.clone(), Arc::clone(&ended))));
    }
    let mut writers = Vec::new();
    for pair in &pairs {
        writers.push(tokio::spawn(shift(Talk::to(&server).await, pair.clone())));
    }
    let mut written = Ok(());
    for writer in writers {
        written = written.and(writer.await);
    }
    ended.store(true, Ordering::Release);
    for reader in readers {
        let states = reader.await.unwrap();
        assert!(states > 10, "what is shown moves on while others write: {states} states");
    }
    written.unwrap();
}
