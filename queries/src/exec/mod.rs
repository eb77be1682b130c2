//! Runs plans: a batch of rows at a time, under a memory budget, cancellable between any two batches.
//!
//! # How rows flow
//!
//! [`Cursor::open`] compiles an optimised [`crate::plan::Plan`] into a tree of operators, with parameters and
//! whatever else is constant within the statement filled into the expressions. Each [`Cursor::next`] pulls one
//! batch from the root, which pulls from its inputs. Nothing runs between two calls, so a cursor can stay open
//! for as long as its portal does; it is owned and `Send`.
//!
//! Enclosing rows (of correlated subqueries and lateral joins) are never stored in the tree: every call passes
//! the chain of them down, so one compiled tree serves all rows of the enclosing query.
//!
//! A plan that is a key look-up, a short index range or a maintained count needs none of this:
//! [`direct`] recognises it once, when it is planned, and [`DirectPlan::run`] reads it on the caller's thread.
//!
//! # Stacks
//!
//! Compilation and evaluation recurse over expressions and plans. Run them on threads with [`EXEC_STACK_BYTES`]
//! of stack; what is nested deeper than that holds fails with 54001. Only [`DirectPlan::run`] is flat enough for
//! any thread.
//!
//! # What this module must never know
//!
//! Names, SQL text, overloads: the binder has resolved them. Where rows come from: that is
//! [`crate::relation::Relation`]'s business.

mod build;
mod columnar;
mod context;
mod cursor;
mod direct;
mod environment;
pub mod explain;
pub(crate) mod expression;
mod key;
mod memory;
pub mod notifications;
mod operators;
mod reads;
mod requested;
mod requests;
mod row_table;
mod spill;
mod tracked;

pub use context::{BATCH_ROWS, Batch, Cancel, EvalContext, ExecContext, Settings};
pub use cursor::Cursor;
pub use direct::{DIRECT_ROWS_MAX, DirectPlan, direct};
pub use expression::{Evaluator, evaluate};
pub use notifications::Notifications;
pub use reads::{AggregateKind, READ_AGGREGATES_MAX, ReadSet, Reads};
pub use requested::{REQUESTED_SETTINGS_MAX, RequestedSetting, RequestedSettings};
pub(crate) use row_table::index;

/// The stack that a thread needs to compile and run plans. Only what is used of it is ever backed by memory.
pub const EXEC_STACK_BYTES: usize = 64 << 20;

/// How deeply plans and expressions may be nested; 54001 beyond. Chosen so that unoptimised builds stay within
/// [`EXEC_STACK_BYTES`].
pub(crate) const NESTING_MAX: usize = 1500;
