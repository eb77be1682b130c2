//! `leg_history`, `rotation_history`, `airplane_history`, `airport_history`: who changed what, when, from what to
//! what, for people.
//!
//! A row is an event of the subject, with the subject before and after it. A leg that moves between two aggregates
//! is given up by one and taken by the other; that is one row, the move.

use std::collections::VecDeque;
use std::sync::Arc;

use rotabase_engine::env::Timestamp;
use rotabase_engine::schedule::{
    Event, Leg, LegId, MinimumGroundTime, RotationId, event_name, payload_json,
};

use crate::error::Result;
use crate::exec::ExecContext;
use crate::relation::{Access, Relation, RelationSchema, RowScan};
use crate::types::{Datum, Jsonb, json};

use super::super::count::Count;
use super::super::history::{Record, Row, Subject, state};
use super::super::key::{Key, table};
use super::super::row::{AirplaneRow, Fields, LegOwner, corrupted};
use super::super::rows::{self, Direction, Range, ReadRows};
use super::super::snapshot::Snapshot;
use super::range::{Part, range};
use super::schema;
use super::table::{Estimates, no_column};

/// The rows of a history that are read at a time.
const CHUNK_ROWS_MAX: usize = 256;

/// What a history is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Leg,
    Rotation,
    Airplane,
    Airport,
}

/// The history of all subjects of a kind.
#[derive(Debug)]
pub(super) struct HistoryRelation {
    kind: Kind,
    schema: Arc<RelationSchema>,
    estimates: Arc<Estimates>,
}

impl HistoryRelation {
    pub(super) fn of(kind: Kind, estimates: &Arc<Estimates>) -> Self {
        let schema = match kind {
            Kind::Leg => schema::leg_history(),
            Kind::Rotation => schema::rotation_history(),
            Kind::Airplane => schema::airplane_history(),
            Kind::Airport => schema::airport_history(),
        };
        Self { kind, schema, estimates: Arc::clone(estimates) }
    }

    fn table(&self) -> (u8, Part) {
        match self.kind {
            Kind::Leg => (table::LEG_HISTORY, Part::Uuid),
            Kind::Rotation => (table::ROTATION_HISTORY, Part::Uuid),
            Kind::Airplane => {
                let width = Subject::width(table::AIRPLANE_HISTORY);
                (table::AIRPLANE_HISTORY, Part::Code(width))
            }
            Kind::Airport => {
                (table::AIRPORT_HISTORY, Part::Code(Subject::width(table::AIRPORT_HISTORY)))
            }
        }
    }
}

impl Relation for HistoryRelation {
    fn schema(&self) -> &Arc<RelationSchema> {
        &self.schema
    }

    fn scan(
        &self,
        context: &ExecContext,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        self.open(&context.snapshot, access, columns)
    }

    fn count(&self, _context: &ExecContext) -> Result<Option<u64>> {
        Ok(None)
    }

    fn estimate(&self) -> u64 {
        self.estimates.get(Count::Events)
    }

    fn has_past(&self) -> bool {
        true
    }
}

impl HistoryRelation {
    /// Reads histories as a snapshot shows them.
    pub(super) fn open(
        &self,
        snapshot: &Snapshot,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        let (table, part) = self.table();
        let (subjects, direction) = match access {
            Access::Full => (Some(Range::prefix(Key::table(table))), Direction::Forward),
            Access::Index { prefix, lower, upper, backward, .. } => {
                let direction = if *backward { Direction::Backward } else { Direction::Forward };
                (range(Key::table(table), &[part], prefix, lower, upper)?, direction)
            }
        };
        Ok(Box::new(HistoryScan {
            snapshot: snapshot.clone(),
            // What only rotations have stands behind their key.
            columns: columns
                .iter()
                .map(|column| match (self.kind, *column) {
                    (Kind::Rotation, 1) => LEG,
                    (Kind::Rotation, column @ 2..) => column - 1,
                    (_, column) => column,
                })
                .collect(),
            subjects,
            direction,
            walk: None,
        }))
    }
}

/// The place of `leg_id` of a rotation's history.
const LEG: usize = usize::MAX;

/// What a subject is.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Leg(Option<RotationId>, Box<Leg>),
    Rotation(state::RotationName),
    Airplane(AirplaneRow),
    Airport(MinimumGroundTime),
}

/// A row: an event, and its subject before and after.
struct Fact {
    record: Box<Record>,
    leg: Option<LegId>,
    before: Option<State>,
    after: Option<State>,
}

/// Histories being read, one subject after the other.
struct HistoryScan {
    snapshot: Snapshot,
    columns: Vec<usize>,
    // None: there are no more subjects.
    subjects: Option<Range>,
    direction: Direction,
    walk: Option<Walk>,
}

/// The history of one subject being read.
struct Walk {
    subject: Subject,
    left: Range,
    claims: state::Claims,
    now: Option<State>,
    // A leg was given up: it may be about to be taken by another aggregate.
    given_up: Option<Box<Record>>,
    facts: VecDeque<Fact>,
}

impl RowScan for HistoryScan {
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool> {
        let mut left = rows_max.max(1);
        loop {
            if self.walk.is_none() {
                self.walk = self.next_subject()?;
            }
            let Some(walk) = &mut self.walk else { return Ok(false) };
            while let Some(fact) = walk.facts.pop_front() {
                for column in &self.columns {
                    out.push(fact.value(*column, walk.subject)?);
                }
                left -= 1;
                if left == 0 {
                    return Ok(true);
                }
            }
            if !walk.read(&self.snapshot)? {
                self.walk = None;
            }
        }
    }
}

impl HistoryScan {
    /// Begins the history of the next subject that has one.
    fn next_subject(&mut self) -> rows::Result<Option<Walk>> {
        let Some(mut range) = self.subjects.take() else { return Ok(None) };
        let found = self.snapshot.first(&range, self.direction, |key, _| {
            let width = 1 + Subject::width(key[0]);
            Ok((Subject::read(&mut Fields(key))?, Key::from(&key[..width])))
        })?;
        let Some((subject, key)) = found else { return Ok(None) };
        match self.direction {
            Direction::Forward => match key.successor() {
                Some(next) => range.from = next,
                None => range.to = Some(range.from.clone()),
            },
            Direction::Backward => range.to = Some(key),
        }
        self.subjects = (!range.is_empty()).then_some(range);
        let until = self.snapshot.as_of().unwrap_or(Timestamp(u64::MAX));
        Ok(Some(Walk {
            subject,
            left: state::until(subject, until),
            claims: state::Claims::new(),
            now: None,
            given_up: None,
            facts: VecDeque::new(),
        }))
    }
}

impl Walk {
    /// Reads the next rows; whether there were any left to read.
    fn read(&mut self, snapshot: &Snapshot) -> rows::Result<bool> {
        if self.left.is_empty() {
            let Some(record) = self.given_up.take() else { return Ok(false) };
            self.apply(record);
            return Ok(true);
        }
        let rows = snapshot.chunk(&mut self.left, CHUNK_ROWS_MAX, Row::decode)?;
        for (_, row) in rows {
            match row {
                Row::Event(record) => self.follow(record),
                Row::Reference(leg, place) => {
                    let fact =
                        fact_of_leg(snapshot, self.subject, leg, &place.key(Subject::Leg(leg)))?;
                    self.facts.push_back(fact);
                }
            }
        }
        Ok(true)
    }

    /// Takes the next event; of a leg's move, the arrival comes first.
    fn follow(&mut self, record: Box<Record>) {
        match self.given_up.take() {
            Some(given_up) if moves(&given_up, &record) => {
                self.apply(record);
                self.apply(given_up);
            }
            Some(given_up) => {
                self.apply(given_up);
                self.follow(record);
            }
            None if gives_up(&record.event) => self.given_up = Some(record),
            None => self.apply(record),
        }
    }

    fn apply(&mut self, record: Box<Record>) {
        let before = self.now.clone();
        self.now = match (self.subject, before.clone()) {
            (Subject::Leg(_), _) => {
                state::claim(&mut self.claims, &record);
                shown(&self.claims)
            }
            (Subject::Rotation(_), before) => {
                let mut name = match before {
                    Some(State::Rotation(name)) => Some(name),
                    _ => None,
                };
                state::change_rotation(&mut name, &record);
                name.map(State::Rotation)
            }
            (Subject::Airplane(registration), before) => {
                let mut row = match before {
                    Some(State::Airplane(row)) => Some(row),
                    _ => None,
                };
                state::change_airplane(&mut row, registration, &record);
                row.map(State::Airplane)
            }
            (Subject::Airport(_), before) => {
                let mut minimum = match before {
                    Some(State::Airport(minimum)) => Some(minimum),
                    _ => None,
                };
                state::change_airport(&mut minimum, &record);
                minimum.map(State::Airport)
            }
        };
        // The leg had been taken by another aggregate already.
        if gives_up(&record.event) && before == self.now {
            return;
        }
        self.facts.push_back(Fact { record, leg: None, before, after: self.now.clone() });
    }
}

fn gives_up(event: &Event) -> bool {
    matches!(event, Event::LegRemoved { .. } | Event::OpenLegCancelled { .. })
}

/// Whether a leg that was given up is taken by another aggregate, all in one transaction.
fn moves(given_up: &Record, taken: &Record) -> bool {
    let takes = matches!(taken.event, Event::LegAdded(_) | Event::OpenLegScheduled(_));
    let together = match (given_up.metadata.transaction, taken.metadata.transaction) {
        (Some(one), Some(other)) => one == other,
        _ => given_up.place.timestamp == taken.place.timestamp,
    };
    takes && together && given_up.aggregate != taken.aggregate
}

/// What is shown of a leg: its newest claim.
fn shown(claims: &state::Claims) -> Option<State> {
    state::newest(claims).map(|(owner, _, leg)| State::Leg(owner.rotation(), Box::new(leg)))
}

/// What happened to a leg in a rotation.
fn fact_of_leg(
    snapshot: &Snapshot,
    rotation: Subject,
    leg: LegId,
    key: &Key,
) -> rows::Result<Fact> {
    let record = snapshot.get(key, |value| Row::decode(key, value))?;
    let Some((_, Row::Event(record))) = record else {
        return Err(corrupted("a rotation's history names no event of a leg"));
    };
    let Subject::Rotation(rotation) = rotation else {
        return Err(corrupted("a history that is not a rotation's names a leg's event"));
    };
    let mut claims = state::Claims::new();
    let before = Range { from: Subject::Leg(leg).key(), to: Some(key.clone()) };
    snapshot.visit(&before, Direction::Forward, &mut |key, value| {
        if let Row::Event(record) = Row::decode(key, value)?.1 {
            state::claim(&mut claims, &record);
        }
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    let here = |claims: &state::Claims| {
        let held = claims.get(&LegOwner::Rotation(rotation));
        held.map(|(_, leg)| State::Leg(Some(rotation), Box::new(*leg)))
    };
    let was = here(&claims);
    state::claim(&mut claims, &record);
    Ok(Fact { record, leg: Some(leg), before: was, after: here(&claims) })
}

impl Fact {
    fn value(&self, column: usize, subject: Subject) -> rows::Result<Datum> {
        let metadata = &self.record.metadata;
        Ok(match column {
            0 => match subject {
                Subject::Leg(LegId(id)) | Subject::Rotation(RotationId(id)) => Datum::Uuid(id),
                Subject::Airplane(registration) => Datum::text(registration.as_str()),
                Subject::Airport(code) => Datum::text(code.as_str()),
            },
            1 => Datum::Int8(self.record.version.to_i64()),
            2 => Datum::TimestampTz(self.record.place.timestamp.microseconds()),
            3 => Datum::text(&metadata.user),
            4 => Datum::text(&metadata.application),
            5 => metadata.transaction.map_or(Datum::Null, Datum::Uuid),
            6 => metadata.correlation.as_ref().map_or(Datum::Null, Datum::text),
            7 => Datum::text(event_name(self.record.event_type).unwrap_or("unknown")),
            8 => jsonb(self.before.as_ref())?,
            9 => jsonb(self.after.as_ref())?,
            10 => self.change()?,
            LEG => self.leg.map_or(Datum::Null, |leg| Datum::Uuid(leg.0)),
            _ => return Err(no_column(column)),
        })
    }

    /// The fields that differ, each with what it was and what it is; none where there was or is nothing.
    fn change(&self) -> rows::Result<Datum> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            return Ok(Datum::Null);
        };
        let before = before.fields()?;
        let mut differing = Vec::new();
        for (key, is) in after.fields()? {
            let was = before.iter().find(|(it, _)| *it == key).map(|(_, was)| was.clone());
            let was = was.unwrap_or(Jsonb::Null);
            if was != is {
                let fields = vec![("from".to_owned(), was), ("to".to_owned(), is)];
                differing.push((key, json::object(fields)));
            }
        }
        Ok(Datum::Jsonb(Arc::new(json::object(differing))))
    }
}

fn jsonb(state: Option<&State>) -> rows::Result<Datum> {
    let Some(state) = state else { return Ok(Datum::Null) };
    Ok(Datum::Jsonb(Arc::new(json::object(state.fields()?))))
}

impl State {
    /// As an event shows it, and the rotation.
    fn fields(&self) -> rows::Result<Vec<(String, Jsonb)>> {
        let rotation_of = |rotation: &Option<RotationId>| {
            rotation.map_or(Jsonb::Null, |id| Jsonb::String(id.to_string()))
        };
        let (event, rotation) = match self {
            Self::Leg(rotation, leg) => (Event::LegAdded(leg.clone()), Some(rotation_of(rotation))),
            Self::Rotation(name) => (Event::RotationCreated { name: name.0.clone() }, None),
            Self::Airplane(row) => {
                let (aircraft_type, minimum_ground_time) =
                    (row.aircraft_type, row.minimum_ground_time);
                let event = Event::AirplaneRegistered { aircraft_type, minimum_ground_time };
                (event, Some(rotation_of(&row.rotation)))
            }
            Self::Airport(minimum_ground_time) => {
                (Event::AirportRegistered { minimum_ground_time: *minimum_ground_time }, None)
            }
        };
        let mut text = String::new();
        payload_json(&event, &mut text);
        let value: Jsonb = serde_json::from_str(&text)
            .map_err(|error| corrupted(&format!("a payload is no JSON: {error}")))?;
        let Jsonb::Object(map) = value else { return Err(corrupted("a payload is no object")) };
        let mut fields: Vec<(String, Jsonb)> = map.into_iter().collect();
        fields.extend(rotation.map(|rotation| ("rotation_id".to_owned(), rotation)));
        Ok(fields)
    }
}
