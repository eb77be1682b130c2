//! Reading a relation as it was at a past instant: `FOR SYSTEM_TIME AS OF`.
//!
//! The binder wraps a relation that is followed by the clause into one that reads through another snapshot:
//! [`AsOf`]. Everything above it, the optimiser and the executor, sees a relation like any other. Whoever runs the
//! statement asks for its [`instants`], finds a snapshot for each ([`crate::projection::Projections::as_of`]), and
//! hands them to the statement as [`PastSnapshots`].
//!
//! The module knows nothing of how a snapshot of the past comes about.

use std::sync::Arc;

use rotabase_engine::env::{LOGICAL_BITS, Timestamp};

use crate::column::ColumnSource;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::{ExecContext, evaluate};
use crate::optimize::relations_read;
use crate::plan::{Expr, Plan};
use crate::projection::Snapshot;
use crate::relation::{Access, Relation, RelationSchema, RowScan};
use crate::types::Datum;

/// The different instants that one statement may name.
pub const INSTANTS_MAX: usize = 16;

/// The instant of one `FOR SYSTEM_TIME AS OF` clause: an expression that is the same for the whole statement.
#[derive(Debug)]
pub struct Instant {
    /// A `timestamptz` over parameters and the statement's context; no rows.
    pub expression: Expr,
    /// Where it stands in the statement, in characters from 1, for errors.
    pub position: Option<usize>,
}

impl Instant {
    /// The last timestamp that belongs to it, in a running statement.
    pub fn timestamp(&self, context: &ExecContext) -> Result<Timestamp> {
        match evaluate(&self.expression, &[], context)? {
            Datum::TimestampTz(microseconds) => Ok(last_timestamp(microseconds)),
            Datum::Null => Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "the instant of FOR SYSTEM_TIME AS OF must not be null",
            )
            .at(self.position)),
            other => Err(SqlError::internal(format!("{other:?} is no instant"))),
        }
    }
}

/// The last timestamp of a microsecond since 2000-01-01 UTC; `infinity` is after everything, `-infinity` before.
pub fn last_timestamp(microseconds: i64) -> Timestamp {
    const MOST: i64 = i64::MAX >> LOGICAL_BITS;
    match microseconds {
        // Nothing happens before 2000: timestamps begin there.
        ..0 => Timestamp(0),
        0..=MOST => {
            Timestamp(Timestamp::from_microseconds(microseconds).0 | ((1 << LOGICAL_BITS) - 1))
        }
        _ => Timestamp(u64::MAX),
    }
}

/// The snapshots that a statement's clauses are read through.
#[derive(Clone, Debug, Default)]
pub struct PastSnapshots(Arc<[(Arc<Instant>, Snapshot)]>);

impl PastSnapshots {
    /// One for each instant of the statement.
    pub fn new(snapshots: Vec<(Arc<Instant>, Snapshot)>) -> Self {
        Self(snapshots.into())
    }

    fn find(&self, instant: &Arc<Instant>) -> Result<&Snapshot> {
        let found = self.0.iter().find(|(of, _)| Arc::ptr_eq(of, instant));
        found.map(|(_, snapshot)| snapshot).ok_or_else(|| {
            SqlError::internal("a past instant was not looked up before the statement ran")
        })
    }
}

/// The instants of a plan's clauses, each once.
pub fn instants(plan: &Plan) -> Vec<Arc<Instant>> {
    let mut instants: Vec<Arc<Instant>> = Vec::new();
    relations_read(plan, &mut |relation| {
        if let Some(instant) = relation.instant()
            && !instants.iter().any(|it| Arc::ptr_eq(it, instant))
        {
            instants.push(Arc::clone(instant));
        }
    });
    instants
}

/// A relation as of an instant.
#[derive(Debug)]
pub(crate) struct AsOf {
    relation: Arc<dyn Relation>,
    instant: Arc<Instant>,
}

impl AsOf {
    /// `relation FOR SYSTEM_TIME AS OF instant`.
    pub(crate) fn relation(
        relation: &Arc<dyn Relation>,
        instant: &Arc<Instant>,
    ) -> Arc<dyn Relation> {
        Arc::new(Self { relation: Arc::clone(relation), instant: Arc::clone(instant) })
    }

    fn then(&self, context: &ExecContext) -> Result<ExecContext> {
        let snapshot = context.past.find(&self.instant)?.clone();
        // What has been does not change: no transaction has to note that it has read it.
        Ok(ExecContext { snapshot, reads: None, ..context.clone() })
    }
}

impl Relation for AsOf {
    fn schema(&self) -> &Arc<RelationSchema> {
        self.relation.schema()
    }

    fn scan(
        &self,
        context: &ExecContext,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        self.relation.scan(&self.then(context)?, access, columns)
    }

    fn columns(
        &self,
        context: &ExecContext,
        columns: &[usize],
    ) -> Result<Option<Arc<dyn ColumnSource>>> {
        self.relation.columns(&self.then(context)?, columns)
    }

    fn keeps_columns(&self, columns: &[usize]) -> bool {
        self.relation.keeps_columns(columns)
    }

    fn count(&self, context: &ExecContext) -> Result<Option<u64>> {
        self.relation.count(&self.then(context)?)
    }

    fn estimate(&self) -> u64 {
        self.relation.estimate()
    }

    fn has_past(&self) -> bool {
        true
    }

    fn instant(&self) -> Option<&Arc<Instant>> {
        Some(&self.instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_includes_its_whole_microsecond() {
        let last = last_timestamp(7);
        assert_eq!(last.microseconds(), 7);
        assert_eq!(Timestamp(last.0 + 1), Timestamp::from_microseconds(8));
    }

    #[test]
    fn instants_out_of_range_are_before_or_after_everything() {
        for early in [i64::MIN, i64::MIN + 1, -1] {
            assert_eq!(last_timestamp(early), Timestamp(0));
        }
        for late in [i64::MAX, i64::MAX - 1, 1 << 60] {
            assert_eq!(last_timestamp(late), Timestamp(u64::MAX));
        }
    }
}
