//! Aggregates that a statement holds while it is being decided elsewhere.
//!
//! A statement over several shards, or one that comes in pieces, holds each aggregate from the moment it is decided
//! there until its events are proposed everywhere or it is aborted. Others wait. Two rules exclude deadlocks:
//!
//! - All aggregates that one request names in a shard are granted together or not at all.
//! - Shards are asked in ascending order. Whoever holds aggregates of a later shard already may not wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rotabase_engine::domain::Domain;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

/// The statements that may wait for aggregates of one shard.
pub(crate) const WAITERS_MAX: usize = 4096;

/// A statement that holds aggregates. No machine gives an id twice, not even after a restart: the upper half is random
/// and the node's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WriteId(pub(crate) u128);

/// What a request for aggregates got.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// They are held.
    Granted,
    /// They will be, once this says so.
    Waiting(oneshot::Receiver<()>),
    /// Another statement holds one of them, and waiting was not asked for.
    Busy,
    /// Too many wait already.
    Full,
    /// The shard is led elsewhere, and who holds them here may do so until it is led here again.
    Elsewhere,
}

/// The held aggregates of one shard.
#[derive(Debug)]
pub(crate) struct Reservations<D: Domain> {
    table: Mutex<Table<D>>,
    /// How many aggregates are held; lets the shard's leader pass by the lock while there are none.
    held: AtomicUsize,
}

#[derive(Debug)]
struct Table<D: Domain> {
    holders: FxHashMap<D::Id, WriteId>,
    by_holder: FxHashMap<WriteId, Vec<D::Id>>,
    waiting: VecDeque<Waiter<D>>,
}

#[derive(Debug)]
struct Waiter<D: Domain> {
    write: WriteId,
    // Invariant: sorted.
    ids: Vec<D::Id>,
    grant: oneshot::Sender<()>,
}

impl<D: Domain> Default for Reservations<D> {
    fn default() -> Self {
        let table = Table {
            holders: FxHashMap::default(),
            by_holder: FxHashMap::default(),
            waiting: VecDeque::new(),
        };
        Self { table: Mutex::new(table), held: AtomicUsize::new(0) }
    }
}

impl<D: Domain> Reservations<D> {
    /// Asks for aggregates; those that `write` holds already are no matter.
    pub(crate) fn reserve(&self, write: WriteId, mut ids: Vec<D::Id>, may_wait: bool) -> Reserved {
        ids.sort_unstable();
        ids.dedup();
        let mut table = self.table.lock();
        // Whoever holds something here must not stand behind those who wait for it.
        let overtakes = table.by_holder.contains_key(&write);
        let blocked = table.is_held(write, &ids) || (!overtakes && table.is_awaited(&ids));
        if !blocked {
            table.grant(write, ids);
            self.held.store(table.holders.len(), Ordering::Release);
            return Reserved::Granted;
        }
        if !may_wait {
            return Reserved::Busy;
        }
        table.waiting.retain(|waiter| !waiter.grant.is_closed());
        if table.waiting.len() >= WAITERS_MAX {
            return Reserved::Full;
        }
        let (grant, granted) = oneshot::channel();
        table.waiting.push_back(Waiter { write, ids, grant });
        Reserved::Waiting(granted)
    }

    /// Takes aggregates, whoever holds them: what the log says was prepared goes before what was held in memory only.
    pub(crate) fn seize(&self, write: WriteId, mut ids: Vec<D::Id>) {
        ids.sort_unstable();
        ids.dedup();
        let mut table = self.table.lock();
        for id in &ids {
            let Some(holder) = table.holders.get(id).copied() else { continue };
            if holder != write {
                table.holders.remove(id);
                if let Some(held) = table.by_holder.get_mut(&holder) {
                    held.retain(|held| held != id);
                }
            }
        }
        table.grant(write, ids);
        self.held.store(table.holders.len(), Ordering::Release);
    }

    /// Whether `write` holds all of the aggregates.
    pub(crate) fn holds_all<'a>(
        &self,
        write: WriteId,
        mut ids: impl Iterator<Item = &'a D::Id>,
    ) -> bool {
        let table = self.table.lock();
        ids.all(|id| table.holders.get(id) == Some(&write))
    }

    /// Gives up all that `write` holds or waits for, and grants what can be granted.
    pub(crate) fn release(&self, write: WriteId) {
        let mut table = self.table.lock();
        for id in table.by_holder.remove(&write).unwrap_or_default() {
            table.holders.remove(&id);
        }
        table.waiting.retain(|waiter| waiter.write != write);
        table.grant_waiting();
        self.held.store(table.holders.len(), Ordering::Release);
    }

    /// Turns away all who wait: what is held may stay so until this replica leads again.
    pub(crate) fn turn_away(&self) {
        self.table.lock().waiting.clear();
    }

    /// Whether anything is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.load(Ordering::Acquire) == 0
    }

    /// How many aggregates are held, and how many statements wait for some.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let table = self.table.lock();
        let waiting = table.waiting.iter().filter(|waiter| !waiter.grant.is_closed());
        (table.holders.len(), waiting.count())
    }

    /// Whether any statement holds one of the aggregates.
    pub(crate) fn holds_any<'a>(&self, mut ids: impl Iterator<Item = &'a D::Id>) -> bool {
        let table = self.table.lock();
        ids.any(|id| table.holders.contains_key(id))
    }
}

impl<D: Domain> Waiter<D> {
    /// Whether it waits for one of the aggregates.
    fn shares(&self, ids: &[D::Id]) -> bool {
        ids.iter().any(|id| self.ids.binary_search(id).is_ok())
    }
}

impl<D: Domain> Table<D> {
    fn is_held(&self, write: WriteId, ids: &[D::Id]) -> bool {
        ids.iter().any(|id| self.holders.get(id).is_some_and(|holder| *holder != write))
    }

    fn is_awaited(&self, ids: &[D::Id]) -> bool {
        self.waiting.iter().any(|waiter| waiter.shares(ids))
    }

    fn grant(&mut self, write: WriteId, ids: Vec<D::Id>) {
        for id in ids {
            match self.holders.insert(id.clone(), write) {
                None => self.by_holder.entry(write).or_default().push(id),
                Some(holder) => assert_eq!(holder, write, "an aggregate has one holder"),
            }
        }
    }

    /// Grants to those who wait, in their order, what is free; nobody overtakes one who waits for the same.
    fn grant_waiting(&mut self) {
        let mut still_waiting: VecDeque<Waiter<D>> = VecDeque::new();
        for waiter in std::mem::take(&mut self.waiting) {
            if waiter.grant.is_closed() {
                continue;
            }
            let behind = still_waiting.iter().any(|earlier| earlier.shares(&waiter.ids));
            if behind || self.is_held(waiter.write, &waiter.ids) {
                still_waiting.push_back(waiter);
                continue;
            }
            // A waiter that has just given up releases what it got when it ends.
            if waiter.grant.send(()).is_ok() {
                self.grant(waiter.write, waiter.ids);
            }
        }
        self.waiting = still_waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rotabase_engine::schedule::{AggregateId, AirportCode, Schedule};

    fn airport(code: &str) -> AggregateId {
        AggregateId::Airport(code.parse::<AirportCode>().unwrap())
    }

    fn reserve(
        table: &Reservations<Schedule>,
        write: u128,
        codes: &[&str],
        may_wait: bool,
    ) -> Reserved {
        table.reserve(WriteId(write), codes.iter().map(|code| airport(code)).collect(), may_wait)
    }

    fn granted(reserved: &mut Reserved) -> bool {
        match reserved {
            Reserved::Granted => true,
            Reserved::Waiting(grant) => grant.try_recv().is_ok(),
            Reserved::Busy | Reserved::Full | Reserved::Elsewhere => false,
        }
    }

    #[test]
    fn aggregates_are_granted_together_and_in_order() {
        let table = Reservations::default();
        assert!(granted(&mut reserve(&table, 1, &["FRA", "MUC"], true)));
        let mut second = reserve(&table, 2, &["MUC", "HAM"], true);
        let mut third = reserve(&table, 3, &["HAM"], true);
        let mut fourth = reserve(&table, 4, &["CGN"], true);
        assert!(!granted(&mut second), "one of its aggregates is held");
        assert!(!granted(&mut third), "nobody overtakes one who waits for the same");
        assert!(granted(&mut fourth));
        assert!(
            table.holds_any([airport("FRA")].iter()) && !table.holds_any([airport("HAM")].iter())
        );
        table.release(WriteId(1));
        assert!(granted(&mut second) && !granted(&mut third));
        table.release(WriteId(2));
        assert!(granted(&mut third));
        table.release(WriteId(3));
        table.release(WriteId(4));
        assert!(table.is_empty());
    }

    #[test]
    fn whoever_may_not_wait_is_told_and_whoever_holds_overtakes_those_who_wait_for_it() {
        let table = Reservations::default();
        assert!(granted(&mut reserve(&table, 1, &["FRA"], true)));
        let mut waiting = reserve(&table, 2, &["FRA", "MUC"], true);
        assert!(matches!(reserve(&table, 3, &["FRA"], false), Reserved::Busy));
        assert!(granted(&mut reserve(&table, 1, &["MUC"], true)), "else both would wait for ever");
        table.release(WriteId(1));
        assert!(granted(&mut waiting));
    }

    #[test]
    fn whoever_is_turned_away_is_told_and_holds_nothing() {
        let table = Reservations::default();
        assert!(granted(&mut reserve(&table, 1, &["FRA"], true)));
        let Reserved::Waiting(mut waiting) = reserve(&table, 2, &["FRA"], true) else {
            panic!("it is held");
        };
        table.turn_away();
        assert!(matches!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        table.release(WriteId(1));
        assert!(table.is_empty());
    }

    #[test]
    fn whoever_gives_up_waiting_is_passed_over() {
        let table = Reservations::default();
        assert!(granted(&mut reserve(&table, 1, &["FRA"], true)));
        let given_up = reserve(&table, 2, &["FRA"], true);
        let mut third = reserve(&table, 3, &["FRA"], true);
        drop(given_up);
        table.release(WriteId(1));
        assert!(granted(&mut third));
    }
}
