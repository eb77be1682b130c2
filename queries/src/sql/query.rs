//! Queries: what stands around `SELECT` — `WITH`, set operations, `VALUES`, `ORDER BY`, `LIMIT`.

use std::sync::Arc;

use sqlparser::ast::{
    self, Expr as Ast, Fetch, GroupByExpr, LimitClause, OrderBy, OrderByExpr, OrderByKind,
    OrderBySort, SetExpr,
};

use super::binder::{Binder, syntax, unsupported};
use super::cte::WithPlace;
use super::expr::strip;
use super::scope::{Clause, Level, NamedRelation, Namespace};
use super::walk::uses_row;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, OutputColumn, Plan, PlanNode, SortKey};
use crate::types::functions::common_type;
use crate::types::{Datum, PgType};

/// What follows the body of a query.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tail<'q> {
    pub(super) order: &'q [OrderByExpr],
    pub(super) limit: Option<&'q Ast>,
    pub(super) offset: Option<&'q Ast>,
    pub(super) fetch: Option<&'q Fetch>,
    /// Columns without a type become text; otherwise whoever uses the query decides.
    pub(super) decide_types: bool,
}

impl Tail<'_> {
    /// Whether there is nothing that changes which rows come or in what order.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
            && self.limit.is_none()
            && self.offset.is_none()
            && self.fetch.is_none()
    }

    fn with_ties(&self) -> bool {
        self.fetch.is_some_and(|fetch| fetch.with_ties)
    }
}

impl Binder<'_> {
    /// Binds a query. With `decide_types` columns that have no type become text.
    pub(super) fn bind_query(&mut self, query: &ast::Query, decide_types: bool) -> Result<Plan> {
        let ast::Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks: _,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return Err(unsupported("a clause of this query"));
        }
        let order = order_keys(order_by.as_ref())?;
        let (limit, offset) = self.limits(limit_clause.as_ref())?;
        if limit.is_some() && fetch.is_some() {
            return Err(syntax("multiple LIMIT clauses not allowed"));
        }
        let tail = Tail { order, limit, offset, fetch: fetch.as_ref(), decide_types };
        if tail.with_ties() && order.is_empty() {
            return Err(syntax("WITH TIES cannot be specified without ORDER BY clause"));
        }
        let place = std::mem::replace(&mut self.with_place, WithPlace::Nested);
        let Some(with) = with else {
            let plan = self.bind_body(body, &tail)?;
            self.bind_locks(query, &plan)?;
            return Ok(plan);
        };
        let height = self.ctes.len();
        let ctes = self.bind_with(with, place)?;
        let body = self.bind_body(body, &tail);
        self.ctes.truncate(height);
        let body = body?;
        self.bind_locks(query, &body)?;
        let columns = Arc::clone(&body.columns);
        Ok(Plan { node: PlanNode::With { ctes, body: Box::new(body) }, columns })
    }

    /// `LIMIT` and `OFFSET`.
    fn limits<'q>(
        &self,
        clause: Option<&'q LimitClause>,
    ) -> Result<(Option<&'q Ast>, Option<&'q Ast>)> {
        match clause {
            None => Ok((None, None)),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                Ok((limit.as_ref(), offset.as_ref().map(|offset| &offset.value)))
            }
            Some(LimitClause::LimitOffset { .. }) => Err(syntax("syntax error at or near \"BY\"")),
            Some(LimitClause::OffsetCommaLimit { limit, .. }) => {
                Err(syntax("LIMIT #,# syntax is not supported")
                    .with_hint("Use separate LIMIT and OFFSET clauses.")
                    .at(self.at_expr(limit)))
            }
        }
    }

    /// Binds a query's body and what follows it.
    pub(super) fn bind_body(&mut self, body: &SetExpr, tail: &Tail<'_>) -> Result<Plan> {
        match body {
            SetExpr::Select(select) => self.bind_select(select, tail),
            SetExpr::Query(inner) => {
                if tail.is_empty() {
                    return self.bind_query(inner, tail.decide_types);
                }
                let plan = self.bind_query(inner, true)?;
                self.order_and_limit(plan, tail, false)
            }
            SetExpr::SetOperation { .. } => {
                let plan = self.bind_set_operation(body)?;
                self.order_and_limit(plan, tail, true)
            }
            SetExpr::Values(values) => {
                let plan = self.bind_values(values, tail.decide_types || !tail.is_empty())?;
                self.order_and_limit(plan, tail, false)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(unsupported("a data-modifying statement in WITH"))
            }
            SetExpr::Table(_) => Err(SqlError::internal("TABLE is rewritten before it is parsed")),
        }
    }

    /// `VALUES`: columns named `column1` …, each of the common type of its values.
    fn bind_values(&mut self, values: &ast::Values, decide_types: bool) -> Result<Plan> {
        let rows: Vec<&[Ast]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
        let width = rows.first().map_or(0, |row| row.len());
        if let Some(uneven) = rows.iter().find(|row| row.len() != width) {
            let at = uneven.first().and_then(|it| self.at_expr(it));
            return Err(syntax("VALUES lists must all be the same length").at(at));
        }
        let level = Level::new(Namespace::default(), Clause::Values);
        let (mut bound, _) = self.with_level(level, |binder| {
            let mut bound: Vec<Vec<Expr>> = Vec::with_capacity(rows.len());
            for row in &rows {
                let row = row.iter().map(|value| binder.bind_expr(value));
                bound.push(row.collect::<Result<_>>()?);
            }
            Ok(bound)
        })?;
        let mut columns = Vec::with_capacity(width);
        for place in 0..width {
            let types: Vec<PgType> = bound.iter().map(|row| row[place].ty()).collect();
            let undecided = !decide_types && types.iter().all(|ty| *ty == PgType::Unknown);
            let ty = if undecided {
                PgType::Unknown
            } else {
                common_type(&types, "VALUES").map_err(|error| {
                    let unfit =
                        types.iter().position(|ty| common_type(&[types[0], *ty], "").is_err());
                    error.at(unfit.and_then(|row| self.at_expr(&rows[row][place])))
                })?
            };
            if !undecided {
                for (row, origins) in bound.iter_mut().zip(&rows) {
                    let value = std::mem::replace(&mut row[place], Expr::Literal(Datum::Null, ty));
                    row[place] = self.coerce(value, ty, Some(&origins[place]))?;
                }
            }
            columns.push(OutputColumn::computed(format!("column{}", place + 1), ty));
        }
        self.target_fields = vec![Vec::new(); width];
        self.target_positions = rows
            .first()
            .map_or_else(Vec::new, |row| row.iter().map(|it| self.at_expr(it)).collect());
        Ok(Plan::new(PlanNode::Values(bound), columns))
    }

    /// Orders and limits rows that are finished already: only their columns can be ordered by.
    fn order_and_limit(
        &mut self,
        mut plan: Plan,
        tail: &Tail<'_>,
        set_operation: bool,
    ) -> Result<Plan> {
        let mut keys = Vec::with_capacity(tail.order.len());
        for key in tail.order {
            let expression = self.output_key(&plan, &key.expr, set_operation)?;
            keys.push(self.sort_key(expression, key)?);
        }
        if !keys.is_empty() {
            plan = sorted(plan, keys.clone());
        }
        let level = Level::new(Namespace::default(), Clause::Limit);
        let (limits, _) = self.with_level(level, |binder| binder.bind_limits(tail))?;
        Ok(limits.of(plan, keys))
    }

    /// A column of finished rows, by name or number.
    fn output_key(&mut self, plan: &Plan, key: &Ast, set_operation: bool) -> Result<Expr> {
        if let Some(place) = self.ordinal(key, plan.columns.len(), "ORDER BY")? {
            return Ok(Expr::Column(place, plan.columns[place].ty));
        }
        if let Ast::Identifier(ident) = strip(key) {
            let mut found =
                plan.columns.iter().enumerate().filter(|(_, column)| column.name == ident.value);
            if let Some((place, column)) = found.next() {
                if found.next().is_some() {
                    let message = format!("ORDER BY \"{}\" is ambiguous", ident.value);
                    return Err(
                        SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(self.at_ident(ident))
                    );
                }
                return Ok(Expr::Column(place, column.ty));
            }
        }
        let names = Namespace::of(NamedRelation::of_plan(String::new(), plan));
        let (bound, _) =
            self.with_level(Level::new(names, Clause::Limit), |binder| binder.bind_expr(key))?;
        if set_operation {
            return Err(SqlError::unsupported("invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                .with_detail("Only result column names can be used, not expressions or functions.")
                .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                .at(self.at_expr(key)));
        }
        Ok(bound)
    }

    /// The column that a number in `ORDER BY` or `GROUP BY` means, from 0; none if it is no constant.
    pub(super) fn ordinal(
        &mut self,
        key: &Ast,
        count: usize,
        clause: &str,
    ) -> Result<Option<usize>> {
        let (value, sign) = match strip(key) {
            Ast::Value(value) => (value, 1),
            Ast::UnaryOp { op: ast::UnaryOperator::Minus, expr } => match strip(expr) {
                Ast::Value(value) if matches!(value.value, ast::Value::Number(..)) => (value, -1),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let at = self.at_expr(key);
        match &value.value {
            ast::Value::Number(digits, _) => {
                if let Ok(number) = digits.parse::<i64>().map(|number| sign * number) {
                    let place = usize::try_from(number).ok().and_then(|it| it.checked_sub(1));
                    return place.filter(|place| *place < count).map(Some).ok_or_else(|| {
                        let message = format!("{clause} position {number} is not in select list");
                        SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(at)
                    });
                }
            }
            ast::Value::Placeholder(_) => return Ok(None),
            _ => {}
        }
        Err(syntax(format!("non-integer constant in {clause}")).at(at))
    }

    /// A sort key with its direction.
    pub(super) fn sort_key(&mut self, expression: Expr, key: &OrderByExpr) -> Result<SortKey> {
        if key.with_fill.is_some() {
            return Err(unsupported("WITH FILL").at(self.at_expr(&key.expr)));
        }
        let descending = match &key.options.sort {
            None | Some(OrderBySort::Asc) => false,
            Some(OrderBySort::Desc) => true,
            Some(OrderBySort::Using(operator)) => {
                match operator.to_string().trim_start_matches("pg_catalog.") {
                    "<" => false,
                    ">" => true,
                    other => {
                        let message = format!("operator {other} is not a valid ordering operator");
                        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                        .with_hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
                        .at(self.at_expr(&key.expr)));
                    }
                }
            }
        };
        check_ordered(expression.ty(), "ordering")
            .map_err(|error| error.at(self.at_expr(&key.expr)))?;
        Ok(SortKey {
            expression,
            descending,
            nulls_first: key.options.nulls_first.unwrap_or(descending),
        })
    }

    /// Binds `LIMIT`, `OFFSET` and `FETCH` over the innermost row, which they must not refer to.
    pub(super) fn bind_limits(&mut self, tail: &Tail<'_>) -> Result<Limits> {
        let offset =
            tail.offset.map(|offset| self.row_count(offset, Clause::Offset)).transpose()?;
        let limit = match (tail.limit, tail.fetch) {
            (Some(limit), _) => Some(self.row_count(limit, Clause::Limit)?),
            (None, Some(Fetch { percent: true, .. })) => {
                return Err(unsupported("FETCH FIRST .. PERCENT"));
            }
            (None, Some(Fetch { quantity: Some(quantity), .. })) => {
                Some(self.row_count(quantity, Clause::Limit)?)
            }
            (None, Some(Fetch { quantity: None, .. })) => {
                Some(Expr::Literal(Datum::Int8(1), PgType::Int8))
            }
            (None, None) => None,
        };
        Ok(Limits { limit, offset, with_ties: tail.with_ties() })
    }

    fn row_count(&mut self, count: &Ast, clause: Clause) -> Result<Expr> {
        let bound = self.in_clause(clause, |binder| {
            let bound = binder.bind_expr(count)?;
            binder.as_wanted(bound, PgType::Int8, clause.name(), count)
        })?;
        if uses_row(&bound) {
            let message = format!("argument of {} must not contain variables", clause.name());
            return Err(
                SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(self.at_expr(count))
            );
        }
        Ok(bound)
    }
}

/// Which of the rows in order a query gives.
#[derive(Debug)]
pub(super) struct Limits {
    limit: Option<Expr>,
    offset: Option<Expr>,
    with_ties: bool,
}

impl Limits {
    /// Takes these of a plan's rows, which are in the order of keys.
    pub(super) fn of(self, plan: Plan, keys: Vec<SortKey>) -> Plan {
        let Self { limit, offset, with_ties } = self;
        if limit.is_none() && offset.is_none() {
            return plan;
        }
        let ties = with_ties.then_some(keys);
        let columns = Arc::clone(&plan.columns);
        Plan { node: PlanNode::Limit { input: Box::new(plan), limit, offset, ties }, columns }
    }
}

/// Rows in the order of keys.
pub(super) fn sorted(plan: Plan, keys: Vec<SortKey>) -> Plan {
    let columns = Arc::clone(&plan.columns);
    Plan { node: PlanNode::Sort { input: Box::new(plan), keys }, columns }
}

fn order_keys(order: Option<&OrderBy>) -> Result<&[OrderByExpr]> {
    match order {
        None => Ok(&[]),
        Some(OrderBy { kind: OrderByKind::Expressions(keys), interpolate: None }) => Ok(keys),
        Some(_) => Err(unsupported("this ORDER BY")),
    }
}

/// Whether values of a type have an order, or at least an equality.
pub(super) fn check_ordered(ty: PgType, what: &str) -> Result<()> {
    let base = ty.element().unwrap_or(ty);
    let unordered =
        matches!(base, PgType::Json | PgType::Void | PgType::PgNodeTree | PgType::AclItem);
    if !unordered || (base == PgType::AclItem && what == "equality") {
        return Ok(());
    }
    let message = format!("could not identify an {what} operator for type {ty}");
    let error = SqlError::new(SqlState::UNDEFINED_FUNCTION, message);
    Err(if what == "ordering" {
        error.with_hint("Use an explicit ordering operator or modify the query.")
    } else {
        error
    })
}

/// The items of a `GROUP BY`.
pub(super) fn group_items(group: &GroupByExpr) -> Result<&[Ast]> {
    match group {
        GroupByExpr::Expressions(items, modifiers) if modifiers.is_empty() => Ok(items),
        GroupByExpr::Expressions(..) => Err(syntax("syntax error at or near \"WITH\"")),
        GroupByExpr::All(_) => Err(unsupported("GROUP BY ALL")),
    }
}
