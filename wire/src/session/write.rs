//! Writing: INSERT, UPDATE and DELETE as commands to aggregates.
//!
//! The rows that a statement works on come from its plan, like a query's; each becomes commands
//! ([`rotabase_queries::sql::command`]); all commands are decided before any is stored. What was read may have
//! changed by the time the aggregate decides. Then the aggregate says so, and the statement reads again, up to
//! [`ATTEMPTS_MAX`] times: an UPDATE never overwrites what it has not seen.

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::position::Version;
use rotabase_engine::schedule::{Leg, LegId, Refusal, Registration, RotationId, Schedule};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Batch, Evaluator, ExecContext, evaluate};
use rotabase_queries::sql::command::{self, CommandRequest, RowChange, Target};
use rotabase_queries::sql::{ConflictAction, Delete, Insert, OnConflict, Returning, Update};
use rotabase_queries::types::Datum;
use rotabase_raft::{Decided, Request, WriteError};

use super::api::{Execution, Rows, RowsTag};
use super::client::{BoundStatement, Session};
use super::{overlay, running};
use crate::database::COMMAND_DEADLINE;
use crate::roles::Privilege;
use crate::sqlstate;

/// How often a statement is read and decided again when other sessions are faster.
pub(crate) const ATTEMPTS_MAX: usize = 16;

/// The commands of a statement, row by row.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    rows: Vec<ChangedRow>,
}

/// A row that a statement changes, with what `RETURNING` may look at beside it.
#[derive(Debug)]
struct ChangedRow {
    change: RowChange,
    beside: Vec<Datum>,
}

/// Why the rows of a statement could not be decided as they were read.
enum Again {
    /// These rows are to be left out: they lost a `version = n`, or their key is there already.
    Without(Vec<usize>),
    /// Something has changed since it was read.
    Reread,
}

/// What came of submitting a statement's rows.
enum Submitted {
    Decided(Decided),
    Again(Again),
}

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
        let plan = bound.plan.as_ref().ok_or_else(|| SqlError::internal("an INSERT has rows"))?;
        self.check_reads(plan)?;
        // Rows that stand in the statement need no look at what is there, so nothing has to be waited for.
        let looks = !super::query::is_literal(plan)
            || insert.on_conflict.is_some()
            || insert.columns.contains(&command::column::LEG_ID);
        if looks {
            self.wait_until_readable(&statement).await?;
        }
        let mut context = self.context(&statement, parameters)?;
        self.past_of(plan, &mut context, &statement).await?;
        let values = self.collect(plan, context.clone(), &statement).await?;
        let mut rows = Vec::with_capacity(values.len());
        for values in values {
            rows.push(insert_row(target, &insert.columns, values)?);
        }
        let upserts = insert
            .on_conflict
            .as_ref()
            .filter(|it| matches!(it.action, ConflictAction::Update { .. }));
        if let Some(conflict) = upserts {
            return self.upsert(target, insert, conflict, rows, &statement, &context).await;
        }
        let mut changes = self.insert_changes(target, &rows)?;
        let skips = insert.on_conflict.is_some();
        self.drop_known_ids(target, insert, &mut changes, skips)?;
        let decided = self.submit_inserts(&mut changes, skips, &statement).await?;
        self.finish("INSERT 0", changes, &decided, insert.returning.as_ref(), &context)
    }

    /// UPDATE.
    pub(crate) async fn update(
        &mut self,
        update: &Update,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let target = self.target(&update.table, Privilege::Update)?;
        let plan = bound.plan.as_ref().ok_or_else(|| SqlError::internal("an UPDATE has rows"))?;
        self.check_reads(plan)?;
        let width = target.columns().len();
        let mut without: Vec<Datum> = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            self.wait_until_current(&statement).await?;
            let mut context = self.context(&statement, parameters.clone())?;
            self.past_of(plan, &mut context, &statement).await?;
            let expected = expected_version(update.expected_version.as_ref(), &context)?;
            let rows = self.collect(plan, context.clone(), &statement).await?;
            let mut changes = Changes::default();
            for row in rows {
                let (old, rest) = row.split_at(width);
                let (beside, new_values) = rest.split_at(rest.len() - update.columns.len());
                if skipped(&without, old) || matches!(expected, Expected::Never) {
                    continue;
                }
                let mut new = old.to_vec();
                for (column, value) in update.columns.iter().zip(new_values) {
                    new[*column] = value.clone();
                }
                let change = command::update(target, old, &new, expected.version())?;
                changes.rows.push(ChangedRow { change, beside: beside.to_vec() });
            }
            match self.submit(&changes, &statement).await? {
                Submitted::Decided(decided) => {
                    return self.finish(
                        "UPDATE",
                        changes,
                        &decided,
                        update.returning.as_ref(),
                        &context,
                    );
                }
                Submitted::Again(again) => {
                    self.prepare_again(again, &changes, &mut without, &statement).await?;
                }
            }
        }
        Err(sqlstate::conflict())
    }

    /// DELETE.
    pub(crate) async fn delete(
        &mut self,
        delete: &Delete,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let target = self.target(&delete.table, Privilege::Delete)?;
        let plan = bound.plan.as_ref().ok_or_else(|| SqlError::internal("a DELETE has rows"))?;
        self.check_reads(plan)?;
        let width = target.columns().len();
        let mut without: Vec<Datum> = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            self.wait_until_current(&statement).await?;
            let mut context = self.context(&statement, parameters.clone())?;
            self.past_of(plan, &mut context, &statement).await?;
            let expected = expected_version(delete.expected_version.as_ref(), &context)?;
            let rows = self.collect(plan, context.clone(), &statement).await?;
            let mut changes = Changes::default();
            for row in rows {
                let (old, beside) = row.split_at(width);
                if skipped(&without, old) || matches!(expected, Expected::Never) {
                    continue;
                }
                let (legs, airplanes) = self.held_by(target, old, &context)?;
                let change = command::delete(target, old, expected.version(), &legs, &airplanes)?;
                changes.rows.push(ChangedRow { change, beside: beside.to_vec() });
            }
            match self.submit(&changes, &statement).await? {
                Submitted::Decided(decided) => {
                    return self.finish(
                        "DELETE",
                        changes,
                        &decided,
                        delete.returning.as_ref(),
                        &context,
                    );
                }
                Submitted::Again(again) => {
                    self.prepare_again(again, &changes, &mut without, &statement).await?;
                }
            }
        }
        Err(sqlstate::conflict())
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
                Err(error) => return Err(self.write_error(error, statement)),
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
        &self,
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
                Err(error) => return Err(self.write_error(error, statement)),
            }
        }
    }

    /// Sends the rows of an UPDATE or DELETE, and tells what has to be done again.
    async fn submit(
        &mut self,
        changes: &Changes,
        statement: &running::Statement,
    ) -> Result<Submitted> {
        match self.submit_raw(changes, statement).await {
            Ok(decided) => Ok(Submitted::Decided(decided)),
            Err(SendError::Write(WriteError::VersionMismatch { requests }))
                if !requests.is_empty() =>
            {
                let rows = requests.into_iter().map(|request| changes.row_of(request)).collect();
                Ok(Submitted::Again(Again::Without(rows)))
            }
            Err(SendError::Write(WriteError::Refused { request, refusal }))
                if changes.is_stale(request, &refusal) =>
            {
                Ok(Submitted::Again(Again::Reread))
            }
            Err(SendError::Write(WriteError::Conflict)) => Ok(Submitted::Again(Again::Reread)),
            Err(error) => Err(self.write_error(error, statement)),
        }
    }

    /// Makes ready for another attempt.
    async fn prepare_again(
        &mut self,
        again: Again,
        changes: &Changes,
        without: &mut Vec<Datum>,
        statement: &running::Statement,
    ) -> Result<()> {
        match again {
            Again::Without(rows) => {
                without.extend(rows.into_iter().map(|row| changes.rows[row].change.row[0].clone()));
            }
            Again::Reread => self.catch_up(statement).await?,
        }
        Ok(())
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
        let metadata = self.metadata();
        if self.write.is_some() {
            return Ok(self.decide_open(requests, deadline).await?);
        }
        let Some(block) = &self.block else {
            let outcome = self.database.node().execute(requests, metadata, deadline).await?;
            self.has_written(&outcome.positions);
            return Ok(Decided { versions: outcome.versions, emitted: outcome.emitted });
        };
        block.check(&requests)?;
        let before = block.requests().len();
        let mut write = self.database.node().begin(metadata);
        let all: Vec<_> =
            block.requests().iter().cloned().chain(requests.iter().cloned()).collect();
        // Dropping the write aborts it: the block holds commands, not aggregates.
        let decided =
            write.decide(all, deadline).await.map_err(|error| without_earlier(error, before))?;
        let own = Decided {
            versions: decided.versions[before..].to_vec(),
            emitted: decided.emitted[before..].to_vec(),
        };
        let events = overlay::events(&requests, &own, &self.snapshot()?)?;
        if let Some(block) = &mut self.block {
            block.keep(requests, &own, events);
        }
        Ok(own)
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

    /// What a rotation holds that its removal has to release.
    fn held_by(
        &self,
        target: Target,
        row: &[Datum],
        context: &ExecContext,
    ) -> Result<(Vec<Leg>, Vec<Registration>)> {
        let (Target::Rotations, Datum::Uuid(id)) = (target, &row[command::column::ROTATION_ID])
        else {
            return Ok((Vec::new(), Vec::new()));
        };
        let rotation = RotationId(*id);
        let legs =
            context.snapshot.legs_of_rotation(rotation)?.into_iter().map(|row| row.leg).collect();
        let airplanes = context
            .snapshot
            .airplanes_of_rotation(rotation)?
            .into_iter()
            .map(|row| row.registration)
            .collect();
        Ok((legs, airplanes))
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

impl Changes {
    /// All commands in order.
    fn requests(&self) -> Vec<Request<Schedule>> {
        self.rows.iter().flat_map(|row| &row.change.requests).map(request).collect()
    }

    /// The row that a command belongs to.
    fn row_of(&self, request: usize) -> usize {
        let mut first = 0;
        for (row, changed) in self.rows.iter().enumerate() {
            first += changed.change.requests.len();
            if request < first {
                return row;
            }
        }
        self.rows.len().saturating_sub(1)
    }

    /// Whether a refusal only says that what was read has changed meanwhile: then the row is read again, and if
    /// it is gone, it is no row of the statement.
    fn is_stale(&self, request: usize, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::LegMissing(_) | Refusal::LegChanged(_) | Refusal::RotationHasLegs(_) => true,
            // The row's own aggregate is gone, not one that the row refers to.
            Refusal::Missing(id) => {
                let row = self.row_of(request);
                self.rows
                    .get(row)
                    .and_then(|row| row.change.requests.first())
                    .is_some_and(|first| first.id == *id)
            }
            _ => false,
        }
    }
}

/// A command as the write path takes it.
pub(crate) fn request(request: &CommandRequest) -> Request<Schedule> {
    Request::new(request.id, request.command.clone()).expecting(request.expected_version)
}

/// The version that a statement's WHERE asks for.
enum Expected {
    Any,
    Version(Version),
    /// A version that no aggregate has.
    Never,
}

impl Expected {
    fn version(&self) -> Option<Version> {
        match self {
            Self::Version(version) => Some(*version),
            Self::Any | Self::Never => None,
        }
    }
}

fn expected_version(
    expression: Option<&rotabase_queries::plan::Expr>,
    context: &ExecContext,
) -> Result<Expected> {
    let Some(expression) = expression else { return Ok(Expected::Any) };
    let value = match evaluate(expression, &[], context)? {
        Datum::Int8(value) => Some(value),
        Datum::Int4(value) => Some(i64::from(value)),
        Datum::Int2(value) => Some(i64::from(value)),
        _ => None,
    };
    Ok(value
        .and_then(|value| u64::try_from(value).ok())
        .map_or(Expected::Never, |it| Expected::Version(Version(it))))
}

/// A row of values in the order of the statement's columns, spread over the table's.
fn insert_row(target: Target, columns: &[usize], values: Vec<Datum>) -> Result<Vec<Option<Datum>>> {
    let mut row = vec![None; target.columns().len()];
    for (column, value) in columns.iter().zip(values) {
        if !target.insertable(*column) {
            let name = target.columns()[*column];
            return Err(SqlError::new(
                SqlState("428C9"),
                format!("cannot insert a non-DEFAULT value into column \"{name}\""),
            )
            .with_detail(format!("Column \"{name}\" is maintained by the database.")));
        }
        row[*column] = Some(value);
    }
    Ok(row)
}

fn skipped(without: &[Datum], row: &[Datum]) -> bool {
    let same = |a: &Datum, b: &Datum| match (a, b) {
        (Datum::Uuid(a), Datum::Uuid(b)) => a == b,
        (Datum::Text(a), Datum::Text(b)) => a == b,
        _ => false,
    };
    without.iter().any(|key| same(key, &row[0]))
}

/// 21000: a statement cannot change a row twice.
fn refuse_repeated_keys(target: Target, rows: &[Vec<Option<Datum>>]) -> Result<()> {
    let mut keys = std::collections::BTreeSet::new();
    for row in rows {
        if let Some(Datum::Text(key)) = &row[0]
            && !keys.insert(key.to_ascii_uppercase())
        {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message).with_hint(
                format!(
                    "No two rows of one statement can have the same key of \"{}\".",
                    target.table()
                ),
            ));
        }
    }
    Ok(())
}

/// An error of a block's statement, its requests counted from the statement's first.
fn without_earlier(error: WriteError<Schedule>, earlier: usize) -> WriteError<Schedule> {
    match error {
        WriteError::Refused { request, refusal } if request >= earlier => {
            WriteError::Refused { request: request - earlier, refusal }
        }
        // What the block decided before does not hold any more.
        WriteError::Refused { .. } => WriteError::VersionMismatch { requests: Vec::new() },
        WriteError::VersionMismatch { requests } if requests.iter().all(|it| *it >= earlier) => {
            WriteError::VersionMismatch {
                requests: requests.iter().map(|it| it - earlier).collect(),
            }
        }
        WriteError::VersionMismatch { .. } => WriteError::VersionMismatch { requests: Vec::new() },
        error => error,
    }
}
