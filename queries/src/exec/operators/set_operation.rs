//! `UNION`, `INTERSECT` and `EXCEPT`, with and without `ALL`.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::RowTable;
use crate::plan::{Plan, SetOperationKind};

struct SetOperation {
    kind: SetOperationKind,
    all: bool,
    left: BoxOperator,
    right: BoxOperator,
    left_ended: bool,
    right_read: bool,
    /// Of a union: what came out. Otherwise: the right rows.
    rows: RowTable,
    /// How often each right row is left to be matched.
    counts: Vec<usize>,
    /// Left rows that came out, where only distinct ones do.
    given: RowTable,
}

/// Builds a set operation.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    kind: SetOperationKind,
    all: bool,
    left: &Plan,
    right: &Plan,
) -> Result<BoxOperator> {
    let width = left.columns.len();
    let left = builder.operator(left)?;
    let right = builder.operator(right)?;
    let rows = RowTable::new(width, builder.statement());
    let given = RowTable::new(width, builder.statement());
    Ok(Box::new(SetOperation {
        kind,
        all,
        left,
        right,
        left_ended: false,
        right_read: false,
        rows,
        counts: Vec::new(),
        given,
    }))
}

impl SetOperation {
    fn next_union(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        loop {
            env.check()?;
            let batch =
                if self.left_ended { self.right.next(env)? } else { self.left.next(env)? };
            let Some(batch) = batch else {
                if self.left_ended {
                    return Ok(None);
                }
                self.left_ended = true;
                continue;
            };
            if self.all {
                return Ok(Some(batch));
            }
            let mut output = Output::new(batch.width, &env);
            for row in batch.iter() {
                if self.rows.insert(row)?.1 {
                    output.push(row);
                }
            }
            if let Some(batch) = output.finish() {
                return Ok(Some(batch));
            }
        }
    }

    fn read_right(&mut self, env: Env<'_>) -> Result<()> {
        while let Some(batch) = self.right.next(env.wanting_all())? {
            env.check()?;
            for row in batch.iter() {
                let (number, new) = self.rows.insert(row)?;
                if new {
                    self.counts.push(0);
                }
                self.counts[number] += 1;
            }
        }
        self.right_read = true;
        Ok(())
    }

    fn keeps(&mut self, row: &[crate::types::Datum]) -> Result<bool> {
        let found = self.rows.find(row);
        let wanted = self.kind == SetOperationKind::Intersect;
        if !self.all {
            return Ok(found.is_some() == wanted && self.given.insert(row)?.1);
        }
        let matched = found.is_some_and(|number| {
            let left = self.counts[number] > 0;
            self.counts[number] -= usize::from(left);
            left
        });
        Ok(matched == wanted)
    }
}

impl Operator for SetOperation {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if self.kind == SetOperationKind::Union {
            return self.next_union(env);
        }
        if !self.right_read {
            self.read_right(env)?;
        }
        while let Some(batch) = self.left.next(env.wanting_all())? {
            env.check()?;
            let mut output = Output::new(batch.width, &env);
            for row in batch.iter() {
                if self.keeps(row)? {
                    output.push(row);
                }
            }
            if let Some(batch) = output.finish() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn rewind(&mut self) {
        self.left.rewind();
        self.right.rewind();
        self.left_ended = false;
        self.right_read = false;
        self.rows.clear();
        self.counts.clear();
        self.given.clear();
    }
}
