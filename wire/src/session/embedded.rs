//! SQL for whoever links the library: a text in, rows of text or values out, no socket between.

use std::sync::Arc;

use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::plan::OutputColumn;
use rotabase_queries::types::{Datum, text};

use super::api::{CopyStep, ExecuteOptions, Execution, RowsTag, SessionApi};
use super::client::Session;

/// What a statement gave.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The columns of its rows; empty if it gives none.
    pub columns: Arc<[OutputColumn]>,
    /// Its rows.
    pub rows: Vec<Vec<Datum>>,
    /// Its command tag, such as `INSERT 0 1`.
    pub tag: String,
}

impl Session {
    /// Runs the statements of a text, one after the other, and gathers what they give. A parameter is a value of
    /// the type that its statement infers; with parameters the text has to be one statement.
    pub async fn run_sql(&mut self, sql: &str, parameters: Vec<Datum>) -> Result<Vec<Reply>> {
        let statements = if parameters.is_empty() {
            self.parse(sql)?
        } else {
            vec![self.prepare(sql, &[]).await?]
        };
        let mut replies = Vec::with_capacity(statements.len());
        for statement in statements {
            let options = ExecuteOptions { row_limit: 0, ends_transaction: true };
            let execution = self.execute(&statement, parameters.clone(), options).await?;
            replies.push(self.reply(execution).await?);
        }
        Ok(replies)
    }

    /// Runs one `COPY … FROM STDIN` with its input; the command tag.
    pub async fn copy_in(&mut self, sql: &str, input: &[u8]) -> Result<String> {
        let options = ExecuteOptions { row_limit: 0, ends_transaction: true };
        let statement = self.prepare(sql, &[]).await?;
        let Execution::CopyIn(_) = self.execute(&statement, Vec::new(), options).await? else {
            return Err(SqlError::unsupported("copy_in takes COPY … FROM STDIN only"));
        };
        self.copy_data(input)?;
        self.copy_done(options).await
    }

    async fn reply(&mut self, execution: Execution) -> Result<Reply> {
        let none: Arc<[OutputColumn]> = Arc::from([]);
        match execution {
            Execution::Empty => Ok(Reply { columns: none, rows: Vec::new(), tag: String::new() }),
            Execution::Done(tag) => Ok(Reply { columns: none, rows: Vec::new(), tag }),
            Execution::Rows(mut source) => {
                let mut rows = Vec::new();
                while let Some(batch) = source.next_batch().await? {
                    rows.extend(batch.iter().map(<[Datum]>::to_vec));
                }
                let tag = match &source.tag {
                    RowsTag::Counted(word) => format!("{word} {}", rows.len()),
                    RowsTag::Fixed(tag) => tag.clone(),
                };
                Ok(Reply { columns: Arc::clone(&source.columns), rows, tag })
            }
            Execution::CopyIn(_) => {
                self.copy_abort();
                Err(SqlError::unsupported("COPY FROM STDIN needs input: use copy_in"))
            }
            Execution::CopyOut(mut copy) => {
                let mut rows = Vec::new();
                loop {
                    match copy.source.next().await? {
                        CopyStep::Rows(piece) => rows.push(vec![Datum::Bytea(piece.bytes.into())]),
                        CopyStep::Done(tag) => return Ok(Reply { columns: none, rows, tag }),
                    }
                }
            }
        }
    }
}

impl Reply {
    /// The rows as PostgreSQL's text, null as none, as the session's settings show them.
    pub fn text_rows(&self, session: &Session) -> Vec<Vec<Option<String>>> {
        let settings = SessionApi::settings(session);
        let shown = |(value, column): (&Datum, &OutputColumn)| {
            (!value.is_null()).then(|| text::to_string(value, column.ty, &settings))
        };
        self.rows
            .iter()
            .map(|row| row.iter().zip(self.columns.iter()).map(shown).collect())
            .collect()
    }
}
