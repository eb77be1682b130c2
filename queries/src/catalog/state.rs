//! What the catalog shows of the running system, as plain rows; whoever runs it hands them in.

use std::fmt::Debug;
use std::time::Duration;

use super::advisory::{AdvisoryLock, AdvisoryRow};
use super::setting_unit::SettingUnit;
use crate::error::{Result, SqlError};
use crate::exec::{Cancel, Settings};
use crate::types::Interval;

/// The role that every database has, and its OID.
pub const BOOTSTRAP_ROLE: (&str, u32) = ("rotabase", 10);

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleRow {
    /// Its name.
    pub name: String,
    /// Whether it may do everything.
    pub superuser: bool,
    /// Whether it may log in.
    pub login: bool,
}

/// What a role may do with a table of schema `public`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantRow {
    /// The role; `public` is everyone.
    pub role: String,
    /// The table.
    pub table: String,
    /// `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
    pub privilege: &'static str,
}

/// What all sessions have done since the server started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivityRow {
    /// Transactions that were committed, statements outside a block among them.
    pub committed: i64,
    /// Transactions that were rolled back.
    pub rolled_back: i64,
    /// Sessions that were opened.
    pub sessions: i64,
}

/// A session. Times are microseconds since 2000-01-01 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRow {
    /// Its process id as clients see it.
    pub pid: i32,
    /// The session user.
    pub user: String,
    /// The database that it named.
    pub database: String,
    /// `application_name`.
    pub application_name: String,
    /// The client's address, without its port.
    pub client_address: Option<String>,
    /// The client's port.
    pub client_port: Option<i32>,
    /// `active`, `idle`, `idle in transaction`, `idle in transaction (aborted)`.
    pub state: String,
    /// When it connected.
    pub connected_at: i64,
    /// When its transaction began.
    pub transaction_start: Option<i64>,
    /// When its statement began.
    pub query_start: Option<i64>,
    /// When its state changed.
    pub state_change: Option<i64>,
    /// Its statement, or its last one.
    pub query: String,
}

/// A setting, beyond its value in a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingRow {
    /// Its name as it is shown.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// `bool`, `integer`, `real`, `enum` or `string`.
    pub kind: &'static str,
    /// The unit of a number.
    pub unit: Option<SettingUnit>,
    /// The words that an `enum` may be.
    pub words: Vec<String>,
    /// The least and the greatest value of a number.
    pub range: Option<(i64, i64)>,
    /// Its default.
    pub default: String,
    /// Whether a session may change it.
    pub changeable: bool,
}

/// A COPY that is running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyRow {
    /// The session.
    pub pid: i32,
    /// The database that it named.
    pub database: String,
    /// The relation; 0 for a query or a file format.
    pub relation: u32,
    /// `COPY FROM` or `COPY TO`.
    pub command: &'static str,
    /// Bytes so far.
    pub bytes_processed: i64,
    /// Bytes altogether, 0 if that is not known.
    pub bytes_total: i64,
    /// Rows so far.
    pub tuples_processed: i64,
    /// Rows left out by a WHERE clause.
    pub tuples_excluded: i64,
}

/// A shard of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardRow {
    /// Its number.
    pub shard: i32,
    /// The node that leads it, if that is known.
    pub leader: Option<i64>,
    /// Whether it is led here.
    pub leading: bool,
    /// The term.
    pub term: i64,
    /// The last entry of the log.
    pub last_index: i64,
    /// The last entry that a majority has.
    pub committed: i64,
    /// The last entry whose events aggregates and projections can see.
    pub applied: i64,
    /// The bytes of its log.
    pub size_bytes: i64,
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRow {
    /// Its number.
    pub node: i64,
    /// Where other nodes reach it.
    pub address: String,
    /// `voter`, `learner` or `replica`.
    pub role: String,
    /// Whether it has been heard of lately.
    pub connected: bool,
    /// Whether it is this one.
    pub this_node: bool,
    /// The shards that it leads.
    pub shards_led: i64,
    /// Its version, if that is known.
    pub version: Option<String>,
    /// The shards that it votes in.
    pub shards_voted: i64,
    /// Whether it is to vote nowhere.
    pub draining: bool,
}

/// A copy of a shard on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaRow {
    /// The shard.
    pub shard: i32,
    /// The node.
    pub node: i64,
    /// `leader`, `voter` or `learner`.
    pub role: &'static str,
    /// Whether it is to vote.
    pub placed: bool,
}

/// A projection's way through one shard's log.
#[derive(Clone, Debug, Default)]
pub struct ProjectionRow {
    /// The projection.
    pub projection: String,
    /// The shard.
    pub shard: i32,
    /// The last position that is folded in.
    pub position: i64,
    /// The last position that there is.
    pub committed: i64,
    /// Events that are not folded in yet.
    pub lag_events: i64,
    /// How old the oldest of them is.
    pub lag: Option<Interval>,
    /// The transactions that are folded in part and wait for entries of the shard.
    pub awaited: i32,
}

/// The running system. Everything may be left out.
pub trait SystemState: Debug + Send + Sync {
    /// All roles.
    fn roles(&self) -> Vec<RoleRow> {
        vec![RoleRow { name: BOOTSTRAP_ROLE.0.to_owned(), superuser: true, login: true }]
    }
    /// What roles were granted.
    fn grants(&self) -> Vec<GrantRow> {
        Vec::new()
    }
    /// All sessions.
    fn sessions(&self) -> Vec<SessionRow> {
        Vec::new()
    }
    /// All settings.
    fn settings(&self) -> Vec<SettingRow> {
        Vec::new()
    }
    /// The form in which a session would keep a value of a setting.
    fn normalised_setting(&self, _name: &str, value: &str, _settings: &Settings) -> Result<String> {
        Ok(value.to_owned())
    }
    /// Every COPY that is running.
    fn copies(&self) -> Vec<CopyRow> {
        Vec::new()
    }
    /// All shards.
    fn shards(&self) -> Vec<ShardRow> {
        Vec::new()
    }
    /// All copies of all shards.
    fn replicas(&self) -> Vec<ReplicaRow> {
        Vec::new()
    }
    /// All nodes.
    fn nodes(&self) -> Vec<NodeRow> {
        Vec::new()
    }
    /// All projections.
    fn projections(&self) -> Vec<ProjectionRow> {
        Vec::new()
    }
    /// The bytes of a relation and of its indexes, by its name in schema `public`, where that is known.
    fn relation_bytes(&self, _relation: &str) -> Option<(i64, i64)> {
        None
    }
    /// The bytes of all the database's files, where that is known.
    fn database_bytes(&self) -> Option<i64> {
        None
    }
    /// Whether this node takes no writes.
    fn is_replica(&self) -> bool {
        false
    }
    /// When the server started: microseconds since 2000-01-01 UTC.
    fn started_at(&self) -> i64 {
        0
    }
    /// The address and the port that clients connect to, where there is one.
    fn listening(&self) -> Option<(String, i32)> {
        None
    }
    /// Takes an advisory lock for a session, and waits until it can, is cancelled, or for so long.
    fn advisory_lock(
        &self,
        _pid: i32,
        _lock: AdvisoryLock,
        _cancel: &Cancel,
        _timeout: Option<Duration>,
    ) -> Result<()> {
        Err(no_locks())
    }
    /// Takes an advisory lock if nobody is in the way; whether it was taken.
    fn advisory_try_lock(&self, _pid: i32, _lock: AdvisoryLock) -> Result<bool> {
        Err(no_locks())
    }
    /// Gives an advisory lock of the session back; whether it was held.
    fn advisory_unlock(&self, _pid: i32, _lock: AdvisoryLock) -> bool {
        false
    }
    /// Gives back all of a session's advisory locks that do not end with its transaction.
    fn advisory_unlock_all(&self, _pid: i32) {}
    /// All advisory locks.
    fn advisory_locks(&self) -> Vec<AdvisoryRow> {
        Vec::new()
    }
    /// What all sessions have done.
    fn activity(&self) -> ActivityRow {
        ActivityRow::default()
    }
    /// Asks a session to stop its statement, or to end; whether there is one.
    fn stop_session(&self, _pid: i32, _how: Stop) -> bool {
        false
    }
}

fn no_locks() -> SqlError {
    SqlError::unsupported("there are no advisory locks without a database")
}

/// How a session is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its statement is cancelled.
    Statement,
    /// It is ended.
    Session,
}

/// A system of which nothing is known: one role, no sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoState;

impl SystemState for NoState {}

/// The OID that a role has: from its name, since it has to be the same on every node.
pub fn role_oid(name: &str) -> u32 {
    if name == BOOTSTRAP_ROLE.0 {
        return BOOTSTRAP_ROLE.1;
    }
    derived_oid("role", name)
}

/// An OID made from a name: FNV-1a, in the upper half of the numbers, where nothing built in is.
pub(crate) fn derived_oid(kind: &str, name: &str) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in kind.bytes().chain([0]).chain(name.bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash | 0x8000_0000
}
