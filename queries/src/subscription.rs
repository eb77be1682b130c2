//! The rows of a subscription: committed entries as rows of `events`, those that a condition holds for, and the
//! heartbeats between them.
//!
//! It must never know where entries come from, or where rows go.

use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::position::Positions;

use crate::error::Result;
use crate::exec::{Batch, Evaluator, ExecContext};
use crate::plan::Expr;
use crate::projection::{event_row, heartbeat_row};
use crate::types::Datum;

/// Makes rows of entries.
#[derive(Debug)]
pub struct EventRows {
    condition: Option<Evaluator>,
    /// Events up to here have been seen by the subscriber, where that stands within an entry.
    after: Positions,
}

impl EventRows {
    /// Rows of the events after `after` that `condition` holds for. The snapshot of `context` is kept for as long
    /// as the subscription: it should be an empty one.
    pub fn new(condition: Option<&Expr>, after: Positions, context: &ExecContext) -> Result<Self> {
        let evaluator = |condition| Evaluator::new(std::slice::from_ref(condition), context);
        Ok(Self { condition: condition.map(evaluator).transpose()?, after })
    }

    /// Appends the events of an entry from the ordinal `from` on, until `rows_max` have been looked at. Returns the
    /// ordinal to go on from; none at the entry's end.
    pub fn append(
        &self,
        committed: &CommittedEntry,
        from: usize,
        rows_max: usize,
        out: &mut Batch,
    ) -> Result<Option<usize>> {
        let after = self.after.get(committed.shard);
        let mut verdict = Vec::with_capacity(1);
        for (looked_at, (position, _)) in committed.events().skip(from).enumerate() {
            if looked_at == rows_max {
                return Ok(Some(position.ordinal()));
            }
            if position <= after {
                continue;
            }
            let start = out.values.len();
            event_row(committed, position.ordinal(), &mut out.values)?;
            if let Some(condition) = &self.condition {
                verdict.clear();
                condition.evaluate(&out.values[start..], &mut verdict)?;
                if !matches!(verdict.first(), Some(Datum::Bool(true))) {
                    out.values.truncate(start);
                    continue;
                }
            }
            out.width = out.values.len() - start;
            out.rows += 1;
        }
        Ok(None)
    }

    /// Appends a heartbeat: everything up to `positions` has been given, as of `now`.
    pub fn append_heartbeat(&self, positions: &Positions, now: i64, out: &mut Batch) {
        let start = out.values.len();
        heartbeat_row(positions, now, &mut out.values);
        out.width = out.values.len() - start;
        out.rows += 1;
    }
}
