//! Rotabase: a flight schedule database that speaks the PostgreSQL protocol.
//!
//! This crate is the shell around the others: it owns the sockets, the clock, the randomness, the
//! configuration and the command line.
//!
//! # The life of a connection
//!
//! 1. [`protocol`] accepts it, negotiates TLS and the protocol version, and authenticates its role.
//! 2. It asks the [`session::Backend`] for a session and then turns messages into calls of
//!    [`session::SessionApi`], and what these return into messages.
//! 3. The session parses, binds and runs statements; it knows nothing of messages or sockets.
//!
//! # What this crate must never do
//!
//! Decide anything about a schedule: rules are the engine's, reading is the queries crate's.

pub mod cli;
pub mod cluster;
pub mod config;
pub mod database;
pub mod env;
pub mod http;
pub mod metrics;
pub mod protocol;
pub mod replica;
pub mod roles;
pub mod scram;
pub mod session;
mod sqlstate;
pub mod ssim;
mod system;

pub use database::{Database, DatabaseConfig};

/// The version of PostgreSQL that clients can expect; they choose their catalog queries by it.
pub const SERVER_VERSION: &str = "15.8";

/// The same as a number.
pub const SERVER_VERSION_NUM: &str = "150008";
