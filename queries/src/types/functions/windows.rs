//! Window functions: their signatures. The window operator knows what they mean.

use super::WindowFunction;
use super::WindowKind::{self, *};
use super::registry::FunctionTable;
use crate::types::PgType::{self, AnyCompatible, AnyElement, Float8, Int4, Int8};

pub(super) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: &[],
    aggregates: &[],
    sets: &[],
    windows: FUNCTIONS,
};

const fn w(
    oid: u32,
    name: &'static str,
    arguments: &'static [PgType],
    result: PgType,
    kind: WindowKind,
) -> WindowFunction {
    WindowFunction { oid, name, arguments, result, kind }
}

#[rustfmt::skip]
static FUNCTIONS: &[WindowFunction] = &[
    w(3100, "row_number", &[], Int8, RowNumber),
    w(3101, "rank", &[], Int8, Rank),
    w(3102, "dense_rank", &[], Int8, DenseRank),
    w(3103, "percent_rank", &[], Float8, PercentRank),
    w(3104, "cume_dist", &[], Float8, CumeDist),
    w(3105, "ntile", &[Int4], Int4, Ntile),
    w(3106, "lag", &[AnyElement], AnyElement, Lag),
    w(3107, "lag", &[AnyElement, Int4], AnyElement, Lag),
    w(3108, "lag", &[AnyCompatible, Int4, AnyCompatible], AnyCompatible, Lag),
    w(3109, "lead", &[AnyElement], AnyElement, Lead),
    w(3110, "lead", &[AnyElement, Int4], AnyElement, Lead),
    w(3111, "lead", &[AnyCompatible, Int4, AnyCompatible], AnyCompatible, Lead),
    w(3112, "first_value", &[AnyElement], AnyElement, FirstValue),
    w(3113, "last_value", &[AnyElement], AnyElement, LastValue),
    w(3114, "nth_value", &[AnyElement, Int4], AnyElement, NthValue),
];
