//! SQL, from text to a typed plan or a plain description of what to do.
//!
//! # The life of a statement
//!
//! 1. [`parse`] splits a text into tokens once. The limits are checked here, before anything recursive runs, and
//!    names are folded.
//! 2. Each statement goes to the parser that knows it: `sqlparser` with our dialect for queries, INSERT, UPDATE and
//!    DELETE, after some tokens have been rewritten; our own small parsers for all else.
//! 3. [`bind`] looks names up in a [`Catalog`](crate::catalog::Catalog), chooses functions and casts, finds the types
//!    of parameters, and makes a [`Bound`]: a plan, a change, or a utility statement.
//!
//! Errors are PostgreSQL's: message, SQLSTATE, position, and hint where it gives one. Nothing that is written in a
//! statement is ignored: what is not offered is refused with 0A000.
//!
//! This module must never know how plans are run or how commands reach their aggregates.

mod aggregate;
mod assign;
mod bind;
mod binder;
mod bound;
mod call;
mod change;
mod coerce;
pub mod command;
mod copy;
mod copy_options;
mod cte;
mod data_type;
mod dialect;
mod expr;
mod from;
mod fuzzy;
mod grammar;
mod group;
mod insert;
mod json_row;
mod lex;
mod literal;
mod locking;
mod merge;
mod named_argument;
mod names;
mod operator;
mod parameters;
mod parse;
mod parse_copy;
mod parse_cursor;
mod parse_explain;
mod parse_role;
mod parse_setting;
mod parse_transaction;
mod parse_view;
mod position;
mod predicate;
mod query;
mod rewrite;
mod scope;
mod select;
mod set_operation;
mod special;
mod statement;
mod subquery;
mod system_time;
mod table_function;
mod target;
mod token_cursor;
mod utility;
mod walk;
mod window;
mod writable;

pub use bind::{bind, bind_arguments};
pub use bound::*;
pub use copy_options::{CopyColumns, CopyEncoding, CopyFormat, CopyHeader, CopyOptions};
pub use lex::{
    JOIN_CHAIN_MAX, NAME_BYTES_MAX, NESTING_MAX, OPERATOR_CHAIN_MAX, STATEMENT_BYTES_MAX,
};
pub use parse::parse;
pub use statement::{Arguments, Statement};
pub use utility::*;
