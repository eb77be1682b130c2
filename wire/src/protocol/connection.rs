//! A connection with a session: takes messages in order, lets the session do what they ask, and answers.
//!
//! Everything that has arrived is dealt with before anything is sent, up to a bound, so a pipeline of
//! statements costs one write. An error within the extended protocol passes over everything up to the next
//! Sync. What simple and extended statements do is in [`super::simple`] and [`super::extended`].

use std::pin::pin;
use std::sync::Arc;

use rotabase_queries::error::{SqlError, SqlState};
use rotabase_queries::exec::Settings;
use tokio::sync::Notify;

use super::failure::{Failure, Outcome};
use super::input::{Body, Frame};
use super::link::{Link, Wake};
use super::metrics::ProtocolMetrics;
use super::portal::{Portals, RowCursor};
use super::timeouts::Timeouts;
use super::values::{Formats, put_row};
use crate::session::{Prepared, RowsTag, SessionApi};

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

/// One client and its session.
pub(crate) struct Connection<S: SessionApi> {
    pub(crate) link: Link,
    pub(crate) session: S,
    pub(crate) unnamed: Option<Arc<Prepared<S::Statement>>>,
    pub(crate) portals: Portals<S::Statement>,
    pub(crate) metrics: Arc<ProtocolMetrics>,
    /// Something failed: everything up to the next Sync is passed over.
    skipping: bool,
    wakeup: Arc<Notify>,
    timeouts: Timeouts,
}

impl<S: SessionApi> Connection<S> {
    /// A connection whose session has just been opened; nothing is sent yet.
    pub(crate) fn new(link: Link, session: S, metrics: Arc<ProtocolMetrics>) -> Self {
        let wakeup = session.wakeup();
        link.slot().set_cancel(session.cancel_handle());
        Self {
            link,
            session,
            unnamed: None,
            portals: Portals::default(),
            metrics,
            skipping: false,
            wakeup,
            timeouts: Timeouts::default(),
        }
    }

    /// Serves the client until it goes, breaks the protocol, or the server stops.
    pub(crate) async fn run(mut self) {
        if let Err(Failure::Fatal(error)) = self.serve().await {
            self.metrics.error(error.state);
            self.link.output.fatal(&error);
        }
        self.portals.clear();
        self.session.close().await;
        self.link.close().await;
    }

    async fn serve(&mut self) -> Outcome<()> {
        self.ready();
        loop {
            if self.link.is_terminated() {
                return Err(Failure::terminated());
            }
            match self.link.input.next_frame().map_err(Failure::fatal)? {
                Some(frame) => {
                    if self.handle(frame).await? == Flow::Stop {
                        return Ok(());
                    }
                    if self.link.is_full() {
                        self.link.flush().await?;
                    }
                }
                None => self.wait().await?,
            }
        }
    }

    /// Sends everything and waits for more input.
    async fn wait(&mut self) -> Outcome<()> {
        self.link.flush().await?;
        let status = self.session.transaction_status();
        let limit = self.timeouts.limit(status, &self.session);
        if self.link.read_idle(&self.wakeup, limit).await? == Wake::Session && status == b'I' {
            // The client is not in the middle of anything: messages may come at any time.
            self.announce();
        }
        Ok(())
    }

    /// Deals with one message, a failed statement included.
    async fn handle(&mut self, frame: Frame) -> Outcome<Flow> {
        if self.skipping && !matches!(frame.letter, b'S' | b'X') {
            return Ok(Flow::Continue);
        }
        let letter = frame.letter;
        match self.dispatch(frame).await {
            Ok(flow) => Ok(flow),
            Err(Failure::Statement(error)) => {
                if self.link.is_terminated() && error.state == SqlState::QUERY_CANCELED {
                    return Err(Failure::terminated());
                }
                self.report(&error);
                if matches!(letter, b'Q' | b'F' | b'S') {
                    self.end_transaction().await;
                    self.ready();
                } else {
                    self.skipping = true;
                }
                Ok(Flow::Continue)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn dispatch(&mut self, frame: Frame) -> Outcome<Flow> {
        match frame.letter {
            b'B' => self.bind(&frame)?,
            b'E' => self.execute(&frame).await?,
            b'S' => {
                self.skipping = false;
                self.check_empty(&frame)?;
                self.sync().await;
            }
            b'P' => self.parse(&frame).await?,
            b'D' => self.describe(&frame)?,
            b'C' => self.close(&frame)?,
            b'H' => {
                self.check_empty(&frame)?;
                self.link.flush().await?;
            }
            b'Q' => self.query(&frame).await?,
            b'F' => return Err(SqlError::unsupported("function calls are not offered").into()),
            b'X' => return Ok(Flow::Stop),
            // A client that has not yet noticed that its COPY failed; the protocol says to pass over it.
            b'd' | b'c' | b'f' => {}
            letter => {
                return Err(Failure::out_of_step(format!(
                    "invalid frontend message type {letter}"
                )));
            }
        }
        Ok(Flow::Continue)
    }

    fn check_empty(&self, frame: &Frame) -> Result<(), SqlError> {
        Body::new(self.link.input.slice(&frame.body)).end()
    }

    /// Sync: the implicit transaction ends here.
    pub(crate) async fn sync(&mut self) {
        self.end_transaction().await;
        self.ready();
    }

    /// Commits the implicit transaction, or rolls it back; an error is the client's to know.
    pub(crate) async fn end_transaction(&mut self) {
        let ended = self.link.drive(pin!(self.session.sync())).await;
        if let Err(error) = ended {
            self.report(&error);
        }
        self.notices();
        if self.session.transaction_status() == b'I' {
            self.portals.clear();
        }
    }

    /// Sends an error of a statement and lets the transaction fail.
    pub(crate) fn report(&mut self, error: &SqlError) {
        self.notices();
        tracing::debug!(sqlstate = error.state.0, reason = %error.message, "statement failed");
        self.metrics.error(error.state);
        self.link.output.error(error);
        self.session.fail();
    }

    /// Sends the notices that have gathered.
    pub(crate) fn notices(&mut self) {
        for notice in self.session.take_notices() {
            self.link.output.notice(notice.severity, &notice.error);
        }
    }

    /// Sends what has changed and what has been notified.
    fn announce(&mut self) {
        self.notices();
        for (name, value) in self.session.take_parameter_changes() {
            self.link.output.parameter_status(&name, &value);
        }
        if self.session.transaction_status() == b'I' {
            for notification in self.session.take_notifications() {
                self.link.output.notification(&notification);
            }
            // Some may have been lost.
            self.notices();
        }
    }

    /// ReadyForQuery, with what has to be said before it.
    pub(crate) fn ready(&mut self) {
        self.announce();
        self.link.output.ready(self.session.transaction_status());
    }

    /// CommandComplete, with the notices before it. Two commands reach beyond the session's own state.
    pub(crate) fn complete(&mut self, tag: &str) {
        self.notices();
        self.link.output.command_complete(tag);
        if matches!(tag, "DISCARD ALL" | "CLOSE CURSOR ALL") {
            self.portals.clear();
        }
    }

    /// CommandComplete of a statement that gave rows.
    pub(crate) fn complete_rows(&mut self, tag: &RowsTag, rows: u64) {
        match tag {
            RowsTag::Counted(word) => {
                self.notices();
                self.link.output.command_complete_counted(word, rows);
            }
            RowsTag::Fixed(tag) => self.complete(tag),
        }
    }
}

/// Sends rows, up to `limit` unless that is 0. Returns how many, and whether they have come to an end; with
/// the limit reached that is not looked at, as in PostgreSQL.
pub(crate) async fn send_rows(
    link: &mut Link,
    settings: &Settings,
    cursor: &mut RowCursor,
    formats: &Formats,
    limit: u64,
) -> Outcome<(u64, bool)> {
    let mut sent = 0;
    loop {
        let width = cursor.batch.width;
        while cursor.next < cursor.batch.rows {
            if limit != 0 && sent == limit {
                return Ok((sent, false));
            }
            let row = &cursor.batch.values[cursor.next * width..(cursor.next + 1) * width];
            put_row(&mut link.output, row, &cursor.rows.columns, formats, settings)?;
            cursor.next += 1;
            sent += 1;
            if link.is_full() {
                link.flush().await?;
            }
        }
        if limit != 0 && sent == limit {
            return Ok((sent, false));
        }
        if cursor.ended {
            return Ok((sent, true));
        }
        let batch = match cursor.rows.take_ready() {
            Some(batch) => Some(batch),
            None => link.drive(pin!(cursor.rows.next_batch())).await?,
        };
        cursor.next = 0;
        cursor.ended = batch.is_none();
        cursor.batch = batch.unwrap_or_default();
    }
}
