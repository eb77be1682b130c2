//! How far an error reaches: one statement, or the connection.

use rotabase_queries::error::{SqlError, SqlState};

/// Why something that a client asked for did not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The statement failed; the session goes on.
    Statement(Box<SqlError>),
    /// The session is told why, and ends.
    Fatal(Box<SqlError>),
    /// There is nobody left to tell.
    Gone,
}

impl Failure {
    /// Ends the session with an error.
    pub(crate) fn fatal(error: SqlError) -> Self {
        Self::Fatal(Box::new(error))
    }

    /// The client broke the protocol so that its next message cannot be found.
    pub(crate) fn out_of_step(message: impl Into<String>) -> Self {
        Self::fatal(SqlError::new(SqlState::PROTOCOL_VIOLATION, message))
    }

    /// The server ends the session.
    pub(crate) fn terminated() -> Self {
        let message = "terminating connection due to administrator command";
        Self::fatal(SqlError::new(SqlState::ADMIN_SHUTDOWN, message))
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Statement(Box::new(error))
    }
}

/// What may fail for any of these reasons gives this.
pub(crate) type Outcome<T> = Result<T, Failure>;
