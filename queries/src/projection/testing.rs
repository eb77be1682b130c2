//! A schedule to test with: statements that are decided as a node decides them, and a feed of what they gave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use proptest::prelude::*;
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{CommittedEntry, Entry, Metadata, Step, StoredEvent};
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, ShardId, Version};
use rotabase_engine::schedule::{
    AggregateId, AirportCode, BlockTime, Command, DayOfOrigin, Event, FlightDesignator, FlightId,
    FlightNumber, Leg, LegId, MinimumGroundTime, Registration, RotationId, Schedule, State, Suffix,
    UtcTime,
};
use uuid::Uuid;

/// Microseconds.
pub(crate) const MINUTE: i64 = 60_000_000;

/// An event and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) aggregate: AggregateId,
    pub(crate) version: Version,
    pub(crate) timestamp: Timestamp,
    pub(crate) event: Event,
}

/// What a planner might do. Small numbers name things, so that they meet often.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    RegisterAirport(u8, u8),
    ChangeAirport(u8, u8),
    RemoveAirport(u8),
    RegisterAirplane(u8, u8),
    ChangeAirplane(u8, u8),
    RemoveAirplane(u8),
    Assign(u8, u8),
    Unassign(u8),
    CreateRotation(u8, u8),
    RenameRotation(u8, u8),
    RemoveRotation(u8),
    Schedule { leg: u8, flight: u8, day: u8, from: u8, to: u8, departure: u8, minutes: u8 },
    Reschedule { leg: u8, to: u8, departure: u8, minutes: u8 },
    // Through several rotations in one statement; none is the open pool.
    Move(u8, [Option<u8>; 2]),
    Delete(u8),
}

pub(crate) fn actions(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Action>> {
    use Action as A;
    let three = 0u8..3;
    let action = prop_oneof![
        1 => (three.clone(), 0u8..4).prop_map(|(airport, minimum)| A::RegisterAirport(airport, minimum)),
        1 => (three.clone(), 0u8..4).prop_map(|(airport, minimum)| A::ChangeAirport(airport, minimum)),
        1 => three.clone().prop_map(A::RemoveAirport),
        1 => (three.clone(), 0u8..4).prop_map(|(airplane, minimum)| A::RegisterAirplane(airplane, minimum)),
        1 => (three.clone(), 0u8..4).prop_map(|(airplane, minimum)| A::ChangeAirplane(airplane, minimum)),
        1 => three.clone().prop_map(A::RemoveAirplane),
        2 => (three.clone(), three.clone()).prop_map(|(airplane, rotation)| A::Assign(airplane, rotation)),
        1 => three.clone().prop_map(A::Unassign),
        2 => (three.clone(), 0u8..3).prop_map(|(rotation, name)| A::CreateRotation(rotation, name)),
        1 => (three.clone(), 0u8..3).prop_map(|(rotation, name)| A::RenameRotation(rotation, name)),
        1 => three.clone().prop_map(A::RemoveRotation),
        6 => (0u8..8, 0u8..2, 0u8..2, three.clone(), three.clone(), 0u8..40, 1u8..40).prop_map(
            |(leg, flight, day, from, to, departure, minutes)| A::Schedule { leg, flight, day, from, to, departure, minutes }
        ),
        3 => (0u8..8, three.clone(), 0u8..40, 1u8..40)
            .prop_map(|(leg, to, departure, minutes)| A::Reschedule { leg, to, departure, minutes }),
        8 => (0u8..8, prop::option::weighted(0.8, three.clone()), prop::option::weighted(0.8, three))
            .prop_map(|(leg, first, second)| A::Move(leg, [first, second])),
        1 => (0u8..8).prop_map(A::Delete),
    ];
    prop::collection::vec(action, count)
}

pub(crate) fn airport(number: u8) -> AirportCode {
    ["FRA", "JFK", "MUC"][usize::from(number)].parse().unwrap()
}

pub(crate) fn registration(number: u8) -> Registration {
    ["D-A", "D-AIZA", "N1"][usize::from(number)].parse().unwrap()
}

pub(crate) fn rotation(number: u8) -> RotationId {
    RotationId(Uuid::from_u128(u128::from(number) + 100))
}

pub(crate) fn leg_id(number: u8) -> LegId {
    LegId(Uuid::from_u128(u128::from(number) + 1))
}

pub(crate) fn minimum(number: u8) -> MinimumGroundTime {
    let minutes = i64::from(number) * 5;
    MinimumGroundTime::new(0, 0, minutes * MINUTE).unwrap()
}

/// Aggregates as a node has them, and what has happened to them.
#[derive(Debug, Default)]
pub(crate) struct Model {
    aggregates: BTreeMap<AggregateId, (State, Version)>,
    statements: u64,
    pub(crate) happened: Vec<Happened>,
}

impl Model {
    /// Does what is possible of the actions.
    pub(crate) fn of(actions: &[Action]) -> Self {
        let mut model = Self::default();
        for action in actions {
            let commands = model.commands(*action);
            model.execute(&commands);
        }
        model
    }

    /// Decides all commands and, if none is refused, applies them under one timestamp.
    pub(crate) fn execute(&mut self, commands: &[(AggregateId, Command)]) -> bool {
        let mut changed = BTreeMap::new();
        let mut happened = Vec::new();
        self.statements += 1;
        // Several statements within one microsecond differ in the logical part alone.
        let timestamp = Timestamp((10 << 11) + self.statements);
        for (id, command) in commands {
            let stored = || {
                self.aggregates
                    .get(id)
                    .cloned()
                    .unwrap_or_else(|| (Schedule::initial(id), Version(0)))
            };
            let (state, version) = changed.entry(*id).or_insert_with(stored);
            let Ok(events) = Schedule::decide(id, state, command) else { return false };
            for event in events {
                Schedule::evolve(state, &event);
                *version = version.next();
                happened.push(Happened { aggregate: *id, version: *version, timestamp, event });
            }
        }
        self.aggregates.extend(changed);
        self.happened.extend(happened);
        true
    }

    /// Where a leg is, and what it is.
    fn find(&self, id: LegId) -> Option<(AggregateId, Leg)> {
        self.aggregates.iter().find_map(|(aggregate, (state, _))| {
            let leg = match state {
                State::Rotation(rotation) => rotation.leg(id),
                State::Flight(flight) => flight.leg(id),
                State::Airport(_) | State::Airplane(_) => None,
            };
            leg.map(|leg| (*aggregate, *leg))
        })
    }

    fn commands(&self, action: Action) -> Vec<(AggregateId, Command)> {
        use AggregateId::{Airplane, Airport, Rotation};
        let name = |name: u8| (name > 0).then(|| format!("R{name}"));
        let one = match action {
            Action::RegisterAirport(code, floor) => {
                (Airport(airport(code)), Command::RegisterAirport(minimum(floor)))
            }
            Action::ChangeAirport(code, floor) => {
                (Airport(airport(code)), Command::ChangeAirportMinimumGroundTime(minimum(floor)))
            }
            Action::RemoveAirport(code) => (Airport(airport(code)), Command::RemoveAirport),
            Action::RegisterAirplane(tail, floor) => {
                let command = Command::RegisterAirplane {
                    aircraft_type: None,
                    minimum_ground_time: minimum(floor),
                };
                (Airplane(registration(tail)), command)
            }
            Action::ChangeAirplane(tail, floor) => {
                let aircraft_type = Some(Some("320".parse().unwrap()));
                let command = Command::ChangeAirplane {
                    aircraft_type,
                    minimum_ground_time: Some(minimum(floor)),
                };
                (Airplane(registration(tail)), command)
            }
            Action::RemoveAirplane(tail) => (Airplane(registration(tail)), Command::RemoveAirplane),
            Action::Assign(tail, to) => {
                (Airplane(registration(tail)), Command::AssignRotation(rotation(to)))
            }
            Action::Unassign(tail) => {
                (Airplane(registration(tail)), Command::UnassignRotation(None))
            }
            Action::CreateRotation(id, text) => {
                (Rotation(rotation(id)), Command::CreateRotation(name(text)))
            }
            Action::RenameRotation(id, text) => {
                (Rotation(rotation(id)), Command::RenameRotation(name(text)))
            }
            Action::RemoveRotation(id) => (Rotation(rotation(id)), Command::RemoveRotation),
            Action::Schedule { leg, flight, day, from, to, departure, minutes } => {
                let leg = leg_of(leg, flight, day, from, to, departure, minutes);
                if self.find(leg.id).is_some() {
                    return Vec::new();
                }
                (leg.flight(), Command::ScheduleOpenLeg(Box::new(leg)))
            }
            Action::Reschedule { leg, to, departure, minutes } => {
                return self.reschedule(leg, to, departure, minutes);
            }
            Action::Move(leg, through) => return self.moves(leg, through),
            Action::Delete(leg) => {
                let Some((owner, leg)) = self.find(leg_id(leg)) else { return Vec::new() };
                leave(owner, leg)
            }
        };
        vec![one]
    }

    fn reschedule(
        &self,
        leg: u8,
        to: u8,
        departure: u8,
        minutes: u8,
    ) -> Vec<(AggregateId, Command)> {
        let Some((owner, mut leg)) = self.find(leg_id(leg)) else { return Vec::new() };
        leg.arrival_airport = airport(to);
        leg.block = block(departure, minutes);
        let leg = Box::new(leg);
        let command = match owner {
            AggregateId::Rotation(_) => Command::RescheduleLeg { leg, expected: None },
            _ => Command::RescheduleOpenLeg { leg, expected: None },
        };
        vec![(owner, command)]
    }

    fn moves(&self, leg: u8, through: [Option<u8>; 2]) -> Vec<(AggregateId, Command)> {
        let Some((mut owner, leg)) = self.find(leg_id(leg)) else { return Vec::new() };
        let mut commands = Vec::new();
        for to in through {
            let to = to.map_or_else(|| leg.flight(), |to| AggregateId::Rotation(rotation(to)));
            if to != owner {
                commands.extend([leave(owner, leg), enter(to, leg)]);
                owner = to;
            }
        }
        commands
    }
}

fn leave(owner: AggregateId, leg: Leg) -> (AggregateId, Command) {
    let expected = Some(Box::new(leg));
    match owner {
        AggregateId::Rotation(_) => (owner, Command::RemoveLeg { id: leg.id, expected }),
        _ => (owner, Command::CancelOpenLeg { id: leg.id, expected }),
    }
}

fn enter(owner: AggregateId, leg: Leg) -> (AggregateId, Command) {
    match owner {
        AggregateId::Rotation(_) => (owner, Command::AddLeg(Box::new(leg))),
        _ => (owner, Command::ScheduleOpenLeg(Box::new(leg))),
    }
}

pub(crate) fn block(departure: u8, minutes: u8) -> BlockTime {
    let departure = i64::from(departure) * 5 * MINUTE;
    BlockTime::new(UtcTime(departure), UtcTime(departure + i64::from(minutes) * MINUTE)).unwrap()
}

/// A leg of flight LH400 or LH401.
pub(crate) fn leg_of(
    leg: u8,
    flight: u8,
    day: u8,
    from: u8,
    to: u8,
    departure: u8,
    minutes: u8,
) -> Leg {
    let number = FlightNumber::new(400 + i64::from(flight)).unwrap();
    let flight = FlightId { carrier: "LH".parse().unwrap(), number, suffix: Suffix::NONE };
    Leg {
        id: leg_id(leg),
        designator: FlightDesignator {
            flight,
            departure_airport: airport(from),
            day_of_origin: DayOfOrigin(i32::from(day)),
        },
        arrival_airport: airport(to),
        block: block(departure, minutes),
        departure_utc_offset_minutes: 60,
        arrival_utc_offset_minutes: -240,
        leg_sequence: 1,
        itinerary_variation: 1,
        service_type: "J".parse().unwrap(),
        aircraft_type: Some("32N".parse().unwrap()),
    }
}

/// A feed in memory, in which an aggregate always has the same shard.
#[derive(Debug)]
pub(crate) struct MemoryFeed {
    shards: u16,
    // The entries that one read gives at most.
    read_max: usize,
    logs: Mutex<Logs>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Logs {
    entries: BTreeMap<ShardId, Vec<CommittedEntry>>,
    last: BTreeMap<ShardId, u64>,
    generation: u64,
}

impl MemoryFeed {
    pub(crate) fn new(shards: u16, read_max: usize) -> Arc<Self> {
        Arc::new(Self { shards, read_max, logs: Mutex::default(), grown: Condvar::new() })
    }

    pub(crate) fn as_feed(self: &Arc<Self>) -> Arc<dyn Feed> {
        self.clone()
    }

    pub(crate) fn shard_of(&self, aggregate: &AggregateId) -> ShardId {
        let mut encoded = Vec::new();
        Schedule::encode_id(aggregate, &mut encoded);
        let sum: u16 = encoded.iter().map(|byte| u16::from(*byte)).sum();
        ShardId(sum % self.shards)
    }

    /// Appends events, as many as follow each other in one shard at one time to an entry.
    pub(crate) fn append(&self, happened: &[Happened]) {
        let same_entry = |a: &Happened, b: &Happened| {
            a.timestamp == b.timestamp && self.shard_of(&a.aggregate) == self.shard_of(&b.aggregate)
        };
        let mut logs = self.logs.lock();
        for group in happened.chunk_by(same_entry) {
            let shard = self.shard_of(&group[0].aggregate);
            logs.push(shard, group, Step::Events);
        }
        logs.generation += 1;
        self.grown.notify_all();
    }

    /// Appends one entry of a shard, as a part of a transaction or alone.
    pub(crate) fn append_entry(&self, shard: ShardId, happened: &[Happened], step: Step) {
        let mut logs = self.logs.lock();
        logs.push(shard, happened, step);
        logs.generation += 1;
        self.grown.notify_all();
    }
}

impl Logs {
    fn push(&mut self, shard: ShardId, happened: &[Happened], step: Step) {
        let last = self.last.entry(shard).or_default();
        // Now and then an entry without events comes between.
        *last += 1 + u64::from(last.is_multiple_of(3));
        let index = LogIndex(*last);
        let metadata = Metadata {
            user: "planner".to_owned(),
            application: "test".to_owned(),
            ..Metadata::default()
        };
        let entries = self.entries.entry(shard).or_default();
        let entry = Entry {
            timestamp: happened[0].timestamp,
            decided: happened[0].timestamp,
            sequence: u64::try_from(entries.len()).unwrap(),
            metadata: vec![metadata],
            events: happened.iter().map(stored).collect(),
            step,
        };
        entries.push(CommittedEntry { shard, index, entry: Arc::new(entry) });
    }
}

fn stored(happened: &Happened) -> StoredEvent {
    let (mut aggregate, mut payload) = (Vec::new(), Vec::new());
    Schedule::encode_id(&happened.aggregate, &mut aggregate);
    let kind = Schedule::encode_event(&happened.event, &mut payload);
    StoredEvent {
        aggregate: aggregate.into(),
        version: happened.version,
        kind,
        payload: payload.into(),
        metadata: 0,
    }
}

impl Feed for MemoryFeed {
    fn shards(&self) -> u16 {
        self.shards
    }

    fn committed(&self, shard: ShardId) -> LogIndex {
        LogIndex(self.logs.lock().last.get(&shard).copied().unwrap_or(0))
    }

    fn read(
        &self,
        shard: ShardId,
        after: LogIndex,
        out: &mut Vec<CommittedEntry>,
    ) -> Result<LogIndex, StoreError> {
        let logs = self.logs.lock();
        let entries = logs.entries.get(&shard).map_or(&[][..], Vec::as_slice);
        let new = &entries[entries.partition_point(|entry| entry.index <= after)..];
        let given = &new[..new.len().min(self.read_max)];
        out.extend_from_slice(given);
        let committed = LogIndex(logs.last.get(&shard).copied().unwrap_or(0));
        Ok(if given.len() < new.len() {
            given[given.len() - 1].index
        } else {
            committed.max(after)
        })
    }

    fn generation(&self) -> u64 {
        self.logs.lock().generation
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let mut logs = self.logs.lock();
        if logs.generation == seen {
            self.grown.wait_for(&mut logs, timeout);
        }
        logs.generation
    }
}
