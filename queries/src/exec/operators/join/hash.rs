//! Hash joins: the right side is read into a table by its keys, the left side looks its rows up.
//!
//! If the memory does not hold the table, both sides are cut into parts on disk by the hash of their keys, and the parts
//! are joined one after the other.

use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::{Compiled, eval_all};
use crate::exec::key::hash_row;
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::operators::join::JoinCondition;
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::exec::row_table::RowTable;
use crate::exec::spill::{Part, Parts, can_spill};
use crate::exec::{BATCH_ROWS, Batch};
use crate::optimize::walk;
use crate::plan::JoinKind;
use crate::types::Datum;

/// No further row.
const NONE: usize = usize::MAX;

struct HashJoin {
    kind: JoinKind,
    left: BoxOperator,
    right: BoxOperator,
    left_keys: Vec<Compiled>,
    right_keys: Vec<Compiled>,
    residual: Option<Compiled>,
    left_width: usize,
    table: Table,
    built: bool,
    /// How often the rows have been cut into parts.
    depth: usize,
    /// Once the sides have been read, the parts that are joined now.
    parts: Option<(Option<Part>, Option<Part>)>,
    /// Parts of both sides to be joined yet, the next ones last.
    waiting: Vec<(Option<Part>, Option<Part>)>,
    probe: Probe,
    /// The next right row to put out with a null left side, once the left side has ended.
    unmatched: usize,
}

/// The right rows by their keys.
struct Table {
    width: usize,
    values: Vec<Datum>,
    rows: usize,
    keys: RowTable,
    /// The first and the last row of each key.
    chains: Vec<(usize, usize)>,
    /// The next row with the same key as a row's.
    next: Vec<usize>,
    /// Which rows have found a partner, where that matters.
    matched: Vec<bool>,
    memory: Reservation,
}

/// Where the left side stands.
#[derive(Default)]
struct Probe {
    batch: Batch,
    row: usize,
    /// The right row to try next for the current left row.
    candidate: Option<usize>,
    /// Whether the current left row has found a partner.
    found: bool,
    ended: bool,
    /// The pairs tried since the last look at the cancel flag.
    tried: usize,
}

/// Builds a hash join.
pub(super) fn build(
    builder: &mut Builder<'_>,
    left: BoxOperator,
    right: BoxOperator,
    (left_width, right_width): (usize, usize),
    kind: JoinKind,
    condition: JoinCondition,
) -> Result<BoxOperator> {
    let left_keys = builder.expressions(&condition.left_keys)?;
    let right_keys = builder.expressions(&condition.right_keys)?;
    let residual = builder.optional(walk::conjunction(condition.residual).as_ref())?;
    let table = Table {
        width: right_width,
        values: Vec::new(),
        rows: 0,
        keys: RowTable::new(right_keys.len(), builder.statement()),
        chains: Vec::new(),
        next: Vec::new(),
        matched: Vec::new(),
        memory: builder.statement().reservation(),
    };
    let probe = Probe::default();
    Ok(Box::new(HashJoin {
        kind,
        left,
        right,
        left_keys,
        right_keys,
        residual,
        left_width,
        table,
        built: false,
        depth: 0,
        parts: None,
        waiting: Vec::new(),
        probe,
        unmatched: 0,
    }))
}

impl Table {
    fn row(&self, row: usize) -> &[Datum] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// Adds a row; one with a null among its keys has no partner, and is kept only for the outer side. False if the
    /// memory does not hold it and rows `spill`.
    fn add(&mut self, key: &[Datum], row: &[Datum], keep_all: bool, spills: bool) -> Result<bool> {
        let has_null = key.iter().any(Datum::is_null);
        if has_null && !keep_all {
            return Ok(true);
        }
        let bytes = bytes_of(row) + size_of::<usize>();
        if !spills {
            self.memory.grow(bytes)?;
        } else if !self.memory.try_share(bytes + bytes_of(key)) {
            if self.rows > 0 {
                return Ok(false);
            }
            self.memory.take(bytes);
        }
        self.values.extend_from_slice(row);
        let place = self.rows;
        self.rows += 1;
        self.next.push(NONE);
        if keep_all {
            self.matched.push(false);
        }
        if has_null {
            return Ok(true);
        }
        let (number, new) = self.keys.insert(key)?;
        if new {
            self.chains.push((place, place));
        } else {
            let (_, last) = &mut self.chains[number];
            self.next[*last] = place;
            *last = place;
        }
        Ok(true)
    }

    fn first(&self, key: &[Datum]) -> usize {
        if key.iter().any(Datum::is_null) {
            return NONE;
        }
        self.keys.find(key).map_or(NONE, |number| self.chains[number].0)
    }

    fn clear(&mut self) {
        self.values = Vec::new();
        self.rows = 0;
        self.keys.clear();
        self.chains = Vec::new();
        self.next = Vec::new();
        self.matched = Vec::new();
        self.memory.clear();
    }
}

impl HashJoin {
    fn keeps_right(&self) -> bool {
        matches!(self.kind, JoinKind::Right | JoinKind::Full)
    }

    fn next_right(&mut self, env: &Env<'_>) -> Result<Option<Batch>> {
        match &mut self.parts {
            None => self.right.next(env.wanting_all()),
            Some((_, right)) => right.as_mut().map_or(Ok(None), |part| part.reader.next(env)),
        }
    }

    fn next_left(&mut self, env: &Env<'_>) -> Result<Option<Batch>> {
        match &mut self.parts {
            None => self.left.next(env.wanting_all()),
            Some((left, _)) => left.as_mut().map_or(Ok(None), |part| part.reader.next(env)),
        }
    }

    /// Reads the right side; false if it did not fit, and both sides were cut into parts.
    fn build_table(&mut self, env: &Env<'_>) -> Result<bool> {
        let keep_all = self.keeps_right();
        let spills = can_spill(env, self.depth);
        let mut key = Vec::with_capacity(self.right_keys.len());
        while let Some(batch) = self.next_right(env)? {
            env.check()?;
            for (number, row) in batch.iter().enumerate() {
                key.clear();
                eval_all(&self.right_keys, row, env, &mut key)?;
                if !self.table.add(&key, row, keep_all, spills)? {
                    self.cut(&batch, number, env)?;
                    return Ok(false);
                }
            }
        }
        self.built = true;
        Ok(true)
    }

    /// Cuts both sides into parts: what is in the table, the rest of the batch that did not fit, and what follows.
    fn cut(&mut self, batch: &Batch, from: usize, env: &Env<'_>) -> Result<()> {
        let mut right = Parts::new(self.table.width, self.depth);
        let mut key = Vec::with_capacity(self.right_keys.len());
        for row in 0..self.table.rows {
            push_part(&mut right, &self.right_keys, self.table.row(row), &mut key, env)?;
        }
        self.table.clear();
        for row in batch.iter().skip(from) {
            push_part(&mut right, &self.right_keys, row, &mut key, env)?;
        }
        while let Some(batch) = self.next_right(env)? {
            env.check()?;
            for row in batch.iter() {
                push_part(&mut right, &self.right_keys, row, &mut key, env)?;
            }
        }
        let mut left = Parts::new(self.left_width, self.depth);
        while let Some(batch) = self.next_left(env)? {
            env.check()?;
            for row in batch.iter() {
                push_part(&mut left, &self.left_keys, row, &mut key, env)?;
            }
        }
        self.waiting.extend(left.finish()?.into_iter().zip(right.finish()?).rev());
        Ok(())
    }

    /// Goes on with the next parts that may give rows; false after the last.
    fn advance(&mut self) -> bool {
        let needs_left = !self.keeps_right();
        let needs_right = !matches!(self.kind, JoinKind::Left | JoinKind::Full | JoinKind::Anti);
        while let Some((left, right)) = self.waiting.pop() {
            if (needs_left && left.is_none()) || (needs_right && right.is_none()) {
                continue;
            }
            let Some(part) = left.as_ref().or(right.as_ref()) else { continue };
            self.depth = part.depth;
            self.parts = Some((left, right));
            self.forget();
            return true;
        }
        false
    }

    fn forget(&mut self) {
        self.table.clear();
        self.built = false;
        self.probe = Probe::default();
        self.unmatched = 0;
    }

    /// Whether without any right row there is nothing to give.
    fn is_void(&self) -> bool {
        self.table.rows == 0
            && matches!(self.kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Right)
    }

    /// Goes over the left rows until the output is full; false at the end of the left side.
    fn probe(&mut self, env: &Env<'_>, output: &mut Output) -> Result<bool> {
        let mut key = Vec::with_capacity(self.left_keys.len());
        while !output.is_full() {
            if self.probe.row >= self.probe.batch.rows {
                env.check()?;
                match self.next_left(env)? {
                    Some(batch) => self.probe = Probe { batch, ..Probe::default() },
                    None => return Ok(false),
                }
            }
            let width = self.left_width;
            let left =
                &self.probe.batch.values[self.probe.row * width..(self.probe.row + 1) * width];
            let candidate = if let Some(candidate) = self.probe.candidate {
                candidate
            } else {
                key.clear();
                eval_all(&self.left_keys, left, env, &mut key)?;
                self.table.first(&key)
            };
            if candidate == NONE {
                if !self.probe.found
                    && matches!(self.kind, JoinKind::Left | JoinKind::Full | JoinKind::Anti)
                {
                    output.values().extend_from_slice(left);
                    if self.kind != JoinKind::Anti {
                        output.values().extend(std::iter::repeat_n(Datum::Null, self.table.width));
                    }
                    output.finish_row();
                }
                self.probe.advance();
                continue;
            }
            self.probe.tried += 1;
            if self.probe.tried > BATCH_ROWS {
                self.probe.tried = 0;
                env.check()?;
            }
            let matches = join_row(
                left,
                self.table.row(candidate),
                self.residual.as_ref(),
                self.kind,
                env,
                output,
            )?;
            self.probe.candidate = Some(self.table.next[candidate]);
            if matches {
                self.probe.found = true;
                if self.keeps_right() {
                    self.table.matched[candidate] = true;
                }
                if matches!(self.kind, JoinKind::Semi | JoinKind::Anti) {
                    self.probe.advance();
                }
            }
        }
        Ok(true)
    }

    fn put_unmatched(&mut self, output: &mut Output) {
        while !output.is_full() && self.unmatched < self.table.rows {
            if !self.table.matched[self.unmatched] {
                output.values().extend(std::iter::repeat_n(Datum::Null, self.left_width));
                output.values().extend_from_slice(self.table.row(self.unmatched));
                output.finish_row();
            }
            self.unmatched += 1;
        }
    }
}

/// Puts a row into the part of its keys.
fn push_part(
    parts: &mut Parts,
    keys: &[Compiled],
    row: &[Datum],
    key: &mut Vec<Datum>,
    env: &Env<'_>,
) -> Result<()> {
    key.clear();
    eval_all(keys, row, env, key)?;
    parts.push(hash_row(key), row, env)
}

/// Puts out a pair of rows if the condition holds: both, or for semi joins the left one, or for anti joins none.
pub(super) fn join_row(
    left: &[Datum],
    right: &[Datum],
    condition: Option<&Compiled>,
    kind: JoinKind,
    env: &Env<'_>,
    output: &mut Output,
) -> Result<bool> {
    let left_only = matches!(kind, JoinKind::Semi | JoinKind::Anti);
    let Some(condition) = condition else {
        if kind != JoinKind::Anti {
            output.values().extend_from_slice(left);
            if !left_only {
                output.values().extend_from_slice(right);
            }
            output.finish_row();
        }
        return Ok(true);
    };
    if left_only {
        let mut row = Vec::with_capacity(left.len() + right.len());
        row.extend_from_slice(left);
        row.extend_from_slice(right);
        let holds = condition.test(&row, env)? == Some(true);
        if holds && kind == JoinKind::Semi {
            output.push(left);
        }
        return Ok(holds);
    }
    output.values().extend_from_slice(left);
    output.values().extend_from_slice(right);
    let holds = condition.test(output.unfinished(), env)? == Some(true);
    if holds {
        output.finish_row();
    } else {
        output.discard_unfinished();
    }
    Ok(holds)
}

impl Probe {
    fn advance(&mut self) {
        self.row += 1;
        self.candidate = None;
        self.found = false;
    }
}

impl Operator for HashJoin {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let left_only = matches!(self.kind, JoinKind::Semi | JoinKind::Anti);
        let width = self.left_width + if left_only { 0 } else { self.table.width };
        loop {
            if (self.built || self.build_table(&env)?) && !self.is_void() {
                let mut output = Output::new(width, &env);
                if !self.probe.ended {
                    self.probe.ended = !self.probe(&env, &mut output)?;
                }
                if self.probe.ended && self.keeps_right() {
                    self.put_unmatched(&mut output);
                }
                if let Some(batch) = output.finish() {
                    return Ok(Some(batch));
                }
            }
            if !self.advance() {
                return Ok(None);
            }
        }
    }

    fn rewind(&mut self) {
        self.left.rewind();
        self.right.rewind();
        self.depth = 0;
        self.parts = None;
        self.waiting.clear();
        self.forget();
    }
}
