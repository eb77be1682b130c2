//! Computes everything derived again from the log.

use std::sync::Arc;

use crate::aggregates::resolve;
use crate::db::{Durability, StoreError};
use crate::index::{Effect, IndexUpdate};
use crate::log::{LogStore, RowKind};
use crate::position::{LogIndex, ShardId};

/// The bytes of rows that are read, and of index rows that are written, at a time.
const REBUILD_BYTES: usize = 4 << 20;

/// What a rebuild went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// The committed rows.
    pub rows: u64,
    /// The events in them.
    pub events: u64,
}

/// Deletes the index and the snapshots of all shards and computes the index again from the committed rows. Snapshots come
/// back as aggregates are used. No writer may be at work. A rebuild that is cut short leaves an index that is behind,
/// which the next start catches up.
pub fn rebuild_derived(store: &Arc<LogStore>) -> Result<RebuildReport, StoreError> {
    let targets = store
        .shards()
        .map(|shard| Ok((shard, committed(store, shard)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let families = store.families();
    store.db().clear(families.index)?;
    store.db().clear(families.snapshots)?;
    store.index().reset();
    let mut report = RebuildReport::default();
    for (shard, target) in targets {
        if let Some(target) = target {
            rebuild_shard(store, shard, target, &mut report)?;
        }
    }
    store.db().flush(&[families.index])?;
    Ok(report)
}

/// The newest row that is known to be committed.
pub(crate) fn committed(store: &LogStore, shard: ShardId) -> Result<Option<LogIndex>, StoreError> {
    let noted = store.committed(shard)?.map(|committed| committed.index);
    let applied = store.index().applied(shard).map(|applied| applied.index);
    Ok(noted.max(applied).min(store.marks(shard).last))
}

fn rebuild_shard(
    store: &Arc<LogStore>,
    shard: ShardId,
    target: LogIndex,
    report: &mut RebuildReport,
) -> Result<(), StoreError> {
    let mut indexer = store.index().indexer(shard);
    let mut next = LogIndex(0);
    while next <= target {
        let rows = store.read(shard, next..LogIndex(target.0 + 1), REBUILD_BYTES)?;
        for row in rows {
            let resolved = match row.kind {
                RowKind::Events => Some(resolve(store, shard, &row)?),
                RowKind::Blank | RowKind::Membership => None,
            };
            let effect = indexer.apply(&row, resolved.as_ref());
            report.rows += 1;
            if let Some(resolved) = resolved
                && effect == Effect::Events
            {
                report.events += u64::try_from(resolved.entry.events.len()).expect("below 2^20");
            }
            next = LogIndex(row.index.0 + 1);
        }
        if let Some(update) = indexer.take() {
            write(store, &Arc::new(update))?;
        }
    }
    Ok(())
}

fn write(store: &Arc<LogStore>, update: &Arc<IndexUpdate>) -> Result<(), StoreError> {
    let mut batch = store.db().batch();
    for (key, value) in update.rows() {
        batch.put(store.families().index, key, value);
    }
    for key in update.deleted() {
        batch.delete(store.families().index, key);
    }
    store.db().write(batch, Durability::NoWal)?;
    store.index().remember(update);
    store.index().forget(update);
    Ok(())
}
