//! The sessions that there are: the rows of `pg_stat_activity` and `rotabase.sessions`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use rotabase_queries::catalog::SessionRow;
use rotabase_queries::sql::Statement;

use super::running::Running;

/// All sessions of a database, by a number of their own.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Sessions that were opened, transactions that were committed and rolled back.
    pub(crate) counts: [AtomicU64; 3],
    sessions: Mutex<(u64, BTreeMap<u64, Arc<Known>>)>,
}

/// What is known of a session. Times are microseconds since 2000-01-01 UTC, 0 for never.
#[derive(Debug)]
pub(crate) struct Known {
    pid: i32,
    user: String,
    database: String,
    peer: Option<SocketAddr>,
    connected_at: i64,
    pub(crate) application_name: Mutex<String>,
    statement: Mutex<Option<Arc<Statement>>>,
    active: AtomicU8,
    status: AtomicU8,
    transaction_start: AtomicI64,
    query_start: AtomicI64,
    state_change: AtomicI64,
    running: Arc<Running>,
}

/// A session's place in the registry; given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Arc<Registry>,
    number: u64,
    known: Arc<Known>,
}

/// Who a session is.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) application_name: String,
}

impl Registry {
    /// Takes a session in.
    pub(crate) fn enter(
        self: &Arc<Self>,
        identity: Identity,
        now: i64,
        running: Arc<Running>,
    ) -> Place {
        let Identity { pid, user, database, peer, application_name } = identity;
        let known = Arc::new(Known {
            pid,
            user,
            database,
            peer,
            connected_at: now,
            application_name: Mutex::new(application_name),
            statement: Mutex::new(None),
            active: AtomicU8::new(0),
            status: AtomicU8::new(b'I'),
            transaction_start: AtomicI64::new(0),
            query_start: AtomicI64::new(0),
            state_change: AtomicI64::new(now),
            running,
        });
        self.counts[0].fetch_add(1, Ordering::Relaxed);
        let mut sessions = self.sessions.lock();
        sessions.0 += 1;
        let number = sessions.0;
        sessions.1.insert(number, Arc::clone(&known));
        Place { registry: Arc::clone(self), number, known }
    }

    /// A process id for a session that has no process in any sense: below zero, where no client's is.
    pub(crate) fn embedded_pid(&self) -> i32 {
        let mut sessions = self.sessions.lock();
        sessions.0 += 1;
        -i32::try_from(sessions.0 % (1 << 31)).unwrap_or(i32::MAX)
    }

    /// All sessions, oldest first.
    pub(crate) fn rows(&self) -> Vec<SessionRow> {
        let sessions: Vec<Arc<Known>> = self.sessions.lock().1.values().cloned().collect();
        sessions.iter().map(|known| known.row()).collect()
    }

    /// Cancels what a session does; whether there is such a session.
    pub(crate) fn cancel(&self, pid: i32) -> bool {
        let sessions = self.sessions.lock();
        let known = sessions.1.values().find(|known| known.pid == pid);
        known.map(|known| known.running.cancel()).is_some()
    }
}

impl Place {
    /// A statement begins.
    pub(crate) fn begin(&self, statement: &Arc<Statement>, now: i64) {
        *self.known.statement.lock() = Some(Arc::clone(statement));
        self.known.active.store(1, Ordering::Relaxed);
        self.known.query_start.store(now, Ordering::Relaxed);
        self.known.state_change.store(now, Ordering::Relaxed);
    }

    /// It has ended, and left the transaction in this state, which began then if there is one.
    pub(crate) fn end(&self, status: u8, transaction: Option<i64>, now: i64) {
        self.known.transaction_start.store(transaction.unwrap_or(0), Ordering::Relaxed);
        self.known.active.store(0, Ordering::Relaxed);
        self.known.status.store(status, Ordering::Relaxed);
        self.known.state_change.store(now, Ordering::Relaxed);
    }

    /// A transaction has ended.
    pub(crate) fn end_transaction(&self, committed: bool) {
        self.registry.counts[if committed { 1 } else { 2 }].fetch_add(1, Ordering::Relaxed);
    }

    /// The client has changed its name.
    pub(crate) fn rename(&self, application_name: &str) {
        application_name.clone_into(&mut self.known.application_name.lock());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.sessions.lock().1.remove(&self.number);
    }
}

impl Known {
    fn row(&self) -> SessionRow {
        let time = |at: &AtomicI64| Some(at.load(Ordering::Relaxed)).filter(|at| *at != 0);
        let state = match (self.active.load(Ordering::Relaxed), self.status.load(Ordering::Relaxed))
        {
            (1, _) => "active",
            (_, b'T') => "idle in transaction",
            (_, b'E') => "idle in transaction (aborted)",
            _ => "idle",
        };
        SessionRow {
            pid: self.pid,
            user: self.user.clone(),
            database: self.database.clone(),
            application_name: self.application_name.lock().clone(),
            client_address: self.peer.map(|peer| peer.ip().to_string()),
            client_port: self.peer.map(|peer| i32::from(peer.port())),
            state: state.to_owned(),
            connected_at: self.connected_at,
            transaction_start: time(&self.transaction_start)
                .or_else(|| time(&self.query_start).filter(|_| state == "active")),
            query_start: time(&self.query_start),
            state_change: time(&self.state_change),
            query: self
                .statement
                .lock()
                .as_ref()
                .map(|it| it.text().to_owned())
                .unwrap_or_default(),
        }
    }
}
