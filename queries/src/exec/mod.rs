//! Runs plans: a batch of rows at a time, under a memory budget, cancellable between any two batches.

mod context;

pub use context::{Batch, Cancel, EvalContext, ExecContext, Settings};
