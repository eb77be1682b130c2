//! What a statement reads.

use std::fmt;
use std::sync::Arc;

use rotabase_engine::env::Timestamp;
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{Positions, Version};
use rotabase_engine::schedule::{AggregateId, Event, Schedule};

use rotabase_engine::domain::Domain as _;

use super::fold::Fold;
use super::key::Key;
use super::overlay::{Overlay, Pending};
use super::past::{PastError, restore};
use super::rows::{Direction, Range, ReadRows, Result, Visitor, Walker};
use super::store::StoreSnapshot;

/// One consistent state of all projections: every relation read through it shows the same position vector.
/// Cheap to clone; holding it pins old row versions, so it lives as long as its statement.
#[derive(Clone)]
pub struct Snapshot(Arc<State>);

#[derive(Clone)]
struct State {
    base: Base,
    // Above the base: what an open transaction has done, or everything if there is no base.
    pending: Pending,
    positions: Positions,
    // The newest timestamp that was folded.
    newest: Timestamp,
    // The instant that it shows, if that is not now.
    as_of: Option<Timestamp>,
    feed: Option<Arc<dyn Feed>>,
}

/// What is stored; nothing for rows that are in memory only.
#[derive(Clone)]
enum Base {
    Nothing,
    Store(StoreSnapshot),
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&self.0.positions).finish()
    }
}

impl Snapshot {
    /// The state of an empty database, with no events to read.
    pub fn empty() -> Self {
        let positions = Positions::default();
        Self(Arc::new(State {
            base: Base::Nothing,
            pending: Pending::default(),
            positions,
            newest: Timestamp::default(),
            as_of: None,
            feed: None,
        }))
    }

    /// The state of a store that was folded up to `positions`, where `newest` is the newest timestamp.
    pub(crate) fn new(
        rows: StoreSnapshot,
        positions: Positions,
        newest: Timestamp,
        feed: Arc<dyn Feed>,
    ) -> Self {
        Self(Arc::new(State {
            base: Base::Store(rows),
            pending: Pending::default(),
            positions,
            newest,
            as_of: None,
            feed: Some(feed),
        }))
    }

    /// This state with events on top of it that are not in the feed yet, as a transaction sees what it has done
    /// so far. The relation `events` does not show them.
    pub fn with(
        &self,
        timestamp: Timestamp,
        events: &[(AggregateId, Version, Event)],
    ) -> Result<Self> {
        self.clone().with_more(timestamp, events)
    }

    /// The same, at the cost of the further events alone where nobody else holds this state.
    pub fn with_more(
        self,
        timestamp: Timestamp,
        events: &[(AggregateId, Version, Event)],
    ) -> Result<Self> {
        let mut state = Arc::try_unwrap(self.0).unwrap_or_else(|shared| State::clone(&shared));
        let pending = std::mem::take(&mut state.pending);
        let mut fold = Fold::new(Overlay { base: state.base.clone(), pending });
        let mut aggregate = Vec::new();
        for (id, version, event) in events {
            fold.apply(id, timestamp, event)?;
            aggregate.clear();
            Schedule::encode_id(id, &mut aggregate);
            fold.set_version(&aggregate, version.0);
        }
        fold.settle()?;
        state.pending = fold.rows.pending;
        Ok(Self(Arc::new(state)))
    }

    /// What is stored, if anything is.
    pub(crate) fn stored(&self) -> Option<&StoreSnapshot> {
        match &self.0.base {
            Base::Nothing => None,
            Base::Store(rows) => Some(rows),
        }
    }

    /// The changes of a range that are on top of what is stored, by key; no value is a removal.
    pub(crate) fn own(&self, range: &Range) -> impl Iterator<Item = (&Key, Option<&[u8]>)> {
        self.0.pending.range(range)
    }

    /// It with rows on top of it, or without them.
    #[cfg(test)]
    pub(crate) fn with_rows(&self, rows: impl Iterator<Item = (Key, Option<Key>)>) -> Self {
        let mut state = State::clone(&self.0);
        for (key, value) in rows {
            match value {
                Some(value) => state.pending.put(key, &value),
                None => state.pending.delete(key),
            }
        }
        Self(Arc::new(state))
    }

    /// Roughly the bytes of memory that events on top of what is stored take.
    pub fn own_bytes(&self) -> usize {
        self.0.pending.bytes()
    }

    /// This state with what has changed after an instant put back; none if that is not known, or too much.
    pub(crate) fn restored(
        &self,
        at: Timestamp,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, PastError> {
        let mut fold = Fold::new(Overlay::new(self.0.base.clone()));
        if !restore(&mut fold, self, at, stopped)? {
            return Ok(None);
        }
        let state = State { pending: fold.rows.pending, as_of: Some(at), ..(*self.0).clone() };
        Ok(Some(Self(Arc::new(state))))
    }

    /// The same rows, said to be those of an instant: for rows that are.
    pub(crate) fn said_to_be(&self, as_of: Timestamp) -> Self {
        Self(Arc::new(State { as_of: Some(as_of), ..(*self.0).clone() }))
    }

    /// The last timestamp of what it shows, if that is a past instant.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.0.as_of
    }

    /// The newest timestamp of what was folded.
    pub(crate) fn newest(&self) -> Timestamp {
        self.0.newest
    }

    /// Whether it is the same state, and no other that looks alike.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Up to where all of the feed is folded into what it shows; some of what is behind may be, too.
    pub fn positions(&self) -> &Positions {
        &self.0.positions
    }

    /// The feed that it was folded from.
    pub(crate) fn feed(&self) -> Option<&Arc<dyn Feed>> {
        self.0.feed.as_ref()
    }
}

impl ReadRows for Base {
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Store(rows) => rows.get(key, read),
        }
    }

    fn walk<K: AsRef<[u8]>>(&self, keys: &[K], read: &mut Walker<'_>) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Store(rows) => rows.walk(keys, read),
        }
    }

    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Store(rows) => rows.visit(range, direction, visitor),
        }
    }
}

impl ReadRows for Snapshot {
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let State { base, pending, .. } = &*self.0;
        if pending.is_empty() { base.get(key, read) } else { pending.get_above(base, key, read) }
    }

    fn walk<K: AsRef<[u8]>>(&self, keys: &[K], read: &mut Walker<'_>) -> Result<()> {
        let State { base, pending, .. } = &*self.0;
        if pending.is_empty() {
            return base.walk(keys, read);
        }
        for (at, key) in keys.iter().enumerate() {
            pending.get_above(base, key.as_ref(), |value| read(at, value))?;
        }
        Ok(())
    }

    fn visit(&self, range: &Range, direction: Direction, visitor: &mut Visitor<'_>) -> Result<()> {
        let State { base, pending, .. } = &*self.0;
        if pending.is_empty() {
            base.visit(range, direction, visitor)
        } else {
            pending.visit_above(base, range, direction, visitor)
        }
    }
}
