//! What can be read: projections folded from the feed of events, and SQL over them.
//!
//! # The life of a query
//!
//! 1. [`sql`] parses the text (our pre-parser, then `sqlparser` with our dialect) and binds it with PostgreSQL's
//!    names, types, coercions and errors into a typed [`plan`].
//! 2. [`optimize`] orders joins and picks access paths: a key, an index range, a maintained count, or a scan.
//! 3. [`exec`] runs the plan, a batch of rows at a time, against one consistent snapshot of the relations.
//! 4. Relations are [`projection`]s of the feed and the virtual tables of [`catalog`]; to SQL they are alike.
//! 5. [`types`] reads and writes values in PostgreSQL's text and binary forms.
//!
//! Statements that write are bound here too, into plain commands ([`sql::command`]); sending them to their
//! aggregates is not this crate's business.
//!
//! # What this crate must never know
//!
//! No sockets, no Raft, no clock and no random source. It knows the feed as a trait of the engine.

pub mod as_of;
pub mod catalog;
pub mod column;
pub mod error;
pub mod exec;
pub mod optimize;
pub mod plan;
pub mod projection;
mod readers;
pub mod relation;
pub mod sql;
pub mod subscription;
pub mod types;
