//! One node that ends, orderly or not, and comes back.

use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::entry::Metadata;
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_engine::position::Version;
use rotabase_raft::memory::{MemoryLog, MemoryStore};
use rotabase_raft::{DirectoryStore, WriteError};

use crate::history::{check, current_entries, happened};
use crate::world::{DEADLINE, deposit, execute, open_alone};

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    let mut log = MemoryLog::new(3);
    for round in 0..4_u64 {
        let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
        let outcome =
            execute(&node, (0..9).map(|id| deposit(id, 1, round)).collect()).await.unwrap();
        assert_eq!(outcome.versions, vec![Version(round + 1); 9]);
        log = log.crash();
        node.shutdown().await;
    }
    let node = open_alone(MemoryStore::new(log)).await;
    let entries = current_entries(&node).await;
    check(&entries);
    assert_eq!(happened(&entries).len(), 36);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let create = Some(Identity { cluster: uuid::Uuid::nil(), shards: 4 });
    let options = LogOptions { create, ..LogOptions::default() };
    for round in 0..3_u64 {
        let store =
            DirectoryStore::open(directory.path(), &options, Box::new(|error| panic!("{error}")))
                .unwrap();
        let node = open_alone(store).await;
        for id in 0..50 {
            let outcome = execute(&node, vec![deposit(id, 1, round)]).await.unwrap();
            assert_eq!(outcome.versions, [Version(round + 1)]);
        }
        let entries = current_entries(&node).await;
        check(&entries);
        assert_eq!(happened(&entries).len(), 50 * usize::try_from(round + 1).unwrap());
        node.shutdown().await;
        let error = execute(&node, vec![deposit(1, 1, 9)]).await.unwrap_err();
        assert!(
            matches!(error, WriteError::Unavailable { .. } | WriteError::Store(_)),
            "{error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_pieces_reads_each_aggregate_once() {
    let directory = tempfile::tempdir().unwrap();
    let create = Some(Identity { cluster: uuid::Uuid::nil(), shards: 4 });
    let options = LogOptions { create, ..LogOptions::default() };
    let open = || {
        DirectoryStore::open(directory.path(), &options, Box::new(|error| panic!("{error}")))
            .unwrap()
    };
    let deposits = || (0..20).map(|id| deposit(id, 1, 1)).collect::<Vec<_>>();
    let node = open_alone(open()).await;
    execute(&node, deposits()).await.unwrap();
    node.shutdown().await;
    drop(node);
    let node = open_alone(open()).await;
    let mut write = node.begin(Metadata::default());
    for piece in 2..5 {
        let decided = write.decide(deposits(), DEADLINE).await.unwrap();
        assert_eq!(decided.versions, vec![Version(piece); 20]);
    }
    assert_eq!(node.aggregate_stats().misses, 20);
    write.commit(DEADLINE).await.unwrap();
    node.shutdown().await;
}

#[tokio::test]
async fn a_failed_disk_ends_all_writing() {
    let log = MemoryLog::new(1);
    let node = open_alone(MemoryStore::new(Arc::clone(&log))).await;
    execute(&node, vec![deposit(1, 1, 1)]).await.unwrap();
    assert!(node.is_healthy());
    log.hold();
    let writing = execute(&node, vec![deposit(1, 1, 2)]);
    let failing = async { log.fail(&StoreError::Io("no disk".to_owned())) };
    let (answer, ()) = futures::join!(writing, failing);
    assert!(
        matches!(
            answer,
            Err(WriteError::OutcomeUnknown | WriteError::Store(_) | WriteError::Unavailable { .. })
        ),
        "{answer:?}"
    );
    let error = execute(&node, vec![deposit(1, 1, 3)]).await.unwrap_err();
    assert!(matches!(error, WriteError::Store(_) | WriteError::OutcomeUnknown), "{error:?}");
    let error = execute(&node, vec![deposit(1, 1, 3)]).await.unwrap_err();
    assert!(matches!(error, WriteError::Store(_)), "{error:?}");
    assert!(!node.is_healthy());
    assert!(node.status()[0].error.is_some());
    node.shutdown().await;
}
