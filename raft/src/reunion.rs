//! Machines that come back: who leads shards waits longer and longer between two attempts to reach a replica that does
//! not answer, up to a second. When its machine is connected again, it is sent what it has missed at once.
//!
//! It must never know how connections are made.

use std::sync::Arc;

use openraft::async_runtime::watch::WatchReceiver;
use rotabase_engine::domain::Domain;

use crate::node::NodeInner;
use crate::shard::Shard;
use crate::type_config::{MachineId, ReplicaId};

/// Ends the waiting for a machine's replicas in all shards that are led here.
pub(crate) async fn reach_again<D: Domain>(node: Arc<NodeInner<D>>, machine: MachineId) {
    for shard in node.shards.iter().filter(|shard| shard.leads()) {
        let Some(replica) = replica_on(shard, machine) else { continue };
        if let Err(error) = shard.replica.trigger().reset_backoff([replica]).await {
            tracing::debug!(shard = shard.id.0, %error, "the replica is closed");
        }
    }
}

fn replica_on<D: Domain>(shard: &Shard<D>, machine: MachineId) -> Option<ReplicaId> {
    let metrics = shard.replica.server_metrics();
    let metrics = metrics.borrow_watched();
    let mut replicas = metrics.membership_config.membership().nodes();
    replicas.find(|(_, host)| host.id == machine).map(|(replica, _)| *replica)
}
