//! What a node holds in memory for statements and readers, beside the limits of that: for whoever watches that memory is
//! bounded, and that nothing is held when nobody wants anything.

use std::sync::atomic::Ordering;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{Entry, Step};
use rotabase_engine::index::Prepared;
use rotabase_engine::log::RowKind;
use rotabase_engine::position::LogIndex;

use crate::node::Node;
use crate::reservation::WAITERS_MAX;
use crate::shard::{QUEUE_COMMANDS_MAX, QUEUE_JOBS_MAX, Shard};
use crate::write::WRITES_MAX;

/// Something that is held, and how much of it there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What it is.
    pub what: &'static str,
    /// How much of it there is.
    pub held: usize,
    /// How much there may be.
    pub limit: usize,
}

impl Holding {
    /// Whether there is more than there may be.
    pub fn is_too_much(&self) -> bool {
        self.held > self.limit
    }
}

impl<D: Domain> Node<D> {
    /// What has a limit.
    pub fn holdings(&self) -> Vec<Holding> {
        let open = self.inner.open_writes.load(Ordering::Acquire);
        let mut all = vec![Holding { what: "statements in pieces", held: open, limit: WRITES_MAX }];
        let (feed, limit) = self.inner.feed.recent_bytes();
        all.push(Holding { what: "bytes of the newest entries of a shard", held: feed, limit });
        for shard in &self.inner.shards {
            let jobs = shard.jobs.max_capacity() - shard.jobs.capacity();
            let commands = shard.waiting_commands.load(Ordering::Acquire);
            let (_, waiting) = shard.reservations.counts();
            all.extend([
                Holding { what: "jobs of a shard", held: jobs, limit: QUEUE_JOBS_MAX },
                Holding { what: "commands of these", held: commands, limit: QUEUE_COMMANDS_MAX },
                Holding { what: "waiters for aggregates", held: waiting, limit: WAITERS_MAX },
            ]);
        }
        all
    }

    /// How many prepares are applied, have no outcome, and are not remembered: none, ever. What was prepared goes neither
    /// with a leadership nor with a process.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn forgotten_prepares(&self) -> Result<usize, StoreError> {
        let mut forgotten = 0;
        for shard in &self.inner.shards {
            let machine = shard.machine.lock();
            let applied = LogIndex(machine.log_id.map_or(0, |last| last.index));
            for prepared in shard.log.prepared(shard.id)? {
                let open = machine.prepared.get(&prepared.attempt);
                let remembered = open.is_some_and(|open| open.prepares.contains(&prepared.index));
                if prepared.index <= applied && !remembered {
                    forgotten += usize::from(!shard.has_outcome(&prepared, applied)?);
                }
            }
        }
        Ok(forgotten)
    }

    /// What is held for statements and transactions that have not ended; nothing, if nobody asks for anything and all
    /// machines are there. Of shards that others lead only what is in the log counts: the rest waits there until the shard
    /// is led here again.
    pub fn unfinished(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut note = |what: &str, count: usize| {
            if count > 0 {
                all.push(format!("{count} {what}"));
            }
        };
        note("statements in pieces", self.inner.open_writes.load(Ordering::Acquire));
        for shard in &self.inner.shards {
            note("transactions prepared", shard.machine.lock().prepared.len());
            if shard.leads() {
                shard.unfinished(&mut note);
            }
        }
        all
    }
}

impl<D: Domain> Shard<D> {
    /// Whether the log says, up to an entry, what has become of a prepare. The index may be behind it for a moment.
    fn has_outcome(&self, of: &Prepared, up_to: LogIndex) -> Result<bool, StoreError> {
        let rows = self.log.read(self.id, of.index..LogIndex(up_to.0 + 1), usize::MAX)?;
        for row in rows.into_iter().filter(|row| row.kind == RowKind::Events) {
            if let Step::Outcome { attempt, prepared, .. } = Entry::decode(row.payload)?.step
                && (attempt, prepared) == (of.attempt, of.index)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn unfinished(&self, note: &mut impl FnMut(&str, usize)) {
        let (held, waiting) = self.reservations.counts();
        note("aggregates held", held);
        note("waiters for aggregates", waiting);
        note("orphans", self.orphans.lock().len());
        note("commands waiting", self.waiting_commands.load(Ordering::Acquire));
        note("parts of statements", self.parts.load(Ordering::Acquire));
        let gate = self.gate.lock();
        note("orders", gate.orders.len() + gate.aborted.len());
    }
}
