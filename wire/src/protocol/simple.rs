//! The simple protocol: a text of statements, executed one after the other in one implicit transaction.

use std::pin::pin;
use std::sync::Arc;

use super::connection::{Connection, send_rows};
use super::failure::Outcome;
use super::input::{Body, Frame};
use super::portal::RowCursor;
use super::values::Formats;
use crate::session::{ExecuteOptions, Execution, Prepared, SessionApi};

impl<S: SessionApi> Connection<S> {
    /// Query. An error stops the rest of the text; the caller reports it.
    pub(crate) async fn query(&mut self, frame: &Frame) -> Outcome<()> {
        let mut body = Body::new(self.link.input.slice(&frame.body));
        let text = body.text()?;
        body.end()?;
        // As in PostgreSQL, a simple query takes the place of what has no name.
        self.unnamed = None;
        self.portals.remove("");
        let statements = self.session.parse(text)?;
        if statements.is_empty() {
            self.metrics.statement("");
            self.link.output.empty_query();
        }
        for (place, prepared) in statements.iter().enumerate() {
            let ends_transaction = place + 1 == statements.len();
            self.query_statement(prepared, ExecuteOptions { row_limit: 0, ends_transaction })
                .await?;
        }
        self.end_transaction().await;
        self.ready();
        Ok(())
    }

    async fn query_statement(
        &mut self,
        prepared: &Arc<Prepared<S::Statement>>,
        options: ExecuteOptions,
    ) -> Outcome<()> {
        self.metrics.statement(prepared.command);
        let execute = self.session.execute(prepared, Vec::new(), options);
        let execution = self.link.drive(pin!(execute)).await?;
        match execution {
            Execution::Rows(rows) => {
                self.notices();
                self.link.output.row_description(&rows.columns, |_| 0);
                let mut cursor = RowCursor::new(rows);
                let settings = self.session.settings();
                let (sent, _) =
                    send_rows(&mut self.link, &settings, &mut cursor, &Formats::Text, 0).await?;
                self.metrics.rows_sent.add(usize::try_from(sent).unwrap_or(usize::MAX));
                self.complete_rows(&cursor.rows.tag, sent);
            }
            Execution::Done(tag) => self.complete(&tag),
            Execution::CopyIn(format) => self.copy_in(format, Some(options)).await?,
            Execution::CopyOut(copy) => self.copy_out(copy).await?,
            Execution::Empty => self.link.output.empty_query(),
        }
        Ok(())
    }
}
