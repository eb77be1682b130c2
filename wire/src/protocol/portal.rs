//! Portals: statements with their parameters, and how much of their rows has been read.

use std::collections::BTreeMap;
use std::sync::Arc;

use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Batch;
use rotabase_queries::types::Datum;

use super::limits::PORTALS_MAX;
use super::values::Formats;
use crate::session::{Prepared, Rows, RowsTag};

/// A statement that has been bound to values.
#[derive(Debug)]
pub(crate) struct Portal<S> {
    pub(crate) prepared: Arc<Prepared<S>>,
    /// Taken when it is executed.
    pub(crate) parameters: Vec<Datum>,
    pub(crate) formats: Formats,
    pub(crate) state: PortalState,
}

/// How far a portal has come.
#[derive(Debug)]
pub(crate) enum PortalState {
    /// Not executed yet.
    Ready,
    /// It gives rows, and has more or may have.
    Rows(RowCursor),
    /// All its rows have been sent; executing it again gives none.
    Exhausted(RowsTag),
    /// It has been executed and cannot be again.
    Spent,
}

/// Rows of a result, and how many of them have been sent.
#[derive(Debug)]
pub(crate) struct RowCursor {
    pub(crate) rows: Rows,
    /// The batch being sent, and the next row of it.
    pub(crate) batch: Batch,
    pub(crate) next: usize,
    /// The result has no further batch.
    pub(crate) ended: bool,
}

impl RowCursor {
    /// Starts at the first row.
    pub(crate) fn new(rows: Rows) -> Self {
        Self { rows, batch: Batch::default(), next: 0, ended: false }
    }
}

/// A session's portals.
#[derive(Debug)]
pub(crate) struct Portals<S> {
    unnamed: Option<Portal<S>>,
    named: BTreeMap<String, Portal<S>>,
}

impl<S> Default for Portals<S> {
    fn default() -> Self {
        Self { unnamed: None, named: BTreeMap::new() }
    }
}

impl<S> Portals<S> {
    /// The portal called `name`, the unnamed one for an empty name.
    pub(crate) fn get(&mut self, name: &str) -> Result<&mut Portal<S>> {
        let portal = if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(name) };
        portal.ok_or_else(|| {
            let message = format!("portal \"{name}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_CURSOR, message)
        })
    }

    /// Whether a portal called `name` may be made: the unnamed one is replaced, a named one is not.
    pub(crate) fn check_free(&self, name: &str) -> Result<()> {
        if self.named.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if self.named.len() >= PORTALS_MAX {
            let message = format!("too many portals: a session holds at most {PORTALS_MAX}");
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message));
        }
        Ok(())
    }

    /// Keeps a portal under a name that is free.
    pub(crate) fn insert(&mut self, name: &str, portal: Portal<S>) {
        if name.is_empty() {
            self.unnamed = Some(portal);
        } else {
            self.named.insert(name.to_owned(), portal);
        }
    }

    /// Closes a portal; whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        if name.is_empty() {
            self.unnamed.take().is_some()
        } else {
            self.named.remove(name).is_some()
        }
    }

    /// Closes all: their transaction has ended.
    pub(crate) fn clear(&mut self) {
        self.unnamed = None;
        self.named.clear();
    }
}
