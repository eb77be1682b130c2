//! `ORDER BY`: in memory, or only the first rows where a limit follows; runs on disk where memory does not hold
//! all rows.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::columnar;
use crate::exec::environment::{Env, Statement};
use crate::exec::key::compare_rows;
use crate::exec::operators::sorting::{RowOrder, SortBuffer};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::index;
use crate::exec::spill::{Runs, can_spill};
use crate::plan::{Plan, SortKey};
use crate::types::Datum;

/// The rows that a sort for a limit gathers beyond the limit before it drops the surplus.
const SURPLUS_ROWS: usize = 1024;

struct Sort {
    input: BoxOperator,
    width: usize,
    order: RowOrder,
    sorter: Sorter,
    /// How many rows are wanted at most.
    bound: Option<usize>,
    output: Option<Sorted>,
}

/// Rows being gathered to be put in order: in memory, or in runs on disk.
pub(crate) struct Sorter {
    width: usize,
    pub(crate) buffer: SortBuffer,
    runs: Option<Runs>,
}

/// Rows in order.
pub(crate) enum Sorted {
    /// In the sorter's buffer.
    Memory { rows: Vec<u32>, next: usize },
    /// In runs.
    Disk(Runs),
}

impl Sorter {
    /// An empty one for rows of some width.
    pub(crate) fn new(width: usize, statement: &Statement) -> Self {
        Self { width, buffer: SortBuffer::new(width, statement), runs: None }
    }

    /// Adds a row; what is gathered goes to disk if the memory does not hold it.
    pub(crate) fn push(&mut self, row: &[Datum], order: &RowOrder, env: &Env<'_>) -> Result<()> {
        if !can_spill(env, 0) {
            return self.buffer.push(row, order, env);
        }
        if self.buffer.try_push(row, order, env)? {
            return Ok(());
        }
        if self.buffer.len() > 0 {
            self.spill(order, env)?;
        }
        self.buffer.force(row, order, env)
    }

    /// Ends the gathering.
    pub(crate) fn finish(&mut self, order: &RowOrder, env: &Env<'_>) -> Result<Sorted> {
        if self.runs.is_some() {
            self.spill(order, env)?;
        }
        let Some(mut runs) = self.runs.take() else {
            return Ok(Sorted::Memory { rows: self.buffer.sorted(order)?, next: 0 });
        };
        runs.finish(order, env)?;
        Ok(Sorted::Disk(runs))
    }

    /// Appends the next row in order; false after the last.
    pub(crate) fn next_row(
        &mut self,
        sorted: &mut Sorted,
        order: &RowOrder,
        out: &mut Vec<Datum>,
    ) -> Result<bool> {
        match sorted {
            Sorted::Disk(runs) => runs.next_row(order, out),
            Sorted::Memory { rows, next } => {
                let Some(row) = rows.get(*next) else { return Ok(false) };
                out.extend(self.buffer.take_row(index(*row)));
                *next += 1;
                Ok(true)
            }
        }
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.runs = None;
    }

    fn spill(&mut self, order: &RowOrder, env: &Env<'_>) -> Result<()> {
        let rows = self.buffer.sorted(order)?;
        let runs = self.runs.get_or_insert_with(|| Runs::new(self.width, env));
        runs.add(&mut self.buffer, &rows, order, env)
    }
}

/// Builds a sort.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    plan: &Plan,
    keys: &[SortKey],
) -> Result<BoxOperator> {
    let width = plan.columns.len();
    let input = builder.operator(plan)?;
    let (expressions, directions) = builder.sort_keys(keys)?;
    let sorter = Sorter::new(width, builder.statement());
    let by_rows = Box::new(Sort {
        input,
        width,
        order: RowOrder::new(expressions, directions),
        sorter,
        bound: None,
        output: None,
    });
    columnar::top::build(builder, plan, keys, by_rows)
}

impl Sort {
    fn gather(&mut self, env: Env<'_>) -> Result<Sorted> {
        let env = env.wanting_all();
        // The last key worth keeping, once there are as many rows as are wanted.
        let mut worst: Option<Vec<Datum>> = None;
        let mut key = Vec::new();
        while let Some(batch) = self.input.next(env)? {
            env.check()?;
            for row in batch.iter() {
                if let Some(worst) = &worst {
                    key.clear();
                    self.order.key_of(row, &env, &mut key)?;
                    if compare_rows(self.order.directions(), &key, worst).is_ge() {
                        continue;
                    }
                }
                self.sorter.push(row, &self.order, &env)?;
                if let Some(bound) = self.bound
                    && self.sorter.buffer.len()
                        >= bound.saturating_mul(2).saturating_add(SURPLUS_ROWS)
                {
                    worst = self.cut(bound)?;
                }
            }
        }
        self.sorter.finish(&self.order, &env)
    }

    /// Drops all but the first rows, and gives the key of the last one kept.
    fn cut(&mut self, bound: usize) -> Result<Option<Vec<Datum>>> {
        let mut rows = self.sorter.buffer.sorted(&self.order)?;
        rows.truncate(bound);
        self.sorter.buffer.keep(&rows, &self.order)?;
        let Some(last) = rows.len().checked_sub(1) else { return Ok(None) };
        let keys = 0..self.order.directions().len();
        Ok(Some(keys.map(|key| self.sorter.buffer.key(&self.order, last, key).clone()).collect()))
    }
}

impl Operator for Sort {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if self.output.is_none() {
            if self.bound == Some(0) {
                return Ok(None);
            }
            self.output = Some(self.gather(env)?);
        }
        let mut output = Output::new(self.width, &env);
        if let Some(sorted) = &mut self.output {
            while !output.is_full() && self.sorter.next_row(sorted, &self.order, output.values())? {
                output.finish_row();
            }
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.input.rewind();
        self.sorter.clear();
        self.output = None;
        self.bound = None;
    }

    fn bound(&mut self, rows: usize) {
        self.bound = Some(rows);
    }
}
