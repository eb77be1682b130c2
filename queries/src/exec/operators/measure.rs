//! Counts rows, loops and time of another operator, for `EXPLAIN ANALYZE`.

use std::sync::Arc;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::environment::Env;
use crate::exec::explain::Counters;
use crate::exec::operators::{BoxOperator, Operator};

/// An operator that is watched.
pub(crate) struct Measure {
    input: BoxOperator,
    counters: Arc<Counters>,
    begun: bool,
}

impl Measure {
    /// Watches an operator.
    pub(crate) fn new(input: BoxOperator, counters: Arc<Counters>) -> Self {
        Self { input, counters, begun: false }
    }
}

impl Operator for Measure {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let clock = &env.statement.context.clock;
        let start = clock.now_microseconds();
        let result = self.input.next(env);
        let rows = result.as_ref().ok().and_then(Option::as_ref).map_or(0, |batch| batch.rows);
        self.counters.record(!self.begun, rows, clock.now_microseconds().saturating_sub(start));
        self.begun = true;
        result
    }

    fn rewind(&mut self) {
        self.begun = false;
        self.input.rewind();
    }

    fn bound(&mut self, rows: usize) {
        self.input.bound(rows);
    }
}
