//! A log entry: the events of one batch of commands, as they are stored, replicated and fed.
//!
//! An entry is encoded once, when its commands have been decided, and never again: the same bytes go to the
//! log, to the other voters and to the feed. `docs/format.md` draws them. The header has a checksum and so has
//! each event, so that one event can be read, and trusted, without reading its neighbours.

use bytes::Bytes;

use crate::domain::EventKind;
use crate::env::Timestamp;
use crate::position::{LogIndex, Position, ShardId, Version};

/// The longest payload of one event.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The longest encoded entry. A batch that would be longer becomes several entries.
pub const ENTRY_BYTES_MAX: usize = 8 << 20;

const _: () = assert!(EVENT_BYTES_MAX < ENTRY_BYTES_MAX, "an event fits in a log entry");

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
    /// How many entries with events the shard had before this one: what the leader decided it on. A gap means
    /// that an earlier proposal was lost, and the entry is void.
    pub sequence: u64,
    /// The metadata that its events name.
    pub metadata: Vec<Metadata>,
    /// Its events in order; those of one aggregate have consecutive versions.
    pub events: Vec<StoredEvent>,
}

/// An entry that is committed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Its shard.
    pub shard: ShardId,
    /// Its index in the shard's log.
    pub index: LogIndex,
    /// What it holds.
    pub entry: std::sync::Arc<Entry>,
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
