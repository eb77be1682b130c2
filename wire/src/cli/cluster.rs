//! `rotabase cluster`: asks a node of a cluster, over the port that nodes use among themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use rotabase_engine::position::ShardId;
use rotabase_raft::cluster::{Admin, AdminAnswer, ClusterStatus, ask};
use rotabase_raft::net::Security;
use rotabase_raft::type_config::MachineId;

use super::error::CliError;
use super::{print, runtime};
use crate::cluster::security;
use crate::config::Config;

/// What can be asked of a cluster.
#[derive(Args, Debug)]
pub(crate) struct ClusterArguments {
    /// What to do.
    #[command(subcommand)]
    command: ClusterCommand,
    /// The data directory of a node here, for its settings.
    #[arg(
        long,
        global = true,
        env = "ROTABASE_DATA",
        value_name = "DIRECTORY",
        default_value = "./rotabase-data"
    )]
    data: PathBuf,
    /// A node to ask: where other nodes connect [default: `peer` of the data directory's rotabase.toml].
    #[arg(long, global = true, value_name = "HOST:PORT")]
    peer: Option<String>,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Print the nodes and, for each shard, who leads it, who votes and who learns.
    Status,
    /// Say how to add a node.
    Add,
    /// Let a node go for ever: what it leads is handed over, and its replicas are dropped.
    Remove {
        /// The node's number, as `status` prints it.
        node: u32,
    },
    /// Hand the leadership of a shard over to a node that votes in it.
    TransferLeader {
        /// The shard's number.
        shard: u16,
        /// The node's number.
        node: u32,
    },
    /// Set how many voters each shard has: 1, 3 or 5.
    Voters {
        /// How many.
        voters: u8,
    },
}

/// Carries out what is asked.
pub(crate) fn run(arguments: &ClusterArguments) -> Result<(), CliError> {
    let config = Config::load(&arguments.data, None, std::env::vars(), &[])?;
    let Some(peer) = arguments.peer.clone().or_else(|| config.peer.clone()) else {
        return Err(CliError::Cluster("name a node with --peer HOST:PORT".to_owned()));
    };
    let security = security(&config)?;
    let question = match arguments.command {
        ClusterCommand::Add => return print(&how_to_add(&peer)),
        ClusterCommand::Status => Admin::Status,
        ClusterCommand::Remove { node } => Admin::Remove(MachineId(node)),
        ClusterCommand::TransferLeader { shard, node } => {
            Admin::Transfer(ShardId(shard), MachineId(node))
        }
        ClusterCommand::Voters { voters } => Admin::Voters(voters),
    };
    let answer = runtime::new()?.block_on(put(&peer, security, &question))?;
    match answer {
        AdminAnswer::Status(status) => describe(&status).iter().try_for_each(|line| print(line)),
        AdminAnswer::Done | AdminAnswer::Admitted(_) => print("done"),
    }
}

async fn put(
    peer: &str,
    security: Arc<dyn Security>,
    question: &Admin,
) -> Result<AdminAnswer, CliError> {
    ask(peer, &*security, question)
        .await
        .map_err(|error| CliError::io(format!("ask {peer}"), error))?
        .map_err(CliError::Cluster)
}

fn how_to_add(peer: &str) -> String {
    format!(
        "rotabase start --data DIRECTORY --peer HOST:PORT --join {peer}  # an empty directory, on the new machine"
    )
}

/// What `status` prints.
fn describe(status: &ClusterStatus) -> Vec<String> {
    let mut lines = vec![format!(
        "cluster {}, {} voters wanted, as node {} sees it",
        status.cluster, status.voters, status.machine
    )];
    lines.push(format!("{:>5}  {:<24} {:<13} {:>6}", "node", "address", "state", "leads"));
    for member in &status.members {
        let leads = |leader: &rotabase_raft::type_config::Machine| leader.id == member.machine;
        let led =
            status.shards.iter().filter(|shard| shard.leader.as_ref().is_some_and(leads)).count();
        let state = if member.connected { "connected" } else { "not reached" };
        lines.push(format!("{:>5}  {:<24} {state:<13} {led:>6}", member.machine, member.address));
    }
    let list = |machines: &[MachineId]| {
        machines.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let header = ("shard", "leader", "term", "last", "voters", "learners");
    let (shard, leader, term, last, voters, learners) = header;
    lines.push(format!("{shard:>5}  {leader:>6} {term:>6} {last:>10}  {voters:<10} {learners}"));
    for shard in &status.shards {
        let leader = shard.leader.as_ref().map_or("-".to_owned(), |it| it.id.to_string());
        let (voters, learners) = (list(&shard.voters), list(&shard.learners));
        let (number, term, last) = (shard.shard.0, shard.term, shard.last_index.0);
        lines.push(
            format!("{number:>5}  {leader:>6} {term:>6} {last:>10}  {voters:<10} {learners}")
                .trim_end()
                .to_owned(),
        );
    }
    lines
}

/// Whether a directory needs `--peer` to be started.
pub(crate) fn needs_peer(data: &Path, config: &Config) -> bool {
    crate::cluster::is_member(data) && config.peer.is_none()
}
