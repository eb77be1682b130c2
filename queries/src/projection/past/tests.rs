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
use super::super::history::Retention;
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

/// What is shown, without where the shards stand and how it came about.
fn contents(rows: &impl ReadRows) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut contents = Vec::new();
    let all = Range { from: Key::table(table::COUNTS), to: Some(Key::table(table::LEG_HISTORY)) };
    rows.visit(&all, Direction::Forward, &mut |key, value| {
        contents.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    contents
}

fn follower(path: &Path, feed: &Arc<MemoryFeed>) -> Follower {
    let store = Store::open(path, 3, &DbOptions::default()).unwrap();
    let mut follower = Follower::open(store, feed.as_feed(), Retention::default()).unwrap();
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
            let shown = past.replayed(at, &never).unwrap();
            prop_assert_eq!(contents(&shown), expected.clone());
            prop_assert_eq!(shown.as_of(), Some(at));
            let restored = now.restored(at, &never).unwrap().expect("all changes are kept");
            prop_assert_eq!(contents(&restored), expected);
            prop_assert_eq!(restored.as_of(), Some(at));
            for shown in [shown, restored] {
                let report = verify(&shown).unwrap();
                prop_assert!(report.is_clean(), "{:?}", report.findings);
            }
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
    let before = past.replayed(at, &never).unwrap();
    assert_eq!(events(&before), 2);
    // Their timestamps are those of the first two.
    feed.append(&late);
    feed.append(&happened[5..]);
    catch_up(&mut now);
    assert_eq!(events(&past.replayed(at, &never).unwrap()), 4);
    assert_eq!(events(&before), 2, "a snapshot stays as it is");
}

#[test]
fn an_instant_to_come_is_now() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(3, 100);
    feed.append(&airports(3));
    let now = follower(&directory.path().join("now"), &feed).snapshot();
    let past = Past::open(directory.path().join("past"), UNBOUNDED, feed.as_feed()).unwrap();
    let shown = past.as_of(Timestamp(u64::MAX), || now.clone(), &never).unwrap();
    assert_eq!(contents(&shown), contents(&now));
    assert_eq!(past.slots.lock().slots.len(), 0, "nothing was replayed");
    assert_eq!(events(&past.as_of(Timestamp(0), || now.clone(), &never).unwrap()), 0);
}

#[test]
fn the_newest_few_are_kept_and_the_others_removed() {
    let directory = tempfile::tempdir().unwrap();
    let happened = airports(10);
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened);
    let root = directory.path().join("past");
    let past = Past::open(root.clone(), UNBOUNDED, feed.as_feed()).unwrap();
    for (before, at) in happened[..8].iter().enumerate() {
        let shown = past.replayed(at.timestamp, &never).unwrap();
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
    let past = Past::open(directory.path().join("past"), UNBOUNDED, feed.as_feed()).unwrap();
    let at = happened[4].timestamp;
    assert!(matches!(past.replayed(at, &|| true), Err(PastError::Stopped)));
    assert_eq!(events(&past.replayed(at, &never).unwrap()), 5);
}

#[test]
fn what_takes_too_much_room_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let happened = airports(10);
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened);
    let root = directory.path().join("past");
    let past = Past::open(root.clone(), 0, feed.as_feed()).unwrap();
    let at = happened[4].timestamp;
    let refused = past.replayed(at, &never);
    assert!(matches!(refused, Err(PastError::TooLarge { bytes_max: 0 })), "{refused:?}");
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
}

/// The same events, a microsecond apart.
fn apart(mut happened: Vec<Happened>) -> Vec<Happened> {
    for (microseconds, it) in (1..).zip(&mut happened) {
        it.timestamp = Timestamp::from_microseconds(microseconds);
    }
    happened
}

fn rows_of(rows: &impl ReadRows, table: u8) -> usize {
    let mut count = 0;
    rows.visit(&Range::prefix(Key::table(table)), Direction::Forward, &mut |_, _| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    count
}

#[test]
fn changes_are_kept_for_as_long_as_is_asked_for_and_histories_for_ever() {
    const KEPT: u64 = 5;
    let directory = tempfile::tempdir().unwrap();
    let happened = apart(airports(40));
    let feed = MemoryFeed::new(3, 100);
    let store = Store::open(&directory.path().join("now"), 3, &DbOptions::default()).unwrap();
    let retention = Retention { microseconds: Some(KEPT), ..Retention::default() };
    let mut follower = Follower::open(store, feed.as_feed(), retention).unwrap();
    for it in &happened {
        feed.append(std::slice::from_ref(it));
        catch_up(&mut follower);
        let kept = rows_of(follower.store(), table::CHANGES);
        assert!(kept <= usize::try_from(KEPT).unwrap() + 1, "{kept} changes are kept");
    }
    let now = follower.snapshot();
    assert_eq!(rows_of(&now, table::AIRPORT_HISTORY), happened.len());
    let past = Past::open(directory.path().join("past"), UNBOUNDED, feed.as_feed()).unwrap();
    let mut restored = 0;
    for it in &happened {
        let replayed = past.replayed(it.timestamp, &never).unwrap();
        if let Some(shown) = now.restored(it.timestamp, &never).unwrap() {
            assert_eq!(contents(&shown), contents(&replayed));
            restored += 1;
        }
        let shown = past.as_of(it.timestamp, || now.clone(), &never).unwrap();
        assert_eq!(contents(&shown), contents(&replayed));
    }
    assert_eq!(restored, KEPT + 1);
}

#[test]
fn a_new_store_keeps_no_changes_that_are_too_old_when_it_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let happened = apart(airports(10));
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened);
    let retention = Retention { after: happened[6].timestamp, ..Retention::default() };
    let open = || {
        let store = Store::open(&directory.path().join("now"), 3, &DbOptions::default()).unwrap();
        let mut follower = Follower::open(store, feed.as_feed(), retention).unwrap();
        catch_up(&mut follower);
        follower.snapshot()
    };
    for _ in 0..2 {
        let now = open();
        assert_eq!(rows_of(&now, table::CHANGES), 3);
        assert!(now.restored(happened[5].timestamp, &never).unwrap().is_none());
        let shown = now.restored(happened[6].timestamp, &never).unwrap().expect("kept");
        assert_eq!(events(&shown), 7);
    }
}

#[test]
fn putting_back_ends_when_the_statement_does() {
    let directory = tempfile::tempdir().unwrap();
    let happened = airports(10);
    let feed = MemoryFeed::new(3, 100);
    feed.append(&happened);
    let now = follower(&directory.path().join("now"), &feed).snapshot();
    let stopped = now.restored(happened[4].timestamp, &|| true);
    assert!(matches!(stopped, Err(PastError::Stopped)));
}
