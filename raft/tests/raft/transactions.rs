//! Statements over several shards: all of one happens or nothing, wherever the power fails, and what nobody ends any
//! more is ended without anyone asking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rotabase_engine::entry::{CommittedEntry, Metadata};
use rotabase_engine::position::ShardId;
use rotabase_raft::memory::{MemoryLog, MemoryStore};
use rotabase_raft::{Node, Outcome, Request, WriteError};

use crate::accounts::{Accounts, Command};
use crate::cluster::Cluster;
use crate::history::{check, current_entries, entries, happened};
use crate::world::{DEADLINE, deposit, execute, one_in_each_shard, open_alone};

/// The tag of the statement under test; everything before it has another.
const TAG: u64 = 7777;

fn shards_of(entries: &[CommittedEntry], tag: u64) -> BTreeMap<ShardId, usize> {
    let mut shards = BTreeMap::new();
    for it in happened(entries).into_iter().filter(|it| it.tag == tag) {
        *shards.entry(it.shard).or_default() += 1;
    }
    shards
}

/// A long event, so that a few of them fill an entry.
fn note(id: u32) -> Request<Accounts> {
    Request::new(id, Command::Note { bytes: 700 << 10, tag: TAG })
}

/// The statements whose every step is cut short: what they emit, and in how many shards.
fn statements(accounts: &[u32]) -> Vec<(&'static str, Vec<Request<Accounts>>, usize)> {
    let [first, second, third] = accounts else { panic!("three accounts") };
    vec![
        ("two shards", vec![deposit(*first, -1, TAG), deposit(*second, 1, TAG)], 2),
        (
            "three shards",
            vec![deposit(*first, -2, TAG), deposit(*second, 1, TAG), deposit(*third, 1, TAG)],
            3,
        ),
        ("one shard and a read", vec![deposit(*first, 1, TAG), deposit(*second, 0, TAG)], 1),
        ("several entries in one shard", (0..4).map(|_| note(*second)).collect(), 1),
        (
            "several entries in two shards",
            (0..8).map(|at| note(if at % 2 == 0 { *first } else { *third })).collect(),
            2,
        ),
    ]
}

/// Runs the statement while only so many changes still become durable. None if the power failed before it ended.
async fn run_until_power_fails(
    node: &Node<Accounts>,
    log: &Arc<MemoryLog>,
    requests: Vec<Request<Accounts>>,
    changes: usize,
) -> Option<Result<Outcome, WriteError<Accounts>>> {
    log.hold_after(changes);
    let running = in_pieces(node, requests);
    let held = async {
        while !log.is_held() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // What is acknowledged with the last change is heard of.
        tokio::time::sleep(Duration::from_millis(3)).await;
    };
    tokio::select! { biased;
        outcome = running => Some(outcome),
        () = held => None,
    }
}

/// Executes a statement of few requests at once, and a longer one in pieces.
async fn in_pieces(
    node: &Node<Accounts>,
    requests: Vec<Request<Accounts>>,
) -> Result<Outcome, WriteError<Accounts>> {
    if requests.len() < 4 {
        return execute(node, requests).await;
    }
    let mut write = node.begin(Metadata::default());
    for piece in requests.chunks(2) {
        write.decide(piece.to_vec(), DEADLINE).await?;
    }
    write.commit(DEADLINE).await
}

async fn wait_until_resolved(node: &Node<Accounts>) {
    for _ in 0..5000 {
        if node.open_transactions() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("a prepared transaction is stuck");
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_power_fails_all_of_a_statement_happened_or_nothing() {
    for case in 0..5 {
        let (mut seen_nothing, mut seen_all) = (false, false);
        for changes in 0.. {
            let log = MemoryLog::new(3);
            let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
            let accounts = one_in_each_shard(&node, 3);
            for account in &accounts {
                execute(&node, vec![deposit(*account, 10, 1)]).await.unwrap();
            }
            let (name, requests, touched) = statements(&accounts).swap_remove(case);
            let emitted = requests.iter().filter(|it| !is_read(it)).count();
            let outcome = run_until_power_fails(&node, &log, requests, changes).await;
            let log = log.crash();
            tokio::spawn(async move { node.shutdown().await });

            let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
            wait_until_resolved(&node).await;
            let happened = current_entries(&node).await;
            check(&happened);
            let shards = shards_of(&happened, TAG);
            let events: usize = shards.values().sum();
            let told = format!("{name}, {changes} changes, {outcome:?}: {shards:?}");
            assert!(events == 0 || (events == emitted && shards.len() == touched), "{told}");
            assert!(!matches!(outcome, Some(Ok(_))) || events > 0, "acknowledged and lost: {told}");
            let times: BTreeSet<_> = happened
                .iter()
                .filter(|it| shards_of(&[(*it).clone()], TAG).values().any(|n| *n > 0))
                .map(|it| it.entry.timestamp)
                .collect();
            assert!(times.len() <= 1, "one statement has one time: {told}");
            seen_all |= events > 0;
            seen_nothing |= events == 0;
            // Nothing is held any more, and all goes on.
            for account in &accounts {
                execute(&node, vec![deposit(*account, 1, 2)]).await.unwrap();
            }
            check(&current_entries(&node).await);
            node.shutdown().await;
            if matches!(outcome, Some(Ok(_))) {
                break;
            }
        }
        assert!(seen_all && seen_nothing, "the power failed at every step");
    }
}

fn is_read(request: &Request<Accounts>) -> bool {
    matches!(request.command, Some(Command::Move { amount: 0, .. }))
}

/// Transfers between accounts in all shards, while the power fails again and again: no money is made or lost.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_under_power_cuts_make_and_lose_nothing() {
    const ACCOUNTS: u32 = 12;
    let mut log = MemoryLog::new(4);
    let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
    execute(&node, (0..ACCOUNTS).map(|id| deposit(id, 100, 0)).collect()).await.unwrap();
    log = log.crash();
    node.shutdown().await;
    let mut tag = 1;
    for round in 0..12_usize {
        let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
        wait_until_resolved(&node).await;
        log.hold_after(60 + round * 7);
        let mut clients = Vec::new();
        for client in 0..4_u32 {
            let (node, log) = (node.clone(), Arc::clone(&log));
            let first_tag = tag + u64::from(client) * 1000;
            clients.push(tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0..40_u32 {
                    let (from, to) =
                        ((client + number) % ACCOUNTS, (client * 5 + number * 3 + 1) % ACCOUNTS);
                    if from == to {
                        continue;
                    }
                    let tag = first_tag + u64::from(number);
                    let requests = vec![deposit(from, -3, tag), deposit(to, 3, tag)];
                    let running = execute(&node, requests);
                    match tokio::time::timeout(Duration::from_millis(200), running).await {
                        Ok(Ok(_)) => acknowledged.push(tag),
                        Ok(Err(_)) => {}
                        Err(_) if log.is_held() => return acknowledged,
                        Err(_) => {}
                    }
                }
                acknowledged
            }));
        }
        let mut acknowledged = Vec::new();
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
        tag += 10_000;
        log = log.crash();
        tokio::spawn(async move { node.shutdown().await });
        let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
        wait_until_resolved(&node).await;
        let entries = current_entries(&node).await;
        check(&entries);
        let happened = happened(&entries);
        let sum: i64 = happened.iter().map(|it| it.amount).sum();
        assert_eq!(sum, i64::from(ACCOUNTS) * 100, "round {round}");
        for tag in acknowledged {
            assert_eq!(happened.iter().filter(|it| it.tag == tag).count(), 2, "transfer {tag}");
        }
        log = log.crash();
        node.shutdown().await;
    }
}

/// A refused part leaves no trace in the shard that had accepted its own.
#[tokio::test]
async fn what_one_shard_refuses_the_others_do_not_log() {
    let log = MemoryLog::new(2);
    let node = open_alone(MemoryStore::new(log)).await;
    let accounts = one_in_each_shard(&node, 2);
    let requests = vec![deposit(accounts[0], 5, TAG), deposit(accounts[1], -5, TAG)];
    let error = execute(&node, requests).await.unwrap_err();
    assert!(matches!(error, WriteError::Refused { request: 1, .. }), "{error:?}");
    assert!(current_entries(&node).await.is_empty());
    assert_eq!(node.open_transactions(), 0);
    node.shutdown().await;
}

/// A statement so long that it is prepared while the rest is decided, and then refused or dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_statement_that_is_given_up_leaves_nothing_and_holds_nothing() {
    let log = MemoryLog::new(2);
    let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
    let accounts = one_in_each_shard(&node, 2);
    for refused in [true, false] {
        let mut write = node.begin(Metadata::default());
        for _ in 0..3 {
            let piece = (0..4).map(|at| note(accounts[at % 2])).collect();
            write.decide(piece, DEADLINE).await.unwrap();
        }
        assert_ne!(node.metrics().prepares.load(Ordering::Relaxed), 0, "it is prepared early");
        if refused {
            let error =
                write.decide(vec![deposit(accounts[0], -5, TAG)], DEADLINE).await.unwrap_err();
            assert!(matches!(error, WriteError::Refused { request: 0, .. }), "{error:?}");
        } else {
            drop(write);
        }
        // Waits for the aggregates until they are let go.
        execute(&node, accounts.iter().map(|id| deposit(*id, 1, 3)).collect()).await.unwrap();
        wait_until_resolved(&node).await;
    }
    let entries = current_entries(&node).await;
    check(&entries);
    assert!(shards_of(&entries, TAG).is_empty());
    assert_eq!(happened(&entries).len(), 4);
    // The same long statement, ended well.
    let mut write = node.begin(Metadata::default());
    for _ in 0..3 {
        let piece = (0..4).map(|at| note(accounts[at % 2])).collect();
        write.decide(piece, DEADLINE).await.unwrap();
    }
    write.commit(DEADLINE).await.unwrap();
    let entries = current_entries(&node).await;
    check(&entries);
    assert_eq!(shards_of(&entries, TAG).values().sum::<usize>(), 12);
    node.shutdown().await;
}

/// Whoever stops waiting for a commit does not stop it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_waits_for_ends_all_the_same() {
    let log = MemoryLog::new(2);
    let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
    let accounts = one_in_each_shard(&node, 2);
    log.hold();
    let mut write = node.begin(Metadata::default());
    let requests = accounts.iter().map(|id| deposit(*id, 1, TAG)).collect();
    write.decide(requests, DEADLINE).await.unwrap();
    let error = write.commit(Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(error, WriteError::OutcomeUnknown), "{error:?}");
    log.release();
    let outcome =
        execute(&node, vec![deposit(accounts[0], 1, 1), deposit(accounts[1], 1, 1)]).await.unwrap();
    assert_eq!(outcome.versions.iter().map(|it| it.0).collect::<Vec<_>>(), [2, 2]);
    node.shutdown().await;
}

/// Three voters of which the one that leads all shards fails in the middle: another one ends what it prepared.
#[tokio::test(flavor = "multi_thread")]
async fn another_machine_ends_what_a_leader_prepared() {
    for cut in [1, 2, 3, 4, 6, 8] {
        let mut cluster = Cluster::start(1).await;
        let leader = cluster.leader(ShardId(0)).await;
        let account = 1;
        cluster.execute(vec![deposit(account, 10, 1)]).await.unwrap();
        let node = cluster.nodes[leader].clone();
        let log = Arc::clone(&cluster.logs[leader]);
        let statement: Vec<_> = (0..4).map(|_| note(account)).collect();
        let outcome = run_until_power_fails(&node, &log, statement, cut).await;
        cluster.crash_and_restart(leader).await;
        cluster.execute(vec![deposit(account, 1, 2)]).await.unwrap();
        for node in &cluster.nodes {
            wait_until_resolved(node).await;
        }
        cluster.settle().await;
        cluster.check_equal();
        let entries = entries(&cluster.nodes[0]);
        check(&entries);
        let events: usize = shards_of(&entries, TAG).values().sum();
        assert!(events == 0 || events == 4, "cut after {cut}: {events} events, {outcome:?}");
        assert!(!matches!(outcome, Some(Ok(_))) || events == 4, "acknowledged and lost");
        cluster.shutdown().await;
    }
}
