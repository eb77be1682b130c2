//! Statements that need no binding: settings, transactions, cursors, roles and the like, as plain data.

use std::sync::Arc;

use crate::plan::OutputColumn;
use crate::types::PgType;

/// A statement that needs no binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Utility {
    /// `BEGIN` (true) or `START TRANSACTION` (false).
    Begin(TransactionModes, BeginWord),
    /// `COMMIT`, `END`.
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`.
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `SAVEPOINT`.
    Savepoint(String),
    /// `RELEASE`.
    Release(String),
    /// `ROLLBACK TO`.
    RollbackTo(String),
    /// `SET TRANSACTION`.
    SetTransaction(TransactionModes),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION`.
    SetSessionCharacteristics(TransactionModes),
    /// `SET`.
    Set(Set),
    /// `RESET name`.
    Reset(String),
    /// `RESET ALL`.
    ResetAll,
    /// `SHOW name`.
    Show(String),
    /// `SHOW ALL`.
    ShowAll,
    /// `DISCARD`.
    Discard(Discard),
    /// `FETCH`.
    Fetch(Fetch),
    /// `MOVE`.
    Move(Fetch),
    /// `CLOSE name`, or all.
    Close(Option<String>),
    /// `DEALLOCATE name`, or all.
    Deallocate(Option<String>),
    /// `LISTEN`.
    Listen(String),
    /// `UNLISTEN channel`, or all.
    Unlisten(Option<String>),
    /// `NOTIFY`.
    Notify {
        /// The channel.
        channel: String,
        /// The payload; empty without.
        payload: String,
    },
    /// `CREATE ROLE`, `USER`, `GROUP`.
    CreateRole(CreateRole),
    /// `ALTER ROLE`, `USER`, `GROUP`.
    AlterRole {
        /// Which role.
        role: RoleName,
        /// What changes.
        options: RoleOptions,
    },
    /// `DROP ROLE`, `USER`, `GROUP`.
    DropRole {
        /// Which roles.
        roles: Vec<RoleName>,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `GRANT` and `REVOKE` of privileges.
    Grant(Grant),
    /// `GRANT` and `REVOKE` of roles.
    GrantRole(GrantRole),
    /// `DROP VIEW`.
    DropView {
        /// Schema, if given, and name of each.
        views: Vec<(Option<String>, String)>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// Accepted, and nothing is to be done: `VACUUM`, `ANALYZE`, `CHECKPOINT`, `SET CONSTRAINTS`. The command tag.
    Nothing(&'static str),
}

/// The word that began a transaction; the command tag repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum BeginWord {
    Begin,
    StartTransaction,
}

/// The modes of a transaction, as far as they are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionModes {
    /// `ISOLATION LEVEL`.
    pub isolation: Option<Isolation>,
    /// `READ ONLY` or `READ WRITE`.
    pub read_only: Option<bool>,
    /// `[NOT] DEFERRABLE`.
    pub deferrable: Option<bool>,
}

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// `SET [LOCAL] name = values`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The setting, in lower case. `TIME ZONE` is `timezone`, `NAMES` is `client_encoding`, `SCHEMA` is `search_path`,
    /// `ROLE` is `role`, `SESSION AUTHORIZATION` is `session_authorization`.
    pub name: String,
    /// The values as text; none is `DEFAULT`. Only settings that are lists take more than one.
    pub values: Option<Vec<String>>,
    /// `LOCAL`.
    pub local: bool,
}

/// `DISCARD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

/// `FETCH` and `MOVE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The cursor.
    pub cursor: String,
    /// Where to.
    pub direction: FetchDirection,
}

/// Where a cursor goes. [`i64::MAX`] rows are all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDirection {
    /// So many rows on; negative is back, 0 is the same row again.
    Forward(i64),
    /// So many rows back.
    Backward(i64),
    /// To a row counted from 1, or from the end if negative.
    Absolute(i64),
    /// To a row counted from the present one.
    Relative(i64),
}

/// The name of a role, or who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// A name.
    Name(String),
    /// `CURRENT_USER`, `CURRENT_ROLE`.
    CurrentUser,
    /// `SESSION_USER`.
    SessionUser,
    /// `PUBLIC`, in GRANT and REVOKE.
    Public,
}

/// `CREATE ROLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRole {
    /// Its name.
    pub name: String,
    /// Its options; `CREATE USER` has `login` set.
    pub options: RoleOptions,
}

/// The options of a role, as far as they are said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleOptions {
    /// `SUPERUSER`.
    pub superuser: Option<bool>,
    /// `CREATEDB`.
    pub createdb: Option<bool>,
    /// `CREATEROLE`.
    pub createrole: Option<bool>,
    /// `INHERIT`.
    pub inherit: Option<bool>,
    /// `LOGIN`.
    pub login: Option<bool>,
    /// `REPLICATION`.
    pub replication: Option<bool>,
    /// `BYPASSRLS`.
    pub bypassrls: Option<bool>,
    /// `CONNECTION LIMIT`.
    pub connection_limit: Option<i32>,
    /// `PASSWORD`; `NULL` takes it away.
    pub password: Option<Option<String>>,
    /// `VALID UNTIL`.
    pub valid_until: Option<String>,
    /// `IN ROLE`: roles that it becomes a member of.
    pub in_roles: Vec<RoleName>,
    /// `ROLE`, `USER`: roles that become its members.
    pub members: Vec<RoleName>,
    /// `ADMIN`: roles that become its members and may grant it.
    pub admins: Vec<RoleName>,
}

/// `GRANT privileges ON objects TO roles` and `REVOKE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `GRANT`, not `REVOKE`.
    pub grant: bool,
    /// Which privileges; none is `ALL`.
    pub privileges: Option<Vec<Privilege>>,
    /// On what.
    pub objects: GrantObjects,
    /// To or from whom.
    pub roles: Vec<RoleName>,
    /// `WITH GRANT OPTION`, `GRANT OPTION FOR`.
    pub grant_option: bool,
    /// `CASCADE`.
    pub cascade: bool,
}

/// A privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum Privilege {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    References,
    Trigger,
    Usage,
    Create,
    Connect,
    Temporary,
    Execute,
}

/// What privileges are granted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantObjects {
    /// Tables and views: schema, if given, and name.
    Tables(Vec<(Option<String>, String)>),
    /// `ALL TABLES IN SCHEMA`.
    AllTablesInSchemas(Vec<String>),
    /// `SCHEMA`.
    Schemas(Vec<String>),
    /// `DATABASE`.
    Databases(Vec<String>),
}

/// `GRANT role TO role` and `REVOKE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRole {
    /// `GRANT`, not `REVOKE`.
    pub grant: bool,
    /// The roles granted.
    pub granted: Vec<String>,
    /// To or from whom.
    pub roles: Vec<RoleName>,
    /// `WITH ADMIN OPTION`, `ADMIN OPTION FOR`.
    pub admin_option: bool,
    /// `CASCADE`.
    pub cascade: bool,
}

/// The options of `EXPLAIN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct ExplainOptions {
    /// Whether the statement is run.
    pub analyze: bool,
    /// `VERBOSE`.
    pub verbose: bool,
    /// `COSTS`.
    pub costs: bool,
    /// `SETTINGS`.
    pub settings: bool,
    /// `BUFFERS`.
    pub buffers: bool,
    /// `WAL`.
    pub wal: bool,
    /// `TIMING`.
    pub timing: bool,
    /// `SUMMARY`.
    pub summary: bool,
    /// `FORMAT`.
    pub format: ExplainFormat,
}

/// The format of `EXPLAIN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum ExplainFormat {
    #[default]
    Text,
    Xml,
    Json,
    Yaml,
}

impl ExplainOptions {
    /// The one column of the rows.
    pub fn columns(&self) -> Arc<[OutputColumn]> {
        let ty = match self.format {
            ExplainFormat::Json => PgType::Json,
            // There is no `xml` here; its text is the same.
            ExplainFormat::Text | ExplainFormat::Xml | ExplainFormat::Yaml => PgType::Text,
        };
        Arc::from([OutputColumn::computed("QUERY PLAN", ty)])
    }
}

impl Utility {
    /// The columns of the rows that it gives, if it gives rows. `SHOW x` names its column as the setting is spelled
    /// where it is defined; the session knows that, so here it is as it was asked for.
    pub fn columns(&self) -> Option<Arc<[OutputColumn]>> {
        let text = |name: &str| OutputColumn::computed(name, PgType::Text);
        match self {
            Self::Show(name) => Some(Arc::from([text(name)])),
            Self::ShowAll => Some(Arc::from([text("name"), text("setting"), text("description")])),
            _ => None,
        }
    }

    /// Whether it may change views or roles.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::CreateRole(_)
                | Self::AlterRole { .. }
                | Self::DropRole { .. }
                | Self::Grant(_)
                | Self::GrantRole(_)
                | Self::DropView { .. }
        )
    }

    /// The command tag, without a row count.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Begin(_, BeginWord::Begin) => "BEGIN",
            Self::Begin(_, BeginWord::StartTransaction) => "START TRANSACTION",
            Self::Commit { .. } => "COMMIT",
            Self::Rollback { .. } | Self::RollbackTo(_) => "ROLLBACK",
            Self::Savepoint(_) => "SAVEPOINT",
            Self::Release(_) => "RELEASE",
            Self::SetTransaction(_) | Self::SetSessionCharacteristics(_) | Self::Set(_) => "SET",
            Self::Reset(_) | Self::ResetAll => "RESET",
            Self::Show(_) | Self::ShowAll => "SHOW",
            Self::Discard(Discard::All) => "DISCARD ALL",
            Self::Discard(Discard::Plans) => "DISCARD PLANS",
            Self::Discard(Discard::Sequences) => "DISCARD SEQUENCES",
            Self::Discard(Discard::Temp) => "DISCARD TEMP",
            Self::Fetch(_) => "FETCH",
            Self::Move(_) => "MOVE",
            Self::Close(Some(_)) => "CLOSE CURSOR",
            Self::Close(None) => "CLOSE CURSOR ALL",
            Self::Deallocate(Some(_)) => "DEALLOCATE",
            Self::Deallocate(None) => "DEALLOCATE ALL",
            Self::Listen(_) => "LISTEN",
            Self::Unlisten(_) => "UNLISTEN",
            Self::Notify { .. } => "NOTIFY",
            Self::CreateRole(_) => "CREATE ROLE",
            Self::AlterRole { .. } => "ALTER ROLE",
            Self::DropRole { .. } => "DROP ROLE",
            Self::Grant(grant) if grant.grant => "GRANT",
            Self::GrantRole(grant) if grant.grant => "GRANT ROLE",
            Self::Grant(_) => "REVOKE",
            Self::GrantRole(_) => "REVOKE ROLE",
            Self::DropView { .. } => "DROP VIEW",
            Self::Nothing(tag) => tag,
        }
    }
}
