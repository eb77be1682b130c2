//! Torn and flipped bytes: dropped where a crash can leave them, found everywhere else, never served.

use std::path::{Path, PathBuf};

use rotabase_engine::db::{Durability, StoreError};
use rotabase_engine::log::{LogRow, LogStore};
use rotabase_engine::position::LogIndex;

use crate::support::{SHARD, append, open, open_raw, options, row, step, stepped};

const ROWS: u64 = 40;

fn rows() -> Vec<LogRow> {
    (0..ROWS)
        .map(|index| row(index, 1 + index / 10, vec![u8::try_from(index).unwrap(); 200]))
        .collect()
}

/// A directory as a killed process leaves it: rows written and synced one by one, nothing flushed.
fn killed(to: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writer = stepped(&store);
    for row in rows() {
        append(&writer, SHARD, vec![row]);
        step(&writer);
    }
    copy(directory.path(), to);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn newest_file(path: &Path, extension: &str) -> PathBuf {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .max()
        .expect("there is such a file")
}

fn written_length(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// What a store opened on `path` has; asserts that it is the rows up to somewhere.
fn rows_left(path: &Path) -> Result<usize, StoreError> {
    let store = LogStore::open(path, &options())?;
    let read = store.read(SHARD, LogIndex(0)..LogIndex(ROWS), usize::MAX)?;
    assert_eq!(read, rows()[..read.len()]);
    Ok(read.len())
}

#[test]
fn a_torn_tail_is_dropped_and_nothing_before_it() {
    let directory = tempfile::tempdir().unwrap();
    killed(&directory.path().join("killed"));
    let mut lefts = Vec::new();
    for torn in [0, 1, 7, 150, 300, 700] {
        let path = directory.path().join(torn.to_string());
        copy(&directory.path().join("killed"), &path);
        let wal = newest_file(&path, "log");
        let mut bytes = std::fs::read(&wal).unwrap();
        bytes.truncate(written_length(&bytes) - torn);
        std::fs::write(&wal, bytes).unwrap();
        lefts.push(rows_left(&path).unwrap());
    }
    let all = usize::try_from(ROWS).unwrap();
    assert_eq!(lefts[0], all);
    assert_eq!(lefts[1], all - 1);
    assert!(lefts.is_sorted_by(|left, right| left >= right) && lefts[5] >= all - 5, "{lefts:?}");
}

#[test]
fn a_flipped_byte_of_the_write_ahead_log_is_found_unless_it_is_its_torn_tail() {
    let directory = tempfile::tempdir().unwrap();
    killed(&directory.path().join("killed"));
    let wal = newest_file(&directory.path().join("killed"), "log");
    let length = written_length(&std::fs::read(wal).unwrap());
    for at in (0..length).step_by(length / 37) {
        let path = directory.path().join(at.to_string());
        copy(&directory.path().join("killed"), &path);
        flip(&newest_file(&path, "log"), at);
        match rows_left(&path) {
            Err(StoreError::Corrupted(_)) => {}
            Ok(left) => assert!(
                left + 1 >= usize::try_from(ROWS).unwrap(),
                "byte {at}: only {left} rows are left"
            ),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn a_flipped_byte_of_a_table_file_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let flushed = directory.path().join("flushed");
    {
        let store = open(&flushed);
        let writer = stepped(&store);
        append(&writer, SHARD, rows());
        step(&writer);
        store.flush().unwrap();
    }
    // The log's file is the largest.
    let tables = || std::fs::read_dir(&flushed).unwrap().map(|entry| entry.unwrap().path());
    let tables = tables().filter(|path| path.extension().is_some_and(|it| it == "sst"));
    let log = tables.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let length = usize::try_from(log.metadata().unwrap().len()).unwrap();
    let mut found = 0;
    for at in (0..length).step_by(length / 37) {
        let path = directory.path().join(at.to_string());
        copy(&flushed, &path);
        flip(&path.join(log.file_name().unwrap()), at);
        match rows_left(&path) {
            Err(_) => found += 1,
            // A byte that no read needs, as of the file's statistics: then every row is right.
            Ok(left) => assert_eq!(left, usize::try_from(ROWS).unwrap()),
        }
    }
    assert!(found > 20, "found {found} of 37");
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_row_that_changed_below_the_storage_engine_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = open(directory.path());
        let writer = stepped(&store);
        append(&writer, SHARD, rows());
        writer.shutdown();
    }
    let raw = open_raw(directory.path());
    let key = [[0, 1].as_slice(), &7_u64.to_be_bytes()].concat();
    let mut value = raw.get(raw.family("log"), &key).unwrap().unwrap().to_vec();
    value[30] ^= 1;
    let mut batch = raw.batch();
    batch.put(raw.family("log"), &key, &value);
    raw.write(batch, Durability::Wal).unwrap();
    drop(raw);
    let store = open(directory.path());
    let error = store.get(SHARD, LogIndex(7)).unwrap_err().to_string();
    assert!(error.contains("row 7 in the log of shard 1"), "{error}");
    assert!(store.read(SHARD, LogIndex(5)..LogIndex(9), usize::MAX).is_err());
    assert_eq!(store.read(SHARD, LogIndex(8)..LogIndex(9), usize::MAX).unwrap(), rows()[8..9]);
}
