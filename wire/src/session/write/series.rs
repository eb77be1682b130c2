//! INSERTs that a client has sent without waiting for their answers, each a transaction of its own: those that follow
//! each other with the same aggregate are put to its shard together ([`rotabase_raft`]'s series).
//!
//! Only where nothing that one of them does can change what the others are: rows that stand in the statement, whose
//! values call nothing that is volatile, and commands to one aggregate, which decides about them one after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use rotabase_engine::schedule::AggregateId;
use rotabase_queries::error::Result;
use rotabase_queries::sql::command::{self, Target};
use rotabase_queries::sql::{Bound, Insert};
use rotabase_queries::types::Datum;

use super::SendError;
use super::rows::{Changes, insert_row};
use crate::database::COMMAND_DEADLINE;
use crate::roles::Privilege;
use crate::session::api::{Execution, Prepared};
use crate::session::block::Status;
use crate::session::bound::{BoundStatement, SessionStatement};
use crate::session::client::Session;
use crate::session::running;

impl Session {
    /// What a statement is bound to, if runs of it that each are a transaction may be under way together.
    pub(crate) fn series_insert(
        &self,
        prepared: &Prepared<SessionStatement>,
    ) -> Option<Arc<BoundStatement>> {
        let alone = self.status == Status::Idle && self.block.is_none() && self.write.is_none();
        let stopped = self.settings.statement_timeout().is_some();
        if !alone || stopped || self.copy.is_some() || !self.database.node().takes_series() {
            return None;
        }
        let bound = self.bound(&prepared.statement).ok()?;
        let Bound::Insert(insert) = &bound.bound else { return None };
        let planned = bound.rows().ok()?;
        let plain = planned.literal
            && planned.direct.is_some()
            && planned.instants.is_empty()
            && insert.on_conflict.is_none()
            && insert.returning.is_none()
            && !insert.columns.contains(&command::column::LEG_ID);
        // Whatever is wrong is said where statements are carried out one by one.
        let allowed = self.check_writable(bound.bound.tag()).is_ok()
            && self.target(&insert.table, Privilege::Insert).is_ok();
        (plain && allowed).then_some(bound)
    }

    /// Inserts the first few of `runs`, as long as they are for the same aggregate; at least one.
    pub(crate) async fn insert_series(
        &mut self,
        prepared: &Prepared<SessionStatement>,
        bound: &Arc<BoundStatement>,
        runs: &mut VecDeque<Vec<Datum>>,
    ) -> Vec<Result<Execution>> {
        let Bound::Insert(insert) = &bound.bound else { return Vec::new() };
        let target = match self.target(&insert.table, Privilege::Insert) {
            Ok(target) => target,
            Err(error) => return self.first_failed(runs, error),
        };
        let statement = self.running.begin(None);
        let mut aggregate = None;
        let (mut series, mut rows) = (Vec::new(), Vec::new());
        while let Some(parameters) = runs.front() {
            let now = self.now();
            self.settings.begin(now);
            self.place.begin(&prepared.statement.statement, now);
            let parameters = parameters.clone();
            let changes = self.run_of_series(insert, target, bound, &statement, parameters).await;
            let changes = match changes {
                Ok(changes) => changes,
                Err(error) if series.is_empty() => return self.first_failed(runs, error),
                // It fails again once those before it have ended.
                Err(_) => break,
            };
            let Some(id) = only_aggregate(&changes) else {
                if series.is_empty() {
                    return self.one_of_series(target, changes, &statement, runs).await;
                }
                break;
            };
            if *aggregate.get_or_insert(id) != id {
                break;
            }
            runs.pop_front();
            rows.push(changes.rows.len());
            series.push((changes.requests(), self.metadata()));
        }
        let outcomes = self.database.node().execute_series(series, COMMAND_DEADLINE).await;
        let mut results = Vec::with_capacity(outcomes.len());
        for (outcome, rows) in outcomes.into_iter().zip(rows) {
            let result = match outcome {
                Ok(outcome) => {
                    self.has_written(&outcome.positions);
                    Ok(Execution::Done(format!("INSERT 0 {rows}")))
                }
                Err(error) => Err(self.row_error(SendError::Write(error), target, &statement)),
            };
            self.run_ended(result.is_ok());
            results.push(result);
        }
        results
    }

    /// The commands of one run.
    async fn run_of_series(
        &mut self,
        insert: &Insert,
        target: Target,
        bound: &BoundStatement,
        statement: &running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Changes> {
        let context = self.context(statement, parameters)?;
        let values = self.collect(bound.rows()?, &context, statement).await?;
        let rows = values.into_iter().map(|values| insert_row(target, &insert.columns, values));
        self.insert_changes(target, &rows.collect::<Result<Vec<_>>>()?)
    }

    /// Carries out a run that is not for one aggregate.
    async fn one_of_series(
        &mut self,
        target: Target,
        mut changes: Changes,
        statement: &running::Statement,
        runs: &mut VecDeque<Vec<Datum>>,
    ) -> Vec<Result<Execution>> {
        runs.pop_front();
        let sent = self.submit_inserts(target, &mut changes, false, statement).await;
        let result = sent.map(|_| Execution::Done(format!("INSERT 0 {}", changes.rows.len())));
        self.run_ended(result.is_ok());
        vec![result]
    }

    fn first_failed(
        &mut self,
        runs: &mut VecDeque<Vec<Datum>>,
        error: rotabase_queries::error::SqlError,
    ) -> Vec<Result<Execution>> {
        runs.pop_front();
        self.run_ended(false);
        vec![Err(error)]
    }

    fn run_ended(&mut self, stored: bool) {
        if !stored {
            self.after_error();
            self.listening.shown_is_void();
        }
        self.place.end_transaction(stored);
        self.place.end(b'I', None, self.now());
    }
}

/// The aggregate that all commands are for, if it is one.
fn only_aggregate(changes: &Changes) -> Option<AggregateId> {
    let mut requests = changes.rows.iter().flat_map(|row| &row.change.requests);
    let first = requests.next()?.id;
    requests.all(|request| request.id == first).then_some(first)
}
