//! Functions in `FROM`, side by side, perhaps with a row number.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::operators::project_set::{CompiledSetCall, Rows};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::plan::SetCall;
use crate::types::Datum;

struct FunctionScan {
    calls: Vec<CompiledSetCall>,
    ordinality: bool,
    running: Option<Vec<Rows>>,
    number: i64,
}

/// Builds it.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    calls: &[SetCall],
    ordinality: bool,
) -> Result<BoxOperator> {
    let calls =
        calls.iter().map(|call| CompiledSetCall::new(builder, call)).collect::<Result<_>>()?;
    Ok(Box::new(FunctionScan { calls, ordinality, running: None, number: 0 }))
}

impl Operator for FunctionScan {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let width = self.calls.iter().map(CompiledSetCall::width).sum::<usize>()
            + usize::from(self.ordinality);
        let running = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(
                self.calls.iter().map(|call| call.start(&[], &env)).collect::<Result<_>>()?,
            ),
        };
        env.check()?;
        let mut output = Output::new(width, &env);
        while !output.is_full() {
            let mut any = false;
            for rows in &mut *running {
                any |= rows.append(output.values())?;
            }
            if !any {
                output.discard_unfinished();
                break;
            }
            if self.ordinality {
                self.number += 1;
                output.values().push(Datum::Int8(self.number));
            }
            output.finish_row();
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.running = None;
        self.number = 0;
    }
}
