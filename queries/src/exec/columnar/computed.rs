//! Columns that are computed from others, row by row, beside them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::column::{Column, Piece};
use crate::error::{Result, SqlError};
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::Compiled;
use crate::optimize::walk;
use crate::plan::Expr;
use crate::types::Datum;

use super::filter::{is_own, place};
use super::flow::{Chunk, Flow, FlowColumn, Source, Stage, unwanted, wanted};
use super::scan;

/// Expressions over the columns of a flow, gathered while the plan above it is looked at.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    expressions: Vec<Expr>,
    columns: Vec<FlowColumn>,
}

impl Expressions {
    /// The column that an expression is, of those of a flow and of what is computed beside them; none if its values are
    /// not of fixed width, or if it needs more than the row.
    pub(super) fn column(
        &mut self,
        expression: &Expr,
        columns: &[FlowColumn],
    ) -> Option<(usize, FlowColumn)> {
        if let Expr::Column(column, _) = expression {
            return Some((*column, *columns.get(*column)?));
        }
        if !is_own(expression) {
            return None;
        }
        let column = FlowColumn { kind: scan::fixed(expression.ty())?, nullable: true };
        self.expressions.push(expression.clone());
        self.columns.push(column);
        Some((columns.len() + self.columns.len() - 1, column))
    }
}

/// A column to be computed.
struct Computation {
    expression: Compiled,
    of: Vec<usize>,
    column: FlowColumn,
}

struct Computed {
    input: Box<dyn Stage>,
    width: usize,
    computations: Arc<[Computation]>,
    wanted: Vec<bool>,
}

struct ComputedSource {
    input: Arc<dyn Source>,
    width: usize,
    computations: Arc<[Computation]>,
    wanted: Vec<bool>,
}

impl Flow {
    /// The columns with those that are computed behind them.
    pub(super) fn computed(
        self,
        builder: &mut Builder<'_>,
        expressions: Expressions,
    ) -> Result<Self> {
        if expressions.expressions.is_empty() {
            return Ok(self);
        }
        let Self { mut columns, stage } = self;
        let width = columns.len();
        let mut computations = Vec::with_capacity(expressions.columns.len());
        for (expression, column) in expressions.expressions.iter().zip(&expressions.columns) {
            let of = walk::columns(expression).into_iter().collect();
            let expression = builder.expression(expression)?;
            computations.push(Computation { expression, of, column: *column });
        }
        columns.extend(expressions.columns);
        let wanted = vec![true; columns.len()];
        let computations = computations.into();
        let stage = Box::new(Computed { input: stage, width, computations, wanted });
        Ok(Self { columns, stage })
    }
}

impl Stage for Computed {
    fn narrow(&mut self, columns: &[bool]) {
        self.wanted = columns.to_vec();
        let (own, computed) = columns.split_at(self.width);
        let computed = self.computations.iter().zip(computed).filter(|(_, wanted)| **wanted);
        let of = computed.flat_map(|(computation, _)| computation.of.iter().copied());
        let own = (0..self.width).filter(|column| own[*column]);
        self.input.narrow(&wanted(own.chain(of), self.width));
    }

    fn open(&mut self, ordered: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        let Some(input) = self.input.open(ordered, env)? else { return Ok(None) };
        let (computations, wanted) = (Arc::clone(&self.computations), self.wanted.clone());
        Ok(Some(Arc::new(ComputedSource { input, width: self.width, computations, wanted })))
    }
}

impl Computation {
    /// The column for the rows of a chunk that count; what stands at the others has no meaning.
    fn column(&self, chunk: &Chunk, values: &mut [Datum], env: &Env<'_>) -> Result<Arc<Column>> {
        let length = chunk.rows.last().map_or(0, |last| place(*last) + 1);
        let mut column = Column::with_capacity(self.column.kind, length);
        for row in &chunk.rows {
            let row = place(*row);
            while column.len() < row {
                column.push(&Datum::Null);
            }
            for of in &self.of {
                values[*of] = chunk.columns[*of].datum(row);
            }
            if !column.push(&*self.expression.eval(values, env)?) {
                return Err(SqlError::internal("a value does not fit its column"));
            }
        }
        Ok(Arc::new(column))
    }
}

impl Source for ComputedSource {
    fn pieces(&self) -> VecDeque<Piece> {
        self.input.pieces()
    }

    fn read(&self, piece: Piece, env: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let (mut chunk, left) = self.input.read(piece, env)?;
        let mut values = vec![Datum::Null; self.width];
        chunk.columns.truncate(self.width);
        let mut computed = Vec::with_capacity(self.computations.len());
        for (computation, wanted) in self.computations.iter().zip(&self.wanted[self.width..]) {
            computed.push(match wanted {
                true => computation.column(&chunk, &mut values, env)?,
                false => unwanted(computation.column.kind),
            });
        }
        chunk.columns.append(&mut computed);
        Ok((chunk, left))
    }

    fn rows(&self) -> u64 {
        self.input.rows()
    }
}
