//! The operators: each pulls batches of rows from its inputs and gives batches of rows.

pub(crate) mod aggregate;
pub(crate) mod cte;
pub(crate) mod distinct;
pub(crate) mod filter;
pub(crate) mod function_scan;
pub(crate) mod join;
pub(crate) mod limit;
pub(crate) mod measure;
pub(crate) mod project;
pub(crate) mod project_set;
pub(crate) mod scan;
pub(crate) mod set_operation;
mod shared;
pub(crate) mod sort;
pub(crate) mod sorting;
pub(crate) mod values;
pub(crate) mod window;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::environment::Env;

pub(crate) use shared::Shared;

/// A part of a running plan.
pub(crate) trait Operator: Send {
    /// The next rows, never none of them; `None` after the last. The enclosing rows must not change between
    /// calls without [`Operator::rewind`].
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>>;

    /// Starts from the beginning, for other enclosing rows.
    fn rewind(&mut self);

    /// Says that at most so many rows will be asked for, before the first is.
    fn bound(&mut self, _rows: usize) {}
}

/// An operator of any kind.
pub(crate) type BoxOperator = Box<dyn Operator>;

/// A batch that rows are appended to, until it is full.
#[derive(Debug)]
pub(crate) struct Output {
    batch: Batch,
    rows_max: usize,
}

impl Output {
    /// An empty batch for as many rows as are wanted.
    pub(crate) fn new(width: usize, env: &Env<'_>) -> Self {
        Self { batch: Batch { width, rows: 0, values: Vec::new() }, rows_max: env.rows }
    }

    /// Whether it holds as many rows as are wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.rows >= self.rows_max
    }

    /// The values so far; whoever appends calls [`Output::finish_row`] for each row.
    pub(crate) fn values(&mut self) -> &mut Vec<crate::types::Datum> {
        &mut self.batch.values
    }

    /// The values after the last finished row.
    pub(crate) fn unfinished(&self) -> &[crate::types::Datum] {
        &self.batch.values[self.batch.rows * self.batch.width..]
    }

    /// Takes back what was appended after the last finished row.
    pub(crate) fn discard_unfinished(&mut self) {
        self.batch.values.truncate(self.batch.rows * self.batch.width);
    }

    /// Counts what was appended as a row.
    pub(crate) fn finish_row(&mut self) {
        self.batch.rows += 1;
        debug_assert_eq!(
            self.batch.values.len(),
            self.batch.rows * self.batch.width,
            "a row has one value for each column"
        );
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: &[crate::types::Datum]) {
        self.batch.values.extend_from_slice(row);
        self.finish_row();
    }

    /// The batch, if it has rows.
    pub(crate) fn finish(self) -> Option<Batch> {
        (self.batch.rows > 0).then_some(self.batch)
    }
}
