//! Sessions: what stands between the protocol and the database.
//!
//! [`api`] is the contract: everything that the protocol layer may ask of a session, and nothing of how
//! messages look. [`client`] is the session of a [`crate::Database`]; the modules beside it carry out one kind of
//! statement each.

pub(crate) mod advisory;
pub mod api;
pub(crate) mod block;
pub mod bound;
pub(crate) mod channels;
pub mod client;
mod commit;
mod consistency;
pub(crate) mod copy;
mod cursor;
pub mod embedded;
mod past;
mod query;
pub(crate) mod registry;
mod running;
pub(crate) mod settings;
mod transaction;
mod utility;
mod write;
mod writing_with;

pub use api::{
    Backend, CancelHandle, CopyInFormat, CopyOut, CopyRows, CopySource, CopyStep, ExecuteOptions,
    Execution, Login, Notice, Notification, Prepared, RowSource, Rows, RowsTag, SessionApi,
    SessionStart, Severity, Statements,
};
