use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use rotabase_engine::db::DbOptions;
use rotabase_engine::position::{LogIndex, Position, ShardId};

use crate::relation::{Access, Bound};
use crate::types::Datum;

use super::super::follower::Follower;
use super::super::history::Retention;
use super::super::snapshot::Snapshot;
use super::super::store::Store;
use super::super::testing::{Action, MemoryFeed, Model, actions, leg_id, rotation};
use super::events::EventsRelation;
use super::schedule_violations::ScheduleViolationsRelation;
use super::table::{Estimates, Projected, TableRelation};
use super::tables;

fn snapshot(actions: &[Action], read_max: usize) -> (tempfile::TempDir, Arc<MemoryFeed>, Snapshot) {
    let directory = tempfile::tempdir().unwrap();
    let feed = MemoryFeed::new(3, read_max);
    feed.append(&Model::of(actions).happened);
    let store = Store::open(directory.path(), 3, &DbOptions::default()).unwrap();
    let mut follower = Follower::open(store, feed.as_feed(), Retention::default()).unwrap();
    while follower.step().unwrap() {}
    let snapshot = follower.snapshot();
    (directory, feed, snapshot)
}

fn all_relations() -> Vec<Box<dyn Projected>> {
    fn boxed<P: Projected + 'static>(relation: P) -> Box<dyn Projected> {
        Box::new(relation)
    }
    let estimates = Arc::new(Estimates::default());
    vec![
        boxed(TableRelation::<tables::Airports>::of(&estimates)),
        boxed(TableRelation::<tables::Airplanes>::of(&estimates)),
        boxed(TableRelation::<tables::Rotations>::of(&estimates)),
        boxed(TableRelation::<tables::Legs>::of(&estimates)),
        boxed(EventsRelation::of(&estimates)),
        boxed(TableRelation::<tables::ContinuityViolations>::of(&estimates)),
        boxed(TableRelation::<tables::GroundTimeViolations>::of(&estimates)),
        boxed(TableRelation::<tables::DesignatorViolations>::of(&estimates)),
        boxed(ScheduleViolationsRelation::of(&estimates)),
    ]
}

/// The rows that a scan gives.
fn rows(
    relation: &dyn Projected,
    snapshot: &Snapshot,
    access: &Access,
    columns: &[usize],
    at_once: usize,
) -> Vec<Vec<Datum>> {
    let mut scan = relation.scan(snapshot, access, columns).unwrap();
    let mut values = Vec::new();
    while scan.next(at_once, &mut values).unwrap() {}
    values.chunks(columns.len()).map(<[Datum]>::to_vec).collect()
}

/// A value that compares as its column does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sortable {
    Number(i64),
    Text(String),
    Uuid(uuid::Uuid),
    Null,
}

fn sortable(value: &Datum) -> Sortable {
    match value {
        Datum::Null => Sortable::Null,
        Datum::Int4(number) | Datum::Date(number) => Sortable::Number(i64::from(*number)),
        Datum::Int8(number) | Datum::TimestampTz(number) => Sortable::Number(*number),
        Datum::Text(text) => Sortable::Text(text.to_string()),
        Datum::Uuid(id) => Sortable::Uuid(*id),
        other => Sortable::Text(format!("{other:?}")),
    }
}

fn written(rows: &[Vec<Datum>]) -> Vec<Vec<Sortable>> {
    rows.iter().map(|row| row.iter().map(sortable).collect()).collect()
}

fn sorted(rows: &[Vec<Datum>]) -> Vec<Vec<Sortable>> {
    let mut rows = written(rows);
    rows.sort();
    rows
}

fn bound(kind: u8, value: &Datum) -> Bound {
    match kind % 3 {
        0 => Bound::Open,
        1 => Bound::Included(value.clone()),
        _ => Bound::Excluded(value.clone()),
    }
}

fn above(value: &Datum, bound: &Bound) -> bool {
    match bound {
        Bound::Open => true,
        Bound::Included(bound) => sortable(value) >= sortable(bound),
        Bound::Excluded(bound) => sortable(value) > sortable(bound),
    }
}

fn below(value: &Datum, bound: &Bound) -> bool {
    match bound {
        Bound::Open => true,
        Bound::Included(bound) => sortable(value) <= sortable(bound),
        Bound::Excluded(bound) => sortable(value) < sortable(bound),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_index_gives_what_a_full_scan_and_a_filter_give(
        actions in actions(40..140),
        read_max in 1usize..4,
        at_once in 1usize..6,
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..3, 0u8..3, any::<bool>()), 4),
        prefix in 0usize..4,
    ) {
        let (_directory, _feed, snapshot) = snapshot(&actions, read_max);
        for relation in all_relations() {
            let schema = relation.schema();
            let columns: Vec<usize> = (0..schema.columns.len()).collect();
            let all = rows(relation.as_ref(), &snapshot, &Access::Full, &columns, at_once);
            prop_assert_eq!(u64::try_from(all.len()).unwrap(), relation.count(&snapshot).unwrap());
            let mut nulls = all.iter().flat_map(|row| row.iter().zip(&schema.columns));
            prop_assert!(nulls.all(|(value, column)| !value.is_null() || !column.not_null), "{}", schema.name);
            if all.is_empty() {
                continue;
            }
            for (at, index) in schema.indexes.iter().enumerate() {
                for (low, high, lower, upper, backward) in &picks {
                    let (low, high) = (&all[low.index(all.len())], &all[high.index(all.len())]);
                    if index.columns.iter().any(|column| low[*column].is_null() || high[*column].is_null()) {
                        continue;
                    }
                    let (fixed, next) = index.columns.split_at(prefix.min(index.columns.len()));
                    let prefix: Vec<Datum> = fixed.iter().map(|column| low[*column].clone()).collect();
                    let lower = next.first().map_or(Bound::Open, |column| bound(*lower, &low[*column]));
                    let upper = next.first().map_or(Bound::Open, |column| bound(*upper, &high[*column]));
                    let mut expected = all.clone();
                    expected.retain(|row| {
                        index.columns.iter().all(|column| !row[*column].is_null())
                            && fixed.iter().zip(&prefix).all(|(column, value)| sortable(&row[*column]) == sortable(value))
                            && next.first().is_none_or(|column| above(&row[*column], &lower) && below(&row[*column], &upper))
                    });
                    let access = Access::Index { index: at, prefix, lower, upper, backward: *backward };
                    let mut found = rows(relation.as_ref(), &snapshot, &access, &columns, at_once);
                    prop_assert_eq!(sorted(&found), sorted(&expected), "{} {:?}", index.name, access);
                    if *backward {
                        found.reverse();
                    }
                    let keys = found.iter().map(|row| index.columns.iter().map(|column| sortable(&row[*column])).collect::<Vec<_>>());
                    prop_assert!(keys.is_sorted(), "{} is not in order", index.name);
                }
            }
            // Some columns, in any order, are those of all columns.
            let some = [columns.len() - 1, 0];
            let pruned = rows(relation.as_ref(), &snapshot, &Access::Full, &some, at_once);
            let expected: Vec<_> = all.iter().map(|row| some.map(|column| row[column].clone()).to_vec()).collect();
            prop_assert_eq!(written(&pruned), written(&expected));
        }
    }
}

#[test]
fn names_and_oids_are_unique() {
    let mut names = BTreeSet::new();
    let mut oids = BTreeSet::new();
    for relation in all_relations() {
        let schema = relation.schema();
        let mut add = |name: &'static str, oid: u32| {
            assert!(names.insert(name), "{name}");
            assert!(oids.insert(oid) && oid >= 16384, "{name}");
            assert!(name.len() < 64, "{name} is a name of PostgreSQL");
        };
        add(schema.name, schema.oid);
        schema.indexes.iter().for_each(|index| add(index.name, index.oid));
        schema.foreign_keys.iter().for_each(|key| add(key.name, key.oid));
    }
}

#[test]
fn an_empty_database_has_no_rows() {
    for relation in all_relations() {
        assert!(rows(relation.as_ref(), &Snapshot::empty(), &Access::Full, &[0], 10).is_empty());
        assert_eq!(relation.count(&Snapshot::empty()).unwrap(), 0);
    }
}

/// LH400 to JFK; 5 minutes later LH400 of the same day from JFK, from where nothing continues but LH401 from MUC.
fn planned() -> Vec<Action> {
    use Action as A;
    vec![
        A::CreateRotation(0, 1),
        A::RegisterAirport(1, 2),
        A::RegisterAirplane(1, 3),
        A::Assign(1, 0),
        A::Schedule { leg: 0, flight: 0, day: 0, from: 0, to: 1, departure: 0, minutes: 20 },
        A::Schedule { leg: 1, flight: 0, day: 0, from: 1, to: 0, departure: 5, minutes: 20 },
        A::Schedule { leg: 2, flight: 1, day: 0, from: 2, to: 0, departure: 20, minutes: 20 },
        A::Schedule { leg: 3, flight: 0, day: 0, from: 0, to: 2, departure: 30, minutes: 20 },
        A::Move(0, [Some(0), Some(0)]),
        A::Move(1, [Some(0), Some(0)]),
        A::Move(2, [Some(0), Some(0)]),
    ]
}

#[test]
fn violations_say_what_is_wrong_in_the_words_of_planners() {
    let (_directory, _feed, snapshot) = snapshot(&planned(), 10);
    let estimates = Arc::new(Estimates::default());
    let relation = ScheduleViolationsRelation::of(&estimates);
    let of_rotation = Access::Index {
        index: 0,
        prefix: vec![Datum::Uuid(rotation(0).0)],
        lower: Bound::Open,
        upper: Bound::Open,
        backward: false,
    };
    let details = |access: &Access| -> Vec<String> {
        let rows = rows(&relation, &snapshot, access, &[0, 4], 1);
        rows.iter()
            .map(|row| format!("{:?}", row.iter().map(sortable).collect::<Vec<_>>()))
            .collect()
    };
    let told = details(&Access::Full).join("\n");
    assert_eq!(
        told,
        r#"[Text("continuity"), Text("leg LH400 JFK of 2000-01-01 arrives at FRA, but the next, leg LH401 MUC of 2000-01-01, departs from MUC")]
[Text("ground_time"), Text("between leg LH400 FRA of 2000-01-01 and the next, leg LH400 JFK of 2000-01-01, are 00:05:00 on the ground at JFK, but airplane D-AIZA requires 00:15:00")]
[Text("designator"), Text("2 legs share the flight designator LH400 FRA of 2000-01-01")]
[Text("designator"), Text("2 legs share the flight designator LH400 FRA of 2000-01-01")]"#
    );
    assert_eq!(details(&of_rotation).len(), 3, "the open leg's violation is of no rotation");
    let legs = rows(&relation, &snapshot, &Access::Full, &[1, 2, 3], 10);
    let ids: Vec<_> = written(&legs);
    let (in_rotation, open) = (Sortable::Uuid(leg_id(0).0), Sortable::Uuid(leg_id(3).0));
    assert_eq!(ids[2], [Sortable::Uuid(rotation(0).0), in_rotation.clone(), open.clone()]);
    assert_eq!(ids[3], [Sortable::Null, open, in_rotation]);
}

#[test]
fn the_ground_time_is_a_difference_as_postgresql_prints_it() {
    use super::table::difference;
    const DAY: i64 = 86_400_000_000;
    let parts = |microseconds| {
        let interval = difference(microseconds);
        (interval.months, interval.days, interval.microseconds)
    };
    assert_eq!(parts(DAY + 5), (0, 1, 5));
    assert_eq!(parts(DAY - 5), (0, 0, DAY - 5));
    assert_eq!(parts(-DAY - 5), (0, -1, -5));
}

#[test]
fn events_show_what_happened_up_to_the_snapshot() {
    let (_directory, feed, snapshot) = snapshot(&planned(), 2);
    let estimates = Arc::new(Estimates::default());
    let relation = EventsRelation::of(&estimates);
    let count = relation.count(&snapshot).unwrap();
    let later = Model::of(&[Action::RegisterAirport(0, 1)]).happened;
    feed.append(&later);
    let columns: Vec<usize> = (0..10).collect();
    let all = rows(&relation, &snapshot, &Access::Full, &columns, 3);
    assert_eq!(u64::try_from(all.len()).unwrap(), count);
    assert_eq!(relation.count(&snapshot).unwrap(), count);
    let created = all
        .iter()
        .find(|row| sortable(&row[5]) == Sortable::Text("RotationCreated".to_owned()))
        .unwrap();
    assert_eq!(sortable(&created[2]), Sortable::Text("Rotation".to_owned()));
    assert_eq!(sortable(&created[3]), Sortable::Text(rotation(0).to_string()));
    assert_eq!(sortable(&created[4]), Sortable::Number(1));
    let (Datum::Jsonb(payload), Datum::Jsonb(metadata)) = (&created[7], &created[8]) else {
        panic!("{created:?}")
    };
    assert_eq!(payload.to_string(), r#"{"name":"R1"}"#);
    assert_eq!(metadata.to_string(), r#"{"user":"planner","application":"test"}"#);

    // One event by its key, and those after a position, newest first.
    let (shard, position) = (created[0].clone(), created[1].clone());
    let access = |prefix: Vec<Datum>, lower, backward| Access::Index {
        index: 0,
        prefix,
        lower,
        upper: Bound::Open,
        backward,
    };
    let one = rows(
        &relation,
        &snapshot,
        &access(vec![shard.clone(), position.clone()], Bound::Open, false),
        &columns,
        3,
    );
    assert_eq!(written(&one), written(std::slice::from_ref(created)));
    let mut after = rows(
        &relation,
        &snapshot,
        &access(vec![shard.clone()], Bound::Excluded(position.clone()), true),
        &[0, 1],
        2,
    );
    after.reverse();
    let mut expected: Vec<_> = written(&all).into_iter().map(|row| row[..2].to_vec()).collect();
    expected.retain(|row| row[0] == sortable(&shard) && row[1] > sortable(&position));
    assert_eq!(written(&after), expected);
    assert!(snapshot.positions().get(ShardId(0)) >= Position::new(LogIndex(0), 0));
}
