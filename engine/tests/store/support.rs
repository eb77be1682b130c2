//! A domain of counters, and a shard that is driven by hand.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rotabase_engine::aggregates::Aggregates;
use rotabase_engine::db::{Db, DbOptions, FamilyOptions, StoreError};
use rotabase_engine::domain::{DecodeError, Domain, EventKind, Events};
use rotabase_engine::entry::{CommittedEntry, Entry, Metadata, Resolved, Step, StoredEvent};
use rotabase_engine::env::Timestamp;
use rotabase_engine::index::{Effect, Indexer};
use rotabase_engine::log::{Committed, Identity, Leader, LogOptions, LogRow, LogStore, RowKind};
use rotabase_engine::position::{LogIndex, ShardId, Version};
use rotabase_engine::writer::{LogWriter, WriteTask};
use uuid::Uuid;

/// Counters: each has a name and remembers what was added to it.
#[derive(Debug)]
pub(crate) struct Counters;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Added(pub(crate) i64);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("refused")]
pub(crate) struct Refused;

fn unreadable() -> DecodeError {
    DecodeError { what: "a counter's command", reason: "of another length".to_owned() }
}

impl Domain for Counters {
    type Id = String;
    type State = Vec<i64>;
    type Command = i64;
    type Event = Added;
    type Refusal = Refused;

    fn initial(_: &String) -> Vec<i64> {
        Vec::new()
    }

    fn decide(_: &String, _: &Vec<i64>, command: &i64) -> Result<Events<Self>, Refused> {
        Ok(std::iter::once(Added(*command)).collect())
    }

    fn evolve(state: &mut Vec<i64>, event: &Added) {
        state.push(event.0);
    }

    fn encode_id(id: &String, out: &mut Vec<u8>) {
        out.extend_from_slice(id.as_bytes());
    }

    fn decode_id(bytes: &[u8]) -> Result<String, DecodeError> {
        String::from_utf8(bytes.to_vec())
            .map_err(|error| DecodeError { what: "a counter", reason: error.to_string() })
    }

    fn encode_command(command: &i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&command.to_be_bytes());
    }

    fn decode_command(bytes: &[u8]) -> Result<i64, DecodeError> {
        let bytes = bytes.try_into().map_err(|_| unreadable())?;
        Ok(i64::from_be_bytes(bytes))
    }

    fn encode_refusal(_: &Refused, _: &mut Vec<u8>) {}

    fn decode_refusal(_: &[u8]) -> Result<Refused, DecodeError> {
        Ok(Refused)
    }

    fn encode_event(event: &Added, out: &mut Vec<u8>) -> EventKind {
        out.extend_from_slice(&event.0.to_be_bytes());
        EventKind { event_type: 1, schema_version: 1 }
    }

    fn decode_event(_: EventKind, payload: &[u8]) -> Result<Added, DecodeError> {
        let error = |_| DecodeError { what: "an event", reason: "eight bytes expected".to_owned() };
        Ok(Added(i64::from_be_bytes(payload.try_into().map_err(error)?)))
    }

    fn encode_state(state: &Vec<i64>, out: &mut Vec<u8>) {
        for added in state {
            out.extend_from_slice(&added.to_be_bytes());
        }
    }

    fn decode_state(_: &String, bytes: &[u8]) -> Result<Vec<i64>, DecodeError> {
        let added =
            bytes.chunks(8).map(|chunk| i64::from_be_bytes(chunk.try_into().expect("eight bytes")));
        Ok(added.collect())
    }

    fn state_bytes(state: &Vec<i64>) -> usize {
        state.len() * 8
    }
}

pub(crate) const SHARD: ShardId = ShardId(1);

pub(crate) fn identity() -> Identity {
    Identity { cluster: Uuid::from_u128(7), shards: 3 }
}

pub(crate) fn options() -> LogOptions {
    let db =
        DbOptions { cache_bytes: 1 << 20, write_buffer_bytes: 4 << 20, ..DbOptions::default() };
    LogOptions { create: Some(identity()), tail_bytes_max: 3 * 500, db, ..LogOptions::default() }
}

pub(crate) fn open(path: &Path) -> Arc<LogStore> {
    LogStore::open(path, &options()).expect("the store opens")
}

/// The store's families, to look at or damage what is below it.
pub(crate) fn open_raw(path: &Path) -> Arc<Db> {
    let families = ["log", "meta", "index", "snapshots"].map(FamilyOptions::new);
    Db::open(path, &families, &DbOptions::default()).expect("the database opens")
}

pub(crate) fn stepped(store: &Arc<LogStore>) -> Arc<LogWriter> {
    LogWriter::stepped(Arc::clone(store), Box::new(|_| ()))
}

pub(crate) fn step(writer: &LogWriter) {
    while writer.step_write() || writer.step_sync() {}
}

pub(crate) fn row(index: u64, term: u64, payload: impl Into<Bytes>) -> LogRow {
    LogRow {
        index: LogIndex(index),
        leader: Leader { term, node: 1 },
        kind: RowKind::Blank,
        payload: payload.into(),
    }
}

pub(crate) fn append(writer: &LogWriter, shard: ShardId, rows: Vec<LogRow>) {
    let done = Box::new(|result: Result<(), StoreError>| result.expect("it is durable"));
    writer.submit(WriteTask::Append { shard, rows, done }).expect("it is taken");
}

pub(crate) fn entry(sequence: u64, events: &[(&str, u64, i64)]) -> Entry {
    let metadata = vec![Metadata { user: "planner".to_owned(), ..Metadata::default() }];
    let events = events.iter().map(|(id, version, added)| {
        let mut payload = Vec::new();
        let kind = Counters::encode_event(&Added(*added), &mut payload);
        StoredEvent {
            aggregate: Bytes::copy_from_slice(id.as_bytes()),
            version: Version(*version),
            kind,
            payload: payload.into(),
            metadata: 0,
        }
    });
    Entry {
        timestamp: Timestamp(sequence + 1),
        decided: Timestamp(sequence + 1),
        sequence,
        metadata,
        events: events.collect(),
        step: Step::Events,
    }
}

/// One shard with its aggregates, driven as its leader would.
pub(crate) struct Shard {
    pub(crate) store: Arc<LogStore>,
    pub(crate) writer: Arc<LogWriter>,
    pub(crate) aggregates: Aggregates<Counters>,
    pub(crate) indexer: Indexer,
}

impl Shard {
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Self {
        let store = open(path);
        let writer = stepped(&store);
        let aggregates = Aggregates::new(SHARD, Arc::clone(&writer), cache_bytes);
        let indexer = store.index().indexer(SHARD);
        Self { store, writer, aggregates, indexer }
    }

    /// Appends, commits and applies an entry, without writing any of it yet.
    pub(crate) fn commit(&mut self, entry: Entry) -> Effect {
        let index = self.store.last(SHARD).map_or(0, |(last, _)| last.0 + 1);
        let payload = entry.encode().expect("a small entry");
        let row = LogRow { kind: RowKind::Events, ..row(index, 1, payload) };
        append(&self.writer, SHARD, vec![row.clone()]);
        let committed = Committed { index: row.index, leader: row.leader };
        self.writer.submit(WriteTask::Committed(SHARD, committed)).expect("it is taken");
        let effect = self
            .indexer
            .apply(&row, Some(&Resolved { entry: Arc::new(entry.clone()), held_at: row.index }));
        let update = self.indexer.take().expect("a row was applied");
        self.writer.submit(WriteTask::Index(update)).expect("it is taken");
        if effect == Effect::Events {
            let committed =
                CommittedEntry { shard: SHARD, index: row.index, entry: Arc::new(entry) };
            self.aggregates.apply(&committed).expect("it applies");
        }
        effect
    }

    /// Adds numbers to counters, in one entry.
    pub(crate) fn add(&mut self, added: &[(&str, i64)]) {
        let sequence = self.indexer.applied().map_or(0, |applied| applied.entries);
        let mut events: Vec<(&str, u64, i64)> = Vec::new();
        for (id, number) in added {
            let earlier = events.iter().filter(|(known, _, _)| known == id).count();
            let version = self.aggregates.load(&(*id).to_owned()).expect("it loads").version;
            events.push((id, version.0 + u64::try_from(earlier).unwrap() + 1, *number));
        }
        assert_eq!(self.commit(entry(sequence, &events)), Effect::Events);
    }
}
