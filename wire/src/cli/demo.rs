//! `rotabase demo`: a server on a directory of its own, with a schedule in which something is wrong.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rotabase_engine::env::Random as _;
use rotabase_queries::error::SqlError;

use super::error::CliError;
use super::serve::{Serving, stop_signal};
use super::start::database_config;
use super::{ServerArguments, demo_schedule, logging, maintain, print, runtime};
use crate::config::Config;
use crate::database::Database;
use crate::env::SystemRandom;
use crate::session::{ExecuteOptions, SessionApi as _};

/// What can be tried, printed below the psql command.
const SUGGESTIONS: &str = "\
Try:
  SELECT * FROM schedule_violations LIMIT 10;
  SELECT name, legs, first_departure, last_arrival FROM rotations ORDER BY name;
  SELECT kind, count(*) FROM schedule_violations GROUP BY kind;
  UPDATE legs SET departure_time = departure_time + interval '30 minutes',
                  arrival_time = arrival_time + interval '30 minutes'
    WHERE id = (SELECT next_leg_id FROM ground_time_violations LIMIT 1);
  SELECT event_type, count(*) FROM events GROUP BY event_type;
Ctrl-C ends the demo and removes its data.";

/// Starts the demo and serves until it is asked to stop.
pub(crate) fn run(arguments: &ServerArguments) -> Result<(), CliError> {
    let random = Arc::new(SystemRandom::new());
    let directory = Directory::new(random.next_u64())?;
    let data = directory.0.as_path();
    let mut config =
        Config::load(data, arguments.config.as_deref(), std::env::vars(), &arguments.settings())?;
    if arguments.log_level.is_none() {
        "warn".clone_into(&mut config.log_level);
    }
    if arguments.listen.is_none() {
        config.listen = free_port(config.listen);
    }
    if arguments.http.is_none() {
        config.http = free_port(config.http);
    }
    logging::start(&config)?;
    maintain::prepare_directory(data)?;
    runtime::new()?.block_on(async {
        let asked_to_stop = stop_signal()?;
        let database = Database::open_with(database_config(data, &config, &random)).await?;
        load(&database).await?;
        let serving = Serving::start(database, &config, data, random).await?;
        print(&serving.invitation())?;
        print(SUGGESTIONS)?;
        serving.run(asked_to_stop).await
    })
}

/// Loads the schedule through a session, as any client would.
async fn load(database: &Database) -> Result<(), SqlError> {
    let mut session = database.session("rotabase")?;
    for statement in demo_schedule::statements() {
        let options = ExecuteOptions { row_limit: 0, ends_transaction: true };
        for prepared in session.parse(&statement)? {
            session.execute(&prepared, Vec::new(), options).await?;
            session.sync().await?;
        }
    }
    session.close().await;
    Ok(())
}

/// The address itself if it is free, else the same with a free port.
fn free_port(address: SocketAddr) -> SocketAddr {
    match std::net::TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    }
}

/// A directory that is removed with everything in it.
struct Directory(PathBuf);

impl Directory {
    fn new(random: u64) -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("rotabase-demo-{random:016x}"));
        std::fs::create_dir(&path).map_err(|error| {
            CliError::io(format!("make directory \"{}\"", path.display()), error)
        })?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
