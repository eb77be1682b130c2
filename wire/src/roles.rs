//! Roles, what they may do, and views: the database's own small catalog, one file beside the log.
//!
//! It changes seldom and is read at every statement, so it is kept in memory as an immutable value that is
//! replaced as a whole, after the file has been written, synced and renamed into place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rotabase_queries::catalog::View;
use rotabase_queries::error::{Result, SqlError, SqlState};
use serde::{Deserialize, Serialize};

/// The role that every database has.
pub const BOOTSTRAP_ROLE: &str = "rotabase";

/// The most roles and views together that a database can hold.
pub const OBJECTS_MAX: usize = 10_000;

const FILE_NAME: &str = "catalog.json";

/// What a role may do with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum Privilege {
    Select,
    Insert,
    Update,
    Delete,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Whether it may log in.
    pub login: bool,
    /// Whether it may do everything.
    pub superuser: bool,
    /// What proves its password: a SCRAM verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<String>,
    /// What it may do, by table.
    #[serde(default)]
    pub grants: BTreeMap<String, BTreeSet<Privilege>>,
}

/// All roles and views.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// The format of the file.
    version: u32,
    /// Roles by name.
    pub roles: BTreeMap<String, Role>,
    /// Views by name.
    #[serde(default)]
    pub views: BTreeMap<String, StoredView>,
}

/// A view as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredView {
    /// Its OID.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The names of its columns, where they were given.
    pub columns: Vec<String>,
    /// Its query.
    pub query: String,
    /// Who made it.
    pub owner: String,
}

impl StoredView {
    /// A view that `owner` makes; it has no OID yet.
    pub fn of(view: &View, owner: &str) -> Self {
        Self {
            oid: 0,
            schema: view.schema.clone(),
            name: view.name.clone(),
            columns: view.columns.clone(),
            query: view.query.clone(),
            owner: owner.to_owned(),
        }
    }

    /// The view as names are looked up.
    pub fn to_view(&self) -> View {
        View {
            oid: self.oid,
            schema: self.schema.clone(),
            name: self.name.clone(),
            columns: self.columns.clone(),
            query: self.query.clone(),
            owner: self.owner.clone(),
        }
    }
}

/// The first OID of views; those below belong to what is built in.
const VIEW_OID_MIN: u32 = 100_000;

impl Default for Objects {
    fn default() -> Self {
        let role = Role { login: true, superuser: true, ..Role::default() };
        Self {
            version: 1,
            roles: BTreeMap::from([(BOOTSTRAP_ROLE.to_owned(), role)]),
            views: BTreeMap::new(),
        }
    }
}

impl Objects {
    /// Whether `user` may do `privilege` with a table of schema `public`.
    pub fn allows(&self, user: &str, privilege: Privilege, table: &str) -> bool {
        let granted = |role: &Role| {
            role.superuser || role.grants.get(table).is_some_and(|it| it.contains(&privilege))
        };
        self.roles.get(user).is_some_and(granted) || self.roles.get("public").is_some_and(granted)
    }

    /// An OID that no view has.
    pub fn next_oid(&self) -> u32 {
        self.views.values().map(|view| view.oid + 1).max().unwrap_or(VIEW_OID_MIN)
    }

    /// The role called `name`.
    pub fn role_mut(&mut self, name: &str) -> Result<&mut Role> {
        self.roles.get_mut(name).ok_or_else(|| no_role(name))
    }
}

/// 42704, as PostgreSQL words it.
pub fn no_role(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

/// Where the catalog is shared with other nodes.
pub(crate) trait Publisher: std::fmt::Debug + Send + Sync {
    /// How often the shared catalog was replaced, and what it is, if there is one.
    fn newest(&self) -> (u64, Option<Bytes>);

    /// Replaces it, if it was replaced so often before; blocks until that is durable.
    fn publish(&self, revision: u64, catalog: Bytes) -> Result<()>;
}

/// The catalog and its file.
#[derive(Debug)]
pub struct ObjectStore {
    path: PathBuf,
    current: RwLock<Arc<Objects>>,
    writing: Mutex<()>,
    /// Where changes go first, on a node of a cluster.
    publisher: OnceLock<Arc<dyn Publisher>>,
}

impl ObjectStore {
    /// Reads the catalog of a data directory; a new one has the bootstrap role alone.
    pub fn open(data: &Path) -> Result<Self> {
        let path = data.join(FILE_NAME);
        let objects = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                SqlError::new(
                    SqlState::DATA_CORRUPTED,
                    format!("could not read \"{}\": {error}", path.display()),
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Objects::default(),
            Err(error) => return Err(io_error(&path, &error)),
        };
        Ok(Self {
            path,
            current: RwLock::new(Arc::new(objects)),
            writing: Mutex::new(()),
            publisher: OnceLock::new(),
        })
    }

    /// What is now.
    pub fn current(&self) -> Arc<Objects> {
        Arc::clone(&self.current.read())
    }

    /// Changes the catalog; the change is durable when this returns, or has not happened.
    pub fn change(&self, change: impl FnOnce(&mut Objects) -> Result<()>) -> Result<()> {
        let _writing = self.writing.lock();
        let shared = self.publisher.get().map(|publisher| (publisher, publisher.newest()));
        let mut objects = match &shared {
            Some((_, (_, Some(catalog)))) => parse(catalog)?,
            _ => Objects::clone(&self.current.read()),
        };
        change(&mut objects)?;
        if objects.roles.len() + objects.views.len() > OBJECTS_MAX {
            let message = format!("a database holds at most {OBJECTS_MAX} roles and views");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        if let Some((publisher, (revision, _))) = shared {
            let catalog = serde_json::to_vec(&objects);
            let catalog = catalog.map_err(|error| SqlError::internal(error.to_string()))?;
            publisher.publish(revision, catalog.into())?;
        }
        self.write(&objects).map_err(|error| io_error(&self.path, &error))?;
        *self.current.write() = Arc::new(objects);
        Ok(())
    }

    /// Has changes go to the other nodes first. Counts once.
    pub(crate) fn publish_through(&self, publisher: Arc<dyn Publisher>) {
        let _ = self.publisher.set(publisher);
    }

    /// Takes over the catalog of another node; whether it differs from what was there.
    pub(crate) fn replace(&self, catalog: &[u8]) -> Result<bool> {
        let _writing = self.writing.lock();
        let objects = parse(catalog)?;
        if objects == *self.current() {
            return Ok(false);
        }
        self.write(&objects).map_err(|error| io_error(&self.path, &error))?;
        *self.current.write() = Arc::new(objects);
        Ok(true)
    }

    fn write(&self, objects: &Objects) -> std::io::Result<()> {
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(objects)?)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }
}

fn parse(catalog: &[u8]) -> Result<Objects> {
    serde_json::from_slice(catalog).map_err(|error| {
        let message = format!("roles and views cannot be read: {error}");
        SqlError::new(SqlState::DATA_CORRUPTED, message)
    })
}

fn io_error(path: &Path, error: &std::io::Error) -> SqlError {
    SqlError::new(SqlState::IO_ERROR, format!("could not access \"{}\": {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_there_after_reopening() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ObjectStore::open(directory.path()).expect("new");
        store
            .change(|objects| {
                let grants =
                    BTreeMap::from([("legs".to_owned(), BTreeSet::from([Privilege::Select]))]);
                objects
                    .roles
                    .insert("planner".to_owned(), Role { login: true, grants, ..Role::default() });
                Ok(())
            })
            .expect("written");
        let store = ObjectStore::open(directory.path()).expect("written before");
        assert!(store.current().allows("planner", Privilege::Select, "legs"));
        assert!(!store.current().allows("planner", Privilege::Insert, "legs"));
        assert!(store.current().allows(BOOTSTRAP_ROLE, Privilege::Delete, "legs"));
        assert!(store.change(|objects| objects.role_mut("nobody").map(|_| ())).is_err());
    }
}
