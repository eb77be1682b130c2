//! Names of columns and of rows: how they are found in the rows in sight, and what is said when they are not.

use sqlparser::ast;

use super::binder::{Binder, unsupported};
use super::fuzzy;
use super::scope::{NamedColumn, NamedRelation, SETS};
use super::walk::{column_of, walk_expr};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, PlanNode, SubqueryKind};
use crate::types::{Datum, PgType};

/// The columns that PostgreSQL's tables have and ours do not.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"];

/// Where a name was found: the place of its level in the stack, and the column.
type Found = (usize, NamedColumn);

impl Binder<'_> {
    /// Binds `name`.
    pub(super) fn bind_name(&mut self, ident: &ast::Ident) -> Result<Expr> {
        if let Some((level, column)) = self.find_column(ident)? {
            return Ok(self.refer(level, column.expr, ident));
        }
        if ident.value == "tableoid"
            && let Some(level) = self.levels.last()
            && let [only] = level.namespace.relations.as_slice()
            && only.relation.is_some()
        {
            return Ok(table_oid(only));
        }
        if let Some((level, relation)) = self.find_relation(None, &ident.value) {
            let row = whole_row(&relation);
            return Ok(self.refer(level, row, ident));
        }
        Err(self.no_such_column(None, ident))
    }

    /// Binds `relation.column` and `schema.relation.column`.
    pub(super) fn bind_qualified_name(&mut self, parts: &[ast::Ident]) -> Result<Expr> {
        let (schema, relation, column) = match parts {
            [relation, column] => (None, relation, column),
            [schema, relation, column] => (Some(schema.value.as_str()), relation, column),
            _ => {
                let name: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
                let message =
                    format!("improper qualified name (too many dotted names): {}", name.join("."));
                let at = parts.first().and_then(|part| self.at_ident(part));
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at));
            }
        };
        let first = &parts[0];
        let Some((level, found)) = self.find_relation(schema, &relation.value) else {
            return Err(self.no_such_relation(schema, relation, first));
        };
        let mut matching = found.columns.iter().filter(|it| it.name == column.value);
        match (matching.next(), matching.next()) {
            (Some(one), None) => Ok(self.refer(level, one.expr.clone(), first)),
            (Some(_), Some(_)) => Err(self.ambiguous(column, first)),
            (None, _) if column.value == "tableoid" && found.relation.is_some() => {
                Ok(table_oid(&found))
            }
            (None, _) => {
                let mut error = self.no_such_column(Some(relation), column);
                error.position = self.at_ident(first);
                Err(error)
            }
        }
    }

    /// A value at a level as it is seen from the innermost one, noted as used.
    pub(super) fn refer(&mut self, level: usize, mut expr: Expr, at: &ast::Ident) -> Expr {
        let depth = self.levels.len() - 1 - level;
        let position = self.at_ident(at);
        self.lowest = self.lowest.min(level);
        self.levels[level].used = true;
        let mut uses = Vec::new();
        walk_expr(&mut expr, 0, &mut |expr, inner| {
            if let Some(column) = column_of(expr, inner) {
                uses.push((column, position));
                if depth > 0 {
                    *expr = Expr::Outer { depth, column, ty: expr.ty() };
                }
            }
            true
        });
        self.levels[level].uses.extend(uses);
        expr
    }

    /// The column that a bare name means: of the innermost level that has one.
    fn find_column(&self, ident: &ast::Ident) -> Result<Option<Found>> {
        for (place, level) in
            self.levels.iter().enumerate().rev().filter(|(_, level)| level.visible)
        {
            let mut matching = level.namespace.columns.iter().filter(|it| it.name == ident.value);
            match (matching.next(), matching.next()) {
                (Some(_), Some(_)) => return Err(self.ambiguous(ident, ident)),
                (Some(one), None) => return Ok(Some((place, one.clone()))),
                (None, _) => {}
            }
        }
        Ok(None)
    }

    /// The relation that a name before a point means.
    pub(super) fn find_relation(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> Option<(usize, NamedRelation)> {
        let levels = self.levels.iter().enumerate().rev().filter(|(_, level)| level.visible);
        for (place, level) in levels {
            let found =
                level.namespace.relations.iter().find(|relation| match (schema, &relation.table) {
                    (None, _) => relation.name == name,
                    (Some(schema), Some(table)) => {
                        !table.aliased && table.schema == schema && table.name == name
                    }
                    (Some(_), None) => false,
                });
            if let Some(found) = found {
                return Some((place, found.clone()));
            }
        }
        None
    }

    fn ambiguous(&self, column: &ast::Ident, at: &ast::Ident) -> SqlError {
        let message = format!("column reference \"{}\" is ambiguous", column.value);
        SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(self.at_ident(at))
    }

    /// Every relation in sight or hidden, the innermost level first.
    fn all_relations(&self) -> impl Iterator<Item = &NamedRelation> {
        self.levels.iter().rev().flat_map(|level| &level.namespace.relations)
    }

    /// That there is no such relation to take a column from.
    pub(super) fn no_such_relation(
        &self,
        schema: Option<&str>,
        relation: &ast::Ident,
        at: &ast::Ident,
    ) -> SqlError {
        let name = &relation.value;
        let error = |message: String| {
            SqlError::new(SqlState::UNDEFINED_TABLE, message).at(self.at_ident(at))
        };
        let meant = |it: &&NamedRelation| {
            let table = it.table.as_ref();
            it.name == *name && schema.is_none()
                || table.is_some_and(|table| {
                    table.name == *name && schema.is_none_or(|it| it == table.schema)
                })
        };
        let Some(hidden) = self.all_relations().find(meant) else {
            return error(format!("missing FROM-clause entry for table \"{name}\""));
        };
        let visible = self.find_relation(None, &hidden.name).is_some();
        let hint = if visible && hidden.name != *name {
            format!("Perhaps you meant to reference the table alias \"{}\".", hidden.name)
        } else {
            let name = &hidden.name;
            format!(
                "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
            )
        };
        error(format!("invalid reference to FROM-clause entry for table \"{name}\""))
            .with_hint(hint)
    }

    /// That there is no such column, with PostgreSQL's guess at what was meant.
    pub(super) fn no_such_column(
        &self,
        relation: Option<&ast::Ident>,
        column: &ast::Ident,
    ) -> SqlError {
        let name = &column.value;
        let message = match relation {
            Some(relation) => format!("column {}.{name} does not exist", relation.value),
            None => format!("column \"{name}\" does not exist"),
        };
        if SYSTEM_COLUMNS.contains(&name.as_str())
            && self.all_relations().any(|it| it.relation.is_some())
        {
            return unsupported(format!("system column \"{name}\"")).at(self.at_ident(column));
        }
        let mut guess = fuzzy::Guess::default();
        let alias = relation.map(|relation| relation.value.as_str());
        let mut error =
            SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(self.at_ident(column));
        for relation in self.all_relations() {
            let penalty = alias.map_or(0, |alias| fuzzy::distance(alias, &relation.name));
            for column in &relation.columns {
                if column.name == *name && penalty == 0 {
                    return error.with_hint(format!(
                        "There is a column named \"{name}\" in table \"{}\", but it cannot be referenced from this \
                         part of the query.",
                        relation.name
                    ));
                }
                guess.consider(penalty, &relation.name, &column.name, name);
            }
        }
        error.hint = guess.hint();
        error
    }

    /// The names and types of a record's fields, where they are known when it is bound.
    pub(super) fn record_fields(&self, ast: &ast::Expr, bound: &Expr) -> Vec<(String, PgType)> {
        let of = |columns: &[NamedColumn]| {
            columns.iter().map(|it| (it.name.clone(), it.expr.ty())).collect()
        };
        match ast {
            ast::Expr::Nested(inner) => return self.record_fields(inner, bound),
            ast::Expr::Identifier(ident) => {
                if let Ok(Some((_, column))) = self.find_column(ident) {
                    return column.fields;
                }
                if let Some((_, relation)) = self.find_relation(None, &ident.value) {
                    return of(&relation.columns);
                }
            }
            ast::Expr::CompoundIdentifier(parts) => {
                if let [relation, column] = parts.as_slice()
                    && let Some((_, relation)) = self.find_relation(None, &relation.value)
                    && let Some(found) =
                        relation.columns.into_iter().find(|it| it.name == column.value)
                {
                    return found.fields;
                }
            }
            _ => {}
        }
        match bound {
            Expr::Row(fields) => fields
                .iter()
                .enumerate()
                .map(|(n, field)| (format!("f{}", n + 1), field.ty()))
                .collect(),
            Expr::Column(place, _) if (SETS..).contains(place) => {
                let call = self.levels.last().and_then(|level| level.sets.get(place - SETS));
                call.map(|call| call.columns.clone()).unwrap_or_default()
            }
            Expr::Subquery(subquery) => match (&subquery.kind, subquery.plan.columns.as_ref()) {
                (SubqueryKind::Scalar, [_]) => match &subquery.plan.node {
                    PlanNode::Project { expressions, .. } => match expressions.as_slice() {
                        [row @ Expr::Row(_)] => self.record_fields(ast, row),
                        _ => Vec::new(),
                    },
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

/// The one system column that tools ask for: the same for every row of a table.
fn table_oid(relation: &NamedRelation) -> Expr {
    let oid = relation.relation.as_ref().map_or(0, |relation| relation.schema().oid);
    Expr::Literal(Datum::Oid(oid), PgType::Oid)
}

/// A relation's row as a value.
pub(super) fn whole_row(relation: &NamedRelation) -> Expr {
    match relation.columns.as_slice() {
        [only] if relation.scalar => only.expr.clone(),
        columns => Expr::Row(columns.iter().map(|column| column.expr.clone()).collect()),
    }
}
