//! Who follows the feed from elsewhere: read replicas, which copy rows, and subscribers, who are shown events. Both go on
//! at another machine when theirs is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::log::LogRow;
use rotabase_engine::position::{Position, Positions, ShardId};
use rotabase_raft::simulated::Weather as _;
use rotabase_raft::type_config::MachineId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::clients::Company;
use super::dice::Dice;
use super::history::{Happened, happened};
use super::machine::{Machine, Process, Role};
use super::weather::Climate;

/// How often a source says that it is there.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// How long nothing may come until another source is looked for.
const PATIENCE: Duration = Duration::from_millis(700);

/// What a source sends.
enum Message {
    Rows(ShardId, Vec<LogRow>),
    Entries(Vec<CommittedEntry>),
    Heartbeat,
}

type Arriving = mpsc::Receiver<(Instant, Message)>;

/// Has a source send what comes after some positions.
fn follow(
    company: &Company,
    climate: &Arc<Climate>,
    source: &Process,
    to: MachineId,
    positions: &Positions,
    rows: bool,
) -> Arriving {
    let (sender, arriving) = mpsc::channel(8);
    let (climate, process, positions) = (Arc::clone(climate), source.clone(), positions.clone());
    let task = async move {
        let mut entries = process.node.subscribe(&positions);
        let mut logs = process.node.subscribe_rows(&positions);
        let mut last = Instant::now();
        loop {
            let message = if rows {
                match logs.read().await {
                    Ok((shard, rows)) if !rows.is_empty() => Message::Rows(shard, rows),
                    Ok(_) => {
                        let _ = tokio::time::timeout(HEARTBEAT, logs.changed()).await;
                        Message::Heartbeat
                    }
                    Err(_) => return,
                }
            } else {
                match entries.read().await {
                    Ok(entries) if !entries.is_empty() => Message::Entries(entries),
                    Ok(_) => {
                        let _ = tokio::time::timeout(HEARTBEAT, entries.changed()).await;
                        Message::Heartbeat
                    }
                    Err(_) => return,
                }
            };
            // What is lost breaks the connection.
            let fate = climate.fate(process.life.machine, to);
            let Some(delay) = fate.first() else { return };
            last = last.max(Instant::now() + *delay);
            if sender.send((last, message)).await.is_err() {
                return;
            }
        }
    };
    company.stage.start(Some(source.life), task.boxed());
    arriving
}

async fn next(arriving: &mut Arriving) -> Option<Message> {
    let (at, message) = tokio::time::timeout(PATIENCE, arriving.recv()).await.ok()??;
    tokio::time::sleep_until(at).await;
    Some(message)
}

/// Keeps a replica's process fed for as long as it lives.
pub(crate) async fn feed_replica(
    company: Arc<Company>,
    climate: Arc<Climate>,
    machine: Arc<Machine>,
    dice: Dice,
) {
    loop {
        tokio::time::sleep(dice.milliseconds(5, 60)).await;
        let Some(process) = machine.process() else { continue };
        let mut sources = company.processes(Role::Member);
        let replicas = company.processes(Role::Replica);
        // Those before it may be followed, so that nobody follows itself.
        sources.extend(replicas.into_iter().filter(|it| it.life.machine < machine.id));
        if sources.is_empty() {
            continue;
        }
        let source = dice.pick(&sources);
        let newest = process.node.resume();
        let mut arriving = follow(&company, &climate, source, machine.id, &newest, true);
        let messages = dice.below(400);
        let copying = async move {
            for _ in 0..messages {
                match next(&mut arriving).await {
                    Some(Message::Rows(shard, rows)) => {
                        if process.node.append(shard, rows).await.is_err() {
                            return;
                        }
                    }
                    Some(Message::Heartbeat | Message::Entries(_)) => {}
                    None => return,
                }
            }
        };
        // On the replica, and no longer than it lives.
        let Some(process) = machine.process() else { continue };
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let task = async move {
            copying.await;
            drop(ended);
        };
        company.stage.start(Some(process.life), task.boxed());
        let mut end = std::pin::pin!(end);
        while company.stage.is_alive(process.life) {
            if tokio::time::timeout(HEARTBEAT, &mut end).await.is_ok() {
                break;
            }
        }
    }
}

/// What a subscriber was shown.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    state: Mutex<BTreeMap<ShardId, Vec<Happened>>>,
}

impl Shown {
    /// Up to where it was shown everything.
    pub(crate) fn positions(&self) -> Positions {
        let state = self.state.lock().expect("nothing panics while it holds what was shown");
        let mut positions = Positions::default();
        for (shard, events) in &*state {
            if let Some(last) = events.last() {
                positions.advance(*shard, last.position);
            }
        }
        positions
    }

    /// Takes events; those that were shown before are recognised by their positions.
    fn take(&self, events: Vec<Happened>) {
        let mut state = self.state.lock().expect("nothing panics while it holds what was shown");
        for event in events {
            let shown = state.entry(event.shard).or_default();
            if shown.last().is_none_or(|last| last.position < event.position) {
                shown.push(event);
            }
        }
    }

    /// What of the events of a shard was not shown, or shown though it is none of them, up to the newest that was.
    pub(crate) fn compare(&self, shard: ShardId, events: &[Happened]) -> Option<String> {
        let state = self.state.lock().expect("nothing panics while it holds what was shown");
        let shown = state.get(&shard).map_or(&[][..], Vec::as_slice);
        let newest = shown.last().map_or(Position::START, |event| event.position);
        let expected = events.iter().filter(|it| it.shard == shard && it.position <= newest);
        let mut expected: Vec<&Happened> = expected.collect();
        expected.sort_by_key(|event| event.position);
        let differs = shown.iter().zip(&expected).find(|(shown, expected)| *shown != **expected);
        match differs {
            Some((shown, expected)) => {
                Some(format!("a subscriber was shown {shown:?} in place of {expected:?}"))
            }
            None if shown.len() != expected.len() => Some(format!(
                "a subscriber was shown {} of {} events of shard {shard}",
                shown.len(),
                expected.len()
            )),
            None => None,
        }
    }
}

/// Follows the feed, here and there, until everybody stops.
pub(crate) async fn subscriber(
    company: Arc<Company>,
    climate: Arc<Climate>,
    shown: Arc<Shown>,
    dice: Dice,
) {
    while !company.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(dice.milliseconds(5, 60)).await;
        let mut sources = company.processes(Role::Member);
        sources.extend(company.processes(Role::Replica));
        if sources.is_empty() {
            continue;
        }
        let source = dice.pick(&sources);
        let positions = shown.positions();
        let client = MachineId(u32::MAX);
        let mut arriving = follow(&company, &climate, source, client, &positions, false);
        for _ in 0..dice.below(60) {
            match next(&mut arriving).await {
                Some(Message::Entries(entries)) => {
                    let mut events = happened(&entries);
                    if dice.chance(50) {
                        // It goes away in the middle.
                        events.truncate(dice.index(events.len()));
                        shown.take(events);
                        break;
                    }
                    shown.take(events);
                }
                Some(Message::Heartbeat | Message::Rows(..)) => {}
                None => break,
            }
        }
    }
}
