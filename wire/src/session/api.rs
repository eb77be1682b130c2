//! What the protocol layer asks of a session, and what it is handed.
//!
//! One call of [`SessionApi`] runs at a time. The protocol never drops a future of a session before it is
//! done: a client that cancels or goes away is told to the session through its [`CancelHandle`], and the
//! session alone knows where it may stop. Rows and COPY output stand on their own and borrow nothing from
//! the session, so that a suspended portal stays readable while other statements run.
//!
//! A session must never know message letters, formats of values on the wire, portals or sockets.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Batch, Settings};
use rotabase_queries::plan::OutputColumn;
use rotabase_queries::types::{Datum, PgType};
use tokio::sync::Notify;

use crate::scram::ScramVerifier;

/// The prepared statements that one session may hold.
pub const STATEMENTS_MAX: usize = 10_000;

/// The database as the protocol layer sees it: it knows roles and opens sessions.
pub trait Backend: Send + Sync + 'static {
    /// The sessions it opens.
    type Session: SessionApi;

    /// How the role called `name` may log in; none if there is no such role.
    fn login(&self, name: &str) -> Option<Login>;

    /// Opens a session for a client that has been authenticated. An error here ends the connection; 3D000 for
    /// an unknown database, 57P03 while the database cannot take sessions.
    fn connect(&self, start: SessionStart) -> impl Future<Output = Result<Self::Session>> + Send;
}

/// How a role may log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Whether it may log in at all.
    pub can_login: bool,
    /// Whether it may use the connections kept for administrators, and what `is_superuser` says.
    pub superuser: bool,
    /// What proves its password; none if it has none.
    pub verifier: Option<ScramVerifier>,
}

/// Who connects, and with which start-up parameters.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// The role.
    pub user: String,
    /// The database; the user's name if the client named none.
    pub database: String,
    /// The settings that the client asked for at start-up, in its order, `options=-c name=value` taken apart;
    /// `client_encoding` and `application_name` among them.
    pub settings: Vec<(String, String)>,
    /// The process id that the client knows the session by.
    pub pid: i32,
    /// Where the client is; none for an embedded session.
    pub peer: Option<SocketAddr>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether it may follow the logs: nodes have no certificates, or it has shown one.
    pub may_follow: bool,
}

/// A statement that can be executed, and the shape of what it takes and gives.
#[derive(Debug)]
pub struct Prepared<S> {
    /// The types of its parameters, all known.
    pub parameters: Vec<PgType>,
    /// The columns of its rows; none if it gives no rows. For a statement of [`SessionApi::parse`] it may be
    /// none although there are rows: [`Rows::columns`] is what counts.
    pub columns: Option<Arc<[OutputColumn]>>,
    /// How its columns are described to a client that takes values as text, once one has asked.
    pub described: OnceLock<Box<[u8]>>,
    /// Its first word or words, as in a command tag: `SELECT`, `INSERT`, `COPY`, `BEGIN`. Empty for an empty
    /// statement.
    pub command: &'static str,
    /// What the session keeps of it.
    pub statement: S,
}

/// How a statement is to be executed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecuteOptions {
    /// The rows that the client wants first; 0 for all. A hint: the protocol cuts the rows itself.
    pub row_limit: usize,
    /// Whether nothing else can follow in the implicit transaction. Outside a block a statement with this set
    /// commits before it returns; without it, what it wrote is committed by [`SessionApi::sync`].
    pub ends_transaction: bool,
}

/// What an execution gives.
#[derive(Debug)]
pub enum Execution {
    /// Rows.
    Rows(Rows),
    /// It is done; the command tag.
    Done(String),
    /// COPY FROM STDIN has begun: rows are handed over with [`SessionApi::copy_data`].
    CopyIn(CopyInFormat),
    /// COPY TO STDOUT.
    CopyOut(CopyOut),
    /// There was no statement.
    Empty,
}

/// The command tag of a statement that gave rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowsTag {
    /// The word and the number of rows sent by this Execute: `SELECT 3`.
    Counted(&'static str),
    /// A fixed tag: `INSERT 0 3`, `EXPLAIN`.
    Fixed(String),
}

/// More rows of a result. Dropping it ends the statement.
pub trait RowSource: Send {
    /// The next rows; none at the end. Not called again after the end or an error.
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Batch>>>;
}

/// The rows of a result.
pub struct Rows {
    /// Their columns.
    pub columns: Arc<[OutputColumn]>,
    /// What is said once all are sent.
    pub tag: RowsTag,
    ready: Option<Batch>,
    source: Option<Box<dyn RowSource>>,
}

impl Rows {
    /// A result that is complete.
    pub fn complete(columns: Arc<[OutputColumn]>, tag: RowsTag, batch: Batch) -> Self {
        Self { columns, tag, ready: Some(batch), source: None }
    }

    /// A result whose rows are made as they are read; `first` may be there already.
    pub fn streamed(
        columns: Arc<[OutputColumn]>,
        tag: RowsTag,
        first: Option<Batch>,
        source: Box<dyn RowSource>,
    ) -> Self {
        Self { columns, tag, ready: first, source: Some(source) }
    }

    /// The next rows if they are there without waiting.
    pub fn take_ready(&mut self) -> Option<Batch> {
        self.ready.take()
    }

    /// Whether further rows may have to be made.
    pub fn is_streamed(&self) -> bool {
        self.source.is_some()
    }

    /// The next rows; none at the end.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>> {
        if let Some(batch) = self.ready.take() {
            return Ok(Some(batch));
        }
        let Some(source) = &mut self.source else { return Ok(None) };
        let batch = source.next_batch().await;
        if !matches!(batch, Ok(Some(_))) {
            self.source = None;
        }
        batch
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("columns", &self.columns)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

/// What COPY FROM STDIN expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyInFormat {
    /// Whether it is PostgreSQL's binary format.
    pub binary: bool,
    /// The number of columns.
    pub columns: usize,
}

/// What COPY TO STDOUT gives.
pub struct CopyOut {
    /// Whether it is PostgreSQL's binary format.
    pub binary: bool,
    /// The number of columns.
    pub columns: usize,
    /// The rows.
    pub source: Box<dyn CopySource>,
}

impl fmt::Debug for CopyOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOut")
            .field("binary", &self.binary)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Rows of a COPY TO STDOUT. Dropping it ends the statement.
pub trait CopySource: Send {
    /// The next rows, or the end. Not called again after the end or an error. It may wait for ever, as
    /// SUBSCRIBE does, until the session is cancelled.
    fn next(&mut self) -> BoxFuture<'_, Result<CopyStep>>;
}

/// A step of COPY TO STDOUT.
#[derive(Debug)]
pub enum CopyStep {
    /// Some rows.
    Rows(CopyRows),
    /// The end; the command tag.
    Done(String),
}

/// Rows in a COPY format, one after the other. Each is sent as a message of its own, which is what clients
/// that read row by row rely on.
#[derive(Clone, Debug, Default)]
pub struct CopyRows {
    /// The bytes of all rows, each with its line end.
    pub bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    pub ends: Vec<usize>,
}

/// How bad a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// `WARNING`.
    Warning,
    /// `NOTICE`.
    Notice,
    /// `INFO`.
    Info,
    /// `LOG`.
    Log,
    /// `DEBUG1`.
    Debug,
}

/// Something that the client is told beside the result.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How bad it is.
    pub severity: Severity,
    /// What there is to say; `00000` and `01000` are states too.
    pub error: SqlError,
}

/// What `LISTEN` waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The process id of the session that notified; this session's own for what the database notifies.
    pub pid: i32,
    /// The channel.
    pub channel: String,
    /// The text.
    pub payload: String,
}

/// Asks a session to stop what it is doing now; nothing happens if it does nothing. It may be called from
/// any thread at any time and must return at once.
pub type CancelHandle = Arc<dyn Fn() + Send + Sync>;

/// The named prepared statements of a session. SQL's PREPARE and the protocol's Parse share them, as in
/// PostgreSQL.
#[derive(Debug)]
pub struct Statements<S> {
    by_name: BTreeMap<String, Arc<Prepared<S>>>,
}

impl<S> Default for Statements<S> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new() }
    }
}

impl<S> Statements<S> {
    /// The statement called `name`.
    pub fn get(&self, name: &str) -> Result<&Arc<Prepared<S>>> {
        self.by_name.get(name).ok_or_else(|| {
            let message = format!("prepared statement \"{name}\" does not exist");
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// Keeps a statement; refused if the name is taken or [`STATEMENTS_MAX`] are held.
    pub fn insert(&mut self, name: &str, prepared: Arc<Prepared<S>>) -> Result<()> {
        self.check_free(name)?;
        if self.by_name.len() >= STATEMENTS_MAX {
            let message =
                format!("too many prepared statements: a session holds at most {STATEMENTS_MAX}");
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message));
        }
        self.by_name.insert(name.to_owned(), prepared);
        Ok(())
    }

    /// Fails with 42P05 if the name is taken.
    pub fn check_free(&self, name: &str) -> Result<()> {
        if self.by_name.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        Ok(())
    }

    /// Forgets a statement; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.by_name.clear();
    }

    /// All by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Prepared<S>>)> {
        self.by_name.iter().map(|(name, prepared)| (name.as_str(), prepared))
    }
}

/// One client's session.
///
/// Transactions: outside a block, statements belong to an implicit transaction that [`SessionApi::sync`]
/// commits, unless [`ExecuteOptions::ends_transaction`] let a statement commit at once.
pub trait SessionApi: Send + 'static {
    /// What the session keeps of a prepared statement.
    type Statement: Send + Sync + fmt::Debug + 'static;

    /// Parses a text of several statements, each to be executed once, in order. They are not bound yet, since
    /// each may depend on what the ones before it do. A text without statements gives none.
    fn parse(&mut self, sql: &str) -> Result<Vec<Arc<Prepared<Self::Statement>>>>;

    /// Parses and binds one statement; 42601 if there are several. `parameter_oids` are the types the client
    /// declares for the first parameters, 0 where the statement itself is to tell.
    fn prepare(
        &mut self,
        sql: &str,
        parameter_oids: &[u32],
    ) -> impl Future<Output = Result<Arc<Prepared<Self::Statement>>>> + Send;

    /// The named prepared statements.
    fn statements(&mut self) -> &mut Statements<Self::Statement>;

    /// Executes a statement with a value for each parameter. After an error the transaction has failed, an
    /// implicit one included.
    fn execute(
        &mut self,
        prepared: &Arc<Prepared<Self::Statement>>,
        parameters: Vec<Datum>,
        options: ExecuteOptions,
    ) -> impl Future<Output = Result<Execution>> + Send;

    /// Whether runs of a statement that the client has sent without waiting, each of them a transaction of its own, may
    /// be given to [`SessionApi::execute_series`] as they stand.
    fn takes_series(&self, prepared: &Arc<Prepared<Self::Statement>>) -> bool;

    /// Executes a statement once for each of the first few of `runs`, which it takes out, at least one. Each is a
    /// transaction of its own, and all ends as if each had waited for the one before. The results are in order.
    fn execute_series(
        &mut self,
        prepared: &Arc<Prepared<Self::Statement>>,
        runs: &mut VecDeque<Vec<Datum>>,
    ) -> impl Future<Output = Vec<Result<Execution>>> + Send;

    /// Takes a piece of COPY input, cut anywhere. Returns whether [`SessionApi::copy_drain`] has to be called
    /// before the next piece. An error ends the COPY.
    fn copy_data(&mut self, data: &[u8]) -> Result<bool>;

    /// Waits until there is room for more COPY input. An error ends the COPY.
    fn copy_drain(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Ends the COPY input and carries it out; the command tag.
    fn copy_done(&mut self, options: ExecuteOptions)
    -> impl Future<Output = Result<String>> + Send;

    /// Drops the COPY input: the client gave it up, or is gone.
    fn copy_abort(&mut self);

    /// Ends the implicit transaction: commits it, or rolls it back after an error. Does nothing in a block.
    fn sync(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Tells that something went wrong that the session did not see itself: the transaction fails. Does
    /// nothing when it has failed already.
    fn fail(&mut self);

    /// `I` outside a transaction block, `T` in one, `E` in a failed one.
    fn transaction_status(&self) -> u8;

    /// When the transaction began, in microseconds since 2000-01-01 UTC; the time now outside of one. It is
    /// what `now` means in a parameter.
    fn transaction_time(&self) -> i64;

    /// The session's settings now.
    fn settings(&self) -> Arc<Settings>;

    /// What the client is told beside the results since the last call.
    fn take_notices(&mut self) -> Vec<Notice>;

    /// The names and values of all settings that clients are told at start-up.
    fn reported_parameters(&self) -> Vec<(String, String)>;

    /// Those of them that have changed since the last call, by SET or because the node's role changed.
    fn take_parameter_changes(&mut self) -> Vec<(String, String)>;

    /// The notifications that have come since the last call. Asked for between transactions only.
    fn take_notifications(&mut self) -> Vec<Notification>;

    /// Notified when [`SessionApi::take_notifications`] or [`SessionApi::take_parameter_changes`] may have
    /// something while the client is idle. Always the same object.
    fn wakeup(&self) -> Arc<Notify>;

    /// Stops the running statement, whichever it is. Valid for the session's whole life.
    fn cancel_handle(&self) -> CancelHandle;

    /// The columns of the SQL cursor called `name`, which the protocol's Describe may ask for.
    fn cursor_columns(&self, name: &str) -> Option<Arc<[OutputColumn]>>;

    /// Closes the SQL cursor called `name`, if there is one.
    fn close_cursor(&mut self, name: &str);

    /// Ends the session: an open transaction is rolled back.
    fn close(self) -> impl Future<Output = ()> + Send;
}
