//! From a plan to a tree of operators.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Result, SqlError};
use crate::exec::NESTING_MAX;
use crate::exec::columnar;
use crate::exec::environment::Statement;
use crate::exec::explain::{Analysis, Counters};
use crate::exec::expression::{Compiled, Host, SubqueryValue, compile, subquery, too_complex};
use crate::exec::key::Direction;
use crate::exec::operators::{
    BoxOperator, Shared, aggregate, cte, distinct, filter, function_scan, join, limit, measure,
    project, project_set, scan, set_operation, sort, values, window,
};
use crate::optimize::walk;
use crate::plan::{Expr, Plan, PlanNode, SortKey, Subquery, SubqueryKind};

/// Builds operators and expressions for one statement.
pub(crate) struct Builder<'b> {
    statement: Arc<Statement>,
    analysis: Option<&'b mut Analysis>,
    ctes: Vec<VisibleCte>,
    /// The operators of plans that two others read, by the plan's place in memory, where it stays.
    shared: BTreeMap<usize, Shared>,
    /// How many rows enclose the plan being built.
    level: usize,
    depth: usize,
}

/// A common table expression that scans may refer to.
struct VisibleCte {
    number: usize,
    level: usize,
    source: cte::CteSource,
}

impl<'b> Builder<'b> {
    /// A builder for the outermost query.
    pub(crate) fn new(statement: &Arc<Statement>, analysis: Option<&'b mut Analysis>) -> Self {
        let (ctes, shared) = (Vec::new(), BTreeMap::new());
        Self { statement: Arc::clone(statement), analysis, ctes, shared, level: 0, depth: 0 }
    }

    /// The statement.
    pub(crate) fn statement(&self) -> &Arc<Statement> {
        &self.statement
    }

    /// Builds the operator of a plan.
    pub(crate) fn operator(&mut self, plan: &Plan) -> Result<BoxOperator> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(too_complex());
        }
        let by_rows = self.node(plan)?;
        let operator = columnar::rows::by_columns(self, plan, by_rows)?;
        self.depth -= 1;
        Ok(match &mut self.analysis {
            Some(analysis) => Box::new(measure::Measure::new(operator, analysis.counters(plan))),
            None => operator,
        })
    }

    /// The counters of a plan that another operator does the work of, if they are asked for.
    pub(crate) fn counters(&mut self, plan: &Plan) -> Option<Arc<Counters>> {
        self.analysis.as_mut().map(|analysis| analysis.counters(plan))
    }

    /// Builds the operator of a plan that is read by an operator or by the one that does its work by columns.
    pub(crate) fn share(&mut self, plan: &Plan) -> Result<BoxOperator> {
        let operator = Shared::new(self.operator(plan)?);
        self.shared.insert(std::ptr::from_ref(plan).addr(), operator.clone());
        Ok(Box::new(operator))
    }

    /// That operator, if it has been built.
    pub(crate) fn shared(&self, plan: &Plan) -> Option<Shared> {
        self.shared.get(&std::ptr::from_ref(plan).addr()).cloned()
    }

    /// Builds the operator of a plan one row further in: a subquery's, or a lateral join's right side.
    pub(crate) fn operator_inside(&mut self, plan: &Plan) -> Result<BoxOperator> {
        self.level += 1;
        let operator = self.operator(plan);
        self.level -= 1;
        operator
    }

    /// Compiles an expression.
    pub(crate) fn expression(&mut self, expr: &Expr) -> Result<Compiled> {
        let depth = self.depth;
        compile(expr, self, depth)
    }

    /// Compiles expressions.
    pub(crate) fn expressions(&mut self, expressions: &[Expr]) -> Result<Vec<Compiled>> {
        expressions.iter().map(|expr| self.expression(expr)).collect()
    }

    /// Compiles an expression that may be absent.
    pub(crate) fn optional(&mut self, expr: Option<&Expr>) -> Result<Option<Compiled>> {
        expr.map(|expr| self.expression(expr)).transpose()
    }

    /// Compiles sort keys.
    pub(crate) fn sort_keys(
        &mut self,
        keys: &[SortKey],
    ) -> Result<(Vec<Compiled>, Vec<Direction>)> {
        let expressions =
            keys.iter().map(|key| self.expression(&key.expression)).collect::<Result<_>>()?;
        Ok((expressions, keys.iter().map(Direction::of).collect()))
    }

    /// Makes a common table expression visible until [`Builder::hide_cte`].
    pub(crate) fn show_cte(&mut self, number: usize, source: cte::CteSource) {
        self.ctes.push(VisibleCte { number, level: self.level, source });
    }

    /// Takes the last one back.
    pub(crate) fn hide_cte(&mut self) {
        self.ctes.pop();
    }

    /// A common table expression, and how many rows further out it was defined.
    pub(crate) fn cte(&self, number: usize) -> Result<(cte::CteSource, usize)> {
        let found = self.ctes.iter().rev().find(|cte| cte.number == number);
        let found = found.ok_or_else(|| {
            SqlError::internal(format!("common table expression {number} is not in scope"))
        })?;
        Ok((found.source.clone(), self.level - found.level))
    }

    fn node(&mut self, plan: &Plan) -> Result<BoxOperator> {
        let width = plan.columns.len();
        match &plan.node {
            PlanNode::Scan { relation, columns, access, filter } => {
                scan::build(self, relation, columns, access, filter.as_ref())
            }
            PlanNode::Values(rows) => values::build(self, rows, width),
            PlanNode::Project { input, expressions } => project::build(self, input, expressions),
            PlanNode::ProjectSet { input, items } => project_set::build(self, input, items),
            PlanNode::Filter { input, predicate } => filter::build(self, input, predicate),
            PlanNode::Join { left, right, kind, on, lateral } => {
                join::build(self, left, right, *kind, on.as_ref(), *lateral)
            }
            PlanNode::Aggregate { input, group, grouping_sets, aggregates } => {
                aggregate::build(self, input, group, grouping_sets, aggregates)
            }
            PlanNode::Window { input, calls } => window::build(self, input, calls),
            PlanNode::Sort { input, keys } => sort::build(self, input, keys),
            PlanNode::Limit { input, limit, offset, ties } => {
                limit::build(self, input, limit.as_ref(), offset.as_ref(), ties.as_deref())
            }
            PlanNode::Distinct { input, on } => distinct::build(self, input, on.as_deref()),
            PlanNode::SetOperation { kind, all, left, right } => {
                set_operation::build(self, *kind, *all, left, right)
            }
            PlanNode::With { ctes, body } => cte::build_with(self, ctes, body),
            PlanNode::CteScan { cte, .. } => cte::build_scan(self, *cte, width),
            PlanNode::RecursiveUnion { cte, start, step, distinct } => {
                cte::build_recursive(self, *cte, start, step, *distinct)
            }
            PlanNode::FunctionScan { calls, ordinality } => {
                function_scan::build(self, calls, *ordinality)
            }
        }
    }

    /// Whether a plan reads the rows of a recursive union's round that is defined outside of it.
    fn reads_round(&self, plan: &Plan) -> bool {
        let read = walk::ctes_read(plan);
        self.ctes.iter().any(|cte| cte.source.changes() && read.contains(&cte.number))
    }
}

impl Host for Builder<'_> {
    fn statement(&self) -> Option<&Statement> {
        Some(&self.statement)
    }

    fn subquery(&mut self, it: &Subquery, depth: usize) -> Result<SubqueryValue> {
        let before = std::mem::replace(&mut self.depth, depth);
        let operator = self.operator_inside(&it.plan)?;
        let kind = match &it.kind {
            SubqueryKind::Scalar => subquery::Kind::Scalar,
            SubqueryKind::Exists => subquery::Kind::Exists,
            SubqueryKind::Array => subquery::Kind::Array(it.ty),
            SubqueryKind::Quantified { left, operators, all } => {
                let left =
                    left.iter().map(|left| compile(left, self, depth)).collect::<Result<_>>()?;
                subquery::Kind::Quantified(subquery::QuantifiedRows::new(left, operators, *all))
            }
        };
        self.depth = before;
        let dependencies = subquery::Dependencies {
            references: walk::outer_references(&it.plan).into_iter().collect(),
            repeatable: walk::is_repeatable_plan(&it.plan),
            recursive: self.reads_round(&it.plan),
        };
        Ok(SubqueryValue::new(kind, operator, dependencies, &self.statement))
    }
}
