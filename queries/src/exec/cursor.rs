//! A running query, pulled batch by batch.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::environment::{Env, Statement};
use crate::exec::explain::Analysis;
use crate::exec::operators::BoxOperator;
use crate::exec::{Batch, ExecContext};
use crate::plan::Plan;

/// A running query. It does nothing between two calls of [`Cursor::next`].
pub struct Cursor {
    statement: Arc<Statement>,
    root: BoxOperator,
    plan: Arc<Plan>,
    finished: bool,
}

impl Cursor {
    /// Prepares to run an optimised plan ([`crate::optimize::optimize`]); reads nothing yet.
    pub fn open(plan: Arc<Plan>, context: ExecContext) -> Result<Self> {
        Self::open_with(plan, context, None)
    }

    /// The same, with each operator's rows, loops and time recorded.
    pub(crate) fn open_analyzed(
        plan: Arc<Plan>,
        context: ExecContext,
        analysis: &mut Analysis,
    ) -> Result<Self> {
        Self::open_with(plan, context, Some(analysis))
    }

    fn open_with(
        plan: Arc<Plan>,
        context: ExecContext,
        analysis: Option<&mut Analysis>,
    ) -> Result<Self> {
        let statement = Statement::new(context);
        let root = Builder::new(&statement, analysis).operator(&plan)?;
        Ok(Self { statement, root, plan, finished: false })
    }

    /// The next rows, never none of them; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "an error ends it, and batches are no items")]
    pub fn next(&mut self) -> Result<Option<Batch>> {
        self.next_rows(crate::exec::BATCH_ROWS)
    }

    /// The same, when the caller has use for about `rows` only.
    pub fn next_rows(&mut self, rows: usize) -> Result<Option<Batch>> {
        if self.finished {
            return Ok(None);
        }
        self.statement.context.cancel.check()?;
        let result = self.root.next(Env::new(&self.statement).wanting(rows));
        self.finished = !matches!(result, Ok(Some(_)));
        result
    }

    /// The plan that is run.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("columns", &self.plan.columns)
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}
