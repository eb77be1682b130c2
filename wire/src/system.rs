//! What the catalog shows of the running system: roles, sessions, shards, projections. Plain rows, made when
//! somebody looks.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use rotabase_queries::catalog::{
    ActivityRow, AdvisoryLock, AdvisoryRow, CopyRow, GrantRow, NodeRow, ProjectionRow, ReplicaRow,
    RoleRow, SessionRow, SettingRow, ShardRow, Stop, SystemState,
};
use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::exec::{Cancel, Settings};
use rotabase_queries::types::Interval;

use rotabase_raft::ShardStatus;
use rotabase_raft::cluster::placing::Placement;
use rotabase_raft::cluster::{ClusterStatus, MemberStatus};
use rotabase_raft::type_config::MachineId;

use crate::cluster::number_of;
use crate::database::Shared;
use crate::roles::Privilege;

/// Ends the session of a process id; whether there is one.
pub(crate) type Terminate = Box<dyn Fn(i32) -> bool + Send + Sync>;

/// What a server adds to a database.
struct Served {
    address: SocketAddr,
    terminate: Terminate,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The running system behind the catalog. The database is known to it once it is open.
#[derive(Debug)]
pub(crate) struct RunningSystem {
    shared: OnceLock<Weak<Shared>>,
    served: OnceLock<Served>,
    started_at: i64,
}

impl RunningSystem {
    /// A system that begins now.
    pub(crate) fn new(started_at: i64) -> Arc<Self> {
        Arc::new(Self { shared: OnceLock::new(), served: OnceLock::new(), started_at })
    }

    /// Makes the database known.
    pub(crate) fn attach(&self, shared: &Arc<Shared>) {
        assert!(self.shared.set(Arc::downgrade(shared)).is_ok(), "a system has one database");
    }

    /// Makes known where clients connect to, and how a session of theirs is ended.
    pub(crate) fn serve(&self, address: SocketAddr, terminate: Terminate) {
        let _ = self.served.set(Served { address, terminate });
    }

    fn advisory(&self) -> Result<Arc<crate::session::advisory::AdvisoryLocks>> {
        let shared = self.shared.get().and_then(Weak::upgrade);
        let shared = shared.ok_or_else(|| SqlError::internal("the database is closed"))?;
        Ok(Arc::clone(&shared.advisory))
    }

    fn with<T: Default>(&self, look: impl FnOnce(&Shared) -> T) -> T {
        self.shared.get().and_then(Weak::upgrade).map(|shared| look(&shared)).unwrap_or_default()
    }
}

/// The bytes that a row takes at least.
const ROW_BYTES: u64 = 64;

fn interval(time: std::time::Duration) -> Interval {
    let microseconds = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Interval { microseconds, ..Interval::default() }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl SystemState for RunningSystem {
    fn roles(&self) -> Vec<RoleRow> {
        self.with(|shared| {
            let objects = shared.objects.current();
            let row = |(name, role): (&String, &crate::roles::Role)| RoleRow {
                name: name.clone(),
                superuser: role.superuser,
                login: role.login,
            };
            objects.roles.iter().filter(|(name, _)| *name != "public").map(row).collect()
        })
    }

    fn grants(&self) -> Vec<GrantRow> {
        self.with(|shared| {
            let objects = shared.objects.current();
            let mut rows = Vec::new();
            for (name, role) in &objects.roles {
                for (table, privileges) in &role.grants {
                    rows.extend(privileges.iter().map(|privilege| GrantRow {
                        role: name.clone(),
                        table: table.clone(),
                        privilege: privilege_name(*privilege),
                    }));
                }
            }
            rows
        })
    }

    fn sessions(&self) -> Vec<SessionRow> {
        self.with(|shared| shared.sessions.rows())
    }

    fn settings(&self) -> Vec<SettingRow> {
        crate::session::settings::catalog_rows()
    }

    fn normalised_setting(&self, name: &str, value: &str, settings: &Settings) -> Result<String> {
        crate::session::settings::normalised(name, value, settings)
    }

    fn copies(&self) -> Vec<CopyRow> {
        self.with(|shared| {
            let row = |entry: Arc<crate::session::copy::progress::Entry>| {
                let (bytes, rows) = entry.so_far();
                let relation =
                    shared.relation(entry.name).map_or(0, |relation| relation.schema().oid);
                CopyRow {
                    pid: entry.pid,
                    database: "rotabase".to_owned(),
                    relation,
                    command: entry.command,
                    bytes_processed: signed(bytes),
                    bytes_total: 0,
                    tuples_processed: signed(rows),
                    tuples_excluded: 0,
                }
            };
            shared.copies.running().into_iter().map(row).collect()
        })
    }

    fn shards(&self) -> Vec<ShardRow> {
        self.with(|shared| {
            let status = shared.node.status();
            let sizes = shard_sizes(shared, &status);
            let row = |it: rotabase_raft::ShardStatus| ShardRow {
                shard: i32::from(it.shard.0),
                leader: it.leader.as_ref().map(|machine| i64::from(machine.id.0)),
                leading: it.leading,
                term: signed(it.term),
                last_index: signed(it.last_index.0),
                committed: signed(it.applied.0),
                applied: signed(it.applied.0),
                size_bytes: signed(sizes.get(usize::from(it.shard.0)).copied().unwrap_or(0)),
            };
            status.into_iter().map(row).collect()
        })
    }

    fn nodes(&self) -> Vec<NodeRow> {
        self.with(|shared| {
            if let Some(membership) = shared.membership() {
                return members(&membership.status());
            }
            let led = shared.node.status().iter().filter(|shard| shard.leading).count();
            let led = i64::try_from(led).unwrap_or(i64::MAX);
            vec![NodeRow {
                node: 1,
                address: self.served.get().map_or(String::new(), |it| it.address.to_string()),
                role: if shared.replica().is_some() { "replica" } else { "voter" }.to_owned(),
                connected: true,
                this_node: true,
                shards_led: led,
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                shards_voted: led,
                draining: false,
            }]
        })
    }

    fn replicas(&self) -> Vec<ReplicaRow> {
        self.with(|shared| {
            let placement = shared.membership().map(|it| it.status().placement).unwrap_or_default();
            shared.node.status().iter().flat_map(|shard| copies(shard, &placement)).collect()
        })
    }

    fn projections(&self) -> Vec<ProjectionRow> {
        self.with(|shared| {
            let status = shared.projections.status();
            let lag_of_replica = shared.replica().map(|replica| replica.lag(&shared.projections));
            let row = |(shard, folded, committed): &(
                rotabase_engine::position::ShardId,
                rotabase_engine::position::LogIndex,
                _,
            )| {
                let mut committed: rotabase_engine::position::LogIndex = *committed;
                if let Some(lag) = &lag_of_replica {
                    committed = committed.max(lag.committed.get(*shard).index());
                }
                let awaited = status.awaited.iter().find(|(of, _)| of == shard);
                let lag = signed(committed.0.saturating_sub(folded.0));
                ProjectionRow {
                    projection: "schedule".to_owned(),
                    shard: i32::from(shard.0),
                    position: rotabase_engine::position::Position::end_of(*folded).to_i64(),
                    committed: rotabase_engine::position::Position::end_of(committed).to_i64(),
                    lag_events: lag,
                    lag: match &lag_of_replica {
                        Some(lag) => lag.time.map(interval),
                        None => (lag == 0).then(Interval::default),
                    },
                    awaited: awaited.map_or(0, |(_, it)| i32::try_from(*it).unwrap_or(i32::MAX)),
                }
            };
            status.shards.iter().map(row).collect()
        })
    }

    fn database_bytes(&self) -> Option<i64> {
        self.with(|shared| {
            Some(signed(shared.node.log_bytes() + shared.projections.status().bytes))
        })
    }

    fn is_replica(&self) -> bool {
        self.shared.get().and_then(Weak::upgrade).is_some_and(|shared| shared.replica().is_some())
    }

    fn started_at(&self) -> i64 {
        self.started_at
    }

    fn listening(&self) -> Option<(String, i32)> {
        let address = self.served.get()?.address;
        Some((address.ip().to_string(), i32::from(address.port())))
    }

    fn relation_bytes(&self, relation: &str) -> Option<(i64, i64)> {
        self.with(|shared| {
            if relation == "events" {
                return Some((signed(shared.node.log_bytes()), 0));
            }
            let (rows, indexes) = shared.projections.relation_bytes(relation)?;
            // What is not on disk yet counts as much as its rows take at least.
            let least = shared.relation(relation).map_or(0, |it| it.estimate()) * ROW_BYTES;
            Some((signed(rows.max(least)), signed(indexes)))
        })
    }

    fn activity(&self) -> ActivityRow {
        self.with(|shared| {
            let [sessions, committed, rolled_back] =
                shared.sessions.counts.each_ref().map(|it| signed(it.load(Ordering::Relaxed)));
            ActivityRow { committed, rolled_back, sessions }
        })
    }

    fn advisory_lock(
        &self,
        pid: i32,
        lock: AdvisoryLock,
        cancel: &Cancel,
        timeout: Option<Duration>,
    ) -> Result<()> {
        self.advisory()?.lock(pid, lock, cancel, timeout)
    }

    fn advisory_try_lock(&self, pid: i32, lock: AdvisoryLock) -> Result<bool> {
        self.advisory()?.try_lock(pid, lock)
    }

    fn advisory_unlock(&self, pid: i32, lock: AdvisoryLock) -> bool {
        self.with(|shared| shared.advisory.unlock(pid, lock))
    }

    fn advisory_unlock_all(&self, pid: i32) {
        self.with(|shared| shared.advisory.unlock_all(pid));
    }

    fn advisory_locks(&self) -> Vec<AdvisoryRow> {
        self.with(|shared| shared.advisory.rows())
    }

    fn stop_session(&self, pid: i32, how: Stop) -> bool {
        match how {
            Stop::Statement => self.with(|shared| shared.sessions.cancel(pid)),
            // Ending a connection is the protocol's business.
            Stop::Session => self.served.get().is_some_and(|served| (served.terminate)(pid)),
        }
    }
}

/// The bytes of each shard's log: what is on disk of it, and its part of what is in memory by the length of its log.
fn shard_sizes(shared: &Shared, status: &[rotabase_raft::ShardStatus]) -> Vec<u64> {
    let on_disk: Vec<u64> = status.iter().map(|it| shared.node.shard_log_bytes(it.shard)).collect();
    let in_memory = shared.node.log_bytes().saturating_sub(on_disk.iter().sum());
    let entries: u64 = status.iter().map(|it| it.last_index.0).sum();
    let part = |entry: &rotabase_raft::ShardStatus| {
        let part =
            u128::from(in_memory) * u128::from(entry.last_index.0) / u128::from(entries.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    status.iter().zip(on_disk).map(|(it, bytes)| bytes + part(it)).collect()
}

/// The nodes of a cluster, as this one sees them.
fn members(status: &ClusterStatus) -> Vec<NodeRow> {
    let row = |member: &MemberStatus| {
        let id = member.machine;
        let led = |shard: &&ShardStatus| shard.leader.as_ref().is_some_and(|it| it.id == id);
        let voted = status.shards.iter().filter(|shard| shard.voters.contains(&id)).count();
        let this_node = id == status.machine;
        NodeRow {
            node: number_of(id),
            address: member.address.clone(),
            role: if voted > 0 { "voter" } else { "learner" }.to_owned(),
            connected: member.connected,
            this_node,
            shards_led: i64::try_from(status.shards.iter().filter(led).count()).unwrap_or(i64::MAX),
            version: this_node.then(|| env!("CARGO_PKG_VERSION").to_owned()),
            shards_voted: i64::try_from(voted).unwrap_or(i64::MAX),
            draining: member.draining,
        }
    };
    status.members.iter().map(row).collect()
}

/// The copies of one shard, by the nodes that have them.
fn copies(shard: &ShardStatus, placement: &Placement) -> Vec<ReplicaRow> {
    let leads = |id: &MachineId| shard.leader.as_ref().is_some_and(|leader| leader.id == *id);
    let role = |id: &MachineId, otherwise| if leads(id) { "leader" } else { otherwise };
    let placed = placement.of(shard.shard);
    let row = |(id, role): (&MachineId, &'static str)| ReplicaRow {
        shard: i32::from(shard.shard.0),
        node: number_of(*id),
        role,
        // Where nobody says who is to vote, it is who does.
        placed: placed.map_or(role != "learner", |it| it.contains(id)),
    };
    let voters = shard.voters.iter().map(|id| (id, role(id, "voter")));
    let learners = shard.learners.iter().map(|id| (id, role(id, "learner")));
    voters.chain(learners).map(row).collect()
}

fn privilege_name(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::Select => "SELECT",
        Privilege::Insert => "INSERT",
        Privilege::Update => "UPDATE",
        Privilege::Delete => "DELETE",
    }
}
