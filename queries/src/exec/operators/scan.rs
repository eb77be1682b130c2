//! Rows of a relation: all, a part of an index, those of some keys, or just how many there are.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::columnar::rows::ColumnRows;
use crate::exec::environment::Env;
use crate::exec::expression::Compiled;
use crate::exec::key::compare;
use crate::exec::operators::filter::retain;
use crate::exec::operators::{BoxOperator, Operator};
use crate::exec::tracked::Tracked;
use crate::exec::{BATCH_ROWS, Batch, Reads};
use crate::plan::{Expr, ScanAccess};
use crate::relation::{Access, Bound, Relation, RowScan};
use crate::types::Datum;

/// The rows first read for a filter, when few rows are wanted.
const FILTERED_ROWS_MIN: usize = 64;

struct Scan {
    source: Source,
    filter: Option<Compiled>,
    /// The same rows by columns, where the whole relation is read.
    columns: Option<ColumnRows>,
    state: State,
    /// How many rows the next read asks for; grows while the filter keeps little.
    chunk: usize,
}

/// What is read, and how.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) relation: Arc<dyn Relation>,
    /// The columns read.
    pub(crate) columns: Vec<usize>,
    /// Whether no column is wanted: one is read to count rows, and dropped.
    pub(crate) rows_only: bool,
    /// Which aggregates the rows come from, for transactions that note what they read.
    tracked: Option<Tracked>,
    pub(crate) access: CompiledAccess,
}

/// How rows are found.
#[derive(Debug)]
pub(crate) enum CompiledAccess {
    Full,
    Index {
        index: usize,
        prefix: Vec<Compiled>,
        lower: Option<(Compiled, bool)>,
        upper: Option<(Compiled, bool)>,
        backward: bool,
    },
    IndexAny {
        index: usize,
        keys: Compiled,
    },
    Count,
}

enum State {
    Start,
    Reading { scan: Box<dyn RowScan>, rest: VecDeque<Access> },
    Columns,
    End,
}

/// Builds a scan.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    relation: &Arc<dyn Relation>,
    columns: &[usize],
    access: &ScanAccess,
    filter: Option<&Expr>,
) -> Result<BoxOperator> {
    let source = Source::compile(relation, columns, access, &mut |expr| builder.expression(expr))?;
    let by_columns = match access {
        ScanAccess::Full => ColumnRows::of(builder, relation, columns, filter)?,
        _ => None,
    };
    let filter = builder.optional(filter)?;
    Ok(Box::new(Scan { source, filter, columns: by_columns, state: State::Start, chunk: 0 }))
}

impl Source {
    /// Compiles a scan's access.
    pub(crate) fn compile(
        relation: &Arc<dyn Relation>,
        columns: &[usize],
        access: &ScanAccess,
        compile: &mut dyn FnMut(&Expr) -> Result<Compiled>,
    ) -> Result<Self> {
        let access = match access {
            ScanAccess::Full => CompiledAccess::Full,
            ScanAccess::Count => CompiledAccess::Count,
            ScanAccess::Index { index, prefix, lower, upper, backward } => CompiledAccess::Index {
                index: *index,
                prefix: prefix.iter().map(&mut *compile).collect::<Result<_>>()?,
                lower: compile_bound(lower.as_ref(), compile)?,
                upper: compile_bound(upper.as_ref(), compile)?,
                backward: *backward,
            },
            ScanAccess::IndexAny { index, keys } => {
                CompiledAccess::IndexAny { index: *index, keys: compile(keys)? }
            }
        };
        let rows_only = columns.is_empty();
        let columns = if rows_only { vec![0] } else { columns.to_vec() };
        // What has been does not change: a transaction need not note it.
        let tracked = match relation.instant() {
            Some(_) => None,
            None => Tracked::of(relation.schema()),
        };
        Ok(Self { relation: Arc::clone(relation), columns, rows_only, tracked, access })
    }

    /// Starts reading one part. Rows come in [`Source::read_width`] columns.
    pub(crate) fn open(&self, access: &Access, env: &Env<'_>) -> Result<Box<dyn RowScan>> {
        let context = &env.statement.context;
        let Some((tracked, reads)) = self.tracking(env) else {
            return self.relation.scan(context, access, &self.columns);
        };
        tracked.note_access(access, &context.snapshot, reads)?;
        let columns: Vec<usize> = self.columns.iter().chain(tracked.columns()).copied().collect();
        self.relation.scan(context, access, &columns)
    }

    fn tracking<'e>(&self, env: &Env<'e>) -> Option<(Tracked, &'e Reads)> {
        Some((self.tracked?, env.statement.context.reads.as_deref()?))
    }

    /// The number of columns of the rows read: those wanted, and behind them those that tell the row's aggregate.
    pub(crate) fn read_width(&self, env: &Env<'_>) -> usize {
        let told = self.tracking(env).map_or(0, |(tracked, _)| tracked.columns().len());
        self.columns.len() + told
    }

    /// Notes rows as read by the transaction; they are as they were read.
    pub(crate) fn note(&self, rows: &[Datum], env: &Env<'_>) -> Result<()> {
        let Some((tracked, reads)) = self.tracking(env) else { return Ok(()) };
        let (width, wanted) = (self.read_width(env), self.columns.len());
        let told = rows.chunks_exact(width).map(|row| &row[wanted..]);
        tracked.note_rows(told, &env.statement.context.snapshot, reads)
    }

    /// Notes the rows of a batch, and leaves in it the columns that are wanted.
    fn strip(&self, batch: &mut Batch, env: &Env<'_>) -> Result<()> {
        let width = self.width();
        if batch.width == width {
            return Ok(());
        }
        self.note(&batch.values, env)?;
        let mut place = 0;
        let read = batch.width;
        batch.values.retain(|_| {
            place += 1;
            (place - 1) % read < width
        });
        batch.width = width;
        Ok(())
    }

    /// The number of columns of the rows given out.
    pub(crate) fn width(&self) -> usize {
        if self.rows_only { 0 } else { self.columns.len() }
    }

    /// The parts to read, one after the other.
    pub(crate) fn accesses(&self, env: &Env<'_>) -> Result<VecDeque<Access>> {
        let mut accesses = VecDeque::new();
        match &self.access {
            CompiledAccess::Full | CompiledAccess::Count => accesses.push_back(Access::Full),
            CompiledAccess::Index { index, prefix, lower, upper, backward } => {
                accesses.extend(index_access(
                    *index,
                    prefix,
                    lower.as_ref(),
                    upper.as_ref(),
                    *backward,
                    env,
                )?);
            }
            CompiledAccess::IndexAny { index, keys } => {
                let keys = keys.eval(&[], env)?;
                let Datum::Array(array) = &*keys else { return Ok(accesses) };
                let mut keys: Vec<Datum> =
                    array.elements.iter().filter(|key| !key.is_null()).cloned().collect();
                keys.sort_by(compare);
                keys.dedup_by(|left, right| compare(left, right).is_eq());
                accesses.extend(keys.into_iter().map(|key| Access::Index {
                    index: *index,
                    prefix: vec![key],
                    lower: Bound::Open,
                    upper: Bound::Open,
                    backward: false,
                }));
            }
        }
        Ok(accesses)
    }

    /// The number of rows of the relation.
    pub(crate) fn count(&self, env: &Env<'_>) -> Result<i64> {
        if let Some(count) = self.relation.count(&env.statement.context)? {
            return Ok(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let context = &env.statement.context;
        let mut scan = self.relation.scan(context, &Access::Full, &self.columns)?;
        let mut rows = 0;
        let mut values = Vec::new();
        loop {
            env.check()?;
            let more = scan.next(BATCH_ROWS, &mut values)?;
            rows += values.len() / self.columns.len();
            values.clear();
            if !more {
                return Ok(i64::try_from(rows).unwrap_or(i64::MAX));
            }
        }
    }
}

fn compile_bound(
    bound: Option<&(Expr, bool)>,
    compile: &mut dyn FnMut(&Expr) -> Result<Compiled>,
) -> Result<Option<(Compiled, bool)>> {
    let Some((bound, included)) = bound else { return Ok(None) };
    Ok(Some((compile(bound)?, *included)))
}

/// The part of an index; none if a value is null, since no row compares with it.
fn index_access(
    index: usize,
    prefix: &[Compiled],
    lower: Option<&(Compiled, bool)>,
    upper: Option<&(Compiled, bool)>,
    backward: bool,
    env: &Env<'_>,
) -> Result<Option<Access>> {
    let mut values = Vec::with_capacity(prefix.len());
    for expression in prefix {
        let value = expression.eval(&[], env)?.into_owned();
        if value.is_null() {
            return Ok(None);
        }
        values.push(value);
    }
    let bound = |bound: Option<&(Compiled, bool)>| -> Result<Option<Bound>> {
        let Some((expression, included)) = bound else { return Ok(Some(Bound::Open)) };
        let value = expression.eval(&[], env)?.into_owned();
        Ok(if value.is_null() {
            None
        } else if *included {
            Some(Bound::Included(value))
        } else {
            Some(Bound::Excluded(value))
        })
    };
    let (Some(lower), Some(upper)) = (bound(lower)?, bound(upper)?) else { return Ok(None) };
    Ok(Some(Access::Index { index, prefix: values, lower, upper, backward }))
}

impl Scan {
    /// Reads the next chunk into a batch; `None` at the end.
    fn read(&mut self, env: &Env<'_>) -> Result<Option<Batch>> {
        let width = self.source.read_width(env);
        let mut values = Vec::with_capacity(width * self.chunk.min(FILTERED_ROWS_MIN));
        loop {
            match &mut self.state {
                State::End | State::Columns => return Ok(None),
                State::Start => {
                    let mut rest = self.source.accesses(env)?;
                    self.state = match rest.pop_front() {
                        Some(first) => {
                            State::Reading { scan: self.source.open(&first, env)?, rest }
                        }
                        None => State::End,
                    };
                }
                State::Reading { scan, rest } => {
                    let more = scan.next(self.chunk, &mut values)?;
                    if !more {
                        match rest.pop_front() {
                            Some(access) => *scan = self.source.open(&access, env)?,
                            None => self.state = State::End,
                        }
                    }
                    let rows = values.len() / width;
                    let done = matches!(self.state, State::End);
                    if rows >= self.chunk || (rows > 0 && done) {
                        return Ok(Some(Batch { width, rows, values }));
                    }
                    if !done {
                        env.check()?;
                    }
                }
            }
        }
    }

    /// Begins to read by columns where that is worth it: not for the first few rows, whichever they are.
    fn begins_by_columns(&mut self, env: &Env<'_>) -> Result<bool> {
        if !matches!(self.state, State::Start) || (self.filter.is_none() && env.rows < BATCH_ROWS) {
            return Ok(false);
        }
        match &mut self.columns {
            Some(columns) => columns.open(env),
            None => Ok(false),
        }
    }

    fn next_filtered(&mut self, env: &Env<'_>) -> Result<Option<Batch>> {
        if let Some(Compiled::Constant(constant)) = &self.filter
            && !matches!(constant, Datum::Bool(true))
        {
            return Ok(None);
        }
        if self.begins_by_columns(env)? {
            self.state = State::Columns;
        }
        if let (State::Columns, Some(columns)) = (&self.state, &mut self.columns) {
            let Some(mut batch) = columns.next(env)? else { return Ok(None) };
            self.source.strip(&mut batch, env)?;
            return Ok(Some(batch));
        }
        let least = if self.filter.is_some() { FILTERED_ROWS_MIN } else { 1 };
        self.chunk = self.chunk.max(env.rows.max(least)).min(BATCH_ROWS);
        while let Some(mut batch) = self.read(env)? {
            if let Some(filter) = &self.filter {
                retain(&mut batch, filter, env)?;
            }
            if batch.rows > 0 {
                self.source.strip(&mut batch, env)?;
                return Ok(Some(batch));
            }
            self.chunk = (self.chunk * 2).min(BATCH_ROWS);
            env.check()?;
        }
        Ok(None)
    }
}

impl Operator for Scan {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if matches!(self.source.access, CompiledAccess::Count) {
            if matches!(self.state, State::End) {
                return Ok(None);
            }
            self.state = State::End;
            let count = self.source.count(&env)?;
            return Ok(Some(Batch { width: 1, rows: 1, values: vec![Datum::Int8(count)] }));
        }
        self.next_filtered(&env)
    }

    fn rewind(&mut self) {
        self.state = State::Start;
        if let Some(columns) = &mut self.columns {
            columns.rewind();
        }
        self.chunk = 0;
    }
}
