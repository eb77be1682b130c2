//! Window functions over more rows than the memory holds: window by window the rows are sorted on disk and come back
//! partition by partition, with the results of that window's calls behind them. One partition has to fit.

use crate::error::Result;
use crate::exec::environment::Env;
use crate::exec::key::equal;
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::operators::sort::{Sorted, Sorter};
use crate::exec::operators::sorting::{RowOrder, SortBuffer};
use crate::exec::row_table::index;
use crate::exec::spill::{RowFile, RowReader};
use crate::types::Datum;

use super::{Partition, Rows, SharedWindow};

/// Rows on their way through the windows.
pub(super) struct External<'w> {
    windows: &'w [SharedWindow],
    width: usize,
    sorter: Sorter,
}

/// A partition that is being gathered: its rows, and their keys in a form that calls look at.
struct Gathered {
    rows: Rows,
    keys: SortBuffer,
    order: RowOrder,
    /// The partition's own part of the keys.
    key: Vec<Datum>,
    memory: Reservation,
}

impl<'w> External<'w> {
    /// Begins with the first window.
    pub(super) fn new(windows: &'w [SharedWindow], width: usize, env: &Env<'_>) -> Self {
        Self { windows, width, sorter: Sorter::new(width, env.statement) }
    }

    /// Takes an input row.
    pub(super) fn push(&mut self, row: &[Datum], env: &Env<'_>) -> Result<()> {
        self.sorter.push(row, &self.windows[0].by, env)
    }

    /// Runs all windows; the rows with all results behind them, in the order of the calls.
    pub(super) fn finish(mut self, env: &Env<'_>) -> Result<RowReader> {
        let mut places: Vec<usize> = Vec::new();
        let mut out = RowFile::create(env)?;
        for (number, window) in self.windows.iter().enumerate() {
            let next = self.windows.get(number + 1);
            let width = self.width + places.len();
            let mut sorter = Sorter::new(width + window.calls.len(), env.statement);
            let mut sorted = self.sorter.finish(&window.by, env)?;
            let mut stage = Stage { window, width, sorter: &mut self.sorter, sorted: &mut sorted };
            stage.run(env, &mut |row: &[Datum]| match next {
                Some(next) => sorter.push(row, &next.by, env),
                None => {
                    let first = self.width;
                    let mut whole = row[..first].to_vec();
                    whole.resize(first + places.len() + window.calls.len(), Datum::Null);
                    let own = window.calls.iter().map(|(place, _)| *place);
                    for (at, place) in places.iter().copied().chain(own).enumerate() {
                        whole[first + place] = row[first + at].clone();
                    }
                    out.push(&whole)
                }
            })?;
            places.extend(window.calls.iter().map(|(place, _)| *place));
            self.sorter = sorter;
        }
        out.into_reader(self.width + places.len())
    }
}

/// One window's turn.
struct Stage<'s> {
    window: &'s SharedWindow,
    width: usize,
    sorter: &'s mut Sorter,
    sorted: &'s mut Sorted,
}

impl Stage<'_> {
    fn run(&mut self, env: &Env<'_>, put: &mut dyn FnMut(&[Datum]) -> Result<()>) -> Result<()> {
        let mut gathered = Gathered::new(self.window, self.width, env);
        let (mut row, mut key) = (Vec::new(), Vec::new());
        loop {
            row.clear();
            if !self.sorter.next_row(self.sorted, &self.window.by, &mut row)? {
                break;
            }
            key.clear();
            self.window.by.key_of(&row, env, &mut key)?;
            let own = &key[..self.window.partition];
            let same = gathered.key.iter().zip(own).all(|(left, right)| equal(left, right));
            if gathered.rows.count > 0 && !same {
                gathered.put(self.window, env, put)?;
            }
            gathered.push(&row, &key, self.window.partition, env)?;
        }
        gathered.put(self.window, env, put)
    }
}

impl Gathered {
    fn new(window: &SharedWindow, width: usize, env: &Env<'_>) -> Self {
        let directions = window.by.directions().to_vec();
        Self {
            rows: Rows { width, ..Rows::default() },
            keys: SortBuffer::new(directions.len(), env.statement),
            order: RowOrder::by_columns(directions),
            key: Vec::new(),
            memory: env.statement.reservation(),
        }
    }

    fn push(
        &mut self,
        row: &[Datum],
        key: &[Datum],
        partition: usize,
        env: &Env<'_>,
    ) -> Result<()> {
        if self.rows.count == 0 {
            self.key = key[..partition].to_vec();
        }
        self.memory.grow(bytes_of(row))?;
        self.rows.values.extend_from_slice(row);
        self.rows.count += 1;
        self.keys.force(key, &self.order, env)
    }

    /// Runs the calls over the partition, and hands its rows on with the results.
    fn put(
        &mut self,
        window: &SharedWindow,
        env: &Env<'_>,
        put: &mut dyn FnMut(&[Datum]) -> Result<()>,
    ) -> Result<()> {
        env.check()?;
        let order = self.keys.sorted(&self.order)?;
        let mut results = Vec::with_capacity(window.calls.len());
        let partition =
            Partition::new(&self.rows, &order, &self.keys, &self.order, window.partition);
        for (_, call) in &window.calls {
            let mut result = vec![Datum::Null; self.rows.count];
            call.run(&partition, &mut result, env)?;
            results.push(result);
        }
        let mut row = Vec::with_capacity(self.rows.width + results.len());
        for number in order {
            let number = index(number);
            row.clear();
            row.extend_from_slice(self.rows.row(number));
            row.extend(results.iter_mut().map(|result| std::mem::take(&mut result[number])));
            put(&row)?;
        }
        self.rows.values.clear();
        self.rows.count = 0;
        self.keys.clear();
        self.memory.clear();
        Ok(())
    }
}
