//! The projections as relations of SQL.
//!
//! A row that has a null in a column of an index is not in that index: open legs are not in the index by
//! rotation, rotations without a name not in that by name.

mod events;
mod range;
mod schedule_violations;
mod schema;
mod table;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::relation::Relation;

use table::TableRelation;

pub(crate) use table::Estimates;

/// All relations, for the catalog.
pub(crate) fn relations(estimates: &Arc<Estimates>) -> Vec<Arc<dyn Relation>> {
    vec![
        TableRelation::<tables::Airports>::new(estimates),
        TableRelation::<tables::Airplanes>::new(estimates),
        TableRelation::<tables::Rotations>::new(estimates),
        TableRelation::<tables::Legs>::new(estimates),
        events::EventsRelation::new(estimates),
        TableRelation::<tables::ContinuityViolations>::new(estimates),
        TableRelation::<tables::GroundTimeViolations>::new(estimates),
        TableRelation::<tables::DesignatorViolations>::new(estimates),
        schedule_violations::ScheduleViolationsRelation::new(estimates),
    ]
}
