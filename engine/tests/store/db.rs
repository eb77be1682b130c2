//! The storage engine behind its narrow interface.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;
use rotabase_engine::db::{
    Db, DbOptions, DbSnapshot, Direction, Durability, FamilyOptions, KeyRange, Rows, StoreError,
    after_prefix,
};

fn open(
    path: &std::path::Path,
    names: &[&str],
    drop_unknown_families: bool,
) -> Result<Arc<Db>, StoreError> {
    let families: Vec<FamilyOptions> =
        names.iter().map(|name| FamilyOptions::new(*name).prefix(1)).collect();
    Db::open(path, &families, &DbOptions { drop_unknown_families, ..DbOptions::default() })
}

fn put(db: &Arc<Db>, family: &str, key: &[u8], value: &[u8]) {
    let mut batch = db.batch();
    batch.put(db.family(family), key, value);
    db.write(batch, Durability::Wal).unwrap();
}

#[test]
fn a_snapshot_shows_one_state_of_all_families_and_outlives_other_handles() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), &["legs", "rotations"], false).unwrap();
    let (legs, rotations) = (db.family("legs"), db.family("rotations"));
    put(&db, "legs", b"a", b"1");
    let snapshot = db.snapshot();
    put(&db, "legs", b"a", b"2");
    put(&db, "rotations", b"r", b"1");
    db.flush(&[legs, rotations]).unwrap();
    db.compact(legs);
    let later = db.snapshot();
    drop(db);
    assert_eq!(snapshot.get(legs, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(snapshot.get(rotations, b"r").unwrap(), None);
    assert_eq!(later.get(legs, b"a").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(
        later.multi_get(rotations, &[b"q", b"r"]).unwrap(),
        vec![None, Some(b"1"[..].into())]
    );
    let mut cursor = snapshot.cursor(KeyRange::all(rotations), Direction::Forward);
    drop(snapshot);
    let mut rows = Rows::default();
    cursor.next_chunk(10, usize::MAX, &mut rows).unwrap();
    assert!(rows.is_empty());
}

#[test]
fn a_row_in_the_cache_is_that_of_the_snapshot_it_is_read_in() {
    let directory = tempfile::tempdir().unwrap();
    let options = DbOptions { rows_in_cache: true, ..DbOptions::default() };
    let db = Db::open(directory.path(), &[FamilyOptions::new("legs")], &options).unwrap();
    let legs = db.family("legs");
    let read = |snapshot: &DbSnapshot| snapshot.get(legs, b"a").unwrap().map(|it| it.to_vec());
    let mut snapshots = vec![(db.snapshot(), None)];
    for value in [Some(b"1"), None, Some(b"2")] {
        match value {
            Some(value) => put(&db, "legs", b"a", value),
            None => {
                let mut batch = db.batch();
                batch.delete(legs, b"a");
                db.write(batch, Durability::Wal).unwrap();
            }
        }
        // One that is as old as the file to come, and one that is newer.
        snapshots.push((db.snapshot(), value.map(|it| it.to_vec())));
        db.flush(&[legs]).unwrap();
        snapshots.push((db.snapshot(), value.map(|it| it.to_vec())));
        // From files, then from the cache.
        for _ in 0..2 {
            for (snapshot, value) in &snapshots {
                assert_eq!(read(snapshot), *value);
            }
        }
    }
    db.compact(legs);
    put(&db, "legs", b"b", b"1");
    for (snapshot, value) in &snapshots {
        assert_eq!(read(snapshot), *value);
    }
}

#[test]
fn a_snapshot_is_read_from_several_threads() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), &["legs"], false).unwrap();
    let legs = db.family("legs");
    (0..100_u8).for_each(|key| put(&db, "legs", &[key], &[1]));
    let snapshot = db.snapshot();
    (0..100_u8).for_each(|key| put(&db, "legs", &[key], &[2]));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let snapshot = snapshot.clone();
            scope.spawn(move || {
                let mut seen = 0;
                let visit = &mut |_: &[u8], value: &[u8]| {
                    assert_eq!(value, [1]);
                    seen += 1;
                    ControlFlow::Continue(())
                };
                snapshot.scan(&KeyRange::all(legs), Direction::Forward, visit).unwrap();
                assert_eq!(seen, 100);
            });
        }
    });
}

#[test]
fn a_directory_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), &["legs"], false).unwrap();
    let error = open(directory.path(), &["legs"], false).unwrap_err();
    assert!(
        matches!(&error, StoreError::Locked(path) if *path == directory.path().display().to_string()),
        "{error}"
    );
    drop(db);
    open(directory.path(), &["legs"], false).unwrap();
}

#[test]
fn families_of_another_version_are_refused_or_dropped_as_asked() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path(), &["legs.1"], false).unwrap());
    assert!(matches!(open(directory.path(), &["legs.2"], false), Err(StoreError::Incompatible(_))));
    drop(open(directory.path(), &["legs.2"], true).unwrap());
    drop(open(directory.path(), &["legs.2"], false).unwrap());
}

#[test]
fn a_cleared_family_is_empty_and_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), &["legs", "rotations"], false).unwrap();
    for key in 0..=u8::MAX {
        put(&db, "legs", &[key; 9], b"x");
    }
    put(&db, "rotations", b"r", b"1");
    db.clear(db.family("legs")).unwrap();
    assert_eq!(db.first(&KeyRange::all(db.family("legs")), Direction::Forward).unwrap(), None);
    assert!(db.get(db.family("rotations"), b"r").unwrap().is_some());
}

#[test]
fn the_key_after_a_prefix_is_the_least_above_it() {
    assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
    assert_eq!(after_prefix(&[1, 0xFF]), Some(vec![2]));
    assert_eq!(after_prefix(&[0xFF, 0xFF]), None);
    assert_eq!(after_prefix(b""), None);
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![0..4_u8, Just(0xFF)], 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Chunks of any size, in both directions, with and without the prefix filter.
    #[test]
    fn a_cursor_gives_what_a_sorted_map_gives(
        stored in proptest::collection::btree_map(key(), any::<u8>(), 0..40),
        later in proptest::collection::btree_map(key(), any::<u8>(), 0..40),
        lower in key(), upper in proptest::option::of(key()), prefix: bool, backward: bool, rows_max in 1..6_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let db = open(directory.path(), &["legs"], false).unwrap();
        let legs = db.family("legs");
        for (key, value) in &stored {
            put(&db, "legs", key, &[*value]);
        }
        let snapshot = db.snapshot();
        for (key, value) in &later {
            put(&db, "legs", key, &[*value]);
        }
        let range = match (prefix, upper) {
            (true, _) => KeyRange::prefix(legs, lower),
            (false, Some(upper)) => KeyRange::new(legs, lower, upper),
            (false, None) => KeyRange::from(legs, lower),
        };
        let inside = |key: &&Vec<u8>| **key >= range.lower && range.upper.as_ref().is_none_or(|upper| *key < upper);
        let mut expected: Vec<(Vec<u8>, Vec<u8>)> =
            stored.iter().filter(|(key, _)| inside(key)).map(|(key, value)| (key.clone(), vec![*value])).collect();
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        if backward {
            expected.reverse();
        }
        let mut cursor = snapshot.cursor(range, direction);
        let (mut rows, mut read) = (Rows::default(), Vec::new());
        loop {
            cursor.next_chunk(rows_max, usize::MAX, &mut rows).unwrap();
            if rows.is_empty() {
                break;
            }
            prop_assert!(rows.len() <= rows_max);
            read.extend(rows.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
        }
        prop_assert_eq!(read, expected);
        let all: BTreeMap<Vec<u8>, u8> = stored.into_iter().chain(later).collect();
        let keys: Vec<&Vec<u8>> = all.keys().collect();
        let values = db.multi_get(legs, &keys).unwrap();
        prop_assert_eq!(values, all.values().map(|value| Some(vec![*value].into())).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Some rows are merged, some ingested above them, some in memory.
    #[test]
    fn walks_find_what_look_ups_and_scans_find(
        merged in prop::collection::btree_map(0u16..600, any::<u8>(), 0..300),
        ingested in prop::collection::btree_map(0u16..600, any::<Option<u8>>(), 1..100),
        in_memory in prop::collection::btree_map(0u16..600, any::<u8>(), 0..20),
        asked in prop::collection::btree_set(0u16..600, 0..200),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let db = open(directory.path(), &["legs"], false).unwrap();
        let legs = db.family("legs");
        let mut expected: BTreeMap<[u8; 2], u8> = BTreeMap::new();
        for (key, value) in merged {
            put(&db, "legs", &key.to_be_bytes(), &[value]);
            expected.insert(key.to_be_bytes(), value);
        }
        let before = db.snapshot();
        let first = expected.first_key_value().map(|(key, value)| (*key, *value));
        let mut ingestion = db.ingestion(legs).unwrap().expect("nothing waits to be merged");
        for (key, value) in ingested {
            if let Some(value) = value {
                ingestion.put(&key.to_be_bytes(), &[value]).unwrap();
                expected.insert(key.to_be_bytes(), value);
            } else {
                ingestion.delete(&key.to_be_bytes()).unwrap();
                expected.remove(&key.to_be_bytes());
            }
        }
        ingestion.finish().unwrap();
        for (key, value) in in_memory {
            put(&db, "legs", &key.to_be_bytes(), &[value]);
            expected.insert(key.to_be_bytes(), value);
        }
        let keys: Vec<[u8; 2]> = asked.iter().map(|key| key.to_be_bytes()).collect();
        let mut found = BTreeMap::new();
        let mut visit = |at: usize, value: &[u8]| {
            found.insert(keys[at], value[0]);
            ControlFlow::Continue(())
        };
        db.walk(legs, &keys, &mut visit).unwrap();
        let wanted = |key: &[u8; 2]| keys.binary_search(key).is_ok();
        let there: BTreeMap<_, _> =
            expected.iter().filter(|(key, _)| wanted(key)).map(|(key, value)| (*key, *value)).collect();
        prop_assert_eq!(&found, &there);
        let prefixes: Vec<[u8; 1]> = vec![[0], [2]];
        let mut found = BTreeMap::new();
        db.walk_prefixes(legs, &prefixes, &mut |at, key, value| {
            assert_eq!(key[0], prefixes[at][0]);
            found.insert(key.to_vec(), value[0]);
            ControlFlow::Continue(())
        })
        .unwrap();
        let there: BTreeMap<_, _> = expected
            .iter()
            .filter(|(key, _)| key[0] != 1)
            .map(|(key, value)| (key.to_vec(), *value))
            .collect();
        prop_assert_eq!(found, there);
        if let Some((key, value)) = first {
            let seen = before.get(legs, &key).unwrap();
            prop_assert_eq!(seen.map(|seen| seen.to_vec()), Some(vec![value]), "as it was");
        }
    }
}

#[test]
fn what_is_ingested_survives_with_all_that_was_written_before() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(directory.path(), &["legs"], false).unwrap();
    let legs = db.family("legs");
    let mut batch = db.batch();
    batch.put(legs, b"z", b"before");
    db.write(batch, Durability::NoWal).unwrap();
    let mut ingestion = db.ingestion(legs).unwrap().expect("nothing waits to be merged");
    ingestion.put(b"a", b"ingested").unwrap();
    ingestion.finish().unwrap();
    drop(db.ingestion(legs).unwrap().expect("one is begun and left"));
    let mut batch = db.batch();
    batch.put(legs, b"b", b"after");
    db.write(batch, Durability::NoWal).unwrap();
    // What is on disk now is all that a crash leaves.
    let crashed = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), crashed.path().join(entry.file_name())).unwrap();
        }
    }
    let again = open(crashed.path(), &["legs"], false).unwrap();
    let legs = again.family("legs");
    assert_eq!(again.get(legs, b"z").unwrap().as_deref(), Some(b"before".as_slice()));
    assert_eq!(again.get(legs, b"a").unwrap().as_deref(), Some(b"ingested".as_slice()));
    assert_eq!(again.get(legs, b"b").unwrap(), None);
    assert!(!crashed.path().join("ingest.tmp").exists());
}
