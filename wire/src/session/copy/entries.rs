//! `COPY (SUBSCRIBE TO rotabase.entries …) TO STDOUT`: the rows of the logs as they are stored, for a read replica.
//!
//! Who keeps them all has what this node has. Between them come messages, with shard -1: who is speaking, roles and
//! views whenever they change, and heartbeats. A heartbeat says what the node that takes writes had at a moment; it is
//! sent once all of that has been sent. A replica hands on the heartbeats that it has heard, so that those who follow
//! it measure their lag from the same source.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rotabase_engine::db::StoreError;
use rotabase_engine::log::LogRow;
use rotabase_engine::position::{Positions, ShardId};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Batch;
use rotabase_queries::sql::{CopyFormat, CopyTo, Subscribe};
use rotabase_queries::types::Datum;
use rotabase_raft::RowSubscription;
use tokio::time::Instant;

use super::output::Encoder;
use crate::database::Database;
use crate::replica::{HEARTBEAT_INTERVAL, Hello, Kind};
use crate::roles::Objects;
use crate::session::api::{CopyOut, CopyRows, CopySource, CopyStep, Execution};
use crate::session::client::Session;
use crate::session::running;

/// The shard of what is no row.
const NO_SHARD: i32 = -1;

impl Session {
    /// COPY of the logs' rows.
    pub(crate) fn copy_entries(
        &mut self,
        copy: &CopyTo,
        subscribe: &Subscribe,
        statement: running::Statement,
    ) -> Result<Execution> {
        if !self.is_superuser() {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                "permission denied for rotabase.entries",
            )
            .with_hint("A superuser may follow it."));
        }
        if !self.may_follow() {
            let message = "rotabase.entries is for nodes that show a certificate";
            return Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
                .with_hint("Set peer_certificate, peer_key and peer_ca on the read replica."));
        }
        let after = self.subscribed_after(subscribe.after.as_deref())?;
        let columns = Arc::clone(&subscribe.columns);
        let (binary, width) = (copy.options.format == CopyFormat::Binary, columns.len());
        let mut encoder = Encoder::new(copy.options.clone(), columns, self.settings.shared());
        let mut begun = CopyRows::default();
        encoder.header(&mut begun);
        let source = Entries {
            subscription: self.database.node().subscribe_rows(&after),
            database: self.database.clone(),
            encoder,
            begun: Some(begun),
            catalog: None,
            mark: None,
            mark_at: Instant::now(),
            statement,
        };
        Ok(Execution::CopyOut(CopyOut { binary, columns: width, source: Box::new(source) }))
    }
}

/// The logs on their way to a replica.
struct Entries {
    subscription: RowSubscription,
    database: Database,
    encoder: Encoder,
    /// What comes before the first row, until that is sent.
    begun: Option<CopyRows>,
    /// The roles and views that were sent.
    catalog: Option<Arc<Objects>>,
    /// What is to be told once everything it covers has been sent.
    mark: Option<(i64, Positions)>,
    /// When the next mark is taken.
    mark_at: Instant,
    statement: running::Statement,
}

impl Entries {
    async fn step(&mut self) -> Result<CopyStep> {
        if let Some(begun) = self.begun.take() {
            return self.greet(begun).map(CopyStep::Rows);
        }
        loop {
            if self.statement.cancel().check().is_err() {
                return Err(self.statement.stopped());
            }
            if let Some(catalog) = self.changed_catalog()? {
                return Ok(CopyStep::Rows(catalog));
            }
            if let Some(heartbeat) = self.heartbeat()? {
                return Ok(CopyStep::Rows(heartbeat));
            }
            let Self { subscription, statement, .. } = self;
            let (shard, rows) = statement.wait(subscription.read()).await?.map_err(failed)?;
            if rows.is_empty() {
                let until = self.mark_at;
                let Self { subscription, statement, .. } = self;
                let changed = tokio::time::timeout_at(until, subscription.changed());
                if let Ok(changed) = statement.wait(changed).await? {
                    changed.map_err(failed)?;
                }
                continue;
            }
            let mut batch = Batch::default();
            for row in &rows {
                append(shard, row, &mut batch);
            }
            let mut out = CopyRows::default();
            self.encoder.rows(&batch, &mut out)?;
            return Ok(CopyStep::Rows(out));
        }
    }

    /// The first row.
    fn greet(&mut self, out: CopyRows) -> Result<CopyRows> {
        let replica = self.database.replica();
        let hello = Hello {
            cluster: self.database.cluster().to_string(),
            shards: self.database.node().shards(),
            writer: replica.and_then(|replica| replica.writer()),
            writable: replica.is_none(),
        };
        self.message(Kind::Hello, &encoded(&hello)?, out)
    }

    /// Roles and views, if they have changed since they were sent.
    fn changed_catalog(&mut self) -> Result<Option<CopyRows>> {
        let current = self.database.shared().objects.current();
        if self.catalog.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &current)) {
            return Ok(None);
        }
        let catalog = encoded(&*current)?;
        self.catalog = Some(current);
        self.message(Kind::Catalog, &catalog, CopyRows::default()).map(Some)
    }

    /// Takes the next mark if it is time; tells one that everything has been sent of.
    fn heartbeat(&mut self) -> Result<Option<CopyRows>> {
        if self.mark.is_none() && Instant::now() >= self.mark_at {
            self.mark = self.database.heartbeat();
            self.mark_at = Instant::now() + HEARTBEAT_INTERVAL;
        }
        let sent = self.subscription.positions();
        let Some((at, positions)) = self.mark.take_if(|(_, positions)| sent.covers(positions))
        else {
            return Ok(None);
        };
        let heartbeat = crate::replica::Heartbeat { at, positions: positions.to_string() };
        self.message(Kind::Heartbeat, &encoded(&heartbeat)?, CopyRows::default()).map(Some)
    }

    fn message(&mut self, kind: Kind, payload: &[u8], mut out: CopyRows) -> Result<CopyRows> {
        let nothing = [Datum::Null, Datum::Int4(kind.number()), Datum::Null, Datum::Null];
        let mut values = vec![Datum::Int4(NO_SHARD)];
        values.extend(nothing);
        values.push(Datum::Bytea(payload.into()));
        let batch = Batch { width: values.len(), rows: 1, values };
        self.encoder.rows(&batch, &mut out)?;
        Ok(out)
    }
}

/// Appends a row of a log.
fn append(shard: ShardId, row: &LogRow, batch: &mut Batch) {
    // Terms and nodes have all their bits; SQL shows them with a sign.
    let signed = |number: u64| Datum::Int8(i64::from_be_bytes(number.to_be_bytes()));
    let values = [
        Datum::Int4(i32::from(shard.0)),
        signed(row.index.0),
        Datum::Int4(Kind::Row(row.kind).number()),
        signed(row.leader.term),
        signed(row.leader.node),
        Datum::Bytea(row.payload.as_ref().into()),
    ];
    batch.width = values.len();
    batch.rows += 1;
    batch.values.extend(values);
}

fn encoded(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| SqlError::internal(error.to_string()))
}

fn failed(error: StoreError) -> SqlError {
    match error {
        StoreError::Io(_) => SqlError::new(SqlState::ADMIN_SHUTDOWN, "the feed has ended"),
        error => error.into(),
    }
}

impl CopySource for Entries {
    fn next(&mut self) -> BoxFuture<'_, Result<CopyStep>> {
        self.step().boxed()
    }
}
