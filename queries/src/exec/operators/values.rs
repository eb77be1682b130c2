//! `VALUES`, and the one row of a `SELECT` without `FROM`.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::plan::Expr;

struct Values {
    rows: Vec<Vec<Compiled>>,
    width: usize,
    next: usize,
}

/// Builds constant rows.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    rows: &[Vec<Expr>],
    width: usize,
) -> Result<BoxOperator> {
    let rows = rows.iter().map(|row| builder.expressions(row)).collect::<Result<_>>()?;
    Ok(Box::new(Values { rows, width, next: 0 }))
}

impl Operator for Values {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let mut output = Output::new(self.width, &env);
        while !output.is_full()
            && let Some(row) = self.rows.get(self.next)
        {
            eval_all(row, &[], &env, output.values())?;
            output.finish_row();
            self.next += 1;
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.next = 0;
    }
}
