//! Histories as SQL reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rotabase_engine::db::DbOptions;
use rotabase_engine::schedule::LegId;

use crate::relation::{Access, Bound};
use crate::types::Datum;

use super::super::follower::Follower;
use super::super::history::Retention;
use super::super::snapshot::Snapshot;
use super::super::store::Store;
use super::super::testing::{MemoryFeed, Model, actions, leg_id};
use super::history::{HistoryRelation, Kind};
use super::table::Estimates;

const ID: usize = 0;
const EVENT_TYPE: usize = 7;
const BEFORE: usize = 8;
const AFTER: usize = 9;

fn rows(kind: Kind, snapshot: &Snapshot, access: &Access, at_once: usize) -> Vec<[Datum; 4]> {
    let relation = HistoryRelation::of(kind, &Arc::new(Estimates::default()));
    let mut scan = relation.open(snapshot, access, &[ID, EVENT_TYPE, BEFORE, AFTER]).unwrap();
    let mut values = Vec::new();
    while scan.next(at_once, &mut values).unwrap() {}
    values.chunks(4).map(|row| row.to_vec().try_into().unwrap()).collect()
}

fn text(value: &Datum) -> String {
    format!("{value:?}")
}

fn one_subject(id: Datum, backward: bool) -> Access {
    let prefix = vec![id];
    Access::Index { index: 0, prefix, lower: Bound::Open, upper: Bound::Open, backward }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_row_goes_on_where_the_one_before_ended(
        actions in actions(20..120),
        at_once in 1usize..8,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let feed = MemoryFeed::new(3, 100);
        feed.append(&Model::of(&actions).happened);
        let store = Store::open(directory.path(), 3, &DbOptions::default()).unwrap();
        let mut follower = Follower::open(store, feed.as_feed(), Retention::default()).unwrap();
        while follower.step().unwrap() {}
        let snapshot = follower.snapshot();
        for kind in [Kind::Leg, Kind::Airplane, Kind::Airport] {
            let all = rows(kind, &snapshot, &Access::Full, at_once);
            let mut last: BTreeMap<String, &Datum> = BTreeMap::new();
            for [id, _, before, after] in &all {
                let was = last.insert(text(id), after).unwrap_or(&Datum::Null);
                prop_assert_eq!(text(before), text(was));
                prop_assert!(!(before.is_null() && after.is_null()), "it was and is nothing");
            }
            let mut again = Vec::new();
            let everything = |backward| Access::Index {
                index: 0,
                prefix: Vec::new(),
                lower: Bound::Open,
                upper: Bound::Open,
                backward,
            };
            for id in last.keys() {
                let own: Vec<String> =
                    all.iter().filter(|row| text(&row[0]) == *id).map(|row| format!("{row:?}")).collect();
                let id = &all.iter().find(|row| text(&row[0]) == *id).unwrap()[0];
                let found = rows(kind, &snapshot, &one_subject(id.clone(), false), at_once);
                prop_assert_eq!(found.iter().map(|row| format!("{row:?}")).collect::<Vec<_>>(), own);
                again.extend(found);
            }
            prop_assert_eq!(again.len(), all.len());
            prop_assert_eq!(rows(kind, &snapshot, &everything(true), at_once).len(), all.len());
        }
        for number in 0..8 {
            let LegId(id) = leg_id(number);
            let history = rows(Kind::Leg, &snapshot, &one_subject(Datum::Uuid(id), true), at_once);
            let is = history.last().is_some_and(|row| !row[3].is_null());
            prop_assert_eq!(is, snapshot.leg(leg_id(number)).unwrap().is_some());
        }
    }
}
