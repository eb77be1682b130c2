//! Rows for which a condition is true.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::Compiled;
use crate::exec::operators::{BoxOperator, Operator};
use crate::plan::{Expr, Plan};

struct Filter {
    input: BoxOperator,
    predicate: Compiled,
}

/// Builds a filter.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    predicate: &Expr,
) -> Result<BoxOperator> {
    let input = builder.operator(input)?;
    Ok(Box::new(Filter { input, predicate: builder.expression(predicate)? }))
}

impl Operator for Filter {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if let Some(constant) = self.predicate.constant()
            && !matches!(constant, crate::types::Datum::Bool(true))
        {
            return Ok(None);
        }
        while let Some(mut batch) = self.input.next(env)? {
            retain(&mut batch, &self.predicate, &env)?;
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
            env.check()?;
        }
        Ok(None)
    }

    fn rewind(&mut self) {
        self.input.rewind();
    }
}

/// Drops the rows for which the predicate is not true.
pub(crate) fn retain(batch: &mut Batch, predicate: &Compiled, env: &Env<'_>) -> Result<()> {
    let width = batch.width;
    let mut kept = 0;
    for row in 0..batch.rows {
        if predicate.test(&batch.values[row * width..(row + 1) * width], env)? != Some(true) {
            continue;
        }
        if kept < row {
            for column in 0..width {
                batch.values.swap(kept * width + column, row * width + column);
            }
        }
        kept += 1;
    }
    batch.values.truncate(kept * width);
    batch.rows = kept;
    Ok(())
}
