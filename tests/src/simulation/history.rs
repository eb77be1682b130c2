//! What clients asked and heard, and what must be true of it at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{Position, Positions, ShardId, Version};
use uuid::Uuid;

/// What a client heard of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It is stored: the versions of its aggregates, how many events it emitted, and where.
    Stored { versions: Vec<Version>, emitted: u32, positions: Positions },
    /// Nothing was stored.
    Refused(String),
    /// Nobody knows.
    Unknown,
}

/// A statement.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) transaction: Uuid,
    /// The encoded ids of its aggregates, command by command.
    pub(crate) aggregates: Vec<Vec<u8>>,
    /// How many events it has if it happens, where that is known before.
    pub(crate) events: Option<usize>,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) answer: Answer,
}

/// An event, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) shard: ShardId,
    pub(crate) position: Position,
    pub(crate) aggregate: Vec<u8>,
    pub(crate) version: Version,
    pub(crate) timestamp: Timestamp,
    pub(crate) transaction: Option<Uuid>,
}

/// The events of entries.
pub(crate) fn happened(entries: &[CommittedEntry]) -> Vec<Happened> {
    let mut all = Vec::new();
    for entry in entries {
        for (position, event) in entry.events() {
            let metadata = entry.entry.metadata.get(usize::from(event.metadata));
            all.push(Happened {
                shard: entry.shard,
                position,
                aggregate: event.aggregate.to_vec(),
                version: event.version,
                timestamp: entry.entry.timestamp,
                transaction: metadata.and_then(|metadata| metadata.transaction),
            });
        }
    }
    all
}

/// All that was asked, and what was found to be wrong.
#[derive(Debug, Default)]
pub(crate) struct History {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: Vec<Asked>,
    acknowledged: Positions,
    wrong: Vec<String>,
}

impl History {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the history")
    }

    pub(crate) fn record(&self, asked: Asked) {
        let mut state = self.state();
        if let Answer::Stored { positions, .. } = &asked.answer {
            state.acknowledged.merge(positions);
        }
        state.asked.push(asked);
    }

    /// Where everything stands that was acknowledged so far.
    pub(crate) fn acknowledged(&self) -> Positions {
        self.state().acknowledged.clone()
    }

    /// Notes what is wrong.
    pub(crate) fn wrong(&self, what: String) {
        self.state().wrong.push(what);
    }

    pub(crate) fn take_wrong(&self) -> Vec<String> {
        std::mem::take(&mut self.state().wrong)
    }

    pub(crate) fn has_wrong(&self) -> bool {
        !self.state().wrong.is_empty()
    }

    /// How many statements were stored, refused, and left unknown.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for asked in &self.state().asked {
            counts[match asked.answer {
                Answer::Stored { .. } => 0,
                Answer::Refused(_) => 1,
                Answer::Unknown => 2,
            }] += 1;
        }
        counts
    }

    /// Compares what was heard with what has happened.
    pub(crate) fn check(&self, events: &[Happened]) {
        let asked = self.state().asked.clone();
        let mut wrong = check_versions(events);
        let mut of_transaction: BTreeMap<Uuid, Vec<&Happened>> = BTreeMap::new();
        for event in events {
            let Some(transaction) = event.transaction else {
                wrong.push(format!("an event belongs to no statement: {event:?}"));
                continue;
            };
            of_transaction.entry(transaction).or_default().push(event);
        }
        for asked in &asked {
            let found = of_transaction.remove(&asked.transaction).unwrap_or_default();
            wrong.extend(check_statement(asked, &found));
        }
        if let Some((transaction, _)) = of_transaction.first_key_value() {
            wrong.push(format!("nobody has asked for {transaction}"));
        }
        wrong.extend(check_order(&asked));
        self.state().wrong.extend(wrong);
    }
}

/// Versions are 1, 2, 3 …, and times never go back.
fn check_versions(events: &[Happened]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut newest: BTreeMap<&[u8], (Version, Timestamp)> = BTreeMap::new();
    for event in events {
        let (version, timestamp) = newest.entry(&event.aggregate).or_default();
        if event.version != version.next() {
            wrong.push(format!("version {version} of an aggregate is followed by {event:?}"));
        }
        if event.timestamp < *timestamp {
            wrong.push(format!("an event is older than the one before it: {event:?}"));
        }
        (*version, *timestamp) = (event.version, event.timestamp);
    }
    wrong
}

fn check_statement(asked: &Asked, found: &[&Happened]) -> Vec<String> {
    let mut wrong = Vec::new();
    match &asked.answer {
        Answer::Refused(why) if !found.is_empty() => {
            wrong.push(format!("refused ({why}), and it happened: {found:?}"));
        }
        Answer::Unknown
            if !found.is_empty() && asked.events.is_some_and(|events| events != found.len()) =>
        {
            wrong.push(format!("a part of a statement happened: {found:?} of {asked:?}"));
        }
        Answer::Refused(_) | Answer::Unknown => {}
        Answer::Stored { versions, emitted, positions } => {
            if found.len() != usize::try_from(*emitted).unwrap_or(usize::MAX) {
                wrong.push(format!("acknowledged with {emitted} events, and there are {found:?}"));
            }
            for event in found {
                if positions.get(event.shard) < event.position {
                    wrong.push(format!("acknowledged up to {positions:?}, but there is {event:?}"));
                }
                let versions = asked.aggregates.iter().zip(versions);
                let told = versions.filter(|(id, _)| **id == event.aggregate).map(|it| it.1);
                if told.max().is_some_and(|told| *told < event.version) {
                    wrong.push(format!("another version was told of {event:?}"));
                }
            }
        }
    }
    let mut times = found.iter().map(|event| event.timestamp);
    let first = times.next();
    if times.any(|time| Some(time) != first) {
        wrong.push(format!("a statement has more than one time: {found:?}"));
    }
    wrong
}

/// What was asked after an answer comes after it.
fn check_order(asked: &[Asked]) -> Vec<String> {
    let mut stored: BTreeMap<&[u8], Vec<(Duration, Duration, Version)>> = BTreeMap::new();
    for asked in asked {
        let Answer::Stored { versions, emitted, .. } = &asked.answer else { continue };
        if usize::try_from(*emitted) != Ok(asked.aggregates.len()) {
            continue;
        }
        for (aggregate, version) in asked.aggregates.iter().zip(versions) {
            stored.entry(aggregate).or_default().push((asked.began, asked.ended, *version));
        }
    }
    let mut wrong = Vec::new();
    for answers in stored.values_mut() {
        answers.sort_by_key(|(.., version)| *version);
        for (number, (_, ended, version)) in answers.iter().enumerate().rev() {
            // Whoever has a lower version has not begun after this one had ended.
            if let Some(late) = answers[..number].iter().find(|(began, ..)| began > ended) {
                wrong.push(format!("version {version} was answered before {late:?} was asked"));
            }
        }
    }
    wrong
}
