//! Projections: tables folded from the feed, their violations, and the store that keeps them.

/// One consistent state of all projections: every relation read through it shows the same position vector.
/// Cheap to clone; holding it pins old row versions, so it lives as long as its statement.
#[derive(Clone, Debug)]
pub struct Snapshot {}
