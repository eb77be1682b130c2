//! The way from a parsed statement to a bound one.

use std::sync::Arc;

use sqlparser::ast::{self, ObjectNamePart, SetExpr};

use super::binder::{Binder, unsupported};
use super::bound::{
    Bound, BoundQuery, CreateView, DeclareCursor, Delete, ENTRIES_COLUMNS, Execute, Explain,
    Followed, Insert, Prepare, Returning, Subscribe, Update, WritingWith,
};
use super::cte::WithPlace;
use super::parameters::Parameters;
use super::scope::{Clause, Level, NamedRelation, Namespace};
use super::statement::{DeclareNode, Node, Source, Statement, SubscribeNode, ViewNode};
use crate::catalog::{Catalog, Entry, PUBLIC, View};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::Settings;
use crate::optimize::walk::has_subquery;
use crate::plan::{Expr, OutputColumn, Plan, PlanNode};
use crate::types::PgType;
use crate::types::functions::CoercionContext;

/// Binds a statement: names to relations and columns, calls to functions, untyped parameters to types.
///
/// `declared` are the types that the client gave for its parameters; [`PgType::Unknown`] and missing ones are inferred.
pub fn bind(
    catalog: &Catalog,
    settings: &Settings,
    statement: &Statement,
    declared: &[PgType],
) -> Result<Bound> {
    let mut binder = Binder::new(catalog, settings, Some(Arc::clone(&statement.source.positions)));
    binder.parameters = Parameters::declared(declared);
    bind_node(binder, &statement.node, &statement.source)
}

/// Binds the arguments of an EXECUTE to the types of the prepared statement's parameters. Their values need no row.
pub fn bind_arguments(
    catalog: &Catalog,
    settings: &Settings,
    execute: &Execute,
    types: &[PgType],
) -> Result<Vec<Expr>> {
    let Execute { name, arguments } = execute;
    if arguments.expressions.len() != types.len() {
        let message = format!("wrong number of parameters for prepared statement \"{name}\"");
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).with_detail(format!(
            "Expected {} parameters but got {}.",
            types.len(),
            arguments.expressions.len()
        )));
    }
    let mut binder = Binder::new(catalog, settings, Some(Arc::clone(&arguments.source.positions)));
    binder.parameters = Parameters::forbidden();
    let level = Level::new(Namespace::default(), Clause::Arguments);
    let bind = |binder: &mut Binder<'_>| {
        let mut bound = Vec::with_capacity(types.len());
        for (n, (ast, ty)) in arguments.expressions.iter().zip(types).enumerate() {
            let value = binder.bind_expr(ast)?;
            let from = value.ty();
            let converted =
                binder.try_coerce(value, *ty, CoercionContext::Assignment, Some(ast))?;
            bound.push(converted.ok_or_else(|| {
                let message = format!(
                    "parameter ${} of type {from} cannot be coerced to the expected type {ty}",
                    n + 1
                );
                SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                    .with_hint("You will need to rewrite or cast the expression.")
                    .at(binder.at_expr(ast))
            })?);
        }
        Ok(bound)
    };
    Ok(binder.with_level(level, bind)?.0)
}

fn bind_node(mut binder: Binder<'_>, node: &Node, source: &Source) -> Result<Bound> {
    match node {
        Node::Empty => Ok(Bound::Empty),
        Node::Utility(utility) => Ok(Bound::Utility(utility.clone())),
        Node::Query(query) => match &*query.body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => {
                bind_change_with(binder, query)
            }
            _ => {
                binder.with_place = WithPlace::Top;
                let plan = binder.bind_query(query, true)?;
                let locks = binder.locks;
                finished(binder, Bound::Query(BoundQuery { plan, parameters: Vec::new(), locks }))
            }
        },
        Node::Insert(insert) => {
            let bound = Bound::Insert(binder.bind_insert(insert)?);
            finished(binder, bound)
        }
        Node::Update(update) => {
            let bound = Bound::Update(binder.bind_update(update)?);
            finished(binder, bound)
        }
        Node::Delete(delete) => {
            let bound = Bound::Delete(binder.bind_delete(delete)?);
            finished(binder, bound)
        }
        Node::Copy(copy) => binder.bind_copy(copy),
        Node::Subscribe(subscribe) => Ok(Bound::Subscribe(binder.bind_subscribe(subscribe)?)),
        Node::Explain(options, inner) => {
            let statement = Box::new(bind_node(binder, inner, source)?);
            Ok(Bound::Explain(Explain { options: *options, statement }))
        }
        Node::DeclareCursor(declare) => bind_declare(binder, declare),
        Node::Prepare { name, types, statement } => {
            let types =
                types.iter().map(|ty| Ok(binder.data_type(ty)?.0)).collect::<Result<_>>()?;
            Ok(Bound::Prepare(Prepare {
                name: name.clone(),
                types,
                statement: Arc::clone(statement),
            }))
        }
        Node::Execute { name, arguments } => {
            Ok(Bound::Execute(Execute { name: name.clone(), arguments: Arc::clone(arguments) }))
        }
        Node::CreateView(view) => bind_create_view(binder, view, source),
    }
}

/// A statement that is bound, with what its binding has found out: the types of its parameters, and the statements of
/// its WITH that change data.
fn finished(binder: Binder<'_>, mut bound: Bound) -> Result<Bound> {
    let found = binder.parameters.finish()?;
    if !binder.writes.is_empty() {
        let (writes, body) = (binder.writes, Box::new(bound));
        return Ok(Bound::With(WritingWith { writes, body, parameters: found }));
    }
    match &mut bound {
        Bound::Query(BoundQuery { parameters, .. })
        | Bound::Insert(Insert { parameters, .. })
        | Bound::Update(Update { parameters, .. })
        | Bound::Delete(Delete { parameters, .. }) => *parameters = found,
        _ => {}
    }
    Ok(bound)
}

fn bind_declare(mut binder: Binder<'_>, declare: &DeclareNode) -> Result<Bound> {
    binder.with_place = WithPlace::Cursor;
    let plan = binder.bind_query(&declare.query, true)?;
    let locks = binder.locks;
    let query = BoundQuery { plan, parameters: binder.parameters.finish()?, locks };
    let DeclareNode { name, binary, scroll, hold, query: _ } = declare;
    let (name, binary, scroll, hold) = (name.clone(), *binary, *scroll, *hold);
    Ok(Bound::DeclareCursor(DeclareCursor { name, binary, scroll, hold, query }))
}

/// `WITH .. INSERT`, `UPDATE`, `DELETE`: the expressions are in sight of the rows that the statement is about.
fn bind_change_with(mut binder: Binder<'_>, query: &ast::Query) -> Result<Bound> {
    let ctes = match &query.with {
        Some(with) => binder.bind_with(with, WithPlace::Top)?,
        None => Vec::new(),
    };
    let bound = binder.bind_change(&query.body, &ctes)?;
    finished(binder, bound)
}

fn bind_create_view(mut binder: Binder<'_>, node: &ViewNode, source: &Source) -> Result<Bound> {
    binder.parameters = Parameters::forbidden();
    let parts: Vec<&ast::Ident> = node.name.0.iter().filter_map(|part| part.as_ident()).collect();
    let (schema, name) = match parts.as_slice() {
        [name] => (None, *name),
        [schema, name] => (Some(schema.value.clone()), *name),
        _ => {
            return Err(
                unsupported(format!("view name {}", node.name)).at(binder.at_name(&node.name))
            );
        }
    };
    let path = binder.settings.search_path.iter();
    let schema = schema
        .or_else(|| path.clone().find(|schema| binder.catalog.has_schema(schema)).cloned())
        .ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
        })?;
    if !binder.catalog.has_schema(&schema) {
        let message = format!("schema \"{schema}\" does not exist");
        return Err(
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(binder.at_name(&node.name))
        );
    }
    if schema != PUBLIC {
        let message = format!("permission denied for schema {schema}");
        return Err(
            SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message).at(binder.at_name(&node.name))
        );
    }
    binder.with_place = WithPlace::View;
    let plan = binder.bind_query(&node.query, true)?;
    let mut columns = plan.columns.to_vec();
    if node.columns.len() > columns.len() {
        let message = "CREATE VIEW specifies more column names than columns";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    for (column, given) in columns.iter_mut().zip(&node.columns) {
        column.name.clone_from(&given.value);
    }
    for (n, column) in columns.iter().enumerate() {
        if columns[..n].iter().any(|other| other.name == column.name) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
    }
    debug_assert!(source.text.contains(&node.text), "a view keeps the text that was sent");
    let view = View {
        oid: 0,
        schema,
        name: name.value.clone(),
        columns: columns.iter().map(|column| column.name.clone()).collect(),
        query: node.text.clone(),
        owner: binder.settings.user.clone(),
    };
    Ok(Bound::CreateView(CreateView { view, replace: node.replace, columns: Arc::from(columns) }))
}

impl Binder<'_> {
    /// Binds a statement that changes data, with common table expressions in sight.
    pub(super) fn bind_change(
        &mut self,
        body: &SetExpr,
        ctes: &[(usize, Arc<Plan>)],
    ) -> Result<Bound> {
        let wrap = |source: &mut Plan, returning: &mut Option<Returning>| {
            if ctes.is_empty() {
                return;
            }
            if let Some(returning) = returning {
                returning.ctes = ctes.to_vec();
            }
            let empty = Plan::new(PlanNode::Values(Vec::new()), Vec::new());
            let body = std::mem::replace(source, empty);
            let columns = Arc::clone(&body.columns);
            let node = PlanNode::With { ctes: ctes.to_vec(), body: Box::new(body) };
            *source = Plan { node, columns };
        };
        match body {
            SetExpr::Insert(ast::Statement::Insert(insert)) => {
                let mut bound = self.bind_insert(insert)?;
                wrap(&mut bound.source, &mut bound.returning);
                Ok(Bound::Insert(bound))
            }
            SetExpr::Update(ast::Statement::Update(update)) => {
                let mut bound = self.bind_update(update)?;
                wrap(&mut bound.source, &mut bound.returning);
                Ok(Bound::Update(bound))
            }
            SetExpr::Delete(ast::Statement::Delete(delete)) => {
                let mut bound = self.bind_delete(delete)?;
                wrap(&mut bound.source, &mut bound.returning);
                Ok(Bound::Delete(bound))
            }
            _ => Err(unsupported("this statement")),
        }
    }

    /// Binds a subscription: a relation and a condition over its rows.
    pub(super) fn bind_subscribe(&mut self, node: &SubscribeNode) -> Result<Subscribe> {
        if let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)] =
            node.relation.0.as_slice()
            && (schema.value.as_str(), name.value.as_str()) == ("rotabase", "entries")
        {
            if node.predicate.is_some() {
                return Err(unsupported("a condition on rotabase.entries"));
            }
            let columns = ENTRIES_COLUMNS.map(|(name, ty)| OutputColumn::computed(name, ty));
            let (followed, after) = (Followed::Entries, node.after.clone());
            return Ok(Subscribe { followed, after, predicate: None, columns: columns.into() });
        }
        let Entry::Relation(relation) = self.find_entry(&node.relation)? else {
            return Err(unsupported("SUBSCRIBE TO a view").at(self.at_name(&node.relation)));
        };
        if relation.schema().schema != PUBLIC || relation.schema().name != "events" {
            return Err(unsupported(format!("SUBSCRIBE TO \"{}\"", relation.schema().name))
                .with_hint("Subscribe to events.")
                .at(self.at_name(&node.relation)));
        }
        let named = NamedRelation::of_relation(&relation);
        let columns: Arc<[OutputColumn]> = super::from::scan(&relation).0.columns;
        let level = Level::new(Namespace::of(named), Clause::Subscribe);
        let bind = |binder: &mut Self| match &node.predicate {
            Some(predicate) => binder.bind_boolean(predicate, "WHERE").map(Some),
            None => Ok(None),
        };
        let (predicate, _) = self.with_level(level, bind)?;
        // A subscription goes on while rows change: there is no one state that a subquery could read.
        if predicate.as_ref().is_some_and(has_subquery) {
            return Err(unsupported("a subquery in the condition of SUBSCRIBE"));
        }
        let followed = Followed::Events(relation);
        Ok(Subscribe { followed, after: node.after.clone(), predicate, columns })
    }
}
