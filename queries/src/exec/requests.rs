//! What running statements ask their session for, until it takes it: mostly nothing, though it looks after each.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

/// Requests in the order in which they came.
#[derive(Debug)]
pub(super) struct Requests<T> {
    requests: Mutex<Vec<T>>,
    /// Whether there may be any: no lock is taken to find none.
    some: AtomicBool,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self { requests: Mutex::default(), some: AtomicBool::new(false) }
    }
}

impl<T> Requests<T> {
    /// Adds a request; false, and nothing done, if there are `max` already.
    pub(super) fn push(&self, request: T, max: usize) -> bool {
        let mut requests = self.requests.lock();
        if requests.len() >= max {
            return false;
        }
        requests.push(request);
        self.some.store(true, Ordering::Release);
        true
    }

    /// Those that have not been taken.
    pub(super) fn waiting(&self) -> MutexGuard<'_, Vec<T>> {
        self.requests.lock()
    }

    /// Takes all of them.
    pub(super) fn take(&self) -> Vec<T> {
        if !self.some.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut requests = self.requests.lock();
        self.some.store(false, Ordering::Release);
        std::mem::take(&mut requests)
    }
}
