//! Transactions as a session begins, divides and ends them: BEGIN, SAVEPOINT, COMMIT, ROLLBACK, SET TRANSACTION, and
//! the implicit block of statements that are sent together.

use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::sql::{Bound, Isolation, TransactionModes, Utility};

use super::api::Execution;
use super::block::{Before, Block, Modes, Status};
use super::client::Session;
use super::running;

impl Session {
    /// BEGIN, START TRANSACTION.
    pub(crate) fn begin(&mut self, modes: TransactionModes) -> Result<()> {
        if self.status != Status::Idle {
            self.warn(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            );
            return self.set_modes(modes);
        }
        match &mut self.block {
            // What was sent before it in the same text belongs to it.
            Some(block) => block.implicit = false,
            None => self.start_block(self.default_modes(), false),
        }
        self.status = Status::Open;
        self.set_modes(modes)
    }

    fn start_block(&mut self, modes: Modes, implicit: bool) {
        self.settings.enter_block();
        let memory = self.database.shared().blocks.clone();
        self.block = Some(Block::new(self.now(), modes, implicit, memory));
        if !implicit {
            self.status = Status::Open;
        }
    }

    /// The modes of a transaction that nothing else is said of.
    fn default_modes(&self) -> Modes {
        let isolation = match self.settings.get("default_transaction_isolation") {
            Ok("serializable") => Isolation::Serializable,
            Ok("repeatable read") => Isolation::RepeatableRead,
            Ok("read uncommitted") => Isolation::ReadUncommitted,
            _ => Isolation::ReadCommitted,
        };
        let is_on = |name: &str| self.settings.get(name) == Ok("on");
        let on_replica = self.database.replica().is_some();
        Modes {
            isolation,
            read_only: on_replica || is_on("default_transaction_read_only"),
            deferrable: is_on("default_transaction_deferrable"),
        }
    }

    /// Begins an implicit block for a statement that others follow in the same text or pipeline.
    pub(crate) fn begin_implicit(&mut self, bound: &Bound) {
        let belongs = matches!(
            bound,
            Bound::Query(_)
                | Bound::Insert(_)
                | Bound::Update(_)
                | Bound::Delete(_)
                | Bound::CopyFrom(_)
                | Bound::Execute(_)
                | Bound::With(_)
                | Bound::Utility(
                    Utility::Notify { .. } | Utility::Listen(_) | Utility::Unlisten(_)
                )
        );
        if self.in_sequence && self.block.is_none() && belongs {
            self.start_block(self.default_modes(), true);
        }
    }

    /// Commits the implicit block, if there is one.
    pub(crate) async fn commit_implicit(&mut self) -> Result<()> {
        if self.status != Status::Idle || self.block.is_none() {
            return Ok(());
        }
        let statement = self.running.begin(self.settings.statement_timeout());
        Box::pin(self.end_block(&statement)).await
    }

    /// Drops the implicit block, if there is one.
    pub(crate) fn drop_implicit(&mut self) {
        if self.status == Status::Idle && self.block.take().is_some() {
            self.settings.leave_block(false);
            self.listening.roll_back();
            self.transaction_ended(false);
        }
    }

    /// COMMIT, END.
    pub(crate) async fn commit(
        &mut self,
        chain: bool,
        statement: &running::Statement,
    ) -> Result<Execution> {
        if chain && self.status == Status::Idle {
            return Err(only_in_blocks("COMMIT AND CHAIN"));
        }
        match self.status {
            Status::Idle => {
                self.warn(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "there is no transaction in progress",
                );
                if self.block.is_some() {
                    self.end_block(statement).await?;
                }
            }
            Status::Failed => {
                self.roll_back(chain)?;
                return Ok(Execution::Done("ROLLBACK".to_owned()));
            }
            Status::Open => {
                let modes = self.block.as_ref().map(|block| block.modes);
                self.end_block(statement).await?;
                self.chain(modes.filter(|_| chain));
            }
        }
        Ok(Execution::Done("COMMIT".to_owned()))
    }

    /// Ends the block by storing what it has written. Whatever comes of it, it has ended.
    async fn end_block(&mut self, statement: &running::Statement) -> Result<()> {
        let block = self.block.take();
        self.status = Status::Idle;
        // What the last statement of the block has notified belongs to it.
        let notified = self.listening.take_requested();
        let result = match block {
            Some(block) if notified.is_ok() => self.commit_block(block, statement).await,
            _ => notified,
        };
        self.settings.leave_block(result.is_ok());
        self.cursors.end_block(result.is_ok());
        self.transaction_ended(result.is_ok());
        if result.is_ok() {
            self.listening.commit();
        } else {
            self.listening.roll_back();
        }
        result
    }

    /// ROLLBACK, ABORT.
    pub(crate) fn roll_back(&mut self, chain: bool) -> Result<()> {
        if self.status == Status::Idle {
            if chain {
                return Err(only_in_blocks("ROLLBACK AND CHAIN"));
            }
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            self.drop_implicit();
            return Ok(());
        }
        let modes = self.block.take().map(|block| block.modes);
        self.status = Status::Idle;
        self.settings.leave_block(false);
        self.cursors.end_block(false);
        self.transaction_ended(false);
        self.listening.roll_back();
        self.chain(modes.filter(|_| chain));
        Ok(())
    }

    /// Begins the next block, of the modes of the one before.
    fn chain(&mut self, modes: Option<Modes>) {
        if let Some(modes) = modes {
            self.start_block(modes, false);
            self.show_modes();
        }
    }

    fn in_block(&mut self, command: &str) -> Result<&mut Block> {
        let block = self.block.as_mut().filter(|block| !block.implicit);
        block.ok_or_else(|| only_in_blocks(command))
    }

    /// SAVEPOINT.
    pub(crate) fn savepoint(&mut self, name: &str) -> Result<()> {
        let before = Before { settings: self.settings.shared(), cursors: self.cursors.opened() };
        self.in_block("SAVEPOINT")?.savepoint(name.to_owned(), before)?;
        self.listening.savepoint(name.to_owned());
        Ok(())
    }

    /// RELEASE.
    pub(crate) fn release(&mut self, name: &str) -> Result<()> {
        if self.in_block("RELEASE SAVEPOINT")?.release(name) {
            return Ok(());
        }
        Err(no_savepoint(name))
    }

    /// ROLLBACK TO.
    pub(crate) fn roll_back_to(&mut self, name: &str) -> Result<()> {
        let block = self.in_block("ROLLBACK TO SAVEPOINT")?;
        let before = block.roll_back_to(name).ok_or_else(|| no_savepoint(name))?;
        self.settings.restore(&before.settings);
        self.cursors.close_since(before.cursors);
        self.listening.roll_back_to(name);
        self.status = Status::Open;
        Ok(())
    }

    /// SET TRANSACTION.
    pub(crate) fn set_transaction(&mut self, modes: TransactionModes) -> Result<()> {
        if self.status == Status::Idle {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks",
            );
            return Ok(());
        }
        self.set_modes(modes)
    }

    fn set_modes(&mut self, modes: TransactionModes) -> Result<()> {
        self.check_modes(modes)?;
        let Some(block) = &mut self.block else { return Ok(()) };
        let too_late = |what: &str| {
            let message = format!("{what} before any query");
            Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message))
        };
        if let Some(isolation) = modes.isolation {
            if block.queried && isolation != block.modes.isolation {
                return too_late("SET TRANSACTION ISOLATION LEVEL must be called");
            }
            block.modes.isolation = isolation;
        }
        if let Some(read_only) = modes.read_only {
            if block.queried && block.modes.read_only && !read_only {
                return too_late("transaction read-write mode must be set");
            }
            block.modes.read_only = read_only;
        }
        if let Some(deferrable) = modes.deferrable {
            if block.queried {
                return too_late("SET TRANSACTION [NOT] DEFERRABLE must be called");
            }
            block.modes.deferrable = deferrable;
        }
        self.show_modes();
        Ok(())
    }

    /// Refuses what no transaction on a read replica can be, as a PostgreSQL standby does.
    fn check_modes(&self, modes: TransactionModes) -> Result<()> {
        if self.database.replica().is_none() {
            return Ok(());
        }
        if modes.read_only == Some(false) {
            let message = "cannot set transaction read-write mode during recovery";
            return Err(SqlError::unsupported(message));
        }
        if modes.isolation == Some(Isolation::Serializable) {
            let message = "cannot use serializable mode in a hot standby database";
            return Err(
                SqlError::unsupported(message).with_hint("You can use REPEATABLE READ instead.")
            );
        }
        Ok(())
    }

    /// Has `SHOW` tell the block's modes.
    fn show_modes(&mut self) {
        let Some(modes) = self.block.as_ref().map(|block| block.modes) else { return };
        let on = |is_on| if is_on { "on" } else { "off" };
        for (name, value) in [
            ("transaction_isolation", isolation_name(modes.isolation)),
            ("transaction_read_only", on(modes.read_only)),
            ("transaction_deferrable", on(modes.deferrable)),
        ] {
            self.settings.set_fixed(name, value.to_owned());
        }
    }

    /// SET SESSION CHARACTERISTICS.
    pub(crate) fn set_characteristics(&mut self, modes: TransactionModes) -> Result<()> {
        let on = |is_on| if is_on { "on" } else { "off" };
        let values = [
            ("default_transaction_isolation", modes.isolation.map(isolation_name)),
            ("default_transaction_read_only", modes.read_only.map(on)),
            ("default_transaction_deferrable", modes.deferrable.map(on)),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                self.settings.set(name, value)?;
            }
        }
        self.follow_defaults();
        Ok(())
    }

    /// Outside a block the transaction's modes are those of the next one.
    pub(crate) fn follow_defaults(&mut self) {
        if self.block.is_some() {
            return;
        }
        for name in ["transaction_isolation", "transaction_read_only", "transaction_deferrable"] {
            let default = self.settings.get(&format!("default_{name}")).unwrap_or_default();
            let always = name == "transaction_read_only" && self.database.replica().is_some();
            let default = if always { "on".to_owned() } else { default.to_owned() };
            self.settings.set_fixed(name, default);
        }
    }

    /// `SET transaction_isolation = …` and the like, which are SET TRANSACTION by another name.
    pub(crate) fn set_mode(&mut self, name: &str, value: &str) -> Option<Result<()>> {
        let mut modes = TransactionModes::default();
        match (name, value.to_ascii_lowercase().as_str()) {
            ("transaction_isolation", "serializable") => {
                modes.isolation = Some(Isolation::Serializable);
            }
            ("transaction_isolation", "repeatable read") => {
                modes.isolation = Some(Isolation::RepeatableRead);
            }
            ("transaction_isolation", "read committed") => {
                modes.isolation = Some(Isolation::ReadCommitted);
            }
            ("transaction_isolation", "read uncommitted") => {
                modes.isolation = Some(Isolation::ReadUncommitted);
            }
            ("transaction_read_only", "on" | "true" | "yes" | "1") => modes.read_only = Some(true),
            ("transaction_read_only", "off" | "false" | "no" | "0") => {
                modes.read_only = Some(false);
            }
            _ => return None,
        }
        if let Err(error) = self.check_modes(modes) {
            return Some(Err(error));
        }
        // Outside a block it is over as soon as it is set.
        Some(if self.status == Status::Idle { Ok(()) } else { self.set_modes(modes) })
    }

    /// 25006 in a transaction that may not write.
    pub(crate) fn check_writable(&self, command: &str) -> Result<()> {
        self.check_present(command)?;
        if let Some(replica) = self.database.replica() {
            return Err(replica.refusal(command));
        }
        let read_only = match &self.block {
            Some(block) => block.modes.read_only,
            None => self.settings.get("default_transaction_read_only") == Ok("on"),
        };
        if read_only {
            let message = format!("cannot execute {command} in a read-only transaction");
            return Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        Ok(())
    }
}

fn only_in_blocks(command: &str) -> SqlError {
    let message = format!("{command} can only be used in transaction blocks");
    SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message)
}

fn no_savepoint(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_SAVEPOINT_SPECIFICATION,
        format!("savepoint \"{name}\" does not exist"),
    )
}

fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "read uncommitted",
        Isolation::ReadCommitted => "read committed",
        Isolation::RepeatableRead => "repeatable read",
        Isolation::Serializable => "serializable",
    }
}
