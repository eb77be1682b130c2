//! Entries: what is read is what was written, or an error.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rotabase_engine::domain::{Domain, EventKind};
use rotabase_engine::entry::{
    ENTRY_BYTES_MAX, EVENT_BYTES_MAX, Entry, EntryBuilder, EntryError, EntryReader, Metadata, Step,
    StoredEvent,
};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::Schedule;
use uuid::Uuid;

use crate::arbitrary;

fn metadata() -> impl Strategy<Value = Metadata> {
    (".{0,9}", ".{0,9}", option::of(".{0,9}"), option::of(any::<u128>())).prop_map(
        |(user, application, correlation, transaction)| Metadata {
            user,
            application,
            correlation,
            transaction: transaction.map(Uuid::from_u128),
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    let few_ids = vec(arbitrary::id(), 1..4);
    let events = vec(
        (any::<prop::sample::Index>(), arbitrary::event(), any::<prop::sample::Index>()),
        0..12,
    );
    (any::<u64>(), any::<u64>(), vec(metadata(), 1..4), few_ids, events).prop_map(
        |(timestamp, sequence, mut metadata, ids, events)| {
            metadata.dedup();
            let events = (1..)
                .zip(events)
                .map(|(version, (id, event, number))| {
                    let (mut aggregate, mut payload) = (Vec::new(), Vec::new());
                    Schedule::encode_id(&ids[id.index(ids.len())], &mut aggregate);
                    let kind = Schedule::encode_event(&event, &mut payload);
                    let metadata = u16::try_from(number.index(metadata.len())).unwrap();
                    StoredEvent {
                        aggregate: aggregate.into(),
                        version: Version(version),
                        kind,
                        payload: payload.into(),
                        metadata,
                    }
                })
                .collect();
            Entry {
                timestamp: Timestamp(timestamp),
                decided: Timestamp(timestamp),
                sequence,
                metadata,
                events,
                step: Step::Events,
            }
        },
    )
}

proptest! {
    #[test]
    fn an_entry_reads_back_as_a_whole_and_by_event(entry in entry()) {
        let bytes = entry.encode().unwrap();
        prop_assert_eq!(Entry::decode(bytes.clone()), Ok(entry.clone()));
        let reader = EntryReader::new(bytes).unwrap();
        prop_assert_eq!(reader.len(), entry.events.len());
        for (ordinal, event) in entry.events.iter().enumerate().rev() {
            prop_assert_eq!(reader.event(ordinal), Ok(event.clone()));
        }
        prop_assert!(reader.event(entry.events.len()).is_err());
    }

    #[test]
    fn any_flipped_bit_is_detected(entry in entry()) {
        let bytes = entry.encode().unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            let damaged = Bytes::from(damaged);
            prop_assert!(Entry::decode(damaged.clone()).is_err(), "byte {}", at);
            // One event alone is what was written, or an error.
            let Ok(reader) = EntryReader::new(damaged) else { continue };
            for (ordinal, event) in entry.events.iter().enumerate() {
                if let Ok(read) = reader.event(ordinal) {
                    prop_assert_eq!(&read, event);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Entry::decode(Bytes::from(bytes));
    }

    #[test]
    fn what_is_rolled_back_leaves_no_trace(kept in entry(), dropped in entry(), after in entry()) {
        let fill = |builder: &mut EntryBuilder, entry: &Entry| {
            let metadata = builder.metadata(&entry.metadata[0]).unwrap();
            for it in &entry.events {
                builder.push(&it.aggregate, it.version, it.kind, &it.payload, metadata).unwrap();
            }
        };
        let mut builder = EntryBuilder::new();
        fill(&mut builder, &kept);
        let mark = builder.mark();
        fill(&mut builder, &dropped);
        builder.rollback(mark);
        fill(&mut builder, &after);
        let mut plain = EntryBuilder::new();
        fill(&mut plain, &kept);
        fill(&mut plain, &after);
        let (rolled_back, plain) = (builder.finish(Timestamp(1), 2), plain.finish(Timestamp(1), 2));
        prop_assert_eq!(&rolled_back, &plain);
        prop_assert!(Entry::decode(plain).is_ok());
    }
}

const KIND: EventKind = EventKind { event_type: 1, schema_version: 1 };

#[test]
fn ids_and_payloads_are_slices_of_the_entry() {
    let mut builder = EntryBuilder::new();
    let metadata = builder.metadata(&Metadata::default()).unwrap();
    builder.push(b"one", Version(1), KIND, b"payload", metadata).unwrap();
    builder.push(b"one", Version(2), KIND, b"payload", metadata).unwrap();
    let bytes = builder.finish(Timestamp(5), 6);
    let range = bytes.as_ptr_range();
    let entry = Entry::decode(bytes.clone()).unwrap();
    for event in &entry.events {
        assert!(
            range.contains(&event.payload.as_ptr()) && range.contains(&event.aggregate.as_ptr())
        );
    }
    assert_eq!(
        entry.events[0].aggregate.as_ptr(),
        entry.events[1].aggregate.as_ptr(),
        "a repeated id is stored once"
    );
}

#[test]
fn an_entry_never_passes_its_bound() {
    let mut builder = EntryBuilder::new();
    let metadata = builder.metadata(&Metadata::default()).unwrap();
    let payload = vec![7; EVENT_BYTES_MAX];
    let longer = vec![7; EVENT_BYTES_MAX + 1];
    assert_eq!(
        builder.push(b"a", Version(1), KIND, &longer, metadata),
        Err(EntryError::EventTooLong(EVENT_BYTES_MAX + 1))
    );
    let mut version = Version(1);
    while builder.push(b"a", version, KIND, &payload, metadata).is_ok() {
        version = version.next();
    }
    assert_eq!(version, Version(8), "seven events of a MiB fit into eight MiB");
    let before = builder.bytes();
    assert_eq!(builder.push(b"a", version, KIND, &payload, metadata), Err(EntryError::Full));
    assert_eq!(builder.bytes(), before);
    let bytes = builder.finish(Timestamp(1), 1);
    assert!(bytes.len() <= before && before <= ENTRY_BYTES_MAX);
    assert_eq!(Entry::decode(bytes).unwrap().events.len(), 7);
}

#[test]
fn an_unknown_kind_is_an_error() {
    let mut bytes = EntryBuilder::new().finish(Timestamp(1), 1).to_vec();
    bytes[1] = 9;
    assert_eq!(
        Entry::decode(bytes.into()).unwrap_err().to_string(),
        "could not decode a log entry: unknown kind 9"
    );
}
