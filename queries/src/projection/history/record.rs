//! A row of a history: an event as it stands in the log, with who caused it.

use rotabase_engine::domain::{Domain as _, EventKind};
use rotabase_engine::entry::{CommittedEntry, Metadata, StoredEvent};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{Position, ShardId, Version};
use rotabase_engine::schedule::{AggregateId, Event, LegId, Schedule};
use uuid::Uuid;

use super::super::key::Key;
use super::super::row::{Fields, corrupted};
use super::super::rows::Result;
use super::Subject;

/// The first byte of a value.
mod form {
    /// The event itself.
    pub(super) const EVENT: u8 = 0;
    /// The leg whose history has the event at the same place.
    pub(super) const REFERENCE: u8 = 1;
}

/// What there is of the metadata that may be missing.
mod flag {
    pub(super) const CORRELATION: u8 = 1;
    pub(super) const TRANSACTION: u8 = 2;
}

/// Where an event stands in the history of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) timestamp: Timestamp,
    pub(crate) shard: ShardId,
    pub(crate) position: u64,
}

impl Place {
    /// Where an entry's event stands.
    pub(crate) fn of(entry: &CommittedEntry, at: usize) -> Self {
        Self {
            timestamp: entry.entry.timestamp,
            shard: entry.shard,
            position: u64::try_from(Position::new(entry.index, at).to_i64()).unwrap_or(0),
        }
    }

    /// The key of a subject's event.
    pub(crate) fn key(self, subject: Subject) -> Key {
        let key = subject.key().uint8(self.timestamp.0);
        key.bytes(&self.shard.0.to_be_bytes()).uint8(self.position)
    }
}

/// An event in the history of a subject.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) place: Place,
    pub(crate) aggregate: AggregateId,
    pub(crate) version: Version,
    pub(crate) event_type: u16,
    pub(crate) event: Event,
    pub(crate) metadata: Metadata,
}

/// What a row of a history says.
#[derive(Debug)]
pub(crate) enum Row {
    Event(Box<Record>),
    /// In the history of a rotation: what happened to a leg in it.
    Reference(LegId, Place),
}

/// Appends the value of an event's row.
pub(super) fn encode(event: &StoredEvent, metadata: &Metadata, out: &mut Vec<u8>) {
    let text = |text: &str, out: &mut Vec<u8>| {
        // Longer names than that are cut; they are not names any more.
        let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
        out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(text);
    };
    out.push(form::EVENT);
    out.extend_from_slice(&event.kind.event_type.to_be_bytes());
    out.extend_from_slice(&event.kind.schema_version.to_be_bytes());
    out.extend_from_slice(&event.version.0.to_be_bytes());
    out.push(u8::try_from(event.aggregate.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(&event.aggregate);
    let correlation = if metadata.correlation.is_some() { flag::CORRELATION } else { 0 };
    let transaction = if metadata.transaction.is_some() { flag::TRANSACTION } else { 0 };
    out.push(correlation | transaction);
    text(&metadata.user, out);
    text(&metadata.application, out);
    if let Some(correlation) = &metadata.correlation {
        text(correlation, out);
    }
    if let Some(transaction) = &metadata.transaction {
        out.extend_from_slice(transaction.as_bytes());
    }
    out.extend_from_slice(&event.payload);
}

/// The value of a row that refers to a leg's.
pub(crate) fn reference(leg: LegId) -> Key {
    Key::default().bytes(&[form::REFERENCE]).uuid(leg.0)
}

impl Row {
    /// Reads a row of a history.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<(Subject, Self)> {
        let mut fields = Fields(key);
        let subject = Subject::read(&mut fields)?;
        let place = Place {
            timestamp: Timestamp(fields.uint8()?),
            shard: ShardId(u16::from_be_bytes(fields.array()?)),
            position: fields.uint8()?,
        };
        let mut fields = Fields(value);
        Ok(match fields.byte()? {
            form::EVENT => (subject, Self::Event(Box::new(Record::decode(place, fields)?))),
            form::REFERENCE => (subject, Self::Reference(LegId(fields.uuid()?), place)),
            _ => return Err(corrupted("not a row of a history")),
        })
    }
}

impl Record {
    fn decode(place: Place, mut fields: Fields<'_>) -> Result<Self> {
        let kind = EventKind {
            event_type: u16::from_be_bytes(fields.array()?),
            schema_version: u16::from_be_bytes(fields.array()?),
        };
        let version = Version(fields.uint8()?);
        let length = usize::from(fields.byte()?);
        let aggregate = Schedule::decode_id(fields.bytes(length)?)
            .map_err(|error| corrupted(&error.to_string()))?;
        let flags = fields.byte()?;
        let mut metadata = Metadata {
            user: text(&mut fields)?,
            application: text(&mut fields)?,
            ..Metadata::default()
        };
        if flags & flag::CORRELATION != 0 {
            metadata.correlation = Some(text(&mut fields)?);
        }
        if flags & flag::TRANSACTION != 0 {
            metadata.transaction = Some(Uuid::from_bytes(fields.array()?));
        }
        let event = Schedule::decode_event(kind, fields.0)
            .map_err(|error| corrupted(&error.to_string()))?;
        Ok(Self { place, aggregate, version, event_type: kind.event_type, event, metadata })
    }
}

fn text(fields: &mut Fields<'_>) -> Result<String> {
    let length = usize::from(u16::from_be_bytes(fields.array()?));
    // A text that was cut may end within a character.
    Ok(String::from_utf8_lossy(fields.bytes(length)?).into_owned())
}
