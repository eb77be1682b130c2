//! Window functions. The whole input is kept; rows are sorted once for each distinct `PARTITION BY` and
//! `ORDER BY`, and come out in the order of the last one. What the memory does not hold goes on on disk ([`external`]).

mod calls;
mod external;
mod frame;
mod range;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::key::Direction;
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::operators::sorting::{RowOrder, SortBuffer};
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::index;
use crate::exec::spill::{RowReader, can_spill};
use crate::plan::{Plan, WindowCall};
use crate::types::Datum;

use calls::Call;
use external::External;

struct Window {
    input: BoxOperator,
    width: usize,
    /// The distinct windows, each with the calls over it.
    windows: Vec<SharedWindow>,
    calls: usize,
    rows: Rows,
    memory: Reservation,
    output: Option<Finished>,
    /// The finished rows on disk, if the memory did not hold the input.
    stored: Option<RowReader>,
}

/// The input, kept.
#[derive(Debug, Default)]
pub(super) struct Rows {
    width: usize,
    values: Vec<Datum>,
    count: usize,
}

/// A `PARTITION BY` and `ORDER BY` that several calls share.
struct SharedWindow {
    /// The partition's expressions, then the order's.
    by: RowOrder,
    partition: usize,
    /// The calls with their places in the output.
    calls: Vec<(usize, Call)>,
}

struct Finished {
    order: Vec<u32>,
    /// The results of each call, by row.
    results: Vec<Vec<Datum>>,
    next: usize,
}

/// One partition: its rows in order, and which of them are peers.
pub(super) struct Partition<'a> {
    /// All rows.
    pub(super) input: &'a Rows,
    /// The numbers of the partition's rows, in order.
    pub(super) rows: &'a [u32],
    /// Keys by row number.
    pub(super) keys: &'a SortBuffer,
    /// How the keys are ordered.
    pub(super) order: &'a RowOrder,
    /// How many of the keys are the partition's.
    pub(super) own_keys: usize,
    /// Where each group of peers starts, and the end.
    pub(super) groups: Vec<usize>,
    /// The group of each place.
    pub(super) group_of: Vec<usize>,
}

/// Builds window functions.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    calls: &[WindowCall],
) -> Result<BoxOperator> {
    let width = input.columns.len();
    let input = builder.operator(input)?;
    let mut windows: Vec<SharedWindow> = Vec::new();
    let mut known = BTreeMap::new();
    for (place, call) in calls.iter().enumerate() {
        let name = format!("{:?} {:?}", call.partition, call.order);
        let number = if let Some(number) = known.get(&name) {
            *number
        } else {
            known.insert(name, windows.len());
            windows.push(SharedWindow::new(builder, call)?);
            windows.len() - 1
        };
        let compiled = Call::new(builder, call)?;
        windows[number].calls.push((place, compiled));
    }
    let memory = builder.statement().reservation();
    let rows = Rows { width, ..Rows::default() };
    Ok(Box::new(Window {
        input,
        width,
        windows,
        calls: calls.len(),
        rows,
        memory,
        output: None,
        stored: None,
    }))
}

impl Rows {
    /// A row by its number.
    pub(super) fn row(&self, number: usize) -> &[Datum] {
        &self.values[number * self.width..(number + 1) * self.width]
    }
}

impl SharedWindow {
    fn new(builder: &mut Builder<'_>, call: &WindowCall) -> Result<Self> {
        let mut keys = builder.expressions(&call.partition)?;
        let (order, directions) = builder.sort_keys(&call.order)?;
        let partition = keys.len();
        keys.extend(order);
        let directions =
            std::iter::repeat_n(Direction::ASCENDING, partition).chain(directions).collect();
        Ok(Self { by: RowOrder::new(keys, directions), partition, calls: Vec::new() })
    }

    /// Sorts the rows, computes the calls, and gives the order.
    fn run(&self, rows: &Rows, results: &mut [Vec<Datum>], env: &Env<'_>) -> Result<Vec<u32>> {
        let directions = self.by.directions().to_vec();
        let mut keys = SortBuffer::new(directions.len(), env.statement);
        let mut key = Vec::with_capacity(directions.len());
        let order = RowOrder::by_columns(directions);
        for number in 0..rows.count {
            key.clear();
            self.by.key_of(rows.row(number), env, &mut key)?;
            keys.force(&key, &order, env)?;
        }
        env.check()?;
        let sorted = keys.sorted(&order)?;
        let mut start = 0;
        while start < sorted.len() {
            env.check()?;
            let same = |place: &usize| {
                keys.same_key(
                    &order,
                    0..self.partition,
                    index(sorted[start]),
                    index(sorted[*place]),
                )
            };
            let end = (start + 1..sorted.len()).find(|place| !same(place)).unwrap_or(sorted.len());
            let partition =
                Partition::new(rows, &sorted[start..end], &keys, &order, self.partition);
            for (place, call) in &self.calls {
                call.run(&partition, &mut results[*place], env)?;
            }
            start = end;
        }
        Ok(sorted)
    }
}

impl<'a> Partition<'a> {
    fn new(
        input: &'a Rows,
        rows: &'a [u32],
        keys: &'a SortBuffer,
        order: &'a RowOrder,
        own_keys: usize,
    ) -> Self {
        let mut groups = Vec::new();
        let mut group_of = Vec::with_capacity(rows.len());
        let peers = own_keys..order.directions().len();
        for place in 0..rows.len() {
            if place == 0
                || !keys.same_key(order, peers.clone(), index(rows[place - 1]), index(rows[place]))
            {
                groups.push(place);
            }
            group_of.push(groups.len() - 1);
        }
        groups.push(rows.len());
        Self { input, rows, keys, order, own_keys, groups, group_of }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of the row at a place.
    pub(super) fn number(&self, place: usize) -> usize {
        index(self.rows[place])
    }

    /// The row at a place.
    pub(super) fn row(&self, place: usize) -> &'a [Datum] {
        self.input.row(self.number(place))
    }

    /// The peers of the row at a place, itself included.
    pub(super) fn peers(&self, place: usize) -> Range<usize> {
        let group = self.group_of[place];
        self.groups[group]..self.groups[group + 1]
    }
}

impl Window {
    fn run(&mut self, env: &Env<'_>) -> Result<Finished> {
        let env = env.wanting_all();
        while let Some(mut batch) = self.input.next(env)? {
            env.check()?;
            // A result for each call stands beside each row, and each row's keys while it is sorted.
            let results = batch.rows * (self.calls + 2) * size_of::<Datum>();
            let bytes = bytes_of(&batch.values) + results;
            if !can_spill(&env, 0) {
                self.memory.grow(bytes)?;
            } else if !self.memory.try_share(bytes) {
                self.stored = Some(self.run_on_disk(&batch, &env)?);
                return Ok(Finished { order: Vec::new(), results: Vec::new(), next: 0 });
            }
            self.rows.values.append(&mut batch.values);
            self.rows.count += batch.rows;
        }
        let mut results = vec![vec![Datum::Null; self.rows.count]; self.calls];
        let mut order = Vec::new();
        for window in &self.windows {
            order = window.run(&self.rows, &mut results, &env)?;
        }
        Ok(Finished { order, results, next: 0 })
    }

    /// Runs the windows over what was read, a batch that did not fit, and what follows.
    fn run_on_disk(&mut self, batch: &Batch, env: &Env<'_>) -> Result<RowReader> {
        let mut external = External::new(&self.windows, self.width, env);
        self.memory.clear();
        let rows = std::mem::take(&mut self.rows);
        for number in 0..rows.count {
            external.push(rows.row(number), env)?;
        }
        drop(rows);
        batch.iter().try_for_each(|row| external.push(row, env))?;
        while let Some(batch) = self.input.next(*env)? {
            env.check()?;
            batch.iter().try_for_each(|row| external.push(row, env))?;
        }
        external.finish(env)
    }
}

impl Operator for Window {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if self.output.is_none() {
            self.output = Some(self.run(&env)?);
        }
        if let Some(stored) = &mut self.stored {
            return stored.next(&env);
        }
        let Some(finished) = &mut self.output else { return Ok(None) };
        let mut output = Output::new(self.width + self.calls, &env);
        while !output.is_full()
            && let Some(row) = finished.order.get(finished.next)
        {
            let row = index(*row);
            let values = &mut self.rows.values[row * self.width..(row + 1) * self.width];
            output.values().extend(values.iter_mut().map(std::mem::take));
            output.values().extend(
                finished.results.iter_mut().map(|results| std::mem::take(&mut results[row])),
            );
            output.finish_row();
            finished.next += 1;
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.input.rewind();
        self.rows = Rows { width: self.width, ..Rows::default() };
        self.memory.clear();
        self.output = None;
        self.stored = None;
    }
}
