//! Sessions: what stands between the protocol and the database.
//!
//! [`api`] is the contract: everything that the protocol layer may ask of a session, and nothing of how
//! messages look.

pub mod api;

pub use api::{
    Backend, CancelHandle, CopyInFormat, CopyOut, CopyRows, CopySource, CopyStep, ExecuteOptions,
    Execution, Login, Notice, Notification, Prepared, RowSource, Rows, RowsTag, SessionApi,
    SessionStart, Severity, Statements,
};
