//! `ORDER BY`: in memory, or only the first rows where a limit follows; runs on disk where memory does not hold
//! all rows.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::key::compare_rows;
use crate::exec::operators::sorting::{RowOrder, SortBuffer};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::index;
use crate::exec::spill::Runs;
use crate::plan::{Plan, SortKey};
use crate::types::Datum;

/// The rows that a sort for a limit gathers beyond the limit before it drops the surplus.
const SURPLUS_ROWS: usize = 1024;

struct Sort {
    input: BoxOperator,
    width: usize,
    order: RowOrder,
    buffer: SortBuffer,
    /// How many rows are wanted at most.
    bound: Option<usize>,
    output: Option<Sorted>,
}

enum Sorted {
    Memory { rows: Vec<u32>, next: usize },
    Disk(Runs),
}

/// Builds a sort.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    keys: &[SortKey],
) -> Result<BoxOperator> {
    let width = input.columns.len();
    let input = builder.operator(input)?;
    let (expressions, directions) = builder.sort_keys(keys)?;
    let buffer = SortBuffer::new(width, builder.statement());
    Ok(Box::new(Sort {
        input,
        width,
        order: RowOrder::new(expressions, directions),
        buffer,
        bound: None,
        output: None,
    }))
}

impl Sort {
    fn gather(&mut self, env: Env<'_>) -> Result<Sorted> {
        let env = env.wanting_all();
        let mut runs: Option<Runs> = None;
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
                if !self.buffer.try_push(row, &self.order, &env)? {
                    self.spill(&mut runs, &env)?;
                    self.buffer.push(row, &self.order, &env)?;
                }
                if let Some(bound) = self.bound
                    && self.buffer.len() >= bound.saturating_mul(2).saturating_add(SURPLUS_ROWS)
                {
                    worst = self.cut(bound)?;
                }
            }
        }
        let rows = self.buffer.sorted(&self.order)?;
        let Some(mut runs) = runs else { return Ok(Sorted::Memory { rows, next: 0 }) };
        runs.add(&mut self.buffer, &rows, &self.order, &env)?;
        runs.finish(&self.order, &env)?;
        Ok(Sorted::Disk(runs))
    }

    /// Puts what is gathered on disk.
    fn spill(&mut self, runs: &mut Option<Runs>, env: &Env<'_>) -> Result<()> {
        let Some(directory) = &env.statement.context.spill_directory else { return Ok(()) };
        if self.buffer.len() == 0 {
            return Ok(());
        }
        let rows = self.buffer.sorted(&self.order)?;
        let runs = match runs {
            Some(runs) => runs,
            None => runs.insert(Runs::create(directory, self.width, env)?),
        };
        runs.add(&mut self.buffer, &rows, &self.order, env)
    }

    /// Drops all but the first rows, and gives the key of the last one kept.
    fn cut(&mut self, bound: usize) -> Result<Option<Vec<Datum>>> {
        let mut rows = self.buffer.sorted(&self.order)?;
        rows.truncate(bound);
        self.buffer.keep(&rows, &self.order)?;
        let Some(last) = rows.len().checked_sub(1) else { return Ok(None) };
        let keys = 0..self.order.directions().len();
        Ok(Some(keys.map(|key| self.buffer.key(&self.order, last, key).clone()).collect()))
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
        match &mut self.output {
            Some(Sorted::Memory { rows, next }) => {
                let end = rows.len().min(next.saturating_add(env.rows));
                for row in &rows[*next..end] {
                    output.values().extend(self.buffer.take_row(index(*row)));
                    output.finish_row();
                }
                *next = end;
            }
            Some(Sorted::Disk(runs)) => {
                while !output.is_full() && runs.next_row(&self.order, output.values())? {
                    output.finish_row();
                }
            }
            None => {}
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.input.rewind();
        self.buffer.clear();
        self.output = None;
        self.bound = None;
    }

    fn bound(&mut self, rows: usize) {
        self.bound = Some(rows);
    }
}
