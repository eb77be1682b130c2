//! `rotabase cluster`: asks a node of a cluster, over the port that nodes use among themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    /// Move all votes and leaderships off a node, so that it can be stopped or removed.
    Drain {
        /// The node's number.
        node: u32,
        /// Return at once, while shards still move.
        #[arg(long)]
        no_wait: bool,
    },
    /// Have a node that was drained vote again.
    Undrain {
        /// The node's number.
        node: u32,
        /// Return at once, while shards still move.
        #[arg(long)]
        no_wait: bool,
    },
    /// Have a node vote in a shard in the place of another.
    MoveShard {
        /// The shard's number.
        shard: u16,
        /// The node that votes there.
        from: u32,
        /// The node that is to.
        to: u32,
        /// Return at once, while the shard still moves.
        #[arg(long)]
        no_wait: bool,
    },
}

/// How often it is looked whether shards have moved.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How long shards may take to move until somebody should have a look.
const MOVE_TIMEOUT: Duration = Duration::from_mins(10);

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
        ClusterCommand::Drain { node, .. } => Admin::Drain(MachineId(node)),
        ClusterCommand::Undrain { node, .. } => Admin::Restore(MachineId(node)),
        ClusterCommand::MoveShard { shard, from, to, .. } => {
            Admin::Move { shard: ShardId(shard), from: MachineId(from), to: MachineId(to) }
        }
    };
    let waits = match arguments.command {
        ClusterCommand::Drain { no_wait, .. }
        | ClusterCommand::Undrain { no_wait, .. }
        | ClusterCommand::MoveShard { no_wait, .. } => !no_wait,
        _ => false,
    };
    let answer = runtime::new()?.block_on(async {
        let answer = put(&peer, Arc::clone(&security), &question).await?;
        if waits {
            wait_until_settled(&peer, &security).await?;
        }
        Ok::<_, CliError>(answer)
    })?;
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

/// Waits until votes and leaderships are where they are to be.
async fn wait_until_settled(peer: &str, security: &Arc<dyn Security>) -> Result<(), CliError> {
    let settled = async {
        loop {
            match put(peer, Arc::clone(security), &Admin::Status).await? {
                AdminAnswer::Status(status) if status.is_settled() => return Ok(()),
                _ => tokio::time::sleep(LOOK_INTERVAL).await,
            }
        }
    };
    let late = || "it is taken on, but shards still move: see `rotabase cluster status`".to_owned();
    tokio::time::timeout(MOVE_TIMEOUT, settled)
        .await
        .unwrap_or_else(|_| Err(CliError::Cluster(late())))
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
    if status.removed {
        lines.push(format!("node {} was removed from the cluster", status.machine));
    }
    let header = ("node", "address", "state", "leads", "votes");
    let (node, address, state, leads, votes) = header;
    lines.push(format!("{node:>5}  {address:<24} {state:<13} {leads:>6} {votes:>6}"));
    for member in &status.members {
        let leads = |leader: &rotabase_raft::type_config::Machine| leader.id == member.machine;
        let led =
            status.shards.iter().filter(|shard| shard.leader.as_ref().is_some_and(leads)).count();
        let votes = status.shards.iter().filter(|it| it.voters.contains(&member.machine)).count();
        let state = match (member.connected, member.draining) {
            (false, _) => "not reached",
            (true, true) => "draining",
            (true, false) => "connected",
        };
        let (node, address) = (member.machine, &member.address);
        lines.push(format!("{node:>5}  {address:<24} {state:<13} {led:>6} {votes:>6}"));
    }
    let list = |machines: &Vec<MachineId>| {
        machines.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let header = ("shard", "leader", "term", "last", "voters", "learners");
    let (shard, leader, term, last, voters, learners) = header;
    lines.push(format!("{shard:>5}  {leader:>6} {term:>6} {last:>10}  {voters:<10} {learners}"));
    for shard in &status.shards {
        let leader = shard.leader.as_ref().map_or("-".to_owned(), |it| it.id.to_string());
        let (voters, learners) = (list(&shard.voters), list(&shard.learners));
        let (number, term, last) = (shard.shard.0, shard.term, shard.last_index.0);
        let placed = status.placement.of(shard.shard).map(|it| it.iter().copied().collect());
        let moving = match placed {
            Some(placed) if list(&placed) != voters => format!("  (to be {})", list(&placed)),
            _ => String::new(),
        };
        lines.push(
            format!(
                "{number:>5}  {leader:>6} {term:>6} {last:>10}  {voters:<10} {learners}{moving}"
            )
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
