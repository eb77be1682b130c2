//! The memory budget of a statement: sorts, hash tables and materialised rows reserve what they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::{Result, SqlError, SqlState};
use crate::types::{Datum, Numeric};

/// What all operators of a statement hold together.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    /// A budget of `max` bytes.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }
}

/// What all temporary files of a statement hold together.
#[derive(Debug)]
pub(crate) struct DiskBudget {
    used: AtomicU64,
    max: u64,
}

impl DiskBudget {
    /// A budget of `max` bytes.
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), max })
    }
}

/// A temporary file's share of that, given back when dropped.
#[derive(Debug)]
pub(crate) struct DiskShare {
    budget: Arc<DiskBudget>,
    bytes: u64,
}

impl DiskShare {
    /// An empty share.
    pub(crate) fn new(budget: &Arc<DiskBudget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Takes more, or fails with 53400.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before.saturating_add(bytes) <= self.budget.max {
            return Ok(());
        }
        let limit = self.budget.max / 1024;
        let message = format!("temporary file size exceeds temp_file_limit ({limit}kB)");
        Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message))
    }
}

impl Drop for DiskShare {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// An empty share.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Takes more, or fails with 53200.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<()> {
        if self.try_grow(bytes) {
            return Ok(());
        }
        let max = self.budget.max;
        Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").with_detail(format!(
            "The statement needs more than the {max} bytes that one statement may hold for sorting, hashing and materialised rows."
        )))
    }

    /// Takes more if there is more.
    pub(crate) fn try_grow(&mut self, bytes: usize) -> bool {
        let before = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.budget.max {
            self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Takes more unless it would come to hold more than half of what the others leave: whoever can put rows on disk
    /// leaves room for those that work on its rows.
    pub(crate) fn try_share(&mut self, bytes: usize) -> bool {
        let others = self.budget.used.load(Ordering::Relaxed).saturating_sub(self.bytes);
        let left = self.budget.max.saturating_sub(others);
        self.bytes.saturating_add(bytes) <= left / 2 && self.try_grow(bytes)
    }

    /// Takes more, whatever there is: without one row nothing goes on.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Gives everything back.
    pub(crate) fn clear(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Roughly the bytes of some values, with what they point to.
pub(crate) fn bytes_of(values: &[Datum]) -> usize {
    size_of_val(values) + values.iter().map(heap_bytes).sum::<usize>()
}

fn heap_bytes(value: &Datum) -> usize {
    /// The longest text that stands in the value itself.
    const INLINE_TEXT: usize = 23;
    match value {
        Datum::Text(text) if text.len() > INLINE_TEXT => text.len() + 16,
        Datum::Bytea(bytes) => bytes.len() + 16,
        Datum::Json(text) => text.len() + 16,
        Datum::Jsonb(json) => json_bytes(json),
        Datum::Numeric(number) => match &**number {
            Numeric::Finite { coefficient, .. } => {
                64 + usize::try_from(coefficient.bits() / 8).unwrap_or(0)
            }
            _ => 64,
        },
        Datum::Array(array) => 64 + bytes_of(&array.elements),
        Datum::Record(fields) => {
            16 + fields.iter().map(|(_, value)| 40 + heap_bytes(value)).sum::<usize>()
        }
        _ => 0,
    }
}

fn json_bytes(json: &serde_json::Value) -> usize {
    use serde_json::Value;
    match json {
        Value::Null | Value::Bool(_) => 32,
        Value::Number(number) => 48 + number.as_str().len(),
        Value::String(text) => 56 + text.len(),
        Value::Array(items) => 56 + items.iter().map(json_bytes).sum::<usize>(),
        Value::Object(entries) => {
            96 + entries
                .iter()
                .map(|(key, value)| 64 + key.len() + json_bytes(value))
                .sum::<usize>()
        }
    }
}
