//! When tasks go on: the order of everything in a simulation.
//!
//! All tasks run on one thread, on tokio's paused clock. But tokio wakes those who wait for the same thing in an order that
//! is not the seed's. So a task that is woken only says that it is ready; when all have, those that may go on do, in the
//! order in which they were started. Time goes on when nobody is ready.
//!
//! Each task belongs to a life of a machine, or to the outside. A machine that is paused has tasks that are ready and do
//! not go on; one whose life has ended has tasks that never do again, as if its process had been killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use rotabase_raft::runtime::{self, Conductor, Turn};
use rotabase_raft::type_config::MachineId;
use tokio::time::Instant;

/// One run of a machine's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Life {
    pub(crate) machine: MachineId,
    number: u64,
}

/// Who says when tasks go on.
#[derive(Default)]
pub(crate) struct Stage {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The life of the task that goes on now.
    current: Option<Life>,
    next_task: u64,
    tasks: BTreeMap<u64, Task>,
    ready: BTreeSet<u64>,
    lives: BTreeMap<MachineId, u64>,
    alive: BTreeSet<Life>,
    paused: BTreeSet<MachineId>,
    waker: Option<Waker>,
    opened: Option<Instant>,
    trace: DefaultHasher,
    steps: u64,
    /// What has happened, for those who look at one history.
    notes: Option<Vec<String>>,
}

struct Task {
    life: Option<Life>,
    waker: Option<Waker>,
    may_go_on: bool,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

impl Stage {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the stage")
    }

    /// Makes this stage the one of this thread, and lets tasks go on from now on.
    pub(crate) fn open(self: &Arc<Self>) {
        self.state().opened = Some(Instant::now());
        runtime::conduct(Some(Arc::new(Baton(Arc::clone(self)))));
        let stage = Arc::clone(self);
        tokio::spawn(std::future::poll_fn(move |context| {
            stage.release(context);
            Poll::<()>::Pending
        }));
    }

    fn release(&self, context: &Context<'_>) {
        let mut released = Vec::new();
        {
            let mut state = self.state();
            let state = &mut *state;
            state.opened.map(|opened| opened.elapsed()).hash(&mut state.trace);
            state.waker = Some(context.waker().clone());
            let may = |task: &u64| {
                let life = state.tasks.get(task).and_then(|task| task.life);
                life.is_none_or(|life| {
                    state.alive.contains(&life) && !state.paused.contains(&life.machine)
                })
            };
            let (ready, kept): (BTreeSet<u64>, BTreeSet<u64>) =
                std::mem::take(&mut state.ready).into_iter().partition(may);
            state.ready = kept;
            for id in ready {
                let Some(task) = state.tasks.get_mut(&id) else { continue };
                task.may_go_on = true;
                released.extend(task.waker.take());
                state.steps += 1;
                id.hash(&mut state.trace);
            }
        }
        released.into_iter().for_each(Waker::wake);
    }

    /// The time since the stage was opened.
    pub(crate) fn elapsed(&self) -> Duration {
        self.state().opened.map_or(Duration::ZERO, |opened| opened.elapsed())
    }

    /// Keeps what is noted from now on.
    pub(crate) fn keep_notes(&self) {
        self.state().notes = Some(Vec::new());
    }

    /// Notes something in the trace.
    pub(crate) fn note(&self, what: impl Into<String>) {
        let (at, what) = (self.elapsed(), what.into());
        let mut state = self.state();
        what.hash(&mut state.trace);
        if let Some(notes) = &mut state.notes {
            notes.push(format!("{:.3} {what}", at.as_secs_f64()));
        }
    }

    /// What was kept.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        self.state().notes.take().unwrap_or_default()
    }

    /// What has happened, as a number, and in how many steps.
    pub(crate) fn trace(&self) -> (u64, u64) {
        let state = self.state();
        (state.trace.clone().finish(), state.steps)
    }

    /// A machine begins a new life.
    pub(crate) fn begin_life(&self, machine: MachineId) -> Life {
        let mut state = self.state();
        let number = state.lives.entry(machine).or_default();
        *number += 1;
        let life = Life { machine, number: *number };
        state.alive.insert(life);
        life
    }

    /// Nothing of a life happens any more.
    pub(crate) fn end_life(&self, life: Life) {
        let mut state = self.state();
        state.alive.remove(&life);
        state.paused.remove(&life.machine);
    }

    pub(crate) fn is_alive(&self, life: Life) -> bool {
        self.state().alive.contains(&life)
    }

    pub(crate) fn pause(&self, machine: MachineId) {
        self.state().paused.insert(machine);
    }

    pub(crate) fn resume(&self, machine: MachineId) {
        let mut state = self.state();
        state.paused.remove(&machine);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Starts a task of a life, or of the outside.
    pub(crate) fn start(&self, life: Option<Life>, task: BoxFuture<'static, ()>) {
        let before = std::mem::replace(&mut self.state().current, life);
        runtime::spawn(task);
        self.state().current = before;
    }

    /// Starts a task of a machine's life as it is now; if it has none, nothing happens.
    pub(crate) fn start_on(&self, machine: MachineId, task: BoxFuture<'static, ()>) {
        let life = {
            let state = self.state();
            let number = state.lives.get(&machine).copied().unwrap_or_default();
            Some(Life { machine, number }).filter(|life| state.alive.contains(life))
        };
        if life.is_some() {
            self.start(life, task);
        }
    }
}

#[derive(Debug)]
struct Baton(Arc<Stage>);

impl Conductor for Baton {
    fn start(&self) -> Box<dyn Turn> {
        let mut state = self.0.state();
        let id = state.next_task;
        state.next_task += 1;
        let life = state.current;
        state.tasks.insert(id, Task { life, waker: None, may_go_on: false });
        drop(state);
        Box::new(TaskTurn { stage: Arc::clone(&self.0), id, before: None })
    }
}

struct TaskTurn {
    stage: Arc<Stage>,
    id: u64,
    before: Option<Life>,
}

impl Turn for TaskTurn {
    fn enter(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.stage.state();
        let task = state.tasks.get_mut(&self.id).expect("it is there until it is dropped");
        if std::mem::replace(&mut task.may_go_on, false) {
            let life = task.life;
            self.before = std::mem::replace(&mut state.current, life);
            return Poll::Ready(());
        }
        task.waker = Some(context.waker().clone());
        state.ready.insert(self.id);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Pending
    }

    fn leave(&mut self) {
        let before = self.before.take();
        self.stage.state().current = before;
    }
}

impl Drop for TaskTurn {
    fn drop(&mut self) {
        // Within a panic of a task that held the stage there is nothing to tidy up.
        if let Ok(mut state) = self.stage.state.lock() {
            state.tasks.remove(&self.id);
            state.ready.remove(&self.id);
        }
    }
}
