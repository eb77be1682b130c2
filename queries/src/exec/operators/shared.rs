//! An operator that two others may read, though only one of them does: that which works by columns, or that which works by
//! rows in its place.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::environment::Env;
use crate::exec::operators::{BoxOperator, Operator};

/// A share of an operator. Whoever begins to read rewinds it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<BoxOperator>>);

impl Shared {
    /// The first share.
    pub(crate) fn new(operator: BoxOperator) -> Self {
        Self(Arc::new(Mutex::new(operator)))
    }
}

impl Operator for Shared {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        self.0.lock().next(env)
    }

    fn rewind(&mut self) {
        self.0.lock().rewind();
    }
}
