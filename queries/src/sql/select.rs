//! `SELECT`: its clauses are bound over the rows of `FROM`, and then put together as a plan.
//!
//! Calls that are computed by operators of their own — aggregates, window calls, set-returning calls — are bound to
//! columns far behind the row's last one ([`super::scope`]). Each operator of the plan then replaces its kind by the
//! columns that it adds.

use std::sync::Arc;

use sqlparser::ast::{self, Distinct, Expr as Ast, NamedWindowExpr, OrderByExpr, Select};

use super::binder::{Binder, unsupported};
use super::call::has_placeholder;
use super::expr::strip;
use super::from::Bound;
use super::group::{Groups, Regroup, aggregated, spread};
use super::query::{Limits, Tail, check_ordered, group_items, sorted};
use super::scope::{Clause, Level, NamedWindow, SETS, WINDOWS};
use super::target::Target;
use super::walk::{column_of, same, set_column, walk_expr, walk_set_call, walk_window};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{
    Expr, OutputColumn, Plan, PlanNode, ProjectSetItem, SetCall, SortKey, WindowCall,
};
use crate::types::PgType;

/// The clauses of a `SELECT`, bound.
pub(super) struct Parts {
    /// What it gives, and behind that what it is only ordered by.
    pub(super) targets: Vec<Target>,
    /// How many of the targets it gives.
    pub(super) visible: usize,
    pub(super) filter: Option<Expr>,
    pub(super) having: Option<Expr>,
    pub(super) groups: Option<Groups>,
    /// The targets that it is ordered by.
    order: Vec<SortKey>,
    distinct: Distinction,
    limits: Limits,
}

enum Distinction {
    None,
    Rows,
    /// The targets of `DISTINCT ON`.
    On(Vec<usize>),
}

impl Binder<'_> {
    /// Binds a `SELECT` with what follows it.
    pub(super) fn bind_select(&mut self, select: &Select, tail: &Tail<'_>) -> Result<Plan> {
        check_select(select)?;
        let (from, namespace) = self.bind_from(&select.from)?;
        let mut level = Level::new(namespace, Clause::Select);
        level.named_windows = self.named_windows(select)?;
        let (parts, mut level) =
            self.with_level(level, |binder| binder.bind_parts(select, tail))?;
        let names = std::mem::take(&mut level.namespace);
        self.assemble((from, names), parts, level)
    }

    fn named_windows(&self, select: &Select) -> Result<Vec<NamedWindow>> {
        let mut windows: Vec<NamedWindow> = Vec::new();
        for ast::NamedWindowDefinition(name, window) in &select.named_window {
            if windows.iter().any(|other| other.name == name.value) {
                let message = format!("window \"{}\" is already defined", name.value);
                return Err(
                    SqlError::new(SqlState::WINDOWING_ERROR, message).at(self.at_ident(name))
                );
            }
            let spec = match window {
                NamedWindowExpr::WindowSpec(spec) => spec.clone(),
                NamedWindowExpr::NamedWindow(name) => {
                    return Err(unsupported("a window that is another").at(self.at_ident(name)));
                }
            };
            windows.push(NamedWindow { name: name.value.clone(), spec });
        }
        Ok(windows)
    }

    /// Binds the clauses in PostgreSQL's order, which decides the types of parameters.
    fn bind_parts(&mut self, select: &Select, tail: &Tail<'_>) -> Result<Parts> {
        let mut targets = self.bind_targets(&select.projection)?;
        let visible = targets.len();
        let filter = match &select.selection {
            Some(filter) => {
                Some(self.in_clause(Clause::Where, |binder| binder.bind_boolean(filter, "WHERE"))?)
            }
            None => None,
        };
        let having = match &select.having {
            Some(having) => Some(
                self.in_clause(Clause::Having, |binder| binder.bind_boolean(having, "HAVING"))?,
            ),
            None => None,
        };
        let mut order = Vec::with_capacity(tail.order.len());
        for key in tail.order {
            let place = self.in_clause(Clause::OrderBy, |binder| {
                binder.output_target(&key.expr, &mut targets, "ORDER BY")
            })?;
            let column = Expr::Column(place, targets[place].expr.ty());
            order.push(self.sort_key(column, key)?);
        }
        let groups = self.bind_groups(group_items(&select.group_by)?, &mut targets)?;
        let distinct =
            self.bind_distinct_clause(select, &mut targets, visible, &order, tail.order)?;
        let limits = self.bind_limits(tail)?;
        if tail.decide_types {
            for target in &mut targets {
                if target.expr.ty() == PgType::Unknown {
                    let undecided = std::mem::replace(&mut target.expr, Expr::Row(Vec::new()));
                    target.expr = self.decided(undecided, None)?;
                }
            }
        }
        Ok(Parts { targets, visible, filter, having, groups, order, distinct, limits })
    }

    /// The target that an item of `ORDER BY` or `DISTINCT ON` means: by name, by number, or as an expression.
    fn output_target(
        &mut self,
        key: &Ast,
        targets: &mut Vec<Target>,
        clause: &str,
    ) -> Result<usize> {
        let visible = targets.len();
        let found = match self.ordinal(key, visible, clause)? {
            Some(place) => Some(place),
            None => self.named_target(key, targets, clause)?,
        };
        let place = if let Some(place) = found {
            place
        } else {
            let target = self.bind_target(key, "?column?".to_owned())?;
            let known = targets.iter().position(|it| same(&it.expr, &target.expr));
            known.unwrap_or_else(|| {
                targets.push(target);
                targets.len() - 1
            })
        };
        if targets[place].expr.ty() == PgType::Unknown {
            let undecided = std::mem::replace(&mut targets[place].expr, Expr::Row(Vec::new()));
            targets[place].expr = self.decided(undecided, None)?;
        }
        Ok(place)
    }

    /// The target with a name; targets of one name have to be one value.
    pub(super) fn named_target(
        &self,
        key: &Ast,
        targets: &[Target],
        clause: &str,
    ) -> Result<Option<usize>> {
        let Ast::Identifier(ident) = strip(key) else { return Ok(None) };
        let mut found: Option<usize> = None;
        for (place, target) in
            targets.iter().enumerate().filter(|(_, target)| target.name == ident.value)
        {
            match found {
                Some(other) if !same(&targets[other].expr, &target.expr) => {
                    let message = format!("{clause} \"{}\" is ambiguous", ident.value);
                    return Err(
                        SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(self.at_ident(ident))
                    );
                }
                Some(_) => {}
                None => found = Some(place),
            }
        }
        Ok(found)
    }

    fn bind_distinct_clause(
        &mut self,
        select: &Select,
        targets: &mut Vec<Target>,
        visible: usize,
        order: &[SortKey],
        order_asts: &[OrderByExpr],
    ) -> Result<Distinction> {
        let on = match &select.distinct {
            None | Some(Distinct::All) => return Ok(Distinction::None),
            Some(Distinct::Distinct) => {
                for (key, ast) in order.iter().zip(order_asts) {
                    if matches!(key.expression, Expr::Column(place, _) if place >= visible) {
                        let message =
                            "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                            .at(self.at_expr(&ast.expr)));
                    }
                }
                for target in &targets[..visible] {
                    check_ordered(target.expr.ty(), "equality")
                        .map_err(|error| error.at(target.position))?;
                }
                return Ok(Distinction::Rows);
            }
            Some(Distinct::On(on)) => on,
        };
        let mut places = Vec::with_capacity(on.len());
        for key in on {
            let place = self.in_clause(Clause::DistinctOn, |binder| {
                binder.output_target(key, targets, "SELECT DISTINCT ON")
            })?;
            check_ordered(targets[place].expr.ty(), "equality")
                .map_err(|error| error.at(self.at_expr(key)))?;
            if !places.contains(&place) {
                places.push(place);
            }
        }
        self.check_distinct_on(on, &places, order)?;
        Ok(Distinction::On(places))
    }

    /// What is distinct has to be what the rows are ordered by first.
    fn check_distinct_on(&self, on: &[Ast], places: &[usize], order: &[SortKey]) -> Result<()> {
        let mut skipped = false;
        let mut matched = vec![false; places.len()];
        let at = |place: usize| on.get(place).and_then(|it| self.at_expr(it));
        for key in order {
            let Expr::Column(target, _) = key.expression else { continue };
            match places.iter().position(|place| *place == target) {
                // What is ordered by twice is ordered by where it stands first.
                Some(place) if matched[place] => {}
                Some(place) if skipped => return Err(distinct_on_mismatch(at(place))),
                Some(place) => matched[place] = true,
                None => skipped = true,
            }
        }
        match matched.iter().position(|matched| !matched) {
            Some(place) if skipped => Err(distinct_on_mismatch(at(place))),
            _ => Ok(()),
        }
    }

    /// Puts the plan together.
    fn assemble(&mut self, (from, names): Bound, parts: Parts, level: Level) -> Result<Plan> {
        let Level { aggregates, mut windows, mut sets, uses, groupings, .. } = level;
        let Parts { mut targets, visible, filter, mut having, groups, order, distinct, limits } =
            parts;
        let mut plan = match filter {
            Some(predicate) => filtered(from, predicate),
            None => from,
        };
        let grouped =
            groups.is_some() || having.is_some() || !aggregates.is_empty() || !groupings.is_empty();
        if grouped {
            let mut groups = groups.unwrap_or_default();
            plan = spread(plan, &mut groups, &mut targets, &mut windows, &mut sets)?;
            let regroup = Regroup { names: &names, groups, aggregates, uses, groupings };
            plan =
                aggregated(plan, regroup, &mut targets, having.as_mut(), &mut windows, &mut sets)?;
        }
        if let Some(having) = having {
            plan = filtered(plan, having);
        }
        if !windows.is_empty() {
            plan = windowed(plan, windows, &mut targets, &mut sets);
        }
        let columns: Vec<OutputColumn> = targets.iter().map(Target::column).collect();
        let positions: Vec<Option<usize>> =
            targets[..visible].iter().map(|target| target.position).collect();
        let mut fields = Vec::with_capacity(visible);
        for target in &mut targets[..visible] {
            fields.push(std::mem::take(&mut target.fields));
        }
        plan = projected(plan, targets, columns.clone(), sets);
        plan = arranged(plan, distinct, order, visible, limits);
        if columns.len() > visible {
            let expressions = columns[..visible]
                .iter()
                .enumerate()
                .map(|(place, column)| Expr::Column(place, column.ty))
                .collect();
            let node = PlanNode::Project { input: Box::new(plan), expressions };
            plan = Plan::new(node, columns[..visible].to_vec());
        }
        self.target_fields = fields;
        self.target_positions = positions;
        Ok(plan)
    }
}

/// `DISTINCT`, `ORDER BY` and `LIMIT` over the targets.
fn arranged(
    mut plan: Plan,
    distinct: Distinction,
    mut order: Vec<SortKey>,
    visible: usize,
    limits: Limits,
) -> Plan {
    match distinct {
        Distinction::None => {}
        Distinction::Rows => {
            debug_assert!(plan.columns.len() == visible, "nothing hidden is ordered by");
            plan = distinct_rows(plan, None);
        }
        Distinction::On(places) => {
            let column = |place: usize, plan: &Plan| Expr::Column(place, plan.columns[place].ty);
            for place in &places {
                let is_it =
                    |key: &SortKey| matches!(key.expression, Expr::Column(it, _) if it == *place);
                if !order.iter().any(is_it) {
                    let expression = column(*place, &plan);
                    order.push(SortKey { expression, descending: false, nulls_first: false });
                }
            }
            let on = places.iter().map(|place| column(*place, &plan)).collect();
            return limits.of(distinct_rows(sorted(plan, order.clone()), Some(on)), order);
        }
    }
    if !order.is_empty() {
        plan = sorted(plan, order.clone());
    }
    limits.of(plan, order)
}

fn distinct_on_mismatch(at: Option<usize>) -> SqlError {
    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(at)
}

/// Rows for which a predicate holds.
pub(super) fn filtered(plan: Plan, predicate: Expr) -> Plan {
    let columns = Arc::clone(&plan.columns);
    Plan { node: PlanNode::Filter { input: Box::new(plan), predicate }, columns }
}

fn distinct_rows(plan: Plan, on: Option<Vec<Expr>>) -> Plan {
    let columns = Arc::clone(&plan.columns);
    Plan { node: PlanNode::Distinct { input: Box::new(plan), on }, columns }
}

/// Makes the references to calls of a kind references to the columns that an operator adds.
fn replace_calls(expr: &mut Expr, from: usize, to: usize, count: usize) {
    walk_expr(expr, 0, &mut |expr, level| {
        if let Some(column) = column_of(expr, level)
            && (from..from + count).contains(&column)
        {
            set_column(expr, column - from + to);
        }
        true
    });
}

fn windowed(
    plan: Plan,
    windows: Vec<WindowCall>,
    targets: &mut [Target],
    sets: &mut [SetCall],
) -> Plan {
    let (width, count) = (plan.columns.len(), windows.len());
    for target in targets {
        replace_calls(&mut target.expr, WINDOWS, width, count);
    }
    for set in sets {
        for argument in &mut set.arguments {
            replace_calls(argument, WINDOWS, width, count);
        }
    }
    let added = windows.iter().map(|call| OutputColumn::computed(name_of(call), call.ty));
    let columns: Vec<OutputColumn> = plan.columns.iter().cloned().chain(added).collect();
    Plan::new(PlanNode::Window { input: Box::new(plan), calls: windows }, columns)
}

fn name_of(call: &WindowCall) -> &'static str {
    match call.function {
        crate::plan::WindowCallee::Window(function) => function.name,
        crate::plan::WindowCallee::Aggregate(function) => function.name,
    }
}

/// The targets over the rows, with set-returning calls run before or among them.
fn projected(
    mut plan: Plan,
    mut targets: Vec<Target>,
    columns: Vec<OutputColumn>,
    mut sets: Vec<SetCall>,
) -> Plan {
    let whole = |expr: &Expr| matches!(expr, Expr::Column(place, _) if *place >= SETS);
    let nested = sets
        .iter()
        .any(|set| set.arguments.iter().any(|argument| has_placeholder(argument, SETS..)));
    let direct = !nested
        && targets
            .iter()
            .all(|target| whole(&target.expr) || !has_placeholder(&target.expr, SETS..));
    if sets.is_empty() {
        let expressions = targets.into_iter().map(|target| target.expr).collect();
        return Plan::new(PlanNode::Project { input: Box::new(plan), expressions }, columns);
    }
    if direct {
        let items = targets.into_iter().map(|target| match target.expr {
            Expr::Column(place, _) if place >= SETS => {
                ProjectSetItem::Set(sets[place - SETS].clone())
            }
            expr => ProjectSetItem::Expr(expr),
        });
        let items = items.collect();
        return Plan::new(PlanNode::ProjectSet { input: Box::new(plan), items }, columns);
    }
    // Calls within calls come first; each round adds its calls' columns behind the row.
    let mut done = vec![false; sets.len()];
    while let Some(round) = next_round(&sets, &done) {
        let width = plan.columns.len();
        let rows = plan.columns.iter().enumerate();
        let mut items: Vec<ProjectSetItem> = rows
            .map(|(place, column)| ProjectSetItem::Expr(Expr::Column(place, column.ty)))
            .collect();
        let mut output = plan.columns.to_vec();
        for (nth, place) in round.iter().enumerate() {
            items.push(ProjectSetItem::Set(sets[*place].clone()));
            output
                .push(OutputColumn::computed(sets[*place].function.name, set_type(&sets[*place])));
            done[*place] = true;
            for target in &mut targets {
                replace_calls(&mut target.expr, SETS + place, width + nth, 1);
            }
            for set in &mut sets {
                walk_set_call(set, 0, &mut |expr, level| {
                    if column_of(expr, level) == Some(SETS + place) {
                        set_column(expr, width + nth);
                    }
                    true
                });
            }
        }
        plan = Plan::new(PlanNode::ProjectSet { input: Box::new(plan), items }, output);
    }
    let expressions = targets.into_iter().map(|target| target.expr).collect();
    Plan::new(PlanNode::Project { input: Box::new(plan), expressions }, columns)
}

/// The type of a set-returning call's values.
pub(super) fn set_type(set: &SetCall) -> PgType {
    match set.columns.as_slice() {
        [(_, ty)] => *ty,
        _ => PgType::Record,
    }
}

/// The calls that are not done and wait for no other.
fn next_round(sets: &[SetCall], done: &[bool]) -> Option<Vec<usize>> {
    let ready =
        |set: &SetCall| !set.arguments.iter().any(|argument| has_placeholder(argument, SETS..));
    let round: Vec<usize> =
        (0..sets.len()).filter(|place| !done[*place] && ready(&sets[*place])).collect();
    (!round.is_empty()).then_some(round)
}

/// Refuses what `sqlparser` knows of other dialects.
fn check_select(select: &Select) -> Result<()> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    if into.is_some() {
        return Err(unsupported("SELECT INTO"));
    }
    let foreign = [
        (select_modifiers.is_some(), "a modifier of SELECT"),
        (top.is_some(), "TOP"),
        (exclude.is_some(), "EXCLUDE"),
        (!lateral_views.is_empty(), "LATERAL VIEW"),
        (prewhere.is_some(), "PREWHERE"),
        (!connect_by.is_empty(), "CONNECT BY"),
        (!cluster_by.is_empty(), "CLUSTER BY"),
        (!distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!sort_by.is_empty(), "SORT BY"),
        (qualify.is_some(), "QUALIFY"),
        (value_table_mode.is_some(), "SELECT AS"),
        (!matches!(flavor, ast::SelectFlavor::Standard), "FROM before SELECT"),
    ];
    match foreign.into_iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(unsupported(what)),
        None => Ok(()),
    }
}

/// Rewrites the expressions of window calls.
pub(super) fn each_window(
    windows: &mut [WindowCall],
    visit: &mut dyn FnMut(&mut Expr, usize) -> bool,
) {
    for call in windows {
        walk_window(call, 0, visit);
    }
}
