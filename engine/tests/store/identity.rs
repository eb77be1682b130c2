//! Whose directory it is.

use rotabase_engine::db::StoreError;
use rotabase_engine::log::{Identity, LogOptions, LogStore};
use uuid::Uuid;

use crate::support::{identity, open, open_raw, options};

fn refusal(path: &std::path::Path, options: &LogOptions) -> String {
    match LogStore::open(path, options) {
        Err(StoreError::Incompatible(text)) => text,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_directory_keeps_the_identity_it_was_created_with() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let other = Identity { cluster: Uuid::from_u128(8), shards: 5 };
    let store =
        LogStore::open(directory.path(), &LogOptions { create: Some(other), ..options() }).unwrap();
    assert_eq!(store.identity(), identity());
}

#[test]
fn another_clusters_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let text =
        refusal(directory.path(), &LogOptions { cluster: Some(Uuid::from_u128(8)), ..options() });
    assert!(text.contains(&identity().cluster.to_string()), "{text}");
    let text = refusal(directory.path(), &LogOptions { shards: Some(4), ..options() });
    assert!(text.contains("3 shards"), "{text}");
}

#[test]
fn a_directory_of_somebody_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.txt"), "chapter one").unwrap();
    let text = refusal(directory.path(), &options());
    assert!(text.contains("not empty"), "{text}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_database_is_created_only_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let text = refusal(&path, &LogOptions { create: None, ..options() });
    assert!(text.contains("no database"), "{text}");
    drop(open(&path));
    LogStore::open(&path, &LogOptions { create: None, ..options() }).unwrap();
}

#[test]
fn a_directory_of_another_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let raw = open_raw(directory.path());
    let key = [&[0xFF, 0xFF], b"identity".as_slice()].concat();
    let mut value = raw.get(raw.family("meta"), &key).unwrap().unwrap().to_vec();
    value.truncate(value.len() - 4);
    value[3] = 99;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&key), &value);
    value.extend_from_slice(&checksum.to_be_bytes());
    let mut batch = raw.batch();
    batch.put(raw.family("meta"), &key, &value);
    raw.write(batch, rotabase_engine::db::Durability::Wal).unwrap();
    drop(raw);
    let text = refusal(directory.path(), &options());
    assert!(text.contains("format 99"), "{text}");
}
