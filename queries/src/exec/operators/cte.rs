//! Common table expressions: run at most once, when first read; and recursive unions.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::{Env, Statement};
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::RowTable;
use crate::exec::spill::{BatchStore, SharedBatches, can_spill};
use crate::optimize::walk;
use crate::plan::Plan;

/// Where a scan of a common table expression finds its rows.
#[derive(Clone)]
pub(crate) enum CteSource {
    /// Rows kept as they are first read.
    Kept(Arc<Mutex<Kept>>, Lifetime),
    /// The rows of a recursive union's last round.
    Round(Arc<Mutex<SharedBatches>>),
}

/// Whether rows stay the same for the whole statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Statement,
    /// They depend on enclosing rows or on a round of a recursion.
    Rewind,
}

/// A common table expression and its rows so far.
pub(crate) struct Kept {
    operator: BoxOperator,
    batches: BatchStore,
    width: usize,
    ended: bool,
    memory: Reservation,
}

impl CteSource {
    /// Whether its rows change within the statement.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self, Self::Kept(_, Lifetime::Statement))
    }

    /// A batch by its number, read if it has not been.
    fn batch(&self, number: usize, width: usize, env: Env<'_>) -> Result<Option<Batch>> {
        match self {
            Self::Round(rows) => {
                let rows = Arc::clone(&rows.lock());
                let batch = rows.lock().get(number, width)?;
                Ok(batch)
            }
            Self::Kept(kept, _) => {
                let kept = &mut *kept.lock();
                while kept.batches.len() <= number && !kept.ended {
                    match kept.operator.next(env.wanting_all())? {
                        Some(batch) => {
                            let fits = reserve(&mut kept.memory, &batch, &env)?;
                            kept.batches.push(batch, fits, &env)?;
                        }
                        None => kept.ended = true,
                    }
                }
                kept.batches.get(number, kept.width)
            }
        }
    }
}

/// Finds memory for a batch; false if there is none and it can be put on disk.
fn reserve(memory: &mut Reservation, batch: &Batch, env: &Env<'_>) -> Result<bool> {
    let bytes = bytes_of(&batch.values);
    if can_spill(env, 0) {
        return Ok(memory.try_share(bytes));
    }
    memory.grow(bytes).map(|()| true)
}

struct With {
    body: BoxOperator,
    /// Those whose rows change when the enclosing rows do.
    changing: Vec<Arc<Mutex<Kept>>>,
    statement: Arc<Statement>,
}

/// Builds a body and the common table expressions before it.
pub(crate) fn build_with(
    builder: &mut Builder<'_>,
    ctes: &[(usize, Arc<Plan>)],
    body: &Plan,
) -> Result<BoxOperator> {
    let changing = show(builder, ctes)?;
    let body = builder.operator(body);
    for _ in ctes {
        builder.hide_cte();
    }
    Ok(Box::new(With { body: body?, changing, statement: Arc::clone(builder.statement()) }))
}

/// Puts common table expressions in sight, and gives those whose rows change when the enclosing rows do.
pub(crate) fn show(
    builder: &mut Builder<'_>,
    ctes: &[(usize, Arc<Plan>)],
) -> Result<Vec<Arc<Mutex<Kept>>>> {
    let mut changing = Vec::new();
    for (number, plan) in ctes {
        let operator = builder.operator(plan)?;
        let lifetime = if depends(builder, plan) { Lifetime::Rewind } else { Lifetime::Statement };
        let memory = builder.statement().reservation();
        let kept = Arc::new(Mutex::new(Kept {
            operator,
            batches: BatchStore::default(),
            width: plan.columns.len(),
            ended: false,
            memory,
        }));
        if lifetime == Lifetime::Rewind {
            changing.push(Arc::clone(&kept));
        }
        builder.show_cte(*number, CteSource::Kept(kept, lifetime));
    }
    Ok(changing)
}

/// Whether a plan's rows depend on more than the statement.
fn depends(builder: &Builder<'_>, plan: &Plan) -> bool {
    let changing = |cte: usize| builder.cte(cte).is_ok_and(|(source, _)| source.changes());
    !walk::outer_references(plan).is_empty() || walk::ctes_read(plan).into_iter().any(changing)
}

impl Operator for With {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        self.body.next(env)
    }

    fn rewind(&mut self) {
        if !self.changing.is_empty() {
            self.statement.round.fetch_add(1, Ordering::Relaxed);
        }
        for kept in &self.changing {
            let kept = &mut *kept.lock();
            kept.operator.rewind();
            kept.batches = BatchStore::default();
            kept.ended = false;
            kept.memory.clear();
        }
        self.body.rewind();
    }

    fn bound(&mut self, rows: usize) {
        self.body.bound(rows);
    }
}

struct CteScan {
    source: CteSource,
    /// How many rows further out the expression was defined.
    outside: usize,
    width: usize,
    next: usize,
}

/// Builds a scan of a common table expression.
pub(crate) fn build_scan(
    builder: &mut Builder<'_>,
    number: usize,
    width: usize,
) -> Result<BoxOperator> {
    let (source, outside) = builder.cte(number)?;
    Ok(Box::new(CteScan { source, outside, width, next: 0 }))
}

impl Operator for CteScan {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let batch = self.source.batch(self.next, self.width, env.outside(self.outside))?;
        self.next += 1;
        Ok(batch)
    }

    fn rewind(&mut self) {
        self.next = 0;
    }
}

struct RecursiveUnion {
    start: BoxOperator,
    step: BoxOperator,
    /// The rows of the last round.
    round: Arc<Mutex<SharedBatches>>,
    /// The rows of the round that is running.
    gathered: BatchStore,
    gathered_memory: Reservation,
    round_memory: Reservation,
    seen: Option<RowTable>,
    started: bool,
    ended: bool,
    statement: Arc<Statement>,
}

/// Builds a recursive union.
pub(crate) fn build_recursive(
    builder: &mut Builder<'_>,
    number: usize,
    start: &Plan,
    step: &Plan,
    distinct: bool,
) -> Result<BoxOperator> {
    let round = Arc::new(Mutex::new(SharedBatches::default()));
    let seen = distinct.then(|| RowTable::new(start.columns.len(), builder.statement()));
    let start = builder.operator(start)?;
    builder.show_cte(number, CteSource::Round(Arc::clone(&round)));
    let step = builder.operator(step);
    builder.hide_cte();
    let statement = Arc::clone(builder.statement());
    Ok(Box::new(RecursiveUnion {
        start,
        step: step?,
        round,
        gathered: BatchStore::default(),
        gathered_memory: statement.reservation(),
        round_memory: statement.reservation(),
        seen,
        started: false,
        ended: false,
        statement,
    }))
}

impl RecursiveUnion {
    /// Makes the gathered rows the last round's, and ends if there are none.
    fn begin_round(&mut self) {
        self.started = true;
        self.ended = self.gathered.len() == 0;
        *self.round.lock() = Arc::new(Mutex::new(std::mem::take(&mut self.gathered)));
        std::mem::swap(&mut self.round_memory, &mut self.gathered_memory);
        self.gathered_memory.clear();
        self.statement.round.fetch_add(1, Ordering::Relaxed);
        self.step.rewind();
    }

    /// The rows of a batch that have not come out before.
    fn fresh(&mut self, batch: Batch, env: &Env<'_>) -> Result<Option<Batch>> {
        let Some(seen) = &mut self.seen else { return Ok(Some(batch)) };
        let mut output = Output::new(batch.width, env);
        for row in batch.iter() {
            if seen.insert(row)?.1 {
                output.push(row);
            }
        }
        Ok(output.finish())
    }
}

impl Operator for RecursiveUnion {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let env = env.wanting_all();
        while !self.ended {
            env.check()?;
            let batch = if self.started { self.step.next(env)? } else { self.start.next(env)? };
            let Some(batch) = batch else {
                self.begin_round();
                continue;
            };
            if let Some(batch) = self.fresh(batch, &env)? {
                let fits = reserve(&mut self.gathered_memory, &batch, &env)?;
                self.gathered.push(batch.clone(), fits, &env)?;
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn rewind(&mut self) {
        self.start.rewind();
        self.gathered = BatchStore::default();
        self.gathered_memory.clear();
        self.round_memory.clear();
        if let Some(seen) = &mut self.seen {
            seen.clear();
        }
        self.started = false;
        self.ended = false;
    }
}
