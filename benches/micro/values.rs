//! Rows in the forms that the protocol sends them in.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rotabase_queries::exec::Settings;
use rotabase_queries::types::{Datum, PgType, binary, text};
use uuid::Uuid;

/// The rows of a batch.
const ROWS: i32 = 1024;

/// The types of a leg's first columns.
const TYPES: [PgType; 8] = [
    PgType::Uuid,
    PgType::Text,
    PgType::Int4,
    PgType::Date,
    PgType::Text,
    PgType::Text,
    PgType::TimestampTz,
    PgType::TimestampTz,
];

fn rows() -> Vec<[Datum; 8]> {
    let text = |text: &str| Datum::Text(text.into());
    let row = |number: i32| {
        let departure = 828_360_000_000_000 + i64::from(number) * 60_000_000;
        [
            Datum::Uuid(Uuid::from_u128(u128::from(number.cast_unsigned()))),
            text("LH"),
            Datum::Int4(number),
            Datum::Date(9500 + number % 365),
            text("FRA"),
            text("MUC"),
            Datum::TimestampTz(departure),
            Datum::TimestampTz(departure + 3_600_000_000),
        ]
    };
    (0..ROWS).map(row).collect()
}

/// Writes each value with its length before it, as DataRow has it.
fn encode(rows: &[[Datum; 8]], out: &mut Vec<u8>, write: impl Fn(&Datum, PgType, &mut Vec<u8>)) {
    for row in rows {
        for (value, ty) in row.iter().zip(TYPES) {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            write(value, ty, out);
            let length = u32::try_from(out.len() - start - 4).expect("short");
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
}

fn measure(bencher: Bencher<'_, '_>, write: impl Fn(&Datum, PgType, &mut Vec<u8>)) {
    let rows = rows();
    let mut out = Vec::new();
    encode(&rows, &mut out, &write);
    bencher.counter(ItemsCount::new(rows.len())).counter(BytesCount::new(out.len())).bench_local(
        || {
            out.clear();
            encode(black_box(&rows), &mut out, &write);
            out.len()
        },
    );
}

/// As text.
#[divan::bench]
fn encode_rows_text(bencher: Bencher<'_, '_>) {
    let settings = Settings::default();
    measure(bencher, |value, ty, out| text::write(value, ty, &settings, out));
}

/// In binary.
#[divan::bench]
fn encode_rows_binary(bencher: Bencher<'_, '_>) {
    measure(bencher, binary::write);
}
