//! What the protocol layer counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rotabase_queries::error::SqlState;

use crate::metrics::{Counter, Metrics};

/// The commands that are counted by name; all others are `other`.
const COMMANDS: [&str; 12] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "COPY", "EXPLAIN", "FETCH",
    "ROLLBACK", "SET", "SHOW",
];

/// The counters of all connections.
#[derive(Debug)]
pub(crate) struct ProtocolMetrics {
    metrics: Arc<Metrics>,
    pub(crate) connections: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) rows_sent: Counter,
    pub(crate) copy_bytes_received: Counter,
    pub(crate) copy_rows_sent: Counter,
    pub(crate) copy_rows_received: Counter,
    statements: Vec<(&'static str, Counter)>,
    statements_other: Counter,
    errors: Mutex<BTreeMap<&'static str, Counter>>,
}

impl ProtocolMetrics {
    /// Registers the counters.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        let counter = |name, help| metrics.counter(name, help, "");
        let statement = |command: &str| {
            let labels = format!("command=\"{command}\"");
            metrics.counter(
                "rotabase_statements_total",
                "Statements executed, by command.",
                &labels,
            )
        };
        Arc::new(Self {
            connections: counter("rotabase_connections_total", "Connections accepted."),
            connections_refused: counter(
                "rotabase_connections_refused_total",
                "Connections that got no session.",
            ),
            bytes_received: counter(
                "rotabase_received_bytes_total",
                "Bytes received from clients.",
            ),
            bytes_sent: counter("rotabase_sent_bytes_total", "Bytes sent to clients."),
            rows_sent: counter("rotabase_rows_sent_total", "Rows sent to clients, COPY left out."),
            copy_bytes_received: counter(
                "rotabase_copy_received_bytes_total",
                "Bytes of COPY FROM STDIN.",
            ),
            copy_rows_received: counter(
                "rotabase_copy_received_rows_total",
                "Rows of COPY FROM STDIN carried out.",
            ),
            copy_rows_sent: counter("rotabase_copy_sent_rows_total", "Rows of COPY TO STDOUT."),
            statements: COMMANDS.map(|command| (command, statement(command))).to_vec(),
            statements_other: statement("other"),
            errors: Mutex::new(BTreeMap::new()),
            metrics,
        })
    }

    /// Counts a statement.
    pub(crate) fn statement(&self, command: &str) {
        let found = self.statements.iter().find(|(name, _)| *name == command);
        found.map_or(&self.statements_other, |(_, counter)| counter).increment();
    }

    /// Counts an error by the class of its code.
    pub(crate) fn error(&self, state: SqlState) {
        let class = state.0.get(..2).unwrap_or("XX");
        let mut errors = self.errors.lock();
        let counter = errors.entry(class).or_insert_with(|| {
            let labels = format!("class=\"{class}\"");
            self.metrics.counter(
                "rotabase_errors_total",
                "Errors sent to clients, by SQLSTATE class.",
                &labels,
            )
        });
        counter.increment();
    }
}
