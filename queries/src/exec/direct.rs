//! The direct path: key look-ups, short index ranges, maintained counts and rows that stand in the statement, read
//! without an operator tree.
//!
//! A [`DirectPlan`] is made once, when a statement is planned, and run for each set of parameters on the thread
//! that has them. It gives up, without harm, where a range turns out to be longer than [`DIRECT_ROWS_MAX`].

use crate::error::{Result, SqlError, SqlState};
use crate::exec::environment::{Env, Statement};
use crate::exec::expression::{Compiled, Host, SubqueryValue, compile, eval_all};
use crate::exec::operators::limit::count;
use crate::exec::operators::scan::{CompiledAccess, Source};
use crate::exec::{Batch, ExecContext};
use crate::optimize::walk;
use crate::plan::{Expr, Plan, PlanNode, ScanAccess, Subquery};

/// The most rows that a direct plan reads; longer ranges are for a [`crate::exec::Cursor`].
pub const DIRECT_ROWS_MAX: usize = 256;

/// How deeply the expressions of a direct plan may be nested, since it runs on any thread.
const DIRECT_NESTING_MAX: usize = 32;

/// A plan that is cheap enough to be run where it is asked for.
#[derive(Debug)]
pub struct DirectPlan {
    rows: DirectRows,
    projections: Vec<Vec<Compiled>>,
    limit: Option<Compiled>,
    offset: Option<Compiled>,
    width: usize,
}

/// Where the rows of a direct plan come from.
#[derive(Debug)]
enum DirectRows {
    Read { source: Source, filter: Option<Compiled> },
    Literal(Vec<Vec<Compiled>>),
}

/// The direct form of an optimised plan, if it has one.
pub fn direct(plan: &Plan) -> Option<DirectPlan> {
    let width = plan.columns.len();
    let mut host = DirectHost;
    let mut node = &plan.node;
    let (mut limit, mut offset) = (None, None);
    let mut projections = Vec::new();
    loop {
        match node {
            PlanNode::Limit { input, limit: some_limit, offset: some_offset, ties: None }
                if limit.is_none() && offset.is_none() =>
            {
                limit =
                    some_limit.as_ref().map(|expr| compiled(expr, &mut host)).transpose().ok()?;
                offset =
                    some_offset.as_ref().map(|expr| compiled(expr, &mut host)).transpose().ok()?;
                node = &input.node;
            }
            PlanNode::Project { input, expressions } => {
                let expressions = expressions.iter().map(|expr| compiled(expr, &mut host));
                projections.push(expressions.collect::<Result<_>>().ok()?);
                node = &input.node;
            }
            PlanNode::Scan { relation, columns, access, filter } => {
                if matches!(access, ScanAccess::Full) {
                    return None;
                }
                let source = Source::compile(relation, columns, access, &mut |expr| {
                    compiled(expr, &mut host)
                })
                .ok()?;
                let filter =
                    filter.as_ref().map(|expr| compiled(expr, &mut host)).transpose().ok()?;
                projections.reverse();
                let rows = DirectRows::Read { source, filter };
                return Some(DirectPlan { rows, projections, limit, offset, width });
            }
            // A call that is volatile may take its time, such as one that sleeps or waits for a lock.
            PlanNode::Values(rows)
                if rows.len() <= DIRECT_ROWS_MAX && walk::is_repeatable_plan(plan) =>
            {
                let row =
                    |row: &Vec<Expr>| row.iter().map(|it| compiled(it, &mut DirectHost)).collect();
                let rows = DirectRows::Literal(rows.iter().map(row).collect::<Result<_>>().ok()?);
                projections.reverse();
                return Some(DirectPlan { rows, projections, limit, offset, width });
            }
            _ => return None,
        }
    }
}

/// Expressions that need no statement to be compiled and no deep stack to be evaluated.
struct DirectHost;

impl Host for DirectHost {
    fn statement(&self) -> Option<&Statement> {
        None
    }

    fn subquery(&mut self, _subquery: &Subquery, _depth: usize) -> Result<SubqueryValue> {
        Err(SqlError::internal("no subqueries on the direct path"))
    }
}

fn compiled(expr: &Expr, host: &mut DirectHost) -> Result<Compiled> {
    if depth(expr) > DIRECT_NESTING_MAX {
        return Err(SqlError::internal("too deep for the direct path"));
    }
    compile(expr, host, 0)
}

fn depth(expr: &Expr) -> usize {
    let mut deepest = 0;
    walk::parts(expr, &mut |part| deepest = deepest.max(depth(part)));
    deepest + 1
}

impl DirectPlan {
    /// Runs the plan and replaces the batch by its rows. If the range is too long the batch is empty, and a cursor has
    /// to be opened instead, with the context that is given back.
    pub fn run(&self, context: ExecContext, batch: &mut Batch) -> Result<Option<ExecContext>> {
        let statement = Statement::of_one(context);
        let done = self.run_in(&Env::new(&statement), batch)?;
        Ok(if done { None } else { Some(statement.context) })
    }

    fn run_in(&self, env: &Env<'_>, batch: &mut Batch) -> Result<bool> {
        batch.width = self.width;
        batch.rows = 0;
        batch.values.clear();
        let (limit, offset) = self.bounds(env)?;
        if limit == Some(0) {
            return Ok(true);
        }
        match &self.rows {
            DirectRows::Literal(rows) => {
                let mut row = Vec::new();
                for literal in rows.iter().skip(offset).take(limit.unwrap_or(usize::MAX)) {
                    if self.projections.is_empty() {
                        eval_all(literal, &[], env, &mut batch.values)?;
                        batch.rows += 1;
                    } else {
                        row.clear();
                        eval_all(literal, &[], env, &mut row)?;
                        self.give(&row, batch, env)?;
                    }
                }
                Ok(true)
            }
            DirectRows::Read { source, .. } if matches!(source.access, CompiledAccess::Count) => {
                let count = [crate::types::Datum::Int8(source.count(env)?)];
                if offset == 0 {
                    self.give(&count, batch, env)?;
                }
                Ok(true)
            }
            DirectRows::Read { source, filter } => {
                self.read(source, filter.as_ref(), (limit, offset), batch, env)
            }
        }
    }

    fn bounds(&self, env: &Env<'_>) -> Result<(Option<usize>, usize)> {
        let offset = match &self.offset {
            Some(offset) => count(
                &*offset.eval(&[], env)?,
                SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
                "OFFSET",
            )?
            .unwrap_or(0),
            None => 0,
        };
        let limit = match &self.limit {
            Some(limit) => count(
                &*limit.eval(&[], env)?,
                SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
                "LIMIT",
            )?,
            None => None,
        };
        Ok((limit, offset))
    }

    fn read(
        &self,
        source: &Source,
        filter: Option<&Compiled>,
        (limit, mut skip): (Option<usize>, usize),
        batch: &mut Batch,
        env: &Env<'_>,
    ) -> Result<bool> {
        let width = source.read_width(env);
        let mut rows_read = 0;
        let mut values = Vec::new();
        for access in source.accesses(env)? {
            let mut scan = source.open(&access, env)?;
            loop {
                values.clear();
                let wanted = limit
                    .map_or(DIRECT_ROWS_MAX, |limit| limit.saturating_add(skip))
                    .min(DIRECT_ROWS_MAX);
                let more = scan.next(wanted, &mut values)?;
                rows_read += values.len() / width;
                for row in values.chunks_exact(width) {
                    if let Some(filter) = filter
                        && filter.test(row, env)? != Some(true)
                    {
                        continue;
                    }
                    source.note(row, env)?;
                    if skip > 0 {
                        skip -= 1;
                        continue;
                    }
                    self.give(row, batch, env)?;
                    if limit == Some(batch.rows) {
                        return Ok(true);
                    }
                }
                if rows_read > DIRECT_ROWS_MAX || (more && rows_read == DIRECT_ROWS_MAX) {
                    batch.rows = 0;
                    batch.values.clear();
                    return Ok(false);
                }
                if !more {
                    break;
                }
            }
        }
        Ok(true)
    }

    /// Appends a row, projected.
    fn give(&self, row: &[crate::types::Datum], batch: &mut Batch, env: &Env<'_>) -> Result<()> {
        match &*self.projections {
            [] if self.width > 0 => batch.values.extend_from_slice(&row[..self.width]),
            [] => {}
            [only] => eval_all(only, row, env, &mut batch.values)?,
            [first, rest @ ..] => {
                let mut row_now = Vec::with_capacity(first.len());
                eval_all(first, row, env, &mut row_now)?;
                for projection in rest {
                    let mut projected = Vec::with_capacity(projection.len());
                    eval_all(projection, &row_now, env, &mut projected)?;
                    row_now = projected;
                }
                batch.values.append(&mut row_now);
            }
        }
        batch.rows += 1;
        Ok(())
    }
}
