//! Reading the past: `FOR SYSTEM_TIME AS OF`, and `rotabase.as_of` for a whole session.
//!
//! Before a statement runs, a snapshot is found for each instant that it names. One that has to be replayed from
//! the log is, on a thread for that, before the statement sees its first row; a cancel request ends it.

use std::sync::Arc;

use rotabase_engine::env::Timestamp;
use rotabase_queries::as_of::{INSTANTS_MAX, Instant, PastSnapshots};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::ExecContext;
use rotabase_queries::projection::{PastError, Snapshot};
use rotabase_queries::types::Datum;

use super::client::Session;
use super::query::{blocking, permit};
use super::running;
use super::settings::Consistency;

/// The age up to which an instant may have more to it than is folded: a decision of before it that its leader has not
/// committed yet. What takes longer than its client waits is mostly lost with the leader.
const UNDER_WAY_MICROSECONDS: i64 = 60_000_000;

impl Session {
    /// Waits until a query can be read as the session wants it, and makes what it has around it: the newest
    /// snapshot, or that of `rotabase.as_of`, and one for each of the instants that its plan names.
    pub(crate) async fn reading(
        &mut self,
        instants: &[Arc<Instant>],
        statement: &running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<ExecContext> {
        let as_of = self.settings.as_of();
        if as_of.is_none() && instants.is_empty() {
            if !self.is_readable() {
                Box::pin(self.wait_until_readable(statement)).await?;
            }
            return self.context(statement, parameters);
        }
        Box::pin(self.reading_the_past(as_of, instants, statement, parameters)).await
    }

    async fn reading_the_past(
        &mut self,
        as_of: Option<Timestamp>,
        instants: &[Arc<Instant>],
        statement: &running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<ExecContext> {
        // What anybody was told is stored had happened, whenever it is folded.
        self.wait_until_current(statement).await?;
        let mut context = self.context(statement, parameters)?;
        if let Some(as_of) = as_of {
            context.snapshot = self.snapshot_as_of(as_of, statement).await?;
            context.reads = None;
        }
        self.look_back(instants, &mut context, statement).await?;
        Ok(context)
    }

    /// Finds the snapshots for the instants that a plan names.
    pub(crate) async fn look_back(
        &self,
        instants: &[Arc<Instant>],
        context: &mut ExecContext,
        statement: &running::Statement,
    ) -> Result<()> {
        if instants.is_empty() {
            return Ok(());
        }
        context.past = Box::pin(self.snapshots_at(instants, context, statement)).await?;
        Ok(())
    }

    async fn snapshots_at(
        &self,
        instants: &[Arc<Instant>],
        context: &ExecContext,
        statement: &running::Statement,
    ) -> Result<PastSnapshots> {
        let mut snapshots: Vec<(Arc<Instant>, Snapshot)> = Vec::with_capacity(instants.len());
        let mut known: Vec<(Timestamp, Snapshot)> = Vec::new();
        for instant in instants {
            let at = instant.timestamp(context)?;
            let snapshot = match known.iter().find(|(of, _)| *of == at) {
                Some((_, snapshot)) => snapshot.clone(),
                None if known.len() == INSTANTS_MAX => {
                    let message =
                        format!("a statement reads as of at most {INSTANTS_MAX} instants");
                    return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
                }
                None => {
                    let snapshot = self.snapshot_as_of(at, statement).await?;
                    known.push((at, snapshot.clone()));
                    snapshot
                }
            };
            snapshots.push((Arc::clone(instant), snapshot));
        }
        Ok(PastSnapshots::new(snapshots))
    }

    async fn snapshot_as_of(
        &self,
        at: Timestamp,
        statement: &running::Statement,
    ) -> Result<Snapshot> {
        if self.is_near(at) && self.settings.consistency() != Consistency::Eventual {
            // Of what was decided before the instant, some may not be acknowledged yet.
            let positions = statement.wait(self.database.instant_barrier(at)).await??;
            self.wait_for(&positions, statement).await?;
        }
        let shared = self.database.shared();
        let permit = permit(&shared.queries, statement).await?;
        let projections = Arc::clone(&shared.projections);
        let cancel = statement.cancel();
        let found = blocking(move || {
            let _permit = permit;
            projections.as_of(at, &|| cancel.check().is_err()).map_err(past_error)
        });
        found.await.map_err(|error| statement.explain(error))
    }

    /// Whether what was decided before the instant may still be under way.
    fn is_near(&self, at: Timestamp) -> bool {
        at >= Timestamp::from_microseconds(self.now().saturating_sub(UNDER_WAY_MICROSECONDS))
    }

    /// 25006 while the session looks at the past.
    pub(crate) fn check_present(&self, command: &str) -> Result<()> {
        if self.settings.as_of().is_none() {
            return Ok(());
        }
        let message = format!("cannot execute {command} while rotabase.as_of is set");
        Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message)
            .with_detail("The session reads the schedule as it was at a past instant.")
            .with_hint("RESET rotabase.as_of."))
    }
}

fn past_error(error: PastError) -> SqlError {
    match error {
        PastError::Stopped => {
            SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
        }
        PastError::TooLarge { .. } => {
            SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, error.to_string())
                .with_hint("The setting past_bytes_max of the server limits it.")
        }
        PastError::Store(error) => error.into(),
    }
}
