//! What is derived equals what the log says: after a rebuild, after a crash, and under verification.

use std::ops::ControlFlow;
use std::path::Path;

use proptest::prelude::*;
use rotabase_engine::db::{Direction, Durability, KeyRange};
use rotabase_engine::rebuild::{RebuildReport, rebuild_derived};
use rotabase_engine::verify::verify;

use crate::support::{Counters, SHARD, Shard, append, entry, open, open_raw, row, step};

type Dump = Vec<(Vec<u8>, Vec<u8>)>;

fn dump(path: &Path, family: &str) -> Dump {
    let raw = open_raw(path);
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    raw.scan(&KeyRange::all(raw.family(family)), Direction::Forward, visit).unwrap();
    rows
}

fn fill(path: &Path, entries: &[Vec<(u8, i64)>], void_after: usize) {
    let mut shard = Shard::open(path, 300);
    for (at, added) in entries.iter().enumerate() {
        let names: Vec<(String, i64)> =
            added.iter().map(|(name, number)| (format!("counter {name}"), *number)).collect();
        let added: Vec<(&str, i64)> =
            names.iter().map(|(name, number)| (name.as_str(), *number)).collect();
        shard.add(&added);
        if at == void_after {
            shard.commit(entry(1000, &[("void", 1, 1)]));
        }
    }
    // Not committed: it must not be indexed.
    let last = shard.store.last(SHARD).unwrap().0.0;
    append(&shard.writer, SHARD, vec![row(last + 1, 2, "blank")]);
    shard.writer.shutdown();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_rebuilt_equals_what_was_kept_up_to_date(
        entries in proptest::collection::vec(proptest::collection::vec((0..5_u8, any::<i64>()), 1..30), 1..30),
        void_after in 0..30_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        fill(directory.path(), &entries, void_after);
        let kept = dump(directory.path(), "index");
        let store = open(directory.path());
        let report = verify::<Counters>(&store, 10).unwrap();
        prop_assert!(report.is_sound(), "{:?}", report);
        prop_assert_eq!(report.void_entries, u64::from(void_after < entries.len()));
        prop_assert_eq!(report.events, u64::try_from(entries.iter().map(Vec::len).sum::<usize>()).unwrap());
        let RebuildReport { rows, events } = rebuild_derived(&store).unwrap();
        prop_assert_eq!(rows, report.entries + report.void_entries);
        prop_assert_eq!(events, report.events);
        prop_assert_eq!(report.rows, rows + 1);
        let again = verify::<Counters>(&store, 10).unwrap();
        prop_assert!(again.is_sound() && again.snapshots == 0 && again.aggregates == report.aggregates, "{:?}", again);
        drop(store);
        prop_assert_eq!(dump(directory.path(), "index"), kept);
    }
}

#[test]
fn an_index_that_a_crash_lost_is_caught_up_from_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let killed = directory.path().join("killed");
    let mut shard = Shard::open(&directory.path().join("live"), 1 << 20);
    for number in 0..20 {
        shard.add(&[("a", number), ("b", number)]);
    }
    step(&shard.writer);
    std::fs::create_dir(&killed).unwrap();
    for entry in std::fs::read_dir(directory.path().join("live")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), killed.join(entry.file_name())).unwrap();
    }
    let store = open(&killed);
    assert_eq!(store.index().applied(SHARD), None, "the index is not in the write-ahead log");
    assert_eq!(store.committed(SHARD).unwrap().unwrap().index.0, 19);
    rebuild_derived(&store).unwrap();
    assert_eq!(store.index().applied(SHARD), shard.store.index().applied(SHARD));
    assert!(verify::<Counters>(&store, 10).unwrap().is_sound());
}

#[test]
fn verification_finds_what_was_tampered_with() {
    let find = |family: &'static str, change: fn(&mut Vec<u8>)| {
        let directory = tempfile::tempdir().unwrap();
        let many: Vec<(u8, i64)> = (0..300).map(|number| (1, number)).collect();
        fill(directory.path(), &[many, vec![(1, 1), (2, 2)], vec![(2, 3)]], 1);
        let (key, mut value) = dump(directory.path(), family).into_iter().next_back().unwrap();
        let raw = open_raw(directory.path());
        let mut batch = raw.batch();
        change(&mut value);
        if value.is_empty() {
            batch.delete(raw.family(family), &key);
        } else {
            batch.put(raw.family(family), &key, &value);
        }
        raw.write(batch, Durability::Wal).unwrap();
        drop(raw);
        let store = open(directory.path());
        verify::<Counters>(&store, 10).unwrap()
    };
    for family in ["index", "snapshots"] {
        let report = find(family, |value| value[3] ^= 1);
        assert!(!report.is_sound(), "{family}: {report:?}");
        assert!(report.first_problems[0].starts_with("shard 1: "), "{report:?}");
    }
    let report = find("index", Vec::clear);
    assert!(!report.is_sound(), "a missing row: {report:?}");
    let report = find("index", |_| ());
    assert!(report.is_sound(), "{report:?}");
}
