//! `DISTINCT` and `DISTINCT ON`: the first row of each value.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::RowTable;
use crate::plan::{Expr, Plan};

struct Distinct {
    input: BoxOperator,
    on: Option<Vec<Compiled>>,
    seen: RowTable,
}

/// Builds it.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    on: Option<&[Expr]>,
) -> Result<BoxOperator> {
    let width = on.map_or(input.columns.len(), <[Expr]>::len);
    let input = builder.operator(input)?;
    let on = on.map(|on| builder.expressions(on)).transpose()?;
    Ok(Box::new(Distinct { input, on, seen: RowTable::new(width, builder.statement()) }))
}

impl Operator for Distinct {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let mut key = Vec::new();
        while let Some(batch) = self.input.next(env)? {
            env.check()?;
            let mut output = Output::new(batch.width, &env);
            for row in batch.iter() {
                let new = match &self.on {
                    None => self.seen.insert(row)?.1,
                    Some(on) => {
                        key.clear();
                        eval_all(on, row, &env, &mut key)?;
                        self.seen.insert(&key)?.1
                    }
                };
                if new {
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
        self.input.rewind();
        self.seen.clear();
    }
}
