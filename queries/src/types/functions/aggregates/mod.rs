//! Aggregates: the state of a group, fed row by row.

mod collect;
mod extreme;
mod logic;
mod ordered;
mod regression;
mod spread;
mod sum;

use super::registry::FunctionTable;

pub use collect::JSON_AGG_OF_ROWS;

const fn table(aggregates: &'static [super::AggregateFunction]) -> FunctionTable {
    FunctionTable { schema: "pg_catalog", scalars: &[], aggregates, sets: &[], windows: &[] }
}

pub(super) static SUMS: FunctionTable = table(sum::FUNCTIONS);
pub(super) static EXTREMES: FunctionTable = table(extreme::FUNCTIONS);
pub(super) static LOGIC: FunctionTable = table(logic::FUNCTIONS);
pub(super) static COLLECTIONS: FunctionTable = table(collect::FUNCTIONS);
pub(super) static SPREADS: FunctionTable = table(spread::FUNCTIONS);
pub(super) static REGRESSIONS: FunctionTable = table(regression::FUNCTIONS);
pub(super) static ORDERED: FunctionTable = table(ordered::FUNCTIONS);
