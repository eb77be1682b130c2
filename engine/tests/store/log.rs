//! The log against a model: whatever was accepted is read, whatever was written survives.

use std::sync::Arc;

use proptest::prelude::*;
use rotabase_engine::log::{Committed, Leader, LogRow, LogStore};
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::writer::{LogWriter, WriteTask};

use crate::support::{SHARD, append, open, row, step, stepped};

#[derive(Clone, Debug)]
enum Step {
    Append {
        rows: u64,
        new_term: bool,
        bytes: usize,
    },
    Truncate(prop::sample::Index),
    Committed(prop::sample::Index),
    Vote(u8),
    Write,
    Sync,
    /// The process dies: what was not written is gone.
    Crash,
    Shutdown,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5_u64, prop::bool::weighted(0.3), 0..300_usize).prop_map(|(rows, new_term, bytes)| Step::Append { rows, new_term, bytes }),
        2 => any::<prop::sample::Index>().prop_map(Step::Truncate),
        1 => any::<prop::sample::Index>().prop_map(Step::Committed),
        1 => any::<u8>().prop_map(Step::Vote),
        4 => Just(Step::Write),
        3 => Just(Step::Sync),
        1 => Just(Step::Crash),
        1 => Just(Step::Shutdown),
    ]
}

/// What the store holds: the rows and the two records of one shard.
#[derive(Clone, Debug, Default)]
struct Model {
    rows: Vec<LogRow>,
    committed: Option<Committed>,
    vote: Option<u8>,
    term: u64,
}

impl Model {
    fn leaders(&self, from: u64, to: u64) -> Vec<(LogIndex, Leader)> {
        let mut leaders: Vec<(LogIndex, Leader)> = Vec::new();
        for row in self.rows.iter().filter(|row| (from..=to).contains(&row.index.0)) {
            match leaders.last_mut() {
                Some(last) if last.1 == row.leader => last.0 = row.index,
                _ => leaders.push((row.index, row.leader)),
            }
        }
        leaders
    }
}

fn apply(model: &mut Model, writer: &LogWriter, step: &Step) {
    let next = u64::try_from(model.rows.len()).unwrap();
    match step {
        Step::Append { rows, new_term, bytes } => {
            model.term += u64::from(*new_term);
            let rows: Vec<LogRow> = (next..next + rows)
                .map(|index| row(index, model.term, vec![0xAB; *bytes]))
                .collect();
            append(writer, SHARD, rows.clone());
            model.rows.extend(rows);
        }
        Step::Truncate(at) => {
            let kept = at.index(model.rows.len() + 1);
            model.rows.truncate(kept);
            model.term += 1;
            let keep = model.rows.last().map(|row| row.index);
            let done = Box::new(|result: Result<(), _>| result.unwrap());
            writer.submit(WriteTask::Truncate { shard: SHARD, keep, done }).unwrap();
        }
        Step::Committed(at) if !model.rows.is_empty() => {
            let row = &model.rows[at.index(model.rows.len())];
            let committed = Committed { index: row.index, leader: row.leader };
            model.committed = Some(committed);
            writer.submit(WriteTask::Committed(SHARD, committed)).unwrap();
        }
        Step::Vote(vote) => {
            model.vote = Some(*vote);
            let done = Box::new(|result: Result<(), _>| result.unwrap());
            writer
                .submit(WriteTask::Meta {
                    shard: SHARD,
                    name: "vote",
                    value: vec![*vote].into(),
                    done,
                })
                .unwrap();
        }
        _ => {}
    }
}

fn check(model: &Model, store: &LogStore, from: u64, to: u64, bytes_max: usize) {
    let last = model.rows.last();
    assert_eq!(store.last(SHARD), last.map(|row| (row.index, row.leader)));
    let rows = store.read(SHARD, LogIndex(from)..LogIndex(to), bytes_max).unwrap();
    let inside: Vec<LogRow> =
        model.rows.iter().filter(|row| (from..to).contains(&row.index.0)).cloned().collect();
    assert!(rows.len() <= inside.len() && rows == inside[..rows.len()], "a prefix of the range");
    let bytes = rows.iter().map(LogRow::bytes).sum::<usize>();
    assert!(rows.len() == inside.len() || bytes >= bytes_max, "it stops at the bound only");
    if let Some(last) = rows.last() {
        assert!(bytes - last.bytes() < bytes_max, "it stops at the bound");
    }
    let at = usize::try_from(from).unwrap();
    assert_eq!(store.get(SHARD, LogIndex(from)).unwrap().as_ref(), model.rows.get(at));
    assert_eq!(store.leader_at(SHARD, LogIndex(from)), model.rows.get(at).map(|row| row.leader));
    assert_eq!(
        store.last_of_each_leader(SHARD, LogIndex(from), LogIndex(to)),
        model.leaders(from, to)
    );
    let marks = store.marks(SHARD);
    assert!(marks.durable <= marks.written && marks.written <= marks.last);
    for other in [ShardId(0), ShardId(2)] {
        assert_eq!(store.last(other), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_log_is_what_was_accepted_and_after_a_crash_what_was_written(
        steps in proptest::collection::vec((any_step(), 0..30_u64, 0..30_u64, prop_oneof![Just(1), Just(500), Just(1 << 20)]), 1..60),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        let mut writer = stepped(&store);
        let mut accepted = Model::default();
        let mut written = Model::default();
        for (it, from, to, bytes_max) in steps {
            apply(&mut accepted, &writer, &it);
            match it {
                Step::Write => {
                    writer.step_write();
                    written = accepted.clone();
                }
                Step::Sync => {
                    writer.step_sync();
                }
                Step::Crash | Step::Shutdown => {
                    if matches!(it, Step::Shutdown) {
                        writer.shutdown();
                        written = accepted.clone();
                    }
                    drop(writer);
                    drop(store);
                    store = open(directory.path());
                    writer = stepped(&store);
                    accepted = Model { term: accepted.term + 1, ..written.clone() };
                    let vote = store.meta(SHARD, "vote").unwrap().map(|vote| vote[0]);
                    prop_assert_eq!(vote, accepted.vote);
                    prop_assert_eq!(store.committed(SHARD).unwrap(), accepted.committed);
                }
                _ => {}
            }
            check(&accepted, &store, from, from + to, bytes_max);
        }
    }
}

#[test]
fn a_range_is_read_across_what_is_written_and_what_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writer = stepped(&store);
    append(&writer, SHARD, (0..50).map(|index| row(index, 1, vec![1; 100])).collect());
    step(&writer);
    append(&writer, SHARD, (50..60).map(|index| row(index, 1, vec![2; 100])).collect());
    let rows = store.read(SHARD, LogIndex(10)..LogIndex(100), usize::MAX).unwrap();
    assert_eq!(
        rows.iter().map(|row| row.index.0).collect::<Vec<_>>(),
        (10..60).collect::<Vec<_>>()
    );
    assert_eq!(store.marks(SHARD).written, Some(LogIndex(49)));
    assert_eq!(store.marks(SHARD).last, Some(LogIndex(59)));
}

#[test]
fn a_missing_row_is_an_error_not_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writer = stepped(&store);
    append(&writer, SHARD, (0..10).map(|index| row(index, 1, "x")).collect());
    writer.shutdown();
    drop((writer, store));
    let raw = crate::support::open_raw(directory.path());
    let mut batch = raw.batch();
    batch.delete(raw.family("log"), &[[0, 1].as_slice(), &5_u64.to_be_bytes()].concat());
    raw.write(batch, rotabase_engine::db::Durability::Wal).unwrap();
    drop(raw);
    let store: Arc<LogStore> = open(directory.path());
    assert!(store.get(SHARD, LogIndex(5)).is_err());
    assert!(store.read(SHARD, LogIndex(0)..LogIndex(10), usize::MAX).is_err());
    assert_eq!(store.read(SHARD, LogIndex(6)..LogIndex(10), usize::MAX).unwrap().len(), 4);
}
