//! Set-returning functions among a query's output expressions.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::plan::{Plan, ProjectSetItem, SetCall};
use crate::types::functions::SetFunction;
use crate::types::{Datum, PgType};

/// A call of a set-returning function.
pub(crate) struct CompiledSetCall {
    function: &'static SetFunction,
    arguments: Vec<Compiled>,
    columns: Vec<PgType>,
}

/// The rows of a running call.
pub(crate) struct Rows {
    iterator: Option<Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>>,
    width: usize,
}

impl CompiledSetCall {
    /// Compiles a call.
    pub(crate) fn new(builder: &mut Builder<'_>, call: &SetCall) -> Result<Self> {
        let columns = call.columns.iter().map(|(_, ty)| *ty).collect();
        Ok(Self {
            function: call.function,
            arguments: builder.expressions(&call.arguments)?,
            columns,
        })
    }

    /// The number of its columns.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Calls it over a row.
    pub(crate) fn start(&self, row: &[Datum], env: &Env<'_>) -> Result<Rows> {
        let mut values = Vec::with_capacity(self.arguments.len());
        eval_all(&self.arguments, row, env, &mut values)?;
        let iterator = if self.function.strict && values.iter().any(Datum::is_null) {
            None
        } else {
            Some((self.function.call)(&env.eval(), &values)?)
        };
        Ok(Rows { iterator, width: self.columns.len() })
    }
}

impl Rows {
    /// Appends the next row, or nulls after the last; says whether there was a row.
    pub(crate) fn append(&mut self, out: &mut Vec<Datum>) -> Result<bool> {
        let row = self.iterator.as_mut().and_then(Iterator::next).transpose()?;
        let Some(mut row) = row else {
            self.iterator = None;
            out.extend(std::iter::repeat_n(Datum::Null, self.width));
            return Ok(false);
        };
        row.resize(self.width, Datum::Null);
        out.append(&mut row);
        Ok(true)
    }
}

enum Item {
    Expr(Compiled),
    Set(CompiledSetCall),
}

struct ProjectSet {
    input: BoxOperator,
    items: Vec<Item>,
    batch: Option<Batch>,
    row: usize,
    /// The running calls of the current row, in the order of the items.
    running: Option<Vec<Rows>>,
}

/// Builds it.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    items: &[ProjectSetItem],
) -> Result<BoxOperator> {
    let input = builder.operator(input)?;
    let items = items.iter().map(|item| {
        Ok(match item {
            ProjectSetItem::Expr(expr) => Item::Expr(builder.expression(expr)?),
            ProjectSetItem::Set(call) => Item::Set(CompiledSetCall::new(builder, call)?),
        })
    });
    let items = items.collect::<Result<_>>()?;
    Ok(Box::new(ProjectSet { input, items, batch: None, row: 0, running: None }))
}

/// The calls of a row, started.
fn start(items: &[Item], row: &[Datum], env: &Env<'_>) -> Result<Vec<Rows>> {
    let sets = items.iter().filter_map(|item| match item {
        Item::Set(call) => Some(call.start(row, env)),
        Item::Expr(_) => None,
    });
    sets.collect()
}

/// Appends the next row made of the input row and the running calls; says whether there was one.
fn advance(
    items: &[Item],
    running: &mut [Rows],
    row: &[Datum],
    env: &Env<'_>,
    output: &mut Output,
) -> Result<bool> {
    let mut any = false;
    let mut calls = running.iter_mut();
    let mut fields = Vec::new();
    for item in items {
        match item {
            Item::Expr(expr) => {
                let value = expr.eval(row, env)?.into_owned();
                output.values().push(value);
            }
            Item::Set(call) => {
                let Some(rows) = calls.next() else { continue };
                fields.clear();
                let more = rows.append(&mut fields)?;
                any |= more;
                output.values().push(match fields.len() {
                    1 => std::mem::take(&mut fields[0]),
                    _ if more => Datum::Record(
                        call.columns
                            .iter()
                            .copied()
                            .zip(fields.drain(..))
                            .collect::<Vec<_>>()
                            .into(),
                    ),
                    _ => Datum::Null,
                });
            }
        }
    }
    if any {
        output.finish_row();
    } else {
        output.discard_unfinished();
    }
    Ok(any)
}

impl Operator for ProjectSet {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let mut output = Output::new(self.items.len(), &env);
        while !output.is_full() {
            let Some(batch) = &self.batch else {
                env.check()?;
                self.batch = self.input.next(env)?;
                self.row = 0;
                if self.batch.is_none() {
                    break;
                }
                continue;
            };
            if self.row == batch.rows {
                self.batch = None;
                continue;
            }
            let row = &batch.values[self.row * batch.width..(self.row + 1) * batch.width];
            let running = match &mut self.running {
                Some(running) => running,
                None => self.running.insert(start(&self.items, row, &env)?),
            };
            if !advance(&self.items, running, row, &env, &mut output)? {
                self.running = None;
                self.row += 1;
            }
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.input.rewind();
        self.batch = None;
        self.row = 0;
        self.running = None;
    }
}
