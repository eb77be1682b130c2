//! What one step of the writer writes: accepted tasks, turned into the changes of two batches.

use std::sync::Arc;

use crate::db::{Durability, Rows, StoreError, WriteBatch};
use crate::index::IndexUpdate;
use crate::log::{Accepted, Families, LogRow, LogStore, Truncated};
use crate::log_meta;
use crate::log_row;
use crate::planted::{self, Bug};
use crate::position::{LogIndex, ShardId};
use crate::record;

/// An accepted task, with what the log said of it when it was accepted.
pub(crate) enum Action {
    Append { shard: ShardId, rows: Vec<LogRow>, accepted: Accepted },
    Truncate { shard: ShardId, truncated: Truncated },
    Meta { key: Vec<u8>, value: Vec<u8> },
    Index(Arc<IndexUpdate>),
    Snapshots(Rows),
    Sync,
}

/// The two batches of one step: what is logged, and what can be computed again and comes after it.
pub(crate) struct Batches {
    logged: WriteBatch,
    derived: WriteBatch,
    scratch: Vec<u8>,
    families: Families,
}

/// Cutting off more rows than this deletes a range: one tombstone instead of many.
const TRUNCATE_ROWS_SINGLY_MAX: u64 = 256;

impl Batches {
    pub(crate) fn new(store: &Arc<LogStore>) -> Self {
        Self {
            logged: store.db().batch(),
            derived: store.db().batch(),
            scratch: Vec::new(),
            families: store.families(),
        }
    }

    /// Adds what an action changes, and notes the marks that it moves and the updates that it writes.
    pub(crate) fn add(
        &mut self,
        action: Action,
        marks: &mut Vec<(ShardId, u64, LogIndex)>,
        indexed: &mut Vec<Arc<IndexUpdate>>,
    ) {
        let families = self.families;
        match action {
            Action::Append { shard, rows, accepted } => {
                for row in &rows {
                    let key = log_row::key(shard, row.index);
                    row.encode(&key, &mut self.scratch);
                    self.logged.put(families.log, &key, &self.scratch);
                }
                for (first, leader) in accepted.new_leaders {
                    let key = log_meta::leader_key(shard, first);
                    let mut value = log_meta::leader_value(leader);
                    record::seal(&key, &mut value);
                    self.logged.put(families.meta, &key, &value);
                }
                marks.extend(rows.last().map(|row| (shard, accepted.epoch, row.index)));
            }
            Action::Truncate { shard, truncated } => {
                if planted::has(Bug::TruncationForgotten) {
                    return;
                }
                let (from, to) = (truncated.rows.start, truncated.rows.end);
                if to.0 - from.0 > TRUNCATE_ROWS_SINGLY_MAX {
                    self.logged.delete_range(
                        families.log,
                        &log_row::key(shard, from),
                        &log_row::key(shard, to),
                    );
                } else {
                    for index in from.0..to.0 {
                        self.logged.delete(families.log, &log_row::key(shard, LogIndex(index)));
                    }
                }
                for first in truncated.leaders {
                    self.logged.delete(families.meta, &log_meta::leader_key(shard, first));
                }
            }
            Action::Meta { key, value } => self.logged.put(families.meta, &key, &value),
            Action::Index(update) => {
                update.rows().for_each(|(key, value)| self.derived.put(families.index, key, value));
                update.deleted().for_each(|key| self.derived.delete(families.index, key));
                indexed.push(update);
            }
            Action::Snapshots(rows) => rows
                .iter()
                .for_each(|(key, value)| self.derived.put(families.snapshots, key, value)),
            Action::Sync => {}
        }
    }

    /// Writes both: the log first.
    pub(crate) fn write(self, store: &LogStore) -> Result<(), StoreError> {
        if !self.logged.is_empty() {
            store.db().write(self.logged, Durability::Wal)?;
        }
        if !self.derived.is_empty() {
            store.db().write(self.derived, Durability::NoWal)?;
        }
        Ok(())
    }
}
