//! Roles, grants and views of a cluster: they are in its state, and each node keeps a copy in its catalog file.

use std::sync::Arc;

use bytes::Bytes;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_raft::WriteError;
use rotabase_raft::cluster::Cluster;
use rotabase_raft::cluster::control::Refusal;
use tokio::sync::watch;

use crate::database::Database;
use crate::roles::Publisher;

impl Publisher for Cluster {
    fn newest(&self) -> (u64, Option<Bytes>) {
        let state = self.state();
        (state.catalog_revision, state.catalog.clone())
    }

    fn publish(&self, revision: u64, catalog: Bytes) -> Result<()> {
        let publishing = self.replace_catalog(revision, catalog);
        // Names change seldom, and whoever changes them waits for the disk otherwise.
        let published =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(publishing));
        published.map_err(|error| match error {
            WriteError::Refused { refusal: Refusal::CatalogChanged, .. } => {
                crate::sqlstate::conflict()
            }
            WriteError::OutcomeUnknown => SqlError::new(
                SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
                "the outcome of the statement is unknown: leadership was lost before it was confirmed",
            ),
            error => SqlError::new(SqlState::CANNOT_CONNECT_NOW, error.to_string())
                .with_detail("Nothing was stored."),
        })
    }
}

/// Takes over what the cluster's catalog is, whenever it changes, until the node is closed. The founder brings in its
/// own.
pub(crate) async fn follow(database: Database, cluster: Cluster, mut stop: watch::Receiver<bool>) {
    let mut changes = cluster.changes();
    let mut seen = 0;
    loop {
        let state = cluster.state();
        if let Some(catalog) = &state.catalog
            && state.catalog_revision != seen
        {
            seen = state.catalog_revision;
            match database.shared().objects.replace(catalog) {
                Ok(true) => database.refresh_catalog(),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "roles and views cannot be taken over"),
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Makes the founder's roles and views the cluster's, unless it has some.
pub(crate) async fn bring_in(database: &Database, cluster: &Cluster) -> Result<()> {
    let founder = cluster.machine().id == rotabase_raft::cluster::FOUNDER;
    let state = cluster.state();
    if !founder || state.catalog.is_some() || state.members.len() != 1 {
        return Ok(());
    }
    let catalog = serde_json::to_vec(&*database.shared().objects.current());
    let catalog = catalog.map_err(|error| SqlError::internal(error.to_string()))?;
    let replaced = cluster.replace_catalog(0, Bytes::from(catalog)).await;
    replaced.map_err(|error| SqlError::new(SqlState::IO_ERROR, error.to_string()))
}

/// Has the catalog's changes go through the cluster.
pub(crate) fn attach(database: &Database, cluster: &Cluster) {
    database.shared().objects.publish_through(Arc::new(cluster.clone()));
}
