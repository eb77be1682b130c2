//! SQL cursors: DECLARE, FETCH, MOVE, CLOSE.
//!
//! A cursor runs forward as its rows are fetched. One that may scroll, or that outlives its block, keeps the
//! rows it has given: its result is gathered, within [`CURSOR_ROWS_MAX`].

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Batch;
use rotabase_queries::plan::OutputColumn;
use rotabase_queries::sql::{DeclareCursor, Fetch, FetchDirection};
use rotabase_queries::types::Datum;

use super::api::{Execution, Rows, RowsTag};
use super::block::Status;
use super::bound::BoundStatement;
use super::client::Session;
use super::query::Stream;
use super::running;

/// The cursors that a session may have open.
pub(crate) const CURSORS_MAX: usize = 100;

/// The rows that a cursor which scrolls or is held may have.
pub(crate) const CURSOR_ROWS_MAX: usize = 1_000_000;

/// A session's cursors.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    by_name: BTreeMap<String, OpenCursor>,
    /// How many were ever opened.
    opened: u64,
}

struct OpenCursor {
    columns: Arc<[OutputColumn]>,
    /// Where the rows come from while they are not all there.
    /// Behind a lock only because a session is shared by reference while it waits.
    rows: Mutex<Option<Rows>>,
    /// The rows read from `rows` that are kept: all of them, or those not fetched yet.
    kept: std::collections::VecDeque<Vec<Datum>>,
    /// Whether `kept` begins with the first row.
    scroll: bool,
    hold: bool,
    /// How many were opened before it.
    number: u64,
    /// The row it stands on, from 1; 0 is before the first.
    position: usize,
}

impl std::fmt::Debug for OpenCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenCursor").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Cursors {
    /// The columns of a cursor.
    pub(crate) fn columns(&self, name: &str) -> Option<Arc<[OutputColumn]>> {
        self.by_name.get(name).map(|cursor| Arc::clone(&cursor.columns))
    }

    /// Closes a cursor; whether there was one.
    pub(crate) fn close(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }

    /// Closes all.
    pub(crate) fn clear(&mut self) {
        self.by_name.clear();
    }

    /// How many were ever opened: a mark for [`Cursors::close_since`].
    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    /// Closes those that were opened after a mark.
    pub(crate) fn close_since(&mut self, opened: u64) {
        self.by_name.retain(|_, cursor| cursor.number < opened);
    }

    /// At the end of a block: those that are not held go.
    pub(crate) fn end_block(&mut self, committed: bool) {
        self.by_name.retain(|_, cursor| committed && cursor.hold);
    }

    fn get_mut(&mut self, name: &str) -> Result<&mut OpenCursor> {
        self.by_name.get_mut(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_CURSOR, format!("cursor \"{name}\" does not exist"))
        })
    }
}

impl Session {
    /// DECLARE.
    pub(crate) async fn declare_cursor(
        &mut self,
        declare: &DeclareCursor,
        bound: &Arc<BoundStatement>,
        statement: running::Statement,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        if self.status == Status::Idle && !declare.hold {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        if self.cursors.by_name.contains_key(&declare.name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", declare.name),
            ));
        }
        if self.cursors.by_name.len() >= CURSORS_MAX {
            let message = format!("a session has at most {CURSORS_MAX} cursors");
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message));
        }
        let rows = bound.rows()?;
        self.check_reads(&rows.relations)?;
        let context = self.reading(&rows.instants, &statement, parameters).await?;
        let columns = Arc::clone(&rows.plan.columns);
        let permits = Arc::clone(&self.database.shared().queries);
        let stream = Stream::open(rows, context, statement, permits).await?;
        let mut cursor = OpenCursor {
            rows: Mutex::new(Some(
                stream.into_rows(Arc::clone(&columns), RowsTag::Counted("FETCH")),
            )),
            columns,
            kept: std::collections::VecDeque::new(),
            scroll: declare.scroll == Some(true),
            hold: declare.hold,
            number: self.cursors.opened,
            position: 0,
        };
        if declare.hold {
            // It outlives the statement's flag and snapshot: everything is read now.
            cursor.scroll = declare.scroll != Some(false);
            cursor.read_to(usize::MAX).await?;
        }
        self.cursors.opened += 1;
        self.cursors.by_name.insert(declare.name.clone(), cursor);
        Ok(Execution::Done("DECLARE CURSOR".to_owned()))
    }

    /// FETCH.
    pub(crate) async fn fetch(&mut self, fetch: &Fetch) -> Result<Execution> {
        let cursor = self.cursors.get_mut(&fetch.cursor)?;
        let columns = Arc::clone(&cursor.columns);
        let rows = cursor.fetch(fetch.direction).await?;
        let batch = Batch {
            width: columns.len(),
            rows: rows.len(),
            values: rows.into_iter().flatten().collect(),
        };
        Ok(Execution::Rows(Rows::complete(columns, RowsTag::Counted("FETCH"), batch)))
    }

    /// MOVE.
    pub(crate) async fn move_cursor(&mut self, fetch: &Fetch) -> Result<Execution> {
        let rows = self.cursors.get_mut(&fetch.cursor)?.fetch(fetch.direction).await?;
        Ok(Execution::Done(format!("MOVE {}", rows.len())))
    }
}

impl OpenCursor {
    /// Reads rows until `row` is there, counted from 1, or there are no more.
    async fn read_to(&mut self, row: usize) -> Result<()> {
        while self.end() < row {
            let Some(rows) = self.rows.get_mut() else { return Ok(()) };
            match rows.next_batch().await? {
                Some(batch) => self.kept.extend(batch.iter().map(<[Datum]>::to_vec)),
                None => *self.rows.get_mut() = None,
            }
            if self.kept.len() > CURSOR_ROWS_MAX {
                let message =
                    format!("a cursor that scrolls or is held has at most {CURSOR_ROWS_MAX} rows");
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
            }
        }
        Ok(())
    }

    /// The number of the last row that has been read.
    fn end(&self) -> usize {
        if self.scroll { self.kept.len() } else { self.position + self.kept.len() }
    }

    async fn fetch(&mut self, direction: FetchDirection) -> Result<Vec<Vec<Datum>>> {
        match direction {
            FetchDirection::Forward(count) if count < 0 => self.backward(count.unsigned_abs()),
            FetchDirection::Backward(count) if count < 0 => {
                self.forward(count.unsigned_abs()).await
            }
            FetchDirection::Forward(0)
            | FetchDirection::Backward(0)
            | FetchDirection::Relative(0) => self.again(),
            FetchDirection::Forward(count) => self.forward(count.unsigned_abs()).await,
            FetchDirection::Backward(count) => self.backward(count.unsigned_abs()),
            FetchDirection::Absolute(row) => self.absolute(row).await,
            FetchDirection::Relative(step) => {
                let position = i64::try_from(self.position).unwrap_or(i64::MAX);
                self.absolute(position.saturating_add(step).max(0)).await
            }
        }
    }

    async fn forward(&mut self, count: u64) -> Result<Vec<Vec<Datum>>> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let to = self.position.saturating_add(count);
        self.read_to(to).await?;
        let last = to.min(self.end());
        let rows: Vec<Vec<Datum>> = if self.scroll {
            self.kept.range(self.position.min(last)..last).cloned().collect()
        } else {
            self.kept.drain(..last - self.position).collect()
        };
        // Past the end it stands after the last row.
        self.position = if rows.len() < count {
            self.position.max(last) + usize::from(self.scroll && self.position <= last)
        } else {
            last
        };
        Ok(rows)
    }

    fn backward(&mut self, count: u64) -> Result<Vec<Vec<Datum>>> {
        self.require_scroll()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let before = self.position.min(self.kept.len() + 1);
        let first = before.saturating_sub(count);
        let rows = (first.max(1)..before).rev().map(|row| self.kept[row - 1].clone()).collect();
        self.position = first;
        Ok(rows)
    }

    async fn absolute(&mut self, row: i64) -> Result<Vec<Vec<Datum>>> {
        let target = match usize::try_from(row) {
            Ok(row) => row,
            Err(_) => {
                self.require_scroll()?;
                self.read_to(usize::MAX).await?;
                let from_end = usize::try_from(row.unsigned_abs()).unwrap_or(usize::MAX);
                (self.kept.len() + 1).saturating_sub(from_end)
            }
        };
        if target <= self.position {
            self.require_scroll()?;
            self.position = target;
            return self.again();
        }
        let mut rows =
            self.forward(u64::try_from(target - self.position).unwrap_or(u64::MAX)).await?;
        let reached = self.position == target;
        Ok(if reached { rows.pop().into_iter().collect() } else { Vec::new() })
    }

    /// The row it stands on.
    fn again(&self) -> Result<Vec<Vec<Datum>>> {
        self.require_scroll()?;
        let row = self.position.checked_sub(1).and_then(|at| self.kept.get(at));
        Ok(row.cloned().into_iter().collect())
    }

    fn require_scroll(&self) -> Result<()> {
        if self.scroll {
            return Ok(());
        }
        let error = SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "cursor can only scan forward",
        );
        Err(error.with_hint("Declare it with SCROLL option to enable backward scan."))
    }
}
