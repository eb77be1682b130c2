//! Columns of the legs in memory, for scans: a part of the table's rows each, kept as wide as statements have asked.
//!
//! # How they stay true
//!
//! Writes are numbered. Whoever writes says which rows it is about to change ([`Columns::begin`]), writes, and says that
//! it has ([`Columns::end`]). A snapshot knows the last write that had ended when it was taken: it shows all up to that
//! one, and maybe some of the next. A chunk knows the same of the snapshot that it was read from, and which of its rows
//! were changed by later writes. So for a snapshot that is not older than the chunk, the rows that nobody has changed are
//! what the chunk says, and the others are few: they are read again, and the chunk goes on from there.
//!
//! Who reads with an older snapshot reads the store. What is not read is forgotten when others need the room.
//!
//! # What it must never know
//!
//! What columns are for, and how rows are read: the bytes of rows are the relation's business.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::column::{Column, Piece, Values};

/// What bounds the memory and the work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The bytes of all columns.
    pub(crate) bytes: usize,
    /// The rows that a chunk is meant to have; it has twice as many at most.
    pub(crate) chunk_rows: usize,
    /// The changed rows of a chunk that are read again one by one; a chunk with more is forgotten.
    pub(crate) changed: usize,
    /// The changed rows that are remembered for chunks to come: of the writes that a snapshot may not show although they
    /// are older than a chunk read from it.
    pub(crate) recent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Some 60 bytes for each leg whose schedule is validated by scans.
        Self { bytes: 256 << 20, chunk_rows: 1 << 13, changed: 512, recent: 1 << 15 }
    }
}

/// A chunk that so many scans have not used gives way to others.
const UNUSED_SCANS: u64 = 8;

/// Roughly the bytes that a chunk takes beside its columns.
const CHUNK_BYTES: usize = 512;

/// Columns of one table whose keys are numbers of 128 bits.
#[derive(Debug)]
pub(crate) struct Columns {
    limits: Limits,
    /// Whether anybody has asked for columns: until then writes need not say what they change.
    asked: AtomicBool,
    ended: AtomicU64,
    writing: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: u64,
    /// Rows that were changed lately, with the number of the write.
    recent: VecDeque<(u64, u128)>,
    /// `recent` has all changes of later writes than this one.
    recent_after: u64,
    chunks: BTreeMap<u128, Chunk>,
    bytes: usize,
    /// Counts scans.
    scans: u64,
}

/// The rows from one key to another.
#[derive(Debug)]
struct Chunk {
    to: Option<u128>,
    /// The last write that it is sure to show.
    shows: u64,
    /// The rows that later writes have changed, maybe more than once.
    changed: Vec<u128>,
    rows: Rows,
    /// The last scan that used it.
    used: u64,
}

/// Rows that stand together, as far as they are known.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// Their keys, ascending.
    pub(crate) keys: Arc<Column>,
    /// The columns of the table that are known.
    pub(crate) columns: Vec<Option<Arc<Column>>>,
}

/// A write under way; writes come one after the other.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    columns: &'a Columns,
    number: u64,
    #[expect(dead_code, reason = "keeps others from writing")]
    turn: MutexGuard<'a, ()>,
}

impl Drop for Writing<'_> {
    /// The write has ended; if it failed, its rows are read again, which does no harm.
    fn drop(&mut self) {
        self.columns.ended.store(self.number, Ordering::Release);
    }
}

/// What is known of the rows at the beginning of a piece.
#[derive(Debug)]
pub(crate) enum Found {
    /// Rows from a chunk, of which some may have changed since.
    Rows {
        /// Where the chunk stands.
        piece: Piece,
        /// Its rows.
        rows: Rows,
        /// Those that may have changed, ascending.
        changed: Vec<u128>,
    },
    /// Nothing for this snapshot: the rows of the piece have to be read, and may be kept if so it says.
    Nothing {
        /// What to read at most.
        piece: Piece,
        /// Whether what is read can be kept.
        keep: bool,
    },
}

impl Columns {
    /// No columns yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            asked: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            writing: Mutex::new(()),
            state: Mutex::default(),
        }
    }

    /// The rows that a chunk has at most.
    pub(crate) fn chunk_rows_max(&self) -> usize {
        self.limits.chunk_rows * 2
    }

    /// Begins a write of rows with these keys.
    pub(crate) fn begin(&self, keys: impl Iterator<Item = u128>) -> Writing<'_> {
        let turn = self.writing.lock();
        let mut state = self.state.lock();
        state.begun += 1;
        let number = state.begun;
        if self.asked.load(Ordering::Acquire) {
            keys.for_each(|key| state.change(number, key, &self.limits));
        } else {
            state.recent_after = number;
        }
        drop(state);
        Writing { columns: self, number, turn }
    }

    /// The last write that has ended; to be asked before a snapshot is taken.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Begins a scan: gives its number.
    pub(crate) fn scan(&self) -> u64 {
        self.asked.store(true, Ordering::Release);
        let mut state = self.state.lock();
        state.scans += 1;
        state.scans
    }

    /// The pieces in which about so many rows are read.
    pub(crate) fn pieces(&self, rows: u64) -> VecDeque<Piece> {
        let state = self.state.lock();
        let known: usize = state.chunks.values().map(|chunk| chunk.rows.keys.len()).sum();
        let unknown = usize::try_from(rows).unwrap_or(usize::MAX).saturating_sub(known);
        let mut pieces = VecDeque::new();
        let mut from = Some(0);
        for (start, chunk) in &state.chunks {
            if let Some(from) = from
                && from < *start
            {
                pieces.push_back(Piece { from, to: Some(*start) });
            }
            pieces.push_back(Piece { from: *start, to: chunk.to });
            from = chunk.to;
        }
        if let Some(from) = from {
            // Only where nothing is known is a piece worth cutting: keys that ascend with time stand at the end.
            let parts =
                if state.chunks.is_empty() { unknown / self.limits.chunk_rows + 1 } else { 1 };
            pieces.extend(cut(from, parts));
        }
        pieces
    }

    /// What is known of the rows at the beginning of a piece for a snapshot that shows all writes up to `shows`.
    pub(crate) fn find(&self, piece: Piece, shows: u64, scan: u64) -> Found {
        let mut state = self.state.lock();
        let keep = state.recent_after <= shows;
        let before = state.chunks.range_mut(..=piece.from).next_back();
        if let Some((start, chunk)) = before
            && chunk.to.is_none_or(|to| piece.from < to)
        {
            let at = Piece { from: *start, to: chunk.to };
            if chunk.shows <= shows {
                chunk.used = scan;
                chunk.changed.sort_unstable();
                chunk.changed.dedup();
                return Found::Rows {
                    piece: at,
                    rows: chunk.rows.clone(),
                    changed: chunk.changed.clone(),
                };
            }
            return Found::Nothing { piece: piece.until(chunk.to), keep: false };
        }
        let next = state.chunks.range(piece.from..).next().map(|(start, _)| *start);
        Found::Nothing { piece: piece.until(next), keep }
    }

    /// Keeps rows that were read from a snapshot that shows all writes up to `shows`, unless others were kept meanwhile.
    pub(crate) fn keep(&self, piece: Piece, rows: Rows, shows: u64, scan: u64) {
        let mut state = self.state.lock();
        if state.recent_after > shows || !state.is_free(piece, shows) {
            return;
        }
        if let Some(old) = state.chunks.remove(&piece.from) {
            state.bytes -= old.rows.bytes();
        }
        let bytes = rows.bytes();
        if state.bytes + bytes > self.limits.bytes {
            state.forget(self.limits.bytes.saturating_sub(bytes), scan);
            if state.bytes + bytes > self.limits.bytes {
                return;
            }
        }
        let later = |(number, key): &&(u64, u128)| *number > shows && piece.holds(*key);
        let changed = state.recent.iter().filter(later).map(|(_, key)| *key).collect();
        state.bytes += bytes;
        state.chunks.insert(piece.from, Chunk { to: piece.to, shows, changed, rows, used: scan });
    }

    /// The bytes that the columns take.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

impl State {
    /// Notes a change of a row.
    fn change(&mut self, number: u64, key: u128, limits: &Limits) {
        if self.recent.len() >= limits.recent
            && let Some((forgotten, _)) = self.recent.pop_front()
        {
            self.recent_after = forgotten;
        }
        self.recent.push_back((number, key));
        let Some((start, chunk)) = self.chunks.range_mut(..=key).next_back() else { return };
        if chunk.to.is_some_and(|to| to <= key) {
            return;
        }
        chunk.changed.push(key);
        if chunk.changed.len() > limits.changed {
            chunk.changed.sort_unstable();
            chunk.changed.dedup();
            if chunk.changed.len() > limits.changed / 2 {
                let start = *start;
                if let Some(chunk) = self.chunks.remove(&start) {
                    self.bytes -= chunk.rows.bytes();
                }
            }
        }
    }

    /// Whether nothing stands at a piece but a chunk that begins with it, goes as far at least, and is not newer.
    fn is_free(&self, piece: Piece, shows: u64) -> bool {
        let before = self.chunks.range(..piece.from).next_back();
        if before.is_some_and(|(_, chunk)| chunk.to.is_none_or(|to| piece.from < to)) {
            return false;
        }
        match self.chunks.range(piece.from..).next() {
            None => true,
            Some((start, chunk)) if *start == piece.from => {
                chunk.shows <= shows && piece.until(chunk.to) == piece
            }
            Some((start, _)) => piece.until(Some(*start)) == piece,
        }
    }

    /// Forgets chunks that no scan has used for a while, until no more than `bytes_max` are left. Those of late stay: of
    /// a table that is too large, what is kept is of use to the next scan, and the rest is read.
    fn forget(&mut self, bytes_max: usize, scan: u64) {
        let mut unused: Vec<(u64, u128)> = self
            .chunks
            .iter()
            .filter(|(_, chunk)| chunk.used + UNUSED_SCANS < scan)
            .map(|(start, chunk)| (chunk.used, *start))
            .collect();
        unused.sort_unstable();
        for (_, start) in unused {
            if self.bytes <= bytes_max {
                return;
            }
            if let Some(chunk) = self.chunks.remove(&start) {
                self.bytes -= chunk.rows.bytes();
            }
        }
    }
}

impl Rows {
    /// The keys.
    pub(crate) fn ids(&self) -> &[u128] {
        match &self.keys.values {
            Values::Uuid(ids) => ids,
            _ => &[],
        }
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: usize) -> u128 {
        self.ids()[row]
    }

    /// How many rows have smaller keys.
    pub(crate) fn place(&self, key: u128) -> usize {
        self.ids().partition_point(|id| *id < key)
    }

    /// Some of them.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        let columns = self.columns.iter();
        let part = |column: &Arc<Column>| Arc::new(column.slice(rows.clone()));
        Self {
            keys: part(&self.keys),
            columns: columns.map(|column| column.as_ref().map(part)).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let columns = self.columns.iter().flatten().map(|column| column.bytes());
        CHUNK_BYTES + self.keys.bytes() + columns.sum::<usize>()
    }
}

impl Piece {
    /// It, up to a key.
    fn until(self, to: Option<u128>) -> Self {
        let end = match (self.to, to) {
            (Some(own), Some(to)) => Some(own.min(to)),
            (own, to) => own.or(to),
        };
        Self { to: end, ..self }
    }

    /// Whether a key belongs to it.
    pub(crate) fn holds(self, key: u128) -> bool {
        self.from <= key && self.to.is_none_or(|to| key < to)
    }
}

/// What is from a key on, cut as if keys were spread evenly.
fn cut(from: u128, parts: usize) -> VecDeque<Piece> {
    let parts = u128::try_from(parts).unwrap_or(1).max(1);
    let step = (u128::MAX - from) / parts;
    let mut pieces = VecDeque::new();
    let mut start = from;
    for part in 1..parts {
        let next = from + step * part;
        if next > start {
            pieces.push_back(Piece { from: start, to: Some(next) });
            start = next;
        }
    }
    pieces.push_back(Piece { from: start, to: None });
    pieces
}
