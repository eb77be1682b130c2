//! The list of what a query gives: `*` written out, and the names that PostgreSQL gives to columns.

use sqlparser::ast::{
    self, Expr as Ast, ObjectNamePart, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    WildcardAdditionalOptions,
};

use super::binder::{Binder, syntax, unsupported};
use super::data_type::type_column_name;
use super::expr::strip;
use super::rewrite::{ALL_FIELDS, MARK};
use super::scope::NamedColumn;
use crate::error::{Result, SqlError};
use crate::plan::{Expr, OutputColumn};
use crate::types::PgType;

/// The most columns that a query may give, as in PostgreSQL.
pub(super) const TARGETS_MAX: usize = 1664;

/// A column of a query's result while the query is being bound.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) expr: Expr,
    pub(super) name: String,
    pub(super) typmod: i32,
    pub(super) origin: (u32, i16),
    /// Of a record, its fields.
    pub(super) fields: Vec<(String, PgType)>,
    /// Which references to columns it made, as a range of the level's uses.
    pub(super) uses: std::ops::Range<usize>,
    /// Where it stands.
    pub(super) position: Option<usize>,
}

impl Target {
    /// What RowDescription says of it.
    pub(super) fn column(&self) -> OutputColumn {
        let name = self.name.clone();
        OutputColumn { name, ty: self.expr.ty(), typmod: self.typmod, origin: self.origin }
    }
}

impl Binder<'_> {
    /// Binds the list of what a query gives.
    pub(super) fn bind_targets(&mut self, items: &[SelectItem]) -> Result<Vec<Target>> {
        let mut targets = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    if let Some((record, field)) = row_expansion(expr) {
                        self.expand_record(record, field, &mut targets)?;
                    } else {
                        targets.push(self.bind_target(expr, column_name(expr))?);
                    }
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    targets.push(self.bind_target(expr, alias.value.clone())?);
                }
                SelectItem::Wildcard(options) => {
                    check_wildcard(options)?;
                    self.expand_all(options, &mut targets)?;
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    check_wildcard(options)?;
                    self.expand_relation(kind, &mut targets)?;
                }
                SelectItem::ExprWithAliases { .. } => return Err(unsupported("a list of aliases")),
            }
        }
        if targets.len() > TARGETS_MAX {
            let message = format!("target lists can have at most {TARGETS_MAX} entries");
            return Err(SqlError::new(crate::error::SqlState::TOO_MANY_COLUMNS, message));
        }
        Ok(targets)
    }

    /// Binds one expression of the list.
    pub(super) fn bind_target(&mut self, ast: &Ast, name: String) -> Result<Target> {
        let start = self.level().uses.len();
        let expr = self.bind_expr(ast)?;
        let end = self.level().uses.len();
        let (mut typmod, mut origin) = (-1, (0, 0));
        match strip(ast) {
            Ast::Cast { data_type, .. } => {
                typmod = self.data_type(data_type).map_or(-1, |(_, typmod)| typmod);
            }
            Ast::TypedString(typed) => {
                typmod = self.data_type(&typed.data_type).map_or(-1, |(_, typmod)| typmod);
            }
            Ast::Identifier(_) | Ast::CompoundIdentifier(_) => {
                if let Some(column) = self.plain_column(&expr) {
                    (typmod, origin) = (column.typmod, column.origin);
                }
            }
            _ => {}
        }
        let fields =
            if expr.ty() == PgType::Record { self.record_fields(ast, &expr) } else { Vec::new() };
        Ok(Target {
            expr,
            name,
            typmod,
            origin,
            fields,
            uses: start..end,
            position: self.at_expr(ast),
        })
    }

    /// The column in sight that an expression is, if it is nothing more.
    fn plain_column(&self, expr: &Expr) -> Option<NamedColumn> {
        let (level, column) = match expr {
            Expr::Column(column, _) => (self.levels.len().checked_sub(1)?, *column),
            Expr::Outer { depth, column, .. } => {
                (self.levels.len().checked_sub(1 + depth)?, *column)
            }
            _ => return None,
        };
        let relations = &self.levels.get(level)?.namespace.relations;
        let mut columns = relations.iter().flat_map(|relation| &relation.columns);
        columns.find(|it| matches!(it.expr, Expr::Column(place, _) if place == column)).cloned()
    }

    /// `*`.
    fn expand_all(
        &mut self,
        options: &WildcardAdditionalOptions,
        targets: &mut Vec<Target>,
    ) -> Result<()> {
        let at = self.at(options.wildcard_token.0.span.start);
        let level = self.level();
        if level.namespace.relations.is_empty() {
            return Err(syntax("SELECT * with no tables specified is not valid").at(at));
        }
        let columns = level.namespace.columns.clone();
        self.push_columns(columns, at, targets);
        Ok(())
    }

    /// `relation.*`.
    fn expand_relation(
        &mut self,
        kind: &SelectItemQualifiedWildcardKind,
        targets: &mut Vec<Target>,
    ) -> Result<()> {
        let name = match kind {
            SelectItemQualifiedWildcardKind::ObjectName(name) => name,
            SelectItemQualifiedWildcardKind::Expr(expr) => {
                return Err(unsupported("row expansion via \"*\" here").at(self.at_expr(expr)));
            }
        };
        let parts: Vec<&ast::Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
        let (schema, relation) = match parts.as_slice() {
            [relation] => (None, *relation),
            [schema, relation] => (Some(schema.value.as_str()), *relation),
            _ => return Err(unsupported(format!("name {name}")).at(self.at_name(name))),
        };
        let Some((level, found)) = self.find_relation(schema, &relation.value) else {
            return Err(self.no_such_relation(schema, relation, parts[0]));
        };
        let at = self.at_ident(parts[0]);
        if level + 1 == self.levels.len() {
            self.push_columns(found.columns, at, targets);
            return Ok(());
        }
        for column in found.columns {
            let expr = self.refer(level, column.expr, relation);
            let (name, typmod, origin, fields) =
                (column.name, column.typmod, column.origin, column.fields);
            targets.push(Target { expr, name, typmod, origin, fields, uses: 0..0, position: at });
        }
        Ok(())
    }

    /// `(record).*`.
    fn expand_record(
        &mut self,
        record: &Ast,
        field: &ast::Ident,
        targets: &mut Vec<Target>,
    ) -> Result<()> {
        let at = self.at_ident(field);
        let expr = self.bind_expr(record)?;
        let fields = self.record_fields(record, &expr);
        if fields.is_empty() {
            return Err(SqlError::new(
                crate::error::SqlState::UNDEFINED_COLUMN,
                "record type has not been registered",
            )
            .at(at));
        }
        for (place, (name, ty)) in fields.into_iter().enumerate() {
            let expr = Expr::Field { record: Box::new(expr.clone()), field: place, ty };
            let (typmod, origin) = (-1, (0, 0));
            targets.push(Target {
                expr,
                name,
                typmod,
                origin,
                fields: vec![],
                uses: 0..0,
                position: at,
            });
        }
        Ok(())
    }

    fn push_columns(
        &mut self,
        columns: Vec<NamedColumn>,
        at: Option<usize>,
        targets: &mut Vec<Target>,
    ) {
        let place = self.levels.len().saturating_sub(1);
        self.lowest = self.lowest.min(place);
        for column in columns {
            let start = self.level().uses.len();
            if let Expr::Column(place, _) = column.expr {
                self.level().uses.push((place, at));
            }
            let uses = start..self.level().uses.len();
            let NamedColumn { name, expr, typmod, origin, fields } = column;
            targets.push(Target { expr, name, typmod, origin, fields, uses, position: at });
        }
    }
}

/// `(record).*`: the record and the mark.
fn row_expansion(expr: &Ast) -> Option<(&Ast, &ast::Ident)> {
    let Ast::CompoundFieldAccess { root, access_chain } = expr else { return None };
    match access_chain.as_slice() {
        [ast::AccessExpr::Dot(Ast::Identifier(field))]
            if field.quote_style == Some(MARK) && field.value == ALL_FIELDS =>
        {
            Some((root, field))
        }
        _ => None,
    }
}

fn check_wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let plain = opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none();
    if plain { Ok(()) } else { Err(unsupported("an option of *")) }
}

/// The name of an expression's column: `FigureColname` in `parse_target.c`.
pub(super) fn column_name(expr: &Ast) -> String {
    name_and_strength(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is a good one; the name of a type is not, and a better one inside wins.
fn name_and_strength(expr: &Ast) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_owned(), true));
    match expr {
        Ast::Nested(inner) | Ast::Collate { expr: inner, .. } => name_and_strength(inner),
        Ast::Identifier(ident)
            if ident.quote_style.is_none() && ident.value == "current_catalog" =>
        {
            good("current_catalog")
        }
        Ast::Identifier(ident) => good(&ident.value),
        Ast::CompoundIdentifier(parts) => good(&parts.last()?.value),
        Ast::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                ast::AccessExpr::Dot(Ast::Identifier(field)) => Some(field.value.clone()),
                _ => None,
            });
            field.map(|name| (name, true)).or_else(|| name_and_strength(root))
        }
        Ast::Function(function) => good(&function.name.0.last()?.as_ident()?.value),
        Ast::Cast { expr: inner, data_type, .. } => match name_and_strength(inner) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(data_type), false)),
        },
        Ast::TypedString(typed) => Some((type_name(&typed.data_type), false)),
        Ast::Interval(_) => Some(("interval".to_owned(), false)),
        Ast::Case { else_result, .. } => match else_result.as_deref().and_then(name_and_strength) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Ast::Array(_) => good("array"),
        Ast::Tuple(_) => good("row"),
        Ast::Exists { negated: false, .. } => good("exists"),
        Ast::Subquery(query) => query_column_name(query).map(|name| (name, true)),
        Ast::Extract { .. } => good("extract"),
        Ast::AtTimeZone { .. } => good("timezone"),
        Ast::Ceil { .. } => good("ceil"),
        Ast::Floor { .. } => good("floor"),
        Ast::Position { .. } => good("position"),
        Ast::Overlay { .. } => good("overlay"),
        Ast::Substring { shorthand, .. } => good(if *shorthand { "substr" } else { "substring" }),
        Ast::Trim { trim_where, .. } => good(match trim_where {
            None | Some(ast::TrimWhereField::Both) => "btrim",
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
        }),
        Ast::BinaryOp { op: ast::BinaryOperator::Overlaps, .. } => good("overlaps"),
        _ => None,
    }
}

/// The name of a subquery's first column.
fn query_column_name(query: &ast::Query) -> Option<String> {
    let mut body = &*query.body;
    loop {
        match body {
            SetExpr::Select(select) => {
                return match select.projection.first()? {
                    SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
                    SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
                    _ => None,
                };
            }
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Query(query) => body = &query.body,
            SetExpr::Values(_) => return Some("column1".to_owned()),
            _ => return None,
        }
    }
}

/// The name of a type as the grammar turns it into one of `pg_type`.
fn type_name(data_type: &ast::DataType) -> String {
    use ast::DataType as D;
    let ty = match data_type {
        D::Array(element) => match element {
            ast::ArrayElemTypeDef::SquareBracket(element, _)
            | ast::ArrayElemTypeDef::Qualified(element, _) => {
                return type_name(element);
            }
            _ => return "array".to_owned(),
        },
        D::Custom(name, _) => {
            let Some(ident) = name.0.last().and_then(|part| part.as_ident()) else {
                return name.to_string();
            };
            let known = PgType::from_name(&ident.value)
                .filter(|_| ident.quote_style.is_none() && name.0.len() == 1);
            return known.map_or_else(|| ident.value.clone(), |ty| type_column_name(ty).to_owned());
        }
        D::Character(_) | D::Char(_) => PgType::Bpchar,
        D::CharacterVarying(_) | D::CharVarying(_) | D::Varchar(_) => PgType::Varchar,
        D::Numeric(_) | D::Decimal(_) | D::Dec(_) => PgType::Numeric,
        D::Float(ast::ExactNumberInfo::Precision(1..=24)) | D::Float4 | D::Real => PgType::Float4,
        D::Float(_) | D::Float8 | D::DoublePrecision | D::Double(_) => PgType::Float8,
        D::SmallInt(_) | D::Int2(_) => PgType::Int2,
        D::Int(_) | D::Integer(_) | D::Int4(_) => PgType::Int4,
        D::BigInt(_) | D::Int8(_) => PgType::Int8,
        D::Bool | D::Boolean => PgType::Bool,
        D::Time(_, zone) => match zone {
            ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz => PgType::TimeTz,
            _ => PgType::Time,
        },
        D::Timestamp(_, zone) => match zone {
            ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz => PgType::TimestampTz,
            _ => PgType::Timestamp,
        },
        D::Interval { .. } => PgType::Interval,
        other => return other.to_string().to_ascii_lowercase(),
    };
    type_column_name(ty).to_owned()
}
