//! Rows made of columns: those of a whole table that a filter keeps, piece by piece, read ahead by the readers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use parking_lot::Mutex;
use rayon::ThreadPool;

use crate::column::{Column, ColumnBatch, ColumnKind, ColumnSource, Piece};
use crate::error::{Result, SqlError};
use crate::exec::Batch;
use crate::exec::environment::{Env, Statement};
use crate::exec::memory::Reservation;
use crate::plan::{Expr, Plan, PlanNode, ScanAccess};
use crate::readers::{PARALLEL_ROWS_MIN, readers};
use crate::relation::Relation;
use crate::types::PgType;

use super::filter::{Filter, place};

/// The pieces that one statement has read ahead at most. With the rows of a piece it bounds the memory.
const AHEAD_MAX: usize = 8;

/// All of a relation.
#[derive(Debug)]
pub(crate) struct Whole {
    relation: Arc<dyn Relation>,
    columns: Vec<usize>,
}

/// A scan of a whole relation that keeps its columns.
pub(super) struct Scanned<'p> {
    pub(super) relation: &'p Arc<dyn Relation>,
    pub(super) columns: &'p [usize],
    pub(super) filter: Option<&'p Expr>,
    /// What each column is.
    pub(super) kinds: Vec<ColumnKind>,
    /// Whether it may be null.
    pub(super) nullable: Vec<bool>,
    pub(super) whole: Whole,
}

impl<'p> Scanned<'p> {
    /// The scan that a plan is, if it is one.
    pub(super) fn of(plan: &'p Plan) -> Option<Self> {
        let PlanNode::Scan { relation, columns, access: ScanAccess::Full, filter } = &plan.node
        else {
            return None;
        };
        let whole = Whole::of(relation, columns)?;
        let schema = relation.schema();
        let kinds = columns.iter().map(|column| kind(schema.columns.get(*column)?.ty));
        let kinds = kinds.collect::<Option<Vec<_>>>()?;
        let nullable =
            |column: &usize| schema.columns.get(*column).is_none_or(|column| !column.not_null);
        let nullable = columns.iter().map(nullable).collect();
        Some(Self { relation, columns, filter: filter.as_ref(), kinds, nullable, whole })
    }
}

/// What the values of a type are where they are kept as a column.
fn kind(ty: PgType) -> Option<ColumnKind> {
    Some(match ty {
        PgType::Int4 => ColumnKind::Int4,
        PgType::Int8 => ColumnKind::Int8,
        PgType::Date => ColumnKind::Date,
        PgType::TimestampTz => ColumnKind::TimestampTz,
        PgType::Uuid => ColumnKind::Uuid,
        PgType::Text => ColumnKind::Code,
        _ => return None,
    })
}

impl Whole {
    /// These columns of it, if they are kept; if none is wanted, one of them tells how many rows there are.
    pub(crate) fn of(relation: &Arc<dyn Relation>, columns: &[usize]) -> Option<Self> {
        let columns = if columns.is_empty() { vec![0] } else { columns.to_vec() };
        let kept = relation.keeps_columns(&columns);
        kept.then(|| Self { relation: Arc::clone(relation), columns })
    }

    /// Its columns; none if they are not kept, or if the transaction notes which rows it reads.
    pub(super) fn open(&self, env: &Env<'_>) -> Result<Option<Arc<dyn ColumnSource>>> {
        let context = &env.statement.context;
        if context.reads.is_some() {
            return Ok(None);
        }
        self.relation.columns(context, &self.columns)
    }
}

/// Columns of all rows.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The columns.
    pub(super) columns: Vec<Column>,
    /// The number of rows.
    pub(super) rows: usize,
}

impl Whole {
    /// All rows that a filter keeps, in the order of their keys, read by all readers at once; none if they are not kept
    /// as columns, or if the memory does not hold them and `more` bytes for each of them.
    pub(super) fn gather(
        &self,
        filter: &Filter,
        more: usize,
        memory: &mut Reservation,
        env: &Env<'_>,
    ) -> Result<Option<Gathered>> {
        let Some(source) = self.open(env)? else { return Ok(None) };
        let pieces = Pieces::of(&*source);
        let mut parts = Vec::new();
        let mut bytes = 0;
        for part in pieces.read_by_all(|| gather_pieces(&pieces, filter, more, env))? {
            let Some((mut part, share)) = part else { return Ok(None) };
            parts.append(&mut part);
            bytes += share.bytes();
        }
        memory.take(bytes);
        parts.sort_by_key(|(from, _)| *from);
        let rows = parts.iter().map(|(_, batch): &(u128, ColumnBatch)| batch.rows).sum();
        let mut parts = parts.into_iter().map(|(_, batch)| batch);
        let Some(first) = parts.next() else { return Ok(None) };
        let mut columns: Vec<Column> =
            first.columns.iter().map(|column| Column::clone(column)).collect();
        for part in parts {
            for (column, more) in columns.iter_mut().zip(&part.columns) {
                column.append(more);
            }
        }
        Ok(Some(Gathered { columns, rows }))
    }
}

/// What one reader gathers, by the keys that pieces begin with, and its share of the memory.
type GatheredPieces = (Vec<(u128, ColumnBatch)>, Reservation);

/// Gathers what a filter keeps of pieces; none if the memory does not hold it.
fn gather_pieces(
    pieces: &Pieces<'_>,
    filter: &Filter,
    more: usize,
    env: &Env<'_>,
) -> Result<Option<GatheredPieces>> {
    let mut gathered = Vec::new();
    let mut memory = env.statement.reservation();
    while let Some((from, mut batch)) = pieces.next(env)? {
        let rows = filter.rows(&batch, env)?;
        if rows.len() < batch.rows {
            for column in &mut batch.columns {
                *column = Arc::new(column.select(&rows));
            }
            batch.rows = rows.len();
        }
        let bytes: usize = batch.columns.iter().map(|column| column.bytes()).sum();
        if !memory.try_share(bytes + batch.rows * more) {
            pieces.stop();
            return Ok(None);
        }
        gathered.push((from, batch));
    }
    Ok(Some((gathered, memory)))
}

/// The pieces of a source, for all readers.
pub(super) struct Pieces<'s> {
    source: &'s dyn ColumnSource,
    left: Mutex<VecDeque<Piece>>,
}

impl<'s> Pieces<'s> {
    /// All of them.
    pub(super) fn of(source: &'s dyn ColumnSource) -> Self {
        Self { source, left: Mutex::new(source.pieces()) }
    }

    /// Reads the next piece: the key that it begins with, and its rows. None after the last.
    pub(super) fn next(&self, env: &Env<'_>) -> Result<Option<(u128, ColumnBatch)>> {
        env.check()?;
        let Some(piece) = self.left.lock().pop_front() else { return Ok(None) };
        let (batch, left) = self.source.read(piece)?;
        if let Some(left) = left {
            self.left.lock().push_front(left);
        }
        Ok(Some((piece.from, batch)))
    }

    /// Nobody needs more of them.
    pub(super) fn stop(&self) {
        self.left.lock().clear();
    }

    /// Has every reader do its work, or the statement itself where that is not worth it.
    pub(super) fn read_by_all<T: Send>(
        &self,
        work: impl Fn() -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        match pool_for(self.source) {
            None => Ok(vec![work()?]),
            // A reader that panics takes the statement with it, and the hook for panics has told of it.
            Some(pool) => pool.broadcast(|_| work()).into_iter().collect(),
        }
    }
}

/// The readers, if a source is large enough for them.
fn pool_for(source: &dyn ColumnSource) -> Option<&'static ThreadPool> {
    if source.rows() >= PARALLEL_ROWS_MIN { readers() } else { None }
}

/// Rows of a whole table, filtered.
pub(crate) struct ColumnRows {
    whole: Whole,
    filter: Arc<Filter>,
    statement: Arc<Statement>,
    open: Option<Open>,
}

/// The rows of a piece, and what is left of it.
type Read = Result<(Batch, Option<Piece>)>;

struct Open {
    source: Arc<dyn ColumnSource>,
    pool: Option<&'static ThreadPool>,
    pieces: VecDeque<Piece>,
    reading: VecDeque<Receiver<Read>>,
    /// How many pieces are read at once: few as long as few rows may be wanted.
    ahead: usize,
}

impl ColumnRows {
    /// Those of `whole` that `filter` keeps.
    pub(crate) fn new(whole: Whole, filter: Filter, statement: &Arc<Statement>) -> Self {
        Self { whole, filter: Arc::new(filter), statement: Arc::clone(statement), open: None }
    }

    /// Begins; false if there are no columns.
    pub(crate) fn open(&mut self, env: &Env<'_>) -> Result<bool> {
        let Some(source) = self.whole.open(env)? else { return Ok(false) };
        let (pool, pieces) = (pool_for(&*source), source.pieces());
        self.open = Some(Open { source, pool, pieces, reading: VecDeque::new(), ahead: 1 });
        Ok(true)
    }

    /// The rows of the next piece, never none; `None` after the last.
    pub(crate) fn next(&mut self, env: &Env<'_>) -> Result<Option<Batch>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        loop {
            env.check()?;
            let (batch, left) = match open.pool {
                None => {
                    let Some(piece) = open.pieces.pop_front() else { return Ok(None) };
                    read(&*open.source, &self.filter, piece, &self.statement)?
                }
                Some(pool) => {
                    open.read_ahead(pool, &self.filter, &self.statement);
                    let Some(first) = open.reading.pop_front() else { return Ok(None) };
                    // The sender is gone without a word only if its thread has panicked.
                    first.recv().map_err(|_| SqlError::internal("a reader has failed"))??
                }
            };
            if let Some(left) = left {
                open.pieces.push_front(left);
            }
            if batch.rows > 0 {
                return Ok(Some(batch));
            }
        }
    }

    /// Forgets what is read.
    pub(crate) fn rewind(&mut self) {
        self.open = None;
    }
}

impl Open {
    fn read_ahead(&mut self, pool: &ThreadPool, filter: &Arc<Filter>, statement: &Arc<Statement>) {
        while self.reading.len() < self.ahead
            && let Some(piece) = self.pieces.pop_front()
        {
            let (sender, receiver) = sync_channel(1);
            let (source, filter) = (Arc::clone(&self.source), Arc::clone(filter));
            let statement = Arc::clone(statement);
            pool.spawn(move || {
                let rows = read(&*source, &filter, piece, &statement);
                drop((source, filter, statement));
                // Nobody listens once the statement has ended.
                let _ = sender.send(rows);
            });
            self.reading.push_back(receiver);
        }
        self.ahead = (self.ahead * 2).min(pool.current_num_threads() + 1).min(AHEAD_MAX);
    }
}

impl Drop for Open {
    /// Waits for what is being read: whoever reads holds the snapshot, and through it the store.
    fn drop(&mut self) {
        for piece in self.reading.drain(..) {
            let _ = piece.recv();
        }
    }
}

/// The rows of a piece that the filter keeps.
fn read(source: &dyn ColumnSource, filter: &Filter, piece: Piece, statement: &Statement) -> Read {
    let (columns, left) = source.read(piece)?;
    let rows = filter.rows(&columns, &Env::new(statement))?;
    let width = columns.columns.len();
    let mut values = Vec::with_capacity(rows.len() * width);
    for row in &rows {
        values.extend(columns.columns.iter().map(|column| column.datum(place(*row))));
    }
    Ok((Batch { width, rows: rows.len(), values }, left))
}
