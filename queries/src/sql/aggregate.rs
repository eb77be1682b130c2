//! Calls of aggregates: their form, and the query whose rows they are over.

use sqlparser::ast::{self, DuplicateTreatment, Expr as Ast, FunctionArgumentClause};

use super::binder::{Binder, unsupported};
use super::call::{BoundArguments, CallName};
use super::json_row::is_named_row;
use super::scope::{AGGREGATES, Clause, SETS, WINDOWS};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{AggregateCall, Expr, SortKey};
use crate::types::PgType;
use crate::types::functions::registry;
use crate::types::functions::resolve::signature;
use crate::types::functions::{AggregateFunction, Callee, JSON_AGG_OF_ROWS};

impl Binder<'_> {
    pub(super) fn bind_aggregate_call(
        &mut self,
        name: &CallName<'_>,
        list: &ast::FunctionArgumentList,
        function: &ast::Function,
    ) -> Result<Expr> {
        let uses = self.level().uses.len();
        let no_sets = self.level().no_sets.take();
        let call = self.in_clause(Clause::AggregateArguments, |binder| {
            binder.bind_aggregate(name, list, &function.within_group, function.filter.as_deref())
        });
        self.level().no_sets = no_sets;
        let call = call?;
        self.level().uses.truncate(uses);
        self.place_aggregate(call, name.position)
    }

    /// Binds an aggregate with everything in its parentheses and behind them.
    pub(super) fn bind_aggregate(
        &mut self,
        name: &CallName<'_>,
        list: &ast::FunctionArgumentList,
        within_group: &[ast::OrderByExpr],
        filter: Option<&Ast>,
    ) -> Result<AggregateCall> {
        let mut arguments = self.bind_arguments_of(list, name)?;
        let mut order_asts: &[ast::OrderByExpr] = &[];
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) => order_asts = keys,
                other => return Err(unsupported(format!("{other} in a call")).at(name.position)),
            }
        }
        let direct = arguments.values.len();
        for key in within_group {
            arguments.values.push(self.bind_expr(&key.expr)?);
            arguments.origins.push(&key.expr);
        }
        if hypothetical(name) && !within_group.is_empty() {
            self.unify_hypothetical(name, &mut arguments, direct)?;
        }
        let resolved = self.resolve_call(name, &arguments)?;
        let Callee::Aggregate(function) = resolved.callee else {
            let message = format!("{} is not an aggregate function", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position));
        };
        Self::check_aggregate_form(name, function, &arguments, within_group, list)?;
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let mut values = self.convert_arguments(&resolved, arguments)?;
        let of_rows = function.name == "json_agg" && values.first().is_some_and(is_named_row);
        let function = if of_rows { &JSON_AGG_OF_ROWS } else { function };
        let mut order = Vec::new();
        if function.ordered_set {
            let sorted = values.split_off(direct);
            for (expression, key) in sorted.into_iter().zip(within_group) {
                order.push(self.sort_key(expression, key)?);
            }
        } else {
            for key in order_asts {
                let bound = self.bind_expr(&key.expr)?;
                let expression = self.decided(bound, Some(&key.expr))?;
                order.push(self.sort_key(expression, key)?);
            }
        }
        if distinct {
            Self::check_distinct_order(&values, &order, name.position)?;
        }
        let filter = match filter {
            Some(filter) => Some(self.bind_boolean(filter, "FILTER")?),
            None => None,
        };
        Ok(AggregateCall {
            function,
            arguments: values,
            distinct,
            order,
            filter,
            ty: resolved.result,
        })
    }

    /// The row of a hypothetical-set aggregate gets the types of the rows that it is ranked among.
    fn unify_hypothetical(
        &mut self,
        name: &CallName<'_>,
        arguments: &mut BoundArguments<'_>,
        direct: usize,
    ) -> Result<()> {
        let sorted = arguments.values.len() - direct;
        if direct != sorted {
            let types: Vec<PgType> = arguments.values.iter().map(Expr::ty).collect();
            let message =
                format!("function {} does not exist", signature(name.schema, name.name, &types));
            let hint = format!(
                "To use the hypothetical-set aggregate {}, the number of hypothetical direct arguments (here {direct}) must match the number of ordering columns (here {sorted}).",
                name.name
            );
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                .with_hint(hint)
                .at(name.position));
        }
        for place in 0..direct {
            let pair = [direct + place, place];
            let values = pair.map(|it| arguments.values[it].clone()).to_vec();
            let origins = pair.map(|it| arguments.origins[it]);
            let (values, _) = self.unify(values, "WITHIN GROUP", &origins)?;
            for (it, value) in pair.into_iter().zip(values) {
                arguments.values[it] = value;
            }
        }
        Ok(())
    }

    fn check_aggregate_form(
        name: &CallName<'_>,
        function: &AggregateFunction,
        arguments: &BoundArguments<'_>,
        within_group: &[ast::OrderByExpr],
        list: &ast::FunctionArgumentList,
    ) -> Result<()> {
        let wrong = |message: String| {
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position))
        };
        if arguments.values.is_empty() && !arguments.star && !function.ordered_set {
            return wrong(format!(
                "{}(*) must be used to call a parameterless aggregate function",
                name.name
            ));
        }
        if function.ordered_set && within_group.is_empty() {
            return wrong(format!(
                "WITHIN GROUP is required for ordered-set aggregate {}",
                name.name
            ));
        }
        if !function.ordered_set && !within_group.is_empty() {
            return wrong(format!(
                "{} is not an ordered-set aggregate, so it cannot have WITHIN GROUP",
                name.name
            ));
        }
        if function.ordered_set && list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            return wrong("cannot use DISTINCT with WITHIN GROUP".to_owned());
        }
        Ok(())
    }

    /// With DISTINCT an aggregate can be ordered by its arguments only.
    fn check_distinct_order(
        values: &[Expr],
        order: &[SortKey],
        position: Option<usize>,
    ) -> Result<()> {
        let listed =
            |key: &SortKey| values.iter().any(|value| super::walk::same(value, &key.expression));
        if order.iter().all(listed) {
            return Ok(());
        }
        let message =
            "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
        Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position))
    }

    /// Puts an aggregate to the query whose rows it is over: that of the nearest row it refers to.
    fn place_aggregate(
        &mut self,
        mut call: AggregateCall,
        position: Option<usize>,
    ) -> Result<Expr> {
        let mut nearest: Option<usize> = None;
        let mut nested = None;
        super::walk::walk_aggregate(&mut call, 0, &mut |expr, level| {
            let out = match expr {
                Expr::Column(column, _) if level == 0 => {
                    nested = nested.or(kind_of(*column));
                    Some(0)
                }
                Expr::Outer { depth, .. } => depth.checked_sub(level),
                _ => None,
            };
            nearest = [nearest, out].into_iter().flatten().min();
            true
        });
        if let Some(kind) = nested {
            let message = match kind {
                Clause::WindowFrame => {
                    "aggregate function calls cannot contain window function calls"
                }
                _ => "aggregate function calls cannot be nested",
            };
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
        }
        let depth = nearest.unwrap_or(0);
        let ty = call.ty;
        if depth > 0 {
            super::walk::walk_aggregate(&mut call, 0, &mut |expr, level| {
                if let Expr::Outer { depth: far, column, ty } = expr
                    && *far > level
                {
                    *far -= depth;
                    if *far == 0 {
                        *expr = Expr::Column(*column, *ty);
                    }
                }
                true
            });
        }
        let place = self.levels.len() - 1 - depth;
        let clause = self.levels[place].clause;
        if !clause.allows_aggregates() {
            let message = if clause == Clause::AggregateArguments {
                "aggregate function calls cannot be nested".to_owned()
            } else {
                format!("aggregate functions are not allowed in {}", clause.name())
            };
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
        }
        self.lowest = self.lowest.min(place);
        self.levels[place].used = true;
        let aggregates = &mut self.levels[place].aggregates;
        aggregates.push(call);
        let column = AGGREGATES + aggregates.len() - 1;
        Ok(if depth == 0 { Expr::Column(column, ty) } else { Expr::Outer { depth, column, ty } })
    }
}

/// Whether a name is that of a hypothetical-set aggregate.
fn hypothetical(name: &CallName<'_>) -> bool {
    let mut found = registry::functions_named(name.name).iter();
    found.any(|it| matches!(it.callee, Callee::Aggregate(it) if it.hypothetical.is_some()))
}

/// What a column stands for while a query's plan is not made yet.
fn kind_of(column: usize) -> Option<Clause> {
    match column {
        SETS.. => None,
        WINDOWS.. => Some(Clause::WindowFrame),
        AGGREGATES.. => Some(Clause::AggregateArguments),
        _ => None,
    }
}
