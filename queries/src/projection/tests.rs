//! The projections as a whole: store, follower, thread, snapshots.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;
use rotabase_engine::db::{Db, DbOptions, Durability, FamilyOptions, KeyRange, StoreError};
use rotabase_engine::entry::Step;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{Positions, ShardId, Version};
use rotabase_engine::schedule::AggregateId;

use super::follower::Follower;
use super::key::{Key, table};
use super::rows::{Direction, Range, ReadRows};
use super::store::{Store, directories};
use super::testing::{
    Action, Happened, MemoryFeed, Model, actions, leg_id, leg_of, registration, rotation,
};
use super::*;

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

fn follower(path: &Path, feed: &Arc<MemoryFeed>) -> Follower {
    let store = Store::open(path, feed.shards(), &DbOptions::default()).unwrap();
    Follower::open(store, feed.as_feed(), Retention::default()).unwrap()
}

fn catch_up(follower: &mut Follower) {
    while follower.step().unwrap() {}
    assert!(follower.is_caught_up());
}

/// All keys and values of a store but what is said of the store itself.
pub(super) fn contents(rows: &impl ReadRows) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut contents = Vec::new();
    let all = Range { from: Key::table(table::POSITIONS), to: None };
    rows.visit(&all, Direction::Forward, &mut |key, value| {
        contents.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    contents
}

pub(super) fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn planned(count: u8) -> Vec<Happened> {
    let mut actions =
        vec![Action::CreateRotation(0, 1), Action::RegisterAirplane(0, 1), Action::Assign(0, 0)];
    for leg in 0..count {
        actions.push(Action::Schedule {
            leg,
            flight: 0,
            day: leg,
            from: 0,
            to: 1,
            departure: leg * 5,
            minutes: 20,
        });
        if leg % 2 == 0 {
            actions.push(Action::Move(leg, [Some(0), Some(0)]));
        }
    }
    Model::of(&actions).happened
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn rows_folded_anew_equal_rows_kept_up_to_date(
        actions in actions(20..120),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        read_max in 1usize..5,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let happened = Model::of(&actions).happened;
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(happened.len() + 1)).collect();
        cuts.extend([0, happened.len()]);
        cuts.sort_unstable();
        let feed = MemoryFeed::new(3, read_max);
        let mut kept = follower(&directory.path().join("kept"), &feed);
        for span in cuts.windows(2) {
            feed.append(&happened[span[0]..span[1]]);
            catch_up(&mut kept);
        }
        let mut anew = follower(&directory.path().join("anew"), &feed);
        catch_up(&mut anew);
        prop_assert_eq!(contents(kept.store()), contents(anew.store()));
        prop_assert_eq!(kept.positions(), anew.positions());
        let report = verify(&kept.snapshot()).unwrap();
        prop_assert!(report.is_clean(), "{:?}", report.findings);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn events_folded_together_give_the_rows_of_events_folded_one_by_one(
        actions in actions(20..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        alternate: bool,
        ingests: bool,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let happened = Model::of(&actions).happened;
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(happened.len() + 1)).collect();
        cuts.extend([0, happened.len()]);
        cuts.sort_unstable();
        let feed = MemoryFeed::new(3, 1000);
        let open = |name: &str| follower(&directory.path().join(name), &feed);
        let path = directory.path().join("together");
        let store = Store::open(&path, feed.shards(), &DbOptions::default()).unwrap();
        let store = store.ingesting_from(if ingests { 0 } else { usize::MAX });
        let together = Follower::open(store, feed.as_feed(), Retention::default()).unwrap();
        let mut together = together.together_from(0);
        let mut singly = open("singly").together_from(usize::MAX);
        for (number, span) in cuts.windows(2).enumerate() {
            feed.append(&happened[span[0]..span[1]]);
            let min = if alternate && number % 2 == 1 { usize::MAX } else { 0 };
            together = together.together_from(min);
            catch_up(&mut together);
            catch_up(&mut singly);
            prop_assert_eq!(contents(together.store()), contents(singly.store()));
        }
        let report = verify(&together.snapshot()).unwrap();
        prop_assert!(report.is_clean(), "{:?}", report.findings);
    }
}

#[test]
fn what_was_decided_first_is_read_first() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(2, 1);
    let rotations: Vec<Action> =
        (0..8).map(|rotation| Action::CreateRotation(rotation, 1)).collect();
    let happened = Model::of(&rotations).happened;
    // What came to the first shard late and to the second early.
    for (shard, half) in [(1, &happened[..4]), (0, &happened[4..])] {
        for event in half {
            feed.append_entry(ShardId(shard), std::slice::from_ref(event), Step::Events);
        }
    }
    let mut follower = follower(&directory.path().join("rows"), &feed).with_batch_bytes(1);
    // Nothing is known of the first shard before one of it is read.
    for _ in 0..5 {
        assert!(follower.step().unwrap());
    }
    let is_read = |shard| follower.read_to().get(shard).index() >= feed.committed(shard);
    assert!(is_read(ShardId(1)) && !is_read(ShardId(0)));
    catch_up(&mut follower);
    assert_eq!(follower.snapshot().count(Count::Rotations).unwrap(), 8);
}

#[test]
fn a_crash_loses_rows_and_positions_together() {
    let directory = tempfile::tempdir().unwrap();
    let happened = planned(8);
    let feed = MemoryFeed::new(3, 2);
    let mut kept = follower(&directory.path().join("kept"), &feed);
    feed.append(&happened[..happened.len() / 2]);
    catch_up(&mut kept);
    kept.store().flush().unwrap();
    feed.append(&happened[happened.len() / 2..]);
    catch_up(&mut kept);
    // What is on disk now is all that a crash leaves.
    copy_files(&directory.path().join("kept"), &directory.path().join("crashed"));
    let mut crashed = follower(&directory.path().join("crashed"), &feed);
    assert!(!crashed.positions().covers(kept.positions()), "the last rows were not on disk");
    catch_up(&mut crashed);
    assert_eq!(contents(crashed.store()), contents(kept.store()));
}

#[test]
fn a_damaged_row_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(1, 100);
    feed.append(&planned(4));
    let mut follower = follower(directory.path(), &feed);
    catch_up(&mut follower);
    follower.store().flush().unwrap();
    drop(follower);
    {
        let db = Db::open(
            directory.path(),
            &[FamilyOptions::new("rows").bloom()],
            &DbOptions::default(),
        )
        .unwrap();
        let family = db.family("rows");
        let key = Key::leg(leg_id(1));
        let mut value = db.get(family, &key).unwrap().unwrap().to_vec();
        value[40] ^= 1;
        let mut batch = db.batch();
        batch.put(family, &key, &value);
        db.write(batch, Durability::NoWal).unwrap();
        // And the right bytes at a wrong place.
        assert!(
            db.first(&KeyRange::all(family), rotabase_engine::db::Direction::Forward)
                .unwrap()
                .is_some()
        );
        db.flush(&[family]).unwrap();
    }
    let store = Store::open(directory.path(), 1, &DbOptions::default()).unwrap();
    let snapshot = Follower::open(store, feed, Retention::default()).unwrap().snapshot();
    assert!(matches!(snapshot.leg(leg_id(1)), Err(StoreError::Corrupted(_))));
    assert!(matches!(verify(&snapshot), Err(StoreError::Corrupted(_))));
    assert!(snapshot.leg(leg_id(2)).unwrap().is_some());
}

#[test]
fn look_ups_find_what_commands_need() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(3, 100);
    feed.append(&planned(4));
    let mut follower = follower(directory.path(), &feed);
    catch_up(&mut follower);
    let snapshot = follower.snapshot();
    let leg = leg_of(2, 0, 2, 0, 1, 10, 20);
    let found = snapshot.leg(leg.id).unwrap().unwrap();
    assert_eq!((found.leg, found.rotation()), (leg, Some(rotation(0))));
    assert_eq!(snapshot.legs_by_designator(&leg.designator).unwrap(), [found]);
    let of_rotation = snapshot.legs_of_rotation(rotation(0)).unwrap();
    assert_eq!(
        of_rotation.iter().map(|row| row.leg.id).collect::<Vec<_>>(),
        [leg_id(0), leg_id(2)]
    );
    assert_eq!(snapshot.rotations_named("R1", 2).unwrap(), [rotation(0)]);
    assert_eq!(snapshot.rotations_named("R", 2).unwrap(), []);
    let row = snapshot.rotation(rotation(0)).unwrap().unwrap();
    assert_eq!((row.legs, row.last_arrival), (2, Some(leg.block.arrival())));
    assert_eq!(
        snapshot.airplanes_of_rotation(rotation(0)).unwrap()[0].registration,
        registration(0)
    );
    assert_eq!(snapshot.version(&AggregateId::Rotation(rotation(0))).unwrap(), Version(3));
    assert_eq!(snapshot.version(&AggregateId::Rotation(rotation(1))).unwrap(), Version(0));
    assert_eq!(snapshot.count(Count::Legs).unwrap(), 4);
}

#[test]
fn a_transaction_sees_its_own_events_and_nobody_else_does() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(3, 100);
    let happened = planned(4);
    let (before, own) = happened.split_at(happened.len() - 3);
    feed.append(before);
    let mut follower = follower(&directory.path().join("block"), &feed);
    catch_up(&mut follower);
    let outside = follower.snapshot();
    let mut inside = outside.clone();
    for Happened { aggregate, version, timestamp, event } in own {
        inside = inside.with(*timestamp, &[(*aggregate, *version, event.clone())]).unwrap();
    }
    assert!(super::verify::check(&inside).unwrap().is_clean());
    feed.append(own);
    catch_up(&mut follower);
    let rows = |snapshot: &Snapshot| {
        let mut contents = contents(snapshot);
        // What is not stored has no history yet.
        contents.retain(|(key, _)| key[0] != table::POSITIONS && key[0] < table::LEG_HISTORY);
        contents
    };
    assert_eq!(rows(&inside), rows(&follower.snapshot()));
    assert_ne!(rows(&inside), rows(&outside));
}

fn wait(projections: &Projections, positions: &Positions) {
    let (sender, receiver) = mpsc::channel();
    let ready = Box::new(move |answer: Result<(), StoreError>| {
        let _ = sender.send(answer.is_ok());
    });
    let _guard = projections.wait_for(positions, ready).unwrap();
    assert!(receiver.recv_timeout(DEADLINE).expect("positions are reached"));
}

fn committed(feed: &MemoryFeed) -> Positions {
    let mut positions = Positions::start(feed.shards());
    for shard in (0..feed.shards()).map(rotabase_engine::position::ShardId) {
        positions
            .advance(shard, rotabase_engine::position::Position::end_of(feed.committed(shard)));
    }
    positions
}

#[test]
fn the_thread_follows_and_tells_who_waits() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(3, 2);
    let projections =
        Projections::open(directory.path(), feed.as_feed(), ProjectionOptions::default()).unwrap();
    let before = projections.snapshot();
    for part in planned(20).chunks(7) {
        feed.append(part);
        wait(&projections, &committed(&feed));
        assert!(projections.reached(&committed(&feed)));
        assert_eq!(projections.status().lag_entries(), 0);
    }
    assert_eq!(before.count(Count::Events).unwrap(), 0, "a snapshot stays as it is");
    let status = projections.status();
    assert_eq!((status.lag_entries(), status.failure.is_none()), (0, true));
    assert_eq!(status.folded.events, projections.snapshot().count(Count::Events).unwrap());
    let contents_before = contents(&projections.snapshot());
    projections.shutdown();
    drop((before, projections));

    let projections =
        Projections::open(directory.path(), feed, ProjectionOptions::default()).unwrap();
    assert_eq!(contents(&projections.snapshot()), contents_before);
}

#[test]
fn a_rebuilt_generation_takes_over_and_the_old_one_goes() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(3, 2);
    feed.append(&planned(10));
    // Of a version that is not ours, and of a crash.
    std::fs::create_dir_all(directory.path().join("0.3")).unwrap();
    let projections =
        Projections::open(directory.path(), feed.as_feed(), ProjectionOptions::default()).unwrap();
    wait(&projections, &committed(&feed));
    let old = projections.snapshot();
    let before = contents(&old);
    assert!(projections.rebuild().unwrap());
    let mut seen = feed.generation();
    while projections.status().rebuilding {
        assert!(projections.status().failure.is_none());
        seen = feed.wait(seen, Duration::from_millis(10));
    }
    assert_eq!(contents(&projections.snapshot()), before);
    assert_eq!(contents(&old), before, "who reads the old generation goes on reading it");
    let generations = || {
        directories(directory.path())
            .unwrap()
            .into_iter()
            .map(|(version, it, _)| (version, it))
            .collect::<Vec<_>>()
    };
    assert_eq!(generations(), [(PROJECTION_VERSION, 1), (PROJECTION_VERSION, 2)]);
    drop(old);
    assert_eq!(generations(), [(PROJECTION_VERSION, 2)]);
    feed.append(&[]);
    wait(&projections, &committed(&feed));
}

#[test]
fn an_undecodable_event_stops_the_projections_and_tells_why() {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(1, 10);
    let projections =
        Projections::open(directory.path(), feed.as_feed(), ProjectionOptions::default()).unwrap();
    let mut happened = planned(1);
    // An airplane's event in the log of a rotation.
    happened[1].aggregate = happened[0].aggregate;
    feed.append(&happened);
    let (sender, receiver) = mpsc::channel();
    let ready = Box::new(move |answer| {
        let _ = sender.send(answer);
    });
    let _guard = projections.wait_for(&committed(&feed), ready).unwrap();
    assert!(matches!(receiver.recv_timeout(DEADLINE).unwrap(), Err(StoreError::Corrupted(_))));
    assert!(projections.status().failure.is_some());
}
