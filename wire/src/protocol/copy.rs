//! The COPY sub-protocol, the same for simple and extended statements.

use std::pin::pin;

use rotabase_queries::error::{Result, SqlError, SqlState};

use super::connection::Connection;
use super::failure::{Failure, Outcome};
use super::input::{Body, CopyInput, Frame};
use crate::session::{CopyInFormat, CopyOut, CopyStep, ExecuteOptions, SessionApi};

/// What ended the COPY input.
enum Ended {
    /// CopyDone.
    Done,
    /// CopyFail, with what the client says.
    Failed(SqlError),
}

impl<S: SessionApi> Connection<S> {
    /// Takes COPY input until its end. `options` are the simple protocol's; in the extended protocol they
    /// depend on what follows.
    pub(crate) async fn copy_in(
        &mut self,
        format: CopyInFormat,
        options: Option<ExecuteOptions>,
    ) -> Outcome<()> {
        self.notices();
        self.link.output.copy_response(b'G', format.binary, format.columns);
        let ended = match self.read_copy().await {
            Ok(Ended::Done) => {
                let options = options.unwrap_or_else(|| ExecuteOptions {
                    row_limit: 0,
                    ends_transaction: self.link.input.peek_letter() == Some(b'S'),
                });
                let tag = self.link.drive(pin!(self.session.copy_done(options))).await?;
                let rows = tag.rsplit(' ').next().and_then(|count| count.parse().ok());
                self.metrics.copy_rows_received.add(rows.unwrap_or(0));
                self.complete(&tag);
                return Ok(());
            }
            Ok(Ended::Failed(error)) => Failure::from(error),
            Err(failure) => failure,
        };
        self.session.copy_abort();
        Err(ended)
    }

    /// Hands the input to the session until the client ends it.
    async fn read_copy(&mut self) -> Outcome<Ended> {
        loop {
            let Some(next) = self.link.input.next_copy().map_err(Failure::fatal)? else {
                self.link.flush().await?;
                self.link.read().await?;
                continue;
            };
            let full = match next {
                CopyInput::Data(range) => {
                    self.metrics.copy_bytes_received.add(range.len());
                    self.session.copy_data(self.link.input.slice(&range))?
                }
                CopyInput::Frame(frame) => match self.copy_message(&frame)? {
                    Some(ended) => return Ok(ended),
                    None => false,
                },
            };
            if full {
                self.link.drive(pin!(self.session.copy_drain())).await?;
            }
        }
    }

    /// A message among COPY input; none if it has no meaning here.
    fn copy_message(&self, frame: &Frame) -> Result<Option<Ended>, Failure> {
        match frame.letter {
            b'c' => Ok(Some(Ended::Done)),
            b'f' => {
                let reason = Body::new(self.link.input.slice(&frame.body)).text()?;
                let message = format!("COPY from stdin failed: {reason}");
                Ok(Some(Ended::Failed(SqlError::new(SqlState::QUERY_CANCELED, message))))
            }
            // Clients that send Sync behind Execute do not know yet that it is a COPY.
            b'H' | b'S' => Ok(None),
            b'X' => Err(Failure::Gone),
            letter => {
                let message =
                    format!("unexpected message type 0x{letter:02X} during COPY from stdin");
                Err(Failure::out_of_step(message))
            }
        }
    }

    /// Sends the rows of a COPY TO STDOUT. While there is nothing to come for now, what there is is sent.
    pub(crate) async fn copy_out(&mut self, mut copy: CopyOut) -> Outcome<()> {
        self.notices();
        self.link.output.copy_response(b'H', copy.binary, copy.columns);
        loop {
            let next = {
                let mut next = copy.source.next();
                match futures::poll!(next.as_mut()) {
                    std::task::Poll::Ready(step) => step,
                    std::task::Poll::Pending => {
                        self.link.flush().await?;
                        self.link.drive(pin!(next)).await
                    }
                }
            };
            match next? {
                CopyStep::Rows(rows) => {
                    let mut start = 0;
                    for end in &rows.ends {
                        self.link.output.copy_data(&rows.bytes[start..*end]);
                        start = *end;
                        self.link.flush_if_full().await?;
                    }
                    self.metrics.copy_rows_sent.add(rows.ends.len());
                }
                CopyStep::Done(tag) => {
                    self.link.output.copy_done();
                    self.complete(&tag);
                    return Ok(());
                }
            }
        }
    }
}
