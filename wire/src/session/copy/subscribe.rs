//! `COPY (SUBSCRIBE TO events …) TO STDOUT`: stored events, then live ones, until the client has enough.
//!
//! Events are read from the feed as the client takes the rows. What a subscription holds is one read of the feed
//! ([`FEED_READ_BYTES_MAX`](rotabase_engine::feed::FEED_READ_BYTES_MAX)) and the rows made of [`ROWS_AT_ONCE`] of its
//! events, however slow the client is; nobody who writes waits for it.
//!
//! A heartbeat is a row that carries a position: everything up to it has been given, so a subscription that begins
//! after it leaves no gap. One is sent once the subscription has caught up and no event has come for
//! [`CAUGHT_UP_PAUSE`], and one each [`HEARTBEAT_INTERVAL`] without a row.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rotabase_engine::db::StoreError;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Clock;
use rotabase_engine::position::{Positions, ShardId};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Batch, ExecContext};
use rotabase_queries::projection::Snapshot;
use rotabase_queries::relation::Relation;
use rotabase_queries::sql::{CopyFormat, CopyTo, Subscribe};
use rotabase_queries::subscription::EventRows;
use rotabase_raft::Subscription;
use tokio::time::Instant;

use super::output::Encoder;
use super::progress::Entry;
use crate::roles::Privilege;
use crate::session::api::{CopyOut, CopyRows, CopySource, CopyStep, Execution};
use crate::session::client::Session;
use crate::session::query::blocking;
use crate::session::running;

/// The longest that a subscriber waits for a row.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// How long no event has to come until the position is told that the last ones brought.
const CAUGHT_UP_PAUSE: Duration = Duration::from_millis(20);

/// The events that are looked at and made rows in one go.
const ROWS_AT_ONCE: usize = 256;

impl Session {
    /// COPY of a subscription.
    pub(crate) async fn copy_subscription(
        &mut self,
        copy: &CopyTo,
        subscribe: &Subscribe,
        events: &Arc<dyn Relation>,
        statement: running::Statement,
    ) -> Result<Execution> {
        let schema = events.schema();
        self.check_privilege(Privilege::Select, schema.schema, schema.name)?;
        let after = self.subscribed_after(subscribe.after.as_deref())?;
        let context = self.context(&statement, Vec::new())?;
        // The rows of today would be held for as long as the subscription goes on.
        let context = ExecContext { snapshot: Snapshot::empty(), ..context };
        let (condition, from) = (subscribe.predicate.clone(), after.clone());
        let rows = blocking(move || EventRows::new(condition.as_ref(), from, &context)).await?;
        let shared = self.database.shared();
        let pid = self.settings.shared().backend_pid;
        let columns = Arc::clone(&subscribe.columns);
        let (binary, width) = (copy.options.format == CopyFormat::Binary, columns.len());
        let source = Subscribed {
            subscription: self.database.subscribe(&after),
            waiting: VecDeque::new(),
            from: 0,
            rows: Arc::new(rows),
            signature: Vec::new(),
            encoder: Some(Encoder::new(copy.options.clone(), columns, self.settings.shared())),
            entry: shared.copies.begin(pid, schema.name, "COPY TO"),
            count: 0,
            clock: Arc::clone(&shared.config.clock),
            begun: false,
            heartbeat_at: Instant::now(),
            told: None,
            statement,
        };
        Ok(Execution::CopyOut(CopyOut { binary, columns: width, source: Box::new(source) }))
    }

    /// The position that a subscription begins after.
    pub(super) fn subscribed_after(&self, text: Option<&str>) -> Result<Positions> {
        let Some(text) = text else { return Ok(Positions::default()) };
        let refused = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
        let positions: Positions = text.parse().map_err(|error| {
            refused(format!("{error}"))
                .with_hint("A position is what a heartbeat or SHOW rotabase.position gives.")
        })?;
        let shards = self.database.shards_count();
        let unknown = positions.iter().find(|(shard, _)| shard.0 >= shards);
        if let Some((ShardId(shard), _)) = unknown {
            return Err(refused(format!("invalid position: \"{text}\""))
                .with_detail(format!("There is no shard {shard}: the database has {shards}.")));
        }
        Ok(positions)
    }
}

/// A subscription on its way to the client.
struct Subscribed {
    subscription: Subscription,
    /// What the last read gave, as far as it is not rows yet.
    waiting: VecDeque<CommittedEntry>,
    /// Where to go on in the first of them.
    from: usize,
    rows: Arc<EventRows>,
    /// What the binary format has in front of the first row, until that is given.
    signature: Vec<u8>,
    /// None only while rows are being made.
    encoder: Option<Encoder>,
    entry: Arc<Entry>,
    count: u64,
    clock: Arc<dyn Clock>,
    /// Whether the heading has been given.
    begun: bool,
    /// When the next heartbeat is due.
    heartbeat_at: Instant,
    /// The position of the last heartbeat.
    told: Option<Positions>,
    statement: running::Statement,
}

impl Subscribed {
    async fn step(&mut self) -> Result<CopyStep> {
        // Each step gives rows, and however long the client took for them was no time without a row.
        self.heartbeat_at = Instant::now() + HEARTBEAT_INTERVAL;
        if !self.begun {
            self.begun = true;
            let mut out = CopyRows::default();
            self.encoder()?.header(&mut out);
            if !out.ends.is_empty() {
                return Ok(CopyStep::Rows(out));
            }
            self.signature = out.bytes;
        }
        loop {
            if self.statement.cancel().check().is_err() {
                return Err(self.statement.stopped());
            }
            if !self.waiting.is_empty() {
                let out = self.events().await?;
                if !out.ends.is_empty() {
                    return Ok(CopyStep::Rows(out));
                }
                continue;
            }
            if Instant::now() >= self.heartbeat_at {
                return self.heartbeat().map(CopyStep::Rows);
            }
            let Self { subscription, statement, .. } = self;
            let entries = statement.wait(subscription.read()).await?.map_err(failed)?;
            if entries.is_empty() {
                self.wait().await?;
            } else {
                self.waiting = entries.into();
            }
        }
    }

    /// Waits until there is more, or a heartbeat is due.
    async fn wait(&mut self) -> Result<()> {
        let moved = self.told.as_ref() != Some(&self.subscription.positions());
        let due = if moved {
            self.heartbeat_at.min(Instant::now() + CAUGHT_UP_PAUSE)
        } else {
            self.heartbeat_at
        };
        let Self { subscription, statement, .. } = self;
        match statement.wait(tokio::time::timeout_at(due, subscription.changed())).await? {
            Ok(changed) => changed.map_err(failed),
            Err(_) => {
                self.heartbeat_at = due;
                Ok(())
            }
        }
    }

    /// Makes the next events rows.
    async fn events(&mut self) -> Result<CopyRows> {
        let mut encoder = self.encoder.take().ok_or_else(lost)?;
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut out = self.rows_to_give();
        let (rows, mut from) = (Arc::clone(&self.rows), self.from);
        let made = blocking(move || {
            let mut batch = Batch::default();
            let mut left = ROWS_AT_ONCE;
            while let Some(committed) = waiting.front() {
                let next = rows.append(committed, from, left, &mut batch)?;
                left -= (next.unwrap_or(committed.entry.events.len()) - from).min(left);
                match next {
                    Some(next) => {
                        from = next;
                        break;
                    }
                    None => {
                        from = 0;
                        waiting.pop_front();
                    }
                }
            }
            encoder.rows(&batch, &mut out)?;
            Ok((encoder, waiting, from, out))
        });
        let (encoder, waiting, from, mut out) =
            made.await.map_err(|error| self.statement.explain(error))?;
        if out.ends.is_empty() {
            self.signature = std::mem::take(&mut out.bytes);
        }
        (self.encoder, self.waiting, self.from) = (Some(encoder), waiting, from);
        self.count += u64::try_from(out.ends.len()).unwrap_or(u64::MAX);
        self.entry.rows(self.count);
        Ok(out)
    }

    /// The row that tells how far the subscription is. To be made only while nothing is waiting to be given.
    fn heartbeat(&mut self) -> Result<CopyRows> {
        let positions = self.subscription.positions();
        let mut batch = Batch::default();
        self.rows.append_heartbeat(&positions, self.clock.now_microseconds(), &mut batch);
        let mut out = self.rows_to_give();
        self.encoder()?.rows(&batch, &mut out)?;
        self.told = Some(positions);
        Ok(out)
    }

    /// Rows to be filled, with what stands in front of them.
    fn rows_to_give(&mut self) -> CopyRows {
        CopyRows { bytes: std::mem::take(&mut self.signature), ends: Vec::new() }
    }

    fn encoder(&mut self) -> Result<&mut Encoder> {
        self.encoder.as_mut().ok_or_else(lost)
    }
}

/// The feed gives nothing more: it is damaged, or the node is closed.
fn failed(error: StoreError) -> SqlError {
    match error {
        StoreError::Io(_) => SqlError::new(SqlState::ADMIN_SHUTDOWN, "the feed has ended"),
        error => error.into(),
    }
}

fn lost() -> SqlError {
    SqlError::internal("the subscription's rows were given up")
}

impl CopySource for Subscribed {
    fn next(&mut self) -> BoxFuture<'_, Result<CopyStep>> {
        self.step().boxed()
    }
}
