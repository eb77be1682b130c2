//! Rows made of columns: those of a flow, piece by piece, read ahead by the readers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::ThreadPool;

use crate::column::Piece;
use crate::error::{Result, SqlError};
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::{Env, Statement};
use crate::exec::operators::{BoxOperator, Operator};
use crate::plan::{Expr, Plan, PlanNode};
use crate::relation::Relation;

use super::filter::place;
use super::flow::{Flow, Source, readers_for};
use super::scan::Scanned;

/// The pieces that one statement has read ahead at most. With the rows of a piece it bounds the memory.
const AHEAD_MAX: usize = 8;

/// Rows of a flow.
pub(crate) struct ColumnRows {
    flow: Flow,
    statement: Arc<Statement>,
    open: Option<Open>,
}

/// The rows of a piece, and what is left of it.
type Read = Result<(Batch, Option<Piece>)>;

struct Open {
    source: Arc<dyn Source>,
    width: usize,
    pool: Option<&'static ThreadPool>,
    pieces: VecDeque<Piece>,
    reading: VecDeque<Receiver<Read>>,
    /// How many pieces are read at once: few as long as few rows may be wanted.
    ahead: usize,
}

/// The operator of a plan that works by columns, or by rows where that cannot be.
struct ByColumns {
    rows: ColumnRows,
    otherwise: BoxOperator,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Columns,
    Rows,
}

/// The operator of a plan, given that which works by rows. Scans choose by themselves, and what stands above a flow
/// without being a part of it takes its rows.
pub(crate) fn by_columns(
    builder: &mut Builder<'_>,
    plan: &Plan,
    by_rows: BoxOperator,
) -> Result<BoxOperator> {
    use PlanNode::{Aggregate, Distinct, Filter, Join, Window};
    let may_be = matches!(
        plan.node,
        Filter { .. } | Join { .. } | Window { .. } | Aggregate { .. } | Distinct { .. }
    );
    if !may_be {
        return Ok(by_rows);
    }
    let Some(flow) = Flow::of(builder, plan)? else { return Ok(by_rows) };
    let rows = ColumnRows::new(flow, builder.statement());
    Ok(Box::new(ByColumns { rows, otherwise: by_rows, state: State::Start }))
}

impl Operator for ByColumns {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if self.state == State::Start {
            let columns = self.rows.open(&env)?;
            self.state = if columns { State::Columns } else { State::Rows };
            if !columns {
                // What both share may have been read.
                self.otherwise.rewind();
            }
        }
        match self.state {
            State::Columns => self.rows.next(&env),
            _ => self.otherwise.next(env),
        }
    }

    fn rewind(&mut self) {
        self.rows.rewind();
        self.otherwise.rewind();
        self.state = State::Start;
    }

    fn bound(&mut self, rows: usize) {
        self.otherwise.bound(rows);
    }
}

impl ColumnRows {
    fn new(flow: Flow, statement: &Arc<Statement>) -> Self {
        Self { flow, statement: Arc::clone(statement), open: None }
    }

    /// Those of a whole relation that a filter keeps, if it keeps columns.
    pub(crate) fn of(
        builder: &mut Builder<'_>,
        relation: &Arc<dyn Relation>,
        columns: &[usize],
        filter: Option<&Expr>,
    ) -> Result<Option<Self>> {
        let Some(scan) = Scanned::whole(relation, columns, filter) else { return Ok(None) };
        let flow = scan.flow(builder)?;
        Ok(flow.map(|flow| Self::new(flow, builder.statement())))
    }

    /// Begins; false if it cannot be done by columns.
    pub(crate) fn open(&mut self, env: &Env<'_>) -> Result<bool> {
        let Some(source) = self.flow.stage.open(true, env)? else { return Ok(false) };
        let (pool, pieces) = (readers_for(source.rows()), source.pieces());
        let width = self.flow.columns.len();
        self.open = Some(Open { source, width, pool, pieces, reading: VecDeque::new(), ahead: 1 });
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
                    read(&*open.source, open.width, piece, &self.statement)?
                }
                Some(pool) => {
                    open.read_ahead(pool, &self.statement);
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
    fn read_ahead(&mut self, pool: &ThreadPool, statement: &Arc<Statement>) {
        while self.reading.len() < self.ahead
            && let Some(piece) = self.pieces.pop_front()
        {
            let (sender, receiver) = sync_channel(1);
            let (source, width) = (Arc::clone(&self.source), self.width);
            let statement = Arc::clone(statement);
            pool.spawn(move || {
                let rows = read(&*source, width, piece, &statement);
                drop((source, statement));
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

/// The rows of a piece.
fn read(source: &dyn Source, width: usize, piece: Piece, statement: &Statement) -> Read {
    let (chunk, left) = source.read(piece, &Env::new(statement))?;
    let mut values = Vec::with_capacity(chunk.rows.len() * width);
    for row in &chunk.rows {
        values.extend(chunk.columns.iter().take(width).map(|column| column.datum(place(*row))));
    }
    Ok((Batch { width, rows: chunk.rows.len(), values }, left))
}
