//! Laws of the forms of values: what is written reads back, and no bytes from a client panic.

use std::sync::Arc;

use proptest::prelude::*;
use rotabase_queries::exec::Settings;
use rotabase_queries::types::functions::registry;
use rotabase_queries::types::text::ReadContext;
use rotabase_queries::types::{
    ArrayValue, Datum, Interval, Numeric, PgType, binary, compare, text, type_table,
};

/// Some value of some type.
fn value() -> impl Strategy<Value = (PgType, Datum)> {
    let timestamp = -211_813_488_000_000_000..9_223_371_331_200_000_000_i64;
    let interval = (
        -1_000_000..1_000_000,
        -1_000_000..1_000_000,
        -1_000_000_000_000_000..1_000_000_000_000_000_i64,
    );
    prop_oneof![
        any::<bool>().prop_map(|it| (PgType::Bool, Datum::Bool(it))),
        any::<i16>().prop_map(|it| (PgType::Int2, Datum::Int2(it))),
        any::<i32>().prop_map(|it| (PgType::Int4, Datum::Int4(it))),
        any::<i64>().prop_map(|it| (PgType::Int8, Datum::Int8(it))),
        any::<u32>().prop_map(|it| (PgType::Oid, Datum::Oid(it))),
        any::<f32>().prop_map(|it| (PgType::Float4, Datum::Float4(it))),
        any::<f64>().prop_map(|it| (PgType::Float8, Datum::Float8(it))),
        (any::<i128>(), 0..60_u32)
            .prop_map(|(it, scale)| (PgType::Numeric, Datum::from(Numeric::new(it, scale)))),
        "[^\\x00]{0,40}".prop_map(|it| (PgType::Text, Datum::text(it))),
        any::<Vec<u8>>().prop_map(|it| (PgType::Bytea, Datum::Bytea(it.into()))),
        any::<[u8; 16]>().prop_map(|it| (PgType::Uuid, Datum::Uuid(uuid::Uuid::from_bytes(it)))),
        (-2_451_545..2_145_031_949).prop_map(|it| (PgType::Date, Datum::Date(it))),
        (0..=86_400_000_000_i64).prop_map(|it| (PgType::Time, Datum::Time(it))),
        timestamp.clone().prop_map(|it| (PgType::Timestamp, Datum::Timestamp(it))),
        timestamp.prop_map(|it| (PgType::TimestampTz, Datum::TimestampTz(it))),
        interval.prop_map(|(months, days, microseconds)| {
            (PgType::Interval, Datum::Interval(Interval { months, days, microseconds }))
        }),
        prop::collection::vec(prop::option::of("[^\\x00]{0,10}"), 0..6).prop_map(|texts| {
            let elements: Vec<Datum> =
                texts.into_iter().map(|it| it.map_or(Datum::Null, Datum::text)).collect();
            let dimensions = if elements.is_empty() { vec![] } else { vec![(elements.len(), 1)] };
            (
                PgType::TextArray,
                Datum::Array(Arc::new(ArrayValue { element: PgType::Text, dimensions, elements })),
            )
        }),
    ]
}

proptest! {
    #[test]
    fn a_text_form_reads_back_as_the_same_value((ty, value) in value()) {
        let settings = Settings::default();
        let written = text::to_string(&value, ty, &settings);
        let read = text::read(ty, &written, &ReadContext { settings: &settings, now: 0 }).unwrap();
        prop_assert!(compare(ty)(&value, &read).is_eq(), "{written}");
    }

    #[test]
    fn a_binary_form_reads_back_as_the_same_value((ty, value) in value()) {
        let mut written = Vec::new();
        binary::write(&value, ty, &mut written);
        let read = binary::read(ty, &written).unwrap();
        prop_assert!(compare(ty)(&value, &read).is_eq());
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>(), at in 0..type_table::ROWS.len()) {
        let _ = binary::read(type_table::ROWS[at].ty, &bytes);
    }

    #[test]
    fn no_text_panics(input in ".{0,30}", at in 0..type_table::ROWS.len()) {
        let settings = Settings::default();
        let _ = text::read(type_table::ROWS[at].ty, &input, &ReadContext { settings: &settings, now: 0 });
    }

    #[test]
    fn no_almost_date_panics(input in "[-+0-9a-zA-Z:./ ]{0,30}", at in 0..6_usize) {
        use PgType::{Date, Interval, Time, TimeTz, Timestamp, TimestampTz};
        let settings = Settings::default();
        let ty = [Date, Interval, Time, TimeTz, Timestamp, TimestampTz][at];
        let _ = text::read(ty, &input, &ReadContext { settings: &settings, now: 0 });
    }
}

#[test]
fn no_two_functions_share_a_name_and_arguments() {
    let mut seen = std::collections::BTreeSet::new();
    for it in registry::all() {
        let arguments: Vec<u32> = it.callee.arguments().iter().map(|ty| ty.oid()).collect();
        assert!(seen.insert((it.schema, it.callee.name(), arguments)), "{it:?}");
    }
}
