//! `COPY leg_rotations` and `COPY airplane_rotations`: what flies what, which SSIM does not say.
//!
//! A rotation is named by its UUID or by its name. Loading legs into a rotation that does not exist creates it.

use std::thread::JoinHandle;

use rotabase_engine::schedule::{
    AggregateId, AirportCode, Carrier, Command, DayOfOrigin, FlightDesignator, FlightId,
    FlightNumber, Registration, RotationId, Schedule, Suffix, ValueError,
};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::projection::{DesignatorLegs, Snapshot};
use rotabase_queries::sql::command::{add_leg, remove_leg};
use rotabase_queries::sql::{AIRPLANE_ROTATIONS_COLUMNS, LEG_ROTATIONS_COLUMNS};
use rotabase_queries::types::{Datum, PgType};
use rotabase_raft::Request;
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::input::Converter;
use super::record::Record;
use crate::sqlstate;

/// Legs and their rotations, as they are read.
pub(crate) struct LegRotations {
    /// For each column its place in the record.
    places: [Option<usize>; 6],
    by_name: FxHashMap<String, RotationId>,
    /// Rotations named by UUID that are known to be there, or are being created.
    known: FxHashSet<RotationId>,
    /// Rows of one rotation mostly stand together.
    last: Option<(String, RotationId)>,
    waiting: Vec<Waiting>,
    /// Those before, which are being looked up.
    looked_up: Option<LookUp>,
}

/// A record whose leg is not looked up yet.
struct Waiting {
    line: u64,
    designator: FlightDesignator,
    rotation: RotationId,
}

/// Records whose legs are being looked up, while records are read and what was found before is decided.
struct LookUp {
    waiting: Vec<Waiting>,
    snapshot: Snapshot,
    /// None if there is no thread for it.
    thread: Option<JoinHandle<Result<Vec<DesignatorLegs>>>>,
}

impl LookUp {
    fn begin(waiting: Vec<Waiting>, snapshot: &Snapshot) -> Self {
        let designators = designators(&waiting);
        let (in_thread, snapshot) = (snapshot.clone(), snapshot.clone());
        let look_up = move || Ok(in_thread.legs_by_designators(&designators)?);
        let thread = std::thread::Builder::new().name("copy-lookup".to_owned()).spawn(look_up);
        Self { waiting, snapshot, thread: thread.ok() }
    }

    fn end(self) -> Result<(Vec<Waiting>, Vec<DesignatorLegs>)> {
        let found = match self.thread {
            Some(thread) => {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?
            }
            None => self.snapshot.legs_by_designators(&designators(&self.waiting))?,
        };
        Ok((self.waiting, found))
    }
}

fn designators(waiting: &[Waiting]) -> Vec<FlightDesignator> {
    waiting.iter().map(|it| it.designator).collect()
}

/// The name of the table that records of [`LegRotations`] are copied into.
pub(crate) const TABLE: &str = "leg_rotations";

/// The legs that are looked up together: they stand anywhere in the store, and the more of them there are the fewer
/// times each of its blocks is read. As many may be being decided, and as many be being looked up.
const LOOKED_UP_TOGETHER: usize = if cfg!(test) { 64 } else { 1 << 20 };

/// The legs that were looked up whose memory is given back together, once they have been handed over.
const GIVEN_BACK_TOGETHER: usize = LOOKED_UP_TOGETHER / 64;

impl LegRotations {
    /// Reads records with these columns, given as places in [`LEG_ROTATIONS_COLUMNS`].
    pub(crate) fn new(columns: Vec<usize>) -> Self {
        let mut places = [None; 6];
        for (at, column) in columns.into_iter().enumerate() {
            places[column] = Some(at);
        }
        Self {
            places,
            by_name: FxHashMap::default(),
            known: FxHashSet::default(),
            last: None,
            waiting: Vec::new(),
            looked_up: None,
        }
    }

    /// Takes a record, whose commands follow once its leg has been looked up with others.
    pub(crate) fn row(&mut self, converter: &mut Converter, record: &Record) -> Result<()> {
        let taken = self.take(converter, record);
        if taken.is_err() {
            // The faults of records before come first.
            self.flush(converter)?;
        }
        taken
    }

    fn take(&mut self, converter: &mut Converter, record: &Record) -> Result<()> {
        let designator = self.designator(converter, record)?;
        let rotation = required(record, self.places[0], LEG_ROTATIONS_COLUMNS[0])?;
        let rotation = match &self.last {
            Some((name, id)) if name == rotation => *id,
            _ => {
                let id = self.rotation(converter, record.line, rotation)?;
                self.last = Some((rotation.to_owned(), id));
                id
            }
        };
        self.waiting.push(Waiting { line: record.line, designator, rotation });
        if self.waiting.len() < LOOKED_UP_TOGETHER {
            return Ok(());
        }
        let before = self.looked_up.take().map(LookUp::end).transpose()?;
        let waiting = std::mem::take(&mut self.waiting);
        self.looked_up = Some(LookUp::begin(waiting, &converter.snapshot));
        before.map_or(Ok(()), |(waiting, found)| send(converter, waiting, found))
    }

    /// Looks up the legs of the records that wait, and hands over their commands.
    pub(crate) fn flush(&mut self, converter: &mut Converter) -> Result<()> {
        if let Some(before) = self.looked_up.take() {
            let (waiting, found) = before.end()?;
            send(converter, waiting, found)?;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let found = converter.snapshot.legs_by_designators(&designators(&waiting))?;
        send(converter, waiting, found)
    }

    fn designator(&self, converter: &Converter, record: &Record) -> Result<FlightDesignator> {
        let carrier: Carrier = parsed(record, self.places[1], LEG_ROTATIONS_COLUMNS[1])?;
        let number =
            typed(converter, record, self.places[2], LEG_ROTATIONS_COLUMNS[2], PgType::Int4)?;
        let number = match number {
            Datum::Int4(number) => FlightNumber::new(i64::from(number)),
            _ => None,
        };
        let number = number.ok_or_else(|| {
            SqlError::new(SqlState::CHECK_VIOLATION, "flight number is out of range")
                .with_detail("Flight numbers are 1 to 9999.")
        })?;
        let suffix: Suffix = match self.places[3].map(|at| record.text(at)).transpose()?.flatten() {
            Some(text) => {
                text.parse().map_err(|error| malformed(LEG_ROTATIONS_COLUMNS[3], &error))?
            }
            None => Suffix::NONE,
        };
        let departure_airport: AirportCode =
            parsed(record, self.places[4], LEG_ROTATIONS_COLUMNS[4])?;
        let day =
            match typed(converter, record, self.places[5], LEG_ROTATIONS_COLUMNS[5], PgType::Date)?
            {
                Datum::Date(day) => DayOfOrigin(day),
                _ => return Err(SqlError::internal("a date was read")),
            };
        Ok(FlightDesignator {
            flight: FlightId { carrier, number, suffix },
            departure_airport,
            day_of_origin: day,
        })
    }

    /// The rotation that a record names; created if it does not exist.
    fn rotation(&mut self, converter: &mut Converter, line: u64, text: &str) -> Result<RotationId> {
        if let Ok(id) = Uuid::parse_str(text) {
            let id = RotationId(id);
            if self.known.insert(id) && converter.snapshot.rotation(id)?.is_none() {
                converter.send(line, [create(id, None)])?;
            }
            return Ok(id);
        }
        if let Some(id) = self.by_name.get(text) {
            return Ok(*id);
        }
        let id = match named(converter, text)? {
            Some(id) => id,
            None => {
                let id = RotationId(converter.new_id());
                converter.send(line, [create(id, Some(text.to_owned()))])?;
                id
            }
        };
        self.by_name.insert(text.to_owned(), id);
        Ok(id)
    }
}

/// Hands over the commands of records whose legs were looked up.
fn send(
    converter: &mut Converter,
    mut waiting: Vec<Waiting>,
    mut found: Vec<DesignatorLegs>,
) -> Result<()> {
    // From the end on, so that memory goes back while the statement takes ever more.
    waiting.reverse();
    found.reverse();
    while let Some((waiting, legs)) = waiting.pop().zip(found.pop()) {
        match assign(&waiting, legs) {
            Ok(None) => {}
            Ok(Some(requests)) => converter.send(waiting.line, requests)?,
            Err(error) => converter.fault(error, TABLE, waiting.line),
        }
        if found.len().is_multiple_of(GIVEN_BACK_TOGETHER) {
            found.shrink_to_fit();
        }
    }
    Ok(())
}

/// The commands that put the leg of a designator into a rotation; none if it is there.
fn assign(waiting: &Waiting, legs: DesignatorLegs) -> Result<Option<[Request<Schedule>; 2]>> {
    let Waiting { designator, rotation, .. } = waiting;
    let day = || sqlstate::date(designator.day_of_origin.0);
    let row = match legs {
        DesignatorLegs::None => {
            return Err(SqlError::new(
                SqlState::FOREIGN_KEY_VIOLATION,
                format!("leg {designator} of {} does not exist", day()),
            )
            .with_hint("Load the schedule's SSIM file first."));
        }
        DesignatorLegs::One(row) => row,
        DesignatorLegs::Many(legs) => {
            let message =
                format!("flight designator {designator} of {} is shared by {legs} legs", day());
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
                .with_hint("Assign these legs by their ids, with UPDATE legs SET rotation_id = ... WHERE id = ...."));
        }
    };
    let before = row.rotation();
    if before == Some(*rotation) {
        return Ok(None);
    }
    let requests = [remove_leg(&row.leg, before), add_leg(&row.leg, Some(*rotation))];
    Ok(Some(requests.map(|it| Request::new(it.id, it.command))))
}

/// Airplanes and their rotations, as they are read.
pub(crate) struct AirplaneRotations {
    places: [Option<usize>; 2],
}

impl AirplaneRotations {
    /// Reads records with these columns, given as places in [`AIRPLANE_ROTATIONS_COLUMNS`].
    pub(crate) fn new(columns: Vec<usize>) -> Self {
        let mut places = [None; 2];
        for (at, column) in columns.into_iter().enumerate() {
            places[column] = Some(at);
        }
        Self { places }
    }

    /// Turns a record into commands.
    pub(crate) fn row(&mut self, converter: &mut Converter, record: &Record) -> Result<()> {
        let registration: Registration =
            parsed(record, self.places[0], AIRPLANE_ROTATIONS_COLUMNS[0])?;
        let text = required(record, self.places[1], AIRPLANE_ROTATIONS_COLUMNS[1])?;
        let rotation = match Uuid::parse_str(text) {
            Ok(id) => RotationId(id),
            Err(_) => named(converter, text)?.ok_or_else(|| {
                SqlError::new(
                    SqlState::FOREIGN_KEY_VIOLATION,
                    format!("rotation \"{text}\" does not exist"),
                )
                .with_hint("Load leg_rotations first.")
            })?,
        };
        let require = Request::new(AggregateId::Rotation(rotation), Command::RequireRotation);
        let assign =
            Request::new(AggregateId::Airplane(registration), Command::AssignRotation(rotation));
        converter.send(record.line, [require, assign])
    }
}

fn create(id: RotationId, name: Option<String>) -> Request<Schedule> {
    Request::new(AggregateId::Rotation(id), Command::CreateRotation(name))
}

/// The one rotation of a name, if there is one.
fn named(converter: &Converter, name: &str) -> Result<Option<RotationId>> {
    let found = converter.snapshot.rotations_named(name, 2)?;
    match found.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(*id)),
        _ => {
            let message = format!("rotation name \"{name}\" is shared by several rotations");
            Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
                .with_hint("Name the rotation by its id."))
        }
    }
}

fn required<'a>(record: &'a Record, place: Option<usize>, column: &str) -> Result<&'a str> {
    let text = place.map(|at| record.text(at)).transpose()?.flatten();
    text.ok_or_else(|| {
        let message = format!("null value in column \"{column}\" violates not-null constraint");
        let mut error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message);
        error.column = Some(column.to_owned());
        error
    })
}

fn parsed<T: std::str::FromStr<Err = ValueError>>(
    record: &Record,
    place: Option<usize>,
    column: &str,
) -> Result<T> {
    required(record, place, column)?.parse().map_err(|error| malformed(column, &error))
}

fn malformed(column: &str, error: &ValueError) -> SqlError {
    let message = format!("invalid {}: \"{}\"", error.what, error.text);
    let mut sql = SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message);
    sql.column = Some(column.to_owned());
    sql
}

fn typed(
    converter: &Converter,
    record: &Record,
    place: Option<usize>,
    column: &str,
    ty: PgType,
) -> Result<Datum> {
    required(record, place, column)?;
    let Some(at) = place else { return Ok(Datum::Null) };
    converter.value(record, at, ty).map_err(|mut error| {
        error.column = Some(column.to_owned());
        error
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::database::Database;
    use crate::session::client::Session;

    const COPY: &str = "COPY leg_rotations FROM STDIN (FORMAT csv)";

    async fn answer(session: &mut Session, sql: &str) -> String {
        let reply = session.run_sql(sql, Vec::new()).await.unwrap().pop().unwrap();
        let rows = reply.text_rows(session);
        rows.concat().into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn legs_that_are_looked_up_in_several_rounds_come_into_their_rotations() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path()).await.unwrap();
        let mut session = database.session("rotabase").unwrap();
        let legs = "INSERT INTO legs (carrier, flight_number, day_of_origin, departure_airport, arrival_airport,
                departure_time, arrival_time)
            SELECT 'LH', n, '2026-03-29', 'FRA', 'MUC', timestamptz '2026-03-29 00:00Z' + n * interval '2 hours',
                timestamptz '2026-03-29 01:00Z' + n * interval '2 hours' FROM generate_series(1, 300) n";
        answer(&mut session, legs).await;
        let mut input = String::new();
        for number in 1..=300 {
            let rotation = number % 7;
            writeln!(input, "R{rotation},LH,{number},,FRA,2026-03-29").unwrap();
        }
        // The faults of all rounds, in the order of the records, and nothing is stored.
        let mut faulty: Vec<&str> = input.lines().collect();
        for line in [290, 170, 100, 10] {
            faulty.insert(line, "R1,LH,9999,,FRA,2026-03-29");
        }
        faulty.insert(200, "R1,LH,none,,FRA,2026-03-29");
        let error = session.copy_in(COPY, faulty.join("\n").as_bytes()).await.unwrap_err();
        let detail = error.detail.unwrap_or_default();
        let lines: Vec<usize> = detail
            .split("line ")
            .skip(1)
            .map(|after| {
                after.split(|it: char| !it.is_ascii_digit()).next().unwrap().parse().unwrap()
            })
            .collect();
        assert_eq!(lines, [11, 102, 173, 201, 295], "{detail}");
        let moved =
            "SELECT count(*), count(DISTINCT rotation_id) FROM legs WHERE rotation_id IS NOT NULL";
        assert_eq!(answer(&mut session, moved).await, "0 0");

        assert_eq!(session.copy_in(COPY, input.as_bytes()).await.unwrap(), "COPY 300");
        assert_eq!(answer(&mut session, moved).await, "300 7");
        let numbers = "SELECT count(*) FROM legs l JOIN rotations r ON r.id = l.rotation_id
            WHERE r.name = 'R' || l.flight_number % 7";
        assert_eq!(answer(&mut session, numbers).await, "300");
        drop(session);
        database.close().await;
    }
}
