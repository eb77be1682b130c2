//! What is read by columns is what is stored, whatever was written, kept or forgotten meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rotabase_engine::db::DbOptions;
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::Positions;

use crate::column::{ColumnKind, ColumnSource, Piece};
use crate::relation::RelationSchema;
use crate::types::Datum;

use super::super::columns::Limits;
use super::super::count::Count;
use super::super::key::{Key, table};
use super::super::row::Fields;
use super::super::rows;
use super::super::snapshot::Snapshot;
use super::super::store::Store;
use super::super::testing::MemoryFeed;
use super::range::Part;
use super::table::{Layout, Table, Versions};
use super::table_columns::TableColumns;

/// Rows of an id and a number, where the legs are.
#[derive(Debug)]
struct Numbers;

impl Table for Numbers {
    const COUNT: Count = Count::Legs;
    const COLUMNS: &'static [ColumnKind] = &[ColumnKind::Uuid, ColumnKind::Int4, ColumnKind::Date];

    fn schema() -> Arc<RelationSchema> {
        super::schema::legs()
    }

    fn indexes() -> &'static [Layout] {
        &[Layout { table: table::LEGS, parts: &[Part::Uuid], rows: None }]
    }

    fn value(column: usize, key: &[u8], value: &[u8], _: &mut Versions) -> rows::Result<Datum> {
        Ok(match column {
            0 => Datum::Uuid(Fields(&key[1..]).uuid()?),
            1 => Datum::Int4(Fields(value).int4()?),
            _ => Datum::Date(Fields(value).int4()?.wrapping_neg()),
        })
    }
}

type Model = BTreeMap<u128, i32>;

/// What happens to the table.
#[derive(Clone, Debug)]
enum Step {
    /// A write of some rows; none is a removal.
    Write(Vec<(u8, Option<i32>)>),
    /// A snapshot is taken.
    Snapshot,
    /// A snapshot that was taken reads columns: the date beside the number, or not.
    Read { snapshot: prop::sample::Index, wide: bool },
    /// It reads them with changes on top of it.
    ReadWith { snapshot: prop::sample::Index, own: Vec<(u8, Option<i32>)> },
    /// A write between the beginning of a scan and its end.
    ReadWhile { write: Vec<(u8, Option<i32>)>, at: prop::sample::Index },
}

fn changes() -> impl Strategy<Value = Vec<(u8, Option<i32>)>> {
    prop::collection::vec((any::<u8>(), prop::option::weighted(0.7, any::<i32>())), 0..12)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => changes().prop_map(Step::Write),
        1 => Just(Step::Snapshot),
        3 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(snapshot, wide)| Step::Read { snapshot, wide }),
        1 => (any::<prop::sample::Index>(), changes())
            .prop_map(|(snapshot, own)| Step::ReadWith { snapshot, own }),
        1 => (changes(), any::<prop::sample::Index>())
            .prop_map(|(write, at)| Step::ReadWhile { write, at }),
    ]
}

/// Ids are spread, but not evenly.
fn id(number: u8) -> u128 {
    match number {
        255 => u128::MAX,
        0..128 => u128::from(number),
        _ => u128::from(number) << 118,
    }
}

fn key(number: u8) -> Key {
    Key::table(table::LEGS).bytes(&id(number).to_be_bytes())
}

fn write(store: &Store, changes: &[(u8, Option<i32>)], model: &mut Model) {
    let rows: Vec<(Key, Option<Key>)> = changes
        .iter()
        .map(|(number, value)| (key(*number), value.map(|value| Key::default().int4(value))))
        .collect();
    let rows = rows.iter().map(|(key, value)| (&**key, value.as_deref()));
    store.write(rows).unwrap();
    apply(changes, model);
}

fn apply(changes: &[(u8, Option<i32>)], model: &mut Model) {
    for (number, value) in changes {
        match value {
            Some(value) => model.insert(id(*number), *value),
            None => model.remove(&id(*number)),
        };
    }
}

fn snapshot(store: &Store) -> Snapshot {
    Snapshot::new(store.snapshot(), Positions::default(), Timestamp(0), MemoryFeed::new(1, 1024))
}

fn check(snapshot: &Snapshot, model: &Model, wide: bool, mut between: impl FnMut(usize)) {
    let columns: &[usize] = if wide { &[2, 0, 1] } else { &[1, 0] };
    let rows = u64::try_from(model.len()).unwrap();
    let source = TableColumns::<Numbers>::of(snapshot, columns, rows).unwrap();
    let mut pieces = source.pieces();
    let mut read: Vec<(u128, i32)> = Vec::new();
    let mut turn = 0;
    while let Some(piece) = pieces.pop_front() {
        between(turn);
        turn += 1;
        let (batch, left) = source.read(piece).unwrap();
        if let Some(left) = left {
            assert!(left.from > piece.from && left.to == piece.to, "{piece:?} {left:?}");
            pieces.push_front(left);
        }
        for row in 0..batch.rows {
            let (Datum::Uuid(id), Datum::Int4(value)) = (
                batch.columns[columns.len() - 1 - usize::from(wide)].datum(row),
                batch.columns[if wide { 2 } else { 0 }].datum(row),
            ) else {
                panic!("{batch:?}")
            };
            if wide {
                assert!(
                    matches!(batch.columns[0].datum(row), Datum::Date(it) if it == value.wrapping_neg())
                );
            }
            assert!(holds(piece, id.as_u128()));
            read.push((id.as_u128(), value));
        }
    }
    let expected: Vec<(u128, i32)> = model.iter().map(|(id, value)| (*id, *value)).collect();
    assert_eq!(read, expected);
}

fn holds(piece: Piece, id: u128) -> bool {
    piece.from <= id && piece.to.is_none_or(|to| id < to)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_by_columns_is_what_is_stored(
        steps in prop::collection::vec(step(), 1..60),
        chunk_rows in 1usize..40,
        changed in 1usize..12,
        recent in 1usize..40,
        bytes in prop_oneof![Just(1 << 20), 600usize..3000],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { bytes, chunk_rows, changed, recent };
        let store = Store::open(directory.path(), 1, &DbOptions::default())
            .unwrap()
            .keeping_columns(limits);
        let mut model = Model::new();
        let mut snapshots = vec![(snapshot(&store), model.clone())];
        for step in steps {
            match step {
                Step::Write(changes) => write(&store, &changes, &mut model),
                Step::Snapshot => snapshots.push((snapshot(&store), model.clone())),
                Step::Read { snapshot, wide } => {
                    let (snapshot, model) = snapshot.get(&snapshots);
                    check(snapshot, model, wide, |_| ());
                }
                Step::ReadWith { snapshot, own } => {
                    let (snapshot, model) = snapshot.get(&snapshots);
                    let own: BTreeMap<u8, Option<i32>> = own.into_iter().collect();
                    let own: Vec<(u8, Option<i32>)> = own.into_iter().collect();
                    let rows = own.iter().map(|(number, value)| {
                        (key(*number), value.map(|value| Key::default().int4(value)))
                    });
                    let mut model = model.clone();
                    apply(&own, &mut model);
                    check(&snapshot.with_rows(rows), &model, true, |_| ());
                }
                Step::ReadWhile { write: changes, at } => {
                    let (now, shown) = (snapshot(&store), model.clone());
                    let at = at.index(4);
                    check(&now, &shown, false, |turn| {
                        if turn == at {
                            write(&store, &changes, &mut model);
                        }
                    });
                }
            }
            prop_assert!(snapshots[0].0.stored().unwrap().leg_columns().bytes() <= limits.bytes);
        }
        // Whatever was kept, the newest state is read twice: from rows, and from what is kept of them.
        for _ in 0..2 {
            check(&snapshot(&store), &model, true, |_| ());
        }
    }
}

#[test]
fn what_was_read_once_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), 1, &DbOptions::default()).unwrap();
    let mut model = Model::new();
    let rows: Vec<(u8, Option<i32>)> = (0..=255).map(|it| (it, Some(i32::from(it)))).collect();
    write(&store, &rows, &mut model);
    let first = snapshot(&store);
    let kept = |snapshot: &Snapshot| snapshot.stored().unwrap().leg_columns().bytes();
    check(&first, &model, false, |_| ());
    // Nobody had asked when the rows were written, so nothing says that they did not change after the snapshot.
    let narrow = kept(&first);
    assert!(narrow > 256 * 20, "{narrow}");
    check(&first, &model, true, |_| ());
    assert_eq!(kept(&first), narrow + 256 * 4);
    write(&store, &[(7, Some(-7)), (9, None)], &mut model);
    check(&snapshot(&store), &model, true, |_| ());
    assert!(kept(&first) > narrow, "a few changes do not make it forget");
}
