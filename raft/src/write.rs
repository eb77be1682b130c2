//! A statement over several shards, or one that comes in pieces.
//!
//! Each piece is split by shard. Its aggregates are held, shard after shard in ascending order, then all shards
//! decide at once and keep what they decided. Only when everything is decided is it committed ([`crate::commit`]), as a
//! whole; a refusal anywhere aborts all of it and leaves no trace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use openraft::base::BoxFuture;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{Attempt, Metadata};
use rotabase_engine::position::{ShardId, Version};
use uuid::Uuid;

use crate::commit::Commit;
use crate::error::WriteError;
use crate::node::Node;
use crate::remote::message::PartAsk;
use crate::remote::{Desk, LEADER_PATIENCE, LEADER_RETRY};
use crate::request::{Decided, Outcome, Request};
use crate::reservation::WriteId;
use crate::shard::{PartDecided, PartFailure};

/// The requests that one shard is asked to decide at a time.
pub const PIECE_REQUESTS_MAX: usize = 16384;

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
    /// Where these are led, or were when they were first asked.
    held_at: BTreeMap<ShardId, Desk<D>>,
    stage: Stage,
    /// What its entries are prepared as, and the shard that then decides; known once something was decided.
    attempt: Option<(Attempt, ShardId)>,
}

/// What a shard has of a statement.
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    decided: bool,
    /// The memory that it takes.
    bytes: usize,
    /// The log entries that it takes, and whether some are prepared already.
    entries: u32,
    prepared: bool,
}

/// How long a machine that is being asked to commit may be cut off until the client is told that nobody knows.
const CUT_OFF_PATIENCE: Duration = Duration::from_secs(10);

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
            held_at: BTreeMap::new(),
            stage: Stage::New,
            attempt: None,
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
        if self.stage == Stage::Ended || self.node.inner.follower.is_some() {
            return Err(WriteError::Unavailable { shard: ShardId(0) });
        }
        let first = self.stage == Stage::New;
        if first {
            if self.node.inner.open_writes.fetch_add(1, Ordering::AcqRel) >= WRITES_MAX {
                self.node.inner.open_writes.fetch_sub(1, Ordering::AcqRel);
                return Err(WriteError::Overloaded);
            }
            self.stage = Stage::Open;
        }
        let deciding = async {
            if first && self.node.inner.config.networked {
                self.decide_where_it_is_led(requests).await
            } else {
                self.decide_pieces(requests).await
            }
        };
        let decided = tokio::time::timeout(deadline, deciding).await;
        let decided = decided.unwrap_or(Err(WriteError::Deadline));
        if decided.is_err() {
            self.abort();
        }
        decided
    }

    /// Decides the first requests, and begins anew while leaderships move.
    async fn decide_where_it_is_led(
        &mut self,
        requests: Vec<Request<D>>,
    ) -> Result<Decided, WriteError<D>> {
        let patience = tokio::time::Instant::now() + LEADER_PATIENCE;
        let mut again = false;
        loop {
            let decided = self.decide_pieces(requests.clone()).await;
            let moved = decided.as_ref().is_err_and(|error| error.is_passing(again));
            if !moved || tokio::time::Instant::now() >= patience {
                return decided;
            }
            again = true;
            for desk in std::mem::take(&mut self.held_at).values() {
                desk.abort(self.id);
            }
            self.shards.clear();
            self.attempt = None;
            // What is aborted is let go later: the next attempt is another one.
            self.id = self.node.next_write();
            tokio::time::sleep(LEADER_RETRY).await;
        }
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
        let inner = &self.node.inner;
        let begin = || Attempt::new(inner.clock.tick(), inner.attempt_tag());
        let first_shard = shares.first().map_or(ShardId(0), |share| share.shard);
        let attempt = *self.attempt.get_or_insert_with(|| (begin(), first_shard));
        for share in &shares {
            self.reserve(share).await?;
        }
        let mut numbers = Vec::with_capacity(shares.len());
        let mut replies = Vec::with_capacity(shares.len());
        for share in shares {
            numbers.push((share.shard, share.numbers));
            replies.push(self.ask(share.shard, attempt, share.requests));
        }
        let answers = join_all(replies).await;
        decided.versions.resize(first + count, Version::default());
        decided.emitted.resize(first + count, 0);
        let mut failures = Failures::default();
        for ((shard, numbers), answer) in numbers.into_iter().zip(answers) {
            match answer {
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
        let desk = match self.held_at.get(&share.shard) {
            Some(desk) => desk.clone(),
            None => {
                let until = tokio::time::Instant::now() + LEADER_PATIENCE;
                self.node.inner.desk(share.shard, until).await?
            }
        };
        let ids = share.requests.iter().map(|request| request.id.clone()).collect();
        self.held_at.entry(share.shard).or_insert_with(|| desk.clone());
        desk.reserve(self.id, ids, may_wait).await
    }

    fn ask(
        &self,
        shard: ShardId,
        (attempt, deciding): (Attempt, ShardId),
        requests: Vec<Request<D>>,
    ) -> BoxFuture<'static, Result<PartDecided, PartFailure<D>>> {
        let continues = self.shards.get(&shard).is_some_and(|touched| touched.decided);
        let metadata = Arc::clone(&self.metadata);
        let write = self.id;
        self.desk(shard).decide(PartAsk { write, attempt, deciding, continues, metadata, requests })
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
        let PartDecided { bytes, entries, prepared, .. } = *part;
        let touched = Touched { decided: true, bytes, entries, prepared };
        self.shards.insert(shard, touched);
    }

    fn desk(&self, shard: ShardId) -> &Desk<D> {
        self.held_at.get(&shard).expect("whatever is asked was reserved first")
    }

    /// Stores all that was decided, all of it or nothing, and waits until it is safe. What it returns has no
    /// versions: [`Write::decide`] told them. Whoever stops waiting does not know how it ended; it ends all the same.
    pub async fn commit(mut self, deadline: Duration) -> Result<Outcome, WriteError<D>> {
        if self.stage == Stage::Ended {
            return Err(WriteError::Unavailable { shard: ShardId(0) });
        }
        let Some((attempt, first)) = self.attempt else {
            let timestamp = self.node.inner.clock.tick();
            return Ok(Outcome { transaction: self.transaction, timestamp, ..Outcome::default() });
        };
        // From here on it is the shards' business, whoever may stop waiting.
        self.stage = Stage::Ended;
        let commit = Commit {
            node: self.node.clone(),
            write: self.id,
            transaction: self.transaction,
            desks: std::mem::take(&mut self.held_at),
            entries: self.shards.iter().map(|(shard, held)| (*shard, held.entries)).collect(),
            attempt,
            // What is prepared already says who decides.
            deciding: self.shards.values().any(|held| held.prepared).then_some(first),
        };
        let committed = crate::runtime::spawn(commit.run());
        let ended = async {
            match tokio::time::timeout(deadline, committed).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) | Err(_) => Err(WriteError::OutcomeUnknown),
            }
        };
        tokio::select! { biased;
            outcome = ended => outcome,
            // The others end it without this machine.
            () = self.node.cut_off_for(CUT_OFF_PATIENCE) => Err(WriteError::OutcomeUnknown),
        }
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
        for desk in self.held_at.values() {
            desk.abort(self.id);
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
