//! One node: deciding, answering, batching, statements over several shards.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{LogIndex, Positions, ShardId, Version};
use rotabase_raft::memory::{MemoryLog, MemoryStore};
use rotabase_raft::{Node, Request, WriteError};

use crate::accounts::{Accounts, Command};
use crate::history::{check, current_entries, happened};
use crate::world::{DEADLINE, Seeded, deposit, execute, one_in_each_shard, open_alone};

async fn node(shards: u16) -> Node<Accounts> {
    open_alone(MemoryStore::new(MemoryLog::new(shards))).await
}

#[tokio::test]
async fn a_command_is_answered_with_version_and_position() {
    let node = node(4).await;
    let first = execute(&node, vec![deposit(7, 10, 1)]).await.unwrap();
    assert_eq!((first.versions, first.emitted), (vec![Version(1)], vec![1]));
    let nothing = execute(&node, vec![deposit(7, 0, 2)]).await.unwrap();
    assert_eq!((nothing.versions, nothing.emitted), (vec![Version(1)], vec![0]));
    let second = execute(
        &node,
        vec![deposit(7, -4, 3), Request::new(7, Command::Repeat { times: 3, tag: 4 })],
    )
    .await
    .unwrap();
    assert_eq!((&second.versions, &second.emitted), (&vec![Version(2), Version(5)], &vec![1, 3]));
    let all = happened(&current_entries(&node).await);
    assert_eq!(all.iter().map(|it| it.tag).collect::<Vec<_>>(), [1, 3, 4, 4, 4]);
    let last = all.last().unwrap();
    assert_eq!(second.positions.get(last.shard), last.position);
    assert!(node.read_barrier(DEADLINE).await.unwrap().covers(&second.positions));
    assert!(second.timestamp > first.timestamp);
    node.shutdown().await;
}

#[tokio::test]
async fn a_refused_statement_leaves_no_trace() {
    let node = node(4).await;
    let accounts = one_in_each_shard(&node, 4);
    execute(&node, accounts.iter().map(|id| deposit(*id, 10, 1)).collect()).await.unwrap();
    // In one shard, and over all of them; the last of the requests is refused.
    let overdrawn = deposit(accounts[3], -11, 2);
    for statement in [
        vec![deposit(accounts[3], 1, 2), deposit(accounts[3], -12, 2)],
        vec![
            deposit(accounts[0], 1, 2),
            deposit(accounts[1], 1, 2),
            deposit(accounts[2], 1, 2),
            overdrawn,
        ],
    ] {
        let last = statement.len() - 1;
        let error = execute(&node, statement).await.unwrap_err();
        assert!(
            matches!(error, WriteError::Refused { request, .. } if request == last),
            "{error:?}"
        );
    }
    assert!(happened(&current_entries(&node).await).iter().all(|it| it.tag == 1));
    // Nothing is held any more, and no state was changed.
    let outcome =
        execute(&node, accounts.iter().map(|id| deposit(*id, -10, 3)).collect()).await.unwrap();
    assert_eq!(outcome.versions, vec![Version(2); 4]);
    check(&current_entries(&node).await);
    node.shutdown().await;
}

#[tokio::test]
async fn all_mismatched_versions_are_told() {
    let node = node(4).await;
    let accounts = one_in_each_shard(&node, 4);
    execute(&node, accounts.iter().map(|id| deposit(*id, 10, 1)).collect()).await.unwrap();
    let expecting = |id: u32, version: u64| deposit(id, 1, 2).expecting(Some(Version(version)));
    let statement = vec![
        expecting(accounts[2], 1),
        expecting(accounts[0], 0),
        expecting(accounts[1], 1),
        expecting(accounts[3], 2),
        // The versions expected are those before the statement.
        expecting(accounts[2], 1),
    ];
    let error = execute(&node, statement.clone()).await.unwrap_err();
    assert!(
        matches!(&error, WriteError::VersionMismatch { requests } if *requests == [1, 3]),
        "{error:?}"
    );
    let error = execute(
        &node,
        vec![expecting(accounts[0], 3), expecting(accounts[0], 1), expecting(accounts[0], 0)],
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&error, WriteError::VersionMismatch { requests } if *requests == [0, 2]),
        "{error:?}"
    );
    let met = statement
        .into_iter()
        .filter(|request| request.expected_version == Some(Version(1)))
        .collect();
    let outcome = execute(&node, met).await.unwrap();
    assert_eq!(outcome.versions, [Version(2), Version(2), Version(3)]);
    node.shutdown().await;
}

#[tokio::test]
async fn what_was_only_looked_at_must_not_have_changed_and_does_not() {
    let node = node(4).await;
    let accounts = one_in_each_shard(&node, 3);
    execute(&node, accounts.iter().map(|id| deposit(*id, 10, 1)).collect()).await.unwrap();
    let looked = |place: usize, version| Request::check(accounts[place], Version(version));
    let written =
        execute(&node, vec![looked(2, 1), deposit(accounts[0], 1, 2), looked(1, 1)]).await;
    let written = written.unwrap();
    assert_eq!(written.versions, [Version(1), Version(2), Version(1)]);
    assert_eq!(written.emitted, [0, 1, 0]);
    // In one shard too, and of an aggregate without events.
    execute(&node, vec![looked(0, 2), deposit(accounts[0], 1, 2)]).await.unwrap();
    execute(&node, vec![Request::check(999_999, Version(0))]).await.unwrap();
    for changed in [vec![looked(0, 2), deposit(accounts[1], 1, 3)], vec![looked(0, 2)]] {
        let error = execute(&node, changed).await.unwrap_err();
        assert!(
            matches!(&error, WriteError::VersionMismatch { requests } if *requests == [0]),
            "{error:?}"
        );
    }
    check(&current_entries(&node).await);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_read_what_the_other_writes_one_is_told() {
    let node = node(4).await;
    let accounts = one_in_each_shard(&node, 2);
    for round in 0..20_u64 {
        let [one, other] = [accounts[0], accounts[1]];
        let both = [(one, other), (other, one)].map(|(read, write)| {
            let requests = vec![
                Request::check(read, Version(round)),
                deposit(write, 1, round).expecting(Some(Version(round))),
            ];
            execute(&node, requests)
        });
        let ended = join_all(both).await;
        let stored = ended.iter().filter(|it| it.is_ok()).count();
        assert_eq!(stored, 1, "{ended:?}");
        // Both stand at the same version again.
        let behind = if ended[0].is_ok() { one } else { other };
        execute(&node, vec![deposit(behind, 1, round)]).await.unwrap();
    }
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_have_no_gaps_whatever_clients_do_at_once() {
    let node = node(4).await;
    let clients = (0..32_u64).map(|client| {
        let node = node.clone();
        tokio::spawn(async move {
            let random = Seeded::new(client);
            for round in 0..40 {
                let count = 1 + random.below(4);
                let requests = (0..count).map(|_| {
                    let id = u32::try_from(random.below(24)).unwrap();
                    let amount = i64::try_from(random.below(30)).unwrap() - 12;
                    deposit(id, amount, client * 1000 + round)
                });
                match execute(&node, requests.collect()).await {
                    Ok(_) | Err(WriteError::Refused { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    let entries = current_entries(&node).await;
    check(&entries);
    assert!(entries.len() > 10);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_moved_between_shards_or_stays() {
    let node = node(4).await;
    let accounts = one_in_each_shard(&node, 4);
    execute(&node, accounts.iter().map(|id| deposit(*id, 100, 0)).collect()).await.unwrap();
    let clients = (0..16_u64).map(|client| {
        let (node, accounts) = (node.clone(), accounts.clone());
        tokio::spawn(async move {
            let random = Seeded::new(client);
            for _ in 0..25 {
                let pick = |random: &Seeded| accounts[usize::try_from(random.below(4)).unwrap()];
                let amount = i64::try_from(1 + random.below(60)).unwrap();
                let requests = vec![
                    deposit(pick(&random), -amount, client),
                    deposit(pick(&random), amount, client),
                ];
                match execute(&node, requests).await {
                    Ok(_) | Err(WriteError::Refused { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    let entries = current_entries(&node).await;
    check(&entries);
    assert_eq!(happened(&entries).iter().map(|it| it.amount).sum::<i64>(), 400);
    // The parts of a transaction carry one time, and no two transactions the same.
    let mut times = std::collections::BTreeMap::new();
    for entry in &entries {
        for (_, event) in entry.events() {
            let transaction =
                entry.entry.metadata[usize::from(event.metadata)].transaction.unwrap();
            assert_eq!(
                *times.entry(transaction).or_insert(entry.entry.timestamp),
                entry.entry.timestamp
            );
        }
    }
    node.shutdown().await;
}

#[tokio::test]
async fn a_statement_in_pieces_is_stored_whole_or_not_at_all() {
    let node = node(4).await;
    let mut aborted = node.begin(Metadata::default());
    aborted.decide((0..100).map(|id| deposit(id, 1, 1)).collect(), DEADLINE).await.unwrap();
    drop(aborted);

    let mut write = node.begin(Metadata::default());
    let mut versions = Vec::new();
    for piece in 0..5 {
        let decided = write
            .decide((0..5000).map(|id| deposit(id % 2500, piece + 1, 2)).collect(), DEADLINE)
            .await
            .unwrap();
        versions.extend(decided.versions);
    }
    assert!(current_entries(&node).await.is_empty(), "nothing is proposed before all is decided");
    let waiting = execute(&node, vec![deposit(17, -1, 3)]);
    let (outcome, waited) = futures::join!(write.commit(DEADLINE), waiting);
    let (outcome, waited) = (outcome.unwrap(), waited.unwrap());
    assert_eq!(versions.last(), Some(&Version(10)));
    assert_eq!(
        waited.versions,
        [Version(11)],
        "another statement waits for the aggregates that this one holds"
    );
    let entries = current_entries(&node).await;
    check(&entries);
    let all = happened(&entries);
    assert_eq!(all.iter().filter(|it| it.tag == 2).count(), 25_000);
    assert!(
        all.iter()
            .filter(|it| it.tag == 2)
            .all(|it| it.position <= outcome.positions.get(it.shard))
    );
    assert!(all.iter().all(|it| it.tag != 1));
    node.shutdown().await;
}

#[tokio::test]
async fn a_statement_longer_than_an_entry_becomes_several() {
    let node = node(1).await;
    let long = |count: u64| {
        (0..count)
            .map(|tag| Request::new(1, Command::Note { bytes: 1_000_000, tag }))
            .collect::<Vec<_>>()
    };
    let outcome = execute(&node, long(20)).await.unwrap();
    assert_eq!(outcome.versions.last(), Some(&Version(20)));
    let entries = current_entries(&node).await;
    check(&entries);
    assert!(entries.len() >= 3, "an entry holds 8 MiB at most");
    let error = execute(&node, vec![Request::new(1, Command::Note { bytes: 2 << 20, tag: 99 })])
        .await
        .unwrap_err();
    assert!(matches!(error, WriteError::TooLarge), "{error:?}");
    node.shutdown().await;
}

#[tokio::test]
async fn the_feed_is_the_log_from_wherever_it_is_read() {
    let log = MemoryLog::new(2);
    let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
    for tag in 0..200 {
        execute(&node, vec![deposit(u32::try_from(tag % 7).unwrap(), 1, tag)]).await.unwrap();
    }
    let (feed, all) = (node.feed(), current_entries(&node).await);
    check(&all);
    assert_eq!(happened(&all).len(), 200);
    for shard in (0..2).map(ShardId) {
        let committed = feed.committed(shard);
        for after in 0..=committed.0 {
            let mut read = Vec::new();
            assert_eq!(feed.read(shard, LogIndex(after), &mut read).unwrap(), committed);
            assert!(
                read.iter()
                    .eq(all.iter().filter(|entry| entry.shard == shard && entry.index.0 > after))
            );
        }
    }
    // The same after a restart, when everything comes from the log.
    node.shutdown().await;
    let node = open_alone(MemoryStore::new(log.crash())).await;
    assert_eq!(current_entries(&node).await, all);
    let mut subscription = node.subscribe(&Positions::start(2));
    let mut heard = Vec::new();
    while heard.len() < all.len() {
        heard.extend(subscription.next().await.unwrap());
    }
    heard.sort_by_key(|entry| (entry.shard, entry.index));
    assert_eq!(heard, all);
    let (next, _) = futures::join!(subscription.next(), execute(&node, vec![deposit(1, 1, 777)]));
    assert_eq!(happened(&next.unwrap())[0].tag, 777);
    node.shutdown().await;
}

#[tokio::test]
async fn the_same_commands_give_the_same_bytes() {
    let mut logs = Vec::new();
    for _ in 0..2 {
        let node = node(2).await;
        for tag in 0..50_u32 {
            let requests = vec![
                deposit(tag % 5, 3, tag.into()),
                Request::new(tag % 3, Command::Repeat { times: 2, tag: 9 }),
            ];
            execute(&node, requests).await.unwrap();
        }
        let entries = current_entries(&node).await.into_iter().map(|entry| {
            (entry.shard, entry.index, entry.entry.sequence, entry.entry.events.clone())
        });
        logs.push(entries.collect::<Vec<_>>());
        node.shutdown().await;
    }
    assert_eq!(logs[0], logs[1]);
}

#[tokio::test]
async fn what_is_under_way_belongs_to_an_instant_before_it_is_acknowledged() {
    let log = MemoryLog::new(1);
    let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
    execute(&node, vec![deposit(1, 1, 1)]).await.unwrap();
    log.hold();
    let under_way = tokio::spawn({
        let node = node.clone();
        async move { execute(&node, vec![deposit(1, 1, 2)]).await }
    });
    let entries = || node.metrics().entries.load(std::sync::atomic::Ordering::Relaxed);
    while entries() < 2 {
        tokio::task::yield_now().await;
    }
    let now = Timestamp(u64::MAX >> 3);
    let barrier = tokio::spawn({
        let node = node.clone();
        async move { node.instant_barrier(now, DEADLINE).await }
    });
    let acknowledged = node.read_barrier(DEADLINE).await.unwrap();
    log.release();
    let (outcome, barrier) = (under_way.await.unwrap().unwrap(), barrier.await.unwrap().unwrap());
    assert!(!acknowledged.covers(&outcome.positions));
    assert!(barrier.covers(&outcome.positions));
    let later = execute(&node, vec![deposit(1, 1, 3)]).await.unwrap();
    assert!(!barrier.covers(&later.positions) && later.timestamp > outcome.timestamp);
    node.shutdown().await;
}

#[tokio::test]
async fn a_command_that_was_not_taken_up_in_time_is_not_stored() {
    let log = MemoryLog::new(1);
    let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
    log.hold();
    let hasty = |tag| {
        node.execute(vec![deposit(1, 1, tag)], Metadata::default(), Duration::from_millis(50))
    };
    // Those in flight may be stored, what waits behind them is not.
    let answers = join_all((1..=6).map(hasty)).await;
    let unknown =
        answers.iter().filter(|answer| matches!(answer, Err(WriteError::OutcomeUnknown))).count();
    let late = answers.iter().filter(|answer| matches!(answer, Err(WriteError::Deadline))).count();
    assert!(unknown >= 1 && unknown + late == 6, "{answers:?}");
    log.release();
    let outcome = execute(&node, vec![deposit(1, 1, 7)]).await.unwrap();
    assert_eq!(outcome.versions, [Version(u64::try_from(unknown).unwrap() + 1)]);
    check(&current_entries(&node).await);
    node.shutdown().await;
}

#[tokio::test]
async fn a_dropped_client_decides_nothing() {
    let node = node(1).await;
    for tag in 0..20 {
        let execution = execute(&node, vec![deposit(1, 1, tag)]);
        tokio::select! { biased;
            _ = execution => {}
            () = tokio::task::yield_now() => {}
        }
    }
    let outcome = execute(&node, vec![deposit(1, 1, 99)]).await.unwrap();
    assert_eq!(outcome.versions, [Version(21)]);
    check(&current_entries(&node).await);
    node.shutdown().await;
}
