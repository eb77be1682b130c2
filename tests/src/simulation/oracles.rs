//! What must be true when nothing goes wrong any more: machines agree with each other, and each with itself.

use std::path::Path;
use std::sync::Arc;

use rotabase_engine::db::{DbOptions, MemoryDisk};
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::schedule::Schedule;
use rotabase_engine::verify::verify as verify_log;
use rotabase_queries::projection::{ProjectionOptions, Projections, Retention, verify};
use rotabase_raft::cluster::control::ClusterState;
use rotabase_raft::type_config::MachineId;

use super::clients::Company;
use super::following::Shown;
use super::history::happened;
use super::machine::{Machine, Process, Role, SHARDS};

/// What keeps machines from agreeing, if anything does. A damaged machine need not agree: it may be unable to serve.
pub(crate) fn apart(company: &Company, damaged: Option<MachineId>) -> Option<String> {
    let machines = company.machines();
    let sound = |machine: &&Arc<Machine>| damaged != Some(machine.id);
    let mut newest: Option<Vec<LogIndex>> = None;
    let mut state: Option<Arc<ClusterState>> = None;
    for machine in machines.iter().filter(sound) {
        let id = machine.id;
        let Some(process) = machine.process() else { return Some(format!("machine {id} is down")) };
        let status = process.node.status();
        let applied: Vec<LogIndex> = status.iter().map(|status| status.applied).collect();
        if newest.get_or_insert_with(|| applied.clone()) != &applied {
            let written = process.node.newest();
            return Some(format!(
                "machine {id} has {written:?} and has applied {applied:?}, another {newest:?}"
            ));
        }
        if machine.role == Role::Member
            && let Some(status) =
                status.iter().find(|it| it.leader.is_none() || it.last_index != it.applied)
        {
            return Some(format!("machine {id}: {status:?}"));
        }
        if let Some(cluster) = &process.cluster {
            let known = cluster.state();
            if *state.get_or_insert_with(|| Arc::clone(&known)) != known {
                let system = cluster.status().system;
                return Some(format!(
                    "machine {id} knows another cluster: {known:?}, not {state:?}; {system:?}"
                ));
            }
            if damaged.is_none() && !cluster.status().is_settled() {
                return Some(format!("machine {id} is not settled: {:?}", cluster.status()));
            }
        }
        if let Some(unfinished) = process.node.unfinished().first() {
            return Some(format!("machine {id} holds {unfinished}"));
        }
        if !process.projections.reached(&process.node.applied()) {
            return Some(format!("the projections of machine {id} are behind"));
        }
    }
    let members = machines.iter().filter(|machine| machine.role == Role::Member);
    let members: Vec<MachineId> = members.map(|machine| machine.id).collect();
    let known: Vec<MachineId> = state?.members.keys().copied().collect();
    (members != known).then(|| format!("there are {members:?}, and members are {known:?}"))
}

/// Keys and values of projections, as they are stored.
type StoredRows = Vec<(Vec<u8>, Vec<u8>)>;

/// Compares everything with everything.
pub(crate) fn check(company: &Company, shown: &[Arc<Shown>], damaged: Option<MachineId>) {
    let history = &company.history;
    let mut first: Option<(MachineId, Vec<CommittedEntry>, StoredRows)> = None;
    let mut system: Option<Vec<CommittedEntry>> = None;
    let machines = company.machines();
    for machine in machines.iter().filter(|machine| damaged != Some(machine.id)) {
        let (id, Some(process)) = (machine.id, machine.process()) else { continue };
        let entries = match entries(&*process.node.feed()) {
            Ok(entries) => entries,
            Err(error) => {
                history.wrong(format!("machine {id} cannot read its log: {error}"));
                continue;
            }
        };
        if let Some(cluster) = &process.cluster {
            match self::entries(&*cluster.feed()) {
                Ok(told) if *system.get_or_insert_with(|| told.clone()) == told => {}
                Ok(_) => history.wrong(format!("machine {id} tells other events of the cluster")),
                Err(error) => history.wrong(format!("machine {id} cannot read them: {error}")),
            }
        }
        let rows = rows(&machine.disk);
        match &first {
            None => first = Some((id, entries, rows)),
            Some((other, expected, expected_rows)) => {
                if *expected != entries {
                    history.wrong(format!("machines {id} and {other} tell different events"));
                }
                if *expected_rows != rows {
                    let differs = difference(expected_rows, &rows);
                    history
                        .wrong(format!("machines {id} and {other} show different rows: {differs}"));
                }
            }
        }
        check_alone(company, &process);
    }
    let Some((id, entries, rows)) = first else { return };
    for machine in machines.iter().filter(|machine| damaged == Some(machine.id)) {
        check_damaged(company, machine, &entries);
    }
    let events = happened(&entries);
    history.check(&events);
    for shown in shown {
        for shard in (0..SHARDS).map(ShardId) {
            if let Some(differs) = shown.compare(shard, &events) {
                history.wrong(differs);
            }
        }
    }
    let source = machines.iter().find(|machine| machine.id == id);
    if let Some(process) = source.and_then(|machine| machine.process()) {
        match fold_anew(process.node.feed()) {
            Ok(folded) if folded == rows => {}
            Ok(folded) => {
                let differs = difference(&folded, &rows);
                history.wrong(format!("the rows are not the fold of the log: {differs}"));
            }
            Err(error) => history.wrong(format!("the log cannot be folded: {error}")),
        }
    }
}

/// What one machine has must be right in itself.
fn check_alone(company: &Company, process: &Process) {
    let (history, id) = (&company.history, process.life.machine);
    match verify(&process.projections.snapshot()) {
        Ok(report) if report.is_clean() => {}
        Ok(report) => {
            history.wrong(format!("the projections of machine {id}: {:?}", report.findings));
        }
        Err(error) => history.wrong(format!("the projections of machine {id}: {error}")),
    }
    process.store.writer().shutdown();
    match verify_log::<Schedule>(process.store.log_store(), 5) {
        Ok(report) if report.is_sound() => {}
        Ok(report) => {
            history.wrong(format!("the log of machine {id}: {:?}", report.first_problems));
        }
        Err(error) => history.wrong(format!("the log of machine {id}: {error}")),
    }
}

/// What a damaged machine tells is true all the same, and it sees its damage when it is told to look.
fn check_damaged(company: &Company, machine: &Machine, entries: &[CommittedEntry]) {
    let (history, id) = (&company.history, machine.id);
    // One that does not even start has seen it.
    let Some(process) = machine.process() else { return };
    let feed = process.node.feed();
    for shard in (0..SHARDS).map(ShardId) {
        let (mut after, mut told) = (LogIndex(0), Vec::new());
        while after < feed.committed(shard) {
            let Ok(looked_at) = feed.read(shard, after, &mut told) else { break };
            after = looked_at;
        }
        if let Some(entry) = told.iter().find(|entry| !entries.contains(entry)) {
            history.wrong(format!("the damaged machine {id} tells what did not happen: {entry:?}"));
        }
    }
    if !machine.is_damaged() {
        return;
    }
    process.store.writer().shutdown();
    if verify_log::<Schedule>(process.store.log_store(), 5).is_ok_and(|report| report.is_sound()) {
        history.wrong(format!("the log of machine {id} is damaged, and nobody sees it"));
    }
}

fn entries(feed: &dyn Feed) -> Result<Vec<CommittedEntry>, String> {
    let mut entries = Vec::new();
    for shard in (0..feed.shards()).map(ShardId) {
        let mut after = LogIndex(0);
        while after < feed.committed(shard) {
            after = feed.read(shard, after, &mut entries).map_err(|error| error.to_string())?;
        }
    }
    Ok(entries)
}

/// The rows of a machine's projections.
fn rows(disk: &MemoryDisk) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = disk.rows("projections/3.1", "rows");
    rows.into_iter().map(|(key, value)| (key, value.to_vec())).collect()
}

fn difference(one: &[(Vec<u8>, Vec<u8>)], other: &[(Vec<u8>, Vec<u8>)]) -> String {
    let missing = |of: &[(Vec<u8>, Vec<u8>)], from: &[(Vec<u8>, Vec<u8>)]| {
        let missing = of.iter().filter(|row| !from.contains(row));
        missing.take(3).map(|row| format!("{row:02x?}")).collect::<Vec<_>>()
    };
    format!(
        "{} and {} rows, {:?} and {:?}",
        one.len(),
        other.len(),
        missing(one, other),
        missing(other, one)
    )
}

/// The rows that the whole feed is folded to by somebody who begins now.
fn fold_anew(feed: Arc<dyn Feed>) -> Result<StoredRows, String> {
    let disk = MemoryDisk::new();
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let options = ProjectionOptions {
        db: DbOptions { memory: Some(Arc::clone(&disk)), ..DbOptions::default() },
        retention: Retention { microseconds: None, after: Timestamp(0) },
        ..ProjectionOptions::default()
    };
    let root: &Path = &home.path().join("projections");
    let mut stepped =
        Projections::stepped(root, feed, options).map_err(|error| error.to_string())?;
    while stepped.step().map_err(|error| error.to_string())? {}
    Ok(rows(&disk))
}
