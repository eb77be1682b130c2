//! Aggregates: wherever a state comes from, it is the fold of the aggregate's events.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rotabase_engine::aggregates::SNAPSHOT_EVENTS;
use rotabase_engine::index::Effect;
use rotabase_engine::position::{LogIndex, Version};

use crate::support::{SHARD, Shard, entry, step};

const NAMES: [&str; 6] = ["a", "ab", "b", "ba", "c", "\u{1}"];

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<(usize, i64)>),
    Load(usize),
    /// Borrows the state, and gives it back or not.
    Lend(usize, bool),
    Write,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec((0..NAMES.len(), any::<i64>()), 1..20).prop_map(Step::Add),
        3 => (0..NAMES.len()).prop_map(Step::Load),
        2 => (0..NAMES.len(), any::<bool>()).prop_map(|(name, back)| Step::Lend(name, back)),
        2 => Just(Step::Write),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// With a cache that holds nearly nothing, a little, and everything; with index rows written and not.
    #[test]
    fn a_loaded_aggregate_is_the_fold_of_its_events(
        steps in proptest::collection::vec(any_step(), 1..60), cache_bytes in prop_oneof![Just(0), Just(700), Just(1 << 20)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut shard = Shard::open(directory.path(), cache_bytes);
        let mut model: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for it in steps {
            match it {
                Step::Add(added) => {
                    let added: Vec<(&str, i64)> = added.into_iter().map(|(name, number)| (NAMES[name], number)).collect();
                    shard.add(&added);
                    for (name, number) in added {
                        model.entry(name).or_default().push(number);
                    }
                }
                Step::Load(name) => {
                    let loaded = shard.aggregates.load(&NAMES[name].to_owned()).unwrap();
                    let expected = model.get(NAMES[name]).cloned().unwrap_or_default();
                    prop_assert_eq!(loaded.version, Version(u64::try_from(expected.len()).unwrap()));
                    prop_assert_eq!(loaded.state, &expected);
                }
                Step::Lend(name, back) => {
                    let id = NAMES[name].to_owned();
                    let version = shard.aggregates.load(&id).unwrap().version;
                    let state = shard.aggregates.lend(&id).unwrap();
                    prop_assert_eq!(&state, &model.get(NAMES[name]).cloned().unwrap_or_default());
                    prop_assert!(shard.aggregates.peek(&id).is_none(), "it is not here");
                    if back {
                        shard.aggregates.put(&id, state, version);
                    }
                }
                Step::Write => {
                    shard.writer.step_write();
                }
                Step::Reopen => {
                    shard.writer.shutdown();
                    drop(shard);
                    shard = Shard::open(directory.path(), cache_bytes);
                }
            }
            for (name, expected) in &model {
                let count = u64::try_from(expected.len()).unwrap();
                prop_assert_eq!(shard.store.index().version(SHARD, name.as_bytes()).unwrap(), Version(count));
            }
        }
        // Each version above any other is found once, in order.
        for (name, expected) in &model {
            let count = u64::try_from(expected.len()).unwrap();
            for after in 0..=count {
                let mut versions = Vec::new();
                shard.store.index().runs(SHARD, name.as_bytes(), Version(after), &mut |run| {
                    versions.extend(run.events().map(|(version, _)| version.0).filter(|version| *version > after));
                    Ok(std::ops::ControlFlow::Continue(()))
                }).unwrap();
                prop_assert_eq!(versions, (after + 1..=count).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_passivated_aggregate_comes_back_from_its_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let mut shard = Shard::open(directory.path(), 0);
    let many: Vec<(&str, i64)> = (0..100).map(|number| ("busy", number)).collect();
    for _ in 0..10 {
        shard.add(&many);
        shard.add(&[("other", 1)]);
        step(&shard.writer);
    }
    let stats = shard.aggregates.counters().read();
    assert!(stats.passivations > 0 && stats.snapshots > 0 && stats.aggregates <= 1, "{stats:?}");
    assert!(stats.snapshots <= 1000 / SNAPSHOT_EVENTS + 1, "{stats:?}");
    let numbers = shard.aggregates.load(&"busy".to_owned()).unwrap().state.clone();
    assert_eq!(numbers.len(), 1000);
    shard.writer.shutdown();
    drop(shard);
    let raw = crate::support::open_raw(directory.path());
    let key = [[0, 1].as_slice(), b"busy"].concat();
    assert!(raw.get(raw.family("snapshots"), &key).unwrap().is_some());
    // A damaged snapshot is as good as none.
    let mut batch = raw.batch();
    batch.put(raw.family("snapshots"), &key, b"damaged");
    raw.write(batch, rotabase_engine::db::Durability::Wal).unwrap();
    drop(raw);
    let mut shard = Shard::open(directory.path(), 1 << 20);
    assert_eq!(*shard.aggregates.load(&"busy".to_owned()).unwrap().state, numbers);
    assert_eq!(shard.aggregates.load(&"busy".to_owned()).unwrap().version, Version(1000));
    let stats = shard.aggregates.counters().read();
    assert_eq!((stats.misses, stats.hits), (1, 1));
}

#[test]
fn what_was_decided_on_a_lost_entry_has_not_happened() {
    let directory = tempfile::tempdir().unwrap();
    let mut shard = Shard::open(directory.path(), 1 << 20);
    shard.add(&[("a", 1)]);
    // The entry of sequence 1 was lost, so this one is void, and the next takes its place.
    assert_eq!(shard.commit(entry(2, &[("a", 3, 30)])), Effect::Void);
    assert_eq!(shard.commit(entry(1, &[("a", 2, 20)])), Effect::Events);
    assert_eq!(*shard.aggregates.load(&"a".to_owned()).unwrap().state, [1, 20]);
    assert_eq!(shard.store.index().void_entries(SHARD).unwrap(), [LogIndex(1)]);
    step(&shard.writer);
    assert_eq!(shard.store.index().void_entries(SHARD).unwrap(), [LogIndex(1)]);
    assert_eq!(shard.store.index().applied(SHARD).unwrap().entries, 2);
}

#[test]
fn a_state_that_the_leader_has_folded_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut shard = Shard::open(directory.path(), 1 << 20);
    shard.aggregates.put(&"a".to_owned(), vec![1, 2], Version(2));
    shard.aggregates.put(&"a".to_owned(), vec![1], Version(1));
    assert_eq!(shard.aggregates.load(&"a".to_owned()).unwrap().version, Version(2));
    shard.aggregates.clear();
    assert_eq!(shard.aggregates.load(&"a".to_owned()).unwrap().version, Version(0));
}
