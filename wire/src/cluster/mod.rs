//! This node's part in a cluster: how its directory becomes that of a member, and how roles and views are the same on
//! all of them. What members do with each other is `rotabase_raft::cluster`'s business.
//!
//! # A node's directory
//!
//! | there is | it is | `--peer` | `--join` |
//! | --- | --- | --- | --- |
//! | nothing | new | founds a cluster of one | asks to be admitted, and gets the cluster's shards |
//! | a database | a node alone | makes it the founder, node 1 | refused |
//! | a database and `cluster/` | a member | needed | no matter: it is one |

mod catalog;
mod security;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::db::{Db, DbOptions};
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_raft::cluster::{Admission, Cluster, ClusterOptions, FOUNDER, join};
use rotabase_raft::config::Timing;
use rotabase_raft::net::{self, Network, Security};
use rotabase_raft::type_config::{Machine, MachineId};
use rotabase_raft::{DirectoryStore, NodeConfig};
use tokio::net::TcpListener;

pub(crate) use self::catalog::{attach, bring_in, follow};
pub(crate) use self::security::server_of_nodes;
pub use self::security::{PeerTls, security};
use crate::database::{DatabaseConfig, LOG_DIRECTORY, open_log};

/// Where the cluster's own state lies, within a node's directory.
pub const CLUSTER_DIRECTORY: &str = "cluster";

/// The pause after a node could not be asked to be admitted.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

/// The memory of the system shard's storage, for blocks and for unwritten rows: it is small.
const CONTROL_BYTES: usize = 2 << 20;

/// How a node finds the others.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Where others reach it, `host:port`; it listens there.
    pub address: String,
    /// A node of the cluster that it is to join.
    pub join: Option<String>,
    /// How connections between nodes are secured.
    pub security: Arc<dyn Security>,
}

/// Whether a directory is that of a member of a cluster.
pub(crate) fn is_member(data: &Path) -> bool {
    Db::exists(&data.join(CLUSTER_DIRECTORY))
}

/// How the data's node is opened where nobody else is talked to.
pub(crate) fn alone(store: &DirectoryStore, data: &Path) -> Result<NodeConfig> {
    let config = NodeConfig::default();
    if !is_member(data) {
        return Ok(config);
    }
    // To look at what it has; it leads nothing.
    let id = store.machine().map_err(SqlError::from)?.unwrap_or(FOUNDER);
    Ok(NodeConfig { machine: Machine { id, address: String::new() }, joins: true, ..config })
}

/// Opens the log of a node and its part in the cluster; makes it a member where it is none.
pub(crate) async fn open(
    config: &DatabaseConfig,
    peer: &PeerOptions,
) -> Result<(Arc<DirectoryStore>, Cluster)> {
    if config.replica.is_some() {
        let message = "a read replica is no member of a cluster";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let listener = TcpListener::bind(&peer.address).await.map_err(|error| {
        let message = format!("could not listen on {}: {error}", peer.address);
        SqlError::new(SqlState::IO_ERROR, message)
    })?;
    let address = reached_at(&peer.address, &listener);
    let (store, admission) = open_data(config, peer, &address).await?;
    let Admission { cluster, shards, machine, members } = admission;
    let control = open_control(&config.path, cluster)?;
    let identity = net::Identity { cluster, shards, machine };
    let network = Network::start(&identity, listener, Arc::clone(&peer.security));
    let options = ClusterOptions {
        machine: Machine { id: machine, address },
        members: members.into_iter().collect(),
        timing: Timing::Fast,
    };
    let (clock, random) = (Arc::clone(&config.clock), Arc::clone(&config.random));
    let cluster = Cluster::open(options, Arc::new(network), control, clock, random).await;
    let cluster = cluster.map_err(|error| SqlError::new(SqlState::IO_ERROR, error.to_string()))?;
    Ok((store, cluster))
}

/// The address that others are told: with the port that was picked, where that was left to the system.
fn reached_at(address: &str, listener: &TcpListener) -> String {
    match (address.rsplit_once(':'), listener.local_addr()) {
        (Some((host, "0")), Ok(bound)) => format!("{host}:{}", bound.port()),
        _ => address.to_owned(),
    }
}

/// The log of the data, and who this node is.
async fn open_data(
    config: &DatabaseConfig,
    peer: &PeerOptions,
    address: &str,
) -> Result<(Arc<DirectoryStore>, Admission)> {
    let exists = Db::exists(&config.path.join(LOG_DIRECTORY));
    if let (false, Some(seed)) = (exists, &peer.join) {
        let admission = ask_to_join(config, peer, seed, address).await?;
        let (cluster, shards) = (admission.cluster, admission.shards);
        let store = open_log(config, Some(Identity { cluster, shards }))?;
        // Whoever stops here is the same machine when it is back, and not one that founds a cluster.
        store.claim(admission.machine).await.map_err(SqlError::from)?;
        return Ok((store, admission));
    }
    let new = || {
        let cluster = config.random.uuid_v7(config.clock.now_microseconds());
        Identity { cluster, shards: config.shards_of_new() }
    };
    let store = open_log(config, (!exists).then(new))?;
    let machine = store.machine().map_err(SqlError::from)?.unwrap_or(FOUNDER);
    if exists && peer.join.is_some() && machine == FOUNDER && !is_member(&config.path) {
        let data = config.path.display();
        let message = format!("\"{data}\" holds a database of its own");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
            .with_hint("A node joins a cluster with an empty directory."));
    }
    let Identity { cluster, shards } = store.log_store().identity();
    Ok((store, Admission { cluster, shards, machine, members: Vec::new() }))
}

/// Asks until somebody answers.
async fn ask_to_join(
    config: &DatabaseConfig,
    peer: &PeerOptions,
    seed: &str,
    address: &str,
) -> Result<Admission> {
    let token = config.random.next_u64();
    loop {
        match join(seed, &*peer.security, address.to_owned(), token).await {
            Ok(admission) => {
                let node = admission.machine.0;
                tracing::info!(node, seed, "admitted to the cluster");
                return Ok(admission);
            }
            Err(error) if error.kind() == ErrorKind::Other => {
                let message = format!("{seed} does not admit this node: {error}");
                return Err(SqlError::new(SqlState::CANNOT_CONNECT_NOW, message));
            }
            Err(error) => tracing::info!(seed, %error, "could not ask to be admitted"),
        }
        tokio::time::sleep(JOIN_PAUSE).await;
    }
}

/// The system shard's storage.
fn open_control(data: &Path, cluster: uuid::Uuid) -> Result<Arc<DirectoryStore>> {
    let path = data.join(CLUSTER_DIRECTORY);
    let create = (!Db::exists(&path)).then_some(Identity { cluster, shards: 1 });
    let db = DbOptions {
        cache_bytes: CONTROL_BYTES,
        write_buffer_bytes: CONTROL_BYTES,
        ..DbOptions::default()
    };
    let options = LogOptions { create, db, ..LogOptions::default() };
    let store = DirectoryStore::open(&path, &options, crate::database::on_fatal())?;
    Ok(store.with_aggregate_bytes(CONTROL_BYTES))
}

/// A machine's id as SQL shows it.
pub(crate) fn number_of(machine: MachineId) -> i64 {
    i64::from(machine.0)
}
