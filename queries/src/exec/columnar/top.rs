//! The first rows of a whole table in some order: found by the columns that order and filter them, and made only then.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::column::{Piece, Values};
use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::explain::Counters;
use crate::exec::operators::{BoxOperator, Operator};
use crate::optimize::walk;
use crate::plan::{Expr, Plan, SortKey};

use super::filter::{Filter, place};
use super::flow::{FlowColumn, Pieces};
use super::keys::{self, KEY_BYTES_MAX, KEY_WORDS_MAX, KeyColumn};
use super::scan::{ScanSource, Scanned, Whole};

/// Who wants more rows has them sorted by rows: each is looked up by itself here.
const TOP_ROWS_MAX: usize = 1024;

/// A row's words and its key; rows of equal words are in the order of the table.
type Candidate = ([u64; KEY_WORDS_MAX], u128);

struct ColumnTop {
    /// The columns that order and filter.
    narrow: Whole,
    filter: Arc<Filter>,
    keys: Vec<KeyColumn>,
    /// All columns that are wanted.
    wide: Whole,
    /// Those of the scan that is not run, for `EXPLAIN ANALYZE`.
    counters: Option<Arc<Counters>>,
    /// The same by rows.
    otherwise: BoxOperator,
    by_rows: bool,
    bound: Option<usize>,
    done: bool,
}

/// What is looked for, for all readers.
struct Search<'a> {
    pieces: Pieces<'a>,
    keys: &'a [KeyColumn],
    count: usize,
}

/// Builds a sort that looks for the first rows by columns around one that works by rows, or gives that one back.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    input: &Plan,
    order: &[SortKey],
    otherwise: BoxOperator,
) -> Result<BoxOperator> {
    let Some(scan) = Scanned::of(input) else { return Ok(otherwise) };
    let mut needed = BTreeSet::new();
    for expression in order.iter().map(|key| &key.expression).chain(scan.filter) {
        walk::collect_columns(expression, &mut needed);
    }
    let needed: Vec<usize> = needed.into_iter().collect();
    let renumbered = |expression: &Expr| {
        let mut expression = expression.clone();
        walk::renumber(&mut expression, &|column| {
            needed.iter().position(|it| *it == column).unwrap_or(column)
        });
        expression
    };
    let narrow: Vec<usize> = needed.iter().map(|it| scan.of[*it]).collect();
    let columns: Vec<FlowColumn> = needed.iter().map(|it| scan.columns[*it]).collect();
    let keys =
        order.iter().map(|key| KeyColumn::of(&renumbered(&key.expression), Some(key), &columns));
    let Some(keys) = keys.collect::<Option<Vec<_>>>() else { return Ok(otherwise) };
    if keys::width(&keys) > KEY_BYTES_MAX {
        return Ok(otherwise);
    }
    let filter = scan.filter.map(renumbered);
    let Some(filter) = Filter::compile(builder, filter.as_ref(), narrow.len())? else {
        return Ok(otherwise);
    };
    let (narrow, wide) = (Whole::of(scan.relation, &narrow), Whole::of(scan.relation, scan.of));
    let (Some(narrow), Some(wide)) = (narrow, wide) else { return Ok(otherwise) };
    Ok(Box::new(ColumnTop {
        narrow,
        filter: Arc::new(filter),
        keys,
        wide,
        counters: builder.counters(input),
        otherwise,
        by_rows: false,
        bound: None,
        done: false,
    }))
}

impl Search<'_> {
    /// What one reader finds: the first rows of the pieces that it reads, and how many rows it has looked at.
    fn read(&self, env: &Env<'_>) -> Result<(Vec<Candidate>, usize)> {
        let mut best: Vec<Candidate> = Vec::new();
        let mut worst: Option<Candidate> = None;
        let mut seen = 0;
        while let Some(chunk) = self.pieces.next(env)? {
            let Some(ids) = chunk.keys.as_deref() else { continue };
            let Values::Uuid(ids) = &ids.values else { continue };
            seen += chunk.rows.len();
            let columns: Vec<_> = chunk.columns.iter().map(|column| &**column).collect();
            let entries = keys::entries(self.keys, &columns, 0..ids.len());
            for row in chunk.rows {
                let candidate = (entries[place(row)].0, ids[place(row)]);
                if worst.is_some_and(|worst| candidate >= worst) {
                    continue;
                }
                best.push(candidate);
                if best.len() >= self.count * 2 + TOP_ROWS_MAX {
                    worst = Some(cut(&mut best, self.count));
                }
            }
        }
        Ok((best, seen))
    }
}

/// Keeps the first candidates, and gives the last of them; there are more than so many, and more than none.
fn cut(best: &mut Vec<Candidate>, count: usize) -> Candidate {
    let (_, last, _) = best.select_nth_unstable(count - 1);
    let last = *last;
    best.truncate(count);
    last
}

impl ColumnTop {
    /// The first rows; none if that has to be done by rows.
    fn find(&self, count: usize, env: &Env<'_>) -> Result<Option<Batch>> {
        let (Some(narrow), Some(wide)) = (self.narrow.open(env)?, self.wide.open(env)?) else {
            return Ok(None);
        };
        let clock = &env.statement.context.clock;
        let start = clock.now_microseconds();
        let narrow = ScanSource::new(narrow, &self.filter);
        let search = Search { pieces: Pieces::of(&narrow), keys: &self.keys, count };
        let parts = search.pieces.read_by_all(|| search.read(env))?;
        let (mut best, mut seen) = (Vec::new(), 0);
        for (mut candidates, looked_at) in parts {
            best.append(&mut candidates);
            seen += looked_at;
        }
        best.sort_unstable();
        best.truncate(count);
        if let Some(counters) = &self.counters {
            counters.record(true, seen, clock.now_microseconds().saturating_sub(start));
        }
        let mut values = Vec::new();
        for (_, id) in &best {
            let (row, _) = wide.read(Piece { from: *id, to: id.checked_add(1) })?;
            values.extend(row.columns.iter().map(|column| column.datum(0)));
        }
        let rows = best.len();
        Ok(Some(Batch { width: values.len().checked_div(rows).unwrap_or(0), rows, values }))
    }
}

impl Operator for ColumnTop {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        if !self.by_rows
            && let Some(count) = self.bound.filter(|it| (1..=TOP_ROWS_MAX).contains(it))
            && let Some(batch) = self.find(count, &env)?
        {
            self.done = true;
            return Ok((batch.rows > 0).then_some(batch));
        }
        self.by_rows = true;
        self.otherwise.next(env)
    }

    fn rewind(&mut self) {
        self.otherwise.rewind();
        self.by_rows = false;
        self.bound = None;
        self.done = false;
    }

    fn bound(&mut self, rows: usize) {
        self.bound = Some(rows);
        self.otherwise.bound(rows);
    }
}
