//! What clients ask: commands to a few airports, airplanes, rotations and flights, so that they meet.
//!
//! Almost each command that is accepted emits exactly one event, and rotations of one pair are always renamed together:
//! so it can be said how many events a statement has, and of each state whether it holds half of one.

use std::sync::atomic::{AtomicI64, Ordering};

use rotabase_engine::schedule::{
    AggregateId, AirportCode, BlockTime, Command, DayOfOrigin, FlightDesignator, FlightId,
    FlightNumber, Leg, LegId, MinimumGroundTime, Registration, RotationId, Suffix, UtcTime,
};
use rotabase_queries::projection::Snapshot;
use rotabase_raft::placement::shard_of;
use uuid::Uuid;

use super::dice::Dice;
use super::machine::SHARDS;

/// How many pairs of rotations are renamed together.
const PAIRS: usize = 2;

const HOUR: i64 = 3_600_000_000;

/// A statement: commands that happen together.
pub(crate) type Statement = Vec<(AggregateId, Command)>;

/// Thinks of statements.
#[derive(Debug)]
pub(crate) struct Planner {
    airports: Vec<AirportCode>,
    airplanes: Vec<Registration>,
    /// Rotations in different shards, pair by pair.
    pairs: Vec<[RotationId; 2]>,
    rotations: Vec<RotationId>,
    /// Makes names and ground times that were not there before.
    next: AtomicI64,
}

impl Planner {
    pub(crate) fn new() -> Self {
        let airport = |code: &str| code.parse().expect("an airport code");
        let airplane = |registration: &str| registration.parse().expect("a registration");
        let in_shard = |shard: u16, skip: usize| {
            (1_u128..)
                .map(|number| RotationId(Uuid::from_u128(number)))
                .filter(|id| shard_of_rotation(*id) == shard)
                .nth(skip)
                .expect("each shard gets some")
        };
        Self {
            airports: ["FRA", "MUC", "JFK"].map(airport).to_vec(),
            airplanes: ["D-AIZA", "D-AIZB", "D-AIZC"].map(airplane).to_vec(),
            pairs: (0..PAIRS).map(|pair| [in_shard(0, pair), in_shard(1, pair)]).collect(),
            rotations: (0..SHARDS).map(|shard| in_shard(shard, PAIRS)).collect(),
            next: AtomicI64::new(1),
        }
    }

    fn next(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn ground_time(&self) -> MinimumGroundTime {
        MinimumGroundTime::new(0, 0, self.next()).expect("not negative")
    }

    fn name(&self) -> Option<String> {
        Some(format!("R{}", self.next()))
    }

    /// What there is before anything goes wrong.
    pub(crate) fn foundation(&self) -> Vec<Statement> {
        let mut statements: Vec<Statement> = Vec::new();
        for airport in &self.airports {
            let command = Command::RegisterAirport(self.ground_time());
            statements.push(vec![(AggregateId::Airport(*airport), command)]);
        }
        for airplane in &self.airplanes {
            let command = Command::RegisterAirplane {
                aircraft_type: None,
                minimum_ground_time: self.ground_time(),
            };
            statements.push(vec![(AggregateId::Airplane(*airplane), command)]);
        }
        let create = |id: &RotationId, name: Option<String>| {
            (AggregateId::Rotation(*id), Command::CreateRotation(name))
        };
        for pair in &self.pairs {
            let name = self.name();
            statements.push(pair.iter().map(|id| create(id, name.clone())).collect());
        }
        for rotation in &self.rotations {
            statements.push(vec![create(rotation, None)]);
        }
        statements
    }

    /// A statement that changes something in each shard: one that has to succeed when nothing is wrong.
    pub(crate) fn simple(&self, shard: u16) -> Statement {
        let rotation = self.rotations[usize::from(shard)];
        vec![(AggregateId::Rotation(rotation), Command::RenameRotation(self.name()))]
    }

    /// Any statement; what is removed is looked up in `seen`.
    pub(crate) fn any(&self, dice: &Dice, seen: &Snapshot) -> Statement {
        match dice.below(12) {
            0..3 => self.rename_pair(dice),
            3 => {
                let command = Command::ChangeAirportMinimumGroundTime(self.ground_time());
                vec![(AggregateId::Airport(*dice.pick(&self.airports)), command)]
            }
            4 => {
                let command = Command::ChangeAirplane {
                    aircraft_type: None,
                    minimum_ground_time: Some(self.ground_time()),
                };
                vec![(AggregateId::Airplane(*dice.pick(&self.airplanes)), command)]
            }
            5 => {
                let command = Command::AssignRotation(*dice.pick(&self.rotations));
                vec![(AggregateId::Airplane(*dice.pick(&self.airplanes)), command)]
            }
            6..9 => {
                let leg = Command::AddLeg(Box::new(self.leg(dice)));
                vec![(AggregateId::Rotation(*dice.pick(&self.rotations)), leg)]
            }
            9 => self.remove_leg(dice, seen),
            10 => self.move_leg(dice, seen),
            _ => {
                let leg = self.leg(dice);
                vec![(leg.flight(), Command::ScheduleOpenLeg(Box::new(leg)))]
            }
        }
    }

    /// Renames the rotations of a pair, and perhaps of several.
    pub(crate) fn rename_pair(&self, dice: &Dice) -> Statement {
        let mut statement = Vec::new();
        let first = dice.index(self.pairs.len());
        let pairs = if dice.chance(250) { 0..self.pairs.len() } else { first..first + 1 };
        for pair in &self.pairs[pairs] {
            let name = self.name();
            for id in pair {
                let command = Command::RenameRotation(name.clone());
                statement.push((AggregateId::Rotation(*id), command));
            }
        }
        statement
    }

    fn remove_leg(&self, dice: &Dice, seen: &Snapshot) -> Statement {
        let rotation = *dice.pick(&self.rotations);
        let legs = seen.legs_of_rotation(rotation).unwrap_or_default();
        if legs.is_empty() {
            return self.rename_pair(dice);
        }
        let command = Command::RemoveLeg { id: dice.pick(&legs).leg.id, expected: None };
        vec![(AggregateId::Rotation(rotation), command)]
    }

    fn move_leg(&self, dice: &Dice, seen: &Snapshot) -> Statement {
        let (from, to) = (*dice.pick(&self.rotations), *dice.pick(&self.rotations));
        let legs = seen.legs_of_rotation(from).unwrap_or_default();
        if legs.is_empty() || from == to {
            return self.rename_pair(dice);
        }
        let leg = dice.pick(&legs).leg;
        let remove = Command::RemoveLeg { id: leg.id, expected: Some(Box::new(leg)) };
        let add = Command::AddLeg(Box::new(leg));
        vec![(AggregateId::Rotation(from), remove), (AggregateId::Rotation(to), add)]
    }

    fn leg(&self, dice: &Dice) -> Leg {
        let number = FlightNumber::new(400 + i64::try_from(dice.below(4)).expect("small"))
            .expect("a number");
        let flight =
            FlightId { carrier: "LH".parse().expect("a carrier"), number, suffix: Suffix::NONE };
        let day_of_origin = DayOfOrigin::from_calendar(2026, 3, 29).expect("a day");
        let hour = i64::try_from(dice.below(200)).expect("small");
        let midnight = UtcTime::at_minute(day_of_origin, 0).expect("a minute");
        let departure = UtcTime(midnight.0 + hour * HOUR);
        let arrival = UtcTime(departure.0 + HOUR + HOUR / 2);
        Leg {
            id: LegId(dice.uuid()),
            designator: FlightDesignator {
                flight,
                departure_airport: *dice.pick(&self.airports),
                day_of_origin,
            },
            arrival_airport: *dice.pick(&self.airports),
            block: BlockTime::new(departure, arrival).expect("it arrives later"),
            departure_utc_offset_minutes: 0,
            arrival_utc_offset_minutes: 0,
            leg_sequence: 1,
            itinerary_variation: 1,
            service_type: "J".parse().expect("a service type"),
            aircraft_type: None,
        }
    }

    /// What of a state is half of a statement, if anything is.
    pub(crate) fn half(&self, seen: &Snapshot) -> Option<String> {
        self.pairs.iter().find_map(|[one, other]| {
            let name = |id: &RotationId| {
                let row = seen.rotation(*id).map_err(|error| error.to_string());
                row.map(|row| row.and_then(|row| row.name))
            };
            let (one, other) = (name(one), name(other));
            (one != other).then(|| format!("half of a statement is shown: {one:?} and {other:?}"))
        })
    }
}

/// How many events a statement has if it happens, if that is certain.
pub(crate) fn events(statement: &Statement) -> Option<usize> {
    // An airplane that has a rotation already gives it up first.
    let certain = statement.iter().all(|(_, it)| !matches!(it, Command::AssignRotation(_)));
    certain.then_some(statement.len())
}

fn shard_of_rotation(id: RotationId) -> u16 {
    shard_of::<rotabase_engine::schedule::Schedule>(&AggregateId::Rotation(id), SHARDS).0
}
