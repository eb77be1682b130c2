//! Past instants against the fold of what had happened by then.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rotabase_engine::db::DbOptions;
use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::AggregateId;

use super::super::count::Count;
use super::super::follower::Follower;
use super::super::key::{Key, table};
use super::super::rows::{Direction, Range, ReadRows};
use super::super::snapshot::Snapshot;
use super::super::store::Store;
use super::super::testing::{Action, Happened, MemoryFeed, Model, actions};
use super::super::verify::verify;
use super::{PAST_STORES_MAX, Past, PastError};

const UNBOUNDED: u64 = u64::MAX;

fn never() -> bool {
    false
}

/// What is shown, without where the shards stand.
fn contents(rows: &impl ReadRows) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut contents = Vec::new();
    let all = Range { from: Key::table(table::COUNTS), to: None };
    rows.visit(&all, Direction::Forward, &mut |key, value| {
        contents.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    contents
}

fn follower(path: &Path, feed: &Arc<MemoryFeed>) -> Follower {
    let store = Store::open(path, 3, &DbOptions::default()).unwrap();
    let mut follower = Follower::open(store, feed.as_feed()).unwrap();
    catch_up(&mut follower);
    follower
}

fn catch_up(follower: &mut Follower) {
    while follower.step().unwrap() {}
}

/// The rows that there were once exactly this had happened.
fn folded(directory: &Path, happened: &[Happened]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let feed = MemoryFeed::new(3, 100);
    feed.append(happened);
    contents(&follower(directory, &feed).snapshot())
}

fn until(happened: &[Happened], at: Timestamp) -> Vec<Happened> {
    happened.iter().filter(|it| it.timestamp <= at).cloned().collect()
}

/// The same events with those of some aggregates later in the log than their timestamps say, as where a transaction
/// over several shards takes effect: within each aggregate the order stays.
fn delayed(happened: &[Happened], by: &[usize]) -> Vec<Happened> {
    let place = |aggregate: &AggregateId| match aggregate {
        AggregateId::Airport(_) => by[0],
        AggregateId::Airplane(_) => by[1],
        AggregateId::Rotation(id) => by[2] + usize::from(id.0.as_bytes()[15] % 2),
        AggregateId::Flight(_) => by[3],
    };
    let mut placed: Vec<(usize, usize, &Happened)> =
        happened.iter().enumerate().map(|(at, it)| (at + place(&it.aggregate), at, it)).collect();
    placed.sort_by_key(|(place, at, _)| (*place, *at));
    placed.into_iter().map(|(.., it)| it.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn an_instant_shows_what_had_happened_by_then(
        actions in actions(20..90),
        by in prop::collection::vec(0usize..20, 4),
        at in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let happened = Model::of(&actions).happened;
        prop_assume!(!happened.is_empty());
        let feed = MemoryFeed::new(3, 2);
        feed.append(&delayed(&happened, &by));
        let now = follower(&directory.path().join("now"), &feed).snapshot();
        let past = Past::open(directory.path().join("past"), UNBOUNDED, feed.as_feed()).unwrap();
        for (number, at) in at.iter().enumerate() {
            let at = happened[at.index(happened.len())].timestamp;
            let expected = folded(&directory.path().join(format!("folded{number}")), &until(&happened, at));
            let shown = past.as_of(at, &now, &never).unwrap();
            prop_assert_eq!(contents(&shown), expected);
            prop_assert_eq!(shown.as_of(), Some(at));
            let report = verify(&shown).unwrap();
            prop_assert!(report.is_clean(), "{:?}", report.findings);
        }
    }
}

/// Airports, one after the other.
fn airports(count: u8) -> Vec<Happened> {
    let mut actions = vec![Action::RegisterAirport(0, 0)];
    actions.extend((1..count).map(|change| Action::ChangeAirport(0, change % 200)));
    Model::of(&actions).happened
}

fn events(snapshot: &Snapshot) -> u64 {
    snapshot.count(Count::Events).unwrap()
}

#[test]
fn what_comes_in_late_is_shown_when_its_time_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let happened = airports(8);
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened[..5]);
    let late =
        Model::of(&[Action::RegisterAirplane(0, 1), Action::RegisterAirplane(1, 1)]).happened;
    let mut now = follower(&directory.path().join("now"), &feed);
    let past = Past::open(directory.path().join("past"), UNBOUNDED, feed.as_feed()).unwrap();
    let at = happened[1].timestamp;
    let before = past.as_of(at, &now.snapshot(), &never).unwrap();
    assert_eq!(events(&before), 2);
    // Their timestamps are those of the first two.
    feed.append(&late);
    feed.append(&happened[5..]);
    catch_up(&mut now);
    assert_eq!(events(&past.as_of(at, &now.snapshot(), &never).unwrap()), 4);
    assert_eq!(events(&before), 2, "a snapshot stays as it is");
}

#[test]
fn an_instant_to_come_is_now() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(3, 100);
    feed.append(&airports(3));
    let now = follower(&directory.path().join("now"), &feed).snapshot();
    let past = Past::open(directory.path().join("past"), UNBOUNDED, feed.as_feed()).unwrap();
    let shown = past.as_of(Timestamp(u64::MAX), &now, &never).unwrap();
    assert_eq!(contents(&shown), contents(&now));
    assert_eq!(past.slots.lock().slots.len(), 0, "nothing was replayed");
    assert_eq!(events(&past.as_of(Timestamp(0), &now, &never).unwrap()), 0);
}

#[test]
fn the_newest_few_are_kept_and_the_others_removed() {
    let directory = tempfile::tempdir().unwrap();
    let happened = airports(10);
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened);
    let now = follower(&directory.path().join("now"), &feed).snapshot();
    let root = directory.path().join("past");
    let past = Past::open(root.clone(), UNBOUNDED, feed.as_feed()).unwrap();
    for (before, at) in happened[..8].iter().enumerate() {
        let shown = past.as_of(at.timestamp, &now, &never).unwrap();
        assert_eq!(events(&shown), u64::try_from(before).unwrap() + 1);
    }
    let kept = || std::fs::read_dir(&root).unwrap().count();
    assert_eq!(kept(), PAST_STORES_MAX);
    drop(past);
    // A crash leaves them, and the next start removes them.
    assert_eq!(kept(), PAST_STORES_MAX);
    let _past = Past::open(root.clone(), UNBOUNDED, feed.as_feed()).unwrap();
    assert!(!root.exists());
}

#[test]
fn a_replay_that_was_stopped_goes_on_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let happened = airports(10);
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened);
    let now = follower(&directory.path().join("now"), &feed).snapshot();
    let past = Past::open(directory.path().join("past"), UNBOUNDED, feed.as_feed()).unwrap();
    let at = happened[4].timestamp;
    assert!(matches!(past.as_of(at, &now, &|| true), Err(PastError::Stopped)));
    assert_eq!(events(&past.as_of(at, &now, &never).unwrap()), 5);
}

#[test]
fn what_takes_too_much_room_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let happened = airports(10);
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened);
    let now = follower(&directory.path().join("now"), &feed).snapshot();
    let root = directory.path().join("past");
    let past = Past::open(root.clone(), 0, feed.as_feed()).unwrap();
    let at = happened[4].timestamp;
    let refused = past.as_of(at, &now, &never);
    assert!(matches!(refused, Err(PastError::TooLarge { bytes_max: 0 })), "{refused:?}");
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
}
