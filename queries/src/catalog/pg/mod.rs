//! The rows of `pg_catalog`.

mod activity;
mod functions;
mod indexes;
mod relations;
mod roles;
mod statistics;
mod types;
mod views;

pub(in crate::catalog) use activity::{described_settings, time_zones};
pub(in crate::catalog) use types::conversions;

use super::relation::Maker;

/// What makes them; relations that are not named here have no rows.
pub(super) static MAKERS: &[&[Maker]] = &[
    activity::MAKERS,
    functions::MAKERS,
    indexes::MAKERS,
    relations::MAKERS,
    roles::MAKERS,
    statistics::MAKERS,
    types::MAKERS,
    views::MAKERS,
];

/// The OID of schema `pg_catalog`.
const PG_CATALOG_OID: u32 = 11;
