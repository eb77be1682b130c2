//! A session: what one client has said so far, and the statement that it runs now.
//!
//! A statement goes from text to [`Bound`] once, is kept with what it was bound against, and is then carried
//! out by the module for its kind: [`super::query`] reads, [`super::write`] sends commands, [`super::copy`]
//! moves many rows, [`super::transaction`] begins and ends blocks, [`super::utility`] does everything else. What a
//! statement sees is [`super::consistency`]'s business. The session knows nothing of messages.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use rotabase_engine::entry::Metadata;
use rotabase_engine::position::Positions;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Settings;
use rotabase_queries::plan::OutputColumn;
use rotabase_queries::projection::Snapshot;
use rotabase_queries::sql::{self, Bound, Statement, Utility};
use rotabase_queries::types::{Datum, PgType};
use tokio::sync::Notify;

use super::advisory::Held;
use super::api::{
    CancelHandle, ExecuteOptions, Execution, Notice, Notification, Prepared, SessionApi,
    SessionStart, Severity, Statements,
};
use super::block::{Block, Status};
use super::bound::{BoundStatement, SessionStatement};
use super::channels::Listening;
use super::copy::CopyIn;
use super::cursor::Cursors;
use super::registry::{Identity, Place};
use super::running::Running;
use super::settings::SessionSettings;
use super::writing_with::{OpenWrite, returns_computed};
use crate::database::Database;
use crate::roles::Privilege;

/// The notices that are kept until the client is told.
const NOTICES_MAX: usize = 100;

/// One client's session.
#[derive(Debug)]
pub struct Session {
    pub(crate) database: Database,
    pub(crate) settings: SessionSettings,
    pub(crate) user: String,
    pub(crate) status: Status,
    pub(crate) block: Option<Block>,
    /// The write that the parts of the running statement are decided into, if it is committed with the last of them.
    pub(crate) write: Option<OpenWrite>,
    /// What all parts of the running statement read, if it has several.
    pub(crate) frozen: Option<Snapshot>,
    /// Whether others follow the running statement in the same text or pipeline.
    pub(crate) in_sequence: bool,
    /// What others had been told is stored when this session last asked: at its beginning, and at each of its
    /// statements that look for rows to change.
    pub(crate) seen: Positions,
    /// Everything that this session has written.
    pub(crate) written: Positions,
    pub(crate) statements: Statements<SessionStatement>,
    pub(crate) cursors: Cursors,
    pub(crate) copy: Option<CopyIn>,
    pub(crate) running: Arc<Running>,
    pub(crate) listening: Listening,
    pub(crate) place: Place,
    may_follow: bool,
    advisory: Held,
    notices: Vec<Notice>,
    wakeup: Arc<Notify>,
}

impl Session {
    /// Opens a session.
    pub(crate) fn new(database: Database, start: SessionStart) -> Result<Self> {
        let now = database.shared().config.clock.now_microseconds();
        let mut settings = {
            let objects =
                Arc::<rotabase_queries::catalog::System>::clone(&database.shared().system);
            SessionSettings::new(
                objects,
                &start.user,
                &start.database,
                start.pid,
                &start.settings,
                now,
            )?
        };
        if database.replica().is_some() {
            settings.be_on_replica();
        }
        let seen = database.shared().acknowledged();
        let running = Arc::new(Running::default());
        let identity = Identity {
            pid: start.pid,
            user: start.user.clone(),
            database: start.database,
            peer: start.peer,
            application_name: settings.shared().application_name.clone(),
        };
        let wakeup = Arc::default();
        let notifications = Arc::clone(&settings.shared().notifications);
        let channels = &database.shared().channels;
        let listening = Listening::new(channels, start.pid, &wakeup, &notifications);
        let place = database.shared().sessions.enter(identity, now, Arc::clone(&running));
        let advisory = database.shared().advisory.of_session(start.pid);
        let mut session = Self {
            database,
            settings,
            user: start.user,
            status: Status::Idle,
            block: None,
            write: None,
            frozen: None,
            in_sequence: false,
            seen,
            written: Positions::default(),
            statements: Statements::default(),
            cursors: Cursors::default(),
            copy: None,
            running,
            listening,
            place,
            may_follow: start.may_follow,
            advisory,
            notices: Vec::new(),
            wakeup,
        };
        session.follow_defaults();
        Ok(session)
    }

    /// Tells the client something beside the result.
    pub(crate) fn notice(&mut self, severity: Severity, error: SqlError) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push(Notice { severity, error });
        }
    }

    /// A warning with a code and a message.
    pub(crate) fn warn(&mut self, state: SqlState, message: &str) {
        self.notice(Severity::Warning, SqlError::new(state, message));
    }

    /// The wall clock, in PostgreSQL's microseconds.
    pub(crate) fn now(&self) -> i64 {
        self.database.shared().config.clock.now_microseconds()
    }

    /// Who asks, for the metadata of events.
    pub(crate) fn metadata(&self) -> Metadata {
        let correlation = self.settings.get("rotabase.correlation_id").unwrap_or_default();
        Metadata {
            user: self.user.clone(),
            application: self.settings.shared().application_name.clone(),
            correlation: (!correlation.is_empty()).then(|| correlation.to_owned()),
            transaction: None,
        }
    }

    /// 42501 unless the session's role may do this with the table.
    pub(crate) fn check_privilege(
        &self,
        privilege: Privilege,
        schema: &str,
        table: &str,
    ) -> Result<()> {
        // What describes the database can be read by everybody.
        if schema != rotabase_queries::catalog::PUBLIC && privilege == Privilege::Select {
            return Ok(());
        }
        if self.database.shared().objects.current().allows(&self.user, privilege, table) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {table}"),
        ))
    }

    /// Whether the connection may be that of a node that follows the logs.
    pub(crate) fn may_follow(&self) -> bool {
        self.may_follow
    }

    /// Whether the session's role may do everything.
    pub(crate) fn is_superuser(&self) -> bool {
        self.database
            .shared()
            .objects
            .current()
            .roles
            .get(&self.user)
            .is_some_and(|role| role.superuser)
    }

    /// A prepared statement over a parsed one.
    pub(crate) fn prepare_parsed(
        &self,
        statement: Arc<Statement>,
        declared: Vec<PgType>,
    ) -> Result<Prepared<SessionStatement>> {
        let bound = self.bind(&statement, &declared)?;
        Ok(Prepared {
            parameters: bound.bound.parameters().to_vec(),
            columns: self.columns(&bound.bound),
            described: OnceLock::new(),
            command: bound.bound.tag(),
            statement: SessionStatement { statement, bound: Some(bound), declared },
        })
    }

    /// The columns of a statement's rows; those of FETCH and EXECUTE only the session knows.
    fn columns(&self, bound: &Bound) -> Option<Arc<[OutputColumn]>> {
        match bound {
            Bound::Utility(Utility::Fetch(fetch)) => self.cursors.columns(&fetch.cursor),
            Bound::Utility(Utility::Show(name)) => {
                let name = SessionSettings::column_name(name);
                Some(Arc::from([OutputColumn::computed(name, PgType::Text)]))
            }
            Bound::Execute(execute) => self.statements.get(&execute.name).ok()?.columns.clone(),
            bound => bound.columns(),
        }
    }

    async fn run(
        &mut self,
        prepared: &Prepared<SessionStatement>,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        let statement = &prepared.statement.statement;
        if self.status == Status::Failed && !statement.ends_failed_block() {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        let bound = self.bound(&prepared.statement)?;
        self.run_bound(&bound, parameters).await
    }

    /// Carries out a bound statement. What is not an everyday statement is in a box: the state of the others is
    /// moved about with each of them, and stays small.
    pub(crate) async fn run_bound(
        &mut self,
        bound: &Arc<BoundStatement>,
        parameters: Vec<Datum>,
    ) -> Result<Execution> {
        if bound.bound.writes() {
            self.check_writable(bound.bound.tag())?;
        }
        if let Bound::Query(query) | Bound::DeclareCursor(sql::DeclareCursor { query, .. }) =
            &bound.bound
            && let Some(lock) = query.locks
        {
            self.check_writable(&format!("SELECT {lock}"))?;
        }
        self.begin_implicit(&bound.bound);
        if let Some(block) = &mut self.block {
            block.queried |= looks_at_data(&bound.bound);
        }
        if let Bound::With(with) = &bound.bound {
            return Box::pin(self.writing_with(with, bound, parameters)).await;
        }
        if returns_computed(&bound.bound) {
            self.check_returning(&bound.bound)?;
            if self.block.is_none() {
                return Box::pin(self.in_one_write(bound, parameters)).await;
            }
        }
        let statement = self.running.begin(self.settings.statement_timeout());
        match &bound.bound {
            Bound::Empty => Ok(Execution::Empty),
            Bound::Query(_) => self.query(bound, statement, parameters).await,
            Bound::Insert(insert) => self.insert(insert, bound, statement, parameters).await,
            Bound::Update(update) => self.update(update, bound, statement, parameters).await,
            Bound::Delete(delete) => self.delete(delete, bound, statement, parameters).await,
            Bound::With(_) => Err(SqlError::internal("a WITH that writes was carried out above")),
            Bound::CopyFrom(copy) => self.copy_from(copy),
            Bound::CopyTo(copy) => Box::pin(self.copy_to(copy, bound, statement)).await,
            Bound::Subscribe(_) => {
                Err(SqlError::unsupported("SUBSCRIBE gives rows through COPY only")
                    .with_hint("Use COPY (SUBSCRIBE TO events) TO STDOUT."))
            }
            Bound::Explain(explain) => {
                Box::pin(self.explain(explain, bound, statement, parameters)).await
            }
            Bound::DeclareCursor(declare) => {
                Box::pin(self.declare_cursor(declare, bound, statement, parameters)).await
            }
            Bound::Prepare(prepare) => self.prepare_named(prepare),
            Bound::Execute(execute) => {
                drop(statement);
                Box::pin(self.execute_named(execute)).await
            }
            Bound::CreateView(create) => self.create_view(create),
            Bound::Utility(utility) => Box::pin(self.utility(utility, &statement)).await,
        }
    }

    /// Carries out what `set_config` asked for.
    fn apply_requested(&mut self) -> Result<()> {
        for requested in self.settings.shared().requested.take() {
            let mode = requested.value.as_deref();
            if let Some(done) = mode.and_then(|value| self.set_mode(&requested.name, value)) {
                done?;
                continue;
            }
            match &requested.value {
                Some(value) if requested.local && self.block.is_some() => {
                    self.settings.set_local(&requested.name, value)?;
                }
                Some(value) => self.settings.set_for_session(&requested.name, value)?,
                None => self.settings.reset(&requested.name)?,
            }
        }
        Ok(())
    }

    /// A transaction that several statements could belong to has ended.
    pub(crate) fn transaction_ended(&self, committed: bool) {
        self.advisory.end_transaction();
        self.place.end_transaction(committed);
    }

    /// Sends what the statement has notified, or keeps it until the block commits.
    fn notify(&mut self) -> Result<()> {
        self.listening.take_requested()?;
        if self.block.is_none() {
            self.listening.commit();
        }
        Ok(())
    }

    pub(crate) fn after_error(&mut self) {
        match self.status {
            Status::Open => self.status = Status::Failed,
            Status::Idle => self.drop_implicit(),
            Status::Failed => {}
        }
    }

    /// Commits the implicit block after its last statement.
    async fn end_sequence(&mut self, options: ExecuteOptions) -> Result<()> {
        if options.ends_transaction && self.copy.is_none() {
            return self.commit_implicit().await;
        }
        Ok(())
    }
}

/// Whether a statement looks at the schedule, or changes it: a transaction's modes are fixed from then on.
fn looks_at_data(bound: &Bound) -> bool {
    matches!(
        bound,
        Bound::Query(_)
            | Bound::Insert(_)
            | Bound::Update(_)
            | Bound::Delete(_)
            | Bound::CopyFrom(_)
            | Bound::CopyTo(_)
            | Bound::Explain(_)
            | Bound::DeclareCursor(_)
    )
}

impl SessionApi for Session {
    type Statement = SessionStatement;

    fn parse(&mut self, text: &str) -> Result<Vec<Arc<Prepared<SessionStatement>>>> {
        let statements = match sql::parse(text) {
            Ok(statements) => statements,
            Err(error) => {
                self.after_error();
                return Err(error);
            }
        };
        let unbound = |statement: Statement| {
            Arc::new(Prepared {
                parameters: Vec::new(),
                columns: None,
                described: OnceLock::new(),
                command: "",
                statement: SessionStatement {
                    statement: Arc::new(statement),
                    bound: None,
                    declared: Vec::new(),
                },
            })
        };
        Ok(statements.into_iter().filter(|statement| !statement.is_empty()).map(unbound).collect())
    }

    async fn prepare(
        &mut self,
        text: &str,
        parameter_oids: &[u32],
    ) -> Result<Arc<Prepared<SessionStatement>>> {
        let mut statements = sql::parse(text)?;
        if statements.len() > 1 {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        let statement = statements
            .pop()
            .ok_or_else(|| SqlError::internal("a text has a statement, be it an empty one"))?;
        if self.status == Status::Failed && !statement.ends_failed_block() {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        let declared =
            parameter_oids.iter().map(|oid| declared_type(*oid)).collect::<Result<_>>()?;
        Ok(Arc::new(self.prepare_parsed(Arc::new(statement), declared)?))
    }

    fn statements(&mut self) -> &mut Statements<SessionStatement> {
        &mut self.statements
    }

    async fn execute(
        &mut self,
        prepared: &Arc<Prepared<SessionStatement>>,
        parameters: Vec<Datum>,
        options: ExecuteOptions,
    ) -> Result<Execution> {
        let now = self.now();
        self.settings.begin(self.block.as_ref().map_or(now, |block| block.started));
        self.place.begin(&prepared.statement.statement, now);
        self.in_sequence = !options.ends_transaction;
        let was_open = self.block.is_some() || self.status != Status::Idle;
        if !was_open {
            self.advisory.end_transaction();
        }
        let mut result = self.run(prepared, parameters).await;
        if result.is_ok()
            && self.block.is_some()
            && let Err(error) = self.end_sequence(options).await
        {
            result = Err(error);
        }
        match &result {
            Ok(_) => {
                self.apply_requested()?;
                self.notify()?;
            }
            Err(_) => {
                self.after_error();
                self.listening.shown_is_void();
            }
        }
        if self.block.is_none() && self.status == Status::Idle && !was_open {
            self.place.end_transaction(result.is_ok());
        }
        let transaction = self.block.as_ref().map(|block| block.started);
        self.place.end(self.transaction_status(), transaction, self.now());
        result
    }

    fn takes_series(&self, prepared: &Arc<Prepared<SessionStatement>>) -> bool {
        self.series_insert(prepared).is_some()
    }

    async fn execute_series(
        &mut self,
        prepared: &Arc<Prepared<SessionStatement>>,
        runs: &mut VecDeque<Vec<Datum>>,
    ) -> Vec<Result<Execution>> {
        if let Some(bound) = self.series_insert(prepared) {
            return Box::pin(self.insert_series(prepared, &bound, runs)).await;
        }
        let Some(parameters) = runs.pop_front() else { return Vec::new() };
        let options = ExecuteOptions { row_limit: usize::MAX, ends_transaction: true };
        vec![self.execute(prepared, parameters, options).await]
    }

    fn copy_data(&mut self, data: &[u8]) -> Result<bool> {
        let Some(copy) = &mut self.copy else { return Ok(false) };
        let result = copy.spool(data);
        if result.is_err() {
            self.copy = None;
            self.after_error();
        }
        result.map(|()| false)
    }

    async fn copy_drain(&mut self) -> Result<()> {
        Ok(())
    }

    async fn copy_done(&mut self, options: ExecuteOptions) -> Result<String> {
        let mut result = self.finish_copy().await;
        if result.is_ok()
            && let Err(error) = self.end_sequence(options).await
        {
            result = Err(error);
        }
        if result.is_err() {
            self.after_error();
        }
        result
    }

    fn copy_abort(&mut self) {
        self.copy = None;
    }

    async fn sync(&mut self) -> Result<()> {
        if self.block.is_some() {
            self.commit_implicit().await?;
        }
        if self.block.is_none() && self.status == Status::Idle {
            self.advisory.end_transaction();
        }
        // What a statement has notified whose rows were made after it had begun.
        self.notify()
    }

    fn fail(&mut self) {
        self.copy = None;
        self.after_error();
    }

    fn transaction_status(&self) -> u8 {
        match self.status {
            Status::Idle => b'I',
            Status::Open => b'T',
            Status::Failed => b'E',
        }
    }

    fn transaction_time(&self) -> i64 {
        self.block.as_ref().map_or_else(|| self.now(), |block| block.started)
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.shared()
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn reported_parameters(&self) -> Vec<(String, String)> {
        self.settings.reportable()
    }

    fn take_parameter_changes(&mut self) -> Vec<(String, String)> {
        let changes = self.settings.take_changes();
        if let Some((_, name)) = changes.iter().find(|(setting, _)| setting == "application_name") {
            self.place.rename(name);
        }
        changes
    }

    fn take_notifications(&mut self) -> Vec<Notification> {
        let (notifications, lost) = self.listening.take();
        if lost > 0 {
            let message = format!(
                "{lost} notifications were lost, because too many were waiting for this session"
            );
            self.warn(SqlState("01000"), &message);
        }
        notifications
    }

    fn wakeup(&self) -> Arc<Notify> {
        Arc::clone(&self.wakeup)
    }

    fn cancel_handle(&self) -> CancelHandle {
        let running = Arc::clone(&self.running);
        Arc::new(move || running.cancel())
    }

    fn cursor_columns(&self, name: &str) -> Option<Arc<[OutputColumn]>> {
        self.cursors.columns(name)
    }

    fn close_cursor(&mut self, name: &str) {
        self.cursors.close(name);
    }

    async fn close(self) {
        // A block that is open has stored nothing: dropping it rolls it back.
        drop(self);
    }
}

/// The type of a parameter as the client declares it; 0 leaves it to the statement.
fn declared_type(oid: u32) -> Result<PgType> {
    match oid {
        0 => Ok(PgType::Unknown),
        oid => match PgType::from_oid(oid) {
            Some(ty) => Ok(ty),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("type with OID {oid} does not exist"),
            )),
        },
    }
}
