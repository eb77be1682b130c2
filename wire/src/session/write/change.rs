//! UPDATE and DELETE: rows that are found become commands to their aggregates, again and again until what was read
//! is what the aggregates decide on.

use std::sync::Arc;

use rotabase_engine::schedule::{Leg, Registration, RotationId};
use rotabase_queries::error::Result;
use rotabase_queries::exec::ExecContext;
use rotabase_queries::plan::Expr;
use rotabase_queries::relation::Relation;
use rotabase_queries::sql::command::{self, Target};
use rotabase_queries::sql::{Delete, Returning, Update};
use rotabase_queries::types::Datum;
use rotabase_raft::WriteError;

use super::rows::{Again, ChangedRow, Changes, Expected, Submitted, expected_version, skipped};
use super::{ATTEMPTS_MAX, SendError};
use crate::roles::Privilege;
use crate::session::api::Execution;
use crate::session::bound::BoundStatement;
use crate::session::client::Session;
use crate::session::running;
use crate::sqlstate;

/// A statement that changes rows which are there.
#[derive(Clone, Copy)]
enum Change<'a> {
    Update(&'a Update),
    Delete(&'a Delete),
}

impl Change<'_> {
    fn tag(&self) -> &'static str {
        match self {
            Self::Update(_) => "UPDATE",
            Self::Delete(_) => "DELETE",
        }
    }

    fn table(&self) -> &Arc<dyn Relation> {
        match self {
            Self::Update(update) => &update.table,
            Self::Delete(delete) => &delete.table,
        }
    }

    fn privilege(&self) -> Privilege {
        match self {
            Self::Update(_) => Privilege::Update,
            Self::Delete(_) => Privilege::Delete,
        }
    }

    fn expected_version(&self) -> Option<&Expr> {
        match self {
            Self::Update(update) => update.expected_version.as_ref(),
            Self::Delete(delete) => delete.expected_version.as_ref(),
        }
    }

    fn returning(&self) -> Option<&Returning> {
        match self {
            Self::Update(update) => update.returning.as_ref(),
            Self::Delete(delete) => delete.returning.as_ref(),
        }
    }

    /// The commands of a row of the statement's plan.
    fn row(
        &self,
        target: Target,
        row: &[Datum],
        expected: &Expected,
        context: &ExecContext,
    ) -> Result<ChangedRow> {
        let (old, rest) = row.split_at(target.columns().len());
        match self {
            Self::Update(update) => {
                let (beside, values) = rest.split_at(rest.len() - update.columns.len());
                let mut new = old.to_vec();
                for (column, value) in update.columns.iter().zip(values) {
                    new[*column] = value.clone();
                }
                let change = command::update(target, old, &new, expected.version())?;
                Ok(ChangedRow { change, beside: beside.to_vec() })
            }
            Self::Delete(_) => {
                let (legs, airplanes) = held_by(target, old, context)?;
                let change = command::delete(target, old, expected.version(), &legs, &airplanes)?;
                Ok(ChangedRow { change, beside: rest.to_vec() })
            }
        }
    }
}

impl Session {
    /// UPDATE.
    pub(crate) async fn update(
        &mut self,
        update: &Update,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        self.change(Change::Update(update), bound, statement, parameters).await
    }

    /// DELETE.
    pub(crate) async fn delete(
        &mut self,
        delete: &Delete,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        self.change(Change::Delete(delete), bound, statement, parameters).await
    }

    async fn change(
        &mut self,
        work: Change<'_>,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let target = self.target(work.table(), work.privilege())?;
        let planned = bound.rows()?;
        self.check_reads(&planned.relations)?;
        let mut without: Vec<Datum> = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            self.wait_until_current(&statement).await?;
            let mut context = self.context(&statement, parameters.clone())?;
            self.look_back(&planned.instants, &mut context, &statement).await?;
            let expected = expected_version(work.expected_version(), &context)?;
            let rows = self.collect(planned, &context, &statement).await?;
            let mut changes = Changes::default();
            for row in rows {
                if skipped(&without, &row) || matches!(expected, Expected::Never) {
                    continue;
                }
                changes.rows.push(work.row(target, &row, &expected, &context)?);
            }
            match self.submit(target, &changes, &statement).await? {
                Submitted::Decided(decided) => {
                    return self.finish(work.tag(), changes, &decided, work.returning(), &context);
                }
                Submitted::Again(Again::Without(rows)) => {
                    without.extend(
                        rows.into_iter().map(|row| changes.rows[row].change.row[0].clone()),
                    );
                }
                Submitted::Again(Again::Reread) => self.catch_up(&statement).await?,
            }
        }
        Err(sqlstate::conflict())
    }

    /// Sends the rows, and tells what has to be done again.
    async fn submit(
        &mut self,
        target: Target,
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
            Err(error) => Err(self.row_error(error, target, statement)),
        }
    }
}

/// What a rotation holds that its removal has to release.
fn held_by(
    target: Target,
    row: &[Datum],
    context: &ExecContext,
) -> Result<(Vec<Leg>, Vec<Registration>)> {
    let (Target::Rotations, Datum::Uuid(id)) = (target, &row[command::column::ROTATION_ID]) else {
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
