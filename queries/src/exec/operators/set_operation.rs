//! `UNION`, `INTERSECT` and `EXCEPT`, with and without `ALL`.
//!
//! A union is its inputs one after the other, made distinct. The others count the right rows in a table; rows of either
//! side that are new when the memory is full are put into parts on disk, the same part for equal rows of both sides.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::key::hash_row;
use crate::exec::operators::{BoxOperator, Operator, Output, distinct};
use crate::exec::row_table::RowTable;
use crate::exec::spill::{Part, Parts, can_spill};
use crate::plan::{Plan, SetOperationKind};
use crate::types::Datum;

/// The rows of one input and then those of another.
struct Append {
    left: BoxOperator,
    right: BoxOperator,
    left_ended: bool,
}

struct Matching {
    /// Whether rows are wanted that the right side has, or that it has not.
    intersects: bool,
    all: bool,
    width: usize,
    left: Side,
    right: Side,
    right_read: bool,
    /// The right rows.
    rows: RowTable,
    /// Of each right row: how often it is left to be matched.
    counts: Vec<usize>,
    /// Of each right row: whether it came out, where only distinct ones do.
    given: Vec<bool>,
    /// Left rows that came out and that the right side has not.
    strangers: RowTable,
    depth: usize,
    /// Parts of both sides to be worked on yet, the next ones last.
    waiting: Vec<(Option<Part>, Option<Part>)>,
}

/// Where rows come from, and those that are put aside.
struct Side {
    input: BoxOperator,
    /// Once the input has ended, the part that is read.
    #[expect(
        clippy::option_option,
        reason = "no part yet, and a part without rows, are two things"
    )]
    part: Option<Option<Part>>,
    aside: Option<Parts>,
}

/// Builds a set operation.
pub(crate) fn build(
    builder: &mut Builder<'_>,
    kind: SetOperationKind,
    all: bool,
    left: &Plan,
    right: &Plan,
) -> Result<BoxOperator> {
    let width = left.columns.len();
    let left = builder.operator(left)?;
    let right = builder.operator(right)?;
    if kind == SetOperationKind::Union {
        let append: BoxOperator = Box::new(Append { left, right, left_ended: false });
        let statement = builder.statement();
        return Ok(if all { append } else { distinct::over(append, width, statement) });
    }
    Ok(Box::new(Matching {
        intersects: kind == SetOperationKind::Intersect,
        all,
        width,
        left: Side::new(left),
        right: Side::new(right),
        right_read: false,
        rows: RowTable::new(width, builder.statement()),
        counts: Vec::new(),
        given: Vec::new(),
        strangers: RowTable::new(width, builder.statement()),
        depth: 0,
        waiting: Vec::new(),
    }))
}

impl Operator for Append {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        env.check()?;
        if !self.left_ended {
            if let Some(batch) = self.left.next(env)? {
                return Ok(Some(batch));
            }
            self.left_ended = true;
        }
        self.right.next(env)
    }

    fn rewind(&mut self) {
        self.left.rewind();
        self.right.rewind();
        self.left_ended = false;
    }
}

impl Side {
    fn new(input: BoxOperator) -> Self {
        Self { input, part: None, aside: None }
    }

    fn next(&mut self, env: &Env<'_>) -> Result<Option<Batch>> {
        match &mut self.part {
            None => self.input.next(env.wanting_all()),
            Some(Some(part)) => part.reader.next(env),
            Some(None) => Ok(None),
        }
    }

    fn put_aside(
        &mut self,
        row: &[Datum],
        width: usize,
        depth: usize,
        env: &Env<'_>,
    ) -> Result<()> {
        let aside = self.aside.get_or_insert_with(|| Parts::new(width, depth));
        aside.push(hash_row(row), row, env)
    }

    /// The parts of what was put aside, or as many without rows.
    fn parts(&mut self) -> Result<Vec<Option<Part>>> {
        self.aside.take().map_or_else(|| Ok(Vec::new()), Parts::finish)
    }

    fn rewind(&mut self) {
        self.input.rewind();
        self.part = None;
        self.aside = None;
    }
}

impl Matching {
    fn read_right(&mut self, env: &Env<'_>) -> Result<()> {
        let spills = can_spill(env, self.depth);
        while let Some(batch) = self.right.next(env)? {
            env.check()?;
            for row in batch.iter() {
                let placed =
                    if spills { self.rows.try_insert(row)? } else { Some(self.rows.insert(row)?) };
                let Some((number, new)) = placed else {
                    self.right.put_aside(row, self.width, self.depth, env)?;
                    continue;
                };
                if new {
                    self.counts.push(0);
                    self.given.push(false);
                }
                self.counts[number] += 1;
            }
        }
        self.right_read = true;
        Ok(())
    }

    /// Whether a left row comes out; one that is put aside does so later, if at all.
    fn keeps(&mut self, row: &[Datum], env: &Env<'_>) -> Result<bool> {
        if let Some(number) = self.rows.find(row) {
            if self.all {
                let matched = self.counts[number] > 0;
                self.counts[number] -= usize::from(matched);
                return Ok(matched == self.intersects);
            }
            return Ok(self.intersects && !std::mem::replace(&mut self.given[number], true));
        }
        if self.right.aside.is_some() {
            self.left.put_aside(row, self.width, self.depth, env)?;
            return Ok(false);
        }
        if self.intersects || self.all {
            return Ok(!self.intersects);
        }
        if !can_spill(env, self.depth) {
            return Ok(self.strangers.insert(row)?.1);
        }
        if let Some((_, new)) = self.strangers.try_insert(row)? {
            return Ok(new);
        }
        self.left.put_aside(row, self.width, self.depth, env)?;
        Ok(false)
    }

    /// Goes on with the next parts; false after the last.
    fn advance(&mut self) -> Result<bool> {
        let (mut left, mut right) = (self.left.parts()?, self.right.parts()?);
        let count = left.len().max(right.len());
        left.resize_with(count, || None);
        right.resize_with(count, || None);
        self.waiting.extend(left.into_iter().zip(right).rev());
        while let Some((left, right)) = self.waiting.pop() {
            let Some(part) = left else { continue };
            if self.intersects && right.is_none() {
                continue;
            }
            self.depth = part.depth;
            self.left.part = Some(Some(part));
            self.right.part = Some(right);
            self.forget();
            return Ok(true);
        }
        Ok(false)
    }

    fn forget(&mut self) {
        self.right_read = false;
        self.rows.clear();
        self.counts.clear();
        self.given.clear();
        self.strangers.clear();
    }
}

impl Operator for Matching {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        loop {
            if !self.right_read {
                self.read_right(&env)?;
            }
            while let Some(batch) = self.left.next(&env)? {
                env.check()?;
                let mut output = Output::new(batch.width, &env);
                for row in batch.iter() {
                    if self.keeps(row, &env)? {
                        output.push(row);
                    }
                }
                if let Some(batch) = output.finish() {
                    return Ok(Some(batch));
                }
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    fn rewind(&mut self) {
        self.left.rewind();
        self.right.rewind();
        self.depth = 0;
        self.waiting.clear();
        self.forget();
    }
}
