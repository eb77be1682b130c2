//! `GROUP BY`, and what may stand beside aggregates.
//!
//! Everything above the grouping is over groups: group expressions and aggregates. Expressions are matched with the
//! group expressions as a whole; a column that is left over is an error, unless the primary key of its table is
//! grouped by.

use std::sync::Arc;

use sqlparser::ast::{self, Expr as Ast};

use super::binder::{Binder, unsupported};
use super::call::has_placeholder;
use super::expr::strip;
use super::query::check_ordered;
use super::scope::{AGGREGATES, Clause, Grouping, Namespace, SETS, WINDOWS};
use super::select::{each_window, set_type};
use super::target::Target;
use super::walk::{column_of, same, set_column, walk_expr, walk_set_call};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{
    AggregateCall, Expr, OutputColumn, Plan, PlanNode, ProjectSetItem, SetCall, WindowCall,
};
use crate::types::PgType;

/// The most grouping sets, as in PostgreSQL.
const GROUPING_SETS_MAX: usize = 4096;

/// The group expressions and the sets of them.
#[derive(Debug)]
pub(super) struct Groups {
    expressions: Vec<Expr>,
    sets: Vec<Vec<usize>>,
}

impl Default for Groups {
    /// All rows are one group.
    fn default() -> Self {
        Self { expressions: Vec::new(), sets: vec![vec![]] }
    }
}

/// What grouping a query's rows needs to know.
pub(super) struct Regroup<'n> {
    pub(super) names: &'n Namespace,
    pub(super) groups: Groups,
    pub(super) aggregates: Vec<AggregateCall>,
    pub(super) uses: Vec<(usize, Option<usize>)>,
    pub(super) groupings: Vec<Grouping>,
}

impl Binder<'_> {
    /// Binds the items of a `GROUP BY`; none without one.
    pub(super) fn bind_groups(
        &mut self,
        items: &[Ast],
        targets: &mut Vec<Target>,
    ) -> Result<Option<Groups>> {
        if items.is_empty() {
            return Ok(None);
        }
        let mut groups = Groups { expressions: Vec::new(), sets: vec![vec![]] };
        for item in items {
            let sets = self.bind_group_item(item, targets, &mut groups.expressions)?;
            // Items multiply: each set of one with each set of the others.
            let mut product = Vec::with_capacity(groups.sets.len() * sets.len());
            for left in &groups.sets {
                for right in &sets {
                    let mut both = left.clone();
                    both.extend(right.iter().filter(|place| !left.contains(place)));
                    product.push(both);
                }
            }
            if product.len() > GROUPING_SETS_MAX {
                let message =
                    format!("too many grouping sets present (maximum {GROUPING_SETS_MAX})");
                return Err(
                    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message).at(self.at_expr(item))
                );
            }
            groups.sets = product;
        }
        Ok(Some(groups))
    }

    /// The sets that an item stands for.
    fn bind_group_item(
        &mut self,
        item: &Ast,
        targets: &mut Vec<Target>,
        expressions: &mut Vec<Expr>,
    ) -> Result<Vec<Vec<usize>>> {
        match item {
            Ast::Rollup(parts) => {
                let parts = self.bind_group_parts(parts, targets, expressions)?;
                Ok((0..=parts.len()).rev().map(|count| parts[..count].concat()).collect())
            }
            Ast::Cube(parts) => {
                if parts.len() > 12 {
                    let message = "CUBE is limited to 12 elements";
                    return Err(
                        SqlError::new(SqlState::TOO_MANY_COLUMNS, message).at(self.at_expr(item))
                    );
                }
                let parts = self.bind_group_parts(parts, targets, expressions)?;
                let count = parts.len();
                let chosen = |mask: usize| {
                    let inside = |bit: &usize| mask >> (count - 1 - bit) & 1 == 1;
                    (0..count).filter(inside).flat_map(|bit| parts[bit].iter().copied()).collect()
                };
                Ok((0..1_usize << count).rev().map(chosen).collect())
            }
            Ast::GroupingSets(sets) => {
                let mut all = Vec::new();
                for set in sets {
                    match set.as_slice() {
                        [nested @ (Ast::Rollup(_) | Ast::Cube(_) | Ast::GroupingSets(_))] => {
                            all.extend(self.bind_group_item(nested, targets, expressions)?);
                        }
                        [Ast::Function(call)] if nested_set(call).is_some() => {
                            let nested = nested_set(call).unwrap_or(Ast::Rollup(Vec::new()));
                            all.extend(self.bind_group_item(&nested, targets, expressions)?);
                        }
                        plain => all.push(self.bind_group_set(plain, targets, expressions)?),
                    }
                }
                Ok(all)
            }
            Ast::Tuple(parts) => Ok(vec![self.bind_group_set(parts, targets, expressions)?]),
            plain => Ok(vec![vec![self.bind_group(plain, targets, expressions)?]]),
        }
    }

    fn bind_group_parts(
        &mut self,
        parts: &[Vec<Ast>],
        targets: &mut Vec<Target>,
        expressions: &mut Vec<Expr>,
    ) -> Result<Vec<Vec<usize>>> {
        parts.iter().map(|part| self.bind_group_set(part, targets, expressions)).collect()
    }

    fn bind_group_set(
        &mut self,
        set: &[Ast],
        targets: &mut Vec<Target>,
        expressions: &mut Vec<Expr>,
    ) -> Result<Vec<usize>> {
        let mut places = Vec::with_capacity(set.len());
        for item in set {
            if let Ast::Tuple(parts) = item {
                places.extend(self.bind_group_set(parts, targets, expressions)?);
            } else {
                places.push(self.bind_group(item, targets, expressions)?);
            }
        }
        Ok(places)
    }

    /// One group expression: a column in sight before a target's name, a target's number, or an expression.
    fn bind_group(
        &mut self,
        item: &Ast,
        targets: &mut [Target],
        expressions: &mut Vec<Expr>,
    ) -> Result<usize> {
        let target = match self.ordinal(item, targets.len(), "GROUP BY")? {
            Some(place) => Some(place),
            None if self.is_local_column(item) => None,
            None => self.named_target(item, targets, "GROUP BY")?,
        };
        let bound = if let Some(place) = target {
            if targets[place].expr.ty() == PgType::Unknown {
                let undecided = std::mem::replace(&mut targets[place].expr, Expr::Row(Vec::new()));
                targets[place].expr = self.decided(undecided, None)?;
            }
            targets[place].expr.clone()
        } else {
            let bound = self.in_clause(Clause::GroupBy, |binder| binder.bind_expr(item))?;
            self.decided(bound, Some(item))?
        };
        let at = self.at_expr(item);
        if has_placeholder(&bound, WINDOWS..SETS) {
            let message = "window functions are not allowed in GROUP BY";
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(at));
        }
        if has_placeholder(&bound, AGGREGATES..WINDOWS) {
            let message = "aggregate functions are not allowed in GROUP BY";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at));
        }
        check_ordered(bound.ty(), "equality").map_err(|error| error.at(at))?;
        let known = expressions.iter().position(|it| same(it, &bound));
        Ok(known.unwrap_or_else(|| {
            expressions.push(bound);
            expressions.len() - 1
        }))
    }

    fn is_local_column(&mut self, item: &Ast) -> bool {
        let Ast::Identifier(ident) = strip(item) else { return false };
        self.level().namespace.columns.iter().any(|column| column.name == ident.value)
    }
}

/// Runs the set-returning calls that are grouped by before the rows are grouped: their values become columns behind
/// the row. Calls elsewhere that are written alike are the same values.
pub(super) fn spread(
    plan: Plan,
    groups: &mut Groups,
    targets: &mut [Target],
    windows: &mut [WindowCall],
    sets: &mut Vec<SetCall>,
) -> Result<Plan> {
    let grouped = |place: usize| {
        groups.expressions.iter().any(|expr| has_placeholder(expr, SETS + place..=SETS + place))
    };
    let run: Vec<usize> = (0..sets.len()).filter(|place| grouped(*place)).collect();
    if run.is_empty() {
        return Ok(plan);
    }
    if run.iter().any(|place| sets[*place].arguments.iter().any(|it| has_placeholder(it, SETS..))) {
        return Err(unsupported("nested set-returning functions in GROUP BY"));
    }
    let width = plan.columns.len();
    let mut items: Vec<ProjectSetItem> = Vec::with_capacity(width + run.len());
    for (place, column) in plan.columns.iter().enumerate() {
        items.push(ProjectSetItem::Expr(Expr::Column(place, column.ty)));
    }
    let mut columns = plan.columns.to_vec();
    for place in &run {
        let call = &sets[*place];
        columns.push(OutputColumn::computed(call.function.name, set_type(call)));
        items.push(ProjectSetItem::Set(call.clone()));
    }
    // Where each call's value is to be found from now on; those that stay move up.
    let (mut moved, mut kept) = (Vec::with_capacity(sets.len()), Vec::new());
    for set in sets.iter() {
        let alike = |place: &usize| same_call(&sets[*place], set);
        moved.push(match run.iter().position(alike) {
            Some(nth) => width + nth,
            None => {
                kept.push(set.clone());
                SETS + kept.len() - 1
            }
        });
    }
    let mut follow = |expr: &mut Expr, level: usize| {
        if let Some(to) =
            column_of(expr, level).and_then(|it| moved.get(it.checked_sub(SETS)?).copied())
        {
            set_column(expr, to);
        }
        true
    };
    for expr in &mut groups.expressions {
        walk_expr(expr, 0, &mut follow);
    }
    for target in targets.iter_mut() {
        walk_expr(&mut target.expr, 0, &mut follow);
    }
    for set in &mut kept {
        walk_set_call(set, 0, &mut follow);
    }
    each_window(windows, &mut follow);
    *sets = kept;
    Ok(Plan::new(PlanNode::ProjectSet { input: Box::new(plan), items }, columns))
}

fn same_call(left: &SetCall, right: &SetCall) -> bool {
    std::ptr::eq(left.function, right.function)
        && left.arguments.len() == right.arguments.len()
        && left.arguments.iter().zip(&right.arguments).all(|(left, right)| same(left, right))
}

/// Groups a plan's rows, and makes everything above it refer to the groups.
pub(super) fn aggregated(
    plan: Plan,
    mut regroup: Regroup<'_>,
    targets: &mut [Target],
    having: Option<&mut Expr>,
    windows: &mut [WindowCall],
    sets: &mut [SetCall],
) -> Result<Plan> {
    regroup.add_dependent();
    for target in targets.iter_mut() {
        let uses = regroup.uses.get(target.uses.clone()).unwrap_or_default().to_vec();
        regroup.apply(&uses, |visit| walk_expr(&mut target.expr, 0, visit))?;
    }
    let uses = regroup.uses.clone();
    if let Some(having) = having {
        regroup.apply(&uses, |visit| walk_expr(having, 0, visit))?;
    }
    regroup.apply(&uses, |visit| each_window(windows, visit))?;
    regroup.apply(&uses, |visit| sets.iter_mut().for_each(|set| walk_set_call(set, 0, visit)))?;
    let Regroup { groups: Groups { expressions, sets }, aggregates, .. } = regroup;
    let keys = expressions.iter().map(|expr| OutputColumn::computed("", expr.ty()));
    let values = aggregates.iter().map(|call| OutputColumn::computed(call.function.name, call.ty));
    let number = (sets.len() > 1).then(|| OutputColumn::computed("grouping set", PgType::Int4));
    let columns: Arc<[OutputColumn]> = keys.chain(values).chain(number).collect();
    let input = Box::new(plan);
    let node = PlanNode::Aggregate { input, group: expressions, grouping_sets: sets, aggregates };
    Ok(Plan { node, columns })
}

impl Regroup<'_> {
    /// Groups by the columns, too, that follow from a primary key that every grouping set has.
    fn add_dependent(&mut self) {
        let is_group = |groups: &Groups, column: usize| {
            let found = groups
                .expressions
                .iter()
                .position(|it| matches!(it, Expr::Column(place, _) if *place == column));
            found.is_some_and(|found| groups.sets.iter().all(|set| set.contains(&found)))
        };
        let mut dependent = Vec::new();
        for named in &self.names.relations {
            let Some(relation) = &named.relation else { continue };
            let Some(key) = relation.schema().indexes.iter().find(|index| index.primary) else {
                continue;
            };
            let place = |column: usize| match named.columns.get(column).map(|it| &it.expr) {
                Some(Expr::Column(place, _)) => Some(*place),
                _ => None,
            };
            let grouped = key
                .columns
                .iter()
                .all(|it| place(*it).is_some_and(|it| is_group(&self.groups, it)));
            if grouped {
                dependent.extend(named.columns.iter().map(|column| column.expr.clone()));
            }
        }
        for expr in dependent {
            let Expr::Column(column, _) = expr else { continue };
            let used = self.uses.iter().any(|(used, _)| *used == column);
            let known = self.groups.expressions.iter().any(|it| same(it, &expr));
            if used && !known {
                let place = self.groups.expressions.len();
                self.groups.sets.iter_mut().for_each(|set| set.push(place));
                self.groups.expressions.push(expr);
            }
        }
    }

    /// Rewrites the expressions that `walk` visits.
    fn apply(
        &self,
        uses: &[(usize, Option<usize>)],
        walk: impl FnOnce(&mut dyn FnMut(&mut Expr, usize) -> bool),
    ) -> Result<()> {
        let groups = &self.groups.expressions;
        let mut failed: Option<SqlError> = None;
        walk(&mut |expr, level| {
            if failed.is_some() {
                return false;
            }
            if let Expr::Grouping(places) = expr {
                match self.grouping(places) {
                    Ok(found) => *places = found,
                    Err(error) => failed = Some(error),
                }
                return false;
            }
            let column = column_of(expr, level);
            match column {
                Some(column) if column >= WINDOWS => return true,
                Some(column) if column >= AGGREGATES => {
                    set_column(expr, groups.len() + column - AGGREGATES);
                    return false;
                }
                _ => {}
            }
            let found = match column {
                Some(column) => {
                    groups.iter().position(|it| matches!(it, Expr::Column(it, _) if *it == column))
                }
                None if level == 0 && !matches!(expr, Expr::Literal(..) | Expr::Parameter(..)) => {
                    groups.iter().position(|group| same(group, expr))
                }
                None => None,
            };
            match (found, column) {
                (Some(place), Some(_)) => set_column(expr, place),
                (Some(place), None) => *expr = Expr::Column(place, expr.ty()),
                (None, Some(column)) => failed = Some(self.ungrouped(column, level, uses)),
                (None, None) => return true,
            }
            false
        });
        failed.map_or(Ok(()), Err)
    }

    /// The group expressions that the arguments of a `GROUPING` are.
    fn grouping(&self, places: &[usize]) -> Result<Vec<usize>> {
        let grouping =
            places.first().and_then(|place| self.groupings.get(place.checked_sub(AGGREGATES)?));
        let Some(grouping) = grouping else { return Ok(places.to_vec()) };
        let mut found = Vec::with_capacity(grouping.arguments.len());
        for (argument, at) in grouping.arguments.iter().zip(&grouping.positions) {
            let place = self.groups.expressions.iter().position(|group| same(group, argument));
            found.push(place.ok_or_else(|| {
                let message =
                    "arguments to GROUPING must be grouping expressions of the associated query level";
                SqlError::new(SqlState::GROUPING_ERROR, message).at(*at)
            })?);
        }
        Ok(found)
    }

    /// That a column is neither grouped by nor aggregated.
    fn ungrouped(&self, column: usize, level: usize, uses: &[(usize, Option<usize>)]) -> SqlError {
        let is_it = |expr: &Expr| matches!(expr, Expr::Column(place, _) if *place == column);
        let found = self.names.relations.iter().find_map(|relation| {
            let column = relation.columns.iter().find(|column| is_it(&column.expr))?;
            Some(format!("{}.{}", relation.name, column.name))
        });
        let name = found.unwrap_or_default();
        let message = if level == 0 {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            )
        } else {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        };
        let at = uses.iter().find(|(used, _)| *used == column).and_then(|(_, at)| *at);
        SqlError::new(SqlState::GROUPING_ERROR, message).at(at)
    }
}

/// `ROLLUP (..)` and `CUBE (..)` within `GROUPING SETS`, which the parser takes for calls of functions.
fn nested_set(call: &ast::Function) -> Option<Ast> {
    let [ast::ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else { return None };
    let ast::FunctionArguments::List(list) = &call.args else { return None };
    let part = |argument: &ast::FunctionArg| match argument {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(Ast::Tuple(parts))) => {
            Some(parts.clone())
        }
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(part)) => Some(vec![part.clone()]),
        _ => None,
    };
    let parts = list.args.iter().map(part).collect::<Option<Vec<_>>>()?;
    match (name.quote_style, name.value.as_str()) {
        (None, "rollup") => Some(Ast::Rollup(parts)),
        (None, "cube") => Some(Ast::Cube(parts)),
        _ => None,
    }
}
