//! COMMIT of a block: its events become commands, each aggregate at the version that the block knew, and what it
//! has only read is checked beside them. All of it is decided before anything is stored.
//!
//! Requests are put shard after shard, so that of two blocks that want the same aggregates one waits and none has
//! to give up. Aggregates that were read one by one are checked by their shards, together with the commands. What
//! no version stands for (a leg that was looked for and not there, all rotations) is looked up in the feed while
//! the written aggregates are held; blocks that need that commit one at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::domain::Domain as _;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{Positions, ShardId, Version};
use rotabase_engine::schedule::{AggregateId, Command, Event, LegId, Schedule};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{AggregateKind, Cancel, ReadSet};
use rotabase_queries::projection::Snapshot;
use rotabase_raft::remote::LEADER_PATIENCE;
use rotabase_raft::{Outcome, Request, WriteError};

use super::block::{Block, Finished, command_of};
use super::client::Session;
use super::query::blocking;
use super::running;
use crate::database::COMMAND_DEADLINE;
use crate::sqlstate;

/// The requests up to which a block of one shard is put to it in one step.
const STEP_REQUESTS_MAX: usize = 1024;

/// The requests of a block that are decided at once.
const CHUNK_REQUESTS: usize = 4096;

/// The longest that deciding one chunk may wait for other statements.
const CHUNK_DEADLINE: Duration = Duration::from_secs(60);

/// The pause before a block is put again to whoever leads then.
const LEADER_RETRY: Duration = Duration::from_millis(5);

/// The longest that looking through the feed waits for it before it looks whether it should go on.
const FEED_WAIT: Duration = Duration::from_millis(50);

/// The longest that storing a block may take once all is decided.
const STORE_DEADLINE: Duration = Duration::from_secs(3600);

impl Session {
    /// Stores what a block has written, if everything that it has read and written is as it was.
    pub(crate) async fn commit_block(
        &mut self,
        block: Block,
        statement: &running::Statement,
    ) -> Result<()> {
        let Some(finished) = block.finish() else { return Ok(()) };
        if let Some((id, _)) = finished.overtaken() {
            return Err(changed(id, finished.base.as_ref()));
        }
        let stored = self.store_finished(finished, statement).await;
        if stored.as_ref().is_err_and(|error| error.state == SqlState::SERIALIZATION_FAILURE) {
            self.look_at_what_was_faster(statement).await;
        }
        stored
    }

    /// Has the statements that follow see what the block clashed with, though another session wrote it: retried on
    /// the state that it was refused for, the block would only be refused again.
    async fn look_at_what_was_faster(&mut self, statement: &running::Statement) {
        if let Ok(Ok(newest)) = statement.wait(self.database.read_barrier()).await {
            self.seen.merge(&newest);
        }
    }

    async fn store_finished(
        &mut self,
        finished: Finished,
        statement: &running::Statement,
    ) -> Result<()> {
        let shared = Arc::clone(self.database.shared());
        let outcome = if finished.reads.has_ranges() {
            let _alone = statement.wait(shared.commits.write()).await?;
            self.store_block(finished, statement).await?
        } else {
            let _together = statement.wait(shared.commits.read()).await?;
            self.store_block(finished, statement).await?
        };
        self.has_written(&outcome.positions);
        Ok(())
    }

    async fn store_block(
        &self,
        finished: Finished,
        statement: &running::Statement,
    ) -> Result<Outcome> {
        let node = self.database.node();
        let (reads, first, base) =
            (finished.reads.clone(), finished.first.clone(), finished.base.clone());
        let mut requests = finished.into_requests(|id| node.shard_of(id));
        let alone = requests.len() <= STEP_REQUESTS_MAX
            && !reads.has_ranges()
            && same_shard(&requests, |id| node.shard_of(id));
        if alone {
            // One entry of one log: the shard decides and stores it in one step.
            let ids: Vec<AggregateId> = requests.iter().map(|request| request.id).collect();
            let limit = statement.timeout().map_or(COMMAND_DEADLINE, |it| it.min(COMMAND_DEADLINE));
            let stored = node.execute(requests, self.metadata(), limit).await;
            return stored.map_err(|error| self.not_stored(error, &ids, base.as_ref(), statement));
        }
        let pieces = Pieces { reads, first, base };
        let patience = tokio::time::Instant::now() + LEADER_PATIENCE;
        let mut again = false;
        loop {
            // What is short is kept, to be put again to whoever leads then.
            let kept = (requests.len() <= CHUNK_REQUESTS).then(|| requests.clone());
            let unstored = match self.store_pieces(requests, &pieces, again, statement).await {
                Ok(outcome) => return Ok(outcome),
                Err(unstored) => unstored,
            };
            match kept {
                Some(kept) if unstored.moved && tokio::time::Instant::now() < patience => {
                    statement.wait(tokio::time::sleep(LEADER_RETRY)).await?;
                    requests = kept;
                    again = true;
                }
                _ => return Err(unstored.error),
            }
        }
    }

    /// Decides a block piece by piece, and stores it.
    async fn store_pieces(
        &self,
        requests: Vec<Request<Schedule>>,
        pieces: &Pieces,
        again: bool,
        statement: &running::Statement,
    ) -> std::result::Result<Outcome, Unstored> {
        let Pieces { reads, first, base } = pieces;
        let mut write = self.database.node().begin(self.metadata());
        let mut requests = requests.into_iter();
        loop {
            let chunk: Vec<_> = requests.by_ref().take(CHUNK_REQUESTS).collect();
            if chunk.is_empty() {
                break;
            }
            let ids: Vec<AggregateId> = chunk.iter().map(|request| request.id).collect();
            let decided = statement.wait(write.decide(chunk, CHUNK_DEADLINE)).await?;
            decided.map_err(|error| Unstored {
                moved: error.is_passing(again),
                error: self.not_stored(error, &ids, base.as_ref(), statement),
            })?;
        }
        if reads.has_ranges() {
            self.check_ranges(reads.clone(), first.clone(), base.as_ref(), statement).await?;
        }
        statement.check()?;
        // From here on it cannot be stopped: the client is told how it ended.
        write.commit(STORE_DEADLINE).await.map_err(|error| Unstored {
            moved: error.is_passing(again),
            error: sqlstate::write_error(error),
        })
    }

    /// What the client is told of a block that was not stored; `ids` are the aggregates of the requests.
    fn not_stored(
        &self,
        error: WriteError<Schedule>,
        ids: &[AggregateId],
        base: Option<&Snapshot>,
        statement: &running::Statement,
    ) -> SqlError {
        let request = match &error {
            WriteError::Refused { request, .. } => Some(*request),
            WriteError::VersionMismatch { requests } => requests.first().copied(),
            WriteError::Conflict => return clash(),
            _ => return self.write_error(error.into(), statement),
        };
        match request.and_then(|request| ids.get(request)) {
            Some(id) => changed(id, base),
            None => clash(),
        }
    }

    /// Looks through everything that was stored since the block first looked.
    async fn check_ranges(
        &self,
        reads: ReadSet,
        first: Positions,
        base: Option<&Snapshot>,
        statement: &running::Statement,
    ) -> Result<()> {
        let barrier = self.database.node().read_barrier(COMMAND_DEADLINE);
        let now = statement.wait(barrier).await?.map_err(sqlstate::write_error)?;
        let (feed, cancel) = (self.database.node().feed(), statement.cancel());
        let found = blocking(move || find_change(&*feed, &reads, &first, &now, &cancel));
        match found.await.map_err(|error| statement.explain(error))? {
            Some(id) => Err(changed(&id, base)),
            None => Ok(()),
        }
    }
}

/// What a block that is stored in pieces is checked by.
struct Pieces {
    reads: ReadSet,
    first: Positions,
    base: Option<Snapshot>,
}

/// Why a block was not stored.
struct Unstored {
    /// Whether a leadership has moved: nothing was stored, and whoever leads next may do it.
    moved: bool,
    error: SqlError,
}

impl From<SqlError> for Unstored {
    fn from(error: SqlError) -> Self {
        Self { moved: false, error }
    }
}

impl Finished {
    /// An aggregate that the block had read before another session changed it, and then wrote to.
    fn overtaken(&self) -> Option<(&AggregateId, &Version)> {
        let read = self.reads.versions();
        self.bases.iter().find(|(id, base)| read.get(id).is_some_and(|read| read < base))
    }

    /// The commands and checks, shard after shard.
    fn into_requests(self, shard_of: impl Fn(&AggregateId) -> ShardId) -> Vec<Request<Schedule>> {
        let Self { events, mut bases, required, reads, .. } = self;
        let looked_at: Vec<_> =
            reads.versions().iter().filter(|(id, _)| !bases.contains_key(id)).collect();
        let mut requests = Vec::with_capacity(events.len() + required.len() + looked_at.len());
        requests.extend(looked_at.into_iter().map(|(id, version)| Request::check(*id, *version)));
        requests.extend(
            required
                .into_iter()
                .map(|it| Request::new(AggregateId::Rotation(it), Command::RequireRotation)),
        );
        for (id, _, event) in events {
            // The first of each says which version it needs.
            let expected = bases.remove(&id);
            requests.push(Request::new(id, command_of(event)).expecting(expected));
        }
        // Stable: the commands to one aggregate stay in their order.
        requests.sort_by_cached_key(|request| shard_of(&request.id));
        requests
    }
}

fn same_shard(requests: &[Request<Schedule>], shard_of: impl Fn(&AggregateId) -> ShardId) -> bool {
    match (requests.first(), requests.last()) {
        (Some(first), Some(last)) => shard_of(&first.id) == shard_of(&last.id),
        _ => true,
    }
}

/// The first aggregate of those read whose event stands between two places of the feed, which comes to the second
/// if it is not there yet.
fn find_change(
    feed: &dyn Feed,
    reads: &ReadSet,
    from: &Positions,
    to: &Positions,
    cancel: &Cancel,
) -> Result<Option<AggregateId>> {
    let mut entries = Vec::new();
    for shard in (0..feed.shards()).map(ShardId) {
        let (mut after, last) = (from.get(shard).index(), to.get(shard).index());
        while after < last {
            cancel.check()?;
            entries.clear();
            let seen = feed.generation();
            let read = feed.read(shard, after, &mut entries)?;
            for entry in entries.iter().filter(|entry| entry.index <= last) {
                for event in &entry.entry.events {
                    if let Some(id) = touched(reads, event)? {
                        return Ok(Some(id));
                    }
                }
            }
            if read <= after {
                // Committed and acknowledged, and not applied here yet.
                feed.wait(seen, FEED_WAIT);
            }
            after = read.max(after);
        }
    }
    Ok(None)
}

/// The aggregate of an event, if it is one that was read.
fn touched(
    reads: &ReadSet,
    event: &rotabase_engine::entry::StoredEvent,
) -> Result<Option<AggregateId>> {
    let unreadable = |error: rotabase_engine::domain::DecodeError| {
        SqlError::internal(format!("an event could not be read: {error}"))
    };
    let id = Schedule::decode_id(&event.aggregate).map_err(unreadable)?;
    if reads.reads_whole(AggregateKind::of(&id)) {
        return Ok(Some(id));
    }
    let absent: &BTreeSet<LegId> = reads.absent_legs();
    if absent.is_empty() {
        return Ok(None);
    }
    let event = Schedule::decode_event(event.kind, &event.payload).map_err(unreadable)?;
    let came = match &event {
        Event::LegAdded(leg) | Event::OpenLegScheduled(leg) => absent.contains(&leg.id),
        _ => false,
    };
    Ok(came.then_some(id))
}

/// 40001: another session was faster.
fn clash() -> SqlError {
    let mut error = sqlstate::conflict();
    error.hint = Some("The transaction might succeed if retried.".to_owned());
    error
}

/// The same, with the aggregate that has changed in the planners' words.
fn changed(id: &AggregateId, base: Option<&Snapshot>) -> SqlError {
    let what = match id {
        AggregateId::Airport(code) => format!("Airport {code} has"),
        AggregateId::Airplane(registration) => format!("Airplane {registration} has"),
        AggregateId::Flight(_) => format!("The open legs of flight {id} have"),
        AggregateId::Rotation(rotation) => {
            let row = base.and_then(|base| base.rotation(*rotation).ok().flatten());
            match row.and_then(|row| row.name) {
                Some(name) => format!("Rotation \"{name}\" ({id}) has"),
                None => format!("Rotation {id} has"),
            }
        }
    };
    clash().with_detail(format!("{what} changed since the transaction read or wrote it."))
}
