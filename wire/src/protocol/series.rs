//! Runs of a statement that the client has sent without waiting, with a Sync behind each: a session that can have
//! several of them under way is given all that have arrived.
//!
//! What is answered is what would have been if each had been carried out before the next was looked at: a run that fails
//! passes over nothing but its own Sync.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use rotabase_queries::error::SqlError;
use rotabase_queries::types::{Datum, text::ReadContext};

use super::connection::Connection;
use super::extended::{BindNames, find, is_timeless, read_bind};
use super::failure::Outcome;
use super::input::{Body, Frame};
use super::limits::SERIES_MAX;
use crate::session::{Execution, Prepared, SessionApi};

/// A run of a statement: Bind, mostly Describe, Execute, with a Sync behind that is still to be looked at.
pub(super) struct Run {
    parameters: Vec<Datum>,
    described: bool,
}

impl<S: SessionApi> Connection<S> {
    /// Takes runs of a statement out of the input, as far as they follow the run whose Sync is next, and the session
    /// may have them under way together. What comes next then is the Sync of the last.
    pub(super) fn further_runs(&mut self, prepared: &Arc<Prepared<S::Statement>>) -> Vec<Run> {
        let mut runs = Vec::new();
        if prepared.columns.is_some()
            || !self.link.input.has_more_than_sync()
            || !self.session.takes_series(prepared)
        {
            return runs;
        }
        while runs.len() + 1 < SERIES_MAX {
            let mark = self.link.input.mark();
            let Some(run) = self.further_run(prepared) else {
                // Whatever it is, it is dealt with in its turn.
                self.link.input.rewind(&mark);
                break;
            };
            runs.push(run);
        }
        runs
    }

    fn further_run(&mut self, prepared: &Arc<Prepared<S::Statement>>) -> Option<Run> {
        let sync = self.frame_of(b'S')?;
        Body::new(self.link.input.slice(&sync.body)).end().ok()?;
        let bind = self.frame_of(b'B')?;
        let parameters = self.bound_again(&bind, prepared)?;
        let described = self.link.input.peek_letter() == Some(b'D');
        if described {
            let describe = self.frame_of(b'D')?;
            let mut body = Body::new(self.link.input.slice(&describe.body));
            let is_portal = body.byte().ok()? == b'P' && body.text().ok()?.is_empty();
            (is_portal && body.end().is_ok()).then_some(())?;
        }
        let execute = self.frame_of(b'E')?;
        let mut body = Body::new(self.link.input.slice(&execute.body));
        let is_portal = body.text().ok()?.is_empty();
        body.int32().ok()?;
        let ends = body.end().is_ok() && self.link.input.peek_letter() == Some(b'S');
        (is_portal && ends).then_some(Run { parameters, described })
    }

    /// The parameters of a Bind of the same statement to the unnamed portal.
    fn bound_again(
        &mut self,
        frame: &Frame,
        prepared: &Arc<Prepared<S::Statement>>,
    ) -> Option<Vec<Datum>> {
        let mut body = Body::new(self.link.input.slice(&frame.body));
        let (portal, statement) = (body.text().ok()?, body.text().ok()?);
        let same = find(self.unnamed.as_ref(), &mut self.session, statement).ok()?;
        if !portal.is_empty() || !Arc::ptr_eq(&same, prepared) {
            return None;
        }
        let settings = self.session.settings();
        let timeless = prepared.parameters.iter().all(|ty| is_timeless(*ty));
        let now = if timeless { 0 } else { self.session.transaction_time() };
        let context = ReadContext { settings: &settings, now };
        let read = read_bind(body, BindNames { portal, statement }, prepared, &context);
        read.ok().map(|(parameters, _)| parameters)
    }

    fn frame_of(&mut self, letter: u8) -> Option<Frame> {
        if self.link.input.peek_letter() != Some(letter) {
            return None;
        }
        self.link.input.next_frame().ok().flatten()
    }

    /// Executes a statement with its first parameters and then for further runs, and answers. What is said of the last is
    /// said by the caller if it is an error.
    pub(super) async fn run_series(
        &mut self,
        prepared: &Arc<Prepared<S::Statement>>,
        first: Vec<Datum>,
        further: Vec<Run>,
    ) -> Outcome<()> {
        let last = further.len();
        let described: Vec<bool> = further.iter().map(|run| run.described).collect();
        let mut runs: VecDeque<_> =
            std::iter::once(first).chain(further.into_iter().map(|run| run.parameters)).collect();
        let mut number = 0_usize;
        while !runs.is_empty() {
            let results = {
                let executed = self.session.execute_series(prepared, &mut runs);
                self.link.drive(pin!(executed)).await
            };
            for result in results {
                if let Some(described) = number.checked_sub(1).map(|before| described[before]) {
                    self.sync().await;
                    self.metrics.statement(prepared.command);
                    self.link.output.bind_complete();
                    if described {
                        self.link.output.no_data();
                    }
                }
                match result {
                    Ok(Execution::Done(tag)) => self.complete(&tag),
                    Ok(_) => return Err(SqlError::internal("a run that gives rows").into()),
                    Err(error) if number == last => return Err(error.into()),
                    Err(error) => self.report(&error),
                }
                number += 1;
            }
            self.link.flush_if_full().await?;
        }
        Ok(())
    }
}
