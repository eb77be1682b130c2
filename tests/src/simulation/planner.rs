//! What clients ask: commands to a few airports, airplanes, rotations and flights, so that they meet.
//!
//! Almost each command that is accepted emits exactly one event, and rotations of one group are always renamed together:
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

/// The rotations that are renamed together, by the shards that they are in.
const GROUPS: [&[u16]; 3] = [&[0, 1], &[0, 1, 2], &[2, 1]];

const HOUR: i64 = 3_600_000_000;

/// A statement: commands that happen together.
pub(crate) type Statement = Vec<(AggregateId, Command)>;

/// Thinks of statements.
#[derive(Debug)]
pub(crate) struct Planner {
    airports: Vec<AirportCode>,
    airplanes: Vec<Registration>,
    /// Rotations in different shards that are renamed together.
    groups: Vec<Vec<RotationId>>,
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
        let group = |(number, shards): (usize, &[u16])| {
            shards.iter().map(|shard| in_shard(*shard, number)).collect()
        };
        Self {
            airports: ["FRA", "MUC", "JFK"].map(airport).to_vec(),
            airplanes: ["D-AIZA", "D-AIZB", "D-AIZC"].map(airplane).to_vec(),
            groups: (0..).zip(GROUPS).map(group).collect(),
            rotations: (0..SHARDS).map(|shard| in_shard(shard, GROUPS.len())).collect(),
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
        for group in &self.groups {
            let name = self.name();
            statements.push(group.iter().map(|id| create(id, name.clone())).collect());
        }
        for rotation in &self.rotations {
            statements.push(vec![create(rotation, None)]);
        }
        statements
    }

    /// Statements that together change everything, and have to succeed when nothing is wrong.
    pub(crate) fn everything(&self) -> Vec<Statement> {
        let rename = |id: &RotationId, name: Option<String>| {
            (AggregateId::Rotation(*id), Command::RenameRotation(name))
        };
        let mut statements: Vec<Statement> = Vec::new();
        statements.extend(self.rotations.iter().map(|id| vec![rename(id, self.name())]));
        for group in &self.groups {
            let name = self.name();
            statements.push(group.iter().map(|id| rename(id, name.clone())).collect());
        }
        statements.extend(self.airports.iter().map(|airport| vec![self.change_airport(*airport)]));
        statements.extend(self.airplanes.iter().map(|id| vec![self.change_airplane(*id)]));
        statements
    }

    fn change_airport(&self, airport: AirportCode) -> (AggregateId, Command) {
        let command = Command::ChangeAirportMinimumGroundTime(self.ground_time());
        (AggregateId::Airport(airport), command)
    }

    fn change_airplane(&self, airplane: Registration) -> (AggregateId, Command) {
        let minimum_ground_time = Some(self.ground_time());
        let command = Command::ChangeAirplane { aircraft_type: None, minimum_ground_time };
        (AggregateId::Airplane(airplane), command)
    }

    /// Any statement; what is removed is looked up in `seen`.
    pub(crate) fn any(&self, dice: &Dice, seen: &Snapshot) -> Statement {
        match dice.below(12) {
            0..4 => self.rename_group(dice),
            4 if dice.chance(500) => vec![self.change_airport(*dice.pick(&self.airports))],
            4 => vec![self.change_airplane(*dice.pick(&self.airplanes))],
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

    /// Renames the rotations of a group, and perhaps of several.
    pub(crate) fn rename_group(&self, dice: &Dice) -> Statement {
        let mut statement = Vec::new();
        let first = dice.index(self.groups.len());
        let groups = if dice.chance(250) { 0..self.groups.len() } else { first..first + 1 };
        for group in &self.groups[groups] {
            let name = self.name();
            for id in group {
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
            return self.rename_group(dice);
        }
        let command = Command::RemoveLeg { id: dice.pick(&legs).leg.id, expected: None };
        vec![(AggregateId::Rotation(rotation), command)]
    }

    fn move_leg(&self, dice: &Dice, seen: &Snapshot) -> Statement {
        let (from, to) = (*dice.pick(&self.rotations), *dice.pick(&self.rotations));
        let legs = seen.legs_of_rotation(from).unwrap_or_default();
        if legs.is_empty() || from == to {
            return self.rename_group(dice);
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
        let name = |id: &RotationId| {
            let row = seen.rotation(*id).map_err(|error| error.to_string());
            row.map(|row| row.and_then(|row| row.name))
        };
        self.groups.iter().find_map(|group| {
            let names: Vec<_> = group.iter().map(name).collect();
            let differ = names.iter().any(|other| *other != names[0]);
            differ.then(|| format!("half of a statement is shown: {names:?}"))
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
