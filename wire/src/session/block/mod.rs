//! A transaction block: what it has written and read, until it commits.
//!
//! ```text
//! statement ──commands──▶ draft: decided on base + own events ──events──┐
//!     ▲                                                                 ▼
//!     └──────── rows ◀─────────── view: base + own events ◀───── own events ──COMMIT──▶ commands, checks
//! ```
//!
//! A statement's commands are decided at once, so that its errors appear with it, on the projections with the
//! block's own events on top ([`draft`]); its queries see the same ([`view`]). Nothing leaves the block before
//! COMMIT: an idle block holds nothing that another session could wait for. At COMMIT ([`super::commit`]) the events
//! are decided again as commands, each aggregate at the version that the block knew, together with a check of every
//! aggregate that it read. If another session was faster, the block fails with 40001.
//!
//! It must never know how rows become commands, or how a commit is carried out.

mod aggregate;
mod draft;
mod memory;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use rotabase_engine::position::{Positions, Version};
use rotabase_engine::schedule::{AggregateId, RotationId, Schedule};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{ReadSet, Reads, Settings};
use rotabase_queries::projection::Snapshot;
use rotabase_queries::sql::Isolation;
use rotabase_raft::{Decided, Request};

pub(crate) use aggregate::command_of;
pub(crate) use draft::Pending;
pub(crate) use memory::BlockMemory;

use self::draft::Draft;
use self::memory::Charge;
use self::view::View;
use super::write::SendError;

/// The savepoints that a block may have set.
pub(crate) const SAVEPOINTS_MAX: usize = 10_000;

/// The events that may have to be folded for a statement on the connection's own task.
const EVENTS_FOLDED_HERE: usize = 64;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Outside a block: each statement commits by itself, or several with the implicit block that they are sent in.
    Idle,
    /// In a block.
    Open,
    /// In a block that has failed: only its end is accepted.
    Failed,
}

/// How a block was begun, or set since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    /// Its isolation.
    pub(crate) isolation: Isolation,
    /// Whether it may not write.
    pub(crate) read_only: bool,
    /// Accepted, and of no effect: no block ever waits for others.
    pub(crate) deferrable: bool,
}

/// A transaction block that has not ended.
#[derive(Debug)]
pub(crate) struct Block {
    /// How it was begun.
    pub(crate) modes: Modes,
    /// The time that `now()` gives in it.
    pub(crate) started: i64,
    /// Whether no BEGIN began it: statements that were sent together.
    pub(crate) implicit: bool,
    /// Whether a statement has looked at or written data: its modes are fixed from then on.
    pub(crate) queried: bool,
    draft: Draft,
    view: View,
    reads: Arc<Reads>,
    savepoints: Vec<Savepoint>,
    charge: Charge,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    /// How many events there were.
    events: usize,
    before: Before,
}

/// What a session brings back when it goes back to a savepoint.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    /// Its settings.
    pub(crate) settings: Arc<Settings>,
    /// How many cursors it had ever opened.
    pub(crate) cursors: u64,
}

/// What is to be stored when a block commits, and what it rests on.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its events in order.
    pub(crate) events: Vec<Pending>,
    /// The versions of their aggregates without the block.
    pub(crate) bases: BTreeMap<AggregateId, Version>,
    /// Rotations that have to exist and that it has not written to.
    pub(crate) required: Vec<RotationId>,
    /// What it has read.
    pub(crate) reads: ReadSet,
    /// Where the first state stood that it has read.
    pub(crate) first: Positions,
    /// The last state that it has seen, to name things by.
    pub(crate) base: Option<Snapshot>,
}

impl Block {
    /// A block that has just begun.
    pub(crate) fn new(started: i64, modes: Modes, implicit: bool, memory: BlockMemory) -> Self {
        Self {
            modes,
            started,
            implicit,
            queried: false,
            draft: Draft::default(),
            view: View::default(),
            reads: Arc::default(),
            savepoints: Vec::new(),
            charge: Charge::new(memory),
        }
    }

    /// Where its statements note what they read; none where that is of no consequence: in a block that cannot
    /// write, and among statements that were sent before any of them was answered.
    pub(crate) fn reads(&self) -> Option<Arc<Reads>> {
        (!self.implicit && !self.modes.read_only).then(|| Arc::clone(&self.reads))
    }

    /// Whether a statement has looked at the schedule.
    pub(crate) fn has_view(&self) -> bool {
        self.view.base().is_some()
    }

    /// Whether all its statements see one state of the schedule.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.modes.isolation, Isolation::RepeatableRead | Isolation::Serializable)
    }

    /// Goes on to the newest state, if it may.
    pub(crate) fn advance(&mut self, newest: &Snapshot) -> Result<()> {
        let fixed = self.is_fixed();
        self.view.advance(newest, fixed, &mut self.draft)
    }

    /// What its next statement sees.
    pub(crate) fn snapshot(&mut self, now: i64) -> Result<Snapshot> {
        let (written, charge) = (self.draft.bytes(), &mut self.charge);
        self.view.snapshot(&self.draft, now, &mut |bytes| charge.set(written + bytes))
    }

    /// Whether its next statement's view is much work.
    pub(crate) fn is_far_behind(&self) -> bool {
        self.view.behind(&self.draft) > EVENTS_FOLDED_HERE
    }

    /// Decides the commands of a statement, all or none, and keeps what they emit.
    pub(crate) fn decide(&mut self, requests: &[Request<Schedule>]) -> Result<Decided, SendError> {
        let base = self.view.base().cloned();
        let base = base.ok_or_else(|| SqlError::internal("a block decides on what it has seen"))?;
        let mark = self.draft.events().len();
        let decided = self.draft.decide(requests, &base)?;
        if let Err(error) = self.charge.set(self.draft.bytes() + self.view.bytes()) {
            self.truncate(mark);
            return Err(error.into());
        }
        Ok(decided)
    }

    /// Sets a savepoint.
    pub(crate) fn savepoint(&mut self, name: String, before: Before) -> Result<()> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            let message = format!("a transaction block has at most {SAVEPOINTS_MAX} savepoints");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                .with_hint("Release savepoints that are not needed any more."));
        }
        self.savepoints.push(Savepoint { name, events: self.draft.events().len(), before });
        Ok(())
    }

    /// Forgets a savepoint and those after it; whether it was there.
    pub(crate) fn release(&mut self, name: &str) -> bool {
        let found = self.savepoints.iter().rposition(|it| it.name == name);
        found.map(|at| self.savepoints.truncate(at)).is_some()
    }

    /// Forgets what was written since a savepoint; what the session was before it, if it was there.
    pub(crate) fn roll_back_to(&mut self, name: &str) -> Option<Before> {
        let at = self.savepoints.iter().rposition(|it| it.name == name)?;
        self.savepoints.truncate(at + 1);
        let (events, before) = (self.savepoints[at].events, self.savepoints[at].before.clone());
        self.truncate(events);
        Some(before)
    }

    fn truncate(&mut self, events: usize) {
        if events == self.draft.events().len() {
            return;
        }
        for (id, base) in self.draft.truncate(events) {
            self.reads.clamp(&id, base);
        }
        self.view.forget_events();
        // It has become less.
        let _ = self.charge.set(self.draft.bytes());
    }

    /// What is to be stored; none if it has written nothing.
    pub(crate) fn finish(self) -> Option<Finished> {
        if self.draft.events().is_empty() {
            return None;
        }
        let (first, base) = (self.view.first(), self.view.base().cloned());
        let draft::ToStore { events, bases, required } = self.draft.finish();
        Some(Finished { events, bases, required, reads: self.reads.get(), first, base })
    }
}

#[cfg(test)]
mod tests;
