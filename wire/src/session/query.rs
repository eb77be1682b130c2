//! Reading: SELECT, EXPLAIN, and the rows that commands work on.
//!
//! A key look-up, a short index range or a maintained count is answered at once, on the connection's own task.
//! Everything else runs on threads of its own, a batch at a time, and only while the client takes the rows.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::explain::ExplainOptions;
use rotabase_queries::exec::{BATCH_ROWS, Batch, Cursor, ExecContext};
use rotabase_queries::plan::Plan;
use rotabase_queries::relation::RelationSchema;
use rotabase_queries::sql::{self, Bound, Explain, ExplainFormat};
use rotabase_queries::types::Datum;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::api::{Execution, RowSource, Rows, RowsTag};
use super::bound::{BoundStatement, Planned};
use super::client::Session;
use super::running;
use crate::roles::Privilege;

/// The bytes of rows that a command may work on at once.
const COMMAND_ROWS_MAX: usize = 2_000_000;

impl Session {
    /// Carries out a query.
    pub(crate) async fn query(
        &mut self,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let rows = bound.rows()?;
        self.check_reads(&rows.relations)?;
        let mut context = self.reading(&rows.instants, &statement, parameters).await?;
        let columns = Arc::clone(&rows.plan.columns);
        let tag = RowsTag::Counted("SELECT");
        if let Some(direct) = &rows.direct {
            let mut batch = Batch { width: columns.len(), ..Batch::default() };
            match direct.run(context, &mut batch)? {
                None => return Ok(Execution::Rows(Rows::complete(columns, tag, batch))),
                Some(unread) => context = unread,
            }
        }
        let permits = Arc::clone(&self.database.shared().queries);
        let stream = Box::pin(Stream::open(rows, context, statement, permits)).await?;
        Ok(Execution::Rows(stream.into_rows(columns, tag)))
    }

    /// EXPLAIN.
    pub(crate) async fn explain(
        &mut self,
        explain: &Explain,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let columns = explain.options.columns();
        if explain.options.analyze && !matches!(*explain.statement, Bound::Query(_)) {
            return Err(SqlError::unsupported("EXPLAIN ANALYZE is offered for queries only"));
        }
        let Some(rows) = &bound.rows else {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "this statement has no plan to explain",
            ));
        };
        self.check_reads(&rows.relations)?;
        let context = self.reading(&rows.instants, &statement, parameters).await?;
        let plan = Arc::clone(&rows.plan);
        let mut options = explain_options(&explain.options)?;
        options.planning_microseconds = bound.planning_microseconds;
        options.command = command(&explain.statement);
        let text =
            blocking(move || rotabase_queries::exec::explain::explain(&plan, &context, &options))
                .await
                .map_err(|error| statement.explain(error))?;
        let values: Vec<Datum> = text.into_iter().map(Datum::text).collect();
        let batch = Batch { width: 1, rows: values.len(), values };
        Ok(Execution::Rows(Rows::complete(columns, RowsTag::Fixed("EXPLAIN".to_owned()), batch)))
    }

    /// Runs a plan to its end and gathers its rows.
    pub(crate) async fn collect(
        &self,
        planned: &Planned,
        context: &ExecContext,
        statement: &running::Statement,
    ) -> Result<Vec<Vec<Datum>>> {
        if let Some(direct) = &planned.direct {
            let mut batch = Batch { width: planned.plan.columns.len(), ..Batch::default() };
            if direct.run(context.clone(), &mut batch)?.is_none() {
                return Ok(batch.into_rows());
            }
        }
        let (plan, context) = (Arc::clone(&planned.plan), context.clone());
        // Literal rows need no thread of their own.
        if planned.literal {
            return gather(Cursor::open(plan, context)?);
        }
        Box::pin(self.collect_beside(plan, context, statement)).await
    }

    async fn collect_beside(
        &self,
        plan: Arc<Plan>,
        context: ExecContext,
        statement: &running::Statement,
    ) -> Result<Vec<Vec<Datum>>> {
        let permits = Arc::clone(&self.database.shared().queries);
        let _permit =
            statement.wait(permits.acquire_owned()).await?.map_err(|_| shutting_down())?;
        blocking(move || gather(Cursor::open(plan, context)?))
            .await
            .map_err(|error| statement.explain(error))
    }

    /// 42501 unless every one of the relations may be read.
    pub(crate) fn check_reads(&self, relations: &[Arc<RelationSchema>]) -> Result<()> {
        if self.is_superuser() {
            return Ok(());
        }
        relations.iter().try_for_each(|schema| {
            self.check_privilege(Privilege::Select, schema.schema, schema.name)
        })
    }
}

fn explain_options(asked: &sql::ExplainOptions) -> Result<ExplainOptions> {
    if matches!(asked.format, ExplainFormat::Xml | ExplainFormat::Yaml) {
        return Err(SqlError::unsupported("EXPLAIN is written as text or json"));
    }
    Ok(ExplainOptions {
        analyze: asked.analyze,
        verbose: asked.verbose,
        costs: asked.costs,
        timing: asked.timing,
        summary: asked.summary,
        json: asked.format == ExplainFormat::Json,
        ..ExplainOptions::default()
    })
}

/// What a statement does with the rows of its plan, if it changes them, and the table.
fn command(statement: &Bound) -> Option<(&'static str, String)> {
    let (command, table) = match statement {
        Bound::Insert(insert) => ("Insert", &insert.table),
        Bound::Update(update) => ("Update", &update.table),
        Bound::Delete(delete) => ("Delete", &delete.table),
        _ => return None,
    };
    Some((command, table.schema().name.to_owned()))
}

fn gather(mut cursor: Cursor) -> Result<Vec<Vec<Datum>>> {
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next()? {
        rows.extend(batch.iter().map(<[Datum]>::to_vec));
        if rows.len() > COMMAND_ROWS_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a statement changes at most {COMMAND_ROWS_MAX} rows"),
            )
            .with_hint("Use COPY, or several statements."));
        }
    }
    Ok(rows)
}

/// Runs something that blocks or takes long on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(SqlError::internal(format!("a statement's thread ended: {error}"))),
    }
}

fn shutting_down() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down")
}

/// The rows of a running query.
pub(crate) struct Stream {
    /// None once it has ended.
    cursor: Option<Cursor>,
    /// The rows read ahead.
    first: VecDeque<Batch>,
    statement: running::Statement,
    permits: Arc<Semaphore>,
}

impl Stream {
    /// Starts a query and waits for its first rows.
    pub(crate) async fn open(
        planned: &Planned,
        context: ExecContext,
        statement: running::Statement,
        permits: Arc<Semaphore>,
    ) -> Result<Self> {
        // What reads nothing waits for nobody's reading: it may be what others wait for, such as an advisory lock.
        let permit = if planned.literal { None } else { Some(permit(&permits, &statement).await?) };
        let plan = Arc::clone(&planned.plan);
        let opened = blocking(move || {
            let _permit = permit;
            let mut cursor = Cursor::open(plan, context)?;
            let mut first = VecDeque::new();
            // A short result is read to its end here, which saves the way back to this thread.
            while first.len() < 2 {
                match cursor.next()? {
                    Some(batch) if batch.rows >= BATCH_ROWS => {
                        first.push_back(batch);
                        break;
                    }
                    Some(batch) => first.push_back(batch),
                    None => return Ok((None, first)),
                }
            }
            Ok((Some(cursor), first))
        })
        .await;
        match opened {
            Ok((cursor, first)) => Ok(Self { cursor, first, statement, permits }),
            Err(error) => Err(statement.explain(error)),
        }
    }

    /// The rows as the protocol takes them.
    pub(crate) fn into_rows(
        mut self,
        columns: Arc<[rotabase_queries::plan::OutputColumn]>,
        tag: RowsTag,
    ) -> Rows {
        let first = self.first.pop_front();
        if self.cursor.is_none() && self.first.is_empty() {
            let batch = first.unwrap_or(Batch { width: columns.len(), ..Batch::default() });
            return Rows::complete(columns, tag, batch);
        }
        Rows::streamed(columns, tag, first, Box::new(self))
    }

    async fn next(&mut self) -> Result<Option<Batch>> {
        if let Some(first) = self.first.pop_front() {
            return Ok(Some(first));
        }
        let Some(mut cursor) = self.cursor.take() else { return Ok(None) };
        let permit = permit(&self.permits, &self.statement).await?;
        let (cursor, batch) = blocking(move || {
            let _permit = permit;
            let batch = cursor.next()?;
            Ok((cursor, batch))
        })
        .await
        .map_err(|error| self.statement.explain(error))?;
        self.cursor = Some(cursor);
        Ok(batch)
    }
}

pub(crate) async fn permit(
    permits: &Arc<Semaphore>,
    statement: &running::Statement,
) -> Result<OwnedSemaphorePermit> {
    statement.wait(Arc::clone(permits).acquire_owned()).await?.map_err(|_| shutting_down())
}

impl RowSource for Stream {
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Batch>>> {
        self.next().boxed()
    }
}
