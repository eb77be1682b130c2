//! Reads an entry, as a whole or one event of it. Nothing is believed before its checksum agrees.

use bytes::Bytes;
use uuid::Uuid;

use super::builder::{CORRELATION, TRANSACTION};
use super::{
    CHECKSUM_BYTES, ENTRY_BYTES_MAX, FORMAT_VERSION, HEADER_BYTES, Metadata, OFFSET_BYTES,
    STEP_BYTES_MAX, Step, StoredEvent, record_checksum,
};
use crate::domain::{AGGREGATE_ID_BYTES_MAX, DecodeError, EventKind};
use crate::env::Timestamp;
use crate::position::{ENTRY_EVENTS_MAX, Version};
use crate::varint::Reader;

const WHAT: &str = "a log entry";

/// An entry whose header is verified and whose events are not yet read.
#[derive(Clone, Debug)]
pub struct EntryReader {
    bytes: Bytes,
    timestamp: Timestamp,
    sequence: u64,
    metadata: Vec<Metadata>,
    step: Step,
    count: usize,
    offsets_at: usize,
    records_at: usize,
}

impl EntryReader {
    /// Reads and verifies the header of an entry.
    pub fn new(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(WHAT, &bytes);
        if bytes.len() > ENTRY_BYTES_MAX + STEP_BYTES_MAX {
            return Err(reader.error(format!("{} bytes are too many", bytes.len())));
        }
        let version = reader.byte()?;
        if version != FORMAT_VERSION {
            return Err(reader.error(format!("unknown format version {version}")));
        }
        let kind = reader.byte()?;
        let timestamp = Timestamp(u64::from_be_bytes(reader.array()?));
        let sequence = u64::from_be_bytes(reader.array()?);
        let count = fixed(&mut reader)?;
        let metadata_bytes = fixed(&mut reader)?;
        let record_bytes = fixed(&mut reader)?;
        let table = reader.take(metadata_bytes)?;
        let (step, step_bytes) = Step::decode(kind, &bytes[HEADER_BYTES + metadata_bytes..])?;
        reader.take(step_bytes)?;
        let checksum_at = HEADER_BYTES + metadata_bytes + step_bytes;
        if crc32c::crc32c(&bytes[..checksum_at]) != u32::from_be_bytes(reader.array()?) {
            return Err(reader.error("the header's checksum does not agree"));
        }
        let metadata = read_metadata(table)?;
        let offsets_at = checksum_at + CHECKSUM_BYTES;
        let records_at = offsets_at + count * OFFSET_BYTES;
        if count > ENTRY_EVENTS_MAX || records_at + record_bytes != bytes.len() {
            return Err(reader.error("its length does not agree with its header"));
        }
        Ok(Self { bytes, timestamp, sequence, metadata, step, count, offsets_at, records_at })
    }

    /// The time that all its events carry.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// How many entries with events the shard had before this one.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What it does for its events.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// The metadata that its events name.
    pub fn metadata(&self) -> &[Metadata] {
        &self.metadata
    }

    /// The metadata that its events name.
    pub fn into_metadata(self) -> Vec<Metadata> {
        self.metadata
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it holds no event.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads and verifies one event, without looking at the others.
    pub fn event(&self, ordinal: usize) -> Result<StoredEvent, DecodeError> {
        if ordinal >= self.count {
            return Err(error(format!("it has {} events, not an event {ordinal}", self.count)));
        }
        let (event, _) = self.record(ordinal, self.offset(ordinal))?;
        Ok(event)
    }

    /// Reads and verifies all events.
    pub fn events(&self) -> Result<Vec<StoredEvent>, DecodeError> {
        // The offset table is as long as this, so the memory is bounded by the entry's length.
        let mut events = Vec::with_capacity(self.count);
        let mut expected = 0;
        for ordinal in 0..self.count {
            if self.offset(ordinal) != expected {
                return Err(error(format!("event {ordinal} is not where it should be")));
            }
            let (event, length) = self.record(ordinal, expected)?;
            events.push(event);
            expected += length;
        }
        if self.records_at + expected != self.bytes.len() {
            return Err(error("bytes follow the last event"));
        }
        Ok(events)
    }

    fn offset(&self, ordinal: usize) -> usize {
        let mut table = Reader::new(WHAT, &self.bytes[self.offsets_at + ordinal * OFFSET_BYTES..]);
        fixed(&mut table).expect("the table's length was checked")
    }

    /// Reads the record at `offset`, and says how long it is.
    fn record(&self, ordinal: usize, offset: usize) -> Result<(StoredEvent, usize), DecodeError> {
        let records = &self.bytes[self.records_at..];
        let record =
            records.get(offset..).ok_or_else(|| error(format!("event {ordinal} is outside")))?;
        let mut reader = Reader::new(WHAT, record);
        let checksum = u32::from_be_bytes(reader.array()?);
        let aggregate = match reader.unsigned_as()? {
            0 => reader.bytes()?,
            distance => {
                let holder = offset
                    .checked_sub(distance)
                    .ok_or_else(|| error("an aggregate id is outside"))?;
                holder_of_id(&records[holder..])?
            }
        };
        if aggregate.len() > AGGREGATE_ID_BYTES_MAX {
            return Err(error("an aggregate id is too long"));
        }
        let version = Version(reader.unsigned()?);
        let kind =
            EventKind { event_type: reader.unsigned_as()?, schema_version: reader.unsigned_as()? };
        let metadata: u16 = reader.unsigned_as()?;
        let payload = reader.bytes()?;
        let length = record.len() - reader.remaining();
        let number = u32::try_from(ordinal).expect("below ENTRY_EVENTS_MAX");
        if record_checksum(number, aggregate, &record[CHECKSUM_BYTES..length]) != checksum {
            return Err(error(format!("the checksum of event {ordinal} does not agree")));
        }
        if usize::from(metadata) >= self.metadata.len() || version == Version::default() {
            return Err(error(format!("event {ordinal} is not as it is written")));
        }
        let (aggregate, payload) = (self.bytes.slice_ref(aggregate), self.bytes.slice_ref(payload));
        Ok((StoredEvent { aggregate, version, kind, payload, metadata }, length))
    }
}

/// The aggregate id that the record at the start of `record` holds.
fn holder_of_id(record: &[u8]) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(WHAT, record);
    reader.take(CHECKSUM_BYTES)?;
    if reader.byte()? != 0 {
        return Err(error("an aggregate id is not where it should be"));
    }
    reader.bytes()
}

fn read_metadata(table: &[u8]) -> Result<Vec<Metadata>, DecodeError> {
    let mut reader = Reader::new("the metadata of a log entry", table);
    let count: u16 = reader.unsigned_as()?;
    let mut metadata = Vec::new();
    for _ in 0..count {
        let flags = reader.byte()?;
        if flags & !(CORRELATION | TRANSACTION) != 0 {
            return Err(reader.error(format!("unknown flags {flags:#04x}")));
        }
        metadata.push(Metadata {
            user: reader.text()?.to_owned(),
            application: reader.text()?.to_owned(),
            correlation: if flags & CORRELATION != 0 {
                Some(reader.text()?.to_owned())
            } else {
                None
            },
            transaction: if flags & TRANSACTION != 0 {
                Some(Uuid::from_bytes(reader.array()?))
            } else {
                None
            },
        });
    }
    reader.finish()?;
    Ok(metadata)
}

fn fixed(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    Ok(usize::try_from(u32::from_be_bytes(reader.array()?)).expect("fits memory"))
}

fn error(reason: impl Into<String>) -> DecodeError {
    DecodeError { what: WHAT, reason: reason.into() }
}
