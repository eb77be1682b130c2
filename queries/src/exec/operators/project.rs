//! Expressions over each row.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::operators::{BoxOperator, Operator};
use crate::plan::{Expr, Plan};

struct Project {
    input: BoxOperator,
    expressions: Vec<Compiled>,
    /// The columns, when every expression is one and none is taken twice: values are moved then.
    moved: Option<Vec<usize>>,
}

/// Builds a projection.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    expressions: &[Expr],
) -> Result<BoxOperator> {
    let input = builder.operator(input)?;
    let expressions = builder.expressions(expressions)?;
    let moved = expressions.iter().map(Compiled::column).collect::<Option<Vec<_>>>();
    let moved =
        moved.filter(|columns| columns.iter().collect::<BTreeSet<_>>().len() == columns.len());
    Ok(Box::new(Project { input, expressions, moved }))
}

impl Operator for Project {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let Some(mut batch) = self.input.next(env)? else { return Ok(None) };
        let width = self.expressions.len();
        let mut values = Vec::with_capacity(width * batch.rows);
        for row in 0..batch.rows {
            let row = &mut batch.values[row * batch.width..(row + 1) * batch.width];
            match &self.moved {
                Some(columns) => {
                    values.extend(columns.iter().map(|column| std::mem::take(&mut row[*column])));
                }
                None => eval_all(&self.expressions, row, &env, &mut values)?,
            }
        }
        Ok(Some(Batch { width, rows: batch.rows, values }))
    }

    fn rewind(&mut self) {
        self.input.rewind();
    }

    fn bound(&mut self, rows: usize) {
        self.input.bound(rows);
    }
}
