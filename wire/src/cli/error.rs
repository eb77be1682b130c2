//! Why a command of the program failed.

use rotabase_engine::db::StoreError;
use rotabase_queries::error::SqlError;

use crate::config::ConfigError;
use crate::protocol::TlsError;

/// Why a command of the program failed; printed as it is.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store failed, or is in use by another process.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database could not be opened or used.
    #[error("{}", with_detail(.0))]
    Database(#[from] SqlError),
    /// The system refused something.
    #[error("could not {what}: {error}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it was not.
        error: std::io::Error,
    },
    /// The cluster, or what was said about it, has a flaw.
    #[error("{0}")]
    Cluster(String),
    /// There is something else in the directory.
    #[error("{0}")]
    Directory(String),
    /// What is stored is not sound.
    #[error("{0} problems found")]
    Unsound(u64),
    /// The server stopped because it could not go on.
    #[error("server stopped: {0}")]
    Stopped(String),
}

impl CliError {
    /// The system refused to do `what`.
    pub(crate) fn io(what: impl Into<String>, error: std::io::Error) -> Self {
        Self::Io { what: what.into(), error }
    }
}

fn with_detail(error: &SqlError) -> String {
    match &error.detail {
        Some(detail) => format!("{error}: {detail}"),
        None => error.to_string(),
    }
}
