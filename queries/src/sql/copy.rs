//! `COPY`: what is copied, and the columns that its options are about.

use std::sync::Arc;

use sqlparser::ast;

use super::binder::{Binder, unsupported};
use super::bound::{
    AIRPLANE_ROTATIONS_COLUMNS, Bound, CopyFilter, CopyFrom, CopySource, CopyTarget, CopyTo,
    LEG_ROTATIONS_COLUMNS,
};
use super::copy_options::{CopyColumns, CopyOptions};
use super::cte::WithPlace;
use super::from::scan;
use super::parameters::Parameters;
use super::scope::{Clause, Level, NamedRelation, Namespace};
use super::statement::{CopyNode, CopySubject, ForceColumns, Node};
use super::system_time::has_subquery;
use super::writable::check_insertable;
use crate::catalog::Entry;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, Plan, PlanNode};
use crate::relation::Relation;

/// A table that is not there but can be copied to or from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Ssim,
    LegRotations,
    AirplaneRotations,
}

impl Binder<'_> {
    /// Binds a COPY.
    pub(super) fn bind_copy(&mut self, node: &CopyNode) -> Result<Bound> {
        self.parameters = Parameters::forbidden();
        let mut options = node.options.clone();
        match &node.subject {
            CopySubject::Table { name, columns } => {
                if let Some(special) = self.special(name) {
                    return self.bind_special_copy(special, node, name, columns, options);
                }
                if node.from {
                    self.bind_copy_from(node, name, columns, options)
                } else {
                    self.bind_copy_table(node, name, columns, options)
                }
            }
            CopySubject::Node(inner) => {
                let source = match &**inner {
                    Node::Query(query) => {
                        if matches!(
                            &*query.body,
                            ast::SetExpr::Insert(_)
                                | ast::SetExpr::Update(_)
                                | ast::SetExpr::Delete(_)
                        ) {
                            return Err(unsupported("COPY of a writing statement"));
                        }
                        self.with_place = WithPlace::Copy;
                        let plan = self.bind_query(query, true)?;
                        let names: Vec<String> =
                            plan.columns.iter().map(|column| column.name.clone()).collect();
                        force(&mut options, node, &names, "query result")?;
                        CopySource::Plan(plan)
                    }
                    Node::Subscribe(subscribe) => {
                        let subscribe = self.bind_subscribe(subscribe)?;
                        let names: Vec<String> =
                            subscribe.columns.iter().map(|column| column.name.clone()).collect();
                        force(&mut options, node, &names, "query result")?;
                        CopySource::Subscribe(subscribe)
                    }
                    _ => return Err(unsupported("COPY of a writing statement")),
                };
                Ok(Bound::CopyTo(CopyTo { source, options }))
            }
        }
    }

    /// What a name means if no relation has it.
    fn special(&self, name: &ast::ObjectName) -> Option<Special> {
        let [ast::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
        let special = match ident.value.as_str() {
            "ssim" => Special::Ssim,
            "leg_rotations" => Special::LegRotations,
            "airplane_rotations" => Special::AirplaneRotations,
            _ => return None,
        };
        self.catalog
            .find(None, &ident.value, &self.settings.search_path)
            .is_none()
            .then_some(special)
    }

    fn bind_special_copy(
        &mut self,
        special: Special,
        node: &CopyNode,
        name: &ast::ObjectName,
        columns: &[ast::Ident],
        mut options: CopyOptions,
    ) -> Result<Bound> {
        if node.predicate.is_some() {
            let message = format!("COPY {name} FROM .. WHERE is not supported");
            return Err(SqlError::unsupported(message).at(self.at_name(name)));
        }
        let all: &[&str] = match special {
            Special::Ssim => {
                if !columns.is_empty() || options != CopyOptions::default() {
                    return Err(SqlError::unsupported("COPY ssim takes no columns and no options")
                        .at(self.at_name(name)));
                }
                return Ok(if node.from {
                    Bound::CopyFrom(CopyFrom {
                        target: CopyTarget::Ssim,
                        named: false,
                        filter: None,
                        options,
                    })
                } else {
                    Bound::CopyTo(CopyTo { source: CopySource::Ssim, options })
                });
            }
            Special::LegRotations => &LEG_ROTATIONS_COLUMNS,
            Special::AirplaneRotations => &AIRPLANE_ROTATIONS_COLUMNS,
        };
        if !node.from {
            return Err(SqlError::unsupported(format!("COPY {name} TO is not supported"))
                .with_hint("Copy a query instead.")
                .at(self.at_name(name)));
        }
        let mut places = Vec::with_capacity(columns.len());
        for ident in columns {
            let place = all.iter().position(|column| *column == ident.value).ok_or_else(|| {
                let message =
                    format!("column \"{}\" of relation \"{name}\" does not exist", ident.value);
                SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(self.at_ident(ident))
            })?;
            if places.contains(&place) {
                let message = format!("column \"{}\" specified more than once", ident.value);
                return Err(
                    SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(self.at_ident(ident))
                );
            }
            places.push(place);
        }
        if columns.is_empty() {
            places = (0..all.len()).collect();
        }
        let names: Vec<String> = places.iter().map(|place| all[*place].to_owned()).collect();
        force(&mut options, node, &names, &name.to_string())?;
        let target = if special == Special::LegRotations {
            CopyTarget::LegRotations(places)
        } else {
            CopyTarget::AirplaneRotations(places)
        };
        Ok(Bound::CopyFrom(CopyFrom { target, named: !columns.is_empty(), filter: None, options }))
    }

    fn bind_copy_from(
        &mut self,
        node: &CopyNode,
        name: &ast::ObjectName,
        columns: &[ast::Ident],
        mut options: CopyOptions,
    ) -> Result<Bound> {
        let table = self.writable(name, "copy to")?;
        let schema = Arc::clone(table.schema());
        let places = if columns.is_empty() {
            // Columns that take no value are not part of the input.
            (0..schema.columns.len())
                .filter(|place| check_insertable(&schema, *place).is_ok())
                .collect()
        } else {
            let places = self.column_places(&schema, columns)?;
            for (place, ident) in places.iter().zip(columns) {
                if check_insertable(&schema, *place).is_err() {
                    let message = format!("column \"{}\" is a generated column", ident.value);
                    return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                        .with_detail("Generated columns cannot be used in COPY."));
                }
            }
            places
        };
        let names: Vec<String> =
            places.iter().map(|place| schema.columns[*place].name.to_owned()).collect();
        force(&mut options, node, &names, schema.name)?;
        let filter = match &node.predicate {
            Some(predicate) => Some(self.bind_copy_filter(&table, predicate)?),
            None => None,
        };
        Ok(Bound::CopyFrom(CopyFrom {
            target: CopyTarget::Table { table, columns: places },
            named: !columns.is_empty(),
            filter,
            options,
        }))
    }

    fn bind_copy_filter(
        &mut self,
        table: &Arc<dyn Relation>,
        predicate: &ast::Expr,
    ) -> Result<CopyFilter> {
        let schema = Arc::clone(table.schema());
        let level = Level::new(Namespace::of(NamedRelation::of_relation(table)), Clause::CopyWhere);
        let (bound, level) =
            self.with_level(level, |binder| binder.bind_boolean(predicate, "WHERE"))?;
        if has_subquery(&bound) {
            let message = "cannot use subquery in COPY FROM WHERE condition";
            return Err(SqlError::unsupported(message).at(self.at_expr(predicate)));
        }
        let maintained =
            level.uses.iter().find(|(place, _)| check_insertable(&schema, *place).is_err());
        if let Some((place, at)) = maintained {
            let message = "generated columns are not supported in COPY FROM WHERE conditions";
            let name = schema.columns[*place].name;
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                .with_detail(format!("Column \"{name}\" is a generated column."))
                .at(*at));
        }
        let defaults = (0..schema.columns.len()).map(|place| self.default_value(&schema, place));
        Ok(CopyFilter { predicate: bound, defaults: defaults.collect::<Result<_>>()? })
    }

    fn bind_copy_table(
        &mut self,
        node: &CopyNode,
        name: &ast::ObjectName,
        columns: &[ast::Ident],
        mut options: CopyOptions,
    ) -> Result<Bound> {
        let relation = match self.find_entry(name)? {
            Entry::Relation(relation) => relation,
            Entry::View(view) => {
                let message = format!("cannot copy from view \"{}\"", view.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .with_hint("Try the COPY (SELECT ...) TO variant."));
            }
        };
        let schema = Arc::clone(relation.schema());
        let (plan, _) = scan(&relation);
        let places: Vec<usize> = if columns.is_empty() {
            (0..schema.columns.len()).collect()
        } else {
            self.column_places(&schema, columns)?
        };
        let names: Vec<String> =
            places.iter().map(|place| schema.columns[*place].name.to_owned()).collect();
        force(&mut options, node, &names, schema.name)?;
        let expressions =
            places.iter().map(|place| Expr::Column(*place, schema.columns[*place].ty)).collect();
        let output: Vec<_> = places.iter().map(|place| plan.columns[*place].clone()).collect();
        let node = PlanNode::Project { input: Box::new(plan), expressions };
        Ok(Bound::CopyTo(CopyTo { source: CopySource::Plan(Plan::new(node, output)), options }))
    }
}

/// Finds the columns that the FORCE options name.
fn force(
    options: &mut CopyOptions,
    node: &CopyNode,
    names: &[String],
    relation: &str,
) -> Result<()> {
    let kinds = ["FORCE_QUOTE", "FORCE_NOT_NULL", "FORCE_NULL"];
    let mut found: [CopyColumns; 3] = Default::default();
    for ((wanted, kind), found) in node.force.iter().zip(kinds).zip(&mut found) {
        *found = match wanted {
            ForceColumns::None => CopyColumns::None,
            ForceColumns::All => CopyColumns::All,
            ForceColumns::Named(idents) => {
                let mut places = Vec::with_capacity(idents.len());
                for ident in idents {
                    let place =
                        names.iter().position(|name| *name == ident.value).ok_or_else(|| {
                            let message = if relation == "query result" {
                                format!("column \"{}\" does not exist", ident.value)
                            } else {
                                format!("{kind} column \"{}\" not referenced by COPY", ident.value)
                            };
                            SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                        })?;
                    places.push(place);
                }
                CopyColumns::Some(places)
            }
        };
    }
    [options.force_quote, options.force_not_null, options.force_null] = found;
    Ok(())
}
