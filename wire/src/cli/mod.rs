//! The command line: what can be asked of the program, and who carries it out.
//!
//! Arguments are taken as they are here and resolved into a [`Config`](crate::config::Config) by the commands.

mod cluster;
mod demo;
mod demo_schedule;
mod error;
mod health;
mod logging;
mod maintain;
mod numbers;
mod runtime;
mod serve;
mod start;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

pub use error::CliError;
use rotabase_raft::net::Security;

use crate::replica::ReplicaOptions;

/// Rotabase: a flight schedule database that speaks the PostgreSQL protocol.
#[derive(Debug, Parser)]
#[command(name = "rotabase", version, about, max_term_width = 100)]
#[command(
    after_help = "Start with `rotabase demo`, or `rotabase start` and the psql command that it prints."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new, empty database in a directory.
    Init(InitArguments),
    /// Start the server; a directory that is not there is made.
    Start(StartArguments),
    /// Start a throw-away server with a schedule to look at; it leaves nothing behind.
    Demo(DemoArguments),
    /// Compute everything that is derived from the log again: index, snapshots, projections.
    ///
    /// The server must not be running. The log itself is only read.
    Rebuild(DataArguments),
    /// Check every stored record: checksums, versions, index; report what is wrong and change nothing.
    ///
    /// The server must not be running. The exit status is 1 if anything is wrong.
    Verify(DataArguments),
    /// Look at a cluster, or change who is in it.
    Cluster(cluster::ClusterArguments),
    /// Print the version.
    Version,
}

/// Where the data is.
#[derive(Args, Clone, Debug)]
struct DataArguments {
    /// The data directory.
    #[arg(
        long,
        env = "ROTABASE_DATA",
        value_name = "DIRECTORY",
        default_value = "./rotabase-data"
    )]
    data: PathBuf,
}

#[derive(Args, Debug)]
struct InitArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The number of shards; fixed for the life of the database. For a cluster of several nodes, 16.
    #[arg(long, value_name = "N", default_value_t = crate::database::SHARDS_OF_ONE_NODE,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(rotabase_engine::position::SHARDS_MAX)))]
    shards: u16,
}

/// How a server is started.
#[derive(Args, Debug)]
struct StartArguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    server: ServerArguments,
    /// Where other nodes connect; with it, the node is one of a cluster.
    #[arg(long, value_name = "HOST:PORT")]
    peer: Option<String>,
    /// A node of the cluster to join, with an empty data directory: where other nodes connect to it.
    #[arg(long, value_name = "HOST:PORT")]
    join: Option<String>,
    #[command(flatten)]
    replica: ReplicaArguments,
}

/// What a read replica is told.
#[derive(Args, Debug, Default)]
struct ReplicaArguments {
    /// Follow one of these nodes as a read replica: their PostgreSQL ports.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    replica_of: Vec<String>,
    /// The role that a replica connects as; a superuser on the nodes it follows.
    #[arg(long, env = "ROTABASE_REPLICA_USER", value_name = "ROLE",
          default_value = crate::roles::BOOTSTRAP_ROLE)]
    replica_user: String,
    /// Its password. Best given in the environment.
    #[arg(
        long,
        env = "ROTABASE_REPLICA_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    replica_password: Option<String>,
}

impl ReplicaArguments {
    /// What to follow; none for a node that takes writes.
    fn options(&self, security: Arc<dyn Security>) -> Option<ReplicaOptions> {
        let named = |node: &&String| !node.trim().is_empty();
        let nodes: Vec<String> =
            self.replica_of.iter().filter(named).map(|node| node.trim().to_owned()).collect();
        (!nodes.is_empty()).then(|| ReplicaOptions {
            nodes,
            user: self.replica_user.clone(),
            password: self.replica_password.clone(),
            security,
        })
    }
}

#[derive(Args, Debug)]
struct DemoArguments {
    #[command(flatten)]
    server: ServerArguments,
}

/// Settings that have a flag of their own, and the way to the others.
#[derive(Args, Debug, Default)]
struct ServerArguments {
    /// The configuration file [default: rotabase.toml in the data directory].
    #[arg(long, env = "ROTABASE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where PostgreSQL clients connect; port 0 picks a free one [default: 127.0.0.1:7432].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Where metrics and health are served; port 0 picks a free one [default: 127.0.0.1:7480].
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<SocketAddr>,
    /// How much is logged: error, warn, info, debug, trace, or a filter [default: info].
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look: text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any setting of rotabase.toml; may be given several times.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_assignment)]
    settings: Vec<(String, String)>,
}

impl ServerArguments {
    /// The settings given, by name.
    fn settings(&self) -> Vec<(String, String)> {
        let mut settings = self.settings.clone();
        let mut flag = |name: &str, value: Option<String>| {
            settings.extend(value.map(|value| (name.to_owned(), value)));
        };
        flag("listen", self.listen.map(|address| address.to_string()));
        flag("http", self.http.map(|address| address.to_string()));
        flag("log_level", self.log_level.clone());
        flag("log_format", self.log_format.clone());
        settings
    }
}

fn parse_assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has to be NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Carries out what the arguments ask for.
pub fn run(arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        Command::Init(arguments) => maintain::init(&arguments.data.data, arguments.shards),
        Command::Start(arguments) => start::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments.server),
        Command::Rebuild(arguments) => maintain::rebuild(&arguments.data),
        Command::Cluster(arguments) => cluster::run(&arguments),
        Command::Verify(arguments) => maintain::verify(&arguments.data),
        Command::Version => print(concat!("rotabase ", env!("CARGO_PKG_VERSION"))),
    }
}

/// Prints a line for whoever started the program, at once.
fn print(line: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| CliError::io("print", error))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let line = [
            "rotabase",
            "start",
            "--listen",
            "127.0.0.1:0",
            "--set",
            "connections_max=5",
            "--log-level",
            "warn",
        ];
        let Command::Start(start) = Arguments::parse_from(line).command else { panic!("start") };
        let expected = [("connections_max", "5"), ("listen", "127.0.0.1:0"), ("log_level", "warn")];
        assert_eq!(
            start.server.settings(),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
