//! `UNION`, `INTERSECT` and `EXCEPT`.
//!
//! A chain of one operation becomes a balanced tree where the operation is associative, so that a thousand branches
//! are ten levels deep.

use std::sync::Arc;

use sqlparser::ast::{SetExpr, SetOperator, SetQuantifier};

use super::binder::{Binder, syntax, unsupported};
use super::query::{Tail, check_ordered};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, OutputColumn, Plan, PlanNode, SetOperationKind};
use crate::types::PgType;
use crate::types::functions::common_type;

/// Branches of the same operation, not put together yet.
struct Run {
    branches: Vec<Plan>,
    kind: SetOperationKind,
    all: bool,
}

impl Binder<'_> {
    /// Binds a set operation and everything in its chain. A column without a type on both sides of an operation is
    /// text, even if a later branch has a type.
    pub(super) fn bind_set_operation(&mut self, body: &SetExpr) -> Result<Plan> {
        let mut chain = Vec::new();
        let mut leftmost = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = leftmost {
            chain.push((operation(*op)?, all(*set_quantifier)?, right));
            leftmost = left;
        }
        let first = self.bind_branch(leftmost)?;
        let (fields, positions) =
            (std::mem::take(&mut self.target_fields), std::mem::take(&mut self.target_positions));
        let mut columns: Vec<OutputColumn> = first.columns.to_vec();
        let mut run = Run { branches: vec![first], kind: SetOperationKind::Union, all: true };
        for (place, (kind, all, right)) in chain.into_iter().rev().enumerate() {
            let right = self.bind_branch(right)?;
            if place > 0 && (kind != run.kind || all != run.all) {
                let left = self.combine(run, &columns)?;
                run = Run { branches: vec![left], kind, all };
            }
            (run.kind, run.all) = (kind, all);
            self.unify_columns(&mut columns, &right, kind)?;
            if !all {
                for column in &columns {
                    check_ordered(column.ty, "equality")?;
                }
            }
            run.branches.push(right);
        }
        let plan = self.combine(run, &columns)?;
        (self.target_fields, self.target_positions) = (fields, positions);
        Ok(plan)
    }

    /// One branch, whose untyped literals wait for the type of the column.
    fn bind_branch(&mut self, branch: &SetExpr) -> Result<Plan> {
        let (plan, _) = self.watching_outer(|binder| binder.bind_body(branch, &Tail::default()))?;
        Ok(plan)
    }

    /// The types of the columns with one branch more.
    fn unify_columns(
        &self,
        columns: &mut [OutputColumn],
        right: &Plan,
        kind: SetOperationKind,
    ) -> Result<()> {
        let name = match kind {
            SetOperationKind::Union => "UNION",
            SetOperationKind::Intersect => "INTERSECT",
            SetOperationKind::Except => "EXCEPT",
        };
        let place = |n: usize| self.target_positions.get(n).copied().flatten();
        if columns.len() != right.columns.len() {
            let message = format!("each {name} query must have the same number of columns");
            return Err(syntax(message).at(place(0)));
        }
        for (n, (column, other)) in columns.iter_mut().zip(right.columns.iter()).enumerate() {
            let ty =
                common_type(&[column.ty, other.ty], name).map_err(|error| error.at(place(n)))?;
            let typmod = if column.typmod == other.typmod && column.ty == other.ty {
                column.typmod
            } else {
                -1
            };
            *column =
                OutputColumn { name: std::mem::take(&mut column.name), ty, typmod, origin: (0, 0) };
        }
        Ok(())
    }

    /// Puts branches together, each brought to the columns' types.
    fn combine(&mut self, run: Run, columns: &[OutputColumn]) -> Result<Plan> {
        let types: Vec<PgType> = columns.iter().map(|column| column.ty).collect();
        let mut branches = Vec::with_capacity(run.branches.len());
        for branch in run.branches {
            branches.push(self.retype_plan(branch, &types)?);
        }
        let output: Arc<[OutputColumn]> = Arc::from(columns.to_vec());
        let pair = |left: Plan, right: Plan| Plan {
            node: PlanNode::SetOperation {
                kind: run.kind,
                all: run.all,
                left: Box::new(left),
                right: Box::new(right),
            },
            columns: Arc::clone(&output),
        };
        let associative = !matches!(run.kind, SetOperationKind::Except);
        while associative && branches.len() > 1 {
            let mut halved = Vec::with_capacity(branches.len().div_ceil(2));
            let mut rest = branches.into_iter();
            while let Some(left) = rest.next() {
                halved.push(match rest.next() {
                    Some(right) => pair(left, right),
                    None => left,
                });
            }
            branches = halved;
        }
        let combined = branches.into_iter().reduce(pair);
        combined.ok_or_else(|| SqlError::internal("a set operation without branches"))
    }

    /// Brings a plan's columns to types: where its expressions stand, so that literals are read as what they are.
    pub(super) fn retype_plan(&mut self, mut plan: Plan, types: &[PgType]) -> Result<Plan> {
        if plan.columns.iter().zip(types).all(|(column, ty)| column.ty == *ty) {
            return Ok(plan);
        }
        match &mut plan.node {
            PlanNode::Project { expressions, .. } => self.retype_all(expressions, types)?,
            PlanNode::Values(rows) => {
                for row in rows {
                    self.retype_all(row, types)?;
                }
            }
            PlanNode::Distinct { input, on: None } => {
                let inner = std::mem::replace(
                    &mut **input,
                    Plan::new(PlanNode::Values(Vec::new()), Vec::new()),
                );
                **input = self.retype_plan(inner, types)?;
            }
            _ => return self.coerce_plan(plan, types),
        }
        let columns = plan.columns.iter().zip(types).map(|(column, ty)| {
            if column.ty == *ty {
                column.clone()
            } else {
                OutputColumn::computed(column.name.clone(), *ty)
            }
        });
        plan.columns = columns.collect();
        Ok(plan)
    }

    fn retype_all(&mut self, expressions: &mut [Expr], types: &[PgType]) -> Result<()> {
        for (expr, ty) in expressions.iter_mut().zip(types) {
            if expr.ty() != *ty {
                let untyped = std::mem::replace(expr, Expr::Row(Vec::new()));
                *expr = self.coerce(untyped, *ty, None)?;
            }
        }
        Ok(())
    }
}

fn operation(op: SetOperator) -> Result<SetOperationKind> {
    match op {
        SetOperator::Union => Ok(SetOperationKind::Union),
        SetOperator::Intersect => Ok(SetOperationKind::Intersect),
        SetOperator::Except => Ok(SetOperationKind::Except),
        SetOperator::Minus => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"MINUS\""))
        }
    }
}

fn all(quantifier: SetQuantifier) -> Result<bool> {
    match quantifier {
        SetQuantifier::All => Ok(true),
        SetQuantifier::Distinct | SetQuantifier::None => Ok(false),
        SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
            Err(unsupported("a set operation BY NAME"))
        }
    }
}
