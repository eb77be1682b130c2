//! What a running operator or expression sees beside its own rows: the statement and the enclosing rows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::error::{Result, SqlError};
use crate::exec::memory::{Budget, DiskBudget, DiskShare, Reservation};
use crate::exec::{BATCH_ROWS, EvalContext, ExecContext};
use crate::types::Datum;

/// What all operators of a running statement share.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Settings, snapshot, parameters.
    pub(crate) context: ExecContext,
    /// The memory budget.
    pub(crate) budget: Arc<Budget>,
    /// The disk budget.
    pub(crate) disk: Arc<DiskBudget>,
    /// Counts the rounds of recursive unions: what depends on a round's rows is not kept beyond it.
    pub(crate) round: AtomicU64,
}

impl Statement {
    /// A statement that has not begun.
    pub(crate) fn new(context: ExecContext) -> Arc<Self> {
        Arc::new(Self::of_one(context))
    }

    /// One that no operator holds on to.
    pub(crate) fn of_one(context: ExecContext) -> Self {
        let budget = Budget::new(context.memory_bytes_max);
        let disk = DiskBudget::new(context.spill_bytes_max);
        Self { context, budget, disk, round: AtomicU64::new(0) }
    }

    /// An empty share of the disk budget.
    pub(crate) fn disk_share(&self) -> DiskShare {
        DiskShare::new(&self.disk)
    }

    /// An empty share of the budget.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation::new(&self.budget)
    }
}

/// A row of an enclosing query, and those further out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer<'a> {
    /// The row.
    pub(crate) row: &'a [Datum],
    /// The next one out.
    pub(crate) parent: Option<&'a Outer<'a>>,
}

/// What surrounds one call of an operator or an expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Env<'a> {
    /// The statement.
    pub(crate) statement: &'a Statement,
    /// The enclosing rows, innermost first.
    pub(crate) outers: Option<&'a Outer<'a>>,
    /// How many rows the caller has use for; at least one, and no promise to stop there.
    pub(crate) rows: usize,
}

impl<'a> Env<'a> {
    /// The outermost query's.
    pub(crate) fn new(statement: &'a Statement) -> Self {
        Self { statement, outers: None, rows: BATCH_ROWS }
    }

    /// The same, with another number of rows wanted.
    pub(crate) fn wanting(self, rows: usize) -> Self {
        Self { rows: rows.clamp(1, BATCH_ROWS), ..self }
    }

    /// The same, for an operator that reads its whole input whatever it is asked for.
    pub(crate) fn wanting_all(self) -> Self {
        Self { rows: BATCH_ROWS, ..self }
    }

    /// The environment of a subquery or a lateral side whose enclosing row is `outer`.
    pub(crate) fn inside<'b>(&self, outer: &'b Outer<'b>) -> Env<'b>
    where
        'a: 'b,
    {
        Env { statement: self.statement, outers: Some(outer), rows: BATCH_ROWS }
    }

    /// The environment `levels` queries further out.
    pub(crate) fn outside(mut self, levels: usize) -> Self {
        for _ in 0..levels {
            self.outers = self.outers.and_then(|outer| outer.parent);
        }
        self
    }

    /// A column of an enclosing row.
    pub(crate) fn outer(&self, depth: usize, column: usize) -> Result<&'a Datum> {
        let mut outer = self.outers;
        for _ in 1..depth {
            outer = outer.and_then(|it| it.parent);
        }
        outer.and_then(|it| it.row.get(column)).ok_or_else(|| {
            SqlError::internal(format!(
                "no column {column} in the enclosing row {depth} queries out"
            ))
        })
    }

    /// What functions are handed.
    pub(crate) fn eval(&self) -> EvalContext<'a> {
        EvalContext { exec: &self.statement.context }
    }

    /// Fails once the statement has been cancelled.
    pub(crate) fn check(&self) -> Result<()> {
        self.statement.context.cancel.check()
    }
}
