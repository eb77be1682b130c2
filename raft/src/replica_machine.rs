//! openraft's state machine: what happens when an entry is committed.
//!
//! Nothing is computed here that a leader has not decided already. Applying checks that the entry follows the one
//! it was decided on, writes the index behind the log, and publishes the entry to the feed. An entry that does not
//! follow is void on every replica alike. There are no snapshots: the log is never purged, so nobody needs one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{OptionalSend, alias};
use parking_lot::Mutex;
use rotabase_engine::db::StoreError;
use rotabase_engine::entry::{Attempt, CommittedEntry, Entry, Step};
use rotabase_engine::index::{Applied as Index, Effect, Indexer, Prepared};
use rotabase_engine::log::{LogRow, RowKind};
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::writer::WriteTask;

use crate::feed::{NodeFeed, Published};
use crate::hybrid_clock::HybridClock;
use crate::row;
use crate::shard_log::{ShardLog, resolve, submit};
use crate::type_config::{Applied, LogId, RaftEntry, StoredMembership, TypeConfig};

/// The bytes of entries that are applied before the index is written and the feed is told.
pub const APPLY_BYTES_MAX: usize = 4 << 20;

/// The state machine of one replica.
#[derive(Debug)]
pub struct ReplicaMachine {
    shard: ShardId,
    log: Arc<dyn ShardLog>,
    feed: Arc<NodeFeed>,
    clock: Arc<HybridClock>,
    indexer: Indexer,
    state: Arc<Mutex<MachineState>>,
}

/// How far a replica has applied its log; read by the shard's leader.
#[derive(Clone, Debug, Default)]
pub(crate) struct MachineState {
    pub(crate) log_id: Option<LogId>,
    pub(crate) membership: StoredMembership,
    /// How many entries that a leader decided have been applied, void ones not counted: the sequence of the next.
    pub(crate) entries: u64,
    /// What was prepared and has no outcome yet.
    pub(crate) prepared: BTreeMap<Attempt, OpenAttempt>,
}

/// What a shard has prepared of a transaction whose outcome it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenAttempt {
    /// The shard whose log says whether it commits.
    pub(crate) deciding: ShardId,
    /// The prepares without outcome, ascending.
    pub(crate) prepares: BTreeSet<LogIndex>,
}

impl MachineState {
    fn note_step(&mut self, index: LogIndex, step: Step) {
        match step {
            Step::Prepare { attempt, deciding } => {
                let open = self.prepared.entry(attempt).or_default();
                open.deciding = deciding;
                open.prepares.insert(index);
            }
            Step::Outcome { attempt, prepared, .. } => {
                if let Some(open) = self.prepared.get_mut(&attempt) {
                    open.prepares.remove(&prepared);
                    if open.prepares.is_empty() {
                        self.prepared.remove(&attempt);
                    }
                }
            }
            Step::Events | Step::Decision { .. } => {}
        }
    }
}

/// The memory that an entry's events take, roughly.
pub(crate) fn events_bytes(entry: &Entry) -> usize {
    const EVENT_OVERHEAD_BYTES: usize = 64;
    entry.events.iter().map(|event| event.payload.len() + EVENT_OVERHEAD_BYTES).sum()
}

/// What has been applied and is not yet published.
#[derive(Default)]
struct Batch {
    entries: Vec<Published>,
    voids: Vec<LogIndex>,
    /// What was prepared, decided and ended.
    steps: Vec<(LogIndex, Step)>,
    responders: Vec<(ApplyResponder<TypeConfig>, Applied)>,
    last: Option<LogId>,
    membership: Option<StoredMembership>,
    bytes: usize,
}

impl ReplicaMachine {
    /// Goes on where the index stands.
    pub(crate) fn open(
        shard: ShardId,
        log: Arc<dyn ShardLog>,
        feed: Arc<NodeFeed>,
        clock: Arc<HybridClock>,
    ) -> Result<Self, StoreError> {
        let mut state = MachineState::default();
        if let Some(applied) = log.applied(shard) {
            let last = log.last(shard).map(|(index, _)| index);
            if last < Some(applied.index) {
                // openraft would take this for a hole to be purged.
                return Err(StoreError::Corrupted(format!(
                    "the index of shard {shard} is ahead of its log"
                )));
            }
            clock.observe(applied.timestamp);
            state.log_id = Some(row::log_id_of(applied.index, applied.leader));
            state.entries = applied.entries;
            state.membership = read_membership(&*log, shard, &applied)?;
        }
        let prepared = log.prepared(shard)?;
        let prepared = prepared.into_iter().filter(|_| !planted::has(Bug::LostPrepare));
        for Prepared { attempt, index, deciding } in prepared {
            state.note_step(index, Step::Prepare { attempt, deciding });
        }
        let indexer = log.indexer(shard);
        Ok(Self { shard, log, feed, clock, indexer, state: Arc::new(Mutex::new(state)) })
    }

    pub(crate) fn state(&self) -> Arc<Mutex<MachineState>> {
        Arc::clone(&self.state)
    }

    /// Looks at the next committed entry.
    fn apply_entry(&mut self, entry: RaftEntry, batch: &mut Batch) -> Result<Applied, StoreError> {
        batch.last = Some(entry.log_id);
        let row = row::row_of(entry);
        let effect = match row.kind {
            RowKind::Events => self.apply_events(&row, batch)?,
            RowKind::Blank => self.indexer.apply(&row, None),
            RowKind::Membership => {
                let membership = row::decode_membership(&row.payload)?;
                batch.membership = Some(StoredMembership::new(batch.last, membership));
                self.indexer.apply(&row, None)
            }
        };
        Ok(if effect == Effect::Void { Applied::Void } else { Applied::Done })
    }

    fn apply_events(&mut self, row: &LogRow, batch: &mut Batch) -> Result<Effect, StoreError> {
        let resolved = resolve(&*self.log, self.shard, row)?;
        let effect = self.indexer.apply(row, Some(&resolved));
        let entry = resolved.entry;
        batch.bytes += row.bytes();
        if effect != Effect::Void {
            self.clock.observe(entry.timestamp);
            if entry.step != Step::Events {
                batch.steps.push((row.index, entry.step.clone()));
            }
        }
        match effect {
            Effect::Events => {
                let bytes = row.bytes().max(events_bytes(&entry));
                let entry = CommittedEntry { shard: self.shard, index: row.index, entry };
                batch.entries.push(Published { entry, bytes });
            }
            Effect::Void => {
                tracing::warn!(
                    shard = self.shard.0,
                    index = row.index.0,
                    "an entry is void: it was decided on one that was lost"
                );
                batch.voids.push(row.index);
            }
            Effect::None => {}
        }
        Ok(effect)
    }

    /// Writes the index, publishes, and answers.
    async fn finish(&mut self, batch: Batch) -> Result<(), StoreError> {
        let Some(last) = batch.last else { return Ok(()) };
        if let Some(update) = self.indexer.take() {
            submit(&*self.log, WriteTask::Index(update)).await?;
        }
        let entries = self.indexer.applied().map_or(0, |applied| applied.entries);
        {
            let mut state = self.state.lock();
            state.log_id = Some(last);
            state.entries = entries;
            for (index, step) in batch.steps {
                state.note_step(index, step);
            }
            if let Some(membership) = batch.membership {
                state.membership = membership;
            }
        }
        self.feed.publish(self.shard, batch.entries, batch.voids, LogIndex(last.index));
        batch.responders.into_iter().for_each(|(responder, applied)| responder.send(applied));
        Ok(())
    }
}

fn read_membership(
    log: &dyn ShardLog,
    shard: ShardId,
    applied: &Index,
) -> Result<StoredMembership, StoreError> {
    let Some(index) = applied.membership else { return Ok(StoredMembership::default()) };
    let rows = log.read(shard, index..LogIndex(index.0 + 1), usize::MAX)?;
    let row = rows.into_iter().next().filter(|row| row.kind == RowKind::Membership);
    let row = row.ok_or_else(|| {
        StoreError::Corrupted(format!(
            "row {} of shard {shard} should say who its replicas are",
            index.0
        ))
    })?;
    let log_id = row::log_id_of(row.index, row.leader);
    Ok(StoredMembership::new(Some(log_id), row::decode_membership(&row.payload)?))
}

impl RaftStateMachine<TypeConfig> for ReplicaMachine {
    type SnapshotData = ();
    type SnapshotBuilder = NoSnapshots;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let state = self.state.lock();
        Ok((state.log_id, state.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut batch = Batch::default();
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let applied = self.apply_entry(entry, &mut batch).map_err(io::Error::other)?;
            batch.responders.extend(responder.map(|responder| (responder, applied)));
            if batch.bytes >= APPLY_BYTES_MAX {
                self.finish(std::mem::take(&mut batch)).await.map_err(io::Error::other)?;
            }
        }
        self.finish(batch).await.map_err(io::Error::other)
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<NoSnapshots> {
        None
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshots {
        NoSnapshots
    }

    async fn install_snapshot(
        &mut self,
        _meta: &alias::SnapshotMetaOf<TypeConfig>,
        _snapshot: (),
    ) -> Result<(), io::Error> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<alias::SnapshotOf<TypeConfig, ()>>, io::Error> {
        Ok(None)
    }
}

/// What stands where openraft wants something that builds snapshots: the log is the data, so that a snapshot of it
/// would be a copy of it.
#[derive(Debug)]
pub struct NoSnapshots;

impl RaftSnapshotBuilder<TypeConfig> for NoSnapshots {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<alias::SnapshotOf<TypeConfig, ()>, io::Error> {
        Err(no_snapshots())
    }
}

fn no_snapshots() -> io::Error {
    io::Error::other("a shard has no snapshots: its log is never purged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use openraft::EntryPayload;
    use openraft::storage::{IOFlushed, RaftLogStorage};
    use rotabase_engine::domain::EventKind;
    use rotabase_engine::entry::{EntryBuilder, Metadata};
    use rotabase_engine::env::{Clock, Timestamp};
    use rotabase_engine::feed::Feed;
    use rotabase_engine::position::Version;

    use crate::memory::MemoryLog;
    use crate::replica_log::ReplicaLog;
    use crate::type_config::{LeaderId, Proposal, ReplicaId};

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now_microseconds(&self) -> i64 {
            0
        }
    }

    fn entry(index: u64, sequence: Option<u64>) -> RaftEntry {
        let leader_id = LeaderId { term: 1, node_id: ReplicaId(1) };
        let payload = sequence.map_or(EntryPayload::Blank, |sequence| {
            EntryPayload::Normal(Proposal { bytes: encoded(sequence) })
        });
        RaftEntry { log_id: LogId { leader_id, index }, payload }
    }

    fn encoded(sequence: u64) -> Bytes {
        let mut builder = EntryBuilder::new();
        let metadata = builder.metadata(&Metadata::default()).unwrap();
        let kind = EventKind { event_type: 1, schema_version: 1 };
        builder.push(b"aggregate", Version(sequence + 1), kind, b"payload", metadata).unwrap();
        builder.finish(Timestamp(sequence), sequence)
    }

    fn open(log: &Arc<MemoryLog>) -> (Arc<NodeFeed>, ReplicaMachine) {
        let log: Arc<dyn ShardLog> = Arc::<MemoryLog>::clone(log);
        let feed = NodeFeed::open(Arc::clone(&log), 1 << 20).unwrap();
        let clock = Arc::new(HybridClock::new(Arc::new(Stopped)));
        let machine = ReplicaMachine::open(ShardId(0), log, Arc::clone(&feed), clock).unwrap();
        (feed, machine)
    }

    fn indexes(feed: &NodeFeed) -> Vec<u64> {
        let mut entries = Vec::new();
        feed.read(ShardId(0), LogIndex(0), &mut entries).unwrap();
        entries.iter().map(|entry| entry.index.0).collect()
    }

    /// A leader refused the proposal of sequence 1 and accepted the next: it must not count, now or ever.
    #[tokio::test]
    async fn an_entry_that_was_decided_on_a_lost_one_is_void_for_ever() {
        let log = MemoryLog::new(1);
        let entries = [
            entry(0, None),
            entry(1, Some(0)),
            entry(2, Some(2)),
            entry(3, Some(1)),
            entry(4, None),
        ];
        let mut replica_log = ReplicaLog::open(ShardId(0), Arc::<MemoryLog>::clone(&log)).unwrap();
        replica_log.append(entries.clone(), IOFlushed::noop()).await.unwrap();
        let (feed, mut machine) = open(&log);
        machine.apply(futures::stream::iter(entries.map(|entry| Ok((entry, None))))).await.unwrap();
        assert_eq!(indexes(&feed), [1, 3]);
        assert_eq!(machine.state().lock().entries, 2);
        let (feed, machine) = open(&log);
        assert_eq!(indexes(&feed), [1, 3], "read from the log");
        assert_eq!(machine.state().lock().entries, 2);
    }
}
