//! Writing: INSERT, UPDATE and DELETE as commands to aggregates.
//!
//! The rows that a statement works on come from its plan, like a query's; each becomes commands
//! ([`rotabase_queries::sql::command`]); all commands are decided before any is stored. What was read may have
//! changed by the time the aggregate decides. Then the aggregate says so, and the statement reads again, up to
//! [`ATTEMPTS_MAX`] times: an UPDATE never overwrites what it has not seen.

mod change;
mod rows;
mod series;

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::schedule::{LegId, Refusal, Schedule};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Batch, Evaluator, ExecContext, evaluate};
use rotabase_queries::sql::command::{self, Target};
use rotabase_queries::sql::{ConflictAction, Insert, OnConflict, Returning};
use rotabase_queries::types::Datum;
use rotabase_raft::{Decided, Request, WriteError};

use self::rows::{ChangedRow, Changes, insert_row, refuse_repeated_keys};
use super::api::{Execution, Rows, RowsTag};
use super::block::Block;
use super::bound::BoundStatement;
use super::client::Session;
use super::query::blocking;
use super::running;
use crate::database::COMMAND_DEADLINE;
use crate::roles::Privilege;
use crate::sqlstate;

/// How often a statement is read and decided again when other sessions are faster.
pub(crate) const ATTEMPTS_MAX: usize = 16;

/// The commands of a block's statement that are decided on the connection's own task.
const DECIDED_HERE_MAX: usize = 64;

/// Why commands were not decided.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The write path's answer.
    Write(WriteError<Schedule>),
    /// The block cannot take them.
    Block(SqlError),
}

impl From<WriteError<Schedule>> for SendError {
    fn from(error: WriteError<Schedule>) -> Self {
        Self::Write(error)
    }
}

impl From<SqlError> for SendError {
    fn from(error: SqlError) -> Self {
        Self::Block(error)
    }
}

impl Session {
    /// INSERT.
    pub(crate) async fn insert(
        &mut self,
        insert: &Insert,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let target = self.target(&insert.table, Privilege::Insert)?;
        let planned = bound.rows()?;
        self.check_reads(&planned.relations)?;
        // Rows that stand in the statement need no look at what is there, so nothing has to be waited for.
        let looks = !planned.literal
            || insert.on_conflict.is_some()
            || insert.columns.contains(&command::column::LEG_ID);
        if self.block.is_some() {
            self.wait_until_current(&statement).await?;
        } else if looks {
            self.wait_until_readable(&statement).await?;
        }
        let mut context = self.context(&statement, parameters)?;
        self.look_back(&planned.instants, &mut context, &statement).await?;
        let values = self.collect(planned, &context, &statement).await?;
        let mut rows = Vec::with_capacity(values.len());
        for values in values {
            rows.push(insert_row(target, &insert.columns, values)?);
        }
        let upserts = insert
            .on_conflict
            .as_ref()
            .filter(|it| matches!(it.action, ConflictAction::Update { .. }));
        if let Some(conflict) = upserts {
            let upsert = self.upsert(target, insert, conflict, rows, &statement, &context);
            return Box::pin(upsert).await;
        }
        let mut changes = self.insert_changes(target, &rows)?;
        let skips = insert.on_conflict.is_some();
        self.drop_known_ids(target, insert, &mut changes, skips)?;
        let decided = self.submit_inserts(target, &mut changes, skips, &statement).await?;
        self.finish("INSERT 0", changes, &decided, insert.returning.as_ref(), &context)
    }

    /// INSERT … ON CONFLICT DO UPDATE: rows that are there are updated, the others inserted.
    async fn upsert(
        &mut self,
        target: Target,
        insert: &Insert,
        conflict: &OnConflict,
        rows: Vec<Vec<Option<Datum>>>,
        statement: &running::Statement,
        context: &ExecContext,
    ) -> Result<Execution> {
        let ConflictAction::Update { assignments, condition } = &conflict.action else {
            return Err(SqlError::internal("DO UPDATE has assignments"));
        };
        refuse_repeated_keys(target, &rows)?;
        for _ in 0..ATTEMPTS_MAX {
            let mut context = context.clone();
            context.snapshot = self.snapshot()?;
            let mut changes = Changes::default();
            for row in &rows {
                let inserted =
                    self.insert_changes(target, std::slice::from_ref(row))?.rows.remove(0);
                let key = &inserted.change.row[0];
                let Some(old) = self.row_by_key(target, key, &context)? else {
                    changes.rows.push(inserted);
                    continue;
                };
                let both: Vec<Datum> = old.iter().chain(&inserted.change.row).cloned().collect();
                let holds = match condition {
                    Some(condition) => {
                        matches!(evaluate(condition, &both, &context)?, Datum::Bool(true))
                    }
                    None => true,
                };
                if !holds {
                    continue;
                }
                let mut new = old.clone();
                for (column, value) in assignments {
                    new[*column] = evaluate(value, &both, &context)?;
                }
                let change = command::update(target, &old, &new, None)?;
                changes.rows.push(ChangedRow { change, beside: Vec::new() });
            }
            match self.submit_raw(&changes, statement).await {
                Ok(decided) => {
                    return self.finish(
                        "INSERT 0",
                        changes,
                        &decided,
                        insert.returning.as_ref(),
                        &context,
                    );
                }
                Err(SendError::Write(WriteError::Refused {
                    refusal: Refusal::AlreadyExists(_) | Refusal::Missing(_),
                    ..
                })) => {
                    self.catch_up(statement).await?;
                }
                Err(error) => return Err(self.row_error(error, target, statement)),
            }
        }
        Err(sqlstate::conflict())
    }

    /// The commands of rows that are to be inserted.
    fn insert_changes(&self, target: Target, rows: &[Vec<Option<Datum>>]) -> Result<Changes> {
        let config = &self.database.shared().config;
        let now = config.clock.now_microseconds();
        let mut new_id = || config.random.uuid_v7(now);
        let mut changes = Changes { rows: Vec::with_capacity(rows.len()) };
        for row in rows {
            let change = command::insert(target, row, &mut new_id)?;
            changes.rows.push(ChangedRow { change, beside: Vec::new() });
        }
        Ok(changes)
    }

    /// A leg's id has to be unique over all aggregates, which no aggregate can see: ids that the client gave are
    /// looked up.
    fn drop_known_ids(
        &mut self,
        target: Target,
        insert: &Insert,
        changes: &mut Changes,
        skips: bool,
    ) -> Result<()> {
        if target != Target::Legs || !insert.columns.contains(&command::column::LEG_ID) {
            return Ok(());
        }
        let snapshot = self.snapshot()?;
        let mut kept = Vec::with_capacity(changes.rows.len());
        for row in changes.rows.drain(..) {
            let known = match &row.change.row[command::column::LEG_ID] {
                Datum::Uuid(id) => snapshot.leg(LegId(*id))?.map(|_| LegId(*id)),
                _ => None,
            };
            match known {
                Some(id) if !skips => return Err(sqlstate::refused(&Refusal::LegExists(id))),
                Some(_) => {}
                None => kept.push(row),
            }
        }
        changes.rows = kept;
        Ok(())
    }

    /// Sends the rows of an INSERT; with ON CONFLICT DO NOTHING those whose key is there are left out.
    async fn submit_inserts(
        &mut self,
        target: Target,
        changes: &mut Changes,
        skips: bool,
        statement: &running::Statement,
    ) -> Result<Decided> {
        loop {
            match self.submit_raw(changes, statement).await {
                Ok(decided) => return Ok(decided),
                Err(SendError::Write(WriteError::Refused {
                    request,
                    refusal: Refusal::AlreadyExists(_) | Refusal::LegExists(_),
                })) if skips => {
                    let row = changes.row_of(request);
                    changes.rows.remove(row);
                }
                Err(error) => return Err(self.row_error(error, target, statement)),
            }
        }
    }

    /// Waits until the projections show everything that is stored now.
    async fn catch_up(&mut self, statement: &running::Statement) -> Result<()> {
        let barrier = self.database.node().read_barrier(COMMAND_DEADLINE);
        let positions = statement.wait(barrier).await?.map_err(sqlstate::write_error)?;
        self.wait_for(&positions, statement).await
    }

    /// Decides and stores all commands, or keeps them for the block's end.
    async fn submit_raw(
        &mut self,
        changes: &Changes,
        statement: &running::Statement,
    ) -> Result<Decided, SendError> {
        let requests = changes.requests();
        if requests.is_empty() {
            return Ok(Decided::default());
        }
        self.send(requests, statement.timeout()).await
    }

    /// Decides and stores commands, or keeps them for the block's end.
    pub(crate) async fn send(
        &mut self,
        requests: Vec<Request<Schedule>>,
        timeout: Option<Duration>,
    ) -> Result<Decided, SendError> {
        let deadline = timeout.map_or(COMMAND_DEADLINE, |timeout| timeout.min(COMMAND_DEADLINE));
        if self.write.is_some() {
            return Ok(Box::pin(self.decide_open(requests, deadline)).await?);
        }
        let Some(mut block) = self.block.take() else {
            let metadata = self.metadata();
            let outcome = self.database.node().execute(requests, metadata, deadline).await?;
            self.has_written(&outcome.positions);
            return Ok(Decided { versions: outcome.versions, emitted: outcome.emitted });
        };
        if requests.len() <= DECIDED_HERE_MAX {
            let decided = self.prepare(&mut block).and_then(|()| block.decide(&requests));
            self.block = Some(block);
            return decided;
        }
        let prepared = self.prepare(&mut block);
        let deciding = blocking(move || {
            let decided = prepared.and_then(|()| block.decide(&requests));
            Ok((block, decided))
        });
        let (block, decided) = deciding.await?;
        self.block = Some(block);
        decided
    }

    /// Has a block look at the schedule that has not done so yet.
    fn prepare(&self, block: &mut Block) -> Result<(), SendError> {
        if !block.has_view() {
            block.advance(&self.database.shared().projections.snapshot())?;
        }
        Ok(())
    }

    /// What the client is told when rows of a table were refused.
    fn row_error(
        &self,
        error: SendError,
        target: Target,
        statement: &running::Statement,
    ) -> SqlError {
        match error {
            SendError::Write(WriteError::Refused { refusal, .. }) => {
                sqlstate::refused_row(&refusal, target.table())
            }
            error => self.write_error(error, statement),
        }
    }

    /// What the client is told; a deadline that was `statement_timeout` is called by its name.
    pub(crate) fn write_error(&self, error: SendError, statement: &running::Statement) -> SqlError {
        let error = match error {
            SendError::Write(error) => error,
            SendError::Block(error) => return error,
        };
        match error {
            WriteError::Deadline
                if statement.timeout().is_some_and(|it| it <= COMMAND_DEADLINE) =>
            {
                SqlError::new(
                    SqlState::QUERY_CANCELED,
                    "canceling statement due to statement timeout",
                )
            }
            error => sqlstate::write_error(error),
        }
    }

    /// The command tag and the rows of RETURNING.
    fn finish(
        &self,
        tag: &str,
        changes: Changes,
        decided: &Decided,
        returning: Option<&Returning>,
        context: &ExecContext,
    ) -> Result<Execution> {
        let tag = format!("{tag} {}", changes.rows.len());
        let Some(returning) = returning else { return Ok(Execution::Done(tag)) };
        let evaluator = Evaluator::with_ctes(&returning.expressions, &returning.ctes, context)?;
        let width = returning.columns.len();
        let mut batch =
            Batch { width, rows: 0, values: Vec::with_capacity(changes.rows.len() * width) };
        let mut first_request = 0;
        for ChangedRow { change, beside } in changes.rows {
            let mut row = change.row;
            let version = decided
                .versions
                .get(first_request + change.versioned_by)
                .copied()
                .unwrap_or_default();
            first_request += change.requests.len();
            let last = row.len() - 1;
            row[last] = Datum::Int8(version.to_i64());
            row.extend(beside);
            evaluator.evaluate(&row, &mut batch.values)?;
            batch.rows += 1;
        }
        Ok(Execution::Rows(Rows::complete(
            Arc::clone(&returning.columns),
            RowsTag::Fixed(tag),
            batch,
        )))
    }

    fn target(
        &self,
        table: &Arc<dyn rotabase_queries::relation::Relation>,
        privilege: Privilege,
    ) -> Result<Target> {
        let schema = table.schema();
        self.check_privilege(privilege, schema.schema, schema.name)?;
        Target::of_table(schema.name).ok_or_else(|| {
            SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change \"{}\"", schema.name))
        })
    }

    /// A row of a table that has a text key.
    fn row_by_key(
        &self,
        target: Target,
        key: &Datum,
        context: &ExecContext,
    ) -> Result<Option<Vec<Datum>>> {
        let relation = self.database.shared().relation(target.table())?;
        let columns: Vec<usize> = (0..target.columns().len()).collect();
        let access = rotabase_queries::relation::Access::Index {
            index: 0,
            prefix: vec![key.clone()],
            lower: rotabase_queries::relation::Bound::Open,
            upper: rotabase_queries::relation::Bound::Open,
            backward: false,
        };
        let mut row = Vec::new();
        relation.scan(context, &access, &columns)?.next(1, &mut row)?;
        Ok((!row.is_empty()).then_some(row))
    }
}
