//! `rotabase start`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::needs_peer;
use super::error::CliError;
use super::serve::{Serving, stop_signal};
use super::{StartArguments, logging, maintain, print, runtime};
use crate::cluster::{PeerOptions, security};
use crate::config::Config;
use crate::database::{Database, DatabaseConfig};
use crate::env::{SystemClock, SystemRandom};

/// Starts the server and serves until it is asked to stop.
pub(crate) fn run(arguments: &StartArguments) -> Result<(), CliError> {
    let StartArguments { data, server, peer, join, replica } = arguments;
    let data = data.data.as_path();
    let mut settings = server.settings();
    settings.extend(peer.iter().map(|peer| ("peer".to_owned(), peer.clone())));
    // Checked before a directory is made for it.
    let config = Config::load(data, server.config.as_deref(), std::env::vars(), &settings)?;
    let peer = peer_options(&config, data, join.as_deref())?;
    logging::start(&config)?;
    maintain::prepare_directory(data)?;
    runtime::new()?.block_on(async {
        let asked_to_stop = stop_signal()?;
        let random = Arc::new(SystemRandom::new());
        let mut asked_to_stop = std::pin::pin!(asked_to_stop);
        let database_config = DatabaseConfig {
            replica: replica.options(security(&config)?),
            peer,
            ..database_config(data, &config, &random)
        };
        // A replica waits for an upstream, and for its projections, for as long as it takes.
        let opened = tokio::select! {
            opened = Database::open_with(database_config) => opened?,
            _ = &mut asked_to_stop => return Ok(()),
        };
        let caught_up = tokio::select! {
            () = catch_up(&opened) => true,
            _ = &mut asked_to_stop => false,
        };
        if !caught_up {
            opened.close().await;
            return Ok(());
        }
        let serving = Serving::start(opened, &config, data, random).await?;
        print(&serving.invitation())?;
        serving.run(asked_to_stop).await
    })
}

/// How the node finds the others of its cluster; none for a node alone.
fn peer_options(
    config: &Config,
    data: &Path,
    join: Option<&str>,
) -> Result<Option<PeerOptions>, CliError> {
    let Some(address) = config.peer.clone() else {
        if join.is_some() {
            let message = "--join needs --peer, where other nodes reach this one";
            return Err(CliError::Cluster(message.to_owned()));
        }
        if needs_peer(data, config) {
            let data = data.display();
            let message =
                format!("\"{data}\" is that of a node of a cluster: start it with --peer");
            return Err(CliError::Cluster(message));
        }
        return Ok(None);
    };
    let security = security(config)?;
    Ok(Some(PeerOptions { address, join: join.map(str::to_owned), security }))
}

/// A replica is served from when it has caught up with what its upstream had at the start.
async fn catch_up(database: &Database) {
    if let Some(replica) = database.replica() {
        replica.wait_until_caught_up().await;
    }
}

/// How the database of a server is opened.
pub(crate) fn database_config(
    data: &Path,
    config: &Config,
    random: &Arc<SystemRandom>,
) -> DatabaseConfig {
    DatabaseConfig {
        storage_cache_bytes: config.storage_cache_bytes,
        aggregate_cache_bytes: config.aggregate_cache_bytes,
        work_bytes: config.work_bytes,
        spill_bytes: config.spill_bytes,
        history_retention: Duration::from_secs(config.history_retention_seconds),
        past_bytes_max: config.past_bytes_max,
        clock: Arc::new(SystemClock),
        random: Arc::<SystemRandom>::clone(random),
        ..DatabaseConfig::new(data)
    }
}
