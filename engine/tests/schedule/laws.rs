//! What holds for every history.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use rotabase_engine::domain::{Domain, EventKind};
use rotabase_engine::schedule::{
    AggregateId, Command, EVENT_TYPES, Event, Schedule, State, payload_json,
};

use crate::arbitrary;

/// All aggregates of a history and their events.
#[derive(Default)]
struct History {
    states: BTreeMap<AggregateId, State>,
    events: BTreeMap<AggregateId, Vec<Event>>,
}

impl History {
    fn of(commands: &[(AggregateId, Command)]) -> Self {
        let mut history = Self::default();
        for (id, command) in commands {
            let state = history.states.entry(*id).or_insert_with(|| Schedule::initial(id));
            for event in Schedule::decide(id, state, command).unwrap_or_default() {
                Schedule::evolve(state, &event);
                history.events.entry(*id).or_default().push(event);
            }
        }
        history
    }
}

proptest! {
    #[test]
    fn no_accepted_history_leaves_two_legs_of_a_rotation_overlapping(commands in vec(arbitrary::command(), 0..120)) {
        for state in History::of(&commands).states.values() {
            let State::Rotation(rotation) = state else { continue };
            let legs: Vec<_> = rotation.legs().collect();
            for (at, leg) in legs.iter().enumerate() {
                prop_assert_eq!(rotation.leg(leg.id), Some(*leg));
                for other in &legs[at + 1..] {
                    prop_assert!(!leg.block.overlaps(other.block));
                    prop_assert!(leg.id != other.id);
                }
            }
        }
    }

    #[test]
    fn a_leg_is_refused_only_if_one_is_in_its_way(commands in vec(arbitrary::command(), 0..60), leg in arbitrary::small_leg()) {
        for (id, state) in History::of(&commands).states {
            let State::Rotation(rotation) = &state else { continue };
            let in_its_way = rotation.legs().find(|it| it.id != leg.id && it.block.overlaps(leg.block));
            prop_assert_eq!(rotation.overlapping(leg.block, Some(leg.id)), in_its_way);
            let free = rotation.exists() && rotation.leg(leg.id).is_none() && in_its_way.is_none();
            prop_assert_eq!(Schedule::decide(&id, &state, &Command::AddLeg(Box::new(leg))).is_ok(), free);
        }
    }

    #[test]
    fn replaying_the_events_gives_the_state_that_deciding_gave(commands in vec(arbitrary::command(), 0..120)) {
        let history = History::of(&commands);
        for (id, state) in &history.states {
            let mut replayed = Schedule::initial(id);
            for event in history.events.get(id).into_iter().flatten() {
                let mut payload = Vec::new();
                let kind = Schedule::encode_event(event, &mut payload);
                Schedule::evolve(&mut replayed, &Schedule::decode_event(kind, &payload).unwrap());
            }
            prop_assert_eq!(&replayed, state);
        }
    }

    #[test]
    fn a_command_repeated_changes_nothing_or_is_refused(commands in vec(arbitrary::command(), 1..60)) {
        let mut history = History::of(&commands);
        let (id, command) = commands.last().unwrap();
        let state = history.states.get_mut(id).unwrap();
        // The last command has been done or was refused; done again, it finds nothing left to do. What makes
        // or removes something is refused then.
        let again = Schedule::decide(id, state, command);
        prop_assert!(again.unwrap_or_default().is_empty());
    }

    #[test]
    fn a_snapshot_reads_back(commands in vec(arbitrary::command(), 0..120)) {
        for (id, state) in History::of(&commands).states {
            let mut bytes = Vec::new();
            Schedule::encode_state(&state, &mut bytes);
            prop_assert!(Schedule::state_bytes(&state) >= size_of::<State>());
            prop_assert_eq!(Schedule::decode_state(&id, &bytes), Ok(state));
            for end in 0..bytes.len() {
                prop_assert!(Schedule::decode_state(&id, &bytes[..end]).is_err());
            }
        }
    }

    #[test]
    fn an_event_reads_back(event in arbitrary::event()) {
        let mut payload = Vec::new();
        let kind = Schedule::encode_event(&event, &mut payload);
        prop_assert_eq!(Schedule::decode_event(kind, &payload), Ok(event));
        prop_assert!(EVENT_TYPES.iter().any(|it| it.number == kind.event_type && it.schema_version == kind.schema_version));
        for end in 0..payload.len() {
            // A name may end anywhere; everything else has its length.
            if let Ok(shorter) = Schedule::decode_event(kind, &payload[..end]) {
                let named = matches!(shorter, Event::RotationCreated { .. } | Event::RotationRenamed { .. });
                prop_assert!(named, "{shorter:?}");
            }
        }
    }

    #[test]
    fn an_id_reads_back_and_sorts_as_its_bytes(one in arbitrary::id(), other in arbitrary::id()) {
        let bytes = |id| {
            let mut bytes = Vec::new();
            Schedule::encode_id(id, &mut bytes);
            bytes
        };
        prop_assert_eq!(Schedule::decode_id(&bytes(&one)), Ok(one));
        prop_assert_eq!(one.cmp(&other), bytes(&one).cmp(&bytes(&other)));
    }

    #[test]
    fn any_bytes_decode_to_a_value_or_an_error(
        bytes in vec(any::<u8>(), 0..120), event_type in 0..60_u16, schema_version in 0..4_u16, id in arbitrary::id()
    ) {
        if let Ok(event) = Schedule::decode_event(EventKind { event_type, schema_version }, &bytes) {
            let mut json = String::new();
            payload_json(&event, &mut json);
        }
        if let Ok(id) = Schedule::decode_id(&bytes) {
            let mut again = Vec::new();
            Schedule::encode_id(&id, &mut again);
            prop_assert_eq!(again, bytes.clone());
        }
        let _ = Schedule::decode_state(&id, &bytes);
        let versioned: Vec<u8> = [1].into_iter().chain(bytes).collect();
        let _ = Schedule::decode_state(&id, &versioned);
    }

    #[test]
    fn a_damaged_snapshot_is_an_error_or_a_state(commands in vec(arbitrary::command(), 0..60), at: prop::sample::Index, bit in 0..8_u8) {
        for (id, state) in History::of(&commands).states {
            let mut bytes = Vec::new();
            Schedule::encode_state(&state, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = Schedule::decode_state(&id, &bytes);
        }
    }
}
