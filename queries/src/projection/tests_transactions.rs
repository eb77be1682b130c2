//! Transactions over several entries: a reader sees all of one or nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rotabase_engine::db::DbOptions;
use rotabase_engine::entry::{Attempt, Parts, Step};
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, Positions, ShardId};
use rotabase_engine::schedule::AggregateId;
use uuid::Uuid;

use crate::relation::Access;

use super::follower::Follower;
use super::history::Retention;
use super::key::table;
use super::projections::{ProjectionOptions, Projections};
use super::relations::{EventsRelation, Projected as _};
use super::store::Store;
use super::testing::{Action, Happened, MemoryFeed, Model, actions};
use super::tests::{contents, copy_files};

const SHARDS: u16 = 3;

/// One entry, before it has its place.
#[derive(Clone, Debug)]
struct Part {
    shard: ShardId,
    happened: Vec<Happened>,
    step: Step,
}

/// What each statement wrote: one entry, or a transaction over several. `split` says how many events an entry
/// of a transaction holds.
fn parts_of(feed: &MemoryFeed, happened: &[Happened], split: usize) -> Vec<Part> {
    let mut all = Vec::new();
    for (number, statement) in happened.chunk_by(|a, b| a.timestamp == b.timestamp).enumerate() {
        let mut by_shard: BTreeMap<ShardId, Vec<Happened>> = BTreeMap::new();
        for event in statement {
            by_shard.entry(feed.shard_of(&event.aggregate)).or_default().push(event.clone());
        }
        let entries: Vec<(ShardId, Vec<Happened>)> = by_shard
            .into_iter()
            .flat_map(|(shard, events)| {
                events.chunks(split).map(|chunk| (shard, chunk.to_vec())).collect::<Vec<_>>()
            })
            .collect();
        let mut counts: BTreeMap<ShardId, u32> = BTreeMap::new();
        for (shard, _) in &entries {
            *counts.entry(*shard).or_default() += 1;
        }
        let attempt = Attempt(Uuid::from_u128(u128::try_from(number).unwrap() + 1));
        let parts = Parts(counts.into_iter().collect());
        let alone = entries.len() == 1;
        all.extend(entries.into_iter().map(|(shard, happened)| {
            let parts = parts.clone();
            let step =
                if alone { Step::Events } else { Step::Decision { attempt, commit: true, parts } };
            Part { shard, happened, step }
        }));
    }
    all
}

fn aggregates(part: &Part) -> BTreeSet<AggregateId> {
    part.happened.iter().map(|it| it.aggregate).collect()
}

/// The entries with some that stand side by side in a shard changing places, unless they have an aggregate in
/// common: outcomes come in any order.
fn shuffled(mut parts: Vec<Part>, swaps: &[prop::sample::Index]) -> Vec<Part> {
    for swap in swaps {
        if parts.len() < 2 {
            break;
        }
        let at = swap.index(parts.len() - 1);
        let shard = parts[at].shard;
        let Some(next) = (at + 1..parts.len()).find(|next| parts[*next].shard == shard) else {
            continue;
        };
        if aggregates(&parts[at]).is_disjoint(&aggregates(&parts[next])) {
            parts.swap(at, next);
        }
    }
    parts
}

/// The parts that are folded, of all that were appended.
fn folded_parts<'a>(appended: &'a [(Part, LogIndex)], follower: &Follower) -> Vec<&'a Part> {
    let folded = |part: &Part, index| follower.has_folded(part.shard, index);
    appended.iter().filter(|(part, index)| folded(part, *index)).map(|(part, _)| part).collect()
}

fn assert_all_or_nothing(seen: &[&Part]) {
    let mut entries: BTreeMap<Attempt, (u64, u64)> = BTreeMap::new();
    for part in seen {
        if let Some((attempt, parts)) = part.step.committed() {
            let counted = entries.entry(attempt).or_insert((0, parts.entries()));
            counted.0 += 1;
        }
    }
    for (attempt, (seen, all)) in entries {
        assert_eq!(seen, all, "transaction {attempt} is shown in part");
    }
}

fn open(path: &Path, feed: &Arc<MemoryFeed>, batch_bytes: usize, held_bytes: usize) -> Follower {
    let store = Store::open(path, SHARDS, &DbOptions::default()).unwrap();
    Follower::open(store, feed.as_feed(), Retention::default())
        .unwrap()
        .with_batch_bytes(batch_bytes)
        .with_held_bytes(held_bytes)
}

/// The rows that entries give in another process, from the beginning.
fn folded(path: &Path, parts: &[&Part]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let feed = MemoryFeed::new(SHARDS, 100);
    for part in parts {
        feed.append_entry(part.shard, &part.happened, part.step.clone());
    }
    let mut follower = open(path, &feed, usize::MAX, usize::MAX);
    while follower.step().unwrap() {}
    contents(&follower.snapshot())
}

/// Moves between aggregates, which mostly live in different shards.
fn moving(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Action>> {
    actions(count).prop_map(|mut actions| {
        let rotations = (0..3).map(|rotation| Action::CreateRotation(rotation, 1));
        let legs = (0..8).map(|leg| Action::Schedule {
            leg,
            flight: leg % 2,
            day: leg / 2,
            from: 0,
            to: 1,
            departure: leg * 5,
            minutes: 20,
        });
        actions.splice(0..0, rotations.chain(legs));
        actions
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_holds_all_of_a_transaction_or_nothing(
        actions in moving(20..80),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        split in 1usize..4,
        order in prop::collection::vec((0..SHARDS, 1usize..4, 0u8..20), 30..60),
        batch_bytes in prop_oneof![Just(1usize), Just(2000), Just(usize::MAX)],
        held_bytes in prop_oneof![Just(0usize), Just(800), Just(usize::MAX)],
        read_max in 1usize..5,
        together_from in prop_oneof![Just(0usize), Just(usize::MAX)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let feed = MemoryFeed::new(SHARDS, read_max);
        let open = |path: &Path, feed: &Arc<MemoryFeed>, batch_bytes, held_bytes| {
            open(path, feed, batch_bytes, held_bytes).together_from(together_from)
        };
        let parts = shuffled(parts_of(&feed, &Model::of(&actions).happened, split), &swaps);
        let mut queues: BTreeMap<ShardId, Vec<Part>> = BTreeMap::new();
        for part in parts.into_iter().rev() {
            queues.entry(part.shard).or_default().push(part);
        }
        let mut appended = Vec::new();
        let mut kept = open(&directory.path().join("0"), &feed, batch_bytes, held_bytes);
        let mut saved = 0;
        let mut turns = order.iter().cycle();
        let mut shown = Vec::new();
        let mut turn = 0;
        while queues.values().any(|queue| !queue.is_empty()) || !kept.is_caught_up() {
            let (shard, count, event) = turns.next().unwrap();
            let queue = queues.entry(ShardId(*shard)).or_default();
            for part in queue.drain(queue.len().saturating_sub(*count)..).rev() {
                feed.append_entry(part.shard, &part.happened, part.step.clone());
                let index = feed.committed(part.shard);
                appended.push((part, index));
            }
            kept.step().unwrap();
            turn += 1;
            if kept.is_whole() {
                let seen = folded_parts(&appended, &kept);
                assert_all_or_nothing(&seen);
                let snapshot = kept.snapshot();
                if turn % 24 == 0 && turn <= order.len() {
                    let counted = snapshot.count(super::Count::Events).unwrap();
                    prop_assert_eq!(u64::try_from(events(&kept)).unwrap(), counted);
                    let rows = folded(&directory.path().join(format!("f{turn}")), &seen);
                    // Histories say where in the log an event stands, which here is elsewhere.
                    let state = |rows: Vec<(Vec<u8>, Vec<u8>)>| {
                        let is_state = |table| {
                            (table::COUNTS..table::LEG_HISTORY).contains(&table) && table != table::HELD
                        };
                        rows.into_iter().filter(|(key, _)| is_state(key[0])).collect::<Vec<_>>()
                    };
                    prop_assert_eq!(state(contents(&snapshot)), state(rows));
                }
                shown = contents(&snapshot);
            }
            match event {
                // It comes to an end.
                _ if turn > order.len() => {}
                // All that was written is on disk, and a crash leaves that.
                0 => {
                    let path = kept.store().path().to_owned();
                    drop(kept);
                    saved += 1;
                    copy_files(&path, &directory.path().join(format!("saved{saved}")));
                    kept = open(&path, &feed, batch_bytes, held_bytes);
                }
                // The crash.
                1 => {
                    drop(kept);
                    kept = open(&directory.path().join(format!("saved{saved}")), &feed, batch_bytes, held_bytes);
                    saved += 1;
                }
                _ => {}
            }
        }
        let all: Vec<&Part> = appended.iter().map(|(part, _)| part).collect();
        assert_all_or_nothing(&all);
        prop_assert_eq!(kept.waiting().0, 0, "nothing waits once everything has come");
        prop_assert_eq!(shown, contents(&kept.snapshot()), "what was shown last");
        let mut anew = open(&directory.path().join("anew"), &feed, usize::MAX, held_bytes)
            .together_from(usize::MAX);
        while anew.step().unwrap() {}
        prop_assert!(anew.is_caught_up());
        prop_assert_eq!(contents(kept.store()), contents(anew.store()), "as folded anew");
    }
}

/// Transactions that create a rotation in shard 0 and one in shard 1 each.
fn transactions(feed: &MemoryFeed, count: usize) -> Vec<[Part; 2]> {
    let created = (0..).map(|rotation| Action::CreateRotation(rotation, 1)).take(count * 12);
    let created = Model::of(&created.collect::<Vec<_>>()).happened;
    let mut of = [0, 1].map(|shard| {
        created.iter().filter(move |it| feed.shard_of(&it.aggregate) == ShardId(shard)).cloned()
    });
    let transaction = |number: usize| {
        let parts = Parts(vec![(ShardId(0), 1), (ShardId(1), 1)]);
        let attempt = Attempt(Uuid::from_u128(u128::try_from(number).unwrap() + 1));
        let timestamp = created[number].timestamp;
        [0, 1].map(|shard: u16| {
            let mut event = of[usize::from(shard)].next().expect("there are enough");
            event.timestamp = timestamp;
            let step = Step::Decision { attempt, commit: true, parts: parts.clone() };
            Part { shard: ShardId(shard), happened: vec![event], step }
        })
    };
    (0..count).map(transaction).collect()
}

fn append(feed: &MemoryFeed, part: &Part) {
    feed.append_entry(part.shard, &part.happened, part.step.clone());
}

fn rotations(follower: &mut Follower) -> u64 {
    while follower.step().unwrap() {}
    assert!(follower.is_whole());
    follower.snapshot().count(super::Count::Rotations).unwrap()
}

/// The rows of `events`.
fn events(follower: &Follower) -> usize {
    let relation = EventsRelation::of(&Arc::default());
    let mut scan = relation.scan(&follower.snapshot(), &Access::Full, &[0]).unwrap();
    let mut rows = Vec::new();
    while scan.next(10, &mut rows).unwrap() {}
    rows.len()
}

#[test]
fn each_of_two_transactions_in_opposite_order_is_shown_when_it_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(SHARDS, 10);
    let mut follower = open(directory.path(), &feed, usize::MAX, usize::MAX);
    let transactions = transactions(&feed, 2);
    append(&feed, &transactions[0][0]);
    append(&feed, &transactions[1][1]);
    assert_eq!((rotations(&mut follower), follower.waiting().0), (0, 2));
    append(&feed, &transactions[0][1]);
    assert_eq!((rotations(&mut follower), follower.waiting().0), (2, 1));
    assert_eq!(follower.waiting().1, BTreeMap::from([(ShardId(0), 1)]));
    append(&feed, &transactions[1][0]);
    assert_eq!((rotations(&mut follower), follower.waiting().0), (4, 0));
    assert!(follower.is_caught_up() && follower.waiting().1.is_empty());
}

#[test]
fn transactions_that_overlap_without_end_hold_nothing_up() {
    const COUNT: usize = 20;
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(SHARDS, 10);
    let mut follower = open(directory.path(), &feed, usize::MAX, usize::MAX);
    let transactions = transactions(&feed, COUNT);
    let mut positions = follower.positions().clone();
    for number in 0..COUNT {
        // They are decided in one shard or the other in turn, and end in the other one a little later: at no time
        // is there none under way, and no state of the shards has all of each or nothing.
        append(&feed, &transactions[number][number % 2]);
        if let Some(before) = number.checked_sub(1) {
            append(&feed, &transactions[before][number % 2]);
        }
        assert_eq!(rotations(&mut follower), 2 * u64::try_from(number).unwrap());
        assert_eq!(follower.waiting().0, 1);
        if number >= 2 {
            assert!(!positions.covers(follower.positions()), "it goes on");
        }
        positions = follower.positions().clone();
    }
}

#[test]
fn only_what_depends_on_a_transaction_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(SHARDS, 10);
    let mut follower = open(directory.path(), &feed, usize::MAX, usize::MAX);
    let transactions = transactions(&feed, 2);
    append(&feed, &transactions[0][0]);
    let mut renamed = transactions[0][0].happened.clone();
    let name = Some("renamed".to_owned());
    renamed[0].event = rotabase_engine::schedule::Event::RotationRenamed { name };
    renamed[0].version = renamed[0].version.next();
    feed.append_entry(ShardId(0), &renamed, Step::Events);
    feed.append_entry(ShardId(0), &transactions[1][0].happened, Step::Events);
    assert_eq!(rotations(&mut follower), 1, "what has nothing to do with it");
    let counted = follower.snapshot().count(super::Count::Events).unwrap();
    assert_eq!((counted, events(&follower)), (1, 1), "the log is shown as far as it is folded");
    let before = follower.positions().clone();
    // So it stays when the process ends.
    follower.store().flush().unwrap();
    drop(follower);
    let mut follower = open(directory.path(), &feed, usize::MAX, usize::MAX);
    assert_eq!((rotations(&mut follower), events(&follower)), (1, 1));
    assert_eq!(*follower.positions(), before, "no further than to the first that waits");
    append(&feed, &transactions[0][1]);
    assert_eq!((rotations(&mut follower), events(&follower)), (3, 4));
    assert!(follower.positions().get(ShardId(0)) > before.get(ShardId(0)));
    let AggregateId::Rotation(id) = renamed[0].aggregate else { panic!("a rotation") };
    let row = follower.snapshot().rotation(id).unwrap().expect("it is there");
    assert_eq!(row.name.as_deref(), Some("renamed"));
}

#[test]
fn nothing_is_shown_after_a_crash_until_the_transaction_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(SHARDS, 10);
    let one = transactions(&feed, 1).remove(0);
    append(&feed, &one[0]);
    let path = super::store::directory(directory.path(), 1);
    // Too large to wait in memory.
    let mut follower = open(&path, &feed, usize::MAX, 0);
    while follower.step().unwrap() {}
    follower.store().flush().unwrap();
    drop(follower);
    let projections =
        Projections::open(directory.path(), feed.as_feed(), ProjectionOptions::default()).unwrap();
    let status = projections.status();
    assert_eq!((status.open_transactions, status.awaited), (1, vec![(ShardId(1), 1)]));
    assert!(!status.complete && !projections.reached(&Positions::default()));
    assert_eq!(contents(&projections.snapshot()), []);
    let (sender, receiver) = std::sync::mpsc::channel();
    let ready = Box::new(move |answer: super::rows::Result<()>| {
        let _ = sender.send(answer.is_ok());
    });
    let _guard = projections.wait_for(&Positions::default(), ready).unwrap();
    append(&feed, &one[1]);
    assert!(receiver.recv_timeout(super::tests::DEADLINE).expect("it is complete"));
    assert_eq!(projections.status().open_transactions, 0);
    assert_eq!(projections.snapshot().count(super::Count::Rotations).unwrap(), 2);
}
