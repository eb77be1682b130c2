//! Nested loops: each left row against all right rows. The right side is kept in memory, or with a lateral join
//! run again for each left row, which it sees as its enclosing row.

use crate::error::Result;
use crate::exec::Batch;
use crate::exec::build::Builder;
use crate::exec::environment::{Env, Outer};
use crate::exec::expression::Compiled;
use crate::exec::memory::{Reservation, bytes_of};
use crate::exec::operators::join::hash::join_row;
use crate::exec::operators::{BoxOperator, Operator, Output};
use crate::plan::{Expr, JoinKind};
use crate::types::Datum;

struct NestedLoop {
    kind: JoinKind,
    left: BoxOperator,
    left_width: usize,
    right: Right,
    on: Option<Compiled>,
    batch: Batch,
    row: usize,
    /// Whether the current left row has found a partner.
    found: bool,
    left_ended: bool,
    /// The next right row to put out with a null left side.
    unmatched: usize,
}

struct Right {
    operator: BoxOperator,
    width: usize,
    lateral: bool,
    /// The rows being gone over: all, or a lateral side's last batch.
    rows: Batch,
    next: usize,
    /// Whether the lateral side has begun for the current left row, or all rows have been read.
    begun: bool,
    /// Which rows have found a partner, where that matters.
    matched: Vec<bool>,
    memory: Reservation,
}

/// Builds a nested loop.
pub(super) fn build(
    builder: &mut Builder<'_>,
    left: BoxOperator,
    right: BoxOperator,
    (left_width, right_width): (usize, usize),
    kind: JoinKind,
    on: Option<&Expr>,
    lateral: bool,
) -> Result<BoxOperator> {
    let right = Right {
        operator: right,
        width: right_width,
        lateral,
        rows: Batch::default(),
        next: 0,
        begun: false,
        matched: Vec::new(),
        memory: builder.statement().reservation(),
    };
    let on = builder.optional(on)?;
    Ok(Box::new(NestedLoop {
        kind,
        left,
        left_width,
        right,
        on,
        batch: Batch::default(),
        row: 0,
        found: false,
        left_ended: false,
        unmatched: 0,
    }))
}

impl Right {
    /// Goes back to the first row, for the next left row.
    fn restart(&mut self) {
        self.next = 0;
        if self.lateral {
            self.begun = false;
            self.rows = Batch::default();
        }
    }

    /// The number of the next right row for a left row; none after the last.
    fn advance(&mut self, left: &[Datum], env: &Env<'_>) -> Result<Option<usize>> {
        if self.next == self.rows.rows {
            if self.lateral {
                let outer = Outer { row: left, parent: env.outers };
                if !self.begun {
                    self.operator.rewind();
                    self.begun = true;
                }
                env.check()?;
                let Some(rows) = self.operator.next(env.inside(&outer))? else { return Ok(None) };
                self.rows = rows;
                self.next = 0;
            } else if self.begun {
                return Ok(None);
            } else {
                self.read_all(env)?;
                if self.rows.rows == 0 {
                    return Ok(None);
                }
            }
        }
        self.next += 1;
        Ok(Some(self.next - 1))
    }

    fn read_all(&mut self, env: &Env<'_>) -> Result<()> {
        self.begun = true;
        self.rows = Batch { width: self.width, rows: 0, values: Vec::new() };
        while let Some(mut batch) = self.operator.next(env.wanting_all())? {
            env.check()?;
            self.memory.grow(bytes_of(&batch.values))?;
            self.rows.values.append(&mut batch.values);
            self.rows.rows += batch.rows;
        }
        self.matched = vec![false; self.rows.rows];
        Ok(())
    }

    fn row(&self, number: usize) -> &[Datum] {
        &self.rows.values[number * self.width..(number + 1) * self.width]
    }
}

impl NestedLoop {
    /// Goes over the left rows until the output is full; false at the end of the left side.
    fn run(&mut self, env: &Env<'_>, output: &mut Output) -> Result<bool> {
        while !output.is_full() {
            if self.row >= self.batch.rows {
                env.check()?;
                let Some(batch) = self.left.next(*env)? else { return Ok(false) };
                self.batch = batch;
                self.row = 0;
            }
            let left =
                &self.batch.values[self.row * self.left_width..(self.row + 1) * self.left_width];
            let Some(number) = self.right.advance(left, env)? else {
                if !self.found
                    && matches!(self.kind, JoinKind::Left | JoinKind::Full | JoinKind::Anti)
                {
                    output.values().extend_from_slice(left);
                    if self.kind != JoinKind::Anti {
                        output.values().extend(std::iter::repeat_n(Datum::Null, self.right.width));
                    }
                    output.finish_row();
                }
                self.next_left();
                continue;
            };
            if number == 0 {
                env.check()?;
            }
            if join_row(left, self.right.row(number), self.on.as_ref(), self.kind, env, output)? {
                self.found = true;
                if let Some(matched) = self.right.matched.get_mut(number) {
                    *matched = true;
                }
                if matches!(self.kind, JoinKind::Semi | JoinKind::Anti) {
                    self.next_left();
                }
            }
        }
        Ok(true)
    }

    fn next_left(&mut self) {
        self.row += 1;
        self.found = false;
        self.right.restart();
    }

    fn put_unmatched(&mut self, env: &Env<'_>, output: &mut Output) -> Result<()> {
        if !self.right.begun {
            self.right.read_all(env)?;
        }
        while !output.is_full() && self.unmatched < self.right.rows.rows {
            if !self.right.matched[self.unmatched] {
                output.values().extend(std::iter::repeat_n(Datum::Null, self.left_width));
                output.values().extend_from_slice(self.right.row(self.unmatched));
                output.finish_row();
            }
            self.unmatched += 1;
        }
        Ok(())
    }
}

impl Operator for NestedLoop {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Batch>> {
        let left_only = matches!(self.kind, JoinKind::Semi | JoinKind::Anti);
        let width = self.left_width + if left_only { 0 } else { self.right.width };
        let mut output = Output::new(width, &env);
        if !self.left_ended {
            self.left_ended = !self.run(&env, &mut output)?;
        }
        if self.left_ended && matches!(self.kind, JoinKind::Right | JoinKind::Full) {
            self.put_unmatched(&env, &mut output)?;
        }
        Ok(output.finish())
    }

    fn rewind(&mut self) {
        self.left.rewind();
        self.right.operator.rewind();
        self.right.rows = Batch::default();
        self.right.next = 0;
        self.right.begun = false;
        self.right.matched = Vec::new();
        self.right.memory.clear();
        self.batch = Batch::default();
        self.row = 0;
        self.found = false;
        self.left_ended = false;
        self.unmatched = 0;
    }
}
