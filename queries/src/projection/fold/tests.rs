use std::collections::BTreeMap;

use proptest::prelude::*;
use rotabase_engine::domain::Domain as _;
use rotabase_engine::schedule::{AggregateId, Schedule};

use super::super::overlay::Overlay;
use super::super::recompute::{maintained, recomputed};
use super::super::rows::{MemoryRows, Rows};
use super::super::testing::{Action, Happened, Model, actions};
use super::super::verify::check;
use super::Fold;

fn apply<R: Rows>(fold: &mut Fold<R>, happened: &Happened) {
    fold.apply(&happened.aggregate, happened.timestamp, &happened.event).unwrap();
    let mut aggregate = Vec::new();
    Schedule::encode_id(&happened.aggregate, &mut aggregate);
    fold.set_version(&aggregate, happened.version.0);
}

fn folded<'a>(happened: impl IntoIterator<Item = &'a Happened>) -> MemoryRows {
    let mut fold = Fold::new(MemoryRows::new());
    for happened in happened {
        apply(&mut fold, happened);
    }
    fold.settle().unwrap();
    fold.rows
}

/// The same events with those of different aggregates in another order, as `choices` say; the place of each in
/// the log beside it.
fn interleaved<'a>(
    happened: &'a [Happened],
    choices: &[prop::sample::Index],
) -> Vec<(usize, &'a Happened)> {
    let mut queues: BTreeMap<AggregateId, Vec<(usize, &Happened)>> = BTreeMap::new();
    for (at, event) in happened.iter().enumerate().rev() {
        queues.entry(event.aggregate).or_default().push((at, event));
    }
    let mut order = Vec::new();
    while !queues.is_empty() {
        let choice = choices
            .get(order.len() % choices.len().max(1))
            .map_or(0, |choice| choice.index(queues.len()));
        let aggregate = *queues.keys().nth(choice).unwrap();
        let queue = queues.get_mut(&aggregate).unwrap();
        order.extend(queue.pop());
        if queue.is_empty() {
            queues.remove(&aggregate);
        }
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn maintained_violations_equal_recomputed_ones_after_every_event(actions in actions(0..80)) {
        let mut fold = Fold::new(MemoryRows::new());
        for happened in &Model::of(&actions).happened {
            apply(&mut fold, happened);
            fold.settle().unwrap();
            prop_assert_eq!(maintained(&fold.rows).unwrap(), recomputed(&fold.rows).unwrap());
            let report = check(&fold.rows).unwrap();
            prop_assert!(report.is_clean(), "{:?}", report.findings);
        }
    }

    #[test]
    fn rows_depend_on_what_was_seen_and_not_on_the_order_of_shards(
        actions in actions(0..80),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 1..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let happened = Model::of(&actions).happened;
        let mut seen = interleaved(&happened, &choices);
        prop_assert_eq!(folded(seen.iter().map(|it| it.1)), folded(&happened));

        // Nor before everything was seen: the same events in the order of the log.
        seen.truncate(cut.index(seen.len() + 1));
        let rows = folded(seen.iter().map(|it| it.1));
        let report = check(&rows).unwrap();
        prop_assert!(report.is_clean(), "{:?}", report.findings);
        seen.sort_by_key(|it| it.0);
        prop_assert_eq!(folded(seen.iter().map(|it| it.1)), rows);
    }

    #[test]
    fn a_batch_gives_the_rows_that_its_events_give_one_by_one(
        actions in actions(0..80),
        batches in prop::collection::vec(1usize..20, 1..10),
    ) {
        let happened = Model::of(&actions).happened;
        let mut rows = MemoryRows::new();
        let mut batches = batches.iter().cycle();
        let mut left = happened.as_slice();
        while !left.is_empty() {
            let (batch, rest) = left.split_at((*batches.next().unwrap()).min(left.len()));
            left = rest;
            let mut fold = Fold::new(Overlay::new(rows));
            for happened in batch {
                apply(&mut fold, happened);
            }
            fold.settle().unwrap();
            let Overlay { base, pending } = fold.rows;
            rows = base;
            for (key, value) in pending.iter() {
                match value {
                    Some(value) => rows.put(key.clone(), value),
                    None => rows.delete(key.clone()),
                }
            }
        }
        prop_assert_eq!(rows, folded(&happened));
    }
}

/// The actions reach what they are to test.
#[test]
fn violations_of_every_kind_come_and_go() {
    use Action as A;
    let leg = |leg, from, to, departure| A::Schedule {
        leg,
        flight: 0,
        day: 0,
        from,
        to,
        departure,
        minutes: 20,
    };
    let planned = [
        A::CreateRotation(0, 1),
        leg(0, 0, 1, 0),
        leg(1, 1, 2, 5),
        leg(2, 1, 0, 10),
        A::Move(0, [Some(0), Some(0)]),
        A::Move(1, [Some(0), Some(0)]),
        A::Move(2, [Some(0), Some(0)]),
        A::RegisterAirport(1, 2),
    ];
    let violations = |more: &[Action]| {
        let actions: Vec<_> = planned.iter().chain(more).copied().collect();
        maintained(&folded(&Model::of(&actions).happened)).unwrap()
    };
    let found = violations(&[]);
    // Legs 1 and 2 both depart JFK on the same day; leg 1 arrives at MUC, where leg 2 does not depart; 5 minutes
    // at JFK are less than 10.
    let counts = |found: &super::super::Violations| {
        (found.continuity.len(), found.ground_time.len(), found.designator.len())
    };
    assert_eq!(counts(&found), (1, 1, 2));
    assert_eq!(found.ground_time[0].registration, None);

    // Two airplanes: one row each, and none without.
    let airplanes =
        [A::RegisterAirplane(0, 0), A::RegisterAirplane(1, 3), A::Assign(0, 0), A::Assign(1, 0)];
    let found = violations(&airplanes);
    assert_eq!(found.ground_time.len(), 3);
    assert!(found.ground_time.iter().all(|violation| violation.registration.is_some()));

    // Equal is no violation.
    assert_eq!(counts(&violations(&[A::ChangeAirport(1, 1)])), (1, 0, 2));
    // The middle leg gone: its neighbours meet.
    assert_eq!(counts(&violations(&[A::Delete(1)])), (0, 0, 0));
}
