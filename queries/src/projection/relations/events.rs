//! `events`: the log itself as a relation. It is read from the feed and not stored twice; a snapshot shows what
//! was folded into it and nothing later.

use std::collections::BTreeMap;
use std::sync::Arc;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::{DecodeError, Domain as _};
use rotabase_engine::entry::{CommittedEntry, Entry, Metadata, StoredEvent};
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, Position, Positions, ShardId};
use rotabase_engine::schedule::{Schedule, event_name, payload_json};
use serde_json::{Map, Value};

use crate::error::{Result, SqlError};
use crate::relation::{Access, Bound, RelationSchema, RowScan};
use crate::types::Datum;

use super::super::count::Count;
use super::super::held::{Beyond, beyond};
use super::super::rows::{self, Direction};
use super::super::snapshot::Snapshot;
use super::schema;
use super::table::{Estimates, Projected, no_column};

/// The log entries that a backward scan looks at in one go, unless they are large.
const WINDOW_ENTRIES_MAX: u64 = 1024;

/// The shard of a heartbeat.
const HEARTBEAT_SHARD: i32 = -1;

/// The event type of a heartbeat.
const HEARTBEAT_TYPE: &str = "heartbeat";

/// The relation `events`.
#[derive(Debug)]
pub(in crate::projection) struct EventsRelation {
    schema: Arc<RelationSchema>,
    estimates: Arc<Estimates>,
}

impl EventsRelation {
    pub(in crate::projection) fn of(estimates: &Arc<Estimates>) -> Self {
        Self { schema: schema::events(), estimates: Arc::clone(estimates) }
    }
}

impl Projected for EventsRelation {
    fn schema(&self) -> &Arc<RelationSchema> {
        &self.schema
    }

    fn scan(
        &self,
        snapshot: &Snapshot,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        let Some(feed) = snapshot.feed() else { return Ok(Box::new(Nothing)) };
        let beyond = beyond(snapshot)?;
        let mut seen: BTreeMap<ShardId, Position> = snapshot.positions().iter().collect();
        seen.extend(beyond.iter().map(|(shard, it)| (*shard, Position::end_of(it.read_to))));
        let seen =
            seen.into_iter().map(|(shard, last)| Span { shard, first: Position::START, last });
        let (mut spans, direction) = match access {
            Access::Full => (seen.collect(), Direction::Forward),
            Access::Index { index: _, prefix, lower, upper, backward } => {
                let direction = if *backward { Direction::Backward } else { Direction::Forward };
                (narrowed(seen, prefix, lower, upper)?, direction)
            }
        };
        if direction == Direction::Forward {
            // The spans are taken from the end.
            spans.reverse();
        }
        Ok(Box::new(EventScan {
            feed: Arc::clone(feed),
            columns: columns.to_vec(),
            as_of: snapshot.as_of(),
            direction,
            spans,
            beyond,
            window: 1,
            entries: Vec::new(),
            places: Vec::new(),
        }))
    }

    fn count(&self, snapshot: &Snapshot) -> rows::Result<u64> {
        snapshot.count(Count::Events)
    }

    fn estimate(&self) -> u64 {
        self.estimates.get(Count::Events)
    }
}

/// Events of one shard, both ends included.
#[derive(Clone, Copy, Debug)]
struct Span {
    shard: ShardId,
    first: Position,
    last: Position,
}

/// The parts of the spans whose (shard, position) an index access asks for.
fn narrowed(
    seen: impl Iterator<Item = Span>,
    prefix: &[Datum],
    lower: &Bound,
    upper: &Bound,
) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    for mut span in seen {
        let shard = i64::from(span.shard.0);
        let inside = match prefix {
            [] => above(lower, shard)? && below(upper, shard)?,
            [of_shard, position @ ..] => {
                let (mut first, mut last) = match position {
                    [position, ..] => (number(position)?, number(position)?),
                    [] => (lowest(lower)?, highest(upper)?),
                };
                first = first.max(span.first.to_i64());
                last = last.min(span.last.to_i64());
                if let (Some(first), Some(last)) =
                    (Position::from_i64(first), Position::from_i64(last))
                {
                    (span.first, span.last) = (first, last);
                }
                number(of_shard)? == shard && first <= last
            }
        };
        if inside {
            spans.push(span);
        }
    }
    Ok(spans)
}

fn number(value: &Datum) -> Result<i64> {
    match value {
        Datum::Int4(number) => Ok(i64::from(*number)),
        Datum::Int8(number) => Ok(*number),
        other => {
            Err(SqlError::internal(format!("{other:?} is no bound for a shard or a position")))
        }
    }
}

fn above(lower: &Bound, value: i64) -> Result<bool> {
    Ok(match lower {
        Bound::Open => true,
        Bound::Included(bound) => value >= number(bound)?,
        Bound::Excluded(bound) => value > number(bound)?,
    })
}

fn below(upper: &Bound, value: i64) -> Result<bool> {
    Ok(match upper {
        Bound::Open => true,
        Bound::Included(bound) => value <= number(bound)?,
        Bound::Excluded(bound) => value < number(bound)?,
    })
}

fn lowest(lower: &Bound) -> Result<i64> {
    Ok(match lower {
        Bound::Open => 0,
        Bound::Included(bound) => number(bound)?,
        Bound::Excluded(bound) => number(bound)?.saturating_add(1),
    })
}

fn highest(upper: &Bound) -> Result<i64> {
    Ok(match upper {
        Bound::Open => i64::MAX,
        Bound::Included(bound) => number(bound)?,
        Bound::Excluded(bound) => number(bound)?.saturating_sub(1),
    })
}

/// A scan without a feed.
struct Nothing;

impl RowScan for Nothing {
    fn next(&mut self, _rows_max: usize, _out: &mut Vec<Datum>) -> Result<bool> {
        Ok(false)
    }
}

/// Events being read: one read of the feed at a time is held in memory.
struct EventScan {
    feed: Arc<dyn Feed>,
    columns: Vec<usize>,
    // Events that are newer had not happened.
    as_of: Option<Timestamp>,
    direction: Direction,
    // What is left, the next span last.
    spans: Vec<Span>,
    // Entries within them that are not folded.
    beyond: BTreeMap<ShardId, Beyond>,
    window: u64,
    entries: Vec<CommittedEntry>,
    // Which events of `entries` come next, the next one last.
    places: Vec<(usize, usize)>,
}

impl RowScan for EventScan {
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool> {
        let mut left = rows_max.max(1);
        loop {
            while let Some((entry, ordinal)) = self.places.pop() {
                let committed = &self.entries[entry];
                for column in &self.columns {
                    out.push(value(*column, committed, ordinal)?);
                }
                left -= 1;
                if left == 0 {
                    return Ok(true);
                }
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }
}

impl EventScan {
    /// Reads the next entries; whether there may be any.
    fn fill(&mut self) -> Result<bool, StoreError> {
        self.entries.clear();
        let Some(span) = self.spans.pop() else { return Ok(false) };
        let rest = match self.direction {
            Direction::Forward => self.read_forward(span)?,
            Direction::Backward => self.read_backward(span)?,
        };
        self.spans.extend(rest);
        if let Some(beyond) = self.beyond.get(&span.shard) {
            self.entries.retain(|committed| !beyond.held.contains(&committed.index));
        }
        for (at, committed) in self.entries.iter().enumerate() {
            if self.as_of.is_some_and(|as_of| committed.entry.timestamp > as_of) {
                continue;
            }
            let wanted = |(position, _): &(Position, &StoredEvent)| {
                *position >= span.first && *position <= span.last
            };
            self.places.extend(
                committed.events().filter(wanted).map(|(position, _)| (at, position.ordinal())),
            );
        }
        if self.direction == Direction::Forward {
            self.places.reverse();
        }
        Ok(true)
    }

    /// Reads from the start of the span; returns what is left of it.
    fn read_forward(&mut self, span: Span) -> Result<Option<Span>, StoreError> {
        let before = LogIndex(span.first.index().0.saturating_sub(1));
        let read = self.feed.read(span.shard, before, &mut self.entries)?;
        let first = Position::new(LogIndex(read.0.saturating_add(1)), 0);
        Ok((read > before && first <= span.last).then_some(Span { first, ..span }))
    }

    /// Reads from the end of the span, as many entries as one read of the feed holds; returns what is left of it.
    fn read_backward(&mut self, span: Span) -> Result<Option<Span>, StoreError> {
        let end = span.last.index();
        loop {
            let before = LogIndex(
                end.0.saturating_sub(self.window).max(span.first.index().0.saturating_sub(1)),
            );
            self.entries.clear();
            let read = self.feed.read(span.shard, before, &mut self.entries)?;
            if read < end && self.window > 1 {
                self.window /= 2;
                continue;
            }
            self.entries.retain(|committed| committed.index <= end);
            self.window = (self.window * 2).min(WINDOW_ENTRIES_MAX);
            let last = Position::end_of(before);
            return Ok((before < end && before.0 > 0 && last >= span.first)
                .then_some(Span { last, ..span }));
        }
    }
}

/// The number of columns of `events`.
const COLUMNS: usize = 10;

/// Appends an event as a row of `events`, all columns of it.
pub(crate) fn event_row(
    committed: &CommittedEntry,
    ordinal: usize,
    out: &mut Vec<Datum>,
) -> Result<()> {
    for column in 0..COLUMNS {
        out.push(value(column, committed, ordinal)?);
    }
    Ok(())
}

/// A row of `events` that is no event: it carries a position, as of a moment. Its shard is none, its type
/// `heartbeat`; `metadata` holds the position, `recorded_at` the moment, and everything else is null.
pub(crate) fn heartbeat_row(positions: &Positions, now: i64, out: &mut Vec<Datum>) {
    let mut metadata = Map::new();
    metadata.insert("position".to_owned(), positions.to_string().into());
    out.extend((0..COLUMNS).map(|column| match column {
        0 => Datum::Int4(HEARTBEAT_SHARD),
        5 => Datum::text(HEARTBEAT_TYPE),
        8 => Datum::Jsonb(Arc::new(Value::Object(std::mem::take(&mut metadata)))),
        9 => Datum::TimestampTz(now),
        _ => Datum::Null,
    }));
}

fn value(column: usize, committed: &CommittedEntry, ordinal: usize) -> Result<Datum, StoreError> {
    let entry: &Entry = &committed.entry;
    let event = &entry.events[ordinal];
    Ok(match column {
        0 => Datum::Int4(i32::from(committed.shard.0)),
        1 => Datum::Int8(Position::new(committed.index, ordinal).to_i64()),
        2 => Datum::text(
            Schedule::decode_id(&event.aggregate).map_err(|error| undecoded(&error))?.type_name(),
        ),
        3 => Datum::text(
            Schedule::decode_id(&event.aggregate).map_err(|error| undecoded(&error))?.to_string(),
        ),
        4 => Datum::Int8(event.version.to_i64()),
        5 => Datum::text(event_name(event.kind.event_type).unwrap_or("unknown")),
        6 => Datum::Int4(i32::from(event.kind.schema_version)),
        7 => Datum::Jsonb(Arc::new(payload(event)?)),
        8 => Datum::Jsonb(Arc::new(
            entry
                .metadata
                .get(usize::from(event.metadata))
                .map_or_else(|| Value::Object(Map::new()), metadata),
        )),
        9 => Datum::TimestampTz(entry.timestamp.microseconds()),
        _ => return Err(no_column(column)),
    })
}

fn payload(event: &StoredEvent) -> Result<Value, StoreError> {
    let event =
        Schedule::decode_event(event.kind, &event.payload).map_err(|error| undecoded(&error))?;
    let mut text = String::new();
    payload_json(&event, &mut text);
    serde_json::from_str(&text)
        .map_err(|error| StoreError::Corrupted(format!("a payload is no JSON: {error}")))
}

/// The metadata as `jsonb`: shorter keys first; what the client did not give is left out.
fn metadata(metadata: &Metadata) -> Value {
    let Metadata { user, application, correlation, transaction } = metadata;
    let mut object = Map::new();
    object.insert("user".to_owned(), user.as_str().into());
    object.insert("application".to_owned(), application.as_str().into());
    if let Some(transaction) = transaction {
        object.insert("transaction".to_owned(), transaction.to_string().into());
    }
    if let Some(correlation) = correlation {
        object.insert("correlation_id".to_owned(), correlation.as_str().into());
    }
    Value::Object(object)
}

/// What is in the log and cannot be decoded is corrupted.
fn undecoded(error: &DecodeError) -> StoreError {
    StoreError::Corrupted(error.to_string())
}
