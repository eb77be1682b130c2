//! A database, opened from its directory: the log with its shards, the projections that follow it, the catalog
//! of names. Sessions of the protocol and users of the library share it.
//!
//! It wires the layers together and owns what they share; it decides nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rotabase_engine::db::{Db, DbOptions, StoreError};
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random, Timestamp};
use rotabase_engine::feed::Feed;
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_engine::position::Positions;
use rotabase_engine::schedule::Schedule;
use rotabase_engine::writer::OnFatal;
use rotabase_queries::catalog::{Catalog, Entry, System};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::projection::{PAST_BYTES_DEFAULT, ProjectionOptions, Projections, Retention};
use rotabase_queries::relation::Relation;
use rotabase_raft::cluster::Cluster;
use rotabase_raft::net::Traffic;
use rotabase_raft::router::Router;
use rotabase_raft::{
    DirectoryStore, Environment, Node, Outcome, Request, ShardStatus, Subscription, WriteError,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::cluster::PeerOptions;
use crate::replica::{Replica, ReplicaOptions};
use crate::roles::ObjectStore;
use crate::scram::ScramVerifier;
use crate::session::advisory::AdvisoryLocks;
use crate::session::block::BlockMemory;
use crate::session::channels::Channels;
use crate::session::client::Session;
use crate::session::registry::Registry;
use crate::session::{Backend, Login, SessionStart};
use crate::system::{RunningSystem, Terminate};

/// The queries that may run at once beside those that are answered directly; others wait their turn.
pub const QUERIES_MAX: usize = 16;

/// The longest that a command may wait until it is stored, where no `statement_timeout` is shorter.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(30);

/// For how long what has changed is kept, where nothing else is said.
pub const HISTORY_RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The shards that a database of one node gets when nothing else is said: the fewer there are, the more commands share
/// an entry (`docs/decisions/0016-four-shards-for-one-node.md`).
pub const SHARDS_OF_ONE_NODE: u16 = 4;

/// The shards that a cluster gets when nothing else is said: enough to be led by several nodes evenly.
pub const SHARDS_OF_CLUSTER: u16 = 16;

/// The one database that a server has, as clients name it.
pub const DATABASE_NAME: &str = "rotabase";

/// Where the log lies, within a database's directory.
pub const LOG_DIRECTORY: &str = "log";

/// Where the projections lie, within a database's directory.
pub const PROJECTIONS_DIRECTORY: &str = "projections";

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// Its directory; made if it is not there.
    pub path: PathBuf,
    /// The number of shards of a new database, 1 to 1024; if none is given, [`SHARDS_OF_CLUSTER`] for one that is
    /// founded with [`DatabaseConfig::peer`], and [`SHARDS_OF_ONE_NODE`] otherwise.
    pub shards: Option<u16>,
    /// The bytes of memory that storage may use for blocks and unwritten rows.
    pub storage_cache_bytes: usize,
    /// The bytes of memory that aggregates may take.
    pub aggregate_cache_bytes: usize,
    /// The bytes of memory that one statement's sorts and hashes may take.
    pub work_bytes: usize,
    /// The bytes on disk that one statement's temporary files may take.
    pub spill_bytes: u64,
    /// For how long what has changed is kept, so that a past instant can be shown without a replay.
    pub history_retention: Duration,
    /// The bytes on disk that the schedule as of past instants may take.
    pub past_bytes_max: u64,
    /// What it follows, if it is a read replica.
    pub replica: Option<ReplicaOptions>,
    /// How it finds the others, if it is a node of a cluster.
    pub peer: Option<PeerOptions>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl DatabaseConfig {
    /// The number of shards, if the database is new.
    pub(crate) fn shards_of_new(&self) -> u16 {
        let default = if self.peer.is_some() { SHARDS_OF_CLUSTER } else { SHARDS_OF_ONE_NODE };
        self.shards.unwrap_or(default)
    }

    /// The defaults, on a directory, with the real clock.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            shards: None,
            storage_cache_bytes: 128 << 20,
            aggregate_cache_bytes: 128 << 20,
            work_bytes: 256 << 20,
            spill_bytes: 16 << 30,
            history_retention: HISTORY_RETENTION_DEFAULT,
            past_bytes_max: PAST_BYTES_DEFAULT,
            replica: None,
            peer: None,
            clock: Arc::new(crate::env::SystemClock),
            random: Arc::new(crate::env::SystemRandom::default()),
        }
    }
}

/// An open database. Cloning it is cheap; all clones are one database.
#[derive(Clone, Debug)]
pub struct Database {
    shared: Arc<Shared>,
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: DatabaseConfig,
    pub(crate) node: Node<Schedule>,
    pub(crate) projections: Arc<Projections>,
    pub(crate) objects: ObjectStore,
    cluster: uuid::Uuid,
    /// What there is of a read replica.
    replica: Option<Arc<Replica>>,
    /// The node's part in a cluster.
    membership: Option<Cluster>,
    /// The task that follows the upstream, or the cluster's roles and views.
    following: Mutex<Option<JoinHandle<()>>>,
    /// Ends that task.
    stop: watch::Sender<bool>,
    pub(crate) queries: Arc<Semaphore>,
    /// Where sorts put what memory does not hold.
    pub(crate) spill_directory: Arc<Path>,
    pub(crate) copies: crate::session::copy::Progress,
    pub(crate) sessions: Arc<Registry>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) advisory: Arc<AdvisoryLocks>,
    /// The memory of all transaction blocks.
    pub(crate) blocks: BlockMemory,
    /// Held by every block that commits; alone by those that have to look through the feed first.
    pub(crate) commits: tokio::sync::RwLock<()>,
    /// Everything that was acknowledged through this node: what a session that begins now can expect to see.
    acknowledged: Mutex<Positions>,
    /// The names and the running system, as statements see them.
    pub(crate) system: Arc<System>,
    /// The running system behind it.
    running: Arc<RunningSystem>,
    /// The relations that need no view.
    base: Catalog,
    catalog: RwLock<Arc<Catalog>>,
    /// Grows when names change their meaning; statements bound before are bound again.
    generation: AtomicU64,
}

impl Database {
    /// Opens the database in a directory; makes it if there is none.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(DatabaseConfig::new(path.as_ref())).await
    }

    /// Opens a database with a configuration.
    pub async fn open_with(config: DatabaseConfig) -> Result<Self> {
        std::fs::create_dir_all(&config.path).map_err(|error| {
            let message =
                format!("could not create directory \"{}\": {error}", config.path.display());
            SqlError::new(SqlState::IO_ERROR, message)
        })?;
        let replica =
            config.replica.clone().map(|options| Replica::new(options, Arc::clone(&config.clock)));
        let (store, membership) = match &config.peer {
            Some(peer) => {
                let (store, membership) = crate::cluster::open(&config, peer).await?;
                (store, Some(membership))
            }
            None => (open_store(&config).await?, None),
        };
        let cluster = store.log_store().identity().cluster;
        let node = open_node(&config, store, membership.as_ref()).await?;
        let feed: Arc<dyn Feed> = node.feed();
        let channels = Arc::<Channels>::default();
        let options = ProjectionOptions {
            db: DbOptions { rows_in_cache: true, ..db_options(&config) },
            retention: retention(&config),
            past_bytes_max: config.past_bytes_max,
            on_failure: None,
            violations: Some(Arc::<Channels>::clone(&channels)),
        };
        let projections =
            Projections::open(&config.path.join(PROJECTIONS_DIRECTORY), feed, options)?;
        let objects = ObjectStore::open(&config.path)?;
        let relations = projections.relations();
        let base = rotabase_queries::catalog::with_system_relations(relations);
        let running = RunningSystem::new(config.clock.now_microseconds());
        let shared = Shared {
            node,
            cluster,
            replica: replica.clone(),
            membership: membership.clone(),
            following: Mutex::default(),
            stop: watch::Sender::new(false),
            projections,
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            spill_directory: Arc::from(std::env::temp_dir()),
            copies: crate::session::copy::Progress::default(),
            sessions: Arc::default(),
            channels,
            advisory: Arc::default(),
            blocks: BlockMemory::default(),
            commits: tokio::sync::RwLock::default(),
            acknowledged: Mutex::default(),
            system: Arc::new(System::new(Arc::<RunningSystem>::clone(&running))),
            running: Arc::clone(&running),
            catalog: RwLock::new(Arc::new(base.clone())),
            base,
            generation: AtomicU64::new(0),
            objects,
            config,
        };
        let database = Self { shared: Arc::new(shared) };
        running.attach(&database.shared);
        database.refresh_catalog();
        if let Some(membership) = membership {
            database.take_part(membership).await?;
        }
        if let Some(replica) = replica {
            let task = tokio::spawn(crate::replica::follow(database.clone(), replica));
            *database.shared.following.lock() = Some(task);
        }
        Ok(database)
    }

    /// Looks after the shards with the other members, and shares roles and views with them.
    async fn take_part(&self, membership: Cluster) -> Result<()> {
        membership.tend(&self.shared.node);
        crate::cluster::bring_in(self, &membership).await?;
        crate::cluster::attach(self, &membership);
        let following =
            crate::cluster::follow(self.clone(), membership, self.shared.stop.subscribe());
        *self.shared.following.lock() = Some(tokio::spawn(following));
        Ok(())
    }

    /// Opens a session for a role, as an embedded user. Roles are not asked for passwords here: whoever links
    /// the library has the files.
    pub fn session(&self, user: &str) -> Result<Session> {
        Session::new(
            self.clone(),
            SessionStart {
                user: user.to_owned(),
                database: user.to_owned(),
                settings: Vec::new(),
                pid: self.shared.sessions.embedded_pid(),
                peer: None,
                tls: false,
                may_follow: true,
            },
        )
    }

    /// Makes known where clients connect to, and how a session is ended.
    pub(crate) fn serve(&self, address: SocketAddr, terminate: Terminate) {
        self.shared.running.serve(address, terminate);
    }

    /// Sends commands of the domain past SQL: all are carried out or none.
    pub async fn execute_commands(
        &self,
        requests: Vec<Request<Schedule>>,
        metadata: Metadata,
    ) -> std::result::Result<Outcome, WriteError<Schedule>> {
        self.shared.node.execute(requests, metadata, COMMAND_DEADLINE).await
    }

    /// Follows the events after `positions`: first what is stored, then what comes.
    pub fn subscribe(&self, positions: &Positions) -> Subscription {
        self.shared.node.subscribe(positions)
    }

    /// The number of shards.
    pub fn shards_count(&self) -> u16 {
        self.shared.node.shards()
    }

    /// How the shards are doing.
    pub fn shards(&self) -> Vec<ShardStatus> {
        self.shared.node.status()
    }

    /// The projections.
    pub fn projections(&self) -> &Arc<Projections> {
        &self.shared.projections
    }

    /// The log's node.
    pub fn node(&self) -> &Node<Schedule> {
        &self.shared.node
    }

    /// Finishes what was begun, writes what is cached and closes the files.
    pub async fn close(self) {
        if let Some(replica) = self.replica() {
            replica.stop();
        }
        if let Some(membership) = &self.shared.membership {
            membership.hand_over().await;
        }
        self.shared.stop.send_replace(true);
        let following = self.shared.following.lock().take();
        if let Some(following) = following {
            // A task that has panicked has nothing more to say.
            let _ = following.await;
        }
        self.shared.node.shutdown().await;
        if let Some(membership) = &self.shared.membership {
            membership.close().await;
        }
        let projections = Arc::clone(&self.shared.projections);
        // Writing out the last rows blocks.
        let _ = tokio::task::spawn_blocking(move || projections.shutdown()).await;
    }

    /// What this node has sent to other nodes; none on one that is alone.
    pub fn traffic(&self) -> Option<Arc<Traffic>> {
        self.shared.membership().map(Cluster::traffic)
    }

    /// Whether this node was a member of a cluster and is none any more.
    pub fn is_removed(&self) -> bool {
        self.shared.membership().is_some_and(Cluster::is_removed)
    }

    /// Whether what others have stored does not come here at the moment.
    pub(crate) fn is_cut_off(&self) -> bool {
        match self.replica() {
            Some(replica) => !replica.is_connected(),
            None => self.shared.membership.is_some() && !self.shared.node.reaches_leaders(),
        }
    }

    /// What there is of a read replica; none on a node that takes writes.
    pub(crate) fn replica(&self) -> Option<&Arc<Replica>> {
        self.shared.replica()
    }

    /// The cluster that the database belongs to.
    pub(crate) fn cluster(&self) -> uuid::Uuid {
        self.shared.cluster
    }

    /// What the node that takes writes has, and at which moment: this node if it is the one, or as a replica has
    /// heard.
    pub(crate) fn heartbeat(&self) -> Option<(i64, Positions)> {
        match self.replica() {
            Some(replica) => replica.heard(),
            // The moment before the positions: what is committed between the two does no harm.
            // A node that is cut off does not know what there is.
            None if self.shared.membership.is_some() && !self.shared.node.reaches_leaders() => None,
            None => {
                let now = self.shared.config.clock.now_microseconds();
                Some((now, self.shared.node.applied()))
            }
        }
    }

    /// The positions that cover everything that was acknowledged anywhere before the call.
    pub(crate) async fn read_barrier(&self) -> Result<Positions> {
        match self.replica() {
            Some(replica) => replica.barrier(COMMAND_DEADLINE).await,
            None => {
                let barrier = self.shared.node.read_barrier(COMMAND_DEADLINE).await;
                barrier.map_err(crate::sqlstate::write_error)
            }
        }
    }

    /// The positions that cover everything that happens up to an instant, acknowledged or not; whatever is decided
    /// after the call happens later. An instant to come is now.
    pub(crate) async fn instant_barrier(&self, instant: Timestamp) -> Result<Positions> {
        match self.replica() {
            // Up to the writing node's now, which is no earlier than an instant that has been.
            Some(replica) => replica.instant_barrier(COMMAND_DEADLINE).await,
            None => {
                let barrier = self.shared.node.instant_barrier(instant, COMMAND_DEADLINE).await;
                barrier.map_err(crate::sqlstate::write_error)
            }
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Builds the catalog anew after a view, a role or a grant has changed.
    pub(crate) fn refresh_catalog(&self) {
        let objects = self.shared.objects.current();
        let views = objects.views.values().map(|view| Arc::new(view.to_view()));
        let catalog = Arc::new(self.shared.base.clone().with_views(views));
        self.shared.system.publish(Arc::clone(&catalog));
        *self.shared.catalog.write() = catalog;
        self.shared.generation.fetch_add(1, Ordering::Release);
    }
}

impl Backend for Database {
    type Session = Session;

    fn login(&self, name: &str) -> Option<Login> {
        let objects = self.shared.objects.current();
        let role = objects.roles.get(name)?;
        let verifier = role.verifier.as_deref().and_then(|text| text.parse::<ScramVerifier>().ok());
        Some(Login { can_login: role.login, superuser: role.superuser, verifier })
    }

    async fn connect(&self, start: SessionStart) -> Result<Session> {
        if start.database != DATABASE_NAME {
            let message = format!("database \"{}\" does not exist", start.database);
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message));
        }
        Session::new(self.clone(), start)
    }
}

impl Shared {
    /// What there is of a read replica.
    pub(crate) fn replica(&self) -> Option<&Arc<Replica>> {
        self.replica.as_ref()
    }

    /// The node's part in a cluster; none for one that is alone.
    pub(crate) fn membership(&self) -> Option<&Cluster> {
        self.membership.as_ref()
    }

    /// The names as they are now, and their generation.
    pub(crate) fn catalog(&self) -> (Arc<Catalog>, u64) {
        let generation = self.generation();
        (Arc::clone(&self.catalog.read()), generation)
    }

    /// A built-in table of schema `public`.
    pub(crate) fn relation(&self, name: &str) -> Result<Arc<dyn Relation>> {
        match self.base.find(Some(rotabase_queries::catalog::PUBLIC), name, &[]) {
            Some(Entry::Relation(relation)) => Ok(Arc::clone(relation)),
            _ => Err(SqlError::internal(format!("table {name} is built in"))),
        }
    }

    /// Notes what has been acknowledged.
    pub(crate) fn acknowledge(&self, positions: &Positions) {
        self.acknowledged.lock().merge(positions);
    }

    /// Everything that was acknowledged through this node so far.
    ///
    /// After a restart that is somewhere in what is applied. A replica acknowledges nothing, and may have applied a
    /// part of a transaction whose rest does not come as long as there is no upstream: nobody may wait for that
    /// who was not told of it. What a replica shows only grows, a restart included, as its projections are served
    /// once they have looked at everything that is applied.
    pub(crate) fn acknowledged(&self) -> Positions {
        if self.replica.is_some() {
            return self.acknowledged.lock().clone();
        }
        let mut positions = self.node.applied();
        positions.merge(&self.acknowledged.lock());
        positions
    }

    /// The generation of the names.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// Opens the log's node: alone, as a member of a cluster, or as a read replica.
async fn open_node(
    config: &DatabaseConfig,
    store: Arc<DirectoryStore>,
    membership: Option<&Cluster>,
) -> Result<Node<Schedule>> {
    let (node_config, transport) = match membership {
        Some(membership) => (membership.node_config(), membership.transport()),
        None => {
            let node_config = crate::cluster::alone(&store, &config.path)?;
            let transport = Router::new().attach(node_config.machine.id);
            (node_config, transport)
        }
    };
    let (clock, random) = (Arc::clone(&config.clock), Arc::clone(&config.random));
    let environment = Environment { store, transport, clock, random };
    let node = match &config.replica {
        Some(_) => Node::open_follower(node_config, environment).await,
        None => Node::open(node_config, environment).await,
    };
    node.map_err(|error| SqlError::new(SqlState::IO_ERROR, error.to_string()))
}

/// For how long what has changed is kept.
fn retention(config: &DatabaseConfig) -> Retention {
    let microseconds = u64::try_from(config.history_retention.as_micros()).unwrap_or(u64::MAX);
    let now = config.clock.now_microseconds();
    let after = now.saturating_sub(i64::try_from(microseconds).unwrap_or(i64::MAX));
    Retention { microseconds: Some(microseconds), after: Timestamp::from_microseconds(after) }
}

/// The memory of the log's storage and of the projections', each.
fn db_options(config: &DatabaseConfig) -> DbOptions {
    DbOptions {
        cache_bytes: config.storage_cache_bytes / 4,
        write_buffer_bytes: config.storage_cache_bytes / 4,
        ..DbOptions::default()
    }
}

/// Opens the log; makes it if there is none.
async fn open_store(config: &DatabaseConfig) -> Result<Arc<DirectoryStore>> {
    let path = config.path.join(LOG_DIRECTORY);
    let create = match &config.replica {
        _ if Db::exists(&path) => None,
        // A replica's log is of the cluster that it follows.
        Some(options) => {
            let hello = Replica::introduce(options).await;
            let cluster = hello.cluster.parse().map_err(|_| {
                let message = format!("\"{}\" is no name of a cluster", hello.cluster);
                SqlError::new(SqlState::DATA_CORRUPTED, message)
            })?;
            Some(Identity { cluster, shards: hello.shards })
        }
        None => {
            let cluster = config.random.uuid_v7(config.clock.now_microseconds());
            Some(Identity { cluster, shards: config.shards_of_new() })
        }
    };
    open_log(config, create)
}

/// Opens the log, or makes it.
pub(crate) fn open_log(
    config: &DatabaseConfig,
    create: Option<Identity>,
) -> Result<Arc<DirectoryStore>> {
    let path = config.path.join(LOG_DIRECTORY);
    let options = LogOptions { create, db: db_options(config), ..LogOptions::default() };
    let store = DirectoryStore::open(&path, &options, on_fatal())?;
    Ok(store.with_aggregate_bytes(config.aggregate_cache_bytes))
}

/// After a failed write nobody knows what the disk holds: to go on would be to guess.
pub(crate) fn on_fatal() -> OnFatal {
    Box::new(|error: &StoreError| {
        tracing::error!(%error, "storage failed: the process ends so that nothing is acknowledged that may be lost");
        std::process::abort();
    })
}
