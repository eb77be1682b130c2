//! Writes an entry while its commands are being decided.

use std::hash::Hasher;

use bytes::Bytes;
use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::{
    CHECKSUM_BYTES, ENTRY_BYTES_MAX, EVENT_BYTES_MAX, FORMAT_VERSION, HEADER_BYTES,
    METADATA_BYTES_MAX, Metadata, OFFSET_BYTES, Step, record_checksum,
};
use crate::domain::{AGGREGATE_ID_BYTES_MAX, Domain, EventKind};
use crate::env::Timestamp;
use crate::position::{ENTRY_EVENTS_MAX, Version};
use crate::varint::{write_bytes, write_unsigned};

/// Checksum, aggregate, version, event type, schema version, metadata and payload length at their longest.
const RECORD_OVERHEAD_MAX: usize = CHECKSUM_BYTES + 2 + AGGREGATE_ID_BYTES_MAX + 10 + 3 + 3 + 3 + 4;

/// Why something did not go into an entry. The entry is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// There is no room left: finish this entry and start another.
    #[error("a log entry is full")]
    Full,
    /// The event is too long for any entry.
    #[error("an event of {0} bytes is longer than {EVENT_BYTES_MAX} bytes")]
    EventTooLong(usize),
    /// The metadata is too long for any entry.
    #[error("metadata of {0} bytes is longer than {METADATA_BYTES_MAX} bytes")]
    MetadataTooLong(usize),
}

/// An entry that is being written. Its bytes are bounded: what would pass a bound is refused, and the entry
/// stays as it was.
#[derive(Debug, Default)]
pub struct EntryBuilder {
    metadata: Vec<u8>,
    // Invariant: ascending starts of the encoded metadata in `metadata`.
    metadata_starts: Vec<usize>,
    records: Vec<u8>,
    // Invariant: ascending starts of the records in `records`.
    offsets: Vec<u32>,
    // Where in `records` the record stands that holds an aggregate's id.
    aggregates: HashTable<u32>,
    // The event that is being encoded.
    payload: Vec<u8>,
}

/// A place in an entry that is being written, to come back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    events: usize,
    metadata: usize,
}

impl EntryBuilder {
    /// An entry without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether it holds no event.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// How many bytes [`EntryBuilder::finish`] would give.
    pub fn bytes(&self) -> usize {
        self.bytes_with(0, 0, 0)
    }

    fn bytes_with(&self, metadata_bytes: usize, record_bytes: usize, records: usize) -> usize {
        const METADATA_COUNT_BYTES: usize = 3;
        HEADER_BYTES
            + METADATA_COUNT_BYTES
            + self.metadata.len()
            + metadata_bytes
            + CHECKSUM_BYTES
            + (self.offsets.len() + records) * OFFSET_BYTES
            + self.records.len()
            + record_bytes
    }

    /// Adds metadata and returns its number, for the events that follow. What was added last is not added again.
    pub fn metadata(&mut self, metadata: &Metadata) -> Result<u16, EntryError> {
        let mut encoded = Vec::with_capacity(64);
        encode_metadata(metadata, &mut encoded);
        if encoded.len() > METADATA_BYTES_MAX {
            return Err(EntryError::MetadataTooLong(encoded.len()));
        }
        if let Some(last) = self.metadata_starts.last()
            && self.metadata[*last..] == encoded
        {
            return Ok(
                u16::try_from(self.metadata_starts.len() - 1).expect("checked when it was added")
            );
        }
        let number =
            u16::try_from(self.metadata_starts.len()).ok().filter(|number| *number < u16::MAX);
        let number = number.ok_or(EntryError::Full)?;
        if self.bytes_with(encoded.len(), 0, 0) > ENTRY_BYTES_MAX {
            return Err(EntryError::Full);
        }
        self.metadata_starts.push(self.metadata.len());
        self.metadata.extend_from_slice(&encoded);
        Ok(number)
    }

    /// Encodes and adds an event. `aggregate` is the encoded id.
    pub fn push_event<D: Domain>(
        &mut self,
        aggregate: &[u8],
        version: Version,
        event: &D::Event,
        metadata: u16,
    ) -> Result<(), EntryError> {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let kind = D::encode_event(event, &mut payload);
        let pushed = self.push(aggregate, version, kind, &payload, metadata);
        self.payload = payload;
        pushed
    }

    /// Adds an event that is encoded already.
    pub fn push(
        &mut self,
        aggregate: &[u8],
        version: Version,
        kind: EventKind,
        payload: &[u8],
        metadata: u16,
    ) -> Result<(), EntryError> {
        assert!(aggregate.len() <= AGGREGATE_ID_BYTES_MAX, "an aggregate id is short");
        assert!(
            usize::from(metadata) < self.metadata_starts.len(),
            "metadata is added before its events"
        );
        assert!(version > Version::default(), "versions start at 1");
        if payload.len() > EVENT_BYTES_MAX {
            return Err(EntryError::EventTooLong(payload.len()));
        }
        let bytes = self.bytes_with(0, payload.len() + RECORD_OVERHEAD_MAX, 1);
        if bytes > ENTRY_BYTES_MAX || self.offsets.len() == ENTRY_EVENTS_MAX {
            return Err(EntryError::Full);
        }
        let start = self.records.len();
        let offset = fixed(start);
        self.records.extend_from_slice(&[0; CHECKSUM_BYTES]);
        self.write_aggregate(aggregate, offset);
        write_unsigned(version.0, &mut self.records);
        write_unsigned(u64::from(kind.event_type), &mut self.records);
        write_unsigned(u64::from(kind.schema_version), &mut self.records);
        write_unsigned(u64::from(metadata), &mut self.records);
        write_bytes(payload, &mut self.records);
        let checksum = record_checksum(
            fixed(self.offsets.len()),
            aggregate,
            &self.records[start + CHECKSUM_BYTES..],
        );
        self.records[start..start + CHECKSUM_BYTES].copy_from_slice(&checksum.to_be_bytes());
        self.offsets.push(offset);
        assert!(self.bytes() <= ENTRY_BYTES_MAX, "the room was measured before");
        Ok(())
    }

    /// Writes the id, or how far back the record stands that holds it.
    fn write_aggregate(&mut self, aggregate: &[u8], offset: u32) {
        let hash = hash(aggregate);
        let records = &self.records;
        if let Some(holder) =
            self.aggregates.find(hash, |holder| aggregate_at(records, *holder) == aggregate)
        {
            let distance = offset - holder;
            return write_unsigned(u64::from(distance), &mut self.records);
        }
        self.records.push(0);
        write_bytes(aggregate, &mut self.records);
        let records = &self.records;
        self.aggregates
            .insert_unique(hash, offset, |holder| self::hash(aggregate_at(records, *holder)));
    }

    /// Where the entry stands now.
    pub fn mark(&self) -> Mark {
        Mark { events: self.offsets.len(), metadata: self.metadata_starts.len() }
    }

    /// Takes out what came after `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        assert!(mark.events <= self.offsets.len(), "a mark of this entry");
        assert!(mark.metadata <= self.metadata_starts.len(), "a mark of this entry");
        if let Some(first) = self.offsets.get(mark.events) {
            for offset in &self.offsets[mark.events..] {
                if self.records[place(*offset) + CHECKSUM_BYTES] == 0 {
                    let hash = hash(aggregate_at(&self.records, *offset));
                    let held = self.aggregates.find_entry(hash, |holder| holder == offset);
                    held.expect("each id that a record holds is known").remove();
                }
            }
            self.records.truncate(place(*first));
            self.offsets.truncate(mark.events);
        }
        if let Some(first) = self.metadata_starts.get(mark.metadata) {
            self.metadata.truncate(*first);
            self.metadata_starts.truncate(mark.metadata);
        }
    }

    /// The bytes of an entry whose events happen when it is committed.
    pub fn finish(self, timestamp: Timestamp, sequence: u64) -> Bytes {
        self.finish_step(timestamp, sequence, &Step::Events)
    }

    /// The bytes of the entry as a step of a transaction: up to [`super::STEP_BYTES_MAX`] more than of one that is none.
    pub fn finish_step(self, timestamp: Timestamp, sequence: u64, step: &Step) -> Bytes {
        let mut count = Vec::with_capacity(3);
        write_unsigned(
            u64::try_from(self.metadata_starts.len()).expect("fits 64 bits"),
            &mut count,
        );
        let mut out = Vec::with_capacity(self.bytes());
        out.push(FORMAT_VERSION);
        out.push(step.kind());
        out.extend_from_slice(&timestamp.0.to_be_bytes());
        out.extend_from_slice(&sequence.to_be_bytes());
        out.extend_from_slice(&fixed(self.offsets.len()).to_be_bytes());
        out.extend_from_slice(&fixed(count.len() + self.metadata.len()).to_be_bytes());
        out.extend_from_slice(&fixed(self.records.len()).to_be_bytes());
        assert!(out.len() == HEADER_BYTES, "the header has its length");
        out.extend_from_slice(&count);
        out.extend_from_slice(&self.metadata);
        step.encode(&mut out);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        for offset in &self.offsets {
            out.extend_from_slice(&offset.to_be_bytes());
        }
        out.extend_from_slice(&self.records);
        Bytes::from(out)
    }
}

/// The id that the record at `offset` holds.
fn aggregate_at(records: &[u8], offset: u32) -> &[u8] {
    let at = place(offset) + CHECKSUM_BYTES;
    assert!(records[at] == 0, "the record holds an id");
    // Ids are short, so their length takes one byte.
    let length = usize::from(records[at + 1]);
    &records[at + 2..at + 2 + length]
}

const _: () = assert!(AGGREGATE_ID_BYTES_MAX < 0x80, "the length of an id takes one byte");

fn hash(aggregate: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(aggregate);
    hasher.finish()
}

fn fixed(length: usize) -> u32 {
    u32::try_from(length).expect("an entry is shorter than 4 GiB")
}

fn place(offset: u32) -> usize {
    usize::try_from(offset).expect("an offset fits memory")
}

/// Flags of a metadata's optional parts.
pub(super) const CORRELATION: u8 = 1;
pub(super) const TRANSACTION: u8 = 2;

fn encode_metadata(metadata: &Metadata, out: &mut Vec<u8>) {
    let Metadata { user, application, correlation, transaction } = metadata;
    let correlation_flag = if correlation.is_some() { CORRELATION } else { 0 };
    let transaction_flag = if transaction.is_some() { TRANSACTION } else { 0 };
    out.push(correlation_flag | transaction_flag);
    write_bytes(user.as_bytes(), out);
    write_bytes(application.as_bytes(), out);
    if let Some(correlation) = correlation {
        write_bytes(correlation.as_bytes(), out);
    }
    if let Some(transaction) = transaction {
        out.extend_from_slice(transaction.as_bytes());
    }
}
