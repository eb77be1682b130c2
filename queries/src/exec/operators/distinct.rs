//! `DISTINCT`: the first row of each value; `DISTINCT ON`: the first row of each run of equal values.
//!
//! Rows that are new when the memory is full are put into parts on disk, and looked at part by part at the end.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::{Env, Statement};
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::key::{equal, hash_row};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::RowTable;
use crate::exec::spill::{Part, Parts, can_spill};
use crate::plan::{Expr, Plan};
use crate::types::Datum;

struct Distinct {
    input: BoxOperator,
    seen: RowTable,
    width: usize,
    /// The part that is read instead of the input.
    part: Option<Part>,
    /// Rows put aside from what is read now.
    aside: Option<Parts>,
    /// Parts to be read yet, the next one last.
    waiting: Vec<Part>,
}

/// Rows that come sorted by what they are to differ in.
struct DistinctOn {
    input: BoxOperator,
    on: Vec<Compiled>,
    last: Option<Vec<Datum>>,
}

/// Builds it.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    on: Option<&[Expr]>,
) -> Result<BoxOperator> {
    let width = input.columns.len();
    let input = builder.operator(input)?;
    match on {
        Some(on) => Ok(Box::new(DistinctOn { input, on: builder.expressions(on)?, last: None })),
        None => Ok(over(input, width, builder.statement())),
    }
}

/// The distinct rows of an operator.
pub(super) fn over(input: BoxOperator, width: usize, statement: &Statement) -> BoxOperator {
    let seen = RowTable::new(width, statement);
    Box::new(Distinct { input, seen, width, part: None, aside: None, waiting: Vec::new() })
}

impl Distinct {
    fn depth(&self) -> usize {
        self.part.as_ref().map_or(0, |part| part.depth)
    }

    /// Whether a row is new; no answer yet for one that is put aside.
    fn is_new(&mut self, row: &[Datum], env: &Env<'_>) -> Result<bool> {
        let depth = self.depth();
        if !can_spill(env, depth) {
            return Ok(self.seen.insert(row)?.1);
        }
        if let Some((_, new)) = self.seen.try_insert(row)? {
            return Ok(new);
        }
        let aside = self.aside.get_or_insert_with(|| Parts::new(self.width, depth));
        aside.push(hash_row(row), row, env)?;
        Ok(false)
    }

    /// Goes on with the next part; false after the last.
    fn advance(&mut self) -> Result<bool> {
        if let Some(aside) = self.aside.take() {
            self.waiting.extend(aside.finish()?.into_iter().rev().flatten());
        }
        self.part = self.waiting.pop();
        if self.part.is_some() {
            self.seen.clear();
        }
        Ok(self.part.is_some())
    }
}

impl Operator for Distinct {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        loop {
            env.check()?;
            let batch = match &mut self.part {
                Some(part) => part.reader.next(&env)?,
                None => self.input.next(env)?,
            };
            let Some(batch) = batch else {
                if self.advance()? {
                    continue;
                }
                return Ok(None);
            };
            let mut output = Output::new(batch.width, &env);
            for row in batch.iter() {
                if self.is_new(row, &env)? {
                    output.push(row);
                }
            }
            if let Some(batch) = output.finish() {
                return Ok(Some(batch));
            }
        }
    }

    fn rewind(&mut self) {
        self.input.rewind();
        self.seen.clear();
        self.part = None;
        self.aside = None;
        self.waiting.clear();
    }
}

impl Operator for DistinctOn {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let mut key = Vec::with_capacity(self.on.len());
        while let Some(batch) = self.input.next(env)? {
            env.check()?;
            let mut output = Output::new(batch.width, &env);
            for row in batch.iter() {
                key.clear();
                eval_all(&self.on, row, &env, &mut key)?;
                let same = |last: &Vec<Datum>| last.iter().zip(&key).all(|(l, r)| equal(l, r));
                if !self.last.as_ref().is_some_and(same) {
                    output.push(row);
                    self.last = Some(std::mem::take(&mut key));
                }
            }
            if let Some(batch) = output.finish() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn rewind(&mut self) {
        self.input.rewind();
        self.last = None;
    }
}
