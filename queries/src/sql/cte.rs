//! `WITH`: common table expressions, recursive ones too.

use std::sync::Arc;

use sqlparser::ast::{self, Cte, SetExpr, SetOperator, SetQuantifier, With};

use super::binder::{Binder, unsupported};
use super::bound::WritingCte;
use super::query::Tail;
use super::scope::NamedRelation;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{OutputColumn, Plan, PlanNode};
use crate::types::PgType;

/// Where a WITH stands: only the outermost one may change data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithPlace {
    /// The outermost one of a query or of a statement that changes data.
    Top,
    /// One within something else.
    Nested,
    /// That of a cursor's query.
    Cursor,
    /// That of a view's query.
    View,
    /// That of a query that is copied.
    Copy,
}

impl WithPlace {
    /// Fails where no data may be changed.
    fn check(self, at: Option<usize>) -> Result<()> {
        let message = match self {
            Self::Top => return Ok(()),
            Self::Nested => {
                "WITH clause containing a data-modifying statement must be at the top level"
            }
            Self::Cursor => "DECLARE CURSOR must not contain data-modifying statements in WITH",
            Self::View => "views must not contain data-modifying statements in WITH",
            Self::Copy => "a data-modifying statement in WITH is not supported in COPY",
        };
        let at = at.filter(|_| self == Self::Nested);
        Err(SqlError::unsupported(message).at(at))
    }
}

/// A common table expression in sight.
#[derive(Debug)]
pub(super) struct CteEntry {
    name: String,
    state: CteState,
    /// How often it is read.
    reads: usize,
}

#[derive(Debug)]
enum CteState {
    /// Its rows can be read as those of a number.
    Ready { number: usize, columns: Arc<[OutputColumn]>, fields: Vec<Vec<(String, PgType)>> },
    /// It changes data and returns nothing.
    Silent,
    /// It is being bound, at a place where it must not refer to itself.
    Forbidden { why: &'static str, position: Option<usize> },
}

const NOT_A_UNION: &str = "does not have the form non-recursive-term UNION [ALL] recursive-term";

impl Binder<'_> {
    /// Binds the expressions of a `WITH` and puts them in sight; whoever calls takes them out again. Those that change
    /// data are gathered in [`Binder::writes`].
    pub(super) fn bind_with(
        &mut self,
        with: &With,
        place_of_with: WithPlace,
    ) -> Result<Vec<(usize, Arc<Plan>)>> {
        let mut plans = Vec::with_capacity(with.cte_tables.len());
        for (place, cte) in with.cte_tables.iter().enumerate() {
            let name = &cte.alias.name;
            if with.cte_tables[..place].iter().any(|other| other.alias.name.value == name.value) {
                let message =
                    format!("WITH query name \"{}\" specified more than once", name.value);
                return Err(
                    SqlError::new(SqlState::DUPLICATE_ALIAS, message).at(self.at_ident(name))
                );
            }
            if cte.from.is_some() {
                return Err(
                    unsupported("FROM after a common table expression").at(self.at_ident(name))
                );
            }
            if matches!(
                &*cte.query.body,
                SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)
            ) {
                place_of_with.check(self.at_ident(name))?;
                self.bind_writing_cte(cte, &plans)?;
                continue;
            }
            let height = self.levels.len();
            let (plan, fields) = self.without_lateral(|binder| {
                let plan = if with.recursive {
                    binder.bind_recursive(cte)?
                } else {
                    binder.bind_query(&cte.query, true)?
                };
                Ok((plan, std::mem::take(&mut binder.target_fields)))
            })?;
            debug_assert_eq!(height, self.levels.len(), "every level that is pushed is popped");
            let columns = self.cte_columns(cte, &plan)?;
            let number = self.next_number();
            plans.push((number, Arc::new(plan)));
            let state = CteState::Ready { number, columns, fields };
            self.ctes.push(CteEntry { name: name.value.clone(), state, reads: 0 });
        }
        Ok(plans)
    }

    /// Binds a statement that changes data, over the expressions before it.
    fn bind_writing_cte(&mut self, cte: &Cte, before: &[(usize, Arc<Plan>)]) -> Result<()> {
        let query = &cte.query;
        let own = match &query.with {
            Some(with) => self.bind_with(with, WithPlace::Nested)?,
            None => Vec::new(),
        };
        let height = self.ctes.len();
        let ctes: Vec<_> = before.iter().chain(&own).cloned().collect();
        let statement = self.bind_change(&query.body, &ctes)?;
        self.ctes.truncate(height - own.len());
        let number = self.next_number();
        let state = match statement.columns() {
            None => CteState::Silent,
            Some(columns) => {
                let name = Arc::from(cte.alias.name.value.as_str());
                let plan = Plan { node: PlanNode::CteScan { cte: number, name }, columns };
                let columns = self.cte_columns(cte, &plan)?;
                CteState::Ready { number, fields: vec![Vec::new(); columns.len()], columns }
            }
        };
        self.writes.push(WritingCte { number, statement });
        self.ctes.push(CteEntry { name: cte.alias.name.value.clone(), state, reads: 0 });
        Ok(())
    }

    fn next_number(&mut self) -> usize {
        self.next_cte += 1;
        self.next_cte - 1
    }

    /// The columns with the names that were given to them.
    fn cte_columns(&self, cte: &Cte, plan: &Plan) -> Result<Arc<[OutputColumn]>> {
        let mut columns = plan.columns.to_vec();
        let (available, given) = (columns.len(), cte.alias.columns.len());
        if given > available {
            let name = &cte.alias.name;
            let message = format!(
                "WITH query \"{}\" has {available} columns available but {given} columns specified",
                name.value
            );
            return Err(
                SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(self.at_ident(name))
            );
        }
        for (column, alias) in columns.iter_mut().zip(&cte.alias.columns) {
            column.name.clone_from(&alias.name.value);
        }
        Ok(Arc::from(columns))
    }

    /// Binds an expression that may refer to itself.
    fn bind_recursive(&mut self, cte: &Cte) -> Result<Plan> {
        let query = &cte.query;
        let body = match &*query.body {
            SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } => {
                Some((left, *set_quantifier, right))
            }
            _ => None,
        };
        let Some((start, quantifier, step)) = body else {
            return self.with_forbidden(cte, NOT_A_UNION, |binder| binder.bind_query(query, true));
        };
        if query.with.is_some() {
            return Err(unsupported("WITH in a recursive query").at(self.at_ident(&cte.alias.name)));
        }
        let tail = Tail { decide_types: true, ..Tail::default() };
        let term = "must not appear within its non-recursive term";
        let start_plan = self.with_forbidden(cte, term, |binder| binder.bind_body(start, &tail))?;
        let fields = std::mem::take(&mut self.target_fields);
        let positions = std::mem::take(&mut self.target_positions);
        let number = self.next_number();
        let columns = self.cte_columns(cte, &start_plan)?;
        let name = cte.alias.name.value.clone();
        let state = CteState::Ready { number, columns: Arc::clone(&columns), fields };
        self.ctes.push(CteEntry { name, state, reads: 0 });
        let step_plan = self.bind_body(step, &Tail::default());
        let reads = self.ctes.pop().map_or(0, |entry| entry.reads);
        let step_plan = step_plan?;
        if reads == 0 {
            return self.bind_query(query, true);
        }
        if reads > 1 {
            let message = format!(
                "recursive reference to query \"{}\" must not appear more than once",
                cte.alias.name.value
            );
            return Err(SqlError::new(SqlState::INVALID_RECURSION, message)
                .at(self.at_ident(&cte.alias.name)));
        }
        check_recursive_tail(query)?;
        let step_plan = self.match_step(cte, step_plan, &start_plan, &positions)?;
        let distinct = !matches!(quantifier, SetQuantifier::All);
        let columns = Arc::clone(&start_plan.columns);
        let (start, step) = (Box::new(start_plan), Box::new(step_plan));
        Ok(Plan { node: PlanNode::RecursiveUnion { cte: number, start, step, distinct }, columns })
    }

    /// Binds something where the expression must not refer to itself.
    fn with_forbidden(
        &mut self,
        cte: &Cte,
        why: &'static str,
        bind: impl FnOnce(&mut Self) -> Result<Plan>,
    ) -> Result<Plan> {
        let name = cte.alias.name.value.clone();
        let position = self.at_ident(&cte.alias.name);
        self.ctes.push(CteEntry { name, state: CteState::Forbidden { why, position }, reads: 0 });
        let bound = bind(self);
        self.ctes.pop();
        bound
    }

    /// The step's columns as those of the start.
    fn match_step(
        &mut self,
        cte: &Cte,
        step: Plan,
        start: &Plan,
        start_positions: &[Option<usize>],
    ) -> Result<Plan> {
        if step.columns.len() != start.columns.len() {
            let message = "each UNION query must have the same number of columns";
            let at = self.target_positions.first().copied().flatten();
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at));
        }
        for (place, (wanted, found)) in start.columns.iter().zip(step.columns.iter()).enumerate() {
            let overall = crate::types::functions::common_type(&[wanted.ty, found.ty], "UNION")
                .map_err(|error| error.at(self.target_positions.get(place).copied().flatten()))?;
            if overall != wanted.ty {
                let message = format!(
                    "recursive query \"{}\" column {} has type {} in non-recursive term but type {overall} overall",
                    cte.alias.name.value,
                    place + 1,
                    wanted.ty
                );
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                    .with_hint("Cast the output of the non-recursive term to the correct type.")
                    .at(start_positions.get(place).copied().flatten()));
            }
        }
        let types: Vec<PgType> = start.columns.iter().map(|column| column.ty).collect();
        self.retype_plan(step, &types)
    }

    /// A reference to a common table expression by its name, if there is one of that name.
    pub(super) fn bind_cte_reference(
        &mut self,
        name: &ast::Ident,
    ) -> Result<Option<(Plan, NamedRelation)>> {
        let at = self.at_ident(name);
        let Some(entry) = self.ctes.iter_mut().rev().find(|entry| entry.name == name.value) else {
            return Ok(None);
        };
        entry.reads += 1;
        match &entry.state {
            CteState::Ready { number, columns, fields } => {
                let node = PlanNode::CteScan { cte: *number, name: Arc::from(name.value.as_str()) };
                let plan = Plan { node, columns: Arc::clone(columns) };
                let mut relation = NamedRelation::of_plan(name.value.clone(), &plan);
                for (column, fields) in relation.columns.iter_mut().zip(fields) {
                    column.fields.clone_from(fields);
                }
                Ok(Some((plan, relation)))
            }
            CteState::Silent => {
                let message =
                    format!("WITH query \"{}\" does not have a RETURNING clause", name.value);
                Err(SqlError::unsupported(message).at(at))
            }
            CteState::Forbidden { why, position } => {
                let at = if *why == NOT_A_UNION { *position } else { at };
                let message = if *why == NOT_A_UNION {
                    format!("recursive query \"{}\" {why}", name.value)
                } else {
                    format!("recursive reference to query \"{}\" {why}", name.value)
                };
                Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(at))
            }
        }
    }
}

fn check_recursive_tail(query: &ast::Query) -> Result<()> {
    let clause = if query.order_by.is_some() {
        "ORDER BY"
    } else if query.limit_clause.is_some() || query.fetch.is_some() {
        "LIMIT"
    } else {
        return Ok(());
    };
    Err(SqlError::unsupported(format!("{clause} in a recursive query is not implemented")))
}
