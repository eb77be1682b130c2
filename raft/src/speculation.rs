//! What the leader of a shard decides on: the committed state of aggregates, and ahead of it what is proposed.
//!
//! A batch is decided while the one before it is still being replicated, on the assumption that it will commit.
//! The states that this assumption made stand here, until the entry that made them has been applied; then they go
//! to the aggregates' cache. If an entry is lost, everything here is dropped.
//!
//! All of it is pure but for reading aggregates: the same states and requests give the same bytes anywhere.

use std::collections::VecDeque;

use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{EntryBuilder, EntryError, Metadata, StoredEvent};
use rotabase_engine::position::Version;
use rustc_hash::FxHashMap;

use crate::aggregate_source::AggregateSource;
use crate::request::{Decided, Request};

/// The states of one shard's aggregates, as the next decision has to see them.
#[derive(Debug)]
pub(crate) struct Speculation<D: Domain> {
    /// None while it is away loading.
    source: Option<Box<dyn AggregateSource<D>>>,
    ahead: FxHashMap<D::Id, Ahead<D::State>>,
    /// Which entry changed which aggregate, in order.
    changed: VecDeque<(u64, D::Id)>,
    /// The sequence of the entry that is being decided.
    sequence: u64,
    /// The encoded id of the aggregate at hand.
    encoded: Vec<u8>,
}

/// A state that an entry on its way has made.
#[derive(Debug)]
struct Ahead<S> {
    state: S,
    version: Version,
    /// The sequence of the newest entry that changed it.
    sequence: u64,
}

/// The states that one statement has made and that are not yet proposed.
#[derive(Debug)]
pub(crate) struct Draft<D: Domain> {
    states: FxHashMap<D::Id, Drafted<D::State>>,
    /// The ids in `states`, in the order of their first change.
    order: Vec<D::Id>,
    /// The memory that the states take, roughly.
    bytes: usize,
}

/// What a drafted aggregate takes in memory beside its state.
const DRAFTED_OVERHEAD_BYTES: usize = 160;

#[derive(Debug)]
struct Drafted<S> {
    state: S,
    version: Version,
    /// The version before the statement: what its requests' expectations are held against.
    base: Version,
}

/// Why a statement was not decided. Nothing has changed then.
#[derive(Debug)]
pub(crate) enum Undecided<D: Domain> {
    /// A rule refused the request of this number.
    Refused(usize, D::Refusal),
    /// These requests expected other versions.
    Mismatch(Vec<usize>),
    /// The events do not fit the room that is left in the entry.
    Full,
    /// An event or the metadata is too long for any entry.
    TooLong,
    /// An aggregate could not be read.
    Store(StoreError),
}

impl<D: Domain> From<EntryError> for Undecided<D> {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Full => Self::Full,
            EntryError::EventTooLong(_) | EntryError::MetadataTooLong(_) => Self::TooLong,
        }
    }
}

impl<D: Domain> Draft<D> {
    /// The memory that it takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it has changed the aggregate.
    pub(crate) fn has(&self, id: &D::Id) -> bool {
        self.states.contains_key(id)
    }

    /// The aggregates that it changes, in the order of their first change.
    pub(crate) fn ids(&self) -> Vec<D::Id> {
        self.order.clone()
    }
}

impl<D: Domain> Default for Draft<D> {
    fn default() -> Self {
        Self { states: FxHashMap::default(), order: Vec::new(), bytes: 0 }
    }
}

impl<D: Domain> Speculation<D> {
    pub(crate) fn new(source: Box<dyn AggregateSource<D>>) -> Self {
        Self {
            source: Some(source),
            ahead: FxHashMap::default(),
            changed: VecDeque::new(),
            sequence: 0,
            encoded: Vec::new(),
        }
    }

    /// Drops everything that was assumed; the next entry will be the one of this sequence.
    pub(crate) fn reset(&mut self, sequence: u64) {
        self.ahead.clear();
        self.changed.clear();
        self.source_mut().clear();
        self.sequence = sequence;
    }

    /// The sequence of the entry that is being decided.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Goes on to the next entry: the one that was being decided is proposed.
    pub(crate) fn proposed(&mut self) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        sequence
    }

    /// Lets go of states whose entries are applied: all with a sequence below `applied`.
    pub(crate) fn settle(&mut self, applied: u64) {
        while let Some((_, id)) = self.changed.pop_front_if(|(sequence, _)| *sequence < applied) {
            if self.ahead.get(&id).is_some_and(|ahead| ahead.sequence < applied)
                && let Some(ahead) = self.ahead.remove(&id)
            {
                self.source_mut().put(&id, ahead.state, ahead.version);
            }
        }
    }

    /// Those of the aggregates that would have to be read from the disk.
    pub(crate) fn missing<'r>(&mut self, ids: impl Iterator<Item = &'r D::Id>) -> Vec<D::Id>
    where
        D: 'r,
    {
        let mut missing = Vec::new();
        let mut before = None;
        for id in ids {
            // What a statement does to one aggregate mostly stands together.
            if before.replace(id) == Some(id) {
                continue;
            }
            if !self.ahead.contains_key(id)
                && !self.source_mut().load_without_disk(id).unwrap_or(false)
            {
                missing.push(id.clone());
            }
        }
        missing
    }

    /// Reads aggregates away from the asynchronous threads.
    pub(crate) async fn load(&mut self, ids: Vec<D::Id>) -> Result<(), StoreError> {
        let mut source = self.source.take().expect("it is here between loads");
        let loading = crate::runtime::spawn_blocking(move || {
            let loaded = ids.iter().try_for_each(|id| source.load(id).map(|_| ()));
            (source, loaded)
        });
        let (source, loaded) = loading.await.expect("reading aggregates does not panic");
        self.source = Some(source);
        loaded
    }

    fn source_mut(&mut self) -> &mut dyn AggregateSource<D> {
        &mut **self.source.as_mut().expect("it is here between loads")
    }

    /// Decides one request and adds what it emits to `entry`: the path of most statements, without copies.
    pub(crate) fn decide_one(
        &mut self,
        request: &Request<D>,
        metadata: &Metadata,
        entry: &mut EntryBuilder,
    ) -> Result<(Version, u32), Undecided<D>> {
        let source = self.source.as_mut().expect("it is here between loads");
        let (state, version) = current(&self.ahead, &mut **source, &request.id)?;
        if request.expected_version.is_some_and(|expected| expected != version) {
            return Err(Undecided::Mismatch(vec![0]));
        }
        let Some(command) = &request.command else { return Ok((version, 0)) };
        let events = D::decide(&request.id, state, command)
            .map_err(|refusal| Undecided::Refused(0, refusal))?;
        if events.is_empty() {
            return Ok((version, 0));
        }
        self.encoded.clear();
        D::encode_id(&request.id, &mut self.encoded);
        let mark = entry.mark();
        if let Err(error) = push_events::<D>(entry, &self.encoded, version, &events, metadata) {
            entry.rollback(mark);
            return Err(error.into());
        }
        let sequence = self.sequence;
        if !self.ahead.contains_key(&request.id) {
            // If the entry is lost, everything is read anew: nobody needs the state as it was.
            let lent = source.lend(&request.id);
            let state = lent.inspect_err(|_| entry.rollback(mark))?;
            // Of no entry yet, so that the change below is noted.
            self.ahead.insert(request.id.clone(), Ahead { state, version, sequence: u64::MAX });
        }
        let ahead = self.ahead.get_mut(&request.id).expect("it was put there");
        for event in &events {
            D::evolve(&mut ahead.state, event);
        }
        ahead.version = advanced(version, events.len());
        if std::mem::replace(&mut ahead.sequence, sequence) != sequence {
            self.changed.push_back((sequence, request.id.clone()));
        }
        Ok((advanced(version, events.len()), emitted(events.len())))
    }

    /// Decides all requests or none, on top of `draft`, and adds what they emit to `entry`. On success the states
    /// are in the draft and nowhere else; on failure the draft is spoilt.
    pub(crate) fn decide_all(
        &mut self,
        draft: &mut Draft<D>,
        requests: &[Request<D>],
        metadata: &Metadata,
        entry: &mut dyn EntrySink,
    ) -> Result<Decided, Undecided<D>> {
        let mut decided = Decided::default();
        let mut mismatches = Vec::new();
        let mut refused = None;
        for (number, request) in requests.iter().enumerate() {
            if !self.expectation_holds(draft, request).map_err(Undecided::Store)? {
                mismatches.push(number);
            }
            // After a failure only the expectations of the others are of interest.
            if refused.is_some() || !mismatches.is_empty() {
                continue;
            }
            match self.decide_in_draft(draft, request, metadata, entry) {
                Ok((version, emitted)) => {
                    decided.versions.push(version);
                    decided.emitted.push(emitted);
                }
                Err(Undecided::Refused(_, refusal)) => refused = Some((number, refusal)),
                Err(error) => return Err(error),
            }
        }
        if !mismatches.is_empty() {
            return Err(Undecided::Mismatch(mismatches));
        }
        match refused {
            Some((number, refusal)) => Err(Undecided::Refused(number, refusal)),
            None => Ok(decided),
        }
    }

    fn expectation_holds(
        &mut self,
        draft: &Draft<D>,
        request: &Request<D>,
    ) -> Result<bool, StoreError> {
        let Some(expected) = request.expected_version else { return Ok(true) };
        if let Some(drafted) = draft.states.get(&request.id) {
            return Ok(drafted.base == expected);
        }
        let source = self.source.as_mut().expect("it is here between loads");
        Ok(current(&self.ahead, &mut **source, &request.id)?.1 == expected)
    }

    fn decide_in_draft(
        &mut self,
        draft: &mut Draft<D>,
        request: &Request<D>,
        metadata: &Metadata,
        entry: &mut dyn EntrySink,
    ) -> Result<(Version, u32), Undecided<D>> {
        let id = &request.id;
        let source = self.source.as_mut().expect("it is here between loads");
        let (state, version) = match draft.states.get(id) {
            Some(drafted) => (&drafted.state, drafted.version),
            None => current(&self.ahead, &mut **source, id)?,
        };
        let Some(command) = &request.command else { return Ok((version, 0)) };
        let events =
            D::decide(id, state, command).map_err(|refusal| Undecided::Refused(0, refusal))?;
        if events.is_empty() {
            return Ok((version, 0));
        }
        self.encoded.clear();
        D::encode_id(id, &mut self.encoded);
        entry.push(&mut |entry| {
            push_events::<D>(entry, &self.encoded, version, &events, metadata)
        })?;
        if !draft.states.contains_key(id) {
            let state = self.state_to_change(id)?;
            let drafted = Drafted { state, version, base: version };
            draft.bytes += DRAFTED_OVERHEAD_BYTES + D::state_bytes(&drafted.state);
            draft.states.insert(id.clone(), drafted);
            draft.order.push(id.clone());
        }
        let drafted = draft.states.get_mut(id).expect("it was put there");
        draft.bytes -= D::state_bytes(&drafted.state);
        for event in &events {
            D::evolve(&mut drafted.state, event);
        }
        draft.bytes += D::state_bytes(&drafted.state);
        drafted.version = advanced(version, events.len());
        Ok((drafted.version, emitted(events.len())))
    }

    /// The state of an aggregate for a draft. If the draft is dropped, the source reads what it has lent anew; what is
    /// ahead of it can be read nowhere else, and is copied.
    fn state_to_change(&mut self, id: &D::Id) -> Result<D::State, StoreError> {
        match self.ahead.get(id) {
            Some(ahead) => Ok(ahead.state.clone()),
            None => self.source_mut().lend(id),
        }
    }

    /// What a statement had drafted, from the events that it logged; their aggregates must be loaded.
    pub(crate) fn redraft<'e>(
        &mut self,
        events: impl Iterator<Item = &'e StoredEvent>,
    ) -> Result<Draft<D>, StoreError> {
        let mut draft = Draft::default();
        for event in events {
            let id = D::decode_id(&event.aggregate)?;
            if !draft.states.contains_key(&id) {
                let source = self.source.as_mut().expect("it is here between loads");
                let version = current(&self.ahead, &mut **source, &id)?.1;
                let state = self.state_to_change(&id)?;
                let drafted = Drafted { state, version, base: version };
                draft.states.insert(id.clone(), drafted);
                draft.order.push(id.clone());
            }
            let drafted = draft.states.get_mut(&id).expect("it was put there");
            if event.version != drafted.version.next() {
                return Err(StoreError::Corrupted(format!(
                    "version {} of {id:?} was prepared on version {}",
                    event.version, drafted.version
                )));
            }
            D::evolve(&mut drafted.state, &D::decode_event(event.kind, &event.payload)?);
            drafted.version = event.version;
        }
        Ok(draft)
    }

    /// Takes over the states of a statement that goes into the entry of `sequence`.
    pub(crate) fn accept(&mut self, draft: Draft<D>, sequence: u64) {
        let Draft { mut states, order, .. } = draft;
        for id in order {
            let Drafted { state, version, base } =
                states.remove(&id).expect("the order names states");
            assert!(version > base, "a drafted aggregate has changed");
            let ahead = Ahead { state, version, sequence };
            let before = self.ahead.insert(id.clone(), ahead);
            assert!(
                before.as_ref().is_none_or(|before| before.version == base),
                "nobody else changes a drafted aggregate"
            );
            if before.is_none_or(|before| before.sequence != sequence) {
                self.changed.push_back((sequence, id));
            }
        }
    }
}

/// Where a statement's events go.
pub(crate) trait EntrySink {
    /// Adds events to an entry by `push`; all of one request's or none.
    fn push(
        &mut self,
        push: &mut dyn FnMut(&mut EntryBuilder) -> Result<(), EntryError>,
    ) -> Result<(), EntryError>;
}

/// One entry that has to hold all of it.
impl EntrySink for EntryBuilder {
    fn push(
        &mut self,
        push: &mut dyn FnMut(&mut EntryBuilder) -> Result<(), EntryError>,
    ) -> Result<(), EntryError> {
        push(self)
    }
}

/// As many entries as it takes.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    full: Vec<EntryBuilder>,
    open: EntryBuilder,
    bytes: usize,
}

/// An entry of a long statement is closed when it has this many bytes, so that others need not wait long for it, and
/// that an entry of each shard is little enough to be folded together.
pub(crate) const LONG_STATEMENT_ENTRY_BYTES: usize = 256 << 10;

impl Entries {
    /// The bytes of all entries.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.open.bytes()
    }

    /// How many entries hold events.
    pub(crate) fn count(&self) -> usize {
        self.full.len() + usize::from(!self.open.is_empty())
    }

    /// Takes the entries that are full.
    pub(crate) fn take_full(&mut self) -> Vec<EntryBuilder> {
        self.bytes = 0;
        std::mem::take(&mut self.full)
    }

    /// The entries that hold events, in order.
    pub(crate) fn into_entries(mut self) -> Vec<EntryBuilder> {
        self.close();
        self.full
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.bytes += self.open.bytes();
            self.full.push(std::mem::take(&mut self.open));
        }
    }
}

impl EntrySink for Entries {
    fn push(
        &mut self,
        push: &mut dyn FnMut(&mut EntryBuilder) -> Result<(), EntryError>,
    ) -> Result<(), EntryError> {
        if self.open.bytes() >= LONG_STATEMENT_ENTRY_BYTES {
            self.close();
        }
        let mark = self.open.mark();
        match push(&mut self.open) {
            Err(EntryError::Full) if !self.open.is_empty() => {
                self.open.rollback(mark);
                self.close();
                push(&mut self.open)
            }
            pushed => pushed,
        }
    }
}

/// The state that a decision has to see, of an aggregate that the statement has not changed yet.
fn current<'s, D: Domain>(
    ahead: &'s FxHashMap<D::Id, Ahead<D::State>>,
    source: &'s mut dyn AggregateSource<D>,
    id: &D::Id,
) -> Result<(&'s D::State, Version), StoreError> {
    match ahead.get(id) {
        Some(ahead) => Ok((&ahead.state, ahead.version)),
        None => source.load(id),
    }
}

impl<D: Domain> From<StoreError> for Undecided<D> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn push_events<D: Domain>(
    entry: &mut EntryBuilder,
    aggregate: &[u8],
    mut version: Version,
    events: &[D::Event],
    metadata: &Metadata,
) -> Result<(), EntryError> {
    let metadata = entry.metadata(metadata)?;
    for event in events {
        version = version.next();
        entry.push_event::<D>(aggregate, version, event, metadata)?;
    }
    Ok(())
}

fn advanced(version: Version, events: usize) -> Version {
    Version(version.0 + u64::try_from(events).expect("a usize fits 64 bits"))
}

fn emitted(events: usize) -> u32 {
    u32::try_from(events).expect("a command's events fit an entry")
}
