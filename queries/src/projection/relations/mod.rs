//! The projections as relations of SQL.
//!
//! A row that has a null in a column of an index is not in that index: open legs are not in the index by
//! rotation, rotations without a name not in that by name.

mod events;
mod history;
#[cfg(test)]
mod history_tests;
mod parts;
mod range;
mod schedule_violations;
mod schema;
mod table;
mod table_columns;
#[cfg(test)]
mod table_columns_tests;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::relation::Relation;

use history::{HistoryRelation, Kind};
use table::TableRelation;

pub(crate) use events::{event_row, heartbeat_row};
pub(in crate::projection) use schedule_violations::Finding;
pub(crate) use table::Estimates;
#[cfg(test)]
pub(in crate::projection) use {
    events::EventsRelation, schedule_violations::Subject, table::Projected,
};

/// All relations, for the catalog.
pub(crate) fn relations(estimates: &Arc<Estimates>) -> Vec<Arc<dyn Relation>> {
    vec![
        Arc::new(TableRelation::<tables::Airports>::of(estimates)),
        Arc::new(TableRelation::<tables::Airplanes>::of(estimates)),
        Arc::new(TableRelation::<tables::Rotations>::of(estimates)),
        Arc::new(TableRelation::<tables::Legs>::of(estimates)),
        Arc::new(events::EventsRelation::of(estimates)),
        Arc::new(TableRelation::<tables::ContinuityViolations>::of(estimates)),
        Arc::new(TableRelation::<tables::GroundTimeViolations>::of(estimates)),
        Arc::new(TableRelation::<tables::DesignatorViolations>::of(estimates)),
        Arc::new(schedule_violations::ScheduleViolationsRelation::of(estimates)),
        Arc::new(HistoryRelation::of(Kind::Leg, estimates)),
        Arc::new(HistoryRelation::of(Kind::Rotation, estimates)),
        Arc::new(HistoryRelation::of(Kind::Airplane, estimates)),
        Arc::new(HistoryRelation::of(Kind::Airport, estimates)),
    ]
}
