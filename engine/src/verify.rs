//! The offline check of everything that is stored: nothing is repaired, everything is looked at.
//!
//! Every row of every log is read, its checksum verified, its entry and its events decoded; rows and leaders must follow
//! each other. What the index should say is computed again and compared row by row, versions of each aggregate must be
//! 1, 2, 3 …, and each snapshot must equal the fold of its aggregate's events. Memory does not grow with the data.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::aggregates::{fold, read_entry, resolve};
use crate::db::{Direction, KeyRange, StoreError};
use crate::domain::Domain;
use crate::entry::{Resolved, Step};
use crate::index::{Effect, Indexer, Prepared, has_consecutive_versions, is_prepared_key};
use crate::log::{LogRow, LogStore, RowKind};
use crate::log_row;
use crate::position::{LogIndex, ShardId, Version};
use crate::snapshot;

/// What a verification saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Rows of all logs.
    pub rows: u64,
    /// Entries with events among the applied rows that are not void.
    pub entries: u64,
    /// Void entries.
    pub void_entries: u64,
    /// Events of the entries.
    pub events: u64,
    /// Aggregates in the index.
    pub aggregates: u64,
    /// Aggregate snapshots.
    pub snapshots: u64,
    /// How many problems there are.
    pub problems: u64,
    /// The first of them.
    pub first_problems: Vec<String>,
}

impl VerifyReport {
    /// Whether everything is as it should be.
    pub fn is_sound(&self) -> bool {
        self.problems == 0
    }
}

/// Verifies the whole store and tells the first `problems_max` problems. No writer may be at work. An error means that the
/// storage engine itself refuses to read on.
pub fn verify<D: Domain>(
    store: &Arc<LogStore>,
    problems_max: usize,
) -> Result<VerifyReport, StoreError> {
    let mut verifier = Verifier { store, problems_max, report: VerifyReport::default() };
    for shard in store.shards() {
        let events = verifier.verify_log::<D>(shard)?;
        verifier.verify_versions(shard, events)?;
    }
    verifier.verify_snapshots::<D>()?;
    Ok(verifier.report)
}

struct Verifier<'s> {
    store: &'s Arc<LogStore>,
    problems_max: usize,
    report: VerifyReport,
}

/// Where the walk through one shard's log stands.
struct Walk {
    shard: ShardId,
    previous: Option<LogRow>,
    applied: Option<LogIndex>,
    /// None once rows are missing or unreadable: the index cannot be computed behind them.
    indexer: Option<Indexer>,
    /// Prepares whose outcome is open.
    prepared: BTreeSet<Prepared>,
}

impl Verifier<'_> {
    fn problem(&mut self, shard: ShardId, text: &str) {
        self.report.problems += 1;
        if self.report.first_problems.len() < self.problems_max {
            self.report.first_problems.push(format!("shard {shard}: {text}"));
        }
    }

    /// Walks a log; says how many events the index should name, if that can be known.
    fn verify_log<D: Domain>(&mut self, shard: ShardId) -> Result<Option<u64>, StoreError> {
        let events_before = self.report.events;
        let applied = self.store.index().applied(shard).map(|applied| applied.index);
        let mut walk = Walk {
            shard,
            previous: None,
            applied,
            indexer: Some(Indexer::new(shard, None)),
            prepared: BTreeSet::new(),
        };
        let keys =
            log_row::key_range(self.store.families().log, shard, LogIndex(0), LogIndex(u64::MAX));
        let store = Arc::clone(self.store);
        let mut outcome = Ok(());
        store.db().scan(&keys, Direction::Forward, &mut |key, value| {
            outcome = self.verify_row::<D>(&mut walk, LogRow::decode(shard, key, value));
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        let (last, marked) = (walk.previous.map(|row| row.index), self.store.marks(shard).last);
        if last != marked {
            self.problem(shard, &format!("the log ends at {last:?}, not at {marked:?}"));
        }
        let computed = walk.indexer.map(|indexer| indexer.applied());
        if computed.is_some_and(|computed| computed != self.store.index().applied(shard)) {
            self.problem(shard, "the index says that it stands elsewhere than it does");
        }
        let prepared = self.store.index().prepared(shard)?;
        if computed.is_some() && !walk.prepared.into_iter().eq(prepared) {
            self.problem(shard, "the index names other open prepares than there are");
        }
        Ok(computed.map(|_| self.report.events - events_before))
    }

    fn verify_row<D: Domain>(
        &mut self,
        walk: &mut Walk,
        row: Result<LogRow, StoreError>,
    ) -> Result<(), StoreError> {
        self.report.rows += 1;
        let shard = walk.shard;
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                walk.indexer = None;
                self.problem(shard, &error.to_string());
                return Ok(());
            }
        };
        let index = row.index.0;
        if let Some(previous) = &walk.previous {
            if previous.index.0 + 1 != index && walk.indexer.is_some() {
                walk.indexer = None;
                self.problem(shard, &format!("row {index} follows row {}", previous.index.0));
            }
            if previous.leader.term > row.leader.term {
                self.problem(
                    shard,
                    &format!("row {index} has a term below that of the row before it"),
                );
            }
        }
        if self.store.leader_at(shard, row.index) != Some(row.leader) {
            self.problem(shard, &format!("the leader table names another leader for row {index}"));
        }
        let entry = match row.kind {
            RowKind::Events => match self.resolved_entry::<D>(shard, &row) {
                Ok(entry) => Some(entry),
                Err(error) => {
                    walk.indexer = None;
                    self.problem(shard, &format!("row {index}: {error}"));
                    None
                }
            },
            RowKind::Blank | RowKind::Membership => None,
        };
        if Some(row.index) <= walk.applied {
            self.verify_index(walk, &row, entry.as_ref())?;
        }
        walk.previous = Some(row);
        Ok(())
    }

    /// What a row lets happen, all of it decoded.
    fn resolved_entry<D: Domain>(
        &self,
        shard: ShardId,
        row: &LogRow,
    ) -> Result<Resolved, StoreError> {
        let resolved = resolve(self.store, shard, row)?;
        let entry = &resolved.entry;
        for event in &entry.events {
            D::decode_id(&event.aggregate)?;
            D::decode_event(event.kind, &event.payload)?;
        }
        if !has_consecutive_versions(entry) {
            return Err(StoreError::Corrupted(
                "the versions of an aggregate do not follow each other".to_owned(),
            ));
        }
        Ok(resolved)
    }

    /// Compares the index's rows for a log row with what they should be.
    fn verify_index(
        &mut self,
        walk: &mut Walk,
        row: &LogRow,
        resolved: Option<&Resolved>,
    ) -> Result<(), StoreError> {
        let Some(indexer) = &mut walk.indexer else { return Ok(()) };
        let effect = indexer.apply(row, resolved);
        match (effect, resolved.map(|resolved| &resolved.entry)) {
            (Effect::Void, _) => self.report.void_entries += 1,
            (_, Some(entry)) => {
                self.report.entries += 1;
                note_step(&mut walk.prepared, row.index, &entry.step);
                if effect == Effect::Events {
                    self.report.events += u64::try_from(entry.events.len()).expect("below 2^20");
                }
            }
            (_, None) => {}
        }
        let update = indexer.take().expect("a row was applied");
        // The first is how far the index has come, which is compared at the end.
        for (key, value) in update.rows().skip(1).filter(|(key, _)| !is_prepared_key(key)) {
            let same = self
                .store
                .db()
                .get_with(self.store.families().index, key, |stored| stored == value)?;
            if same != Some(true) {
                self.problem(
                    walk.shard,
                    &format!("the index does not agree with row {}", row.index.0),
                );
            }
        }
        Ok(())
    }

    /// Walks the index alone: it has no row that is not in the log, and no version is missing.
    fn verify_versions(&mut self, shard: ShardId, logged: Option<u64>) -> Result<(), StoreError> {
        let mut indexed = 0;
        let mut current: Option<(Vec<u8>, Version)> = None;
        let store = Arc::clone(self.store);
        store.index().all_runs(shard, &mut |aggregate, run| {
            let run = match run {
                Ok(run) => run,
                Err(error) => {
                    self.problem(shard, &error.to_string());
                    return ControlFlow::Continue(());
                }
            };
            indexed += run.len();
            let known = current.take().filter(|(known, _)| known == aggregate);
            if known.is_none() {
                self.report.aggregates += 1;
            }
            let (known, expected) = known.unwrap_or_else(|| (aggregate.to_vec(), Version(1)));
            if run.first != expected {
                self.problem(
                    shard,
                    &format!(
                        "version {} of an aggregate stands where version {expected} should",
                        run.first
                    ),
                );
            }
            current = Some((known, run.end()));
            ControlFlow::Continue(())
        })?;
        if logged.is_some_and(|logged| logged != indexed) {
            self.problem(shard, &format!("the index names {indexed} events"));
        }
        Ok(())
    }

    /// Compares each snapshot with the fold of its aggregate's events.
    fn verify_snapshots<D: Domain>(&mut self) -> Result<(), StoreError> {
        let store = Arc::clone(self.store);
        store.db().scan(
            &KeyRange::all(store.families().snapshots),
            Direction::Forward,
            &mut |key, value| {
                self.report.snapshots += 1;
                let (shard, aggregate) = snapshot::aggregate_of(key).unwrap_or_default();
                if let Err(error) = verify_snapshot::<D>(&store, key, value) {
                    self.problem(
                        shard,
                        &format!("the snapshot of aggregate {aggregate:02x?}: {error}"),
                    );
                }
                ControlFlow::Continue(())
            },
        )
    }
}

/// Follows which prepares are open.
fn note_step(prepared: &mut BTreeSet<Prepared>, index: LogIndex, step: &Step) {
    match step {
        Step::Prepare { attempt, deciding } => {
            prepared.insert(Prepared { attempt: *attempt, index, deciding: *deciding });
        }
        Step::Outcome { attempt, prepared: ended, .. } => {
            prepared.retain(|open| (open.attempt, open.index) != (*attempt, *ended));
        }
        Step::Events | Step::Decision { .. } => {}
    }
}

fn verify_snapshot<D: Domain>(
    store: &LogStore,
    key: &[u8],
    value: &[u8],
) -> Result<(), StoreError> {
    let corrupted = |text: &str| StoreError::Corrupted(text.to_owned());
    let (shard, aggregate) =
        snapshot::aggregate_of(key).ok_or_else(|| corrupted("its key is too short"))?;
    if shard.0 >= store.identity().shards {
        return Err(corrupted("there is no such shard"));
    }
    let id = D::decode_id(aggregate)?;
    let (kept, kept_version) = snapshot::decode::<D>(&id, key, value)?;
    let (mut state, mut version) = (D::initial(&id), Version(0));
    let read = &mut |index| Ok(read_entry(store, shard, index)?.0);
    fold::<D>(store, (shard, aggregate), (&mut state, &mut version), Some(kept_version), read)?;
    if version != kept_version || state != kept {
        return Err(corrupted("it is not what the events add up to"));
    }
    Ok(())
}
