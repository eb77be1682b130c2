//! `INSERT`.

use std::sync::Arc;

use sqlparser::ast::{
    self, ConflictTarget, Expr as Ast, OnConflictAction, OnInsert, SelectItem, SetExpr, Spanned,
    TableObject,
};

use super::assign::Value;
use super::binder::{Binder, syntax, unsupported};
use super::bound::{ConflictAction, Insert, OnConflict, Returning};
use super::command::Target;
use super::expr::strip;
use super::scope::{Clause, Level, NamedRelation, Namespace};
use super::writable::check_insertable;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, OutputColumn, Plan, PlanNode};
use crate::relation::RelationSchema;
use crate::types::PgType;

impl Binder<'_> {
    /// Binds an INSERT; the parameters' types are filled in by the caller.
    pub(super) fn bind_insert(&mut self, insert: &ast::Insert) -> Result<Insert> {
        check_insert(insert)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(unsupported("INSERT into a function"));
        };
        let table = self.writable(name, "insert into")?;
        let schema = Arc::clone(table.schema());
        let mut listed = Vec::with_capacity(insert.columns.len());
        for column in &insert.columns {
            match column.0.as_slice() {
                [ast::ObjectNamePart::Identifier(ident)] => listed.push(ident.clone()),
                _ => return Err(unsupported("a field of a column").at(self.at_name(column))),
            }
        }
        let places = if listed.is_empty() {
            (0..schema.columns.len()).collect()
        } else {
            self.column_places(&schema, &listed)?
        };
        let (columns, source) = match &insert.source {
            None => (Vec::new(), Plan::new(PlanNode::Values(vec![vec![]]), Vec::new())),
            Some(query) => self.bind_source(query, &schema, &places, &listed)?,
        };
        for place in &columns {
            check_insertable(&schema, *place)?;
        }
        let mut named = NamedRelation::of_relation(&table);
        if let Some(alias) = &insert.table_alias {
            named.name.clone_from(&alias.alias.value);
            named.table.iter_mut().for_each(|table| table.aliased = true);
        }
        let on_conflict = match &insert.on {
            None => None,
            Some(OnInsert::OnConflict(conflict)) => {
                Some(self.bind_on_conflict(conflict, &schema, &named)?)
            }
            Some(_) => return Err(syntax("syntax error at or near \"DUPLICATE\"")),
        };
        let returning = self.bind_returning(insert.returning.as_deref(), Namespace::of(named))?;
        Ok(Insert { table, columns, source, on_conflict, returning, parameters: Vec::new() })
    }

    /// The rows to insert, of exactly the columns' types, and the columns that they have.
    fn bind_source(
        &mut self,
        query: &ast::Query,
        schema: &RelationSchema,
        places: &[usize],
        listed: &[ast::Ident],
    ) -> Result<(Vec<usize>, Plan)> {
        if let SetExpr::Values(values) = &*query.body
            && query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
        {
            let rows: Vec<&[Ast]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
            return self.bind_rows(&rows, schema, places, listed);
        }
        let plan = self.bind_query(query, false)?;
        let at =
            |binder: &Self, place: usize| binder.target_positions.get(place).copied().flatten();
        let count = plan.columns.len();
        if count > places.len() {
            return Err(syntax("INSERT has more expressions than target columns")
                .at(at(self, places.len())));
        }
        if count < places.len() && !listed.is_empty() {
            let missing = self.at_ident(&listed[count]);
            return Err(syntax("INSERT has more target columns than expressions").at(missing));
        }
        let places = places[..count].to_vec();
        let plan = self.assign_plan(plan, schema, &places)?;
        Ok((places, plan))
    }

    /// `VALUES`: each value is brought to its column's type at once. A column whose values are all `DEFAULT` is left
    /// out.
    fn bind_rows(
        &mut self,
        rows: &[&[Ast]],
        schema: &RelationSchema,
        places: &[usize],
        listed: &[ast::Ident],
    ) -> Result<(Vec<usize>, Plan)> {
        let width = rows.first().map_or(0, |row| row.len());
        if let Some(uneven) = rows.iter().find(|row| row.len() != width) {
            let at = uneven.first().and_then(|it| self.at_expr(it));
            return Err(syntax("VALUES lists must all be the same length").at(at));
        }
        if width > places.len() {
            let at = self.at_expr(&rows[0][places.len()]);
            return Err(syntax("INSERT has more expressions than target columns").at(at));
        }
        if width < places.len() && !listed.is_empty() {
            let at = self.at_ident(&listed[width]);
            return Err(syntax("INSERT has more target columns than expressions").at(at));
        }
        let kept: Vec<usize> =
            (0..width).filter(|n| !rows.iter().all(|row| is_default(&row[*n]))).collect();
        let level = Level::new(Namespace::default(), Clause::Values);
        let (bound, _) = self.with_level(level, |binder| {
            let mut bound = Vec::with_capacity(rows.len());
            for row in rows {
                let mut values = Vec::with_capacity(kept.len());
                for n in &kept {
                    let (place, ast) = (places[*n], &row[*n]);
                    values.push(if is_default(ast) {
                        binder.default_value(schema, place)?
                    } else {
                        let column = &schema.columns[place];
                        let value = binder.bind_expr(ast)?;
                        binder.assign(value, column.ty, column.name, Some(ast))?
                    });
                }
                bound.push(values);
            }
            Ok(bound)
        })?;
        let columns: Vec<usize> = kept.into_iter().map(|n| places[n]).collect();
        let output: Vec<OutputColumn> = columns
            .iter()
            .map(|place| {
                OutputColumn::computed(schema.columns[*place].name, schema.columns[*place].ty)
            })
            .collect();
        Ok((columns, Plan::new(PlanNode::Values(bound), output)))
    }

    /// Brings a plan's columns to those of a table.
    fn assign_plan(
        &mut self,
        mut plan: Plan,
        schema: &RelationSchema,
        places: &[usize],
    ) -> Result<Plan> {
        let positions = std::mem::take(&mut self.target_positions);
        let assign = |binder: &mut Self, expr: Expr, n: usize| {
            let column = &schema.columns[places[n]];
            let at = positions.get(n).copied().flatten();
            binder.assign(expr, column.ty, column.name, None).map_err(|error| error.at(at))
        };
        let output: Vec<OutputColumn> = places
            .iter()
            .map(|place| {
                OutputColumn::computed(schema.columns[*place].name, schema.columns[*place].ty)
            })
            .collect();
        if let PlanNode::Project { expressions, .. } = &mut plan.node {
            for (n, expr) in expressions.iter_mut().enumerate() {
                let value = std::mem::replace(expr, Expr::Row(Vec::new()));
                *expr = assign(self, value, n)?;
            }
            plan.columns = Arc::from(output);
            return Ok(plan);
        }
        let mut expressions = Vec::with_capacity(places.len());
        for (n, column) in plan.columns.iter().enumerate() {
            expressions.push(assign(self, Expr::Column(n, column.ty), n)?);
        }
        Ok(Plan::new(PlanNode::Project { input: Box::new(plan), expressions }, output))
    }

    fn bind_on_conflict(
        &mut self,
        conflict: &ast::OnConflict,
        schema: &RelationSchema,
        named: &NamedRelation,
    ) -> Result<OnConflict> {
        let index = match &conflict.conflict_target {
            None => None,
            Some(target) => Some(self.conflict_index(target, schema)?),
        };
        let update = match &conflict.action {
            OnConflictAction::DoNothing => {
                return Ok(OnConflict { index, action: ConflictAction::Nothing });
            }
            OnConflictAction::DoUpdate(update) => update,
        };
        if index.is_none() {
            let message =
                "ON CONFLICT DO UPDATE requires inference specification or constraint name";
            let first = update.assignments.first();
            let at = first.and_then(|it| self.at_before(it.value.span().start, "on"));
            return Err(syntax(message)
                .with_hint("For example, ON CONFLICT (column_name).")
                .at(at));
        }
        if matches!(Target::of_table(schema.name), Some(Target::Rotations | Target::Legs)) {
            let message =
                format!("ON CONFLICT DO UPDATE is not supported for relation \"{}\"", schema.name);
            return Err(SqlError::unsupported(message).with_hint("Use UPDATE."));
        }
        // Bare names are the row that is there; the new one is `excluded`.
        let mut rows = Namespace::of(named.clone());
        let mut excluded =
            Namespace::of(NamedRelation::of_columns("excluded".to_owned(), named.columns.clone()));
        excluded.shift(rows.width);
        rows.width += excluded.width;
        rows.relations.extend(excluded.relations);
        let level = Level::new(rows, Clause::UpdateSet);
        let (action, _) = self.with_level(level, |binder| {
            let assignments = binder.bind_assignments(&update.assignments, schema)?;
            let condition =
                match &update.selection {
                    Some(condition) => Some(binder.in_clause(Clause::Where, |binder| {
                        binder.bind_boolean(condition, "WHERE")
                    })?),
                    None => None,
                };
            let mut plain = Vec::with_capacity(assignments.len());
            for (place, value) in assignments {
                plain.push((
                    place,
                    match value {
                        Value::Expr(expr) => expr,
                        Value::Default => binder.default_value(schema, place)?,
                    },
                ));
            }
            Ok(ConflictAction::Update { assignments: plain, condition })
        })?;
        Ok(OnConflict { index, action })
    }

    /// The index that a conflict target means.
    fn conflict_index(&self, target: &ConflictTarget, schema: &RelationSchema) -> Result<usize> {
        match target {
            ConflictTarget::Columns(idents) => {
                let mut places = Vec::with_capacity(idents.len());
                for ident in idents {
                    let place = schema.columns.iter().position(|column| column.name == ident.value);
                    places.push(place.ok_or_else(|| {
                        let message = format!("column \"{}\" does not exist", ident.value);
                        SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(self.at_ident(ident))
                    })?);
                }
                let same = |columns: &[usize]| {
                    columns.iter().all(|it| places.contains(it))
                        && places.iter().all(|it| columns.contains(it))
                };
                schema.indexes.iter().position(|index| index.unique && same(&index.columns)).ok_or_else(|| {
                    let message =
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                })
            }
            ConflictTarget::OnConstraint(name) => {
                let wanted =
                    name.0.last().and_then(|part| part.as_ident()).map(|it| it.value.as_str());
                let found = schema
                    .indexes
                    .iter()
                    .position(|index| index.unique && Some(index.name) == wanted);
                found.ok_or_else(|| {
                    let message = format!(
                        "constraint \"{}\" for table \"{}\" does not exist",
                        wanted.unwrap_or_default(),
                        schema.name
                    );
                    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                })
            }
        }
    }

    /// Binds a `RETURNING` over names.
    pub(super) fn bind_returning(
        &mut self,
        items: Option<&[SelectItem]>,
        names: Namespace,
    ) -> Result<Option<Returning>> {
        let Some(items) = items else { return Ok(None) };
        let level = Level::new(names, Clause::Returning);
        let (mut targets, _) = self.with_level(level, |binder| binder.bind_targets(items))?;
        for target in &mut targets {
            if target.expr.ty() == PgType::Unknown {
                let undecided = std::mem::replace(&mut target.expr, Expr::Row(Vec::new()));
                target.expr = self.decided(undecided, None)?;
            }
        }
        let columns = targets.iter().map(super::target::Target::column).collect();
        let expressions = targets.into_iter().map(|target| target.expr).collect();
        Ok(Some(Returning { expressions, columns, ctes: Vec::new() }))
    }
}

/// Whether a value is the word `DEFAULT`.
pub(super) fn is_default(value: &Ast) -> bool {
    matches!(strip(value), Ast::Identifier(ident) if ident.quote_style.is_none() && ident.value == "default")
}

/// Refuses what `sqlparser` knows of other dialects.
fn check_insert(insert: &ast::Insert) -> Result<()> {
    let foreign = insert.or.is_some()
        || insert.ignore
        || insert.overwrite
        || !insert.assignments.is_empty()
        || insert.partitioned.is_some()
        || !insert.after_columns.is_empty()
        || insert.has_table_keyword
        || insert.output.is_some()
        || insert.replace_into
        || insert.priority.is_some()
        || insert.insert_alias.is_some()
        || insert.settings.is_some()
        || insert.format_clause.is_some()
        || insert.multi_table_insert_type.is_some()
        || !insert.multi_table_into_clauses.is_empty()
        || !insert.multi_table_when_clauses.is_empty()
        || insert.multi_table_else_clause.is_some();
    if foreign || !insert.into {
        return Err(syntax("syntax error in INSERT"));
    }
    Ok(())
}
