//! Groups and aggregates of a whole table, gathered from its columns by all readers at once.
//!
//! Each reader takes pieces of the table, narrows their rows down, finds their groups and feeds the aggregates; at the
//! end their groups are put together. If the memory does not hold them, nothing has come out yet, and the aggregation
//! begins anew by rows, which can go to disk.

use std::sync::Arc;

use crate::column::{ColumnBatch, ColumnSource};
use crate::error::{Result, SqlError};
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::explain::Counters;
use crate::exec::memory::Reservation;
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::plan::{AggregateCall, Expr, Plan};
use crate::types::Datum;

use super::filter::Filter;
use super::groups::{Groups, KeyShape};
use super::rows::{Pieces, Scanned, Whole};
use super::states::{Plain, States};

struct ColumnAggregate {
    work: Work,
    /// The same by rows.
    otherwise: BoxOperator,
    by_rows: bool,
    width: usize,
    finished: Option<Finished>,
}

/// What is to be gathered.
struct Work {
    whole: Whole,
    filter: Filter,
    shape: KeyShape,
    /// Whether all rows are one group, which is there even without rows.
    total: bool,
    calls: Vec<Plain>,
    /// Those of the scan that is not run, for `EXPLAIN ANALYZE`.
    counters: Option<Arc<Counters>>,
}

/// The groups in the order in which they come out.
struct Finished {
    order: Vec<u32>,
    gathered: Box<dyn Gathered>,
    next: usize,
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    memory: Reservation,
}

/// The work of one reader, or of all.
struct Partial<const K: usize> {
    groups: Groups<K>,
    total: bool,
    states: Vec<States>,
    numbers: Vec<u32>,
    rows: usize,
}

/// Groups with their aggregates, however long their keys are.
trait Gathered: Send {
    fn put(&self, group: u32, out: &mut Vec<Datum>) -> Result<()>;
}

/// Builds an aggregation over columns around one that works by rows, or gives that one back.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    group: &[Expr],
    grouping_sets: &[Vec<usize>],
    aggregates: &[AggregateCall],
    otherwise: BoxOperator,
) -> Result<BoxOperator> {
    let Some(scan) = Scanned::of(input) else { return Ok(otherwise) };
    let Some(shape) = shape(&scan, group, grouping_sets) else { return Ok(otherwise) };
    let calls: Option<Vec<Plain>> =
        aggregates.iter().map(|call| Plain::of(call, &scan.kinds)).collect();
    let Some(calls) = calls else { return Ok(otherwise) };
    let Some(filter) = Filter::compile(builder, scan.filter, scan.columns.len())? else {
        return Ok(otherwise);
    };
    let width = group.len() + calls.len();
    let (whole, total) = (scan.whole, group.is_empty());
    let counters = builder.counters(input);
    let work = Work { whole, filter, shape, total, calls, counters };
    Ok(Box::new(ColumnAggregate { work, otherwise, by_rows: false, width, finished: None }))
}

/// The key of the groups, if they are by plain columns, all in one set.
fn shape(scan: &Scanned<'_>, group: &[Expr], sets: &[Vec<usize>]) -> Option<KeyShape> {
    let [set] = sets else { return None };
    if set.len() != group.len() {
        return None;
    }
    let mut of = Vec::with_capacity(group.len());
    for expression in group {
        let Expr::Column(column, _) = expression else { return None };
        of.push((*column, *scan.kinds.get(*column)?, *scan.nullable.get(*column)?));
    }
    KeyShape::of(&of)
}

impl<const K: usize> Partial<K> {
    fn new(work: &Work) -> Self {
        let total = work.total;
        let mut states: Vec<States> = work.calls.iter().map(|it| States::new(*it)).collect();
        if total {
            for states in &mut states {
                states.grow(1);
            }
        }
        let groups = Groups::new(work.shape.clone());
        Self { groups, total, states, numbers: Vec::new(), rows: 0 }
    }

    fn bytes(&self) -> usize {
        self.groups.bytes() + self.states.iter().map(States::bytes).sum::<usize>()
    }

    /// Takes in the rows of a piece that begins at `from`; false if the memory does not hold the groups.
    fn add(
        &mut self,
        work: &Work,
        from: u128,
        batch: &ColumnBatch,
        env: &Env<'_>,
        memory: &mut Reservation,
    ) -> Result<bool> {
        let rows = work.filter.rows(batch, env)?;
        let before = self.bytes();
        let groups = if self.total {
            None
        } else {
            self.groups.find(batch, from, &rows, &mut self.numbers)?;
            let count = self.groups.len();
            self.states.iter_mut().for_each(|states| states.grow(count));
            Some(&*self.numbers)
        };
        self.states.iter_mut().for_each(|states| states.add(batch, &rows, groups));
        if !memory.try_share(self.bytes() - before) {
            return Ok(false);
        }
        self.rows += rows.len();
        Ok(true)
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        let numbers = if self.total { vec![0] } else { self.groups.merge(&other.groups)? };
        let count = self.groups.len();
        self.rows += other.rows;
        for (own, other) in self.states.iter_mut().zip(&other.states) {
            if !self.total {
                own.grow(count);
            }
            own.merge(other, &numbers);
        }
        Ok(())
    }
}

impl<const K: usize> Gathered for Partial<K> {
    fn put(&self, group: u32, out: &mut Vec<Datum>) -> Result<()> {
        if !self.total {
            self.groups.values(group, out);
        }
        self.states.iter().try_for_each(|states| {
            out.push(states.value(group)?);
            Ok(())
        })
    }
}

impl Work {
    /// Gathers all groups; none if there are no columns, or the memory does not hold the groups.
    fn gather(&self, env: &Env<'_>) -> Result<Option<Finished>> {
        let Some(source) = self.whole.open(env)? else { return Ok(None) };
        match self.shape.words() {
            0 | 1 => self.gather_keys::<1>(&*source, env),
            2 => self.gather_keys::<2>(&*source, env),
            3 => self.gather_keys::<3>(&*source, env),
            _ => self.gather_keys::<4>(&*source, env),
        }
    }

    fn gather_keys<const K: usize>(
        &self,
        source: &dyn ColumnSource,
        env: &Env<'_>,
    ) -> Result<Option<Finished>> {
        let clock = &env.statement.context.clock;
        let start = clock.now_microseconds();
        let pieces = Pieces::of(source);
        let parts = pieces.read_by_all(|| self.read::<K>(&pieces, env))?;
        let mut all: Option<Partial<K>> = None;
        let mut memory = env.statement.reservation();
        for part in parts {
            let Some((part, own)) = part else { return Ok(None) };
            match &mut all {
                None => all = Some(part),
                Some(all) => all.merge(&part)?,
            }
            // What both have had together is more than what is left of them.
            memory.take(own);
        }
        let Some(all) = all else {
            return Err(SqlError::internal("nobody has read the table"));
        };
        if let Some(counters) = &self.counters {
            counters.record(true, all.rows, clock.now_microseconds().saturating_sub(start));
        }
        let order = if self.total { vec![0] } else { all.groups.ordered() };
        Ok(Some(Finished { order, gathered: Box::new(all), next: 0, memory }))
    }

    /// What one reader does: the groups with the bytes that they take, none if the memory does not hold them.
    fn read<const K: usize>(
        &self,
        pieces: &Pieces<'_>,
        env: &Env<'_>,
    ) -> Result<Option<(Partial<K>, usize)>> {
        let mut partial = Partial::new(self);
        let mut memory = env.statement.reservation();
        while let Some((from, batch)) = pieces.next(env)? {
            if !partial.add(self, from, &batch, env, &mut memory)? {
                pieces.stop();
                return Ok(None);
            }
        }
        let bytes = partial.bytes();
        Ok(Some((partial, bytes)))
    }
}

impl Operator for ColumnAggregate {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if !self.by_rows && self.finished.is_none() {
            self.finished = self.work.gather(&env)?;
            self.by_rows = self.finished.is_none();
        }
        let Some(finished) = &mut self.finished else { return self.otherwise.next(env) };
        let mut output = Output::new(self.width, &env);
        while !output.is_full()
            && let Some(group) = finished.order.get(finished.next)
        {
            finished.gathered.put(*group, output.values())?;
            output.finish_row();
            finished.next += 1;
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.otherwise.rewind();
        self.by_rows = false;
        self.finished = None;
    }
}
