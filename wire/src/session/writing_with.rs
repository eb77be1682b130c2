//! Statements of several writing parts: a `WITH` that changes data, and what comes behind it.
//!
//! The parts are decided one after the other into one write that is open until the last has given its rows; only then
//! is it committed, so that an error in any part leaves no trace. All parts read what was there before any of them; what
//! a part returns is handed to the later ones as rows. A single statement whose `RETURNING` may fail goes the same way.

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::schedule::Schedule;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::plan::{Expr, OutputColumn, Plan, PlanNode};
use rotabase_queries::sql::{Bound, Returning, WritingWith};
use rotabase_queries::types::Datum;
use rotabase_raft::{Decided, Request, Write, WriteError};

use super::api::{Execution, Rows, RowsTag};
use super::bound::BoundStatement;
use super::client::Session;
use super::write::ATTEMPTS_MAX;
use crate::database::COMMAND_DEADLINE;

/// A write that several statements are decided into.
#[derive(Debug)]
pub(crate) struct OpenWrite {
    write: Write<Schedule>,
    /// What it has decided.
    decided: Vec<Request<Schedule>>,
}

/// A common table expression whose rows are known.
type Known = (usize, Arc<Plan>);

/// Whether the rows that a statement returns are computed, so that they may fail after it has been decided.
pub(crate) fn returns_computed(bound: &Bound) -> bool {
    let plain = |expr: &Expr| matches!(expr, Expr::Column(..) | Expr::Literal(..));
    returning(bound).is_some_and(|returning| !returning.expressions.iter().all(plain))
}

fn returning(bound: &Bound) -> Option<&Returning> {
    match bound {
        Bound::Insert(insert) => insert.returning.as_ref(),
        Bound::Update(update) => update.returning.as_ref(),
        Bound::Delete(delete) => delete.returning.as_ref(),
        _ => None,
    }
}

impl Session {
    /// Carries out a statement whose WITH changes data.
    pub(crate) async fn writing_with(
        &mut self,
        with: &WritingWith,
        bound: &Arc<BoundStatement>,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let before = self.read_snapshot()?;
        if self.block.is_some() {
            self.frozen = Some(before);
            let execution = self.parts(with, bound, &parameters).await;
            self.frozen = None;
            return execution;
        }
        for _ in 0..ATTEMPTS_MAX {
            let statement = self.running.begin(self.settings.statement_timeout());
            self.wait_until_current(&statement).await?;
            drop(statement);
            self.frozen = Some(self.read_snapshot()?);
            self.write = Some(self.open_write());
            let execution = self.parts(with, bound, &parameters).await;
            self.frozen = None;
            match self.end_write(execution).await {
                Err(error) if error.state == SqlState::SERIALIZATION_FAILURE => {}
                result => return result,
            }
        }
        Err(crate::sqlstate::conflict())
    }

    /// Carries out one statement that changes data, and commits it once it has given its rows.
    pub(crate) async fn in_one_write(
        &mut self,
        bound: &Arc<BoundStatement>,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        self.write = Some(self.open_write());
        let execution = self.part(bound, parameters).await;
        self.end_write(execution).await
    }

    fn open_write(&self) -> OpenWrite {
        let write = self.database.node().begin(self.metadata());
        OpenWrite { write, decided: Vec::new() }
    }

    /// Decides commands on top of what the open write has decided.
    ///
    /// A refusal ends a write, but a statement may go on without the rows that were refused: then all that was decided
    /// before is decided again in a new one.
    pub(crate) async fn decide_open(
        &mut self,
        requests: Vec<Request<Schedule>>,
        deadline: Duration,
    ) -> Result<Decided, WriteError<Schedule>> {
        let Some(mut open) = self.write.take() else { return Err(WriteError::Conflict) };
        match open.write.decide(requests.clone(), deadline).await {
            Ok(decided) => {
                open.decided.extend(requests);
                self.write = Some(open);
                Ok(decided)
            }
            Err(error) => {
                let mut again = self.open_write();
                if !open.decided.is_empty() {
                    let decided = again.write.decide(open.decided.clone(), deadline).await;
                    decided.map_err(|_| WriteError::Conflict)?;
                    again.decided = open.decided;
                }
                self.write = Some(again);
                Err(error)
            }
        }
    }

    /// Commits the open write, or drops it after an error.
    async fn end_write(&mut self, execution: Result<Execution>) -> Result<Execution> {
        let write = self.write.take();
        let execution = execution?;
        if let Some(write) = write {
            let timeout = self.settings.statement_timeout();
            let deadline = timeout.map_or(COMMAND_DEADLINE, |it| it.min(COMMAND_DEADLINE));
            let outcome =
                write.write.commit(deadline).await.map_err(crate::sqlstate::write_error)?;
            self.has_written(&outcome.positions);
        }
        Ok(execution)
    }

    async fn parts(
        &mut self,
        with: &WritingWith,
        bound: &Arc<BoundStatement>,
        parameters: &[Datum],
    ) -> Result<Execution> {
        let mut known: Vec<Known> = Vec::with_capacity(with.writes.len());
        for write in &with.writes {
            let part = Arc::new(bound.part(&write.statement, &known));
            let execution = self.part(&part, parameters.to_vec()).await?;
            if let (Some(columns), Execution::Rows(rows)) = (write.statement.columns(), execution) {
                known.push((write.number, Arc::new(rows_of(rows, &columns).await?)));
            }
        }
        let body = Arc::new(bound.part(&with.body, &known));
        let execution = self.part(&body, parameters.to_vec()).await?;
        let Execution::Rows(mut rows) = execution else { return Ok(execution) };
        // Nothing is committed before the last row is there.
        let mut all = rotabase_queries::exec::Batch {
            width: rows.columns.len(),
            ..rotabase_queries::exec::Batch::default()
        };
        while let Some(batch) = rows.next_batch().await? {
            all.rows += batch.rows;
            all.values.extend(batch.values);
        }
        let tag = match &rows.tag {
            RowsTag::Counted(word) => RowsTag::Counted(word),
            RowsTag::Fixed(tag) => RowsTag::Fixed(tag.clone()),
        };
        Ok(Execution::Rows(Rows::complete(Arc::clone(&rows.columns), tag, all)))
    }

    /// 42501 unless every relation that `RETURNING` reads may be read.
    pub(crate) fn check_returning(&self, bound: &Bound) -> Result<()> {
        let Some(returning) = returning(bound) else { return Ok(()) };
        let input = Box::new(Plan::new(PlanNode::Values(Vec::new()), Vec::new()));
        let node = PlanNode::Project { input, expressions: returning.expressions.clone() };
        let plan = Plan { node, columns: Arc::clone(&returning.columns) };
        self.check_reads(&rotabase_queries::optimize::relations(&plan))
    }

    async fn part(
        &mut self,
        bound: &Arc<BoundStatement>,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        self.check_returning(&bound.bound)?;
        let statement = self.running.begin(self.settings.statement_timeout());
        match &bound.bound {
            Bound::Query(_) => self.query(bound, statement, parameters).await,
            Bound::Insert(insert) => self.insert(insert, bound, statement, parameters).await,
            Bound::Update(update) => self.update(update, bound, statement, parameters).await,
            Bound::Delete(delete) => self.delete(delete, bound, statement, parameters).await,
            _ => Err(SqlError::internal("a part of a WITH reads or changes data")),
        }
    }
}

impl BoundStatement {
    /// A part of a statement, with the rows of the parts before it in sight.
    fn part(&self, part: &Bound, known: &[Known]) -> Self {
        let mut part = part.clone();
        if let Some(source) = source_mut(&mut part)
            && !known.is_empty()
        {
            let empty = Plan::new(PlanNode::Values(Vec::new()), Vec::new());
            let body = Box::new(std::mem::replace(source, empty));
            let columns = Arc::clone(&body.columns);
            *source = Plan { node: PlanNode::With { ctes: known.to_vec(), body }, columns };
        }
        if let Some(returning) = returning_mut(&mut part) {
            returning.ctes.splice(0..0, known.iter().cloned());
        }
        self.with_bound(part)
    }
}

fn source_mut(bound: &mut Bound) -> Option<&mut Plan> {
    match bound {
        Bound::Query(query) => Some(&mut query.plan),
        Bound::Insert(insert) => Some(&mut insert.source),
        Bound::Update(update) => Some(&mut update.source),
        Bound::Delete(delete) => Some(&mut delete.source),
        _ => None,
    }
}

fn returning_mut(bound: &mut Bound) -> Option<&mut Returning> {
    match bound {
        Bound::Insert(insert) => insert.returning.as_mut(),
        Bound::Update(update) => update.returning.as_mut(),
        Bound::Delete(delete) => delete.returning.as_mut(),
        _ => None,
    }
}

/// A plan of rows that are there already.
async fn rows_of(mut rows: Rows, columns: &Arc<[OutputColumn]>) -> Result<Plan> {
    let mut values = Vec::new();
    while let Some(batch) = rows.next_batch().await? {
        for row in batch.iter() {
            let literals = row.iter().zip(columns.iter());
            values
                .push(literals.map(|(it, column)| Expr::Literal(it.clone(), column.ty)).collect());
        }
    }
    Ok(Plan { node: PlanNode::Values(values), columns: Arc::clone(columns) })
}
