//! A session that understands a handful of words, and a server over it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use rotabase::env::SystemRandom;
use rotabase::metrics::Metrics;
use rotabase::protocol::{AuthMethod, AuthPolicy, Server, ServerConfig, Tls};
use rotabase::scram::ScramVerifier;
use rotabase::session::*;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{Batch, Settings};
use rotabase_queries::plan::OutputColumn;
use rotabase_queries::types::{Datum, PgType};
use tokio::sync::Notify;

/// What the tests look at from outside.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) closed: AtomicUsize,
    /// Futures that were dropped before their end.
    pub(crate) dropped: AtomicUsize,
    pub(crate) copied: AtomicUsize,
    pub(crate) waiting: Notify,
    pub(crate) wakeup: Arc<Notify>,
}

pub(crate) struct FakeBackend {
    pub(crate) observed: Arc<Observed>,
}

pub(crate) struct FakeSession {
    observed: Arc<Observed>,
    settings: Arc<Settings>,
    statements: Statements<String>,
    status: u8,
    cancel: Arc<(AtomicBool, Notify)>,
    notices: Vec<Notice>,
    changes: Vec<(String, String)>,
    listening: bool,
}

impl Backend for FakeBackend {
    type Session = FakeSession;

    fn login(&self, name: &str) -> Option<Login> {
        let verifier = |password| Some(ScramVerifier::derive(password, [3; 16]));
        match name {
            "rotabase" => Some(Login { can_login: true, superuser: true, verifier: None }),
            "anna" => {
                Some(Login { can_login: true, superuser: false, verifier: verifier("secret") })
            }
            "group" => Some(Login { can_login: false, superuser: false, verifier: None }),
            _ => None,
        }
    }

    async fn connect(&self, start: SessionStart) -> Result<FakeSession> {
        if start.database == "nowhere" {
            return Err(SqlError::new(
                SqlState::INVALID_CATALOG_NAME,
                "database \"nowhere\" does not exist",
            ));
        }
        let settings = Settings {
            user: start.user,
            database: start.database,
            backend_pid: start.pid,
            all: Arc::new(start.settings.into_iter().collect::<BTreeMap<_, _>>()),
            ..Settings::default()
        };
        Ok(FakeSession {
            observed: Arc::clone(&self.observed),
            settings: Arc::new(settings),
            statements: Statements::default(),
            status: b'I',
            cancel: Arc::default(),
            notices: Vec::new(),
            changes: Vec::new(),
            listening: false,
        })
    }
}

fn columns() -> Arc<[OutputColumn]> {
    let column =
        |name: &str, ty| OutputColumn { name: name.to_owned(), ty, typmod: -1, origin: (0, 0) };
    vec![column("id", PgType::Int4), column("name", PgType::Text)].into()
}

fn rows(from: i32, to: i32) -> Batch {
    let values: Vec<Datum> =
        (from..to).flat_map(|id| [Datum::Int4(id), Datum::text(format!("row {id}"))]).collect();
    Batch { width: 2, rows: values.len() / 2, values }
}

struct Counting {
    next: i32,
    end: i32,
}

impl RowSource for Counting {
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Batch>>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            if self.next == self.end {
                return Ok(None);
            }
            let to = self.end.min(self.next + 100);
            let batch = rows(self.next, to);
            self.next = to;
            Ok(Some(batch))
        })
    }
}

struct Lines {
    left: usize,
    /// After the lines, wait until cancelled.
    cancel: Option<Arc<(AtomicBool, Notify)>>,
}

impl CopySource for Lines {
    fn next(&mut self) -> BoxFuture<'_, Result<CopyStep>> {
        Box::pin(async {
            if self.left > 0 {
                let lines = self.left;
                self.left = 0;
                let bytes = b"1\trow\n".repeat(lines);
                let ends = (1..=lines).map(|line| line * 6).collect();
                return Ok(CopyStep::Rows(CopyRows { bytes, ends }));
            }
            match &self.cancel {
                Some(cancel) => Err(wait(cancel).await),
                None => Ok(CopyStep::Done("COPY 3".to_owned())),
            }
        })
    }
}

async fn wait(cancel: &(AtomicBool, Notify)) -> SqlError {
    while !cancel.0.load(Ordering::Acquire) {
        cancel.1.notified().await;
    }
    cancel.0.store(false, Ordering::Release);
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}

/// Notes when a future is dropped before its end.
struct Unfinished(Arc<Observed>, bool);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn command(sql: &str) -> &'static str {
    match sql.split_whitespace().next().unwrap_or_default() {
        "begin" => "BEGIN",
        "commit" => "COMMIT",
        "rollback" => "ROLLBACK",
        "" => "",
        _ => "SELECT",
    }
}

fn prepared(sql: &str) -> Arc<Prepared<String>> {
    let parameters = vec![PgType::Int4; sql.matches('$').count()];
    let has_rows = matches!(sql.split_whitespace().next(), Some("rows" | "stream" | "fail_late"));
    Arc::new(Prepared {
        parameters,
        columns: has_rows.then(columns),
        described: OnceLock::new(),
        command: command(sql),
        statement: sql.to_owned(),
    })
}

impl FakeSession {
    async fn run(&mut self, sql: &str, parameters: &[Datum]) -> Result<Execution> {
        let mut words = sql.split_whitespace();
        let word = words.next().unwrap_or_default();
        if self.status == b'E' && !matches!(word, "rollback" | "commit" | "") {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted",
            ));
        }
        let number = match (words.next(), parameters) {
            (Some("$1"), [Datum::Int4(number), ..]) => *number,
            (Some(text), _) => text.parse().unwrap_or(0),
            _ => 0,
        };
        let done = |tag: &str| Ok(Execution::Done(tag.to_owned()));
        match word {
            "" => Ok(Execution::Empty),
            "begin" => {
                self.status = b'T';
                done("BEGIN")
            }
            "commit" | "rollback" => {
                self.status = b'I';
                done("ROLLBACK")
            }
            "rows" => Ok(Execution::Rows(Rows::complete(
                columns(),
                RowsTag::Counted("SELECT"),
                rows(0, number),
            ))),
            "stream" => {
                let source = Box::new(Counting { next: 0, end: number });
                Ok(Execution::Rows(Rows::streamed(
                    columns(),
                    RowsTag::Counted("SELECT"),
                    None,
                    source,
                )))
            }
            "fail" | "series" if word == "fail" || number == 7 => {
                Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"))
            }
            "panic" => panic!("on purpose"),
            "notice" => {
                let error = SqlError::new(SqlState("00000"), "look here");
                self.notices.push(Notice { severity: Severity::Notice, error });
                done("DO")
            }
            "set" => {
                self.changes.push(("application_name".to_owned(), "x".to_owned()));
                done("SET")
            }
            "listen" => {
                self.listening = true;
                done("LISTEN")
            }
            "wait" => {
                let mut unfinished = Unfinished(Arc::clone(&self.observed), false);
                self.observed.waiting.notify_one();
                let error = wait(&self.cancel).await;
                unfinished.1 = true;
                Err(error)
            }
            "copy_in" | "copy_out" | "subscribe" => Ok(self.copy(word)),
            "discard" => done("DISCARD ALL"),
            _ => done("OK"),
        }
    }

    fn copy(&self, word: &str) -> Execution {
        let (left, cancel) = match word {
            "copy_in" => return Execution::CopyIn(CopyInFormat { binary: false, columns: 2 }),
            "copy_out" => (3, None),
            _ => (1, Some(Arc::clone(&self.cancel))),
        };
        Execution::CopyOut(CopyOut {
            binary: false,
            columns: 2,
            source: Box::new(Lines { left, cancel }),
        })
    }
}

impl SessionApi for FakeSession {
    type Statement = String;

    fn parse(&mut self, sql: &str) -> Result<Vec<Arc<Prepared<String>>>> {
        if sql.contains("syntax") {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error").at(Some(1)));
        }
        Ok(sql.split(';').map(str::trim).filter(|sql| !sql.is_empty()).map(prepared).collect())
    }

    async fn prepare(&mut self, sql: &str, _: &[u32]) -> Result<Arc<Prepared<String>>> {
        let mut statements = self.parse(sql)?;
        match statements.len() {
            0 => Ok(prepared("")),
            1 => Ok(statements.remove(0)),
            _ => Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            )),
        }
    }

    fn statements(&mut self) -> &mut Statements<String> {
        &mut self.statements
    }

    async fn execute(
        &mut self,
        prepared: &Arc<Prepared<String>>,
        parameters: Vec<Datum>,
        _: ExecuteOptions,
    ) -> Result<Execution> {
        self.cancel.0.store(false, Ordering::Release);
        self.run(&prepared.statement, &parameters).await
    }

    fn takes_series(&self, prepared: &Arc<Prepared<String>>) -> bool {
        prepared.statement.contains("series")
    }

    async fn execute_series(
        &mut self,
        prepared: &Arc<Prepared<String>>,
        runs: &mut VecDeque<Vec<Datum>>,
    ) -> Vec<Result<Execution>> {
        let mut results = Vec::new();
        // Two at a time.
        while results.len() < 2
            && let Some(parameters) = runs.pop_front()
        {
            results.push(self.run(&prepared.statement, &parameters).await);
        }
        results
    }

    fn copy_data(&mut self, data: &[u8]) -> Result<bool> {
        if data.contains(&b'!') {
            return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "bad line"));
        }
        self.observed.copied.fetch_add(data.len(), Ordering::Relaxed);
        Ok(true)
    }

    async fn copy_drain(&mut self) -> Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn copy_done(&mut self, _: ExecuteOptions) -> Result<String> {
        Ok("COPY 2".to_owned())
    }

    fn copy_abort(&mut self) {
        self.observed.copied.store(0, Ordering::Relaxed);
    }

    async fn sync(&mut self) -> Result<()> {
        Ok(())
    }

    fn fail(&mut self) {
        if self.status == b'T' {
            self.status = b'E';
        }
    }

    fn transaction_status(&self) -> u8 {
        self.status
    }

    fn transaction_time(&self) -> i64 {
        0
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn reported_parameters(&self) -> Vec<(String, String)> {
        vec![
            ("server_version".to_owned(), "15.0".to_owned()),
            ("client_encoding".to_owned(), "UTF8".to_owned()),
        ]
    }

    fn take_parameter_changes(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.changes)
    }

    fn take_notifications(&mut self) -> Vec<Notification> {
        if !std::mem::take(&mut self.listening) {
            return Vec::new();
        }
        vec![Notification { pid: 1, channel: "news".to_owned(), payload: "{}".to_owned() }]
    }

    fn wakeup(&self) -> Arc<Notify> {
        Arc::clone(&self.observed.wakeup)
    }

    fn cancel_handle(&self) -> CancelHandle {
        let cancel = Arc::clone(&self.cancel);
        Arc::new(move || {
            cancel.0.store(true, Ordering::Release);
            cancel.1.notify_one();
        })
    }

    fn cursor_columns(&self, name: &str) -> Option<Arc<[OutputColumn]>> {
        (name == "cursor").then(columns)
    }

    fn close_cursor(&mut self, _: &str) {}

    async fn close(self) {
        self.observed.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// A server over the fake, on a free port.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) observed: Arc<Observed>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Running {
    pub(crate) fn port(&self) -> u16 {
        self.server.address().port()
    }
}

/// How a test wants its server.
pub(crate) struct Options {
    pub(crate) local: AuthMethod,
    pub(crate) tls: Option<Tls>,
    pub(crate) connections_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { local: AuthMethod::PasswordIfSet, tls: None, connections_max: 50 }
    }
}

pub(crate) async fn start(options: Options) -> Running {
    let observed = Arc::new(Observed::default());
    let backend = Arc::new(FakeBackend { observed: Arc::clone(&observed) });
    let metrics = Arc::new(Metrics::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let config = ServerConfig {
        connections_max: options.connections_max,
        connections_reserved: 1,
        authentication_timeout: Duration::from_secs(10),
        message_bytes_max: 1 << 20,
        keepalive: Duration::from_mins(1),
        auth: AuthPolicy {
            local: options.local,
            remote: AuthMethod::Scram,
            tls_required: false,
            secret: [9; 32],
        },
        tls: options.tls,
        nodes: None,
    };
    let server = Server::start(listener, backend, config, Arc::new(SystemRandom::new()), &metrics)
        .expect("it listens");
    Running { server, observed, metrics }
}
