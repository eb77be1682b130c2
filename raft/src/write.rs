//! A statement over several shards, or one that comes in pieces.
//!
//! Each piece is split by shard. Its aggregates are held, shard after shard in ascending order, then all shards
//! decide at once and keep what they decided. Only when everything is decided does the statement get its time, and
//! go through the gates of its shards to be proposed; a refusal anywhere aborts all of it and leaves no trace.
//!
//! Whether all shards' entries survive a crash in the middle of proposing is not decided here yet: that needs an
//! entry that says so, for which the parts that the shards hold are the place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Metadata;
use rotabase_engine::position::{Positions, ShardId, Version};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::error::WriteError;
use crate::flight::{PartOutcome, unstored};
use crate::node::Node;
use crate::request::{Decided, Outcome, Request};
use crate::reservation::{Reserved, WriteId};
use crate::shard::{Job, PartDecided, PartFailure, PartJob, Ready, Shard};

/// The requests that one shard is asked to decide at a time.
pub const PIECE_REQUESTS_MAX: usize = 4096;

/// The statements that may be open at a time, of those that hold aggregates.
pub const WRITES_MAX: usize = 4096;

/// A statement in pieces. Dropping it uncommitted aborts it without a trace.
#[derive(Debug)]
pub struct Write<D: Domain> {
    node: Node<D>,
    id: WriteId,
    metadata: Arc<Metadata>,
    transaction: Uuid,
    /// The shards that it holds aggregates of, and the bytes that each holds of it.
    shards: BTreeMap<ShardId, Touched>,
    stage: Stage,
}

/// What a shard has of a statement.
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    decided: bool,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was decided yet.
    New,
    Open,
    /// It failed, or was handed over to its shards.
    Ended,
}

/// The requests of a piece that are for one shard, and which of the statement's requests they are.
struct Share<D: Domain> {
    shard: ShardId,
    numbers: Vec<usize>,
    requests: Vec<Request<D>>,
}

impl<D: Domain> Write<D> {
    pub(crate) fn new(node: Node<D>, id: WriteId, metadata: Metadata, transaction: Uuid) -> Self {
        Self {
            node,
            id,
            metadata: Arc::new(metadata),
            transaction,
            shards: BTreeMap::new(),
            stage: Stage::New,
        }
    }

    /// The transaction that its events will belong to.
    pub fn transaction(&self) -> Uuid {
        self.transaction
    }

    /// Decides further requests on top of what was decided before; numbers in errors count from the first of these
    /// requests. Their aggregates are held until the statement ends. After an error the statement is aborted.
    pub async fn decide(
        &mut self,
        requests: Vec<Request<D>>,
        deadline: Duration,
    ) -> Result<Decided, WriteError<D>> {
        if self.stage == Stage::Ended {
            return Err(WriteError::Unavailable { shard: ShardId(0) });
        }
        if self.stage == Stage::New {
            if self.node.inner.open_writes.fetch_add(1, Ordering::AcqRel) >= WRITES_MAX {
                self.node.inner.open_writes.fetch_sub(1, Ordering::AcqRel);
                return Err(WriteError::Overloaded);
            }
            self.stage = Stage::Open;
        }
        let decided = tokio::time::timeout(deadline, self.decide_pieces(requests)).await;
        let decided = decided.unwrap_or(Err(WriteError::Deadline));
        if decided.is_err() {
            self.abort();
        }
        decided
    }

    async fn decide_pieces(&mut self, requests: Vec<Request<D>>) -> Result<Decided, WriteError<D>> {
        let mut decided = Decided {
            versions: Vec::with_capacity(requests.len()),
            emitted: Vec::with_capacity(requests.len()),
        };
        let mut requests = requests.into_iter();
        loop {
            let piece: Vec<_> = requests.by_ref().take(PIECE_REQUESTS_MAX).collect();
            if piece.is_empty() {
                return Ok(decided);
            }
            let first = decided.versions.len();
            self.decide_piece(first, piece, &mut decided).await?;
        }
    }

    async fn decide_piece(
        &mut self,
        first: usize,
        piece: Vec<Request<D>>,
        decided: &mut Decided,
    ) -> Result<(), WriteError<D>> {
        let count = piece.len();
        let shares = self.split(first, piece);
        for share in &shares {
            self.reserve(share).await?;
        }
        let mut numbers = Vec::with_capacity(shares.len());
        let mut replies = Vec::with_capacity(shares.len());
        for share in shares {
            numbers.push((share.shard, share.numbers));
            replies.push(self.ask(share.shard, share.requests));
        }
        let answers = join_all(replies).await;
        decided.versions.resize(first + count, Version::default());
        decided.emitted.resize(first + count, 0);
        let mut failures = Failures::default();
        for ((shard, numbers), answer) in numbers.into_iter().zip(answers) {
            match answer
                .unwrap_or_else(|_| Err(PartFailure::Other(WriteError::Unavailable { shard })))
            {
                Ok(part) => self.take_over(shard, &numbers, &part, decided),
                Err(failure) => failures.add(&numbers, failure),
            }
        }
        failures.into_result()?;
        let bytes: usize = self.shards.values().map(|touched| touched.bytes).sum();
        if bytes > self.node.inner.config.statement_bytes_max {
            return Err(WriteError::TooLarge);
        }
        Ok(())
    }

    fn split(&self, first: usize, piece: Vec<Request<D>>) -> Vec<Share<D>> {
        let mut shares: BTreeMap<ShardId, Share<D>> = BTreeMap::new();
        for (number, request) in (first..).zip(piece) {
            let shard = self.node.shard_of(&request.id);
            let of_shard = shares.entry(shard).or_insert_with(|| Share {
                shard,
                numbers: Vec::new(),
                requests: Vec::new(),
            });
            of_shard.numbers.push(number);
            of_shard.requests.push(request);
        }
        shares.into_values().collect()
    }

    async fn reserve(&mut self, share: &Share<D>) -> Result<(), WriteError<D>> {
        // Whoever holds aggregates of a later shard may not wait for those of an earlier one.
        let may_wait = self.shards.last_key_value().is_none_or(|(last, _)| *last <= share.shard);
        self.shards.entry(share.shard).or_default();
        let ids = share.requests.iter().map(|request| request.id.clone()).collect();
        match self.shard(share.shard).reservations.reserve(self.id, ids, may_wait) {
            Reserved::Granted => Ok(()),
            Reserved::Busy => Err(WriteError::Conflict),
            Reserved::Full => Err(WriteError::Overloaded),
            Reserved::Waiting(granted) => {
                granted.await.map_err(|_| WriteError::Unavailable { shard: share.shard })
            }
        }
    }

    fn ask(
        &self,
        shard: ShardId,
        requests: Vec<Request<D>>,
    ) -> oneshot::Receiver<Result<PartDecided, PartFailure<D>>> {
        let (reply, answer) = oneshot::channel();
        let continues = self.shards.get(&shard).is_some_and(|touched| touched.decided);
        let job = PartJob {
            write: self.id,
            continues,
            requests,
            metadata: Arc::clone(&self.metadata),
            reply,
        };
        self.shard(shard).enqueue(Job::Part(job));
        answer
    }

    fn take_over(
        &mut self,
        shard: ShardId,
        numbers: &[usize],
        part: &PartDecided,
        decided: &mut Decided,
    ) {
        assert_eq!(numbers.len(), part.versions.len(), "each request has its answer");
        for ((number, version), emitted) in numbers.iter().zip(&part.versions).zip(&part.emitted) {
            decided.versions[*number] = *version;
            decided.emitted[*number] = *emitted;
        }
        self.shards.insert(shard, Touched { decided: true, bytes: part.bytes });
    }

    fn shard(&self, shard: ShardId) -> &Shard<D> {
        self.node.inner.shard(shard)
    }

    /// Stores all that was decided and waits until it is safe. What it returns has no versions: [`Write::decide`]
    /// told them.
    pub async fn commit(mut self, deadline: Duration) -> Result<Outcome, WriteError<D>> {
        let clock = &self.node.inner.clock;
        let mut outcome = Outcome { transaction: self.transaction, ..Outcome::default() };
        if self.shards.is_empty() {
            outcome.timestamp = clock.tick();
            return Ok(outcome);
        }
        if self.stage == Stage::Ended {
            return Err(WriteError::Unavailable { shard: ShardId(0) });
        }
        let mut replies = Vec::with_capacity(self.shards.len());
        {
            // All gates at once, so that the time is later than all before it in each of the shards.
            let mut gates: Vec<_> =
                self.shards.keys().map(|shard| self.shard(*shard).gate.lock()).collect();
            if let Some(closed) = gates.iter().position(|gate| gate.closed) {
                let shard = *self.shards.keys().nth(closed).expect("a gate for each shard");
                return Err(WriteError::Unavailable { shard });
            }
            outcome.timestamp = clock.tick();
            for gate in &mut gates {
                let (reply, answer) = oneshot::channel();
                gate.ready.push_back(Ready { write: self.id, timestamp: outcome.timestamp, reply });
                replies.push(answer);
            }
        }
        let shards: Vec<ShardId> = self.shards.keys().copied().collect();
        // From here on it is the shards' business, whoever may stop waiting.
        self.end();
        for shard in &shards {
            self.shard(*shard).wake.notify_one();
        }
        let Ok(parts) = tokio::time::timeout(deadline, join_all(replies)).await else {
            return Err(WriteError::OutcomeUnknown);
        };
        outcome.positions = conclude(&shards, parts)?;
        Ok(outcome)
    }

    /// Ends the statement's stage; whether it was open.
    fn end(&mut self) -> bool {
        let open = std::mem::replace(&mut self.stage, Stage::Ended) == Stage::Open;
        if open {
            self.node.inner.open_writes.fetch_sub(1, Ordering::AcqRel);
        }
        open
    }

    fn abort(&mut self) {
        if !self.end() {
            return;
        }
        for shard in self.shards.keys() {
            let shard = self.shard(*shard);
            shard.reservations.release(self.id);
            shard.gate.lock().abort(self.id);
            shard.wake.notify_one();
        }
    }
}

impl<D: Domain> Drop for Write<D> {
    fn drop(&mut self) {
        self.abort();
    }
}

/// What went wrong in a piece, over all shards.
struct Failures<D: Domain> {
    mismatches: Vec<usize>,
    refused: Option<(usize, D::Refusal)>,
    other: Option<WriteError<D>>,
}

impl<D: Domain> Default for Failures<D> {
    fn default() -> Self {
        Self { mismatches: Vec::new(), refused: None, other: None }
    }
}

impl<D: Domain> Failures<D> {
    fn add(&mut self, numbers: &[usize], failure: PartFailure<D>) {
        match failure {
            PartFailure::Mismatch(requests) => {
                self.mismatches.extend(requests.into_iter().map(|request| numbers[request]));
            }
            PartFailure::Refused(request, refusal) => {
                let number = numbers[request];
                if self.refused.as_ref().is_none_or(|(first, _)| number < *first) {
                    self.refused = Some((number, refusal));
                }
            }
            PartFailure::Other(error) => self.other = Some(error),
        }
    }

    fn into_result(mut self) -> Result<(), WriteError<D>> {
        if let Some(error) = self.other {
            return Err(error);
        }
        if !self.mismatches.is_empty() {
            self.mismatches.sort_unstable();
            return Err(WriteError::VersionMismatch { requests: self.mismatches });
        }
        match self.refused {
            Some((request, refusal)) => Err(WriteError::Refused { request, refusal }),
            None => Ok(()),
        }
    }
}

/// Puts together how the parts of a statement ended.
fn conclude<D: Domain>(
    shards: &[ShardId],
    parts: Vec<Result<PartOutcome, oneshot::error::RecvError>>,
) -> Result<Positions, WriteError<D>> {
    let mut positions = Positions::default();
    let (mut stored, mut refused, mut unknown) = (false, None, false);
    for (shard, part) in shards.iter().zip(parts) {
        let Ok(part) = part else {
            unknown = true;
            continue;
        };
        positions.advance(*shard, part.position);
        stored |= part.committed;
        unknown |= part.unknown;
        if part.refused {
            refused = Some((*shard, part.leader));
        }
    }
    match refused {
        _ if unknown => Err(WriteError::OutcomeUnknown),
        None => Ok(positions),
        // Part of it is stored, and part of it is not.
        Some(_) if stored => Err(WriteError::OutcomeUnknown),
        Some((shard, leader)) => Err(unstored(shard, leader)),
    }
}
