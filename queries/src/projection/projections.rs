//! The projections of one machine: their store, the thread that keeps it up with the feed, and who waits for it.
//!
//! A set of projections is a directory `<version>.<generation>`. On opening, the newest generation of this
//! program's version serves; it is *complete* once it has caught up with the feed for the first time. Rows of
//! another version stay until ours are complete, and are then removed. [`Projections::rebuild`] folds a new
//! generation beside the one that serves, and swaps them when the new one has come as far.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rotabase_engine::db::{DbOptions, StoreError};
use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::planted::{self, Bug};
use rotabase_engine::position::{LogIndex, Positions, ShardId};

use super::appeared::{ViolationListener, tell};
use super::count::Count;
use super::follower::{Folded, Follower};
use super::history::Retention;
use super::pace::Pace;
use super::past::{self, PAST_BYTES_DEFAULT, Past, PastError};
use super::relations::{Estimates, relations};
use super::rows::Result;
use super::snapshot::Snapshot;
use super::store::{PROJECTION_VERSION, Store, directories, directory};
use super::waiters::{Ready, TooManyWaiters, WaitGuard, Waiters};
use crate::relation::Relation;

/// How long the thread sleeps at most before it looks whether it shall stop.
const IDLE_WAIT: Duration = Duration::from_millis(100);

/// What is told of a failure.
pub type OnFailure = Box<dyn Fn(&StoreError) + Send + Sync>;

/// How projections are opened.
pub struct ProjectionOptions {
    /// The memory of the store.
    pub db: DbOptions,
    /// For how long an instant can be shown without a replay.
    pub retention: Retention,
    /// The bytes on disk that past instants may take together.
    pub past_bytes_max: u64,
    /// Called once if the projections fail and stay where they are.
    pub on_failure: Option<OnFailure>,
    /// Who is told of violations that appear.
    pub violations: Option<Arc<dyn ViolationListener>>,
}

impl Default for ProjectionOptions {
    fn default() -> Self {
        Self {
            db: DbOptions::default(),
            retention: Retention::default(),
            past_bytes_max: PAST_BYTES_DEFAULT,
            on_failure: None,
            violations: None,
        }
    }
}

impl fmt::Debug for ProjectionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionOptions").field("db", &self.db).finish_non_exhaustive()
    }
}

/// How far the projections are.
#[derive(Clone, Debug)]
pub struct ProjectionStatus {
    /// The version of the rows.
    pub version: u32,
    /// How far the feed was folded.
    pub positions: Positions,
    /// By shard: how far it was folded, and how far it is committed.
    pub shards: Vec<(ShardId, LogIndex, LogIndex)>,
    /// Whether they have caught up once, and so may be served.
    pub complete: bool,
    /// The transactions that wait for entries; what is served holds nothing of them.
    pub open_transactions: usize,
    /// The shards that entries of them are missing of, each with the number of transactions that wait for it.
    pub awaited: Vec<(ShardId, u32)>,
    /// What was folded since they were opened; rates follow from it.
    pub folded: Folded,
    /// The bytes they take on disk.
    pub bytes: u64,
    /// The bytes that columns of them take in memory.
    pub columns_bytes: u64,
    /// Whether another generation is being built.
    pub rebuilding: bool,
    /// Why they stay where they are, if they do.
    pub failure: Option<StoreError>,
}

impl ProjectionStatus {
    /// The log entries that are committed and not folded yet.
    pub fn lag_entries(&self) -> u64 {
        self.shards.iter().map(|(_, folded, committed)| committed.0.saturating_sub(folded.0)).sum()
    }
}

/// The projections of one machine.
#[derive(Debug)]
pub struct Projections {
    shared: Arc<Shared>,
    relations: Vec<Arc<dyn Relation>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Projections without a thread.
#[derive(Debug)]
pub struct Stepped {
    /// What is read.
    pub projections: Arc<Projections>,
    follower: Follower,
}

impl Stepped {
    /// Folds what the feed has now, or as much of it as one batch takes; whether there was anything.
    pub fn step(&mut self) -> Result<bool> {
        self.projections.shared.step(&mut self.follower)
    }
}

/// What the handle and the threads share.
struct Shared {
    root: PathBuf,
    options: ProjectionOptions,
    feed: Arc<dyn Feed>,
    current: RwLock<Current>,
    past: Past,
    estimates: Arc<Estimates>,
    waiters: Arc<Waiters>,
    failure: RwLock<Option<StoreError>>,
    // A generation that is to take over.
    replacement: Mutex<Option<Follower>>,
    rebuilding: AtomicBool,
    // Whether anybody has read since the last step.
    read: AtomicBool,
    stop: AtomicBool,
}

/// What is served.
#[derive(Clone, Debug)]
struct Current {
    snapshot: Snapshot,
    store: Store,
    folded: Folded,
    complete: bool,
    open_transactions: usize,
    awaited: Vec<(ShardId, u32)>,
}

impl Current {
    /// What is served when a store is opened: nothing if a crash has left a transaction in part, and that is not
    /// complete yet.
    fn open(follower: &Follower, complete: bool) -> Self {
        let (open_transactions, awaited) = follower.waiting();
        Self {
            snapshot: if follower.is_whole() { follower.snapshot() } else { Snapshot::empty() },
            store: follower.store().clone(),
            folded: follower.folded(),
            complete: complete && follower.is_whole(),
            open_transactions,
            awaited: awaited.into_iter().collect(),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("root", &self.root)
            .field("waiters", &self.waiters)
            .finish_non_exhaustive()
    }
}

impl Projections {
    /// Opens or creates the projections below `root` and begins to follow the feed.
    pub fn open(root: &Path, feed: Arc<dyn Feed>, options: ProjectionOptions) -> Result<Arc<Self>> {
        let Stepped { projections, follower } = Self::stepped(root, feed, options)?;
        let shared = Arc::clone(&projections.shared);
        projections.spawn("projections", move || shared.follow(follower))?;
        Ok(projections)
    }

    /// The same, but they follow the feed only when they are stepped: for simulations.
    pub fn stepped(
        root: &Path,
        feed: Arc<dyn Feed>,
        options: ProjectionOptions,
    ) -> Result<Stepped> {
        let store = open_newest(root, feed.shards(), &options.db)?;
        let complete = store.is_complete()?;
        if complete {
            // What a crash left of a swap.
            remove_others(root, store.path())?;
        }
        let mut follower = Follower::open(store, Arc::clone(&feed), options.retention)?;
        // What a crash left of a transaction; mostly the rest of it is there.
        while !follower.is_whole() && follower.step()? {}
        let waiters = Arc::new(Waiters::new(feed.shards(), follower.is_whole()));
        if follower.is_whole() {
            waiters.advance(follower.positions());
        }
        let current = Current::open(&follower, complete);
        let past = Past::open(past_directory(root), options.past_bytes_max, Arc::clone(&feed))?;
        let estimates = Arc::new(Estimates::default());
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            options,
            feed,
            current: RwLock::new(current),
            past,
            estimates: Arc::clone(&estimates),
            waiters,
            failure: RwLock::new(None),
            replacement: Mutex::new(None),
            rebuilding: AtomicBool::new(false),
            read: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        shared.estimate()?;
        let projections =
            Arc::new(Self { shared, relations: relations(&estimates), threads: Mutex::default() });
        Ok(Stepped { projections, follower })
    }

    /// The newest state. It covers at least the positions that were reached before the call.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.current.read().snapshot.clone()
    }

    /// Says that somebody reads, and the fold should not stay far behind. Cheap.
    pub fn note_reader(&self) {
        if !self.shared.read.load(Ordering::Relaxed) {
            self.shared.read.store(true, Ordering::Relaxed);
        }
    }

    /// The state as of an instant: the fold of all events that are not newer than `at` and were folded before the
    /// call. An instant to come is now. It may have to be replayed from the feed, which holds up the thread; once
    /// `stopped` says so it ends.
    pub fn as_of(&self, at: Timestamp, stopped: &dyn Fn() -> bool) -> Result<Snapshot, PastError> {
        self.shared.past.as_of(at, || self.snapshot(), stopped)
    }

    /// How far the feed was folded.
    pub fn positions(&self) -> Positions {
        self.shared.waiters.positions()
    }

    /// Whether `positions` are reached: a snapshot taken from now on covers them. Cheap.
    pub fn reached(&self, positions: &Positions) -> bool {
        planted::has(Bug::ReadOlder) || self.shared.waiters.reached(positions)
    }

    /// Calls `ready` once `positions` are reached, at once if they are already, otherwise from the thread that
    /// folds: it should do no more than pass the news on. Dropping the guard gives up waiting.
    pub fn wait_for(
        &self,
        positions: &Positions,
        ready: Ready,
    ) -> Result<WaitGuard, TooManyWaiters> {
        self.shared.waiters.wait_for(positions, ready)
    }

    /// What SQL can select from.
    pub fn relations(&self) -> Vec<Arc<dyn Relation>> {
        self.relations.clone()
    }

    /// How far they are.
    pub fn status(&self) -> ProjectionStatus {
        let current = self.shared.current.read().clone();
        let feed = &self.shared.feed;
        let positions = current.snapshot.positions().clone();
        let shard = |shard| (shard, positions.get(shard).index(), feed.committed(shard));
        ProjectionStatus {
            version: PROJECTION_VERSION,
            shards: (0..feed.shards()).map(ShardId).map(shard).collect(),
            positions,
            complete: current.complete,
            open_transactions: current.open_transactions,
            awaited: current.awaited,
            folded: current.folded,
            bytes: current.store.bytes(),
            columns_bytes: current.store.columns_bytes(),
            rebuilding: self.shared.rebuilding.load(Ordering::Acquire),
            failure: self.shared.failure.read().clone(),
        }
    }

    /// Roughly the bytes on disk of a relation and of its indexes, by its name.
    pub fn relation_bytes(&self, relation: &str) -> Option<(u64, u64)> {
        let (rows, indexes) = super::key::tables_of(relation)?;
        let store = self.shared.current.read().store.clone();
        Some((store.table_bytes(rows), store.table_bytes(indexes)))
    }

    /// Folds everything anew beside what serves, and swaps when it has come as far. Returns at once; false if
    /// it is being done already.
    pub fn rebuild(&self) -> Result<bool> {
        if self.shared.rebuilding.swap(true, Ordering::AcqRel) {
            return Ok(false);
        }
        let shared = Arc::clone(&self.shared);
        self.spawn("projections-rebuild", move || shared.rebuild())?;
        Ok(true)
    }

    /// Stops following the feed and makes what was folded survive a crash.
    pub fn shutdown(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.waiters.hurry();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A thread that has panicked has nothing more to say.
            let _ = thread.join();
        }
        self.shared.waiters.end(&StoreError::Io("the projections are closed".to_owned()));
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread =
            thread.map_err(|error| StoreError::Io(format!("could not start a thread: {error}")))?;
        let mut threads = self.threads.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }
}

impl Drop for Projections {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// What the threads do.
impl Shared {
    fn follow(&self, mut follower: Follower) {
        if let Err(error) =
            self.follow_until_stopped(&mut follower).and_then(|()| follower.store().flush())
        {
            self.fail(&error);
        }
    }

    fn follow_until_stopped(&self, follower: &mut Follower) -> Result<()> {
        let mut pace = Pace::default();
        while !self.stop.load(Ordering::Acquire) {
            let seen = self.feed.generation();
            let before = follower.folded().entries;
            let any = self.step(follower)?;
            if !any {
                self.feed.wait(seen, IDLE_WAIT);
                continue;
            }
            let entries = follower.folded().entries - before;
            let listener = self.options.violations.as_deref();
            let listening = listener.is_some_and(super::appeared::ViolationListener::is_listening);
            let read = self.read.swap(false, Ordering::Relaxed) || listening;
            let linger = pace.linger_after(entries, self.waiters.asked(), read);
            if !linger.is_zero() && !follower.is_behind() {
                self.waiters.linger(linger);
            }
        }
        Ok(())
    }

    /// Folds what there is, or a batch of it, and shows it; whether there was anything.
    fn step(&self, follower: &mut Follower) -> Result<bool> {
        let replacement = self.replacement.lock().take();
        if let Some(replacement) = replacement {
            self.replace(follower, replacement)?;
        }
        let listener = self.options.violations.as_deref().filter(|it| it.is_listening());
        follower.watch(listener.is_some());
        let any = follower.step()?;
        if any {
            self.publish(follower)?;
            if let Some(listener) = listener.filter(|_| follower.is_whole()) {
                let snapshot = self.current.read().snapshot.clone();
                tell(listener, &follower.take_appeared(), &snapshot);
            }
        }
        self.complete(follower)?;
        Ok(any)
    }

    /// Shows what was folded, unless it holds a transaction in part: then readers see what they saw before.
    fn publish(&self, follower: &Follower) -> Result<()> {
        let snapshot = follower.is_whole().then(|| follower.snapshot());
        let whole = snapshot.is_some();
        {
            let (waiting, awaited) = follower.waiting();
            let mut current = self.current.write();
            if let Some(snapshot) = snapshot {
                current.snapshot = snapshot;
            }
            current.folded = follower.folded();
            current.open_transactions = waiting;
            current.awaited = awaited.into_iter().collect();
        }
        if !whole {
            return Ok(());
        }
        // Whoever waits for what was folded must not be shown an instant without it.
        self.past.folded(follower.oldest());
        self.estimate()?;
        self.waiters.advance(follower.positions());
        Ok(())
    }

    fn estimate(&self) -> Result<()> {
        let snapshot = self.current.read().snapshot.clone();
        for count in Count::ALL {
            self.estimates.set(count, snapshot.count(count)?);
        }
        Ok(())
    }

    /// The first time that everything is folded: remembers it and removes what was there before.
    fn complete(&self, follower: &Follower) -> Result<()> {
        if self.current.read().complete || !follower.is_caught_up() {
            return Ok(());
        }
        follower.store().complete()?;
        self.current.write().complete = true;
        // Not a newer generation: that is being built.
        let own = follower.store().path();
        let directories = directories(&self.root)?;
        let newest =
            directories.iter().find(|(.., path)| path == own).map_or(0, |(_, own, _)| *own);
        for (version, generation, path) in directories {
            if version != PROJECTION_VERSION || generation < newest {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn replace(&self, follower: &mut Follower, mut replacement: Follower) -> Result<()> {
        while !(replacement.is_whole() && replacement.read_to().covers(follower.read_to())) {
            if self.stop.load(Ordering::Acquire) {
                replacement.store().give_up();
                return Ok(());
            }
            replacement.step_or_wait(IDLE_WAIT)?;
        }
        replacement.store().complete()?;
        let before = std::mem::replace(follower, replacement);
        before.store().give_up();
        *self.current.write() = Current::open(follower, true);
        self.publish(follower)?;
        drop(before);
        self.rebuilding.store(false, Ordering::Release);
        Ok(())
    }

    fn rebuild(&self) {
        match self.build() {
            Ok(Some(follower)) => *self.replacement.lock() = Some(follower),
            Ok(None) => self.rebuilding.store(false, Ordering::Release),
            Err(error) => {
                self.rebuilding.store(false, Ordering::Release);
                self.report(&error);
            }
        }
    }

    /// Folds a new generation until it has caught up; none if it was stopped before.
    fn build(&self) -> Result<Option<Follower>> {
        let generations = directories(&self.root)?
            .into_iter()
            .filter(|(version, ..)| *version == PROJECTION_VERSION);
        let generation = generations.map(|(_, generation, _)| generation).max().unwrap_or(0) + 1;
        let store =
            Store::open(&directory(&self.root, generation), self.feed.shards(), &self.options.db)?;
        let mut follower = Follower::open(store, Arc::clone(&self.feed), self.options.retention)?;
        while !self.stop.load(Ordering::Acquire) {
            // What is committed after that is for later: there may always be a little more.
            let committed = self.feed.committed_positions();
            follower.step_or_wait(IDLE_WAIT)?;
            if follower.is_whole() && follower.read_to().covers(&committed) {
                return Ok(Some(follower));
            }
        }
        follower.store().give_up();
        Ok(None)
    }

    fn fail(&self, error: &StoreError) {
        *self.failure.write() = Some(error.clone());
        self.rebuilding.store(false, Ordering::Release);
        self.waiters.end(error);
        self.report(error);
    }

    fn report(&self, error: &StoreError) {
        if let Some(on_failure) = &self.options.on_failure {
            on_failure(error);
        }
    }
}

/// Opens what is to serve: the newest complete generation of our version, else the newest one, else a new one.
fn open_newest(root: &Path, shards: u16, options: &DbOptions) -> Result<Store> {
    let mut newest = None;
    for (version, _, path) in directories(root)?.into_iter().rev() {
        if version != PROJECTION_VERSION {
            continue;
        }
        match Store::open(&path, shards, options) {
            Ok(store) if store.is_complete()? => return Ok(store),
            Ok(store) => newest = newest.or(Some(store)),
            // Of a database with another number of shards: nothing of it can be used.
            Err(StoreError::Incompatible(_)) => remove(&path)?,
            Err(error) => return Err(error),
        }
    }
    newest.map_or_else(|| Store::open(&directory(root, 1), shards, options), Ok)
}

/// Removes all stores below `root` but one.
fn remove_others(root: &Path, kept: &Path) -> Result<()> {
    for (_, _, path) in directories(root)? {
        if path != kept {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes all stores below `root`, which nobody may have open: they are folded anew when they are opened.
pub fn delete_projections(root: &Path) -> Result<()> {
    past::delete(&past_directory(root))?;
    remove_others(root, Path::new(""))
}

/// Where past instants are.
fn past_directory(root: &Path) -> PathBuf {
    root.join("past")
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_dir_all(path)
        .map_err(|error| StoreError::Io(format!("\"{}\": {error}", path.display())))
}
