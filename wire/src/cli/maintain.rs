//! `rotabase init`, `rebuild` and `verify`: work on a data directory that no server uses.

use std::path::Path;
use std::sync::Arc;

use rotabase_engine::db::Db;
use rotabase_engine::log::{LogOptions, LogStore};
use rotabase_engine::rebuild::rebuild_derived;
use rotabase_engine::schedule::Schedule;
use rotabase_engine::verify;
use rotabase_queries::error::SqlError;
use rotabase_queries::projection::{self, delete_projections};

use super::error::CliError;
use super::{print, runtime};
use crate::config;
use crate::database::{Database, DatabaseConfig, LOG_DIRECTORY, PROJECTIONS_DIRECTORY};
use crate::replica::ReplicaOptions;

/// The problems that `verify` prints; more are only counted.
const PROBLEMS_PRINTED_MAX: usize = 20;

/// Makes a new, empty database.
pub(crate) fn init(data: &Path, shards: u16) -> Result<(), CliError> {
    if Db::exists(&data.join(LOG_DIRECTORY)) {
        return Err(CliError::Directory(format!(
            "\"{}\" already holds a database",
            data.display()
        )));
    }
    prepare_directory(data)?;
    runtime::new()?.block_on(async {
        let config = DatabaseConfig { shards: Some(shards), ..DatabaseConfig::new(data) };
        Database::open_with(config).await?.close().await;
        Ok::<_, CliError>(())
    })?;
    print(&format!("made a database of {shards} shards in \"{}\"", data.display()))
}

/// Makes the directory and its configuration file, where they are missing.
pub(crate) fn prepare_directory(data: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(data)
        .map_err(|error| CliError::io(format!("make directory \"{}\"", data.display()), error))?;
    let file = data.join(config::FILE_NAME);
    if file.exists() {
        return Ok(());
    }
    std::fs::write(&file, config::template())
        .map_err(|error| CliError::io(format!("write \"{}\"", file.display()), error))
}

/// Computes everything derived again from the log.
pub(crate) fn rebuild(data: &Path) -> Result<(), CliError> {
    let data = existing(data)?;
    let report = rebuild_derived(&open_log(data)?)?;
    delete_projections(&data.join(PROJECTIONS_DIRECTORY)).map_err(SqlError::from)?;
    print(&format!(
        "rebuilt the index from {} log rows with {} events; projections are folded again at the next start",
        report.rows, report.events
    ))
}

/// Checks the log, its index and its snapshots, and then the projections against themselves.
pub(crate) fn verify(data: &Path) -> Result<(), CliError> {
    let data = existing(data)?;
    let store = open_log(data)?;
    let replica = rotabase_raft::is_follower(&store)?.then(ReplicaOptions::alone);
    let log = verify::verify::<Schedule>(&store, PROBLEMS_PRINTED_MAX)?;
    drop(store);
    for problem in &log.first_problems {
        print(problem)?;
    }
    print(&format!(
        "log: {} rows, {} entries, {} events, {} aggregates, {} snapshots, {} problems",
        log.rows, log.entries, log.events, log.aggregates, log.snapshots, log.problems
    ))?;
    if !log.is_sound() {
        return Err(CliError::Unsound(log.problems));
    }
    let rows = runtime::new()?.block_on(verify_projections(data, replica))?;
    for finding in &rows.findings {
        print(finding)?;
    }
    print(&format!("projections: {} rows, {} problems", rows.rows, rows.findings_count))?;
    if rows.is_clean() { Ok(()) } else { Err(CliError::Unsound(rows.findings_count)) }
}

/// Projections are derived: they are opened as at a start, which lets them catch up, and then compared.
async fn verify_projections(
    data: &Path,
    replica: Option<ReplicaOptions>,
) -> Result<projection::Report, CliError> {
    let config = DatabaseConfig { replica, ..DatabaseConfig::new(data) };
    let database = Database::open_with(config).await?;
    let snapshot = database.projections().snapshot();
    let checked = tokio::task::spawn_blocking(move || projection::verify(&snapshot)).await;
    database.close().await;
    Ok(checked.map_err(|error| CliError::Stopped(error.to_string()))?.map_err(SqlError::from)?)
}

fn open_log(data: &Path) -> Result<Arc<LogStore>, CliError> {
    Ok(LogStore::open(&data.join(LOG_DIRECTORY), &LogOptions::default())?)
}

fn existing(data: &Path) -> Result<&Path, CliError> {
    if Db::exists(&data.join(LOG_DIRECTORY)) {
        return Ok(data);
    }
    Err(CliError::Directory(format!("there is no database in \"{}\"", data.display())))
}
