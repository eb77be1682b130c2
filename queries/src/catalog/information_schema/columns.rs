//! Columns, and what the standard says of their types.

use super::{database, visible};
use crate::catalog::cell::{int4, text, text_or_null, yes_or_no};
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::table::Rows;
use crate::types::{Datum, PgType};

pub(super) static MAKERS: &[Maker] = &[Maker::live("columns", COLUMN, columns)];

const COLUMN: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
    "column_default",
    "is_nullable",
    "data_type",
    "character_octet_length",
    "numeric_precision",
    "numeric_precision_radix",
    "numeric_scale",
    "datetime_precision",
    "udt_catalog",
    "udt_schema",
    "udt_name",
    "dtd_identifier",
    "is_self_referencing",
    "is_identity",
    "identity_cycle",
    "is_generated",
    "is_updatable",
];

fn columns(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in visible(scope) {
        for (place, column) in scope.objects.attributes(class).iter().enumerate() {
            let [octets, precision, radix, scale, moments] = sizes(column.ty);
            rows.push([
                database(scope),
                text(&class.schema),
                text(&class.name),
                text(&column.name),
                int4(place + 1),
                text_or_null(column.default),
                yes_or_no(!column.not_null),
                data_type(column.ty),
                octets,
                precision,
                radix,
                scale,
                moments,
                database(scope),
                text("pg_catalog"),
                text(column.ty.typname()),
                text((place + 1).to_string()),
                yes_or_no(false),
                yes_or_no(false),
                yes_or_no(false),
                text("NEVER"),
                yes_or_no(class.is_writable()),
            ]);
        }
    }
}

/// A type's name as the standard has it.
pub(super) fn data_type(ty: PgType) -> Datum {
    text(if ty.is_array() || ty.is_vector() { "ARRAY" } else { ty.name() })
}

/// The greatest length of a text in bytes, the precision of a number with its radix and scale, and the digits of
/// a time's seconds.
fn sizes(ty: PgType) -> [Datum; 5] {
    let mut sizes = [Datum::Null, Datum::Null, Datum::Null, Datum::Null, Datum::Null];
    let mut number = |precision: i32, scale: Datum| {
        sizes[1] = int4(precision);
        sizes[2] = int4(2);
        sizes[3] = scale;
    };
    match ty {
        PgType::Int2 => number(16, int4(0)),
        PgType::Int4 => number(32, int4(0)),
        PgType::Int8 => number(64, int4(0)),
        PgType::Float4 => number(24, Datum::Null),
        PgType::Float8 => number(53, Datum::Null),
        PgType::Numeric => sizes[2] = int4(10),
        PgType::Text | PgType::Varchar | PgType::Bpchar => sizes[0] = int4(1 << 30),
        PgType::Date => sizes[4] = int4(0),
        PgType::Time
        | PgType::TimeTz
        | PgType::Timestamp
        | PgType::TimestampTz
        | PgType::Interval => sizes[4] = int4(6),
        _ => {}
    }
    sizes
}
