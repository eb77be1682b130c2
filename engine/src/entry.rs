//! A log entry: the events of one batch of commands, as they are stored, replicated and fed.
//!
//! An entry is encoded once, when its commands have been decided, and never again: the same bytes go to the
//! log, to the other voters and to the feed. `docs/format.md` draws them. The header has a checksum and so has
//! each event, so that one event can be read, and trusted, without reading its neighbours.
//!
//! ```text
//! format version   1 byte      1
//! kind             1 byte      0: events; 1, 2, 3: prepare, decision, outcome ([`Step`])
//! timestamp        8 bytes     all numbers of fixed width are big-endian
//! sequence         8 bytes
//! event count      4 bytes
//! metadata bytes   4 bytes     length of the metadata table
//! event bytes      4 bytes     length of all event records
//! metadata table               a count, and for each: flags, user, application, [correlation], [transaction]
//! step             kinds 1 to 3 only, see [`Step`]
//! header crc32c    4 bytes     of all before it
//! offset table     4 bytes/event, where each record starts among the records
//! event records                one after the other, without gaps
//!
//! event record:
//! crc32c           4 bytes     of the event's ordinal, its aggregate id and the rest of the record
//! aggregate                    0, a length and the id; or how many bytes before this record the record stands
//!                              that holds the same id
//! version, event type, schema version, metadata, payload length: varints
//! payload
//! ```
//!
//! [`EntryBuilder`] writes that while a batch is being decided; [`EntryReader`] reads one event of it;
//! [`Entry::decode`] reads all. A flipped bit anywhere is an error.

mod builder;
mod reader;
mod step;

pub use builder::{EntryBuilder, EntryError, Mark};
pub use reader::EntryReader;
pub use step::{Attempt, Parts, STEP_BYTES_MAX, Step};

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{DecodeError, EventKind};
use crate::env::Timestamp;
use crate::position::{LogIndex, Position, ShardId, Version};

/// The longest payload of one event.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The longest encoded entry. A batch that would be longer becomes several entries.
pub const ENTRY_BYTES_MAX: usize = 8 << 20;

const _: () = assert!(EVENT_BYTES_MAX < ENTRY_BYTES_MAX, "an event fits in a log entry");

/// The longest stored form of one [`Metadata`].
pub const METADATA_BYTES_MAX: usize = 16 << 10;

const _: () = assert!(
    EVENT_BYTES_MAX + METADATA_BYTES_MAX + (1 << 10) <= ENTRY_BYTES_MAX,
    "an entry has room for any one event"
);

/// The format that is written and read.
const FORMAT_VERSION: u8 = 1;

/// Format version, kind, timestamp, sequence, event count, metadata bytes, event bytes.
const HEADER_BYTES: usize = 1 + 1 + 8 + 8 + 4 + 4 + 4;

const CHECKSUM_BYTES: usize = 4;
const OFFSET_BYTES: usize = 4;

/// The checksum of an event record. The ordinal and the aggregate are part of it, so that neither the offset
/// table nor a shared id can pass off one event for another.
fn record_checksum(ordinal: u32, aggregate: &[u8], rest: &[u8]) -> u32 {
    let checksum = crc32c::crc32c(&ordinal.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(checksum, aggregate), rest)
}

/// Who asked for a change, as far as the client said; stored once for each command's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The session user.
    pub user: String,
    /// `application_name` of the session.
    pub application: String,
    /// The client's own id for what it does (`rotabase.correlation_id`), if it gave one.
    pub correlation: Option<String>,
    /// The transaction that the events belong to: all that one statement, or one block, wrote.
    pub transaction: Option<uuid::Uuid>,
}

/// An event as it is stored: not yet decoded, but verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The aggregate, as [`crate::domain::Domain::encode_id`] wrote it.
    pub aggregate: Bytes,
    /// The event's number in its aggregate.
    pub version: Version,
    /// Its type and schema version.
    pub kind: EventKind,
    /// Its payload, in that schema version.
    pub payload: Bytes,
    /// Which of the entry's metadata belongs to it.
    pub metadata: u16,
}

/// A decoded entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The time that all its events carry.
    pub timestamp: Timestamp,
    /// When its events were decided: its timestamp, but before that for an outcome with the events of its prepare.
    /// What a statement did at about the same time has about the same here, in any shard.
    pub decided: Timestamp,
    /// How many entries with events the shard had before this one: what the leader decided it on. A gap means
    /// that an earlier proposal was lost, and the entry is void.
    pub sequence: u64,
    /// The metadata that its events name.
    pub metadata: Vec<Metadata>,
    /// Its events in order; those of one aggregate have consecutive versions.
    pub events: Vec<StoredEvent>,
    /// What it does for them.
    pub step: Step,
}

impl Entry {
    /// The bytes of the entry. Equal metadata that stand side by side become one.
    pub fn encode(&self) -> Result<Bytes, EntryError> {
        let mut builder = EntryBuilder::new();
        let mut numbers = Vec::with_capacity(self.metadata.len());
        for metadata in &self.metadata {
            numbers.push(builder.metadata(metadata)?);
        }
        for event in &self.events {
            let metadata = numbers
                .get(usize::from(event.metadata))
                .expect("an event's metadata is in its entry");
            builder.push(&event.aggregate, event.version, event.kind, &event.payload, *metadata)?;
        }
        Ok(builder.finish_step(self.timestamp, self.sequence, &self.step))
    }

    /// Reads and verifies all of an entry. Ids and payloads are slices of `bytes`, not copies.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let reader = EntryReader::new(bytes)?;
        Ok(Self {
            timestamp: reader.timestamp(),
            decided: reader.timestamp(),
            sequence: reader.sequence(),
            events: reader.events()?,
            step: reader.step().clone(),
            metadata: reader.into_metadata(),
        })
    }

    /// The prepare that has to be read before it is known what happens with this entry: that of an outcome which
    /// commits and does not hold the events itself.
    pub fn pending_on(&self) -> Option<LogIndex> {
        match &self.step {
            Step::Outcome { commit: true, prepared, .. } if self.events.is_empty() => {
                Some(*prepared)
            }
            _ => None,
        }
    }

    /// This outcome with the events that it lets happen: those of its prepare.
    #[must_use]
    pub fn with_events_of(self, prepare: Self) -> Self {
        let Self { metadata, events, timestamp: decided, .. } = prepare;
        Self { decided, metadata, events, ..self }
    }
}

/// An entry with all the events that it lets happen, and where their bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The entry; an outcome has the events of its prepare.
    pub entry: Arc<Entry>,
    /// The log entry that holds the events: itself, or the prepare.
    pub held_at: LogIndex,
}

impl Resolved {
    /// The entry at `index` with what it lets happen. `prepare` reads an earlier entry of the same log.
    pub fn new<E>(
        index: LogIndex,
        entry: Entry,
        prepare: impl FnOnce(LogIndex) -> Result<Entry, E>,
    ) -> Result<Self, E> {
        let Some(prepared) = entry.pending_on() else {
            return Ok(Self { entry: Arc::new(entry), held_at: index });
        };
        let prepare = prepare(prepared)?;
        Ok(Self { entry: Arc::new(entry.with_events_of(prepare)), held_at: prepared })
    }

    /// Whether the feed shows it: it is of no transaction, or events of one happen with it.
    pub fn happens(&self) -> bool {
        match self.entry.step {
            Step::Events => true,
            _ => self.entry.step.lets_happen() && !self.entry.events.is_empty(),
        }
    }
}

/// An entry that is committed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Its shard.
    pub shard: ShardId,
    /// Its index in the shard's log.
    pub index: LogIndex,
    /// What it holds.
    pub entry: Arc<Entry>,
}

impl CommittedEntry {
    /// The events and their positions.
    pub fn events(&self) -> impl Iterator<Item = (Position, &StoredEvent)> {
        self.entry
            .events
            .iter()
            .enumerate()
            .map(|(ordinal, event)| (Position::new(self.index, ordinal), event))
    }

    /// The watermark that covers the entry.
    pub fn end(&self) -> Position {
        Position::end_of(self.index)
    }
}
