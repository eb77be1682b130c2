//! Deciding, evolving, encoding and decoding: what the engine does to a command and to what comes of it.

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::{Entry, EntryBuilder, Metadata};
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{
    AggregateId, BlockTime, Command, DayOfOrigin, Event, FlightDesignator, FlightId, FlightNumber,
    Leg, LegId, RotationId, Schedule, State, Suffix, UtcTime,
};
use uuid::Uuid;

/// The legs that a rotation has: none, those of a week, those of a season.
const ROTATION_LEGS: [u32; 3] = [0, 40, 1000];

/// The events of an entry: one command alone, and those that come together at 64 clients and in a load.
const ENTRY_EVENTS: [u32; 3] = [1, 30, 1000];

/// A leg of an hour; the next one begins half an hour later.
fn leg(number: u32) -> Leg {
    let airports = ["FRA", "MUC"];
    let (from, to) = if number.is_multiple_of(2) { (0, 1) } else { (1, 0) };
    let day = DayOfOrigin::from_calendar(2026, 3, 29).expect("a day");
    let minute = 90 * i64::from(number);
    let time = |minute| UtcTime::at_minute(day, minute).expect("a time");
    Leg {
        id: LegId(Uuid::from_u128(u128::from(number))),
        designator: FlightDesignator {
            flight: FlightId {
                carrier: "LH".parse().expect("a carrier"),
                number: FlightNumber::new(i64::from(1 + number % 9000)).expect("a number"),
                suffix: Suffix::NONE,
            },
            departure_airport: airports[from].parse().expect("an airport"),
            day_of_origin: day,
        },
        arrival_airport: airports[to].parse().expect("an airport"),
        block: BlockTime::new(time(minute), time(minute + 60)).expect("in order"),
        departure_utc_offset_minutes: 60,
        arrival_utc_offset_minutes: 60,
        leg_sequence: 1,
        itinerary_variation: 1,
        service_type: "J".parse().expect("a type"),
        aircraft_type: Some("320".parse().expect("a type")),
    }
}

fn rotation_id() -> AggregateId {
    AggregateId::Rotation(RotationId(Uuid::from_u128(1)))
}

/// A rotation with that many legs, and the events that made it.
fn rotation(legs: u32) -> (State, Vec<Event>) {
    let id = rotation_id();
    let mut state = Schedule::initial(&id);
    let mut history = Vec::new();
    let adds = (0..legs).map(|number| Command::AddLeg(Box::new(leg(number))));
    for command in std::iter::once(Command::CreateRotation(None)).chain(adds) {
        for event in Schedule::decide(&id, &state, &command).expect("nothing is in its way") {
            Schedule::evolve(&mut state, &event);
            history.push(event);
        }
    }
    (state, history)
}

/// Adding a leg after the last one.
#[divan::bench(args = ROTATION_LEGS)]
fn decide_add_leg(bencher: Bencher<'_, '_>, legs: u32) {
    let (id, (state, _)) = (rotation_id(), rotation(legs));
    let command = Command::AddLeg(Box::new(leg(legs)));
    bencher.bench_local(|| Schedule::decide(&id, black_box(&state), black_box(&command)));
}

/// Moving the leg in the middle by a minute.
#[divan::bench(args = &ROTATION_LEGS[1..])]
fn decide_reschedule_leg(bencher: Bencher<'_, '_>, legs: u32) {
    let (id, (state, _)) = (rotation_id(), rotation(legs));
    let mut moved = leg(legs / 2);
    let minute = 60_000_000;
    let (departure, arrival) = (moved.block.departure(), moved.block.arrival());
    moved.block = BlockTime::new(UtcTime(departure.0 + minute), UtcTime(arrival.0 + minute))
        .expect("in order");
    let command = Command::RescheduleLeg { leg: Box::new(moved), expected: None };
    bencher.bench_local(|| Schedule::decide(&id, black_box(&state), black_box(&command)));
}

/// Folding all events of a rotation.
#[divan::bench(args = &ROTATION_LEGS[1..])]
fn evolve_rotation(bencher: Bencher<'_, '_>, legs: u32) {
    let (id, (_, history)) = (rotation_id(), rotation(legs));
    bencher.counter(ItemsCount::new(history.len())).bench_local(|| {
        let mut state = Schedule::initial(&id);
        for event in black_box(&history) {
            Schedule::evolve(&mut state, event);
        }
        state
    });
}

fn encoded(events: u32) -> Bytes {
    let mut aggregate = Vec::new();
    Schedule::encode_id(&rotation_id(), &mut aggregate);
    let metadata =
        Metadata { user: "planner".into(), application: "psql".into(), ..Metadata::default() };
    let mut entry = EntryBuilder::new();
    let metadata = entry.metadata(&metadata).expect("short");
    for number in 0..events {
        let event = Event::LegAdded(Box::new(leg(number)));
        let version = Version(u64::from(number) + 1);
        entry.push_event::<Schedule>(&aggregate, version, &event, metadata).expect("there is room");
    }
    entry.finish(Timestamp::from_microseconds(1), 1)
}

/// Making an entry of events, checksums included.
#[divan::bench(args = ENTRY_EVENTS)]
fn encode_entry(bencher: Bencher<'_, '_>, events: u32) {
    bencher
        .counter(ItemsCount::new(events))
        .counter(BytesCount::new(encoded(events).len()))
        .bench_local(|| encoded(black_box(events)));
}

/// Reading it back.
#[divan::bench(args = ENTRY_EVENTS)]
fn decode_entry(bencher: Bencher<'_, '_>, events: u32) {
    let bytes = encoded(events);
    bencher.counter(ItemsCount::new(events)).bench_local(|| {
        let entry = Entry::decode(black_box(&bytes).clone()).expect("as it was written");
        for event in &entry.events {
            black_box(Schedule::decode_event(event.kind, &event.payload).expect("an event"));
        }
        entry
    });
}
