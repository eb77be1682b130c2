//! What a session's statements see: which state of the projections, and how new it has to be.

use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::position::Positions;
use rotabase_queries::as_of::PastSnapshots;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::ExecContext;
use rotabase_queries::projection::Snapshot;
use rotabase_queries::types::Datum;
use rotabase_raft::WriteError;

use super::block::Block;
use super::client::Session;
use super::running;
use super::settings::Consistency;
use crate::sqlstate;

/// How long a statement waits, on a node that is cut off from the others, for what has not come there yet.
const CUT_OFF_PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether the node is cut off.
const CUT_OFF_LOOK: Duration = Duration::from_millis(250);

impl Session {
    /// The newest state or, in a block, what the block sees.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        let newest = self.database.shared().projections.snapshot();
        if self.block.is_none() {
            return Ok(newest);
        }
        let now = self.now();
        match &mut self.block {
            Some(block) => {
                // All parts of a statement are decided on one state.
                if self.frozen.is_none() {
                    block.advance(&newest)?;
                }
                block.snapshot(now)
            }
            None => Ok(newest),
        }
    }

    /// What a statement reads: what the block sees or the newest state, unless it is a part of one that has begun to
    /// read.
    pub(crate) fn read_snapshot(&mut self) -> Result<Snapshot> {
        match &self.frozen {
            Some(frozen) => Ok(frozen.clone()),
            None => self.snapshot(),
        }
    }

    /// Has a block that has written much since it last looked make its view on a thread for that.
    async fn prepare_view(&mut self) -> Result<()> {
        if self.frozen.is_some() || !self.block.as_ref().is_some_and(Block::is_far_behind) {
            return Ok(());
        }
        let Some(mut block) = self.block.take() else { return Ok(()) };
        let (now, newest) = (self.now(), self.database.shared().projections.snapshot());
        let (block, made) = super::query::blocking(move || {
            let made = block.advance(&newest).and_then(|()| block.snapshot(now));
            Ok((block, made.map(|_| ())))
        })
        .await?;
        self.block = Some(block);
        made
    }

    /// What a statement has around it.
    pub(crate) fn context(
        &mut self,
        statement: &running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<ExecContext> {
        let snapshot = self.read_snapshot()?;
        let shared = self.database.shared();
        let now = self.now();
        Ok(ExecContext {
            settings: self.settings.shared(),
            transaction_time: self.block.as_ref().map_or(now, |block| block.started),
            statement_time: now,
            clock: Arc::clone(&shared.config.clock),
            random: Arc::clone(&shared.config.random),
            parameters: parameters.into(),
            snapshot,
            reads: self.block.as_ref().and_then(Block::reads),
            past: PastSnapshots::default(),
            cancel: statement.cancel(),
            memory_bytes_max: shared.config.work_bytes,
            spill_directory: Some(Arc::clone(&shared.spill_directory)),
            spill_bytes_max: shared.config.spill_bytes,
        })
    }

    /// Whether [`Self::wait_until_readable`] has nothing to do, as mostly.
    pub(crate) fn is_readable(&self) -> bool {
        self.database.projections().note_reader();
        let reached = |positions| self.database.projections().reached(positions);
        self.block.is_none()
            && match self.settings.consistency() {
                Consistency::Eventual => true,
                Consistency::Session => {
                    self.settings.read_after().is_none()
                        && reached(&self.written)
                        && reached(&self.seen)
                }
                Consistency::Strong => false,
            }
    }

    /// Waits until the projections show what the session's consistency asks for.
    pub(crate) async fn wait_until_readable(
        &mut self,
        statement: &running::Statement,
    ) -> Result<()> {
        self.database.projections().note_reader();
        if self.block.as_ref().is_some_and(|block| block.is_fixed() && block.has_view()) {
            // It sees what it has seen.
            return self.prepare_view().await;
        }
        self.wait_for_consistency(statement).await?;
        self.prepare_view().await
    }

    async fn wait_for_consistency(&mut self, statement: &running::Statement) -> Result<()> {
        let mut needed = match self.settings.consistency() {
            Consistency::Eventual => return Ok(()),
            Consistency::Session => None,
            Consistency::Strong => Some(statement.wait(self.database.read_barrier()).await??),
        };
        if let Some(read_after) = self.settings.read_after() {
            needed.get_or_insert_default().merge(read_after);
        }
        match &mut needed {
            Some(needed) => {
                needed.merge(&self.written);
                needed.merge(&self.seen);
            }
            None => {
                self.wait_for(&self.written, statement).await?;
                return self.wait_for(&self.seen, statement).await;
            }
        }
        self.wait_for(&needed.unwrap_or_default(), statement).await
    }

    /// Notes that the session has written up to `positions`, for itself and for sessions that begin later.
    pub(crate) fn has_written(&mut self, positions: &Positions) {
        self.written.merge(positions);
        self.database.shared().acknowledge(positions);
    }

    /// The same before a statement that looks for rows to change: it has to find what anybody was told is there.
    pub(crate) async fn wait_until_current(
        &mut self,
        statement: &running::Statement,
    ) -> Result<()> {
        self.seen.merge(&self.database.shared().acknowledged());
        self.wait_for(&self.written, statement).await?;
        self.wait_for(&self.seen, statement).await?;
        self.wait_until_readable(statement).await
    }

    /// Waits until the projections cover `positions`.
    pub(crate) async fn wait_for(
        &self,
        positions: &Positions,
        statement: &running::Statement,
    ) -> Result<()> {
        let projections = self.database.projections();
        if projections.reached(positions) {
            return Ok(());
        }
        let (reached, waiting) = tokio::sync::oneshot::channel();
        let ready = Box::new(move |result| drop(reached.send(result)));
        let _place = projections.wait_for(positions, ready).map_err(|error| {
            SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, error.to_string())
        })?;
        let arrived = async {
            tokio::select! {
                reached = waiting => Ok(reached),
                error = self.cut_off() => Err(error),
            }
        };
        match statement.wait(arrived).await?? {
            Ok(result) => Ok(result?),
            Err(_) => Err(SqlError::new(SqlState::ADMIN_SHUTDOWN, "the projections have stopped")),
        }
    }

    /// Returns when this node has been cut off for so long that nobody should wait for what it lacks.
    async fn cut_off(&self) -> SqlError {
        let mut alone = Duration::ZERO;
        while alone < CUT_OFF_PATIENCE {
            if self.database.is_removed() {
                return sqlstate::write_error(WriteError::Removed);
            }
            tokio::time::sleep(CUT_OFF_LOOK).await;
            alone = if self.database.is_cut_off() { alone + CUT_OFF_LOOK } else { Duration::ZERO };
        }
        SqlError::new(
            SqlState::CANNOT_CONNECT_NOW,
            "this node is cut off from what the statement has to see",
        )
        .with_hint(
            "Read from another node, or with rotabase.consistency = eventual what this one has.",
        )
    }
}
