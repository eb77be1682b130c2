//! Windows that look at neighbours (`lag`, `lead`, `row_number`), over a whole table by its columns.
//!
//! The columns are gathered by all readers at once. Partition and order of each row become one key of fixed width, whose
//! order as numbers is the rows', so sorting needs no look at the columns, and rows are made in the order in which they
//! come out. What the memory does not hold is done by rows, which can go to disk.

use std::sync::Arc;

use rayon::slice::ParallelSliceMut as _;

use crate::column::{Column, ColumnKind};
use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::explain::Counters;
use crate::exec::memory::Reservation;
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::plan::{Expr, Plan, WindowCall, WindowCallee};
use crate::readers::{PARALLEL_ROWS_MIN, readers};
use crate::types::Datum;
use crate::types::functions::WindowKind;

use super::filter::{Filter, place};
use super::keys::{self, Entry, KEY_BYTES_MAX, KeyColumn};
use super::rows::{Gathered, Scanned, Whole};

struct ColumnWindow {
    whole: Whole,
    filter: Filter,
    keys: Vec<KeyColumn>,
    /// The bytes of a key that are the partition's.
    partition_bytes: usize,
    calls: Vec<Neighbour>,
    width: usize,
    /// Those of the scan that is not run, for `EXPLAIN ANALYZE`.
    counters: Option<Arc<Counters>>,
    /// The same by rows.
    otherwise: BoxOperator,
    by_rows: bool,
    sorted: Option<Sorted>,
    memory: Reservation,
}

/// What is asked of a row's partition.
#[derive(Clone, Copy, Debug)]
enum Neighbour {
    /// The value of a column in the row before.
    Before(usize),
    /// The value of a column in the row after.
    After(usize),
    /// The number of the row, from 1.
    Number,
}

struct Sorted {
    batch: Gathered,
    entries: Vec<Entry>,
    next: usize,
    /// The rows of the partition that are out already.
    number: i64,
}

/// Builds windows over columns around one that works by rows, or gives that one back.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    calls: &[WindowCall],
    otherwise: BoxOperator,
) -> Result<BoxOperator> {
    let Some(scan) = Scanned::of(input) else { return Ok(otherwise) };
    let Some((keys, partition_bytes)) = key_columns(calls, &scan.kinds, &scan.nullable) else {
        return Ok(otherwise);
    };
    let neighbours: Option<Vec<Neighbour>> = calls.iter().map(Neighbour::of).collect();
    let Some(neighbours) = neighbours else { return Ok(otherwise) };
    let Some(filter) = Filter::compile(builder, scan.filter, scan.columns.len())? else {
        return Ok(otherwise);
    };
    Ok(Box::new(ColumnWindow {
        whole: scan.whole,
        filter,
        keys,
        partition_bytes,
        calls: neighbours,
        width: scan.columns.len() + calls.len(),
        counters: builder.counters(input),
        otherwise,
        by_rows: false,
        sorted: None,
        memory: builder.statement().reservation(),
    }))
}

/// The columns of the key of all calls, and how many of its bytes are the partition's; none if calls differ in it, or it
/// is no plain columns, or too long.
fn key_columns(
    calls: &[WindowCall],
    kinds: &[ColumnKind],
    nullable: &[bool],
) -> Option<(Vec<KeyColumn>, usize)> {
    let (first, others) = calls.split_first()?;
    let name = |call: &WindowCall| format!("{:?} {:?}", call.partition, call.order);
    if others.iter().any(|call| name(call) != name(first)) {
        return None;
    }
    let partition = first.partition.iter().map(|it| KeyColumn::of(it, None, kinds, nullable));
    let partition = partition.collect::<Option<Vec<_>>>()?;
    let order = first.order.iter();
    let order = order.map(|it| KeyColumn::of(&it.expression, Some(it), kinds, nullable));
    let order = order.collect::<Option<Vec<_>>>()?;
    let bytes = |keys: &[KeyColumn]| -> usize { keys.iter().map(KeyColumn::width).sum() };
    let partition_bytes = bytes(&partition);
    let fits = partition_bytes + bytes(&order) <= KEY_BYTES_MAX;
    fits.then(|| (partition.into_iter().chain(order).collect(), partition_bytes))
}

impl Neighbour {
    fn of(call: &WindowCall) -> Option<Self> {
        let WindowCallee::Window(function) = call.function else { return None };
        match (function.kind, &*call.arguments) {
            _ if call.filter.is_some() => None,
            (WindowKind::Lag, [Expr::Column(column, _)]) => Some(Self::Before(*column)),
            (WindowKind::Lead, [Expr::Column(column, _)]) => Some(Self::After(*column)),
            (WindowKind::RowNumber, []) => Some(Self::Number),
            _ => None,
        }
    }
}

impl ColumnWindow {
    /// Gathers and sorts; none if that has to be done by rows.
    fn sort(&mut self, env: &Env<'_>) -> Result<Option<Sorted>> {
        const ROW_BYTES: usize = size_of::<Entry>();
        let clock = &env.statement.context.clock;
        let start = clock.now_microseconds();
        let gathered = self.whole.gather(&self.filter, ROW_BYTES, &mut self.memory, env)?;
        let Some(batch) = gathered else { return Ok(None) };
        if let Some(counters) = &self.counters {
            let took = clock.now_microseconds().saturating_sub(start);
            counters.record(true, batch.rows, took);
        }
        if u32::try_from(batch.rows).is_err() {
            return Ok(None);
        }
        let columns: Vec<&Column> = batch.columns.iter().collect();
        let mut entries = keys::entries(&self.keys, &columns, batch.rows);
        env.check()?;
        match readers()
            .filter(|_| u64::try_from(entries.len()).is_ok_and(|rows| rows >= PARALLEL_ROWS_MIN))
        {
            None => entries.sort_unstable(),
            Some(pool) => pool.install(|| entries.par_sort_unstable()),
        }
        Ok(Some(Sorted { batch, entries, next: 0, number: 0 }))
    }
}

impl Sorted {
    /// Whether the rows at two places are of one partition.
    fn together(&self, left: usize, right: Option<usize>, partition_bytes: usize) -> bool {
        let Some(right) = right.and_then(|right| self.entries.get(right)) else { return false };
        let left = &self.entries[left];
        let (whole, rest) = (partition_bytes / 8, partition_bytes % 8);
        left.0[..whole] == right.0[..whole]
            && (rest == 0 || (left.0[whole] ^ right.0[whole]) >> (64 - 8 * rest) == 0)
    }

    /// Appends the next row; there has to be one.
    fn put(&mut self, calls: &[Neighbour], partition_bytes: usize, out: &mut Vec<Datum>) {
        let (at, row) = (self.next, place(self.entries[self.next].1));
        let before = at.checked_sub(1).filter(|it| self.together(at, Some(*it), partition_bytes));
        self.number = if before.is_some() { self.number + 1 } else { 1 };
        out.extend(self.batch.columns.iter().map(|column| column.datum(row)));
        for call in calls {
            let value = |column: usize, neighbour: Option<usize>| {
                neighbour.map_or(Datum::Null, |neighbour| {
                    self.batch.columns[column].datum(place(self.entries[neighbour].1))
                })
            };
            out.push(match call {
                Neighbour::Before(column) => value(*column, before),
                Neighbour::After(column) => {
                    let after = Some(at + 1);
                    value(*column, after.filter(|_| self.together(at, after, partition_bytes)))
                }
                Neighbour::Number => Datum::Int8(self.number),
            });
        }
        self.next += 1;
    }
}

impl Operator for ColumnWindow {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if !self.by_rows && self.sorted.is_none() {
            self.sorted = self.sort(&env)?;
            self.by_rows = self.sorted.is_none();
        }
        if self.by_rows {
            self.memory.clear();
            return self.otherwise.next(env);
        }
        let Some(sorted) = &mut self.sorted else { return Ok(None) };
        let mut output = Output::new(self.width, &env);
        while !output.is_full() && sorted.next < sorted.entries.len() {
            sorted.put(&self.calls, self.partition_bytes, output.values());
            output.finish_row();
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.otherwise.rewind();
        self.by_rows = false;
        self.sorted = None;
        self.memory.clear();
    }
}
