//! From SQL rows to commands: the one place where SQL values become domain values.
//!
//! A statement's rows, already coerced to the columns' types, come in; for each row the commands that carry
//! it out come out, with the row as it will be, so that `RETURNING` needs no second look. Nothing here reads
//! a projection or sends anything: what has to be looked up is handed in.

use rotabase_engine::position::Version;
use rotabase_engine::schedule::{
    AggregateId, AircraftType, AirportCode, BlockTime, Command, DayOfOrigin, FlightDesignator,
    FlightId, FlightNumber, Leg, LegId, MinimumGroundTime, Registration, RotationId, ServiceType,
    UtcTime, ValueError,
};
use smallvec::SmallVec;
use std::str::FromStr;
use uuid::Uuid;

use crate::error::{Result, SqlError, SqlState};
use crate::types::{Datum, Interval};

/// A command to one aggregate, as the write path takes it.
#[derive(Clone, Debug)]
pub struct CommandRequest {
    /// The aggregate.
    pub id: AggregateId,
    /// The version that it has to have at the moment of decision, if one was asked for.
    pub expected_version: Option<Version>,
    /// The command.
    pub command: Command,
}

/// What one row of a statement does.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// The commands, in the order in which they are to be decided.
    pub requests: SmallVec<[CommandRequest; 2]>,
    /// Which of them gives the row its `version`; none when the row has no command.
    pub versioned_by: usize,
    /// The row as it will be, in the table's columns; its `version` is filled in from the outcome.
    pub row: Vec<Datum>,
}

/// The tables that take commands, with the places of their columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `airports`.
    Airports,
    /// `airplanes`.
    Airplanes,
    /// `rotations`.
    Rotations,
    /// `legs`.
    Legs,
}

/// A column of a target that a command can set, given by its place in the table.
pub mod column {
    #![allow(missing_docs, reason = "the names are those of the tables")]
    pub const AIRPORT_CODE: usize = 0;
    pub const AIRPORT_MINIMUM_GROUND_TIME: usize = 1;
    pub const AIRPLANE_REGISTRATION: usize = 0;
    pub const AIRPLANE_AIRCRAFT_TYPE: usize = 1;
    pub const AIRPLANE_MINIMUM_GROUND_TIME: usize = 2;
    pub const AIRPLANE_ROTATION_ID: usize = 3;
    pub const ROTATION_ID: usize = 0;
    pub const ROTATION_NAME: usize = 1;
    pub const LEG_ID: usize = 0;
    pub const LEG_ROTATION_ID: usize = 1;
    pub const LEG_CARRIER: usize = 2;
    pub const LEG_FLIGHT_NUMBER: usize = 3;
    pub const LEG_SUFFIX: usize = 4;
    pub const LEG_DAY_OF_ORIGIN: usize = 5;
    pub const LEG_DEPARTURE_AIRPORT: usize = 6;
    pub const LEG_ARRIVAL_AIRPORT: usize = 7;
    pub const LEG_DEPARTURE_TIME: usize = 8;
    pub const LEG_ARRIVAL_TIME: usize = 9;
    pub const LEG_DEPARTURE_UTC_OFFSET: usize = 10;
    pub const LEG_ARRIVAL_UTC_OFFSET: usize = 11;
    pub const LEG_SEQUENCE: usize = 12;
    pub const LEG_ITINERARY_VARIATION: usize = 13;
    pub const LEG_SERVICE_TYPE: usize = 14;
    pub const LEG_AIRCRAFT_TYPE: usize = 15;
}

impl Target {
    /// The target with this table name.
    pub fn of_table(name: &str) -> Option<Self> {
        match name {
            "airports" => Some(Self::Airports),
            "airplanes" => Some(Self::Airplanes),
            "rotations" => Some(Self::Rotations),
            "legs" => Some(Self::Legs),
            _ => None,
        }
    }

    /// The table's name.
    pub fn table(self) -> &'static str {
        match self {
            Self::Airports => "airports",
            Self::Airplanes => "airplanes",
            Self::Rotations => "rotations",
            Self::Legs => "legs",
        }
    }

    /// The names of its columns, in order.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Airports => &["code", "minimum_ground_time", "version"],
            Self::Airplanes => {
                &["registration", "aircraft_type", "minimum_ground_time", "rotation_id", "version"]
            }
            Self::Rotations => {
                &["id", "name", "legs", "first_departure", "last_arrival", "version"]
            }
            Self::Legs => &[
                "id",
                "rotation_id",
                "carrier",
                "flight_number",
                "suffix",
                "day_of_origin",
                "departure_airport",
                "arrival_airport",
                "departure_time",
                "arrival_time",
                "departure_utc_offset",
                "arrival_utc_offset",
                "leg_sequence",
                "itinerary_variation",
                "service_type",
                "aircraft_type",
                "version",
            ],
        }
    }

    /// The place of `version`, the last column of every table.
    pub fn version_column(self) -> usize {
        self.columns().len() - 1
    }

    /// Whether a column can be given a value by INSERT.
    pub fn insertable(self, column: usize) -> bool {
        match self {
            Self::Rotations => column <= column::ROTATION_NAME,
            Self::Airports | Self::Airplanes | Self::Legs => column < self.version_column(),
        }
    }
}

/// A row given to INSERT or COPY: a value for each column of the table, none where the default stands.
pub type InsertRow = [Option<Datum>];

/// Turns a row to be inserted into commands. `new_id` makes the id of a rotation or a leg that has none.
pub fn insert(
    target: Target,
    row: &InsertRow,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Result<RowChange> {
    match target {
        Target::Airports => insert_airport(row),
        Target::Airplanes => insert_airplane(row),
        Target::Rotations => insert_rotation(row, new_id),
        Target::Legs => insert_leg(row, new_id),
    }
}

fn insert_airport(row: &InsertRow) -> Result<RowChange> {
    let reader = RowReader { target: Target::Airports, row };
    let code: AirportCode = reader.parse(column::AIRPORT_CODE)?;
    let ground_time = reader.ground_time(column::AIRPORT_MINIMUM_GROUND_TIME)?;
    Ok(RowChange {
        requests: one(AggregateId::Airport(code), Command::RegisterAirport(ground_time)),
        versioned_by: 0,
        row: vec![Datum::text(code.as_str()), interval(ground_time), Datum::Null],
    })
}

fn insert_airplane(row: &InsertRow) -> Result<RowChange> {
    let reader = RowReader { target: Target::Airplanes, row };
    let registration: Registration = reader.parse(column::AIRPLANE_REGISTRATION)?;
    let aircraft_type = reader.parse_optional::<AircraftType>(column::AIRPLANE_AIRCRAFT_TYPE)?;
    let ground_time = reader.ground_time(column::AIRPLANE_MINIMUM_GROUND_TIME)?;
    let rotation = reader.uuid(column::AIRPLANE_ROTATION_ID)?.map(RotationId);
    let id = AggregateId::Airplane(registration);
    let mut requests =
        one(id, Command::RegisterAirplane { aircraft_type, minimum_ground_time: ground_time });
    if let Some(rotation) = rotation {
        requests.push(request(AggregateId::Rotation(rotation), Command::RequireRotation));
        requests.push(request(id, Command::AssignRotation(rotation)));
    }
    Ok(RowChange {
        versioned_by: requests.len() - 1,
        requests,
        row: airplane_row(registration, aircraft_type, ground_time, rotation),
    })
}

fn insert_rotation(row: &InsertRow, new_id: &mut dyn FnMut() -> Uuid) -> Result<RowChange> {
    let reader = RowReader { target: Target::Rotations, row };
    let id = RotationId(reader.key(column::ROTATION_ID, new_id)?);
    let name = reader.text(column::ROTATION_NAME)?;
    let shown = name.as_deref().map_or(Datum::Null, Datum::text);
    Ok(RowChange {
        requests: one(AggregateId::Rotation(id), Command::CreateRotation(name)),
        versioned_by: 0,
        row: vec![Datum::Uuid(id.0), shown, Datum::Int8(0), Datum::Null, Datum::Null, Datum::Null],
    })
}

fn insert_leg(row: &InsertRow, new_id: &mut dyn FnMut() -> Uuid) -> Result<RowChange> {
    let reader = RowReader { target: Target::Legs, row };
    let id = LegId(reader.key(column::LEG_ID, new_id)?);
    let leg = reader.leg(id)?;
    let rotation = reader.uuid(column::LEG_ROTATION_ID)?.map(RotationId);
    Ok(RowChange {
        requests: SmallVec::from_iter([add_leg(&leg, rotation)]),
        versioned_by: 0,
        row: leg_row(&leg, rotation),
    })
}

/// The command that puts a leg into a rotation or, without one, into the open legs of its flight.
pub fn add_leg(leg: &Leg, rotation: Option<RotationId>) -> CommandRequest {
    match rotation {
        Some(rotation) => request(AggregateId::Rotation(rotation), Command::AddLeg(Box::new(*leg))),
        None => request(leg.flight(), Command::ScheduleOpenLeg(Box::new(*leg))),
    }
}

/// The command that takes a leg, as it was seen, out of where it is.
pub fn remove_leg(leg: &Leg, rotation: Option<RotationId>) -> CommandRequest {
    let (id, expected) = (leg.id, Some(Box::new(*leg)));
    match rotation {
        Some(rotation) => {
            request(AggregateId::Rotation(rotation), Command::RemoveLeg { id, expected })
        }
        None => request(leg.flight(), Command::CancelOpenLeg { id, expected }),
    }
}

/// Turns a row before and after an UPDATE into commands. `expected` is the version that the statement's
/// `WHERE version = n` asks for.
pub fn update(
    target: Target,
    old: &[Datum],
    new: &[Datum],
    expected: Option<Version>,
) -> Result<RowChange> {
    let mut change = match target {
        Target::Airports => update_airport(new)?,
        Target::Airplanes => update_airplane(old, new)?,
        Target::Rotations => update_rotation(new)?,
        Target::Legs => update_leg(old, new)?,
    };
    if let (Some(expected), Some(first)) =
        (expected, change.requests.first().map(|request| request.id))
    {
        // The row's aggregate is that of the row as it was: its first command goes there.
        change
            .requests
            .iter_mut()
            .filter(|request| request.id == first)
            .take(1)
            .for_each(|request| request.expected_version = Some(expected));
    }
    Ok(change)
}

fn update_airport(new: &[Datum]) -> Result<RowChange> {
    let row: Vec<_> = new.iter().cloned().map(Some).collect();
    let reader = RowReader { target: Target::Airports, row: &row };
    let code: AirportCode = reader.parse(column::AIRPORT_CODE)?;
    let ground_time = reader.ground_time(column::AIRPORT_MINIMUM_GROUND_TIME)?;
    Ok(RowChange {
        requests: one(
            AggregateId::Airport(code),
            Command::ChangeAirportMinimumGroundTime(ground_time),
        ),
        versioned_by: 0,
        row: new.to_vec(),
    })
}

fn update_airplane(old: &[Datum], new: &[Datum]) -> Result<RowChange> {
    let row: Vec<_> = new.iter().cloned().map(Some).collect();
    let reader = RowReader { target: Target::Airplanes, row: &row };
    let registration: Registration = reader.parse(column::AIRPLANE_REGISTRATION)?;
    let aircraft_type = reader.parse_optional::<AircraftType>(column::AIRPLANE_AIRCRAFT_TYPE)?;
    let ground_time = reader.ground_time(column::AIRPLANE_MINIMUM_GROUND_TIME)?;
    let rotation = reader.uuid(column::AIRPLANE_ROTATION_ID)?.map(RotationId);
    let id = AggregateId::Airplane(registration);
    let old_row: Vec<_> = old.iter().cloned().map(Some).collect();
    let before = RowReader { target: Target::Airplanes, row: &old_row };
    // Only what differs is asked for: another session may be changing the rest.
    let new_type = (before.parse_optional(column::AIRPLANE_AIRCRAFT_TYPE)? != aircraft_type)
        .then_some(aircraft_type);
    let new_ground_time = (before.ground_time(column::AIRPLANE_MINIMUM_GROUND_TIME)?
        != ground_time)
        .then_some(ground_time);
    let mut requests = one(
        id,
        Command::ChangeAirplane { aircraft_type: new_type, minimum_ground_time: new_ground_time },
    );
    if before.uuid(column::AIRPLANE_ROTATION_ID)?.map(RotationId) != rotation {
        match rotation {
            Some(rotation) => {
                requests.push(request(AggregateId::Rotation(rotation), Command::RequireRotation));
                requests.push(request(id, Command::AssignRotation(rotation)));
            }
            None => requests.push(request(id, Command::UnassignRotation(None))),
        }
    }
    Ok(RowChange {
        versioned_by: requests.len() - 1,
        requests,
        row: airplane_row(registration, aircraft_type, ground_time, rotation),
    })
}

fn update_rotation(new: &[Datum]) -> Result<RowChange> {
    let row: Vec<_> = new.iter().cloned().map(Some).collect();
    let reader = RowReader { target: Target::Rotations, row: &row };
    let id = RotationId(reader.required_uuid(column::ROTATION_ID)?);
    let name = reader.text(column::ROTATION_NAME)?;
    Ok(RowChange {
        requests: one(AggregateId::Rotation(id), Command::RenameRotation(name)),
        versioned_by: 0,
        row: new.to_vec(),
    })
}

fn update_leg(old: &[Datum], new: &[Datum]) -> Result<RowChange> {
    let (leg_before, rotation_before) = read_leg(old)?;
    let (leg, rotation) = read_leg(new)?;
    let requests = if rotation_before == rotation {
        let (id, expected) = (owner(&leg, rotation), Some(Box::new(leg_before)));
        let leg = Box::new(leg);
        SmallVec::from_iter([request(
            id,
            if rotation.is_some() {
                Command::RescheduleLeg { leg, expected }
            } else {
                Command::RescheduleOpenLeg { leg, expected }
            },
        )])
    } else {
        SmallVec::from_iter([remove_leg(&leg_before, rotation_before), add_leg(&leg, rotation)])
    };
    Ok(RowChange { versioned_by: requests.len() - 1, requests, row: leg_row(&leg, rotation) })
}

/// Turns a row to be deleted into commands. A rotation needs what it holds: its legs, which return to the open
/// pool, and the airplanes that it is assigned to.
pub fn delete(
    target: Target,
    old: &[Datum],
    expected: Option<Version>,
    rotation_legs: &[Leg],
    rotation_airplanes: &[Registration],
) -> Result<RowChange> {
    let row: Vec<_> = old.iter().cloned().map(Some).collect();
    let reader = RowReader { target, row: &row };
    let mut requests: SmallVec<[CommandRequest; 2]> = SmallVec::new();
    match target {
        Target::Airports => {
            requests.push(request(
                AggregateId::Airport(reader.parse(column::AIRPORT_CODE)?),
                Command::RemoveAirport,
            ));
        }
        Target::Airplanes => {
            requests.push(request(
                AggregateId::Airplane(reader.parse(column::AIRPLANE_REGISTRATION)?),
                Command::RemoveAirplane,
            ));
        }
        Target::Legs => {
            let (leg, rotation) = read_leg(old)?;
            requests.push(remove_leg(&leg, rotation));
        }
        Target::Rotations => {
            let rotation = RotationId(reader.required_uuid(column::ROTATION_ID)?);
            for leg in rotation_legs {
                requests.push(remove_leg(leg, Some(rotation)));
                requests.push(add_leg(leg, None));
            }
            for registration in rotation_airplanes {
                requests.push(request(
                    AggregateId::Airplane(*registration),
                    Command::UnassignRotation(Some(rotation)),
                ));
            }
            requests.push(request(AggregateId::Rotation(rotation), Command::RemoveRotation));
        }
    }
    if let (Some(expected), Some(first)) =
        (expected, requests.iter_mut().find(|request| is_owner(target, request)))
    {
        first.expected_version = Some(expected);
    }
    Ok(RowChange { versioned_by: requests.len() - 1, requests, row: old.to_vec() })
}

fn is_owner(target: Target, request: &CommandRequest) -> bool {
    match target {
        Target::Airports | Target::Airplanes | Target::Legs => true,
        Target::Rotations => matches!(request.id, AggregateId::Rotation(_)),
    }
}

/// Reads a leg and the rotation it is in from a row of `legs`.
pub fn read_leg(row: &[Datum]) -> Result<(Leg, Option<RotationId>)> {
    let row: Vec<_> = row.iter().cloned().map(Some).collect();
    let reader = RowReader { target: Target::Legs, row: &row };
    let id = LegId(reader.required_uuid(column::LEG_ID)?);
    Ok((reader.leg(id)?, reader.uuid(column::LEG_ROTATION_ID)?.map(RotationId)))
}

fn owner(leg: &Leg, rotation: Option<RotationId>) -> AggregateId {
    rotation.map_or_else(|| leg.flight(), AggregateId::Rotation)
}

fn request(id: AggregateId, command: Command) -> CommandRequest {
    CommandRequest { id, expected_version: None, command }
}

fn one(id: AggregateId, command: Command) -> SmallVec<[CommandRequest; 2]> {
    SmallVec::from_iter([request(id, command)])
}

/// A minimum ground time as SQL shows it.
pub fn interval(ground_time: MinimumGroundTime) -> Datum {
    let (months, days, microseconds) = ground_time.parts();
    Datum::Interval(Interval { months, days, microseconds })
}

fn airplane_row(
    registration: Registration,
    aircraft_type: Option<AircraftType>,
    ground_time: MinimumGroundTime,
    rotation: Option<RotationId>,
) -> Vec<Datum> {
    vec![
        Datum::text(registration.as_str()),
        aircraft_type.map_or(Datum::Null, |it| Datum::text(it.as_str())),
        interval(ground_time),
        rotation.map_or(Datum::Null, |it| Datum::Uuid(it.0)),
        Datum::Null,
    ]
}

/// A leg as a row of `legs`, its version left null.
pub fn leg_row(leg: &Leg, rotation: Option<RotationId>) -> Vec<Datum> {
    vec![
        Datum::Uuid(leg.id.0),
        rotation.map_or(Datum::Null, |it| Datum::Uuid(it.0)),
        Datum::text(leg.carrier().as_str()),
        Datum::Int4(i32::from(leg.flight_number().get())),
        Datum::text(leg.suffix().to_string()),
        Datum::Date(leg.designator.day_of_origin.0),
        Datum::text(leg.designator.departure_airport.as_str()),
        Datum::text(leg.arrival_airport.as_str()),
        Datum::TimestampTz(leg.block.departure().0),
        Datum::TimestampTz(leg.block.arrival().0),
        Datum::Int4(leg.departure_utc_offset_minutes),
        Datum::Int4(leg.arrival_utc_offset_minutes),
        Datum::Int4(leg.leg_sequence),
        Datum::Int4(leg.itinerary_variation),
        Datum::text(leg.service_type.as_str()),
        leg.aircraft_type.map_or(Datum::Null, |it| Datum::text(it.as_str())),
        Datum::Null,
    ]
}

/// Reads domain values out of a row, with the errors of sql.md.
struct RowReader<'a> {
    target: Target,
    row: &'a InsertRow,
}

impl RowReader<'_> {
    fn datum(&self, column: usize) -> Option<&Datum> {
        self.row.get(column).and_then(Option::as_ref)
    }

    fn name(&self, column: usize) -> &'static str {
        self.target.columns()[column]
    }

    /// 23502, as PostgreSQL words it.
    fn missing(&self, column: usize) -> SqlError {
        let (name, table) = (self.name(column), self.target.table());
        let message = format!(
            "null value in column \"{name}\" of relation \"{table}\" violates not-null constraint"
        );
        let mut error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message);
        error.table = Some(table.to_owned());
        error.column = Some(name.to_owned());
        error
    }

    /// 23514, in the domain's words.
    fn check(&self, constraint: &str, message: String) -> SqlError {
        let mut error = SqlError::new(SqlState::CHECK_VIOLATION, message);
        error.table = Some(self.target.table().to_owned());
        error.constraint = Some(format!("{}_{constraint}_check", self.target.table()));
        error
    }

    fn text(&self, column: usize) -> Result<Option<String>> {
        match self.datum(column) {
            None | Some(Datum::Null) => Ok(None),
            Some(Datum::Text(text)) => Ok(Some(text.to_string())),
            Some(other) => Err(self.unexpected(column, other)),
        }
    }

    fn unexpected(&self, column: usize, datum: &Datum) -> SqlError {
        SqlError::internal(format!("column \"{}\" was bound to {datum:?}", self.name(column)))
    }

    fn parse<T: FromStr<Err = ValueError>>(&self, column: usize) -> Result<T> {
        self.parse_optional(column)?.ok_or_else(|| self.missing(column))
    }

    fn parse_optional<T: FromStr<Err = ValueError>>(&self, column: usize) -> Result<Option<T>> {
        match self.datum(column) {
            None | Some(Datum::Null) => Ok(None),
            Some(Datum::Text(text)) => {
                text.trim_end().parse().map(Some).map_err(|error| self.malformed(column, &error))
            }
            Some(other) => Err(self.unexpected(column, other)),
        }
    }

    fn malformed(&self, column: usize, error: &ValueError) -> SqlError {
        let mut sql = SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid {}: \"{}\"", error.what, error.text),
        )
        .with_detail(format!(
            "Column \"{}\" of \"{}\" takes {}.",
            self.name(column),
            self.target.table(),
            error.rule
        ));
        sql.table = Some(self.target.table().to_owned());
        sql.column = Some(self.name(column).to_owned());
        sql
    }

    /// A column with a default: null is refused, absence is the default.
    fn defaulted<T>(
        &self,
        column: usize,
        default: T,
        read: impl FnOnce(&Datum) -> Option<T>,
    ) -> Result<T> {
        match self.datum(column) {
            None => Ok(default),
            Some(Datum::Null) => Err(self.missing(column)),
            Some(datum) => read(datum).ok_or_else(|| self.unexpected(column, datum)),
        }
    }

    fn int4(&self, column: usize, default: i32) -> Result<i32> {
        self.defaulted(column, default, |datum| match datum {
            Datum::Int4(value) => Some(*value),
            _ => None,
        })
    }

    fn required<T>(&self, column: usize, read: impl FnOnce(&Datum) -> Option<T>) -> Result<T> {
        match self.datum(column) {
            None | Some(Datum::Null) => Err(self.missing(column)),
            Some(datum) => read(datum).ok_or_else(|| self.unexpected(column, datum)),
        }
    }

    fn uuid(&self, column: usize) -> Result<Option<Uuid>> {
        match self.datum(column) {
            None | Some(Datum::Null) => Ok(None),
            Some(Datum::Uuid(uuid)) => Ok(Some(*uuid)),
            Some(other) => Err(self.unexpected(column, other)),
        }
    }

    fn required_uuid(&self, column: usize) -> Result<Uuid> {
        self.uuid(column)?.ok_or_else(|| self.missing(column))
    }

    fn key(&self, column: usize, new_id: &mut dyn FnMut() -> Uuid) -> Result<Uuid> {
        match self.datum(column) {
            None => Ok(new_id()),
            Some(_) => self.required_uuid(column),
        }
    }

    fn ground_time(&self, column: usize) -> Result<MinimumGroundTime> {
        let interval = self.defaulted(column, Interval::default(), |datum| match datum {
            Datum::Interval(interval) => Some(*interval),
            _ => None,
        })?;
        MinimumGroundTime::new(interval.months, interval.days, interval.microseconds).ok_or_else(
            || {
                self.check(
                    "minimum_ground_time",
                    "minimum ground time must not be negative".to_owned(),
                )
            },
        )
    }

    fn flight(&self) -> Result<FlightId> {
        let number = self.required(column::LEG_FLIGHT_NUMBER, |datum| match datum {
            Datum::Int4(number) => Some(*number),
            _ => None,
        })?;
        let number = FlightNumber::new(i64::from(number)).ok_or_else(|| {
            self.check("flight_number", format!("flight number {number} is out of range"))
                .with_detail("Flight numbers are 1 to 9999.")
        })?;
        let suffix = match self.datum(column::LEG_SUFFIX) {
            None => rotabase_engine::schedule::Suffix::NONE,
            Some(_) => self.parse(column::LEG_SUFFIX)?,
        };
        Ok(FlightId { carrier: self.parse(column::LEG_CARRIER)?, number, suffix })
    }

    fn time(&self, column: usize) -> Result<UtcTime> {
        let time = self.required(column, |datum| match datum {
            Datum::TimestampTz(time) => Some(*time),
            _ => None,
        })?;
        if time == i64::MIN || time == i64::MAX {
            let message = format!("column \"{}\" cannot be infinite", self.name(column));
            return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message));
        }
        Ok(UtcTime(time))
    }

    fn day_of_origin(&self) -> Result<DayOfOrigin> {
        let day = self.required(column::LEG_DAY_OF_ORIGIN, |datum| match datum {
            Datum::Date(day) => Some(*day),
            _ => None,
        })?;
        if day == i32::MIN || day == i32::MAX {
            return Err(SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                "column \"day_of_origin\" cannot be infinite",
            ));
        }
        Ok(DayOfOrigin(day))
    }

    fn leg(&self, id: LegId) -> Result<Leg> {
        let flight = self.flight()?;
        let designator = FlightDesignator {
            flight,
            departure_airport: self.parse(column::LEG_DEPARTURE_AIRPORT)?,
            day_of_origin: self.day_of_origin()?,
        };
        let arrival_airport = self.parse(column::LEG_ARRIVAL_AIRPORT)?;
        let departure = self.time(column::LEG_DEPARTURE_TIME)?;
        let arrival = self.time(column::LEG_ARRIVAL_TIME)?;
        let block = BlockTime::new(departure, arrival).ok_or_else(|| {
            self.check(
                "block_time",
                format!("leg {} would not arrive after it departs", AggregateId::Flight(flight)),
            )
        })?;
        let service_type = match self.datum(column::LEG_SERVICE_TYPE) {
            None => "J".parse().expect("a letter"),
            Some(_) => self.parse::<ServiceType>(column::LEG_SERVICE_TYPE)?,
        };
        Ok(Leg {
            id,
            designator,
            arrival_airport,
            block,
            departure_utc_offset_minutes: self.int4(column::LEG_DEPARTURE_UTC_OFFSET, 0)?,
            arrival_utc_offset_minutes: self.int4(column::LEG_ARRIVAL_UTC_OFFSET, 0)?,
            leg_sequence: self.int4(column::LEG_SEQUENCE, 1)?,
            itinerary_variation: self.int4(column::LEG_ITINERARY_VARIATION, 1)?,
            service_type,
            aircraft_type: self.parse_optional(column::LEG_AIRCRAFT_TYPE)?,
        })
    }
}
