//! Expressions outside of plans: what statements that write compute row by row.

use std::sync::Arc;

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::build::Builder;
use crate::exec::environment::{Env, Statement};
use crate::exec::expression::{Compiled, eval_all};
use crate::plan::{Expr, Plan};
use crate::types::Datum;

/// Some expressions, compiled once for many rows.
#[derive(Debug)]
pub struct Evaluator {
    statement: Arc<Statement>,
    expressions: Vec<Compiled>,
}

impl Evaluator {
    /// Compiles expressions over one kind of row.
    pub fn new(expressions: &[Expr], context: &ExecContext) -> Result<Self> {
        Self::with_ctes(expressions, &[], context)
    }

    /// The same, with common table expressions in sight, by number.
    pub fn with_ctes(
        expressions: &[Expr],
        ctes: &[(usize, Arc<Plan>)],
        context: &ExecContext,
    ) -> Result<Self> {
        let statement = Statement::new(context.clone());
        let mut builder = Builder::new(&statement, None);
        crate::exec::operators::cte::show(&mut builder, ctes)?;
        let expressions = builder.expressions(expressions)?;
        Ok(Self { statement, expressions })
    }

    /// Appends the values over a row, one for each expression.
    pub fn evaluate(&self, row: &[Datum], out: &mut Vec<Datum>) -> Result<()> {
        eval_all(&self.expressions, row, &Env::new(&self.statement), out)
    }
}

/// The value of one expression over one row; [`Evaluator`] for many rows.
pub fn evaluate(expr: &Expr, row: &[Datum], context: &ExecContext) -> Result<Datum> {
    let mut out = Vec::with_capacity(1);
    Evaluator::new(std::slice::from_ref(expr), context)?.evaluate(row, &mut out)?;
    Ok(out.pop().unwrap_or_default())
}
