//! What a block has written: events that its statements' commands have decided and that are not stored yet.
//!
//! A command is decided on the aggregate as the block's base shows it, with the block's own events on top. The
//! events are the truth; the states of aggregates are kept beside them only as long as there is room
//! ([`HELD_BYTES_MAX`]), and made again from base and events where they are missing.

use std::collections::BTreeMap;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::position::Version;
use rotabase_engine::schedule::{
    AggregateId, Command, Event, Leg, LegId, Refusal, RotationId, Schedule,
};
use rotabase_queries::error::Result;
use rotabase_queries::projection::Snapshot;
use rotabase_raft::{Decided, Request, WriteError};

use super::aggregate::{Held, leg_of_command, leg_of_event};
use crate::session::write::SendError;

/// The bytes of aggregates that a block keeps ready for its next commands.
const HELD_BYTES_MAX: usize = 64 << 20;

/// An event that is decided and not stored.
pub(crate) type Pending = (AggregateId, Version, Event);

/// What a block has written.
#[derive(Debug, Default)]
pub(super) struct Draft {
    events: Vec<Pending>,
    written: BTreeMap<AggregateId, Written>,
    /// Rotations that have to exist, and how many events there were when that was first asked for.
    required: BTreeMap<RotationId, usize>,
    held: BTreeMap<AggregateId, Held>,
    held_bytes: usize,
    bytes: usize,
}

/// An aggregate that the block has written to.
#[derive(Debug)]
struct Written {
    /// Its version without the block.
    base: Version,
    /// Which of the block's events are its.
    places: Vec<usize>,
}

/// What a block wants to have stored.
#[derive(Debug)]
pub(crate) struct ToStore {
    /// Its events in order.
    pub(crate) events: Vec<Pending>,
    /// The versions of their aggregates without the block.
    pub(crate) bases: BTreeMap<AggregateId, Version>,
    /// Rotations that have to exist and that it has not written to.
    pub(crate) required: Vec<RotationId>,
}

impl Draft {
    /// The events, in the order in which they were decided.
    pub(super) fn events(&self) -> &[Pending] {
        &self.events
    }

    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.held_bytes
    }

    /// Whether all that it has written to stands in `base` as it did when it was first written to.
    pub(super) fn stands_on(&self, base: &Snapshot) -> Result<bool> {
        for (id, written) in &self.written {
            if base.version(id)? != written.base {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Forgets what it knows of aggregates that it has not written to: the base is another one now.
    pub(super) fn forget_unwritten(&mut self) {
        let written = &self.written;
        let dropped = &mut self.held_bytes;
        self.held.retain(|id, held| {
            let keep = written.contains_key(id);
            *dropped -= if keep { 0 } else { held.bytes() };
            keep
        });
    }

    /// Decides the commands of one statement, all or none, and keeps what they emit.
    pub(super) fn decide(
        &mut self,
        requests: &[Request<Schedule>],
        base: &Snapshot,
    ) -> Result<Decided, SendError> {
        if self.held_bytes > HELD_BYTES_MAX {
            self.held.clear();
            self.held_bytes = 0;
        }
        let mark = self.events.len();
        let decided = self.decide_all(requests, base);
        if decided.is_err() {
            self.truncate(mark);
        }
        decided
    }

    fn decide_all(
        &mut self,
        requests: &[Request<Schedule>],
        base: &Snapshot,
    ) -> Result<Decided, SendError> {
        let mut mismatches = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            if let Some(expected) = request.expected_version
                && self.version(&request.id, base)? != expected
            {
                mismatches.push(number);
            }
        }
        if !mismatches.is_empty() {
            return Err(WriteError::VersionMismatch { requests: mismatches }.into());
        }
        let mut decided = Decided::default();
        for (number, request) in requests.iter().enumerate() {
            let Some(command) = &request.command else { continue };
            match self.decide_one(&request.id, command, base)? {
                Ok((version, emitted)) => {
                    decided.versions.push(version);
                    decided.emitted.push(emitted);
                }
                Err(refusal) => return Err(WriteError::Refused { request: number, refusal }.into()),
            }
        }
        Ok(decided)
    }

    /// The version of an aggregate as the block sees it.
    fn version(&self, id: &AggregateId, base: &Snapshot) -> Result<Version> {
        match (self.held.get(id), self.written.get(id)) {
            (Some(held), _) => Ok(held.version),
            (None, Some(written)) => {
                let own = u64::try_from(written.places.len()).expect("a usize fits 64 bits");
                Ok(Version(written.base.0 + own))
            }
            (None, None) => Ok(base.version(id)?),
        }
    }

    fn decide_one(
        &mut self,
        id: &AggregateId,
        command: &Command,
        base: &Snapshot,
    ) -> Result<Result<(Version, u32), Refusal>> {
        if let (AggregateId::Rotation(rotation), Command::RequireRotation) = (id, command)
            && !self.written.contains_key(id)
        {
            // Its legs need not be looked at.
            if base.rotation(*rotation)?.is_none() {
                return Ok(Err(Refusal::Missing(*id)));
            }
            self.required.entry(*rotation).or_insert(self.events.len());
            return Ok(Ok((base.version(id)?, 0)));
        }
        let before = self.load(id, leg_of_command(command), base)?;
        let held = self.held.get_mut(id).expect("it was loaded");
        let events = match Schedule::decide(id, &held.state, command) {
            Ok(events) => events,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let emitted = u32::try_from(events.len()).expect("a command emits few events");
        for event in events {
            Schedule::evolve(&mut held.state, &event);
            let first = held.version;
            held.version = held.version.next();
            let written = self.written.entry(*id).or_insert_with(|| {
                self.bytes += WRITTEN_BYTES;
                Written { base: first, places: Vec::new() }
            });
            written.places.push(self.events.len());
            self.bytes += event_bytes(&event);
            self.events.push((*id, held.version, event));
        }
        let version = held.version;
        self.held_bytes = (self.held_bytes + held.bytes()).saturating_sub(before);
        Ok(Ok((version, emitted)))
    }

    /// Has an aggregate ready for a command; the bytes that it takes.
    fn load(&mut self, id: &AggregateId, leg: Option<LegId>, base: &Snapshot) -> Result<usize> {
        if !self.held.contains_key(id) {
            let mut held = Held::load(id, base)?;
            for place in self.written.get(id).map_or(&[][..], |written| &written.places) {
                let (_, version, event) = &self.events[*place];
                if let Some(leg) = leg_of_event(event) {
                    held.look_up(id, leg, base)?;
                }
                Schedule::evolve(&mut held.state, event);
                held.version = *version;
            }
            self.held_bytes += held.bytes();
            self.held.insert(*id, held);
        }
        let held = self.held.get_mut(id).expect("it is there or was put there");
        let before = held.bytes();
        if let Some(leg) = leg {
            held.look_up(id, leg, base)?;
        }
        Ok(before)
    }

    /// Forgets all events but the first `events`. Gives the aggregates that it has no events of any more, with their
    /// versions.
    pub(super) fn truncate(&mut self, events: usize) -> Vec<(AggregateId, Version)> {
        let mut unwritten = Vec::new();
        while self.events.len() > events {
            let Some((id, _, event)) = self.events.pop() else { break };
            self.bytes = self.bytes.saturating_sub(event_bytes(&event));
            if let Some(held) = self.held.remove(&id) {
                self.held_bytes = self.held_bytes.saturating_sub(held.bytes());
            }
            let Some(written) = self.written.get_mut(&id) else { continue };
            written.places.pop();
            if written.places.is_empty() {
                unwritten.push((id, written.base));
                self.written.remove(&id);
                self.bytes = self.bytes.saturating_sub(WRITTEN_BYTES);
            }
        }
        self.required.retain(|_, asked| *asked <= events);
        unwritten
    }

    /// What is to be stored.
    pub(super) fn finish(self) -> ToStore {
        let bases: BTreeMap<_, _> =
            self.written.into_iter().map(|(id, written)| (id, written.base)).collect();
        let required = self.required.into_keys();
        let required = required.filter(|it| !bases.contains_key(&AggregateId::Rotation(*it)));
        ToStore { required: required.collect(), events: self.events, bases }
    }
}

const WRITTEN_BYTES: usize = size_of::<(AggregateId, Written)>() + 64;

/// Roughly the bytes that an event takes, with its place in its aggregate.
fn event_bytes(event: &Event) -> usize {
    const ALLOCATION_BYTES: usize = 16;
    let behind = match event {
        Event::LegAdded(_)
        | Event::LegRescheduled(_)
        | Event::OpenLegScheduled(_)
        | Event::OpenLegRescheduled(_) => size_of::<Leg>() + ALLOCATION_BYTES,
        Event::RotationCreated { name } | Event::RotationRenamed { name } => {
            name.as_ref().map_or(0, |name| name.len() + ALLOCATION_BYTES)
        }
        _ => 0,
    };
    // A vector that grows has up to twice the room that it needs.
    2 * size_of::<Pending>() + behind + size_of::<usize>()
}
