//! `UPDATE` and `DELETE`: the rows they change, and the version that these must have.

use std::sync::Arc;

use sqlparser::ast::{
    self, Expr as Ast, FromTable, TableFactor, TableWithJoins, UpdateTableFromKind,
};

use super::assign::Value;
use super::binder::{Binder, syntax, unsupported};
use super::bound::{Delete, Update};
use super::from::scan;
use super::query::sorted;
use super::scope::{Clause, Level, NamedRelation, Namespace};
use super::select::filtered;
use super::walk::uses_row;
use crate::error::Result;
use crate::plan::{Expr, JoinKind, OutputColumn, Plan, PlanNode, SortKey};
use crate::relation::{Relation, RelationSchema};
use crate::types::PgType;

/// The rows that a statement changes.
struct Victims {
    plan: Plan,
    names: Namespace,
    /// Other relations take part, so that one row may come several times.
    joined: bool,
}

impl Binder<'_> {
    /// Binds an UPDATE; the parameters' types are filled in by the caller.
    pub(super) fn bind_update(&mut self, update: &ast::Update) -> Result<Update> {
        let ast::Update {
            update_token: _,
            optimizer_hints: _,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        if output.is_some() || or.is_some() || !order_by.is_empty() || limit.is_some() {
            return Err(syntax("syntax error in UPDATE"));
        }
        let from = match from {
            None => &[],
            Some(UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(syntax("syntax error at or near \"FROM\""));
            }
        };
        let (table, victims) = self.bind_victims(table, from, "update")?;
        let schema = Arc::clone(table.schema());
        let Victims { plan, names, joined } = victims;
        let level = Level::new(names, Clause::UpdateSet);
        let ((columns, values, predicate), level) = self.with_level(level, |binder| {
            let (mut columns, mut values) = (Vec::new(), Vec::new());
            for (place, value) in binder.bind_assignments(assignments, &schema)? {
                columns.push(place);
                values.push(match value {
                    Value::Expr(expr) => expr,
                    Value::Default => binder.default_value(&schema, place)?,
                });
            }
            Ok((columns, values, binder.bind_condition(selection.as_ref())?))
        })?;
        let (plan, expected_version) = self.conditioned(plan, predicate, &schema)?;
        let plan = once(plan, &schema, joined);
        let plan = with_values(plan, values);
        let returning = self.bind_returning(returning.as_deref(), level.namespace)?;
        Ok(Update {
            table,
            columns,
            source: plan,
            expected_version,
            returning,
            parameters: Vec::new(),
        })
    }

    /// Binds a DELETE; the parameters' types are filled in by the caller.
    pub(super) fn bind_delete(&mut self, delete: &ast::Delete) -> Result<Delete> {
        let ast::Delete {
            delete_token: _,
            optimizer_hints: _,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        let (FromTable::WithFromKeyword(from), true) = (from, tables.is_empty()) else {
            return Err(syntax("syntax error in DELETE"));
        };
        if output.is_some() || !order_by.is_empty() || limit.is_some() {
            return Err(syntax("syntax error in DELETE"));
        }
        let [table] = from.as_slice() else { return Err(syntax("syntax error at or near \",\"")) };
        let (table, victims) =
            self.bind_victims(table, using.as_deref().unwrap_or_default(), "delete from")?;
        let schema = Arc::clone(table.schema());
        let Victims { plan, names, joined } = victims;
        let level = Level::new(names, Clause::Where);
        let (predicate, level) =
            self.with_level(level, |binder| binder.bind_condition(selection.as_ref()))?;
        let (plan, expected_version) = self.conditioned(plan, predicate, &schema)?;
        let source = once(plan, &schema, joined);
        let returning = self.bind_returning(returning.as_deref(), level.namespace)?;
        Ok(Delete { table, source, expected_version, returning, parameters: Vec::new() })
    }

    fn bind_condition(&mut self, condition: Option<&Ast>) -> Result<Option<Expr>> {
        let Some(condition) = condition else { return Ok(None) };
        self.in_clause(Clause::Where, |binder| binder.bind_boolean(condition, "WHERE")).map(Some)
    }

    /// The table to change, joined with the other relations of the statement.
    fn bind_victims(
        &mut self,
        table: &TableWithJoins,
        others: &[TableWithJoins],
        verb: &str,
    ) -> Result<(Arc<dyn Relation>, Victims)> {
        let (
            TableFactor::Table {
                name,
                alias,
                args: None,
                version: None,
                with_ordinality: false,
                sample: None,
                json_path: None,
                ..
            },
            [],
        ) = (&table.relation, table.joins.as_slice())
        else {
            return Err(unsupported("this target of a writing statement"));
        };
        let relation = self.writable(name, verb)?;
        let (plan, mut victim) = scan(&relation);
        if let Some(alias) = alias {
            if !alias.columns.is_empty() {
                return Err(syntax("syntax error at or near \"(\"").at(self.at_ident(&alias.name)));
            }
            rename(&mut victim, &alias.name.value);
        }
        let names = Namespace::of(victim);
        if others.is_empty() {
            return Ok((relation, Victims { plan, names, joined: false }));
        }
        let other = self.bind_from(others)?;
        let constraint = ast::JoinConstraint::None;
        let (plan, names) = self.join((plan, names), other, JoinKind::Inner, false, &constraint)?;
        Ok((relation, Victims { plan, names, joined: true }))
    }

    /// Applies the condition, and takes out of it the version that the row's aggregate must have.
    ///
    /// The aggregate itself compares the version when it decides. Where the condition names one row by its key, the
    /// comparison with the projection's version is left out: that may be older than what the client has seen.
    fn conditioned(
        &mut self,
        plan: Plan,
        predicate: Option<Expr>,
        schema: &RelationSchema,
    ) -> Result<(Plan, Option<Expr>)> {
        let Some(predicate) = predicate else { return Ok((plan, None)) };
        let mut conjuncts = match predicate {
            Expr::And(parts) => parts,
            one => vec![one],
        };
        let version =
            schema.columns.iter().position(|it| it.name == "version" && it.ty == PgType::Int8);
        let found = version.and_then(|version| {
            conjuncts
                .iter()
                .enumerate()
                .find_map(|(n, it)| Some((n, equal_to(it, version)?.clone())))
        });
        let mut expected = None;
        if let Some((n, value)) = found {
            if names_one_row(&conjuncts, schema) {
                conjuncts.remove(n);
            }
            expected = Some(self.coerce(value, PgType::Int8, None)?);
        }
        let plan = match conjuncts.len() {
            0 => plan,
            1 => filtered(plan, conjuncts.remove(0)),
            _ => filtered(plan, Expr::And(conjuncts)),
        };
        Ok((plan, expected))
    }
}

fn rename(named: &mut NamedRelation, alias: &str) {
    alias.clone_into(&mut named.name);
    named.table.iter_mut().for_each(|table| table.aliased = true);
}

/// What a conjunct says that a column equals, if that does not depend on the row.
fn equal_to(conjunct: &Expr, column: usize) -> Option<&Expr> {
    let Expr::Call(call) = conjunct else { return None };
    let [left, right] = call.arguments.as_slice() else { return None };
    let is_equality = call.ty == PgType::Bool && call.function.name.ends_with("eq")
        || call.function.name == "texteq";
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(place, _) if *place == column);
    let fixed = |expr: &Expr| !matches!(expr, Expr::Subquery(_)) && !uses_row(expr);
    match is_equality {
        true if is_column(left) && fixed(right) => Some(right),
        true if is_column(right) && fixed(left) => Some(left),
        _ => None,
    }
}

/// Whether conjuncts give a value to each column of a unique index.
fn names_one_row(conjuncts: &[Expr], schema: &RelationSchema) -> bool {
    let given =
        |column: &usize| conjuncts.iter().any(|conjunct| equal_to(conjunct, *column).is_some());
    schema.indexes.iter().filter(|index| index.unique).any(|index| index.columns.iter().all(given))
}

/// Each row of the table once, whatever it was joined with: the first one counts, as in PostgreSQL.
fn once(plan: Plan, schema: &RelationSchema, joined: bool) -> Plan {
    let Some(key) = schema.indexes.iter().find(|index| index.primary).filter(|_| joined) else {
        return plan;
    };
    let columns: Vec<Expr> =
        key.columns.iter().map(|place| Expr::Column(*place, schema.columns[*place].ty)).collect();
    let keys = columns.iter().cloned();
    let keys = keys
        .map(|expression| SortKey { expression, descending: false, nulls_first: false })
        .collect();
    let output = Arc::clone(&plan.columns);
    let input = Box::new(sorted(plan, keys));
    Plan { node: PlanNode::Distinct { input, on: Some(columns) }, columns: output }
}

/// The rows with the new values behind them.
fn with_values(plan: Plan, values: Vec<Expr>) -> Plan {
    let rows = plan.columns.iter().enumerate();
    let mut expressions: Vec<Expr> =
        rows.map(|(place, column)| Expr::Column(place, column.ty)).collect();
    let mut columns = plan.columns.to_vec();
    for value in values {
        columns.push(OutputColumn::computed("?column?", value.ty()));
        expressions.push(value);
    }
    Plan::new(PlanNode::Project { input: Box::new(plan), expressions }, columns)
}
