//! What is worked on by columns: a part of a plan whose operators hand columns to each other instead of rows.
//!
//! A [`Flow`] is compiled from the plan of a scan and of filters, plain projections, joins, windows and aggregations
//! above it, as far as each of them can be done by columns: one stage for each. Opening the stages makes a chain of
//! [`Source`]s. Windows, aggregations and the right sides of joins read all of their input then; the others work on a
//! chunk when it is read. Any number of threads read chunks of a source at once, so the whole chain above a piece of a
//! table is run by the thread that reads it.
//!
//! If a stage cannot be opened (the table has no columns for this snapshot, the transaction notes what it reads, or the
//! memory does not hold what is gathered), nothing has come out yet, and the plan is run by rows instead, which can go
//! to disk. Both give the same answers.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use rayon::ThreadPool;

use crate::column::{Column, ColumnKind, Piece};
use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::explain::Counters;
use crate::plan::{Expr, JoinKind, Plan, PlanNode};
use crate::readers::{PARALLEL_ROWS_MIN, readers};

use super::filter::{Filter, Filtered};
use super::{aggregate, join, scan, window};

/// Rows by columns, and which of them count.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Where it stands among those of its source: rows come in the order of this and of their numbers. [`Pieces`] says it.
    pub(super) place: u64,
    /// The keys of the rows, of a table.
    pub(super) keys: Option<Arc<Column>>,
    /// The columns; those that nobody looks at may be empty.
    pub(super) columns: Vec<Arc<Column>>,
    /// The numbers of the rows that count, ascending.
    pub(super) rows: Vec<u32>,
}

/// Chunks to be read, by many threads at once.
pub(super) trait Source: Send + Sync {
    /// What there is to read, in order.
    fn pieces(&self) -> VecDeque<Piece>;

    /// Reads what a piece begins with, and says what is left of it.
    fn read(&self, piece: Piece, env: &Env<'_>) -> Result<(Chunk, Option<Piece>)>;

    /// About how many rows there are.
    fn rows(&self) -> u64;
}

/// A step of a flow that is not run yet.
pub(super) trait Stage: Send {
    /// Says of which of its columns the values are looked at.
    fn narrow(&mut self, wanted: &[bool]);

    /// Begins, with the chunks in the order of the rows if they have to be; none if it has to be done by rows. It may
    /// be opened again, and begins anew then.
    fn open(&mut self, ordered: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>>;
}

/// A column of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowColumn {
    /// What its values are.
    pub(super) kind: ColumnKind,
    /// Whether they may be null.
    pub(super) nullable: bool,
}

/// A part of a plan that is worked on by columns.
pub(crate) struct Flow {
    pub(super) columns: Vec<FlowColumn>,
    pub(super) stage: Box<dyn Stage>,
}

impl Flow {
    /// The flow that does the work of a plan; none if it cannot be done by columns.
    pub(crate) fn of(builder: &mut Builder<'_>, plan: &Plan) -> Result<Option<Self>> {
        match &plan.node {
            PlanNode::Scan { .. } => scan::stage(builder, plan),
            PlanNode::Filter { input, predicate } => {
                let Some(input) = Self::input(builder, input)? else { return Ok(None) };
                input.filtered(builder, Some(predicate))
            }
            PlanNode::Project { input, expressions } => {
                let Some(input) = Self::input(builder, input)? else { return Ok(None) };
                Ok(input.projected(expressions))
            }
            PlanNode::Join { left, right, kind, on, lateral: false } => {
                if matches!(kind, JoinKind::Right | JoinKind::Full) {
                    return Ok(None);
                }
                join::stage(builder, left, right, *kind, on.as_ref())
            }
            PlanNode::Window { input, calls } => window::stage(builder, input, calls),
            PlanNode::Aggregate { input, group, grouping_sets, aggregates } => {
                let [set] = &**grouping_sets else { return Ok(None) };
                if set.len() != group.len() {
                    return Ok(None);
                }
                aggregate::stage(builder, input, group, aggregates)
            }
            PlanNode::Distinct { input, on: None } => {
                // Rows that differ are the groups by all columns.
                let columns = input.columns.iter().enumerate();
                let group: Vec<Expr> = columns.map(|(at, it)| Expr::Column(at, it.ty)).collect();
                if group.is_empty() {
                    return Ok(None);
                }
                aggregate::stage(builder, input, &group, &[])
            }
            _ => Ok(None),
        }
    }

    /// The same for a plan whose rows another stage takes.
    pub(super) fn input(builder: &mut Builder<'_>, plan: &Plan) -> Result<Option<Self>> {
        let flow = Self::of(builder, plan)?;
        let counters = builder.counters(plan);
        Ok(flow.map(|flow| match counters {
            Some(counters) => {
                Self { stage: Box::new(Counting { input: flow.stage, counters }), ..flow }
            }
            None => flow,
        }))
    }

    /// The rows for which a condition holds; none if it needs more than the row.
    pub(super) fn filtered(
        self,
        builder: &mut Builder<'_>,
        condition: Option<&Expr>,
    ) -> Result<Option<Self>> {
        let Self { columns, stage } = self;
        let Some(filter) = Filter::compile(builder, condition, columns.len())? else {
            return Ok(None);
        };
        Ok(Some(Self { stage: Box::new(Filtered::new(stage, filter, columns.len())), columns }))
    }

    /// Some of the columns; none if an expression is not a plain column.
    fn projected(self, expressions: &[Expr]) -> Option<Self> {
        let column = |expression: &Expr| match expression {
            Expr::Column(column, _) => Some(*column),
            _ => None,
        };
        let of = expressions.iter().map(column).collect::<Option<Vec<_>>>()?;
        let columns = of.iter().map(|column| self.columns.get(*column).copied());
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let width = self.columns.len();
        Some(Self { columns, stage: Box::new(Projected { input: self.stage, of, width }) })
    }
}

/// A column of no values, in the place of one that nobody looks at.
pub(super) fn unwanted(kind: ColumnKind) -> Arc<Column> {
    Arc::new(Column::with_capacity(kind, 0))
}

/// The columns that are wanted among so many.
pub(super) fn wanted(columns: impl IntoIterator<Item = usize>, width: usize) -> Vec<bool> {
    let mut wanted = vec![false; width];
    for column in columns {
        if let Some(wanted) = wanted.get_mut(column) {
            *wanted = true;
        }
    }
    wanted
}

/// Some columns of another stage's.
struct Projected {
    input: Box<dyn Stage>,
    of: Vec<usize>,
    /// The columns of the input.
    width: usize,
}

struct ProjectedSource {
    input: Arc<dyn Source>,
    of: Vec<usize>,
}

impl Stage for Projected {
    fn narrow(&mut self, columns: &[bool]) {
        let of = self.of.iter().zip(columns).filter(|(_, wanted)| **wanted);
        self.input.narrow(&wanted(of.map(|(column, _)| *column), self.width));
    }

    fn open(&mut self, ordered: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        let Some(input) = self.input.open(ordered, env)? else { return Ok(None) };
        Ok(Some(Arc::new(ProjectedSource { input, of: self.of.clone() })))
    }
}

impl Source for ProjectedSource {
    fn pieces(&self) -> VecDeque<Piece> {
        self.input.pieces()
    }

    fn read(&self, piece: Piece, env: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let (mut chunk, left) = self.input.read(piece, env)?;
        chunk.columns = self.of.iter().map(|column| Arc::clone(&chunk.columns[*column])).collect();
        Ok((chunk, left))
    }

    fn rows(&self) -> u64 {
        self.input.rows()
    }
}

/// Counts what another stage does, for `EXPLAIN ANALYZE`.
struct Counting {
    input: Box<dyn Stage>,
    counters: Arc<Counters>,
}

struct Counted {
    input: Arc<dyn Source>,
    counters: Arc<Counters>,
}

impl Stage for Counting {
    fn narrow(&mut self, wanted: &[bool]) {
        self.input.narrow(wanted);
    }

    fn open(&mut self, ordered: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        let clock = &env.statement.context.clock;
        let start = clock.now_microseconds();
        let Some(input) = self.input.open(ordered, env)? else { return Ok(None) };
        self.counters.record(true, 0, clock.now_microseconds().saturating_sub(start));
        Ok(Some(Arc::new(Counted { input, counters: Arc::clone(&self.counters) })))
    }
}

impl Source for Counted {
    fn pieces(&self) -> VecDeque<Piece> {
        self.input.pieces()
    }

    fn read(&self, piece: Piece, env: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let clock = &env.statement.context.clock;
        let start = clock.now_microseconds();
        let read = self.input.read(piece, env)?;
        let took = clock.now_microseconds().saturating_sub(start);
        self.counters.record(false, read.0.rows.len(), took);
        Ok(read)
    }

    fn rows(&self) -> u64 {
        self.input.rows()
    }
}

/// The pieces of a source, for all readers.
pub(super) struct Pieces<'s> {
    source: &'s dyn Source,
    left: Mutex<VecDeque<Numbered>>,
}

/// A piece, its number, and how often something of it has been read already.
type Numbered = (u32, u32, Piece);

impl<'s> Pieces<'s> {
    /// All of them.
    pub(super) fn of(source: &'s dyn Source) -> Self {
        let pieces = (0..).zip(source.pieces()).map(|(number, piece)| (number, 0, piece));
        Self { source, left: Mutex::new(pieces.collect()) }
    }

    /// Reads the next chunk. None after the last.
    pub(super) fn next(&self, env: &Env<'_>) -> Result<Option<Chunk>> {
        env.check()?;
        let Some((number, part, piece)) = self.left.lock().pop_front() else { return Ok(None) };
        let (mut chunk, left) = self.source.read(piece, env)?;
        if let Some(left) = left {
            self.left.lock().push_front((number, part + 1, left));
        }
        chunk.place = u64::from(number) << 32 | u64::from(part);
        Ok(Some(chunk))
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
        match readers_for(self.source.rows()) {
            None => Ok(vec![work()?]),
            // A reader that panics takes the statement with it, and the hook for panics has told of it.
            Some(pool) => pool.broadcast(|_| work()).into_iter().collect(),
        }
    }
}

/// The readers, if there are enough rows for them.
pub(super) fn readers_for(rows: u64) -> Option<&'static ThreadPool> {
    if rows >= PARALLEL_ROWS_MIN { readers() } else { None }
}

/// The pieces of so many numbered rows.
pub(super) fn numbered(rows: usize) -> VecDeque<Piece> {
    /// The rows of a piece.
    const ROWS: usize = 1 << 13;
    let number = |row: usize| u128::try_from(row).unwrap_or(u128::MAX);
    let piece = |from: usize| Piece { from: number(from), to: Some(number(rows.min(from + ROWS))) };
    (0..rows).step_by(ROWS).map(piece).collect()
}

/// The rows of such a piece.
pub(super) fn numbers(piece: Piece) -> std::ops::Range<usize> {
    let number = |number: u128| usize::try_from(number).unwrap_or(usize::MAX);
    number(piece.from)..piece.to.map_or(usize::MAX, number)
}
