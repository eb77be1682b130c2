//! `FROM`: tables, views, subqueries, common table expressions and joins.
//!
//! Each item gives a plan and the names over its row. While the right side of a join or of a comma is bound, the left
//! side is in sight as a level of its own; if nothing refers to it, the level is taken out again.

use std::sync::Arc;

use sqlparser::ast::{
    self, Join, JoinConstraint, JoinOperator, Spanned, TableAlias, TableFactor, TableWithJoins,
};

use super::binder::{Binder, VIEW_DEPTH_MAX, syntax, unsupported};
use super::lex::too_complex;
use super::parameters::Parameters;
use super::parse::parse;
use super::rewrite::{MARK, ROWS_FROM};
use super::scope::{Clause, Level, NamedColumn, NamedRelation, Namespace, TableName};
use super::statement::Node;
use super::walk::lower_plan;
use crate::as_of::Instant;
use crate::catalog::{Entry, PUBLIC, View};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{JoinKind, OutputColumn, Plan, PlanNode, ScanAccess};
use crate::relation::Relation;

/// How many items a `FROM` may have between commas.
const FROM_ITEMS_MAX: usize = 1000;

/// A plan with the names over its row.
pub(super) type Bound = (Plan, Namespace);

impl Binder<'_> {
    /// Binds a list of items; none gives one row without columns.
    pub(super) fn bind_from(&mut self, from: &[TableWithJoins]) -> Result<Bound> {
        let Some((first, rest)) = from.split_first() else {
            let nothing = Plan::new(PlanNode::Values(vec![vec![]]), Vec::new());
            return Ok((nothing, Namespace::default()));
        };
        if from.len() > FROM_ITEMS_MAX {
            return Err(too_complex(format!("FROM may have {FROM_ITEMS_MAX} items.")));
        }
        let mut bound = self.bind_joins(first)?;
        for item in rest {
            let (left, right, lateral) = self.beside(bound, |binder| binder.bind_joins(item))?;
            bound = self.join(left, right, JoinKind::Inner, lateral, &JoinConstraint::None)?;
        }
        Ok(bound)
    }

    /// Binds something with the left side of a join in sight; whether it refers to that side.
    fn beside(
        &mut self,
        (plan, namespace): Bound,
        bind: impl FnOnce(&mut Self) -> Result<Bound>,
    ) -> Result<(Bound, Bound, bool)> {
        let (mut right, level) = self.with_level(Level::new(namespace, Clause::Lateral), bind)?;
        if !level.used {
            lower_plan(&mut right.0);
        }
        Ok(((plan, level.namespace), right, level.used))
    }

    fn bind_joins(&mut self, item: &TableWithJoins) -> Result<Bound> {
        let mut bound = self.bind_factor(&item.relation)?;
        for join in &item.joins {
            bound = self.bind_join(bound, join)?;
        }
        Ok(bound)
    }

    fn bind_join(&mut self, left: Bound, join: &Join) -> Result<Bound> {
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::CrossJoin(constraint @ JoinConstraint::None) => {
                (JoinKind::Inner, constraint)
            }
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (JoinKind::Left, constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (JoinKind::Right, constraint)
            }
            JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
            _ => return Err(unsupported("this kind of join")),
        };
        if join.global {
            return Err(unsupported("GLOBAL JOIN"));
        }
        let crossed = matches!(join.join_operator, JoinOperator::CrossJoin(_));
        if matches!(constraint, JoinConstraint::None) && !crossed {
            return Err(self.syntax_error_behind(join.relation.span().end));
        }
        let (left, right, lateral) =
            self.beside(left, |binder| binder.bind_factor(&join.relation))?;
        if lateral && matches!(kind, JoinKind::Right | JoinKind::Full) {
            let name =
                left.1.relations.first().map(|relation| relation.name.clone()).unwrap_or_default();
            let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).with_detail(
                "The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
            ));
        }
        self.join(left, right, kind, lateral, constraint)
    }

    /// Makes the join of two bound sides.
    pub(super) fn join(
        &mut self,
        (left, left_names): Bound,
        (right, mut right_names): Bound,
        kind: JoinKind,
        lateral: bool,
        constraint: &JoinConstraint,
    ) -> Result<Bound> {
        check_names(&left_names, &right_names)?;
        right_names.shift(left_names.width);
        let columns: Arc<[OutputColumn]> =
            left.columns.iter().chain(right.columns.iter()).cloned().collect();
        let (namespace, on) = match constraint {
            JoinConstraint::None => (left_names.beside(right_names), None),
            JoinConstraint::On(condition) => {
                let names = left_names.beside(right_names);
                let level = Level::new(names, Clause::JoinOn);
                let bind = |binder: &mut Self| binder.bind_boolean(condition, "JOIN/ON");
                let (on, level) = self.without_lateral(|binder| binder.with_level(level, bind))?;
                (level.namespace, Some(on))
            }
            JoinConstraint::Using(names) => {
                let mut wanted = Vec::with_capacity(names.len());
                for name in names {
                    match name.0.as_slice() {
                        [ast::ObjectNamePart::Identifier(ident)] => wanted.push(ident.clone()),
                        _ => {
                            return Err(
                                syntax("syntax error at or near \".\"").at(self.at_name(name))
                            );
                        }
                    }
                }
                self.merge(left_names, right_names, kind, &wanted)?
            }
            JoinConstraint::Natural => {
                let common = left_names.columns.iter().map(|column| &column.name);
                let in_right =
                    |name: &&String| right_names.columns.iter().any(|it| it.name == **name);
                let wanted: Vec<ast::Ident> =
                    common.filter(in_right).map(ast::Ident::new).collect();
                self.merge(left_names, right_names, kind, &wanted)?
            }
        };
        let (left, right) = (Box::new(left), Box::new(right));
        Ok((Plan { node: PlanNode::Join { left, right, kind, on, lateral }, columns }, namespace))
    }

    /// Binds something that does not see the left sides of the joins around it.
    pub(super) fn without_lateral<T>(
        &mut self,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let height = self.levels.len();
        let lateral =
            self.levels.iter().rev().take_while(|level| level.clause == Clause::Lateral).count();
        let before: Vec<bool> =
            self.levels[height - lateral..].iter().map(|level| level.visible).collect();
        self.levels[height - lateral..].iter_mut().for_each(|level| level.visible = false);
        let bound = bind(self);
        for (level, visible) in self.levels[height - lateral..].iter_mut().zip(before) {
            level.visible = visible;
        }
        bound
    }

    fn bind_factor(&mut self, factor: &TableFactor) -> Result<Bound> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                if sample.is_some() {
                    return Err(unsupported("TABLESAMPLE").at(self.at_name(name)));
                }
                if !with_hints.is_empty()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty()
                {
                    return Err(unsupported("this option of a table").at(self.at_name(name)));
                }
                let instant = version.as_ref().map(|it| self.bind_instant(it, name)).transpose()?;
                match args {
                    Some(_) if instant.is_some() => {
                        let message = "FOR SYSTEM_TIME is not supported for functions";
                        Err(SqlError::unsupported(message).at(self.at_name(name)))
                    }
                    Some(args) if args.settings.is_some() => {
                        Err(unsupported("SETTINGS").at(self.at_name(name)))
                    }
                    Some(args) => {
                        self.bind_table_function(name, &args.args, *with_ordinality, alias.as_ref())
                    }
                    None if *with_ordinality => {
                        Err(syntax("syntax error at or near \"ORDINALITY\"").at(self.at_name(name)))
                    }
                    None => self.bind_table(name, instant.as_ref(), alias.as_ref()),
                }
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                self.bind_derived(*lateral, subquery, alias.as_ref())
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                self.bind_table_function(name, args, *with_ordinality, alias.as_ref())
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality,
            } => self.bind_unnest(array_exprs, *with_ordinality, alias.as_ref()),
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let (plan, namespace) = self.bind_joins(table_with_joins)?;
                let Some(alias) = alias else { return Ok((plan, namespace)) };
                let mut relation =
                    NamedRelation::of_columns(alias.name.value.clone(), namespace.columns);
                self.rename(&mut relation, Some(alias))?;
                Ok((plan, Namespace { width: namespace.width, ..Namespace::of(relation) }))
            }
            other => Err(unsupported(format!("FROM {}", form_name(other)))),
        }
    }

    /// Binds a table, a view or a common table expression by its name.
    fn bind_table(
        &mut self,
        name: &ast::ObjectName,
        instant: Option<&Arc<Instant>>,
        alias: Option<&TableAlias>,
    ) -> Result<Bound> {
        let parts: Vec<&ast::Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        if let [only] = parts.as_slice()
            && let Some((plan, relation)) = self.bind_cte_reference(only)?
        {
            if instant.is_some() {
                let message =
                    format!("FOR SYSTEM_TIME is not supported for WITH query \"{}\"", only.value);
                return Err(SqlError::unsupported(message)
                    .with_hint("Put it behind the tables in the WITH query.")
                    .at(self.at_name(name)));
            }
            return self.finish(plan, relation, alias);
        }
        match self.find_entry(name)? {
            Entry::Relation(relation) => {
                let (plan, named) = scan(&self.as_of(&relation, instant, name)?);
                self.finish(plan, named, alias)
            }
            Entry::View(view) => {
                let plan = self.bind_view(&view, instant)?;
                let mut named = NamedRelation::of_plan(view.name.clone(), &plan);
                named.table = Some(TableName {
                    schema: view.schema.clone(),
                    name: view.name.clone(),
                    aliased: false,
                });
                self.finish(plan, named, alias)
            }
        }
    }

    /// Looks up a table or a view.
    pub(super) fn find_entry(&self, name: &ast::ObjectName) -> Result<Entry> {
        let parts: Vec<&str> =
            name.0.iter().filter_map(|part| part.as_ident()).map(|it| it.value.as_str()).collect();
        let (schema, relation) = match parts.as_slice() {
            [relation] => (None, *relation),
            [schema, relation] => (Some(*schema), *relation),
            [database, schema, relation] if *database == self.settings.database => {
                (Some(*schema), *relation)
            }
            _ => {
                let message = format!(
                    "cross-database references are not implemented: \"{}\"",
                    parts.join(".")
                );
                return Err(SqlError::unsupported(message).at(self.at_name(name)));
            }
        };
        let found = self.catalog.find(schema, relation, &self.settings.search_path);
        found.cloned().ok_or_else(|| {
            let full =
                schema.map_or_else(|| relation.to_owned(), |schema| format!("{schema}.{relation}"));
            let message = format!("relation \"{full}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_TABLE, message).at(self.at_name(name))
        })
    }

    /// Binds a view's text, where nothing of the statement around it is in sight.
    fn bind_view(&mut self, view: &View, instant: Option<&Arc<Instant>>) -> Result<Plan> {
        if self.view_depth >= VIEW_DEPTH_MAX {
            return Err(too_complex(format!("Views may use views {VIEW_DEPTH_MAX} deep.")));
        }
        let mut statements = parse(&view.query)?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(SqlError::internal("a view's text is not one query"));
        };
        let Node::Query(query) = &statement.node else {
            return Err(SqlError::internal("a view's text is not a query"));
        };
        // A view means what it meant where it was made, whatever this session's path is.
        let mut settings = self.settings.clone();
        settings.search_path = vec![view.schema.clone(), PUBLIC.to_owned()];
        let mut inner = Binder::new(self.catalog, &settings, None);
        inner.parameters = Parameters::forbidden();
        inner.next_cte = self.next_cte;
        inner.view_depth = self.view_depth + 1;
        inner.instant = instant.or(self.instant.as_ref()).cloned();
        let mut plan = inner.bind_query(query, true)?;
        self.next_cte = inner.next_cte;
        if !view.columns.is_empty() {
            let mut columns = plan.columns.to_vec();
            for (column, name) in columns.iter_mut().zip(&view.columns) {
                column.name.clone_from(name);
            }
            plan.columns = Arc::from(columns);
        }
        Ok(plan)
    }

    fn bind_derived(
        &mut self,
        lateral: bool,
        query: &ast::Query,
        alias: Option<&TableAlias>,
    ) -> Result<Bound> {
        let Some(alias) = alias else {
            let values = matches!(&*query.body, ast::SetExpr::Values(_));
            let (what, example) =
                if values { ("VALUES", "VALUES") } else { ("subquery", "SELECT") };
            return Err(syntax(format!("{what} in FROM must have an alias"))
                .with_hint(format!("For example, FROM ({example} ...) [AS] foo."))
                .at(self.at_before(query.span().start, "(")));
        };
        let plan = if lateral {
            self.bind_query(query, true)?
        } else {
            self.without_lateral(|binder| binder.bind_query(query, true))?
        };
        let mut relation = NamedRelation::of_plan(alias.name.value.clone(), &plan);
        for (column, fields) in
            relation.columns.iter_mut().zip(std::mem::take(&mut self.target_fields))
        {
            column.fields = fields;
        }
        self.finish(plan, relation, Some(alias))
    }

    /// Gives a relation its alias and makes it a namespace.
    pub(super) fn finish(
        &mut self,
        plan: Plan,
        mut relation: NamedRelation,
        alias: Option<&TableAlias>,
    ) -> Result<Bound> {
        self.rename(&mut relation, alias)?;
        Ok((plan, Namespace::of(relation)))
    }

    fn rename(&self, relation: &mut NamedRelation, alias: Option<&TableAlias>) -> Result<()> {
        let Some(alias) = alias else { return Ok(()) };
        if alias.at.is_some() {
            return Err(unsupported("AT in an alias").at(self.at_ident(&alias.name)));
        }
        relation.name.clone_from(&alias.name.value);
        if let Some(table) = &mut relation.table {
            table.aliased = true;
        }
        let (available, given) = (relation.columns.len(), alias.columns.len());
        if given > available {
            let message = format!(
                "table \"{}\" has {available} columns available but {given} columns specified",
                relation.name
            );
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        for (column, given) in relation.columns.iter_mut().zip(&alias.columns) {
            if given.data_type.is_some() {
                let message = "a column definition list is not supported";
                return Err(SqlError::unsupported(message).at(self.at_ident(&given.name)));
            }
            column.name.clone_from(&given.name.value);
        }
        Ok(())
    }
}

/// The plan of a whole relation, and its name.
pub(super) fn scan(relation: &Arc<dyn Relation>) -> (Plan, NamedRelation) {
    let schema = relation.schema();
    let named = NamedRelation::of_relation(relation);
    let columns = schema.columns.iter().zip(&named.columns).map(|(column, named)| OutputColumn {
        name: column.name.to_owned(),
        ty: column.ty,
        typmod: -1,
        origin: named.origin,
    });
    let node = PlanNode::Scan {
        relation: Arc::clone(relation),
        columns: (0..schema.columns.len()).collect(),
        access: ScanAccess::Full,
        filter: None,
    };
    (Plan { node, columns: columns.collect() }, named)
}

impl NamedRelation {
    /// A table with all its columns.
    pub(super) fn of_relation(relation: &Arc<dyn Relation>) -> Self {
        let schema = relation.schema();
        let columns = schema.columns.iter().enumerate().map(|(place, column)| {
            let number = i16::try_from(place + 1).unwrap_or(0);
            NamedColumn {
                origin: (schema.oid, number),
                ..NamedColumn::new(column.name, place, column.ty)
            }
        });
        let (schema_name, name) = (schema.schema.to_owned(), schema.name.to_owned());
        Self {
            name: name.clone(),
            table: Some(TableName { schema: schema_name, name, aliased: false }),
            columns: columns.collect(),
            relation: Some(Arc::clone(relation)),
            scalar: false,
        }
    }

    /// What a plan gives, under a name.
    pub(super) fn of_plan(name: String, plan: &Plan) -> Self {
        let columns = plan.columns.iter().enumerate().map(|(place, column)| NamedColumn {
            typmod: column.typmod,
            origin: column.origin,
            ..NamedColumn::new(column.name.clone(), place, column.ty)
        });
        Self::of_columns(name, columns.collect())
    }

    /// These columns, under a name.
    pub(super) fn of_columns(name: String, columns: Vec<NamedColumn>) -> Self {
        Self { name, table: None, columns, relation: None, scalar: false }
    }
}

/// Two relations of a query cannot have one name, unless they are tables of different schemas.
fn check_names(left: &Namespace, right: &Namespace) -> Result<()> {
    for relation in &right.relations {
        let clash = left.relations.iter().any(|other| {
            let different_tables = match (&relation.table, &other.table) {
                (Some(a), Some(b)) => !a.aliased && !b.aliased && a.schema != b.schema,
                _ => false,
            };
            other.name == relation.name && !different_tables
        });
        if clash {
            let message = format!("table name \"{}\" specified more than once", relation.name);
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
        }
    }
    Ok(())
}

impl Namespace {
    /// Everything of both sides; the right one has been shifted.
    pub(super) fn beside(mut self, right: Self) -> Self {
        self.width += right.width;
        self.relations.extend(right.relations);
        self.columns.extend(right.columns);
        self
    }
}

/// Whether a function's name stands for `ROWS FROM`.
pub(super) fn is_rows_from(name: &ast::ObjectName) -> bool {
    matches!(
        name.0.as_slice(),
        [ast::ObjectNamePart::Identifier(ident)] if ident.quote_style == Some(MARK) && ident.value == ROWS_FROM
    )
}

fn form_name(factor: &TableFactor) -> &'static str {
    match factor {
        TableFactor::Pivot { .. } => "PIVOT",
        TableFactor::Unpivot { .. } => "UNPIVOT",
        TableFactor::JsonTable { .. } => "JSON_TABLE",
        TableFactor::XmlTable { .. } => "XMLTABLE",
        TableFactor::MatchRecognize { .. } => "MATCH_RECOGNIZE",
        _ => "this item",
    }
}
