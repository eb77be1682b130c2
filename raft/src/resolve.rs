//! Ends transactions that nobody ends any more: prepared under a leader that is gone, by a node that may be.
//!
//! A shard's new leader finds them in its log ([`crate::leader`]) and lists them as orphans. Here the deciding shard
//! is asked for each what was decided. If nothing was, it decides now that the transaction never happens, so that
//! nobody can commit it later. No operator has to do anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Attempt;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::ShardId;
use tokio::sync::{Notify, oneshot};

use crate::leader::stored_decision;
use crate::metrics::add;
use crate::node::NodeInner;
use crate::shard::{DecisionAnswer, Order, Verdict, Wish};

/// How long to wait before shards that could not answer are asked again.
const RETRY: Duration = Duration::from_millis(50);

/// Ends orphans as they turn up, until the node is closed.
pub(crate) async fn resolve_orphans<D: Domain>(
    node: std::sync::Weak<NodeInner<D>>,
    orphaned: Arc<Notify>,
) {
    loop {
        let left = {
            let Some(node) = node.upgrade() else { return };
            if node.closed.load(Ordering::Acquire) {
                return;
            }
            resolve_all(&node).await
        };
        if left == 0 {
            orphaned.notified().await;
        } else {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Tries to end each orphan of the node; says how many are left.
async fn resolve_all<D: Domain>(node: &NodeInner<D>) -> usize {
    let mut left = 0;
    if planted::has(Bug::OrphansForgotten) {
        return left;
    }
    for shard in &node.shards {
        let orphans: Vec<_> = {
            let orphans = shard.orphans.lock();
            orphans.iter().map(|(attempt, deciding)| (*attempt, *deciding)).collect()
        };
        for (attempt, deciding) in orphans {
            if resolve(node, shard.id, attempt, deciding).await {
                add(&node.metrics.transactions_resolved, 1);
            } else {
                left += 1;
            }
        }
    }
    left
}

/// Ends one orphan; whether it is ended.
async fn resolve<D: Domain>(
    node: &NodeInner<D>,
    shard: ShardId,
    attempt: Attempt,
    deciding: ShardId,
) -> bool {
    let Some(verdict) = ask(node, deciding, attempt).await else { return false };
    tracing::info!(shard = shard.0, %attempt, commit = verdict.commit, "a transaction is ended");
    let (reply, ended) = oneshot::channel();
    node.shard(shard).order(Order::Conclude { attempt, write: None, verdict, reply });
    let ended = ended.await.is_ok_and(|outcome| !outcome.refused && !outcome.unknown);
    if !ended {
        // Under the next leadership it is an orphan again.
        tracing::debug!(shard = shard.0, %attempt, "a transaction could not be ended");
    }
    ended
}

async fn ask<D: Domain>(
    node: &NodeInner<D>,
    deciding: ShardId,
    attempt: Attempt,
) -> Option<Verdict> {
    if deciding.0 >= node.log.shards() {
        tracing::error!(%attempt, shard = deciding.0, "a transaction names a shard that is not there");
        return None;
    }
    if planted::has(Bug::ResolvedWithoutAsking) {
        return Some(Verdict::abort(node.clock.tick()));
    }
    let shard = node.shard(deciding);
    // What is applied here is true, whoever leads.
    if let Ok(Some(verdict)) = stored_decision(shard, attempt) {
        return Some(verdict);
    }
    let (reply, answer) = oneshot::channel();
    node.desk_now(deciding)?.order(Order::Decide { attempt, wish: Wish::Abort, reply });
    match answer.await {
        Ok(DecisionAnswer::Decided { verdict, .. }) => Some(verdict),
        Ok(DecisionAnswer::Refused(_) | DecisionAnswer::Unknown) | Err(_) => None,
    }
}
